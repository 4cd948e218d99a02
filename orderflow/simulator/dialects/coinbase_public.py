"""What both Coinbase interfaces have: products, requests answered or refused, views of whole books, heartbeats.

Source: docs.cdp.coinbase.com, "Exchange WebSocket Feed" and "Advanced Trade WebSocket". A client that does not
subscribe within five seconds is disconnected.
"""
import json
from collections.abc import Hashable
from urllib.parse import parse_qs

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Contents
from orderflow.simulator.dialects import coinbase_recorded
from orderflow.simulator.exchange import NEVER_NS, SECOND_NS, Close, Connection, Exchange, Response
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook
from orderflow.simulator.numbers import to_text
from orderflow.simulator.views import View, Views

FIRST_SUBSCRIPTION_NS = 5 * SECOND_NS
HEARTBEAT_NS = SECOND_NS


class Refused(Exception):
    """A refusal: HTTP status, message, and the reason of it where the interface tells one."""

    def __init__(self, message: str, reason: str = "", status: int = 400):
        super().__init__(message)
        self.message, self.reason, self.status = message, reason, status


class CoinbasePublic(Exchange):
    """Base of both dialects."""

    answers_at = ("", "/")
    publish_every_ns = 50_000_000

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self.views = Views()
        self.last_trades: dict[str, tuple[int, int, int, int]] = {}     # by symbol: (id, price, quantity, taker's side)
        self._beats: dict[int, int] = {}                                # connection -> when its next heartbeat is due

    @classmethod
    def recorded_instruments(cls, contents: Contents) -> tuple[SimulatedInstrument, ...]:
        """Instruments of a capture."""
        return coinbase_recorded.recorded_instruments(contents)

    @property
    def instruments(self) -> tuple[SimulatedInstrument, ...]:
        """What is traded here."""
        return self.source.instruments

    def book(self, symbol: str) -> MarketBook:
        """The book of a product, with all that has happened until now."""
        self.source.catch_up(self, self.now_ns)
        return self.source.books[symbol]

    def view(self, symbol: str) -> View:
        """A book as its subscribers have it."""
        return self.views.get(symbol, self.book(symbol))

    def publish_book(self, book: MarketBook, at_ns: int) -> None:
        symbol = book.instrument.symbol
        if symbol not in self.views.keys():
            return
        if not any(Subscription(channel, symbol) in self.subscribers for channel in self.book_channels):
            self.views.forget(symbol)
            return
        changed = self.views.changes(symbol, book)
        if changed is not None:
            self.send_update(book, changed[1], changed[2], at_ns)

    # what an interface words

    book_channels: tuple[str, ...] = ()

    def send_update(self, book: MarketBook, bids, asks, at_ns: int) -> None:
        """Levels that changed, to whoever has the book."""
        raise NotImplementedError

    def request(self, connection: Connection, request: dict) -> None:
        """Subscribe or unsubscribe; Refused where that is not possible."""
        raise NotImplementedError

    def refuse(self, connection: Connection, refusal: Refused) -> None:
        """Say why a request was refused."""
        raise NotImplementedError

    def heartbeat(self, connection: Connection) -> None:
        """Send the heartbeats that a connection has subscribed to."""
        raise NotImplementedError

    def rest(self, path: str, parameters: dict[str, list[str]]):
        """Answer a REST request: what becomes JSON, or bytes. Refused for an error."""
        raise NotImplementedError

    # websocket

    def received(self, connection: Connection, text: str) -> None:
        try:
            request = json.loads(text)
            if not isinstance(request, dict):
                raise Refused("Malformed JSON")
            if request.get("type") not in ("subscribe", "unsubscribe"):
                raise Refused("Type has to be either subscribe or unsubscribe")
            self.request(connection, request)
        except ValueError:
            self.refuse(connection, Refused("Malformed JSON"))
        except Refused as refusal:
            self.refuse(connection, refusal)

    def subscribe(self, connection: Connection, key: Hashable) -> None:
        super().subscribe(connection, key)
        recorded = self.source.contents is not None
        self._beats.setdefault(connection.id, NEVER_NS if recorded else self.now_ns + HEARTBEAT_NS)

    def play(self, stream: Subscription, text: str) -> None:
        """Send a recorded frame verbatim to whoever subscribed to what it is about."""
        for connection in self.listeners(stream):
            self.send(connection, text)

    def forgotten(self, connection: Connection) -> None:
        self._beats.pop(connection.id, None)

    def housekeeping(self, connection: Connection, now_ns: int) -> None:
        if now_ns < self.housekeeping_ns(connection):
            return
        if connection.id in self._beats:
            self._beats[connection.id] = now_ns + HEARTBEAT_NS
            self.heartbeat(connection)
        else:
            self._beats[connection.id] = NEVER_NS
            self.send(connection, Close(1008, "no subscription"))

    def housekeeping_ns(self, connection: Connection) -> int:
        return self._beats.get(connection.id, connection.opened_ns + FIRST_SUBSCRIPTION_NS)

    # REST

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        self.now_ns = now_ns
        status = 200
        try:
            answer = self.rest(path.rstrip("/"), parse_qs(query))
        except Refused as refusal:
            status, answer = refusal.status, {"message": refusal.message}
        encoded = answer if isinstance(answer, bytes) else json.dumps(answer, separators=(",", ":")).encode()
        return Response(status, {"content-type": "application/json; charset=utf-8"}, encoded)


def common_product(instrument: SimulatedInstrument) -> dict:
    """What the products of both interfaces say in the same words."""
    quantity = instrument.quantity_decimals
    return {
        "base_increment": to_text(instrument.lot, quantity), "quote_increment": to_text(
            instrument.tick, instrument.price_decimals),
        "base_min_size": to_text(instrument.minimum_quantity, quantity),
        "base_max_size": to_text(instrument.maximum_quantity, quantity),
        "status": "online", "cancel_only": False, "limit_only": False, "post_only": False, "trading_disabled": False,
        "auction_mode": False,
    }


def texts(book: MarketBook, levels) -> list[list[str]]:
    """Levels as [price, quantity] texts."""
    return [[book.price_text(price), book.quantity_text(quantity)] for price, quantity in levels]


def maker_side(taker_side: int, names: tuple[str, str] = ("buy", "sell")) -> str:
    """A trade's side as Coinbase tells it: the maker's."""
    return names[1] if taker_side == Side.BUY else names[0]
