"""Owns the limits that several threads draw on, and shows them to Python."""


cdef class SharedRateLimit:
    """At most `limit` in any period of `period_ns`, for all threads together.

    Times are monotonic nanoseconds. DANGER: native threads hold pointers into this object. Stop them before it dies.

    Parameters
    ----------
    limit : int
        0 = none.
    period_ns : int
    """

    def __init__(self, int64_t limit, int64_t period_ns):
        if limit < 0 or period_ns <= 0:
            raise ValueError(f"limit={limit}, period_ns={period_ns}: no limit is negative, no period 0")
        prepare(&self.rate, limit, period_ns)

    @property
    def limit(self):
        return number_of(&self.rate.limit)

    @property
    def closed_until_ns(self):
        """Before that the exchange wants to hear nothing; 0 = it has never said so."""
        return number_of(&self.rate.closed_until_ns)

    def set_limit(self, int64_t limit):
        """The exchange allows another number in the same period."""
        set_number(&self.rate.limit, limit)

    def used(self, int64_t now_ns):
        """What counts now."""
        return used(&self.rate, now_ns)

    def take(self, int64_t cost, int64_t now_ns, int percent=100):
        """Count what goes now, unless it is too much for that share of the limit: then False."""
        return take(&self.rate, cost, percent, now_ns)

    def spend(self, int64_t cost, int64_t now_ns):
        """Count what goes now, whatever the limit."""
        spend(&self.rate, cost, now_ns)

    def give_back(self, int64_t cost, int64_t spent_ns):
        """What was spent at that time counts no more."""
        give_back(&self.rate, cost, spent_ns)

    def ready_ns(self, int64_t cost, int64_t now_ns, int percent=100):
        """When so much may go, if nothing else goes before."""
        return ready_ns(&self.rate, cost, percent, now_ns)

    def hear(self, int64_t counted, int64_t now_ns):
        """The exchange says that it has counted so much."""
        hear(&self.rate, counted, now_ns)

    def close(self, int64_t until_ns):
        """Nothing goes before."""
        close(&self.rate, until_ns)
