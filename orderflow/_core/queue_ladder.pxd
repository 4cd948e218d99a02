"""Price levels of a matching engine by tick: a ring of ticks around the touch, and two sorted arrays for the rest.

Why: orders arrive, leave and trade near the touch, so those levels are an array indexed by `tick & mask`, with one bit
a level to find the next occupied one (64 ticks a word, a summary bit a word). The ring covers [base, base + window);
moving it along with the market relabels slots instead of copying them: only levels that fall off one end or come in
at the other are touched. Prices anywhere else are exact too: they lie in `below` and `above`, sorted with the one
nearest to the ring last, so that a slide appends to one array and pops from the other. Bids and asks share all of it:
a resting book is never crossed, so everything up to the best bid is a bid and everything else an ask.

Worst cases. Next occupied level in the ring: window / 4096 summary words (16 for 65 536 ticks). A level outside the
ring: a binary search, plus a move of up to as many 32-byte entries as there are such levels when one appears or
vanishes. A slide: window / 64 words plus the levels that change place. Nothing overflows: each array has room for as
many levels as there can be orders.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memmove, memset


cdef extern from *:
    int lowest_bit "__builtin_ctzll"(uint64_t) noexcept nogil
    int leading_zeros "__builtin_clzll"(uint64_t) noexcept nogil


cdef struct PriceLevel:         # the queue of one price; all zero when nobody rests there
    int64_t quantity            # sum over the queue
    uint32_t head               # first in time; slots of the order pool, 0 = none
    uint32_t tail
    uint32_t orders
    uint32_t changed            # bit 0 bid, bit 1 ask: already noted since the last drain


cdef struct FarLevel:
    int64_t tick
    PriceLevel level


cdef struct Ladder:
    PriceLevel *levels          # ring: tick t lies at t & mask while base <= t <= base + mask
    uint64_t *words             # bit per slot: occupied
    uint64_t *summary           # bit per word: not zero
    FarLevel *below             # ascending: nearest to the ring last
    FarLevel *above             # descending: nearest to the ring last
    int64_t base                # a multiple of 64, so that a word enters and leaves the ring whole
    uint32_t mask               # window - 1; the window is a power of two, 64 at least
    uint32_t word_mask
    uint32_t summary_mask
    uint32_t below_count
    uint32_t above_count


cdef nogil:
    inline bint in_ring(const Ladder *ladder, int64_t tick) noexcept:
        return <uint64_t>(tick - ladder.base) <= ladder.mask

    inline int64_t tick_of_slot(const Ladder *ladder, uint32_t slot) noexcept:
        return ladder.base + <int64_t>((slot - <uint32_t>ladder.base) & ladder.mask)

    inline uint32_t below_position(const Ladder *ladder, int64_t tick) noexcept:
        """Number of entries of `below` with a smaller tick."""
        cdef uint32_t low = 0
        cdef uint32_t high = ladder.below_count
        cdef uint32_t middle
        while low < high:
            middle = (low + high) // 2
            if ladder.below[middle].tick < tick:
                low = middle + 1
            else:
                high = middle
        return low

    inline uint32_t above_position(const Ladder *ladder, int64_t tick) noexcept:
        """Number of entries of `above` with a larger tick."""
        cdef uint32_t low = 0
        cdef uint32_t high = ladder.above_count
        cdef uint32_t middle
        while low < high:
            middle = (low + high) // 2
            if ladder.above[middle].tick > tick:
                low = middle + 1
            else:
                high = middle
        return low

    inline PriceLevel *find(const Ladder *ladder, int64_t tick) noexcept:
        """The level at `tick`: perhaps empty inside the ring, NULL where there is none outside it."""
        cdef uint32_t at
        if in_ring(ladder, tick):
            return &ladder.levels[tick & ladder.mask]
        if tick < ladder.base:
            at = below_position(ladder, tick)
            return &ladder.below[at].level if at < ladder.below_count and ladder.below[at].tick == tick else NULL
        at = above_position(ladder, tick)
        return &ladder.above[at].level if at < ladder.above_count and ladder.above[at].tick == tick else NULL

    inline PriceLevel *insert_far(FarLevel *entries, uint32_t *count, uint32_t at, int64_t tick) noexcept:
        memmove(&entries[at + 1], &entries[at], (count[0] - at) * sizeof(FarLevel))
        memset(&entries[at], 0, sizeof(FarLevel))
        entries[at].tick = tick
        count[0] += 1
        return &entries[at].level

    inline void remove_far(FarLevel *entries, uint32_t *count, uint32_t at) noexcept:
        count[0] -= 1
        memmove(&entries[at], &entries[at + 1], (count[0] - at) * sizeof(FarLevel))

    inline void mark(Ladder *ladder, uint32_t slot) noexcept:
        cdef uint32_t word = slot >> 6
        ladder.words[word] |= <uint64_t>1 << (slot & 63)
        ladder.summary[word >> 6] |= <uint64_t>1 << (word & 63)

    inline PriceLevel *occupy(Ladder *ladder, int64_t tick) noexcept:
        """The level at `tick` for an order to rest in, made if there is none."""
        cdef PriceLevel *level
        if in_ring(ladder, tick):
            mark(ladder, <uint32_t>(tick & ladder.mask))
            return &ladder.levels[tick & ladder.mask]
        level = find(ladder, tick)
        if level is not NULL:
            return level
        if tick < ladder.base:
            return insert_far(ladder.below, &ladder.below_count, below_position(ladder, tick), tick)
        return insert_far(ladder.above, &ladder.above_count, above_position(ladder, tick), tick)

    inline void vacate(Ladder *ladder, int64_t tick) noexcept:
        """The last order of the level at `tick` has left."""
        cdef uint32_t word
        if in_ring(ladder, tick):
            word = <uint32_t>(tick & ladder.mask) >> 6
            ladder.words[word] &= ~(<uint64_t>1 << (tick & 63))
            if ladder.words[word] == 0:
                ladder.summary[word >> 6] &= ~(<uint64_t>1 << (word & 63))
        elif tick < ladder.base:
            remove_far(ladder.below, &ladder.below_count, below_position(ladder, tick))
        else:
            remove_far(ladder.above, &ladder.above_count, above_position(ladder, tick))

    inline int64_t ring_above(const Ladder *ladder, int64_t tick) noexcept:
        """Lowest occupied tick of the ring that is larger than `tick`, which lies in it; 0 = none."""
        cdef uint32_t slot = <uint32_t>(tick & ladder.mask)
        cdef uint32_t word = slot >> 6
        cdef uint64_t bits = ladder.words[word] & (~<uint64_t>1 << (slot & 63))
        cdef uint32_t _i, group
        cdef int64_t found
        if bits != 0:
            return tick + lowest_bit(bits) - <int64_t>(slot & 63)
        word = (word + 1) & ladder.word_mask
        group = word >> 6
        bits = ladder.summary[group] & (~<uint64_t>0 << (word & 63))
        for _i in range(ladder.summary_mask + 2):
            if bits != 0:
                word = group * 64 + <uint32_t>lowest_bit(bits)
                found = tick_of_slot(ladder, word * 64 + <uint32_t>lowest_bit(ladder.words[word]))
                return found if found > tick else 0     # else the search went around the ring
            group = (group + 1) & ladder.summary_mask
            bits = ladder.summary[group]
        return 0

    inline int64_t ring_below(const Ladder *ladder, int64_t tick) noexcept:
        """Highest occupied tick of the ring that is smaller than `tick`, which lies in it; 0 = none."""
        cdef uint32_t slot = <uint32_t>(tick & ladder.mask)
        cdef uint32_t word = slot >> 6
        cdef uint64_t bits = ladder.words[word] & ((<uint64_t>1 << (slot & 63)) - 1)
        cdef uint32_t _i, group
        cdef int64_t found
        if bits != 0:
            return tick - <int64_t>(slot & 63) + 63 - leading_zeros(bits)
        word = (word - 1) & ladder.word_mask
        group = word >> 6
        bits = ladder.summary[group] & (~<uint64_t>0 >> (63 - (word & 63)))
        for _i in range(ladder.summary_mask + 2):
            if bits != 0:
                word = group * 64 + 63 - <uint32_t>leading_zeros(bits)
                found = tick_of_slot(ladder, word * 64 + 63 - <uint32_t>leading_zeros(ladder.words[word]))
                return found if found < tick else 0
            group = (group - 1) & ladder.summary_mask
            bits = ladder.summary[group]
        return 0

    inline int64_t next_above(const Ladder *ladder, int64_t tick) noexcept:
        """Lowest occupied tick larger than `tick`; 0 = none."""
        cdef int64_t last = ladder.base + ladder.mask
        cdef int64_t found
        cdef uint32_t at
        if tick < ladder.base:
            at = below_position(ladder, tick + 1)
            if at < ladder.below_count:
                return ladder.below[at].tick
            if ladder.words[(ladder.base & ladder.mask) >> 6] & 1:
                return ladder.base
            tick = ladder.base
        if tick <= last:
            found = ring_above(ladder, tick)
            if found != 0:
                return found
            tick = last
        at = above_position(ladder, tick)
        return ladder.above[at - 1].tick if at > 0 else 0

    inline int64_t next_below(const Ladder *ladder, int64_t tick) noexcept:
        """Highest occupied tick smaller than `tick`; 0 = none."""
        cdef int64_t last = ladder.base + ladder.mask
        cdef int64_t found
        cdef uint32_t at
        if tick > last:
            at = above_position(ladder, tick - 1)
            if at < ladder.above_count:
                return ladder.above[at].tick
            if ladder.words[(last & ladder.mask) >> 6] >> 63:
                return last
            tick = last
        if tick >= ladder.base:
            found = ring_below(ladder, tick)
            if found != 0:
                return found
            tick = ladder.base
        at = below_position(ladder, tick)
        return ladder.below[at - 1].tick if at > 0 else 0

    inline void put_back(Ladder *ladder, FarLevel *entry) noexcept:
        """Place a level that left one end, or came out of a far array, where the ring's new base wants it."""
        cdef uint32_t slot
        if in_ring(ladder, entry.tick):
            slot = <uint32_t>(entry.tick & ladder.mask)
            ladder.levels[slot] = entry.level
            mark(ladder, slot)
        elif entry.tick < ladder.base:
            ladder.below[ladder.below_count] = entry[0]
            ladder.below_count += 1
        else:
            ladder.above[ladder.above_count] = entry[0]
            ladder.above_count += 1

    inline void empty_word(Ladder *ladder, uint32_t word, bint upwards) noexcept:
        """Move the levels of one word that left the ring to the far array on its side, in that array's order."""
        cdef int64_t first = ladder.base + <int64_t>((word * 64 - <uint32_t>ladder.base) & ladder.mask)
        cdef uint64_t bits = ladder.words[word]
        cdef uint32_t bit
        cdef FarLevel entry
        while bits != 0:
            bit = <uint32_t>lowest_bit(bits) if upwards else 63 - <uint32_t>leading_zeros(bits)
            bits &= ~(<uint64_t>1 << bit)
            entry.tick = first + bit
            entry.level = ladder.levels[word * 64 + bit]
            memset(&ladder.levels[word * 64 + bit], 0, sizeof(PriceLevel))
            if upwards:
                ladder.below[ladder.below_count] = entry
                ladder.below_count += 1
            else:
                ladder.above[ladder.above_count] = entry
                ladder.above_count += 1
        ladder.words[word] = 0
        ladder.summary[word >> 6] &= ~(<uint64_t>1 << (word & 63))

    inline void slide(Ladder *ladder, int64_t base) noexcept:
        """Let the ring cover [base, base + window). No `changed` mark may be set on an empty level."""
        cdef int64_t distance = base - ladder.base
        cdef bint upwards = distance > 0
        cdef uint64_t words = <uint64_t>(distance if upwards else -distance) >> 6
        cdef uint32_t first = <uint32_t>(ladder.base & ladder.mask) >> 6
        cdef uint32_t i
        cdef FarLevel entry
        if words > ladder.word_mask:
            words = <uint64_t>ladder.word_mask + 1
        for i in range(<uint32_t>words):
            empty_word(ladder, (first + i if upwards else first - 1 - i) & ladder.word_mask, upwards)
        ladder.base = base
        if upwards:
            while ladder.above_count > 0 and ladder.above[ladder.above_count - 1].tick <= base + ladder.mask:
                ladder.above_count -= 1
                entry = ladder.above[ladder.above_count]
                put_back(ladder, &entry)
        else:
            while ladder.below_count > 0 and ladder.below[ladder.below_count - 1].tick >= base:
                ladder.below_count -= 1
                entry = ladder.below[ladder.below_count]
                put_back(ladder, &entry)
