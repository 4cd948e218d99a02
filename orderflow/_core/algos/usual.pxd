"""What one listing's book usually shows: its spread, and how much lies near the best of each side.

So that "narrow" and "unusually much" have a meaning for every listing, without a number that somebody has to keep up to
date. Means over time: plain ones until SPAN has been seen, from then on exponential with that span, and none before
WARM of a book that could be trusted. A look at least SAMPLE after the last counts what it saw then for the time in
between; so a book that changes a thousand times a second costs no more than one that does not, and what has just
appeared is not usual because nothing changed for long. While a book is not LIVE no time passes.

Near is within a thousandth of the best price (REACH). Floats, because a mean is no money. Router thread only.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t

from orderflow._core.types cimport BoardEntry, BookState, Level, Side

cdef enum:
    REACH = 1000                # a part of the best price: 10 basis points

cdef extern from *:
    """
    static constexpr int64_t ORDERFLOW_SAMPLE_NS = 10'000'000;
    static constexpr int64_t ORDERFLOW_WARM_NS = 10'000'000'000;
    static constexpr int64_t ORDERFLOW_SPAN_NS = 60'000'000'000;
    """
    const int64_t SAMPLE_NS "ORDERFLOW_SAMPLE_NS"
    const int64_t WARM_NS "ORDERFLOW_WARM_NS"
    const int64_t SPAN_NS "ORDERFLOW_SPAN_NS"


cdef struct Mean:
    double value
    double last                 # what was seen last, and has stood since


cdef struct UsualBook:          # of one listing, in its scale
    Mean spread
    Mean bids                   # within reach
    Mean asks
    int64_t looked_ns           # monotonic, of the last look; 0 = the book was not LIVE
    int64_t seen_ns             # how long it has been


cdef nogil:
    inline int64_t within_reach(const Level *levels, uint32_t count, uint8_t side, int64_t limit) noexcept:
        """What a taker of that side finds within reach of the best price and at `limit` or better (listing scale; 0 =
        any)."""
        cdef int64_t worst, step, total
        cdef uint32_t i
        if count == 0:
            return 0
        step = levels[0].price // REACH
        worst = levels[0].price + step if side == Side.BUY else levels[0].price - step
        if limit > 0 and (limit < worst) == (side == Side.BUY):
            worst = limit
        total = 0
        for i in range(count):
            if (levels[i].price > worst if side == Side.BUY else levels[i].price < worst):
                break
            if levels[i].quantity > INT64_MAX - total:
                return INT64_MAX
            total += levels[i].quantity
        return total

    inline void add(Mean *self, double weight, double seen) noexcept:
        self.value += weight * (self.last - self.value)
        self.last = seen

    inline void observe(UsualBook *self, const BoardEntry *entry) noexcept:
        """The board was read."""
        cdef int64_t passed = entry.receive_ns - self.looked_ns
        cdef int64_t before = self.seen_ns if self.seen_ns < SPAN_NS else SPAN_NS
        cdef double weight
        if entry.book_state != BookState.LIVE or entry.bid_count == 0 or entry.ask_count == 0:
            self.looked_ns = 0
            return
        if self.looked_ns == 0:
            passed = 0
        elif passed < SAMPLE_NS:
            return
        weight = <double>passed / <double>(before + passed) if passed else 0.0
        add(&self.spread, weight, <double>(entry.asks[0].price - entry.bids[0].price))
        add(&self.bids, weight, <double>within_reach(entry.bids, entry.bid_count, Side.SELL, 0))
        add(&self.asks, weight, <double>within_reach(entry.asks, entry.ask_count, Side.BUY, 0))
        self.looked_ns = entry.receive_ns
        self.seen_ns += passed

    inline bint is_known(const UsualBook *self) noexcept:
        return self.seen_ns >= WARM_NS

    inline bint is_narrow(const UsualBook *self, const BoardEntry *entry, int64_t tick) noexcept:
        """Whether the spread of a LIVE book is not wider than usual, to the nearest tick."""
        cdef double spread = <double>(entry.asks[0].price - entry.bids[0].price)
        if not is_known(self) or entry.bid_count == 0 or entry.ask_count == 0:
            return False
        return 2.0 * (spread - self.spread.value) < <double>tick

    inline int64_t unusual(const UsualBook *self, const BoardEntry *entry, uint8_t side, int64_t limit,
                           double times) noexcept:
        """What a taker of that side finds within reach and limit (listing scale), if that is so many times the usual;
        0 = it is not."""
        cdef double usually = self.asks.value
        cdef int64_t shown
        if side == Side.BUY:
            shown = within_reach(entry.asks, entry.ask_count, side, limit)
        else:
            shown = within_reach(entry.bids, entry.bid_count, side, limit)
            usually = self.bids.value
        if not is_known(self) or <double>shown < times * usually:
            return 0
        return shown
