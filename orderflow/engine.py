"""Engine: settings -> core objects -> threads."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from orderflow._core.board import Board
from orderflow._core.doorbell import Doorbell, WaitPolicy
from orderflow._core.loops import ExchangeLoop, NativeThread
from orderflow._core.ring import Ring
from orderflow.exchanges.session import Session
from orderflow.instrument import Instrument, Listing, instruments_of, table
from orderflow.servers.control import Conversation


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


def build_core(sessions: Sequence[Session], listings: Sequence[Listing], *, borrows: bool, layout: str = "split",
               tape_records: int = 0, book_options: dict | None = None) -> Core:
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
    """
    names = [session.settings.name for session in sessions]
    rows = table(listings, names)
    core = Core(list(listings), instruments_of(listings), rows, Board(max(1, len(listings))),
                np.zeros(max(1, len(listings)), np.uint8), Doorbell())
    shared = Doorbell()
    core.bells["router"] = shared if layout == "fused" else Doorbell()
    for index, session in enumerate(sessions):
        name = names[index]
        own = {i: listing.symbol for i, listing in enumerate(listings) if listing.exchange == name}
        session.start(list(own), [listings[i] for i in own])
        symbols = {symbol: i for i, symbol in own.items()}
        core.bells[name] = shared if layout == "fused" else Doorbell()
        core.wakes[name] = Ring(power_of_two(max(1, len(listings))), 64)
        if tape_records:
            core.tapes[name] = Ring(power_of_two(tape_records), 128)
        core.loops[name] = ExchangeLoop(
            name, index, rows, own, session.rule, session.market_codec(rows, symbols),
            session.order_codec(rows, symbols), core.board, core.wake_pending, core.wakes[name], core.bells[name],
            core.bells["router"], core.control_bell, tape=core.tapes.get(name), borrows=borrows,
            book_options=book_options)
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


def conversations(core: Core, sessions: Sequence[Session], report: Callable[[str], None]) -> list[Conversation]:
    """One conversation an exchange."""
    return [Conversation(session, core.loops[session.settings.name], report) for session in sessions]


def wait_until(condition: Callable[[], bool], timeout: float, what: str, pause: float = 0.005) -> None:
    """Poll until `condition`; TimeoutError says `what` did not happen."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {timeout:g} s")
        time.sleep(pause)
