"""Totals of money that no input can overflow: non-negative, 192 bits, exact.

An all-in price is price * (1e8 +- fee), up to 90 bits, and it is multiplied by a quantity: more than 128 bits hold.
So a total is two words, high * 2**64 + low, and only what is needed exists: add a product, compare.
"""
from libc.stdint cimport int64_t, uint64_t

from orderflow._core.fixed cimport int128


cdef struct Wide:
    int128 high
    uint64_t low


cdef nogil:
    inline void clear(Wide *total) noexcept:
        total.high = 0
        total.low = 0

    inline void add_product(Wide *total, int128 factor, int64_t times) noexcept:
        """total += factor * times; neither is negative."""
        cdef int128 lower = <int128><uint64_t>factor * <uint64_t>times      # below 2**127: times has 63 bits
        cdef uint64_t before = total.low
        total.low += <uint64_t>lower
        total.high += (factor >> 64) * times + (lower >> 64) + (total.low < before)

    inline int compare(const Wide *a, const Wide *b) noexcept:
        """-1, 0 or 1 as a is below, at or above b."""
        if a.high != b.high:
            return 1 if a.high > b.high else -1
        return (a.low > b.low) - (a.low < b.low)
