"""Gate.io spot and USDT-settled perpetual contracts.

Sources: Gate's "API v4", "Spot WebSocket v4" and "Futures WebSocket v4" documents.
"""
from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

from orderflow._core.codecs.gate import GateMarketData
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
from orderflow.exchanges.steps import (
    LARGEST_PRICE,
    LARGEST_QUANTITY,
    OLDER_DIGITS,
    PRICE_STEPS,
    QUANTITY_STEPS,
    scales_of,
)
from orderflow.instrument import Listing, WireDigits, choose_scales, significant_decimals

SECOND_NS = 1_000_000_000
PING_EVERY_NS = 15 * SECOND_NS
INTERVAL = "100ms"
#: Levels a side that updates of that interval tell of. Larger snapshots come out of a cache that is long out of date.
DEPTH = 100
#: How much larger than what the book shows a price or quantity may become, where Gate names no bound.
GROWTH = 1024
#: Spot fills are written with so many decimals, and so is what they leave of an order, however coarse the lot.
FILL_DECIMALS = 10


class GateSession:
    """Market data. Updates of a book are joined with a REST snapshot, asked for after the first of them is in hand.

    A market is a subclass that says where it differs.
    """

    rule = SyncRule.CONTIGUOUS_RANGE
    facts = Facts(shared_book_ids=True, growing_trade_ids=True, kept_levels=DEPTH)
    market: ClassVar[str]
    protocol: str
    rest_root: ClassVar[str]
    catalogue: ClassVar[str]            # the REST path that lists what is traded
    name_of: ClassVar[str]              # the key of the symbol in its entries
    asked_by: ClassVar[str]             # the REST parameter that names a symbol
    default_stream: ClassVar[str]
    path: ClassVar[str]
    trades_at_once: ClassVar[int] = 100     # symbols a request

    def __init__(self, settings: SessionSettings):
        self.settings = settings
        self.rest = settings.rest or "https://api.gateio.ws"
        self.stream = settings.stream or self.default_stream
        self.indices: dict[int, Listing] = {}
        self.assets: list[str] = []

    # -- metadata -----------------------------------------------------------------------------------------------

    def metadata(self) -> list[Request]:
        """What is traded, and the order book of each symbol: resting orders may be finer than tick and lot."""
        root = f"{self.rest}{self.rest_root}"
        requests = [Request(self.catalogue, "GET", f"{root}/{self.catalogue}")]
        return requests + [Request(f"book {symbol}", "GET", self._book_url(symbol)) for symbol in self.settings.symbols]

    def _book_url(self, symbol: str) -> str:
        return f"{self.rest}{self.rest_root}/order_book?{self.asked_by}={symbol}&limit={DEPTH}&with_id=true"

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols.

        Raises
        ------
        SessionError
            When Gate refuses, or a symbol is not offered; the message names it.
        """
        answer = json.loads(bodies[self.catalogue], parse_float=str)
        if not isinstance(answer, list):
            raise SessionError(f"exchange {self.settings.name}: {self.catalogue} were refused: "
                               f"{answer.get('message')} ({answer.get('label')})")
        known = {entry[self.name_of]: entry for entry in answer}
        result = []
        for symbol in self.settings.symbols:
            if symbol not in known:
                raise SessionError(f"exchange {self.settings.name}: symbol {symbol!r} is not offered; check `symbols`")
            digits = WireDigits()
            book = json.loads(bodies.get(f"book {symbol}", b"{}"), parse_float=str)
            for side in ("bids", "asks"):
                digits.observe_levels(self.level_texts(book.get(side, ())))
            result.append(self.listing(known[symbol], digits))
        return result

    def level_texts(self, levels: Iterable) -> Iterable[Sequence[str]]:
        """Levels of a REST order book as (price, quantity) texts."""
        raise NotImplementedError

    def listing(self, entry: dict, digits: WireDigits) -> Listing:
        """The listing of an entry of the catalogue; `digits` are those of its book."""
        raise NotImplementedError

    def snapshot_symbol(self, url: str) -> str:
        """Symbol that a recorded REST order book URL asked for; "" for any other URL."""
        parts = urlsplit(url)
        return dict(parse_qsl(parts.query)).get(self.asked_by, "") if parts.path.endswith("/order_book") else ""

    def start(self, indices: Sequence[int], listings: Sequence[Listing]) -> None:
        """The index that each listing got in the engine."""
        self.indices = dict(zip(indices, listings, strict=True))

    # -- connections --------------------------------------------------------------------------------------------

    def market_codec(self, table, symbols: dict[str, int]):
        """Codec of the market data connection."""
        return GateMarketData(table, symbols, market=self.market)

    def order_codec(self, table, symbols: dict[str, int]):
        """Orders are not supported yet."""
        if self.settings.trade:
            raise SessionError(f"exchange {self.settings.name}: orders are not supported on Gate yet; "
                               "set trade = false")
        return None

    def endpoints(self) -> list[Endpoint]:
        """One market data connection."""
        return [Endpoint("market", Role.MARKET_DATA, f"{self.stream}{self.path}")]

    def prepare(self, connection: str) -> Request | None:
        """Its address is known."""
        return None

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        """Subscribe: trades of many symbols a request, books one by one, as the exchange wants it."""
        ping = json.dumps({"time": unix_ns // SECOND_NS, "channel": f"{self.market}.ping"})
        actions: list[Action] = [KeepAlive(connection, ping, PING_EVERY_NS)]
        if self.settings.subscribe:
            return actions + [Send(connection, text) for text in self.settings.subscribe]
        symbols = self.settings.symbols
        actions += [self._send(connection, "trades", "subscribe", symbols[at:at + self.trades_at_once], unix_ns)
                    for at in range(0, len(symbols), self.trades_at_once)]
        return actions + [self._send(connection, "order_book_update", "subscribe", self.book_payload(symbol), unix_ns)
                          for symbol in symbols]

    def book_payload(self, symbol: str) -> list[str]:
        """What names the book of a symbol in a subscription."""
        return [symbol, INTERVAL]

    def _send(self, connection: str, channel: str, event: str, payload: Sequence[str], unix_ns: int) -> Send:
        return Send(connection, json.dumps({"time": unix_ns // SECOND_NS, "channel": f"{self.market}.{channel}",
                                            "event": event, "payload": list(payload)}))

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Answers to subscriptions, errors, notices."""
        message = json.loads(text)
        error = message.get("error")
        if error:
            about = f" of {','.join(map(str, message['payload']))}" if message.get("payload") else ""
            return [Problem(f"{message.get('event') or 'a request'}{about} to {message.get('channel')}: "
                            f"{error.get('message')} (code {error.get('code')})")]
        result = message.get("result") or {}
        if message.get("channel") == f"{self.market}.system" and result.get("type") == "upgrade":
            return [Reconnect(connection, f"the exchange announced an upgrade: {result.get('msg')}")]
        return [Ready(connection)] if message.get("event") == "subscribe" else []

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """A REST order book; where nothing came for too long, after subscribing anew."""
        symbol = self.indices[listing].symbol
        fetch = Fetch(Request("snapshot", "GET", self._book_url(symbol), listing=listing))
        if fault != BookFault.SILENT:
            return [fetch]
        return [*(self._send("market", "order_book_update", event, self.book_payload(symbol), unix_ns)
                  for event in ("unsubscribe", "subscribe")), fetch]

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """Snapshots go to the exchange thread."""
        if request.purpose != "snapshot":
            return []
        if status != 200:
            return [Problem(f"{request.url} answered {status}: {body[:200].decode(errors='replace')}")]
        return [SnapshotBody(request.listing, body, DEPTH)]


class GateSpotSession(GateSession):
    """api.gateio.ws, spot."""

    market = "spot"
    protocol = "gate"
    rest_root = "/api/v4/spot"
    catalogue = "currency_pairs"
    name_of = "id"
    asked_by = "currency_pair"
    default_stream = "wss://api.gateio.ws"
    path = "/ws/v4/"

    def level_texts(self, levels: Iterable) -> Iterable[Sequence[str]]:
        return levels

    def listing(self, entry: dict, digits: WireDigits) -> Listing:
        tick, lot = (Decimal(1).scaleb(-int(entry[name])) for name in ("precision", "amount_precision"))
        needed_price = max(significant_decimals(tick), digits.price_needed)
        needed_quantity = max(significant_decimals(lot), digits.quantity_needed)
        room = QUANTITY_STEPS.scaleb(-needed_quantity)
        largest = min(Decimal(entry.get("max_base_amount") or 0), room)
        prices, quantities = choose_scales(
            needed_price + OLDER_DIGITS, max(needed_quantity, FILL_DECIMALS),
            digits.largest_price * GROWTH or min(LARGEST_PRICE, tick * PRICE_STEPS),
            largest or min(digits.largest_quantity * GROWTH or LARGEST_QUANTITY, max(room, digits.largest_quantity)),
            needed_price, needed_quantity)
        return Listing(
            self.settings.name, entry["id"], f"{entry['base']}-{entry['quote']}", entry["base"], entry["quote"], prices,
            quantities, tick, lot, minimum_quantity=Decimal(entry.get("min_base_amount") or 0),
            minimum_notional=Decimal(entry.get("min_quote_amount") or 0), maximum_quantity=largest,
            halted=entry.get("trade_status", "tradable") != "tradable")


class GateFuturesSession(GateSession):
    """fx-ws.gateio.ws, contracts settled in USDT."""

    market = "futures"
    protocol = "gate_futures"
    rest_root = "/api/v4/futures/usdt"
    catalogue = "contracts"
    name_of = "name"
    asked_by = "contract"
    default_stream = "wss://fx-ws.gateio.ws"
    path = "/v4/ws/usdt"

    def level_texts(self, levels: Iterable) -> Iterable[Sequence[str]]:
        return ((level["p"], str(level["s"])) for level in levels)

    def book_payload(self, symbol: str) -> list[str]:
        return [symbol, INTERVAL, str(DEPTH)]

    def listing(self, entry: dict, digits: WireDigits) -> Listing:
        tick, lot = Decimal(entry["order_price_round"]), digits.lot
        prices, quantities, largest = scales_of(min(tick, digits.tick), lot, Decimal(entry.get("order_size_max") or 0))
        base, _, quote = entry["name"].partition("_")
        size = Decimal(entry.get("quanto_multiplier") or 1) or Decimal(1)
        unit = "" if size == 1 else f"-{size.normalize():f}{base}"
        return Listing(
            self.settings.name, entry["name"], f"{base}-{quote}-PERPETUAL{unit}", base, quote,
            prices, quantities, tick, lot,
            minimum_quantity=Decimal(entry.get("order_size_min") or 0), maximum_quantity=largest,
            halted=bool(entry.get("in_delisting")) or entry.get("status", "trading") != "trading")
