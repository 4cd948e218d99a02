"""Engine: settings -> core objects -> threads."""
from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from orderflow import held
from orderflow._core.algos.volume_curve import VolumeCurve
from orderflow._core.allocation import Splitter
from orderflow._core.client_id import encode
from orderflow._core.decision_log import DecisionFiles
from orderflow._core.doorbell import Doorbell
from orderflow._core.input_log import InputLogFiles
from orderflow._core.journal import JournalFiles
from orderflow._core.kill import KillCause
from orderflow._core.loop_router import RouterLoop, StrategizerLoop
from orderflow._core.loops import Loop
from orderflow._core.orders import Orders
from orderflow._core.orders import Refused as OrderRefused
from orderflow._core.residuals import ResidualLedger
from orderflow._core.ring import Ring
from orderflow._core.strategies.python import PythonStrategy
from orderflow._core.strategy import Strategy
from orderflow._core.types import (
    PARENT_ORDER_DTYPE,
    Amends,
    BookState,
    CommandKind,
    ParentKind,
    Reason,
    RoutePolicy,
    Side,
    TradingState,
)
from orderflow.algorithms import parent_order
from orderflow.carried import Carried, CarriedError, carried, check_kind
from orderflow.consolidated import Consolidated, rates_of
from orderflow.differences import Difference, Differences
from orderflow.estimate import Estimate, EstimateError, Market, estimate, seen_volatility
from orderflow.exchanges import session_for
from orderflow.exchanges.session import Session, SessionSettings
from orderflow.faults import text as fault_text
from orderflow.instrument import Instrument, Listing, OrderCharges, canonical, decimal, time_of_day_ns
from orderflow.joining import Join, JoinError, joined
from orderflow.limits import MANUAL, Limits, RiskLimits, risk_book
from orderflow.parents import ParentState, denied, state_of
from orderflow.problems import Problems
from orderflow.refusals import Scales
from orderflow.refusals import text as refusal_text
from orderflow.residuals import Residual, ResidualError, enter, named
from orderflow.run_start import RunStart, RunStartError
from orderflow.scores import Scores
from orderflow.servers.control_requests import Refused
from orderflow.servers.control_socket import Control
from orderflow.servers.hosts import HOSTS
from orderflow.servers.recorder import Recorder
from orderflow.servers.watchdog_process import WatchdogProcess
from orderflow.status import status_of
from orderflow.wiring import (
    ORDER_RING,
    REPORT_RING,
    WAKE_BEING_SERVED,
    Core,
    Threads,
    build_core,
    conversations,
    power_of_two,
    wire_kill_switch,
)

BOARD_DEPTH = 20
#: Size of one segment of the journal, and of an input log: two of each are resident.
JOURNAL_BYTES = 8 << 20
LOG_BYTES = 4 << 20
#: Denied parent orders that `Engine.parent` remembers.
MOST_DENIALS = 1024
#: Room for the fills that the order table remembers, for each order that it holds.
FILLS_PER_ORDER = 4


class _NoServer:
    """Stands where a replay has no server."""

    name = "replay"
    borrows = False


class EngineError(Exception):
    """The engine cannot start or go on; the message says what to do."""


def reasons(failed: dict[str, str]) -> str:
    """One line on the exchanges that could not be reached, each with its reason."""
    return "; ".join(f"exchange {name}: {reason}" for name, reason in failed.items())


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
        self._limits = limits if isinstance(limits, RiskLimits) else RiskLimits(dict(limits or {}))
        self._given_names = list(strategy_names)
        self.strategy_names = [MANUAL]      # in the order of their numbers
        self._policy = policy
        self._fees, self._charges, self._joins = fees or {}, charges or {}, joins or {}
        self._volume_curves = {name: [float(one) for one in curve] for name, curve in (volume_curves or {}).items()}
        self._arrivals = {name: one.arrival for name, one in scores.exchanges.items()} if scores else {}
        self._layout, self._wait, self._cpus = layout, wait, cpus
        self._touch_books = touch_books
        self._room = {"orders": maximum_orders, "parents": maximum_parents}
        self._fill_room = FILLS_PER_ORDER * maximum_orders
        self._make_strategies = strategies if callable(strategies) else lambda _: strategies
        self._strategies: list[Strategy] = []
        self._standstill_ns = int(standstill * 1e9)
        self._silence_s = watchdog
        self._trades = False                # not before everything was ready once
        self._told_triggers = 0             # of the kill switch
        self._differences: Differences | None = None
        self.watchdog: WatchdogProcess | None = None
        self._temporary = tempfile.TemporaryDirectory(prefix="orderflow-") if directory is None else None
        self.directory = Path(self._temporary.name if self._temporary else directory)
        self._counter = 0
        self._denied: dict[int, ParentState] = {}   # by parent id, oldest first
        self._direct = server.name == "direct"
        self._journal_policy = journal
        self.core: Core | None = None
        self.threads: Threads | None = None
        self.journal: JournalFiles | None = None
        self._files: list = []              # journal and logs that are open
        self._decisions: DecisionFiles | None = None
        self._record = record
        self._all_exchanges = all_exchanges
        self._recorder: Recorder | None = None
        self._control: Control | None = None
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
                self._start_control()
                self.server.start(self.conversations)
            self._wait_ready(timeout)
        except BaseException:
            self.stop()
            raise
        self.trade()
        return self

    @property
    def problems(self) -> list[str]:
        """What went wrong, one line each; the newest MOST_PROBLEMS."""
        return self._report.newest

    @property
    def differences(self) -> list[Difference]:
        """Between exchanges' books and ours, that stand; the newest last."""
        return self._differences.standing if self._differences is not None else []

    def _fetch_listings(self) -> list[Listing]:
        listings: list[Listing] = []
        failed: dict[str, str] = {}
        for session in list(self.sessions):
            name = session.settings.name
            try:
                bodies = (self.server.fetch_now(name, session.metadata()) if self._direct
                          else self.server.fetch_now(session.metadata()))
            except ConnectionError as error:
                failed[name] = str(error)
                if self._all_exchanges or len(failed) == len(self.sessions):
                    raise EngineError(reasons(failed)) from None
                continue
            own = session.listings(bodies)
            for listing in own:
                maker, taker = self._fees.get(name, (listing.maker_fee, listing.taker_fee))
                listing = listing.with_fees(decimal(maker, "maker_fee"), decimal(taker, "taker_fee"))
                listings.append(listing.with_charges(self._charges.get(name, OrderCharges())))
            self._check_charges(name, own)
        for name, reason in failed.items():
            self._report(f"{reasons({name: reason})}; it is left out of this run")
        self.sessions = [session for session in self.sessions if session.settings.name not in failed]
        try:
            return joined(listings, self._joins, failed)
        except JoinError as error:
            raise EngineError(str(error)) from None

    def _check_charges(self, name: str, listings: Sequence[Listing]) -> None:
        """Charges of what the exchange does not list are a mistake in writing."""
        charges = self._charges.get(name, OrderCharges())
        for what, given, known in (("tickets", charges.tickets, {listing.quote for listing in listings}),
                                   ("fee_tiers", charges.fee_tiers, {listing.instrument for listing in listings})):
            for one in given:
                if one not in known:
                    raise EngineError(f"{what} of {name}: {one!r} is not listed there; there are "
                                      f"{', '.join(sorted(known))}")

    def _build(self, listings: list[Listing]) -> None:
        core = self.core = build_core(
            self.sessions, listings, borrows=self.server.borrows, layout=self._layout, trade=True,
            unix_offset_ns=0 if self._direct else None, control_bell=getattr(self.server, "bell", None),
            record=self._record, watch_silence=True, book_options={"touched": self._touch_books})
        made = self._make_strategies({item.name: item for item in core.instruments})
        self._strategies = [item if isinstance(item, Strategy) else PythonStrategy(item) for item in made]
        self._name_strategies()
        core.kill.name_strategies(self.strategy_names[1:])
        self._check_kind()
        journal = JournalFiles(self.directory, segment_bytes=JOURNAL_BYTES, policy=self._journal_policy,
                               report=self._report, unix_offset_ns=0 if self._direct else None,
                               instance=0 if self._direct else None)    # the same run gives the same ids there
        self._files.append(journal)
        self._differences = Differences(core.listings, self.directory, self._report)
        taken = self._taken_over(core, journal)
        self._build_router(core, journal, taken, self.now_ns)
        reconciled = {session.settings.name: session for session in self.sessions
                      if session.settings.trade and session.settings.name in core.orders and session.round_steps(0)}
        held_since = {}
        for name, session in reconciled.items():
            book = held.account_book(name, session.assets, core.table, core.listings, journal.instance,
                                     session.settings.accept_unexplained)
            held_since[name] = held.resume(name, book, taken.held, session.assets, core.listings)
            core.loops[name].compare_account(book)
        if self._journal_policy == "sync":
            for loop in core.loops.values():
                loop.wait_for_journal(journal)
        for strategy in self._strategies:
            if isinstance(strategy, PythonStrategy):
                strategy.bind(core.listings, core.instruments, self._parent_order)
        self.conversations = conversations(core, self.sessions, self._report, getattr(self.server, "hosts", HOSTS))
        for place, conversation in enumerate(self.conversations):
            conversation.clock.restrict = partial(self.router.set_exchange_state, place)
            if conversation.rounds is not None:
                conversation.differs = partial(self._differences.found, reconciled[conversation.name])
                conversation.rounds.since_ns = (held_since[conversation.name]
                                                or self._oldest_order_ns(conversation.name))
        self.threads = self._threads()
        if self._record:
            self._recorder = Recorder(self.directory, list(core.loops.values()), self._report)
            self._recorder.start()

    def _oldest_order_ns(self, exchange: str) -> int:
        """When the oldest order that the run before left there was decided, unix nanoseconds; 0 = it left none."""
        wall_offset_ns = 0 if self._direct else time.time_ns() - time.monotonic_ns()
        orders = [self.orders.known(slot) for slot in self.orders.unfinished]
        decided = [order["decided_ns"] + wall_offset_ns for order in orders
                   if self.core.listings[order["listing"]].exchange == exchange]
        return max(1, min(decided) - held.CLOCKS_NS) if decided else 0

    def _check_kind(self) -> None:
        """Paper and money never share a journal; a start that is refused has changed nothing."""
        try:
            check_kind(self.directory, self.paper)
        except CarriedError as error:
            raise EngineError(f"{self.directory}: {error}") from None

    def _taken_over(self, core: Core, journal: JournalFiles) -> Carried:
        """Open orders and positions of the run before."""
        wall_offset_ns = 0 if self._direct else time.time_ns() - time.monotonic_ns()    # as the journal's
        assets = {session.settings.name: session.assets for session in self.sessions}
        try:
            return carried(journal.directory, journal.epoch, core.listings, assets, self.strategy_names,
                           wall_offset_ns)
        except RunStartError as error:
            raise EngineError(f"{self.directory}: {error}. Begin in a new directory with a copy of this one's file "
                              "`epoch`, and look at the exchanges for orders that are still open") from None
        except CarriedError as error:
            raise EngineError(f"{self.directory}: {error}") from None

    def _tell_taken_over(self, slots: list[int], taken: Carried) -> None:
        for each in taken.elsewhere:
            self._report(f"the run before held a position in {each['exchange']} {each['symbol']}, which this run does "
                         "not trade: it is kept in the journal and counts in no limit")
        for slot in slots:
            order = self.orders.order(slot)
            listing = self.core.listings[order.listing]
            self._report(f"the run before left order {encode(order.client_order_id)} on {listing.exchange} "
                         f"{listing.symbol}; that listing takes no other until the exchange has said what became of it")

    def _name_strategies(self) -> None:
        """Everybody's limits by name, those of the defaults included: a replay has no strategies to name."""
        if self._given_names:
            names = [MANUAL, *self._given_names]
            if len(set(names)) != len(names) or len(names) != len(self._strategies) + 1:
                raise EngineError(f"strategy_names: name each of the {len(self._strategies)} strategies once, and none "
                                  f"of them {MANUAL}; they are {', '.join(names[1:])}")
        else:
            names = [MANUAL]
            for place, item in enumerate(self._strategies, 1):
                names.append(f"{item.name}_{place}" if item.name in names else item.name)
        self.strategy_names = names
        unknown = sorted(set(self._limits.strategies) - set(names))
        if unknown:
            raise EngineError(f"limits of strategy {unknown[0]!r}: there are {', '.join(names)}")
        self._limits = replace(self._limits, strategies={
            name: self._limits.strategies.get(name, self._limits.every_strategy) for name in names})

    def _build_router(self, core: Core, journal: JournalFiles, taken: Carried, now_ns: int) -> None:
        """Everything that the router and the strategizer write, and their loops."""
        self.table, self.instruments = core.table, {item.name: item for item in core.instruments}
        self.journal = journal
        for line in journal.recovered:
            self._report(line)
        epoch = journal.epoch
        self.logs = {}
        for name in ("router", "strategizer"):
            self.logs[name] = InputLogFiles(journal.directory, name, epoch, segment_bytes=LOG_BYTES)
            self._files.append(self.logs[name])
        decisions = DecisionFiles(journal.directory, epoch, segment_bytes=LOG_BYTES)
        self._files.append(decisions)
        width = max(len(item.listings) for item in core.instruments)
        self.orders = Orders(self.table, journal.prefix, listings_per_instrument=width, fills=self._fill_room,
                             **self._room)
        try:
            adopted = taken.enter(self.orders, now_ns)
        except OrderRefused as error:
            raise EngineError(f"{self.directory}: an order that the run before left cannot be taken over ({error}); "
                              "raise maximum_orders and maximum_parents") from None
        try:
            day_begins = time_of_day_ns(self._limits.total.day_begins, "total day_begins")
            self.risk = risk_book(self.table, core.listings, core.instruments, list(core.loops), self.strategy_names,
                                  self._limits, **self._room)
        except ValueError as error:
            raise EngineError(f"limits: {error}") from None
        self._count_what_was_held()
        self._take_over_residuals(core, taken)
        rings = {"parents": Ring(1024, 128), "parent_reports": Ring(8192, 128),
                 "wakes": Ring(power_of_two(len(core.listings) + WAKE_BEING_SERVED), 64)}
        strategy_pending = np.zeros(max(1, len(core.listings)), np.uint8)
        amends = {session.settings.name: Amends.AMENDS_NOTHING if self.paper else session.facts.amends
                  for session in self.sessions}
        ports = [(name, core.wakes[name], core.reports.get(name), core.orders.get(name), core.bells[name],
                  amends[name]) for name in core.loops]
        try:
            splitter = Splitter(self.table, depth=BOARD_DEPTH, charges=[listing.charge for listing in core.listings])
        except ValueError as error:
            raise EngineError(f"tickets and fee tiers: {error}") from None
        policy = RoutePolicy.SINGLE if self._policy == "single" else RoutePolicy.BEST
        self.router = RouterLoop(
            self.table, ports, core.board, core.wake_pending, strategy_pending, self.orders, self.risk, self._ledger,
            self.journal, self.logs["router"], decisions, splitter, rings["parents"], rings["parent_reports"],
            rings["wakes"], core.bells["router"], core.bells["strategizer"], core.report_lost, core.kill,
            policy=policy,
            day_begins_ns=day_begins, now_ns=now_ns, unix_offset_ns=0 if self._direct else None,
            curves=self._curves())
        self._decisions = decisions
        self.strategizer = StrategizerLoop(
            self.table, self._strategies, core.board, strategy_pending, self.logs["strategizer"], rings["wakes"],
            rings["parent_reports"], rings["parents"], core.bells["strategizer"], core.bells["router"])
        for index, listing in enumerate(core.listings):
            self.router.expect(index, *self._arrivals.get(listing.exchange, (0.0, 0)), now_ns)
        for slot in adopted:
            self.router.adopt(slot, now_ns)
        self._rings = (rings["parent_reports"], rings["wakes"], *core.orders.values(), *core.wakes.values())
        start = RunStart.of(core, self.sessions, policy=self._policy, recorded=self._record,
                            strategies=self.strategy_names, limits=self._limits.document(),
                            instance=journal.instance, volume_curves=self._volume_curves, arrivals=self._arrivals)
        records = taken.records()
        if not (self.journal.start_run(**start.fields(), carried=len(records), began_ns=now_ns)
                and all(self.journal.carry(**each) for each in records)):
            raise EngineError(f"{self.directory}: the first records of the run cannot be written: "
                              + str(self.journal.error or f"they do not fit into a segment of {JOURNAL_BYTES} bytes; "
                                    "trade fewer listings in one engine"))
        self._tell_taken_over(adopted, taken)

    def _curves(self) -> list[VolumeCurve | None]:
        """By instrument index, in its scale."""
        for name in self._volume_curves:
            if name not in self.instruments:
                raise EngineError(f"volume_curves {name!r}: there is no such instrument, there are "
                                  f"{', '.join(self.instruments)}")
        try:
            return [VolumeCurve(np.array(self._volume_curves[item.name]) * 10.0 ** item.quantity_decimals)
                    if item.name in self._volume_curves else None for item in self.instruments.values()]
        except ValueError as error:
            raise EngineError(f"volume_curves: {error}") from None

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

    def _count_what_was_held(self) -> None:
        """Positions of the run before, at cost, but for fills of adopted orders: risk takes those in with them."""
        for index in range(len(self.core.listings)):
            position = self.orders.position(index)
            quantity = position.net
            cash = -position.open_cost if position.net > 0 else position.open_cost
            for order in self.orders.orders():
                if order.listing == index:
                    sign = 1 if order.side == Side.BUY else -1
                    quantity -= sign * order.cumulative
                    cash += sign * order.notional
            self.risk.carry(index, quantity, cash)

    def _take_over_residuals(self, core: Core, taken: Carried) -> None:
        """Rests that the run before kept; those that have no place here are told, and stay in the journal."""
        self._ledger = ResidualLedger(len(self.strategy_names), len(core.instruments))
        try:
            others = enter(self._ledger, (Residual(**each) for each in taken.residuals), self.strategy_names,
                           core.instruments)
        except ResidualError as error:
            raise EngineError(f"{self.directory}: {error}; begin in a new directory with a copy of this one's file "
                              "`epoch`, and trade that rest by hand") from None
        for each in others:
            self._report(f"the run before kept a rest of {canonical(each.amount)} {each.instrument} for strategy "
                         f"{each.strategy}, of which this run lacks one: it stays in the journal")

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

    def trade(self) -> None:
        """Let orders pass: risk and every gate ACTIVE. The engine does so itself once it is ready."""
        self._trades = True
        self._set_trading_state(TradingState.ACTIVE)

    def halt(self, exchange: str | None = None, strategy: str | None = None) -> None:
        """Kill everything, one exchange or one strategy: gates refuse from now on and exchange threads cancel what was
        sent, or will when their order connection is back. Until `rearm`. ValueError for a name that there is not."""
        self.core.kill.pull(exchange, strategy)

    def rearm(self, exchange: str | None = None, strategy: str | None = None,
              instrument: str | None = None) -> list[str]:
        """Allow again what was killed, or one exchange or strategy of it; or an instrument that was halted because an
        exchange's books and ours differ (`rearm_instrument`). By hand only. What is killed still."""
        if instrument is not None:
            self.rearm_instrument(instrument)
            return self.core.kill.killed
        self.core.kill.rearm(exchange, strategy)
        if exchange is None and strategy is None and self._trades and "everything" not in self.core.kill.killed:
            self._set_trading_state(TradingState.ACTIVE)
        return self.core.kill.killed

    def _start_control(self) -> None:
        """The kill thread, and the sockets by which other processes reach this engine."""
        core = self.core
        wire_kill_switch(core, self.threads)
        if self._silence_s and core.orders and not self.paper:      # on paper nothing is out when the engine is gone
            self.watchdog = WatchdogProcess(
                self.directory, self.sessions, core.listings, self.server.ca_file, self.server.timeouts,
                self._silence_s, self._report)
        self._control = Control(self.directory, core.kill, self._respond, self._killed,
                                self.watchdog.pipe if self.watchdog else -1, self._standstill_ns)
        try:
            self._control.start()
        except OSError as error:
            raise EngineError(f"{self.directory}: no control socket can be made there ({error.strerror}); name a "
                              "directory on a local disk") from None

    def _killed(self) -> None:
        """The switch was pulled: what had to be done is done already, natively."""
        switch = self.core.kill
        self._told_triggers = switch.triggers
        code, subject = self.router.fault
        why = f": {fault_text(code, subject)}" if switch.cause == KillCause.KILLED_BY_FAULT and code else ""
        self._report(f"killed: {', '.join(switch.killed) or 'nothing'} ({switch.cause.name}{why}); `orderflow rearm "
                     f"{self.directory}` allows it again")

    def _respond(self, asked: dict) -> dict:
        """Answer a request of another process: status or rearm."""
        command, exchange, strategy, instrument = (
            asked.get(key) for key in ("command", "exchange", "strategy", "instrument"))
        if command == "status":
            return status_of(self)
        if command == "rearm":
            return {"killed": self.rearm(exchange or None, strategy or None, instrument or None)}
        raise Refused(f"{command!r}: expected status or rearm")

    def _set_trading_state(self, state: TradingState) -> None:
        deaf = [] if self.router.set_state(state) else ["router"]
        deaf += [name for name, loop in self.core.loops.items()
                 if not loop.command(CommandKind.SET_TRADING_STATE, value=state)]
        if deaf:
            raise EngineError(f"{', '.join(deaf)} did not take {state.name}: too many commands wait; ask again")

    def set_strategy_state(self, strategy: str, state: TradingState | str) -> None:
        """Let a strategy trade, let it only reduce what it holds, or halt it, by hand.

        ACTIVE arms it again after it was halted or stopped by a control: its profit, its fills and its rejects are
        counted anew. ValueError names what there is; EngineError: ask again.
        """
        if strategy not in self.strategy_names:
            raise ValueError(f"strategy {strategy!r}: there are {', '.join(self.strategy_names)}")
        wanted = TradingState[state] if isinstance(state, str) else state
        if not self.router.set_strategy_state(self.strategy_names.index(strategy), wanted):
            raise EngineError(f"strategy {strategy} was not told {wanted.name}: too many commands wait; ask again")

    def rearm_total(self) -> None:
        """Count the profit of everything anew: after the loss limit in total has tripped, by hand. EngineError: ask
        again."""
        if not self.router.rearm_total():
            raise EngineError("risk was not told: too many commands wait; ask again")

    def rearm_instrument(self, instrument: str) -> None:
        """What the exchanges have of an instrument is right, though fills do not explain it: it trades again, by hand.
        Its assets and orders are compared with what is found now. ValueError names what there is; EngineError: ask
        again."""
        if instrument not in self.instruments:
            raise ValueError(f"instrument {instrument!r}: there are {', '.join(self.instruments)}")
        item = self.instruments[instrument]
        deaf = [] if self.router.rearm_instrument(item.index) else ["router"]
        for index in item.listings:
            loop = self.core.loops[self.core.listings[index].exchange]
            if loop.account is not None and not loop.command(CommandKind.ACCEPT_ACCOUNT, listing=index):
                deaf.append(loop.name)
        if deaf:
            raise EngineError(f"{', '.join(deaf)} was not told: too many commands wait; ask again")
        self._differences.settled(instrument)
        for conversation in self.conversations:
            if conversation.rounds is not None:
                conversation.rounds.soon(self.now_ns)

    def strategy_state(self, strategy: str) -> tuple[str, str]:
        """(state, reason) of a strategy by the names of their TradingState and Reason; OK while it is ACTIVE."""
        if strategy not in self.strategy_names:
            raise ValueError(f"strategy {strategy!r}: there are {', '.join(self.strategy_names)}")
        view = self.risk.strategy(self.strategy_names.index(strategy))
        return TradingState(view.state).name, Reason(view.reason).name

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
            if self.core.kill.triggers != self._told_triggers:
                self._killed()          # there is no thread here that would be told
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
        if self._control is not None:
            self._control.stop()            # before the threads: their heartbeats end now
            self._control = None            # it holds this engine
            if self.watchdog is not None:
                self.watchdog.say_goodbye()     # the beats have ended, and that is in order
        if self.threads is not None:
            self.threads.stop()
        if self.watchdog is not None:
            self.watchdog.stop()            # in order, so it does nothing
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
        if self._decisions is None:
            return
        self.router.write_decisions()
        if self._decisions.lost:
            self._report(f"{self.directory}: {self._decisions.lost} of {self._decisions.taken} decisions could not be "
                         "written down, as the disk did not keep up; their orders are in the journal, and `orderflow "
                         "explain` cannot say why they went where they went")

    def close_files(self) -> None:
        """Flush and unlock journal, input logs and decision log. Idempotent."""
        if self._decisions is not None:
            self.router.write_decisions()
        for files in self._files:
            files.close()
        self._files = []

    # -- replay ---------------------------------------------------------------------------------------------------

    @classmethod
    def for_replay(cls, run: RunStart, epoch: int, directory, taken: Carried, began_ns: int) -> Engine:
        """An engine without server and threads whose router is fed by hand (orderflow.research.replay).

        Its journal has the epoch of the recorded run, so that client order ids come out the same.
        """
        sessions = [session_for(exchange.protocol, SessionSettings(
            exchange.name, symbols=tuple(item.symbol for item in run.listings if item.exchange == exchange.name),
            depth=exchange.depth, lines=2 if exchange.doubled else 1, renew_after_ns=0))
            for exchange in run.exchanges]
        engine = cls(sessions, _NoServer(), limits=RiskLimits.load(run.limits), policy=run.policy, directory=directory,
                     volume_curves=run.volume_curves)
        engine.strategy_names, engine._arrivals = list(run.strategies), run.arrivals
        core = engine.core = build_core(sessions, run.listings, borrows=False, unix_offset_ns=0)
        if hashlib.sha256(core.table.tobytes()).hexdigest() != run.table_sha256:
            raise EngineError("the listings of the run give another table than the run had: it was made by orderflow "
                              f"{run.version}, replay it with that version")
        for exchange in run.exchanges:
            if exchange.trades:
                core.orders[exchange.name] = Ring(ORDER_RING, 128)
                core.reports[exchange.name] = Ring(REPORT_RING, 128)
        Path(directory, "epoch").write_text(f"{run.instance} {epoch - 1}\n")
        journal = JournalFiles(directory, segment_bytes=JOURNAL_BYTES)
        engine._files.append(journal)
        engine._build_router(core, journal, taken, began_ns)
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
               algorithm: str = "immediate", seconds: float | None = None, start_seconds: float = 0,
               slices: int | None = None, randomness: int = 0, minimum_slice: object = None,
               half_life: float | None = None, urgency: int | None = None, participation: object = None,
               reaction_bps: object = None, times_usual: float | None = None, exchanges: Sequence[str] = (),
               post_only: bool = False, display: object = None, peg: str | None = None, offset: int = 0,
               must_complete: bool = False, with_residual: bool = False, tactic: str = "take") -> int:
        """Submit a parent order; returns its id.

        One that is below the minimum quantity or the minimum notional of every exchange ends at once, for the reason
        BELOW_MINIMUM_REMAINS, and is kept (`residuals`). docs/algorithms.md says what each algorithm does.

        Parameters
        ----------
        instrument : str
            As in `engine.instruments`.
        side : "buy" or "sell"
        quantity, limit_price : Decimal, str or int
            Base and quote currency; no limit = the collar's.
        algorithm : str
            "immediate": it crosses what it finds within its limit, again and again, until it is filled. "resting": it
            is one order at its limit price on one exchange until it is filled or cancelled, or until the exchange ends
            it. "peg": the same, at a price that follows the market's. "join": what is worth waiting for joins the
            queues at the best prices of its side, on several exchanges at once, and the rest crosses. "twap",
            "shortfall", "close": in slices over its time, equal ones, larger ones first, or larger ones last; what a
            slice does not find is caught up by the next. "adaptive_shortfall": faster where the price is better than at
            arrival. "vwap": in slices as the volume curve expects it and as it is traded. "pov": a part of what is
            traded; "price_inline": of more where the price is better than at arrival; "minimal_impact": where the
            spread is not wider than usual; "liquidity_seeking": where unusually much is displayed. "sniper": all of it
            at once where so much is displayed within its limit, or nothing. "sweep": what is found now, and never
            again.
        seconds : float, optional
            When it ends at the latest, from its start.
        start_seconds : float
            When one that is worked over its time begins, from now.
        slices : int, optional
            Of its time, at most; fewer where they would be too small to be sent. By default one a second, at most 100.
        randomness : int
            By how many percent of a slice its beginning and, of a schedule, its size may be off, at most 50.
        minimum_slice : Decimal, str or int, optional
            Of a schedule, and of a "sniper", by default all that remains of it; base currency.
        half_life : float, optional
            Of "shortfall", "close" and "adaptive_shortfall": seconds in which what remains falls by a factor e (1 /
            kappa of Almgren and Chriss), or grows by it.
        urgency : int, optional
            Of those: the same as a number from 0 (even slices) to 100 (the half-life is a tenth of its time). Of
            "immediate": from 100, at once (the same as nothing), down to 1; one that is less urgent pays at first
            little more than the best price after fees, and what it needs when four fifths of its `seconds` are over. Of
            "join", and of what has that tactic: at the usual spread a unit waits in a queue while its chance to be
            filled in time is that many per cent, and crosses else; 0 = none crosses, 100 = all do; 50 by default.
        participation : Decimal, str or float, optional
            Which part of all that is traded on its exchanges, ours included; above 0 and below 1. "pov" is to have it,
            a schedule never more than it: what that holds back is due later. By default 0.05 of "minimal_impact", whose
            most is 0.1, and 0.2 of "liquidity_seeking".
        reaction_bps : Decimal, str or int, optional
            Of "adaptive_shortfall" and "price_inline": by how many basis points the price is to be better than at
            arrival for twice the pace; worse by as much, it is half; 20 by default. Negative: the other way round.
        times_usual : float, optional
            Of "liquidity_seeking": how much more than usual is to be displayed; 2 by default.
        exchanges : sequence of str
            Where it may go; empty = everywhere. "resting" goes to one exchange; a peg chooses one. Where an exchange
            has several symbols of the instrument, "exchange SYMBOL" is one of them.
        post_only : bool
            Of one that rests: it is refused by the exchange where it would take. A peg stays a tick away from that.
        display : Decimal, str or int, optional
            Of one that rests: its order never shows more (an iceberg). Where the exchange refills one itself it is one
            order; elsewhere the next one follows when the one before has been filled. Base currency.
        peg : "primary", "mid" or "market"
            What a peg follows: the best price of its own side, halfway between both, or the best of the other side. It
            is never worse than `limit_price`.
        offset : int
            Of a peg: ticks that are added to that price; -1 is a tick lower, for buyers and sellers.
        must_complete : bool
            Of one that is worked over its time: with its last slice all that is left crosses within the limit price,
            whatever the volume. Of one that rests: what is left crosses in the last quarter of its `seconds`, at most
            five of them; a peg within its `limit_price`, a resting order at any price within the collar. Without it
            what is left at the end is not sent, for the reason END_TIME.
        with_residual : bool
            Whether it takes what is kept of its strategy and instrument (`residuals`): of its own side that is added to
            its quantity, of the other side taken off it. Where nothing is left of it then it ends at once, NETTED.
        tactic : "take" or "join"
            Of one that is worked in slices: what is due crosses at once, or is placed as "join" places it until the
            next slice begins; what was due before that crosses then.

        Raises
        ------
        ValueError
            An argument is wrong; the message names it.
        EngineError
            The engine does not run, or has no room for it.
        """
        if not self.started or self.stopped:
            raise EngineError("the engine does not run; nothing can be submitted")
        record = self._parent_order(
            instrument, self.now_ns, side, quantity, limit_price, algorithm=algorithm, seconds=seconds,
            start_seconds=start_seconds, slices=slices, randomness=randomness, minimum_slice=minimum_slice,
            half_life=half_life, urgency=urgency, participation=participation, reaction_bps=reaction_bps,
            times_usual=times_usual, exchanges=exchanges, post_only=post_only, display=display, peg=peg, offset=offset,
            must_complete=must_complete, with_residual=with_residual, tactic=tactic)
        self._counter += 1
        record["parent_id"] = self._counter
        if not self.strategizer.submit(record):
            raise EngineError("too many parent orders wait to be taken")
        return self._counter

    def _parent_order(self, instrument: str, now_ns: int, side: str, quantity: object, limit_price: object, *,
                      algorithm: str = "immediate", **how: Any) -> np.void:
        """The record of a parent order, checked: of `submit`, and of strategies in Python."""
        if instrument not in self.instruments:
            raise ValueError(f"instrument {instrument!r}: there are {', '.join(self.instruments)}")
        if algorithm.lower() == "vwap" and instrument not in self._volume_curves:
            raise ValueError(f"algorithm vwap: the engine has no volume curve of {instrument}; give it volume_curves")
        return parent_order(self.core, self.instruments[instrument], now_ns, side, quantity, limit_price,
                            unix_ns=now_ns if self._direct else time.time_ns(), algorithm=algorithm, **how)

    def estimate(self, instrument: str, side: str, quantity: object, *, daily_volume: float | None = None,
                 daily_volatility: float | None = None, risk_aversion: float = 0.3,
                 exchanges: Sequence[str] = ()) -> Estimate:
        """What a parent order would cost, at once and over time, and which algorithm it would choose; see
        orderflow.estimate.

        Parameters
        ----------
        daily_volume : float, optional
            Base currency that is traded in a day; by default that of the volume curve.
        daily_volatility : float, optional
            Standard deviation of a day's return; by default the mean of what the exchanges' signals say now.
        risk_aversion : float
            Basis points of expected cost that one basis point of deviation is worth.
        exchanges : sequence of str
            Where it may go; empty = everywhere.

        Raises
        ------
        EstimateError
            The books, the volume or the volatility are not known.
        ValueError
            An argument is wrong; the message names it.
        """
        if instrument not in self.instruments:
            raise ValueError(f"instrument {instrument!r}: there are {', '.join(self.instruments)}")
        item = self.instruments[instrument]
        curve = self._volume_curves.get(instrument)
        if daily_volume is None and curve is None:
            raise EstimateError(f"daily_volume: the engine has no volume curve of {instrument}; give one of the two")
        places = [index for index in item.listings if not exchanges or self.core.listings[index].exchange in exchanges]
        if not places:
            raise ValueError(f"exchanges {list(exchanges)}: none of them lists {instrument}")
        entries = [self.core.board.read(index) for index in places]
        rates = rates_of(self.table, self.core.board.read)
        if daily_volatility is None:
            daily_volatility = seen_volatility(entries)
        return estimate(item, Market(self.table[places], entries, [rates[index] for index in places]), side, quantity,
                        daily_volume=float(sum(curve or ())) if daily_volume is None else daily_volume,
                        daily_volatility=daily_volatility, risk_aversion=risk_aversion, has_curve=curve is not None)

    def cancel(self, parent_id: int) -> None:
        """Ask for the end of a parent order; EngineError if that could not even be asked, ValueError if there is none.
        """
        self._ask(parent_id, ParentKind.CANCEL_PARENT, "cancelled")

    def pause_parent(self, parent_id: int) -> None:
        """Ask that nothing new goes out for a parent order; what is out stays, and its time goes on. Errors as of
        `cancel`."""
        self._ask(parent_id, ParentKind.PAUSE_PARENT, "paused")

    def resume_parent(self, parent_id: int) -> None:
        """Ask that a paused parent order goes on; what its schedule missed is due at once. Errors as of `cancel`."""
        self._ask(parent_id, ParentKind.RESUME_PARENT, "resumed")

    def _ask(self, parent_id: int, kind: ParentKind, what: str) -> None:
        self._check_known(parent_id)
        record = np.zeros(1, PARENT_ORDER_DTYPE)[0]
        record["parent_id"], record["kind"] = parent_id, kind
        if not self.strategizer.submit(record):
            raise EngineError(f"too many parent orders wait to be taken; {parent_id} is not {what}: ask again")

    def replace(self, parent_id: int, *, quantity: object = None, limit_price: object = None) -> None:
        """Ask for another whole quantity (what is filled included) or limit price of a parent order.

        What is not named stays as it was last asked for. One that rests is changed in place where the exchange can do
        that, and otherwise cancelled and ordered anew. It stays as it is where risk or the exchange refuses:
        `parent(...)` shows what holds. A quantity that is filled
        already ends it. Errors as of `submit` and `cancel`.
        """
        state = self.parent(parent_id)
        self._check_known(parent_id)
        if state is None or state.done:
            raise ValueError(f"parent order {parent_id} has ended: nothing of it can be replaced")
        item = self.instruments[state.instrument]
        record = np.zeros(1, PARENT_ORDER_DTYPE)[0]
        record["parent_id"], record["kind"] = parent_id, ParentKind.REPLACE_PARENT
        for name, value, scale in (("quantity", quantity, item.quantity), ("limit_price", limit_price, item.price)):
            if value is not None:
                record[name] = scale(value)
                if record[name] <= 0:
                    raise ValueError(f"{name} {value}: expected a positive number, or None to leave it as it is")
        if not record["quantity"] and not record["limit_price"]:
            raise ValueError("replace: give a quantity, a limit_price, or both")
        if not self.strategizer.submit(record):
            raise EngineError(f"too many parent orders wait to be taken; {parent_id} is as it was: ask again")

    def parent(self, parent_id: int) -> ParentState | None:
        """How a parent order stands now; None = not taken yet, or ended and its place given to another."""
        for view in self.orders.parents():
            if view.parent_id == parent_id:
                return self._state(view)
        while (report := self.strategizer.next_denial()) is not None:
            self._denied[int(report["parent_id"])] = denied(self.core, report)
            if len(self._denied) > MOST_DENIALS:
                del self._denied[next(iter(self._denied))]
        return self._denied.get(parent_id)

    def _state(self, view) -> ParentState:
        """A parent order as users see it, with why the last order for it was refused."""
        return replace(state_of(self.core, self.sessions, view), refusal=self._refusal(view))

    def _refusal(self, view) -> str | None:
        last = self.risk.refusal(view.slot)
        if last.code == Reason.OK:
            return None
        instrument = self.core.instruments[view.instrument]
        told = refusal_text(last.code, last.limit, last.actual, Scales(
            self.core.listings[last.listing], instrument, self.risk.money_decimals_of(view.instrument)))
        if last.code not in (Reason.BALANCE_UNEXPLAINED, Reason.ORDER_UNEXPLAINED):
            return told
        why = [str(one) for one in self.differences if instrument.name in one.instruments]
        return f"{told} ({why[0]})" if why else told

    def _check_known(self, parent_id: int) -> None:
        if not 0 < parent_id <= self._counter and self.parent(parent_id) is None:
            raise ValueError(f"parent order {parent_id}: there is none")

    def parents(self) -> list[ParentState]:
        """Every parent order that is still in the table."""
        return [self._state(view) for view in self.orders.parents()]

    def residuals(self) -> list[Residual]:
        """Rests below every exchange's minimum that are kept until a parent order takes them (`submit` with
        `with_residual`): what is not zero, by strategy and instrument. Survives a restart."""
        return named(self._ledger, self.strategy_names, self.core.instruments)

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

    def consolidated(self, instrument: str) -> Consolidated:
        """The books of an instrument on all exchanges as they are now, in one order; see orderflow.consolidated.
        ValueError names the instruments that there are."""
        if instrument not in self.instruments:
            raise ValueError(f"instrument {instrument!r}: there are {', '.join(self.instruments)}")
        return Consolidated(self.instruments[instrument], self.core.listings, self.table, self.core.board.read,
                            self.now_ns, self.core.kill.killed)

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
