"""What requests about orders cost at an exchange, and whether the next one may go. Exchange thread only.

    order, replacement ── 80 % of every limit that it counts in ── refused at once, with the numbers
    cancel             ── all of it ───────────────────────────── waits, where the exchange would refuse it

Three kinds of limits, each as the exchange itself counts it:

* `weight`: of an address, in which every request counts, REST calls of this process too (rate_limit.pxd);
* `limits`: of an account; new orders in 10 seconds, in a day, and what the user allows besides;
* `counters`: of an account in one listing; a number that goes up with what is asked for, by how young the order is, and
  falls with time (Kraken's rate counter of the matching engine).

A fifth of each is kept for cancels. An order for which there is no room is refused here and now, with the limit, the
number that it would have made and when there may be room: the router sends what remains elsewhere. Nothing queues.

A cancel is never refused. Where the exchange takes it in any case (Kraken; and a limit that counts new orders alone) it
is only counted, and orders wait for it. Where it would be refused, because all of the address's weight is spent, it
waits in this thread (waiting_cancels.pxd).

**Counters.** Kept as the time at which they will be 0, so that nothing is refilled by a timer. Requests may be nearer
to each other at the exchange than they were when they left, so its counter may be ahead of ours by what falls in the
difference; the fifth that orders leave is nine seconds of that and more. An order is taken to be a second younger than
it is, for the same reason, and to be young again when it was changed, because no document says that it is not.

What the exchange says of its own count is believed where it is more than ours: others may use the same address or
account. When it refuses something as too much, it has counted more than we know: orders, or everything, stops until the
time that it names.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport rate_limit
from orderflow._core.rate_limit cimport RateLimit
from orderflow._core.types cimport ChildKind, Message, RateNotice

cdef enum:
    MOST_LIMITS = 6
    MOST_STEPS = 6
    REQUESTS = 4
    ORDER_SHARE = 80            # per cent of each limit; the rest is for cancels
    CANCEL_SHARE = 100
    YOUNGER_NS = 1_000_000_000
    PAUSE_NS = 1_000_000_000    # after a refusal that names no time

cdef enum:                      # requests
    PLACE = 0
    CANCEL = 1
    AMEND = 2
    SWEEP = 3                   # all orders of a listing, or of the account


cdef struct AgeStep:
    int64_t younger_ns          # an order younger than that adds
    int64_t points


cdef struct Tariff:             # what one kind of request costs
    int64_t weight
    int64_t costs[MOST_LIMITS]  # in each of the account's limits
    int64_t points              # in the listing's counter,
    AgeStep steps[MOST_STEPS]   # and the first of these that fits besides


cdef struct Rates:
    RateLimit *weight           # of the address; NULL = nothing of ours counts there
    RateLimit limits[MOST_LIMITS]
    uint8_t gives_back[MOST_LIMITS]     # whether an order counts no more once some of it is filled
    Tariff tariffs[REQUESTS]
    int64_t *counters           # by listing: when it will be 0, monotonic; NULL = there are none
    int64_t point_ns            # in which a counter falls by one
    int64_t most_points
    int64_t closed_until_ns     # for orders; for everything: that of `weight`
    int64_t allowed             # of the last refusal: the limit,
    int64_t wanted              # what it would have been,
    int64_t ready_ns            # and when there may be room
    uint64_t refused            # orders
    uint64_t told               # by the exchange: that something was too much
    uint32_t limit_count
    uint32_t listing_count


cdef nogil:
    inline uint32_t request_of(uint8_t kind) noexcept:
        if kind == ChildKind.CANCEL_ORDER:
            return CANCEL
        return AMEND if kind == ChildKind.REPLACE_ORDER else PLACE

    inline int64_t points_of(const Tariff *tariff, int64_t age_ns) noexcept:
        """What it adds to the counter of its listing."""
        cdef uint32_t i
        for i in range(<uint32_t>MOST_STEPS):
            if age_ns - YOUNGER_NS < tariff.steps[i].younger_ns:
                return tariff.points + tariff.steps[i].points
        return tariff.points

    inline int64_t counter_ns(const Rates *self, uint32_t listing, int64_t now_ns) noexcept:
        """How long the counter of a listing takes to fall to 0."""
        return self.counters[listing] - now_ns if self.counters[listing] > now_ns else 0

    inline bint refuse(Rates *self, int64_t allowed, int64_t wanted, int64_t ready_ns) noexcept:
        self.allowed = allowed
        self.wanted = wanted
        self.ready_ns = ready_ns
        self.refused += 1
        return False

    inline bint refuse_by(Rates *self, const RateLimit *rate, int64_t cost, int64_t now_ns) noexcept:
        return refuse(self, rate_limit.share(rate, ORDER_SHARE), rate_limit.used(rate, now_ns) + cost,
                      rate_limit.ready_ns(rate, cost, ORDER_SHARE, now_ns))

    inline void count(Rates *self, const Tariff *tariff, uint32_t listing, int64_t age_ns, int64_t now_ns) noexcept:
        """What goes now, in all but the address's weight."""
        cdef uint32_t i
        for i in range(self.limit_count):
            if tariff.costs[i]:
                rate_limit.spend(&self.limits[i], tariff.costs[i], now_ns)
        if self.counters is not NULL and listing < self.listing_count:
            self.counters[listing] = (now_ns + counter_ns(self, listing, now_ns)
                                      + points_of(tariff, age_ns) * self.point_ns)

    inline bint take_order(Rates *self, uint8_t kind, uint32_t listing, int64_t age_ns, int64_t now_ns) noexcept:
        """Count a new order or a replacement that goes now; False, and the numbers, where it must not."""
        cdef const Tariff *tariff = &self.tariffs[request_of(kind)]
        cdef int64_t points, most
        cdef uint32_t i
        if now_ns < self.closed_until_ns:
            return refuse(self, 0, 1, self.closed_until_ns)
        for i in range(self.limit_count):
            if tariff.costs[i] and not rate_limit.fits(&self.limits[i], tariff.costs[i], ORDER_SHARE, now_ns):
                return refuse_by(self, &self.limits[i], tariff.costs[i], now_ns)
        if self.counters is not NULL and listing < self.listing_count:
            points = points_of(tariff, age_ns)
            most = self.most_points * ORDER_SHARE // 100
            if counter_ns(self, listing, now_ns) + points * self.point_ns > most * self.point_ns:
                return refuse(self, most,
                              (counter_ns(self, listing, now_ns) + self.point_ns - 1) // self.point_ns + points,
                              self.counters[listing] - (most - points) * self.point_ns)
        if (self.weight is not NULL and tariff.weight
                and not rate_limit.take(self.weight, tariff.weight, ORDER_SHARE, now_ns)):
            return refuse_by(self, self.weight, tariff.weight, now_ns)
        count(self, tariff, listing, age_ns, now_ns)
        return True

    inline bint take_cancel(Rates *self, uint32_t request, uint32_t listing, int64_t age_ns, int64_t now_ns) noexcept:
        """Count a cancel that goes now; False where the exchange would refuse it."""
        cdef const Tariff *tariff = &self.tariffs[request]
        if (self.weight is not NULL and tariff.weight
                and not rate_limit.take(self.weight, tariff.weight, CANCEL_SHARE, now_ns)):
            return False
        count(self, tariff, listing, age_ns, now_ns)
        return True

    inline int64_t cancel_ready_ns(const Rates *self, int64_t now_ns) noexcept:
        """When the next cancel may go."""
        if self.weight is NULL:
            return now_ns
        return rate_limit.ready_ns(self.weight, self.tariffs[CANCEL].weight, CANCEL_SHARE, now_ns)

    inline void on_first_fill(Rates *self, int64_t placed_ns) noexcept:
        """An order that was sent then is filled in part or in whole; 0 = it was not sent in this run."""
        cdef uint32_t i
        for i in range(self.limit_count if placed_ns else 0):
            if self.gives_back[i]:
                rate_limit.give_back(&self.limits[i], self.tariffs[PLACE].costs[i], placed_ns)

    inline void on_notice(Rates *self, const Message *notice, int64_t now_ns, int64_t unix_offset_ns) noexcept:
        """The exchange says what it has counted, or until when it refuses."""
        cdef int64_t until_ns = (notice.exchange_ns - unix_offset_ns if notice.exchange_ns else now_ns + PAUSE_NS)
        cdef RateLimit *rate = NULL
        cdef uint32_t i
        if notice.side == RateNotice.ORDERS_REFUSED or notice.side == RateNotice.EVERYTHING_REFUSED:
            self.told += 1
            if until_ns > self.closed_until_ns:
                self.closed_until_ns = until_ns
            if notice.side == RateNotice.EVERYTHING_REFUSED and self.weight is not NULL:
                rate_limit.close(self.weight, until_ns)
        elif notice.side == RateNotice.POINTS_COUNTED:
            i = <uint32_t>notice.listing
            if notice.listing >= 0 and i < self.listing_count and self.counters is not NULL:
                if now_ns + notice.first_id * self.point_ns > self.counters[i]:
                    self.counters[i] = now_ns + notice.first_id * self.point_ns
        else:
            if notice.side == RateNotice.WEIGHT_COUNTED:
                rate = self.weight
            for i in range(self.limit_count if notice.side == RateNotice.ORDERS_COUNTED else 0):
                if self.gives_back[i] and slot_of(notice.previous_id) == self.limits[i].slot_ns:
                    rate = &self.limits[i]
            if rate is not NULL and slot_of(notice.previous_id) == rate.slot_ns:
                rate_limit.hear(rate, notice.first_id, now_ns)
                if notice.last_id > 0:
                    rate_limit.set_number(&rate.limit, notice.last_id)

    inline int64_t slot_of(int64_t period_ns) noexcept:
        return (period_ns + rate_limit.SLOTS - 1) // rate_limit.SLOTS

    inline void on_refused(Rates *self, uint32_t listing, int64_t now_ns) noexcept:
        """Something about an order there was too much. Its counter stands at its limit, at least."""
        self.told += 1
        if self.counters is not NULL and listing < self.listing_count:
            if now_ns + self.most_points * self.point_ns > self.counters[listing]:
                self.counters[listing] = now_ns + self.most_points * self.point_ns


cdef class OrderRates:
    cdef Rates rates
    cdef object shared
