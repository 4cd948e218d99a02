"""Levels of Bitfinex, [price, count, amount]: bids where the amount is positive, asks where it is negative, and gone
where the count of orders is 0.

As the exchange writes most of them, without spaces and exponents, they are read in whole words; every other spelling is
read value by value.
"""
from libc.stdint cimport int64_t, uint32_t

from orderflow._core cimport fixed, json, levels
from orderflow._core.codecs cimport two_sides
from orderflow._core.types cimport Level, Message, MessageKind, Side


cdef nogil:
    inline const char *usual_level(const char *p, const char *end, const levels.Target *target, Level *level,
                                   int *sign) noexcept:
        """[price,count,amount] as Bitfinex writes most, without spaces and exponents; what follows it, NULL if it is
        spelt otherwise. The level is gone where the count is 0."""
        cdef bint there = False
        if end - p < 7 or p[0] != b"[":
            return NULL
        p = levels.number(p + 1, target.price_decimals, &level.price)
        if p is NULL or end - p < 5 or p[0] != b"," or not fixed.is_digit(p[1]):
            return NULL
        p += 1
        if p[0] != b"0":
            there = True
            while p < end and fixed.is_digit(p[0]):
                p += 1
        else:
            p += 1
        if end - p < 3 or p[0] != b",":
            return NULL
        p += 1
        sign[0] = 1
        if p[0] == b"-":
            sign[0] = -1
            p += 1
        p = levels.number(p, target.quantity_decimals, &level.quantity)
        if p is NULL or p >= end or p[0] != b"]" or level.quantity == 0:
            return NULL
        if not there:
            level.quantity = 0
        return p + 1

    inline bint read_rest_of_level(json.Cursor *c, two_sides.Sides *sides) noexcept:
        """price, count, amount, ... and the end of the array that they stand in, however it is spelt."""
        cdef const levels.Target *target = sides.target
        cdef int64_t price = 0
        cdef int64_t count = 0
        cdef int64_t amount = 0
        cdef uint32_t side
        cdef Level *level
        if not json.next_element(c):
            return json.fail(c, json.BAD_FIELD)
        if not json.read_decimal(c, target.price_decimals, &price):
            return False
        if not json.next_element(c):
            return json.fail(c, json.BAD_FIELD)
        if not json.read_decimal(c, 0, &count):
            return False
        if not json.next_element(c):
            return json.fail(c, json.BAD_FIELD)
        if not json.read_decimal(c, target.quantity_decimals, &amount):
            return False
        if price < 0 or count < 0:
            return json.fail(c, fixed.NUMBER_RANGE)
        if amount == 0:                                 # of which side?
            return json.fail(c, json.BAD_FIELD)
        side = Side.BUY if amount > 0 else Side.SELL
        level = two_sides.room(c, sides, side)
        if level is NULL:
            return False
        level.price = price
        level.quantity = 0 if count == 0 else amount if amount > 0 else -amount
        two_sides.keep(sides, side)
        while json.next_element(c):
            json.skip_value(c)
        return c.status == json.GOOD

    inline bint read_usual_level(json.Cursor *c, two_sides.Sides *sides) noexcept:
        """False, with nothing done, if the level is spelt otherwise."""
        cdef Level found
        cdef Level *level
        cdef int sign = 1
        cdef uint32_t side
        cdef const char *after = usual_level(c.at, c.end, sides.target, &found, &sign)
        if after is NULL:
            return False
        side = Side.BUY if sign > 0 else Side.SELL
        level = two_sides.room(c, sides, side)
        if level is NULL:
            return False
        level[0] = found
        two_sides.keep(sides, side)
        c.at = after
        return True

    inline void read(json.Cursor *c, levels.Target *target, Message *message) noexcept:
        """One level: an update. An array of levels, which may be empty: the whole book."""
        cdef two_sides.Sides sides
        two_sides.begin(&sides, target)
        message.kind = MessageKind.UPDATE
        if not read_usual_level(c, &sides):
            if not json.enter_array(c):
                return
            if json.peek(c) == b"[" or json.peek(c) == b"]":
                message.kind = MessageKind.SNAPSHOT
                while json.next_element(c):
                    if not read_usual_level(c, &sides) and not (
                            json.enter_array(c) and read_rest_of_level(c, &sides)):
                        return
            elif not read_rest_of_level(c, &sides):
                return
        two_sides.gather(&sides, message)
