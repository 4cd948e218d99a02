"""The connections that should be open, and which of two that carry the same are wanted when.

An exchange may be given two lines, A and B: the same market data over two connections. Or it has one, and the second
is opened while the first is still there, because the exchange ends connections at a certain age; the old one is closed
once every book that is LIVE on it is LIVE on the new one. Nothing here touches a socket or waits. Control thread only.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from orderflow._core.types import Role
from orderflow.exchanges.session import Endpoint, Request

#: A connection is renewed a little early, so that not all of them are at once.
EARLIEST = 0.95


@dataclass(slots=True)
class Line:
    """One connection: what it is for, and how it stands."""

    endpoint: Endpoint
    number: int = 0                 # 0 = A, 1 = B
    wanted: bool = True             # whether it should be open
    state: str = "closed"           # closed, connecting, open
    epoch: int = 0
    failures: int = 0
    attempt_ns: int = 0             # not before
    opened_ns: int = 0
    ready: bool = False
    leaving: bool = False           # we have closed it ourselves, and another one is in its place
    renew_ns: int | None = None     # when its successor is opened; None = never, or it is under way
    expired: bool = False           # that time has come
    asked: Request | None = None    # on its way: where to connect to
    url: str = ""                   # the answer, without its query: tokens are in there
    books: dict[int, str] = field(default_factory=dict)     # state of each listing's book on it

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.endpoint.name} B" if self.number else self.endpoint.name

    @property
    def carries_books(self) -> bool:
        """Whether the order books come over it."""
        return self.endpoint.role == Role.MARKET_DATA and self.endpoint.books

    @property
    def serves(self) -> bool:
        """Whether it is open and set up."""
        return self.state == "open" and self.ready


@dataclass(slots=True)
class Pair:
    """Two lines of one endpoint.

    Attributes
    ----------
    current, other : Line
        While only one is wanted, the current one is.
    both : bool
        Whether both are always wanted.
    """

    current: Line
    other: Line
    both: bool
    close: Callable[[Line], None]
    renewals: int = 0

    def opened(self, line: Line, now_ns: int, after_ns: int, share: float) -> None:
        """A connection of this line opened; `share` in 0 .. 1 is chance. Of two lines that began together the second
        is renewed half a life apart from the first."""
        line.expired = False
        life_ns = int(after_ns * (EARLIEST + (1 - EARLIEST) * share))
        if self.both and line is self.other and line.epoch <= 2:
            life_ns //= 2
        line.renew_ns = now_ns + life_ns if after_ns else None

    def replace(self, line: Line) -> bool:
        """Renew a line now, because the exchange says that it will end it. False if it is of no use until then: so it
        may as well be closed and opened again."""
        usable = line.serves and all(state == "LIVE" for state in line.books.values())
        if not usable or (line is not self.current and not self.both):
            return False
        line.renew_ns = 0
        return True

    def lost(self, line: Line) -> None:
        """A line is closed. Where one is enough and a successor is on its way, that is the one from here on."""
        if not self.both and line is self.current and self.other.wanted:
            self._hand_over()

    def _hand_over(self) -> None:
        self.current.wanted = self.current.expired = False
        self.current, self.other = self.other, self.current

    def renew(self, now_ns: int) -> None:
        """Open a successor of a line whose time has come; close the old line when its successor has taken over."""
        for line, successor in self._in_turn():
            if line.renew_ns is not None and line.state == "open" and now_ns >= line.renew_ns:
                line.renew_ns, line.expired, successor.wanted = None, True, True
            if line.expired and line.state == "open" and not line.leaving and covers(successor, line):
                line.expired, line.leaving = False, True
                self.renewals += 1
                self.close(line)
                if not self.both:
                    self._hand_over()
                return

    def _in_turn(self) -> list[tuple[Line, Line]]:
        one, other = (self.current, self.other), (self.other, self.current)
        return [one, other] if self.both else [one]


def covers(successor: Line, line: Line) -> bool:
    """Whether nothing is missed when `line` is closed."""
    return successor.serves and not successor.leaving and all(
        successor.books.get(listing) == "LIVE" for listing, state in line.books.items() if state == "LIVE")
