"""The paper exchange: fills orders by a model of our own, beside the loop that keeps the real exchange's books.

    gate ── order, cancel ──> on its way ──order_ns──> matched against the book as it is then
                                                             │        ^
    router <── report ── on its way <──report_ns── fills, ends        └─ changes of the book, trades

It is what stands behind the send gate instead of a connection: everything before it and behind it is the code that
trades. An order, a cancel and a question travel for `order_ns`, what comes of them for `report_ns`; both keep their
order. So a cancel races with fills as it does in life: what was filled before it arrives is filled.

What an order meets: `arrive` deals with everything that arrives before a moment, and is called with the time of each
frame before it is decoded, so an order meets the book of the last frame before its arrival. It takes levels as far as
its limit, at their prices, of each what is left (paper_levels.pxd); what remains ends or rests (paper_queue.pxd). A
resting order is filled, at its own price,

* by trades at its price, when what was ahead of it is served;
* by trades at worse prices, up to what they traded: whoever sold there would have sold to it first;
* by what others show on the other side at its price or better, for they would have met it.

While a book is not LIVE nothing fills. What may rest waits and is matched when the book is LIVE again, as if it came
then; what may not rest ends. A trade that is no younger than the book that an order met on its arrival was before it.

There are no balances. docs/paper.md says what this model cannot know.

Exchange thread only. No clock, no allocation; the same inputs give the same reports.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport iceberg, paper_levels, paper_queue, paper_reports
from orderflow._core.integrity cimport BookSync
from orderflow._core.paper_levels cimport TAKEN_LEVELS, PaperLevels
from orderflow._core.paper_queue cimport PaperOrder, PaperQueues
from orderflow._core.paper_reports cimport PaperReports
from orderflow._core.types cimport (
    BookState, ChildKind, ChildOrder, ExecType, ExecutionReport, Level, Liquidity, Listing, Message, OrderFlag,
    OrderType, Reason, Side, TimeInForce)

cdef enum:
    ARRIVING = 4096             # orders, cancels and questions on their way; a power of two


cdef struct ArrivingOrder:
    ChildOrder order
    int64_t due_ns              # monotonic


cdef struct Paper:
    const Listing *listings     # the engine's table
    BookSync **books            # by listing index: the one that is shown; NULL = not of this exchange
    PaperLevels *levels         # by listing index
    PaperQueues queues
    PaperReports reports
    ArrivingOrder *arriving     # ARRIVING of them
    uint64_t sent               # how many were ever on their way
    uint64_t arrived
    uint64_t accepted           # orders
    int64_t order_ns
    int64_t unix_offset_ns


cdef nogil:
    inline void end(Paper *self, uint32_t at, uint8_t exec_type, uint8_t reason, int64_t now_ns) noexcept:
        paper_reports.tell(&self.reports, &self.queues.orders[at], exec_type, reason, now_ns)
        paper_queue.leave(&self.queues, at)

    # ------------------------------------------------------------------ an order meets the book

    inline uint8_t other_side(uint8_t side) noexcept:
        return Side.SELL if side == Side.BUY else Side.BUY

    inline bint next_met(const Paper *self, const PaperOrder *order, const BookSync *sync, Level *out) noexcept:
        """The best level behind `out.price` (0 = of all) that an order may trade with, with what is left of it."""
        if not paper_levels.next_left(&self.levels[order.listing], sync, other_side(order.side), out.price, out):
            return False
        return order.price == 0 or not paper_levels.is_better(order.side, out.price, order.price)

    inline bint crosses(const Paper *self, const PaperOrder *order, const BookSync *sync) noexcept:
        """Whether it would trade at once."""
        cdef Level level
        level.price = 0
        return next_met(self, order, sync, &level)

    inline bint can_fill(const Paper *self, const PaperOrder *order, const BookSync *sync) noexcept:
        """Whether all of it would trade at once."""
        cdef const PaperLevels *levels = &self.levels[order.listing]
        cdef uint32_t room = TAKEN_LEVELS - levels.count
        cdef int64_t wanted = order.quantity
        cdef Level level
        level.price = 0
        while next_met(self, order, sync, &level):
            if not paper_levels.taken_at(levels, other_side(order.side), level.price):
                if room == 0:
                    return False
                room -= 1
            wanted -= min(wanted, level.quantity)
            if wanted == 0:
                return True
        return False

    inline void trade(Paper *self, PaperOrder *order, const BookSync *sync, uint8_t liquidity, int64_t now_ns) noexcept:
        """With what is left of the other side, best first: as taker at the prices there, as maker at our own."""
        cdef int64_t quantity
        cdef Level level
        level.price = 0
        while order.filled < order.quantity and next_met(self, order, sync, &level):
            quantity = min(level.quantity, order.quantity - order.filled)
            if not paper_levels.take(&self.levels[order.listing], other_side(order.side), level.price, quantity):
                return
            paper_reports.fill(&self.reports, order, order.price if liquidity == Liquidity.MAKER else level.price,
                               quantity, liquidity, now_ns)

    inline void meet(Paper *self, uint32_t at, const BookSync *sync, int64_t now_ns) noexcept:
        """An order that the exchange has accepted meets the others; what remains ends, or rests."""
        cdef PaperOrder *order = &self.queues.orders[at]
        trade(self, order, sync, Liquidity.TAKER, now_ns)
        if order.filled == order.quantity:
            paper_queue.leave(&self.queues, at)
        elif order.immediate:
            end(self, at, ExecType.REPORT_EXPIRED, Reason.NO_LIQUIDITY, now_ns)
        else:
            paper_queue.join(order, sync)

    # ------------------------------------------------------------------ what arrives

    inline uint8_t objection(const Paper *self, const ChildOrder *child, int64_t now_ns) noexcept:
        """What any exchange refuses, whatever its book is."""
        cdef const Listing *listing = &self.listings[child.listing]
        cdef bint immediate = child.time_in_force == TimeInForce.IOC or child.time_in_force == TimeInForce.FOK
        if child.quantity <= 0:
            return Reason.QUANTITY_NOT_POSITIVE
        if child.quantity % max(listing.lot, 1):
            return Reason.QUANTITY_OFF_LOT
        if child.side != Side.BUY and child.side != Side.SELL:
            return Reason.EXCHANGE_RULE
        if paper_queue.find(&self.queues, child.client_order_id):
            return Reason.DUPLICATE_ORDER
        if child.flags & OrderFlag.POST_ONLY and (immediate or child.order_type == OrderType.MARKET):
            return Reason.EXCHANGE_RULE
        if not iceberg.is_well_formed(listing, child):
            return Reason.EXCHANGE_RULE
        if child.order_type == OrderType.MARKET:
            return Reason.OK
        if child.order_type != OrderType.LIMIT:
            return Reason.EXCHANGE_RULE
        if child.time_in_force < TimeInForce.GTC or child.time_in_force > TimeInForce.GTD:
            return Reason.EXCHANGE_RULE
        if child.time_in_force == TimeInForce.GTD and child.terms <= now_ns + self.unix_offset_ns:
            return Reason.EXCHANGE_RULE
        if child.price <= 0:
            return Reason.PRICE_NOT_POSITIVE
        return Reason.PRICE_OFF_TICK if child.price % max(listing.tick, 1) else Reason.OK

    inline void take_new(Paper *self, const ChildOrder *child, int64_t now_ns) noexcept:
        """A new order."""
        cdef BookSync *sync = self.books[child.listing]
        cdef bint is_live = sync.state == BookState.LIVE
        cdef uint8_t reason = objection(self, child, now_ns)
        cdef uint32_t at = 0
        cdef PaperOrder *order
        if reason == Reason.OK:
            at = paper_queue.enter(&self.queues, child, self.unix_offset_ns)
            reason = Reason.OK if at else Reason.TABLE_FULL
        if reason != Reason.OK:
            paper_reports.tell_unknown(&self.reports, child, ExecType.REPORT_REJECTED, reason, now_ns)
            return
        order = &self.queues.orders[at]
        self.accepted += 1
        order.number = self.accepted
        if is_live and order.post_only and crosses(self, order, sync):
            end(self, at, ExecType.REPORT_REJECTED, Reason.POST_ONLY_WOULD_TAKE, now_ns)
            return
        paper_reports.tell(&self.reports, order, ExecType.REPORT_NEW, Reason.OK, now_ns)
        if not is_live:
            order.waits = 1
            if order.immediate:
                end(self, at, ExecType.REPORT_EXPIRED, Reason.BOOK_NOT_LIVE, now_ns)
        elif child.time_in_force == TimeInForce.FOK and not can_fill(self, order, sync):
            end(self, at, ExecType.REPORT_EXPIRED, Reason.NO_LIQUIDITY, now_ns)
        else:
            meet(self, at, sync, now_ns)

    inline void take_cancel(Paper *self, const ChildOrder *child, int64_t now_ns) noexcept:
        cdef uint32_t at = paper_queue.find(&self.queues, child.client_order_id)
        if at:
            end(self, at, ExecType.REPORT_CANCELED, Reason.OK, now_ns)
        else:
            paper_reports.tell_unknown(&self.reports, child, ExecType.REPORT_CANCEL_REJECTED, Reason.UNKNOWN_ORDER,
                                       now_ns)

    inline void take_question(Paper *self, const ChildOrder *child, int64_t now_ns) noexcept:
        """What became of an order? One that is not here has ended: here, as was said before, or with an earlier run,
        for a paper exchange lives no longer than its engine."""
        cdef uint32_t at = paper_queue.find(&self.queues, child.client_order_id)
        cdef ExecutionReport *report
        if at:
            report = paper_reports.tell(&self.reports, &self.queues.orders[at], ExecType.REPORT_STATUS, Reason.OK,
                                        now_ns)
        else:
            report = paper_reports.tell_unknown(&self.reports, child, ExecType.REPORT_EXPIRED, Reason.RESTARTED, now_ns)
        if report is not NULL:
            report.reconciliation = 1
        paper_reports.tell_unknown(&self.reports, child, ExecType.REPORT_ASKED, Reason.OK, now_ns)

    # ------------------------------------------------------------------ time

    inline bint send(Paper *self, const ChildOrder *order, int64_t now_ns) noexcept:
        """Something leaves for the exchange; False when too much is on its way."""
        cdef ArrivingOrder *arriving = &self.arriving[self.sent & (ARRIVING - 1)]
        if self.sent - self.arrived == ARRIVING:
            return False
        arriving.order = order[0]
        arriving.due_ns = now_ns + self.order_ns
        self.sent += 1
        return True

    inline void expire(Paper *self, int64_t now_ns) noexcept:
        """Orders whose time is up (GTD), one after the other."""
        cdef uint32_t at
        while now_ns >= self.queues.next_expiry_ns:
            at = paper_queue.first_to_expire(&self.queues)
            self.queues.next_expiry_ns = self.queues.orders[at].expire_ns if at else INT64_MAX
            if self.queues.next_expiry_ns <= now_ns:
                end(self, at, ExecType.REPORT_EXPIRED, Reason.END_TIME, self.queues.next_expiry_ns)

    inline void arrive(Paper *self, int64_t before_ns) noexcept:
        """Everything that arrives at the exchange before a moment, in its order."""
        cdef ArrivingOrder *arriving
        while self.arrived != self.sent:
            arriving = &self.arriving[self.arrived & (ARRIVING - 1)]
            if arriving.due_ns >= before_ns:
                break
            expire(self, arriving.due_ns)
            if arriving.order.kind == ChildKind.NEW_ORDER:
                take_new(self, &arriving.order, arriving.due_ns)
            elif arriving.order.kind == ChildKind.CANCEL_ORDER:
                take_cancel(self, &arriving.order, arriving.due_ns)
            elif arriving.order.kind == ChildKind.ASK_ORDER:
                take_question(self, &arriving.order, arriving.due_ns)
            self.arrived += 1
        expire(self, before_ns - 1)

    inline int64_t next_ns(const Paper *self) noexcept:
        """When something arrives, ends or comes back next; INT64_MAX = nothing does."""
        cdef int64_t at = min(self.queues.next_expiry_ns, paper_reports.next_ns(&self.reports))
        if self.arrived != self.sent:
            at = min(at, self.arriving[self.arrived & (ARRIVING - 1)].due_ns)
        return at

    # ------------------------------------------------------------------ the market moves

    inline void on_book(Paper *self, const BookSync *sync, int64_t now_ns) noexcept:
        """The book that is shown of a listing has changed, or its state has."""
        cdef PaperOrder *order
        cdef int64_t before
        cdef uint8_t side
        cdef uint32_t at, behind
        cdef bint more
        if sync.state != BookState.LIVE:
            return
        paper_levels.refresh(&self.levels[sync.listing], sync)
        for side in range(<uint8_t>Side.BUY, <uint8_t>Side.SELL + 1):
            at = paper_queue.head(&self.queues, sync.listing, side)[0]
            more = True                         # there may be, on the other side, for the next order too
            while at:
                order = &self.queues.orders[at]
                behind = order.next
                if order.waits:
                    if order.post_only and crosses(self, order, sync):
                        end(self, at, ExecType.REPORT_EXPIRED, Reason.POST_ONLY_WOULD_TAKE, now_ns)
                    else:
                        meet(self, at, sync, now_ns)
                    at = behind
                    continue
                paper_queue.observe(order, sync, now_ns)
                if more:
                    before = order.filled
                    trade(self, order, sync, Liquidity.MAKER, now_ns)
                    paper_queue.refill(order, sync, order.filled - before)
                    more = order.filled == order.quantity
                if order.filled == order.quantity:
                    paper_queue.leave(&self.queues, at)
                at = behind

    inline void on_trade(Paper *self, const BookSync *sync, const Message *others, int64_t now_ns) noexcept:
        """Others have traded: so much, at that price; `side` is the taker's. Of an auction or a block, which have none,
        nobody in the book would have had a part."""
        cdef int64_t left = others.quantity
        cdef uint8_t side = other_side(others.side)
        cdef int64_t quantity
        cdef PaperOrder *order
        cdef uint32_t at, behind
        if sync.state != BookState.LIVE or others.price <= 0 or others.side == Side.NO_SIDE:
            return
        at = paper_queue.head(&self.queues, sync.listing, side)[0]
        while at and left > 0:
            order = &self.queues.orders[at]
            behind = order.next
            if paper_levels.is_better(side, others.price, order.price):
                return                          # what traded was served before this one, and before all behind it
            if order.waits or (others.exchange_ns and others.exchange_ns <= order.seen_exchange_ns):
                quantity = 0                    # it was not there yet
            elif order.price == others.price:
                quantity = paper_queue.serve(order, left, now_ns)
            else:
                quantity = min(left, order.quantity - order.filled)
            if quantity > 0:
                left -= quantity
                paper_reports.fill(&self.reports, order, order.price, quantity, Liquidity.MAKER, now_ns)
                paper_queue.refill(order, sync, quantity)
                if order.filled == order.quantity:
                    paper_queue.leave(&self.queues, at)
            at = behind


cdef class PaperExchange:
    """Owns the memory of a Paper."""
    cdef Paper paper
    cdef uint32_t listing_count
