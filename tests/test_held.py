"""What accounts should hold goes from one run to the next: what happened while no engine ran is found, what fills
explain is not taken for a difference, and a difference is not forgotten. Exchanges on a virtual clock live on.
"""
import random
from decimal import Decimal

import pytest

from orderflow import held
from orderflow._core.journal import RecordKind, read
from orderflow._core.types import ExecType, Side
from orderflow.instrument import Listing, table
from orderflow.research.journal import rows
from orderflow.research.simulation import INSTRUMENT
from orderflow.simulator.accounts import AMOUNT_DECIMALS
from tests import somebody
from tests.recovery_desk import SECOND_NS, Desk
from tests.test_reconciliation import fill, round_of

UNIT = 10**AMOUNT_DECIMALS
OFTEN = {"reconcile_ns": 2 * SECOND_NS}


@pytest.fixture
def desk(tmp_path):
    yield from Desk.opened(tmp_path)


def rounds(desk, more=4, seconds=100):
    """Let every account be found equal so many more times."""
    books = [loop.account for loop in desk.engine.core.loops.values()]
    wanted = [book.counts["rounds"] + more for book in books]
    desk.engine.run(seconds, lambda: all(book.counts["rounds"] >= one for book, one in zip(books, wanted, strict=True)))
    assert all(book.counts["rounds"] >= one for book, one in zip(books, wanted, strict=True)), desk.problems


def unexplained(desk):
    return [problem for problem in desk.problems if "which no fill explains" in problem]


def account_of(desk, name):
    return desk.venues[name].desk.accounts[0]


@pytest.mark.parametrize("name", Desk.NAMES)
def test_scenario_29_money_that_moved_while_no_engine_ran_is_found(desk, name):
    """By every run until a person says that the exchange is right; then by none."""
    engine = desk.start(desk.path / "run", OFTEN)
    engine.wait(engine.submit(INSTRUMENT, "buy", "3", exchanges=[name]), 20)
    rounds(desk)
    left = desk.crash()
    before = Decimal(account_of(desk, name).total("BTC")) / UNIT
    account_of(desk, name).free["BTC"] -= UNIT // 4
    for _ in range(2):
        engine = desk.start(left, OFTEN)
        engine.run(60, lambda: engine.differences)  # noqa: B023  # called before the loop goes on
        (found,) = engine.differences
        assert (found.exchange, found.what, found.instruments) == (name, "BTC", (INSTRUMENT,))
        assert (Decimal(found.expected), Decimal(found.found)) == (before, before - Decimal("0.25"))
        parent = engine.submit(INSTRUMENT, "buy", "1")
        engine.run(1)
        assert engine.parent(parent).refusal.startswith("BALANCE_UNEXPLAINED")
        left = desk.crash()
    engine = desk.start(left, OFTEN)
    engine.run(60, lambda: engine.differences)
    engine.rearm(instrument=INSTRUMENT)
    rounds(desk)
    told = len(unexplained(desk))
    left = desk.crash()
    engine = desk.start(left, OFTEN)
    rounds(desk)
    assert engine.differences == [] and len(unexplained(desk)) == told == 3
    assert engine.wait(engine.submit(INSTRUMENT, "buy", "1", exchanges=[name]), 20).filled == 1


@pytest.mark.parametrize("name", Desk.NAMES)
def test_scenario_29_fills_while_no_engine_ran_explain_what_they_explain(desk, name):
    """Of an order of ours, which is booked, and of somebody else's on the account."""
    engine = desk.start(desk.path / "run", OFTEN)
    symbol = next(one.symbol for one in engine.core.listings if one.exchange == name)
    engine.wait(engine.submit(INSTRUMENT, "buy", "3", exchanges=[name]), 20)
    rounds(desk)
    desk.rest(name)
    left = desk.crash()
    venue = desk.venues[name]
    (order,) = desk.open_orders(name)
    somebody.sells(venue, symbol, order.price, "0.5", 1, desk.now_ns)
    somebody.trades(venue, symbol, Side.BUY, 10**6, "by hand", desk.now_ns)
    assert order.filled > 0
    engine = desk.start(left, OFTEN)
    rounds(desk)
    listing = next(index for index, one in enumerate(engine.core.listings) if one.exchange == name)
    assert Decimal(int(engine.position(listing).net)).scaleb(-engine.core.listings[listing].quantity_decimals) == \
        3 + Decimal("0.5")
    assert engine.differences == [] and unexplained(desk) == []


def test_scenario_29_a_fill_that_a_round_finds_before_its_order_is_asked_for_counts_once(desk):
    """A round tells of the trade of an order in doubt, the account is told to hold that, then the order's own answer is
    written down."""
    desk.start(desk.path / "run", OFTEN)
    rounds(desk)
    desk.mute = True
    desk.engine.submit(INSTRUMENT, "sell", "2", exchanges=["alpha"])
    desk.engine.run(0.5, lambda: len(desk.placed) == 1)
    left = desk.crash()
    desk.mute = False
    calls = desk.venues["alpha"].http
    desk.venues["alpha"].http = lambda method, path, *rest: (
        calls("GET", "/nowhere", *rest) if path.endswith(("/order", "/allOrders")) else calls(method, path, *rest))
    desk.start(left, OFTEN)
    rounds(desk)
    assert desk.statuses() == {"IN_DOUBT": 1}
    desk.venues["alpha"].http = calls
    desk.clear()
    assert desk.statuses() == {"FILLED": 1}
    left = desk.crash()
    desk.start(left, OFTEN)
    rounds(desk)
    desk.agrees()
    assert unexplained(desk) == []


@pytest.mark.parametrize("seed", range(4))
def test_scenario_29_no_crash_makes_a_difference(desk, seed):
    """Engines that trade and are killed at moments from a seed, before, between and within rounds; others trade on
    the account all the while, heard of or not."""
    moments = random.Random(seed)
    directory, hands = desk.path / "run", 0
    for _ in range(6):
        engine = desk.start(directory, OFTEN)
        for _ in range(moments.randint(1, 4)):
            engine.submit(INSTRUMENT, moments.choice(("buy", "sell")), str(moments.randint(1, 9)), seconds=5)
            engine.run(moments.random() * 2)
            if moments.random() < 0.5:
                hands += 1
                by_hand(desk, moments, hands)
        desk.mute = moments.random() < 0.3
        engine.run(moments.random() * 0.5)
        directory = desk.crash()
        desk.mute = False
        hands += 1
        by_hand(desk, moments, hands)
    desk.start(directory, OFTEN)
    desk.clear()
    rounds(desk)
    assert hands > 6 and unexplained(desk) == [] and desk.engine.differences == []


def by_hand(desk, moments, number):
    """Somebody trades on one of the accounts."""
    name = moments.choice(Desk.NAMES)
    venue = desk.venues[name]
    (symbol,) = [one.symbol for one in desk.engine.core.listings if one.exchange == name]
    somebody.trades(venue, symbol, moments.choice((Side.BUY, Side.SELL)), moments.randint(1, 50) * 10**5,
                    f"hand {number}", max(desk.now_ns, desk.engine.server.now_ns))


def test_what_nothing_is_traded_in_is_told_once_and_taken_for_right(desk):
    """The asset that fees may be paid in: nobody could arm an instrument of it again."""
    desk.start(desk.path / "run", OFTEN)
    rounds(desk)
    left = desk.crash()
    account_of(desk, "alpha").free["BNB"] = 5 * UNIT
    for _ in range(3):
        engine = desk.start(left, OFTEN)
        rounds(desk)
        assert engine.differences == []
        left = desk.crash()
    (told,) = unexplained(desk)
    assert "BNB on the account of alpha: expected 0, found 5" in told and "it is taken for right" in told


@pytest.mark.parametrize("name", Desk.NAMES)
def test_what_a_person_accepted_stays_accepted_if_the_run_ends_at_once(desk, name):
    desk.start(desk.path / "run", OFTEN)
    rounds(desk)
    left = desk.crash()
    account_of(desk, name).free["BTC"] += UNIT
    engine = desk.start(left, OFTEN)
    engine.run(60, lambda: engine.differences)
    engine.rearm(instrument=INSTRUMENT)
    engine.run(0.001)
    left = desk.crash()
    engine = desk.start(left, OFTEN)
    rounds(desk)
    assert engine.differences == [] and len(unexplained(desk)) == 1


def test_an_account_that_a_run_does_not_trade_on_is_kept_for_the_one_that_does(desk, monkeypatch):
    desk.start(desk.path / "run", OFTEN)
    rounds(desk)
    left = desk.crash()
    with monkeypatch.context() as patched:
        patched.setattr(desk, "NAMES", ("alpha",))
        desk.start(left, OFTEN)
        rounds(desk)
        left = desk.crash()
    account_of(desk, "gamma").free["USDT"] += 7 * UNIT
    engine = desk.start(left, OFTEN)
    engine.run(60, lambda: engine.differences)
    assert [(one.exchange, one.what) for one in engine.differences] == [("gamma", "USDT")]


def test_the_journal_shows_what_accounts_should_hold(desk):
    engine = desk.start(desk.path / "run", OFTEN)
    engine.wait(engine.submit(INSTRUMENT, "buy", "3", exchanges=["alpha"]), 20)
    rounds(desk)
    shown = {(row.fields["exchange"], row.fields["asset"]): row.fields["amount"] for row in rows(engine.directory)
             if row.fields.get("event") == "HELD"}
    holds = account_of(desk, "alpha")
    assert {asset: shown["alpha", asset] for asset in ("BTC", "USDT")} == {
        asset: Decimal(holds.total(asset)) / UNIT for asset in ("BTC", "USDT")}


def test_rounds_without_news_write_nothing(desk):
    engine = desk.start(desk.path / "run", OFTEN)
    rounds(desk, 2)

    def written():
        return sum(record.kind == RecordKind.REPORT and record.decode()["exec_type"] == ExecType.REPORT_HELD
                   for record in read(engine.directory))
    before = written()
    rounds(desk, 10)
    assert written() == before > 0


# -- the book itself ------------------------------------------------------------------------------------------------

BTC, ETH = (Listing("x", f"{base}USDT", f"{base}-USDT", base, "USDT", 2, 3, Decimal("0.01"), Decimal("0.001"))
            for base in ("BTC", "ETH"))


def test_a_book_goes_on_in_other_numbers():
    """Assets and listings of the next run are numbered otherwise; what was told is known there."""
    before = held.account_book("x", ["BTC", "USDT"], table([BTC], ["x"]), [BTC], 7)
    round_of(before, 1, (1, 1000))
    before.take_fill(fill(1, 2_000, 100_00, 5))
    left = held.records("x", before, ["BTC", "USDT"], [BTC])
    listings = [ETH, BTC]
    after = held.account_book("x", ["ETH", "USDT", "BTC"], table(listings, ["x"]), listings, 7)
    held.resume("x", after, left, ["ETH", "USDT", "BTC"], listings)
    again = fill(1, 2_000, 100_00, 5, asked=True)
    again["listing"] = 1
    assert not after.take_fill(again)
    assert after.balance(2).expected == 3 * 10**18 and after.balance(1).expected == 800 * 10**18
    assert not after.balance(0).known
    assert round_of(after, 1, (5, 800, 3)) == ((0, 0), [])


def test_more_fills_than_are_carried_leave_nothing_known():
    book = held.account_book("x", ["BTC", "USDT"], table([BTC], ["x"]), [BTC], 7)
    round_of(book, 1, (1, 1000))
    assert len(held.records("x", book, ["BTC", "USDT"], [BTC])) == 2
    for number in range(1, 4098):
        book.take_fill(fill(number, 1, 1, number))
    assert book.held is None and held.records("x", book, ["BTC", "USDT"], [BTC]) == []


def test_a_further_fee_in_an_asset_that_nobody_trades_is_not_carried():
    book = held.account_book("x", ["BTC", "USDT"], table([BTC], ["x"]), [BTC], 7)
    round_of(book, 1, (1, 1000))
    fee = fill(1, 0, 0, 5, fee=7, fee_asset=0xFFFF)
    fee["exec_type"] = ExecType.REPORT_STATUS
    assert book.take_fill(fee) and book.take_fill(fill(1, 2_000, 100_00, 5))
    assert [each["trade"] for each in held.records("x", book, ["BTC", "USDT"], [BTC]) if "trade" in each] == ["1"]


@pytest.mark.parametrize("name", Desk.NAMES)
def test_a_holding_of_any_size_is_held_to_the_last_digit_over_a_restart(desk, name):
    """More than 64 bits hold with the decimals that it is told with. One digit of the last of them is a difference."""
    decimals = {"alpha": 8, "gamma": 10}[name]
    account_of(desk, name).free["USDT"] = 3 * 10**11 * UNIT + 987_654_321 * UNIT // 10**decimals
    engine = desk.start(desk.path / "run", OFTEN)
    engine.wait(engine.submit(INSTRUMENT, "buy", "3", exchanges=[name]), 20)
    rounds(desk)
    engine = desk.start(desk.crash(), OFTEN)
    rounds(desk)
    assert engine.differences == [] and unexplained(desk) == []
    left = desk.crash()
    shown = [row.fields["amount"] for row in rows(left) if row.fields.get("event") == "HELD"
             and (row.fields["exchange"], row.fields["asset"]) == (name, "USDT")]
    told = account_of(desk, name).total("USDT") * 10**decimals // UNIT
    assert abs(int(shown[-1].scaleb(decimals)) - told) <= 1     # the fill may have been rounded
    account_of(desk, name).free["USDT"] -= UNIT // 10**decimals
    engine = desk.start(left, OFTEN)
    engine.run(60, lambda: engine.differences)
    assert [(one.exchange, one.what) for one in engine.differences] == [(name, "USDT")]
