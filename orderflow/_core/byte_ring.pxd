"""Ring of records of any length between two threads: one producer, one consumer. byte_ring.hpp says how and why.

    if outbox.reserve(length, &target) == BYTE_RING_OK:     write in place, at most `length` bytes
        outbox.commit(written, tag)
    data = inbox.peek(&length, &tag)                        in place; 64 readable bytes follow; NULL when empty
    inbox.release()
"""
from libc.stdint cimport uint32_t, uint64_t


cdef extern from "byte_ring.hpp" namespace "orderflow" nogil:
    cpdef enum ByteRingStatus:
        BYTE_RING_OK
        BYTE_RING_FULL              # try again when the consumer has moved on
        BYTE_RING_TOO_LARGE         # will never fit

    cdef cppclass NativeByteRing "orderflow::ByteRing":
        @staticmethod
        size_t bytes(uint64_t capacity) noexcept
        @staticmethod
        uint64_t largest_record(uint64_t capacity) noexcept
        @staticmethod
        NativeByteRing *place(void *memory, uint64_t capacity) noexcept         # set-up; NULL: bad alignment, capacity
        int reserve(size_t length, char **target) noexcept                      # producer; ByteRingStatus
        void commit(size_t length, uint32_t tag) noexcept                       # producer
        int push(const void *data, size_t length, uint32_t tag) noexcept        # producer; ByteRingStatus
        const char *peek(uint32_t *length, uint32_t *tag) noexcept              # consumer; NULL when empty
        void release() noexcept                                                 # consumer
        uint64_t used() noexcept                                                # any thread
        uint64_t capacity() noexcept                                            # any thread


cdef class ByteRing:
    """Owns the memory of one byte ring; `native` is valid for as long as this object lives."""
    cdef NativeByteRing *native
    cdef void *memory
