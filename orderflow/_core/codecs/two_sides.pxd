"""Levels whose sides come mixed, one after the other: bids and asks of a message gathered into a run each.

Bids grow from where the levels of the message begin, asks from the end of the buffer downwards; at the end the asks are
brought behind the bids. So each side keeps the order in which it came, in which the last word on a price counts.
"""
from libc.stdint cimport uint32_t
from libc.string cimport memmove

from orderflow._core cimport json, levels
from orderflow._core.types cimport Level, Message, Side


cdef struct Sides:
    levels.Target *target
    uint32_t bids
    uint32_t asks


cdef nogil:
    inline void begin(Sides *sides, levels.Target *target) noexcept:
        sides.target = target
        sides.bids = sides.asks = 0

    inline Level *room(json.Cursor *c, Sides *sides, uint32_t side) noexcept:
        """Where the next level of a side goes; it counts once `keep` was called. NULL if there is no room."""
        cdef levels.Target *target = sides.target
        if target.count + sides.bids + sides.asks == target.capacity:
            json.fail(c, levels.TOO_MANY)
            return NULL
        if side == Side.BUY:
            return &target.levels[target.count + sides.bids]
        return &target.levels[target.capacity - 1 - sides.asks]

    inline void keep(Sides *sides, uint32_t side) noexcept:
        if side == Side.BUY:
            sides.bids += 1
        else:
            sides.asks += 1

    inline void gather(Sides *sides, Message *message) noexcept:
        """All have come: they are the message's."""
        cdef levels.Target *target = sides.target
        cdef Level *first = &target.levels[target.capacity - sides.asks]
        cdef Level *last = &target.levels[target.capacity - 1]
        cdef Level swapped
        message.bids_begin = target.count
        message.bids_count = sides.bids
        message.asks_begin = target.count + sides.bids
        message.asks_count = sides.asks
        if sides.asks:
            while first < last:
                swapped = first[0]
                first[0] = last[0]
                last[0] = swapped
                first += 1
                last -= 1
            memmove(&target.levels[message.asks_begin], &target.levels[target.capacity - sides.asks],
                    sides.asks * sizeof(Level))
        target.count += sides.bids + sides.asks
