"""What an exchange charges for an order beside the taker fee of the listing: a ticket, and lower fees for large orders.

A ticket is a fixed amount for every order sent. A tier says from which quantity on the whole order pays another taker
fee; tiers stand by rising quantity and falling fee, all below Listing.taker_fee, and the last one reached counts. Both
are of one order: what the account traded before is in Listing.taker_fee already.

What an order costs is then not convex in its quantity: a jump at the first unit, and a fall at every tier.
"""
from libc.stdint cimport int64_t, uint32_t

from orderflow._core.fixed cimport int128
from orderflow._core.types cimport Listing

cdef enum:
    MAXIMUM_TIERS = 4           # of one listing


cdef struct Tier:
    int64_t quantity            # least of the order, listing scale
    int64_t taker_fee           # fraction of its whole notional, in 1e-8


cdef struct Charge:             # of one listing; fixed for a run
    int128 ticket_all_in        # `ticket` in the unit of all-in totals: ticket * 10**decimals * factors
    int64_t ticket              # 1e-8 of the quote currency
    Tier[MAXIMUM_TIERS] tiers
    uint32_t tier_count


cdef nogil:
    inline bint is_none(const Charge *charge) noexcept:
        return charge.ticket == 0 and charge.tier_count == 0

    inline int64_t taker_fee(const Listing *listing, const Charge *charge, int64_t quantity) noexcept:
        """Of an order of `quantity`, listing scale; `charge` may be NULL."""
        cdef int64_t fee = listing.taker_fee
        cdef uint32_t i
        if charge is not NULL:
            for i in range(charge.tier_count):
                if quantity < charge.tiers[i].quantity:
                    break
                fee = charge.tiers[i].taker_fee
        return fee

    inline int64_t next_tier(const Charge *charge, int64_t quantity) noexcept:
        """The least quantity above `quantity` that pays a lower fee; 0 if there is none. Listing scale."""
        cdef uint32_t i
        for i in range(charge.tier_count):
            if quantity < charge.tiers[i].quantity:
                return charge.tiers[i].quantity
        return 0
