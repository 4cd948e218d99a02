"""Coinbase Advanced Trade. Sources: docs.cdp.coinbase.com, "Advanced Trade WebSocket" (overview, channels, rate limits)
and "Advanced Trade REST API" (list public products).
"""
from __future__ import annotations

import json
from decimal import Decimal

from orderflow._core.codecs.coinbase_adv import CoinbaseAdvancedMarketData
from orderflow._core.types import BookFault
from orderflow.exchanges.coinbase import listing_of
from orderflow.exchanges.session import Action, Problem, Ready, Reconnect, Request, Send, Session, SessionSettings
from orderflow.instrument import Listing

PRODUCTS = "/api/v3/brokerage/market/products"
CHANNELS = ("level2", "market_trades", "heartbeats")
#: What an address may send without a login. A resync of one product takes two messages.
MESSAGES_PER_SECOND = 8


class CoinbaseAdvancedSession(Session):
    """Snapshots come in the stream, and a number counts every frame of the connection; no login is needed."""

    title = "Coinbase Advanced Trade"
    protocol = "coinbase_adv"
    production_rest = "https://api.coinbase.com"
    production_stream = "wss://advanced-trade-ws.coinbase.com"

    def __init__(self, settings: SessionSettings):
        super().__init__(settings)
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
        for symbol, entry in self.offered(known):
            book = entry.get("alias") or symbol
            if book in books:
                raise self.error(f"{books[book]} and {symbol} are the same book; leave one out of `symbols`")
            books[book] = symbol
            self._aliases[symbol] = book
            tick = Decimal(entry.get("price_increment") or entry["quote_increment"])
            result.append(listing_of(
                self.settings.name, symbol, entry, entry["base_currency_id"], entry["quote_currency_id"], tick,
                Decimal(entry.get("quote_min_size") or 0)))
        return result

    def market_codec(self, table, symbols: dict[str, int]):
        """Codec of the market data connection. Frames of BTC-USDC may call it BTC-USD, whose book it is."""
        aliases = {self._aliases.get(symbol, symbol): index for symbol, index in symbols.items()}
        return CoinbaseAdvancedMarketData(table, aliases | symbols)

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        self._reconnecting = False
        return super().opened(connection, unix_ns)

    def subscriptions(self, connection: str, unix_ns: int) -> list[Action]:
        """One channel a message. Without heartbeats a quiet connection is closed after a minute."""
        return [_request("subscribe", list(self.settings.symbols), channel) for channel in CHANNELS]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """What is subscribed to now, or why a request was refused."""
        message = json.loads(text)
        if message.get("channel") == "subscriptions":
            subscribed = any(event.get("subscriptions") for event in message.get("events", ()))
            return [Ready(connection)] if subscribed else []
        return [Problem(": ".join(str(message[key]) for key in ("message", "reason") if message.get(key)))]

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """After a gap all books need one: where that takes more messages than may be sent, a new connection is asked
        for, once.
        """
        if fault == BookFault.GAP and 2 * len(self.indices) > MESSAGES_PER_SECOND:
            if self._reconnecting:
                return []
            self._reconnecting = True
            return [Reconnect("market", "frames of it are missing")]
        return super().need_snapshot(listing, fault, unix_ns)

    def resubscriptions(self, symbol: str, unix_ns: int) -> list[Action]:
        return [_request(kind, [symbol], "level2") for kind in ("unsubscribe", "subscribe")]


def _request(kind: str, symbols: list[str], channel: str) -> Send:
    return Send("market", json.dumps({"type": kind, "product_ids": symbols, "channel": channel}))
