"""Gemini. Source: docs.gemini.com, "Market Data Version 2", "REST API": Symbol Details."""
from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

from orderflow._core.codecs.gemini import GeminiMarketData
from orderflow.exchanges.actions import Action, Problem, Request, Send, Subscription
from orderflow.exchanges.facts import Facts
from orderflow.exchanges.session import Session
from orderflow.exchanges.steps import scales_of
from orderflow.instrument import Listing

#: States of a symbol in which no new order is taken.
HALTED = ("closed", "cancel_only")


class GeminiSession(Session):
    """Snapshots come in the stream, updates carry no number; a resync is a new subscription of that symbol.

    A heartbeat every five seconds tells a connection that is dead from one that is quiet: no ping is needed. A
    subscription is not acknowledged; its first frame is the book.
    """

    title = "Gemini"
    protocol = "gemini"
    production_rest = "https://api.gemini.com"
    production_stream = "wss://api.gemini.com"
    path = "/v2/marketdata"
    codec = GeminiMarketData
    channels = ("l2",)          # trades come with it
    acknowledges = False
    facts = Facts(growing_trade_ids=True, fees_in="quote")

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
            raise self.error(f"symbol {symbol!r} is not offered ({why}); check `symbols`")
        tick, lot = Decimal(entry["quote_increment"]), Decimal(entry["tick_size"])
        prices, quantities, largest = scales_of(tick, lot, Decimal(0))
        base, quote = entry["base_currency"], entry["quote_currency"]
        term = "-PERPETUAL" if entry.get("product_type") == "swap" else ""
        return Listing(self.settings.name, symbol, f"{base}-{quote}{term}", base, quote, prices, quantities, tick, lot,
                       minimum_quantity=Decimal(entry["min_order_size"]), maximum_quantity=largest,
                       halted=entry.get("status") in HALTED)

    def subscribe(self, connection: str, wanted: Sequence[Subscription], unix_ns: int) -> list[Action]:
        """Nothing acknowledges it but the book itself, which is asked for again when it does not come."""
        return [Send(connection, _text("subscribe", [one.symbol for one in wanted]), awaits=tuple(wanted))]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Only refusals are of interest."""
        message = json.loads(text)
        if message.get("type") == "subscription_ack":
            return []
        told = [str(message[key]) for key in ("reason", "message") if message.get(key)]
        return [Problem("refused: " + (": ".join(told) or text[:200].decode(errors="replace")))]

    def leave(self, symbol: str, unix_ns: int) -> list[Action]:
        return [Send("market", _text("unsubscribe", [symbol]))]


def _text(kind: str, symbols: Sequence[str]) -> str:
    return json.dumps({"type": kind, "subscriptions": [{"name": "l2", "symbols": list(symbols)}]})
