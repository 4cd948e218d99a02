"""Kraken Futures from the exchange's side: public WebSocket v1, instruments and order book over REST v3.

Source: docs.kraken.com, "Futures WebSocket" (book, trade, heartbeat) and "Futures REST" (instruments, orderbook). A book
is the whole one; each frame sets one level and counts one.
"""
import uuid
from urllib.parse import parse_qsl

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Contents
from orderflow.simulator.dialects import kraken_futures_recorded
from orderflow.simulator.dialects.kraken_futures_recorded import Subscription
from orderflow.simulator.dialects.windows import MILLISECOND_NS, WindowExchange, compact, trimmed
from orderflow.simulator.exchange import Connection, Response
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook
from orderflow.simulator.numbers import to_text
from orderflow.simulator.views import Levels, View

FEEDS = ("book", "trade")
WHOLE_BOOK = 1_000_000              # levels a side: more than a book ever has
JSON_HEADERS = {"content-type": "application/json"}


class Refused(Exception):
    """A refusal; what it says is sent as it is."""


class _Request(msgspec.Struct):
    event: str
    feed: str = ""
    product_ids: list[str] = []


_request = msgspec.json.Decoder(_Request)


class KrakenFutures(WindowExchange[Subscription]):
    """futures.kraken.com, public."""

    protocol = "kraken_futures"
    answers_at = ("/ws/v1",)
    reader = kraken_futures_recorded.KrakenFuturesReader

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self.sequence: dict[str, int] = {}          # seq of the last book frame, by symbol

    @classmethod
    def recorded_instruments(cls, contents: Contents) -> tuple[SimulatedInstrument, ...]:
        """Instruments of a capture."""
        return kraken_futures_recorded.recorded_instruments(contents)

    @staticmethod
    def subscriptions(streams) -> list[str]:
        """The frames with which a client subscribes to recorded streams."""
        return kraken_futures_recorded.subscriptions(streams)

    # websocket

    def received(self, connection: Connection, text: str) -> None:
        try:
            request = _request.decode(text)
        except msgspec.MsgspecError:
            self.send(connection, compact({"event": "alert", "message": "Bad request"}))
            return
        if request.event == "ping":
            self.send(connection, compact({"event": "pong"}))
        elif request.event not in ("subscribe", "unsubscribe"):
            self.send(connection, compact({"event": "alert", "message": "Bad request"}))
        else:
            for symbol in request.product_ids:
                self._one(connection, request, symbol.upper())

    def _one(self, connection: Connection, request: _Request, symbol: str) -> None:
        """Subscribe or unsubscribe one product, each answered in a frame of its own."""
        subscription = Subscription(request.feed, symbol)
        contents = self.source.contents
        recorded = contents is not None and subscription in contents.streams
        if not recorded and request.feed not in FEEDS:
            self.send(connection, compact({"event": "error", "message": "Invalid feed"}))
            return
        if not recorded and self.instrument(symbol) is None:
            self.send(connection, compact({"event": "error", "message": f"Invalid product id: {symbol}"}))
            return
        known = subscription in connection.subscriptions
        if request.event == "subscribe":
            self.subscribe(connection, subscription)
        else:
            self.unsubscribe(connection, subscription)
        self.send(connection, compact({"event": f"{request.event}d", "feed": request.feed, "product_ids": [symbol]}))
        if request.event == "subscribe" and not known and contents is None:
            self._send_first(connection, subscription)

    def _send_first(self, connection: Connection, subscription: Subscription) -> None:
        """The snapshot with which a subscription begins."""
        if subscription.feed == "trade":
            self.send(connection, compact({"feed": "trade_snapshot", "product_id": subscription.symbol, "trades": []}))
            return
        self.source.catch_up(self, self.now_ns)
        book, view = self.view(subscription)
        sequence = self.sequence.setdefault(subscription.symbol, 0)
        sides = ",".join(
            f'"{name}":[{",".join(f"{{{_level(book, *level)}}}" for level in side.items())}]'
            for name, side in (("bids", view.bids), ("asks", view.asks)))
        self.send(connection, (
            f'{{"feed":"book_snapshot","product_id":"{subscription.symbol}",'
            f'"timestamp":{self.now_ns // MILLISECOND_NS},"seq":{sequence},"tickSize":null,{sides}}}'))

    # market data

    def window(self, key: Subscription) -> tuple[str, int]:
        return key.symbol, WHOLE_BOOK

    def publish_changes(self, book: MarketBook, key: Subscription, changed: tuple[View, Levels, Levels],
                        at_ns: int) -> None:
        _, bids, asks = changed
        for side, side_levels in (("buy", bids), ("sell", asks)):
            for level in side_levels:
                self.sequence[key.symbol] += 1
                self.publish(key, (
                    f'{{"feed":"book","product_id":"{key.symbol}","side":"{side}","seq":{self.sequence[key.symbol]},'
                    f'{_level(book, *level)},"timestamp":{at_ns // MILLISECOND_NS}}}'), at_ns)

    def publish_trades(self, book: MarketBook, trades, at_ns: int) -> None:
        subscription = Subscription("trade", book.instrument.symbol)
        if subscription not in self.subscribers:
            return
        rows = zip(*(trades[name].tolist() for name in ("price", "taker_side", "trade_id", "quantity")), strict=True)
        for price, taker, number, quantity in rows:
            text = (f'{{"feed":"trade","product_id":"{subscription.symbol}","uid":"{uuid.UUID(int=number)}",'
                    f'"side":"{"buy" if taker == Side.BUY else "sell"}","type":"fill","seq":{number},'
                    f'"time":{at_ns // MILLISECOND_NS},"qty":{_double(book.quantity_text(quantity))},'
                    f'"price":{_double(book.price_text(price))}}}')
            for connection in self.listeners(subscription):
                self.send(connection, text)

    # REST

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        self.now_ns = now_ns
        try:
            text = self._answer(method, path, dict(parse_qsl(query)))
        except Refused as refusal:
            refused = {"result": "error", "error": str(refusal)}
            return Response(404 if str(refusal) == "notFound" else 400, dict(JSON_HEADERS), compact(refused).encode())
        return Response(200, dict(JSON_HEADERS), f'{{"result":"success",{text}}}'.encode())

    def _answer(self, method: str, path: str, parameters: dict[str, str]) -> str:
        if method == "GET" and path == "/derivatives/api/v3/instruments":
            return f'"instruments":[{",".join(map(_entry, self.instruments))}]'
        if method == "GET" and path == "/derivatives/api/v3/orderbook":
            instrument = self.instrument(parameters.get("symbol", "").upper())
            if instrument is None:
                raise Refused("invalidArgument: symbol")
            self.source.catch_up(self, self.now_ns)
            bids, asks = (",".join(f"[{_double(price)},{_double(quantity)}]" for price, quantity in side)
                          for side in self.source.top(instrument, WHOLE_BOOK))
            return f'"orderBook":{{"bids":[{bids}],"asks":[{asks}]}}'
        raise Refused("notFound")


def _double(text: str) -> str:
    """A number as this exchange writes it: never without a fraction."""
    text = trimmed(text)
    return text if "." in text else f"{text}.0"


def _level(book: MarketBook, price: int, quantity: int) -> str:
    return f'"price":{_double(book.price_text(price))},"qty":{_double(book.quantity_text(quantity))}'


def _entry(instrument: SimulatedInstrument) -> str:
    """One entry of the instruments."""
    prefix, pair, *_ = instrument.symbol.split("_")
    inverse = prefix in ("PI", "FI")
    base = pair.removesuffix(instrument.quote)
    fields = compact({
        "symbol": instrument.symbol, "type": "futures_inverse" if inverse else "flexible_futures",
        "pair": f"{base}:{instrument.quote}", "base": instrument.base, "quote": instrument.quote,
        "contractSize": instrument.contract_size, "contractValueTradePrecision": instrument.quantity_decimals,
        "tradeable": True, "postOnly": False})
    tick = trimmed(to_text(instrument.tick, instrument.price_decimals))
    return f'{fields[:-1]},"tickSize":{tick}}}'


DIALECT = KrakenFutures
