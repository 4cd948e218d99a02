"""Parent orders out of journal records that are written by hand: what is told twice, late, apart or not at all."""
import json
from decimal import Decimal

import numpy as np
import pytest

from orderflow._core.journal import Record, RecordKind
from orderflow._core.types import (
    CHILD_ORDER_DTYPE,
    EXECUTION_REPORT_DTYPE,
    PARENT_ORDER_DTYPE,
    Algorithm,
    ExecType,
    Liquidity,
    ParentKind,
    Reason,
    Side,
    TimeInForce,
)
from orderflow.instrument import Listing
from orderflow.research import tca, tca_journal
from orderflow.run_start import RunExchange, RunStart

#: Wall clock less monotonic clock of the first run.
OFFSET_NS = 1_700_000_000 * 10**9
DTYPES = {RecordKind.PARENT: PARENT_ORDER_DTYPE, RecordKind.REPORT: EXECUTION_REPORT_DTYPE}


def listing(exchange, price_decimals, quantity_decimals):
    return Listing(exchange, "BTCUSDT", "BTC-USDT", "BTC", "USDT", price_decimals, quantity_decimals, Decimal("0.01"),
                   Decimal("0.001"), minimum_quantity=Decimal("0.01") if exchange == "alpha" else Decimal(0))


LISTINGS = (listing("alpha", 2, 3), listing("beta", 1, 4))


class Book:
    """A journal that is written record by record."""

    def __init__(self, monkeypatch):
        self.records, self.epoch, self.offset_ns = [], 0, OFFSET_NS
        monkeypatch.setattr(tca_journal.journal, "read", lambda directory: iter(self.records))

    def begin(self, listings=LISTINGS, offset_ns=OFFSET_NS, **fields):
        self.epoch, self.offset_ns = self.epoch + 1, offset_ns
        start = RunStart("1", "best", [RunExchange(name, "binance_spot", ["BTC", "USDT", "BNB"])
                                       for name in dict.fromkeys(each.exchange for each in listings)],
                         list(listings), ["manual", "gaps"], {}, "", **fields)
        self._add(RecordKind.RUN_START, json.dumps(start.fields()).encode(), 0)

    def _add(self, kind, payload, at_ns):
        sequence = self.epoch << 40 | len(self.records) + 1
        self.records.append(Record(sequence, kind, at_ns, at_ns + self.offset_ns, payload))

    def add(self, record_kind, at_ns, **fields):
        row = np.zeros(1, DTYPES.get(record_kind, CHILD_ORDER_DTYPE))[0]
        for name, value in fields.items():
            row[name] = value
        self._add(record_kind, row.tobytes(), at_ns)

    def parent(self, number=1, at_ns=100, **fields):
        self.add(RecordKind.PARENT, at_ns, **{
            "parent_id": number, "kind": ParentKind.SUBMIT_PARENT, "side": Side.BUY, "quantity": 10_000,
            "algorithm": Algorithm.IMMEDIATE, "created_ns": at_ns - 10} | fields)

    def order(self, number=7, parent=1, at_ns=110, **fields):
        self.add(RecordKind.INTENT, at_ns, **{
            "client_order_id": number, "parent_id": parent, "quantity": 1000, "decided_ns": at_ns,
            "cause_receive_ns": 90, "time_in_force": TimeInForce.IOC} | fields)

    def report(self, kind, at_ns, number=7, **fields):
        self.add(RecordKind.REPORT, at_ns, **{
            "client_order_id": number, "exec_type": kind, "receive_ns": at_ns} | fields)

    def fill(self, at_ns=130, number=7, **fields):
        self.report(ExecType.REPORT_FILL, at_ns, number, **{
            "last_price": 10_000, "last_quantity": 400, "trade_id": 5, "fee": 1, "fee_decimals": 2, "fee_asset": 1,
            "liquidity": Liquidity.TAKER} | fields)

    def only(self):
        """The one parent order."""
        parent, = tca_journal.read("").parents
        return parent


@pytest.fixture
def book(monkeypatch):
    made = Book(monkeypatch)
    made.begin()
    return made


def test_the_clocks_of_a_run_that_did_nothing_are_known(book):
    run = tca_journal.read("").runs[1]
    assert (run.offset_ns, run.end_ns) == (OFFSET_NS, OFFSET_NS)


def test_times_scales_and_names(book):
    """The instrument has the finer of both scales, and prices one decimal more."""
    book.parent(strategy=1, end_ns=900)
    book.order(listing=1)
    book.report(ExecType.REPORT_SENT, 115)
    book.report(ExecType.REPORT_NEW, 120)
    book.fill(listing=1)
    parent = book.only()
    assert (parent.run, parent.id, parent.strategy, parent.algorithm) == (1, 1, "gaps", "IMMEDIATE")
    assert [at - OFFSET_NS for at in (parent.decided_ns, parent.arrival_ns, parent.until_ns)] == [90, 100, 900]
    order, = parent.orders
    assert [at - OFFSET_NS for at in (order.cause_ns, order.decided_ns, order.sent_ns, order.acknowledged_ns)] == [
        90, 110, 115, 120]
    fill, = parent.fills
    assert (parent.price_decimals, parent.quantity_decimals) == (3, 4) and order.quantity == 1000
    assert (fill.price, fill.quantity, fill.at_ns - OFFSET_NS) == (10_000 * 100, 400, 130)
    assert fill.fees == {"USDT": (1, 2)} and fill.takes


def test_a_fill_that_is_told_twice_counts_once(book):
    book.parent()
    book.order()
    book.fill()
    book.fill(at_ns=150, reconciliation=1)
    book.fill(at_ns=160, trade_id=6)
    assert [(fill.trade_id, fill.at_ns - OFFSET_NS) for fill in book.only().fills] == [(5, 130), (6, 160)]


def test_a_fill_without_a_trade_id_is_known_by_what_it_says(book):
    book.parent()
    book.order()
    for cumulative in (400, 400, 800):
        book.fill(trade_id=0, cumulative_quantity=cumulative)
    assert len(book.only().fills) == 2


def test_fees_that_come_apart_count_once_each(book):
    book.parent()
    book.order()
    book.fill(fee=0)
    for fee in (7, 8):      # what is told first is what the order table has
        book.report(ExecType.REPORT_STATUS, 140, trade_id=5, fee=fee, fee_decimals=3, fee_asset=0)
        book.report(ExecType.REPORT_STATUS, 140, trade_id=5, fee=9, fee_decimals=4, fee_asset=2)
    book.report(ExecType.REPORT_STATUS, 140, trade_id=5, fee=9, fee_decimals=4, fee_asset=0xFFFF)
    assert book.only().fills[0].fees == {"BTC": (7, 3), "BNB": (9, 4)}


def test_a_fill_that_was_found_by_asking_counts_when_it_happened(book):
    book.parent()
    book.order()
    book.fill(at_ns=9_000, reconciliation=1, exchange_ns=OFFSET_NS + 140)
    book.fill(at_ns=9_000, reconciliation=1, exchange_ns=OFFSET_NS - 5, trade_id=6)
    assert [fill.at_ns - OFFSET_NS for fill in book.only().fills] == [110, 140], "not before its order was decided"


def test_what_cannot_be_true_is_no_fill(book):
    book.parent()
    book.order()
    book.fill(last_quantity=0)
    book.fill(last_price=-1)
    assert book.only().fills == []


def test_the_next_run_tells_of_an_order_of_before_in_its_own_scales(book):
    book.parent()
    book.order()
    book.report(ExecType.REPORT_SENT, 115)
    book.begin(listings=[listing("beta", 1, 4), listing("alpha", 3, 5)], offset_ns=OFFSET_NS + 50)
    book.fill(at_ns=500, listing=1, last_price=100_000, last_quantity=40_000)
    parent = book.only()
    assert parent.run == 1 and parent.fills[0].at_ns == OFFSET_NS + 550
    assert (parent.fills[0].price, parent.fills[0].quantity) == (100_000, 4_000)
    assert (parent.fills[0].run, parent.fills[0].listing) == (2, 1)
    book.fill(at_ns=510, listing=1, last_price=100_000, last_quantity=40_001, trade_id=6)
    with pytest.raises(ValueError, match="1 decimals more"):
        book.only()


def test_the_same_parent_id_in_another_run_is_another_parent_order(book):
    book.parent()
    book.order()
    book.begin()
    book.parent()
    book.order(8)
    book.fill(number=8)
    first, second = tca_journal.read("").parents
    assert (first.fills, len(second.fills)) == ([], 1)
    assert (first.number, second.number) == (1, 1)


def test_fills_of_orders_that_are_not_in_the_journal_are_told(book, monkeypatch):
    book.parent()
    book.fill(number=99)
    book.fill(number=0)
    assert tca_journal.read("").stray_fills == 1
    assert any("1 fills are of orders whose run is not in the journal" in note for note in tca.analyse("").notes)


def test_ends_of_orders(book):
    book.parent()
    for number, reports in enumerate([
            (ExecType.REPORT_NOT_SENT,), (ExecType.REPORT_SENT, ExecType.REPORT_NOT_SENT),
            (ExecType.REPORT_SENT, ExecType.REPORT_REJECTED), (ExecType.REPORT_SENT, ExecType.REPORT_CANCELED),
            (ExecType.REPORT_SENT, ExecType.REPORT_EXPIRED), (ExecType.REPORT_SENT, ExecType.REPORT_IN_DOUBT),
            (ExecType.REPORT_SENT, ExecType.REPORT_IN_DOUBT, ExecType.REPORT_NEW)], 1):
        book.order(number)
        for at_ns, kind in enumerate(reports, 120):
            book.report(kind, at_ns, number)
    book.order(8)
    book.report(ExecType.REPORT_SENT, 120, 8)
    book.report(ExecType.REPORT_REJECTED, 121, 8, reason=Reason.UNKNOWN_OUTCOME)
    orders = book.only().orders
    assert [order.end for order in orders] == ["not_sent", "", "rejected", "cancelled", "expired", "", "", ""]
    assert [order.in_doubt for order in orders] == [False] * 5 + [True, False, True]
    assert orders[1].sent_ns == OFFSET_NS + 120, "what did not leave was its cancel"


def test_cancels_and_replacements_are_counted(book):
    book.parent(algorithm=Algorithm.RESTING)
    book.order(time_in_force=TimeInForce.GTC)
    book.report(ExecType.REPORT_SENT, 120)
    book.add(RecordKind.PARENT, 130, parent_id=1, kind=ParentKind.REPLACE_PARENT, quantity=20_000)
    book.add(RecordKind.PARENT, 131, parent_id=1, kind=ParentKind.REPLACE_PARENT, limit_price=9)
    book.add(RecordKind.REPLACE, 132, client_order_id=7, quantity=2000)
    book.report(ExecType.REPORT_SENT, 133)
    book.report(ExecType.REPORT_REPLACED, 134, last_quantity=2000, last_price=9)
    book.add(RecordKind.PARENT, 140, parent_id=1, kind=ParentKind.CANCEL_PARENT)
    book.add(RecordKind.PARENT, 145, parent_id=1, kind=ParentKind.CANCEL_PARENT)
    book.add(RecordKind.CANCEL, 141, client_order_id=7)
    book.report(ExecType.REPORT_CANCEL_REJECTED, 142)
    parent = book.only()
    order, = parent.orders
    assert (parent.ordered, parent.replaces, parent.cancelled_ns - OFFSET_NS) == (20_000, 2, 140)
    assert (order.quantity, order.replaces, order.cancels, order.cancels_rejected) == (20_000, 1, 1, 1)
    assert order.sent_ns - OFFSET_NS == 120
    assert any("1 parent orders were replaced" in note for note in tca.analyse("").notes)


def test_a_resting_parent_order_ends_with_its_order(book):
    book.parent(algorithm=Algorithm.RESTING)
    book.order(time_in_force=TimeInForce.GTC)
    book.report(ExecType.REPORT_SENT, 120)
    assert book.only().end_ns(OFFSET_NS + 900) == OFFSET_NS + 900
    book.report(ExecType.REPORT_CANCELED, 300)
    assert book.only().end_ns(OFFSET_NS + 900) == OFFSET_NS + 300
    assert book.only().outlived(OFFSET_NS + 300) and not book.only().outlived(OFFSET_NS + 301)


def test_what_no_exchange_takes_any_more_ends_a_parent_order(book):
    """beta takes 0.001, of which this is less than: 9 of 1e-4 are left."""
    book.parent(quantity=409)
    book.order(listing=1, quantity=400)
    book.fill(at_ns=200, listing=1)
    assert book.only().smallest == 10 and book.only().end_ns(OFFSET_NS + 900) == OFFSET_NS + 200
    book.parent(number=2, quantity=410)
    book.order(8, parent=2, listing=1, quantity=400)
    book.fill(at_ns=200, number=8, listing=1)
    assert tca_journal.read("").parents[1].end_ns(OFFSET_NS + 900) == OFFSET_NS + 900


def test_an_instrument_that_there_is_not(book):
    """That is why it was denied; nothing is known of its scales."""
    book.parent(instrument=9)
    row, = tca.frame(tca.analyse(""))
    assert (row["instrument"], row["status"], row["ordered"], row["shortfall"]) == (
        "instrument 9", "no_order", 10_000, None)


def test_fees_in_a_third_asset_are_told_apart(book):
    book.parent()
    book.order()
    book.fill(fee_asset=2)
    analysis = tca.analyse("")
    row, = tca.frame(analysis)
    assert row["fees_apart"] == {"BNB": Decimal("0.01")} and row["fees"] == 0
    assert any("fees in BNB are in no total" in note for note in analysis.notes)


def test_on_paper_the_markets_trades_have_nothing_of_ours(book, monkeypatch):
    """Trade ids of the model are small numbers: those of the market that are the same are another's."""
    seen = []

    class Recorded:
        problems, last_mids, table, boards = (), {}, None, {}

        def __init__(self, directory, run):
            pass

        def sample(self, moments, own):
            seen.append(own)
            return {}

    monkeypatch.setattr(tca, "Market", Recorded)
    monkeypatch.setattr(tca, "has_frames", lambda directory, run: True)
    for paper in (False, True):
        book.begin(recorded=True, paper=paper)
        book.parent()
        book.order(7 + paper)
        book.fill(number=7 + paper)
        book.parent(number=2, instrument=9)     # it has no market
        tca.analyse("")
    assert seen == [{(0, 5)}, set()]
