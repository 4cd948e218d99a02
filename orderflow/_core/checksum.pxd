"""Checksums over the top of a book, by which an exchange lets us prove that ours is equal: the CRC-32 of IEEE 802.3
over its best levels as text.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport fixed
from orderflow._core.types cimport Level

cdef extern from "crc32.hpp" namespace "orderflow" nogil:
    uint32_t crc32(const char *data, size_t size) noexcept
    uint32_t crc32_portable(const char *data, size_t size) noexcept

cdef enum:
    INTERLEAVED_DEPTH = 25      # levels of each side in the checksums of OKX and Bitfinex
    INTERLEAVED_TEXT = 4 * INTERLEAVED_DEPTH * (24 + 18)
    KRAKEN_DEPTH = 10           # levels of each side, whatever the depth subscribed
    KRAKEN_TEXT = 2 * KRAKEN_DEPTH * 2 * (20 + 18) + 32


cdef nogil:
    inline char *put_number(char *at, uint64_t value, int zeros) noexcept:
        """Digits of a scaled integer as the exchange writes it: `zeros` more decimals than the scale has, or fewer."""
        cdef char *end = at + fixed.write_digits_loosely(value, at)
        cdef int _i
        for _i in range(zeros):
            end[0] = c"0"
            end += 1
        return end + zeros if zeros < 0 and end + zeros > at else end

    inline char *put_levels(char *at, const Level *levels, uint32_t count, int price_zeros,
                            int quantity_zeros) noexcept:
        """Price and quantity of each level without point and leading zeros."""
        cdef uint32_t i
        for i in range(count if count < KRAKEN_DEPTH else KRAKEN_DEPTH):
            at = put_number(at, <uint64_t>levels[i].price, price_zeros)
            at = put_number(at, <uint64_t>levels[i].quantity, quantity_zeros)
        return at

    inline uint32_t kraken(const Level *asks, uint32_t ask_count, const Level *bids, uint32_t bid_count,
                           int price_zeros, int quantity_zeros) noexcept:
        """Kraken's checksum of a book ("Book checksum (v2)" of its WebSocket guide): the ten best asks, then bids.

        Both sides best first; sides with fewer than ten levels take part with what they have. The zeros say how many
        decimals Kraken writes for the symbol beyond those of the listing's scale (18 at most).
        """
        cdef char[KRAKEN_TEXT] text
        cdef char *at = put_levels(text, asks, ask_count, price_zeros, quantity_zeros)
        at = put_levels(at, bids, bid_count, price_zeros, quantity_zeros)
        return crc32(text, <size_t>(at - text))

    inline char *put_plain(char *at, int64_t value, uint8_t decimals) noexcept:
        """As OKX writes a number: no zeros at the end of the fraction."""
        if value < 0:
            at[0] = c"-"
            return at + 1 + fixed.write_trimmed_loosely(-value, decimals, at + 1)
        return at + fixed.write_trimmed_loosely(value, decimals, at)

    inline char *put_javascript(char *at, int64_t value, uint8_t decimals) noexcept:
        """As JavaScript writes a number (ECMA-262, Number::toString): below 0.000001 with an exponent, "1.5e-7"."""
        cdef char[32] digits
        cdef uint64_t magnitude = <uint64_t>value if value >= 0 else 0 - <uint64_t>value
        cdef uint32_t count = fixed.write_digits_loosely(magnitude, digits)
        cdef int exponent = <int>count - 1 - decimals       # of the first digit
        cdef uint32_t i
        if magnitude == 0 or exponent >= -6:
            return put_plain(at, value, decimals)
        if value < 0:
            at[0] = c"-"
            at += 1
        while digits[count - 1] == c"0":
            count -= 1
        at[0] = digits[0]
        at += 1
        if count > 1:
            at[0] = c"."
            at += 1
        for i in range(1, count):
            at[0] = digits[i]
            at += 1
        at[0] = c"e"
        at[1] = c"-"
        return at + 2 + fixed.write_digits(<uint64_t>-exponent, at + 2)

    inline char *put_level(char *at, const Level *level, bint javascript, int sign, uint8_t price_decimals,
                           uint8_t quantity_decimals) noexcept:
        """price:quantity: with a colon behind it."""
        if javascript:
            at = put_javascript(at, level.price, price_decimals)
            at[0] = c":"
            at = put_javascript(at + 1, sign * level.quantity, quantity_decimals)
        else:
            at = put_plain(at, level.price, price_decimals)
            at[0] = c":"
            at = put_plain(at + 1, level.quantity, quantity_decimals)
        at[0] = c":"
        return at + 1

    inline uint32_t interleaved(const Level *asks, uint32_t ask_count, const Level *bids, uint32_t bid_count,
                                bint bitfinex, uint8_t price_decimals, uint8_t quantity_decimals) noexcept:
        """The checksum of OKX ("Checksum" of its WebSocket guide) and, with `bitfinex`, of Bitfinex ("Checksum" of its
        v2 book): the best bid, the best ask, the second bid ... of 25 levels, as price:quantity joined by colons. A
        side that ends early is left out. Bitfinex counts an ask's quantity negative and writes numbers as JavaScript.
        """
        cdef char[INTERLEAVED_TEXT] text
        cdef char *at = text
        cdef uint32_t i
        for i in range(<uint32_t>INTERLEAVED_DEPTH):
            if i < bid_count:
                at = put_level(at, &bids[i], bitfinex, 1, price_decimals, quantity_decimals)
            if i < ask_count:
                at = put_level(at, &asks[i], bitfinex, -1, price_decimals, quantity_decimals)
        return crc32(text, <size_t>(at - text) - 1 if at > text else 0)
