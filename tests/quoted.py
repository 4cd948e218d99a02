"""Quotes as a tape would have them, for tests of what is learnt from them."""
from decimal import Decimal

import numpy as np

from orderflow.instrument import Listing
from orderflow.research.quotes import Quotes

LISTING = Listing("simulated", "AB", "A-B", "A", "B", price_decimals=2, quantity_decimals=0, tick=Decimal("0.01"),
                  lot=Decimal(1))


def quoted(rows, segment=None, step_ns=10**9):
    """Of rows (bid price, bid quantity, ask price, ask quantity) in ticks and units, one a second."""
    table = np.array(rows, np.int64).reshape(-1, 4)
    cuts = np.zeros(len(table), np.int64) if segment is None else np.asarray(segment)
    return Quotes(LISTING, np.arange(len(table)) * step_ns, *table.T, cuts)
