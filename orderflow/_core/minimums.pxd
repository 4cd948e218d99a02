"""The least that exchanges take, as a parent meets it over its listings.

Router thread only.
"""
from libc.stdint cimport int64_t, uint32_t

from orderflow._core cimport risk_price, wide
from orderflow._core.converted_listings cimport rate_for
from orderflow._core.router_state cimport RouterState
from orderflow._core.types cimport Listing, ParentOrder


cdef nogil:
    inline bint is_enough(const RouterState *self, uint32_t listing, int64_t quantity, int64_t price) noexcept:
        """Whether a listing takes an order of so much of its instrument at a price of its own."""
        cdef const Listing *where = &self.listings[listing]
        cdef int64_t lots = quantity // where.quantity_factor // where.lot * where.lot
        return (lots > 0 and lots >= where.minimum_quantity
                and wide.product(price, lots) >= self.risk.limits[listing].minimum_notional)

    inline bint too_little(const RouterState *self, const ParentOrder *order, int64_t quantity) noexcept:
        """Whether no listing of the parent takes so little, whatever its book shows."""
        cdef uint32_t begin = self.first[order.instrument]
        cdef uint32_t k
        cdef const Listing *listing
        cdef int64_t least
        for k in range(self.first[order.instrument + 1] - begin):
            if order.listings and not (order.listings >> k) & 1:
                continue
            listing = &self.listings[self.members[begin + k]]
            least = listing.minimum_quantity if listing.minimum_quantity > listing.lot else listing.lot
            if (quantity >= least * listing.quantity_factor
                    and not risk_price.worth_too_little(self.risk, listing.index, order, quantity,
                                                        rate_for(self, listing.index, order.side))):
                return False
        return True
