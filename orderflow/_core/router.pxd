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

A parent that rests (Algorithm.RESTING) has one order at its limit price, or none; what is to be done for it is decided
in passive.pxd, after every report, command and timer that may have changed what is out or what is wanted.

Of a parent that is paced (TWAP and the like) only what is due is routed (pacing.pxd); a timer begins each slice, and
what a slice left is due with the next.

Every function: router thread only.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from orderflow._core cimport (
    active_parents, allocation, board, consolidated, crash_point, input_log, journal, kill, latency, order_states,
    order_table, orders, pacing, parents, passive, pending, residuals, risk, risk_exposure, risk_price, risk_rates,
    timers)
from orderflow._core.active_parents cimport ActiveParents
from orderflow._core.algos cimport participation, volume_curve
from orderflow._core.allocation cimport Allocation, Allocator, Split
from orderflow._core.board cimport SequenceBoard
from orderflow._core.consolidated cimport MAXIMUM_OFFERS, Offer
from orderflow._core.doorbell cimport NativeDoorbell
from orderflow._core.fixed cimport int128
from orderflow._core.input_log cimport InputLog
from orderflow._core.journal cimport Journal
from orderflow._core.kill cimport KillCause, KillLine, KillScope
from orderflow._core.latency cimport Histogram
from orderflow._core.order_states cimport Order
from orderflow._core.order_table cimport NONE, Outcome, OutcomeFlag, Table
from orderflow._core.parents cimport Parent
from orderflow._core.passive cimport Plan, Step
from orderflow._core.placeable cimport Cap
from orderflow._core.positions cimport Position
from orderflow._core.residuals cimport Residuals
from orderflow._core.ring cimport Ring64, Ring128
from orderflow._core.risk cimport Approved
from orderflow._core.risk_state cimport Decision, Risk, refuse
from orderflow._core.timers cimport Timers
from orderflow._core.types cimport (
    Algorithm, BoardEntry, BookState, ChildKind, ChildOrder, ExecType, ExecutionReport, Fault, FaultCode, InputKind,
    Level, Listing, OrderStatus, OrderType, ParentKind, ParentOrder, ParentReport, ParentStatus, Reason, Side,
    TimeInForce, TradingState, Wake)

cdef enum:
    MAXIMUM_EXCHANGES = 32
    REFUSALS = 64               # codes of Reason
    EVERYTHING = 1              # whom a command of the input log concerns; 0 = the trading state
    FIRST_STRATEGY = 2
    FIRST_EXCHANGE = 0x100
    FIRST_INSTRUMENT = 0x1000
    KILLED = 0xFFFF             # which exchanges and strategies are killed
    ANSWER_NS = 5_000_000_000   # an order that nobody answered for so long is in doubt
    FIRST_ASK_NS = 250_000_000  # what is on its way may still come; then the exchange is asked,
    DOUBLINGS = 7               # each time after twice as long, up to half a minute
    CAUTION_NS = 10_000_000_000     # after an exchange had no room for an order

cdef extern from *:
    """
    #define ORDERFLOW_CHILD_TIMER (UINT64_C(1) << 63)
    #define ORDERFLOW_DAY_TIMER (UINT64_C(1) << 62)
    #define ORDERFLOW_SLICE_TIMER (UINT64_C(1) << 61)
    """
    const uint64_t CHILD_TIMER "ORDERFLOW_CHILD_TIMER"     # timer keys: those of child orders carry it, of parents not
    const uint64_t DAY_TIMER "ORDERFLOW_DAY_TIMER"         # the key of the day's end
    const uint64_t SLICE_TIMER "ORDERFLOW_SLICE_TIMER"     # of a parent's next slice


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
    uint8_t amends              # Amends


cdef struct ListingState:
    int128 volume               # traded in this run, ours included; instrument scale
    uint64_t traded             # what the board said of that last
    uint64_t spent_version      # of the book when our last order there ended; nothing newer was seen yet
    int64_t limited_until_ns    # its exchange had no room for an order: not before
    int64_t cautious_until_ns   # until then one order after the other, so that not every parent's is refused
    uint64_t tried              # the order that it waits for then, 0 = none
    uint32_t spent_epoch
    uint32_t under_way          # children of ours that block it (see `blocks`)


cdef struct RouterState:
    const Listing *listings
    const uint32_t *members     # listing indices, instrument after instrument
    const uint32_t *first       # by instrument: where its members begin; one more at the end
    const double **curves       # by instrument: running sums of its volume curve, NULL = it has none
    BoardEntry *views           # by listing: the last read
    ListingState *states        # by listing
    SequenceBoard *board
    uint8_t *wake_pending       # by listing; exchange threads raise, we lower
    uint8_t *strategy_pending   # by listing; we raise, the strategizer lowers
    Table *table
    Risk *risk
    Residuals *residuals
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
    ActiveParents active        # parents that are not done
    uint64_t *parent_timers     # by slot: handle of the timer that ends the parent
    uint64_t *slice_timers      # by slot: of the timer that begins the parent's next slice
    uint64_t *child_timers      # by slot: handle of the timer that waits for the order's answer
    Histogram *frame_to_decision
    Port ports[MAXIMUM_EXCHANGES]
    uint64_t refusals[REFUSALS]     # by Reason: child orders that risk refused
    uint64_t parents_taken
    uint64_t splits
    uint64_t searched_splits    # those that greedy was not proven for
    uint64_t split_nodes        # that they looked at
    uint64_t inexact_splits
    uint64_t inexact_parent     # of the last of them
    Allocation inexact          # and how far from the best it may be
    uint32_t inexact_instrument
    uint64_t asked              # questions about orders
    uint64_t killed             # exchanges by their bits, strategies by theirs in the upper half
    int64_t child_deadline_ns   # how long an order may wait for its turn in the exchange thread
    uint32_t port_count
    uint32_t listing_count
    uint32_t instrument_count
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
        cdef uint32_t i, slot
        if not self.lagged or self.parent_reports.size():
            return
        self.lagged = 0
        for i in range(self.instrument_count):
            slot = self.active.first[i]
            while slot != <uint32_t>NONE:
                tell_parent(self, slot, NULL, now_ns)
                slot = self.active.following[slot]

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

    inline void count_volume(RouterState *self, uint32_t listing) noexcept:
        """What was traded since the board was read last."""
        cdef ListingState *state = &self.states[listing]
        cdef int128 more = <int64_t>(self.views[listing].traded - state.traded)
        state.traded = self.views[listing].traded
        state.volume = state.volume + more * self.listings[listing].quantity_factor

    inline int128 traded_by_others(const RouterState *self, const Parent *parent) noexcept:
        """On a parent's listings in this run, less what is ours and what of it is out; instrument scale. It falls for
        as long as prints of ours are missing."""
        cdef const ParentOrder *order = &parent.order
        cdef uint32_t begin = self.first[order.instrument]
        cdef const Position *position
        cdef int128 own
        cdef int128 total = 0
        cdef uint32_t k, i
        for k in range(self.first[order.instrument + 1] - begin):
            if order.listings and not (order.listings >> k) & 1:
                continue
            i = self.members[begin + k]
            position = &self.table.positions[i]
            own = (position.bought + position.sold) * self.listings[i].quantity_factor
            total = total + self.states[i].volume - own
        return total - parent.working - parent.in_doubt

    inline bint read_board(RouterState *self, uint32_t listing) noexcept:
        if board.read(self.board, listing, &self.views[listing]) != board.ReadStatus.READ_OK:
            self.views[listing].book_state = BookState.STALE
            risk.set_feed(self.risk, listing, BookState.STALE, self.views[listing].receive_ns)
            return False
        risk.set_feed(self.risk, listing, self.views[listing].book_state, self.views[listing].receive_ns)
        count_volume(self, listing)
        input_log.board_read(self.log, listing, self.views[listing].epoch, self.views[listing].publication)
        return True

    # ------------------------------------------------------------------ children

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
        child.flags = parent.flags
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
            own_report(self, order, ExecType.REPORT_NOT_SENT, Reason.TABLE_FULL, now_ns)
            return refused(self, Reason.TABLE_FULL)
        port.bell.ring()
        if cause_ns:
            latency.record(self.frame_to_decision, now_ns - cause_ns)
        return Reason.OK

    inline bint blocks(const Order *order, uint8_t status) noexcept:
        """Whether its listing takes no other order for as long: what it takes is displayed still, or nobody knows what
        it does. One that is known to rest does not."""
        return not order_states.is_terminal(status) and (
            not order_states.rests(order) or status == OrderStatus.IN_DOUBT)

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

    # ------------------------------------------------------------------ orders that rest

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
        """How much of it its next order may have; of what remains nothing may be left that no exchange takes."""
        cdef int64_t remaining = parents.remaining(parent)
        if parent.order.display == 0 or remaining <= parent.order.display:
            return remaining
        if too_little(self, &parent.order, remaining - parent.order.display):
            return (remaining + 1) // 2
        return parent.order.display

    inline void rest(RouterState *self, uint32_t slot, int64_t now_ns, int64_t cause_ns) noexcept:
        """One step from what is out for a resting parent towards what is wanted of it."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef uint32_t index = only_listing(self, &parent.order)
        cdef uint32_t at = <uint32_t>NONE
        cdef const Order *order = NULL
        cdef Plan plan
        if parent.resting:
            at = order_table.find(self.table, parent.resting, parent.resting_slot)
        if at != <uint32_t>NONE:
            order = &self.table.orders[at]
            index = order.child.listing
        if index == <uint32_t>NONE:
            return                          # taken over from an earlier run, and its order has left the table
        passive.plan(parent, order, &self.listings[index], self.ports[self.listings[index].exchange].amends,
                     most_shown(self, parent), &plan)
        if plan.step == Step.CANCEL:
            cancel_child(self, at, now_ns)
        elif plan.step == Step.AMEND:
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

    inline void place_resting(RouterState *self, uint32_t slot, uint32_t index, const Plan *plan, int64_t now_ns,
                              int64_t cause_ns) noexcept:
        cdef Parent *parent = &self.table.parents[slot]
        if self.killed >> (32 + parent.order.strategy) & 1:
            return
        if too_little(self, &parent.order, parents.remaining(parent)):
            if parent.working == 0 and parent.in_doubt == 0:
                end_parent(self, slot, Reason.BELOW_MINIMUM_REMAINS, now_ns)
        elif usable(self, index, now_ns):
            send_child(self, slot, index, plan.quantity, plan.price, TimeInForce.GTC, now_ns, cause_ns)

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
        if parent.order.algorithm != Algorithm.RESTING:
            take_wanted(self, slot, now_ns)
        route(self, slot, now_ns, order.cause_receive_ns)

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
            own_report(self, order, ExecType.REPORT_NOT_SENT, Reason.TABLE_FULL, now_ns)

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
            own_report(self, order, ExecType.REPORT_REPLACE_REJECTED, Reason.TABLE_FULL, now_ns)

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
        elif order_table.parent_of(self.table, order) is not NULL:
            rest(self, order.parent, now_ns, 0)

    # ------------------------------------------------------------------ routing

    inline bint usable(const RouterState *self, uint32_t listing, int64_t now_ns) noexcept:
        cdef const BoardEntry *view = &self.views[listing]
        cdef const ListingState *state = &self.states[listing]
        return (view.book_state == BookState.LIVE and not self.listings[listing].halted and state.under_way == 0
                and now_ns >= state.limited_until_ns
                and (state.tried == 0 or now_ns >= state.cautious_until_ns)
                and not (view.epoch == state.spent_epoch and view.version <= state.spent_version)
                and self.ports[self.listings[listing].exchange].orders is not NULL
                and not self.killed >> self.listings[listing].exchange & 1)

    inline uint32_t gather(RouterState *self, const ParentOrder *order, Offer *offers, Cap *caps,
                           int64_t now_ns) noexcept:
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
            offers[k].usable = (order.listings == 0 or (order.listings >> k) & 1) and usable(self, i, now_ns)
            caps[k].quantity = INT64_MAX
            caps[k].funds = INT64_MAX
        return count

    inline void restrain(RouterState *self, uint32_t slot, const Offer *offers, Cap *caps, uint32_t count,
                         int64_t remaining, int64_t now_ns) noexcept:
        """Where an exchange may only reduce, no more is sent than that, and the rest goes elsewhere. Risk would refuse
        it, again with every change of the book; so it is told as a refusal."""
        cdef uint8_t side = self.table.parents[slot].order.side
        cdef Decision decision
        cdef int128 most
        cdef uint32_t k
        if not self.risk.reducing:
            return
        for k in range(count):
            if not offers[k].usable or not risk_exposure.is_reducing(self.risk, offers[k].listing.index):
                continue
            most = risk_exposure.reducible(self.risk, offers[k].listing.index, side)
            if most < remaining:
                refuse(&decision, Reason.EXCHANGE_REDUCING, most, remaining)
                risk.explain(self.risk, slot, offers[k].listing.index, now_ns, &decision)
                caps[k].quantity = <int64_t>(most / offers[k].listing.quantity_factor)

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

    inline void record_search(RouterState *self, const Parent *parent, const Allocation *out) noexcept:
        self.searched_splits += 1
        self.split_nodes += out.nodes
        if not out.exact:
            self.inexact_splits += 1
            self.inexact_parent = parent.order.parent_id
            self.inexact_instrument = parent.order.instrument
            self.inexact = out[0]

    inline void route(RouterState *self, uint32_t slot, int64_t now_ns, int64_t cause_ns) noexcept:
        """Send what can be sent of a parent now."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef Offer offers[MAXIMUM_OFFERS]
        cdef Cap caps[MAXIMUM_OFFERS]
        cdef Split splits[MAXIMUM_OFFERS]
        cdef Allocation out
        cdef int64_t remaining = parents.remaining(parent)
        cdef uint32_t count, k
        if parent.order.algorithm == Algorithm.RESTING:
            rest(self, slot, now_ns, cause_ns)
            return
        if parent.closing or parent.paused or remaining <= 0 or self.killed >> (32 + parent.order.strategy) & 1:
            return
        if too_little(self, &parent.order, remaining):
            if parent.working == 0 and parent.in_doubt == 0:
                end_parent(self, slot, Reason.BELOW_MINIMUM_REMAINS, now_ns)
            return
        if pacing.is_paced(parent.order.algorithm):
            remaining = pacing.due(parent)
            if remaining <= 0 or too_little(self, &parent.order, remaining):
                return
        count = gather(self, &parent.order, offers, caps, now_ns)
        restrain(self, slot, offers, caps, count, remaining, now_ns)
        if self.policy == RoutePolicy.SINGLE and parent.children == 0:
            choose_single(self, parent, offers, caps, count, remaining)
        allocation.allocate(self.allocator, offers, caps, count, parent.order.side, remaining,
                            parent.order.limit_price, splits, &out)
        if out.quantity == 0:
            return
        self.splits += 1
        if not out.greedy:
            record_search(self, parent, &out)
        for k in range(count):
            if splits[k].quantity > 0:
                send_child(self, slot, offers[k].listing.index, splits[k].quantity, splits[k].price, TimeInForce.IOC,
                           now_ns, cause_ns)

    # ------------------------------------------------------------------ parents that are paced

    inline void set_up_pace(RouterState *self, Parent *parent) noexcept:
        """Of a schedule: the lot that it is released in, and the most slices, of those asked for, that are large enough
        to be sent."""
        cdef uint32_t begin = self.first[parent.order.instrument]
        cdef const Listing *listing
        cdef int64_t lot, size
        cdef uint32_t k, middle
        cdef uint32_t least = 1
        cdef uint32_t most = parent.order.slices
        parent.slices = most
        if parent.order.algorithm == Algorithm.POV:
            return
        parent.lot = INT64_MAX
        for k in range(self.first[parent.order.instrument + 1] - begin):
            if parent.order.listings == 0 or (parent.order.listings >> k) & 1:
                listing = &self.listings[self.members[begin + k]]
                lot = listing.lot * listing.quantity_factor
                parent.lot = lot if lot < parent.lot else parent.lot
        while least < most:
            middle = least + (most - least + 1) // 2
            size = parent.order.quantity // middle
            if size < parent.order.minimum_slice or too_little(self, &parent.order, size):
                most = middle - 1
            else:
                least = middle
        parent.slices = least

    inline void release_tail(RouterState *self, Parent *parent) noexcept:
        """What would be left for later slices but is too little to be sent goes with this one."""
        if (parent.begun and parent.order.algorithm != Algorithm.POV
                and too_little(self, &parent.order, parent.order.quantity - parent.released)):
            parent.released = parent.order.quantity

    inline void anticipate_volume(RouterState *self, Parent *parent) noexcept:
        cdef const double *sums = self.curves[parent.order.instrument]
        cdef int64_t length = parent.order.end_ns - parent.order.start_ns
        if parent.begun == 0:
            volume_curve.begin(&parent.pace, sums, parent.order.start_unix_ns, parent.order.start_unix_ns + length)
        pacing.anticipate(parent, sums, traded_by_others(self, parent))

    inline void follow_volume(RouterState *self, Parent *parent) noexcept:
        if parent.begun == 0:
            parent.begun = 1                # nothing has been traded in its time yet
            return
        pacing.follow(parent, traded_by_others(self, parent))
        participation.keep(&parent.participation, pacing.due(parent) > 0
                           and too_little(self, &parent.order, pacing.due(parent)))

    inline void begin_slice(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        cdef Parent *parent = &self.table.parents[slot]
        cdef int64_t next_ns
        if parent.begun == 0 and pacing.is_by_volume(parent.order.algorithm):
            participation.begin(&parent.participation, traded_by_others(self, parent), pacing.done(parent))
        if parent.order.algorithm == Algorithm.POV:
            follow_volume(self, parent)
        elif parent.order.algorithm == Algorithm.VWAP:
            anticipate_volume(self, parent)
        else:
            pacing.advance(parent)
        release_tail(self, parent)
        next_ns = pacing.next_ns(parent)
        self.slice_timers[slot] = 0
        if next_ns:
            self.slice_timers[slot] = timers.schedule(self.timers, next_ns, SLICE_TIMER | parent.order.parent_id)
        route(self, slot, now_ns, 0)

    inline void pause(RouterState *self, uint32_t slot, bint paused, int64_t now_ns) noexcept:
        """Nothing new for a parent, or again. What is out stays; a schedule's time goes on, and what it missed is due
        when it resumes."""
        self.table.parents[slot].paused = paused
        tell_parent(self, slot, NULL, now_ns)
        if not paused:
            route(self, slot, now_ns, 0)

    inline void route_instrument(RouterState *self, uint32_t instrument, int64_t now_ns, int64_t cause_ns) noexcept:
        cdef uint32_t slot = self.active.first[instrument]
        cdef uint32_t after
        while slot != <uint32_t>NONE:
            after = self.active.following[slot]
            route(self, slot, now_ns, cause_ns)     # it may end this one
            slot = after

    inline void end_parent(RouterState *self, uint32_t slot, uint8_t reason, int64_t now_ns) noexcept:
        """No more children; IOC orders under way end by themselves, one that rests is cancelled, and what is in doubt
        stays reserved."""
        drop_timer(self, &self.parent_timers[slot])
        drop_timer(self, &self.slice_timers[slot])
        if reason == Reason.BELOW_MINIMUM_REMAINS and not self.table.parents[slot].closing:
            residuals.keep(self.residuals, self.journal, &self.table.parents[slot], now_ns)
        orders.close_parent(self.table, slot, reason, now_ns)
        self.table.parents[slot].withdrawing = 1
        if self.table.parents[slot].order.algorithm == Algorithm.RESTING:
            rest(self, slot, now_ns, 0)
        tell_parent(self, slot, NULL, now_ns)
        drop_if_done(self, slot)

    inline void drop_timer(RouterState *self, uint64_t *handle) noexcept:
        """Of what has ended: a timer that stayed would keep its place in the heap until it expires."""
        timers.cancel(self.timers, handle[0])
        handle[0] = 0

    inline void drop_if_done(RouterState *self, uint32_t slot) noexcept:
        if self.table.parents[slot].status != ParentStatus.PARENT_DONE:
            return
        self.table.parents[slot].closing = 1    # whatever is heard of its orders after this
        drop_timer(self, &self.parent_timers[slot])
        drop_timer(self, &self.slice_timers[slot])
        active_parents.leave(&self.active, self.table.parents[slot].order.instrument, slot)

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
        if known != <uint32_t>NONE and order.strategy and order.strategy != self.table.parents[known].order.strategy:
            known = <uint32_t>NONE          # another strategy's; index 0, which is a person, may touch any
        if order.kind == ParentKind.CANCEL_PARENT:
            if known != <uint32_t>NONE and self.table.parents[known].status != ParentStatus.PARENT_DONE:
                end_parent(self, known, Reason.CANCELLED_BY_USER, now_ns)
            return
        if order.kind == ParentKind.REPLACE_PARENT:
            if known != <uint32_t>NONE and not self.table.parents[known].closing:
                want(self, known, order, now_ns)
            return
        if order.kind == ParentKind.PAUSE_PARENT or order.kind == ParentKind.RESUME_PARENT:
            if known != <uint32_t>NONE and not self.table.parents[known].closing:
                pause(self, known, order.kind == ParentKind.PAUSE_PARENT, now_ns)
            return
        if order.kind == ParentKind.HALT_STRATEGY:
            kill.pull(self.kill_line, KillScope.KILL_STRATEGY, order.strategy, KillCause.KILLED_BY_STRATEGY, now_ns)
            self.kill_bell.ring()
            return
        if order.instrument >= self.instrument_count:
            deny_parent(self, order, Reason.UNKNOWN_LISTING, now_ns)
            return
        if self.lagged:
            deny_parent(self, order, Reason.LAGGED, now_ns)
            return
        if order.algorithm == Algorithm.RESTING and (order.limit_price <= 0
                                                     or only_listing(self, order) == <uint32_t>NONE):
            deny_parent(self, order, Reason.PRICE_NOT_POSITIVE if order.limit_price <= 0 else Reason.UNKNOWN_LISTING,
                        now_ns)
            return
        if order.display and (order.algorithm != Algorithm.RESTING or too_little(self, order, order.display)):
            deny_parent(self, order, Reason.BELOW_MINIMUM_REMAINS, now_ns)
            return
        if pacing.is_paced(order.algorithm) and not (pacing.is_possible(order) and (
                order.algorithm != Algorithm.VWAP or self.curves[order.instrument] is not NULL)):
            deny_parent(self, order, Reason.NO_SCHEDULE, now_ns)
            return
        refusal.code = Reason.OK
        if not risk_rates.check_repeat(self.risk, order, now_ns, &refusal):
            deny_parent(self, order, refusal.code, now_ns)
            return
        if (active_parents.is_full(&self.active) or timers.room(self.timers)
                < <uint32_t>(order.end_ns != 0) + <uint32_t>pacing.is_paced(order.algorithm)):
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
        if order.end_ns:
            self.parent_timers[slot] = timers.schedule(self.timers, order.end_ns, order.parent_id)
        if self.table.parents[slot].order.quantity == 0:
            end_parent(self, <uint32_t>slot, Reason.NETTED, now_ns)
            return
        tell_parent(self, <uint32_t>slot, NULL, now_ns)
        if pacing.is_paced(order.algorithm):
            set_up_pace(self, &self.table.parents[slot])
            self.slice_timers[slot] = timers.schedule(self.timers, order.start_ns, SLICE_TIMER | order.parent_id)
            return
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
        if report.exec_type == ExecType.REPORT_NEW:
            crash_point.reached("before-ack-journal")
        journal.append_report(self.journal, report, now_ns)
        if report.exec_type == ExecType.REPORT_DIFFERS:
            risk.halt_instrument(self.risk, report)
            return
        if report.exec_type == ExecType.REPORT_HELD:
            return                                          # to be written down, for the next run
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
        if outcome.flags & OutcomeFlag.OVERFILL:
            fail(self, FaultCode.ORDER_OVERFILLED, report.client_order_id, now_ns)
        elif outcome.flags & OutcomeFlag.PARENT_OVERFILL:
            fail(self, FaultCode.PARENT_OVERFILLED, order.child.parent_id, now_ns)
        elif outcome.flags & OutcomeFlag.UNREMEMBERED:
            fail(self, FaultCode.FILL_NOT_REMEMBERED, report.client_order_id, now_ns)
        state = &self.states[order.child.listing]
        if state.tried == report.client_order_id:
            state.tried = 0
        state.under_way += blocks(order, outcome.status)
        state.under_way -= blocks(order, outcome.status_before)
        if order_states.is_terminal(outcome.status) and not order_states.is_terminal(outcome.status_before):
            drop_timer(self, &self.child_timers[outcome.order])
            state.spent_epoch = self.views[order.child.listing].epoch
            state.spent_version = self.views[order.child.listing].version
        pursue(self, outcome.order, was_unclear, now_ns)
        settle_timer(self, outcome.order, now_ns)
        if report.reason == Reason.RATE_LIMITED:
            on_limited(self, order, report, now_ns)
        if outcome.parent == <uint32_t>NONE:
            return
        if outcome.filled and self.table.parents[outcome.parent].reason == Reason.BELOW_MINIMUM_REMAINS:
            residuals.correct(self.residuals, self.journal, &self.table.parents[outcome.parent],
                              outcome.filled * self.listings[order.child.listing].quantity_factor, now_ns)
        if report.exec_type == ExecType.REPORT_REPLACE_REJECTED and not order_states.is_terminal(outcome.status):
            give_up_wanted(self, outcome.parent, report.reason, now_ns)
        if outcome.filled or outcome.parent_status != outcome.parent_before:
            tell_parent(self, outcome.parent, report if outcome.filled else NULL, now_ns)
        drop_if_done(self, outcome.parent)
        if (outcome.parent_status == ParentStatus.PARENT_WORKING
                or self.table.parents[outcome.parent].order.algorithm == Algorithm.RESTING):
            route(self, outcome.parent, now_ns, 0)

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
        """A parent's time is up, an order has not been answered, or a day has ended."""
        cdef uint32_t slot
        input_log.take(self.log, InputKind.INPUT_TIMER, 0, key, now_ns)
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
                own_report(self, &self.table.orders[slot], ExecType.REPORT_IN_DOUBT, Reason.UNKNOWN_OUTCOME, now_ns)
            return
        if key & SLICE_TIMER:
            slot = order_table.find_parent(self.table, key & ~SLICE_TIMER)
            if slot != <uint32_t>NONE and self.table.parents[slot].closing == 0:
                begin_slice(self, slot, now_ns)
            return
        slot = order_table.find_parent(self.table, key)
        if slot != <uint32_t>NONE and self.table.parents[slot].status == ParentStatus.PARENT_WORKING:
            end_parent(self, slot, Reason.END_TIME, now_ns)
