"""The values of one JSON object, noted where they stand and read when their meaning is known.

Keys come in any order, and a number can only be read once the listing, and so its scale, is known. So an object is
passed over once, which checks all of it, and the values that matter are kept as spans; each is then read with a cursor
of its own. A key of interest given twice is BAD_JSON: two programs would read two different orders out of it.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport fixed, json

cdef enum:
    FIELDS = 64                 # indices 0 to 63: one bit each in `present`


cdef struct Span:
    const char *begin
    const char *end


cdef struct Fields:
    uint64_t present
    Span[FIELDS] spans          # only those whose bit is set hold anything


cdef nogil:
    inline void note(json.Cursor *c, Fields *fields, uint32_t index) noexcept:
        """Passes over the value that comes next and keeps where it stands."""
        cdef uint64_t bit = <uint64_t>1 << index
        if fields.present & bit:
            json.fail(c, json.BAD_JSON)
            return
        json.peek(c)
        fields.spans[index].begin = c.at
        if json.skip_value(c):
            fields.spans[index].end = c.at
            fields.present |= bit

    inline bint has(const Fields *fields, uint32_t index) noexcept:
        return fields.present >> index & 1

    inline bint has_value(const Fields *fields, uint32_t index) noexcept:
        """Given, and not null."""
        return has(fields, index) and fields.spans[index].begin[0] != b"n"

    inline void enter(const Fields *fields, uint32_t index, json.Cursor *c) noexcept:
        """A cursor on one value; a value that was not given reads as BAD_FIELD."""
        if has(fields, index):
            json.open(c, fields.spans[index].begin, fields.spans[index].end - fields.spans[index].begin)
        else:
            json.open(c, NULL, 0)
            json.fail(c, json.BAD_FIELD)

    # Each of these reads one field into *out and reports into `c`, the frame's own cursor, what is wrong with it.

    inline bint settle(json.Cursor *c, const json.Cursor *field) noexcept:
        if field.status == json.GOOD:
            return True
        if field.at is not NULL and c.status == json.GOOD:
            c.at = field.at
        return json.fail(c, field.status)

    inline bint read_text(json.Cursor *c, const Fields *fields, uint32_t index, json.Cursor *field,
                          json.Text *out) noexcept:
        """`field` must live as long as the text: an escaped one lies inside it."""
        enter(fields, index, field)
        json.read_text(field, out)
        return settle(c, field)

    inline bint read_decimal(json.Cursor *c, const Fields *fields, uint32_t index, uint8_t decimals,
                             int64_t *out) noexcept:
        cdef json.Cursor field
        enter(fields, index, &field)
        json.read_decimal(&field, decimals, out)
        return settle(c, &field)

    inline bint read_int64(json.Cursor *c, const Fields *fields, uint32_t index, int64_t *out) noexcept:
        cdef json.Cursor field
        enter(fields, index, &field)
        json.read_int64(&field, out)
        return settle(c, &field)

    inline bint read_bool(json.Cursor *c, const Fields *fields, uint32_t index, bint *out) noexcept:
        cdef json.Cursor field
        enter(fields, index, &field)
        json.read_bool(&field, out)
        return settle(c, &field)

    inline bint read_exact(json.Cursor *c, const Fields *fields, uint32_t index, int64_t *value,
                           uint8_t *decimals) noexcept:
        """A number in quotes or bare, at as many decimals as it is written with; up to 18."""
        cdef const char *at
        cdef int64_t count = 0
        cdef bint fraction = False
        decimals[0] = 0
        if has(fields, index):
            at = fields.spans[index].begin
            while at < fields.spans[index].end:
                if at[0] == b".":
                    fraction = True
                elif at[0] == b"e" or at[0] == b"E":
                    count = fixed.MAXIMUM_POWER
                    break
                elif fraction and fixed.is_digit(at[0]):
                    count += 1
                at += 1
        decimals[0] = <uint8_t>(count if count < fixed.MAXIMUM_POWER else fixed.MAXIMUM_POWER)
        return read_decimal(c, fields, index, decimals[0], value)
