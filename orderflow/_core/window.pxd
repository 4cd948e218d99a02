"""A window of consecutive ranks, each with a quantity or none, that moves without moving what is in it.

Rank r lies in slot r mod size. A bit per slot says that there is a quantity, a bit per 64 slots that there may be one:
it is cleared by the search that finds none, so an update never looks at its neighbours. A search reads at most
size / 4096 + 1 words of the summary, and those words that were emptied since the last search.

One thread reads and writes; searching tidies the bitmap.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libcpp.bit cimport countl_zero, countr_zero, popcount


cdef extern from "<stdint.h>" nogil:
    const int64_t NO_RANK "INT64_MAX"


cdef struct Window:
    int64_t *quantities         # by slot, valid where the bit is set; one more at the end takes writes that are void
    uint64_t *words             # bit per slot: there is a quantity
    uint64_t *summary           # bit per word: it may hold a bit
    int64_t size                # slots, a power of two, at least 4096
    int64_t base                # lowest rank, a multiple of 64: a word never holds both ends
    uint32_t count              # quantities


cdef nogil:
    inline uint64_t slot_of(const Window *window, int64_t rank) noexcept:
        return <uint64_t>(rank & (window.size - 1))

    inline int64_t get(const Window *window, int64_t rank) noexcept:
        """Quantity at a rank of the window that has one."""
        return window.quantities[slot_of(window, rank)]

    inline bint has(const Window *window, int64_t rank) noexcept:
        cdef uint64_t slot = slot_of(window, rank)
        return window.words[slot >> 6] >> (slot & 63) & 1

    inline void put(Window *window, int64_t rank, int64_t quantity) noexcept:
        """A quantity comes to an empty place."""
        cdef uint64_t slot = slot_of(window, rank)
        window.quantities[slot] = quantity
        window.words[slot >> 6] |= <uint64_t>1 << (slot & 63)
        window.summary[slot >> 12] |= <uint64_t>1 << (slot >> 6 & 63)
        window.count += 1

    inline void take(Window *window, int64_t rank) noexcept:
        """The quantity at `rank` goes."""
        cdef uint64_t slot = slot_of(window, rank)
        window.words[slot >> 6] &= ~(<uint64_t>1 << (slot & 63))
        window.count -= 1

    inline uint32_t population(const Window *window, int64_t low, int64_t high) noexcept:
        """How many there are in low <= rank < high, both multiples of 64."""
        cdef uint32_t total = 0
        while low < high:
            total += popcount(window.words[slot_of(window, low) >> 6])
            low += 64
        return total

    inline int64_t next_rank(Window *window, int64_t rank) noexcept:
        """Lowest rank with a quantity from `rank` (in the window or its end) on; NO_RANK if there is none."""
        cdef int64_t end = window.base + window.size
        cdef uint64_t at, bits
        if rank >= end:
            return NO_RANK
        bits = window.words[slot_of(window, rank) >> 6] >> (rank & 63)
        if bits:
            return rank + countr_zero(bits)
        rank = (rank | 63) + 1
        while rank < end:                       # rank is the first of a word
            at = slot_of(window, rank) >> 6
            bits = window.summary[at >> 6] >> (at & 63)
            if bits == 0:
                rank += <int64_t>(64 - (at & 63)) << 6
                continue
            rank += <int64_t>countr_zero(bits) << 6
            if rank >= end:
                break
            at = slot_of(window, rank) >> 6
            bits = window.words[at]
            if bits:
                return rank + countr_zero(bits)
            window.summary[at >> 6] &= ~(<uint64_t>1 << (at & 63))
        return NO_RANK

    inline int64_t previous_rank(Window *window, int64_t rank) noexcept:
        """Highest rank with a quantity from `rank` (in the window or just before it) down; NO_RANK if there is none."""
        cdef uint64_t at, bits
        if rank < window.base:
            return NO_RANK
        bits = window.words[slot_of(window, rank) >> 6] << (63 - (rank & 63))
        if bits:
            return rank - countl_zero(bits)
        rank = (rank & ~<int64_t>63) - 1
        while rank >= window.base:              # rank is the last of a word
            at = slot_of(window, rank) >> 6
            bits = window.summary[at >> 6] << (63 - (at & 63))
            if bits == 0:
                rank -= <int64_t>((at & 63) + 1) << 6
                continue
            rank -= <int64_t>countl_zero(bits) << 6
            if rank < window.base:
                break
            at = slot_of(window, rank) >> 6
            bits = window.words[at]
            if bits:
                return rank - countl_zero(bits)
            window.summary[at >> 6] &= ~(<uint64_t>1 << (at & 63))
        return NO_RANK
