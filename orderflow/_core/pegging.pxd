"""What follows the market: the best prices that are not our own, and how often an order moves after them.

**Our own orders are not followed.** A level that shows no more than what our orders have there, whichever parent's
they are, is ours alone, and what is followed lies behind it. For LINGER_NS after an order was asked to come or to go,
its book may show it or not: a level that this decides is unclear, and until it is clear nothing moves because of it.
Without that an order would follow what is left in a book of where it has just been.

**How often.** An order moves when its price is off by a tick, what was asked of it before is confirmed, and its listing
takes an order now. Placing and amending cost a token: MOVES of them are saved, and one is earned every MOVE_NS. So a
step of the market is followed at once, and a market that flickers costs a message a second (two, where a move is a
cancel and a new order). That stands before the limits of the exchange, which count every one of these messages
(rates.pxd), and those of risk.

**Without a book** that is LIVE there is nothing to follow, and the order is cancelled: left where it is, it would be
what whoever still sees the market takes when the market has gone. It is placed again when the book is LIVE; its place
in the queue is no better than after any move.

Where several listings are allowed an order goes where what it follows is the most aggressive, so that it stands with
the best of all of them; at equal prices where makers pay least. It is chosen with every order, not with every amend.

Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core cimport conversion, iceberg, order_states, timers, token_bucket
from orderflow._core.algos.peg cimport Touch, is_worse, peg_price
from orderflow._core.converted_listings cimport can_convert, rate_for
from orderflow._core.minimums cimport is_enough
from orderflow._core.order_states cimport Fact, Order
from orderflow._core.order_table cimport NONE
from orderflow._core.parents cimport Parent
from orderflow._core.passive cimport completes_ns, joins, on_grid
from orderflow._core.risk_own_orders cimport rank
from orderflow._core.risk_state cimport NOBODY, Held
from orderflow._core.router_state cimport CHANGES, SLICE_TIMER, Change, ListingState, RouterState
from orderflow._core.router_view cimport usable
from orderflow._core.types cimport BookState, Level, Listing, OrderFlag, Side

cdef enum:
    MOVES = 4
    MOVE_NS = 1_000_000_000
    LINGER_NS = 500_000_000
    UNCLEAR = -1                # instead of a price


cdef nogil:
    inline void set_up_moves(RouterState *self, Parent *parent) noexcept:
        """One that joins may have an order on every listing, and place them all at once."""
        cdef uint32_t instrument = parent.order.instrument
        parent.moves.rate = MOVES
        if joins(&parent.order):
            parent.moves.rate += self.first[instrument + 1] - self.first[instrument]
        parent.moves.period_ns = parent.moves.rate * <int64_t>MOVE_NS

    inline int64_t moves_ns(const Parent *parent) noexcept:
        """When the next token is there, as of the last look at them."""
        return parent.moves.refilled_ns + MOVE_NS - parent.moves.credit_ns

    inline void look_at(RouterState *self, uint32_t slot, int64_t at_ns, int64_t now_ns) noexcept:
        """A parent is to be looked at then at the latest, whatever the market does, and when it is to complete; 0 =
        only then. What lies behind is not scheduled: a paused parent that should have completed would ring for ever."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef int64_t completes = completes_ns(&parent.order)
        if completes > now_ns and not parent.crossing and (at_ns == 0 or completes < at_ns):
            at_ns = completes
        if at_ns == 0 or parent.closing or (self.slice_timers[slot] and parent.look_ns <= at_ns):
            return
        timers.cancel(self.timers, self.slice_timers[slot])
        self.slice_timers[slot] = timers.schedule(self.timers, at_ns, SLICE_TIMER | parent.order.parent_id)
        parent.look_ns = at_ns

    inline int64_t own_at(const RouterState *self, uint32_t listing, uint8_t side, int64_t price) noexcept:
        """What a book may show of our own orders there."""
        cdef uint32_t slot = self.risk.books[listing].own[rank(side)].newest
        cdef int64_t total = 0
        cdef const Held *held
        while slot != <uint32_t>NOBODY:
            held = &self.risk.held[slot]
            if held.may_rest and held.price == price:
                total += iceberg.shown_of(held.committed - held.filled, held.display)
            slot = held.older
        return total

    inline void note_change(RouterState *self, uint32_t listing, uint8_t side, int64_t price, int64_t quantity,
                            int64_t now_ns) noexcept:
        """An order is asked to come to a price, or to leave it."""
        cdef ListingState *state = &self.states[listing]
        cdef uint32_t at = rank(side)
        cdef Change *change = &state.changes[at][state.changed[at] % CHANGES]
        state.changed[at] += 1
        change.price, change.quantity, change.sent_ns = price, quantity, now_ns

    inline void note_departure(RouterState *self, const Order *order, int64_t now_ns) noexcept:
        if not order.facts & Fact.CANCEL_WANTED:
            note_change(self, order.child.listing, order.child.side, order.child.price,
                        iceberg.shown_of(order_states.reserved(order), iceberg.display_of(&order.child)), now_ns)

    inline int64_t unclear_at(const RouterState *self, uint32_t listing, uint8_t side, int64_t price,
                              int64_t now_ns) noexcept:
        """How much of ours is on its way to a price or from it."""
        cdef const Change *changes = self.states[listing].changes[rank(side)]
        cdef int64_t total = 0
        cdef uint32_t i
        for i in range(<uint32_t>CHANGES):
            if changes[i].price == price and now_ns - changes[i].sent_ns < LINGER_NS:
                total += changes[i].quantity
        return total

    inline int64_t best_of_others(const RouterState *self, uint32_t listing, uint8_t side, const Level *levels,
                                  uint32_t count, int64_t now_ns) noexcept:
        """Listing scale; 0 = nobody else is there, UNCLEAR = there may be somebody."""
        cdef int64_t own, unclear
        cdef uint32_t i
        for i in range(count):
            own = own_at(self, listing, side, levels[i].price)
            unclear = unclear_at(self, listing, side, levels[i].price, now_ns)
            if levels[i].quantity > own + unclear:
                return levels[i].price
            if unclear:
                return UNCLEAR
        return 0

    inline int64_t pegged(const RouterState *self, const Parent *parent, uint32_t listing, int64_t now_ns) noexcept:
        """Where a parent's order is to stand on a listing now, its scale; 0 = nowhere, UNCLEAR = where it is."""
        cdef const Listing *where = &self.listings[listing]
        cdef int64_t cap = 0
        cdef Touch touch
        if self.views[listing].book_state != BookState.LIVE:
            return 0
        touch.bid = best_of_others(self, listing, Side.BUY, self.views[listing].bids, self.views[listing].bid_count,
                                   now_ns)
        touch.ask = best_of_others(self, listing, Side.SELL, self.views[listing].asks, self.views[listing].ask_count,
                                   now_ns)
        touch.shown_bid = self.views[listing].bids[0].price if self.views[listing].bid_count else 0
        touch.shown_ask = self.views[listing].asks[0].price if self.views[listing].ask_count else 0
        if touch.bid == UNCLEAR or touch.ask == UNCLEAR:
            return UNCLEAR
        if not can_convert(self, listing):
            return 0
        if parent.order.limit_price:
            cap = on_grid(where, parent.order.side, parent.order.limit_price,
                          rate_for(self, listing, parent.order.side))
            if cap <= 0:
                return 0                    # less than a tick: no price of this listing is within it
        return peg_price(parent.order.algorithm, parent.order.side, &touch, where.tick, parent.order.offset, cap,
                         parent.order.flags & OrderFlag.POST_ONLY)

    inline uint32_t choose_listing(const RouterState *self, const Parent *parent, int64_t quantity,
                                   int64_t now_ns) noexcept:
        """Where its next order goes, of so much in instrument scale; NONE = nowhere now."""
        cdef uint32_t begin = self.first[parent.order.instrument]
        cdef uint32_t chosen = <uint32_t>NONE
        cdef uint8_t side = parent.order.side
        cdef int64_t best = 0
        cdef int64_t price
        cdef uint32_t k, i
        for k in range(self.first[parent.order.instrument + 1] - begin):
            i = self.members[begin + k]
            if (parent.order.listings and not (parent.order.listings >> k) & 1) or not usable(self, i, side, now_ns):
                continue
            price = pegged(self, parent, i, now_ns)
            if price <= 0 or not is_enough(self, i, quantity, price):
                continue
            price = conversion.instrument_price(&self.listings[i], price, rate_for(self, i, side), side)
            if best == 0 or is_worse(side, price, best) or (
                    price == best and self.listings[i].maker_fee < self.listings[chosen].maker_fee):
                best, chosen = price, i
        return chosen

    inline bint may_move(RouterState *self, uint32_t slot, uint32_t listing, int64_t now_ns) noexcept:
        """Whether a parent's order may be placed or moved now. Where only a token is missing it is looked at again as
        soon as there is one."""
        cdef Parent *parent = &self.table.parents[slot]
        if parent.paused or not usable(self, listing, parent.order.side, now_ns):
            return False
        if token_bucket.has_token(&parent.moves, now_ns, 0):
            return True
        look_at(self, slot, moves_ns(parent), now_ns)
        return False
