"""Python face of the signals."""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core cimport signals
from orderflow._core.types cimport Level, Signals

NAMES = ("mid", "microprice", "spread", "imbalance", "trade_flow", "volatility")


def sample_weight(double seconds, double horizon):
    """Weight of a sample that stands for `seconds` in a mean of that horizon: 1 - exp(-seconds / horizon)."""
    return signals.gain(seconds, horizon)


def weighted_mean(double mean, double sample, double weight):
    """One step of an exponentially weighted mean: mean + weight * (sample - mean)."""
    return signals.mix(mean, sample, weight, 1 - weight)


cdef class ListingSignals:
    """Signals of one listing.

    Parameters
    ----------
    price_decimals, quantity_decimals : int
        Scale of the integers handed in; values come out in quote and base currency.
    flow_seconds : float
        Decay time of the trade flow; it is valid once its epoch is that old.
    volatility_seconds : float
        Horizon of the volatility.
    return_warm_up : int
        Returns before the volatility is valid.
    """

    def __cinit__(self, uint8_t price_decimals, uint8_t quantity_decimals, *, double flow_seconds=10.0,
                  double volatility_seconds=60.0, uint32_t return_warm_up=20):
        if price_decimals > 18 or quantity_decimals > 18:
            raise ValueError(f"decimals: {price_decimals} and {quantity_decimals}, at most 18 fit 64 bits")
        if not 0 < flow_seconds < 1e9:
            raise ValueError(f"flow_seconds: {flow_seconds} is not within (0, 1e9)")
        if not 0 < volatility_seconds < 1e9:
            raise ValueError(f"volatility_seconds: {volatility_seconds} is not within (0, 1e9)")
        self.state.price_scale = 10.0 ** price_decimals
        self.state.quantity_scale = 10.0 ** quantity_decimals
        self.state.flow_seconds = flow_seconds
        self.state.volatility_seconds = volatility_seconds
        self.state.flow_warm_up_ns = <int64_t>(flow_seconds * 1e9)
        self.state.return_warm_up = return_warm_up

    def quote(self, bid, ask, int64_t now_ns, uint32_t epoch=0):
        """A book's best levels as (price, quantity), quantity 0 = empty side; returns the valid signals by name."""
        cdef Level best_bid = Level(bid[0], bid[1])
        cdef Level best_ask = Level(ask[0], ask[1])
        signals.quote(&self.state, &best_bid, &best_ask, epoch, now_ns, &self.values)
        return self.valid()

    def trade(self, uint8_t aggressor, int64_t quantity, int64_t now_ns, uint32_t epoch=0):
        """A public trade; returns the valid signals by name."""
        signals.trade(&self.state, aggressor, quantity, epoch, now_ns, &self.values)
        return self.valid()

    def valid(self):
        """The signals that are known, by name."""
        cdef Signals *v = &self.values
        numbers = (v.mid, v.microprice, v.spread, v.imbalance, v.trade_flow, v.volatility)
        return {name: number for i, (name, number) in enumerate(zip(NAMES, numbers, strict=True)) if v.valid >> i & 1}
