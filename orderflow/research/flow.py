"""Order flow imbalance: how much more came to the bid than to the ask, and what that does to the price.

Between two quotes the bid gains what is there now where its price did not fall, and loses what was there where it did
not rise; the ask likewise, with the opposite sign. So a quantity that grows, a price that improves, and a trade that
takes from the other side all count, in units of the base currency. An empty side is a price that is worse than any,
with nothing there. In a book with the depth D at every price, the mid moves by half a tick for each D.

Source: Cont, Kukanov and Stoikov, "The price impact of order book events", Journal of Financial Econometrics 12(1),
2014.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from orderflow.research.quotes import Quotes

#: Prices that are worse than any, for an empty bid and an empty ask.
WORST_BID, WORST_ASK = np.iinfo(np.int64).min, np.iinfo(np.int64).max


def flow_of_events(quotes: Quotes) -> np.ndarray:
    """What each quote but the first contributes, int64 array (n - 1,) in the listing's integers. One that is the first
    of its segment has no quote before it, and its value means nothing: see `is_known`."""
    bid_price = np.where(quotes.bid_quantity > 0, quotes.bid_price, WORST_BID)
    ask_price = np.where(quotes.ask_quantity > 0, quotes.ask_price, WORST_ASK)
    bid_before, bid, ask_before, ask = bid_price[:-1], bid_price[1:], ask_price[:-1], ask_price[1:]
    return ((bid >= bid_before) * quotes.bid_quantity[1:] - (bid <= bid_before) * quotes.bid_quantity[:-1]
            - (ask <= ask_before) * quotes.ask_quantity[1:] + (ask >= ask_before) * quotes.ask_quantity[:-1])


def is_known(quotes: Quotes) -> np.ndarray:
    """Of which of `flow_of_events` both quotes are of one segment, bool array (n - 1,)."""
    return np.asarray(quotes.segment[1:] == quotes.segment[:-1])


def order_flow_imbalance(quotes: Quotes) -> float | None:
    """The sum over all quotes, base currency; None where there are not two, or they are not all of one segment."""
    if len(quotes) < 2 or not is_known(quotes).all():
        return None
    return float(flow_of_events(quotes).sum() / 10.0 ** quotes.listing.quantity_decimals)


def predicted_change(imbalance: float, depth: float) -> float:
    """Change of the mid in ticks that goes with an imbalance, in a book with that depth at every price.

    Parameters
    ----------
    imbalance, depth : float
        In the same units.
    """
    if not depth > 0:
        raise ValueError(f"depth {depth}: expected a positive number")
    return imbalance / (2 * depth)


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of equal length that lie within one segment and begin and end with two sides; arrays of (windows,).

    Attributes
    ----------
    begin_ns : int64 array
        Of the quotes' clock. A window is from this moment, exclusive, for its length, inclusive.
    imbalance : float64 array
        Base currency.
    change : float64 array
        Of the mid, in ticks.
    depth : float64 array
        Mean of the quantities at the best bid and ask, base currency.
    """

    begin_ns: np.ndarray
    imbalance: np.ndarray
    change: np.ndarray
    depth: np.ndarray


def windows(quotes: Quotes, length_ns: int) -> Windows:
    """Imbalance and price change of each window of a length, from the first quote on.

    Windows that reach over a gap, or that begin or end while a side is empty, are left out: their values are not known.

    Raises
    ------
    ValueError
        `length_ns` is not positive.
    """
    if length_ns < 1:
        raise ValueError(f"length_ns {length_ns}: expected 1 or more")
    edges, standing = quotes.standing(length_ns)
    begin, end = standing[:-1], standing[1:]
    sound = (quotes.segment[begin] == quotes.segment[end]) & quotes.two_sided[begin] & quotes.two_sided[end]
    begin, end, begin_ns = begin[sound], end[sound], edges[:-1][sound]
    # a sum over a window is a difference of running sums, exact in integers
    flows = np.concatenate(([0], np.cumsum(flow_of_events(quotes))))
    sizes = np.concatenate(([0], np.cumsum(quotes.bid_quantity + quotes.ask_quantity)))
    doubled = quotes.bid_price + quotes.ask_price
    scale = 10.0 ** quotes.listing.quantity_decimals
    return Windows(begin_ns, (flows[end] - flows[begin]) / scale, (doubled[end] - doubled[begin]) / (2 * quotes.tick),
                   (sizes[end + 1] - sizes[begin]) / (2 * scale * (end + 1 - begin)))


@dataclass(frozen=True, slots=True)
class Impact:
    """change = intercept + slope * imbalance + rest, by ordinary least squares.

    Attributes
    ----------
    slope : float
        Ticks per unit of the base currency; 1 / (2 depth) in a book with one depth everywhere.
    intercept : float
        Ticks.
    error : float
        Standard error of the slope.
    explained : float
        Part of the variance of the changes that the imbalance explains (R squared), 0 to 1.
    """

    slope: float
    intercept: float
    error: float
    explained: float


def price_impact(found: Windows) -> Impact | None:
    """What an imbalance does to the mid within the same window; None with fewer than three windows, or where imbalance
    or price never changed."""
    count = len(found.imbalance)
    if count < 3:
        return None
    flow, change = found.imbalance - found.imbalance.mean(), found.change - found.change.mean()
    flow_squares, change_squares = float(flow @ flow), float(change @ change)
    if flow_squares == 0 or change_squares == 0:
        return None
    slope = float(flow @ change) / flow_squares
    rest = change - slope * flow
    unexplained = float(rest @ rest)
    return Impact(slope, float(found.change.mean() - slope * found.imbalance.mean()),
                  math.sqrt(unexplained / (count - 2) / flow_squares), 1 - unexplained / change_squares)
