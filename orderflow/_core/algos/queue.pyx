"""Shows queues, and what is decided by them, to Python."""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t


def natural_logarithm(uint64_t ratio):
    """Of `ratio` / 2^32, which is 1 or more, in 2^-20."""
    if ratio < <uint64_t>1 << 32:
        raise ValueError(f"ratio {ratio}: expected 2^32 or more")
    return logarithm(ratio)


def least_chance(uint32_t urgency, int64_t cost, int64_t usual):
    """-ln of the least probability for which a unit waits, in 2^-20; -1 = nothing waits."""
    return worth(urgency, cost, usual)


cdef class Outflow:
    """What leaves the best level of a side."""
    cdef BestQueue queue
    cdef uint8_t side

    def __init__(self, uint8_t side):
        self.side = side

    def watch(self, int64_t price, int64_t quantity, int64_t own=0, int64_t traded=0, int64_t elapsed_ns=0):
        """The level as it is now, what of it is ours, and what was traded there since the last look."""
        watch(&self.queue, self.side, price, quantity, own, traded, elapsed_ns)

    @property
    def left(self):
        """So much has left in `seen_ns`."""
        return <object>total(&self.queue.outflow)

    @property
    def seen_ns(self):
        """How long it was watched, of the last one or two periods."""
        return seen_ns(&self.queue.outflow)

    def mean(self, int64_t left_ns):
        """What leaves in that time, if it goes on as it was; None = not enough was seen to say so."""
        cdef int64_t found = mean(&self.queue.outflow, left_ns)
        return found if found >= 0 else None


cdef class QueuePlace:
    """The place of one order in its queue."""
    cdef Place place

    def stand(self, uint64_t order, int64_t price, int64_t shown, uint64_t traded, bint is_new=False):
        """Its level shows so much besides it; `traded` counts what was traded at the level."""
        stand(&self.place, order, price, shown, traded, is_new)

    @property
    def ahead(self):
        """Of others, at most."""
        return ahead(&self.place)
