"""How Binance spot words the state of orders and accounts: answers, and the events of the user data stream.

Events go to subscriptions of the WebSocket API, in an envelope, and plainly to streams named by a listen key, which
expires an hour after it was last kept alive.

Source: Binance's "WebSocket API for Binance", "User Data Streams" and "Self Trade Prevention FAQ" (spot).
"""
import hashlib

from orderflow._core.types import OrderStatus, Side
from orderflow.simulator.accounts import FEE_DECIMALS, Account, amount_text
from orderflow.simulator.dialects.binance import Binance, RequestError, compact
from orderflow.simulator.exchange import NEVER_NS, SECOND_NS, Connection
from orderflow.simulator.numbers import to_text
from orderflow.simulator.order import Ending, Fill, Order, time_in_force_name

LISTEN_KEY_NS = 3600 * SECOND_NS
STATUS = {OrderStatus.NEW: "NEW", OrderStatus.PARTIAL: "PARTIALLY_FILLED", OrderStatus.FILLED: "FILLED",
          OrderStatus.CANCELED: "CANCELED", OrderStatus.EXPIRED: "EXPIRED", OrderStatus.REJECTED: "REJECTED"}
NO_PRICE = "0.00000000"


class BinanceUserStream(Binance):
    """Tells the accounts' subscribers what happens to their orders and balances."""

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self._streams: dict[int, tuple[int, Account]] = {}      # connection -> (subscription id, account)
        self._listen_keys: dict[str, tuple[Account, int]] = {}  # key -> (account, when it expires)
        self._executions = 0
        self._cancel_ids: dict[int, str] = {}                   # order -> client id of the request that cancelled it
        self._prevented: dict[int, dict] = {}                   # order -> what self-trade prevention says of it

    def forgotten(self, connection: Connection) -> None:
        self._streams.pop(connection.id, None)

    # listen keys

    def listen_key(self, account: Account) -> str:
        """A key for an hour; one that is valid still is prolonged instead."""
        for key, (owner, _) in self._listen_keys.items():
            if owner is account:
                self._listen_keys[key] = account, self.now_ns + LISTEN_KEY_NS
                return key
        seed = f"{self.name}/{account.settings.api_key}/{self.now_ns}"
        key = (hashlib.sha256(seed.encode()).hexdigest() + hashlib.sha256(seed[::-1].encode()).hexdigest())[:64]
        self._listen_keys[key] = account, self.now_ns + LISTEN_KEY_NS
        return key

    def keep_listen_key(self, account: Account, key: str) -> None:
        """Another hour; RequestError where there is no such key."""
        if self._listen_keys.get(key, (None, 0))[0] is not account:
            raise RequestError(400, -1125, "This listenKey does not exist.")
        self._listen_keys[key] = account, self.now_ns + LISTEN_KEY_NS

    def drop_listen_key(self, account: Account, key: str) -> None:
        """End its stream."""
        self.keep_listen_key(account, key)
        del self._listen_keys[key]

    def expire_streams(self) -> None:
        """Every key and subscription is void from now on, without a word; the sockets stay open (a fault)."""
        self._listen_keys.clear()
        self._streams.clear()

    def advance(self, now_ns: int) -> None:
        super().advance(now_ns)
        for key, (_, until_ns) in list(self._listen_keys.items()):
            if until_ns <= now_ns:
                self._to_listeners(key, {"e": "listenKeyExpired", "E": self.stamp(now_ns), "listenKey": key})
                del self._listen_keys[key]

    def next_ns(self) -> int:
        return min(super().next_ns(), *(until_ns for _, until_ns in self._listen_keys.values()), NEVER_NS)

    # answers

    def state(self, order: Order) -> dict:
        """An order as queries give it."""
        price, quantity = order.instrument.price_decimals, order.instrument.quantity_decimals
        answer = {
            "symbol": order.instrument.symbol, "orderId": order.order_id, "orderListId": -1,
            "clientOrderId": order.client_id, "price": to_text(order.price, price),
            "origQty": to_text(order.quantity, quantity), "executedQty": to_text(order.filled, quantity),
            "origQuoteOrderQty": to_text(order.quote_quantity, price + quantity) if order.quote_quantity else NO_PRICE,
            "cummulativeQuoteQty": to_text(order.notional, price + quantity), "status": status_of(order),
            "timeInForce": _force(order), "type": type_name(order), "side": Side(order.side).name,
            "stopPrice": _trigger_text(order), "time": self.stamp(order.created_ns),
            "updateTime": self.stamp(order.updated_ns), "isWorking": not order.waits,
            "workingTime": self.stamp(order.triggered_ns or order.created_ns) if not order.waits else -1,
            "selfTradePreventionMode": order.self_trade.value,
        }
        if order.display:
            answer["icebergQty"] = to_text(order.display, quantity)
        if order.prevented or order.ending == Ending.SELF_TRADE:
            answer |= self._prevented.get(order.order_id, {}).get("answer", {})
        return answer

    def fill_state(self, order: Order, fill: Fill) -> dict:
        """A fill as answers to orders give it."""
        return {"price": to_text(fill.price, order.instrument.price_decimals),
                "qty": to_text(fill.quantity, order.instrument.quantity_decimals),
                "commission": to_text(fill.fee, FEE_DECIMALS), "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade_id}

    def trades(self, account: Account, symbol: str) -> list[dict]:
        """The account's trades, oldest first."""
        digits = self.instrument(symbol)
        found = [(order, fill) for order in self.desk.orders_of(account) for fill in order.fills
                 if order.instrument.symbol == symbol]
        found.sort(key=lambda one: one[1].trade_id)
        return [self.fill_state(order, fill) | {
                    "symbol": symbol, "id": fill.trade_id, "orderId": order.order_id, "orderListId": -1,
                    "quoteQty": to_text(fill.price * fill.quantity, digits.price_decimals + digits.quantity_decimals),
                    "time": self.stamp(fill.at_ns), "isBuyer": order.side == Side.BUY, "isMaker": fill.is_maker,
                    "isBestMatch": True} for order, fill in found]

    def account_status(self, account: Account, omit_zero: bool = False) -> dict:
        """Balances."""
        maker, taker = (f"{max((getattr(one, name) for one in self.instruments), default=0) / 10**8:.8f}"
                        for name in ("maker_fee", "taker_fee"))
        return {"makerCommission": int(float(maker) * 10**4), "takerCommission": int(float(taker) * 10**4),
                "buyerCommission": 0, "sellerCommission": 0,
                "commissionRates": {"maker": maker, "taker": taker, "buyer": NO_PRICE, "seller": NO_PRICE},
                "canTrade": True, "canWithdraw": False, "canDeposit": False, "brokered": False,
                "requireSelfTradePrevention": False, "preventSor": False, "accountType": "SPOT",
                "updateTime": self.stamp(self.now_ns), "permissions": ["SPOT"],
                "balances": [{"asset": asset, "free": amount_text(account.free.get(asset, 0)),
                              "locked": amount_text(account.locked.get(asset, 0))} for asset in account.assets
                             if account.total(asset) or not omit_zero]}

    # events

    def order_accepted(self, order: Order, at_ns: int) -> None:
        self._report(order, "NEW", at_ns)

    def order_filled(self, order: Order, fill: Fill, at_ns: int) -> None:
        self._report(order, "TRADE", at_ns, fill)

    def order_amended(self, order: Order, at_ns: int) -> None:
        self._report(order, "REPLACED", at_ns)

    def order_triggered(self, order: Order, at_ns: int) -> None:
        self._report(order, "NEW", at_ns)           # now it works

    def order_prevented(self, order: Order, other: Order, quantity: int, at_ns: int) -> None:
        self._note_prevented(order, other, quantity)
        if order.leaves:
            self._report(order, "TRADE_PREVENTION", at_ns)

    def order_ended(self, order: Order, at_ns: int) -> None:
        kind = STATUS[order.status]
        self._report(order, "TRADE_PREVENTION" if order.ending == Ending.SELF_TRADE else kind, at_ns)

    def _note_prevented(self, order: Order, other: Order, quantity: int) -> None:
        digits = order.instrument.quantity_decimals
        self._executions += 1
        self._prevented[order.order_id] = {
            "answer": {"preventedMatchId": self._executions, "preventedQuantity": to_text(order.prevented, digits)},
            "event": {"v": self._executions, "A": to_text(order.prevented, digits), "B": to_text(quantity, digits),
                      "u": order.account.index, "U": other.order_id, "Cs": order.instrument.symbol,
                      "pl": to_text(quantity, digits), "pL": to_text(other.price, order.instrument.price_decimals),
                      "pY": to_text(quantity * other.price, order.instrument.price_decimals + digits)}}

    def _report(self, order: Order, kind: str, at_ns: int, fill: Fill | None = None) -> None:
        self._executions += 1
        instrument, stamp = order.instrument, self.stamp(at_ns)
        price, quantity = instrument.price_decimals, instrument.quantity_decimals
        canceled = kind == "CANCELED"
        new = kind == "NEW"
        event = {
            "e": "executionReport", "E": stamp, "s": instrument.symbol,
            "c": self.cancel_id(order) if canceled else order.client_id, "S": Side(order.side).name,
            "o": type_name(order), "f": _force(order), "q": to_text(order.quantity, quantity),
            "p": to_text(order.price, price), "P": _trigger_text(order), "F": to_text(order.display, quantity)
            if order.display else NO_PRICE, "g": -1, "C": order.client_id if canceled else "", "x": kind,
            "X": "NEW" if new else status_of(order),
            "r": "INSUFFICIENT_BALANCES" if order.ending == Ending.NO_FUNDS else "NONE", "i": order.order_id,
            "l": to_text(fill.quantity if fill else 0, quantity),
            "z": to_text(0 if new else order.filled, quantity),
            "L": to_text(fill.price if fill else 0, price), "n": to_text(fill.fee, FEE_DECIMALS) if fill else "0",
            "N": fill.fee_asset if fill else None, "T": stamp, "t": fill.trade_id if fill else -1,
            "I": self._executions, "w": kind in ("NEW", "TRADE", "REPLACED") and order.is_open and not order.waits,
            "m": bool(fill and fill.is_maker), "O": self.stamp(order.created_ns),
            "Z": to_text(0 if new else order.notional, price + quantity),
            "Y": to_text(fill.price * fill.quantity if fill else 0, price + quantity),
            "Q": to_text(order.quote_quantity, price + quantity) if order.quote_quantity else NO_PRICE,
            "W": self.stamp(order.triggered_ns or order.created_ns), "V": order.self_trade.value,
        }
        if order.ending == Ending.NO_LIQUIDITY:
            event["eR"] = "INSUFFICIENT_LIQUIDITY"
        if kind == "TRADE_PREVENTION":
            event |= self._prevented.get(order.order_id, {}).get("event", {})
        self._event(order.account, event)
        assets = dict.fromkeys((instrument.base, instrument.quote, *([fill.fee_asset] if fill else [])))
        self._event(order.account, {
            "e": "outboundAccountPosition", "E": stamp, "u": stamp,
            "B": [{"a": asset, "f": amount_text(order.account.free.get(asset, 0)),
                   "l": amount_text(order.account.locked.get(asset, 0))} for asset in assets]})

    def cancel_id(self, order: Order) -> str:
        """The client id of the request that cancelled an order."""
        return self._cancel_ids.get(order.order_id, f"cancel{order.order_id}")

    def _event(self, account: Account, event: dict) -> None:
        for number, (subscription, owner) in self._streams.items():
            if owner is account:
                self.send(self.connections[number], compact({"subscriptionId": subscription, "event": event}))
        for key, (owner, _) in self._listen_keys.items():
            if owner is account:
                self._to_listeners(key, event)

    def _to_listeners(self, key: str, event: dict) -> None:
        for connection in self.listeners(key):
            self.send(connection, compact({"stream": key, "data": event} if connection.combined else event))


def type_name(order: Order) -> str:
    """LIMIT_MAKER, STOP_LOSS_LIMIT, ..."""
    return "LIMIT_MAKER" if order.post_only else order.kind.upper().replace("-", "_").removesuffix("_MARKET")


def status_of(order: Order) -> str:
    """NEW, PARTIALLY_FILLED, ..., EXPIRED_IN_MATCH."""
    return "EXPIRED_IN_MATCH" if order.ending == Ending.SELF_TRADE else STATUS[order.status]


def _force(order: Order) -> str:
    """Market orders are said to be GTC."""
    return "GTC" if order.kind in ("market", "stop-loss", "take-profit") else time_in_force_name(order)


def _trigger_text(order: Order) -> str:
    return to_text(order.trigger.price, order.instrument.price_decimals) if order.trigger else NO_PRICE
