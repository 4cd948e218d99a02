"""Cancels for which the exchange has no room now: they wait in the order in which they were asked for.

What a kill cancels does not stand here and goes before: it is cancelled from the table of what was sent
(cancelling.pxd), round after round, as far as there is room. Everything here goes before any new order, because orders
leave a share of every limit that cancels may use.

At most one cancel of an order waits, and the table holds fewer orders than the ring has room, so it cannot be full of
them; a cancel of an order that is not in the table finds no room in the worst case, goes back as not sent, and the
router asks again. Exchange thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint64_t

from orderflow._core.types cimport ChildOrder

cdef enum:
    WAITING_CAPACITY = 4096     # a power of two; twice the orders that may be out


cdef struct WaitingCancel:
    ChildOrder order
    int64_t since_ns
    uint8_t known               # its order was in the table of what was sent: when it is not any more it has ended


cdef struct WaitingCancels:
    WaitingCancel *orders
    uint64_t put                # how many ever waited
    uint64_t taken
    int64_t longest_ns          # that one has waited


cdef nogil:
    inline bint any_waits(const WaitingCancels *self) noexcept:
        return self.put != self.taken

    inline bint holds(const WaitingCancels *self, uint64_t client_order_id) noexcept:
        cdef uint64_t i
        for i in range(self.taken, self.put):
            if self.orders[i & (WAITING_CAPACITY - 1)].order.client_order_id == client_order_id:
                return True
        return False

    inline bint keep(WaitingCancels *self, const ChildOrder *order, bint known, int64_t now_ns) noexcept:
        """Once, however often it is asked for. False when there is no room."""
        cdef WaitingCancel *waits
        if holds(self, order.client_order_id):
            return True
        if self.put - self.taken == WAITING_CAPACITY:
            return False
        waits = &self.orders[self.put & (WAITING_CAPACITY - 1)]
        waits.order = order[0]
        waits.since_ns = now_ns
        waits.known = known
        self.put += 1
        return True

    inline const WaitingCancel *oldest(const WaitingCancels *self) noexcept:
        """NULL if none waits."""
        return &self.orders[self.taken & (WAITING_CAPACITY - 1)] if self.put != self.taken else NULL

    inline void release(WaitingCancels *self, int64_t now_ns) noexcept:
        """The oldest waits no more."""
        cdef int64_t waited_ns = now_ns - self.orders[self.taken & (WAITING_CAPACITY - 1)].since_ns
        if waited_ns > self.longest_ns:
            self.longest_ns = waited_ns
        self.taken += 1
