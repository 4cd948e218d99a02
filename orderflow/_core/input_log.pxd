"""The input log: in what order a loop took its inputs, and what it saw on the boards. With it and the captures a run
can be replayed.

One record of 32 bytes per input taken and per board read, in segments like the journal's. The router and the
strategizer each write one of their own. Nothing is decided by it, so a log that has failed does not stop trading: it
counts what it lost, and its reader refuses to call the run complete. """
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from orderflow._core cimport segments
from orderflow._core.segments cimport Writer
from orderflow._core.types cimport InputKind, InputRecord

cdef enum:
    BOARD_EPOCH_SHIFT = 40


cdef struct InputLog:
    Writer *writer
    uint64_t sequence           # of the last input taken
    int64_t event_ns            # its time
    uint64_t lost
    uint8_t kind                # InputKind of the last input taken


cdef nogil:
    inline void append(InputLog *log, uint8_t kind, uint16_t source, uint64_t number) noexcept:
        cdef InputRecord *record = <InputRecord *>segments.claim(log.writer, sizeof(InputRecord), log.sequence)
        cdef InputRecord whole
        if record is NULL:
            log.lost += 1
            return
        whole.sequence = log.sequence
        whole.event_ns = log.event_ns
        whole.number = number
        whole.check = 0
        whole.source = source
        whole.kind = kind
        whole.reserved = 0
        whole.check = segments.crc32c(log.writer.seed, &whole, sizeof(InputRecord))
        record[0] = whole
        segments.commit(log.writer, sizeof(InputRecord), whole.check)

    inline uint64_t take(InputLog *log, uint8_t kind, uint16_t source, uint64_t number, int64_t event_ns) noexcept:
        """Log an input before it is served. `source` is its inbox, `number` the source's own sequence. Its sequence
        in this loop."""
        log.sequence += 1
        log.event_ns = event_ns
        log.kind = kind
        append(log, kind, source, number)
        return log.sequence

    inline void board_read(InputLog *log, uint32_t listing, uint32_t epoch, uint64_t publication) noexcept:
        """Log what was seen of a listing's board while the last input is served."""
        append(log, InputKind.BOARD_READ, <uint16_t>listing, <uint64_t>epoch << BOARD_EPOCH_SHIFT | publication)


cdef class InputLogFiles(segments.SegmentFiles):
    cdef InputLog log
