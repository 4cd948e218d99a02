"""The microprice: where the mid is expected to go, given the imbalance and the spread of the best quotes.

A state is a bucket of the imbalance and a spread in ticks. From a state the next look finds the mid where it was, in
another state (Q), or moved, with an expected change (g) and in some state (T). Then

    G1 = (1 - Q)^-1 g,    B = (1 - Q)^-1 T,    adjustment = G1 + B G1 + B^2 G1 + ...    microprice = mid + adjustment

G1 is the change until the mid has moved once, and B where that leaves the book. The sum is finite when the sample has
every move in its mirror image too, imbalance and direction turned round: then adjustments are symmetric, and a book
that is balanced has none. The weighted mid needs no sample, but it is no martingale: it steps the wrong way when a
small level comes and goes.

Source: Stoikov, "The micro-price: a high-frequency estimator of future prices", Quantitative Finance 18(12), 2018.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orderflow.research.quotes import Quotes

#: Doublings of the number of terms after which a sum that has not settled never will.
DOUBLINGS = 40
#: Moves of the mid beyond that, in ticks, are no part of the model: the paper leaves them out.
LARGEST_MOVE = 1.0
#: Adjustments are added up until no term is larger, in the unit of the change. Rounding leaves a little less.
SETTLED = 1e-13


class MicropriceError(Exception):
    """No adjustments can be learnt; the message says what is missing."""


def adjustments(stay: np.ndarray, change: np.ndarray, move: np.ndarray, terms: int | None = None) -> np.ndarray:
    """Expected further change of the mid in each state, float64 array (states,), in the unit of `change`.

    Parameters
    ----------
    stay : array (states, states)
        Probability that the next look finds the mid where it was and the book in another or the same state (Q).
    change : array (states,)
        Expected change of the mid until the next look (R K of the paper).
    move : array (states, states)
        Probability that the mid has moved, and in which state the book is then (T).
    terms : int, optional
        Moves of the mid that are looked ahead; None = all that there will be.

    Raises
    ------
    ValueError
        Rows of `stay` and `move` together are no probabilities.
    MicropriceError
        There is a state from which the mid never moves; or the sum is not finite, as for a sample that is not
        symmetric.
    """
    stay, change, move = (np.asarray(one, float) for one in (stay, change, move))
    if (stay < 0).any() or (move < 0).any() or not np.allclose(stay.sum(axis=1) + move.sum(axis=1), 1, atol=1e-9):
        raise ValueError("stay and move: expected probabilities, each row of both together with the sum 1")
    if not _moves_from_everywhere(stay, move):
        raise MicropriceError("there is a state from which the mid never moves: learn from more, or use fewer buckets")
    solved = np.linalg.solve(np.eye(len(stay)) - stay, np.column_stack((change, move)))
    first, after = solved[:, 0], solved[:, 1:]
    if terms is not None:
        total = term = first
        for _ in range(terms - 1):
            term = after @ term
            total = total + term
        return np.asarray(total)
    total = first
    for _ in range(DOUBLINGS):
        # the terms that are there, moved on by their number: twice as many
        more = after @ total
        total = total + more
        if np.abs(more).max() <= SETTLED * max(1.0, np.abs(total).max()):
            return np.asarray(total)
        after = after @ after
    raise MicropriceError("the sum of expected changes is not finite: make the sample symmetric")


def _moves_from_everywhere(stay: np.ndarray, move: np.ndarray) -> bool:
    """Whether from each state there is a way to a move of the mid."""
    found = move.sum(axis=1) > 0
    for _ in range(len(found)):
        found = found | ((stay > 0) & found).any(axis=1)
    return bool(found.all())


@dataclass(frozen=True, slots=True)
class Microprice:
    """A table of adjustments.

    Attributes
    ----------
    table : float64 array (buckets, spreads)
        Ticks. Bucket i holds imbalances bid / (bid + ask) from i / buckets to (i + 1) / buckets, column k the spread of
        k + 1 ticks; NaN where the sample had no such spread.
    observations : int64 array (buckets, spreads)
        Looks that each state was seen in, mirror images counted.
    """

    table: np.ndarray
    observations: np.ndarray

    def adjustment(self, bid_quantity: float, ask_quantity: float, spread: float) -> float | None:
        """In ticks; None where it is not known: an empty side, a spread that the sample did not have, or an adjustment
        that would leave the spread.

        Parameters
        ----------
        bid_quantity, ask_quantity : float
            At the best prices, in one unit.
        spread : float
            Ticks; beyond the largest of the table it counts as that.
        """
        if not (bid_quantity > 0 and ask_quantity > 0 and spread > 0):
            return None
        buckets, spreads = self.table.shape
        bucket = min(int(bid_quantity / (bid_quantity + ask_quantity) * buckets), buckets - 1)
        found = float(self.table[bucket, min(max(round(spread), 1), spreads) - 1])
        return found if abs(found) < spread / 2 else None

    def price(self, bid: float, bid_quantity: float, ask: float, ask_quantity: float, tick: float) -> float | None:
        """The microprice, in the unit of the prices: the weighted mid where the adjustment is not known, and None
        where a side is empty or the book crossed.

        Parameters
        ----------
        tick : float
            Tick size, in the unit of the prices.
        """
        if not (bid_quantity > 0 and ask_quantity > 0 and bid < ask):
            return None
        adjustment = self.adjustment(bid_quantity, ask_quantity, (ask - bid) / tick)
        if adjustment is None:
            return (bid * ask_quantity + ask * bid_quantity) / (bid_quantity + ask_quantity)
        return (bid + ask) / 2 + adjustment * tick


def learn_microprice(quotes: Quotes, step_ns: int, buckets: int = 10, spreads: int = 2) -> Microprice:
    """Adjustments out of the quotes of a tape, each observation counted with its mirror image.

    Looks that reach over a gap, and books without two sides, are left out; so are moves of more than a tick. Buckets
    that were never seen behave like their nearest neighbours of the same spread.

    Parameters
    ----------
    step_ns : int
        Between two looks, nanoseconds of the quotes' clock.
    buckets : int
        Of the imbalance, of equal width.
    spreads : int
        1 to so many ticks; looks with wider ones are left out.

    Raises
    ------
    ValueError
        A setting is not positive.
    MicropriceError
        The mid never moves in the sample, or not from some state.
    """
    for name, value in (("buckets", buckets), ("spreads", spreads)):
        if value < 1:
            raise ValueError(f"{name} {value}: expected 1 or more")
    before, after, moved = _looks(quotes, step_ns, buckets, spreads)
    if not moved.any():
        raise MicropriceError("the mid never moves in the sample: learn from more")
    # the mirror image of bucket i is bucket buckets - 1 - i, with the same spread
    mirror = np.arange(buckets * spreads).reshape(buckets, spreads)[::-1].ravel()
    before, after, moved = (np.concatenate(both) for both in (
        (before, mirror[before]), (after, mirror[after]), (moved, -moved)))
    count, has_moved = buckets * spreads, moved != 0
    stay, move, change = np.zeros((count, count)), np.zeros((count, count)), np.zeros(count)
    np.add.at(stay, (before[~has_moved], after[~has_moved]), 1)
    np.add.at(move, (before[has_moved], after[has_moved]), 1)
    np.add.at(change, before, moved)
    seen = stay.sum(axis=1) + move.sum(axis=1)
    like = _neighbours(seen.reshape(buckets, spreads) > 0)
    stay, move, change = like @ stay, like @ move, like @ change
    known = like.any(axis=1)
    # a spread that no look began with ends only the last look of a segment: without it nothing is lost
    stay, move = stay[np.ix_(known, known)], move[np.ix_(known, known)]
    total = stay.sum(axis=1) + move.sum(axis=1)
    if not (total > 0).all():
        raise MicropriceError("a state was seen only before one that the sample does not go on from: learn from more")
    table = np.full(count, np.nan)
    table[known] = adjustments(stay / total[:, None], change[known] / total, move / total[:, None])
    return Microprice(table.reshape(buckets, spreads), seen.astype(np.int64).reshape(buckets, spreads))


def _looks(quotes: Quotes, step_ns: int, buckets: int, spreads: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """State at each look, at the next one, and how many ticks the mid has moved between."""
    if not len(quotes):
        raise MicropriceError("there are no quotes: learn from more")
    _, at = quotes.standing(step_ns)
    spread = (quotes.ask_price - quotes.bid_price)[at]
    width, over = spread // quotes.tick, spread % quotes.tick
    sound = quotes.two_sided[at] & (over == 0) & (width <= spreads)
    bid, ask = quotes.bid_quantity[at].astype(float), quotes.ask_quantity[at].astype(float)
    share = np.divide(bid, bid + ask, out=np.zeros(len(at)), where=sound)
    # a balanced book between two buckets has no side of its own: each look and its mirror image fall in one of both
    state = np.minimum((share * buckets).astype(np.int64), buckets - 1) * spreads + np.where(sound, width - 1, 0)
    moved = np.diff((quotes.bid_price + quotes.ask_price)[at]) / (2 * quotes.tick)
    both = sound[:-1] & sound[1:] & (np.diff(quotes.segment[at]) == 0) & (np.abs(moved) <= LARGEST_MOVE)
    return state[:-1][both], state[1:][both], moved[both]


def _neighbours(seen: np.ndarray) -> np.ndarray:
    """What to take the counts of each state from, array (states, states) of 0 and 1: from itself where it was seen,
    else from the nearest buckets of the same spread, two where two are as near; zeros where no bucket was."""
    buckets, spreads = seen.shape
    found = np.zeros((buckets, spreads, buckets, spreads))
    apart = np.abs(np.arange(buckets)[:, None] - np.arange(buckets)[None, :]).astype(float)
    for column in range(spreads):
        distance = np.where(seen[None, :, column], apart, np.inf)
        nearest = distance.min(axis=1, keepdims=True)
        found[:, column, :, column] = (distance == nearest) & np.isfinite(nearest)
    return found.reshape(buckets * spreads, buckets * spreads)
