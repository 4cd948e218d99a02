"""Kraken Futures, WebSocket v1 and REST v3. Source: docs.kraken.com, "Futures WebSocket" and "Futures REST"."""
from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

from orderflow._core.codecs.kraken_futures import KrakenFuturesMarketData
from orderflow._core.integrity import SyncRule
from orderflow._core.types import BookFault, Role
from orderflow.exchanges.kraken import MODERN
from orderflow.exchanges.session import (
    Action,
    Endpoint,
    Facts,
    KeepAlive,
    Problem,
    Ready,
    Request,
    Send,
    SessionError,
    SessionSettings,
)
from orderflow.exchanges.steps import scales_of
from orderflow.instrument import Listing

REST = "https://futures.kraken.com"
STREAM = "wss://futures.kraken.com"
PATH = "/ws/v1"
#: A connection must be pinged at least once a minute.
PING_EVERY_NS = 30_000_000_000
PING = '{"event":"ping"}'
QUOTE_LENGTH = 3


class KrakenFuturesSession:
    """Book snapshots come in the stream; `seq` of a product rises by one. A resync is a new subscription."""

    protocol = "kraken_futures"
    rule = SyncRule.IN_BAND
    facts = Facts(shared_book_ids=True, growing_trade_ids=True)

    def __init__(self, settings: SessionSettings):
        self.settings = settings
        self.rest = settings.rest or REST
        self.stream = settings.stream or STREAM
        self.indices: dict[int, Listing] = {}
        self.assets: list[str] = []

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
            raise SessionError(f"exchange {self.settings.name}: instruments were refused: {answer.get('error')}")
        known = {entry["symbol"].upper(): entry for entry in answer["instruments"] if entry.get("tickSize")}
        for symbol in self.settings.symbols:
            if symbol not in known:
                raise SessionError(f"exchange {self.settings.name}: symbol {symbol!r} is not offered; check `symbols`")
        return [self._listing(symbol, known[symbol]) for symbol in self.settings.symbols]

    def _listing(self, symbol: str, entry: dict) -> Listing:
        tick = Decimal(entry["tickSize"])
        lot = Decimal(1).scaleb(-int(entry.get("contractValueTradePrecision") or 0))
        prices, quantities, largest = scales_of(tick, lot, Decimal(0))
        instrument, base, quote = named(symbol, entry)
        return Listing(
            self.settings.name, symbol, instrument, base, quote, prices, quantities, tick, lot,
            minimum_quantity=lot, maximum_quantity=largest, halted=not entry.get("tradeable", True))

    @staticmethod
    def snapshot_symbol(url: str) -> str:
        """Books come in the stream; no REST answer is one."""
        return ""

    def start(self, indices: Sequence[int], listings: Sequence[Listing]) -> None:
        """The index that each listing got in the engine."""
        self.indices = dict(zip(indices, listings, strict=True))

    def market_codec(self, table, symbols: dict[str, int]):
        """Codec of the market data connection."""
        return KrakenFuturesMarketData(table, symbols)

    def order_codec(self, table, symbols: dict[str, int]):
        """Orders are not supported yet."""
        if self.settings.trade:
            raise SessionError(f"exchange {self.settings.name}: orders are not supported on Kraken Futures yet; "
                               "set trade = false")
        return None

    def endpoints(self) -> list[Endpoint]:
        """One market data connection."""
        return [Endpoint("market", Role.MARKET_DATA, f"{self.stream}{PATH}")]

    def prepare(self, connection: str) -> Request | None:
        """Its address is known."""
        return None

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        """Subscribe."""
        actions: list[Action] = [KeepAlive(connection, PING, PING_EVERY_NS)]
        texts = self.settings.subscribe or [_request("subscribe", feed, self.settings.symbols)
                                            for feed in ("book", "trade")]
        return actions + [Send(connection, text) for text in texts]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Answers to subscriptions, errors, alerts."""
        message = json.loads(text)
        event = message.get("event")
        if event == "subscribed":
            return [Ready(connection)]
        if event in ("subscribed_failed", "unsubscribed_failed"):
            symbols = ", ".join(message.get("product_ids") or ())
            return [Problem(f"{event}: feed {message.get('feed')} of {symbols or 'no product'}: "
                            f"{message.get('message') or 'no reason given'}")]
        if event in ("error", "alert"):
            return [Problem(f"{event}: {message.get('message')}")]
        return []

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """Leave and join the book feed of that product alone."""
        symbols = [self.indices[listing].symbol]
        return [Send("market", _request(event, "book", symbols)) for event in ("unsubscribe", "subscribe")]

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """Nothing is asked for while running."""
        return []


def _request(event: str, feed: str, symbols: Sequence[str]) -> str:
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
