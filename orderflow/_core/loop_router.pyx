"""The router's loop and the strategizer's loop: memory, set-up, and one look at every inbox per step."""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from orderflow._core cimport (
    arrivals, child_orders, clock, decisions, kill, latency, order_table, pending, router, router_faults, segments,
    strategizer, timers)
from orderflow._core.algos.usual cimport UsualBook
from orderflow._core.algos.volume_curve cimport VolumeCurve
from orderflow._core.allocation cimport Splitter, exact_wide
from orderflow._core.board cimport Board
from orderflow._core.byte_ring cimport ByteRing
from orderflow._core.decision_log cimport DecisionFiles, Trail
from orderflow._core.decision_queue cimport MOST_MADE, Made
from orderflow._core.doorbell cimport Doorbell
from orderflow._core.input_log cimport InputLogFiles
from orderflow._core.journal cimport JournalFiles
from orderflow._core.kill cimport KillSwitch
from orderflow._core.loops cimport Loop
from orderflow._core.parent_reports cimport catch_up
from orderflow._core.residuals cimport ResidualLedger
from orderflow._core.ring cimport Ring
from orderflow._core.router_state cimport (
    DAY_TIMER, MAXIMUM_EXCHANGES, REFUSALS, ConvertedListing, ListingState, OwnReport, Posted, Port)
from orderflow._core.strategizer cimport STRATEGIES, StrategizerCommand
from orderflow._core.strategy cimport Strategy
from orderflow._core.types cimport (
    BoardEntry, Conversion, ExecutionReport, FaultCode, Listing, ParentOrder, ParentReport, RoutePolicy, TradingState,
    Wake)

import numpy as np

from orderflow._core.latency import LatencyHistogram as PythonHistogram
from orderflow._core.timers import TimerHeap as PythonTimers
from orderflow._core.types import PARENT_ORDER_DTYPE, PARENT_REPORT_DTYPE, Reason
from orderflow._core.types import FaultCode as PythonFaultCode

cdef enum:
    BATCH = 64                      # records taken from one inbox before the others get their turn
    MOST_TIMERS = 1 << 24
    HOUR_NS = 3_600_000_000_000
    DAY_NS = 86_400_000_000_000


cdef class RouterLoop(Loop):
    """The sequencer; see router.pxd.

    Parameters
    ----------
    table : numpy structured array of LISTING_DTYPE
    ports : list of (name, wakes, reports, orders, bell, amends)
        One an exchange, in index order; `reports` and `orders` are None where it takes no orders; `amends` is what it
        can change of an order in place.
    board, wake_pending, strategy_pending
        Shared with the exchange threads and the strategizer.
    orders, risk, residuals, journal, log, decision_log, splitter
        Written by this loop only, once it runs.
    parents, parent_reports, wakes : Ring
        From and to the strategizer.
    reports_full, kill_switch
        Shared with the exchange threads: either halts trading.
    policy : RoutePolicy
    child_deadline_ns : int
        How long an order may wait for its turn in the exchange thread.
    timer_capacity : int
        0 = a timer for every order and two for every parent order that the table holds, so that none lacks its own.
    day_begins_ns : int
        When a day begins, after midnight UTC by the clock of this machine: profit is counted anew then. Negative =
        never.
    curves : sequence of VolumeCurve or None
        By instrument index, in instrument scale; fewer than instruments = the others have none.
    now_ns : int
        Monotonic.
    unix_offset_ns : int, optional
        Unix clock - monotonic clock; given where the clock is a virtual one.
    """

    def __init__(self, table, list ports, Board board, unsigned char[::1] wake_pending,
                 unsigned char[::1] strategy_pending, orders, risk, ResidualLedger residuals, JournalFiles journal,
                 InputLogFiles log, DecisionFiles decision_log, Splitter splitter, Ring parents, Ring parent_reports,
                 Ring wakes, Doorbell bell, Doorbell strategizer_bell, unsigned char[::1] reports_full,
                 KillSwitch kill_switch, int policy=RoutePolicy.BEST, int64_t child_deadline_ns=250_000_000,
                 uint32_t timer_capacity=0, int64_t day_begins_ns=-1, int64_t now_ns=0, unix_offset_ns=None, curves=()):
        cdef uint32_t n = len(table)
        cdef uint32_t i
        cdef Port *port
        if len(ports) > MAXIMUM_EXCHANGES:
            raise ValueError(f"ports: {len(ports)} exchanges, at most {MAXIMUM_EXCHANGES} are possible")
        self.bell = bell
        self.orders, self.risk, self.residuals = orders, risk, residuals
        cdef uint32_t order_capacity = self.orders.table.order_capacity
        cdef uint32_t parent_capacity = self.orders.table.parent_capacity
        self.timers = PythonTimers(timer_capacity or min(order_capacity + 2 * parent_capacity, <uint32_t>MOST_TIMERS))
        self.commands = ByteRing(4096)
        self.frame_to_decision, self.step_time = PythonHistogram(), PythonHistogram()
        self.kept_alive = [table, board, wake_pending, strategy_pending, journal, log, decision_log, splitter,
                           parents, parent_reports, wakes, strategizer_bell, ports, reports_full, kill_switch]
        self.names = [entry[0] for entry in ports]
        cdef const Listing[::1] listings = table
        self.state.listings = &listings[0]
        self.state.listing_count = n
        self._make_members(table, n)
        self._make_converted(table, n)
        self._take_curves(list(curves))
        self._make_active(parent_capacity)
        self.state.views = <BoardEntry *>calloc(n, sizeof(BoardEntry))
        self.state.states = <ListingState *>calloc(n, sizeof(ListingState))
        self.state.usual = <UsualBook *>calloc(n, sizeof(UsualBook))
        self.state.parent_timers = <uint64_t *>calloc(parent_capacity, sizeof(uint64_t))
        self.state.slice_timers = <uint64_t *>calloc(parent_capacity, sizeof(uint64_t))
        self.state.child_timers = <uint64_t *>calloc(order_capacity, sizeof(uint64_t))
        self.state.own = <OwnReport *>calloc(order_capacity, sizeof(OwnReport))
        self.state.own_capacity = order_capacity
        self._make_prices(table)
        self.state.posted = <Posted *>calloc(<size_t>parent_capacity * self.state.most_members, sizeof(Posted))
        self.state.trails = <Trail *>calloc(parent_capacity, sizeof(Trail))
        self.state.made.made = <Made *>calloc(MOST_MADE, sizeof(Made))
        if (self.state.views is NULL or self.state.states is NULL or self.state.usual is NULL
                or self.state.parent_timers is NULL or self.state.slice_timers is NULL
                or self.state.child_timers is NULL or self.state.own is NULL or self.state.trails is NULL
                or self.state.posted is NULL
                or self.state.made.made is NULL):
            raise MemoryError()
        self.state.board = board.native
        self.state.wake_pending, self.state.strategy_pending = &wake_pending[0], &strategy_pending[0]
        self.state.reports_full = &reports_full[0]
        self.state.kill_line, self.state.kill_bell = kill_switch.switch.line, kill_switch.bell.native
        self.state.table, self.state.risk = &self.orders.table, &self.risk.risk
        self.state.residuals = &residuals.residuals
        self.state.journal, self.state.log, self.state.decisions = &journal.journal, &log.log, &decision_log.log
        self.state.allocator, self.state.timers = &splitter.allocator, &self.timers.timers
        self.state.parents, self.state.parent_reports = parents.of128, parent_reports.of128
        self.state.wakes, self.state.strategizer_bell = wakes.of64, strategizer_bell.native
        self.state.frame_to_decision = &self.frame_to_decision.histogram
        self.state.policy, self.state.child_deadline_ns = policy, child_deadline_ns
        self.day_begins_ns, self.virtual_clock = day_begins_ns, unix_offset_ns is not None
        self.unix_offset_ns = unix_offset_ns if self.virtual_clock else 0
        self.find_day(now_ns)
        self.state.port_count = len(ports)
        for i, (_, wake_ring, report_ring, order_ring, port_bell, amends) in enumerate(ports):
            port = &self.state.ports[i]
            port.wakes = (<Ring?>wake_ring).of64
            port.reports = (<Ring?>report_ring).of128 if report_ring is not None else NULL
            port.orders = (<Ring?>order_ring).of128 if order_ring is not None else NULL
            port.bell = (<Doorbell?>port_bell).native
            port.amends = amends

    def _make_members(self, table, uint32_t n):
        """Listings instrument by instrument, and where each instrument begins."""
        instruments = int(table["instrument"].max()) + 1 if n else 0
        self.state.instrument_count = instruments
        order = np.argsort(table["instrument"], kind="stable").astype(np.uint32)
        first = np.searchsorted(table["instrument"][order], np.arange(instruments + 1)).astype(np.uint32)
        self.kept_alive += [order, first]
        cdef const uint32_t[::1] members = order
        cdef const uint32_t[::1] begins = first
        self.state.members, self.state.first = &members[0], &begins[0]
        self.state.most_members = max(1, np.diff(first).max(initial=1))

    def _make_converted(self, table, uint32_t n):
        """Which listings each instrument gives a rate, those of one instrument together."""
        cdef uint32_t listing, source
        first = np.full(self.state.instrument_count + 1, <uint32_t>order_table.NONE, np.uint32)
        self.kept_alive.append(first)
        cdef uint32_t[::1] begins = first
        self.state.first_converted = &begins[0]
        self.state.converted = <ConvertedListing *>calloc(n, sizeof(ConvertedListing))
        if self.state.converted is NULL:
            raise MemoryError()
        for listing in reversed(np.argsort(table["instrument"], kind="stable")):
            if table["conversion"][listing] != Conversion.NOT_CONVERTED:
                source = table["rate_instrument"][listing]
                if source >= self.state.instrument_count:
                    continue                            # its exchange was left out of the run: there is no rate
                self.state.converted[listing].next = begins[source]
                begins[source] = listing

    def rates(self, uint32_t listing):
        """(rate of a buyer, rate of a seller) that a listing is converted with, in 1e-12; zeros = there is none."""
        if listing >= self.state.listing_count:
            raise IndexError(f"listing {listing} is not in the table of {self.state.listing_count}")
        return self.state.converted[listing].buy, self.state.converted[listing].sell

    def _make_active(self, uint32_t capacity):
        """Empty lists of parents, for every instrument."""
        links = np.full((2, capacity), <uint32_t>order_table.NONE, np.uint32)
        ends = np.full((2, self.state.instrument_count + 1), <uint32_t>order_table.NONE, np.uint32)
        self.kept_alive += [links, ends]
        cdef uint32_t[:, ::1] slots = links
        cdef uint32_t[:, ::1] instruments = ends
        self.state.active.following, self.state.active.preceding = &slots[0, 0], &slots[1, 0]
        self.state.active.first, self.state.active.last = &instruments[0, 0], &instruments[1, 0]
        self.state.active.capacity = capacity

    def _make_prices(self, table):
        """A copy of the listings, whose fees move, and what fading costs before anything is known of it."""
        prices = table.copy()
        chase = np.full(self.state.instrument_count + 1, <int64_t>arrivals.FIRST_CHASE, np.int64)
        self.kept_alive += [prices, chase]
        cdef Listing[::1] listings = prices
        cdef int64_t[::1] chases = chase
        self.state.priced, self.state.chase = &listings[0], &chases[0]

    def _take_curves(self, list curves):
        self.state.curves = <const double **>calloc(self.state.instrument_count + 1, sizeof(double *))
        if self.state.curves is NULL:
            raise MemoryError()
        for i, curve in enumerate(curves[:self.state.instrument_count]):
            if curve is not None:
                self.state.curves[<uint32_t>i] = (<VolumeCurve?>curve).sums
        self.kept_alive.append(curves)

    def __dealloc__(self):
        free(<void *>self.state.curves)
        free(self.state.views)
        free(self.state.states)
        free(self.state.converted)
        free(self.state.usual)
        free(self.state.parent_timers)
        free(self.state.slice_timers)
        free(self.state.child_timers)
        free(self.state.own)
        free(self.state.posted)
        free(self.state.trails)
        free(self.state.made.made)

    cdef int step(self, int64_t now_ns) noexcept nogil:
        cdef const ParentOrder *order
        cdef const char *record
        cdef uint64_t key
        cdef uint32_t i, size, tag
        cdef int work = 0
        cdef int taken = 0
        cdef uint64_t killed
        record = self.commands.native.peek(&size, &tag)
        if record is not NULL:
            if tag >> 8:
                router.on_rearm(&self.state, <uint16_t>(tag >> 8), <uint8_t>tag, now_ns)
            else:
                router.on_state(&self.state, <uint8_t>tag, now_ns)
            self.commands.native.release()
            work += 1
        if self.state.risk.state != TradingState.HALTED and (
                pending.is_set(self.state.reports_full)                 # a report was lost: nobody knows what is out
                or segments.load_acquire(&self.state.journal.durability.halted)     # nothing new that is not written
                or kill.load(&self.state.kill_line.everything)):
            router.on_state(&self.state, TradingState.HALTED, now_ns)
        if (segments.load_acquire(&self.state.journal.durability.halted) == segments.Halt.FLUSH_FAILED
                and not self.state.fault.code):
            router_faults.fail(&self.state, FaultCode.JOURNAL_LOST, 0, now_ns)
        killed = kill.load(&self.state.kill_line.strategies)
        killed = killed << 32 | <uint32_t>kill.load(&self.state.kill_line.exchanges)
        if killed != self.state.killed:
            router.on_killed(&self.state, killed, now_ns)
        for i in range(self.state.port_count):
            work += self.take_port(i, now_ns)
        while taken < BATCH:
            order = <const ParentOrder *>self.state.parents.peek()
            if order is NULL:
                break
            router.on_parent(&self.state, order, now_ns)
            self.state.parents.release()
            taken += 1
        work += taken
        if now_ns >= self.day_ends_ns:
            router.on_timer(&self.state, DAY_TIMER, now_ns)
            self.find_day(now_ns)
            work += 1
        taken = 0
        while taken < BATCH and timers.expire(self.state.timers, now_ns, &key):
            router.on_timer(&self.state, key, now_ns)
            taken += 1
        work += taken
        catch_up(&self.state, now_ns)
        if work:
            latency.record(&self.step_time.histogram, clock.monotonic_ns() - now_ns)
        else:
            decisions.write_all(&self.state)
        return work

    cdef void find_day(self, int64_t now_ns) noexcept nogil:
        """When the day ends, by the unix clock as it stands now. One that is set back a little ends no day twice."""
        cdef int64_t unix_ns
        if self.day_begins_ns < 0:
            self.day_ends_ns = INT64_MAX
            return
        if not self.virtual_clock:
            self.unix_offset_ns = clock.unix_ns() - clock.monotonic_ns()
        unix_ns = now_ns + self.unix_offset_ns + (<int64_t>HOUR_NS if self.day_ends_ns else 0)
        unix_ns += <int64_t>DAY_NS - (unix_ns - self.day_begins_ns) % <int64_t>DAY_NS
        self.day_ends_ns = unix_ns - self.unix_offset_ns

    cdef int take_port(self, uint32_t index, int64_t now_ns) noexcept nogil:
        """Reports first, so that the next split knows what is filled; both in batches, so that neither starves."""
        cdef Port *port = &self.state.ports[index]
        cdef const ExecutionReport *report
        cdef const Wake *wake
        cdef int work = 0
        while port.reports is not NULL and work < BATCH:
            report = <const ExecutionReport *>port.reports.peek()
            if report is NULL:
                break
            router.on_report(&self.state, index, report, now_ns)
            port.reports.release()
            work += 1
        while work < 2 * BATCH:
            wake = <const Wake *>port.wakes.peek()
            if wake is NULL:
                break
            router.on_wake(&self.state, index, wake, now_ns)
            port.wakes.release()
            work += 1
        return work

    cdef bint has_work(self) noexcept nogil:
        cdef uint32_t i, size, tag
        if (self.state.parents.peek() is not NULL or self.commands.native.peek(&size, &tag) is not NULL
                or self.state.made.taken != self.state.made.pushed):
            return True
        for i in range(self.state.port_count):
            if self.state.ports[i].wakes.peek() is not NULL:
                return True
            if self.state.ports[i].reports is not NULL and self.state.ports[i].reports.peek() is not NULL:
                return True
        return False

    cdef int64_t wake_ns(self) noexcept nogil:
        return min(timers.next_deadline(self.state.timers), self.day_ends_ns)

    def run_once(self, int64_t now_ns):
        """One step at a given time: the direct server. Returns how much was done."""
        cdef int work
        with nogil:
            work = self.step(now_ns)
        return work

    def write_decisions(self):
        """Write the decisions that wait for it. Where the loop does not run, or no longer."""
        decisions.write_all(&self.state)

    def adopt(self, uint32_t slot, int64_t now_ns):
        """Watch over an order of an earlier run that `orders.adopt` has entered. Before the loop runs only."""
        self.orders.order(slot)
        child_orders.adopt(&self.state, slot, now_ns)

    def learned_arrivals(self, int64_t now_ns):
        """What orders that take find when they arrive, learned in this run or told by `expect`: for each listing, in
        index order, (part of what is displayed that will be gone, round trip in nanoseconds, or None where no order
        has ended yet). A value may be newer than its neighbour."""
        cdef uint32_t i
        found = []
        for i in range(self.state.listing_count):
            one = self.state.states[i].arrivals
            found.append((arrivals.missing(&one, now_ns) / <double>arrivals.WHOLE, one.round_trip_ns or None))
        return found

    def chase(self, uint32_t instrument):
        """How much dearer it is to send again what was gone, after fees, as a part of the price."""
        if instrument >= self.state.instrument_count:
            raise ValueError(f"instrument {instrument}: there are {self.state.instrument_count}")
        return self.state.chase[instrument] / 1e8

    def expect(self, uint32_t listing, double missing, int64_t round_trip_ns, int64_t now_ns):
        """Begin with what an earlier run has learned of a listing; round_trip_ns 0 = nothing. Before the loop runs.

        Raises ValueError that names the argument that is wrong.
        """
        if listing >= self.state.listing_count:
            raise ValueError(f"listing {listing}: there are {self.state.listing_count}")
        if not 0.0 <= missing <= 1.0:
            raise ValueError(f"missing {missing}: expected a part, 0 to 1")
        if round_trip_ns < 0:
            raise ValueError(f"round_trip_ns {round_trip_ns}: expected 0 or more")
        self.state.states[listing].arrivals.missing = <int64_t>(missing * arrivals.WHOLE)
        self.state.states[listing].arrivals.round_trip_ns = round_trip_ns
        self.state.states[listing].arrivals.learned_ns = now_ns

    def set_state(self, int state):
        """Queue a TradingState. Control thread only."""
        taken = self.commands.push(b"", state)
        self.bell.native.ring()
        return taken

    def set_strategy_state(self, uint16_t strategy, uint8_t state):
        """Queue a TradingState of one strategy; ACTIVE arms it again. Control thread only."""
        return self.set_state((strategy + router.FIRST_STRATEGY) << 8 | state)

    def set_exchange_state(self, uint16_t exchange, uint8_t state):
        """Queue a TradingState of one exchange: REDUCING or ACTIVE. Control thread only."""
        return self.set_state((exchange + router.FIRST_EXCHANGE) << 8 | state)

    def rearm_instrument(self, uint16_t instrument):
        """Queue that the exchanges are right about an instrument whose books differed. Control thread only."""
        return self.set_state((instrument + router.FIRST_INSTRUMENT) << 8)

    def rearm_total(self):
        """Queue that the profit of everything is counted anew. Control thread only."""
        return self.set_state(router.EVERYTHING << 8)

    # Replay: inputs given by hand, in the order of the input log, instead of taken from the inboxes.

    def replay_wake(self, uint32_t port, uint32_t listing, int64_t now_ns):
        """The board of a listing changed."""
        cdef Wake wake
        memset(&wake, 0, sizeof(Wake))
        wake.listing = listing
        router.on_wake(&self.state, port, &wake, now_ns)

    def replay_report(self, uint32_t port, const unsigned char[::1] payload, int64_t now_ns):
        """One ExecutionReport, as the journal has it."""
        router.on_report(&self.state, port, <const ExecutionReport *>&payload[0], now_ns)

    def replay_parent(self, const unsigned char[::1] payload, int64_t now_ns):
        """One ParentOrder, as the journal has it."""
        router.on_parent(&self.state, <const ParentOrder *>&payload[0], now_ns)

    def replay_state(self, uint16_t whose, uint64_t state, int64_t now_ns):
        """Trading is allowed, reduced or halted, or somebody was killed; `whose` as the input log has it."""
        if whose == router.KILLED:
            router.on_killed(&self.state, state, now_ns)
        elif whose:
            router.on_rearm(&self.state, whose, <uint8_t>state, now_ns)
        else:
            router.on_state(&self.state, <uint8_t>state, now_ns)

    def replay_timer(self, uint64_t key, int64_t now_ns):
        """A timer expired."""
        router.on_timer(&self.state, key, now_ns)

    @property
    def fault(self):
        """(FaultCode, parent id or client order id) of the first broken invariant since trading was allowed."""
        return PythonFaultCode(self.state.fault.code), self.state.fault.subject

    @property
    def inexact_split(self):
        """(parent id, instrument index, unfilled, gap) of the last split whose search was cut short, as of `Allotted`;
        None = there was none."""
        if not self.state.inexact_splits:
            return None
        return (self.state.inexact_parent, self.state.inexact_instrument, self.state.inexact.unfilled,
                exact_wide(&self.state.inexact.gap))

    @property
    def counts(self):
        """What the router did, as a dict; refusals by the name of their Reason."""
        return {
            "parents": self.state.parents_taken, "splits": self.state.splits, "searched": self.state.searched_splits,
            "split_nodes": self.state.split_nodes, "inexact": self.state.inexact_splits,
            "asked": self.state.asked, "faults": self.state.faults,
            "wakes": sum(self.state.ports[i].wakes_taken for i in range(self.state.port_count)),
            "reports": sum(self.state.ports[i].reports_taken for i in range(self.state.port_count)),
            "timers": self.state.timers.count,
            "decisions": self.state.decisions.sequence, "decisions_lost": self.state.decisions.lost,
            "refusals": {Reason(i).name: self.state.refusals[i] for i in range(REFUSALS) if self.state.refusals[i]},
        }


cdef class StrategizerLoop(Loop):
    """Runs the strategies; see strategizer.pxd.

    Parameters
    ----------
    table : numpy structured array of LISTING_DTYPE
    strategies : list of Strategy
        Their index in reports and parent ids is their place here plus one; 0 is what Python submits.
    wakes, parent_reports, parents : Ring
        From and to the router.
    """

    def __init__(self, table, list strategies, Board board, unsigned char[::1] strategy_pending, InputLogFiles log,
                 Ring wakes, Ring parent_reports, Ring parents, Doorbell bell, Doorbell router_bell):
        cdef uint32_t n = len(table)
        cdef uint32_t i
        if len(strategies) >= STRATEGIES:
            raise ValueError(f"strategies: {len(strategies)}, at most {STRATEGIES - 1} are possible")
        cdef const Listing[::1] listings = table
        self.bell = bell
        self.commands = ByteRing(1 << 18)
        self.denials = ByteRing(1 << 16)
        self.step_time = PythonHistogram()
        self.kept_alive = [table, board, strategy_pending, log, wakes, parent_reports, parents, router_bell,
                           list(strategies)]
        self.state.listings, self.state.listing_count = &listings[0], n
        self.state.views = <BoardEntry *>calloc(n, sizeof(BoardEntry))
        if self.state.views is NULL:
            raise MemoryError()
        self.state.board, self.state.strategy_pending = board.native, &strategy_pending[0]
        self.state.wakes, self.state.parent_reports = wakes.of64, parent_reports.of128
        self.state.parents, self.state.router_bell = parents.of128, router_bell.native
        self.state.commands, self.state.denials, self.state.log = self.commands.native, self.denials.native, &log.log
        self.state.strategy_count = len(strategies) + 1
        for i in range(1, self.state.strategy_count):
            self.state.strategies[i] = <void *><Strategy?>strategies[i - 1]
            self.state.contexts[i].listings = self.state.listings
            self.state.contexts[i].listing_count = n
            self.state.contexts[i].views = self.state.views
            self.state.contexts[i].orders = self.state.emitted
            self.state.contexts[i].strategy = <unsigned short>i

    def __dealloc__(self):
        free(self.state.views)

    cdef int step(self, int64_t now_ns) noexcept nogil:
        cdef const ParentReport *report
        cdef const Wake *wake
        cdef const char *record
        cdef uint32_t size, tag
        cdef int work = 0
        while work < BATCH:
            report = <const ParentReport *>self.state.parent_reports.peek()
            if report is NULL:
                break
            strategizer.on_report(&self.state, report, now_ns)
            self.state.parent_reports.release()
            work += 1
        while work < 2 * BATCH:
            wake = <const Wake *>self.state.wakes.peek()
            if wake is NULL:
                break
            strategizer.on_wake(&self.state, wake, now_ns)
            self.state.wakes.release()
            work += 1
        while True:
            if self.state.parents.size() == self.state.parents.capacity():
                break                           # it waits here; when this ring is full too, `submit` says so
            record = self.state.commands.peek(&size, &tag)
            if record is NULL:
                break
            strategizer.on_command(&self.state, tag, <const ParentOrder *>record, now_ns)
            self.state.commands.release()
            work += 1
        work += strategizer.fire_timers(&self.state, now_ns)
        if work:
            latency.record(&self.step_time.histogram, clock.monotonic_ns() - now_ns)
        return work

    cdef bint has_work(self) noexcept nogil:
        cdef uint32_t size, tag
        return (self.state.wakes.peek() is not NULL or self.state.parent_reports.peek() is not NULL
                or self.state.commands.peek(&size, &tag) is not NULL)

    cdef int64_t wake_ns(self) noexcept nogil:
        cdef int64_t earliest = 0x7FFFFFFFFFFFFFFF
        cdef uint32_t i
        if self.state.paused:
            return earliest
        for i in range(1, self.state.strategy_count):
            if self.state.contexts[i].wake_ns and self.state.contexts[i].wake_ns < earliest:
                earliest = self.state.contexts[i].wake_ns
        return earliest

    def submit(self, record):
        """Queue a parent order (one element of PARENT_ORDER_DTYPE); False = too many wait. Control thread only."""
        data = np.asarray(record, PARENT_ORDER_DTYPE).tobytes()
        taken = self.commands.push(data, StrategizerCommand.SUBMIT)
        self.bell.native.ring()
        return taken

    def next_denial(self):
        """One element of PARENT_REPORT_DTYPE: what became of a submission that the router denied; None = no more.
        Control thread only."""
        taken = self.denials.pop()
        return None if taken is None else np.frombuffer(taken[1], PARENT_REPORT_DTYPE, 1)[0]

    def pause(self, bint paused=True):
        """Queue that strategies hear of nothing but their own parents from now on, or of everything again; False = too
        much waits. Control thread only."""
        taken = self.commands.push(b"", StrategizerCommand.PAUSE if paused else StrategizerCommand.RESUME)
        self.bell.native.ring()
        return taken

    @property
    def paused(self):
        """Whether strategies are paused."""
        return self.state.paused != 0

    @property
    def counts(self):
        """What the strategizer did, as a dict; `parents` are orders and cancels that went to the router, `lost` those
        that found its ring full."""
        return {"wakes": self.state.wakes_taken, "reports": self.state.reports_taken,
                "commands": self.state.commands_taken, "parents": self.state.orders_sent,
                "lost": self.state.orders_lost}

    def run_once(self, int64_t now_ns):
        """One step at a given time: the direct server. Returns how much was done."""
        cdef int work
        with nogil:
            work = self.step(now_ns)
        return work
