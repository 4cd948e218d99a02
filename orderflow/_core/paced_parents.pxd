"""Slices of parents that are paced: how many, when the next begins, and what it releases.

The arithmetic is in pacing.pxd and algos/; here it meets listings, timers and what the market trades.

Router thread only.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint32_t

from orderflow._core cimport pacing, timers
from orderflow._core.algos cimport participation, volume_curve
from orderflow._core.minimums cimport too_little
from orderflow._core.parents cimport Parent
from orderflow._core.router_state cimport SLICE_TIMER, RouterState
from orderflow._core.router_view cimport traded_by_others
from orderflow._core.types cimport Algorithm, Listing


cdef nogil:
    inline void set_up_pace(RouterState *self, Parent *parent) noexcept:
        """Of a schedule: the lot that it is released in, and the most slices, of those asked for, that are large enough
        to be sent."""
        cdef uint32_t begin = self.first[parent.order.instrument]
        cdef const Listing *listing
        cdef int64_t lot, size
        cdef uint32_t k, middle
        cdef uint32_t least = 1
        cdef uint32_t most = parent.order.slices
        parent.slices = most
        if parent.order.algorithm == Algorithm.POV:
            return
        parent.lot = INT64_MAX
        for k in range(self.first[parent.order.instrument + 1] - begin):
            if parent.order.listings == 0 or (parent.order.listings >> k) & 1:
                listing = &self.listings[self.members[begin + k]]
                lot = listing.lot * listing.quantity_factor
                parent.lot = lot if lot < parent.lot else parent.lot
        while least < most:
            middle = least + (most - least + 1) // 2
            size = parent.order.quantity // middle
            if size < parent.order.minimum_slice or too_little(self, &parent.order, size):
                most = middle - 1
            else:
                least = middle
        parent.slices = least

    inline void release_tail(RouterState *self, Parent *parent) noexcept:
        """What would be left for later slices but is too little to be sent goes with this one."""
        if (parent.begun and parent.order.algorithm != Algorithm.POV
                and too_little(self, &parent.order, parent.order.quantity - parent.released)):
            parent.released = parent.order.quantity

    inline void anticipate_volume(RouterState *self, Parent *parent) noexcept:
        cdef const double *sums = self.curves[parent.order.instrument]
        cdef int64_t length = parent.order.end_ns - parent.order.start_ns
        if parent.begun == 0:
            volume_curve.begin(&parent.pace, sums, parent.order.start_unix_ns, parent.order.start_unix_ns + length)
        pacing.anticipate(parent, sums, traded_by_others(self, parent))

    inline void follow_volume(RouterState *self, Parent *parent) noexcept:
        if parent.begun == 0:
            parent.begun = 1                # nothing has been traded in its time yet
            return
        pacing.follow(parent, traded_by_others(self, parent))
        participation.keep(&parent.participation, pacing.due(parent) > 0
                           and too_little(self, &parent.order, pacing.due(parent)))

    inline void begin_slice(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        cdef Parent *parent = &self.table.parents[slot]
        cdef int64_t next_ns
        if parent.begun == 0 and pacing.is_by_volume(parent.order.algorithm):
            participation.begin(&parent.participation, traded_by_others(self, parent), pacing.done(parent))
        if parent.order.algorithm == Algorithm.POV:
            follow_volume(self, parent)
        elif parent.order.algorithm == Algorithm.VWAP:
            anticipate_volume(self, parent)
        else:
            pacing.advance(parent)
        release_tail(self, parent)
        next_ns = pacing.next_ns(parent)
        self.slice_timers[slot] = 0
        if next_ns:
            self.slice_timers[slot] = timers.schedule(self.timers, next_ns, SLICE_TIMER | parent.order.parent_id)
