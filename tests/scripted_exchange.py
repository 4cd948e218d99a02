"""An exchange that keeps the truth about orders and tells of it as badly as exchanges do.

What stands in `orders` is what happened. What the router hears of it may be late, twice, in another order, or missing;
an answer that is asked for (ASK_ORDER) repairs that, if it comes. Two rules hold as they do at real ones: an order's
end says how much of it was filled, and what was sent is taken within `FLIGHT_NS` or never.
"""
from dataclasses import dataclass, field
from operator import itemgetter

import numpy as np

from orderflow._core.types import (
    EXECUTION_REPORT_DTYPE,
    ChildKind,
    ExecType,
    OrderStatus,
    Reason,
    TimeInForce,
)

MS = 1_000_000
FLIGHT_NS = 8_000 * MS
ENDS = {OrderStatus.CANCELED: ExecType.REPORT_CANCELED, OrderStatus.EXPIRED: ExecType.REPORT_EXPIRED,
        OrderStatus.REJECTED: ExecType.REPORT_REJECTED}
#: What a private stream says, which may be told again; answers to requests come once.
EVENTS = (ExecType.REPORT_NEW, ExecType.REPORT_FILL, ExecType.REPORT_CANCELED, ExecType.REPORT_EXPIRED)


@dataclass(eq=False)
class Order:
    """As the exchange has it. `status`: 0 = it has not arrived, NEW = it is open; else how it ended."""

    id: int
    slot: int
    listing: int
    side: int
    price: int
    quantity: int
    rests: bool
    parent: int
    status: int = 0
    lost: bool = False              # on its way: it never arrives
    trades: list = field(default_factory=list)      # (trade id, price, quantity)
    replacing: int = 0              # whole quantity of a replacement that is on its way; 0 = none

    def lose(self):
        """It never arrives."""
        self.lost = True

    def stay(self):
        """What was asked of it never arrives."""
        self.replacing = 0

    @property
    def filled(self):
        return sum(quantity for *_, quantity in self.trades)

    @property
    def most(self):
        """What of it was filled, or still can be."""
        if self.lost or self.status not in (0, OrderStatus.NEW):
            return self.filled
        return max(self.quantity, self.replacing)


class ScriptedExchange:
    """One exchange, with the exchange thread's gate before it.

    Parameters
    ----------
    dice : random.Random
        Decides everything.
    lots : dict of int -> int
        By listing.
    push : callable(record)
        Puts a report into the ring to the router.
    """

    def __init__(self, dice, lots, push):
        self.dice, self.lots, self._push = dice, lots, push
        self.orders = {}
        self.connected = self.answers = True
        self.calm = False               # nothing goes wrong any more
        self.limited_until_ns = 0
        self._arriving = []             # (when, what then, what if it never does): on the way there
        self._telling = []              # (when, report): on the way back
        self._trades = 0
        self._told_end = set()
        self._stamp = 0

    # -- the gate ---------------------------------------------------------------------------------------------------

    def take(self, message, now_ns):
        """A ChildOrder out of the router's ring."""
        kind, number = int(message["kind"]), int(message["client_order_id"])
        if kind == ChildKind.NEW_ORDER:
            self._take_new(message, number, now_ns)
        elif kind == ChildKind.CANCEL_ORDER:
            self._request(number, now_ns, ExecType.REPORT_NOT_SENT, lambda at: self._cancel(number, at))
        elif kind == ChildKind.REPLACE_ORDER:
            price, quantity = int(message["price"]), int(message["quantity"])
            if self._request(number, now_ns, ExecType.REPORT_REPLACE_REJECTED,
                             lambda at: self._replace(number, price, quantity, at)):
                self.orders[number].replacing = quantity
        elif kind == ChildKind.ASK_ORDER and self.answers and self.connected:
            self._arriving.append((now_ns + self._way(), lambda at: self._answer(number, at), lambda: None))

    def _take_new(self, message, number, now_ns):
        assert number not in self.orders, f"order {number} was sent twice"
        order = Order(number, *(int(message[name]) for name in ("slot", "listing", "side", "price", "quantity")),
                      message["time_in_force"] != TimeInForce.IOC, int(message["parent_id"]))
        self.orders[number] = order
        if self._refuses(order, ExecType.REPORT_NOT_SENT, now_ns):
            order.status = OrderStatus.DENIED
            return
        self._say_at_once(order, ExecType.REPORT_SENT, now_ns)
        if not self.calm and self.dice.random() < 0.03:
            order.lose()
        else:
            late = FLIGHT_NS if not self.calm and self.dice.random() < 0.03 else 0
            self._arriving.append((now_ns + late + self._way(), lambda at: self._arrive(order, at), order.lose))

    def _request(self, number, now_ns, refused, what):
        """Something about an order that was sent; whether it will arrive."""
        if self._refuses(self.orders[number], refused, now_ns):
            return False
        if not self.calm and self.dice.random() < 0.05:
            return False
        self._arriving.append((now_ns + self._way(), what, self.orders[number].stay))
        return True

    def _refuses(self, order, exec_type, now_ns):
        if not self.connected:
            self._say_at_once(order, exec_type, now_ns, reason=Reason.NOT_CONNECTED)
        elif now_ns < self.limited_until_ns:
            self._say_at_once(order, exec_type, now_ns, reason=Reason.RATE_LIMITED, last_price=10, last_quantity=11,
                              exchange_ns=self.limited_until_ns)
        else:
            return False
        return True

    # -- the exchange -----------------------------------------------------------------------------------------------

    def _arrive(self, order, now_ns):
        if not self.calm and self.dice.random() < 0.1:
            unclear = self.dice.random() < 0.3
            if not unclear or self.dice.random() < 0.5:
                order.status = OrderStatus.REJECTED
            self._say(order, ExecType.REPORT_REJECTED, now_ns,
                      reason=Reason.UNKNOWN_OUTCOME if unclear else Reason.INSUFFICIENT_FUNDS)
            if order.status:
                return
        order.status = OrderStatus.NEW
        if order.rests or self.dice.random() < 0.7:
            self._say(order, ExecType.REPORT_NEW, now_ns)
        if not order.rests:
            self.trade(order, now_ns, self.dice.choice((0, 0.5, 1, 1)) if not self.calm else 1)
            if order.status == OrderStatus.NEW:
                self._end(order, self.dice.choice((OrderStatus.EXPIRED, OrderStatus.CANCELED)), now_ns)

    def trade(self, order, now_ns, part):
        """Fill this part of what is open, in up to three trades."""
        lot, left = self.lots[order.listing], order.quantity - order.filled
        lots = int(left // lot * part)
        for piece in range(3):
            taken = lots if piece == 2 else self.dice.randint(0, lots)
            lots -= taken
            if not taken:
                continue
            self._trades += 1
            better = self.dice.randint(0, 3) * (-1 if order.side == 1 else 1)
            order.trades.append((self._trades, max(1, order.price + better), taken * lot))
            self._say_trade(order, len(order.trades) - 1, now_ns)
        if order.filled == order.quantity:
            order.status = OrderStatus.FILLED

    def end_one(self, now_ns):
        """The exchange ends an order that rests."""
        waiting = self.open_orders()
        if waiting:
            self._end(self.dice.choice(waiting), OrderStatus.EXPIRED, now_ns)

    def open_orders(self):
        """Those that rest."""
        return [order for order in self.orders.values() if order.status == OrderStatus.NEW]

    def _end(self, order, status, now_ns):
        order.status = status
        self._say(order, ENDS[status], now_ns, cumulative_quantity=order.filled)

    def _cancel(self, number, now_ns):
        order = self.orders[number]
        if order.status == OrderStatus.NEW:
            self._end(order, OrderStatus.CANCELED, now_ns)
        else:
            self._say(order, ExecType.REPORT_CANCEL_REJECTED, now_ns, reason=Reason.UNKNOWN_ORDER)

    def _replace(self, number, price, quantity, now_ns):
        order = self.orders[number]
        order.replacing = 0
        if order.status != OrderStatus.NEW:
            self._say(order, ExecType.REPORT_REPLACE_REJECTED, now_ns, reason=Reason.UNKNOWN_ORDER)
        elif quantity <= order.filled or (not self.calm and self.dice.random() < 0.2):
            self._say(order, ExecType.REPORT_REPLACE_REJECTED, now_ns, reason=Reason.EXCHANGE_OTHER)
        else:
            order.price, order.quantity = price, quantity
            self._say(order, ExecType.REPORT_REPLACED, now_ns, last_price=price, last_quantity=quantity)

    def _answer(self, number, now_ns):
        """What it knows of an order: all of it, or, when it is busy, part of it."""
        order, whole = self.orders[number], self.calm or self.dice.random() < 0.7
        if order.status and order.status != OrderStatus.DENIED:
            for place in range(len(order.trades)):
                if whole or self.dice.random() < 0.5:
                    self._say_trade(order, place, now_ns, reconciliation=1)
            if whole or self.dice.random() < 0.5:
                self._say(order, ENDS.get(order.status, ExecType.REPORT_STATUS), now_ns, reconciliation=1,
                          cumulative_quantity=order.filled, last_price=order.price, last_quantity=order.quantity)
        self._say(order, ExecType.REPORT_ASKED, now_ns, reconciliation=1,
                  reason=Reason.OK if whole else Reason.UNKNOWN_OUTCOME)

    # -- the way there and back -------------------------------------------------------------------------------------

    def disconnect(self, now_ns):
        """The order connection is gone, with what was in it; what was sent and not seen to end is in doubt."""
        self.connected = False
        self._telling = []
        stranded = [item for item in self._arriving if self.dice.random() < 0.5]
        self._arriving = [item for item in self._arriving if item not in stranded]
        for _, _, strand in stranded:
            strand()
        for order in self.orders.values():
            if order.status != OrderStatus.DENIED and order.id not in self._told_end:
                self._say_at_once(order, ExecType.REPORT_IN_DOUBT, now_ns, reason=Reason.NOT_CONNECTED)

    def _way(self):
        return self.dice.randint(1, 40) * MS

    def work(self, now_ns):
        """Everything that is due by now; whether there was something."""
        due = sorted((item for item in self._arriving if item[0] <= now_ns), key=itemgetter(0))
        self._arriving = [item for item in self._arriving if item[0] > now_ns]
        for _, act, _ in due:
            act(now_ns)
        told = sorted((item for item in self._telling if item[0] <= now_ns), key=itemgetter(0))
        self._telling = [item for item in self._telling if item[0] > now_ns]
        for _, report in told:
            report["receive_ns"] = now_ns
            if int(report["exec_type"]) in ENDS.values() and report["reason"] != Reason.UNKNOWN_OUTCOME:
                self._told_end.add(int(report["client_order_id"]))
            self._push(report)
        return bool(due or told)

    def _say_trade(self, order, place, now_ns, **fields):
        trade, price, quantity = order.trades[place]
        cumulative = sum(each for *_, each in order.trades[:place + 1])
        self._say(order, ExecType.REPORT_FILL, now_ns, trade_id=trade, last_price=price, last_quantity=quantity,
                  cumulative_quantity=cumulative, **fields)

    def _report(self, order, exec_type, now_ns, **fields):
        report = np.zeros(1, EXECUTION_REPORT_DTYPE)[0]
        self._stamp += 1
        fields = {"cumulative_quantity": -1, "exchange_ns": now_ns + self._stamp, **fields}
        report["client_order_id"], report["slot"], report["listing"] = order.id, order.slot, order.listing
        report["side"], report["exec_type"], report["receive_ns"] = order.side, exec_type, now_ns
        for name, value in fields.items():
            report[name] = value
        return report

    def _say_at_once(self, order, exec_type, now_ns, **fields):
        """What the exchange thread itself says."""
        self._push(self._report(order, exec_type, now_ns, **fields))

    def _say(self, order, exec_type, now_ns, **fields):
        """What the exchange says, unless nobody is connected."""
        if not self.connected:
            return
        report = self._report(order, exec_type, now_ns, **fields)
        again = 1
        if exec_type in EVENTS and not self.calm:
            again = self.dice.choice((0, 2, 3, *[1] * 17))
        for _ in range(again):
            late = 0 if self.calm else self.dice.choice((6_000, 300, 50, *[0] * 12)) * MS
            if fields.get("reconciliation"):
                late = 0            # an answer is decoded as a whole, in its order
            self._telling.append((now_ns + late + (0 if fields.get("reconciliation") else self._way()), report.copy()))
