"""How often: messages, parent orders that repeat themselves, and strategies that go round in circles.

**Messages.** One token bucket for everything and one a strategy, beside the buckets of each exchange (gate.pxd). A new
order leaves a fifth of each for cancels. A cancel is never refused here: it takes its token even where there is none,
and new orders wait until that is earned.

**Repeats.** What a duplicate is depends on who sends. Children come from the router, and a parent that re-routes its
remainder rightly sends the same child again as soon as the last one has ended. So the test for "the same decision
twice" is made where decisions come in: a parent order equal in instrument, side, quantity, limit price and listings to
one that the same strategy had accepted within `repeat_ns` is refused, whether that one still works or has ended
already. A double click and a strategy that submits again because it heard nothing look exactly like this. A child is
a duplicate only of one that has not ended (risk_own_orders.pxd): the router never has two equal ones out.

**Circles.** A strategy is halted until somebody arms it again when more than N of its orders were filled, or more than
M were rejected by an exchange, within a window (Commission Delegated Regulation (EU) 2017/589, article 15, repeated
automated execution throttles). An order counts once, at its first fill, however many trades it is filled by: one
order that sweeps sixty levels is one decision. POST_ONLY_WOULD_TAKE is no reject: that is what post-only is for.
The times of the last N events stand in a ring; the one that is overwritten says whether the window is full.
"""
from libc.stdint cimport INT64_MIN, int64_t, uint8_t, uint32_t

from orderflow._core cimport token_bucket
from orderflow._core.risk_state cimport RECENT, Decision, RecentParent, Risk, Strategy, Throttle, refuse
from orderflow._core.token_bucket cimport TokenBucket
from orderflow._core.types cimport ChildOrder, ParentOrder, Reason, TradingState

cdef enum:
    RESERVE = 5                 # one token of so many is kept for cancels


cdef nogil:
    # --- messages ------------------------------------------------------------------------------------------------

    inline bint check_bucket(TokenBucket *bucket, uint8_t code, int64_t now_ns, Decision *decision) noexcept:
        if token_bucket.has_token(bucket, now_ns, bucket.rate // RESERVE):
            return True
        return refuse(decision, code, bucket.rate - bucket.rate // RESERVE, token_bucket.spent(bucket) + 1)

    inline bint check_rates(Risk *risk, const ChildOrder *child, int64_t now_ns, Decision *decision) noexcept:
        """Whether both buckets have a token for a new order; none is taken."""
        return (check_bucket(&risk.messages, Reason.MESSAGE_RATE_EXCEEDED, now_ns, decision)
                and check_bucket(&risk.strategies[child.strategy].messages, Reason.STRATEGY_RATE_EXCEEDED, now_ns,
                                 decision))

    inline void count_message(Risk *risk, uint32_t strategy, int64_t now_ns) noexcept:
        """A new order or a cancel goes out."""
        token_bucket.spend_token(&risk.messages, now_ns)
        if strategy < risk.strategy_count:
            token_bucket.spend_token(&risk.strategies[strategy].messages, now_ns)

    # --- repeats -------------------------------------------------------------------------------------------------

    inline bint same(const RecentParent *recent, const ParentOrder *order) noexcept:
        return (recent.side == order.side and recent.instrument == order.instrument
                and recent.quantity == order.quantity and recent.limit_price == order.limit_price
                and recent.listings == order.listings)

    inline bint check_repeat(Risk *risk, const ParentOrder *order, int64_t now_ns, Decision *decision) noexcept:
        """Whether a parent order is none of those that its strategy had accepted a moment ago."""
        cdef const Strategy *strategy
        cdef const RecentParent *recent
        cdef uint32_t i
        if order.strategy >= risk.strategy_count:
            return refuse(decision, Reason.UNKNOWN_STRATEGY, risk.strategy_count, order.strategy)
        strategy = &risk.strategies[order.strategy]
        for i in range(1, RECENT + 1):
            recent = &strategy.recent[(strategy.next_recent - i) % RECENT]
            if recent.side == 0 or now_ns - recent.taken_ns >= strategy.repeat_ns:
                break
            if same(recent, order):
                return refuse(decision, Reason.REPEATED_ORDER, strategy.repeat_ns, now_ns - recent.taken_ns)
        return True

    inline void remember_parent(Risk *risk, const ParentOrder *order, int64_t now_ns) noexcept:
        """A parent order was accepted."""
        cdef Strategy *strategy
        cdef RecentParent *recent
        if order.strategy >= risk.strategy_count:
            return
        strategy = &risk.strategies[order.strategy]
        recent = &strategy.recent[strategy.next_recent % RECENT]
        strategy.next_recent += 1
        recent.taken_ns = now_ns
        recent.quantity = order.quantity
        recent.limit_price = order.limit_price
        recent.listings = order.listings
        recent.instrument = order.instrument
        recent.side = order.side

    # --- circles -------------------------------------------------------------------------------------------------

    inline bint is_too_often(Throttle *throttle, int64_t now_ns) noexcept:
        """Note an event; whether it is one too many within the window."""
        cdef bint full
        if throttle.most == 0:
            return False
        full = now_ns - throttle.times_ns[throttle.next] < throttle.window_ns
        throttle.times_ns[throttle.next] = now_ns
        throttle.next = (throttle.next + 1) % throttle.most
        return full

    inline void throttle_strategy(Risk *risk, uint32_t strategy, Throttle *throttle, uint8_t reason,
                                  int64_t now_ns) noexcept:
        """Note an event of a strategy, and halt it where that is one too many."""
        if is_too_often(throttle, now_ns) and risk.strategies[strategy].state != TradingState.HALTED:
            risk.strategies[strategy].state = TradingState.HALTED
            risk.strategies[strategy].reason = reason

    inline void forget(Throttle *throttle) noexcept:
        """Nothing of what was counted counts any more."""
        cdef uint32_t i
        for i in range(throttle.most):
            throttle.times_ns[i] = INT64_MIN // 2     # longer ago than any window
