"""Failure scenarios of orders, each against a simulated exchange on a virtual clock. What an order's state machine
makes of any sequence of reports: tests/test_orders.py.
"""
import json
from urllib.parse import parse_qsl

import pytest

from orderflow._core.client_id import encode
from tests.doubtful import EXCHANGES, World


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


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_13_a_private_stream_that_is_silent_misses_no_fill(make, name):
    """Its connection stays open and says nothing for minutes: each order is asked for."""
    world = make(name)
    world.mute = True
    parent = world.submit()
    world.run(120)
    world.agrees(parent)
    assert world.placed == 1 and sum(world.asked.values()) > 0


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
