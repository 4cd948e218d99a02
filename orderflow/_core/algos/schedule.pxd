"""How much of a parent order is released by when: the schedules of execution algorithms that follow the clock.

    slices   0        1        2        3
    begin ───┼────────┼────────┼────────┼──────── end
             └ released(1)     └ released(3): all that is filled, out or in doubt may be that much

A schedule says what may have been done by the end of each slice, as a cumulative quantity. What is filled, out and in
doubt counts against it, so a slice that found no liquidity is caught up by the next, nothing is lost to rounding, and
the last one releases the whole. One family of curves is enough for several algorithms: with s the part of the time
that has passed and k the curvature, what remains is

    TWAP        1 - s                                   (the limit k = 0 of both others)
    SHORTFALL   sinh(k (1 - s)) / sinh(k)               (Almgren and Chriss 2000: k = kappa * T, half-life T / k)
    CLOSE       1 - sinh(k s) / sinh(k)                 (the same backwards: late, near a closing price)

Times and sizes are made hard to foresee where that is asked for: a slice begins up to `randomness` of its length later,
and releases up to half of that more or less; the next one makes up for it. So the quantity released never is away
from the curve by more than half a slice. The dice are a function of the parent's id: a replay throws the same.

Functions of their arguments; floats, because a model's curve is no money: what comes out is whole lots. O(1) each.
"""
from libc.math cimport exp, expm1
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core.fixed cimport int128
from orderflow._core.types cimport Algorithm

cpdef enum:
    MOST_RANDOMNESS = 50        # so that the last slice has time

cdef enum:
    PERCENT = 100
    DICE = 1 << 20              # faces


cdef struct Schedule:
    int64_t begin_ns            # monotonic
    int64_t end_ns
    double curvature
    uint64_t seed
    uint32_t slices
    uint8_t algorithm           # Algorithm
    uint8_t randomness          # percent of a slice, MOST_RANDOMNESS at most


cdef nogil:
    inline bint follows_clock(uint8_t algorithm) noexcept:
        return algorithm == Algorithm.TWAP or algorithm == Algorithm.SHORTFALL or algorithm == Algorithm.CLOSE

    inline double remaining_share(double curvature, double passed) noexcept:
        """sinh(k (1 - s)) / sinh(k), in a form that neither overflows for large k nor is 0 / 0 for small ones."""
        if curvature < 1e-8:                # the next term of its series is below the resolution of a double
            return 1.0 - passed
        return exp(-curvature * passed) * expm1(-2.0 * curvature * (1.0 - passed)) / expm1(-2.0 * curvature)

    inline double done_share(uint8_t algorithm, double curvature, double passed) noexcept:
        """Of the whole quantity, when that part of the time has passed."""
        if algorithm == Algorithm.SHORTFALL:
            return 1.0 - remaining_share(curvature, passed)
        if algorithm == Algorithm.CLOSE:
            return remaining_share(curvature, 1.0 - passed)
        return passed

    inline int64_t planned(const Schedule *self, int64_t quantity, int64_t lot, uint32_t count) noexcept:
        """Quantity of the first `count` slices, whole lots; all of them are the whole quantity."""
        cdef int128 lots = quantity // lot
        cdef int64_t planned_lots
        if count >= self.slices:
            return quantity
        if self.algorithm == Algorithm.TWAP:
            lots = lots * count / self.slices
            planned_lots = <int64_t>lots
        else:
            planned_lots = <int64_t>(<double>(quantity // lot) * done_share(
                self.algorithm, self.curvature, <double>count / self.slices) + 1e-9)
        return planned_lots * lot

    inline uint32_t throw(uint64_t seed, uint32_t slice_number, uint32_t die) noexcept:
        """0 to DICE - 1. (Steele, Lea and Flood 2014: SplitMix64, as a function of a counter.)"""
        cdef uint64_t x = seed + <uint64_t>0x9E3779B97F4A7C15ULL * (2 * <uint64_t>slice_number + die + 1)
        x = (x ^ (x >> 30)) * <uint64_t>0xBF58476D1CE4E5B9ULL
        x = (x ^ (x >> 27)) * <uint64_t>0x94D049BB133111EBULL
        return <uint32_t>((x ^ (x >> 31)) >> 44)

    inline int64_t released(const Schedule *self, int64_t quantity, int64_t lot, uint32_t count) noexcept:
        """What may be done in the first `count` slices (1 and more), with the dice."""
        cdef int64_t whole = planned(self, quantity, lot, count)
        cdef int64_t step
        cdef int128 moved
        if self.randomness == 0 or count >= self.slices or count == 0:
            return whole
        step = whole - planned(self, quantity, lot, count - 1)
        if planned(self, quantity, lot, count + 1) - whole < step:
            step = planned(self, quantity, lot, count + 1) - whole      # so that no slice takes back what one released
        moved = <int128>(step * self.randomness / (2 * PERCENT)) * (2 * <int64_t>throw(self.seed, count, 0) - DICE)
        moved = moved / DICE
        return (whole + <int64_t>moved) // lot * lot

    inline int64_t slice_ns(const Schedule *self) noexcept:
        """The length of one."""
        return (self.end_ns - self.begin_ns) / self.slices

    inline int64_t begins_ns(const Schedule *self, uint32_t index) noexcept:
        """When a slice begins, monotonic; the first of all never later than planned."""
        cdef int64_t length = slice_ns(self)
        cdef int128 late = <int128>length * self.randomness
        if index == 0:
            return self.begin_ns
        late = late * <int64_t>throw(self.seed, index, 1)
        late = late / (<int64_t>PERCENT * DICE)
        return self.begin_ns + length * index + <int64_t>late
