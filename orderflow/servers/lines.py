"""The connections that should be open, and which of two that carry the same are wanted when.

An exchange may be given two lines, A and B: the same market data over two connections. Or it has one, and the second
is opened while the first is still there, because the exchange ends connections at a certain age; the old one is closed
once every book that is LIVE on it is LIVE on the new one. Nothing here touches a socket or waits. Control thread only.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from orderflow._core.types import Role
from orderflow.exchanges.actions import Endpoint, Request
from orderflow.servers.acknowledgements import Acknowledgements

#: A connection is renewed a little early, so that not all of them are at once.
EARLIEST = 0.95


@dataclass(slots=True, eq=False)
class Line:
    """One connection: what it is for, and how it stands."""

    endpoint: Endpoint
    unanswered: Acknowledgements
    number: int = 0                 # 0 = A, 1 = B
    wanted: bool = True             # whether it should be open
    state: str = "closed"           # closed, connecting, open
    epoch: int = 0
    failures: int = 0
    attempt_ns: int = 0             # not before
    opened_ns: int = 0
    login_due_ns: int | None = None     # what the exchange must have logged in by
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

    @property
    def due_ns(self) -> int | None:
        """When something is to be done about it, but for its renewal; None = nothing is planned."""
        if self.state == "closed" and self.wanted:
            return self.attempt_ns
        due = (self.login_due_ns, self.unanswered.due_ns) if self.state == "open" else ()
        return min((at for at in due if at is not None), default=None)

    def closed(self, attempt_ns: int) -> None:
        """It is gone, or could not be opened; the next attempt is not made before that."""
        self.state, self.ready, self.login_due_ns = "closed", False, None
        self.failures += 1
        self.attempt_ns = attempt_ns
        self.unanswered.clear()
        self.books.clear()


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

    @property
    def due_ns(self) -> int | None:
        """When the next successor is to be opened; None = none is planned. One that has not taken over yet has none."""
        return min((line.renew_ns for line, _ in self._in_turn() if line.state == "open" and line.renew_ns is not None),
                   default=None)

    def _in_turn(self) -> list[tuple[Line, Line]]:
        one, other = (self.current, self.other), (self.other, self.current)
        return [one, other] if self.both else [one]


def covers(successor: Line, line: Line) -> bool:
    """Whether nothing is missed when `line` is closed."""
    return successor.serves and not successor.leaving and all(
        successor.books.get(listing) == "LIVE" for listing, state in line.books.items() if state == "LIVE")


class Lines(Sequence[Line]):
    """All connections of one exchange: those of line A as its session names them, then those of line B.

    Parameters
    ----------
    endpoints : list of Endpoint
    patience_ns : int
        How long a subscription may wait for its acknowledgement.
    close : callable(Line)
        Told of a connection that another one has replaced.
    """

    def __init__(self, endpoints: Sequence[Endpoint], patience_ns: int, close: Callable[[Line], None]):
        self._patience_ns = patience_ns
        self._close = close
        self._lines = [Line(endpoint, Acknowledgements(patience_ns)) for endpoint in endpoints]
        self._renew_after_ns = 0
        self.pairs: list[Pair] = []

    def double(self, both: bool, renew_after_ns: int) -> None:
        """Let market data have a second line: `both` are always wanted, or the second only to replace the first, after
        so long (0 = never)."""
        self._renew_after_ns = renew_after_ns
        for line in [line for line in self._lines if line.endpoint.role == Role.MARKET_DATA]:
            second = Line(line.endpoint, Acknowledgements(self._patience_ns), number=1, wanted=both)
            self._lines.append(second)
            self.pairs.append(Pair(line, second, both, self._close))

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index):
        return self._lines[index]

    def place(self, name: str, number: int) -> int:
        """Index of a connection that the session of line `number` names; order connections are there once."""
        return next(index for index, line in enumerate(self._lines) if line.endpoint.name == name
                    and (line.number == number or line.endpoint.role == Role.ORDERS))

    def pair_of(self, line: Line) -> Pair | None:
        """Itself and what may replace it; None where nothing may."""
        return next((pair for pair in self.pairs if line is pair.current or line is pair.other), None)

    def twin_of(self, line: Line) -> Line | None:
        """The other line of the same endpoint, where that is open."""
        pair = self.pair_of(line)
        if pair is None:
            return None
        twin = pair.other if line is pair.current else pair.current
        return twin if twin.state == "open" else None

    def opened(self, line: Line, now_ns: int, share: float) -> None:
        """It is open; `share` as in Pair.opened. Two lines have one count: an epoch of the board names one connection.
        """
        line.state, line.opened_ns, line.ready, line.leaving = "open", now_ns, False, False
        pair = self.pair_of(line)
        line.epoch = 1 + (line.epoch if pair is None else max(pair.current.epoch, pair.other.epoch))
        if pair is not None:
            pair.opened(line, now_ns, self._renew_after_ns, share)

    @property
    def ready(self) -> bool:
        """Every connection is open and set up; of two lines, one."""
        return (all(line.serves for line in self._lines if self.pair_of(line) is None)
                and all(pair.current.serves or pair.other.serves for pair in self.pairs))

    @property
    def quiet(self) -> bool:
        """No connection is open or being opened."""
        return all(line.state == "closed" for line in self._lines)
