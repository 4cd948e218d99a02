"""Hyperliquid perpetuals and spot. Source: Hyperliquid's "API", Websocket, Info endpoint, Tick and lot size."""
from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal

from orderflow._core.codecs.hyperliquid import HyperliquidMarketData
from orderflow.exchanges.actions import Action, KeepAlive, Problem, Ready, Request, Send, Subscription, answered
from orderflow.exchanges.facts import Facts, Limit, Limits
from orderflow.exchanges.session import Session
from orderflow.exchanges.steps import scales_of
from orderflow.instrument import Listing

#: A connection over which nothing was sent for a minute is closed.
PING_EVERY_NS = 30_000_000_000
#: Decimals of a price and of a size together.
PERPETUAL_DECIMALS, SPOT_DECIMALS = 6, 8
MINIMUM_NOTIONAL = Decimal(10)


def is_spot(symbol: str) -> bool:
    """Coins of spot are numbered (@107), but for the first: PURR/USDC."""
    return symbol.startswith("@") or "/" in symbol


class HyperliquidSession(Session):
    """The whole book, twenty levels a side, comes in every frame: what was lost is made good by the next one.

    Prices are written with five significant digits at most; a tick is the finest that any price of the coin can have.
    """

    title = "Hyperliquid"
    protocol = "hyperliquid"
    production_rest = "https://api.hyperliquid.xyz"
    production_stream = "wss://api.hyperliquid.xyz"
    path = "/ws"
    codec = HyperliquidMarketData
    channels = ("l2Book", "trades")
    #: The id of a book is the time of its block; that of a trade is a hash.
    facts = Facts(shared_book_ids=True, kept_levels=20)
    limits = Limits(connects=Limit(30, 60_000_000_000), messages=Limit(2000, 60_000_000_000), by_address=True)

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
                raise self.error(
                    f"symbol {symbol!r} is not offered; perpetuals are called BTC, spot @107 or PURR/USDC, and those "
                    "of other deployers (dex:COIN) are not supported; check `symbols`")
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

    def keep_alive(self, connection: str, unix_ns: int) -> list[Action]:
        return [KeepAlive(connection, '{"method":"ping"}', PING_EVERY_NS)]

    def subscribe(self, connection: str, wanted: Sequence[Subscription], unix_ns: int) -> list[Action]:
        """A request is for one channel of one coin."""
        return [Send(connection, _text("subscribe", one), awaits=(one,)) for one in wanted]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Answers to subscriptions."""
        message = json.loads(text)
        if message["channel"] == "error":
            _, begin, told = str(message.get("data")).partition("{")        # Invalid subscription {"type":...}
            return [Problem(f"refused: {message.get('data')}"), *answered(connection, _named(begin + told))]
        return [Ready(connection), *answered(connection, _named(json.dumps(message["data"].get("subscription"))))]

    def leave(self, symbol: str, unix_ns: int) -> list[Action]:
        """The next frame of a book is the whole of it anyway; that it comes shows that the exchange still sends."""
        return [Send("market", _text("unsubscribe", Subscription(self.channels[0], symbol)))]


def _text(method: str, one: Subscription) -> str:
    return json.dumps({"method": method, "subscription": {"type": one.channel, "coin": one.symbol}})


def _named(text: str) -> tuple[Subscription, ...]:
    """The subscription that an answer repeats, if it does."""
    try:
        found = json.loads(text)
    except ValueError:
        return ()
    if not isinstance(found, dict):
        return ()
    return (Subscription(str(found.get("type")), str(found.get("coin"))),)
