"""Liquidity that is displayed and gone on arrival: what that makes of a price, and when to send so that less of it is.

A level at an all-in unit cost c is there on arrival with probability phi; what is not filled costs pi later. The
expected unit cost is phi * c + (1 - phi) * pi. It is linear in the quantity, so levels are taken in the order of it by
whoever takes once and minds no risk. phi is estimated from orders that took what a book showed, as 1 - `fade_rate` of
orderflow.research.tca_formulas; before there are any, levels that vanish at a constant rate are a prior.
"""
from __future__ import annotations

import math
from collections.abc import Sequence


def survival(seconds: float, rate: float) -> float:
    """Probability that a level is still there after so many seconds, where levels vanish at `rate` per second."""
    if not seconds >= 0 or not rate >= 0:
        raise ValueError(f"seconds {seconds} and rate {rate}: expected 0 or more")
    return math.exp(-rate * seconds)


def expected_unit_cost(cost: float, survives: float, later: float) -> float:
    """Of a unit that a level displays.

    Parameters
    ----------
    cost : float
        All-in unit cost of a fill, quote currency: price and fee.
    survives : float
        Probability that it is still there on arrival (phi).
    later : float
        All-in unit cost of what is not filled (pi).

    Raises
    ------
    ValueError
        `survives` is no probability.
    """
    if not 0 <= survives <= 1:
        raise ValueError(f"survives {survives}: expected a probability")
    return survives * cost + (1 - survives) * later


def order_of_exchanges(levels: Sequence[tuple[float, float]], later: float) -> list[int]:
    """Indices of levels (cost, probability that it survives), the cheapest first; of equals, the one that stands
    first. For a sale, hand in what is paid as negative cost."""
    return sorted(range(len(levels)), key=lambda index: expected_unit_cost(*levels[index], later))


def send_delays_ns(round_trips_ns: Sequence[int]) -> list[int]:
    """How long to wait before sending to each exchange so that all orders arrive together: nobody sees an order on one
    exchange and takes his own from another before ours is there. The longest round trip waits 0; one way is half of
    a round trip."""
    if any(one < 0 for one in round_trips_ns):
        raise ValueError(f"round_trips_ns: {min(round_trips_ns)}, expected 0 or more")
    longest = max(round_trips_ns, default=0)
    return [(longest - one) // 2 for one in round_trips_ns]
