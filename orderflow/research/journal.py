"""The records of a journal as rows that a person, or a table, can read: names for indices, decimals for integers.

Everything needed stands in the journal itself: RUN_START of each run names its listings and fee assets. Rows come one
after the other; what is remembered of a run is 10 bytes an order, to know the listing and the parent order that a
report belongs to where it does not say so itself.
"""
from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from typing import Any

import numpy as np

from orderflow._core import client_id, journal
from orderflow._core.journal import Record, RecordKind
from orderflow._core.types import (
    CHILD_ORDER_DTYPE,
    EXECUTION_REPORT_DTYPE,
    PARENT_ORDER_DTYPE,
    RESIDUAL_CHANGE_DTYPE,
    Algorithm,
    ChildKind,
    ExecType,
    Liquidity,
    OrderFlag,
    OrderType,
    ParentKind,
    Reason,
    ResidualKind,
    Side,
    TimeInForce,
    TradingState,
)
from orderflow.algorithms import REACTING
from orderflow.instrument import RATE_DECIMALS, Listing, from_scaled
from orderflow.run_start import RunStart

EPOCH_SHIFT = 40                # of journal sequences
COUNTER_MASK = (1 << EPOCH_SHIFT) - 1
UNKNOWN = 0xFFFF                # listing of an order that nobody knows
MOST_ORDERS = 1 << 28           # of one run that are remembered
AMOUNT_DECIMALS = 18            # of what an account holds


@dataclass(frozen=True, slots=True)
class Row:
    """One record.

    Attributes
    ----------
    epoch : int
        Of the run.
    number : int
        Of the record in its run, from 1.
    wall_ns : int
        Unix nanoseconds.
    kind : str
        A name of RecordKind.
    fields : dict
        By name; prices, quantities and fees as Decimal, None where the listing is not known.
    """

    epoch: int
    number: int
    wall_ns: int
    kind: str
    fields: dict[str, Any]


def rows(directory, epoch: int | None = None) -> Iterator[Row]:
    """The records of a journal directory, in order.

    Parameters
    ----------
    directory : path
    epoch : int, optional
        Only those of that run.

    Raises
    ------
    SegmentError
        There is no journal, or it is of another version.
    RunStartError
        The first record of a run cannot be read.
    """
    run = _Run(None, 0)
    number = 0
    for record in journal.read(directory):
        if record.sequence >> EPOCH_SHIFT != number:
            number, run = record.sequence >> EPOCH_SHIFT, _Run(None, 0)
        if record.kind == RecordKind.RUN_START:
            run = _Run(RunStart.load(record.decode()), number)
        fields = run.fields(record)
        if epoch is None or epoch == number:
            yield Row(number, record.sequence & COUNTER_MASK, record.wall_ns, name_of(RecordKind, record.kind), fields)


def name_of(kinds: type[IntEnum], value: int) -> str:
    """Name of an enum's member; the number itself where this version has no name for it."""
    try:
        return kinds(value).name
    except ValueError:
        return str(value)


def scaled(value: int, decimals: int | None) -> Decimal | None:
    """The decimal that a scaled integer stands for; None where the scale is not known."""
    return None if decimals is None else from_scaled(value, decimals)


class _Run:
    """What must be known of a run to read its records."""

    def __init__(self, start: RunStart | None, epoch: int):
        self._start = start
        self._prefix = client_id.prefix_of(start.instance, epoch) if start else 0
        self._listings: Sequence[Listing] = start.listings if start else ()
        self._instruments = start.instruments if start else []
        self._listing_of = array("H")       # by the counter of the client order id
        self._parent_of = array("Q")
        self._earlier: dict[int, tuple[int, int]] = {}      # (listing, parent) of orders that were taken over

    def fields(self, record: Record) -> dict[str, Any]:
        if record.kind == RecordKind.CARRIED and "order" in (carried := record.decode()):
            order = carried["order"]
            self._earlier[order["client_order_id"]] = order["listing"], order["parent_id"]
        if record.kind == RecordKind.PARENT:
            return self._parent(_named(record, PARENT_ORDER_DTYPE))
        if record.kind in (RecordKind.INTENT, RecordKind.CANCEL, RecordKind.REPLACE):
            return self._order(_named(record, CHILD_ORDER_DTYPE))
        if record.kind == RecordKind.REPORT:
            return self._report(_named(record, EXECUTION_REPORT_DTYPE))
        if record.kind == RecordKind.RESIDUAL:
            return self._residual(_named(record, RESIDUAL_CHANGE_DTYPE))
        if record.kind == RecordKind.STATE:
            return {"state": name_of(TradingState, int(record.decode()["value"]))}
        if record.kind == RecordKind.RUN_START and self._start is not None:
            return {"version": self._start.version, "policy": self._start.policy,
                    "exchanges": [each.name for each in self._start.exchanges], "listings": len(self._listings)}
        if record.kind in (RecordKind.RUN_START, RecordKind.RUN_END):
            return dict(record.decode())
        return {"bytes": len(record.payload)}

    def _parent(self, value: dict[str, Any]) -> dict[str, Any]:
        index = value["instrument"]
        known = index < len(self._instruments)
        item = self._instruments[index] if known else None
        return {
            "action": name_of(ParentKind, value["kind"]).removesuffix("_PARENT"), "parent_id": value["parent_id"],
            "instrument": item.name if item else None, "side": name_of(Side, value["side"]),
            "quantity": scaled(value["quantity"], item.quantity_decimals if item else None),
            "limit_price": scaled(value["limit_price"], item.price_decimals if item else None)
            if value["limit_price"] else None,
            "algorithm": name_of(Algorithm, value["algorithm"]), "strategy": value["strategy"],
            "account": value["account"], "created_ns": value["created_ns"], "start_ns": value["start_ns"],
            "end_ns": value["end_ns"], "slices": value["slices"] or None, "randomness": value["randomness"] or None,
            "curvature": value["curvature"] or None,
            "display": scaled(value["display"], item.quantity_decimals if item else None)
            if value["display"] and value["algorithm"] not in REACTING else None,
            "reaction_bps": scaled(value["display"], 2)
            if value["display"] and value["algorithm"] in REACTING else None,
            "offset": value["offset"] or None, "urgency": value["urgency"] or None,
            "must_complete": bool(value["flags"] & OrderFlag.MUST_COMPLETE),
            "participation": scaled(value["participation"], 6) if value["participation"] else None,
            "minimum_slice": scaled(value["minimum_slice"], item.quantity_decimals if item else None)
            if value["minimum_slice"] else None,
            "with_residual": bool(value["with_residual"]) or None}

    def _residual(self, value: dict[str, Any]) -> dict[str, Any]:
        item = self._instruments[value["instrument"]] if value["instrument"] < len(self._instruments) else None
        decimals = item.quantity_decimals if item else None
        return {
            "action": name_of(ResidualKind, value["kind"]).removeprefix("RESIDUAL_"), "parent_id": value["parent_id"],
            "instrument": item.name if item else None, "strategy": value["strategy"],
            "change": scaled(value["change"], decimals), "quantity": scaled(value["quantity"], decimals),
            "parents": value["parents"]}

    def _order(self, value: dict[str, Any]) -> dict[str, Any]:
        self._remember(value["client_order_id"], value["listing"], value["parent_id"])
        listing = self._listing(value["listing"])
        return {
            "action": name_of(ChildKind, value["kind"]).removesuffix("_ORDER"),
            "client_order_id": client_id.encode(value["client_order_id"]), "parent_id": value["parent_id"],
            **_where(listing), "side": name_of(Side, value["side"]),
            "quantity": scaled(value["quantity"], listing.quantity_decimals if listing else None),
            "price": scaled(value["price"], listing.price_decimals if listing else None),
            "slice": value["slice"] or None, "rate": scaled(value["rate"], RATE_DECIMALS) if value["rate"] else None,
            "order_type": name_of(OrderType, value["order_type"]),
            "time_in_force": name_of(TimeInForce, value["time_in_force"]),
            "post_only": bool(value["flags"] & OrderFlag.POST_ONLY),
            "display": scaled(value["terms"], listing.quantity_decimals if listing else None)
            if value["terms"] and value["time_in_force"] == TimeInForce.GTC else None, "strategy": value["strategy"],
            "account": value["account"], "decided_ns": value["decided_ns"], "deadline_ns": value["deadline_ns"],
            "cause_receive_ns": value["cause_receive_ns"]}

    def _report(self, value: dict[str, Any]) -> dict[str, Any]:
        remembered, parent = self._recall(value["client_order_id"])
        index = remembered if self._listing(value["listing"]) is None else value["listing"]
        listing = self._listing(index)
        prices, quantities = (listing.price_decimals, listing.quantity_decimals) if listing else (None, None)
        assets = self._start.assets_of(index) if self._start and listing else []
        traded = value["exec_type"] == ExecType.REPORT_FILL
        charged = traded and value["fee_asset"] < len(assets)
        return {
            "event": name_of(ExecType, value["exec_type"]).removeprefix("REPORT_"),
            "client_order_id": client_id.encode(value["client_order_id"]) if value["client_order_id"] else None,
            "parent_id": parent, **_where(listing), "side": name_of(Side, value["side"]),
            "last_quantity": scaled(value["last_quantity"], quantities) if traded else None,
            "last_price": scaled(value["last_price"], prices) if traded else None,
            "cumulative_quantity": scaled(value["cumulative_quantity"], quantities)
            if value["cumulative_quantity"] >= 0 else None,
            "fee": from_scaled(value["fee"], value["fee_decimals"]) if charged else None,
            "fee_asset": assets[value["fee_asset"]] if charged else None,
            "liquidity": name_of(Liquidity, value["liquidity"]).removesuffix("_LIQUIDITY") if traded else None,
            "trade_id": value["trade_id"] or None,
            "exchange_order_id": value["exchange_order_id"].rstrip(b"\0").decode("ascii", "replace") or None,
            "reason": name_of(Reason, value["reason"]), "reconciliation": bool(value["reconciliation"]),
            "exchange_ns": value["exchange_ns"] or None, "receive_ns": value["receive_ns"],
            **_balance(value, assets)}

    def _listing(self, index: int) -> Listing | None:
        return self._listings[index] if index < len(self._listings) else None

    def _remember(self, client_order_id: int, listing: int, parent: int) -> None:
        prefix, at = divmod(client_order_id, client_id.COUNTERS)
        if prefix != self._prefix or at >= MOST_ORDERS:
            return
        if at >= len(self._listing_of):
            missing = at + 1 - len(self._listing_of)
            self._listing_of.extend([UNKNOWN] * missing)
            self._parent_of.extend([0] * missing)
        self._listing_of[at], self._parent_of[at] = min(listing, UNKNOWN), parent

    def _recall(self, client_order_id: int) -> tuple[int, int | None]:
        """(listing, parent) of an order of this run, or of one that it took over."""
        prefix, at = divmod(client_order_id, client_id.COUNTERS)
        if client_order_id in self._earlier:
            return self._earlier[client_order_id]
        if prefix != self._prefix or at >= len(self._listing_of):
            return UNKNOWN, None
        return self._listing_of[at], self._parent_of[at] or None


def _balance(value: dict[str, Any], assets: Sequence[str]) -> dict[str, Any]:
    """What a report says of an asset of the account: what it holds by our books, or what differs."""
    expected: Decimal | None = None
    amount: Decimal | None = None
    decimals = value["fee_decimals"]
    if value["exec_type"] == ExecType.REPORT_HELD and value["last_quantity"] >= 0:
        rest = 10 ** (AMOUNT_DECIMALS - decimals)
        amount = Decimal(f"{value['fee'] * rest + value['last_price']}e-{AMOUNT_DECIMALS}")     # exact in any context
    elif value["reason"] == Reason.BALANCE_UNEXPLAINED and value["exec_type"] == ExecType.REPORT_DIFFERS:
        expected, amount = (from_scaled(value[name], decimals) for name in ("last_price", "last_quantity"))
    asset = value["fee_asset"] if amount is not None else len(assets)
    return {"asset": assets[asset] if asset < len(assets) else None, "expected": expected, "amount": amount}


def _where(listing: Listing | None) -> dict[str, str | None]:
    return {"exchange": listing.exchange if listing else None, "symbol": listing.symbol if listing else None}


def _named(record: Record, dtype: np.dtype) -> dict[str, Any]:
    """The fields of a struct as Python numbers; characters as bytes."""
    value = np.frombuffer(record.payload, dtype)[0]
    return {name: value[name].tobytes() if dtype[name].shape else value[name].item() for name in dtype.names
            if name != "reserved"}
