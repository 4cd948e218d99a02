"""What one listing is given in a split while the best one is looked for: within which bounds, how far along its ladder,
and what the next unit costs.

Costs are all-in totals of the instrument's scale, smaller is better: those of a seller are negative proceeds.

Worst case: one pass over the ladder to find over how much a ticket is spread, one to take it all.
"""
from libc.stdint cimport int64_t, uint32_t

from orderflow._core cimport charges, conversion, wide
from orderflow._core.charges cimport Charge
from orderflow._core.consolidated cimport FEE_UNIT
from orderflow._core.fixed cimport int128
from orderflow._core.placeable cimport Placeable
from orderflow._core.types cimport Side
from orderflow._core.wide cimport Wide


cdef struct Part:               # of one listing; quantities in instrument scale
    int128 notional             # of what is taken
    int128 block_notional
    int128 unit                 # all-in cost of a unit of the block, rounded down
    Placeable placeable
    const Charge *charge        # NULL = nothing but the taker fee
    int128 ticket_all_in        # of `charge`, in the instrument's currency
    int64_t price_factor
    int64_t quantity_factor
    int64_t exchange_rate       # that its prices are converted with; 0 = they are not
    int64_t lot
    int64_t low                 # bounds
    int64_t high
    int64_t taken
    int64_t end                 # what is taken when its level is used up
    int64_t block               # over so much a ticket is spread; 0 = there is none, or it is paid
    int64_t rate                # all-in cost of a unit of notional, in 1e-8; negative for a seller
    uint32_t level


cdef nogil:
    inline int64_t price_at(const Part *part, uint32_t level) noexcept:
        """Of a level, fees apart, instrument scale."""
        cdef int64_t price = part.placeable.levels[level].price * part.price_factor
        return price if part.exchange_rate == 0 else conversion.convert(price, part.exchange_rate, part.placeable.side)

    inline int64_t rate_of(const Part *part, int64_t quantity) noexcept:
        """All-in cost of a unit of notional of an order of `quantity`."""
        cdef int64_t fee = charges.taker_fee(part.placeable.listing, part.charge, quantity / part.quantity_factor)
        return <int64_t>FEE_UNIT + fee if part.placeable.side == Side.BUY else fee - <int64_t>FEE_UNIT

    inline void add_notional(Wide *cost, int128 notional, int64_t rate) noexcept:
        """cost += notional * rate, which may be negative."""
        cdef int128 factor = notional
        if rate < 0:
            factor = -factor
            rate = -rate
        wide.add_product(cost, factor, rate)

    inline void add_cost(const Part *part, Wide *cost) noexcept:
        """What is taken of a listing really costs."""
        if part.taken == 0:
            return
        if part.charge is NULL:
            add_notional(cost, part.notional, part.rate)
            return
        add_notional(cost, part.notional, rate_of(part, part.taken))
        wide.add_product(cost, part.ticket_all_in, 1)

    inline void spread_ticket(Part *part) noexcept:
        """The block: levels join it for as long as they make its average price, ticket included, lower."""
        cdef const Placeable *placeable = &part.placeable
        cdef Wide cost, at_this_price
        cdef int64_t price, step
        cdef int128 all_in
        cdef uint32_t level = 0
        wide.clear(&cost)
        wide.add_product(&cost, part.ticket_all_in, 1)
        part.block_notional = 0
        while part.block < part.high:
            price = price_at(part, level)
            all_in = wide.product(price, part.rate)
            wide.clear(&at_this_price)
            wide.add_product(&at_this_price, all_in, part.block)
            if part.block > 0 and wide.compare(&at_this_price, &cost) >= 0:
                break
            step = placeable.levels[level].quantity * part.quantity_factor
            if step > part.high - part.block:
                step = part.high - part.block
            wide.add_product(&cost, all_in, step)
            part.block_notional += wide.product(price, step)
            part.block += step
            level += 1
        part.unit = wide.quotient(&cost, part.block)

    inline void bind(Part *part, int64_t low, int64_t high) noexcept:
        """Set the bounds of a listing, and the prices that depend on them."""
        part.low = low
        part.high = high
        part.block = 0
        if part.charge is NULL or high == 0:
            return
        part.rate = rate_of(part, high)
        if part.charge.ticket > 0 and low == 0:
            spread_ticket(part)

    inline void walk(Part *part, int64_t quantity) noexcept:
        """Take so much more along the ladder."""
        cdef const Placeable *placeable = &part.placeable
        cdef int64_t step
        while quantity > 0:
            if part.taken == part.end:
                part.level += 1
                part.end += placeable.levels[part.level].quantity * part.quantity_factor
            step = part.end - part.taken
            if step > quantity:
                step = quantity
            part.notional += wide.product(price_at(part, part.level), step)
            part.taken += step
            quantity -= step

    inline void start(Part *part) noexcept:
        """Take the lower bound, and no more."""
        part.notional = 0
        part.taken = 0
        part.level = 0
        part.end = part.placeable.levels[0].quantity * part.quantity_factor
        walk(part, part.low)

    inline int128 next_price(const Part *part) noexcept:
        """All-in cost of the next unit."""
        cdef uint32_t level = part.level + (part.taken == part.end)
        if part.taken < part.block:
            return part.unit
        return wide.product(price_at(part, level), part.rate)

    inline int64_t run(const Part *part) noexcept:
        """How much more costs as much as the next unit, within the bounds."""
        cdef uint32_t level = part.level + 1
        cdef int64_t end = part.end
        if part.taken < part.block:
            return part.block - part.taken
        if part.taken == end:
            end += part.placeable.levels[level].quantity * part.quantity_factor
        return (end if end < part.high else part.high) - part.taken
