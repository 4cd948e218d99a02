"""Parents that rest: the one order of each, placed, amended, cancelled and chased as passive.pxd decides.

What must complete has its order cancelled shortly before its end, and crosses with the rest like any other
(routing.pxd): within its limit price if that was the cap of a peg; if it was where the order rested, within the collar.

Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core cimport (
    decisions, iceberg, journal, order_states, order_table, orders, parents, passive, pegging, risk, timers,
    token_bucket)
from orderflow._core.child_orders cimport (
    DOUBLINGS, FIRST_ASK_NS, ask, cancel_child, drop_timer, own_report, push_child, refused, send_cancel, send_child)
from orderflow._core.converted_listings cimport rate_for
from orderflow._core.minimums cimport too_little
from orderflow._core.order_states cimport Order
from orderflow._core.order_table cimport NONE, Outcome
from orderflow._core.parent_changes cimport end_parent, give_up_wanted, make_parent, take_wanted, withdraw
from orderflow._core.parents cimport Parent
from orderflow._core.passive cimport Plan, Step
from orderflow._core.risk_state cimport Decision
from orderflow._core.router_state cimport CHILD_TIMER, RouterState
from orderflow._core.router_view cimport why_left_out
from orderflow._core.types cimport (
    Algorithm, ChildKind, ChildOrder, ExecType, Listing, OrderStatus, ParentOrder, Reason, TimeInForce, TradingState)


cdef nogil:
    inline uint32_t only_listing(const RouterState *self, const ParentOrder *order) noexcept:
        """The one listing that a parent may use; NONE if it is not one."""
        cdef uint32_t begin = self.first[order.instrument]
        cdef uint32_t found = <uint32_t>NONE
        cdef uint32_t k
        for k in range(self.first[order.instrument + 1] - begin):
            if order.listings == 0 or (order.listings >> k) & 1:
                if found != <uint32_t>NONE:
                    return <uint32_t>NONE
                found = self.members[begin + k]
        return found

    inline int64_t most_shown(const RouterState *self, const Parent *parent) noexcept:
        """How much of it its next order may have that shows all of itself; of what remains nothing may be left that no
        exchange takes."""
        cdef int64_t remaining = parents.remaining(parent)
        cdef int64_t half = (remaining + 1) // 2
        if parent.order.display == 0 or remaining <= parent.order.display:
            return remaining
        if (too_little(self, &parent.order, remaining - parent.order.display)
                and not too_little(self, &parent.order, remaining - half)):
            return half
        return parent.order.display

    inline void begin_crossing(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        """From now on a parent does not rest."""
        cdef Parent *parent = &self.table.parents[slot]
        parent.crossing = parent.withdrawing = 1
        if parent.order.algorithm == Algorithm.RESTING:
            parent.wanted_price = 0
            orders.change_parent(self.table, slot, parent.order.quantity, 0, now_ns)
        take_what_is_wanted(self, slot, now_ns)

    inline bint take_what_is_wanted(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        """Of a parent that crosses. False: more than that is out still, and what is left is not known yet."""
        cdef const Parent *parent = &self.table.parents[slot]
        if parent.wanted_quantity and parent.wanted_quantity < parent.filled + parent.working + parent.in_doubt:
            return False
        if parent.wanted_quantity:
            take_wanted(self, slot, now_ns)
        return True

    inline bint crosses(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        """Whether a parent that rested does so no more; what it has in a book is cancelled then."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef int64_t completes = passive.completes_ns(&parent.order)
        if completes and now_ns >= completes and not parent.closing and not parent.crossing:
            if parent.paused:
                return False                # when it resumes
            begin_crossing(self, slot, now_ns)
        if parent.crossing:
            withdraw(self, slot, now_ns)
        else:
            pegging.look_at(self, slot, 0, now_ns)
        return parent.crossing

    inline void rest(RouterState *self, uint32_t slot, int64_t now_ns, int64_t cause_ns) noexcept:
        """One step from what is out for a resting parent towards what is wanted of it."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef bint follows = passive.follows(parent.order.algorithm)
        cdef uint32_t index = <uint32_t>NONE
        cdef uint32_t at = <uint32_t>NONE
        cdef const Order *order = NULL
        cdef int64_t price = 0
        cdef Plan plan
        if crosses(self, slot, now_ns):
            return
        if parent.resting:
            at = order_table.find(self.table, parent.resting, parent.resting_slot)
        if at != <uint32_t>NONE:
            order = &self.table.orders[at]
            index = order.child.listing
        if follows and (order is NULL or order_states.is_terminal(order.status)):
            index = pegging.choose_listing(self, parent, most_shown(self, parent), now_ns)
            if index == <uint32_t>NONE and parent.wanted_quantity == 0 and drop_crumb(self, slot, now_ns):
                return
        elif order is NULL:
            index = only_listing(self, &parent.order)
        if index != <uint32_t>NONE:
            price = (pegging.pegged(self, parent, index, now_ns) if follows
                     else passive.on_grid(&self.listings[index], parent.order.side, parent.order.limit_price,
                                          rate_for(self, index, parent.order.side)))
        elif not follows:
            return                          # taken over from an earlier run, and its order has left the table
        if follows and (price == pegging.UNCLEAR or index == <uint32_t>NONE):
            pegging.look_at(self, slot, now_ns + pegging.LINGER_NS, now_ns)
        passive.plan(parent, order, &self.listings[index] if index != <uint32_t>NONE else NULL,
                     self.ports[self.listings[index].exchange].amends if index != <uint32_t>NONE else <uint8_t>0,
                     most_shown(self, parent), price,
                     rate_for(self, index, parent.order.side) if index != <uint32_t>NONE else 0, &plan)
        if plan.moves and not pegging.may_move(self, slot, index, now_ns):
            return
        if plan.step == Step.CANCEL:
            pegging.note_departure(self, order, now_ns)
            cancel_child(self, at, now_ns)
        elif plan.step == Step.AMEND:
            pegging.note_departure(self, order, now_ns)
            pegging.note_change(self, index, order.child.side, plan.price,
                                iceberg.shown_of(plan.quantity, iceberg.display_of(&order.child)), now_ns)
            if plan.moves:
                token_bucket.spend_token(&parent.moves, now_ns)
            amend_child(self, slot, at, plan.price, plan.quantity, now_ns)
        elif plan.step == Step.TAKE:
            take_wanted(self, slot, now_ns)
            if order is NULL or order_states.is_terminal(order.status):
                rest(self, slot, now_ns, cause_ns)
        elif plan.step == Step.END:
            if plan.reason == Reason.OK:
                plan.reason = (Reason.TRADING_HALTED if self.risk.state == TradingState.HALTED
                               else Reason.EXCHANGE_OTHER)
            end_parent(self, slot, plan.reason, now_ns)
        elif plan.step == Step.PLACE:
            place_resting(self, slot, index, &plan, now_ns, cause_ns)

    inline bint drop_crumb(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        """Whether too little remains for any listing; when nothing is out that ends a parent."""
        cdef const Parent *parent = &self.table.parents[slot]
        cdef int64_t remaining = parents.remaining(parent)
        if remaining <= 0 or not too_little(self, &parent.order, remaining):
            return False
        if parent.working == 0 and parent.in_doubt == 0 and not parent.closing:
            end_parent(self, slot, Reason.BELOW_MINIMUM_REMAINS, now_ns)
        return True

    inline void place_resting(RouterState *self, uint32_t slot, uint32_t index, const Plan *plan, int64_t now_ns,
                              int64_t cause_ns) noexcept:
        cdef Parent *parent = &self.table.parents[slot]
        cdef uint8_t left_out
        if self.killed >> (32 + parent.order.strategy) & 1 or parent.paused:
            return
        if drop_crumb(self, slot, now_ns):
            return
        if passive.follows(parent.order.algorithm) and not pegging.may_move(self, slot, index, now_ns):
            return
        left_out = why_left_out(self, index, parent.order.side, now_ns)
        if left_out:
            decisions.record_rest(self, slot, index, plan.quantity, plan.price, left_out, Reason.OK, now_ns, cause_ns)
            return
        if passive.follows(parent.order.algorithm):
            token_bucket.spend_token(&parent.moves, now_ns)
        send_resting(self, slot, index, plan, now_ns, cause_ns)

    inline uint8_t send_resting(RouterState *self, uint32_t slot, uint32_t index, const Plan *plan, int64_t now_ns,
                                int64_t cause_ns) noexcept:
        """Reason.OK, or who refused it. What may not be out at once, an iceberg's whole quantity, may be in parts."""
        cdef const Parent *parent = &self.table.parents[slot]
        cdef const Listing *listing = &self.listings[index]
        cdef int64_t quantity = plan.quantity
        cdef int64_t part = passive.in_lots(listing, most_shown(self, parent))
        cdef uint8_t result = send_child(self, slot, index, quantity, plan.price, TimeInForce.GTC, now_ns, cause_ns)
        if iceberg.is_too_much(result) and 0 < part < quantity and passive.is_iceberg(parent, listing, quantity):
            quantity = part
            result = send_child(self, slot, index, quantity, plan.price, TimeInForce.GTC, now_ns, cause_ns)
        if result == Reason.OK:
            part = iceberg.display_for(&parent.order, listing, quantity)
            pegging.note_change(self, index, parent.order.side, plan.price, iceberg.shown_of(quantity, part), now_ns)
        decisions.record_rest(self, slot, index, quantity, plan.price, 0, result, now_ns, cause_ns)
        return result

    inline void amend_child(RouterState *self, uint32_t slot, uint32_t at, int64_t price, int64_t quantity,
                            int64_t now_ns) noexcept:
        """Another price and whole quantity for a parent's order, in place. A parent that is to have more has it from
        now on, until that is refused: fills of the larger order may come before its confirmation. Nothing else of it
        is under way, so what was asked before this and not refused is what it is."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef Order *order = &self.table.orders[at]
        cdef ChildOrder child = order.child
        cdef Decision decision
        cdef Outcome outcome
        cdef uint8_t code
        if parent.asked_quantity:
            make_parent(self, slot, parent.asked_quantity, parent.asked_price, now_ns)
        parent.asked_quantity, parent.asked_price, parent.before_quantity = (
            parent.wanted_quantity, parent.wanted_price, 0)
        if parent.wanted_quantity > parent.order.quantity:
            parent.before_quantity = parent.order.quantity
            orders.change_parent(self.table, slot, parent.wanted_quantity, parent.order.limit_price, now_ns)
            risk.change_parent(self.risk, slot, parent.wanted_quantity)
        code = risk.check_replace(self.risk, order, price, quantity, now_ns, &decision)
        if code != Reason.OK:
            give_up_wanted(self, slot, refused(self, code), now_ns)
            return
        child.kind = ChildKind.REPLACE_ORDER
        child.price = price
        child.quantity = quantity
        child.sequence = self.log.sequence
        child.decided_ns = now_ns
        child.deadline_ns = now_ns + self.child_deadline_ns
        child.board_version = self.views[child.listing].version
        child.book_epoch = self.views[child.listing].epoch
        if journal.append_replace(self.journal, &child, now_ns) is NULL:
            risk.observe(self.risk, order, now_ns)
            self.risk.state = TradingState.HALTED
            give_up_wanted(self, slot, refused(self, Reason.JOURNAL_FAILED), now_ns)
            return
        orders.request_replace(self.table, at, price, quantity, now_ns, &outcome)
        risk.observe(self.risk, order, now_ns)
        if not push_child(self, at, &child, now_ns):
            own_report(self, order, ExecType.REPORT_REPLACE_REJECTED, Reason.TABLE_FULL)

    inline void settle_timer(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        """An order that rests is left alone; one whose cancel did not go out is looked at again soon."""
        cdef const Order *order = &self.table.orders[slot]
        if not order_states.rests(order) or not passive.is_quiet(order):
            return
        drop_timer(self, &self.child_timers[slot])
        if order.cancels:
            self.child_timers[slot] = timers.schedule(
                self.timers, now_ns + (<int64_t>FIRST_ASK_NS << (order.cancels if order.cancels < DOUBLINGS
                                                                 else <uint8_t>DOUBLINGS)),
                CHILD_TIMER | order.child.client_order_id)

    inline void chase(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        """The cancel or the replacement of an order that rests was not answered, or a cancel could not be sent. A
        cancel is sent again, which costs nothing but a message; and it ends what is unclear about a replacement."""
        cdef Order *order = &self.table.orders[slot]
        if order_states.is_terminal(order.status):
            return
        if order.status == OrderStatus.PENDING_CANCEL or order.status == OrderStatus.PENDING_REPLACE:
            ask(self, slot, now_ns)
            orders.request_cancel(self.table, slot)
            send_cancel(self, slot, now_ns)
        elif order_table.parent_of(self.table, order) is NULL:
            return
        elif not passive.joins(&self.table.parents[order.parent].order):
            rest(self, order.parent, now_ns, 0)
        elif self.table.parents[order.parent].withdrawing:
            cancel_child(self, slot, now_ns)        # others are looked at with every change (posting.pxd)
