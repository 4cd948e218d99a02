"""Open orders by the exchange's id, for streams that name client id, symbol and side only once.

Open addressing with linear probing over a fixed array of 64-byte slots, at most half of them taken, so a look-up
touches one or two cache lines; removal shifts the run behind it back, so nothing decays. An entry goes when its order
ends.

Worst case: the array is full. Orders that are not ours may take half of the room at most, so the account's other users
cannot push ours out. What finds no room is counted in `forgotten`; lines of such an order that do not repeat its client
id come out as foreign (client_order_id 0), with exchange_order_id set, which still finds the order in the order table.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from orderflow._core.codec cimport NO_LISTING, symbol_hash

cdef enum:
    IDENTITY_SIZE = 32


cdef struct OpenOrder:          # 64 bytes
    char[IDENTITY_SIZE] identity
    uint64_t client_order_id    # 0 = foreign
    uint32_t listing
    uint32_t size               # of identity; 0 = free slot
    uint8_t side
    uint8_t[15] reserved


cdef struct OpenOrders:
    OpenOrder *slots
    uint64_t forgotten
    uint32_t mask
    uint32_t count
    uint32_t foreign_count


cdef nogil:
    inline uint32_t home(const OpenOrders *table, const char *identity, uint32_t size) noexcept:
        return <uint32_t>symbol_hash(identity, size) & table.mask

    inline uint32_t locate(const OpenOrders *table, const char *identity, uint32_t size) noexcept:
        """The slot that holds the order, or the free one where it would go."""
        cdef uint32_t at = home(table, identity, size)
        while table.slots[at].size:
            if table.slots[at].size == size and memcmp(table.slots[at].identity, identity, size) == 0:
                break
            at = (at + 1) & table.mask
        return at

    inline const OpenOrder *find(const OpenOrders *table, const char *identity, uint32_t size) noexcept:
        """NULL if the order is not known."""
        cdef uint32_t at = locate(table, identity, size)
        return &table.slots[at] if table.slots[at].size else NULL

    inline void remember(OpenOrders *table, const char *identity, uint32_t size, uint64_t client_order_id,
                         uint32_t listing, uint8_t side) noexcept:
        """Adds what is known of an order to what was; 0 and NO_LISTING say nothing."""
        cdef OpenOrder *slot
        cdef uint32_t capacity = (table.mask + 1) / 2
        if size == 0 or size > IDENTITY_SIZE:
            table.forgotten += 1
            return
        slot = &table.slots[locate(table, identity, size)]
        if slot.size == 0:
            if table.count >= capacity or (client_order_id == 0 and table.foreign_count >= capacity / 2):
                table.forgotten += 1
                return
            memset(slot, 0, sizeof(OpenOrder))
            memcpy(slot.identity, identity, size)
            slot.size = size
            slot.listing = NO_LISTING
            table.count += 1
            table.foreign_count += 1
        if client_order_id and slot.client_order_id == 0:
            slot.client_order_id = client_order_id
            table.foreign_count -= 1
        if listing != NO_LISTING:
            slot.listing = listing
        if side:
            slot.side = side

    inline void forget(OpenOrders *table, const char *identity, uint32_t size) noexcept:
        """Removes an order, if it is there, and closes the gap in its run."""
        cdef uint32_t gap = locate(table, identity, size)
        cdef uint32_t at = gap
        cdef uint32_t wanted
        if table.slots[gap].size == 0:
            return
        table.count -= 1
        table.foreign_count -= table.slots[gap].client_order_id == 0
        while True:
            at = (at + 1) & table.mask
            if table.slots[at].size == 0:
                break
            wanted = home(table, table.slots[at].identity, table.slots[at].size)
            if ((at - wanted) & table.mask) >= ((at - gap) & table.mask):
                table.slots[gap] = table.slots[at]
                gap = at
        table.slots[gap].size = 0

    inline void clear(OpenOrders *table) noexcept:
        memset(table.slots, 0, (<size_t>table.mask + 1) * sizeof(OpenOrder))
        table.count = 0
        table.foreign_count = 0
