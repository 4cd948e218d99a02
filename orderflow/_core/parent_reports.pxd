"""What strategies hear of their parents. A report is an event: nothing waits for its being read.

Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memset

from orderflow._core cimport order_table, orders, parents
from orderflow._core.order_table cimport NONE
from orderflow._core.parents cimport Parent
from orderflow._core.router_state cimport RouterState
from orderflow._core.types cimport ExecutionReport, Listing, ParentOrder, ParentReport, ParentStatus


cdef nogil:
    inline void tell(RouterState *self, const ParentReport *report) noexcept:
        """A report for a strategy. When its ring is full the strategizer is LAGGED: it gets a snapshot once it
        reads."""
        if self.lagged or not self.parent_reports.push(report):
            self.lagged = 1
            return
        self.strategizer_bell.ring()

    inline void tell_parent(RouterState *self, uint32_t slot, const ExecutionReport *fill, int64_t now_ns) noexcept:
        """How a parent stands; `fill`: of an order that is in the table."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef const Listing *listing
        cdef ParentReport report
        cdef uint32_t at
        memset(&report, 0, sizeof(ParentReport))
        parents.describe(parent, now_ns, &report)
        if fill is not NULL:
            listing = &self.listings[fill.listing]
            report.listing = fill.listing
            at = order_table.find(self.table, fill.client_order_id, fill.slot)
            report.last_price = orders.paid(listing, &self.table.orders[at], fill.last_price)
            report.last_quantity = fill.last_quantity * listing.quantity_factor
        tell(self, &report)

    inline void catch_up(RouterState *self, int64_t now_ns) noexcept:
        """The strategizer reads again: tell it how every parent stands."""
        cdef uint32_t i, slot
        if not self.lagged or self.parent_reports.size():
            return
        self.lagged = 0
        for i in range(self.instrument_count):
            slot = self.active.first[i]
            while slot != <uint32_t>NONE:
                tell_parent(self, slot, NULL, now_ns)
                slot = self.active.following[slot]

    inline void deny_parent(RouterState *self, const ParentOrder *order, uint8_t reason, int64_t now_ns) noexcept:
        cdef ParentReport report
        memset(&report, 0, sizeof(ParentReport))
        report.parent_id = order.parent_id
        report.quantity = order.quantity
        report.event_ns = now_ns
        report.instrument = order.instrument
        report.strategy = order.strategy
        report.status = ParentStatus.PARENT_DENIED
        report.reason = reason
        report.side = order.side
        tell(self, &report)
