"""The watchdog process: what an engine that died, froze or lost a thread has left is cancelled, and nothing else."""
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from orderflow._core import client_id
from orderflow._core.journal import JournalFiles, RecordKind
from orderflow._core.kill import BEAT, STANDSTILL
from orderflow._core.types import EXECUTION_REPORT_DTYPE, ExecType
from orderflow.research.simulation import VENUES, simulator_settings
from orderflow.servers.connect import TIMEOUTS
from orderflow.servers.watchdog_process import LOG_FILE, WatchdogProcess
from orderflow.simulator.launch import start_thread
from orderflow.watchdog import outstanding
from orderflow.wiring import wait_until
from tests.test_kill import foreign, withdraw
from tests.trading import Trading, write_intents

ROOT = Path(__file__).parents[1]
ALL = ["alpha", "beta", "gamma"]
PATIENCE = 30.0


def start_run(journal, trading):
    """As far as the watchdog reads it."""
    journal.start_run(listings=[{"exchange": item.exchange, "symbol": item.symbol} for item in trading.core.listings])


@pytest.fixture(scope="module")
def trading(tmp_path_factory):
    with Trading(tmp_path_factory.mktemp("trading")) as made:
        yield made


@pytest.fixture
def directory(trading, tmp_path):
    """A journal of three orders on each exchange, which stand there, and one that has ended."""
    del trading.written[:]
    trading.rest(3)
    with contextlib.closing(JournalFiles(tmp_path, segment_bytes=1 << 20)) as journal:
        start_run(journal, trading)
        ended = trading.written[0].copy()
        ended["client_order_id"] += 1 << 20
        write_intents(journal, [*trading.written, ended])
        report = np.zeros(1, EXECUTION_REPORT_DTYPE)[0]
        report["client_order_id"], report["exec_type"] = ended["client_order_id"], ExecType.REPORT_CANCELED
        journal.append(RecordKind.REPORT, report, 3)
    yield tmp_path
    for name in ALL:
        withdraw(trading, name)


@pytest.fixture
def start(trading, directory):
    """A function: silence in seconds -> a watchdog of these exchanges; all are ended afterwards."""
    made = []

    def begin(silence_s=60.0):
        made.append(WatchdogProcess(directory, trading.sessions, trading.core.listings, None, TIMEOUTS, silence_s,
                                    made_reports.append))
        return made[-1]

    made_reports = []
    begin.reports = made_reports
    yield begin
    for each in made:
        each.stop()


def log(directory):
    return (directory / LOG_FILE).read_text()


def wait_end(watchdog):
    wait_until(lambda: not watchdog.running, PATIENCE, "the end of the process")
    return watchdog._process.returncode


def test_what_may_be_out_is_what_was_never_seen_to_end(trading, directory):
    found = outstanding(directory)
    assert {order.client_order_id for order in found} == {int(order["client_order_id"]) for order in trading.written}
    assert {order.exchange for order in found} == set(ALL)


def test_fills_end_an_order_by_their_quantity(trading, directory):
    first, second = trading.written[:2]
    with contextlib.closing(JournalFiles(directory, segment_bytes=1 << 20)) as journal:
        start_run(journal, trading)
        for order, trades in ((first, (1, 2)), (second, (3, 3))):       # the same trade twice is half the quantity
            for trade in trades:
                report = np.zeros(1, EXECUTION_REPORT_DTYPE)[0]
                report["client_order_id"], report["exec_type"] = order["client_order_id"], ExecType.REPORT_FILL
                report["trade_id"], report["last_quantity"] = trade, order["quantity"] // 2
                report["cumulative_quantity"] = -1
                journal.append(RecordKind.REPORT, report, 4)
    left = {order.client_order_id for order in outstanding(directory)}
    assert int(first["client_order_id"]) not in left and int(second["client_order_id"]) in left


def test_an_engine_that_dies_leaves_no_order_of_ours_and_every_other(trading, directory, start):
    strangers = {name: foreign(trading, name) for name in ALL}
    watchdog = start()
    os.write(watchdog.pipe, BEAT * 3)
    watchdog._process.stdin.close()                     # what the kernel does when the engine dies
    assert wait_end(watchdog) == 0
    assert all(trading.standing(name) == {strangers[name]} for name in ALL)
    assert "it died; 9 orders may be out" in log(directory) and "nothing is left" in log(directory)


def test_an_engine_that_says_nothing_is_frozen(trading, directory, start):
    watchdog = start(silence_s=0.5)
    assert wait_end(watchdog) == 0
    assert not any(trading.standing(name) for name in ALL)
    assert "nothing was heard for 0.5 s; 9 orders" in log(directory)


def test_one_thread_that_stands_still(trading, directory, start):
    watchdog = start()
    os.write(watchdog.pipe, STANDSTILL + b"\x01")
    wait_until(lambda: "nothing is left" in log(directory), PATIENCE, "its work")
    assert [len(trading.standing(name)) for name in ALL] == [3, 0, 3]
    assert "the thread of beta stands still; 3 orders may be out on beta" in log(directory)
    assert watchdog.running


def test_an_order_that_never_arrived_is_asked_for_twice(trading, directory, start):
    """The exchange knows of no such order: once may be too early, twice is an answer."""
    with contextlib.closing(JournalFiles(directory, segment_bytes=1 << 20)) as journal:
        start_run(journal, trading)
        order = trading.written[0].copy()
        order["client_order_id"] += 1 << 21
        write_intents(journal, [order])
    watchdog = start()
    watchdog._process.stdin.close()
    assert wait_end(watchdog) == 0
    assert f"order {client_id.encode(int(order['client_order_id']))}: there is none" in log(directory)
    assert not any(trading.standing(name) for name in ALL)


def test_a_watchdog_that_ends_by_itself_is_told_of(start):
    watchdog = start()
    os.kill(watchdog.pid, signal.SIGKILL)
    wait_until(lambda: start.reports, PATIENCE, "word of it")
    assert start.reports[0].startswith("the watchdog process ended with exit code -9")


# -- with an engine

@pytest.fixture
def victim(tmp_path):
    """(process, pid of its watchdog, standing orders by exchange): an engine in a process of its own."""
    exchanges = {venue.name: start_thread(simulator_settings(venue, 5, time.time_ns())) for venue in VENUES}
    ports = [str(exchange.ports.plain) for exchange in exchanges.values()]

    def standing():
        found = {}
        for name, port in zip(exchanges, ports, strict=True):
            events = httpx.get(f"http://127.0.0.1:{port}/simulator/truth", trust_env=False, timeout=30).json()["events"]
            found[name] = sum(+1 if event["event"] == "accepted" else -1 for event in events)
        return found

    process = subprocess.Popen([sys.executable, str(ROOT / "tests/watchdog_victim.py"), str(tmp_path), *ports],
                               env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    word, pid = process.stdout.readline().split()
    assert word == "ready"
    wait_until(lambda: set(standing().values()) == {3}, PATIENCE, "orders that rest")
    yield process, int(pid), standing
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    for exchange in exchanges.values():
        exchange.stop()


def gone(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return b"Z" in Path(f"/proc/{pid}/stat").read_bytes().split(b")")[1][:3]
    return True


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSTOP])
def test_scenario_32_an_engine_that_is_killed_or_frozen(victim, tmp_path, by):
    process, watchdog, standing = victim
    process.send_signal(by)
    wait_until(lambda: set(standing().values()) == {0}, PATIENCE, "the end of every order")
    wait_until(lambda: gone(watchdog), PATIENCE, "the end of the watchdog")
    why = "it died" if by == signal.SIGKILL else "nothing was heard for 3 s"
    assert f"{why}; 9 orders may be out" in log(tmp_path)


def test_a_stop_in_order_is_no_death(victim, tmp_path):
    """Whatever rests goes on resting: that is the user's business."""
    process, watchdog, standing = victim
    process.stdin.write("stop\n")
    process.stdin.flush()
    assert process.wait(PATIENCE) == 0
    assert gone(watchdog)
    assert log(tmp_path) == ""
    assert set(standing().values()) == {3}
