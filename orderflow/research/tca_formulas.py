"""The formulas of transaction cost analysis on plain integers; everything that a report shows goes through here.

Prices are integers of one scale and quantities of another, so notional (price times quantity) and money are integers of
the product's scale. What is added up is added up in these; a cost in bps is one division at the end, whose result is
the double next to the true quotient. What is not known is None, never 0, and makes None of whatever needs it.

A cost is positive for a buyer who paid more and a seller who got less. `side` is a Side.

Sources: Perold 1988 (implementation shortfall), Wagner & Edwards 1993 (its parts), SEC Rule 605 and Huang & Stoll 1996
(effective and realised spread, price impact).
"""
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orderflow._core.types import Side

BPS = 10_000
#: Half of an interval that holds 95 % of a normal distribution, in standard errors.
NORMAL_95 = 1.96


def sign_of(side: int) -> int:
    """+1 for BUY, -1 for SELL."""
    return 1 if side == Side.BUY else -1


def ratio(part: int | None, whole: int | None) -> float | None:
    """part / whole; None where one is not known or the whole is 0."""
    return None if part is None or not whole else part / whole


def bps(part: int | None, whole: int | None) -> float | None:
    """The same in 1e-4."""
    return None if part is None else ratio(part * BPS, whole)


# -- the parent order -------------------------------------------------------------------------------------------------

@dataclass(frozen=True, slots=True)
class Shortfall:
    """Implementation shortfall and the parts that it is the sum of, in units of money; positive is a cost.

    Attributes
    ----------
    delay : int, optional
        filled * (arrival - decision): what the price did before anybody could trade.
    trading : int, optional
        filled * (average price - arrival).
    opportunity : int, optional
        (ordered - filled) * (end - decision): what was not filled, at the price when it was given up. Exactly 0 when
        everything was filled.
    fees : int
    total : int, optional
        Exactly delay + trading + opportunity + fees; None unless all of them are known.
    benchmark : str, optional
        "decision"; or "arrival", where the price at the decision is not known: then the arrival stands in for it, and
        there is no delay in the total. None = neither is known.
    denominator : int, optional
        ordered * benchmark price: what the parts are a fraction of.
    """

    delay: int | None
    trading: int | None
    opportunity: int | None
    fees: int
    total: int | None
    benchmark: str | None
    denominator: int | None


def shortfall(side: int, ordered: int, filled: int, notional: int, fees: int, decision: int | None,
              arrival: int | None, end: int | None) -> Shortfall:
    """Implementation shortfall against the price at the decision (Perold 1988; parts after Wagner & Edwards 1993).

    Parameters
    ----------
    ordered, filled : int
        Quantities.
    notional : int
        Sum of price * quantity of the fills.
    fees : int
        In units of money; a rebate is negative.
    decision, arrival, end : int, optional
        Prices: when the parent order was decided, when it could be worked first, and when it ended.
    """
    sign = sign_of(side)
    benchmark = decision if decision is not None else arrival
    delay = trading = opportunity = None
    if filled == 0:
        delay = trading = 0 if benchmark is not None else None
    elif arrival is not None:
        trading = sign * (notional - filled * arrival)
        delay = sign * filled * (arrival - decision) if decision is not None else None
    if decision is None:
        delay = None
    if ordered == filled:
        opportunity = 0
    elif benchmark is not None and end is not None:
        opportunity = sign * (ordered - filled) * (end - benchmark)
    parts = [trading, opportunity, fees] if decision is None else [delay, trading, opportunity, fees]
    known = [part for part in parts if part is not None]
    return Shortfall(delay, trading, opportunity, fees, sum(known) if len(known) == len(parts) else None,
                     "decision" if decision is not None else "arrival" if arrival is not None else None,
                     ordered * benchmark if benchmark is not None else None)


def slippage_bps(side: int, notional: int, filled: int, benchmark: int | None, weight: int | None = 1) -> float | None:
    """Average price against the average benchmark / weight, in bps of that; positive is a cost.

    Parameters
    ----------
    benchmark, weight : int
        A price and 1 (arrival); notional and volume of the market (VWAP); mid times nanoseconds, and nanoseconds
        (TWAP).
    """
    if benchmark is None or weight is None:
        return None
    return bps(sign_of(side) * (notional * weight - benchmark * filled), benchmark * filled)


def permanent_bps(side: int, arrival: int | None, later: int | None) -> float | None:
    """What the mid has moved by from the arrival to a while after the last fill, in bps of the arrival."""
    return None if arrival is None or later is None else bps(sign_of(side) * (later - arrival), arrival)


def temporary_bps(side: int, notional: int, filled: int, arrival: int | None, later: int | None) -> float | None:
    """Average price against the mid a while after the last fill, in bps of the arrival. With the permanent part it is
    the arrival cost."""
    if arrival is None or later is None:
        return None
    return bps(sign_of(side) * (notional - filled * later), filled * arrival)


def reversion_bps(side: int, last: int | None, later: int | None) -> float | None:
    """What the mid did after the last fill, in bps of the mid at the last fill; negative = it came back."""
    return None if last is None or later is None else bps(sign_of(side) * (later - last), last)


# -- its fills --------------------------------------------------------------------------------------------------------

def effective_spread(side: int, price: int, before: int) -> int:
    """2d(p - m0), m0 the mid before the trade (SEC Rule 605). It is realised spread + price impact, exactly."""
    return 2 * sign_of(side) * (price - before)


def realised_spread(side: int, price: int, later: int) -> int:
    """2d(p - m_later): what the other side of the trade kept."""
    return 2 * sign_of(side) * (price - later)


def price_impact(side: int, before: int, later: int) -> int:
    """2d(m_later - m0): what the other side lost to the price's move (Huang & Stoll 1996)."""
    return 2 * sign_of(side) * (later - before)


def weighted(terms: Iterable[tuple[int, int, int] | None]) -> float | None:
    """Mean of part / whole, weighted by quantity; None where there is nothing, or where any term is not known.

    Parameters
    ----------
    terms : iterable of (quantity, part, whole), or None for one that is not known
        Quotients of many denominators have no common one that stays small: each is divided once, and they are added
        up without a rounding in between.
    """
    total, quotients = 0, []
    for term in terms:
        if term is None or term[2] <= 0:
            return None
        quantity, part, whole = term
        total += quantity
        quotients.append(quantity * part / whole)
    return math.fsum(quotients) / total if total > 0 else None


def weighted_bps(terms: Iterable[tuple[int, int, int] | None]) -> float | None:
    """The same in bps."""
    return weighted(None if term is None else (term[0], term[1] * BPS, term[2]) for term in terms)


def markout_bps(side: int, fills: Iterable[tuple[int, int, int | None]]) -> float | None:
    """d(m_later - p) / p of fills (price, quantity, mid a while later), weighted by quantity; positive = the price went
    the way of the fill."""
    return weighted_bps(None if later is None else (quantity, sign_of(side) * (later - price), price)
                        for price, quantity, later in fills)


def spread_capture(side: int, fills: Iterable[tuple[int, int, tuple[int, int] | None]]) -> float | None:
    """d(m0 - p) / half the spread of fills (price, quantity, (bid, ask) before), weighted by quantity: 1 = filled at
    one's own best price, 0 = at the mid, -1 = across the spread. None where a book was locked."""
    return weighted(None if quote is None else (
        quantity, sign_of(side) * (quote[0] + quote[1] - 2 * price), quote[1] - quote[0])
        for price, quantity, quote in fills)


def fade_rate(orders: Iterable[tuple[int, int]]) -> float | None:
    """1 - filled / asked over orders (asked, filled) that took what a book showed: what was gone on arrival."""
    pairs = list(orders)
    return ratio(sum(asked - filled for asked, filled in pairs), sum(asked for asked, _ in pairs))


def z_score(difference: float | None, deviation: float | None) -> float | None:
    """A difference in deviations; None where one is not known, or there is no deviation."""
    return None if difference is None or not deviation else difference / deviation


# -- many of them -----------------------------------------------------------------------------------------------------

def percentile(values: Sequence[int], percent: int) -> int | None:
    """The smallest value that so many percent of all are not above (nearest rank); None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean of n observations, and the half-width of its 95 % interval, 1.96 s / sqrt(n); None where n < 2."""

    value: float
    half_width: float | None
    n: int


def mean(values: Iterable[float | None]) -> Mean | None:
    """Of those that are known; None of nothing. Observations must not depend on each other: one a parent order."""
    known = [value for value in values if value is not None]
    n = len(known)
    if not n:
        return None
    average = math.fsum(known) / n
    if n < 2:
        return Mean(average, None, n)
    variance = math.fsum((value - average) ** 2 for value in known) / (n - 1)
    return Mean(average, NORMAL_95 * math.sqrt(variance / n), n)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Pairs of a predicted and a realised cost, in bps.

    Attributes
    ----------
    predicted, realised, difference : Mean
        Difference: realised less predicted; it is 0 on average where predictions are right.
    spread_bps : float, optional
        Standard deviation of the difference; None of one pair.
    scored : int
        Pairs with a z-score: the difference in deviations of the prediction.
    within : float, optional
        Part of the z-scores between -1 and 1: WITHIN_ONE where the deviations are right, and the differences normal.
    intercept_bps, slope : float, optional
        Of the line realised = intercept + slope * predicted (least squares): 0 and 1 where predictions are right; a
        slope below 1 says that the models see more impact than there is. None where all predictions are the same.
    """

    predicted: Mean
    realised: Mean
    difference: Mean
    spread_bps: float | None
    scored: int
    within: float | None
    intercept_bps: float | None
    slope: float | None


#: Part of a normal distribution within one deviation.
WITHIN_ONE = math.erf(math.sqrt(0.5))


def calibration(pairs: Iterable[tuple[float | None, float | None, float | None]]) -> Calibration | None:
    """Of (predicted, realised, z-score or None); of pairs in which one of both is missing there is nothing to be said.
    None of nothing."""
    known = [(predicted, realised, score) for predicted, realised, score in pairs
             if predicted is not None and realised is not None]
    means = [mean(values) for values in ((one[0] for one in known), (one[1] for one in known),
                                         (one[1] - one[0] for one in known))]
    predicted, realised, difference = means
    if predicted is None or realised is None or difference is None:
        return None
    spread = (None if len(known) < 2 else math.sqrt(math.fsum(
        (one[1] - one[0] - difference.value) ** 2 for one in known) / (len(known) - 1)))
    scores = [score for _, _, score in known if score is not None]
    variance = math.fsum((one[0] - predicted.value) ** 2 for one in known)
    slope = math.fsum((one[0] - predicted.value) * (one[1] - realised.value)
                      for one in known) / variance if variance > 0 else None
    return Calibration(predicted, realised, difference, spread, len(scores),
                       sum(abs(score) < 1 for score in scores) / len(scores) if scores else None,
                       None if slope is None else realised.value - slope * predicted.value, slope)
