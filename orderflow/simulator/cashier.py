"""The money of orders: what is locked for them, what a trade moves, and the fee on it."""
from orderflow._core.types import OrderType, Reason, Side
from orderflow.simulator.accounts import InsufficientFunds
from orderflow.simulator.charges import FEE_STEP, amounts, base_amount, fee_of, with_fee
from orderflow.simulator.order import Fill, Order, Rejection


class Cashier:
    """Moves the balances of one exchange's accounts. `fee_in_quote`: see OrderDesk."""

    def __init__(self, exchange, fee_in_quote: bool):
        self._exchange, self._fee_in_quote = exchange, fee_in_quote

    def asset(self, order: Order) -> str:
        """What an order is paid with."""
        return order.instrument.quote if order.side == Side.BUY else order.instrument.base

    def needed(self, order: Order) -> int:
        """What has to be locked for the rest of an order."""
        leaves = order.quantity - order.filled - order.prevented
        if order.side == Side.SELL:
            return base_amount(order.instrument, leaves)
        notional = order.price * leaves
        if order.order_type == OrderType.MARKET:
            notional = (order.trigger.price * leaves if order.waits
                        else self._exchange.source.cost(order.instrument, leaves))
        return with_fee(order.instrument, notional, self._fee_in_quote)

    def affords(self, order: Order, needed: int) -> bool:
        """Whether what is locked for an order could become that."""
        return needed - order.reserved <= order.account.free.get(self.asset(order), 0)

    def reserve(self, order: Order) -> None:
        """Lock what a new order needs, or Rejection."""
        needed = self.needed(order)
        try:
            order.account.reserve(self.asset(order), needed)
        except InsufficientFunds:
            raise Rejection(Reason.INSUFFICIENT_FUNDS) from None
        order.reserved = needed

    def keep(self, order: Order, amount: int) -> None:
        """Lock exactly that: more is free again, and what is missing was asked for before (`affords`)."""
        order.account.release(self.asset(order), order.reserved - amount)
        order.reserved = amount

    def pay(self, order: Order, price: int, quantity: int, trade_id: int, is_maker: bool, at_ns: int) -> Fill:
        """Move what a trade moves, its fee too; the order's totals follow."""
        instrument, account = order.instrument, order.account
        base, quote = amounts(instrument, price, quantity)
        buying = order.side == Side.BUY
        in_quote = (self._fee_in_quote and not (order.fee_in_base and buying)) or not buying
        fee = fee_of(instrument, quote if in_quote else base, is_maker)
        spent = quote if buying else base
        account.spend(instrument.quote if buying else instrument.base, spent)
        account.receive(instrument.base if buying else instrument.quote, base if buying else quote)
        order.reserved -= spent
        order.filled += quantity
        order.notional += price * quantity
        fill = Fill(price, quantity, trade_id, is_maker, fee, instrument.quote if in_quote else instrument.base, at_ns)
        order.fills.append(fill)
        if buying and in_quote:
            order.reserved -= fee * FEE_STEP            # it was reserved with the cost
            account.spend(fill.fee_asset, fee * FEE_STEP)
        else:
            account.receive(fill.fee_asset, -fee * FEE_STEP)
        return fill
