"""Shows reactions to the price to Python: a move, its factor, and a schedule under factors."""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core.algos cimport volume_curve
from orderflow._core.algos.volume_curve cimport VolumePace

import numpy as np


def price_favour(int side, int64_t arrival, int64_t price):
    """By how much a price is better than the one at arrival, in 1e-6 of that, at most 1 000 000 either way."""
    return favour(<uint8_t>side, arrival, price)


def pace_factor(int64_t move, int64_t scale):
    """By what a pace is multiplied, in 1e-6: 500 000 to 2 000 000.

    `move` is what price_favour gives, `scale` the move that doubles it; negative = the one that halves it.
    """
    if not is_scale(scale):
        raise ValueError(f"scale {scale}: expected a move in 1e-6, not 0, at most {<int>UNIT} either way")
    return factor(move, scale)


def cumulative(int64_t quantity, factors, int64_t lot=1, double curvature=0.0):
    """What an adaptive shortfall has released by the end of each slice, int64 array (slices,).

    `factors` has one for each slice, in 1e-6, as of its beginning. Source: Almgren and Chriss (2000) for the curve,
    Almgren and Lorenz (2007) for its reaction.
    """
    cdef uint32_t slices = len(factors)
    cdef VolumePace pace
    cdef uint32_t i
    if quantity <= 0 or lot <= 0 or slices == 0 or not curvature >= 0.0:
        raise ValueError(f"quantity {quantity}, lot {lot}, {slices} factors, curvature {curvature}: all are positive")
    out = np.empty(slices, np.int64)
    cdef int64_t[::1] found = out
    pace.share = 0.0
    for i in range(slices):
        pace.share = 1.0 - remaining(1.0 - pace.share, curvature, slices, i, factors[i])
        found[i] = volume_curve.released(&pace, quantity, lot)
    return out
