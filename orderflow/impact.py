"""What it costs to trade a quantity over a time: models of impact and of the risk of waiting.

Every function takes and gives plain floats in the units that it names. Sources: Almgren and Chriss, "Optimal execution
of portfolio transactions", Journal of Risk 3(2), 2000; Obizhaeva and Wang, "Optimal trading strategy and supply/demand
dynamics", Journal of Financial Markets 16(1), 2013; Almgren, Thum, Hauptmann and Li, "Direct estimation of equity
market impact", Risk, 2005.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Of Almgren and others (2005), estimated from US equities: permanent and temporary coefficient, and the exponents of
#: the rate and of the shares outstanding.
PERMANENT, TEMPORARY, RATE_EXPONENT, SHARES_EXPONENT = 0.314, 0.142, 0.6, 0.25
#: Parts of a day's volume beyond which the models have seen no data.
LARGEST_PARTICIPATION = 0.2


@dataclass(frozen=True, slots=True)
class AlmgrenChriss:
    """Trading `quantity` in `steps` steps over `time`, with linear impact.

    Attributes
    ----------
    quantity : float
        Units, positive for a sale and for a purchase alike.
    time : float
        In any unit; the other numbers have the same.
    steps : int
    volatility : float
        Price units per square root of time.
    fixed : float
        Price units: half the spread, and fees.
    permanent : float
        Price units per unit traded (gamma).
    temporary : float
        Price units per unit traded in one unit of time (eta).

    Raises
    ------
    ValueError
        A number is not in its range; or steps are so long that permanent impact outweighs the temporary.
    """

    quantity: float
    time: float
    steps: int
    volatility: float
    fixed: float
    permanent: float
    temporary: float

    def __post_init__(self) -> None:
        for name in ("quantity", "time", "steps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} {getattr(self, name)}: expected a positive number")
        for name in ("volatility", "fixed", "permanent", "temporary"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} {getattr(self, name)}: expected 0 or more")
        if not self.adjusted > 0:
            raise ValueError(f"steps {self.steps}: in steps of {self.step:g} the permanent impact outweighs the "
                             "temporary; use more of them")

    @property
    def step(self) -> float:
        """Length of one."""
        return self.time / self.steps

    @property
    def adjusted(self) -> float:
        """Temporary impact without what of it is permanent (eta~)."""
        return self.temporary - self.permanent * self.step / 2

    def kappa(self, risk_aversion: float) -> float:
        """Per unit of time; `risk_aversion` is per price unit and unit traded (lambda). 1 / kappa is the half-life."""
        squared = risk_aversion * self.volatility ** 2 / self.adjusted
        # acosh(1 + x) = 2 asinh(sqrt(x / 2)) keeps the digits of a small x
        return 2 * math.asinh(math.sqrt(squared) * self.step / 2) / self.step

    def remaining(self, risk_aversion: float) -> np.ndarray:
        """What remains at the beginning and after each step, float64 array (steps + 1,), by the optimum."""
        passed = np.arange(self.steps + 1) / self.steps
        return self.quantity * remaining_share(self.kappa(risk_aversion) * self.time, passed)

    def cost(self, remaining: Sequence[float] | np.ndarray) -> float:
        """Expected cost of a trajectory, price units times units traded."""
        traded = -np.diff(remaining)
        return float(self.permanent * self.quantity ** 2 / 2 + self.fixed * np.abs(traded).sum()
                     + self.adjusted / self.step * (traded ** 2).sum())

    def deviation(self, remaining: Sequence[float] | np.ndarray) -> float:
        """Standard deviation of the cost of a trajectory."""
        return float(self.volatility * math.sqrt(self.step * (np.asarray(remaining)[1:] ** 2).sum()))


def remaining_share(curvature: float, passed: np.ndarray) -> np.ndarray:
    """sinh(k (1 - s)) / sinh(k) of parts s of the time, float64 array (n,), without overflow; 1 - s where k is zero (as
    _core/algos/schedule.pxd)."""
    if curvature < 1e-8:
        return 1.0 - passed
    return np.exp(-curvature * passed) * np.expm1(-2 * curvature * (1 - passed)) / math.expm1(-2 * curvature)


@dataclass(frozen=True, slots=True)
class ObizhaevaWang:
    """A block-shaped book that fills up again: `density` units per price unit, resilience per time.

    Attributes
    ----------
    quantity, time : float
    density : float
        Units per price unit (q).
    permanent : float
        Price units per unit traded (lambda); below 1 / density.
    resilience : float
        Per time (rho): the book's recovery falls by a factor e in 1 / rho.
    """

    quantity: float
    time: float
    density: float
    permanent: float
    resilience: float

    @property
    def transient(self) -> float:
        """Price units per unit that come back (kappa)."""
        return 1 / self.density - self.permanent

    def optimum(self) -> tuple[float, float]:
        """(a block at the beginning and the same at the end, rate between them)."""
        block = self.quantity / (self.resilience * self.time + 2)
        return block, self.resilience * block

    def cost(self) -> float:
        """Of the optimum, without the spread."""
        return self.quantity ** 2 / 2 * (self.permanent + 2 * self.transient / (self.resilience * self.time + 2))

    def trades(self, count: int) -> np.ndarray:
        """The optimum in so many trades at equal distances, the first at the beginning and the last at the end."""
        times = np.linspace(0, self.time, count)
        solved = np.linalg.solve(self._matrix(times), np.ones(count))
        return np.asarray(self.quantity * solved / solved.sum())

    def cost_of(self, trades: Sequence[float] | np.ndarray) -> float:
        """Of trades at equal distances, without the spread."""
        trades = np.asarray(trades, float)
        return float(trades @ self._matrix(np.linspace(0, self.time, len(trades))) @ trades / 2)

    def _matrix(self, times: np.ndarray) -> np.ndarray:
        apart = np.abs(times[:, None] - times[None, :])
        return np.asarray(self.permanent + self.transient * np.exp(-self.resilience * apart))


def square_root_impact(participation: float, volatility: float, coefficient: float = 1.0) -> float:
    """Impact as a fraction of the price: `participation` is quantity over a day's volume, `volatility` of a day."""
    return coefficient * volatility * math.sqrt(participation)


def permanent_impact(participation: float, volatility: float, shares_per_volume: float | None = None) -> float:
    """Almgren and others (2005), fraction of the price. `shares_per_volume`: shares outstanding over a day's volume;
    None leaves that factor out, as where there are no shares."""
    return PERMANENT * volatility * participation * math.pow(shares_per_volume or 1.0, SHARES_EXPONENT)


def temporary_impact(participation: float, days: float, volatility: float) -> float:
    """The same, of trading `participation` of a day's volume evenly over so many days, fraction of the price."""
    return TEMPORARY * volatility * math.pow(participation / days, RATE_EXPONENT)


def realised_cost(participation: float, days: float, volatility: float,
                  shares_per_volume: float | None = None) -> float:
    """What the average fill pays: half of the permanent impact and the temporary, fraction of the price."""
    return (permanent_impact(participation, volatility, shares_per_volume) / 2
            + temporary_impact(participation, days, volatility))
