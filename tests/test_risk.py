"""Risk against its twin in fractions, every Reason it can give, and that nothing goes around it."""
import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import orderflow
from orderflow._core import client_id
from orderflow._core.orders import Orders
from orderflow._core.risk import RiskBook, product_limit
from orderflow._core.types import (
    CHILD_ORDER_DTYPE,
    LISTING_DTYPE,
    PARENT_ORDER_DTYPE,
    BookState,
    ExecType,
    OrderType,
    Reason,
    Side,
    TimeInForce,
    TradingState,
)
from tests.reference import risk as reference
from tests.risk_desk import AGE_NS, EPOCH, LIMITS, PARENT, Desk, listings, record


def test_an_order_within_every_limit_passes():
    slot, decision = Desk().send()
    assert slot == 0 and decision == (Reason.OK, 0, 0)


@pytest.mark.parametrize("reason, order, limit, actual", [
    (Reason.QUANTITY_EXCEEDS_MAXIMUM, {"quantity": 90_010}, 90_000, 90_010),
    (Reason.QUANTITY_EXCEEDS_MAXIMUM, {"quantity": 100_001, "listing": 1}, 100_000, 100_001),
    (Reason.QUANTITY_BELOW_MINIMUM, {"quantity": 10}, 20, 10),
    (Reason.QUANTITY_OFF_LOT, {"quantity": 10_001}, 10, 10_001),
    (Reason.PRICE_NOT_POSITIVE, {"price": 0}, 1, 0),
    (Reason.PRICE_NOT_POSITIVE, {"price": -5}, 1, -5),
    (Reason.PRICE_OFF_TICK, {"price": 10_001}, 5, 10_001),
    (Reason.PRICE_OUTSIDE_COLLAR, {"price": 10_205}, 10_200, 10_205),
    (Reason.PRICE_OUTSIDE_COLLAR, {"price": 9_795, "side": Side.SELL}, 9_800, 9_795),
    (Reason.NOTIONAL_EXCEEDS_MAXIMUM, {"quantity": 50_010}, 500_000_000, 500_100_000),
    (Reason.NOTIONAL_BELOW_MINIMUM, {"quantity": 90}, 1_000_000, 900_000),
    (Reason.NOTIONAL_EXCEEDS_MAXIMUM, {"quantity": 50_000, "price": 0, "order_type": OrderType.MARKET},
     500_000_000, 10_201 * 50_000),
    (Reason.QUANTITY_NOT_POSITIVE, {"side": Side.NO_SIDE}, 1, 10_000),
])
def test_each_refusal_says_which_limit_met_which_number(reason, order, limit, actual):
    desk = Desk()
    if order.get("side") == Side.NO_SIDE:
        desk.orders.open_parent(record(PARENT_ORDER_DTYPE, parent_id=PARENT, side=Side.BUY, quantity=200_000))
    assert desk.send(**order)[1] == (reason, limit, actual)
    assert desk.orders.orders() == [] and desk.risk.counts["refused"] == 1


@pytest.mark.parametrize("order", [
    {"quantity": 50_000}, {"quantity": 100}, {"price": 10_200}, {"price": 9_800, "side": Side.SELL},
    {"price": 5_000, "quantity": 90_000},
])
def test_the_edges_of_every_limit_are_inside(order):
    assert Desk().send(**order)[1].code == Reason.OK


def test_reference_price_must_be_there_and_fresh():
    desk = Desk()
    assert desk.send(now_ns=AGE_NS)[1].code == Reason.OK
    assert desk.send(now_ns=AGE_NS + 1)[1] == (Reason.NO_REFERENCE_PRICE, AGE_NS, AGE_NS + 1)
    desk.risk.set_reference(0, 0, AGE_NS)
    assert desk.send(now_ns=AGE_NS)[1].code == Reason.NO_REFERENCE_PRICE


def test_trading_state():
    desk = Desk(state=TradingState.HALTED)
    assert desk.send()[1].code == Reason.TRADING_HALTED
    desk.risk.state = TradingState.REDUCING
    assert desk.send()[1] == (Reason.TRADING_REDUCING, 0, 10_000)
    desk.risk.state = TradingState.ACTIVE
    desk.risk.set_listing(0, maximum_quantity=1, maximum_notional=1, state=TradingState.HALTED)
    assert desk.send()[1].code == Reason.LISTING_HALTED
    desk.risk.set_listing(0, maximum_quantity=1, maximum_notional=1, state=TradingState.REDUCING)
    assert desk.send()[1].code == Reason.TRADING_REDUCING


def test_boots_halted_and_unconfigured_listings_are_halted():
    desk = Desk()
    bare = RiskBook(desk.listings, orders=64, parents=4)
    assert bare.state == TradingState.HALTED
    bare.state = TradingState.ACTIVE
    slot, _ = desk.send()
    assert bare.check(desk.orders, slot, 0).code == Reason.LISTING_HALTED
    assert Desk(listings(halted=[1, 0])).send()[1].code == Reason.LISTING_HALTED


def test_reducing_lets_only_the_position_shrink():
    desk = Desk(state=TradingState.REDUCING, position=25_000)
    assert desk.send()[1] == (Reason.TRADING_REDUCING, 0, 10_000)
    slot, _ = desk.send(side=Side.SELL, quantity=20_000)
    assert slot is not None
    assert desk.send(side=Side.SELL)[1] == (Reason.TRADING_REDUCING, 25_000, 30_000)
    desk.report(slot, ExecType.REPORT_CANCELED)
    assert desk.send(side=Side.SELL)[1].code == Reason.OK


def test_an_exchange_that_may_only_reduce_lets_only_the_position_there_shrink():
    """Whatever is held elsewhere. The second listing counts ten times coarser."""
    desk = Desk(listings(exchange=[0, 1]))
    held, decision = desk.send()
    assert decision.code == Reason.OK
    desk.fill(held, 10_000, 1)
    desk.risk.set_exchange_state(0, TradingState.REDUCING)
    assert [desk.risk.exchange_state(number) for number in (0, 1)] == [TradingState.REDUCING, TradingState.ACTIVE]
    assert desk.send()[1] == (Reason.EXCHANGE_REDUCING, 0, 10_000)
    assert desk.send(listing=1, quantity=1_000, price=1_000)[1].code == Reason.OK
    assert desk.send(side=Side.SELL, quantity=10_010)[1] == (Reason.EXCHANGE_REDUCING, 10_000, 10_010)
    assert desk.send(side=Side.SELL, quantity=6_000)[1].code == Reason.OK
    assert desk.send(side=Side.SELL, quantity=4_010)[1] == (Reason.EXCHANGE_REDUCING, 10_000, 10_010)
    desk.risk.set_exchange_state(1, TradingState.REDUCING)
    assert desk.send(listing=1, side=Side.SELL, quantity=1_000, price=1_000)[1] == (Reason.EXCHANGE_REDUCING, 0, 10_000)
    for number in (0, 1):
        desk.risk.set_exchange_state(number, TradingState.ACTIVE)
    assert desk.send(listing=1, side=Side.SELL, quantity=1_000, price=1_000)[1].code == Reason.OK
    with pytest.raises(IndexError, match="exchange 2"):
        desk.risk.set_exchange_state(2, TradingState.ACTIVE)


def test_unknown_listing():
    """Unreachable through the order table, which refuses it first: so a table of more listings than risk knows."""
    desk = Desk()
    more = np.concatenate([desk.listings, desk.listings[:1]])
    desk.orders = Orders(more, EPOCH)
    desk.orders.open_parent(record(PARENT_ORDER_DTYPE, parent_id=PARENT + Side.BUY, side=Side.BUY, quantity=1_000_000))
    assert desk.send(listing=2)[1] == (Reason.UNKNOWN_LISTING, 2, 2)


def test_position_counts_everything_that_may_be_filled():
    desk = Desk(position=285_000)
    first, _ = desk.send()
    assert desk.send()[1] == (Reason.POSITION_EXCEEDS_MAXIMUM, 300_000, 305_000)
    desk.report(first, ExecType.REPORT_SENT)
    desk.report(first, ExecType.REPORT_IN_DOUBT)
    assert desk.send()[1].code == Reason.POSITION_EXCEEDS_MAXIMUM
    desk.fill(first, 1_000, 1)
    assert desk.send()[1].code == Reason.POSITION_EXCEEDS_MAXIMUM
    desk.report(first, ExecType.REPORT_CANCELED)
    assert desk.risk.exposure(0)[:3] == (286_000, 0, 0)
    assert desk.send()[1].code == Reason.OK
    short = Desk(position=-295_000)
    assert short.send(side=Side.SELL)[1] == (Reason.POSITION_EXCEEDS_MAXIMUM, 300_000, 305_000)


def test_conservation_from_risks_own_books():
    desk = Desk(parent_quantity=25_000)
    first, _ = desk.send()
    second, _ = desk.send(listing=1, quantity=1_000, price=1_000)
    assert desk.send()[1] == (Reason.EXCEEDS_PARENT, 25_000, 30_000)
    desk.fill(first, 4_000, 1)
    assert desk.risk.committed(0) == 20_000
    desk.report(first, ExecType.REPORT_CANCELED)
    assert desk.risk.committed(0) == 14_000
    desk.fill(first, 1_000, 2)                      # late
    assert desk.risk.committed(0) == 15_000
    desk.report(second, ExecType.REPORT_CANCELED, cumulative_quantity=300)      # 300 are filled, though not yet seen
    assert desk.risk.committed(0) == 8_000 == desk.orders.parent(0).filled + desk.orders.parent(0).in_doubt


def test_a_parent_may_be_committed_to_the_last_unit():
    desk = Desk(parent_quantity=20_000)
    assert [desk.send()[1].code for _ in range(3)] == [Reason.OK, Reason.OK, Reason.EXCEEDS_PARENT]


def test_conservation_does_not_believe_the_routers_books():
    """Knight: a router that forgets what is out. The parent's own numbers are gone; risk still refuses."""
    desk = Desk(parent_quantity=15_000)
    desk.send()
    forgetful = Desk(parent_quantity=15_000)
    forgetful.count = 1
    forgetful.risk = desk.risk
    assert forgetful.orders.parent(0).working == 0
    assert forgetful.send()[1] == (Reason.EXCEEDS_PARENT, 15_000, 20_000)


def test_a_parent_that_risk_was_not_told_of_gets_nothing():
    desk = Desk()
    desk.orders.open_parent(record(PARENT_ORDER_DTYPE, parent_id=99, side=Side.BUY, quantity=10**6))
    slot = desk.orders.open_child(record(CHILD_ORDER_DTYPE, parent_id=99,
                                         client_order_id=client_id.first_of(EPOCH) + 50, price=10_000,
                                         quantity=10_000, side=Side.BUY, order_type=OrderType.LIMIT))
    assert desk.risk.check(desk.orders, slot, 0) == (Reason.EXCEEDS_PARENT, 0, 10_000)


def test_an_order_that_never_left_is_taken_back():
    desk = Desk()
    slot, _ = desk.send()
    desk.risk.release(desk.orders, slot)
    desk.orders.deny(slot, Reason.JOURNAL_FAILED)
    assert desk.risk.committed(0) == 0 and desk.risk.exposure(0).open_buys == 0


def test_an_order_that_went_around_risk_is_counted_in_full():
    desk = Desk()
    slot = desk.orders.open_child(record(CHILD_ORDER_DTYPE, client_order_id=client_id.first_of(EPOCH) + 50,
                                         parent_id=PARENT + Side.BUY, price=10_000, quantity=10_000, side=Side.BUY))
    desk.risk.observe(desk.orders, slot)
    assert desk.risk.counts["strangers"] == 1 and desk.risk.exposure(0).open_buys == 10_000


def test_products_beyond_64_bits():
    huge = listings(tick=1, lot=1, minimum_quantity=0, minimum_notional=0, price_factor=1, quantity_factor=1,
                    maximum_quantity=0, price_decimals=8, quantity_decimals=8)
    limits = dict(maximum_quantity=2**62, maximum_notional=2**61 * 10**8, maximum_position=2**62, collar=2_000_000,
                  reference_age_ns=1, reference=(2**60, 0))
    desk = Desk(huge, limits=limits, parent_quantity=2**62)
    assert desk.send(price=2**60, quantity=2**58)[1] == (
        Reason.NOTIONAL_EXCEEDS_MAXIMUM, 2**61 * 10**16, 2**118)
    price = 2**60 + 2**60 * 2 // 100
    assert desk.send(price=price, quantity=1)[1].code == Reason.OK
    assert desk.send(price=price + 1, quantity=1)[1] == (Reason.PRICE_OUTSIDE_COLLAR, price, price + 1)


@given(st.integers(0, 10**15), st.integers(0, 20), st.integers(0, 10**20))
def test_limits_compare_as_the_amounts_would(amount, decimals, product):
    assert (product <= product_limit(amount, decimals, lowest=False)) == (product * 10**8 <= amount * 10**decimals)
    assert (product >= product_limit(amount, decimals, lowest=True)) == (product * 10**8 >= amount * 10**decimals)


WHO = {"side": st.sampled_from([Side.BUY, Side.SELL]), "strategy": st.integers(0, 1),
       "time_in_force": st.sampled_from([TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK])}
#: Few that differ, and that nothing but a limit of their own would refuse.
ORDINARY = st.one_of(
    st.fixed_dictionaries(WHO | {"listing": st.just(0), "price": st.sampled_from([9_990, 10_000, 10_010]),
                                 "quantity": st.sampled_from([1_000, 2_000, 10_000]),
                                 "order_type": st.just(OrderType.LIMIT)}),
    st.fixed_dictionaries(WHO | {"listing": st.just(1), "price": st.sampled_from([999, 1_000, 1_001]),
                                 "quantity": st.sampled_from([100, 200, 1_000]),
                                 "order_type": st.just(OrderType.LIMIT)}))
ANY = st.fixed_dictionaries(WHO | {
    "listing": st.integers(0, 1),
    "price": st.one_of(st.integers(990, 1_010), st.integers(1_955, 2_045).map(lambda n: n * 5),
                       st.integers(-5, 11_000)),
    "quantity": st.one_of(st.integers(1, 6_000).map(lambda n: n * 10), st.integers(1, 100_100)),
    "order_type": st.sampled_from([OrderType.LIMIT, OrderType.LIMIT, OrderType.MARKET]),
})
FATES = st.sampled_from(["stays", "fills", "fills", "ends", "fills and ends", "fills and ends", "rejected"])
STEPS = st.tuples(
    st.sampled_from([0, 1, 10**7, 10**8, 5 * 10**8, 10**9 + 1]),
    st.one_of(
        *[st.tuples(st.just("order"), ORDINARY, FATES) for _ in range(3)], st.tuples(st.just("order"), ANY, FATES),
        st.tuples(st.just("mark"), st.integers(9_000, 11_000)),
        st.tuples(st.just("mark"), st.sampled_from([9_990, 10_000, 10_010])),
        st.tuples(st.just("feed"), st.integers(0, 1), st.sampled_from([BookState.LIVE] * 4 + [BookState.STALE])),
        st.tuples(st.just("rearm"), st.integers(0, 1))))
#: Of each control beyond the first ones, a limit that is met soon, or none.
CONTROLS = st.fixed_dictionaries({}, optional={
    "drift": st.just({"drift_collar": 3_000_000, "drift_window_ns": 2 * 10**9}),
    "feed_age_ns": st.just(8 * 10**8), "repeat_ns": st.sampled_from([10**8, 10**9]),
    "capital": st.fixed_dictionaries({"exchange_capital": st.integers(500, 3_000), "maximum_capital":
                                      st.integers(500, 4_000), "strategy_capital": st.integers(500, 3_000)}),
    "strategy_notional": st.integers(100, 3_000), "messages": st.just((5, 10**9)),
    "strategy_messages": st.just((2, 10**9)), "fills": st.just((1, 10**9)), "rejects": st.just((1, 10**9)),
    "loss": st.fixed_dictionaries({"maximum_loss": st.integers(1, 30), "strategy_loss": st.integers(1, 30)}),
    "drawdown": st.fixed_dictionaries({"maximum_drawdown": st.integers(1, 30),
                                       "strategy_drawdown": st.integers(1, 30)}),
    "stand_ns": st.sampled_from([0, 10**8, 10**9]),
})


def limited(controls, state, position):
    """The same limits for both: (Desk, twin)."""
    limits = dict(LIMITS)
    for name, chosen in controls.items():
        limits |= chosen if isinstance(chosen, dict) else {name: chosen}
    table = listings(exchange=[0, 1], taker_fee=[50_000, 100_000])
    drift = {name: limits[name] for name in ("drift_collar", "drift_window_ns") if name in limits}
    desk = Desk(table, state=state, position=position, strategies=2, **drift)
    for listing in (0, 1):
        desk.risk.set_listing(listing, maximum_quantity=limits["maximum_quantity"], feed_age_ns=limits.get(
            "feed_age_ns", 0), maximum_notional=limits["maximum_notional"])
        desk.money("exchange", listing, maximum_used=limits.get("exchange_capital"))
    desk.risk.set_messages(limits.get("messages", (0, 1)))
    for strategy in (0, 1):
        desk.risk.set_strategy(strategy, messages=limits.get("strategy_messages", (0, 1)), repeat_ns=limits.get(
            "repeat_ns", 0), fills=limits.get("fills", (0, 0)), rejects=limits.get("rejects", (0, 0)))
        desk.money("strategy", strategy, maximum_used=limits.get("strategy_capital"), maximum_notional=limits.get(
            "strategy_notional"), maximum_loss=limits.get("strategy_loss"), maximum_drawdown=limits.get(
            "strategy_drawdown"), stand_ns=limits.get("stand_ns", 0))
    desk.money("total", 0, maximum_used=limits.get("maximum_capital"), maximum_loss=limits.get("maximum_loss"),
               maximum_drawdown=limits.get("maximum_drawdown"), stand_ns=limits.get("stand_ns", 0))
    return desk, reference.Risk(table, limits, state=state, strategies=2, position=position)


def play(desk, twin, action, number, now_ns):
    """One step on both; the codes that they gave, if it was an order."""
    kind, *what = action
    if kind == "mark":
        desk.risk.set_reference(0, what[0], now_ns)
        twin.set_reference(what[0], now_ns)
    elif kind == "feed":
        desk.risk.set_feed(*what, now_ns)
        twin.set_feed(*what, now_ns)
    elif kind == "rearm":
        desk.risk.set_strategy_state(what[0], TradingState.ACTIVE)
        twin.rearm(what[0], now_ns)
    if kind != "order":
        return None
    order, fate = what
    slot, decision = desk.send(now_ns=now_ns, **order)
    told = (decision.code, twin.check(desk.child[0], 200_000, now_ns))
    if told != (Reason.OK, Reason.OK):
        return told
    theirs = twin.approve(desk.child[0], now_ns)
    if fate.startswith("fills"):
        quantity = order["quantity"] // 2 or 1
        price = max(1, order["price"])
        desk.fill(slot, quantity, number, price=price, receive_ns=now_ns)
        twin.fill(theirs, price, quantity, now_ns)
    if fate.endswith("ends"):
        desk.report(slot, ExecType.REPORT_CANCELED, receive_ns=now_ns)
        twin.end(theirs, now_ns)
    if fate == "rejected":
        desk.report(slot, ExecType.REPORT_REJECTED, receive_ns=now_ns)
        twin.end(theirs, now_ns, rejected=True)
    return told


@settings(max_examples=200)
@given(st.lists(STEPS, max_size=20), st.sampled_from([TradingState.ACTIVE, TradingState.ACTIVE, TradingState.REDUCING]),
       st.sampled_from([0, 0, -200_000, 25_000]), CONTROLS)
def test_agrees_with_the_twin(steps, state, position, controls):
    desk, twin = limited(controls, state, position)
    now_ns = 1
    for number, (passed_ns, action) in enumerate(steps, 1):
        now_ns += passed_ns
        told = play(desk, twin, action, number, now_ns)
        assert told is None or told[0] == told[1]
        for whose, name, place in (("total", "total", 0), (0, "strategy", 0), (1, "strategy", 1)):
            seen = desk.risk.money(name, place)
            assert seen.profit == (twin.profit(whose) - twin.watches[whose].origin) * 10**5
            assert bool(seen.tripped) == bool(twin.watches[whose].tripped)


@pytest.mark.parametrize("controls, reasons", [
    ({"drift_collar": 100_000, "drift_window_ns": 2 * 10**9}, {Reason.PRICE_DRIFTED}),
    ({"feed_age_ns": 8 * 10**8}, {Reason.FEED_TOO_OLD, Reason.BOOK_NOT_LIVE}),
    ({"repeat_ns": 10**9}, {Reason.REPEATED_ORDER}), ({}, {Reason.SELF_TRADE}),
    ({"maximum_capital": 1_000}, {Reason.CAPITAL_EXCEEDED}),
    ({"exchange_capital": 1_000}, {Reason.EXCHANGE_CAPITAL_EXCEEDED}),
    ({"strategy_capital": 1_000}, {Reason.STRATEGY_CAPITAL_EXCEEDED}),
    ({"strategy_notional": 500}, {Reason.STRATEGY_NOTIONAL_EXCEEDED}),
    ({"messages": (3, 10**9)}, {Reason.MESSAGE_RATE_EXCEEDED}),
    ({"strategy_messages": (2, 10**9)}, {Reason.STRATEGY_RATE_EXCEEDED}),
    ({"fills": (1, 10**9)}, {Reason.FILLS_TOO_FREQUENT}), ({"rejects": (1, 10**9)}, {Reason.REJECTS_TOO_FREQUENT}),
    ({"maximum_loss": 1}, {Reason.LOSS_EXCEEDS_MAXIMUM}), ({"strategy_loss": 1}, {Reason.STRATEGY_LOSS_EXCEEDED}),
    ({"maximum_drawdown": 1}, {Reason.DRAWDOWN_EXCEEDS_MAXIMUM}),
    ({"strategy_drawdown": 1, "stand_ns": 10**8}, {Reason.STRATEGY_DRAWDOWN_EXCEEDED}),
])
def test_each_control_agrees_with_the_twin_and_refuses(controls, reasons):
    """Alone, and tight: so that the agreement above is about refusals too."""
    reached, chance = set(), random.Random(7)
    for _ in range(60):
        desk, twin = limited(controls, TradingState.ACTIVE, 0)
        now_ns = 1
        for number in range(1, 26):
            now_ns += chance.choice([1, 10**7, 10**8, 5 * 10**8])
            told = play(desk, twin, any_action(chance), number, now_ns)
            assert told is None or told[0] == told[1]
            reached.update(told or ())
    assert reasons <= reached


def any_action(chance):
    """Mostly orders that nothing but a control would refuse."""
    kind = chance.choice(["order"] * 6 + ["mark", "feed"])
    if kind == "mark":
        return kind, chance.choice([9_990, 10_000, 10_010])
    if kind == "feed":
        return kind, chance.randrange(2), chance.choice([BookState.LIVE] * 6 + [BookState.STALE])
    listing = chance.randrange(2)
    order = {"listing": listing, "side": chance.choice([Side.BUY, Side.SELL]), "strategy": chance.randrange(2),
             "price": chance.choice([9_990, 10_000, 10_010]) // 10**listing, "order_type": OrderType.LIMIT,
             "quantity": chance.choice([1_000, 2_000, 10_000]) // 10**listing,
             "time_in_force": chance.choice([TimeInForce.GTC, TimeInForce.IOC, TimeInForce.IOC])}
    return kind, order, chance.choice(["stays", "fills", "ends", "fills and ends", "fills and ends", "rejected"])


def test_set_up_says_what_is_wrong():
    book = RiskBook(listings())
    with pytest.raises(ValueError, match="maximum_quantity and maximum_notional must be positive"):
        book.set_listing(0, maximum_quantity=0, maximum_notional=1)
    with pytest.raises(IndexError, match="listing 2 is not"):
        book.set_listing(2, maximum_quantity=1, maximum_notional=1)
    with pytest.raises(ValueError, match="collar between 0 and"):
        book.set_instrument(0, maximum_position=1, collar=10**8, reference_age_ns=1)
    with pytest.raises(ValueError, match="tick, lot and factors"):
        RiskBook(np.zeros(1, LISTING_DTYPE)).set_listing(0, maximum_quantity=1, maximum_notional=1)


def test_only_risk_writes_an_approval():
    """The journal takes an Approved and nothing else; no file but risk.pxd may write to one."""
    core = Path(orderflow.__file__).parent / "_core"
    writes = re.compile(r"\b(seal|risk_code)\s*=[^=]|approved\.order\s*=[^=]|<\s*(risk\.)?Approved\s*\*\s*>")
    offenders = [path.name for path in core.rglob("*.p[yx][xd]") if path.name != "risk.pxd"
                 and any(writes.search(line) for line in path.read_text().splitlines())]
    assert offenders == []
