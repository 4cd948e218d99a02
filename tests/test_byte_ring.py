"""Byte rings: records of any length in one piece, in order, with their tags; too large and full are told apart."""
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.byte_ring import ByteRing


@given(st.lists(st.one_of(st.binary(max_size=300), st.none()), max_size=200))
def test_same_as_a_deque(operations):
    ring, twin = ByteRing(1024), deque()
    for number, operation in enumerate(operations):
        if operation is None:
            assert ring.pop() == (twin.popleft() if twin else None)
        elif ring.push(operation, number):
            twin.append((number, operation))
        else:
            assert twin, "an empty ring takes every record that can ever fit"
    while twin:
        assert ring.pop() == twin.popleft()
    assert ring.pop() is None
    assert ring.used == 0


def test_the_largest_record_goes_through_from_every_position():
    ring = ByteRing(512)
    for offset in range(0, 128, 8):
        assert ring.push(b"x" * offset)
        assert ring.pop() == (0, b"x" * offset)
        assert ring.push(b"y" * ring.largest_record, 9) or ring.pop() is None
        taken = ring.pop()
        if taken is None:
            assert ring.push(b"y" * ring.largest_record, 9)
            taken = ring.pop()
        assert taken == (9, b"y" * ring.largest_record)


def test_a_record_that_never_fits_is_refused_for_good():
    ring = ByteRing(256)
    with pytest.raises(ValueError, match="at most"):
        ring.push(b"z" * (ring.largest_record + 1))


@pytest.mark.parametrize("capacity", [64, 1000, 2**32])
def test_capacity(capacity):
    with pytest.raises(ValueError, match="power of two"):
        ByteRing(capacity)
