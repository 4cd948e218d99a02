"""Where a peg stands: the price that it follows, its offset, and the two prices that it never passes.

    primary   the best of its own side
    mid       halfway between the best of both sides, rounded away from the other side
    market    the best of the other side

The offset is FIX's PegOffsetValue (tag 211, https://www.onixs.biz/fix-dictionary/5.0.sp2/tagnum_211.html), counted
in ticks (PegOffsetType 836 = 2): it has a sign and is added to the price, so that -1 is a tick lower for buyers and
sellers alike. The cap is the parent's limit price. One that is post-only stays a tick away from whatever the other side
shows.

Integers in the listing's scale; O(1).
"""
from libc.stdint cimport int64_t, uint8_t

from orderflow._core.types cimport Algorithm, Side


cdef struct Touch:              # of one listing; 0 = that side is empty
    int64_t bid                 # best of others
    int64_t ask
    int64_t shown_bid           # best of all, ours included: with that a new order of ours would trade
    int64_t shown_ask


cdef nogil:
    inline int64_t downwards(int64_t price, int64_t step) noexcept:
        """The nearest multiple that is no higher, of a price of any sign."""
        return (price - (step - 1 if price < 0 else 0)) // step * step

    inline int64_t on_tick(uint8_t side, int64_t twice, int64_t tick) noexcept:
        """Half of that, on the nearest tick that is no worse for the side."""
        if side == Side.BUY:
            return downwards(twice, 2 * tick) // 2
        return -downwards(-twice, 2 * tick) // 2

    inline bint is_worse(uint8_t side, int64_t price, int64_t other) noexcept:
        """Whether it pays more than the other, or takes less."""
        return price > other if side == Side.BUY else price < other

    inline int64_t peg_price(uint8_t kind, uint8_t side, const Touch *touch, int64_t tick, int64_t offset,
                             int64_t cap, bint post_only) noexcept:
        """The price of a peg now; 0 = there is nothing to follow. `kind`: MID_PEG, MARKET_PEG, or any other that
        follows its own side. `cap` is on the tick; 0 = there is none."""
        cdef int64_t own = touch.bid if side == Side.BUY else touch.ask
        cdef int64_t other = touch.ask if side == Side.BUY else touch.bid
        cdef int64_t shown = touch.shown_ask if side == Side.BUY else touch.shown_bid
        cdef int64_t price
        if kind == Algorithm.MARKET_PEG:
            own = other
        elif kind != Algorithm.MID_PEG:
            other = own
        if own == 0 or other == 0:
            return 0
        price = on_tick(side, own + other + 2 * offset * tick, tick)
        if post_only and shown and not is_worse(side, shown, price):
            price = on_tick(side, 2 * (shown - 1 if side == Side.BUY else shown + 1), tick)
        if cap and is_worse(side, price, cap):
            price = cap
        return price if price > 0 else 0
