"""`orderflow explain`: how a parent order was worked, as a person would tell it."""
from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orderflow.cli import GOOD, output
from orderflow.cli.application import BadUsage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orderflow.research.explain import Alternative, Decision, Explanation, Offer

#: Decisions that are told; a longer story is in --json.
MOST_DECISIONS = 20


def command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the runs.")],
    parent_id: Annotated[int, typer.Argument(metavar="PARENT_ID", help="As `orderflow tca DIR` lists them.")],
    run: Annotated[int | None, typer.Option("--run", metavar="N", help="Which run; by default the last one that has "
                                            "such a parent order.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with every decision.")] = False,
) -> int:
    """Say of one parent order what was sent where, with which books before the router's eyes, and what else could have
    been done with them, and at what cost.

    The books need a recording of the run (record = true).
    """
    from orderflow._core.segments import SegmentError
    from orderflow.research.explain import document, explain
    from orderflow.run_start import RunStartError

    try:
        told = explain(directory, parent_id, run)
    except (SegmentError, RunStartError, ValueError) as error:
        raise BadUsage(str(error)) from None
    if as_json:
        output.result(document(told))
    else:
        for line in story(told):
            output.text(line)
    return GOOD


def story(told: Explanation) -> Iterator[str]:
    """Line by line."""
    from orderflow._core.types import Side
    from orderflow.instrument import canonical
    from orderflow.research.tca_fills import exact

    parent = told.parent
    filled = sum(order.filled for order in parent.orders)
    ordered, done = (canonical(exact(value, parent.quantity_decimals)) for value in (parent.ordered, filled))
    verb = "Buy" if parent.side == Side.BUY else "Sell"
    price = canonical(exact(parent.limit_price, parent.price_decimals))
    limit = f", at {price} or better" if parent.limit_price else ""
    yield (f"{verb} {ordered} {parent.name}{limit}, {parent.algorithm.lower()}, for {parent.strategy}: parent order "
           f"{parent.id} of run {parent.run}, taken at {_time(parent.arrival_ns)}.")
    if not told.decisions:
        yield "No order was sent for it: risk refused it, or nothing could be traded within its limits."
    for number, decision in enumerate(told.decisions[:MOST_DECISIONS], 1):
        yield ""
        yield from _decision(number, decision, parent.arrival_ns, parent.base, parent.quote)
    if len(told.decisions) > MOST_DECISIONS:
        yield ""
        yield f"And {len(told.decisions) - MOST_DECISIONS} more decisions: --json has them."
    yield ""
    yield f"In the end {done} of {ordered} {parent.base} were filled, with {len(parent.orders)} orders."
    for note in told.notes:
        yield f"Note: {note}"


def _time(unix_ns: int) -> str:
    at = datetime.fromtimestamp(unix_ns // 10**9, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{unix_ns % 10**9 // 1000:06d} UTC"


def _price(value: Fraction) -> str:
    return f"{float(value):,.4f}"


def _decision(number: int, decision: Decision, arrival_ns: int, base: str, quote: str) -> Iterator[str]:
    from orderflow.instrument import canonical

    later = (decision.at_ns - arrival_ns) / 1e6
    yield f"Decision {number}, {later:,.3f} ms after that: {canonical(decision.quantity)} {base} were sent."
    for offer in decision.offers:
        yield f"  {_offer(offer, base)}"
    if decision.average is None:
        return
    distance = f", {decision.cost_bps:+.2f} bps from the mid" if decision.cost_bps is not None else ""
    yield f"  By these books that was {_price(decision.average)} {quote} a unit with fees{distance}. Instead:"
    for one in decision.alternatives:
        yield f"    {_alternative(one, quote)}"


def _offer(offer: Offer, base: str) -> str:
    from orderflow.instrument import canonical

    if offer.best is None or offer.all_in is None or offer.shown is None:
        saw = f"its book was {offer.state}" if offer.version is not None else f"book {offer.state}"
    else:
        age = f", {offer.age_ns / 1e6:,.3f} ms old" if offer.age_ns is not None else ""
        saw = (f"best {canonical(offer.best)}, {_price(offer.all_in)} with the fee; {canonical(offer.shown)} within "
               f"reach (version {offer.version}{age})")
    if not offer.asked:
        return f"{offer.exchange}: {saw}. Nothing" + (f": {offer.note}." if offer.note else ".")
    got = "all of it was filled" if offer.filled == offer.asked else (
        f"{canonical(offer.filled)} were filled, and the rest {offer.end or 'is open'}")
    return f"{offer.exchange}: {saw}. {canonical(offer.asked)} {base}: {got}."


def _alternative(one: Alternative, quote: str) -> str:
    if one.average is None or one.worse_bps is None:
        return f"{one.name}: the books did not show enough"
    how = "the same" if round(one.worse_bps, 2) == 0 else (
        f"{abs(one.worse_bps):.2f} bps {'worse' if one.worse_bps > 0 else 'better'}")
    return f"{one.name}: {_price(one.average)} {quote}, {how}"
