"""Memory and Python face of the matching engine."""
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from orderflow._core cimport matching, queue_ladder, resting
from orderflow._core.queue_ladder cimport FarLevel, PriceLevel
from orderflow._core.matching cimport Instruction, MatchReport, Outcome
from orderflow._core.resting cimport LevelChange, Resting, RestingOrder
from orderflow._core.types cimport ChildKind, Level, OrderFlag, OrderType, TimeInForce

from typing import NamedTuple

import numpy as np

from orderflow._core import types

cdef extern from *:
    """
    #include <stdlib.h>
    #include <sys/mman.h>
    #ifdef MADV_HUGEPAGE
    static void orderflow_prefer_huge(void *memory, size_t size) { madvise(memory, size, MADV_HUGEPAGE); }
    #else
    static void orderflow_prefer_huge(void *, size_t) {}
    #endif
    """
    void *aligned_alloc(size_t alignment, size_t size) noexcept
    void prefer_huge "orderflow_prefer_huge"(void *memory, size_t size) noexcept


cdef Instruction _instruction
cdef MatchReport _report
cdef Outcome _outcome
cdef LevelChange _change

INSTRUCTION_DTYPE = np.asarray(<Instruction[:1]>&_instruction).dtype
MATCH_REPORT_DTYPE = np.asarray(<MatchReport[:1]>&_report).dtype
OUTCOME_DTYPE = np.asarray(<Outcome[:1]>&_outcome).dtype
LEVEL_CHANGE_DTYPE = np.asarray(<LevelChange[:1]>&_change).dtype

cdef enum:
    REPORTS = 1024              # room of the Python face; longer sweeps take several rounds
    SMALLEST_WINDOW = 256
    LARGEST_WINDOW = 1 << 24
    LARGEST_CAPACITY = 1 << 30
    LARGEST_TICK_BITS = 61
    LOOK_AHEAD = 8              # instructions


class Submitted(NamedTuple):
    """What became of one order."""
    status: MatchStatus
    reason: "types.Reason"
    filled: int
    resting: int
    cancelled: int
    trades: np.ndarray


cdef uint64_t inverse_of_odd(uint64_t odd):
    """The inverse modulo 2**64 by Newton's iteration: five steps take 5 correct bits past 64."""
    cdef uint64_t inverse = odd * 3 ^ 2
    for _ in range(4):
        inverse *= 2 - odd * inverse
    return inverse


cdef void *touched(size_t count, size_t size) noexcept:
    """Zeroed memory for what every order looks at: mapped now, in huge pages where it fills some."""
    cdef size_t page = 1 << 21 if count * size >= 1 << 21 else 64
    cdef size_t rounded = (count * size + page - 1) // page * page
    cdef void *memory = aligned_alloc(page, rounded)
    if memory is not NULL:
        prefer_huge(memory, rounded)
        memset(memory, 0, rounded)
    return memory


cdef _copy(const void *source, uint32_t count, dtype):
    cdef Py_ssize_t size = <Py_ssize_t>count * <Py_ssize_t>dtype.itemsize
    return np.frombuffer(bytearray(PyBytes_FromStringAndSize(<const char *>source, size)), dtype=dtype)


cdef class MatchingEngine:
    """A limit order book that matches by price, then time: one symbol.

    Parameters
    ----------
    tick : int
        Price step; every limit price is a multiple of it.
    capacity : int
        Most orders that can rest at a time. Beyond, an order that would rest is refused with Reason.TABLE_FULL.
    window : int
        Ticks around the touch that are addressed directly, rounded up to a power of two. Prices outside work too.
    changes : int
        Most levels that can change between two drains; 0 = changes are not followed.

    Prices and quantities are integers in the caller's scale. Raises ValueError for parameters out of range.
    """

    def __cinit__(self, int64_t tick=1, uint32_t capacity=65536, uint32_t window=65536, uint32_t changes=8192):
        if tick <= 0:
            raise ValueError(f"tick: {tick} is not positive")
        if not 0 < capacity <= LARGEST_CAPACITY:
            raise ValueError(f"capacity: {capacity} is not within 1 .. {LARGEST_CAPACITY}")
        if window > LARGEST_WINDOW:
            raise ValueError(f"window: {window} exceeds {LARGEST_WINDOW} ticks")
        self.set_tick(tick)
        self.allocate(capacity, window, changes)

    cdef void set_tick(self, int64_t tick) noexcept:
        cdef Resting *book = &self.matching.resting
        cdef uint64_t odd = <uint64_t>tick
        book.tick = tick
        while odd & 1 == 0:
            odd >>= 1
            book.tick_shift += 1
        book.tick_inverse = inverse_of_odd(odd)
        book.largest_tick = <uint64_t>INT64_MAX // <uint64_t>tick
        if book.largest_tick > <uint64_t>1 << LARGEST_TICK_BITS:
            book.largest_tick = <uint64_t>1 << LARGEST_TICK_BITS

    cdef int allocate(self, uint32_t capacity, uint32_t window, uint32_t changes) except -1:
        cdef Resting *book = &self.matching.resting
        cdef uint32_t size = SMALLEST_WINDOW
        cdef uint32_t words
        cdef uint32_t id_bits = 4
        cdef uint32_t slot
        while size < window:
            size *= 2
        words = size // 64
        while <uint64_t>1 << id_bits < 2 * <uint64_t>capacity:
            id_bits += 1
        book.ladder.mask = size - 1
        book.ladder.word_mask = words - 1
        book.ladder.summary_mask = (words + 63) // 64 - 1
        book.id_mask = <uint32_t>((<uint64_t>1 << id_bits) - 1)
        book.id_shift = 32 - id_bits
        book.best_ask = INT64_MAX
        book.capacity = capacity
        book.change_capacity = changes
        book.ladder.levels = <PriceLevel *>touched(size, sizeof(PriceLevel))
        book.ladder.words = <uint64_t *>calloc(words, sizeof(uint64_t))
        book.ladder.summary = <uint64_t *>calloc((words + 63) // 64, sizeof(uint64_t))
        # calloc leaves pages that are never touched unmapped: room for every order costs address space only.
        book.ladder.below = <FarLevel *>calloc(capacity, sizeof(FarLevel))
        book.ladder.above = <FarLevel *>calloc(capacity, sizeof(FarLevel))
        book.orders = <RestingOrder *>touched(<size_t>capacity + 1, sizeof(RestingOrder))
        book.owners = <uint32_t *>touched(<size_t>capacity + 1, sizeof(uint32_t))
        book.ids = <uint64_t *>touched(<size_t>book.id_mask + 1, sizeof(uint64_t))
        book.changes = <uint64_t *>calloc(<size_t>changes + 1, sizeof(uint64_t))
        self.reports = <MatchReport *>calloc(REPORTS, sizeof(MatchReport))
        if (book.ladder.levels is NULL or book.ladder.words is NULL or book.ladder.summary is NULL
                or book.ladder.below is NULL or book.ladder.above is NULL or book.orders is NULL
                or book.owners is NULL or book.ids is NULL or book.changes is NULL or self.reports is NULL):
            raise MemoryError(f"a matching engine for {capacity} orders does not fit into memory")
        for slot in range(1, capacity):
            book.orders[slot].next = slot + 1
        book.free_slot = 1
        return 0

    def __dealloc__(self):
        cdef Resting *book = &self.matching.resting
        free(book.ladder.levels)
        free(book.ladder.words)
        free(book.ladder.summary)
        free(book.ladder.below)
        free(book.ladder.above)
        free(book.orders)
        free(book.owners)
        free(book.ids)
        free(book.changes)
        free(self.reports)

    def submit(self, uint64_t order_id, uint8_t side, int64_t quantity, int64_t price=0, *,
               uint8_t order_type=OrderType.LIMIT, uint8_t time_in_force=TimeInForce.GTC, bint post_only=False,
               uint32_t owner=0):
        """Send one order and match it to its end; returns a Submitted, with `trades` of MATCH_REPORT_DTYPE."""
        cdef Instruction order = _instruction
        cdef Outcome outcome
        cdef int status
        order.order_id = order_id
        order.kind = ChildKind.NEW_ORDER
        order.side = side
        order.price = price
        order.quantity = quantity
        order.owner = owner
        order.order_type = order_type
        order.time_in_force = time_in_force
        order.flags = OrderFlag.POST_ONLY if post_only else 0
        status = matching.submit(&self.matching, &order, self.reports, REPORTS, &outcome)
        trades = _copy(self.reports, outcome.trades, MATCH_REPORT_DTYPE)
        while status == MatchStatus.UNFINISHED:
            status = matching.resume(&self.matching, self.reports, REPORTS, &outcome)
            trades = np.concatenate([trades, _copy(self.reports, outcome.trades, MATCH_REPORT_DTYPE)])
        return Submitted(MatchStatus(status), types.Reason(outcome.reason), outcome.filled, outcome.resting,
                         outcome.cancelled, trades)

    def cancel(self, uint64_t order_id):
        """Cancel by id; returns (Reason, quantity that was still resting)."""
        cdef Outcome outcome
        matching.cancel(&self.matching, order_id, &outcome)
        return types.Reason(outcome.reason), outcome.cancelled

    def reduce(self, uint64_t order_id, int64_t quantity):
        """Take `quantity` off a resting order, which keeps its place in the queue; all of it, and it is cancelled.

        Returns (Reason, quantity that still rests).
        """
        cdef Outcome outcome
        matching.reduce(&self.matching, order_id, quantity, &outcome)
        return types.Reason(outcome.reason), outcome.resting

    def run(self, const Instruction[::1] instructions, MatchReport[::1] reports, Outcome[::1] outcomes,
            bint look_ahead=True):
        """Apply instructions in order without the GIL, as a simulator's loop does.

        Parameters
        ----------
        instructions : array of INSTRUCTION_DTYPE, shape (n,)
        reports : array of MATCH_REPORT_DTYPE
            Filled from the start, across instructions.
        outcomes : array of OUTCOME_DTYPE, shape (n,) or (0,)
            One for each instruction; empty = not wanted.
        look_ahead : bool
            Ask memory for the orders of later instructions in time. Off, it costs what orders cost one at a time.

        Returns
        -------
        tuple of int
            Instructions taken, reports written. Stops early when `reports` is full: an instruction that is left
            UNFINISHED counts as taken and `resume` has to follow.
        """
        cdef Outcome outcome
        cdef Py_ssize_t count = instructions.shape[0]
        cdef Py_ssize_t i = 0
        cdef uint32_t written = 0
        cdef uint32_t room = <uint32_t>min(reports.shape[0], 0x7FFFFFFF)
        cdef MatchReport *out = &reports[0] if room else NULL
        cdef const Instruction *next_one = &instructions[0] if count else NULL
        cdef Outcome *result = &outcomes[0] if outcomes.shape[0] else NULL
        if result is not NULL and outcomes.shape[0] != count:
            raise ValueError(f"outcomes: room for {outcomes.shape[0]}, expected {count} or none")
        with nogil:
            while i < count:
                # Ids are scattered over memory: two cache misses an instruction, unless they are asked for in time.
                if look_ahead and i + LOOK_AHEAD < count:
                    resting.expect_id(&self.matching.resting, next_one[LOOK_AHEAD].order_id)
                    resting.expect_order(&self.matching.resting, next_one[LOOK_AHEAD // 2].order_id)
                matching.apply(&self.matching, next_one, out + written, room - written, &outcome)
                written += outcome.trades
                if result is not NULL:
                    result[i] = outcome
                next_one += 1
                i += 1
                if outcome.status == MatchStatus.UNFINISHED:
                    break
        return i, written

    def resume(self, MatchReport[::1] reports):
        """Go on with the order that `run` left UNFINISHED; returns (MatchStatus, reports written)."""
        cdef Outcome outcome
        matching.resume(&self.matching, &reports[0] if reports.shape[0] else NULL, <uint32_t>reports.shape[0], &outcome)
        return MatchStatus(outcome.status), outcome.trades

    @property
    def best_bid(self):
        """Price of the best bid, None if there is none."""
        cdef const Resting *book = &self.matching.resting
        return book.best_bid * book.tick if book.best_bid else None

    @property
    def best_ask(self):
        """Price of the best ask, None if there is none."""
        cdef const Resting *book = &self.matching.resting
        return book.best_ask * book.tick if book.best_ask != INT64_MAX else None

    def __len__(self):
        return self.matching.resting.live

    def quantity_at(self, uint8_t side, int64_t price):
        """Quantity resting at a price on one side; 0 if there is none."""
        return resting.quantity_at(&self.matching.resting, side, price)

    def depth(self, uint8_t side, uint32_t levels=20):
        """The best levels of one side, best first: numpy structured array of LEVEL_DTYPE, shape (<= levels,)."""
        out = np.empty(min(levels, self.matching.resting.capacity), types.LEVEL_DTYPE)
        cdef Level[::1] view = out
        cdef uint32_t count = 0
        if len(out):
            count = resting.depth(&self.matching.resting, side, &view[0], <uint32_t>len(out))
        return out[:count]

    def queue_position(self, uint64_t order_id):
        """(quantity ahead, orders ahead) of a resting order; None if the id is not live."""
        cdef int64_t quantity
        cdef uint32_t orders
        if resting.queue_position(&self.matching.resting, order_id, &quantity, &orders) != 0:
            return None
        return quantity, orders

    def resting_order(self, uint64_t order_id):
        """(side, price, leaves quantity, owner) of a resting order; None if the id is not live."""
        cdef const Resting *book = &self.matching.resting
        cdef uint32_t slot = resting.find_slot(book, order_id)
        if slot == 0:
            return None
        cdef const RestingOrder *order = &book.orders[slot]
        return types.Side(resting.side_of(book, order.tick)), order.tick * book.tick, order.quantity, book.owners[slot]

    def drain_changes(self):
        """Levels changed since the last drain, as they are now, by rising price: array of LEVEL_CHANGE_DTYPE.

        None if more levels changed than are followed: take `depth` of both sides instead.
        """
        cdef Resting *book = &self.matching.resting
        if book.changes_lost:
            resting.forget_changes(book)
            return None
        out = np.zeros(max(book.change_count, 1), LEVEL_CHANGE_DTYPE)
        cdef LevelChange[::1] view = out
        return out[:resting.drain_changes(book, &view[0], <uint32_t>len(out))]

    @property
    def far_levels(self):
        """(below, above): how many levels lie outside the window; for tests and tuning."""
        cdef const queue_ladder.Ladder *levels = &self.matching.resting.ladder
        return levels.below_count, levels.above_count
