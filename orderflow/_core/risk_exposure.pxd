"""What an order may be and add to: trading states, its size, its book, its parent and the position.

An instrument of which an exchange's books and ours differ takes no new order, wherever it would go: what is held of it
is not known (rounds.pxd).

A state of REDUCING lets an order pass when it and everything that is open on its side can only shrink the position: of
an exchange, the position on that listing, whatever is held elsewhere.
A position is judged by its worst case: all that is open on this side filled, in doubt included, and nothing on the
other. A parent's children count in full until they have provably ended.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core cimport wide
from orderflow._core.fixed cimport int128
from orderflow._core.order_states cimport Order
from orderflow._core.risk_state cimport (
    Commitment, Decision, Exposure, Feed, ListingLimits, Risk, Stake, Strategy, refuse, stake_of)
from orderflow._core.types cimport BookState, ChildOrder, Reason, Side, TradingState


cdef nogil:
    inline bint check_state(const Risk *risk, const ChildOrder *child, Decision *decision) noexcept:
        cdef const ListingLimits *limits
        cdef const Exposure *exposure
        cdef const Strategy *strategy
        cdef const Stake *stake
        cdef int128 quantity
        if child.listing >= risk.listing_count:
            return refuse(decision, Reason.UNKNOWN_LISTING, risk.listing_count, child.listing)
        if child.strategy >= risk.strategy_count:
            return refuse(decision, Reason.UNKNOWN_STRATEGY, risk.strategy_count, child.strategy)
        limits = &risk.limits[child.listing]
        strategy = &risk.strategies[child.strategy]
        if risk.state == TradingState.HALTED:
            return refuse(decision, Reason.TRADING_HALTED, TradingState.ACTIVE, risk.state)
        if limits.state == TradingState.HALTED:
            return refuse(decision, Reason.LISTING_HALTED, TradingState.ACTIVE, limits.state)
        if risk.exposures[limits.instrument].differs:
            exposure = &risk.exposures[limits.instrument]
            return refuse(decision, exposure.differs, exposure.expected, exposure.found)
        if strategy.state == TradingState.HALTED:
            return refuse_halted(strategy, decision)
        quantity = wide.product(child.quantity, limits.quantity_factor)
        if risk.state == TradingState.REDUCING or limits.state == TradingState.REDUCING:
            exposure = &risk.exposures[limits.instrument]
            if not check_reduces(exposure.net, exposure.open_buys, exposure.open_sells, child.side, quantity,
                                 Reason.TRADING_REDUCING, decision):
                return False
        if is_reducing(risk, child.listing):
            stake = &risk.books[child.listing].stake
            if not check_reduces(stake.net, stake.open_buys, stake.open_sells, child.side, quantity,
                                 Reason.EXCHANGE_REDUCING, decision):
                return False
        if strategy.state == TradingState.REDUCING:
            stake = stake_of(risk, child.strategy, limits.instrument)
            return check_reduces(stake.net, stake.open_buys, stake.open_sells, child.side, quantity,
                                 Reason.STRATEGY_REDUCING, decision)
        return True

    inline bint refuse_halted(const Strategy *strategy, Decision *decision) noexcept:
        if strategy.reason == Reason.FILLS_TOO_FREQUENT:
            return refuse(decision, strategy.reason, strategy.fills.most, <int64_t>strategy.fills.most + 1)
        if strategy.reason == Reason.REJECTS_TOO_FREQUENT:
            return refuse(decision, strategy.reason, strategy.rejects.most, <int64_t>strategy.rejects.most + 1)
        return refuse(decision, Reason.STRATEGY_HALTED, TradingState.ACTIVE, TradingState.HALTED)

    inline bint check_reduces(int128 net, int128 open_buys, int128 open_sells, uint8_t side, int128 quantity,
                              uint8_t code, Decision *decision) noexcept:
        """Whether a position can only shrink by this order and all that is open on its side."""
        cdef int128 reducible = -net if side == Side.BUY else net
        cdef int128 adding = quantity + (open_buys if side == Side.BUY else open_sells)
        if adding > reducible:
            return refuse(decision, code, reducible if reducible > 0 else 0, adding)
        return True

    inline bint is_reducing(const Risk *risk, uint32_t listing) noexcept:
        """Whether the exchange of a listing may only reduce."""
        return risk.reducing >> risk.books[listing].exchange & 1

    inline int128 reducible(const Risk *risk, uint32_t listing, uint8_t side) noexcept:
        """How much an order may have that can only shrink the position on its listing; instrument scale, at least 0."""
        cdef const Stake *stake = &risk.books[listing].stake
        cdef int128 most
        if side == Side.BUY:
            most = -stake.net - stake.open_buys
        else:
            most = stake.net - stake.open_sells
        return most if most > 0 else 0

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

    inline bint check_feed(const Risk *risk, const ChildOrder *child, int64_t now_ns, Decision *decision) noexcept:
        """The own book is in step, and its exchange has said something lately."""
        cdef const Feed *feed = &risk.books[child.listing].feed
        if feed.book_state != BookState.LIVE:
            return refuse(decision, Reason.BOOK_NOT_LIVE, BookState.LIVE, feed.book_state)
        if feed.maximum_age_ns and now_ns - feed.receive_ns > feed.maximum_age_ns:
            return refuse(decision, Reason.FEED_TOO_OLD, feed.maximum_age_ns, now_ns - feed.receive_ns)
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
