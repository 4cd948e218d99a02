"""The router: the sequencer of everything that can change an order, and the only one that writes orders.

    wake-up  ─> read board ─> reference price ─┐
    parent   ─> journal ─> order table ────────┤─> route: offers ─> split ─> child ─> risk ─> journal ─> exchange
    report   ─> journal ─> order table ─> risk ┤
    timer, command ────────────────────────────┘

Inputs are taken one at a time, in one order, and each is logged before it is served; what is seen on a board is logged
with its version. So a run is a function of the log and the captured bytes. What the router finds out about an order
by itself (its exchange's ring is full, nobody has answered) is a report like any other, served after the input that
brought it up.

What a parent's algorithm makes of that: routing.pxd crosses what may be sent now, where taking.pxd allows it;
resting_parents.pxd keeps one order in a book, paced_parents.pxd releases slices.

Every function: router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from orderflow._core cimport (
    active_parents, arrivals, consolidated, crash_point, input_log, journal, kill, order_states, order_table, orders,
    pacing, passive, pauses, pending, purses, residuals, risk, risk_rates, timers)
from orderflow._core.algos cimport patience
from orderflow._core.child_orders cimport ask, blocks, drop_timer, own_report, pursue
from orderflow._core.kill cimport KillCause, KillScope
from orderflow._core.order_states cimport Order
from orderflow._core.order_table cimport NONE, Outcome, OutcomeFlag
from orderflow._core.paced_parents cimport look_at_pace, set_up_pace
from orderflow._core.parent_changes cimport drop_if_done, end_parent, give_up_wanted, want
from orderflow._core.parent_checks cimport why_not
from orderflow._core.parent_reports cimport deny_parent, tell_parent
from orderflow._core.pegging cimport set_up_moves
from orderflow._core.posted_orders cimport forget
from orderflow._core.queues cimport watch_queues
from orderflow._core.rate_changes cimport follow_rates
from orderflow._core.resting_parents cimport chase, settle_timer
from orderflow._core.risk_state cimport Decision, refuse
from orderflow._core.router_faults cimport fail
from orderflow._core.router_state cimport (
    CAUTION_NS, CHILD_TIMER, DAY_TIMER, SLICE_TIMER, ListingState, OwnReport, RouterState)
from orderflow._core.router_view cimport read_board, refresh_reference
from orderflow._core.routing cimport route, route_instrument
from orderflow._core.types cimport (
    ChildOrder, ExecType, ExecutionReport, FaultCode, InputKind, OrderStatus, ParentKind, ParentOrder,
    ParentStatus, Reason, TradingState, Wake)

cdef enum:
    EVERYTHING = 1              # whom a command of the input log concerns; 0 = the trading state
    FIRST_STRATEGY = 2
    FIRST_EXCHANGE = 0x100
    FIRST_INSTRUMENT = 0x1000
    KILLED = 0xFFFF             # which exchanges and strategies are killed


cdef nogil:
    inline void on_wake(RouterState *self, uint32_t port, const Wake *wake, int64_t now_ns) noexcept:
        """A board changed: look at it, then at every parent that could use it."""
        cdef uint32_t listing = wake.listing
        cdef Wake forward = wake[0]
        self.ports[port].wakes_taken += 1
        input_log.take(self.log, InputKind.INPUT_WAKE, <uint16_t>port, listing, now_ns)
        pending.lower_flag(&self.wake_pending[listing])
        read_board(self, listing)
        watch_queues(self, listing, now_ns)
        refresh_reference(self, self.listings[listing].instrument, now_ns)
        if not pending.raise_flag(&self.strategy_pending[listing]):
            self.wakes.push(&forward)           # a slot per listing and one being served: cannot be full
            self.strategizer_bell.ring()
        route_instrument(self, self.listings[listing].instrument, now_ns, self.views[listing].receive_ns)
        follow_rates(self, self.listings[listing].instrument, now_ns, self.views[listing].receive_ns)
        settle(self, now_ns)

    inline void on_parent(RouterState *self, const ParentOrder *order, int64_t now_ns) noexcept:
        """A strategy wants something done, or no longer."""
        self.parents_taken += 1
        input_log.take(self.log, InputKind.INPUT_PARENT, 0, self.parents_taken, now_ns)
        journal.append_parent(self.journal, order, now_ns)
        serve_parent(self, order, now_ns)
        settle(self, now_ns)

    inline void serve_parent(RouterState *self, const ParentOrder *order, int64_t now_ns) noexcept:
        cdef Decision refusal
        cdef int64_t slot
        cdef uint32_t known
        known = order_table.find_parent(self.table, order.parent_id)
        if known != <uint32_t>NONE and order.strategy and order.strategy != self.table.parents[known].order.strategy:
            known = <uint32_t>NONE          # another strategy's; index 0, which is a person, may touch any
        if order.kind == ParentKind.CANCEL_PARENT:
            if known != <uint32_t>NONE and self.table.parents[known].status != ParentStatus.PARENT_DONE:
                end_parent(self, known, Reason.CANCELLED_BY_USER, now_ns)
            return
        if order.kind == ParentKind.REPLACE_PARENT:
            if known != <uint32_t>NONE and not self.table.parents[known].closing:
                want(self, known, order, now_ns)
                route(self, known, now_ns, order.cause_receive_ns)
            return
        if order.kind == ParentKind.PAUSE_PARENT or order.kind == ParentKind.RESUME_PARENT:
            if known != <uint32_t>NONE and not self.table.parents[known].closing:
                pause(self, known, order.kind == ParentKind.PAUSE_PARENT, now_ns)
            return
        if order.kind == ParentKind.HALT_STRATEGY:
            kill.pull(self.kill_line, KillScope.KILL_STRATEGY, order.strategy, KillCause.KILLED_BY_STRATEGY, now_ns)
            self.kill_bell.ring()
            return
        refusal.code = why_not(self, order)
        if refusal.code != Reason.OK or not risk_rates.check_repeat(self.risk, order, now_ns, &refusal):
            deny_parent(self, order, refusal.code, now_ns)
            return
        if (active_parents.is_full(&self.active) or timers.room(self.timers)
                < <uint32_t>(order.end_ns != 0)
                + <uint32_t>(pacing.is_paced(order.algorithm) or passive.is_looked_at(order)
                             or patience.is_patient(order))):
            deny_parent(self, order, Reason.TABLE_FULL, now_ns)
            return
        slot = orders.open_parent(self.table, order, self.risk.exposures[order.instrument].reference_price, now_ns)
        if slot < 0:
            deny_parent(self, order, <uint8_t>-slot, now_ns)
            return
        risk.register_parent(self.risk, <uint32_t>slot, order, now_ns)
        if order.with_residual:
            risk.change_parent(self.risk, <uint32_t>slot, residuals.take(
                self.residuals, self.journal, &self.table.parents[slot], now_ns))
        active_parents.enter(&self.active, order.instrument, <uint32_t>slot)
        forget(self, <uint32_t>slot)
        if order.end_ns:
            self.parent_timers[slot] = timers.schedule(self.timers, order.end_ns, order.parent_id)
        if self.table.parents[slot].order.quantity == 0:
            end_parent(self, <uint32_t>slot, Reason.NETTED, now_ns)
            return
        tell_parent(self, <uint32_t>slot, NULL, now_ns)
        set_up_moves(self, &self.table.parents[slot])
        if pacing.is_paced(order.algorithm):
            set_up_pace(self, &self.table.parents[slot])
            self.table.parents[slot].look_ns = order.start_ns
            self.slice_timers[slot] = timers.schedule(self.timers, order.start_ns, SLICE_TIMER | order.parent_id)
            return
        look_again(self, <uint32_t>slot, now_ns)
        route(self, <uint32_t>slot, now_ns, order.cause_receive_ns)

    inline void look_again(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        """The next look of a patient parent, which pays more after a while though no book has changed. What others are
        looked at for (pegging.pxd, staggering.pxd) is scheduled anew while they are routed."""
        cdef const ParentOrder *order = &self.table.parents[slot].order
        cdef int64_t next_ns = patience.next_look_ns(order, now_ns) if patience.is_patient(order) else 0
        self.slice_timers[slot] = 0
        if next_ns:
            self.slice_timers[slot] = timers.schedule(self.timers, next_ns, SLICE_TIMER | order.parent_id)

    inline void pause(RouterState *self, uint32_t slot, bint paused, int64_t now_ns) noexcept:
        """Nothing new for a parent, or again. What is out stays; a schedule's time goes on, and what it missed is due
        when it resumes."""
        self.table.parents[slot].paused = paused
        tell_parent(self, slot, NULL, now_ns)
        if not paused:
            route(self, slot, now_ns, 0)

    inline void on_report(RouterState *self, uint32_t port, const ExecutionReport *report, int64_t now_ns) noexcept:
        self.ports[port].reports_taken += 1
        input_log.take(self.log, InputKind.INPUT_REPORT, <uint16_t>port, self.ports[port].reports_taken, now_ns)
        apply_report(self, report, now_ns)
        settle(self, now_ns)

    inline void settle(RouterState *self, int64_t now_ns) noexcept:
        """Serve what the router has told itself meanwhile."""
        cdef const OwnReport *own
        cdef const Order *order
        cdef ExecutionReport report
        cdef uint32_t slot
        while self.own_taken != self.own_pushed:
            own = &self.own[self.own_taken % self.own_capacity]
            slot = order_table.find(self.table, own.client_order_id, own.slot)
            memset(&report, 0, sizeof(ExecutionReport))
            report.exec_type = own.exec_type
            report.reason = own.reason
            self.own_taken += 1
            if slot == <uint32_t>NONE:
                continue
            order = &self.table.orders[slot]
            report.client_order_id = order.child.client_order_id
            report.cumulative_quantity = -1
            report.receive_ns = now_ns
            report.listing = order.child.listing
            report.slot = order.child.slot
            report.side = order.child.side
            apply_report(self, &report, now_ns)

    inline void apply_report(RouterState *self, const ExecutionReport *report, int64_t now_ns) noexcept:
        """What became of an order: journal, order table, risk's own books, the strategy; then what remains is
        routed."""
        cdef Outcome outcome
        cdef Order *order
        cdef ListingState *state
        cdef uint32_t slot
        cdef bint was_unclear
        if report.exec_type == ExecType.REPORT_NEW:
            crash_point.reached("before-ack-journal")
        journal.append_report(self.journal, report, now_ns)
        if report.exec_type == ExecType.REPORT_DIFFERS:
            risk.halt_instrument(self.risk, report)
            return
        if report.exec_type == ExecType.REPORT_HELD:
            purses.hear(&self.risk.purses, self.listings[report.listing].exchange, report)
            return
        if report.exec_type == ExecType.REPORT_FILL:
            crash_point.reached("after-fill-before-apply")
        slot = order_table.find(self.table, report.client_order_id, report.slot)
        was_unclear = slot != <uint32_t>NONE and order_states.is_unclear(&self.table.orders[slot])
        orders.apply(self.table, report, &outcome)
        if outcome.order == <uint32_t>NONE:
            if outcome.flags & OutcomeFlag.RETIRED and report.exec_type == ExecType.REPORT_FILL:
                fail(self, FaultCode.FILL_NOT_PLACED, report.client_order_id, now_ns)
            return
        order = &self.table.orders[outcome.order]
        risk.observe(self.risk, order, now_ns)
        if outcome.filled:
            purses.take_fill(&self.risk.purses, &self.listings[order.child.listing], order.child.side,
                             report.last_price, outcome.filled, report)
        if outcome.flags & OutcomeFlag.OVERFILL:
            fail(self, FaultCode.ORDER_OVERFILLED, report.client_order_id, now_ns)
        elif outcome.flags & OutcomeFlag.PARENT_OVERFILL:
            fail(self, FaultCode.PARENT_OVERFILLED, order.child.parent_id, now_ns)
        elif outcome.flags & OutcomeFlag.UNREMEMBERED:
            fail(self, FaultCode.FILL_NOT_REMEMBERED, report.client_order_id, now_ns)
        state = &self.states[order.child.listing]
        if state.tried == report.client_order_id and not (
                report.exec_type == ExecType.REPORT_SENT and pauses.is_awaited(state)):
            state.tried = 0
        pauses.hear(state, report, order.child.side, now_ns)
        state.under_way += blocks(order, outcome.status)
        state.under_way -= blocks(order, outcome.status_before)
        if order_states.is_terminal(outcome.status) and not order_states.is_terminal(outcome.status_before):
            drop_timer(self, &self.child_timers[outcome.order])
            state.spent_epoch = self.views[order.child.listing].epoch
            state.spent_version = self.views[order.child.listing].version
            if not was_unclear:
                learn_arrival(self, order, outcome.parent, now_ns)
        pursue(self, outcome.order, was_unclear, now_ns)
        settle_timer(self, outcome.order, now_ns)
        if report.reason == Reason.RATE_LIMITED:
            on_limited(self, order, report, now_ns)
        if outcome.parent == <uint32_t>NONE:
            return
        if outcome.filled and self.table.parents[outcome.parent].reason == Reason.BELOW_MINIMUM_REMAINS:
            residuals.correct(self.residuals, self.journal, &self.table.parents[outcome.parent],
                              outcome.filled * self.listings[order.child.listing].quantity_factor, now_ns)
        if (report.exec_type == ExecType.REPORT_REPLACE_REJECTED and not order_states.is_terminal(outcome.status)
                and self.table.parents[outcome.parent].asked_quantity):     # and not a move of our own
            give_up_wanted(self, outcome.parent, report.reason, now_ns)
        if outcome.filled or outcome.parent_status != outcome.parent_before:
            tell_parent(self, outcome.parent, report if outcome.filled else NULL, now_ns)
        drop_if_done(self, outcome.parent)
        if (outcome.parent_status == ParentStatus.PARENT_WORKING
                or passive.is_resting(self.table.parents[outcome.parent].order.algorithm)):
            route(self, outcome.parent, now_ns, 0)

    inline void learn_arrival(RouterState *self, const Order *order, uint32_t parent, int64_t now_ns) noexcept:
        """An order has ended: of one that took, what was there for it. Of one from an earlier run nobody knows when."""
        cdef const ChildOrder *child = &order.child
        if parent != <uint32_t>NONE and self.table.parents[parent].reason == Reason.RESTARTED:
            return
        if order_states.rests(order) or (order.status != OrderStatus.FILLED and order.status != OrderStatus.CANCELED
                                         and order.status != OrderStatus.EXPIRED):
            return
        arrivals.learn(&self.states[child.listing].arrivals, child.quantity, order.cumulative, child.decided_ns, now_ns)
        if parent != <uint32_t>NONE and order.cumulative < child.quantity:
            self.table.parents[parent].missed_at = consolidated.all_in(
                &self.listings[child.listing], child.side, child.price, child.rate)

    inline void on_limited(RouterState *self, const Order *order, const ExecutionReport *report,
                           int64_t now_ns) noexcept:
        """The gate had no room for it: what remains goes elsewhere, until there may be some. Told as a refusal, with
        the limit and what it would have been. Of one that the exchange itself refused the gate knows more next time.
        """
        cdef Decision decision
        if report.exec_type != ExecType.REPORT_NOT_SENT and report.exec_type != ExecType.REPORT_REPLACE_REJECTED:
            return
        if report.last_quantity == 0:
            return
        if report.exec_type == ExecType.REPORT_NOT_SENT:
            self.states[order.child.listing].limited_until_ns = report.exchange_ns
            self.states[order.child.listing].cautious_until_ns = report.exchange_ns + CAUTION_NS
        if order_table.parent_of(self.table, order) is not NULL:
            refuse(&decision, Reason.RATE_LIMITED, report.last_price, report.last_quantity)
            risk.explain(self.risk, order.parent, order.child.listing, now_ns, &decision)

    inline void on_state(RouterState *self, uint8_t state, int64_t now_ns) noexcept:
        """Trading is allowed, reduced or halted from here on."""
        input_log.take(self.log, InputKind.INPUT_COMMAND, 0, state, now_ns)
        self.risk.state = state
        if state == TradingState.ACTIVE:
            self.fault.code = FaultCode.NO_FAULT_FOUND

    inline void on_rearm(RouterState *self, uint16_t whose, uint8_t state, int64_t now_ns) noexcept:
        """By hand: the trading state of strategy `whose` - FIRST_STRATEGY, or the profit of everything counted anew
        (EVERYTHING), or instrument `whose` - FIRST_INSTRUMENT, whose books differed. Of exchange `whose` -
        FIRST_EXCHANGE by its clock, too: REDUCING or ACTIVE."""
        input_log.take(self.log, InputKind.INPUT_COMMAND, whose, state, now_ns)
        if whose == EVERYTHING:
            risk.rearm_total(self.risk)
        elif whose >= FIRST_INSTRUMENT:
            risk.rearm_instrument(self.risk, <uint32_t>(whose - FIRST_INSTRUMENT))
        elif whose >= FIRST_EXCHANGE:
            risk.set_exchange(self.risk, <uint32_t>(whose - FIRST_EXCHANGE), state)
        else:
            risk.set_strategy(self.risk, <uint32_t>(whose - FIRST_STRATEGY), state)

    inline void on_killed(RouterState *self, uint64_t killed, int64_t now_ns) noexcept:
        """Exchanges and strategies were killed or armed again: those that are killed are not routed to, or for. The
        gates refuse all the same; this keeps parents from asking them with every change of a book."""
        input_log.take(self.log, InputKind.INPUT_COMMAND, KILLED, killed, now_ns)
        self.killed = killed

    inline void on_timer(RouterState *self, uint64_t key, int64_t now_ns) noexcept:
        """A parent's time is up, a slice begins, an order has not been answered, or a day has ended."""
        input_log.take(self.log, InputKind.INPUT_TIMER, 0, key, now_ns)
        serve_timer(self, key, now_ns)
        settle(self, now_ns)

    inline void serve_timer(RouterState *self, uint64_t key, int64_t now_ns) noexcept:
        cdef uint32_t slot
        if key == DAY_TIMER:
            risk.begin_day(self.risk)
            return
        if key & CHILD_TIMER:
            slot = order_table.find(self.table, key & ~CHILD_TIMER, <uint32_t>NONE)
            if slot == <uint32_t>NONE:
                return
            self.child_timers[slot] = 0
            if order_states.is_unclear(&self.table.orders[slot]):
                ask(self, slot, now_ns)
            elif order_states.rests(&self.table.orders[slot]) and passive.is_acknowledged(&self.table.orders[slot]):
                chase(self, slot, now_ns)
            elif not order_states.is_terminal(self.table.orders[slot].status):
                own_report(self, &self.table.orders[slot], ExecType.REPORT_IN_DOUBT, Reason.UNKNOWN_OUTCOME)
            return
        if key & SLICE_TIMER:
            slot = order_table.find_parent(self.table, key & ~SLICE_TIMER)
            if slot != <uint32_t>NONE and self.table.parents[slot].closing == 0:
                if pacing.is_paced(self.table.parents[slot].order.algorithm):
                    look_at_pace(self, slot, now_ns)
                else:
                    look_again(self, slot, now_ns)
                route(self, slot, now_ns, 0)
            return
        slot = order_table.find_parent(self.table, key)
        if slot != <uint32_t>NONE and self.table.parents[slot].status == ParentStatus.PARENT_WORKING:
            end_parent(self, slot, Reason.END_TIME, now_ns)
