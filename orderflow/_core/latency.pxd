"""Latency histogram: fixed size, log-linear, 1 ns to 100 s.

The layout of HdrHistogram (G. Tene): every power of two is cut into 128 equal buckets, so values below 256 are exact
and the others are known to 1 part in 128; reported as the middle of their bucket, the error is below 0.4 %. 3968
counters, 31 kB, of which a stage touches a few lines. record() is a bit scan, a shift and three additions in memory.

One thread records; any thread may read meanwhile (counters are relaxed atomic words) and sees each counter as of some
recent moment. reset() belongs to the recording thread, or to a quiet moment.
"""
from libc.stdint cimport int64_t, uint64_t

cdef enum:
    BUCKETS = 3968              # 31 octaves of 128: index of LARGEST is below it

cdef const int64_t LARGEST = 100000000000


cdef extern from *:
    """
    #include <cstdint>
    namespace orderflow {
    // One writer: no read-modify-write cycle is needed, only that readers see whole words.
    inline void latency_add(std::uint64_t *word, std::uint64_t amount) noexcept {
        __atomic_store_n(word, __atomic_load_n(word, __ATOMIC_RELAXED) + amount, __ATOMIC_RELAXED);
    }
    inline std::uint64_t latency_load(const std::uint64_t *word) noexcept {
        return __atomic_load_n(word, __ATOMIC_RELAXED);
    }
    inline int latency_octave(std::uint64_t value) noexcept { return 63 - __builtin_clzll(value); }
    }
    """
    void add "orderflow::latency_add"(uint64_t *word, uint64_t amount) noexcept nogil
    uint64_t load "orderflow::latency_load"(const uint64_t *word) noexcept nogil
    int octave "orderflow::latency_octave"(uint64_t value) noexcept nogil   # floor(log2(value)), value > 0


cdef struct Histogram:          # all zero is the empty histogram
    uint64_t count
    uint64_t total              # sum of the values, for the mean
    uint64_t largest            # exact
    uint64_t clamped            # values below 0 or above 100 s: counted as the nearest of the two
    uint64_t buckets[BUCKETS]


cdef nogil:
    inline int bucket_of(uint64_t value) noexcept:
        cdef int shift = octave(value | 255) - 7
        return (shift << 7) + <int>(value >> shift)

    inline double middle_of(int bucket) noexcept:
        """The value that stands for a bucket."""
        cdef int shift = max((bucket >> 7) - 1, 0)
        cdef uint64_t low = <uint64_t>(bucket - (shift << 7)) << shift
        return <double>low + ((<uint64_t>1 << shift) - 1) * 0.5

    inline void record(Histogram *self, int64_t value_ns) noexcept:
        """The recording thread."""
        cdef uint64_t value
        if value_ns < 0 or value_ns > LARGEST:
            add(&self.clamped, 1)
            value_ns = 0 if value_ns < 0 else LARGEST
        value = <uint64_t>value_ns
        add(&self.count, 1)
        add(&self.total, value)
        if value > self.largest:
            add(&self.largest, value - self.largest)
        add(&self.buckets[bucket_of(value)], 1)

    inline void merge(Histogram *self, const Histogram *other) noexcept:
        """The recording thread of `self`; `other` may be recorded to meanwhile."""
        cdef int i
        cdef uint64_t largest = load(&other.largest)
        add(&self.count, load(&other.count))
        add(&self.total, load(&other.total))
        add(&self.clamped, load(&other.clamped))
        if largest > self.largest:
            add(&self.largest, largest - self.largest)
        for i in range(BUCKETS):
            add(&self.buckets[i], load(&other.buckets[i]))

    inline void reset(Histogram *self) noexcept:
        """The recording thread."""
        cdef uint64_t *word = <uint64_t *>self
        cdef size_t i
        for i in range(sizeof(Histogram) // sizeof(uint64_t)):
            add(&word[i], <uint64_t>0 - word[i])

    inline double percentile(const Histogram *self, double percent) noexcept:
        """Any thread: the smallest recorded value with at least `percent` % of all at or below it; 0 when empty."""
        cdef uint64_t total = 0
        cdef uint64_t seen = 0
        cdef uint64_t largest = load(&self.largest)
        cdef double wanted
        cdef int i
        for i in range(BUCKETS):        # not `count`: a recording thread may be between the two additions
            total += load(&self.buckets[i])
        wanted = total * percent / 100.0
        for i in range(BUCKETS):
            seen += load(&self.buckets[i])
            if seen > 0 and seen >= wanted:
                return min(middle_of(i), <double>largest)
        return 0.0


cdef class LatencyHistogram:
    """Owns one histogram; native threads record into `histogram` for as long as this object lives."""
    cdef Histogram histogram
