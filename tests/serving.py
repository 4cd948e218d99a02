"""Simulated exchanges on a clock that stops, and a server with its native threads, for the tests of servers."""
import contextlib
import os
import time
from decimal import Decimal

from orderflow._core.doorbell import Doorbell
from orderflow._core.types import Side
from orderflow.exchanges import session_for
from orderflow.exchanges.session import SessionSettings
from orderflow.instrument import Listing
from orderflow.servers.async_ import AsyncServer
from orderflow.servers.connect import Timeouts
from orderflow.servers.sync import SyncServer
from orderflow.simulator.launch import SimulatorSettings, build
from orderflow.simulator.server import SimulatedExchange
from orderflow.wiring import build_core, conversations, exchange_threads, wait_until
from tests.loopback import HOST

SERVERS = {"sync": SyncServer, "async": AsyncServer}
PATIENCE = 8.0
GRID_NS = 100_000_000           # simulated exchanges have published everything at multiples of this, with exceptions
SYMBOLS = {"binance_spot": ("BTCUSDT", "ETHUSDT"), "binance_usdm": ("BTCUSDT",), "kraken_v2": ("BTC/USDT", "ETH/USDT")}


class Clock:
    """Unix time, until it is stopped at a moment when everything that happened was also published."""

    def __init__(self):
        self.origin_ns = time.time_ns()
        self._end_ns = 2**63 - 1

    def __call__(self):
        return min(time.time_ns(), self._end_ns)

    def stop(self, grid_ns=GRID_NS):
        """Returns when that moment has come: until then the truth may change."""
        self._end_ns = self.origin_ns + ((time.time_ns() - self.origin_ns) // grid_ns + 1) * grid_ns
        while (left_ns := self._end_ns - time.time_ns()) > 0:
            time.sleep(left_ns / 1e9)


def opened():
    """Sockets and event descriptors of this process."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{name}")
            if target.startswith("socket:"):
                found.add(target)
    return found


def start_exchange(protocol, clock, authority=None, port=0, seed=5, faults=None):
    settings = SimulatorSettings(protocol, protocol, seed=seed, origin_ns=clock.origin_ns, faults=faults)
    exchange = SimulatedExchange(build(settings), 0 if authority else port, port if authority else 0, authority, clock)
    exchange.start()
    return exchange


def session_of(protocol, port, secure=False, name="", **settings):
    letter = "s" if secure else ""
    return session_for(protocol, SessionSettings(
        name or protocol, rest=f"http{letter}://{HOST}:{port}", stream=f"ws{letter}://{HOST}:{port}",
        symbols=SYMBOLS[protocol], **settings))


def port_of(exchange, secure=False):
    return exchange.ports.tls if secure else exchange.ports.plain


class Run:
    """A server, its conversations and native threads; a context manager."""

    def __init__(self, kind, sessions, authority=None, listings=None, layout="split", timeout=PATIENCE,
                 watch_silence=False):
        self.problems = []
        self.sessions = sessions
        bell = Doorbell()
        self.server = SERVERS[kind](bell, self.problems.append, str(authority.path) if authority else None,
                                    timeouts=Timeouts(timeout, timeout, timeout))
        if listings is None:
            listings = [listing for session in sessions
                        for listing in session.listings(self.server.fetch_now(session.metadata()))]
        self.core = build_core(sessions, listings, borrows=self.server.borrows, layout=layout, control_bell=bell,
                               watch_silence=watch_silence)
        self.threads = exchange_threads(self.core, layout, "park")
        self.conversations = conversations(self.core, sessions, self.problems.append, self.server.hosts)

    def __enter__(self):
        self.threads.start()
        self.server.start(self.conversations)
        return self

    def __exit__(self, *_):
        self.server.stop()
        self.threads.stop()

    def states(self, name=None):
        return [conversation.health.books.get(index) for conversation in self.conversations
                if name in (None, conversation.name)
                for index, listing in enumerate(self.core.listings) if listing.exchange == conversation.name]

    def wait_live(self, name=None, more=lambda: True):
        wait_until(lambda: more() and all(state == "LIVE" for state in self.states(name)), PATIENCE,
                   f"LIVE books of {name or 'everybody'} ({self.problems[-3:]})")

    def wait_told(self, *words):
        try:
            wait_until(lambda: any(all(word in problem for word in words) for problem in self.problems), PATIENCE, "")
        except TimeoutError:
            raise AssertionError(f"nothing with {words} in {self.problems}") from None

    def books(self, exchange):
        """All levels, by symbol: bids and asks as decimals. Only while nothing is written."""
        loop = self.core.loops[exchange]
        return {listing.symbol: [[(Decimal(listing.price_text(level["price"])),
                                   Decimal(listing.quantity_text(level["quantity"])))
                                  for level in loop.book(index).levels(side)] for side in (Side.BUY, Side.SELL)]
                for index, listing in enumerate(self.core.listings) if listing.exchange == exchange}

    def shown(self, exchange):
        """Best bid and ask on the board, by symbol."""
        found = {}
        for index, listing in enumerate(self.core.listings):
            if listing.exchange == exchange:
                entry = self.core.board.read(index)
                found[listing.symbol] = [Decimal(listing.price_text(entry[side][0]["price"]))
                                         for side in ("bids", "asks") if entry[f"{side[:3]}_count"]]
        return found

    def frames(self, exchange):
        return self.core.loops[exchange].totals["frames"]


def truth(exchange, depth=1000):
    """What the matching engines of a simulated exchange hold, by symbol, as `Run.books` has it."""
    def look():
        return {symbol: [[(Decimal(book.price_text(price)), Decimal(book.quantity_text(quantity)))
                          for price, quantity in book.levels(side, depth)] for side in (Side.BUY, Side.SELL)]
                for symbol, book in exchange.exchange.source.books.items()
                if symbol in SYMBOLS[exchange.exchange.protocol]}
    return exchange.call(look)


def check_equal(run, exchanges, clock):
    """Stop the world; every book must become equal to that of its matching engine."""
    clock.stop()
    wait_until(lambda: all(run.books(exchange.exchange.protocol) == truth(exchange) for exchange in exchanges),
               PATIENCE, "equality of all books with the matching engines")


def listing(exchange, symbol):
    return Listing(exchange, symbol, symbol, "A", "B", 8, 8, Decimal("0.01"), Decimal("0.001"))


def allow_many_starts(exchange):
    """A simulated Binance on which tests start one engine after another within a minute: each fetches its books anew,
    and what the exchange counts for all of them would hold the next one up."""
    venue = exchange.exchange
    exchange.call(venue.allow, 10**6, venue.order_windows)
