"""Kraken's counters: one for the REST calls of a key, and one for the trading of an account in each pair.

Both go up with what is done and fall with time. The trading counter counts cancels and changes by how young the order
is: who quotes and withdraws at once pays most. A cancel counts and is never refused, so that it can lead beyond the
threshold; new orders and changes are.

Source: Kraken's "Spot rate limits: REST" and "Spot rate limits: trading" at docs.kraken.com.
"""
from typing import NamedTuple

from orderflow.simulator.exchange import SECOND_NS


class Tier(NamedTuple):
    """What an account may do."""
    rest_most: int
    rest_decay: float           # per second
    trading_most: int
    trading_decay: float
    open_orders: int            # in one pair


TIERS = {"starter": Tier(15, 0.33, 60, 1.0, 60), "intermediate": Tier(20, 0.5, 125, 2.34, 80),
         "pro": Tier(20, 1.0, 180, 3.75, 225), "unlimited": Tier(10**9, 1e9, 10**9, 1e9, 10**9)}
#: (order younger than so many seconds, count): the first that fits.
AMEND = ((5, 3), (10, 2), (15, 1))
EDIT = ((5, 6), (10, 5), (15, 4), (45, 2), (90, 1))
CANCEL = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))
UNCOUNTED = ("AddOrder", "AddOrderBatch", "AmendOrder", "EditOrder", "CancelOrder", "CancelOrderBatch", "CancelAll",
             "CancelAllOrdersAfter")
REST_COSTS = {"TradesHistory": 2, "Ledgers": 2, "QueryLedgers": 2, "ClosedOrders": 1}


def rest_cost(name: str) -> int:
    """What a private REST endpoint adds to the counter of its key."""
    return 0 if name in UNCOUNTED else REST_COSTS.get(name, 1)


def penalty(table: tuple[tuple[int, int], ...], age_ns: int) -> int:
    """What an order of that age adds."""
    return next((count for seconds, count in table if age_ns < seconds * SECOND_NS), 0)


class Counter:
    """A number that falls with time."""

    def __init__(self, most: int, decay: float):
        self.most, self.decay = most, decay
        self._value, self._at_ns = 0.0, 0
        self.highest = 0.0
        self.refusals = 0

    def value(self, now_ns: int) -> float:
        """What it stands at."""
        return max(0.0, self._value - (now_ns - self._at_ns) / SECOND_NS * self.decay)

    def add(self, count: float, now_ns: int, refuse: bool = True) -> bool:
        """Count something; False where it is one too many, and then it is not counted."""
        value = self.value(now_ns) + count
        if refuse and value > self.most:
            self.refusals += 1
            return False
        self._value, self._at_ns = value, now_ns
        self.highest = max(self.highest, value)
        return True
