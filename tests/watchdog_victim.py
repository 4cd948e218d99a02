"""An engine that is killed by its test: python watchdog_victim.py DIRECTORY PORT PORT PORT.

It says "ready" when three orders rest on each exchange, journalled as the router would have. A line on its standard
input: "stop" ends it in order.
"""
import sys

from orderflow._core.doorbell import Doorbell
from orderflow.engine import Engine
from orderflow.research.simulation import LIMITS, VENUES, session_of
from orderflow.servers.sync import SyncServer
from tests.trading import resting_order, write_intents


def main(directory, ports):
    sessions = [session_of(venue, f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}")
                for venue, port in zip(VENUES, ports, strict=True)]
    with Engine(sessions, SyncServer(Doorbell(), print), limits=LIMITS, directory=directory, watchdog=3.0) as engine:
        orders = [(venue.name, resting_order(engine.core, venue.name, engine.journal.next_client_order_id()))
                  for venue in VENUES for _ in range(3)]
        write_intents(engine.journal, [order for _, order in orders])       # the router has nothing to do yet
        for name, order in orders:
            assert engine.core.orders[name].push(order)
            engine.core.bells[name].ring()
        print(f"ready {engine.watchdog.pid}", flush=True)
        assert sys.stdin.readline() == "stop\n"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
