"""The tape of a capture as a notebook reads it."""
import json
from decimal import Decimal

import numpy as np
import pytest

import orderflow
from orderflow._core.types import TAPE_DTYPE, TapeKind
from orderflow.instrument import from_scaled

BUCKET_NS = 300 * 10**9


@pytest.fixture(scope="module")
def recorded(feeds):
    truth = json.loads((feeds / "golden/kraken_v2_a.json").read_text())
    return truth["symbols"], orderflow.tape(feeds / truth["capture"])


def test_it_holds_what_the_golden_counts(recorded):
    truth, tape = recorded
    assert tape.dtype == TAPE_DTYPE and tape.problems == []
    symbols = [listing.symbol for listing in tape.listings]
    for symbol, golden in truth.items():
        index = symbols.index(symbol)
        own = tape[tape["listing"] == index]
        trades = own[own["kind"] == TapeKind.TAPE_TRADE]
        assert np.count_nonzero(own["kind"] == TapeKind.TAPE_UPDATE) == golden["updates_applied"]
        assert len(trades) == golden["trades"]
        assert from_scaled(int(trades["quantity"].sum()), tape.listings[index].quantity_decimals) == Decimal(
            golden["trade_volume"])
        last = own[np.isin(own["kind"], (TapeKind.TAPE_UPDATE, TapeKind.TAPE_SNAPSHOT))][-1]
        assert tape.listings[index].price_text(last["bid_price"]) == golden["final_bbo"][0]


def test_a_part_of_it_still_knows_its_listings(recorded):
    _, tape = recorded
    assert tape[:10].listings is tape.listings


def test_columns_are_in_units_that_people_use(recorded):
    truth, tape = recorded
    columns = tape.columns()
    assert all(len(column) == len(tape) for column in columns.values())
    assert set(columns["kind"]) == {"snapshot", "update", "trade"}
    books = columns["kind"] != "trade"
    assert np.isnan(columns["price"][books]).all() and np.isnan(columns["bid_price"][~books]).all()
    assert (columns["bid_price"][books] < columns["ask_price"][books]).all()
    assert set(columns["side"][~books]) <= {"buy", "sell"} and set(columns["symbol"]) == set(truth)


def test_frames_of_other_libraries(recorded):
    _, tape = recorded
    for name, make in (("polars", tape.to_polars), ("pandas", tape.to_pandas)):
        try:
            __import__(name)
        except ImportError:
            with pytest.raises(ImportError, match=name):
                make()
            continue
        frame = make()
        assert frame.shape == (len(tape), len(tape.columns()))
        assert list(frame["symbol"])[:5] == list(tape.columns()["symbol"][:5])


def test_the_public_names(feeds):
    path = feeds / "captures/cf_binance_a.tsv.gz"
    assert next(iter(orderflow.read_capture(path))).direction in ("open", "http")
    assert orderflow.books(path).problems == []


def test_a_volume_curve_is_what_was_traded_by_the_time_that_was_seen(recorded):
    """The tape covers some minutes: their rate stands in their buckets, and its mean in the others."""
    truth, tape = recorded
    for listing in tape.listings:
        golden = truth[listing.symbol]
        if not golden["trades"]:
            continue
        curve = orderflow.volume_curve([tape], listing.symbol)
        own = tape[(tape["listing"] == tape.listings.index(listing)) & (tape["exchange_ns"] > 0)]
        began, ended = int(own["exchange_ns"].min()), int(own["exchange_ns"].max())
        seen = sum(curve[at // BUCKET_NS % 288] * (min(ended, at // BUCKET_NS * BUCKET_NS + BUCKET_NS) - at) / BUCKET_NS
                   for at in (began, *range((began // BUCKET_NS + 1) * BUCKET_NS, ended, BUCKET_NS)))
        assert seen == pytest.approx(float(golden["trade_volume"]), rel=1e-9)
        assert (curve > 0).sum() > 280
        assert orderflow.volume_curve([tape, tape], listing.symbol) == pytest.approx(curve)     # a mean, not a sum


def test_a_volume_curve_of_what_is_not_there(recorded):
    _, tape = recorded
    with pytest.raises(ValueError, match="symbol 'NO/SUCH': tape 0 has"):
        orderflow.volume_curve([tape], "NO/SUCH")
    with pytest.raises(ValueError, match="the tapes have no trade of it"):
        orderflow.volume_curve([tape[:0]], tape.listings[0].symbol)
