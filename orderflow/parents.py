"""How a parent order stands, as users see it: an immutable copy in decimals."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from orderflow._core.types import ParentStatus, Reason, Side
from orderflow.exchanges.session import Session
from orderflow.instrument import from_scaled, place_of
from orderflow.wiring import Core


@dataclass(frozen=True, slots=True)
class ParentState:
    """How a parent order stands: an immutable copy, decimals in base and quote currency.

    Attributes
    ----------
    working : Decimal
        What its orders that are out may still be filled.
    fees : dict of str -> Decimal
        By the asset they were charged in; positive is a cost.
    fees_quote : Decimal
        All of them in the instrument's currency: those in the base currency at the average price, those in another
        quote currency at the rates of its fills. Fees in a third asset are in `fees` alone.
    by_exchange : dict of str -> dict
        filled, average_price (in the instrument's currency), fees (by asset) and fills of each exchange that filled
        something; with its symbol where the instrument has several there.
    taken : Decimal
        Part of the quantity that was kept below the minimums before; negative = that much was taken off it.
    refusal : str, optional
        Why risk refused the last of its child orders that it refused: code, limit and the number that met it.
    """

    id: int
    instrument: str
    side: str
    status: str
    reason: str
    quantity: Decimal
    filled: Decimal
    in_doubt: Decimal
    working: Decimal
    limit_price: Decimal | None
    average_price: Decimal | None
    arrival_price: Decimal | None
    children: int
    fees: dict[str, Decimal]
    fees_quote: Decimal
    by_exchange: dict[str, dict[str, Any]]
    refusal: str | None = None
    taken: Decimal = Decimal(0)

    @property
    def done(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.status in ("PARENT_DONE", "PARENT_DENIED", "PARENT_ENDED_IN_DOUBT")

    @property
    def slippage_bps(self) -> Decimal | None:
        """Average price against arrival price; positive is a cost."""
        if self.average_price is None or not self.arrival_price:
            return None
        sign = 1 if self.side == "BUY" else -1
        return sign * (self.average_price - self.arrival_price) / self.arrival_price * 10_000

    @property
    def all_in_price(self) -> Decimal | None:
        """Average price with fees: what a unit cost, or brought."""
        if self.average_price is None:
            return None
        each = self.fees_quote / self.filled
        return self.average_price + (each if self.side == "BUY" else -each)


def denied(core: Core, report: Any) -> ParentState:
    """A parent order that never was, out of the report that denied it."""
    index = int(report["instrument"])
    known = index < len(core.instruments)       # that it is not may be why it was denied
    name = core.instruments[index].name if known else f"instrument {index}"
    decimals = core.instruments[index].quantity_decimals if known else 0
    return ParentState(
        int(report["parent_id"]), name, Side(report["side"]).name, ParentStatus(report["status"]).name,
        Reason(report["reason"]).name, from_scaled(int(report["quantity"]), decimals), Decimal(0), Decimal(0),
        Decimal(0), None, None, None, 0, {}, Decimal(0), {})


def state_of(core: Core, sessions: Sequence[Session], view: Any) -> ParentState:
    """A parent order of the order table, `view`, with what each exchange filled; integers become decimals here."""
    item = core.instruments[view.instrument]
    by_exchange: dict[str, dict[str, Any]] = {}
    fees: dict[str, Decimal] = {}
    converted = Decimal(0)              # fees in other quote currencies than the instrument's
    for fill in view.by_listing:
        listing = core.listings[fill.listing]
        assets = sessions[int(core.table[fill.listing]["exchange"])].assets
        charged = {assets[asset]: from_scaled(amount, decimals) for asset, (amount, decimals) in fill.fees.items()}
        for asset, amount in charged.items():
            fees[asset] = fees.get(asset, Decimal(0)) + amount
        filled = from_scaled(fill.filled, listing.quantity_decimals)
        notional = from_scaled(fill.notional, listing.price_decimals + listing.quantity_decimals)
        if fill.filled:
            worth = from_scaled(fill.worth, item.price_decimals + item.quantity_decimals)
            by_exchange[place_of(core.listings, fill.listing)] = {
                "filled": filled, "average_price": worth / filled, "fees": charged, "fills": fill.fills}
            if listing.convert:
                converted += charged.get(listing.quote, Decimal(0)) * worth / notional
    filled = from_scaled(view.filled, item.quantity_decimals)
    average = from_scaled(view.notional, item.price_decimals + item.quantity_decimals) / filled if filled else None
    quote = core.listings[item.listings[0]].priced_in
    bases = {core.listings[index].base for index in item.listings}
    in_kind = sum((fees.get(base, Decimal(0)) for base in bases), Decimal(0))
    return ParentState(
        view.parent_id, item.name, Side(view.side).name, ParentStatus(view.status).name, Reason(view.reason).name,
        from_scaled(view.quantity, item.quantity_decimals), filled, from_scaled(view.in_doubt, item.quantity_decimals),
        from_scaled(view.working, item.quantity_decimals),
        from_scaled(view.limit_price, item.price_decimals) if view.limit_price else None,
        average, from_scaled(view.arrival_price, item.price_decimals) if view.arrival_price else None,
        view.children, fees, fees.get(quote, Decimal(0)) + converted + in_kind * (average or 0), by_exchange,
        taken=from_scaled(view.taken, item.quantity_decimals))
