"""Order entry of Binance spot: the WebSocket API, its user data stream, and the REST twins.

Source: Binance's "WebSocket API for Binance", "Errors" and "Filters" (spot). Requests are checked in the exchange's
order: parameters, key, time, signature, filters, funds.
"""
import hashlib
import hmac
import json
import re
from base64 import b64decode
from binascii import Error as BadBase64
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from orderflow._core.types import OrderType, Reason, Side, TimeInForce
from orderflow.simulator.accounts import Account
from orderflow.simulator.dialects.binance import RequestError, compact
from orderflow.simulator.dialects.binance_user_stream import BinanceUserStream
from orderflow.simulator.exchange import SECOND_NS, Connection
from orderflow.simulator.numbers import to_scaled
from orderflow.simulator.order import Fill, Order, Rejection
from orderflow.simulator.orders import OrderDesk

API_PATH = "/ws-api/v3"
ORDERS_IN_10_SECONDS = 100
CLIENT_ID = re.compile(r"^[a-zA-Z0-9-_]{1,36}$")
TYPES = {"LIMIT": OrderType.LIMIT, "LIMIT_MAKER": OrderType.LIMIT, "MARKET": OrderType.MARKET}
REFUSALS = {
    Reason.QUANTITY_BELOW_MINIMUM: (-1013, "Filter failure: LOT_SIZE"),
    Reason.QUANTITY_EXCEEDS_MAXIMUM: (-1013, "Filter failure: LOT_SIZE"),
    Reason.QUANTITY_OFF_LOT: (-1013, "Filter failure: LOT_SIZE"),
    Reason.PRICE_NOT_POSITIVE: (-1013, "Invalid price."),
    Reason.PRICE_OFF_TICK: (-1013, "Filter failure: PRICE_FILTER"),
    Reason.PRICE_OUTSIDE_COLLAR: (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    Reason.NOTIONAL_BELOW_MINIMUM: (-1013, "Filter failure: NOTIONAL"),
    Reason.INSUFFICIENT_FUNDS: (-2010, "Account has insufficient balance for requested action."),
    Reason.DUPLICATE_ORDER: (-2010, "Duplicate order sent."),
    Reason.POST_ONLY_WOULD_TAKE: (-2010, "Order would immediately match and take."),
    Reason.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    Reason.TABLE_FULL: (-1008, "Server is currently overloaded with other requests. "
                                 "Please try again in a few minutes."),
}
REST = {
    ("POST", "/order"): "order.place", ("DELETE", "/order"): "order.cancel", ("GET", "/order"): "order.status",
    ("GET", "/openOrders"): "openOrders.status", ("DELETE", "/openOrders"): "openOrders.cancelAll",
    ("GET", "/account"): "account.status", ("GET", "/myTrades"): "myTrades",
}
RATE_LIMIT = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": ORDERS_IN_10_SECONDS}


class BinanceOrders(BinanceUserStream):
    """Order entry for the accounts given."""

    takes_orders = True

    def __init__(self, source, name: str = "", accounts=()):
        super().__init__(source, name)
        self.desk = OrderDesk(self, tuple(accounts), fee_in_quote=False) if accounts else None
        self._sent_in: dict[int, tuple[int, int]] = {}          # account -> (window of 10 s, orders in it)

    # WebSocket API

    def accepts(self, path: str) -> bool:
        return path.partition("?")[0] == API_PATH and self.desk is not None or super().accepts(path)

    def opened(self, connection: Connection) -> None:
        if not connection.path.startswith(API_PATH):
            super().opened(connection)

    def received(self, connection: Connection, text: str) -> None:
        if not connection.path.startswith(API_PATH):
            super().received(connection, text)
            return
        identity = None
        after = len(self._outbox)
        try:
            try:
                # Numbers stay as they were written: the signature is over that text.
                request = json.loads(text, parse_float=str)
                identity = request.get("id")
                method = request.get("method")
                parameters = {name: value if isinstance(value, str) else compact(value)
                              for name, value in request.get("params", {}).items()}
            except (ValueError, AttributeError):
                raise RequestError(400, -1135, "Invalid JSON Request") from None
            answer = {"id": identity, "status": 200, "result": self._call(connection, method, parameters)}
            if method in ("order.place", "order.cancel") and parameters.get("returnRateLimits") != "false":
                account = self._account(connection, parameters)
                answer["rateLimits"] = [RATE_LIMIT | {"count": self._count(account)}]
        except RequestError as error:
            answer = {"id": identity, "status": error.status, "error": error.body}
        events, self._outbox[after:] = self._outbox[after:], []
        self.send(connection, compact(answer))              # the answer comes before the events it caused
        self._outbox += events

    def _call(self, connection: Connection, method, parameters: dict[str, str]):
        if method == "ping":
            return {}
        if method == "time":
            return {"serverTime": self.now_ns // 1_000_000}
        if method == "session.logon":
            return self._logon(connection, parameters)
        if method == "session.status":
            return self._session(connection)
        if method == "session.logout":
            connection.session_key = None
            return self._session(connection)
        if method == "userDataStream.subscribe":
            if connection.session_key is None:
                raise RequestError(401, -2015, "Invalid API-key, IP, or permissions for action.")
            return self._subscribe(connection, self.desk.account_of(connection.session_key))
        if method == "userDataStream.subscribe.signature":
            return self._subscribe(connection, self._authenticate(connection, parameters))
        if method == "userDataStream.unsubscribe":
            self._streams.pop(connection.id, None)
            return {}
        if method in REST.values():
            return self._perform(method, self._authenticate(connection, parameters), parameters)
        raise RequestError(400, -1142, f"Unknown method: '{method}'.")

    def _subscribe(self, connection: Connection, account: Account) -> dict:
        self._streams[connection.id] = (0, account)
        return {"subscriptionId": 0}

    def _logon(self, connection: Connection, parameters: dict[str, str]) -> dict:
        account = self._account(connection, parameters)
        if not account.settings.public_key:
            raise RequestError(400, -4056, "HMAC_SHA256 API key is not supported.")
        self._check_signed(account, parameters, _sorted_payload(parameters))
        connection.session_key = account.settings.api_key
        return self._session(connection)

    def _session(self, connection: Connection) -> dict:
        stamp = self.now_ns // 1_000_000
        return {"apiKey": connection.session_key, "authorizedSince": stamp if connection.session_key else None,
                "connectedSince": connection.opened_ns // 1_000_000, "returnRateLimits": True, "serverTime": stamp,
                "userDataStream": connection.id in self._streams}

    # authentication

    def _account(self, connection: Connection, parameters: dict[str, str]) -> Account:
        key = parameters.get("apiKey") or connection.session_key
        if not key:
            raise RequestError(400, -1102, _missing("apiKey"))
        account = self.desk.account_of(key)
        if account is None:
            raise RequestError(401, -2015, "Invalid API-key, IP, or permissions for action.")
        return account

    def _authenticate(self, connection: Connection, parameters: dict[str, str]) -> Account:
        account = self._account(connection, parameters)
        if "signature" not in parameters and connection.session_key == account.settings.api_key:
            self._check_time(parameters)
        else:
            self._check_signed(account, parameters, _sorted_payload(parameters))
        return account

    def _check_time(self, parameters: dict[str, str]) -> None:
        stamp, window = parameters.get("timestamp", ""), parameters.get("recvWindow", "5000")
        if not stamp.isdigit():
            raise RequestError(400, -1102, _missing("timestamp"))
        try:
            window_ns = to_scaled(window, 3) * 1_000
        except ValueError:
            raise RequestError(400, -1102, _missing("recvWindow")) from None
        if window_ns > 60 * SECOND_NS:
            raise RequestError(400, -1131, "recvWindow must be less than 60000.")
        sent_ns = int(stamp) * (1_000 if len(stamp) > 14 else 1_000_000)
        if sent_ns >= self.now_ns + SECOND_NS:
            raise RequestError(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if self.now_ns - sent_ns > window_ns + 1_000_000:       # their clock shows whole milliseconds
            raise RequestError(400, -1021, "Timestamp for this request is outside of the recvWindow.")

    def _check_signed(self, account: Account, parameters: dict[str, str], payload: str) -> None:
        signature = parameters.get("signature")
        if not signature:
            raise RequestError(400, -1102, _missing("signature"))
        self._check_time(parameters)
        if not _is_signed(account, payload, signature):
            raise RequestError(400, -1022, "Signature for this request is not valid.")

    # REST twins

    def request(self, method: str, path: str, query: str, headers, body: bytes) -> tuple[int, bytes]:
        action = REST.get((method, path.removeprefix(self.rest_root)))
        if action is None or self.desk is None:
            return super().request(method, path, query, headers, body)
        text = query + body.decode()
        payload, _, _ = text.rpartition("&signature=")
        parameters = dict(parse_qsl(body.decode())) | dict(parse_qsl(query))
        account = self.desk.account_of(headers.get("x-mbx-apikey", ""))
        if account is None:
            raise RequestError(401, -2015, "Invalid API-key, IP, or permissions for action.")
        self._check_signed(account, parameters, payload)
        return 200, compact(self._perform(action, account, parameters)).encode()

    # requests

    def _perform(self, method: str, account: Account, parameters: dict[str, str]):
        self.source.catch_up(self, self.now_ns)
        try:
            if method == "order.place":
                return self._place(account, parameters)
            if method == "order.cancel":
                order = self.desk.cancel(self._find(account, parameters), self.now_ns)
                return self.state(order) | {"origClientOrderId": order.client_id,
                                             "clientOrderId": f"cancel{order.order_id}",
                                             "transactTime": self.now_ns // 1_000_000}
            if method == "order.status":
                order = self._find(account, parameters)
                if order is None:
                    raise RequestError(400, -2013, "Order does not exist.")
                return self.state(order)
            if method == "account.status":
                return self.account_status(account)
            wanted = parameters.get("symbol")
            if method == "myTrades":
                self.instrument(wanted)
                return self.trades(account, wanted, int(parameters.get("fromId", "0")))
            found = [order for order in self.desk.open_orders(account) if wanted in (None, order.instrument.symbol)]
            if method == "openOrders.cancelAll":
                if not found:
                    raise Rejection(Reason.UNKNOWN_ORDER)
                found = [self.desk.cancel(order, self.now_ns) for order in found]
            return [self.state(order) for order in found]
        except Rejection as rejection:
            raise RequestError(400, *REFUSALS.get(rejection.reason, (-2010, "Order was rejected."))) from None

    def _find(self, account: Account, parameters: dict[str, str]) -> Order | None:
        self.instrument(parameters.get("symbol", ""))
        number, name = parameters.get("orderId"), parameters.get("origClientOrderId")
        if number is None and name is None:
            raise RequestError(400, -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were "
                                           "empty/null!")
        order = self.desk.orders.get(int(number)) if number else self.desk.by_client_id(account, name)
        if order is None or order.account is not account or order.instrument.symbol != parameters["symbol"]:
            return None
        return order if name is None or order.client_id == name else None

    def _place(self, account: Account, parameters: dict[str, str]) -> dict:
        order = self._read_order(account, parameters)
        if self._count(account) >= ORDERS_IN_10_SECONDS:
            raise RequestError(429, -1015, "Too many new orders; current limit is "
                                           f"{ORDERS_IN_10_SECONDS} orders per 10 SECOND.")
        self.desk.place(order, self.now_ns)
        window = self.now_ns // (10 * SECOND_NS)
        self._sent_in[account.index] = (window, self._count(account) + (not order.filled))
        kind = parameters.get("newOrderRespType", "ACK" if order.post_only else "FULL")
        answer = {"symbol": order.instrument.symbol, "orderId": order.order_id, "orderListId": -1,
                  "clientOrderId": order.client_id, "transactTime": self.now_ns // 1_000_000}
        if kind != "ACK":
            answer |= self.state(order)
            answer["workingTime"] = self.now_ns // 1_000_000
        if kind == "FULL":
            answer["fills"] = [self.fill_state(order, fill) for fill in order.fills]
        return answer

    def order_filled(self, order: Order, fill: Fill, at_ns: int) -> None:
        if len(order.fills) == 1 and fill.is_maker:             # a first fill gives the place among the orders back
            window, count = self._sent_in.get(order.account.index, (0, 0))
            self._sent_in[order.account.index] = (window, max(count - 1, 0))
        super().order_filled(order, fill, at_ns)

    def _count(self, account: Account) -> int:
        window, count = self._sent_in.get(account.index, (0, 0))
        return count if window == self.now_ns // (10 * SECOND_NS) else 0

    def _read_order(self, account: Account, parameters: dict[str, str]) -> Order:
        for name in ("symbol", "side", "type"):
            if not parameters.get(name):
                raise RequestError(400, -1102, _missing(name))
        instrument = self.instrument(parameters["symbol"])
        kind, side, force = parameters["type"], parameters["side"], parameters.get("timeInForce", "GTC")
        if kind not in TYPES:
            raise RequestError(400, -1116, "Invalid orderType.")
        if side not in ("BUY", "SELL"):
            raise RequestError(400, -1117, "Invalid side.")
        if force not in ("GTC", "IOC", "FOK"):
            raise RequestError(400, -1115, "Invalid timeInForce.")
        if kind == "LIMIT" and "timeInForce" not in parameters:
            raise RequestError(400, -1102, _missing("timeInForce"))
        if kind != "LIMIT" and "timeInForce" in parameters or kind == "MARKET" and "price" in parameters:
            extra = "timeInForce" if "timeInForce" in parameters else "price"
            raise RequestError(400, -1106, f"Parameter '{extra}' sent when not required.")
        client_id = parameters.get("newClientOrderId") or f"simulated{self.desk.next_id}"
        if not CLIENT_ID.match(client_id):
            raise RequestError(400, -1100, "Illegal characters found in parameter 'newClientOrderId'; legal range is "
                                           f"'{CLIENT_ID.pattern}'.")
        price = 0 if kind == "MARKET" else _number(parameters, "price", instrument.price_decimals)
        quantity = _number(parameters, "quantity", instrument.quantity_decimals)
        return Order(0, account, instrument, Side[side], TYPES[kind],
                     TimeInForce.IOC if kind == "MARKET" else TimeInForce[force], price, quantity, client_id,
                     post_only=kind == "LIMIT_MAKER")


def _missing(name: str) -> str:
    return f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."


def _number(parameters: dict[str, str], name: str, decimals: int) -> int:
    text = parameters.get(name)
    if not text:
        raise RequestError(400, -1102, _missing(name))
    if not re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?", text):
        raise RequestError(400, -1100, f"Illegal characters found in parameter '{name}'; legal range is "
                                       r"'^([0-9]{1,20})(\.[0-9]{1,20})?$'.")
    try:
        return to_scaled(text, decimals)
    except ValueError:
        raise RequestError(400, -1111, f"Parameter '{name}' has too much precision.") from None


def _sorted_payload(parameters: dict[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in sorted(parameters.items()) if name != "signature")


def _is_signed(account: Account, payload: str, signature: str) -> bool:
    if account.settings.public_key:
        try:
            load_pem_public_key(account.settings.public_key.encode()).verify(b64decode(signature), payload.encode())
        except (InvalidSignature, BadBase64):
            return False
        return True
    expected = hmac.new(account.settings.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature.lower())
