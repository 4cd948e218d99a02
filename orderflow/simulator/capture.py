"""Liquidity from a capture: recorded frames, played again to whoever subscribes to them.

Playback begins when every recorded subscription is in place, and then does not wait for anybody but the sockets. The
first pass over the file finds what was subscribed, the REST answers and the digits; the second pass plays, one line in
memory. Frames are found again by what they are about (their stream), not by the connection that once carried
them, so a client may spread its subscriptions over connections as it likes. Acks and heartbeats are made fresh.
"""
import itertools
import sys
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from orderflow._core.types import Side
from orderflow.instrument import Listing, WireDigits, listing_from_digits
from orderflow.simulator.charges import affordable, cost_of
from orderflow.simulator.exchange import NEVER_NS, Close
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.numbers import to_scaled, to_text
from orderflow.simulator.order import Order, Submission
from orderflow.simulator.recorded_book import RecordedBook
from orderflow.simulator.recording import CaptureError, Record, read_capture

BURST = 256             # frames per `advance`: how much may lie in the outbox before the driver's sockets are asked


class RecordedLevels(NamedTuple):
    """What a recorded frame says about a book; numbers as text."""
    symbol: str
    is_snapshot: bool
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class RecordedTrade(NamedTuple):
    """What a recorded frame says about a trade; numbers as text."""
    symbol: str
    taker_side: int
    price: str
    quantity: str


class Answer(NamedTuple):
    """A recorded REST answer: what was asked, and the exact body."""
    kind: str           # "metadata" or "depth"
    symbol: str
    body: bytes


@dataclass
class Contents:
    """What a capture holds, found in one pass. Symbols stand in the order of their first appearance."""
    protocol: str
    streams: dict[Hashable, int] = field(default_factory=dict)      # stream -> frames
    metadata: bytes | None = None
    snapshots: dict[str, bytes] = field(default_factory=dict)       # symbol -> the first recorded REST snapshot
    digits: dict[str, WireDigits] = field(default_factory=dict)     # symbol -> what its numbers look like on the wire
    with_books: dict[str, None] = field(default_factory=dict)       # symbols of which there are book frames

    @property
    def depth(self) -> int:
        """The largest depth that a book was subscribed with; 0 where the protocol has no depths."""
        return max((getattr(stream, "depth", 0) for stream in self.streams), default=0)

    def decimals(self, symbol: str, otherwise: tuple[int, int] = (0, 0)) -> tuple[int, int]:
        """Digits after the point of prices and quantities, as written."""
        digits = self.digits.get(symbol)
        return (digits.price_decimals, digits.quantity_decimals) if digits is not None else otherwise

    def listings(self, exchange: str) -> list[Listing]:
        """One listing for every symbol with a book, scaled by the digits on the wire."""
        return [listing_from_digits(exchange, symbol, digits, self.depth)
                for symbol, digits in self.digits.items() if symbol in self.with_books]


def survey(path, dialect) -> Contents:
    """Read a capture once and say what it holds, through the eyes of `dialect` (a class of simulator/dialects).

    Raises CaptureError where the capture is of another protocol or holds nothing that can be played.
    """
    contents = Contents(dialect.protocol)
    reader = dialect.reader()
    line = 0
    for record in read_capture(path):
        line = record.line
        if record.direction == "http":
            answer = reader.answer(record)
            if answer is not None and answer.kind == "metadata":
                contents.metadata = contents.metadata or answer.body
            elif answer is not None:
                contents.snapshots.setdefault(answer.symbol, answer.body)
        else:
            stream = reader.stream(record)
            if stream is not None:
                contents.streams[stream] = contents.streams.get(stream, 0) + 1
        for symbol, levels, of_book in reader.numbers(record):
            contents.digits.setdefault(symbol, WireDigits()).observe_levels(levels)
            if of_book:
                contents.with_books[symbol] = None
    if not contents.streams:
        raise CaptureError(path, line, f"no frame of {dialect.protocol} was found in the whole file")
    return contents


class Playback:
    """A capture as a source of market data.

    `speed` 1.0 plays as recorded, 2.0 in half the time, 0 as fast as frames are taken. `streams` restricts what is
    played and waited for (None: every recorded stream). With `repeat` the end of the capture ends every connection, and
    the capture begins again when it is subscribed to again; `rounds` counts the ends, `ended` those connections.
    """

    def __init__(self, path, dialect, speed: float = 1.0, streams=None, repeat: bool = False):
        if not speed >= 0:
            raise ValueError(f"speed: {speed!r} must be 0 (as fast as frames are taken) or a positive multiple")
        self.path = Path(path)
        self.contents = survey(path, dialect)
        self.expected = frozenset(self.contents.streams if streams is None else streams)
        unknown = self.expected - self.contents.streams.keys()
        if unknown:
            raise ValueError(f"streams: {sorted(map(str, unknown))} are not in {self.path.name}")
        self.instruments = dialect.recorded_instruments(self.contents)
        self._books: dict[str, RecordedBook] = {}       # by symbol; only where orders are taken
        self.started = False
        self.finished = False
        self.played = 0                     # frames handed out
        self.rounds = 0
        self.ended = 0
        self._repeat = repeat
        self._speed = 0.0 if speed == float("inf") else speed
        self._reader = dialect.reader()
        self._frames = self._play()
        self._trade_numbers = itertools.count(1)
        self._next: tuple[int, Hashable, Record] | None = None
        self._first_ns = 0                  # recorded time of the first frame
        self._start_ns = 0                  # when it went out

    def next_ns(self, exchange) -> int:
        """When the next frame is due."""
        if self.finished or not self.started:
            return exchange.now_ns if self._ready(exchange) else NEVER_NS
        return self._due_ns()

    def advance(self, exchange, now_ns: int) -> None:
        """Hand due frames to the exchange, at most BURST of them."""
        if self.finished:
            return
        if not self.started:
            if not self._ready(exchange):
                return
            self.started = True
            self._start_ns = now_ns
            self._next = next(self._frames, None)
            self._first_ns = self._next[0] if self._next else 0
            if exchange.desk is not None:
                for instrument in self.instruments:
                    self._book(instrument)      # by its snapshot it is known which frames are older, the first one too
        for _ in range(BURST):
            if self._next is None:
                self._end(exchange)
                return
            if self._due_ns() > now_ns:
                return
            _, stream, record = self._next
            exchange.play(stream, record.payload)
            self.played += 1
            if exchange.desk is not None:
                for event in self._reader.events(stream, record.payload):
                    self._take_in(exchange, event, now_ns)
            self._next = next(self._frames, None)

    def _end(self, exchange) -> None:
        self.rounds += 1
        if not self._repeat:
            self.finished = True
            return
        self.ended += sum(not connection.closing for connection in exchange.connections.values())
        for connection in list(exchange.connections.values()):
            for key in list(connection.subscriptions):
                exchange.unsubscribe(connection, key)
            exchange.send(connection, Close(1001, "the recording begins again"))
        self.started = False
        self._frames = self._play()

    # orders against the recording (see recorded_book.py)

    def catch_up(self, exchange, now_ns: int) -> None:
        """Frames leave when the driver takes them, so there is nothing to catch up on."""

    def submit(self, exchange, order: Order, at_ns: int) -> Submission:
        """Match an order of an account."""
        return self._book(order.instrument).submit(order)

    def withdraw(self, exchange, order: Order, at_ns: int) -> None:
        """Take a resting order of an account out of the book."""
        self._book(order.instrument).withdraw(order)

    def reduce(self, exchange, order: Order, quantity: int, at_ns: int) -> None:
        """A resting order becomes smaller: the recorded book asks it how much is left."""

    def crosses(self, order: Order) -> bool:
        """Whether a limit order would trade at once."""
        return self._book(order.instrument).reaches(order)

    def cost(self, instrument: SimulatedInstrument, quantity: int) -> int:
        """Price times quantity of buying so much now, or all there is."""
        return cost_of(self._book(instrument).levels(Side.SELL, sys.maxsize), quantity)

    def affordable(self, instrument: SimulatedInstrument, side: int, budget: int) -> int:
        """Quantity that a market order of `budget` (price times quantity) buys or sells now."""
        other = Side.SELL if side == Side.BUY else Side.BUY
        return affordable(self._book(instrument).levels(other, sys.maxsize), budget, instrument.lot)

    def top(self, instrument: SimulatedInstrument, count: int) -> tuple[list, ...]:
        """Best levels as (price text, quantity text): bids, asks; empty where no orders are taken."""
        return tuple([(to_text(price, instrument.price_decimals), to_text(quantity, instrument.quantity_decimals))
                      for price, quantity in self._book(instrument).levels(side, count)]
                     for side in (Side.BUY, Side.SELL))

    def _book(self, instrument: SimulatedInstrument) -> RecordedBook:
        book = self._books.get(instrument.symbol)
        if book is None:
            depth = max((getattr(stream, "depth", 0) for stream in self.expected
                         if getattr(stream, "symbol", None) == instrument.symbol), default=0)
            book = self._books[instrument.symbol] = RecordedBook(self._trade_numbers, depth)
            if instrument.symbol in self.contents.snapshots:
                levels = self._reader.snapshot_levels(instrument.symbol, self.contents.snapshots[instrument.symbol])
                self._show(book, instrument, levels)
        return book

    def _show(self, book: RecordedBook, instrument: SimulatedInstrument, levels: RecordedLevels) -> None:
        if levels.is_snapshot:
            book.clear()
        for side, texts in ((Side.BUY, levels.bids), (Side.SELL, levels.asks)):
            book.show(side, [_scaled(instrument, *level) for level in texts])
        book.cut()

    def _take_in(self, exchange, event: RecordedLevels | RecordedTrade, now_ns: int) -> None:
        instrument = next((one for one in self.instruments if one.symbol == event.symbol), None)
        if instrument is None:
            return
        book = self._book(instrument)
        if isinstance(event, RecordedLevels):
            self._show(book, instrument, event)
            return
        price, quantity = _scaled(instrument, event.price, event.quantity)
        for fill in book.trade(event.taker_side, price, quantity):
            exchange.desk.maker_filled(*fill, now_ns)
        book.forget_ended()
        exchange.desk.traded(instrument.symbol, price)
        exchange.desk.settle(now_ns)

    def _ready(self, exchange) -> bool:
        return not self.started and self.expected <= exchange.subscribers.keys()

    def _due_ns(self) -> int:
        if not self._speed or self._next is None:
            return self._start_ns
        return self._start_ns + int((self._next[0] - self._first_ns) / self._speed)

    def _play(self) -> Iterator[tuple[int, Hashable, Record]]:
        for record in read_capture(self.path):
            if record.direction != "http":
                stream = self._reader.stream(record)
                if stream in self.expected:
                    yield record.local_ns, stream, record


def _scaled(instrument: SimulatedInstrument, price: str, quantity: str) -> tuple[int, int]:
    return to_scaled(price, instrument.price_decimals), to_scaled(quantity, instrument.quantity_decimals)
