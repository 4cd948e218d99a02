"""Two order books that cross after fees: what can be bought on one and sold on the other, and what a leg risks.

A unit bought at ask a and sold at bid b leaves b (1 - sell fee) - a (1 + buy fee) - what it costs to bring things back.
Both ladders are walked while that is positive: asks rise and bids fall, so no other choice of levels leaves more. The
strategy `dislocation` trades the best level of what this finds.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

#: Numbers that are taken exactly; text as of Fraction.
Exact = int | Decimal | Fraction | str
SECONDS_PER_YEAR = 31_536_000


@dataclass(frozen=True, slots=True)
class Step:
    """A quantity that is taken at one ask and one bid, and what a unit of it leaves (quote currency)."""

    ask: Fraction
    bid: Fraction
    quantity: Fraction
    edge: Fraction


@dataclass(frozen=True, slots=True)
class Crossing:
    """What two books leave to whoever takes both.

    Attributes
    ----------
    steps : tuple of Step
        Best first; empty where nothing pays.
    """

    steps: tuple[Step, ...]

    @property
    def quantity(self) -> Fraction:
        """To buy on one and to sell on the other, base currency."""
        return sum((step.quantity for step in self.steps), Fraction(0))

    @property
    def profit(self) -> Fraction:
        """After fees and `returning`, quote currency."""
        return sum((step.quantity * step.edge for step in self.steps), Fraction(0))


def crossing(asks: Sequence[tuple[Exact, Exact]], bids: Sequence[tuple[Exact, Exact]], *, buy_fee: Exact,
             sell_fee: Exact, returning: Exact = 0, maximum_quantity: Exact | None = None) -> Crossing:
    """What can be bought of one book's asks and sold to another's bids at a profit; exact.

    Parameters
    ----------
    asks, bids : sequence of (price, quantity)
        Best first, in one quote and one base currency.
    buy_fee, sell_fee : exact number
        Fractions of the notional; negative is a rebate.
    returning : exact number
        Per unit, quote currency: for a hedge, or for bringing inventory and cash back.
    maximum_quantity : exact number, optional
        What the cash on the one and the inventory on the other are enough for.

    Raises
    ------
    TypeError
        A number is a float, which has lost what it was: give it as text, Decimal or integer.
    ValueError
        Levels do not stand best first, or one has no positive quantity; or a fee is no fraction.
    """
    offers, wants = _ladder("asks", asks, 1), _ladder("bids", bids, -1)
    paid, kept, toll = 1 + _fee("buy_fee", buy_fee), 1 - _fee("sell_fee", sell_fee), _exact(returning)
    left = None if maximum_quantity is None else _exact(maximum_quantity)
    steps: list[Step] = []
    while offers and wants and (left is None or left > 0):
        (ask, offered), (bid, wanted) = offers[-1], wants[-1]
        edge = bid * kept - ask * paid - toll
        if edge <= 0:
            break
        quantity = min(offered, wanted) if left is None else min(offered, wanted, left)
        steps.append(Step(ask, bid, quantity, edge))
        left = None if left is None else left - quantity
        for ladder in (offers, wants):
            price, there = ladder.pop()
            if there > quantity:
                ladder.append((price, there - quantity))
    return Crossing(tuple(steps))


def break_even(buy_fee: Exact, sell_fee: Exact) -> Fraction:
    """How far a bid must be above an ask, as a fraction of the ask, for the fees alone."""
    return (1 + _fee("buy_fee", buy_fee)) / (1 - _fee("sell_fee", sell_fee)) - 1


def leg_deviation(annual_volatility: float, seconds: float) -> float:
    """Standard deviation of the mid's return while one leg is filled and the other is not, as a fraction.

    Parameters
    ----------
    annual_volatility : float
        Fraction per square root of a year of 365 days.
    """
    if not annual_volatility >= 0 or not seconds >= 0:
        raise ValueError(f"annual_volatility {annual_volatility} and seconds {seconds}: expected 0 or more")
    return annual_volatility * math.sqrt(seconds / SECONDS_PER_YEAR)


def least_edge(deviation: float, deviations: float, survives: float, unwind: float) -> float:
    """Enter a crossing only for more than that: so many standard deviations of a leg, and what it costs to unwind one
    leg where the other has faded. All as fractions of the price."""
    if not 0 <= survives <= 1:
        raise ValueError(f"survives {survives}: expected a probability")
    return deviations * deviation + (1 - survives) * unwind


def _exact(number: Exact) -> Fraction:
    if isinstance(number, float):
        raise TypeError(f"{number} is a float, which is not exact: give it as text, Decimal or integer")
    return Fraction(number)


def _fee(name: str, fee: Exact) -> Fraction:
    found = _exact(fee)
    if not -1 < found < 1:
        raise ValueError(f"{name} {fee}: expected a fraction of the notional, 0.001 for 10 bps")
    return found


def _ladder(name: str, levels: Sequence[tuple[Exact, Exact]], direction: int) -> list[tuple[Fraction, Fraction]]:
    """Levels as fractions, the best last, where they are taken from."""
    found = [(_exact(price), _exact(quantity)) for price, quantity in levels]
    for price, quantity in found:
        if quantity <= 0:
            raise ValueError(f"{name}: quantity {quantity} at {price}, expected a positive number")
    for (price, _), (after, _) in pairwise(found):
        if direction * (after - price) <= 0:
            raise ValueError(f"{name}: {after} after {price}, expected the best first")
    return found[::-1]
