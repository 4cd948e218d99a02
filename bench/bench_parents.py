"""What a market event costs the router, as parent orders of other instruments are added.

Twenty instruments on one simulated exchange, on a virtual clock. Fifty parents of all algorithms wait on the first one;
then the same with 950 more on the other nineteen. A wake-up of the first instrument is served again and again, with
all fifty looked at each time; the two settings alternate in one run, and the call from Python is in both. The state
afterwards is checked: every parent still works, and nothing was sent. Run alone: `python bench/bench_parents.py`.
"""
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from bars import bar, note  # noqa: E402
from orderflow.credentials import Credentials  # noqa: E402
from orderflow.engine import Engine  # noqa: E402
from orderflow.exchanges import session_for  # noqa: E402
from orderflow.exchanges.session import SessionSettings  # noqa: E402
from orderflow.limits import Limits  # noqa: E402
from orderflow.research.simulation import DIRECT_START_NS, limits_of  # noqa: E402
from orderflow.servers.direct import DirectServer  # noqa: E402
from orderflow.simulator.accounts import AccountSettings  # noqa: E402
from orderflow.simulator.instruments import SimulatedInstrument  # noqa: E402
from orderflow.simulator.launch import SimulatorSettings, build  # noqa: E402

ASSETS = [f"C{index:02}" for index in range(20)]
OWN, OTHERS = 50, 950
EVENTS, ROUNDS = 2_000, 15
GATE, AIM = 1.25, 1.05
KEY, SECRET = "parents", "c2VjcmV0"
LIMITS = Limits(maximum_position="100000", maximum_order_quantity="1000", maximum_order_notional="1000000000",
                collar="0.05")
#: Never reached.
FAR = "1000"


def started():
    """An engine that trades all instruments on one exchange."""
    instruments = tuple(SimulatedInstrument(f"{asset}USDT", asset, "USDT", 2, 8, tick=10, minimum_quantity=1_000)
                        for asset in ASSETS)
    exchange = build(SimulatorSettings(
        "one", "binance_spot", seed=3, origin_ns=DIRECT_START_NS, instruments=instruments, funds="1000000000",
        accounts=(AccountSettings(KEY, SECRET),), prices=dict.fromkeys(ASSETS, 60_000.0)))
    session = session_for("binance_spot", SessionSettings(
        "one", rest="http://one", stream="ws://one", orders="ws://one/ws-api/v3", trade=True,
        symbols=tuple(f"{asset}USDT" for asset in ASSETS), credentials=Credentials(KEY, SECRET)))
    return Engine([session], DirectServer({"one": exchange}, DIRECT_START_NS, print), maximum_parents=4096,
                  limits=limits_of(dict.fromkeys((f"{asset}-USDT" for asset in ASSETS), LIMITS))).start()


def submit(engine, instrument, number):
    """One of four kinds, that finds nothing within its limit; quantities differ, so that none is a repetition."""
    kind = ({"algorithm": "immediate"}, {"algorithm": "twap", "slices": 10},
            {"algorithm": "pov", "participation": "0.1"},
            {"algorithm": "shortfall", "slices": 10, "half_life": 1000})[number % 4]
    engine.submit(instrument, "buy", f"{1 + number * 1e-5:.5f}", FAR, seconds=36_000, **kind)


def measured(engine):
    """Nanoseconds of one wake-up of the first listing."""
    wake, now_ns = engine.router.replay_wake, engine.now_ns
    begin = time.thread_time_ns()
    for _ in range(EVENTS):
        wake(0, 0, now_ns)
    return (time.thread_time_ns() - begin) / EVENTS


def run(benchmark=None):
    """Measure and record the bar; returns whether the gate is met."""
    few, many = started(), started()
    for number in range(OWN):
        for engine in (few, many):
            submit(engine, f"{ASSETS[0]}-USDT", number)
    for number in range(OTHERS):
        submit(many, f"{ASSETS[1 + number % (len(ASSETS) - 1)]}-USDT", number)
    for engine in (few, many):
        engine.run(1)
    rows = [(measured(few), measured(many)) for _ in range(ROUNDS)]
    for engine, count in ((few, OWN), (many, OWN + OTHERS)):
        working = [parent for parent in engine.parents() if parent.status == "PARENT_WORKING"]
        assert len(working) == count and not any(parent.children for parent in working), "a parent ended or sent"
        engine.stop()
    alone, among = (statistics.median(column) for column in zip(*rows, strict=True))
    ratio = statistics.median(second / first for first, second in rows)
    print(f"a market event with {OWN} parents: {alone:.0f} ns alone, {among:.0f} ns among {OTHERS} of others")
    note(f"market event, {OWN} parents of its instrument, CPU", alone, "ns")
    if benchmark is not None:
        benchmark.extra_info.update(alone_ns=alone, among_ns=among)
    return bar(f"market event among {OTHERS} parents of other instruments, against without them", ratio, GATE, AIM,
               "lower")


def test_parents(benchmark):
    assert benchmark.pedantic(run, args=(benchmark,), rounds=1)


if __name__ == "__main__":
    sys.exit(not run())
