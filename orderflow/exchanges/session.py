"""How to talk to one exchange, without sockets and without parsing market data.

A session is given what happened and returns what to do. All drivers (sync, async, direct), the tests and the simulator
share it. Market data and execution reports never come here: the exchange's native thread decodes them. What comes is
rare: a connection opened, a frame that is not market data (subscribed, login, error), a body of a REST answer, a
listing that needs a snapshot.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from orderflow._core.codec import Codec, OrderCodec
from orderflow._core.integrity import SyncRule
from orderflow._core.types import BookFault, Role
from orderflow.instrument import Listing


@dataclass(frozen=True, slots=True)
class Facts:
    """What an exchange's documents say of its market data, as data.

    Attributes
    ----------
    shared_book_ids : bool
        The ids of a book are the listing's own: an update has the same one on every connection.
    growing_trade_ids : bool
        Trades of a listing have ids, the same on every connection, and a later trade a larger one.
    renew_after_ns : int
        When a connection is to be replaced because the exchange will end it; 0 = the document names no end.
    kept_levels : int
        The exchange tells of so many of the best levels a side and of none beyond; 0 = of all.
    """

    shared_book_ids: bool = False
    growing_trade_ids: bool = False
    renew_after_ns: int = 0
    kept_levels: int = 0


class SessionError(Exception):
    """The exchange said or sent something that this session cannot go on from; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Request:
    """One REST call. `purpose` comes back with the answer; `listing` is an index, -1 when it concerns none. The answer
    to a `secret` one (a token) is not shown."""

    purpose: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = b""
    listing: int = -1
    secret: bool = False


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


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` of something in any `period_ns` nanoseconds."""

    count: int
    period_ns: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What an exchange allows, by its own documents; where they say nothing, what no exchange minds.

    Attributes
    ----------
    connects : Limit, optional
        Attempts to connect, of all connections to one host; None = as many as one likes.
    messages : Limit, optional
        Websocket messages sent over one connection, or over all of them.
    by_address : bool
        Whether messages count by address: all connections share one budget, and a new one begins where the one before
        it left off.
    requests : Limit, optional
        REST calls for the snapshot of a book, of all listings of one host.
    """

    connects: Limit | None = Limit(60, 60_000_000_000)
    messages: Limit | None = None
    requests: Limit | None = Limit(60, 30_000_000_000)
    by_address: bool = False


#: For exchanges that limit nothing: simulated ones, and captures that are played.
UNLIMITED = Limits(None, None, None)


@dataclass(frozen=True, slots=True)
class Send:
    """Send this text as one websocket frame; a `secret` one (a login) is neither recorded nor shown.

    `awaits` names the subscriptions that it asks for: each must be Answered in time, or `Session.subscribe` is asked
    for it again.
    """

    connection: str
    text: str
    secret: bool = False
    awaits: tuple[Subscription, ...] = ()


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


Action = Send | Fetch | SnapshotBody | KeepAlive | Open | Ready | Answered | Reconnect | Problem


@dataclass(frozen=True, slots=True)
class Credentials:
    """Key and secret of an account, and the passphrase where an exchange has one. Never shown: not in a repr, a log, a
    traceback."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What a session needs to know.

    Attributes
    ----------
    rest, stream, orders : str
        Base URLs; empty = the exchange's production endpoint.
    symbols : tuple of str
        The exchange's own spelling of what to subscribe.
    subscribe : tuple of str
        Frames to send instead of the session's own subscription (playback of a capture).
    trade : bool
        Whether to open the order connection.
    order_rate : (int, int)
        Orders that the send gate lets pass in so many nanoseconds; 0 orders = not limited.
    silence_ns : int
        How long the exchange may say nothing about a book before it is STALE; 0 = for ever.
    login_ns : int
        How long it may take from an open order connection to one that takes orders, before it is opened again.
    subscribe_ns : int
        How long a subscription may wait for its acknowledgement before it is asked for again, at first.
    limits : Limits, optional
        Instead of those that the session knows.
    lines : int
        1, or 2: all market data twice, over connections of their own; what arrives first counts.
    renew_after_ns : int, optional
        When a market data connection is replaced by a new one, whose books are in step before the old one is closed;
        0 = never, None = as the exchange's document says (`Facts.renew_after_ns`).
    """

    name: str
    rest: str = ""
    stream: str = ""
    orders: str = ""
    symbols: tuple[str, ...] = ()
    depth: int = 0
    subscribe: tuple[str, ...] = ()
    trade: bool = False
    credentials: Credentials | None = None
    order_rate: tuple[int, int] = (0, 1)
    silence_ns: int = 60_000_000_000
    login_ns: int = 10_000_000_000
    subscribe_ns: int = 10_000_000_000
    limits: Limits | None = None
    lines: int = 1
    renew_after_ns: int | None = None


class Session:
    """How to talk to one exchange; a subclass per protocol says what is its own. Times are unix nanoseconds.

    What stands here is how most exchanges are: one market data connection that is subscribed when it opens, books whose
    snapshot comes in the stream, or from REST where `snapshot_url` names one, no orders.
    """

    title: ClassVar[str]                    # what its users call the exchange
    protocol: str                           # its name in `exchanges.SESSIONS`
    rule: SyncRule = SyncRule.IN_BAND       # of its books
    production_rest: str                    # base URLs where the settings name none
    production_stream: str
    path: ClassVar[str] = ""                # what the market data connection adds to the base
    codec: ClassVar[type[Codec]]            # of the market data connection
    channels: tuple[str, ...]               # to subscribe to for each symbol, the order book's first
    acknowledges: ClassVar[bool] = True     # whether `frame` hears that a subscription was taken
    limits: Limits = Limits()               # what the exchange allows
    facts: Facts = Facts()                  # what its documents say of its market data

    def __init__(self, settings: SessionSettings):
        self.settings = settings
        self.rest = settings.rest or self.production_rest
        self.stream = settings.stream or self.production_stream
        self.indices: dict[int, Listing] = {}
        self.assets: list[str] = []         # names of ExecutionReport.fee_asset, by index

    # -- metadata -----------------------------------------------------------------------------------------------

    def metadata(self) -> list[Request]:
        """Calls whose answers `listings` needs."""
        raise NotImplementedError

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols from the metadata answers, by purpose.

        Raises
        ------
        SessionError
            When the exchange refuses, or a symbol is not offered; the message names it.
        """
        raise NotImplementedError

    def error(self, what: str) -> SessionError:
        """An error that names this exchange."""
        return SessionError(f"exchange {self.settings.name}: {what}")

    def offered(self, known: Mapping[str, dict]) -> Iterator[tuple[str, dict]]:
        """The configured symbols, each with its entry of the metadata.

        Raises
        ------
        SessionError
            For a symbol that is not among them.
        """
        for symbol in self.settings.symbols:
            if symbol not in known:
                raise self.error(f"symbol {symbol!r} is not offered; check `symbols`")
            yield symbol, known[symbol]

    def start(self, indices: Sequence[int], listings: Sequence[Listing]) -> None:
        """The index that each listing got in the engine."""
        self.indices = dict(zip(indices, listings, strict=True))

    # -- connections --------------------------------------------------------------------------------------------

    def market_codec(self, table, symbols: dict[str, int]) -> Codec:
        """Codec of the market data connections."""
        return self.codec(table, symbols)

    def order_codec(self, table, symbols: dict[str, int]) -> OrderCodec | None:
        """Codec of the order connection; None when it is not to trade.

        Raises
        ------
        SessionError
            When it is to trade and cannot.
        """
        if self.settings.trade:
            raise self.error(f"orders are not supported on {self.title} yet; set trade = false")
        return None

    def endpoints(self) -> list[Endpoint]:
        """Connections to keep open."""
        return [Endpoint("market", Role.MARKET_DATA, f"{self.stream}{self.path}")]

    def prepare(self, connection: str) -> Request | None:
        """The call whose answer says where to open a connection without a URL; `answer` gives Open. None if it has one.
        """
        return None

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        """The connection is open: keep it alive, subscribe."""
        actions = self.keep_alive(connection, unix_ns)
        if self.settings.subscribe:
            actions += [Send(connection, text) for text in self.settings.subscribe]
        else:
            actions += self.subscribe(connection, self.wanted(connection), unix_ns)
        return actions if self.acknowledges else [*actions, Ready(connection)]

    def keep_alive(self, connection: str, unix_ns: int) -> list[Action]:
        """What the exchange wants to hear from a client that has nothing to say."""
        return []

    def wanted(self, connection: str) -> list[Subscription]:
        """Everything that is to come over a connection."""
        return [Subscription(channel, symbol) for symbol in self.settings.symbols for channel in self.channels]

    def subscribe(self, connection: str, wanted: Sequence[Subscription], unix_ns: int) -> list[Action]:
        """Ask for these subscriptions, for the first time or because nothing was answered."""
        raise NotImplementedError

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """A frame came that the native codec marked as the session's."""
        raise NotImplementedError

    # -- books --------------------------------------------------------------------------------------------------

    def snapshot_url(self, symbol: str) -> str:
        """REST URL of a book's snapshot; "" where snapshots come in the stream."""
        return ""

    def snapshot_headers(self, url: str, unix_ns: int) -> tuple[tuple[str, str], ...]:
        """What that call carries where the exchange wants to know whose it is."""
        return ()

    def snapshot_symbol(self, url: str) -> str:
        """Symbol whose book snapshot a recorded REST URL asked for; "" for any other URL."""
        return ""

    def snapshot_levels(self, url: str) -> int:
        """How many levels a side the REST URL of a book asks for; 0 = all."""
        limit = dict(parse_qsl(urlsplit(url).query)).get("limit", "")
        return int(limit) if limit.isdecimal() else 0

    def leave(self, symbol: str, unix_ns: int) -> list[Action]:
        """End the subscription of that symbol's book."""
        raise NotImplementedError

    def resubscribe(self, symbol: str, unix_ns: int) -> list[Action]:
        """Leave and join the book of that symbol alone."""
        return [*self.leave(symbol, unix_ns),
                *self.subscribe("market", [Subscription(self.channels[0], symbol)], unix_ns)]

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """The book of a listing needs a fresh snapshot; `fault` says why.

        Where REST has it, it is fetched, after SILENT behind a new subscription. In the stream, it comes with one.
        """
        symbol = self.indices[listing].symbol
        url = self.snapshot_url(symbol)
        if not url:
            return self.resubscribe(symbol, unix_ns)
        fetch = Fetch(Request("snapshot", "GET", url, self.snapshot_headers(url, unix_ns), listing=listing))
        return [*self.resubscribe(symbol, unix_ns), fetch] if fault == BookFault.SILENT else [fetch]

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """A REST call was answered; status 0 = it failed, `body` says how. Snapshots go to the exchange thread."""
        if request.purpose != "snapshot":
            return []
        if status != 200:
            return [Problem(f"{request.url} answered {status}: {body[:200].decode(errors='replace')}")]
        return [SnapshotBody(request.listing, body, self.snapshot_levels(request.url))]

    # -- connections that come and go -----------------------------------------------------------------------------

    @property
    def renew_after_ns(self) -> int:
        """When its market data connections are replaced by new ones; 0 = never."""
        chosen = self.settings.renew_after_ns
        return self.facts.renew_after_ns if chosen is None else chosen

    @property
    def has_second_line(self) -> bool:
        """Whether market data may come over two connections at once: always, or while one replaces the other."""
        return self.settings.lines > 1 or self.renew_after_ns > 0
