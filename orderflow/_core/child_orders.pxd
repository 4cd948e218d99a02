"""Child orders on their way: sent, cancelled, asked after, and waited for.

An order goes through the order table, risk and the journal before its exchange thread sees it. Every message that
wants an answer has a timer: an order whose fate is not clear is in doubt, and its exchange is asked, less and less
often, until somebody knows.

Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from orderflow._core cimport crash_point, iceberg, journal, latency, order_states, orders, risk, risk_rates, timers
from orderflow._core.converted_listings cimport rate_for
from orderflow._core.order_states cimport Order
from orderflow._core.order_table cimport Outcome
from orderflow._core.risk cimport Approved
from orderflow._core.risk_state cimport Decision
from orderflow._core.router_faults cimport fail
from orderflow._core.router_state cimport CHILD_TIMER, REFUSALS, OwnReport, Port, RouterState
from orderflow._core.types cimport (
    ChildKind, ChildOrder, ExecType, FaultCode, OrderFlag, OrderStatus, OrderType, ParentOrder, Reason, TradingState)

cdef enum:
    ANSWER_NS = 5_000_000_000   # an order that nobody answered for so long is in doubt
    FIRST_ASK_NS = 250_000_000  # what is on its way may still come; then the exchange is asked,
    DOUBLINGS = 7               # each time after twice as long, up to half a minute


cdef nogil:
    inline uint8_t refused(RouterState *self, uint8_t code) noexcept:
        if code < REFUSALS:
            self.refusals[code] += 1
        return code

    inline void own_report(RouterState *self, const Order *order, uint8_t exec_type, uint8_t reason) noexcept:
        """A report that no exchange thread made: the ring was full, or nobody answered. It is served when the input
        under way is done with; were there no room, the order would be in doubt when its answer is due."""
        cdef OwnReport *own
        if self.own_pushed - self.own_taken == self.own_capacity:
            return
        own = &self.own[self.own_pushed % self.own_capacity]
        own.client_order_id = order.child.client_order_id
        own.slot = order.child.slot
        own.exec_type = exec_type
        own.reason = reason
        self.own_pushed += 1

    inline void drop_timer(RouterState *self, uint64_t *handle) noexcept:
        """Of what has ended: a timer that stayed would keep its place in the heap until it expires."""
        timers.cancel(self.timers, handle[0])
        handle[0] = 0

    inline bint blocks(const Order *order, uint8_t status) noexcept:
        """Whether its listing takes no other order for as long: what it takes is displayed still, or nobody knows what
        it does. One that is known to rest does not."""
        return not order_states.is_terminal(status) and (
            not order_states.rests(order) or status == OrderStatus.IN_DOUBT)

    inline uint8_t send_child(RouterState *self, uint32_t parent_slot, uint32_t listing, int64_t quantity,
                              int64_t price, uint8_t time_in_force, int64_t now_ns, int64_t cause_ns) noexcept:
        """One order: order table, risk, journal, exchange thread. Reason.OK, or who refused."""
        cdef const ParentOrder *parent = &self.table.parents[parent_slot].order
        cdef Port *port = &self.ports[self.listings[listing].exchange]
        cdef ChildOrder child
        cdef ChildOrder *ready
        cdef Approved approved
        cdef Decision decision
        cdef Outcome outcome
        cdef Order *order
        cdef int64_t slot
        cdef uint8_t code
        if timers.room(self.timers) == 0:
            return refused(self, Reason.TABLE_FULL)     # nobody would notice that it is not answered
        memset(&child, 0, sizeof(ChildOrder))
        child.client_order_id = journal.next_client_order_id(self.journal)
        if child.client_order_id == 0:
            self.risk.state = TradingState.HALTED
            return refused(self, Reason.IDS_USED_UP)
        child.parent_id = parent.parent_id
        child.sequence = self.log.sequence
        child.board_version = self.views[listing].version
        child.price = price
        child.rate = rate_for(self, listing, parent.side)
        child.quantity = quantity
        child.deadline_ns = now_ns + self.child_deadline_ns
        child.decided_ns = now_ns
        child.cause_receive_ns = cause_ns
        child.listing = listing
        child.book_epoch = self.views[listing].epoch
        child.account = parent.account
        child.strategy = parent.strategy
        child.kind = ChildKind.NEW_ORDER
        child.side = parent.side
        child.order_type = OrderType.LIMIT
        child.time_in_force = time_in_force
        if order_states.stays(time_in_force):
            child.flags = parent.flags & OrderFlag.POST_ONLY
            child.terms = iceberg.display_for(parent, &self.listings[listing], quantity)
        child.slice = <uint16_t>self.table.parents[parent_slot].begun       # MOST_SLICES of a person are fewer
        slot = orders.open_child(self.table, &child)
        if slot < 0:
            return refused(self, <uint8_t>-slot)
        order = &self.table.orders[slot]
        code = risk.check(self.risk, order, now_ns, &approved, &decision)
        if code != Reason.OK:
            orders.deny(self.table, <uint32_t>slot, code, now_ns, &outcome)
            if code == Reason.EXCEEDS_PARENT:
                fail(self, FaultCode.PARENT_EXCEEDED, parent.parent_id, now_ns)
            return refused(self, code)
        ready = journal.append_intent(self.journal, &approved, now_ns)
        if ready is NULL:
            risk.release(self.risk, order)
            orders.deny(self.table, <uint32_t>slot, Reason.JOURNAL_FAILED, now_ns, &outcome)
            self.risk.state = TradingState.HALTED
            return refused(self, Reason.JOURNAL_FAILED)
        crash_point.reached("after-intent")
        self.states[listing].under_way += blocks(order, order.status)
        if now_ns < self.states[listing].cautious_until_ns:
            self.states[listing].tried = child.client_order_id
        if order_states.rests(order):
            self.table.parents[parent_slot].resting = child.client_order_id
            self.table.parents[parent_slot].resting_slot = <uint32_t>slot
        self.child_timers[slot] = timers.schedule(self.timers, now_ns + ANSWER_NS, CHILD_TIMER | child.client_order_id)
        if not port.orders.push(ready):
            own_report(self, order, ExecType.REPORT_NOT_SENT, Reason.TABLE_FULL)
            return refused(self, Reason.TABLE_FULL)
        port.bell.ring()
        if cause_ns:
            latency.record(self.frame_to_decision, now_ns - cause_ns)
        return Reason.OK

    inline void tell_exchange(RouterState *self, const Order *order, uint8_t kind) noexcept:
        """About an order that is out. When the ring is full it is not said: questions are asked again."""
        cdef Port *port = &self.ports[self.listings[order.child.listing].exchange]
        cdef ChildOrder child = order.child
        child.kind = kind
        if port.orders is not NULL and port.orders.push(&child):
            port.bell.ring()

    inline void pursue(RouterState *self, uint32_t slot, bint was_unclear, int64_t now_ns) noexcept:
        """Of an order whose fate or whose fills are not clear the exchange is asked, less and less often. One that has
        come clear and is still out is to be heard of again."""
        cdef Order *order = &self.table.orders[slot]
        cdef uint8_t tries = order.asked if order.asked < DOUBLINGS else <uint8_t>DOUBLINGS
        if order_states.is_unclear(order):
            if not was_unclear:
                drop_timer(self, &self.child_timers[slot])
            if self.child_timers[slot] == 0:
                self.child_timers[slot] = timers.schedule(
                    self.timers, now_ns + (<int64_t>FIRST_ASK_NS << tries), CHILD_TIMER | order.child.client_order_id)
            return
        if not was_unclear:
            return
        order.asked = 0
        drop_timer(self, &self.child_timers[slot])
        if not order_states.is_terminal(order.status):
            self.child_timers[slot] = timers.schedule(self.timers, now_ns + ANSWER_NS,
                                                      CHILD_TIMER | order.child.client_order_id)
        elif order.reason == Reason.NEVER_ACCEPTED:
            tell_exchange(self, order, ChildKind.FORGET_ORDER)

    inline void adopt(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        """An order of an earlier run that the table has taken over: its exchange thread is to know it for a kill, its
        listing takes no other order until it has ended, and what is unclear of it is asked for."""
        cdef Order *order = &self.table.orders[slot]
        risk.adopt_parent(self.risk, order.parent, &self.table.parents[order.parent].order)
        risk.observe(self.risk, order, now_ns)
        if not order_states.is_terminal(order.status):
            self.states[order.child.listing].under_way += blocks(order, order.status)
            tell_exchange(self, order, ChildKind.ADOPT_ORDER)
        if order.facts & order_states.Fact.REPLACE_WANTED:
            self.table.parents[order.parent].withdrawing = 1    # which of the two it is nobody knows
        pursue(self, slot, False, now_ns)

    inline void ask(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        cdef Order *order = &self.table.orders[slot]
        order.facts &= <uint8_t>~order_states.Fact.FOUND
        order.asked += order.asked < 255
        self.asked += 1
        tell_exchange(self, order, ChildKind.ASK_ORDER)
        pursue(self, slot, True, now_ns)

    inline bint push_child(RouterState *self, uint32_t slot, const ChildOrder *child, int64_t now_ns) noexcept:
        """A cancel or a replacement, journalled, to its exchange thread; its answer is waited for. False: no room."""
        cdef Port *port = &self.ports[self.listings[child.listing].exchange]
        drop_timer(self, &self.child_timers[slot])
        self.child_timers[slot] = timers.schedule(self.timers, now_ns + ANSWER_NS,
                                                  CHILD_TIMER | child.client_order_id)
        if port.orders is NULL or not port.orders.push(child):
            return False
        port.bell.ring()
        return True

    inline void cancel_child(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        """Cancel an order at the exchange, unless that was asked a moment ago. Before it is acknowledged too: its
        cancel names our id, and one that overtakes it is refused and sent again."""
        cdef Order *order = &self.table.orders[slot]
        if order.facts & order_states.Fact.CANCEL_WANTED or (order.cancels and self.child_timers[slot]):
            return
        orders.request_cancel(self.table, slot)
        send_cancel(self, slot, now_ns)

    inline void send_cancel(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        cdef Order *order = &self.table.orders[slot]
        cdef ChildOrder child = order.child
        child.kind = ChildKind.CANCEL_ORDER
        child.sequence = self.log.sequence
        child.decided_ns = now_ns
        child.deadline_ns = 0
        order.cancels += order.cancels < 255
        risk_rates.count_message(self.risk, child.strategy, now_ns)
        if not push_child(self, slot, journal.append_cancel(self.journal, &child, now_ns), now_ns):
            own_report(self, order, ExecType.REPORT_NOT_SENT, Reason.TABLE_FULL)
