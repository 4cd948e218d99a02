"""One simulated exchange with faults behind the direct server, and after every frame the question whether a book lies.

The oracle is the matching engine: what it holds is written down whenever the exchange publishes, is asked or is spoken
to. A book that says LIVE must be one of those true books, and never an older one than it was before. Where the exchange
tells of one publication in several frames (Bitfinex, BitMEX, Kraken Futures), a slow client in dicts, which is
compared with the matching engine, knows the books in between.
"""
from collections import deque
from decimal import Decimal

import numpy as np

from orderflow._core.types import BookState, Side
from orderflow.exchanges import session_for
from orderflow.exchanges.facts import UNLIMITED
from orderflow.exchanges.session import SessionSettings
from orderflow.servers.direct import DirectServer
from orderflow.simulator.agents import Temper
from orderflow.simulator.capture import RecordedLevels
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.faults import Fault, FaultPlan
from orderflow.simulator.instruments import SimulatedInstrument, default_instruments
from orderflow.simulator.launch import SimulatorSettings, build
from orderflow.simulator.recording import Record
from orderflow.wiring import build_core, conversations

START_NS = 1_700_000_000 * SECOND_NS
PATIENCE_S = 120                # of virtual time: connections and snapshots are asked for every 30 s at the worst
REMEMBERED = 2_000              # true books of each instrument
SIDES = (Side.BUY, Side.SELL)
#: Small books and little trade, so that most frames are of books: what costs time here is to make them.
TEMPER = Temper(near_rate=12.0, near_life=1.5, deep_rate=3.0, deep_life=8.0, noise_rate=0.5, arbitrage_rate=1.0,
                jumps=0.02)
SLOW_TEMPER = Temper(near_rate=3.0, near_life=6.0, deep_rate=1.0, deep_life=24.0, noise_rate=0.2, arbitrage_rate=0.5,
                     jumps=0.02)
#: Protocols that publish twice a second.
SLOW = ("hyperliquid",)
#: Levels a side that are compared, where they are not all: Hyperliquid and Bitfinex show no more, and Kraken's
#: checksum covers ten. A frame of Kraken's that only changes levels behind them can be lost unnoticed, until one of
#: them is among the ten.
WINDOW = {"hyperliquid": 20, "kraken_v2": 10, "bitfinex": 100}
WHOLE = 1 << 16
#: Protocols that tell of one publication in several frames.
SEVERAL_FRAMES = ("bitfinex", "bitmex", "kraken_futures")
#: Each kind with the chance at which a book is LIVE most of the time: a resync that comes soon after another waits.
RATES = {"duplicate": 0.01, "fragment": 0.01, "delay": 0.002, "drop": 0.0004, "reorder": 0.0004, "gap": 0.0002,
         "checksum": 0.0003, "freeze": 0.0001, "garbage": 0.0003, "bad_utf8": 0.0002, "oversize": 0.00005,
         "cut": 0.0001, "reset": 0.0001, "close": 0.0001, "no_ack": 0.05, "refusal": 0.1, "late_snapshot": 0.1,
         "old_snapshot": 0.1}


def two_instruments(protocol):
    """What the exchange trades here."""
    found = default_instruments(protocol)[:2]
    if len(found) < 2:
        found += (SimulatedInstrument("ETHUSD_PERP", "ETH", "USD", 2, 0, tick=5, contract_size=10),)
    return found


class TrueBooks:
    """Every book that one instrument had, as bytes; numbered, the oldest forgotten."""

    def __init__(self):
        self.count = 0
        self._numbers = {}          # book -> each time when it was the true one
        self._order = deque()

    def add(self, state):
        if self._order and self._order[-1] == state:
            return
        self.count += 1
        self._numbers.setdefault(state, deque()).append(self.count)
        self._order.append(state)
        if len(self._order) > REMEMBERED:
            oldest = self._order.popleft()
            self._numbers[oldest].popleft()
            if not self._numbers[oldest]:
                del self._numbers[oldest]

    def number(self, state, least):
        """The first time from `least` on that it was the true book; before that the last time, 0 = never."""
        numbers = self._numbers.get(state, ())
        return next((number for number in numbers if number >= least), numbers[-1] if numbers else 0)


class _Watched:
    """A native loop that takes each frame at once, and is looked at then."""

    def __init__(self, loop, now, look):
        self._loop, self._now, self._look = loop, now, look

    def push_frame(self, *arguments):
        taken = self._loop.push_frame(*arguments)
        self._loop.run_once(self._now())
        self._look()
        return taken

    def __getattr__(self, name):
        return getattr(self._loop, name)


class Faulted:
    """See the module.

    Attributes
    ----------
    frames : int
        Frames that the loop was given.
    live : int
        Books that were compared with the truth while they said LIVE.
    """

    def __init__(self, protocol, plan=None, seed=5, silence_ns=5 * SECOND_NS, instruments=()):
        self.protocol = protocol
        self.problems = []
        self.frames = self.live = 0
        instruments = instruments or two_instruments(protocol)
        self.symbols = tuple(instrument.symbol for instrument in instruments)
        self.exchange = build(SimulatorSettings(
            protocol, protocol, seed=seed, origin_ns=START_NS, instruments=instruments,
            temper=SLOW_TEMPER if protocol in SLOW else TEMPER, faults=plan or FaultPlan()))
        self.session = session_for(protocol, SessionSettings(
            protocol, rest="http://x", stream="ws://x", symbols=self.symbols, silence_ns=silence_ns,
            limits=UNLIMITED))
        self.server = DirectServer({protocol: self.exchange}, START_NS, self.problems.append)
        listings = self.session.listings(self.server.fetch_now(protocol, self.session.metadata()))
        self.core = build_core([self.session], listings, borrows=False, watch_silence=True, unix_offset_ns=0)
        self.loop = self.core.loops[protocol]
        [self.conversation] = conversations(self.core, [self.session], self.problems.append, self.server.hosts)
        self.conversation.loop = _Watched(self.loop, lambda: self.server.now_ns, self._frame_was_taken)
        self._indices = {listing.symbol: index for index, listing in enumerate(listings)}
        self._scales = {listing.symbol: self._scales_of(listing) for listing in listings}
        self.true_books = {symbol: TrueBooks() for symbol in self.symbols}
        self._shown = dict.fromkeys(self.symbols, 0)        # number of the true book that each showed last
        self._publications = dict.fromkeys(self.symbols, 0)
        self._published = {}            # the book of the last publication, by symbol
        self._client = _SlowClient(self) if protocol in SEVERAL_FRAMES else None
        self._witness()
        self.server.start([self.conversation], [self.loop])

    # -- what a test does

    def run(self, seconds, until=lambda: False):
        """Let time pass; whether `until` came true."""
        self.server.run_until(self.server.now_ns + int(seconds * SECOND_NS), lambda: self._look() or until())
        self._look()
        return until()

    def wait(self, until, what):
        assert self.run(PATIENCE_S, until), f"{self.protocol}: {what} did not happen; {self.problems[-5:]}"

    def run_frames(self, count):
        """Until so many frames more were taken."""
        wanted = self.frames + count
        while self.frames < wanted:
            before = self.frames
            self.run(PATIENCE_S, lambda: self.frames >= wanted)
            assert self.frames > before, f"{self.protocol}: nothing is sent any more; {self.problems[-5:]}"

    def arm(self, kind, **options):
        """One fault, as soon as there is something to do it to."""
        self.exchange.arm(Fault(kind, **options))

    @property
    def oracle_was_compared(self):
        """Whether the slow client was compared with the matching engine, where there is one."""
        return self._client is None or self._client.compared > self.frames // 100

    def state(self, symbol):
        return BookState(self.core.board.read(self._indices[symbol])["book_state"]).name

    def counters(self, symbol):
        return self.loop.counters(self._indices[symbol])

    @property
    def all_live(self):
        return all(self.state(symbol) == "LIVE" for symbol in self.symbols)

    def wait_live(self):
        self.wait(lambda: self.all_live, f"LIVE books of {self.symbols}")

    def becomes_true(self):
        """Without further faults every book is LIVE and goes along with the truth."""
        self.exchange.heal()
        self.wait_live()
        behind = {symbol: books.count for symbol, books in self.true_books.items()}
        self.wait(lambda: self.all_live and all(self._shown[symbol] > count for symbol, count in behind.items()),
                  "books that follow the truth")

    # -- the truth

    def _witness(self):
        """Write down the true books whenever what a client is told may have been made of them."""
        venue = self.exchange.exchange
        publish_book, http, message, drain = venue.publish_book, venue.http, venue.message, venue.drain

        def published(book, at_ns):
            publish_book(book, at_ns)
            symbol = book.instrument.symbol
            self._published[symbol] = self._write_down(symbol)

        def asked(*arguments):
            answer = http(*arguments)
            for symbol in self.symbols:
                self._write_down(symbol)
            return answer

        def spoken_to(*arguments):
            message(*arguments)
            self._published.clear()         # a subscription may begin between two publications
            for symbol in self.symbols:
                self._write_down(symbol)

        def drained():
            items = drain()
            told = {self._client.take(item) for _, item in items}
            for symbol in told & self._published.keys():
                assert self._client.state(symbol) == self._published[symbol], f"the slow client of {symbol} is wrong"
                self._client.compared += 1
            return items

        venue.publish_book, venue.http, venue.message = published, asked, spoken_to
        source = venue.source           # looked at when it publishes, not whenever an agent acts: that costs time only
        source.next_ns = lambda exchange: max(source._publish_ns, source._reached_ns)
        if self._client is not None:
            venue.drain = drained

    def _write_down(self, symbol):
        book, (_, factors), window = self.exchange.source.books[symbol], self._scales[symbol], self._window
        state = _bytes_of([book.engine.depth(side, window) for side in SIDES], factors)
        if self._client is None or not self._client.knows(symbol):
            self.true_books[symbol].add(state)
        return state

    @property
    def _window(self):
        return WINDOW.get(self.protocol, WHOLE)

    def _scales_of(self, listing):
        """What numbers of our book, and of the matching engine, are multiplied by to be comparable."""
        [instrument] = [one for one in self.exchange.source.instruments if one.symbol == listing.symbol]
        ours = np.array([listing.price_decimals, listing.quantity_decimals])
        theirs = np.array([instrument.price_decimals, instrument.quantity_decimals])
        most = np.maximum(ours, theirs)
        return 10 ** (most - ours), 10 ** (most - theirs)

    def scaled(self, symbol, levels):
        """(price, quantity) texts as the comparable integers."""
        [instrument] = [one for one in self.exchange.source.instruments if one.symbol == symbol]
        return [(int(Decimal(price).scaleb(instrument.price_decimals)) * int(self._scales[symbol][1][0]),
                 int(Decimal(quantity).scaleb(instrument.quantity_decimals)) * int(self._scales[symbol][1][1]))
                for price, quantity in levels]

    # -- the question

    def _frame_was_taken(self):
        self.frames += 1
        self._look()

    def _look(self):
        """Every book that says LIVE is a true one, and none older than before."""
        for symbol, index in self._indices.items():
            publication = self.loop.publication(index)
            if publication == self._publications[symbol]:
                continue
            self._publications[symbol] = publication
            if self.core.board.read(index)["book_state"] != BookState.LIVE:
                continue
            book = self.loop.book(index)
            sides = [book.levels(side, None if self._window == WHOLE else self._window) for side in SIDES]
            number = self.true_books[symbol].number(_bytes_of(sides, self._scales[symbol][0]), self._shown[symbol])
            assert number, self._complaint(symbol, "is LIVE and was never the true one")
            assert number >= self._shown[symbol], self._complaint(symbol, "is LIVE and older than it was before")
            self._shown[symbol] = number
            self.live += 1
        return False

    def _complaint(self, symbol, what):
        return (f"{self.protocol}: the book of {symbol} {what}; frame {self.frames}, faults "
                f"{list(self.exchange.log)[-5:]}, now {self.server.now_ns}, {self.counters(symbol)}, "
                f"{self.problems[-5:]}")


class _SlowClient:
    """The books that frames make which nobody spoilt, in dicts."""

    def __init__(self, faulted):
        self._faulted = faulted
        self._reader = faulted.exchange.exchange.reader()
        self._books = {}
        self.compared = 0               # with the matching engine

    def knows(self, symbol):
        return symbol in self._books

    def take(self, item):
        """Symbol of the book that a frame changed."""
        if not isinstance(item, str):
            return None
        symbol = None
        stream = self._reader.stream(Record(0, 0, "rx", "", item))
        for event in self._reader.events(stream, item) if stream is not None else ():
            if isinstance(event, RecordedLevels):
                symbol = event.symbol
                self._apply(event)
        return symbol

    def state(self, symbol):
        bids, asks = self._books[symbol]
        return b"|".join(np.array(levels, np.int64).tobytes() for levels in (
            sorted(bids.items(), reverse=True), sorted(asks.items())))

    def _apply(self, event):
        if event.is_snapshot:
            self._books[event.symbol] = {}, {}
        if event.symbol not in self._books:
            return
        for book, levels in zip(self._books[event.symbol], (event.bids, event.asks), strict=True):
            for price, quantity in self._faulted.scaled(event.symbol, levels):
                if quantity:
                    book[price] = quantity
                else:
                    book.pop(price, None)
        self._faulted.true_books[event.symbol].add(self.state(event.symbol))


def _bytes_of(sides, factors):
    """Levels of both sides, multiplied: equal books are equal bytes."""
    if factors[0] == 1 and factors[1] == 1:
        return b"|".join(side.tobytes() for side in sides)
    return b"|".join((side.view(np.int64).reshape(-1, 2) * factors).tobytes() for side in sides)
