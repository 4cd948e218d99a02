"""The native objects of one run, wired to each other, and the threads that run them."""
from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from orderflow._core.board import Board
from orderflow._core.doorbell import Doorbell, WaitPolicy
from orderflow._core.kill import KillSwitch
from orderflow._core.loop_router import RouterLoop, StrategizerLoop
from orderflow._core.loops import ExchangeLoop, Loop, NativeThread
from orderflow._core.rates import OrderRates
from orderflow._core.ring import Ring
from orderflow.exchanges.facts import Tariff
from orderflow.exchanges.paper import paper_exchange
from orderflow.exchanges.session import Session
from orderflow.instrument import Instrument, Listing, instruments_of, table
from orderflow.servers.control import Conversation
from orderflow.servers.hosts import Hosts

#: Besides a slot per listing: a wake-up keeps its slot while it is served, and its flag is down by then.
WAKE_BEING_SERVED = 1
#: Room of the rings between router and exchange threads: every order that may be open, several reports each.
ORDER_RING = 4096
REPORT_RING = 16384


def power_of_two(count: int) -> int:
    """The smallest power of two that is at least `count`."""
    return 1 << max(0, count - 1).bit_length()


def order_rates(session: Session, listings: int) -> OrderRates:
    """What an exchange allows of orders, natively: its own limits, and what the settings allow besides."""
    known = session.order_limits
    limits = [(limit.count, limit.period_ns, (1, 0, 0, 0), not known.filled_orders_count) for limit in known.orders]
    count, period_ns = session.settings.order_rate
    if count:
        limits.append((count, period_ns, (1, 1, 1, 1), False))
    counter = None if known.counter is None else (known.counter.most, known.counter.point_ns, [
        (tariff.points, tariff.steps) for tariff in (
            known.counter.place, known.counter.cancel, known.counter.amend, Tariff())])
    return OrderRates(listings, (known.place, known.cancel, known.amend, known.cancel_all), limits, counter)


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
    kill: KillSwitch
    bells: dict[str, Doorbell] = field(default_factory=dict)
    wakes: dict[str, Ring] = field(default_factory=dict)
    loops: dict[str, ExchangeLoop] = field(default_factory=dict)
    tapes: dict[str, Ring] = field(default_factory=dict)
    twins: dict[str, Session] = field(default_factory=dict)
    orders: dict[str, Ring] = field(default_factory=dict)
    reports: dict[str, Ring] = field(default_factory=dict)
    report_lost: np.ndarray = field(default_factory=lambda: np.zeros(1, np.uint8))

    def instrument_named(self, name: str) -> Instrument:
        """ValueError names those there are."""
        for item in self.instruments:
            if item.name == name:
                return item
        raise ValueError(f"instrument {name!r}: there are {', '.join(item.name for item in self.instruments)}")


def build_core(sessions: Sequence[Session], listings: Sequence[Listing], *, borrows: bool, layout: str = "split",
               tape_records: int = 0, book_options: dict[str, Any] | None = None, trade: bool = False,
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
        Make order paths for the sessions that trade, on paper or not.
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
                np.zeros(max(1, len(listings)), np.uint8), control_bell or Doorbell(), KillSwitch(names))
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
        on_paper = trade and session.settings.paper is not None
        if order_codec is not None or on_paper:
            core.orders[name], core.reports[name] = Ring(ORDER_RING, 128), Ring(REPORT_RING, 128)
        core.loops[name] = ExchangeLoop(
            name, index, rows, own, session.rule, [speaker.market_codec(rows, symbols) for speaker in speakers],
            order_codec, core.board, core.wake_pending, core.wakes[name], core.bells[name],
            core.bells["router"], core.control_bell, tape=core.tapes.get(name), borrows=borrows,
            book_options=book_options, orders=core.orders.get(name), reports=core.reports.get(name),
            report_lost=core.report_lost, kill_switch=core.kill, order_rates=order_rates(session, len(listings)),
            is_exclusive=session.settings.account_is_exclusive, dead_man_ns=session.settings.dead_man_ns,
            unix_offset_ns=unix_offset_ns, record=record,
            silence_ns=session.settings.silence_ns if watch_silence else 0,
            shared_book_ids=session.facts.shared_book_ids, growing_trade_ids=session.facts.growing_trade_ids,
            kept_levels=session.facts.kept_levels)
        if on_paper:
            core.loops[name].trade_on_paper(paper_exchange(session, listings))
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

    def __init__(self, groups: Sequence[tuple[str, Sequence[Loop], Doorbell]], wait: str = "park",
                 cpus: dict[str, int] | None = None):
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


def all_threads(core: Core, router: RouterLoop, strategizer: StrategizerLoop, layout: str, wait: str,
                cpus: dict[str, int] | None = None) -> Threads:
    """Threads for the exchange loops, the router and the strategizer."""
    if layout == "fused":
        # The router twice: it wakes the strategizer, and what that submits is routed in the same round.
        return Threads([("fused", [*core.loops.values(), router, strategizer, router], core.bells["router"])], wait,
                       cpus)
    groups: list[tuple[str, list[Loop], Doorbell]] = [
        (name, [loop], core.bells[name]) for name, loop in core.loops.items()]
    groups += [("router", [router], core.bells["router"]), ("strategizer", [strategizer], core.bells["strategizer"])]
    return Threads(groups, wait, cpus)


def wire_kill_switch(core: Core, threads: Threads) -> None:
    """Let the kill thread ring every doorbell and look at every thread's heartbeat."""
    for bell in core.bells.values():
        core.kill.add_bell(bell)
    for name, native in threads.native.items():
        exchanges = list(core.loops) if name == "fused" else [name] if name in core.loops else []
        core.kill.add_heartbeat(native, native.heartbeat_address, exchanges)


def conversations(core: Core, sessions: Sequence[Session], report: Callable[[str], None],
                  hosts: Hosts) -> list[Conversation]:
    """One conversation an exchange. `hosts` is the server's: its times are those of the server's clock."""
    return [Conversation(session, core.loops[session.settings.name], report, hosts,
                         twin=core.twins.get(session.settings.name)) for session in sessions]


def wait_until(condition: Callable[[], bool], timeout: float, what: str, pause: float = 0.005) -> None:
    """Poll until `condition`; TimeoutError says `what` did not happen."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {timeout:g} s")
        time.sleep(pause)
