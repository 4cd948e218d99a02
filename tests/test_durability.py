"""The journal's policies, and disks that are full, refuse, stand still, interrupt: new orders halt, cancels pass."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from orderflow._core import journal
from orderflow._core.journal import JournalFiles, RecordKind
from orderflow._core.segments import Halt
from orderflow._core.types import (
    CHILD_ORDER_DTYPE,
    EXECUTION_REPORT_DTYPE,
    ChildKind,
    CommandKind,
    ExecType,
    OrderType,
    Reason,
    TradingState,
)
from orderflow.engine import Engine, EngineError
from orderflow.exchanges.session import Credentials
from orderflow.research.simulation import Simulation
from orderflow.servers.direct import DirectServer
from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.launch import SimulatorSettings, build
from tests.disk_scenarios import await_durable
from tests.process import PACKAGE_PARENT
from tests.test_journal import report
from tests.virtual import START_NS, Virtual

COMPILER = os.environ.get("CXX", "g++").split()
HERE = Path(__file__).parent
SEGMENT = 1 << 16


# -- a disk that goes wrong


@pytest.fixture(scope="module")
def faulty_disk(tmp_path_factory):
    if shutil.which(COMPILER[-1]) is None:
        pytest.skip(f"no C++ compiler ({COMPILER[-1]}) to build the faulty disk with")
    library = tmp_path_factory.mktemp("disk") / "disk_faults.so"
    subprocess.run([*COMPILER, "-std=c++20", "-O1", "-D_GNU_SOURCE", "-shared", "-fPIC",
                    str(HERE / "native" / "disk_faults.cpp"), "-o", str(library), "-ldl"], check=True)
    return library


@pytest.mark.parametrize("scenario", [
    "flush_fails_crash", "flush_fails_group", "flush_fails_sync", "no_space", "stalled_group", "stalled_sync",
    "interrupted", "short_writes", "stalled_engine"])
def test_a_disk_that_goes_wrong(faulty_disk, tmp_path, scenario):
    preloaded = " ".join(filter(None, [os.environ.get("LD_PRELOAD"), str(faulty_disk)]))
    done = subprocess.run(
        [sys.executable, "-m", "tests.disk_scenarios", scenario, str(tmp_path / "journal")], cwd=HERE.parent,
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "LD_PRELOAD": preloaded, "ORDERFLOW_DISK": str(tmp_path / "mode"),
             "PYTHONPATH": PACKAGE_PARENT})
    assert done.returncode == 0, done.stderr[-3000:]


# -- a disk that works


@pytest.mark.parametrize("policy", ["group", "sync"])
def test_everything_becomes_durable_by_itself(tmp_path, policy):
    """Over several segments, none of which is let go before it is on disk."""
    with JournalFiles(tmp_path, segment_bytes=SEGMENT, policy=policy) as files:
        assert files.durable_sequence == files.sequence
        for _ in range(4):
            for i in range(300):
                assert files.append(RecordKind.REPORT, report(i), i)
            await_durable(files, files.sequence)
            assert files.wait_prepared() and files.durable_sequence == files.sequence
        assert files.halted == Halt.NOT_HALTED and files.flusher.at_once == (policy == "sync")
    assert sum(each.records for each in journal.verify(tmp_path)) == 1200


def test_crash_flushes_nothing_by_itself(tmp_path):
    with JournalFiles(tmp_path, segment_bytes=SEGMENT) as files:
        assert files.policy == "crash" and files.flusher is None
        files.append(RecordKind.REPORT, report(1), 1)
        assert files.durable_sequence == files.sequence - 1


def test_a_policy_that_there_is_not(tmp_path):
    with pytest.raises(ValueError, match="policy 'fast': expected one of crash, group, sync"):
        JournalFiles(tmp_path, policy="fast")
    with pytest.raises(EngineError, match="the direct server has no real time"):
        Engine([], DirectServer({}, START_NS, print), journal="sync")


@pytest.mark.parametrize("layout", ["split", "fused"])
def test_an_engine_that_waits_for_its_disk_trades(tmp_path, layout):
    """Every order waits, and the parent order is filled all the same."""
    with Simulation(seed=3, in_process=True, tls=False, journal="sync", layout=layout,
                    directory=tmp_path) as simulation:
        engine = simulation.engine
        state = engine.wait(engine.submit("BTC-USDT", "buy", "0.5", seconds=10))
        assert state.filled == state.quantity
        held = [loop.held_orders for loop in engine.core.loops.values()]
        sent = sum(loop.sent_orders[0] for loop in engine.core.loops.values())
        assert sum(ever for ever, _ in held) >= sent > 0 and not any(now for _, now in held)
    assert simulation.problems == []


# -- what the exchange thread does with an order whose intent is not durable


class Held:
    """One exchange on a virtual clock that takes orders from a hand-fed ring, and a journal under `sync`."""

    def __init__(self, directory):
        account = AccountSettings("k" * 64, "s" * 64, balances={"BTC": "10", "USDT": "1000000"})
        venue = build(SimulatorSettings("test", "binance_spot", seed=3, origin_ns=START_NS, accounts=(account,)))
        self.one = Virtual("binance_spot", ("BTCUSDT",), exchange=venue, trade=True,
                           credentials=Credentials("k" * 64, "s" * 64))
        self.loop, self.ring = self.one.core.loops["test"], self.one.core.orders["test"]
        self.reports = self.one.core.reports["test"]
        self.files = JournalFiles(directory, segment_bytes=SEGMENT, policy="sync")
        self.loop.wait_for_journal(self.files)
        self.loop.command(CommandKind.SET_TRADING_STATE, value=TradingState.ACTIVE)
        self.one.run(5, lambda: self.one.live and self.loop.can_trade)
        assert self.one.live and self.loop.can_trade

    def push(self, number, ahead, kind=ChildKind.NEW_ORDER, seconds=60):
        """An order whose intent is `ahead` records beyond what was journalled."""
        order = np.zeros(1, CHILD_ORDER_DTYPE)
        order["client_order_id"], order["journal_sequence"] = number, self.files.sequence + ahead
        order["kind"], order["side"], order["order_type"], order["time_in_force"] = kind, 1, OrderType.LIMIT, 1
        order["price"] = order["quantity"] = 10**9
        order["book_epoch"] = self.one.core.board.read(0)["epoch"]
        order["deadline_ns"] = self.one.server.now_ns + int(seconds * 1e9)
        assert self.ring.push(order.tobytes())

    def write(self, count=1):
        """So many records more, durable."""
        for _ in range(count):
            self.files.append(RecordKind.REPORT, report(1), 0)
        await_durable(self.files, self.files.sequence)

    def step(self):
        """What our own thread said of which order: (number, event, reason)."""
        self.one.run(0.01)
        said = []
        while (taken := self.reports.pop()) is not None:
            record = np.frombuffer(taken, EXECUTION_REPORT_DTYPE)[0]
            if record["exec_type"] in (ExecType.REPORT_SENT, ExecType.REPORT_NOT_SENT):
                said.append((int(record["client_order_id"]), ExecType(record["exec_type"]), Reason(record["reason"])))
        return said


@pytest.fixture
def held(tmp_path):
    held = Held(tmp_path)
    yield held
    held.files.close()


SENT, NOT_SENT = ExecType.REPORT_SENT, ExecType.REPORT_NOT_SENT


def test_an_order_leaves_when_its_intent_is_durable_and_not_before(held):
    held.push(1, ahead=1)
    held.push(2, ahead=2)
    assert held.step() == [] and held.loop.held_orders == (2, 2)
    held.write()
    assert held.step() == [(1, SENT, Reason.OK)] and held.loop.held_orders == (2, 1)
    held.write()
    assert held.step() == [(2, SENT, Reason.OK)] and held.loop.held_orders == (2, 0)
    held.push(3, ahead=0)
    assert held.step() == [(3, SENT, Reason.OK)] and held.loop.held_orders == (2, 0)


def test_cancels_overtake_but_not_the_order_that_they_cancel(held):
    held.push(1, ahead=0)
    assert held.step() == [(1, SENT, Reason.OK)]
    held.push(2, ahead=1)
    held.push(2, ahead=2, kind=ChildKind.CANCEL_ORDER)
    held.push(1, ahead=3, kind=ChildKind.CANCEL_ORDER)
    assert held.step() == [(1, SENT, Reason.OK)]                # the cancel, although nothing is durable
    held.write()
    assert held.step() == [(2, SENT, Reason.OK), (2, SENT, Reason.OK)]


def test_orders_keep_their_order(held):
    held.push(1, ahead=2)
    held.push(2, ahead=1)                                       # as it were later: not before the first
    held.write()
    assert held.step() == []
    held.write()
    assert [number for number, *_ in held.step()] == [1, 2]


def test_a_failed_flush_sends_back_what_waits(held):
    held.push(1, ahead=1)
    held.push(1, ahead=2, kind=ChildKind.CANCEL_ORDER)
    held.push(2, ahead=3)
    assert held.step() == []
    held.files.halt(Halt.FLUSH_FAILED, "told")
    held.push(3, ahead=4)
    said = held.step()
    assert [one for one in said if one[1] == NOT_SENT] == [
        (number, NOT_SENT, Reason.JOURNAL_FAILED) for number in (1, 2, 3)]
    assert held.loop.held_orders[1] == 0


def test_an_order_does_not_wait_beyond_its_deadline(held):
    held.push(1, ahead=1, seconds=0.2)
    assert held.step() == []
    held.one.run(0.2)
    assert held.step() == [(1, NOT_SENT, Reason.DEADLINE_PASSED)] and held.loop.held_orders == (1, 0)
