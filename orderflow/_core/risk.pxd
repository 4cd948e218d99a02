"""Pre-trade risk: every check that a new child order must pass, and the only way from it to the journal.

`check` copies the order it accepts into an `Approved` and seals it; the journal takes an `Approved` and nothing else,
and verifies the seal. So an order that nobody judged does not compile, and one that was changed after it was judged
is not journalled.

Conservation and exposure are reckoned from books of risk's own (risk_state.pxd). A quantity counts from the moment it
is approved ("all orders sent enter the calculation immediately", Commission Delegated Regulation (EU) 2017/589, article
15); afterwards `observe` reads the order's facts, never the sums that orders.pxd and the router keep for themselves.
An order that has not provably ended counts in full, which includes every order in doubt. What has not been configured
is refused: limits start at zero, trading starts HALTED.

The controls, in the order in which they are asked, and where each of them stands (the books are kept here):

    trading states of everything, listing, strategy        risk_exposure.pxd
    quantity: sign, lot, least, most                       risk_exposure.pxd
    price: tick, collar, drift; notional                   risk_price.pxd
    the book is LIVE and its feed young                    risk_exposure.pxd
    conservation of the parent; position                   risk_exposure.pxd
    repeats and trades with ourselves                      risk_own_orders.pxd, risk_rates.pxd
    value of a strategy's order, loss, drawdown, capital   risk_money.pxd
    messages                                               risk_rates.pxd

All checks together are a few dozen comparisons of integers, products in 128 bits. Router thread only. """
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport (
    iceberg, order_states, purses, risk_exposure, risk_money, risk_own_orders, risk_price, risk_rates, wide)
from orderflow._core.fixed cimport int128
from orderflow._core.order_states cimport Order
from orderflow._core.purses cimport AMOUNT_DECIMALS
from orderflow._core.risk_state cimport (
    Commitment, Decision, Drift, Exposure, Feed, Held, ListingBooks, ListingLimits, Money, Refusal, Risk, Stake,
    Strategy, refuse, stake_of)
from orderflow._core.types cimport (
    ChildOrder, ExecutionReport, Listing, OrderStatus, ParentOrder, Reason, Side, TimeInForce, TradingState)

cdef enum:
    PASSED = 0xA5               # ChildOrder.risk_code of an approved order; 0 = nobody looked at it


cdef struct Approved:           # written by `check` only
    ChildOrder order
    uint64_t seal


cdef nogil:
    # --- the check -----------------------------------------------------------------------------------------------

    inline bint judge(Risk *risk, const Order *order, int64_t now_ns, Decision *decision) noexcept:
        """Every control, in order; `decision` has the first that refuses."""
        cdef const ChildOrder *child = &order.child
        return (risk_exposure.check_state(risk, child, decision) and risk_exposure.check_size(risk, child, decision)
                and risk_price.check_price(risk, child, now_ns, decision)
                and risk_exposure.check_feed(risk, child, now_ns, decision)
                and risk_exposure.check_parent(risk, order, decision)
                and risk_exposure.check_position(risk, child, decision)
                and risk_own_orders.check_own_orders(risk, child, now_ns, decision)
                and risk_money.check_value(risk, child, decision)
                and risk_money.check_loss(risk, child, now_ns, decision)
                and risk_money.check_capital(risk, child, decision)
                and risk_rates.check_rates(risk, child, now_ns, decision))

    inline uint8_t check(Risk *risk, const Order *order, int64_t now_ns, Approved *approved,
                         Decision *decision) noexcept:
        """Judge a child order that was just opened (CREATED). Reason.OK seals it in `approved` and commits its
        quantity at once.

        Any other Reason leaves limits and books as they were, and `decision` says which limit met which number.
        """
        cdef const ChildOrder *child = &order.child
        refuse(decision, Reason.OK, 0, 0)
        if not judge(risk, order, now_ns, decision):
            note_refusal(risk, order, now_ns, decision)
            return decision.code
        commit(risk, order, now_ns)
        risk_rates.count_message(risk, child.strategy, now_ns)
        approved.order = child[0]
        approved.order.risk_code = PASSED
        approved.seal = seal_of(&approved.order)
        risk.approved += 1
        return Reason.OK

    inline uint8_t check_replace(Risk *risk, const Order *order, int64_t price, int64_t quantity, int64_t now_ns,
                                 Decision *decision) noexcept:
        """Judge another price and whole quantity for an order that is out: what is left of it then, as if it were a new
        order instead of the old one. Less of it at the same price always passes.

        Reason.OK commits the larger of the two quantities; any other leaves limits and books as they were.
        """
        cdef Held *held = &risk.held[order.child.slot]
        cdef Order changed = order[0]
        cdef int64_t committed = held.committed
        refuse(decision, Reason.OK, 0, 0)
        if price == order.child.price and quantity <= order.child.quantity:
            return Reason.OK
        changed.child.price = price
        changed.child.quantity = quantity - order.cumulative
        risk_own_orders.delist(risk, order.child.slot)
        book(risk, held, held.filled, held.filled)
        if not judge(risk, &changed, now_ns, decision):
            book(risk, held, committed, held.filled)
            risk_own_orders.enlist(risk, order.child.slot)
            note_refusal(risk, order, now_ns, decision)
            return decision.code
        book(risk, held, quantity if quantity > committed else committed, held.filled)
        if risk_own_orders.improves(order.child.side, price, held.price):
            held.price = price              # until it is known which holds, the one that would meet more
        held.quantity = quantity
        risk_own_orders.enlist(risk, order.child.slot)
        risk_rates.count_message(risk, order.child.strategy, now_ns)
        return Reason.OK

    inline void change_parent(Risk *risk, uint32_t slot, int64_t quantity) noexcept:
        """A parent order asks for another quantity."""
        risk.commitments[slot].quantity = quantity

    inline void note_refusal(Risk *risk, const Order *order, int64_t now_ns, const Decision *decision) noexcept:
        risk.refused += 1
        risk.refusals[order.parent].count += 1
        explain(risk, order.parent, order.child.listing, now_ns, decision)

    inline void explain(Risk *risk, uint32_t parent, uint32_t listing, int64_t now_ns,
                        const Decision *decision) noexcept:
        """So that whoever waits for the parent can be told what it waits for."""
        cdef Refusal *refusal = &risk.refusals[parent]
        refusal.limit = decision.limit
        refusal.actual = decision.actual
        refusal.now_ns = now_ns
        refusal.listing = listing
        refusal.code = decision.code

    inline uint64_t seal_of(const ChildOrder *order) noexcept:
        """A number that changes with anything that was judged."""
        cdef uint64_t mixed = order.client_order_id * 0x9E3779B97F4A7C15ULL ^ <uint64_t>order.price
        mixed = (mixed ^ mixed >> 32) * 0xBF58476D1CE4E5B9ULL ^ <uint64_t>order.quantity
        mixed = (mixed ^ mixed >> 29) * 0x94D049BB133111EBULL ^ order.parent_id
        mixed = (mixed ^ mixed >> 31) * 0xC2B2AE3D27D4EB4FULL ^ (<uint64_t>order.listing << 32 | order.slot)
        mixed = (mixed ^ mixed >> 33) * 0xD6E8FEB86659FD93ULL ^ <uint64_t>order.rate
        return (mixed ^ mixed >> 30) * 0x9E3779B97F4A7C15ULL ^ (
            <uint64_t>order.kind << 40 | <uint64_t>order.side << 32 | <uint64_t>order.order_type << 24
            | <uint64_t>order.time_in_force << 16 | <uint64_t>order.flags << 8 | order.risk_code)

    inline bint is_sealed(const Approved *approved) noexcept:
        return approved.order.risk_code == PASSED and approved.seal == seal_of(&approved.order)

    inline void spend(Approved *approved) noexcept:
        """Use an approval up."""
        approved.seal = 0

    # --- the books -----------------------------------------------------------------------------------------------

    inline void adopt_parent(Risk *risk, uint32_t slot, const ParentOrder *order) noexcept:
        """The same of one that nobody asks for now: that of an order of an earlier run."""
        risk.commitments[slot].parent_id = order.parent_id
        risk.commitments[slot].quantity = order.quantity
        risk.commitments[slot].committed = 0
        risk.refusals[slot].code = Reason.OK
        risk.refusals[slot].count = 0

    inline void register_parent(Risk *risk, uint32_t slot, const ParentOrder *order, int64_t now_ns) noexcept:
        """Note what a parent order asks for, straight from the order; `slot` is where orders.open_parent put it."""
        adopt_parent(risk, slot, order)
        risk_rates.remember_parent(risk, order, now_ns)

    inline void commit(Risk *risk, const Order *order, int64_t now_ns) noexcept:
        cdef Held *held = &risk.held[order.child.slot]
        risk_own_orders.delist(risk, order.child.slot)
        held.client_order_id = order.child.client_order_id
        held.notional = 0
        held.committed = 0
        held.tied = 0
        held.filled = 0
        held.price = order.child.price
        held.quantity = order.child.quantity
        held.placed_ns = now_ns
        held.rate = order.child.rate
        held.display = iceberg.display_of(&order.child)
        held.parent = order.parent
        held.parent_id = order.child.parent_id
        held.listing = order.child.listing
        held.strategy = order.child.strategy if order.child.strategy < risk.strategy_count else 0
        held.side = order.child.side
        held.may_rest = (order.child.time_in_force != TimeInForce.IOC and order.child.time_in_force != TimeInForce.FOK)
        held.rejected = 0
        risk_own_orders.enlist(risk, order.child.slot)
        book(risk, held, order.child.quantity, 0)

    inline void book(Risk *risk, Held *held, int64_t committed, int64_t filled) noexcept:
        """Replace what a slot has added to the books by what it counts for now."""
        cdef const ListingLimits *limits = &risk.limits[held.listing]
        cdef Exposure *exposure = &risk.exposures[limits.instrument]
        cdef Commitment *commitment = &risk.commitments[held.parent]
        cdef Stake *stake = &risk.books[held.listing].stake
        cdef Stake *strategy = stake_of(risk, held.strategy, limits.instrument)
        cdef int128 more_committed = wide.product(committed - held.committed, limits.quantity_factor)
        cdef int128 more_filled = wide.product(filled - held.filled, limits.quantity_factor)
        cdef int128 more_open = more_committed - more_filled
        held.committed = committed
        held.filled = filled
        purses.tie(&risk.purses, &risk.listings[held.listing], held.side, held.price, committed - filled, &held.tied)
        if commitment.parent_id == held.parent_id:
            commitment.committed += <int64_t>more_committed
        if held.side == Side.BUY:
            exposure.open_buys = exposure.open_buys + more_open
            exposure.net = exposure.net + more_filled
            stake.open_buys = stake.open_buys + more_open
            stake.net = stake.net + more_filled
            strategy.open_buys = strategy.open_buys + more_open
            strategy.net = strategy.net + more_filled
        else:
            exposure.open_sells = exposure.open_sells + more_open
            exposure.net = exposure.net - more_filled
            stake.open_sells = stake.open_sells + more_open
            stake.net = stake.net - more_filled
            strategy.open_sells = strategy.open_sells + more_open
            strategy.net = strategy.net - more_filled
        risk_money.value_listing(risk, held.listing)
        risk_money.value_stake(risk, held.strategy, limits.instrument)

    inline void observe(Risk *risk, const Order *order, int64_t now_ns) noexcept:
        """Take in what is known of an order now; call it after every report that concerns it."""
        cdef Held *held = &risk.held[order.child.slot]
        cdef int64_t most = order_states.most(order)
        cdef int64_t filled
        cdef int128 notional
        if held.client_order_id != order.child.client_order_id:
            risk.strangers += 1
            commit(risk, order, now_ns)
        if order.ended and order.stated < most:
            most = order.stated
        if most < order.cumulative:
            most = order.cumulative
        if held.price != order.child.price and not order.facts & order_states.Fact.REPLACE_WANTED:
            risk_own_orders.delist(risk, order.child.slot)      # it was replaced, or that was refused
            held.price, held.quantity = order.child.price, order.child.quantity
            risk_own_orders.enlist(risk, order.child.slot)
        filled = held.filled
        notional = order.notional - held.notional
        held.notional = order.notional
        book(risk, held, most, order.cumulative)
        if held.committed == held.filled:
            risk_own_orders.delist(risk, order.child.slot)
        if notional:
            risk_money.take_fill(risk, held.listing, held.strategy, held.side, notional, held.rate)
            risk_money.judge_instrument(risk, risk.limits[held.listing].instrument, now_ns)
        if filled == 0 and held.filled:
            risk_rates.throttle_strategy(risk, held.strategy, &risk.strategies[held.strategy].fills,
                                         Reason.FILLS_TOO_FREQUENT, now_ns)
        if (order.ended == OrderStatus.REJECTED and not held.rejected
                and order.reason != Reason.POST_ONLY_WOULD_TAKE):
            held.rejected = 1
            risk_rates.throttle_strategy(risk, held.strategy, &risk.strategies[held.strategy].rejects,
                                         Reason.REJECTS_TOO_FREQUENT, now_ns)

    inline void release(Risk *risk, const Order *order) noexcept:
        """Take back an approval whose order never left the router; call it before orders.deny."""
        cdef Held *held = &risk.held[order.child.slot]
        if held.client_order_id == order.child.client_order_id:
            book(risk, held, 0, 0)
            risk_own_orders.delist(risk, order.child.slot)
            held.client_order_id = 0

    # --- what the market says ------------------------------------------------------------------------------------

    inline void set_reference(Risk *risk, uint32_t instrument, int64_t price, int64_t now_ns) noexcept:
        """The fused mid of the books that are LIVE, instrument scale: what collars stand around, and the mark of
        everything that is held."""
        cdef Exposure *exposure = &risk.exposures[instrument]
        cdef bint moved = price != exposure.reference_price
        cdef uint32_t i
        if exposure.awaited:
            return              # what is held would be marked, but not what it cost
        exposure.reference_price = price
        exposure.reference_ns = now_ns
        risk_price.remember(&risk.drifts[instrument], price, now_ns)
        if moved:
            for i in range(risk.first[instrument], risk.first[instrument + 1]):
                risk_money.value_listing(risk, risk.members[i])
            if exposure.holders:
                for i in range(risk.strategy_count):
                    if exposure.holders >> i & 1:
                        risk_money.value_stake(risk, i, instrument)
        risk_money.judge_instrument(risk, instrument, now_ns)

    inline void set_feed(Risk *risk, uint32_t listing, uint8_t book_state, int64_t receive_ns) noexcept:
        """What the router last read of a listing's board."""
        risk.books[listing].feed.book_state = book_state
        risk.books[listing].feed.receive_ns = receive_ns

    # --- what people say -----------------------------------------------------------------------------------------

    inline void set_strategy(Risk *risk, uint32_t strategy, uint8_t state) noexcept:
        """A strategy is allowed, reduced or halted by hand. ACTIVE arms it again: its profit, its fills and its
        rejects are counted anew."""
        cdef Strategy *chosen
        cdef uint32_t i
        if strategy >= risk.strategy_count:
            return
        chosen = &risk.strategies[strategy]
        chosen.state = state
        chosen.reason = Reason.OK if state == TradingState.ACTIVE else Reason.STRATEGY_HALTED
        if state != TradingState.ACTIVE:
            return
        risk_rates.forget(&chosen.fills)
        risk_rates.forget(&chosen.rejects)
        for i in range(risk.currency_count):
            risk_money.rearm(risk_money.strategy_money(risk, strategy, i))

    inline void set_exchange(Risk *risk, uint32_t exchange, uint8_t state) noexcept:
        """An exchange may only reduce (any other state than ACTIVE), or not only."""
        risk.reducing &= ~(<uint64_t>1 << exchange)
        if state != TradingState.ACTIVE:
            risk.reducing |= <uint64_t>1 << exchange

    inline void halt_instrument(Risk *risk, const ExecutionReport *report) noexcept:
        """An exchange's books of a listing and ours differ (REPORT_DIFFERS): its instrument waits for a person. What
        was found first is kept."""
        cdef Exposure *exposure
        cdef int128 expected = report.last_price
        cdef int128 found = report.last_quantity
        cdef int decimals = report.fee_decimals
        if report.listing >= risk.listing_count or (report.reason != Reason.BALANCE_UNEXPLAINED
                                                    and report.reason != Reason.ORDER_UNEXPLAINED):
            return
        exposure = &risk.exposures[risk.limits[report.listing].instrument]
        if exposure.differs:
            return
        while decimals < AMOUNT_DECIMALS and report.reason == Reason.BALANCE_UNEXPLAINED:
            expected = expected * 10
            found = found * 10
            decimals += 1
        exposure.differs = report.reason
        exposure.expected = expected
        exposure.found = found

    inline void rearm_instrument(Risk *risk, uint32_t instrument) noexcept:
        """By hand: what the exchanges have of it is taken for right."""
        if instrument < risk.instrument_count:
            risk.exposures[instrument].differs = Reason.OK

    inline void begin_day(Risk *risk) noexcept:
        """Count the profit of everything and of every strategy anew. Who was stopped by hand or by a limit stays so."""
        cdef uint32_t i, s
        for i in range(risk.currency_count):
            risk_money.begin_day(risk_money.total_money(risk, i))
            for s in range(risk.strategy_count):
                risk_money.begin_day(risk_money.strategy_money(risk, s, i))

    inline void rearm_total(Risk *risk) noexcept:
        """Begin to count the profit of everything anew."""
        cdef uint32_t i
        for i in range(risk.currency_count):
            risk_money.rearm(risk_money.total_money(risk, i))


cdef class RiskBook:
    cdef Risk risk
    cdef object listings_owner
    cdef list kept_alive
    cdef readonly list money_decimals
    cdef const Listing *listings

    cdef int _allocate(self) except -1
    cdef Money *_money(self, str what, uint32_t index, uint32_t currency) except NULL
