"""What another rate means for parents on listings that are converted with it.

The reference price of their instrument is another one, and what could not be sent may be sent now. An order that rests
stays where it is while it is no worse than its parent's limit at the new rate; else it is cancelled and placed anew.
That a rate has become better for it costs no place in a queue.

Router thread only.
"""
from libc.stdint cimport int64_t, uint32_t

from orderflow._core cimport order_states, order_table, passive
from orderflow._core.converted_listings cimport rate_for, refresh_rates
from orderflow._core.order_states cimport Order
from orderflow._core.order_table cimport NONE
from orderflow._core.parents cimport Parent
from orderflow._core.router_state cimport RouterState
from orderflow._core.router_view cimport refresh_reference
from orderflow._core.routing cimport route_instrument
from orderflow._core.types cimport Algorithm, Conversion, Side


cdef nogil:
    inline bint beyond_limit(const RouterState *self, const Parent *parent, const Order *order) noexcept:
        """Whether a resting order is worse than its parent's limit at the rate as it is now."""
        cdef uint32_t listing = order.child.listing
        cdef int64_t rate = rate_for(self, listing, parent.order.side)
        cdef int64_t worst
        if self.listings[listing].conversion == Conversion.NOT_CONVERTED or rate == 0:
            return False
        worst = passive.on_grid(&self.listings[listing], parent.order.side, parent.order.limit_price, rate)
        return order.child.price > worst if parent.order.side == Side.BUY else order.child.price < worst

    inline void want_new_prices(RouterState *self, uint32_t instrument) noexcept:
        """Note of parents whose resting order is beyond their limit that it is to be at the limit again."""
        cdef uint32_t slot = self.active.first[instrument]
        cdef Parent *parent
        cdef uint32_t at
        while slot != <uint32_t>NONE:
            parent = &self.table.parents[slot]
            slot = self.active.following[slot]
            if (parent.order.algorithm != Algorithm.RESTING or parent.resting == 0 or parent.wanted_quantity
                    or parent.closing or parent.crossing):
                continue
            at = order_table.find(self.table, parent.resting, parent.resting_slot)
            if (at != <uint32_t>NONE and not order_states.is_terminal(self.table.orders[at].status)
                    and beyond_limit(self, parent, &self.table.orders[at])):
                parent.wanted_quantity = parent.order.quantity
                parent.wanted_price = parent.order.limit_price

    inline void follow_rates(RouterState *self, uint32_t instrument, int64_t now_ns, int64_t cause_ns) noexcept:
        """A book of `instrument` changed: serve those whose rate it gives, one instrument after the other."""
        cdef uint32_t i = self.first_converted[instrument]
        cdef uint32_t served = <uint32_t>NONE
        if i == <uint32_t>NONE or not refresh_rates(self, instrument):
            return
        while i != <uint32_t>NONE:
            if self.converted[i].changed and self.listings[i].instrument != served:
                served = self.listings[i].instrument
                refresh_reference(self, served, now_ns)
                want_new_prices(self, served)
                route_instrument(self, served, now_ns, cause_ns)
            i = self.converted[i].next
