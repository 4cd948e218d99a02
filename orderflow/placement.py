"""Where to place a purchase or sale that must be done by a time: how much at market, how much in which queue.

`market` units take liquidity now; on exchange k a limit order joins the best price behind a queue and is filled by what
leaves that queue until the time, its outflow: cancels ahead and trades. What is not filled by then has a penalty.
Per unit the market order costs half a spread and a fee, a limit order earns half a spread and a rebate, and every unit
that is asked for moves the price a little. Without leave to overbook, the orders together never exceed the quantity.

Quantities are in units of the base currency and costs in units of the quote currency for each. Source: Cont and
Kukanov, "Optimal order placement in limit order markets", Quantitative Finance 17(1), 2017.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

#: Halvings of an interval: as many as a double has digits, and some.
HALVINGS = 80
#: Probabilities are divided by: none is smaller than that.
SMALLEST = 1e-300
#: Part of the quantity by which a condition must hold: less is rounding.
MARGIN = 1e-9


@dataclass(frozen=True, slots=True)
class ExponentialOutflow:
    """What leaves a queue within the time, exponentially distributed with the given mean (units)."""

    mean: float

    def __post_init__(self) -> None:
        if not 0 < self.mean < math.inf:
            raise ValueError(f"mean {self.mean}: expected a positive number")

    def exceeds(self, quantity: float) -> float:
        """Probability that more than this leaves: with queue + quantity, that a limit order is filled."""
        return math.exp(-max(quantity, 0.0) / self.mean)

    def exceeded_with(self, probability: float) -> float:
        """The quantity that is exceeded with this probability; infinite for 0."""
        return -self.mean * math.log(probability) if probability > 0 else math.inf

    def expected_fill(self, queue: float, quantity: float) -> float:
        """Of a limit order behind a queue."""
        return -self.mean * self.exceeds(queue) * math.expm1(-quantity / self.mean)


@dataclass(frozen=True, slots=True)
class Placement:
    """How much at market, and how much in the queue of each exchange."""

    market: float
    limits: tuple[float, ...]

    @property
    def total(self) -> float:
        """More than the quantity that is wanted only where overbooking is allowed."""
        return self.market + math.fsum(self.limits)


@dataclass(frozen=True, slots=True)
class PlacementProblem:
    """What is to be done, and what it costs.

    Attributes
    ----------
    quantity : float
        Units that are wanted.
    queues : tuple of float
        Of each exchange: units ahead of a limit order at the best price.
    rebates : tuple of float
        Of each exchange, per unit of a limit order that is filled; negative is a fee.
    half_spread, fee : float
        Per unit at market; the fee is that of the cheapest exchange.
    underfill, overfill : float
        Penalties per unit that is missing at the time, or too much.
    impact : float
        Per unit of every order that is sent.

    Raises
    ------
    ValueError
        A number is not in its range; or overfilling costs no more than a limit order earns, so that more would always
        be better.
    """

    quantity: float
    queues: tuple[float, ...]
    rebates: tuple[float, ...]
    half_spread: float
    fee: float
    underfill: float
    overfill: float
    impact: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.quantity < math.inf:
            raise ValueError(f"quantity {self.quantity}: expected a positive number")
        if not self.queues or len(self.rebates) != len(self.queues):
            raise ValueError(f"rebates: {len(self.rebates)} for {len(self.queues)} queues; expected one for each "
                             "exchange, and one exchange at least")
        for name in ("half_spread", "underfill", "impact"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} {getattr(self, name)}: expected 0 or more")
        for queue in self.queues:
            if not 0 <= queue < math.inf:
                raise ValueError(f"queues: {queue}, expected 0 or more")
        for rebate in (*self.rebates, self.fee):
            if not math.isfinite(rebate):
                raise ValueError(f"rebates and fee: {rebate} is no number")
        if not self.half_spread + max(self.rebates) < self.overfill < math.inf:
            raise ValueError(f"overfill {self.overfill}: expected more than half_spread and the largest rebate, "
                             f"{self.half_spread + max(self.rebates):g}; else every order too many would pay")

    @property
    def urgency(self) -> float:
        """What a unit at market saves against being missing: underfill - half_spread - fee."""
        return self.underfill - self.half_spread - self.fee

    def cost(self, placement: Placement, outflows: np.ndarray) -> np.ndarray:
        """What a placement would have cost, (samples,), for outflows (samples, exchanges)."""
        behind = np.asarray(outflows, float) - np.asarray(self.queues)
        limits, earned = np.asarray(placement.limits), self.half_spread + np.asarray(self.rebates)
        fills = np.clip(behind, 0.0, limits)
        missing = self.quantity - placement.market - fills.sum(axis=1)
        under, over = np.maximum(missing, 0.0), np.maximum(-missing, 0.0)
        return np.asarray((self.half_spread + self.fee) * placement.market - fills @ earned
                          + self.impact * (placement.total + under) + self.underfill * under + self.overfill * over)

    def expected_cost(self, placement: Placement, outflows: Sequence[ExponentialOutflow]) -> float | None:
        """Of a placement that cannot be filled beyond the quantity; None for any other, whose cost depends on how
        outflows go together: take the mean of `cost`."""
        if placement.total > self.quantity * (1 + 1e-12):
            return None
        fills = [outflow.expected_fill(queue, limit) for outflow, queue, limit
                 in zip(outflows, self.queues, placement.limits, strict=True)]
        earned = math.fsum((self.half_spread + rebate) * fill for rebate, fill in zip(self.rebates, fills, strict=True))
        missing = self.quantity - placement.market - math.fsum(fills)
        return ((self.half_spread + self.fee) * placement.market - earned
                + self.impact * (placement.total + missing) + self.underfill * missing)


def place(problem: PlacementProblem, outflows: Sequence[ExponentialOutflow]) -> Placement:
    """The best placement that cannot be filled beyond the quantity, for any number of exchanges.

    Without overfilling, the cost is a sum over the exchanges, and how their outflows go together does not matter. A
    unit more in queue k saves (h + r_k + underfill + impact) P(outflow exceeds queue + limit) - impact, and a unit at
    market saves `urgency`: queues are joined while they save more than that, or than each other where there is no
    room for all. For one exchange this is the paper's closed form.

    Parameters
    ----------
    outflows : sequence of ExponentialOutflow
        One for each exchange.

    Raises
    ------
    ValueError
        There are more or fewer outflows than exchanges.
    """
    if len(outflows) != len(problem.queues):
        raise ValueError(f"outflows: {len(outflows)} for {len(problem.queues)} queues; expected one for each")

    def limits(saving: float) -> tuple[float, ...]:
        """As much in each queue as saves at least that."""
        found = []
        for outflow, queue, rebate in zip(outflows, problem.queues, problem.rebates, strict=True):
            earned = problem.half_spread + rebate + problem.underfill + problem.impact
            probability = (saving + problem.impact) / earned if earned > 0 else 1.0
            room = outflow.exceeded_with(probability) - queue if probability < 1 else 0.0
            found.append(min(max(room, 0.0), problem.quantity))
        return tuple(found)

    least = max(problem.urgency, 0.0)
    best = limits(least)
    if (spare := problem.quantity - math.fsum(best)) >= 0:
        return Placement(spare if problem.urgency > 0 else 0.0, best)
    most = problem.half_spread + max(problem.rebates) + problem.underfill
    # the smallest saving whose limits fit: the upper end of the interval always does
    _, saving = _bisect(lambda saving: math.fsum(limits(saving)) > problem.quantity, least, most)
    return Placement(0.0, _filled_up(limits(saving), problem.quantity))


def place_overbooked(problem: PlacementProblem, outflows: Sequence[ExponentialOutflow]) -> Placement | None:
    """The best placement on two exchanges whose outflows are independent, where overfilling is allowed.

    Each queue gets what a second fill could still need: orders together may exceed the quantity, and be filled so.
    None where no such placement fulfils the paper's conditions: then `learn_placement` with `overbook=True` finds one.

    Raises
    ------
    ValueError
        There are not two exchanges.
    """
    if len(problem.queues) != 2 or len(outflows) != 2:
        raise ValueError(f"queues: {len(problem.queues)} of them, outflows: {len(outflows)}; expected two of each")
    scale = problem.underfill + problem.overfill + problem.impact

    def limit(own: int, market: float) -> float:
        """Where a unit more is worth nothing, as P(filled < quantity | own order filled) no longer exceeds what it
        must. The one falls with the limit and the other grows: there is one root."""
        other, earned = 1 - own, problem.half_spread + problem.rebates[own]

        def wanting(size: float) -> bool:
            reached = max(outflows[own].exceeds(problem.queues[own] + size), SMALLEST)
            left = problem.quantity - market - size
            short = 1 - outflows[other].exceeds(problem.queues[other] + left)
            return short > (problem.overfill - earned + problem.impact / reached) / scale

        return _bisect(wanting, 0.0, problem.quantity - market)[0]

    def placement(market: float) -> Placement:
        return Placement(market, (limit(0, market), limit(1, market)))

    def too_short(market: float) -> bool:
        """Whether being short is likelier than at the optimum, so that more must go to the market."""
        short = 1 - _chance_of_enough(problem, outflows, placement(market))
        return short > (problem.half_spread + problem.fee + problem.overfill + problem.impact) / scale

    found = placement(_bisect(too_short, 0.0, problem.quantity)[0])
    # the conditions: neither limit order alone is enough, and both together are
    left, margin = problem.quantity - found.market, MARGIN * problem.quantity
    fits = all(margin < size < left - margin for size in found.limits) and found.total > problem.quantity + margin
    return found if fits else None


def learn_placement(problem: PlacementProblem, outflows: np.ndarray, overbook: bool = False) -> Placement:
    """The best placement for outflows as they were seen, however they go together (Robbins and Monro 1951).

    One step down the gradient for each sample, of a size that falls with the square root of their number; the mean of
    the second half of the way is the answer. Costs are flat around the best: what a placement costs is right long
    before its quantities are, which take some ten thousand samples, and more where overbooking is allowed.

    Parameters
    ----------
    outflows : array, (samples, exchanges)
        Units that left each queue within the time, of one past moment a row; in the order in which they are used.
    overbook : bool
        Whether orders together may exceed the quantity, and may be filled so. Else every step ends on the nearest
        placement that cannot be.

    Raises
    ------
    ValueError
        `outflows` is no such array, or has a number that is negative or not finite.
    """
    seen = np.asarray(outflows, float)
    count = len(problem.queues)
    if seen.ndim != 2 or seen.shape[1] != count or not len(seen):
        raise ValueError(f"outflows: an array {seen.shape}, expected (samples, {count})")
    if not (np.isfinite(seen).all() and (seen >= 0).all()):
        raise ValueError("outflows: expected finite numbers, none negative")
    earned = problem.half_spread + np.asarray(problem.rebates)
    behind = seen - np.asarray(problem.queues)
    # a gradient is of the size of the penalties: the first step moves by the quantity
    size = problem.quantity / (problem.underfill + problem.overfill + problem.impact)
    at, mean, averaged = np.full(count + 1, problem.quantity / (count + 1)), np.zeros(count + 1), 0
    for step, row in enumerate(behind):
        limits = at[1:]
        missing = problem.quantity - at[0] - float(np.clip(row, 0.0, limits).sum())
        # what one unit more that is filled changes in the penalties
        change = problem.overfill if overbook and missing < 0 else -(problem.underfill + problem.impact)
        gradient = np.empty(count + 1)
        gradient[0] = problem.half_spread + problem.fee + problem.impact + change
        gradient[1:] = problem.impact + (row > limits) * (change - earned)
        at = at - size / math.sqrt(step + 1) * gradient
        at = np.maximum(at, 0.0) if overbook else capped(at, problem.quantity)
        if 2 * step >= len(behind) - 1:
            averaged += 1
            mean += (at - mean) / averaged
    return Placement(float(mean[0]), tuple(map(float, mean[1:])))


def capped(point: np.ndarray, most: float) -> np.ndarray:
    """The nearest point with no negative coordinate whose sum is `most` at most (Duchi and others, ICML 2008)."""
    positive = np.maximum(point, 0.0)
    if positive.sum() <= most:
        return np.asarray(positive)
    ordered = np.sort(point)[::-1]
    excess = (np.cumsum(ordered) - most) / np.arange(1, len(point) + 1)
    level = excess[np.nonzero(ordered > excess)[0][-1]]
    return np.asarray(np.maximum(point - level, 0.0))


def advantage_of_posting(fill: float, half_spread: float, rebate: float, fee: float, adverse: float,
                         chase: float) -> float:
    """What a unit in the queue is expected to save against one at market, quote currency; post it where positive.

    Parameters
    ----------
    fill : float
        Probability that it is filled: `exceeds(queue + quantity)` of the outflow.
    half_spread, rebate, fee : float
        Per unit: earned and earned by the limit order, paid by the market order besides the half spread.
    adverse : float
        How far the mid moves against a limit order that is filled.
    chase : float
        What a unit costs that was not filled and must be bought later, against the mid now.
    """
    if not 0 <= fill <= 1:
        raise ValueError(f"fill {fill}: expected a probability")
    return (half_spread + rebate - adverse) * fill - chase * (1 - fill) + half_spread + fee


def _bisect(holds: Callable[[float], bool], low: float, high: float) -> tuple[float, float]:
    """Where a condition that holds from `low` on ceases to: the ends of the last interval. (low, low) where it does
    not hold at all."""
    if not holds(low):
        return low, low
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low, high


def _filled_up(limits: tuple[float, ...], quantity: float) -> tuple[float, ...]:
    """The limits without the rounding by which they fall short of a quantity or exceed it."""
    total = math.fsum(limits)
    return tuple(limit * quantity / total for limit in limits) if total > 0 else limits


def _chance_of_enough(problem: PlacementProblem, outflows: Sequence[ExponentialOutflow],
                      placement: Placement) -> float:
    """P(filled >= quantity) on two exchanges with independent outflows, where neither limit order alone is enough:
    the first is filled and the second gives the rest, or the first gives x and the second the rest of that."""
    (first, second), (mean_1, mean_2) = placement.limits, (outflow.mean for outflow in outflows)
    left, (queue_1, queue_2) = problem.quantity - placement.market, problem.queues
    begin, end = queue_1 + left - second, queue_1 + first
    whole = outflows[0].exceeds(end) * outflows[1].exceeds(queue_2 + left - first)
    if begin >= end:
        return whole if begin == end else 0.0
    slope = 1 / mean_2 - 1 / mean_1
    # of exp(slope x) from begin to end, taken out of it what it is at the begin
    length = math.expm1(slope * (end - begin)) / slope if slope else end - begin
    return whole + math.exp(-begin / mean_1 - (queue_1 + queue_2 + left - begin) / mean_2) / mean_1 * length
