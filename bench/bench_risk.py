"""Nanoseconds per risk check, journalled intent, fill and move of a reference price, as the router does them.

Each is stamped natively before and after; what two stamps cost by themselves is printed beside and not taken off.
Run alone: `python bench/bench_risk.py`.
"""
import sys
import tempfile
from pathlib import Path

import numpy as np

from orderflow._core import client_id, journal
from orderflow._core.journal import JournalFiles
from orderflow._core.orders import Orders
from orderflow._core.risk import RiskBook
from orderflow._core.types import (
    CHILD_ORDER_DTYPE,
    LISTING_DTYPE,
    PARENT_ORDER_DTYPE,
    BookState,
    ChildKind,
    OrderType,
    Reason,
    Side,
    TimeInForce,
    TradingState,
)

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "native")]

import build  # noqa: E402
from bars import bar, note  # noqa: E402

COUNT = 200_000
FILLS = 50_000
RESTING, QUANTITY = 20, 100_000


def record(dtype, **fields):
    row = np.zeros(1, dtype)
    for name, value in fields.items():
        row[name] = value
    return row


def desk(prefix):
    """One listing with every limit of every control set, one parent, resting orders, and one child that passes
    all of them."""
    listings = record(LISTING_DTYPE, tick=5, lot=10, minimum_quantity=20, price_factor=1, quantity_factor=1,
                      price_decimals=2, quantity_decimals=3, minimum_notional=10**9)
    table, book = Orders(listings, prefix), RiskBook(listings, strategies=4)
    book.set_listing(0, maximum_quantity=10**6, maximum_notional=10**14, feed_age_ns=1 << 62)
    book.set_instrument(0, maximum_position=10**9, collar=2_000_000, reference_age_ns=1 << 62, drift_collar=5_000_000,
                        drift_window_ns=60 * 10**9)
    # More messages than one a check, which takes its token: else only the first ones would pass.
    book.set_messages((10**9, 10**9))
    for strategy in range(4):
        book.set_strategy(strategy, messages=(10**9, 10**9), repeat_ns=10**9, fills=(50, 10**9), rejects=(10, 10**10))
    for what in ("total", "exchange", "strategy"):
        book.set_money(what, 0, 0, maximum_used=10**17, maximum_notional=10**17, maximum_loss=10**17,
                       maximum_drawdown=10**17, stand_ns=10**9)
    book.set_feed(0, BookState.LIVE, 0)
    book.set_reference(0, 10_000, 0)
    book.state = TradingState.ACTIVE
    parent = table.open_parent(record(PARENT_ORDER_DTYPE, parent_id=1, side=Side.BUY, quantity=10**8))
    book.register_parent(table, parent)
    for place in range(RESTING):
        fields = {"side": Side.BUY, "price": 9_500 + 5 * place, "quantity": QUANTITY} if place % 2 else {
            "side": Side.SELL, "price": 10_100 + 5 * place, "quantity": QUANTITY}
        resting = table.open_child(child(prefix, 2 + place, TimeInForce.GTC, **fields))
        assert book.check(table, resting, 1 + place).code == Reason.OK
    slot = table.open_child(child(prefix, 1, TimeInForce.IOC, side=Side.BUY, price=10_000, quantity=QUANTITY))
    return table, book, slot


def child(prefix, number, time_in_force, **fields):
    return record(CHILD_ORDER_DTYPE, client_order_id=client_id.first_of(prefix) + number - 1, parent_id=1,
                  kind=ChildKind.NEW_ORDER, order_type=OrderType.LIMIT, time_in_force=time_in_force, **fields)


def percentiles(taken):
    return {percentile: float(np.percentile(taken, percentile)) for percentile in (50, 99, 99.9)}


def test_risk_check_and_intent(tmp_path):
    build.build("ledger_timing")
    import ledger_timing
    with JournalFiles(tmp_path) as files:
        assert files.wait_prepared()
        table, book, slot = desk(files.prefix)
        checks, intents = map(percentiles, ledger_timing.time_sends(files, book, table, slot, COUNT))
        marks = percentiles(ledger_timing.time_marks(book, COUNT))
        fills = percentiles(ledger_timing.time_fills(table, client_id.first_of(files.prefix), slot, FILLS))
        assert book.counts == {"approved": COUNT + RESTING, "refused": 0, "strangers": 0}
        assert book.committed(0) == RESTING * QUANTITY
        assert table.order(slot).cumulative == FILLS == table.position(0).net and table.audit() == []
    assert [each.records for each in journal.verify(tmp_path)] == [COUNT]
    print(f"risk check: {checks} ns; journal intent: {intents} ns; fill: {fills} ns; mark: {marks} ns; "
          f"two stamps alone: {percentiles(ledger_timing.time_nothing(COUNT))} ns")
    note("risk reference price moved p50", marks[50], "ns")
    met = [bar("risk check p50", checks[50], 1_000, 100, "lower", "ns"),
           bar("risk check p99", checks[99], 2_000, 500, "lower", "ns"),
           bar("journal intent p50", intents[50], 1_000, 100, "lower", "ns"),
           bar("order table fill p50", fills[50], 1_000, 150, "lower", "ns")]
    assert all(met)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        test_risk_check_and_intent(directory)
