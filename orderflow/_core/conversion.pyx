"""Python face of the conversion between quote currencies."""
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memset

from orderflow._core cimport conversion
from orderflow._core.types cimport Conversion, Listing, Side


cdef int check_side(int side) except -1:
    if side != Side.BUY and side != Side.SELL:
        raise ValueError(f"side: {side} is neither BUY nor SELL")
    return 0


def quoted_rate(int64_t price, uint32_t decimals, bint inverse, int side):
    """The rate, in 1e-12, that a price of the rate's book gives a taker on `side`; 0 = it cannot be used.

    Parameters
    ----------
    price : int
        Of the side of the rate's book that the taker pays: for BUY its ask, for SELL its bid; the other one if
        `inverse`.
    decimals : int
        Of that price, at most 18.
    inverse : bool
        The base of the rate's book is the currency that is converted to.
    """
    check_side(side)
    if decimals > 18:
        raise ValueError(f"decimals: {decimals} are more than 18")
    return conversion.rate_of(price, decimals, Conversion.INVERSE if inverse else Conversion.DIRECT, <uint8_t>side)


def converted(int64_t price, int64_t rate, int side):
    """A price in the instrument's scale, but the listing's currency, in the instrument's: up for BUY, down for SELL.
    A rate of 0 converts nothing."""
    check_side(side)
    if price < 0 or rate < 0:
        raise ValueError(f"price {price} and rate {rate} must not be negative")
    return conversion.convert(price, rate, <uint8_t>side) if rate else price


def worst_own_price(int64_t limit, int64_t price_factor, int64_t rate, int side):
    """The worst price, listing scale, that is no worse than `limit` (instrument scale) when it is converted."""
    cdef Listing listing
    check_side(side)
    if limit < 0 or rate < 0 or price_factor <= 0:
        raise ValueError(f"limit {limit} and rate {rate} must not be negative, price_factor {price_factor} positive")
    memset(&listing, 0, sizeof(Listing))
    listing.price_factor = price_factor
    return conversion.own_limit(&listing, limit, rate, <uint8_t>side)
