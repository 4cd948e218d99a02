"""Why the router sent what it sent where: the decisions of one parent order, with the books that they were made on.

The journal has the orders, each with the input that it was decided at; the input log has the publication of every board
that was read by then; the recording gives those boards again. So what was seen is exact, and what else could have been
done with the same books is computed from them, with the run's own fees, tickets and tiers: the whole on the one
exchange that is best for it, equal parts, and the cheapest prices first without a look at fees.

Prices, quantities and costs are exact: integers and fractions until they are shown.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from orderflow._core import input_log
from orderflow._core.segments import SegmentError
from orderflow._core.types import BookState, Side
from orderflow.instrument import RATE_DECIMALS, Listing
from orderflow.research import tca_journal
from orderflow.research.tca_journal import Journalled
from orderflow.research.tca_market import Market, has_frames
from orderflow.research.tca_records import Order, Parent, Run
from orderflow.research.tca_views import View, Views

BPS = 10_000
#: Of a listing that no order of the decision was converted like.
NO_RATE = "its rate is not in the journal"


@dataclass(frozen=True, slots=True)
class Alternative:
    """What else could have been done with the same books.

    Attributes
    ----------
    name : str
    parts : dict of str -> Decimal
        Quantity by exchange.
    average : Fraction, optional
        All-in price of a unit; None where the books did not show enough.
    worse_bps : float, optional
        Than what was decided, positive = dearer for a buyer, less for a seller.
    """

    name: str
    parts: dict[str, Decimal]
    average: Fraction | None
    worse_bps: float | None


@dataclass(frozen=True, slots=True)
class Offer:
    """One exchange as a decision saw it.

    Attributes
    ----------
    state : str
        Of its book; "unread" where no board of it had been read, "unknown" without a recording.
    version, age_ns : int, optional
        Of the book; how long before the decision its frame was received.
    best, all_in : Decimal, Fraction, optional
        The best price, and what a unit of it costs with fees.
    shown : Decimal, optional
        Quantity that its board had within the limit price.
    asked, filled : Decimal
        Of the order that was sent there; 0 where none was.
    end : str
        What became of that order.
    note : str
        Why nothing was sent there, as far as it can be known.
    """

    exchange: str
    symbol: str
    state: str
    version: int | None
    age_ns: int | None
    best: Decimal | None
    all_in: Fraction | None
    shown: Decimal | None
    asked: Decimal
    filled: Decimal
    end: str
    note: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Orders that were decided at one input of the router.

    Attributes
    ----------
    at_ns : int
        Unix.
    quantity : Decimal
        Of its orders together.
    average : Fraction, optional
        All-in price of a unit, by the books; None where they are not known.
    mid : Decimal, optional
        Of the books that were seen.
    """

    at_ns: int
    sequence: int
    quantity: Decimal
    average: Fraction | None
    mid: Decimal | None
    offers: list[Offer]
    alternatives: list[Alternative]

    @property
    def cost_bps(self) -> float | None:
        """Against the mid, without a sign of its own: positive = above it."""
        return None if self.average is None or self.mid is None else float(
            (self.average / Fraction(self.mid) - 1) * BPS)


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
        There is no such parent order, or the recording is of another version.
    """
    directory = Path(directory)
    found = tca_journal.read(directory)
    parent = tca_journal.parent_of(found, parent_id, run)
    own, notes = found.runs[parent.run], []
    views: Views | None = None
    try:
        inputs = input_log.read(directory, "router", own.epoch)
        views = Views(inputs, own.offset_ns, own.start.listings)
    except SegmentError as error:
        notes.append(f"what the router saw is not known: {error}")
    decided = _decided(parent)
    seen = {sequence: views.decided(parent, orders[0]) for sequence, orders in decided.items()} if views else {}
    boards = _boards(directory, own, found, [view for view in seen.values() if view is not None], notes)
    decisions = [_decision(parent, own, found, orders, seen.get(sequence), boards)
                 for sequence, orders in decided.items()]
    return Explanation(parent, decisions, notes)


def _decided(parent: Parent) -> dict[int, list[Order]]:
    """Its orders by the input that they were decided at, in order."""
    found: dict[int, list[Order]] = {}
    for order in parent.orders:
        found.setdefault(order.sequence, []).append(order)
    return found


def _boards(directory: Path, run: Run, found: Journalled, views: list[View],
            notes: list[str]) -> dict[tuple[int, int], np.void]:
    """What was published, by (listing, publication); nothing without a recording of this very run."""
    recorded = next((one for one in reversed(found.runs.values()) if one.start.recorded), None)
    if recorded is None or recorded.epoch != run.epoch or not has_frames(directory, run):
        notes.append("the run was not recorded, so the books that were seen are not known; record = true keeps them")
        return {}
    market = Market(directory, run)
    market.sample(views, ())
    notes += market.problems
    return market.boards


class _Book:
    """One listing's ladder for a taker, in Fractions of units, and what an order there costs. `rate`: what a unit of
    its quote currency is in the instrument's."""

    def __init__(self, listing: Listing, entry: np.void, side: int, limit: Fraction | None, rate: Fraction):
        self.listing, self.entry, self.side, self.rate = listing, entry, side, rate
        levels, count = ("asks", "ask_count") if side == Side.BUY else ("bids", "bid_count")
        price, quantity = Fraction(10) ** listing.price_decimals, Fraction(10) ** listing.quantity_decimals
        self.levels = [(rate * int(one["price"]) / price, int(one["quantity"]) / quantity)
                       for one in entry[levels][:int(entry[count])]]
        self.best = self.levels[0] if self.levels else None
        if limit is not None:
            self.levels = [one for one in self.levels if (one[0] <= limit if side == Side.BUY else one[0] >= limit)]

    @property
    def shown(self) -> Fraction:
        """Within the limit price."""
        return sum((quantity for _, quantity in self.levels), Fraction(0))

    def fee(self, quantity: Fraction) -> Fraction:
        """Taker fee of an order, as a fraction."""
        found = Fraction(self.listing.taker_fee)
        for least, fee in self.listing.fee_tiers:
            if quantity >= Fraction(least):
                found = Fraction(fee)
        return found

    def all_in(self, quantity: Fraction) -> Fraction | None:
        """What taking so much costs, or brings; None where so much is not shown."""
        left, notional = quantity, Fraction(0)
        for price, size in self.levels:
            part = min(left, size)
            notional += price * part
            left -= part
        if left > 0:
            return None
        sign = 1 if self.side == Side.BUY else -1
        return notional * (1 + sign * self.fee(quantity)) + sign * self.rate * Fraction(self.listing.ticket)


def _decision(parent: Parent, run: Run, found: Journalled, orders: list[Order], view: View | None,
              boards: dict[tuple[int, int], np.void]) -> Decision:
    at_ns, sequence = orders[0].decided_ns, orders[0].sequence
    assert parent.instrument is not None        # it has orders
    scale = parent.quantity_decimals
    asked = {order.index: order for order in orders}
    limit = Fraction(parent.limit_price, 10 ** parent.price_decimals) if parent.limit_price else None
    now_ns = at_ns - run.offset_ns
    published = dict(view.publications) if view is not None else {}
    rates = {order.listing.quote: Fraction(order.rate, 10 ** RATE_DECIMALS) for order in orders if order.rate}
    books, offers = {}, []
    for place, index in enumerate(parent.instrument.listings):
        if parent.allowed and not parent.allowed >> place & 1:
            continue
        listing = run.start.listings[index]
        entry = boards.get((index, published[index])) if index in published else None
        if entry is not None and entry["book_state"] == BookState.LIVE:
            if (rate := rates.get(listing.quote, Fraction(0)) if listing.convert else Fraction(1)):
                books[index] = _Book(listing, entry, parent.side, limit, rate)
        offers.append(_offer(listing, entry, books.get(index), asked.get(index), scale, now_ns,
                             "unknown" if not boards else "unread",
                             "" if index in asked else _why_not(found, run, index, at_ns, entry)
                             or (NO_RATE if listing.convert and index not in books else "")))
    quantity = sum(Fraction(order.quantity) for order in orders) / 10 ** scale
    parts = {index: Fraction(order.quantity, 10 ** scale) for index, order in asked.items()}
    average = _average(books, parts)
    mid = _mid(run, books)
    usable = [index for index in books if index in asked or not _is_out(found, run, index, at_ns)]
    alternatives = [] if average is None else _alternatives(parent, run, books, usable, parts, average)
    return Decision(at_ns, sequence, _decimal(quantity, scale), average, mid, offers, alternatives)


def _decimal(value: Fraction, decimals: int) -> Decimal:
    """Of a fraction that has no more decimals than that."""
    return Decimal(f"{int(value * 10 ** decimals)}e-{decimals}").normalize() + Decimal(0)


def _offer(listing: Listing, entry: np.void | None, book: _Book | None, order: Order | None, scale: int, now_ns: int,
           missing: str, note: str) -> Offer:
    best = book.best if book is not None else None
    received_ns = int(entry["receive_ns"]) if entry is not None else 0
    sign = 1 if book is not None and book.side == Side.BUY else -1
    return Offer(
        listing.exchange, listing.symbol, BookState(int(entry["book_state"])).name if entry is not None else missing,
        int(entry["version"]) if entry is not None else None, now_ns - received_ns if received_ns else None,
        _decimal(best[0] / book.rate, listing.price_decimals) if best and book is not None else None,
        best[0] * (1 + sign * Fraction(listing.taker_fee)) if best else None,
        _decimal(book.shown, listing.quantity_decimals) if book is not None else None,
        _decimal(Fraction(order.quantity, 10 ** scale), scale) if order is not None else Decimal(0),
        _decimal(Fraction(order.filled, 10 ** scale), scale) if order is not None else Decimal(0),
        "" if order is None else "filled" if order.filled >= order.quantity else order.end or (
            "in doubt" if order.in_doubt else "open"), note)


def _is_out(found: Journalled, run: Run, index: int, at_ns: int) -> bool:
    """Whether an order of ours was out on a listing: until it has ended nothing else is sent there."""
    return any(order.index == index and order.decided_ns < at_ns <= order.last_ns
               for parent in found.parents if parent.run == run.epoch for order in parent.orders)


def _why_not(found: Journalled, run: Run, index: int, at_ns: int, entry: np.void | None) -> str:
    if _is_out(found, run, index, at_ns):
        return "an order of ours was out there"
    if entry is not None and entry["book_state"] != BookState.LIVE:
        return "its book was not LIVE"
    return ""


def _average(books: dict[int, _Book], parts: dict[int, Fraction]) -> Fraction | None:
    """All-in price of a unit over several listings; None where one does not show enough."""
    total, quantity = Fraction(0), sum(parts.values(), Fraction(0))
    for index, part in parts.items():
        paid = books[index].all_in(part) if index in books else None
        if paid is None:
            return None
        total += paid
    return total / quantity


def _mid(run: Run, books: dict[int, _Book]) -> Decimal | None:
    prices: dict[str, list[Decimal]] = {"bids": [], "asks": []}
    for book in books.values():
        for side, count in (("bids", "bid_count"), ("asks", "ask_count")):
            if book.entry[count]:
                prices[side].append(Decimal(int(book.entry[side][0]["price"])).scaleb(-book.listing.price_decimals)
                                    * book.rate.numerator / book.rate.denominator)
    return (max(prices["bids"]) + min(prices["asks"])) / 2 if prices["bids"] and prices["asks"] else None


def _alternatives(parent: Parent, run: Run, books: dict[int, _Book], usable: Sequence[int],
                  parts: dict[int, Fraction], average: Fraction) -> list[Alternative]:
    quantity = sum(parts.values(), Fraction(0))
    sign = 1 if parent.side == Side.BUY else -1

    def made(name: str, wanted: dict[int, Fraction]) -> Alternative:
        found = _average(books, wanted) if sum(wanted.values(), Fraction(0)) == quantity else None
        return Alternative(name, {run.start.listings[index].exchange: Decimal(float(part)).quantize(Decimal("1e-8"))
                                  for index, part in wanted.items()}, found,
                           None if found is None else float(sign * (found / average - 1) * BPS))

    alone = [(one, _average(books, {one: quantity})) for one in usable]
    best = min(((sign * price, one) for one, price in alone if price is not None), default=None)
    found = []
    if best is not None:
        name = run.start.listings[best[1]].exchange
        found.append(made(f"all of it on {name}, the best for the whole", {best[1]: quantity}))
    else:
        found.append(Alternative("all of it on one exchange", {}, None, None))
    if len(usable) > 1:
        found.append(made("equal parts on all exchanges", {one: quantity / len(usable) for one in usable}))
        found.append(made("the best prices first, without a look at fees", _sweep(books, usable, quantity, sign)))
    return found


def _sweep(books: dict[int, _Book], usable: Iterable[int], quantity: Fraction, sign: int) -> dict[int, Fraction]:
    levels = sorted((sign * price, index, size) for index in usable for price, size in books[index].levels)
    found: dict[int, Fraction] = {}
    for _, index, size in levels:
        part = min(size, quantity - sum(found.values(), Fraction(0)))
        if part > 0:
            found[index] = found.get(index, Fraction(0)) + part
    return found


def document(told: Explanation) -> dict[str, Any]:
    """As plain values: exact decimals as text, fractions as floats."""
    def plain(value: Any) -> Any:
        if isinstance(value, Decimal):
            return format(value, "f")
        if isinstance(value, Fraction):
            return float(value)
        return {name: plain(each) for name, each in value.items()} if isinstance(value, dict) else value

    def fields(one: Any, *left_out: str) -> dict[str, Any]:
        return {name: plain(getattr(one, name)) for name in one.__dataclass_fields__ if name not in left_out}

    parent = told.parent
    return {"parent_id": parent.id, "run": parent.run, "instrument": parent.name, "notes": told.notes,
            "decisions": [fields(one, "offers", "alternatives")
                          | {"cost_bps": one.cost_bps, "offers": [fields(each) for each in one.offers],
                             "alternatives": [fields(each) for each in one.alternatives]} for one in told.decisions]}
