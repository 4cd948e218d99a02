"""Opening and reading the decision log."""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from collections import namedtuple
from pathlib import Path

import numpy as np

from orderflow._core.segments import DamagedHeader, SegmentError, read_header, segment_paths

NAME, KIND = "decisions", 3
HEADER_BYTES = 64


cdef extern from *:
    """
    #define ORDERFLOW_ASSERT_SIZE(value, bytes) static_assert(sizeof(value) == bytes, "size of " #value)
    """
    void assert_size "ORDERFLOW_ASSERT_SIZE"(...) noexcept nogil


cdef DecisionHead _head
cdef DecisionPart _part

assert_size(_head, 184)
assert_size(_part, 152)

DECISION_HEAD_DTYPE = np.asarray(<DecisionHead[:1]>&_head).dtype
DECISION_PART_DTYPE = np.asarray(<DecisionPart[:1]>&_part).dtype


class Decided(namedtuple("Decided", "head parts")):
    """One decision: an element of DECISION_HEAD_DTYPE, and an array of DECISION_PART_DTYPE, one a listing of the
    instrument in its order."""

    __slots__ = ()


cdef class DecisionFiles(segments.SegmentFiles):
    """The decision log of one run.

    Parameters
    ----------
    directory : path
        The journal's directory; its lock guards this log too.
    epoch : int
        The journal's client-id epoch, which names the run.
    segment_bytes : int
        Size of one segment, a multiple of 4096. Two are kept ready.
    """

    def __init__(self, directory, uint64_t epoch, *, uint64_t segment_bytes=4 << 20):
        super().__init__(directory, NAME, KIND, epoch, 1, segment_bytes)
        self.log.writer = &self.writer

    def append(self, head, parts):
        """Write one decision, as the router does; its sequence, 0 if it is lost. What frames the record is filled in.

        Parameters
        ----------
        head : one element of DECISION_HEAD_DTYPE
        parts : numpy array of DECISION_PART_DTYPE
        """
        cdef bytes raw = np.asarray(head, DECISION_HEAD_DTYPE).tobytes()
        cdef bytes rest = np.asarray(parts, DECISION_PART_DTYPE).tobytes()
        cdef DecisionHead given
        cdef DecisionHead *made = reserve(&self.log, <uint32_t>len(parts))
        if made is NULL:
            return 0
        memcpy(&given, <const char *>raw, sizeof(DecisionHead))
        given.sequence, given.bytes, given.listings, given.check = made.sequence, made.bytes, made.listings, 0
        made[0] = given
        memcpy(parts_of(made), <const char *>rest, len(rest))
        seal(&self.log, made)
        return made.sequence

    @property
    def taken(self):
        """Decisions so far, lost ones included."""
        return self.log.sequence

    @property
    def lost(self):
        """Decisions that were not written, because no segment was ready."""
        return self.log.lost


cdef list whole(const unsigned char[::1] data, uint32_t seed):
    """Offsets of the records from the start of a segment's body, as far as they are whole."""
    cdef uint64_t offset = 0
    cdef uint64_t left = <uint64_t>data.shape[0]
    cdef const DecisionHead *head
    cdef DecisionHead copy
    cdef uint32_t check, size
    cdef list found = []
    while left - offset >= sizeof(DecisionHead):
        head = <const DecisionHead *>&data[<int64_t>offset]
        size = head.bytes
        if (head.sequence == 0 or size > left - offset
                or size != sizeof(DecisionHead) + head.listings * sizeof(DecisionPart)):
            break
        copy = head[0]
        copy.check = 0
        check = segments.crc32c(seed, &copy, sizeof(DecisionHead))
        if head.listings:
            check = segments.crc32c(check, head + 1, size - sizeof(DecisionHead))
        if check != head.check:
            break
        found.append(offset)
        offset += size
    return found


def read(directory, epoch):
    """Iterate the decisions of a run, in order.

    A record that was damaged, or torn off when the process was killed, ends its segment, and reading goes on with the
    next: what is missing shows as a gap between sequences, as decisions do that were lost.

    Parameters
    ----------
    directory : path
    epoch : int
        Which run.

    Yields
    ------
    Decided

    Raises
    ------
    SegmentError
        That run has no decision log.
    """
    found = []
    for path in segment_paths(directory, NAME):
        data = path.read_bytes()
        try:
            header = read_header(path, data)
        except DamagedHeader:
            continue            # killed while it was being made: it holds nothing yet
        if header.kind != KIND:
            raise SegmentError(f"{path}: not a segment of a decision log")
        if header.epoch == epoch:
            found.append((header, path))
    if not found:
        raise SegmentError(f"{Path(directory)}: run {epoch} has no decision log")
    return _records(found)


def _records(found):
    head, part = DECISION_HEAD_DTYPE.itemsize, DECISION_PART_DTYPE
    for header, path in found:
        data = path.read_bytes()[HEADER_BYTES:]
        for offset in whole(data, segments.seed_of(header.salt, header.number)) if data else ():
            one = np.frombuffer(data, DECISION_HEAD_DTYPE, 1, offset)[0]
            yield Decided(one, np.frombuffer(data, part, int(one["listings"]), offset + head))


def exact(value):
    """The integer that an Exact stands for."""
    return (int(value["high"]) << 128) + (int(value["middle"]) << 64) + int(value["low"])
