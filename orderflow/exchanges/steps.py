"""What several exchanges say in metadata alike: tick, lot and largest order, and the day on which a contract ends."""
from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from orderflow.instrument import choose_scales, significant_decimals

LARGEST_PRICE = Decimal(10) ** 7
LARGEST_QUANTITY = Decimal(10) ** 10
#: Steps that a price or quantity has at most: a coin of 1e-12 is not traded at millions, whatever the exchange permits.
PRICE_STEPS = Decimal(10) ** 15
QUANTITY_STEPS = Decimal(10) ** 18
#: Orders that rest since before a change of tick or lot may be this many digits finer.
OLDER_DIGITS = 2


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


def day_of(unix_ms: int) -> str:
    """The day on which a dated contract ends, as instruments are named by it: 260327."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%y%m%d")
