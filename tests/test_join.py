"""Join, wait, cross: the arithmetic against slow twins, and what the exchange sees of it."""
import math
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderflow._core.algos.placing import placed
from orderflow._core.algos.queue import Outflow, QueuePlace, least_chance, natural_logarithm
from orderflow._core.types import Side
from orderflow.placement import ExponentialOutflow, Placement, PlacementProblem, place
from orderflow.research.replay import replay
from orderflow.research.simulation import INSTRUMENT
from tests.doubtful import EXCHANGES
from tests.quiet import Quiet, quiet_worlds
from tests.three_exchanges import engines

UNIT = 2**20
SECOND_NS = 10**9


@pytest.fixture
def make():
    yield from quiet_worlds()


# --- the arithmetic ------------------------------------------------------------------------------------------------


@given(st.integers(2**32, 2**63))
def test_the_logarithm(ratio):
    assert abs(natural_logarithm(ratio) / UNIT - math.log(ratio / 2**32)) < 3e-6


@given(urgency=st.integers(1, 99), cost=st.integers(1, 10**12), usual=st.integers(1, 10**12))
def test_the_least_chance(urgency, cost, usual):
    """P / (P + S), with P = usual u / (100 - u): urgency is per cent at the usual cost."""
    penalty = usual * urgency / (100 - urgency)
    if cost / penalty < 10**6:
        assert least_chance(urgency, cost, usual) / UNIT == pytest.approx(-math.log(penalty / (penalty + cost)),
                                                                          abs=4e-6)


def test_the_ends_of_urgency():
    assert least_chance(100, 5, 5) == -1 and least_chance(50, 0, 5) == 0
    assert [round(100 * math.exp(-least_chance(u, 7, 7) / UNIT)) for u in (1, 30, 50, 99)] == [1, 30, 50, 99]
    assert math.exp(-least_chance(0, 7, 7) / UNIT) == pytest.approx(0.001, rel=1e-5)


def watched(left, seconds):
    """An outflow of which so much was seen."""
    flow = Outflow(Side.BUY)
    flow.watch(100, left, elapsed_ns=0)
    flow.watch(100, 0, elapsed_ns=int(seconds * SECOND_NS))
    return flow


def test_what_leaves_in_time_is_what_left_before():
    flow = watched(50, 10)
    assert flow.mean(30 * SECOND_NS) == 150 and flow.mean(0) == flow.mean(-1) == 0
    assert watched(50, 1.9).mean(SECOND_NS) is None


QUEUES = st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(-40, 20)), min_size=1, max_size=5)


@settings(max_examples=300)
@given(quantity=st.integers(1, 10**6), queues=QUEUES, half_spread=st.integers(1, 50), fee=st.integers(0, 20),
       penalty=st.integers(1, 10**4))
def test_no_placement_costs_less(quantity, queues, half_spread, fee, penalty):
    """Against the general solver of orderflow.placement, in floating point: all queues at once."""
    problem = PlacementProblem(quantity, tuple(float(ahead) for ahead, _, _ in queues),
                               tuple(float(rebate) for _, _, rebate in queues), half_spread, fee,
                               half_spread + fee + penalty, 10**6)
    outflows = [ExponentialOutflow(mean) for _, mean, _ in queues]
    worths = [least_chance(50, 2 * half_spread + fee + rebate, penalty) for _, _, rebate in queues]
    market, limits = placed(quantity, [(ahead, mean, worth) for (ahead, mean, _), worth
                                       in zip(queues, worths, strict=True)])
    assert market + sum(limits) == quantity and min(market, *limits) >= 0
    best = place(problem, outflows)
    ours = problem.expected_cost(Placement(market, tuple(map(float, limits))), outflows)
    # Whole units, and logarithms in 2^-20: an order is off by `off` at most, where the marginal cost is zero and
    # changes by (penalty + saved) / mean a unit at most.
    slack = 0.0
    for _, mean, rebate in queues:
        off = len(queues) + mean * 2**-18
        slack += max(penalty + 2 * half_spread + fee + rebate, 0) / mean * off**2
    assert ours <= problem.expected_cost(best, outflows) + slack + 1e-6 * quantity


def test_the_worked_example_of_two_queues():
    """MATHEMATICS 4.1 gives it with overbooking; within the quantity the same condition holds on both."""
    mean, ahead, cost, penalty = (900, 700), (300, 200), (0.015, 0.016), 0.018
    worth = [round(math.log(1 + one / penalty) * UNIT) for one in cost]
    market, limits = placed(1000, list(zip(ahead, mean, worth, strict=True)))
    chances = [(penalty + one) * math.exp(-(before + limit) / size)
               for one, before, limit, size in zip(cost, ahead, limits, mean, strict=True)]
    assert market == 1000 - sum(limits) and all(limits) and chances == pytest.approx([penalty] * 2, rel=2e-3)


def test_where_nobody_knows_it_waits_there_first_and_where_it_never_crosses_it_waits_somewhere():
    assert placed(10, [(5, 1, UNIT), (3, None, UNIT), (3, None, UNIT)]) == (0, [0, 10, 0])
    assert placed(10, [(5, 1, UNIT), (2, 1, UNIT)]) == (10, [0, 0])
    assert placed(10, [(5, 1, UNIT), (2, 1, UNIT)], crosses=False) == (0, [0, 10])
    assert placed(10, []) == (10, []) and placed(10, [], crosses=False) == (10, [])


LEVELS = st.lists(st.tuples(st.integers(98, 102), st.integers(1, 50), st.integers(0, 30), st.integers(0, 3)),
                  min_size=2, max_size=30)


@given(side=st.sampled_from([Side.BUY, Side.SELL]), levels=LEVELS)
def test_outflow_is_what_is_defined(side, levels):
    flow, before, left = Outflow(side), None, 0
    sign = 1 if side == Side.BUY else -1
    for price, quantity, traded, own in levels:
        own = min(own, quantity)
        flow.watch(price, quantity, own, traded, SECOND_NS)
        if before is not None:
            if price == before[0]:
                gone = before[1] - quantity if own == before[2] else 0
            else:
                gone = before[1] - before[2] if sign * price < sign * before[0] else 0
            left += max(gone, traded, 0)
        before = price, quantity, own
    assert flow.left == left and flow.seen_ns == (len(levels) - 1) * SECOND_NS


def test_outflow_forgets():
    """Two periods of a minute are remembered."""
    flow = Outflow(Side.BUY)
    for second in range(300):
        flow.watch(100, 10, traded=100 if second < 100 else 1, elapsed_ns=SECOND_NS)
    assert 60 * SECOND_NS <= flow.seen_ns <= 120 * SECOND_NS and flow.left == flow.seen_ns / SECOND_NS


QUEUE = st.lists(st.tuples(st.sampled_from(["join", "trade", "cancel"]), st.integers(0, 99), st.integers(1, 9)),
                 max_size=60)


@given(before=st.lists(st.integers(1, 20), max_size=8), steps=QUEUE)
def test_the_place_is_never_better_than_it_is(before, steps):
    """Against a queue that knows its order: first come, first served, and anybody may cancel."""
    others = [[size, True] for size in before]          # size, whether ahead of us; ours is between
    known, traded = QueuePlace(), 0
    known.stand(1, 100, sum(size for size, _ in others), traded)
    for what, where, size in steps:
        if what == "join":
            others.append([size, False])
        elif what == "cancel" and others:
            others.pop(where % len(others))
        elif what == "trade":
            most = sum(one for one, ahead in others if ahead)
            size = min(size, most)                       # what goes further fills us
            traded += size
            for one in others:
                taken = min(size, one[0])
                one[0] -= taken
                size -= taken
            others = [one for one in others if one[0]]
        known.stand(1, 100, sum(one for one, _ in others), traded)
        assert known.ahead >= sum(one for one, ahead in others if ahead)
        assert known.ahead <= sum(before)


# --- what the exchange sees ----------------------------------------------------------------------------------------


def joins(world, quantity="1", seconds=30, **more):
    return world.engine.submit(INSTRUMENT, "buy", quantity, algorithm="join", seconds=seconds, **more)


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize(("urgency", "crosses"), [(0, False), (50, True)])
def test_where_nobody_leaves_the_queue_it_crosses_unless_it_only_posts(make, name, urgency, crosses):
    world = make(name)
    best, ask = world.stand(quantity="3")
    world.run(3)
    parent = joins(world, urgency=urgency)
    world.run(8)
    state = world.engine.parent(parent)
    if crosses:
        assert (state.reason, state.filled, state.average_price) == ("OK", 1, world.price(ask))
    else:
        assert state.filled == 0 and world.only.price == best
    assert world.position() == world.held()


@pytest.mark.parametrize("name", EXCHANGES)
def test_urgency_100_only_takes(make, name):
    world = make(name)
    _, ask = world.stand(quantity="3")
    parent = joins(world, urgency=100)
    state = world.engine.wait(parent, 2)
    assert state.filled == 1 and state.average_price == world.price(ask) and world.cancels == 0 and world.placed == 1


@pytest.mark.parametrize("name", EXCHANGES)
def test_it_crosses_when_its_chance_is_too_small_and_not_before(make, name):
    """A tenth comes and goes at the best twice a second, and one is ahead: so 0.2 t ln 2 - 1 is worth waiting with in t
    seconds. An order of one is a quarter too large for that 12.6 seconds before the end, half too large 10.8 seconds
    before, and not even its first unit waits in the last 7.2 seconds."""
    world = make(name)
    best, ask = world.stand()
    world.ask(6, "5")
    first, last, parent, begun = None, None, None, None
    for step in range(100):
        if step == 20:
            parent = joins(world, seconds=30)
            begun = world.engine.now_ns
        number = world.quote(Side.BUY, best, "0.1")
        world.run(0.25)
        world.leave(number)
        world.run(0.25)
        if parent:
            filled, passed = world.engine.parent(parent).filled, (world.engine.now_ns - begun) / SECOND_NS
            first = passed if filled and first is None else first
            last = passed if filled == 1 and last is None else last
            assert world.held() + world.leaves() <= 1
    worth = 0.75 if world.amends else 0.5
    assert first == pytest.approx(30 - (1 + worth) / (0.2 * math.log(2)), abs=2)
    assert first < last <= 30 - 1 / (0.2 * math.log(2)) + 2
    assert world.engine.parent(parent).average_price == world.price(ask)


@pytest.mark.parametrize("name", EXCHANGES)
def test_it_waits_where_its_turn_comes_and_follows_the_best(make, name):
    world = make(name)
    best, _ = world.stand()
    for _ in range(10):
        number = world.quote(Side.BUY, best, "5")
        world.run(0.25)
        world.leave(number)
        world.run(0.25)
    parent = joins(world, urgency=30)
    world.run(1)
    _, better = world.bid(-3)
    world.run(2)
    assert world.only.price == better
    world.sell(better, "1")
    state = world.engine.wait(parent, 5)
    assert (state.filled, state.average_price) == (1, world.price(better)) and world.position() == world.held() == 1


@pytest.mark.parametrize("name", EXCHANGES)
def test_what_only_posts_may_still_have_to_complete(make, name):
    world = make(name)
    _, ask = world.stand(quantity="3")
    parent = joins(world, seconds=12, urgency=0, must_complete=True)
    world.run(8)
    assert world.engine.parent(parent).filled == 0
    world.run(6)
    assert world.engine.parent(parent).average_price == world.price(ask)


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(EXCHANGES), urgency=st.integers(0, 100), steps=st.lists(st.tuples(
    st.sampled_from(["bid", "ask", "leave", "sell", "mute", "heard", "pause", "resume"]), st.integers(1, 6),
    st.floats(0.01, 1)), max_size=12))
def test_whatever_happens_no_more_is_filled_than_asked_for(name, urgency, steps):
    """Fills race with the cancel before it crosses."""
    world = Quiet(name)
    try:
        world.stand(quantity="3")
        numbers = []
        parent = joins(world, "2", seconds=8, urgency=urgency, must_complete=True)
        world.run(0.01, lambda: world.engine.parent(parent) is not None)
        for what, where, seconds in steps:
            if what == "bid":
                numbers.append(world.bid(-where, "0.7")[0])
            elif what == "ask":
                numbers.append(world.ask(where, "0.7")[0])
            elif what == "leave" and numbers:
                world.leave(numbers.pop())
            elif what == "sell" and world.resting():
                world.sell(world.resting()[0].price, "0.6")
            elif what in ("pause", "resume") and not world.engine.parent(parent).done:
                {"pause": world.engine.pause_parent, "resume": world.engine.resume_parent}[what](parent)
            elif what in ("mute", "heard"):
                world.mute = what == "mute"
            world.run(seconds)
            assert world.held() + world.leaves() <= 2
        world.comes_clear(parent, Decimal(2))
    finally:
        world.engine.stop()


@pytest.mark.parametrize(("arguments", "complaint"), [
    ({"algorithm": "join"}, "seconds None: join weighs its chance"),
    ({"algorithm": "join", "seconds": 5, "urgency": 101}, "urgency 101: expected 0"),
    ({"algorithm": "sweep", "urgency": 5}, "urgency 5: the algorithm sweep does not weigh")])
def test_what_makes_no_sense_is_refused(make, arguments, complaint):
    world = make("gamma")
    with pytest.raises(ValueError, match=complaint):
        world.engine.submit(INSTRUMENT, "buy", "1", **arguments)


def test_it_is_replayed_to_the_same_orders(tmp_path):
    """On three exchanges in motion: what is learned of their queues too."""
    made = engines()
    engine = next(made)(directory=tmp_path / "run", record=True)
    engine.run(5)
    parents = [engine.submit(INSTRUMENT, side, "3", algorithm="join", seconds=15, urgency=urgency)
               for side, urgency in (("buy", 80), ("sell", 50), ("buy", 20))]
    for parent in parents:
        assert engine.wait(parent, 20).done
    list(made)
    found = replay(tmp_path / "run")
    assert found.equal and found.orders > 3, found.difference
