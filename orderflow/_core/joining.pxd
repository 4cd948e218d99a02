"""Join, wait, cross: an order with the best of its side, until its chance to be filled in time is too small.

It is a primary peg (pegging.pxd) whose place in the queue is estimated with every change of the book. When what waiting
is likely to bring is no longer worth it (algos/queue.pxd) the order is cancelled and what is left crosses. The chance
falls with time alone, so a timer stands at the moment at which it will be too small if nothing else happens.

What leaves the best levels is learned of every listing from the boards as they are read.

Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport order_states, passive, pegging, wide
from orderflow._core.algos cimport queue
from orderflow._core.fixed cimport int128
from orderflow._core.order_states cimport Order
from orderflow._core.parents cimport Parent
from orderflow._core.risk_own_orders cimport rank
from orderflow._core.risk_state cimport BUYS, SELLS
from orderflow._core.router_state cimport ListingState, RouterState
from orderflow._core.types cimport BoardEntry, BookState, Level, Listing, Side

cdef enum:
    FEE_UNIT = 100_000_000


cdef nogil:
    inline void watch_queues(RouterState *self, uint32_t listing, int64_t now_ns) noexcept:
        """A board was read: what has left its best levels since."""
        cdef const BoardEntry *view = &self.views[listing]
        cdef ListingState *state = &self.states[listing]
        cdef uint64_t bought = view.traded - view.sold
        cdef int64_t sold_now = <int64_t>(view.sold - state.taken[BUYS])
        cdef int64_t bought_now = <int64_t>(bought - state.taken[SELLS])
        cdef int64_t elapsed_ns = now_ns - state.queues_ns if state.queues_ns else 0
        cdef int64_t bid = view.bids[0].price if view.bid_count else 0
        cdef int64_t ask = view.asks[0].price if view.ask_count else 0
        state.taken[BUYS], state.taken[SELLS] = view.sold, bought
        if view.book_state != BookState.LIVE:
            state.queues_ns = state.queues[BUYS].price = state.queues[SELLS].price = 0
            return
        state.queues_ns = now_ns
        queue.watch(&state.queues[BUYS], Side.BUY, bid, view.bids[0].quantity if bid else 0,
                    pegging.own_at(self, listing, Side.BUY, bid), sold_now, elapsed_ns)
        queue.watch(&state.queues[SELLS], Side.SELL, ask, view.asks[0].quantity if ask else 0,
                    pegging.own_at(self, listing, Side.SELL, ask), bought_now, elapsed_ns)
        if bid and ask:
            queue.add(&state.spread, wide.product(ask - bid, elapsed_ns), elapsed_ns)

    inline int64_t fees_saved(const Listing *listing, int64_t price) noexcept:
        """What a unit pays less in fees when it is posted, at a price of the listing's."""
        return <int64_t>(wide.product(price, listing.taker_fee - listing.maker_fee) / FEE_UNIT)

    inline int64_t usual_spread(const ListingState *state) noexcept:
        """Over the time that was watched; 0 = nothing was."""
        cdef int128 sum = queue.total(&state.spread)
        cdef int64_t seen_ns = queue.seen_ns(&state.spread)
        return <int64_t>(sum / seen_ns) if seen_ns else 0

    inline int64_t patience_of(const RouterState *self, const Parent *parent, uint32_t listing) noexcept:
        """As in queue.patience, at the spread of now."""
        cdef const BoardEntry *view = &self.views[listing]
        cdef int64_t fees, spread
        if view.bid_count == 0 or view.ask_count == 0:
            return queue.patience(parent.order.urgency, 1, 1)       # it crosses as soon as there is somebody
        spread = view.asks[0].price - view.bids[0].price
        fees = fees_saved(&self.listings[listing], view.asks[0].price)
        return queue.patience(parent.order.urgency, spread + fees, usual_spread(&self.states[listing]) + fees)

    inline const Level *side_of(const BoardEntry *view, uint8_t side) noexcept:
        if side == Side.BUY:
            return view.bids
        return view.asks

    inline void find_place(RouterState *self, Parent *parent, const Order *order, int64_t now_ns) noexcept:
        """Where its order stands by what the book shows now. What is traded while there are better prices is not traded
        in its queue."""
        cdef const BoardEntry *view = &self.views[order.child.listing]
        cdef bint buys = order.child.side == Side.BUY
        cdef const Level *levels = side_of(view, order.child.side)
        cdef uint32_t count = view.bid_count if buys else view.ask_count
        cdef uint64_t traded = view.sold if buys else view.traded - view.sold
        cdef bint is_new = pegging.unclear_at(self, order.child.listing, order.child.side, order.child.price,
                                              now_ns) > 0
        cdef int64_t shown = -1
        cdef uint32_t i
        for i in range(count):
            if levels[i].price == order.child.price:
                shown = levels[i].quantity - order_states.reserved(order)
                if i:
                    parent.place.traded = traded
                break
        if shown < 0:
            if not is_new:
                return                      # a book that does not show our order yet, or no longer
            shown = 0
        queue.stand(&parent.place, order.child.client_order_id, order.child.price, shown, traded, is_new)

    inline int64_t before_last(RouterState *self, Parent *parent, const Order *order, uint32_t listing,
                               int64_t now_ns) noexcept:
        """What stands before the last unit of its order, that included; listing scale. Without an order, of one that
        would come now."""
        cdef uint8_t side = parent.order.side
        cdef const Level *levels = side_of(&self.views[listing], side)
        cdef uint32_t count = self.views[listing].bid_count if side == Side.BUY else self.views[listing].ask_count
        cdef int64_t amount = passive.in_lots(&self.listings[listing],
                                              parent.order.quantity - parent.filled - parent.in_doubt)
        cdef uint32_t i
        if order is NULL or order_states.is_terminal(order.status):
            return amount + (levels[0].quantity if count else 0)
        find_place(self, parent, order, now_ns)
        for i in range(count):
            if levels[i].price == order.child.price or (levels[i].price < order.child.price) == (side == Side.BUY):
                break
            amount += levels[i].quantity
        return amount + queue.ahead(&parent.place)

    inline bint gives_up(RouterState *self, uint32_t slot, const Order *order, uint32_t listing,
                         int64_t now_ns) noexcept:
        """Whether a parent that joins is to cross now; else it is looked at again when it would."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef const queue.Recent *outflow = &self.states[listing].queues[rank(parent.order.side)].outflow
        cdef int64_t patience = patience_of(self, parent, listing)
        cdef int64_t amount, lead_ns
        if parent.closing or parent.paused:
            return False
        amount = before_last(self, parent, order, listing, now_ns)
        if queue.seen_ns(outflow) < queue.ENOUGH_NS and patience >= 0:
            return False
        lead_ns = queue.gives_up_ns(amount, outflow, patience)
        if parent.order.end_ns - now_ns <= lead_ns:
            return True
        if lead_ns:
            pegging.look_at(self, slot, parent.order.end_ns - lead_ns)
        return False
