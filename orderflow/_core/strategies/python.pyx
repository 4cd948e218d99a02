"""A plain Python object as a strategy: the door for notebooks. Takes the GIL for every event.

One of the two places that do (the other is the transport's fallback); nothing but the strategizer thread waits for it.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

import sys
import traceback

import numpy as np

from orderflow._core.strategy cimport Strategy, StrategyContext, cancel, replace, rest_at, submit
from orderflow._core.types cimport BoardEntry, ParentOrder, ParentReport

from orderflow._core.board import BOARD_ENTRY_DTYPE
from orderflow._core.types import PARENT_ORDER_DTYPE, PARENT_REPORT_DTYPE, Side

#: Exceptions of one strategy that are kept.
MOST_FAILURES = 100


cdef class Market:
    """What a Python strategy may ask and do; valid during one call.

    Attributes
    ----------
    listings : list of Listing
        By listing index.
    instruments : dict of str -> Instrument
    """
    cdef StrategyContext *context
    cdef readonly object listings
    cdef readonly dict instruments
    cdef object parent_order

    @property
    def now_ns(self):
        """Monotonic time of the event."""
        return self.context.now_ns

    def submit(self, str instrument, str side, quantity, limit_price=None, **how):
        """Emit a parent order; returns its id. The arguments are those of Engine.submit, `algorithm` and all that goes
        with it included; a wrong one is a ValueError that names it."""
        record = self.parent_order(instrument, self.context.now_ns, side, quantity, limit_price, **how)
        cdef const ParentOrder[::1] asked = np.frombuffer(record.tobytes(), PARENT_ORDER_DTYPE)
        cdef ParentOrder *order = submit(self.context, asked[0].instrument, asked[0].side, asked[0].quantity,
                                         asked[0].limit_price)
        if order is NULL:
            raise RuntimeError("too many parent orders in one call")
        cdef uint64_t parent_id = order.parent_id
        order[0] = asked[0]
        order.parent_id = parent_id
        order.strategy = self.context.strategy
        return parent_id

    def rest(self, uint32_t listing, str side, quantity, limit_price, bint post_only=False, seconds=None):
        """Emit a parent order that is one order at its price on one listing until it is filled, replaced or cancelled;
        returns its id. Decimals as text, Decimal or int."""
        where = self.listings[listing]
        cdef ParentOrder *order = rest_at(self.context, listing, Side[side.upper()], where.quantity(quantity),
                                          where.price(limit_price), post_only)
        if order is NULL:
            raise RuntimeError("too many parent orders in one call")
        if seconds is not None:
            order.end_ns = self.context.now_ns + <int64_t>(seconds * 1e9)
        return order.parent_id

    def cancel(self, uint64_t parent_id):
        """End a parent order of this strategy."""
        if not cancel(self.context, parent_id):
            raise RuntimeError("too many parent orders in one call")

    def replace(self, uint64_t parent_id, str instrument, quantity=None, limit_price=None):
        """Another whole quantity or limit price for a parent order of this strategy; None = as it is."""
        item = self.instruments[instrument]
        if not replace(self.context, parent_id, item.quantity(quantity) if quantity is not None else 0,
                       item.price(limit_price) if limit_price is not None else 0):
            raise RuntimeError("too many parent orders in one call")

    def call_at(self, int64_t when_ns):
        """Ask for on_timer at a monotonic time."""
        self.context.wake_ns = when_ns

    def book(self, uint64_t listing):
        """The last that was read of a listing's board: one record of BOARD_ENTRY_DTYPE, a copy."""
        if listing >= self.context.listing_count:
            raise IndexError(f"listing {listing} is not one of {self.context.listing_count}")
        return _record(&self.context.views[listing], sizeof(BoardEntry), BOARD_ENTRY_DTYPE)


cdef _record(const void *source, size_t size, dtype):
    return np.frombuffer((<const char *>source)[:size], dtype, 1)[0]


cdef class PythonStrategy(Strategy):
    """Calls a Python object's on_signal(market, listing, entry), on_report(market, report) and on_timer(market), those
    that it has. An exception does not stop anything else: the first is printed, a hundred are kept in `failures`, and
    `failed` counts all."""
    cdef object target
    cdef object on_signal_of
    cdef object on_report_of
    cdef object on_timer_of
    cdef Market market
    cdef readonly list failures
    cdef readonly uint64_t failed

    def __init__(self, target):
        super().__init__(type(target).__name__)
        self.target = target
        self.on_signal_of = getattr(target, "on_signal", None)
        self.on_report_of = getattr(target, "on_report", None)
        self.on_timer_of = getattr(target, "on_timer", None)
        self.market = Market()
        self.failures = []

    def bind(self, listings, instruments, parent_order):
        """Tell the strategy what there is to trade; called by the engine before it starts. `parent_order(instrument,
        now_ns, side, quantity, limit_price, **how)` makes and checks a record of PARENT_ORDER_DTYPE."""
        self.market.parent_order = parent_order
        self.market.listings = listings
        self.market.instruments = {item.name: item for item in instruments}

    cdef void on_signal(self, StrategyContext *context, const BoardEntry *entry) noexcept nogil:
        with gil:
            if self.on_signal_of is not None:
                self.call(context, self.on_signal_of, (entry.listing, _record(entry, sizeof(BoardEntry),
                                                                              BOARD_ENTRY_DTYPE)))

    cdef void on_report(self, StrategyContext *context, const ParentReport *report) noexcept nogil:
        with gil:
            if self.on_report_of is not None:
                self.call(context, self.on_report_of, (_record(report, sizeof(ParentReport), PARENT_REPORT_DTYPE),))

    cdef void on_timer(self, StrategyContext *context) noexcept nogil:
        with gil:
            if self.on_timer_of is not None:
                self.call(context, self.on_timer_of, ())

    cdef void call(self, StrategyContext *context, function, tuple arguments) noexcept:
        """User code: whatever it raises is kept for the user and goes no further."""
        self.market.context = context
        try:
            function(self.market, *arguments)
        except Exception as error:
            self.failed += 1
            if self.failed == 1:
                traceback.print_exc(file=sys.stderr)
            if self.failed <= MOST_FAILURES:
                self.failures.append(error)
