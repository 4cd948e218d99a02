"""The demonstration: three simulated exchanges, the engine, a cross-exchange strategy and one large parent order.

The parent order buys more than any single one of them holds at a fair price.
"""
from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from orderflow._core.strategies.dislocation import Dislocation
from orderflow.cli import reconcile, summary
from orderflow.engine import Engine
from orderflow.instrument import from_scaled
from orderflow.parents import ParentState
from orderflow.research.simulation import BALANCES, INSTRUMENT, Simulation

WARM_UP_S = 2.0
PARENT_S = 10.0
#: How long orders that are under way at the end may take to be answered.
SETTLE_S = 5.0
#: The parent order buys so many times what the deepest exchange shows: more than any one of them holds, about what they
#: hold together. At five times, patience begins to pay more than breadth, which is another lesson.
APPETITE = 2


@dataclass(slots=True)
class Plan:
    """What to run.

    Attributes
    ----------
    quantity : str
        Of the parent order; empty = APPETITE times what the deepest exchange shows.
    """

    seconds: float = 20.0
    seed: int = 7
    server: str = "sync"
    policy: str = "best"
    quantity: str = ""
    layout: str = "split"
    wait: str = "park"
    tls: bool = True
    directory: str | None = None
    record: bool = False


@dataclass(slots=True)
class Outcome:
    """What came of it; `engine` is stopped and can still be read.

    Attributes
    ----------
    alone : dict of str -> Decimal
        All-in price of buying everything at once on that exchange alone, when the parent order was submitted.
    exchanges : list of dict
        Frames and books as they were before the connections closed.
    truth : dict of str -> dict
        What each exchange itself has on record.
    orders : Journalled
        What we have.
    differences : list of str
        Where the two do not agree, and what the audit of the order table found; empty when conservation holds.
    mid : Decimal or None
        Of all books together, at the end.
    """

    plan: Plan
    engine: Engine
    parent: ParentState | None
    alone: dict[str, Decimal]
    exchanges: list[dict]
    truth: dict[str, dict]
    orders: reconcile.Journalled
    differences: list[str]
    mid: Decimal | None
    elapsed_s: float
    trades: int
    problems: list[str] = field(default_factory=list)


class Demonstration:
    """Sets everything up, runs it, and takes it down; a context manager around `run`."""

    def __init__(self, plan: Plan, report: Callable[[str], None] | None = None):
        self.plan = plan
        self.problems: list[str] = []
        self._report = report or self.problems.append
        self.strategy = Dislocation(0, 5 * 10**7, edge=10_000)
        self.parent_id = 0
        self.alone: dict[str, Decimal] = {}
        self.passed_s = 0.0
        self._temporary = tempfile.TemporaryDirectory(prefix="orderflow-") if plan.directory is None else None
        self.directory = Path(self._temporary.name if self._temporary else plan.directory)
        self._simulation = Simulation(
            plan.seed, plan.server, [self.strategy], tls=plan.tls, report=self._report, policy=plan.policy,
            layout=plan.layout, wait=plan.wait, directory=self.directory, record=plan.record)

    @property
    def engine(self) -> Engine | None:
        """None before it was started."""
        return self._simulation.engine

    def __enter__(self) -> Demonstration:
        try:
            self._simulation.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.close()

    # -- the run ----------------------------------------------------------------------------------------------------

    def run(self, watch: Callable[[Demonstration], None] = lambda demonstration: None, step_s: float = 0.1,
            over: Callable[[], object] = lambda: False) -> Outcome:
        """Warm up, submit the parent order, let the time pass; `watch` is called every `step_s` seconds.

        `over` ends it before its time; KeyboardInterrupt if there is no parent order yet, so nothing to tell.
        """
        began = time.monotonic()
        engine, plan = self.engine, self.plan
        while self.passed_s < plan.seconds and not over():
            if not self.parent_id and self.passed_s >= min(WARM_UP_S, plan.seconds / 4):
                quantity = Decimal(plan.quantity) if plan.quantity else self._fitting_quantity()
                self.alone = self.cost_alone(quantity)
                self.parent_id = engine.submit(INSTRUMENT, "buy", quantity, seconds=min(PARENT_S, plan.seconds / 2))
            engine.run(step_s)
            self.passed_s += step_s
            watch(self)
        if not self.parent_id:
            raise KeyboardInterrupt
        engine.pause()
        engine.run(SETTLE_S, lambda: engine.settled)
        exchanges, mid = summary.exchanges(engine), summary.mid(engine, INSTRUMENT)
        engine.stop()
        orders, truth = reconcile.journalled(self.directory, engine), self._simulation.truth()
        wrong = [*self._excesses(), *engine.orders.audit(), *reconcile.differences(orders, engine, truth, BALANCES)]
        return Outcome(plan, engine, engine.parent(self.parent_id), self.alone, exchanges, truth, orders, wrong, mid,
                       time.monotonic() - began, self.strategy.trades, self.problems)

    def _excesses(self) -> list[str]:
        """Parents of which more was filled, works or is in doubt than was asked for."""
        return [f"parent order {view.parent_id}: {view.filled} filled, {view.working} working and {view.in_doubt} in "
                f"doubt of {view.quantity}" for view in self.engine.orders.parents()
                if view.filled + view.working + view.in_doubt > view.quantity]

    def _fitting_quantity(self) -> Decimal:
        deepest = max(sum((quantity for _, quantity in self._asks(index)), Decimal(0))
                      for index in range(len(self.engine.core.listings)))
        return (deepest * APPETITE).quantize(Decimal("0.001"))

    def _asks(self, index: int) -> list[tuple[Decimal, Decimal]]:
        listing = self.engine.core.listings[index]
        entry = self.engine.core.board.read(index)
        return [(from_scaled(level["price"], listing.price_decimals),
                 from_scaled(level["quantity"], listing.quantity_decimals))
                for level in entry["asks"][:int(entry["ask_count"])]]

    def cost_alone(self, quantity: Decimal) -> dict[str, Decimal]:
        """All-in price of buying everything at once on each exchange alone, by exchange.

        Beyond what it shows, a book is assumed to go on as thick as it is shown; an exchange that shows nothing is left
        out.
        """
        prices = {}
        for index, listing in enumerate(self.engine.core.listings):
            asks = self._asks(index)
            if not asks:
                continue
            left, cost = quantity, Decimal(0)
            for price, available in asks:
                taken = min(left, available)
                cost += taken * price
                left -= taken
            first, last, shown = asks[0][0], asks[-1][0], sum(available for _, available in asks)
            cost += left * (last + left * (last - first) / shown / 2)
            prices[listing.exchange] = cost / quantity * (1 + listing.taker_fee)
        return prices

    def close(self) -> None:
        """Take everything down. Idempotent."""
        self._simulation.stop()
        if self._temporary is not None:
            self._temporary.cleanup()
