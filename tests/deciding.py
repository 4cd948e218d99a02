"""A router that is fed by hand, with books of any kind on five exchanges: what it decides, and what it writes of it.

The listings are as awkward as the split allows: other scales, lots, minimums, a ticket, a fee tier. `delta` has halted
its listing and `echo` takes no orders.
"""
from dataclasses import replace
from decimal import Decimal

import numpy as np

from orderflow._core import decision_log
from orderflow._core.board import BOARD_ENTRY_DTYPE
from orderflow._core.types import (
    CHILD_ORDER_DTYPE,
    EXECUTION_REPORT_DTYPE,
    PARENT_ORDER_DTYPE,
    Algorithm,
    BookState,
    ChildKind,
    ExecType,
    ParentKind,
    Reason,
    Side,
    TradingState,
)
from orderflow.carried import Carried
from orderflow.engine import Engine
from orderflow.instrument import Listing
from orderflow.limits import Limits
from orderflow.research.simulation import VENUES, limits_of, session_of
from orderflow.run_start import RunStart
from orderflow.wiring import build_core

NAMES = ("alpha", "beta", "gamma", "delta", "echo")
INSTRUMENT = "BTC-USDT"
ASSETS = ("BTC", "USDT")        # of every exchange, by number
START_NS = 1_000_000_000_000
STEP_NS = 1_000_000
KILLED = 0xFFFF                 # router.KILLED
FIRST_EXCHANGE = 0x100
LIMITS = limits_of({INSTRUMENT: Limits(
    maximum_position="1000000", maximum_order_quantity="1000000", maximum_order_notional="100000000", collar="0.9",
    drift_collar="0.9", reference_age_seconds=1e6, feed_age_seconds=0)})


def listing(exchange, prices, quantities, **more):
    """One of the instrument on an exchange; decimals as text."""
    fields = {"tick": "1", "lot": "1", "taker_fee": "0.001"} | more
    tiers = tuple((Decimal(least), Decimal(fee)) for least, fee in fields.pop("fee_tiers", ()))
    exact = {name: value if isinstance(value, bool) else Decimal(value) for name, value in fields.items()}
    return Listing(exchange, "BTCUSDT", INSTRUMENT, "BTC", "USDT", prices, quantities, fee_tiers=tiers, **exact)


LISTINGS = (
    listing("alpha", 0, 0, minimum_quantity="2", taker_fee="0.001"),
    listing("beta", 1, 1, lot="0.5", tick="0.5", taker_fee="0.002", fee_tiers=[("2", "-0.0005")]),
    listing("gamma", 0, 0, minimum_notional="150", taker_fee="-0.0001", ticket="7"),
    listing("delta", 0, 0, halted=True),
    listing("echo", 0, 0),
)


class Deciding:
    """A context manager: the engine of a replay, whose router is given boards, parent orders and reports."""

    def __init__(self, directory, listings=LISTINGS, policy="best"):
        self.directory, self.listings = directory, listings
        sessions = []
        for name in NAMES[:len(listings)]:
            made = session_of(VENUES[0], f"http://{name}", f"ws://{name}")
            made.settings = replace(made.settings, name=name)
            sessions.append(made)
        core = build_core(sessions, listings, borrows=False, unix_offset_ns=0)
        start = RunStart.of(core, sessions, policy=policy, limits=LIMITS.document(), recorded=False,
                            strategies=["manual"], instance=1, volume_curves={}, arrivals={})
        self.start = replace(start, exchanges=[replace(one, trades=one.name != "echo", assets=list(ASSETS))
                                               for one in start.exchanges])

    def __enter__(self):
        self.engine = Engine.for_replay(self.start, 1, self.directory, Carried(), START_NS)
        self.core, self.router = self.engine.core, self.engine.router
        self.table, self.now_ns, self.parents, self.read = self.core.table, START_NS, 0, 0
        self.out = {}               # orders that have not ended, by client order id
        self.cancelled = []         # client order ids that a cancel was sent for
        self.boards = [np.zeros((), BOARD_ENTRY_DTYPE) for _ in self.listings]
        self.router.replay_state(0, TradingState.ACTIVE, self.now_ns)
        return self

    def __exit__(self, *_):
        self.engine.close_files()

    def tick(self):
        self.now_ns += STEP_NS
        return self.now_ns

    def show(self, index, bids, asks, state=BookState.LIVE):
        """A new state of a book, and the router looks at it. Levels are (price, quantity), best first."""
        board = self.boards[index]
        board["listing"], board["epoch"], board["book_state"] = index, 1, state
        board["version"], board["publication"] = board["version"] + 1, board["publication"] + 1
        board["receive_ns"] = self.tick() - 300
        for name, levels in (("bid", bids), ("ask", asks)):
            shown = levels if state == BookState.LIVE else ()
            board[f"{name}_count"] = len(shown)
            for place, level in enumerate(shown):
                board[f"{name}s"][place] = level
        self.core.board.publish(index, board[()])
        self.router.replay_wake(index, index, self.now_ns)
        return self.orders()

    def submit(self, side, quantity, limit=0, allowed=0, algorithm=Algorithm.IMMEDIATE, **fields):
        """A parent order in instrument scale; its orders."""
        self.parents += 1
        record = np.zeros((), PARENT_ORDER_DTYPE)
        record["parent_id"], record["kind"], record["side"] = self.parents, ParentKind.SUBMIT_PARENT, side
        record["quantity"], record["limit_price"], record["listings"] = quantity, limit, allowed
        record["algorithm"], record["created_ns"] = algorithm, self.tick()
        for name, value in fields.items():
            record[name] = value
        self.router.replay_parent(record.tobytes(), self.now_ns)
        return self.orders()

    def replace(self, quantity):
        """Another quantity of the last parent order; its orders."""
        record = np.zeros((), PARENT_ORDER_DTYPE)
        record["parent_id"], record["kind"], record["quantity"] = self.parents, ParentKind.REPLACE_PARENT, quantity
        self.router.replay_parent(record.tobytes(), self.tick())
        return self.orders()

    def cancel(self):
        """The last parent order."""
        record = np.zeros((), PARENT_ORDER_DTYPE)
        record["parent_id"], record["kind"] = self.parents, ParentKind.CANCEL_PARENT
        self.router.replay_parent(record.tobytes(), self.tick())

    def report(self, order, kind=ExecType.REPORT_CANCELED, reason=Reason.OK, **fields):
        """What became of an order; the orders that follow from it."""
        record = np.zeros((), EXECUTION_REPORT_DTYPE)
        for name in ("client_order_id", "listing", "slot", "side"):
            record[name] = order[name]
        record["exec_type"], record["reason"], record["receive_ns"] = kind, reason, self.tick()
        for name, value in fields.items():
            record[name] = value
        if kind != ExecType.REPORT_SENT:
            self.out.pop(int(order["client_order_id"]), None)
        self.router.replay_report(int(order["listing"]), record.tobytes(), self.now_ns)
        return self.orders()

    def tell(self, index, kind, **fields):
        """A report about the account of a listing's exchange, not about an order."""
        record = np.zeros((), EXECUTION_REPORT_DTYPE)
        record["listing"], record["exec_type"], record["receive_ns"] = index, kind, self.tick()
        for name, value in fields.items():
            record[name] = value
        self.router.replay_report(index, record.tobytes(), self.now_ns)

    def clear(self):
        """Nothing is wanted any more, and nothing is out."""
        self.cancel()
        for order in list(self.out.values()):
            self.report(order)
        self.decisions()

    def orders(self):
        """Those that are in the rings of the exchange threads, by listing."""
        found = []
        for name, ring in self.core.orders.items():
            while (order := ring.pop(CHILD_ORDER_DTYPE)) is not None:
                assert self.listings[int(order["listing"])].exchange == name
                if order["kind"] == ChildKind.NEW_ORDER:
                    found.append(order)
                    self.out[int(order["client_order_id"])] = order
                elif order["kind"] == ChildKind.CANCEL_ORDER:
                    self.cancelled.append(int(order["client_order_id"]))
        self.engine.drain_rings()
        return sorted(found, key=lambda order: int(order["listing"]))

    def parent(self, number):
        """Its ParentView."""
        return next(view for view in self.engine.orders.parents() if view.parent_id == number)

    def decisions(self):
        """Those that were written since the last look."""
        self.router.write_decisions()
        found = list(decision_log.read(self.directory, 1))
        new, self.read = found[self.read:], len(found)
        return new


def ladders(deciding, side):
    """What a taker of that side meets, by listing."""
    name = "ask" if side == Side.BUY else "bid"
    return [[(int(level["price"]), int(level["quantity"])) for level in board[f"{name}s"][:int(board[f"{name}_count"])]]
            for board in deciding.boards]
