"""Why the router sent what it sent where: the decisions of one parent order, from what it wrote down as it made them.

Nothing is computed again: the books, what every exchange was given or why it was left out, and what else the same books
would have cost stand in the decision log, of every run, recorded or not.
"""
from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

from orderflow._core.segments import SegmentError
from orderflow.instrument import canonical
from orderflow.research import tca_journal
from orderflow.research.decisions import Decision, Decisions, Offer, decisions_of
from orderflow.research.tca_records import Parent


@dataclass(frozen=True, slots=True)
class Explanation:
    """Of one parent order."""

    parent: Parent
    decisions: list[Decision]
    notes: list[str]


def explain(directory, parent_id: int, run: int | None = None) -> Explanation:
    """Every decision of a parent order.

    Parameters
    ----------
    directory : path
        Of the runs.
    run : int, optional
        Which of them; by default the last that has the parent order.

    Raises
    ------
    SegmentError, RunStartError
        The journal cannot be read.
    ValueError
        There is no such parent order.
    """
    found = tca_journal.read(directory)
    parent = tca_journal.parent_of(found, parent_id, run)
    own, notes = Decisions(), []
    try:
        own = decisions_of(directory, found.runs[parent.run], parent)
    except SegmentError as error:
        notes.append(f"{error}, so nobody knows why its orders went where they went")
    if own.missing:
        notes.append(f"{own.missing} decisions of run {parent.run} were not written, or are damaged; some of this "
                     "parent order may be among them")
    if own.orders_without:
        notes.append(f"of {own.orders_without} of its orders the decision was not written, or is damaged")
    return Explanation(parent, own.of_parent, notes)


def document(told: Explanation) -> dict[str, Any]:
    """As plain values: exact decimals as text, fractions as floats, reasons by name."""
    parent = told.parent
    return {"parent_id": parent.id, "run": parent.run, "instrument": parent.name, "notes": told.notes,
            "decisions": [_fields(one, "offers") | {
                "cost_bps": one.cost_bps, "sweep_worse_bps": one.worse_bps(one.sweep),
                "offers": [_fields(each) | {"alone_worse_bps": alone_bps(one, each)} for each in one.offers]}
                for one in told.decisions]}


def alone_bps(decision: Decision, offer: Offer) -> float | None:
    """How much worse it would have been to do everything there; None where not all of it could have been done."""
    return decision.worse_bps(offer.alone_average) if offer.alone == decision.given else None


def _fields(one: Any, *left_out: str) -> dict[str, Any]:
    return {each.name: _plain(getattr(one, each.name)) for each in fields(one) if each.name not in left_out}


def _plain(value: Any) -> Any:
    if isinstance(value, IntEnum):
        return value.name
    if isinstance(value, Decimal):
        return canonical(value)
    return float(value) if isinstance(value, Fraction) else value
