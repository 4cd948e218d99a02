"""The clock of an exchange where we trade: when it is asked, and what follows from how far it is from ours.

    session: clock_frame, clock_call ──> exchange ──ClockRead──> ClockOffset ──> orders are signed with its time
                                                                     └─> too far from ours: REDUCING there

Its time is known as so much more than our monotonic clock, which nobody sets; so requests are signed right also where
the clock of this machine is wrong, or is set while we run. The clock of this machine is what the bound is about.
Journal and receive stamps keep our own clocks. Control thread only.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orderflow._core.types import TradingState
from orderflow.exchanges.actions import ClockRead, Fetch, Request, Send
from orderflow.exchanges.session import MISUNDERSTOOD, Session
from orderflow.servers.clock_offset import ClockOffset

SECOND_NS = 1_000_000_000
#: How often the exchange is asked; after it refused a time of ours at once, but not more often than each second.
EVERY_NS, SOONEST_NS = 10 * SECOND_NS, SECOND_NS
#: What is signed first waits so long for the first answer. Then it goes with our own time: a cancel may depend on it.
PATIENCE_NS = 3 * SECOND_NS
#: What is less than this is not told when it is found, or when a clock was set.
WORTH_TELLING_NS = SECOND_NS // 4
#: A clock that was too far off is near again within this part of the bound.
NEAR = 2
#: Why orders may only reduce.
FAR, UNKNOWN = "far", "unknown"


@dataclass(slots=True)
class Question:
    """One that is out. `asked_ns` is when it left; None = it waits for what the exchange allows."""

    what: Send | Request
    number: int
    asked_ns: int | None = None


class ExchangeClock:
    """Reads the clock of a session's exchange, where we trade there.

    Parameters
    ----------
    session : Session
    tell : callable(str)
        Told in one line what a user should know.
    sign_with : callable(int)
        Told what is to be added to the monotonic clock for the times in orders; False: it was not heard.

    Attributes
    ----------
    restrict : callable(TradingState), optional
        Told REDUCING when the exchange's clock is proven to be farther from this machine's than the bound, or nobody
        knows that it is not; ACTIVE when it is proven to be within half of the bound, or is known again. False: it was
        not heard.
    """

    def __init__(self, session: Session, tell: Callable[[str], None], sign_with: Callable[[int], bool]):
        self.offset = ClockOffset()
        self.maximum_ns = session.settings.maximum_clock_offset_ns
        self.restrict: Callable[[TradingState], bool] | None = None
        self._session = session
        self._tell, self._sign_with = tell, sign_with
        self._asks = session.settings.trade and session.clock_call() is not None
        self._question: Question | None = None
        self._call: Request | None = None   # held back by what the exchange allows
        self._number = self._missed = 0     # questions, and those in a row that were not answered
        self._unheard = False               # the last one over the order connection was not answered
        self._due_ns = self._asked_ns = 0
        self._waiting_ns: int | None = None     # since when something waits to be signed
        self._refused = False               # a time of ours: what was known is not true any more
        self._own_ns = 0                    # this machine's unix clock less the monotonic one
        self._why = ""                      # orders may only reduce: FAR or UNKNOWN
        self._restricted = False
        self._signs_with: int | None = None

    # -- when it is asked -----------------------------------------------------------------------------------------

    @property
    def due_ns(self) -> int | None:
        """When it is to be asked next; None = never."""
        return self._due_ns if self._asks else None

    def ask(self, connected: bool, now_ns: int, own_ns: int) -> list[Send | Fetch]:
        """What asks for its time, if that is due: over the order connection, whose round trip counts for orders too; or
        over REST, where that is not `connected` or did not answer. `own_ns`: this machine's unix clock less the
        monotonic one."""
        if not self._asks:
            return []
        is_due = now_ns >= self._due_ns
        if is_due and self._question is not None:
            self._missed += 1
            self._unheard = isinstance(self._question.what, Send)
        if is_due or not self.offset.known:
            self._judge(now_ns, own_ns)
        if not is_due:
            return []
        self._number += 1
        self._due_ns, self._asked_ns = now_ns + EVERY_NS, now_ns
        frame = self._session.clock_frame(self._number) if connected and not self._unheard else None
        if frame is not None:
            self._question = Question(frame, self._number)
            return [frame]
        held_back, self._call = self._call, self._call or self._session.clock_call()
        assert self._call is not None
        self._question = Question(self._call, self._number)
        return [] if held_back else [Fetch(self._call)]

    def leaves(self, what: Send | Request, now_ns: int) -> None:
        """Something leaves now; is it the question?"""
        if self._question is not None and what is self._question.what:
            self._question.asked_ns = now_ns
        if what is self._call:
            self._call = None

    def ask_soon(self, now_ns: int) -> None:
        """The order connection is open, to be asked over; or lost, perhaps with a question, and a login will follow."""
        self._unheard = False
        self._due_ns = min(self._due_ns, now_ns)

    def refused(self, now_ns: int) -> None:
        """The exchange refused a time of ours: what was known counts no more beside the next answer."""
        self._refused = True
        self._due_ns = min(self._due_ns, max(now_ns, self._asked_ns + SOONEST_NS))

    def may_sign(self, now_ns: int) -> bool:
        """Whether what needs a time may go: not before the first answer, or PATIENCE_NS without one."""
        if not self._asks or self.offset.known or self._missed:
            return True
        if self._waiting_ns is None:
            self._waiting_ns = now_ns
        return now_ns - self._waiting_ns >= PATIENCE_NS

    # -- what it says ---------------------------------------------------------------------------------------------

    def answered(self, request: Request, status: int, body: bytes) -> list[ClockRead]:
        """A REST call for its time was answered. What that says, unless it was given up or says nothing."""
        if self._question is None or self._question.what is not request:
            return []
        try:
            if status == 200:
                return [self._session.clock_read(body)]
            problem = f"{body[:200].decode(errors='replace')} (status {status})"
        except MISUNDERSTOOD as error:
            problem = f"the answer was not understood ({error!r}): {body[:120].decode(errors='replace')}"
        self._question, self._unheard, self._missed = None, False, self._missed + 1
        if self._missed == 1:
            self._tell(f"its clock could not be read: {problem}")
        return []

    def read(self, reading: ClockRead, heard_ns: int, own_ns: int) -> None:
        """It showed this; heard of at `heard_ns`."""
        question = self._question
        if question is None or question.asked_ns is None or reading.number not in (0, question.number):
            return                          # the answer to one that was given up
        was_known, before_ns = self.offset.known, self.offset.middle_ns
        stepped = self.offset.read(question.asked_ns, heard_ns, reading, alone=self._refused)
        self._question, self._unheard = None, False
        if not self.offset.known:
            return
        self._missed, self._refused = 0, False
        moved_ns = self.offset.middle_ns - before_ns
        if stepped and abs(moved_ns) > WORTH_TELLING_NS:
            self._tell(f"its clock moved by {moved_ns / 1e9:+.3f} s against ours: it is "
                       f"{self._told(heard_ns, own_ns)}; orders are signed with its time")
        elif not was_known and self._is_proven(WORTH_TELLING_NS, heard_ns, own_ns):
            self._tell(f"its clock is {self._told(heard_ns, own_ns)}; orders are signed with its time")
        self._judge(heard_ns, own_ns)

    def unix_offset_ns(self, own_ns: int) -> int:
        """What is added to our monotonic clock for the time that it wants in requests."""
        return self.offset.middle_ns if self.offset.known else own_ns

    def status(self, now_ns: int) -> dict[str, Any]:
        """For whoever looks: how far it is ahead of this machine's clock (negative = behind) and how uncertain that is,
        None where it is not known."""
        low, high = self._bounds(now_ns, self._own_ns)
        known = self.offset.known
        return {"offset_ns": (low + high) // 2 if known else None,
                "uncertainty_ns": (high - low + 1) // 2 if known else None, "maximum_ns": self.maximum_ns,
                "steps": self.offset.steps, "reducing": bool(self._why)}

    # -- what follows ---------------------------------------------------------------------------------------------

    def _judge(self, now_ns: int, own_ns: int) -> None:
        """Sign with its time, and let orders only reduce where that is too far from ours, or may be."""
        self._own_ns = own_ns
        if self.offset.known and self._signs_with != self.offset.middle_ns and self._sign_with(self.offset.middle_ns):
            self._signs_with = self.offset.middle_ns
        if not self.maximum_ns:
            return
        before = self._why
        low, high = self._bounds(now_ns, own_ns)
        if not self.offset.known or high - low > 2 * self.maximum_ns:
            self._why = self._why or (UNKNOWN if self.may_sign(now_ns) else "")
        elif self._is_proven(self.maximum_ns, now_ns, own_ns):
            self._why = FAR
        elif before != FAR or (-self.maximum_ns <= NEAR * low and NEAR * high <= self.maximum_ns):
            self._why = ""
        if self._why != before:
            self._tell(self._verdict(now_ns, own_ns))
        state = TradingState.REDUCING if self._why else TradingState.ACTIVE
        if self.restrict is not None and bool(self._why) != self._restricted and self.restrict(state):
            self._restricted = bool(self._why)

    def _verdict(self, now_ns: int, own_ns: int) -> str:
        told = f"its clock is {self._told(now_ns, own_ns)}" if self.offset.known else "its clock could not be read"
        if not self._why:
            return f"{told}: orders there pass again"
        reduced = (f"exchanges.{self._session.settings.name}.maximum_clock_offset_seconds = {self.maximum_ns / 1e9:g}; "
                   "orders there may only reduce until it is")
        if self._why == UNKNOWN:
            return f"{told}, and may be farther from ours than {reduced} read again. Is {self._session.rest} reached?"
        return (f"{told}, more than {reduced} within {self.maximum_ns / NEAR / 1e9:g} s. Is the clock of this machine "
                "kept (`timedatectl`, `chronyc tracking`)? If it is, the exchange's is wrong")

    def _bounds(self, now_ns: int, own_ns: int) -> tuple[int, int]:
        """Of what it is ahead of this machine's clock."""
        low, high = self.offset.bounds(now_ns)
        return low - own_ns, high - own_ns

    def _is_proven(self, least_ns: int, now_ns: int, own_ns: int) -> bool:
        """Whether it is farther off than that, whatever the truth is."""
        low, high = self._bounds(now_ns, own_ns)
        return low > least_ns or high < -least_ns

    def _told(self, now_ns: int, own_ns: int) -> str:
        low, high = self._bounds(now_ns, own_ns)
        ahead = (low + high) // 2
        return (f"{abs(ahead) / 1e9:.3f} s {'ahead of' if ahead >= 0 else 'behind'} ours, give or take "
                f"{(high - low) / 2e9:.3f} s")
