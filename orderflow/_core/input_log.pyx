"""Opening and reading the input log."""
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t, uint8_t

from pathlib import Path

import numpy as np

from orderflow._core.segments import DamagedHeader, SegmentError, read_header, segment_paths
from orderflow._core.types import INPUT_RECORD_DTYPE

KIND = 2
HEADER_BYTES = 64
BOARD_VERSION_MASK = (1 << 40) - 1


cdef class InputLogFiles(segments.SegmentFiles):
    """The input log of one loop in one run.

    Parameters
    ----------
    directory : path
        The journal's directory; its lock guards this log too.
    name : str
        "router" or "strategizer".
    epoch : int
        The journal's client-id epoch, which names the run.
    segment_bytes : int
        Size of one segment, a multiple of 4096. Two are kept ready.
    """

    def __init__(self, directory, str name, uint64_t epoch, *, uint64_t segment_bytes=16 << 20):
        super().__init__(directory, f"{name}-inputs", KIND, epoch, 1, segment_bytes)
        self.log.writer = &self.writer

    def take(self, uint8_t kind, uint16_t source, uint64_t number, int64_t event_ns):
        """Log an input; its sequence."""
        return take(&self.log, kind, source, number, event_ns)

    def board_read(self, uint32_t listing, uint32_t epoch, uint64_t version):
        """Log a board read."""
        board_read(&self.log, listing, epoch, version)

    @property
    def lost(self):
        """Records that were refused because the log has failed."""
        return self.log.lost


cdef uint64_t intact(const unsigned char[::1] data, uint32_t seed) noexcept:
    """Number of whole records from the start of a segment's body."""
    cdef uint64_t count = 0
    cdef InputRecord record
    cdef uint32_t check
    while (count + 1) * sizeof(InputRecord) <= <uint64_t>data.shape[0]:
        record = (<const InputRecord *>&data[0])[count]
        check = record.check
        record.check = 0
        if record.sequence == 0 or check != segments.crc32c(seed, &record, sizeof(InputRecord)):
            break
        count += 1
    return count


def read_segment(path):
    """(Header, records, whether anything lies behind them) of one segment; records are an array of
    INPUT_RECORD_DTYPE."""
    data = Path(path).read_bytes()
    header = read_header(path, data)
    if header.kind != KIND:
        raise SegmentError(f"{path}: not a segment of an input log")
    body = data[HEADER_BYTES:]
    count = intact(body, segments.seed_of(header.salt, header.number)) if body else 0
    size = INPUT_RECORD_DTYPE.itemsize
    return header, np.frombuffer(body, INPUT_RECORD_DTYPE, count), any(body[count * size:(count + 1) * size])


def read(directory, name, epoch=None):
    """The input log of a run, as one array.

    Parameters
    ----------
    directory, name
        As given to InputLogFiles.
    epoch : int, optional
        Which run; the latest if it is not given.

    Returns
    -------
    numpy structured array of INPUT_RECORD_DTYPE, shape (n,)
        Inputs and board reads in the order they were taken. The torn last record of a run that was killed is left out.

    Raises
    ------
    SegmentError
        No such log, or one with records missing in its middle: nothing could be replayed beyond the gap.
    """
    found = []
    for path in segment_paths(directory, f"{name}-inputs"):
        try:
            found.append(read_segment(path))
        except DamagedHeader:
            continue            # killed while it was being made: it holds nothing yet
    used = [each for each in found if each[0].first_sequence]
    epoch = max((header.epoch for header, _, _ in used), default=0) if epoch is None else epoch
    run = [each for each in used if each[0].epoch == epoch]
    if not run:
        raise SegmentError(f"{directory}: no input log {name!r} of epoch {epoch}")
    for header, _, torn in run[:len(run) - 1]:
        if torn:
            raise SegmentError(f"{header.path}: damaged, and records follow in the next segment")
    whole = np.concatenate([records for _, records, _ in run])
    steps = np.diff(whole["sequence"].astype(np.int64), prepend=0)
    gaps = np.flatnonzero((steps < 0) | (steps > 1) | ((whole["kind"] != InputKind.BOARD_READ) & (steps != 1)))
    if len(gaps):
        raise SegmentError(f"{directory}: input log {name!r} of epoch {epoch} has a gap before record {gaps[0]}")
    return whole


def board_version(records):
    """(epoch, version) arrays of the board reads among records."""
    number = records["number"][records["kind"] == InputKind.BOARD_READ]
    return number >> 40, number & BOARD_VERSION_MASK
