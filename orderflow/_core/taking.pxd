"""Conditions under which a parent takes: where it may take now, whether that is enough, and whether there is a second
time.

    MINIMAL_IMPACT      where the spread is not wider than usual
    LIQUIDITY_SEEKING   where unusually much is displayed near the best price, and no more than that
    SNIPER              all that remains of it at once over all exchanges, or nothing (or its `minimum_slice`)
    SWEEP               once: what is found then, and never again

Each is a condition on what routing.pxd does for every parent: nothing of it is ever shown in a book, and what is due
by whatever paces the parent (pacing.pxd) bounds it. One that completes asks for no condition any more.

Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core cimport conversion, pacing
from orderflow._core.algos cimport usual
from orderflow._core.consolidated cimport Offer
from orderflow._core.decision_log cimport LeftOut
from orderflow._core.minimums cimport too_little
from orderflow._core.parent_changes cimport end_parent
from orderflow._core.parents cimport Parent
from orderflow._core.placeable cimport Cap
from orderflow._core.router_state cimport RouterState
from orderflow._core.types cimport Algorithm, Listing, Reason, Side


cdef nogil:
    inline bint is_once(uint8_t algorithm) noexcept:
        """Whether what it does not get at once it does not want."""
        return algorithm == Algorithm.SNIPER or algorithm == Algorithm.SWEEP

    inline void select(RouterState *self, const Parent *parent, Offer *offers, Cap *caps, uint8_t *left_out,
                       uint32_t count) noexcept:
        """Leave those listings on which it may take now, and of each what it may take."""
        cdef const Listing *listing
        cdef int64_t shown
        cdef uint32_t k
        cdef bint by_spread = parent.order.algorithm == Algorithm.MINIMAL_IMPACT
        if not by_spread and parent.order.algorithm != Algorithm.LIQUIDITY_SEEKING:
            return
        if pacing.is_completing(parent):
            return
        for k in range(count):
            if not offers[k].usable:
                continue
            listing = offers[k].listing
            if by_spread:
                offers[k].usable = usual.is_narrow(&self.usual[listing.index], &self.views[listing.index],
                                                   listing.tick)
                if not offers[k].usable:
                    left_out[k] = LeftOut.CONDITION_NOT_MET
                continue
            shown = usual.unusual(&self.usual[listing.index], &self.views[listing.index], parent.order.side,
                                  conversion.own_limit(listing, parent.order.limit_price, offers[k].rate,
                                                       parent.order.side),
                                  parent.order.curvature)
            offers[k].usable = shown > 0
            if not offers[k].usable:
                left_out[k] = LeftOut.CONDITION_NOT_MET
            caps[k].quantity = shown if shown < caps[k].quantity else caps[k].quantity

    inline bint is_enough(RouterState *self, const Parent *parent, int64_t remaining, int64_t found) noexcept:
        """Whether so much may be sent of what remains."""
        cdef int64_t least = parent.order.minimum_slice
        if found == 0:
            return False
        if parent.order.algorithm != Algorithm.SNIPER:
            return True
        if least == 0 or least > remaining:
            least = remaining
        return parent.working == 0 and (found >= least or too_little(self, &parent.order, least - found))

    inline void end_swept(RouterState *self, uint32_t slot, uint8_t reason, int64_t now_ns) noexcept:
        """A sweep of which nothing is out, and nothing in doubt, ends."""
        cdef const Parent *parent = &self.table.parents[slot]
        if (parent.order.algorithm == Algorithm.SWEEP and parent.closing == 0 and parent.working == 0
                and parent.in_doubt == 0):
            end_parent(self, slot, reason if reason else <uint8_t>Reason.NO_LIQUIDITY, now_ns)

    inline bint is_swept(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        """Whether a sweep has had its one time; it ends when nothing of it is out any more."""
        cdef const Parent *parent = &self.table.parents[slot]
        if parent.order.algorithm != Algorithm.SWEEP:
            return False
        if self.killed >> (32 + parent.order.strategy) & 1:
            end_swept(self, slot, Reason.STRATEGY_HALTED, now_ns)
            return True
        if parent.children:
            end_swept(self, slot, Reason.NO_LIQUIDITY, now_ns)
        return parent.children > 0
