"""What the router knows: the boards as it has seen them, what is out where, and the ways to everyone else.

Router thread only, but for the rings and flags, which have another thread at their other end.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core.active_parents cimport ActiveParents
from orderflow._core.algos.queue cimport BestQueue, Place, Recent
from orderflow._core.algos.usual cimport UsualBook
from orderflow._core.allocation cimport Allocation, Allocator
from orderflow._core.arrivals cimport Arrivals
from orderflow._core.board cimport SequenceBoard
from orderflow._core.decision_log cimport DecisionLog, Trail
from orderflow._core.decision_queue cimport MadeQueue
from orderflow._core.doorbell cimport NativeDoorbell
from orderflow._core.fixed cimport int128
from orderflow._core.input_log cimport InputLog
from orderflow._core.journal cimport Journal
from orderflow._core.kill cimport KillLine
from orderflow._core.latency cimport Histogram
from orderflow._core.order_table cimport Table
from orderflow._core.residuals cimport Residuals
from orderflow._core.ring cimport Ring64, Ring128
from orderflow._core.risk_state cimport Risk
from orderflow._core.timers cimport Timers
from orderflow._core.types cimport BoardEntry, Fault, Listing

cdef enum:
    MAXIMUM_EXCHANGES = 32
    REFUSALS = 64               # codes of Reason
    CHANGES = 8                 # that are remembered
    CAUTION_NS = 10_000_000_000     # after an exchange took no order


cdef extern from *:
    """
    #define ORDERFLOW_CHILD_TIMER (UINT64_C(1) << 63)
    #define ORDERFLOW_DAY_TIMER (UINT64_C(1) << 62)
    #define ORDERFLOW_SLICE_TIMER (UINT64_C(1) << 61)
    """
    const uint64_t CHILD_TIMER "ORDERFLOW_CHILD_TIMER"     # timer keys: those of child orders carry it, of parents not
    const uint64_t DAY_TIMER "ORDERFLOW_DAY_TIMER"         # the key of the day's end
    const uint64_t SLICE_TIMER "ORDERFLOW_SLICE_TIMER"     # of a parent's next slice or look


cdef struct Port:               # one exchange as the router sees it
    Ring64 *wakes
    Ring128 *reports
    Ring128 *orders
    NativeDoorbell *bell
    uint64_t wakes_taken
    uint64_t reports_taken
    uint8_t amends              # Amends


cdef struct Change:             # that we have asked for at a price: the book may show it or not show it yet
    int64_t price               # listing scale
    int64_t quantity            # that comes or goes
    int64_t sent_ns             # monotonic


cdef struct Pause:              # nothing is sent to a listing (pauses.pxd)
    int64_t until_ns
    uint8_t times               # that it was refused in a row


cdef struct ListingState:
    Change changes[2][CHANGES]  # of orders that rest, buys and sells; the oldest is overwritten
    int128 volume               # traded in this run, ours included; instrument scale
    uint64_t traded             # what the board said of that last
    uint64_t spent_version      # of the book when our last order there ended; nothing newer was seen yet
    int64_t limited_until_ns    # its exchange had no room for an order: not before
    int64_t cautious_until_ns   # until then one order after the other, so that not every parent's is refused
    uint64_t tried              # the order that it waits for then, 0 = none
    Arrivals arrivals
    uint32_t spent_epoch
    uint32_t under_way          # children of ours that block it (see `blocks`)
    uint32_t changed[2]         # how many ever
    Pause halted
    Pause short_of[2]           # of funds to buy, and of something to sell
    BestQueue queues[2]         # of bids and of asks
    Recent spread               # listing scale times nanoseconds
    uint64_t taken[2]           # what the board said of trades that took bids, and asks, last
    int64_t queues_ns           # when it was LIVE last; 0 = it is not


cdef struct ConvertedListing:   # what one unit of its quote currency costs, in 1e-12 (conversion.pxd); 0 = nobody knows
    int64_t buy
    int64_t sell
    uint32_t next               # with a rate of the same instrument, those of one instrument together
    uint8_t changed             # at the last look


cdef struct Posted:             # what a parent that joins has in the book of one listing
    Place place                 # of its order
    uint64_t order              # client order id; 0 = none yet
    uint32_t slot
    uint8_t refused             # the exchange ended one by itself: no more go there


cdef struct OwnReport:          # about an order, from the router to itself
    uint64_t client_order_id
    uint32_t slot
    uint8_t exec_type           # ExecType
    uint8_t reason              # Reason


cdef struct RouterState:
    const Listing *listings
    const uint32_t *members     # listing indices, instrument after instrument
    const uint32_t *first       # by instrument: where its members begin; one more at the end
    Listing *priced             # by listing: the same, whose fee counts what fades there
    int64_t *chase              # by instrument: what fading costs, as of arrivals.pxd
    const double **curves       # by instrument: running sums of its volume curve, NULL = it has none
    BoardEntry *views           # by listing: the last read
    ListingState *states        # by listing
    ConvertedListing *converted     # by listing
    uint32_t *first_converted   # by instrument: the first listing that it gives a rate
    UsualBook *usual            # by listing
    SequenceBoard *board
    uint8_t *wake_pending       # by listing; exchange threads raise, we lower
    uint8_t *strategy_pending   # by listing; we raise, the strategizer lowers
    Table *table
    Risk *risk
    Residuals *residuals
    Journal *journal
    InputLog *log
    DecisionLog *decisions
    Trail *trails               # by slot of the parent
    MadeQueue made              # decisions that are not written yet
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
    uint64_t *slice_timers      # by slot: of the parent's next slice or look
    uint64_t *child_timers      # by slot: handle of the timer that waits for the order's answer
    Posted *posted              # [slot of the parent][place of the listing within its instrument]
    OwnReport *own              # a queue, read when the input under way is done with
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
    uint64_t own_pushed
    uint64_t own_taken
    uint32_t own_capacity
    uint32_t port_count
    uint32_t listing_count
    uint32_t instrument_count
    uint32_t most_members       # listings of an instrument
    uint8_t policy              # RoutePolicy
    uint8_t lagged              # the strategizer does not take its reports
