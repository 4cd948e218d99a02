"""What is to be done next for a parent that rests: a decision from what is out for it and what is wanted of it.

One that hides (ParentOrder.display) has one small order after the other, each placed when the one before is filled.

    nothing out ───────────── PLACE ─────────────> one order at the limit price, on the one listing
    out, and as wanted ────── NOTHING
    out, to be different ──── AMEND, in place, where the exchange can; else CANCEL, and PLACE when that is confirmed
    out, to be gone ───────── CANCEL
    ended, not by us ──────── END: it is not placed again

Never are two of its orders out together, and what a new one asks for is what provably remains. So no race of fills with
cancels or replacements makes more of the parent than it asks for, whatever an exchange's own replacing means by a
quantity (the whole, or the rest). Nothing is decided while it is unclear what is out: the next report brings it up
again.

A function of its arguments. Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core cimport conversion, order_states, parents
from orderflow._core.order_states cimport Fact, Order
from orderflow._core.parents cimport Parent
from orderflow._core.types cimport Amends, Conversion, Listing, OrderStatus, Reason, Side


cdef enum Step:
    NOTHING = 0
    PLACE = 1
    AMEND = 2
    CANCEL = 3
    TAKE = 4                    # what was wanted is so: nothing is out that differs from it
    END = 5


cdef struct Plan:
    int64_t price               # PLACE, AMEND: listing scale
    int64_t quantity            # PLACE: of the order; AMEND: whole, what is filled included
    uint8_t step                # Step
    uint8_t reason              # END


cdef nogil:
    inline bint is_acknowledged(const Order *order) noexcept:
        return order.facts & Fact.ACKNOWLEDGED or order.cumulative > 0

    inline bint is_quiet(const Order *order) noexcept:
        """It is in the book, for all that is known, and nothing that we have asked of it is under way."""
        return (not order_states.is_unclear(order)
                and (order.status == OrderStatus.NEW or order.status == OrderStatus.PARTIAL))

    inline int64_t on_grid(const Listing *listing, uint8_t side, int64_t price, int64_t rate) noexcept:
        """An instrument's limit price as the listing's nearest that is no worse, listing scale; `rate` as of
        conversion.pxd."""
        cdef int64_t own = conversion.own_limit(listing, price, rate, side)
        cdef int64_t rest = own % listing.tick
        if rest and side == Side.SELL:
            return own - rest + listing.tick
        return own - rest

    inline int64_t in_lots(const Listing *listing, int64_t quantity) noexcept:
        """An instrument's quantity in whole lots, listing scale."""
        return quantity // listing.quantity_factor // listing.lot * listing.lot

    inline void plan(const Parent *parent, const Order *order, const Listing *listing, uint8_t amends, int64_t most,
                     int64_t rate, Plan *out) noexcept:
        """`order`: the parent's newest, NULL if there never was one or it has left the table. `most`: largest quantity
        of a new one, instrument scale. `rate`: its listing's now, 0 = it takes none, or there is none."""
        cdef int64_t quantity = parents.remaining(parent)
        out.step = Step.NOTHING
        out.reason = Reason.OK
        if order is not NULL and not order_states.is_terminal(order.status):
            if parent.withdrawing:
                out.step = Step.CANCEL
            elif parent.wanted_quantity:
                plan_change(parent, order, listing, amends, rate, out)
            return
        if parent.closing:
            return
        if parent.wanted_quantity:
            out.step = Step.TAKE
        elif order is not NULL and ended_by_itself(order):
            out.step = Step.END
            out.reason = order.reason
        elif quantity > 0:
            out.step = Step.PLACE
            out.price = on_grid(listing, parent.order.side, parent.order.limit_price, rate)
            out.quantity = in_lots(listing, quantity if quantity < most else most)

    inline void plan_change(const Parent *parent, const Order *order, const Listing *listing, uint8_t amends,
                            int64_t rate, Plan *out) noexcept:
        cdef int64_t held = (order.cumulative + order_states.reserved(order)) * listing.quantity_factor
        cdef int64_t others = parent.filled + parent.working + parent.in_doubt - held
        if not is_quiet(order) or not is_acknowledged(order):
            return
        if listing.conversion != Conversion.NOT_CONVERTED:
            if rate == 0:
                return          # nobody knows what its limit is there
            amends = Amends.AMENDS_NOTHING      # an order has one rate for as long as it lives
        out.quantity = in_lots(listing, parent.wanted_quantity - others)
        if parent.order.display and out.quantity > order.child.quantity:
            out.quantity = order.child.quantity     # more of it is shown when this has been filled
        out.price = on_grid(listing, parent.order.side, parent.wanted_price, rate)
        if out.quantity <= order.cumulative:
            out.step = Step.END
            out.reason = Reason.CANCELLED_BY_USER
        elif out.quantity == order.child.quantity and out.price == order.child.price:
            out.step = Step.TAKE
        elif amends == Amends.AMENDS_PRICE_AND_QUANTITY or (
                amends == Amends.AMENDS_QUANTITY_DOWN and out.price == order.child.price
                and out.quantity < order.child.quantity):
            out.step = Step.AMEND
        else:
            out.step = Step.CANCEL

    inline bint ended_by_itself(const Order *order) noexcept:
        """Not filled, not cancelled by us, and not because its gate refused it."""
        return (order.status != OrderStatus.FILLED and order.status != OrderStatus.DENIED
                and not order.facts & Fact.CANCEL_WANTED)
