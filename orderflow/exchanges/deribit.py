"""Deribit: futures, options and spot. Source: docs.deribit.com, "JSON-RPC", "Subscriptions", public/get_instrument."""
from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from urllib.parse import quote

from orderflow._core.codecs.deribit import DeribitMarketData
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

REST = "https://www.deribit.com"
STREAM = "wss://www.deribit.com"
REST_PATH, STREAM_PATH = "/api/v2", "/ws/api/v2"
#: Books and trades of every change (raw) are for connections that have logged in.
INTERVAL = "100ms"
#: Connections over which nothing was asked for ten minutes are closed.
TEST_EVERY_NS = 30_000_000_000
#: Id of what needs no look at its answer; subscriptions count from 1.
QUIET_ID = 0


class DeribitSession:
    """Snapshots come in the stream; each change names the one before it. A resync is a new subscription."""

    protocol = "deribit"
    rule = SyncRule.IN_BAND
    facts = Facts(shared_book_ids=True, growing_trade_ids=True)

    def __init__(self, settings: SessionSettings):
        self.settings = settings
        self.rest = settings.rest or REST
        self.stream = settings.stream or STREAM
        self.indices: dict[int, Listing] = {}
        self.assets: list[str] = []

    def metadata(self) -> list[Request]:
        """Each instrument: the list of all is thousands of options long."""
        return [Request(f"instrument {symbol}", "GET",
                        f"{self.rest}{REST_PATH}/public/get_instrument?instrument_name={quote(symbol)}")
                for symbol in self.settings.symbols]

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols (BTC-PERPETUAL).

        Raises
        ------
        SessionError
            When a symbol is not offered; the message names it.
        """
        result = []
        for symbol in self.settings.symbols:
            answer = json.loads(bodies[f"instrument {symbol}"], parse_float=Decimal)
            entry = answer.get("result") or {}
            if entry.get("instrument_name") != symbol:
                raise SessionError(f"exchange {self.settings.name}: symbol {symbol!r} is not offered "
                                   f"({(answer.get('error') or {}).get('message')}); check `symbols`")
            result.append(self._listing(symbol, entry))
        return result

    def _listing(self, symbol: str, entry: dict) -> Listing:
        tick = min(Decimal(one["tick_size"]) for one in (entry, *entry.get("tick_size_steps", ())))
        least = Decimal(entry["min_trade_amount"])
        lot = min(Decimal(entry["contract_size"]), least)
        prices, quantities, largest = scales_of(tick, lot, Decimal(0))
        return Listing(self.settings.name, symbol, instrument_of(entry), entry["base_currency"],
                       entry["quote_currency"], prices, quantities, tick, lot, minimum_quantity=least,
                       maximum_quantity=largest,
                       halted=not entry.get("is_active", True) or entry.get("state", "open") != "open")

    @staticmethod
    def snapshot_symbol(url: str) -> str:
        """Books come in the stream; no REST answer is one."""
        return ""

    def start(self, indices: Sequence[int], listings: Sequence[Listing]) -> None:
        """The index that each listing got in the engine."""
        self.indices = dict(zip(indices, listings, strict=True))

    def market_codec(self, table, symbols: dict[str, int]):
        """Codec of the market data connection."""
        return DeribitMarketData(table, symbols)

    def order_codec(self, table, symbols: dict[str, int]):
        """Orders are not supported yet."""
        if self.settings.trade:
            raise SessionError(f"exchange {self.settings.name}: orders are not supported on Deribit yet; "
                               "set trade = false")
        return None

    def endpoints(self) -> list[Endpoint]:
        """One market data connection."""
        return [Endpoint("market", Role.MARKET_DATA, f"{self.stream}{STREAM_PATH}")]

    def prepare(self, connection: str) -> Request | None:
        """Its address is known."""
        return None

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        """Subscribe, each symbol in a request of its own: one that is refused takes no other with it."""
        actions: list[Action] = [KeepAlive(connection, _text("public/test", {}, QUIET_ID), TEST_EVERY_NS)]
        if self.settings.subscribe:
            return actions + [Send(connection, text) for text in self.settings.subscribe]
        return actions + [_send("subscribe", [_book(symbol), f"trades.{symbol}.{INTERVAL}"], number)
                          for number, symbol in enumerate(self.settings.symbols, 1)]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Answers. Heartbeats, should anybody have asked for them, are answered."""
        message = json.loads(text)
        if "error" in message:
            error = message["error"]
            reason = f" ({error['data']})" if error.get("data") else ""
            return [Problem(f"{self._named(message.get('id'))}{error.get('message')}{reason} "
                            f"(code {error.get('code')})")]
        if (message.get("params") or {}).get("type") == "test_request":
            return [Send(connection, _text("public/test", {}, QUIET_ID))]
        if not message.get("id") or not isinstance(message.get("result"), list):
            return []
        if not message["result"]:                       # channels that do not exist are left out
            return [Problem(f"{self._named(message['id'])}no such channel")]
        return [Ready(connection)]

    def _named(self, number) -> str:
        known = isinstance(number, int) and 0 < number <= len(self.settings.symbols)
        return f"subscription of {self.settings.symbols[number - 1]}: " if known else ""

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """Leave and join the book of that instrument alone."""
        symbol = self.indices[listing].symbol
        return [_send("unsubscribe", [_book(symbol)], QUIET_ID),
                _send("subscribe", [_book(symbol)], self.settings.symbols.index(symbol) + 1)]

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """Nothing is asked over REST but the metadata."""
        return []


def instrument_of(entry: dict) -> str:
    """Its name. Amounts of inverse futures are in USD, all others in the base: they must not be added up."""
    base, kind = entry["base_currency"], entry.get("kind", "future")
    pair = f"{base}-{entry.get('counter_currency') or entry['quote_currency']}"
    if kind == "spot":
        return pair
    term = "PERPETUAL" if entry.get("settlement_period") == "perpetual" else entry["instrument_name"]
    inverse = kind == "future" and entry.get("settlement_currency", base) == base
    return f"{pair}-{term}" + (f"-1{entry['quote_currency']}" if inverse else "")


def _book(symbol: str) -> str:
    return f"book.{symbol}.{INTERVAL}"


def _text(method: str, parameters: dict, number: int) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": parameters})


def _send(method: str, channels: list[str], number: int) -> Send:
    return Send("market", _text(f"public/{method}", {"channels": channels}, number))
