"""A native thread that makes a journal durable while it is written, and says how far it has come.

    writing thread    record, `written` ──ring──> flushing thread    fdatasync, `durable` ──ring──> exchange threads

It flushes by descriptor: a store into the map is dirty in the page cache, and fdatasync writes what is dirty. So it
never touches the memory of a segment and may be in the middle of one that the writer has left; the preparing thread
lets go of a spent segment only when `Writer.flushed` has passed it. A disk that stands still therefore stops the
writer within two segments, and new orders long before (journal.may_begin).

Policy `group`: at most FLUSH_STEPS steps pass from a record to the flush that takes it, less when FLUSH_RECORDS wait.
Policy `sync`: it is flushed at once, and what is written meanwhile goes with the next flush.
"""
from libc.stdint cimport uint32_t, uint64_t

from orderflow._core.doorbell cimport Doorbell, NativeDoorbell
from orderflow._core.segments cimport SegmentFiles

cdef enum:
    FLUSH_STEP_NS = 250_000
    FLUSH_STEPS = 6             # 1.5 ms; with the flush itself less than 2 ms on the disks that we know
    FLUSH_RECORDS = 390         # of 168 bytes: 64 KiB
    BELLS = 33                  # of a thread for each exchange, and one


cdef class Flusher:
    cdef readonly SegmentFiles files
    cdef readonly Doorbell bell         # of the flushing thread; the writing thread rings it
    cdef readonly bint at_once
    cdef readonly uint64_t flushes
    cdef NativeDoorbell *waiting[BELLS]
    cdef uint32_t waiting_count
    cdef list _bells
    cdef object _thread
    cdef uint32_t _stopping

    cdef int _run(self) noexcept nogil
    cdef int _flush(self) noexcept nogil
    cdef void _gather(self) noexcept nogil
