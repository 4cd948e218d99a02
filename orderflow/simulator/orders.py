"""Orders of accounts: checked, reserved for, matched, paid, and written into a log of what truly happened.

No protocol: a dialect turns requests into `place` and `cancel`, words refusals, and hears of every event. The source
of liquidity matches: a Market with a matching engine, or a recorded book (queue.py).

    place ── check ── reserve ── source.submit ──> accepted, fills, ended ──> dialect
    source (a maker's fill) ───────── filled ────> fill, ended ─────────────> dialect
"""
import heapq
from dataclasses import dataclass, field
from typing import NamedTuple

from orderflow._core.types import OrderStatus, OrderType, Reason, Side, TimeInForce
from orderflow.simulator.accounts import AMOUNT_DECIMALS, FEE_DECIMALS, Account, AccountSettings, InsufficientFunds
from orderflow.simulator.exchange import NEVER_NS
from orderflow.simulator.instruments import FEE_SCALE, SimulatedInstrument
from orderflow.simulator.numbers import to_text

LARGEST_LOG = 1_000_000
OPEN = (OrderStatus.NEW, OrderStatus.PARTIAL)


class Rejection(Exception):
    """An order or cancel that is refused; nothing has happened. The dialect words `reason`."""

    def __init__(self, reason: Reason):
        super().__init__(Reason(reason).name)
        self.reason = reason


class Fill(NamedTuple):
    """One trade of an order."""
    price: int
    quantity: int
    trade_id: int
    is_maker: bool
    fee: int                # in 1e-FEE_DECIMALS of fee_asset
    fee_asset: str


@dataclass
class Order:
    """One order and its life."""
    order_id: int
    account: Account
    instrument: SimulatedInstrument
    side: int
    order_type: int
    time_in_force: int
    price: int                      # 0 = market
    quantity: int
    client_id: str
    post_only: bool = False
    created_ns: int = 0
    updated_ns: int = 0
    expires_ns: int = NEVER_NS
    status: int = OrderStatus.NEW
    filled: int = 0
    notional: int = 0               # sum of price * quantity
    reserved: int = 0               # still locked, in amounts
    fills: list[Fill] = field(default_factory=list)

    @property
    def leaves(self) -> int:
        """Quantity that may still be filled."""
        return self.quantity - self.filled if self.status in OPEN else 0


class Submission(NamedTuple):
    """What a source answers to an order."""
    reason: int                             # Reason.OK, or why nothing has happened
    fills: list[tuple[int, int, int]]       # (price, quantity, trade id)
    resting: int                            # quantity that rests now


class OrderDesk:
    """The orders of one exchange.

    `fee_in_quote`: Kraken's way; otherwise the fee is taken from what is received, as Binance does.
    """

    def __init__(self, exchange, settings: tuple[AccountSettings, ...], fee_in_quote: bool):
        self.exchange = exchange
        self.accounts = [Account(one, index) for index, one in enumerate(settings, 1)]
        self.orders: dict[int, Order] = {}
        self.log: list[dict] = []
        self._fee_in_quote = fee_in_quote
        self._next_id = 1
        self._open_ids: dict[tuple[int, str], Order] = {}       # (account, client id) of open orders
        self._last_ids: dict[tuple[int, str], Order] = {}       # the same of all orders: the newest
        self._expiries: list[tuple[int, int]] = []

    def account_of(self, api_key: str) -> Account | None:
        """The account of a key."""
        return next((account for account in self.accounts if account.settings.api_key == api_key), None)

    def open_orders(self, account: Account) -> list[Order]:
        """Open orders, oldest first."""
        return [order for (index, _), order in self._open_ids.items() if index == account.index]

    def by_client_id(self, account: Account, client_id: str) -> Order | None:
        """The newest order of that client id: if any of that id is open, it is that."""
        return self._last_ids.get((account.index, client_id))

    @property
    def next_id(self) -> int:
        """The id that the next order will get."""
        return self._next_id

    def place(self, order: Order, at_ns: int) -> Order:
        """Take an order (made without an id). Rejection where it is refused; then nothing has happened."""
        if len(self.log) >= LARGEST_LOG:
            raise Rejection(Reason.RATE_LIMITED)
        self._check(order)
        if (order.account.index, order.client_id) in self._open_ids:
            raise Rejection(Reason.DUPLICATE_ORDER)
        self.exchange.source.catch_up(self.exchange, at_ns)
        self._reserve(order)
        order.order_id, order.created_ns, order.updated_ns = self._next_id, at_ns, at_ns
        submission = self.exchange.source.submit(self.exchange, order, at_ns)
        if submission.reason not in (Reason.OK, Reason.NO_LIQUIDITY):
            order.account.release(*self._lock_of(order))
            raise Rejection(submission.reason)
        self._next_id += 1
        self.orders[order.order_id] = order
        self._open_ids[order.account.index, order.client_id] = order
        self._last_ids[order.account.index, order.client_id] = order
        self._write("accepted", order, at_ns, price=self._price(order), quantity=self._quantity(order, order.quantity))
        self.exchange.order_accepted(order, at_ns)
        for price, quantity, trade_id in submission.fills:
            self._fill(order, price, quantity, trade_id, False, at_ns)
        if order.leaves and not submission.resting:
            self._end(order, OrderStatus.EXPIRED, at_ns)
        elif order.leaves and order.expires_ns != NEVER_NS:
            heapq.heappush(self._expiries, (order.expires_ns, order.order_id))
        return order

    def cancel(self, order: Order | None, at_ns: int) -> Order:
        """Cancel an open order; Rejection UNKNOWN_ORDER where it is none (any more)."""
        self.exchange.source.catch_up(self.exchange, at_ns)
        if order is None or order.status not in OPEN:
            raise Rejection(Reason.UNKNOWN_ORDER)
        self.exchange.source.withdraw(self.exchange, order, at_ns)
        self._end(order, OrderStatus.CANCELED, at_ns)
        return order

    def maker_filled(self, order_id: int, price: int, quantity: int, trade_id: int, at_ns: int) -> None:
        """A resting order was traded against."""
        self._fill(self.orders[order_id], price, quantity, trade_id, True, at_ns)

    def next_ns(self) -> int:
        """When the next order expires."""
        return self._expiries[0][0] if self._expiries else NEVER_NS

    def advance(self, now_ns: int) -> None:
        """Expire what is due."""
        while self._expiries and self._expiries[0][0] <= now_ns:
            expires_ns, order_id = heapq.heappop(self._expiries)
            order = self.orders[order_id]
            self.exchange.source.catch_up(self.exchange, expires_ns)
            if order.status in OPEN:
                self.exchange.source.withdraw(self.exchange, order, expires_ns)
                self._end(order, OrderStatus.EXPIRED, expires_ns)

    def truth(self) -> dict:
        """What was accepted and filled, and every balance: what a client is compared with at the end of a test."""
        return {
            "exchange": self.exchange.name,
            "events": list(self.log),
            "balances": {account.settings.name: {
                asset: {"free": to_text(account.free.get(asset, 0), AMOUNT_DECIMALS),
                        "locked": to_text(account.locked.get(asset, 0), AMOUNT_DECIMALS)}
                for asset in account.assets} for account in self.accounts},
        }

    # checks and money

    def _check(self, order: Order) -> None:
        instrument = order.instrument
        if order.quantity < instrument.minimum_quantity:
            raise Rejection(Reason.QUANTITY_BELOW_MINIMUM)
        if order.quantity > instrument.maximum_quantity:
            raise Rejection(Reason.QUANTITY_EXCEEDS_MAXIMUM)
        if order.quantity % instrument.lot:
            raise Rejection(Reason.QUANTITY_OFF_LOT)
        if order.order_type == OrderType.MARKET:
            return
        if order.price <= 0:
            raise Rejection(Reason.PRICE_NOT_POSITIVE)
        if order.price % instrument.tick:
            raise Rejection(Reason.PRICE_OFF_TICK)
        scale = 10 ** (instrument.price_decimals + instrument.quantity_decimals)
        if order.price * order.quantity * FEE_SCALE < instrument.minimum_notional * scale:
            raise Rejection(Reason.NOTIONAL_BELOW_MINIMUM)

    def _lock_of(self, order: Order) -> tuple[str, int]:
        return (order.instrument.quote if order.side == Side.BUY else order.instrument.base), order.reserved

    def _reserve(self, order: Order) -> None:
        if order.side == Side.SELL:
            order.reserved = _base_amount(order.instrument, order.quantity)
        else:
            notional = order.price * order.quantity
            if order.order_type == OrderType.MARKET:
                notional = self.exchange.source.cost(order.instrument, order.quantity)
            order.reserved = self._with_fee(order.instrument, notional)
        try:
            order.account.reserve(*self._lock_of(order))
        except InsufficientFunds:
            raise Rejection(Reason.INSUFFICIENT_FUNDS) from None

    def _with_fee(self, instrument: SimulatedInstrument, notional: int) -> int:
        amount = _quote_amount(instrument, notional)
        if self._fee_in_quote:
            amount += -(-amount * max(instrument.taker_fee, instrument.maker_fee, 0) // FEE_SCALE)
        return amount

    def _fill(self, order: Order, price: int, quantity: int, trade_id: int, is_maker: bool, at_ns: int) -> None:
        instrument, account = order.instrument, order.account
        base, quote = _base_amount(instrument, quantity), _quote_amount(instrument, price * quantity)
        rate = instrument.maker_fee if is_maker else instrument.taker_fee
        buying = order.side == Side.BUY
        in_quote = self._fee_in_quote or not buying
        step = 10 ** (AMOUNT_DECIMALS - FEE_DECIMALS)
        fee = (quote if in_quote else base) * rate // FEE_SCALE // step
        spent = quote if buying else base
        account.spend(instrument.quote if buying else instrument.base, spent)
        account.receive(instrument.base if buying else instrument.quote, base if buying else quote)
        order.reserved -= spent
        order.filled += quantity
        order.notional += price * quantity
        fill = Fill(price, quantity, trade_id, is_maker, fee, instrument.quote if in_quote else instrument.base)
        order.fills.append(fill)
        if buying and in_quote:
            order.reserved -= fee * step            # it was reserved with the cost
            account.spend(fill.fee_asset, fee * step)
        else:
            account.receive(fill.fee_asset, -fee * step)
        if buying and order.order_type == OrderType.LIMIT:
            self._release(order, self._with_fee(instrument, order.price * (order.quantity - order.filled)))
        order.status = OrderStatus.FILLED if order.filled == order.quantity else OrderStatus.PARTIAL
        order.updated_ns = at_ns
        if order.status == OrderStatus.FILLED:
            self._close(order)
        self._write("filled", order, at_ns, price=to_text(price, instrument.price_decimals),
                    quantity=self._quantity(order, quantity), trade_id=trade_id, fee=to_text(fee, FEE_DECIMALS),
                    fee_asset=fill.fee_asset, liquidity="maker" if is_maker else "taker")
        self.exchange.order_filled(order, fill, at_ns)

    def _release(self, order: Order, keep: int) -> None:
        asset, reserved = self._lock_of(order)
        order.account.release(asset, reserved - keep)
        order.reserved = keep

    def _close(self, order: Order) -> None:
        self._release(order, 0)
        del self._open_ids[order.account.index, order.client_id]

    def _end(self, order: Order, status: int, at_ns: int) -> None:
        order.status = status
        order.updated_ns = at_ns
        self._close(order)
        self._write(OrderStatus(status).name.lower(), order, at_ns)
        self.exchange.order_ended(order, at_ns)

    def _price(self, order: Order) -> str:
        return to_text(order.price, order.instrument.price_decimals)

    def _quantity(self, order: Order, quantity: int) -> str:
        return to_text(quantity, order.instrument.quantity_decimals)

    def _write(self, event: str, order: Order, at_ns: int, **fields) -> None:
        self.log.append({
            "sequence": len(self.log) + 1, "time_ns": at_ns, "event": event, "account": order.account.settings.name,
            "order_id": self.exchange.order_name(order), "client_order_id": order.client_id,
            "symbol": order.instrument.symbol, "side": Side(order.side).name.lower(),
            "cumulative_quantity": self._quantity(order, order.filled)} | fields)


def time_in_force_name(order: Order) -> str:
    """GTC, IOC, FOK or GTD."""
    return TimeInForce(order.time_in_force).name


def _base_amount(instrument: SimulatedInstrument, quantity: int) -> int:
    return quantity * 10 ** (AMOUNT_DECIMALS - instrument.quantity_decimals)


def _quote_amount(instrument: SimulatedInstrument, notional: int) -> int:
    return notional * 10 ** (AMOUNT_DECIMALS - instrument.price_decimals - instrument.quantity_decimals)
