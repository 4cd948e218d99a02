"""Hyperliquid perpetuals and spot. Source: Hyperliquid's "API", Websocket, Info endpoint, Tick and lot size."""
from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal

from orderflow._core.codecs.hyperliquid import HyperliquidMarketData
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

REST = "https://api.hyperliquid.xyz"
STREAM = "wss://api.hyperliquid.xyz"
PATH = "/ws"
#: A connection over which nothing was sent for a minute is closed.
PING_EVERY_NS = 30_000_000_000
#: Decimals of a price and of a size together.
PERPETUAL_DECIMALS, SPOT_DECIMALS = 6, 8
MINIMUM_NOTIONAL = Decimal(10)
CHANNELS = ("l2Book", "trades")


def is_spot(symbol: str) -> bool:
    """Coins of spot are numbered (@107), but for the first: PURR/USDC."""
    return symbol.startswith("@") or "/" in symbol


class HyperliquidSession:
    """The whole book, twenty levels a side, comes in every frame: what was lost is made good by the next one.

    Prices are written with five significant digits at most; a tick is the finest that any price of the coin can have.
    """

    protocol = "hyperliquid"
    rule = SyncRule.IN_BAND
    #: The id of a book is the time of its block; that of a trade is a hash.
    facts = Facts(shared_book_ids=True, kept_levels=20)

    def __init__(self, settings: SessionSettings):
        self.settings = settings
        self.rest = settings.rest or REST
        self.stream = settings.stream or STREAM
        self.indices: dict[int, Listing] = {}
        self.assets: list[str] = []

    def metadata(self) -> list[Request]:
        """What is traded, of the kinds that the symbols are of."""
        kinds = {"spotMeta" if is_spot(symbol) else "meta" for symbol in self.settings.symbols}
        return [Request(kind, "POST", f"{self.rest}/info", (("content-type", "application/json"),),
                        json.dumps({"type": kind}).encode()) for kind in sorted(kinds)]

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols.

        Raises
        ------
        SessionError
            When a symbol is not offered; the message names it.
        """
        found = {listing.symbol: listing for kind, body in bodies.items()
                 for listing in (self._spot if kind == "spotMeta" else self._perpetuals)(json.loads(body))}
        for symbol in self.settings.symbols:
            if symbol not in found:
                raise SessionError(
                    f"exchange {self.settings.name}: symbol {symbol!r} is not offered; perpetuals are called BTC, spot "
                    "@107 or PURR/USDC, and those of other deployers (dex:COIN) are not supported; check `symbols`")
        return [found[symbol] for symbol in self.settings.symbols]

    def _perpetuals(self, meta: dict) -> Iterator[Listing]:
        for entry in meta["universe"]:
            if (coin := entry["name"]) in self.settings.symbols:
                yield self._listing(coin, f"{coin}-USDC-PERPETUAL", coin, "USDC", entry["szDecimals"],
                                    PERPETUAL_DECIMALS, bool(entry.get("isDelisted")))

    def _spot(self, meta: dict) -> Iterator[Listing]:
        tokens = {token["index"]: token for token in meta["tokens"]}
        for entry in meta["universe"]:
            if entry["name"] in self.settings.symbols:
                base, quote = (tokens[index] for index in entry["tokens"])
                yield self._listing(entry["name"], f"{base['name']}-{quote['name']}", base["name"], quote["name"],
                                    base["szDecimals"], SPOT_DECIMALS)

    def _listing(self, symbol: str, instrument: str, base: str, quote: str, size_decimals: int, decimals: int,
                 halted: bool = False) -> Listing:
        tick, lot = Decimal(1).scaleb(min(0, size_decimals - decimals)), Decimal(1).scaleb(-size_decimals)
        prices, quantities, largest = scales_of(tick, lot, Decimal(0))
        return Listing(self.settings.name, symbol, instrument, base, quote, prices, quantities, tick, lot,
                       maximum_quantity=largest, minimum_notional=MINIMUM_NOTIONAL, halted=halted)

    @staticmethod
    def snapshot_symbol(url: str) -> str:
        """Books come in the stream; no REST answer is one."""
        return ""

    def start(self, indices: Sequence[int], listings: Sequence[Listing]) -> None:
        """The index that each listing got in the engine."""
        self.indices = dict(zip(indices, listings, strict=True))

    def market_codec(self, table, symbols: dict[str, int]):
        """Codec of the market data connection."""
        return HyperliquidMarketData(table, symbols)

    def order_codec(self, table, symbols: dict[str, int]):
        """Orders are not supported yet."""
        if self.settings.trade:
            raise SessionError(f"exchange {self.settings.name}: orders are not supported on Hyperliquid yet; "
                               "set trade = false")
        return None

    def endpoints(self) -> list[Endpoint]:
        """One market data connection."""
        return [Endpoint("market", Role.MARKET_DATA, f"{self.stream}{PATH}")]

    def prepare(self, connection: str) -> Request | None:
        """Its address is known."""
        return None

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        """Subscribe; a subscription is for one channel of one coin."""
        actions: list[Action] = [KeepAlive(connection, '{"method":"ping"}', PING_EVERY_NS)]
        if self.settings.subscribe:
            return actions + [Send(connection, text) for text in self.settings.subscribe]
        return actions + [_send("subscribe", channel, symbol)
                          for symbol in self.settings.symbols for channel in CHANNELS]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Answers to subscriptions."""
        message = json.loads(text)
        if message["channel"] == "error":
            return [Problem(f"refused: {message.get('data')}")]
        return [Ready(connection)]

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """Leave and join the book of that coin alone: the next frame is the whole book anyway."""
        symbol = self.indices[listing].symbol
        return [_send(method, "l2Book", symbol) for method in ("unsubscribe", "subscribe")]

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """Nothing is asked for while running."""
        return []


def _send(method: str, channel: str, coin: str) -> Send:
    return Send("market", json.dumps({"method": method, "subscription": {"type": channel, "coin": coin}}))
