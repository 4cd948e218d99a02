"""A parent order with all that was done for it, as one object: its slices, their orders, and their fills.

Read from the journal, of a run that is over or of one that is under way.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from orderflow._core.algos.schedule import share_remaining
from orderflow._core.client_id import encode
from orderflow._core.types import Algorithm, Liquidity, Side
from orderflow.research import tca_journal
from orderflow.research.tca_fills import exact
from orderflow.research.tca_records import Fill, Order, Parent

#: Algorithms whose schedule is a function of the time alone.
CLOCKED = (Algorithm.TWAP.name, Algorithm.SHORTFALL.name, Algorithm.CLOSE.name)


@dataclass(frozen=True, slots=True)
class FillNode:
    """One trade; price in quote currency, quantity in base currency, time in unix nanoseconds by our clock."""

    at_ns: int
    price: Decimal
    quantity: Decimal
    liquidity: str
    trade_id: int
    fees: dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class OrderNode:
    """One child order.

    Attributes
    ----------
    client_order_id : str
        As the exchange was told it.
    display : Decimal, optional
        What it shows of itself at a time, where it is an iceberg that the exchange refills.
    decided_ns : int
        Unix, by our clock.
    end : str
        filled, cancelled, expired, rejected, not_sent; "in doubt" or "open" where it has not ended.
    """

    client_order_id: str
    exchange: str
    symbol: str
    quantity: Decimal
    display: Decimal | None
    decided_ns: int
    end: str
    fills: tuple[FillNode, ...]

    @property
    def filled(self) -> Decimal:
        """Base currency."""
        return sum((fill.quantity for fill in self.fills), Decimal(0))


@dataclass(frozen=True, slots=True)
class SliceNode:
    """Orders that were decided while one slice of a schedule was the last that had begun; number 0 = it has none."""

    number: int
    orders: tuple[OrderNode, ...]

    @property
    def filled(self) -> Decimal:
        """Base currency."""
        return sum((order.filled for order in self.orders), Decimal(0))


@dataclass(frozen=True, slots=True)
class ParentTree:
    """One parent order and everything below it.

    Attributes
    ----------
    quantity : Decimal
        Base currency; what it was last asked to be where it was replaced.
    taken_ns, starts_ns, ends_ns : int
        When the router took it, when its time begins, and when that is over, unix nanoseconds; 0 = it has no end.
    curvature : float
        Its time over its half-life, where its schedule bends; else 0.
    """

    run: int
    id: int
    instrument: str
    side: str
    algorithm: str
    strategy: str
    quantity: Decimal
    taken_ns: int
    starts_ns: int
    ends_ns: int
    curvature: float
    slices: tuple[SliceNode, ...]

    @property
    def filled(self) -> Decimal:
        """Base currency."""
        return sum((one.filled for one in self.slices), Decimal(0))

    @property
    def orders(self) -> tuple[OrderNode, ...]:
        """Of all slices, in order."""
        return tuple(order for one in self.slices for order in one.orders)

    @property
    def fills(self) -> tuple[FillNode, ...]:
        """Of all orders, as they happened."""
        return tuple(sorted((fill for order in self.orders for fill in order.fills), key=lambda fill: fill.at_ns))

    def scheduled(self, at_ns: int) -> float | None:
        """Base currency that its curve would have done by then; None where it follows no clock. A slice is released
        when it begins, so fills are up to a slice ahead."""
        if self.algorithm not in CLOCKED or self.ends_ns <= self.starts_ns:
            return None
        passed = min(1.0, max(0.0, (at_ns - self.starts_ns) / (self.ends_ns - self.starts_ns)))
        closing = self.algorithm == Algorithm.CLOSE.name
        left = share_remaining(self.curvature, 1 - passed if closing else passed)
        return float(self.quantity) * (left if closing else 1 - left)

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def tree(directory, parent_id: int, run: int | None = None) -> ParentTree:
    """The tree of one parent order.

    Parameters
    ----------
    directory : path
        Of the runs, as of `Engine.directory`.
    run : int, optional
        Which of them; by default the last that has the parent order.

    Raises
    ------
    SegmentError, RunStartError
        The journal cannot be read.
    ValueError
        There is no such parent order.
    """
    parent = tca_journal.parent_of(tca_journal.read(directory), parent_id, run)
    slices: dict[int, list[OrderNode]] = {}
    for order in parent.orders:
        slices.setdefault(order.slice, []).append(_order(parent, order))
    return ParentTree(parent.run, parent.id, parent.name, Side(parent.side).name, parent.algorithm, parent.strategy,
                      exact(parent.ordered, parent.quantity_decimals), parent.arrival_ns, parent.starts_ns,
                      parent.until_ns, parent.curvature,
                      tuple(SliceNode(number, tuple(orders)) for number, orders in slices.items()))


def _order(parent: Parent, order: Order) -> OrderNode:
    end = "filled" if order.filled >= order.quantity else order.end or ("in doubt" if order.in_doubt else "open")
    return OrderNode(encode(order.client_order_id), order.listing.exchange, order.listing.symbol,
                     exact(order.quantity, parent.quantity_decimals),
                     exact(order.display, parent.quantity_decimals) if order.display else None, order.decided_ns, end,
                     tuple(_fill(parent, fill) for fill in order.fills))


def _fill(parent: Parent, fill: Fill) -> FillNode:
    return FillNode(fill.at_ns, exact(fill.price, parent.price_decimals),
                    exact(fill.quantity, parent.quantity_decimals), Liquidity(fill.liquidity).name, fill.trade_id,
                    {asset: exact(amount, decimals) for asset, (amount, decimals) in fill.fees.items()})


def _lines(told: ParentTree) -> Iterator[str]:
    yield (f"{told.side} {told.quantity.normalize():f} {told.instrument} {told.algorithm.lower()} "
           f"(parent order {told.id} of run {told.run}): {told.filled.normalize():f} filled")
    for one in told.slices:
        if one.number:
            yield f"├─ slice {one.number}: {one.filled.normalize():f} filled"
        for order in one.orders:
            shown = f"showing {order.display.normalize():f} " if order.display is not None else ""
            yield (f"{'│  ' if one.number else ''}├─ {order.exchange} {order.quantity.normalize():f} {shown}"
                   f"[{order.client_order_id}]: {order.filled.normalize():f} filled in {len(order.fills)}, {order.end}")
