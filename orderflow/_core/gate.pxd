"""The send gate: the last look before an order becomes bytes, and the table of what went out.

The router decided on a book that it saw some microseconds ago; here, in the thread that owns the connection, it is
asked once more: may this exchange be sent anything, is the connection the one that was meant, have our books been
compared with the exchange's since, is the own book still LIVE, has the deadline passed, is there room in the exchange's
limits (rates.pxd). A refusal costs nothing: it goes back as NOT_SENT. Only the cancel that finds no room waits
(waiting_cancels.pxd).

The table holds every order that was sent and has not been seen to end. It is what kill cancels from, without the router
or Python, and what becomes IN_DOUBT when the connection is lost. Open addressing by client order id; deletion moves the
following entries back (Knuth, vol. 3, 6.4, algorithm R), so there are no tombstones and a probe is as long as the load
makes it. Worst case: full; then new orders are refused (TABLE_FULL).

Exchange thread only, but for the kill line, which anybody may write and every gate reads (kill.pxd).
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from orderflow._core cimport kill, rates
from orderflow._core.kill cimport KillLine
from orderflow._core.rates cimport Rates
from orderflow._core.types cimport BookState, ChildKind, ChildOrder, ExecType, ExecutionReport, Reason, TradingState

cdef enum:
    SENT_CAPACITY = 4096        # slots, a power of two
    SENT_LIMIT = 2048           # orders at most: half full


cdef struct SentOrder:
    uint64_t client_order_id    # 0 = free
    char exchange_order_id[32]
    int64_t quantity
    int64_t filled              # as far as reports said
    int64_t counted             # sum of the fills that were told, each once
    int64_t before              # quantity before the replacement that is under way; 0 = none is
    int64_t heard_ns            # when the exchange first showed that it has it; 0 = not yet
    uint64_t listed_round       # of reconciliation, in which it was among the open orders
    int64_t sent_ns             # monotonic; 0 = it is of an earlier run, and counts in no limit of this one
    int64_t touched_ns          # when it was sent or last replaced
    uint32_t listing
    uint32_t slot               # in the router's table
    uint32_t cancel_round       # the last one in which its cancel was written (order_entry.pxd)
    uint16_t strategy
    uint8_t side
    uint8_t misses              # rounds in a row that did not list it
    uint8_t differs             # that was told


cdef struct Gate:
    SentOrder *sent
    const KillLine *kill_line   # shared by all gates
    uint64_t exchange_bit       # ours in it
    uint32_t sent_count
    uint8_t trading_state       # TradingState of this exchange
    uint8_t stopped             # HALTED was commanded; as the boot state it cancels nothing
    uint8_t waits               # until a round of reconciliation has found our books and the exchange's equal
    Rates *rates                # what the exchange allows
    uint64_t refused


cdef nogil:
    # ------------------------------------------------------------------ what was sent

    inline uint32_t home(uint64_t client_order_id) noexcept:
        return <uint32_t>((client_order_id * 0x9E3779B97F4A7C15ULL) >> 40) & (SENT_CAPACITY - 1)

    inline SentOrder *find(Gate *self, uint64_t client_order_id) noexcept:
        cdef uint32_t at = home(client_order_id)
        while self.sent[at].client_order_id:
            if self.sent[at].client_order_id == client_order_id:
                return &self.sent[at]
            at = (at + 1) & (SENT_CAPACITY - 1)
        return NULL

    inline SentOrder *remember(Gate *self, const ChildOrder *order, int64_t now_ns) noexcept:
        cdef uint32_t at = home(order.client_order_id)
        cdef SentOrder *entry
        while self.sent[at].client_order_id:
            at = (at + 1) & (SENT_CAPACITY - 1)
        entry = &self.sent[at]
        entry.client_order_id = order.client_order_id
        memset(entry.exchange_order_id, 0, sizeof(entry.exchange_order_id))
        entry.quantity = order.quantity
        entry.filled = 0
        entry.counted = 0
        entry.before = 0
        entry.heard_ns = 0
        entry.listed_round = 0
        entry.sent_ns = now_ns
        entry.touched_ns = now_ns
        entry.listing = order.listing
        entry.slot = order.slot
        entry.strategy = order.strategy
        entry.cancel_round = 0
        entry.side = order.side
        entry.misses = 0
        entry.differs = 0
        self.sent_count += 1
        return entry

    inline void expect_replaced(SentOrder *entry, int64_t quantity, int64_t now_ns) noexcept:
        """A replacement goes out: until it is answered the larger quantity is what may be filled."""
        entry.before = entry.quantity
        entry.touched_ns = now_ns
        if quantity > entry.quantity:
            entry.quantity = quantity

    inline void settle_replaced(SentOrder *entry, int64_t quantity) noexcept:
        """It was made, or refused: `quantity` is what holds."""
        entry.quantity = quantity
        entry.before = 0

    inline void forget(Gate *self, SentOrder *entry) noexcept:
        cdef uint32_t hole = <uint32_t>(entry - self.sent)
        cdef uint32_t at = hole
        cdef uint32_t wanted
        self.sent_count -= 1
        while True:
            at = (at + 1) & (SENT_CAPACITY - 1)
            if self.sent[at].client_order_id == 0:
                break
            wanted = home(self.sent[at].client_order_id)
            if ((at - wanted) & (SENT_CAPACITY - 1)) >= ((at - hole) & (SENT_CAPACITY - 1)):
                self.sent[hole] = self.sent[at]
                hole = at
        self.sent[hole].client_order_id = 0

    inline void observe(Gate *self, ExecutionReport *report, bint counts) noexcept:
        """Keep the table in step with what the exchange says, and tell the router its slot. `counts`: of a fill, that
        it was not told before."""
        cdef SentOrder *entry = find(self, report.client_order_id) if report.client_order_id else NULL
        cdef int64_t before
        if entry is NULL:
            return
        before = entry.filled
        report.slot = entry.slot
        if entry.exchange_order_id[0] == 0:
            memcpy(entry.exchange_order_id, report.exchange_order_id, sizeof(entry.exchange_order_id))
        # What is stated and what the fills add up to, whichever is more: either may be told first.
        if report.exec_type == ExecType.REPORT_FILL and counts:
            entry.counted += report.last_quantity
            if entry.counted > entry.filled:
                entry.filled = entry.counted
        if report.cumulative_quantity > entry.filled:
            entry.filled = report.cumulative_quantity
        if before == 0 and entry.filled > 0:
            rates.on_first_fill(self.rates, entry.sent_ns)
        if entry.before and (report.exec_type == ExecType.REPORT_REPLACED or (
                report.exec_type == ExecType.REPORT_STATUS and report.reconciliation and report.last_quantity > 0)):
            settle_replaced(entry, report.last_quantity)
        elif entry.before and report.exec_type == ExecType.REPORT_REPLACE_REJECTED:
            settle_replaced(entry, entry.before)
        if (report.exec_type == ExecType.REPORT_CANCELED or report.exec_type == ExecType.REPORT_REJECTED
                or report.exec_type == ExecType.REPORT_EXPIRED or entry.filled >= entry.quantity):
            forget(self, entry)

    # ------------------------------------------------------------------ the last look

    inline bint is_stopped(const Gate *self, uint32_t strategy) noexcept:
        """Whether orders of a strategy that are out are to be cancelled."""
        return self.stopped or kill.stops(self.kill_line, self.exchange_bit, strategy)

    inline uint8_t check(Gate *self, const ChildOrder *order, bint connected, uint8_t book_state, uint32_t book_epoch,
                         int64_t now_ns) noexcept:
        """Reason.OK, or why this order must not become bytes."""
        cdef const SentOrder *entry = NULL
        cdef int64_t age_ns = 0
        if not connected:
            return Reason.NOT_CONNECTED
        if order.kind != ChildKind.NEW_ORDER:
            entry = find(self, order.client_order_id)
            age_ns = now_ns - entry.touched_ns if entry is not NULL else 0
        if order.kind == ChildKind.CANCEL_ORDER:
            return Reason.OK if rates.take_cancel(self.rates, rates.CANCEL, order.listing, age_ns,
                                                  now_ns) else Reason.RATE_LIMITED
        if self.trading_state == TradingState.HALTED or is_stopped(self, order.strategy):
            return Reason.TRADING_HALTED
        if self.waits:
            return Reason.NOT_RECONCILED
        if book_state != BookState.LIVE:
            return Reason.BOOK_NOT_LIVE
        if order.book_epoch != book_epoch:
            return Reason.EPOCH_CHANGED
        if order.deadline_ns and now_ns > order.deadline_ns:
            return Reason.DEADLINE_PASSED
        if self.sent_count >= SENT_LIMIT:
            return Reason.TABLE_FULL
        if not rates.take_order(self.rates, order.kind, order.listing, age_ns, now_ns):
            return Reason.RATE_LIMITED
        return Reason.OK
