"""What a run takes over from the one before: orders that may still be open, and positions.

Restart is recovery: there is no other way to begin. The journal of the last run is applied again (_core/recovery.pyx);
what had not provably ended by its last record, and what was held, is written to the new journal as CARRIED records, in
the new run's own numbers. So a recovery reads one run, however many there were, and a replay finds it all in the run
that it replays. RUN_START says how many they are: a run that was killed before it had them all cannot have traded, and
is passed over. Listings are known again by exchange and symbol. Orders that had not ended are in doubt, whatever was
last heard of them: nobody listened in between. What accounts should hold goes over as well
(held.py), and so do rests that are kept (residuals.py).
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from orderflow import held
from orderflow._core.client_id import prefix_of
from orderflow._core.journal_scan import JournalScan, epoch_of, paths_of
from orderflow._core.recovery import Recovery
from orderflow._core.residuals import ResidualLedger
from orderflow._core.segments import SegmentError
from orderflow.instrument import Listing, table
from orderflow.residuals import Residual, enter, named
from orderflow.run_start import RunStart

#: A fee in an asset that is not in the exchange's table (codec.pxd).
NO_ASSET = 0xFFFF
#: Parents of adopted orders: strategy << 48 | counter, of a strategy that no run has.
PARENTS = 0x7FFF << 48
#: Fields of a position by what they are scaled with: quantity, or price times quantity.
QUANTITIES = ("net", "bought", "sold")
NOTIONALS = ("bought_notional", "sold_notional", "open_cost", "realised")


class CarriedError(Exception):
    """The run before left something that this one cannot take over; the message says what to do."""


@dataclass(slots=True)
class Carried:
    """In the numbers of the run that it belongs to.

    Attributes
    ----------
    orders : list of dict
        As `Orders.adopt` takes them, with `parent_id`.
    positions : list of dict
        As `Orders.set_position` takes them, with `listing`.
    elsewhere : list of dict
        Positions of listings that the run does not have, as the run that had them last wrote them.
    held : list of dict
        What accounts should hold, those of exchanges that the run does not have included (held.py).
    residuals : list of dict
        Rests that are kept, those of strategies and instruments that the run does not have included (residuals.py).
    """

    orders: list[dict[str, Any]] = field(default_factory=list)
    positions: list[dict[str, Any]] = field(default_factory=list)
    elsewhere: list[dict[str, Any]] = field(default_factory=list)
    held: list[dict[str, Any]] = field(default_factory=list)
    residuals: list[dict[str, Any]] = field(default_factory=list)

    def take(self, fields: dict[str, Any]) -> None:
        """One CARRIED record."""
        for kind, found in (("order", self.orders), ("position", self.positions), ("elsewhere", self.elsewhere),
                            ("held", self.held), ("residual", self.residuals)):
            if kind in fields:
                found.append(fields[kind])

    def records(self) -> list[dict[str, Any]]:
        """The fields of each CARRIED record."""
        return [*({"order": each} for each in self.orders), *({"position": each} for each in self.positions),
                *({"elsewhere": each} for each in self.elsewhere), *({"held": each} for each in self.held),
                *({"residual": each} for each in self.residuals)]

    def enter(self, orders: Any, now_ns: int) -> list[int]:
        """Into an order table; the slots of the orders."""
        for position in self.positions:
            orders.set_position(**{**position, "fees": {int(asset): fee for asset, fee in position["fees"].items()}})
        return [orders.adopt(now_ns=now_ns, **order) for order in self.orders]


def check_kind(directory: Any, paper: bool) -> None:
    """Whether a journal is of the kind of a run that is to be written to it: paper, or trading.

    Raises
    ------
    CarriedError
        It is of the other kind; the message says what to do.
    """
    try:
        epochs = {each for each in map(epoch_of, paths_of(directory)) if each > 0}
        runs = (first for epoch in sorted(epochs, reverse=True) if (first := _first(directory, epoch)) is not None)
        last = next(runs, None)
    except SegmentError:
        return                                  # no journal yet, or one that cannot be read: whoever opens it says so
    if last is not None and bool(last.get("paper", False)) != paper:
        if paper:
            raise CarriedError("this is the journal of an engine that trades, and paper must never be mixed up with "
                               "that; name another directory for it (--directory)")
        raise CarriedError("this is a journal of paper trading, whose orders and positions exist on paper only; name "
                           "another directory to trade in")


def left_by(directory: Any, epoch: int) -> tuple[RunStart, Carried, int] | None:
    """How run `epoch` ended: what it was, what it left (in its own numbers), and its wall clock - monotonic clock. None
    if it was killed before it began.

    Raises
    ------
    CarriedError
        The journal cannot be followed; the message says where.
    """
    first = _first(directory, epoch)
    if first is None:
        return None
    run = RunStart.load(first)
    names = [exchange.name for exchange in run.exchanges]
    width = max(len(each.listings) for each in run.instruments)
    listings = table(run.listings, names)
    ledger = Recovery(listings, prefix_of(run.instance, epoch), orders=1 << 16, parents=1 << 14, fills=1 << 18,
                      listings_per_instrument=width)
    kept = ResidualLedger(len(run.strategies), len(run.instruments))
    ledger.follow_residuals(kept)
    accounts, assets = held.books_of(run, listings), {each.name: each.assets for each in run.exchanges}
    for book in accounts.values():
        ledger.follow(book)
    scan, before, taken = JournalScan(directory, epoch), Carried(), 0
    for text in ledger.replay(scan):
        one = Carried()
        one.take(json.loads(text))
        one.enter(ledger, 0)
        before.elsewhere += one.elsewhere
        before.held += one.held
        before.residuals += [each.document() for each in enter(
            kept, (Residual(**each) for each in one.residuals), run.strategies, run.instruments)]
        taken += 1
        if taken == first["carried"]:
            for name, book in accounts.items():
                held.resume(name, book, before.held, assets[name], run.listings)
    if scan.fault or ledger.refused:
        raise CarriedError(f"{directory}: run {epoch} cannot be followed to its end "
                           f"({scan.fault or f'{ledger.refused} orders found no room'}); see docs/journal.md")
    if taken < first["carried"]:
        return None
    left = Carried([ledger.known(slot) for slot in ledger.unfinished],
                   [position for listing in range(len(run.listings))
                    if (position := ledger.position(listing)._asdict())["fills"]], before.elsewhere,
                   [*(each for each in before.held if each["exchange"] not in accounts
                      or ("amount" in each and each["asset"] not in assets[each["exchange"]])),
                    *(each for name, book in accounts.items()
                      for each in held.records(name, book, assets[name], run.listings))],
                   [*before.residuals, *(each.document() for each in named(kept, run.strategies, run.instruments))])
    return run, left, ledger.wall_offset_ns


def began(directory: Any, epoch: int) -> bool:
    """Whether a run has a beginning that can be followed, so that a start would take over from it."""
    try:
        return left_by(directory, epoch) is not None
    except CarriedError:
        return False


def _first(directory: Any, epoch: int) -> dict[str, Any] | None:
    """RUN_START of a run; None if it did not come so far."""
    scan = JournalScan(directory, epoch)
    record = scan.segment.next_record() if scan.next_segment() and scan.segment is not None else None
    fields: dict[str, Any] | None = None if record is None else json.loads(record[4])
    return fields


def carried(directory: Any, epoch: int, listings: Sequence[Listing], assets: dict[str, Sequence[str]],
            strategies: Sequence[str], wall_offset_ns: int) -> Carried:
    """What run `epoch`, which is about to begin, takes over, in its own numbers.

    Parameters
    ----------
    assets : dict of str -> sequence of str
        Fee assets by exchange, in index order.
    strategies : sequence of str
        Names, in the order of their numbers.
    wall_offset_ns : int
        Wall clock - monotonic clock of this run.

    Raises
    ------
    CarriedError
        An order may still be open on a listing that this run does not have, or a number does not fit its new scale.
    """
    earlier = sorted({each for each in map(epoch_of, paths_of(directory)) if 0 < each < epoch}, reverse=True)
    known = next((known for each in earlier if (known := left_by(directory, each)) is not None), None)
    if known is None:
        return Carried()
    run, left, offset_ns = known
    places = {(listing.exchange, listing.symbol): index for index, listing in enumerate(listings)}
    result = Carried(held=left.held, residuals=left.residuals)
    for number, order in enumerate(left.orders, 1):
        old = run.listings[order["listing"]]
        index = places.get((old.exchange, old.symbol))
        if index is None:
            raise CarriedError(f"the run before may have left an order open on {old.exchange} {old.symbol}, which this "
                               "run does not have: configure it, and start when that exchange can be reached, until "
                               "that order has ended")
        result.orders.append(_order(order, old, listings[index], index) | {
            "parent_id": PARENTS | number, "strategy": _number_of(run.strategies, order["strategy"], strategies),
            "decided_ns": order["decided_ns"] + offset_ns - wall_offset_ns})
    waiting = [*({"exchange": run.listings[each["listing"]].exchange, "symbol": run.listings[each["listing"]].symbol,
                  "price_decimals": run.listings[each["listing"]].price_decimals,
                  "quantity_decimals": run.listings[each["listing"]].quantity_decimals,
                  "fees": {run.assets_of(each["listing"])[asset]: fee for asset, fee in each["fees"].items()
                           if asset != NO_ASSET},
                  **{name: each[name] for name in (*QUANTITIES, *NOTIONALS, "fills")}} for each in left.positions),
               *left.elsewhere]
    for each in waiting:
        index = places.get((each["exchange"], each["symbol"]))
        if index is None or not assets[each["exchange"]]:       # or it does not trade there now
            result.elsewhere.append(each)
        else:
            result.positions.append(_position(each, listings[index], index, assets[each["exchange"]]))
    return result


def _number_of(before: Sequence[str], number: int, names: Sequence[str]) -> int:
    """Of a strategy in this run; of one that it does not have, that of orders submitted by hand."""
    name = before[number] if number < len(before) else ""
    return names.index(name) if name in names else 0


def _order(order: dict[str, Any], old: Listing, new: Listing, index: int) -> dict[str, Any]:
    what = f"the order {order['client_order_id']} of the run before"

    def price(value: int) -> int:
        return _rescaled(value, new.price_decimals - old.price_decimals, what, new)

    def quantity(value: int) -> int:
        return _rescaled(value, new.quantity_decimals - old.quantity_decimals, what, new)

    return order | {
        "listing": index, "price": price(order["price"]), "quantity": quantity(order["quantity"]),
        "wanted_price": price(order["wanted_price"]), "wanted_quantity": quantity(order["wanted_quantity"]),
        "stated": quantity(order["stated"]), "display": quantity(order.get("display", 0)),     # older runs have none
        "fills": [(trade, price(at), quantity(filled)) for trade, at, filled in order["fills"]]}


def _position(each: dict[str, Any], new: Listing, index: int, assets: Sequence[str]) -> dict[str, Any]:
    what = f"the position in {new.exchange} {new.symbol} of the run before"
    quantities = new.quantity_decimals - each["quantity_decimals"]
    notionals = quantities + new.price_decimals - each["price_decimals"]
    fees = {(assets.index(asset) if asset in assets else NO_ASSET): fee for asset, fee in each["fees"].items()}
    return {"listing": index, "fills": each["fills"], "fees": fees,
            **{name: _rescaled(each[name], quantities, what, new) for name in QUANTITIES},
            **{name: _rescaled(each[name], notionals, what, new) for name in NOTIONALS}}


def _rescaled(value: int, decimals: int, what: str, new: Listing) -> int:
    """The same number with so many decimals more."""
    if decimals >= 0:
        return value * int(10**decimals)
    whole, rest = divmod(value, int(10**-decimals))
    if rest:
        raise CarriedError(f"{what} has more decimals than {new.exchange} {new.symbol} has now; report this with the "
                           "output of `orderflow journal show`")
    return whole
