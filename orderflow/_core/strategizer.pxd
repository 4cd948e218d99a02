"""The strategizer: shows every change to the strategies and passes on what they want done.

It hears from the router only: wake-ups (then it reads the board for itself) and reports of parent orders. What Python
submits comes as commands and leaves by the same ring as what strategies emit, so the router has one source of parents.

Every function: strategizer thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from orderflow._core cimport board, input_log, pending
from orderflow._core.board cimport SequenceBoard
from orderflow._core.byte_ring cimport NativeByteRing
from orderflow._core.doorbell cimport NativeDoorbell
from orderflow._core.input_log cimport InputLog
from orderflow._core.ring cimport Ring64, Ring128
from orderflow._core.strategy cimport STRATEGY_ORDERS, Strategy, StrategyContext
from orderflow._core.types cimport (
    BoardEntry, BookState, InputKind, Listing, ParentOrder, ParentReport, ParentStatus, Wake)

cdef enum:
    STRATEGIES = 16             # index 0 is Python's own submissions


cdef enum StrategizerCommand:  # tag of a record in `commands`
    SUBMIT = 0                  # a ParentOrder, passed on as it is: a new one or a cancel
    PAUSE = 1                   # no strategy hears of markets and timers any more; of its own parents it still does
    RESUME = 2


cdef struct StrategizerState:
    const Listing *listings
    BoardEntry *views           # by listing: the last read
    SequenceBoard *board
    uint8_t *strategy_pending   # by listing; the router raises, we lower
    Ring64 *wakes               # from the router
    Ring128 *parent_reports     # from the router
    Ring128 *parents            # to the router
    NativeDoorbell *router_bell
    NativeByteRing *commands    # from Python: parent orders
    NativeByteRing *denials     # to Python: reports of what it submitted and the router denied; when full, lost
    InputLog *log
    void *strategies[STRATEGIES]            # Strategy, kept alive by the loop's owner
    StrategyContext contexts[STRATEGIES]
    ParentOrder emitted[STRATEGY_ORDERS]
    uint64_t wakes_taken
    uint64_t reports_taken
    uint64_t commands_taken
    uint64_t orders_sent
    uint64_t orders_lost        # the router's ring was full
    uint32_t listing_count
    uint32_t strategy_count     # index 0 included
    uint8_t paused


cdef nogil:
    inline void send_on(StrategizerState *self, const ParentOrder *order) noexcept:
        if not self.parents.push(order):
            self.orders_lost += 1
            return
        self.orders_sent += 1
        self.router_bell.ring()

    inline StrategyContext *enter(StrategizerState *self, uint32_t index, int64_t now_ns) noexcept:
        cdef StrategyContext *context = &self.contexts[index]
        context.now_ns = now_ns
        context.order_count = 0
        return context

    inline void leave(StrategizerState *self, StrategyContext *context, int64_t cause_ns) noexcept:
        """Pass on what the call emitted."""
        cdef uint32_t i
        for i in range(context.order_count):
            self.emitted[i].cause_receive_ns = cause_ns
            send_on(self, &self.emitted[i])

    inline void on_wake(StrategizerState *self, const Wake *wake, int64_t now_ns) noexcept:
        cdef uint32_t listing = wake.listing
        cdef int64_t cause_ns = wake.receive_ns
        cdef StrategyContext *context
        cdef uint32_t i
        self.wakes_taken += 1
        input_log.take(self.log, InputKind.INPUT_WAKE, 0, listing, now_ns)
        pending.lower_flag(&self.strategy_pending[listing])
        if board.read(self.board, listing, &self.views[listing]) != board.ReadStatus.READ_OK:
            self.views[listing].book_state = BookState.STALE
        else:
            input_log.board_read(self.log, listing, self.views[listing].epoch, self.views[listing].publication)
        if self.paused:
            return
        for i in range(1, self.strategy_count):
            context = enter(self, i, now_ns)
            (<Strategy>self.strategies[i]).on_signal(context, &self.views[listing])
            leave(self, context, cause_ns)

    inline void on_report(StrategizerState *self, const ParentReport *report, int64_t now_ns) noexcept:
        cdef StrategyContext *context
        self.reports_taken += 1
        input_log.take(self.log, InputKind.INPUT_REPORT, 0, self.reports_taken, now_ns)
        if report.strategy == 0 and report.status == ParentStatus.PARENT_DENIED:
            self.denials.push(report, sizeof(ParentReport), 0)
        if report.strategy == 0 or report.strategy >= self.strategy_count:
            return
        context = enter(self, report.strategy, now_ns)
        (<Strategy>self.strategies[report.strategy]).on_report(context, report)
        leave(self, context, 0)

    inline void on_command(StrategizerState *self, uint32_t command, const ParentOrder *order, int64_t now_ns) noexcept:
        """Python wants something done."""
        self.commands_taken += 1
        input_log.take(self.log, InputKind.INPUT_COMMAND, <uint16_t>command, self.commands_taken, now_ns)
        if command == StrategizerCommand.SUBMIT:
            send_on(self, order)
        else:
            self.paused = command == StrategizerCommand.PAUSE

    inline int fire_timers(StrategizerState *self, int64_t now_ns) noexcept:
        cdef StrategyContext *context
        cdef uint32_t i
        cdef int work = 0
        if self.paused:
            return 0
        for i in range(1, self.strategy_count):
            if self.contexts[i].wake_ns and self.contexts[i].wake_ns <= now_ns:
                input_log.take(self.log, InputKind.INPUT_TIMER, <uint16_t>i, 0, now_ns)
                context = enter(self, i, now_ns)
                context.wake_ns = 0
                (<Strategy>self.strategies[i]).on_timer(context)
                leave(self, context, 0)
                work += 1
        return work
