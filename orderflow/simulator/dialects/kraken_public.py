"""Kraken spot, WebSocket v2: public channels, AssetPairs.

Source: Kraken's "Spot WebSocket v2" and "Spot REST" references at docs.kraken.com. Prices and quantities are JSON
numbers whose digits matter: each is written as text, at the instrument's decimals, and never passes through a float.
"""
import json
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from orderflow.simulator.capture import Contents
from orderflow.simulator.dialects import kraken_recorded
from orderflow.simulator.dialects.kraken_publishing import KrakenPublishing
from orderflow.simulator.dialects.kraken_recorded import DEPTHS, Subscription
from orderflow.simulator.dialects.kraken_words import REST_NAMES, Refused
from orderflow.simulator.exchange import NEVER_NS, SECOND_NS, Connection, Response
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.numbers import to_text
from orderflow.simulator.words import timestamp

HEARTBEAT_NS = SECOND_NS
CHANNELS = ("book", "trade", "ticker", "instrument")
JSON_HEADERS = {"content-type": "application/json; charset=utf-8"}


class KrakenPublic(KrakenPublishing):
    """ws.kraken.com/v2 and api.kraken.com, public."""

    protocol = "kraken_v2"
    checksum_mark = '"checksum":'
    shows_order = False             # of two frames about one level each has the checksum that it leads to
    answers_at = ("/v2",)
    reader = kraken_recorded.KrakenReader

    @classmethod
    def recorded_instruments(cls, contents: Contents) -> tuple[SimulatedInstrument, ...]:
        """Instruments of a capture."""
        return kraken_recorded.recorded_instruments(contents)

    @staticmethod
    def subscriptions(streams) -> list[str]:
        """The frames with which a client subscribes to recorded streams."""
        return kraken_recorded.subscriptions(streams)

    @property
    def instruments(self) -> tuple[SimulatedInstrument, ...]:
        """What is traded here."""
        return self.source.instruments

    def instrument(self, symbol: str) -> SimulatedInstrument:
        """The instrument of that symbol, or Refused."""
        for instrument in self.instruments:
            if instrument.symbol == symbol:
                return instrument
        raise Refused(f"Currency pair not supported {symbol}", symbol=symbol)

    # websocket

    def opened(self, connection: Connection) -> None:
        self.send(connection, '{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online",'
                              f'"api_version":"v2","connection_id":{10**18 + connection.id}}}]}}')

    def received(self, connection: Connection, text: str) -> None:
        try:
            request = json.loads(text, parse_float=str)
            if not isinstance(request, dict):
                raise ValueError("not an object")
        except ValueError:
            self.reply(connection, {}, {"error": "Malformed request", "success": False})
            return
        method = request.get("method")
        if method == "ping":
            self.reply(connection, request, {"method": "pong"})
        elif method in ("subscribe", "unsubscribe"):
            self._subscription(connection, request, method)
        else:
            self.command(connection, request, method)

    def command(self, connection: Connection, request: dict, method) -> None:
        """A request of the private side; there is none here."""
        self.reply(connection, request, {"method": method, "error": "Unsupported method", "success": False})

    def reply(self, connection: Connection, request: dict, fields: dict) -> None:
        """Answer a request."""
        stamp = timestamp(self.now_ns + self.skew_ns)
        identity = {"req_id": request["req_id"]} if "req_id" in request else {}
        self.send(connection, json.dumps(fields | {"time_in": stamp, "time_out": stamp} | identity,
                                         separators=(",", ":")))

    def _subscription(self, connection: Connection, request: dict, method: str) -> None:
        parameters = request.get("params")
        try:
            if not isinstance(parameters, dict):
                raise Refused("Malformed request")
            channel = parameters.get("channel")
            if channel in CHANNELS:
                names = [""] if channel == "instrument" else parameters.get("symbol")
                if not isinstance(names, list) or not names:
                    raise Refused("Symbol(s) not specified")
            else:
                self.private_subscription(connection, request, method, parameters)
                return
        except Refused as refusal:
            self.refuse(connection, request, method, refusal)
            return
        for name in names:
            try:
                self._one_subscription(connection, request, method, parameters, name)
            except Refused as refusal:
                self.refuse(connection, request, method, refusal)

    def refuse(self, connection: Connection, request: dict, method: str, refusal: Refused) -> None:
        """Answer a request with a refusal."""
        self.reply(connection, request,
                    {"error": refusal.message, "method": method, "success": False} | refusal.fields)

    def private_subscription(self, connection: Connection, request: dict, method: str, parameters: dict) -> None:
        """Subscribe to a channel of the private side, or unsubscribe."""
        raise Refused("Channel not supported" if parameters.get("channel") else "Channel not specified")

    def _one_subscription(self, connection, request: dict, method: str, parameters: dict, symbol: str) -> None:
        channel = parameters["channel"]
        result = {"channel": channel} | ({"symbol": symbol} if symbol else {})
        depth = 0
        if symbol:
            self.instrument(symbol)
        if channel == "book":
            depth = parameters.get("depth", 10)
            if depth not in DEPTHS:
                raise Refused(f"Subscription depth not supported {depth}", symbol=symbol)
            result["depth"] = depth
        subscription = Subscription(channel, symbol, depth)
        if method == "unsubscribe":
            if subscription not in connection.subscriptions:
                raise Refused("Subscription Not Found", symbol=symbol)
            self.unsubscribe(connection, subscription)
            self.reply(connection, request, {"method": method, "result": result, "success": True})
            return
        if subscription in connection.subscriptions:
            raise Refused("Already subscribed", symbol=symbol)
        result["snapshot"] = parameters.get("snapshot", channel != "trade")
        self.subscribe(connection, subscription)
        self.reply(connection, request, {"method": method, "result": result, "success": True})
        if not result["snapshot"]:
            return
        if channel == "instrument":
            self.send(connection, self._instrument_snapshot())
        elif self.source.contents is None:
            self.source.catch_up(self, self.now_ns)
            self.send_snapshot(connection, subscription)

    def _instrument_snapshot(self) -> str:
        assets = sorted({name for instrument in self.instruments for name in (instrument.base, instrument.quote)})
        listed = ",".join(f'{{"id":"{name}","status":"enabled","precision":10,"precision_display":8,'
                          '"borrowable":false,"collateral_value":0.00,"margin_rate":0.0}' for name in assets)
        pairs = ",".join(_pair(instrument) for instrument in self.instruments)
        return ('{"channel":"instrument","type":"snapshot","data":{"assets":[' + listed + '],"pairs":[' + pairs + "]}}")

    def play(self, stream: Subscription, text: str) -> None:
        """Send a recorded frame verbatim to whoever subscribed to what it is about."""
        for connection in self.listeners(stream):
            self.send(connection, text)

    def housekeeping(self, connection: Connection, now_ns: int) -> None:
        if now_ns >= self.housekeeping_ns(connection):
            self.send(connection, '{"channel":"heartbeat"}')

    def housekeeping_ns(self, connection: Connection) -> int:
        return connection.last_sent_ns + HEARTBEAT_NS if connection.subscriptions else NEVER_NS

    # REST

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        self.now_ns = now_ns
        try:
            answer = self.request(method, path, dict(parse_qsl(query)), headers, body)
            if not isinstance(answer, bytes):
                answer = json.dumps({"error": [], "result": answer}, separators=(",", ":")).encode()
        except Refused as refusal:
            answer = json.dumps({"error": [refusal.message]}, separators=(",", ":")).encode()
        return Response(200, dict(JSON_HEADERS), answer)

    def request(self, method: str, path: str, parameters: dict[str, str], headers, body: bytes):
        """Answer a REST request: `result`, or the whole body as bytes. Refused for an error."""
        if path == "/0/public/Time":
            seconds = (self.now_ns + self.skew_ns) // SECOND_NS
            written = f"{datetime.fromtimestamp(seconds, UTC):%a, %d %b %y %H:%M:%S +0000}"
            return {"unixtime": seconds, "rfc1123": written}
        if path == "/0/public/SystemStatus":
            return {"status": "online", "timestamp": timestamp(self.now_ns)[:19] + "Z"}
        if path == "/0/public/Assets":
            names = {name for instrument in self.instruments for name in (instrument.base, instrument.quote)}
            return {REST_NAMES.get(name, name): {"aclass": "currency", "altname": name.replace("BTC", "XBT"),
                                                 "decimals": 10, "display_decimals": 8, "status": "enabled"}
                    for name in sorted(names)}
        if path == "/0/public/AssetPairs":
            return self._asset_pairs(parameters.get("pair"))
        if path == "/0/public/Depth":
            return self._depth(parameters)
        raise Refused("EGeneral:Unknown method")

    def _asset_pairs(self, wanted: str | None):
        contents = self.source.contents
        if contents is not None and contents.metadata is not None:
            if wanted is None:
                return contents.metadata
            pairs = json.loads(contents.metadata)["result"]
        else:
            pairs = {instrument.rest_symbol: _asset_pair(instrument) for instrument in self.instruments}
        if wanted is None:
            return pairs
        found = {name: pair for name, pair in pairs.items()
                 if {name, pair["altname"], pair.get("wsname")} & set(wanted.split(","))}
        if len(found) != len(set(wanted.split(","))):
            raise Refused("EQuery:Unknown asset pair")
        return found

    def _depth(self, parameters: dict[str, str]):
        for instrument in self.instruments:
            if parameters.get("pair") in (instrument.rest_symbol, alternative_name(instrument)):
                self.source.catch_up(self, self.now_ns)
                bids, asks = self.source.top(instrument, min(int(parameters.get("count", "100")), 500))
                seconds = self.now_ns // SECOND_NS
                return {instrument.rest_symbol: {"asks": [[*level, seconds] for level in asks],
                                                 "bids": [[*level, seconds] for level in bids]}}
        raise Refused("EQuery:Unknown asset pair")


def alternative_name(instrument: SimulatedInstrument) -> str:
    """AssetPairs' `altname`: XBTUSD."""
    return instrument.symbol.replace("BTC", "XBT").replace("/", "")


def _pair(instrument: SimulatedInstrument) -> str:
    """One entry of the instrument channel."""
    price, quantity = instrument.price_decimals, instrument.quantity_decimals
    return (f'{{"symbol":"{instrument.symbol}","base":"{instrument.base}","quote":"{instrument.quote}",'
            f'"status":"online","qty_precision":{quantity},"qty_increment":{to_text(instrument.lot, quantity)},'
            f'"price_precision":{price},"cost_precision":{price},"marginable":false,"has_index":false,'
            f'"cost_min":{to_text(instrument.minimum_notional, 8)},'
            f'"price_increment":{to_text(instrument.tick, price)},'
            f'"qty_min":{to_text(instrument.minimum_quantity, quantity)}}}')


def _asset_pair(instrument: SimulatedInstrument) -> dict:
    """One entry of AssetPairs."""
    return {
        "altname": alternative_name(instrument),
        "wsname": instrument.symbol.replace("BTC", "XBT"), "aclass_base": "currency",
        "base": REST_NAMES.get(instrument.base, instrument.base), "aclass_quote": "currency",
        "quote": REST_NAMES.get(instrument.quote, instrument.quote), "lot": "unit", "cost_decimals": 5,
        "pair_decimals": instrument.price_decimals, "lot_decimals": instrument.quantity_decimals, "lot_multiplier": 1,
        "leverage_buy": [], "leverage_sell": [],
        "fees": [[0, instrument.taker_fee / 10**6]], "fees_maker": [[0, instrument.maker_fee / 10**6]],
        "fee_volume_currency": "ZUSD", "margin_call": 80, "margin_stop": 40,
        "ordermin": to_text(instrument.minimum_quantity, instrument.quantity_decimals),
        "costmin": to_text(instrument.minimum_notional, 8),
        "tick_size": to_text(instrument.tick, instrument.price_decimals), "status": "online",
    }

