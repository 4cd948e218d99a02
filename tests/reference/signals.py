"""Signals from the whole history at once: sums over everything that happened, no state."""
import math
from fractions import Fraction


def quote_signals(bid, ask, price_decimals):
    """mid, microprice, spread, imbalance of ((price, quantity), (price, quantity)), exact until the last step."""
    scale = 10**price_decimals
    (b, qb), (a, qa) = bid, ask
    share = Fraction(qb, qb + qa)
    return {
        "mid": float(Fraction(b + a, 2 * scale)),
        "microprice": float((share * a + (1 - share) * b) / scale),
        "spread": float(Fraction(a - b, scale)),
        "imbalance": float(Fraction(qb - qa, qb + qa)),
    }


def trade_flow(trades, now_ns, flow_seconds):
    """Sum of signed quantities, decayed by age; trades are (time_ns, signed quantity)."""
    return math.fsum(quantity * math.exp((time_ns - now_ns) * 1e-9 / flow_seconds) for time_ns, quantity in trades)


def volatility(mids, horizon):
    """Weighted mean of r**2 / dt, where the weight of a return ends up as w_i * product of (1 - w_j) of later ones.

    mids are (time_ns, mid); times rise strictly.
    """
    terms, weights = [], []
    later = 1.0
    for (t0, m0), (t1, m1) in reversed(list(zip(mids, mids[1:], strict=False))):
        seconds = (t1 - t0) * 1e-9
        weight = -math.expm1(-seconds / horizon)
        terms.append(weight * later * (m1 / m0 - 1) ** 2 / seconds)
        weights.append(weight * later)
        later *= math.exp(-seconds / horizon)
    return math.sqrt(math.fsum(terms) / math.fsum(weights))
