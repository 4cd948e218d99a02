"""BitMEX from the exchange's side: realtime WebSocket, instruments and order book over REST.

Source: BitMEX's "WebSocket API" and "API Explorer". Rows have the shape that they have since 2023: every one with its
price and its time, and ids that say nothing.
"""
from itertools import count
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Contents
from orderflow.simulator.dialects import bitmex_recorded
from orderflow.simulator.dialects.windows import WindowExchange, compact, trimmed
from orderflow.simulator.exchange import Connection, Response
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook
from orderflow.simulator.numbers import to_text
from orderflow.simulator.views import Levels, View
from orderflow.simulator.words import timestamp

#: Levels a side; 0 = all of them.
DEPTHS = {"orderBookL2": 0, "orderBookL2_25": 25}
TABLES = (*DEPTHS, "trade")
NAMES = {Side.BUY: "Buy", Side.SELL: "Sell"}
#: What the simulator calls otherwise.
UNDERLYING = {"BTC": "XBT"}
FIRST_ID = 10_000_000_000
JSON_HEADERS = {"content-type": "application/json; charset=utf-8"}
INSTRUMENTS = ("/api/v1/instrument/active", "/api/v1/instrument/activeAndIndices", "/api/v1/instrument")
BOOK_TYPES = ('"keys":["symbol","id","side"],"types":{"symbol":"symbol","id":"long","side":"symbol","size":"long",'
              '"price":"float","timestamp":"timestamp","transactTime":"timestamp"},')
TRADE_TYPES = ('"keys":[],"types":{"timestamp":"timestamp","symbol":"symbol","side":"symbol","size":"long",'
               '"price":"float","tickDirection":"symbol","trdMatchID":"guid","grossValue":"long",'
               '"homeNotional":"float","foreignNotional":"float","trdType":"symbol"},')


class Refused(Exception):
    """A refusal in BitMEX's terms."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status, self.message = status, message


class _Request(msgspec.Struct):
    op: str
    args: list[str] | str = []


_request = msgspec.json.Decoder(_Request)


class Bitmex(WindowExchange[Subscription]):
    """ws.bitmex.com/realtime and www.bitmex.com/api/v1, public."""

    protocol = "bitmex"
    shows_losses = False
    answers_at = ("/realtime",)
    reader = bitmex_recorded.BitmexReader

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self.ids: dict[Subscription, dict[tuple[int, int], int]] = {}      # of what subscribers hold: (side, price)
        self._next_id = count(FIRST_ID)

    @classmethod
    def recorded_instruments(cls, contents: Contents) -> tuple[SimulatedInstrument, ...]:
        """Instruments of a capture."""
        return bitmex_recorded.recorded_instruments(contents)

    @staticmethod
    def subscriptions(streams) -> list[str]:
        """The frames with which a client subscribes to recorded streams."""
        return bitmex_recorded.subscriptions(streams)

    # websocket

    def opened(self, connection: Connection) -> None:
        self.send(connection, compact({
            "info": "Welcome to the BitMEX Realtime API.", "version": "2.0.0", "timestamp": milliseconds(self.now_ns),
            "docs": "https://www.bitmex.com/app/wsAPI", "heartbeatEnabled": False, "limit": {"remaining": 719}}))

    def received(self, connection: Connection, text: str) -> None:
        if text == "ping":
            self.send(connection, "pong")
            return
        try:
            request = _request.decode(text)
        except msgspec.MsgspecError:
            self._refuse(connection, Refused(400, "Unrecognized request. See the docs."), {})
            return
        args = [request.args] if isinstance(request.args, str) else request.args
        asked = {"op": request.op, "args": args}
        if request.op not in ("subscribe", "unsubscribe"):
            self._refuse(connection, Refused(400, f"Unknown or expired op: {request.op}."), asked)
            return
        for argument in args:
            try:
                self._one(connection, request.op, argument, asked)
            except Refused as refusal:
                self._refuse(connection, refusal, asked)

    def _refuse(self, connection: Connection, refusal: Refused, asked: dict) -> None:
        self.send(connection, compact({"status": refusal.status, "error": refusal.message, "meta": {},
                                       "request": asked}))

    def _one(self, connection: Connection, method: str, argument: str, asked: dict) -> None:
        """Subscribe or unsubscribe one table of one symbol; a refusal concerns it alone."""
        table, _, symbol = argument.partition(":")
        key = Subscription(table, symbol)
        recorded = self.source.contents is not None and key in self.source.contents.streams
        if not recorded and table not in TABLES:
            raise Refused(400, f"Unknown table: {table}")
        if not recorded and self.instrument(symbol) is None:
            raise Refused(400, f"Unknown symbol: {symbol}")
        known = key in connection.subscriptions
        if method == "unsubscribe":
            if not known:
                raise Refused(400, f"You are not subscribed to this topic: {argument}")
            self.unsubscribe(connection, key)
        elif known:
            raise Refused(400, f"You are already subscribed to this topic: {argument}")
        else:
            self.subscribe(connection, key)
        self.send(connection, compact({"success": True, method: argument, "request": asked}))
        if method == "subscribe" and self.source.contents is None:
            self.source.catch_up(self, self.now_ns)
            self._send_partial(connection, key)

    def _send_partial(self, connection: Connection, key: Subscription) -> None:
        """The first frame of a subscription."""
        types, rows = TRADE_TYPES, ""
        if key.channel in DEPTHS:
            types, rows = BOOK_TYPES, self._whole_book(key)
        self.send(connection, f'{{"table":"{key.channel}","action":"partial",{types}'
                              f'"filter":{{"symbol":"{key.symbol}"}},"data":[{rows}]}}')

    def _whole_book(self, key: Subscription) -> str:
        """Rows of all that subscribers hold."""
        book, view = self.view(key)
        held = self.ids.get(key, {})
        levels = [(Side.SELL, price, quantity) for price, quantity in sorted(view.asks.items(), reverse=True)]
        levels += [(Side.BUY, price, quantity) for price, quantity in sorted(view.bids.items(), reverse=True)]
        self.ids[key] = {(side, price): held.get((side, price)) or next(self._next_id) for side, price, _ in levels}
        return ",".join(_row(book, self.ids[key][side, price], (side, price, quantity), self.now_ns)
                        for side, price, quantity in levels)

    # market data

    def window(self, key: Subscription) -> tuple[str, int]:
        return key.symbol, DEPTHS[key.channel]

    def publish_changes(self, book: MarketBook, key: Subscription, changed: tuple[View, Levels, Levels],
                        at_ns: int) -> None:
        """What went comes first: a level that comes may cross one that goes."""
        _, bids, asks = changed
        ids = self.ids[key]
        rows: dict[str, list[str]] = {"delete": [], "update": [], "insert": []}
        for side, levels in ((Side.BUY, bids), (Side.SELL, asks)):
            for price, quantity in levels:
                level = side, price
                action = "delete" if quantity == 0 else "update" if level in ids else "insert"
                number = ids.pop(level) if action == "delete" else ids.setdefault(
                    level, ids.get(level) or next(self._next_id))
                rows[action].append(_row(book, number, (side, price, quantity), at_ns))
        for action, of_action in rows.items():
            if of_action:
                self.publish(key, f'{{"table":"{key.channel}","action":"{action}","data":[{",".join(of_action)}]}}',
                             at_ns)

    def publish_trades(self, book: MarketBook, trades, at_ns: int) -> None:
        """One frame for what was traded in one step of the market."""
        key = Subscription("trade", book.instrument.symbol)
        if key not in self.subscribers:
            return
        made = zip(*(trades[name].tolist() for name in ("price", "taker_side", "trade_id", "quantity")), strict=True)
        rows = ",".join(
            f'{{"timestamp":"{milliseconds(at_ns)}","symbol":"{key.symbol}","side":"{NAMES[side]}",'
            f'"size":{trimmed(book.quantity_text(quantity))},"price":{trimmed(book.price_text(price))},'
            f'"tickDirection":"ZeroPlusTick","trdMatchID":"{UUID(int=number)}","trdType":"Regular"}}'
            for price, side, number, quantity in made)
        text = f'{{"table":"trade","action":"insert","data":[{rows}]}}'
        for connection in self.listeners(key):
            self.send(connection, text)

    # REST

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        self.now_ns = now_ns
        try:
            return Response(200, dict(JSON_HEADERS), self._answer(method, path, dict(parse_qsl(query))).encode())
        except Refused as refusal:
            error = {"error": {"message": refusal.message, "name": "HTTPError"}}
            return Response(refusal.status, dict(JSON_HEADERS), compact(error).encode())

    def _answer(self, method: str, path: str, parameters: dict[str, str]) -> str:
        if method == "GET" and path in INSTRUMENTS:
            if self.source.contents is not None and self.source.contents.metadata is not None:
                return self.source.contents.metadata.decode()
            return f"[{','.join(_entry(one) for one in self.instruments)}]"
        if method == "GET" and path == "/api/v1/orderBook/L2":
            return self._depth(parameters)
        raise Refused(404, "Not Found")

    def _depth(self, parameters: dict[str, str]) -> str:
        instrument = self.instrument(parameters.get("symbol"))
        depth = parameters.get("depth", "25")
        if instrument is None or not depth.isdigit():
            raise Refused(400, "'symbol' is a required arg." if instrument is None else "'depth' is invalid.")
        self.source.catch_up(self, self.now_ns)
        bids, asks = self.source.top(instrument, int(depth) or 10**6)
        return "[" + ",".join(
            f'{{"symbol":"{instrument.symbol}","id":{FIRST_ID - 1 - number},"side":"{side}",'
            f'"size":{trimmed(quantity)},"price":{trimmed(price)},"timestamp":"{milliseconds(self.now_ns)}"}}'
            for number, (side, price, quantity) in enumerate(
                [("Sell", *level) for level in reversed(asks)] + [("Buy", *level) for level in bids])) + "]"


def milliseconds(at_ns: int) -> str:
    """RFC 3339 as BitMEX writes it."""
    return f"{timestamp(at_ns)[:-4]}Z"


def _row(book: MarketBook, number: int, level: tuple[int, int, int], at_ns: int) -> str:
    side, price, quantity = level
    size = f',"size":{trimmed(book.quantity_text(quantity))}' if quantity else ""
    time = milliseconds(at_ns)
    return (f'{{"symbol":"{book.instrument.symbol}","id":{number},"side":"{NAMES[Side(side)]}"{size},'
            f'"price":{trimmed(book.price_text(price))},"timestamp":"{time}","transactTime":"{time}"}}')


def _entry(instrument: SimulatedInstrument) -> str:
    """One of the instruments: a perpetual contract. The ones in USD are inverse, and worth so many of them."""
    inverse = instrument.quote == "USD"
    settled = "XBt" if inverse else "USDt"
    base = UNDERLYING.get(instrument.base, instrument.base)
    multiplier = -instrument.contract_size * 10**8 if inverse else 10**6
    words = compact({
        "symbol": instrument.symbol, "rootSymbol": base, "state": "Open", "typ": "FFWCSX",
        "listing": "2016-05-13T12:00:00.000Z", "front": "2016-05-13T12:00:00.000Z", "expiry": None, "settle": None,
        "positionCurrency": instrument.quote if inverse else base, "underlying": base,
        "quoteCurrency": instrument.quote, "settlCurrency": settled, "multiplier": multiplier,
        "underlyingToPositionMultiplier": None if inverse else 1,
        "underlyingToSettleMultiplier": multiplier if inverse else None,
        "quoteToSettleMultiplier": None if inverse else multiplier, "isQuanto": False, "isInverse": inverse,
        "maxOrderQty": min(instrument.maximum_quantity, 10**9), "maxPrice": 10**6})
    numbers = {
        "lotSize": to_text(instrument.lot, instrument.quantity_decimals),
        "tickSize": to_text(instrument.tick, instrument.price_decimals), "initMargin": "0.01", "maintMargin": "0.0035",
        "makerFee": to_text(instrument.maker_fee, 8), "takerFee": to_text(instrument.taker_fee, 8)}
    return words[:-1] + "".join(f',"{name}":{trimmed(text)}' for name, text in numbers.items()) + "}"


DIALECT = Bitmex
