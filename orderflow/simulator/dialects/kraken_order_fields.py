"""Reading orders out of Kraken's requests: WebSocket v2 parameters, and REST fields, which are translated into them.

Source: Kraken's "Spot WebSocket v2: add_order" and "Spot REST: AddOrder" at docs.kraken.com.
"""
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from orderflow._core.types import OrderType, Side, TimeInForce
from orderflow.simulator.accounts import Account
from orderflow.simulator.dialects.kraken_words import Refused
from orderflow.simulator.exchange import NEVER_NS, SECOND_NS
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.numbers import to_scaled
from orderflow.simulator.order import Order, SelfTrade, Trigger
from orderflow.simulator.words import timestamp, unix_ns

FORCES = {"gtc": TimeInForce.GTC, "ioc": TimeInForce.IOC, "gtd": TimeInForce.GTD, "fok": TimeInForce.FOK}
SELF_TRADES = {"cancel_newest": SelfTrade.EXPIRE_TAKER, "cancel_oldest": SelfTrade.EXPIRE_MAKER,
               "cancel_both": SelfTrade.EXPIRE_BOTH}
#: order_type -> (has a limit price, takes profit: None where there is no trigger)
TYPES = {"market": (False, None), "limit": (True, None), "iceberg": (True, None), "stop-loss": (False, False),
         "stop-loss-limit": (True, False), "take-profit": (False, True), "take-profit-limit": (True, True)}
NOT_HERE = ("conditional", "effective_time", "margin", "reduce_only")
LONGEST_DEADLINE_NS = 60 * SECOND_NS
TICK_REFUSAL = "EOrder:Tick size check failed"
QUANTITY_REFUSAL = "EGeneral:Invalid arguments:order_qty"


def invalid(name: str) -> Refused:
    """The words for an argument that is not right."""
    return Refused(f"EGeneral:Invalid arguments:{name}")


def number(parameters: dict, name: str, decimals: int, refusal: str) -> int:
    """A number as a scaled integer."""
    if name not in parameters or isinstance(parameters[name], bool | list | dict):
        raise invalid(name)
    try:
        value = Decimal(str(parameters[name]))          # JSON numbers may have an exponent
        if abs(value.adjusted()) > 30:
            raise Refused(refusal)
        return to_scaled(f"{value:f}", decimals)
    except (ValueError, InvalidOperation):
        raise Refused(refusal) from None


def time_of(parameters: dict, name: str) -> int:
    """A time as unix nanoseconds."""
    try:
        return unix_ns(parameters[name])
    except (KeyError, TypeError, ValueError):
        raise invalid(name) from None


def read_order(account: Account, instrument: SimulatedInstrument, parameters: dict, next_id: int, now_ns: int) -> Order:
    """The order of add_order's parameters. Refused where it is none."""
    kind, side = parameters.get("order_type"), parameters.get("side")
    force = parameters.get("time_in_force", "gtc")
    for name, given, known in (("order_type", kind, TYPES), ("side", side, ("buy", "sell")),
                               ("time_in_force", force, FORCES)):
        if not isinstance(given, str) or given not in known:
            raise invalid(name)
    for name in NOT_HERE:
        if parameters.get(name):
            raise invalid(name)
    if "deadline" in parameters and time_of(parameters, "deadline") < now_ns:
        raise Refused("EService:Deadline elapsed")
    has_limit, takes_profit = TYPES[kind]
    digits, price_digits = instrument.quantity_decimals, instrument.price_decimals
    in_quote = "cash_order_qty" in parameters
    if in_quote and (kind != "market" or side != "buy"):
        raise invalid("cash_order_qty")
    preference = parameters.get("fee_preference", "quote")
    if preference not in ("base", "quote"):
        raise invalid("fee_preference")
    return Order(
        0, account, instrument, Side[side.upper()], OrderType.LIMIT if has_limit else OrderType.MARKET,
        FORCES[force] if has_limit else TimeInForce.IOC,
        number(parameters, "limit_price", price_digits, TICK_REFUSAL) if has_limit else 0,
        0 if in_quote else number(parameters, "order_qty", digits, QUANTITY_REFUSAL),
        _client_id(parameters, next_id), post_only=_flag(parameters, "post_only") and has_limit,
        expires_ns=_expiry(parameters, now_ns) if force == "gtd" else NEVER_NS,
        quote_quantity=number(parameters, "cash_order_qty", price_digits + digits, "EGeneral:Invalid arguments:"
                              "cash_order_qty") if in_quote else 0,
        display=number(parameters, "display_qty", digits, "EGeneral:Invalid arguments:display_qty")
        if kind == "iceberg" else 0,
        trigger=None if takes_profit is None else Trigger(takes_profit, _trigger_price(parameters, price_digits)),
        self_trade=_self_trade(parameters), fee_in_base=preference == "base", user_reference=reference(parameters))


def _client_id(parameters: dict, next_id: int) -> str:
    text = parameters.get("cl_ord_id", f"={next_id}")
    if not isinstance(text, str) or not text.isascii() or not 0 < len(text) <= 36:
        raise invalid("cl_ord_id")
    if "cl_ord_id" in parameters and "order_userref" in parameters:
        raise invalid("cl_ord_id and order_userref are mutually exclusive")
    return text


def reference(parameters: dict, default: int = 0) -> int:
    """The client's own number for a group of orders."""
    given = parameters.get("order_userref", default)
    if not isinstance(given, int) or isinstance(given, bool) or not -(2**31) <= given < 2**31:
        raise invalid("order_userref")
    return given


def _flag(parameters: dict, name: str) -> bool:
    value = parameters.get(name, False)
    if not isinstance(value, bool):
        raise invalid(name)
    return value


def _expiry(parameters: dict, now_ns: int) -> int:
    expires_ns = time_of(parameters, "expire_time")
    if expires_ns <= now_ns:
        raise invalid("expire_time")
    return expires_ns


def _trigger_price(parameters: dict, decimals: int) -> int:
    triggers = parameters.get("triggers")
    if not isinstance(triggers, dict) or triggers.get("reference", "last") != "last":
        raise invalid("triggers")
    if triggers.get("price_type", "static") != "static":
        raise invalid("triggers")
    return number(triggers, "price", decimals, TICK_REFUSAL)


def _self_trade(parameters: dict) -> SelfTrade:
    try:
        return SELF_TRADES[parameters.get("stp_type", "cancel_newest")]
    except (KeyError, TypeError):
        raise invalid("stp_type") from None


def from_rest(fields: dict[str, str], instrument: Callable[[str], SimulatedInstrument], now_ns: int) -> dict:
    """AddOrder's fields as add_order's parameters."""
    kind, flags = fields.get("ordertype"), fields.get("oflags", "").split(",")
    parameters: dict = {"symbol": instrument(fields.get("pair", "")).symbol, "order_type": kind,
                        "side": fields.get("type"), "time_in_force": fields.get("timeinforce", "GTC").lower(),
                        "order_qty": fields.get("volume", "")}
    if kind is not None and kind.startswith(("stop-loss", "take-profit")):
        parameters["triggers"] = {"reference": fields.get("trigger", "last"), "price": fields.get("price", "")}
        if "price2" in fields:
            parameters["limit_price"] = fields["price2"]
    elif "price" in fields:
        parameters["limit_price"] = fields["price"]
    if "viqc" in flags:
        parameters["cash_order_qty"] = parameters.pop("order_qty")
    if "post" in flags:
        parameters["post_only"] = True
    if "fcib" in flags:
        parameters["fee_preference"] = "base"
    if "displayvol" in fields:
        parameters |= {"display_qty": fields["displayvol"], "order_type": "iceberg" if kind == "limit" else kind}
    for theirs, ours in (("cl_ord_id", "cl_ord_id"), ("deadline", "deadline"), ("reduce_only", "reduce_only")):
        if fields.get(theirs, "false") != "false":
            parameters[ours] = fields[theirs]
    if "stptype" in fields:
        parameters["stp_type"] = fields["stptype"].replace("-", "_")
    if "userref" in fields:
        parameters["order_userref"] = whole(fields, "userref")
    if "expiretm" in fields:
        seconds = whole({"expiretm": fields["expiretm"].removeprefix("+")}, "expiretm")
        relative = fields["expiretm"].startswith("+")
        parameters["expire_time"] = timestamp(seconds * SECOND_NS + (now_ns if relative else 0))
    if any(name.startswith("close[") for name in fields):
        raise invalid("close")
    return parameters


def whole(fields: dict[str, str], name: str, default: int = 0) -> int:
    """A whole number of a REST field."""
    text = fields.get(name, str(default))
    if not text.removeprefix("-").isdigit() or len(text) > 12:
        raise invalid(name)
    return int(text)
