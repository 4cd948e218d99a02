"""Owns volume curves, and shows them and one parent's pace along them to Python."""
from libc.stdint cimport int64_t

import numpy as np


cdef class VolumeCurve:
    """VolumeCurve(volumes): the volume expected in each of BUCKETS equal parts of a day, from midnight UTC.

    Raises ValueError where there are not that many, one is negative or no number, or all are zero.
    """

    def __init__(self, volumes):
        given = np.asarray(volumes, np.float64)
        if given.shape != (BUCKETS,):
            raise ValueError(f"volumes: expected {BUCKETS}, one for each five minutes of a day, got {given.shape}")
        if not np.isfinite(given).all() or (given < 0).any() or not given.sum() > 0:
            raise ValueError("volumes: none may be negative or infinite, and not all may be zero")
        self.owned = np.concatenate(([0.0], np.cumsum(given)))
        cdef const double[::1] sums = self.owned
        self.sums = &sums[0]

    def expected(self, int64_t from_ns, int64_t to_ns):
        """Volume between two moments, unix nanoseconds."""
        return expected(self.sums, from_ns, to_ns)


cdef class VolumeFollower:
    """VolumeFollower(curve, begin_ns, end_ns): one parent's pace, unix nanoseconds."""

    cdef VolumeCurve curve
    cdef VolumePace pace
    cdef int64_t begin_ns
    cdef int64_t end_ns

    def __init__(self, VolumeCurve curve not None, int64_t begin_ns, int64_t end_ns):
        if end_ns <= begin_ns:
            raise ValueError(f"end_ns {end_ns}: it is not after begin_ns {begin_ns}")
        self.curve, self.begin_ns, self.end_ns = curve, begin_ns, end_ns
        begin(&self.pace, curve.sums, begin_ns, end_ns)

    def look(self, double seen, int64_t now_ns, int64_t until_ns):
        """A slice begins: the part of the parent that is released by its end. `seen`: volume since the beginning."""
        look(&self.pace, self.curve.sums, seen, self.begin_ns, now_ns, until_ns, self.end_ns)
        return self.pace.share

    def released(self, int64_t quantity, int64_t lot):
        """The same as a quantity, whole lots."""
        if quantity <= 0 or lot <= 0:
            raise ValueError(f"quantity {quantity}, lot {lot}: both are positive")
        return released(&self.pace, quantity, lot)
