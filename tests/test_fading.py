"""Levels that are gone on arrival: the worked number, linearity, and sends that arrive together."""
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.fading import expected_unit_cost, order_of_exchanges, send_delays_ns, survival

LEVELS, LATER = [(100.00, .70), (100.01, .98)], 100.08


def test_the_worked_number():
    """The dearer level is there more often, and is the cheaper one for it."""
    assert [expected_unit_cost(*level, LATER) for level in LEVELS] == pytest.approx([100.024, 100.0114], rel=1e-12)
    assert order_of_exchanges(LEVELS, LATER) == [1, 0]
    assert order_of_exchanges([(100.00, 1), (100.01, 1)], LATER) == [0, 1]
    assert order_of_exchanges([(100.01, .5), (100.01, .5)], LATER) == [0, 1], "of equals the first"


@given(cost=st.floats(1, 1e5), more=st.floats(0.01, 100), first=st.floats(0, 1), second=st.floats(0, 1))
def test_what_is_there_more_often_costs_less(cost, more, first, second):
    rare, often = sorted((first, second))
    later = cost + more
    assert expected_unit_cost(cost, often, later) <= expected_unit_cost(cost, rare, later) * (1 + 1e-12)
    assert cost * (1 - 1e-12) <= expected_unit_cost(cost, rare, later) <= later * (1 + 1e-12)


@given(seconds=st.floats(0, 10), more=st.floats(0, 10), rate=st.floats(0, 5))
def test_survival_forgets_how_long_it_has_been_there(seconds, more, rate):
    together = survival(seconds, rate) * survival(more, rate)
    assert survival(seconds + more, rate) == pytest.approx(together, rel=1e-12)
    assert survival(0, rate) == 1 and survival(math.inf, 1) == 0


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=8))
def test_all_orders_arrive_together(round_trips):
    delays = send_delays_ns(round_trips)
    arrivals = [delay + one / 2 for delay, one in zip(delays, round_trips, strict=True)]
    assert max(arrivals) - min(arrivals) < 1        # nanoseconds are whole
    assert min(delays) == 0


def test_what_is_out_of_range_is_named():
    assert send_delays_ns([]) == []
    with pytest.raises(ValueError, match="survives 1.5"):
        expected_unit_cost(1, 1.5, 2)
    with pytest.raises(ValueError, match="rate -1"):
        survival(1, -1)
    with pytest.raises(ValueError, match="round_trips_ns: -1"):
        send_delays_ns([3, -1])
