"""What the journal of a run says of its orders and positions: the run is applied again, record for record, natively.

The same functions do it as when the run traded (orders.pxd), on a table of the run's own listings. So what a crash left
is what the router knew at the last record, and nothing is reconstructed by other means. A million records take well
under a second. Of reports for orders that the table has retired by then the position keeps what it has. Accounts that
were compared with the exchange's books are followed in the same way (account.pxd).
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from orderflow._core cimport account, journal, journal_scan, order_table, orders, reconciliation, residuals
from orderflow._core.account cimport Account
from orderflow._core.codec cimport NO_ASSET
from orderflow._core.journal_scan cimport JournalScan, RecordView
from orderflow._core.order_table cimport NONE, Outcome
from orderflow._core.reconciliation cimport AccountBook
from orderflow._core.residuals cimport Kept, ResidualLedger, Residuals
from orderflow._core.types cimport (
    ChildOrder, ExecType, ExecutionReport, ParentKind, ParentOrder, Reason, ResidualChange, ResidualKind)

cdef enum:
    MOST_ACCOUNTS = 64


cdef class Recovery(orders.Orders):
    """The order table of a run that is over, made from its journal. Parameters as of OrderTable.

    Attributes
    ----------
    records : int
        Applied so far.
    wall_offset_ns : int
        Wall clock - monotonic clock in that run.
    """

    cdef readonly uint64_t records
    cdef readonly int64_t wall_offset_ns
    cdef readonly uint64_t refused      # orders that found no room, which a live run would have found
    cdef Account *accounts[MOST_ACCOUNTS]
    cdef uint32_t account_count
    cdef list books
    cdef ResidualLedger ledger
    cdef Residuals *residuals           # of `ledger`, NULL = nobody asks

    def follow(self, AccountBook book):
        """Take in what the journal says of an account; `book` is of the run's own listings."""
        if book.account.listing_count != self.table.listing_count:
            raise ValueError(f"a book of {book.account.listing_count} listings for a run of {self.table.listing_count}")
        if self.account_count == <uint32_t>MOST_ACCOUNTS:
            raise ValueError(f"more than {<int>MOST_ACCOUNTS} accounts")
        self.books = (self.books or []) + [book]
        self.accounts[self.account_count] = &book.account
        self.account_count += 1

    def follow_residuals(self, ResidualLedger ledger):
        """Take in what the journal says of rests that are kept; the ledger is of the run's own strategies and
        instruments."""
        self.ledger, self.residuals = ledger, &ledger.residuals

    def replay(self, JournalScan scan):
        """Apply every record of the run that a scan walks; yields the bytes of each CARRIED record, which is to be
        adopted before going on. When it is over `scan.fault` says whether the journal was whole."""
        cdef RecordView view
        cdef bint at_text
        while scan.next_segment():
            while True:
                with nogil:
                    at_text = self.walk(&scan.segment.scan, &view)
                if not at_text:
                    break
                yield (<const char *>view.payload)[:view.payload_bytes]

    cdef bint walk(self, journal_scan.Scan *scan, RecordView *view) noexcept nogil:
        """Apply records up to the next CARRIED one; False at the end of the segment."""
        while journal_scan.advance(scan, view):
            self.records += 1
            self.wall_offset_ns = view.header.wall_ns - view.header.monotonic_ns
            if view.header.kind == journal.RecordKind.CARRIED:
                return True
            self.take(view)
        return False

    cdef void take(self, const RecordView *view) noexcept nogil:
        cdef const ParentOrder *parent
        cdef const ChildOrder *child
        cdef Outcome outcome
        cdef uint32_t slot
        if view.header.kind == journal.RecordKind.PARENT:
            parent = <const ParentOrder *>view.payload
            if parent.kind == ParentKind.SUBMIT_PARENT:
                self.enter_parent(parent, view.header.monotonic_ns)
            elif parent.kind == ParentKind.REPLACE_PARENT:
                slot = order_table.find_parent(&self.table, parent.parent_id)
                if slot != <uint32_t>NONE and parent.quantity > self.table.parents[slot].order.quantity:
                    self.table.parents[slot].order.quantity = parent.quantity
        elif view.header.kind == journal.RecordKind.INTENT:
            self.enter_child(<const ChildOrder *>view.payload, view.header.monotonic_ns)
        elif view.header.kind == journal.RecordKind.CANCEL:
            slot = order_table.find(&self.table, (<const ChildOrder *>view.payload).client_order_id, <uint32_t>NONE)
            if slot != <uint32_t>NONE:
                orders.request_cancel(&self.table, slot)
        elif view.header.kind == journal.RecordKind.REPLACE:
            child = <const ChildOrder *>view.payload
            slot = order_table.find(&self.table, child.client_order_id, <uint32_t>NONE)
            if slot != <uint32_t>NONE:
                orders.request_replace(&self.table, slot, child.price, child.quantity, view.header.monotonic_ns,
                                       &outcome)
        elif view.header.kind == journal.RecordKind.REPORT:
            self.account_for(<const ExecutionReport *>view.payload, view.header.wall_ns)
            orders.apply(&self.table, <const ExecutionReport *>view.payload, &outcome)
        elif view.header.kind == journal.RecordKind.RESIDUAL:
            self.take_residual(<const ResidualChange *>view.payload)

    cdef void take_residual(self, const ResidualChange *told) noexcept nogil:
        """What is kept stands in the record; a parent that took some has become larger, or smaller."""
        cdef uint32_t slot = order_table.find_parent(&self.table, told.parent_id)
        cdef Kept *kept
        if told.kind == ResidualKind.RESIDUAL_TAKEN and slot != <uint32_t>NONE:
            self.table.parents[slot].order.quantity -= residuals.signed(self.table.parents[slot].order.side,
                                                                        told.change)
        if self.residuals is NULL:
            return
        kept = residuals.of(self.residuals, told.strategy, told.instrument)
        if kept is not NULL:
            kept.quantity, kept.parents = told.quantity, told.parents

    cdef void account_for(self, const ExecutionReport *report, int64_t wall_ns) noexcept nogil:
        """What the account that a report is about heard of it, if it was compared."""
        cdef uint32_t i
        if report.listing >= self.table.listing_count:
            return
        for i in range(self.account_count):
            if self.accounts[i].bases[report.listing] == NO_ASSET:
                continue
            if report.exec_type == ExecType.REPORT_HELD:
                reconciliation.take_held(self.accounts[i], report, wall_ns)
            elif account.counts(report):
                account.take_fill(self.accounts[i], report)

    cdef void enter_parent(self, const ParentOrder *parent, int64_t now_ns) noexcept nogil:
        """When a parent's time was up is not in the journal: those that have nothing out make room."""
        cdef uint32_t i
        if orders.open_parent(&self.table, parent, 0, now_ns) != -<int64_t>Reason.TABLE_FULL:
            return
        for i in range(self.table.parent_capacity):
            if (self.table.parents[i].order.parent_id and self.table.parents[i].working == 0
                    and self.table.parents[i].in_doubt == 0):
                orders.close_parent(&self.table, i, Reason.RESTARTED, now_ns)
        orders.open_parent(&self.table, parent, 0, now_ns)

    cdef void enter_child(self, const ChildOrder *child, int64_t now_ns) noexcept nogil:
        """Its parent is there, or was closed to make room and was not done after all."""
        cdef uint32_t slot = order_table.find_parent(&self.table, child.parent_id)
        cdef ParentOrder parent
        if slot == <uint32_t>NONE and child.listing < self.table.listing_count:
            memset(&parent, 0, sizeof(ParentOrder))
            parent.parent_id = child.parent_id
            parent.instrument = self.table.listings[child.listing].instrument
            parent.quantity = child.quantity * self.table.listings[child.listing].quantity_factor
            parent.side = child.side
            parent.strategy, parent.account = child.strategy, child.account
            self.enter_parent(&parent, now_ns)
        elif slot != <uint32_t>NONE:
            self.table.parents[slot].closing = 0
        self.refused += orders.open_child(&self.table, child) < 0
