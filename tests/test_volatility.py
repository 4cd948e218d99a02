"""Volatility of returns: worked numbers, what jumps and noise do, and what is not known."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.research.volatility import annual_volatility, bipower_variation, realised_variance, two_scales_variance

RETURNS = [.001, -.002, .0015, -.0005, .003]


def test_the_worked_numbers():
    assert realised_variance(RETURNS) == pytest.approx(1.65e-5, rel=1e-12)
    assert round(math.sqrt(realised_variance(RETURNS)), 8) == .00406202
    assert bipower_variation(RETURNS) == pytest.approx(1.138827e-5, abs=5e-12)
    assert round(annual_volatility(1.65e-5, 300), 5) == 1.31700


def test_a_jump_enters_the_variance_and_hardly_the_bipower_variation():
    """Of 2000 normal returns, within three standard errors of their variance each."""
    returns = np.random.default_rng(2).normal(0, 1e-3, 2000)
    error = 3 * 2000e-6 * math.sqrt(2.61 / 2000)        # Barndorff-Nielsen and Shephard (2004): 2 and 2.61
    assert realised_variance(returns) == pytest.approx(2000e-6, abs=error)
    assert bipower_variation(returns) == pytest.approx(2000e-6, abs=error)
    returns[1000] += .05
    assert realised_variance(returns) > 2000e-6 + .9 * .05 ** 2
    assert bipower_variation(returns) == pytest.approx(2000e-6, abs=2 * error)


def test_two_scales_take_out_the_noise():
    """Prices that are off by as much as they move in ten steps."""
    dice = np.random.default_rng(4)
    found, plain = [], []
    for _ in range(40):
        prices = 100 * np.exp(np.cumsum(dice.normal(0, 1e-4, 4000)) + dice.normal(0, 3e-4, 4000))
        found.append(two_scales_variance(prices, 60))
        plain.append(realised_variance(np.diff(np.log(prices))))
    truth = 4000 * 1e-8
    assert np.mean(plain) > 15 * truth
    assert abs(np.mean(found) * 4000 / 3941 - truth) < 3 * np.std(found) / math.sqrt(40)


@given(st.lists(st.floats(50, 150), min_size=4, max_size=30), st.integers(2, 3))
def test_two_scales_are_the_definition(prices, apart):
    """Grid by grid."""
    grids = [np.diff(np.log(prices[first::apart])) for first in range(apart)]
    slow = sum(float(grid @ grid) for grid in grids) / apart
    fast = np.diff(np.log(prices))
    expected = slow - sum(map(len, grids)) / apart / len(fast) * float(fast @ fast)
    assert two_scales_variance(prices, apart) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_what_is_not_known_is_none():
    assert realised_variance([]) is bipower_variation([.1]) is two_scales_variance([1, 2], 2) is None
    assert realised_variance([.1, math.nan]) is bipower_variation([.1, math.nan]) is None
    assert two_scales_variance([1, 2, 0], 2) is None


def test_what_is_out_of_range_is_named():
    with pytest.raises(ValueError, match="apart 1"):
        two_scales_variance([1, 2, 3], 1)
    with pytest.raises(ValueError, match="seconds 0"):
        annual_volatility(1, 0)
