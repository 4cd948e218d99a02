"""Order entry of Binance spot: the WebSocket API and its REST twins.

Source: Binance's "WebSocket API for Binance", "Public REST API for Binance", "Errors", "Filters", "Order Amend Keep
Priority" (spot). Requests are checked in the exchange's order: weight, parameters, key, time, signature, filters,
funds.
"""
import json
from urllib.parse import parse_qsl

from orderflow._core.types import OrderStatus, Reason
from orderflow.simulator.accounts import Account
from orderflow.simulator.dialects.binance import RequestError, compact
from orderflow.simulator.dialects.binance_limits import (
    CONNECTING,
    ORDER_WINDOWS,
    OrderCount,
    Overrun,
    WeightLimit,
    weight_of,
)
from orderflow.simulator.dialects.binance_order_fields import client_id, missing, number, read_order
from orderflow.simulator.dialects.binance_queries import BinanceQueries
from orderflow.simulator.dialects.binance_wallet import wallet
from orderflow.simulator.exchange import Connection, Response
from orderflow.simulator.order import Fill, Order, Rejection
from orderflow.simulator.orders import OrderDesk

API_PATH = "/ws-api/v3"
MOST_OPEN = 200                 # MAX_NUM_ORDERS
MOST_PARTS = 10                 # ICEBERG_PARTS
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
    Reason.TABLE_FULL: (-1013, "Filter failure: MAX_NUM_ORDERS"),
    Reason.RATE_LIMITED: (-1008, "Server is currently overloaded with other requests. "
                                 "Please try again in a few minutes."),
}
DETAILS = {"display": (-1013, "Filter failure: ICEBERG_PARTS"), "trigger": (-2010, "Order would trigger immediately.")}
#: REST twin -> method of the WebSocket API
REST = {
    ("POST", "/order"): "order.place", ("POST", "/order/test"): "order.test", ("DELETE", "/order"): "order.cancel",
    ("GET", "/order"): "order.status", ("POST", "/order/cancelReplace"): "order.cancelReplace",
    ("PUT", "/order/amend/keepPriority"): "order.amend.keepPriority", ("GET", "/openOrders"): "openOrders.status",
    ("DELETE", "/openOrders"): "openOrders.cancelAll", ("GET", "/allOrders"): "allOrders",
    ("GET", "/account"): "account.status", ("GET", "/account/commission"): "account.commission",
    ("GET", "/myTrades"): "myTrades", ("GET", "/rateLimit/order"): "account.rateLimits.orders",
}
COUNTED = ("order.place", "order.cancelReplace")        # what tells how many orders there were


class BinanceOrders(BinanceQueries):
    """Order entry for the accounts given."""

    takes_orders = True

    def __init__(self, source, name: str = "", accounts=()):
        super().__init__(source, name)
        self.weights = WeightLimit()
        self.desk = OrderDesk(self, tuple(accounts), fee_in_quote=False, most_open=MOST_OPEN, most_parts=MOST_PARTS,
                              triggers_at_once=False) if accounts else None
        self._counts: dict[int, OrderCount] = {account.index: OrderCount()
                                               for account in (self.desk.accounts if self.desk else ())}

    @property
    def limit_refusals(self) -> int:
        """Requests that were refused because there were too many of them."""
        return self.weights.refusals + sum(count.refusals for count in self._counts.values())

    def allow(self, weight: int, windows: tuple[tuple[str, int, int, int], ...]) -> None:
        """Other limits than Binance's: weight in a minute, and of orders as `order_windows` has them."""
        self.weights.limit = weight
        for count in self._counts.values():
            count.windows = windows

    @property
    def order_windows(self) -> tuple[tuple[str, int, int, int], ...]:
        """In which orders of an account are counted: (interval, number, its nanoseconds, limit)."""
        return next((count.windows for count in self._counts.values()), ORDER_WINDOWS)

    # WebSocket API

    def accepts(self, path: str) -> bool:
        return path.partition("?")[0] == API_PATH and self.desk is not None or super().accepts(path)

    def opened(self, connection: Connection) -> None:
        if connection.path.startswith(API_PATH):
            self.weights.add(CONNECTING, self.now_ns)
        else:
            super().opened(connection)

    def received(self, connection: Connection, text: str) -> None:
        if not connection.path.startswith(API_PATH):
            super().received(connection, text)
            return
        identity, method, parameters = None, "", {}
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
            self._charge(method, "", parameters)
            answer = {"id": identity, "status": 200, "result": self._call(connection, method, parameters)}
        except RequestError as error:
            answer = {"id": identity, "status": error.status, "error": error.body}
        if parameters.get("returnRateLimits") != "false":
            answer["rateLimits"] = self._rate_limits(connection, method, parameters)
        events, self._outbox[after:] = self._outbox[after:], []
        self.send(connection, compact(answer))              # the answer comes before the events it caused
        self._outbox += events

    def _rate_limits(self, connection: Connection, method: str, parameters: dict[str, str]) -> list[dict]:
        account = self.desk.account_of(parameters.get("apiKey") or connection.session_key or "")
        rows = self._counts[account.index].rows(self.now_ns) if account and method in COUNTED else []
        return [*rows, self.weights.row()]

    def _call(self, connection: Connection, method, parameters: dict[str, str]):
        if method == "ping":
            return {}
        if method == "time":
            return {"serverTime": self.stamp(self.now_ns)}
        answer = self.session_call(connection, method, parameters)
        if answer is not None:
            return answer
        if method in REST.values():
            return self._perform(method, self.authenticate(connection, parameters), parameters)
        raise RequestError(400, -1142, f"Unknown method: '{method}'.")

    # REST twins

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        answer = super().http(method, path, query, headers, body, now_ns)
        answer.headers["X-MBX-USED-WEIGHT"] = answer.headers["X-MBX-USED-WEIGHT-1M"] = str(self.weights.used)
        account = self.desk.account_of(headers.get("x-mbx-apikey", "")) if self.desk else None
        if account is not None and method in ("POST", "PUT"):
            for row in self._counts[account.index].rows(now_ns):
                answer.headers[f"X-MBX-ORDER-COUNT-{row['intervalNum']}{row['interval'][0]}"] = str(row["count"])
        return answer

    def request(self, method: str, path: str, query: str, headers, body: bytes) -> tuple[int, bytes]:
        name = path.removeprefix(self.rest_root)
        parameters = dict(parse_qsl(body.decode(), keep_blank_values=True)) | dict(
            parse_qsl(query, keep_blank_values=True))
        self._charge(name, method, parameters)
        if name == "/userDataStream" and self.desk is not None:
            return 200, compact(self._listen(method, headers, parameters)).encode()
        coins = wallet(path, self.instruments) if method == "GET" else None
        if coins is not None:
            return 200, compact(coins).encode()
        action = REST.get((method, name))
        if action is None or self.desk is None:
            return super().request(method, path, query, headers, body)
        payload, _, _ = (query + body.decode()).rpartition("&signature=")
        account = self.account_of_key(headers.get("x-mbx-apikey", ""))
        self.check_signed(account, parameters, payload)
        return 200, compact(self._perform(action, account, parameters)).encode()

    def _listen(self, method: str, headers, parameters: dict[str, str]) -> dict:
        account = self.account_of_key(headers.get("x-mbx-apikey", ""))
        if method == "POST":
            return {"listenKey": self.listen_key(account)}
        if method not in ("PUT", "DELETE"):
            raise RequestError(404, -1000, f"{method} /userDataStream is not an endpoint of {self.protocol}.")
        key = parameters.get("listenKey", "")
        if not key:
            raise RequestError(400, -1102, missing("listenKey"))
        (self.keep_listen_key if method == "PUT" else self.drop_listen_key)(account, key)
        return {}

    def _charge(self, name: str, method: str, parameters: dict[str, str]) -> None:
        try:
            self.weights.charge(weight_of(name, method, parameters), self.now_ns)
        except Overrun as overrun:
            wait = -(-(overrun.until_ns - self.now_ns) // 10**9)
            until = self.stamp(overrun.until_ns)
            words = (f"Too much request weight used; current limit is {self.weights.limit} request weight per 1 "
                     "MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."
                     if overrun.status == 429 else
                     f"Way too much request weight used; IP banned until {until}. Please use WebSocket Streams for "
                     "live updates to avoid bans.")
            raise RequestError(overrun.status, -1003, words, {"Retry-After": str(wait)},
                               {"serverTime": self.stamp(self.now_ns), "retryAfter": until}) from None

    # requests

    def _perform(self, method: str, account: Account, parameters: dict[str, str]):
        self.source.catch_up(self, self.now_ns)
        try:
            match method:
                case "order.place":
                    return self._place(account, parameters)
                case "order.test":
                    instrument = self.instrument(parameters.get("symbol", ""))
                    self.desk.validate(read_order(account, instrument, parameters, self.desk.next_id))
                    return {}
                case "order.cancel":
                    return self._cancel(account, parameters)
                case "order.cancelReplace":
                    return self._cancel_replace(account, parameters)
                case "order.amend.keepPriority":
                    return self._amend(account, parameters)
                case "openOrders.cancelAll":
                    return self._cancel_all(account, parameters)
                case "account.rateLimits.orders":
                    return self._counts[account.index].rows(self.now_ns)
            return self.query(method, account, parameters)
        except Rejection as rejection:
            raise _refused(rejection) from None

    def _place(self, account: Account, parameters: dict[str, str]) -> dict:
        if not parameters.get("symbol"):
            raise RequestError(400, -1102, missing("symbol"))
        order = read_order(account, self.instrument(parameters["symbol"]), parameters, self.desk.next_id)
        count = self._counts[account.index]
        exceeded = count.exceeded(self.now_ns)
        if exceeded:
            raise RequestError(429, -1015, f"Too many new orders; current limit is {exceeded}.")
        self.desk.place(order, self.now_ns)
        if not order.filled:
            count.add(1, self.now_ns)
        plain = order.kind in ("limit", "market") and not order.post_only
        kind = parameters.get("newOrderRespType", "FULL" if plain else "ACK")
        answer = {"symbol": order.instrument.symbol, "orderId": order.order_id, "orderListId": -1,
                  "clientOrderId": order.client_id, "transactTime": self.stamp(self.now_ns)}
        if kind != "ACK":
            answer |= self.state(order)
            answer["workingTime"] = self.stamp(self.now_ns) if not order.waits else -1
        if kind == "FULL":
            answer["fills"] = [self.fill_state(order, fill) for fill in order.fills]
        return answer

    def order_filled(self, order: Order, fill: Fill, at_ns: int) -> None:
        if len(order.fills) == 1 and fill.is_maker:             # a first fill gives the place among the orders back
            self._counts[order.account.index].add(-1, self.now_ns)
        super().order_filled(order, fill, at_ns)

    def _cancel(self, account: Account, parameters: dict[str, str], prefix: str = "") -> dict:
        """`prefix` is that of cancelReplace, whose own names are those of the new order."""
        order = self.find(account, parameters, prefix)
        restriction = parameters.get("cancelRestrictions")
        if restriction not in (None, "ONLY_NEW", "ONLY_PARTIALLY_FILLED"):
            raise RequestError(400, -1145, "Invalid cancelRestrictions")
        wanted = {"ONLY_NEW": OrderStatus.NEW, "ONLY_PARTIALLY_FILLED": OrderStatus.PARTIAL}.get(restriction)
        if order is not None and order.is_open:
            if wanted not in (None, order.status):
                raise RequestError(400, -2011, "Order was not canceled due to cancel restrictions.")
            name = "cancelNewClientOrderId" if prefix else "newClientOrderId"
            self._cancel_ids[order.order_id] = client_id(parameters, name, f"cancel{order.order_id}")
        return self._cancelled(self.desk.cancel(order, self.now_ns))

    def _cancelled(self, order: Order) -> dict:
        return self.state(order) | {"origClientOrderId": order.client_id, "clientOrderId": self.cancel_id(order),
                                    "transactTime": self.stamp(self.now_ns)}

    def _cancel_all(self, account: Account, parameters: dict[str, str]) -> list[dict]:
        symbol = self.instrument(parameters.get("symbol", "")).symbol
        found = [order for order in self.desk.open_orders(account) if order.instrument.symbol == symbol]
        if not found:
            raise Rejection(Reason.UNKNOWN_ORDER)
        return [self._cancelled(self.desk.cancel(order, self.now_ns)) for order in found]

    def _cancel_replace(self, account: Account, parameters: dict[str, str]) -> dict:
        """A cancel and a new order, each on its own: the second can fail where the first did not."""
        mode = parameters.get("cancelReplaceMode")
        if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
            raise RequestError(400, -1102, missing("cancelReplaceMode"))
        answers: dict[str, dict | None] = {"cancelResponse": None, "newOrderResponse": None}
        results = {"cancelResult": "SUCCESS", "newOrderResult": "NOT_ATTEMPTED"}
        steps = (("cancel", "cancelResult", lambda: self._cancel(account, parameters, "cancel")),
                 ("newOrder", "newOrderResult", lambda: self._place(account, parameters)))
        for name, result, step in steps:
            try:
                answers[f"{name}Response"], results[result] = step(), "SUCCESS"
            except (RequestError, Rejection) as error:
                refusal = _refused(error) if isinstance(error, Rejection) else error
                answers[f"{name}Response"], results[result] = refusal.body, "FAILURE"
                if mode == "STOP_ON_FAILURE":
                    break
        outcome = results | answers
        failed = [result != "SUCCESS" for result in results.values()]
        if all(failed):
            raise RequestError(400, -2022, "Order cancel-replace failed.", data=outcome)
        if any(failed):
            raise RequestError(409, -2021, "Order cancel-replace partially failed.", data=outcome)
        return outcome

    def _amend(self, account: Account, parameters: dict[str, str]) -> dict:
        order = self.find(account, parameters)
        if order is None or not order.is_open:
            raise RequestError(400, -2013, "Order does not exist.")
        quantity = number(parameters, "newQty", order.instrument.quantity_decimals)
        if parameters.get("newClientOrderId", order.client_id) != order.client_id:
            raise RequestError(400, -2038, "Order amend (client order ID change) is not supported for this symbol.")
        if not order.filled < quantity < order.quantity:
            words = ("Order amend (quantity increase) is not supported for this symbol." if quantity > order.quantity
                     else "The requested action would change no state; rejecting.")
            raise RequestError(400, -2038, words)
        self.desk.amend(order, self.now_ns, quantity=quantity)
        state = self.state(order)
        return {"transactTime": self.stamp(self.now_ns), "executionId": self._executions, "amendedOrder": {
            "symbol": state["symbol"], "orderId": order.order_id, "orderListId": -1,
            "origClientOrderId": order.client_id, "clientOrderId": order.client_id, "price": state["price"],
            "qty": state["origQty"], "executedQty": state["executedQty"], "preventedQty": "0.00000000",
            "quoteOrderQty": "0.00000000", "cumulativeQuoteQty": state["cummulativeQuoteQty"],
            "status": state["status"], "timeInForce": state["timeInForce"], "type": state["type"],
            "side": state["side"], "workingTime": state["workingTime"],
            "selfTradePreventionMode": state["selfTradePreventionMode"]}}


def _refused(rejection: Rejection) -> RequestError:
    known = DETAILS.get(rejection.detail) or REFUSALS.get(rejection.reason, (-2010, "Order was rejected."))
    return RequestError(400, *known)
