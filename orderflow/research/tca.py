"""Transaction cost analysis of what a directory's runs have traded: what each parent order cost, and why.

    analysis = orderflow.research.tca.analyse("DIR")
    analysis.parents[0].shortfall               # exact integers; docs/tca.md says what each number means
    frame(analysis).to_polars()

The journal says what was ordered and filled; the recording of the last run that was made with `record=True` says what
the market was meanwhile. Without one everything that needs the market's prices is missing: None, never 0.

Parts: tca_formulas (plain numbers), tca_journal and tca_records (what was done), tca_views (what the router saw),
tca_market (what the market was), tca_predictions (what was expected), tca_fills and tca_costs (one parent order),
tca_rollups (many), tca_report (HTML).
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orderflow._core import input_log
from orderflow._core.segments import SegmentError
from orderflow._core.types import INPUT_RECORD_DTYPE
from orderflow.instrument import canonical
from orderflow.research import tca_journal
from orderflow.research.tca_costs import ParentCosts, costs_of, row
from orderflow.research.tca_fills import moments_of
from orderflow.research.tca_journal import Journalled
from orderflow.research.tca_market import Market, Question, Sample, has_frames
from orderflow.research.tca_predictions import UNRECORDED, Predictions
from orderflow.research.tca_records import Run
from orderflow.research.tca_rollups import Group, rollups
from orderflow.research.tca_views import Views

if TYPE_CHECKING:
    import pandas
    import polars


@dataclass(frozen=True, slots=True)
class Analysis:
    """What everything cost.

    Attributes
    ----------
    parents : list of ParentCosts
        Of all runs, in the order in which they were taken.
    rollups : dict of str -> list of Group
        By exchange, algorithm, strategy, instrument and hour.
    recorded_run : int, optional
        Whose market data is there; of the other runs' parent orders nothing is known that needs it.
    notes : list of str
        What is missing, and why, a line each.
    """

    directory: Path
    parents: list[ParentCosts]
    rollups: dict[str, list[Group]]
    recorded_run: int | None
    notes: list[str]


def analyse(directory, daily_volumes: Mapping[str, float] | None = None) -> Analysis:
    """The costs of every parent order in a directory's journal.

    Parameters
    ----------
    directory : path
        Of the runs.
    daily_volumes : mapping of str -> float, optional
        Base currency that is traded in a day on all exchanges together, by instrument: for predictions, where a run has
        no volume curve.

    Raises
    ------
    SegmentError, RunStartError
        The journal cannot be read, or its recording is of another version of orderflow; the message says what is wrong.
    ValueError
        There is no run, or a daily volume is not positive.
    """
    for name, volume in (daily_volumes or {}).items():
        if not volume > 0:
            raise ValueError(f"daily_volumes {name}: {volume}, expected a positive number")
    directory = Path(directory)
    found = tca_journal.read(directory)
    if not found.runs:
        raise ValueError(f"{directory}: no run is in it; its journal would be in journal-00000001.segment and so on")
    run = next((run for run in reversed(found.runs.values()) if run.start.recorded), None)
    notes = [] if run is not None and has_frames(directory, run) else [
        f"{directory}: no market data was recorded, so nothing is known of mids, spreads, the market's trades and what "
        "came after the fills; record = true keeps it" if run is None else
        f"{directory}: the recording of run {run.epoch} is not whole: copy all frames-*.zst beside the journal"]
    if notes:
        run = None
    seen = _views(directory, run, notes)
    moments = {id(parent): moments_of(parent, run.end_ns, seen) for parent in found.parents
               if run is not None and parent.run == run.epoch and parent.instrument is not None}
    samples: dict[Question, Sample] = {}
    last_mids, predictions = {}, None
    if run is not None:
        market = Market(directory, run)
        samples = market.sample((moment for each in moments.values() for moment in each),
                                tca_journal.own_trades(found, run))
        last_mids = market.last_mids
        notes += market.problems
        predictions = Predictions(run, seen, market.table, market.boards, daily_volumes or {})
    costs = []
    for parent in found.parents:
        own = moments.get(id(parent))
        costs.append(costs_of(parent, own, samples, last_mids.get(parent.instrument.index) if own else None,
                              found.runs[parent.run].end_ns,
                              predictions.of(parent) if predictions is not None and own else UNRECORDED))
    notes += _notes(found, costs, run)
    return Analysis(directory, costs, rollups(costs), run.epoch if run else None, notes)


def _views(directory: Path, run: Run | None, notes: list[str]) -> Views:
    """What the router saw; nothing where its input log cannot be read."""
    try:
        inputs = input_log.read(directory, "router", run.epoch) if run is not None else None
    except SegmentError as error:
        notes.append(f"arrival prices, and mids before fills that took, are missing: {error}")
        inputs = None
    return Views(inputs if inputs is not None else np.zeros(0, INPUT_RECORD_DTYPE), run.offset_ns if run else 0,
                 run.start.listings if run else ())


def _notes(found: Journalled, costs: list[ParentCosts], run: Run | None) -> list[str]:
    notes = []
    others = sum(run is not None and one.parent.run != run.epoch for one in costs)
    if others:
        notes.append(f"the recording is of run {run.epoch}: {others} parent orders of other runs have no market data")
    apart = sorted({asset for one in costs for asset in one.fees.apart})
    if apart:
        notes.append(f"fees in {', '.join(apart)} are in no total: what they are worth is not known here; they stand "
                     "in fees_apart")
    if found.stray_fills:
        notes.append(f"{found.stray_fills} fills are of orders whose run is not in the journal any more: they are in "
                     "no parent order")
    replaced = sum(1 for one in costs if one.parent.replaces)
    if replaced:
        notes.append(f"{replaced} parent orders were replaced: `ordered` is what they were last asked to be")
    return notes


class Frame(list):
    """One dict a parent order, in the order of `Analysis.parents`: a list with the columns of docs/tca.md. Notebooks
    show it as a table."""

    def select(self, *names: str) -> Frame:
        """The same parent orders with these columns only, in this order; KeyError names one that there is not."""
        return Frame({name: each[name] for name in names} for each in self)

    def _repr_html_(self) -> str:
        names = list(self[0]) if self else []
        head = "".join(f"<th>{escape(name)}</th>" for name in names)
        return f"<table><tr>{head}</tr>" + "".join(
            "<tr>" + "".join(f"<td>{escape(_shown(each[name]))}</td>" for name in names) + "</tr>"
            for each in self) + "</table>"

    def columns(self) -> dict[str, np.ndarray]:
        """One array a column: numbers as floats and what is missing as NaN; text as objects, "" where it is missing;
        times in unix nanoseconds and counts as integers, 0 where one is missing. What is by asset is text."""
        names = list(self[0]) if self else []
        return {name: _column(name, [each[name] for each in self]) for name in names}

    def array(self) -> np.ndarray:
        """The same as one numpy structured array, shape (parent orders,)."""
        found = self.columns()
        rows = np.zeros(len(self), [(name, values.dtype) for name, values in found.items()])
        for name, values in found.items():
            rows[name] = values
        return rows

    def to_polars(self) -> polars.DataFrame:
        """`columns` as a polars frame; ImportError where polars is not installed."""
        import polars

        return polars.DataFrame(self.columns())

    def to_pandas(self) -> pandas.DataFrame:
        """`columns` as a pandas frame; ImportError where pandas is not installed."""
        import pandas

        return pandas.DataFrame(self.columns())


#: Columns that are no numbers.
TEXTS = ("strategy", "algorithm", "instrument", "side", "status", "quote", "benchmark", "not_predicted")
BY_ASSET = ("fees_by_asset", "fees_apart")
COUNTS = ("run", "parent_id", "orders", "fills", "rejected", "not_sent", "cancelled", "expired", "cancels_asked",
          "cancels_rejected", "replaced", "in_doubt")


def _column(name: str, values: list[Any]) -> np.ndarray:
    if name in TEXTS:
        return np.array([value or "" for value in values], dtype=object)
    if name in BY_ASSET:
        return np.array([", ".join(f"{asset} {canonical(amount)}" for asset, amount in value.items())
                         for value in values], dtype=object)
    if name in COUNTS or name.endswith("_ns"):
        return np.array([value or 0 for value in values], dtype=np.uint64 if name == "parent_id" else np.int64)
    return np.array([np.nan if value is None else float(value) for value in values])


def _shown(value: Any) -> str:
    """In a notebook: numbers as far as anybody looks."""
    return "–" if value is None else f"{value:,.2f}" if isinstance(value, float | Decimal) else str(value)


def frame(*sources) -> Frame:
    """The parent orders as rows: Decimals, floats, integers and text, None where a number is missing.

    Parameters
    ----------
    sources : Analysis, or path
        Of a directory, which is analysed first. Of several, the parent orders of one after the other.
    """
    analyses = (source if isinstance(source, Analysis) else analyse(source) for source in sources)
    return Frame(row(costs) for analysis in analyses for costs in analysis.parents)
