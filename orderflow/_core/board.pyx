"""Owns a depth board and shows it to Python."""
from libc.stdlib cimport free
from libc.string cimport memcpy, memset
from posix.stdlib cimport posix_memalign

import numpy as np

from orderflow._core.types import LEVEL_DTYPE, SIGNALS_DTYPE


cdef BoardEntry _entry

# A struct that holds arrays of structs has no buffer format that numpy reads: names and offsets are taken one by one.
cdef size_t _offset(const void *field) noexcept:
    return <size_t>(<const char *>field - <const char *>&_entry)


BOARD_ENTRY_DTYPE = np.dtype({
    "names": ["listing", "epoch", "version", "receive_ns", "exchange_ns", "book_state", "fault", "bid_count",
              "ask_count", "publication", "traded", "sold", "bids_known_to", "asks_known_to", "signals", "bids",
              "asks"],
    "formats": [np.uint32, np.uint32, np.uint64, np.int64, np.int64, np.uint8, np.uint8, np.uint8, np.uint8,
                np.uint32, np.uint64, np.uint64, np.int64, np.int64, SIGNALS_DTYPE, (LEVEL_DTYPE, BOARD_DEPTH),
                (LEVEL_DTYPE, BOARD_DEPTH)],
    "offsets": [_offset(&_entry.listing), _offset(&_entry.epoch), _offset(&_entry.version),
                _offset(&_entry.receive_ns), _offset(&_entry.exchange_ns), _offset(&_entry.book_state),
                _offset(&_entry.fault), _offset(&_entry.bid_count), _offset(&_entry.ask_count),
                _offset(&_entry.publication), _offset(&_entry.traded), _offset(&_entry.sold),
                _offset(&_entry.bids_known_to), _offset(&_entry.asks_known_to), _offset(&_entry.signals),
                _offset(&_entry.bids), _offset(&_entry.asks)],
    "itemsize": sizeof(BoardEntry),
})
DEPTH = BOARD_DEPTH


cdef class Board:
    """Board(listings): one entry for each listing index below `listings`, all zero (book_state EMPTY) at first.

    DANGER: native threads hold pointers into this object. Stop them before it dies.
    """

    def __cinit__(self, uint64_t listings):
        if listings == 0 or listings > 1 << 20:
            raise ValueError(f"listings={listings}: give the number of listings, 1 to {1 << 20}")
        if posix_memalign(&self.memory, 64, SequenceBoard.bytes(listings, sizeof(BoardEntry))):
            self.memory = NULL
            raise MemoryError(f"no memory for a board of {listings} listings")
        self.native = SequenceBoard.place(self.memory, listings, sizeof(BoardEntry))

    def __dealloc__(self):
        free(self.memory)

    def __len__(self):
        return self.native.entries()

    def read(self, uint64_t index):
        """Any thread: the entry of a listing as a structured scalar of BOARD_ENTRY_DTYPE; unused levels are zero.

        BlockingIOError if a write was met at every attempt: try again.
        """
        cdef BoardEntry entry
        cdef int status
        self.check(index)
        memset(&entry, 0, sizeof(entry))
        status = read(self.native, index, &entry)
        if status != READ_OK:
            raise BlockingIOError(f"listing {index} was being written during {READ_ATTEMPTS} attempts to read it")
        memset(entry.bids + entry.bid_count, 0, (BOARD_DEPTH - entry.bid_count) * sizeof(Level))
        memset(entry.asks + entry.ask_count, 0, (BOARD_DEPTH - entry.ask_count) * sizeof(Level))
        return np.frombuffer((<const char *>&entry)[:sizeof(entry)], dtype=BOARD_ENTRY_DTYPE)[0]

    def publish(self, uint64_t index, record):
        """The entry's one writer: a structured scalar of BOARD_ENTRY_DTYPE. For tests and simulations in Python."""
        cdef BoardEntry entry
        cdef const unsigned char[::1] source = bytes(record)
        self.check(index)
        if source.shape[0] != sizeof(entry):
            raise ValueError(f"record of {source.shape[0]} bytes; a board entry has {sizeof(entry)}")
        memcpy(&entry, &source[0], sizeof(entry))
        if entry.bid_count > BOARD_DEPTH or entry.ask_count > BOARD_DEPTH:
            raise ValueError(f"{entry.bid_count} bids, {entry.ask_count} asks: a board entry holds {BOARD_DEPTH} each")
        publish(self.native, index, &entry)

    cdef int check(self, uint64_t index) except -1:
        if index >= self.native.entries():
            raise IndexError(f"listing {index} on a board of {self.native.entries()}")
        return 0
