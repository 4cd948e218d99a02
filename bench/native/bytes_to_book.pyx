"""Frames as they were received into books that are proven to be in step, timed where it runs.

What the exchange thread does with a frame up to the best bid and ask: the codec's virtual call, the join, the book.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libcpp.vector cimport vector
from posix.time cimport CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec

from orderflow._core cimport book, integrity
from orderflow._core.book cimport OrderBook
from orderflow._core.codec cimport CODEC_PADDING, Codec, DecodeOutput, DecodeStatus
from orderflow._core.integrity cimport BookSync
from orderflow._core.ring cimport Ring
from orderflow._core.tape cimport Tape
from orderflow._core.types cimport BookState, Level, Message, MessageKind, Side

cdef enum:
    KEPT_BYTES = 1 << 20        # updates that wait for the snapshot


cdef nogil:
    inline int64_t cpu_ns() noexcept:
        cdef timespec time
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return <int64_t>time.tv_sec * 1000000000 + time.tv_nsec

    inline uint64_t mix(uint64_t digest, const Level *level) noexcept:
        digest = (digest ^ <uint64_t>level.price) * 0x100000001b3ULL
        return (digest ^ <uint64_t>level.quantity) * 0x100000001b3ULL


cdef class Replay:
    """The frames of one capture, one behind the other as in a receive buffer, and the books that take them.

    Parameters
    ----------
    frames : list of bytes
    snapshots : list of (int, int, bytes)
        REST bodies: before which frame each was taken, of which listing.
    owners : list of OrderBook
        By listing.
    rows : array of LISTING_DTYPE
        By listing.
    rule : SyncRule
    """
    cdef bytes owned
    cdef const char *data
    cdef list snapshots, owners
    cdef vector[size_t] begins
    cdef vector[size_t] sizes
    cdef DecodeOutput out
    cdef BookSync *syncs
    cdef uint32_t count
    cdef Tape tape
    cdef uint8_t tape_closed

    def __init__(self, list frames, list snapshots, list owners, rows, int rule):
        cdef size_t at = 0
        cdef uint32_t i
        cdef OrderBook owner
        for frame in frames:
            self.begins.push_back(at)
            self.sizes.push_back(len(frame))
            at += len(frame)
        self.owned = b"".join(frames) + bytes(CODEC_PADDING)
        self.data = self.owned
        self.snapshots, self.owners, self.out = snapshots, owners, DecodeOutput()
        self.count = len(owners)
        self.syncs = <BookSync *>calloc(self.count, sizeof(BookSync))
        if self.syncs is NULL:
            raise MemoryError()
        for i in range(self.count):
            owner = owners[i]
            self.syncs[i].book = &owner.book
            self.syncs[i].listing = i
            self.syncs[i].rule = rule
            self.syncs[i].depth = rows[i]["depth"]
            self.syncs[i].price_decimals = rows[i]["price_decimals"]
            self.syncs[i].quantity_decimals = rows[i]["quantity_decimals"]
            self.syncs[i].kept_capacity = KEPT_BYTES
            self.syncs[i].kept = <char *>malloc(KEPT_BYTES)
            if self.syncs[i].kept is NULL:
                raise MemoryError()

    def __dealloc__(self):
        cdef uint32_t i
        if self.syncs is not NULL:
            for i in range(self.count):
                free(self.syncs[i].kept)
            free(self.syncs)

    cdef bint on_message(self, Message *message, bint checked) noexcept nogil:
        """What the exchange thread does with it; whether it is of a book."""
        cdef uint32_t i
        cdef BookSync *sync
        cdef const Level *levels = self.out.buffer.levels
        if message.kind == MessageKind.MISSED:
            for i in range(self.count):
                integrity.on_missed(&self.syncs[i], 0)
            return False
        if message.listing < 0:
            return False
        sync = &self.syncs[message.listing]
        if not checked:
            message.checksum_rule = 0
        if message.kind == MessageKind.UPDATE:
            integrity.on_update(sync, message, levels, 0)
        elif message.kind == MessageKind.SNAPSHOT:
            integrity.on_snapshot(sync, message, levels, 0)
        elif message.kind == MessageKind.REFRESH:
            integrity.on_refresh(sync, message, levels, 0)
        elif message.kind == MessageKind.CHECK:
            if checked:
                integrity.on_check(sync, message, 0)
        elif message.kind == MessageKind.ALIVE:
            integrity.on_alive(sync, message, 0)
        else:
            return False
        return True

    cdef int take(self, Codec codec, size_t begin, size_t end, bint checked, uint64_t *digest) noexcept nogil:
        """Frames begin .. end - 1; what each says of a book is followed by a read of that book's best bid and ask."""
        cdef Level bid, ask
        cdef BookSync *sync
        cdef size_t i
        cdef uint32_t k
        cdef int status
        for i in range(begin, end):
            status = codec.decode(self.data + self.begins[i], self.sizes[i], 0, &self.out.buffer)
            if status != DecodeStatus.DECODED:
                return status
            for k in range(self.out.buffer.message_count):
                if self.on_message(&self.out.buffer.messages[k], checked):
                    sync = &self.syncs[self.out.buffer.messages[k].listing]
                    bid.price = bid.quantity = ask.price = ask.quantity = 0
                    book.best(sync.book, Side.BUY, &bid)
                    book.best(sync.book, Side.SELL, &ask)
                    digest[0] = mix(mix(digest[0], &bid), &ask)
        return DecodeStatus.DECODED

    cdef int put(self, Codec codec, uint32_t listing, bytes body) except -1:
        """A REST body into its book."""
        cdef bytes padded = body + bytes(CODEC_PADDING)
        cdef const char *text = padded
        cdef int status = codec.decode_snapshot(listing, text, len(body), 0, &self.out.buffer)
        if status == DecodeStatus.DECODED:
            integrity.on_snapshot(&self.syncs[listing], &self.out.buffer.messages[0], self.out.buffer.levels, 0)
        return status

    def run(self, Codec codec, Ring tape=None, bint checked=True):
        """Everything once, from empty books on, with a codec that has seen nothing. Returns (CPU ns of the frames,
        digest of the best bid and ask after each); snapshots are not in the time. `tape` gets every applied update.
        Not `checked`: checksums are not looked at."""
        cdef uint64_t digest = 0
        cdef int64_t elapsed = 0
        cdef int64_t begin_ns
        cdef size_t begin = 0
        cdef size_t end
        cdef uint32_t i
        cdef int status = DecodeStatus.DECODED
        if tape is not None:
            self.tape.ring, self.tape.closed = tape.of128, &self.tape_closed
        for i in range(self.count):
            self.syncs[i].tape = &self.tape if tape is not None else NULL
            self.syncs[i].gaps = self.syncs[i].checksums_failed = 0
            integrity.connection_opened(&self.syncs[i], self.syncs[i].epoch + 1, 0)
        for where, listing, body in [*self.snapshots, (self.begins.size(), 0, None)]:
            end = where
            with nogil:
                begin_ns = cpu_ns()
                if status == DecodeStatus.DECODED:
                    status = self.take(codec, begin, end, checked, &digest)
                elapsed += cpu_ns() - begin_ns
            begin = end
            if body is not None and status == DecodeStatus.DECODED:
                status = self.put(codec, listing, body)
        for i in range(self.count):
            if status != DecodeStatus.DECODED or self.syncs[i].state == BookState.STALE:
                raise ValueError(f"decode status {status}, book {i}: {self.syncs[i].state}, {self.syncs[i].fault}")
        return elapsed, digest

    def stages(self, Codec codec):
        """CPU ns of the frames for decoding alone: what the rest costs is the difference to `run`."""
        cdef int64_t begin_ns
        cdef size_t i
        with nogil:
            begin_ns = cpu_ns()
            for i in range(self.begins.size()):
                codec.decode(self.data + self.begins[i], self.sizes[i], 0, &self.out.buffer)
            begin_ns = cpu_ns() - begin_ns
        return begin_ns

    def counters(self, uint32_t listing):
        """What integrity counted of a listing in the last run, as `summary_of` wants it."""
        return {"gaps": self.syncs[listing].gaps, "checksums_failed": self.syncs[listing].checksums_failed}
