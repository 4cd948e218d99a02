"""A loop around one split: a native stamp before it and one after."""
from libc.stdint cimport int64_t, uint8_t, uint32_t

import numpy as np

from orderflow._core cimport allocation
from orderflow._core.allocation cimport Allocation, Splitter

cdef extern from *:
    """
    #include <time.h>
    static inline int64_t split_now(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000000000LL + now.tv_nsec;
    }
    """
    int64_t clock_ns "split_now"() noexcept nogil


def time_splits(Splitter splitter, uint8_t side, const int64_t[::1] quantities, uint32_t rounds):
    """Split each quantity `rounds` times over the market of the splitter's last split.

    Returns nanoseconds of shape (rounds, quantities), and of each quantity nodes and whether greedy was certified.
    """
    cdef uint32_t count = <uint32_t>len(splitter.listings)
    cdef uint32_t n = <uint32_t>len(quantities)
    out, looked_at, proven = np.empty((rounds, n), np.int64), np.empty(n, np.uint32), np.empty(n, np.uint8)
    cdef int64_t[:, ::1] taken = out
    cdef uint32_t[::1] nodes = looked_at
    cdef uint8_t[::1] greedy = proven
    cdef Allocation result
    cdef uint32_t i, j
    cdef int64_t begin
    with nogil:
        for i in range(rounds):
            for j in range(n):
                begin = clock_ns()
                allocation.allocate(&splitter.allocator, splitter.offers, splitter.caps, count, side, quantities[j], 0,
                                    splitter.splits, &result)
                taken[i, j] = clock_ns() - begin
                nodes[j] = result.nodes
                greedy[j] = result.greedy
    return out, looked_at, proven
