"""Ten minutes of six exchanges at ten times recorded speed, with faults: `bench/soak_feeds.py SECONDS`.

Each exchange is a process that plays a capture over TLS, again and again: its end closes the connection. Where there
are no captures agents trade instead. Exits 1 when resident memory stands higher in the last third of the run than in
the second, when file descriptors become more or are left, or when connections were not lost as often as captures and
faults ended them.

Books are touched at the start (`touch_books`): else their pages, a fixed number, would come as the market walks, and
look like growth.
"""
import gc
import json
import os
import statistics
import sys
import time
import urllib.request
from collections import deque
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from orderflow.exchanges import session_for  # noqa: E402
from orderflow.exchanges.session import SessionSettings  # noqa: E402
from orderflow.research.market_data import MarketData  # noqa: E402
from orderflow.simulator.capture import survey  # noqa: E402
from orderflow.simulator.certificates import Authority  # noqa: E402
from orderflow.simulator.dialects import dialect  # noqa: E402
from orderflow.simulator.faults import FaultPlan  # noqa: E402
from orderflow.simulator.instruments import default_instruments  # noqa: E402
from orderflow.simulator.launch import ExchangeProcess, SimulatorSettings  # noqa: E402
from soak_trading import resident_mib  # noqa: E402

FEEDS = ROOT.parent / "shared/feeds"
SPEED = 10.0
CAPTURES = {
    "binance_spot": "captures/binance_spot_btcusdt_20240808.tsv.gz",
    "binance_usdm": "captures/binance_usdm_btcusdt_20240808.tsv.gz",
    "kraken_v2": "derived/kraken_v2_a.tsv.gz",
    "okx": "derived/okx_2026_a.tsv.gz",
    "coinbase_adv": "derived/coinbase_adv_a.tsv.gz",
    "kraken_futures": "captures/cf_kraken_futures_a.tsv.gz",
}
RATES = {"duplicate": 0.002, "fragment": 0.002, "delay": 0.0005, "drop": 0.0001, "reorder": 0.0001, "gap": 0.00005,
         "checksum": 0.0001, "freeze": 0.00005, "garbage": 0.0001, "bad_utf8": 0.00005, "oversize": 0.00005,
         "cut": 0.0001, "reset": 0.00005, "close": 0.00005, "no_ack": 0.02, "refusal": 0.1, "late_snapshot": 0.1}
ENDING = ("bad_utf8", "oversize", "cut", "reset", "close")
MAY_END = ("garbage",)          # where it names no listing
#: Its frames are counted over all books: after a gap of more than four of them the connection is made anew.
COUNTED_TOGETHER = {"coinbase_adv": ("drop", "gap", "reorder", "freeze")}
GROWTH_MIB = 1
WARM_UP_MIB, WARM_UP_SECONDS = 4, 120   # a run that is shorter may grow so much: it has hardly begun
DESCRIPTORS = 2                 # by which a median may differ: one connection more or less is just being made
SILENCE_NS = 5 * 10**9


def settings_of(protocol, origin_ns):
    """(settings of the simulated exchange, what its session needs besides URLs)."""
    plan = FaultPlan(rates=RATES, seed=3)
    path = FEEDS / CAPTURES[protocol]
    if not path.is_file():
        symbols = tuple(one.symbol for one in default_instruments(protocol))
        return SimulatorSettings(protocol, protocol, seed=3, origin_ns=origin_ns, faults=plan), {"symbols": symbols}
    contents = survey(path, dialect(protocol))
    symbols = tuple(symbol for symbol in contents.digits if symbol in contents.with_books)
    return SimulatorSettings(protocol, protocol, capture=str(path), speed=SPEED, repeat=True, faults=plan), {
        "symbols": symbols, "depth": contents.depth, "subscribe": tuple(dialect(protocol).subscriptions(
            contents.streams))}


def descriptors():
    """Open file descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def status_of(exchange):
    """Rounds and faults of a simulated exchange so far."""
    url = f"http://127.0.0.1:{exchange.ports.plain}/simulator/status"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def watch(run, seconds):
    """(resident MiB, file descriptors) of every second."""
    found = []
    for _ in range(seconds):
        run.run(1.0)
        found.append((resident_mib(), descriptors()))
    return found


def accounted(conversation, status):
    """Whether a connection was lost as often as the exchange ended it; the last end may be on its way."""
    faults, lost = status["faults"], conversation.health.losses
    least = status["ended"] + sum(faults.get(kind, 0) for kind in ENDING)
    perhaps = sum(faults.get(kind, 0) for kind in (*MAY_END, *COUNTED_TOGETHER.get(conversation.name, ())))
    return least - 1 <= lost <= least + perhaps + 1


def main(seconds):
    """0 when it passed."""
    with Authority() as authority, ExitStack() as stack:
        origin_ns = time.time_ns() - 5 * 10**9
        exchanges, sessions = [], []
        for protocol in CAPTURES:
            settings, needed = settings_of(protocol, origin_ns)
            exchange = stack.enter_context(ExchangeProcess(settings, authority))
            exchanges.append(exchange)
            sessions.append(session_for(protocol, SessionSettings(
                protocol, rest=f"https://127.0.0.1:{exchange.ports.tls}",
                stream=f"wss://127.0.0.1:{exchange.ports.tls}", silence_ns=SILENCE_NS, **needed)))
        before = descriptors()
        found, passed = follow(sessions, exchanges, authority, seconds)
        gc.collect()                # its doorbells
        passed &= judge_process(found, descriptors() - before)
    print("PASS" if passed else "MISS")
    return 0 if passed else 1


def follow(sessions, exchanges, authority, seconds):
    """(what `watch` saw, whether every exchange was heard and every end of a connection seen)."""
    problems = deque(maxlen=100)
    with MarketData(sessions, "sync", problems.append, ca_file=str(authority.path), touch_books=True) as run:
        found = watch(run, seconds)
        return found, judge_books(run, [status_of(exchange) for exchange in exchanges])


def judge_process(found, left):
    """Print what memory and descriptors did; whether that is good."""
    third = len(found) // 3
    middle, last = ([statistics.median(column) for column in zip(*part, strict=True)]
                    for part in (found[third:2 * third], found[2 * third:]))
    gate = GROWTH_MIB if len(found) >= WARM_UP_SECONDS else WARM_UP_MIB
    print(f"resident: middle third {middle[0]:.1f} MiB, last third {last[0]:.1f} (gate +{gate}); "
          f"file descriptors {middle[1]:.0f}, {last[1]:.0f}, left at the end {left}")
    return last[0] - middle[0] <= gate and last[1] - middle[1] <= DESCRIPTORS and left <= 0


def judge_books(run, statuses):
    """Print what happened to each exchange; whether every one was heard and every end of a connection seen."""
    passed = True
    for conversation, status in zip(run.conversations, statuses, strict=True):
        frames, seen = run.core.loops[conversation.name].totals["frames"], accounted(conversation, status)
        passed &= seen and frames > 0
        faults = ", ".join(f"{kind} {count}" for kind, count in sorted(status["faults"].items()))
        print(f"{conversation.name:15} {frames:8} frames, {status['rounds']} rounds, {status['ended']} ended, "
              f"{conversation.health.connects} connects, {conversation.health.losses} losses, faults: {faults}: "
              f"{'PASS' if seen else 'MISS'}")
    return passed


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 600))
