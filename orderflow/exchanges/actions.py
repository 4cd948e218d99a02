"""What a session says is to be done, and the subscriptions and calls that it speaks of."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from orderflow._core.types import BodyKind, Role
from orderflow.redaction import redacted


@dataclass(frozen=True, slots=True)
class OrderQuestion:
    """What became of this order of ours?

    Attributes
    ----------
    listing : int
        Index.
    client_order_id : int
    name : str
        The same as the exchange was told it.
    sent_ns : int
        Unix nanoseconds before which it cannot have been sent.
    """

    listing: int
    client_order_id: int
    name: str
    sent_ns: int


@dataclass(frozen=True, slots=True)
class RoundStep:
    """One thing that an exchange is asked in a round of reconciliation.

    Attributes
    ----------
    kind : BodyKind
        ACCOUNT_ORDERS, ACCOUNT_BALANCES or ACCOUNT_TRADES.
    listing : int
        Of which listing, -1 = of the account.
    since_ns : int
        Trades since then, unix nanoseconds of the exchange's clock.
    page : int
        Where what one answer holds did not suffice: where the next begins, as the session counts; 0 = the beginning.
    """

    kind: BodyKind
    listing: int = -1
    since_ns: int = 0
    page: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One REST call. `purpose` comes back with the answer; `listing` is that of a book's snapshot, else -1. The answer
    to a `secret` one (a token) is not shown; headers and body of a call never are. `weight` is what it counts for in
    the exchange's limit; `question` is what it helps to answer, `step` what it asks in a round of reconciliation."""

    purpose: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    listing: int = -1
    secret: bool = False
    weight: int = 1
    question: OrderQuestion | None = None
    step: RoundStep | None = None

    def __repr__(self) -> str:
        return f"Request({self.purpose!r}, {self.method} {redacted(self.url)}, listing={self.listing})"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One connection to make.

    Attributes
    ----------
    name : str
        Unique within the exchange.
    role : Role
        What it carries.
    url : str
        Empty where the exchange says it only when asked: see `Session.prepare`. It may then hold a token: never shown.
    books : bool
        Whether the order books come over it; of an exchange's market data connections one does.
    """

    name: str
    role: Role
    url: str = field(repr=False)
    books: bool = True


class Subscription(NamedTuple):
    """What the exchange acknowledges by itself: one channel of one symbol, both as the session spells them."""

    channel: str
    symbol: str


class NumberedRequests:
    """Subscriptions by the number of the request for them, for an exchange whose answers name nothing else."""

    MOST_UNANSWERED = 1024

    def __init__(self) -> None:
        self._last = 0
        self._asked: dict[object, tuple[Subscription, ...]] = {}

    def number(self, wanted: Sequence[Subscription]) -> int:
        """Of a request for these; counted from 1, never used twice."""
        self._last += 1
        self._asked[self._last] = tuple(wanted)
        if len(self._asked) > self.MOST_UNANSWERED:
            del self._asked[next(iter(self._asked))]
        return self._last

    def answered(self, number: object) -> tuple[Subscription, ...]:
        """What the request of that number was for; nothing when it is none of ours, or answered already."""
        return self._asked.pop(number, ())


@dataclass(frozen=True, slots=True, repr=False)
class Send:
    """Send this text as one websocket frame; a `secret` one (a login) is neither recorded nor shown.

    `awaits` names the subscriptions that it asks for: each must be Answered in time, or `Session.subscribe` is asked
    for it again. `weight` is what it counts for in the exchange's limit of REST calls, where it does.
    """

    connection: str
    text: str
    secret: bool = False
    awaits: tuple[Subscription, ...] = ()
    weight: int = 0

    def __repr__(self) -> str:
        return f"Send({self.connection!r}, {'***' if self.secret else repr(self.text)}, awaits={self.awaits})"


@dataclass(frozen=True, slots=True)
class Fetch:
    """Make this REST call and bring its answer back."""

    request: Request


@dataclass(frozen=True, slots=True)
class SnapshotBody:
    """Hand this REST body to the exchange thread, which decodes it as the snapshot of `listing`. `limit` is how many
    levels a side were asked for; 0 = all."""

    listing: int
    body: bytes
    limit: int = 0


@dataclass(frozen=True, slots=True)
class OrderBody:
    """Hand this REST body to the exchange thread, which decodes it as a part of the answer to a question."""

    question: OrderQuestion
    kind: BodyKind
    body: bytes


@dataclass(frozen=True, slots=True)
class AccountBody:
    """Hand this REST body to the exchange thread, which decodes it as a part of a round of reconciliation."""

    step: RoundStep
    body: bytes


@dataclass(frozen=True, slots=True)
class AskMore:
    """The answer to a step of a round did not hold all: ask this next."""

    step: RoundStep


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Let the exchange thread send this text whenever nothing was sent for so long (no Python is needed for it)."""

    connection: str
    text: str
    interval_ns: int


@dataclass(frozen=True, slots=True)
class Open:
    """Open the connection whose address was asked for by `Session.prepare`, at this URL, which is never shown."""

    connection: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ready:
    """The connection is set up: subscribed, or logged in and able to take orders."""

    connection: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The exchange has answered for these subscriptions: acknowledged them, or refused them, as a Problem says."""

    connection: str
    subscriptions: tuple[Subscription, ...]


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Close this connection and open it again."""

    connection: str
    reason: str


@dataclass(frozen=True, slots=True)
class ClockRead:
    """What the exchange's clock showed when it took up our question and when it answered: unix nanoseconds, cut to
    multiples of `resolution_ns`. `number` is that of the question (`Session.clock_frame`), 0 of an answer over REST."""

    received_ns: int
    answered_ns: int
    resolution_ns: int
    number: int = 0


@dataclass(frozen=True, slots=True)
class ClockRefused:
    """The exchange refused a time of ours: its clock is to be read at once."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Tell the user; nothing else can be done about it here."""

    message: str


def answered(connection: str, subscriptions: Sequence[Subscription]) -> list[Answered]:
    """Answered, where it is known for what."""
    return [Answered(connection, tuple(subscriptions))] if subscriptions else []


def by_symbol(wanted: Sequence[Subscription]) -> dict[str, tuple[Subscription, ...]]:
    """The subscriptions of each symbol, in their order."""
    return {symbol: tuple(one for one in wanted if one.symbol == symbol)
            for symbol in dict.fromkeys(one.symbol for one in wanted)}


def by_channel(wanted: Sequence[Subscription]) -> dict[str, tuple[Subscription, ...]]:
    """The subscriptions to each channel, in their order."""
    return {channel: tuple(one for one in wanted if one.channel == channel)
            for channel in dict.fromkeys(one.channel for one in wanted)}


Action = (Send | Fetch | SnapshotBody | OrderBody | AccountBody | AskMore | KeepAlive | Open | Ready | Answered
          | Reconnect | ClockRead | ClockRefused | Problem)
