"""Changed levels of Coinbase Advanced Trade, objects whose two sides come mixed.

As the exchange writes them, without spaces and with keys in its order, they are compared and read in whole words; every
other spelling is read value by value.
"""
from libc.stdint cimport uint32_t
from libc.string cimport memcmp

from orderflow._core cimport fixed, json, levels
from orderflow._core.codecs cimport two_sides
from orderflow._core.types cimport Level, Message, Side

cdef enum:                      # bits: keys of a level that were seen
    LEVEL_SIDE = 1
    LEVEL_PRICE = 2
    LEVEL_QUANTITY = 4


cdef nogil:
    inline bint see(json.Cursor *c, uint32_t *seen, uint32_t bit) noexcept:
        """A key of interest: BAD_JSON the second time."""
        if seen[0] & bit:
            return json.fail(c, json.BAD_JSON)
        seen[0] |= bit
        return True

    inline bint read_usual_level(json.Cursor *c, two_sides.Sides *sides) noexcept:
        """{"side":"bid","event_time":"...","price_level":"1.5","new_quantity":"2.5"} without spaces; False, with
        nothing done, if it is another."""
        cdef const levels.Target *target = sides.target
        cdef const char *begin = c.at
        cdef const char *p
        cdef uint32_t side = Side.BUY
        cdef bint escaped
        cdef Level *level
        if c.end - begin < 60:
            return False
        if memcmp(begin, b'{"side":"bid","event_time":"', 28) == 0:
            c.at += 27
        elif memcmp(begin, b'{"side":"offer","event_time":"', 30) == 0:
            side = Side.SELL
            c.at += 29
        else:
            return False
        level = two_sides.room(c, sides, side)
        if level is NULL or not json.scan_string(c, &escaped):
            return False
        p = c.at
        c.at = begin
        if c.end - p < 16 or memcmp(p, b',"price_level":"', 16) != 0:
            return False
        p = levels.number(p + 16, target.price_decimals, &level.price)
        if p is NULL or c.end - p < 18 or memcmp(p, b'","new_quantity":"', 18) != 0:
            return False
        p = levels.number(p + 18, target.quantity_decimals, &level.quantity)
        if p is NULL or c.end - p < 2 or memcmp(p, b'"}', 2) != 0:
            return False
        c.at = p + 2
        two_sides.keep(sides, side)
        return True

    inline bint read_level(json.Cursor *c, two_sides.Sides *sides) noexcept:
        """A level however it is spelt."""
        cdef const levels.Target *target = sides.target
        cdef json.Text text
        cdef uint32_t side = Side.NO_SIDE
        cdef uint32_t seen = 0
        cdef Level level
        cdef Level *place
        if not json.enter_object(c):
            return False
        while json.next_key(c, &text):
            if json.equal(&text, "side"):
                if see(c, &seen, LEVEL_SIDE) and json.read_text(c, &text):
                    side = (Side.BUY if json.equal(&text, "bid") else
                            Side.SELL if json.equal(&text, "offer") or json.equal(&text, "ask") else Side.NO_SIDE)
            elif json.equal(&text, "price_level"):
                if see(c, &seen, LEVEL_PRICE):
                    json.read_decimal(c, target.price_decimals, &level.price)
            elif json.equal(&text, "new_quantity"):
                if see(c, &seen, LEVEL_QUANTITY):
                    json.read_decimal(c, target.quantity_decimals, &level.quantity)
            else:
                json.skip_value(c)
        if c.status != json.GOOD:
            return False
        if seen != (LEVEL_SIDE | LEVEL_PRICE | LEVEL_QUANTITY) or side == Side.NO_SIDE:
            return json.fail(c, json.BAD_FIELD)
        if level.price < 0 or level.quantity < 0:
            return json.fail(c, fixed.NUMBER_RANGE)
        place = two_sides.room(c, sides, side)
        if place is NULL:
            return False
        place[0] = level
        two_sides.keep(sides, side)
        return True

    inline void read_updates(json.Cursor *c, levels.Target *target, Message *message) noexcept:
        """`updates` of an event of Advanced Trade."""
        cdef two_sides.Sides sides
        two_sides.begin(&sides, target)
        if not json.enter_array(c):
            return
        while json.next_element(c):
            if not read_usual_level(c, &sides) and not read_level(c, &sides):
                return
        two_sides.gather(&sides, message)
