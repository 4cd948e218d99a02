"""Rests below every exchange's minimum, as a run keeps them for its strategies (_core/residuals.pxd): by name.

By names and decimals they go from run to run, so that a run may have other strategies, instruments or scales. What it
has no place for waits in its journal for one that has.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from orderflow._core.residuals import ResidualLedger
from orderflow.instrument import Instrument, from_scaled


class ResidualError(Exception):
    """What was kept has no exact number here; the message says of what."""


@dataclass(frozen=True, slots=True)
class Residual:
    """What is kept of one strategy in one instrument.

    Attributes
    ----------
    quantity : int
        In 10**-quantity_decimals of the base currency; positive = to buy, negative = to sell.
    parents : int
        How many parent orders' rests are in it.
    """

    strategy: str
    instrument: str
    quantity: int
    quantity_decimals: int
    parents: int

    @property
    def amount(self) -> Decimal:
        """The quantity in base currency."""
        return from_scaled(self.quantity, self.quantity_decimals)

    def document(self) -> dict[str, Any]:
        """As JSON has it; `Residual(**document)` again."""
        return asdict(self)


def named(ledger: ResidualLedger, strategies: Sequence[str], instruments: Sequence[Instrument]) -> list[Residual]:
    """Everything that a ledger keeps; names and instruments in index order."""
    return [Residual(strategies[row.strategy], instruments[row.instrument].name, row.quantity,
                     instruments[row.instrument].quantity_decimals, row.parents) for row in ledger.rows()]


def enter(ledger: ResidualLedger, kept: Iterable[Residual], strategies: Sequence[str],
          instruments: Sequence[Instrument]) -> list[Residual]:
    """Put what the run before kept into a ledger; returns that of strategies and instruments that there are not.

    Raises
    ------
    ResidualError
        A quantity has more decimals than its instrument has now.
    """
    places = {item.name: item for item in instruments}
    others = []
    for one in kept:
        item = places.get(one.instrument)
        if item is None or one.strategy not in strategies:
            others.append(one)
            continue
        quantity = one.amount.scaleb(item.quantity_decimals)
        if quantity != int(quantity):
            raise ResidualError(f"{one.amount} {one.instrument} that is kept for strategy {one.strategy} has more "
                                f"than the {item.quantity_decimals} decimals that the instrument has now")
        ledger.set(strategies.index(one.strategy), item.index, int(quantity), one.parents)
    return others
