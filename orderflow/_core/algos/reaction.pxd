"""How a parent's pace answers to the price: faster where it has become better since its arrival, slower where worse.

    factor   2 ┤            ┌────        twice as fast where the price is better by `scale` and more,
             1 ┤        ╱                half as fast where it is worse by as much,
           1/2 ┤────┘                    a line between
               └────┴───┴───┴────
                 -scale  0  scale        price move in favour since arrival

Aggressive in the money, as Almgren and Lorenz ("Adaptive arrival price", Algorithmic Trading III, Institutional
Investor, 2007) found optimal for mean and variance of the cost: a gain is spent on being done sooner, so costs are
less certain where they are low and more certain where they are high. Their optimum is a rule of two steps for one
trajectory; this is bounded and proportional instead, so that whoever set the pace knows what can become of it. A
negative scale turns it round (passive in the money), for prices that are believed to come back.

A rate is multiplied. Of a schedule (adaptive shortfall) each slice is the first of an Almgren-Chriss schedule over the
time and the quantity that are left, and what that slice leaves is taken to the power of the factor: its rate relative
to what remains is multiplied. With a factor of 1 throughout that is SHORTFALL, slice by slice; with any factors what
remains is between the square and the square root of what SHORTFALL would leave, and the last slice leaves nothing.

The move is exact, in 1e-6 of the arrival price. O(1) a slice. Router thread only.
"""
from libc.math cimport pow
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core.algos cimport schedule
from orderflow._core.algos.participation cimport UNIT
from orderflow._core.fixed cimport int128
from orderflow._core.types cimport Algorithm, Side


cdef nogil:
    inline bint reacts(uint8_t algorithm) noexcept:
        return algorithm == Algorithm.ADAPTIVE_SHORTFALL or algorithm == Algorithm.PRICE_INLINE

    inline int64_t favour(uint8_t side, int64_t arrival, int64_t price) noexcept:
        """By how much the price is better than at arrival, in 1e-6 of that, within UNIT; 0 where one is not known."""
        cdef int128 moved = arrival - price if side == Side.BUY else price - arrival
        cdef bint is_worse = moved < 0
        if arrival <= 0 or price <= 0:
            return 0
        if is_worse:
            moved = -moved
        moved = moved * <int64_t>UNIT
        moved = moved / arrival
        if moved > <int64_t>UNIT:
            moved = <int64_t>UNIT
        return -<int64_t>moved if is_worse else <int64_t>moved

    inline bint is_scale(int64_t scale) noexcept:
        return -<int64_t>UNIT <= scale <= <int64_t>UNIT and scale != 0

    inline uint32_t factor(int64_t favour, int64_t scale) noexcept:
        """In 1e-6; of what is a scale."""
        cdef int64_t gain = favour if scale > 0 else -favour
        cdef int64_t whole = scale if scale > 0 else -scale
        if gain > whole:
            gain = whole
        if gain < -whole:
            gain = -whole
        if gain >= 0:
            return <uint32_t>(<int64_t>UNIT + gain * <int64_t>UNIT // whole)
        return <uint32_t>(<int64_t>UNIT - -gain * <int64_t>UNIT // (2 * whole))

    inline double remaining(double before, double curvature, uint32_t slices, uint32_t begun, uint32_t factor) noexcept:
        """The part of a parent that remains after the slice that follows the first `begun` ones; `before`: before it.
        `curvature`: kappa times the whole time."""
        cdef double left = <double>slices - <double>begun
        if left <= 1.0:
            return 0.0
        return before * pow(schedule.remaining_share(curvature * left / slices, 1.0 / left),
                            <double>factor / <double>UNIT)
