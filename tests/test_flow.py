"""Order flow imbalance: the worked number, a slow twin, gaps, and what a recording shows."""
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import orderflow
from orderflow._core.types import BookState, TapeKind
from orderflow.research.flow import (
    Windows,
    flow_of_events,
    is_known,
    order_flow_imbalance,
    predicted_change,
    price_impact,
    windows,
)
from orderflow.research.quotes import quotes
from tests.quoted import quoted

SECOND = 10**9
WORKED = [(10000, 5, 10002, 4), (10000, 8, 10002, 4), (10001, 2, 10002, 4), (10001, 2, 10002, 1), (10001, 2, 10003, 6),
          (10000, 7, 10003, 6)]


def test_the_worked_number():
    found = quoted(WORKED)
    assert flow_of_events(found).tolist() == [3, 2, 3, 1, -2]
    assert order_flow_imbalance(found) == 7
    assert predicted_change(7, depth=4) == 0.875


def slow(before, now):
    """By the definition, side by side; an empty side is None."""
    (bid_0, bids_0, ask_0, asks_0), (bid, bids, ask, asks) = (
        (bid if bids else -math.inf, bids, ask if asks else math.inf, asks) for bid, bids, ask, asks in (before, now))
    gained = (bids if bid >= bid_0 else 0) - (bids_0 if bid <= bid_0 else 0)
    return gained - (asks if ask <= ask_0 else 0) + (asks_0 if ask >= ask_0 else 0)


rows = st.lists(st.tuples(st.integers(90, 95), st.integers(0, 9), st.integers(96, 99), st.integers(0, 9)),
                min_size=2, max_size=40)


@given(rows)
def test_each_event_is_the_definition(table):
    expected = [slow(before, now) for before, now in zip(table, table[1:], strict=False)]
    assert flow_of_events(quoted(table)).tolist() == expected


@given(rows)
def test_the_mirror_image_of_a_book_has_the_opposite_flow(table):
    mirrored = [(-ask, asks, -bid, bids) for bid, bids, ask, asks in table]
    assert (flow_of_events(quoted(mirrored)) == -flow_of_events(quoted(table))).all()


def test_nothing_is_differenced_over_a_gap():
    found = quoted(WORKED, segment=[0, 0, 0, 1, 1, 1])
    assert is_known(found).tolist() == [True, True, False, True, True]
    assert order_flow_imbalance(found) is None and order_flow_imbalance(quoted(WORKED[:1])) is None
    inside = windows(found, SECOND)
    assert inside.begin_ns.tolist() == [0, SECOND, 3 * SECOND, 4 * SECOND]
    assert inside.imbalance.tolist() == [3, 2, 1, -2]


@given(table=rows, length=st.integers(1, 7), cuts=st.sets(st.integers(1, 39)))
def test_windows_are_sums_of_events(table, length, cuts):
    segment = np.cumsum([index in cuts for index in range(len(table))])
    found = quoted(table, segment)
    inside, flows = windows(found, length * SECOND), flow_of_events(found)
    starts = [first for first in range(0, len(table) - length, length)
              if segment[first] == segment[first + length] and found.two_sided[[first, first + length]].all()]
    assert inside.begin_ns.tolist() == [first * SECOND for first in starts]
    for number, first in enumerate(starts):
        last = first + length
        assert inside.imbalance[number] == flows[first:last].sum()
        assert inside.change[number] == (sum(table[last][::2]) - sum(table[first][::2])) / 2
        assert inside.depth[number] == pytest.approx(
            np.mean([(row[1] + row[3]) / 2 for row in table[first:last + 1]]), rel=1e-12)


def test_a_quote_stands_until_the_last_of_its_segment():
    """Not through the time in which the book was not LIVE; and stamps may be a little out of order."""
    found = replace(quoted(WORKED, segment=[0, 0, 0, 1, 1, 1]), receive_ns=np.array([10, 14, 13, 50, 52, 61]))
    moments, standing = found.standing(2)
    assert dict(zip(moments.tolist(), standing.tolist(), strict=True)) == {
        10: 0, 12: 0, 14: 2, 50: 3, 52: 4, 54: 4, 56: 4, 58: 4, 60: 4}


def test_impact_of_a_book_that_has_one():
    """A change of half a tick for each depth and noise: found within three standard errors, on 2000 windows."""
    dice = np.random.default_rng(3)
    flow = dice.normal(0, 20, 2000)
    change = predicted_change(1, 4) * flow + dice.normal(0, 1, 2000)
    found = price_impact(Windows(np.arange(2000), flow, change, np.full(2000, 4.0)))
    assert abs(found.slope - 1 / 8) < 3 * found.error and found.error == pytest.approx(1 / (20 * 2000 ** .5), rel=.1)
    assert found.explained == pytest.approx(np.corrcoef(flow, change)[0, 1] ** 2, rel=1e-9)
    assert (found.slope, found.intercept) == pytest.approx(tuple(np.polyfit(flow, change, 1)), rel=1e-9, abs=1e-12)


def test_where_nothing_changes_impact_is_not_known():
    still = Windows(np.arange(5), np.zeros(5), np.arange(5.0), np.ones(5))
    assert price_impact(still) is None and price_impact(windows(quoted(WORKED[:2]), SECOND)) is None
    assert len(windows(quoted([]), SECOND).begin_ns) == 0


def test_what_is_out_of_range_is_named():
    with pytest.raises(ValueError, match="length_ns 0"):
        windows(quoted(WORKED), 0)
    with pytest.raises(ValueError, match="depth 0"):
        predicted_change(1, 0)


@pytest.fixture(scope="module")
def recorded(feeds):
    return orderflow.tape(feeds / "captures/binance_usdm_btcusdt_20240808.tsv.gz")


def test_in_a_recording_flow_moves_the_price(recorded):
    """Of a liquid future over six minutes: seconds with more flow to the bid are those in which the mid rises."""
    found = price_impact(windows(quotes(recorded, "BTCUSDT"), SECOND))
    assert found.slope > 10 * found.error and 0.3 < found.explained < 0.8
    print(found)


def test_quotes_are_cut_where_the_book_was_not_live_and_at_another_epoch(recorded):
    part = recorded[recorded["kind"] != TapeKind.TAPE_TRADE][:10].copy()
    assert quotes(part, "BTCUSDT").segment.tolist() == [0] * 10
    part["epoch"][7:] += 1
    part["kind"][[3, 5]], part["state"][3], part["state"][5] = TapeKind.TAPE_STATE, BookState.STALE, BookState.LIVE
    assert quotes(part, "BTCUSDT").segment.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    with pytest.raises(ValueError, match="symbol 'NO': the tape has BTCUSDT"):
        quotes(recorded, "NO")
    assert len(quotes(recorded[:0], "BTCUSDT")) == 0
