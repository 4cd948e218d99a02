"""Bitstamp spot and perpetuals. Source: Bitstamp's "WebSocket API v2" and "HTTP API" (markets, order book)."""
from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from urllib.parse import urlsplit

from orderflow._core.codecs.bitstamp import BitstampMarketData
from orderflow._core.integrity import SyncRule
from orderflow._core.types import BookFault, Role
from orderflow.exchanges.session import (
    Action,
    Endpoint,
    Facts,
    Fetch,
    KeepAlive,
    Problem,
    Ready,
    Reconnect,
    Request,
    Send,
    SessionError,
    SessionSettings,
    SnapshotBody,
)
from orderflow.exchanges.steps import scales_of
from orderflow.instrument import Listing

REST = "https://www.bitstamp.net"
STREAM = "wss://ws.bitstamp.net"
BOOKS, TRADES = "diff_order_book_", "live_trades_"
#: A connection may live for 90 days: a day before.
RENEW_AFTER_NS = 89 * 86_400_000_000_000
HEARTBEAT = '{"event":"bts:heartbeat"}'
HEARTBEAT_EVERY_NS = 30_000_000_000
_ORDER_BOOK = re.compile(r"/api/v2/order_book/([^/]+)/?$")


class BitstampSession:
    """Updates without a sequence are joined with a REST snapshot by their microtimestamps.

    The snapshot is asked for after the first update is in hand: REST answers may be some seconds old.
    """

    protocol = "bitstamp"
    rule = SyncRule.NEWER
    facts = Facts(growing_trade_ids=True, renew_after_ns=RENEW_AFTER_NS)

    def __init__(self, settings: SessionSettings):
        self.settings = settings
        self.rest = settings.rest or REST
        self.stream = settings.stream or STREAM
        self.indices: dict[int, Listing] = {}
        self.assets: list[str] = []

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
            raise SessionError(f"exchange {self.settings.name}: the markets were refused: {_reason(answer)}")
        known = {entry.get("market_symbol") or entry["url_symbol"]: entry for entry in answer}
        for symbol in self.settings.symbols:
            if symbol not in known:
                raise SessionError(f"exchange {self.settings.name}: symbol {symbol!r} is not offered; check `symbols`")
        return [self._listing(symbol, known[symbol]) for symbol in self.settings.symbols]

    def _listing(self, symbol: str, entry: dict) -> Listing:
        tick, lot = (Decimal(1).scaleb(-int(entry[f"{which}_decimals"])) for which in ("counter", "base"))
        prices, quantities, largest = scales_of(tick, lot, Decimal(entry.get("maximum_order_amount") or 0))
        instrument, base, quote = named(entry)
        return Listing(
            self.settings.name, symbol, instrument, base, quote, prices, quantities, tick, lot,
            minimum_quantity=Decimal(entry.get("minimum_order_amount") or 0), maximum_quantity=largest,
            minimum_notional=_minimum_notional(entry), halted=entry.get("trading", "Enabled") != "Enabled")

    @staticmethod
    def snapshot_symbol(url: str) -> str:
        """Symbol whose order book a recorded REST URL asked for; "" for any other URL."""
        found = _ORDER_BOOK.search(urlsplit(url).path)
        return found[1] if found else ""

    def start(self, indices: Sequence[int], listings: Sequence[Listing]) -> None:
        """The index that each listing got in the engine."""
        self.indices = dict(zip(indices, listings, strict=True))

    def market_codec(self, table, symbols: dict[str, int]):
        """Codec of the market data connection."""
        return BitstampMarketData(table, symbols)

    def order_codec(self, table, symbols: dict[str, int]):
        """Orders are not supported yet."""
        if self.settings.trade:
            raise SessionError(f"exchange {self.settings.name}: orders are not supported on Bitstamp yet; "
                               "set trade = false")
        return None

    def endpoints(self) -> list[Endpoint]:
        """One market data connection."""
        return [Endpoint("market", Role.MARKET_DATA, self.stream)]

    def prepare(self, connection: str) -> Request | None:
        """Its address is known."""
        return None

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        """Subscribe: one request a channel."""
        texts = self.settings.subscribe or [
            _request("subscribe", channel + symbol) for symbol in self.settings.symbols for channel in (BOOKS, TRADES)]
        return [KeepAlive(connection, HEARTBEAT, HEARTBEAT_EVERY_NS), *(Send(connection, text) for text in texts)]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Answers to subscriptions, errors, the wish for another connection."""
        message = json.loads(text)
        event = message.get("event")
        if event == "bts:subscription_succeeded":
            return [Ready(connection)]
        if event == "bts:request_reconnect":
            return [Reconnect(connection, "the exchange asked for it")]
        if event == "bts:error":
            data = message.get("data")
            code, reason = (data.get("code"), data.get("message")) if isinstance(data, dict) else (None, data)
            channel = message.get("channel")
            return [Problem(f"{channel + ': ' if channel else ''}{reason} (code {code})")]
        return []

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """The order book over REST; where nothing came for too long, after subscribing anew."""
        symbol = self.indices[listing].symbol
        fetch = Fetch(Request("snapshot", "GET", f"{self.rest}/api/v2/order_book/{symbol}/", listing=listing))
        if fault != BookFault.SILENT:
            return [fetch]
        return [*(Send("market", _request(method, BOOKS + symbol)) for method in ("unsubscribe", "subscribe")), fetch]

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """Snapshots go to the exchange thread."""
        if request.purpose != "snapshot":
            return []
        if status != 200:
            return [Problem(f"{request.url} answered {status}: {body[:200].decode(errors='replace')}")]
        return [SnapshotBody(request.listing, body)]


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


def _request(method: str, channel: str) -> str:
    return json.dumps({"event": f"bts:{method}", "data": {"channel": channel}})


def _reason(answer) -> str:
    return str(answer.get("reason") or answer.get("error") or answer) if isinstance(answer, dict) else str(answer)
