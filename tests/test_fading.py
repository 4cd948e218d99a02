"""Levels that are gone on arrival: the worked number, linearity, and sends that arrive together."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.fading import expected_unit_cost, learn_rate, order_of_exchanges, send_delays_ns, survival

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


@given(parts=st.lists(st.floats(0, 1), min_size=1, max_size=20).filter(lambda parts: 1e-9 < sum(parts) < len(parts)),
       seconds=st.floats(1e-6, 100))
def test_with_one_delay_the_rate_is_in_closed_form(parts, seconds):
    mean = math.fsum(parts) / len(parts)
    found = learn_rate([(seconds, part) for part in parts] + [(0, 0.5)])
    assert found * seconds == pytest.approx(-math.log(mean), rel=1e-9, abs=1e-12)


@given(st.lists(st.tuples(st.floats(1e-3, 10), st.sampled_from([0, 0.25, 1])), min_size=2, max_size=12).filter(
    lambda seen: 0 < sum(part for _, part in seen) < len(seen)))
def test_the_learnt_rate_is_the_most_probable(seen):
    """No rate of a fine grid around it has a larger likelihood."""
    def likelihood(rate):
        return sum(-part * rate * seconds + ((1 - part) * math.log(-math.expm1(-rate * seconds)) if part < 1 else 0)
                   for seconds, part in seen)

    found = learn_rate(seen)
    assert all(likelihood(found) >= likelihood(found * factor) - 1e-9 for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2))


def test_the_rate_of_levels_that_vanish_is_found_again():
    """Twenty thousand orders, of levels that live for half a second on average."""
    dice = np.random.default_rng(3)
    delays, lives = dice.uniform(0.001, 1, 20_000), dice.exponential(0.5, 20_000)
    assert learn_rate(list(zip(delays, (lives > delays).astype(float), strict=True))) == pytest.approx(2, rel=0.05)


def test_a_rate_of_nothing_is_none():
    assert learn_rate([]) is learn_rate([(0, 1.0)]) is learn_rate([(1.0, 0), (2.0, 0)]) is None
    assert learn_rate([(1.0, 1), (0, 0)]) == 0.0
    assert survival(0.25, learn_rate([(0.25, 0.7)])) == pytest.approx(0.7, rel=1e-12)
    for wrong in ((-1, 0.5), (1, 1.5), (math.inf, 1), (math.nan, 1)):
        with pytest.raises(ValueError, match="expected 0 seconds or more"):
            learn_rate([wrong])


def test_what_is_out_of_range_is_named():
    assert send_delays_ns([]) == []
    with pytest.raises(ValueError, match="survives 1.5"):
        expected_unit_cost(1, 1.5, 2)
    with pytest.raises(ValueError, match="rate -1"):
        survival(1, -1)
    with pytest.raises(ValueError, match="round_trips_ns: -1"):
        send_delays_ns([3, -1])
