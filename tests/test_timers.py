"""Timers expire in order of deadline, then of scheduling; cancelling is harmless whenever it comes."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.timers import TimerHeap

OPERATIONS = st.lists(st.one_of(
    st.tuples(st.just("schedule"), st.integers(0, 50)), st.tuples(st.just("cancel"), st.integers(0, 60)),
    st.tuples(st.just("expire"), st.integers(0, 60))), max_size=120)


@given(OPERATIONS)
def test_same_as_a_sorted_list(operations):
    heap, twin, handles = TimerHeap(64), [], []
    for number, (operation, value) in enumerate(operations):
        if operation == "schedule" and len(twin) < 64:
            handles.append((heap.schedule(value, number), number))
            twin.append((value, number))
        elif operation == "cancel" and value < len(handles):
            handle, key = handles[value]
            pending = [entry for entry in twin if entry[1] == key]
            assert heap.cancel(handle) == bool(pending)
            twin = [entry for entry in twin if entry[1] != key]
        elif operation == "expire":
            due = sorted(entry for entry in twin if entry[0] <= value)
            assert heap.expire(value) == [key for _, key in due]
            twin = [entry for entry in twin if entry[0] > value]
        assert len(heap) == len(twin)
        assert heap.next_deadline() == (min(twin)[0] if twin else None)


def test_full_is_said():
    heap = TimerHeap(2)
    heap.schedule(1, 1)
    heap.schedule(2, 2)
    with pytest.raises(OverflowError, match="2 timers"):
        heap.schedule(3, 3)


def test_time_to_the_next():
    heap = TimerHeap(2)
    assert heap.park_timeout(5) == -1
    heap.schedule(10, 1)
    assert heap.park_timeout(4) == 6
    assert heap.park_timeout(11) == 0
