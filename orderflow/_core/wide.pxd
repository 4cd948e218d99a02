"""Money wider than a word: products of two scaled 64-bit numbers, sums of such products, and totals of 192 bits.

An all-in price is price * (1e8 +- fee), up to 90 bits, and it is multiplied by a quantity: more than 128 bits hold.
Such a total is a Wide, high * 2**64 + low with the sign in high, and only what is needed exists: add a product,
subtract, compare, divide.

Cython sees `int128` as a `long long`, the C++ compiler as what it is. So an operand is cast before it is multiplied,
and every intermediate value has a variable of its own: Cython would give an anonymous temporary 64 bits.
"""
from libc.stdint cimport int64_t, uint64_t

from orderflow._core.fixed cimport int128


cdef struct Wide:
    int128 high
    uint64_t low


cdef nogil:
    inline int128 product(int64_t left, int64_t right) noexcept:
        """left * right, exact for every pair of int64."""
        return <int128>left * <int128>right

    inline int128 share(int128 amount, int64_t part, int64_t whole) noexcept:
        """amount * part / whole rounded towards zero, for 0 <= part <= whole, whole > 0, without a 192-bit product."""
        cdef int128 quotient = amount / <int128>whole
        cdef int128 remainder = amount - quotient * <int128>whole
        cdef int128 rest = remainder * <int128>part
        return quotient * <int128>part + rest / <int128>whole

    inline void clear(Wide *total) noexcept:
        total.high = 0
        total.low = 0

    inline void add_product(Wide *total, int128 factor, int64_t times) noexcept:
        """total += factor * times; `times` is not negative."""
        cdef int128 lower = <int128><uint64_t>factor * <uint64_t>times      # below 2**127: times has 63 bits
        cdef uint64_t before = total.low
        total.low += <uint64_t>lower
        total.high += (factor >> 64) * times + (lower >> 64) + (total.low < before)

    inline void subtract(Wide *total, const Wide *less) noexcept:
        total.high -= less.high + (total.low < less.low)
        total.low -= less.low

    inline int128 quotient(const Wide *total, int64_t divisor) noexcept:
        """total / divisor rounded down, for a positive divisor and a quotient of less than 127 bits."""
        cdef int128 upper = total.high / <int128>divisor
        cdef int128 rest = total.high - upper * <int128>divisor
        if rest < 0:
            upper -= 1
            rest += <int128>divisor
        rest = (rest << 64) + total.low
        upper = upper << 64
        return upper + rest / <int128>divisor

    inline int compare(const Wide *a, const Wide *b) noexcept:
        """-1, 0 or 1 as a is below, at or above b."""
        if a.high != b.high:
            return 1 if a.high > b.high else -1
        return (a.low > b.low) - (a.low < b.low)
