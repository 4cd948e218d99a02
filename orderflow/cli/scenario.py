"""The demonstration: three simulated exchanges, the engine, a cross-exchange strategy and one large parent order.

Two exchanges speak Binance's protocol with different fees, one speaks Kraken's; agents trade on all three around one
hidden price, from a seed. The parent order buys more than any single one of them holds at a fair price.
"""
from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import httpx

from orderflow._core.doorbell import Doorbell
from orderflow._core.strategies.dislocation import Dislocation
from orderflow.engine import Engine, Limits, ParentState
from orderflow.exchanges import session_for
from orderflow.exchanges.session import Credentials, SessionSettings
from orderflow.instrument import from_scaled
from orderflow.servers.async_ import AsyncServer
from orderflow.servers.direct import DirectServer
from orderflow.servers.sync import SyncServer
from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.certificates import Authority
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.launch import ExchangeProcess, SimulatorSettings, build

INSTRUMENT = "BTC-USDT"
KEY = "demonstration"
#: The virtual clock of the direct server begins here, so that a seed alone decides everything.
DIRECT_START_NS = 1_700_000_000 * 10**9
WARM_UP_S = 2.0
PARENT_S = 10.0
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
    Venue("alpha", "binance_spot", "BTCUSDT", "0.0003", "0.00050"),
    Venue("beta", "binance_spot", "BTCUSDT", "0.0002", "0.00040"),
    Venue("gamma", "kraken_v2", "BTC/USDT", "0.0002", "0.00045"),
)
BALANCES = {"BTC": "1000", "USDT": "100000000"}
LIMITS = {INSTRUMENT: Limits(maximum_position="500", maximum_order_quantity="100",
                             maximum_order_notional="20000000", collar="0.01")}


@dataclass(slots=True)
class Plan:
    """What to run.

    Attributes
    ----------
    quantity : str
        Of the parent order; empty = one and a half times what the deepest exchange shows.
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


@dataclass(slots=True)
class Outcome:
    """What came of it; `engine` is stopped and can still be read."""

    plan: Plan
    engine: Engine
    parent: ParentState
    alone: dict[str, Decimal]
    truth: dict[str, dict]
    elapsed_s: float
    strategy: Dislocation
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
                             instruments=(instrument_of(venue),), accounts=(account,))


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
            wait=plan.wait, directory=plan.directory, report=self._report,
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
        passed = 0.0
        alone: dict[str, Decimal] = {}
        while passed < plan.seconds:
            if not self.parent_id and passed >= min(WARM_UP_S, plan.seconds / 4):
                quantity = Decimal(plan.quantity) if plan.quantity else self._fitting_quantity()
                alone = self.cost_alone(quantity)
                self.parent_id = engine.submit(INSTRUMENT, "buy", quantity, seconds=min(PARENT_S, plan.seconds / 2))
            engine.run(step_s)
            passed += step_s
            watch(self)
        engine.run(5.0, self._settled)
        parent = engine.parent(self.parent_id)
        engine.stop()
        return Outcome(plan, engine, parent, alone, self._truth(), time.monotonic() - began, self.strategy,
                       self.problems)

    def _settled(self) -> bool:
        """No parent works any more and no order is under way; the strategy is stopped first."""
        return all(parent.done for parent in self.engine.parents())

    def _fitting_quantity(self) -> Decimal:
        deepest = max(sum((quantity for _, quantity in self._asks(index)), Decimal(0))
                      for index in range(len(self.engine.core.listings)))
        return (deepest * 3 / 2).quantize(Decimal("0.001"))

    def _asks(self, index: int) -> list[tuple[Decimal, Decimal]]:
        listing = self.engine.core.listings[index]
        entry = self.engine.core.board.read(index)
        return [(from_scaled(level["price"], listing.price_decimals),
                 from_scaled(level["quantity"], listing.quantity_decimals))
                for level in entry["asks"][:int(entry["ask_count"])]]

    def cost_alone(self, quantity: Decimal) -> dict[str, Decimal]:
        """Average all-in price of buying everything at once on each exchange alone, where its shown book holds it;
        beyond that its last shown price is assumed to go on."""
        prices = {}
        for index, listing in enumerate(self.engine.core.listings):
            left, cost, price = quantity, Decimal(0), Decimal(0)
            for price, available in self._asks(index):
                taken = min(left, available)
                cost += taken * price
                left -= taken
            if price:
                prices[listing.exchange] = (cost + left * price) / quantity * (1 + listing.taker_fee)
        return prices

    def _truth(self) -> dict[str, dict]:
        """What each exchange itself has on record."""
        if self.plan.server == "direct":
            return {name: exchange.desk.truth() for name, exchange in self.exchanges.items()}
        return {process.settings.name: httpx.get(f"http://127.0.0.1:{process.ports.plain}/simulator/truth",
                                                 trust_env=False).json() for process in self.processes}

    def close(self) -> None:
        """Take everything down. Idempotent."""
        if self.engine is not None and self.engine.started:
            self.engine.stop()
        for process in self.processes:
            process.stop()
        self.processes = []
        if self.authority is not None:
            self.authority.close()
            self.authority = None
