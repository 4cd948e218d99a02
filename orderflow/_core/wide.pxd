"""128-bit integers: the product of two scaled 64-bit numbers, and sums of such products.

Cython sees `int128` as a `long long`, the C++ compiler as what it is. So an operand is cast before it is multiplied,
and every intermediate value has a variable of its own: Cython would give an anonymous temporary 64 bits. """
from libc.stdint cimport int64_t

cdef extern from *:
    ctypedef long long int128 "__int128"


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
