"""The router: the sequencer of everything that can change an order, and the only one that writes orders.

    wake-up  ─> read board ─> reference price ─┐
    parent   ─> journal ─> order table ────────┤─> route: offers ─> split ─> child ─> risk ─> journal ─> exchange
    report   ─> journal ─> order table ─> risk ┤
    timer, command ────────────────────────────┘

Inputs are taken one at a time, in one order, and each is logged before it is served; what is seen on a board is logged
with its version. So a run is a function of the log and the captured bytes.

Routing a parent means: of its listings take those whose book is LIVE and which have nothing of ours under way, split
what remains over them by what it costs after fees, and send one IOC order to each that got a part, at the worst price
that its part needs. A listing is looked at again only when its book has changed since our last order there ended: the
levels that we have just taken are still displayed until then. What cannot be sent now waits for the next change, until
the parent's time is up or no listing takes so little.

Every function: router thread only.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from orderflow._core cimport (
    allocation, board, consolidated, input_log, journal, kill, latency, order_states, order_table, orders, parents, pending,
    risk, risk_price, risk_rates, timers)
from orderflow._core.allocation cimport Allocation, Allocator, Split
from orderflow._core.board cimport SequenceBoard
from orderflow._core.consolidated cimport MAXIMUM_OFFERS, Offer
from orderflow._core.doorbell cimport NativeDoorbell
from orderflow._core.input_log cimport InputLog
from orderflow._core.journal cimport Journal
from orderflow._core.kill cimport KillCause, KillLine, KillScope
from orderflow._core.latency cimport Histogram
from orderflow._core.order_states cimport Order
from orderflow._core.order_table cimport NONE, Outcome, OutcomeFlag, Table
from orderflow._core.parents cimport Parent
from orderflow._core.placeable cimport Cap
from orderflow._core.ring cimport Ring64, Ring128
from orderflow._core.risk cimport Approved
from orderflow._core.risk_state cimport Decision, Risk
from orderflow._core.timers cimport Timers
from orderflow._core.types cimport (
    BoardEntry, BookState, ChildKind, ChildOrder, ExecType, ExecutionReport, Fault, FaultCode, InputKind, Level, Listing, OrderStatus,
    OrderType, ParentKind, ParentOrder, ParentReport, ParentStatus, Reason, Side, TimeInForce, TradingState, Wake)

cdef enum:
    MAXIMUM_EXCHANGES = 32
    REFUSALS = 64               # codes of Reason
    EVERYTHING = 1              # whom a command of the input log concerns; 0 = the trading state
    FIRST_STRATEGY = 2
    KILLED = 0xFFFF             # which exchanges and strategies are killed
    ANSWER_NS = 5_000_000_000   # an order that nobody answered for so long is in doubt
    FIRST_ASK_NS = 250_000_000  # what is on its way may still come; then the exchange is asked,
    DOUBLINGS = 7               # each time after twice as long, up to half a minute

cdef extern from *:
    """
    #define ORDERFLOW_CHILD_TIMER (UINT64_C(1) << 63)
    """
    const uint64_t CHILD_TIMER "ORDERFLOW_CHILD_TIMER"     # timer keys: those of child orders carry it, of parents not


cpdef enum RoutePolicy:
    BEST = 0                    # split over all listings
    SINGLE = 1                  # the one listing that takes the whole at the least cost, chosen at arrival


cdef struct Port:               # one exchange as the router sees it
    Ring64 *wakes
    Ring128 *reports
    Ring128 *orders
    NativeDoorbell *bell
    uint64_t wakes_taken
    uint64_t reports_taken


cdef struct ListingState:
    uint64_t spent_version      # of the book when our last order there ended; nothing newer was seen yet
    uint32_t spent_epoch
    uint32_t under_way          # children of ours that have not provably ended


cdef struct RouterState:
    const Listing *listings
    const uint32_t *members     # listing indices, instrument after instrument
    const uint32_t *first       # by instrument: where its members begin; one more at the end
    BoardEntry *views           # by listing: the last read
    ListingState *states        # by listing
    SequenceBoard *board
    uint8_t *wake_pending       # by listing; exchange threads raise, we lower
    uint8_t *strategy_pending   # by listing; we raise, the strategizer lowers
    Table *table
    Risk *risk
    Journal *journal
    InputLog *log
    Allocator *allocator
    Timers *timers
    Ring128 *parents            # from the strategizer
    Ring128 *parent_reports     # to the strategizer
    Ring64 *wakes               # to the strategizer
    NativeDoorbell *strategizer_bell
    uint8_t *reports_full       # set by an exchange thread that lost a report
    KillLine *kill_line
    NativeDoorbell *kill_bell
    Fault fault                 # the first since trading was allowed
    uint64_t faults
    uint32_t *active            # slots of parents that are not done
    uint64_t *parent_timers     # by slot: handle of the timer that ends the parent
    uint64_t *child_timers      # by slot: handle of the timer that waits for the order's answer
    Histogram *frame_to_decision
    Port ports[MAXIMUM_EXCHANGES]
    uint64_t refusals[REFUSALS]     # by Reason: child orders that risk refused
    uint64_t parents_taken
    uint64_t splits
    uint64_t inexact_splits
    uint64_t asked              # questions about orders
    uint64_t killed             # exchanges by their bits, strategies by theirs in the upper half
    int64_t child_deadline_ns   # how long an order may wait for its turn in the exchange thread
    uint32_t port_count
    uint32_t listing_count
    uint32_t instrument_count
    uint32_t active_count
    uint32_t active_capacity
    uint8_t policy              # RoutePolicy
    uint8_t lagged              # the strategizer does not take its reports


cdef nogil:
    # ------------------------------------------------------------------ to the strategizer

    inline void tell(RouterState *self, const ParentReport *report) noexcept:
        """A report for a strategy. When its ring is full the strategizer is LAGGED: it gets a snapshot once it
        reads."""
        if self.lagged or not self.parent_reports.push(report):
            self.lagged = 1
            return
        self.strategizer_bell.ring()

    inline void tell_parent(RouterState *self, uint32_t slot, const ExecutionReport *fill, int64_t now_ns) noexcept:
        cdef Parent *parent = &self.table.parents[slot]
        cdef const Listing *listing
        cdef ParentReport report
        memset(&report, 0, sizeof(ParentReport))
        parents.describe(parent, now_ns, &report)
        if fill is not NULL:
            listing = &self.listings[fill.listing]
            report.listing = fill.listing
            report.last_price = fill.last_price * listing.price_factor
            report.last_quantity = fill.last_quantity * listing.quantity_factor
        tell(self, &report)

    inline void catch_up(RouterState *self, int64_t now_ns) noexcept:
        """The strategizer reads again: tell it how every parent stands."""
        cdef uint32_t i
        if not self.lagged or self.parent_reports.size():
            return
        self.lagged = 0
        for i in range(self.active_count):
            tell_parent(self, self.active[i], NULL, now_ns)

    inline void deny_parent(RouterState *self, const ParentOrder *order, uint8_t reason, int64_t now_ns) noexcept:
        cdef ParentReport report
        memset(&report, 0, sizeof(ParentReport))
        report.parent_id = order.parent_id
        report.quantity = order.quantity
        report.event_ns = now_ns
        report.instrument = order.instrument
        report.strategy = order.strategy
        report.status = ParentStatus.PARENT_DENIED
        report.reason = reason
        report.side = order.side
        tell(self, &report)

    # ------------------------------------------------------------------ what must not be

    inline void fail(RouterState *self, uint32_t code, uint64_t subject, int64_t now_ns) noexcept:
        """An invariant is broken: nothing new goes out, and what is out is cancelled, until a person has looked. This
        thread goes on, because what is filled meanwhile must be counted."""
        self.faults += 1
        self.risk.state = TradingState.HALTED
        if self.fault.code and kill.load(&self.kill_line.everything):
            return                          # the first says most, and the rest follows from it
        self.fault.sequence = self.log.sequence
        self.fault.subject = subject
        self.fault.event_ns = now_ns
        self.fault.code = code
        kill.pull(self.kill_line, KillScope.KILL_EVERYTHING, 0, KillCause.KILLED_BY_FAULT, now_ns)
        self.kill_bell.ring()

    # ------------------------------------------------------------------ what the books say

    inline void refresh_reference(RouterState *self, uint32_t instrument, int64_t now_ns) noexcept:
        """Fused mid: halfway between the best bid and the best ask of the LIVE books, instrument scale."""
        cdef int64_t bid = 0
        cdef int64_t ask = 0
        cdef int64_t price
        cdef uint32_t k, i
        for k in range(self.first[instrument], self.first[instrument + 1]):
            i = self.members[k]
            if self.views[i].book_state != BookState.LIVE:
                continue
            if self.views[i].bid_count:
                price = self.views[i].bids[0].price * self.listings[i].price_factor
                if price > bid:
                    bid = price
            if self.views[i].ask_count:
                price = self.views[i].asks[0].price * self.listings[i].price_factor
                if ask == 0 or price < ask:
                    ask = price
        if bid and ask:
            risk.set_reference(self.risk, instrument, bid + (ask - bid) // 2, now_ns)

    inline bint read_board(RouterState *self, uint32_t listing) noexcept:
        if board.read(self.board, listing, &self.views[listing]) != board.ReadStatus.READ_OK:
            self.views[listing].book_state = BookState.STALE
            risk.set_feed(self.risk, listing, BookState.STALE, self.views[listing].receive_ns)
            return False
        risk.set_feed(self.risk, listing, self.views[listing].book_state, self.views[listing].receive_ns)
        input_log.board_read(self.log, listing, self.views[listing].epoch, self.views[listing].publication)
        return True

    # ------------------------------------------------------------------ children

    inline uint8_t send_child(RouterState *self, uint32_t parent_slot, uint32_t listing, int64_t quantity,
                              int64_t price, int64_t now_ns, int64_t cause_ns) noexcept:
        """One IOC order: order table, risk, journal, exchange thread. Reason.OK, or who refused."""
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
        if timers.full(self.timers):
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
        child.time_in_force = TimeInForce.IOC
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
        self.states[listing].under_way += 1
        self.child_timers[slot] = timers.schedule(self.timers, now_ns + ANSWER_NS, CHILD_TIMER | child.client_order_id)
        if not port.orders.push(ready):
            own_report(self, order, ExecType.REPORT_NOT_SENT, Reason.TABLE_FULL, now_ns)
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
            self.states[order.child.listing].under_way += 1
            tell_exchange(self, order, ChildKind.ADOPT_ORDER)
        pursue(self, slot, False, now_ns)

    inline void ask(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        cdef Order *order = &self.table.orders[slot]
        order.facts &= <uint8_t>~order_states.Fact.FOUND
        order.asked += order.asked < 255
        self.asked += 1
        tell_exchange(self, order, ChildKind.ASK_ORDER)
        pursue(self, slot, True, now_ns)

    inline uint8_t refused(RouterState *self, uint8_t code) noexcept:
        if code < REFUSALS:
            self.refusals[code] += 1
        return code

    inline void own_report(RouterState *self, const Order *order, uint8_t exec_type, uint8_t reason,
                           int64_t now_ns) noexcept:
        """A report that no exchange thread made: the ring was full, or nobody answered."""
        cdef ExecutionReport report
        memset(&report, 0, sizeof(ExecutionReport))
        report.client_order_id = order.child.client_order_id
        report.cumulative_quantity = -1
        report.receive_ns = now_ns
        report.listing = order.child.listing
        report.slot = order.child.slot
        report.side = order.child.side
        report.exec_type = exec_type
        report.reason = reason
        apply_report(self, &report, now_ns)

    # ------------------------------------------------------------------ routing

    inline bint usable(const RouterState *self, uint32_t listing) noexcept:
        cdef const BoardEntry *view = &self.views[listing]
        cdef const ListingState *state = &self.states[listing]
        return (view.book_state == BookState.LIVE and not self.listings[listing].halted and state.under_way == 0
                and not (view.epoch == state.spent_epoch and view.version <= state.spent_version)
                and self.ports[self.listings[listing].exchange].orders is not NULL
                and not self.killed >> self.listings[listing].exchange & 1)

    inline uint32_t gather(RouterState *self, const ParentOrder *order, Offer *offers, Cap *caps) noexcept:
        """What each of the parent's listings offers now."""
        cdef uint32_t begin = self.first[order.instrument]
        cdef uint32_t count = self.first[order.instrument + 1] - begin
        cdef uint32_t k, i
        for k in range(count):
            i = self.members[begin + k]
            offers[k].listing = &self.listings[i]
            if order.side == Side.BUY:
                offers[k].levels = self.views[i].asks
                offers[k].count = self.views[i].ask_count
            else:
                offers[k].levels = self.views[i].bids
                offers[k].count = self.views[i].bid_count
            offers[k].usable = (order.listings == 0 or (order.listings >> k) & 1) and usable(self, i)
            caps[k].quantity = INT64_MAX
            caps[k].funds = INT64_MAX
        return count

    inline void choose_single(RouterState *self, Parent *parent, Offer *offers, Cap *caps, uint32_t count,
                              int64_t quantity) noexcept:
        """Policy SINGLE: keep the one listing that fills most, and of those the cheapest, for the parent's whole
        life."""
        cdef Split splits[MAXIMUM_OFFERS]
        cdef Allocation alone
        cdef Allocation best
        cdef uint8_t was[MAXIMUM_OFFERS]
        cdef uint32_t k, j
        cdef int chosen = -1
        best.quantity = 0
        for k in range(count):
            was[k] = offers[k].usable
        for k in range(count):
            if not was[k]:
                continue
            for j in range(count):
                offers[j].usable = j == k
            allocation.allocate(self.allocator, offers, caps, count, parent.order.side, quantity,
                                parent.order.limit_price, splits, &alone)
            if alone.quantity > best.quantity or (alone.quantity == best.quantity and alone.quantity and
                                                  cheaper(&alone, &best, parent.order.side)):
                best = alone
                chosen = <int>k
        for k in range(count):
            offers[k].usable = was[k] and <int>k == chosen
        if chosen >= 0:
            parent.order.listings = <uint64_t>1 << chosen

    inline bint cheaper(const Allocation *a, const Allocation *b, uint8_t side) noexcept:
        cdef int order = allocation.wide.compare(&a.all_in, &b.all_in)
        return order < 0 if side == Side.BUY else order > 0

    inline bint too_little(const RouterState *self, const ParentOrder *order, int64_t quantity) noexcept:
        """Whether no listing of the parent takes so little, whatever its book shows."""
        cdef uint32_t begin = self.first[order.instrument]
        cdef uint32_t k
        cdef const Listing *listing
        cdef int64_t least
        for k in range(self.first[order.instrument + 1] - begin):
            if order.listings and not (order.listings >> k) & 1:
                continue
            listing = &self.listings[self.members[begin + k]]
            least = listing.minimum_quantity if listing.minimum_quantity > listing.lot else listing.lot
            if (quantity >= least * listing.quantity_factor
                    and not risk_price.worth_too_little(self.risk, listing.index, order, quantity)):
                return False
        return True

    inline void route(RouterState *self, uint32_t slot, int64_t now_ns, int64_t cause_ns) noexcept:
        """Send what can be sent of a parent now."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef Offer offers[MAXIMUM_OFFERS]
        cdef Cap caps[MAXIMUM_OFFERS]
        cdef Split splits[MAXIMUM_OFFERS]
        cdef Allocation out
        cdef int64_t remaining = parents.remaining(parent)
        cdef uint32_t count, k
        if parent.closing or remaining <= 0 or self.killed >> (32 + parent.order.strategy) & 1:
            return
        if too_little(self, &parent.order, remaining):
            if parent.working == 0 and parent.in_doubt == 0:
                end_parent(self, slot, Reason.BELOW_MINIMUM_REMAINS, now_ns)
            return
        count = gather(self, &parent.order, offers, caps)
        if self.policy == RoutePolicy.SINGLE and parent.children == 0:
            choose_single(self, parent, offers, caps, count, remaining)
        allocation.allocate(self.allocator, offers, caps, count, parent.order.side, remaining,
                            parent.order.limit_price, splits, &out)
        if out.quantity == 0:
            return
        self.splits += 1
        self.inexact_splits += not out.exact
        for k in range(count):
            if splits[k].quantity > 0:
                send_child(self, slot, offers[k].listing.index, splits[k].quantity, splits[k].price, now_ns, cause_ns)

    inline void route_instrument(RouterState *self, uint32_t instrument, int64_t now_ns, int64_t cause_ns) noexcept:
        cdef uint32_t i = 0
        cdef uint32_t slot
        while i < self.active_count:
            slot = self.active[i]
            if self.table.parents[slot].order.instrument == instrument:
                route(self, slot, now_ns, cause_ns)
            if i < self.active_count and self.active[i] == slot:
                i += 1                      # otherwise it ended, and the last one stands here now

    inline void end_parent(RouterState *self, uint32_t slot, uint8_t reason, int64_t now_ns) noexcept:
        """No more children; IOC orders under way end by themselves and what is in doubt stays reserved."""
        drop_timer(self, &self.parent_timers[slot])
        orders.close_parent(self.table, slot, reason, now_ns)
        tell_parent(self, slot, NULL, now_ns)
        drop_if_done(self, slot)

    inline void drop_timer(RouterState *self, uint64_t *handle) noexcept:
        """Of what has ended: a timer that stayed would keep its place in the heap until it expires."""
        timers.cancel(self.timers, handle[0])
        handle[0] = 0

    inline void drop_if_done(RouterState *self, uint32_t slot) noexcept:
        cdef uint32_t i
        if self.table.parents[slot].status != ParentStatus.PARENT_DONE:
            return
        self.table.parents[slot].closing = 1    # whatever is heard of its orders after this
        drop_timer(self, &self.parent_timers[slot])
        for i in range(self.active_count):
            if self.active[i] == slot:
                self.active_count -= 1
                self.active[i] = self.active[self.active_count]
                return

    # ------------------------------------------------------------------ inputs

    inline void on_wake(RouterState *self, uint32_t port, const Wake *wake, int64_t now_ns) noexcept:
        """A board changed: look at it, then at every parent that could use it."""
        cdef uint32_t listing = wake.listing
        cdef Wake forward = wake[0]
        self.ports[port].wakes_taken += 1
        input_log.take(self.log, InputKind.INPUT_WAKE, <uint16_t>port, listing, now_ns)
        pending.lower_flag(&self.wake_pending[listing])
        read_board(self, listing)
        refresh_reference(self, self.listings[listing].instrument, now_ns)
        if not pending.raise_flag(&self.strategy_pending[listing]):
            self.wakes.push(&forward)           # a slot per listing and one being served: cannot be full
            self.strategizer_bell.ring()
        if self.active_count:
            route_instrument(self, self.listings[listing].instrument, now_ns, self.views[listing].receive_ns)

    inline void on_parent(RouterState *self, const ParentOrder *order, int64_t now_ns) noexcept:
        """A strategy wants something done, or no longer."""
        cdef Decision refusal
        cdef int64_t slot
        cdef uint32_t known
        self.parents_taken += 1
        input_log.take(self.log, InputKind.INPUT_PARENT, 0, self.parents_taken, now_ns)
        journal.append_parent(self.journal, order, now_ns)
        known = order_table.find_parent(self.table, order.parent_id)
        if order.kind == ParentKind.CANCEL_PARENT:
            if known != <uint32_t>NONE and self.table.parents[known].status != ParentStatus.PARENT_DONE:
                end_parent(self, known, Reason.CANCELLED_BY_USER, now_ns)
            return
        if order.instrument >= self.instrument_count:
            deny_parent(self, order, Reason.UNKNOWN_LISTING, now_ns)
            return
        if self.lagged:
            deny_parent(self, order, Reason.LAGGED, now_ns)
            return
        refusal.code = Reason.OK
        if not risk_rates.check_repeat(self.risk, order, now_ns, &refusal):
            deny_parent(self, order, refusal.code, now_ns)
            return
        if self.active_count == self.active_capacity or (order.end_ns and timers.full(self.timers)):
            deny_parent(self, order, Reason.TABLE_FULL, now_ns)
            return
        slot = orders.open_parent(self.table, order, self.risk.exposures[order.instrument].reference_price, now_ns)
        if slot < 0:
            deny_parent(self, order, <uint8_t>-slot, now_ns)
            return
        risk.register_parent(self.risk, <uint32_t>slot, order, now_ns)
        self.active[self.active_count] = <uint32_t>slot
        self.active_count += 1
        if order.end_ns:
            self.parent_timers[slot] = timers.schedule(self.timers, order.end_ns, order.parent_id)
        tell_parent(self, <uint32_t>slot, NULL, now_ns)
        route(self, <uint32_t>slot, now_ns, order.cause_receive_ns)

    inline void on_report(RouterState *self, uint32_t port, const ExecutionReport *report, int64_t now_ns) noexcept:
        self.ports[port].reports_taken += 1
        input_log.take(self.log, InputKind.INPUT_REPORT, <uint16_t>port, self.ports[port].reports_taken, now_ns)
        apply_report(self, report, now_ns)

    inline void apply_report(RouterState *self, const ExecutionReport *report, int64_t now_ns) noexcept:
        """What became of an order: journal, order table, risk's own books, the strategy; then what remains is
        routed."""
        cdef Outcome outcome
        cdef Order *order
        cdef ListingState *state
        cdef uint32_t slot
        cdef bint was_unclear
        journal.append_report(self.journal, report, now_ns)
        slot = order_table.find(self.table, report.client_order_id, report.slot)
        was_unclear = slot != <uint32_t>NONE and order_states.is_unclear(&self.table.orders[slot])
        orders.apply(self.table, report, &outcome)
        if outcome.order == <uint32_t>NONE:
            if outcome.flags & OutcomeFlag.RETIRED and report.exec_type == ExecType.REPORT_FILL:
                fail(self, FaultCode.FILL_NOT_PLACED, report.client_order_id, now_ns)
            return
        order = &self.table.orders[outcome.order]
        risk.observe(self.risk, order, now_ns)
        if outcome.flags & OutcomeFlag.OVERFILL:
            fail(self, FaultCode.ORDER_OVERFILLED, report.client_order_id, now_ns)
        elif outcome.flags & OutcomeFlag.PARENT_OVERFILL:
            fail(self, FaultCode.PARENT_OVERFILLED, order.child.parent_id, now_ns)
        elif outcome.flags & OutcomeFlag.UNREMEMBERED:
            fail(self, FaultCode.FILL_NOT_REMEMBERED, report.client_order_id, now_ns)
        if order_states.is_terminal(outcome.status) and not order_states.is_terminal(outcome.status_before):
            drop_timer(self, &self.child_timers[outcome.order])
            state = &self.states[order.child.listing]
            if state.under_way:
                state.under_way -= 1
            state.spent_epoch = self.views[order.child.listing].epoch
            state.spent_version = self.views[order.child.listing].version
        pursue(self, outcome.order, was_unclear, now_ns)
        if outcome.parent == <uint32_t>NONE:
            return
        if outcome.filled or outcome.parent_status != outcome.parent_before:
            tell_parent(self, outcome.parent, report if outcome.filled else NULL, now_ns)
        drop_if_done(self, outcome.parent)
        if outcome.parent_status == ParentStatus.PARENT_WORKING:
            route(self, outcome.parent, now_ns, 0)

    inline void on_state(RouterState *self, uint8_t state, int64_t now_ns) noexcept:
        """Trading is allowed, reduced or halted from here on."""
        input_log.take(self.log, InputKind.INPUT_COMMAND, 0, state, now_ns)
        self.risk.state = state
        if state == TradingState.ACTIVE:
            self.fault.code = FaultCode.NO_FAULT_FOUND

    inline void on_rearm(RouterState *self, uint16_t whose, uint8_t state, int64_t now_ns) noexcept:
        """By hand: the trading state of strategy `whose` - FIRST_STRATEGY, or the profit of everything counted anew
        (EVERYTHING)."""
        input_log.take(self.log, InputKind.INPUT_COMMAND, whose, state, now_ns)
        if whose == EVERYTHING:
            risk.rearm_total(self.risk)
        else:
            risk.set_strategy(self.risk, <uint32_t>(whose - FIRST_STRATEGY), state)

    inline void on_killed(RouterState *self, uint64_t killed, int64_t now_ns) noexcept:
        """Exchanges and strategies were killed or armed again: those that are killed are not routed to, or for. The
        gates refuse all the same; this keeps parents from asking them with every change of a book."""
        input_log.take(self.log, InputKind.INPUT_COMMAND, KILLED, killed, now_ns)
        self.killed = killed

    inline void on_timer(RouterState *self, uint64_t key, int64_t now_ns) noexcept:
        """A parent's time is up, or an order has not been answered."""
        cdef uint32_t slot
        input_log.take(self.log, InputKind.INPUT_TIMER, 0, key, now_ns)
        if key & CHILD_TIMER:
            slot = order_table.find(self.table, key & ~CHILD_TIMER, <uint32_t>NONE)
            if slot == <uint32_t>NONE:
                return
            self.child_timers[slot] = 0
            if order_states.is_unclear(&self.table.orders[slot]):
                ask(self, slot, now_ns)
            elif not order_states.is_terminal(self.table.orders[slot].status):
                own_report(self, &self.table.orders[slot], ExecType.REPORT_IN_DOUBT, Reason.UNKNOWN_OUTCOME, now_ns)
            return
        slot = order_table.find_parent(self.table, key)
        if slot != <uint32_t>NONE and self.table.parents[slot].status == ParentStatus.PARENT_WORKING:
            end_parent(self, slot, Reason.END_TIME, now_ns)
