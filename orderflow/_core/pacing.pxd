"""What of a parent that is paced is due: more is released with each slice that begins, and what is filled, out or in
doubt is held against it.

One that follows the clock is set up with the number of slices whose size can be sent and the lot in which it is
released; its schedule's curve (algos/schedule.pxd) ends with the whole. Replacing the quantity moves the whole curve:
what is released follows at once, up or down. One that follows the volume (algos/participation.pxd) is released what is
due by what was traded, and no more than its quantity. One that follows a volume curve (algos/volume_curve.pxd) has
both: slices, and a look at what was traded with each of them. Of either kind there is one whose pace answers to the
price (algos/reaction.pxd).

    time      ├──────┬──────┬──────┬──────┬──────┤    as many looks at the volume as slices were asked for
    slices    ├──────────────┬───────────────────┤    as many as have a size that can be sent
    released  min(what the curve has by the end of this slice, what the cap allows as of the last look)

A schedule that has a cap is held back by it: no more is released than is due of its part of the volume, looked at as
that of one that follows the volume. What is held back stays due by the curve. A parent that must complete is released
as a whole with the last look, whatever the volume says.

Router thread only.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core.algos cimport participation, reaction, schedule, volume_curve
from orderflow._core.algos.schedule cimport Schedule
from orderflow._core.fixed cimport int128
from orderflow._core.parents cimport Parent
from orderflow._core.types cimport Algorithm, OrderFlag, ParentOrder


cdef nogil:
    inline bint is_paced(uint8_t algorithm) noexcept:
        return participation.follows_volume(algorithm) or is_scheduled(algorithm)

    inline bint is_scheduled(uint8_t algorithm) noexcept:
        """Whether a curve releases it, that ends with the whole."""
        return (schedule.follows_clock(algorithm) or algorithm == Algorithm.VWAP
                or algorithm == Algorithm.ADAPTIVE_SHORTFALL)

    inline bint is_capped(const ParentOrder *order) noexcept:
        """Whether what others trade holds back what its curve releases."""
        return order.participation != 0 and is_scheduled(order.algorithm)

    inline bint is_by_volume(const ParentOrder *order) noexcept:
        """Whether what others trade decides, alone or with others."""
        return (participation.follows_volume(order.algorithm) or order.algorithm == Algorithm.VWAP
                or is_capped(order))

    inline bint is_possible(const ParentOrder *order) noexcept:
        """Whether a parent order that is paced says what is needed for that."""
        cdef bint looks = participation.follows_volume(order.algorithm) or is_capped(order)
        if order.slices == 0 or order.end_ns <= order.start_ns or order.randomness > schedule.MOST_RANDOMNESS:
            return False
        if order.participation >= <uint32_t>participation.UNIT:
            return False
        if order.slices < 2 and (is_capped(order) or (looks and order.flags & OrderFlag.MUST_COMPLETE)):
            return False                    # its only look is that at its start, when nothing has been traded
        if reaction.reacts(order.algorithm) and not reaction.is_scale(order.display):
            return False
        if order.algorithm == Algorithm.PRICE_INLINE and 2 * order.participation >= <uint32_t>participation.UNIT:
            return False
        if order.algorithm == Algorithm.LIQUIDITY_SEEKING and not order.curvature > 0.0:
            return False
        if participation.follows_volume(order.algorithm):
            return order.participation > 0
        return order.curvature >= 0.0

    inline bint is_completing(const Parent *parent) noexcept:
        """Whether the volume says nothing any more: it must complete, and the last look has been."""
        return parent.order.flags & OrderFlag.MUST_COMPLETE and parent.participation.looks >= parent.order.slices

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
        if is_completing(parent):
            parent.released = parent.order.quantity
            return
        if participation.follows_volume(parent.order.algorithm):
            return                          # by the volume of the next interval
        parent.released = 0
        if parent.order.algorithm == Algorithm.VWAP or parent.order.algorithm == Algorithm.ADAPTIVE_SHORTFALL:
            parent.released = volume_curve.released(&parent.pace, parent.order.quantity, parent.lot)
        elif parent.begun:
            describe(parent, &plan)
            parent.released = schedule.released(&plan, parent.order.quantity, parent.lot, parent.begun)
        if parent.released > parent.ceiling:
            parent.released = parent.ceiling

    inline int64_t done(const Parent *parent) noexcept:
        """Filled, out and in doubt."""
        return parent.filled + parent.working + parent.in_doubt

    inline void advance(Parent *parent) noexcept:
        """One more slice begins, of a schedule."""
        parent.begun += 1
        refresh(parent)

    inline void adapt(Parent *parent, uint32_t factor) noexcept:
        """One more slice begins, of a schedule whose pace is multiplied by a factor, in 1e-6."""
        parent.pace.share = 1.0 - reaction.remaining(1.0 - parent.pace.share, parent.order.curvature, parent.slices,
                                                     parent.begun, factor)
        advance(parent)

    inline void follow(Parent *parent, int128 traded, uint32_t factor) noexcept:
        """One more interval begins, and so much has been traded that is not ours. What was released and not sent is
        not added: it is due by the volume of the window, or no longer."""
        parent.begun += 1
        parent.released = look(parent, traded, factor)
        refresh(parent)

    inline int64_t look(Parent *parent, int128 traded, uint32_t factor) noexcept:
        """What may be done now by the volume, with its part of that multiplied by a factor, in 1e-6."""
        cdef uint64_t rate = <uint64_t>parent.order.participation * factor // <uint64_t>participation.UNIT
        cdef int64_t most = participation.look(&parent.participation, traded, done(parent), <uint32_t>rate)
        return done(parent) + most if most < INT64_MAX - done(parent) else INT64_MAX

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

    inline int64_t slice_ns(const Parent *parent) noexcept:
        """When the next slice begins, monotonic; INT64_MAX = the last one has."""
        cdef Schedule plan
        if parent.begun >= parent.slices:
            return INT64_MAX
        describe(parent, &plan)
        return schedule.begins_ns(&plan, parent.begun)

    inline int64_t look_ns(const Parent *parent) noexcept:
        """When its cap looks at the volume again, monotonic; INT64_MAX = never."""
        cdef int64_t length = (parent.order.end_ns - parent.order.start_ns) // parent.order.slices
        if not is_capped(&parent.order) or parent.participation.looks >= parent.order.slices:
            return INT64_MAX
        return parent.order.start_ns + length * parent.participation.looks

    inline int64_t next_ns(const Parent *parent) noexcept:
        """When it is to be looked after again, monotonic; INT64_MAX = never."""
        cdef int64_t slice_begins_ns = slice_ns(parent)
        cdef int64_t looks_ns = look_ns(parent)
        return slice_begins_ns if slice_begins_ns < looks_ns else looks_ns

    inline int64_t due(const Parent *parent) noexcept:
        """What may be sent now; not positive = nothing."""
        cdef int64_t released = parent.released
        if released > parent.order.quantity:
            released = parent.order.quantity
        return released - done(parent)
