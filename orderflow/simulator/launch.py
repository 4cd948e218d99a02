"""Simulated exchanges from settings: in a thread of this process, or in a process of their own.

A thread shares the interpreter's lock with whatever else runs here: good for tests and notebooks. A process does
not: for demonstrations and measurements.
"""
import multiprocessing
import signal
import time
from dataclasses import dataclass, replace

from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.agents import Temper
from orderflow.simulator.capture import Playback
from orderflow.simulator.certificates import Authority
from orderflow.simulator.dialects import dialect
from orderflow.simulator.exchange import SECOND_NS, Exchange
from orderflow.simulator.faults import FaultPlan
from orderflow.simulator.faulty import FaultyExchange
from orderflow.simulator.instruments import SimulatedInstrument, default_instruments
from orderflow.simulator.market import Market
from orderflow.simulator.server import Ports, SimulatedExchange

START_SECONDS = 60


@dataclass(frozen=True)
class SimulatorSettings:
    """One simulated exchange.

    `capture` plays a recording at `speed` (0 = as fast as frames are taken), restricted to `streams` where given, and
    from its beginning again with `repeat`; otherwise agents trade `instruments` (empty = the protocol's default ones)
    from `seed`. `origin_ns` is the unix time at which simulated time begins: exchanges that are to share the hidden
    price have the same one. `port` and `tls_port` 0 let the system choose. `funds` is what an account without balances
    has of every asset that is traded. `faults` is what goes wrong. `truth` is a file for what truly happened to orders,
    as JSON lines (truth.py), written when the exchange is stopped. `clock_offset` is by how many seconds its clock is
    ahead of the true time from the start, negative = behind; a fault may set it anew.
    """
    name: str
    protocol: str
    port: int = 0
    tls_port: int = 0
    capture: str = ""
    speed: float = 1.0
    streams: tuple | None = None
    repeat: bool = False
    seed: int = 0
    origin_ns: int = 0
    instruments: tuple[SimulatedInstrument, ...] = ()
    accounts: tuple[AccountSettings, ...] = ()
    funds: str = ""
    temper: Temper | None = None
    prices: dict[str, float] | None = None
    faults: FaultPlan | None = None
    truth: str = ""
    clock_offset: float = 0.0


def build(settings: SimulatorSettings) -> Exchange | FaultyExchange:
    """The exchange that the settings describe, without sockets: for the `direct` server, and for what follows.

    Raises ValueError, CaptureError or OSError whose message names the setting or the file.
    """
    exchange = _build_right(settings)
    exchange.skew_ns = int(settings.clock_offset * SECOND_NS)
    return exchange if settings.faults is None else FaultyExchange(exchange, settings.faults)


def _build_right(settings: SimulatorSettings) -> Exchange:
    speaker = dialect(settings.protocol)
    if settings.capture:
        source: Playback | Market = Playback(settings.capture, speaker, settings.speed, settings.streams,
                                              settings.repeat)
    else:
        instruments = settings.instruments or default_instruments(settings.protocol)
        ticks: dict[str, tuple[int, ...]] = {}
        for fault in settings.faults.script if settings.faults is not None else ():
            if fault.kind == "tick_size" and fault.exchange == settings.name:
                ticks[fault.symbol] = *ticks.get(fault.symbol, ()), fault.tick
        source = Market(settings.name, instruments, settings.seed, settings.origin_ns or time.time_ns(),
                        settings.temper, settings.prices, ticks)
    if not settings.accounts:
        return speaker(source, settings.name)
    if not speaker.takes_orders:
        raise ValueError(f"accounts: {settings.protocol} is simulated without order entry")
    assets = {asset for instrument in source.instruments for asset in (instrument.base, instrument.quote)}
    accounts = tuple(
        replace(account, balances=dict.fromkeys(sorted(assets), settings.funds))
        if settings.funds and not account.balances else account for account in settings.accounts)
    return speaker(source, settings.name, accounts)


def start_thread(settings: SimulatorSettings, authority: Authority | None = None) -> SimulatedExchange:
    """A started exchange in a thread of this process; its `stop` ends it."""
    server = SimulatedExchange(build(settings), settings.port, settings.tls_port, authority, truth=settings.truth)
    server.start()
    return server


class ExchangeProcess:
    """An exchange in a process of its own; a context manager. `played` is set when a capture was played to its end,
    and `faults`, when it was stopped, is how often each kind was injected."""

    def __init__(self, settings: SimulatorSettings, authority: Authority | None = None):
        context = multiprocessing.get_context("spawn")      # a fork would copy this process's threads half
        self.settings = settings
        self.played = context.Event()
        self.ports: Ports | None = None
        self.faults: dict[str, int] = {}
        self._mine, theirs = context.Pipe()
        files = authority.files if authority is not None else None
        self._process = context.Process(target=_serve, args=(settings, files, theirs, self.played),
                                        name=f"simulated-{settings.name}", daemon=True)
        self._theirs = theirs

    def start(self) -> Ports:
        """Listen; returns the ports. Raises what `build` and `SimulatedExchange.start` raise."""
        self._process.start()
        self._theirs.close()
        if not self._mine.poll(START_SECONDS):
            self.stop()
            raise TimeoutError(f"exchange {self.settings.name} did not start within {START_SECONDS} s")
        try:
            answer = self._mine.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(f"exchange {self.settings.name}: its process ended with exit code "
                               f"{self._process.exitcode}") from None
        if isinstance(answer, BaseException):
            self._process.join()
            raise answer
        self.ports = answer
        return answer

    @property
    def ended(self) -> int | None:
        """Exit code of a process that has ended by itself; None while it runs."""
        return self._process.exitcode

    def stop(self) -> None:
        """End the exchange and wait for its process. Safe to call twice."""
        if self.ports is not None and not self._mine.closed:
            try:
                self._mine.send(None)       # the process waits for just that
                self.faults = self._mine.recv()
            except (EOFError, OSError):
                pass                        # it has ended already
        self._mine.close()                  # where it never got so far, this is what it waits for
        self._process.join()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


def _serve(settings: SimulatorSettings, files, pipe, played) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # whoever started us decides when to stop
    authority = Authority.opened(files) if files is not None else None
    try:
        server = SimulatedExchange(build(settings), settings.port, settings.tls_port, authority, played=played,
                                   truth=settings.truth)
        pipe.send(server.start())
    except (ValueError, OSError) as error:
        pipe.send(_portable(error))
        return
    try:
        pipe.recv()                 # it ends when the other side says so, or dies
    except EOFError:
        pass
    server.stop()
    try:
        pipe.send(server.faults)
    except OSError:
        pass                        # nobody is there to hear it


def _portable(error: ValueError | OSError) -> Exception:
    """The same message in a type that every process can unpickle."""
    if isinstance(error, OSError):
        return OSError(error.errno, error.strerror or str(error))
    return ValueError(str(error))
