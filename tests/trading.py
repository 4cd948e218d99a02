"""Exchange threads that trade on simulated exchanges without a router: orders that rest, and the kill switch."""
import contextlib
import dataclasses
import time
from decimal import Decimal

import httpx
import numpy as np

from orderflow._core import client_id
from orderflow._core.doorbell import Doorbell
from orderflow._core.journal import RecordKind
from orderflow._core.journal_scan import SegmentScan
from orderflow._core.segments import checksum, seed_for, segment_paths
from orderflow._core.types import (
    CHILD_ORDER_DTYPE,
    EXECUTION_REPORT_DTYPE,
    BookState,
    ChildKind,
    CommandKind,
    ExecType,
    OrderType,
    Side,
    TimeInForce,
    TradingState,
)
from orderflow.exchanges import session_for
from orderflow.exchanges.facts import OrderLimits
from orderflow.research.simulation import VENUES, session_of, simulator_settings
from orderflow.servers.control_socket import Control
from orderflow.servers.sync import SyncServer
from orderflow.simulator.launch import ExchangeProcess, start_thread
from orderflow.wiring import build_core, conversations, exchange_threads, wait_until, wire_kill_switch

PATIENCE = 15.0
EPOCH = 7 << 40


def best_bid(core, index):
    """Scaled; 0 while the book is not LIVE."""
    entry = core.board.read(index)
    return int(entry["bids"][0]["price"]) if entry["bid_count"] and entry["book_state"] == BookState.LIVE else 0


def resting_order(core, name, number, strategy=0):
    """A buy order a tenth below the market."""
    index = next(i for i, item in enumerate(core.listings) if item.exchange == name)
    tick = int(core.table[index]["tick"])
    record = np.zeros(1, CHILD_ORDER_DTYPE)[0]
    record["client_order_id"], record["slot"], record["listing"] = number, number & 0xFFFF, index
    record["price"] = best_bid(core, index) * 9 // 10 // tick * tick
    record["quantity"] = core.listings[index].quantity(Decimal("0.01"))
    record["book_epoch"] = core.board.read(index)["epoch"]
    record["kind"], record["side"], record["strategy"] = ChildKind.NEW_ORDER, Side.BUY, strategy
    record["order_type"], record["time_in_force"] = OrderType.LIMIT, TimeInForce.GTC
    assert record["price"] > 0
    return record


def write_intents(journal, orders):
    """Journal orders that no risk has judged, for which there is no way in: as cancels, of which intents are made."""
    for order in orders:
        as_cancel = order.copy()
        as_cancel["kind"] = ChildKind.CANCEL_ORDER
        assert journal.append(RecordKind.CANCEL, as_cancel, 1)
    for path in segment_paths(journal.directory, "journal"):
        scan = SegmentScan(path)
        if scan.header is None:
            continue                        # prepared, and not used yet
        seed = seed_for(scan.header.salt, scan.header.number)
        begin = scan.end
        with open(path, "r+b") as file:
            data = file.read()
            while (record := scan.next_record()) is not None:
                if record[1] == RecordKind.CANCEL:
                    whole = bytearray(data[begin:scan.end - 4])
                    whole[4:6] = int(RecordKind.INTENT).to_bytes(2, "little")
                    file.seek(begin)
                    file.write(whole + checksum(bytes(whole), seed).to_bytes(4, "little"))
                begin = scan.end



class Trading:
    """A context manager: exchanges of the demonstration (in threads or processes), exchange threads, a kill switch.

    `directory` is where the control sockets are; `settings` replace fields of every session's.
    """

    def __init__(self, directory, *, venues=VENUES, processes=False, layout="split", wait="park", strategies=(),
                 standstill_ns=0, watchdog=-1, **settings):
        self.directory, self.venues, self.processes = directory, venues, processes
        self.layout, self.wait, self.strategies, self.settings = layout, wait, strategies, settings
        self.standstill_ns, self.watchdog = standstill_ns, watchdog
        self.problems, self.told, self.written, self.count = [], [], [], 0

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.exchanges = {}
            for venue in self.venues:
                made = simulator_settings(venue, 5, time.time_ns())
                made = dataclasses.replace(made, accounts=tuple(
                    dataclasses.replace(account, tier="unlimited") for account in made.accounts))
                started = (ExchangeProcess if self.processes else start_thread)(made)
                stack.callback(started.stop)
                if self.processes:
                    started.start()
                self.exchanges[venue.name] = started
            self._connect(stack)
            self.stack = stack.pop_all()
        return self

    def _connect(self, stack):
        bell = Doorbell()
        self.server = SyncServer(bell, self.problems.append)
        sessions = []
        for venue in self.venues:
            port = self.exchanges[venue.name].ports.plain
            made = session_of(venue, f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}")
            sessions.append(session_for(venue.protocol, dataclasses.replace(made.settings, **self.settings)))
        self.sessions = sessions
        listings = [listing for session in sessions
                    for listing in session.listings(self.server.fetch_now(session.metadata()))]
        for session in sessions:
            session.order_limits = OrderLimits()        # what exchanges allow has tests of its own
        core = self.core = build_core(sessions, listings, borrows=True, trade=True, control_bell=bell,
                                      layout=self.layout)
        core.kill.name_strategies(self.strategies)
        self.threads = exchange_threads(core, self.layout, self.wait)
        wire_kill_switch(core, self.threads)
        self.conversations = conversations(core, sessions, self.problems.append, self.server.hosts)
        self.control = Control(self.directory, core.kill, lambda asked: {"asked": asked},
                               lambda: self.told.append(core.kill.killed), self.watchdog, self.standstill_ns)
        self.threads.start()
        stack.callback(self.threads.stop)
        self.server.start(self.conversations)
        stack.callback(self.server.stop)
        self.control.start()
        stack.callback(self.control.stop)
        wait_until(lambda: all(loop.can_trade for loop in core.loops.values()) and all(
            self.best_bid(index) for index in range(len(listings))), PATIENCE, f"orders can be sent ({self.problems})")
        for loop in core.loops.values():
            assert loop.command(CommandKind.SET_TRADING_STATE, value=TradingState.ACTIVE)

    def __exit__(self, *_):
        self.stack.close()

    def best_bid(self, index):
        return best_bid(self.core, index)

    def order(self, name, strategy=0):
        """Put an order that will rest into the ring of an exchange thread; its client order id."""
        self.count += 1
        record = resting_order(self.core, name, EPOCH | self.count, strategy)
        self.written.append(record)
        assert self.core.orders[name].push(record)
        self.core.bells[name].ring()
        return int(record["client_order_id"])

    def rest(self, count, strategy=0, names=None):
        """So many orders on each exchange, which has accepted them all; ids by exchange."""
        names = names or list(self.exchanges)
        made = {name: [self.order(name, strategy) for _ in range(count)] for name in names}
        wait_until(lambda: all(set(ids) <= self.standing(name) for name, ids in made.items()), PATIENCE,
                   "acceptance of every order")
        return made

    def reports(self, name):
        """(exec_type, reason, client order id) of the reports that have come since the last look."""
        found = []
        while (report := self.core.reports[name].pop(EXECUTION_REPORT_DTYPE)) is not None:
            found.append((ExecType(int(report["exec_type"])), int(report["reason"]), int(report["client_order_id"])))
        return found

    def wait_report(self, name, exec_type, number):
        """The reason of that report, when it has come."""
        seen = []
        wait_until(lambda: seen.extend(self.reports(name)) or any(
            (kind, order) == (exec_type, number) for kind, _, order in seen), PATIENCE, f"{exec_type!r} of {number}")
        return next(reason for kind, reason, order in seen if (kind, order) == (exec_type, number))

    def events(self, name):
        """What the exchange has on record."""
        port = self.exchanges[name].ports.plain
        return httpx.get(f"http://127.0.0.1:{port}/simulator/truth", trust_env=False, timeout=30).json()["events"]

    def standing(self, name):
        """Client order ids of our orders that are open at the exchange; those of others as their text."""
        found = set()
        for event in self.events(name):
            number = client_id.decode(event["client_order_id"]) or event["client_order_id"]
            (found.add if event["event"] == "accepted" else found.discard)(number)
        return found

    def wait_gone(self, names=None):
        wait_until(lambda: not any(self.standing(name) for name in names or self.exchanges), PATIENCE,
                   "the end of every order")
