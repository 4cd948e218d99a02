"""Order entry of Kraken spot: what both of its doors do, and the WebSocket v2 one. kraken_rest.py is the other.

Source: Kraken's "Spot WebSocket v2: user trading" and "Spot errors" at docs.kraken.com. A token from
GetWebSocketsToken goes with every private request.
"""
from dataclasses import replace

from orderflow._core.types import OrderType, Reason
from orderflow.simulator.accounts import Account
from orderflow.simulator.dialects.kraken_accounts import KrakenAccounts
from orderflow.simulator.dialects.kraken_executions import kraken_id
from orderflow.simulator.dialects.kraken_limits import AMEND, CANCEL, EDIT, penalty
from orderflow.simulator.dialects.kraken_order_fields import QUANTITY_REFUSAL, TICK_REFUSAL, invalid, number, read_order
from orderflow.simulator.dialects.kraken_words import Refused
from orderflow.simulator.exchange import NEVER_NS, SECOND_NS, Connection
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.order import Ending, Order, Rejection
from orderflow.simulator.orders import OrderDesk
from orderflow.simulator.words import timestamp

MOST_IN_BATCH = 15
REFUSALS = {
    Reason.QUANTITY_BELOW_MINIMUM: "EOrder:Order minimum not met",
    Reason.QUANTITY_EXCEEDS_MAXIMUM: QUANTITY_REFUSAL,
    Reason.QUANTITY_OFF_LOT: QUANTITY_REFUSAL,
    Reason.QUANTITY_NOT_POSITIVE: QUANTITY_REFUSAL,
    Reason.PRICE_NOT_POSITIVE: "EOrder:Invalid price",
    Reason.PRICE_OUTSIDE_COLLAR: "EOrder:Invalid price",
    Reason.PRICE_OFF_TICK: TICK_REFUSAL,
    Reason.NOTIONAL_BELOW_MINIMUM: "EOrder:Cost minimum not met",
    Reason.INSUFFICIENT_FUNDS: "EOrder:Insufficient funds",
    Reason.DUPLICATE_ORDER: "EGeneral:Invalid arguments:cl_ord_id already in use",
    Reason.POST_ONLY_WOULD_TAKE: "EOrder:Post only order",
    Reason.UNKNOWN_ORDER: "EOrder:Unknown order",
    Reason.TABLE_FULL: "EOrder:Orders limit exceeded",
    Reason.RATE_LIMITED: "EService:Busy",
}


class KrakenOrders(KrakenAccounts):
    """Order entry for the accounts given."""

    takes_orders = True

    def __init__(self, source, name: str = "", accounts=()):
        super().__init__(source, name)
        self.desk = OrderDesk(self, tuple(accounts), fee_in_quote=True) if accounts else None
        self._switches: dict[int, int] = {}                     # account -> when its dead man's switch falls
        self._changes = 0                                       # amendments made

    # what both doors do

    def enter(self, account: Account, parameters: dict, validate: bool = False) -> Order:
        """Place an order, or only look whether it may be."""
        order = read_order(account, self._listed(parameters), parameters, self.desk.next_id,
                           self.now_ns + self.skew_ns)
        try:
            if validate:
                self.desk.validate(order)
                return order
            self.count(account, order.instrument.symbol, 1)
            if self._open_in(account, order.instrument) >= self.tier_of(account).open_orders:
                raise Rejection(Reason.TABLE_FULL)
            return self.desk.place(order, self.now_ns)
        except Rejection as rejection:
            raise refused(rejection) from None

    def withdraw(self, account: Account, order: Order | None) -> Order:
        """Cancel one order."""
        try:
            cancelled = self.desk.cancel(order, self.now_ns)
        except Rejection as rejection:
            raise refused(rejection) from None
        age_ns = self.now_ns - cancelled.created_ns
        self.count(account, cancelled.instrument.symbol, penalty(CANCEL, age_ns), refuse=False)
        return cancelled

    def withdraw_all(self, account: Account, ending: Ending = Ending.REQUESTED) -> int:
        """Cancel all orders of an account; how many there were."""
        found = self.desk.open_orders(account)
        for order in found:
            self.desk.cancel(order, self.now_ns, ending)
        return len(found)

    def change(self, account: Account, order: Order | None, parameters: dict) -> str:
        """Amend an order in place; the amendment's id."""
        if order is None or not order.is_open:
            raise Refused("EOrder:Unknown order")
        digits, price_digits = order.instrument.quantity_decimals, order.instrument.price_decimals
        wanted: dict = {}
        for name, field, decimals, refusal in (
                ("order_qty", "quantity", digits, QUANTITY_REFUSAL),
                ("display_qty", "display", digits, QUANTITY_REFUSAL),
                ("limit_price", "price", price_digits, TICK_REFUSAL),
                ("trigger_price", "trigger_price", price_digits, TICK_REFUSAL)):
            if name in parameters:
                wanted[field] = number(parameters, name, decimals, refusal)
        if "post_only" in parameters:
            wanted["post_only"] = parameters["post_only"] in (True, "true")
        if not wanted or ("price" in wanted and order.order_type == OrderType.MARKET) or (
                "trigger_price" in wanted and not order.waits) or ("display" in wanted and not order.display):
            raise invalid(next(iter(wanted), "order_qty"))
        self.count(account, order.instrument.symbol, 1 + penalty(AMEND, self.now_ns - order.created_ns))
        try:
            self.desk.amend(order, self.now_ns, **wanted)
        except Rejection as rejection:
            raise refused(rejection) from None
        self._changes += 1
        return kraken_id("T", (1 << 60) + self._changes)

    def edit(self, account: Account, order: Order | None, parameters: dict) -> Order:
        """Replace an order by a new one with a new id; where that may not be, the old one stays.

        A quantity that is named is that of the whole: what was filled is part of it.
        """
        if order is None or not order.is_open:
            raise Refused("EOrder:Unknown order")
        instrument = order.instrument
        self._listed(parameters)
        quantity, price, trigger = order.quantity, order.price, order.trigger
        if "order_qty" in parameters:
            quantity = number(parameters, "order_qty", instrument.quantity_decimals, QUANTITY_REFUSAL)
        if "limit_price" in parameters:
            price = number(parameters, "limit_price", instrument.price_decimals, TICK_REFUSAL)
        if "triggers" in parameters and trigger is not None:
            trigger = trigger._replace(price=number(parameters["triggers"], "price", instrument.price_decimals,
                                                    TICK_REFUSAL))
        new = replace(order, order_id=0, quantity=quantity - order.filled, price=price, trigger=trigger, filled=0,
                      notional=0, reserved=0, fills=[], prevented=0, triggered_ns=0,
                      post_only=parameters.get("post_only", order.post_only) is True,
                      user_reference=parameters.get("order_userref", order.user_reference))
        if new.client_id.startswith("="):
            new.client_id = f"={self.desk.next_id}"
        self.count(account, instrument.symbol, 1 + penalty(EDIT, self.now_ns - order.created_ns))
        try:
            return self.desk.replace(order, new, self.now_ns)
        except Rejection as rejection:
            raise refused(rejection) from None

    def find(self, account: Account, kind: str, name: str | int) -> Order | None:
        """An order by `order_id`, `cl_ord_id` or `order_userref` (the newest open one of several)."""
        if kind == "cl_ord_id":
            return self.desk.by_client_id(account, name)
        found = [order for order in self.desk.open_orders(account)
                 if (self.order_name(order) if kind == "order_id" else order.user_reference) == name]
        return found[-1] if found else None

    def arm(self, account: Account, seconds) -> dict:
        """Set the dead man's switch, or with 0 take it away."""
        if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 <= seconds <= 86400:
            raise invalid("timeout")
        self._switches.pop(account.index, None)
        if seconds:
            self._switches[account.index] = self.now_ns + seconds * SECOND_NS
        return {"currentTime": timestamp(self.now_ns),
                "triggerTime": timestamp(self.now_ns + seconds * SECOND_NS) if seconds else "0"}

    def advance(self, now_ns: int) -> None:
        super().advance(now_ns)
        for index, due_ns in list(self._switches.items()):
            if due_ns <= now_ns:
                del self._switches[index]           # it stays off until it is set again
                self.withdraw_all(self.desk.accounts[index - 1], Ending.DEAD_MAN)

    def next_ns(self) -> int:
        return min(super().next_ns(), *self._switches.values(), NEVER_NS)

    def _listed(self, parameters: dict) -> SimulatedInstrument:
        try:
            return self.instrument(parameters.get("symbol"))
        except Refused:
            raise Refused("EQuery:Unknown asset pair") from None

    def _open_in(self, account: Account, instrument: SimulatedInstrument) -> int:
        return sum(order.instrument.symbol == instrument.symbol for order in self.desk.open_orders(account))

    # websocket

    def command(self, connection: Connection, request: dict, method) -> None:
        """A request of the private side."""
        commands = {"add_order": self._add, "amend_order": self._amend, "edit_order": self._edit,
                    "cancel_order": self._cancel, "batch_add": self._add_batch, "batch_cancel": self._cancel_batch,
                    "cancel_all": self._cancel_all, "cancel_all_orders_after": self._arm}
        try:
            parameters = request.get("params")
            if method not in commands or self.desk is None:
                super().command(connection, request, method)
                return
            if not isinstance(parameters, dict):
                raise Refused("EGeneral:Invalid arguments")
            account = self.account_of_token(parameters)
            self.source.catch_up(self, self.now_ns)
            after = len(self._outbox)
            for fields in commands[method](account, parameters):
                self._first(connection, request, {"method": method} | fields, after)
                after = len(self._outbox)
        except Refused as refusal:
            self.refuse(connection, request, method, refusal)

    def _first(self, connection: Connection, request: dict, fields: dict, after: int) -> None:
        """Send an answer; it comes before the events since the outbox was `after` long."""
        events, self._outbox[after:] = self._outbox[after:], []
        self.reply(connection, request, fields)
        self._outbox += events

    def _add(self, account: Account, parameters: dict):
        order = self.enter(account, parameters, parameters.get("validate") is True)
        yield {"result": self._names(order, parameters), "success": True}

    def _names(self, order: Order, parameters: dict) -> dict:
        names = {"order_id": self.order_name(order)}
        if "cl_ord_id" in parameters:
            names["cl_ord_id"] = order.client_id
        if "order_userref" in parameters:
            names["order_userref"] = order.user_reference
        return names

    def _amend(self, account: Account, parameters: dict):
        kind = "cl_ord_id" if "cl_ord_id" in parameters else "order_id"
        order = self.find(account, kind, parameters.get(kind, ""))
        amendment = self.change(account, order, parameters)
        yield {"result": {"amend_id": amendment, kind: parameters[kind]}, "success": True}

    def _edit(self, account: Account, parameters: dict):
        order = self.find(account, "order_id", parameters.get("order_id", ""))
        new = self.edit(account, order, parameters)
        yield {"result": {"order_id": self.order_name(new), "original_order_id": parameters["order_id"]},
               "success": True}

    def _cancel(self, account: Account, parameters: dict):
        names = [(kind, name) for kind in ("order_id", "cl_ord_id") for name in _list(parameters, kind, str)]
        names += [("order_userref", name) for name in _list(parameters, "order_userref", int)]
        if not names:
            raise invalid("order_id")
        for kind, name in names:
            try:
                order = self.withdraw(account, self.find(account, kind, name))
            except Refused as refusal:
                yield {"error": refusal.message, "success": False}
            else:
                yield {"result": {"order_id": self.order_name(order)} | ({kind: name} if kind != "order_id" else {}),
                       "success": True}

    def _cancel_batch(self, account: Account, parameters: dict):
        names = [("order_id" if isinstance(name, str) else "order_userref", name)
                 for name in _list(parameters, "orders", str | int)]
        names += [("cl_ord_id", name) for name in _list(parameters, "cl_ord_id", str)]
        if not 2 <= len(names) <= 50:
            raise invalid("orders")
        found = [order for order in (self.find(account, kind, name) for kind, name in names)
                 if order is not None and order.is_open]
        if not found:
            raise Refused("EOrder:Unknown order")
        yield {"orders_cancelled": len([self.withdraw(account, order) for order in found if order.is_open]),
               "success": True}

    def _add_batch(self, account: Account, parameters: dict):
        """All are looked at before the first is placed; each is placed or refused on its own."""
        orders = parameters.get("orders")
        if not isinstance(orders, list) or not 2 <= len(orders) <= MOST_IN_BATCH:
            raise invalid("orders")
        if not all(isinstance(one, dict) for one in orders):
            raise invalid("orders")
        shared = {name: parameters[name] for name in ("symbol", "deadline") if name in parameters}
        wanted = [one | shared for one in orders]
        for one in wanted:
            self.enter(account, one, validate=True)
        results = []
        for one in wanted if parameters.get("validate") is not True else ():
            try:
                results.append(self._names(self.enter(account, one), one))
            except Refused as refusal:
                results.append({"error": refusal.message})
        yield {"result": results, "success": all("error" not in result for result in results)}

    def _cancel_all(self, account: Account, parameters: dict):
        yield {"result": {"count": self.withdraw_all(account)}, "success": True}

    def _arm(self, account: Account, parameters: dict):
        yield {"result": self.arm(account, parameters.get("timeout")), "success": True}

    def private_subscription(self, connection: Connection, request: dict, method: str, parameters: dict) -> None:
        channel = parameters.get("channel")
        if channel not in ("executions", "balances") or self.desk is None:
            super().private_subscription(connection, request, method, parameters)
            return
        account = self.account_of_token(parameters)
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
        most = self.tier_of(account).trading_most
        result = {"channel": channel} | ({"maxratecount": most, "snap_orders": orders, "snap_trades": trades}
                                         if channel == "executions" else {"snapshot": True})
        self.reply(connection, request, {"method": method, "result": result, "success": True})
        self.subscribe(connection, key)         # so that heartbeats are sent
        if channel == "executions":
            self.start_executions(connection, account, orders, trades, parameters.get("ratecounter") is True)
        else:
            self.start_balances(connection, account)


def refused(rejection: Rejection) -> Refused:
    """A rejection in Kraken's words."""
    if rejection.detail == "display":
        return invalid("display_qty")
    return Refused(REFUSALS.get(rejection.reason, "EGeneral:Internal error"))


def _list(parameters: dict, name: str, kind) -> list:
    names = parameters.get(name, [])
    if not isinstance(names, list) or not all(isinstance(one, kind) for one in names):
        raise invalid(name)
    return names
