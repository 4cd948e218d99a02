"""What the Binance markets share: market data streams, control messages, exchangeInfo, depth over REST.

Sources: Binance's "WebSocket Streams for Binance" and "Public REST API for Binance" (spot), "USDS-M Futures" and
"COIN-M Futures" (derivatives) at developers.binance.com. A market is a subclass that says where it differs.
"""
import json
from typing import ClassVar
from urllib.parse import parse_qsl

import msgspec

from orderflow.simulator.capture import Contents
from orderflow.simulator.dialects import binance_recorded
from orderflow.simulator.dialects.binance_publishing import BinancePublishing
from orderflow.simulator.exchange import SECOND_NS, Close, Connection, Response
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.numbers import to_text

JSON_HEADERS = {"content-type": "application/json;charset=UTF-8"}
METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
MAXIMUM_STREAMS = 1024


def compact(value) -> str:
    """JSON as the exchange spells it: no spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class RequestError(Exception):
    """A refusal in Binance's own terms: HTTP status, code, message, headers; `data` is what else the error says."""

    def __init__(self, status: int, code: int, message: str, headers: dict[str, str] | None = None,
                 data: dict | None = None):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers, self.data = headers or {}, data

    @property
    def body(self) -> dict:
        """The error object as the exchange words it."""
        return {"code": self.code, "msg": self.message} | ({} if self.data is None else {"data": self.data})


class Binance(BinancePublishing):
    """Market data of one Binance market."""

    rest_root: ClassVar[str]                    # "/api/v3"
    depth_limits: ClassVar[tuple[int, ...]]     # limits that REST depth takes; () = any up to `maximum_depth`
    default_depth: ClassVar[int] = 100
    maximum_depth: ClassVar[int] = 5000
    messages_per_second: ClassVar[int] = 5
    reader = binance_recorded.BinanceReader

    @classmethod
    def recorded_instruments(cls, contents: Contents) -> tuple[SimulatedInstrument, ...]:
        """Instruments of a capture."""
        return binance_recorded.recorded_instruments(contents)

    @staticmethod
    def subscriptions(streams) -> list[str]:
        """The frames with which a client subscribes to recorded streams."""
        return [compact({"method": "SUBSCRIBE", "params": sorted(streams), "id": 1})]

    @property
    def instruments(self) -> tuple[SimulatedInstrument, ...]:
        """What is traded here."""
        return self.source.instruments

    def instrument(self, symbol: str) -> SimulatedInstrument:
        """The instrument of that symbol; RequestError -1121 if there is none."""
        for instrument in self.instruments:
            if instrument.symbol == symbol:
                return instrument
        raise RequestError(400, -1121, "Invalid symbol.")

    # websocket streams

    def accepts(self, path: str) -> bool:
        """/ws, /ws/<streams>, /stream, and the market's other paths."""
        plain = path.partition("?")[0].rstrip("/")
        return plain in self.answers_at or plain.partition("/ws/")[0] + "/ws" in self.answers_at

    def opened(self, connection: Connection) -> None:
        connection.combined = connection.path.partition("?")[0].rstrip("/").endswith("/stream")
        for stream in binance_recorded.streams_of_path(connection.path):
            self.subscribe(connection, stream)

    def received(self, connection: Connection, text: str) -> None:
        second = [at for at in connection.received_ns if at > self.now_ns - SECOND_NS]
        connection.received_ns = [*second, self.now_ns]
        if len(connection.received_ns) > self.messages_per_second:
            self.send(connection, Close(1008, "Too many requests"))
            return
        try:
            request = json.loads(text)
        except ValueError as error:
            where = f" at line {getattr(error, 'lineno', 1)} column {getattr(error, 'colno', 1)}"
            self.send(connection, compact({"error": {"code": 3, "msg": f"Invalid JSON: expected value{where}"}}))
            return
        identity = request.get("id") if isinstance(request, dict) else None
        try:
            answer = {"result": self._control(connection, request), "id": identity}
        except RequestError as error:
            answer = {"error": error.body, "id": identity}
        self.send(connection, compact(answer))

    def _control(self, connection: Connection, request):
        if not isinstance(request, dict) or "method" not in request:
            raise RequestError(400, 2, "Invalid request: missing field `method`")
        method, parameters = request["method"], request.get("params", [])
        if method not in METHODS:
            raise RequestError(400, 2, f"Invalid request: unknown variant `{method}`, expected one of "
                                       + ", ".join(f"`{name}`" for name in METHODS))
        if method == "LIST_SUBSCRIPTIONS":
            return list(connection.subscriptions)
        if method.endswith("_PROPERTY"):
            return self._property(connection, method, parameters)
        if not isinstance(parameters, list) or not all(isinstance(name, str) for name in parameters):
            raise RequestError(400, 2, "Invalid request: invalid type: expected a string")
        for stream in parameters:
            if method == "UNSUBSCRIBE":
                self.unsubscribe(connection, stream)
            else:
                self.subscribe(connection, stream)
        if len(connection.subscriptions) > MAXIMUM_STREAMS:
            self.send(connection, Close(1008, f"More than {MAXIMUM_STREAMS} streams"))
        return None

    def _property(self, connection: Connection, method: str, parameters):
        if not isinstance(parameters, list) or not parameters or parameters[0] != "combined":
            raise RequestError(400, 0, "Unknown property")
        if method == "GET_PROPERTY":
            return connection.combined
        if len(parameters) != 2 or not isinstance(parameters[1], bool):
            raise RequestError(400, 1, "Invalid value type: expected Boolean")
        connection.combined = parameters[1]
        return None

    def play(self, stream: str, text: str) -> None:
        """Send a recorded frame verbatim to whoever subscribed to its stream."""
        listeners = self.listeners(stream)
        try:
            recorded = binance_recorded.combined_frame.decode(text).data if listeners else b""
            raw, combined = None, text
        except msgspec.MsgspecError:
            raw, combined, recorded = text, None, b""
        for connection in listeners:
            if connection.combined:
                combined = combined or f'{{"stream":"{stream}","data":{raw}}}'
                self.send(connection, combined)
            else:
                raw = raw or bytes(recorded).decode()
                self.send(connection, raw)

    # REST

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        self.now_ns = now_ns
        try:
            status, answer = self.request(method, path, query, headers, body)
            more = {}
        except RequestError as error:
            status, answer, more = error.status, compact(error.body).encode(), error.headers
        return Response(status, JSON_HEADERS | more, answer)

    def request(self, method: str, path: str, query: str, headers, body: bytes) -> tuple[int, bytes]:
        """Answer a REST request: (status, body). RequestError for a refusal."""
        name = path.removeprefix(self.rest_root)
        if method != "GET" or name == path:
            raise RequestError(404, -1000, f"{method} {path} is not an endpoint of {self.protocol}.")
        parameters = dict(parse_qsl(query))
        if name == "/ping":
            return 200, b"{}"
        if name == "/time":
            return 200, compact({"serverTime": self.stamp(self.now_ns)}).encode()
        if name == "/exchangeInfo":
            return 200, self._exchange_info(parameters)
        if name == "/depth":
            return 200, self._depth(parameters)
        raise RequestError(404, -1000, f"{path} is not an endpoint of {self.protocol}.")

    def _exchange_info(self, parameters: dict[str, str]) -> bytes:
        contents = self.source.contents
        wanted = [parameters["symbol"]] if "symbol" in parameters else None
        if "symbols" in parameters:
            wanted = json.loads(parameters["symbols"])
        if contents is not None and contents.metadata is not None:
            if wanted is None:
                return contents.metadata
            answer = json.loads(contents.metadata)
        else:
            answer = self.exchange_info()
        if wanted is not None:
            answer["symbols"] = [entry for entry in answer["symbols"] if entry["symbol"] in wanted]
            if len(answer["symbols"]) != len(set(wanted)):
                raise RequestError(400, -1121, "Invalid symbol.")
        return compact(answer).encode()

    def exchange_info(self) -> dict:
        """exchangeInfo made from the instruments."""
        return {
            "timezone": "UTC", "serverTime": self.stamp(self.now_ns),
            "rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
                           {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100}],
            "exchangeFilters": [], "symbols": [self.symbol_info(instrument) for instrument in self.instruments],
        }

    def symbol_info(self, instrument: SimulatedInstrument) -> dict:
        """One entry of exchangeInfo's `symbols`: what all markets share."""
        price = instrument.price_decimals
        quantity = instrument.quantity_decimals
        step, smallest = to_text(instrument.lot, quantity), to_text(instrument.minimum_quantity, quantity)
        largest = to_text(instrument.maximum_quantity, quantity)
        return {
            "symbol": instrument.symbol, "status": "TRADING", "baseAsset": instrument.base, "baseAssetPrecision": 8,
            "quoteAsset": instrument.quote, "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": to_text(instrument.tick, price),
                 "maxPrice": to_text(10**6 * 10**price, price), "tickSize": to_text(instrument.tick, price)},
                {"filterType": "LOT_SIZE", "minQty": smallest, "maxQty": largest, "stepSize": step},
                {"filterType": "MARKET_LOT_SIZE", "minQty": smallest, "maxQty": largest, "stepSize": step},
                {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            ],
        }

    def _depth(self, parameters: dict[str, str]) -> bytes:
        symbol = parameters.get("symbol")
        if not symbol:
            raise RequestError(400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        limit = parameters.get("limit", str(self.default_depth))
        if not limit.isdigit() or int(limit) < 1 or (self.depth_limits and int(limit) not in self.depth_limits):
            raise RequestError(400, -1100 if not limit.isdigit() else -4021, "Illegal depth limit.")
        contents = self.source.contents
        if contents is not None:
            if symbol not in contents.snapshots:
                raise RequestError(400, -1121, "Invalid symbol.")
            return contents.snapshots[symbol]
        self.instrument(symbol)
        self.source.catch_up(self, self.now_ns)
        return self.snapshot(self.source.books[symbol], min(int(limit), self.maximum_depth)).encode()
