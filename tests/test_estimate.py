"""Pre-trade estimates: against a slow walk of the books, against what an order then costs, and what is chosen why."""
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.board import BOARD_ENTRY_DTYPE
from orderflow._core.types import BookState
from orderflow.estimate import DAY_SECONDS, TIMES, EstimateError, Market, estimate
from orderflow.instrument import Listing, instruments_of, table
from orderflow.research.simulation import INSTRUMENT
from tests.three_exchanges import engines

FEES = (Decimal("0.001"), Decimal("0.0002"), Decimal("-0.0001"))
LISTINGS = [Listing(f"x{index}", "BTCUSDT", "BTC-USDT", "BTC", "USDT", 2, 3, Decimal("0.01"), Decimal("0.001"),
                    taker_fee=fee) for index, fee in enumerate(FEES)]
(ITEM,) = instruments_of(LISTINGS)
ROWS = table(LISTINGS, ["x0", "x1", "x2"])

#: A side of a book: (distance of each level from the one before in ticks, quantity in thousandths).
ladders = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 5000)), min_size=1, max_size=20)


def entry(bids, asks, state=BookState.LIVE):
    """A board entry around 100.00: levels as distances."""
    found = np.zeros(1, BOARD_ENTRY_DTYPE)[0]
    found["book_state"], found["bid_count"], found["ask_count"] = state, len(bids), len(asks)
    for name, sign, levels in (("bids", -1, bids), ("asks", 1, asks)):
        at = 10_000
        for place, (distance, quantity) in enumerate(levels):
            at += sign * distance
            found[name][place] = at, quantity
    return found


def walked(entries, side, quantity):
    """(mid, what is displayed, cost in bps of taking it), in Decimals, level after level."""
    live = [(one, fee) for one, fee in zip(entries, FEES, strict=True) if one["book_state"] == BookState.LIVE]
    price = {name: [Decimal(int(one[name][0]["price"])) / 100 for one, _ in live] for name in ("bids", "asks")}
    mid = (max(price["bids"]) + min(price["asks"])) / 2
    name, count, sign = ("asks", "ask_count", 1) if side == "buy" else ("bids", "bid_count", -1)
    levels = sorted((sign * Decimal(int(level["price"])) / 100 * (1 + sign * fee),
                     Decimal(int(level["quantity"])) / 1000)
                    for one, fee in live for level in one[name][:one[count]])
    displayed, left, paid = sum(size for _, size in levels), quantity, Decimal(0)
    for all_in, size in levels:
        part = min(left, size)
        paid, left = paid + part * all_in, left - part
    return mid, displayed, None if left else (paid / quantity - sign * mid) / mid * 10_000


@given(books=st.lists(st.tuples(ladders, ladders, st.booleans()), min_size=3, max_size=3).filter(
    lambda books: any(live for _, _, live in books)), side=st.sampled_from(["buy", "sell"]), lots=st.integers(1, 10**5))
def test_at_once_is_what_a_slow_walk_gives(books, side, lots):
    entries = [entry(bids, asks, BookState.LIVE if live else BookState.STALE) for bids, asks, live in books]
    found = estimate(ITEM, Market(ROWS, entries), side, Decimal(lots) / 1000, daily_volume=1e6, daily_volatility=0.03)
    mid, displayed, cost = walked(entries, side, Decimal(lots) / 1000)
    assert (found.mid, found.available, found.now is None) == (mid, displayed, cost is None)
    if cost is not None:
        assert found.now.cost_bps == pytest.approx(float(cost), rel=1e-9, abs=1e-9)


def deep(size=10**6):
    """Three books that hold anything, two ticks wide."""
    return Market(ROWS, [entry([(1, size)], [(1, size)])] * 3)


def thin():
    """Ten units on each side of each."""
    return Market(ROWS, [entry([(1, 10_000)], [(1, 10_000)])] * 3)


def test_the_frontier_costs_less_the_longer_it_takes_and_is_less_certain():
    found = estimate(ITEM, thin(), "buy", "1000", daily_volume=1e6, daily_volatility=0.03)
    assert found.now is None and found.available == 30
    assert [point.seconds for point in found.frontier] == list(TIMES[-len(found.frontier):])
    for shorter, longer in zip(found.frontier, found.frontier[1:], strict=False):
        assert shorter.cost_bps > longer.cost_bps and shorter.deviation_bps < longer.deviation_bps
        assert shorter.participation > longer.participation
    day = found.frontier[-1]
    # half the spread less the rebate of the best listing, half of the permanent impact and the temporary, by hand
    assert day.cost_bps == pytest.approx(1.0 - 1.0001 + 1e4 * (0.314 * 0.03 * 1e-3 / 2 + 0.142 * 0.03 * 1e-3 ** 0.6))
    assert day.deviation_bps == pytest.approx(300 / math.sqrt(3))


def test_who_fears_risk_trades_sooner():
    chosen = [estimate(ITEM, thin(), "buy", "1000", daily_volume=1e6, daily_volatility=0.03, risk_aversion=risk).seconds
              for risk in (0.0, 0.01, 0.1, 1.0, 10.0)]
    assert chosen == sorted(chosen, reverse=True) and chosen[0] == DAY_SECONDS > chosen[2] > chosen[-1]


def test_what_is_chosen_and_why():
    market = {"daily_volume": 1e6, "daily_volatility": 0.03}
    at_once = estimate(ITEM, deep(), "buy", "1", **market)
    assert (at_once.algorithm, at_once.seconds, at_once.chosen) == ("immediate", 0.0, at_once.now)
    assert at_once.reason.startswith("at once it costs")
    slow = estimate(ITEM, thin(), "buy", "1000", **market)
    assert slow.algorithm == "twap" and slow.reason.startswith("too little is displayed to do it at once; over ")
    assert slow.chosen in slow.frontier and slow.chosen.seconds == slow.seconds
    assert estimate(ITEM, thin(), "buy", "1000", has_curve=True, **market).algorithm == "vwap"
    huge = estimate(ITEM, thin(), "buy", "500000", **market)
    assert huge.seconds == DAY_SECONDS
    assert huge.reason.endswith("50 % of a day's volume is more than the model has seen")


@pytest.mark.parametrize(("arguments", "error", "told"), [
    ({"side": "hold"}, ValueError, "side 'hold'"), ({"quantity": 0}, ValueError, "quantity 0"),
    ({"risk_aversion": -1}, ValueError, "risk_aversion -1"), ({"daily_volume": 0}, EstimateError, "daily_volume 0"),
    ({"daily_volatility": math.nan}, EstimateError, "daily_volatility nan")])
def test_what_is_wrong_is_named(arguments, error, told):
    given_ = {"side": "buy", "quantity": "1", "daily_volume": 1e6, "daily_volatility": 0.03} | arguments
    with pytest.raises(error, match=told):
        estimate(ITEM, deep(), **given_)


def test_without_a_live_book_nothing_is_said():
    market = Market(ROWS, [entry([(1, 1)], [(1, 1)], BookState.STALE)] * 3)
    with pytest.raises(EstimateError, match="no exchange has a LIVE book"):
        estimate(ITEM, market, "buy", "1", daily_volume=1e6, daily_volatility=0.03)


@pytest.fixture
def make():
    yield from engines()


def test_an_engine_says_what_an_order_then_costs(make):
    engine = make(volume_curves={INSTRUMENT: np.full(288, 10.0)})
    engine.run(30)                                      # until volatility has been seen
    found = engine.estimate(INSTRUMENT, "buy", "3", risk_aversion=100)
    assert found.algorithm == "immediate"
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "3"))
    paid = (parent.all_in_price / found.mid - 1) * 10_000
    # the books move on while the orders are on their way
    assert float(paid) == pytest.approx(found.now.cost_bps, abs=1.0)


def test_what_an_engine_does_not_know_it_asks_for(make):
    engine = make()
    with pytest.raises(EstimateError, match=f"daily_volume: the engine has no volume curve of {INSTRUMENT}"):
        engine.estimate(INSTRUMENT, "buy", "3")
    with pytest.raises(ValueError, match="instrument 'X'"):
        engine.estimate("X", "buy", "3")
    with pytest.raises(ValueError, match="none of them lists"):
        engine.estimate(INSTRUMENT, "buy", "3", daily_volume=1, exchanges=["nowhere"])
