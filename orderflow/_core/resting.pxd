"""Orders resting at one simulated exchange: queues by price, ids, the touch, and which levels changed.

Price levels lie in a ladder (queue_ladder.pxd says why). The orders of a level are a list through a preallocated pool,
linked by 32-bit slots, so that an order is half a cache line and leaving touches only its neighbours. Ids are found by
open addressing at a load of one half at most. A hash entry is 8 bytes, 32 bits of hash and the slot: a probe compares
there and looks at an order only when all 32 bits agree; deletion shifts entries back, so there are no tombstones and
speed does not depend on history. Worst cases: those of the ladder; ids chosen to collide (a probe as long as the
table); `queue_position`, which walks the queue.

Changed levels are noted once each in a bounded list, for depth diffs. When it overflows, `changes_lost` says so and
the whole depth has to be taken instead.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport queue_ladder
from orderflow._core.queue_ladder cimport Ladder, PriceLevel
from orderflow._core.types cimport Level, Reason, Side


cdef extern from "<algorithm>" namespace "std" nogil:
    void sort_words "std::sort"(uint64_t *first, uint64_t *last) noexcept
    uint64_t *unique_words "std::unique"(uint64_t *first, uint64_t *last) noexcept

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void *) noexcept nogil


cdef struct LevelChange:        # 24 bytes: the level as it is now; quantity 0 = gone
    int64_t price
    int64_t quantity
    uint8_t side
    uint8_t reserved[7]


cdef struct RestingOrder:       # 32 bytes, two to a cache line; its side follows from its tick and the touch
    uint64_t order_id
    int64_t tick
    int64_t quantity            # leaves
    uint32_t next               # towards the tail; in a free slot the next free slot
    uint32_t previous

cdef struct Resting:
    Ladder ladder
    RestingOrder *orders        # slot 0 is never used
    uint32_t *owners            # by slot: apart, because leaving the queue needs no look at it
    uint64_t *ids               # hash << 32 | slot; 0 = empty
    uint64_t *changes           # tick << 1 | is ask: levels changed since the last drain, in no order
    int64_t best_bid            # tick, 0 = none
    int64_t best_ask            # tick, INT64_MAX = none
    int64_t tick                # price step in the caller's scale
    uint64_t tick_inverse       # see tick_of_price
    uint64_t largest_tick
    uint32_t tick_shift
    uint32_t free_slot          # 0 = the pool is full
    uint32_t live               # orders
    uint32_t capacity
    uint32_t id_mask
    uint32_t id_shift
    uint32_t change_count
    uint32_t change_capacity
    uint8_t changes_lost        # more levels changed than the list holds


cdef nogil:
    inline uint64_t tick_of_price(const Resting *book, int64_t price) noexcept:
        """price / tick - 1, or at least `largest_tick` if price / tick is no whole positive number up to that.

        Exact division by an invariant: multiply by the inverse of the tick's odd part modulo 2**64, rotate its
        power of two away; non-multiples land above every quotient (Granlund and Montgomery, PLDI 1994, section 9).
        One is taken off so that zero lands up there too.
        """
        cdef uint64_t product = <uint64_t>price * book.tick_inverse
        return ((product >> book.tick_shift) | (product << ((64 - book.tick_shift) & 63))) - 1

    # ---- ids

    inline uint64_t id_hash(uint64_t order_id) noexcept:
        """Upper half of a Fibonacci hash: consecutive ids spread evenly."""
        return ((order_id ^ (order_id >> 32)) * <uint64_t>0x9E3779B97F4A7C15) >> 32

    inline uint32_t find_slot(const Resting *book, uint64_t order_id) noexcept:
        """Pool slot of a live order, 0 if there is none of that id."""
        cdef uint64_t tag = id_hash(order_id)
        cdef uint32_t at = <uint32_t>tag >> book.id_shift
        cdef uint64_t entry = book.ids[at]
        while entry != 0:
            if entry >> 32 == tag and book.orders[<uint32_t>entry].order_id == order_id:
                return <uint32_t>entry
            at = (at + 1) & book.id_mask
            entry = book.ids[at]
        return 0

    inline void expect_id(const Resting *book, uint64_t order_id) noexcept:
        """Start loading the id's hash entry: for callers that know what comes a few instructions later."""
        prefetch(&book.ids[<uint32_t>id_hash(order_id) >> book.id_shift])

    inline void expect_order(const Resting *book, uint64_t order_id) noexcept:
        """Start loading the order that the id's first hash entry names, right or wrong."""
        prefetch(&book.orders[<uint32_t>book.ids[<uint32_t>id_hash(order_id) >> book.id_shift]])

    inline void add_id(Resting *book, uint64_t order_id, uint32_t slot) noexcept:
        cdef uint64_t tag = id_hash(order_id)
        cdef uint32_t at = <uint32_t>tag >> book.id_shift
        while book.ids[at] != 0:
            at = (at + 1) & book.id_mask
        book.ids[at] = tag << 32 | slot

    inline void remove_id(Resting *book, uint64_t order_id, uint32_t slot) noexcept:
        cdef uint64_t tag = id_hash(order_id)
        cdef uint32_t hole = <uint32_t>tag >> book.id_shift
        cdef uint32_t at, home
        while book.ids[hole] != (tag << 32 | slot):
            hole = (hole + 1) & book.id_mask
        at = (hole + 1) & book.id_mask
        while book.ids[at] != 0:
            home = <uint32_t>(book.ids[at] >> 32) >> book.id_shift
            if ((at - home) & book.id_mask) >= ((at - hole) & book.id_mask):
                book.ids[hole] = book.ids[at]   # a search from its home must not stop at the hole
                hole = at
            at = (at + 1) & book.id_mask
        book.ids[hole] = 0

    # ---- levels

    inline void clear_marks(Resting *book) noexcept:
        cdef PriceLevel *level
        cdef uint32_t i
        for i in range(book.change_count):
            level = queue_ladder.find(&book.ladder, <int64_t>(book.changes[i] >> 1))
            if level is not NULL:
                level.changed = 0

    inline void compact_changes(Resting *book) noexcept:
        sort_words(book.changes, book.changes + book.change_count)
        book.change_count = <uint32_t>(unique_words(book.changes, book.changes + book.change_count) - book.changes)

    inline void note_change(Resting *book, PriceLevel *level, int64_t tick, uint8_t side) noexcept:
        cdef uint32_t bit = 1 if side == Side.BUY else 2
        if level.changed & bit or book.changes_lost:
            return
        if book.change_count == book.change_capacity:
            compact_changes(book)      # slides and far levels that came and went may have noted a level twice
            if book.change_count > book.change_capacity - (book.change_capacity >> 2) or book.change_capacity == 0:
                book.changes_lost = 1   # compacting again and again would make every change slow
                return
        level.changed |= bit
        book.changes[book.change_count] = <uint64_t>tick << 1 | (side == Side.SELL)
        book.change_count += 1

    inline void keep_touch_in_ring(Resting *book, int64_t bid, int64_t ask) noexcept:
        """Slide the ring when the touch (about to be bid, ask) is out of it or within an eighth of its ends.

        With a spread of more than half a window the ring follows one side and the other lives in a far array.
        """
        cdef int64_t window = <int64_t>book.ladder.mask + 1
        cdef int64_t lower = book.ladder.base + (window >> 3)
        cdef int64_t upper = book.ladder.base + window - (window >> 3)
        cdef bint no_bid = bid == 0
        cdef bint no_ask = ask == INT64_MAX
        cdef bint bid_well = no_bid or lower <= bid < upper
        cdef bint ask_well = no_ask or lower <= ask < upper
        cdef int64_t centre
        if bid_well and ask_well:
            return
        if no_bid:
            centre = ask
        elif no_ask:
            centre = bid
        elif ask - bid <= (window >> 1):
            centre = bid + ((ask - bid) >> 1)
        elif bid_well or ask_well:
            return
        else:
            centre = bid
        centre = (centre - (window >> 1) + 32) & ~<int64_t>63
        if centre < 0:
            centre = 0
        if centre != book.ladder.base:
            clear_marks(book)
            queue_ladder.slide(&book.ladder, centre)

    inline void remove(Resting *book, PriceLevel *level, uint32_t slot) noexcept:
        """Take an order out of queue, id table and pool; if the queue is empty then, `close_level` has to follow."""
        cdef RestingOrder *order = &book.orders[slot]
        if order.previous:
            book.orders[order.previous].next = order.next
        else:
            level.head = order.next
        if order.next:
            book.orders[order.next].previous = order.previous
        else:
            level.tail = order.previous
        level.quantity -= order.quantity
        level.orders -= 1
        remove_id(book, order.order_id, slot)
        order.next = book.free_slot
        book.free_slot = slot
        book.live -= 1

    inline uint8_t side_of(const Resting *book, int64_t tick) noexcept:
        """The side of whatever rests at `tick`."""
        return Side.BUY if tick <= book.best_bid else Side.SELL

    inline void close_level(Resting *book, int64_t tick, uint8_t side) noexcept:
        """The last order of a level has left."""
        cdef int64_t best
        queue_ladder.vacate(&book.ladder, tick)
        if side == Side.BUY:
            if tick == book.best_bid:
                book.best_bid = queue_ladder.next_below(&book.ladder, tick)
        elif tick == book.best_ask:
            best = queue_ladder.next_above(&book.ladder, tick)
            book.best_ask = best if best != 0 else INT64_MAX

    inline void add(Resting *book, uint64_t order_id, uint8_t side, int64_t tick, int64_t quantity,
                    uint32_t owner) noexcept:
        """Queue an order behind everybody at its price. A slot must be free and the price must not cross."""
        cdef uint32_t slot = book.free_slot
        cdef RestingOrder *order = &book.orders[slot]
        cdef PriceLevel *level
        if side == Side.BUY:
            if tick > book.best_bid:
                keep_touch_in_ring(book, tick, book.best_ask)
                book.best_bid = tick
        elif tick < book.best_ask:
            keep_touch_in_ring(book, book.best_bid, tick)
            book.best_ask = tick
        level = queue_ladder.occupy(&book.ladder, tick)
        book.free_slot = order.next
        book.live += 1
        order.order_id = order_id
        order.tick = tick
        order.quantity = quantity
        book.owners[slot] = owner
        order.next = 0
        order.previous = level.tail
        if level.tail:
            book.orders[level.tail].next = slot
        else:
            level.head = slot
        level.tail = slot
        level.orders += 1
        level.quantity += quantity
        add_id(book, order_id, slot)
        note_change(book, level, tick, side)

    # ---- questions

    inline int64_t quantity_at(const Resting *book, uint8_t side, int64_t price) noexcept:
        """Quantity resting at a price on one side."""
        cdef uint64_t tick = tick_of_price(book, price)
        cdef PriceLevel *level
        if tick >= book.largest_tick:
            return 0
        if (<int64_t>tick + 1 > book.best_bid) if side == Side.BUY else (<int64_t>tick + 1 < book.best_ask):
            return 0
        level = queue_ladder.find(&book.ladder, <int64_t>tick + 1)
        return level.quantity if level is not NULL else 0

    inline uint32_t depth(const Resting *book, uint8_t side, Level *out, uint32_t capacity) noexcept:
        """The best levels of one side, best first; returns how many there are, `capacity` at most."""
        cdef uint32_t count = 0
        cdef int64_t at = book.best_bid if side == Side.BUY else book.best_ask
        while at != 0 and at != INT64_MAX and count < capacity:
            out[count].price = at * book.tick
            out[count].quantity = queue_ladder.find(&book.ladder, at).quantity
            count += 1
            at = (queue_ladder.next_below(&book.ladder, at) if side == Side.BUY
                  else queue_ladder.next_above(&book.ladder, at))
        return count

    inline int queue_position(const Resting *book, uint64_t order_id, int64_t *quantity_ahead,
                              uint32_t *orders_ahead) noexcept:
        """What trades before this order at its price. Walks the queue; UNKNOWN_ORDER if the id is not live."""
        cdef uint32_t slot = find_slot(book, order_id)
        quantity_ahead[0] = 0
        orders_ahead[0] = 0
        if slot == 0:
            return Reason.UNKNOWN_ORDER
        slot = book.orders[slot].previous
        while slot:
            quantity_ahead[0] += book.orders[slot].quantity
            orders_ahead[0] += 1
            slot = book.orders[slot].previous
        return Reason.OK

    inline uint32_t drain_changes(Resting *book, LevelChange *out, uint32_t capacity) noexcept:
        """Levels that changed since they were last drained, each once, by rising price, as they are now.

        What does not fit stays for the next call. If `changes_lost` is set the list is incomplete: call
        `forget_changes` and take the whole depth.
        """
        cdef uint32_t count, i
        cdef PriceLevel *level
        cdef int64_t tick
        compact_changes(book)
        clear_marks(book)
        count = book.change_count if book.change_count < capacity else capacity
        for i in range(count):
            tick = <int64_t>(book.changes[i] >> 1)
            level = queue_ladder.find(&book.ladder, tick)
            out[i].price = tick * book.tick
            out[i].side = Side.SELL if book.changes[i] & 1 else Side.BUY
            out[i].quantity = 0
            if level is not NULL and (tick >= book.best_ask if book.changes[i] & 1 else tick <= book.best_bid):
                out[i].quantity = level.quantity
        for i in range(count, book.change_count):
            book.changes[i - count] = book.changes[i]
        book.change_count -= count
        return count

    inline void forget_changes(Resting *book) noexcept:
        clear_marks(book)
        book.change_count = 0
        book.changes_lost = 0
