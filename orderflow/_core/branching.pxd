"""Where the relaxed split is not a real one, and the bounds that tell the two ways out of it apart.

* A part that cannot be sent: the optimum has either at most the next smaller or at least the next larger one that can.
* A ticket that was spread: the listing is not used at all, or it is and pays the ticket.
* A fee of a tier that was not reached: the part stays below the tier, or reaches it.

Or what is left of the relaxed split when its parts are rounded to what can be sent.

Worst case: one look along the ladder of every listing (placeable.pxd).
"""
from libc.stdint cimport INT64_MAX, int64_t, uint32_t

from orderflow._core cimport charges, listing_part, placeable, relaxation, wide
from orderflow._core.listing_part cimport Part
from orderflow._core.relaxation cimport Relaxation
from orderflow._core.wide cimport Wide


cdef struct Branch:
    int64_t low                 # bounds of the listing before this branch
    int64_t high
    int64_t upper               # lower bound of the second branch, 0 = there is none
    uint32_t listing


cdef nogil:
    inline void split_at(const Part *part, uint32_t listing, int64_t below, int64_t above, Branch *branch) noexcept:
        """A branch between two neighbours among what can be sent; `above` 0 = there is none."""
        branch.listing = listing
        branch.low = part.low
        branch.high = part.high
        branch.upper = above if above <= part.high else 0

    inline bint find_unsendable(const Relaxation *r, Branch *branch, int64_t *smaller) noexcept:
        """The listing whose taken quantity lies in the widest gap of what it can be sent; False if all can be."""
        cdef const Part *part
        cdef int64_t widest = -1
        cdef int64_t quantity, below, above, gap
        cdef uint32_t k, i
        for k in range(r.participants):
            i = r.by_lot[k]
            part = &r.parts[i]
            quantity = part.taken / part.quantity_factor
            if part.taken == 0 or (part.taken % part.lot == 0
                                   and placeable.is_large_enough(&part.placeable, quantity, part.level)):
                continue
            below = placeable.down(&part.placeable, quantity) * part.quantity_factor
            above = placeable.up(&part.placeable, (part.taken - 1) / part.quantity_factor + 1) * part.quantity_factor
            gap = above - below if above else INT64_MAX
            if gap > widest:
                widest = gap
                smaller[0] = below
                split_at(part, i, below, above, branch)
        return widest >= 0

    inline bint find_mispriced(const Relaxation *r, Branch *branch, int64_t *smaller) noexcept:
        """The listing whose part costs the most above its bound; False if all cost what the bound says."""
        cdef const Part *part
        cdef Wide widest, bound, excess
        cdef int64_t edge
        cdef uint32_t k, i
        cdef bint found = False
        wide.clear(&widest)
        for k in range(r.participants):
            i = r.by_lot[k]
            part = &r.parts[i]
            if part.charge is NULL or part.taken == 0:
                continue
            wide.clear(&excess)
            wide.clear(&bound)
            listing_part.add_cost(part, &excess)
            relaxation.add_bound(r, part, &bound)
            wide.subtract(&excess, &bound)
            if wide.compare(&excess, &widest) <= 0:
                continue
            widest = excess
            found = True
            if part.block > 0:
                edge = 1
            else:
                edge = charges.next_tier(part.charge, part.taken / part.quantity_factor)
            smaller[0] = placeable.down(&part.placeable, edge - 1) * part.quantity_factor
            split_at(part, i, smaller[0], placeable.up(&part.placeable, edge) * part.quantity_factor, branch)
        return found

    inline int64_t round_down(Relaxation *r, int64_t total) noexcept:
        """Make what is taken something that can be sent: parts are rounded down, and what that leaves goes where it
        fits, the largest lots first. Returns the new total."""
        cdef Part *part
        cdef int64_t low, most
        cdef int64_t left = total
        cdef uint32_t k = r.participants
        for k in range(r.participants):
            part = &r.parts[r.by_lot[k]]
            low = part.low
            part.low = placeable.down(&part.placeable, part.taken / part.quantity_factor) * part.quantity_factor
            listing_part.start(part)
            part.low = low
            left -= part.taken
        k = r.participants
        while k > 0 and left > 0:
            k -= 1
            part = &r.parts[r.by_lot[k]]
            most = part.taken + left if left < part.high - part.taken else part.high
            most = placeable.down(&part.placeable, most / part.quantity_factor) * part.quantity_factor
            left -= most - part.taken
            listing_part.walk(part, most - part.taken)
        return total - left
