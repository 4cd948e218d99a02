"""What routing costs: ways of sending the same quantity into the same moving books, and the state that all end in.

**Books** are seen late and orders arrive late, each by the exchange's one-way delay, reports too. So what is displayed
fades: a leg is matched, within its limit price, against the book as it is when it arrives. What a contestant took of a
price stays gone for it until the end. The books do not answer to it otherwise.

**Contestants** see the best BOARD_DEPTH levels and fees of every exchange, and send immediate-or-cancel legs, each at
the worst price that it needs by what is seen.

**The end** is the same for all: the whole quantity is traded. What is left at the horizon is traded then, at the all-in
price of the books of that moment, seen without delay, by the cheapest split over all of them.

**The cost** is what was paid (received), fees included, against the mid of all exchanges together at the moment of the
decision, in basis points. Money is in integers until that division.

The router's part is done by `route` as `routing.pxd` does it: it splits what remains over the exchanges that have
nothing of it under way and whose book has changed since the last order there ended, with every report and every
change that is seen. The split is the router's own native one.
"""
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from orderflow._core.algos.patience import looks, share_at
from orderflow._core.allocation import Splitter
from orderflow._core.types import Side
from orderflow.routing import BOARD_DEPTH

FEE_UNIT = 10**8
WHOLE = 10**6
#: Of an order that has two seconds and is in no haste.
URGENCY = 25
ROUTER, AT_ONCE = f"router, urgency {URGENCY}", "router, at once"
WALK = "walk with fees, no re-route (ccxt's rule)"
BPS = 10_000


class Task(NamedTuple):
    """One order: the same for every contestant. Times are those of the market's clock."""

    side: int
    quantity: int
    at_ns: int
    end_ns: int


class Leg(NamedTuple):
    """An immediate-or-cancel order to the exchange of that index."""

    exchange: int
    quantity: int
    limit: int


class Fill(NamedTuple):
    at_ns: int
    exchange: int
    price: int
    quantity: int


class Result(NamedTuple):
    """`cost_bps` of the whole; `late` is the part of the quantity that was left to the horizon, `legs` those before."""

    cost_bps: float
    late: float
    legs: int


class Splits:
    """The native split over a market's exchanges, by what they charge and by price alone."""

    def __init__(self, market):
        listings = market.listings()
        free = listings.copy()
        free["taker_fee"] = 0
        depth = max(len(levels) for one in market.exchanges for side in (one.bids, one.asks) for levels in side)
        self.all_in = Splitter(listings, depth=depth)
        self.by_price = Splitter(free, depth=depth)


@dataclass
class Trial:
    """A contestant's attempt at one task: what it sees, what it sends and what it has got."""

    market: object
    splits: Splits
    task: Task
    fills: list[Fill] = field(default_factory=list)
    legs: int = 0

    @property
    def remaining(self) -> int:
        """Quantity that is not filled."""
        return self.task.quantity - sum(fill.quantity for fill in self.fills)

    def left(self, exchange: int, at_ns: int) -> np.ndarray:
        """What the exchange has then for a taker, without what this contestant took there before."""
        levels = self.market.exchanges[exchange].offered(self.task.side, at_ns)
        mine = [fill for fill in self.fills if fill.exchange == exchange and fill.at_ns <= at_ns]
        if not mine:
            return levels
        levels = levels.copy()
        for fill in mine:
            levels["quantity"][levels["price"] == fill.price] -= fill.quantity
        return levels[levels["quantity"] > 0]

    def seen(self, at_ns: int) -> list[np.ndarray]:
        """The boards of all exchanges, each as late as it is."""
        return [self.left(i, at_ns - one.delay_ns)[:BOARD_DEPTH] for i, one in enumerate(self.market.exchanges)]

    def send(self, leg: Leg, now_ns: int) -> int:
        """What it gets when it arrives."""
        at_ns = now_ns + self.market.exchanges[leg.exchange].delay_ns
        wanted, self.legs = leg.quantity, self.legs + 1
        for price, quantity in self.left(leg.exchange, at_ns).tolist():
            if not wanted or (price > leg.limit if self.task.side == Side.BUY else price < leg.limit):
                break
            self.fills.append(Fill(at_ns, leg.exchange, price, min(quantity, wanted)))
            wanted -= self.fills[-1].quantity
        return leg.quantity - wanted

    def finish(self) -> Result:
        """Trade what is left at the horizon, and tell what the whole has cost."""
        rest, end_ns = self.remaining, self.task.end_ns
        if rest:
            books = [self.left(i, end_ns) for i in range(len(self.market.exchanges))]
            for i, (part, _) in enumerate(self.splits.all_in.split(self.task.side, rest, books).parts):
                for price, quantity in books[i].tolist():
                    taken = min(part, quantity)
                    if taken:
                        self.fills.append(Fill(end_ns, i, price, taken))
                    part -= taken
        if self.remaining:
            raise ValueError(f"the books have {self.remaining} less than the task needs: try a smaller quantity")
        sign = 1 if self.task.side == Side.BUY else -1
        paid = sum(fill.price * fill.quantity * (FEE_UNIT + sign * self.market.exchanges[fill.exchange].taker_fee)
                   for fill in self.fills)
        fair = Fraction(self.market.twice_mid(self.task.at_ns), 2) * self.task.quantity * FEE_UNIT
        return Result(float(sign * (paid / fair - 1) * BPS), rest / self.task.quantity, self.legs)


# -- contestants: each sends its legs; what they do not get is left to the horizon ------------------------------------

def route(trial: Trial, urgency: int) -> None:
    """The router: split, send, and again with what failed, until no answer could come before the horizon."""
    exchanges, task = trial.market.exchanges, trial.task
    now_ns, working = task.at_ns, 0
    reports: list[tuple[int, int, int]] = []                # when it is heard, exchange, quantity asked for
    spent = [-1] * len(exchanges)                           # the book that was seen when the last order there ended
    pending = looks(task.at_ns, task.end_ns) if urgency < 100 else []
    while True:
        for report in sorted(one for one in reports if one[0] <= now_ns):
            reports.remove(report)
            working -= report[2]
            spent[report[1]] = exchanges[report[1]].index(now_ns - exchanges[report[1]].delay_ns)
        filled = sum(fill.quantity for fill in trial.fills
                     if fill.at_ns + exchanges[fill.exchange].delay_ns <= now_ns)
        wanted = task.quantity - filled - working
        busy = {report[1] for report in reports}
        usable = [i not in busy and one.index(now_ns - one.delay_ns) > spent[i]
                  and now_ns + 2 * one.delay_ns <= task.end_ns for i, one in enumerate(exchanges)]
        if wanted > 0 and any(usable):
            for i, (quantity, limit) in enumerate(split_patiently(trial, wanted, usable, urgency, now_ns)):
                if quantity:
                    trial.send(Leg(i, quantity, limit), now_ns)
                    reports.append((now_ns + 2 * exchanges[i].delay_ns, i, quantity))
                    working += quantity
                    wanted -= quantity
        pending = [at_ns for at_ns in pending if at_ns > now_ns]
        due = [report[0] for report in reports]
        if wanted > 0:
            due += [at_ns for one in exchanges if (at_ns := next_change(one, now_ns)) is not None] + pending[:1]
        if not due or min(due) > task.end_ns or trial.remaining == 0:
            return
        now_ns = min(due)


def split_patiently(trial: Trial, wanted: int, usable: list[bool], urgency: int, now_ns: int) -> list[tuple[int, int]]:
    """(quantity, limit) of each exchange's part, of what may be paid by now."""
    task, exchanges, seen = trial.task, trial.market.exchanges, trial.seen(now_ns)
    parts = trial.splits.all_in.split(task.side, wanted, seen, usable=usable).parts
    part = share_at(urgency, task.at_ns, task.end_ns, now_ns) if urgency < 100 else WHOLE
    needed = [all_in(task, exchanges[i], limit) for i, (quantity, limit) in enumerate(parts) if quantity]
    if not needed or part == WHOLE:
        return parts
    best = min(all_in(task, one, int(levels["price"][0])) for one, levels in zip(exchanges, seen, strict=True)
               if len(levels))
    most = best + (max(needed) - best) * part // WHOLE
    seen = [levels[[all_in(task, one, price) <= most for price in levels["price"].tolist()]] if len(levels) else levels
            for one, levels in zip(exchanges, seen, strict=True)]
    return trial.splits.all_in.split(task.side, wanted, seen, usable=usable).parts


def all_in(task: Task, exchange, price: int) -> int:
    """What a unit costs after fees; of a sale what it brings, negative."""
    sign = 1 if task.side == Side.BUY else -1
    return sign * price * (FEE_UNIT + sign * exchange.taker_fee)


def route_patiently(trial: Trial) -> None:
    """The router, of an order that may take the two seconds that it has."""
    route(trial, urgency=URGENCY)


def route_at_once(trial: Trial) -> None:
    """The router, of an order that is in haste."""
    route(trial, urgency=100)


def next_change(exchange, now_ns: int) -> int | None:
    """When the exchange's next book is seen; None after the last."""
    following = exchange.index(now_ns - exchange.delay_ns) + 1
    return exchange.times_ns[following] + exchange.delay_ns if following < len(exchange.times_ns) else None


def take_best_single(trial: Trial) -> None:
    """All of it to the one exchange that fills most and, of those, costs least with fees."""
    sign = 1 if trial.task.side == Side.BUY else -1
    seen, count = trial.seen(trial.task.at_ns), len(trial.market.exchanges)
    alone = [trial.splits.all_in.split(trial.task.side, trial.task.quantity, seen,
                                       usable=[j == i for j in range(count)]) for i in range(count)]
    best = min(range(count), key=lambda i: (-alone[i].quantity, sign * alone[i].all_in))
    if alone[best].quantity:
        trial.send(Leg(best, *alone[best].parts[best]), trial.task.at_ns)


def split_equally(trial: Trial) -> None:
    """The same to each, or what it shows where that is less; odd lots to the first."""
    lots, count, lot = trial.task.quantity // trial.market.lot, len(trial.market.exchanges), trial.market.lot
    for i, levels in enumerate(trial.seen(trial.task.at_ns)):
        part = (lots // count + (i < lots % count)) * lot
        sums = np.cumsum(levels["quantity"])
        part = min(part, int(sums[-1]))
        if part:
            limit = int(levels["price"][np.searchsorted(sums, part)])
            trial.send(Leg(i, part, limit), trial.task.at_ns)


def sweep_by_price(trial: Trial) -> None:
    """The best prices of all exchanges first, without a look at fees."""
    parts = trial.splits.by_price.split(trial.task.side, trial.task.quantity, trial.seen(trial.task.at_ns)).parts
    for i, (quantity, limit) in enumerate(parts):
        if quantity:
            trial.send(Leg(i, quantity, limit), trial.task.at_ns)


def walk_all_in(trial: Trial) -> None:
    """The rule of ccxt's client-side order router: walk all books by price after fees, one leg an exchange, and leave
    what fails."""
    sign = 1 if trial.task.side == Side.BUY else -1
    levels = sorted(
        (sign * price * (FEE_UNIT + sign * one.taker_fee), i, price, quantity)
        for i, (one, seen) in enumerate(zip(trial.market.exchanges, trial.seen(trial.task.at_ns), strict=True))
        for price, quantity in seen.tolist())
    wanted, legs = trial.task.quantity, {}
    for _, i, price, quantity in levels:
        part = min(wanted, quantity)
        if part:
            legs[i] = Leg(i, part + (legs[i].quantity if i in legs else 0), price)
        wanted -= part
    for leg in legs.values():
        trial.send(leg, trial.task.at_ns)


#: By name; the first is what the others are compared with.
CONTESTANTS: dict[str, Callable[[Trial], None]] = {
    ROUTER: route_patiently,
    AT_ONCE: route_at_once,
    "best single exchange": take_best_single,
    "equal split": split_equally,
    "sweep by price, fee-blind": sweep_by_price,
    WALK: walk_all_in,
}


# -- the contest ------------------------------------------------------------------------------------------------------

def tasks(market, random, count: int, horizon_ns: int) -> list[Task]:
    """Moments and sides drawn evenly; quantities evenly in their logarithm from a hundredth to a half of what the
    exchanges display together at that moment."""
    first_ns = market.begin_ns + max(one.delay_ns for one in market.exchanges)
    drawn = []
    for at_ns in random.integers(first_ns, market.end_ns - horizon_ns, count).tolist():
        side = int(random.choice([Side.BUY, Side.SELL]))
        shown = sum(int(one.offered(side, at_ns)["quantity"][:BOARD_DEPTH].sum()) for one in market.exchanges)
        part = float(np.exp(random.uniform(np.log(0.01), np.log(0.5))))
        lots = max(int(shown * part) // market.lot, len(market.exchanges))
        drawn.append(Task(side, lots * market.lot, at_ns, at_ns + horizon_ns))
    return drawn


def contest(market, splits: Splits, drawn: list[Task]) -> dict[str, list[Result]]:
    """What every contestant has come to in each task."""
    found: dict[str, list[Result]] = {}
    for name, contestant in CONTESTANTS.items():
        found[name] = []
        for task in drawn:
            trial = Trial(market, splits, task)
            contestant(trial)
            found[name].append(trial.finish())
    return found
