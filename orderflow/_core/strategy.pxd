"""The strategy interface: the same for built-in strategies, your own Cython against the installed wheel, and Python.

A strategy is told what changed and answers with parent orders. It never sees a socket, an exchange order id or another
strategy's money. Its methods run in the strategizer thread, without the GIL, one call per event; what it does there
must not block, allocate or raise.

    from orderflow cimport BoardEntry, ParentOrder, Side, Strategy, StrategyContext, submit_at

    cdef class Buyer(Strategy):
        cdef void on_signal(self, StrategyContext *context, const BoardEntry *entry) noexcept nogil:
            if entry.signals.imbalance > 0.9: ...

This file and types.pxd need no header and no include path: a strategy compiles against the installed wheel as it is.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from orderflow._core.types cimport (
    BoardEntry, Algorithm, Listing, OrderFlag, ParentKind, ParentOrder, ParentReport)

cdef enum:
    STRATEGY_ORDERS = 64        # parent orders that one call may emit


cdef struct StrategyContext:    # valid during one call
    int64_t now_ns              # monotonic; the time of the event
    const Listing *listings
    const BoardEntry *views     # by listing: the last that was read of each board
    ParentOrder *orders         # emitted in this call
    uint64_t counter            # of this strategy's parent orders
    uint32_t order_count
    uint32_t listing_count
    uint16_t strategy           # index of this strategy
    int64_t wake_ns             # set it to be called by on_timer then; 0 = never


cdef nogil:
    inline ParentOrder *submit(StrategyContext *context, uint32_t instrument, uint8_t side, int64_t quantity,
                               int64_t limit_price) noexcept:
        """A new parent order, working at once, in the instrument's scale; limit_price 0 = none. Set further fields on
        what is returned; NULL = too many in one call."""
        cdef ParentOrder *order
        if context.order_count == STRATEGY_ORDERS:
            return NULL
        order = &context.orders[context.order_count]
        context.order_count += 1
        context.counter += 1
        memset(order, 0, sizeof(ParentOrder))
        order.parent_id = <uint64_t>context.strategy << 48 | context.counter
        order.instrument = instrument
        order.side = side
        order.quantity = quantity
        order.limit_price = limit_price
        order.strategy = context.strategy
        order.kind = ParentKind.SUBMIT_PARENT
        order.algorithm = Algorithm.IMMEDIATE
        order.created_ns = order.start_ns = context.now_ns
        return order

    inline ParentOrder *ask(StrategyContext *context, uint64_t parent_id, uint8_t kind) noexcept:
        """Something about a parent order of this strategy that is out already; NULL = too many in one call."""
        cdef ParentOrder *order = submit(context, 0, 0, 0, 0)
        if order is not NULL:
            order.parent_id = parent_id
            order.kind = kind
        return order

    inline bint cancel(StrategyContext *context, uint64_t parent_id) noexcept:
        """End a parent order: nothing new for it, and what rests is cancelled. False: too many in one call."""
        return ask(context, parent_id, ParentKind.CANCEL_PARENT) is not NULL

    inline bint replace(StrategyContext *context, uint64_t parent_id, int64_t quantity, int64_t limit_price) noexcept:
        """Another whole quantity or limit price for a parent order, instrument scale; 0 = as it is. False: too many in
        one call."""
        cdef ParentOrder *order = ask(context, parent_id, ParentKind.REPLACE_PARENT)
        if order is NULL:
            return False
        order.quantity, order.limit_price = quantity, limit_price
        return True

    inline bint halt(StrategyContext *context) noexcept:
        """Give up: this strategy is killed, its orders are cancelled, and a person has to look. False: too many orders
        in one call."""
        return ask(context, 0, ParentKind.HALT_STRATEGY) is not NULL

    inline ParentOrder *submit_at(StrategyContext *context, uint32_t listing, uint8_t side, int64_t quantity,
                                  int64_t limit_price) noexcept:
        """The same for one listing alone and in its scale, the one that its board entry has: nothing goes elsewhere."""
        cdef const Listing *where = &context.listings[listing]
        cdef ParentOrder *order = submit(context, where.instrument, side, quantity * where.quantity_factor,
                                         limit_price * where.price_factor)
        cdef uint32_t place = 0
        cdef uint32_t i
        if order is not NULL:
            for i in range(listing):
                place += context.listings[i].instrument == where.instrument
            order.listings = <uint64_t>1 << place
        return order

    inline ParentOrder *rest_at(StrategyContext *context, uint32_t listing, uint8_t side, int64_t quantity,
                                int64_t limit_price, bint post_only) noexcept:
        """One order that rests at its price on one listing, in its scale, until it is filled, replaced or cancelled."""
        cdef ParentOrder *order = submit_at(context, listing, side, quantity, limit_price)
        if order is not NULL:
            order.algorithm = Algorithm.RESTING
            order.flags = OrderFlag.POST_ONLY if post_only else 0
        return order


cdef class Strategy:
    cdef readonly str name

    cdef void on_signal(self, StrategyContext *context, const BoardEntry *entry) noexcept nogil
    cdef void on_report(self, StrategyContext *context, const ParentReport *report) noexcept nogil
    cdef void on_timer(self, StrategyContext *context) noexcept nogil
