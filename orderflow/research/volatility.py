"""Volatility from returns: realised variance, bipower variation that jumps do not enter, and both scaled to a year.

The signal `volatility` of a listing is another one: it forgets, and runs with the book (orderflow/_core/signals.pxd).
Use returns of the mid or the microprice: trades bounce between bid and ask, and every bounce counts here.

Sources: Barndorff-Nielsen and Shephard, "Power and bipower variation with stochastic volatility and jumps", Journal of
Financial Econometrics 2(1), 2004; Zhang, Mykland and Ait-Sahalia, "A tale of two time scales", Journal of the American
Statistical Association 100, 2005.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

#: A year of 365 days: crypto trades on all of them.
SECONDS_PER_YEAR = 31_536_000


def realised_variance(returns: Sequence[float] | np.ndarray) -> float | None:
    """Sum of squared returns (n,), fractions, over the time that they cover; None without one, or where one is NaN."""
    found = np.asarray(returns, float)
    return float(found @ found) if len(found) and np.isfinite(found).all() else None


def bipower_variation(returns: Sequence[float] | np.ndarray) -> float | None:
    """pi / 2 times the sum of |r_i r_(i-1)|: what of the realised variance is no jump. None with fewer than two
    returns, or where one is NaN."""
    found = np.abs(np.asarray(returns, float))
    return math.pi / 2 * float(found[1:] @ found[:-1]) if len(found) > 1 and np.isfinite(found).all() else None


def two_scales_variance(prices: Sequence[float] | np.ndarray, apart: int) -> float | None:
    """Realised variance of logarithms of prices (n,) without the noise that every price carries: the mean over the
    `apart` grids of prices that stand so far apart, less the part of the noise in it that all prices together show.

    None with fewer than `apart` + 1 prices, or where one is not positive. In short samples it can be negative.

    Raises
    ------
    ValueError
        `apart` is below 2: then there is one scale only.
    """
    if apart < 2:
        raise ValueError(f"apart {apart}: expected 2 or more")
    found = np.asarray(prices, float)
    if len(found) <= apart or not (np.isfinite(found).all() and (found > 0).all()):
        return None
    logarithms = np.log(found)
    slow, fast = logarithms[apart:] - logarithms[:-apart], np.diff(logarithms)
    return float(slow @ slow / apart - len(slow) / apart / len(fast) * (fast @ fast))


def annual_volatility(variance: float, seconds: float) -> float:
    """Fraction per square root of a year, of a variance that was realised within so many seconds."""
    if not variance >= 0 or not seconds > 0:
        raise ValueError(f"variance {variance} and seconds {seconds}: expected 0 or more, and a positive number")
    return math.sqrt(variance * SECONDS_PER_YEAR / seconds)
