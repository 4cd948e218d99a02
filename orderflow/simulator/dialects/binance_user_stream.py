"""How Binance spot words the state of orders and accounts: answers, and the events of the user data stream.

Source: Binance's "WebSocket API for Binance" and "User Data Streams" (spot).
"""
from orderflow._core.types import OrderStatus, OrderType, Side
from orderflow.simulator.accounts import FEE_DECIMALS, Account, amount_text
from orderflow.simulator.dialects.binance import Binance, compact
from orderflow.simulator.exchange import Connection
from orderflow.simulator.numbers import to_text
from orderflow.simulator.order import OPEN, Fill, Order, time_in_force_name

STATUS = {OrderStatus.NEW: "NEW", OrderStatus.PARTIAL: "PARTIALLY_FILLED", OrderStatus.FILLED: "FILLED",
          OrderStatus.CANCELED: "CANCELED", OrderStatus.EXPIRED: "EXPIRED"}


class BinanceUserStream(Binance):
    """Tells the accounts' subscribers what happens to their orders and balances."""

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self._streams: dict[int, tuple[int, Account]] = {}      # connection -> (subscription id, account)
        self._executions = 0

    def forgotten(self, connection: Connection) -> None:
        self._streams.pop(connection.id, None)

    def state(self, order: Order) -> dict:
        """An order as queries give it."""
        instrument = order.instrument
        price, quantity = instrument.price_decimals, instrument.quantity_decimals
        return {
            "symbol": instrument.symbol, "orderId": order.order_id, "orderListId": -1, "clientOrderId": order.client_id,
            "price": to_text(order.price, price), "origQty": to_text(order.quantity, quantity),
            "executedQty": to_text(order.filled, quantity), "origQuoteOrderQty": "0.00000000",
            "cummulativeQuoteQty": to_text(order.notional, price + quantity), "status": STATUS[order.status],
            "timeInForce": time_in_force_name(order), "type": _type_name(order), "side": Side(order.side).name,
            "stopPrice": "0.00000000", "time": order.created_ns // 1_000_000,
            "updateTime": order.updated_ns // 1_000_000, "isWorking": order.status in OPEN,
            "workingTime": order.created_ns // 1_000_000, "selfTradePreventionMode": "NONE",
        }

    def fill_state(self, order: Order, fill: Fill) -> dict:
        """A fill as answers to orders give it."""
        return {"price": to_text(fill.price, order.instrument.price_decimals),
                "qty": to_text(fill.quantity, order.instrument.quantity_decimals),
                "commission": to_text(fill.fee, FEE_DECIMALS), "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade_id}

    def trades(self, account: Account, symbol: str, first: int) -> list[dict]:
        """The account's trades from an id on, at most 1000."""
        digits = self.instrument(symbol)
        return [self.fill_state(order, fill) | {
                    "symbol": symbol, "id": fill.trade_id, "orderId": order.order_id, "orderListId": -1,
                    "quoteQty": to_text(fill.price * fill.quantity, digits.price_decimals + digits.quantity_decimals),
                    "time": order.updated_ns // 1_000_000, "isBuyer": order.side == Side.BUY, "isMaker": fill.is_maker,
                    "isBestMatch": True}
                for order in self.desk.orders.values() for fill in order.fills
                if order.account is account and order.instrument.symbol == symbol and fill.trade_id >= first][:1000]

    def account_status(self, account: Account) -> dict:
        """Balances."""
        return {"canTrade": True, "canWithdraw": False, "canDeposit": False, "accountType": "SPOT",
                "updateTime": self.now_ns // 1_000_000, "permissions": ["SPOT"],
                "balances": [{"asset": asset, "free": amount_text(account.free.get(asset, 0)),
                              "locked": amount_text(account.locked.get(asset, 0))} for asset in account.assets]}

    def order_accepted(self, order: Order, at_ns: int) -> None:
        self._report(order, "NEW", at_ns)

    def order_filled(self, order: Order, fill: Fill, at_ns: int) -> None:
        self._report(order, "TRADE", at_ns, fill)

    def order_ended(self, order: Order, at_ns: int) -> None:
        self._report(order, STATUS[order.status], at_ns)

    def _report(self, order: Order, kind: str, at_ns: int, fill: Fill | None = None) -> None:
        self._executions += 1
        instrument, stamp = order.instrument, at_ns // 1_000_000
        price, quantity = instrument.price_decimals, instrument.quantity_decimals
        canceled = kind == "CANCELED"
        event = {
            "e": "executionReport", "E": stamp, "s": instrument.symbol,
            "c": f"cancel{order.order_id}" if canceled else order.client_id, "S": Side(order.side).name,
            "o": _type_name(order), "f": time_in_force_name(order), "q": to_text(order.quantity, quantity),
            "p": to_text(order.price, price), "P": "0.00000000", "F": "0.00000000", "g": -1,
            "C": order.client_id if canceled else "", "x": kind,
            "X": "NEW" if kind == "NEW" else STATUS[order.status], "r": "NONE", "i": order.order_id,
            "l": to_text(fill.quantity if fill else 0, quantity),
            "z": to_text(0 if kind == "NEW" else order.filled, quantity),
            "L": to_text(fill.price if fill else 0, price), "n": to_text(fill.fee, FEE_DECIMALS) if fill else "0",
            "N": fill.fee_asset if fill else None, "T": stamp, "t": fill.trade_id if fill else -1,
            "I": self._executions, "w": kind in ("NEW", "TRADE") and order.status in OPEN,
            "m": bool(fill and fill.is_maker), "O": order.created_ns // 1_000_000,
            "Z": to_text(0 if kind == "NEW" else order.notional, price + quantity),
            "Y": to_text(fill.price * fill.quantity if fill else 0, price + quantity), "Q": "0.00000000",
            "W": order.created_ns // 1_000_000, "V": "NONE",
        }
        self._event(order.account, event)
        assets = dict.fromkeys((instrument.base, instrument.quote, *([fill.fee_asset] if fill else [])))
        self._event(order.account, {
            "e": "outboundAccountPosition", "E": stamp, "u": stamp,
            "B": [{"a": asset, "f": amount_text(order.account.free.get(asset, 0)),
                   "l": amount_text(order.account.locked.get(asset, 0))} for asset in assets]})

    def _event(self, account: Account, event: dict) -> None:
        for number, (subscription, owner) in self._streams.items():
            if owner is account:
                self.send(self.connections[number], compact({"subscriptionId": subscription, "event": event}))


def _type_name(order: Order) -> str:
    if order.order_type == OrderType.MARKET:
        return "MARKET"
    return "LIMIT_MAKER" if order.post_only else "LIMIT"
