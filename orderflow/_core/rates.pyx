"""Owns what one exchange thread knows of an exchange's limits on orders, and shows it to Python."""
from libc.stdlib cimport calloc, free

from orderflow._core.rate_limit cimport SharedRateLimit
from orderflow._core.types cimport ChildKind

KINDS = (ChildKind.NEW_ORDER, ChildKind.CANCEL_ORDER, ChildKind.REPLACE_ORDER)


cdef class OrderRates:
    """What requests about orders cost, and of which limits (orderflow.exchanges.facts.OrderLimits).

    Everything four-fold is of a new order, a cancel, a replacement and a cancel of everything. Times are monotonic
    nanoseconds.

    Parameters
    ----------
    listings : int
        Of the engine.
    weights : sequence of int
        In the limit that is shared by address (`share`).
    limits : sequence of (count, period_ns, costs, gives_back)
        Of the account; `gives_back`: an order counts no more once some of it is filled.
    counter : (most, point_ns, tariffs), optional
        Of the account in each listing: falls by one in `point_ns`. A tariff is (points, steps), and a step (younger_ns,
        points): what an order younger than that adds.
    """

    def __init__(self, uint32_t listings, weights=(0, 0, 0, 0), limits=(), counter=None):
        cdef uint32_t i, kind, step
        if len(limits) > MOST_LIMITS:
            raise ValueError(f"limits: at most {MOST_LIMITS}, got {len(limits)}")
        self.rates.listing_count = listings
        for kind in range(REQUESTS):
            self.rates.tariffs[kind].weight = weights[kind]
        for i, (count, period_ns, costs, gives_back) in enumerate(limits):
            rate_limit.prepare(&self.rates.limits[i], count, period_ns)
            self.rates.gives_back[i] = gives_back
            for kind in range(REQUESTS):
                self.rates.tariffs[kind].costs[i] = costs[kind]
        self.rates.limit_count = len(limits)
        if counter is None:
            return
        self.rates.counters = <int64_t *>calloc(max(listings, 1), sizeof(int64_t))
        if self.rates.counters is NULL:
            raise MemoryError()
        self.rates.most_points, self.rates.point_ns, tariffs = counter
        for kind in range(REQUESTS):
            points, steps = tariffs[kind]
            if len(steps) > MOST_STEPS:
                raise ValueError(f"steps: at most {MOST_STEPS}, got {len(steps)}")
            self.rates.tariffs[kind].points = points
            for step, (younger_ns, more) in enumerate(steps):
                self.rates.tariffs[kind].steps[step].younger_ns = younger_ns
                self.rates.tariffs[kind].steps[step].points = more

    def __dealloc__(self):
        free(self.rates.counters)

    def share(self, SharedRateLimit limit):
        """The limit of the address, which others draw on too. Before the thread runs."""
        self.shared = limit
        self.rates.weight = &limit.rate

    @property
    def shares(self):
        """Whether requests about orders count in a limit of the address."""
        return any(self.rates.tariffs[kind].weight for kind in range(REQUESTS))

    @property
    def refused(self):
        """(orders for which there was no room, what the exchange itself refused as too much)."""
        return self.rates.refused, self.rates.told

    def take(self, int kind, int64_t now_ns, uint32_t listing=0, int64_t age_ns=0):
        """Whether a request of that ChildKind about an order of that age may go now; then it is counted. For tests: a
        thread that runs is the only one to ask."""
        if kind == ChildKind.CANCEL_ORDER:
            return take_cancel(&self.rates, CANCEL, listing, age_ns, now_ns)
        if kind not in KINDS:
            raise ValueError(f"kind {kind}: expected a ChildKind that goes to an exchange")
        return take_order(&self.rates, <uint8_t>kind, listing, age_ns, now_ns)

    @property
    def refusal(self):
        """(limit, what it would have been, when there may be room) of the last order that was refused."""
        return self.rates.allowed, self.rates.wanted, self.rates.ready_ns

    def on_first_fill(self, int64_t sent_ns):
        """An order that was sent then is filled in part or in whole. For tests."""
        on_first_fill(&self.rates, sent_ns)
