"""Constant text and times of day, into a frame and out of one."""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    PIECE_SIZE = 216


cdef struct Piece:              # constant text of a frame, prepared when the codec is made
    uint32_t size
    char[PIECE_SIZE] text


cdef nogil:
    inline char *put(char *at, const char *text, size_t size) noexcept:
        """Copies the text to `at`; returns where the next one goes."""
        memcpy(at, text, size)
        return at + size

    inline char *put_piece(char *at, const Piece *piece) noexcept:
        memcpy(at, piece.text, piece.size)
        return at + piece.size

    inline char *put_fixed(char *at, uint64_t value, uint32_t width) noexcept:
        """The last `width` decimal digits of a number, zeros in front."""
        cdef uint32_t i = width
        while i:
            i -= 1
            at[i] = <char>(48 + value % 10)
            value = value / 10
        return at + width

    inline char *put_rfc3339(char *at, int64_t unix_ns) noexcept:
        """2026-05-05T10:00:05.000Z, 24 characters, milliseconds rounded down; years 1970 to 2262.

        Days become a date by shifting the year to begin in March: Hinnant, "chrono-compatible low-level date
        algorithms", civil_from_days.
        """
        cdef uint64_t milliseconds = <uint64_t>unix_ns / 1000000
        cdef uint64_t second = milliseconds / 1000 % 86400
        cdef uint64_t days = milliseconds / 86400000 + 719468
        cdef uint64_t era = days / 146097
        cdef uint64_t day_of_era = days - era * 146097
        cdef uint64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365
        cdef uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100)
        cdef uint64_t march_month = (5 * day_of_year + 2) / 153
        cdef uint64_t month = march_month + 3 if march_month < 10 else march_month - 9
        at = put_fixed(at, year_of_era + era * 400 + (month <= 2), 4)
        at = put_fixed(put(at, b"-", 1), month, 2)
        at = put_fixed(put(at, b"-", 1), day_of_year - (153 * march_month + 2) / 5 + 1, 2)
        at = put_fixed(put(at, b"T", 1), second / 3600, 2)
        at = put_fixed(put(at, b":", 1), second / 60 % 60, 2)
        at = put_fixed(put(at, b":", 1), second % 60, 2)
        at = put_fixed(put(at, b".", 1), milliseconds % 1000, 3)
        return put(at, b"Z", 1)

    inline bint read_fixed(const char *at, uint32_t width, uint64_t *out) noexcept:
        cdef uint32_t i
        out[0] = 0
        for i in range(width):
            if <uint8_t>(at[i] - 48) > 9:
                return False
            out[0] = out[0] * 10 + <uint64_t>(at[i] - 48)
        return True

    inline bint read_rfc3339(const char *at, size_t size, int64_t *unix_ns) noexcept:
        """2023-09-22T10:33:05[.709950]Z to nanoseconds, up to nine decimals; Hinnant's days_from_civil. False if
        not."""
        cdef uint64_t year, month, day, hour, minute, second, era, year_of_era, day_of_year, fraction = 0
        cdef uint64_t unit = 1000000000
        cdef size_t i = 20
        if (size < 20 or at[4] != b"-" or at[7] != b"-" or at[10] != b"T" or at[13] != b":" or at[16] != b":"
                or at[size - 1] != b"Z"):
            return False
        if not (read_fixed(at, 4, &year) and read_fixed(at + 5, 2, &month) and read_fixed(at + 8, 2, &day)
                and read_fixed(at + 11, 2, &hour) and read_fixed(at + 14, 2, &minute)
                and read_fixed(at + 17, 2, &second)):
            return False
        if not (1970 <= year < 2262 and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60
                and second <= 60):
            return False
        if size > 20:
            if at[19] != b"." or size == 21 or size > 30:
                return False
            while i < size - 1:
                if <uint8_t>(at[i] - 48) > 9:
                    return False
                unit = unit / 10
                fraction += unit * <uint64_t>(at[i] - 48)
                i += 1
        year -= month <= 2
        era = year / 400
        year_of_era = year - era * 400
        day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) / 5 + day - 1
        day = era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468
        unix_ns[0] = <int64_t>((day * 86400 + hour * 3600 + minute * 60 + second) * 1000000000 + fraction)
        return True
