"""Opening segments to be scanned, and how they must follow one another. The walk itself is journal_scan.pxd."""
from collections import namedtuple
from pathlib import Path

from libc.stdint cimport uint8_t, uint64_t

from orderflow._core.segments import (
    DamagedHeader, SegmentError, number_of, read_header, seed_for, segment_paths,
)

NAME, KIND = "journal", 1
HEADER_BYTES = 64
COUNTER_MASK = (1 << 40) - 1
FAULTS = ["", "cut off", "size out of range", "checksum", "sequence", "bytes that are no record"]

Verification = namedtuple("Verification", "path epoch records last_sequence end fault damaged")
#: How a segment ended, for the one behind it.
Ending = namedtuple("Ending", "path number epoch sequence check fault")


cdef class SegmentScan:
    """One segment in memory, to be walked natively or record by record.

    Parameters
    ----------
    path : path
    data : bytes, optional
        What is in the file, where it was read already.

    Raises
    ------
    SegmentError
        It is no segment of a journal, or of another version.
    """

    def __init__(self, path, bytes data=None):
        self.path = Path(path)
        self._data = self.path.read_bytes() if data is None else data
        self.fault = ""
        try:
            self.header = read_header(self.path, self._data[:HEADER_BYTES])
        except DamagedHeader as error:
            # Killed while it was being made, or between the words of its header: then nothing lies behind it.
            self.fault = str(error) if self._data[HEADER_BYTES:].strip(b"\0") else ""
            return
        if self.header.kind != KIND:
            raise SegmentError(f"{path}: not a journal segment")
        self.scan.data = <const uint8_t *><const char *>self._data
        self.scan.bytes = min(len(self._data), self.header.bytes)
        self.scan.offset = HEADER_BYTES
        self.scan.seed = seed_for(self.header.salt, self.header.number)
        self.scan.sequence = self.header.first_sequence - 1 if self.header.first_sequence else 0

    def next_record(self):
        """(sequence, kind, monotonic_ns, wall_ns, payload) of the next record; None at the end."""
        cdef RecordView view
        if self.header is None or not advance(&self.scan, &view):
            return None
        return (view.header.sequence, view.header.kind, view.header.monotonic_ns, view.header.wall_ns,
                (<const char *>view.payload)[:view.payload_bytes])

    cpdef str finish(self):
        """Walk to the end of the records and say why they end there: '' = nothing lies behind them."""
        cdef RecordView view
        if self.header is not None:
            with nogil:
                while advance(&self.scan, &view):
                    pass
            self.fault = FAULTS[self.scan.fault]
        return self.fault

    @property
    def empty(self):
        """Whether nothing was ever written to it: prepared and not used, or killed while it was being made."""
        if self.header is None:
            return not self.fault
        return not self.header.first_sequence and not self.scan.records and not self.finish()

    @property
    def epoch(self):
        """Of the run that wrote it; 0 where its header cannot be read."""
        return self.header.epoch if self.header is not None else 0

    @property
    def records(self):
        """Whole records walked so far."""
        return self.scan.records

    @property
    def end(self):
        """Offset behind the last whole record walked so far."""
        return self.scan.offset

    @property
    def sequence(self):
        """Of the last whole record."""
        return self.scan.sequence

    @property
    def damaged(self):
        """Once finished: whether its fault is one that no crash explains."""
        cdef uint64_t behind
        if self.header is None or self.scan.fault == ScanFault.SCAN_SEQUENCE:
            return bool(self.fault)
        if not self.fault:
            return False
        with nogil:
            behind = whole_record_behind(&self.scan)
        return behind != 0

    @property
    def ending(self):
        """Once finished: what the segment behind it must go on from."""
        return Ending(self.path, number_of(self.path), self.epoch, self.scan.sequence, self.scan.last_check, self.fault)


def break_between(previous, SegmentScan scan):
    """What is wrong with a segment behind `previous` (an Ending, or None where it is the first); '' = nothing."""
    header, number = scan.header, number_of(scan.path)
    if header.number != number:
        return f"its header says that it is segment {header.number}: it was renamed"
    if previous is not None and number != previous.number + 1:
        return f"{number - previous.number - 1} segments are missing before it, from {previous.number + 1} on"
    counter = header.first_sequence & COUNTER_MASK
    if previous is None or header.epoch > previous.epoch:
        return "" if counter == 1 else f"begins with record {counter} of its run: the segments before it are missing"
    if header.epoch < previous.epoch:
        return f"is of run {header.epoch}, behind one of run {previous.epoch}"
    if header.first_sequence != previous.sequence + 1:
        return f"begins after {header.first_sequence - 1}, the segment before ended at {previous.sequence}"
    if header.previous_check != previous.check:
        return "does not go on from the last record of the segment before"
    return ""


def paths_of(path):
    """The segments of a journal directory, or the one file.

    Raises
    ------
    SegmentError
        There is no such thing.
    """
    path = Path(path)
    if path.is_dir():
        return segment_paths(path, NAME)
    if not path.is_file():
        raise SegmentError(f"{path}: neither a journal directory nor a segment")
    return [path]


cdef class JournalScan:
    """The segments of a journal directory, or one segment, in order, as far as they follow one another.

    A torn tail ends its run and not the next. Damage in the middle, or a missing segment, ends everything: `fault` says
    what and where.

    Parameters
    ----------
    path : path
    epoch : int, optional
        Of the one run to walk; others are passed over, and nothing is said about them.
    """

    def __init__(self, path, epoch=None):
        self._paths = iter(paths_of(path))
        self._in_order = Path(path).is_dir()
        self._wanted = epoch
        self.fault = ""

    cpdef bint next_segment(self) except -1:
        """Open the next one, in `segment`; False when there is none, or none that could be trusted."""
        if self.fault or not self._leave():
            return False
        for path in self._paths:
            if self._wanted is not None and epoch_of(path) != self._wanted:
                continue
            self.segment = SegmentScan(path)
            if self.segment.empty:
                self._pass_over(path)
                continue
            self.fault = self._fault_before()
            return not self.fault
        self.segment = None
        return False

    cdef bint _leave(self) except -1:
        """Whether the segment that was walked lets anything follow."""
        if self.segment is None:
            return True
        self.segment.finish()
        if self.segment.damaged:
            self.fault = (f"{self.segment.path}: {self.segment.fault} at offset {self.segment.end}, "
                          "and whole records behind it")
            return False
        self._previous = self.segment.ending
        return True

    cdef int _pass_over(self, path) except -1:
        """A segment without records takes part in nothing but the numbering."""
        if self._previous is not None:
            self._previous = self._previous._replace(number=number_of(path))
        return 0

    cdef str _fault_before(self):
        """What keeps the segment just opened from being read behind those before it; '' = nothing."""
        if self.segment.header is None:
            return f"{self.segment.fault}, and it is not empty"
        if not self._in_order:
            return ""
        if self._previous is not None and self._previous.fault and self._previous.epoch == self.segment.epoch:
            return (f"{self._previous.path}: {self._previous.fault}, and records of the same run in "
                    f"{self.segment.path.name}")
        wrong = break_between(self._previous, self.segment)
        return f"{self.segment.path}: {wrong}" if wrong else ""


def epoch_of(path):
    """Run of a segment, from its header; 0 where that cannot be read."""
    try:
        with open(path, "rb") as file:
            return read_header(path, file.read(HEADER_BYTES)).epoch
    except DamagedHeader:
        return 0


def verify(path):
    """Read everything and say what was found: a list of Verification, one a segment.

    `fault` is '' when the records end with nothing behind them, else what is wrong at offset `end`; `damaged` is True
    for what no crash explains: whole records behind the fault, or a segment that does not follow the one before.
    """
    found, previous, last = [], None, -1
    in_order = Path(path).is_dir()
    for each in paths_of(path):
        scan = SegmentScan(each)
        fault, damaged = scan.finish(), scan.damaged
        if scan.empty:
            previous = previous and previous._replace(number=number_of(each))
        else:
            if in_order and scan.header is not None and (previous is None or previous.epoch):
                if previous is not None and previous.epoch == scan.epoch and previous.fault:
                    found[last] = found[last]._replace(damaged=True)
                wrong = break_between(previous, scan)
                fault, damaged = (wrong, True) if wrong else (fault, damaged)
            previous, last = scan.ending, len(found)
        found.append(Verification(each, scan.epoch, scan.records, scan.sequence, scan.end, fault, damaged))
    return found
