"""Frames through a codec, timed inside native code: one virtual call per frame, as the exchange loop makes it.

Times are CPU time of the thread: what others do on the machine counts as little as it can.
"""
from libc.stdint cimport int64_t, uint64_t
from posix.time cimport CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec
from libcpp.vector cimport vector

from orderflow._core.codec cimport CODEC_PADDING, Codec, DecodeOutput, DecodeStatus


cdef int64_t now() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t)
    return <int64_t>t.tv_sec * 1_000_000_000 + t.tv_nsec


cdef class Replay:
    """Frames one after another in one block of memory, as in a receive buffer."""
    cdef bytes data
    cdef vector[size_t] begins
    cdef vector[size_t] sizes

    def __init__(self, frames):
        cdef size_t at = 0
        for frame in frames:
            self.begins.push_back(at)
            self.sizes.push_back(len(frame))
            at += len(frame)
        self.data = b"".join(frames) + bytes(CODEC_PADDING)

    def decode(self, Codec codec, DecodeOutput out):
        """(nanoseconds, levels, sum over all levels of price ^ quantity) of one pass; raises if a frame is refused."""
        cdef const char *data = self.data
        cdef uint64_t checksum = 0
        cdef uint64_t count = 0
        cdef int status = 0
        cdef int64_t begin, end
        cdef size_t i, level
        with nogil:
            begin = now()
            for i in range(self.begins.size()):
                status |= codec.decode(data + self.begins[i], self.sizes[i], 0, &out.buffer)
                count += out.buffer.level_count
            end = now()
            for i in range(self.begins.size()):         # the same again for the end state, outside the time
                status |= codec.decode(data + self.begins[i], self.sizes[i], 0, &out.buffer)
                for level in range(out.buffer.level_count):
                    checksum += <uint64_t>(out.buffer.levels[level].price ^ out.buffer.levels[level].quantity)
        if status != DecodeStatus.DECODED:
            raise ValueError("a frame was refused")
        return end - begin, count, checksum
