"""Shows schedules to Python: what a parent order would release by when."""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

import numpy as np


cdef Schedule _checked(int algorithm, uint32_t slices, double curvature, uint64_t seed, int randomness) except *:
    cdef Schedule plan
    if not follows_clock(<uint8_t>algorithm):
        raise ValueError(f"algorithm {algorithm}: expected TWAP, SHORTFALL or CLOSE")
    if slices == 0:
        raise ValueError("slices 0: there is at least one")
    if not curvature >= 0.0:
        raise ValueError(f"curvature {curvature}: expected 0 or more")
    if not 0 <= randomness <= <int>MOST_RANDOMNESS:
        raise ValueError(f"randomness {randomness}: expected a percentage, {<int>MOST_RANDOMNESS} at most")
    plan.begin_ns = plan.end_ns = 0
    plan.curvature, plan.seed, plan.slices = curvature, seed, slices
    plan.algorithm, plan.randomness = <uint8_t>algorithm, <uint8_t>randomness
    return plan


def share_remaining(double curvature, double passed):
    """sinh(k (1 - s)) / sinh(k): the part that remains of a SHORTFALL schedule when the part s of its time has passed.

    Source: Almgren and Chriss (2000), Journal of Risk 3(2), with k = kappa * T.
    """
    return remaining_share(curvature, passed)


def cumulative(int algorithm, int64_t quantity, uint32_t slices, int64_t lot=1, double curvature=0.0, uint64_t seed=0,
               int randomness=0):
    """What is released by the end of each slice, int64 array (slices,), as an order of this quantity and lot has it.

    Raises ValueError that names the argument that is wrong.
    """
    cdef Schedule plan = _checked(algorithm, slices, curvature, seed, randomness)
    cdef uint32_t i
    if quantity <= 0 or lot <= 0:
        raise ValueError(f"quantity {quantity}, lot {lot}: both are positive")
    out = np.empty(slices, np.int64)
    cdef int64_t[::1] found = out
    for i in range(slices):
        found[i] = released(&plan, quantity, lot, i + 1)
    return out


def beginnings(int64_t begin_ns, int64_t end_ns, uint32_t slices, uint64_t seed=0, int randomness=0):
    """When each slice begins, monotonic nanoseconds, int64 array (slices,)."""
    cdef Schedule plan = _checked(Algorithm.TWAP, slices, 0.0, seed, randomness)
    cdef uint32_t i
    if end_ns <= begin_ns:
        raise ValueError(f"end_ns {end_ns}: it is not after begin_ns {begin_ns}")
    plan.begin_ns, plan.end_ns = begin_ns, end_ns
    out = np.empty(slices, np.int64)
    cdef int64_t[::1] found = out
    for i in range(slices):
        found[i] = begins_ns(&plan, i)
    return out
