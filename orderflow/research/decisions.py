"""The decisions of one parent order as the router wrote them down when it made them: orderflow/_core/decision_log.pxd.

Prices, quantities and costs are exact: decimals and fractions. What became of its orders is the journal's.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

import numpy as np

from orderflow._core import decision_log
from orderflow._core.decision_log import Decided, DecisionPath, LeftOut
from orderflow._core.types import BookFault, BookState, InputKind, Reason, Side
from orderflow.instrument import RATE_DECIMALS, Listing
from orderflow.research.tca_fills import exact
from orderflow.research.tca_records import Order, Parent, Run

BPS = 10_000
FEE_DECIMALS = 8                # of a fee, and so of an all-in total besides those of price and quantity
UNLIMITED = (1 << 63) - 1       # DecisionPart.most


@dataclass(frozen=True, slots=True)
class Offer:
    """One exchange as a decision saw it, and what it was given.

    Attributes
    ----------
    state, fault : str
        Of its book: names of BookState and BookFault.
    epoch, version, publication : int
        Of the book: of the connection, in it, and of its board in the run.
    age_ns : int, optional
        How long before the decision its frame was received; None where none was.
    best, best_quantity, all_in : Decimal, Decimal, Fraction; optional
        The best price, what is displayed there, and what a unit costs in the instrument's currency with the taker
        fee; no cost where there was no rate.
    shown : Decimal
        Displayed within the limit price.
    left_out : LeftOut
    most : Decimal, optional
        More could not be sent, because only what reduces the position there passes.
    surcharge_bps : float
        By so much the split counted it dearer, because what it shows fades; the costs here do not.
    asked, filled : Decimal
        Of the order that was decided; 0 where none was.
    limit : Decimal, optional
        Of that order.
    average : Fraction, optional
        All-in price of a unit of it, by the book.
    result : Reason
        Why it was not sent, OK where it was.
    end : str
        What became of it.
    alone, alone_average : Decimal, Fraction; optional
        What could have been had there without the others, and its all-in price; None where the exchange was left out.
    display : Decimal, optional
        What its order shows of itself at a time, where it is an iceberg that the exchange refills.
    """

    exchange: str
    symbol: str
    state: str
    fault: str
    epoch: int
    version: int
    publication: int
    age_ns: int | None
    best: Decimal | None
    best_quantity: Decimal | None
    all_in: Fraction | None
    shown: Decimal
    left_out: LeftOut
    most: Decimal | None
    surcharge_bps: float
    asked: Decimal
    filled: Decimal
    limit: Decimal | None
    average: Fraction | None
    result: Reason
    end: str
    alone: Decimal | None
    alone_average: Fraction | None
    display: Decimal | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided at one input of the router.

    Attributes
    ----------
    at_ns : int
        Unix.
    number, sequence : int
        Of the decisions of the run; of the router's input, as its orders in the journal have it.
    cause : InputKind
        What that input was.
    path : DecisionPath
        How the split was found.
    nodes : int
        That the search looked at.
    wanted, given, sent : Decimal
        What was to be sent, what the books allowed of that, and what risk let pass.
    unfilled, gap : Decimal, Fraction
        How much more might have been possible, and how much less it might have cost; 0 unless the search was cut short.
    mid : Decimal, optional
    average : Fraction, optional
        All-in price of a unit of `given`, by the books; None if that is nothing.
    sweep : Fraction, optional
        The same of as much at the best prices, without a look at fees, lots and minimums.
    """

    at_ns: int
    number: int
    sequence: int
    cause: InputKind
    path: DecisionPath
    nodes: int
    side: Side
    wanted: Decimal
    given: Decimal
    sent: Decimal
    unfilled: Decimal
    gap: Fraction
    mid: Decimal | None
    average: Fraction | None
    sweep: Fraction | None
    offers: list[Offer]

    @property
    def cost_bps(self) -> float | None:
        """Against the mid, without a sign of its own: positive = above it."""
        return None if self.average is None or not self.mid else float(
            (self.average / Fraction(self.mid) - 1) * BPS)

    def worse_bps(self, average: Fraction | None) -> float | None:
        """How much more the same quantity costs (less it brings, for a seller) at that all-in price of a unit."""
        if average is None or not self.average:
            return None
        return float((1 if self.side == Side.BUY else -1) * (average / self.average - 1) * BPS)


@dataclass(slots=True)
class Decisions:
    """Of a parent order.

    Attributes
    ----------
    missing : int
        Of all decisions of its run so many were not written, or are damaged.
    orders_without : int
        Orders of the parent order whose decision is among those.
    """

    of_parent: list[Decision] = field(default_factory=list)
    missing: int = 0
    orders_without: int = 0


def decisions_of(directory, run: Run, parent: Parent) -> Decisions:
    """What was decided for a parent order.

    Raises
    ------
    SegmentError
        Its run has no decision log: it was made by a version that wrote none.
    """
    found, last, orders = Decisions(), 0, _by_input(parent)
    for decided in decision_log.read(directory, run.epoch):
        number = int(decided.head["sequence"])
        found.missing += number - last - 1
        last = number
        if int(decided.head["parent_id"]) == parent.id and parent.instrument is not None:
            found.of_parent.append(_Reading(run, parent, decided).decision(orders))
    found.orders_without = sum(map(len, orders.values()))
    return found


def _by_input(parent: Parent) -> dict[tuple[int, int], list[Order]]:
    """Its orders by the input that they were decided at, and their listing."""
    found: dict[tuple[int, int], list[Order]] = {}
    for order in parent.orders:
        found.setdefault((order.sequence, order.index), []).append(order)
    return found


class _Reading:
    """One record in the scales of its parent order."""

    def __init__(self, run: Run, parent: Parent, decided: Decided):
        assert parent.instrument is not None
        self._run, self._parent = run, parent
        self._head, self._parts = decided
        self._prices, self._quantities = parent.instrument.price_decimals, parent.instrument.quantity_decimals

    def decision(self, orders: dict[tuple[int, int], list[Order]]) -> Decision:
        head = self._head
        number = {name: int(head[name]) for name in head.dtype.names if head.dtype[name].names is None}
        given = number["split"]
        mid = exact(number["mid"], self._prices) if number["mid"] else None
        return Decision(
            number["decided_ns"] + self._run.offset_ns, number["sequence"], number["input_sequence"],
            InputKind(number["cause"]), DecisionPath(number["path"]), number["nodes"], Side(number["side"]),
            exact(number["wanted"], self._quantities), exact(given, self._quantities),
            exact(number["sent"], self._quantities), exact(number["unfilled"], self._quantities),
            self._money(head["gap"]), mid, self._average(head["all_in"], given),
            self._average(head["sweep"], given) if number["path"] != DecisionPath.RESTED else None,
            list(self._offers(orders)))

    def _money(self, value: np.void) -> Fraction:
        """Quote currency."""
        return Fraction(decision_log.exact(value), 10 ** (self._prices + self._quantities + FEE_DECIMALS))

    def _average(self, value: np.void, quantity: int) -> Fraction | None:
        return self._money(value) / Fraction(quantity, 10 ** self._quantities) if quantity else None

    def _offers(self, orders: dict[tuple[int, int], list[Order]]) -> Iterator[Offer]:
        for part in self._parts:
            number = {name: int(part[name]) for name in part.dtype.names if part.dtype[name].names is None}
            listing = self._run.start.listings[number["listing"]]
            order = None
            if number["quantity"] and number["result"] in (Reason.OK, Reason.TABLE_FULL):
                there = orders.get((int(self._head["input_sequence"]), number["listing"]))
                order = there.pop(0) if there else None
            yield self._offer(part, number, listing, order)

    def _offer(self, part: np.void, number: dict[str, int], listing: Listing, order: Order | None) -> Offer:
        sign = 1 if self._parent.side == Side.BUY else -1
        best = exact(number["best_price"], listing.price_decimals) if number["best_price"] else None
        left_out = LeftOut(number["left_out"])
        looked = left_out == LeftOut.NOT_LEFT_OUT or left_out >= LeftOut.OTHER_CHOSEN
        scale = 10 ** (self._quantities - listing.quantity_decimals)
        rate = Fraction(number["rate"], 10 ** RATE_DECIMALS) if listing.convert else Fraction(1)

        def quantity(name: str) -> Decimal:
            return exact(number[name], listing.quantity_decimals)

        return Offer(
            listing.exchange, listing.symbol, BookState(number["book_state"]).name, BookFault(number["fault"]).name,
            number["epoch"], number["version"], number["publication"],
            int(self._head["decided_ns"]) - number["receive_ns"] if number["receive_ns"] else None,
            best, quantity("best_quantity") if best is not None else None,
            Fraction(best) * rate * (1 + sign * Fraction(listing.taker_fee)) if best is not None and rate else None,
            quantity("shown"), left_out, None if number["most"] == UNLIMITED else quantity("most"),
            number["surcharge"] / 10 ** (FEE_DECIMALS - 4),
            quantity("quantity"), exact(order.filled, self._quantities) if order is not None else Decimal(0),
            exact(number["price"], listing.price_decimals) if number["quantity"] else None,
            self._average(part["all_in"], number["quantity"] * scale), Reason(number["result"]), _end(order),
            exact(number["alone_quantity"], self._quantities) if looked else None,
            self._average(part["alone_all_in"], number["alone_quantity"]) if looked else None,
            exact(order.display, self._quantities) if order is not None and order.display else None)


def _end(order: Order | None) -> str:
    if order is None:
        return ""
    return "filled" if order.filled >= order.quantity else order.end or ("in doubt" if order.in_doubt else "open")
