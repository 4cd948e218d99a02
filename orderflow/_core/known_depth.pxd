"""How far down a side of a book is known: what tells "no level" from "not known".

Two things limit it. A REST snapshot holds so many levels and no more: of what lies beyond its last one nobody has told
us, until an update does; that bound stands until the next snapshot. Or the exchange tells of its best levels only: then
the best so many are known, wherever the market goes.

A mark is a price: everything at it and better is known, whether there is a level or not. 0 = the whole side is known.

All functions: the thread that owns the book.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core cimport book
from orderflow._core.book cimport Book
from orderflow._core.types cimport Level, Message, Side


cdef enum:
    MOST_KEPT = 1024            # levels a side that an exchange keeps us told of, in `exact`


cdef struct KnownDepth:
    int64_t bids_to             # of the last snapshot, 0 = it was whole
    int64_t asks_to
    uint32_t kept_levels        # the exchange tells of so many levels a side; 0 = of all


cdef nogil:
    inline void forget(KnownDepth *self) noexcept:
        """A new book, of which no snapshot was limited."""
        self.bids_to = self.asks_to = 0

    inline void observe(KnownDepth *self, const Message *message, const Level *levels, int64_t limit) noexcept:
        """A snapshot of at most `limit` levels a side (0 = of all) was taken into the book."""
        cdef uint32_t i
        cdef int64_t price
        forget(self)
        if limit <= 0:
            return
        if message.bids_count >= limit:
            self.bids_to = levels[message.bids_begin].price
            for i in range(message.bids_begin, message.bids_begin + message.bids_count):
                price = levels[i].price
                if price < self.bids_to:
                    self.bids_to = price
        if message.asks_count >= limit:
            for i in range(message.asks_begin, message.asks_begin + message.asks_count):
                price = levels[i].price
                if price > self.asks_to:
                    self.asks_to = price

    inline int64_t mark(const KnownDepth *self, Book *source, uint8_t side, const Level *shown,
                        uint32_t count) noexcept:
        """For a side of which the best `count` levels are at `shown`. Where the exchange keeps us told of more levels
        than those, the last of them: true, and no search."""
        if self.kept_levels == 0:
            return self.bids_to if side == Side.BUY else self.asks_to
        if count == 0 or book.count(source, side) < self.kept_levels:
            return 0
        return shown[(count if count < self.kept_levels else self.kept_levels) - 1].price

    inline int64_t exact(const KnownDepth *self, Book *source, uint8_t side) noexcept:
        """The same to the last level that is known. Slow: not for every update."""
        cdef Level levels[MOST_KEPT]
        cdef uint32_t count
        if self.kept_levels == 0:
            return self.bids_to if side == Side.BUY else self.asks_to
        count = book.top(source, side, levels, min(self.kept_levels, <uint32_t>MOST_KEPT))
        return mark(self, source, side, levels, count)
