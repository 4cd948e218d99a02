"""The kill switch: from the trigger to the last cancel written, with 500 open orders on three exchanges.

Both ends are stamped natively: the trigger by the kill thread when the datagram is there (or by the call that pulls the
switch), the end by each exchange thread after its last cancel was handed to the kernel, of which the latest counts. The
exchange threads park, as they do by default, and market data goes on meanwhile. Nobody answers the orders, so the same
500 are cancelled again in every round. Quiet, and while a Python thread computes, which is to make no difference.
"""
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import order_sink  # noqa: E402
from bars import note  # noqa: E402
from bench_gil import a_thread_that_computes  # noqa: E402
from orderflow.servers.control_requests import kill  # noqa: E402
from orderflow.wiring import wait_until  # noqa: E402
from tests.trading import Trading  # noqa: E402

SHARES = {"alpha": 167, "beta": 167, "gamma": 166}
ROUNDS = 100
SETTLED_S = 0.02        # between two rounds: bells are parked again


def by_datagram(trading):
    found = kill(trading.directory)
    assert found.complete
    cancels = sum(count for _, count, _ in found.exchanges.values())
    return found.took_ns, cancels


def by_call(trading):
    switch = trading.core.kill
    trigger = switch.pull()
    wait_until(lambda: all(switch.progress(name)["seen"] >= trigger for name in SHARES), 5.0, "cancels", pause=0.0005)
    progress = [switch.progress(name) for name in SHARES]
    return max(each["done_ns"] for each in progress) - switch.pulled_ns, sum(each["cancels"] for each in progress)


def rounds(trading, pull):
    """Nanoseconds of each round."""
    taken = []
    for _ in range(ROUNDS):
        trading.core.kill.rearm()
        time.sleep(SETTLED_S)
        took_ns, cancels = pull(trading)
        assert cancels == sum(SHARES.values()), cancels
        taken.append(took_ns)
    return taken


def measure():
    """{how: (p50, p99, largest)} in microseconds."""
    with order_sink.running() as port, tempfile.TemporaryDirectory() as directory, \
            Trading(Path(directory), processes=True, orders=f"ws://127.0.0.1:{port}") as trading:
        for name, share in SHARES.items():
            for _ in range(share):
                trading.order(name)
        wait_until(lambda: all(trading.core.loops[name].open_orders == share for name, share in SHARES.items()), 10.0,
                   "orders that are out")
        found = {"by datagram": rounds(trading, by_datagram), "by a call": rounds(trading, by_call)}
        with a_thread_that_computes():
            found["by datagram, Python busy"] = rounds(trading, by_datagram)
    return {how: (*np.percentile(taken, [50, 99]) / 1e3, max(taken) / 1e3) for how, taken in found.items()}


def test_kill(benchmark=None):
    found = benchmark.pedantic(measure, rounds=1) if benchmark is not None else measure()
    for how, (p50, p99, largest) in found.items():
        print(f"kill {how}, 500 orders on 3 exchanges, trigger to last cancel written: p50 {p50:.0f} us, p99 {p99:.0f} "
              f"us, largest {largest:.0f} us")
        note(f"kill {how}, 500 orders, p50", p50, "us")
        note(f"kill {how}, 500 orders, p99", p99, "us")


if __name__ == "__main__":
    test_kill()
