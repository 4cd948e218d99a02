"""Coinbase Exchange. Sources: docs.cdp.coinbase.com, "Exchange WebSocket Feed" (overview, authentication, channels) and
"Exchange REST API" (get all known trading pairs).
"""
from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from decimal import ROUND_UP, Decimal

from orderflow._core.codecs.coinbase import CoinbaseMarketData
from orderflow._core.integrity import SyncRule
from orderflow._core.types import BookFault, Role
from orderflow.exchanges.session import (
    Action,
    Credentials,
    Endpoint,
    Facts,
    Problem,
    Ready,
    Request,
    Send,
    SessionError,
    SessionSettings,
)
from orderflow.instrument import Listing, choose_scales, significant_decimals

REST = "https://api.exchange.coinbase.com"
STREAM = "wss://ws-feed.exchange.coinbase.com"
LARGEST_PRICE = Decimal(10) ** 7
LARGEST_QUANTITY = Decimal(10) ** 10
#: Of what is traded in whole units only: a level of such a coin holds more of them.
LARGEST_WHOLE_QUANTITY = Decimal(10) ** 12
#: Sizes in a book are older than today's base_increment, and can be finer.
QUANTITY_DECIMALS = 8
NOTIONAL_STEP = Decimal("1e-8")
#: Any of these true, and an order that takes is not accepted.
HALTS = ("trading_disabled", "is_disabled", "view_only", "cancel_only", "post_only", "auction_mode")


def listing_of(exchange: str, symbol: str, entry: dict, base: str, quote: str, tick: Decimal,
               minimum_notional: Decimal) -> Listing:
    """A product of either Coinbase interface; what both spell alike is read here."""
    lot = Decimal(entry["base_increment"])
    price_decimals, lot_decimals = significant_decimals(tick), significant_decimals(lot)
    largest_price = min(LARGEST_PRICE, Decimal(10) ** (18 - price_decimals))
    largest_quantity = LARGEST_QUANTITY if lot < 1 else LARGEST_WHOLE_QUANTITY
    prices, quantities = choose_scales(price_decimals, max(lot_decimals, QUANTITY_DECIMALS), largest_price,
                                       largest_quantity, price_decimals, lot_decimals)
    minimum = Decimal(entry.get("base_min_size") or 0)      # derived from a value in dollars: of any precision
    return Listing(
        exchange, symbol, f"{base}-{quote}", base, quote, prices, quantities, tick, lot,
        minimum_quantity=max((minimum / lot).to_integral_value(ROUND_UP), Decimal(1)) * lot,
        minimum_notional=minimum_notional.quantize(NOTIONAL_STEP, ROUND_UP),
        halted=entry.get("status", "online") != "online" or any(entry.get(name) for name in HALTS))


def signed(credentials: Credentials, unix_ns: int) -> dict:
    """The fields that a subscription carries to be allowed what needs a login."""
    stamp = f"{unix_ns // 1_000_000_000}"
    secret = base64.b64decode(credentials.secret)
    digest = hmac.new(secret, f"{stamp}GET/users/self/verify".encode(), hashlib.sha256).digest()
    return {"signature": base64.b64encode(digest).decode(), "key": credentials.key,
            "passphrase": credentials.passphrase, "timestamp": stamp}


class CoinbaseSession:
    """Snapshots come in the stream, updates carry no number; a resync is a new subscription of that product.

    With credentials the book is `level2`, every change at once; without, `level2_batch`, which is public.
    """

    protocol = "coinbase"
    rule = SyncRule.IN_BAND
    facts = Facts(growing_trade_ids=True)

    def __init__(self, settings: SessionSettings):
        self.settings = settings
        self.rest = settings.rest or REST
        self.stream = settings.stream or STREAM
        self.book_channel = "level2_batch" if settings.credentials is None else "level2"
        self.indices: dict[int, Listing] = {}
        self.assets: list[str] = []

    def metadata(self) -> list[Request]:
        """All products."""
        return [Request("products", "GET", f"{self.rest}/products")]

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols (BTC-USD).

        Raises
        ------
        SessionError
            When a symbol is not offered; the message names it.
        """
        known = {entry["id"]: entry for entry in json.loads(bodies["products"])}
        result = []
        for symbol in self.settings.symbols:
            if symbol not in known:
                raise SessionError(f"exchange {self.settings.name}: symbol {symbol!r} is not offered; check `symbols`")
            entry = known[symbol]
            result.append(listing_of(
                self.settings.name, symbol, entry, entry["base_currency"], entry["quote_currency"],
                Decimal(entry["quote_increment"]), Decimal(entry.get("min_market_funds") or 0)))
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
        return CoinbaseMarketData(table, symbols)

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
        """Subscribe; within five seconds, or Coinbase closes."""
        if self.settings.subscribe:
            return [Send(connection, text) for text in self.settings.subscribe]
        channels = [self.book_channel, "matches", "heartbeat"]
        return [self._request("subscribe", list(self.settings.symbols), channels, unix_ns)]

    def _request(self, kind: str, symbols: list[str], channels: list[str], unix_ns: int) -> Send:
        login = {} if self.settings.credentials is None else signed(self.settings.credentials, unix_ns)
        return Send("market", json.dumps({"type": kind, "product_ids": symbols, "channels": channels} | login))

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """What is subscribed to now, or why a request was refused."""
        message = json.loads(text)
        if message.get("type") == "subscriptions":
            return [Ready(connection)] if message.get("channels") else []
        return [Problem(": ".join(str(message[key]) for key in ("message", "reason") if message.get(key)))]

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """Leave and join the book channel of that product alone."""
        symbols = [self.indices[listing].symbol]
        return [self._request(kind, symbols, [self.book_channel], unix_ns) for kind in ("unsubscribe", "subscribe")]

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """Nothing is asked over REST but the metadata."""
        return []
