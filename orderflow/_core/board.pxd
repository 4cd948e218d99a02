"""Depth board: what is known of each listing right now. The latest wins; nobody ever sees half an update.

Written by the exchange thread that owns the listing, read by anybody: the router, strategies, Python. board.hpp says
how and why. An entry carries the top BOARD_DEPTH levels and only those in use are copied: 14 words and two a level.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core.types cimport BOARD_DEPTH, BoardEntry, Level

cdef enum:
    READ_ATTEMPTS = 64


cpdef enum ReadStatus:
    READ_OK = 0
    READ_BUSY = 1               # READ_ATTEMPTS in a row met a write: what was read means nothing


cdef extern from "board.hpp" namespace "orderflow" nogil:
    cdef cppclass SequenceBoard:
        @staticmethod
        size_t bytes(uint64_t entries, size_t payload_bytes) noexcept
        @staticmethod
        SequenceBoard *place(void *memory, uint64_t entries, size_t payload_bytes) noexcept     # set-up
        void begin_write(uint64_t index) noexcept                                               # writer of the entry
        void store(uint64_t index, size_t offset, const void *source, size_t count) noexcept    # writer of the entry
        void end_write(uint64_t index) noexcept                                                 # writer of the entry
        uint64_t begin_read(uint64_t index) noexcept                                            # any thread
        void load(uint64_t index, size_t offset, void *target, size_t count) noexcept           # any thread
        bint end_read(uint64_t index, uint64_t ticket) noexcept                                 # any thread
        uint64_t entries() noexcept                                                             # any thread


cdef extern from "doorbell.hpp" namespace "orderflow" nogil:
    void relax() noexcept


cdef nogil:
    inline size_t bids_offset(const BoardEntry *entry) noexcept:
        return <size_t>(<const char *>entry.bids - <const char *>entry)

    inline size_t asks_offset(const BoardEntry *entry) noexcept:
        return <size_t>(<const char *>entry.asks - <const char *>entry)

    inline void publish(SequenceBoard *self, uint64_t index, const BoardEntry *entry) noexcept:
        """Writer of the listing only; its counts are at most BOARD_DEPTH. Never waits."""
        self.begin_write(index)
        self.store(index, 0, entry, bids_offset(entry))
        self.store(index, bids_offset(entry), entry.bids, entry.bid_count * sizeof(Level))
        self.store(index, asks_offset(entry), entry.asks, entry.ask_count * sizeof(Level))
        self.end_write(index)

    inline int read(SequenceBoard *self, uint64_t index, BoardEntry *entry) noexcept:
        """Any thread. READ_OK, or READ_BUSY and `entry` means nothing. Levels beyond the counts are as they were."""
        cdef int _attempt
        cdef uint64_t ticket
        for _attempt in range(READ_ATTEMPTS):
            ticket = self.begin_read(index)
            if ticket & 1:
                relax()
                continue
            self.load(index, 0, entry, bids_offset(entry))
            # A torn header may hold any count; it is refused below, but must not lead the copy astray before that.
            if entry.bid_count <= BOARD_DEPTH and entry.ask_count <= BOARD_DEPTH:
                self.load(index, bids_offset(entry), entry.bids, entry.bid_count * sizeof(Level))
                self.load(index, asks_offset(entry), entry.asks, entry.ask_count * sizeof(Level))
                if self.end_read(index, ticket):
                    return READ_OK
        return READ_BUSY


cdef class Board:
    """Owns the memory of a board; `native` is valid for as long as this object lives."""
    cdef SequenceBoard *native
    cdef void *memory

    cdef int check(self, uint64_t index) except -1
