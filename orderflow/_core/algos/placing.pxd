"""How much of a quantity is bought at market and how much waits in the queue of each exchange.

A unit that is filled in the queue of exchange k is cheaper than one at market by S_k; a unit that is still missing in
the end is dearer than one at market by P. All orders together ask for no more than the quantity, so nothing is ever
filled too often, what is missing is the sum of what each queue did not fill, and the problem of Cont and Kukanov
("Optimal order placement in limit order markets", Quantitative Finance 17(1), 2017, section 2) falls apart into one for
each exchange. With F_k(x) the probability that more than x leaves its queue in time, the last unit of an order of L_k
behind Q_k is worth its place while

    (P + S_k) F_k(Q_k + L_k) >= P

and where that asks for more than there is, the orders share it so that (P + S_k) F_k is the same for all of them.
What leaves is exponential with mean m_k, so with w_k = ln((P + S_k) / P) and one t for all

    L_k = m_k (w_k - t) - Q_k, not negative;      t = 0, or so much that they add up to the quantity

and the rest goes to the market. t is found by halving an interval: it is monotone, and exact to 2^-20.

Where nobody knows yet what leaves a queue, the order waits there that nothing else is better for. One that never
crosses waits where it is least bad.

Logarithms in 2^-20 (algos/queue.pxd), quantities are integers: a replay on another machine decides the same. O(k) for
each of 24 halvings.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint32_t

from orderflow._core.algos.queue cimport LOG_BITS
from orderflow._core.fixed cimport int128

cdef enum:
    UNKNOWN = -1                # instead of a mean
    LARGEST = 0x3FFFFFFFFFFFFFFF


cdef struct Queue:              # of one exchange; quantities in one scale
    int64_t ahead               # Q
    int64_t mean                # m; UNKNOWN
    int64_t worth               # w, in 2^-20
    int64_t quantity            # L: the answer


cdef nogil:
    inline int64_t reach(const Queue *queue, int64_t shared) noexcept:
        """How far its last unit may stand from the beginning of the queue, less what is ahead; negative = not even the
        first one is worth its place."""
        cdef int128 found = queue.mean
        found = found * (queue.worth - shared)
        found = found >> LOG_BITS
        return <int64_t>found - queue.ahead if found < <int64_t>LARGEST else <int64_t>LARGEST

    inline int64_t best_at(const Queue *queue, int64_t shared) noexcept:
        cdef int64_t found
        if queue.mean <= 0 or queue.worth <= shared:
            return 0
        found = reach(queue, shared)
        return found if found > 0 else 0

    inline int64_t total_at(Queue *queues, uint32_t count, int64_t shared, int64_t most) noexcept:
        """Of all, or any number above `most`."""
        cdef int64_t total = 0
        cdef uint32_t k
        for k in range(count):
            queues[k].quantity = best_at(&queues[k], shared)
            if queues[k].quantity > most - total:
                return INT64_MAX
            total += queues[k].quantity
        return total

    inline void share_out(Queue *queues, uint32_t count, int64_t quantity) noexcept:
        """They would take more than there is."""
        cdef int64_t low = 0                # too much there
        cdef int64_t high = 0               # not too much
        cdef int64_t left = quantity
        cdef int64_t middle, more
        cdef uint32_t k
        for k in range(count):
            high = queues[k].worth if queues[k].worth > high else high
        while high - low > 1:
            middle = low + (high - low) // 2
            if total_at(queues, count, middle, quantity) > quantity:
                low = middle
            else:
                high = middle
        left -= total_at(queues, count, high, quantity)
        for k in range(count):
            more = best_at(&queues[k], low) - queues[k].quantity
            more = more if more < left else left
            queues[k].quantity += more
            left -= more

    inline int64_t place(Queue *queues, uint32_t count, int64_t quantity, bint crosses) noexcept:
        """How much of it goes to the market; what waits where is in the queues. Of several that nobody knows, the one
        that stands first waits. `crosses`: whether the market is allowed."""
        cdef int64_t left, found
        cdef int64_t best = 0
        cdef uint32_t k
        cdef uint32_t chosen = count
        left = total_at(queues, count, 0, quantity)
        if left > quantity:
            share_out(queues, count, quantity)
            return 0
        left = quantity - left
        if left == 0:
            return 0
        for k in range(count):
            if queues[k].mean < 0:
                chosen = k
                break
        for k in range(count if chosen == count and not crosses else 0):
            found = reach(&queues[k], 0)
            if chosen == count or found > best:
                chosen, best = k, found
        if chosen == count:
            return left
        queues[chosen].quantity += left
        return 0
