"""Depth frames as they were received into a book that is proven to be in step, timed where it runs.

What the exchange thread does with a frame up to its best bid and ask: the codec's virtual call, the join, the book.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libcpp.vector cimport vector
from posix.time cimport CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec

from orderflow._core cimport book, integrity
from orderflow._core.book cimport OrderBook
from orderflow._core.codec cimport CODEC_PADDING, Codec, DecodeOutput, DecodeStatus
from orderflow._core.integrity cimport BookSync
from orderflow._core.ring cimport Ring
from orderflow._core.tape cimport Tape
from orderflow._core.types cimport BookState, Level, Side

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
    """The frames of one capture, one behind the other as in a receive buffer, and the book that takes them.

    Parameters
    ----------
    early, late : list of bytes
        Depth frames before and after the snapshot.
    snapshot : bytes
        REST body.
    codec : Codec
        Carries one listing: index 0.
    owner : OrderBook
    rule : SyncRule
    """
    cdef bytes owned, snapshot
    cdef const char *data
    cdef size_t snapshot_size
    cdef vector[size_t] begins
    cdef vector[size_t] sizes
    cdef size_t early
    cdef Codec codec
    cdef DecodeOutput out
    cdef OrderBook owner
    cdef BookSync sync
    cdef Tape tape
    cdef uint8_t tape_closed

    def __init__(self, list early, list late, bytes snapshot, Codec codec, OrderBook owner, int rule):
        cdef size_t at = 0
        for frame in early + late:
            self.begins.push_back(at)
            self.sizes.push_back(len(frame))
            at += len(frame)
        self.owned = b"".join(early + late) + bytes(CODEC_PADDING)
        self.data = self.owned
        self.snapshot, self.snapshot_size = snapshot + bytes(CODEC_PADDING), len(snapshot)
        self.early = len(early)
        self.codec, self.owner, self.out = codec, owner, DecodeOutput()
        self.sync.book = &owner.book
        self.sync.rule = rule
        self.sync.kept_capacity = KEPT_BYTES
        self.sync.kept = <char *>malloc(KEPT_BYTES)
        if self.sync.kept is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.sync.kept)

    cdef int take(self, size_t begin, size_t end, uint64_t *digest) noexcept nogil:
        """Frames begin .. end - 1, each followed by a read of the best bid and ask."""
        cdef Level bid, ask
        cdef size_t i
        cdef uint32_t k
        cdef int status
        for i in range(begin, end):
            status = self.codec.decode(self.data + self.begins[i], self.sizes[i], 0, &self.out.buffer)
            if status != DecodeStatus.DECODED:
                return status
            for k in range(self.out.buffer.message_count):
                integrity.on_update(&self.sync, &self.out.buffer.messages[k], self.out.buffer.levels, 0)
            book.best(self.sync.book, Side.BUY, &bid)
            book.best(self.sync.book, Side.SELL, &ask)
            digest[0] = mix(mix(digest[0], &bid), &ask)
        return DecodeStatus.DECODED

    def run(self, Ring tape=None):
        """Everything once, from an empty book on. Returns (CPU ns of the depth frames, digest of best bid and ask
        after each); the snapshot is not in the time. `tape` gets every applied update."""
        cdef const char *snapshot = self.snapshot
        cdef uint64_t digest = 0
        cdef int64_t elapsed, begin_ns
        cdef int status
        if tape is not None:
            self.tape.ring, self.tape.closed = tape.of128, &self.tape_closed
        self.sync.tape = &self.tape if tape is not None else NULL
        with nogil:
            integrity.connection_opened(&self.sync, self.sync.epoch + 1, 0)
            begin_ns = cpu_ns()
            status = self.take(0, self.early, &digest)
            elapsed = cpu_ns() - begin_ns
            if status == DecodeStatus.DECODED:
                status = self.codec.decode_snapshot(0, snapshot, self.snapshot_size, 0, &self.out.buffer)
                integrity.on_snapshot(&self.sync, &self.out.buffer.messages[0], self.out.buffer.levels, 0)
            begin_ns = cpu_ns()
            if status == DecodeStatus.DECODED:
                status = self.take(self.early, self.begins.size(), &digest)
            elapsed += cpu_ns() - begin_ns
        if status != DecodeStatus.DECODED or self.sync.state != BookState.LIVE:
            raise ValueError(f"decode status {status}, book state {self.sync.state}, fault {self.sync.fault}")
        return elapsed, digest

    def stages(self):
        """CPU ns of the depth frames for decoding alone: what the rest costs is the difference to `run`."""
        cdef int64_t begin_ns
        cdef size_t i
        with nogil:
            begin_ns = cpu_ns()
            for i in range(self.begins.size()):
                self.codec.decode(self.data + self.begins[i], self.sizes[i], 0, &self.out.buffer)
            begin_ns = cpu_ns() - begin_ns
        return begin_ns

    @property
    def counters(self):
        """What integrity counted in the last run, as `summary_of` wants it."""
        return {"gaps": self.sync.gaps, "checksums_failed": self.sync.checksums_failed}

    @property
    def levels(self):
        """Levels applied so far, all runs together."""
        return self.sync.levels_changed
