"""Three simulated exchanges and an engine that trades on them: for notebooks, the demonstration and tests.

Two exchanges speak Binance's protocol with different fees, one speaks Kraken's; agents trade on all three around one
hidden price, from a seed.
"""
from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import httpx

from orderflow._core.doorbell import Doorbell
from orderflow.credentials import Credentials
from orderflow.engine import Engine
from orderflow.exchanges import session_for
from orderflow.exchanges.session import Session, SessionSettings
from orderflow.limits import Limits, RiskLimits, StrategyLimits, TotalLimits
from orderflow.servers.async_ import AsyncServer
from orderflow.servers.direct import DirectServer
from orderflow.servers.sync import SyncServer
from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.agents import Temper
from orderflow.simulator.certificates import Authority
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.launch import ExchangeProcess, SimulatorSettings, build, start_thread

INSTRUMENT = "BTC-USDT"
KEY = "demonstration"
#: The virtual clock of the direct server begins here, so that a seed alone decides everything.
DIRECT_START_NS = 1_700_000_000 * 10**9
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
#: Of the account where the exchange speaks Kraken's protocol.
TIER = "pro"
BALANCES = {"BTC": "1000", "USDT": "100000000"}
#: Nobody's money: wide enough for a strategy that trades all it can. The same order twice in a row is no mistake here.
FREE = StrategyLimits(messages_per_10_seconds=0, repeat_seconds=0, maximum_fills=0, maximum_rejects=0)
TOTAL = TotalLimits(maximum_capital={"USDT": "1000000000"}, maximum_loss={"USDT": "100000000"},
                    messages_per_10_seconds=0)


def limits_of(instruments: dict[str, Limits]) -> RiskLimits:
    """Limits of these instruments; what is left is as wide as a simulation may have it."""
    return RiskLimits(instruments, every_strategy=FREE, total=TOTAL)


LIMITS = limits_of({INSTRUMENT: Limits(maximum_position="500", maximum_order_quantity="100",
                                       maximum_order_notional="20000000", collar="0.01")})


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
    account = AccountSettings(KEY, secret_of(venue), balances=BALANCES, tier=TIER)
    return SimulatorSettings(venue.name, venue.protocol, seed=seed, origin_ns=start_ns - HISTORY_NS,
                             instruments=(instrument_of(venue),), accounts=(account,), temper=TEMPER)


def session_of(venue: Venue, rest: str, stream: str):
    """The session that trades on one of them."""
    orders = f"{stream}/ws-api/v3" if venue.protocol == "binance_spot" else stream
    return session_for(venue.protocol, SessionSettings(
        venue.name, rest=rest, stream=stream, orders=orders, symbols=(venue.symbol,), trade=True, tier=TIER,
        credentials=Credentials(KEY, secret_of(venue))))


class Simulation:
    """Exchanges, sessions and an engine that fit together; a context manager.

    Parameters
    ----------
    seed : int
        Of the agents.
    server : "sync", "async" or "direct"
        direct runs on a virtual clock: time passes only in `engine.run` and `engine.wait`, and the same seed gives the
        same run.
    strategies : sequence
        As in Engine.
    tls : bool
        Talk to the exchanges encrypted.
    in_process : bool
        Run the exchanges in threads of this process, which starts sooner; otherwise each is a process of its own, which
        leaves the interpreter's lock to the engine.
    options
        Everything else that Engine takes.

    Attributes
    ----------
    engine : Engine
        Started, with every book LIVE, after `start`.
    problems : list of str
        What was reported, unless `report` takes it.
    """

    def __init__(self, seed: int = 7, server: str = "sync", strategies: Sequence = (), *, tls: bool = True,
                 in_process: bool = False, report: Callable[[str], None] | None = None, **options):
        if server not in ("sync", "async", "direct"):
            raise ValueError(f"server {server!r}: expected sync, async or direct")
        self.problems: list[str] = []
        self._report = report or self.problems.append
        self._seed, self._server, self._tls, self._in_process = seed, server, tls, in_process
        self._strategies, self._options = strategies, options
        self._authority: Authority | None = None
        self._running: dict = {}                # exchanges that have a `stop`
        self._exchanges: dict = {}              # those of the direct server, objects without sockets
        self.engine: Engine | None = None

    def start(self) -> Simulation:
        """Start the exchanges, then the engine; stops what runs already when something fails."""
        try:
            server, sessions = self._direct() if self._server == "direct" else self._sockets()
            self.engine = Engine(sessions, server, strategies=self._strategies, limits=LIMITS, report=self._report,
                                 fees={venue.name: (venue.maker_fee, venue.taker_fee) for venue in VENUES},
                                 **self._options)
            self.engine.start()
        except BaseException:
            self.stop()
            raise
        return self

    def _direct(self) -> tuple[DirectServer, list[Session]]:
        self._exchanges = {venue.name: build(simulator_settings(venue, self._seed, DIRECT_START_NS))
                           for venue in VENUES}
        sessions = [session_of(venue, f"http://{venue.name}", f"ws://{venue.name}") for venue in VENUES]
        return DirectServer(self._exchanges, DIRECT_START_NS, self._report), sessions

    def _sockets(self) -> tuple[SyncServer | AsyncServer, list[Session]]:
        start_ns = time.time_ns()
        self._authority = Authority() if self._tls else None
        sessions = []
        for venue in VENUES:
            ports = self._start_exchange(simulator_settings(venue, self._seed, start_ns))
            port, secure = (ports.tls, "s") if self._tls else (ports.plain, "")
            sessions.append(session_of(venue, f"http{secure}://127.0.0.1:{port}", f"ws{secure}://127.0.0.1:{port}"))
        maker = SyncServer if self._server == "sync" else AsyncServer
        return maker(Doorbell(), self._report, str(self._authority.path) if self._authority else None), sessions

    def _start_exchange(self, settings: SimulatorSettings):
        """Its ports."""
        if self._in_process:
            running = self._running[settings.name] = start_thread(settings, self._authority)
            return running.ports
        process = self._running[settings.name] = ExchangeProcess(settings, self._authority)
        return process.start()

    def truth(self) -> dict[str, dict]:
        """What each exchange itself has on record: events and balances, by exchange."""
        if self._exchanges:
            return {name: exchange.desk.truth() for name, exchange in self._exchanges.items()}
        return {name: httpx.get(f"http://127.0.0.1:{running.ports.plain}/simulator/truth", trust_env=False).json()
                for name, running in self._running.items()}

    def stop(self) -> None:
        """Stop the engine, then the exchanges. Idempotent."""
        if self.engine is not None:
            self.engine.stop()
        for running in self._running.values():
            running.stop()
        self._running = {}
        if self._authority is not None:
            self._authority.close()
            self._authority = None

    def __enter__(self) -> Simulation:
        return self if self.engine is not None else self.start()

    def __exit__(self, *_) -> None:
        self.stop()


def simulate(seed: int = 7, *, server: str = "sync", strategies: Sequence = (), **options) -> Simulation:
    """Three simulated exchanges in this process and an engine connected to them, started.

        with orderflow.simulate(seed=7) as simulation:
            simulation.engine.book("alpha", "BTCUSDT")

    See Simulation for the parameters.
    """
    return Simulation(seed, server, strategies, **{"tls": False, "in_process": True} | options).start()
