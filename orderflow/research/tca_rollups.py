"""Costs over many parent orders: by exchange, algorithm, strategy, instrument and hour.

A mean is over parent orders, each of which counts once: fills of one parent order depend on each other, and an interval
that took each of them for an observation would be too narrow. On an exchange the observation is a parent order's part
there.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, NamedTuple

from orderflow.research import tca_formulas as formulas
from orderflow.research.tca_costs import ParentCosts
from orderflow.research.tca_fills import SECOND_NS, Latencies, LegCosts, fill_columns
from orderflow.research.tca_formulas import Calibration, Mean


@dataclass(frozen=True, slots=True)
class Group:
    """What has one thing in common.

    Attributes
    ----------
    by, name : str
        exchange, algorithm, strategy, instrument or hour; and which.
    parents, orders, fills : int
    means : dict of str -> Mean, optional
        By column; None where no parent order has that number.
    latencies : dict of str -> int, optional
        Percentiles over all orders, nanoseconds.
    calibration : Calibration, optional
        Predicted and realised costs: of parent orders from their arrival on; on an exchange what its book displayed
        and what was paid, fees apart. None where none was predicted.
    """

    by: str
    name: str
    parents: int
    orders: int
    fills: int
    means: dict[str, Mean | None]
    latencies: dict[str, int | None]
    calibration: Calibration | None


def hour_of(costs: ParentCosts) -> str:
    """Hour of the day of the arrival, UTC: 14:00 is all from then to 15:00."""
    return f"{datetime.fromtimestamp(costs.parent.arrival_ns // SECOND_NS, UTC):%H}:00"


#: What parent orders are grouped by, besides the exchange.
KEYS: dict[str, Callable[[ParentCosts], str]] = {
    "algorithm": lambda costs: costs.parent.algorithm, "strategy": lambda costs: costs.parent.strategy,
    "instrument": lambda costs: costs.parent.name, "hour": hour_of}


def rollups(parents: Sequence[ParentCosts]) -> dict[str, list[Group]]:
    """By what is grouped, the groups in the order of their names."""
    found = {"exchange": _exchanges(parents)}
    for by, key in KEYS.items():
        groups: dict[str, list[ParentCosts]] = {}
        for costs in parents:
            groups.setdefault(key(costs), []).append(costs)
        found[by] = [_group(by, name, [_Member(_columns_of(one), one.latencies, one.counts["orders"],
                                               one.counts["fills"], (one.prediction.cost_bps, one.realised_bps,
                                                                     one.z_score))
                                       for one in groups[name]]) for name in sorted(groups)]
    return found


def _exchanges(parents: Sequence[ParentCosts]) -> list[Group]:
    legs: dict[str, list[LegCosts]] = {}
    for costs in parents:
        for leg in costs.legs:
            legs.setdefault(leg.exchange, []).append(leg)
    return [_group("exchange", name, [_Member({"fade_rate": leg.fade_rate, "fee_rate_bps": leg.fee_rate_bps,
                                               **fill_columns(leg.costs)}, leg.latencies, leg.orders, leg.fills,
                                              (leg.displayed_bps, leg.paid_bps, None))
                                      for leg in legs[name]]) for name in sorted(legs)]


def _columns_of(costs: ParentCosts) -> dict[str, float | None]:
    split = costs.shortfall
    return {"shortfall_bps": costs.bps(split.total), "delay_bps": costs.bps(split.delay),
            "trading_bps": costs.bps(split.trading), "opportunity_bps": costs.bps(split.opportunity),
            "fees_bps": costs.bps(split.fees), "fee_rate_bps": costs.fee_rate_bps, "arrival_bps": costs.arrival_bps,
            "vwap_bps": costs.vwap_bps, "twap_bps": costs.twap_bps, "fill_rate": costs.fill_rate,
            "participation": costs.participation, **fill_columns(costs.costs), "reversion_bps": costs.reversion_bps,
            "permanent_bps": costs.permanent_bps, "temporary_bps": costs.temporary_bps}


class _Member(NamedTuple):
    """One parent order, or its part on an exchange; `pair` as `formulas.calibration` takes it."""

    columns: dict[str, float | None]
    latencies: Latencies
    orders: int
    fills: int
    pair: tuple[float | None, float | None, float | None]


def _group(by: str, name: str, members: Sequence[_Member]) -> Group:
    pooled = Latencies()
    for member in members:
        pooled.extend(member.latencies)
    return Group(by, name, len(members), sum(member.orders for member in members),
                 sum(member.fills for member in members),
                 {column: formulas.mean(member.columns[column] for member in members)
                  for column in members[0].columns}, pooled.percentiles(),
                 formulas.calibration(member.pair for member in members))


def document(group: Group) -> dict[str, Any]:
    """As plain values."""
    return {"by": group.by, "name": group.name, "parents": group.parents, "orders": group.orders, "fills": group.fills,
            **{column: None if one is None else _mean(one) for column, one in group.means.items()}, **group.latencies,
            "calibration": None if group.calibration is None else {
                name: _mean(value) if isinstance(value, Mean) else value
                for name, value in ((one.name, getattr(group.calibration, one.name))
                                    for one in fields(group.calibration))}}


def _mean(one: Mean) -> dict[str, Any]:
    return {"mean": one.value, "half_width": one.half_width, "n": one.n}
