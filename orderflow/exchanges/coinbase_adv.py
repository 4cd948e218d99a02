"""Coinbase Advanced Trade. Sources: docs.cdp.coinbase.com, "Advanced Trade WebSocket" (overview, channels, rate limits)
and "Advanced Trade REST API" (list public products).
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

from orderflow._core.codecs.coinbase_adv import CoinbaseAdvancedMarketData
from orderflow._core.integrity import SyncRule
from orderflow._core.types import BookFault, Role
from orderflow.exchanges.coinbase import listing_of
from orderflow.exchanges.session import (
    Action,
    Endpoint,
    Facts,
    Problem,
    Ready,
    Reconnect,
    Request,
    Send,
    SessionError,
    SessionSettings,
)
from orderflow.instrument import Listing

REST = "https://api.coinbase.com"
STREAM = "wss://advanced-trade-ws.coinbase.com"
PRODUCTS = "/api/v3/brokerage/market/products"
CHANNELS = ("level2", "market_trades", "heartbeats")
#: What an address may send without a login. A resync of one product takes two messages.
MESSAGES_PER_SECOND = 8


class CoinbaseAdvancedSession:
    """Snapshots come in the stream, and a number counts every frame of the connection; no login is needed."""

    protocol = "coinbase_adv"
    rule = SyncRule.IN_BAND
    #: What it numbers are the frames of a connection.
    facts = Facts(growing_trade_ids=True)

    def __init__(self, settings: SessionSettings):
        self.settings = settings
        self.rest = settings.rest or REST
        self.stream = settings.stream or STREAM
        self.indices: dict[int, Listing] = {}
        self.assets: list[str] = []
        self._aliases: dict[str, str] = {}      # symbol -> the product whose data it gets
        self._reconnecting = False

    def metadata(self) -> list[Request]:
        """All public products."""
        return [Request("products", "GET", f"{self.rest}{PRODUCTS}")]

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols (BTC-USD).

        Raises
        ------
        SessionError
            When a symbol is not offered, or when two are one book under two names; the message names them.
        """
        known = {entry["product_id"]: entry for entry in json.loads(bodies["products"])["products"]}
        result: list[Listing] = []
        books: dict[str, str] = {}      # book -> the symbol that it is listed under
        for symbol in self.settings.symbols:
            if symbol not in known:
                raise SessionError(f"exchange {self.settings.name}: symbol {symbol!r} is not offered; check `symbols`")
            entry = known[symbol]
            book = entry.get("alias") or symbol
            if book in books:
                raise SessionError(f"exchange {self.settings.name}: {books[book]} and {symbol} are the same book; "
                                   "leave one out of `symbols`")
            books[book] = symbol
            self._aliases[symbol] = book
            tick = Decimal(entry.get("price_increment") or entry["quote_increment"])
            result.append(listing_of(
                self.settings.name, symbol, entry, entry["base_currency_id"], entry["quote_currency_id"], tick,
                Decimal(entry.get("quote_min_size") or 0)))
        return result

    @staticmethod
    def snapshot_symbol(url: str) -> str:
        """Books come in the stream; no REST answer is one."""
        return ""

    def start(self, indices: Sequence[int], listings: Sequence[Listing]) -> None:
        """The index that each listing got in the engine."""
        self.indices = dict(zip(indices, listings, strict=True))

    def market_codec(self, table, symbols: dict[str, int]):
        """Codec of the market data connection. Frames of BTC-USDC may call it BTC-USD, whose book it is."""
        aliases = {self._aliases.get(symbol, symbol): index for symbol, index in symbols.items()}
        return CoinbaseAdvancedMarketData(table, aliases | symbols)

    def order_codec(self, table, symbols: dict[str, int]):
        """The websocket takes no orders."""
        if self.settings.trade:
            raise SessionError(f"exchange {self.settings.name}: orders are not supported here yet; set trade = false")

    def endpoints(self) -> list[Endpoint]:
        """One market data connection."""
        return [Endpoint("market", Role.MARKET_DATA, self.stream)]

    def prepare(self, connection: str) -> Request | None:
        """Its address is known."""
        return None

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        """Subscribe, one channel a message. Without heartbeats a quiet connection is closed after a minute."""
        self._reconnecting = False
        if self.settings.subscribe:
            return [Send(connection, text) for text in self.settings.subscribe]
        return [_request("subscribe", list(self.settings.symbols), channel) for channel in CHANNELS]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """What is subscribed to now, or why a request was refused."""
        message = json.loads(text)
        if message.get("channel") == "subscriptions":
            subscribed = any(event.get("subscriptions") for event in message.get("events", ()))
            return [Ready(connection)] if subscribed else []
        return [Problem(": ".join(str(message[key]) for key in ("message", "reason") if message.get(key)))]

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """Leave and join the book channel of that product alone.

        After a gap all books need one: where that takes more messages than may be sent, a new connection is asked for,
        once.
        """
        if fault == BookFault.GAP and 2 * len(self.indices) > MESSAGES_PER_SECOND:
            if self._reconnecting:
                return []
            self._reconnecting = True
            return [Reconnect("market", "frames of it are missing")]
        symbols = [self.indices[listing].symbol]
        return [_request(kind, symbols, "level2") for kind in ("unsubscribe", "subscribe")]

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """Nothing is asked over REST but the metadata."""
        return []


def _request(kind: str, symbols: list[str], channel: str) -> Send:
    return Send("market", json.dumps({"type": kind, "product_ids": symbols, "channel": channel}))
