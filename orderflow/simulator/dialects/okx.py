"""OKX v5 from the exchange's side: public WebSocket, instruments, depth over REST.

Source: OKX's "API v5" guide. Checksums are 0, as they are since June 2026; sequence numbers are the ids of the matching
engine's changes.
"""
from itertools import groupby
from urllib.parse import parse_qsl

import msgspec

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Contents
from orderflow.simulator.dialects import okx_recorded
from orderflow.simulator.dialects.windows import MILLISECOND_NS, WindowExchange, compact, trimmed
from orderflow.simulator.exchange import SECOND_NS, Connection, Response
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook
from orderflow.simulator.numbers import to_text
from orderflow.simulator.views import Levels, View

DEPTHS = {"books": 400, "books5": 5, "bbo-tbt": 1}
CHANNELS = (*DEPTHS, "trades")
LARGEST_REQUEST = 64 * 1024
LARGEST_REST_DEPTH = 400
KEEP_ALIVE_NS = 60 * SECOND_NS
JSON_HEADERS = {"content-type": "application/json"}


class Refused(Exception):
    """A refusal in OKX's terms."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code, self.message = code, message


class _Request(msgspec.Struct):
    op: str
    args: list[dict]
    id: str | int = ""


_request = msgspec.json.Decoder(_Request)


class Okx(WindowExchange[Subscription]):
    """ws.okx.com/ws/v5/public and www.okx.com, public."""

    protocol = "okx"
    checksum_mark = '"checksum":'
    answers_at = ("/ws/v5/public",)
    reader = okx_recorded.OkxReader

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self.sequence: dict[Subscription, int] = {}        # seqId of the last frame

    @classmethod
    def recorded_instruments(cls, contents: Contents) -> tuple[SimulatedInstrument, ...]:
        """Instruments of a capture."""
        return okx_recorded.recorded_instruments(contents)

    @staticmethod
    def subscriptions(streams) -> list[str]:
        """The frames with which a client subscribes to recorded streams."""
        return okx_recorded.subscriptions(streams)

    # websocket

    def received(self, connection: Connection, text: str) -> None:
        if text == "ping":
            self.send(connection, "pong")
            return
        identity: dict[str, str | int] = {}
        try:
            if len(text) > LARGEST_REQUEST:
                raise Refused("60012", "Invalid request: longer than 64 KB")
            request = _request.decode(text)
            if request.op not in ("subscribe", "unsubscribe"):
                raise Refused("60012", f"Invalid request: {text}")
            identity = {"id": request.id} if request.id else {}
            for argument in request.args:
                self._one(connection, request.op, argument, identity)
        except msgspec.MsgspecError:
            self._refuse(connection, Refused("60012", f"Invalid request: {text}"), identity)
        except Refused as refusal:
            self._refuse(connection, refusal, identity)

    def _refuse(self, connection: Connection, refusal: Refused, identity: dict[str, str | int]) -> None:
        self.send(connection, compact(identity | {"event": "error", "code": refusal.code, "msg": refusal.message,
                                                  "connId": self.connection_name(connection)}))

    def _one(self, connection: Connection, method: str, argument: dict, identity: dict[str, str | int]) -> None:
        """Subscribe or unsubscribe one channel; a refusal concerns it alone."""
        channel, symbol = argument.get("channel"), argument.get("instId")
        subscription = Subscription(str(channel), str(symbol))
        recorded = self.source.contents is not None and subscription in self.source.contents.streams
        if not recorded and (channel not in CHANNELS or self.instrument(symbol) is None):
            self._refuse(connection, Refused("60018", (
                f"Wrong URL or channel:{channel},instId:{symbol} doesn't exist. Please use the correct URL, channel "
                "and parameters referring to API document.")), identity)
            return
        known = subscription in connection.subscriptions
        if method == "subscribe":
            self.subscribe(connection, subscription)
        else:
            self.unsubscribe(connection, subscription)
        self.send(connection, compact(identity | {
            "event": method, "arg": {"channel": channel, "instId": symbol},
            "connId": self.connection_name(connection)}))
        if method == "subscribe" and not known and channel in DEPTHS and self.source.contents is None:
            self.source.catch_up(self, self.now_ns)
            self._send_whole(connection, subscription)

    def _send_whole(self, connection: Connection, subscription: Subscription) -> None:
        """The first frame of a book's subscription."""
        book, view = self.view(subscription)
        sequence = self.sequence.setdefault(subscription, view.update_id)
        self.send(connection, self._whole_text(book, subscription, view, sequence, self.now_ns))

    # market data

    def window(self, key: Subscription) -> tuple[str, int]:
        return key.symbol, DEPTHS[key.channel]

    def repeat_interval_ns(self, depth: int) -> int:
        return KEEP_ALIVE_NS if depth == DEPTHS["books"] else 0

    def publish_changes(self, book: MarketBook, key: Subscription, changed: tuple[View, Levels, Levels],
                        at_ns: int) -> None:
        view, bids, asks = changed
        previous, self.sequence[key] = self.sequence[key], view.update_id
        if key.channel == "books":
            self.publish(key, self._update_text(book, key, (bids, asks), (previous, view.update_id), at_ns), at_ns)
        else:
            self.publish(key, self._whole_text(book, key, view, view.update_id, at_ns), at_ns)

    def publish_unchanged(self, book: MarketBook, key: Subscription, at_ns: int) -> None:
        sequence = self.sequence[key]
        self.publish(key, self._update_text(book, key, ([], []), (sequence, sequence), at_ns), at_ns)

    def publish_trades(self, book: MarketBook, trades, at_ns: int) -> None:
        """One frame for what a taker order did at one price."""
        subscription = Subscription("trades", book.instrument.symbol)
        if subscription not in self.subscribers:
            return
        rows = zip(*(trades[name].tolist() for name in ("price", "taker_side", "trade_id", "quantity")), strict=True)
        for (price, side), group in groupby(rows, key=lambda row: row[:2]):
            made = list(group)
            data = {"instId": subscription.symbol, "tradeId": str(made[-1][2]), "px": trimmed(book.price_text(price)),
                    "sz": trimmed(book.quantity_text(sum(row[3] for row in made))),
                    "side": "buy" if side == Side.BUY else "sell", "ts": str(at_ns // MILLISECOND_NS),
                    "count": str(len(made))}
            text = f'{{{_arg(subscription)},"data":[{compact(data)}]}}'
            for connection in self.listeners(subscription):
                self.send(connection, text)

    def _update_text(self, book: MarketBook, key: Subscription, sides: tuple[Levels, Levels],
                     numbers: tuple[int, int], at_ns: int) -> str:
        bids, asks = sides
        return (f'{{{_arg(key)},"action":"update","data":[{{{_sides(book, bids, asks)},'
                f'"ts":"{at_ns // MILLISECOND_NS}","checksum":0,"seqId":{numbers[1]},"prevSeqId":{numbers[0]}}}]}}')

    def _whole_text(self, book: MarketBook, key: Subscription, view: View, sequence: int, at_ns: int) -> str:
        content = f'{_sides(book, list(view.bids.items()), list(view.asks.items()))},"ts":"{at_ns // MILLISECOND_NS}"'
        if key.channel != "books":
            return f'{{{_arg(key)},"data":[{{{content},"instId":"{key.symbol}","seqId":{sequence}}}]}}'
        return (f'{{{_arg(key)},"action":"snapshot","data":[{{{content},"checksum":0,"seqId":{sequence},'
                f'"prevSeqId":-1}}]}}')

    # REST

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        self.now_ns = now_ns
        try:
            answer = {"code": "0", "msg": "", "data": self._request(method, path, dict(parse_qsl(query)))}
        except Refused as refusal:
            answer = {"code": refusal.code, "msg": refusal.message, "data": []}
        return Response(404 if answer["code"] == "404" else 200, dict(JSON_HEADERS), compact(answer).encode())

    def _request(self, method: str, path: str, parameters: dict[str, str]) -> list:
        if method == "GET" and path == "/api/v5/public/time":
            return [{"ts": str(self.now_ns // MILLISECOND_NS)}]
        if method == "GET" and path == "/api/v5/public/instruments":
            wanted, symbol = parameters.get("instType"), parameters.get("instId")
            if wanted not in ("SPOT", "SWAP", "FUTURES", "OPTION"):
                raise Refused("51000", "Parameter instType error")
            return [_entry(one) for one in self.instruments
                    if instrument_type(one.symbol) == wanted and symbol in (None, one.symbol)]
        if method == "GET" and path == "/api/v5/market/books":
            return [self._depth(parameters)]
        raise Refused("404", "Not Found")

    def _depth(self, parameters: dict[str, str]) -> dict:
        instrument = self.instrument(parameters.get("instId"))
        count = parameters.get("sz", "1")
        if instrument is None:
            raise Refused("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        if not count.isdigit() or not 0 < int(count) <= LARGEST_REST_DEPTH:
            raise Refused("51000", "Parameter sz error")
        self.source.catch_up(self, self.now_ns)
        bids, asks = ([[trimmed(price), trimmed(quantity), "0", "1"] for price, quantity in side]
                      for side in self.source.top(instrument, int(count)))
        number = {} if self.source.contents else {"seqId": self.source.books[instrument.symbol].update_id}
        return {"asks": asks, "bids": bids, "ts": str(self.now_ns // MILLISECOND_NS)} | number


def instrument_type(symbol: str) -> str:
    """`instType` as the spelling has it."""
    _, _, term = symbol.partition("-")[2].partition("-")
    return "SWAP" if term == "SWAP" else "FUTURES" if term else "SPOT"


def _arg(key: Subscription) -> str:
    return f'"arg":{{"channel":"{key.channel}","instId":"{key.symbol}"}}'


def _sides(book: MarketBook, bids: Levels, asks: Levels) -> str:
    return ",".join(f'"{name}":[{",".join(_level(book, *level) for level in side)}]'
                    for name, side in (("asks", asks), ("bids", bids)))


def _level(book: MarketBook, price: int, quantity: int) -> str:
    orders = 1 if quantity else 0
    return f'["{trimmed(book.price_text(price))}","{trimmed(book.quantity_text(quantity))}","0","{orders}"]'


def _entry(instrument: SimulatedInstrument) -> dict:
    """One entry of the instruments. A contract quoted in USD is inverse and worth `contract_size` USD."""
    kind = instrument_type(instrument.symbol)
    price, quantity = instrument.price_decimals, instrument.quantity_decimals
    pair = f"{instrument.base}-{instrument.quote}"
    inverse = instrument.quote == "USD"
    contract = kind != "SPOT"
    return {
        "instType": kind, "instId": instrument.symbol, "uly": pair if contract else "",
        "instFamily": pair if contract else "", "baseCcy": "" if contract else instrument.base,
        "quoteCcy": "" if contract else instrument.quote,
        "settleCcy": (instrument.base if inverse else instrument.quote) if contract else "",
        "ctVal": str(instrument.contract_size) if contract else "", "ctMult": "1" if contract else "",
        "ctValCcy": (instrument.quote if inverse else instrument.base) if contract else "",
        "ctType": ("inverse" if inverse else "linear") if contract else "", "optType": "", "stk": "",
        "listTime": "1611916828000", "expTime": "4102444800000" if kind == "FUTURES" else "", "lever": "10",
        "tickSz": trimmed(to_text(instrument.tick, price)), "lotSz": trimmed(to_text(instrument.lot, quantity)),
        "minSz": trimmed(to_text(instrument.minimum_quantity, quantity)),
        "maxLmtSz": trimmed(to_text(min(instrument.maximum_quantity, 10**16), quantity)),
        "maxMktSz": trimmed(to_text(min(instrument.maximum_quantity, 10**16), quantity)),
        "alias": "", "state": "live",
    }


DIALECT = Okx
