"""Bitstamp spot and perpetuals. Source: Bitstamp's "WebSocket API v2" and "HTTP API" (markets, order book)."""
from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from urllib.parse import urlsplit

from orderflow._core.codecs.bitstamp import BitstampMarketData
from orderflow._core.integrity import SyncRule
from orderflow.exchanges.actions import (
    Action,
    KeepAlive,
    Problem,
    Ready,
    Reconnect,
    Request,
    Send,
    Subscription,
    answered,
)
from orderflow.exchanges.facts import Facts, Limit, Limits
from orderflow.exchanges.session import Session
from orderflow.exchanges.steps import scales_of
from orderflow.instrument import Listing

BOOKS, TRADES = "diff_order_book_", "live_trades_"
#: A connection may live for 90 days: a day before.
RENEW_AFTER_NS = 89 * 86_400_000_000_000
HEARTBEAT = '{"event":"bts:heartbeat"}'
HEARTBEAT_EVERY_NS = 30_000_000_000
_ORDER_BOOK = re.compile(r"/api/v2/order_book/([^/]+)/?$")


class BitstampSession(Session):
    """Updates without a sequence are joined with a REST snapshot by their microtimestamps.

    The snapshot is asked for after the first update is in hand: REST answers may be some seconds old.
    """

    title = "Bitstamp"
    protocol = "bitstamp"
    production_rest = "https://www.bitstamp.net"
    production_stream = "wss://ws.bitstamp.net"
    codec = BitstampMarketData
    channels = (BOOKS, TRADES)
    limits = Limits(requests=Limit(10_000, 600_000_000_000))
    rule = SyncRule.NEWER
    facts = Facts(growing_trade_ids=True, renew_after_ns=RENEW_AFTER_NS, fees_in="quote")

    def metadata(self) -> list[Request]:
        """One answer tells of all markets."""
        return [Request("markets", "GET", f"{self.rest}/api/v2/markets/")]

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols.

        Raises
        ------
        SessionError
            When Bitstamp refuses, or a symbol is not offered; the message names it.
        """
        answer = json.loads(bodies["markets"])
        if not isinstance(answer, list):
            raise self.error(f"the markets were refused: {_reason(answer)}")
        known = {entry.get("market_symbol") or entry["url_symbol"]: entry for entry in answer}
        return [self._listing(symbol, entry) for symbol, entry in self.offered(known)]

    def _listing(self, symbol: str, entry: dict) -> Listing:
        tick, lot = (Decimal(1).scaleb(-int(entry[f"{which}_decimals"])) for which in ("counter", "base"))
        prices, quantities, largest = scales_of(tick, lot, Decimal(entry.get("maximum_order_amount") or 0))
        instrument, base, quote = named(entry)
        return Listing(
            self.settings.name, symbol, instrument, base, quote, prices, quantities, tick, lot,
            minimum_quantity=Decimal(entry.get("minimum_order_amount") or 0), maximum_quantity=largest,
            minimum_notional=_minimum_notional(entry), halted=entry.get("trading", "Enabled") != "Enabled")

    def snapshot_symbol(self, url: str) -> str:
        found = _ORDER_BOOK.search(urlsplit(url).path)
        return found[1] if found else ""

    def keep_alive(self, connection: str, unix_ns: int) -> list[Action]:
        return [KeepAlive(connection, HEARTBEAT, HEARTBEAT_EVERY_NS)]

    def subscribe(self, connection: str, wanted: Sequence[Subscription], unix_ns: int) -> list[Action]:
        """One request a channel."""
        return [Send(connection, _text("subscribe", "".join(one)), awaits=(one,)) for one in wanted]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Answers to subscriptions, errors, the wish for another connection."""
        message = json.loads(text)
        event = message.get("event")
        if event == "bts:subscription_succeeded":
            return [Ready(connection), *answered(connection, _named(message.get("channel")))]
        if event == "bts:request_reconnect":
            return [Reconnect(connection, "the exchange asked for it")]
        if event == "bts:error":
            data = message.get("data")
            code, reason = (data.get("code"), data.get("message")) if isinstance(data, dict) else (None, data)
            channel = message.get("channel")
            return [Problem(f"{channel + ': ' if channel else ''}{reason} (code {code})"),
                    *answered(connection, _named(channel))]
        return []

    def snapshot_url(self, symbol: str) -> str:
        return f"{self.rest}/api/v2/order_book/{symbol}/"

    def leave(self, symbol: str, unix_ns: int) -> list[Action]:
        return [Send("market", _text("unsubscribe", BOOKS + symbol))]


def named(entry: dict) -> tuple[str, str, str]:
    """Instrument, base and quote of an entry of the markets.

    Where quantities count contracts, the name of the instrument says how much one is, unless it is one unit of the
    base: books of other exchanges must not be added up with these.
    """
    base, _, quote = entry["name"].removesuffix("-PERP").partition("/")
    base, quote = entry.get("base_currency") or base, entry.get("counter_currency") or quote
    kind = entry.get("market_type", "SPOT")
    if kind == "SPOT":
        return f"{base}-{quote}", base, quote
    size = Decimal(entry.get("contract_size") or 1)
    currency = quote if entry.get("payoff_type") == "Inverse" else base
    unit = "" if size == 1 and currency == base else f"-{size.normalize():f}{currency}"
    return f"{base}-{quote}-{kind}{unit}", base, quote


def _minimum_notional(entry: dict) -> Decimal:
    """Once written with its currency, as "20.0 USD", now without."""
    text = entry.get("minimum_order_value") or entry.get("minimum_order") or "0"
    return Decimal(text.partition(" ")[0])


def _named(channel: str | None) -> tuple[Subscription, ...]:
    return tuple(Subscription(kind, channel.removeprefix(kind)) for kind in (BOOKS, TRADES)
                 if channel and channel.startswith(kind))


def _text(method: str, channel: str) -> str:
    return json.dumps({"event": f"bts:{method}", "data": {"channel": channel}})


def _reason(answer) -> str:
    return str(answer.get("reason") or answer.get("error") or answer) if isinstance(answer, dict) else str(answer)
