"""The rates that listings in other quote currencies are converted with, as the router knows them.

A listing names an instrument (Listing.rate_instrument) whose book gives its rate: the first of that instrument's own
listings, in the order of the configuration, whose book is LIVE, with both sides. One book and no mixture, so that a
rate is one that somebody quotes and never crosses; the next one takes over when the first goes stale. With none there
is no rate, and the listing is not routed to, as if its own book were stale, until there is one again.

Rates change only when the board of a rate's listing is read, which is logged with its version: a replay has them at the
same places. Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core cimport conversion, risk_money
from orderflow._core.order_table cimport NONE
from orderflow._core.router_state cimport ConvertedListing, RouterState
from orderflow._core.types cimport BoardEntry, BookState, Conversion, Listing, Side


cdef nogil:
    inline int64_t rate_for(const RouterState *self, uint32_t listing, uint8_t side) noexcept:
        """For a taker on `side`; 0 = nothing is converted, or there is no rate now."""
        if self.listings[listing].conversion == Conversion.NOT_CONVERTED:
            return 0
        return self.converted[listing].buy if side == Side.BUY else self.converted[listing].sell

    inline bint can_convert(const RouterState *self, uint32_t listing) noexcept:
        return self.listings[listing].conversion == Conversion.NOT_CONVERTED or self.converted[listing].buy > 0

    inline uint32_t rate_listing(const RouterState *self, uint32_t instrument) noexcept:
        """Whose book gives the rate; NONE = nobody's."""
        cdef uint32_t k, i
        for k in range(self.first[instrument], self.first[instrument + 1]):
            i = self.members[k]
            if (self.listings[i].conversion == Conversion.NOT_CONVERTED and not self.listings[i].halted
                    and self.views[i].book_state == BookState.LIVE and self.views[i].bid_count
                    and self.views[i].ask_count):
                return i
        return <uint32_t>NONE

    inline bint refresh_rates(RouterState *self, uint32_t instrument) noexcept:
        """After a book of `instrument` changed: the rates that it gives, and whether any is another one now."""
        cdef uint32_t i = self.first_converted[instrument]
        cdef uint32_t source = rate_listing(self, instrument)
        cdef const Listing *listing
        cdef ConvertedListing *converted
        cdef int64_t buy, sell
        cdef bint changed = False
        while i != <uint32_t>NONE:
            converted = &self.converted[i]
            buy = sell = 0
            if source != <uint32_t>NONE:
                listing = &self.listings[source]
                buy, sell = self.views[source].asks[0].price, self.views[source].bids[0].price
                if self.listings[i].conversion == Conversion.INVERSE:
                    buy, sell = sell, buy
                buy = conversion.rate_of(buy, listing.price_decimals, self.listings[i].conversion, Side.BUY)
                sell = conversion.rate_of(sell, listing.price_decimals, self.listings[i].conversion, Side.SELL)
                if buy == 0 or sell == 0:
                    buy = sell = 0
            converted.changed = buy != converted.buy or sell != converted.sell
            changed |= converted.changed
            converted.buy, converted.sell = buy, sell
            if buy:
                risk_money.convert_carried(self.risk, i, buy, sell)
            i = converted.next
        return changed
