"""Parents that are not done, by instrument, in the order in which they came.

A market event concerns the parents of one instrument, and there may be a thousand of others: each instrument has a
doubly linked list through two arrays by slot, so that entering, leaving and going to the next one cost the same however
many there are. First come, first routed: a parent that came earlier takes liquidity before one that came later.

Whoever goes through a list may remove the parent that he stands on, after he has asked for the next one. Router thread
only.
"""
from libc.stdint cimport uint32_t

from orderflow._core.order_table cimport NONE


cdef struct ActiveParents:
    uint32_t *following         # by slot; NONE = the last of its instrument
    uint32_t *preceding         # by slot; NONE = the first
    uint32_t *first             # by instrument; NONE = it has none
    uint32_t *last              # by instrument
    uint32_t count
    uint32_t capacity           # slots


cdef nogil:
    inline bint is_full(const ActiveParents *self) noexcept:
        return self.count == self.capacity

    inline void enter(ActiveParents *self, uint32_t instrument, uint32_t slot) noexcept:
        """Behind those that are there; there is room."""
        cdef uint32_t before = self.last[instrument]
        self.preceding[slot] = before
        self.following[slot] = <uint32_t>NONE
        if before == <uint32_t>NONE:
            self.first[instrument] = slot
        else:
            self.following[before] = slot
        self.last[instrument] = slot
        self.count += 1

    inline bint is_in(const ActiveParents *self, uint32_t instrument, uint32_t slot) noexcept:
        return self.first[instrument] == slot or self.preceding[slot] != <uint32_t>NONE

    inline void leave(ActiveParents *self, uint32_t instrument, uint32_t slot) noexcept:
        """Nothing happens to one that is not in."""
        cdef uint32_t before = self.preceding[slot]
        cdef uint32_t after = self.following[slot]
        if not is_in(self, instrument, slot):
            return
        if before == <uint32_t>NONE:
            self.first[instrument] = after
        else:
            self.following[before] = after
        if after == <uint32_t>NONE:
            self.last[instrument] = before
        else:
            self.preceding[after] = before
        self.preceding[slot] = self.following[slot] = <uint32_t>NONE
        self.count -= 1
