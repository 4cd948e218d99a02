"""How to talk to one exchange, without sockets and without parsing market data.

A session is given what happened and returns what to do. All drivers (sync, async, direct), the tests and the simulator
share it. Market data and execution reports never come here: the exchange's native thread decodes them. What comes is
rare: a connection opened, a frame that is not market data (subscribed, login, error), a body of a REST answer, a
listing that needs a snapshot.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

from orderflow._core.codec import Codec, OrderCodec
from orderflow._core.integrity import SyncRule
from orderflow._core.types import BookFault, Role
from orderflow.credentials import Credentials
from orderflow.exchanges.actions import (
    Action,
    ClockRead,
    Endpoint,
    Fetch,
    OrderQuestion,
    Problem,
    Ready,
    Request,
    RoundStep,
    Send,
    SnapshotBody,
    Subscription,
)
from orderflow.exchanges.facts import Facts, Limits, OrderLimits
from orderflow.exchanges.paper import PaperSettings
from orderflow.instrument import Listing

#: Purpose of the call that asks an exchange for its time.
CLOCK = "clock"
#: Rounds of reconciliation by default: no more often, and one part in so many of what the exchange allows in REST
#: calls; and the largest part that may be chosen. The rest is for logins, snapshots and questions about orders.
SHORTEST_PERIOD_NS = 10_000_000_000
DEFAULT_SHARE, LARGEST_SHARE = 3, 2
#: What a session raises on something that no document describes. It must not end the thread that serves them all.
MISUNDERSTOOD = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


class SessionError(Exception):
    """The exchange said or sent something that this session cannot go on from; the message says what to do."""


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
        New orders, replacements and cancels that leave in so many nanoseconds, besides what the exchange allows; a
        fifth is kept for cancels, and none of them waits for it. 0 = no limit but the exchange's.
    tier : str
        Of the account, where what it may do depends on that; empty = the lowest.
    silence_ns : int
        How long the exchange may say nothing about a book before it is STALE; 0 = for ever.
    login_ns : int
        How long it may take from an open order connection to one that takes orders, before it is opened again.
    subscribe_ns : int
        How long a subscription may wait for its acknowledgement before it is asked for again, at first.
    account_is_exclusive : bool
        Whether nobody else trades on the account: only then are mass cancels and dead-man switches used.
    dead_man_ns : int
        After how long without us the exchange cancels everything, where it offers that; 0 = not used.
    maximum_clock_offset_ns : int
        How far the exchange's clock may be from this machine's; beyond it orders there may only reduce. 0 = any.
    reconcile_ns : int, optional
        How often our books are compared with the exchange's besides after every connect; 0 = not besides, None = as
        often as a part of what the exchange allows permits.
    accept_unexplained : bool
        Whether a balance that fills do not explain is told and taken for right, instead of halting its instruments.
    limits : Limits, optional
        Instead of those that the session knows.
    orders_only : bool
        Whether to open no market data connection: for who only cancels.
    lines : int
        1, or 2: all market data twice, over connections of their own; what arrives first counts.
    renew_after_ns : int, optional
        When a market data connection is replaced by a new one, whose books are in step before the old one is closed;
        0 = never, None = as the exchange's document says (`Facts.renew_after_ns`).
    paper : PaperSettings, optional
        Trade on paper: `trade` is False then.
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
    tier: str = ""
    account_is_exclusive: bool = False
    dead_man_ns: int = 60_000_000_000
    orders_only: bool = False
    silence_ns: int = 60_000_000_000
    login_ns: int = 10_000_000_000
    subscribe_ns: int = 10_000_000_000
    maximum_clock_offset_ns: int = 2_000_000_000
    reconcile_ns: int | None = None
    accept_unexplained: bool = False
    limits: Limits | None = None
    lines: int = 1
    renew_after_ns: int | None = None
    paper: PaperSettings | None = None


class Session:
    """How to talk to one exchange; a subclass per protocol says what is its own. Times are unix nanoseconds, of the
    exchange's clock where that is read.

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
    acknowledges: ClassVar[bool] = True     # whether `frame` hears that a subscription was taken; else its book says so
    limits: Limits = Limits()               # what the exchange allows
    order_limits: OrderLimits = OrderLimits()   # what it allows of orders; known when `listings` has read its metadata
    facts: Facts = Facts()                  # what its documents say of its market data
    snapshot_weight: int = 1                # of the REST call for a book, in the exchange's limit

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

    def book_of(self, listing: int) -> Subscription:
        """The subscription of a listing's book."""
        return Subscription(self.channels[0], self.indices[listing].symbol)

    def joins_anew(self, listing: int, fault: BookFault) -> bool:
        """Whether `need_snapshot` asks for the subscription of the book again."""
        return fault == BookFault.SILENT or not self.snapshot_url(self.indices[listing].symbol)

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """The book of a listing needs a fresh snapshot; `fault` says why.

        Where REST has it, it is fetched, after SILENT behind a new subscription. In the stream, it comes with one.
        """
        symbol = self.indices[listing].symbol
        url = self.snapshot_url(symbol)
        if not url:
            return self.resubscribe(symbol, unix_ns)
        fetch = Fetch(Request("snapshot", "GET", url, self.snapshot_headers(url, unix_ns), listing=listing,
                              weight=self.snapshot_weight))
        return [*self.resubscribe(symbol, unix_ns), fetch] if self.joins_anew(listing, fault) else [fetch]

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """A REST call was answered; status 0 = it failed, `body` says how. Snapshots go to the exchange thread."""
        if request.purpose != "snapshot":
            return []
        if status != 200:
            return [Problem(f"{request.url} answered {status}: {body[:200].decode(errors='replace')}")]
        return [SnapshotBody(request.listing, body, self.snapshot_levels(request.url))]

    # -- orders -------------------------------------------------------------------------------------------------

    def order_calls(self, question: OrderQuestion, unix_ns: int) -> list[Request]:
        """The first calls that tell what became of an order; each carries the question."""
        raise NotImplementedError

    def order_answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """One of them was answered: OrderBody, and Fetch of what is to be asked besides. No action, or a Problem, says
        that the answer is of no use: nothing may be concluded. That the exchange does not know the order counts
        only when it was asked for wherever it may be: by its id, among the open orders, in the history."""
        raise NotImplementedError

    def too_much(self, status: int, body: bytes) -> bool:
        """Whether the answer to a REST call says that there were too many of them, where its status does not."""
        return False

    # -- the account --------------------------------------------------------------------------------------------

    def round_steps(self, since_ns: int) -> list[RoundStep]:
        """What a round of reconciliation asks, in this order: open orders, balances, then trades since `since_ns`,
        among which are those that made the balances what they are. Nothing where that is not supported."""
        return []

    def round_call(self, step: RoundStep, unix_ns: int) -> Request:
        """The call for a step; it carries the step."""
        raise NotImplementedError

    def round_answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """It was answered: AccountBody, and AskMore where that was not all. No action, or a Problem, says that the
        answer is of no use: the round is in vain."""
        raise NotImplementedError

    def round_period_ns(self) -> int:
        """How long to wait between two rounds while nothing happens; 0 = there is no next one. By default no less than
        SHORTEST_PERIOD_NS, and so long that rounds take a third of what the exchange allows in REST calls; what is
        chosen may take the half: a login must never wait for them."""
        chosen = self.settings.reconcile_ns
        limit = (self.settings.limits or self.limits).requests
        weight = sum(self.round_weight(step) for step in self.round_steps(0))
        whole_ns = 0 if limit is None else weight * limit.period_ns // limit.count
        if chosen is None:
            return max(SHORTEST_PERIOD_NS, DEFAULT_SHARE * whole_ns)
        return max(chosen, LARGEST_SHARE * whole_ns) if chosen else 0

    def round_weight(self, step: RoundStep) -> int:
        """What a step counts for in the exchange's limit."""
        return 1

    # -- its clock ------------------------------------------------------------------------------------------------

    def clock_call(self) -> Request | None:
        """The REST call that asks what time it is there, with purpose CLOCK; None where no time is signed."""
        return None

    def clock_read(self, body: bytes) -> ClockRead:
        """What its answer says."""
        raise NotImplementedError

    def clock_frame(self, number: int) -> Send | None:
        """The same question over the order connection, where that has one; `frame` gives ClockRead of that number."""
        return None

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
