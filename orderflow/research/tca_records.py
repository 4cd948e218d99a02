"""Parent orders, their orders and fills as a journal has them: what costs are computed from.

Prices and quantities are integers of the instrument's scales, prices with HALVES decimals more; times are unix
nanoseconds.
"""
from __future__ import annotations

from dataclasses import dataclass, field

from orderflow._core.types import Algorithm, Liquidity, TimeInForce
from orderflow.instrument import Instrument, Listing
from orderflow.run_start import RunStart

#: Decimals that prices have here besides the instrument's: halfway between two of them is an integer.
HALVES = 1
TEN = 10
TAKES_AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)


@dataclass(slots=True)
class Fill:
    """One trade of an order.

    Attributes
    ----------
    at_ns : int
        When it was heard of; by the exchange's clock where that was long after, in a round of reconciliation.
    price, quantity : int
        The instrument's scales, prices with HALVES decimals more.
    run, listing : int
        Of the run that told it: its number, and the index of the listing there.
    fees : dict of str -> (int, int)
        By asset: the amount and its decimals; positive is a cost.
    """

    order: Order
    at_ns: int
    price: int
    quantity: int
    liquidity: int
    trade_id: int
    run: int
    listing: int
    fees: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def takes(self) -> bool:
        """Whether it took what a book showed; where the exchange does not say, whether its order could do nothing
        else."""
        return self.liquidity == Liquidity.TAKER or (
            self.liquidity == Liquidity.UNKNOWN_LIQUIDITY and self.order.time_in_force in TAKES_AT_ONCE)


@dataclass(slots=True)
class Order:
    """One child order; times are 0 where nothing was heard.

    Attributes
    ----------
    quantity : int
        Instrument scale: what it was sent with, or replaced to.
    sequence : int
        Of the router's input that it was decided at.
    slice : int
        Of its parent's time, from 1; 0 = it was not paced.
    rate : int
        With which its listing's prices were converted into the instrument's currency; 0 = they were not.
    display : int
        Instrument scale: what an iceberg that the exchange refills shows of itself; 0 = all of it.
    end : str
        cancelled, expired, rejected or not_sent; empty while it is open and when it was filled.
    """

    client_order_id: int
    listing: Listing
    index: int
    quantity: int
    time_in_force: int
    decided_ns: int
    cause_ns: int
    sequence: int = 0
    sent_ns: int = 0
    acknowledged_ns: int = 0
    last_ns: int = 0
    cancels: int = 0
    replaces: int = 0
    cancels_rejected: int = 0
    in_doubt: bool = False
    slice: int = 0
    rate: int = 0
    display: int = 0
    end: str = ""
    fills: list[Fill] = field(default_factory=list)

    @property
    def filled(self) -> int:
        """Instrument scale."""
        return sum(fill.quantity for fill in self.fills)

    @property
    def took(self) -> bool:
        """Whether it could do nothing but take, the exchange accepted it, and nothing more of it is expected."""
        return self.time_in_force in TAKES_AT_ONCE and self.ended and self.end not in ("rejected", "not_sent")

    @property
    def ended(self) -> bool:
        """Whether nothing more of it is expected."""
        return bool(self.end) or self.filled >= self.quantity


@dataclass(slots=True)
class Parent:
    """One parent order as the journal has it.

    Attributes
    ----------
    instrument : Instrument, optional
        None where the run has none of that number: the parent order was denied for it.
    ordered : int
        Instrument scale; what it was last asked to be where it was replaced.
    decided_ns : int
        When the strategy, or the caller, made it; 0 = it does not say.
    arrival_ns : int
        When the router took it.
    number : int
        Which of the parent orders, cancels and replacements that the router took in its run, from 1.
    smallest : int
        What every exchange takes at least, instrument scale: less than that cannot be worked.
    until_ns, cancelled_ns : int
        When it was to end at the latest, and when it was asked to end; 0 = never.
    allowed : int
        Bit i = it may go to the i-th listing of its instrument; 0 = to all.
    limit_price : int
        With HALVES decimals more; what it was last asked to be where it was replaced; 0 = none.
    starts_ns : int
        When its time begins; that of the arrival, or later.
    curvature : float
        Its time over its half-life, where its schedule bends; else 0.
    participation : float
        Its part of all that is traded, where it follows the volume; else 0.
    """

    run: int
    id: int
    name: str
    instrument: Instrument | None
    base: str
    quote: str
    side: int
    ordered: int
    algorithm: str
    strategy: str
    decided_ns: int
    arrival_ns: int
    until_ns: int
    number: int = 0
    smallest: int = 0
    cancelled_ns: int = 0
    replaces: int = 0
    allowed: int = 0
    limit_price: int = 0
    starts_ns: int = 0
    curvature: float = 0.0
    participation: float = 0.0
    orders: list[Order] = field(default_factory=list)

    @property
    def fills(self) -> list[Fill]:
        """Of all its orders, as they happened."""
        return sorted((fill for order in self.orders for fill in order.fills), key=lambda fill: fill.at_ns)

    @property
    def price_decimals(self) -> int:
        """Of every price here."""
        return (self.instrument.price_decimals if self.instrument else 0) + HALVES

    @property
    def quantity_decimals(self) -> int:
        """Of every quantity here."""
        return self.instrument.quantity_decimals if self.instrument else 0

    def end_ns(self, run_end_ns: int) -> int:
        """When it ended: with the fill that made it whole; with its orders, if they have ended and it was to rest or
        less is left than any exchange takes; else at its end time, its cancellation or the end of the run, whichever
        came first, but after all that was heard of its orders."""
        fills = self.fills
        left = self.ordered - sum(fill.quantity for fill in fills)
        if fills and left <= 0:
            return fills[-1].at_ns
        heard_ns = max((order.last_ns for order in self.orders), default=0)
        ends_with_them = self.algorithm == Algorithm.RESTING.name or left < self.smallest
        if ends_with_them and self.orders and all(order.ended for order in self.orders):
            return heard_ns
        ends = [at for at in (self.until_ns, self.cancelled_ns, run_end_ns) if at]
        return max(min(ends), heard_ns, self.arrival_ns)

    def outlived(self, run_end_ns: int) -> bool:
        """Whether it still worked when its run ended."""
        return self.end_ns(run_end_ns) >= run_end_ns


@dataclass(slots=True)
class Run:
    """One run of the directory.

    Attributes
    ----------
    offset_ns : int
        Unix clock - monotonic clock, as its records have it.
    end_ns : int
        Of the last thing that it decided or heard.
    """

    epoch: int
    start: RunStart
    offset_ns: int = 0
    end_ns: int = 0
