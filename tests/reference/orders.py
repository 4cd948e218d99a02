"""The order table, slowly: keep every fact, compute every number from all of them when somebody asks."""
from fractions import Fraction

from orderflow._core.types import ExecType, OrderStatus, Reason

ENDS = {
    ExecType.REPORT_CANCELED: OrderStatus.CANCELED,
    ExecType.REPORT_REJECTED: OrderStatus.REJECTED,
    ExecType.REPORT_EXPIRED: OrderStatus.EXPIRED,
}
TERMINAL = {OrderStatus.DENIED, OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED}


class Order:
    """One order and all that was said about it."""

    def __init__(self, side, price, quantity):
        self.side, self.price, self.quantity = side, price, quantity
        self.fills = {}             # trade id -> (price, quantity)
        self.stated = 0
        self.sent = self.acknowledged = self.cancel_wanted = False
        self.doubt_accepted = self.doubt_alive = False
        self.end = None

    def apply(self, kind, *, trade_id=0, price=0, quantity=0, stated=-1, reason=Reason.OK, reconciliation=False):
        if kind == ExecType.REPORT_FILL:
            if price <= 0 or quantity <= 0:
                return
            if self.fills.setdefault(trade_id, (price, quantity)) != (price, quantity):
                return
        elif kind in ENDS and not (kind == ExecType.REPORT_REJECTED and reason == Reason.UNKNOWN_OUTCOME):
            self.end = self.end or ENDS[kind]
        elif kind == ExecType.REPORT_SENT:
            self.sent = True
        elif kind == ExecType.REPORT_NOT_SENT:
            if self.sent or self.acknowledged or self.fills:
                self.cancel_wanted = False
            else:
                self.end = self.end or OrderStatus.DENIED
        elif kind == ExecType.REPORT_CANCEL_REJECTED:
            self.cancel_wanted = False
            self.doubt_alive |= reason == Reason.UNKNOWN_ORDER
        elif kind in (ExecType.REPORT_IN_DOUBT, ExecType.REPORT_REJECTED):
            if self.acknowledged or self.fills:
                self.doubt_alive = True
            else:
                self.doubt_accepted = True
        else:
            self.acknowledged = True
            if kind == ExecType.REPORT_STATUS or reconciliation:
                self.doubt_alive = self.doubt_accepted = False
        self.stated = max(self.stated, stated)

    def request_cancel(self):
        if self.status not in TERMINAL:
            self.cancel_wanted = True

    @property
    def cumulative(self):
        return sum(quantity for _, quantity in self.fills.values())

    @property
    def notional(self):
        return sum(price * quantity for price, quantity in self.fills.values())

    @property
    def average(self):
        return Fraction(self.notional, self.cumulative) if self.fills else None

    @property
    def status(self):
        if self.cumulative >= self.quantity:
            return OrderStatus.FILLED
        if self.end:
            return self.end
        if self.doubt_alive or (self.doubt_accepted and not self.acknowledged and not self.fills):
            return OrderStatus.IN_DOUBT
        if self.cancel_wanted:
            return OrderStatus.PENDING_CANCEL
        if self.fills:
            return OrderStatus.PARTIAL
        if self.acknowledged:
            return OrderStatus.NEW
        return OrderStatus.PENDING_NEW if self.sent else OrderStatus.CREATED

    @property
    def working(self):
        if self.status in TERMINAL or self.status == OrderStatus.IN_DOUBT:
            return 0
        return self.quantity - self.cumulative

    @property
    def in_doubt(self):
        if self.status == OrderStatus.IN_DOUBT:
            return self.quantity - self.cumulative
        if self.end:
            return max(0, min(self.stated, self.quantity) - self.cumulative)
        return 0


class Position:
    """Average cost over exact fractions: no rounding at all."""

    def __init__(self):
        self.net = 0
        self.cost = Fraction(0)
        self.realised = Fraction(0)

    def apply(self, sign, price, quantity):
        closing = min(quantity, abs(self.net)) if self.net * sign < 0 else 0
        if closing:
            taken = self.cost * closing / abs(self.net)
            self.cost -= taken
            self.realised += (price * closing - taken) * -sign
        self.cost += price * (quantity - closing)
        self.net += sign * quantity
