"""Ring of fixed slots between two threads: one producer, one consumer. ring.hpp says how and why.

In hot code, on a pointer taken from a `Ring` object that is kept alive elsewhere:

    outbox.push(&wake)                          copy, then publish; False when full
    record = <const ChildOrder *>inbox.peek()   in place, NULL when empty
    inbox.release()

DANGER: the last 8 bytes of a slot belong to the ring (`ring_stamp` of the structs of types.pxd). After claim() assign
fields, never the whole struct; to move a whole struct, push() it.
"""
from libc.stdint cimport uint64_t


cdef extern from "ring.hpp" namespace "orderflow" nogil:
    const size_t line_pair                                          # what place() wants memory aligned to

    cdef cppclass Ring64 "orderflow::Ring<64>":
        @staticmethod
        size_t bytes(uint64_t capacity) noexcept
        @staticmethod
        Ring64 *place(void *memory, uint64_t capacity) noexcept     # set-up; NULL: not aligned or no power of two
        void *claim() noexcept                                      # producer; NULL when full
        void publish() noexcept                                     # producer
        bint push(const void *record) noexcept                      # producer; False when full
        const void *peek() noexcept                                 # consumer; NULL when empty
        void release() noexcept                                     # consumer
        bint pop(void *record) noexcept                             # consumer; False when empty
        uint64_t size() noexcept                                    # any thread
        uint64_t capacity() noexcept                                # any thread

    cdef cppclass Ring128 "orderflow::Ring<128>":
        @staticmethod
        size_t bytes(uint64_t capacity) noexcept
        @staticmethod
        Ring128 *place(void *memory, uint64_t capacity) noexcept
        void *claim() noexcept
        void publish() noexcept
        bint push(const void *record) noexcept
        const void *peek() noexcept
        void release() noexcept
        bint pop(void *record) noexcept
        uint64_t size() noexcept
        uint64_t capacity() noexcept


cdef class Ring:
    """Owns the memory of one ring; exactly one of the two pointers is set, for as long as this object lives."""
    cdef Ring64 *of64
    cdef Ring128 *of128
    cdef void *memory
    cdef readonly int slot_size
