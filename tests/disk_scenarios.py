"""disk_scenarios.py SCENARIO DIRECTORY: one journal on a disk that goes wrong (native/disk_faults.cpp is preloaded).

A process of its own, because what is preloaded cannot be unloaded. Fails with an AssertionError.
"""
import os
import sys
import threading
from pathlib import Path

import numpy as np

from orderflow._core import journal
from orderflow._core.doorbell import Doorbell
from orderflow._core.journal import JournalFiles, RecordKind
from orderflow._core.segments import Halt
from orderflow._core.types import CHILD_ORDER_DTYPE, EXECUTION_REPORT_DTYPE, ChildKind, Reason

SEGMENT = 1 << 16
SECOND_NS = 1_000_000_000
PATIENCE_S = 30


def disk(mode):
    Path(os.environ["ORDERFLOW_DISK"]).write_text(mode)


class Told:
    """What was reported, and that it was."""

    def __init__(self):
        self.lines, self.event = [], threading.Event()

    def __call__(self, line):
        self.lines.append(line)
        self.event.set()

    def wait(self):
        assert self.event.wait(PATIENCE_S), "nothing was reported"
        return self.lines


class Writer:
    """A router's journal, its risk book and its order table."""

    def __init__(self, directory, policy):
        from tests import test_risk
        self.told, self.now_ns = Told(), 0
        self.desk = test_risk.Desk()
        self.files = JournalFiles(directory, segment_bytes=SEGMENT, policy=policy, report=self.told)
        assert self.files.wait_prepared(PATIENCE_S)

    def send(self, now_ns=None):
        """Risk and journal of a new order, by default some time after the one before: the reason."""
        now_ns = self.now_ns = self.now_ns + 2 * SECOND_NS if now_ns is None else now_ns
        from tests.test_journal import open_child
        from tests.test_risk import LIMITS
        self.desk.risk.set_reference(0, LIMITS["reference"][0], now_ns)
        slot = open_child(self.desk, self.files, quantity=100)
        reason, _ = self.files.send(self.desk.risk, self.desk.orders, slot, now_ns)
        if reason != Reason.OK:
            self.desk.orders.deny(slot, reason)
        return reason

    def report(self, count=1):
        return [self.files.append(RecordKind.REPORT, np.zeros(1, EXECUTION_REPORT_DTYPE), 0) for _ in range(count)][-1]

    def cancel(self):
        order = np.zeros(1, CHILD_ORDER_DTYPE)
        order["kind"] = ChildKind.CANCEL_ORDER
        return self.files.append(RecordKind.CANCEL, order, 0)


def check_halted(writer, why, words):
    """New orders are refused; reports and cancels are still written down; the user was told once, in words."""
    lines = writer.told.wait()
    assert writer.files.halted == why
    assert writer.send() == Reason.JOURNAL_FAILED
    assert writer.report() and writer.cancel()
    disk("works")
    assert writer.send() == Reason.JOURNAL_FAILED       # it is not tried again
    last = writer.files.sequence
    writer.files.close()
    assert len(lines) == 1 and all(word in lines[0] for word in (*words, "no new order is sent", "cancels are")), lines
    *_, end = journal.read(writer.files.directory)
    assert end.sequence == last                         # what was told is there all the same


def flush_fails(directory, policy):
    writer = Writer(directory, policy)
    assert writer.send() == Reason.OK
    await_durable(writer.files, writer.files.sequence)
    disk("eio")
    written = writer.report()
    writer.told.wait()
    assert writer.files.durable_sequence < written
    check_halted(writer, Halt.FLUSH_FAILED, [str(directory), "Input/output error"])


def flush_fails_group(directory):
    flush_fails(directory, "group")


def flush_fails_sync(directory):
    flush_fails(directory, "sync")


def flush_fails_crash(directory):
    """Noticed when a segment is used up."""
    writer = Writer(directory, "crash")
    disk("eio")
    while not writer.told.event.is_set():
        assert writer.report()
        if writer.files.sequence % 300 == 0:
            writer.files.wait_prepared(0.2)
    check_halted(writer, Halt.FLUSH_FAILED, ["journal-00000001.segment"])


def no_space(directory):
    """Known a whole segment before it is used up."""
    writer = Writer(directory, "crash")
    disk("enospc")
    writer.report(SEGMENT // 168 + 1)                    # into the last segment that there is
    check_halted(writer, Halt.NO_SPACE, ["journal-00000003.segment", "No space left", f"{SEGMENT} bytes are needed"])


def stalled(directory, policy):
    writer = Writer(directory, policy)
    assert writer.send(SECOND_NS) == Reason.OK
    await_durable(writer.files, writer.files.sequence)
    disk("stall")
    assert writer.send(10 * SECOND_NS) == Reason.OK     # nobody knows yet
    assert writer.send(10 * SECOND_NS + SECOND_NS // 2) == Reason.OK
    assert not writer.told.lines
    assert writer.send(12 * SECOND_NS) == Reason.JOURNAL_FAILED
    check_halted(writer, Halt.FLUSH_STALLED, [str(directory), "for a second"])


def stalled_group(directory):
    stalled(directory, "group")


def stalled_sync(directory):
    stalled(directory, "sync")


def interrupted(directory):
    """EINTR is no failure."""
    disk("eintr")
    with JournalFiles(directory, segment_bytes=SEGMENT, policy="sync") as files:
        writer = Writer.__new__(Writer)
        writer.files = files
        for _ in range(5):
            await_durable(files, writer.report(200))
            assert files.wait_prepared(PATIENCE_S)
        assert files.flusher.flushes >= 5 and files.halted == Halt.NOT_HALTED
    assert sum(each.records for each in journal.verify(directory)) == 1000


def short_writes(directory):
    """A write that takes half is gone on with: a segment is zero to its end."""
    for number in (1, 2):
        path = Path(directory) / f"journal-{number:08d}.segment"
        disk("short")
        with JournalFiles(directory, segment_bytes=SEGMENT) as files:
            assert files.wait_prepared(PATIENCE_S)
            whole = path.read_bytes()
            assert len(whole) == SEGMENT and not any(whole[64:])
            blocks = path.stat().st_blocks * 512
            assert blocks == 0 or blocks >= SEGMENT     # 0: this file system does not count them


def await_durable(files, sequence):
    bell = Doorbell()
    files.flusher.ring_when_durable(bell)
    for _ in range(1000):
        bell.prepare_park()
        if files.durable_sequence >= sequence:
            return
        bell.wait(SECOND_NS // 10)
    raise AssertionError(f"{files.durable_sequence} and not {sequence} is durable")


def stalled_engine(directory):
    """Policy `sync`: on a disk that stands still no order leaves; each comes back as not sent."""
    from orderflow._core.types import ExecType
    from orderflow.research.simulation import Simulation
    simulation = Simulation(seed=3, in_process=True, tls=False, journal="sync", directory=directory)
    with simulation:
        engine = simulation.engine
        disk("stall")
        parent = engine.submit("BTC-USDT", "buy", "0.5", seconds=2)
        state = engine.wait(parent)
        assert state.filled == 0 and state.in_doubt == 0, state
        assert sum(loop.sent_orders[0] for loop in engine.core.loops.values()) == 0
        assert sum(loop.held_orders[0] for loop in engine.core.loops.values()) > 0
        disk("works")
    kinds = {}
    for record in journal.read(directory):
        kinds.setdefault(record.kind, []).append(record.decode())
    assert kinds[RecordKind.INTENT]
    events = {int(report["exec_type"]) for report in kinds[RecordKind.REPORT] if report["client_order_id"]}
    assert events == {ExecType.REPORT_NOT_SENT}, events     # besides what the accounts hold


if __name__ == "__main__":
    disk("works")
    globals()[sys.argv[1]](sys.argv[2])
