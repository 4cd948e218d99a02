"""Latency histograms: percentiles within half a per cent of the exact ones, whatever the values."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.latency import LatencyHistogram

#: Half a bucket of 1/128 (latency.pxd): a value is reported as the middle of its bucket.
RELATIVE_ERROR = 1 / 256


@given(st.lists(st.integers(0, 100_000_000_000), min_size=1, max_size=300), st.sampled_from([0, 50, 90, 99, 100]))
def test_percentiles(values, percent):
    histogram = LatencyHistogram()
    for value in values:
        histogram.record(value)
    exact = float(np.percentile(values, percent, method="inverted_cdf"))
    assert histogram.percentile(percent) == pytest.approx(exact, rel=RELATIVE_ERROR, abs=0.5)
    assert histogram.count == len(values)
    assert histogram.largest == max(values)
    assert histogram.mean == pytest.approx(sum(values) / len(values))


def test_values_out_of_range_are_counted_as_the_nearest():
    histogram = LatencyHistogram()
    histogram.record(-5)
    histogram.record(10**12)
    assert histogram.clamped == 2
    assert histogram.count == 2
    assert histogram.largest == 100_000_000_000


def test_merge_and_reset():
    first, second = LatencyHistogram(), LatencyHistogram()
    first.record(100)
    second.record(300)
    first.merge(second)
    assert (first.count, first.largest) == (2, 300)
    assert first.summary()["count"] == 2
    first.reset()
    assert (first.count, first.largest, first.percentile(50)) == (0, 0, 0)


def test_percent_is_checked():
    with pytest.raises(ValueError, match="0 to 100"):
        LatencyHistogram().percentile(101)
