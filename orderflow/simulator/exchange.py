"""What every simulated exchange has, whatever protocol it speaks: connections, subscriptions, an outbox, a clock.

No sockets and no clock of its own: a driver hands in bytes and the time (unix nanoseconds) and takes frames out of the
outbox. So the same object stands behind real sockets (server.py) and behind the in-memory `direct` server.

    driver ── open, message, pong, closed, http, advance ──> Exchange ── drain ──> driver

`next_ns` says when `advance` has something to do next. Everything is a function of what was handed in: the same calls
with the same times give the same bytes.
"""
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from orderflow.simulator.entry import OrderEntry
    from orderflow.simulator.orders import OrderDesk

SECOND_NS = 1_000_000_000
NEVER_NS = 2**63 - 1


class Ping(NamedTuple):
    """A websocket ping frame to send."""
    payload: bytes


class Pong(NamedTuple):
    """A websocket pong frame to send."""
    payload: bytes


class Close(NamedTuple):
    """End of a connection: send a close frame, then close."""
    code: int
    reason: str


class Fragmented(NamedTuple):
    """A text message to send in several frames, with a ping after the first of them."""
    parts: tuple[bytes, ...]


class Raw(NamedTuple):
    """Bytes to write as they are: part of a frame, or none at all."""
    data: bytes


class Hangup(NamedTuple):
    """End of a TCP connection without a close frame; `reset` drops what was not sent yet (RST)."""
    reset: bool


#: What is sent to a client: the text of a frame, or its bytes where they are no text, and everything above.
Item = str | bytes | Ping | Pong | Close | Fragmented | Raw | Hangup


class Response(NamedTuple):
    """Answer to an HTTP request, given so long after it; `made` makes it only then, of the time that it is by then."""
    status: int
    headers: dict[str, str]
    body: bytes
    after_ns: int = 0
    made: "Callable[[int], Response] | None" = None


@dataclass
class Connection:
    """One open websocket."""
    id: int
    path: str                       # with its query, as requested
    opened_ns: int
    last_sent_ns: int = 0
    next_ping_ns: int = NEVER_NS
    pong_due_ns: int = NEVER_NS
    subscriptions: dict[Hashable, None] = field(default_factory=dict)   # a set that keeps its order
    combined: bool = False          # Binance: payloads wrapped with the name of their stream
    closing: bool = False           # a Close was sent; nothing goes out after it
    session_key: str | None = None  # API key of a logged-on session
    received_ns: list[int] = field(default_factory=list)                # of the last second's messages


class Exchange:
    """Base of the dialects: `protocol` names it, `source` makes its market data."""

    protocol: ClassVar[str]
    answers_at: ClassVar[tuple[str, ...]]       # websocket paths
    order_entry: "ClassVar[type[OrderEntry] | None]" = None   # what faults know of its private side
    takes_orders: ClassVar[bool] = False        # whether its third argument is the settings of accounts
    ping_every_ns: ClassVar[int] = 0            # 0 = the server sends no ping frames
    pong_within_ns: ClassVar[int] = 0
    publish_every_ns: ClassVar[int] = 100_000_000   # books made here are published at multiples of this
    shows_losses: ClassVar[bool] = True         # whether a client can tell that a frame of a book is missing
    shows_order: ClassVar[bool] = True          # whether it can tell that two of them have changed places
    checksum_mark: ClassVar[str] = ""           # what stands before a checksum in a frame; "" = there are none

    def __init__(self, source, name: str = ""):
        self.source = source
        self.name = name or self.protocol
        self.now_ns = 0
        self.connections: dict[int, Connection] = {}
        self.subscribers: dict[Hashable, dict[int, None]] = {}
        self.desk: OrderDesk | None = None          # the orders of accounts, where orders are taken
        self.skew_ns = 0                            # how far its clock is ahead of the true time (a fault)
        self.waited_ns = 0                          # how long the request at hand lay about before it (a fault)
        self._outbox: list[tuple[int, Item]] = []

    # what a driver calls

    def accepts(self, path: str) -> bool:
        """Whether a websocket may be opened at this path (its query is not looked at)."""
        return path.partition("?")[0].rstrip("/") in self.answers_at

    def open(self, connection_id: int, path: str, now_ns: int) -> None:
        """A websocket was opened; `path` carries its query."""
        self.now_ns = now_ns
        connection = Connection(connection_id, path, now_ns, last_sent_ns=now_ns)
        if self.ping_every_ns:
            connection.next_ping_ns = now_ns + self.ping_every_ns
        self.connections[connection_id] = connection
        self.opened(connection)

    def message(self, connection_id: int, text: str, now_ns: int) -> None:
        """A text frame arrived."""
        self.now_ns = now_ns
        connection = self.connections.get(connection_id)
        if connection is not None:
            self.received(connection, text)

    def ping(self, connection_id: int, payload: bytes, now_ns: int) -> None:
        """A ping frame arrived."""
        self.now_ns = now_ns
        connection = self.connections.get(connection_id)
        if connection is not None:
            self.send(connection, Pong(payload))

    def pong(self, connection_id: int, payload: bytes, now_ns: int) -> None:
        """A pong frame arrived. Only a pong that carries our ping's payload keeps the connection alive."""
        self.now_ns = now_ns
        connection = self.connections.get(connection_id)
        if connection is not None and payload == self._ping_payload(connection):
            connection.pong_due_ns = NEVER_NS

    def closed(self, connection_id: int) -> None:
        """A websocket is gone, from whichever side."""
        connection = self.connections.pop(connection_id, None)
        if connection is not None:
            for key in list(connection.subscriptions):
                self.unsubscribe(connection, key)
            self.forgotten(connection)

    def advance(self, now_ns: int) -> None:
        """Do what is due by now. Bounded work per call: call again while `next_ns() <= now`."""
        self.now_ns = now_ns
        self.source.advance(self, now_ns)
        if self.desk is not None:
            self.desk.advance(now_ns)
        for connection in list(self.connections.values()):
            self._keep_alive(connection, now_ns)
            self.housekeeping(connection, now_ns)

    def next_ns(self) -> int:
        """Time at which `advance` has something to do; NEVER_NS when nothing is scheduled."""
        due = self.source.next_ns(self)
        if self.desk is not None:
            due = min(due, self.desk.next_ns())
        for connection in self.connections.values():
            due = min(due, connection.next_ping_ns, connection.pong_due_ns, self.housekeeping_ns(connection))
        return due

    def drain(self) -> list[tuple[int, Item]]:
        """Take what is to be sent, in order: (connection id, what to send)."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def put_back(self, items: list[tuple[int, Item]]) -> None:
        """What was drained and is to be sent all the same, before anything else."""
        self._outbox = items + self._outbox

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        """Answer a REST request. `query` is raw, as signed; `headers` is any mapping with lower-case names."""
        raise NotImplementedError

    @property
    def finished(self) -> bool:
        """Whether a capture was played to its end."""
        return self.source.finished

    # what a dialect calls

    def send(self, connection: Connection, frame: Item) -> None:
        """Put a frame into the outbox."""
        if connection.closing:
            return
        connection.closing = isinstance(frame, Close)
        self._outbox.append((connection.id, frame))
        connection.last_sent_ns = self.now_ns

    def subscribe(self, connection: Connection, key: Hashable) -> None:
        """From now on `connection` gets what is published under `key`."""
        connection.subscriptions[key] = None
        self.subscribers.setdefault(key, {})[connection.id] = None

    def unsubscribe(self, connection: Connection, key: Hashable) -> None:
        """Undo `subscribe`."""
        connection.subscriptions.pop(key, None)
        listeners = self.subscribers.get(key)
        if listeners is not None:
            listeners.pop(connection.id, None)
            if not listeners:
                del self.subscribers[key]

    def listeners(self, key: Hashable) -> list[Connection]:
        """Connections subscribed to `key`, in the order of their subscribing."""
        return [self.connections[number] for number in self.subscribers.get(key, ())]

    def expire_streams(self) -> None:
        """Keys and tokens of private streams are void from now on, without a word (a fault)."""

    # what a dialect fills in

    def opened(self, connection: Connection) -> None:
        """A connection was opened."""

    def received(self, connection: Connection, text: str) -> None:
        """A text frame arrived."""
        raise NotImplementedError

    def forgotten(self, connection: Connection) -> None:
        """A connection is gone."""

    def housekeeping(self, connection: Connection, now_ns: int) -> None:
        """Time passed: heartbeats."""

    def housekeeping_ns(self, connection: Connection) -> int:
        """When `housekeeping` has something to do."""
        return NEVER_NS

    # what a source that makes its market data calls; `book` is a market.MarketBook

    def publish_trades(self, book, trades, at_ns: int) -> None:
        """Trades of one taker order: array of matching.MATCH_REPORT_DTYPE."""

    def publish_touch(self, book, at_ns: int) -> None:
        """The best bid or ask changed."""

    def publish_book(self, book, at_ns: int) -> None:
        """It is time to publish what changed in a book."""

    # what the desk calls; `order` is an orders.Order, `fill` an orders.Fill

    def order_accepted(self, order, at_ns: int) -> None:
        """An order was taken; its fills, if any, follow."""

    def order_filled(self, order, fill, at_ns: int) -> None:
        """An order was filled, perhaps in part."""

    def order_ended(self, order, at_ns: int) -> None:
        """An order ended with something unfilled; its status says how."""

    def order_amended(self, order, at_ns: int) -> None:
        """An order was changed in place; what that leads to follows."""

    def order_refilled(self, order, at_ns: int) -> None:
        """An iceberg shows its next part."""

    def order_triggered(self, order, at_ns: int) -> None:
        """A trade set off an order that waited for it; its fills, if any, follow."""

    def order_prevented(self, order, other, quantity: int, at_ns: int) -> None:
        """An order lost quantity that it would have traded with `other`, of the same account."""

    def order_completed(self, order, at_ns: int) -> None:
        """An amendment left an order nothing to fill."""

    def order_name(self, order) -> str:
        """The exchange's own id of an order, as it is spelled on the wire."""
        return str(order.order_id)

    def _ping_payload(self, connection: Connection) -> bytes:
        return str((connection.next_ping_ns - self.ping_every_ns) // 1_000_000).encode()

    def _keep_alive(self, connection: Connection, now_ns: int) -> None:
        if now_ns >= connection.pong_due_ns:
            connection.pong_due_ns = NEVER_NS
            connection.next_ping_ns = NEVER_NS
            self.send(connection, Close(1008, "Pong timeout"))
        elif now_ns >= connection.next_ping_ns:
            connection.next_ping_ns = now_ns + self.ping_every_ns
            if connection.pong_due_ns == NEVER_NS:
                connection.pong_due_ns = now_ns + self.pong_within_ns
            self.send(connection, Ping(self._ping_payload(connection)))
