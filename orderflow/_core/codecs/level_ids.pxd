"""Prices of book levels that are only named by a number: one table a listing, with open addressing and fixed room.

A slot is empty where its key is 0. What is removed leaves no grave: later entries of its run move up, so a table that
lives for months is as fast as a fresh one. It is filled to three quarters at most, so a run always ends.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

cdef enum:
    BITS = 16
    SLOTS = 1 << BITS
    MASK = SLOTS - 1
    LARGEST_COUNT = SLOTS // 4 * 3
    LARGEST_ID_BITS = 61        # what is left beside the side


cdef struct Slot:
    uint64_t key
    int64_t price


cdef struct LevelIds:
    Slot *slots
    uint32_t count
    bint loaded                 # a whole book came, and nothing was refused since


cdef inline bint create(LevelIds *table) except False:
    table.slots = <Slot *>calloc(SLOTS, sizeof(Slot))
    if table.slots is NULL:
        raise MemoryError()
    return True


cdef nogil:
    inline void destroy(LevelIds *table) noexcept:
        free(table.slots)

    inline uint64_t key_of(int64_t number, uint32_t side) noexcept:
        """Never 0; the two sides of one number are two levels."""
        return <uint64_t>number << 2 | side

    inline uint32_t home(uint64_t key) noexcept:
        return <uint32_t>((key * 0x9E3779B97F4A7C15ULL) >> (64 - BITS))

    inline Slot *seek(const LevelIds *table, uint64_t key) noexcept:
        """The slot of a key, or the empty one where it would go."""
        cdef uint32_t at = home(key)
        while table.slots[at].key and table.slots[at].key != key:
            at = (at + 1) & MASK
        return &table.slots[at]

    inline void clear(LevelIds *table) noexcept:
        memset(table.slots, 0, SLOTS * sizeof(Slot))
        table.count = 0

    inline bint put(LevelIds *table, uint64_t key, int64_t price) noexcept:
        """False if there is no room."""
        cdef Slot *slot = seek(table, key)
        if slot.key == 0:
            if table.count == LARGEST_COUNT:
                return False
            table.count += 1
            slot.key = key
        slot.price = price
        return True

    inline void remove(LevelIds *table, Slot *slot) noexcept:
        """Of an entry that is there."""
        cdef uint32_t hole = <uint32_t>(slot - table.slots)
        cdef uint32_t at = hole
        table.count -= 1
        while True:
            at = (at + 1) & MASK
            if table.slots[at].key == 0:
                break
            if ((at - home(table.slots[at].key)) & MASK) >= ((at - hole) & MASK):
                table.slots[hole] = table.slots[at]
                hole = at
        table.slots[hole].key = 0
