"""An order table with risk beside it, used as the router uses them: what the tests of risk sit at."""
import numpy as np

from orderflow._core import client_id
from orderflow._core.orders import Orders
from orderflow._core.risk import RiskBook
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
    TimeInForce,
    TradingState,
)

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
        """(slot or None, DecisionView) of one child order: by default 10.0 at 100.00 on listing 0, IOC."""
        self.count += 1
        fields = {"kind": ChildKind.NEW_ORDER, "side": Side.BUY, "price": 10_000, "quantity": 10_000,
                  "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.IOC, **fields}
        fields = {"parent_id": PARENT + fields["side"]} | fields
        self.child = record(CHILD_ORDER_DTYPE, client_order_id=client_id.first_of(EPOCH) + self.count - 1, **fields)
        slot = self.orders.open_child(self.child)
        decision = self.risk.check(self.orders, slot, now_ns)
        if decision.code != Reason.OK:
            self.orders.deny(slot, decision.code)
            return None, decision
        return slot, decision

    def send_on(self, instrument, now_ns):
        """The same for 1.0 at 100.00 on the first listing of another instrument, for a parent of its own."""
        listing = int(np.flatnonzero(self.listings["instrument"] == instrument)[0])
        parent_id = 100 + self.count
        parent = self.orders.open_parent(record(PARENT_ORDER_DTYPE, parent_id=parent_id, side=Side.BUY, quantity=10**6,
                                                instrument=instrument))
        self.risk.register_parent(self.orders, parent)
        found = self.send(now_ns=now_ns, listing=listing, parent_id=parent_id, quantity=1_000)
        if found[0] is None:
            self.orders.close_parent(parent, Reason.CANCELLED_BY_USER)
        return found

    def report(self, slot, kind, **fields):
        order = self.orders.order(slot)
        fields = {"cumulative_quantity": -1, "receive_ns": 1, **fields}
        self.orders.apply(record(EXECUTION_REPORT_DTYPE, client_order_id=order.client_order_id, exec_type=kind,
                                 listing=order.listing, slot=slot, **fields))
        self.risk.observe(self.orders, slot, fields["receive_ns"])

    def fill(self, slot, quantity, trade_id, price=10_000, **fields):
        self.report(slot, ExecType.REPORT_FILL, trade_id=trade_id, last_price=price, last_quantity=quantity, **fields)

    def money(self, what, place, *, stand_ns=0, **amounts):
        """Limits in whole units of the currency; None = none."""
        self.risk.set_money(what, place, 0, stand_ns=stand_ns, **{
            name: amount * 10**8 for name, amount in amounts.items() if amount is not None})
