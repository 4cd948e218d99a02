"""The decision log: the books that a decision was made on, what each listing was given, and what else there was.

One record a decision: a head, then a part for every listing of the instrument in its order. It is a stream of its own
beside the journal, in the same kind of segments, because nothing is decided by it: the journal says what was sent, and
when it cannot be written nothing new is sent; this one only says why. So a segment that is not ready costs records and
no order, and when the next one is ready it goes on. Every decision takes a sequence, written or not: what is missing
shows as a gap.

Record, little endian, at a multiple of 8: DecisionHead | `listings` times DecisionPart. Its check is CRC32C with
`check` as 0, seeded by the segment.

Of decisions that send nothing only what is new is written, because they are made again with every change of a book,
and no more than MOST_WAITS a parent order. The others are at most as many as the orders in the journal.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from orderflow._core cimport segments
from orderflow._core.fixed cimport int128
from orderflow._core.segments cimport SegmentHeader, Writer
from orderflow._core.wide cimport Wide

cdef enum:
    MOST_WAITS = 1000           # decisions of one parent order that sent nothing and are written


cpdef enum DecisionPath:        # how the split was found
    NOTHING_SENDABLE = 0        # there was nothing to split
    GREEDY = 1                  # the first node proved it
    SEARCHED = 2                # branch and bound proved it
    CUT_SHORT = 3               # the nodes were used up: `gap` and `unfilled` say how far it may be from the best
    RESTED = 4                  # no split: one order at the parent's price, in the book


cpdef enum LeftOut:             # why a listing could be given nothing
    NOT_LEFT_OUT = 0
    NOT_ALLOWED = 1             # by the parent order
    BOOK_NOT_TRADABLE = 2       # it is not LIVE
    HALTED_LISTING = 3
    ORDER_UNDER_WAY = 4         # one of ours has not ended: what it takes is displayed still
    NO_ROOM = 5                 # for an order, by what the exchange allows
    ONE_AT_A_TIME = 6           # it took none a moment ago, and another order is tried first
    BOOK_UNCHANGED = 7          # since our last order there ended: what it took may be displayed still
    TAKES_NO_ORDERS = 8
    KILLED_EXCHANGE = 9
    ONLY_REDUCES = 10           # and there is nothing to reduce
    NO_RATE = 11                # nobody quotes what its currency costs in the instrument's
    NO_FUNDS = 12               # for this side, as the exchange said a moment ago
    OTHER_CHOSEN = 13           # RoutePolicy.SINGLE. From here on it was looked at
    WAITS_FOR_BETTER = 14       # a patient parent does not pay so much yet
    SENT_LATER = 15             # so that it arrives with the orders to slower exchanges
    CONDITION_NOT_MET = 16      # of MINIMAL_IMPACT and LIQUIDITY_SEEKING, by its book


cdef struct Exact:              # a Wide as it is written: high * 2**128 + middle * 2**64 + low
    uint64_t low
    uint64_t middle
    int64_t high


cdef struct DecisionHead:       # 184 bytes; instrument scale
    uint64_t sequence           # of the decisions of a run, from 1, written or not
    uint32_t check
    uint32_t bytes              # of the record
    uint64_t input_sequence     # router input that it was made at: `sequence` of its child orders
    uint64_t parent_id
    int64_t decided_ns          # monotonic
    int64_t cause_receive_ns    # stamp of the frame that caused it, 0 = none
    int64_t wanted
    int64_t split               # what its listings were given together
    int64_t sent                # of that; less where risk refused
    int64_t unfilled            # so much more may be possible; 0 = the split is the best
    int64_t limit_price         # 0 = none
    int64_t mid                 # of the LIVE books, 0 = none yet
    Exact all_in                # of the split: sum of all-in price * quantity, in 1e-8
    Exact gap                   # it may be had for so much less; 0 = the split is the best
    Exact sweep                 # all-in of as much at the best prices, without a look at fees, lots and minimums
    uint32_t instrument
    uint32_t nodes              # that the search looked at
    uint16_t listings           # parts behind this
    uint16_t waits              # of this parent order written so far, this one included
    uint8_t side
    uint8_t path                # DecisionPath
    uint8_t cause               # InputKind
    uint8_t reserved


cdef struct DecisionPart:       # 152 bytes: one listing, in its scale and currency
    uint64_t version            # of its book, with `epoch`
    int64_t receive_ns          # of the frame that gave this version
    int64_t best_price          # of the side that is taken; 0 = nothing is displayed
    int64_t best_quantity
    int64_t shown               # displayed within the limit
    int64_t most                # where it may only reduce: no more than this; INT64_MAX = it may anything
    int64_t quantity            # what it was given
    int64_t price               # the limit of that order
    int64_t surcharge           # 1e-8 of the price, for what fades there: the split counted it, the costs here do not
    int64_t rate                # that its prices were converted with; 0 = they were not, or there is none
    int64_t alone_quantity      # what it could have filled alone, instrument scale
    Exact all_in                # of `quantity`, ticket included; instrument scales and 1e-8
    Exact alone_all_in          # of `alone_quantity`
    uint32_t listing
    uint32_t epoch
    uint32_t publication        # of its board: names a state exactly
    uint8_t left_out            # LeftOut
    uint8_t book_state          # BookState
    uint8_t fault               # BookFault
    uint8_t result              # Reason: what became of the order on its way to the exchange thread


cdef struct Trail:              # of one parent order: what was written of it last
    uint64_t parent_id
    uint64_t reasons            # of the last decision that sent nothing, hashed
    uint16_t waits


cdef struct DecisionLog:
    Writer *writer
    uint64_t sequence           # of the last decision
    uint64_t lost


cdef nogil:
    inline void keep(const Wide *value, Exact *out) noexcept:
        out.low = value.low
        out.middle = <uint64_t>value.high
        out.high = <int64_t>(value.high >> 64)

    inline void add(Exact *total, const Exact *more) noexcept:
        cdef uint64_t carry
        total.low += more.low
        carry = total.low < more.low
        total.middle += carry
        carry = total.middle < carry
        total.middle += more.middle
        total.high += more.high + <int64_t>(carry + (total.middle < more.middle))

    inline DecisionPart *parts_of(DecisionHead *head) noexcept:
        return <DecisionPart *>(<uint8_t *>head + sizeof(DecisionHead))

    inline bint has_room(const Writer *writer, uint64_t size) noexcept:
        """Whether a record finds room without failing the writer for good."""
        return writer.offset + size <= writer.bytes or (
            size <= writer.bytes - sizeof(SegmentHeader)
            and segments.load_acquire(&writer.next_ready) and not segments.load_acquire(&writer.spent_ready))

    inline DecisionHead *reserve(DecisionLog *log, uint32_t listings) noexcept:
        """Room for the next decision, all zero but for what frames it; NULL if it is lost."""
        cdef uint32_t size = <uint32_t>sizeof(DecisionHead) + listings * <uint32_t>sizeof(DecisionPart)
        cdef DecisionHead *head = NULL
        log.sequence += 1
        if has_room(log.writer, size):
            head = <DecisionHead *>segments.claim(log.writer, size, log.sequence)
        if head is NULL:
            log.lost += 1
            return NULL
        head.sequence = log.sequence
        head.bytes = size
        head.listings = <uint16_t>listings
        return head

    inline void seal(DecisionLog *log, DecisionHead *head) noexcept:
        """It is whole."""
        head.check = segments.crc32c(log.writer.seed, head, head.bytes)
        segments.commit(log.writer, head.bytes, head.check)


cdef class DecisionFiles(segments.SegmentFiles):
    cdef DecisionLog log
