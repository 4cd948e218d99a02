"""Orders of one decision that are sent one after the other, so that they arrive together.

Only of a parent in haste, only of its first decision, and only where what fades on the slowest of its exchanges costs
enough (arrivals.pxd). The slowest order goes at once; each other waits for its time, and nothing else is sent
meanwhile. When a time has come, what remains is split anew, by the books of that moment, and those parts go whose time
it is. So no plan is kept that could go stale, and an exchange that fails meanwhile is simply not used.

Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core cimport arrivals, timers
from orderflow._core.algos cimport patience
from orderflow._core.allocation cimport Split
from orderflow._core.consolidated cimport Offer
from orderflow._core.decision_log cimport LeftOut
from orderflow._core.parents cimport Parent
from orderflow._core.router_state cimport SLICE_TIMER, RouterState
from orderflow._core.types cimport Algorithm


cdef nogil:
    inline int64_t longest_round_trip(const RouterState *self, const Parent *parent, const Offer *offers,
                                      const Split *splits, uint32_t count, int64_t now_ns) noexcept:
        """Of the exchanges that got a part, if what fades on the slowest is worth waiting with the others; else 0."""
        cdef int64_t longest = 0
        cdef int64_t costs = 0
        cdef uint32_t k
        for k in range(count):
            if splits[k].quantity > 0 and self.states[offers[k].listing.index].arrivals.round_trip_ns > longest:
                longest = self.states[offers[k].listing.index].arrivals.round_trip_ns
                costs = arrivals.surcharge(&self.states[offers[k].listing.index].arrivals,
                                           self.chase[parent.order.instrument], now_ns)
        return longest if costs >= arrivals.STAGGER else 0

    inline void hold_back(RouterState *self, uint32_t slot, const Offer *offers, Split *splits, uint8_t *left_out,
                          uint32_t count, int64_t now_ns) noexcept:
        """Take those parts out of `splits` whose time has not come."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef int64_t from_ns
        cdef uint32_t k
        if parent.order.algorithm != Algorithm.IMMEDIATE or patience.is_patient(&parent.order):
            return
        if parent.staggered_ns == 0:
            parent.staggered_ns = now_ns
            if timers.room(self.timers):
                parent.longest_ns = longest_round_trip(self, parent, offers, splits, count, now_ns)
        if parent.longest_ns == 0:
            return
        parent.resumes_ns = 0
        for k in range(count):
            from_ns = parent.staggered_ns + arrivals.lead_ns(
                &self.states[offers[k].listing.index].arrivals, parent.longest_ns)
            if splits[k].quantity > 0 and from_ns > now_ns:
                splits[k].quantity = 0
                left_out[k] = LeftOut.SENT_LATER
                if parent.resumes_ns == 0 or from_ns < parent.resumes_ns:
                    parent.resumes_ns = from_ns
        if parent.resumes_ns == 0:
            parent.longest_ns = 0               # all are on their way
            return
        timers.cancel(self.timers, self.slice_timers[slot])
        self.slice_timers[slot] = timers.schedule(self.timers, parent.resumes_ns,
                                                  SLICE_TIMER | parent.order.parent_id)
