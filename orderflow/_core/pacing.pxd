"""What of a parent that is paced is due: more is released with each slice that begins, and what is filled, out or in
doubt is held against it.

One that follows the clock is set up with the number of slices whose size can be sent and the lot in which it is
released; its schedule's curve (algos/schedule.pxd) ends with the whole. Replacing the quantity moves the whole curve:
what is released follows at once, up or down. One that follows the volume (algos/participation.pxd) is released what is
due by what was traded, and no more than its quantity. One that follows a volume curve (algos/volume_curve.pxd) has
both: slices, and a look at what was traded with each of them.

Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core.algos cimport participation, schedule, volume_curve
from orderflow._core.algos.schedule cimport Schedule
from orderflow._core.fixed cimport int128
from orderflow._core.parents cimport Parent
from orderflow._core.types cimport Algorithm, ParentOrder


cdef nogil:
    inline bint is_paced(uint8_t algorithm) noexcept:
        return is_by_volume(algorithm) or schedule.follows_clock(algorithm)

    inline bint is_by_volume(uint8_t algorithm) noexcept:
        """Whether what others trade decides."""
        return algorithm == Algorithm.POV or algorithm == Algorithm.VWAP

    inline bint is_possible(const ParentOrder *order) noexcept:
        """Whether a parent order that is paced says what is needed for that."""
        if order.slices == 0 or order.end_ns <= order.start_ns or order.randomness > schedule.MOST_RANDOMNESS:
            return False
        if order.algorithm == Algorithm.POV:
            return 0 < order.participation < <uint32_t>participation.UNIT
        return order.curvature >= 0.0

    inline void describe(const Parent *parent, Schedule *out) noexcept:
        out.begin_ns, out.end_ns = parent.order.start_ns, parent.order.end_ns
        out.curvature = parent.order.curvature
        out.seed = parent.order.parent_id
        out.slices = parent.slices
        out.algorithm = parent.order.algorithm
        out.randomness = parent.order.randomness

    inline void refresh(Parent *parent) noexcept:
        """What is released by the slices that have begun, of the quantity that it has now."""
        cdef Schedule plan
        describe(parent, &plan)
        if parent.order.algorithm == Algorithm.VWAP:
            parent.released = volume_curve.released(&parent.pace, parent.order.quantity, parent.lot)
            return
        if parent.order.algorithm == Algorithm.POV:
            return                          # by the volume of the next interval
        parent.released = 0
        if parent.begun:
            parent.released = schedule.released(&plan, parent.order.quantity, parent.lot, parent.begun)

    inline int64_t done(const Parent *parent) noexcept:
        """Filled, out and in doubt."""
        return parent.filled + parent.working + parent.in_doubt

    inline void advance(Parent *parent) noexcept:
        """One more slice begins, of a schedule."""
        parent.begun += 1
        refresh(parent)

    inline void follow(Parent *parent, int128 traded) noexcept:
        """One more interval begins, and so much has been traded that is not ours. What was released and not sent is
        not added: it is due by the volume of the window, or no longer."""
        parent.begun += 1
        parent.released = done(parent) + participation.look(&parent.participation, traded, done(parent),
                                                            parent.order.participation)

    inline void anticipate(Parent *parent, const double *sums, int128 traded) noexcept:
        """One more slice begins, of a volume curve. What it is to have by its end is judged as of its planned
        beginning, whatever its dice made of that."""
        cdef int64_t unix_offset_ns = parent.order.start_unix_ns - parent.order.start_ns
        cdef int64_t length = (parent.order.end_ns - parent.order.start_ns) // parent.slices
        cdef int64_t now_ns = parent.order.start_ns + length * parent.begun
        cdef int64_t until_ns = now_ns + length
        parent.begun += 1
        if parent.begun == parent.slices:
            until_ns = parent.order.end_ns
        participation.count(&parent.participation, traded)
        volume_curve.look(&parent.pace, sums, <double>parent.participation.others, parent.order.start_unix_ns,
                          now_ns + unix_offset_ns, until_ns + unix_offset_ns, parent.order.end_ns + unix_offset_ns)
        refresh(parent)

    inline int64_t next_ns(const Parent *parent) noexcept:
        """When the next slice begins, monotonic; 0 = the last one has."""
        cdef Schedule plan
        if parent.begun >= parent.slices:
            return 0
        describe(parent, &plan)
        return schedule.begins_ns(&plan, parent.begun)

    inline int64_t due(const Parent *parent) noexcept:
        """What may be sent now; not positive = nothing."""
        cdef int64_t released = parent.released
        if released > parent.order.quantity:
            released = parent.order.quantity
        return released - done(parent)
