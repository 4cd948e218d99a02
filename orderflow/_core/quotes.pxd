"""The exchange's own best bid and ask, where it sends them faster than the levels behind them.

A quote that is newer than the book says what is best on both sides, exactly, and nothing else. So what is shown of a
book becomes: the quote, and behind it those levels of the book that the quote does not contradict. A level at its price
or better is contradicted: it has another quantity by now, or is gone. What is shown can therefore be neither crossed
nor better than the quote, and no level that was gone comes back; the book itself is made of depth alone and never hears
of quotes. As soon as the depth has caught up, the quote counts no longer.

Newer is decided by the exchange's ids, which both streams must share (Binance: `u` of bookTicker and of depthUpdate
count the same updates): times are too coarse, and ours would make what is shown more than a function of the bytes
received. A quote without an id is not shown.
"""
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memmove

from orderflow._core.types cimport BOARD_DEPTH, BoardEntry, Level, Message, Side


cdef struct Quote:              # the newest of one listing; quantity 0 = that side is empty
    Level bid
    Level ask
    int64_t last_id
    int64_t exchange_ns         # unix
    int64_t receive_ns          # monotonic
    uint8_t has_come            # in this epoch


cdef nogil:
    inline bint take(Quote *self, const Message *message, const Level *levels, int64_t receive_ns) noexcept:
        """Keep a quote; False for one that is not newer than the last one, or is crossed."""
        cdef Quote quote
        quote.bid.price = quote.bid.quantity = quote.ask.price = quote.ask.quantity = 0
        if message.bids_count:
            quote.bid = levels[message.bids_begin]
        if message.asks_count:
            quote.ask = levels[message.asks_begin]
        quote.last_id = message.last_id
        quote.exchange_ns = message.exchange_ns
        quote.receive_ns = receive_ns
        quote.has_come = 1
        if quote.bid.quantity and quote.ask.quantity and quote.bid.price >= quote.ask.price:
            return False
        if self.has_come and quote.last_id <= self.last_id:
            return False
        self[0] = quote
        return True

    inline bint is_newer(const Quote *self, int64_t last_id) noexcept:
        """Than a book whose last update had this id; 0 = its updates have none."""
        return self.has_come and self.last_id > last_id > 0

    inline uint8_t side_with(Level *levels, uint8_t count, const Level *best, uint8_t side) noexcept:
        """Put `best` before those levels that it does not contradict; how many there are now."""
        cdef uint8_t dropped = 0
        cdef uint8_t kept
        if best.quantity == 0:
            return 0
        while dropped < count and (levels[dropped].price >= best.price if side == Side.BUY
                                   else levels[dropped].price <= best.price):
            dropped += 1
        kept = count - dropped
        if kept == BOARD_DEPTH:
            kept -= 1
        memmove(levels + 1, levels + dropped, kept * sizeof(Level))
        levels[0] = best[0]
        return kept + 1

    inline void merge(const Quote *self, BoardEntry *entry) noexcept:
        """Show the quote instead of the levels that it contradicts; the entry is as young as the quote, then."""
        if self.receive_ns > entry.receive_ns:
            entry.receive_ns = self.receive_ns
        if self.exchange_ns > entry.exchange_ns:
            entry.exchange_ns = self.exchange_ns
        entry.bid_count = side_with(entry.bids, entry.bid_count, &self.bid, Side.BUY)
        entry.ask_count = side_with(entry.asks, entry.ask_count, &self.ask, Side.SELL)
