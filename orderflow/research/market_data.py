"""Books of exchanges without router and orders: what is watched, recorded, or played through sockets."""
from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orderflow._core.doorbell import Doorbell
from orderflow._core.types import BookState
from orderflow.exchanges.actions import Request
from orderflow.exchanges.session import Session
from orderflow.instrument import Instrument, Listing
from orderflow.joining import Join, JoinError, joined
from orderflow.metadata import reasons
from orderflow.problems import EngineError
from orderflow.servers.async_ import AsyncServer
from orderflow.servers.capture_writer import CaptureWriter
from orderflow.servers.connect import TIMEOUTS, Timeouts
from orderflow.servers.control import Conversation
from orderflow.servers.sync import SyncServer
from orderflow.wiring import Core, Threads, build_core, conversations, exchange_threads

#: What Python knows of a run: the server by its name.
SERVERS: dict[str, type[SyncServer] | type[AsyncServer]] = {"sync": SyncServer, "async": AsyncServer}


class MarketData:
    """Sessions -> listings -> native loops -> threads and server; a context manager.

    Parameters
    ----------
    sessions : sequence of Session
        One an exchange.
    server : "sync" or "async"
    report : callable(str)
        Told every problem in one line.
    ca_file : str, optional
        The only certificate authorities to trust; by default the system's.
    layout, wait, cpus, touch_books
        Of the native threads and of what they hold; see EngineSettings.
    tape_records : int
        Room of each exchange's tape; 0 = no tape.
    captures : dict of str -> path
        Where to write what each exchange sends, by its name.
    watch_silence : bool
        Whether a book of which nothing is heard becomes STALE.
    timeouts : Timeouts
        Of connecting and of REST.
    joins : dict of str -> Join
        As of Engine.

    Attributes
    ----------
    left_out : dict of str -> str
        Why, of each exchange that did not answer at the start.
    """

    def __init__(self, sessions: Sequence[Session], server: str, report: Callable[[str], None], *,
                 ca_file: str | None = None, layout: str = "split", wait: str = "park",
                 cpus: dict[str, int] | None = None, tape_records: int = 0, captures: dict[str, Path] | None = None,
                 watch_silence: bool = True, timeouts: Timeouts = TIMEOUTS, allow_gil_transport: bool = True,
                 touch_books: bool = False, joins: Mapping[str, Join] | None = None):
        self.sessions = list(sessions)
        self.left_out: dict[str, str] = {}
        self.report = report
        self._joins = joins or {}
        self.core: Core
        self.instruments: dict[str, Instrument]
        self.conversations: list[Conversation] = []
        self.writers: dict[str, CaptureWriter] = {}
        self._threads: Threads | None = None
        self._layout, self._wait, self._cpus, self._touch_books = layout, wait, cpus, touch_books
        self._tape_records, self._captures, self._watch_silence = tape_records, captures or {}, watch_silence
        options = {"allow_gil_transport": allow_gil_transport} if server == "sync" else {}
        self._bell = Doorbell()
        self.server = SERVERS[server](self._bell, report, ca_file, timeouts=timeouts, **options)

    def start(self) -> MarketData:
        """Fetch metadata, open connections, and return at once: books become LIVE one after the other.

        Raises
        ------
        EngineError
            No exchange answers; the message names them. One of several that does not is left out.
        SessionError
            An exchange does not offer a symbol; the message names it.
        """
        try:
            listings, answers = self._fetch()
            self.core = build_core(
                self.sessions, listings, borrows=self.server.borrows, layout=self._layout,
                tape_records=self._tape_records, control_bell=self._bell, record=bool(self._captures),
                watch_silence=self._watch_silence, book_options={"touched": self._touch_books})
            self.instruments = {item.name: item for item in self.core.instruments}
            self.conversations = conversations(self.core, self.sessions, self.report, self.server.hosts)
            self._start_captures(answers)
            self._threads = exchange_threads(self.core, self._layout, self._wait, self._cpus)
            self._threads.start()
            self.server.start(self.conversations)
        except BaseException:
            self.stop()
            raise
        return self

    def _fetch(self) -> tuple[list[Listing], dict[str, list[tuple[Request, bytes]]]]:
        listings: list[Listing] = []
        answers = {}
        for session in list(self.sessions):
            name, requests = session.settings.name, session.metadata()
            try:
                bodies = self.server.fetch_now(requests)
            except ConnectionError as error:
                self.left_out[name] = str(error)
                self.sessions.remove(session)
                continue
            listings += session.listings(bodies)
            answers[name] = [(request, bodies[request.purpose]) for request in requests]
        if not self.sessions:
            raise EngineError(reasons(self.left_out))
        for name, reason in self.left_out.items():
            self.report(f"{reasons({name: reason})}; it is left out")
        try:
            return joined(listings, self._joins, self.left_out), answers
        except JoinError as error:
            raise EngineError(str(error)) from None

    def _start_captures(self, answers: dict[str, list[tuple[Request, bytes]]]) -> None:
        for conversation in self.conversations:
            path = self._captures.get(conversation.name)
            if path is None:
                self.core.loops[conversation.name].close_recording()
                continue
            writer = CaptureWriter(path, self.core.loops[conversation.name],
                                   [line.endpoint.name for line in conversation.lines], self.report)
            self.writers[conversation.name] = conversation.capture = writer
            for request, body in answers[conversation.name]:
                if not conversation.session.snapshot_symbol(request.url):
                    writer.answered(request.url, body)      # a book asked for before any update joins none
            writer.start()

    def stop(self) -> None:
        """Close connections, end threads, finish captures. Idempotent, also after a start that failed half way."""
        if hasattr(self, "core"):
            for loop in self.core.loops.values():
                loop.close_tape()
        self.server.stop()
        if self._threads is not None:
            self._threads.stop()
        for writer in self.writers.values():
            writer.stop()

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not until():
            time.sleep(min(0.01, max(0.0, deadline - time.monotonic())))

    def book_state(self, index: int) -> str:
        """EMPTY, SYNCING, LIVE or STALE."""
        return BookState(int(self.core.board.read(index)["book_state"])).name

    def __enter__(self) -> MarketData:
        return self.start()

    def __exit__(self, *_) -> None:
        self.stop()
