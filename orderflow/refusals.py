"""Why an order was refused, in words: the code, the limit and the number that met it, as decimals.

    QUANTITY_EXCEEDS_MAXIMUM: quantity=15, maximum_quantity=10
"""
from __future__ import annotations

from dataclasses import dataclass

from orderflow._core.types import BookState, Reason, TradingState
from orderflow.instrument import Instrument, Listing, canonical, from_scaled

#: code -> (what the numbers are, name of the actual one, name of the limit). Whose scale a number has is in its kind:
#: of the listing or of the instrument; money is of its currency, an amount of an asset.
MEANINGS = {
    Reason.QUANTITY_NOT_POSITIVE: ("listing quantity", "quantity", "minimum_quantity"),
    Reason.QUANTITY_OFF_LOT: ("listing quantity", "quantity", "lot"),
    Reason.QUANTITY_BELOW_MINIMUM: ("listing quantity", "quantity", "minimum_quantity"),
    Reason.QUANTITY_EXCEEDS_MAXIMUM: ("listing quantity", "quantity", "maximum_quantity"),
    Reason.NOTIONAL_BELOW_MINIMUM: ("listing notional", "notional", "minimum_notional"),
    Reason.NOTIONAL_EXCEEDS_MAXIMUM: ("listing notional", "notional", "maximum_notional"),
    Reason.STRATEGY_NOTIONAL_EXCEEDED: ("money", "notional", "maximum_order_notional"),
    Reason.PRICE_OFF_TICK: ("listing price", "price", "tick"),
    Reason.PRICE_NOT_POSITIVE: ("listing price", "price", "minimum_price"),
    Reason.PRICE_OUTSIDE_COLLAR: ("instrument price", "price", "collar_price"),
    Reason.PRICE_DRIFTED: ("instrument price", "price", "collar_price"),
    Reason.NO_REFERENCE_PRICE: ("seconds", "reference_age", "maximum_age"),
    Reason.FEED_TOO_OLD: ("seconds", "feed_age", "maximum_age"),
    Reason.BOOK_NOT_LIVE: ("book state", "book_state", "needed"),
    Reason.EXCEEDS_PARENT: ("instrument quantity", "committed_quantity", "parent_quantity"),
    Reason.POSITION_EXCEEDS_MAXIMUM: ("instrument quantity", "position", "maximum_position"),
    Reason.TRADING_HALTED: ("trading state", "trading_state", "needed"),
    Reason.LISTING_HALTED: ("trading state", "listing_state", "needed"),
    Reason.STRATEGY_HALTED: ("trading state", "strategy_state", "needed"),
    Reason.TRADING_REDUCING: ("instrument quantity", "open_quantity", "reducible_quantity"),
    Reason.EXCHANGE_REDUCING: ("instrument quantity", "open_quantity", "reducible_quantity"),
    Reason.STRATEGY_REDUCING: ("instrument quantity", "open_quantity", "reducible_quantity"),
    Reason.FILLS_TOO_FREQUENT: ("count", "fills", "maximum_fills"),
    Reason.REJECTS_TOO_FREQUENT: ("count", "rejects", "maximum_rejects"),
    Reason.MESSAGE_RATE_EXCEEDED: ("count", "messages", "maximum_messages"),
    Reason.STRATEGY_RATE_EXCEEDED: ("count", "messages", "maximum_messages"),
    Reason.RATE_LIMITED: ("count", "counted", "allowed"),
    Reason.REPEATED_ORDER: ("seconds", "age", "repeat_window"),
    Reason.SELF_TRADE: ("listing price", "price", "own_resting_price"),
    Reason.CAPITAL_EXCEEDED: ("money", "capital", "maximum_capital"),
    Reason.EXCHANGE_CAPITAL_EXCEEDED: ("money", "capital", "maximum_capital"),
    Reason.STRATEGY_CAPITAL_EXCEEDED: ("money", "capital", "maximum_capital"),
    Reason.LOSS_EXCEEDS_MAXIMUM: ("money", "loss", "maximum_loss"),
    Reason.DRAWDOWN_EXCEEDS_MAXIMUM: ("money", "drawdown", "maximum_drawdown"),
    Reason.STRATEGY_LOSS_EXCEEDED: ("money", "loss", "maximum_loss"),
    Reason.STRATEGY_DRAWDOWN_EXCEEDED: ("money", "drawdown", "maximum_drawdown"),
    Reason.BALANCE_UNEXPLAINED: ("amount", "balance", "expected"),
    Reason.ORDER_UNEXPLAINED: ("count", "open", "expected"),
    Reason.UNKNOWN_LISTING: ("count", "listing", "listings"),
    Reason.UNKNOWN_STRATEGY: ("count", "strategy", "strategies"),
}


@dataclass(frozen=True, slots=True)
class Scales:
    """What the integers of a decision are divided by: decimals of each kind of number."""

    listing: Listing
    instrument: Instrument
    money_decimals: int

    def of(self, kind: str) -> int:
        """Decimals of numbers of that kind."""
        return {
            "listing quantity": self.listing.quantity_decimals, "listing price": self.listing.price_decimals,
            "listing notional": self.listing.price_decimals + self.listing.quantity_decimals,
            "instrument quantity": self.instrument.quantity_decimals,
            "instrument price": self.instrument.price_decimals, "money": self.money_decimals, "seconds": 9, "count": 0,
            "amount": 18,
        }[kind]


def text(code: Reason, limit: int, actual: int, scales: Scales) -> str:
    """One line on a refusal: the name of its code, and both numbers by name, as decimals."""
    if code not in MEANINGS:
        return Reason(code).name
    kind, actual_name, limit_name = MEANINGS[code]
    return (f"{Reason(code).name}: {actual_name}={_told(kind, actual, scales)}, "
            f"{limit_name}={_told(kind, limit, scales)}")


def _told(kind: str, number: int, scales: Scales) -> str:
    if kind == "book state":
        return BookState(number).name
    if kind == "trading state":
        return TradingState(number).name
    told = canonical(from_scaled(number, scales.of(kind)))
    return f"{told} s" if kind == "seconds" else told

