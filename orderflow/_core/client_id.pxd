"""Client order ids: who made an order, and its text.

    instance (20 bits) | run (13 bits) | counter (30 bits)

The instance is drawn at random when a journal directory begins, and stays: so two engines on one account do not give
the same id, but once in a million pairs; an engine that meets an id of its own run which it never gave halts. The run
counts the starts on that directory, the counter the orders of a run. The upper bit is free (timer keys of the router
use it). Instance and run together are the prefix.

As text: `of` and 13 characters of Crockford base 32 in lower case, 15 characters in all.

Thirteen characters of five bits hold 65 bits, so the first is at most `f`. Fixed width keeps every frame's template at
fixed offsets and sorts as the number does; 15 characters of [0-9a-z] fit every exchange's rule (Binance 36, Kraken 18).
The alphabet leaves out i, l, o and u (Crockford, "Base 32", 2002). Reading is strict, without Crockford's folding of
case and look-alikes: two spellings of one id would let somebody else's order pass for ours.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    COUNTER_BITS = 30
    RUN_BITS = 13
    INSTANCE_BITS = 20
    TEXT_LENGTH = 15            # of + 13
    DIGITS = 13
    NOT_A_DIGIT = 255


cdef nogil:
    inline uint64_t prefix(uint64_t client_order_id) noexcept:
        """Whose it is: instance and run."""
        return client_order_id >> COUNTER_BITS

    inline bint is_last(uint64_t client_order_id) noexcept:
        """Whether its run has no other after it."""
        return client_order_id & ((<uint64_t>1 << COUNTER_BITS) - 1) == (<uint64_t>1 << COUNTER_BITS) - 1

    inline void write_base32(uint64_t value, uint32_t count, char *out) noexcept:
        """The low 5 * count bits of `value` as `count` characters, most significant first."""
        cdef const char *alphabet = b"0123456789abcdefghjkmnpqrstvwxyz"
        cdef uint32_t at = count
        while at:
            at -= 1
            out[at] = alphabet[value & 31]
            value >>= 5

    inline uint8_t digit(char c) noexcept:
        """Value of one character, NOT_A_DIGIT if it is not in the alphabet."""
        cdef const char *letters = (b"\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\xff\x12\x13\xff\x14\x15\xff"
                                    b"\x16\x17\x18\x19\x1a\xff\x1b\x1c\x1d\x1e\x1f")
        if <uint8_t>(c - 48) <= 9:
            return <uint8_t>(c - 48)
        if <uint8_t>(c - 97) <= 25:
            return <uint8_t>letters[<uint8_t>(c - 97)]
        return NOT_A_DIGIT

    inline bint read_base32(const char *text, uint32_t count, uint64_t *value) noexcept:
        """Inverse of write_base32 for count <= 13; false if a character is foreign or the value exceeds 64 bits."""
        cdef uint64_t result = 0
        cdef uint8_t next_digit
        cdef uint32_t i
        for i in range(count):
            next_digit = digit(text[i])
            if next_digit == NOT_A_DIGIT or result >> 59:
                return False
            result = result << 5 | next_digit
        value[0] = result
        return True

    inline void write(uint64_t client_order_id, char *out) noexcept:
        """Writes TEXT_LENGTH characters; no terminating zero."""
        out[0] = b"o"
        out[1] = b"f"
        write_base32(client_order_id, DIGITS, out + 2)

    inline uint64_t read(const char *text, size_t length) noexcept:
        """The id that write() spelled so, 0 for any other text: an order that is not ours."""
        cdef uint64_t value = 0
        if length != TEXT_LENGTH or text[0] != b"o" or text[1] != b"f":
            return 0
        if not read_base32(text + 2, DIGITS, &value):
            return 0
        return value
