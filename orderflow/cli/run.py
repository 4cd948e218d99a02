"""`orderflow run`: real exchanges from a configuration file; books on a live screen, and orders where it says so.

Without strategies this is the engine, its books and its connections, for whoever wants to look at them before trusting
them with more.
"""
from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orderflow.cli import CHECK_FAILED, GOOD, output
from orderflow.cli.application import BadUsage, CheckFailed

if TYPE_CHECKING:
    from orderflow.config import Settings
    from orderflow.engine import Engine
    from orderflow.research.market_data import MarketData

#: Between two looks at the engine, and between two lines about its books where there is no terminal.
STEP_S, LINE_S = 0.1, 5.0
#: What strategies have begun may take so long to end.
SETTLE_S = 5.0


def command(
    configuration: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="What to connect to.")],
    seconds: Annotated[float | None, typer.Option(min=0.0, help="Leave after so long instead of on Ctrl-C.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> int:
    """Connect to the exchanges of a configuration, keep their books and run its strategies until Ctrl-C.

    Keys of exchanges with `trade = true` come from the environment: ORDERFLOW_NAME_KEY and ORDERFLOW_NAME_SECRET.

    Exit code 1: an exchange could not be reached, or a book was not LIVE at the end.
    """
    from orderflow.config import load
    from orderflow.engine import EngineError

    settings = load(configuration)
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="orderflow-") as temporary:
        directory = Path(settings.engine.directory or temporary)
        engine = engine_of(settings, directory, problems.append, configuration.parent)
        try:
            engine.start()
        except EngineError as error:
            raise CheckFailed(str(error)) from None
        try:
            _watch(engine, configuration.name, seconds, problems, quiet=as_json)
            if settings.strategies:         # nothing new, and what has begun comes to its end
                engine.pause()
                engine.run(SETTLE_S, lambda: engine.settled)
            found = document(engine, problems + [f"strategy: {failure!r}" for failure in engine.failures])
        finally:
            engine.stop()
        found["orders"] = _orders(engine, directory)
    if as_json:
        output.result(found)
    else:
        for line in lines(found):
            output.text(line)
    live = all(state == "LIVE" for exchange in found["exchanges"] for state in exchange["books"].values())
    return GOOD if live else CHECK_FAILED


def engine_of(settings: Settings, directory: Path, report, folder: Path = Path()) -> Engine:
    """The engine that the settings describe, not started; BadUsage names what is missing in the environment.

    `folder` is where the configuration is: strategies may be written beside it.
    """
    from orderflow._core.doorbell import Doorbell
    from orderflow.cli.strategies import makers
    from orderflow.engine import Engine, Limits
    from orderflow.servers.async_ import AsyncServer
    from orderflow.servers.sync import SyncServer

    strategies = makers(settings, folder)
    sessions = [session_of(name, exchange) for name, exchange in settings.exchanges.items()]
    chosen = settings.engine
    authorities = {exchange.ca_file for exchange in settings.exchanges.values()} - {""}
    server: SyncServer | AsyncServer
    if chosen.server == "sync":
        server = SyncServer(Doorbell(), report, next(iter(authorities), None), chosen.allow_gil_transport,
                            chosen.connect_timeout)
    else:
        server = AsyncServer(Doorbell(), report, next(iter(authorities), None))
    limits = {name: Limits(str(one.maximum_position), str(one.maximum_order_quantity), str(one.maximum_order_notional),
                           str(one.collar), one.reference_age_seconds) for name, one in settings.limits.items()}
    fees = {name: (str(one.maker_fee), str(one.taker_fee)) for name, one in settings.exchanges.items()}
    return Engine(sessions, server, strategies=strategies, limits=limits, directory=directory, fees=fees,
                  layout=chosen.layout, wait=chosen.wait, cpus=chosen.cpus, report=report)


def session_of(name: str, exchange):
    """The session of one exchange, with its keys where it trades."""
    from orderflow.exchanges import session_for
    from orderflow.exchanges.session import Credentials, SessionSettings

    credentials = None
    if exchange.trade:
        found = {}
        for part in ("KEY", "SECRET"):
            variable = f"ORDERFLOW_{name.upper()}_{part}"
            found[part] = os.environ.get(variable, "")
            if not found[part]:
                raise BadUsage(f"exchanges.{name}.trade: the environment has no {variable}")
        credentials = Credentials(found["KEY"], found["SECRET"])
    return session_for(exchange.protocol, SessionSettings(
        name, exchange.rest, exchange.stream, exchange.orders, exchange.symbols, exchange.depth,
        trade=exchange.trade, credentials=credentials,
        order_rate=(exchange.orders_per_10_seconds, 10_000_000_000),
        silence_ns=int(exchange.silence_seconds * 1e9), lines=exchange.lines,
        renew_after_ns=renew_after_ns_of(exchange)))


def renew_after_ns_of(exchange) -> int | None:
    """`reconnect_after_seconds` of an exchange's settings, in nanoseconds."""
    seconds = exchange.reconnect_after_seconds
    return None if seconds is None else int(seconds * 1e9)


def _watch(engine: Engine, title: str, seconds: float | None, problems: list[str], quiet: bool) -> None:
    """Look at the engine until the time is over or somebody says so."""
    with ended_by_signal() as ended:
        _look(engine, title, seconds, problems, quiet, ended)


@contextmanager
def ended_by_signal() -> Iterator[list[int]]:
    """A list that Ctrl-C and a polite kill put their number into, instead of ending the process."""
    ended: list[int] = []
    before = {number: signal.signal(number, lambda number, _: ended.append(number))
              for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _look(engine: Engine, title: str, seconds: float | None, problems: list[str], quiet: bool,
          ended: list[int]) -> None:
    began = time.monotonic()

    def passed() -> float:
        return time.monotonic() - began

    def over() -> bool:
        return bool(ended) or (seconds is not None and passed() >= seconds)

    if quiet or not sys.stdout.isatty():
        watch_lines(engine, passed, over, problems, quiet)
        return
    from orderflow.cli.screen import LiveScreen

    with LiveScreen(engine, f"orderflow run {title}", problems=problems) as screen:
        while not over():
            screen.show(passed(), seconds)
            engine.run(STEP_S, over)


def watch_lines(engine: Engine | MarketData, passed: Callable[[], float], over: Callable[[], bool],
                problems: list[str], quiet: bool) -> None:
    """Without a screen: a line about the books now and then, and every problem when it comes."""
    said, next_line = 0, 0.0
    while not over():
        if not quiet and passed() >= next_line:
            output.text(books_line(engine, passed()))
            next_line += LINE_S
        for problem in problems[said:]:
            output.warn(problem)
        said = len(problems)
        engine.run(STEP_S, over)


def books_line(engine: Engine | MarketData, passed_s: float) -> str:
    """State, best bid and best ask of every book, in one line."""
    parts = []
    for index, listing in enumerate(engine.core.listings):
        entry = engine.core.board.read(index)
        bid = listing.price_text(entry["bids"][0]["price"]) if entry["bid_count"] else "-"
        ask = listing.price_text(entry["asks"][0]["price"]) if entry["ask_count"] else "-"
        parts.append(f"{listing.exchange} {listing.symbol} {engine.book_state(index)} {bid} / {ask}")
    return f"{passed_s:6.1f} s  " + "   ".join(parts)


# -- the result -----------------------------------------------------------------------------------------------------


def document(engine: Engine, problems: list[str]) -> dict:
    """What `--json` prints, without the orders; money as decimal text, times in nanoseconds."""
    from orderflow.cli import summary

    return {"server": engine.server.name, "exchanges": summary.exchanges(engine),
            "parents": [summary.parent(state) for state in engine.parents()],
            "position": summary.positions(engine), "latency_ns": summary.latency(engine), "problems": list(problems)}


def _orders(engine: Engine, directory: Path) -> dict[str, int]:
    from orderflow.cli.reconcile import journalled

    return journalled(directory, engine).counts()


def lines(found: dict) -> list[str]:
    """The same for people."""
    from orderflow.cli import summary

    rows = [("exchange", "protocol", "books", "frames", "gaps", "resyncs")]
    rows += [(one["name"], one["protocol"], ", ".join(f"{name} {state}" for name, state in one["books"].items()),
              f"{one['frames']:,}", str(one["gaps"]), str(one["resyncs"])) for one in found["exchanges"]]
    written: list[str] = [""]
    summary.table(rows, left=3, write=written.append)
    stages = [("", "count", "p50 us", "p99 us")]
    stages += [(stage.replace("_", " "), f"{one['count']:,}", f"{one['p50'] / 1000:,.1f}", f"{one['p99'] / 1000:,.1f}")
               for stage, one in found["latency_ns"].items()]
    written.append("")
    summary.table(stages, write=written.append)
    if found["problems"]:
        written += ["", *(f"  {problem}" for problem in found["problems"][-5:])]
    return written
