"""What joins the queues of several exchanges at once: how much goes where, what becomes of it, and slices that wait."""
import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderflow._core.types import Algorithm, ExecType, OrderFlag, Reason, Side, Tactic, TimeInForce
from orderflow.research.replay import replay
from orderflow.research.simulation import INSTRUMENT
from tests.deciding import Deciding, listing
from tests.doubtful import EXCHANGES
from tests.quiet import Quiet, quiet_worlds
from tests.three_exchanges import engines

SECOND_NS = 10**9
FEES = (0.0002, 0.0004, 0.0001), (0.0010, 0.0008, 0.0009)           # makers', takers'
PLAIN = tuple(listing(name, 0, 0, maker_fee=str(maker), taker_fee=str(taker))
              for name, maker, taker in zip(("alpha", "beta", "gamma"), *FEES, strict=True))
BID, ASK = 10_000, 10_010


@pytest.fixture
def desk(tmp_path):
    with Deciding(tmp_path, PLAIN) as made:
        yield made


@pytest.fixture
def make():
    yield from quiet_worlds()


def known(desk, queues, left, seconds=10):
    """Books whose best bids were seen for so long; `left` went away in that time, and as much came back."""
    for index, (ahead, gone) in enumerate(zip(queues, left, strict=True)):
        desk.show(index, [(BID, ahead + gone), (BID - 1, 50)], [(ASK, 10**6)])
    desk.now_ns += seconds * SECOND_NS
    for index, ahead in enumerate(queues):
        desk.show(index, [(BID, ahead), (BID - 1, 50)], [(ASK, 10**6)])


def joins(desk, quantity, seconds, urgency, side=Side.BUY, **more):
    begin = desk.now_ns + 10**6
    return desk.submit(side, quantity, algorithm=Algorithm.JOIN, start_ns=begin, end_ns=begin + seconds * SECOND_NS,
                       urgency=urgency, **more)


def wanted(quantity, queues, left, seconds, urgency, seen=10.003):
    """By the condition of an optimum, solved slowly: what each queue gets."""
    saved = [min(ASK * (1 + taker) for taker in FEES[1]) - BID * (1 + maker) for maker in FEES[0]]
    usual = min(ASK - BID + ASK * (taker - maker) for maker, taker in zip(*FEES, strict=True))
    penalty = usual * urgency / (100 - urgency)
    means = [gone / seen * seconds for gone in left]

    def sizes(value):       # of a unit in every queue, expected
        return [max(0.0, mean * math.log((penalty + more) / value) - ahead)
                for mean, more, ahead in zip(means, saved, queues, strict=True)]
    low, high = penalty, penalty + max(saved)
    if sum(sizes(low)) <= quantity:
        return sizes(low)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(sizes(middle)) > quantity else (low, middle)
    return sizes(high)


CASES = [
    (1000, (300, 200, 100), (500, 500, 100), 30, 50),       # all fits: the queues are worth as much as each other
    (5000, (300, 200, 100), (500, 500, 100), 30, 50),       # more than that is worth: the rest goes to the market
    (1000, (300, 2000, 100), (900, 500, 10), 10, 30),       # two of the queues are not worth joining
    (1000, (300, 200, 100), (5000, 5000, 5000), 60, 90),
]


@pytest.mark.parametrize(("quantity", "queues", "left", "seconds", "urgency"), CASES)
def test_each_queue_gets_what_it_is_worth_and_the_market_the_rest(desk, quantity, queues, left, seconds, urgency):
    known(desk, queues, left)
    sent = joins(desk, quantity, seconds, urgency)
    posted = {int(one["listing"]): int(one["quantity"]) for one in sent if one["time_in_force"] == TimeInForce.GTC}
    taken = sum(int(one["quantity"]) for one in sent if one["time_in_force"] == TimeInForce.IOC)
    assert all(int(one["price"]) == BID for one in sent if one["time_in_force"] == TimeInForce.GTC)
    assert sum(posted.values()) + taken == quantity
    expected = wanted(quantity, queues, left, seconds, urgency)
    for index, size in enumerate(expected):     # whole lots, of which the rest goes to one; logarithms in 2^-20
        assert posted.get(index, 0) == pytest.approx(size, abs=4, rel=0)
    assert desk.engine.orders.audit() == []


def test_a_seller_stands_on_the_other_side(desk):
    for index in range(3):
        desk.show(index, [(BID, 10**6)], [(ASK, 900), (ASK + 1, 50)])
    desk.now_ns += 10 * SECOND_NS
    for index in range(3):
        desk.show(index, [(BID, 10**6)], [(ASK, 100), (ASK + 1, 50)])
    sent = joins(desk, 1000, 60, 50, side=Side.SELL)
    assert {int(one["price"]) for one in sent} == {ASK} and sum(int(one["quantity"]) for one in sent) == 1000
    assert {one["time_in_force"] for one in sent} == {TimeInForce.GTC} and len(sent) == 3


@pytest.mark.parametrize("urgency", [0, 50])
def test_before_anything_was_seen_it_waits_where_makers_pay_least(desk, urgency):
    for index in range(3):
        desk.show(index, [(BID, 5)], [(ASK, 10**6)])
    order, = joins(desk, 1000, 30, urgency)
    assert (int(order["listing"]), int(order["quantity"]), order["time_in_force"]) == (2, 1000, TimeInForce.GTC)


def test_what_never_crosses_waits_although_nothing_leaves(desk):
    known(desk, (300, 200, 100), (0, 0, 0))
    order, = joins(desk, 1000, 30, 0)
    assert int(order["quantity"]) == 1000 and order["time_in_force"] == TimeInForce.GTC
    assert all(one["time_in_force"] == TimeInForce.IOC for one in joins(desk, 1000, 30, 1))


def test_an_exchange_that_refuses_gets_no_more_of_it(desk):
    known(desk, (300, 200, 100), (500, 500, 500))
    sent = joins(desk, 4000, 60, 50)
    assert [one["time_in_force"] for one in sent] == [TimeInForce.GTC] * 3
    again = desk.report(sent[0], ExecType.REPORT_REJECTED)
    desk.now_ns += SECOND_NS                                # its book shows for certain what is ours
    for index in (0, 1):
        again += desk.show(index, [(BID, 300), (BID - 1, 50)], [(ASK, 10**6)])
    assert again and all(one["listing"] != 0 or one["time_in_force"] == TimeInForce.IOC for one in again)


def test_what_came_too_late_to_be_post_only_is_placed_again_when_its_book_is_clear(desk):
    """For half a second nobody knows whether the book shows an order that was on its way."""
    known(desk, (300, 200, 100), (500, 500, 500))
    order, = joins(desk, 500, 60, 50, allowed=0b001, flags=OrderFlag.POST_ONLY)
    assert desk.report(order, ExecType.REPORT_REJECTED, Reason.POST_ONLY_WOULD_TAKE) == []
    book = [(BID, 300), (BID - 1, 50)], [(ASK, 10**6)]
    assert desk.show(0, *book) == []
    desk.now_ns += SECOND_NS
    again, = desk.show(0, *book)
    assert (again["quantity"], again["price"], again["time_in_force"]) == (500, BID, TimeInForce.GTC)


def test_the_policy_single_keeps_to_one_exchange(tmp_path):
    with Deciding(tmp_path, PLAIN, policy="single") as desk:
        known(desk, (300, 200, 100), (500, 500, 100))
        sent = joins(desk, 5000, 30, 50)
        assert len({int(one["listing"]) for one in sent}) == 1 and len(sent) == 2


def test_nobody_is_shown_more_than_its_display(desk):
    known(desk, (300, 200, 100), (500, 500, 500))
    sent = joins(desk, 4000, 60, 50, display=40)
    assert [int(one["quantity"]) for one in sent] == [40, 40, 40]


def test_more_of_it_leaves_what_waits_in_its_place_and_less_of_it_does_not(desk):
    known(desk, (300, 200, 100), (500, 500, 500))
    sent = joins(desk, 3000, 60, 50)
    assert len(sent) == 3
    desk.replace(3500)
    assert desk.cancelled == [] and desk.parent(1).quantity == 3500
    desk.replace(2500)
    assert desk.cancelled == [int(one["client_order_id"]) for one in sent]
    for one in list(desk.out.values()):
        desk.report(one, ExecType.REPORT_CANCELED)
    assert desk.parent(1).quantity == 2500 and desk.engine.orders.audit() == []


@pytest.mark.parametrize("name", EXCHANGES)
def test_its_last_looks_come_close_to_its_end(make, name):
    """What left the queue before leaves it no more, and no book changes: it crosses all the same, a quarter of a second
    before its end, where half of it would not have been filled in time."""
    world = make(name)
    best, ask = world.stand(quantity="0.01")
    for _ in range(40):
        number = world.quote(Side.BUY, best, "0.1")
        world.run(0.25)
        world.leave(number)
        world.run(0.25)
    parent = world.engine.submit(INSTRUMENT, "buy", "0.05", algorithm="join", seconds=30)
    world.run(29)
    assert world.engine.parent(parent).filled == 0 and world.only.price == best
    state = world.engine.wait(parent, 2)
    assert (state.reason, state.filled) == ("OK", Decimal("0.05")) and state.average_price > world.price(best)


LOTS = (PLAIN[0], replace(PLAIN[1], lot=Decimal(7), minimum_quantity=Decimal(70)),
        replace(PLAIN[2], minimum_notional=Decimal(10**6)))


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(quantity=st.integers(1, 3000), queues=st.tuples(*[st.integers(0, 2000)] * 3),
       left=st.tuples(*[st.integers(0, 3000)] * 3), urgency=st.integers(0, 100), seconds=st.integers(1, 60))
def test_all_of_it_is_somewhere_and_every_order_is_one_that_its_exchange_takes(tmp_path_factory, quantity, queues, left,
                                                                               urgency, seconds):
    with Deciding(tmp_path_factory.mktemp("posting"), LOTS) as desk:
        known(desk, [ahead + 1 for ahead in queues], left)
        sent = joins(desk, quantity, seconds, urgency)
        for one in sent:
            place = LOTS[int(one["listing"])]
            assert int(one["quantity"]) % int(place.lot) == 0
            assert int(one["quantity"]) >= (place.minimum_quantity or 0)
            assert int(one["quantity"]) * int(one["price"]) >= (place.minimum_notional or 0)
        assert sum(int(one["quantity"]) for one in sent) == quantity    # alpha takes any


# --- slices that wait ------------------------------------------------------------------------------------------------


def slices(world, quantity="1", seconds=20, count=4, **more):
    return world.engine.submit(INSTRUMENT, "buy", quantity, algorithm="twap", seconds=seconds, slices=count,
                               tactic="join", **more)


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_slice_waits_in_the_book_and_crosses_when_the_next_one_begins(make, name):
    world = make(name)
    best, ask = world.stand(quantity="5")
    parent = slices(world, urgency=0)
    for number in range(4):
        world.run(0.5)
        assert sum(order.price == best for order in world.resting()) >= 1 and world.leaves() == Decimal("0.25")
        world.run(4.5)
        assert world.engine.parent(parent).filled >= number * Decimal("0.25")      # within a slice of its schedule
    state = world.engine.wait(parent, 2)
    assert (state.filled, state.reason, state.average_price) == (1, "OK", world.price(ask))
    assert world.position() == world.held()


@pytest.mark.parametrize("name", EXCHANGES)
def test_what_is_filled_while_it_waits_does_not_cross(make, name):
    world = make(name)
    best, _ = world.stand(quantity="5")
    parent = slices(world, urgency=0)
    for _ in range(4):
        world.run(1)
        world.sell(best, "5.25")
        world.bid(-5, "5")
        world.run(4)
    state = world.engine.parent(parent)
    assert (state.filled, state.average_price) == (1, world.price(best)) and world.cancels == 0


def kept(engine):
    """What an order in a book was not filled of and is too small for any other."""
    return abs(sum(one.amount for one in engine.residuals()))


def test_on_moving_markets_slices_that_wait_are_exact_and_cheaper_than_slices_that_cross():
    """Three exchanges whose makers pay less than takers, and whose queues move. The same markets for both."""
    paid = {}
    for tactic in Tactic:
        made = engines()
        engine = next(made)()
        engine.run(5)
        name = tactic.name.removeprefix("TACTIC_").lower()
        state = engine.wait(engine.submit(INSTRUMENT, "buy", "4", algorithm="twap", seconds=60, slices=6, tactic=name,
                                          **({"urgency": 20} if name == "join" else {})), 70)
        assert state.filled + kept(engine) == 4 and engine.orders.audit() == []
        paid[tactic] = state.all_in_price
        list(made)
    assert paid[Tactic.TACTIC_JOIN] < paid[Tactic.TACTIC_TAKE]


@pytest.mark.parametrize("algorithm", ["vwap", "pov", "shortfall", "close", "adaptive_shortfall", "price_inline"])
def test_every_algorithm_that_is_paced_may_wait_and_is_replayed(tmp_path, algorithm):
    more = {"pov": {"participation": "0.3"}, "price_inline": {"participation": "0.3"}, "shortfall": {"half_life": 5},
            "close": {"half_life": 5}, "adaptive_shortfall": {"half_life": 5}}.get(algorithm, {})
    made = engines()
    engine = next(made)(directory=tmp_path / "run", record=True, volume_curves={INSTRUMENT: np.ones(288)})
    engine.run(5)
    parent = engine.submit(INSTRUMENT, "sell", "3", algorithm=algorithm, seconds=20, slices=5, tactic="join",
                           randomness=20, **more)
    state = engine.wait(parent, 25)
    assert state.done and engine.orders.audit() == []
    if algorithm not in ("pov", "price_inline"):
        assert state.filled + kept(engine) == 3 and kept(engine) < Decimal("0.001")
    list(made)
    found = replay(tmp_path / "run")
    assert found.equal and found.orders > 4, found.difference


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(EXCHANGES), urgency=st.integers(0, 99), steps=st.lists(st.tuples(
    st.sampled_from(["bid", "ask", "sell", "mute", "heard", "pause", "resume", "more", "less"]), st.integers(1, 6),
    st.floats(0.01, 2)), max_size=12))
def test_whatever_happens_no_more_is_filled_than_asked_for(name, urgency, steps):
    world = Quiet(name)
    try:
        world.stand(quantity="3")
        parent, most = slices(world, "2", seconds=10, urgency=urgency), Decimal(2)
        world.run(0.01, lambda: world.engine.parent(parent) is not None)
        for what, where, seconds in steps:
            if what == "bid":
                world.bid(-where, "0.7")
            elif what == "ask":
                world.ask(where, "0.7")
            elif what == "sell" and world.resting():
                world.sell(world.resting()[0].price, "0.3")
            elif what in ("pause", "resume") and not world.engine.parent(parent).done:
                {"pause": world.engine.pause_parent, "resume": world.engine.resume_parent}[what](parent)
            elif what in ("more", "less") and not world.engine.parent(parent).done:
                world.engine.replace(parent, quantity="2.5" if what == "more" else "1.5")
                most = Decimal("2.5")
            elif what in ("mute", "heard"):
                world.mute = what == "mute"
            world.run(seconds)
            assert world.held() + world.leaves() <= most
        world.comes_clear(parent, most)
    finally:
        world.engine.stop()


@pytest.mark.parametrize(("arguments", "complaint"), [
    ({"tactic": "join"}, "tactic 'join': the algorithm immediate has no slices"),
    ({"algorithm": "minimal_impact", "seconds": 5, "tactic": "join"}, "the algorithm minimal_impact has no slices"),
    ({"algorithm": "twap", "seconds": 5, "tactic": "wait"}, "tactic 'wait': expected one of take, join"),
    ({"algorithm": "twap", "seconds": 5, "urgency": 3}, "urgency 3: the algorithm twap has no schedule that bends")])
def test_what_makes_no_sense_is_refused(make, arguments, complaint):
    world = make("gamma")
    with pytest.raises(ValueError, match=complaint):
        world.engine.submit(INSTRUMENT, "buy", "1", **arguments)
