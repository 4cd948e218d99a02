"""Walking the records of a journal without a Python object each: what verifies, reads and recovers goes through here.

A record counts when its size stays inside the segment, its CRC32C is right under the segment's seed, and its sequence
is the next one. The records of a segment end at the first that does not. What lies there decides what it means:

    zeros to the end                        the end: nothing was written beyond
    no whole record of a later sequence     a torn tail: the process or the machine died in that record
    a whole record of a later sequence      damage in the middle, which no crash explains: for a person to look at

To use it natively, for every record of one run:

    scan = JournalScan(directory, epoch)
    while scan.next_segment():
        with nogil:
            while journal_scan.advance(&scan.segment.scan, &view):
                ... view.payload, view.header.kind ...

The bytes of a view live until the next `next_segment`. """
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp

from orderflow._core cimport segments

cdef enum:
    CHECK_BYTES = 4
    SEQUENCE_SHIFT = 40         # sequences are epoch << 40 | counter


cdef struct RecordHeader:       # 32 bytes
    uint32_t size
    uint16_t kind
    uint16_t padding
    uint64_t sequence
    int64_t monotonic_ns
    int64_t wall_ns


cdef enum ScanFault:            # why the records of a segment end
    SCAN_END = 0                # nothing but zeros behind them
    SCAN_CUT_OFF = 1
    SCAN_SIZE = 2
    SCAN_CHECKSUM = 3
    SCAN_SEQUENCE = 4
    SCAN_REMAINS = 5            # bytes that are no beginning of a record


cdef struct RecordView:
    const RecordHeader *header
    const uint8_t *payload
    uint64_t offset             # of the record in its segment
    uint32_t payload_bytes


cdef struct Scan:
    const uint8_t *data         # the segment, its header too
    uint64_t bytes
    uint64_t offset             # of the next record; once they have ended, where
    uint64_t sequence           # of the last whole record
    uint64_t records
    uint32_t seed
    uint32_t last_check
    uint16_t fault              # ScanFault


cdef nogil:
    inline bint is_zero(const uint8_t *data, uint64_t size) noexcept:
        """Whether every byte is 0: compared with itself, one byte on."""
        return size == 0 or (data[0] == 0 and (size == 1 or memcmp(data, data + 1, size - 1) == 0))

    inline ScanFault look(const Scan *self, uint64_t offset, RecordView *view, uint32_t *check) noexcept:
        """The record at an offset, checked but for its sequence; SCAN_END if it is whole."""
        cdef const RecordHeader *header = <const RecordHeader *>(self.data + offset)
        cdef uint64_t left = self.bytes - offset
        cdef uint32_t framing
        if left < sizeof(RecordHeader) + CHECK_BYTES:
            return ScanFault.SCAN_CUT_OFF
        framing = <uint32_t>sizeof(RecordHeader) + header.padding + CHECK_BYTES
        if header.size % 8 or header.padding > 7 or header.size < framing:
            return ScanFault.SCAN_SIZE
        if header.size > left:
            return ScanFault.SCAN_CUT_OFF
        check[0] = (<const uint32_t *>(self.data + offset + header.size - CHECK_BYTES))[0]
        if check[0] != segments.crc32c(self.seed, header, header.size - CHECK_BYTES):
            return ScanFault.SCAN_CHECKSUM
        view.header = header
        view.payload = self.data + offset + sizeof(RecordHeader)
        view.payload_bytes = header.size - framing
        view.offset = offset
        return ScanFault.SCAN_END

    inline bint advance(Scan *self, RecordView *view) noexcept:
        """The next record; False at their end, and `fault` says why there is none."""
        cdef uint64_t left = self.bytes - self.offset
        cdef uint32_t check = 0
        if left < sizeof(uint32_t) or (<const uint32_t *>(self.data + self.offset))[0] == 0:
            self.fault = ScanFault.SCAN_END if is_zero(self.data + self.offset, left) else ScanFault.SCAN_REMAINS
            return False
        self.fault = look(self, self.offset, view, &check)
        if self.fault:
            return False
        if view.header.sequence != self.sequence + 1:
            self.fault = ScanFault.SCAN_SEQUENCE
            return False
        self.offset += view.header.size
        self.sequence = view.header.sequence
        self.last_check = check
        self.records += 1
        return True

    inline uint64_t whole_record_behind(const Scan *self) noexcept:
        """Offset of a whole record of a later sequence of the same run at or behind the end; 0 = there is none.

        The sequence is looked at before the checksum, so that bytes which are no record cost next to nothing.
        """
        cdef const RecordHeader *header
        cdef RecordView view
        cdef uint64_t offset = self.offset
        cdef uint32_t check = 0
        while offset + sizeof(RecordHeader) + CHECK_BYTES <= self.bytes:
            header = <const RecordHeader *>(self.data + offset)
            if (header.sequence > self.sequence
                    and header.sequence >> SEQUENCE_SHIFT == self.sequence >> SEQUENCE_SHIFT
                    and look(self, offset, &view, &check) == ScanFault.SCAN_END):
                return offset
            offset += 8
        return 0


cdef class SegmentScan:
    cdef Scan scan
    cdef readonly object path
    cdef readonly object header         # segments.Header; None = damaged, or nothing was ever written to it
    cdef readonly str fault             # of the header, then of the records; '' = none
    cdef bytes _data

    cpdef str finish(self)


cdef class JournalScan:
    cdef readonly SegmentScan segment   # the one that `next_segment` opened
    cdef readonly str fault             # of the segments as a row; '' = none so far
    cdef object _paths
    cdef object _wanted
    cdef object _previous
    cdef bint _in_order

    cpdef bint next_segment(self) except -1
    cdef bint _leave(self) except -1
    cdef int _pass_over(self, path) except -1
    cdef str _fault_before(self)
