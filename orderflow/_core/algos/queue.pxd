"""Whether an order that waits in a queue is likely to be filled in time: its place, what leaves the queue, its worth.

**Place.** Of others at most so much is ahead as the level showed when the order came, less what was traded at it since;
and no more than the level has shown of others at any time since. Both are upper bounds. Who cancels is taken to stand
behind us unless the level itself says otherwise.

**Outflow.** Of the best level of a side, in one step: by how much it shrank, or what was traded at it, whichever is
more; all of it when it is gone. Over the last PERIOD_NS to two of them, of the time in which the book was LIVE.

**Chance.** What leaves the queue in the time t that is left is taken to be exponential with the mean rate * t, so all
of an order of size L behind Q is filled in time with the probability exp(-(Q + L) / (rate * t)).

**Worth.** A unit at market costs S more than one that is filled in the queue (the spread, the taker's fee and the
maker's rebate), and a unit that is still missing in the end costs P more than that. So a place in the queue is worth
it while the probability is at least P / (P + S): the condition of an optimal placement (Cont and Kukanov, "Optimal
order placement in limit order markets", Quantitative Finance 17(1), 2017, proposition 1; placing.pxd), where P is the
penalty for underfilling less what a unit at market costs. The penalty is U u / (100 - u) with the urgency u and what S
usually is, U: so at the usual spread a unit waits while its chance is u per cent and more, at a wider one even with
less. With 100 nothing waits. One that never crosses, with 0, shares its orders out as with a tenth of a per cent.

Integers, logarithms in 2^-20, so that a replay on another machine decides the same. O(1).
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core.fixed cimport int128
from orderflow._core.types cimport Side

cdef enum:
    PERIOD_NS = 60_000_000_000
    ENOUGH_NS = 2_000_000_000   # nothing is concluded from less than that
    LOG_BITS = 20
    SURE = 100                  # urgency
    MOST_RATIO = 1 << 20        # of costs
    PER_TENTH = 999             # (100 - u) / u of a tenth of a per cent
    MOST_SEEN = 0x3FFFFFFFFFFFFFFF


cdef extern from *:
    """
    #define ORDERFLOW_LN2_Q32 UINT64_C(2977044472)
    """
    const uint64_t LN2 "ORDERFLOW_LN2_Q32"      # ln 2 in 2^-32


cdef struct Recent:             # a sum over the last one or two periods
    int128 sums[2]              # of the period under way and of the one before it
    int64_t seen_ns[2]          # how long they were watched


cdef struct BestQueue:          # the best level of one side of one listing, listing scale
    Recent outflow
    int64_t price               # as it was seen last; 0 = it was not
    int64_t quantity
    int64_t own                 # our orders there


cdef struct Place:              # of one order in its queue, listing scale
    uint64_t order              # client order id
    int64_t price
    int64_t by_trades           # upper bounds of what is ahead
    int64_t by_level
    uint64_t traded             # the counter, as it was seen last


cdef nogil:
    inline void add(Recent *self, int128 amount, int64_t elapsed_ns) noexcept:
        if self.seen_ns[0] >= PERIOD_NS:
            self.sums[1], self.seen_ns[1] = self.sums[0], self.seen_ns[0]
            self.sums[0], self.seen_ns[0] = 0, 0
        self.sums[0] = self.sums[0] + amount
        self.seen_ns[0] += elapsed_ns

    inline int64_t seen_ns(const Recent *self) noexcept:
        return self.seen_ns[0] + self.seen_ns[1]

    inline int128 total(const Recent *self) noexcept:
        return self.sums[0] + self.sums[1]

    inline void watch(BestQueue *self, uint8_t side, int64_t price, int64_t quantity, int64_t own, int64_t traded,
                      int64_t elapsed_ns) noexcept:
        """The best level of a side as it is now, what of it is ours, and what was traded there since it was seen
        last. What shrinks when an order of ours comes or goes says nothing."""
        cdef int64_t left = 0
        if self.price and price == self.price:
            left = self.quantity - quantity if own == self.own else 0
        elif self.price and (price == 0 or (price < self.price) == (side == Side.BUY)):
            left = self.quantity - self.own
        if traded > left:
            left = traded
        if self.price:
            add(&self.outflow, left if left > 0 else 0, elapsed_ns)
        self.price, self.quantity, self.own = price, quantity, own

    inline int64_t ahead(const Place *self) noexcept:
        """Of others, at most."""
        cdef int64_t least = self.by_trades if self.by_trades < self.by_level else self.by_level
        return least if least > 0 else 0

    inline void stand(Place *self, uint64_t order, int64_t price, int64_t shown, uint64_t traded,
                      bint is_new) noexcept:
        """An order's level shows so much besides it. `traded`: a counter of what was traded at the level. `is_new`:
        its book may not show it yet, nor who came before it."""
        if self.order != order or self.price != price:
            self.order, self.price = order, price
            self.by_trades = self.by_level = shown
        elif is_new:
            self.by_trades = self.by_level = shown if shown > self.by_level else self.by_level
        else:
            self.by_trades -= <int64_t>(traded - self.traded)
            self.by_level = shown if shown < self.by_level else self.by_level
        self.traded = traded

    inline int64_t logarithm(uint64_t ratio) noexcept:
        """Natural, in 2^-20, of a number of 1 and more in 2^-32, by squaring: each doubles the logarithm."""
        cdef int64_t power = 0
        cdef uint64_t mantissa = ratio
        cdef uint32_t bits = 0
        cdef int _
        while mantissa >> 33:
            mantissa >>= 1
            power += 1
        mantissa >>= 1                      # of 2^-31, from 1 to 2
        for _ in range(28):
            mantissa = (mantissa * mantissa) >> 31
            bits <<= 1
            if mantissa >> 32:
                mantissa >>= 1
                bits |= 1
        return <int64_t>(((((<uint64_t>power << 28) | bits) >> 4) * (LN2 >> 4)) >> (24 + 28 - LOG_BITS))

    inline int64_t worth(uint32_t urgency, int128 cost, int128 usual) noexcept:
        """ln((P + S) / P) in 2^-20: -ln of the least probability for which a unit waits. -1 = nothing waits."""
        cdef int128 ratio = cost
        cdef int128 penalty = usual if usual > 0 else cost
        if urgency >= SURE:
            return -1
        if cost <= 0:
            return 0                        # crossing costs nothing more
        while ratio >> 76:                  # only their ratio counts
            ratio, penalty = ratio >> 8, penalty >> 8
        penalty = penalty if penalty > 0 else 1
        if urgency == 0:
            ratio = ratio * <int64_t>PER_TENTH
        else:
            penalty = penalty * <int64_t>urgency
            ratio = ratio * (<int64_t>SURE - <int64_t>urgency)
        ratio = ratio << 32
        ratio = ratio / penalty
        if ratio > <int64_t>MOST_RATIO << 32:
            ratio = <int64_t>MOST_RATIO << 32
        return logarithm((<uint64_t>1 << 32) + <uint64_t>ratio)

    inline int64_t mean(const Recent *outflow, int64_t left_ns) noexcept:
        """What leaves in the time that is left, if it goes on as it was; -1 = not enough was seen to say so."""
        cdef int128 found = total(outflow)
        if seen_ns(outflow) < ENOUGH_NS:
            return -1
        if found > MOST_SEEN:
            found = MOST_SEEN
        found = found * (left_ns if left_ns > 0 else 0) / seen_ns(outflow)
        return <int64_t>found if found < MOST_SEEN else <int64_t>MOST_SEEN
