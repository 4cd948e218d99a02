"""What orders that take find when they arrive, learned for each listing: how much of it is gone, and how long it took.

A level is displayed, and another one was faster, or it was never meant. Of every order that took what a book showed and
has ended, the part that was not there counts with a weight of one in WEIGHT; until something is known everything is
there. What is known is worth half as much every HALF_LIFE_NS, so that an exchange that was left alone for its fading is
tried again.

What fades has to be bought later, at another price. How much dearer that was, after fees, is learned for each
instrument from what the router decided next; it begins with FIRST_CHASE. With phi the probability that a level is
still there and pi = c + chase the cost of what is not,

    phi * c + (1 - phi) * pi = c + (1 - phi) * chase

so a listing whose levels fade is dearer by `surcharge`, and the split counts it as a part of its fee. It is linear in
the quantity, so splits are as exact as without it.

Orders of one decision arrive one after the other, and whoever sees the first can take from under the others. Where that
costs more than STAGGER, the faster orders of a first decision are sent later, so that all arrive together (`lead_ns`).

Integers; router thread only.
"""
from libc.stdint cimport int64_t

cdef enum:
    WHOLE = 1_000_000           # of parts
    WEIGHT = 8
    HALF_LIFE_NS = 60_000_000_000
    FIRST_CHASE = 10_000        # 1e-8 of the price
    MOST_CHASE = 1_000_000
    STAGGER = 1_000             # 1e-8 of the price
    LEAST_LEAD_NS = 1_000_000   # what is not worth a timer
    MOST_LEAD_NS = 500_000_000


cdef struct Arrivals:           # of one listing
    int64_t missing             # of what was asked for, in 1e-6, as of `learned_ns`
    int64_t round_trip_ns       # from the decision to the order's end; 0 = none has ended yet
    int64_t learned_ns          # monotonic


cdef nogil:
    inline int64_t missing(const Arrivals *self, int64_t now_ns) noexcept:
        """Part of what is displayed that will be gone, in 1e-6."""
        cdef int64_t halvings
        if self.missing == 0:
            return 0
        halvings = (now_ns - self.learned_ns) // HALF_LIFE_NS
        return self.missing >> (halvings if halvings < 62 else 62)

    inline void learn(Arrivals *self, int64_t asked, int64_t filled, int64_t decided_ns, int64_t now_ns) noexcept:
        """An order that took has ended. Quantities in one scale, `asked` positive."""
        cdef int64_t gone = <int64_t>(<double>(asked - filled) / <double>asked * WHOLE)
        cdef int64_t took_ns = now_ns - decided_ns
        self.missing = missing(self, now_ns)
        self.missing += (gone - self.missing) // WEIGHT
        self.round_trip_ns += (took_ns - self.round_trip_ns) // WEIGHT if self.round_trip_ns else took_ns
        self.learned_ns = now_ns

    inline int64_t chased(int64_t chase, int64_t dearer) noexcept:
        """The cost of chasing after once more: `dearer` in 1e-8 of the price."""
        if dearer > MOST_CHASE:
            dearer = MOST_CHASE
        elif dearer < 0:
            dearer = 0
        return chase + (dearer - chase) // WEIGHT

    inline int64_t surcharge(const Arrivals *self, int64_t chase, int64_t now_ns) noexcept:
        """What fading makes of a price, 1e-8 of it."""
        return missing(self, now_ns) * chase // WHOLE

    inline int64_t lead_ns(const Arrivals *self, int64_t longest_ns) noexcept:
        """How much later an order may be sent than the one that takes longest, to arrive with it. Both ways are taken
        to be equally long."""
        cdef int64_t lead = (longest_ns - self.round_trip_ns) // 2 if self.round_trip_ns else 0
        if lead < LEAST_LEAD_NS:
            return 0
        return lead if lead < MOST_LEAD_NS else <int64_t>MOST_LEAD_NS
