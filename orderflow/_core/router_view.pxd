"""What the boards say to the router: which of them may be traded on, a reference price, and what was traded.

Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport board, conversion, input_log, pauses, risk
from orderflow._core.algos cimport usual
from orderflow._core.converted_listings cimport can_convert, rate_for
from orderflow._core.decision_log cimport LeftOut
from orderflow._core.fixed cimport int128
from orderflow._core.parents cimport Parent
from orderflow._core.positions cimport Position
from orderflow._core.router_state cimport ListingState, RouterState
from orderflow._core.types cimport BoardEntry, BookState, ParentOrder, Side


cdef nogil:
    inline void refresh_reference(RouterState *self, uint32_t instrument, int64_t now_ns) noexcept:
        """Fused mid: halfway between the best bid and the best ask of the LIVE books, instrument scale and currency.
        """
        cdef int64_t bid = 0
        cdef int64_t ask = 0
        cdef int64_t price
        cdef uint32_t k, i
        for k in range(self.first[instrument], self.first[instrument + 1]):
            i = self.members[k]
            if self.views[i].book_state != BookState.LIVE or not can_convert(self, i):
                continue
            if self.views[i].bid_count:
                price = conversion.instrument_price(&self.listings[i], self.views[i].bids[0].price,
                                                    rate_for(self, i, Side.SELL), Side.SELL)
                if price > bid:
                    bid = price
            if self.views[i].ask_count:
                price = conversion.instrument_price(&self.listings[i], self.views[i].asks[0].price,
                                                    rate_for(self, i, Side.BUY), Side.BUY)
                if ask == 0 or price < ask:
                    ask = price
        if bid and ask:
            risk.set_reference(self.risk, instrument, bid + (ask - bid) // 2, now_ns)

    inline void count_volume(RouterState *self, uint32_t listing) noexcept:
        """What was traded since the board was read last."""
        cdef ListingState *state = &self.states[listing]
        cdef int128 more = <int64_t>(self.views[listing].traded - state.traded)
        state.traded = self.views[listing].traded
        state.volume = state.volume + more * self.listings[listing].quantity_factor

    inline int128 traded_by_others(const RouterState *self, const Parent *parent) noexcept:
        """On a parent's listings in this run, less what is ours and what of it is out; instrument scale. It falls for
        as long as prints of ours are missing."""
        cdef const ParentOrder *order = &parent.order
        cdef uint32_t begin = self.first[order.instrument]
        cdef const Position *position
        cdef int128 own
        cdef int128 total = 0
        cdef uint32_t k, i
        for k in range(self.first[order.instrument + 1] - begin):
            if order.listings and not (order.listings >> k) & 1:
                continue
            i = self.members[begin + k]
            position = &self.table.positions[i]
            own = (position.bought + position.sold) * self.listings[i].quantity_factor
            total = total + self.states[i].volume - own
        return total - parent.working - parent.in_doubt

    inline void keep_to(const RouterState *self, Parent *parent, uint64_t listings) noexcept:
        """A parent uses only these from now on; and what was traded on the others before is not missed in what is
        counted from now on."""
        cdef int128 before = traded_by_others(self, parent)
        parent.order.listings = listings
        parent.participation.base = parent.participation.base + traded_by_others(self, parent) - before

    inline bint read_board(RouterState *self, uint32_t listing) noexcept:
        if board.read(self.board, listing, &self.views[listing]) != board.ReadStatus.READ_OK:
            self.views[listing].book_state = BookState.STALE
            risk.set_feed(self.risk, listing, BookState.STALE, self.views[listing].receive_ns)
            usual.observe(&self.usual[listing], &self.views[listing])
            return False
        risk.set_feed(self.risk, listing, self.views[listing].book_state, self.views[listing].receive_ns)
        count_volume(self, listing)
        usual.observe(&self.usual[listing], &self.views[listing])
        input_log.board_read(self.log, listing, self.views[listing].epoch, self.views[listing].publication)
        return True

    inline bint is_halted(const RouterState *self, uint32_t listing, int64_t now_ns) noexcept:
        return self.listings[listing].halted or now_ns < self.states[listing].halted.until_ns

    inline bint is_tradable(const RouterState *self, uint32_t listing, uint8_t side, int64_t now_ns) noexcept:
        """Whether a side can be traded there, now or when what we have under way there has ended."""
        return (self.views[listing].book_state == BookState.LIVE and not is_halted(self, listing, now_ns)
                and can_convert(self, listing) and not pauses.is_short(&self.states[listing], side, now_ns)
                and self.ports[self.listings[listing].exchange].orders is not NULL
                and not self.killed >> self.listings[listing].exchange & 1)

    inline uint8_t why_left_out(const RouterState *self, uint32_t listing, uint8_t side, int64_t now_ns) noexcept:
        """LeftOut: why no order of a side can be sent there now, the first reason that there is."""
        cdef const BoardEntry *view = &self.views[listing]
        cdef const ListingState *state = &self.states[listing]
        if view.book_state != BookState.LIVE:
            return LeftOut.BOOK_NOT_TRADABLE
        if is_halted(self, listing, now_ns):
            return LeftOut.HALTED_LISTING
        if not can_convert(self, listing):
            return LeftOut.NO_RATE
        if state.under_way:
            return LeftOut.ORDER_UNDER_WAY
        if now_ns < state.limited_until_ns:
            return LeftOut.NO_ROOM
        if state.tried and now_ns < state.cautious_until_ns:
            return LeftOut.ONE_AT_A_TIME
        if view.epoch == state.spent_epoch and view.version <= state.spent_version:
            return LeftOut.BOOK_UNCHANGED
        if self.ports[self.listings[listing].exchange].orders is NULL:
            return LeftOut.TAKES_NO_ORDERS
        if self.killed >> self.listings[listing].exchange & 1:
            return LeftOut.KILLED_EXCHANGE
        if pauses.is_short(state, side, now_ns):
            return LeftOut.NO_FUNDS
        return LeftOut.NOT_LEFT_OUT

    inline bint usable(const RouterState *self, uint32_t listing, uint8_t side, int64_t now_ns) noexcept:
        """Whether an order of a side can be sent there now."""
        return why_left_out(self, listing, side, now_ns) == LeftOut.NOT_LEFT_OUT
