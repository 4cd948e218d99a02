"""One side of an order book: levels in, levels out, exact at every price.

Prices that trade lie on a grid of ticks. Most updates lie within 100 000 ticks of the touch but not near it (Binance
spot BTCUSDT: 14 % within 4096 ticks, 96 % within 65 536), so a sorted array pays for long moves and a tree for its
depth. Here a tick near the touch has a fixed place:

    cost      price, negated for bids: on both sides the best level costs least, and one code serves both
    rank      tick index of a cost on the grid: cost = rank * tick
    window    quantities of consecutive ranks, see window.pxd
    far       levels outside the window or off the grid (old resting orders may be), an array sorted by cost

Every level is in exactly one of the two, and readers merge them. Inside the window an update reads one word of the
bitmap and writes three, without a branch that depends on the data and without reading the quantity it replaces: the
bitmap stays in the first-level cache, the quantities need not. The window begins an eighth of its size before the best
level and follows when the best level leaves its first quarter: it moves rarely, and only levels that leave or enter
are touched.

Worst case. A level outside the window: a binary search and a move of at most far_capacity levels of 16 bytes. A touch
that jumps further than the window: every level changes between window and far, once. Nothing is ever dropped: when far
is full `apply` stops and says so.
"""
from cython cimport unlikely
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memmove
from libcpp.bit cimport rotr

from orderflow._core cimport window
from orderflow._core.types cimport BookFault, Level
from orderflow._core.window cimport NO_RANK, Window


cdef enum:
    BATCH = 64                  # levels located before they are applied


cdef extern from "<stdint.h>" nogil:
    const int64_t PRICE_END "(INT64_C(1) << 62)"        # prices are below it, as every listing's scale makes them


cdef struct Ladder:
    Window near
    int64_t first               # first rank of the window that is a price
    uint64_t span               # so many ranks from `first` on are prices in the window
    uint64_t inverse            # of the tick's odd part, modulo 2**64
    int64_t sign                # 0 for asks, -1 for bids
    int64_t best                # lowest rank with a level in the window, NO_RANK = none
    Level *far                  # best first; `price` holds the cost
    uint32_t far_count
    uint32_t far_capacity
    int64_t tick
    int64_t limit               # tick index of the highest price on the grid
    int shift                   # of the tick's even part
    uint32_t recentrings
    uint64_t levels_applied     # entries of updates, whether or not they changed something
    uint64_t deletes_of_absent


cdef nogil:
    inline int64_t flip(const Ladder *side, int64_t value) noexcept:
        """Price to cost, cost to price."""
        return (value ^ side.sign) - side.sign

    inline uint64_t offset_of(const Ladder *side, int64_t price) noexcept:
        """Rank of `price` less `first`. At least `span` for a price outside the window, off the grid or not positive.

        Exact division by multiplying with the inverse (Granlund and Montgomery, Division by Invariant Integers using
        Multiplication, 1994, section 9): multiples of the tick, and only they, give at most (2**64 - 1) / tick.
        """
        cdef uint64_t sign = <uint64_t>side.sign
        return ((rotr(<uint64_t>price * side.inverse, side.shift) ^ sign) - sign) - <uint64_t>side.first

    inline uint32_t find_far(const Ladder *side, int64_t cost) noexcept:
        """Index of the first far level that costs `cost` or more."""
        cdef const Level *low = side.far
        cdef uint32_t remaining = side.far_count
        cdef uint32_t half
        if remaining == 0:
            return 0
        while remaining > 1:
            half = remaining >> 1
            low += half & -<uint32_t>(low[half - 1].price < cost)       # a mask, so that nothing is mispredicted
            remaining -= half
        return <uint32_t>(low - side.far) + (low.price < cost)

    inline void shift_far(Ladder *side, uint32_t source, uint32_t target) noexcept:
        """Move the far levels from index `source` on to index `target`: open or close a gap."""
        if source != target:
            memmove(&side.far[target], &side.far[source], (side.far_count - source) * sizeof(Level))
            side.far_count = side.far_count - source + target

    # The window and its moves.

    inline int64_t base_for(const Ladder *side, int64_t rank) noexcept:
        """Where the window begins when `rank` is the best: an eighth of it is room to improve."""
        return (rank - (side.near.size >> 3)) & ~<int64_t>63

    inline void set_window(Ladder *side, int64_t base) noexcept:
        """Let the window begin at `base`; ranks that leave or enter must be empty, and some rank in it be a price."""
        cdef int64_t lowest = -side.limit if side.sign else 1
        cdef int64_t highest = -1 if side.sign else side.limit
        side.near.base = base
        side.first = max(base, lowest)
        side.span = <uint64_t>(min(base + side.near.size - 1, highest) - side.first + 1)

    inline void spill(Ladder *side, int64_t low, uint32_t leaving) noexcept:
        """Move `leaving` levels of the window, from rank `low` on, among the far levels."""
        cdef int64_t rank = window.next_rank(&side.near, low)
        cdef uint32_t write, read
        if leaving == 0:
            return
        write = find_far(side, rank * side.tick)
        read = write + leaving
        shift_far(side, write, read)
        while write != read:                    # the gap closes as levels are merged into it
            if read < side.far_count and side.far[read].price < rank * side.tick:
                side.far[write] = side.far[read]
                read += 1
            else:
                side.far[write].price = rank * side.tick
                side.far[write].quantity = window.get(&side.near, rank)
                window.take(&side.near, rank)
                rank = window.next_rank(&side.near, rank + 1)
            write += 1

    inline void absorb(Ladder *side, int64_t low, int64_t high) noexcept:
        """Move the far levels on the grid in low <= rank < high, a part of the window, into it."""
        cdef int64_t lowest = max(low, side.first)
        cdef int64_t highest = min(high - 1, side.first + <int64_t>side.span - 1)
        cdef uint32_t read, write
        cdef Level level
        if lowest > highest:
            return
        write = read = find_far(side, lowest * side.tick)
        while read < side.far_count and side.far[read].price <= highest * side.tick:
            level = side.far[read]
            if level.price % side.tick == 0:
                window.put(&side.near, level.price // side.tick, level.quantity)
            else:
                side.far[write] = level
                write += 1
            read += 1
        shift_far(side, read, write)

    inline void recentre(Ladder *side, int64_t base) noexcept:
        """Move the window to `base`, unless far has no room for what it would leave behind."""
        cdef int64_t old = side.near.base
        cdef int64_t old_end = old + side.near.size
        cdef int64_t end = base + side.near.size
        cdef bint forward = base > old
        cdef int64_t leave = old if forward else max(old, end)
        cdef uint32_t leaving
        if base == old:
            return
        leaving = window.population(&side.near, leave, min(base, old_end) if forward else old_end)
        if leaving > side.far_capacity - side.far_count:
            return
        spill(side, leave, leaving)
        set_window(side, base)
        if forward:
            absorb(side, max(base, old_end), end)
        else:
            absorb(side, base, min(old, end))
        side.best = window.next_rank(&side.near, base) if side.near.count else NO_RANK
        side.recentrings += 1

    inline void settle(Ladder *side) noexcept:
        """After a batch: `best` was a lower bound and becomes exact, and the window follows the touch."""
        cdef int64_t rank
        side.best = window.next_rank(&side.near, side.best) if side.near.count else NO_RANK
        rank = side.best
        if side.far_count and (rank == NO_RANK or side.far[0].price < rank * side.tick):
            rank = side.far[0].price // side.tick
        if rank != NO_RANK and <uint64_t>(rank - side.near.base) > <uint64_t>side.near.size >> 2:
            recentre(side, base_for(side, rank))

    inline void anchor(Ladder *side, const Level *levels, uint32_t number) noexcept:
        """Place the window of an empty side by the best of the levels that are about to come, in whatever order."""
        cdef int64_t cost = NO_RANK
        cdef uint32_t i
        for i in range(number):
            if 0 < levels[i].price < PRICE_END and levels[i].quantity > 0:
                cost = min(cost, flip(side, levels[i].price))
        if cost != NO_RANK:
            set_window(side, base_for(side, cost // side.tick))

    # Updates.

    inline int apply_far(Ladder *side, int64_t price, int64_t quantity) noexcept:
        """One level that is outside the window, off the grid, or no level at all."""
        cdef int64_t cost
        cdef uint32_t at
        if price <= 0 or price >= PRICE_END or quantity < 0:
            return BookFault.MALFORMED
        cost = flip(side, price)
        at = find_far(side, cost)
        if at < side.far_count and side.far[at].price == cost:
            if quantity:
                side.far[at].quantity = quantity
            else:
                shift_far(side, at + 1, at)
        elif quantity == 0:
            side.deletes_of_absent += 1
        elif side.far_count == side.far_capacity:
            return BookFault.FULL
        else:
            shift_far(side, at, at + 1)
            side.far[at].price = cost
            side.far[at].quantity = quantity
        return BookFault.NO_FAULT

    inline void apply_near(Ladder *side, const Level *located, uint32_t number) noexcept:
        """Levels in the window, `price` holding the offset of the rank from `first`. No branch depends on the data."""
        cdef uint64_t size = <uint64_t>side.near.size
        cdef int64_t *quantities = side.near.quantities
        cdef uint64_t *words = side.near.words
        cdef uint64_t *summary = side.near.summary
        cdef uint64_t first = <uint64_t>side.first
        cdef uint64_t best = ~<uint64_t>0
        cdef uint64_t added = 0
        cdef uint64_t absent = 0
        cdef uint64_t offset, slot, word, deleted, before
        cdef uint32_t i
        for i in range(number):
            offset = <uint64_t>located[i].price
            slot = (first + offset) & (size - 1)
            deleted = <uint64_t>(located[i].quantity == 0)
            word = words[slot >> 6]
            before = word >> (slot & 63) & 1
            words[slot >> 6] = word ^ ((before ^ deleted ^ 1) << (slot & 63))
            summary[slot >> 12] |= (deleted ^ 1) << (slot >> 6 & 63)
            added += 1 - deleted - before
            absent += deleted & ~before
            deleted = -deleted                  # from here on a mask
            best = min(best, offset | deleted)
            quantities[(slot & ~deleted) | (size & deleted)] = located[i].quantity
        if best < side.span:
            side.best = min(side.best, side.first + <int64_t>best)
        side.near.count += <uint32_t>added
        side.deletes_of_absent += absent

    inline int apply(Ladder *side, const Level *levels, uint32_t number) noexcept:
        """Set the absolute quantity of each level in turn; 0 deletes. Returns a BookFault, see `book.apply`."""
        cdef Level located[BATCH]
        cdef uint32_t located_count = 0
        cdef uint32_t i
        cdef uint64_t offset
        cdef int fault = BookFault.NO_FAULT
        if side.near.count == 0 and side.far_count == 0:
            anchor(side, levels, number)
        for i in range(number):
            offset = offset_of(side, levels[i].price)
            if unlikely(offset >= side.span or levels[i].quantity < 0):
                fault = apply_far(side, levels[i].price, levels[i].quantity)
                if fault:
                    break
                continue
            located[located_count].price = <int64_t>offset
            located[located_count].quantity = levels[i].quantity
            located_count += 1
            if located_count == BATCH:
                apply_near(side, located, BATCH)
                located_count = 0
        apply_near(side, located, located_count)
        side.levels_applied += i if fault else number
        settle(side)
        return fault

    inline void clear(Ladder *side) noexcept:
        """No levels; the counters go on."""
        cdef int64_t rank = side.best
        while rank != NO_RANK:
            window.take(&side.near, rank)
            rank = window.next_rank(&side.near, rank + 1)
        side.best = NO_RANK
        side.far_count = 0

    inline void truncate(Ladder *side, uint32_t depth) noexcept:
        """Keep the best `depth` levels."""
        cdef int64_t rank
        if count(side) <= depth:
            return
        rank = window.previous_rank(&side.near, side.near.base + side.near.size - 1)
        while count(side) > depth:
            if side.far_count and (rank == NO_RANK or side.far[side.far_count - 1].price > rank * side.tick):
                side.far_count -= 1
            else:
                window.take(&side.near, rank)
                rank = window.previous_rank(&side.near, rank - 1)
        if side.near.count == 0:
            side.best = NO_RANK

    # Reading.

    inline uint32_t count(const Ladder *side) noexcept:
        return side.near.count + side.far_count

    inline bint best(const Ladder *side, Level *out) noexcept:
        """The best level; False and a level of zeros if there is none."""
        if side.far_count and (side.best == NO_RANK or side.far[0].price < side.best * side.tick):
            out.price = flip(side, side.far[0].price)
            out.quantity = side.far[0].quantity
            return True
        if side.best == NO_RANK:
            out.price = out.quantity = 0
            return False
        out.price = flip(side, side.best * side.tick)
        out.quantity = window.get(&side.near, side.best)
        return True

    inline bint behind(Ladder *side, int64_t price, Level *out) noexcept:
        """The best level that is worse than `price`, which is positive and need not be one; False if there is none."""
        cdef int64_t cost = flip(side, price)
        cdef int64_t rank = (cost - (side.tick - 1 if side.sign else 0)) // side.tick + 1   # the floor, and one more
        cdef uint32_t at = find_far(side, cost + 1)
        rank = NO_RANK if side.best == NO_RANK else window.next_rank(&side.near, max(rank, side.best))
        if at < side.far_count and (rank == NO_RANK or side.far[at].price < rank * side.tick):
            out.price = flip(side, side.far[at].price)
            out.quantity = side.far[at].quantity
            return True
        if rank == NO_RANK:
            return False
        out.price = flip(side, rank * side.tick)
        out.quantity = window.get(&side.near, rank)
        return True

    inline uint32_t top(Ladder *side, Level *out, uint32_t number) noexcept:
        """The best `number` levels, best first; returns how many there are."""
        cdef int64_t rank = side.best
        cdef uint32_t far = 0
        cdef uint32_t i
        for i in range(number):
            if rank != NO_RANK and (far == side.far_count or rank * side.tick < side.far[far].price):
                out[i].price = flip(side, rank * side.tick)
                out[i].quantity = window.get(&side.near, rank)
                rank = window.next_rank(&side.near, rank + 1)
            elif far < side.far_count:
                out[i].price = flip(side, side.far[far].price)
                out[i].quantity = side.far[far].quantity
                far += 1
            else:
                return i
        return number

    inline int64_t quantity_at(const Ladder *side, int64_t price) noexcept:
        """Quantity of the level at `price`, 0 if there is none."""
        cdef uint64_t offset = offset_of(side, price)
        cdef int64_t rank
        cdef uint32_t at
        if offset < side.span:
            rank = side.first + <int64_t>offset
            return window.get(&side.near, rank) if window.has(&side.near, rank) else 0
        if price <= 0:
            return 0
        at = find_far(side, flip(side, price))
        return side.far[at].quantity if at < side.far_count and side.far[at].price == flip(side, price) else 0
