"""What a journal says of each parent order: its orders, fills, fees and times, in integers of the instrument's scales.

Times are unix nanoseconds, of all runs on one axis: our monotonic clock, moved by what the run's own records say it
differs by. An order that outlives its run is told of in the next one, under the same client order id: its fills count
for the parent order that it was sent for. A fill that is told twice, by the answer and by the private stream, counts
once, as in the order table.

Memory grows with parent orders, orders and fills, a few hundred bytes each, whatever else is in the journal.
"""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from orderflow._core import journal
from orderflow._core.conversion import converted
from orderflow._core.journal import Record, RecordKind
from orderflow._core.types import (
    CHILD_ORDER_DTYPE,
    EXECUTION_REPORT_DTYPE,
    PARENT_ORDER_DTYPE,
    RESIDUAL_CHANGE_DTYPE,
    Algorithm,
    ExecType,
    ParentKind,
    Reason,
    ResidualKind,
    Side,
    TimeInForce,
)
from orderflow.instrument import Instrument, Listing
from orderflow.research.journal import name_of
from orderflow.research.tca_records import HALVES, TEN, Fill, Order, Parent, Run
from orderflow.run_start import RunStart

EPOCH_SHIFT = 40                # of journal sequences
#: Of a participation in the journal.
PARTS = 10**6
#: Parent orders that a message names.
MOST_NAMED = 10
#: Reports after which nothing more is expected of an order.
ENDS = {ExecType.REPORT_CANCELED: "cancelled", ExecType.REPORT_EXPIRED: "expired",
        ExecType.REPORT_REJECTED: "rejected", ExecType.REPORT_NOT_SENT: "not_sent"}


@dataclass(slots=True)
class Journalled:
    """Everything of a journal that costs are computed from.

    Attributes
    ----------
    parents : list of Parent
        In the order in which they were taken.
    stray_fills : int
        Of orders whose run is not in the journal any more: they are in no parent order.
    """

    runs: dict[int, Run] = field(default_factory=dict)
    parents: list[Parent] = field(default_factory=list)
    stray_fills: int = 0


def read(directory) -> Journalled:
    """The parent orders of all runs in a journal directory.

    Raises
    ------
    SegmentError
        There is no journal, or it is of another version.
    RunStartError
        The first record of a run cannot be read.
    """
    return _Reader().read(directory)


def parent_of(found: Journalled, parent_id: int, run: int | None = None) -> Parent:
    """A parent order by its id, of a run or of the last one that has it; ValueError names those there are."""
    named = [one for one in found.parents if one.id == parent_id and run in (None, one.run)]
    if named:
        return named[-1]
    there = sorted({one.id for one in found.parents if run in (None, one.run)})
    where = "" if run is None else f" in run {run}"
    if not there:
        raise ValueError(f"no parent order {parent_id}{where}: the journal has none")
    shown = ", ".join(str(one) for one in there[:MOST_NAMED])
    more = f" and {len(there) - MOST_NAMED} more, up to {there[-1]}" if len(there) > MOST_NAMED else ""
    raise ValueError(f"no parent order {parent_id}{where}: there are {shown}{more}")


def own_trades(found: Journalled, run: Run) -> set[tuple[int, int]]:
    """(listing, trade id) of our fills among the market's trades of a run. On paper nobody ever heard of ours: whatever
    has their ids is another's."""
    return set() if run.start.paper else {
        (fill.listing, fill.trade_id) for parent in found.parents for fill in parent.fills if fill.run == run.epoch}


class _Reader:
    def __init__(self):
        self._found = Journalled()
        self._run: Run | None = None
        self._parents: dict[int, Parent] = {}       # of this run, by id
        self._taken = 0                             # records of this run from whoever submits
        self._orders: dict[int, tuple[Parent, Order]] = {}      # of all runs, by client order id
        self._fills: dict[tuple, Fill] = {}

    def read(self, directory) -> Journalled:
        for record in journal.read(directory):
            if record.kind == RecordKind.RUN_START:
                epoch = record.sequence >> EPOCH_SHIFT
                self._run = self._found.runs[epoch] = Run(epoch, RunStart.load(record.decode()),
                                                          record.wall_ns - record.monotonic_ns, record.wall_ns)
                self._parents, self._taken = {}, 0
            elif self._run is not None and record.kind in TAKES:
                self._run.offset_ns = record.wall_ns - record.monotonic_ns
                self._run.end_ns = record.wall_ns
                dtype, take = TAKES[record.kind]
                take(self, record, np.frombuffer(record.payload, dtype)[0])
        return self._found

    def _unix(self, monotonic_ns: int) -> int:
        """0 stays 0: it says that there is none."""
        return int(monotonic_ns) + self._run.offset_ns if monotonic_ns else 0

    def parent(self, record: Record, told: np.void) -> None:
        self._taken += 1
        kind, known = int(told["kind"]), self._parents.get(int(told["parent_id"]))
        if kind == ParentKind.SUBMIT_PARENT:
            self._submit(record, told)
        elif known is not None and kind == ParentKind.CANCEL_PARENT:
            known.cancelled_ns = known.cancelled_ns or record.wall_ns
        elif known is not None and kind == ParentKind.REPLACE_PARENT:
            known.replaces += 1
            known.ordered = int(told["quantity"]) or known.ordered
            known.limit_price = int(told["limit_price"]) * TEN ** HALVES or known.limit_price

    def _submit(self, record: Record, told: np.void) -> None:
        start, index, number = self._run.start, int(told["instrument"]), int(told["strategy"])
        item = start.instruments[index] if index < len(start.instruments) else None
        first = start.listings[item.listings[0]] if item else None
        parent = Parent(
            self._run.epoch, int(told["parent_id"]), item.name if item else f"instrument {index}", item,
            first.base if first else "", first.priced_in if first else "", int(told["side"]), int(told["quantity"]),
            name_of(Algorithm, int(told["algorithm"])),
            start.strategies[number] if number < len(start.strategies) else f"strategy {number}",
            self._unix(told["created_ns"]), record.wall_ns, self._unix(told["end_ns"]), number=self._taken,
            smallest=self._smallest(item), allowed=int(told["listings"]),
            limit_price=int(told["limit_price"]) * TEN ** HALVES, starts_ns=self._unix(told["start_ns"]),
            curvature=float(told["curvature"]), participation=int(told["participation"]) / PARTS)
        self._parents[parent.id] = parent
        self._found.parents.append(parent)

    def _smallest(self, item: Instrument | None) -> int:
        listings = [self._run.start.listings[index] for index in item.listings] if item else []
        return min((int(max(each.minimum_quantity, each.lot).scaleb(item.quantity_decimals)) for each in listings),
                   default=0)

    def residual(self, _record: Record, told: np.void) -> None:
        """A parent that took some of what was kept has become larger, or smaller."""
        known = self._parents.get(int(told["parent_id"]))
        if known is not None and told["kind"] == ResidualKind.RESIDUAL_TAKEN:
            known.ordered -= int(told["change"]) if known.side == Side.BUY else -int(told["change"])

    def order(self, record: Record, told: np.void) -> None:
        listing, parent = int(told["listing"]), self._parents.get(int(told["parent_id"]))
        if parent is None or parent.instrument is None or listing >= len(self._run.start.listings):
            return
        item = self._run.start.listings[listing]
        scale = TEN ** (parent.quantity_decimals - item.quantity_decimals)
        force = int(told["time_in_force"])
        order = Order(
            int(told["client_order_id"]), item, listing, int(told["quantity"]) * scale, force,
            self._unix(told["decided_ns"]), self._unix(told["cause_receive_ns"]),
            sequence=int(told["sequence"]), last_ns=record.wall_ns, slice=int(told["slice"]),
            rate=int(told["rate"]), display=int(told["terms"]) * scale if force == TimeInForce.GTC else 0)
        parent.orders.append(order)
        self._orders[order.client_order_id] = parent, order

    def cancel(self, record: Record, told: np.void) -> None:
        if (known := self._orders.get(int(told["client_order_id"]))) is not None:
            known[1].cancels += 1

    def replace(self, record: Record, told: np.void) -> None:
        if (known := self._orders.get(int(told["client_order_id"]))) is not None:
            known[1].replaces += 1

    def report(self, record: Record, told: np.void) -> None:
        known = self._orders.get(int(told["client_order_id"]))
        kind = int(told["exec_type"])
        if known is None:
            self._found.stray_fills += kind == ExecType.REPORT_FILL and bool(told["client_order_id"])
            return
        parent, order = known
        at_ns = self._unix(told["receive_ns"]) or record.wall_ns
        order.last_ns = max(order.last_ns, at_ns)
        if kind == ExecType.REPORT_SENT:
            order.sent_ns = order.sent_ns or at_ns      # of the order; later ones are of its cancel
        elif kind == ExecType.REPORT_NEW:
            order.acknowledged_ns, order.in_doubt = order.acknowledged_ns or at_ns, False
        elif kind == ExecType.REPORT_REPLACED and told["last_quantity"] > 0:
            order.quantity = _rescaled(int(told["last_quantity"]), parent.quantity_decimals
                                       - self._listing_of(told, order).quantity_decimals)
        elif kind == ExecType.REPORT_CANCEL_REJECTED:
            order.cancels_rejected += 1
        elif kind == ExecType.REPORT_IN_DOUBT or told["reason"] == Reason.UNKNOWN_OUTCOME:
            order.in_doubt = True
        elif kind == ExecType.REPORT_NOT_SENT:
            order.end = order.end or ("" if order.sent_ns else ENDS[kind])  # of a sent one its cancel did not leave
        elif kind in ENDS:
            order.end = order.end or ENDS[kind]
        self._fill(parent, order, told, kind, at_ns)

    def _fill(self, parent: Parent, order: Order, told: np.void, kind: int, at_ns: int) -> None:
        """The trade that a report tells of, and its fees: they may come in a report of their own, and each once."""
        trade = int(told["trade_id"])
        if not trade and kind == ExecType.REPORT_FILL:      # no id: what the fill says is the same each time it is told
            key = (order.client_order_id, *(int(told[name]) for name in (
                "cumulative_quantity", "last_price", "last_quantity", "exchange_ns")))
        else:
            key = (order.client_order_id, trade)
        fill = self._fills.get(key)
        if fill is None:
            if kind != ExecType.REPORT_FILL or told["last_quantity"] <= 0 or told["last_price"] <= 0:
                return
            listing = self._listing_of(told, order)
            if told["reconciliation"] and told["exchange_ns"]:
                at_ns = max(order.decided_ns, min(at_ns, int(told["exchange_ns"])))
            fill = self._fills[key] = Fill(
                order, at_ns, _paid(parent, order, int(told["last_price"]), listing),
                _rescaled(int(told["last_quantity"]), parent.quantity_decimals - listing.quantity_decimals),
                int(told["liquidity"]), trade, self._run.epoch, int(told["listing"]))
            order.fills.append(fill)
        assets = next((each.assets for each in self._run.start.exchanges if each.name == order.listing.exchange), [])
        if told["fee"] and told["fee_asset"] < len(assets):
            fill.fees.setdefault(assets[int(told["fee_asset"])], (int(told["fee"]), int(told["fee_decimals"])))

    def _listing_of(self, told: np.void, order: Order) -> Listing:
        """Whose scales the report has: those of the run that tells it."""
        listings, index = self._run.start.listings, int(told["listing"])
        return listings[index] if index < len(listings) else order.listing


def _paid(parent: Parent, order: Order, price: int, listing: Listing) -> int:
    """The price of a fill in the instrument's currency, as the router and its reports have it."""
    if not order.rate:
        return _rescaled(price, parent.price_decimals - listing.price_decimals)
    scaled = _rescaled(price, parent.price_decimals - HALVES - listing.price_decimals)
    return converted(scaled, order.rate, parent.side) * TEN ** HALVES


def _rescaled(value: int, decimals: int) -> int:
    """The same number with so many decimals more. A later run may have finer scales than the one that sent the order;
    ValueError where they are needed."""
    whole, rest = (value * TEN ** decimals, 0) if decimals >= 0 else divmod(value, TEN ** -decimals)
    if rest:
        raise ValueError(f"a fill of {value} has {-decimals} decimals more than its order had in the run that sent it: "
                         "move the earlier runs' segments away and analyse the last one alone")
    return whole


#: What is taken of each kind of record.
TAKES = {
    RecordKind.PARENT: (PARENT_ORDER_DTYPE, _Reader.parent), RecordKind.INTENT: (CHILD_ORDER_DTYPE, _Reader.order),
    RecordKind.CANCEL: (CHILD_ORDER_DTYPE, _Reader.cancel), RecordKind.REPLACE: (CHILD_ORDER_DTYPE, _Reader.replace),
    RecordKind.REPORT: (EXECUTION_REPORT_DTYPE, _Reader.report),
    RecordKind.RESIDUAL: (RESIDUAL_CHANGE_DTYPE, _Reader.residual)}
