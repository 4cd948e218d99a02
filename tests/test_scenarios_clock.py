"""Failure scenario 21: the clocks of an exchange and of this machine drift apart, or one of them is set. On a virtual
clock but for the last test. What readings prove and when they are made: tests/test_exchange_clock.py.
"""
import json
from decimal import Decimal
from urllib.parse import parse_qsl

import pytest

from orderflow.research.replay import replay
from orderflow.research.simulation import INSTRUMENT, Simulation
from orderflow.simulator.exchange import Response
from orderflow.simulator.order import Ending
from orderflow.wiring import wait_until
from tests.doubtful import EXCHANGES, World
from tests.trading import resting_order

SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000
#: Its clock is read so often; a little later the answer has had its effect.
LOOK_S = 10.5
both = pytest.mark.parametrize("offset", (1.5, -1.5))
everywhere = pytest.mark.parametrize("name", EXCHANGES)


class Skewed(World):
    """A World whose exchange may be ahead of us or behind; what it is told of times is written down.

    Attributes
    ----------
    late : list of float
        Of each request that carried a time: seconds by which the exchange's clock was ahead of it.
    refused : int
        Times that it did not accept.
    """

    def __init__(self, name, clock_offset=0.0, **of_session):
        self.late, self.refused, self.orders_put = [], 0, 0
        super().__init__(name, clock_offset=clock_offset, **of_session)

    def _watch(self):
        super()._watch()
        message, http, drain = self.venue.message, self.venue.http, self.venue.drain

        def heard(number, text, now_ns):
            said = json.loads(text).get("params")
            if isinstance(said, dict):
                self._note(said.get("timestamp"), MILLISECOND_NS, now_ns)
            message(number, text, now_ns)

        def called(method, path, query, headers, body, now_ns):
            self._note(dict(parse_qsl(query)).get("timestamp"), MILLISECOND_NS, now_ns)
            self._note(dict(parse_qsl(body.decode())).get("nonce"), 1_000, now_ns)
            answer = http(method, path, query, headers, body, now_ns)
            self.refused += b"-1021" in answer.body
            return answer

        def sent():
            said = drain()
            self.refused += sum('"code":-1021' in item for _, item in said if isinstance(item, str))
            return said

        self.venue.message, self.venue.http, self.venue.drain = heard, called, sent

    def _note(self, stamp, unit_ns, now_ns):
        if stamp is not None:
            self.late.append((now_ns + self.venue.skew_ns - int(stamp) * unit_ns) / SECOND_NS)

    def set_clock(self, seconds):
        """The exchange's clock is set to so much ahead of ours."""
        self.venue.skew_ns = int(seconds * SECOND_NS)

    @property
    def clock(self):
        """What is known of it: seconds ahead, give or take."""
        status = self.engine.conversations[0].clock.status(self.engine.now_ns)
        return status["offset_ns"] / SECOND_NS, status["uncertainty_ns"] / SECOND_NS

    def knows(self, offset):
        """The true offset is within what is said of it, and that is a few milliseconds wide."""
        ahead, uncertainty = self.clock
        assert abs(ahead - offset) <= uncertainty < 0.01
        return True

    def fills(self, parent, quantity, position, within=5):
        """The parent is filled in time, once; exchange and engine agree."""
        state = self.engine.wait(parent, within)
        assert (state.status, state.filled, state.in_doubt) == ("PARENT_DONE", Decimal(quantity), 0)
        assert self.position() == Decimal(position) and self.engine.orders.audit() == []

    def rest(self):
        """A buy order of ours far below the market, put past router and risk: the exchange has accepted it."""
        number = self.engine.journal.epoch << 40 | 10**6 + self.orders_put
        self.orders_put += 1
        assert self.engine.core.orders[self.name].push(resting_order(self.engine.core, self.name, number))
        count = len(self.venue.desk.orders)
        self.run(1, lambda: len(self.venue.desk.orders) > count)
        return list(self.venue.desk.orders.values())[-1]


@pytest.fixture
def make():
    worlds = []

    def made(*arguments, **settings):
        worlds.append(Skewed(*arguments, **settings))
        return worlds[-1]
    yield made
    for world in worlds:
        world.engine.stop()


def told(world, words):
    return [problem for problem in world.problems if words in problem]


@everywhere
@both
def test_scenario_21_from_the_start_orders_and_cancels_carry_the_exchanges_time(make, name, offset):
    """Nothing is refused, not even the login, and what is asked over REST is signed with its time too."""
    world = make(name, offset)
    where = "1.500 s ahead of ours" if offset > 0 else "1.500 s behind ours"
    if name == "alpha":                     # Kraken's REST shows whole seconds: they may not prove a quarter of one
        assert told(world, f"its clock is {where}")
    world.run(1)
    assert world.knows(offset)
    order = world.rest()
    world.mute = True
    parent = world.submit()
    world.wait_doubt()
    world.mute = False
    world.agrees(parent)
    world.engine.halt(name)
    world.run(0.5, lambda: order.ending != Ending.NONE)
    assert order.ending == Ending.REQUESTED
    assert world.refused == 0 and len(world.late) > 2
    first, *others = world.late             # Kraken's token: all that was known of the time were seconds
    assert abs(first) <= (0.002 if name == "alpha" else 0.6) and max(map(abs, others)) <= 0.002


@everywhere
@both
def test_scenario_21_a_step_is_followed_at_the_next_look(make, name, offset):
    world = make(name)
    world.run(1)
    assert world.knows(0)
    world.set_clock(offset)
    world.run(LOOK_S)
    assert world.knows(offset)
    assert len(told(world, f"its clock moved by {offset:+.3f} s against ours")) == 1
    del world.late[:]
    world.fills(world.submit(), 2, 2)
    assert world.refused == 0 and world.placed == 1 and all(abs(late) <= 0.002 for late in world.late)
    world.set_clock(0)                      # and back
    world.run(LOOK_S)
    assert world.knows(0)


@pytest.mark.parametrize("offset", (-1.5, 7.0))
def test_scenario_21_a_refused_time_is_corrected_at_once(make, offset):
    """Behind by more than a second, or ahead by more than the five seconds of the window, Binance refuses an order. The
    next one carries the right time, a moment and not a timer later."""
    world = make("alpha", maximum_clock_offset_ns=60 * SECOND_NS)
    world.run(2)
    world.set_clock(offset)
    parent = world.submit()
    world.fills(parent, 2, 2, within=1)
    assert world.refused == 1 == world.statuses()["REJECTED"] and world.placed > 1
    assert world.knows(offset)


def test_scenario_21_a_cancel_whose_time_was_refused_is_repeated_with_the_right_one(make):
    """Not left until somebody notices: killed, it is gone within two seconds."""
    world = make("alpha")
    order = world.rest()
    world.run(2)
    world.set_clock(-1.5)
    world.engine.halt("alpha")
    world.run(0.5)
    assert world.refused == 1 and order.ending == Ending.NONE
    world.run(1.5, lambda: order.ending != Ending.NONE)
    assert order.ending == Ending.REQUESTED and world.refused == 1


@pytest.mark.parametrize("rest_answers", (True, False))
@pytest.mark.parametrize("offset", (-1.5, 7.0))
def test_scenario_21_a_clock_that_was_set_while_the_order_connection_was_away(make, offset, rest_answers):
    """It is read over REST before the login; where that is away too, a login that was refused is made again."""
    world = make("alpha", maximum_clock_offset_ns=60 * SECOND_NS)
    world.run(2)
    world.set_clock(offset)
    if not rest_answers:
        http = world.venue.http
        world.venue.http = lambda *asked: Response(503, {}, b"") if asked[1].endswith("/time") else http(*asked)
    conversation = world.engine.conversations[0]
    conversation.disconnected(world.orders, 1006, conversation.lines[world.orders].epoch)
    world.run(0.05)
    world.run(20, lambda: world.engine.not_ready() == [])
    assert world.engine.not_ready() == [] and world.knows(offset)
    assert world.refused == 0 if rest_answers else world.refused > 0
    world.fills(world.submit(), 2, 2)


@everywhere
@pytest.mark.parametrize("sign", (1, -1))
def test_scenario_21_beyond_the_bound_orders_only_reduce_until_it_is_near_again(make, name, sign):
    world = make(name)
    world.fills(world.submit(), 2, 2)
    resting = world.rest()
    world.set_clock(5 * sign)
    world.run(LOOK_S)
    [alert] = told(world, "more than")
    where = "ahead of" if sign > 0 else "behind"
    assert f"{name}: its clock is 5.000 s {where} ours" in alert and "timedatectl" in alert
    assert f"exchanges.{name}.maximum_clock_offset_seconds = 2; orders there may only reduce" in alert
    assert world.engine.risk.exchange_state(0).name == "REDUCING"

    placed = world.placed                   # increasing: refused, with the numbers, and nothing is sent
    parent = world.submit("3")
    world.run(2)
    state = world.engine.parent(parent)
    assert state.status == "PARENT_WORKING" and world.placed == placed
    assert state.refusal == "EXCHANGE_REDUCING: open_quantity=3, reducible_quantity=0"

    sold = world.engine.submit(INSTRUMENT, "sell", "0.5")           # reducing: passes
    world.fills(sold, "0.5", "1.5")
    over = world.engine.submit(INSTRUMENT, "sell", "4", seconds=3)  # beyond that: the part that closes the position
    world.run(2)
    assert (world.engine.parent(over).filled, world.position()) == (Decimal("1.5"), 0)
    assert world.engine.parent(over).refusal == "EXCHANGE_REDUCING: open_quantity=2.5, reducible_quantity=0"
    world.run(2)

    world.set_clock(1.5 * sign)             # within the bound is not yet near
    world.run(LOOK_S)
    assert world.engine.risk.exchange_state(0).name == "REDUCING" and world.engine.parent(parent).filled == 0
    world.set_clock(0.9 * sign)
    world.run(LOOK_S)
    assert world.engine.risk.exchange_state(0).name == "ACTIVE" and told(world, "orders there pass again")
    world.fills(parent, 3, 3)               # it waited, and goes on by itself
    assert world.refused == 0 and resting.ending == Ending.NONE


@everywhere
def test_scenario_21_cancels_pass_while_orders_only_reduce(make, name):
    world = make(name)
    order = world.rest()
    world.set_clock(5)
    world.run(LOOK_S)
    assert world.engine.risk.exchange_state(0).name == "REDUCING"
    world.engine.halt(name)
    world.run(0.5, lambda: order.ending != Ending.NONE)
    assert order.ending == Ending.REQUESTED and world.refused == 0


def test_scenario_21_the_other_exchanges_take_what_one_may_not(tmp_path):
    """Orders are not given to it and refused there again and again; and a replay comes out the same."""
    with Simulation(seed=5, server="direct", directory=str(tmp_path), record=True) as simulation:
        engine, alpha = simulation.engine, simulation._exchanges["alpha"]
        engine.wait(engine.submit(INSTRUMENT, "buy", "3", seconds=5))
        alpha.skew_ns = -5 * SECOND_NS
        engine.run(LOOK_S)
        held = engine.position(engine.index("alpha", "BTCUSDT")).net
        bought = engine.wait(engine.submit(INSTRUMENT, "buy", "5", seconds=5))
        assert bought.filled == 5 and set(bought.by_exchange) == {"beta", "gamma"}
        assert engine.position(engine.index("alpha", "BTCUSDT")).net == held
        assert "EXCHANGE_REDUCING" not in engine.router.counts["refusals"]
        alpha.skew_ns = 0
        engine.run(LOOK_S)
        again = engine.wait(engine.submit(INSTRUMENT, "buy", "8", seconds=5))
        assert again.filled == 8 and "alpha" in again.by_exchange
    replayed = replay(tmp_path)
    assert replayed.difference == "" and replayed.equal and replayed.orders >= 5


@pytest.mark.parametrize("server", ("sync", "async"))
@both
def test_scenario_21_over_sockets(server, offset):
    """Real time: two clocks are set while the engine trades."""
    with Simulation(seed=5, server=server, in_process=True, tls=False) as simulation:
        engine = simulation.engine
        for name in ("alpha", "gamma"):
            running = simulation._running[name]
            running.call(setattr, running.exchange, "skew_ns", int(offset * SECOND_NS))

        def known():
            found = {one.name: one.clock.status(engine.now_ns) for one in engine.conversations}
            return all(abs(found[name]["offset_ns"] - (offset * SECOND_NS if name != "beta" else 0))
                       <= found[name]["uncertainty_ns"] < SECOND_NS // 4 for name in found)

        wait_until(known, 30.0, f"knowledge of the clocks ({simulation.problems})")
        state = engine.wait(engine.submit(INSTRUMENT, "buy", "2", seconds=10))
        assert state.filled == 2, simulation.problems
        assert len([problem for problem in simulation.problems if "its clock moved by" in problem]) == 2
