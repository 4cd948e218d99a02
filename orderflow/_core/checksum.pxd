"""Checksums over the top of a book, by which an exchange lets us prove that ours is equal.

The CRC-32 of IEEE 802.3 (reflected polynomial 0xEDB88320), eight bytes a step through eight tables ("slicing by 8":
Kounavis and Berry, 2005), about a byte a cycle; a Kraken checksum covers some 400 bytes.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport fixed
from orderflow._core.types cimport Level

cdef extern from *:
    """
    struct OrderflowCrcTables {
        uint32_t of[8][256];

        constexpr OrderflowCrcTables() : of{} {
            for (uint32_t byte = 0; byte < 256; ++byte) {
                uint32_t crc = byte;
                for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
                of[0][byte] = crc;
            }
            for (uint32_t byte = 0; byte < 256; ++byte)
                for (int table = 1; table < 8; ++table)
                    of[table][byte] = of[table - 1][byte] >> 8 ^ of[0][of[table - 1][byte] & 255];
        }
    };
    static constexpr OrderflowCrcTables orderflow_crc_tables;
    #define orderflow_crc(table, byte) orderflow_crc_tables.of[table][byte]
    """
    uint32_t crc_table "orderflow_crc"(int table, uint32_t byte) noexcept nogil

cdef enum:
    KRAKEN_DEPTH = 10           # levels of each side, whatever the depth subscribed
    KRAKEN_TEXT = 2 * KRAKEN_DEPTH * 2 * (20 + 18) + 32


cdef nogil:
    inline uint32_t crc32(const char *data, size_t size) noexcept:
        cdef uint32_t crc = 0xFFFFFFFF
        cdef uint64_t word
        cdef uint32_t low, high
        cdef size_t i = 0
        while i + 8 <= size:
            word = fixed.load_word(data + i)
            low = <uint32_t>word ^ crc
            high = <uint32_t>(word >> 32)
            crc = (crc_table(7, low & 255) ^ crc_table(6, low >> 8 & 255) ^ crc_table(5, low >> 16 & 255)
                   ^ crc_table(4, low >> 24) ^ crc_table(3, high & 255) ^ crc_table(2, high >> 8 & 255)
                   ^ crc_table(1, high >> 16 & 255) ^ crc_table(0, high >> 24))
            i += 8
        while i < size:
            crc = crc >> 8 ^ crc_table(0, (crc ^ <uint8_t>data[i]) & 255)
            i += 1
        return crc ^ <uint32_t>0xFFFFFFFF

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
