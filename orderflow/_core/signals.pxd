"""Signals of one listing: O(1) for each quote and each trade, no allocation, no history.

Floats are at home here. Prices are in the quote currency and quantities in the base currency (not scaled integers), so
signals of listings with different scales compare. Every value has its bit in Signals.valid: not set means unknown,
never zero. A new epoch forgets everything: nothing is differenced across a reconnect.

With b, a the best prices and qb, qa their quantities (Gatheral and Oomen 2010; Gould and Bonart 2016):
    mid = (b + a) / 2, spread = a - b, imbalance = (qb - qa) / (qb + qa), microprice = mid + spread / 2 * imbalance.
Trade flow is the sum of signed traded quantities, each decayed by exp(-age / flow_seconds).
Volatility is an exponentially weighted mean of r**2 / dt over mid returns r (RiskMetrics 1996, for irregular times):
with w = 1 - exp(-dt / volatility_seconds), v += w * (r**2 / dt - v), divided by the weight gathered so far, which takes
the start at zero out again; per square root of a second.
"""
from libc.math cimport exp, expm1, sqrt
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core.types cimport Level, Side, Signals


cpdef enum SignalBit:           # of Signals.valid, in the order of its fields
    MID_VALID = 1
    MICROPRICE_VALID = 2
    SPREAD_VALID = 4
    IMBALANCE_VALID = 8
    TRADE_FLOW_VALID = 16
    VOLATILITY_VALID = 32

cdef enum:
    QUOTE_VALID = 15            # the first four, which come and go together


cdef struct SignalState:
    double price_scale          # 10**price_decimals: value = integer / scale
    double quantity_scale
    double flow_seconds         # decay time of the trade flow
    double volatility_seconds
    int64_t flow_warm_up_ns     # trade flow is valid once its epoch is this old
    uint32_t return_warm_up     # volatility is valid after this many returns
    uint32_t epoch              # everything below belongs to it
    double mid                  # of the last quote, 0 = it had none
    double variance             # per second, of weight `weight`
    double weight               # 1 - what is left of the zero it started from
    double flow
    int64_t mid_ns              # monotonic, as all times here
    int64_t flow_ns
    int64_t epoch_ns            # first event of the epoch
    uint32_t returns
    uint8_t started


cdef nogil:
    inline double seconds_between(int64_t earlier_ns, int64_t later_ns) noexcept:
        """Never negative: lines of one exchange may be stamped a little out of order."""
        return <double>(later_ns - earlier_ns) * 1e-9 if later_ns > earlier_ns else 0.0

    inline double gain(double seconds, double horizon) noexcept:
        """Weight of a sample that stands for `seconds`: 1 - exp(-seconds / horizon)."""
        return -expm1(-seconds / horizon)

    inline double mix(double mean, double sample, double weight, double kept) noexcept:
        """One step of a weighted mean; `kept` = 1 - weight, computed apart: it may be far below the rounding of 1."""
        return kept * mean + weight * sample

    inline void enter_epoch(SignalState *state, uint32_t epoch, int64_t now_ns, Signals *out) noexcept:
        """Forget everything if this is another epoch than that of the last event."""
        if state.started and state.epoch == epoch:
            return
        state.started = 1
        state.epoch = epoch
        state.epoch_ns = state.flow_ns = state.mid_ns = now_ns
        state.mid = state.variance = state.weight = state.flow = 0
        state.returns = 0
        out.valid = 0

    inline void decay_flow(SignalState *state, int64_t now_ns, Signals *out) noexcept:
        if now_ns > state.flow_ns:
            if state.flow != 0:
                state.flow *= exp(-seconds_between(state.flow_ns, now_ns) / state.flow_seconds)
            state.flow_ns = now_ns
        out.trade_flow = state.flow
        if now_ns - state.epoch_ns >= state.flow_warm_up_ns:
            out.valid |= SignalBit.TRADE_FLOW_VALID

    inline void add_return(SignalState *state, double mid, int64_t now_ns) noexcept:
        """Fold the step from the last mid into the variance. At dt = 0 the sample is the limit of the same sum."""
        cdef double seconds = seconds_between(state.mid_ns, now_ns)
        cdef double change = mid / state.mid - 1
        cdef double weight, kept
        if seconds > 0:
            weight = gain(seconds, state.volatility_seconds)
            kept = exp(-seconds / state.volatility_seconds)
            state.variance = mix(state.variance, change * change / seconds, weight, kept)
            state.weight = mix(state.weight, 1, weight, kept)
        else:
            state.variance += change * change / state.volatility_seconds
        state.returns += 1

    inline void quote(SignalState *state, const Level *bid, const Level *ask, uint32_t epoch, int64_t now_ns,
                      Signals *out) noexcept:
        """A LIVE book's best levels, after a frame; quantity 0 = that side is empty."""
        cdef double bid_quantity = <double>bid.quantity
        cdef double ask_quantity = <double>ask.quantity
        enter_epoch(state, epoch, now_ns, out)
        decay_flow(state, now_ns, out)
        if bid.quantity <= 0 or ask.quantity <= 0 or bid.price > ask.price or bid.price <= 0:
            out.valid &= ~<int64_t>QUOTE_VALID
            state.mid = 0           # the next mid has no neighbour to make a return with
        else:
            out.mid = <double>(bid.price + ask.price) / (2 * state.price_scale)
            out.spread = <double>(ask.price - bid.price) / state.price_scale
            out.imbalance = (bid_quantity - ask_quantity) / (bid_quantity + ask_quantity)
            out.microprice = out.mid + 0.5 * out.spread * out.imbalance
            out.valid |= QUOTE_VALID
            if state.mid > 0:
                add_return(state, out.mid, now_ns)
            state.mid = out.mid
            if now_ns > state.mid_ns:
                state.mid_ns = now_ns
        if state.weight > 0 and state.returns >= state.return_warm_up:
            out.volatility = sqrt(state.variance / state.weight)
            out.valid |= SignalBit.VOLATILITY_VALID

    inline void trade(SignalState *state, uint8_t aggressor, int64_t quantity, uint32_t epoch, int64_t now_ns,
                      Signals *out) noexcept:
        """A public trade. One without an aggressor's side moves time on and nothing else."""
        enter_epoch(state, epoch, now_ns, out)
        decay_flow(state, now_ns, out)
        if aggressor == Side.BUY:
            state.flow += <double>quantity / state.quantity_scale
        elif aggressor == Side.SELL:
            state.flow -= <double>quantity / state.quantity_scale
        out.trade_flow = state.flow


cdef class ListingSignals:
    """Owns the state and the latest values of one listing."""
    cdef SignalState state
    cdef Signals values
