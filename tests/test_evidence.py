"""Orders whose fate is not clear: asked for until the exchange has said what became of them, and never sent again."""
import pytest

from orderflow._core.types import OrderStatus, Reason
from orderflow.simulator.exchange import Response
from orderflow.simulator.instruments import default_instruments
from tests.doubtful import EXCHANGES, World


@pytest.fixture
def make():
    worlds = []

    def made(name, instruments=()):
        worlds.append(World(name, instruments))
        return worlds[-1]
    yield made
    for world in worlds:
        world.engine.stop()


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_01_the_answer_never_comes_though_the_order_was_taken(make, name):
    """It is in doubt, what it may have filled is reserved, one order is there, and asking shows its fills."""
    world = make(name)
    world.mute = True
    parent = world.submit()
    world.wait_doubt()
    assert world.engine.parent(parent).in_doubt == 2 and world.placed == 1 and world.held() == 2
    world.run(5)
    assert world.placed == 1
    world.mute = False
    world.agrees(parent)
    assert world.placed == 1


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_02_an_outage_of_minutes_never_counts_as_not_found(make, name):
    world = make(name)
    world.mute, world.answer = True, lambda path: Response(0, {}, b"no route to host")
    parent = world.submit()
    world.wait_doubt()
    world.run(300)
    assert world.statuses() == {"IN_DOUBT": 1} and world.engine.parent(parent).in_doubt == 2
    assert 5 < sum(world.asked.values()) < 30
    assert any("no route to host" in problem for problem in world.problems)
    world.mute, world.answer = False, None
    world.agrees(parent)
    assert world.placed == 1


NOT_FOUND = {"order": b'{"code":-2013,"msg":"Order does not exist."}', "openOrders": b"[]", "allOrders": b"[]",
             "OpenOrders": b'{"error":[],"result":{"open":{}}}',
             "ClosedOrders": b'{"error":[],"result":{"closed":{},"count":0}}'}


def not_found(path):
    name = path.rpartition("/")[2]
    return Response(400 if name == "order" else 200, {}, NOT_FOUND[name])


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_04_what_cannot_be_found_just_after_it_was_sent_is_asked_for_again(make, name):
    """One negative, or several, prove nothing: the exchange may not have written it down yet."""
    world = make(name)
    world.mute, world.answer = True, not_found
    parent = world.submit()
    world.wait_doubt()
    world.run(20)
    assert world.statuses() == {"IN_DOUBT": 1} and sum(world.asked.values()) > 5
    world.mute, world.answer = False, None
    world.agrees(parent)
    assert world.placed == 1


@pytest.mark.parametrize("name", EXCHANGES)
def test_an_order_that_never_arrived_is_given_up_after_the_horizon(make, name):
    """Not before: by its id, among the open orders and in the history there must be nothing of it, a minute after it
    was sent. Then, and only then, what it was to buy is bought with another order."""
    world = make(name)
    world.deaf = True
    parent = world.submit()
    world.wait_doubt()
    world.run(50)
    assert world.statuses() == {"IN_DOUBT": 1} and world.placed == 1
    world.deaf = False
    world.agrees(parent)
    assert world.placed == 2 and world.statuses() == {"REJECTED": 1, "FILLED": 1}
    given_up = next(order for order in world.engine.orders.orders() if order.status == OrderStatus.REJECTED)
    assert given_up.reason == Reason.NEVER_ACCEPTED


@pytest.mark.parametrize("name", EXCHANGES)
def test_half_an_answer_proves_nothing(make, name):
    """The order is not among the open ones, but the history could not be read: that is no answer at all."""
    def half(path):
        unread = path.endswith(("allOrders", "ClosedOrders"))
        return Response(200, {}, b'{"msg":"come back later"}') if unread else not_found(path)

    world = make(name)
    world.deaf, world.answer = True, half
    parent = world.submit()
    world.wait_doubt()
    world.run(200)
    assert world.statuses() == {"IN_DOUBT": 1} and world.engine.parent(parent).in_doubt == 2
    world.deaf, world.answer = False, None
    world.agrees(parent)


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_connection_is_lost_between_order_and_answer(make, name):
    """The order connection goes before the report: in doubt at once, and asked for after a moment."""
    world = make(name)
    world.mute = True
    parent = world.submit()
    world.run(1, lambda: world.placed == 1)
    conversation = world.engine.conversations[0]
    conversation.disconnected(world.orders, 1006, conversation.lines[world.orders].epoch)
    world.run(0.2, lambda: world.statuses()["IN_DOUBT"] == 1)
    assert world.statuses() == {"IN_DOUBT": 1}
    world.mute = False
    world.agrees(parent)
    assert world.placed == 1 and world.asked


@pytest.mark.parametrize("name, protocol", [("alpha", "binance_spot"), ("gamma", "kraken_v2")])
def test_several_orders_of_one_exchange_are_asked_for_one_after_the_other(make, name, protocol):
    symbols = {"BTCUSDT", "ETHUSDT", "BTC/USDT", "ETH/USDT"}
    world = make(name, tuple(one for one in default_instruments(protocol) if one.symbol in symbols))
    world.mute = True
    parents = [world.submit("1", instrument) for instrument in ("BTC-USDT", "ETH-USDT")]
    world.run(10, lambda: world.statuses()["IN_DOUBT"] == 2)
    world.run(2)
    assert world.statuses() == {"FILLED": 2}
    world.mute = False
    assert all(world.engine.wait(parent).filled == 1 for parent in parents) and world.placed == 2
