"""Join, wait, cross: the arithmetic against slow twins, and what the exchange sees of it."""
import math
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderflow._core.algos.queue import Outflow, QueuePlace, least_chance, natural_logarithm
from orderflow._core.types import Side
from orderflow.placement import ExponentialOutflow, PlacementProblem, place
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
    assert least_chance(0, 5, 5) is None and least_chance(100, 5, 5) == -1
    assert [round(100 * math.exp(-least_chance(u, 7, 7) / UNIT)) for u in (1, 30, 50, 99)] == [1, 30, 50, 99]


def watched(left, seconds):
    """An outflow of which so much was seen."""
    flow = Outflow(Side.BUY)
    flow.watch(100, left, elapsed_ns=0)
    flow.watch(100, 0, elapsed_ns=int(seconds * SECOND_NS))
    return flow


@settings(max_examples=200)
@given(ahead=st.integers(0, 10**6), size=st.integers(1, 10**6), rate=st.integers(1, 10**5), left=st.integers(1, 600),
       half_spread=st.integers(1, 50), fee=st.integers(0, 20), rebate=st.integers(-10, 10), urgency=st.integers(1, 99))
def test_it_waits_exactly_while_the_whole_order_is_the_best_placement(ahead, size, rate, left, half_spread, fee, rebate,
                                                                      urgency):
    """By orderflow.placement: nothing at market is best while the last unit is worth its place."""
    saved = 2 * half_spread + fee + rebate
    if saved <= 0:
        return
    penalty = saved * urgency / (100 - urgency)
    problem = PlacementProblem(size, (ahead,), (rebate,), half_spread, fee, half_spread + fee + penalty, 10**6)
    best = place(problem, [ExponentialOutflow(rate * left)])
    lead_ns = watched(rate * 50, 50).gives_up_ns(ahead + size, least_chance(urgency, saved, saved))
    if abs(lead_ns / SECOND_NS - left) > 1e-4 * left:
        assert (left * SECOND_NS <= lead_ns) == (best.market > 1e-9 * size)


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
    """A tenth comes and goes at the best twice a second: with one ahead and one of ours, the chance in t seconds is
    exp(-2 / (0.2 t)), which falls below a half 14.4 seconds before the end."""
    world = make(name)
    best, ask = world.stand()
    world.ask(6, "5")
    crossed, parent = None, None
    for step in range(100):
        if step == 20:
            parent = joins(world, seconds=30)
            begun = world.engine.now_ns
        number = world.quote(Side.BUY, best, "0.1")
        world.run(0.25)
        world.leave(number)
        world.run(0.25)
        if parent and crossed is None and world.engine.parent(parent).filled:
            crossed = (world.engine.now_ns - begun) / SECOND_NS
    assert crossed == pytest.approx(30 - 2 / (0.2 * math.log(2)), abs=2)
    assert world.engine.parent(parent).average_price == world.price(ask) and world.cancels == 1


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


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
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
        world.mute = False
        world.run(120, lambda: world.engine.parent(parent).status == "PARENT_DONE")
        assert world.engine.parent(parent).filled == world.held() == world.position() <= Decimal(2)
        assert world.resting() == [] and world.engine.orders.audit() == []
        assert world.engine.router.counts["faults"] == 0
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
