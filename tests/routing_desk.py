"""The native router, and one exchange whose every answer a test gives."""
import random

import numpy as np

from orderflow._core.types import EXECUTION_REPORT_DTYPE, ChildKind, ExecType
from tests.routing_storm import Storm
from tests.storm_listings import MIDS

#: A bid far away, so that there is a mid.
BIDS = [(MIDS[0] - 3, 100)]


class RoutingDesk(Storm):
    """Listing 0 of the first exchange, which can change orders in place. What it is sent waits in `sent`."""

    @classmethod
    def opened(cls, tmp_path):
        """For a fixture."""
        made = cls(random.Random(1), tmp_path)
        yield made
        made.close()

    def __init__(self, dice, directory):
        super().__init__(dice, directory)
        self.sent, self.last = [], []
        self.exchanges[0].take = lambda message, now_ns: self.sent.append(message)
        self.settle()
        self.book(BIDS, [])

    def book(self, bids, asks):
        """Its next one."""
        self.show(0, bids, asks)
        self.settle()

    def news(self, kind=ChildKind.NEW_ORDER):
        """(parent, quantity) of the messages of a kind since the last look; `last` has them."""
        self.last, self.sent = [one for one in self.sent if one["kind"] == kind], []
        return [(int(one["parent_id"]), int(one["quantity"])) for one in self.last]

    def answer(self, message, kind, **fields):
        """A report about the order that a message is about."""
        report = np.zeros(1, EXECUTION_REPORT_DTYPE)[0]
        for name, value in ({"client_order_id": message["client_order_id"], "slot": message["slot"], "exec_type": kind,
                             "side": message["side"], "cumulative_quantity": -1} | fields).items():
            report[name] = value
        assert self._rings[0]["reports"].push(report)
        self.settle()

    def fill(self, message, trade_id=1, quantity=None):
        """Some of it, or all."""
        self.answer(message, ExecType.REPORT_FILL, trade_id=trade_id, last_price=message["price"],
                    last_quantity=message["quantity"] if quantity is None else quantity)

    def parent(self, number):
        """Its ParentView."""
        return next(view for view in self.orders.parents() if view.parent_id == number)
