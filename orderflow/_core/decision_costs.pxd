"""What parts of a decision cost, and what else it could have been: everything on one listing, or the best prices of all
without a look at fees.

Totals are what is paid, or for a seller what comes in, fees and tickets included; instrument scale and 1e-8.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t

from orderflow._core cimport (
    allocation, charges, consolidated, conversion, decision_log, listing_part, placeable, wide)
from orderflow._core.allocation cimport Allocation, Allocator, Split
from orderflow._core.charges cimport Charge
from orderflow._core.consolidated cimport FEE_UNIT, MAXIMUM_OFFERS, Offer
from orderflow._core.decision_log cimport DecisionPart, Exact
from orderflow._core.fixed cimport int128
from orderflow._core.placeable cimport Cap
from orderflow._core.types cimport Level, Listing, Side
from orderflow._core.wide cimport Wide


cdef nogil:
    inline void keep_cost(const Wide *cost, uint8_t side, Exact *out) noexcept:
        """Costs are added up with smaller as better: a seller's are negative proceeds."""
        cdef Wide proceeds
        if side == Side.BUY:
            decision_log.keep(cost, out)
            return
        wide.clear(&proceeds)
        wide.subtract(&proceeds, cost)
        decision_log.keep(&proceeds, out)

    inline void add_order(const Allocator *allocator, const Offer *offer, uint8_t side, int128 notional,
                          int64_t quantity, Wide *cost) noexcept:
        """What one order there costs; `quantity` in listing scale."""
        cdef const Listing *listing = offer.listing
        cdef int64_t sign = 1 if side == Side.BUY else -1
        cdef const Charge *charge = NULL
        if allocator.charges is not NULL:
            charge = &allocator.charges[listing.index]
            wide.add_product(cost, conversion.amount(charge.ticket_all_in, offer.rate, Side.BUY), 1)
        listing_part.add_notional(cost, notional,
                                  charges.taker_fee(listing, charge, quantity) + sign * <int64_t>FEE_UNIT)

    inline void part_cost(const Allocator *allocator, const Offer *offer, uint8_t side, int64_t quantity,
                          Exact *out) noexcept:
        """Of `quantity` (listing scale, no more than is displayed) from the best price on."""
        cdef const Listing *listing = offer.listing
        cdef int64_t left = quantity
        cdef int64_t step
        cdef int128 notional = 0
        cdef Wide cost
        cdef uint32_t k
        for k in range(offer.count):
            step = offer.levels[k].quantity if offer.levels[k].quantity < left else left
            notional += wide.product(consolidated.price_of(offer, side, k), step * listing.quantity_factor)
            left -= step
        wide.clear(&cost)
        add_order(allocator, offer, side, notional, quantity, &cost)
        keep_cost(&cost, side, out)

    inline void write_offer(const Offer *offer, uint8_t side, int64_t limit, DecisionPart *part) noexcept:
        """What was displayed."""
        cdef int64_t worst = placeable.worst_price(offer.listing, side, limit, offer.rate)
        cdef uint32_t k
        if offer.count:
            part.best_price = offer.levels[0].price
            part.best_quantity = offer.levels[0].quantity
        for k in range(offer.count):
            if offer.levels[k].price > worst if side == Side.BUY else offer.levels[k].price < worst:
                break
            part.shown += offer.levels[k].quantity

    inline void alone(Allocator *allocator, const Offer *given, const Cap *cap, uint8_t side, int64_t wanted,
                      int64_t limit, DecisionPart *part) noexcept:
        """What one listing could have filled without the others."""
        cdef Offer offer = given[0]
        cdef Split split
        cdef Allocation found
        offer.usable = True
        allocation.allocate(allocator, &offer, cap, 1, side, wanted, limit, &split, &found)
        part.alone_quantity = found.quantity
        decision_log.keep(&found.all_in, &part.alone_all_in)

    inline void sweep(const Allocator *allocator, const Offer *offers, const Cap *caps, uint32_t count, uint8_t side,
                      int64_t quantity, int64_t limit, Exact *out) noexcept:
        """A quantity at the best prices of what is usable, whatever the fees, lots and minimums."""
        cdef int128[MAXIMUM_OFFERS] keys        # smaller is better: negative for a seller
        cdef int128[MAXIMUM_OFFERS] notional
        cdef int64_t[MAXIMUM_OFFERS] taken
        cdef uint32_t[MAXIMUM_OFFERS] cursors   # those with something left, best first from `begin` on
        cdef uint32_t[MAXIMUM_OFFERS] at
        cdef const Listing *listing
        cdef const Level *level
        cdef Wide cost
        cdef int64_t step, worst
        cdef int64_t sign = 1 if side == Side.BUY else -1
        cdef uint32_t begin = MAXIMUM_OFFERS
        cdef uint32_t i
        for i in range(count):
            at[i] = 0
            taken[i] = 0
            notional[i] = 0
            if offers[i].usable and offers[i].count:
                keys[i] = sign * consolidated.price_of(&offers[i], side, 0)
                begin -= 1
                cursors[begin] = i
                consolidated.sink(cursors, begin, MAXIMUM_OFFERS, keys)
        while quantity > 0 and begin < MAXIMUM_OFFERS:
            i = cursors[begin]
            listing = offers[i].listing
            level = &offers[i].levels[at[i]]
            worst = placeable.worst_price(listing, side, limit, offers[i].rate)
            if level.price > worst if side == Side.BUY else level.price < worst:
                begin += 1
                continue
            step = level.quantity * listing.quantity_factor
            if caps[i].quantity < INT64_MAX and caps[i].quantity * listing.quantity_factor - taken[i] < step:
                step = caps[i].quantity * listing.quantity_factor - taken[i]
            if step > quantity:
                step = quantity
            notional[i] += wide.product(consolidated.price_of(&offers[i], side, at[i]), step)
            taken[i] += step
            quantity -= step
            at[i] += 1
            if at[i] == offers[i].count:
                begin += 1
            else:
                keys[i] = sign * consolidated.price_of(&offers[i], side, at[i])
                consolidated.sink(cursors, begin, MAXIMUM_OFFERS, keys)
        wide.clear(&cost)
        for i in range(count):
            if taken[i]:
                add_order(allocator, &offers[i], side, notional[i],
                          taken[i] / offers[i].listing.quantity_factor, &cost)
        keep_cost(&cost, side, out)
