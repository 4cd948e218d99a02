"""Is a byte span UTF-8? (Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.)

Market data is ASCII with an occasional word in another alphabet, so runs of ASCII are skipped 32 bytes a step and only
the rest is looked at byte by byte. Worst case, no ASCII at all: one pass, about a nanosecond a byte.
"""
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy


cdef nogil:
    inline size_t ascii_run(const uint8_t *data, size_t size) noexcept:
        """Length of the ASCII prefix."""
        cdef uint64_t high_bits = 0x8080808080808080ULL
        cdef uint64_t words[4]
        cdef size_t at = 0
        while at + 32 <= size:
            memcpy(words, data + at, 32)
            if (words[0] | words[1] | words[2] | words[3]) & high_bits:
                break
            at += 32
        while at + 8 <= size:
            memcpy(words, data + at, 8)
            if words[0] & high_bits:
                break
            at += 8
        while at < size and data[at] < 0x80:
            at += 1
        return at

    inline size_t sequence_length(const uint8_t *data, size_t size) noexcept:
        """Bytes of the multi-byte character that begins here; 0: there is none."""
        cdef uint8_t lead = data[0]
        cdef uint8_t lowest = 0x80      # of the second byte, which carries the special cases
        cdef uint8_t highest = 0xBF
        cdef size_t length
        cdef size_t i
        if 0xC2 <= lead <= 0xDF:
            length = 2
        elif 0xE0 <= lead <= 0xEF:
            length = 3
            if lead == 0xE0:
                lowest = 0xA0           # overlong below
            elif lead == 0xED:
                highest = 0x9F          # surrogates above
        elif 0xF0 <= lead <= 0xF4:
            length = 4
            if lead == 0xF0:
                lowest = 0x90           # overlong below
            elif lead == 0xF4:
                highest = 0x8F          # above U+10FFFF
        else:
            return 0
        if size < length or data[1] < lowest or data[1] > highest:
            return 0
        for i in range(2, length):
            if data[i] & 0xC0 != 0x80:
                return 0
        return length

    inline bint valid(const char *text, size_t size) noexcept:
        cdef const uint8_t *data = <const uint8_t *>text
        cdef size_t at = 0
        cdef size_t length
        while True:
            at += ascii_run(data + at, size - at)
            if at == size:
                return True
            length = sequence_length(data + at, size - at)
            if length == 0:
                return False
            at += length
