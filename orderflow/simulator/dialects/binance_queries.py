"""What Binance spot answers about orders, trades and accounts.

Source: Binance's "Account endpoints" and "Account requests" (spot).
"""
from orderflow.simulator.accounts import Account
from orderflow.simulator.dialects.binance import RequestError
from orderflow.simulator.dialects.binance_order_fields import whole
from orderflow.simulator.dialects.binance_sessions import BinanceSessions
from orderflow.simulator.order import Order

LONGEST_WINDOW_MS = 24 * 3600 * 1000
MOST_ROWS = 1000


class BinanceQueries(BinanceSessions):
    """Looks orders and trades up; an order that is hidden (a fault) is not found."""

    def query(self, method: str, account: Account, parameters: dict[str, str]):
        """Answer a method that changes nothing."""
        match method:
            case "order.status":
                order = self.find(account, parameters)
                if order is None or self._is_hidden(order):
                    raise RequestError(400, -2013, "Order does not exist.")
                return self.state(order)
            case "openOrders.status":
                wanted = parameters.get("symbol")
                if wanted is not None:
                    self.instrument(wanted)
                return [self.state(order) for order in self.desk.open_orders(account)
                        if wanted in (None, order.instrument.symbol) and not self._is_hidden(order)]
            case "allOrders":
                return self._all_orders(account, parameters)
            case "myTrades":
                return self._my_trades(account, parameters)
            case "account.commission":
                return self._commission(parameters)
        return self.account_status(account, parameters.get("omitZeroBalances") == "true")

    def find(self, account: Account, parameters: dict[str, str], prefix: str = "") -> Order | None:
        """The order that a request names by one id or both. RequestError where it names none."""
        symbol = self.instrument(parameters.get("symbol", "")).symbol
        by_number, by_name = ("cancelOrderId", "cancelOrigClientOrderId") if prefix else ("orderId",
                                                                                          "origClientOrderId")
        name = parameters.get(by_name)
        if by_number not in parameters and name is None:
            raise RequestError(400, -1102, f"Param '{by_name}' or '{by_number}' must be sent, but both were "
                                           "empty/null!")
        if by_number in parameters:
            order = self.desk.orders.get(whole(parameters, by_number))
        else:
            order = self.desk.by_client_id(account, name)
        if order is None or order.account is not account or order.instrument.symbol != symbol:
            return None
        return order if name is None or order.client_id == name else None

    def _is_hidden(self, order: Order) -> bool:
        return self.now_ns < order.hidden_until_ns

    def _all_orders(self, account: Account, parameters: dict[str, str]) -> list[dict]:
        symbol = self.instrument(parameters.get("symbol", "")).symbol
        found = [order for order in self.desk.orders_of(account)
                 if order.instrument.symbol == symbol and not self._is_hidden(order)]
        rows = [self.state(order) for order in found if order.order_id >= whole(parameters, "orderId")]
        return _cut(rows, parameters, "orderId")

    def _my_trades(self, account: Account, parameters: dict[str, str]) -> list[dict]:
        rows = [row for row in self.trades(account, self.instrument(parameters.get("symbol", "")).symbol)
                if row["id"] >= whole(parameters, "fromId")
                and ("orderId" not in parameters or row["orderId"] == whole(parameters, "orderId"))]
        return _cut(rows, parameters, "fromId")

    def _commission(self, parameters: dict[str, str]) -> dict:
        instrument = self.instrument(parameters.get("symbol", ""))
        rates = {"maker": f"{instrument.maker_fee / 10**8:.8f}", "taker": f"{instrument.taker_fee / 10**8:.8f}",
                 "buyer": "0.00000000", "seller": "0.00000000"}
        none = dict.fromkeys(rates, "0.00000000")
        return {"symbol": instrument.symbol, "standardCommission": rates, "specialCommission": none,
                "taxCommission": none, "discount": {"enabledForAccount": False, "enabledForSymbol": False,
                                                    "discountAsset": "BNB", "discount": "0.00000000"}}


def _cut(rows: list[dict], parameters: dict[str, str], first: str) -> list[dict]:
    """Rows within the times asked for; the oldest of them where a first id is named, else the newest."""
    start, end = whole(parameters, "startTime"), whole(parameters, "endTime", 10**18)
    if "startTime" in parameters and "endTime" in parameters and end - start > LONGEST_WINDOW_MS:
        raise RequestError(400, -1127, "More than 24 hours between startTime and endTime.")
    limit = min(whole(parameters, "limit", 500), MOST_ROWS)
    rows = [row for row in rows if start <= row["time"] <= end]
    return rows[:limit] if first in parameters or "startTime" in parameters else rows[-limit:]
