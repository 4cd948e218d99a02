"""Icebergs that the exchange refills: one order of the whole quantity, which never shows more than its display, on
simulated exchanges of both dialects; and the synthetic ones where its rules, or our limits, do not allow it."""
import time
from dataclasses import replace
from decimal import Decimal

import ccxt
import pytest

from orderflow._core import journal
from orderflow._core.journal import RecordKind
from orderflow._core.types import CHILD_ORDER_DTYPE, Side
from orderflow.limits import Limits
from orderflow.research import explain, explain_words
from orderflow.research.journal import rows
from orderflow.research.replay import replay
from orderflow.research.simulation import INSTRUMENT, KEY, LIMITS, VENUES, Simulation, secret_of
from orderflow.research.tree import tree
from orderflow.run_start import RunStart
from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.dialects.binance_spot import BinanceSpot
from tests import doubtful
from tests.ccxt_clients import client_of
from tests.doubtful import EXCHANGES
from tests.quiet import quiet_worlds

#: Parts that the simulated exchanges allow, as the documents' own examples have it: ICEBERG_PARTS, and 1/15.
MOST = {"alpha": 10, "gamma": 15}


@pytest.fixture
def make():
    yield from quiet_worlds()


class Iceberg:
    """One parent that rests where nobody else does, and the most that was ever published at its price."""

    def __init__(self, world, quantity="2", display="0.7", side="buy", **more):
        self.world, self.quantity, self.display = world, Decimal(quantity), Decimal(display)
        self.side = side
        self.most, self.sold = Decimal(0), Decimal(0)
        self.price = world.middle
        self.parent = world.engine.submit(INSTRUMENT, side, quantity, world.price(self.price), display=display,
                                          exchanges=(world.name,), algorithm="resting", **more)
        self.run(1)

    def published(self):
        """At its price, by the exchange's market data; nobody else is there."""
        world = self.world
        board = world.engine.book(world.name, world.symbol)
        listing = world.engine.core.listings[0]
        wanted = int(world.price(self.price).scaleb(listing.price_decimals))
        return sum(Decimal(int(level["quantity"])).scaleb(-listing.quantity_decimals)
                   for level in board["bids" if self.side == "buy" else "asks"] if level["price"] == wanted)

    def run(self, seconds):
        def look():
            self.most = max(self.most, self.published())
            return False
        self.world.run(seconds, look)
        look()

    def sell(self, quantity):
        """Somebody trades with it."""
        self.sold += Decimal(quantity)
        self.world.sell(self.price, quantity)
        self.run(1)

    @property
    def shown(self):
        """What is left of the part that it shows, if every part is used up before the next one comes."""
        return min(self.display - self.sold % self.display, self.quantity - self.sold)

    @property
    def orders(self):
        """All that were ever placed, as the exchange has them: (quantity, display)."""
        def decimal(order, value):
            return Decimal(value).scaleb(-order.instrument.quantity_decimals)
        return [(decimal(order, order.quantity), decimal(order, order.display))
                for order in self.world.venue.desk.orders.values()]

    @property
    def state(self):
        return self.world.engine.parent(self.parent)


@pytest.mark.parametrize("name", EXCHANGES)
def test_one_order_is_refilled_by_the_exchange(make, name):
    world = make(name)
    iceberg = Iceberg(world)
    assert iceberg.state.working == 2
    for size in ("0.5", "0.2", "0.3", "0.9"):
        assert iceberg.published() == iceberg.shown
        iceberg.sell(size)
        assert iceberg.state.filled == iceberg.sold == world.held() == world.position()
    assert iceberg.published() == iceberg.shown == Decimal("0.1")
    iceberg.sell("0.1")
    state = world.engine.wait(iceberg.parent, 5)
    assert (state.status, state.filled, state.average_price) == ("PARENT_DONE", 2, world.price(iceberg.price))
    assert iceberg.orders == [(2, Decimal("0.7"))] and iceberg.most == Decimal("0.7")
    assert world.messages == 1


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize("post_only", [False, True])
def test_its_turn_comes_again_after_the_others(make, name, post_only):
    """What it shows next stands behind who came in the meantime."""
    world = make(name)
    iceberg = Iceberg(world, quantity="2", display="0.7", post_only=post_only)
    world.quote(Side.BUY, iceberg.price, "0.4")
    iceberg.run(1)
    assert iceberg.published() == Decimal("1.1")
    somebody_takes(world, iceberg.price, "0.8")
    iceberg.run(1)
    assert iceberg.state.filled == Decimal("0.7")           # and 0.1 of the other
    assert iceberg.published() == Decimal("0.3") + Decimal("0.7")
    somebody_takes(world, iceberg.price, "0.6")
    iceberg.run(1)
    assert iceberg.state.filled == Decimal("1") and world.placed == 1


def somebody_takes(world, price, quantity):
    """Exactly so much at that price, whoever's it is."""
    world.quote(Side.SELL, price, quantity)


@pytest.mark.parametrize("name", EXCHANGES)
def test_too_many_parts_are_sent_one_by_one_until_the_rest_is_allowed(make, name):
    """Of one part more than the exchange takes the first is an order of its own."""
    world = make(name)
    part = Decimal("0.02")
    iceberg = Iceberg(world, quantity=str((MOST[name] + 1) * part), display=str(part))
    assert iceberg.orders == [(part, 0)]
    iceberg.sell(part)
    assert iceberg.orders == [(part, 0), (MOST[name] * part, part)]
    iceberg.sell(MOST[name] * part)
    assert world.engine.wait(iceberg.parent, 5).filled == (MOST[name] + 1) * part == world.held()
    assert len(iceberg.orders) == 2 and iceberg.most == part


@pytest.mark.parametrize("name", EXCHANGES)
def test_what_shows_all_of_itself_is_no_iceberg(make, name):
    iceberg = Iceberg(make(name), quantity="0.7", display="0.7")
    assert iceberg.orders == [(Decimal("0.7"), 0)]


@pytest.mark.parametrize(("entry", "filters"), [
    ({"icebergAllowed": False}, []), ({}, [{"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 5}])])
def test_a_symbol_of_binance_may_have_none(make, monkeypatch, entry, filters):
    def symbol_info(self, instrument, of=BinanceSpot.symbol_info):
        told = of(self, instrument)
        return told | entry | {"filters": told["filters"] + filters}
    monkeypatch.setattr(BinanceSpot, "symbol_info", symbol_info)
    iceberg = Iceberg(make("alpha"))
    for size in ("0.7", "0.7", "0.6"):
        iceberg.sell(size)
    assert iceberg.orders == [(Decimal(size), 0) for size in ("0.7", "0.7", "0.6")]
    assert iceberg.most == Decimal("0.7") and iceberg.state.filled == 2


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize("limits", [{"maximum_order_quantity": "1.5"}, {"maximum_order_notional": "80000"},
                                    {"maximum_position": "1.5"}])
def test_what_may_not_be_out_at_once_is_sent_one_by_one(make, monkeypatch, name, limits):
    """Somebody's limit on an order, or on the position, is no reason to send nothing."""
    own = {"maximum_position": "500", "maximum_order_quantity": "100", "maximum_order_notional": "20000000",
           "collar": "0.01"} | limits
    monkeypatch.setattr(doubtful, "LIMITS", replace(LIMITS, instruments={INSTRUMENT: Limits(**own)}))
    iceberg = Iceberg(make(name))
    assert iceberg.orders == [(Decimal("0.7"), 0)]
    iceberg.sell("0.7")
    assert iceberg.orders[1] in [(Decimal("1.3"), Decimal("0.7")), (Decimal("0.7"), 0)]
    assert iceberg.most == Decimal("0.7")


@pytest.mark.parametrize("name", EXCHANGES)
def test_it_is_made_smaller_in_place(make, name):
    world = make(name)
    iceberg = Iceberg(world)
    iceberg.sell("0.9")
    world.engine.replace(iceberg.parent, quantity="1.8")
    iceberg.run(1)
    assert (iceberg.state.quantity, iceberg.state.working) == (Decimal("1.8"), Decimal("0.9"))
    assert (world.placed, world.amends, world.cancels) == (1, 1, 0)
    assert iceberg.orders == [(Decimal("1.8"), Decimal("0.7"))] and iceberg.published() == Decimal("0.5")
    iceberg.sell("0.9")
    assert world.engine.wait(iceberg.parent, 5).filled == Decimal("1.8") and iceberg.most == Decimal("0.7")


def test_it_is_made_larger_in_place_as_far_as_the_parts_go(make):
    """Kraken changes quantities upwards too; Binance has another order of the whole."""
    world = make("gamma")
    iceberg = Iceberg(world, quantity="0.2", display="0.02")
    world.engine.replace(iceberg.parent, quantity="0.3")
    iceberg.run(1)
    assert iceberg.orders == [(Decimal("0.3"), Decimal("0.02"))] and world.amends == 1
    world.engine.replace(iceberg.parent, quantity="0.31")
    iceberg.run(1)
    assert iceberg.orders[1:] == [(Decimal("0.02"), 0)] and (world.amends, world.cancels) == (1, 1)
    assert iceberg.state.quantity == Decimal("0.31") and iceberg.most == Decimal("0.02")


@pytest.mark.parametrize("name", EXCHANGES)
def test_it_is_moved(make, name):
    world = make(name)
    iceberg = Iceberg(world)
    iceberg.sell("0.9")
    iceberg.price += world.tick
    world.engine.replace(iceberg.parent, limit_price=world.price(iceberg.price))
    iceberg.run(2)
    assert iceberg.published() in (Decimal("0.7"), Decimal("0.5")) and iceberg.state.working == Decimal("1.1")
    assert (world.placed, world.amends, world.cancels) == {"alpha": (2, 0, 1), "gamma": (1, 1, 0)}[name]
    iceberg.sell("1.1")
    assert world.engine.wait(iceberg.parent, 5).filled == 2 == world.held() and iceberg.most <= Decimal("0.7")


@pytest.mark.parametrize("name", EXCHANGES)
def test_what_is_left_of_it_is_cancelled_and_crosses(make, name):
    world = make(name)
    iceberg = Iceberg(world, seconds=10, must_complete=True)
    iceberg.sell("0.8")
    state = world.engine.wait(iceberg.parent, 15)
    assert (state.filled, state.reason) == (2, "OK") and world.cancels == 1
    assert iceberg.orders[0] == (2, Decimal("0.7")) and iceberg.orders[1][1] == 0


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_peg_sees_others_beside_what_an_iceberg_of_ours_shows(make, name):
    """What it hides is no reason to take all that stands at its price for ours."""
    world = make(name)
    low, _ = world.stand()
    iceberg = Iceberg(world)
    peg = world.peg("0.5")
    world.run(1)
    order, = [each for each in world.resting() if each.price != iceberg.price]
    assert order.price == low                       # there is nobody but us
    world.quote(Side.BUY, iceberg.price, "0.1")
    world.run(2)
    assert [each.price for each in world.resting()] == [iceberg.price] * 2
    assert world.engine.parent(peg).working == Decimal("0.5")


# --- on record -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A recorded run with an iceberg on either exchange; (directory, parent ids by exchange)."""
    directory = tmp_path_factory.mktemp("icebergs")
    with Simulation(seed=5, server="direct", record=True, directory=directory) as shown:
        parents = {}
        for name in EXCHANGES:
            listing = next(one for one in shown.engine.core.listings if one.exchange == name)
            best = int(shown.engine.book(name, listing.symbol)["bids"][0]["price"])
            parents[name] = shown.engine.submit(INSTRUMENT, "buy", "2", Decimal(best).scaleb(-listing.price_decimals),
                                                display="0.3", exchanges=(name,), algorithm="resting")
        shown.engine.run(1)
        shown.engine.run(60, lambda: all(shown.engine.parent(each).filled > Decimal("0.3")
                                         for each in parents.values()))
        for each in parents.values():
            assert shown.engine.parent(each).filled > Decimal("0.3")
    return directory, parents


def test_a_replay_gives_the_same_orders(run):
    replayed = replay(run[0])
    assert replayed.difference == "" and replayed.equal and replayed.orders == 2


@pytest.mark.parametrize("name", EXCHANGES)
def test_it_is_told_with_its_display(run, name):
    directory, parents = run
    order, = tree(directory, parents[name]).orders
    assert (order.quantity, order.display) == (2, Decimal("0.3"))
    assert f"├─ {name} 2 showing 0.3 [" in str(tree(directory, parents[name]))
    told = explain.explain(directory, parents[name])
    assert any(f"{name}: 2 BTC, showing 0.3 at a time, limit" in line for line in explain_words.story(told))
    intent, = [row.fields for row in rows(directory)
               if row.kind == "INTENT" and row.fields["parent_id"] == parents[name]]
    assert (intent["quantity"], intent["display"]) == (2, Decimal("0.3"))


def test_how_many_parts_there_may_be_is_on_record(run):
    started = next(RunStart.load(record.decode()) for record in journal.read(run[0])
                   if record.kind == RecordKind.RUN_START)
    assert {one.exchange: one.most_parts for one in started.listings} == MOST | {"beta": MOST["alpha"]}
    assert CHILD_ORDER_DTYPE.itemsize == 128


# --- as others see it ------------------------------------------------------------------------------------------------


def free_price(exchange, symbol):
    """Four in a thousand below the best bid, or a little lower: where nobody is."""
    def look():
        book = exchange.exchange.source.books[symbol]
        price = book.look()[0] * 996 // 1000 // book.instrument.tick * book.instrument.tick
        taken = {at for at, _ in book.levels(Side.BUY, 5000)}
        while price in taken:
            price -= book.instrument.tick
        return Decimal(price).scaleb(-book.instrument.price_decimals)
    return exchange.call(look)


@pytest.mark.parametrize("name", EXCHANGES)
def test_ccxt_reads_the_whole_of_it_and_sees_its_tip(name):
    venue = next(one for one in VENUES if one.name == name)
    with Simulation(seed=5, tls=False, in_process=True) as shown:
        engine = shown.engine
        listing = next(one for one in engine.core.listings if one.exchange == name)
        price = free_price(shown._running[name], listing.symbol)
        engine.submit(INSTRUMENT, "buy", "2", price, display="0.7", exchanges=(name,), algorithm="resting")
        engine.run(10, lambda: any(order.exchange_order_id for order in engine.orders.orders()))
        client = client_of(ccxt, venue.protocol, shown._running[name], AccountSettings(KEY, secret_of(venue)))
        if venue.protocol == "kraken_v2":
            client.nonce = time.time_ns             # as the engine, whose key it uses, so that it only grows
        order, = client.fetch_open_orders("BTC/USDT")
        assert (order["amount"], order["remaining"], order["price"]) == (2, 2, float(price))
        shown_there = [amount for at, amount, *_ in client.fetch_order_book("BTC/USDT", 500)["bids"]
                       if Decimal(repr(at)) == price]
        assert shown_there == [0.7]
