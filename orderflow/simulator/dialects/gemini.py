"""Gemini from the exchange's side: public market data, version 2, and the symbols.

Source: docs.gemini.com, "Market Data Version 2", "REST API". A subscription is to books, whole, and the trades come
with them.
"""
import json
from itertools import count
from urllib.parse import parse_qs

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Contents
from orderflow.simulator.dialects import gemini_recorded
from orderflow.simulator.dialects.windows import MILLISECOND_NS, WindowExchange, compact, trimmed
from orderflow.simulator.exchange import SECOND_NS, Connection, Response
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook
from orderflow.simulator.numbers import to_text
from orderflow.simulator.views import Levels, View

HEARTBEAT_NS = 5 * SECOND_NS
HISTORY = 50                    # trades that a snapshot brings along
REST_LEVELS = 50
FIRST_EVENT = 45_000_000_000
JSON_HEADERS = {"content-type": "application/json"}


class _Wanted(msgspec.Struct):
    name: str
    symbols: list[str]


class _Request(msgspec.Struct):
    type: str
    subscriptions: list[_Wanted]


_request = msgspec.json.Decoder(_Request)


class Gemini(WindowExchange[str]):
    """api.gemini.com, public."""

    protocol = "gemini"
    shows_losses = False
    answers_at = ("/v2/marketdata",)
    publish_every_ns = 50 * MILLISECOND_NS
    reader = gemini_recorded.GeminiReader

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self._event_ids = count(FIRST_EVENT)
        self._history: dict[str, list[dict]] = {}       # symbol -> last trades, newest first
        self._beats: dict[int, int] = {}                # connection -> when its next heartbeat is due

    @classmethod
    def recorded_instruments(cls, contents: Contents) -> tuple[SimulatedInstrument, ...]:
        """Instruments of a capture."""
        return gemini_recorded.recorded_instruments(contents)

    @staticmethod
    def subscriptions(streams) -> list[str]:
        """The frame with which a client subscribes to recorded streams."""
        return gemini_recorded.subscriptions(streams)

    # websocket

    def received(self, connection: Connection, text: str) -> None:
        try:
            request = _request.decode(text)
        except msgspec.MsgspecError:
            self._refuse(connection, "InvalidJson", "Received an invalid request")
            return
        symbols = [symbol for wanted in request.subscriptions for symbol in wanted.symbols]
        if request.type not in ("subscribe", "unsubscribe") or any(
                wanted.name != "l2" for wanted in request.subscriptions):
            self._refuse(connection, "InvalidRequest", f"Unsupported: {text}")
        elif unknown := [symbol for symbol in symbols if self.instrument(symbol) is None]:
            self._refuse(connection, "InvalidSymbol", f"Supplied value '{unknown[0]}' is not a valid symbol")
        else:
            for symbol in symbols:
                if request.type == "unsubscribe":
                    self.unsubscribe(connection, symbol)
                elif symbol not in connection.subscriptions:
                    self._begin(connection, symbol)

    def _refuse(self, connection: Connection, reason: str, message: str) -> None:
        self.send(connection, compact({"result": "error", "reason": reason, "message": message}))

    def _begin(self, connection: Connection, symbol: str) -> None:
        self.subscribe(connection, symbol)
        if self.source.contents is not None:
            return
        self._beats.setdefault(connection.id, self.now_ns + HEARTBEAT_NS)
        self.source.catch_up(self, self.now_ns)
        book, view = self.view(symbol)
        self.send(connection, compact({
            "type": "l2_updates", "symbol": symbol, "changes": _changes(book, view.bids.items(), view.asks.items()),
            "trades": self._history.get(symbol, []), "auction_events": []}))

    def forgotten(self, connection: Connection) -> None:
        self._beats.pop(connection.id, None)

    def housekeeping(self, connection: Connection, now_ns: int) -> None:
        if now_ns >= self.housekeeping_ns(connection):
            self._beats[connection.id] = now_ns + HEARTBEAT_NS
            self.send(connection, compact({"type": "heartbeat", "timestamp": now_ns // MILLISECOND_NS}))

    def housekeeping_ns(self, connection: Connection) -> int:
        return self._beats.get(connection.id, super().housekeeping_ns(connection))

    # market data

    def window(self, key: str) -> tuple[str, int]:
        return key, 0

    def publish_changes(self, book: MarketBook, key: str, changed: tuple[View, Levels, Levels], at_ns: int) -> None:
        _, bids, asks = changed
        self.publish(key, compact({"type": "l2_updates", "symbol": key, "changes": _changes(book, bids, asks)}), at_ns)

    def publish_trades(self, book: MarketBook, trades, at_ns: int) -> None:
        symbol = book.instrument.symbol
        history = self._history.setdefault(symbol, [])
        for price, quantity, side in zip(*(trades[name].tolist() for name in ("price", "quantity", "taker_side")),
                                         strict=True):
            trade = {"type": "trade", "symbol": symbol, "event_id": next(self._event_ids),
                     "timestamp": at_ns // MILLISECOND_NS, "price": trimmed(book.price_text(price)),
                     "quantity": trimmed(book.quantity_text(quantity)), "side": "buy" if side == Side.BUY else "sell"}
            history.insert(0, trade)
            for connection in self.listeners(symbol):
                self.send(connection, compact(trade))
        del history[HISTORY:]

    # REST

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        self.now_ns = now_ns
        status, answer = self._rest(path.rstrip("/"), parse_qs(query)) if method == "GET" else (405, {})
        return Response(status, dict(JSON_HEADERS), json.dumps(answer).encode())

    def _rest(self, path: str, parameters: dict[str, list[str]]) -> tuple[int, object]:
        if path == "/v1/symbols":
            return 200, [one.symbol.lower() for one in self.instruments]
        kind, _, name = path.rpartition("/")
        if kind not in ("/v1/symbols/details", "/v1/book"):
            return 404, {"result": "error", "reason": "EndpointNotFound", "message": "API entry point not found"}
        instrument = self.instrument(name.upper())
        if instrument is None:
            return 400, {"result": "error", "reason": "Bad Request",
                         "message": f"Supplied value '{name}' is not a valid symbol"}
        return 200, _details(instrument) if kind == "/v1/symbols/details" else self._book(instrument, parameters)

    def _book(self, instrument: SimulatedInstrument, parameters: dict[str, list[str]]) -> dict:
        self.source.catch_up(self, self.now_ns)
        limits = [int(parameters.get(f"limit_{side}", [REST_LEVELS])[0]) for side in ("bids", "asks")]
        sides = self.source.top(instrument, max(limits))
        return {side: [{"price": price, "amount": quantity, "timestamp": str(self.now_ns // SECOND_NS)}
                       for price, quantity in levels[:limit]]
                for side, levels, limit in zip(("bids", "asks"), sides, limits, strict=True)}


def _changes(book: MarketBook, bids, asks) -> list[list[str]]:
    return [[side, trimmed(book.price_text(price)), trimmed(book.quantity_text(quantity)) if quantity else "0"]
            for side, levels in (("buy", bids), ("sell", asks)) for price, quantity in levels]


def _details(instrument: SimulatedInstrument) -> dict:
    """Steps are JSON numbers here, and the least order is a text."""
    quantity = instrument.quantity_decimals
    return {"symbol": instrument.symbol, "base_currency": instrument.base, "quote_currency": instrument.quote,
            "tick_size": float(to_text(instrument.lot, quantity)),
            "quote_increment": float(to_text(instrument.tick, instrument.price_decimals)),
            "min_order_size": trimmed(to_text(instrument.minimum_quantity, quantity)), "status": "open",
            "wrap_enabled": False, "product_type": "spot", "contract_type": "vanilla"}


DIALECT = Gemini
