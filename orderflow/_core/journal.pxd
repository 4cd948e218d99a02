"""The journal: what was decided and what came of it, written before anything else happens. Router thread only.

An order's intent is in the page cache before the store that shows the order to its exchange thread, so a process
killed at any instruction leaves no order that is not in the journal (the policy called `crash`). Under `group` a
thread of its own makes it durable a little later, for when the machine dies too; under `sync` the exchange thread holds
the order until that has happened (held_orders.pxd). New orders come in as what risk approved and go out as the only
pointer to them that may be published; when the journal has failed, is halted or the disk stands still there is none,
and cancels still pass.

Record, little endian, at a multiple of 8: u32 size of all of it | u16 kind | u16 bytes of padding | u64 sequence |
i64 monotonic_ns | i64 wall_ns | payload | zeros up to a multiple of 8 less 4 | u32 CRC32C, seeded by the segment.
Sequences are epoch << 40 | counter, and so grow across runs. Payloads are the structs of
types.pxd, byte for byte. """
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from orderflow._core cimport client_id, crash_point, risk, segments
from orderflow._core.doorbell cimport NativeDoorbell
from orderflow._core.flusher cimport Flusher
from orderflow._core.journal_scan cimport CHECK_BYTES, RecordHeader
from orderflow._core.risk cimport Approved
from orderflow._core.segments cimport Durability, Writer
from orderflow._core.types cimport (
    ChildKind, ChildOrder, Command, ExecutionReport, ParentOrder, ResidualChange)

cdef enum:
    STALL_NS = 1_000_000_000    # what is not durable after so long halts new orders


cpdef enum RecordKind:
    RUN_START = 1               # payload: JSON
    PARENT = 2                  # ParentOrder
    INTENT = 3                  # ChildOrder: NEW_ORDER
    CANCEL = 4                  # ChildOrder: CANCEL_ORDER
    REPORT = 5                  # ExecutionReport: sent, acknowledged, filled, ...
    STATE = 6                   # Command: SET_TRADING_STATE
    RUN_END = 7                 # JSON
    CARRIED = 8                 # JSON: an order or position of the run before, as this one takes it over
    REPLACE = 9                 # ChildOrder: REPLACE_ORDER
    RESIDUAL = 10               # ResidualChange


cdef struct Journal:
    Writer *writer
    Durability *durability
    NativeDoorbell *flusher     # bell of the flushing thread; NULL = policy `crash`
    uint64_t awaited            # a sequence that was not durable yet when it was last looked at, and since when
    int64_t awaited_ns
    uint64_t sequence           # of the last record
    uint64_t client_order_id    # the last one given out
    int64_t wall_offset_ns      # wall clock - monotonic clock
    uint64_t lost               # records refused after the journal failed
    uint64_t unsealed           # orders refused because risk's seal was missing, broken or used


cdef nogil:
    inline uint64_t next_client_order_id(Journal *journal) noexcept:
        """A client order id that no run has used; 0 when this run has used up its own."""
        if client_id.is_last(journal.client_order_id):
            return 0
        journal.client_order_id += 1
        return journal.client_order_id

    inline uint64_t append(Journal *journal, uint16_t kind, const void *payload, uint32_t size,
                           int64_t now_ns) noexcept:
        """Append one record; its sequence, or 0 if the journal has failed."""
        cdef uint32_t body = <uint32_t>sizeof(RecordHeader) + size
        cdef uint32_t whole = (body + CHECK_BYTES + 7) & ~<uint32_t>7
        cdef uint8_t *record = segments.claim(journal.writer, whole, journal.sequence + 1)
        cdef RecordHeader *header = <RecordHeader *>record
        cdef uint32_t check
        if record is NULL:
            journal.lost += 1
            return 0
        journal.sequence += 1
        header.size = whole
        header.kind = kind
        header.padding = <uint16_t>(whole - CHECK_BYTES - body)
        header.sequence = journal.sequence
        header.monotonic_ns = now_ns
        header.wall_ns = now_ns + journal.wall_offset_ns
        memcpy(record + sizeof(RecordHeader), payload, size)
        crash_point.reached("mid-record")
        check = segments.crc32c(journal.writer.seed, record, whole - CHECK_BYTES)
        memcpy(record + whole - CHECK_BYTES, &check, CHECK_BYTES)
        segments.commit(journal.writer, whole, check)
        segments.store_sequence(&journal.durability.written, journal.sequence)
        if journal.flusher is not NULL:
            journal.flusher.ring()
        return journal.sequence

    inline bint may_begin(Journal *journal, int64_t now_ns) noexcept:
        """Whether a new order may be journalled: nothing has halted that, and the disk keeps up."""
        cdef uint64_t durable
        if segments.load_acquire(&journal.durability.halted):
            return False
        if journal.flusher is NULL:
            return True
        durable = segments.load_sequence(&journal.durability.durable)
        if durable >= journal.awaited or durable == journal.sequence:
            journal.awaited, journal.awaited_ns = journal.sequence + 1, now_ns
        elif now_ns - journal.awaited_ns > STALL_NS:
            segments.halt_stalled(journal.writer, journal.durability)
            return False
        return True

    inline ChildOrder *append_intent(Journal *journal, Approved *approved, int64_t now_ns) noexcept:
        """Journal a new order that risk approved: the order to publish, carrying its journal sequence. An approval
        serves once.

        NULL if the journal has failed or is halted, or if the order is not the one that was judged: then it must not
        be sent.
        """
        if not risk.is_sealed(approved) or approved.order.kind != ChildKind.NEW_ORDER:
            journal.unsealed += 1
            return NULL
        if not may_begin(journal, now_ns):
            journal.lost += 1
            return NULL
        risk.spend(approved)
        approved.order.journal_sequence = journal.sequence + 1
        if not append(journal, RecordKind.INTENT, &approved.order, sizeof(ChildOrder), now_ns):
            return NULL
        return &approved.order

    inline ChildOrder *append_replace(Journal *journal, ChildOrder *order, int64_t now_ns) noexcept:
        """Journal a replacement that risk has allowed: the order to publish; NULL as of an intent."""
        if order.kind != ChildKind.REPLACE_ORDER or not may_begin(journal, now_ns):
            journal.lost += 1
            return NULL
        order.journal_sequence = journal.sequence + 1
        if not append(journal, RecordKind.REPLACE, order, sizeof(ChildOrder), now_ns):
            return NULL
        return order

    inline ChildOrder *append_cancel(Journal *journal, ChildOrder *order, int64_t now_ns) noexcept:
        """Journal a cancel: the order to publish. A failed journal does not hold it up. NULL if it is no cancel."""
        if order.kind != ChildKind.CANCEL_ORDER:
            return NULL
        order.journal_sequence = journal.sequence + 1
        if not append(journal, RecordKind.CANCEL, order, sizeof(ChildOrder), now_ns):
            order.journal_sequence = 0
        return order

    inline uint64_t append_parent(Journal *journal, const ParentOrder *order, int64_t now_ns) noexcept:
        return append(journal, RecordKind.PARENT, order, sizeof(ParentOrder), now_ns)

    inline uint64_t append_report(Journal *journal, const ExecutionReport *report, int64_t now_ns) noexcept:
        return append(journal, RecordKind.REPORT, report, sizeof(ExecutionReport), now_ns)

    inline uint64_t append_residual(Journal *journal, const ResidualChange *change, int64_t now_ns) noexcept:
        return append(journal, RecordKind.RESIDUAL, change, sizeof(ResidualChange), now_ns)

    inline uint64_t append_state(Journal *journal, const Command *command, int64_t now_ns) noexcept:
        return append(journal, RecordKind.STATE, command, sizeof(Command), now_ns)


cdef class JournalFiles(segments.SegmentFiles):
    cdef Journal journal
    cdef int _lock
    cdef readonly uint64_t instance     # part of its client order ids (client_id.pxd)
    cdef readonly uint64_t prefix
    cdef readonly str policy
    cdef readonly Flusher flusher       # None under `crash`
    cdef readonly tuple recovered      # what opening it had to put right, a line each

    cdef uint64_t _text(self, uint16_t kind, fields) except? 0
