"""Slices of parents that are paced: how many, when the next begins, and what it releases.

The arithmetic is in pacing.pxd and algos/; here it meets listings, timers and what the market trades.

Router thread only.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint32_t

from orderflow._core cimport pacing, timers
from orderflow._core.algos cimport participation, reaction, volume_curve
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
        parent.ceiling = 0 if pacing.is_capped(&parent.order) else INT64_MAX
        if participation.follows_volume(parent.order.algorithm):
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

    inline bint release_tail(RouterState *self, Parent *parent) noexcept:
        """What would be left for later but is too little to be sent goes with what is released now. True: the volume
        does not allow that, so both wait for it."""
        cdef int64_t left = parent.order.quantity - parent.released
        if parent.begun == 0 or left <= 0 or not too_little(self, &parent.order, left):
            return False
        if participation.follows_volume(parent.order.algorithm) or parent.order.quantity > parent.ceiling:
            parent.released = pacing.done(parent)
            return True
        parent.released = parent.order.quantity
        return False

    inline void anticipate_volume(RouterState *self, Parent *parent) noexcept:
        cdef const double *sums = self.curves[parent.order.instrument]
        cdef int64_t length = parent.order.end_ns - parent.order.start_ns
        if parent.begun == 0:
            volume_curve.begin(&parent.pace, sums, parent.order.start_unix_ns, parent.order.start_unix_ns + length)
        pacing.anticipate(parent, sums, traded_by_others(self, parent))

    inline uint32_t pace_factor(const RouterState *self, const Parent *parent) noexcept:
        """By what its pace is multiplied, as the price is now, in 1e-6."""
        cdef int64_t price = self.risk.exposures[parent.order.instrument].reference_price
        if not reaction.reacts(parent.order.algorithm):
            return participation.UNIT
        return reaction.factor(reaction.favour(parent.order.side, parent.arrival_price, price), parent.order.display)

    inline void keep_due(RouterState *self, Parent *parent, int64_t due) noexcept:
        """After a look: what is due by the volume but cannot be sent yet stays due."""
        cdef bint waits = release_tail(self, parent)
        participation.keep(&parent.participation, waits or (due > 0 and too_little(self, &parent.order, due)))

    inline void follow_volume(RouterState *self, Parent *parent) noexcept:
        if parent.begun == 0:
            parent.begun = 1                # nothing has been traded in its time yet
            return
        pacing.follow(parent, traded_by_others(self, parent), pace_factor(self, parent))
        keep_due(self, parent, pacing.due(parent))

    inline void look_at_pace(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        """Its timer has rung: for a slice, or for a look at its orders that wait (posting.pxd)."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef int64_t next_ns
        self.slice_timers[slot] = 0
        if now_ns >= pacing.next_ns(parent):
            begin_slice(self, parent, now_ns)
        next_ns = pacing.next_ns(parent)
        if next_ns < INT64_MAX:
            self.slice_timers[slot] = timers.schedule(self.timers, next_ns, SLICE_TIMER | parent.order.parent_id)
            parent.look_ns = next_ns

    inline void begin_slice(RouterState *self, Parent *parent, int64_t now_ns) noexcept:
        """A slice begins, or the volume is looked at again, or both."""
        cdef bint looks = parent.begun > 0 and now_ns >= pacing.look_ns(parent)
        if now_ns >= pacing.slice_ns(parent):
            parent.overdue = parent.released
        if parent.begun == 0 and pacing.is_by_volume(&parent.order):
            participation.begin(&parent.participation, traded_by_others(self, parent), pacing.done(parent))
        if looks:
            parent.ceiling = pacing.look(parent, traded_by_others(self, parent), participation.UNIT)
            pacing.refresh(parent)
        if participation.follows_volume(parent.order.algorithm):
            follow_volume(self, parent)
        elif now_ns < pacing.slice_ns(parent):
            pass
        elif parent.order.algorithm == Algorithm.VWAP:
            anticipate_volume(self, parent)
        elif parent.order.algorithm == Algorithm.ADAPTIVE_SHORTFALL:
            pacing.adapt(parent, pace_factor(self, parent))
        else:
            pacing.advance(parent)
        if looks:
            keep_due(self, parent, parent.ceiling - pacing.done(parent))
        else:
            release_tail(self, parent)
