"""Parent orders: what was asked, what has been filled where, and what is still out.

A parent works in its instrument's scale, its children in their listings'; Listing.quantity_factor and price_factor
convert exactly, and where a listing is quoted in another currency conversion.pxd does. Conservation (filled + working +
in_doubt <= quantity) is kept up with every report; risk.pxd proves it from books of its own. """
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core.algos.participation cimport Participation
from orderflow._core.algos.volume_curve cimport VolumePace
from orderflow._core.positions cimport FEE_ASSETS, FeeSum
from orderflow._core.token_bucket cimport TokenBucket
from orderflow._core.types cimport ParentOrder, ParentReport, ParentStatus
from orderflow._core.fixed cimport int128


cdef struct ListingFill:        # of one parent on one listing, in the listing's scale and currency
    int128 notional
    int128 worth                # the same in the instrument's
    int64_t filled
    uint64_t fills
    FeeSum fees[FEE_ASSETS]


cdef struct Parent:
    ParentOrder order           # as it came; parent_id 0 = the slot is free
    int128 notional             # sum of price * quantity of its fills
    Participation participation     # of one by volume; of VWAP what others have traded
    VolumePace pace                 # of Algorithm.VWAP; of ADAPTIVE_SHORTFALL its share
    int64_t filled
    int64_t working             # reserved by children that the exchange may still fill
    int64_t in_doubt            # reserved by children of which nobody knows
    int64_t retired             # part of `filled` whose children have left the order table
    int64_t arrival_price       # mid when it arrived
    int64_t wanted_quantity     # another one was asked for; 0 = none. Its price is the next field
    int64_t wanted_price
    int64_t asked_quantity      # the last that the exchange was asked for; 0 = none that is open. Its price follows
    int64_t asked_price
    int64_t taken               # part of `order.quantity` that the residuals had; negative = netted off
    int64_t before_quantity     # `order.quantity` before it was raised for a replacement under way; 0 = it was not
    TokenBucket moves           # of its orders, if they follow the market
    int64_t look_ns             # if it rests or joins: when its timer rings
    uint64_t resting            # client order id of its newest order that rests; 0 = none
    int64_t released            # if it is paced: what is filled, out and in doubt may be so much by now
    int64_t overdue             # if it is paced: what had been released before its slice began
    int128 missed_at            # all-in price of an order that did not get all it asked for; 0 = nothing to learn
    int64_t staggered_ns        # when its first orders were decided; 0 = not yet
    int64_t longest_ns          # round trip of the slowest of them, if they are to arrive together; 0 = they are not
    int64_t resumes_ns          # nothing is sent before, because something is waiting for its time; 0 = nothing is
    int64_t ceiling             # of a schedule: no more of it is released, by the volume; INT64_MAX = it has no cap
    int64_t lot                 # of a schedule: in what it releases
    uint32_t slices             # of a schedule: as many as have a size that can be sent
    uint32_t begun              # of those
    uint32_t resting_slot
    int64_t ended_ns            # monotonic; of the last change to DONE
    uint32_t next               # free list, or the queue of ended parents
    uint32_t children           # ever opened
    uint8_t status              # ParentStatus
    uint8_t closing             # no new children: cancelled, out of time, or nothing left to do
    uint8_t reason              # why it is closing, Reason
    uint8_t queued
    uint8_t withdrawing         # its resting order is to go
    uint8_t paused              # by whoever submitted it
    uint8_t crossing            # it rested, and what is left of it crosses


cdef nogil:
    inline uint8_t status(const Parent *parent) noexcept:
        """ParentStatus, a function of the quantities alone, so that later evidence corrects it by itself."""
        if parent.working > 0:
            return ParentStatus.PARENT_CANCELLING if parent.closing else ParentStatus.PARENT_WORKING
        if parent.in_doubt > 0:
            return ParentStatus.PARENT_ENDED_IN_DOUBT if parent.closing else ParentStatus.PARENT_WORKING
        if parent.closing or parent.filled >= parent.order.quantity:
            return ParentStatus.PARENT_DONE
        return ParentStatus.PARENT_WORKING

    inline int64_t remaining(const Parent *parent) noexcept:
        """Quantity for which a new child may be opened; negative after an overfill."""
        return parent.order.quantity - parent.filled - parent.working - parent.in_doubt

    inline void describe(const Parent *parent, int64_t event_ns, ParentReport *out) noexcept:
        """Fill a ParentReport; sequence, last_price, last_quantity and listing are the caller's."""
        out.parent_id = parent.order.parent_id
        out.quantity = parent.order.quantity
        out.taken = parent.taken
        out.filled = parent.filled
        out.working = parent.working
        out.in_doubt = parent.in_doubt
        out.notional_low = <int64_t>parent.notional
        out.notional_high = <int64_t>(parent.notional >> 64)
        out.arrival_price = parent.arrival_price
        out.event_ns = event_ns
        out.instrument = parent.order.instrument
        out.strategy = parent.order.strategy
        out.status = parent.status
        out.reason = parent.reason
        out.side = parent.order.side
