"""What the orders of a journal say of each exchange, as a file of scores (orderflow/scores.py); no recording is needed.

An order that takes meets the book about when it is acknowledged less half a round trip, and the book that it was
decided on is as old: so the delay that levels have to survive is taken as that from the decision to the
acknowledgement, or to the first that was heard of the order, where a fill came first. An order counts once, whatever
its size, because quantities of different instruments cannot be added.
"""
from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from orderflow.fading import learn_rate
from orderflow.research import tca_formulas as formulas
from orderflow.research.tca import Analysis
from orderflow.research.tca_fills import PERCENTILES, SECOND_NS, latencies_of
from orderflow.research.tca_records import Order
from orderflow.scores import ExchangeScores, Fade, Percentiles, Scores

#: Upper ends of the delays that are told apart: 1, 2 and 5 of each decade from a tenth of a millisecond to ten seconds.
DELAYS_NS = tuple(factor * 10 ** power for power in range(5, 10) for factor in (1, 2, 5)) + (10 * SECOND_NS,)


def scores_of(analysis: Analysis) -> Scores:
    """Of all orders of an analysis, by exchange in the order of their names."""
    orders: dict[str, list[Order]] = {}
    for costs in analysis.parents:
        for order in costs.parent.orders:
            orders.setdefault(order.listing.exchange, []).append(order)
    return Scores(exchanges={name: _exchange(orders[name]) for name in sorted(orders)})


def _exchange(orders: Sequence[Order]) -> ExchangeScores:
    taking = [order for order in orders if order.took]
    observed = [(delay_ns(order), order.filled / order.quantity) for order in taking]
    found, latencies = {}, latencies_of(orders)
    for name in ("signal_to_send", "send_to_ack", "ack_to_fill"):
        values = getattr(latencies, name)
        if values:
            found[f"{name}_ns"] = Percentiles(orders=len(values), **{
                f"p{percent}": formulas.percentile(values, percent) for percent in PERCENTILES})
    return ExchangeScores(
        orders=len(taking), fill_ratio=sum(part for _, part in observed) / len(observed) if observed else None,
        rate=learn_rate([(delay / SECOND_NS, part) for delay, part in observed]), fades=_fades(observed), **found)


def delay_ns(order: Order) -> int:
    """From the decision of an order to its acknowledgement, or to the first that was heard of it."""
    heard = [fill.at_ns for fill in order.fills]
    if order.acknowledged_ns:
        heard.append(order.acknowledged_ns)
    return max(0, min(heard, default=order.last_ns) - order.decided_ns)


def _fades(observed: Sequence[tuple[int, float]]) -> tuple[Fade, ...]:
    """By delay; what took longer than the last of DELAYS_NS stands under its own longest."""
    groups: dict[int, list[float]] = {}
    longest = max((delay for delay, _ in observed), default=0)
    for delay, part in observed:
        place = bisect_left(DELAYS_NS, delay)
        groups.setdefault(DELAYS_NS[place] if place < len(DELAYS_NS) else longest, []).append(part)
    return tuple(Fade(up_to_ns=end, survives=sum(parts) / len(parts), orders=len(parts))
                 for end, parts in sorted(groups.items()))
