"""Order entry of Kraken spot over WebSocket v2.

Source: Kraken's "Spot WebSocket v2: user trading" at docs.kraken.com. A token from GetWebSocketsToken goes with every
private request.
"""
from orderflow.simulator.accounts import Account
from orderflow.simulator.dialects.kraken_order_fields import invalid
from orderflow.simulator.dialects.kraken_trading import KrakenTrading
from orderflow.simulator.dialects.kraken_words import Refused
from orderflow.simulator.exchange import Connection
from orderflow.simulator.order import Order

MOST_IN_BATCH = 15


class KrakenOrders(KrakenTrading):
    """ws-auth.kraken.com/v2."""

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
        names: dict[str, str | int] = {"order_id": self.order_name(order)}
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


def _list(parameters: dict, name: str, kind) -> list:
    names = parameters.get(name, [])
    if not isinstance(names, list) or not all(isinstance(one, kind) for one in names):
        raise invalid(name)
    return names
