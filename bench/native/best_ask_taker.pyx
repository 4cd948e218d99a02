"""The least strategy that trades: on each signal, when nothing of it is open, one IOC buy at the best ask."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from orderflow._core.strategy cimport Strategy, StrategyContext, submit
from orderflow._core.types cimport BoardEntry, BookState, ParentOrder, ParentReport, ParentStatus, Side


cdef class BestAskTaker(Strategy):
    """Buys `quantity` (instrument scale) a signal; 0, as it begins, = nothing."""
    cdef public int64_t quantity
    cdef uint64_t working           # id of the parent that has not ended, 0 = none
    cdef readonly uint64_t emitted
    cdef readonly uint64_t done

    def __init__(self):
        super().__init__("best ask taker")

    cdef void on_signal(self, StrategyContext *context, const BoardEntry *entry) noexcept nogil:
        cdef ParentOrder *order
        cdef uint32_t listing = entry.listing
        if self.quantity == 0 or self.working or entry.book_state != BookState.LIVE or entry.ask_count == 0:
            return
        order = submit(context, context.listings[listing].instrument, Side.BUY, self.quantity,
                       entry.asks[0].price * context.listings[listing].price_factor)
        if order is not NULL:
            self.working = order.parent_id
            self.emitted += 1

    cdef void on_report(self, StrategyContext *context, const ParentReport *report) noexcept nogil:
        if report.parent_id == self.working and report.status != ParentStatus.PARENT_WORKING:
            self.working = 0
            self.done += report.status == ParentStatus.PARENT_DONE
