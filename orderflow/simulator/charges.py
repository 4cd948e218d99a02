"""What an order has to keep to, and what it costs: an instrument's filters, amounts of money, fees."""
from orderflow._core.types import OrderType, Reason
from orderflow.simulator.accounts import AMOUNT_DECIMALS, FEE_DECIMALS
from orderflow.simulator.instruments import FEE_SCALE, SimulatedInstrument
from orderflow.simulator.order import Order, Rejection

FEE_STEP = 10 ** (AMOUNT_DECIMALS - FEE_DECIMALS)


def check(order: Order) -> None:
    """Rejection where an order does not keep to its instrument's rules."""
    instrument = order.instrument
    scale = 10 ** (instrument.price_decimals + instrument.quantity_decimals)
    if order.quote_quantity and order.quote_quantity * FEE_SCALE < instrument.minimum_notional * scale:
        raise Rejection(Reason.NOTIONAL_BELOW_MINIMUM)
    if order.quantity < instrument.minimum_quantity:
        raise Rejection(Reason.QUANTITY_BELOW_MINIMUM)
    if order.quantity > instrument.maximum_quantity:
        raise Rejection(Reason.QUANTITY_EXCEEDS_MAXIMUM)
    if order.quantity % instrument.lot or order.display % instrument.lot:
        raise Rejection(Reason.QUANTITY_OFF_LOT)
    if order.trigger is not None:
        _check_price(order.trigger.price, instrument)
    if order.order_type == OrderType.MARKET:
        return
    _check_price(order.price, instrument)
    if order.price * order.quantity * FEE_SCALE < instrument.minimum_notional * scale:
        raise Rejection(Reason.NOTIONAL_BELOW_MINIMUM)


def _check_price(price: int, instrument: SimulatedInstrument) -> None:
    if price <= 0:
        raise Rejection(Reason.PRICE_NOT_POSITIVE)
    if price % instrument.tick:
        raise Rejection(Reason.PRICE_OFF_TICK)


def base_amount(instrument: SimulatedInstrument, quantity: int) -> int:
    """A quantity as an amount."""
    return quantity * 10 ** (AMOUNT_DECIMALS - instrument.quantity_decimals)


def quote_amount(instrument: SimulatedInstrument, notional: int) -> int:
    """Price times quantity as an amount."""
    return notional * 10 ** (AMOUNT_DECIMALS - instrument.price_decimals - instrument.quantity_decimals)


def amounts(instrument: SimulatedInstrument, price: int, quantity: int) -> tuple[int, int]:
    """A trade as amounts of base and quote."""
    return base_amount(instrument, quantity), quote_amount(instrument, price * quantity)


def with_fee(instrument: SimulatedInstrument, notional: int, in_quote: bool) -> int:
    """What buying for `notional` may take of the quote currency."""
    amount = quote_amount(instrument, notional)
    if in_quote:
        amount += -(-amount * max(instrument.taker_fee, instrument.maker_fee, 0) // FEE_SCALE)
    return amount


def fee_of(instrument: SimulatedInstrument, amount: int, is_maker: bool) -> int:
    """The fee on an amount, in 1e-FEE_DECIMALS of its asset."""
    return amount * (instrument.maker_fee if is_maker else instrument.taker_fee) // FEE_SCALE // FEE_STEP


def affordable(levels: list[tuple[int, int]], budget: int, lot: int) -> int:
    """Quantity, in whole lots, that `budget` (price times quantity) buys or sells from levels, best first."""
    quantity = 0
    for price, offered in levels:
        taken = min(offered, budget // price)
        quantity += taken
        budget -= taken * price
        if taken < offered:
            break
    return quantity // lot * lot


def cost_of(levels: list[tuple[int, int]], quantity: int) -> int:
    """Price times quantity of taking so much from levels, best first, or all there is."""
    notional = 0
    for price, offered in levels:
        notional += price * min(quantity, offered)
        quantity -= min(quantity, offered)
    return notional
