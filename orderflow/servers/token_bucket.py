"""A limit of an exchange, kept: so many at once, and then evenly."""
from __future__ import annotations

from orderflow.exchanges.facts import Limit


class TokenBucket:
    """Never more than the limit allows in any period, however that period is cut out of time.

    Half of the limit may go at once, the other half comes back evenly over the period: a window that catches a burst
    and all that comes back within it has seen the whole limit and no more. Kept as one number, the time at which the
    bucket will be full again (the generic cell rate algorithm, ITU-T I.371).

    Parameters
    ----------
    limit : Limit, optional
        None = everything passes.
    """

    def __init__(self, limit: Limit | None):
        self.limit = limit
        burst = max(1, limit.count // 2) if limit else 1
        self._interval_ns = -(-limit.period_ns // max(1, limit.count - burst)) if limit else 0
        self._burst_ns = (burst - 1) * self._interval_ns
        self._full_ns: int | None = None

    def ready_ns(self, now_ns: int, weight: int = 1) -> int:
        """When the next one may go; not later than `now_ns` = at once. What weighs more than a burst waits for a full
        bucket."""
        if self._full_ns is None:
            return now_ns
        return self._full_ns - max(0, self._burst_ns - (weight - 1) * self._interval_ns)

    def take(self, now_ns: int, weight: int = 1) -> bool:
        """Count one that goes now; False when it has to wait until `ready_ns`."""
        if self.limit is None:
            return True
        if self.ready_ns(now_ns, weight) > now_ns:
            return False
        self._full_ns = max(now_ns, self._full_ns or now_ns) + weight * self._interval_ns
        return True
