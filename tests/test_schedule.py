"""Schedules: published numbers, closed forms against their definition, and what no dice may break."""
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.algos.schedule import beginnings, cumulative, share_remaining
from orderflow._core.types import Algorithm

TWAP, SHORTFALL, CLOSE = Algorithm.TWAP, Algorithm.SHORTFALL, Algorithm.CLOSE
X, T, N, SIGMA, GAMMA, ETA = 1_000_000, 5, 5, 0.95, 2.5e-7, 2.5e-6     # Almgren and Chriss (2000), section 3.4

schedules = st.fixed_dictionaries({
    "algorithm": st.sampled_from([TWAP, SHORTFALL, CLOSE]), "quantity": st.integers(1, 10**12),
    "slices": st.integers(1, 300), "lot": st.integers(1, 10**6), "curvature": st.floats(0, 1000),
    "seed": st.integers(0, 2**64 - 1)})


def kappa(risk_aversion):
    """Of the paper's parameters, by its definition."""
    squared = risk_aversion * SIGMA**2 / (ETA - GAMMA / 2)
    return math.acosh(squared / 2 + 1)


def test_equal_slices_are_within_one_lot_of_each_other():
    assert np.diff(cumulative(TWAP, 1000, 7), prepend=0).tolist() == [142, 143, 143, 143, 143, 143, 143]


@pytest.mark.parametrize(("risk_aversion", "expected_kappa", "remaining"), [
    (1e-6, .607076, (541_955.55, 289_854.22, 147_897.49, 62_141.80)),
    (2e-6, .846297, (428_598.85, 182_932.81, 76_295.72, 27_643.38)),
    (1e-9, .0194933, (799_544.38, 599_392.59, 399_468.57, 199_696.34))])
def test_the_papers_trajectories(risk_aversion, expected_kappa, remaining):
    """To the last digit that is printed."""
    found = kappa(risk_aversion)
    assert found == pytest.approx(expected_kappa, rel=2e-6)     # printed with six digits
    assert [round(X * share_remaining(found * T, j / N), 2) for j in range(1, N)] == list(remaining)
    cents = cumulative(SHORTFALL, X * 100, N, curvature=found * T)
    assert [X * 100 - int(done) for done in cents] == [
        pytest.approx(100 * one, abs=1) for one in remaining] + [0]     # whole hundredths, rounded down


@given(curvature=st.floats(1e-12, 300), passed=st.floats(0, 1))
def test_the_closed_form_is_its_definition(curvature, passed):
    found = share_remaining(curvature, passed)
    if curvature < 1e-6:        # sinh(k (1 - s)) / sinh(k) = (1 - s) (1 + O(k^2))
        assert found == pytest.approx(1 - passed, abs=1e-12)
    else:
        # 1 - s is exact to half a unit of s in the last place, and k multiplies that
        assert found == pytest.approx(math.sinh(curvature * (1 - passed)) / math.sinh(curvature), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("curvature", [700.0, 1e5, 1e300])
def test_no_curvature_is_too_steep(curvature):
    assert share_remaining(curvature, 0.0) == 1.0 and share_remaining(curvature, 1.0) == 0.0
    assert 0.0 <= share_remaining(curvature, 0.5) < 1e-150
    assert cumulative(SHORTFALL, 1000, 3, curvature=curvature).tolist() == [1000, 1000, 1000]
    assert cumulative(CLOSE, 1000, 3, curvature=curvature).tolist() == [0, 0, 1000]


def test_close_is_shortfall_backwards():
    early = np.diff(cumulative(SHORTFALL, 10**9, 20, curvature=3.0), prepend=0)
    late = np.diff(cumulative(CLOSE, 10**9, 20, curvature=3.0), prepend=0)
    assert np.abs(early[::-1] - late).max() <= 2            # each of two cumulative quantities was rounded down
    assert (np.diff(early) < 0).all()


def test_urgency_is_monotone():
    """At every moment more is done with a larger curvature."""
    curves = [cumulative(SHORTFALL, 10**9, 50, curvature=curvature) for curvature in (0.0, 0.1, 1.0, 3.0, 10.0)]
    for slower, faster in zip(curves, curves[1:], strict=False):
        assert (faster[:-1] > slower[:-1]).all()
    assert np.abs(curves[0] - cumulative(TWAP, 10**9, 50)).max() <= 1       # a share that is a float may round down


@given(plan=schedules, randomness=st.integers(0, 50))
def test_every_schedule_releases_all_of_it_and_never_takes_back(plan, randomness):
    found = cumulative(**plan, randomness=randomness)
    assert found[-1] == plan["quantity"]
    assert (found[:-1] % plan["lot"] == 0).all()
    assert (np.diff(found, prepend=0) >= -plan["lot"]).all()        # dice and lots: one that rounded down before up
    planned = cumulative(**plan)
    assert (np.diff(planned, prepend=0) >= 0).all()


@given(plan=schedules, randomness=st.integers(1, 50))
def test_dice_move_a_slice_by_its_share_at_most(plan, randomness):
    planned, thrown = cumulative(**plan), cumulative(**plan, randomness=randomness)
    sizes = np.diff(planned, prepend=0)
    most = [Fraction(int(size) * randomness, 200) + plan["lot"] for size in sizes]
    assert all(abs(int(a) - int(b)) <= one for a, b, one in zip(planned, thrown, most, strict=True))


def test_dice_are_thrown_and_a_seed_throws_the_same():
    plain, one, other = (cumulative(TWAP, 10**9, 100, seed=seed, randomness=randomness)
                         for seed, randomness in ((1, 0), (1, 50), (2, 50)))
    assert (one != plain).sum() > 90 and (one != other).sum() > 90
    assert (one == cumulative(TWAP, 10**9, 100, seed=1, randomness=50)).all()
    off = (one - plain)[:-1] / (10**9 / 100)
    # uniform in +- 1/4 of a slice: the mean of 99 is within four of its standard deviations of zero
    assert abs(off.mean()) < 4 * 0.25 / math.sqrt(3 * 99) and off.min() < -0.2 and off.max() > 0.2


@given(length=st.integers(1000, 10**12), slices=st.integers(1, 500), seed=st.integers(0, 2**64 - 1),
       randomness=st.integers(0, 50))
def test_slices_begin_in_order_and_before_half_of_them_has_passed(length, slices, seed, randomness):
    found = beginnings(7, 7 + length, slices, seed, randomness)
    late = found - 7 - np.arange(slices) * (length // slices)
    assert found[0] == 7 and (late >= 0).all() and (late <= length // slices * randomness // 100).all()


@pytest.mark.parametrize(("arguments", "told"), [
    ((Algorithm.IMMEDIATE, 10, 2), "algorithm 1: expected TWAP"), ((TWAP, 10, 0), "slices 0"),
    ((TWAP, 0, 2), "quantity 0"), ((TWAP, 10, 2, 0), "lot 0"), ((SHORTFALL, 10, 2, 1, -1.0), "curvature -1.0"),
    ((SHORTFALL, 10, 2, 1, math.nan), "curvature nan"), ((TWAP, 10, 2, 1, 0.0, 0, 51), "randomness 51")])
def test_what_is_no_schedule_is_named(arguments, told):
    with pytest.raises(ValueError, match=told):
        cumulative(*arguments)
