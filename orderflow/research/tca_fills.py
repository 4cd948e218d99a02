"""What fills cost: their fees, the market before and after each of them, and how long their orders took.

Of the fills of a parent order, or of those that one exchange had. A number over several fills is None as soon as it is
for one of them: a mean over those that happen to be known would be of other fills.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from typing import Protocol

from orderflow._core.types import Liquidity
from orderflow.instrument import RATE_DECIMALS
from orderflow.research import tca_formulas as formulas
from orderflow.research.tca_market import Moment, Question, Sample
from orderflow.research.tca_records import TAKES_AT_ONCE, TEN, Fill, Order, Parent

SECOND_NS = 1_000_000_000
#: Seconds after a fill, and the one of them after the last fill.
HORIZONS_S = (1, 5, 30)
AFTERMATH_S = 30
PERCENTILES = (50, 90, 99)


def exact(value: int, decimals: int) -> Decimal:
    """The decimal that a scaled integer stands for, of any length: never rounded to a context's digits."""
    return Decimal(f"{value}e-{decimals}")


@dataclass(frozen=True, slots=True)
class Fees:
    """Fees of some fills; positive is a cost, a rebate is negative.

    Attributes
    ----------
    by_asset : dict of str -> Decimal
    quote : int
        Those in the quote currency, and those in the base currency at the price of the very fill.
    decimals : int
        Of `quote`.
    apart : dict of str -> Decimal
        Those in any other asset, whose worth nothing here tells: they are in no total.
    """

    by_asset: dict[str, Decimal]
    quote: int
    decimals: int
    apart: dict[str, Decimal]


def fees_of(parent: Parent, fills: Sequence[Fill]) -> Fees:
    """Added up as integers of one common scale."""
    amounts: dict[str, list[tuple[int, int]]] = {}
    worth: list[tuple[int, int]] = []
    counted = {parent.quote, parent.base}
    for fill in fills:
        for asset, (amount, decimals) in fill.fees.items():
            amounts.setdefault(asset, []).append((amount, decimals))
            if asset == parent.quote:
                worth.append((amount, decimals))
            elif fill.order.rate and asset == fill.order.listing.quote:
                worth.append((amount * fill.order.rate, decimals + RATE_DECIMALS))
                counted.add(asset)
            elif asset == parent.base:
                worth.append((amount * fill.price, decimals + parent.price_decimals))
    by_asset = {asset: exact(*_sum(parts)) for asset, parts in amounts.items()}
    quote, decimals = _sum([*worth, (0, parent.price_decimals + parent.quantity_decimals)])
    return Fees(by_asset, quote, decimals, {asset: amount for asset, amount in by_asset.items()
                                            if asset not in counted})


def _sum(parts: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Of (integer, decimals), at the finest of their scales."""
    finest = max(decimals for _, decimals in parts)
    return sum(value * TEN ** (finest - decimals) for value, decimals in parts), finest


# -- when the market is looked at -------------------------------------------------------------------------------------

@dataclass(frozen=True, slots=True)
class Moments:
    """When the market is looked at for a parent order.

    Attributes
    ----------
    decision : View or Moment, optional
        Its decision; where that has the time of the arrival, what the router saw.
    arrival : View or Moment, optional
        What the router saw when it took it.
    begin, last, later, end : Moment, optional
        When that was, its last fill, AFTERMATH_S after that, and its end; `end` is None where its run's end was its
        own.
    before : list of View or Moment, optional
        Before each fill: what the router saw when it decided the order, where that took (SEC Rule 605 compares with the
        quote when the order was received); just before the fill, where it was taken.
    after : dict of int -> list of Moment
        After each fill, by horizon in seconds.
    """

    decision: Question | None
    arrival: Question | None
    begin: Moment
    last: Moment | None
    later: Moment | None
    end: Moment | None
    before: list[Question | None]
    after: dict[int, list[Moment]]

    def __iter__(self) -> Iterator[Question]:
        single = (self.decision, self.arrival, self.begin, self.last, self.later, self.end)
        return (moment for moment in chain(single, self.before, *self.after.values()) if moment is not None)


class Seen(Protocol):
    """Where it is known what the router saw: `Views`."""

    def arrival(self, parent: Parent) -> Question | None:
        """When it took a parent order."""

    def decided(self, parent: Parent, order: Order) -> Question | None:
        """When it decided an order."""


def moments_of(parent: Parent, run_end_ns: int, seen: Seen) -> Moments:
    """Of a parent order with an instrument."""
    index, fills = parent.instrument.index, parent.fills

    def at(time_ns: int) -> Moment:
        return Moment(time_ns, True, index)

    def before(fill: Fill) -> Question | None:
        return seen.decided(parent, fill.order) if fill.takes else Moment(fill.at_ns, False, index)

    arrival = seen.arrival(parent)
    decision = arrival if parent.decided_ns == parent.arrival_ns else at(parent.decided_ns)
    last_ns = fills[-1].at_ns if fills else 0
    return Moments(decision if parent.decided_ns else None, arrival, at(parent.arrival_ns),
                   at(last_ns) if fills else None, at(last_ns + AFTERMATH_S * SECOND_NS) if fills else None,
                   None if parent.outlived(run_end_ns) else at(parent.end_ns(run_end_ns)),
                   [before(fill) for fill in fills],
                   {horizon: [at(fill.at_ns + horizon * SECOND_NS) for fill in fills] for horizon in HORIZONS_S})


# -- fills ------------------------------------------------------------------------------------------------------------

@dataclass(frozen=True, slots=True)
class PricedFill:
    """A fill, the mid and its own book before it, and the mid after it, by horizon in seconds."""

    fill: Fill
    before: int | None
    quote: tuple[int, int] | None
    after: dict[int, int | None]


def priced_fills(fills: Sequence[Fill], moments: Moments | None,
                 samples: Mapping[Question, Sample]) -> list[PricedFill]:
    """Each fill with the market around it."""
    if moments is None:
        return [PricedFill(fill, None, None, dict.fromkeys(HORIZONS_S)) for fill in fills]
    found = []
    for place, fill in enumerate(fills):
        seen = moments.before[place]
        before = samples.get(seen) if seen is not None else None
        after = {horizon: samples.get(moments.after[horizon][place]) for horizon in HORIZONS_S}
        found.append(PricedFill(
            fill, before.mid if before else None, before.quotes.get(fill.order.index) if before else None,
            {horizon: sample.mid if sample else None for horizon, sample in after.items()}))
    return found


@dataclass(frozen=True, slots=True)
class FillCosts:
    """What the fills of a parent order, or of a part of it, cost; means weighted by quantity.

    Attributes
    ----------
    spread_capture : float, optional
        Of the half spread of the book that was traded in: 1 = filled at one's own best price, -1 = across the spread.
    effective_spread_bps : float, optional
        Twice the distance to the mid before.
    realised_spread_bps, price_impact_bps, markout_bps : dict of int -> float, optional
        By horizon in seconds. Effective = realised + impact at every horizon.
    maker_share : float, optional
        Of the quantity; None where the exchange did not say of some.
    """

    spread_capture: float | None
    effective_spread_bps: float | None
    realised_spread_bps: dict[int, float | None]
    price_impact_bps: dict[int, float | None]
    markout_bps: dict[int, float | None]
    maker_share: float | None


def fill_costs(side: int, priced: Sequence[PricedFill]) -> FillCosts:
    """Of some fills."""
    def spread(part_of: Callable[[int, int, int], int], horizon: int | None = None) -> float | None:
        """Mean of a part of the spread, of (price, mid before, mid after), in bps of the mid before."""
        terms: list[tuple[int, int, int] | None] = []
        for one in priced:
            before, after = one.before, one.before if horizon is None else one.after[horizon]
            known = before is not None and after is not None
            terms.append((one.fill.quantity, part_of(one.fill.price, before, after), before) if known else None)
        return formulas.weighted_bps(terms)

    def realised(price: int, before: int, after: int) -> int:
        return formulas.realised_spread(side, price, after)

    def impact(price: int, before: int, after: int) -> int:
        return formulas.price_impact(side, before, after)

    fills = [one.fill for one in priced]
    says = all(fill.liquidity != Liquidity.UNKNOWN_LIQUIDITY for fill in fills)
    made = sum(fill.quantity for fill in fills if fill.liquidity == Liquidity.MAKER)
    return FillCosts(
        formulas.spread_capture(side, ((one.fill.price, one.fill.quantity, one.quote) for one in priced)),
        spread(lambda price, before, _: formulas.effective_spread(side, price, before)),
        {horizon: spread(realised, horizon) for horizon in HORIZONS_S},
        {horizon: spread(impact, horizon) for horizon in HORIZONS_S},
        {horizon: formulas.markout_bps(side, ((one.fill.price, one.fill.quantity, one.after[horizon])
                                              for one in priced)) for horizon in HORIZONS_S},
        formulas.ratio(made, sum(fill.quantity for fill in fills)) if says else None)


def fill_columns(costs: FillCosts) -> dict[str, float | None]:
    """The columns of a FillCosts, one a horizon."""
    found = {"spread_capture": costs.spread_capture, "maker_share": costs.maker_share,
             "effective_spread_bps": costs.effective_spread_bps}
    for name in ("realised_spread", "price_impact", "markout"):
        found |= {f"{name}_{horizon}s_bps": value for horizon, value in getattr(costs, f"{name}_bps").items()}
    return found


@dataclass(frozen=True, slots=True)
class Latencies:
    """Nanoseconds of some orders, as far as the journal has the times.

    Attributes
    ----------
    signal_to_send : list of int
        From the frame that caused an order, as it was read from the socket, to its bytes in the socket.
    send_to_ack, ack_to_fill : list of int
        To the exchange's acknowledgement, and from there to the first fill; of an order whose fill was told first,
        there is none.
    """

    signal_to_send: list[int] = field(default_factory=list)
    send_to_ack: list[int] = field(default_factory=list)
    ack_to_fill: list[int] = field(default_factory=list)

    def add(self, order: Order) -> None:
        """Those of one more order."""
        first_ns = min((fill.at_ns for fill in order.fills), default=0)
        for found, begin_ns, end_ns in ((self.signal_to_send, order.cause_ns, order.sent_ns),
                                        (self.send_to_ack, order.sent_ns, order.acknowledged_ns),
                                        (self.ack_to_fill, order.acknowledged_ns, first_ns)):
            if begin_ns and end_ns >= begin_ns:
                found.append(end_ns - begin_ns)

    def extend(self, other: Latencies) -> None:
        """Those of other orders too."""
        self.signal_to_send.extend(other.signal_to_send)
        self.send_to_ack.extend(other.send_to_ack)
        self.ack_to_fill.extend(other.ack_to_fill)

    def percentiles(self) -> dict[str, int | None]:
        """By name: signal_to_send_p50_ns and so on."""
        return {f"{name}_p{percent}_ns": formulas.percentile(getattr(self, name), percent)
                for name in ("signal_to_send", "send_to_ack", "ack_to_fill") for percent in PERCENTILES}


def latencies_of(orders: Sequence[Order]) -> Latencies:
    """Of some orders."""
    found = Latencies()
    for order in orders:
        found.add(order)
    return found


@dataclass(frozen=True, slots=True)
class LegCosts:
    """The part of a parent order that one exchange had.

    Attributes
    ----------
    fade_rate : float, optional
        1 - filled / asked over IOC and FOK orders that it took; None where there was none.
    fee_rate_bps : float, optional
        Fees in bps of the notional that was traded.
    displayed_bps, paid_bps : float, optional
        Of what its IOC and FOK orders filled, fees apart: average price against the mid at the decision, as its book
        displayed it then, and as it was.
    """

    exchange: str
    orders: int
    fills: int
    notional: Decimal
    fade_rate: float | None
    fee_rate_bps: float | None
    displayed_bps: float | None
    paid_bps: float | None
    costs: FillCosts
    latencies: Latencies


def legs_of(parent: Parent, priced: Sequence[PricedFill], displayed: Mapping[int, int]) -> list[LegCosts]:
    """The parts of a parent order, by exchange, in the order in which they had orders of it.

    Parameters
    ----------
    displayed : mapping of int -> int
        By client order id: notional of what was filled of it, as its book displayed it when it was decided.
    """
    found = []
    for exchange in dict.fromkeys(order.listing.exchange for order in parent.orders):
        orders = [order for order in parent.orders if order.listing.exchange == exchange]
        own = [one for one in priced if one.fill.order.listing.exchange == exchange]
        fills = [one.fill for one in own]
        notional = sum(fill.price * fill.quantity for fill in fills)
        fees, decimals = fees_of(parent, fills), parent.price_decimals + parent.quantity_decimals
        taking = [(order.quantity, order.filled) for order in orders if order.took]
        found.append(LegCosts(
            exchange, len(orders), len(fills), exact(notional, decimals), formulas.fade_rate(taking),
            formulas.bps(fees.quote, notional * TEN ** (fees.decimals - decimals)),
            *_displayed_and_paid(parent.side, own, displayed), fill_costs(parent.side, own), latencies_of(orders)))
    return found


def _displayed_and_paid(side: int, priced: Sequence[PricedFill],
                        displayed: Mapping[int, int]) -> tuple[float | None, float | None]:
    """Of orders that could do nothing but take; None for both where one of their books is not known."""
    mids = {one.fill.order.client_order_id: (one.fill.order, one.before) for one in priced
            if one.fill.order.time_in_force in TAKES_AT_ONCE}
    terms: list[list[tuple[int, int, int] | None]] = [[], []]
    for number, (order, mid) in mids.items():
        paid = sum(fill.price * fill.quantity for fill in order.fills)
        for found, notional in zip(terms, (displayed.get(number), paid), strict=True):
            found.append(None if mid is None or number not in displayed else (
                order.filled, formulas.sign_of(side) * (notional - order.filled * mid), order.filled * mid))
    return formulas.weighted_bps(terms[0]), formulas.weighted_bps(terms[1])
