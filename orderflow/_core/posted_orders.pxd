"""The orders that a parent that joins has in books: one a listing at most.

Router thread only.
"""
from libc.stdint cimport uint32_t
from libc.string cimport memset

from orderflow._core cimport order_states, order_table
from orderflow._core.order_table cimport NONE
from orderflow._core.router_state cimport Posted, RouterState


cdef nogil:
    inline Posted *posted_at(const RouterState *self, uint32_t slot, uint32_t k) noexcept:
        """Of a parent on the k-th listing of its instrument."""
        return &self.posted[<size_t>slot * self.most_members + k]

    inline void forget(RouterState *self, uint32_t slot) noexcept:
        """A new parent has the slot."""
        memset(posted_at(self, slot, 0), 0, self.most_members * sizeof(Posted))

    inline uint32_t out_at(const RouterState *self, uint32_t slot, uint32_t k) noexcept:
        """The slot of the order that is out there; NONE = there is none."""
        cdef const Posted *posted = posted_at(self, slot, k)
        cdef uint32_t at = <uint32_t>NONE
        if posted.order:
            at = order_table.find(self.table, posted.order, posted.slot)
        if at != <uint32_t>NONE and order_states.is_terminal(self.table.orders[at].status):
            return <uint32_t>NONE
        return at

    inline uint32_t members(const RouterState *self, uint32_t slot) noexcept:
        """How many listings the instrument of a parent has."""
        cdef uint32_t instrument = self.table.parents[slot].order.instrument
        return self.first[instrument + 1] - self.first[instrument]
