"""Which quantities one listing can be sent as one marketable limit order (IOC), in listing scale.

None at all, or whole lots that reach the minimum quantity and the minimum notional, and do not exceed what rests within
the limit price, the maximum quantity, the inventory of a seller and the funds of a buyer. The order's limit is the
worst price it needs, put on the tick grid outwards where the level lies off it, and exchanges judge notional and
reserve funds by that limit. For a buyer limit * quantity rises with the quantity; for a seller it can fall where one
level more is needed, so that the set can have gaps: `down` and `up` find the neighbours of any quantity.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t

from orderflow._core cimport conversion, fixed
from orderflow._core.consolidated cimport FEE_UNIT, Offer
from orderflow._core.fixed cimport int128
from orderflow._core.types cimport Level, Listing, Side

cdef enum:
    MONEY_DECIMALS = 8          # of Listing.minimum_notional and Cap.funds


cdef struct Cap:                # what an account can do at one listing
    int64_t quantity            # listing scale: inventory of a seller, room under a limit; INT64_MAX = not limited
    int64_t funds               # of a buyer, 1e-8 of the quote currency, taker fee included; INT64_MAX = not limited


cdef struct Placeable:
    const Listing *listing
    const Level *levels
    int128 required             # least limit * quantity, at the listing's scales
    int64_t lot
    int64_t most                # the largest that can be sent, 0 = none can
    uint32_t count              # levels within the limit price and within reach of the quantity asked for
    uint8_t side


cdef nogil:
    inline int128 times_power(int128 value, uint32_t power) noexcept:
        """value * 10**power, or 2**126 if that is less: no limit * quantity comes near it."""
        cdef int128 largest = <int128>1 << 126
        cdef uint32_t _i
        for _i in range(power):
            if value > largest / 10:
                return largest
            value = value * 10
        return value

    inline int128 required_notional(const Listing *listing) noexcept:
        """Listing.minimum_notional as a product of scaled price and quantity, rounded up."""
        cdef uint32_t decimals = <uint32_t>listing.price_decimals + listing.quantity_decimals
        cdef int128 divisor
        if decimals >= MONEY_DECIMALS:
            return times_power(listing.minimum_notional, decimals - MONEY_DECIMALS)
        divisor = <int64_t>fixed.POWERS[MONEY_DECIMALS - decimals]
        return (listing.minimum_notional + divisor - 1) / divisor

    inline int64_t limit_price(const Placeable *placeable, uint32_t level) noexcept:
        """The limit that reaches a level: its price, or the next price on the grid beyond; 0 = there is none."""
        cdef int64_t price = placeable.levels[level].price
        cdef int64_t rest = price % placeable.listing.tick if placeable.listing.tick > 1 else 0
        if rest == 0:
            return price
        return price - rest + placeable.listing.tick if placeable.side == Side.BUY else price - rest

    inline uint32_t level_of(const Placeable *placeable, int64_t quantity, int64_t *before) noexcept:
        """The level that an order of `quantity` reaches, and how much lies before it."""
        cdef uint32_t level = 0
        before[0] = 0
        while level + 1 < placeable.count and before[0] + placeable.levels[level].quantity < quantity:
            before[0] += placeable.levels[level].quantity
            level += 1
        return level

    inline bint is_large_enough(const Placeable *placeable, int64_t quantity, uint32_t level) noexcept:
        """Whether an order that reaches this level has the minimum quantity and the minimum notional."""
        return (quantity >= placeable.listing.minimum_quantity
                and <int128>limit_price(placeable, level) * quantity >= placeable.required)

    inline int64_t down(const Placeable *placeable, int64_t quantity) noexcept:
        """The largest that can be sent and is not above `quantity`; 0 if nothing but nothing."""
        cdef int64_t before
        cdef uint32_t level
        if quantity > placeable.most:
            quantity = placeable.most
        quantity -= quantity % placeable.lot
        while quantity > 0 and quantity >= placeable.listing.minimum_quantity:
            level = level_of(placeable, quantity, &before)
            if is_large_enough(placeable, quantity, level):
                return quantity
            quantity = before - before % placeable.lot
        return 0

    inline int64_t whole_lots(const Placeable *placeable, int64_t quantity) noexcept:
        """Rounded up."""
        cdef int64_t rest = quantity % placeable.lot
        return quantity - rest + placeable.lot if rest else quantity

    inline int64_t up(const Placeable *placeable, int64_t quantity) noexcept:
        """The smallest that can be sent and is not below `quantity` nor zero; 0 if there is none."""
        cdef int64_t before, end, price, enough
        cdef int128 least
        cdef uint32_t level
        if quantity < placeable.listing.minimum_quantity:
            quantity = placeable.listing.minimum_quantity
        quantity = whole_lots(placeable, quantity if quantity > 1 else 1)
        while quantity <= placeable.most:
            level = level_of(placeable, quantity, &before)
            end = before + placeable.levels[level].quantity
            price = limit_price(placeable, level)
            least = (placeable.required + price - 1) / price
            if least <= quantity:
                return quantity
            if least <= placeable.most:
                enough = whole_lots(placeable, <int64_t>least)
                if enough <= end:
                    return enough if enough <= placeable.most else 0
            quantity = whole_lots(placeable, end + 1)
        return 0

    inline int64_t affordable(const Placeable *placeable, int64_t funds, int64_t quantity) noexcept:
        """The part of `quantity` for which limit * quantity, a positive fee included, stays within the funds."""
        cdef const Listing *listing = placeable.listing
        cdef int64_t fee = listing.taker_fee if listing.taker_fee > 0 else 0
        cdef uint32_t decimals = <uint32_t>listing.price_decimals + listing.quantity_decimals
        cdef int128 room = times_power(funds, decimals) / (FEE_UNIT + fee)
        cdef int64_t end = 0
        cdef int128 within
        cdef uint32_t level
        for level in range(placeable.count):
            within = room / limit_price(placeable, level)
            if within <= end:
                return end if end < quantity else quantity
            end += placeable.levels[level].quantity
            if within < end:
                return <int64_t>within if within < quantity else quantity
            if end >= quantity:
                return quantity
        return quantity

    inline int64_t worst_price(const Listing *listing, uint8_t side, int64_t limit, int64_t rate) noexcept:
        """The worst price of a level that an order can reach with a limit above zero and no worse than `limit`
        (instrument scale, 0 = any)."""
        cdef int64_t tick = listing.tick if listing.tick > 1 else 1
        cdef int64_t worst = conversion.own_limit(listing, limit, rate, side)
        if side == Side.BUY:
            return worst - worst % tick if limit > 0 else INT64_MAX
        if worst % tick:
            worst += tick - worst % tick
        return worst if worst > tick else tick

    inline void prepare(Placeable *placeable, const Offer *offer, const Cap *cap, uint8_t side, int64_t limit,
                        int64_t wanted) noexcept:
        """Set up for an order of at most `wanted` (instrument scale) at no worse than `limit` (0 = any price)."""
        cdef const Listing *listing = offer.listing
        cdef int64_t reach = wanted / listing.quantity_factor
        cdef int64_t worst = worst_price(listing, side, limit, offer.rate)
        cdef int64_t total = 0
        cdef int64_t price
        placeable.listing = listing
        placeable.levels = offer.levels
        placeable.lot = listing.lot if listing.lot > 0 else 1
        placeable.side = side
        placeable.count = 0
        placeable.most = 0
        if not offer.usable:
            return
        placeable.required = 0
        if listing.minimum_notional > 0:
            placeable.required = required_notional(listing)
        while placeable.count < offer.count and total < reach:
            price = offer.levels[placeable.count].price
            if price > worst if side == Side.BUY else price < worst:
                break
            total += offer.levels[placeable.count].quantity
            placeable.count += 1
        placeable.most = total if total < reach else reach
        if cap.quantity < placeable.most:
            placeable.most = cap.quantity
        if listing.maximum_quantity > 0 and listing.maximum_quantity < placeable.most:
            placeable.most = listing.maximum_quantity
        if side == Side.BUY and cap.funds < INT64_MAX and placeable.most > 0:
            placeable.most = affordable(placeable, cap.funds, placeable.most)
        placeable.most = down(placeable, placeable.most) if placeable.most > 0 else 0
