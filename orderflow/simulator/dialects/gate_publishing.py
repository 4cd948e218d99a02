"""What Gate.io's markets share: WebSocket subscriptions, the books they publish, order books over REST.

Sources: Gate's "API v4", "Spot WebSocket v4" and "Futures WebSocket v4" documents. Update ids are those of the matching
engine's changes. An update covers the best levels only: one that falls out of them is deleted.
"""
from typing import ClassVar
from urllib.parse import parse_qsl

import msgspec

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Contents
from orderflow.simulator.dialects import gate_recorded
from orderflow.simulator.dialects.gate_recorded import BOOK, TRADES
from orderflow.simulator.dialects.windows import MILLISECOND_NS, WindowExchange, compact, trimmed
from orderflow.simulator.exchange import SECOND_NS, Connection, Response
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook
from orderflow.simulator.views import Levels, View

TOUCH = "book_ticker"
DEPTH = 100                     # of order_book_update
LARGEST_REST_DEPTH = 1000
JSON_HEADERS = {"content-type": "application/json"}
CURRENCIES = "/api/v4/spot/currencies"
INVALID_REQUEST, INVALID_ARGUMENT = 1, 2


class Refused(Exception):
    """A refusal of a WebSocket request in Gate's terms."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code, self.message = code, message


class RestRefused(Exception):
    """A refusal of a REST request in Gate's terms."""

    def __init__(self, status: int, label: str, message: str):
        super().__init__(message)
        self.status, self.label, self.message = status, label, message


class _Request(msgspec.Struct):
    channel: str
    event: str = ""
    payload: list = []
    id: int | str | None = None


_request = msgspec.json.Decoder(_Request)


class Gate(WindowExchange[Subscription]):
    """Public data of one market; a subclass says what its texts look like."""

    market: ClassVar[str]                   # with which its channels begin
    rest_root: ClassVar[str]
    catalogue: ClassVar[str]                # the REST path that lists what is traded
    asked_by: ClassVar[str]                 # the REST parameter that names a symbol
    unknown: ClassVar[tuple[str, str]]      # label and message for a symbol that there is not
    elsewhere: ClassVar[dict[str, bytes]] = {}      # what clients ask for beside their market
    reader = gate_recorded.GateReader

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self.last_ids: dict[Subscription, int] = {}        # u of the last frame

    @classmethod
    def recorded_instruments(cls, contents: Contents) -> tuple[SimulatedInstrument, ...]:
        """Instruments of a capture."""
        return gate_recorded.recorded_instruments(contents)

    @classmethod
    def subscriptions(cls, streams) -> list[str]:
        """The frames with which a client subscribes to recorded streams."""
        return gate_recorded.subscriptions(streams, cls.market)

    # what a market fills in

    def update_text(self, book: MarketBook, sides: tuple[Levels, Levels], ids: tuple[int, int], at_ns: int) -> str:
        """`result` of an update of a book."""
        raise NotImplementedError

    def quantity(self, book: MarketBook, quantity: int) -> str | int:
        """A quantity in JSON."""
        raise NotImplementedError

    def level(self, book: MarketBook, price: int, quantity: int) -> list | dict:
        """A level in JSON."""
        raise NotImplementedError

    def trades_texts(self, book: MarketBook, rows: list[tuple[int, int, int, int]], at_ns: int) -> list[str]:
        """`result` of each frame that tells of trades: (trade id, price, quantity, taker's side)."""
        raise NotImplementedError

    def entry(self, instrument: SimulatedInstrument) -> dict:
        """An entry of the catalogue."""
        raise NotImplementedError

    def subscription(self, channel: str, payload: list) -> list[Subscription]:
        """What a request is for; Refused where there is no such thing."""
        if channel == BOOK:
            if len(payload) < 2 or payload[1] != "100ms" or payload[2:] not in ([], [str(DEPTH)]):
                raise Refused(INVALID_ARGUMENT, "invalid argument: interval or level")
            return [Subscription(BOOK, payload[0])]
        if channel in (TRADES, TOUCH):
            return [Subscription(channel, symbol) for symbol in payload]
        raise Refused(INVALID_ARGUMENT, f"unknown channel {self.market}.{channel}")

    # websocket

    def received(self, connection: Connection, text: str) -> None:
        try:
            request = _request.decode(text)
        except msgspec.MsgspecError:
            refusal = {"code": INVALID_REQUEST, "message": "Invalid request body format"}
            self.send(connection, compact(self._head("", "") | {"error": refusal, "result": None}))
            return
        if request.channel == f"{self.market}.ping":
            self.send(connection, compact(self._head(f"{self.market}.pong", "") | {"result": None}))
            return
        answer = self._head(request.channel, request.event) | {"payload": request.payload}
        if request.id is not None:
            answer["id"] = request.id
        try:
            wanted = self._wanted(request)
        except Refused as refusal:
            error = {"code": refusal.code, "message": refusal.message}
            self.send(connection, compact(answer | {"error": error, "result": {"status": "fail"}}))
            return
        for subscription in wanted:
            if request.event == "subscribe":
                self.subscribe(connection, subscription)
            else:
                self.unsubscribe(connection, subscription)
        self.send(connection, compact(answer | {"result": {"status": "success"}}))
        if request.event == "subscribe" and self.source.contents is None:
            self.source.catch_up(self, self.now_ns)
            for subscription in wanted:
                if subscription.channel not in (TRADES, TOUCH):
                    self.begin_book(connection, subscription)

    def _head(self, channel: str, event: str) -> dict:
        return {"time": self.now_ns // SECOND_NS, "time_ms": self.now_ns // MILLISECOND_NS, "channel": channel,
                "event": event}

    def _wanted(self, request: _Request) -> list[Subscription]:
        market, _, channel = request.channel.partition(".")
        if market != self.market or request.event not in ("subscribe", "unsubscribe"):
            raise Refused(INVALID_ARGUMENT, f"unknown channel {request.channel} or event {request.event}")
        if not request.payload or not all(isinstance(item, str) for item in request.payload):
            raise Refused(INVALID_ARGUMENT, "invalid argument: payload")
        recorded = self.source.contents.streams if self.source.contents is not None else {}
        named = [Subscription(channel, item) for item in request.payload if Subscription(channel, item) in recorded]
        if named:
            return named
        wanted = self.subscription(channel, request.payload)
        for subscription in wanted:
            if self.instrument(subscription.symbol) is None:
                raise Refused(INVALID_ARGUMENT, f"{self.unknown[1]}: {subscription.symbol}")
        return wanted

    def begin_book(self, connection: Connection, key: Subscription) -> None:
        """What a subscriber of a book gets from now on counts from here."""
        if key not in self.views.keys():
            self.last_ids[key] = self.view(key)[1].update_id

    # market data

    def window(self, key: Subscription) -> tuple[str, int]:
        return key.symbol, DEPTH

    def publish_changes(self, book: MarketBook, key: Subscription, changed: tuple[View, Levels, Levels],
                        at_ns: int) -> None:
        view, bids, asks = changed
        first, self.last_ids[key] = self.last_ids[key] + 1, view.update_id
        self.publish_sides(book, key, (bids, asks), (first, view.update_id), at_ns)

    def publish_sides(self, book: MarketBook, key: Subscription, sides: tuple[Levels, Levels], ids: tuple[int, int],
                      at_ns: int) -> None:
        """Tell the subscribers of a book what has changed."""
        self.publish(key, self.frame_text(key.channel, self.update_text(book, sides, ids, at_ns), at_ns), at_ns)

    def publish_trades(self, book: MarketBook, trades, at_ns: int) -> None:
        key = Subscription(TRADES, book.instrument.symbol)
        if key not in self.subscribers:
            return
        rows = list(zip(*(trades[name].tolist() for name in ("trade_id", "price", "quantity", "taker_side")),
                        strict=True))
        for result in self.trades_texts(book, rows, at_ns):
            self.publish(key, self.frame_text(TRADES, result, at_ns), at_ns)

    def publish_touch(self, book: MarketBook, at_ns: int) -> None:
        key = Subscription(TOUCH, book.instrument.symbol)
        if key not in self.subscribers:
            return
        bid, bid_quantity, ask, ask_quantity = book.touch
        prices = ["" if price is None else trimmed(book.price_text(price)) for price in (bid, ask)]
        result = {"t": at_ns // MILLISECOND_NS, "u": book.update_id, "s": key.symbol, "b": prices[0],
                  "B": self.quantity(book, bid_quantity), "a": prices[1], "A": self.quantity(book, ask_quantity)}
        self.publish(key, self.frame_text(TOUCH, compact(result), at_ns), at_ns)

    def frame_text(self, channel: str, result: str, at_ns: int) -> str:
        """A frame that brings news."""
        return (f'{{"time":{at_ns // SECOND_NS},"time_ms":{at_ns // MILLISECOND_NS},'
                f'"channel":"{self.market}.{channel}","event":"update","result":{result}}}')

    def side_text(self, book: MarketBook, levels: Levels) -> str:
        """One side of a book."""
        return compact([self.level(book, price, quantity) for price, quantity in levels])

    # REST

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        self.now_ns = now_ns
        try:
            if method != "GET":
                raise RestRefused(404, "NOT_FOUND", "Not Found")
            return Response(200, dict(JSON_HEADERS), self.request(path, dict(parse_qsl(query))))
        except RestRefused as refusal:
            answer = compact({"label": refusal.label, "message": refusal.message}).encode()
            return Response(refusal.status, dict(JSON_HEADERS), answer)

    def request(self, path: str, parameters: dict[str, str]) -> bytes:
        """Answer a GET."""
        if path == f"{self.rest_root}/{self.catalogue}":
            contents = self.source.contents
            if contents is not None and contents.metadata is not None:
                return contents.metadata
            return compact([self.entry(one) for one in self.instruments]).encode()
        if path == f"{self.rest_root}/order_book":
            return self._order_book(parameters)
        if path in self.elsewhere:
            return self.elsewhere[path]
        if path == CURRENCIES:
            names = dict.fromkeys(asset for one in self.instruments for asset in (one.base, one.quote))
            return compact([_currency(asset) for asset in names]).encode()
        raise RestRefused(404, "NOT_FOUND", "Not Found")

    def _order_book(self, parameters: dict[str, str]) -> bytes:
        symbol, limit = parameters.get(self.asked_by), parameters.get("limit", "10")
        contents = self.source.contents
        if contents is not None and symbol in contents.snapshots:
            return contents.snapshots[symbol]
        if contents is not None or self.instrument(symbol) is None:
            raise RestRefused(400, self.unknown[0], f"{self.unknown[1]}: {symbol}")
        if not limit.isdigit() or not 0 < int(limit) <= LARGEST_REST_DEPTH:
            raise RestRefused(400, "INVALID_PARAM_VALUE", f"Invalid limit {limit}")
        self.source.catch_up(self, self.now_ns)
        number, *sides = self._known(symbol, int(limit))
        bids, asks = ([self.level(self.source.books[symbol], *level) for level in side] for side in sides)
        identity = {"id": number} if parameters.get("with_id") == "true" else {}
        return compact(identity | self.book_times() | {"asks": asks, "bids": bids}).encode()

    def _known(self, symbol: str, limit: int) -> tuple[int, Levels, Levels]:
        """Number, best bids and asks of a book. Most recorded snapshots show what the last update left."""
        book, key = self.source.books[symbol], Subscription(BOOK, symbol)
        if limit > DEPTH or key not in self.views.keys():
            return book.update_id, book.levels(Side.BUY, limit), book.levels(Side.SELL, limit)
        view = self.view(key)[1]
        return view.update_id, list(view.bids.items())[:limit], list(view.asks.items())[:limit]

    def book_times(self) -> dict:
        """The times of a REST order book: seconds with milliseconds in futures, milliseconds in spot."""
        raise NotImplementedError


def _currency(name: str) -> dict:
    """An entry of the currencies."""
    return {"currency": name, "name": name, "delisted": False, "withdraw_disabled": False, "withdraw_delayed": False,
            "deposit_disabled": False, "trade_disabled": False, "chain": name, "chains": []}
