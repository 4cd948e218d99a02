"""How far an exchange's clock is from ours, from readings of it: an interval that holds the truth."""
from __future__ import annotations

from orderflow.exchanges.actions import ClockRead

#: Two clocks run apart by at most one nanosecond in so many: 500 millionths, as fast as a kernel slews.
DRIFT = 2_000


class ClockOffset:
    """The exchange's unix clock less our monotonic one.

    A reading was taken between our asking and our hearing of it, so it bounds the offset from both sides, as far apart
    as the round trip was long: half of that is the uncertainty of the middle. What is known is what all readings allow,
    each made wider by what the clocks may have drifted since; so the shortest round trips count, and old ones less and
    less. A reading that contradicts the others says that a clock was set: then it alone counts.

    While no clock is set the interval always holds the truth. After a step it does from the first reading that
    contradicts. A step that none contradicts is smaller than what they leave open; it is hidden until drift could have
    made up for it, and the middle is wrong by less than a reading's round trip.

    Attributes
    ----------
    known : bool
        Whether there was a reading.
    steps : int
        Readings that contradicted what was known.
    """

    def __init__(self) -> None:
        self.known = False
        self.steps = 0
        self._low_ns = self._high_ns = self._at_ns = 0

    def bounds(self, now_ns: int) -> tuple[int, int]:
        """The least and the most that it can be now."""
        drifted = max(0, now_ns - self._at_ns) // DRIFT + 1
        return self._low_ns - drifted, self._high_ns + drifted

    @property
    def middle_ns(self) -> int:
        """The best guess."""
        return (self._low_ns + self._high_ns) // 2

    def read(self, asked_ns: int, heard_ns: int, reading: ClockRead, alone: bool = False) -> bool:
        """Take in a reading that was asked for and heard of at these times of ours; `alone`: forget the others.

        Returns whether it contradicts what was known. One that contradicts itself (their clock was set back while they
        answered) is left out.
        """
        low = reading.answered_ns - heard_ns
        high = reading.received_ns + reading.resolution_ns - asked_ns + (heard_ns - asked_ns) // DRIFT + 1
        if low > high:
            return False
        stepped = False
        if self.known:
            known_low, known_high = self.bounds(heard_ns)
            stepped = low > known_high or high < known_low
            if not stepped and not alone:
                low, high = max(low, known_low), min(high, known_high)
        self.known, self.steps = True, self.steps + stepped
        self._low_ns, self._high_ns, self._at_ns = low, high, heard_ns
        return stepped
