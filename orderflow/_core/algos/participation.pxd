"""How much of a parent is due so that it has a fixed part of what is traded (percentage of volume, POV).

With a rate r of all volume, ours included, r / (1 - r) of what others trade is ours. Volume is looked at once an
interval, and only the last WINDOW intervals count:

    due = r / (1 - r) * (others now - others then) - (done now - done soon after then)

where soon after means at the next look: what answered the volume before the window is not held against the window. So
what was missed in thin hours is not chased later, when it would be more than its part of what trades then; and a
burst is followed while it lasts and shortly after it. What is due but too little to be sent is kept: then the window
does not move on.

Of others is what was traded less what is ours, filled or still out: a print may come before the report of its fill,
and then it is not taken for somebody else's. Until a print has come that difference is too small; so its maximum over
time is what counts, and what has counted once does not count again. So it does not feed on itself.

The same is the cap of a schedule: what is due by volume is then the most that may be sent.

Quantities in instrument scale, volume in 128 bits. O(1) an interval. Router thread only.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t
from libc.string cimport memset

from orderflow._core.fixed cimport int128
from orderflow._core.types cimport Algorithm

cdef enum:
    WINDOW = 8                  # intervals
    UNIT = 1_000_000            # of rates


cdef struct Mark:
    int128 others               # when an interval began
    int64_t done                # when the next one did, so with what was sent for this one


cdef struct Participation:
    int128 base                 # traded, less ours and what of it was out, when it began
    int128 others               # traded since by others, at most by now
    Mark marks[WINDOW]          # by interval, modulo WINDOW
    Mark start                  # of the window
    uint32_t looks
    uint8_t is_kept             # what was due last was too little to be sent


cdef nogil:
    inline bint follows_volume(uint8_t algorithm) noexcept:
        """Whether what others trade releases it, and nothing else."""
        return (algorithm == Algorithm.POV or algorithm == Algorithm.PRICE_INLINE
                or algorithm == Algorithm.MINIMAL_IMPACT or algorithm == Algorithm.LIQUIDITY_SEEKING)

    inline void begin(Participation *self, int128 traded, int64_t done) noexcept:
        """`traded` by everybody, less what is ours and what of this parent is out; `done`: filled, out and in doubt."""
        memset(self, 0, sizeof(Participation))
        self.base = traded
        self.start.done = self.marks[0].done = done
        self.looks = 1

    inline void count(Participation *self, int128 traded) noexcept:
        """What others have traded by now."""
        cdef int128 others = traded - self.base
        if others > self.others:
            self.others = others

    inline int64_t look(Participation *self, int128 traded, int64_t done, uint32_t rate) noexcept:
        """An interval has passed: what is due now, not negative. `rate` in 1e-6, below UNIT."""
        cdef uint32_t at = self.looks % WINDOW
        cdef int128 due
        count(self, traded)
        self.marks[(self.looks - 1) % WINDOW].done = done
        if not self.is_kept:
            self.start = self.marks[at] if self.looks >= WINDOW else self.marks[0]
        self.marks[at].others = self.others
        self.looks += 1
        due = (self.others - self.start.others) * rate
        due = due / (<int64_t>UNIT - <int64_t>rate)
        due = due - (done - self.start.done)
        if due <= 0:
            return 0
        return <int64_t>due if due < INT64_MAX else INT64_MAX

    inline void keep(Participation *self, bint too_little) noexcept:
        """Whether what is due can not be sent yet."""
        self.is_kept = too_little
