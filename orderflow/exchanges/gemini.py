"""Gemini. Source: docs.gemini.com, "Market Data Version 2", "REST API": Symbol Details."""
from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

from orderflow._core.codecs.gemini import GeminiMarketData
from orderflow._core.integrity import SyncRule
from orderflow._core.types import BookFault, Role
from orderflow.exchanges.session import (
    Action,
    Endpoint,
    Facts,
    Problem,
    Ready,
    Request,
    Send,
    SessionError,
    SessionSettings,
)
from orderflow.exchanges.steps import scales_of
from orderflow.instrument import Listing

REST = "https://api.gemini.com"
STREAM = "wss://api.gemini.com"
PATH = "/v2/marketdata"
#: States of a symbol in which no new order is taken.
HALTED = ("closed", "cancel_only")


class GeminiSession:
    """Snapshots come in the stream, updates carry no number; a resync is a new subscription of that symbol.

    A heartbeat every five seconds tells a connection that is dead from one that is quiet: no ping is needed. A
    subscription is not acknowledged; its first frame is the book.
    """

    protocol = "gemini"
    rule = SyncRule.IN_BAND
    facts = Facts(growing_trade_ids=True)

    def __init__(self, settings: SessionSettings):
        self.settings = settings
        self.rest = settings.rest or REST
        self.stream = settings.stream or STREAM
        self.indices: dict[int, Listing] = {}
        self.assets: list[str] = []

    def metadata(self) -> list[Request]:
        """Details of each symbol: the list of all has nothing but names."""
        return [Request(f"details {symbol}", "GET", f"{self.rest}/v1/symbols/details/{symbol.lower()}")
                for symbol in self.settings.symbols]

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols (BTCUSD).

        Raises
        ------
        SessionError
            When a symbol is not offered, or not spelt as the stream spells it; the message names it.
        """
        return [self._listing(symbol, json.loads(bodies[f"details {symbol}"], parse_float=Decimal))
                for symbol in self.settings.symbols]

    def _listing(self, symbol: str, entry: dict) -> Listing:
        if entry.get("symbol") != symbol:
            why = entry.get("message") or f"it is called {entry.get('symbol')!r}"
            raise SessionError(f"exchange {self.settings.name}: symbol {symbol!r} is not offered ({why}); "
                               "check `symbols`")
        tick, lot = Decimal(entry["quote_increment"]), Decimal(entry["tick_size"])
        prices, quantities, largest = scales_of(tick, lot, Decimal(0))
        base, quote = entry["base_currency"], entry["quote_currency"]
        term = "-PERPETUAL" if entry.get("product_type") == "swap" else ""
        return Listing(self.settings.name, symbol, f"{base}-{quote}{term}", base, quote, prices, quantities, tick, lot,
                       minimum_quantity=Decimal(entry["min_order_size"]), maximum_quantity=largest,
                       halted=entry.get("status") in HALTED)

    @staticmethod
    def snapshot_symbol(url: str) -> str:
        """Books come in the stream; no REST answer is one."""
        return ""

    def start(self, indices: Sequence[int], listings: Sequence[Listing]) -> None:
        """The index that each listing got in the engine."""
        self.indices = dict(zip(indices, listings, strict=True))

    def market_codec(self, table, symbols: dict[str, int]):
        """Codec of the market data connection."""
        return GeminiMarketData(table, symbols)

    def order_codec(self, table, symbols: dict[str, int]):
        """Orders are not supported yet."""
        if self.settings.trade:
            raise SessionError(f"exchange {self.settings.name}: orders are not supported on Gemini yet; "
                               "set trade = false")
        return None

    def endpoints(self) -> list[Endpoint]:
        """One market data connection."""
        return [Endpoint("market", Role.MARKET_DATA, f"{self.stream}{PATH}")]

    def prepare(self, connection: str) -> Request | None:
        """Its address is known."""
        return None

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        """Subscribe to the books, with which the trades come."""
        if self.settings.subscribe:
            return [*(Send(connection, text) for text in self.settings.subscribe), Ready(connection)]
        return [_send("subscribe", self.settings.symbols), Ready(connection)]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Only refusals are of interest."""
        message = json.loads(text)
        if message.get("type") == "subscription_ack":
            return []
        told = [str(message[key]) for key in ("reason", "message") if message.get(key)]
        return [Problem("refused: " + (": ".join(told) or text[:200].decode(errors="replace")))]

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """Leave and join that symbol alone."""
        symbols = [self.indices[listing].symbol]
        return [_send(kind, symbols) for kind in ("unsubscribe", "subscribe")]

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """Nothing is asked over REST but the metadata."""
        return []


def _send(kind: str, symbols: Sequence[str]) -> Send:
    return Send("market", json.dumps({"type": kind, "subscriptions": [{"name": "l2", "symbols": list(symbols)}]}))
