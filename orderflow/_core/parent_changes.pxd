"""Parents that end, and parents that are to have another quantity or price.

Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memset

from orderflow._core cimport (
    active_parents, order_states, order_table, orders, pacing, parents, passive, residuals, risk)
from orderflow._core.child_orders cimport cancel_child, drop_timer
from orderflow._core.order_table cimport NONE
from orderflow._core.paced_parents cimport release_tail
from orderflow._core.parent_reports cimport tell, tell_parent
from orderflow._core.parents cimport Parent
from orderflow._core.posted_orders cimport members, out_at
from orderflow._core.router_state cimport RouterState
from orderflow._core.types cimport ParentOrder, ParentReport, ParentStatus, Reason


cdef nogil:
    inline void withdraw(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        """Cancel what a parent has in books. What is unclear about it is settled by reports."""
        cdef const Parent *parent = &self.table.parents[slot]
        cdef uint32_t at, k
        if parent.resting == 0:
            return
        if passive.joins(&parent.order):
            for k in range(members(self, slot)):
                at = out_at(self, slot, k)
                if at != <uint32_t>NONE:
                    cancel_child(self, at, now_ns)
            return
        at = order_table.find(self.table, parent.resting, parent.resting_slot)
        if at != <uint32_t>NONE and not order_states.is_terminal(self.table.orders[at].status):
            cancel_child(self, at, now_ns)

    inline void end_parent(RouterState *self, uint32_t slot, uint8_t reason, int64_t now_ns) noexcept:
        """No more children; IOC orders under way end by themselves, one that rests is cancelled, and what is in doubt
        stays reserved."""
        drop_timer(self, &self.parent_timers[slot])
        drop_timer(self, &self.slice_timers[slot])
        if reason == Reason.BELOW_MINIMUM_REMAINS and not self.table.parents[slot].closing:
            residuals.keep(self.residuals, self.journal, &self.table.parents[slot], now_ns)
        orders.close_parent(self.table, slot, reason, now_ns)
        self.table.parents[slot].withdrawing = 1
        withdraw(self, slot, now_ns)
        tell_parent(self, slot, NULL, now_ns)
        drop_if_done(self, slot)

    inline void drop_if_done(RouterState *self, uint32_t slot) noexcept:
        if self.table.parents[slot].status != ParentStatus.PARENT_DONE:
            return
        self.table.parents[slot].closing = 1    # whatever is heard of its orders after this
        drop_timer(self, &self.parent_timers[slot])
        drop_timer(self, &self.slice_timers[slot])
        active_parents.leave(&self.active, self.table.parents[slot].order.instrument, slot)

    inline void want(RouterState *self, uint32_t slot, const ParentOrder *order, int64_t now_ns) noexcept:
        """A parent is to have another quantity or limit price. What is not named is as it was last wanted."""
        cdef Parent *parent = &self.table.parents[slot]
        if parent.wanted_quantity == 0:
            parent.wanted_quantity = parent.order.quantity
            parent.wanted_price = parent.order.limit_price
        if order.quantity > 0:
            parent.wanted_quantity = order.quantity
        if order.limit_price > 0:
            parent.wanted_price = order.limit_price
        if parent.crossing or not (passive.is_resting(parent.order.algorithm) or (
                passive.joins(&parent.order) and parent.resting)):
            take_wanted(self, slot, now_ns)

    inline void make_parent(RouterState *self, uint32_t slot, int64_t quantity, int64_t price,
                            int64_t now_ns) noexcept:
        """A parent has another quantity, though never less than what is filled or out, and another limit price."""
        cdef const Parent *parent = &self.table.parents[slot]
        cdef int64_t least = parent.filled + parent.working + parent.in_doubt
        orders.change_parent(self.table, slot, quantity if quantity > least else least, price, now_ns)
        risk.change_parent(self.risk, slot, parent.order.quantity)

    inline void take_wanted(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        """What was wanted is so now."""
        cdef Parent *parent = &self.table.parents[slot]
        make_parent(self, slot, parent.wanted_quantity, parent.wanted_price, now_ns)
        parent.wanted_quantity = parent.before_quantity = parent.asked_quantity = 0
        if pacing.is_paced(parent.order.algorithm):
            pacing.refresh(parent)
            release_tail(self, parent)
        tell_parent(self, slot, NULL, now_ns)
        drop_if_done(self, slot)

    inline void give_up_wanted(RouterState *self, uint32_t slot, uint8_t reason, int64_t now_ns) noexcept:
        """It was refused: the parent is what it was, and whoever asked is told why."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef ParentReport report
        if parent.wanted_quantity == 0:
            return
        if parent.before_quantity:
            orders.change_parent(self.table, slot, parent.before_quantity, parent.order.limit_price, now_ns)
            risk.change_parent(self.risk, slot, parent.before_quantity)
        parent.wanted_quantity = parent.before_quantity = parent.asked_quantity = 0
        memset(&report, 0, sizeof(ParentReport))
        parents.describe(parent, now_ns, &report)
        report.reason = reason
        tell(self, &report)
