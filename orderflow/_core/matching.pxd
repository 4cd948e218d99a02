"""Price-time matching of one symbol, for simulated exchanges and backtests. No clock, no I/O, no callbacks.

Makers trade at their own price, first come first served. An order is limit (GTC, IOC, FOK; post-only as a flag) or
market, whose remainder never rests. GTD rests like GTC: whoever owns the clock cancels it. Trades are written to the
caller's buffer; when it is full, `submit` returns UNFINISHED and `resume` goes on with the same order.

Cost: adding, cancelling and each trade are O(1) in the ring of the ladder (structures and worst cases:
queue_ladder.pxd, resting.pxd); a FOK order looks at every level it might take. All memory is given at the start: with
the pool full an order that would rest is refused with TABLE_FULL, and nothing has happened. An order that crosses never
meets a full pool: if anything of it is left to rest, it has emptied a maker's slot.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport queue_ladder, resting
from orderflow._core.queue_ladder cimport PriceLevel
from orderflow._core.resting cimport Resting, RestingOrder
from orderflow._core.types cimport ChildKind, OrderFlag, OrderType, Reason, Side, TimeInForce


cpdef enum MatchStatus:
    FINISHED = 0
    UNFINISHED = 1              # the report buffer is full: take the reports, then call resume
    REFUSED = 2                 # nothing happened; Outcome.reason says why
    BUSY = 3                    # nothing happened: an UNFINISHED order waits for resume


cdef struct Instruction:        # 40 bytes: a new order or a cancel
    uint64_t order_id           # chosen by the caller, unique among live orders
    int64_t price               # of a limit order, a multiple of the tick
    int64_t quantity
    uint32_t owner              # whose order: copied to the reports, of no other meaning here
    uint8_t kind                # types.ChildKind
    uint8_t side
    uint8_t order_type
    uint8_t time_in_force
    uint8_t flags               # types.OrderFlag
    uint8_t reserved[7]


cdef struct MatchReport:        # 64 bytes: one trade
    uint64_t maker_id
    uint64_t taker_id
    uint64_t trade_id           # counts from 1
    int64_t price               # the maker's
    int64_t quantity
    int64_t maker_remaining     # 0 = the maker is filled and gone
    uint32_t maker_owner
    uint32_t taker_owner
    uint8_t taker_side
    uint8_t reserved[7]


cdef struct Outcome:            # 32 bytes: filled + resting + cancelled = quantity of the order, once FINISHED
    int64_t filled              # since the order came, over all calls
    int64_t resting
    int64_t cancelled           # remainder of IOC or market; of a cancel: what was still resting
    uint32_t trades             # reports written by this call
    uint8_t status              # MatchStatus
    uint8_t reason              # types.Reason of a refusal
    uint8_t reserved[2]


cdef struct Taker:              # the order being matched
    uint64_t order_id
    int64_t limit               # tick; of a market order the last one of all
    int64_t remaining
    int64_t filled
    uint32_t owner
    uint8_t side
    uint8_t rests
    uint8_t unfinished


cdef struct Matching:
    Resting resting
    Taker taker
    uint64_t last_trade_id


cdef nogil:
    inline void begin(Outcome *outcome) noexcept:
        outcome.filled = outcome.resting = outcome.cancelled = 0
        outcome.trades = 0
        outcome.status = MatchStatus.FINISHED
        outcome.reason = Reason.OK

    inline int refuse(Outcome *outcome, int reason) noexcept:
        outcome.reason = <uint8_t>reason
        outcome.status = MatchStatus.REFUSED
        return MatchStatus.REFUSED

    inline bint crosses(const Resting *book, uint8_t side, int64_t limit) noexcept:
        return book.best_ask <= limit if side == Side.BUY else book.best_bid >= limit

    inline bint can_fill(const Resting *book, uint8_t side, int64_t limit, int64_t quantity) noexcept:
        """Whether `quantity` rests within `limit` on the other side."""
        cdef int64_t at = book.best_ask if side == Side.BUY else book.best_bid
        while at != 0 and (at <= limit if side == Side.BUY else at >= limit):
            quantity -= queue_ladder.find(&book.ladder, at).quantity
            if quantity <= 0:
                return True
            at = (queue_ladder.next_above(&book.ladder, at) if side == Side.BUY
                  else queue_ladder.next_below(&book.ladder, at))
        return False

    inline uint32_t take_level(Matching *matching, PriceLevel *level, int64_t tick, MatchReport *reports,
                               uint32_t capacity) noexcept:
        """Trade the taker against one queue until either ends or the buffer is full; returns reports written."""
        cdef Resting *book = &matching.resting
        cdef Taker *taker = &matching.taker
        cdef int64_t price = tick * book.tick
        cdef RestingOrder *maker
        cdef MatchReport *report
        cdef uint32_t count = 0
        cdef uint32_t slot
        cdef int64_t quantity
        while taker.remaining > 0 and level.head and count < capacity:
            slot = level.head
            maker = &book.orders[slot]
            quantity = maker.quantity if maker.quantity < taker.remaining else taker.remaining
            taker.remaining -= quantity
            taker.filled += quantity
            matching.last_trade_id += 1
            report = &reports[count]
            count += 1
            report.maker_id = maker.order_id
            report.taker_id = taker.order_id
            report.trade_id = matching.last_trade_id
            report.price = price
            report.quantity = quantity
            report.maker_remaining = maker.quantity - quantity
            report.maker_owner = book.owners[slot]
            report.taker_owner = taker.owner
            report.taker_side = taker.side
            if maker.quantity == quantity:
                resting.remove(book, level, slot)
            else:
                maker.quantity -= quantity
                level.quantity -= quantity
        return count

    inline int advance(Matching *matching, MatchReport *reports, uint32_t capacity, Outcome *outcome) noexcept:
        """Match the taker as far as the buffer allows; when it is done, rest or drop what remains."""
        cdef Resting *book = &matching.resting
        cdef Taker *taker = &matching.taker
        cdef uint8_t maker_side = Side.SELL if taker.side == Side.BUY else Side.BUY
        cdef PriceLevel *level
        cdef int64_t tick
        cdef bint crossing = crosses(book, taker.side, taker.limit)
        cdef bint moved = False
        while taker.remaining > 0 and crossing and outcome.trades < capacity:
            tick = book.best_ask if taker.side == Side.BUY else book.best_bid
            level = queue_ladder.find(&book.ladder, tick)
            outcome.trades += take_level(matching, level, tick, reports + outcome.trades, capacity - outcome.trades)
            resting.note_change(book, level, tick, maker_side)
            if level.head == 0:
                resting.close_level(book, tick, maker_side)
                moved = True
            crossing = crosses(book, taker.side, taker.limit)
        if moved:
            resting.keep_touch_in_ring(book, book.best_bid, book.best_ask)
        outcome.filled = taker.filled
        taker.unfinished = taker.remaining > 0 and crossing
        if taker.unfinished:
            outcome.status = MatchStatus.UNFINISHED
        elif taker.remaining > 0:
            if taker.rests:
                outcome.resting = taker.remaining
                resting.add(book, taker.order_id, taker.side, taker.limit, taker.remaining, taker.owner)
            else:
                outcome.cancelled = taker.remaining
        return outcome.status

    inline int price_fault(const Resting *book, int64_t price) noexcept:
        if price <= 0:
            return Reason.PRICE_NOT_POSITIVE
        return Reason.PRICE_OFF_TICK if price % book.tick else Reason.PRICE_OUTSIDE_COLLAR

    inline int acceptable(const Resting *book, const Instruction *order, uint64_t tick) noexcept:
        """Reason why an order is refused before it can do anything; OK if it is not."""
        cdef PriceLevel *level
        if order.quantity <= 0:
            return Reason.QUANTITY_NOT_POSITIVE
        if order.side != Side.BUY and order.side != Side.SELL:
            return Reason.EXCHANGE_RULE
        if resting.find_slot(book, order.order_id):
            return Reason.DUPLICATE_ORDER
        if order.order_type != OrderType.LIMIT:
            return Reason.OK if order.order_type == OrderType.MARKET else Reason.EXCHANGE_RULE
        if tick >= book.largest_tick:
            return price_fault(book, order.price)
        if order.time_in_force < TimeInForce.GTC or order.time_in_force > TimeInForce.GTD:
            return Reason.EXCHANGE_RULE
        if order.time_in_force == TimeInForce.IOC or order.time_in_force == TimeInForce.FOK:
            return Reason.EXCHANGE_RULE if order.flags & OrderFlag.POST_ONLY else Reason.OK
        if crosses(book, order.side, <int64_t>tick + 1):
            return Reason.POST_ONLY_WOULD_TAKE if order.flags & OrderFlag.POST_ONLY else Reason.OK
        if book.free_slot == 0:
            return Reason.TABLE_FULL
        level = queue_ladder.find(&book.ladder, <int64_t>tick + 1)
        if level is not NULL and level.quantity > INT64_MAX - order.quantity:
            return Reason.QUANTITY_EXCEEDS_MAXIMUM
        return Reason.OK

    inline int submit(Matching *matching, const Instruction *order, MatchReport *reports, uint32_t capacity,
                      Outcome *outcome) noexcept:
        """Take a new order. Returns the MatchStatus, which is also in `outcome`."""
        cdef uint64_t tick = resting.tick_of_price(&matching.resting, order.price)     # less one: see there
        cdef Taker *taker = &matching.taker
        cdef int reason
        begin(outcome)
        if taker.unfinished:
            outcome.status = MatchStatus.BUSY
            return MatchStatus.BUSY
        reason = acceptable(&matching.resting, order, tick)
        if reason != Reason.OK:
            return refuse(outcome, reason)
        taker.limit = <int64_t>tick + 1
        taker.rests = order.time_in_force == TimeInForce.GTC or order.time_in_force == TimeInForce.GTD
        if order.order_type == OrderType.MARKET:
            taker.limit = INT64_MAX - 1 if order.side == Side.BUY else 1
            taker.rests = False
        if (order.time_in_force == TimeInForce.FOK
                and not can_fill(&matching.resting, order.side, taker.limit, order.quantity)):
            return refuse(outcome, Reason.NO_LIQUIDITY)
        taker.order_id = order.order_id
        taker.owner = order.owner
        taker.side = order.side
        taker.remaining = order.quantity
        taker.filled = 0
        return advance(matching, reports, capacity, outcome)

    inline int resume(Matching *matching, MatchReport *reports, uint32_t capacity, Outcome *outcome) noexcept:
        """Go on with the order that `submit` left UNFINISHED; without one, REFUSED with UNKNOWN_ORDER."""
        begin(outcome)
        if not matching.taker.unfinished:
            return refuse(outcome, Reason.UNKNOWN_ORDER)
        return advance(matching, reports, capacity, outcome)

    inline int cancel(Matching *matching, uint64_t order_id, Outcome *outcome) noexcept:
        """Take an order out of the book; `outcome.cancelled` is what was left of it."""
        cdef Resting *book = &matching.resting
        cdef uint32_t slot
        cdef PriceLevel *level
        cdef int64_t tick
        cdef uint8_t side
        begin(outcome)
        if matching.taker.unfinished:
            outcome.status = MatchStatus.BUSY
            return MatchStatus.BUSY
        slot = resting.find_slot(book, order_id)
        if slot == 0:
            return refuse(outcome, Reason.UNKNOWN_ORDER)
        tick = book.orders[slot].tick
        side = resting.side_of(book, tick)
        outcome.cancelled = book.orders[slot].quantity
        level = queue_ladder.find(&book.ladder, tick)
        resting.remove(book, level, slot)
        resting.note_change(book, level, tick, side)
        if level.head == 0:
            resting.close_level(book, tick, side)
            resting.keep_touch_in_ring(book, book.best_bid, book.best_ask)
        return MatchStatus.FINISHED

    inline int reduce(Matching *matching, uint64_t order_id, int64_t quantity, Outcome *outcome) noexcept:
        """Take `quantity` off a resting order, which keeps its place; the whole of it, and it is gone.

        `outcome.cancelled` is what was taken off, `outcome.resting` what is left.
        """
        cdef Resting *book = &matching.resting
        cdef uint32_t slot = resting.find_slot(book, order_id)
        cdef PriceLevel *level
        cdef int64_t tick
        if slot == 0 or quantity >= book.orders[slot].quantity:
            return cancel(matching, order_id, outcome)
        begin(outcome)
        if matching.taker.unfinished:
            outcome.status = MatchStatus.BUSY
            return MatchStatus.BUSY
        if quantity <= 0:
            return refuse(outcome, Reason.QUANTITY_NOT_POSITIVE)
        tick = book.orders[slot].tick
        level = queue_ladder.find(&book.ladder, tick)
        book.orders[slot].quantity -= quantity
        level.quantity -= quantity
        resting.note_change(book, level, tick, resting.side_of(book, tick))
        outcome.cancelled = quantity
        outcome.resting = book.orders[slot].quantity
        return MatchStatus.FINISHED

    inline int apply(Matching *matching, const Instruction *instruction, MatchReport *reports, uint32_t capacity,
                     Outcome *outcome) noexcept:
        """An order or a cancel, by `instruction.kind`."""
        if instruction.kind == ChildKind.CANCEL_ORDER:
            return cancel(matching, instruction.order_id, outcome)
        return submit(matching, instruction, reports, capacity, outcome)


cdef class MatchingEngine:
    """Owns the memory of a Matching."""
    cdef Matching matching
    cdef MatchReport *reports

    cdef void set_tick(self, int64_t tick) noexcept
    cdef int allocate(self, uint32_t capacity, uint32_t window, uint32_t changes) except -1
