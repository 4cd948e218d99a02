"""Memory of the order table: who is in it, how they are found, what they reserve, when they leave.

Dense slots with a free list; a report names its slot, and the client order id proves it or finds the right one
through a map. An order that has ended stays for an evidence window, in a queue by time, so that late reports still
find it; only when the table runs short are the oldest beyond their window retired, a few at a time. An order that has
ended and whose last fills are not yet seen keeps its slot until they are. When no slot is free a new order is
refused: nothing grows. An order that never left (its gate refused it) needs no window, because nobody can have heard of
it: it heads the queue and is retired first, so that an exchange that takes nothing cannot fill the table.

A parent that is done keeps nobody's evidence: its orders have their own slots, and a late fill of one whose parent is
gone still reaches the position. So its window is a courtesy to whoever asks for it, and ends at once when a new parent
needs the place.

Each fill is remembered by (client order id, trade id), because one trade of the exchange may hit several of our
orders, until its order is retired. The listing and the account belong to the order, so that pair is the whole
identity. """
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from orderflow._core cimport index_map, order_states as states, parents
from orderflow._core.index_map cimport IndexMap
from orderflow._core.order_states cimport Order
from orderflow._core.parents cimport ListingFill, Parent
from orderflow._core.positions cimport Position
from orderflow._core.types cimport Listing, OrderStatus, ParentStatus

cdef enum:
    NONE = 0xFFFFFFFF           # no slot
    RETIREMENTS = 8             # orders, or fills, or parents retired at most with each one opened


cpdef enum OutcomeFlag:
    CHANGED = 1                 # the order, and perhaps its parent, is not as before
    DUPLICATE = 2               # this fill was applied before; dropped
    CONFLICT = 4                # its trade id was applied before with another price or quantity; the first is kept
    OVERFILL = 8                # the order is filled beyond its quantity: halt
    PARENT_OVERFILL = 16        # the parent is
    LATE_FILL = 32              # applied after the order had ended
    LATE_REPORT = 64            # says nothing that changes an order that had ended; dropped
    FOREIGN = 128               # not an order of this run: counted, never touched
    RETIRED = 256               # ours, but beyond its evidence window: positions need reconciling if it is a fill
    MALFORMED = 512             # a fill without a positive price and quantity, or too large to be true; dropped
    MISMATCH = 1024             # a fill for another listing or side than the order's; dropped
    LACKS_FILLS = 2048          # the exchange states a larger cumulative quantity than the fills seen: query them
    UNREMEMBERED = 4096         # applied, but there was no room to recognise it again: halt
    FEE_LOST = 8192             # applied, but its fee could not be summed
    PARENT_GONE = 16384         # its parent has left the table; order and position changed
    ANOMALY = 32768             # somebody should look: any of the above that ought not to happen


cdef struct Outcome:            # what a report changed
    int64_t filled              # quantity applied, listing scale
    uint32_t order              # slot, NONE
    uint32_t parent             # slot, NONE
    uint32_t flags              # OutcomeFlag
    uint8_t status_before       # OrderStatus
    uint8_t status
    uint8_t parent_before       # ParentStatus
    uint8_t parent_status


cdef enum Queued:               # Order.queued, Parent.queued
    OUTSIDE = 0
    QUEUED = 1
    RETIRING = 2                # no longer found by anybody; its fills are being forgotten


cdef struct Fill:
    uint64_t trade_id
    int64_t price
    int64_t quantity
    uint32_t next               # of the same order, or free
    uint32_t reserved


cdef struct Counts:
    uint64_t reports
    uint64_t fills
    uint64_t duplicates
    uint64_t conflicts
    uint64_t overfills
    uint64_t late_fills
    uint64_t late_reports
    uint64_t foreign
    uint64_t retired            # reports for orders beyond their window
    uint64_t malformed
    uint64_t mismatches
    uint64_t unremembered
    uint64_t fees_lost


cdef struct Table:
    Order *orders
    Parent *parents
    ListingFill *listing_fills  # [parent slot][ordinal of the listing within its instrument]
    Position *positions         # by listing
    Fill *fills
    const Listing *listings
    uint16_t *ordinals          # by listing
    IndexMap by_client_order_id
    IndexMap by_parent_id
    IndexMap by_trade
    uint64_t prefix             # of the client order ids of this run (client_id.pxd)
    int64_t evidence_ns         # how long an order that left is kept after its end; a parent too, while there is room
    uint32_t order_capacity
    uint32_t parent_capacity
    uint32_t fill_capacity
    uint32_t listing_count
    uint32_t listings_per_instrument
    uint32_t free_order         # heads of the free lists
    uint32_t free_parent
    uint32_t free_fill
    uint32_t free_orders        # lengths of the free lists
    uint32_t free_parents
    uint32_t free_fills
    uint32_t ended_first        # queue of ended orders, oldest first
    uint32_t ended_last
    uint32_t done_first         # queue of ended parents
    uint32_t done_last
    Counts counts


cdef struct Hold:               # what an order reserves of its parent, listing scale
    int64_t working
    int64_t in_doubt


cdef nogil:
    # --- finding -------------------------------------------------------------------------------------------------

    inline uint32_t find(const Table *table, uint64_t client_order_id, uint32_t hint) noexcept:
        """Slot of an order, NONE if it is not in the table. `hint` is where it probably is."""
        if hint < table.order_capacity and table.orders[hint].child.client_order_id == client_order_id:
            if client_order_id and table.orders[hint].queued != RETIRING:
                return hint
        return index_map.find(&table.by_client_order_id, client_order_id, 0)

    inline uint32_t find_parent(const Table *table, uint64_t parent_id) noexcept:
        """Slot of a parent order, NONE if it is not in the table."""
        return index_map.find(&table.by_parent_id, parent_id, 0)

    inline Parent *parent_of(const Table *table, const Order *order) noexcept:
        """The parent of an order, NULL once it has left the table."""
        cdef Parent *parent = &table.parents[order.parent]
        return parent if parent.order.parent_id == order.child.parent_id else NULL

    inline ListingFill *listing_fill(const Table *table, uint32_t parent, uint32_t listing) noexcept:
        """What a parent has had filled on a listing of its instrument."""
        return &table.listing_fills[<size_t>parent * table.listings_per_instrument + table.ordinals[listing]]

    inline int64_t most(const Table *table, uint32_t listing) noexcept:
        """Largest quantity of a listing whose instrument quantity still fits 62 bits."""
        return (<int64_t>1 << 62) / table.listings[listing].quantity_factor

    inline void begin(Outcome *outcome) noexcept:
        memset(outcome, 0, sizeof(Outcome))
        outcome.order = <uint32_t>NONE
        outcome.parent = <uint32_t>NONE

    # --- what an order reserves of its parent --------------------------------------------------------------------

    inline Hold hold_of(const Order *order) noexcept:
        cdef Hold hold
        hold.working = states.reserved(order)
        hold.in_doubt = 0
        if order.status == OrderStatus.IN_DOUBT or states.is_terminal(order.status):
            hold.in_doubt = hold.working
            hold.working = 0
        return hold

    inline void settle(Table *table, uint32_t slot, const Hold *before, int64_t now_ns, Outcome *outcome) noexcept:
        """Derive the order's state from its facts, and carry the difference to its parent and to the queues."""
        cdef Order *order = &table.orders[slot]
        cdef Parent *parent = parent_of(table, order)
        cdef int64_t factor = table.listings[order.child.listing].quantity_factor
        cdef Hold after
        order.status = states.status(order)
        after = hold_of(order)
        outcome.status = order.status
        if outcome.status != outcome.status_before or outcome.filled:
            outcome.flags |= OutcomeFlag.CHANGED
        if states.is_terminal(order.status):
            if states.lacks_fills(order):
                outcome.flags |= OutcomeFlag.LACKS_FILLS
            if order.ended_ns == 0:
                order.ended_ns = now_ns
            if order.queued == OUTSIDE and states.reserved(order) == 0:
                if order.status == OrderStatus.DENIED:
                    queue_order_first(table, slot)
                else:
                    queue_order(table, slot)
        if parent is NULL:
            outcome.flags |= OutcomeFlag.PARENT_GONE | OutcomeFlag.ANOMALY
            return
        outcome.parent = order.parent
        outcome.parent_before = parent.status
        parent.filled += outcome.filled * factor
        parent.working += (after.working - before.working) * factor
        parent.in_doubt += (after.in_doubt - before.in_doubt) * factor
        refresh_parent(table, order.parent, now_ns)
        outcome.parent_status = parent.status
        if outcome.filled and parent.filled > parent.order.quantity:
            outcome.flags |= OutcomeFlag.PARENT_OVERFILL | OutcomeFlag.ANOMALY

    inline void refresh_parent(Table *table, uint32_t slot, int64_t now_ns) noexcept:
        cdef Parent *parent = &table.parents[slot]
        parent.status = parents.status(parent)
        if parent.status == ParentStatus.PARENT_DONE:
            if parent.ended_ns == 0:
                parent.ended_ns = now_ns
            if parent.queued == OUTSIDE:
                queue_parent(table, slot)

    # --- ended orders and parents: queued by time, retired when the table runs short -----------------------------

    inline void queue_order(Table *table, uint32_t slot) noexcept:
        table.orders[slot].queued = QUEUED
        table.orders[slot].next = <uint32_t>NONE
        if table.ended_first == <uint32_t>NONE:
            table.ended_first = slot
        else:
            table.orders[table.ended_last].next = slot
        table.ended_last = slot

    inline void queue_order_first(Table *table, uint32_t slot) noexcept:
        table.orders[slot].queued = QUEUED
        table.orders[slot].next = table.ended_first
        if table.ended_first == <uint32_t>NONE:
            table.ended_last = slot
        table.ended_first = slot

    inline void queue_parent(Table *table, uint32_t slot) noexcept:
        table.parents[slot].queued = QUEUED
        table.parents[slot].next = <uint32_t>NONE
        if table.done_first == <uint32_t>NONE:
            table.done_first = slot
        else:
            table.parents[table.done_last].next = slot
        table.done_last = slot

    inline bint forget_fill(Table *table, Order *order) noexcept:
        """Forget the newest remembered fill of an order; False if there is none."""
        cdef uint32_t at = order.fills
        if at == <uint32_t>NONE:
            return False
        order.fills = table.fills[at].next
        index_map.remove(&table.by_trade, order.child.client_order_id, table.fills[at].trade_id)
        table.fills[at].next = table.free_fill
        table.free_fill = at
        table.free_fills += 1
        return True

    inline void free_order(Table *table, uint32_t slot) noexcept:
        cdef Order *order = &table.orders[slot]
        memset(order, 0, sizeof(Order))
        order.next = table.free_order
        table.free_order = slot
        table.free_orders += 1

    inline uint32_t retire(Table *table, int64_t now_ns, uint32_t budget) noexcept:
        """Retire the oldest ended orders beyond their window; `budget` bounds orders plus fills. Number of slots
        freed."""
        cdef uint32_t freed = 0
        cdef uint32_t slot
        cdef Order *order
        cdef Parent *parent
        while budget and table.ended_first != <uint32_t>NONE:
            slot = table.ended_first
            order = &table.orders[slot]
            budget -= 1
            if order.queued != RETIRING:
                if order.status != OrderStatus.DENIED and now_ns - order.ended_ns < table.evidence_ns:
                    break
                if states.reserved(order):      # heard since that fills are missing: it queues again once they are seen
                    order.queued = OUTSIDE
                    table.ended_first = order.next
                    continue
                order.queued = RETIRING
                index_map.remove(&table.by_client_order_id, order.child.client_order_id, 0)
            if forget_fill(table, order):
                continue
            parent = parent_of(table, order)
            if parent is not NULL:
                parent.retired += order.cumulative * table.listings[order.child.listing].quantity_factor
            table.ended_first = order.next
            free_order(table, slot)
            freed += 1
        return freed

    inline uint32_t retire_parents(Table *table, int64_t now_ns, uint32_t budget) noexcept:
        """Retire the oldest ended parents beyond their window, at most `budget`. Number of slots freed."""
        cdef uint32_t freed = 0
        while budget and table.done_first != <uint32_t>NONE:
            if now_ns - table.parents[table.done_first].ended_ns < table.evidence_ns:
                break
            freed += free_first_done(table)
            budget -= 1
        return freed

    inline void recycle_parent(Table *table) noexcept:
        """Free the slot of the oldest parent that is done, however long ago; every other one taken from the queue on
        the way was put there once."""
        while table.free_parent == <uint32_t>NONE and table.done_first != <uint32_t>NONE:
            free_first_done(table)

    inline bint free_first_done(Table *table) noexcept:
        """Take the oldest parent from the queue and free its slot. False if evidence has reopened it since it was
        queued: it queues again when it is done again."""
        cdef uint32_t slot = table.done_first
        cdef Parent *parent = &table.parents[slot]
        table.done_first = parent.next
        if parent.status != ParentStatus.PARENT_DONE:
            parent.queued = OUTSIDE
            parent.ended_ns = 0
            return False
        index_map.remove(&table.by_parent_id, parent.order.parent_id, 0)
        memset(parent, 0, sizeof(Parent))
        parent.next = table.free_parent
        table.free_parent = slot
        table.free_parents += 1
        return True


cdef class OrderTable:
    cdef Table table
    cdef object listings_owner

    cdef int _allocate(self, uint32_t orders, uint32_t parents, uint32_t fills) except -1
