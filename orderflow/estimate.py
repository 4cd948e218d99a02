"""What a parent order will probably cost, before it is sent: at once, or over some time, and which is the better way.

Now: the consolidated book is walked, fees included; that is certain but for what fades before an order arrives. Over
a time T: half the spread and the fee of each slice, and the impact of its rate (Almgren and others 2005, without the
factor of shares outstanding), against the risk that the price moves away meanwhile: volatility * sqrt(T / 3), the
deviation of the cost of an even trajectory (Almgren and Chriss 2000). A trajectory x(s) that bends, s the part of the
time that has passed, has the mean of x**2 in the place of 1 / 3, and the mean of |x'|**1.6 times the temporary impact.
All in basis points of the mid. The coefficients are those of US equities: they say which way is better, and roughly
what it costs; post-trade analysis compares them with what it did (research/tca_predictions.py).
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from orderflow._core.consolidated import ConsolidatedBook
from orderflow._core.conversion import converted
from orderflow._core.signals import SignalBit
from orderflow._core.types import BookState, Side
from orderflow.impact import (
    LARGEST_PARTICIPATION,
    RATE_EXPONENT,
    permanent_impact,
    remaining_share,
    temporary_impact,
)
from orderflow.instrument import Instrument, from_scaled

DAY_SECONDS = 86_400.0
#: Times that are looked at, in seconds: a minute to a day, each half as long again.
TIMES = tuple(60 * 1.5 ** step for step in range(18)) + (DAY_SECONDS,)
#: One basis point.
BASIS_POINT = 1e-4
FEE_UNIT = 10**8
#: Steps in which a trajectory that bends is added up.
STEPS = 4096


class EstimateError(Exception):
    """Nothing can be said; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Point:
    """One way to do it.

    Attributes
    ----------
    seconds : float
        0 = at once.
    cost_bps, deviation_bps : float
        Expected cost against the mid, fees included, and its standard deviation.
    participation : float
        Its part of what is traded meanwhile.
    """

    seconds: float
    cost_bps: float
    deviation_bps: float
    participation: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an order would cost.

    Attributes
    ----------
    mid : Decimal
        Halfway between the best bid and the best ask of all usable exchanges.
    available : Decimal
        Base quantity that is displayed within reach; less than the order asks for = it cannot be done at once.
    now : Point, optional
        At once; None where too little is displayed.
    frontier : tuple of Point
        Shortest first: each costs less than the one before, and is less certain.
    algorithm : str
        "immediate", "vwap" or "twap".
    seconds : float
        For how long; 0 with "immediate".
    reason : str
        Why, in words.
    touch_bps : float
        Cost of the best price, fee included.
    daily_volume, daily_volatility : float
        What it was made with.
    """

    instrument: str
    side: str
    quantity: Decimal
    mid: Decimal
    available: Decimal
    now: Point | None
    frontier: tuple[Point, ...]
    algorithm: str
    seconds: float
    reason: str
    touch_bps: float
    daily_volume: float
    daily_volatility: float

    def over(self, seconds: float) -> Point:
        """Of an even trajectory over so many seconds, by the models alone: also where `now` costs less."""
        return over_time(seconds, float(self.quantity) / self.daily_volume, self.daily_volatility, self.touch_bps)

    @property
    def chosen(self) -> Point:
        """The point of the algorithm that it would choose."""
        if self.algorithm == "immediate" and self.now is not None:
            return self.now
        return next(point for point in self.frontier if point.seconds == self.seconds)


@dataclass(frozen=True, slots=True)
class Market:
    """What the books show now: `rows` of LISTING_DTYPE, as many `entries` of BOARD_ENTRY_DTYPE, and the rates that they
    are converted with (consolidated.rates_of), where any is."""

    rows: np.ndarray
    entries: Sequence[Any]
    rates: Sequence[tuple[int, int]] = ()

    def rates_for(self, side: Side) -> list[int]:
        """Those of a taker on that side."""
        return [buy if side == Side.BUY else sell for buy, sell in self.rates] or [0] * len(self.rows)


@dataclass(frozen=True, slots=True)
class Walk:
    """Books as a taker finds them.

    Attributes
    ----------
    twice_mid : int
        Of all usable exchanges, instrument scale.
    available : int
        What is displayed, instrument scale.
    touch_bps : float
        Cost of the best price against the mid, fee included.
    cost_bps : float, optional
        Of taking all of it now; None where too little is displayed.
    """

    twice_mid: int
    available: int
    touch_bps: float
    cost_bps: float | None


def estimate(item: Instrument, market: Market, side: str, quantity: object, *, daily_volume: float,
             daily_volatility: float, risk_aversion: float = 0.3, has_curve: bool = False) -> Estimate:
    """The estimate of one order.

    Parameters
    ----------
    daily_volume : float
        Base currency that is traded in a day, on all exchanges together.
    daily_volatility : float
        Standard deviation of a day's return, as a fraction.
    risk_aversion : float
        Basis points of expected cost that one basis point of deviation is worth.
    has_curve : bool
        Whether "vwap" can be chosen.

    Raises
    ------
    EstimateError
        No exchange has a book that can be used, or a number is missing.
    ValueError
        An argument is wrong; the message names it.
    """
    if side.lower() not in ("buy", "sell"):
        raise ValueError(f"side {side!r}: expected buy or sell")
    for name, value in (("daily_volume", daily_volume), ("daily_volatility", daily_volatility)):
        if not value > 0:
            raise EstimateError(f"{name} {value}: expected a positive number; give it, or wait until it has been seen")
    if not risk_aversion >= 0:
        raise ValueError(f"risk_aversion {risk_aversion}: expected 0 or more")
    scaled = item.quantity(quantity)
    if scaled <= 0:
        raise ValueError(f"quantity {quantity}: expected a positive number")
    taker = Side.BUY if side.lower() == "buy" else Side.SELL
    found = walk(market, taker, scaled)
    size = float(from_scaled(scaled, item.quantity_decimals))
    now = None if found.cost_bps is None else Point(0.0, found.cost_bps, 0.0, 0.0)
    frontier = _frontier(size / daily_volume, daily_volatility, found.touch_bps)
    if now is not None:         # what impact the models see in a short time the book may not have at all
        frontier = tuple(point for point in frontier if point.cost_bps < now.cost_bps)
    algorithm, seconds, reason = _choose(now, frontier, risk_aversion, has_curve, size, daily_volume)
    return Estimate(item.name, taker.name, from_scaled(scaled, item.quantity_decimals),
                    from_scaled(found.twice_mid, item.price_decimals) / 2,
                    from_scaled(found.available, item.quantity_decimals), now, frontier, algorithm, seconds, reason,
                    found.touch_bps, daily_volume, daily_volatility)


def seen_volatility(entries: Sequence[Any]) -> float:
    """Of a day's return: the mean over the boards whose signals have one; 0 where none has."""
    seen = [float(entry["signals"]["volatility"]) for entry in entries
            if int(entry["signals"]["valid"]) & SignalBit.VOLATILITY_VALID]
    return sum(seen) / len(seen) * math.sqrt(DAY_SECONDS) if seen else 0.0


def walk(market: Market, taker: Side, quantity: int) -> Walk:
    """The books, walked for a quantity of the instrument's scale; EstimateError where none is LIVE with both sides."""
    usable = [bool(entry["book_state"] == BookState.LIVE and (rate or not row["conversion"])) for entry, row, rate in
              zip(market.entries, market.rows, market.rates_for(Side.BUY), strict=True)]
    ladders = {Side.BUY: [entry["asks"][:entry["ask_count"]] for entry in market.entries],
               Side.SELL: [entry["bids"][:entry["bid_count"]] for entry in market.entries]}
    book = ConsolidatedBook(market.rows)
    best = {}
    for side in (Side.BUY, Side.SELL):
        prices = [converted(int(ladder[0]["price"]) * int(row["price_factor"]), rate, side)
                  for ladder, row, good, rate in zip(ladders[side], market.rows, usable, market.rates_for(side),
                                                     strict=True) if good and len(ladder)]
        if not prices:
            raise EstimateError("no exchange has a LIVE book with both sides: nothing can be said now")
        best[side] = min(prices) if side == Side.BUY else max(prices)
    twice_mid = best[Side.BUY] + best[Side.SELL]
    merged = book.merge(taker, ladders[taker], usable, market.rates_for(taker))
    sign = 1 if taker == Side.BUY else -1
    available, _, _, _ = book.cost(sum(one[2] for one in merged))
    taken, _, all_in, _ = book.cost(quantity)

    def bps(average: float) -> float:
        return sign * (2 * average / twice_mid - 1) / BASIS_POINT

    touch = bps(merged[0][3] / FEE_UNIT)
    return Walk(twice_mid, available, touch, bps(all_in / (FEE_UNIT * quantity)) if taken == quantity else None)


def over_time(seconds: float, participation: float, daily_volatility: float, touch_bps: float, *,
              curvature: float = 0.0, closing: bool = False, wait_seconds: float = 0.0) -> Point:
    """What a trajectory over some time costs, by the models.

    Parameters
    ----------
    participation : float
        Quantity over a day's volume.
    daily_volatility : float
        Standard deviation of a day's return, as a fraction.
    touch_bps : float
        Cost of the best price, fee included.
    curvature : float
        seconds / half-life of one that bends; 0 = even.
    closing : bool
        Whether it bends the other way: most at the end.
    wait_seconds : float
        Before it begins.

    Raises
    ------
    ValueError
        There is no time.
    """
    if not seconds > 0:
        raise ValueError(f"seconds {seconds}: expected a positive number")
    days, risk, pace = seconds / DAY_SECONDS, 1 / 3, 1.0
    if curvature:
        left = remaining_share(curvature, np.arange(STEPS + 1) / STEPS)
        if closing:
            left = 1 - left[::-1]
        risk = float(np.trapezoid(left ** 2, dx=1 / STEPS))
        pace = float(((-np.diff(left) * STEPS) ** (1 + RATE_EXPONENT)).mean())
    impact = (permanent_impact(participation, daily_volatility) / 2
              + pace * temporary_impact(participation, days, daily_volatility))
    exposed = wait_seconds / DAY_SECONDS + days * risk
    return Point(seconds, touch_bps + impact / BASIS_POINT, daily_volatility * math.sqrt(exposed) / BASIS_POINT,
                 participation / days)


def _frontier(participation: float, daily_volatility: float, touch: float) -> tuple[Point, ...]:
    """Of an even trajectory, by its time. Times in which it would be more than the models have seen are left out."""
    found = []
    for seconds in TIMES:
        days = seconds / DAY_SECONDS
        if participation / days > LARGEST_PARTICIPATION and seconds != TIMES[-1]:
            continue
        found.append(over_time(seconds, participation, daily_volatility, touch))
    return tuple(found)


def _choose(now: Point | None, frontier: tuple[Point, ...], risk_aversion: float, has_curve: bool, size: float,
            daily_volume: float) -> tuple[str, float, str]:
    def judged(point: Point) -> float:
        return point.cost_bps + risk_aversion * point.deviation_bps

    best = min(frontier, key=judged, default=None)
    if now is not None and (best is None or now.cost_bps <= judged(best)):
        if best is None:
            return "immediate", 0.0, f"at once it costs {now.cost_bps:.2f} bps, and no longer way costs less"
        return "immediate", 0.0, (
            f"at once it costs {now.cost_bps:.2f} bps; over {best.seconds:.0f} s {best.cost_bps:.2f} bps are expected, "
            f"with a deviation of {best.deviation_bps:.2f}, which at a risk aversion of {risk_aversion:g} is worse")
    assert best is not None         # there is always a day
    name = "vwap" if has_curve else "twap"
    why = "too little is displayed to do it at once" if now is None else f"at once it costs {now.cost_bps:.2f} bps"
    told = (f"{why}; over {best.seconds:.0f} s {best.cost_bps:.2f} bps are expected, with a deviation of "
            f"{best.deviation_bps:.2f}, at {100 * best.participation:.2f} % of the volume")
    if best.participation > LARGEST_PARTICIPATION:
        told += f"; {100 * size / daily_volume:.0f} % of a day's volume is more than the model has seen"
    return name, best.seconds, told
