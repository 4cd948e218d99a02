"""Engines over the three exchanges of the demonstration, on a virtual clock, without a strategy."""
from dataclasses import replace

from orderflow.engine import Engine
from orderflow.research.simulation import DIRECT_START_NS, LIMITS, VENUES, session_of, simulator_settings
from orderflow.servers.direct import DirectServer
from orderflow.simulator.launch import build


def engines():
    """For a fixture: a function that starts one, with the options of Engine; all are stopped in the end."""
    started = []

    def made(order_rate=(0, 1), silence_s=60, **options):
        exchanges = {venue.name: build(simulator_settings(venue, 11, DIRECT_START_NS)) for venue in VENUES}
        problems = []
        sessions = [session_of(venue, f"http://{venue.name}", f"ws://{venue.name}") for venue in VENUES]
        for session in sessions:
            session.settings = replace(session.settings, order_rate=order_rate, silence_ns=silence_s * 1_000_000_000)
        fees = {venue.name: (venue.maker_fee, venue.taker_fee) for venue in VENUES}
        options = {"limits": LIMITS, "fees": fees} | options
        engine = Engine(sessions, DirectServer(exchanges, DIRECT_START_NS, problems.append), **options)
        engine.exchanges = exchanges
        started.append(engine)
        return engine.start()

    yield made
    for engine in started:
        engine.stop()
