"""How to talk to one exchange, without sockets and without parsing market data.

A session is given what happened and returns what to do. All drivers (sync, async, direct), the tests and the simulator
share it. Market data and execution reports never come here: the exchange's native thread decodes them. What comes is
rare: a connection opened, a frame that is not market data (subscribed, login, error), a body of a REST answer, a
listing that needs a snapshot.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
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
    """One REST call. `purpose` comes back with the answer; `listing` is an index, -1 when it concerns none."""

    purpose: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    listing: int = -1


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
        Empty where the exchange says it only when asked: see `Session.prepare`.
    books : bool
        Whether the order books come over it; of an exchange's market data connections one does.
    """

    name: str
    role: Role
    url: str
    books: bool = True


@dataclass(frozen=True, slots=True)
class Send:
    """Send this text as one websocket frame; a `secret` one (a login) is neither recorded nor shown."""

    connection: str
    text: str
    secret: bool = False


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
    """Open the connection whose address was asked for by `Session.prepare`, at this URL."""

    connection: str
    url: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The connection is set up: subscribed, or logged in and able to take orders."""

    connection: str


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Close this connection and open it again."""

    connection: str
    reason: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Tell the user; nothing else can be done about it here."""

    message: str


Action = Send | Fetch | SnapshotBody | KeepAlive | Open | Ready | Reconnect | Problem


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
    lines: int = 1
    renew_after_ns: int | None = None


class Session(Protocol):
    """What every exchange file provides. Times are unix nanoseconds."""

    settings: SessionSettings
    protocol: str                       # its name in `exchanges.SESSIONS`
    rule: SyncRule                      # of its books
    facts: Facts
    assets: list[str]                   # names of ExecutionReport.fee_asset, by index

    def metadata(self) -> list[Request]:
        """Calls whose answers `listings` needs."""

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols from the metadata answers, by purpose."""

    def start(self, indices: Sequence[int], listings: Sequence[Listing]) -> None:
        """The index that each listing got in the engine."""

    def snapshot_symbol(self, url: str) -> str:
        """Symbol whose book snapshot a recorded REST URL asked for; "" for any other URL."""

    def market_codec(self, table, symbols: dict[str, int]) -> Codec:
        """Codec of the market data connections."""

    def order_codec(self, table, symbols: dict[str, int]) -> OrderCodec | None:
        """Codec of the order connection."""

    def endpoints(self) -> list[Endpoint]:
        """Connections to keep open."""

    def prepare(self, connection: str) -> Request | None:
        """The call whose answer says where to open a connection without a URL; `answer` gives Open. None if it has one.
        """

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        """The connection is open."""

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """A frame came that the native codec marked as the session's."""

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """The book of a listing needs a fresh snapshot; `fault` says why. After SILENT it is subscribed anew."""

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """A REST call was answered; status 0 = it failed, `body` says how."""


def renew_after_ns(session: Session) -> int:
    """When its market data connections are replaced by new ones; 0 = never."""
    chosen = session.settings.renew_after_ns
    return session.facts.renew_after_ns if chosen is None else chosen


def has_second_line(session: Session) -> bool:
    """Whether market data may come over two connections at once: always, or while one replaces the other."""
    return session.settings.lines > 1 or renew_after_ns(session) > 0


def limit_of(url: str) -> int:
    """How many levels a side a REST URL asks for; 0 = it names no limit."""
    value = dict(parse_qsl(urlsplit(url).query)).get("limit", "")
    return int(value) if value.isdecimal() else 0
