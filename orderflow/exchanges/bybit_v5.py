"""Bybit spot, linear and inverse, API v5. Source: Bybit's "V5 API", Connect, Orderbook, Trade, Get Instruments Info."""
from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from urllib.parse import urlsplit

from orderflow._core.codecs.bybit_v5 import BybitV5MarketData
from orderflow._core.integrity import SyncRule
from orderflow._core.types import BookFault, Role
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

REST = "https://api.bybit.com"
STREAM = "wss://stream.bybit.com"
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


class BybitSession:
    """Book snapshots come in the stream, updates are numbered one by one. A resync is a new subscription.

    One connection carries one category, which its URL names: .../v5/public/linear. Without one it is spot.
    """

    protocol = "bybit_v5"
    rule = SyncRule.IN_BAND

    def __init__(self, settings: SessionSettings):
        self.settings = settings
        self.rest = settings.rest or REST
        stream = settings.stream or STREAM
        self.category = category_of(stream) or "spot"
        self.stream = stream if category_of(stream) else f"{stream.rstrip('/')}{PATH}{self.category}"
        self.depth = min((depth for depth in DEPTHS if depth >= (settings.depth or DEFAULT_DEPTH)), default=DEPTHS[-1])
        #: A trade's id is a UUID on some of its markets.
        self.facts = Facts(shared_book_ids=True, kept_levels=self.depth)
        self.indices: dict[int, Listing] = {}
        self.assets: list[str] = []

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
                raise SessionError(f"exchange {self.settings.name}: symbol {symbol!r} is not offered in category "
                                   f"{self.category} ({answer.get('retMsg')}); check `symbols` and the stream URL")
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
        term = "PERPETUAL" if kind.endswith("Perpetual") else entry["symbol"]
        return f"{pair}-{term}" + (f"-1{entry['quoteCoin']}" if self.category == "inverse" else "")

    @staticmethod
    def snapshot_symbol(url: str) -> str:
        """Books come in the stream; no REST answer is one."""
        return ""

    def start(self, indices: Sequence[int], listings: Sequence[Listing]) -> None:
        """The index that each listing got in the engine."""
        self.indices = dict(zip(indices, listings, strict=True))

    def market_codec(self, table, symbols: dict[str, int]):
        """Codec of the market data connection."""
        return BybitV5MarketData(table, symbols)

    def order_codec(self, table, symbols: dict[str, int]):
        """Orders are not supported yet."""
        if self.settings.trade:
            raise SessionError(f"exchange {self.settings.name}: orders are not supported on Bybit yet; "
                               "set trade = false")
        return None

    def endpoints(self) -> list[Endpoint]:
        """One market data connection."""
        return [Endpoint("market", Role.MARKET_DATA, self.stream)]

    def prepare(self, connection: str) -> Request | None:
        """Its address is known."""
        return None

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        """Subscribe, each symbol in a request of its own: one that is refused takes no other with it."""
        actions: list[Action] = [KeepAlive(connection, '{"op":"ping"}', PING_EVERY_NS)]
        if self.settings.subscribe:
            return actions + [Send(connection, text) for text in self.settings.subscribe]
        return actions + [self._send("subscribe", symbol, f"orderbook.{self.depth}.{symbol}", f"publicTrade.{symbol}")
                          for symbol in self.settings.symbols]

    @staticmethod
    def _send(method: str, symbol: str, *topics: str) -> Send:
        return Send("market", json.dumps({"req_id": symbol, "op": method, "args": topics}))

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Answers to subscriptions."""
        message = json.loads(text)
        if message.get("success") is False:
            return [Problem(f"{message.get('op')} of {message.get('req_id')} was refused: {message.get('ret_msg')}")]
        if message.get("retCode"):
            return [Problem(f"{message.get('retMsg')} (code {message['retCode']})")]
        return [Ready(connection)] if message.get("op") == "subscribe" else []

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """Leave and join the book topic of that symbol alone."""
        symbol = self.indices[listing].symbol
        topic = f"orderbook.{self.depth}.{symbol}"
        return [self._send(method, symbol, topic) for method in ("unsubscribe", "subscribe")]

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """Nothing is asked for while running."""
        return []
