"""Constant text and times of day, into a frame."""
from libc.stdint cimport int64_t, uint32_t, uint64_t
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
