"""Engines over the three exchanges of the demonstration, on a virtual clock, without a strategy."""
from dataclasses import replace
from decimal import Decimal

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


def prints(engine):
    """A list that every trade of the exchanges is added to, ours included: (exchange, base quantity)."""
    found = []
    for name, exchange in engine.exchanges.items():
        def told(book, trades, at_ns, name=name, publish=exchange.publish_trades):
            decimals = book.instrument.quantity_decimals
            found.extend((name, Decimal(int(quantity)).scaleb(-decimals)) for quantity in trades["quantity"])
            publish(book, trades, at_ns)
        exchange.publish_trades = told
    return found
