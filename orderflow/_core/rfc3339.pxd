"""Times like "2023-10-06T17:35:55.440295Z" (RFC 3339) as nanoseconds since 1970."""
from libc.stdint cimport int64_t, uint32_t

from orderflow._core cimport fixed, json


cdef nogil:
    inline int number(const char *p, uint32_t count) noexcept:
        """The number that `count` characters spell, -1 if they are not all digits."""
        cdef int value = 0
        cdef uint32_t i
        for i in range(count):
            if not fixed.is_digit(p[i]):
                return -1
            value = value * 10 + (p[i] - 48)
        return value

    inline int64_t days_since_1970(int64_t year, int64_t month, int64_t day) noexcept:
        """Days of the proleptic Gregorian calendar, counted in years that begin in March (Hinnant, "chrono-Compatible
        Low-Level Date Algorithms")."""
        cdef int64_t era, year_of_era, day_of_year
        if month <= 2:
            year -= 1
        era = year // 400
        year_of_era = year - era * 400
        day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
        return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468

    inline int month_length(int year, int month) noexcept:
        if month == 2:
            return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
        return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31

    inline bint parse(const json.Text *text, int64_t *out) noexcept:
        """False if this is not such a time, or not between 1970 and 2200. Digits after the ninth are dropped."""
        cdef const char *p = text.data
        cdef const char *end = p + text.length
        cdef int year, month, day, hour, minute, second, offset_hours, offset_minutes
        cdef int64_t seconds
        cdef int64_t fraction = 0
        cdef int64_t weight = 100_000_000
        if not 20 <= text.length <= json.SCRATCH_SIZE:  # of a longer text with escapes there is only the beginning
            return False
        if p[4] != b"-" or p[7] != b"-" or (p[10] | 32) != b"t" or p[13] != b":" or p[16] != b":":
            return False
        year = number(p, 4)
        month = number(p + 5, 2)
        day = number(p + 8, 2)
        hour = number(p + 11, 2)
        minute = number(p + 14, 2)
        second = number(p + 17, 2)
        if (not 1970 <= year <= 2200 or not 1 <= month <= 12 or not 1 <= day <= month_length(year, month)
                or not 0 <= hour <= 23 or not 0 <= minute <= 59 or not 0 <= second <= 60):
            return False
        p += 19
        if p[0] == b".":
            p += 1
            if p == end or not fixed.is_digit(p[0]):
                return False
            while p < end and fixed.is_digit(p[0]):
                fraction += weight * (p[0] - 48)
                weight = weight // 10
                p += 1
        seconds = days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
        if end - p == 6 and (p[0] == b"+" or p[0] == b"-") and p[3] == b":":
            offset_hours = number(p + 1, 2)
            offset_minutes = number(p + 4, 2)
            if not 0 <= offset_hours <= 23 or not 0 <= offset_minutes <= 59:
                return False
            offset_minutes += 60 * offset_hours
            seconds += 60 * (offset_minutes if p[0] == b"-" else -offset_minutes)
        elif end - p != 1 or (p[0] | 32) != b"z":
            return False
        out[0] = seconds * 1_000_000_000 + fraction
        return True
