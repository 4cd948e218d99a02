"""Opening a journal directory, its lock and its epoch; reading and verifying what is in it."""
import fcntl
import json
import os
import secrets
import time
from collections import namedtuple
from pathlib import Path

from orderflow._core cimport segments
from orderflow._core.flusher cimport Flusher
from orderflow._core.order_table cimport OrderTable
from orderflow._core.risk cimport Decision, RiskBook
from orderflow._core.types cimport Reason

import numpy as np

from orderflow._core.client_id import MOST_INSTANCES, MOST_RUNS, first_of, prefix_of
from orderflow._core.journal_scan import HEADER_BYTES, KIND, NAME, JournalScan, verify
from orderflow._core.segments import SegmentError, read_header, segment_paths, sync_directory
from orderflow._core.types import (
    CHILD_ORDER_DTYPE,
    COMMAND_DTYPE,
    EXECUTION_REPORT_DTYPE,
    PARENT_ORDER_DTYPE,
    RESIDUAL_CHANGE_DTYPE,
)

POLICIES = ("crash", "group", "sync")
PAYLOADS = {
    RecordKind.PARENT: PARENT_ORDER_DTYPE, RecordKind.INTENT: CHILD_ORDER_DTYPE, RecordKind.CANCEL: CHILD_ORDER_DTYPE,
    RecordKind.REPLACE: CHILD_ORDER_DTYPE,
    RecordKind.REPORT: EXECUTION_REPORT_DTYPE, RecordKind.STATE: COMMAND_DTYPE,
    RecordKind.RESIDUAL: RESIDUAL_CHANGE_DTYPE,
}


class JournalError(Exception):
    """A journal that cannot be opened; the message names the path and says what to do."""


class Record(namedtuple("Record", "sequence kind monotonic_ns wall_ns payload")):
    """One record of a journal."""

    __slots__ = ()

    def decode(self):
        """The payload: a numpy record of the struct in types, or what the JSON of RUN_START and RUN_END says."""
        dtype = PAYLOADS.get(self.kind)
        return json.loads(self.payload) if dtype is None else np.frombuffer(self.payload, dtype)[0]


def next_epoch(directory, instance=None):
    """Take the next epoch of a journal directory, durable before it is returned: (instance, epoch).

    The file `epoch` names both; it is replaced as a whole, so a crash leaves the old numbers or the new ones. Where it
    is missing or unreadable the headers of the segments say which epochs were used, and another instance is drawn: no
    id of it was given before. `instance` is what is taken instead of drawing one. """
    directory = Path(directory)
    path = directory / "epoch"
    used = [0]
    for segment in segment_paths(directory, NAME):
        try:
            used.append(read_header(segment, segment.read_bytes()[:HEADER_BYTES]).epoch)
        except SegmentError:
            continue            # a segment that was being created when the machine went down
    drawn = secrets.randbelow(MOST_INSTANCES) if instance is None else instance
    try:
        known, last = map(int, path.read_text().split())
        used.append(last)
        drawn = known
    except FileNotFoundError:
        pass
    except ValueError:
        if len(used) == 1:
            raise JournalError(f"{path}: expected two numbers, the instance and the last epoch that was used; where "
                               "nobody knows them begin in a new directory") from None
    epoch = max(used) + 1
    if not (0 < epoch <= MOST_RUNS and 0 <= drawn < MOST_INSTANCES):
        raise JournalError(f"{path}: instance {drawn} is outside 0 to {MOST_INSTANCES - 1}, or epoch {epoch} outside 1 "
                           f"to {MOST_RUNS}: begin in a new directory")
    temporary = directory / "epoch.new"
    with open(temporary, "w") as file:
        file.write(f"{drawn} {epoch}\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_directory(directory)
    return drawn, epoch


def lock(directory):
    """Descriptor of the exclusive lock of a journal directory; JournalError if another process has it."""
    path = Path(directory) / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise JournalError(f"{path}: another engine has this journal open; "
                           "stop it, or give this one a journal directory of its own") from None
    return descriptor


cdef class JournalFiles(segments.SegmentFiles):
    """The journal of one run: a directory with a lock, the epoch and segments.

    Parameters
    ----------
    directory : path
        Created if it is missing.
    segment_bytes : int
        Size of one segment, a multiple of 4096. Two are kept ready.
    policy : "crash", "group" or "sync"
        What a record survives when its append returns: the death of the process; soon afterwards that of the machine;
        or, for an order, that of the machine before it is sent.
    report : callable(str), optional
        Told in one line what halts this journal; any thread.
    unix_offset_ns : int, optional
        Unix clock - monotonic clock, where the clock is a virtual one.
    instance : int, optional
        Of a new directory, where client order ids must come out the same each time; by default it is drawn.

    Raises
    ------
    JournalError
        Another process has the directory open, its epoch cannot be read, or its middle is damaged.
    SegmentError
        A segment cannot be created, for want of space for example.
    """

    def __init__(self, directory, *, uint64_t segment_bytes=64 << 20, str policy="crash", report=None,
                 unix_offset_ns=None, instance=None):
        if policy not in POLICIES:
            raise ValueError(f"policy {policy!r}: expected one of {', '.join(POLICIES)}")
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = lock(directory)
        try:
            self.recovered = recover(directory)
            self.instance, epoch = next_epoch(directory, instance)
            super().__init__(directory, NAME, KIND, epoch, epoch << 40 | 1, segment_bytes, policy != "crash", report)
        except BaseException:
            os.close(self._lock)
            raise
        self.policy = policy
        self.journal.writer, self.journal.durability = &self.writer, &self.durability
        self.journal.sequence = self.epoch << 40
        self.prefix = prefix_of(self.instance, self.epoch)
        self.journal.client_order_id = first_of(self.prefix) - 1
        self.durability.written = self.durability.durable = self.journal.sequence
        self.journal.wall_offset_ns = (time.time_ns() - time.monotonic_ns() if unix_offset_ns is None
                                       else unix_offset_ns)
        if policy != "crash":
            self.flusher = Flusher(self, policy == "sync")
            self.journal.flusher = self.flusher.bell.native

    def close(self):
        """Flush, trim and unlock; the router thread must have stopped. May be called again."""
        if self.closed:
            return
        if self.flusher is not None:
            self.flusher.stop()
        super().close()
        os.close(self._lock)

    cdef uint64_t _text(self, uint16_t kind, fields) except? 0:
        cdef bytes text = json.dumps(fields, sort_keys=True).encode()
        return append(&self.journal, kind, <const char *>text, len(text),
                      time.time_ns() - self.journal.wall_offset_ns)

    def start_run(self, **fields):
        """Append RUN_START with these fields (configuration hash, build, ...); the sequence, 0 if the journal has
        failed."""
        return self._text(RecordKind.RUN_START, fields)

    def carry(self, **fields):
        """Append CARRIED: what is taken over from the run before; the sequence, 0 if the journal has failed. Waits
        until the next segment is there, should it be needed: there may be many of these, one after the other."""
        self.wait_prepared()
        return self._text(RecordKind.CARRIED, fields)

    def end_run(self, **fields):
        """Append RUN_END; the sequence, 0 if the journal has failed."""
        return self._text(RecordKind.RUN_END, fields)

    def append(self, uint16_t kind, record, int64_t now_ns):
        """Append one numpy record of the dtype that belongs to `kind`, INTENT excepted; the sequence or 0.

        An INTENT is appended by `send` only.
        """
        if kind == RecordKind.INTENT or record.dtype != PAYLOADS.get(kind) or record.size != 1:
            raise TypeError(f"kind {kind} takes no record of dtype {record.dtype}")
        cdef bytes raw = record.tobytes()
        return append(&self.journal, kind, <const char *>raw, len(raw), now_ns)

    def send(self, RiskBook book, OrderTable table, uint32_t slot, int64_t now_ns):
        """Judge the order in that slot and journal it, as the router does: (Reason, CHILD_ORDER_DTYPE record or
        None)."""
        cdef Approved approved
        cdef Decision decision
        cdef ChildOrder *order
        cdef uint8_t reason
        table.order(slot)
        reason = risk.check(&book.risk, &table.table.orders[slot], now_ns, &approved, &decision)
        if reason != Reason.OK:
            return <Reason>reason, None
        order = append_intent(&self.journal, &approved, now_ns)
        if order is NULL:
            risk.release(&book.risk, &table.table.orders[slot])
            return Reason.JOURNAL_FAILED, None
        return Reason.OK, np.frombuffer((<const char *>order)[:sizeof(ChildOrder)], CHILD_ORDER_DTYPE).copy()[0]

    def next_client_order_id(self):
        """A client order id that no run has used; 0 when this one has used up its own."""
        return next_client_order_id(&self.journal)

    @property
    def sequence(self):
        """Sequence of the last record; epoch << 40 before the first."""
        return self.journal.sequence

    @property
    def durable_sequence(self):
        """Every record up to this sequence is on disk. Under `crash` nobody follows that: the sequence of the start."""
        return segments.load_sequence(&self.durability.durable)

    @property
    def lost(self):
        """Records that were refused because the journal has failed."""
        return self.journal.lost

    @property
    def unsealed(self):
        """Orders that came without risk's seal."""
        return self.journal.unsealed


def recover(directory):
    """Make a journal that no engine has open fit to go on: returns what was put right, a line each.

    What lies behind the last whole record of a run that was killed is copied aside, as SEGMENT.torn-OFFSET, and cut
    off. A segment that was prepared and never used is removed.

    Raises
    ------
    JournalError
        The middle is damaged or a segment is missing: nothing is changed. A person has to look.
    """
    found = verify(directory)
    for each in found:
        if each.damaged:
            raise JournalError(
                f"{each.path}: {each.fault} at offset {each.end}, which no crash explains: the journal is in "
                f"quarantine and nothing is traded on it. See `orderflow journal verify {directory}`, and "
                "docs/journal.md for what to do")
    told = [_cut(each) for each in found if each.last_sequence]
    for each in reversed(found):
        if each.last_sequence:
            break                           # an unused one before it keeps its number
        each.path.unlink()
    sync_directory(directory)
    return tuple(line for line in told if line)


def _cut(found):
    """Cut off what lies behind the last record of a segment; the line to tell, "" if it was nothing."""
    with open(found.path, "r+b") as file:
        file.seek(found.end)
        torn = file.read().rstrip(b"\0")
        aside = found.path.with_name(f"{found.path.name}.torn-{found.end}")
        if torn:
            with open(aside, "wb") as kept:
                kept.write(torn)
                kept.flush()
                os.fsync(kept.fileno())
            sync_directory(found.path.parent)
        if os.fstat(file.fileno()).st_size > found.end:
            file.truncate(found.end)
            os.fsync(file.fileno())
    return torn and (f"{found.path}: the run was killed in the middle of a record ({found.fault}) at offset "
                     f"{found.end}; {len(torn)} bytes are kept in {aside.name}, every record before them is whole")


def read(path):
    """Iterate the records of a journal directory, or of one segment, in order; stops at the first bad record.

    The torn tail of a run that was killed ends that run and not the next: reading goes on with the next epoch. A bad
    record with more of the same run after it ends everything; `verify` says where and what.

    Yields
    ------
    Record
    """
    scan = JournalScan(path)
    while scan.next_segment():
        for fields in iter(scan.segment.next_record, None):
            yield Record(*fields)
