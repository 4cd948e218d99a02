"""Cross-exchange dislocation: buy where it is cheap and sell where it is dear when the difference pays all fees.

    edge = bid * (1 - fee of the one) - ask * (1 + fee of the other)

per unit, both legs taken at once as parent orders that are bound to one listing each and end quickly. The quantity is
what both best levels hold, within a cap. Legs may fill unequally: what was bought and not sold (or the other way round)
is the leg risk of every such strategy, and it is closed at once, wherever that is cheapest, before the next trade:

    legged ──> hedge within `band` of the price that the missing leg had, `attempts` times
           ──> give back within `unwind_band`, `attempts` times
           ──> halt: it is killed, and a person decides

A gap in the books is waited for or costs what the bands say, never more. What an attempt asks for is what has provably
been filled on one side only: while a leg is in doubt there is none. Nothing is done while a leg is open, and a book is
traded at again only when it has changed: fills are heard of before the book that they took from is. Source of the rule:
the no-arbitrage band of two markets with proportional fees.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core.strategy cimport Strategy, StrategyContext, halt, submit, submit_at
from orderflow._core.types cimport BoardEntry, BookState, Conversion, ParentOrder, ParentReport, ParentStatus, Side

cdef enum:
    FEE_UNIT = 100000000


cdef extern from *:
    """
    namespace orderflow {
    // price * fraction, the fraction in 1e-8, rounded down.
    inline long long scaled(long long price, long long fraction) noexcept {
        return (long long)((__int128)price * fraction / 100000000);
    }
    // Whether bid * (1 - sell fee) > ask * (1 + buy fee) * (1 + edge), all fractions in 1e-8, exactly.
    inline bool pays(long long bid, long long sell_fee, long long ask, long long buy_fee, long long edge) noexcept {
        const __int128 unit = 100000000;
        return (__int128)bid * (unit - sell_fee) * unit > (__int128)ask * (unit + buy_fee) * (unit + edge);
    }
    }
    """
    int64_t scaled "orderflow::scaled"(int64_t price, int64_t fraction) noexcept nogil
    bint pays "orderflow::pays"(int64_t bid, int64_t sell_fee, int64_t ask, int64_t buy_fee,
                                int64_t edge) noexcept nogil


cdef class Dislocation(Strategy):
    """Trades one instrument whenever two of its listings are further apart than their fees.

    Parameters
    ----------
    instrument : int
        Index of the instrument.
    maximum_quantity : int
        Of one trade, in the instrument's scale.
    edge : int
        What must be left after fees, as a fraction in 1e-8 (1 bp = 10_000).
    leg_ns : int
        How long a leg may work, and each attempt to close one.
    band, unwind_band : int
        How much worse than the price of the missing leg it may be closed, as fractions in 1e-8: first, and in the end.
    attempts : int
        With each of the two.

    Attributes
    ----------
    trades : int
    closings : int
        Attempts to close a leg.
    halted : bool
        It has given up, and does nothing until the next start.
    """
    cdef uint32_t instrument
    cdef int64_t maximum_quantity
    cdef int64_t edge
    cdef int64_t leg_ns
    cdef uint64_t legs[2]           # ids of the legs that are open; 0 = none
    cdef int64_t imbalance          # bought less sold, instrument scale
    cdef int64_t counted[2]         # filled of each leg that is in `imbalance` already
    cdef int sides[2]
    cdef uint32_t taken[2]          # listings of the last trade, and what of their books it was that was traded at
    cdef uint32_t publications[2]
    cdef int64_t prices[2]          # of the legs when they were decided on, instrument scale
    cdef int64_t band
    cdef int64_t unwind_band
    cdef uint32_t attempts
    cdef uint32_t tried             # since the last leg was closed
    cdef readonly uint64_t trades
    cdef readonly uint64_t closings
    cdef readonly bint halted

    def __init__(self, uint32_t instrument, int64_t maximum_quantity, int64_t edge=10_000,
                 int64_t leg_ns=1_000_000_000, int64_t band=200_000, int64_t unwind_band=1_000_000,
                 uint32_t attempts=3):
        super().__init__("dislocation")
        if maximum_quantity <= 0 or leg_ns <= 0:
            raise ValueError("maximum_quantity and leg_ns must be positive")
        if not 0 <= band <= unwind_band < FEE_UNIT or attempts == 0:
            raise ValueError("band, unwind_band and attempts: expected 0 <= band <= unwind_band < 1e8, and one attempt "
                             "at least")
        self.band, self.unwind_band, self.attempts = band, unwind_band, attempts
        self.instrument, self.maximum_quantity, self.edge, self.leg_ns = instrument, maximum_quantity, edge, leg_ns

    cdef void on_signal(self, StrategyContext *context, const BoardEntry *entry) noexcept nogil:
        cdef uint32_t cheap, dear
        if self.halted or self.legs[0] or self.legs[1]:
            return
        if self.imbalance:
            self.close(context)
        elif self.find(context, &cheap, &dear):
            self.trade(context, cheap, dear)

    cdef bint find(self, StrategyContext *context, uint32_t *cheap, uint32_t *dear) noexcept nogil:
        """The two listings to trade, if there are any: the last pair that pays."""
        cdef const BoardEntry *a
        cdef const BoardEntry *b
        cdef uint32_t i, j
        cdef bint found = False
        for i in range(context.listing_count):
            a = &context.views[i]
            if not self.open_to(context, i) or not a.ask_count:
                continue
            for j in range(context.listing_count):
                b = &context.views[j]
                if i == j or not self.open_to(context, j) or not b.bid_count:
                    continue
                if pays(b.bids[0].price * context.listings[j].price_factor, context.listings[j].taker_fee,
                        a.asks[0].price * context.listings[i].price_factor, context.listings[i].taker_fee, self.edge):
                    cheap[0] = i
                    dear[0] = j
                    found = True
        return found

    cdef bint open_to(self, StrategyContext *context, uint32_t listing) noexcept nogil:
        """Whether a listing may be traded: of the instrument and in its currency, LIVE, and not as the last trade found
        it."""
        cdef const BoardEntry *view = &context.views[listing]
        cdef int which
        if (context.listings[listing].instrument != self.instrument or view.book_state != BookState.LIVE
                or context.listings[listing].conversion != Conversion.NOT_CONVERTED):
            return False
        for which in range(2):
            if self.trades and self.taken[which] == listing and self.publications[which] == view.publication:
                return False
        return True

    cdef void trade(self, StrategyContext *context, uint32_t cheap, uint32_t dear) noexcept nogil:
        cdef const BoardEntry *a = &context.views[cheap]
        cdef const BoardEntry *b = &context.views[dear]
        cdef int64_t quantity = self.maximum_quantity
        cdef int64_t lot = self.lot(context, cheap)
        quantity = min(quantity, a.asks[0].quantity * context.listings[cheap].quantity_factor)
        quantity = min(quantity, b.bids[0].quantity * context.listings[dear].quantity_factor)
        lot = max(lot, self.lot(context, dear))
        quantity -= quantity % lot
        if quantity < self.least(context, cheap) or quantity < self.least(context, dear):
            return
        self.leg(context, 0, submit_at(context, cheap, Side.BUY, quantity // context.listings[cheap].quantity_factor,
                                       a.asks[0].price))
        self.leg(context, 1, submit_at(context, dear, Side.SELL, quantity // context.listings[dear].quantity_factor,
                                       b.bids[0].price))
        self.prices[0] = a.asks[0].price * context.listings[cheap].price_factor
        self.prices[1] = b.bids[0].price * context.listings[dear].price_factor
        self.taken[0], self.taken[1] = cheap, dear
        self.publications[0], self.publications[1] = a.publication, b.publication
        self.trades += 1

    cdef int64_t lot(self, StrategyContext *context, uint32_t listing) noexcept nogil:
        return context.listings[listing].lot * context.listings[listing].quantity_factor

    cdef int64_t least(self, StrategyContext *context, uint32_t listing) noexcept nogil:
        return context.listings[listing].minimum_quantity * context.listings[listing].quantity_factor

    cdef void leg(self, StrategyContext *context, int which, ParentOrder *order) noexcept nogil:
        if order is NULL:
            return
        order.end_ns = context.now_ns + self.leg_ns
        self.legs[which] = order.parent_id
        self.sides[which] = order.side
        self.counted[which] = 0

    cdef void close(self, StrategyContext *context) noexcept nogil:
        """Give back what only one leg has traded, wherever it costs least."""
        cdef uint8_t side = Side.SELL if self.imbalance > 0 else Side.BUY
        cdef int64_t quantity = self.imbalance if self.imbalance > 0 else -self.imbalance
        cdef int64_t least = 0x7FFFFFFFFFFFFFFF
        cdef uint32_t i
        for i in range(context.listing_count):
            if context.listings[i].instrument == self.instrument:
                least = min(least, self.least(context, i))
        if quantity < least:                    # less than any exchange takes stays until it is more
            self.tried = 0
            return
        if self.tried == 2 * self.attempts:
            self.halted = halt(context)
            return
        self.leg(context, 0, submit(context, self.instrument, side, quantity, self.worst(side)))
        self.tried += 1
        self.closings += 1

    cdef int64_t worst(self, uint8_t side) noexcept nogil:
        """The price of the leg that is missing, and a band beyond it."""
        cdef int64_t band = self.band if self.tried < self.attempts else self.unwind_band
        if side == Side.BUY:
            return scaled(self.prices[0], FEE_UNIT + band)
        return scaled(self.prices[1], FEE_UNIT - band)

    cdef void on_report(self, StrategyContext *context, const ParentReport *report) noexcept nogil:
        cdef int which
        cdef int64_t more
        for which in range(2):
            if self.legs[which] != report.parent_id or report.parent_id == 0:
                continue
            more = report.filled - self.counted[which]
            self.counted[which] = report.filled
            self.imbalance += more if self.sides[which] == Side.BUY else -more
            if report.status == ParentStatus.PARENT_DONE or report.status == ParentStatus.PARENT_DENIED:
                self.legs[which] = 0
                if self.imbalance == 0:
                    self.tried = 0
