"""Risk against its twin in fractions, every Reason it can give, and that nothing goes around it."""
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import orderflow
from orderflow._core.orders import Orders
from orderflow._core.risk import RiskBook, product_limit
from orderflow._core.types import (
    CHILD_ORDER_DTYPE,
    EXECUTION_REPORT_DTYPE,
    LISTING_DTYPE,
    PARENT_ORDER_DTYPE,
    BookState,
    ChildKind,
    ExecType,
    OrderType,
    Reason,
    Side,
    TradingState,
)
from tests.reference import risk as reference

UNLIMITED = 1 << 110
EPOCH, PARENT, AGE_NS = 1, 7, 1_000_000_000
LIMITS = dict(maximum_quantity=100_000, maximum_notional=5_000 * 10**8, maximum_position=300_000, collar=2_000_000,
              reference_age_ns=AGE_NS, reference=(10_000, 0))


def listings(**fields):
    """Listing 0: price in cents, quantity in thousandths, tick 5, lot 10. Listing 1: the same, ten times coarser."""
    table = np.zeros(2, LISTING_DTYPE)
    table["index"] = [0, 1]
    table["tick"], table["lot"] = [5, 1], [10, 1]
    table["minimum_quantity"], table["maximum_quantity"] = [20, 2], [90_000, 0]
    table["minimum_notional"] = 10 * 10**8
    table["price_decimals"], table["quantity_decimals"] = [2, 1], [3, 2]
    table["price_factor"], table["quantity_factor"] = [1, 10], [1, 10]
    for name, value in fields.items():
        table[name] = value
    return table


def record(dtype, **fields):
    row = np.zeros(1, dtype)
    for name, value in fields.items():
        row[name] = value
    return row


class Desk:
    """An order table with risk beside it, used as the router does."""

    def __init__(self, table=None, *, state=TradingState.ACTIVE, parent_quantity=200_000, position=0, limits=LIMITS,
                 strategies=1, **drift):
        self.listings = listings() if table is None else table
        self.orders = Orders(self.listings, EPOCH, orders=64, parents=4, fills=256)
        self.risk = RiskBook(self.listings, orders=64, parents=4, strategies=strategies)
        for listing in (0, 1):
            self.risk.set_listing(listing, maximum_quantity=limits["maximum_quantity"],
                                  maximum_notional=limits["maximum_notional"])
            self.risk.set_feed(listing, BookState.LIVE, 0)
        self.risk.set_instrument(0, maximum_position=limits["maximum_position"], collar=limits["collar"],
                                 reference_age_ns=limits["reference_age_ns"], position=position, **drift)
        self.risk.set_money("total", 0, 0, maximum_used=UNLIMITED, maximum_loss=UNLIMITED)
        self.risk.set_reference(0, *limits["reference"])
        self.risk.state = state
        self.count = 0
        for side in (Side.BUY, Side.SELL):
            slot = self.orders.open_parent(record(PARENT_ORDER_DTYPE, parent_id=PARENT + side, side=side,
                                                  quantity=parent_quantity))
            self.risk.register_parent(self.orders, slot)

    def send(self, now_ns=0, **fields):
        """(slot or None, DecisionView) of one child order: by default 10.0 at 100.00 on listing 0."""
        self.count += 1
        fields = {"kind": ChildKind.NEW_ORDER, "side": Side.BUY, "price": 10_000, "quantity": 10_000,
                  "order_type": OrderType.LIMIT, **fields}
        self.child = record(CHILD_ORDER_DTYPE, client_order_id=EPOCH << 40 | self.count,
                            parent_id=PARENT + fields["side"], **fields)
        slot = self.orders.open_child(self.child)
        decision = self.risk.check(self.orders, slot, now_ns)
        if decision.code != Reason.OK:
            self.orders.deny(slot, decision.code)
            return None, decision
        return slot, decision

    def report(self, slot, kind, **fields):
        order = self.orders.order(slot)
        fields = {"cumulative_quantity": -1, "receive_ns": 1, **fields}
        self.orders.apply(record(EXECUTION_REPORT_DTYPE, client_order_id=order.client_order_id, exec_type=kind,
                                 listing=order.listing, slot=slot, **fields))
        self.risk.observe(self.orders, slot, fields["receive_ns"])

    def fill(self, slot, quantity, trade_id, price=10_000, **fields):
        self.report(slot, ExecType.REPORT_FILL, trade_id=trade_id, last_price=price, last_quantity=quantity, **fields)


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
    slot = desk.orders.open_child(record(CHILD_ORDER_DTYPE, client_order_id=EPOCH << 40 | 50, parent_id=99,
                                         price=10_000, quantity=10_000, side=Side.BUY, order_type=OrderType.LIMIT))
    assert desk.risk.check(desk.orders, slot, 0) == (Reason.EXCEEDS_PARENT, 0, 10_000)


def test_an_order_that_never_left_is_taken_back():
    desk = Desk()
    slot, _ = desk.send()
    desk.risk.release(desk.orders, slot)
    desk.orders.deny(slot, Reason.JOURNAL_FAILED)
    assert desk.risk.committed(0) == 0 and desk.risk.exposure(0).open_buys == 0


def test_an_order_that_went_around_risk_is_counted_in_full():
    desk = Desk()
    slot = desk.orders.open_child(record(CHILD_ORDER_DTYPE, client_order_id=EPOCH << 40 | 50,
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


ORDERS = st.fixed_dictionaries({
    "listing": st.integers(0, 1), "side": st.sampled_from([Side.BUY, Side.SELL]),
    "price": st.one_of(st.integers(980, 1_020), st.integers(1_955, 2_045).map(lambda n: n * 5),
                       st.integers(-5, 11_000)),
    "quantity": st.one_of(st.integers(1, 6_000).map(lambda n: n * 10), st.integers(1, 100_100)),
    "order_type": st.sampled_from([OrderType.LIMIT, OrderType.LIMIT, OrderType.MARKET]),
})


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ORDERS, st.integers(0, 4), st.integers(0, 10**9 + 1)), max_size=12),
       st.sampled_from([TradingState.ACTIVE, TradingState.ACTIVE, TradingState.REDUCING]),
       st.integers(-200_000, 200_000))
def test_agrees_with_the_twin(steps, state, position):
    desk = Desk(state=state, position=position)
    twin = reference.Risk(desk.listings, LIMITS, state=state, position=position)
    for i, (order, fate, now_ns) in enumerate(steps):
        slot, decision = desk.send(now_ns=now_ns, **order)
        assert decision.code == twin.check(desk.child[0], 200_000, now_ns)
        if slot is None:
            continue
        quantity, filled = order["quantity"], order["quantity"] * fate // 4
        if filled:
            desk.fill(slot, filled, i + 1)
        if fate % 2:
            desk.report(slot, ExecType.REPORT_CANCELED)
        twin.orders.append((desk.child[0]["parent_id"], order["listing"], order["side"],
                            filled if fate % 2 else quantity, filled))


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
