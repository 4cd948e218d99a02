"""Strategies that want a hundred times what an exchange accepts: it refuses nothing for the sake of its limits, cancels
leave at once, and nothing is lost. The simulated exchanges count as the true ones do.
"""
import random
import time
from collections import Counter
from decimal import Decimal

import pytest

from orderflow._core.client_id import decode
from orderflow._core.journal import RecordKind, read
from orderflow._core.types import ExecType, Reason, Side
from orderflow.engine import EngineError
from orderflow.research.simulation import INSTRUMENT, Simulation
from orderflow.simulator.dialects.binance_limits import MINUTE_NS
from tests.doubtful import EXCHANGES, World

SECOND_NS = 10**9
#: Of the simulated Binance: few enough that a minute's worth is soon there. Its books weigh 250 each time.
WEIGHT, ORDERS = 1200, 20
WINDOWS = (("SECOND", 10, 10 * SECOND_NS, ORDERS), ("DAY", 1, 24 * 60 * MINUTE_NS, 100_000))
#: Orders in a second that each accepts for long: Binance by its window, Kraken (pro) by what falls of its counter.
ACCEPTED = {"alpha": ORDERS / 10, "gamma": 3.75}
#: A limit of the address is known to be free a sixteenth of its period and two slots after it is.
LATE_NS = MINUTE_NS * 18 // 16


class Small(World):
    """Its exchange allows little; `neighbour` weighs on the address."""

    def _watch(self):
        super()._watch()
        self.left_ns = {}               # when the first cancel of an order came to the exchange
        if self.name == "alpha":
            self.venue.allow(WEIGHT, WINDOWS)
        message = self.venue.message

        def watched(number, text, now_ns):
            if '"order.cancel"' in text or '"cancel_order"' in text:
                self.left_ns.setdefault(self.cancels, now_ns)
            message(number, text, now_ns)

        self.venue.message = watched

    def rest_far(self):
        """A buy order that nobody comes to in minutes; its parent's id."""
        price = self.book.levels(Side.BUY, 1)[0][0] * 9 // 10 // self.tick * self.tick
        return self.engine.submit(INSTRUMENT, "buy", "0.01", self.price(price), algorithm="resting",
                                  exchanges=(self.name,))

    def used(self):
        """Weight of the window that is open at the exchange."""
        self.venue.weights.add(0, self.engine.now_ns)
        return self.venue.weights.used


@pytest.fixture
def make():
    worlds = []

    def made(name, **settings):
        worlds.append(Small(name, **settings))
        return worlds[-1]
    yield made
    for world in worlds:
        world.engine.stop()


def nothing_lost(engine, exchanges):
    """Every order's end is known, the exchanges saw what the journal has and nothing else, positions are theirs."""
    assert engine.orders.unfinished == [] and engine.orders.audit() == []
    told = {RecordKind.INTENT: [], RecordKind.REPORT: []}
    for record in read(engine.directory):
        if record.kind in told:
            told[record.kind].append(record.decode())
    intents = [int(order["client_order_id"]) for order in told[RecordKind.INTENT]]
    unsent = {int(report["client_order_id"]) for report in told[RecordKind.REPORT]
              if report["exec_type"] == ExecType.REPORT_NOT_SENT}
    sent = {int(report["client_order_id"]) for report in told[RecordKind.REPORT]
            if report["exec_type"] == ExecType.REPORT_SENT} - unsent        # a cancel may follow one that did not leave
    seen = [decode(order.client_id) for orders in exchanges.values() for order in orders]
    rejected = {int(report["client_order_id"]) for report in told[RecordKind.REPORT]
                if report["exec_type"] == ExecType.REPORT_REJECTED}
    assert len(set(intents)) == len(intents) and len(set(seen)) == len(seen)
    assert set(seen) <= set(intents) and sent - rejected <= set(seen) and set(intents) == sent | unsent
    assert not any(report["reason"] == Reason.RATE_LIMITED for report in told[RecordKind.REPORT]
                   if report["exec_type"] != ExecType.REPORT_NOT_SENT)
    for index, listing in enumerate(engine.core.listings):
        held = sum((Decimal((1 if order.side == 1 else -1) * order.filled).scaleb(-order.instrument.quantity_decimals)
                    for order in exchanges[listing.exchange]), Decimal(0))
        assert Decimal(engine.position(index).net).scaleb(-listing.quantity_decimals) == held
    return len(seen), unsent


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_20_signals_at_a_hundred_times_what_the_exchange_accepts(make, name):
    """Orders that cross and orders that rest and are taken back, for 20 seconds of the exchange's time."""
    world, moments = make(name), random.Random(4)
    engine, bids, signals, denied = world.engine, [], 0, 0
    rate, seconds = int(100 * ACCEPTED[name]), 20
    for _ in range(seconds * 20):
        bids = [price for price, _ in world.book.levels(Side.BUY, 20)] or bids
        for _ in range(rate // 20):
            signals += 1
            try:
                if moments.random() < 0.5:
                    engine.submit(INSTRUMENT, moments.choice(("buy", "sell")), "0.01", seconds=0.3)
                else:
                    engine.submit(INSTRUMENT, "buy", "0.01", world.price(bids[-1]), algorithm="resting",
                                  exchanges=(name,), seconds=moments.choice((0.3, 6)))
            except EngineError:
                denied += 1
        world.run(0.05)
    world.run(7)                                            # the last of them rest for six seconds
    world.run(60, lambda: not engine.orders.unfinished)
    assert all(parent.done for parent in engine.parents())
    placed, unsent = nothing_lost(engine, {name: list(world.venue.desk.orders.values())})
    assert world.venue.limit_refusals == 0, world.problems
    assert signals >= 100 * ACCEPTED[name] * seconds * 0.95
    assert placed >= 0.6 * ACCEPTED[name] * seconds         # and what it accepts was used
    assert len(unsent) < placed + 40 * seconds              # refused once for each time that there was no room
    assert world.cancels > 0 and engine.core.loops[name].waiting_cancels == (0, 0, 0)
    assert engine.core.loops[name].rates.refused[1] == 0


def test_an_order_that_finds_no_room_says_so_and_goes_when_there_is_some(make):
    world = make("alpha")
    for _ in range(ORDERS * 8 // 10):
        world.rest_far()
    world.run(1, lambda: world.placed == ORDERS * 8 // 10)
    parent = world.rest_far()
    world.run(1)
    assert world.placed == ORDERS * 8 // 10
    state = world.engine.parent(parent)
    assert (state.status, state.refusal) == ("PARENT_WORKING", "RATE_LIMITED: counted=17, allowed=16")
    world.run(15, lambda: world.placed > ORDERS * 8 // 10)
    assert len(world.resting()) == ORDERS * 8 // 10 + 1


def test_a_replacement_costs_too_and_one_without_room_leaves_the_order_as_it_is(make):
    world = make("gamma", tier="starter")               # 48 points for orders: 12 and 9 replacements of 4
    ids = [world.rest_far() for _ in range(12)]
    world.run(1, lambda: len(world.resting()) == 12)
    for parent in ids:
        world.engine.replace(parent, quantity="0.02")
    world.run(1)
    changed = [order for order in world.resting()
               if Decimal(order.quantity).scaleb(-order.instrument.quantity_decimals) == Decimal("0.02")]
    assert len(changed) == 9 and world.amends == 9 and len(world.resting()) == 12
    refusals = Counter(world.engine.parent(parent).refusal for parent in ids)
    assert sum(count for text, count in refusals.items() if text and text.startswith("RATE_LIMITED")) == 3
    assert world.venue.limit_refusals == 0


def test_cancels_wait_for_the_weight_that_others_have_used_and_leave_when_there_is_some(make):
    """Another program on the address has used all but three of it: three cancels leave at once, the others when the
    minute is over, in the order in which they were asked for."""
    world = make("alpha")
    ids = [world.rest_far() for _ in range(12)]
    world.run(1, lambda: len(world.resting()) == 12)
    world.venue.weights.add(WEIGHT - 5 - world.used(), world.engine.now_ns)
    world.rest_far()                                  # its answer says what the exchange has counted
    world.run(1, lambda: len(world.resting()) == 13)
    left = WEIGHT - world.used()
    began = world.engine.now_ns
    for parent in ids:
        world.engine.cancel(parent)
    world.run(1)
    assert (world.cancels, len(world.resting())) == (left, 13 - left)
    assert world.engine.core.loops["alpha"].waiting_cancels[1] == 12 - left
    world.run(LATE_NS / 1e9 + 1, lambda: len(world.resting()) == 1)
    assert len(world.resting()) == 1 and world.engine.now_ns - began <= LATE_NS + SECOND_NS
    ever, waiting, longest = world.engine.core.loops["alpha"].waiting_cancels
    assert (ever, waiting) == (12 - left, 0) and longest <= LATE_NS
    assert world.cancels == 12 and world.venue.limit_refusals == 0


def test_a_kill_writes_what_there_is_room_for_and_the_rest_when_there_is_some(make):
    world = make("alpha")
    for _ in range(12):
        world.rest_far()
    world.run(1, lambda: len(world.resting()) == 12)
    world.venue.weights.add(WEIGHT - 5 - world.used(), world.engine.now_ns)
    world.rest_far()
    world.run(1, lambda: len(world.resting()) == 13)
    left = WEIGHT - world.used()
    world.engine.halt()
    world.run(1)
    assert world.cancels == left
    world.run(2 * LATE_NS / 1e9, lambda: not world.resting())
    assert not world.resting() and world.venue.limit_refusals == 0
    assert world.cancels <= 13 + left                   # each once, or again where its end was not told yet


def test_a_refusal_of_the_exchange_stops_everything_until_it_says(make):
    """Somebody on the address has used more than we can know: one request is refused, and no other follows it."""
    world = make("alpha")
    parent = world.rest_far()
    world.run(1, lambda: len(world.resting()) == 1)
    world.venue.weights.add(WEIGHT, world.engine.now_ns)
    world.engine.submit(INSTRUMENT, "buy", "0.01", seconds=120)
    world.run(5)
    world.engine.cancel(parent)
    window = world.engine.now_ns // MINUTE_NS
    world.run(200, lambda: world.engine.now_ns // MINUTE_NS > window)
    assert world.venue.limit_refusals == 1 and len(world.resting()) == 1
    world.run(LATE_NS / 1e9 + 1, lambda: not world.resting())
    assert not world.resting() and world.venue.limit_refusals == 1
    assert world.engine.core.loops["alpha"].rates.refused[1] >= 1


def test_what_kraken_counts_more_than_we_do_is_believed(make):
    """Another program trades on the account: the counter that comes with every report says so."""
    world = make("gamma")
    world.rest_far()
    world.run(1, lambda: len(world.resting()) == 1)
    account = world.venue.desk.accounts[0]
    world.venue.now_ns = world.engine.now_ns
    world.venue.count(account, world.book.instrument.symbol, 150)
    world.rest_far()
    world.run(1, lambda: len(world.resting()) == 2)
    for _ in range(50):
        world.rest_far()
    world.run(5)
    assert world.venue.limit_refusals == 0 and len(world.resting()) < 30


def test_the_account_has_another_tier_than_was_said(make):
    world = make("gamma", tier="starter")
    assert any('goes up to 180, that of tier \'starter\' to 60; set tier = "pro"' in problem
               for problem in world.problems)


@pytest.mark.parametrize("server", ["sync", "async"])
def test_scenario_20_signals_at_a_hundred_times_over_sockets(tmp_path, server):
    """All three exchanges of the demonstration, in real time, each with a thread of its own."""
    with Simulation(3, server, tls=False, in_process=True, directory=tmp_path / "run") as simulation:
        engine, moments, denied, signals = simulation.engine, random.Random(5), 0, 0
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            for _ in range(40):
                signals += 1
                name = moments.choice(("alpha", "beta", "gamma"))
                try:
                    if moments.random() < 0.7:
                        engine.submit(INSTRUMENT, moments.choice(("buy", "sell")), "0.01", seconds=0.2)
                    else:
                        engine.submit(INSTRUMENT, "buy", "0.01", "30000", algorithm="resting", exchanges=(name,),
                                      seconds=0.3)
                except EngineError:
                    denied += 1             # there is no room for more of them
            engine.run(0.01)
        engine.run(20, lambda: not engine.orders.unfinished and all(parent.done for parent in engine.parents()))
        exchanges = {name: running.call(lambda exchange=running.exchange: list(exchange.desk.orders.values()))
                     for name, running in simulation._running.items()}
        refusals = {name: running.exchange.limit_refusals for name, running in simulation._running.items()}
        placed, _ = nothing_lost(engine, exchanges)
        assert refusals == {"alpha": 0, "beta": 0, "gamma": 0} and placed > 50
        assert all(loop.waiting_cancels[1] == 0 for loop in engine.core.loops.values())
