"""The demonstration: three simulated exchanges, the engine, a cross-exchange strategy and one large parent order.

Two exchanges speak Binance's protocol with different fees, one speaks Kraken's; agents trade on all three around one
hidden price, from a seed. The parent order buys more than any single one of them holds at a fair price.
"""
from __future__ import annotations

import base64
import hashlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import httpx

from orderflow._core.doorbell import Doorbell
from orderflow._core.strategies.dislocation import Dislocation
from orderflow.cli import reconcile, summary
from orderflow.engine import Engine, Limits, ParentState
from orderflow.exchanges import session_for
from orderflow.exchanges.session import Credentials, SessionSettings
from orderflow.instrument import from_scaled
from orderflow.servers.async_ import AsyncServer
from orderflow.servers.direct import DirectServer
from orderflow.servers.sync import SyncServer
from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.agents import Temper
from orderflow.simulator.certificates import Authority
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.launch import ExchangeProcess, SimulatorSettings, build

INSTRUMENT = "BTC-USDT"
KEY = "demonstration"
#: The virtual clock of the direct server begins here, so that a seed alone decides everything.
DIRECT_START_NS = 1_700_000_000 * 10**9
WARM_UP_S = 2.0
PARENT_S = 10.0
#: How long orders that are under way at the end may take to be answered.
SETTLE_S = 5.0
#: The agents' markets have been running for so long when the engine connects.
HISTORY_NS = 5 * 10**9


@dataclass(frozen=True, slots=True)
class Venue:
    """One simulated exchange of the demonstration; fees are fractions of the notional."""

    name: str
    protocol: str
    symbol: str
    maker_fee: str
    taker_fee: str


VENUES = (
    Venue("alpha", "binance_spot", "BTCUSDT", "0.0001", "0.00030"),
    Venue("beta", "binance_spot", "BTCUSDT", "0.0001", "0.00020"),
    Venue("gamma", "kraken_v2", "BTC/USDT", "0.0001", "0.00025"),
)
#: Dislocations larger than both fees, as often as a minute of a nervous market has them, so that a demonstration of
#: twenty seconds sees some. Fees are those of an exchange's largest customers for the same reason.
TEMPER = Temper(jumps=0.12, jump=6.0)
#: The parent order buys so many times what the deepest exchange shows: more than any one of them holds, about what they
#: hold together. At five times, patience begins to pay more than breadth, which is another lesson.
APPETITE = 2
BALANCES = {"BTC": "1000", "USDT": "100000000"}
LIMITS = {INSTRUMENT: Limits(maximum_position="500", maximum_order_quantity="100",
                             maximum_order_notional="20000000", collar="0.01")}


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


def secret_of(venue: Venue) -> str:
    """A secret of the kind that the protocol signs with."""
    raw = hashlib.sha256(f"orderflow {venue.name}".encode())
    return base64.b64encode(raw.digest()).decode() if venue.protocol == "kraken_v2" else raw.hexdigest()


def instrument_of(venue: Venue) -> SimulatedInstrument:
    """What the exchange trades: the protocol's usual digits, this exchange's fees."""
    maker_fee, taker_fee = (int(Decimal(fee) * 10**8) for fee in (venue.maker_fee, venue.taker_fee))
    if venue.protocol == "kraken_v2":
        return SimulatedInstrument(venue.symbol, "BTC", "USDT", 1, 8, tick=10, minimum_quantity=5_000,
                                   minimum_notional=5 * 10**7, rest_symbol="XBTUSDT", maker_fee=maker_fee,
                                   taker_fee=taker_fee)
    return SimulatedInstrument(venue.symbol, "BTC", "USDT", 8, 8, tick=10**8, lot=1_000, minimum_quantity=1_000,
                               minimum_notional=5 * 10**8, maker_fee=maker_fee, taker_fee=taker_fee)


def simulator_settings(venue: Venue, seed: int, start_ns: int) -> SimulatorSettings:
    """A simulated exchange with agents and one funded account."""
    account = AccountSettings(KEY, secret_of(venue), balances=BALANCES)
    return SimulatorSettings(venue.name, venue.protocol, seed=seed, origin_ns=start_ns - HISTORY_NS,
                             instruments=(instrument_of(venue),), accounts=(account,), temper=TEMPER)


def session_of(venue: Venue, rest: str, stream: str):
    """The session that trades on one of them."""
    orders = f"{stream}/ws-api/v3" if venue.protocol == "binance_spot" else stream
    return session_for(venue.protocol, SessionSettings(
        venue.name, rest=rest, stream=stream, orders=orders, symbols=(venue.symbol,), trade=True,
        credentials=Credentials(KEY, secret_of(venue))))


class Demonstration:
    """Sets everything up, runs it, and takes it down; a context manager around `run`."""

    def __init__(self, plan: Plan, report: Callable[[str], None] | None = None):
        self.plan = plan
        self.problems: list[str] = []
        self._report = report or self.problems.append
        self.authority: Authority | None = None
        self.processes: list[ExchangeProcess] = []
        self.exchanges: dict = {}
        self.engine: Engine | None = None
        self.parent_id = 0
        self.alone: dict[str, Decimal] = {}
        self.passed_s = 0.0
        self._temporary = tempfile.TemporaryDirectory(prefix="orderflow-") if plan.directory is None else None
        self.directory = Path(self._temporary.name if self._temporary else plan.directory)

    def __enter__(self) -> Demonstration:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _start(self) -> None:
        plan = self.plan
        if plan.server == "direct":
            self.exchanges = {venue.name: build(simulator_settings(venue, plan.seed, DIRECT_START_NS))
                              for venue in VENUES}
            server = DirectServer(self.exchanges, DIRECT_START_NS, self._report)
            sessions = [session_of(venue, f"http://{venue.name}", f"ws://{venue.name}") for venue in VENUES]
        else:
            server, sessions = self._start_sockets()
        self.strategy = Dislocation(0, 5 * 10**7, edge=10_000)
        self.engine = Engine(
            sessions, server, strategies=[self.strategy], limits=LIMITS, policy=plan.policy, layout=plan.layout,
            wait=plan.wait, directory=self.directory, record=plan.record, report=self._report,
            fees={venue.name: (venue.maker_fee, venue.taker_fee) for venue in VENUES})
        self.engine.start()

    def _start_sockets(self):
        start_ns = time.time_ns()
        self.authority = Authority() if self.plan.tls else None
        self.processes = [ExchangeProcess(simulator_settings(venue, self.plan.seed, start_ns), self.authority)
                          for venue in VENUES]
        sessions = []
        for venue, process in zip(VENUES, self.processes, strict=True):
            ports = process.start()
            port, secure = (ports.tls, "s") if self.plan.tls else (ports.plain, "")
            sessions.append(session_of(venue, f"http{secure}://127.0.0.1:{port}", f"ws{secure}://127.0.0.1:{port}"))
        bell, ca_file = Doorbell(), str(self.authority.path) if self.authority else None
        maker = SyncServer if self.plan.server == "sync" else AsyncServer
        return maker(bell, self._report, ca_file), sessions

    # -- the run ----------------------------------------------------------------------------------------------------

    def run(self, watch: Callable[[Demonstration], None] = lambda demonstration: None, step_s: float = 0.1) -> Outcome:
        """Warm up, submit the parent order, let the time pass; `watch` is called every `step_s` seconds."""
        began = time.monotonic()
        engine, plan = self.engine, self.plan
        while self.passed_s < plan.seconds:
            if not self.parent_id and self.passed_s >= min(WARM_UP_S, plan.seconds / 4):
                quantity = Decimal(plan.quantity) if plan.quantity else self._fitting_quantity()
                self.alone = self.cost_alone(quantity)
                self.parent_id = engine.submit(INSTRUMENT, "buy", quantity, seconds=min(PARENT_S, plan.seconds / 2))
            engine.run(step_s)
            self.passed_s += step_s
            watch(self)
        engine.pause()
        engine.run(SETTLE_S, lambda: engine.settled)
        exchanges, mid = summary.exchanges(engine), summary.mid(engine, INSTRUMENT)
        engine.stop()
        orders, truth = reconcile.journalled(self.directory, engine), self._truth()
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

    def _truth(self) -> dict[str, dict]:
        """What each exchange itself has on record."""
        if self.plan.server == "direct":
            return {name: exchange.desk.truth() for name, exchange in self.exchanges.items()}
        return {process.settings.name: httpx.get(f"http://127.0.0.1:{process.ports.plain}/simulator/truth",
                                                 trust_env=False).json() for process in self.processes}

    def close(self) -> None:
        """Take everything down. Idempotent."""
        if self.engine is not None:
            self.engine.stop()
        for process in self.processes:
            process.stop()
        self.processes = []
        if self.authority is not None:
            self.authority.close()
            self.authority = None
        if self._temporary is not None:
            self._temporary.cleanup()
