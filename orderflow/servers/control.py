"""The conversation with one exchange: its session, its native loop, and what the driver must do. No sockets here.

    native loop ──Event──> Conversation ──frame, need_snapshot──> session
                                │      <──Send, Fetch, ...──────┘
    driver <──Connect, Fetch, Release──┘ ──SEND_FRAME, SNAPSHOT_BODY──> native loop

The sync, async and direct drivers differ in how they connect and fetch; what is said, when, and again after how long is
decided here. Control thread only.
"""
from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orderflow._core.codec import DecodeStatus
from orderflow._core.types import BookFault, BookState, CommandKind, EventKind, LossReason, Role
from orderflow._core.websocket import FrameFault
from orderflow.exchanges.session import (
    Endpoint,
    Fetch,
    KeepAlive,
    Open,
    Problem,
    Ready,
    Reconnect,
    Request,
    Send,
    Session,
    SnapshotBody,
    renew_after_ns,
)
from orderflow.servers.lines import Line, Pair

if TYPE_CHECKING:
    from orderflow.servers.capture_writer import CaptureWriter

SECOND_NS = 1_000_000_000
NO_LISTING = 0xFFFFFFFF
FIRST_PAUSE_NS = SECOND_NS // 4
LONGEST_PAUSE_NS = 30 * SECOND_NS
#: A connection that stayed open this long was a good one: the next attempt starts without a pause again.
GOOD_NS = 10 * SECOND_NS
#: What a session raises on something that no document describes. It must not end the thread that serves them all.
MISUNDERSTOOD = (ValueError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class Connect:
    """Driver: open this connection, then call `connected` or `connect_failed`."""

    line: int
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Release:
    """Driver: the native thread has let go of this connection's transport; close the socket."""

    line: int


Effect = Connect | Fetch | Release


@dataclass(slots=True)
class SnapshotRequests:
    """Snapshots asked for of one listing on one line: an exchange bans who asks too often."""

    epochs: frozenset[int] = frozenset()    # of the connections with books that were open when the last was asked for
    fault: BookFault = BookFault.NO_FAULT   # why
    asked_ns: int | None = None
    pause_ns: int = 0               # between the last one and the next
    due_ns: int | None = None       # of one that waits for its turn


@dataclass(slots=True)
class Health:
    """What the user may ask about one exchange."""

    connects: int = 0
    losses: int = 0                 # not those that another connection was opened for beforehand
    refused_frames: int = 0
    books: dict[int, str] = field(default_factory=dict)
    last_problem: str = ""


def stale(loop, listing: int, fault: BookFault) -> str:
    """One line on a book that may not be believed any more."""
    return f"book of {loop.symbol(listing)} is STALE ({fault.name}) and not read until it is in step again"


def describe(loop, event, payload: bytes) -> str:
    """One line on an event that a user should hear of; "" for any other."""
    listing, value, detail = int(event["listing"]), int(event["value"]), int(event["detail"])
    if event["kind"] == EventKind.BOOK_CHANGED and value == BookState.STALE:
        return stale(loop, listing, BookFault(detail))
    if event["kind"] == EventKind.FRAME_REFUSED:
        name = f" of {loop.symbol(listing)}" if listing != NO_LISTING else ""
        shown = payload[:120].decode(errors="replace")
        return f"a frame{name} was refused: {DecodeStatus(value).name} at byte {detail}: {shown!r}"
    return ""


class Conversation:
    """Joins one session with one native exchange loop.

    Parameters
    ----------
    session : Session
    loop : ExchangeLoop
        Takes commands, gives events.
    report : callable(str)
        Told every problem in one line that a user understands.
    seed : int
        Of the jitter between attempts.
    twin : Session, optional
        What speaks on the second line, where there may be one.
    """

    def __init__(self, session: Session, loop, report: Callable[[str], None], seed: int = 0,
                 twin: Session | None = None):
        self.session = session
        self.loop = loop
        self.name = session.settings.name
        self.report = report
        self.lines = [Line(endpoint) for endpoint in session.endpoints()]
        self.pairs: list[Pair] = []
        self._sessions = [session]
        self._renew_after_ns = renew_after_ns(session)
        if twin is not None:
            self._add_second_lines(twin)
        self.health = Health()
        self._snapshots: dict[tuple[int, int], SnapshotRequests] = {}      # by line and listing
        self._origins: dict[int, int] = {}      # the line that a REST call under way is for, by the request's identity
        self._unix_offset_ns = 0
        self._random = random.Random(f"{self.name} {seed}")
        self._stopping = False
        self.capture: CaptureWriter | None = None       # told what goes out and where to; frames come natively

    def _add_second_lines(self, twin: Session) -> None:
        both = twin.settings.lines > 1
        self._sessions.append(twin)
        for line in [line for line in self.lines if line.endpoint.role == Role.MARKET_DATA]:
            second = Line(line.endpoint, number=1, wanted=both)
            self.lines.append(second)
            self.pairs.append(Pair(line, second, both, self._retire))

    # -- what the driver calls ------------------------------------------------------------------------------------

    def due(self, now_ns: int) -> Iterator[Effect]:
        """Connections to open and snapshots to ask for now."""
        if self._stopping:
            return
        for pair in self.pairs:
            pair.renew(now_ns)
        for index, line in enumerate(self.lines):
            if line.wanted and line.state == "closed" and now_ns >= line.attempt_ns:
                line.state = "connecting"
                line.asked = None if line.endpoint.url else self._session_of(index).prepare(line.endpoint.name)
                yield Connect(index, line.endpoint) if line.asked is None else self._fetch(line.asked, index)
        for (index, listing), requests in self._snapshots.items():
            if requests.due_ns is not None and now_ns >= requests.due_ns:
                yield from self._ask(index, listing, requests, now_ns)

    def next_due_ns(self) -> int | None:
        """When `due` has something to do; None = nothing is planned."""
        waiting = [line.attempt_ns for line in self.lines if line.wanted and line.state == "closed"]
        waiting += [line.renew_ns for line in self.lines if line.state == "open" and line.renew_ns is not None]
        waiting += [requests.due_ns for requests in self._snapshots.values() if requests.due_ns is not None]
        return min(waiting) if waiting and not self._stopping else None

    def connected(self, index: int, transport: int, now_ns: int, unix_ns: int) -> list[Effect]:
        """A connection is open. `transport` is the native transport's address, 0 for one fed through a ring."""
        line, pair = self.lines[index], self._pair_of(index)
        line.state, line.opened_ns, line.ready, line.leaving = "open", now_ns, False, False
        if pair is None:
            line.epoch += 1
        else:               # one count for both: an epoch of the board names one connection
            line.epoch = 1 + max(pair.current.epoch, pair.other.epoch)
            pair.opened(line, now_ns, self._renew_after_ns, self._random.random())
        self.health.connects += 1
        if self.capture is not None and line.endpoint.role == Role.MARKET_DATA:
            self.capture.opened(index, line.epoch, line.url or line.endpoint.url)
        self._command(CommandKind.CONNECTION_OPENED, index, role=line.endpoint.role, value=transport,
                      argument=int(line.carries_books), line=line.number)
        try:
            actions = self._session_of(index).opened(line.endpoint.name, unix_ns)
        except MISUNDERSTOOD as error:
            actions = [Reconnect(line.endpoint.name, f"it could not be set up ({error!r})")]
        return self._act(actions, index)

    def connect_failed(self, index: int, problem: str, now_ns: int) -> None:
        """An attempt failed; another is planned."""
        line = self.lines[index]
        self.tell(f"{line.name} connection: {problem}")
        self._plan_again(line, now_ns)

    def disconnected(self, index: int, code: int, epoch: int) -> None:
        """A connection fed through a ring is gone: the native loop is told and will answer with its events. `epoch`
        says which one: the end of an old connection may come after the next has opened."""
        self.loop.command(CommandKind.CONNECTION_ENDED, connection=index, epoch=epoch, value=code)

    def answered(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Effect]:
        """A REST call was answered; status 0 = it failed, `body` says how."""
        origin = self._origins.pop(id(request), 0)
        if self.capture is not None and request.listing >= 0 and status == 200:
            self.capture.answered(request.url, body, request.listing)
        try:
            actions = self._session_of(origin).answer(request, status, body, unix_ns)
        except MISUNDERSTOOD as error:
            actions = [Problem(f"the answer to {request.purpose} was not understood ({error!r}): "
                               f"{body[:120].decode(errors='replace')}")]
            if request.listing < 0:             # nobody asks again for what a connection needs, but a new connection
                actions += [Reconnect(line.endpoint.name, f"{request.purpose} failed")
                            for line in self.lines if line.endpoint.role == Role.ORDERS]
        requests = self._snapshots.get((origin, request.listing))
        if requests is not None and requests.epochs.isdisjoint(self._book_epochs):
            return []                   # asked for by a connection that is gone; the new one asks itself
        if request.listing >= 0 and not any(isinstance(action, SnapshotBody) for action in actions):
            self.loop.command(CommandKind.SNAPSHOT_FAILED, listing=request.listing)
        effects = self._act(actions, origin)
        for index, line in enumerate(self.lines):
            if line.state == "connecting" and line.asked is request:
                line.asked = None
                if not any(isinstance(effect, Connect) and effect.line == index for effect in effects):
                    self._plan_again(line, unix_ns - self._unix_offset_ns)
        return effects

    def stop(self) -> None:
        """Ask the native loop to close every connection; no new one is opened."""
        self._stopping = True
        for index, line in enumerate(self.lines):
            if line.state == "open":
                self._command(CommandKind.CLOSE_CONNECTION, index)

    @property
    def quiet(self) -> bool:
        """No connection is open or being opened."""
        return all(line.state == "closed" for line in self.lines)

    @property
    def ready(self) -> bool:
        """Every connection is open and set up; of two lines, one."""
        doubled = {id(line) for pair in self.pairs for line in (pair.current, pair.other)}
        return (all(line.serves for line in self.lines if id(line) not in doubled)
                and all(pair.current.serves or pair.other.serves for pair in self.pairs))

    def events(self, now_ns: int, unix_ns: int) -> list[Effect]:
        """Take what the native loop has to say."""
        effects: list[Effect] = []
        self._unix_offset_ns = unix_ns - now_ns
        while (taken := self.loop.next_event()) is not None:
            try:
                effects += self._event(taken[0], taken[1], now_ns, unix_ns)
            except MISUNDERSTOOD as error:
                self.tell(f"a session frame was not understood ({error!r}): {taken[1][:120].decode(errors='replace')}")
        return effects

    # -- inside ---------------------------------------------------------------------------------------------------

    def _event(self, event, payload: bytes, now_ns: int, unix_ns: int) -> list[Effect]:
        kind, index = int(event["kind"]), int(event["connection"])
        if kind == EventKind.SESSION_FRAME:
            return self._act(self._session_of(index).frame(self.lines[index].endpoint.name, payload, unix_ns), index)
        if kind == EventKind.SNAPSHOT_NEEDED:
            return self._need_snapshot(index, int(event["listing"]), BookFault(int(event["value"])), now_ns)
        if kind in (EventKind.BOOK_CHANGED, EventKind.LINE_CHANGED):
            listing, state = int(event["listing"]), BookState(int(event["value"]))
            self.lines[index].books[listing] = state.name
            changed = self._book_changed if kind == EventKind.BOOK_CHANGED else self._line_changed
            changed(index, listing, state, BookFault(int(event["detail"])))
        elif kind == EventKind.CONNECTION_LOST:
            return self._lost(index, LossReason(int(event["value"])), int(event["detail"]), now_ns)
        elif kind == EventKind.TRANSPORT_RELEASED:
            return [Release(index)]
        elif kind == EventKind.FRAME_REFUSED:
            self.health.refused_frames += 1
            self.tell(describe(self.loop, event, payload))
        return []

    def _need_snapshot(self, index: int, listing: int, fault: BookFault, now_ns: int) -> list[Effect]:
        """Ask at once, unless the last time was a moment ago: then later, and later each time."""
        requests = self._snapshots.setdefault((index, listing), SnapshotRequests())
        requests.fault = fault
        if requests.asked_ns is None or now_ns - requests.asked_ns > GOOD_NS + requests.pause_ns:
            requests.pause_ns = 0
        requests.due_ns = now_ns if requests.asked_ns is None else max(now_ns, requests.asked_ns + requests.pause_ns)
        return self._ask(index, listing, requests, now_ns) if requests.due_ns <= now_ns else []

    def _ask(self, index: int, listing: int, requests: SnapshotRequests, now_ns: int) -> list[Effect]:
        requests.epochs, requests.asked_ns, requests.due_ns = self._book_epochs, now_ns, None
        requests.pause_ns = min(LONGEST_PAUSE_NS, max(FIRST_PAUSE_NS, 2 * requests.pause_ns))
        return self._act(self._session_of(index).need_snapshot(listing, requests.fault, now_ns + self._unix_offset_ns),
                         index)

    @property
    def _book_epochs(self) -> frozenset[int]:
        return frozenset(line.epoch for line in self.lines if line.carries_books and line.state == "open")

    def _session_of(self, index: int) -> Session:
        return self._sessions[self.lines[index].number]

    def _pair_of(self, index: int) -> Pair | None:
        line = self.lines[index]
        return next((pair for pair in self.pairs if line is pair.current or line is pair.other), None)

    def _retire(self, line: Line) -> None:
        """Another connection has taken this one's place."""
        self._command(CommandKind.CLOSE_CONNECTION, self.lines.index(line))

    def _fetch(self, request: Request, index: int) -> Fetch:
        self._origins[id(request)] = index
        return Fetch(request)

    def _line_changed(self, index: int, listing: int, state: BookState, fault: BookFault) -> None:
        if state == BookState.STALE and fault != BookFault.DISCONNECTED and self.health.books.get(listing) == "LIVE":
            self.tell(f"{self.lines[index].name} connection: its book of {self.loop.symbol(listing)} is STALE "
                      f"({fault.name}); the other line's is read")

    def _book_changed(self, index: int, listing: int, state: BookState, fault: BookFault) -> None:
        before = self.health.books.get(listing)
        self.health.books[listing] = state.name
        if state == BookState.STALE and not self._stopping:
            self.tell(stale(self.loop, listing, fault))
        elif state == BookState.LIVE and before == "STALE":
            self.tell(f"book of {self.loop.symbol(listing)} is LIVE again")

    def _lost(self, index: int, reason: LossReason, detail: int, now_ns: int) -> list[Effect]:
        line, pair = self.lines[index], self._pair_of(index)
        for (asking, _), requests in self._snapshots.items():
            if asking == index:
                requests.due_ns = None          # the next connection asks anew
        if line.leaving:
            line.failures = 0
        else:
            self.health.losses += 1
        if not self._stopping and not line.leaving:
            named = FrameFault(detail).name if reason == LossReason.PROTOCOL_BROKEN else (
                DecodeStatus(detail).name if reason == LossReason.FRAME_UNREADABLE else str(detail))
            self.tell(f"{line.name} connection lost: {reason.name} ({named})")
        if now_ns - line.opened_ns > GOOD_NS:
            line.failures = 0
        self._plan_again(line, now_ns)
        if pair is not None:
            pair.lost(line)
        return [] if self.loop.borrows else [Release(index)]

    def _plan_again(self, line: Line, now_ns: int) -> None:
        pause = min(LONGEST_PAUSE_NS, FIRST_PAUSE_NS << min(line.failures, 10))
        line.failures += 1
        line.state, line.ready = "closed", False
        line.books.clear()
        line.attempt_ns = now_ns + int(pause * self._random.uniform(0.5, 1.0))

    def _act(self, actions, origin: int) -> list[Effect]:
        """Do what the session of the line `origin` says; what concerns the same connection concerns the same line."""
        number = self.lines[origin].number
        effects: list[Effect] = []
        for action in actions:
            if isinstance(action, Send):
                index = self._index(action.connection, number)
                self._witness(action, index)
                self._command(CommandKind.SEND_FRAME, index, payload=action.text.encode())
            elif isinstance(action, Fetch):
                effects.append(self._fetch(action.request, origin))
            elif isinstance(action, KeepAlive):
                self._command(CommandKind.KEEP_ALIVE, self._index(action.connection, number), value=action.interval_ns,
                              payload=action.text.encode())
            elif isinstance(action, Open):
                index = self._index(action.connection, number)
                if self.lines[index].state == "connecting":
                    self.lines[index].url = action.url.partition("?")[0]
                    effects.append(Connect(index, replace(self.lines[index].endpoint, url=action.url)))
            elif isinstance(action, SnapshotBody):
                self.loop.command(CommandKind.SNAPSHOT_BODY, listing=action.listing, value=action.limit,
                                  payload=action.body)
            elif isinstance(action, Ready):
                index = self._index(action.connection, number)
                self.lines[index].ready = True
                if self.lines[index].endpoint.role == Role.ORDERS:
                    self._command(CommandKind.TRADING_READY, index)
            elif isinstance(action, Reconnect):
                index = self._index(action.connection, number)
                pair = self._pair_of(index)
                self.tell(f"{self.lines[index].name} connection is opened again: {action.reason}")
                if pair is None or not pair.replace(self.lines[index]):
                    self._command(CommandKind.CLOSE_CONNECTION, index)
            elif isinstance(action, Problem):
                self.tell(action.message)
        return effects

    def _witness(self, action: Send, index: int) -> None:
        """What orders and logins say is nobody's business but the exchange's."""
        line = self.lines[index]
        if self.capture is not None and line.endpoint.role == Role.MARKET_DATA and not action.secret:
            self.capture.sent(index, line.epoch, action.text)

    def _index(self, name: str, number: int) -> int:
        return next(i for i, line in enumerate(self.lines) if line.endpoint.name == name and line.number == number)

    def _command(self, kind: CommandKind, index: int, **fields) -> None:
        self.loop.command(kind, connection=index, epoch=self.lines[index].epoch, **fields)

    def tell(self, problem: str) -> None:
        """One line that a user should hear."""
        self.health.last_problem = problem
        self.report(f"{self.name}: {problem}")
