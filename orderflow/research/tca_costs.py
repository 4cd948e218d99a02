"""The costs of one parent order out of the journal and the market's samples, and its row in a table.

Where a number is not known (no recording, a book that was not LIVE, a horizon beyond the end of the data) it is None.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from orderflow._core.types import Side
from orderflow.research import tca_formulas as formulas
from orderflow.research.tca_fills import (
    Fees,
    FillCosts,
    Latencies,
    LegCosts,
    Moments,
    exact,
    fees_of,
    fill_columns,
    fill_costs,
    latencies_of,
    legs_of,
    priced_fills,
)
from orderflow.research.tca_market import Question, Sample
from orderflow.research.tca_predictions import UNRECORDED, Foreseen, Prediction
from orderflow.research.tca_records import TEN, Parent


@dataclass(frozen=True, slots=True)
class ParentCosts:
    """One parent order; quantities in base, prices and money in quote currency, times in unix nanoseconds.

    Attributes
    ----------
    status : str
        filled, partial, unfilled (it had orders), or no_order: risk denied it, or nothing was tradable; the journal
        does not tell which.
    shortfall : Shortfall
        Integers of `money_decimals`; `money` makes decimals of them.
    vwap, twap : Decimal, optional
        Of the market without our own trades, and of the mid, from the arrival to the last fill.
    participation : float, optional
        filled / (filled + what others traded), same window.
    counts : dict of str -> int
        orders, fills, rejected, not_sent, cancelled, expired, cancels_asked, cancels_rejected, replaced, in_doubt.
    legs : list of LegCosts
        By exchange.
    prediction : Prediction
        What it was expected to cost when it arrived.
    realised_bps : float, optional
        What it did cost from there: the shortfall against the arrival price, in bps of ordered * arrival price.
    """

    parent: Parent
    status: str
    filled: Decimal
    average_price: Decimal | None
    decision_price: Decimal | None
    arrival_price: Decimal | None
    end_price: Decimal | None
    first_fill_ns: int | None
    last_fill_ns: int | None
    end_ns: int | None
    fees: Fees
    shortfall: formulas.Shortfall
    money_decimals: int
    fee_rate_bps: float | None
    arrival_bps: float | None
    vwap: Decimal | None
    vwap_bps: float | None
    twap: Decimal | None
    twap_bps: float | None
    fill_rate: float | None
    participation: float | None
    reversion_bps: float | None
    permanent_bps: float | None
    temporary_bps: float | None
    costs: FillCosts
    counts: dict[str, int]
    latencies: Latencies
    legs: list[LegCosts]
    prediction: Prediction
    realised_bps: float | None

    @property
    def unpredicted_bps(self) -> float | None:
        """Realised less predicted."""
        expected = self.prediction.cost_bps
        return None if expected is None or self.realised_bps is None else self.realised_bps - expected

    @property
    def z_score(self) -> float | None:
        """The same in deviations of the prediction."""
        return formulas.z_score(self.unpredicted_bps, self.prediction.deviation_bps)

    def money(self, part: int | None) -> Decimal | None:
        """A part of the shortfall, in the quote currency."""
        return None if part is None else exact(part, self.money_decimals)

    def bps(self, part: int | None) -> float | None:
        """A part of the shortfall, in bps of ordered * benchmark price."""
        return formulas.bps(part, self.shortfall.denominator)


def costs_of(parent: Parent, moments: Moments | None, samples: Mapping[Question, Sample],
             last_mid: tuple[int, int] | None, run_end_ns: int, foreseen: Foreseen = UNRECORDED) -> ParentCosts:
    """Everything about one parent order.

    Parameters
    ----------
    moments : Moments, optional
        None where it has no instrument.
    samples : mapping of Question -> Sample
        Empty where there is no recording.
    last_mid : (mid, time), optional
        The newest in the recording: the end price of what still worked then.
    foreseen : Foreseen
        What was expected of it.
    """
    def seen(question: Question | None) -> Sample | None:
        return None if question is None else samples.get(question)

    def mid(question: Question | None) -> int | None:
        sample = seen(question)
        return None if sample is None else sample.mid

    fills, side = parent.fills, parent.side
    filled, notional = sum(fill.quantity for fill in fills), sum(fill.price * fill.quantity for fill in fills)
    price, quantity = parent.price_decimals, parent.quantity_decimals
    decision, arrival, last, later, end = (mid(one) for one in (
        (moments.decision, moments.arrival, moments.last, moments.later, moments.end) if moments else (None,) * 5))
    end_ns: int | None = parent.end_ns(run_end_ns)
    if moments is not None and moments.end is None and filled < parent.ordered:
        end, end_ns = last_mid if last_mid is not None else (None, end_ns)
    fees = fees_of(parent, fills)
    finer = TEN ** (fees.decimals - price - quantity)       # quantities at which money has the decimals of the fees
    split = formulas.shortfall(side, parent.ordered * finer, filled * finer, notional * finer, fees.quote, decision,
                               arrival, end)
    since = formulas.shortfall(side, parent.ordered * finer, filled * finer, notional * finer, fees.quote, None,
                               arrival, end)
    priced = priced_fills(fills, moments, samples)
    window = _window(seen(moments.begin), seen(moments.last), moments, arrival) if moments else _Window()
    decision_price, arrival_price, end_price = (None if one is None else exact(one, price)
                                                for one in (decision, arrival, end))
    return ParentCosts(
        parent, _status(parent, filled), filled=exact(filled, quantity),
        average_price=exact(notional, price + quantity) / exact(filled, quantity) if filled else None,
        decision_price=decision_price, arrival_price=arrival_price, end_price=end_price,
        first_fill_ns=fills[0].at_ns if fills else None, last_fill_ns=fills[-1].at_ns if fills else None, end_ns=end_ns,
        fees=fees, shortfall=split, money_decimals=fees.decimals,
        fee_rate_bps=formulas.bps(fees.quote, notional * finer),
        arrival_bps=formulas.slippage_bps(side, notional, filled, arrival),
        vwap=_price(window.notional, window.volume, price),
        vwap_bps=formulas.slippage_bps(side, notional, filled, window.notional, window.volume),
        twap=_price(window.area, window.duration, price),
        twap_bps=formulas.slippage_bps(side, notional, filled, window.area, window.duration),
        fill_rate=formulas.ratio(filled, parent.ordered),
        participation=formulas.ratio(filled, filled + window.volume) if window.volume is not None else None,
        reversion_bps=formulas.reversion_bps(side, last, later),
        permanent_bps=formulas.permanent_bps(side, arrival, later) if filled else None,
        temporary_bps=formulas.temporary_bps(side, notional, filled, arrival, later),
        costs=fill_costs(side, priced), counts=_counts(parent), latencies=latencies_of(parent.orders),
        legs=legs_of(parent, priced, foreseen.displayed), prediction=foreseen.prediction,
        realised_bps=formulas.bps(since.total, since.denominator))


@dataclass(frozen=True, slots=True)
class _Window:
    """From the arrival to the last fill: the market's trades, and the mid times nanoseconds."""

    notional: int | None = None
    volume: int | None = None
    area: int | None = None
    duration: int | None = None


def _window(first: Sample | None, last: Sample | None, moments: Moments, arrival: int | None) -> _Window:
    if first is None or last is None:
        return _Window()
    duration, volume = moments.last.time_ns - moments.begin.time_ns, last.volume - first.volume
    area: int | None = last.area - first.area
    if duration == 0:
        area, duration = arrival, 1
    elif last.known_ns - first.known_ns != duration:        # there was no mid for some of the time
        area = None
    return _Window(last.notional - first.notional if volume else None, volume or None, area,
                   duration if area is not None else None)


def _price(total: int | None, weight: int | None, decimals: int) -> Decimal | None:
    return None if total is None or not weight else exact(total, decimals) / weight


def _status(parent: Parent, filled: int) -> str:
    if not parent.orders:
        return "no_order"
    return "filled" if filled >= parent.ordered else "partial" if filled else "unfilled"


def _counts(parent: Parent) -> dict[str, int]:
    orders = parent.orders
    ends = [order.end for order in orders]
    return {"orders": len(orders), "fills": sum(len(order.fills) for order in orders),
            **{end: ends.count(end) for end in ("rejected", "not_sent", "cancelled", "expired")},
            "cancels_asked": sum(order.cancels for order in orders),
            "cancels_rejected": sum(order.cancels_rejected for order in orders),
            "replaced": sum(order.replaces for order in orders),
            "in_doubt": sum(order.in_doubt and not order.ended for order in orders)}


def row(costs: ParentCosts) -> dict[str, Any]:
    """One flat row: Decimals, floats, integers and text by column name; docs/tca.md says what each means."""
    parent, split = costs.parent, costs.shortfall
    parts = {"delay": split.delay, "trading": split.trading, "opportunity": split.opportunity, "fees": split.fees,
             "shortfall": split.total}
    return {
        "run": parent.run, "parent_id": parent.id, "strategy": parent.strategy, "algorithm": parent.algorithm,
        "instrument": parent.name, "side": "BUY" if parent.side == Side.BUY else "SELL", "status": costs.status,
        "ordered": exact(parent.ordered, parent.quantity_decimals), "filled": costs.filled,
        "fill_rate": costs.fill_rate, "quote": parent.quote, "average_price": costs.average_price,
        "benchmark": split.benchmark, "decision_price": costs.decision_price, "arrival_price": costs.arrival_price,
        "end_price": costs.end_price, "decision_ns": parent.decided_ns or None, "arrival_ns": parent.arrival_ns,
        "first_fill_ns": costs.first_fill_ns, "last_fill_ns": costs.last_fill_ns, "end_ns": costs.end_ns,
        **{name: costs.money(part) for name, part in parts.items()},
        **{f"{name}_bps": costs.bps(part) for name, part in parts.items()},
        "fees_by_asset": costs.fees.by_asset, "fees_apart": costs.fees.apart,
        "fee_rate_bps": costs.fee_rate_bps, "arrival_bps": costs.arrival_bps, "vwap": costs.vwap,
        "vwap_bps": costs.vwap_bps, "twap": costs.twap, "twap_bps": costs.twap_bps,
        "participation": costs.participation, **fill_columns(costs.costs),
        "reversion_bps": costs.reversion_bps, "permanent_bps": costs.permanent_bps,
        "temporary_bps": costs.temporary_bps, "predicted_bps": costs.prediction.cost_bps,
        "predicted_deviation_bps": costs.prediction.deviation_bps, "realised_bps": costs.realised_bps,
        "unpredicted_bps": costs.unpredicted_bps, "z_score": costs.z_score,
        "not_predicted": costs.prediction.missing or None, **costs.counts, **costs.latencies.percentiles()}
