"""Times of Binance's JSON, market data and orders alike."""
from libc.stdint cimport int64_t

from orderflow._core cimport fixed, json


cdef nogil:
    inline int64_t unix_ns(json.Cursor *c, int64_t value) noexcept:
        """Nanoseconds of a time in milliseconds, or in microseconds where the connection asked for them."""
        if 0 <= value < 9_000_000_000_000LL:              # until the year 2255
            return value * 1_000_000
        if 0 <= value < 9_000_000_000_000_000LL:
            return value * 1_000
        json.fail(c, fixed.NUMBER_RANGE)
        return 0
