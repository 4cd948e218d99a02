"""Coinbase Exchange. Sources: docs.cdp.coinbase.com, "Exchange WebSocket Feed" (overview, authentication, channels) and
"Exchange REST API" (get all known trading pairs).
"""
from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from decimal import ROUND_UP, Decimal

from orderflow._core.codecs.coinbase import CoinbaseMarketData
from orderflow._core.secret import reveal
from orderflow.credentials import Credentials
from orderflow.exchanges.actions import Action, Problem, Ready, Request, Send, Subscription, answered
from orderflow.exchanges.facts import Facts, Limit, Limits
from orderflow.exchanges.session import Session, SessionSettings
from orderflow.exchanges.steps import LARGEST_PRICE, LARGEST_QUANTITY, OLDER_DIGITS
from orderflow.instrument import Listing, choose_scales, significant_decimals

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
    prices, quantities = choose_scales(
        price_decimals + OLDER_DIGITS, max(lot_decimals, QUANTITY_DECIMALS), largest_price, largest_quantity,
        price_decimals, lot_decimals)
    minimum = Decimal(entry.get("base_min_size") or 0)      # derived from a value in dollars: of any precision
    return Listing(
        exchange, symbol, f"{base}-{quote}", base, quote, prices, quantities, tick, lot,
        minimum_quantity=max((minimum / lot).to_integral_value(ROUND_UP), Decimal(1)) * lot,
        minimum_notional=minimum_notional.quantize(NOTIONAL_STEP, ROUND_UP),
        halted=entry.get("status", "online") != "online" or any(entry.get(name) for name in HALTS))


def signed(credentials: Credentials, unix_ns: int) -> dict:
    """The fields that a subscription carries to be allowed what needs a login."""
    stamp = f"{unix_ns // 1_000_000_000}"
    digest = credentials.secret.decoded().hmac("sha256", f"{stamp}GET/users/self/verify".encode())
    return {"signature": base64.b64encode(digest).decode(), "key": reveal(credentials.key),
            "passphrase": reveal(credentials.passphrase) if credentials.passphrase else "", "timestamp": stamp}


class CoinbaseSession(Session):
    """Snapshots come in the stream, updates carry no number; a resync is a new subscription of that product.

    With credentials the book is `level2`, every change at once; without, `level2_batch`, which is public.
    """

    title = "Coinbase Exchange"
    protocol = "coinbase"
    production_rest = "https://api.exchange.coinbase.com"
    production_stream = "wss://ws-feed.exchange.coinbase.com"
    codec = CoinbaseMarketData
    facts = Facts(growing_trade_ids=True, fees_in="quote")
    limits = Limits(connects=Limit(8, 1_000_000_000), messages=Limit(100, 1_000_000_000), by_address=True)

    def __init__(self, settings: SessionSettings):
        super().__init__(settings)
        self.channels = ("level2_batch" if settings.credentials is None else "level2", "matches", "heartbeat")

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
        return [listing_of(self.settings.name, symbol, entry, entry["base_currency"], entry["quote_currency"],
                           Decimal(entry["quote_increment"]), Decimal(entry.get("min_market_funds") or 0))
                for symbol, entry in self.offered(known)]

    def subscribe(self, connection: str, wanted: Sequence[Subscription], unix_ns: int) -> list[Action]:
        """One request for all channels of the same products; the first within five seconds, or Coinbase closes."""
        channels: dict[tuple[str, ...], list[str]] = {}
        for channel in dict.fromkeys(one.channel for one in wanted):
            symbols = tuple(one.symbol for one in wanted if one.channel == channel)
            channels.setdefault(symbols, []).append(channel)
        return [self._request(connection, "subscribe", symbols, some, unix_ns, tuple(
            Subscription(channel, symbol) for channel in some for symbol in symbols))
            for symbols, some in channels.items()]

    def _request(self, connection: str, kind: str, symbols: Sequence[str], channels: list[str], unix_ns: int,
                 awaits: tuple[Subscription, ...] = ()) -> Action:
        login = {} if self.settings.credentials is None else signed(self.settings.credentials, unix_ns)
        text = json.dumps({"type": kind, "product_ids": list(symbols), "channels": channels} | login)
        return Send(connection, text, secret=bool(login), awaits=awaits)

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """What is subscribed to now, or why a request was refused."""
        message = json.loads(text)
        if message.get("type") == "subscriptions":
            subscribed = tuple(Subscription(self._spelled(channel["name"]), symbol)
                               for channel in message.get("channels") or ()
                               for symbol in channel.get("product_ids") or ())
            return [Ready(connection), *answered(connection, subscribed)] if subscribed else []
        return [Problem(": ".join(str(message[key]) for key in ("message", "reason") if message.get(key)))]

    def _spelled(self, channel: str) -> str:
        """A channel as we asked for it: Coinbase has other names too for a book that comes in batches."""
        return self.channels[0] if channel.startswith("level2") else channel

    def leave(self, symbol: str, unix_ns: int) -> list[Action]:
        return [self._request("market", "unsubscribe", [symbol], [self.channels[0]], unix_ns)]
