"""Coinbase Advanced Trade. Sources: docs.cdp.coinbase.com, "Advanced Trade WebSocket" (overview, channels, rate limits)
and "Advanced Trade REST API" (list public products).
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

from orderflow._core.codecs.coinbase_adv import CoinbaseAdvancedMarketData
from orderflow._core.types import BookFault
from orderflow.exchanges.actions import (
    Action,
    Problem,
    Ready,
    Reconnect,
    Request,
    Send,
    Subscription,
    answered,
    by_channel,
)
from orderflow.exchanges.coinbase import listing_of
from orderflow.exchanges.facts import Facts, Limit, Limits
from orderflow.exchanges.session import Session, SessionSettings
from orderflow.instrument import Listing

PRODUCTS = "/api/v3/brokerage/market/products"
HEARTBEATS = "heartbeats"
#: What an address may send without a login. A resync of one product takes two messages.
MESSAGES_PER_SECOND = 8


class CoinbaseAdvancedSession(Session):
    """Snapshots come in the stream, and a number counts every frame of the connection; no login is needed."""

    title = "Coinbase Advanced Trade"
    protocol = "coinbase_adv"
    production_rest = "https://api.coinbase.com"
    production_stream = "wss://advanced-trade-ws.coinbase.com"
    channels = ("level2", "market_trades")
    #: What it numbers are the frames of a connection.
    facts = Facts(growing_trade_ids=True, fees_in="quote")
    limits = Limits(connects=Limit(8, 1_000_000_000), messages=Limit(MESSAGES_PER_SECOND, 1_000_000_000),
                    by_address=True)

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
        """Without heartbeats a quiet connection is closed after a minute."""
        self._reconnecting = False
        actions = super().opened(connection, unix_ns)
        if self.settings.subscribe:
            return actions
        return [*actions, Send(connection, _text("subscribe", self.settings.symbols, HEARTBEATS))]

    def subscribe(self, connection: str, wanted: Sequence[Subscription], unix_ns: int) -> list[Action]:
        """One channel a message."""
        return [Send(connection, _text("subscribe", [one.symbol for one in some], channel), awaits=some)
                for channel, some in by_channel(wanted).items()]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """What is subscribed to now, or why a request was refused."""
        message = json.loads(text)
        if message.get("channel") == "subscriptions":
            subscribed = {(channel, product) for event in message.get("events", ())
                          for channel, products in (event.get("subscriptions") or {}).items() for product in products}
            known = tuple(Subscription(channel, symbol) for channel in self.channels for symbol in self.settings.symbols
                          if {(channel, symbol), (channel, self._aliases.get(symbol))} & subscribed)
            return [Ready(connection), *answered(connection, known)] if subscribed else []
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

    def leave(self, symbol: str, unix_ns: int) -> list[Action]:
        return [Send("market", _text("unsubscribe", [symbol], self.channels[0]))]


def _text(kind: str, symbols: Sequence[str], channel: str) -> str:
    return json.dumps({"type": kind, "product_ids": list(symbols), "channel": channel})
