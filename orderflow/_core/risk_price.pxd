"""Prices that an order may have: on the tick, in a collar around the reference price, in another around its past.

The first collar stops a fat finger. It moves with the market, and so with a market that our own orders move: an
algorithm that buys its way up stays within two per cent of every next mid. The second does not move that fast: it
stands around the reference price of a minute ago (the newest sample that is as old as the window; while there is none,
the oldest), and refuses what is beyond it on the aggressive side (Commission Delegated Regulation (EU) 2017/589,
article 15: collars "on an order-by-order basis and over a specified period of time").

The past of a price is a ring of samples, a 62nd of the window apart at least, so that 64 of them always reach back
further than the window. `then` walks behind the newest: a check moves it on by what has come since the last one.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core cimport conversion, wide
from orderflow._core.fixed cimport int128
from orderflow._core.risk_state cimport (
    FRACTION, REFERENCES, Decision, Drift, Exposure, ListingLimits, Risk, refuse)
from orderflow._core.types cimport ChildOrder, OrderType, ParentOrder, Reason, Side


cdef nogil:
    # --- the past ------------------------------------------------------------------------------------------------

    inline void remember(Drift *drift, int64_t price, int64_t now_ns) noexcept:
        """Take a sample of the reference price, if the last one is old enough."""
        if drift.window_ns == 0 or price <= 0:
            return
        if drift.count and now_ns - drift.times_ns[drift.newest] < drift.window_ns // (REFERENCES - 2):
            return
        drift.newest = (drift.newest + 1) % REFERENCES if drift.count else 0
        if drift.count == REFERENCES:
            if drift.then == drift.newest:
                drift.then = (drift.then + 1) % REFERENCES
        else:
            drift.count += 1
        drift.prices[drift.newest] = price
        drift.times_ns[drift.newest] = now_ns

    inline int64_t price_then(Drift *drift, int64_t now_ns) noexcept:
        """The reference price a window ago; 0 = nothing is known."""
        cdef uint32_t later
        if drift.count == 0:
            return 0
        while drift.then != drift.newest:
            later = (drift.then + 1) % REFERENCES
            if drift.times_ns[later] > now_ns - drift.window_ns:
                break
            drift.then = later
        return drift.prices[drift.then]

    # --- the check -----------------------------------------------------------------------------------------------

    inline int128 bound_of(int64_t reference, int64_t collar, uint8_t side) noexcept:
        """FRACTION times the most aggressive price allowed, instrument scale."""
        return wide.product(reference, FRACTION + collar if side == Side.BUY else FRACTION - collar)

    inline bint beyond(int128 priced, int128 bound, uint8_t side) noexcept:
        return priced > bound if side == Side.BUY else priced < bound

    inline int128 priced_at(const ListingLimits *limits, const ChildOrder *child) noexcept:
        """An order's own price in the instrument's scale and currency."""
        return conversion.amount(wide.product(child.price, limits.price_factor), child.rate, child.side)

    inline int64_t own_price(const ListingLimits *limits, int64_t price, int64_t rate) noexcept:
        """A price of the listing that is above one of the instrument, by less than two of its units."""
        cdef int128 own = price
        cdef int128 divisor = limits.price_factor
        if rate:
            own = own * <int64_t>conversion.RATE_UNIT
            divisor = divisor * rate
        return <int64_t>(own / divisor) + 1

    inline bint check_price(Risk *risk, const ChildOrder *child, int64_t now_ns, Decision *decision) noexcept:
        """Tick, both collars and notional. A market order has no price: in both collars it counts as the reference
        price, and its notional is that at the upper bound of the first."""
        cdef const ListingLimits *limits = &risk.limits[child.listing]
        cdef const Exposure *exposure = &risk.exposures[limits.instrument]
        cdef Drift *drift = &risk.drifts[limits.instrument]
        cdef int128 bound, priced
        cdef int64_t price = child.price
        cdef int64_t then
        if child.order_type != OrderType.MARKET:
            if price <= 0:
                return refuse(decision, Reason.PRICE_NOT_POSITIVE, 1, price)
            if price % limits.tick:
                return refuse(decision, Reason.PRICE_OFF_TICK, limits.tick, price)
        if exposure.reference_price <= 0 or now_ns - exposure.reference_ns > exposure.reference_age_ns:
            return refuse(decision, Reason.NO_REFERENCE_PRICE, exposure.reference_age_ns,
                          now_ns - exposure.reference_ns)
        if limits.converted and child.rate <= 0:
            return refuse(decision, Reason.NO_REFERENCE_PRICE, 1, 0)
        if child.order_type == OrderType.MARKET:
            bound = bound_of(exposure.reference_price, exposure.collar, Side.BUY)
            price = own_price(limits, <int64_t>(bound / FRACTION), child.rate)
            priced = wide.product(exposure.reference_price, FRACTION)
        else:
            bound = bound_of(exposure.reference_price, exposure.collar, child.side)
            priced = priced_at(limits, child)
            priced = priced * FRACTION
            if beyond(priced, bound, child.side):
                return refuse(decision, Reason.PRICE_OUTSIDE_COLLAR, bound / FRACTION, priced / FRACTION)
        if drift.window_ns:
            then = price_then(drift, now_ns)
            bound = bound_of(then, drift.collar, child.side)
            if then and beyond(priced, bound, child.side):
                return refuse(decision, Reason.PRICE_DRIFTED, bound / FRACTION, priced / FRACTION)
        return check_notional(limits, wide.product(price, child.quantity), child.rate, decision)

    inline bint check_notional(const ListingLimits *limits, int128 notional, int64_t rate,
                               Decision *decision) noexcept:
        """What we allow is in the instrument's currency, what the exchange asks for in its own."""
        cdef int128 worth = conversion.amount(notional, rate, Side.BUY)
        if worth > limits.maximum_notional:
            return refuse(decision, Reason.NOTIONAL_EXCEEDS_MAXIMUM, limits.maximum_notional, worth)
        if notional < limits.minimum_notional:
            return refuse(decision, Reason.NOTIONAL_BELOW_MINIMUM, limits.minimum_notional, notional)
        return True

    inline bint worth_too_little(const Risk *risk, uint32_t listing, const ParentOrder *order, int64_t quantity,
                                 int64_t rate) noexcept:
        """Whether `quantity` of a parent (instrument scale) is below a listing's minimum notional at the highest price
        that an order for it may have: the collar's, or its own limit. Not so while there is no reference price, or no
        rate where it takes one (0)."""
        cdef const ListingLimits *limits = &risk.limits[listing]
        cdef const Exposure *exposure = &risk.exposures[limits.instrument]
        cdef int64_t price
        cdef int128 most
        if limits.minimum_notional <= 0 or exposure.reference_price <= 0 or (limits.converted and rate == 0):
            return False
        price = <int64_t>(bound_of(exposure.reference_price, exposure.collar, Side.BUY) / FRACTION)
        if order.limit_price > 0 and (order.limit_price < price) == (order.side == Side.BUY):
            price = order.limit_price
        most = wide.product(own_price(limits, price, rate), quantity / limits.quantity_factor)
        return most < limits.minimum_notional
