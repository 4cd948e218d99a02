"""Shows one parent's participation to Python."""
from libc.stdint cimport uint32_t


cdef class ParticipationRate:
    """ParticipationRate(rate): what is due of a parent that takes this part of all volume, in 1e-6.

    `traded` is what everybody has traded less what is ours, filled or out; `done` what is filled, out and in doubt.
    """
    cdef Participation state
    cdef uint32_t rate

    def __init__(self, uint32_t rate):
        if not 0 < rate < UNIT:
            raise ValueError(f"rate {rate}: expected 1 to {UNIT - 1} in 1e-6")
        self.rate = rate
        begin(&self.state, 0, 0)

    def look(self, int64_t traded, int64_t done):
        """An interval has passed: what is due now."""
        return look(&self.state, traded, done, self.rate)

    def keep(self, bint too_little):
        """Whether what was due last is too little to be sent, so that it stays due."""
        keep(&self.state, too_little)
