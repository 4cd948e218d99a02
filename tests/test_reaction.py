"""Reaction to the price: exact factors, the schedule that they bend, and between which bounds it stays."""
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.algos import schedule
from orderflow._core.algos.reaction import cumulative, pace_factor, price_favour
from orderflow._core.types import Algorithm, Side

UNIT = 1_000_000


@pytest.mark.parametrize(("side", "price", "expected"), [
    (Side.BUY, 6_000_000, 0), (Side.BUY, 5_994_000, 1000), (Side.SELL, 6_006_000, 1000), (Side.BUY, 6_006_000, -1000),
    (Side.SELL, 5_999_999, 0), (Side.BUY, 5_999_994, 1), (Side.BUY, 0, 0), (Side.SELL, 10**9, UNIT),
    (Side.BUY, 10**18, -UNIT)])
def test_a_move_in_millionths_of_the_arrival_price(side, price, expected):
    """Ten basis points are 1000; what is no whole millionth counts as less."""
    assert price_favour(side, 6_000_000, price) == expected


def test_without_a_price_at_arrival_nothing_has_moved():
    assert price_favour(Side.BUY, 0, 6_000_000) == 0


@pytest.mark.parametrize(("move", "expected"), [
    (0, 1.0), (1000, 1.5), (2000, 2.0), (9000, 2.0), (-1000, 0.75), (-2000, 0.5), (-UNIT, 0.5)])
def test_a_pace_is_doubled_by_its_scale_and_halved_by_as_much_against_it(move, expected):
    assert pace_factor(move, 2000) == expected * UNIT
    assert pace_factor(-move, -2000) == expected * UNIT         # passive in the money


@given(moves=st.tuples(st.integers(-UNIT, UNIT), st.integers(-UNIT, UNIT)), scale=st.integers(1, UNIT))
def test_a_better_price_is_never_slower(moves, scale):
    slower, faster = (pace_factor(move, scale) for move in sorted(moves))
    assert UNIT // 2 <= slower <= faster <= 2 * UNIT


def slow_cumulative(quantity, factors, lot, curvature):
    """By the definition: sinh(k (1 - s)) / sinh(k) of what is left, slice by slice."""
    remains, found = 1.0, []
    for index, factor in enumerate(factors):
        left = len(factors) - index
        k = curvature * left / len(factors)
        if left == 1:
            remains = 0.0
        elif k < 1e-6:
            remains *= (1 - 1 / left) ** (factor / UNIT)
        else:
            remains *= (math.sinh(k * (1 - 1 / left)) / math.sinh(k)) ** (factor / UNIT)
        found.append(quantity if remains == 0.0 else int(quantity // lot * (1 - remains)) * lot)
    return found


paths = st.fixed_dictionaries({
    "quantity": st.integers(1, 10**9), "factors": st.lists(st.integers(UNIT // 2, 2 * UNIT), min_size=1, max_size=60),
    "lot": st.integers(1, 10**4), "curvature": st.floats(0, 50)})


@given(path=paths)
def test_it_is_its_definition(path):
    found, slow = cumulative(**path), slow_cumulative(**path)
    assert np.abs(found - slow).max() <= path["lot"]            # a share that is a float may round the other way


@given(path=paths)
def test_it_never_takes_back_and_ends_with_the_whole(path):
    found = cumulative(**path)
    assert (np.diff(found, prepend=0) >= 0).all()
    assert found[-1] == path["quantity"]
    assert ((found % path["lot"] == 0) | (found == path["quantity"])).all()


@given(path=paths)
def test_what_remains_is_between_the_square_and_the_root_of_the_plan(path):
    quantity, lot = path["quantity"], path["lot"]
    slices = len(path["factors"])
    for index, done in enumerate(cumulative(**path)[:-1], 1):
        plan = schedule.share_remaining(path["curvature"], index / slices)
        remains = Fraction(quantity // lot * lot - int(done), quantity)
        slack = Fraction(lot, quantity) + Fraction(1, 10**9)
        assert plan**2 - slack <= remains <= math.sqrt(plan) + slack


@given(path=paths)
def test_without_a_move_it_is_the_shortfall_schedule(path):
    slices = len(path["factors"])
    found = cumulative(path["quantity"], [UNIT] * slices, path["lot"], path["curvature"])
    plan = schedule.cumulative(Algorithm.SHORTFALL, path["quantity"], slices, path["lot"], path["curvature"])
    assert np.abs(found - plan).max() <= path["lot"]


@given(path=paths, at=st.integers(0, 59))
def test_a_faster_slice_makes_all_that_follows_earlier(path, at):
    at %= len(path["factors"])
    faster = [2 * UNIT if index == at else factor for index, factor in enumerate(path["factors"])]
    assert (cumulative(**path | {"factors": faster}) >= cumulative(**path)).all()


@pytest.mark.parametrize(("call", "told"), [
    (lambda: pace_factor(1, 0), "scale 0"), (lambda: pace_factor(1, UNIT + 1), "scale 1000001"),
    (lambda: cumulative(0, [UNIT]), "quantity 0"), (lambda: cumulative(5, []), "0 factors"),
    (lambda: cumulative(5, [UNIT], curvature=math.nan), "curvature nan")])
def test_what_is_no_reaction_is_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()
