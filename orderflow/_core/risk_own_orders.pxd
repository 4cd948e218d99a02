"""Our own orders on a listing: none may trade with another of ours, and none may be sent twice.

Of each listing and side the orders that have not provably ended, in doubt included, stand in a list, newest first,
linked through their slots; and the most aggressive price of those that may rest is kept beside it. So the check for
self-trades is one comparison. Only when the order at that price ends is the list walked for the next one, which is
not on an order's way out.

An order that would meet a resting order of ours at its price or better is refused ("cancel newest"), whichever strategy
or account either belongs to: behind both stands one owner. IOC and FOK orders never rest, so nothing meets them.
A duplicate is an order of the same strategy, side, price and quantity as one that is still out and was placed within
the strategy's `repeat_ns`: the walk ends at the first older one.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core.risk_state cimport BUYS, NOBODY, SELLS, Decision, Held, OwnOrders, Risk, refuse
from orderflow._core.types cimport ChildOrder, OrderType, Reason, Side


cdef nogil:
    inline uint32_t rank(uint8_t side) noexcept:
        return BUYS if side == Side.BUY else SELLS

    inline bint improves(uint8_t side, int64_t price, int64_t best) noexcept:
        """Whether a price is more aggressive than the best of that side."""
        return best == 0 or (price > best if side == Side.BUY else price < best)

    inline bint check_own_orders(const Risk *risk, const ChildOrder *child, int64_t now_ns,
                                 Decision *decision) noexcept:
        """Neither a duplicate of an order that is out, nor a trade with one."""
        cdef const OwnOrders *own = &risk.books[child.listing].own[rank(child.side)]
        cdef int64_t resting = risk.books[child.listing].own[1 - rank(child.side)].best
        cdef int64_t repeat_ns = risk.strategies[child.strategy].repeat_ns
        cdef uint32_t slot = own.newest
        cdef const Held *held
        while slot != <uint32_t>NOBODY:
            held = &risk.held[slot]
            if now_ns - held.placed_ns >= repeat_ns:
                break
            if (held.strategy == child.strategy and held.price == child.price and held.quantity == child.quantity):
                return refuse(decision, Reason.REPEATED_ORDER, repeat_ns, now_ns - held.placed_ns)
            slot = held.older
        if resting and (child.order_type == OrderType.MARKET or not improves(child.side, resting, child.price)):
            return refuse(decision, Reason.SELF_TRADE, resting, child.price)
        return True

    inline void enlist(Risk *risk, uint32_t slot) noexcept:
        """An order was approved."""
        cdef Held *held = &risk.held[slot]
        cdef OwnOrders *own = &risk.books[held.listing].own[rank(held.side)]
        held.listed = 1
        held.newer = <uint32_t>NOBODY
        held.older = own.newest
        if own.newest != <uint32_t>NOBODY:
            risk.held[own.newest].newer = slot
        own.newest = slot
        if held.may_rest and held.price > 0 and improves(held.side, held.price, own.best):
            own.best = held.price

    inline void delist(Risk *risk, uint32_t slot) noexcept:
        """An order can no longer be filled. Worst case: it had the best price of many."""
        cdef Held *held = &risk.held[slot]
        cdef OwnOrders *own = &risk.books[held.listing].own[rank(held.side)]
        if not held.listed:
            return
        held.listed = 0
        if held.newer != <uint32_t>NOBODY:
            risk.held[held.newer].older = held.older
        else:
            own.newest = held.older
        if held.older != <uint32_t>NOBODY:
            risk.held[held.older].newer = held.newer
        if held.may_rest and held.price == own.best:
            own.best = 0
            slot = own.newest
            while slot != <uint32_t>NOBODY:
                held = &risk.held[slot]
                if held.may_rest and held.price > 0 and improves(held.side, held.price, own.best):
                    own.best = held.price
                slot = held.older
