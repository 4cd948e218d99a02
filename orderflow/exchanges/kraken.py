"""Kraken spot, WebSocket API v2. Source: docs.kraken.com, "Spot WebSocket v2"."""
from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from decimal import Decimal
from urllib.parse import urlencode

from orderflow._core.codecs.kraken import KrakenMarketData
from orderflow._core.codecs.kraken_orders import KrakenOrders
from orderflow._core.integrity import SyncRule
from orderflow._core.types import BookFault, Role
from orderflow.exchanges.session import (
    Action,
    Endpoint,
    Facts,
    Fetch,
    Problem,
    Ready,
    Reconnect,
    Request,
    Send,
    SessionError,
    SessionSettings,
)
from orderflow.instrument import Listing, choose_scales

REST = "https://api.kraken.com"
STREAM = "wss://ws.kraken.com"
ORDERS = "wss://ws-auth.kraken.com"
#: REST still writes these two the old way; v2 does not.
MODERN = {"XBT": "BTC", "XDG": "DOGE"}
LARGEST_PRICE = Decimal(10) ** 7
LARGEST_QUANTITY = Decimal(10) ** 10


class KrakenSession:
    """Book snapshots come in the stream and every update carries a checksum; a resync is a new subscription."""

    protocol = "kraken_v2"
    rule = SyncRule.IN_BAND
    facts = Facts(growing_trade_ids=True)

    def __init__(self, settings: SessionSettings):
        self.settings = settings
        self.rest = settings.rest or REST
        self.stream = settings.stream or STREAM
        self.orders = settings.orders or ORDERS
        self.depth = settings.depth or 1000
        self.indices: dict[int, Listing] = {}
        self.assets: list[str] = []

    def metadata(self) -> list[Request]:
        """AssetPairs."""
        return [Request("AssetPairs", "GET", f"{self.rest}/0/public/AssetPairs")]

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols (v2 spelling, BTC/USD).

        Raises
        ------
        SessionError
            When a symbol is not offered; the message names it.
        """
        pairs = {}
        for entry in json.loads(bodies["AssetPairs"], parse_float=Decimal)["result"].values():
            name = entry.get("wsname")
            if name:
                base, quote = (MODERN.get(part, part) for part in name.split("/"))
                pairs[f"{base}/{quote}"] = (entry, base, quote)
        result = []
        for symbol in self.settings.symbols:
            if symbol not in pairs:
                raise SessionError(f"exchange {self.settings.name}: symbol {symbol!r} is not offered; check `symbols`")
            entry, base, quote = pairs[symbol]
            tick = Decimal(str(entry.get("tick_size", Decimal(1).scaleb(-entry["pair_decimals"]))))
            prices, quantities = choose_scales(
                entry["pair_decimals"], entry["lot_decimals"], LARGEST_PRICE, LARGEST_QUANTITY,
                entry["pair_decimals"], 0)
            result.append(Listing(
                self.settings.name, symbol, f"{base}-{quote}", base, quote, prices, quantities, tick,
                Decimal(1).scaleb(-quantities), minimum_quantity=Decimal(str(entry.get("ordermin", "0"))),
                minimum_notional=Decimal(str(entry.get("costmin", "0"))), depth=self.depth,
                halted=entry.get("status", "online") != "online"))
        return result

    @staticmethod
    def snapshot_symbol(url: str) -> str:
        """Books come in the stream; no REST answer is one."""
        return ""

    def start(self, indices: Sequence[int], listings: Sequence[Listing]) -> None:
        """The index that each listing got in the engine."""
        self.indices = dict(zip(indices, listings, strict=True))

    def market_codec(self, table, symbols: dict[str, int]):
        """Codec of the market data connection."""
        return KrakenMarketData(table, symbols)

    def order_codec(self, table, symbols: dict[str, int]):
        """Codec of the order connection."""
        if not self.settings.trade:
            return None
        if self.settings.credentials is None:
            raise SessionError(f"exchange {self.settings.name}: trade = true needs a key and a secret")
        self.assets = sorted({asset for item in self.indices.values() for asset in (item.base, item.quote)})
        self._order_codec = KrakenOrders(table, symbols, assets=self.assets)
        return self._order_codec

    def endpoints(self) -> list[Endpoint]:
        """One market data connection, and one for orders when trading."""
        market = Endpoint("market", Role.MARKET_DATA, f"{self.stream}/v2")
        return [market, Endpoint("orders", Role.ORDERS, f"{self.orders}/v2")] if self.settings.trade else [market]

    def _token_request(self, unix_ns: int) -> Request:
        """GetWebSocketsToken; signed with HMAC-SHA512 over the path and the SHA-256 of nonce and body."""
        path = "/0/private/GetWebSocketsToken"
        nonce = str(unix_ns // 1000)
        body = urlencode({"nonce": nonce})
        digest = hashlib.sha256((nonce + body).encode()).digest()
        secret = base64.b64decode(self.settings.credentials.secret)
        signature = base64.b64encode(hmac.new(secret, path.encode() + digest, hashlib.sha512).digest()).decode()
        headers = (("API-Key", self.settings.credentials.key), ("API-Sign", signature),
                   ("Content-Type", "application/x-www-form-urlencoded"))
        return Request("token", "POST", f"{self.rest}{path}", headers, body.encode())

    def prepare(self, connection: str) -> Request | None:
        """Its addresses are known."""
        return None

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        """Subscribe; the order connection needs a token first."""
        if connection == "orders":
            return [Fetch(self._token_request(unix_ns))]
        if self.settings.subscribe:
            return [Send(connection, text) for text in self.settings.subscribe]
        symbols = list(self.settings.symbols)
        return [
            Send(connection, json.dumps({"method": "subscribe", "params": {
                "channel": "book", "symbol": symbols, "depth": self.depth, "snapshot": True}, "req_id": 1})),
            Send(connection, json.dumps({"method": "subscribe", "params": {
                "channel": "trade", "symbol": symbols, "snapshot": False}, "req_id": 2})),
        ]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Answers to subscriptions."""
        message = json.loads(text)
        if message.get("method") == "subscribe":
            if message.get("success"):
                return [Ready(connection)]
            refused: list[Action] = [Problem(f"{message.get('error')} ({message.get('symbol', '')})")]
            if connection == "orders":
                refused.append(Reconnect(connection, "it cannot hear of its orders"))
            return refused
        return []

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """Leave and join the book channel of that symbol alone."""
        params = {"channel": "book", "symbol": [self.indices[listing].symbol], "depth": self.depth}
        return [Send("market", json.dumps({"method": method, "params": params}))
                for method in ("unsubscribe", "subscribe")]

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """The token of the order connection; Kraken's books need no REST."""
        if request.purpose != "token":
            return []
        answer: dict = json.loads(body) if status == 200 else {"error": [body[:200].decode(errors="replace")]}
        if answer.get("error"):
            return [Problem(f"no token for the order connection: {answer['error']}"),
                    Reconnect("orders", "it has no token")]
        token = answer["result"]["token"]
        self._order_codec.set_token(token)
        return [Send("orders", json.dumps({"method": "subscribe", "params": {
            "channel": "executions", "snap_orders": True, "snap_trades": False, "token": token}, "req_id": 1}))]
