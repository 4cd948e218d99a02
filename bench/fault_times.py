"""From a fault to STALE, and from STALE to LIVE, for each protocol: `bench/fault_times.py PROTOCOL...`.

A simulated exchange in a thread of this process, the sync server with a tape; frozen subscriptions are given up after
SILENCE_NS. "Messages" are the frames that the exchange sent, of all its books, between the fault and STALE. What the
protocol cannot show (docs/faults.md) is left out.
"""
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from orderflow._core.types import TAPE_DTYPE, BookState, TapeKind  # noqa: E402
from orderflow.exchanges import session_for  # noqa: E402
from orderflow.exchanges.session import SessionSettings  # noqa: E402
from orderflow.research.market_data import MarketData  # noqa: E402
from orderflow.simulator.dialects import PROTOCOLS  # noqa: E402
from orderflow.simulator.faults import Fault, FaultPlan  # noqa: E402
from orderflow.simulator.instruments import default_instruments  # noqa: E402
from orderflow.simulator.launch import SimulatorSettings, start_thread  # noqa: E402

KINDS = ("gap", "checksum", "cut", "freeze")
TIMES = 3
SILENCE_NS = 2 * 10**9
PATIENCE_S = 100                # OKX repeats nothing: its session allows no silence budget below 75 s
TAPE_RECORDS = 1 << 16
WHOLE_BOOKS = ("hyperliquid",)      # what is missing is back with the next frame
#: Frames that are lost together, where a checksum shows a loss among the best levels only: one of them was there.
LOST = {"kraken_v2": 5}


class Measured:
    """One protocol: an exchange with faults and whoever watches its books."""

    def __init__(self, protocol):
        self.exchange = start_thread(SimulatorSettings(protocol, protocol, faults=FaultPlan()))
        self.faulty = self.exchange.exchange
        symbols = tuple(one.symbol for one in default_instruments(protocol)[:2])
        port = self.exchange.ports.plain
        session = session_for(protocol, SessionSettings(
            protocol, rest=f"http://127.0.0.1:{port}", stream=f"ws://127.0.0.1:{port}", symbols=symbols,
            silence_ns=SILENCE_NS))
        self.problems = []
        self.sent = []                  # monotonic time of every frame
        drain = self.faulty.drain

        def noted():
            items = drain()
            now_ns = time.monotonic_ns()
            self.sent += [now_ns for _, item in items if isinstance(item, str)]
            return items

        self.faulty.drain = noted
        self.run = MarketData([session], "sync", self.problems.append, tape_records=TAPE_RECORDS)
        self.run.start()
        self.tape = self.run.core.tapes[protocol]
        self.states = []                # (monotonic time, state of the first book)

    def stop(self):
        self.run.stop()
        self.exchange.stop()

    def look(self):
        """Take what the tape says of the first book."""
        while (record := self.tape.pop(TAPE_DTYPE)) is not None:
            if record["listing"]:
                continue
            live = record["kind"] in (TapeKind.TAPE_SNAPSHOT, TapeKind.TAPE_UPDATE)
            state = BookState.LIVE if live else BookState(record["state"])
            if record["kind"] != TapeKind.TAPE_TRADE and (not self.states or self.states[-1][1] != state):
                self.states.append((int(record["receive_ns"]), state))

    def wait(self, condition, what):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not happen; {self.problems[-3:]}")
            time.sleep(0.001)
            self.look()

    def measure(self, kind):
        """(messages to STALE, ms to STALE, ms from there to LIVE)."""
        self.wait(lambda: self.states and self.states[-1][1] == BookState.LIVE, "a LIVE book")
        known = len(self.states)
        symbol = self.run.core.listings[0].symbol
        before = len(self.faulty.log)
        lost = LOST.get(self.faulty.protocol, 1)
        self.exchange.call(self.faulty.arm, Fault(kind, symbol=symbol, frames=lost))
        self.wait(lambda: len(self.faulty.log) > before, kind)
        fault_ns = self.faulty.log[-1][0] - (time.time_ns() - time.monotonic_ns())
        self.wait(lambda: [state for _, state in self.states[known:]] == [BookState.STALE, BookState.LIVE],
                  f"STALE and LIVE after {kind}")
        (stale_ns, _), (live_ns, _) = self.states[known:]
        messages = sum(fault_ns < at_ns <= stale_ns for at_ns in self.sent)
        return messages, (stale_ns - fault_ns) / 1e6, (live_ns - stale_ns) / 1e6


def measure(protocol, kind):
    """One fault at an exchange and a client that have just begun: after an earlier one snapshots and connections wait.
    None where there is nothing to see."""
    measured = Measured(protocol)
    try:
        if measured.faulty.impossible(Fault(kind)) or (kind == "gap" and protocol in WHOLE_BOOKS):
            return None
        return measured.measure(kind)
    finally:
        measured.stop()


def table_of(protocol):
    """Lines of one protocol."""
    for kind in KINDS:
        found = [measure(protocol, kind) for _ in range(TIMES)]
        if found[0] is None:
            yield f"{protocol:15} {kind:9} {'-':>9} {'-':>10} {'-':>10}"
            continue
        messages, stale, live = (statistics.median(column) for column in zip(*found, strict=True))
        yield f"{protocol:15} {kind:9} {messages:9.0f} {stale:10.1f} {live:10.1f}"


def main(protocols=PROTOCOLS):
    """Print the table; 1 when something did not become STALE or LIVE."""
    print(f"{'protocol':15} {'fault':9} {'messages':>9} {'ms STALE':>10} {'ms LIVE':>10}   medians of {TIMES}; silence "
          f"budget {SILENCE_NS // 10**6} ms")
    failed = 0
    for protocol in protocols:
        try:
            for line in table_of(protocol):
                print(line, flush=True)
        except TimeoutError as error:
            print(f"{protocol:15} {error}", flush=True)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or PROTOCOLS))
