"""Orders that wait for the disk: under the journal's policy `sync` none leaves before its intent is durable.

    router ring ──> must_wait? ── no ──> gate, wire
                        │ yes
                        └─> held (in order) ── durable ──> gate, wire

The exchange thread looks at one word that the flushing thread writes, and makes no system call for it; that thread
rings when the word has moved. Cancels do not wait, and overtake: only the cancel of an order that is held itself stays
behind it. An order that waits in vain, because a flush has failed, goes back as NOT_SENT (JOURNAL_FAILED); one that
waits beyond its deadline is refused by the gate.

A ring of ChildOrder; when it is full orders stay in the router's ring, and cancels behind them. Exchange thread only.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from orderflow._core cimport segments
from orderflow._core.segments cimport Durability, Halt
from orderflow._core.types cimport ChildKind, ChildOrder

cdef enum:
    HELD_CAPACITY = 4096        # a power of two: as many as the router's ring holds


cdef struct HeldOrders:
    const Durability *durability    # NULL = none waits
    ChildOrder *orders
    uint64_t put                # how many ever waited
    uint64_t taken


cdef nogil:
    inline bint is_durable(const HeldOrders *self, const ChildOrder *order) noexcept:
        return segments.load_sequence(&self.durability.durable) >= order.journal_sequence

    inline bint in_vain(const HeldOrders *self, const ChildOrder *order) noexcept:
        """Whether the intent of an order or a replacement will never be durable."""
        return (self.durability is not NULL and order.kind != ChildKind.CANCEL_ORDER and not is_durable(self, order)
                and segments.load_acquire(&self.durability.halted) == Halt.FLUSH_FAILED)

    inline bint holds(const HeldOrders *self, uint64_t client_order_id) noexcept:
        cdef uint64_t i
        for i in range(self.taken, self.put):
            if self.orders[i & (HELD_CAPACITY - 1)].client_order_id == client_order_id:
                return True
        return False

    inline bint must_wait(const HeldOrders *self, const ChildOrder *order) noexcept:
        """Whether an order that the router hands over has to be kept for now."""
        if self.durability is NULL:
            return False
        if order.kind == ChildKind.CANCEL_ORDER:
            return self.put != self.taken and holds(self, order.client_order_id)
        return self.put != self.taken or not (is_durable(self, order) or in_vain(self, order))

    inline bint keep(HeldOrders *self, const ChildOrder *order) noexcept:
        """False when it is full."""
        if self.put - self.taken == HELD_CAPACITY:
            return False
        self.orders[self.put & (HELD_CAPACITY - 1)] = order[0]
        self.put += 1
        return True

    inline const ChildOrder *ready(const HeldOrders *self, int64_t now_ns) noexcept:
        """The oldest, if it need not wait any longer; NULL."""
        cdef const ChildOrder *order
        if self.put == self.taken:
            return NULL
        order = &self.orders[self.taken & (HELD_CAPACITY - 1)]
        if (order.kind == ChildKind.CANCEL_ORDER or is_durable(self, order) or in_vain(self, order)
                or (order.deadline_ns and now_ns > order.deadline_ns)):
            return order
        return NULL
