"""Parent orders that rest: placed once, cancelled, replaced, and their races with fills, on simulated exchanges."""
from decimal import Decimal

import pytest

from orderflow._core.types import BookState, ParentStatus
from orderflow.exchanges import binance, kraken
from orderflow.research.simulation import INSTRUMENT, Simulation
from tests.doubtful import EXCHANGES, World


@pytest.fixture
def make():
    worlds = []

    def made(name):
        worlds.append(World(name))
        return worlds[-1]
    yield made
    for world in worlds:
        assert world.engine.orders.audit() == []
        world.engine.stop()


def rested(world, quantity="2", **more):
    parent, price = world.rest(quantity, **more)
    world.run(1, lambda: world.statuses()["NEW"] == 1)
    order, = world.resting()
    assert order.price == price
    return parent, price, order


def leaves(order):
    return Decimal(order.leaves).scaleb(-order.instrument.quantity_decimals)


@pytest.mark.parametrize("name", EXCHANGES)
def test_an_order_rests_until_it_is_cancelled(make, name):
    world = make(name)
    parent, price, order = rested(world)
    state = world.engine.parent(parent)
    assert (state.status, state.working, state.limit_price) == ("PARENT_WORKING", 2, world.price(price))
    world.run(20)
    assert world.placed == 1 and world.cancels == 0 and world.engine.router.counts["asked"] == 0
    world.engine.cancel(parent)
    state = world.engine.wait(parent, 5)
    assert (state.status, state.reason, state.working) == ("PARENT_DONE", "CANCELLED_BY_USER", 0)
    assert world.resting() == [] and world.cancels == 1 and world.position() == world.held()


@pytest.mark.parametrize("name", EXCHANGES)
def test_an_order_that_rests_is_filled_by_others(make, name):
    world = make(name)
    parent, price, order = rested(world)
    world.sell(price, "0.5")
    world.run(1, lambda: world.position() > 0)
    assert world.engine.parent(parent).filled == Decimal("0.5") == world.held() and leaves(order) == Decimal("1.5")
    world.sell(price, "1.5")
    state = world.engine.wait(parent, 5)
    assert (state.status, state.filled, state.average_price) == ("PARENT_DONE", 2, world.price(price))
    assert world.placed == 1 and world.position() == world.held() == 2


@pytest.fixture
def no_icebergs(monkeypatch):
    """No exchange refills one itself."""
    monkeypatch.setattr(binance, "MOST_PARTS", 0)
    monkeypatch.setattr(kraken, "MOST_PARTS", 0)


@pytest.mark.parametrize("name", EXCHANGES)
def test_an_iceberg_never_shows_more_than_its_tip(make, no_icebergs, name):
    """One small order after the other, each when the one before is filled; the exchange never has more of them."""
    world = make(name)
    parent, price, order = rested(world, "2", display="0.7")
    sizes, most = [], Decimal(0)
    for _ in range(4):
        order, = world.resting()
        sizes.append(leaves(order))
        most = max(most, sum(leaves(one) for one in world.resting()))
        world.sell(price, leaves(order) / 2)
        world.run(0.5)
        assert [one for one in world.resting() if one is not order] == []
        world.sell(price, leaves(order))
        if world.engine.parent(parent).filled < 2:
            world.run(2, lambda order=order: order not in world.resting() and len(world.resting()) == 1)
        if world.engine.parent(parent).done:
            break
    state = world.engine.wait(parent, 5)
    assert (state.status, state.filled, world.held()) == ("PARENT_DONE", 2, 2)
    assert sizes == [Decimal("0.7"), Decimal("0.7"), Decimal("0.6")] and most == Decimal("0.7")
    assert world.placed == 3 and world.cancels == 0


@pytest.mark.parametrize("name", EXCHANGES)
def test_an_iceberg_leaves_no_crumb_behind(make, no_icebergs, name):
    """What would be left after its last tip and is below the minimum makes the last two of equal size."""
    world = make(name)
    parent, price, order = rested(world, "1.40001", display="0.7")
    sizes = []
    while not world.engine.parent(parent).done:
        order, = world.resting()
        sizes.append(leaves(order))
        world.sell(price, leaves(order))
        world.run(2, lambda order=order: world.engine.parent(parent).done or (
            order not in world.resting() and len(world.resting()) == 1))
    assert world.engine.parent(parent).filled == Decimal("1.40001") == sum(sizes)
    assert len(sizes) == 3 and max(sizes) == Decimal("0.7")


def test_an_iceberg_can_be_made_smaller_and_larger(make, no_icebergs):
    world = make("gamma")
    parent, price, order = rested(world, "2", display="0.7")
    world.engine.replace(parent, quantity="3")
    world.run(1, lambda: world.engine.parent(parent).quantity == 3)
    assert leaves(order) == Decimal("0.7") and world.amends == world.cancels == 0
    world.engine.replace(parent, quantity="0.5")
    world.run(1, lambda: leaves(order) == Decimal("0.5"))
    assert world.engine.parent(parent).quantity == Decimal("0.5") and world.amends == 1


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_end_of_its_time_cancels_it(make, name):
    world = make(name)
    parent, _, _ = rested(world, "1", seconds=2)
    state = world.engine.wait(parent, 10)
    assert state.reason == "END_TIME" and world.resting() == [] and world.cancels == 1


@pytest.mark.parametrize("name", EXCHANGES)
def test_post_only_that_would_take_ends_its_parent(make, name):
    world = make(name)
    listing = world.engine.core.listings[0]
    price = Decimal(int(world.engine.book(name, listing.symbol)["asks"][0]["price"])).scaleb(-listing.price_decimals)
    parent = world.engine.submit(INSTRUMENT, "buy", "1", price, exchanges=(name,), algorithm="resting", post_only=True)
    state = world.engine.wait(parent, 5)
    assert (state.status, state.reason, state.filled) == ("PARENT_DONE", "POST_ONLY_WOULD_TAKE", 0)
    assert world.placed == 1 and world.position() == 0


def test_what_cannot_rest_is_refused_at_once(make):
    world = make("alpha")
    with pytest.raises(ValueError, match="display 1: the algorithm immediate does not rest"):
        world.engine.submit(INSTRUMENT, "buy", "2", display="1")
    denied = world.engine.submit(INSTRUMENT, "buy", "2", "1000", algorithm="resting", exchanges=(world.name,),
                                 display="0.00000001")
    world.run(0.1)
    assert (world.engine.parent(denied).status, world.engine.parent(denied).reason) == (
        "PARENT_DENIED", "BELOW_MINIMUM_REMAINS")
    with pytest.raises(ValueError, match="algorithm resting: give a limit_price and the one exchange"):
        world.engine.submit(INSTRUMENT, "buy", "1", algorithm="resting")
    with pytest.raises(ValueError, match="post_only: an order that does not rest takes"):
        world.engine.submit(INSTRUMENT, "buy", "1", "100", post_only=True)


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_cancel_that_cannot_be_sent_is_sent_when_it_can(make, name):
    world = make(name)
    parent, _, _ = rested(world)
    line = world.engine.conversations[0].lines[world.orders]
    world.engine.conversations[0].disconnected(world.orders, 1006, line.epoch)
    world.engine.cancel(parent)
    world.run(60, lambda: world.engine.parent(parent).status == "PARENT_DONE")
    assert world.engine.parent(parent).status == "PARENT_DONE" and world.resting() == [] and world.held() == 0


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_cancel_before_the_order_is_acknowledged(make, name):
    world = make(name)
    world.mute = True
    parent, _ = world.rest()
    world.run(1, lambda: world.placed == 1)
    world.engine.cancel(parent)
    world.run(1, lambda: world.cancels == 1)
    world.mute = False
    world.run(120, lambda: world.engine.parent(parent).status == "PARENT_DONE")
    assert world.engine.parent(parent).status == "PARENT_DONE" and world.resting() == []
    assert world.position() == world.held() == 0


@pytest.mark.parametrize("name", EXCHANGES)
def test_less_of_it_keeps_its_place_in_the_queue(make, name):
    """Binance order.amend.keepPriority, Kraken amend_order: the same order, less of it."""
    world = make(name)
    parent, price, order = rested(world)
    world.engine.replace(parent, quantity="1.5")
    world.run(2, lambda: world.engine.parent(parent).quantity == Decimal("1.5"))
    state = world.engine.parent(parent)
    assert (state.quantity, state.working) == (Decimal("1.5"), Decimal("1.5")) and leaves(order) == Decimal("1.5")
    assert (world.placed, world.amends, world.cancels) == (1, 1, 0)
    world.sell(price, "1.5")
    assert world.engine.wait(parent, 5).filled == Decimal("1.5") == world.position() == world.held()


@pytest.mark.parametrize("name", EXCHANGES)
def test_more_of_it_at_another_price(make, name):
    """Kraken changes it in place; on Binance what is left of the old order is cancelled before the new one is
    placed."""
    world = make(name)
    parent, price, first = rested(world)
    world.sell(price, "0.5")
    world.run(1, lambda: world.position() > 0)
    lower = price - 2 * world.tick
    world.engine.replace(parent, quantity="3", limit_price=world.price(lower))
    world.run(5, lambda: world.engine.parent(parent).quantity == 3)
    world.run(5, lambda: [order.price for order in world.resting()] == [lower])
    order, = world.resting()
    assert leaves(order) == Decimal("2.5") and world.engine.parent(parent).limit_price == world.price(lower)
    assert (world.placed, world.amends, world.cancels) == ((1, 1, 0) if name == "gamma" else (2, 0, 1))
    assert (order is first) == (name == "gamma")
    world.run(1)
    state = world.engine.parent(parent)
    assert (state.filled, state.working) == (Decimal("0.5"), Decimal("2.5")) and world.position() == world.held()


def test_a_replacement_that_risk_refuses_leaves_the_order_as_it_was(make):
    world = make("gamma")
    parent, price, order = rested(world)
    world.engine.replace(parent, quantity="400")        # an order may be of 100
    world.run(2)
    state = world.engine.parent(parent)
    assert (state.status, state.quantity, state.working) == ("PARENT_WORKING", 2, 2)
    assert world.amends == 0 and leaves(order) == 2
    assert world.engine.router.counts["refusals"] == {"QUANTITY_EXCEEDS_MAXIMUM": 1}
    assert "QUANTITY_EXCEEDS_MAXIMUM" in state.refusal


@pytest.mark.parametrize("name", EXCHANGES)
def test_replacements_one_after_another_end_at_the_last(make, name):
    world = make(name)
    parent, price, _ = rested(world, "5")
    for quantity in ("4", "3", "2", "1"):
        world.engine.replace(parent, quantity=quantity)
    world.run(5, lambda: world.engine.parent(parent).quantity == 1)
    order, = world.resting()
    assert leaves(order) == 1 and world.engine.parent(parent).working == 1 and world.placed == 1
    world.sell(price, "1")
    assert world.engine.wait(parent, 5).filled == 1 == world.position() == world.held()


@pytest.mark.parametrize("name", EXCHANGES)
def test_kill_ends_a_parent_that_rests(make, name):
    world = make(name)
    parent, _, _ = rested(world)
    world.engine.halt()
    state = world.engine.wait(parent, 5)
    assert world.resting() == [] and state.status == "PARENT_DONE" and world.placed == 1
    world.run(5)
    assert world.placed == 1


class Quoter:
    """Rests once, changes its mind twice, and hears of it."""

    def __init__(self):
        self.parent, self.heard = None, []

    def on_signal(self, market, listing, entry):
        if (self.parent is None and market.listings[listing].exchange == "gamma"
                and entry["book_state"] == BookState.LIVE):
            where = market.listings[listing]
            self.price = Decimal(int(entry["bids"][0]["price"])).scaleb(-where.price_decimals) - 1
            self.parent = market.rest(listing, "buy", "1", self.price, post_only=True)
            market.call_at(market.now_ns + 10**9)

    def on_timer(self, market):
        if self.price is None:
            market.cancel(self.parent)
            return
        market.replace(self.parent, INSTRUMENT, "2", self.price - 1)
        self.price = None
        market.call_at(market.now_ns + 10**9)

    def on_report(self, market, report):
        self.heard.append((int(report["quantity"]), int(report["working"]), ParentStatus(int(report["status"])).name))


def test_a_strategy_places_replaces_and_cancels():
    quoter = Quoter()
    with Simulation(7, "direct", [quoter]) as simulation:
        simulation.engine.run(5, lambda: bool(quoter.heard) and quoter.heard[-1][2] == "PARENT_DONE")
        one = simulation.engine.instruments[INSTRUMENT].quantity(1)
        assert quoter.heard[0] == (one, 0, "PARENT_WORKING") and (2 * one, 2 * one, "PARENT_WORKING") in quoter.heard
        assert quoter.heard[-1] == (2 * one, 0, "PARENT_DONE") and simulation.engine.failures == []
        events = [event["event"] for event in simulation.truth()["gamma"]["events"]]
        assert events.count("accepted") == events.count("amended") == 1
