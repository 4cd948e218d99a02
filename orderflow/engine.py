"""Engine: settings -> core objects -> threads.

What it is made of: what the exchanges list (metadata.py), what the run before left (takeover.py), what decides
(routing.py), parent orders from Python (parent_orders.py), and who may trade (supervision.py).
"""
from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from orderflow import held, takeover
from orderflow._core.journal import JournalFiles
from orderflow._core.ring import Ring
from orderflow._core.strategies.python import PythonStrategy
from orderflow._core.strategy import Strategy
from orderflow._core.types import BookState
from orderflow.carried import Carried
from orderflow.consolidated import Consolidated
from orderflow.differences import Difference, Differences
from orderflow.exchanges.session import Session
from orderflow.instrument import Instrument, OrderCharges
from orderflow.joining import Join
from orderflow.limits import Limits, RiskLimits
from orderflow.metadata import fetch_listings
from orderflow.parent_orders import ParentOrders
from orderflow.parents import ParentState
from orderflow.problems import EngineError, Problems
from orderflow.routing import Plan, Routing, open_journal
from orderflow.run_start import RunStart
from orderflow.scores import Scores
from orderflow.servers.hosts import HOSTS
from orderflow.servers.recorder import Recorder
from orderflow.servers.watchdog_process import WatchdogProcess
from orderflow.status import status_of
from orderflow.supervision import Supervision
from orderflow.wiring import ORDER_RING, REPORT_RING, Core, Threads, all_threads, build_core, conversations

__all__ = ["Engine", "EngineError"]

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


class _NoServer:
    """Stands where a replay has no server."""

    name = "replay"
    borrows = False


def _of(part: str, method: Callable[Concatenate[Any, Given], Answer]) -> Callable[Concatenate[Engine, Given], Answer]:
    """A method of a part, as a method of the engine that has it."""
    @wraps(method)
    def call(self: Engine, /, *args: Given.args, **named: Given.kwargs) -> Answer:
        if (owner := getattr(self, part)) is None:
            raise EngineError("the engine does not run: start it first")
        return method(owner, *args, **named)
    return call


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
    limits : RiskLimits, or dict of str -> Limits
        By instrument name; an instrument without limits cannot be traded. Of a dict the rest of RiskLimits has its
        defaults: nothing may be begun, because nothing is said of how much capital may be used.
    strategy_names : sequence of str
        Of the strategies, as the limits name them and by which each can be killed; by default their own. Orders that
        are submitted from Python belong to "manual".
    directory : path, optional
        Of the journal and the input log; None = a temporary one that is removed at the end.
    policy : "best" or "single"
        Whether a parent is split over all exchanges or sent to the one that is best for the whole.
    fees : dict of str -> (maker, taker)
        By exchange name, as fractions; overrides what the exchange's metadata says.
    volume_curves : dict of str -> sequence of float, optional
        By instrument name: base currency to be expected in each of the 288 five minutes of a day, from midnight UTC, on
        all exchanges together (orderflow.volume_curve). The algorithm "vwap" needs one.
    charges : dict of str -> OrderCharges
        By exchange name: tickets and fee tiers.
    joins : dict of str -> Join
        By instrument name: what belongs to it under other names, or in other quote currencies.
    layout, wait, cpus, touch_books
        Of the native threads and of what they hold; see EngineSettings.
    record : bool
        Keep the frames beside journal and input log, so that the run can be replayed (orderflow.research.replay).
    all_exchanges : bool
        Whether every exchange must be reached and ready for a start; else one is enough, and the others are named in
        `problems`. Of those that could not be reached nothing is known, so they are left out of the run.
    journal : "crash", "group" or "sync"
        What an order survives; see docs/journal.md. The direct server has a clock of its own, and `crash` only.
    maximum_orders, maximum_parents : int
        How many the order table holds; more are refused. An order that was sent keeps its place for a minute after its
        end, for late reports: 16384 serve 270 orders a second for ever. An ended parent gives its place to a new one.
    standstill : float
        Seconds after which a native thread whose heartbeat stands still is stuck: its exchange is killed. 0 = never.
    watchdog : float
        Seconds after which a process of its own, started with the engine, takes it for frozen and cancels what it has
        out; and at once when the engine dies or a thread is stuck (orderflow/watchdog.py). 0 = no such process.
    scores : Scores, optional
        What earlier runs say of each exchange (orderflow.scores): with that the router begins to learn what is gone on
        arrival, and how long answers take.
    """

    def __init__(self, sessions: Sequence[Session], server, *,
                 strategies: Sequence | Callable[[dict[str, Instrument]], Sequence] = (),
                 limits: RiskLimits | dict[str, Limits] | None = None, strategy_names: Sequence[str] = (),
                 directory=None, policy: str = "best", volume_curves: Mapping[str, Sequence[float]] | None = None,
                 fees: dict[str, tuple[str, str]] | None = None, charges: dict[str, OrderCharges] | None = None,
                 joins: Mapping[str, Join] | None = None,
                 layout: str = "split", wait: str = "park",
                 cpus: dict[str, int] | None = None, touch_books: bool = False,
                 report: Callable[[str], None] | None = None,
                 record: bool = False, all_exchanges: bool = True, journal: str = "crash", maximum_orders: int = 16384,
                 maximum_parents: int = 1024, standstill: float = 5.0, watchdog: float = 0.0,
                 scores: Scores | None = None):
        if server.name == "direct" and journal != "crash":
            raise EngineError(f"journal {journal!r}: the direct server has no real time in which a disk could be "
                              "waited for; use \"crash\"")
        self.sessions = list(sessions)
        self.paper = any(session.settings.paper is not None for session in self.sessions)
        if self.paper and any(session.settings.trade for session in self.sessions):
            raise EngineError("some exchanges trade and others trade on paper: one engine does one of the two")
        self.server = server
        self._report = Problems(report)
        self._direct = server.name == "direct"
        self._clock: Callable[[], int] = (lambda: server.now_ns) if self._direct else time.monotonic_ns
        self._plan = Plan(
            limits if isinstance(limits, RiskLimits) else RiskLimits(dict(limits or {})), policy,
            {name: [float(one) for one in curve] for name, curve in (volume_curves or {}).items()},
            {name: one.arrival for name, one in scores.exchanges.items()} if scores else {},
            maximum_orders, maximum_parents, paper=self.paper, record=record,
            unix_offset_ns=0 if self._direct else None)
        self._make_strategies = strategies if callable(strategies) else lambda _: strategies
        self._given_names = list(strategy_names)
        self._fees, self._charges, self._joins = fees or {}, charges or {}, joins or {}
        self._layout, self._wait, self._cpus = layout, wait, cpus
        self._touch_books, self._all_exchanges, self._journal_policy = touch_books, all_exchanges, journal
        self._standstill_ns, self._silence_s = int(standstill * 1e9), watchdog
        self._temporary = tempfile.TemporaryDirectory(prefix="orderflow-") if directory is None else None
        self.directory = Path(self._temporary.name if self._temporary else directory)
        self.core: Core | None = None
        self.threads: Threads | None = None
        self.journal: JournalFiles | None = None
        self._files: list = []              # journal and logs that are open
        self._differences: Differences | None = None
        self._routing: Routing | None = None
        self._parents: ParentOrders | None = None
        self._supervision: Supervision | None = None
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
            self._build()
            self.started = self._parents.open = True
            if self._direct:
                self.server.start(self.conversations, [*self.core.loops.values(), self.router, self.strategizer])
            else:
                self.threads.start()
                self._supervision.start(self.threads, self.sessions, self.server, self._silence_s,
                                        self._standstill_ns, partial(status_of, self))
                self.server.start(self.conversations)
            self._wait_ready(timeout)
        except BaseException:
            self.stop()
            raise
        self.trade()
        return self

    def _build(self) -> None:
        self.sessions, listings = fetch_listings(
            self.sessions, self._ask_metadata, fees=self._fees, charges=self._charges, joins=self._joins,
            all_exchanges=self._all_exchanges, report=self._report)
        core = self.core = build_core(
            self.sessions, listings, borrows=self.server.borrows, layout=self._layout, trade=True,
            unix_offset_ns=self._plan.unix_offset_ns, control_bell=getattr(self.server, "bell", None),
            record=self._plan.record, watch_silence=True, book_options={"touched": self._touch_books})
        made = self._make_strategies({item.name: item for item in core.instruments})
        self._plan = self._plan.with_strategies(
            [item if isinstance(item, Strategy) else PythonStrategy(item) for item in made], self._given_names)
        core.kill.name_strategies(self.strategy_names[1:])
        takeover.check(self.directory, self.paper)
        journal = open_journal(self.directory, policy=self._journal_policy, report=self._report,
                               unix_offset_ns=self._plan.unix_offset_ns,
                               instance=0 if self._direct else None)    # the same run gives the same ids there
        self._files.append(journal)
        self._differences = Differences(core.listings, self.directory, self._report)
        offset_ns = takeover.wall_offset_ns(self._direct)
        taken = takeover.taken_over(self.directory, journal, core.listings, self.sessions, self.strategy_names,
                                    offset_ns)
        self._decide_with(journal, taken, self.now_ns)
        self._parents = ParentOrders(core, self.sessions, self._routing, self._differences, self._clock)
        if self._journal_policy == "sync":
            for loop in core.loops.values():
                loop.wait_for_journal(journal)
        for strategy in self.strategies:
            if isinstance(strategy, PythonStrategy):
                strategy.bind(core.listings, core.instruments, self._parents.record)
        self._converse(taken, offset_ns)
        self._supervision = Supervision(core, self._routing, self.conversations, self._differences, self.directory,
                                        self._report, self._clock)
        self.threads = all_threads(core, self.router, self.strategizer, self._layout, self._wait, self._cpus)
        if self._plan.record:
            self._recorder = Recorder(self.directory, list(core.loops.values()), self._report)
            self._recorder.start()

    def _ask_metadata(self, session: Session) -> dict[str, bytes]:
        if self._direct:
            return self.server.fetch_now(session.settings.name, session.metadata())
        return self.server.fetch_now(session.metadata())

    def _decide_with(self, journal: JournalFiles, taken: Carried, now_ns: int) -> None:
        """Make what decides; its parts have their names here."""
        self.journal = journal
        for line in journal.recovered:
            self._report(line)
        self.table, self.instruments = self.core.table, {item.name: item for item in self.core.instruments}
        routing = self._routing = Routing(self.core, self.sessions, self._plan, journal, taken, now_ns, self.directory,
                                          self._files, self._report)
        self.orders, self.risk, self.logs = routing.orders, routing.risk, routing.logs
        self.router, self.strategizer = routing.router, routing.strategizer

    def _converse(self, taken: Carried, offset_ns: int) -> None:
        """Conversations with the exchanges; accounts are compared with what they should hold."""
        core = self.core
        held_since = held.compare(core, self.sessions, taken.held, self.journal.instance)
        self.conversations = conversations(core, self.sessions, self._report, getattr(self.server, "hosts", HOSTS))
        for place, conversation in enumerate(self.conversations):
            name = conversation.name
            conversation.clock.restrict = partial(self.router.set_exchange_state, place)
            if conversation.rounds is not None:
                conversation.differs = partial(self._differences.found, self.sessions[place])
                conversation.rounds.since_ns = (held_since[name] or takeover.oldest_order_ns(
                    self.orders, core.listings, name, offset_ns))

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
        """Exchanges that are not subscribed, or trade and cannot take orders: not connected, or not reconciled yet."""
        late = {conversation.name for conversation in self.conversations if not conversation.ready}
        return sorted(late | {name for name in self.core.orders
                              if not (self.core.loops[name].can_trade and self.core.loops[name].reconciled)})

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass: real time, or the virtual clock of the direct server."""
        if self._direct:
            self.server.run_until(self.server.now_ns + int(seconds * 1e9), until)
            if self._supervision is not None and self._supervision.killed_untold:
                self._supervision.tell_kill()   # there is no thread here that would be told
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
        if self._parents is not None:
            self._parents.open = False
        if self.core is not None:
            for loop in self.core.loops.values():
                loop.close_tape()
        self.server.stop()
        if self._supervision is not None:
            self._supervision.close_control()       # before the threads
        if self.threads is not None:
            self.threads.stop()
        if self._supervision is not None:
            self._supervision.close_watchdog()
        if self._recorder is not None:
            self._recorder.stop()           # after the threads: it takes what they record until they end
        if self.journal is not None:
            self._finish_decisions()
            self.journal.end_run(problems=len(self.problems))
        self.close_files()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _finish_decisions(self) -> None:
        """Write those that wait; the router has stopped."""
        if self._routing is None:
            return
        self.router.write_decisions()
        decisions = self._routing.decisions
        if decisions.lost:
            self._report(f"{self.directory}: {decisions.lost} of {decisions.taken} decisions could not be "
                         "written down, as the disk did not keep up; their orders are in the journal, and `orderflow "
                         "explain` cannot say why they went where they went")

    def close_files(self) -> None:
        """Flush and unlock journal, input logs and decision log. Idempotent."""
        if self._routing is not None:
            self.router.write_decisions()
        for files in self._files:
            files.close()
        self._files = []

    def __enter__(self) -> Engine:
        return self if self.started else self.start()

    def __exit__(self, *_) -> None:
        self.stop()

    # -- replay ---------------------------------------------------------------------------------------------------

    @classmethod
    def for_replay(cls, run: RunStart, epoch: int, directory, taken: Carried, began_ns: int) -> Engine:
        """An engine without server and threads whose router is fed by hand (orderflow.research.replay).

        Its journal has the epoch of the recorded run, so that client order ids come out the same. RunStartError: it was
        made by an orderflow that knows another table.
        """
        sessions, core = run.build()
        for exchange in run.exchanges:
            if exchange.trades:
                core.orders[exchange.name] = Ring(ORDER_RING, 128)
                core.reports[exchange.name] = Ring(REPORT_RING, 128)
        engine = cls(sessions, _NoServer(), limits=RiskLimits.load(run.limits), policy=run.policy, directory=directory,
                     volume_curves=run.volume_curves)
        engine.core = core
        engine._plan = replace(engine._plan, strategy_names=run.strategies, arrivals=run.arrivals)
        Path(directory, "epoch").write_text(f"{run.instance} {epoch - 1}\n")
        journal = open_journal(directory)
        engine._files.append(journal)
        try:
            engine._decide_with(journal, taken, began_ns)
        except BaseException:
            engine.close_files()
            raise
        return engine

    def drain_rings(self) -> None:
        """Take what the router has put into its rings: in a replay nobody else does."""
        self._routing.drain_rings()

    # -- who may trade --------------------------------------------------------------------------------------------

    trade = _of("_supervision", Supervision.trade)
    halt = _of("_supervision", Supervision.halt)
    rearm = _of("_supervision", Supervision.rearm)
    set_strategy_state = _of("_supervision", Supervision.set_strategy_state)
    strategy_state = _of("_supervision", Supervision.strategy_state)
    rearm_total = _of("_supervision", Supervision.rearm_total)
    rearm_instrument = _of("_supervision", Supervision.rearm_instrument)

    def pause(self, paused: bool = True) -> None:
        """Let strategies hear of nothing but their own parent orders, so that they begin nothing new; or of everything
        again. Parent orders go on working."""
        if not self.strategizer.pause(paused):
            raise EngineError("too many commands wait to be taken")

    @property
    def watchdog(self) -> WatchdogProcess | None:
        """The process that watches this engine, where there is one."""
        return self._supervision.watchdog if self._supervision is not None else None

    # -- parent orders --------------------------------------------------------------------------------------------

    submit = _of("_parents", ParentOrders.submit)
    replace = _of("_parents", ParentOrders.replace)
    cancel = _of("_parents", ParentOrders.cancel)
    pause_parent = _of("_parents", ParentOrders.pause_parent)
    resume_parent = _of("_parents", ParentOrders.resume_parent)
    parent = _of("_parents", ParentOrders.parent)
    parents = _of("_parents", ParentOrders.parents)
    residuals = _of("_parents", ParentOrders.residuals)
    estimate = _of("_parents", ParentOrders.estimate)

    def wait(self, parent_id: int, timeout: float = 30.0) -> ParentState:
        """Let time pass until a parent order has ended; TimeoutError if it does not, ValueError if there is none."""
        self._parents.check_known(parent_id)
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

    @property
    def settled(self) -> bool:
        """Whether strategies are paused, every parent order was taken, and none works any more."""
        return (self.strategizer.paused and self.router.counts["parents"] == self.strategizer.counts["parents"]
                and all(parent.done for parent in self.parents()))

    # -- what there is to see -------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """The engine's monotonic clock."""
        return self._clock()

    @property
    def problems(self) -> list[str]:
        """What went wrong, one line each; the newest MOST_PROBLEMS."""
        return self._report.newest

    @property
    def differences(self) -> list[Difference]:
        """Between exchanges' books and ours, that stand; the newest last."""
        return self._differences.standing if self._differences is not None else []

    def book(self, exchange: str, symbol: str) -> np.void:
        """What the board shows of a listing: one record of BOARD_ENTRY_DTYPE (scaled integers, best first).

        `bids_known_to` and `asks_known_to` are the prices to which a side is known, 0 = all of it: of a level that is
        missing beyond them nobody knows whether it exists.
        """
        return self.core.board.read(self.index(exchange, symbol))

    def consolidated(self, instrument: str) -> Consolidated:
        """The books of an instrument on all exchanges as they are now, in one order; see orderflow.consolidated.
        ValueError names the instruments that there are."""
        item = self.core.instrument_named(instrument)
        return Consolidated(item, self.core.listings, self.table, self.core.board.read, self.now_ns,
                            self.core.kill.killed)

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
    def strategy_names(self) -> list[str]:
        """In the order of their numbers; of what is submitted from Python it is the first, "manual"."""
        return list(self._plan.strategy_names)

    @property
    def failures(self) -> list[Exception]:
        """What strategies written in Python have raised, the first hundred of each."""
        return [failure for item in self.strategies if isinstance(item, PythonStrategy) for failure in item.failures]

    @property
    def strategies(self) -> list[Strategy]:
        """In the order in which they were given; plain Python ones as the PythonStrategy that calls them."""
        return list(self._plan.strategies)

    def position(self, index: int):
        """PositionView of a listing, scaled integers."""
        return self.orders.position(index)
