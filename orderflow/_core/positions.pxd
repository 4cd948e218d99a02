"""Positions, one per listing, and sums of charged fees. Exact: nothing is rounded away.

The profit of a position is split into realised and open by average cost. The share of the cost that a reducing fill
takes with it is rounded towards zero, and what is rounded off stays in the cost of what remains, so that at any
moment `sold_notional - bought_notional == realised - open_cost` for a long (`+ open_cost` for a short) to the last
digit. Notionals are products of the listing's scaled price and scaled quantity. """
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t

from orderflow._core cimport wide
from orderflow._core.types cimport Side
from orderflow._core.fixed cimport int128

cdef enum:
    FEE_ASSETS = 4              # of one listing's fees: base, quote, the exchange's own, a spare
    FEE_DECIMALS = 18           # finest fee that is summed: int64 * 10**18 fits 128 bits


cdef struct FeeSum:             # value = amount / 10**decimals of the exchange's asset number `asset`; positive = cost
    int128 amount
    uint16_t asset
    uint8_t decimals
    uint8_t used


cdef struct Position:
    int128 bought_notional
    int128 sold_notional
    int128 bought               # quantities
    int128 sold
    int128 open_cost            # what the open quantity cost (long) or brought (short)
    int128 realised
    int64_t net                 # bought - sold
    uint64_t fills
    FeeSum fees[FEE_ASSETS]


cdef nogil:
    inline int128 scaled(int128 amount, int decimals) noexcept:
        while decimals > 0:
            amount = amount * 10
            decimals -= 1
        return amount

    inline int add_fee(FeeSum *sums, uint16_t asset, uint8_t decimals, int64_t fee) noexcept:
        """Add a charged fee to a listing's FEE_ASSETS sums; 0, or -1 if it is too fine or there is no sum left for
        its asset."""
        cdef int i
        cdef FeeSum *total
        if decimals > FEE_DECIMALS:
            return -1
        for i in range(FEE_ASSETS):
            total = &sums[i]
            if total.used and total.asset != asset:
                continue
            if not total.used:
                total.used = 1
                total.asset = asset
                total.decimals = decimals
            if decimals > total.decimals:
                total.amount = scaled(total.amount, decimals - total.decimals)
                total.decimals = decimals
            total.amount = total.amount + scaled(<int128>fee, total.decimals - decimals)
            return 0
        return -1

    inline void apply(Position *position, uint8_t side, int64_t price, int64_t quantity) noexcept:
        """Apply one fill. Time: a few nanoseconds, one 128-bit division when it reduces the position."""
        cdef int128 notional = wide.product(price, quantity)
        cdef int64_t opened = position.net if position.net >= 0 else -position.net
        cdef int64_t closing = 0
        cdef int128 taken, opening
        position.fills += 1
        if (side == Side.BUY and position.net < 0) or (side == Side.SELL and position.net > 0):
            closing = quantity if quantity < opened else opened
            taken = wide.share(position.open_cost, closing, opened)
            position.open_cost = position.open_cost - taken
            opening = wide.product(price, closing)
            position.realised = position.realised + (opening - taken if side == Side.SELL else taken - opening)
        opening = wide.product(price, quantity - closing)
        position.open_cost = position.open_cost + opening
        if side == Side.BUY:
            position.bought = position.bought + <int128>quantity
            position.bought_notional = position.bought_notional + notional
            position.net += quantity
        else:
            position.sold = position.sold + <int128>quantity
            position.sold_notional = position.sold_notional + notional
            position.net -= quantity
