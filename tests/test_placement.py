"""Placement: worked numbers, first order conditions against derivatives, and neighbours that cost more."""
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orderflow.placement import (
    ExponentialOutflow,
    Placement,
    PlacementProblem,
    advantage_of_posting,
    capped,
    learn_placement,
    place,
    place_overbooked,
)

ONE = PlacementProblem(1000, (500,), (.002,), .005, .003, .025, .024, .0005)
ONE_OUTFLOW = [ExponentialOutflow(1200)]
TWO = PlacementProblem(1000, (300, 200), (.002, .003), .005, .003, .026, .024)
TWO_OUTFLOWS = [ExponentialOutflow(900), ExponentialOutflow(700)]


def independent(outflows, count):
    """Every pair of equally likely outflows, (count**2, 2): means over them are integrals by the midpoint rule."""
    places = (np.arange(count) + 0.5) / count
    grid = np.meshgrid(*[-one.mean * np.log(places) for one in outflows], indexing="ij")
    return np.stack([axis.ravel() for axis in grid], axis=-1)


GRID = independent(TWO_OUTFLOWS, 1500)


def test_one_exchange():
    found = place(ONE, ONE_OUTFLOW)
    critical = (2 * .005 + .003 + .002) / (.025 + .005 + .002 + .0005)
    assert critical == pytest.approx(.461538, abs=5e-7)
    assert found.limits[0] == pytest.approx(-1200 * math.log(1 - critical) - 500, rel=1e-12)
    assert [round(one, 3) for one in (*found.limits, found.market)] == [242.847, 757.153]
    assert [round(ONE.expected_cost(one, ONE_OUTFLOW), 4) for one in (
        found, Placement(757, (243,)), Placement(1000, (0,)))] == [8.0394, 8.0394, 8.5]
    assert round(ONE.expected_cost(Placement(0, (1000,)), ONE_OUTFLOW), 3) == 11.463
    costs = [ONE.expected_cost(Placement(1000 - limit, (limit,)), ONE_OUTFLOW) for limit in range(1001)]
    assert np.argmin(costs) == 243


@pytest.mark.parametrize(("underfill", "limit"), [(.02, 446.1), (.03, 113.0), (.05, 0.0)])
def test_the_more_a_missing_unit_costs_the_more_is_done_at_market(underfill, limit):
    found = place(replace(ONE, underfill=underfill), ONE_OUTFLOW)
    assert round(found.limits[0], 1) == limit and found.total == pytest.approx(1000, rel=1e-12)


def test_thresholds_beyond_which_one_exchange_gets_all_or_nothing():
    lower, upper = .013523, .036519
    chances = [1 - ONE_OUTFLOW[0].exceeds(500 + more) for more in (1000, 0)]
    assert [.015 / chance - .0075 for chance in chances] == pytest.approx([lower, upper], abs=5e-7)

    def limit(underfill):
        return place(replace(ONE, underfill=underfill), ONE_OUTFLOW).limits[0]

    assert limit(lower - 1e-5) == 1000 and 990 < limit(lower + 1e-5) < 1000
    assert limit(upper + 1e-5) == 0 and 0 < limit(upper - 1e-5) < 2


def test_two_exchanges_that_may_not_be_overbooked():
    """Each queue is joined until a unit more in it saves no more than one at market."""
    found = place(TWO, TWO_OUTFLOWS)
    for limit, queue, rebate, outflow in zip(found.limits, TWO.queues, TWO.rebates, TWO_OUTFLOWS, strict=True):
        chance = (.026 - .005 - .003) / (.005 + rebate + .026)
        assert outflow.exceeds(queue + limit) == pytest.approx(chance, rel=1e-12)
    assert found.total == pytest.approx(1000, rel=1e-12)
    # 100 fit in the queues: nothing goes to the market, and one unit more saves as much in either
    small = place(replace(TWO, quantity=100), TWO_OUTFLOWS)
    savings = [(.031 + rebate) * outflow.exceeds(queue + limit) for limit, queue, rebate, outflow in zip(
        small.limits, TWO.queues, TWO.rebates, TWO_OUTFLOWS, strict=True)]
    assert small.market == 0 and small.total == pytest.approx(100, rel=1e-12) and min(small.limits) > 0
    assert savings[0] == pytest.approx(savings[1], rel=1e-6) and savings[0] > .018


def test_two_exchanges_that_may_be_overbooked():
    found = place_overbooked(TWO, TWO_OUTFLOWS)
    assert [round(one, 3) for one in (found.market, *found.limits)] == [211.001, 698.138, 741.903]
    assert round(found.total) == 1651
    # of the paper: each limit is the other queue's quantile away from what is wanted
    for own, probability in ((0, .34), (1, .32)):
        quantile = TWO_OUTFLOWS[1 - own].exceeded_with(1 - probability)
        assert found.limits[own] == pytest.approx(1000 - found.market + TWO.queues[1 - own] - quantile, rel=1e-6)
    enough = np.mean(found.market + np.clip(GRID - TWO.queues, 0, found.limits).sum(axis=1) >= 1000)
    assert enough == pytest.approx(.36, abs=1e-3)     # a step function on a grid of 1500 a side
    assert [round(TWO.cost(one, GRID).mean(), digits) for one, digits in (
        (found, 4), (Placement(1000, (0, 0)), 3), (Placement(0, (1000, 0)), 2), (Placement(0, (0, 1000)), 3),
        (Placement(0, (500, 500)), 3))] == [5.4331, 8.0, 11.72, 12.401, 7.799]
    assert round(TWO.expected_cost(Placement(0, (1000, 0)), TWO_OUTFLOWS), 3) == 11.725
    # what a search over samples had found
    assert (found.market, *found.limits) == pytest.approx((210.77, 698.38, 742.11), abs=0.3)


def test_two_exchanges_where_orders_move_the_price():
    """Against what a search over samples had found, which knows quantities to about a thousandth."""
    problem = replace(TWO, impact=.0005)
    found = place_overbooked(problem, TWO_OUTFLOWS)
    assert (found.market, *found.limits) == pytest.approx((278.91, 604.64, 634.17), rel=1e-3)
    assert round(problem.cost(found, GRID).mean(), 4) == 6.3312
    fills = np.clip(GRID - TWO.queues, 0, found.limits)
    short = found.market + fills.sum(axis=1) < 1000
    filled = GRID > np.asarray(TWO.queues) + found.limits
    chances = [short.mean(), *(short[filled[:, own]].mean() for own in range(2))]
    assert chances == pytest.approx([.64359, .36370, .34943], abs=1e-3)


def test_the_first_order_conditions_hold_for_the_derivative():
    """Of the mean over a grid, by a central difference."""
    for problem in (TWO, replace(TWO, impact=.0005)):
        found = place_overbooked(problem, TWO_OUTFLOWS)
        for index in range(3):
            ends = []
            for step in (-20, 20):
                moved = np.array([found.market, *found.limits])
                moved[index] += step
                ends.append(problem.cost(Placement(moved[0], tuple(moved[1:])), GRID).mean())
            assert (ends[1] - ends[0]) / 40 == pytest.approx(0, abs=2e-5)     # a price of 0.008 to 0.026 a unit


def any_two(queues, rebates, means, penalties, impact):
    return (PlacementProblem(1000, queues, rebates, .005, .003, *penalties, impact),
            [ExponentialOutflow(mean) for mean in means])


#: Of problems whose optimum mostly fulfils the conditions of the paper.
pairs_of = {"queues": st.tuples(st.floats(100, 400), st.floats(100, 400)),
            "rebates": st.tuples(st.floats(0, .004), st.floats(0, .004)),
            "means": st.tuples(st.floats(600, 1000), st.floats(600, 1000)),
            "penalties": st.tuples(st.floats(.015, .03), st.floats(.018, .03)), "impact": st.sampled_from([0, .0005])}


@settings(max_examples=60)
@given(problem=st.builds(any_two, **pairs_of), nudges=st.lists(st.floats(-100, 100), min_size=3, max_size=3))
def test_neighbours_of_the_overbooked_optimum_cost_more(problem, nudges):
    """On common random numbers: equally likely outflows. 400 of each exchange know a cost to some 1e-5 of it."""
    asked, outflows = problem
    found, rows = place_overbooked(asked, outflows), independent(outflows, 400)
    assume(found is not None)
    market, *limits = np.maximum(np.array([found.market, *found.limits]) + nudges, 0)
    best, other = (asked.cost(one, rows).mean() for one in (found, Placement(market, tuple(limits))))
    assert best <= other + 1e-3 * asked.underfill


def test_exchanges_that_are_alike_get_alike():
    """With equal means an integral has another form, which the general one comes close to."""
    alike = PlacementProblem(1000, (300, 300), (.002, .002), .005, .003, .026, .024)
    found, nearly = (place_overbooked(alike, [ExponentialOutflow(800), ExponentialOutflow(800 * more)])
                     for more in (1, 1 + 1e-7))
    assert found.limits[0] == pytest.approx(found.limits[1], rel=1e-6)
    assert (found.market, *found.limits) == pytest.approx((nearly.market, *nearly.limits), rel=1e-5)


def test_where_overbooking_does_not_pay_the_conditions_do_not_hold():
    assert place_overbooked(replace(TWO, queues=(1e5, 1e5)), TWO_OUTFLOWS) is None
    # one order would be all that is left, but for rounding: a root of the equations that is no optimum
    asked, outflows = any_two((448, 17), (.0014, .0031), (394, 760), (.0124, .0252), .0005)
    assert place_overbooked(asked, outflows) is None


def problem_of(quantity, exchanges, half_spread, fee, underfill, impact):
    queues, rebates, means = zip(*exchanges, strict=True)
    return (PlacementProblem(quantity, queues, rebates, half_spread, fee, underfill, 1.0, impact),
            [ExponentialOutflow(mean) for mean in means])


problems = st.builds(
    problem_of,
    st.floats(1, 5000), st.lists(st.tuples(st.floats(0, 2000), st.floats(-.003, .003), st.floats(50, 3000)),
                                 min_size=1, max_size=4),
    st.floats(.004, .01), st.floats(-.002, .004), st.floats(.005, .1), st.floats(0, .002))


@given(problem=problems, nudges=st.lists(st.floats(-1, 1), min_size=5, max_size=5))
def test_no_neighbour_that_cannot_be_overfilled_costs_less(problem, nudges):
    asked, outflows = problem
    found = place(asked, outflows)
    assert found.total <= asked.quantity * (1 + 1e-12) and min(found.market, *found.limits) >= 0
    moved = np.array([found.market, *found.limits]) + asked.quantity * np.array(nudges[:len(outflows) + 1])
    other = capped(moved, asked.quantity)
    best, cost = (asked.expected_cost(one, outflows) for one in (
        found, Placement(float(other[0]), tuple(map(float, other[1:])))))
    assert best <= cost + 1e-9 * asked.quantity * asked.underfill


@given(problem=problems, more=st.floats(1.01, 5))
def test_urgency_sends_more_to_the_market(problem, more):
    asked, outflows = problem
    patient, urgent = (place(replace(asked, underfill=penalty), outflows) for penalty in (
        asked.underfill, asked.underfill * more))
    assert urgent.market >= patient.market - 1e-9 * asked.quantity


@given(problem=problems)
def test_expected_cost_is_the_mean_of_the_cost(problem):
    asked, outflows = problem
    found, places = place(asked, outflows), (np.arange(20_000) + 0.5) / 20_000
    # how outflows go together does not matter: here all are large at once
    rows = np.stack([-one.mean * np.log(places) for one in outflows], axis=-1)
    exact = asked.expected_cost(found, outflows)
    assert asked.cost(found, rows).mean() == pytest.approx(exact, abs=1e-4 * asked.quantity * asked.underfill)


@pytest.mark.parametrize(("overbook", "exact"), [(False, place), (True, place_overbooked)])
def test_learning_from_samples_finds_the_same(overbook, exact):
    """Within three standard errors over runs that do not depend on each other; the cost is off by second order only."""
    best, found = exact(TWO, TWO_OUTFLOWS), []
    for seed in range(12):
        rows = np.random.default_rng(seed).exponential([one.mean for one in TWO_OUTFLOWS], (8_000, 2))
        learnt = learn_placement(TWO, rows, overbook)
        assert overbook or learnt.total <= 1000 * (1 + 1e-12)
        assert TWO.cost(learnt, GRID[::40]).mean() == pytest.approx(TWO.cost(best, GRID[::40]).mean(), rel=2e-2)
        found.append((learnt.market, *learnt.limits))
    error = np.std(found, axis=0, ddof=1) / math.sqrt(len(found))
    print(np.mean(found, axis=0), error, best)
    assert (np.abs(np.mean(found, axis=0) - (best.market, *best.limits)) < 3 * error).all()


@given(rows=st.lists(st.lists(st.floats(0, 1e4), min_size=2, max_size=2), min_size=1, max_size=60))
def test_whatever_was_seen_no_more_than_the_quantity_is_sent(rows):
    found = learn_placement(TWO, np.array(rows))
    assert found.total <= 1000 * (1 + 1e-12) and min(found.market, *found.limits) >= 0


@given(point=st.lists(st.floats(-100, 100), min_size=1, max_size=6), other=st.lists(st.integers(0, 100), min_size=6),
       most=st.floats(0.1, 100))
def test_the_nearest_point_is_one(point, other, most):
    """No other allowed point is nearer."""
    point, other = np.array(point), np.array(other[:len(point)], float)
    other *= min(1, most / other.sum()) if other.sum() > 0 else 1
    found = capped(point, most)
    assert (found >= 0).all() and found.sum() <= most * (1 + 1e-12) + 1e-12
    assert np.linalg.norm(found - point) <= np.linalg.norm(other - point) + 1e-9


def test_passive_fill_probability():
    """Of the first unit behind 500, where 1200 leave on average."""
    assert ExponentialOutflow(1200).exceeds(500) == pytest.approx(.65924, abs=5e-6)
    assert ExponentialOutflow(1200).exceeds(500 + 200) == pytest.approx(math.exp(-700 / 1200), rel=1e-12)


@given(fill=st.floats(0, 1), numbers=st.lists(st.floats(-.1, .1), min_size=5, max_size=5))
def test_post_or_take(fill, numbers):
    """By the rule as it is written: what posting brings against what taking costs."""
    half_spread, rebate, fee, adverse, chase = numbers
    posting = (half_spread + rebate) * fill - adverse * fill - chase * (1 - fill)
    taking = -(half_spread + fee)
    found = advantage_of_posting(fill, half_spread, rebate, fee, adverse, chase)
    assert found == pytest.approx(posting - taking, rel=1e-9, abs=1e-15)


def test_posting_pays_where_the_queue_is_short_and_taking_where_it_is_long():
    outflow = ExponentialOutflow(1200)
    found = [advantage_of_posting(outflow.exceeds(queue), .005, .002, .003, .004, .025) for queue in (500, 3000)]
    assert found[0] > 0 > found[1]


@pytest.mark.parametrize(("changes", "told"), [
    ({"quantity": 0}, "quantity 0"), ({"queues": (-1, 0)}, "queues: -1"), ({"rebates": (0,)}, "rebates: 1 for 2"),
    ({"underfill": -1}, "underfill -1"), ({"fee": math.nan}, "rebates and fee: nan"),
    ({"overfill": .008}, "overfill 0.008: expected more than half_spread and the largest rebate, 0.008")])
def test_what_is_no_problem_is_named(changes, told):
    with pytest.raises(ValueError, match=told):
        replace(TWO, **changes)


def test_what_fits_no_problem_is_named():
    with pytest.raises(ValueError, match="mean 0"):
        ExponentialOutflow(0)
    with pytest.raises(ValueError, match="outflows: 1 for 2 queues"):
        place(TWO, ONE_OUTFLOW)
    with pytest.raises(ValueError, match="expected two of each"):
        place_overbooked(ONE, ONE_OUTFLOW)
    with pytest.raises(ValueError, match=r"expected \(samples, 2\)"):
        learn_placement(TWO, np.ones((5, 3)))
    with pytest.raises(ValueError, match="none negative"):
        learn_placement(TWO, -np.ones((5, 2)))
    with pytest.raises(ValueError, match="fill 2"):
        advantage_of_posting(2, 0, 0, 0, 0, 0)
    assert TWO.expected_cost(Placement(600, (600, 0)), TWO_OUTFLOWS) is None
