"""Level 2 order book of one listing: levels in, levels out. Pure: no sequence numbers, no states, no clock.

The two sides are kept apart (ladder.pxd says how, why, and at what cost), so a locked or crossed book is as exact as
any other; whether it may be so is for others to judge. Every function belongs to the thread that owns the book.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core cimport ladder
from orderflow._core.ladder cimport Ladder
from orderflow._core.types cimport Level, Side


cdef struct Book:
    Ladder bids
    Ladder asks


cdef nogil:
    inline Ladder *side_of(Book *book, uint8_t side) noexcept:
        """`side` is BUY or SELL."""
        return &book.bids if side == Side.BUY else &book.asks

    inline int apply(Book *book, uint8_t side, const Level *levels, uint32_t number) noexcept:
        """Set the absolute quantity of each level in turn; 0 deletes, and deleting what is not there is legal.

        Returns a BookFault: NO_FAULT; or FULL or MALFORMED (price not in 1 .. 2**62 - 1, or negative quantity) at the
        first level that cannot be kept, with those before it applied and none after: the book is not to be trusted.
        """
        return ladder.apply(side_of(book, side), levels, number)

    inline int replace(Book *book, const Level *bids, uint32_t bids_number, const Level *asks,
                       uint32_t asks_number) noexcept:
        """A snapshot: these levels and no others. Returns a BookFault as `apply` does."""
        cdef int fault
        clear(book)
        fault = ladder.apply(&book.bids, bids, bids_number)
        return fault if fault else ladder.apply(&book.asks, asks, asks_number)

    inline void clear(Book *book) noexcept:
        """No levels; the counters go on."""
        ladder.clear(&book.bids)
        ladder.clear(&book.asks)

    inline void truncate(Book *book, uint32_t depth) noexcept:
        """Keep the best `depth` levels of each side: exchanges that send a fixed depth delete nothing beyond it."""
        ladder.truncate(&book.bids, depth)
        ladder.truncate(&book.asks, depth)

    inline uint32_t count(Book *book, uint8_t side) noexcept:
        """Number of levels."""
        return ladder.count(side_of(book, side))

    inline bint best(Book *book, uint8_t side, Level *out) noexcept:
        """The best level; False and a level of zeros if the side is empty."""
        return ladder.best(side_of(book, side), out)

    inline bint behind(Book *book, uint8_t side, int64_t price, Level *out) noexcept:
        """The best level that is worse than `price`; False if there is none."""
        return ladder.behind(side_of(book, side), price, out)

    inline uint32_t top(Book *book, uint8_t side, Level *out, uint32_t number) noexcept:
        """The best `number` levels, best first; returns how many there are."""
        return ladder.top(side_of(book, side), out, number)

    inline int64_t quantity_at(Book *book, uint8_t side, int64_t price) noexcept:
        """Quantity of the level at `price`, 0 if there is none."""
        return ladder.quantity_at(side_of(book, side), price)

    inline bint crossed(Book *book) noexcept:
        """Best bid above best ask. A locked book (equal) is not crossed."""
        cdef Level bid, ask
        return ladder.best(&book.bids, &bid) and ladder.best(&book.asks, &ask) and bid.price > ask.price


cdef class OrderBook:
    """Owns the memory of a Book and shows it to Python."""
    cdef Book book
    cdef void *memory
    cdef size_t reserved
