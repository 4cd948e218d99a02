"""Reading an order out of the parameters of a Binance spot request, checked in the exchange's own words.

Source: Binance's "New order" (additional mandatory parameters by type), "Errors", "Filters" (spot).
"""
import re
from typing import NamedTuple

from orderflow._core.types import OrderType, Side, TimeInForce
from orderflow.simulator.accounts import Account
from orderflow.simulator.dialects.binance import RequestError
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.numbers import to_scaled
from orderflow.simulator.order import Order, SelfTrade, Trigger

CLIENT_ID = re.compile(r"^[a-zA-Z0-9-_]{1,36}$")
NOT_HERE = ("trailingDelta", "pegPriceType", "pegOffsetType", "pegOffsetValue")


class _Type(NamedTuple):
    order_type: int
    needs: tuple[str, ...]
    takes: tuple[str, ...] = ()
    takes_profit: bool | None = None        # None: it has no trigger


TYPES = {
    "LIMIT": _Type(OrderType.LIMIT, ("timeInForce", "quantity", "price"), ("icebergQty",)),
    "LIMIT_MAKER": _Type(OrderType.LIMIT, ("quantity", "price"), ("icebergQty",)),
    "MARKET": _Type(OrderType.MARKET, (), ("quantity", "quoteOrderQty")),
    "STOP_LOSS": _Type(OrderType.MARKET, ("quantity", "stopPrice"), (), False),
    "STOP_LOSS_LIMIT": _Type(OrderType.LIMIT, ("timeInForce", "quantity", "price", "stopPrice"), ("icebergQty",),
                             False),
    "TAKE_PROFIT": _Type(OrderType.MARKET, ("quantity", "stopPrice"), (), True),
    "TAKE_PROFIT_LIMIT": _Type(OrderType.LIMIT, ("timeInForce", "quantity", "price", "stopPrice"), ("icebergQty",),
                               True),
}
CONDITIONAL = ("timeInForce", "quantity", "price", "stopPrice", "icebergQty", "quoteOrderQty")


def missing(name: str) -> str:
    """The words for a parameter that is not there."""
    return f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."


def number(parameters: dict[str, str], name: str, decimals: int) -> int:
    """A decimal parameter as a scaled integer."""
    text = parameters.get(name)
    if not text:
        raise RequestError(400, -1102, missing(name))
    if not re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?", text):
        raise RequestError(400, -1100, f"Illegal characters found in parameter '{name}'; legal range is "
                                       r"'^([0-9]{1,20})(\.[0-9]{1,20})?$'.")
    try:
        return to_scaled(text, decimals)
    except ValueError:
        raise RequestError(400, -1111, f"Parameter '{name}' has too much precision.") from None


def whole(parameters: dict[str, str], name: str, default: int = 0) -> int:
    """A whole parameter, as ids and limits are."""
    text = parameters.get(name, str(default))
    if not text.isdigit() or not text.isascii() or len(text) > 19:
        raise RequestError(400, -1100, f"Illegal characters found in parameter '{name}'; legal range is "
                                       "'^[0-9]{1,20}$'.")
    return int(text)


def client_id(parameters: dict[str, str], name: str, default: str) -> str:
    """A client order id, or the one that the exchange gives."""
    text = parameters.get(name) or default
    if not CLIENT_ID.match(text):
        raise RequestError(400, -1100, f"Illegal characters found in parameter '{name}'; legal range is "
                                       f"'{CLIENT_ID.pattern}'.")
    return text


def read_order(account: Account, instrument: SimulatedInstrument, parameters: dict[str, str], next_id: int) -> Order:
    """The order of a request to place one. RequestError where it is none."""
    for name in ("side", "type"):
        if not parameters.get(name):
            raise RequestError(400, -1102, missing(name))
    kind, side, force = parameters["type"], parameters["side"], parameters.get("timeInForce", "GTC")
    if kind not in TYPES:
        raise RequestError(400, -1116, "Invalid orderType.")
    if side not in ("BUY", "SELL"):
        raise RequestError(400, -1117, "Invalid side.")
    if force not in ("GTC", "IOC", "FOK"):
        raise RequestError(400, -1115, "Invalid timeInForce.")
    wanted = TYPES[kind]
    _check_presence(wanted, parameters)
    digits, price_digits = instrument.quantity_decimals, instrument.price_decimals
    display = number(parameters, "icebergQty", digits) if "icebergQty" in parameters else 0
    if display and force != "GTC":
        raise RequestError(400, -1115, "Invalid timeInForce.")
    market = wanted.order_type == OrderType.MARKET
    trigger = None
    if wanted.takes_profit is not None:
        trigger = Trigger(wanted.takes_profit, number(parameters, "stopPrice", price_digits))
    in_quote = kind == "MARKET" and "quoteOrderQty" in parameters
    return Order(
        0, account, instrument, Side[side], wanted.order_type, TimeInForce.IOC if market else TimeInForce[force],
        0 if market else number(parameters, "price", price_digits),
        0 if in_quote else number(parameters, "quantity", digits),
        client_id(parameters, "newClientOrderId", f"simulated{next_id}"), post_only=kind == "LIMIT_MAKER",
        quote_quantity=number(parameters, "quoteOrderQty", price_digits + digits) if in_quote else 0,
        display=display, trigger=trigger, self_trade=_self_trade(parameters))


def _check_presence(wanted: _Type, parameters: dict[str, str]) -> None:
    for name in NOT_HERE:
        if name in parameters:
            raise RequestError(400, -2010, "Trailing stop and pegged orders are not allowed for this symbol.")
    for name in wanted.needs:
        if not parameters.get(name):
            raise RequestError(400, -1102, missing(name))
    for name in CONDITIONAL:
        if name in parameters and name not in (*wanted.needs, *wanted.takes):
            raise RequestError(400, -1106, f"Parameter '{name}' sent when not required.")
    if "quoteOrderQty" in parameters and "quantity" in parameters:
        raise RequestError(400, -1106, "Parameter 'quoteOrderQty' sent when not required.")


def _self_trade(parameters: dict[str, str]) -> SelfTrade:
    try:
        return SelfTrade(parameters.get("selfTradePreventionMode", "NONE"))
    except ValueError:
        raise RequestError(400, -2010, "This symbol does not allow the specified self-trade prevention mode.") from None
