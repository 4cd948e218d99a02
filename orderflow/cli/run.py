"""`orderflow run`: real exchanges from a configuration file; books on a live screen, and orders where it says so.

Without strategies this is the engine, its books and its connections, for whoever wants to look at them before trusting
them with more.
"""
from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import structs

from orderflow.cli import CHECK_FAILED, GOOD, output
from orderflow.cli.application import BadUsage, CheckFailed
from orderflow.cli.sessions import session_of

if TYPE_CHECKING:
    from orderflow.config import ExchangeSettings, Settings
    from orderflow.engine import Engine
    from orderflow.instrument import OrderCharges
    from orderflow.joining import Join
    from orderflow.limits import RiskLimits
    from orderflow.research.market_data import MarketData
    from orderflow.scores import Scores
    from orderflow.servers.connect import Timeouts

#: What a paper run says of itself, first and last.
PAPER = "PAPER TRADING: orders are filled by a model, none is sent to an exchange"
#: Between two looks at the engine, and between two lines about its books where there is no terminal.
STEP_S, LINE_S = 0.1, 5.0
#: Parent orders that had not ended: so many are named.
MOST_NAMED = 10
#: What strategies have begun may take so long to end.
SETTLE_S = 5.0
#: Keys of limits that are decimals, or whole numbers that stand for such.
MONEY = ("maximum_position", "maximum_order_quantity", "maximum_order_notional", "collar", "drift_collar")


def command(
    configuration: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="What to connect to.")],
    seconds: Annotated[float | None, typer.Option(min=0.0, help="Leave after so long instead of on Ctrl-C.")] = None,
    paper: Annotated[bool, typer.Option("--paper", help="Fill orders by a model: none is sent, no keys are read.")]
    = False,
    directory: Annotated[Path | None, typer.Option("--directory", metavar="DIR", help="Of the journal, instead of "
                                                   "engine.directory.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> int:
    """Connect to the exchanges of a configuration, keep their books and run its strategies until Ctrl-C.

    Keys come from the environment (ORDERFLOW_NAME_KEY, ORDERFLOW_NAME_SECRET and, where the exchange has one,
    ORDERFLOW_NAME_PASSPHRASE), from the keyring or from a file that the configuration names. Exchanges with
    `trade = true` need them.

    Trading starts only with what must be limited: total_limits.maximum_capital and maximum_loss.

    With --paper exchanges with `trade = true` trade on paper: real market data, orders filled by the model of
    docs/paper.md, the same limits. Its journal is one of its own.

    Exit code 1: an exchange could not be reached, a book was not LIVE at the end, a parent order had not ended, or a
    strategy raised.
    """
    from orderflow._core.journal import JournalError
    from orderflow.config import ConfigError, check_required_limits, load
    from orderflow.problems import EngineError

    settings = load(configuration)
    try:
        check_required_limits(settings)
    except ConfigError as error:
        raise ConfigError(f"{configuration}: {error}") from None
    if paper and not any(exchange.trade for exchange in settings.exchanges.values()):
        raise BadUsage(f"--paper: no exchange of {configuration} trades; set trade = true for those that should, on "
                       "paper they need no keys")
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="orderflow-") as temporary:
        directory = _made(str(directory or settings.engine.directory or temporary))
        engine = engine_of(settings, directory, problems.append, configuration.parent, paper)
        try:
            engine.start(settings.engine.start_timeout)
        except (EngineError, JournalError) as error:
            raise CheckFailed(str(error)) from None
        if paper and not as_json:
            output.text(PAPER)
        if not as_json:
            output.text(f"Directory {directory} (for orderflow status and orderflow kill)")
        try:
            _watch(engine, configuration.name, seconds, problems, quiet=as_json)
            if settings.strategies:         # nothing new, and what has begun comes to its end
                engine.pause()
                engine.run(SETTLE_S, lambda: engine.settled)
            found = document(engine, problems + failures(settings, engine))
        finally:
            engine.stop()
        found["orders"] = _orders(engine, directory)
    if as_json:
        output.result(found)
    else:
        for line in lines(found):
            output.text(line)
    live = all(state == "LIVE" for exchange in found["exchanges"] for state in exchange["books"].values())
    complete = live and not found["not_ready"] and len(found["exchanges"]) == len(settings.exchanges)
    return GOOD if complete and not unfinished(found) and not engine.failures else CHECK_FAILED


def _made(directory: str) -> Path:
    """The directory of the journal, made where it is missing; BadUsage when that cannot be."""
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadUsage(f"engine.directory: {directory} cannot be made: {error.strerror}") from None
    return Path(directory)


def failures(settings: Settings, engine: Engine) -> list[str]:
    """What strategies written in Python raised: of each its first exception, and how many there were."""
    return [f"strategies.{name}: raised {strategy.failed} times, first {strategy.failures[0]!r}"
            for name, strategy in zip(settings.strategies, engine.strategies, strict=True)
            if getattr(strategy, "failed", 0)]


def unfinished(found: dict) -> list[dict]:
    """Parent orders that had not ended."""
    return [one for one in found["parents"] if one["status"] not in ("PARENT_DONE", "PARENT_DENIED")]


def engine_of(settings: Settings, directory: Path, report, folder: Path = Path(), paper: bool = False) -> Engine:
    """The engine that the settings describe, not started; BadUsage names what is missing in the environment.

    `folder` is where the configuration is: strategies may be written beside it. `paper`: what trades does so on paper.
    """
    from orderflow._core.doorbell import Doorbell
    from orderflow.cli.strategies import makers
    from orderflow.engine import Engine
    from orderflow.servers.async_ import AsyncServer
    from orderflow.servers.sync import SyncServer

    strategies = makers(settings, folder)
    sessions = [session_of(name, exchange, exchange.trade, engine=settings.engine, paper=paper)
                for name, exchange in settings.exchanges.items()]
    chosen = settings.engine
    authorities = {exchange.ca_file for exchange in settings.exchanges.values()} - {""}
    server: SyncServer | AsyncServer
    if chosen.server == "sync":
        server = SyncServer(Doorbell(), report, next(iter(authorities), None), chosen.allow_gil_transport,
                            timeouts_of(settings))
    else:
        server = AsyncServer(Doorbell(), report, next(iter(authorities), None), timeouts_of(settings))
    fees = {name: (str(one.maker_fee), str(one.taker_fee)) for name, one in settings.exchanges.items()}
    return Engine(sessions, server, strategies=strategies, limits=limits_of(settings),
                  strategy_names=list(settings.strategies), directory=directory, fees=fees,
                  charges={name: charges_of(one) for name, one in settings.exchanges.items()},
                  joins=joins_of(settings),
                  layout=chosen.layout, wait=chosen.wait, cpus=chosen.cpus, touch_books=chosen.touch_books,
                  report=report, all_exchanges=False, journal=chosen.journal,
                  standstill=chosen.standstill_seconds, watchdog=chosen.watchdog_seconds,
                  scores=scores_of(settings, folder))


def scores_of(settings: Settings, folder: Path) -> Scores | None:
    """Those of the file that the settings name."""
    from orderflow.scores import ScoresError, load

    if not settings.engine.scores:
        return None
    try:
        return load(folder / settings.engine.scores)
    except ScoresError as error:
        raise BadUsage(f"engine.scores: {error}") from None


def joins_of(settings: Settings) -> dict[str, Join]:
    """What belongs to which instrument."""
    from orderflow.joining import Join

    return {name: Join(one.symbols, one.convert) for name, one in settings.instruments.items()}


def charges_of(exchange: ExchangeSettings) -> OrderCharges:
    """Tickets and fee tiers of one exchange."""
    from orderflow.instrument import OrderCharges

    return OrderCharges(
        {currency: Decimal(amount) for currency, amount in exchange.tickets.items()},
        {instrument: tuple((Decimal(tier.quantity), Decimal(tier.taker_fee)) for tier in tiers)
         for instrument, tiers in exchange.fee_tiers.items()})


def limits_of(settings: Settings) -> RiskLimits:
    """Those of risk."""
    from orderflow.limits import ExchangeLimits, Limits, RiskLimits, StrategyLimits, TotalLimits

    def fields(one) -> dict:
        """Amounts as text; a table of them stays one."""
        return {key: {currency: str(amount) for currency, amount in value.items()} if isinstance(value, dict)
                else str(value) if key in MONEY else value for key, value in structs.asdict(one).items()}

    return RiskLimits({name: Limits(**fields(one)) for name, one in settings.limits.items()},
                      {name: ExchangeLimits(**fields(one)) for name, one in settings.exchange_limits.items()},
                      {name: StrategyLimits(**fields(one)) for name, one in settings.strategy_limits.items()},
                      total=TotalLimits(**fields(settings.total_limits)))


def timeouts_of(settings: Settings) -> Timeouts:
    """Those of connecting and of REST."""
    from orderflow.servers.connect import Timeouts

    chosen = settings.engine
    return Timeouts(chosen.connect_timeout, chosen.tls_timeout, chosen.upgrade_timeout, chosen.rest_timeout)


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
    for problem in problems[said:]:
        output.warn(problem)


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

    return {"server": engine.server.name, "paper": engine.paper, "exchanges": summary.exchanges(engine),
            "not_ready": engine.not_ready(),
            "parents": [summary.parent(state) for state in engine.parents()],
            "position": summary.positions(engine),
            "changed": {asset: summary.text(amount) for asset, amount in sorted(summary.flows(engine).items())},
            "latency_ns": summary.latency(engine), "problems": [*problems, *summary.unexpected_fees(engine)]}


def trading_lines(found: dict) -> list[str]:
    """What was traded, and what was left undone."""
    orders, open_ones = found["orders"], unfinished(found)
    written = [f"  Parents   {len(found['parents'])}, of them {len(found['parents']) - len(open_ones)} ended",
               f"  Orders    {orders['sent']} sent, {orders['filled']} filled, {orders['cancelled']} cancelled, "
               f"{orders['rejected']} rejected, {orders['in_doubt']} in doubt"]
    written += [f"  Position  {parts['total']} {instrument}" for instrument, parts in found["position"].items()
                if parts["total"] != "0"]
    changed = ", ".join(f"{amount} {asset}" for asset, amount in found["changed"].items() if amount != "0")
    written.append(f"  Balances  {changed or 'nothing'} changed, fees included")
    written += [f"  NOT ENDED {one['id']}: {one['side'].lower()} {one['quantity']} {one['instrument']}, filled "
                f"{one['filled']} ({one['status']}, {one['refusal'] or one['reason']})"
                for one in open_ones[:MOST_NAMED]]
    return written + [f"  ... and {len(open_ones) - MOST_NAMED} more"] * (len(open_ones) > MOST_NAMED)


def _orders(engine: Engine, directory: Path) -> dict[str, int]:
    from orderflow.cli.reconcile import journalled

    return journalled(directory, engine).counts()


def lines(found: dict) -> list[str]:
    """The same for people."""
    from orderflow.cli import summary

    rows = [("exchange", "protocol", "books", "frames", "gaps", "resyncs")]
    rows += [(one["name"], one["protocol"], ", ".join(f"{name} {state}" for name, state in one["books"].items()),
              f"{one['frames']:,}", str(one["gaps"]), str(one["resyncs"])) for one in found["exchanges"]]
    written: list[str] = ["", PAPER] if found["paper"] else [""]
    summary.table(rows, left=3, write=written.append)
    if found["parents"]:
        written += ["", *trading_lines(found)]
    stages = [("", "count", "p50 us", "p99 us")]
    stages += [(stage.replace("_", " "), f"{one['count']:,}", f"{one['p50'] / 1000:,.1f}", f"{one['p99'] / 1000:,.1f}")
               for stage, one in found["latency_ns"].items()]
    written.append("")
    summary.table(stages, write=written.append)
    if found["problems"]:
        written += ["", *(f"  {problem}" for problem in found["problems"][-5:])]
    return written
