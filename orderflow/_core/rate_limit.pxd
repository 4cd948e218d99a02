"""A limit as an exchange counts it: so much in a period. Any thread.

An exchange counts in windows of its own clock, and counts a request when it arrives. When that is we do not know: its
windows begin by a clock that is not ours, and bytes may wait on the way. So what was spent is kept by when it was sent,
in slots of a sixteenth of the period, and what counts is all of the last period and one slot more, at least. Whatever
window of the exchange one takes, and wherever it begins, what arrives in it was sent within a period and the difference
between two requests' times on the way; as long as that difference is below a slot, it holds no more than the limit.
So no clock is compared with theirs, the whole limit may go at once, and nine tenths of it again and again.

Some exchanges give back what an order had counted for once it is filled. That is taken out of the slot of the order, so
that it counts in no period in which the order did not.

Several threads draw on the limit of an address: those of all its exchanges, and control for REST. A slot is one word,
its number and what was spent in it. A request is added first and the sum looked at after that, and taken out again
where it is too much; of two that are too much together each sees the other. Worst case: both are refused.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef enum:
    SLOTS = 16                  # of a period
    RING = 32                   # a power of two, more than the slots that count


cdef struct RateLimit:
    int64_t limit               # in any period; 0 = none
    int64_t slot_ns
    int64_t closed_until_ns     # monotonic: the exchange wants to hear nothing before
    uint64_t slots[RING]        # number of the slot << 32 | spent in it


cdef extern from *:
    """
    #include <cstdint>
    namespace orderflow {
    inline std::uint64_t rate_load(const std::uint64_t *word) noexcept {
        return __atomic_load_n(word, __ATOMIC_SEQ_CST);
    }
    inline bool rate_exchange(std::uint64_t *word, std::uint64_t seen, std::uint64_t wanted) noexcept {
        return __atomic_compare_exchange_n(word, &seen, wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    inline std::int64_t rate_number(const std::int64_t *word) noexcept {
        return __atomic_load_n(word, __ATOMIC_RELAXED);
    }
    inline void rate_set(std::int64_t *word, std::int64_t value) noexcept {
        __atomic_store_n(word, value, __ATOMIC_RELAXED);
    }
    inline void rate_raise(std::int64_t *word, std::int64_t value) noexcept {
        std::int64_t seen = rate_number(word);
        while (seen < value
               && !__atomic_compare_exchange_n(word, &seen, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    }
    }
    """
    uint64_t load "orderflow::rate_load"(const uint64_t *word) noexcept nogil
    bint exchange_word "orderflow::rate_exchange"(uint64_t *word, uint64_t seen, uint64_t wanted) noexcept nogil
    int64_t number_of "orderflow::rate_number"(const int64_t *word) noexcept nogil
    void set_number "orderflow::rate_set"(int64_t *word, int64_t value) noexcept nogil
    void raise_number "orderflow::rate_raise"(int64_t *word, int64_t value) noexcept nogil      # never lowers it


cdef nogil:
    inline void prepare(RateLimit *self, int64_t limit, int64_t period_ns) noexcept:
        """Before anybody draws on it. The rest of it is zero."""
        self.limit = limit
        self.slot_ns = (period_ns + SLOTS - 1) // SLOTS

    inline int64_t share(const RateLimit *self, int64_t percent) noexcept:
        """So much of the limit; what is kept of a small one is rounded down."""
        cdef int64_t limit = number_of(&self.limit)
        return limit - limit * (100 - percent) // 100

    inline int64_t spent_in(const RateLimit *self, int64_t number) noexcept:
        cdef uint64_t word = load(&self.slots[number & (RING - 1)])
        return <int64_t><uint32_t>word if <uint32_t>(word >> 32) == <uint32_t>number else 0

    inline int64_t used(const RateLimit *self, int64_t now_ns) noexcept:
        """What counts now. A slot ahead of ours is another thread's, which looked at the clock after us."""
        cdef int64_t number = now_ns // self.slot_ns
        cdef int64_t total = 0
        cdef int64_t i
        for i in range(number - SLOTS - 1, number + 2):
            total += spent_in(self, i)
        return total

    inline void spend(RateLimit *self, int64_t cost, int64_t now_ns) noexcept:
        """Count what goes now, whether there is room or not."""
        cdef int64_t number = now_ns // self.slot_ns
        cdef uint64_t *word = &self.slots[number & (RING - 1)]
        cdef uint64_t seen = load(word)
        cdef uint64_t before = <uint32_t>seen if <uint32_t>(seen >> 32) == <uint32_t>number else 0
        while not exchange_word(word, seen, <uint64_t><uint32_t>number << 32 | (before + <uint64_t>cost)):
            seen = load(word)
            before = <uint32_t>seen if <uint32_t>(seen >> 32) == <uint32_t>number else 0

    inline void give_back(RateLimit *self, int64_t cost, int64_t spent_ns) noexcept:
        """What was spent then counts no more."""
        cdef int64_t number = spent_ns // self.slot_ns
        cdef uint64_t *word = &self.slots[number & (RING - 1)]
        cdef uint64_t seen = load(word)
        while <uint32_t>(seen >> 32) == <uint32_t>number and <uint32_t>seen >= <uint64_t>cost:
            if exchange_word(word, seen, seen - <uint64_t>cost):
                return
            seen = load(word)

    inline bint fits(const RateLimit *self, int64_t cost, int64_t percent, int64_t now_ns) noexcept:
        """Whether it may go now, leaving the others their share; nothing is counted. What is larger than the share
        goes alone."""
        cdef int64_t counted
        if now_ns < number_of(&self.closed_until_ns):
            return False
        if number_of(&self.limit) == 0:
            return True
        counted = used(self, now_ns)
        return counted + cost <= share(self, percent) or counted == 0

    inline bint take(RateLimit *self, int64_t cost, int64_t percent, int64_t now_ns) noexcept:
        """Count it if it may go now."""
        if not fits(self, cost, percent, now_ns):
            return False
        spend(self, cost, now_ns)
        if number_of(&self.limit) == 0 or cost > share(self, percent) or used(self, now_ns) <= share(self, percent):
            return True
        give_back(self, cost, now_ns)
        return False

    inline int64_t ready_ns(const RateLimit *self, int64_t cost, int64_t percent, int64_t now_ns) noexcept:
        """When it may go if nothing else goes before."""
        cdef int64_t number = now_ns // self.slot_ns
        cdef int64_t counted = used(self, now_ns)
        cdef int64_t closed_ns = number_of(&self.closed_until_ns)
        cdef int64_t ready = now_ns
        cdef int64_t i = number - SLOTS - 1
        if number_of(&self.limit):
            while counted > 0 and counted + cost > share(self, percent):
                counted -= spent_in(self, i)
                i += 1
                ready = (i + SLOTS + 1) * self.slot_ns
        return ready if ready > closed_ns else closed_ns

    inline void hear(RateLimit *self, int64_t counted, int64_t now_ns) noexcept:
        """The exchange says how much it has counted. What we do not know of is others'; less than ours proves nothing:
        its window has just begun, or ours are under way still."""
        cdef int64_t known = used(self, now_ns)
        if counted > known:
            spend(self, counted - known, now_ns)

    inline void close(RateLimit *self, int64_t until_ns) noexcept:
        """The exchange refuses everything until then."""
        raise_number(&self.closed_until_ns, until_ns)


cdef class SharedRateLimit:
    cdef RateLimit rate
