"""Owns latency histograms and shows them to Python."""
from cpython.buffer cimport PyBuffer_FillInfo

import numpy as np


cdef class LatencyHistogram:
    """Values in nanoseconds, 0 to 100 s, each known to better than 1 %. One thread records, any thread reads."""

    def record(self, int64_t value_ns):
        """The recording thread. Values outside 0 .. 100 s count as the nearest end, and in `clamped`."""
        record(&self.histogram, value_ns)

    def merge(self, LatencyHistogram other not None):
        """The recording thread: add the other's values to these."""
        merge(&self.histogram, &other.histogram)

    def reset(self):
        """The recording thread: forget everything."""
        reset(&self.histogram)

    def percentile(self, double percent):
        """Smallest recorded value (to its bucket's middle) that `percent` % of all do not exceed; 0.0 when empty."""
        if not 0.0 <= percent <= 100.0:
            raise ValueError(f"percent={percent}: give 0 to 100")
        return percentile(&self.histogram, percent)

    def summary(self):
        """count, p50, p99, p99_9, max; nanoseconds, as integers."""
        return {
            "count": load(&self.histogram.count),
            "p50": round(percentile(&self.histogram, 50.0)),
            "p99": round(percentile(&self.histogram, 99.0)),
            "p99_9": round(percentile(&self.histogram, 99.9)),
            "max": load(&self.histogram.largest),
        }

    @property
    def count(self):
        return load(&self.histogram.count)

    @property
    def mean(self):
        """0.0 when empty."""
        cdef uint64_t count = load(&self.histogram.count)
        return load(&self.histogram.total) / <double>count if count else 0.0

    @property
    def largest(self):
        return load(&self.histogram.largest)

    @property
    def clamped(self):
        return load(&self.histogram.clamped)

    @property
    def counts(self):
        """Counts by bucket, uint64[3968]: a read-only view, no copy, that moves while the thread records."""
        return np.frombuffer(self, dtype=np.uint64)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.histogram.buckets, sizeof(self.histogram.buckets), 1, flags)


def bucket_values():
    """float64[3968]: the nanoseconds that each bucket of `counts` stands for."""
    return np.array([middle_of(i) for i in range(BUCKETS)])
