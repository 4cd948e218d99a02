"""A simulated exchange on which nothing happens but what a test does, and an engine that trades on it.

Its own agents stand at least ten ticks from the middle and stay there; a test moves the touch between.
"""
from collections import Counter
from decimal import Decimal

from orderflow._core.types import Side
from orderflow.research.simulation import INSTRUMENT
from orderflow.simulator.agents import Temper
from tests import somebody
from tests.doubtful import World

#: Nobody trades or moves; far away somebody comes and goes, so that the book is alive.
STILL = Temper(volatility=0, deviation=0, jumps=0, near_rate=5, near_distance=5000, near_life=1, deep_rate=1e-4,
               deep_life=1e6, deep_distance=200, noise_rate=0, arbitrage_rate=0)


class Quiet(World):
    """See the module."""

    def __init__(self, name, **options):
        super().__init__(name, temper=STILL, **options)
        self.numbers, self.said = 100, Counter()
        bid, ask = self.touch()
        #: Half way between, on the tick.
        self.middle = (bid + ask) // 2 // self.tick * self.tick

    def ours(self, side, price):
        """What the exchange's book has of our orders at a price."""
        return sum(somebody.shown(self.book, order) for order in self.resting()
                   if (order.side, order.price) == (side, price))

    def touch(self):
        """Best bid and best ask of others."""
        return tuple(next(price for price, quantity in self.book.levels(side, 20)
                          if quantity > self.ours(side, price)) for side in (Side.BUY, Side.SELL))

    def quote(self, side, price, quantity="1"):
        """Somebody's order; its number."""
        self.numbers += 1
        somebody.quotes(self.venue, self.symbol, side, price, quantity, self.numbers, self.engine.now_ns)
        return self.numbers

    def bid(self, ticks, quantity="1"):
        """Somebody bids so many ticks from the middle; (the order's number, its price)."""
        return self.quote(Side.BUY, self.middle + ticks * self.tick, quantity), self.middle + ticks * self.tick

    def ask(self, ticks, quantity="1"):
        return self.quote(Side.SELL, self.middle + ticks * self.tick, quantity), self.middle + ticks * self.tick

    def stand(self, bid=-5, ask=6, quantity="1"):
        """Somebody stands on both sides, and the engine knows it; both prices."""
        prices = self.bid(bid, quantity)[1], self.ask(ask, quantity)[1]
        self.run(0.5)
        return prices

    def leave(self, number):
        somebody.quotes(self.venue, self.symbol, Side.BUY, self.middle, 0, number, self.engine.now_ns)

    @property
    def symbol(self):
        return self.engine.core.listings[0].symbol

    def peg(self, quantity="2", side="buy", peg="primary", **more):
        return self.engine.submit(INSTRUMENT, side, quantity, algorithm="peg", peg=peg, **more)

    @property
    def only(self):
        """The one order that is out."""
        order, = self.resting()
        return order

    @property
    def messages(self):
        return self.placed + self.cancels + self.amends

    def comes_clear(self, parent, most):
        """When the exchange is heard again a parent order ends, with no more than `most`, and everybody says the same.
        """
        self.mute = False
        self.run(120, lambda: self.engine.parent(parent).status == "PARENT_DONE")
        assert self.engine.parent(parent).status == "PARENT_DONE"
        assert self.engine.parent(parent).filled == self.held() == self.position() <= most
        assert self.resting() == [] and self.engine.orders.audit() == []
        assert self.engine.router.counts["faults"] == 0

    def leaves(self):
        return sum((Decimal(order.leaves).scaleb(-order.instrument.quantity_decimals) for order in self.resting()),
                   Decimal(0))


def quiet_worlds():
    """For a fixture: a function that starts one, with the options of Quiet; in the end the books of all are right."""
    worlds = []

    def made(name, **options):
        worlds.append(Quiet(name, **options))
        return worlds[-1]

    yield made
    for world in worlds:
        assert world.engine.orders.audit() == [] and world.engine.router.counts["faults"] == 0
        world.engine.stop()
