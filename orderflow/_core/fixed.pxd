"""Decimal text <-> int64 scaled by a power of ten, exact or refused.

A value at `decimals` d is the integer value * 10**d. Text is a JSON number (RFC 8259, section 6): "-0.5", "1e-7" and
"12" are numbers, "+1", ".5", "1." and "007" are not. A digit other than zero below the scale is NUMBER_INEXACT,
whatever the size of the rest; what remains is NUMBER_RANGE unless it lies within +-(2**63 - 1).

Worst case: one pass over the text for up to 19 digits, a second one for longer numbers (mostly runs of zeros).
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    typedef __int128 orderflow_int128;

    static constexpr uint64_t orderflow_powers[20] = {
        1ull, 10ull, 100ull, 1000ull, 10000ull, 100000ull, 1000000ull, 10000000ull, 100000000ull, 1000000000ull,
        10000000000ull, 100000000000ull, 1000000000000ull, 10000000000000ull, 100000000000000ull,
        1000000000000000ull, 10000000000000000ull, 100000000000000000ull, 1000000000000000000ull,
        10000000000000000000ull};

    // value / 10**decimals, up to 16 decimals: multiplications, for the compiler knows every divisor.
    static inline uint64_t orderflow_divide_by_power(uint64_t value, unsigned decimals) {
        switch (decimals) {
            case 0: return value;
            case 1: return value / 10u;
            case 2: return value / 100u;
            case 3: return value / 1000u;
            case 4: return value / 10000u;
            case 5: return value / 100000u;
            case 6: return value / 1000000u;
            case 7: return value / 10000000u;
            case 8: return value / 100000000u;
            case 9: return value / 1000000000u;
            case 10: return value / 10000000000u;
            case 11: return value / 100000000000u;
            case 12: return value / 1000000000000u;
            case 13: return value / 10000000000000u;
            case 14: return value / 100000000000000u;
            case 15: return value / 1000000000000000u;
            default: return value / 10000000000000000u;
        }
    }
    """
    uint64_t divide_by_power "orderflow_divide_by_power"(uint64_t value, unsigned decimals) noexcept nogil
    ctypedef long long int128 "orderflow_int128"            # 16 bytes, whatever Cython is told here
    const uint64_t *POWERS "orderflow_powers"               # POWERS[i] == 10**i

cdef extern from *:
    int count_trailing_zeros "__builtin_ctzll"(unsigned long long) noexcept nogil
    int count_leading_zeros "__builtin_clzll"(unsigned long long) noexcept nogil

cdef enum:                      # the values of codec.DecodeStatus
    EXACT = 0
    BAD_NUMBER = 2
    NUMBER_INEXACT = 3
    NUMBER_RANGE = 4

cdef enum:
    MAXIMUM_POWER = 18          # 10**18 is the largest power of ten in an int64
    TEXT_SIZE = 288             # room for any write(): sign, 255 decimals, 20 digits, point


cdef nogil:
    inline bint is_digit(char c) noexcept:
        return <uint8_t>(c - 48) <= 9

    inline uint64_t load_word(const char *p) noexcept:
        """Eight bytes at any alignment, the first one lowest (every supported machine is little-endian)."""
        cdef uint64_t word
        memcpy(&word, p, 8)
        return word

    inline uint32_t digit_run(uint64_t word) noexcept:
        """How many of the first characters of a word are digits, 0 to 8."""
        cdef uint64_t wrong = word ^ 0x3030303030303030ULL          # a digit becomes its value, anything else > 9
        wrong = ((wrong + 0x7676767676767676ULL) | wrong) & 0x8080808080808080ULL
        return <uint32_t>count_trailing_zeros(wrong) >> 3 if wrong else 8

    inline uint64_t digits_value(uint64_t word, uint32_t count) noexcept:
        """The number that the first `count` (1 to 8) characters of a word spell; all of them are digits.

        Three multiplications that each join neighbours: digits to pairs, pairs to fours, fours to eight.
        """
        cdef uint64_t value = (word ^ 0x3030303030303030ULL) << (64 - 8 * count)
        value = value * 10 + (value >> 8)
        return (((value & 0x000000FF000000FFULL) * 0x000F424000000064ULL)
                + (((value >> 16) & 0x000000FF000000FFULL) * 0x0000271000000001ULL)) >> 32

    inline int scale(uint64_t mantissa, int64_t shift, bint negative, int64_t *out) noexcept:
        """mantissa * 10**shift into *out; a negative shift must divide exactly."""
        cdef uint64_t factor
        cdef uint64_t value = mantissa
        if mantissa == 0:
            out[0] = 0
            return EXACT
        if shift < 0:
            if shift < -19:
                return NUMBER_INEXACT
            factor = POWERS[-shift]
            value = mantissa / factor
            if value * factor != mantissa:
                return NUMBER_INEXACT
        elif shift > 0:
            if shift > MAXIMUM_POWER:
                return NUMBER_RANGE
            factor = POWERS[shift]
            if mantissa > <uint64_t>INT64_MAX / factor:
                return NUMBER_RANGE
            value = mantissa * factor
        if value > <uint64_t>INT64_MAX:
            return NUMBER_RANGE
        out[0] = -<int64_t>value if negative else <int64_t>value
        return EXACT

    inline int scale_long(const char *digits, const char *end, int64_t shift, bint negative, int64_t *out) noexcept:
        """As scale, of a text with more digits than fit: its last zeros go first, so a rest below the scale shows.

        [digits, end) holds digits and at most one point; 10**shift is the weight of the last digit at the scale.
        """
        cdef uint64_t mantissa = 0
        cdef const char *last = end - 1
        cdef const char *at
        while last >= digits and (last[0] == b"0" or last[0] == b"."):
            if last[0] == b"0":
                shift += 1
            last -= 1
        at = digits
        while at <= last:
            if at[0] != b".":
                if mantissa > (<uint64_t>INT64_MAX - <uint64_t>(at[0] - 48)) / 10:
                    return NUMBER_INEXACT if shift < 0 else NUMBER_RANGE
                mantissa = mantissa * 10 + <uint64_t>(at[0] - 48)
            at += 1
        if shift < 0 and mantissa:
            return NUMBER_INEXACT
        return scale(mantissa, shift, negative, out)

    inline int parse(const char *p, const char *end, uint8_t decimals, int64_t *out, const char **after) noexcept:
        """The number that begins at p, as an integer at `decimals`; *after is where it ends, or where it is wrong.

        Reads [p, end) only. The caller judges what follows the number.
        """
        cdef const char *digits
        cdef const char *digits_end
        cdef uint64_t mantissa = 0
        cdef int64_t shift = decimals
        cdef int64_t exponent = 0
        cdef int64_t count
        cdef bint exponent_negative = False
        cdef bint negative = p < end and p[0] == b"-"
        if negative:
            p += 1
        digits = p
        while p < end and is_digit(p[0]):
            mantissa = mantissa * 10 + <uint64_t>(p[0] - 48)
            p += 1
        count = p - digits
        after[0] = p
        if count == 0 or (digits[0] == b"0" and count > 1):
            return BAD_NUMBER
        if p < end and p[0] == b".":
            p += 1
            digits_end = p
            while p < end and is_digit(p[0]):
                mantissa = mantissa * 10 + <uint64_t>(p[0] - 48)
                p += 1
            after[0] = p
            if p == digits_end:
                return BAD_NUMBER
            count += p - digits_end
            shift -= p - digits_end
        digits_end = p
        if p < end and (p[0] == b"e" or p[0] == b"E"):
            p += 1
            if p < end and (p[0] == b"-" or p[0] == b"+"):
                exponent_negative = p[0] == b"-"
                p += 1
            after[0] = p
            if p == end or not is_digit(p[0]):
                return BAD_NUMBER
            while p < end and is_digit(p[0]):
                if exponent < <int64_t>1 << 40:         # farther than any text is long: saturate
                    exponent = exponent * 10 + (p[0] - 48)
                p += 1
            after[0] = p
            shift += -exponent if exponent_negative else exponent
        if count > 19:
            return scale_long(digits, digits_end, shift, negative, out)
        return scale(mantissa, shift, negative, out)

    inline uint64_t eight_digits(uint64_t value) noexcept:
        """A number below 10**8 as eight characters with leading zeros, the first one lowest.

        The reverse of digits_value: fours, pairs, digits; each division is a multiplication in all halves at once.
        """
        cdef uint64_t fours = value // 10000 | (value % 10000) << 32
        cdef uint64_t hundreds = (fours * 10486 >> 20) & 0x0000007F0000007FULL
        cdef uint64_t pairs = hundreds | (fours - 100 * hundreds) << 16
        cdef uint64_t tens = (pairs * 103 >> 10) & 0x000F000F000F000FULL
        return (tens | (pairs - 10 * tens) << 8) | 0x3030303030303030ULL

    inline uint32_t put_first_digits(uint64_t value, char *out) noexcept:
        """A number below 10**8 without leading zeros; returns how many digits it has. Eight bytes are overwritten."""
        cdef uint64_t text = eight_digits(value)
        cdef uint32_t count = 8 - (count_trailing_zeros((text ^ 0x3030303030303030ULL) | <uint64_t>1 << 63) >> 3)
        text >>= 8 * (8 - count)
        memcpy(out, &text, 8)
        return count

    inline void put_eight_digits(uint64_t value, char *out) noexcept:
        cdef uint64_t text = eight_digits(value)
        memcpy(out, &text, 8)

    inline uint32_t write_digits_loosely(uint64_t value, char *out) noexcept:
        """As write_digits, but up to 24 bytes at `out` are overwritten. Divides by constants only."""
        cdef uint64_t upper = value // 100_000_000
        cdef uint64_t head = upper // 100_000_000
        cdef uint32_t count
        if upper == 0:
            return put_first_digits(value, out)
        if head == 0:
            count = put_first_digits(upper, out)
        else:
            count = put_first_digits(head, out)
            put_eight_digits(upper - head * 100_000_000, out + count)
            count += 8
        put_eight_digits(value - upper * 100_000_000, out + count)
        return count + 8

    inline uint32_t write_digits(uint64_t value, char *out) noexcept:
        """Decimal digits of an unsigned integer without leading zeros; returns how many (1 to 20)."""
        cdef char[32] digits
        cdef uint32_t count = write_digits_loosely(value, digits)
        memcpy(out, digits, count)
        return count

    inline uint32_t write(int64_t value, uint8_t decimals, char *out) noexcept:
        """Text with all `decimals`: (5, 3) -> "0.005". Returns the length, at most decimals + 22."""
        cdef char[32] digits
        cdef uint64_t magnitude = <uint64_t>value
        cdef uint32_t length = 0
        cdef uint32_t count, whole, i
        if value < 0:
            out[0] = b"-"
            length = 1
            magnitude = 0 - magnitude
        count = write_digits_loosely(magnitude, digits)
        whole = count - decimals if count > decimals else 0
        for i in range(whole):
            out[length + i] = digits[i]
        length += whole
        if whole == 0:
            out[length] = b"0"
            length += 1
        if decimals == 0:
            return length
        out[length] = b"."
        length += 1
        if count < decimals:
            for i in range(<uint32_t>decimals - count):
                out[length + i] = b"0"
            length += <uint32_t>decimals - count
        for i in range(whole, count):
            out[length + i - whole] = digits[i]
        return length + count - whole

    inline uint32_t write_trimmed(int64_t value, uint8_t decimals, char *out) noexcept:
        """Text without zeros at the end of the fraction, without a point if nothing follows it: (500, 3) -> "0.5"."""
        cdef uint32_t length = write(value, decimals, out)
        if decimals:
            while out[length - 1] == b"0":
                length -= 1
            if out[length - 1] == b".":
                length -= 1
        return length

    inline uint32_t without_zeros(uint64_t text) noexcept:
        """How many of eight characters are left when the zeros at their end go; not all may be zeros."""
        return 8 - (count_leading_zeros(text ^ 0x3030303030303030ULL) >> 3)

    inline uint32_t write_trimmed_loosely(int64_t value, uint8_t decimals, char *out) noexcept:
        """As write_trimmed of what is not negative, but up to 41 bytes at `out` are overwritten: what is written is not
        read again, which would have to wait for it."""
        cdef uint64_t whole, fraction, upper, text
        cdef uint32_t length
        if decimals > 16:
            return write_trimmed(value, decimals, out)
        whole = divide_by_power(<uint64_t>value, decimals)
        fraction = <uint64_t>value - whole * POWERS[decimals]
        length = write_digits_loosely(whole, out)
        if fraction == 0:
            return length
        fraction *= POWERS[16 - decimals]
        upper = fraction // 100_000_000
        fraction -= upper * 100_000_000
        out[length] = b"."
        text = eight_digits(upper)
        memcpy(out + length + 1, &text, 8)
        if fraction == 0:
            return length + 1 + without_zeros(text)
        text = eight_digits(fraction)
        memcpy(out + length + 9, &text, 8)
        return length + 9 + without_zeros(text)

    inline int64_t high(int128 value) noexcept:
        """Upper half, with the sign."""
        return <int64_t>(value >> 64)

    inline int64_t low(int128 value) noexcept:
        """Lower half: the bits of an unsigned 64-bit integer."""
        return <int64_t>value
