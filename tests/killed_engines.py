"""Engines that trade on simulated exchanges and are killed, kill -9, at moments from a seed; and what must hold then.

    python tests/killed_engines.py DIRECTORY PORT PORT      makes a victim for every line that it reads: one that trades
                                                            until it is killed

What takes long of a run is made once. A process imports everything and forks each victim, which is an engine from its
first step on; nothing of it has begun before. Segments are small, so that they are used up and followed by others all
the time. The exchanges allow any rate (there is one start after the other); what they allow has tests of its own.
"""
import ctypes
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from orderflow import routing as routing_module
from orderflow._core.client_id import decode
from orderflow._core.doorbell import Doorbell
from orderflow._core.journal import RecordKind, read
from orderflow._core.journal_scan import epoch_of, paths_of
from orderflow.engine import Engine
from orderflow.exchanges import session_for
from orderflow.research.simulation import HISTORY_NS, INSTRUMENT, LIMITS, VENUES, session_of, simulator_settings
from orderflow.servers.sync import SyncServer
from orderflow.simulator.launch import start_thread
from tests.process import ENVIRONMENT

TRADED = tuple(venue for venue in VENUES if venue.name in ("alpha", "gamma"))
#: Longer than the horizon after which an order that never arrived is given up.
PATIENCE_S = 120
START_S = 60
#: Some two hundred records.
SEGMENT_BYTES = 1 << 16
PR_SET_PDEATHSIG = 1
ANY = (("SECOND", 10, 10 * 10**9, 10**6), ("DAY", 1, 86_400 * 10**9, 10**8))


def started_on(directory, ports, report=print):
    """A running engine whose segments are small."""
    sizes = routing_module.JOURNAL_BYTES, routing_module.LOG_BYTES
    routing_module.JOURNAL_BYTES = routing_module.LOG_BYTES = SEGMENT_BYTES
    try:
        return engine_on(directory, ports, report).start(START_S)
    finally:
        routing_module.JOURNAL_BYTES, routing_module.LOG_BYTES = sizes


def engine_on(directory, ports, report):
    sessions = []
    for venue, port in zip(TRADED, ports, strict=True):
        made = session_of(venue, f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}")
        sessions.append(session_for(venue.protocol, replace(made.settings, tier="unlimited")
                                    if venue.protocol == "kraken_v2" else made.settings))
    return Engine(sessions, SyncServer(Doorbell(), report), limits=LIMITS, directory=directory, report=report,
                  fees={venue.name: (venue.maker_fee, venue.taker_fee) for venue in TRADED})


def victim(directory, ports):
    engine = started_on(directory, ports)
    print("trades", flush=True)
    moments = random.Random()
    while True:
        engine.submit(INSTRUMENT, moments.choice(("buy", "sell")), f"{moments.randint(1, 40) / 100}", seconds=1)
        engine.run(moments.random() * 0.01)


def die_with_parent():
    """Whoever started us is gone: nobody would end this process."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def nursery(directory, ports):
    """Make a victim for every line: its process id, what it says, and how it ended. The line is a crash point, if it
    is not empty."""
    die_with_parent()
    sys.stdout.reconfigure(line_buffering=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                die_with_parent()
                if line.strip():
                    os.environ["ORDERFLOW_CRASHPOINT"] = line.strip()
                victim(directory, ports)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        print(f"victim {child}")
        print(f"ended {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")


class Killer:
    """Two exchanges that live on, and a directory in which one engine after the other is killed."""

    def __init__(self, directory, seed):
        self.directory, self.moments = Path(directory), random.Random(seed)
        start_ns = time.time_ns() - HISTORY_NS
        self.running = []
        for venue in TRADED:
            settings = simulator_settings(venue, seed, start_ns)
            self.running.append(start_thread(replace(settings, accounts=tuple(
                replace(account, tier="unlimited") for account in settings.accounts))))
            if venue.protocol == "binance_spot":
                self.running[-1].call(lambda exchange=self.running[-1].exchange: exchange.allow(10**8, ANY))
        self.ports = [running.ports.plain for running in self.running]
        self.intents, self.known_runs, self.start_s = [], set(), 1.5
        command = [sys.executable, "-P", str(Path(__file__)), str(self.directory), *map(str, self.ports)]
        self.nursery = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=ENVIRONMENT, text=True, bufsize=1)

    def begin(self, crash_point=""):
        """Start an engine; its process id."""
        self.nursery.stdin.write(f"{crash_point}\n")
        return int(self.said_until("victim ")[-1].split()[1])

    def said_until(self, word):
        """Lines of the victim, up to one that begins so, or with its end."""
        said = []
        for line in self.nursery.stdout:
            said.append(line)
            if line.startswith((word, "ended ")):
                return said
        raise RuntimeError(f"nobody makes victims any more: {''.join(said)}")

    def kill(self):
        """Start an engine and kill it: mostly while it trades, sometimes while it starts. How it ended otherwise, or
        None."""
        began, said = time.monotonic(), []
        child = self.begin()
        if self.moments.random() < 0.85:
            said = self.said_until("trades")
            self.start_s += (time.monotonic() - began - self.start_s) / 8
            time.sleep(self.moments.random() * 0.5)     # the moment is the point
        else:
            time.sleep(self.moments.random() * self.start_s)
        if not said or not said[-1].startswith("ended "):
            os.kill(child, signal.SIGKILL)
            said += self.said_until("ended ")
        return None if said[-1] == f"ended {-signal.SIGKILL}\n" else "".join(said)

    def crash(self, point, patience=PATIENCE_S):
        """Start an engine that dies at a crash point by itself; how it ended otherwise, or None."""
        child = self.begin(point)
        late = []

        def give_up():
            late.append(point)
            os.kill(child, signal.SIGTERM)

        timer = threading.Timer(patience, give_up)
        timer.start()
        said = self.said_until("ended ")
        timer.cancel()
        return None if said[-1] == f"ended {-signal.SIGKILL}\n" and not late else "".join(said)

    def judge(self, patience=PATIENCE_S, absent_are_clear=False):
        """Begin once more and let everything come clear; what is wrong, a line each, and how many orders there were.

        `absent_are_clear`: of what no exchange has seen it is not waited until that counts as proven, which takes a
        minute; it has to be in doubt then.
        """
        wrong, problems = [], []
        engine = started_on(self.directory, self.ports, problems.append)

        def unclear():
            seen = self._seen() if absent_are_clear else None
            return [view for view in map(engine.orders.order, engine.orders.unfinished)
                    if seen is None or view.client_order_id in seen or view.status.name != "IN_DOUBT"]

        try:
            engine.run(patience, lambda: not unclear())
            engine.run(0.5)                             # what the exchanges still have to say
            wrong += [f"not clear: {view}" for view in unclear()]
            wrong += engine.orders.audit()
            wrong += [str(one) for one in engine.differences]
            seen = [self._check(index, running, engine, wrong) for index, running in enumerate(self.running)]
        finally:
            engine.stop()
        names = [name for part in seen for name in part]
        self._remember()
        if len(set(names)) != len(names) or len(set(self.intents)) != len(self.intents):
            wrong.append("a client order id was used twice")
        if not {decode(name) for name in names} <= set(self.intents):
            wrong.append("an exchange saw orders that the journal does not have: "
                         f"{set(map(decode, names)) - set(self.intents)}")
        if not wrong:
            self._move_away()
        return wrong, len(names)

    def _seen(self):
        return {decode(name) for running in self.running for name in running.call(
            lambda running=running: [order.client_id for order in running.exchange.desk.orders.values()])}

    def _remember(self):
        """Intents of the runs that have ended since the last time."""
        new = set()
        for record in read(self.directory):
            run = record.sequence >> 40
            if run in self.known_runs:
                continue
            new.add(run)
            if record.kind == RecordKind.INTENT:
                self.intents.append(int(record.decode()["client_order_id"]))
        self.known_runs |= new

    def _move_away(self):
        """Whole runs from the oldest on, as docs/journal.md allows: a start reads everything that is there."""
        last = max(map(epoch_of, paths_of(self.directory)))
        for path in paths_of(self.directory):
            if epoch_of(path) < last:
                path.unlink()
        for name in ("router", "strategizer"):
            for path in sorted(self.directory.glob(f"{name}-inputs-*"))[:-1]:
                path.unlink()
        for path in self.directory.glob("*.torn-*"):
            path.unlink()

    def _check(self, index, running, engine, wrong):
        """Position and cash are the exchange's own; the client ids that it saw."""
        listing, position = engine.core.listings[index], engine.position(index)
        orders = running.call(lambda: [(order.client_id, 1 if order.side == 1 else -1, order.filled, order.notional,
                                        order.instrument) for order in running.exchange.desk.orders.values()])
        held = sum((Decimal(sign * filled).scaleb(-one.quantity_decimals) for _, sign, filled, _, one in orders),
                   Decimal(0))
        paid = sum((Decimal(sign * notional).scaleb(-one.quantity_decimals - one.price_decimals)
                    for _, sign, _, notional, one in orders), Decimal(0))
        ours = Decimal(position.net).scaleb(-listing.quantity_decimals)
        cash = Decimal(position.bought_notional - position.sold_notional).scaleb(
            -listing.quantity_decimals - listing.price_decimals)
        if (ours, cash) != (held, paid):
            wrong.append(f"{listing.exchange}: position {ours} for {cash}, the exchange says {held} for {paid}")
        return [order[0] for order in orders]

    def stop(self):
        self.nursery.stdin.close()
        self.nursery.wait(10)
        self.nursery.stdout.close()
        for running in self.running:
            running.stop()


if __name__ == "__main__":
    nursery(sys.argv[1], sys.argv[2:])
