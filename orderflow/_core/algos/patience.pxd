"""What a parent with time to spare pays: at first only what costs little more than the best there is, at last what it
needs.

A sweep of several exchanges pays for its haste twice: the dear exchange is taken from while the cheap one would have
filled up again a moment later, and what fades is bought at once from books that have just been emptied. Books fill
up (Large, "Measuring the resiliency of an electronic limit order book", Journal of Financial Markets 10(1), 2007), so
waiting a little is worth more than the way of splitting.

With b the best all-in price of the books that can be traded on, and m the dearest all-in price that the whole of what
remains would need now, no more is paid than

    b + (m - b) * share,        share = u + (1 - u) * t / RISES

at the part t of the time, with u = urgency / 100. Both move with the market: nothing is chased, and nothing is waited
for that has gone. From RISES of the time on everything within the limit price is taken, so that what fails then can be
sent again before the end. Looks are taken when a book changes, and LOOKS times meanwhile, because in still books the
share rises, too.

All-in prices as of consolidated.pxd, instrument scale times 1e8: 128 bits hold them times 1e6. Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core cimport consolidated
from orderflow._core.consolidated cimport Offer
from orderflow._core.fixed cimport int128
from orderflow._core.types cimport Algorithm, ParentOrder, Side

cdef enum:
    WHOLE = 1_000_000           # of shares
    AT_ONCE = 100               # urgency; 0 = nothing was said, which is the same
    RISES = 80                  # percent of the time
    LOOKS = 16                  # while it rises


cdef nogil:
    inline bint is_patient(const ParentOrder *order) noexcept:
        return (order.algorithm == Algorithm.IMMEDIATE and 0 < order.urgency < AT_ONCE
                and order.end_ns > order.start_ns)

    inline int64_t rising_ns(const ParentOrder *order) noexcept:
        """How long its share rises."""
        return (order.end_ns - order.start_ns) // 100 * RISES

    inline int64_t share(const ParentOrder *order, int64_t now_ns) noexcept:
        """Of the way from the best price to the dearest that is needed, in 1e-6."""
        cdef int64_t least = <int64_t>order.urgency * (WHOLE // 100)
        cdef int64_t passed = now_ns - order.start_ns
        cdef int64_t rising = rising_ns(order)
        if passed >= rising:
            return WHOLE
        if passed <= 0:
            return least
        return least + <int64_t>(<int128>(WHOLE - least) * passed // rising)

    inline int64_t next_look_ns(const ParentOrder *order, int64_t now_ns) noexcept:
        """When to look again even if no book has changed; 0 = the share does not rise any more."""
        cdef int64_t rising = rising_ns(order)
        cdef int64_t step = rising // LOOKS + 1
        cdef int64_t passed = now_ns - order.start_ns
        if passed >= rising:
            return 0
        passed = passed // step * step + step
        return order.start_ns + (passed if passed < rising else rising)

    inline int128 most_paid(int128 best, int128 dearest, int64_t part) noexcept:
        """All-in price between the two; for a seller they fall."""
        return best + (dearest - best) * part // WHOLE

    inline void hold_back(Offer *offers, uint32_t count, uint8_t side, int128 most) noexcept:
        """Offer no level that is dearer than that."""
        cdef uint32_t k, level
        cdef int128 price
        for k in range(count):
            for level in range(offers[k].count if offers[k].usable else 0):
                price = consolidated.all_in_price(&offers[k], side, level)
                if price > most if side == Side.BUY else price < most:
                    offers[k].count = level
                    break
