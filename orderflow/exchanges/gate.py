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
from orderflow.exchanges.actions import (
    Action,
    KeepAlive,
    NumberedRequests,
    Problem,
    Ready,
    Reconnect,
    Request,
    Send,
    Subscription,
    answered,
)
from orderflow.exchanges.facts import Facts
from orderflow.exchanges.session import Session, SessionSettings
from orderflow.exchanges.steps import scales_of, scales_of_book
from orderflow.instrument import Listing, WireDigits

SECOND_NS = 1_000_000_000
PING_EVERY_NS = 15 * SECOND_NS
INTERVAL = "100ms"
BOOK, TRADES = "order_book_update", "trades"
#: Levels a side that updates of that interval tell of. Larger snapshots come out of a cache that is long out of date.
DEPTH = 100
#: Spot fills are written with so many decimals, and so is what they leave of an order, however coarse the lot.
FILL_DECIMALS = 10


class GateSession(Session):
    """Market data. Updates of a book are joined with a REST snapshot, asked for after the first of them is in hand.

    A market is a subclass that says where it differs.
    """

    title = "Gate"
    rule = SyncRule.CONTIGUOUS_RANGE
    channels = (BOOK, TRADES)
    facts = Facts(shared_book_ids=True, growing_trade_ids=True, kept_levels=DEPTH)
    production_rest = "https://api.gateio.ws"
    market: ClassVar[str]
    rest_root: ClassVar[str]
    catalogue: ClassVar[str]            # the REST path that lists what is traded
    name_of: ClassVar[str]              # the key of the symbol in its entries
    asked_by: ClassVar[str]             # the REST parameter that names a symbol
    trades_at_once: ClassVar[int] = 100     # symbols a request

    def __init__(self, settings: SessionSettings):
        super().__init__(settings)
        self._requests = NumberedRequests()

    # -- metadata -----------------------------------------------------------------------------------------------

    def metadata(self) -> list[Request]:
        """What is traded, and the order book of each symbol: resting orders may be finer than tick and lot."""
        root = f"{self.rest}{self.rest_root}"
        requests = [Request(self.catalogue, "GET", f"{root}/{self.catalogue}")]
        return requests + [Request(f"book {symbol}", "GET", self.snapshot_url(symbol))
                           for symbol in self.settings.symbols]

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols.

        Raises
        ------
        SessionError
            When Gate refuses, or a symbol is not offered; the message names it.
        """
        answer = json.loads(bodies[self.catalogue], parse_float=str)
        if not isinstance(answer, list):
            raise self.error(f"{self.catalogue} were refused: {answer.get('message')} ({answer.get('label')})")
        known = {entry[self.name_of]: entry for entry in answer}
        result = []
        for symbol, entry in self.offered(known):
            digits = WireDigits()
            book = json.loads(bodies.get(f"book {symbol}", b"{}"), parse_float=str)
            for side in ("bids", "asks"):
                digits.observe_levels(self.level_texts(book.get(side, ())))
            result.append(self.listing(entry, digits))
        return result

    def level_texts(self, levels: Iterable) -> Iterable[Sequence[str]]:
        """Levels of a REST order book as (price, quantity) texts."""
        raise NotImplementedError

    def listing(self, entry: dict, digits: WireDigits) -> Listing:
        """The listing of an entry of the catalogue; `digits` are those of its book."""
        raise NotImplementedError

    def snapshot_symbol(self, url: str) -> str:
        parts = urlsplit(url)
        return dict(parse_qsl(parts.query)).get(self.asked_by, "") if parts.path.endswith("/order_book") else ""

    # -- connections --------------------------------------------------------------------------------------------

    def market_codec(self, table, symbols: dict[str, int]):
        """Codec of the market data connection."""
        return GateMarketData(table, symbols, market=self.market)

    def keep_alive(self, connection: str, unix_ns: int) -> list[Action]:
        ping = json.dumps({"time": unix_ns // SECOND_NS, "channel": f"{self.market}.ping"})
        return [KeepAlive(connection, ping, PING_EVERY_NS)]

    def subscribe(self, connection: str, wanted: Sequence[Subscription], unix_ns: int) -> list[Action]:
        """Trades of many symbols a request, books one by one, as the exchange wants it."""
        trades = [one for one in wanted if one.channel == TRADES]
        parts = [trades[at:at + self.trades_at_once] for at in range(0, len(trades), self.trades_at_once)]
        return [*(self._send(connection, TRADES, "subscribe", [one.symbol for one in part], unix_ns, tuple(part))
                  for part in parts),
                *(self._send(connection, BOOK, "subscribe", self.book_payload(one.symbol), unix_ns, (one,))
                  for one in wanted if one.channel == BOOK)]

    def book_payload(self, symbol: str) -> list[str]:
        """What names the book of a symbol in a subscription."""
        return [symbol, INTERVAL]

    def _send(self, connection: str, channel: str, event: str, payload: Sequence[str], unix_ns: int,
              awaits: tuple[Subscription, ...] = ()) -> Send:
        identity = {"id": self._requests.number(awaits)} if awaits else {}
        return Send(connection, json.dumps({"time": unix_ns // SECOND_NS, **identity, "event": event,
                                            "channel": f"{self.market}.{channel}", "payload": list(payload)}),
                    awaits=awaits)

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Answers to subscriptions, errors, notices."""
        message = json.loads(text)
        said = answered(connection, self._requests.answered(message.get("id")))
        error = message.get("error")
        if error:
            about = f" of {','.join(map(str, message['payload']))}" if message.get("payload") else ""
            return [Problem(f"{message.get('event') or 'a request'}{about} to {message.get('channel')}: "
                            f"{error.get('message')} (code {error.get('code')})"), *said]
        result = message.get("result") or {}
        if message.get("channel") == f"{self.market}.system" and result.get("type") == "upgrade":
            return [Reconnect(connection, f"the exchange announced an upgrade: {result.get('msg')}")]
        return [Ready(connection), *said] if message.get("event") == "subscribe" else []

    def snapshot_url(self, symbol: str) -> str:
        return f"{self.rest}{self.rest_root}/order_book?{self.asked_by}={symbol}&limit={DEPTH}&with_id=true"

    def leave(self, symbol: str, unix_ns: int) -> list[Action]:
        return [self._send("market", BOOK, "unsubscribe", self.book_payload(symbol), unix_ns)]


class GateSpotSession(GateSession):
    """api.gateio.ws, spot."""

    market = "spot"
    protocol = "gate"
    rest_root = "/api/v4/spot"
    catalogue = "currency_pairs"
    name_of = "id"
    asked_by = "currency_pair"
    production_stream = "wss://api.gateio.ws"
    path = "/ws/v4/"

    def level_texts(self, levels: Iterable) -> Iterable[Sequence[str]]:
        return levels

    def listing(self, entry: dict, digits: WireDigits) -> Listing:
        tick, lot = (Decimal(1).scaleb(-int(entry[name])) for name in ("precision", "amount_precision"))
        prices, quantities, largest = scales_of_book(tick, lot, digits, FILL_DECIMALS,
                                                     Decimal(entry.get("max_base_amount") or 0))
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
    production_stream = "wss://fx-ws.gateio.ws"
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
