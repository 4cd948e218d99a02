"""What there is to trade with on paper: the levels that an exchange shows, less what we have taken of them.

Shown is the book, and in front of it the exchange's own best bid and ask while they are newer (quotes.pxd), as the
board shows it. What was taken on paper the exchange still shows, for it never heard of us. So it is remembered, price
by price, and is not there again for as long as it is shown: when less is shown, what is gone was of the rest first, and
what we took is gone only with the last of it; when more is shown, that is there for us. A level that we have emptied is
empty until others add to it, or until it has been away.

At most TAKEN_LEVELS prices of a listing are remembered; beyond them nothing more is taken until one is forgotten. Cost:
a search through what is remembered, which is nothing or a few prices; a lookup of each with every change of the book.

All functions: the thread that owns the book.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core cimport book, known_depth, quotes
from orderflow._core.integrity cimport BookSync
from orderflow._core.types cimport Level, Side

cdef enum:
    TAKEN_LEVELS = 256


cdef struct TakenLevel:
    int64_t price
    int64_t quantity            # never more than is shown
    uint8_t side


cdef struct PaperLevels:        # of one listing
    TakenLevel *taken           # TAKEN_LEVELS of them
    uint32_t count


cdef nogil:
    inline bint is_better(uint8_t side, int64_t price, int64_t other) noexcept:
        """Whether a price is served before another one."""
        return price > other if side == Side.BUY else price < other

    # ------------------------------------------------------------------ what is shown

    inline const Level *quoted(const BookSync *sync, uint8_t side) noexcept:
        """The exchange's own best level of a side, if that is newer than the book; quantity 0 = the side is empty."""
        if not quotes.is_newer(&sync.quote, sync.last_id):
            return NULL
        return &sync.quote.bid if side == Side.BUY else &sync.quote.ask

    inline int64_t shown_at(const BookSync *sync, uint8_t side, int64_t price) noexcept:
        """Quantity that is shown at a price."""
        cdef const Level *best = quoted(sync, side)
        if best is not NULL:
            if best.quantity == 0 or is_better(side, price, best.price):
                return 0
            if price == best.price:
                return best.quantity
        return book.quantity_at(sync.book, side, price)

    inline bint next_shown(const BookSync *sync, uint8_t side, int64_t price, Level *out) noexcept:
        """The best level that is worse than `price`, 0 = the best of all; False if there is none."""
        cdef const Level *best = quoted(sync, side)
        if best is not NULL:
            if best.quantity == 0:
                return False
            if price == 0 or is_better(side, price, best.price):
                out[0] = best[0]
                return True
        elif price == 0:
            return book.best(sync.book, side, out)
        return book.behind(sync.book, side, price, out)

    inline bint is_known(const BookSync *sync, uint8_t side, int64_t price) noexcept:
        """Whether nothing shown at a price means that there is nothing."""
        cdef int64_t mark = known_depth.exact(&sync.known, sync.book, side)
        return mark == 0 or price == mark or is_better(side, price, mark)

    # ------------------------------------------------------------------ what we have taken

    inline int64_t taken_at(const PaperLevels *self, uint8_t side, int64_t price) noexcept:
        cdef uint32_t i
        for i in range(self.count):
            if self.taken[i].price == price and self.taken[i].side == side:
                return self.taken[i].quantity
        return 0

    inline bint take(PaperLevels *self, uint8_t side, int64_t price, int64_t quantity) noexcept:
        """Remember that so much more was taken; False where that cannot be remembered, so it is not to be taken."""
        cdef uint32_t i
        for i in range(self.count):
            if self.taken[i].price == price and self.taken[i].side == side:
                self.taken[i].quantity += quantity
                return True
        if self.count == TAKEN_LEVELS:
            return False
        self.taken[self.count].price = price
        self.taken[self.count].quantity = quantity
        self.taken[self.count].side = side
        self.count += 1
        return True

    inline bint next_left(const PaperLevels *self, const BookSync *sync, uint8_t side, int64_t price,
                          Level *out) noexcept:
        """The best level behind `price` (0 = of all) of which something is left for us, with what is left of it."""
        while next_shown(sync, side, price, out):
            price = out.price
            out.quantity -= taken_at(self, side, price)
            if out.quantity > 0:
                return True
        return False

    inline void refresh(PaperLevels *self, const BookSync *sync) noexcept:
        """The book has changed: what is no longer shown is no longer taken."""
        cdef TakenLevel *level
        cdef uint32_t i = 0
        while i < self.count:
            level = &self.taken[i]
            level.quantity = min(level.quantity, shown_at(sync, level.side, level.price))
            if level.quantity > 0:
                i += 1
                continue
            self.count -= 1
            self.taken[i] = self.taken[self.count]
