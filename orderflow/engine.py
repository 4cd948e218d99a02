"""Engine: settings -> core objects -> threads."""
from __future__ import annotations

import copy
import json
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np

from orderflow._core.allocation import Splitter
from orderflow._core.board import Board
from orderflow._core.doorbell import Doorbell, WaitPolicy
from orderflow._core.input_log import InputLogFiles
from orderflow._core.journal import JournalFiles
from orderflow._core.loop_router import RouterLoop, StrategizerLoop
from orderflow._core.loops import ExchangeLoop, Loop, NativeThread
from orderflow._core.orders import Orders
from orderflow._core.ring import Ring
from orderflow._core.risk import RiskBook
from orderflow._core.router import RoutePolicy
from orderflow._core.strategies.python import PythonStrategy
from orderflow._core.strategy import Strategy
from orderflow._core.types import (
    PARENT_ORDER_DTYPE,
    Algorithm,
    BookState,
    CommandKind,
    ParentKind,
    ParentStatus,
    Reason,
    Side,
    TradingState,
)
from orderflow.exchanges import session_for
from orderflow.exchanges.session import Session, SessionSettings
from orderflow.instrument import Instrument, Listing, decimal, from_scaled, instruments_of, table, to_scaled
from orderflow.servers.control import Conversation
from orderflow.servers.hosts import HOSTS, Hosts
from orderflow.servers.recorder import Recorder

BOARD_DEPTH = 20
#: Size of one segment of the journal, and of an input log: two of each are resident.
JOURNAL_BYTES = 8 << 20
LOG_BYTES = 4 << 20
#: Room of the rings between router and exchange threads: every order that may be open, several reports each.
#: Besides a slot per listing: a wake-up keeps its slot while it is served, and its flag is down by then.
WAKE_BEING_SERVED = 1
#: Denied parent orders that `Engine.parent` remembers.
MOST_DENIALS = 1024
#: Problems that `Engine.problems` remembers.
MOST_PROBLEMS = 1000
#: Room for the fills that the order table remembers, for each order that it holds.
FILLS_PER_ORDER = 4
ORDER_RING = 4096
REPORT_RING = 16384
RUN_FILE, TABLE_FILE = "run.json", "table.npy"


def power_of_two(count: int) -> int:
    """The smallest power of two that is at least `count`."""
    return 1 << max(0, count - 1).bit_length()


@dataclass(slots=True)
class Core:
    """The native objects of one run, wired: what threads share and the loops that they run.

    Attributes
    ----------
    listings : list of Listing
        In index order.
    loops : dict of str -> ExchangeLoop
        By exchange name.
    tapes : dict of str -> Ring
        Of the exchanges that were asked to write one.
    twins : dict of str -> Session
        What speaks on the second line of an exchange that may have one.
    """

    listings: list[Listing]
    instruments: list[Instrument]
    table: np.ndarray
    board: Board
    wake_pending: np.ndarray
    control_bell: Doorbell
    bells: dict[str, Doorbell] = field(default_factory=dict)
    wakes: dict[str, Ring] = field(default_factory=dict)
    loops: dict[str, ExchangeLoop] = field(default_factory=dict)
    tapes: dict[str, Ring] = field(default_factory=dict)
    twins: dict[str, Session] = field(default_factory=dict)
    orders: dict[str, Ring] = field(default_factory=dict)
    reports: dict[str, Ring] = field(default_factory=dict)
    flags: np.ndarray = field(default_factory=lambda: np.zeros(128, np.uint8))


def build_core(sessions: Sequence[Session], listings: Sequence[Listing], *, borrows: bool, layout: str = "split",
               tape_records: int = 0, book_options: dict | None = None, trade: bool = False,
               unix_offset_ns: int | None = None, control_bell: Doorbell | None = None,
               record: bool = False, watch_silence: bool = False) -> Core:
    """Make the native objects for these sessions; nothing runs yet.

    Parameters
    ----------
    sessions : sequence of Session
        One an exchange, in index order.
    listings : sequence of Listing
        Of all exchanges, in index order.
    borrows : bool
        Connections are borrowed transports (sync) instead of rings (async, direct).
    layout : "split" or "fused"
        Whether every loop has a doorbell of its own.
    tape_records : int
        Room of each exchange's tape; 0 = no tape.
    trade : bool
        Make order paths for the sessions that trade.
    unix_offset_ns : int, optional
        Unix clock - monotonic clock, where the clock is a virtual one.
    control_bell : Doorbell, optional
        Of the control thread, if there is one already.
    record : bool
        Let every loop record what decides its boards.
    watch_silence : bool
        Whether a book of which nothing is heard becomes STALE (SessionSettings.silence_ns): not where frames come
        from a recording, whose time is not ours.
    """
    names = [session.settings.name for session in sessions]
    rows = table(listings, names)
    core = Core(list(listings), instruments_of(listings), rows, Board(max(1, len(listings))),
                np.zeros(max(1, len(listings)), np.uint8), control_bell or Doorbell())
    shared = Doorbell()
    for name in ("router", "strategizer"):
        core.bells[name] = shared if layout == "fused" else Doorbell()
    for index, session in enumerate(sessions):
        name = names[index]
        own = {i: listing.symbol for i, listing in enumerate(listings) if listing.exchange == name}
        session.start(list(own), [listings[i] for i in own])
        symbols = {symbol: i for i, symbol in own.items()}
        core.bells[name] = shared if layout == "fused" else Doorbell()
        core.wakes[name] = Ring(power_of_two(len(listings) + WAKE_BEING_SERVED), 64)
        if tape_records:
            core.tapes[name] = Ring(power_of_two(tape_records), 128)
        if session.has_second_line:
            core.twins[name] = copy.deepcopy(session)
        speakers = [session, core.twins[name]] if name in core.twins else [session]
        order_codec = session.order_codec(rows, symbols) if trade else None
        if order_codec is not None:
            core.orders[name], core.reports[name] = Ring(ORDER_RING, 128), Ring(REPORT_RING, 128)
        core.loops[name] = ExchangeLoop(
            name, index, rows, own, session.rule, [speaker.market_codec(rows, symbols) for speaker in speakers],
            order_codec, core.board, core.wake_pending, core.wakes[name], core.bells[name],
            core.bells["router"], core.control_bell, tape=core.tapes.get(name), borrows=borrows,
            book_options=book_options, orders=core.orders.get(name), reports=core.reports.get(name), flags=core.flags,
            order_rate=session.settings.order_rate, unix_offset_ns=unix_offset_ns, record=record,
            silence_ns=session.settings.silence_ns if watch_silence else 0,
            shared_book_ids=session.facts.shared_book_ids, growing_trade_ids=session.facts.growing_trade_ids,
            kept_levels=session.facts.kept_levels)
    return core


class Threads:
    """The native threads of one run.

    Parameters
    ----------
    groups : list of (name, loops, bell)
        One thread each.
    wait : "spin" or "park"
    cpus : dict of str -> int
        Processor by thread name.
    """

    def __init__(self, groups, wait: str = "park", cpus: dict[str, int] | None = None):
        policy = WaitPolicy.SPIN if wait == "spin" else WaitPolicy.PARK
        self.native = {name: NativeThread(loops, bell, policy, (cpus or {}).get(name, -1))
                       for name, loops, bell in groups}
        self._threads = [threading.Thread(target=native.run, name=f"orderflow-{name}", daemon=True)
                         for name, native in self.native.items()]

    def start(self) -> None:
        """Run."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End every thread after its current step. Idempotent."""
        for native in self.native.values():
            native.stop()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout)


def exchange_threads(core: Core, layout: str, wait: str, cpus: dict[str, int] | None = None) -> Threads:
    """Threads for the exchange loops alone."""
    if layout == "fused":
        groups = [("fused", list(core.loops.values()), core.bells["router"])]
    else:
        groups = [(name, [loop], core.bells[name]) for name, loop in core.loops.items()]
    return Threads(groups, wait, cpus)


def conversations(core: Core, sessions: Sequence[Session], report: Callable[[str], None],
                  hosts: Hosts = HOSTS) -> list[Conversation]:
    """One conversation an exchange."""
    return [Conversation(session, core.loops[session.settings.name], report, hosts=hosts,
                         twin=core.twins.get(session.settings.name)) for session in sessions]


def wait_until(condition: Callable[[], bool], timeout: float, what: str, pause: float = 0.005) -> None:
    """Poll until `condition`; TimeoutError says `what` did not happen."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {timeout:g} s")
        time.sleep(pause)


@dataclass(frozen=True, slots=True)
class Run:
    """What a recorded run was: everything a replay needs besides journal, input log and frames.

    Attributes
    ----------
    exchanges : list of (protocol, name)
    listings : list of dict
        The fields of each Listing; decimals as text.
    limits : dict of str -> dict
    trading : list of str
        Exchanges with an order connection.
    doubled : list of str
        Exchanges that could have a second line.
    """

    epoch: int
    policy: str
    exchanges: list
    listings: list
    limits: dict
    trading: list
    doubled: list

    @classmethod
    def load(cls, fields: dict) -> Run:
        """From the JSON that was written."""
        return cls(**fields)

    def listings_again(self) -> list[Listing]:
        """The listings as they were."""
        exact = ("tick", "lot", "minimum_quantity", "maximum_quantity", "minimum_notional", "maker_fee", "taker_fee")
        return [Listing(**{name: Decimal(value) if name in exact else value for name, value in fields.items()})
                for fields in self.listings]


class _NoServer:
    """Stands where a replay has no server."""

    name = "replay"
    borrows = False


class EngineError(Exception):
    """The engine cannot start or go on; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What risk allows for one instrument. Decimals as text.

    Attributes
    ----------
    maximum_position : str
        Long or short, everything open filled, in the base currency.
    maximum_order_quantity : str
    maximum_order_notional : str
        In the quote currency.
    collar : str
        How far beyond the reference price an order may be priced, as a fraction.
    reference_age_seconds : float
        How old the reference price may be.
    """

    maximum_position: str
    maximum_order_quantity: str
    maximum_order_notional: str
    collar: str = "0.02"
    reference_age_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class ParentState:
    """How a parent order stands: an immutable copy, decimals in base and quote currency.

    Attributes
    ----------
    fees : dict of str -> Decimal
        By the asset they were charged in; positive is a cost.
    fees_quote : Decimal
        All of them in the quote currency: those in the base currency at the average price. Fees in a third asset are in
        `fees` alone.
    by_exchange : dict of str -> dict
        filled, average_price, fees (by asset) and fills of each exchange that filled something.
    """

    id: int
    instrument: str
    side: str
    status: str
    reason: str
    quantity: Decimal
    filled: Decimal
    in_doubt: Decimal
    average_price: Decimal | None
    arrival_price: Decimal | None
    children: int
    fees: dict[str, Decimal]
    fees_quote: Decimal
    by_exchange: dict[str, dict]

    @property
    def done(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.status in ("PARENT_DONE", "PARENT_DENIED", "PARENT_ENDED_IN_DOUBT")

    @property
    def slippage_bps(self) -> Decimal | None:
        """Average price against arrival price; positive is a cost."""
        if self.average_price is None or not self.arrival_price:
            return None
        sign = 1 if self.side == "BUY" else -1
        return sign * (self.average_price - self.arrival_price) / self.arrival_price * 10_000

    @property
    def all_in_price(self) -> Decimal | None:
        """Average price with fees: what a unit cost, or brought."""
        if self.average_price is None:
            return None
        each = self.fees_quote / self.filled
        return self.average_price + (each if self.side == "BUY" else -each)


class Engine:
    """Settings -> core objects -> threads.

    Parameters
    ----------
    sessions : sequence of Session
        One an exchange; see `orderflow.exchanges.session_for`.
    server : SyncServer, AsyncServer or DirectServer
        Moves the bytes.
    strategies : sequence, or function
        Cython strategies, or plain Python objects with on_signal, on_report, on_timer (see PythonStrategy). A function
        is given the instruments by name as soon as they are known, and returns the sequence.
    limits : dict of str -> Limits
        By instrument name; an instrument without limits cannot be traded.
    directory : path, optional
        Of the journal and the input log; None = a temporary one that is removed at the end.
    policy : "best" or "single"
        Whether a parent is split over all exchanges or sent to the one that is best for the whole.
    fees : dict of str -> (maker, taker)
        By exchange name, as fractions; overrides what the exchange's metadata says.
    layout, wait, cpus
        Of the native threads; see EngineSettings.
    record : bool
        Keep the frames beside journal and input log, so that the run can be replayed (orderflow.research.replay).
    all_exchanges : bool
        Whether every exchange must be reached and ready for a start; else one is enough, and the others are named in
        `problems`. Of those that could not be reached nothing is known, so they are left out of the run.
    maximum_orders, maximum_parents : int
        How many the order table holds; more are refused. An order that was sent keeps its place for a minute after its
        end, for late reports: 16384 serve 270 orders a second for ever. An ended parent gives its place to a new one.
    """

    def __init__(self, sessions: Sequence[Session], server, *,
                 strategies: Sequence | Callable[[dict[str, Instrument]], Sequence] = (),
                 limits: dict[str, Limits] | None = None, directory=None, policy: str = "best",
                 fees: dict[str, tuple[str, str]] | None = None, layout: str = "split", wait: str = "park",
                 cpus: dict[str, int] | None = None, report: Callable[[str], None] | None = None,
                 record: bool = False, all_exchanges: bool = True, maximum_orders: int = 16384,
                 maximum_parents: int = 1024):
        self.sessions = list(sessions)
        self.server = server
        self.problems: list[str] = []       # the newest, one line each
        self._told = report
        self._limits = dict(limits or {})
        self._policy = policy
        self._fees = fees or {}
        self._layout, self._wait, self._cpus = layout, wait, cpus
        self._room = {"orders": maximum_orders, "parents": maximum_parents}
        self._fill_room = FILLS_PER_ORDER * maximum_orders
        self._make_strategies = strategies if callable(strategies) else lambda _: strategies
        self._strategies: list[Strategy] = []
        self._temporary = tempfile.TemporaryDirectory(prefix="orderflow-") if directory is None else None
        self.directory = Path(self._temporary.name if self._temporary else directory)
        self._counter = 0
        self._denied: dict[int, ParentState] = {}   # by parent id, oldest first
        self._direct = server.name == "direct"
        self.core: Core | None = None
        self.threads: Threads | None = None
        self.journal: JournalFiles | None = None
        self._files: list = []              # journal and input logs that are open
        self._record = record
        self._all_exchanges = all_exchanges
        self._recorder: Recorder | None = None
        self.started = False
        self.stopped = False

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self, timeout: float = 30.0) -> Engine:
        """Fetch metadata, wire the core, run the threads, and wait until every book is LIVE and every exchange ready.

        Raises
        ------
        EngineError
            An exchange does not answer, does not offer a symbol, or is not ready in time; the message names it.
        """
        try:
            self._build(self._fetch_listings())
            self.started = True
            if self._direct:
                self.server.start(self.conversations, [*self.core.loops.values(), self.router, self.strategizer])
            else:
                self.threads.start()
                self.server.start(self.conversations)
            self._wait_ready(timeout)
        except BaseException:
            self.stop()
            raise
        self.trade()
        return self

    def _report(self, problem: str) -> None:
        """Keep a problem, and pass it on to who wants to hear of it."""
        self.problems.append(problem)
        del self.problems[:-MOST_PROBLEMS]
        if self._told is not None:
            self._told(problem)

    def _fetch_listings(self) -> list[Listing]:
        listings: list[Listing] = []
        for session in list(self.sessions):
            name = session.settings.name
            try:
                bodies = (self.server.fetch_now(name, session.metadata()) if self._direct
                          else self.server.fetch_now(session.metadata()))
            except ConnectionError as error:
                problem = f"exchange {name}: {error}"
                if self._all_exchanges or len(self.sessions) == 1:
                    raise EngineError(problem) from None
                self._report(f"{problem}; it is left out of this run")
                self.sessions.remove(session)
                continue
            for listing in session.listings(bodies):
                maker, taker = self._fees.get(name, (listing.maker_fee, listing.taker_fee))
                listings.append(listing.with_fees(decimal(maker, "maker_fee"), decimal(taker, "taker_fee")))
        return listings

    def _build(self, listings: list[Listing]) -> None:
        core = self.core = build_core(
            self.sessions, listings, borrows=self.server.borrows, layout=self._layout, trade=True,
            unix_offset_ns=0 if self._direct else None, control_bell=getattr(self.server, "bell", None),
            record=self._record, watch_silence=True)
        made = self._make_strategies({item.name: item for item in core.instruments})
        self._strategies = [item if isinstance(item, Strategy) else PythonStrategy(item) for item in made]
        self._build_router(core, JournalFiles(self.directory, segment_bytes=JOURNAL_BYTES))
        for strategy in self._strategies:
            if isinstance(strategy, PythonStrategy):
                strategy.bind(core.listings, core.instruments)
        self.conversations = conversations(core, self.sessions, self._report, getattr(self.server, "hosts", HOSTS))
        self.threads = self._threads()
        if self._record:
            self._write_run()
            self._recorder = Recorder(self.directory, list(core.loops.values()), self._report)
            self._recorder.start()

    def _build_router(self, core: Core, journal: JournalFiles) -> None:
        """Everything that the router and the strategizer write, and their loops."""
        self.table, self.instruments = core.table, {item.name: item for item in core.instruments}
        self.journal = journal
        self._files.append(journal)
        epoch = journal.epoch
        self.logs = {}
        for name in ("router", "strategizer"):
            self.logs[name] = InputLogFiles(journal.directory, name, epoch, segment_bytes=LOG_BYTES)
            self._files.append(self.logs[name])
        width = max(len(item.listings) for item in core.instruments)
        self.orders = Orders(self.table, epoch, listings_per_instrument=width, fills=self._fill_room,
                             **self._room)
        self.risk = RiskBook(self.table, **self._room)
        self._set_limits(core)
        rings = {"parents": Ring(1024, 128), "parent_reports": Ring(8192, 128),
                 "wakes": Ring(power_of_two(len(core.listings) + WAKE_BEING_SERVED), 64)}
        strategy_pending = np.zeros(max(1, len(core.listings)), np.uint8)
        ports = [(name, core.wakes[name], core.reports.get(name), core.orders.get(name), core.bells[name])
                 for name in core.loops]
        policy = RoutePolicy.SINGLE if self._policy == "single" else RoutePolicy.BEST
        self.router = RouterLoop(
            self.table, ports, core.board, core.wake_pending, strategy_pending, self.orders, self.risk, self.journal,
            self.logs["router"], Splitter(self.table, depth=BOARD_DEPTH), rings["parents"], rings["parent_reports"],
            rings["wakes"], core.bells["router"], core.bells["strategizer"], core.flags[64:], policy=policy)
        self.strategizer = StrategizerLoop(
            self.table, self._strategies, core.board, strategy_pending, self.logs["strategizer"], rings["wakes"],
            rings["parent_reports"], rings["parents"], core.bells["strategizer"], core.bells["router"])
        self._rings = (rings["parent_reports"], rings["wakes"], *core.orders.values(), *core.wakes.values())
        self.journal.start_run(exchanges=[session.settings.name for session in self.sessions],
                               symbols=[[item.exchange, item.symbol] for item in core.listings])

    def _threads(self) -> Threads:
        core = self.core
        if self._layout == "fused":
            # The router twice: it wakes the strategizer, and what that submits is routed in the same round.
            loops: list[Loop] = [*core.loops.values(), self.router, self.strategizer, self.router]
            return Threads([("fused", loops, core.bells["router"])], self._wait, self._cpus)
        groups: list[tuple[str, list[Loop], Doorbell]] = [
            (name, [loop], core.bells[name]) for name, loop in core.loops.items()]
        groups += [("router", [self.router], core.bells["router"]),
                   ("strategizer", [self.strategizer], core.bells["strategizer"])]
        return Threads(groups, self._wait, self._cpus)

    def _set_limits(self, core: Core) -> None:
        for instrument in core.instruments:
            limits = self._limits.get(instrument.name)
            if limits is None:
                continue
            self.risk.set_instrument(
                instrument.index, maximum_position=instrument.quantity(limits.maximum_position),
                collar=to_scaled(limits.collar, 8, "collar"),
                reference_age_ns=int(limits.reference_age_seconds * 1e9))
            for index in instrument.listings:
                listing = core.listings[index]
                self.risk.set_listing(index, maximum_quantity=listing.quantity(limits.maximum_order_quantity),
                                      maximum_notional=to_scaled(limits.maximum_order_notional, 8, "notional"))

    def _wait_ready(self, timeout: float) -> None:
        def ready() -> bool:
            return (not self.not_ready()
                    and all(self.book_state(index) == "LIVE" for index in range(len(self.core.listings))))

        if self._direct:
            self.server.run_until(self.server.now_ns + int(timeout * 1e9), ready)
        else:
            deadline = time.monotonic() + timeout
            while not ready() and time.monotonic() < deadline:
                time.sleep(0.005)
        if ready():
            return
        books = [f"{item.exchange} {item.symbol} ({self.book_state(index)})"
                 for index, item in enumerate(self.core.listings) if self.book_state(index) != "LIVE"]
        why = [health.last_problem for health in (one.health for one in self.conversations) if health.last_problem]
        problem = (f"not ready within {timeout:g} s: {', '.join([*self.not_ready(), *books])}"
                   + "".join(f"; {one}" for one in why or self.problems[-3:]))
        if self._all_exchanges or len(books) == len(self.core.listings):
            raise EngineError(problem)
        self._report(f"{problem}; the others go on")

    def not_ready(self) -> list[str]:
        """Exchanges that are not subscribed, or trade and cannot take orders."""
        late = {conversation.name for conversation in self.conversations if not conversation.ready}
        return sorted(late | {name for name in self.core.orders if not self.core.loops[name].can_trade})

    def trade(self) -> None:
        """Let orders pass: risk and every gate ACTIVE. The engine does so itself once it is ready."""
        self._set_trading_state(TradingState.ACTIVE)

    def halt(self) -> None:
        """Kill: every gate refuses from now on and every exchange thread cancels what it has sent, or will when its
        order connection is back. EngineError names what could not be told to; its gate refuses all the same."""
        self.core.flags[0] = 1
        self._set_trading_state(TradingState.HALTED)

    def _set_trading_state(self, state: TradingState) -> None:
        deaf = [] if self.router.set_state(state) else ["router"]
        deaf += [name for name, loop in self.core.loops.items()
                 if not loop.command(CommandKind.SET_TRADING_STATE, value=state)]
        if deaf:
            raise EngineError(f"{', '.join(deaf)} did not take {state.name}: too many commands wait; ask again")

    def pause(self, paused: bool = True) -> None:
        """Let strategies hear of nothing but their own parent orders, so that they begin nothing new; or of everything
        again. Parent orders go on working."""
        if not self.strategizer.pause(paused):
            raise EngineError("too many commands wait to be taken")

    @property
    def settled(self) -> bool:
        """Whether strategies are paused, every parent order was taken, and none works any more."""
        return (self.strategizer.paused and self.router.counts["parents"] == self.strategizer.counts["parents"]
                and all(parent.done for parent in self.parents()))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass: real time, or the virtual clock of the direct server."""
        if self._direct:
            self.server.run_until(self.server.now_ns + int(seconds * 1e9), until)
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not until():
            time.sleep(min(0.01, max(0.0, deadline - time.monotonic())))

    def stop(self) -> None:
        """Close connections, end threads, flush the journal. Idempotent, also after a start that failed half way; what
        can be read stays readable."""
        if self.stopped:
            return
        self.stopped = True
        if self.core is not None:
            for loop in self.core.loops.values():
                loop.close_tape()
        self.server.stop()
        if self.threads is not None:
            self.threads.stop()
        if self._recorder is not None:
            self._recorder.stop()           # after the threads: it takes what they record until they end
        if self.journal is not None:
            self.journal.end_run(problems=len(self.problems))
        self.close_files()
        if self._temporary is not None:
            self._temporary.cleanup()

    def close_files(self) -> None:
        """Flush and unlock journal and input logs. Idempotent."""
        for files in self._files:
            files.close()
        self._files = []

    # -- replay ---------------------------------------------------------------------------------------------------

    def _write_run(self) -> None:
        """What a replay needs besides journal, input log and frames."""
        np.save(self.directory / TABLE_FILE, self.table)
        run = Run(self.journal.epoch, self._policy,
                  [(session.protocol, session.settings.name) for session in self.sessions],
                  [asdict(listing) for listing in self.core.listings],
                  {name: asdict(limits) for name, limits in self._limits.items()},
                  list(self.core.orders), list(self.core.twins))
        (self.directory / RUN_FILE).write_text(json.dumps(asdict(run), default=str, indent=1))

    @classmethod
    def for_replay(cls, run: Run, table: np.ndarray, directory) -> Engine:
        """An engine without server and threads whose router is fed by hand (orderflow.research.replay).

        Its journal begins with the epoch of the recorded run, so that client order ids come out the same.
        """
        listings = run.listings_again()
        sessions = [session_for(protocol, SessionSettings(
            name, symbols=tuple(item.symbol for item in listings if item.exchange == name),
            lines=2 if name in run.doubled else 1, renew_after_ns=0))
            for protocol, name in run.exchanges]
        engine = cls(sessions, _NoServer(), limits={name: Limits(**limits) for name, limits in run.limits.items()},
                     policy=run.policy, directory=directory)
        core = engine.core = build_core(sessions, listings, borrows=False, unix_offset_ns=0)
        if not np.array_equal(core.table, table):
            raise EngineError(f"{TABLE_FILE} does not agree with {RUN_FILE}")
        for name in run.trading:
            core.orders[name], core.reports[name] = Ring(ORDER_RING, 128), Ring(REPORT_RING, 128)
        Path(directory, "epoch").write_text(f"{run.epoch - 1}\n")
        engine._build_router(core, JournalFiles(directory, segment_bytes=JOURNAL_BYTES))
        return engine

    def drain_rings(self) -> None:
        """Take what the router has put into its rings: in a replay nobody else does."""
        for ring in self._rings:
            while ring.pop() is not None:
                pass

    def __enter__(self) -> Engine:
        return self if self.started else self.start()

    def __exit__(self, *_) -> None:
        self.stop()

    # -- asking ---------------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """The engine's monotonic clock."""
        return self.server.now_ns if self._direct else time.monotonic_ns()

    def submit(self, instrument: str, side: str, quantity: object, limit_price: object = None, *,
               seconds: float | None = None, exchanges: Sequence[str] = ()) -> int:
        """Submit a parent order; returns its id.

        Parameters
        ----------
        instrument : str
            As in `engine.instruments`.
        side : "buy" or "sell"
        quantity, limit_price : Decimal, str or int
            Base and quote currency; no limit = the collar's.
        seconds : float, optional
            When it ends at the latest.
        exchanges : sequence of str
            Where it may go; empty = everywhere.

        Raises
        ------
        ValueError
            An argument is wrong; the message names it.
        EngineError
            The engine does not run, or has no room for it.
        """
        if not self.started or self.stopped:
            raise EngineError("the engine does not run; nothing can be submitted")
        if instrument not in self.instruments:
            raise ValueError(f"instrument {instrument!r}: there are {', '.join(self.instruments)}")
        if side.lower() not in ("buy", "sell"):
            raise ValueError(f"side {side!r}: expected buy or sell")
        item = self.instruments[instrument]
        limit = item.price(limit_price) if limit_price is not None else 0
        if limit_price is not None and limit <= 0:
            raise ValueError(f"limit_price {limit_price}: a price is positive; None means that there is no limit")
        if seconds is not None and not seconds > 0:
            raise ValueError(f"seconds {seconds}: expected a positive number, or None for no end")
        record = np.zeros(1, PARENT_ORDER_DTYPE)[0]
        self._counter += 1
        record["parent_id"] = self._counter
        record["quantity"] = item.quantity(quantity)
        record["limit_price"] = limit
        record["instrument"] = item.index
        record["kind"] = ParentKind.SUBMIT_PARENT
        record["side"] = Side.BUY if side.lower() == "buy" else Side.SELL
        record["algorithm"] = Algorithm.IMMEDIATE
        record["created_ns"] = record["start_ns"] = self.now_ns
        record["end_ns"] = self.now_ns + int(seconds * 1e9) if seconds is not None else 0
        for place, index in enumerate(item.listings):
            if self.core.listings[index].exchange in exchanges:
                record["listings"] |= np.uint64(1 << place)
        if exchanges and not record["listings"]:
            raise ValueError(f"exchanges {list(exchanges)}: none of them lists {instrument}")
        if not self.strategizer.submit(record):
            raise EngineError("too many parent orders wait to be taken")
        return self._counter

    def cancel(self, parent_id: int) -> None:
        """Ask for the end of a parent order; EngineError if that could not even be asked, ValueError if there is none.
        """
        self._check_known(parent_id)
        record = np.zeros(1, PARENT_ORDER_DTYPE)[0]
        record["parent_id"], record["kind"] = parent_id, ParentKind.CANCEL_PARENT
        if not self.strategizer.submit(record):
            raise EngineError(f"too many parent orders wait to be taken; {parent_id} is not cancelled: ask again")

    def parent(self, parent_id: int) -> ParentState | None:
        """How a parent order stands now; None = not taken yet, or ended and its place given to another."""
        for view in self.orders.parents():
            if view.parent_id == parent_id:
                return self._parent_state(view)
        while (report := self.strategizer.next_denial()) is not None:
            self._denied[int(report["parent_id"])] = self._denied_state(report)
            if len(self._denied) > MOST_DENIALS:
                del self._denied[next(iter(self._denied))]
        return self._denied.get(parent_id)

    def _check_known(self, parent_id: int) -> None:
        if not 0 < parent_id <= self._counter and self.parent(parent_id) is None:
            raise ValueError(f"parent order {parent_id}: there is none")

    def parents(self) -> list[ParentState]:
        """Every parent order that is still in the table."""
        return [self._parent_state(view) for view in self.orders.parents()]

    def wait(self, parent_id: int, timeout: float = 30.0) -> ParentState:
        """Let time pass until a parent order has ended; TimeoutError if it does not, ValueError if there is none."""
        self._check_known(parent_id)
        seen: list[ParentState] = []        # the last look counts: an ended parent may give its place away at any time

        def ended() -> bool:
            state = self.parent(parent_id)
            if state is not None:
                seen[:] = [state]
            return bool(seen) and seen[0].done

        self.run(timeout, ended)
        if not ended():
            raise TimeoutError(f"parent order {parent_id} has not ended within {timeout:g} s")
        return seen[0]

    def book(self, exchange: str, symbol: str) -> np.void:
        """What the board shows of a listing: one record of BOARD_ENTRY_DTYPE (scaled integers, best first).

        `bids_known_to` and `asks_known_to` are the prices to which a side is known, 0 = all of it: of a level that is
        missing beyond them nobody knows whether it exists.
        """
        return self.core.board.read(self.index(exchange, symbol))

    def index(self, exchange: str, symbol: str) -> int:
        """Index of a listing; ValueError names those there are."""
        for index, listing in enumerate(self.core.listings):
            if (listing.exchange, listing.symbol) == (exchange, symbol):
                return index
        names = ", ".join(f"{item.exchange} {item.symbol}" for item in self.core.listings)
        raise ValueError(f"{exchange} {symbol}: no such listing; there are {names}")

    def book_state(self, index: int) -> str:
        """EMPTY, SYNCING, LIVE or STALE."""
        return BookState(int(self.core.board.read(index)["book_state"])).name

    @property
    def failures(self) -> list[Exception]:
        """What strategies written in Python have raised, the first hundred of each."""
        return [failure for item in self._strategies if isinstance(item, PythonStrategy) for failure in item.failures]

    @property
    def strategies(self) -> list[Strategy]:
        """In the order in which they were given; plain Python ones as the PythonStrategy that calls them."""
        return list(self._strategies)

    def position(self, index: int):
        """PositionView of a listing, scaled integers."""
        return self.orders.position(index)

    def _denied_state(self, report) -> ParentState:
        index = int(report["instrument"])
        known = index < len(self.core.instruments)      # that it is not may be why it was denied
        name = self.core.instruments[index].name if known else f"instrument {index}"
        decimals = self.core.instruments[index].quantity_decimals if known else 0
        return ParentState(
            int(report["parent_id"]), name, Side(report["side"]).name, ParentStatus(report["status"]).name,
            Reason(report["reason"]).name, from_scaled(int(report["quantity"]), decimals), Decimal(0), Decimal(0), None,
            None, 0, {}, Decimal(0), {})

    def _parent_state(self, view) -> ParentState:
        item = self.core.instruments[view.instrument]
        scale = item.price_decimals + item.quantity_decimals
        by_exchange: dict[str, dict] = {}
        fees: dict[str, Decimal] = {}
        for fill in view.by_listing:
            listing = self.core.listings[fill.listing]
            assets = self.sessions[int(self.table[fill.listing]["exchange"])].assets
            charged = {assets[asset]: from_scaled(amount, decimals) for asset, (amount, decimals) in fill.fees.items()}
            for asset, amount in charged.items():
                fees[asset] = fees.get(asset, Decimal(0)) + amount
            filled = from_scaled(fill.filled, listing.quantity_decimals)
            notional = from_scaled(fill.notional, listing.price_decimals + listing.quantity_decimals)
            if fill.filled:
                by_exchange[listing.exchange] = {"filled": filled, "average_price": notional / filled, "fees": charged,
                                                 "fills": fill.fills}
        filled = from_scaled(view.filled, item.quantity_decimals)
        average = from_scaled(view.notional, scale) / filled if filled else None
        base, quote = self.core.listings[item.listings[0]].base, self.core.listings[item.listings[0]].quote
        return ParentState(
            view.parent_id, item.name, Side(view.side).name, ParentStatus(view.status).name, Reason(view.reason).name,
            from_scaled(view.quantity, item.quantity_decimals), filled,
            from_scaled(view.in_doubt, item.quantity_decimals),
            average, from_scaled(view.arrival_price, item.price_decimals) if view.arrival_price else None,
            view.children, fees, fees.get(quote, Decimal(0)) + fees.get(base, Decimal(0)) * (average or 0), by_exchange)
