"""What of a parent that follows a schedule is due: the schedule's curve (algos/schedule.pxd) against what is done.

A parent is set up once with the number of slices whose size can be sent and the lot in which it is released. Then each
slice that begins releases more, up to the whole with the last one; what is filled, out or in doubt is held against it.
Replacing the quantity moves the whole curve: what is released follows at once, up or down.

Router thread only.
"""
from libc.stdint cimport int64_t, uint32_t

from orderflow._core.algos cimport schedule
from orderflow._core.algos.schedule cimport Schedule
from orderflow._core.parents cimport Parent
from orderflow._core.types cimport ParentOrder


cdef nogil:
    inline bint is_possible(const ParentOrder *order) noexcept:
        """Whether a parent order has a schedule that can be followed."""
        return (order.slices > 0 and order.end_ns > order.start_ns and order.curvature >= 0.0
                and order.randomness <= schedule.MOST_RANDOMNESS)

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
        parent.released = 0
        if parent.begun:
            parent.released = schedule.released(&plan, parent.order.quantity, parent.lot, parent.begun)

    inline void advance(Parent *parent) noexcept:
        """One more slice begins."""
        parent.begun += 1
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
        return released - parent.filled - parent.working - parent.in_doubt
