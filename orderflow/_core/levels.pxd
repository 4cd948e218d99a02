"""Arrays of price levels: the fast readers of levels.hpp, and the scanner for whatever they do not take."""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core cimport fixed, json
from orderflow._core.types cimport Level

cdef extern from "levels.hpp" namespace "orderflow::levels" nogil:
    ctypedef const char *(*Reader)(const char *begin, const char *at, const char *end, unsigned price_decimals,
                                   unsigned quantity_decimals, int64_t *out, uint32_t capacity,
                                   uint32_t *count) noexcept nogil
    const Reader read_pairs
    const Reader read_objects
    const char *pairs_words(const char *begin, const char *at, const char *end, unsigned price_decimals,
                            unsigned quantity_decimals, int64_t *out, uint32_t capacity, uint32_t *count) noexcept
    const char *number(const char *p, unsigned decimals, int64_t *out) noexcept

cdef enum:
    TOO_MANY = 6                # the value of codec.DecodeStatus


cdef struct Digits:             # decimals that numbers are written with, the most of any level
    uint8_t price
    uint8_t quantity


cdef struct Target:             # where levels go, and how they are scaled
    Level *levels
    uint32_t count
    uint32_t capacity
    uint8_t price_decimals
    uint8_t quantity_decimals
    Digits digits               # of level objects: a checksum is over digits as written


cdef nogil:
    inline bint read_one_pair(json.Cursor *c, const Target *target, Level *level) noexcept:
        """[price, quantity, ...]: numbers in quotes or bare, anything behind them."""
        if not json.enter_array(c):
            return False
        if not json.next_element(c):
            return json.fail(c, json.BAD_FIELD)
        if not json.read_decimal(c, target.price_decimals, &level.price):
            return False
        if not json.next_element(c):
            return json.fail(c, json.BAD_FIELD)
        if not json.read_decimal(c, target.quantity_decimals, &level.quantity):
            return False
        while json.next_element(c):
            if not json.skip_value(c):
                return False
        return c.status == json.GOOD

    inline void observe(const char *at, const char *end, uint8_t *most) noexcept:
        """Decimals of the number in [at, end); more than any listing has count as that many."""
        cdef uint8_t count = 0
        while at < end and at[0] != b".":
            at += 1
        while at + 1 < end and fixed.is_digit(at[1]) and count < fixed.MAXIMUM_POWER:
            count += 1
            at += 1
        if count > most[0]:
            most[0] = count

    inline void observe_objects(const char *at, const char *end, Digits *digits) noexcept:
        """Decimals of what read_objects took: there is nothing but {"price":1.5,"qty":2.5} in it."""
        cdef uint8_t *most = &digits.price
        cdef const char *point
        while at < end:
            if at[0] == b"p":
                most = &digits.price
            elif at[0] == b"q":
                most = &digits.quantity
            elif at[0] == b".":
                point = at
                while fixed.is_digit(at[1]):
                    at += 1
                if at - point > most[0]:
                    most[0] = <uint8_t>(at - point)
            at += 1

    inline bint read_one_object(json.Cursor *c, Target *target, Level *level) noexcept:
        """{"price": ..., "qty": ...} in any order, with anything else among them."""
        cdef json.Text key
        cdef uint32_t seen = 0
        cdef uint32_t field
        cdef const char *begin
        if not json.enter_object(c):
            return False
        while json.next_key(c, &key):
            field = 1 if json.equal(&key, "price") else 2 if json.equal(&key, "qty") else 0
            if seen & field:
                return json.fail(c, json.BAD_JSON)
            seen |= field
            json.peek(c)
            begin = c.at
            if field == 1:
                json.read_decimal(c, target.price_decimals, &level.price)
                observe(begin, c.at, &target.digits.price)
            elif field == 2:
                json.read_decimal(c, target.quantity_decimals, &level.quantity)
                observe(begin, c.at, &target.digits.quantity)
            else:
                json.skip_value(c)
        if seen != 3:
            return json.fail(c, json.BAD_FIELD)
        return c.status == json.GOOD

    inline void read_fast(json.Cursor *c, Target *target, Reader reader, bint objects) noexcept:
        """As many usual levels as follow. The cursor stands after an opening bracket, or on a comma."""
        cdef uint32_t before = target.count
        cdef uint32_t count = before
        cdef const char *at = c.at - 1 if c.first else c.at     # it begins on the character before a level
        if reader is NULL:
            return
        at = reader(c.begin, at, c.end, target.price_decimals, target.quantity_decimals,
                    <int64_t *>&target.levels[before], target.capacity, &count)
        if count != before:
            if objects:
                observe_objects(c.at, at, &target.digits)
            target.count = count
            c.at = at
            c.first = False

    inline bint read(json.Cursor *c, Target *target, Reader reader, bint objects) noexcept:
        """An array of levels, appended to the target; `reader` reads the usual ones, NULL for none.

        A negative price or quantity is out of range.
        """
        cdef Level *level
        if not json.enter_array(c):
            return False
        read_fast(c, target, reader, objects)
        while json.next_element(c):
            if target.count == target.capacity:
                return json.fail(c, TOO_MANY)
            level = &target.levels[target.count]
            if not (read_one_object(c, target, level) if objects else read_one_pair(c, target, level)):
                return False
            if level.price < 0 or level.quantity < 0:
                return json.fail(c, fixed.NUMBER_RANGE)
            target.count += 1
            if c.at < c.end and c.at[0] == b",":
                read_fast(c, target, reader, objects)
        return c.status == json.GOOD
