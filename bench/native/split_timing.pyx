"""A loop around one split, alone or with its decision recorded as the router does it: a native stamp before, one after.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

import numpy as np

from orderflow._core cimport allocation, decisions
from orderflow._core.allocation cimport Allocation, Splitter
from orderflow._core.decision_log cimport DecisionPath, Trail
from orderflow._core.decision_queue cimport MOST_MADE, Made
from orderflow._core.decisions cimport Notes
from orderflow._core.input_log cimport InputLog
from orderflow._core.order_table cimport Table
from orderflow._core.parents cimport Parent
from orderflow._core.risk_state cimport Exposure, Risk
from orderflow._core.router_state cimport RouterState
from orderflow._core.types cimport BoardEntry

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


cdef class Router:
    """What a router needs of its state to record decisions of one parent order; nothing of it is sent.

    Parameters
    ----------
    side : Side
    listings : int
    """
    cdef RouterState *state
    cdef Table table
    cdef Parent parent
    cdef Trail trail
    cdef InputLog log
    cdef Risk risk
    cdef Exposure exposure
    cdef Notes notes                    # nothing is left out, and everything passes

    def __cinit__(self, uint8_t side, uint32_t listings):
        memset(&self.table, 0, sizeof(Table))
        memset(&self.parent, 0, sizeof(Parent))
        memset(&self.trail, 0, sizeof(Trail))
        memset(&self.log, 0, sizeof(InputLog))
        memset(&self.risk, 0, sizeof(Risk))
        memset(&self.exposure, 0, sizeof(Exposure))
        memset(&self.notes, 0, sizeof(Notes))
        self.parent.order.parent_id, self.parent.order.side = 1, side
        self.table.parents, self.risk.exposures = &self.parent, &self.exposure
        self.state = <RouterState *>calloc(1, sizeof(RouterState))
        if self.state is NULL:
            raise MemoryError()
        self.state.table, self.state.risk, self.state.log = &self.table, &self.risk, &self.log
        self.state.trails = &self.trail
        self.state.views = <BoardEntry *>calloc(listings, sizeof(BoardEntry))
        self.state.made.made = <Made *>calloc(MOST_MADE, sizeof(Made))
        if self.state.views is NULL or self.state.made.made is NULL:
            raise MemoryError()

    def __dealloc__(self):
        if self.state is not NULL:
            free(self.state.views)
            free(self.state.made.made)
            free(self.state)


def time_splits(Splitter splitter, uint8_t side, const int64_t[::1] quantities, uint32_t rounds, bint recorded):
    """Split each quantity `rounds` times over the market of the splitter's last split; `recorded`: with the copy of the
    decision into the queue out of which the log is written when there is nothing else to do.

    Returns nanoseconds of shape (rounds, quantities), and of each quantity nodes and whether greedy was certified.
    RuntimeError if a decision was not recorded as it was made.
    """
    cdef uint32_t count = <uint32_t>len(splitter.listings)
    cdef uint32_t n = <uint32_t>len(quantities)
    out, looked_at, proven = np.empty((rounds, n), np.int64), np.empty(n, np.uint32), np.empty(n, np.uint8)
    cdef int64_t[:, ::1] taken = out
    cdef uint32_t[::1] nodes = looked_at
    cdef uint8_t[::1] greedy = proven
    cdef Router router = Router(side, count)
    cdef RouterState *state = router.state
    cdef Allocation result
    cdef uint32_t wrong = 0
    cdef uint32_t i, j
    cdef int64_t begin
    with nogil:
        for i in range(rounds):
            for j in range(n):
                begin = clock_ns()
                allocation.allocate(&splitter.allocator, splitter.offers, splitter.caps, count, side, quantities[j], 0,
                                    splitter.splits, &result)
                if recorded:
                    decisions.record(state, 0, splitter.offers, splitter.caps, splitter.splits, &result, &router.notes,
                                     count, quantities[j], begin, begin)
                taken[i, j] = clock_ns() - begin
                nodes[j] = result.nodes
                greedy[j] = result.greedy
                if recorded:
                    wrong += not is_last_made(state, &result, count)
                    state.made.taken = state.made.pushed        # written: the log is another bench's
    if wrong:
        raise RuntimeError(f"{wrong} of {rounds * n} decisions were not recorded as they were made")
    return out, looked_at, proven


cdef bint is_last_made(const RouterState *state, const Allocation *result, uint32_t count) noexcept nogil:
    """Whether the queue has this decision, with how it was found and what each listing was given."""
    cdef const Made *made = &state.made.made[state.made.taken % MOST_MADE]
    cdef int64_t given = 0
    cdef uint32_t k
    if state.made.pushed != state.made.taken + 1 or made.count != count or made.head.nodes != result.nodes:
        return False
    for k in range(count):
        given += made.parts[k].quantity * made.offers[k].listing.quantity_factor
    return (made.head.split == result.quantity and made.head.sent == given == result.quantity
            and (made.head.path == DecisionPath.GREEDY) == result.greedy)
