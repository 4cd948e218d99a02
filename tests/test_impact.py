"""Models of cost: the papers' own numbers, closed forms against sums, and what they refuse."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.impact import (
    AlmgrenChriss,
    ObizhaevaWang,
    permanent_impact,
    realised_cost,
    square_root_impact,
)

#: Almgren and Chriss (2000), section 3.4: dollars, shares, days.
PAPER = AlmgrenChriss(1e6, 5, 5, 0.95, 0.0625, 2.5e-7, 2.5e-6)


@pytest.mark.parametrize(("risk_aversion", "kappa", "remaining", "cost", "deviation"), [
    (1e-6, .607076, (541_955.55, 289_854.22, 147_897.49, 62_141.80), 911_226.99, 603_430.67),
    (2e-6, .846297, (428_598.85, 182_932.81, 76_295.72, 27_643.38), 1_140_715.17, 449_367.65),
    (1e-9, .0194933, (799_544.38, 599_392.59, 399_468.57, 199_696.34), 662_500.90, 1_039_803.73)])
def test_the_paper_of_almgren_and_chriss(risk_aversion, kappa, remaining, cost, deviation):
    found = PAPER.remaining(risk_aversion)
    assert PAPER.kappa(risk_aversion) == pytest.approx(kappa, rel=2e-6)     # printed with six digits
    assert [round(one, 2) for one in found] == [1e6, *remaining, 0]
    assert (round(PAPER.cost(found), 2), round(PAPER.deviation(found), 2)) == (cost, deviation)


def test_its_extremes():
    even = PAPER.remaining(0.0)
    assert even == pytest.approx(np.linspace(1e6, 0, 6), rel=1e-12)
    assert (PAPER.cost(even), PAPER.deviation(even) ** 2) == pytest.approx((662_500, 1.083e12), rel=1e-12)
    at_once = [1e6, 0, 0, 0, 0, 0]
    assert (PAPER.cost(at_once), PAPER.deviation(at_once)) == pytest.approx((2_562_500, 0), rel=1e-12)
    assert np.diff(PAPER.remaining(1e-6)) == pytest.approx(
        [-458_044.45, -252_101.33, -141_956.73, -85_755.69, -62_141.80], abs=0.005)
    # the variance and the half-life that a published implementation prints for 1e-9
    slow = PAPER.remaining(1e-9)
    assert PAPER.deviation(slow) ** 2 == pytest.approx(1.081192e12, rel=1e-6)
    assert 1 / PAPER.kappa(1e-9) == pytest.approx(51.2997, rel=1e-5)


@given(risk_aversion=st.floats(1e-10, 1e-4), nudge=st.lists(st.floats(-1000, 1000), min_size=4, max_size=4))
def test_the_optimum_is_one(risk_aversion, nudge):
    """No other trajectory has less cost plus risk aversion times variance."""
    def judged(trajectory):
        return PAPER.cost(trajectory) + risk_aversion * PAPER.deviation(trajectory) ** 2

    best = PAPER.remaining(risk_aversion)
    other = best + np.array([0, *nudge, 0])
    assert judged(best) <= judged(other) * (1 + 1e-12)


@given(slower=st.floats(1e-10, 1e-5), more=st.floats(1.01, 100))
def test_the_frontier_is_monotone_in_urgency(slower, more):
    patient, urgent = PAPER.remaining(slower), PAPER.remaining(slower * more)
    assert PAPER.cost(patient) < PAPER.cost(urgent) and PAPER.deviation(patient) > PAPER.deviation(urgent)


@given(risk_aversion=st.floats(1e-9, 1e-4), steps=st.integers(2, 40))
def test_closed_forms(risk_aversion, steps):
    """Of cost and variance (their equation 20) against the sums."""
    model = AlmgrenChriss(1e6, 5, steps, 0.95, 0.0625, 2.5e-7, 2.5e-6)
    found, k, tau, time, size = model.remaining(risk_aversion), model.kappa(risk_aversion), 5 / steps, 5, 1e6
    cost = (2.5e-7 * size**2 / 2 + 0.0625 * size + model.adjusted * size**2 * math.tanh(k * tau / 2)
            * (tau * math.sinh(2 * k * time) + 2 * time * math.sinh(k * tau))
            / (2 * tau**2 * math.sinh(k * time) ** 2))
    variance = (0.95**2 * size**2 / 2 * (tau * math.sinh(k * time) * math.cosh(k * (time - tau))
                                         - time * math.sinh(k * tau))
                / (math.sinh(k * time) ** 2 * math.sinh(k * tau)))
    assert model.cost(found) == pytest.approx(cost, rel=1e-9)
    assert model.deviation(found) ** 2 == pytest.approx(variance, rel=1e-6)     # a difference of nearly equal numbers


def test_the_paper_of_obizhaeva_and_wang():
    model = ObizhaevaWang(1e5, 1, 5000, 1 / 10_000, 2.231)
    block, rate = model.optimum()
    assert (round(block, 2), round(rate, 2), round(model.cost(), 2)) == (23_635.07, 52_729.85, 736_350.74)
    for count, first, cost in ((10, 26_317.96, 736_866.24), (100, 23_899.24, 736_355.91), (400, 23_701.02, 736_351.07)):
        trades = model.trades(count + 1)            # so many intervals
        assert (round(float(trades[0]), 2), round(float(trades[-1]), 2)) == (first, first)
        assert round(model.cost_of(trades), 2) == cost and trades.sum() == pytest.approx(1e5, rel=1e-12)
    assert round(2 * block + rate, 6) == 1e5


def test_equity_impact():
    """IBM and DRI of the paper: a tenth of a day's volume over a tenth, a fifth and half of a day, in basis points."""
    ibm = {"volatility": 0.0157, "shares_per_volume": 1728e6 / 6.561e6}
    dri = {"volatility": 0.0226, "shares_per_volume": 168e6 / 1.929e6}
    assert [[round(1e4 * realised_cost(0.1, days, **one), 2) for days in (0.1, 0.2, 0.5)] for one in (ibm, dri)] == [
        [32.22, 24.64, 18.42], [42.93, 32.01, 23.06]]
    assert [round(1e4 * permanent_impact(0.1, **one), 2) for one in (ibm, dri)] == [19.86, 21.68]


def test_the_square_root_law():
    assert square_root_impact(0.01, 0.02) == pytest.approx(20e-4, rel=1e-12)


@pytest.mark.parametrize(("numbers", "told"), [
    ((0, 5, 5, 1, 0, 0, 1), "quantity 0"), ((1, -1, 5, 1, 0, 0, 1), "time -1"),
    ((1, 5, 5, -1, 0, 0, 1), "volatility -1"),
    ((1, 5, 1, 1, 0, 1, 1), "steps 1: in steps of 5 the permanent impact outweighs")])
def test_what_is_no_model_is_named(numbers, told):
    with pytest.raises(ValueError, match=told):
        AlmgrenChriss(*numbers)
