"""Seeded background traders around one hidden common price.

The flow of orders is a function of simulated time and of the seed alone: agents never look at the book, so neither
the moments at which they are asked nor our own orders change what they send; only what they find is changed. Every
exchange computes the same hidden price from the seed, which is what correlates exchanges that share nothing else, and
adds a deviation of its own that reverts to zero and jumps now and then: a dislocation.

* providers post limit orders around the fair price and withdraw each after a while, near the touch soon, deep late;
* noise takers buy and sell at random;
* an arbitrageur takes whatever the fair price has run over.
"""
import heapq
import math
import random
from dataclasses import dataclass
from typing import Any, NamedTuple

from orderflow._core.types import Side, TimeInForce
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.instruments import SimulatedInstrument

STEP_NS = 20_000_000            # of the hidden price
BASIS_POINT = 1e-4
FIRST_ORDER_ID = 1 << 48        # ids below are free for the orders of accounts
REACH = 0.003                   # how far from the fair price a noise taker goes, as a fraction


@dataclass(frozen=True)
class Temper:
    """How a market behaves. Rates are per second of simulated time, lifetimes in seconds, distances in basis points."""
    volatility: float = 0.6             # of the hidden price, basis points per square root of a second
    deviation: float = 0.6              # standard deviation of an exchange's own price around the common one
    reversion: float = 1.5              # seconds in which a deviation falls to 1/e
    jumps: float = 0.08                 # dislocations per second
    jump: float = 4.5                   # mean size of one
    near_rate: float = 30.0             # limit orders near the touch, both sides together
    near_distance: float = 0.7
    near_life: float = 1.5
    deep_rate: float = 30.0
    deep_distance: float = 12.0
    deep_life: float = 9.0
    noise_rate: float = 3.0
    arbitrage_rate: float = 20.0
    near_notional: float = 12_000.0     # mean size of an order, in the quote currency
    deep_notional: float = 30_000.0
    noise_notional: float = 5_000.0


class Action(NamedTuple):
    """What an agent does: a new order, or a cancel where quantity is 0."""
    at_ns: int              # simulated time, from 0
    order_id: int
    side: int
    price: int
    quantity: int
    time_in_force: int
    post_only: bool


class FairPrice:
    """The price that one exchange's traders believe in: common random walk times own mean-reverting deviation."""

    def __init__(self, seed, common: str, own: str, start: float, temper: Temper):
        self._walk = random.Random(f"{seed}/{common}")
        self._own = random.Random(f"{seed}/{own}")
        seconds = STEP_NS / SECOND_NS
        self._step = temper.volatility * BASIS_POINT * math.sqrt(seconds)
        self._keep = math.exp(-seconds / temper.reversion)
        self._shock = temper.deviation * BASIS_POINT * math.sqrt(1 - self._keep**2)
        self._jump_chance = temper.jumps * seconds
        self._jump = temper.jump * BASIS_POINT
        self._common = math.log(start)
        self._deviation = 0.0
        self._steps = 0

    def at(self, at_ns: int) -> float:
        """Price at a time that is not before the time asked for last."""
        while self._steps < at_ns // STEP_NS:
            self._steps += 1
            self._common += self._step * self._walk.gauss(0.0, 1.0)
            self._deviation = self._keep * self._deviation + self._shock * self._own.gauss(0.0, 1.0)
            if self._own.random() < self._jump_chance:
                self._deviation += self._own.choice((-1, 1)) * self._own.expovariate(1 / self._jump)
        return math.exp(self._common + self._deviation)


class Flow:
    """Everything that the agents of one instrument on one exchange do, in order of time."""

    def __init__(self, instrument: SimulatedInstrument, start_price: float, seed, exchange: str, temper: Temper):
        self._temper = temper
        self._start_price = start_price
        self._fair = FairPrice(seed, instrument.base, f"{exchange}/{instrument.symbol}", start_price, temper)
        self._random = random.Random(f"{seed}/{exchange}/{instrument.symbol}/flow")
        self.trade(instrument)
        self._due: list[tuple[int, int, Any]] = []                              # (time, sequence, cancel or arrival)
        self._sequence = FIRST_ORDER_ID
        for rate, agent in ((temper.near_rate, self._near), (temper.deep_rate, self._deep),
                            (temper.noise_rate, self._noise), (temper.arbitrage_rate, self._arbitrage)):
            self._schedule(0, rate, agent)
        self._first = self._initial_orders()

    def trade(self, instrument: SimulatedInstrument) -> None:
        """From now on the steps of prices and quantities are those of `instrument`."""
        self._instrument = instrument
        self._ticks = 10**instrument.price_decimals / instrument.tick           # per unit of price
        self._basis_point = self._start_price * BASIS_POINT * self._ticks       # in ticks
        self._lots = 10**instrument.quantity_decimals / instrument.lot / self._start_price     # per unit of notional

    @property
    def next_ns(self) -> int:
        """Simulated time of the next action."""
        return 0 if self._first else self._due[0][0]

    def take(self) -> list[Action]:
        """The actions of the next moment; a moment may turn out to hold none."""
        if self._first:
            first, self._first = self._first, []
            return first
        at_ns, _, what = heapq.heappop(self._due)
        if isinstance(what, Action):
            return [what]
        rate, agent = what
        self._schedule(at_ns, rate, agent)
        return agent(at_ns)

    def _initial_orders(self) -> list[Action]:
        """The book as it would be after a long time: as many orders of each kind as live at once."""
        temper = self._temper
        actions = []
        for _ in range(int(temper.deep_rate * temper.deep_life)):
            actions += self._deep(0)
        for _ in range(int(temper.near_rate * temper.near_life)):
            actions += self._near(0)
        return actions

    def _schedule(self, after_ns: int, rate: float, agent) -> None:
        if rate > 0:
            wait_ns = int(self._random.expovariate(rate) * SECOND_NS)
            heapq.heappush(self._due, (after_ns + wait_ns, self._number(), (rate, agent)))

    def _number(self) -> int:
        self._sequence += 1
        return self._sequence

    def _near(self, at_ns: int) -> list[Action]:
        temper = self._temper
        return self._provide(at_ns, temper.near_distance, temper.near_life, temper.near_notional)

    def _deep(self, at_ns: int) -> list[Action]:
        temper = self._temper
        return self._provide(at_ns, temper.deep_distance, temper.deep_life, temper.deep_notional)

    def _provide(self, at_ns: int, distance: float, life: float, notional: float) -> list[Action]:
        side = self._random.choice((Side.BUY, Side.SELL))
        ticks = self._random.expovariate(1 / (distance * self._basis_point))
        quantity = self._quantity(notional)
        order_id = self._number()
        end_ns = at_ns + int(self._random.expovariate(1 / life) * SECOND_NS)
        heapq.heappush(self._due, (end_ns, self._number(), Action(end_ns, order_id, 0, 0, 0, 0, False)))
        return [self._action(at_ns, order_id, side, -ticks, quantity, TimeInForce.GTC)]

    def _noise(self, at_ns: int) -> list[Action]:
        side = self._random.choice((Side.BUY, Side.SELL))
        quantity = self._quantity(self._temper.noise_notional)
        reach = REACH / BASIS_POINT * self._basis_point
        return [self._action(at_ns, self._number(), side, reach, quantity, TimeInForce.IOC)]

    def _arbitrage(self, at_ns: int) -> list[Action]:
        quantity = 20 * self._quantity(self._temper.deep_notional)
        return [self._action(at_ns, self._number(), side, -1.0, quantity, TimeInForce.IOC)
                for side in (Side.BUY, Side.SELL)]

    def _quantity(self, notional: float) -> int:
        lots = max(1, round(self._random.lognormvariate(-0.32, 0.8) * notional * self._lots))   # of mean 1
        return max(lots * self._instrument.lot, self._instrument.minimum_quantity)

    def _action(self, at_ns, order_id, side, ticks: float, quantity: int, time_in_force) -> Action:
        """An order `ticks` beyond the fair price (on the far side of it where positive)."""
        fair = self._fair.at(at_ns) * self._ticks
        level = math.floor(fair + ticks) if side == Side.BUY else math.ceil(fair - ticks)
        return Action(at_ns, order_id, side, max(1, level) * self._instrument.tick, quantity, time_in_force,
                      time_in_force == TimeInForce.GTC)
