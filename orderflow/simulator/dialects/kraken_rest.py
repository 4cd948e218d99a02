"""Private REST endpoints of Kraken spot: order entry, orders, trades, balances.

Source: Kraken's "Spot REST: account data, trading" at docs.kraken.com.
"""
from orderflow._core.types import OrderStatus, OrderType, Side
from orderflow.simulator.accounts import FEE_DECIMALS, Account, amount_text
from orderflow.simulator.dialects.kraken_accounts import ROOT
from orderflow.simulator.dialects.kraken_executions import LETTERS, client_id, kraken_id, trade_name
from orderflow.simulator.dialects.kraken_order_fields import from_rest, invalid, whole
from orderflow.simulator.dialects.kraken_orders import KrakenOrders
from orderflow.simulator.dialects.kraken_public import alternative_name
from orderflow.simulator.dialects.kraken_words import REST_NAMES, Refused
from orderflow.simulator.exchange import NEVER_NS
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.numbers import to_text
from orderflow.simulator.order import Fill, Order, time_in_force_name

PAGE = 50
MOST_IDS = 50
STATUS = {OrderStatus.NEW: "open", OrderStatus.PARTIAL: "open", OrderStatus.FILLED: "closed",
          OrderStatus.CANCELED: "canceled", OrderStatus.EXPIRED: "expired", OrderStatus.REJECTED: "canceled"}


class KrakenRest(KrakenOrders):
    """api.kraken.com, private."""

    def request(self, method: str, path: str, parameters: dict[str, str], headers, body: bytes):
        if not path.startswith(ROOT) or self.desk is None:
            return super().request(method, path, parameters, headers, body)
        account, fields = self.authenticate(method, path, headers, body)
        self.source.catch_up(self, self.now_ns)
        endpoints = {
            "GetWebSocketsToken": self._token, "Balance": self._balance, "BalanceEx": self._balance_ex,
            "OpenOrders": self._open_orders, "ClosedOrders": self._closed_orders, "QueryOrders": self._query_orders,
            "TradesHistory": self._trades_history, "QueryTrades": self._query_trades, "AddOrder": self._add_order,
            "AmendOrder": self._amend_order, "EditOrder": self._edit_order, "CancelOrder": self._cancel_order,
            "CancelAll": self._cancel_everything, "CancelAllOrdersAfter": self._cancel_after,
        }
        endpoint = endpoints.get(path.removeprefix(ROOT))
        if endpoint is None:
            raise Refused("EGeneral:Unknown method")
        return endpoint(account, fields)

    # trading

    def _add_order(self, account: Account, fields: dict[str, str]) -> dict:
        parameters = from_rest(fields, self._pair, self.now_ns)
        validate = fields.get("validate", "false").lower() == "true"
        order = self.enter(account, parameters, validate)
        return {"descr": {"order": describe(order)}} | ({} if validate else {"txid": [self.order_name(order)]})

    def _amend_order(self, account: Account, fields: dict[str, str]) -> dict:
        return {"amend_id": self.change(account, self._named(account, fields), fields)}

    def _edit_order(self, account: Account, fields: dict[str, str]) -> dict:
        order = self._named(account, fields)
        wanted: dict = {"symbol": self._pair(fields.get("pair", "")).symbol}
        if "volume" in fields:
            wanted["order_qty"] = fields["volume"]
        limit = "price" if order is None or order.trigger is None else "price2"
        if limit in fields:
            wanted["limit_price"] = fields[limit]
        if limit == "price2" and "price" in fields:
            wanted["triggers"] = {"price": fields["price"]}
        if "post" in fields.get("oflags", "").split(","):
            wanted["post_only"] = True
        if "userref" in fields:
            wanted["order_userref"] = whole(fields, "userref")
        new = self.edit(account, order, wanted)
        return {"status": "ok", "txid": self.order_name(new), "originaltxid": self.order_name(order),
                "volume": to_text(new.quantity, new.instrument.quantity_decimals),
                "price": to_text(new.price, new.instrument.price_decimals), "orders_cancelled": 1,
                "descr": {"order": describe(new)}}

    def _cancel_order(self, account: Account, fields: dict[str, str]) -> dict:
        """By id, by client id, or all of a user reference."""
        name = fields.get("txid", "")
        if "cl_ord_id" not in fields and name.removeprefix("-").isdigit():
            found = [order for order in self.desk.open_orders(account) if order.user_reference == int(name)]
            if not found:
                raise Refused("EOrder:Unknown order")
        else:
            found = [self._named(account, fields)]
        return {"count": len([self.withdraw(account, order) for order in found])}

    def _cancel_everything(self, account: Account, fields: dict[str, str]) -> dict:
        return {"count": self.withdraw_all(account)}

    def _cancel_after(self, account: Account, fields: dict[str, str]) -> dict:
        return self.arm(account, whole(fields, "timeout", -1))

    def _named(self, account: Account, fields: dict[str, str]) -> Order | None:
        if "cl_ord_id" in fields:
            return self.find(account, "cl_ord_id", fields["cl_ord_id"])
        if "txid" not in fields:
            raise invalid("txid")
        return self.find(account, "order_id", fields["txid"])

    def _pair(self, name: str) -> SimulatedInstrument:
        for instrument in self.instruments:
            if name in (instrument.rest_symbol, alternative_name(instrument), instrument.symbol,
                        instrument.symbol.replace("BTC", "XBT")):
                return instrument
        raise Refused("EQuery:Unknown asset pair")

    # account data

    def _token(self, account: Account, fields: dict[str, str]) -> dict:
        return self.issue_token(account)

    def _balance(self, account: Account, fields: dict[str, str]) -> dict:
        return {REST_NAMES.get(asset, asset): amount_text(account.total(asset), 10) for asset in account.assets}

    def _balance_ex(self, account: Account, fields: dict[str, str]) -> dict:
        return {REST_NAMES.get(asset, asset): {"balance": amount_text(account.total(asset), 10),
                                               "hold_trade": amount_text(account.locked.get(asset, 0), 10)}
                for asset in account.assets}

    def _open_orders(self, account: Account, fields: dict[str, str]) -> dict:
        return {"open": {self.order_name(order): self._order_info(order, fields)
                         for order in self._selected(self.desk.open_orders(account), fields)}}

    def _closed_orders(self, account: Account, fields: dict[str, str]) -> dict:
        found = [order for order in self._selected(self.desk.orders_of(account), fields) if not order.is_open
                 and self._within(fields, order.updated_ns, order.order_id, "O")]
        found.sort(key=lambda order: order.updated_ns, reverse=True)
        return {"closed": {self.order_name(order): self._order_info(order, fields) for order in _page(found, fields)},
                "count": len(found)}

    def _query_orders(self, account: Account, fields: dict[str, str]) -> dict:
        wanted = fields.get("txid", "").split(",")
        if len(wanted) > MOST_IDS:
            raise invalid("txid")
        return {self.order_name(order): self._order_info(order, fields)
                for order in self._selected(self.desk.orders_of(account), fields) if self.order_name(order) in wanted}

    def _trades_history(self, account: Account, fields: dict[str, str]) -> dict:
        found = [(order, fill) for order, fill in self._trades(account)
                 if self._within(fields, fill.at_ns, 2 * fill.trade_id + fill.is_maker, "T")]
        found.reverse()
        return {"count": len(found), "trades": {trade_name(fill): self._trade_info(order, fill)
                                                for order, fill in _page(found, fields)}}

    def _query_trades(self, account: Account, fields: dict[str, str]) -> dict:
        wanted = fields.get("txid", "").split(",")
        return {trade_name(fill): self._trade_info(order, fill) for order, fill in self._trades(account)
                if trade_name(fill) in wanted}

    def _trades(self, account: Account) -> list[tuple[Order, Fill]]:
        found = [(order, fill) for order in self.desk.orders_of(account) for fill in order.fills]
        return sorted(found, key=lambda one: (one[1].at_ns, one[1].trade_id))

    def _selected(self, orders: list[Order], fields: dict[str, str]) -> list[Order]:
        reference = whole(fields, "userref") if "userref" in fields else None
        return [order for order in orders if self.now_ns >= order.hidden_until_ns
                and reference in (None, order.user_reference)
                and fields.get("cl_ord_id", order.client_id) == order.client_id]

    def _within(self, fields: dict[str, str], at_ns: int, number: int, letter: str) -> bool:
        """Whether something lies after `start` and not after `end`, which are times or ids."""
        for name, sign in (("start", 1), ("end", -1)):
            text = fields.get(name, "")
            if text.startswith(letter):
                if kraken_id(letter, number) == text and sign == 1 or sign * number < sign * _number_of(text):
                    return False
            elif text:
                try:
                    limit_ns = int(float(text) * 10**9)
                except ValueError:
                    raise invalid(name) from None
                if sign * at_ns < sign * limit_ns or (sign == 1 and at_ns == limit_ns):
                    return False
        return True

    def _order_info(self, order: Order, fields: dict[str, str]) -> dict:
        price, quantity = order.instrument.price_decimals, order.instrument.quantity_decimals
        trigger = to_text(order.trigger.price, price) if order.trigger else to_text(0, price)
        limit = to_text(order.price, price) if order.order_type == OrderType.LIMIT else "0"
        flags = ["fcib" if order.fee_in_base else "fciq", *(["post"] if order.post_only else []),
                 *(["viqc"] if order.quote_quantity else [])]
        info = {
            "refid": None, "userref": order.user_reference, **client_id(order), "status": STATUS[order.status],
            "reason": order.ending.value or None, "opentm": order.created_ns / 1e9, "starttm": 0,
            "expiretm": 0 if order.expires_ns == NEVER_NS else order.expires_ns / 1e9,
            "descr": {"pair": alternative_name(order.instrument), "type": Side(order.side).name.lower(),
                      "ordertype": order.kind, "price": trigger if order.trigger else limit,
                      "price2": limit if order.trigger else "0", "leverage": "none", "order": describe(order),
                      "close": ""},
            "vol": to_text(order.quantity, quantity), "vol_exec": to_text(order.filled, quantity),
            "cost": to_text(order.notional, price + quantity),
            "fee": to_text(sum(fill.fee for fill in order.fills), FEE_DECIMALS),
            "price": average(order), "stopprice": trigger, "limitprice": to_text(0, price), "misc": "",
            "oflags": ",".join(flags), "time_in_force": time_in_force_name(order)}
        if not order.is_open:
            info["closetm"] = order.updated_ns / 1e9
        if fields.get("trades", "").lower() == "true":
            info["trades"] = [trade_name(fill) for fill in order.fills]
        return info

    def _trade_info(self, order: Order, fill: Fill) -> dict:
        instrument = order.instrument
        price, quantity = instrument.price_decimals, instrument.quantity_decimals
        return {"ordertxid": self.order_name(order), "postxid": trade_name(fill), "pair": instrument.rest_symbol,
                "time": fill.at_ns / 1e9, "type": Side(order.side).name.lower(), "ordertype": order.kind,
                "price": to_text(fill.price, price), "cost": to_text(fill.price * fill.quantity, price + quantity),
                "fee": to_text(fill.fee, FEE_DECIMALS), "vol": to_text(fill.quantity, quantity), "margin": "0",
                "leverage": "0", "misc": "", "trade_id": fill.trade_id, "maker": fill.is_maker}


def average(order: Order) -> str:
    """Average price of what was filled."""
    decimals = order.instrument.price_decimals
    return to_text(order.notional // order.filled if order.filled else 0, decimals)


def describe(order: Order) -> str:
    """buy 0.01000000 XBTUSDT @ limit 50000.0"""
    price = order.instrument.price_decimals
    words = order.kind.removesuffix("-limit").replace("-", " ")
    if order.trigger is not None:
        words += f" {to_text(order.trigger.price, price)}"
        words += f" -> limit {to_text(order.price, price)}" if order.order_type == OrderType.LIMIT else ""
    elif order.order_type == OrderType.LIMIT:
        words += f" {to_text(order.price, price)}"
    amount = (to_text(order.quote_quantity, price + order.instrument.quantity_decimals) if order.quote_quantity
              else to_text(order.quantity, order.instrument.quantity_decimals))
    return f"{Side(order.side).name.lower()} {amount} {alternative_name(order.instrument)} @ {words}"


def _page(found: list, fields: dict[str, str]) -> list:
    offset = whole(fields, "ofs")
    return found[offset:offset + PAGE]


def _number_of(name: str) -> int:
    number = 0
    for letter in name[1:].replace("-", ""):
        number = number * len(LETTERS) + max(LETTERS.find(letter), 0)
    return number
