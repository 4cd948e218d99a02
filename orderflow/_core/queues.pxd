"""The queues at the best prices, as the router sees them: what leaves them, and what stands before an order of ours.

What leaves the best levels is learned of every listing from the boards as they are read (algos/queue.pxd).

Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport order_states, pegging, wide
from orderflow._core.algos cimport queue
from orderflow._core.algos.queue cimport Place
from orderflow._core.fixed cimport int128
from orderflow._core.order_states cimport Order
from orderflow._core.risk_state cimport BUYS, SELLS
from orderflow._core.router_state cimport ListingState, RouterState
from orderflow._core.types cimport BoardEntry, BookState, Level, Side


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

    inline int64_t usual_spread(const ListingState *state) noexcept:
        """Over the time that was watched, listing scale; 0 = nothing was."""
        cdef int128 sum = queue.total(&state.spread)
        cdef int64_t seen_ns = queue.seen_ns(&state.spread)
        return <int64_t>(sum / seen_ns) if seen_ns else 0

    inline const Level *side_of(const BoardEntry *view, uint8_t side) noexcept:
        if side == Side.BUY:
            return view.bids
        return view.asks

    inline void find_place(RouterState *self, Place *place, const Order *order, int64_t now_ns) noexcept:
        """Where an order stands by what the book shows now. What is traded while there are better prices is not traded
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
                    place.traded = traded
                break
        if shown < 0:
            if not is_new:
                return                      # a book that does not show our order yet, or no longer
            shown = 0
        queue.stand(place, order.child.client_order_id, order.child.price, shown, traded, is_new)

    inline int64_t before(RouterState *self, uint32_t listing, uint8_t side, int64_t price) noexcept:
        """What is shown at better prices, listing scale."""
        cdef const Level *levels = side_of(&self.views[listing], side)
        cdef uint32_t count = self.views[listing].bid_count if side == Side.BUY else self.views[listing].ask_count
        cdef int64_t amount = 0
        cdef uint32_t i
        for i in range(count):
            if levels[i].price == price or (levels[i].price < price) == (side == Side.BUY):
                break
            amount += levels[i].quantity
        return amount

    inline int64_t shown_at(RouterState *self, uint32_t listing, uint8_t side, int64_t price) noexcept:
        """What is shown there, listing scale; 0 beyond what the board shows."""
        cdef const Level *levels = side_of(&self.views[listing], side)
        cdef uint32_t count = self.views[listing].bid_count if side == Side.BUY else self.views[listing].ask_count
        cdef uint32_t i
        for i in range(count):
            if levels[i].price == price:
                return levels[i].quantity
        return 0
