"""What recording a frame costs the exchange thread: a native stamp before the copy into the ring, a stamp after."""
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libcpp.vector cimport vector

import numpy as np

from orderflow._core cimport clock, recording
from orderflow._core.byte_ring cimport ByteRing
from orderflow._core.exchange_state cimport NO_LISTING, ExchangeState
from orderflow._core.types cimport RecordedKind


cdef class Recording:
    """Frames one behind the other as in a receive buffer, and the ring of an exchange loop.

    Parameters
    ----------
    frames : list of bytes
    ring : ByteRing
        Somebody takes out of it.
    """
    cdef bytes owned
    cdef const char *data
    cdef vector[size_t] begins
    cdef vector[size_t] sizes
    cdef ByteRing ring
    cdef ExchangeState *state
    cdef uint8_t closed

    def __init__(self, list frames, ByteRing ring):
        cdef size_t at = 0
        for frame in frames:
            self.begins.push_back(at)
            self.sizes.push_back(len(frame))
            at += len(frame)
        self.owned = b"".join(frames)
        self.data = self.owned
        self.ring = ring
        self.state = <ExchangeState *>calloc(1, sizeof(ExchangeState))
        if self.state is NULL:
            raise MemoryError()
        self.state.recording, self.state.recording_closed = ring.native, &self.closed

    def __dealloc__(self):
        free(self.state)

    def run(self, size_t begin, size_t end):
        """Nanoseconds of recording each of the frames begin .. end - 1."""
        out = np.empty(end - begin, np.int64)
        cdef int64_t[::1] taken = out
        cdef int64_t before
        cdef size_t i
        with nogil:
            for i in range(begin, end):
                before = clock.monotonic_ns()
                recording.record(self.state, RecordedKind.RECORDED_FRAME, 0, NO_LISTING, 0,
                                 self.data + self.begins[i], self.sizes[i], before)
                taken[i - begin] = clock.monotonic_ns() - before
        return out

    @staticmethod
    def nothing(uint32_t count):
        """What two stamps cost by themselves, nanoseconds each time."""
        out = np.empty(count, np.int64)
        cdef int64_t[::1] taken = out
        cdef int64_t before
        cdef uint32_t i
        with nogil:
            for i in range(count):
                before = clock.monotonic_ns()
                taken[i] = clock.monotonic_ns() - before
        return out
