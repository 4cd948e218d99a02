"""What is to be done next for a parent that rests: a decision from what is out for it and what is wanted of it.

One that hides (ParentOrder.display) has an iceberg where the exchange keeps one (iceberg.pxd), and elsewhere one small
order after the other, each placed when the one before is filled. One that follows the market (pegging.pxd) is moved by
the same two ways: in place, or cancelled and placed again.

    nothing out ───────────── PLACE ─────────────> one order at the limit price, on the one listing
    out, and as wanted ────── NOTHING
    out, to be different ──── AMEND, in place, where the exchange can; else CANCEL, and PLACE when that is confirmed
    out, to be gone ───────── CANCEL
    ended, not by us ──────── END: it is not placed again, but for a peg that was post-only and came too late

Never are two of its orders out together, and what a new one asks for is what provably remains. So no race of fills with
cancels or replacements makes more of the parent than it asks for, whatever an exchange's own replacing means by a
quantity (the whole, or the rest). Nothing is decided while it is unclear what is out: the next report brings it up
again.

A function of its arguments. Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core cimport conversion, iceberg, order_states, parents
from orderflow._core.algos.peg cimport is_worse
from orderflow._core.order_states cimport Fact, Order
from orderflow._core.parents cimport Parent
from orderflow._core.types cimport (
    Algorithm, Amends, Conversion, Listing, OrderFlag, OrderStatus, ParentOrder, Reason, Side, Tactic)

cdef enum:
    LEAD_NS = 5_000_000_000     # so long before its end what is left of a parent crosses, but
    LEAD_SHARE = 4              # not before three of four parts of its time are over


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
    uint8_t moves               # AMEND, CANCEL: it only follows the market


cdef nogil:
    inline bint follows(uint8_t algorithm) noexcept:
        """Whether its order stands where the market is, and not at its limit price."""
        return Algorithm.PRIMARY_PEG <= algorithm <= Algorithm.MARKET_PEG

    inline bint is_resting(uint8_t algorithm) noexcept:
        return algorithm == Algorithm.RESTING or follows(algorithm)

    inline bint joins(const ParentOrder *order) noexcept:
        """Whether what is due of it is placed by posting.pxd."""
        return order.algorithm == Algorithm.JOIN or order.tactic == Tactic.TACTIC_JOIN

    inline bint is_looked_at(const ParentOrder *order) noexcept:
        """Whether a parent that is not paced needs a timer of its own before its end."""
        return joins(order) or (is_resting(order.algorithm) and (
            follows(order.algorithm) or (order.flags & OrderFlag.MUST_COMPLETE) != 0))

    inline int64_t completes_ns(const ParentOrder *order) noexcept:
        """When what is left of a parent that must complete begins to cross, monotonic; 0 = never."""
        cdef int64_t lead = (order.end_ns - order.start_ns) // LEAD_SHARE
        if (not order.flags & OrderFlag.MUST_COMPLETE or order.end_ns == 0
                or not (is_resting(order.algorithm) or order.algorithm == Algorithm.JOIN)):
            return 0
        return order.end_ns - (lead if lead < LEAD_NS else <int64_t>LEAD_NS)

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

    inline bint is_iceberg(const Parent *parent, const Listing *listing, int64_t quantity) noexcept:
        """Whether an order of so much, listing scale, is one that its exchange itself refills."""
        return parent.order.algorithm == Algorithm.RESTING and iceberg.is_allowed(
            listing, quantity, iceberg.display_for(&parent.order, listing, quantity))

    inline void plan(const Parent *parent, const Order *order, const Listing *listing, uint8_t amends, int64_t most,
                     int64_t price, int64_t rate, Plan *out) noexcept:
        """`order`: the parent's newest, NULL if there never was one or it has left the table. `most`: largest quantity
        of a new one that shows all of itself, instrument scale. `price`: where it is to stand, listing scale; 0 =
        nowhere, -1 = where it is. `rate`: its listing's now, 0 = it takes none, or there is none."""
        cdef int64_t quantity = parents.remaining(parent)
        out.step = Step.NOTHING
        out.reason = Reason.OK
        out.moves = 0
        if order is not NULL and not order_states.is_terminal(order.status):
            if parent.withdrawing:
                out.step = Step.CANCEL
            elif parent.wanted_quantity:
                plan_change(parent, order, listing, amends, rate, out)
            elif follows(parent.order.algorithm) and price >= 0 and price != order.child.price:
                plan_move(order, amends if listing.conversion == Conversion.NOT_CONVERTED
                          else <uint8_t>Amends.AMENDS_NOTHING, price, out)
            return
        if parent.closing:
            return
        if parent.wanted_quantity:
            out.step = Step.TAKE
        elif order is not NULL and ended_by_itself(order) and not (
                follows(parent.order.algorithm) and order.reason == Reason.POST_ONLY_WOULD_TAKE):
            out.step = Step.END
            out.reason = order.reason
        elif quantity > 0 and price > 0:
            out.step = Step.PLACE
            out.price = price
            out.quantity = in_lots(listing, quantity)
            if not is_iceberg(parent, listing, out.quantity):
                out.quantity = in_lots(listing, quantity if quantity < most else most)

    inline void plan_change(const Parent *parent, const Order *order, const Listing *listing, uint8_t amends,
                            int64_t rate, Plan *out) noexcept:
        cdef int64_t held = (order.cumulative + order_states.reserved(order)) * listing.quantity_factor
        cdef int64_t others = parent.filled + parent.working + parent.in_doubt - held
        cdef int64_t display = iceberg.display_of(&order.child)
        if not is_quiet(order) or not is_acknowledged(order):
            return
        if listing.conversion != Conversion.NOT_CONVERTED:
            if rate == 0:
                return          # nobody knows what its limit is there
            amends = Amends.AMENDS_NOTHING      # an order has one rate for as long as it lives
        out.quantity = in_lots(listing, parent.wanted_quantity - others)
        if display and not iceberg.is_allowed(listing, out.quantity, display):
            amends = Amends.AMENDS_NOTHING
        elif parent.order.display and display == 0 and out.quantity > order.child.quantity:
            out.quantity = order.child.quantity     # more of it is shown when this has been filled
        out.price = on_grid(listing, parent.order.side, parent.wanted_price, rate)
        if follows(parent.order.algorithm) and (
                parent.wanted_price == 0 or not is_worse(parent.order.side, order.child.price, out.price)):
            out.price = order.child.price           # within its new cap: it follows again afterwards
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

    inline void plan_move(const Order *order, uint8_t amends, int64_t price, Plan *out) noexcept:
        """The market has moved; without a price there is none to follow."""
        if price == 0:
            out.step = Step.CANCEL
        elif is_quiet(order) and is_acknowledged(order):
            out.moves = 1
            out.price = price
            out.quantity = order.child.quantity
            out.step = Step.AMEND if amends == Amends.AMENDS_PRICE_AND_QUANTITY else Step.CANCEL

    inline bint ended_by_itself(const Order *order) noexcept:
        """Not filled, not cancelled by us, and not because its gate refused it."""
        return (order.status != OrderStatus.FILLED and order.status != OrderStatus.DENIED
                and not order.facts & Fact.CANCEL_WANTED)
