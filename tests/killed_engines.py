"""Engines that trade on simulated exchanges and are killed, kill -9, at moments from a seed; and what must hold then.

    python tests/killed_engines.py DIRECTORY PORT PORT      the victim: trades until it is killed
"""
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from orderflow._core.client_id import decode
from orderflow._core.doorbell import Doorbell
from orderflow._core.journal import RecordKind, read
from orderflow.engine import Engine
from orderflow.research.simulation import HISTORY_NS, INSTRUMENT, LIMITS, VENUES, session_of, simulator_settings
from orderflow.servers.sync import SyncServer
from orderflow.simulator.launch import start_thread
from tests.process import ENVIRONMENT

TRADED = tuple(venue for venue in VENUES if venue.name in ("alpha", "gamma"))
#: Longer than the horizon after which an order that never arrived is given up.
PATIENCE_S = 120
START_S = 60


def engine_on(directory, ports, report=print):
    """Not started yet."""
    sessions = [session_of(venue, f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}")
                for venue, port in zip(TRADED, ports, strict=True)]
    return Engine(sessions, SyncServer(Doorbell(), report), limits=LIMITS, directory=directory, report=report,
                  fees={venue.name: (venue.maker_fee, venue.taker_fee) for venue in TRADED})


def victim(directory, ports):
    engine = engine_on(directory, ports).start(START_S)
    print("trades", flush=True)
    moments = random.Random()
    while True:
        engine.submit(INSTRUMENT, moments.choice(("buy", "sell")), f"{moments.randint(1, 40) / 100}", seconds=1)
        engine.run(moments.random() * 0.01)


class Killer:
    """Two exchanges that live on, and a directory in which one engine after the other is killed."""

    def __init__(self, directory, seed):
        self.directory, self.moments = Path(directory), random.Random(seed)
        start_ns = time.time_ns() - HISTORY_NS
        self.running = [start_thread(simulator_settings(venue, seed, start_ns)) for venue in TRADED]
        self.ports = [running.ports.plain for running in self.running]

    def kill(self):
        """Start an engine and kill it: mostly while it trades, sometimes while it starts. How it ended otherwise, or
        None."""
        command = [sys.executable, "-P", str(Path(__file__)), str(self.directory), *map(str, self.ports)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT,
                                   text=True)
        said = []
        if self.moments.random() < 0.85:
            for line in process.stdout:
                said.append(line)
                if line.startswith("trades"):
                    break
            time.sleep(self.moments.random() * 0.5)     # the moment is the point
        else:
            time.sleep(self.moments.random() * 1.5)
        process.send_signal(signal.SIGKILL)
        said += process.stdout
        process.stdout.close()
        return None if process.wait() == -signal.SIGKILL else "".join(said)

    def judge(self):
        """Begin once more and let everything come clear; what is wrong, a line each, and how many orders there were."""
        wrong, problems = [], []
        engine = engine_on(self.directory, self.ports, problems.append).start(START_S)
        try:
            engine.run(PATIENCE_S, lambda: not engine.orders.unfinished)
            engine.run(0.5)                             # what the exchanges still have to say
            for slot in engine.orders.unfinished:
                wrong.append(f"not clear: {engine.orders.order(slot)}")
            wrong += engine.orders.audit()
            seen = [self._check(index, running, engine, wrong) for index, running in enumerate(self.running)]
        finally:
            engine.stop()
        names = [name for part in seen for name in part]
        intents = [int(record.decode()["client_order_id"]) for record in read(self.directory)
                   if record.kind == RecordKind.INTENT]
        if len(set(names)) != len(names) or len(set(intents)) != len(intents):
            wrong.append("a client order id was used twice")
        if not {decode(name) for name in names} <= set(intents):
            wrong.append("an exchange saw orders that the journal does not have: "
                         f"{set(map(decode, names)) - set(intents)}")
        return wrong, len(names)

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
        for running in self.running:
            running.stop()


if __name__ == "__main__":
    victim(sys.argv[1], sys.argv[2:])
