"""The decision logs of a journal directory as rows for tables: one a decision, and one for each exchange it looked at.

Totals are in the quote currency, fees and tickets included, to 18 digits behind the point.
"""
from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import numpy as np

from orderflow._core import decision_log
from orderflow._core.decision_log import Decided, DecisionPath, LeftOut
from orderflow._core.journal import RecordKind
from orderflow._core.journal_scan import SegmentScan, paths_of
from orderflow._core.segments import SegmentError
from orderflow._core.types import BookFault, BookState, InputKind, Reason, Side
from orderflow.instrument import Instrument
from orderflow.research.decisions import FEE_DECIMALS, UNLIMITED
from orderflow.research.journal import EPOCH_SHIFT, Row, name_of
from orderflow.research.tca_fills import exact
from orderflow.run_start import RunStart

MONEY = Decimal("1e-18")
CONTEXT = Context(prec=80, rounding=ROUND_HALF_EVEN)


def decision_rows(directory) -> Iterator[Row]:
    """DECISION rows, each followed by its OFFER rows; runs that wrote none are passed over."""
    for epoch, (start, offset_ns) in _runs(directory).items():
        instruments = start.instruments
        try:
            written = decision_log.read(directory, epoch)
        except SegmentError:
            continue
        for one in written:
            item, number = instruments[int(one.head["instrument"])], int(one.head["sequence"])
            wall_ns = int(one.head["decided_ns"]) + offset_ns
            yield Row(epoch, number, wall_ns, "DECISION", _decision(one.head, item))
            for place, part in enumerate(one.parts):
                yield Row(epoch, number, wall_ns, "OFFER", {"place": place} | _offer(one, part, item, start))


def _runs(directory) -> dict[int, tuple[RunStart, int]]:
    """What the first record of each run says, and unix clock - monotonic clock."""
    found = {}
    for path in paths_of(directory):
        scan = SegmentScan(path)
        first = scan.next_record()
        if first is not None and first[1] == RecordKind.RUN_START:
            found[first[0] >> EPOCH_SHIFT] = RunStart.load(json.loads(first[4])), first[3] - first[2]
    return found


def _money(value: np.void, item: Instrument) -> Decimal:
    total = exact(decision_log.exact(value), item.price_decimals + item.quantity_decimals + FEE_DECIMALS)
    return total.quantize(MONEY, context=CONTEXT)


def _decision(head: np.void, item: Instrument) -> dict[str, Any]:
    quantities = {name: exact(int(head[field]), item.quantity_decimals) for name, field in (
        ("wanted", "wanted"), ("given", "split"), ("sent", "sent"), ("unfilled", "unfilled"))}
    prices = {name: exact(int(head[name]), item.price_decimals) if head[name] else None
              for name in ("limit_price", "mid")}
    return {"parent_id": int(head["parent_id"]), "input": int(head["input_sequence"]),
            "cause": name_of(InputKind, int(head["cause"])).removeprefix("INPUT_"), "instrument": item.name,
            "side": name_of(Side, int(head["side"])), "path": name_of(DecisionPath, int(head["path"])),
            "nodes": int(head["nodes"]), **quantities, **prices,
            **{name: _money(head[field], item) for name, field in (
                ("all_in", "all_in"), ("gap", "gap"), ("sweep_all_in", "sweep"))}}


def _offer(one: Decided, part: np.void, item: Instrument, start: RunStart) -> dict[str, Any]:
    listing = start.listings[int(part["listing"])]

    def price(name: str) -> Decimal | None:
        return exact(int(part[name]), listing.price_decimals) if part[name] else None

    def quantity(name: str) -> Decimal:
        return exact(int(part[name]), listing.quantity_decimals)

    return {"parent_id": int(one.head["parent_id"]), "exchange": listing.exchange, "symbol": listing.symbol,
            "left_out": name_of(LeftOut, int(part["left_out"])) if part["left_out"] else None,
            "book_state": name_of(BookState, int(part["book_state"])), "fault": name_of(BookFault, int(part["fault"])),
            "book_epoch": int(part["epoch"]), "version": int(part["version"]),
            "age_ns": int(one.head["decided_ns"]) - int(part["receive_ns"]) if part["receive_ns"] else None,
            "best_price": price("best_price"), "best_quantity": quantity("best_quantity"), "shown": quantity("shown"),
            "most": None if part["most"] == UNLIMITED else quantity("most"), "quantity": quantity("quantity"),
            "surcharge": exact(int(part["surcharge"]), 8), "price": price("price"),
            "result": name_of(Reason, int(part["result"])) if part["quantity"] else None,
            "all_in": _money(part["all_in"], item),
            "alone_quantity": exact(int(part["alone_quantity"]), item.quantity_decimals),
            "alone_all_in": _money(part["alone_all_in"], item)}
