"""A slow twin of what a round of reconciliation says of one asset: exact numbers, sets, and nothing incremental."""
from fractions import Fraction

CONFIRMATIONS = 3


class Asset:
    """One asset of an account.

    `fills` are all that were ever taken in, as (exchange time, amount), each once; a round sees which of them it began
    with. Exact, so there is no rounding and no tolerance.
    """

    def __init__(self):
        self.fills, self.begun = [], []
        self.offset = None
        self.allowed = None         # offsets that all rounds since the first that did not agree allow
        self.misses = 0
        self.differs = False
        self.told = Fraction(0)
        self.settled = False

    def begin(self):
        self.begun, self.told, self.settled = list(self.fills), Fraction(0), False

    def take(self, at, amount):
        self.fills.append((at, Fraction(amount)))

    @property
    def expected(self):
        return (self.offset or 0) + sum((amount for _, amount in self.fills), Fraction(0))

    def tallies(self):
        """What the fills had made of it when the round began, and after each fill since, as they happened there."""
        before = sum((amount for _, amount in self.begun), Fraction(0))
        since = sorted((fill for fill in self.fills[len(self.begun):]), key=lambda fill: fill[0])
        return [before + sum((amount for _, amount in since[:count]), Fraction(0)) for count in range(len(since) + 1)]

    def look(self, final):
        """"", "left" or "learning"."""
        if self.settled or self.differs:
            return ""
        offsets = [self.told - tally for tally in self.tallies()]
        if self.offset is not None:
            if self.offset in offsets:
                self.allowed, self.misses, self.settled = None, 0, True
                return ""
            if final:
                common = set(offsets) & (self.allowed or set())
                self.misses = self.misses + 1 if common else 1
                self.allowed = common or set(offsets)
            return "left"
        common = set(offsets) & (self.allowed or set())
        self.allowed = common or set(offsets)
        if len(self.allowed) > 1:
            return "learning"
        self.offset, self.allowed, self.misses, self.settled = self.allowed.pop(), None, 0, True
        return ""

    def end(self):
        """Whether this round concludes a difference."""
        self.differs = self.differs or (self.misses >= CONFIRMATIONS and not self.settled)
        return self.differs

    def accept(self):
        self.offset, self.allowed, self.misses, self.differs = None, None, 0, False
