"""Failure scenarios of orders, each against a simulated exchange on a virtual clock. What an order's state machine
makes of any sequence of reports: tests/test_orders.py.
"""
import json
import re
from dataclasses import replace
from decimal import Decimal
from urllib.parse import parse_qsl

import pytest

from orderflow._core.client_id import encode
from orderflow._core.types import OrderType, Side, TimeInForce
from orderflow.simulator.exchange import Response
from orderflow.simulator.order import Ending, Order, SelfTrade
from tests.doubtful import EXCHANGES, World
from tests.native_module import built


@pytest.fixture
def make():
    worlds = []

    def made(name):
        worlds.append(World(name))
        return worlds[-1]
    yield made
    for world in worlds:
        world.engine.stop()


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_05_fills_cross_the_cancel(make, name):
    """The order is filled before the exchange has read the cancel, and told of after that; each fill is told with a
    quantity of nothing first.
    """
    world, held = make(name), []
    world.told = lambda said: held.extend(said) or []
    parent = world.submit()
    world.run(1, lambda: world.placed == 1)
    world.engine.halt(name)
    world.run(1, lambda: world.cancels > 0)
    assert world.cancels == 1 and world.held() == 2 and world.position() == 0
    zero_fill = world.venue.order_entry().zero_fill
    nothing = [(number, zero) for number, text in held if (zero := zero_fill(text)) is not None]
    assert nothing
    late = nothing + held
    world.told = lambda said: [late.pop(0) for _ in range(len(late))] + said
    world.agrees(parent)
    assert world.placed == 1 and world.statuses() == {"FILLED": 1}


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_06_what_is_said_comes_in_the_wrong_order(make, name):
    """The answer after the fills, the end before them: the same in the end."""
    world = make(name)
    world.told = lambda said: said[::-1]
    world.agrees(world.submit())
    assert world.placed == 1


def test_scenario_07_a_cancel_that_is_told_after_the_last_fill_changes_nothing(make):
    world = make("alpha")
    world.agrees(world.submit())
    order, = world.engine.orders.orders()
    before = world.engine.orders.counts["late_reports"]
    number = world.engine.server._numbers["alpha", world.orders]
    world.venue.send(world.venue.connections[number], json.dumps({"subscriptionId": 0, "event": {
        "e": "executionReport", "E": 1, "s": "BTCUSDT", "c": "cancel1", "C": encode(order.client_order_id), "S": "BUY",
        "o": "LIMIT", "f": "IOC", "q": "2", "p": "1", "x": "CANCELED", "X": "CANCELED", "r": "NONE", "i": 1,
        "l": "0", "z": "2", "L": "0", "n": "0", "N": None, "T": 1, "t": -1, "w": False, "m": False}}))
    world.run(0.5)
    assert world.statuses() == {"FILLED": 1} and world.engine.orders.counts["late_reports"] == before + 1
    assert world.position() == world.held() == 2


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_08_quantities_are_believed_and_status_words_are_not(make, name):
    """Somebody else is faster, half of an order is filled, and its end is told as FILLED."""
    world, lies = make(name), []
    place, entry = world.venue.desk.place, world.venue.order_entry()

    def place_late(order, at_ns):
        place(replace(order, quantity=order.quantity // 2, client_id="faster"), at_ns)
        return place(order, at_ns)

    def lie(said):
        told = [(number, entry.lie(text) or text) for number, text in said]
        lies.extend(true for true, false in zip(said, told, strict=True) if true != false)
        return told

    world.venue.desk.place, world.told = place_late, lie
    listing, book = world.engine.core.listings[0], world.engine.book(name, world.engine.core.listings[0].symbol)
    parent = world.engine.submit("BTC-USDT", "buy", "50",
                                 Decimal(int(book["asks"][0]["price"])).scaleb(-listing.price_decimals), seconds=0.5)
    state = world.engine.wait(parent)
    assert lies and "FILLED" not in world.statuses()
    ours = [order for order in world.venue.desk.orders.values() if order.client_id != "faster"]
    assert 0 < sum(order.filled for order in ours) < sum(order.quantity for order in ours)
    assert state.filled == world.position() == sum(
        Decimal(order.filled).scaleb(-order.instrument.quantity_decimals) for order in ours)
    assert world.engine.orders.audit() == []


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_09_fills_that_were_asked_for_and_then_told_are_applied_once(make, name):
    """The exchange's own messages are held back until its REST answers have told of the same fills."""
    world, held = make(name), []
    world.told = lambda said: held.extend(said) or []
    parent = world.submit()
    world.agrees(parent)
    fills = world.engine.orders.counts["fills"]
    world.told = lambda said: [held.pop(0) for _ in range(len(held))] + said
    world.run(1)
    assert held == [] and world.engine.orders.counts["duplicates"] == fills > 0
    world.agrees(parent)


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_10_one_trade_id_for_several_of_our_orders(make, name):
    world, trades = make(name), []
    number = re.compile(r'"t":(\d+)' if name == "alpha" else r'"trade_id":(\d+)')

    def same(said):
        for _, text in said:
            trades.extend(number.findall(text))
        return [(connection, re.sub(r'"exec_id":"[^"]+"', '"exec_id":"TAAAAA-AAAAA-AAAAAA"',
                                    number.sub(lambda one: one[0].replace(one[1], "77"), text)))
                for connection, text in said]

    world.told = same
    parents = [world.submit("0.01") for _ in range(3)]
    assert all(world.engine.wait(parent).filled == Decimal("0.01") for parent in parents)
    assert len(trades) == len(set(trades)) == 3 == world.engine.orders.counts["fills"]
    assert world.position() == world.held() == Decimal("0.03") and world.engine.orders.audit() == []


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_11_whatever_is_repeated_is_applied_once(make, name):
    world = make(name)
    world.told = lambda said: [each for each in said for _ in range(3)] if name == "alpha" else said
    parent = world.submit()
    if name == "gamma":         # its numbers show what is repeated: instead, a new connection and its snapshot
        world.run(2)
        conversation = world.engine.conversations[0]
        conversation.disconnected(world.orders, 1006, conversation.lines[world.orders].epoch)
        world.run(5, lambda: world.engine.not_ready() == [])
    world.agrees(parent)
    assert world.placed == 1


def replacing(make, name):
    """(world, parent, its price, what is told from now on) with an order of 2 at rest."""
    world, held = make(name), []
    parent, price = world.rest()
    world.run(1, lambda: world.statuses()["NEW"] == 1)
    world.told = lambda said: held.extend(said) or []
    return world, parent, price, held


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_12_replacing_in_any_order_of_what_is_told_makes_no_more_of_it(make, name, turn):
    """Some of the order is filled before the exchange reads the change, and some after it, where the order goes on;
    what it tells comes turned round, last first, and twice.
    """
    world, parent, price, held = replacing(make, name)
    lower = price - 3 * world.tick
    world.sell(price, "0.5")
    world.engine.replace(parent, quantity="2.5", limit_price=world.price(lower))
    world.run(1, lambda: world.cancels + world.amends == 1)
    for order in world.resting():               # Kraken's is the same order still, at its new price
        world.sell(order.price, "0.25")
    told = held[turn:] + held[:turn] if turn < 3 else held[::-1] + held
    world.told = lambda said: [told.pop(0) for _ in range(len(told))] + said
    world.run(20, lambda: [order.price for order in world.resting()] == [lower])
    order, = world.resting()
    world.run(1)
    state = world.engine.parent(parent)
    assert (state.quantity, state.filled + state.working) == (Decimal("2.5"), Decimal("2.5"))
    assert Decimal(order.leaves).scaleb(-order.instrument.quantity_decimals) == state.working
    world.sell(lower, state.working)
    state = world.engine.wait(parent, 10)
    assert state.filled == world.position() == world.held() == Decimal("2.5") and world.engine.orders.audit() == []
    assert world.engine.router.counts["faults"] == 0


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_12_replacing_too_late(make, name):
    """FIX 4.2 D9: all of it is filled before the change arrives."""
    world, parent, price, held = replacing(make, name)
    world.sell(price, "2")
    world.engine.replace(parent, limit_price=world.price(price - world.tick))
    world.run(1, lambda: world.cancels + world.amends == 1)
    told = held[:]
    world.told = lambda said: [told.pop(0) for _ in range(len(told))] + said
    world.agrees(parent)
    assert world.placed == 1 and world.resting() == []


def test_scenario_12_replacing_by_what_is_filled_meanwhile(make):
    """FIX 4.2 D11: the new quantity is what has been filled when the change arrives: the order is filled with that."""
    world, parent, price, held = replacing(make, "gamma")
    world.sell(price, "1")
    world.engine.replace(parent, quantity="1")
    world.run(1, lambda: world.amends == 1)
    told = held[:]
    world.told = lambda said: [told.pop(0) for _ in range(len(told))] + said
    state = world.engine.wait(parent, 10)
    assert (state.status, state.quantity, state.filled) == ("PARENT_DONE", 1, 1)
    assert world.position() == world.held() == 1


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_12_a_replacement_that_nobody_answers_ends_in_a_cancel(make, name):
    """What the exchange says is lost; the order is cancelled, because nobody knows which of the two it is."""
    world, parent, price, held = replacing(make, name)
    world.engine.replace(parent, quantity="1")
    world.run(1, lambda: world.amends == 1)
    world.told = lambda said: []
    world.answer = lambda path: Response(503, {}, b"")
    world.run(12)
    world.answer, world.told = None, list
    world.run(120, lambda: world.statuses()["NEW"] + world.statuses()["CANCELED"] and not world.statuses()["IN_DOUBT"])
    world.run(30)
    state = world.engine.parent(parent)
    assert world.cancels >= 1 and state.in_doubt == 0
    assert state.working == sum((Decimal(order.leaves).scaleb(-order.instrument.quantity_decimals)
                                 for order in world.resting()), Decimal(0)) <= 2
    assert world.engine.router.counts["faults"] == 0


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_13_a_private_stream_that_is_silent_misses_no_fill(make, name):
    """Its connection stays open and says nothing for minutes: each order is asked for."""
    world = make(name)
    world.mute = True
    parent = world.submit()
    world.run(120)
    world.agrees(parent)
    assert world.placed == 1 and sum(world.asked.values()) > 0


@pytest.mark.parametrize("mode", SelfTrade)
def test_scenario_33_an_order_that_meets_one_of_the_same_account(make, mode):
    """It was placed by hand, so the risk gate does not know of it: what the exchange does then, whichever it is, is
    the end of an order and not of the parent.
    """
    world = make("alpha")
    desk, book = world.venue.desk, world.engine.book("alpha", "BTCUSDT")
    place, tick = desk.place, int(world.engine.core.table[0]["tick"])
    instrument = next(one for one in world.venue.source.instruments if one.symbol == "BTCUSDT")
    price = int(book["asks"][0]["price"]) - tick
    by_hand = place(Order(0, desk.accounts[0], instrument, Side.SELL, OrderType.LIMIT, TimeInForce.GTC, price, 10 ** 5,
                          "by hand", post_only=True), world.engine.now_ns)
    desk.place = lambda order, at_ns: place(replace(order, self_trade=mode), at_ns)
    parent = world.submit()
    state = world.engine.wait(parent)
    assert (state.filled, state.in_doubt, world.position(), world.cancels) == (2, 0, 2, 0)
    assert world.engine.orders.audit() == []
    first = desk.orders[by_hand.order_id + 1]
    ended = first.ending == Ending.SELF_TRADE
    assert ended == (mode not in (SelfTrade.ALLOWED, SelfTrade.EXPIRE_MAKER)) == (world.statuses()["EXPIRED"] > 0)
    if mode in (SelfTrade.EXPIRE_MAKER, SelfTrade.EXPIRE_BOTH, SelfTrade.DECREMENT):
        assert by_hand.fills == []
    elif mode == SelfTrade.ALLOWED:
        assert by_hand.filled == by_hand.quantity


@pytest.mark.release
@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_34_a_router_that_forgets_its_orders_is_stopped_at_the_first_share_too_many(make, name, tmp_path):
    """The defect: what a parent has had filled is forgotten before each thing that is told, so the router orders
    anew."""
    world, held = make(name), []
    forgetful = built("forgetful_router", tmp_path)

    def told(said):
        forgetful.forget_fills(world.engine.orders)
        held.extend(said)
        return [held.pop(0)] if held else []

    world.told = told
    parent = world.submit("20")         # many levels, so many fills
    world.run(60, lambda: world.engine.router.counts["faults"] > 0)
    said = [each for each in world.problems if "KILLED_BY_FAULT" in each]
    assert len(said) == 1 and f"parent order {parent}: an order for it would have made more of it" in said[0]
    assert world.engine.risk.state.name == "HALTED" and world.engine.core.kill.killed == ["everything"]
    assert world.engine.router.counts["refusals"]["EXCEEDS_PARENT"] == 1
    assert 0 < world.position() == world.held() <= 20
    placed = world.placed
    world.run(10)
    assert world.placed == placed       # not one more


def test_scenario_35_nonces_arrive_in_the_order_in_which_they_were_made(make):
    world, nonces = make("gamma"), []
    http = world.venue.http

    def listen(method, path, query, headers, body, now_ns):
        if path.startswith("/0/private/"):
            nonces.append(int(dict(parse_qsl(body.decode()))["nonce"]))
        return http(method, path, query, headers, body, now_ns)

    world.venue.http = listen
    world.mute = True
    parent = world.submit()
    world.wait_doubt()
    world.run(30)
    world.mute = False
    world.agrees(parent)
    assert len(nonces) > 1 and nonces == sorted(set(nonces))
    assert not any("nonce" in problem for problem in world.problems)
