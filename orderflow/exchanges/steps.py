"""What several exchanges say in metadata alike: the steps of numbers, and the day on which a contract ends."""
from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from orderflow.instrument import WireDigits, choose_scales, significant_decimals

LARGEST_PRICE = Decimal(10) ** 7
LARGEST_QUANTITY = Decimal(10) ** 10
#: Steps that a price or quantity has at most: a coin of 1e-12 is not traded at millions, whatever the exchange permits.
PRICE_STEPS = Decimal(10) ** 15
QUANTITY_STEPS = Decimal(10) ** 18
#: Orders that rest since before a change of tick or lot may be this many digits finer, and so may those after one.
OLDER_DIGITS = 2
#: How much larger than what its book shows a price or quantity may become, where the exchange names no bound.
GROWTH = 1024


def scales_of(tick: Decimal, lot: Decimal, largest: Decimal) -> tuple[int, int, Decimal]:
    """Decimals of prices and of quantities, and the largest order that these hold.

    Parameters
    ----------
    tick, lot : Decimal
        Never rounded away; where there is room, finer digits are kept too.
    largest : Decimal
        Quantity of the largest order; 0 = the exchange names none.
    """
    largest = min(largest or LARGEST_QUANTITY, lot * QUANTITY_STEPS)
    prices, quantities = significant_decimals(tick), significant_decimals(lot)
    return *choose_scales(prices + OLDER_DIGITS, quantities + OLDER_DIGITS, min(LARGEST_PRICE, tick * PRICE_STEPS),
                          largest, prices, quantities), largest


def scales_of_book(tick: Decimal, lot: Decimal, digits: WireDigits, finest: int,
                   largest: Decimal = Decimal(0)) -> tuple[int, int, Decimal]:
    """The same where resting orders are finer than the lot, for fills leave any quantity: by what the book shows.

    Parameters
    ----------
    digits : WireDigits
        Of its book, empty where none is known.
    finest : int
        Decimals that quantities may have, kept where there is room.
    largest : Decimal
        Quantity of the largest order; 0 = the exchange names none.
    """
    needed_price = max(significant_decimals(tick), digits.price_needed)
    needed_quantity = max(significant_decimals(lot), digits.quantity_needed)
    room = QUANTITY_STEPS.scaleb(-needed_quantity)
    largest = min(largest, room)
    prices, quantities = choose_scales(
        needed_price + OLDER_DIGITS, max(needed_quantity, finest),
        digits.largest_price * GROWTH or min(LARGEST_PRICE, tick * PRICE_STEPS),
        largest or min(digits.largest_quantity * GROWTH or LARGEST_QUANTITY, max(room, digits.largest_quantity)),
        needed_price, needed_quantity)
    return prices, quantities, largest


def day_of(unix_ms: int) -> str:
    """The day on which a dated contract ends, as instruments are named by it: 260327."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%y%m%d")
