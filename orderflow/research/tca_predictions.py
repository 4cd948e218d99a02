"""What parent orders were expected to cost when they arrived: the pre-trade estimate, made of what was known then.

The books are those that the router had read when it took the parent order (tca_views), the volatility is what their
signals said then, and a day's volume is that of the run's volume curve. From there it is orderflow.estimate: the books
walked for an order that takes at once; half the spread, the fee and the impact of its rate (Almgren, Thum, Hauptmann
and Li, "Direct estimation of equity market impact", Risk, 2005) for one that is worked over a time, with the deviation
that the waiting brings. Where that cannot be said, it is said why, and there is no number.

What one exchange had is compared with what its book displayed when the orders were decided.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from orderflow._core.types import Algorithm, Side
from orderflow.estimate import BASIS_POINT, DAY_SECONDS, EstimateError, Market, Walk, over_time, seen_volatility, walk
from orderflow.instrument import canonical
from orderflow.research.tca_fills import SECOND_NS, exact
from orderflow.research.tca_records import HALVES, TAKES_AT_ONCE, TEN, Order, Parent, Run
from orderflow.research.tca_views import View, Views

#: Algorithms that follow the clock or the curve to their end.
SCHEDULED = (Algorithm.TWAP.name, Algorithm.SHORTFALL.name, Algorithm.CLOSE.name, Algorithm.VWAP.name)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was expected; basis points of the mid at the arrival.

    Attributes
    ----------
    cost_bps : float, optional
        Fees included; None where nothing can be said.
    deviation_bps : float, optional
        Of the cost, because the price moves meanwhile; None too for what is taken at once, where the models have none.
    seconds : float, optional
        Over which time it was expected to be worked; 0 = at once.
    missing : str
        Why there is none, in words.
    """

    cost_bps: float | None = None
    deviation_bps: float | None = None
    seconds: float | None = None
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Of one parent order.

    Attributes
    ----------
    displayed : dict of int -> int
        By client order id: notional of what was filled, at the prices that the order's book displayed when it was
        decided; only where the book is known and displayed so much.
    """

    prediction: Prediction
    displayed: dict[int, int] = field(default_factory=dict)


UNRECORDED = Foreseen(Prediction(missing="no books of its run were recorded"))


class Predictions:
    """Of the parent orders of one recorded run.

    Parameters
    ----------
    rows : array of LISTING_DTYPE
        The run's listings.
    boards : mapping of (listing, publication) -> record of BOARD_ENTRY_DTYPE
        Those that the views name.
    daily_volumes : mapping of str -> float
        By instrument, base currency: where the run has no volume curve.
    """

    def __init__(self, run: Run, views: Views, rows: np.ndarray, boards: Mapping[tuple[int, int], np.void],
                 daily_volumes: Mapping[str, float]):
        self._run, self._views, self._rows, self._boards = run, views, rows, boards
        self._volumes = dict(daily_volumes) | {name: sum(curve) for name, curve in run.start.volume_curves.items()}

    def of(self, parent: Parent) -> Foreseen:
        """What was expected of a parent order of this run, and what its orders' books displayed."""
        displayed = {}
        for order in parent.orders:
            if order.fills and order.time_in_force in TAKES_AT_ONCE:
                notional = self._displayed(parent, order)
                if notional is not None:
                    displayed[order.client_order_id] = notional
        return Foreseen(self._predicted(parent), displayed)

    def _predicted(self, parent: Parent) -> Prediction:
        try:
            missing = self._unlike_the_models(parent)
            if missing:
                return Prediction(missing=missing)
            everywhere, market = self._markets(parent)
            side = Side(parent.side)
            found = _against(walk(market, side, parent.ordered), walk(everywhere, side, parent.ordered).twice_mid, side)
        except (EstimateError, _Missing) as error:
            return Prediction(missing=str(error))
        if parent.algorithm == Algorithm.IMMEDIATE.name:
            return self._at_once(parent, found)
        return self._over_time(parent, market, found)

    def _unlike_the_models(self, parent: Parent) -> str:
        """Why no model is of such a parent order; "" where one is."""
        if parent.algorithm == Algorithm.RESTING.name:
            return "it rests, and the models are of orders that cross the spread"
        if parent.algorithm not in (*SCHEDULED, Algorithm.POV.name, Algorithm.IMMEDIATE.name):
            return f"there is no model of {parent.algorithm}"
        if not parent.orders:
            return "no order was sent for it"
        if parent.replaces:
            return "it was replaced while it was worked"
        if sum(fill.quantity for fill in parent.fills) >= parent.ordered:
            return ""
        if parent.cancelled_ns:
            return "it was cancelled before its end"
        return "it still worked when its run ended" if parent.outlived(self._run.end_ns) else ""

    def _markets(self, parent: Parent) -> tuple[Market, Market]:
        """All books as they were seen at its arrival; and of those where it may go what is within its limit."""
        view = self._views.arrival(parent)
        if view is None or parent.instrument is None:
            raise _Missing("the router's input log does not have its arrival")
        published = dict(view.publications)
        listings = [index for index in parent.instrument.listings if index in published]
        if any((index, published[index]) not in self._boards for index in listings):
            raise _Missing("the recording does not have the books of its arrival")
        boards = {index: self._boards[index, published[index]] for index in listings}
        allowed = [index for place, index in enumerate(parent.instrument.listings)
                   if index in boards and (not parent.allowed or parent.allowed >> place & 1)]
        reached = [self._within(parent, boards[index], index) for index in allowed]
        count = "ask_count" if parent.side == Side.BUY else "bid_count"
        if any(boards[index][count] for index in allowed) and not any(entry[count] for entry in reached):
            raise _Missing("its limit price was away from the market")
        return Market(self._rows[listings], list(boards.values())), Market(self._rows[allowed], reached)

    def _within(self, parent: Parent, entry: np.void, index: int) -> np.void:
        """A board without the levels that a parent order would not take."""
        if not parent.limit_price:
            return entry
        levels, count = ("asks", "ask_count") if parent.side == Side.BUY else ("bids", "bid_count")
        prices = entry[levels][:int(entry[count])]["price"].astype(object) * int(self._rows[index]["price_factor"])
        limit, found = parent.limit_price // TEN ** HALVES, entry.copy()
        found[count] = int((prices <= limit if parent.side == Side.BUY else prices >= limit).sum())
        return found

    def _at_once(self, parent: Parent, found: Walk) -> Prediction:
        if found.cost_bps is None:
            available, ordered = (canonical(exact(value, parent.quantity_decimals).normalize())
                                  for value in (found.available, parent.ordered))
            within = " within its limit price" if parent.limit_price else ""
            return Prediction(missing=f"the books displayed {available} of {ordered}{within}")
        return Prediction(found.cost_bps, None, 0.0)

    def _over_time(self, parent: Parent, market: Market, found: Walk) -> Prediction:
        volume, volatility = self._volumes.get(parent.name, 0.0), seen_volatility(market.entries)
        if not volume > 0:
            return Prediction(missing="its run had no volume curve, and no daily volume was given")
        if not volatility > 0:
            return Prediction(missing="no exchange had seen enough returns for a volatility")
        wait = max(0, parent.starts_ns - parent.arrival_ns) / SECOND_NS
        seconds = (parent.until_ns - parent.starts_ns) / SECOND_NS
        if not seconds > 0:
            return Prediction(missing="it had no time")
        part = float(exact(parent.ordered, parent.quantity_decimals)) / volume
        if parent.algorithm == Algorithm.POV.name:
            if parent.allowed:
                return Prediction(missing="it was kept to some exchanges, and the volume is of all")
            needed = part * DAY_SECONDS * (1 - parent.participation) / parent.participation
            if needed > seconds:
                return Prediction(missing=f"its part of the expected volume takes {needed:.0f} s, it had {seconds:.0f}")
            seconds = needed
        point = over_time(seconds, part, volatility, found.touch_bps, curvature=parent.curvature, wait_seconds=wait,
                          closing=parent.algorithm == Algorithm.CLOSE.name)
        return Prediction(point.cost_bps, point.deviation_bps, seconds)

    def _displayed(self, parent: Parent, order: Order) -> int | None:
        """Notional of what was filled of an order, at the prices of its book; prices as in tca_records."""
        view: View | None = self._views.decided(parent, order)
        published = dict(view.publications) if view is not None else {}
        entry = self._boards.get((order.index, published[order.index])) if order.index in published else None
        if entry is None:
            return None
        levels, count = ("asks", "ask_count") if parent.side == Side.BUY else ("bids", "bid_count")
        row, left, notional = self._rows[order.index], order.filled, 0
        for level in entry[levels][:int(entry[count])]:
            part = min(left, int(level["quantity"]) * int(row["quantity_factor"]))
            notional += part * int(level["price"]) * int(row["price_factor"]) * TEN ** HALVES
            left -= part
        return notional if left == 0 else None


def _against(found: Walk, twice_mid: int, side: Side) -> Walk:
    """Costs against another mid: that of all exchanges, which the arrival price is, where some only may be used."""
    sign = 1 if side == Side.BUY else -1

    def moved(cost_bps: float) -> float:
        return sign * ((1 + sign * cost_bps * BASIS_POINT) * found.twice_mid / twice_mid - 1) / BASIS_POINT

    return Walk(twice_mid, found.available, moved(found.touch_bps),
                None if found.cost_bps is None else moved(found.cost_bps))


class _Missing(Exception):
    """Why there is no prediction."""
