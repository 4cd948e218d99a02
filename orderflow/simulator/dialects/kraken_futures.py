"""Kraken Futures from the exchange's side: public WebSocket v1, instruments and order book over REST v3.

Source: docs.kraken.com, "Futures WebSocket" (book, trade, ticker_lite) and "Futures REST" (instruments, orderbook). A
book is the whole one; each frame sets one level and counts one.
"""
import uuid
from collections import deque
from urllib.parse import parse_qsl

import msgspec

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Contents
from orderflow.simulator.dialects import kraken_futures_recorded
from orderflow.simulator.dialects.windows import MILLISECOND_NS, WindowExchange, compact, trimmed
from orderflow.simulator.exchange import Connection, Response
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import CAPACITY, MarketBook
from orderflow.simulator.numbers import to_text
from orderflow.simulator.views import Levels, View

DEPTHS = {"book": 0, "ticker_lite": 1}      # levels a side; 0 = all
FEEDS = (*DEPTHS, "trade")
RECENT_TRADES = 100
TAGS = {"PI": "perpetual", "PF": "perpetual"}
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
        self.recent: dict[str, deque[str]] = {}     # trades, newest first, by symbol

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
            self._say(connection, "error", "Json Error")
            return
        if request.event == "ping":
            self.send(connection, compact({"event": "pong"}))
        elif request.event not in ("subscribe", "unsubscribe"):
            self._say(connection, "alert", "Bad request")
        else:
            for symbol in request.product_ids:
                self._one(connection, request, symbol.upper())

    def _say(self, connection: Connection, event: str, message: str) -> None:
        self.send(connection, compact({"event": event, "message": message}))

    def _one(self, connection: Connection, request: _Request, symbol: str) -> None:
        """Subscribe or unsubscribe one product, each answered in a frame of its own."""
        subscription = Subscription(request.feed, symbol)
        contents = self.source.contents
        recorded = contents is not None and subscription in contents.streams
        if not recorded and request.feed not in FEEDS:
            self._say(connection, "error", "Invalid feed")
            return
        if not recorded and self.instrument(symbol) is None:
            self._say(connection, "error", "Invalid product id")
            return
        known = subscription in connection.subscriptions
        if request.event == "unsubscribe":
            if not known:
                self._say(connection, "alert", "Not subscribed to feed")
                return
            self.unsubscribe(connection, subscription)
        else:
            if known:
                self._say(connection, "alert", "Already subscribed to feed, re-requesting")
            if contents is None:
                self.source.catch_up(self, self.now_ns)     # else updates would come before the snapshot
            self.subscribe(connection, subscription)
        self.send(connection, compact({"event": f"{request.event}d", "feed": request.feed, "product_ids": [symbol]}))
        if request.event == "subscribe" and contents is None:
            self._send_first(connection, subscription)

    def _send_first(self, connection: Connection, subscription: Subscription) -> None:
        """What a subscription begins with."""
        if subscription.channel == "trade":
            trades = ",".join(self.recent.get(subscription.symbol, ()))
            self.send(connection, (
                f'{{"feed":"trade_snapshot","product_id":"{subscription.symbol}","trades":[{trades}]}}'))
            return
        book, view = self.view(subscription)
        if subscription.channel == "ticker_lite":
            self.send(connection, _quote(book, view))
            return
        sequence = self.sequence.setdefault(subscription.symbol, book.update_id)
        sides = ",".join(
            f'"{name}":[{",".join(f"{{{_level(book, *level)}}}" for level in side.items())}]'
            for name, side in (("bids", view.bids), ("asks", view.asks)))
        self.send(connection, (
            f'{{"feed":"book_snapshot","product_id":"{subscription.symbol}",'
            f'"timestamp":{self.now_ns // MILLISECOND_NS},"seq":{sequence},"tickSize":null,{sides}}}'))

    # market data

    def window(self, key: Subscription) -> tuple[str, int]:
        return key.symbol, DEPTHS[key.channel]

    def publish_changes(self, book: MarketBook, key: Subscription, changed: tuple[View, Levels, Levels],
                        at_ns: int) -> None:
        view, bids, asks = changed
        if key.channel == "ticker_lite":
            self.publish(key, _quote(book, view), at_ns)
            return
        steps = [("buy", *level) for level in bids] + [("sell", *level) for level in asks]
        steps.sort(key=lambda step: step[2] != 0)       # what goes goes first: no frame may leave the book crossed
        for side, price, quantity in steps:
            self.sequence[key.symbol] += 1
            self.publish(key, (
                f'{{"feed":"book","product_id":"{key.symbol}","side":"{side}","seq":{self.sequence[key.symbol]},'
                f'{_level(book, price, quantity)},"timestamp":{at_ns // MILLISECOND_NS}}}'), at_ns)

    def publish_trades(self, book: MarketBook, trades, at_ns: int) -> None:
        subscription = Subscription("trade", book.instrument.symbol)
        recent = self.recent.setdefault(subscription.symbol, deque(maxlen=RECENT_TRADES))
        rows = zip(*(trades[name].tolist() for name in ("price", "taker_side", "trade_id", "quantity")), strict=True)
        for price, taker, number, quantity in rows:
            text = (f'{{"feed":"trade","product_id":"{subscription.symbol}","uid":"{uuid.UUID(int=number)}",'
                    f'"side":"{"buy" if taker == Side.BUY else "sell"}","type":"fill","seq":{number},'
                    f'"time":{at_ns // MILLISECOND_NS},"qty":{_double(book.quantity_text(quantity))},'
                    f'"price":{_double(book.price_text(price))}}}')
            recent.appendleft(text)
            if subscription in self.subscribers:
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
                          for side in self.source.top(instrument, CAPACITY))
            return f'"orderBook":{{"bids":[{bids}],"asks":[{asks}]}}'
        raise Refused("notFound")


def _double(text: str) -> str:
    """A number as this exchange writes it: never without a fraction."""
    text = trimmed(text)
    return text if "." in text else f"{text}.0"


def _level(book: MarketBook, price: int, quantity: int) -> str:
    return f'"price":{_double(book.price_text(price))},"qty":{_double(book.quantity_text(quantity))}'


def _parts(instrument: SimulatedInstrument) -> tuple[str, str, str]:
    """Kind of contract, pair as it is written (XBT:USD), and the day of a dated one (yymmdd)."""
    kind, _, rest = instrument.symbol.partition("_")
    pair, _, day = rest.partition("_")
    return kind, f"{pair.removesuffix(instrument.quote)}:{instrument.quote}", day


def _quote(book: MarketBook, view: View) -> str:
    """A frame of the best bid and ask; an empty side is 0."""
    bid, ask = (_double(book.price_text(next(iter(side), 0))) for side in (view.bids, view.asks))
    kind, pair, _ = _parts(book.instrument)
    return (f'{{"feed":"ticker_lite","product_id":"{book.instrument.symbol}","bid":{bid},"ask":{ask},"change":0.0,'
            f'"premium":0.0,"volume":0.0,"tag":"{TAGS.get(kind, "month")}","pair":"{pair}","dtm":0,"maturityTime":0}}')


def _entry(instrument: SimulatedInstrument) -> str:
    """One entry of the instruments."""
    kind, pair, day = _parts(instrument)
    ends = {"lastTradingTime": f"20{day[:2]}-{day[2:4]}-{day[4:]}T15:00:00.000Z"} if day else {}
    fields = compact({
        "symbol": instrument.symbol, "type": "futures_inverse" if kind in ("PI", "FI") else "flexible_futures",
        "pair": pair, "base": pair.partition(":")[0], "quote": instrument.quote,
        "contractSize": instrument.contract_size, "contractValueTradePrecision": instrument.quantity_decimals,
        "tradeable": True, "postOnly": False} | ends)
    tick = trimmed(to_text(instrument.tick, instrument.price_decimals))
    return f'{fields[:-1]},"tickSize":{tick}}}'


DIALECT = KrakenFutures
