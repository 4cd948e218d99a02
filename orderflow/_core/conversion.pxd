"""Prices of a listing in its instrument's currency, where it is quoted in another one.

A rate says what one unit of the listing's quote currency costs in the instrument's, as an integer in RATE_UNIT (1e-12).
There are two, and neither ever makes an order look better than it is. Who buys has to get the quote currency first, and
pays the ask of the rate's book for it: the rate is rounded up, and so is the price that it gives. Who sells has to part
with what he is paid, at the bid: both are rounded down. The other way round, where the rate's book has the instrument's
currency as its base, the rate is one over its bid for a buyer and one over its ask for a seller. A rate quoted directly
with up to twelve decimals is exact; what is rounded of a price is less than one unit of the instrument's scale, which
for such an instrument is finer than a millionth of a tick (instrument.py).

Back again: the worst price in the listing's own currency that is, converted, no worse than a limit. `own_limit` is the
exact inverse of the rounding: own_limit(limit) keeps within the limit and the next price does not.

A rate of 0 means that there is nothing to convert: the price times Listing.price_factor, as ever. Only where there is
a rate does anything divide.

Functions of their arguments.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t

from orderflow._core cimport fixed
from orderflow._core.fixed cimport int128
from orderflow._core.types cimport Conversion, Listing, Side

cdef enum:
    RATE_DECIMALS = 12
    RATE_UNIT = 1000000000000
    LARGEST_RATE = 1000000000000000000      # a million: two products of it and a price fit 128 bits
    LARGEST_PRICE = 0x3FFFFFFFFFFFFFFF      # 62 bits, as everywhere


cdef nogil:
    inline int64_t rate_of(int64_t price, uint32_t decimals, uint8_t conversion, uint8_t side) noexcept:
        """The rate that a price of the rate's book gives, for a taker on `side`; 0 if it is none, or out of range."""
        cdef int128 numerator, quotient
        cdef int128 divisor = 1
        if price <= 0:
            return 0
        if conversion == Conversion.INVERSE:
            numerator = <int64_t>RATE_UNIT
            numerator = numerator * <int64_t>fixed.POWERS[decimals]
            divisor = price
        elif decimals <= RATE_DECIMALS:
            numerator = price
            numerator = numerator * <int64_t>fixed.POWERS[<uint32_t>RATE_DECIMALS - decimals]
        else:
            numerator = price
            divisor = <int64_t>fixed.POWERS[decimals - <uint32_t>RATE_DECIMALS]
        quotient = numerator / divisor
        if side == Side.BUY and quotient * divisor != numerator:
            quotient += 1
        return <int64_t>quotient if quotient <= LARGEST_RATE else 0

    inline int64_t convert(int64_t price, int64_t rate, uint8_t side) noexcept:
        """A price in the instrument's scale, but the listing's currency, in the instrument's. `rate` is not 0."""
        cdef int128 numerator = <int128>price * rate
        cdef int128 quotient = numerator / <int64_t>RATE_UNIT
        if side == Side.BUY and quotient * <int64_t>RATE_UNIT != numerator:
            quotient += 1
        return <int64_t>quotient if quotient < LARGEST_PRICE else <int64_t>LARGEST_PRICE

    inline int64_t instrument_price(const Listing *listing, int64_t price, int64_t rate, uint8_t side) noexcept:
        """A listing's price in its instrument's scale and currency."""
        price *= listing.price_factor
        return price if rate == 0 else convert(price, rate, side)

    inline int64_t own_limit(const Listing *listing, int64_t limit, int64_t rate, uint8_t side) noexcept:
        """The worst price, listing scale, that is no worse than `limit` (instrument scale) when it is converted."""
        cdef int128 numerator, divisor, quotient
        cdef int64_t worst
        if rate == 0:
            worst = limit / listing.price_factor
            return worst + (worst * listing.price_factor < limit) if side == Side.SELL else worst
        numerator = <int128>limit * <int64_t>RATE_UNIT
        divisor = <int128>listing.price_factor * rate
        quotient = numerator / divisor
        if side == Side.SELL and quotient * divisor != numerator:
            quotient += 1
        return <int64_t>quotient if quotient < INT64_MAX else INT64_MAX

    inline int128 amount(int128 value, int64_t rate, uint8_t side) noexcept:
        """The same of an amount of money, which may have more bits than a price: what a buyer pays is rounded up. Held
        within +-2**118, as amounts of money are."""
        cdef int128 whole, rest, product, most
        if rate == 0:
            return value
        whole = value / <int64_t>RATE_UNIT
        most = <int128>1 << 118
        if whole >= most / rate or whole <= -most / rate:
            return most if value > 0 else -most
        rest = value - whole * <int64_t>RATE_UNIT
        product = rest * rate
        rest = product / <int64_t>RATE_UNIT
        if side == Side.BUY and rest * <int64_t>RATE_UNIT < product:
            rest += 1
        return whole * rate + rest
