"""One exchange's native loop that trades on paper, driven by hand on a virtual clock: frames and orders in, reports
out. Prices have two decimals, quantities three; times are milliseconds."""
import json
from decimal import Decimal

import numpy as np

from orderflow._core.types import (
    CHILD_ORDER_DTYPE,
    EXECUTION_REPORT_DTYPE,
    ChildKind,
    CommandKind,
    ExecType,
    Liquidity,
    OrderFlag,
    OrderType,
    Reason,
    Role,
    Side,
    TimeInForce,
    TradingState,
)
from orderflow.exchanges import session_for
from orderflow.exchanges.paper import PaperSettings
from orderflow.exchanges.session import SessionSettings
from orderflow.instrument import Listing
from orderflow.wiring import build_core
from tests.feed import levels

MILLISECOND_NS = 1_000_000
BUY, SELL = Side.BUY, Side.SELL


class PaperDesk:
    """A LIVE book at Bybit's protocol, unless told otherwise; `told` are the reports so far, as tuples.

    A report is (when it came, what, order, and of a fill: price, quantity, "MAKER" or "TAKER"; else the reason unless
    that is OK).
    """

    def __init__(self, bids=None, asks=None, order_ms=10, report_ms=5, maker_fee="0", taker_fee="0",
                 protocol="bybit_v5", depth=0, tick="0.01", most_parts=0):
        listing = Listing("test", "AB", "A-B", "A", "B", 2, 3, Decimal(tick), Decimal("0.001"), depth=depth,
                          maker_fee=Decimal(maker_fee), taker_fee=Decimal(taker_fee), most_parts=most_parts)
        self.session = session_for(protocol, SessionSettings(
            "test", symbols=("AB",), depth=depth, silence_ns=0, renew_after_ns=0,
            paper=PaperSettings(order_ms * MILLISECOND_NS, report_ms * MILLISECOND_NS)))
        self.core = build_core([self.session], [listing], borrows=False, trade=True, unix_offset_ns=0,
                               book_options={"window": 4096, "far_capacity": 256})
        self.loop = self.core.loops["test"]
        self.depth = getattr(self.session, "depth", 0)
        self.ms, self.told, self.raw = 0, [], []
        self.update_id, self.orders = 0, {}
        self.loop.command(CommandKind.CONNECTION_OPENED, connection=0, role=Role.MARKET_DATA, epoch=1, argument=1)
        self.loop.command(CommandKind.SET_TRADING_STATE, value=TradingState.ACTIVE)
        self.step()
        if bids is not None:
            self.book(bids, asks, kind="snapshot")

    def step(self):
        """The loop looks once; what it reports."""
        self.loop.run_once(self.ms * MILLISECOND_NS)
        found = []
        while (report := self.core.reports["test"].pop(EXECUTION_REPORT_DTYPE)) is not None:
            self.raw.append(report)
            if report["exec_type"] != ExecType.REPORT_SENT:
                found.append(self._readable(report))
        self.told += found
        return found

    def _readable(self, report):
        what = ExecType(int(report["exec_type"])).name.removeprefix("REPORT_")
        at, order = int(report["receive_ns"]) // MILLISECOND_NS, int(report["client_order_id"])
        if what == "FILL":
            return (at, what, order, int(report["last_price"]), int(report["last_quantity"]),
                    Liquidity(int(report["liquidity"])).name)
        reason = Reason(int(report["reason"]))
        return (at, what, order) if reason == Reason.OK else (at, what, order, reason.name)

    def run(self, milliseconds):
        """Let time pass, with a step whenever something is due; what was reported."""
        end, before = self.ms + milliseconds, len(self.told)
        while (due := self.loop.paper_due_ns) is not None and due <= end * MILLISECOND_NS:
            self.ms = max(self.ms, -(-due // MILLISECOND_NS))
            self.step()
        self.ms = end
        self.step()
        return self.told[before:]

    def frame(self, frame):
        """One frame, now."""
        assert self.loop.push_frame(0, 1, json.dumps(frame).encode(), self.ms * MILLISECOND_NS)
        return self.step()

    def book(self, bids, asks, kind="delta", exchange_ms=None, skip=0):
        """Levels {price: quantity} that changed, or a whole book; `skip` updates are missing before it."""
        self.update_id += 1 + skip
        return self.frame({"topic": f"orderbook.{self.depth}.AB", "type": kind,
                           "ts": self.ms if exchange_ms is None else exchange_ms,
                           "data": {"s": "AB", "b": levels(bids), "a": levels(asks), "u": self.update_id, "seq": 1}})

    def trade(self, taker, price, quantity, exchange_ms=None):
        """Others have traded; by default now."""
        text = levels({price: quantity})[0]
        return self.frame({"topic": "publicTrade.AB", "type": "snapshot", "ts": self.ms, "data": [
            {"T": self.ms if exchange_ms is None else exchange_ms, "s": "AB", "S": "Buy" if taker == BUY else "Sell",
             "p": text[0], "v": text[1], "i": "1"}]})

    def order(self, number, side, quantity, price=0, time_in_force=TimeInForce.GTC, post_only=False, expire_ms=0,
              display=0, kind=ChildKind.NEW_ORDER):
        """Hand an order over as the router does; without a price it is a market order."""
        record = np.zeros(1, CHILD_ORDER_DTYPE)[0]
        record["client_order_id"], record["slot"], record["side"] = number, number & 0xFFFF, side
        record["price"], record["quantity"], record["kind"] = price, quantity, kind
        record["order_type"] = OrderType.LIMIT if price else OrderType.MARKET
        record["time_in_force"], record["flags"] = time_in_force, OrderFlag.POST_ONLY if post_only else 0
        record["terms"] = display if time_in_force == TimeInForce.GTC else expire_ms * MILLISECOND_NS
        record["book_epoch"] = 1
        self.orders[number] = record
        assert self.core.orders["test"].push(record)
        return self.step()

    def again(self, number, kind):
        """A cancel of it, or a question about it."""
        record = self.orders[number].copy()
        record["kind"] = kind
        assert self.core.orders["test"].push(record)
        return self.step()

    def cancel(self, number):
        return self.again(number, ChildKind.CANCEL_ORDER)

    def fills(self, number):
        """(price, quantity) of each fill of an order that was told of so far."""
        return [each[3:5] for each in self.told if each[1] == "FILL" and each[2] == number]
