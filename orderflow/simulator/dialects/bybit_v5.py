"""Bybit v5 from the exchange's side: public WebSocket, instruments, depth over REST.

Source: Bybit's "V5 API". An instrument that is quoted in USD is inverse; any other is offered as spot and as linear,
and both have the same book here. The connection's path says which category it is for.
"""
from itertools import count
from urllib.parse import parse_qsl

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Contents
from orderflow.simulator.dialects import bybit_v5_recorded
from orderflow.simulator.dialects.bybit_v5_recorded import split
from orderflow.simulator.dialects.windows import MILLISECOND_NS, WindowExchange, compact
from orderflow.simulator.exchange import SECOND_NS, Connection, Response
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook
from orderflow.simulator.numbers import to_text
from orderflow.simulator.views import Levels, View

CATEGORIES = ("spot", "linear", "inverse")
#: Depth of a book's topic -> how often it is published.
INTERVALS = {1: 20 * MILLISECOND_NS, 50: 20 * MILLISECOND_NS, 200: 100 * MILLISECOND_NS, 1000: 200 * MILLISECOND_NS}
REPEAT_NS = 3 * SECOND_NS       # of one level
SPOT_TOPICS = 10                # a request
REST_DEPTHS = {"spot": 200, "linear": 500, "inverse": 500}
FIRST_TRADE = 2_290_000_000_000_000_000
JSON_HEADERS = {"content-type": "application/json; charset=utf-8"}


class Refused(Exception):
    """A refusal in Bybit's words."""

    def __init__(self, message: str, code: int = 10001):
        super().__init__(message)
        self.message, self.code = message, code


class _Request(msgspec.Struct):
    op: str
    args: list[str] = []
    req_id: str | int = ""


_request = msgspec.json.Decoder(_Request)


class BybitV5(WindowExchange[str]):
    """stream.bybit.com/v5/public and api.bybit.com, public."""

    protocol = "bybit_v5"
    answers_at = tuple(f"/v5/public/{category}" for category in CATEGORIES)
    publish_every_ns = min(INTERVALS.values())
    reader = bybit_v5_recorded.BybitReader

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self._update_ids: dict[str, int] = {}               # topic -> u of its last frame
        self._cross_sequence = count(130_000_000_000)

    @classmethod
    def recorded_instruments(cls, contents: Contents) -> tuple[SimulatedInstrument, ...]:
        """Instruments of a capture."""
        return bybit_v5_recorded.recorded_instruments(contents)

    @staticmethod
    def subscriptions(streams) -> list[str]:
        """The frames with which a client subscribes to recorded streams."""
        return bybit_v5_recorded.subscriptions(streams)

    def offered(self, category: str) -> list[SimulatedInstrument]:
        """What a category trades; there are no options."""
        if category == "option":
            return []
        return [one for one in self.instruments if (one.quote == "USD") == (category == "inverse")]

    # websocket

    def received(self, connection: Connection, text: str) -> None:
        request = _Request("")
        try:
            request = _request.decode(text)
            if request.op == "ping":
                self._reply(connection, _Request("ping", req_id=request.req_id), "pong")
            elif request.op in ("subscribe", "unsubscribe"):
                self._subscription(connection, request)
            else:
                raise Refused(f"error:unknown op:{request.op}")
        except msgspec.MsgspecError:
            self._reply(connection, request, "error:request is not valid JSON", success=False)
        except Refused as refusal:
            self._reply(connection, request, refusal.message, success=False)

    def _reply(self, connection: Connection, request: _Request, message: str, success: bool = True) -> None:
        self.send(connection, compact({
            "success": success, "ret_msg": message, "conn_id": self.connection_name(connection),
            "req_id": request.req_id, "op": request.op}))

    def _subscription(self, connection: Connection, request: _Request) -> None:
        """All topics of a request, or none."""
        category = connection.path.partition("?")[0].rstrip("/").rpartition("/")[2]
        if not request.args:
            raise Refused("error:args is empty")
        if category == "spot" and len(request.args) > SPOT_TOPICS:
            raise Refused(f"args size >{SPOT_TOPICS}")
        for topic in request.args:
            self._check(category, topic)
            if request.op == "subscribe" and topic in connection.subscriptions:
                raise Refused(f"error:already subscribed,topic:{topic}")
        for topic in request.args:
            if request.op == "subscribe":
                self.subscribe(connection, topic)
            else:
                self.unsubscribe(connection, topic)
        self._reply(connection, request, request.op)
        if request.op == "subscribe" and self.source.contents is None:
            self.source.catch_up(self, self.now_ns)
            for topic in request.args:
                if split(topic)[1]:
                    book, view = self.view(topic)
                    self._update_ids.setdefault(topic, 1_000_000)
                    self.send(connection, self._text(book, topic, "snapshot", _whole(view), self.now_ns))

    def _check(self, category: str, topic: str) -> None:
        if self.source.contents is not None and topic in self.source.contents.streams:
            return
        kind, depth, symbol = split(topic)
        if kind not in ("orderbook", "publicTrade") or (kind == "orderbook" and depth not in INTERVALS):
            raise Refused(f"error:handler not found,topic:{topic}")
        if all(one.symbol != symbol for one in self.offered(category)):
            raise Refused(f"Invalid symbol :[{topic}]")

    # market data

    def window(self, key: str) -> tuple[str, int]:
        _, depth, symbol = split(key)
        return symbol, depth

    def publish_interval_ns(self, depth: int) -> int:
        return INTERVALS[depth]

    def repeat_interval_ns(self, depth: int) -> int:
        return REPEAT_NS if depth == 1 else 0

    def publish_changes(self, book: MarketBook, key: str, changed: tuple[View, Levels, Levels], at_ns: int) -> None:
        view, bids, asks = changed
        self._update_ids[key] += 1
        if self.window(key)[1] == 1:
            self.publish(key, self._text(book, key, "snapshot", _whole(view), at_ns), at_ns)
        else:
            self.publish(key, self._text(book, key, "delta", (bids, asks), at_ns), at_ns)

    def publish_unchanged(self, book: MarketBook, key: str, at_ns: int) -> None:
        self.publish(key, self._text(book, key, "snapshot", _whole(self.view(key)[1]), at_ns), at_ns)

    def _text(self, book: MarketBook, topic: str, kind: str, sides: tuple[Levels, Levels], at_ns: int) -> str:
        stamp = at_ns // MILLISECOND_NS
        bids, asks = (",".join(f'["{book.price_text(price)}","{book.quantity_text(quantity) if quantity else "0"}"]'
                               for price, quantity in side) for side in sides)
        return (f'{{"topic":"{topic}","type":"{kind}","ts":{stamp},"data":{{"s":"{book.instrument.symbol}",'
                f'"b":[{bids}],"a":[{asks}],"u":{self._update_ids[topic]},"seq":{next(self._cross_sequence)}}},'
                f'"cts":{stamp}}}')

    def publish_trades(self, book: MarketBook, trades, at_ns: int) -> None:
        topic = f"publicTrade.{book.instrument.symbol}"
        if topic not in self.subscribers:
            return
        stamp = at_ns // MILLISECOND_NS
        data = [{"i": str(FIRST_TRADE + number), "T": stamp, "p": book.price_text(price),
                 "v": book.quantity_text(quantity), "S": "Buy" if side == Side.BUY else "Sell",
                 "seq": next(self._cross_sequence), "s": book.instrument.symbol, "BT": False, "RPI": False}
                for number, price, quantity, side in zip(
                    *(trades[name].tolist() for name in ("trade_id", "price", "quantity", "taker_side")), strict=True)]
        text = compact({"topic": topic, "ts": stamp, "type": "snapshot", "data": data})
        for connection in self.listeners(topic):
            self.send(connection, text)

    # REST

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        self.now_ns = now_ns
        status, code, message, result = 200, 0, "OK", {}
        try:
            result = self._request(method, path, dict(parse_qsl(query)))
        except Refused as refusal:
            code, message = refusal.code, refusal.message
            status = 404 if code == 404 else 200
        return Response(status, dict(JSON_HEADERS), compact({
            "retCode": code, "retMsg": message, "result": result, "retExtInfo": {},
            "time": now_ns // MILLISECOND_NS}).encode())

    def _request(self, method: str, path: str, parameters: dict[str, str]) -> dict:
        if method != "GET":
            raise Refused("Not Found", 404)
        if path == "/v5/market/time":
            return {"timeSecond": str(self.now_ns // SECOND_NS), "timeNano": str(self.now_ns)}
        category = parameters.get("category", "")
        if path not in ("/v5/market/instruments-info", "/v5/market/orderbook"):
            raise Refused("Not Found", 404)
        if category not in (*CATEGORIES, "option"):
            raise Refused("Illegal category")
        wanted = parameters.get("symbol")
        found = [one for one in self.offered(category) if wanted in (None, one.symbol)]
        if wanted is not None and not found:
            raise Refused("Not supported symbols")
        if path == "/v5/market/instruments-info":
            entries = [_spot_entry(one) if category == "spot" else _contract_entry(one) for one in found]
            return {"category": category, "list": entries} | ({} if category == "spot" else {"nextPageCursor": ""})
        if wanted is None:
            raise Refused("params error: symbol invalid")
        return self._depth(category, found[0], parameters.get("limit", "25"))

    def _depth(self, category: str, instrument: SimulatedInstrument, limit: str) -> dict:
        if not limit.isdigit() or not 0 < int(limit) <= REST_DEPTHS[category]:
            raise Refused("params error: limit invalid")
        self.source.catch_up(self, self.now_ns)
        bids, asks = self.source.top(instrument, int(limit))
        stamp = self.now_ns // MILLISECOND_NS
        number = 0 if self.source.contents else self.source.books[instrument.symbol].update_id
        return {"s": instrument.symbol, "b": bids, "a": asks, "ts": stamp, "u": number,
                "seq": next(self._cross_sequence), "cts": stamp}


def _whole(view: View) -> tuple[Levels, Levels]:
    return list(view.bids.items()), list(view.asks.items())


def _spot_entry(instrument: SimulatedInstrument) -> dict:
    """One entry of the instruments of spot."""
    price, quantity = instrument.price_decimals, instrument.quantity_decimals
    largest = to_text(min(instrument.maximum_quantity, 10**15), quantity)
    return {
        "symbol": instrument.symbol, "baseCoin": instrument.base, "quoteCoin": instrument.quote, "innovation": "0",
        "status": "Trading", "marginTrading": "utaOnly", "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": to_text(instrument.lot, quantity), "quotePrecision": "0.00000001",
            "minOrderQty": to_text(instrument.minimum_quantity, quantity), "maxOrderQty": largest,
            "minOrderAmt": to_text(instrument.minimum_notional, 8), "maxOrderAmt": "8000000",
            "maxLimitOrderQty": largest, "maxMarketOrderQty": largest, "postOnlyMaxLimitOrderSize": largest},
        "priceFilter": {"tickSize": to_text(instrument.tick, price)},
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
    }


def _contract_entry(instrument: SimulatedInstrument) -> dict:
    """One entry of the instruments of linear or inverse."""
    price, quantity = instrument.price_decimals, instrument.quantity_decimals
    largest = to_text(min(instrument.maximum_quantity, 10**15), quantity)
    inverse = instrument.quote == "USD"
    return {
        "symbol": instrument.symbol, "contractType": "InversePerpetual" if inverse else "LinearPerpetual",
        "status": "Trading", "baseCoin": instrument.base, "quoteCoin": instrument.quote,
        "settleCoin": instrument.base if inverse else instrument.quote, "launchTime": "1584230400000",
        "deliveryTime": "0", "deliveryFeeRate": "", "priceScale": str(price),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": to_text(instrument.tick, price), "maxPrice": to_text(10**6 * 10**price, price),
                        "tickSize": to_text(instrument.tick, price)},
        "lotSizeFilter": {
            "qtyStep": to_text(instrument.lot, quantity), "maxOrderQty": largest, "maxMktOrderQty": largest,
            "postOnlyMaxOrderQty": largest, "minOrderQty": to_text(instrument.minimum_quantity, quantity),
            "minNotionalValue": to_text(instrument.minimum_notional, 8)},
        "unifiedMarginTrade": True, "fundingInterval": 480, "copyTrading": "none",
        "upperFundingRate": "0.005", "lowerFundingRate": "-0.005", "isPreListing": False,
    }


DIALECT = BybitV5
