"""One side of a board each, without the GIL, in a thread of its own: what a reader gets must be one publication, whole.

Every quantity is made of its price and the version, and there are more levels at one version than at another; a price
of one publication with the quantity of another is counted. `write` can be told to publish prices and quantities apart,
so that the test proves that it would notice.
"""
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from orderflow._core cimport board
from orderflow._core.board cimport Board
from orderflow._core.types cimport BOARD_DEPTH, BoardEntry


cdef nogil:
    inline int64_t quantity_of(int64_t price, uint64_t version) noexcept:
        return price * 7 + <int64_t>version

    inline void make(BoardEntry *entry, uint64_t version) noexcept:
        cdef int i
        entry.version = version
        entry.bid_count, entry.ask_count = <unsigned char>(version % (BOARD_DEPTH + 1)), BOARD_DEPTH
        for i in range(BOARD_DEPTH):
            entry.bids[i].price, entry.asks[i].price = <int64_t>version * 100 - i, <int64_t>version * 100 + 1 + i
            entry.bids[i].quantity = quantity_of(entry.bids[i].price, version)
            entry.asks[i].quantity = quantity_of(entry.asks[i].price, version)

    inline bint is_whole(const BoardEntry *entry) noexcept:
        cdef int i
        if entry.version == 0:
            return True
        if entry.bid_count != entry.version % (BOARD_DEPTH + 1) or entry.ask_count != BOARD_DEPTH:
            return False
        for i in range(entry.bid_count):
            if entry.bids[i].quantity != quantity_of(entry.bids[i].price, entry.version):
                return False
        for i in range(entry.ask_count):
            if entry.asks[i].quantity != quantity_of(entry.asks[i].price, entry.version):
                return False
        return True


def write(Board shown, uint64_t versions, bint apart):
    """Publish so many versions of listing 0."""
    cdef BoardEntry entry
    cdef BoardEntry before
    cdef uint64_t version
    cdef int i
    memset(&entry, 0, sizeof(entry))
    with nogil:
        for version in range(1, versions + 1):
            before = entry
            make(&entry, version)
            if apart:
                for i in range(BOARD_DEPTH):
                    before.bids[i].price, before.asks[i].price = entry.bids[i].price, entry.asks[i].price
                before.version = version
                before.bid_count, before.ask_count = entry.bid_count, entry.ask_count
                board.publish(shown.native, 0, &before)
            board.publish(shown.native, 0, &entry)


def read(Board shown, uint64_t versions):
    """Read until the last version is there: (reads, versions seen, reads that were not whole, older than the last)."""
    cdef BoardEntry entry
    cdef uint64_t reads = 0, seen = 0, torn = 0, older = 0, last = 0
    memset(&entry, 0, sizeof(entry))
    with nogil:
        while last < versions:
            if board.read(shown.native, 0, &entry) != board.ReadStatus.READ_OK:
                continue
            reads += 1
            torn += not is_whole(&entry)
            older += entry.version < last
            seen += entry.version != last
            last = entry.version
    return reads, seen, torn, older
