"""Icebergs that the exchange itself refills: which orders may be one, and what they show.

A parent that hides (ParentOrder.display) has, where its listing's exchange keeps icebergs (Listing.most_parts), one
order of all that remains, and the exchange puts the next part of it into its book when the one before is taken: no
message of ours is needed, and nothing is out of the market in between. Elsewhere, and where the exchange's rules do not
allow it, it is synthetic: one small order after the other (passive.pxd). So it is where risk does not let all of it be
out at once. Either way an order that stays in a book shows no more than its parent's display.

The rules, of both exchanges that have them on the connection that we use: a LIMIT order that is GTC, which shows less
than it has, and no more than so many parts of it.

* Binance, "order.place" and "Filters": `icebergQty`, within LOT_SIZE; CEIL(quantity / icebergQty) <= ICEBERG_PARTS.
* Kraken, "Spot WebSocket v2: add_order": order_type iceberg, whose display_qty is at least 1/15 of the quantity.

Changing one in place is documented by both and leaves what it shows: Binance, "Order Amend Keep Priority" ("the visible
quantity will only change if newQty is below" it); Kraken, "amend_order", where display_qty is a field of its own. What
it becomes has to keep the rules of a new one; otherwise it is cancelled and placed anew.

Pegs and what joins stay synthetic. They follow the book without what is ours in it (pegging.pxd) and judge their place
in its queue (queues.pxd). How much of a native iceberg is displayed at a moment no exchange says, and that it went back
to the end of the queue only Kraken tells.

Functions of their arguments; any thread.
"""
from libc.stdint cimport int64_t, uint8_t

from orderflow._core.algos cimport reaction
from orderflow._core.types cimport ChildOrder, Listing, OrderType, ParentOrder, Reason, TimeInForce


cdef nogil:
    inline int64_t display_of(const ChildOrder *order) noexcept:
        """What an order shows of itself at a time, listing scale; 0 = all of it."""
        return order.terms if order.time_in_force == TimeInForce.GTC else 0

    inline int64_t shown_of(int64_t quantity, int64_t display) noexcept:
        """How much of what is left of an order its book may show."""
        return display if 0 < display < quantity else quantity

    inline int64_t most_displayed(const ParentOrder *parent) noexcept:
        """How much an order of a parent may show, instrument scale; 0 = all. Of some the field says something else."""
        return 0 if reaction.reacts(parent.algorithm) else parent.display

    inline int64_t display_for(const ParentOrder *parent, const Listing *listing, int64_t quantity) noexcept:
        """What an order of so much (listing scale) is to show of itself, so that it is no more than its parent's
        display; 0 = all of it."""
        cdef int64_t most = most_displayed(parent)
        cdef int64_t display = most // listing.quantity_factor // listing.lot * listing.lot
        return display if display < quantity and most else 0

    inline bint is_allowed(const Listing *listing, int64_t quantity, int64_t display) noexcept:
        """Whether the exchange takes a limit order of so much that shows so much of itself."""
        return (display > 0 and display >= listing.minimum_quantity and display < quantity
                and (quantity - 1) // display < listing.most_parts)

    inline bint is_too_much(uint8_t reason) noexcept:
        """Whether risk would have let less of an order pass."""
        return (reason == Reason.QUANTITY_EXCEEDS_MAXIMUM or reason == Reason.NOTIONAL_EXCEEDS_MAXIMUM
                or reason == Reason.POSITION_EXCEEDS_MAXIMUM or reason == Reason.CAPITAL_EXCEEDED
                or reason == Reason.EXCHANGE_CAPITAL_EXCEEDED or reason == Reason.STRATEGY_CAPITAL_EXCEEDED
                or reason == Reason.STRATEGY_NOTIONAL_EXCEEDED)

    inline bint is_well_formed(const Listing *listing, const ChildOrder *order) noexcept:
        """Whether an order that may show a part of itself only is one that its exchange takes, or shows all."""
        cdef int64_t display = display_of(order)
        return display == 0 or (order.order_type == OrderType.LIMIT and display % max(listing.lot, 1) == 0
                                and is_allowed(listing, order.quantity, display))
