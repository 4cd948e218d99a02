"""The market of a storm (routing_storm.py): two instruments on three exchanges, in different scales, lots and
minimums; and risk that allows everything."""
import numpy as np

from orderflow._core.risk import RiskBook
from orderflow._core.types import LISTING_DTYPE, Amends

NAMES = ("one", "two", "three")
STRATEGIES = 3
MIDS = (100_000, 5_000)         # of the instruments, in their scale
UNLIMITED = 1 << 110
#: By listing: instrument, exchange, lot, minimum quantity, factor of prices, factor of quantities, taker fee in 1e-8.
LISTINGS = ((0, 0, 10, 20, 1, 1, 100_000), (0, 1, 1, 5, 10, 10, 20_000), (0, 2, 1, 100, 1, 1, -10_000),
            (1, 0, 5, 50, 1, 1, 100_000), (1, 1, 1, 1, 1, 20, 50_000), (1, 2, 1, 30, 1, 1, 20_000))
#: By listing: of an iceberg that its exchange refills, 0 = it does not.
MOST_PARTS = (15, 10, 0, 15, 0, 4)
AMENDS = (Amends.AMENDS_PRICE_AND_QUANTITY, Amends.AMENDS_QUANTITY_DOWN, Amends.AMENDS_NOTHING)


def listings():
    """Six listings of two instruments on three exchanges, in different scales."""
    table = np.zeros(len(LISTINGS), LISTING_DTYPE)
    for index, (row, fields) in enumerate(zip(table, LISTINGS, strict=True)):
        row["index"], row["tick"], row["maximum_quantity"], row["most_parts"] = index, 1, 1 << 40, MOST_PARTS[index]
        for name, value in zip(("instrument", "exchange", "lot", "minimum_quantity", "price_factor", "quantity_factor",
                                "taker_fee"), fields, strict=True):
            row[name] = value
    return table


def risk_book(table):
    """Limits that nothing here reaches."""
    risk = RiskBook(table, orders=2048, parents=64, strategies=STRATEGIES)
    for listing in range(len(LISTINGS)):
        risk.set_listing(listing, maximum_quantity=1 << 40, maximum_notional=UNLIMITED)
    for instrument in range(len(MIDS)):
        risk.set_instrument(instrument, maximum_position=1 << 50, collar=10_000_000, reference_age_ns=1 << 60)
    for what, places in (("total", 1), ("strategy", STRATEGIES), ("exchange", len(NAMES))):
        for place in range(places):
            risk.set_money(what, place, 0, maximum_used=UNLIMITED, maximum_loss=UNLIMITED)
    return risk
