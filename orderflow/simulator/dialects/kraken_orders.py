"""Order entry of Kraken spot over WebSocket v2, and the private REST endpoints that go with it.

Source: Kraken's "Spot WebSocket v2" and "Spot REST" references, "Spot errors" and "Authentication" at docs.kraken.com.
A token from GetWebSocketsToken goes with every private request.
"""
import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from decimal import Decimal, InvalidOperation
from urllib.parse import parse_qsl

from orderflow._core.types import OrderType, Reason, Side, TimeInForce
from orderflow.simulator.accounts import Account, amount_text
from orderflow.simulator.dialects.kraken_executions import KrakenExecutions, kraken_id
from orderflow.simulator.dialects.kraken_words import REST_NAMES, Refused
from orderflow.simulator.exchange import NEVER_NS, SECOND_NS, Connection
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.numbers import to_scaled, to_text
from orderflow.simulator.order import Order, Rejection
from orderflow.simulator.orders import OrderDesk
from orderflow.simulator.words import timestamp, unix_ns

TOKEN_LIFE_NS = 900 * SECOND_NS
METHODS = ("add_order", "cancel_order", "cancel_all", "cancel_all_orders_after")
FORCES = {"gtc": TimeInForce.GTC, "ioc": TimeInForce.IOC, "gtd": TimeInForce.GTD, "fok": TimeInForce.FOK}
REFUSALS = {
    Reason.QUANTITY_BELOW_MINIMUM: "EOrder:Order minimum not met",
    Reason.QUANTITY_EXCEEDS_MAXIMUM: "EGeneral:Invalid arguments:order_qty",
    Reason.QUANTITY_OFF_LOT: "EGeneral:Invalid arguments:order_qty",
    Reason.PRICE_NOT_POSITIVE: "EOrder:Invalid price",
    Reason.PRICE_OUTSIDE_COLLAR: "EOrder:Invalid price",
    Reason.PRICE_OFF_TICK: "EOrder:Tick size check failed",
    Reason.NOTIONAL_BELOW_MINIMUM: "EOrder:Cost minimum not met",
    Reason.INSUFFICIENT_FUNDS: "EOrder:Insufficient funds",
    Reason.DUPLICATE_ORDER: "EGeneral:Invalid arguments:cl_ord_id already in use",
    Reason.POST_ONLY_WOULD_TAKE: "EOrder:Post only order",
    Reason.UNKNOWN_ORDER: "EOrder:Unknown order",
    Reason.TABLE_FULL: "EOrder:Orders limit exceeded",
}


class KrakenOrders(KrakenExecutions):
    """Order entry for the accounts given."""

    takes_orders = True

    def __init__(self, source, name: str = "", accounts=()):
        super().__init__(source, name)
        self.desk = OrderDesk(self, tuple(accounts), fee_in_quote=True) if accounts else None
        self._tokens: dict[str, tuple[Account, int]] = {}       # token -> (account, time until it must be used)
        self._nonces: dict[str, int] = {}
        self._switches: dict[int, int] = {}                     # account -> when its dead man's switch falls

    # websocket

    def command(self, connection: Connection, request: dict, method) -> None:
        """A request of the private side."""
        try:
            parameters = request.get("params")
            if method not in METHODS or self.desk is None:
                super().command(connection, request, method)
                return
            if not isinstance(parameters, dict):
                raise Refused("EGeneral:Invalid arguments")
            account = self._account_of(parameters)
            self.source.catch_up(self, self.now_ns)
            if method == "add_order":
                self._add(connection, request, account, parameters)
            elif method == "cancel_order":
                self._cancel(connection, request, account, parameters)
            elif method == "cancel_all":
                after = len(self._outbox)
                count = self._cancel_all(account)
                self._first(connection, request, {"method": method, "result": {"count": count}, "success": True}, after)
            else:
                self._arm(connection, request, account, parameters)
        except Refused as refusal:
            self.refuse(connection, request, method, refusal)

    def _cancel_all(self, account: Account) -> int:
        found = self.desk.open_orders(account)
        for order in found:
            self.desk.cancel(order, self.now_ns)
        return len(found)

    def _arm(self, connection: Connection, request: dict, account: Account, parameters: dict) -> None:
        """Set the dead man's switch, or with timeout 0 take it away."""
        seconds = parameters.get("timeout")
        if not isinstance(seconds, int) or not 0 <= seconds <= 86400:
            raise Refused("EGeneral:Invalid arguments:timeout")
        self._switches.pop(account.index, None)
        if seconds:
            self._switches[account.index] = self.now_ns + seconds * SECOND_NS
        result = {"currentTime": timestamp(self.now_ns),
                  "triggerTime": timestamp(self.now_ns + seconds * SECOND_NS) if seconds else "0"}
        self.reply(connection, request, {"method": "cancel_all_orders_after", "result": result, "success": True})

    def advance(self, now_ns: int) -> None:
        super().advance(now_ns)
        for index, due_ns in list(self._switches.items()):
            if due_ns <= now_ns:
                del self._switches[index]           # it stays off until it is set again
                self._cancel_all(self.desk.accounts[index - 1])

    def next_ns(self) -> int:
        return min(super().next_ns(), *self._switches.values(), NEVER_NS)

    def _first(self, connection: Connection, request: dict, fields: dict, after: int | None = None) -> None:
        """Send an answer; it comes before the events since the outbox was `after` long."""
        events = []
        if after is not None:
            events, self._outbox[after:] = self._outbox[after:], []
        self.reply(connection, request, fields)
        self._outbox += events

    def _add(self, connection: Connection, request: dict, account: Account, parameters: dict) -> None:
        order = self._read_order(account, parameters)
        after = len(self._outbox)
        if parameters.get("validate") is not True:
            try:
                self.desk.place(order, self.now_ns)
            except Rejection as rejection:
                raise Refused(REFUSALS.get(rejection.reason, "EGeneral:Internal error")) from None
        result = {"order_id": self.order_name(order)}
        if "cl_ord_id" in parameters:
            result["cl_ord_id"] = order.client_id
        self._first(connection, request, {"method": "add_order", "result": result, "success": True}, after)

    def _cancel(self, connection: Connection, request: dict, account: Account, parameters: dict) -> None:
        names = [("order_id", name) for name in _list(parameters, "order_id")]
        names += [("cl_ord_id", name) for name in _list(parameters, "cl_ord_id")]
        if not names:
            raise Refused("EGeneral:Invalid arguments:order_id")
        for kind, name in names:
            order = self._find(account, kind, name)
            after = len(self._outbox)
            try:
                self.desk.cancel(order, self.now_ns)
            except Rejection as rejection:
                self._first(connection, request, {"method": "cancel_order", "error": REFUSALS[rejection.reason],
                                                  "success": False})
            else:
                result = {"order_id": self.order_name(order)} | ({kind: name} if kind == "cl_ord_id" else {})
                self._first(connection, request, {"method": "cancel_order", "result": result, "success": True}, after)

    def _find(self, account: Account, kind: str, name: str) -> Order | None:
        if kind == "cl_ord_id":
            return self.desk.by_client_id(account, name)
        return next((order for order in self.desk.open_orders(account) if self.order_name(order) == name), None)

    def private_subscription(self, connection: Connection, request: dict, method: str, parameters: dict) -> None:
        channel = parameters.get("channel")
        if channel not in ("executions", "balances") or self.desk is None:
            super().private_subscription(connection, request, method, parameters)
            return
        account = self._account_of(parameters)
        key = (connection.id, channel)
        if method == "unsubscribe":
            if self._private.pop(key, None) is None:
                raise Refused("Subscription Not Found")
            self.unsubscribe(connection, key)
            self.reply(connection, request, {"method": method, "result": {"channel": channel}, "success": True})
            return
        if key in self._private:
            raise Refused("Already subscribed")
        orders, trades = parameters.get("snap_orders", True), parameters.get("snap_trades", False)
        result = {"channel": channel} | ({"maxratecount": 180, "snap_orders": orders, "snap_trades": trades}
                                         if channel == "executions" else {"snapshot": True})
        self.reply(connection, request, {"method": method, "result": result, "success": True})
        self.subscribe(connection, key)         # so that heartbeats are sent
        if channel == "executions":
            self.start_executions(connection, account, orders, trades)
        else:
            self.start_balances(connection, account)

    def _account_of(self, parameters: dict) -> Account:
        account, until_ns = self._tokens.get(str(parameters.get("token")), (None, 0))
        if account is None:
            raise Refused("EAuth:Invalid token" if "token" in parameters else "EGeneral:Invalid arguments:token")
        if self.now_ns > until_ns and not any(owner is account for owner, _ in self._private.values()):
            raise Refused("EAuth:Token expired")
        return account

    def _read_order(self, account: Account, parameters: dict) -> Order:
        try:
            instrument = self.instrument(parameters.get("symbol"))
        except Refused:
            raise Refused("EQuery:Unknown asset pair") from None
        kind, side = parameters.get("order_type"), parameters.get("side")
        force = parameters.get("time_in_force", "gtc")
        if kind not in ("limit", "market") or side not in ("buy", "sell") or force not in FORCES:
            wrong = ("order_type" if kind not in ("limit", "market") else
                     "side" if side not in ("buy", "sell") else "time_in_force")
            raise Refused(f"EGeneral:Invalid arguments:{wrong}")
        if "deadline" in parameters and _time(parameters, "deadline") < self.now_ns:
            raise Refused("EService:Deadline elapsed")
        expires_ns = _time(parameters, "expire_time") if force == "gtd" else NEVER_NS
        client_id = parameters.get("cl_ord_id", f"={self.desk.next_id}")
        if not isinstance(client_id, str) or not client_id.isascii() or len(client_id) > 36:
            raise Refused("EGeneral:Invalid arguments:cl_ord_id")
        price = 0 if kind == "market" else _number(parameters, "limit_price", instrument.price_decimals,
                                                   "EOrder:Tick size check failed")
        quantity = _number(parameters, "order_qty", instrument.quantity_decimals,
                           "EGeneral:Invalid arguments:order_qty")
        return Order(0, account, instrument, Side[side.upper()],
                     OrderType.MARKET if kind == "market" else OrderType.LIMIT,
                     TimeInForce.IOC if kind == "market" else FORCES[force], price, quantity, client_id,
                     post_only=parameters.get("post_only") is True, expires_ns=expires_ns)

    # REST

    def request(self, method: str, path: str, parameters: dict[str, str], headers, body: bytes):
        if not path.startswith("/0/private/") or self.desk is None:
            return super().request(method, path, parameters, headers, body)
        account = self._authenticate(method, path, headers, body)
        self.source.catch_up(self, self.now_ns)
        if path == "/0/private/GetWebSocketsToken":
            number = len(self._tokens) + 1
            token = b64encode(hashlib.sha256(f"{self.name}/{account.settings.api_key}/{number}".encode()).digest())
            self._tokens[token.decode()] = (account, self.now_ns + TOKEN_LIFE_NS)
            return {"token": token.decode(), "expires": TOKEN_LIFE_NS // SECOND_NS}
        if path == "/0/private/Balance":
            return {REST_NAMES.get(asset, asset): amount_text(account.total(asset), 10) for asset in account.assets}
        if path == "/0/private/OpenOrders":
            return {"open": {self.order_name(order): self._order_info(order)
                             for order in self.desk.open_orders(account)}}
        if path == "/0/private/QueryOrders":
            wanted = dict(parse_qsl(body.decode())).get("txid", "").split(",")
            return {self.order_name(order): self._order_info(order) for order in self.desk.orders.values()
                    if order.account is account and self.order_name(order) in wanted}
        if path == "/0/private/TradesHistory":
            trades = [(order, fill) for order in self.desk.orders.values() if order.account is account
                      for fill in order.fills]
            return {"count": len(trades), "trades": {
                kraken_id("T", 2 * fill.trade_id + fill.is_maker): self._trade_info(order, fill)
                for order, fill in trades[-50:]}}
        raise Refused("EGeneral:Unknown method")

    def _authenticate(self, method: str, path: str, headers, body: bytes) -> Account:
        account = self.desk.account_of(headers.get("api-key", ""))
        if account is None or method != "POST":
            raise Refused("EAPI:Invalid key" if method == "POST" else "EGeneral:Unknown method")
        text = body.decode()
        try:
            fields = json.loads(text) if text.startswith("{") else dict(parse_qsl(text))
            nonce = str(fields["nonce"])
            number = int(nonce)
        except (ValueError, KeyError):
            raise Refused("EAPI:Invalid nonce") from None
        digest = path.encode() + hashlib.sha256((nonce + text).encode()).digest()
        expected = b64encode(hmac.new(b64decode(account.settings.secret), digest, hashlib.sha512).digest()).decode()
        if not hmac.compare_digest(expected, headers.get("api-sign", "")):
            raise Refused("EAPI:Invalid signature")
        if number <= self._nonces.get(account.settings.api_key, 0):
            raise Refused("EAPI:Invalid nonce")
        self._nonces[account.settings.api_key] = number
        return account

    def _order_info(self, order: Order) -> dict:
        instrument = order.instrument
        price, quantity = instrument.price_decimals, instrument.quantity_decimals
        return {"refid": None, "userref": 0, "cl_ord_id": order.client_id,
                "status": "open" if order.leaves else "closed" if order.leaves == 0 and order.filled else "canceled",
                "opentm": order.created_ns / 1e9, "vol": to_text(order.quantity, quantity),
                "vol_exec": to_text(order.filled, quantity), "cost": to_text(order.notional, price + quantity),
                "descr": {"pair": instrument.symbol, "type": Side(order.side).name.lower(), "ordertype":
                          "market" if order.order_type == OrderType.MARKET else "limit",
                          "price": to_text(order.price, price)}}

    def _trade_info(self, order: Order, fill) -> dict:
        instrument: SimulatedInstrument = order.instrument
        price, quantity = instrument.price_decimals, instrument.quantity_decimals
        return {"ordertxid": self.order_name(order), "pair": instrument.rest_symbol, "time": order.updated_ns / 1e9,
                "type": Side(order.side).name.lower(), "price": to_text(fill.price, price),
                "cost": to_text(fill.price * fill.quantity, price + quantity), "fee": to_text(fill.fee, 8),
                "vol": to_text(fill.quantity, quantity), "trade_id": fill.trade_id, "maker": fill.is_maker}


def _list(parameters: dict, name: str) -> list[str]:
    names = parameters.get(name, [])
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise Refused(f"EGeneral:Invalid arguments:{name}")
    return names


def _number(parameters: dict, name: str, decimals: int, refusal: str) -> int:
    if name not in parameters or isinstance(parameters[name], bool | list | dict):
        raise Refused(f"EGeneral:Invalid arguments:{name}")
    try:
        number = Decimal(str(parameters[name]))         # JSON numbers may have an exponent
        if abs(number.adjusted()) > 30:
            raise Refused(refusal)
        return to_scaled(f"{number:f}", decimals)
    except (ValueError, InvalidOperation):
        raise Refused(refusal) from None


def _time(parameters: dict, name: str) -> int:
    try:
        return unix_ns(parameters[name])
    except (KeyError, TypeError, ValueError):
        raise Refused(f"EGeneral:Invalid arguments:{name}") from None
