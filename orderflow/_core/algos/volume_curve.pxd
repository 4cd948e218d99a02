"""How much is expected to be traded when: a day's volume in buckets, and how much of a parent is due by it (VWAP).

A curve is the volume expected in each of BUCKETS parts of a day (UTC), kept as its running sum, so what is expected
between two moments is two look-ups and a line between them. A parent is to have the part of its quantity that the
market has of its volume, over the parent's time: seen / (seen + expected). What is seen is known, the rest is not: it
is the curve's, times a ratio. With what was seen so far against what the curve had so far as that ratio, a livelier day
keeps the curve's shape, and nothing is learned of one whose volume comes earlier or later than usual; with 1 it is the
other way round. So the ratio begins at 1 and moves to the other as volume is seen; after PRIOR of the volume of the
parent's time it is half-way. (Bialkowski, Darolles and Le Fol 2008 split volume in such a usual and a day's own part.)

Floats, because a forecast is no money: what comes out is whole lots. O(1). Router thread only.
"""
from libc.stdint cimport int64_t, uint32_t

cpdef enum:
    BUCKETS = 288               # of five minutes

cdef extern from *:
    """
    static constexpr int64_t ORDERFLOW_DAY_NS = 86'400'000'000'000;
    static constexpr int64_t ORDERFLOW_BUCKET_NS = ORDERFLOW_DAY_NS / 288;
    static constexpr double ORDERFLOW_PRIOR = 0.1;      // more follows shifted days better, and costs on usual ones
    """
    const int64_t DAY_NS "ORDERFLOW_DAY_NS"
    const int64_t BUCKET_NS "ORDERFLOW_BUCKET_NS"
    const double PRIOR "ORDERFLOW_PRIOR"


cdef struct VolumePace:         # of one parent; volumes in instrument scale
    double share                # of the parent that is released
    double whole                # expected in its time, by the curve


cdef nogil:
    inline double since_midnight(const double *sums, int64_t ns) noexcept:
        """Expected in so many nanoseconds from a midnight (UTC) on. `sums`: BUCKETS + 1 running sums."""
        cdef int64_t days = ns // DAY_NS
        cdef int64_t rest = ns - days * DAY_NS
        cdef uint32_t bucket = <uint32_t>(rest // BUCKET_NS)
        cdef double part = <double>(rest - bucket * BUCKET_NS) / <double>BUCKET_NS
        return <double>days * sums[BUCKETS] + sums[bucket] + part * (sums[bucket + 1] - sums[bucket])

    inline double expected(const double *sums, int64_t from_ns, int64_t to_ns) noexcept:
        """Between two moments, unix, the first not before 1970."""
        cdef int64_t midnight_ns = from_ns // DAY_NS * DAY_NS
        return since_midnight(sums, to_ns - midnight_ns) - since_midnight(sums, from_ns - midnight_ns)

    inline void begin(VolumePace *self, const double *sums, int64_t begin_ns, int64_t end_ns) noexcept:
        self.share = 0.0
        self.whole = expected(sums, begin_ns, end_ns)

    inline void look(VolumePace *self, const double *sums, double seen, int64_t begin_ns, int64_t now_ns,
                     int64_t until_ns, int64_t end_ns) noexcept:
        """A slice begins at `now_ns` that lasts until `until_ns`: what is to be released by its end. `seen`: traded by
        others since the beginning. All times unix."""
        cdef double prior = self.whole * PRIOR
        cdef double before = expected(sums, begin_ns, now_ns)
        cdef double ratio = (seen + prior) / (before + prior) if prior > 0.0 else 1.0
        cdef double soon = seen + ratio * expected(sums, now_ns, until_ns)
        cdef double total = soon + ratio * expected(sums, until_ns, end_ns)
        cdef double share = soon / total if total > 0.0 else 0.0
        if until_ns >= end_ns:
            share = 1.0
        if share > self.share:
            self.share = share

    inline int64_t released(const VolumePace *self, int64_t quantity, int64_t lot) noexcept:
        """Whole lots; the whole quantity with the last slice."""
        if self.share >= 1.0:
            return quantity
        return <int64_t>(<double>(quantity // lot) * self.share + 1e-9) * lot


cdef class VolumeCurve:
    cdef const double *sums
    cdef object owned           # where they lie
