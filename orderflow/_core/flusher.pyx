"""The flushing thread of a journal; flusher.pxd draws it."""
from libc.errno cimport EINTR, errno
from libc.stdint cimport uint32_t, uint64_t
from posix.time cimport nanosleep, timespec
from posix.unistd cimport write

from orderflow._core cimport segments
from orderflow._core.doorbell cimport Doorbell, pollfd
from orderflow._core.segments cimport SEGMENTS_OPEN, Halt, SegmentFiles

import os
import threading

cdef extern from "<unistd.h>" nogil:
    int fdatasync(int descriptor)


cdef class Flusher:
    """Flushes the segments of one journal until it is told to stop.

    Parameters
    ----------
    files : SegmentFiles
        Made with `flushed_apart`.
    at_once : bool
        Somebody waits for every record (policy `sync`).
    """

    def __init__(self, SegmentFiles files, bint at_once):
        self.files, self.at_once = files, at_once
        self.bell = Doorbell()
        self._bells = []
        self._thread = threading.Thread(target=self._live, name="orderflow-journal", daemon=True)
        self._thread.start()

    def ring_when_durable(self, Doorbell bell):
        """Ring that bell whenever more is durable."""
        if self.waiting_count == BELLS:
            raise ValueError(f"at most {BELLS} threads can wait for one journal")
        self._bells.append(bell)
        self.waiting[self.waiting_count] = bell.native
        segments.store_release(&self.waiting_count, self.waiting_count + 1)

    def stop(self):
        """End after the flush that is under way; the writing thread must have stopped. Idempotent."""
        segments.store_release(&self._stopping, 1)
        self.bell.native.ring()
        self._thread.join()

    def _live(self):
        cdef int failure
        with nogil:
            failure = self._run()
        if failure:
            self.files.halt(Halt.FLUSH_FAILED, f"{self.files.directory}: the journal cannot be flushed: "
                            f"{os.strerror(failure)}; no new order is sent until a restart, cancels are")
            for bell in self._bells:
                bell.ring()                 # what waits for the disk waits in vain

    cdef int _run(self) noexcept nogil:
        """The thread's whole life; 0, or the errno of the flush that failed: it is not tried again."""
        cdef pollfd fds[1]
        cdef int failure
        while not segments.load_acquire(&self._stopping):
            if segments.load_sequence(&self.files.durability.written) == self.files.durability.durable:
                self.bell.native.prepare_park()
                if (segments.load_sequence(&self.files.durability.written) != self.files.durability.durable
                        or segments.load_acquire(&self._stopping)):
                    self.bell.native.cancel_park()
                else:
                    self.bell.native.wait(fds, 1, -1)
                continue
            if not self.at_once:
                self._gather()
            failure = self._flush()
            if failure:
                return failure
        return 0

    cdef void _gather(self) noexcept nogil:
        """Let more come, so that one flush takes it all."""
        cdef timespec step
        cdef uint32_t _
        step.tv_sec, step.tv_nsec = 0, FLUSH_STEP_NS
        for _ in range(<uint32_t>FLUSH_STEPS):
            if (segments.load_sequence(&self.files.durability.written) - self.files.durability.durable >= FLUSH_RECORDS
                    or segments.load_acquire(&self._stopping)):
                return
            nanosleep(&step, NULL)

    cdef int _flush(self) noexcept nogil:
        """One flush of everything written so far; 0 or errno. What was written is read before which segment is in use:
        so the last of them holds it, or one before."""
        cdef uint64_t one = 1
        cdef uint64_t written = segments.load_sequence(&self.files.durability.written)
        cdef uint32_t last = segments.load_acquire(&self.files.writer.rolls)
        cdef uint32_t first = self.files.writer.flushed
        cdef uint32_t i
        for i in range(first, last + 1):
            while fdatasync(self.files.writer.descriptors[i % SEGMENTS_OPEN]):
                if errno != EINTR:
                    return errno
        segments.store_sequence(&self.files.durability.durable, written)
        self.flushes += 1
        if last != first:
            segments.store_release(&self.files.writer.flushed, last)
            write(self.files.writer.bell, &one, sizeof(one))
        for i in range(segments.load_acquire(&self.waiting_count)):
            self.waiting[i].ring()
        return 0
