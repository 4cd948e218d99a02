"""How Kraken v2 words what happens to orders and balances: the channels `executions` and `balances`.

Source: Kraken's "Spot WebSocket v2: executions, balances" at docs.kraken.com. Each subscription counts its messages.
"""
from orderflow._core.types import OrderStatus, OrderType, Side
from orderflow.simulator.accounts import FEE_DECIMALS, Account, amount_text
from orderflow.simulator.dialects.kraken_public import KrakenPublic
from orderflow.simulator.exchange import NEVER_NS, Connection
from orderflow.simulator.numbers import to_text
from orderflow.simulator.order import Ending, Fill, Order, time_in_force_name
from orderflow.simulator.words import Digits, spell, timestamp

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
SNAPSHOT_TRADES = 50
STATUS = {OrderStatus.NEW: "new", OrderStatus.PARTIAL: "partially_filled", OrderStatus.FILLED: "filled",
          OrderStatus.CANCELED: "canceled", OrderStatus.EXPIRED: "expired", OrderStatus.REJECTED: "canceled"}
REASONS = {Ending.REQUESTED: "User requested", Ending.NO_LIQUIDITY: "Insufficient liquidity",
           Ending.SELF_TRADE: "Self trade prevention", Ending.DEAD_MAN: "Cancel all orders after timeout",
           Ending.NO_FUNDS: "Insufficient funds", Ending.REPLACED: "Order replaced"}


def kraken_id(first: str, number: int) -> str:
    """An id in Kraken's shape: OAAAAA-AAAAA-AAAAAB for 1."""
    letters = ""
    for _ in range(16):
        number, digit = divmod(number, len(LETTERS))
        letters = LETTERS[digit] + letters
    return f"{first}{letters[:5]}-{letters[5:10]}-{letters[10:]}"


def trade_name(fill: Fill) -> str:
    """The id of one side of a trade."""
    return kraken_id("T", 2 * fill.trade_id + fill.is_maker)


class KrakenExecutions(KrakenPublic):
    """Tells the accounts' subscribers what happens to their orders and balances."""

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self._private: dict[tuple[int, str], tuple[Account, int]] = {}  # (connection, channel) -> (account, sequence)
        self._counted: set[int] = set()         # connections that want the counter of their trading

    def forgotten(self, connection: Connection) -> None:
        for key in [key for key in self._private if key[0] == connection.id]:
            del self._private[key]
        self._counted.discard(connection.id)

    def order_name(self, order: Order) -> str:
        return kraken_id("O", order.order_id)

    def start_executions(self, connection: Connection, account: Account, orders: bool, trades: bool,
                         counted: bool = False) -> None:
        """Begin a subscription with its snapshot: open orders, and the last trades where asked for."""
        self._private[connection.id, "executions"] = (account, 0)
        if counted:
            self._counted.add(connection.id)
        items = [self._whole(order) | {"exec_type": "new", "timestamp": timestamp(order.updated_ns)}
                 for order in (self.desk.open_orders(account) if orders else ())
                 if self.now_ns >= order.hidden_until_ns]
        if trades:
            done = [(order, fill) for order in self.desk.orders_of(account) for fill in order.fills]
            done.sort(key=lambda one: one[1].at_ns)
            items += [self._trade(order, fill, fill.at_ns) for order, fill in done[-SNAPSHOT_TRADES:]]
        self._tell(account, "executions", "snapshot", items, connection.id)

    def start_balances(self, connection: Connection, account: Account) -> None:
        """Begin a subscription with its snapshot."""
        self._private[connection.id, "balances"] = (account, 0)
        items = [{"asset": asset, "asset_class": "currency", "balance": _amount(account, asset),
                  "wallets": [{"type": "spot", "id": "main", "balance": _amount(account, asset)}]}
                 for asset in account.assets]
        self._tell(account, "balances", "snapshot", items, connection.id)

    def order_accepted(self, order: Order, at_ns: int) -> None:
        self._execution(order, at_ns, self._whole(order) | {"exec_type": "pending_new", "order_status": "pending_new"})
        self._execution(order, at_ns, {"order_id": self.order_name(order), "exec_type": "new", "order_status": "new",
                                       **client_id(order)})

    def order_filled(self, order: Order, fill: Fill, at_ns: int) -> None:
        # The trade itself says partially_filled even where it completes the order: `filled` follows on its own.
        self._execution(order, at_ns, self._trade(order, fill, at_ns) | {"order_status": "partially_filled"})
        if order.status == OrderStatus.FILLED:
            self._execution(order, at_ns, self._ended(order, "filled"))
        self._tell(order.account, "balances", "update", [
            self._ledger(order, fill, asset, at_ns) for asset in (order.instrument.base, order.instrument.quote)])

    def order_amended(self, order: Order, at_ns: int) -> None:
        self._execution(order, at_ns, self._whole(order) | {"exec_type": "amended"})

    def order_refilled(self, order: Order, at_ns: int) -> None:
        self._execution(order, at_ns, self._whole(order) | {"exec_type": "iceberg_refill"})

    def order_triggered(self, order: Order, at_ns: int) -> None:
        self._execution(order, at_ns, self._whole(order) | {"exec_type": "status"})

    def order_completed(self, order: Order, at_ns: int) -> None:
        self._execution(order, at_ns, self._ended(order, "filled"))

    def order_ended(self, order: Order, at_ns: int) -> None:
        expired = order.ending == Ending.TIME
        kind = "expired" if expired else "canceled"
        self._execution(order, at_ns, self._ended(order, kind) | ({} if expired else {"reason": REASONS[order.ending]}))

    def _whole(self, order: Order) -> dict:
        quantity = order.instrument.quantity_decimals
        price = {} if order.order_type == OrderType.MARKET else {
            "limit_price": Digits(to_text(order.price, order.instrument.price_decimals))}
        return {"order_id": self.order_name(order), **client_id(order), "order_userref": order.user_reference,
                "symbol": order.instrument.symbol, "order_qty": Digits(to_text(order.quantity, quantity)),
                "cum_qty": Digits(to_text(order.filled, quantity)), "cum_cost": _cost(order, order.notional),
                **_force(order), "side": Side(order.side).name.lower(),
                "order_type": _kind(order), **price, **self._trigger(order), "order_status": STATUS[order.status],
                "fee_ccy_pref": "fcib" if order.fee_in_base else "fciq", "post_only": order.post_only}

    def _trigger(self, order: Order) -> dict:
        """What a conditional order waits for, and what an iceberg shows."""
        digits = order.instrument
        shown = {"display_qty": Digits(to_text(order.display, digits.quantity_decimals))} if order.display else {}
        if order.trigger is None:
            return shown
        price = Digits(to_text(order.trigger.price, digits.price_decimals))
        return shown | {"stop_price": price, "triggers": {
            "reference": "last", "price": price, "price_type": "static",
            "status": "untriggered" if order.waits else "triggered"}}

    def _trade(self, order: Order, fill: Fill, at_ns: int) -> dict:
        quantity, price = order.instrument.quantity_decimals, order.instrument.price_decimals
        return {"order_id": self.order_name(order), **client_id(order),
                "exec_id": trade_name(fill), "exec_type": "trade",
                "trade_id": fill.trade_id, "symbol": order.instrument.symbol, "side": Side(order.side).name.lower(),
                "last_qty": Digits(to_text(fill.quantity, quantity)),
                "last_price": Digits(to_text(fill.price, price)), "liquidity_ind": "m" if fill.is_maker else "t",
                "cost": _cost(order, fill.price * fill.quantity), "order_type": _kind(order),
                "order_status": STATUS[order.status],
                "cum_qty": Digits(to_text(order.filled, quantity)), "cum_cost": _cost(order, order.notional),
                "avg_price": Digits(to_text(order.notional // order.filled, price)),
                "fees": [{"asset": fill.fee_asset, "qty": Digits(to_text(fill.fee, FEE_DECIMALS))}],
                "timestamp": timestamp(at_ns)}

    def _ended(self, order: Order, kind: str) -> dict:
        return {"order_id": self.order_name(order), **client_id(order), "exec_type": kind, "order_status": kind,
                "symbol": order.instrument.symbol, "cum_cost": _cost(order, order.notional),
                "cum_qty": Digits(to_text(order.filled, order.instrument.quantity_decimals))}

    def _ledger(self, order: Order, fill: Fill, asset: str, at_ns: int) -> dict:
        instrument = order.instrument
        bought = (asset == instrument.base) == (order.side == Side.BUY)
        amount = (to_text(fill.quantity, instrument.quantity_decimals) if asset == instrument.base
                  else _cost(order, fill.price * fill.quantity))
        fee = fill.fee if asset == fill.fee_asset else 0
        return {"ledger_id": kraken_id("L", 4 * fill.trade_id + 2 * fill.is_maker + (asset == instrument.base)),
                "ref_id": trade_name(fill), "timestamp": timestamp(at_ns),
                "type": "trade", "asset": asset, "asset_class": "currency", "category": "trade",
                "wallet_type": "spot", "wallet_id": "main", "amount": Digits(amount if bought else f"-{amount}"),
                "fee": Digits(to_text(fee, FEE_DECIMALS)), "balance": _amount(order.account, asset)}

    def counted(self, account: Account, item: dict) -> dict:
        """What the counter of the pair stands at, for those who asked for it."""
        return {}

    def _execution(self, order: Order, at_ns: int, item: dict) -> None:
        self._tell(order.account, "executions", "update", [
            item | {"timestamp": timestamp(at_ns + self.skew_ns)}])

    def _tell(self, account: Account, channel: str, kind: str, items: list[dict], only: int = 0) -> None:
        for (number, name), (owner, sequence) in list(self._private.items()):
            if name == channel and owner is account and only in (0, number):
                self._private[number, name] = (owner, sequence + 1)
                if name == "executions" and number in self._counted:
                    items = [item | self.counted(account, item) for item in items]
                self.send(self.connections[number], spell(
                    {"channel": channel, "type": kind, "data": items, "sequence": sequence + 1}))


def client_id(order: Order) -> dict:
    """The client's own id of an order, where it gave one."""
    return {} if order.client_id.startswith("=") else {"cl_ord_id": order.client_id}


def _cost(order: Order, notional: int) -> Digits:
    return Digits(to_text(notional, order.instrument.price_decimals + order.instrument.quantity_decimals))


def _amount(account: Account, asset: str) -> Digits:
    return Digits(amount_text(account.total(asset), 10))


def _kind(order: Order) -> str:
    return "iceberg" if order.display and order.trigger is None else order.kind


def _force(order: Order) -> dict:
    """Market orders are said to be GTC."""
    force = "GTC" if order.order_type == OrderType.MARKET else time_in_force_name(order)
    expiry = {} if order.expires_ns == NEVER_NS else {"expire_time": timestamp(order.expires_ns)}
    return {"time_in_force": force} | expiry
