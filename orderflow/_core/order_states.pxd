"""The state of an order as a function of facts.

Reports of one order come late, twice and in any order: a fill before the acknowledgement, a cancel before both. So
nothing here moves from state to state. A report adds a fact, facts are only ever added (a trade, "it was
acknowledged", "it ended"), and the state is computed from what is known. Whatever order the same reports come in,
they end in the same state; and where a status word and the quantities disagree the quantities win: FILLED means that
the fills add up to the quantity, nothing else.

Three things are not facts about the exchange but about us, and may be taken back: that we want the order cancelled,
that we want another price or quantity for it, and that we do not know what became of it (IN_DOUBT). Of doubt there are
two kinds. Was it ever accepted? Any sign of life answers that. Is it still alive? A late acknowledgement or a partial
fill from before the silence does not answer that; the order's end does, its complete fill, or a statement of state made
afterwards (REPORT_STATUS, or a report flagged as reconciliation).

That an order was never accepted is the hardest to know, because an exchange may not find what it has just taken. It
counts as rejected (NEVER_ACCEPTED) only when a whole answer (by its id, among the open orders, in the history) had
nothing of it HORIZON_NS after it was sent, and nothing was ever heard of it.

While a replacement is under way nobody knows which of the two quantities holds, so the larger one counts, and fills
that add up to the old one do not end an order that may be getting a larger one. It is confirmed by a report with the
very price and quantity that were asked for. One whose fate stays unclear is not reasoned about: the router cancels the
order.

States and precedence follow FIX 5.0 SP2 volume 4, appendix D (https://www.onixs.biz/fix-dictionary/5.0.sp2/app_d.html).
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core.types cimport ChildOrder, ExecType, ExecutionReport, OrderStatus, Reason, TimeInForce
from orderflow._core.fixed cimport int128

cdef enum Fact:
    SENT = 1                    # the bytes went to the socket
    ACKNOWLEDGED = 2
    CANCEL_WANTED = 4
    ACCEPTANCE_IN_DOUBT = 8
    END_IN_DOUBT = 16
    FOUND = 32                  # since it was asked for
    REPLACE_WANTED = 64

cdef enum:
    HORIZON_NS = 60_000_000_000     # longer than an exchange takes to find an order, or accepts a late one (recvWindow)


cdef struct Order:              # prices and quantities in the listing's scale
    ChildOrder child            # as it was decided, or last replaced; client_order_id 0 = the slot is free
    int128 notional             # sum of price * quantity over the fills
    int64_t cumulative          # sum of the fills
    int64_t stated              # largest cumulative quantity that the exchange has stated: a check, never a source
    int64_t ended_ns            # monotonic; when it was found to have ended
    int64_t wanted_price        # of the replacement that is under way
    int64_t wanted_quantity
    int64_t replaced_ns         # unix, theirs: of the last one that was confirmed
    uint32_t parent             # slot; still that parent only while its parent_id matches
    uint32_t fills              # newest of its fills in the table's pool
    uint32_t next               # free list, or the queue of ended orders
    uint8_t status              # OrderStatus: of the facts below
    uint8_t facts               # Fact bits
    uint8_t ended               # OrderStatus in which it ended without being filled, 0 = it has not
    uint8_t reason              # of that end
    uint8_t queued
    uint8_t asked               # how often it was asked for in a row
    uint8_t cancels             # how often its cancel was sent
    uint8_t reserved[1]
    char exchange_order_id[32]


cdef nogil:
    inline bint is_terminal(uint8_t status) noexcept:
        return status >= OrderStatus.FILLED or status == OrderStatus.DENIED

    inline int64_t most(const Order *order) noexcept:
        """The largest quantity that the exchange may have for it."""
        if order.facts & Fact.REPLACE_WANTED and order.wanted_quantity > order.child.quantity:
            return order.wanted_quantity
        return order.child.quantity

    inline bint stays(uint8_t time_in_force) noexcept:
        return time_in_force == TimeInForce.GTC or time_in_force == TimeInForce.GTD

    inline bint rests(const Order *order) noexcept:
        """Whether it stays until it is filled, cancelled or replaced."""
        return stays(order.child.time_in_force)

    inline uint8_t status(const Order *order) noexcept:
        """OrderStatus of the facts."""
        if order.cumulative >= most(order):
            return OrderStatus.FILLED
        if order.ended:
            return order.ended
        if order.facts & Fact.END_IN_DOUBT:
            return OrderStatus.IN_DOUBT
        if order.facts & Fact.ACCEPTANCE_IN_DOUBT and not order.facts & Fact.ACKNOWLEDGED and order.cumulative == 0:
            return OrderStatus.IN_DOUBT
        if order.facts & Fact.CANCEL_WANTED:
            return OrderStatus.PENDING_CANCEL
        if order.facts & Fact.REPLACE_WANTED:
            return OrderStatus.PENDING_REPLACE
        if order.cumulative:
            return OrderStatus.PARTIAL
        if order.facts & Fact.ACKNOWLEDGED:
            return OrderStatus.NEW
        return OrderStatus.PENDING_NEW if order.facts & Fact.SENT else OrderStatus.CREATED

    inline int64_t reserved(const Order *order) noexcept:
        """Quantity that may still be filled or has been filled without our having seen the fill.

        An order that ended at a stated cumulative quantity larger than our fills keeps the difference: those fills
        are on their way. """
        cdef int64_t whole = most(order)
        if order.ended:
            whole = order.stated if order.stated < whole else whole
        return whole - order.cumulative if whole > order.cumulative else 0

    inline bint lacks_fills(const Order *order) noexcept:
        return order.stated > order.cumulative

    inline bint is_unclear(const Order *order) noexcept:
        """Whether only the exchange can say what became of it, or how its fills came about."""
        return order.status == OrderStatus.IN_DOUBT or lacks_fills(order)

    inline void end(Order *order, uint8_t status, uint8_t reason) noexcept:
        if not order.ended:
            order.ended = status
            order.reason = reason

    inline uint8_t end_of(uint8_t exec_type) noexcept:
        """OrderStatus in which an order ends by that report, 0 if it does not."""
        if exec_type == ExecType.REPORT_CANCELED:
            return OrderStatus.CANCELED
        if exec_type == ExecType.REPORT_REJECTED:
            return OrderStatus.REJECTED
        if exec_type == ExecType.REPORT_EXPIRED:
            return OrderStatus.EXPIRED
        return 0

    inline void replace(Order *order, const ExecutionReport *report) noexcept:
        """It has another price or quantity: the ones that we asked for, or an earlier replacement is told again."""
        order.facts |= Fact.ACKNOWLEDGED
        if (order.facts & Fact.REPLACE_WANTED and report.last_quantity == order.wanted_quantity
                and report.last_price == order.wanted_price and report.exchange_ns >= order.replaced_ns):
            order.child.quantity = order.wanted_quantity
            order.child.price = order.wanted_price
            order.replaced_ns = report.exchange_ns
            order.facts &= <uint8_t>~Fact.REPLACE_WANTED

    inline void compare(Order *order, const ExecutionReport *report) noexcept:
        """A statement of its whole quantity, where there is one: whether a replacement that is under way was made; or
        never will be, because all of the old quantity is filled."""
        if order.facts & Fact.REPLACE_WANTED and report.last_quantity > 0:
            replace(order, report)
            if report.last_quantity == order.child.quantity and report.cumulative_quantity >= report.last_quantity:
                order.facts &= <uint8_t>~Fact.REPLACE_WANTED

    inline void record(Order *order, const ExecutionReport *report) noexcept:
        """Add what a report other than a fill says to the facts."""
        cdef uint8_t kind = report.exec_type
        if kind == ExecType.REPORT_REJECTED and report.reason == Reason.UNKNOWN_OUTCOME:
            kind = ExecType.REPORT_IN_DOUBT     # "status unknown" is no rejection
        cdef bint alive = (order.facts & (Fact.SENT | Fact.ACKNOWLEDGED)) != 0 or order.cumulative > 0
        if report.reconciliation and kind != ExecType.REPORT_ASKED:
            order.facts |= Fact.FOUND
        if end_of(kind):
            end(order, end_of(kind), report.reason)
        elif kind == ExecType.REPORT_ASKED:
            if (report.reason == Reason.OK and not order.facts & (Fact.FOUND | Fact.ACKNOWLEDGED)
                    and order.cumulative == 0 and report.receive_ns - order.child.decided_ns > HORIZON_NS):
                end(order, OrderStatus.REJECTED, Reason.NEVER_ACCEPTED)
        elif kind == ExecType.REPORT_SENT:
            order.facts |= Fact.SENT
        elif kind == ExecType.REPORT_NOT_SENT:
            if alive:           # the order itself had left, so what did not leave is its cancel
                order.facts &= <uint8_t>~Fact.CANCEL_WANTED
            else:
                end(order, OrderStatus.DENIED, report.reason)
        elif kind == ExecType.REPORT_CANCEL_REJECTED:
            order.facts &= <uint8_t>~Fact.CANCEL_WANTED
            if report.reason == Reason.UNKNOWN_ORDER:
                order.facts |= Fact.END_IN_DOUBT
        elif kind == ExecType.REPORT_REPLACED:
            replace(order, report)
        elif kind == ExecType.REPORT_REPLACE_REJECTED:
            order.facts &= <uint8_t>~Fact.REPLACE_WANTED
            if report.reason == Reason.UNKNOWN_ORDER:
                order.facts |= Fact.END_IN_DOUBT
        elif kind == ExecType.REPORT_IN_DOUBT:
            if order.facts & Fact.ACKNOWLEDGED or order.cumulative:
                order.facts |= Fact.END_IN_DOUBT
            else:
                order.facts |= Fact.ACCEPTANCE_IN_DOUBT
        elif kind == ExecType.REPORT_NEW or kind == ExecType.REPORT_STATUS:
            order.facts |= Fact.ACKNOWLEDGED
            if kind == ExecType.REPORT_STATUS or report.reconciliation:
                order.facts &= <uint8_t>~(Fact.END_IN_DOUBT | Fact.ACCEPTANCE_IN_DOUBT)
                compare(order, report)
