"""Shows the price of a peg to Python."""
from libc.stdint cimport int64_t, uint8_t


def price_of(uint8_t kind, uint8_t side, bids, asks, int64_t tick=1, int64_t offset=0, int64_t cap=0,
             bint post_only=False):
    """Where a peg stands, in the listing's scale; 0 = there is nothing to follow.

    Parameters
    ----------
    kind : Algorithm
    side : Side
    bids, asks : tuple of int
        Best price of others and best price of all, ours included; 0 = that side is empty.
    tick : int
    offset : int
        Ticks, added to the price.
    cap : int
        Never worse than that, on the tick; 0 = there is none.
    post_only : bool
        Never at or through the best of the other side.
    """
    cdef Touch touch
    touch.bid, touch.shown_bid = bids
    touch.ask, touch.shown_ask = asks
    return peg_price(kind, side, &touch, tick, offset, cap, post_only)
