"""Append-only files of fixed segments, written through memory maps: the ground under the journal and the input log.

A store into a shared map belongs to the kernel as soon as it is made: the process may be killed at any instruction
and the store stays. Only a crash of the machine loses what was not flushed. So an append costs a copy and a checksum,
and no system call.

The writing thread never waits. A Python thread (segments.pyx) prepares the next segment ahead: allocated, zero-
filled, flushed and mapped, so that the disk cannot be found full, and no page missing, in the middle of a record.
When one segment is used up the writer takes the next and leaves the old one to be flushed and unmapped. If the next
is not there the writer has FAILED, and stays so.

    writer thread   [ segment 7: in use ] -- full --> [ segment 8: prepared ]       hands over by two flags,
    python thread   flushes and unmaps 7, prepares 9                                 rung by an eventfd

Every record's CRC32C begins with a seed made of the segment's random salt and its number, so that bytes left over
from another file never pass for a record of this one. """
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from posix.unistd cimport write

from orderflow._core cimport crash_point

cdef extern from "crc32c.hpp" namespace "orderflow" nogil:
    uint32_t crc32c(uint32_t seed, const void *data, size_t size) noexcept
    uint32_t crc32c_portable(uint32_t seed, const void *data, size_t size) noexcept

cdef extern from *:
    """
    #define ORDERFLOW_LOAD(word) __atomic_load_n(word, __ATOMIC_ACQUIRE)
    #define ORDERFLOW_STORE(word, value) __atomic_store_n(word, value, __ATOMIC_RELEASE)
    """
    uint32_t load_acquire "ORDERFLOW_LOAD"(const uint32_t *word) noexcept nogil
    void store_release "ORDERFLOW_STORE"(uint32_t *word, uint32_t value) noexcept nogil
    uint64_t load_sequence "ORDERFLOW_LOAD"(const uint64_t *word) noexcept nogil
    void store_sequence "ORDERFLOW_STORE"(uint64_t *word, uint64_t value) noexcept nogil

cdef enum:
    SEGMENT_MAGIC = 0x4F464C57  # "WLFO" in the file
    SEGMENT_VERSION = 1
    SEGMENTS_OPEN = 4           # descriptors kept: the one in use, the next, the spent one, and one to spare


cdef struct SegmentHeader:      # 64 bytes, at the start of every segment
    uint32_t magic
    uint16_t version
    uint16_t kind               # what is in it: 1 journal, 2 input log
    uint64_t salt
    uint64_t epoch              # client-id epoch of the run that wrote it
    uint64_t first_sequence     # 0 = prepared, never used
    uint64_t bytes
    uint32_t number
    uint32_t previous_check     # CRC of the last record of the segment before, 0 = first of its run
    uint32_t reserved[3]
    uint32_t check              # CRC32C of the above


cpdef enum Halt:                # why nothing new may be begun, though what is under way is still written down
    NOT_HALTED = 0
    NO_SPACE = 1                # the next segment cannot be prepared
    FLUSH_FAILED = 2            # the disk said no, and what it kept of what it was given nobody knows
    FLUSH_STALLED = 3           # it says nothing


cdef struct Durability:         # how far the disk is; a cache line for each thread that writes to it
    uint8_t before[64]
    uint64_t written            # sequence of the last record; writing thread
    uint8_t between[56]
    uint64_t durable            # all up to this sequence is on disk; flushing thread (flusher.pxd)
    uint32_t halted             # Halt; any thread
    uint8_t behind[52]


cdef struct Writer:
    uint8_t *memory             # the segment in use
    uint64_t offset             # first free byte
    uint64_t bytes              # of every segment
    uint32_t seed
    uint32_t last_check
    uint32_t failed             # any thread
    uint32_t rolls              # how often the next segment was taken: the number of the one in use in this run
    uint32_t flushed            # of the first that may not be durable; flushing thread
    uint32_t is_flushed_apart   # by a flushing thread: a spent segment waits until that is done with it
    int descriptors[SEGMENTS_OPEN]  # by number in this run
    int bell                    # eventfd of the thread that prepares
    uint8_t *next_memory        # prepared ahead
    uint32_t next_seed
    uint32_t next_ready         # set by the preparing thread, cleared by the writer
    uint8_t *spent_memory       # used up
    uint64_t spent_offset
    uint32_t spent_ready        # set by the writer, cleared by the preparing thread


cdef nogil:
    inline uint32_t seed_of(uint64_t salt, uint32_t number) noexcept:
        return crc32c(crc32c(0, &salt, sizeof(salt)), &number, sizeof(number))

    inline bint roll(Writer *writer, uint64_t first_sequence) noexcept:
        """Go on in the next segment; False, for good, if it is not prepared. One system call, once a segment."""
        cdef uint64_t one = 1
        if not load_acquire(&writer.next_ready) or load_acquire(&writer.spent_ready):
            store_release(&writer.failed, 1)
            return False
        writer.spent_memory = writer.memory
        writer.spent_offset = writer.offset
        writer.memory = writer.next_memory
        writer.seed = writer.next_seed
        writer.offset = sizeof(SegmentHeader)
        crash_point.reached("in-segment-roll")
        begin(writer, first_sequence)
        store_release(&writer.next_ready, 0)
        store_release(&writer.rolls, writer.rolls + 1)
        store_release(&writer.spent_ready, 1)
        write(writer.bell, &one, sizeof(one))
        return True

    inline void halt_stalled(Writer *writer, Durability *durability) noexcept:
        """Nothing new from here on; the preparing thread tells the user. One system call, once."""
        cdef uint64_t one = 1
        store_release(&durability.halted, Halt.FLUSH_STALLED)
        write(writer.bell, &one, sizeof(one))

    inline void begin(Writer *writer, uint64_t first_sequence) noexcept:
        """Complete the header of the segment in use with what was not known when it was prepared."""
        cdef SegmentHeader *header = <SegmentHeader *>writer.memory
        header.first_sequence = first_sequence
        header.previous_check = writer.last_check
        header.check = crc32c(0, header, sizeof(SegmentHeader) - sizeof(header.check))

    inline uint8_t *claim(Writer *writer, uint64_t size, uint64_t sequence) noexcept:
        """Room for a record of `size` bytes, all zero; NULL if the writer has failed. It is written by `commit`."""
        if load_acquire(&writer.failed) or size > writer.bytes - sizeof(SegmentHeader):
            return NULL
        if writer.offset + size > writer.bytes and not roll(writer, sequence):
            return NULL
        return writer.memory + writer.offset

    inline void commit(Writer *writer, uint64_t size, uint32_t check) noexcept:
        writer.offset += size
        writer.last_check = check


cdef class SegmentFiles:
    cdef Writer writer
    cdef Durability durability
    cdef readonly object directory
    cdef readonly str name
    cdef readonly uint64_t epoch
    cdef readonly object error
    cdef readonly bint closed
    cdef uint16_t _kind
    cdef uint32_t _number
    cdef uint32_t _prepared_segments
    cdef object _report
    cdef bint _told
    cdef object _thread
    cdef object _prepared
    cdef object _next_path
    cdef object _current_path

    cdef uint8_t *_prepare(self) except NULL
    cdef int _service(self) except -1
    cdef int _release_spent(self) except -1
