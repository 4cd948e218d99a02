"""Changed levels as [side, price, quantity], "buy" or "sell", whose two sides come mixed.

As exchanges write them, without spaces, they are compared and read in whole words; every other spelling is read value
by value.
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp

from orderflow._core cimport fixed, json, levels
from orderflow._core.codecs cimport two_sides
from orderflow._core.types cimport Level, Message, Side


cdef nogil:
    inline uint8_t side_of(const json.Text *name) noexcept:
        if json.equal(name, "buy"):
            return Side.BUY
        return Side.SELL if json.equal(name, "sell") else Side.NO_SIDE

    inline bint read_usual_change(json.Cursor *c, two_sides.Sides *sides) noexcept:
        """["buy","1.5","2.5"] without spaces; False, with nothing done, if it is another."""
        cdef const levels.Target *target = sides.target
        cdef const char *p = c.at
        cdef uint32_t side = Side.BUY
        cdef Level *level
        if c.end - p < 16:
            return False
        if memcmp(p, b'["buy","', 8) == 0:
            p += 8
        elif memcmp(p, b'["sell","', 9) == 0:
            side = Side.SELL
            p += 9
        else:
            return False
        level = two_sides.room(c, sides, side)
        if level is NULL:
            return False
        p = levels.number(p, target.price_decimals, &level.price)
        if p is NULL or c.end - p < 3 or memcmp(p, b'","', 3) != 0:
            return False
        p = levels.number(p + 3, target.quantity_decimals, &level.quantity)
        if p is NULL or c.end - p < 2 or memcmp(p, b'"]', 2) != 0:
            return False
        c.at = p + 2
        two_sides.keep(sides, side)
        return True

    inline bint read_change(json.Cursor *c, two_sides.Sides *sides) noexcept:
        """[side, price, quantity, ...] however it is spelt."""
        cdef const levels.Target *target = sides.target
        cdef json.Text text
        cdef uint32_t side
        cdef Level *level
        if not json.enter_array(c):
            return False
        if not json.next_element(c):
            return json.fail(c, json.BAD_FIELD)
        if not json.read_text(c, &text):
            return False
        side = side_of(&text)
        if side == Side.NO_SIDE or not json.next_element(c):
            return json.fail(c, json.BAD_FIELD)
        level = two_sides.room(c, sides, side)
        if level is NULL or not json.read_decimal(c, target.price_decimals, &level.price):
            return False
        if not json.next_element(c):
            return json.fail(c, json.BAD_FIELD)
        if not json.read_decimal(c, target.quantity_decimals, &level.quantity):
            return False
        if level.price < 0 or level.quantity < 0:
            return json.fail(c, fixed.NUMBER_RANGE)
        two_sides.keep(sides, side)
        while json.next_element(c):
            json.skip_value(c)
        return c.status == json.GOOD

    inline void read_changes(json.Cursor *c, levels.Target *target, Message *message) noexcept:
        """`changes` of a frame."""
        cdef two_sides.Sides sides
        two_sides.begin(&sides, target)
        if not json.enter_array(c):
            return
        while json.next_element(c):
            if not read_usual_change(c, &sides) and not read_change(c, &sides):
                return
        two_sides.gather(&sides, message)
