"""The books of a capture: its frames handed to the native loop, or played by a simulated exchange over real sockets."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from orderflow._core.types import TAPE_DTYPE
from orderflow.exchanges import session_for
from orderflow.exchanges.facts import UNLIMITED
from orderflow.exchanges.session import SessionSettings
from orderflow.research.book_summary import BookSummary, summary_of
from orderflow.research.captures import recognise
from orderflow.research.market_data import MarketData
from orderflow.research.replayed import NAME, TAPE_RECORDS, Replayed
from orderflow.simulator.capture import Playback
from orderflow.simulator.certificates import Authority
from orderflow.simulator.dialects import dialect
from orderflow.simulator.server import SimulatedExchange
from orderflow.wiring import Core

#: How long a step of the playback may take before it is given up.
PATIENCE_S = 20.0


class BooksError(Exception):
    """A capture whose books cannot be made; the message says why."""


@dataclass(slots=True)
class Played:
    """What came of one capture.

    Attributes
    ----------
    summaries : dict of str -> dict
        By the exchange's own spelling; the fields of BookSummary.result.
    problems : list of str
        Everything the run had to say.
    """

    summaries: dict[str, dict] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def name_of(path) -> str:
    """A capture's file name without its endings."""
    return Path(path).name.split(".")[0]


def protocol_of(path, protocol: str | None = None) -> str:
    """The given protocol, or the one that the capture's own URLs name.

    Raises
    ------
    BooksError
        When neither tells.
    """
    protocol = protocol or recognise(path)
    if protocol is None:
        raise BooksError(f"{path}: no URL in it tells what it speaks; name it, with --exchange or as `protocol`")
    return protocol


class TapeReader:
    """Takes records off a tape and hands them to the summaries."""

    def __init__(self, core: Core, summaries: dict[int, BookSummary]):
        self._tape = core.tapes[NAME]
        self._summaries = summaries

    def drain(self) -> int:
        """Everything that is there now; returns how much it was."""
        count = 0
        while (record := self._tape.pop(TAPE_DTYPE)) is not None:
            summary = self._summaries.get(int(record["listing"]))
            if summary is not None:
                summary.add(record)
            count += 1
        return count


def books(path, protocol: str | None = None, server: str = "direct", *, tls: bool = True, layout: str = "split",
          wait: str = "park", progress: Callable[[str], None] = lambda line: None) -> Played:
    """Books of every instrument in a capture.

    Parameters
    ----------
    path : path-like
        A capture (docs/captures.md).
    protocol : str, optional
        Needed where the capture's own URLs do not tell.
    server : "direct", "sync" or "async"
        `direct` hands every frame to the native loop in one thread. The others play the capture through a simulated
        exchange over a real websocket into that server.
    tls : bool
        wss or ws, for sync and async.
    layout, wait : str
        Of the native threads, for sync and async.

    Raises
    ------
    BooksError, CaptureError, ValueError
        The capture cannot be read, or its protocol is not known.
    """
    protocol = protocol_of(path, protocol)
    if server == "direct":
        return _direct(path, protocol)
    if server not in ("sync", "async"):
        raise ValueError(f"server {server!r}: expected direct, sync or async")
    return _through_sockets(path, protocol, server, tls, layout, wait, progress)


# -- direct -----------------------------------------------------------------------------------------------------------

def _direct(path, protocol: str) -> Played:
    replayed = Replayed(path, protocol)
    summaries = {i: BookSummary(listing) for i, listing in enumerate(replayed.listings)}
    reader = TapeReader(replayed.core, summaries)
    for _ in replayed:
        reader.drain()
    return _finish(Played(problems=replayed.problems), replayed.core, summaries)


def _finish(played: Played, core: Core, summaries: dict[int, BookSummary]) -> Played:
    loop = core.loops[NAME]
    for index, summary in summaries.items():
        played.summaries[summary.listing.symbol] = summary_of(summary, loop.book(index), loop.counters(index))
    return played


# -- through a simulated exchange --------------------------------------------------------------------------------------

def _through_sockets(path, protocol: str, server: str, tls: bool, layout: str, wait: str,
                     progress: Callable[[str], None]) -> Played:
    speaker = dialect(protocol)
    playback = Playback(path, speaker, speed=0.0)
    contents = playback.contents
    symbols = tuple(symbol for symbol in contents.digits if symbol in contents.with_books)
    played = Played()
    with Authority() as authority, SimulatedExchange(speaker(playback), authority=authority if tls else None) as venue:
        port, secure = (venue.ports.tls, "s") if tls else (venue.ports.plain, "")
        session = session_for(protocol, SessionSettings(
            NAME, rest=f"http{secure}://127.0.0.1:{port}", stream=f"ws{secure}://127.0.0.1:{port}", symbols=symbols,
            depth=contents.depth, subscribe=tuple(speaker.subscriptions(playback.expected)), limits=UNLIMITED))
        run = MarketData([session], server, played.problems.append, ca_file=str(authority.path) if tls else None,
                         layout=layout, wait=wait, tape_records=TAPE_RECORDS, watch_silence=False)
        with run:
            summaries = {i: BookSummary(listing) for i, listing in enumerate(run.core.listings)}
            reader = TapeReader(run.core, summaries)
            progress(f"{name_of(path)}: playing")
            _follow(run, reader, venue, _joinable(playback, symbols), played)
        reader.drain()
        return _finish(played, run.core, summaries)


def _joinable(playback: Playback, symbols: Iterable[str]) -> set[str]:
    """Symbols whose book can become LIVE: those with a recorded snapshot, in the stream or over REST."""
    snapshots = playback.contents.snapshots
    return set(symbols) if not snapshots else {symbol for symbol in symbols if symbol in snapshots}


def _follow(run: MarketData, reader: TapeReader, venue: SimulatedExchange, expected: set[str], played: Played) -> None:
    """Drain the tape until the capture was played, everything sent has arrived and every book is joined."""
    def until(condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if reader.drain():
                deadline = time.monotonic() + PATIENCE_S
            elif time.monotonic() > deadline:
                raise BooksError(f"{what} did not come within {PATIENCE_S:g} s; " + "; ".join(played.problems[-3:]))
            else:
                time.sleep(0.001)

    until(venue.played.is_set, "the playback's end")
    sent = venue.frames_sent
    until(lambda: run.core.loops[NAME].totals["frames"] >= sent, "the arrival of every frame")
    books = run.conversations[0].health.books
    indices = [i for i, listing in enumerate(run.core.listings) if listing.symbol in expected]
    until(lambda: all(books.get(i) == "LIVE" for i in indices), "a LIVE book for every instrument")


__all__ = ["BooksError", "Played", "books", "name_of", "protocol_of"]
