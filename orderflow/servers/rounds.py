"""When an exchange's open orders, balances and trades are compared with ours, and what is asked for that.

A round begins when the order connection takes orders, and after that every so often. The native loop is told first, and
nothing is asked before it has said that it counts (ROUND_BEGUN); then one call goes at a time, because calls are signed
for one moment and Kraken's nonces must arrive in order. The loop compares and says what came of it (ROUND_DONE). What
does not agree is looked at again soon, an exchange that does not answer less and less often.
"""
from __future__ import annotations

from collections import deque

from orderflow._core.types import Verdict
from orderflow.exchanges.actions import Request, RoundStep
from orderflow.exchanges.session import Session
from orderflow.servers.hosts import SECOND_NS

#: A round that did not go on for so long is given up, and another begins. It may have many pages of trades to read.
PATIENCE_NS = 90 * SECOND_NS
#: What did not agree is looked at again after this; a round that was in vain is tried again after this, then twice as
#: long, up to the longest.
AGAIN_NS, LONGEST_PAUSE_NS = SECOND_NS, 64 * SECOND_NS
#: Trades are asked for from so long before the last round that told all: an exchange may list one late.
OVERLAP_NS = 60 * SECOND_NS


class Rounds:
    """Of one exchange; control thread only. Times are monotonic nanoseconds but for `since_ns`, which is the exchange's
    unix clock.

    Attributes
    ----------
    number : int
        Of the last round that began.
    reconciled : bool
        Whether a round since the last connect left nothing unexplained but what was told.
    since_ns : int
        Trades from then on are asked for; 0 = from a little before the first round.
    differing : int
        Rounds in a row that did not agree.
    """

    def __init__(self, session: Session):
        self._session = session
        self.number = 0
        self.reconciled = False
        self.since_ns = self.differing = 0
        self._steps: deque[RoundStep] = deque()
        self._step: RoundStep | None = None         # whose call is out
        self._state = ""                            # "", beginning, asking, ended
        self._moved_ns = self._begun_unix_ns = 0    # when it went on last
        self._due_ns: int | None = None             # None: the order connection is away
        self._failures = 0

    @property
    def due_ns(self) -> int | None:
        """When there is something to do; None = not before something is heard."""
        return self._moved_ns + PATIENCE_NS if self._state else self._due_ns

    @property
    def is_calling(self) -> bool:
        """Whether a call is out: no other signed one goes meanwhile."""
        return self._step is not None

    def connected(self, now_ns: int) -> None:
        """The order connection takes orders."""
        self.lost()
        self._due_ns = now_ns

    def lost(self) -> None:
        """It is gone: what is being asked means nothing any more."""
        self._steps.clear()
        self._step, self._state, self._due_ns, self.reconciled = None, "", None, False

    def soon(self, now_ns: int) -> None:
        """Something is to be looked at again, at once if no round is under way."""
        if self._due_ns is not None:
            self._due_ns = now_ns

    def begin(self, now_ns: int) -> int | None:
        """The number of a round that is to begin now, if one is."""
        due_ns = self.due_ns
        if due_ns is None or now_ns < due_ns:
            return None
        if self._state:
            self._failures += 1
        self.number += 1
        self._steps.clear()
        self._step, self._state, self._moved_ns = None, "beginning", now_ns
        return self.number

    def begun(self, number: int, unix_ns: int) -> None:
        """The native loop counts; `unix_ns` is the exchange's clock."""
        if number != self.number or self._state != "beginning":
            return
        self._state, self._begun_unix_ns = "asking", unix_ns
        self._steps.extend(self._session.round_steps(self.since_ns or unix_ns - OVERLAP_NS))

    def call(self, unix_ns: int) -> Request | None:
        """The next call, if none is out and one is to be made."""
        if self._state != "asking" or self._step is not None or not self._steps:
            return None
        self._step = self._steps.popleft()
        return self._session.round_call(self._step, unix_ns)

    def is_waiting_for(self, request: Request) -> bool:
        """Whether the answer to a call is of use."""
        return self._step is not None and request.step is self._step

    def answered(self, more: list[RoundStep], now_ns: int) -> None:
        """The call that is out was answered; `more` is to be asked next because of it."""
        self._step, self._moved_ns = None, now_ns
        self._steps.extendleft(reversed(more))

    def ended(self, failed: bool) -> bool | None:
        """Whether every call of the round that ends with this was answered; None: it has not ended."""
        if self._state != "asking" or self._step is not None or (self._steps and not failed):
            return None
        self._steps.clear()
        self._state = "ended"
        return not failed

    def done(self, number: int, verdict: Verdict, now_ns: int) -> None:
        """The native loop has compared."""
        if number != self.number or not self._state:
            return
        self._state = ""
        if verdict == Verdict.INCOMPLETE:
            self._due_ns = now_ns + min(LONGEST_PAUSE_NS, AGAIN_NS << min(self._failures, 10))
            self._failures += 1
            return
        self._failures = 0
        self.differing = self.differing + 1 if verdict == Verdict.DIFFERS else 0
        self.since_ns = self._begun_unix_ns - OVERLAP_NS
        self.reconciled = self.reconciled or verdict == Verdict.EQUAL
        if verdict == Verdict.DIFFERS:
            self._due_ns = now_ns + AGAIN_NS
            return
        period_ns = self._session.round_period_ns()
        self._due_ns = now_ns + (period_ns or 1 << 62)
