"""Pre-trade risk: every check that a new child order must pass, and the only way from it to the journal.

`check` copies the order it accepts into an `Approved` and seals it; the journal takes an `Approved` and nothing else,
and verifies the seal. So an order that nobody judged does not compile, and one that was changed after it was judged
is not journalled.

Conservation and exposure are reckoned from books of risk's own. A quantity counts from the moment it is approved
("all orders sent enter the calculation immediately", Commission Delegated Regulation (EU) 2017/589, article 15);
afterwards `observe` reads the order's facts, never the sums that orders.pxd and the router keep for themselves. An
order that has not provably ended counts in full, which includes every order in doubt. What has not been configured is
refused: limits start at zero, trading starts HALTED.

All checks together are a few dozen comparisons of integers on four cache lines, products in 128 bits. Router thread
only. """
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport wide
from orderflow._core.order_states cimport Order
from orderflow._core.types cimport ChildOrder, Listing, OrderType, ParentOrder, Reason, Side, TradingState
from orderflow._core.fixed cimport int128

cdef enum:
    FRACTION = 100000000        # collars are fractions in 1e-8
    PASSED = 0xA5               # ChildOrder.risk_code of an approved order; 0 = nobody looked at it


cdef struct ListingLimits:      # the listing's scale; notionals are products of its scaled price and quantity
    int128 minimum_notional
    int128 maximum_notional
    int64_t tick
    int64_t lot
    int64_t minimum_quantity
    int64_t maximum_quantity
    int64_t price_factor        # to the instrument's scale
    int64_t quantity_factor
    uint32_t instrument
    uint8_t state               # TradingState
    uint8_t reserved[27]


cdef struct Exposure:           # of one instrument, in its scale
    int128 net                  # position, all listings
    int128 open_buys            # may still be bought, in doubt included
    int128 open_sells
    int64_t maximum_position    # long or short, if everything open is filled
    int64_t reference_price     # fused mid; 0 = none yet
    int64_t reference_ns        # monotonic, when it was true
    int64_t reference_age_ns    # how old it may be
    int64_t collar              # largest distance from the reference on the aggressive side, fraction in 1e-8
    int64_t reserved


cdef struct Commitment:         # of one parent, instrument scale
    uint64_t parent_id
    int64_t quantity
    int64_t committed           # filled, or may still be


cdef struct Held:               # what an order slot has added to the books above, listing scale
    uint64_t client_order_id
    int64_t committed
    int64_t filled
    uint32_t parent
    uint32_t listing
    uint64_t parent_id
    uint8_t side
    uint8_t reserved[7]


cdef struct Risk:
    ListingLimits *limits       # by listing
    Exposure *exposures         # by instrument
    Commitment *commitments     # by parent slot
    Held *held                  # by order slot
    uint32_t listing_count
    uint32_t instrument_count
    uint32_t parent_capacity
    uint32_t order_capacity
    uint64_t approved
    uint64_t refused
    uint64_t strangers          # orders observed that were never approved
    uint8_t state               # TradingState of everything


cdef struct Decision:           # the numbers that decided
    int128 limit
    int128 actual
    uint8_t code                # Reason


cdef struct Approved:           # written by `check` only
    ChildOrder order
    uint64_t seal


cdef nogil:
    # --- the check -----------------------------------------------------------------------------------------------

    inline uint8_t check(Risk *risk, const Order *order, int64_t now_ns, Approved *approved,
                         Decision *decision) noexcept:
        """Judge a child order that was just opened (CREATED). Reason.OK seals it in `approved` and commits its
        quantity at once.

        Any other Reason leaves everything as it was, and `decision` says which limit met which number.
        """
        cdef const ChildOrder *child = &order.child
        decision.code = Reason.OK
        decision.limit = 0
        decision.actual = 0
        if not (check_state(risk, child, decision) and check_size(risk, child, decision)
                and check_price(risk, child, now_ns, decision) and check_parent(risk, order, decision)
                and check_position(risk, child, decision)):
            risk.refused += 1
            return decision.code
        commit(risk, order)
        approved.order = child[0]
        approved.order.risk_code = PASSED
        approved.seal = seal_of(&approved.order)
        risk.approved += 1
        return Reason.OK

    inline uint64_t seal_of(const ChildOrder *order) noexcept:
        """A number that changes with anything that was judged."""
        cdef uint64_t mixed = order.client_order_id * 0x9E3779B97F4A7C15ULL ^ <uint64_t>order.price
        mixed = (mixed ^ mixed >> 32) * 0xBF58476D1CE4E5B9ULL ^ <uint64_t>order.quantity
        mixed = (mixed ^ mixed >> 29) * 0x94D049BB133111EBULL ^ order.parent_id
        mixed = (mixed ^ mixed >> 31) * 0xC2B2AE3D27D4EB4FULL ^ (<uint64_t>order.listing << 32 | order.slot)
        return (mixed ^ mixed >> 30) * 0x9E3779B97F4A7C15ULL ^ (
            <uint64_t>order.kind << 40 | <uint64_t>order.side << 32 | <uint64_t>order.order_type << 24
            | <uint64_t>order.time_in_force << 16 | <uint64_t>order.flags << 8 | order.risk_code)

    inline bint is_sealed(const Approved *approved) noexcept:
        return approved.order.risk_code == PASSED and approved.seal == seal_of(&approved.order)

    inline void spend(Approved *approved) noexcept:
        """Use an approval up."""
        approved.seal = 0

    inline bint refuse(Decision *decision, uint8_t code, int128 limit, int128 actual) noexcept:
        decision.code = code
        decision.limit = limit
        decision.actual = actual
        return False

    inline bint check_state(const Risk *risk, const ChildOrder *child, Decision *decision) noexcept:
        cdef const Exposure *exposure
        cdef const ListingLimits *limits
        cdef int128 reducible, adding
        if child.listing >= risk.listing_count:
            return refuse(decision, Reason.UNKNOWN_LISTING, risk.listing_count, child.listing)
        if risk.state == TradingState.HALTED:
            return refuse(decision, Reason.TRADING_HALTED, TradingState.ACTIVE, risk.state)
        limits = &risk.limits[child.listing]
        if limits.state == TradingState.HALTED:
            return refuse(decision, Reason.LISTING_HALTED, TradingState.ACTIVE, limits.state)
        if risk.state == TradingState.REDUCING or limits.state == TradingState.REDUCING:
            exposure = &risk.exposures[limits.instrument]
            adding = wide.product(child.quantity, limits.quantity_factor)
            if child.side == Side.BUY:
                adding = adding + exposure.open_buys
                reducible = -exposure.net
            else:
                adding = adding + exposure.open_sells
                reducible = exposure.net
            if adding > reducible:
                return refuse(decision, Reason.TRADING_REDUCING, reducible if reducible > 0 else 0, adding)
        return True

    inline bint check_size(const Risk *risk, const ChildOrder *child, Decision *decision) noexcept:
        cdef const ListingLimits *limits = &risk.limits[child.listing]
        if child.quantity <= 0 or (child.side != Side.BUY and child.side != Side.SELL):
            return refuse(decision, Reason.QUANTITY_NOT_POSITIVE, 1, child.quantity)
        if child.quantity > limits.maximum_quantity:
            return refuse(decision, Reason.QUANTITY_EXCEEDS_MAXIMUM, limits.maximum_quantity, child.quantity)
        if child.quantity < limits.minimum_quantity:
            return refuse(decision, Reason.QUANTITY_BELOW_MINIMUM, limits.minimum_quantity, child.quantity)
        if child.quantity % limits.lot:
            return refuse(decision, Reason.QUANTITY_OFF_LOT, limits.lot, child.quantity)
        return True

    inline int128 bound_of(const Exposure *exposure, uint8_t side) noexcept:
        """FRACTION times the most aggressive price allowed, instrument scale."""
        if side == Side.BUY:
            return wide.product(exposure.reference_price, FRACTION + exposure.collar)
        return wide.product(exposure.reference_price, FRACTION - exposure.collar)

    inline bint worth_too_little(const Risk *risk, uint32_t listing, const ParentOrder *order,
                                 int64_t quantity) noexcept:
        """Whether `quantity` of a parent (instrument scale) is below a listing's minimum notional at the highest price
        that an order for it may have: the collar's, or its own limit. Not so while there is no reference price."""
        cdef const ListingLimits *limits = &risk.limits[listing]
        cdef const Exposure *exposure = &risk.exposures[limits.instrument]
        cdef int64_t price
        cdef int128 most
        if limits.minimum_notional <= 0 or exposure.reference_price <= 0:
            return False
        price = <int64_t>(bound_of(exposure, Side.BUY) / FRACTION)
        if order.limit_price > 0 and (order.limit_price < price) == (order.side == Side.BUY):
            price = order.limit_price
        most = wide.product(price / limits.price_factor + 1, quantity / limits.quantity_factor)
        return most < limits.minimum_notional

    inline bint check_price(const Risk *risk, const ChildOrder *child, int64_t now_ns, Decision *decision) noexcept:
        """Tick, collar and notional. A market order has no price: its notional is that at the upper bound of the
        collar."""
        cdef const ListingLimits *limits = &risk.limits[child.listing]
        cdef const Exposure *exposure = &risk.exposures[limits.instrument]
        cdef int128 bound = bound_of(exposure, child.side)
        cdef int128 priced = wide.product(child.price, limits.price_factor)
        cdef int128 notional, upper
        cdef int64_t price = child.price
        if child.order_type != OrderType.MARKET:
            if price <= 0:
                return refuse(decision, Reason.PRICE_NOT_POSITIVE, 1, price)
            if price % limits.tick:
                return refuse(decision, Reason.PRICE_OFF_TICK, limits.tick, price)
        if exposure.reference_price <= 0 or now_ns - exposure.reference_ns > exposure.reference_age_ns:
            return refuse(decision, Reason.NO_REFERENCE_PRICE, exposure.reference_age_ns,
                          now_ns - exposure.reference_ns)
        if child.order_type == OrderType.MARKET:
            upper = bound_of(exposure, Side.BUY)
            price = <int64_t>(upper / FRACTION / limits.price_factor) + 1
        else:
            priced = priced * FRACTION
            if (child.side == Side.BUY and priced > bound) or (child.side == Side.SELL and priced < bound):
                return refuse(decision, Reason.PRICE_OUTSIDE_COLLAR, bound / FRACTION, priced / FRACTION)
        notional = wide.product(price, child.quantity)
        if notional > limits.maximum_notional:
            return refuse(decision, Reason.NOTIONAL_EXCEEDS_MAXIMUM, limits.maximum_notional, notional)
        if notional < limits.minimum_notional:
            return refuse(decision, Reason.NOTIONAL_BELOW_MINIMUM, limits.minimum_notional, notional)
        return True

    inline bint check_parent(const Risk *risk, const Order *order, Decision *decision) noexcept:
        """Conservation: what is filled, out, in doubt and asked for now, within what the parent order says."""
        cdef const Commitment *commitment = &risk.commitments[order.parent]
        cdef int128 total = wide.product(order.child.quantity, risk.limits[order.child.listing].quantity_factor)
        if commitment.parent_id != order.child.parent_id:
            return refuse(decision, Reason.EXCEEDS_PARENT, 0, total)
        total = total + <int128>commitment.committed
        if total > commitment.quantity:
            return refuse(decision, Reason.EXCEEDS_PARENT, commitment.quantity, total)
        return True

    inline bint check_position(const Risk *risk, const ChildOrder *child, Decision *decision) noexcept:
        """The position if everything open on this side is filled and nothing on the other."""
        cdef const ListingLimits *limits = &risk.limits[child.listing]
        cdef const Exposure *exposure = &risk.exposures[limits.instrument]
        cdef int128 worst = wide.product(child.quantity, limits.quantity_factor)
        if child.side == Side.BUY:
            worst = worst + exposure.net + exposure.open_buys
        else:
            worst = worst - exposure.net + exposure.open_sells
        if worst > exposure.maximum_position:
            return refuse(decision, Reason.POSITION_EXCEEDS_MAXIMUM, exposure.maximum_position, worst)
        return True

    # --- the books -----------------------------------------------------------------------------------------------

    inline void register_parent(Risk *risk, uint32_t slot, const ParentOrder *order) noexcept:
        """Note what a parent order asks for, straight from the order; `slot` is where orders.open_parent put it."""
        risk.commitments[slot].parent_id = order.parent_id
        risk.commitments[slot].quantity = order.quantity
        risk.commitments[slot].committed = 0

    inline void commit(Risk *risk, const Order *order) noexcept:
        cdef Held *held = &risk.held[order.child.slot]
        held.client_order_id = order.child.client_order_id
        held.committed = 0
        held.filled = 0
        held.parent = order.parent
        held.parent_id = order.child.parent_id
        held.listing = order.child.listing
        held.side = order.child.side
        book(risk, held, order.child.quantity, 0)

    inline void book(Risk *risk, Held *held, int64_t committed, int64_t filled) noexcept:
        """Replace what a slot has added to the books by what it counts for now."""
        cdef const ListingLimits *limits = &risk.limits[held.listing]
        cdef Exposure *exposure = &risk.exposures[limits.instrument]
        cdef Commitment *commitment = &risk.commitments[held.parent]
        cdef int128 more_committed = wide.product(committed - held.committed, limits.quantity_factor)
        cdef int128 more_filled = wide.product(filled - held.filled, limits.quantity_factor)
        held.committed = committed
        held.filled = filled
        if commitment.parent_id == held.parent_id:
            commitment.committed += <int64_t>more_committed
        if held.side == Side.BUY:
            exposure.open_buys = exposure.open_buys + more_committed - more_filled
            exposure.net = exposure.net + more_filled
        else:
            exposure.open_sells = exposure.open_sells + more_committed - more_filled
            exposure.net = exposure.net - more_filled

    inline void observe(Risk *risk, const Order *order) noexcept:
        """Take in what is known of an order now; call it after every report that concerns it."""
        cdef Held *held = &risk.held[order.child.slot]
        cdef int64_t most = order.child.quantity
        if held.client_order_id != order.child.client_order_id:
            risk.strangers += 1
            commit(risk, order)
        if order.ended and order.stated < most:
            most = order.stated
        book(risk, held, most if most > order.cumulative else order.cumulative, order.cumulative)

    inline void release(Risk *risk, const Order *order) noexcept:
        """Take back an approval whose order never left the router; call it before orders.deny."""
        cdef Held *held = &risk.held[order.child.slot]
        if held.client_order_id == order.child.client_order_id:
            book(risk, held, 0, 0)
            held.client_order_id = 0

    inline void set_reference(Risk *risk, uint32_t instrument, int64_t price, int64_t now_ns) noexcept:
        """The fused mid of the books that are LIVE, instrument scale."""
        risk.exposures[instrument].reference_price = price
        risk.exposures[instrument].reference_ns = now_ns


cdef class RiskBook:
    cdef Risk risk
    cdef object listings_owner
    cdef const Listing *listings

    cdef int _allocate(self) except -1
