"""Deribit from the exchange's side: JSON-RPC over websocket and HTTP, public.

Source: docs.deribit.com, "JSON-RPC", "Market data", "Subscriptions". Futures that are quoted in USD are inverse: their
amounts are in USD. Books are not grouped, and only the interval that needs no login is offered.
"""
from itertools import count
from urllib.parse import parse_qsl

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Contents
from orderflow.simulator.dialects import deribit_recorded
from orderflow.simulator.dialects.deribit_recorded import split
from orderflow.simulator.dialects.windows import MILLISECOND_NS, WindowExchange, compact, pointed
from orderflow.simulator.exchange import Connection, Response
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook
from orderflow.simulator.numbers import to_text
from orderflow.simulator.views import Levels, View

INTERVAL_NS = 100 * MILLISECOND_NS
FIRST_CHANGE = 13_000_000_000
FIRST_TRADE = 400_000_000
REST_DEPTHS = (1, 5, 10, 20, 50, 100, 1000, 10000)
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
JSON_HEADERS = {"content-type": "application/json"}


class Refused(Exception):
    """A refusal in Deribit's words."""

    def __init__(self, message: str, code: int, **data):
        super().__init__(message)
        self.error = {"message": message, "code": code} | ({"data": data} if data else {})


class _Parameters(msgspec.Struct):
    channels: list[str] = []


class _Request(msgspec.Struct):
    method: str
    id: int | str | None = None
    params: _Parameters = msgspec.field(default_factory=_Parameters)


_request = msgspec.json.Decoder(_Request)


class Deribit(WindowExchange[str]):
    """www.deribit.com, public."""

    protocol = "deribit"
    answers_at = ("/ws/api/v2",)
    publish_every_ns = INTERVAL_NS
    reader = deribit_recorded.DeribitReader

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self._changes: dict[str, int] = {}              # book channel -> id of its last change
        self._change_ids = count(FIRST_CHANGE)
        self._sequences = {one.symbol: count(1) for one in self.instruments}
        self._trade_ids = count(FIRST_TRADE)

    @classmethod
    def recorded_instruments(cls, contents: Contents) -> tuple[SimulatedInstrument, ...]:
        """Instruments of a capture."""
        return deribit_recorded.recorded_instruments(contents)

    @staticmethod
    def subscriptions(streams) -> list[str]:
        """The frame with which a client subscribes to recorded streams."""
        return deribit_recorded.subscriptions(streams)

    # websocket

    def received(self, connection: Connection, text: str) -> None:
        try:
            request = _request.decode(text)
        except msgspec.MsgspecError:
            self.send(connection, self._answer(None, error=Refused("Parse error", -32700).error))
            return
        started: list[str] = []
        try:
            result = self._call(connection, request, started)
        except Refused as refusal:
            self.send(connection, self._answer(request.id, error=refusal.error))
            return
        self.send(connection, self._answer(request.id, result=result))
        for channel in started:
            self._begin(connection, channel)

    def _answer(self, number, **outcome) -> str:
        micros = self.now_ns // 1000
        return compact({"jsonrpc": "2.0", **({} if number is None else {"id": number}), **outcome,
                        "usIn": micros, "usOut": micros, "usDiff": 0, "testnet": True})

    def _call(self, connection: Connection, request: _Request, started: list[str]):
        if request.method == "public/test":
            return {"version": "1.2.26"}
        if request.method not in ("public/subscribe", "public/unsubscribe"):
            raise Refused("Method not found", METHOD_NOT_FOUND)
        accepted = []
        for channel in request.params.channels:
            self._check(channel)
            if request.method == "public/unsubscribe":
                self.unsubscribe(connection, channel)
            elif channel not in connection.subscriptions:
                self.subscribe(connection, channel)
                started.append(channel)
            accepted.append(channel)
        return accepted

    def _check(self, channel: str) -> None:
        if self.source.contents is not None and channel in self.source.contents.streams:
            return
        kind, symbol = split(channel)
        if kind and channel.endswith(".raw"):
            raise Refused("raw_subscriptions_not_available_for_unauthorized", 13778)
        if not kind or not channel.endswith(".100ms") or self.instrument(symbol) is None:
            raise Refused("Invalid params", INVALID_PARAMS, reason="unrecognized channel", param="channels")

    def _begin(self, connection: Connection, channel: str) -> None:
        kind, _ = split(channel)
        if kind != "book" or self.source.contents is not None:
            return
        self.source.catch_up(self, self.now_ns)
        book, view = self.view(channel)
        change = self._changes.setdefault(channel, next(self._change_ids))
        self.send(connection, self._notification(channel, book, {"type": "snapshot", "change_id": change},
                                                 view.bids.items(), view.asks.items(), self.now_ns, fresh=True))

    # market data

    def window(self, key: str) -> tuple[str, int]:
        return split(key)[1], 0

    def publish_changes(self, book: MarketBook, key: str, changed: tuple[View, Levels, Levels], at_ns: int) -> None:
        _, bids, asks = changed
        previous, self._changes[key] = self._changes[key], next(self._change_ids)
        ids = {"type": "change", "prev_change_id": previous, "change_id": self._changes[key]}
        self.publish(key, self._notification(key, book, ids, bids, asks, at_ns), at_ns)

    def _notification(self, channel: str, book: MarketBook, ids: dict, bids, asks, at_ns: int,
                      fresh: bool = False) -> str:
        """Numbers are JSON's, so they are put in as text: none goes through a float."""
        action = "new" if fresh else "change"
        sides = ([f'["{action if quantity else "delete"}",{pointed(book.price_text(price))},'
                  f'{pointed(book.quantity_text(quantity)) if quantity else "0.0"}]' for price, quantity in side]
                 for side in (bids, asks))
        head = compact(ids | {"timestamp": at_ns // MILLISECOND_NS, "instrument_name": book.instrument.symbol})
        levels = ",".join(f'"{name}":[{",".join(rows)}]' for name, rows in zip(("bids", "asks"), sides, strict=True))
        return (f'{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{channel}",'
                f'"data":{head[:-1]},{levels}}}}}}}')

    def publish_trades(self, book: MarketBook, trades, at_ns: int) -> None:
        symbol = book.instrument.symbol
        channel = f"trades.{symbol}.100ms"
        rows = []
        for price, quantity, side in zip(*(trades[name].tolist() for name in ("price", "quantity", "taker_side")),
                                         strict=True):
            rows.append(f'{{"trade_seq":{next(self._sequences[symbol])},"trade_id":"{next(self._trade_ids)}",'
                        f'"timestamp":{at_ns // MILLISECOND_NS},"price":{pointed(book.price_text(price))},'
                        f'"instrument_name":"{symbol}","direction":"{"buy" if side == Side.BUY else "sell"}",'
                        f'"amount":{pointed(book.quantity_text(quantity))}}}')
        if rows and channel in self.subscribers:
            text = (f'{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{channel}",'
                    f'"data":[{",".join(rows)}]}}}}')
            for connection in self.listeners(channel):
                self.send(connection, text)

    # REST

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        self.now_ns = now_ns
        try:
            answer = self._answer(None, result=self._rest(path.removeprefix("/api/v2"), dict(parse_qsl(query))))
        except Refused as refusal:
            return Response(400, dict(JSON_HEADERS), self._answer(None, error=refusal.error).encode())
        return Response(200, dict(JSON_HEADERS), answer.encode())

    def _rest(self, method: str, parameters: dict[str, str]):
        if method == "/public/get_instruments":
            return [_entry(one) for one in self.instruments
                    if parameters.get("currency", "any") in ("any", one.base)]
        if method == "/public/get_currencies":
            return [{"currency": name, "currency_long": name, "coin_type": name, "fee_precision": 4,
                     "withdrawal_priorities": []} for name in sorted({one.base for one in self.instruments})]
        if method not in ("/public/get_instrument", "/public/get_order_book"):
            raise Refused("Method not found", METHOD_NOT_FOUND)
        instrument = self.instrument(parameters.get("instrument_name"))
        if instrument is None:
            raise Refused("Invalid params", INVALID_PARAMS, reason="wrong format", param="instrument_name")
        if method == "/public/get_instrument":
            return _entry(instrument)
        depth = parameters.get("depth", "5")
        if not depth.isdigit() or int(depth) not in REST_DEPTHS:
            raise Refused("Invalid params", INVALID_PARAMS, reason="must be one of 1, 5, 10, ...", param="depth")
        self.source.catch_up(self, self.now_ns)
        bids, asks = ([[float(price), float(quantity)] for price, quantity in side]
                      for side in self.source.top(instrument, int(depth)))
        return {"instrument_name": instrument.symbol, "timestamp": self.now_ns // MILLISECOND_NS, "state": "open",
                "change_id": next(self._change_ids), "bids": bids, "asks": asks}


def _entry(instrument: SimulatedInstrument) -> dict:
    """One entry of get_instruments; numbers are JSON's here."""
    inverse = instrument.quote == "USD"
    lot, least = (float(to_text(value, instrument.quantity_decimals))
                  for value in (instrument.lot, instrument.minimum_quantity))
    return {
        "instrument_name": instrument.symbol, "kind": "future", "settlement_period": "perpetual",
        "base_currency": instrument.base, "quote_currency": instrument.quote, "counter_currency": instrument.quote,
        "settlement_currency": instrument.base if inverse else instrument.quote,
        "instrument_type": "reversed" if inverse else "linear", "future_type": "reversed" if inverse else "linear",
        "tick_size": float(to_text(instrument.tick, instrument.price_decimals)), "tick_size_steps": [],
        "contract_size": lot, "min_trade_amount": least, "maker_commission": 0.0, "taker_commission": 0.0005,
        "is_active": True, "state": "open", "creation_timestamp": 1534242287000,
        "expiration_timestamp": 32503708800000, "max_leverage": 50, "price_index": f"{instrument.base.lower()}_usd",
    }


DIALECT = Deribit
