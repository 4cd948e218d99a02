"""The conversation with one exchange: its session, its native loop, and what the driver must do. No sockets here.

    native loop ──Event──> Conversation ──frame, need_snapshot──> session
                                │      <──Send, Fetch, ...──────┘
    driver <──Connect, Fetch, Release──┘ ──SEND_FRAME, SNAPSHOT_BODY──> native loop

The sync, async and direct drivers differ in how they connect and fetch; what is said, when, and again after how long is
decided here. Control thread only.
"""
from __future__ import annotations

import random
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orderflow._core.client_id import encode
from orderflow._core.rate_limit import SharedRateLimit
from orderflow._core.types import BookFault, BookState, CommandKind, EventKind, LossReason, Role, Verdict
from orderflow.exchanges.actions import (
    AccountBody,
    Action,
    Answered,
    AskMore,
    ClockRead,
    ClockRefused,
    Fetch,
    KeepAlive,
    Open,
    OrderBody,
    OrderQuestion,
    Problem,
    Ready,
    Reconnect,
    Request,
    Send,
    SnapshotBody,
)
from orderflow.exchanges.session import CLOCK, MISUNDERSTOOD, Session
from orderflow.redaction import redacted
from orderflow.servers.acknowledgements import named
from orderflow.servers.effects import Connect, Effect, Release
from orderflow.servers.exchange_clock import ExchangeClock
from orderflow.servers.health import Health, describe, lost
from orderflow.servers.hosts import SECOND_NS, Hosts
from orderflow.servers.lines import Line, Lines
from orderflow.servers.outgoing import Outgoing
from orderflow.servers.questions import Questions
from orderflow.servers.resyncs import FIRST_PAUSE_NS, GOOD_NS, LONGEST_PAUSE_NS, Resyncs
from orderflow.servers.rounds import Rounds

if TYPE_CHECKING:
    from orderflow.servers.capture_writer import CaptureWriter

#: What an exchange means that says so in the body of a good answer.
TOO_MANY_CALLS = 429


class Conversation:
    """Joins one session with one native exchange loop.

    Parameters
    ----------
    session : Session
    loop : ExchangeLoop
        Takes commands, gives events.
    report : callable(str)
        Told every problem in one line that a user understands.
    hosts : Hosts
        What each host allows, of everything that runs on the same clock.
    seed : int
        Of the jitter between attempts.
    twin : Session, optional
        What speaks on the second line, where there may be one.
    """

    def __init__(self, session: Session, loop, report: Callable[[str], None], hosts: Hosts, seed: int = 0,
                 twin: Session | None = None):
        self.session = session
        self.loop = loop
        self.name = session.settings.name
        self.report = report
        me = weakref.proxy(self)        # what belongs to a conversation does not keep it, and the native loop, alive
        self.lines = Lines([endpoint for endpoint in session.endpoints() if endpoint.role == Role.ORDERS
                            or not session.settings.orders_only], session.settings.subscribe_ns,
                           lambda line: me._retire(line))
        self._sessions = [session]
        if twin is not None:
            self._sessions.append(twin)
            self.lines.double(twin.settings.lines > 1, session.renew_after_ns)
        self.health = Health()
        self.hosts = hosts
        self.limits = session.settings.limits or session.limits
        self._random = random.Random(f"{self.name} {seed}")
        self._resyncs = [Resyncs(self._random) for _ in self._sessions]     # by line, as the sessions
        self._outgoing = Outgoing(len(self.lines), self.limits, hosts)
        self._questions = Questions()
        self.rounds = Rounds(session) if loop.account is not None else None     # of reconciliation
        self.differs: Callable[[bytes, bool], None] | None = None   # told what differs, and whether that is accepted
        self._found = 0                     # fills that rounds have told first, as far as the user was told
        self._weighed = self._share_limit()
        self._now_ns = self._unix_offset_ns = 0
        self._stopping = False
        self.capture: CaptureWriter | None = None       # told what goes out and where to; frames come natively
        self.clock = ExchangeClock(session, lambda problem: me.tell(problem), lambda offset_ns: loop.command(
            CommandKind.SET_CLOCK, value=offset_ns))

    # -- what the driver calls ------------------------------------------------------------------------------------

    def due(self, now_ns: int) -> Iterator[Effect]:
        """Connections to open, snapshots to ask for, and what the exchange's limits let pass now."""
        if self._stopping:
            return
        self._now_ns = now_ns
        yield from self._act(self._clock_questions(), 0)
        self._begin_round()
        for pair in self.lines.pairs:
            pair.renew(now_ns)
        for index, line in enumerate(self.lines):
            if line.wanted and line.state == "closed" and now_ns >= line.attempt_ns:
                yield from self._attempt(index, line, now_ns)
            elif line.state == "open":
                yield from self._look_at_answers(line, now_ns)
        for number, resyncs in enumerate(self._resyncs):
            for listing, fault in resyncs.due(now_ns):
                if not self._is_asked_for(number, listing, fault):
                    yield from self._act(self._sessions[number].need_snapshot(
                        listing, fault, self._unix_ns), number, listing)
        yield from self._release()

    def next_due_ns(self) -> int | None:
        """When `due` has something to do; None = nothing is planned."""
        due = [planned.due_ns for planned in (*self.lines, *self.lines.pairs, *self._resyncs, self.clock)]
        if self.rounds is not None:
            due.append(self.rounds.due_ns)
        due.append(self._outgoing.due_ns(self._now_ns))
        waiting = [at for at in due if at is not None]
        return min(waiting) if waiting and not self._stopping else None

    def connected(self, index: int, transport: int, now_ns: int, unix_ns: int) -> list[Effect]:
        """A connection is open. `transport` is the native transport's address, 0 for one fed through a ring."""
        line = self.lines[index]
        self._now_ns, self._unix_offset_ns = now_ns, unix_ns - now_ns
        self.lines.opened(line, now_ns, self._random.random())
        if line.endpoint.role == Role.ORDERS:
            line.login_due_ns = now_ns + self.session.settings.login_ns
            self.clock.ask_soon(now_ns)     # before the login: if its time is refused, the right one is known already
        self.health.connects += 1
        if self.capture is not None and line.endpoint.role == Role.MARKET_DATA:
            self.capture.opened(index, line.epoch, line.url or line.endpoint.url)
        self._command(CommandKind.CONNECTION_OPENED, index, role=line.endpoint.role, value=transport,
                      argument=int(line.carries_books), line=line.number)
        try:
            actions = self._session_of(line).opened(line.endpoint.name, self._unix_ns)
        except MISUNDERSTOOD as error:
            actions = [Reconnect(line.endpoint.name, f"it could not be set up ({error!r})")]
        return self._act([*self._clock_questions(), *actions], line.number)

    def connect_failed(self, index: int, problem: str, now_ns: int) -> None:
        """An attempt failed; another is planned."""
        line = self.lines[index]
        self.tell(f"{line.name} connection: {problem}")
        self._plan_again(line, now_ns)

    def disconnected(self, index: int, code: int, epoch: int) -> None:
        """A connection fed through a ring is gone: the native loop is told and will answer with its events. `epoch`
        says which one: the end of an old connection may come after the next has opened."""
        self.loop.command(CommandKind.CONNECTION_ENDED, connection=index, epoch=epoch, value=code)

    def answered(self, request: Request, status: int, body: bytes, now_ns: int, unix_ns: int,
                 retry_after: str = "", used_weight: str = "") -> list[Effect]:
        """A REST call was answered; status 0 = it failed, `body` says how."""
        status = TOO_MANY_CALLS if self.session.too_much(status, body) else status
        self._now_ns, self._unix_offset_ns = now_ns, unix_ns - now_ns
        is_snapshot = request.listing >= 0
        number = self._asked_by(request)
        self._outgoing.answered()
        refused = self._refused(request, status, retry_after, unix_ns, used_weight)
        if request.purpose == CLOCK:
            return self._act(self.clock.answered(request, status, body), 0)
        if number is None:
            return self._release()      # asked for by a connection that is gone; the new one asks itself
        if request.step is not None:
            return self._step_answered(request, status, body)
        if request.question is not None:        # signed for one moment: if it was refused it is not repeated as it is
            return self._order_answered(request, status, body)
        if is_snapshot and refused:
            self._outgoing.fetch(request)
            return self._release()
        if self.capture is not None and is_snapshot and status == 200:
            self.capture.answered(request.url, body, request.listing)
        try:
            actions = self._sessions[number].answer(request, status, body, self._unix_ns)
        except MISUNDERSTOOD as error:
            shown = "" if request.secret else f": {body[:120].decode(errors='replace')}"
            actions = [Problem(f"the answer to {request.purpose} was not understood ({error!r}){shown}")]
            if not is_snapshot:                 # nobody asks again for what a connection needs, but a new connection
                actions += [Reconnect(line.endpoint.name, f"{request.purpose} failed")
                            for line in self.lines if line.endpoint.role == Role.ORDERS]
        if is_snapshot:
            self._resyncs[number].fetched(request)
            if not any(isinstance(action, SnapshotBody) for action in actions):
                self.loop.command(CommandKind.SNAPSHOT_FAILED, listing=request.listing)
                self._resyncs[number].needed(request.listing, BookFault.NO_FAULT, self._now_ns)     # the call alone
        effects = self._act(actions, number)
        for index, line in enumerate(self.lines):
            if line.state == "connecting" and line.asked is request:
                line.asked = None
                if not any(isinstance(effect, Connect) and effect.line == index for effect in effects):
                    self._plan_again(line, self._now_ns)
        return effects

    def stop(self) -> None:
        """Ask the native loop to close every connection; no new one is opened."""
        self._stopping = True
        for index, line in enumerate(self.lines):
            if line.state == "open":
                self._command(CommandKind.CLOSE_CONNECTION, index, value=1)     # for good

    @property
    def quiet(self) -> bool:
        """No connection is open or being opened."""
        return self.lines.quiet

    @property
    def ready(self) -> bool:
        """Every connection is open and set up; of two lines, one."""
        return self.lines.ready

    def events(self, now_ns: int, unix_ns: int) -> list[Effect]:
        """Take what the native loop has to say."""
        effects: list[Effect] = []
        self._now_ns, self._unix_offset_ns = now_ns, unix_ns - now_ns
        while (taken := self.loop.next_event()) is not None:
            try:
                effects += self._event(taken[0], taken[1], now_ns)
            except MISUNDERSTOOD as error:
                self.tell(f"a session frame was not understood ({error!r}): {taken[1][:120].decode(errors='replace')}")
        return effects

    # -- inside ---------------------------------------------------------------------------------------------------

    def _share_limit(self) -> SharedRateLimit | None:
        """The limit of the address in which orders count as REST calls do; None where they do not."""
        if not self.session.settings.trade or self.limits.requests is None or not self.loop.rates.shares:
            return None
        limit = self.hosts.share(self.session.rest, self.limits.requests)
        self.loop.rates.share(limit)
        for index, line in enumerate(self.lines):
            if line.endpoint.role == Role.ORDERS:
                self._outgoing.weigh(index, limit)
        return limit

    @property
    def _unix_ns(self) -> int:
        """The time that the exchange wants to hear in requests."""
        return self._now_ns + self.clock.unix_offset_ns(self._unix_offset_ns)

    def _event(self, event, payload: bytes, now_ns: int) -> list[Effect]:
        kind, index = int(event["kind"]), int(event["connection"])
        if kind == EventKind.SESSION_FRAME:
            line = self.lines[index]
            return self._act(self._session_of(line).frame(line.endpoint.name, payload, self._unix_ns), line.number,
                             heard_ns=int(event["now_ns"]))
        if kind == EventKind.SNAPSHOT_NEEDED:
            resyncs = self._resyncs[self.lines[index].number]
            resyncs.needed(int(event["listing"]), BookFault(int(event["value"])), now_ns)
        elif kind in (EventKind.BOOK_CHANGED, EventKind.LINE_CHANGED):
            self._book_changed(self.lines[index], kind == EventKind.BOOK_CHANGED, event)
        elif kind == EventKind.ORDER_QUESTION:
            identity = int(event["value"])
            self._questions.ask(OrderQuestion(int(event["listing"]), identity, encode(identity), int(event["detail"])))
            return self._ask_next()
        elif kind == EventKind.ROUND_BEGUN and self.rounds is not None:
            self.rounds.begun(int(event["value"]), self._unix_ns)
            return self._ask_next()
        elif kind == EventKind.ROUND_DONE:
            self._round_done(int(event["value"]), Verdict(int(event["detail"])))
        elif kind == EventKind.ACCOUNT_DIFFERS and self.differs is not None:
            self.differs(payload, bool(event["value"]))
        elif kind == EventKind.CONNECTION_LOST:
            return self._lost(index, LossReason(int(event["value"])), int(event["detail"]), now_ns)
        elif kind == EventKind.TRANSPORT_RELEASED:
            return [Release(index)]
        elif kind == EventKind.FRAME_REFUSED:
            self.health.refused_frames += 1
            self.tell(describe(self.loop, event, payload))
        return []

    def _ask_next(self) -> list[Effect]:
        """Ask about the next order, or go on with a round: one signed call after the other. A round that trading waits
        for goes first: it tells of all orders at once. What is asked before the exchange's time is known is asked then,
        or by the router again."""
        if not self.clock.may_sign(self._now_ns) or (self.rounds is not None and self.rounds.is_calling):
            return []
        if self.rounds is None or self.rounds.reconciled or not self._call_of_round():
            question = self._questions.next(self._now_ns)
            if question is None:
                self._call_of_round()
            else:
                for request in self.session.order_calls(question, self._unix_ns):
                    self._questions.calling()
                    self._outgoing.fetch(request)
        return self._release()

    def _call_of_round(self) -> bool:
        """Make the next call of a round, if there is one and no question waits for its answers."""
        call = None if self.rounds is None or self._questions.is_open else self.rounds.call(self._unix_ns)
        if call is None:
            return False
        self._outgoing.fetch(call)
        return True

    # -- rounds of reconciliation ---------------------------------------------------------------------------------

    def _begin_round(self) -> None:
        """If one is due: the native loop counts from now on, and is asked for nothing before it says so."""
        number = None if self.rounds is None else self.rounds.begin(self._now_ns)
        if number is not None:
            self.loop.command(CommandKind.ROUND_BEGIN, value=number)

    def _step_answered(self, request: Request, status: int, body: bytes) -> list[Effect]:
        """A part of what the exchange knows of the account: to the native loop, which is told too when that was all."""
        if self.rounds is None or not self.rounds.is_waiting_for(request):
            return [*self._ask_next(), *self._release()]
        try:
            actions = self.session.round_answer(request, status, body, self._unix_ns)
        except MISUNDERSTOOD as error:
            actions = [Problem(f"the answer about {request.purpose} was not understood ({error!r})")]
        useful = bool(actions)
        more = []
        for action in actions:
            if isinstance(action, AskMore):
                more.append(action.step)
            elif isinstance(action, AccountBody):
                useful &= self.loop.command(CommandKind.ACCOUNT_BODY, value=self.rounds.number,
                                            argument=action.step.kind, payload=action.body)
            elif isinstance(action, Problem):
                useful = False
                self.tell(action.message)
            elif isinstance(action, ClockRefused):
                self.clock.refused(self._now_ns)
        self.rounds.answered(more, self._now_ns)
        whole = self.rounds.ended(failed=not useful)
        if whole is not None:
            self.loop.command(CommandKind.ROUND_END, value=self.rounds.number, argument=int(whole))
        return [*self._ask_next(), *self._release()]

    def _round_done(self, number: int, verdict: Verdict) -> None:
        assert self.rounds is not None
        self.rounds.done(number, verdict, self._now_ns)
        found = self.loop.account.counts["found"]
        if found != self._found:
            self.tell(f"{found - self._found} fills of ours were found by asking for the trades, which the private "
                      "stream had not told by then")
            self._found = found
        if self.rounds.differing == 2 and not self.rounds.reconciled:   # the first may have met a fill
            self.tell("its open orders and balances do not agree with ours yet: new orders wait, and it is looked at "
                      "again")

    def _clock_questions(self) -> list[Send | Fetch]:
        """What asks for the exchange's time, if that is due."""
        connected = any(line.endpoint.role == Role.ORDERS and line.state == "open" for line in self.lines)
        return self.clock.ask(connected, self._now_ns, self._unix_offset_ns)

    def _clock_read(self, reading: ClockRead, heard_ns: int) -> list[Effect]:
        """What time it is there. What waited for that goes on."""
        was_known = self.clock.offset.known
        self.clock.read(reading, heard_ns, self._unix_offset_ns)
        if was_known or not self.clock.offset.known:
            return []
        for line in self.lines:
            if line.endpoint.role == Role.ORDERS and line.state == "closed":
                line.attempt_ns = min(line.attempt_ns, self._now_ns)
        return self._ask_next()

    def _order_answered(self, request: Request, status: int, body: bytes) -> list[Effect]:
        """A part of what the exchange knows of an order: to the native loop, which is told too when that was all."""
        try:
            actions = self.session.order_answer(request, status, body, self._unix_ns)
        except MISUNDERSTOOD as error:
            actions = [Problem(f"the answer to {request.purpose} was not understood ({error!r})")]
        useful = bool(actions)
        for action in actions:
            if isinstance(action, Fetch):
                self._questions.calling()
                self._outgoing.fetch(action.request)
            elif isinstance(action, OrderBody):
                useful &= self.loop.command(CommandKind.ORDER_BODY, listing=action.question.listing,
                                            value=action.question.client_order_id, argument=action.kind,
                                            payload=action.body)
            elif isinstance(action, Problem):
                useful = False
                self.tell(action.message)
            elif isinstance(action, ClockRefused):
                self.clock.refused(self._now_ns)
        self._questions.answered(request, useful)
        finished = self._questions.finished()
        if finished is not None:
            question, whole = finished
            self.loop.command(CommandKind.ORDER_ASKED, listing=question.listing, value=question.client_order_id,
                              argument=int(whole))
            return [*self._ask_next(), *self._release()]
        return self._release()

    def _attempt(self, index: int, line: Line, now_ns: int) -> Iterator[Effect]:
        """Connect, when the exchange allows another attempt, and its time is known where a login is signed with it."""
        if line.endpoint.role == Role.ORDERS and not self.clock.may_sign(now_ns):
            line.attempt_ns = now_ns + SECOND_NS        # at the latest
            return
        weighed = self._weighed if line.endpoint.role == Role.ORDERS else None
        weight = self.session.order_limits.connect
        if weighed is not None and (at_ns := weighed.ready_ns(weight, now_ns)) > now_ns:
            line.attempt_ns = at_ns         # it would be refused, and who goes on all the same is banned
            return
        host = line.endpoint.url or self.session.rest       # who is asked for the address is whose limit counts
        allowed_ns = self.hosts.connect(host, self.limits.connects, now_ns)
        if allowed_ns:
            line.attempt_ns = allowed_ns
            return
        if weighed is not None:
            weighed.spend(weight, now_ns)
        line.state = "connecting"
        line.asked = None if line.endpoint.url else self._session_of(line).prepare(line.endpoint.name)
        if line.asked is None:
            yield Connect(index, line.endpoint)
        else:
            yield from self._act([Fetch(line.asked)], line.number)

    def _look_at_answers(self, line: Line, now_ns: int) -> list[Effect]:
        """Ask again for what was not acknowledged in time, and give up a connection where that is of no use."""
        if line.login_due_ns is not None and now_ns >= line.login_due_ns:
            line.login_due_ns = None
            self.health.unanswered += 1
            return self._act([Reconnect(line.endpoint.name, "no answer in phase 'login' within "
                                        f"{self.session.settings.login_ns / 1e9:g} s")], line.number)
        late = line.unanswered.overdue(now_ns)
        if not late:
            return []
        self.health.unanswered += len(late)
        if line.unanswered.hopeless(late):
            line.unanswered.clear()
            return self._act([Reconnect(line.endpoint.name, f"{named(late)}: never acknowledged (phase 'subscribe')")],
                             line.number)
        self.tell(f"{line.name} connection: no answer in phase 'subscribe' to {named(late)}; asked for again")
        return self._act(self._session_of(line).subscribe(line.endpoint.name, late, self._unix_ns), line.number)

    def _is_asked_for(self, number: int, listing: int, fault: BookFault) -> bool:
        """Whether a resync would ask for nothing but a subscription whose answer is waited for: its timer asks again,
        and of what does not come with the answer the native loop asks again too."""
        session = self._sessions[number]
        return session.joins_anew(listing, fault) and any(
            line.number == number and line.unanswered.waits_for(session.book_of(listing)) for line in self.lines)

    def _session_of(self, line: Line) -> Session:
        return self._sessions[line.number]

    def _asked_by(self, request: Request) -> int | None:
        """The line whose session an answer is for; None = nobody waits for it any more."""
        if request.listing < 0:
            return next((line.number for line in self.lines if line.asked is request), 0)
        return next((number for number, resyncs in enumerate(self._resyncs) if resyncs.is_waiting_for(request)), None)

    def _refused(self, request: Request, status: int, retry_after: str, unix_ns: int, used_weight: str) -> bool:
        """Whether the host wants to be left alone; then nobody asks it anything until it has been."""
        until_ns = self.hosts.answered(request.url, status, retry_after, self._now_ns, unix_ns, used_weight)
        if until_ns:
            self.health.refused_calls += 1
            self.tell(f"{urlsplit(request.url).netloc} refused the call for {request.purpose} with {status}; it is "
                      f"asked for nothing for {(until_ns - self._now_ns) / 1e9:.1f} s")
        return bool(until_ns)

    def _release(self) -> list[Effect]:
        """What the exchange's limits let pass now."""
        for index, line in enumerate(self.lines):
            for message, listing in self._outgoing.messages(index, self._now_ns):
                self.clock.leaves(message, self._now_ns)
                self._witness(index, message)
                self._command(CommandKind.SEND_FRAME, index, payload=message.text.encode())
                line.unanswered.asked(message.awaits, self._now_ns)
                if listing >= 0:
                    self._resyncs[line.number].sent(listing, self._now_ns)
        found: list[Effect] = []
        for request in self._outgoing.requests(self._now_ns):
            self.clock.leaves(request, self._now_ns)
            found.append(Fetch(request))
        self.health.held_back = self._outgoing.held_back
        return found

    def _book_changed(self, line: Line, is_shown: bool, event) -> None:
        """The book of a line is in another state; `is_shown`: what the board shows of the listing too."""
        listing, state, fault = int(event["listing"]), BookState(int(event["value"])), BookFault(int(event["detail"]))
        line.books[listing] = state.name
        session = self._session_of(line)
        if state == BookState.LIVE and not session.acknowledges:
            line.unanswered.answered([session.book_of(listing)])
        told = (self.health.book_changed(self.loop, listing, state, fault) if is_shown
                else self.health.line_changed(self.loop, line.name, listing, state, fault))
        if told and not self._stopping:
            self.tell(told)

    def _lost(self, index: int, reason: LossReason, detail: int, now_ns: int) -> list[Effect]:
        line = self.lines[index]
        self._outgoing.forget(index)
        if line.endpoint.role == Role.ORDERS:
            self.clock.ask_soon(now_ns)
            if self.rounds is not None:
                self.rounds.lost()
        if line.carries_books:
            self._forget_resyncs(line)
        if not line.leaving:
            self.health.losses += 1
            if not self._stopping:
                self.tell(f"{line.name} connection lost: {lost(reason, detail)}")
        if line.leaving or (line.ready and now_ns - line.opened_ns > GOOD_NS):
            line.failures = 0
        self._plan_again(line, now_ns)
        pair = self.lines.pair_of(line)
        if pair is not None:
            pair.lost(line)
        return [] if self.loop.borrows else [Release(index)]

    def _forget_resyncs(self, line: Line) -> None:
        """The next connection asks anew. A REST answer serves both lines, so the other one takes what it waits for."""
        twin = self.lines.twin_of(line)
        self._outgoing.forget_snapshots([
            request for request in self._resyncs[line.number].forget()
            if twin is None or twin.books.get(request.listing) == BookState.LIVE.name
            or not self._resyncs[twin.number].adopt(request)])

    def _plan_again(self, line: Line, now_ns: int) -> None:
        pause = min(LONGEST_PAUSE_NS, FIRST_PAUSE_NS << min(line.failures, 10))
        line.closed(now_ns + int(pause * self._random.uniform(0.5, 1.0)))

    def _retire(self, line: Line) -> None:
        """Another connection has taken this one's place."""
        self._command(CommandKind.CLOSE_CONNECTION, self.lines.index(line))

    def _reopen(self, index: int, reason: str) -> None:
        """At once, or after another one has taken its place, where it is of use until then."""
        line = self.lines[index]
        pair = self.lines.pair_of(line)
        self.tell(f"{line.name} connection is opened again: {reason}")
        if pair is None or not pair.replace(line):
            self._command(CommandKind.CLOSE_CONNECTION, index)

    def _act(self, actions: Iterable[Action], number: int, listing: int = -1, heard_ns: int = 0) -> list[Effect]:
        """Do what the session of a line asks for; `listing` is the one whose book it resyncs, if it does; `heard_ns` is
        when that was heard which it answers to, else it is now."""
        effects: list[Effect] = []
        place, resyncs = self.lines.place, self._resyncs[number]
        for action in actions:
            if isinstance(action, Send):
                index = place(action.connection, number)
                self._outgoing.send(index, action, listing)
                self.lines[index].unanswered.asking(action.awaits)
                if listing >= 0:
                    resyncs.sending(listing)
            elif isinstance(action, Fetch):
                self._outgoing.fetch(action.request)
                if action.request.listing >= 0:
                    resyncs.fetching(action.request)
            elif isinstance(action, KeepAlive):
                self._command(CommandKind.KEEP_ALIVE, place(action.connection, number), value=action.interval_ns,
                              payload=action.text.encode())
            elif isinstance(action, Open):
                index = place(action.connection, number)
                if self.lines[index].state == "connecting" and not self._stopping:
                    self.lines[index].url = action.url.partition("?")[0]
                    effects.append(Connect(index, replace(self.lines[index].endpoint, url=action.url)))
            elif isinstance(action, SnapshotBody):
                self.loop.command(CommandKind.SNAPSHOT_BODY, listing=action.listing, value=action.limit,
                                  payload=action.body)
            elif isinstance(action, Ready):
                index = place(action.connection, number)
                self.lines[index].ready, self.lines[index].login_due_ns = True, None
                if self.lines[index].endpoint.role == Role.ORDERS:
                    self._command(CommandKind.TRADING_READY, index)
                    if self.rounds is not None:
                        self.rounds.connected(self._now_ns)
            elif isinstance(action, Answered):
                self.lines[place(action.connection, number)].unanswered.answered(action.subscriptions)
            elif isinstance(action, Reconnect):
                self._reopen(place(action.connection, number), action.reason)
            elif isinstance(action, ClockRead):
                effects += self._clock_read(action, heard_ns or self._now_ns)
            elif isinstance(action, ClockRefused):
                self.clock.refused(self._now_ns)
            elif isinstance(action, Problem):
                self.tell(action.message)
        return effects + self._release()

    def _witness(self, index: int, action: Send) -> None:
        """What orders and logins say is nobody's business but the exchange's."""
        line = self.lines[index]
        if self.capture is not None and line.endpoint.role == Role.MARKET_DATA and not action.secret:
            self.capture.sent(index, line.epoch, action.text)

    def _command(self, kind: CommandKind, index: int, **fields) -> None:
        self.loop.command(kind, connection=index, epoch=self.lines[index].epoch, **fields)

    def tell(self, problem: str) -> None:
        """One line that a user should hear; what it quotes of the exchange may quote our request."""
        credentials = self.session.settings.credentials
        problem = redacted(problem) if credentials is None else credentials.redact(problem)
        self.health.last_problem = problem
        self.report(f"{self.name}: {problem}")
