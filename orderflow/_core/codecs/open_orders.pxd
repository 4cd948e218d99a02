"""Open orders by the exchange's id, for streams that name client id, symbol and side only once.

Open addressing with linear probing over a fixed array of 64-byte slots, at most half of them taken, so a look-up
touches one or two cache lines; removal shifts the run behind it back, so nothing decays.

An order that ends stays until ENDED_KEPT more have ended: the answer to a request may overtake or follow the whole life
of its order on the stream, and must not bring it back to stay for good; and a trade told late still finds its order.

Worst case: `capacity` orders are open. Orders that are not ours may take half of that at most, so the account's other
users cannot push ours out. What finds no room is counted in `forgotten`; lines of such an order that do not repeat its
client id come out as foreign (client_order_id 0), so the count must stay at zero while there are orders of ours.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from orderflow._core.codec cimport NO_LISTING, symbol_hash

cdef enum:
    IDENTITY_SIZE = 32
    ENDED_KEPT = 256            # ends within one round trip of an answer; rate limits allow a fraction of that


cdef struct OpenOrder:          # 64 bytes
    char[IDENTITY_SIZE] identity
    uint64_t client_order_id    # 0 = foreign
    uint32_t listing
    uint32_t size               # of identity; 0 = free slot
    uint8_t side
    uint8_t ended
    uint8_t[14] reserved


cdef struct Ended:
    char[IDENTITY_SIZE] identity
    uint32_t size               # 0 = none yet


cdef struct OpenOrders:
    OpenOrder *slots            # mask + 1 >= 2 * (capacity + ENDED_KEPT), a power of two
    uint64_t forgotten
    uint64_t ended_count        # of all that ever ended
    uint32_t mask
    uint32_t capacity           # open orders at most
    uint32_t count              # open ones
    uint32_t foreign_count      # of them not ours
    Ended[ENDED_KEPT] ended     # ring; the order to remove next stands at ended_count


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

    inline OpenOrder *insert(OpenOrders *table, const char *identity, uint32_t size) noexcept:
        """A cleared slot for an order that has none."""
        cdef OpenOrder *slot = &table.slots[locate(table, identity, size)]
        memset(slot, 0, sizeof(OpenOrder))
        memcpy(slot.identity, identity, size)
        slot.size = size
        slot.listing = NO_LISTING
        return slot

    inline void remember(OpenOrders *table, const char *identity, uint32_t size, uint64_t client_order_id,
                         uint32_t listing, uint8_t side) noexcept:
        """Adds what is known of an open order to what was; 0 and NO_LISTING say nothing. One that ended stays ended."""
        cdef OpenOrder *slot
        if size == 0 or size > IDENTITY_SIZE:
            table.forgotten += 1
            return
        slot = &table.slots[locate(table, identity, size)]
        if slot.ended:
            return
        if slot.size == 0:
            if (table.count >= table.capacity
                    or (client_order_id == 0 and table.foreign_count >= table.capacity / 2)):
                table.forgotten += 1
                return
            slot = insert(table, identity, size)
            table.count += 1
            table.foreign_count += 1
        if client_order_id and slot.client_order_id == 0:
            slot.client_order_id = client_order_id
            table.foreign_count -= 1
        if listing != NO_LISTING:
            slot.listing = listing
        if side:
            slot.side = side

    inline void remove(OpenOrders *table, const char *identity, uint32_t size) noexcept:
        """Empties the slot of an order, and closes the gap in its run."""
        cdef uint32_t gap = locate(table, identity, size)
        cdef uint32_t at = gap
        cdef uint32_t wanted
        if table.slots[gap].size == 0:
            return
        while True:
            at = (at + 1) & table.mask
            if table.slots[at].size == 0:
                break
            wanted = home(table, table.slots[at].identity, table.slots[at].size)
            if ((at - wanted) & table.mask) >= ((at - gap) & table.mask):
                table.slots[gap] = table.slots[at]
                gap = at
        memset(&table.slots[gap], 0, sizeof(OpenOrder))

    inline void end(OpenOrders *table, const char *identity, uint32_t size, uint64_t client_order_id, uint32_t listing,
                    uint8_t side) noexcept:
        """Closes an order, known or not, and removes the one that ended ENDED_KEPT ends ago."""
        cdef OpenOrder *slot
        cdef Ended *oldest = &table.ended[table.ended_count % ENDED_KEPT]
        if size == 0 or size > IDENTITY_SIZE or table.slots[locate(table, identity, size)].ended:
            return
        if oldest.size:
            remove(table, oldest.identity, oldest.size)
        slot = &table.slots[locate(table, identity, size)]
        if slot.size:
            table.count -= 1
            table.foreign_count -= slot.client_order_id == 0
        else:
            slot = insert(table, identity, size)
        slot.client_order_id = client_order_id
        slot.listing = listing
        slot.side = side
        slot.ended = True
        memcpy(oldest.identity, identity, size)
        oldest.size = size
        table.ended_count += 1

    inline void clear(OpenOrders *table) noexcept:
        memset(table.slots, 0, (<size_t>table.mask + 1) * sizeof(OpenOrder))
        memset(table.ended, 0, sizeof(table.ended))
        table.count = 0
        table.foreign_count = 0
