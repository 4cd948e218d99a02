"""Bitfinex v2 from the exchange's side: public WebSocket, pairs and order book over REST.

Source: docs.bitfinex.com, "WebSocket general", "Public channels", REST "Configs" and "Book". Books are those of
precision P0, and of R0 over REST, where every level is shown as one order.
"""
import uuid
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Contents
from orderflow.simulator.dialects import bitfinex_recorded
from orderflow.simulator.dialects.bitfinex_recorded import CONF, UNTOLD, Subscription, subscription_of
from orderflow.simulator.dialects.bitfinex_words import (
    Refused,
    acknowledged,
    checksum,
    config,
    level_text,
    sides_of,
    spelt,
    trade_text,
)
from orderflow.simulator.dialects.windows import MILLISECOND_NS, WindowExchange, compact
from orderflow.simulator.exchange import NEVER_NS, SECOND_NS, Connection, Response
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook
from orderflow.simulator.views import Levels, View

TIMESTAMP, SEQ_ALL, OB_CHECKSUM = 32768, 65536, 131072
LENGTHS = (1, 25, 100, 250)
CHANNELS = 25                   # a connection
HEARTBEAT_NS = 15 * SECOND_NS
RECENT_TRADES = 30
FIRST_NUMBER = 100_001          # of channels
UNKNOWN_EVENT, UNKNOWN_SYMBOL, UNKNOWN_PRECISION, UNKNOWN_LENGTH = 10000, 10001, 10011, 10012
ALREADY_SUBSCRIBED, UNKNOWN_CHANNEL, TOO_MANY_CHANNELS, NOT_SUBSCRIBED = 10301, 10302, 10305, 10400
JSON_HEADERS = {"content-type": "application/json"}


@dataclass
class Client:
    """What the exchange knows of one connection."""
    flags: int = 0
    sequence: int = 0                                                       # of the last array
    numbers: dict[Subscription, int] = field(default_factory=dict)          # of its channels
    sent_ns: dict[int, int] = field(default_factory=dict)                   # when each was last heard of


class Bitfinex(WindowExchange[Subscription]):
    """api-pub.bitfinex.com, public."""

    protocol = "bitfinex"
    answers_at = ("/ws/2",)
    reader = bitfinex_recorded.BitfinexReader
    checksum_mark = '"cs",'         # in a frame of its own

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self.clients: dict[int, Client] = {}
        self.recent: dict[str, deque[str]] = {}         # trades, newest first, by symbol
        self._next_number = FIRST_NUMBER

    @classmethod
    def recorded_instruments(cls, contents: Contents) -> tuple[SimulatedInstrument, ...]:
        """Instruments of a capture."""
        return bitfinex_recorded.recorded_instruments(contents)

    @staticmethod
    def subscriptions(streams) -> list[str]:
        """The frames with which a client subscribes to recorded streams."""
        return bitfinex_recorded.subscriptions(streams)

    # websocket

    def opened(self, connection: Connection) -> None:
        self.clients[connection.id] = Client()
        self.send(connection, compact({"event": "info", "version": 2, "serverId": str(uuid.UUID(int=connection.id)),
                                       "platform": {"status": 1}}))

    def forgotten(self, connection: Connection) -> None:
        self.clients.pop(connection.id, None)

    def received(self, connection: Connection, text: str) -> None:
        try:
            request = msgspec.json.decode(text)
        except msgspec.MsgspecError:
            request = None
        event = request.get("event") if isinstance(request, dict) else None
        try:
            if event == "ping":
                self.send(connection, compact({"event": "pong", "ts": self.now_ns // MILLISECOND_NS,
                                               "cid": request.get("cid")}))
            elif event == CONF:
                self._configure(connection, request.get("flags"))
            elif event == "subscribe":
                self._subscribe(connection, request)
            elif event == "unsubscribe":
                self._unsubscribe(connection, request.get("chanId"))
            else:
                raise Refused(UNKNOWN_EVENT, "event: unknown")
        except Refused as refusal:
            named = {key: request[key] for key in ("channel", "symbol", "prec", "freq", "len", "chanId")
                     if isinstance(request, dict) and key in request}
            self.send(connection, compact(named | {"event": "error", "msg": refusal.message, "code": refusal.code}))

    def _recorded(self, subscription: Subscription) -> bool:
        return self.source.contents is not None and subscription in self.source.contents.streams

    def _configure(self, connection: Connection, flags) -> None:
        """A recorded answer is played: the recorded count begins behind it."""
        if not isinstance(flags, int):
            raise Refused(UNKNOWN_EVENT, "flags: invalid")
        subscription = Subscription(CONF, str(flags))
        self.clients[connection.id].flags = flags
        if self._recorded(subscription):
            self.subscribe(connection, subscription)
        else:
            self.send(connection, compact({"event": CONF, "status": "OK", "flags": flags}))

    def _subscribe(self, connection: Connection, request: dict) -> None:
        try:
            subscription = subscription_of(request)
        except ValueError:
            raise Refused(UNKNOWN_LENGTH, "length: invalid") from None
        numbers = self.clients[connection.id].numbers
        recorded = self._recorded(subscription)
        if not recorded:
            self._check(subscription)
        if subscription in numbers:
            raise Refused(ALREADY_SUBSCRIBED, "subscribe: dup")
        if len(numbers) == CHANNELS and not recorded:
            raise Refused(TOO_MANY_CHANNELS, "subscribe: limit")
        if self.source.contents is None:
            self.source.catch_up(self, self.now_ns)     # else updates would come before the snapshot
        number = numbers[subscription] = self._next_number
        self._next_number += 1
        self.subscribe(connection, subscription)
        self.send(connection, compact({"event": "subscribed", "channel": subscription.channel, "chanId": number}
                                      | acknowledged(subscription)))
        if self.source.contents is None:
            self._send_first(connection, subscription)
        elif self._recorded(UNTOLD):
            self.subscribe(connection, UNTOLD)

    def _check(self, subscription: Subscription) -> None:
        if subscription.channel not in ("book", "trades"):
            raise Refused(UNKNOWN_CHANNEL, "channel: unknown")
        if self.instrument(subscription.symbol) is None:
            raise Refused(UNKNOWN_SYMBOL, "symbol: invalid")
        if subscription.channel == "book":
            if (subscription.precision, subscription.frequency) != ("P0", "F0"):
                raise Refused(UNKNOWN_PRECISION, "precision: invalid")
            if subscription.length not in LENGTHS:
                raise Refused(UNKNOWN_LENGTH, "length: invalid")

    def _unsubscribe(self, connection: Connection, number) -> None:
        numbers = self.clients[connection.id].numbers
        subscription = next((one for one, told in numbers.items() if str(told) == str(number)), None)
        if subscription is None:
            raise Refused(NOT_SUBSCRIBED, "unsubscribe: invalid")
        self.clients[connection.id].sent_ns.pop(numbers.pop(subscription), None)
        self.unsubscribe(connection, subscription)
        self.send(connection, compact({"event": "unsubscribed", "status": "OK", "chanId": int(number)}))

    def _send_first(self, connection: Connection, subscription: Subscription) -> None:
        """What a subscription begins with."""
        if subscription.channel == "trades":
            rows = list(self.recent.get(subscription.symbol, ()))
        else:
            book, view = self.view(subscription)
            rows = [level_text(book, side, *level) for side, levels in sides_of(view) for level in levels]
        self.send_array(connection, subscription, f"[{','.join(rows)}]", self.now_ns)

    def send_array(self, connection: Connection, subscription: Subscription, payload: str, at_ns: int) -> None:
        """A frame of data, counted and timed as the connection asked for."""
        client = self.clients[connection.id]
        number = client.numbers[subscription]
        tail = ""
        if client.flags & SEQ_ALL:
            client.sequence += 1
            tail = f",{client.sequence}"
        if client.flags & TIMESTAMP:
            tail += f",{at_ns // MILLISECOND_NS}"
        client.sent_ns[number] = at_ns
        self.send(connection, f"[{number},{payload}{tail}]")

    def housekeeping(self, connection: Connection, now_ns: int) -> None:
        """A channel of which nothing was heard says that it is there; recorded heartbeats are played."""
        if self.source.contents is None:
            client = self.clients[connection.id]
            for subscription, number in list(client.numbers.items()):
                if now_ns - client.sent_ns[number] >= HEARTBEAT_NS:
                    self.send_array(connection, subscription, '"hb"', now_ns)

    def housekeeping_ns(self, connection: Connection) -> int:
        sent = self.clients[connection.id].sent_ns.values() if self.source.contents is None else ()
        return min(sent, default=NEVER_NS - HEARTBEAT_NS) + HEARTBEAT_NS

    # market data

    def play(self, stream: Subscription, text: str) -> None:
        """A recorded frame, verbatim but for the number of its channel."""
        for connection in self.listeners(stream):
            number = self.clients[connection.id].numbers.get(stream)
            self.send(connection, text if number is None else f"[{number}{text[text.index(','):]}")

    def window(self, key: Subscription) -> tuple[str, int]:
        return key.symbol, key.length

    def publish(self, key: Subscription, text: str, at_ns: int) -> None:
        self.sent_ns[key] = at_ns
        for connection in self.listeners(key):
            self.send_array(connection, key, text, at_ns)

    def publish_changes(self, book: MarketBook, key: Subscription, changed: tuple[View, Levels, Levels],
                        at_ns: int) -> None:
        """A frame a level, then the checksum of what came of them."""
        view, bids, asks = changed
        steps = [(Side.BUY, *level) for level in bids] + [(Side.SELL, *level) for level in asks]
        steps.sort(key=lambda step: step[2] != 0)       # what goes goes first: no frame may leave the book crossed
        for step in steps:
            self.publish(key, level_text(book, *step), at_ns)
        payload = f'"cs",{checksum(book, view)}'
        for connection in self.listeners(key):
            if self.clients[connection.id].flags & OB_CHECKSUM:
                self.send_array(connection, key, payload, at_ns)

    def publish_trades(self, book: MarketBook, trades, at_ns: int) -> None:
        subscription = Subscription("trades", book.instrument.symbol)
        recent = self.recent.setdefault(subscription.symbol, deque(maxlen=RECENT_TRADES))
        rows = zip(*(trades[name].tolist() for name in ("trade_id", "taker_side", "quantity", "price")), strict=True)
        for number, taker, quantity, price in rows:
            row = trade_text(book, number, taker, quantity, price, at_ns)
            recent.appendleft(row)
            for connection in self.listeners(subscription):
                for word in ("te", "tu"):
                    self.send_array(connection, subscription, f'"{word}",{row}', at_ns)

    # REST

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        self.now_ns = now_ns
        try:
            if method != "GET":
                raise Refused(10020, "method: invalid")
            text = self._answer(unquote(path), dict(parse_qsl(query)))
        except Refused as refusal:
            return Response(500, dict(JSON_HEADERS), compact(["error", refusal.code, refusal.message]).encode())
        return Response(200, dict(JSON_HEADERS), text.encode())

    def _answer(self, path: str, parameters: dict[str, str]) -> str:
        if path == "/v2/platform/status":
            return "[1]"
        if path.startswith("/v2/conf/"):
            return compact([config(label, self.instruments) for label in path.removeprefix("/v2/conf/").split(",")])
        if path.startswith("/v2/book/"):
            symbol, _, precision = path.removeprefix("/v2/book/").partition("/")
            return self._book(symbol, precision, parameters.get("len", "25"))
        raise Refused(10020, "path: invalid")

    def _book(self, symbol: str, precision: str, length: str) -> str:
        instrument = self.instrument(symbol)
        if instrument is None:
            raise Refused(10020, "symbol: invalid")
        if precision not in ("P0", "R0"):
            raise Refused(10020, "precision: invalid")
        if length not in map(str, LENGTHS):
            raise Refused(10020, "len: invalid")
        self.source.catch_up(self, self.now_ns)
        rows: list[str] = []
        for sign, side in zip(("", "-"), self.source.top(instrument, int(length)), strict=True):
            for price, quantity in side:
                first = f"{spelt(price)},1" if precision == "P0" else f"{len(rows) + 1},{spelt(price)}"
                rows.append(f"[{first},{sign}{spelt(quantity)}]")
        return f"[{','.join(rows)}]"


DIALECT = Bitfinex
