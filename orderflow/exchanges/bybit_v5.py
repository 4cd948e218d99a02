"""Bybit spot, linear and inverse, API v5. Source: Bybit's "V5 API", Connect, Orderbook, Trade, Get Instruments Info."""
from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from urllib.parse import urlsplit

from orderflow._core.codecs.bybit_v5 import BybitV5MarketData
from orderflow.exchanges.actions import (
    Action,
    Answered,
    KeepAlive,
    Problem,
    Ready,
    Request,
    Send,
    Subscription,
    answered,
    by_symbol,
)
from orderflow.exchanges.facts import Facts, Limit, Limits
from orderflow.exchanges.session import Session, SessionSettings
from orderflow.exchanges.steps import day_of, scales_of
from orderflow.instrument import Listing

PATH = "/v5/public/"
CATEGORIES = ("spot", "linear", "inverse")
#: Levels a side that a book can be subscribed with; one level is not a book.
DEPTHS = (50, 200, 1000)
DEFAULT_DEPTH = 200
PING_EVERY_NS = 20_000_000_000


def category_of(stream: str) -> str:
    """The category that a stream URL ends with; "" where it names none."""
    last = urlsplit(stream).path.rstrip("/").rpartition("/")[2]
    return last if last in CATEGORIES else ""


class BybitSession(Session):
    """Book snapshots come in the stream, updates are numbered one by one. A resync is a new subscription.

    One connection carries one category, which its URL names: .../v5/public/linear. Without one it is spot.
    """

    title = "Bybit"
    protocol = "bybit_v5"
    production_rest = "https://api.bybit.com"
    production_stream = "wss://stream.bybit.com"
    codec = BybitV5MarketData
    limits = Limits(connects=Limit(500, 300_000_000_000))

    def __init__(self, settings: SessionSettings):
        super().__init__(settings)
        self.category = category_of(self.stream) or "spot"
        if not category_of(self.stream):
            self.stream = f"{self.stream.rstrip('/')}{PATH}{self.category}"
        self.depth = min((depth for depth in DEPTHS if depth >= (settings.depth or DEFAULT_DEPTH)), default=DEPTHS[-1])
        self.channels = (f"orderbook.{self.depth}", "publicTrade")
        #: A trade's id is a UUID on some of its markets.
        self.facts = Facts(shared_book_ids=True, kept_levels=self.depth, fees_in="received")

    def metadata(self) -> list[Request]:
        """Instruments Info of each symbol: the list of all comes in pages."""
        return [Request(f"instrument {symbol}", "GET",
                        f"{self.rest}/v5/market/instruments-info?category={self.category}&symbol={symbol}")
                for symbol in self.settings.symbols]

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols.

        Raises
        ------
        SessionError
            When a symbol is not offered in this category; the message names it.
        """
        result = []
        for symbol in self.settings.symbols:
            answer = json.loads(bodies[f"instrument {symbol}"])
            entries = [entry for entry in (answer.get("result") or {}).get("list") or () if entry["symbol"] == symbol]
            if not entries:
                raise self.error(f"symbol {symbol!r} is not offered in category {self.category} "
                                 f"({answer.get('retMsg')}); check `symbols` and the stream URL")
            result.append(self._listing(entries[0]))
        return result

    def _listing(self, entry: dict) -> Listing:
        lots = entry["lotSizeFilter"]
        tick = Decimal(entry["priceFilter"]["tickSize"])
        lot = Decimal(lots.get("qtyStep") or lots["basePrecision"])
        prices, quantities, largest = scales_of(
            tick, lot, Decimal(lots.get("maxLimitOrderQty") or lots.get("maxOrderQty") or 0))
        base, quote = entry["baseCoin"], entry["quoteCoin"]
        return Listing(
            self.settings.name, entry["symbol"], self._instrument(entry), base, quote, prices, quantities, tick, lot,
            minimum_quantity=Decimal(lots.get("minOrderQty") or 0), maximum_quantity=largest,
            minimum_notional=Decimal(lots.get("minNotionalValue") or lots.get("minOrderAmt") or 0),
            halted=entry.get("status", "Trading") != "Trading")

    def _instrument(self, entry: dict) -> str:
        """Its name. An inverse contract is 1 USD, others are counted in the base: they must not be added up."""
        pair = f"{entry['baseCoin']}-{entry['quoteCoin']}"
        if self.category == "spot":
            return pair
        kind = entry.get("contractType", "")
        term = "PERPETUAL" if kind.endswith("Perpetual") else day_of(int(entry["deliveryTime"]))
        return f"{pair}-{term}" + (f"-1{entry['quoteCoin']}" if self.category == "inverse" else "")

    def keep_alive(self, connection: str, unix_ns: int) -> list[Action]:
        return [KeepAlive(connection, '{"op":"ping"}', PING_EVERY_NS)]

    def subscribe(self, connection: str, wanted: Sequence[Subscription], unix_ns: int) -> list[Action]:
        """Each symbol in a request of its own: one that is refused takes no other with it."""
        return [Send(connection, _text("subscribe", symbol, map(".".join, some)), awaits=some)
                for symbol, some in by_symbol(wanted).items()]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Answers to subscriptions."""
        message = json.loads(text)
        if message.get("success") is False:
            return [Problem(f"{message.get('op')} of {message.get('req_id')} was refused: {message.get('ret_msg')}"),
                    *self._answered(connection, message)]
        if message.get("retCode"):
            return [Problem(f"{message.get('retMsg')} (code {message['retCode']})")]
        return [Ready(connection), *self._answered(connection, message)] if message.get("op") == "subscribe" else []

    def _answered(self, connection: str, message: dict) -> list[Answered]:
        """A request is answered as a whole, and named after its symbol."""
        symbol = message.get("req_id")
        return answered(connection, [Subscription(topic, symbol) for topic in self.channels] if symbol else [])

    def leave(self, symbol: str, unix_ns: int) -> list[Action]:
        return [Send("market", _text("unsubscribe", symbol, [f"{self.channels[0]}.{symbol}"]))]


def _text(method: str, symbol: str, topics: Iterable[str]) -> str:
    return json.dumps({"req_id": symbol, "op": method, "args": list(topics)})
