"""What decides in one run: order table, risk, rests that are kept, journal and logs, and the loops that write them.

Made once a run, trading or replayed, with what the run before left in it (takeover.py).
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from orderflow import takeover
from orderflow._core.algos.volume_curve import VolumeCurve
from orderflow._core.allocation import Splitter
from orderflow._core.decision_log import DecisionFiles
from orderflow._core.input_log import InputLogFiles
from orderflow._core.journal import JournalFiles
from orderflow._core.loop_router import RouterLoop, StrategizerLoop
from orderflow._core.orders import Orders
from orderflow._core.residuals import ResidualLedger
from orderflow._core.ring import Ring
from orderflow._core.strategy import Strategy
from orderflow._core.types import Amends, RoutePolicy
from orderflow.carried import Carried
from orderflow.exchanges.session import Session
from orderflow.instrument import Instrument, time_of_day_ns
from orderflow.limits import MANUAL, RiskLimits, risk_book
from orderflow.problems import EngineError
from orderflow.run_start import RunStart
from orderflow.wiring import WAKE_BEING_SERVED, Core, power_of_two

BOARD_DEPTH = 20
#: Size of one segment of the journal, and of an input log: two of each are resident.
JOURNAL_BYTES = 8 << 20
LOG_BYTES = 4 << 20
#: Room for the fills that the order table remembers, for each order that it holds.
FILLS_PER_ORDER = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to decide with; as of Engine.

    Attributes
    ----------
    volume_curves : dict of str -> list of float
        By instrument name.
    arrivals : dict of str -> (float, int)
        What earlier runs say of each exchange: part that is gone on arrival, and nanoseconds of a round trip.
    maximum_orders, maximum_parents : int
        How many the order table holds.
    strategy_names : sequence of str
        By number, "manual" first; there is a strategy for each other one, but in a replay.
    unix_offset_ns : int, optional
        Unix clock - monotonic clock, where the clock is a virtual one.
    """

    limits: RiskLimits
    policy: str = "best"
    volume_curves: dict[str, list[float]] = field(default_factory=dict)
    arrivals: dict[str, tuple[float, int]] = field(default_factory=dict)
    maximum_orders: int = 16384
    maximum_parents: int = 1024
    strategies: Sequence[Strategy] = ()
    strategy_names: Sequence[str] = (MANUAL,)
    paper: bool = False
    record: bool = False
    unix_offset_ns: int | None = None

    def with_strategies(self, strategies: Sequence[Strategy], given: Sequence[str]) -> Plan:
        """With these, and everybody's limits by name, those of the defaults included: a replay has no strategies to
        name. EngineError where the given names do not fit."""
        if given:
            names = [MANUAL, *given]
            if len(set(names)) != len(names) or len(names) != len(strategies) + 1:
                raise EngineError(f"strategy_names: name each of the {len(strategies)} strategies once, and none "
                                  f"of them {MANUAL}; they are {', '.join(names[1:])}")
        else:
            names = [MANUAL]
            for place, item in enumerate(strategies, 1):
                names.append(f"{item.name}_{place}" if item.name in names else item.name)
        unknown = sorted(set(self.limits.strategies) - set(names))
        if unknown:
            raise EngineError(f"limits of strategy {unknown[0]!r}: there are {', '.join(names)}")
        limits = replace(self.limits, strategies={
            name: self.limits.strategies.get(name, self.limits.every_strategy) for name in names})
        return replace(self, strategies=list(strategies), strategy_names=names, limits=limits)


def open_journal(directory: Path, **options: Any) -> JournalFiles:
    """The journal of a run that begins in `directory`; options as of JournalFiles."""
    return JournalFiles(directory, segment_bytes=JOURNAL_BYTES, **options)


class Routing:
    """Everything that the router and the strategizer write, and their loops; RUN_START and what was taken over are in
    the journal.

    Parameters
    ----------
    core : Core
    sessions : sequence of Session
    plan : Plan
    journal : JournalFiles
    taken : Carried
        Of the run before, in the numbers of this one.
    now_ns : int
        When the run begins.
    directory : path
        By which messages name the run.
    files : list
        What is opened is put there at once, so that it can be closed whatever happens after that.
    report : callable(str)

    Attributes
    ----------
    logs : dict of str -> InputLogFiles
        Of the router and of the strategizer.
    residuals : ResidualLedger

    Raises
    ------
    EngineError
        Something that was chosen, or left by the run before, does not fit; the message says what to do.
    """

    def __init__(self, core: Core, sessions: Sequence[Session], plan: Plan, journal: JournalFiles, taken: Carried,
                 now_ns: int, directory: Path, files: list[Any], report: Callable[[str], None]):
        self.plan, self.journal = plan, journal
        self.logs: dict[str, InputLogFiles] = {}
        for name in ("router", "strategizer"):
            self.logs[name] = InputLogFiles(journal.directory, name, journal.epoch, segment_bytes=LOG_BYTES)
            files.append(self.logs[name])
        self.decisions = DecisionFiles(journal.directory, journal.epoch, segment_bytes=LOG_BYTES)
        files.append(self.decisions)
        room = {"orders": plan.maximum_orders, "parents": plan.maximum_parents}
        self.orders = Orders(core.table, journal.prefix, fills=FILLS_PER_ORDER * plan.maximum_orders,
                             listings_per_instrument=max(len(item.listings) for item in core.instruments), **room)
        adopted = takeover.enter_orders(directory, self.orders, taken, now_ns)
        try:
            day_begins = time_of_day_ns(plan.limits.total.day_begins, "total day_begins")
            self.risk = risk_book(core.table, core.listings, core.instruments, list(core.loops),
                                  plan.strategy_names, plan.limits, **room,
                                  assets={session.settings.name: session.assets for session in sessions})
        except ValueError as error:
            raise EngineError(f"limits: {error}") from None
        takeover.count_positions(self.risk, self.orders, len(core.listings))
        self.residuals = ResidualLedger(len(plan.strategy_names), len(core.instruments))
        takeover.enter_residuals(directory, self.residuals, taken, plan.strategy_names, core.instruments, report)
        self._make_loops(core, sessions, day_begins, now_ns)
        for index, listing in enumerate(core.listings):
            self.router.expect(index, *plan.arrivals.get(listing.exchange, (0.0, 0)), now_ns)
        for slot in adopted:
            self.router.adopt(slot, now_ns)
        self._begin(core, sessions, taken, now_ns, directory)
        takeover.tell(taken, self.orders, adopted, core.listings, report)

    def _make_loops(self, core: Core, sessions: Sequence[Session], day_begins_ns: int, now_ns: int) -> None:
        plan = self.plan
        parents, parent_reports = Ring(1024, 128), Ring(8192, 128)
        wakes = Ring(power_of_two(len(core.listings) + WAKE_BEING_SERVED), 64)
        strategy_pending = np.zeros(max(1, len(core.listings)), np.uint8)
        amends = {session.settings.name: Amends.AMENDS_NOTHING if plan.paper else session.facts.amends
                  for session in sessions}
        ports = [(name, core.wakes[name], core.reports.get(name), core.orders.get(name), core.bells[name],
                  amends[name]) for name in core.loops]
        try:
            splitter = Splitter(core.table, depth=BOARD_DEPTH, charges=[listing.charge for listing in core.listings])
        except ValueError as error:
            raise EngineError(f"tickets and fee tiers: {error}") from None
        self.router = RouterLoop(
            core.table, ports, core.board, core.wake_pending, strategy_pending, self.orders, self.risk, self.residuals,
            self.journal, self.logs["router"], self.decisions, splitter, parents, parent_reports, wakes,
            core.bells["router"], core.bells["strategizer"], core.report_lost, core.kill,
            policy=RoutePolicy.SINGLE if plan.policy == "single" else RoutePolicy.BEST, day_begins_ns=day_begins_ns,
            now_ns=now_ns, unix_offset_ns=plan.unix_offset_ns, curves=self._curves(core.instruments))
        self.strategizer = StrategizerLoop(
            core.table, list(plan.strategies), core.board, strategy_pending, self.logs["strategizer"], wakes,
            parent_reports, parents, core.bells["strategizer"], core.bells["router"])
        self._rings = (parent_reports, wakes, *core.orders.values(), *core.wakes.values())

    def _curves(self, instruments: Sequence[Instrument]) -> list[VolumeCurve | None]:
        """By instrument index, in its scale."""
        given, known = self.plan.volume_curves, [item.name for item in instruments]
        for name in given:
            if name not in known:
                raise EngineError(f"volume_curves {name!r}: there is no such instrument, there are {', '.join(known)}")
        try:
            return [VolumeCurve(np.array(given[item.name]) * 10.0 ** item.quantity_decimals)
                    if item.name in given else None for item in instruments]
        except ValueError as error:
            raise EngineError(f"volume_curves: {error}") from None

    def _begin(self, core: Core, sessions: Sequence[Session], taken: Carried, now_ns: int, directory: Path) -> None:
        """The first records of the run."""
        plan = self.plan
        start = RunStart.of(core, sessions, policy=plan.policy, recorded=plan.record, strategies=plan.strategy_names,
                            limits=plan.limits.document(), instance=self.journal.instance,
                            volume_curves=plan.volume_curves, arrivals=plan.arrivals)
        records = taken.records()
        if not (self.journal.start_run(**start.fields(), carried=len(records), began_ns=now_ns)
                and all(self.journal.carry(**each) for each in records)):
            raise EngineError(f"{directory}: the first records of the run cannot be written: "
                              + str(self.journal.error or f"they do not fit into a segment of {JOURNAL_BYTES} bytes; "
                                    "trade fewer listings in one engine"))

    def drain_rings(self) -> None:
        """Take what the router has put into its rings: in a replay nobody else does."""
        for ring in self._rings:
            while ring.pop() is not None:
                pass
