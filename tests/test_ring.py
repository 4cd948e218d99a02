"""Rings: records come out as they went in, in order, once; full and empty are said; two threads lose nothing."""
import threading
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core import hop
from orderflow._core.ring import Ring
from orderflow._core.types import CHILD_ORDER_DTYPE, WAKE_DTYPE


@pytest.mark.parametrize(("dtype", "size"), [(WAKE_DTYPE, 64), (CHILD_ORDER_DTYPE, 128)])
def test_records_come_back(dtype, size):
    ring = Ring(4, size)
    record = np.zeros(1, dtype)[0]
    record["listing"] = 7
    assert ring.push(record)
    assert len(ring) == 1
    assert ring.pop(dtype)["listing"] == 7
    assert ring.pop(dtype) is None


@given(st.lists(st.one_of(st.integers(1, 2**40), st.none()), max_size=200), st.sampled_from([1, 2, 8]))
def test_same_as_a_bounded_deque(operations, capacity):
    ring, twin = Ring(capacity, 64), deque()
    record = np.zeros(1, WAKE_DTYPE)[0]
    for operation in operations:
        if operation is None:
            taken = ring.pop(WAKE_DTYPE)
            assert (None if taken is None else int(taken["version"])) == (twin.popleft() if twin else None)
        else:
            record["version"] = operation
            assert ring.push(record) == (len(twin) < capacity)
            if len(twin) < capacity:
                twin.append(operation)
        assert len(ring) == len(twin)


def test_a_record_copied_whole_from_another_ring_is_not_taken_for_published():
    first, second = Ring(2, 64), Ring(2, 64)
    for ring in (first, second):
        ring.push(np.ones(1, WAKE_DTYPE)[0])
        assert ring.pop(WAKE_DTYPE)["ring_stamp"] == 0


@pytest.mark.parametrize("capacity", [0, 3, 2**33])
def test_capacity_is_a_power_of_two(capacity):
    with pytest.raises(ValueError, match="power of two"):
        Ring(capacity, 64)


def test_slots_are_one_or_two_cache_lines():
    with pytest.raises(ValueError, match="64 or 128"):
        Ring(4, 96)
    with pytest.raises(ValueError, match="bytes"):
        Ring(4, 64).push(b"short")


def test_two_native_threads_lose_nothing():
    ring, records = Ring(256, 64), 200_000
    producer = threading.Thread(target=hop.produce, args=(ring, records))
    producer.start()
    taken, wrong = hop.consume(ring, records)
    producer.join()
    assert wrong == 0
    assert len(ring) == 0
    assert taken
