"""Kraken Futures, WebSocket v1 and REST v3. Source: docs.kraken.com, "Futures WebSocket" and "Futures REST"."""
from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

from orderflow._core.codecs.kraken_futures import KrakenFuturesMarketData
from orderflow.exchanges.actions import (
    Action,
    KeepAlive,
    Problem,
    Ready,
    Request,
    Send,
    Subscription,
    answered,
    by_channel,
)
from orderflow.exchanges.facts import Facts, Limit, Limits
from orderflow.exchanges.kraken import MODERN
from orderflow.exchanges.session import Session
from orderflow.exchanges.steps import scales_of
from orderflow.instrument import Listing

#: A connection must be pinged at least once a minute.
PING_EVERY_NS = 30_000_000_000
PING = '{"event":"ping"}'
QUOTE_LENGTH = 3


class KrakenFuturesSession(Session):
    """Book snapshots come in the stream; `seq` of a product rises by one. A resync is a new subscription."""

    title = "Kraken Futures"
    protocol = "kraken_futures"
    production_rest = "https://futures.kraken.com"
    production_stream = "wss://futures.kraken.com"
    path = "/ws/v1"
    codec = KrakenFuturesMarketData
    channels = ("book", "trade")
    facts = Facts(shared_book_ids=True, growing_trade_ids=True)
    limits = Limits(messages=Limit(100, 1_000_000_000))

    def metadata(self) -> list[Request]:
        """All instruments."""
        return [Request("instruments", "GET", f"{self.rest}/derivatives/api/v3/instruments")]

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols, spelt as the stream spells them (PF_XBTUSD).

        Raises
        ------
        SessionError
            When the exchange refuses, or a symbol is not offered; the message names it.
        """
        answer = json.loads(bodies["instruments"], parse_float=Decimal)
        if answer.get("result") != "success":
            raise self.error(f"instruments were refused: {answer.get('error')}")
        known = {entry["symbol"].upper(): entry for entry in answer["instruments"] if entry.get("tickSize")}
        return [self._listing(symbol, entry) for symbol, entry in self.offered(known)]

    def _listing(self, symbol: str, entry: dict) -> Listing:
        tick = Decimal(entry["tickSize"])
        lot = Decimal(1).scaleb(-int(entry.get("contractValueTradePrecision") or 0))
        prices, quantities, largest = scales_of(tick, lot, Decimal(0))
        instrument, base, quote = named(symbol, entry)
        return Listing(
            self.settings.name, symbol, instrument, base, quote, prices, quantities, tick, lot,
            minimum_quantity=lot, maximum_quantity=largest, halted=not entry.get("tradeable", True))

    def keep_alive(self, connection: str, unix_ns: int) -> list[Action]:
        return [KeepAlive(connection, PING, PING_EVERY_NS)]

    def subscribe(self, connection: str, wanted: Sequence[Subscription], unix_ns: int) -> list[Action]:
        """One request a feed."""
        return [Send(connection, _text("subscribe", feed, [one.symbol for one in some]), awaits=some)
                for feed, some in by_channel(wanted).items()]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Answers to subscriptions, errors, alerts."""
        message = json.loads(text)
        event = message.get("event")
        said = answered(connection, tuple(Subscription(message.get("feed") or "", symbol)
                                          for symbol in message.get("product_ids") or ()))
        if event == "subscribed":
            return [Ready(connection), *said]
        if event in ("subscribed_failed", "unsubscribed_failed"):
            symbols = ", ".join(message.get("product_ids") or ())
            return [Problem(f"{event}: feed {message.get('feed')} of {symbols or 'no product'}: "
                            f"{message.get('message') or 'no reason given'}"), *said]
        if event in ("error", "alert"):
            return [Problem(f"{event}: {message.get('message')}")]
        return []

    def leave(self, symbol: str, unix_ns: int) -> list[Action]:
        return [Send("market", _text("unsubscribe", self.channels[0], [symbol]))]


def _text(event: str, feed: str, symbols: Sequence[str]) -> str:
    return json.dumps({"event": event, "feed": feed, "product_ids": list(symbols)})


def named(symbol: str, entry: dict) -> tuple[str, str, str]:
    """Instrument, base and quote of an entry of the instruments.

    Quantities count contracts: of an inverse one its size is in the quote currency, of any other in the base. The name
    says how much a contract is, unless it is one unit of the base: books of other exchanges must not be added up with
    these.
    """
    _, pair, *term = symbol.split("_")
    base, quote = pair[:-QUOTE_LENGTH], pair[-QUOTE_LENGTH:]
    if ":" in (entry.get("pair") or ""):
        base, quote = entry["pair"].upper().split(":")
    base, quote = MODERN.get(base, base), MODERN.get(quote, quote)
    size = Decimal(entry.get("contractSize") or 1)
    currency = quote if entry.get("type") == "futures_inverse" else base
    unit = "" if size == 1 and currency == base else f"-{size.normalize():f}{currency}"
    return f"{base}-{quote}-{term[0] if term else 'PERPETUAL'}{unit}", base, quote
