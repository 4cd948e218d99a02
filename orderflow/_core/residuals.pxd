"""What is left below every exchange's minimum, kept until it can be traded.

A parent whose rest no exchange takes ends with the reason BELOW_MINIMUM_REMAINS. Its rest is not forgotten: of each
strategy and instrument one signed quantity is kept (positive = to buy), so a rest to buy and one to sell net. A parent
that asks for it (`with_residual`) takes what is kept into its own quantity when it comes; what is kept for the other
side makes it smaller. Every change is journalled with what is kept after it, so a restart reads the last one of each
and a replay makes the same ones.

    kept = rests of parents - what was filled of them later - what parents took

Exact: integers of the instrument's scale. Nothing else puts anything in: a parent that was cancelled, or whose time was
up, was given up by whoever could have gone on. Fixed memory; a change costs one journal record. Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from orderflow._core cimport journal, parents
from orderflow._core.journal cimport Journal
from orderflow._core.parents cimport Parent
from orderflow._core.types cimport ParentOrder, ResidualChange, ResidualKind, Side


cdef struct Kept:               # of one strategy in one instrument
    int64_t quantity            # instrument scale, positive = to buy
    uint64_t parents            # whose rests are in it


cdef struct Residuals:
    Kept *kept                  # [strategy][instrument]
    uint32_t strategy_count
    uint32_t instrument_count


cdef nogil:
    inline Kept *of(const Residuals *self, uint32_t strategy, uint32_t instrument) noexcept:
        """NULL: there is no such strategy or instrument."""
        if strategy >= self.strategy_count or instrument >= self.instrument_count:
            return NULL
        return &self.kept[<size_t>strategy * self.instrument_count + instrument]

    inline int64_t signed(uint8_t side, int64_t quantity) noexcept:
        return quantity if side == Side.BUY else -quantity

    inline void change(Residuals *self, Journal *files, const ParentOrder *order, uint8_t kind, int64_t quantity,
                       int64_t now_ns) noexcept:
        """Add so much of a parent's side."""
        cdef Kept *kept = of(self, order.strategy, order.instrument)
        cdef ResidualChange record
        if kept is NULL or quantity == 0:
            return
        memset(&record, 0, sizeof(ResidualChange))
        record.parent_id = order.parent_id
        record.strategy = order.strategy
        record.instrument = order.instrument
        record.kind = kind
        record.change = signed(order.side, quantity)
        kept.quantity += record.change
        kept.parents += kind == ResidualKind.RESIDUAL_KEPT
        if kept.quantity == 0:
            kept.parents = 0
        record.quantity, record.parents = kept.quantity, kept.parents
        journal.append_residual(files, &record, now_ns)

    inline void keep(Residuals *self, Journal *files, const Parent *parent, int64_t now_ns) noexcept:
        """A parent is about to end, and no exchange takes what remains of it."""
        change(self, files, &parent.order, ResidualKind.RESIDUAL_KEPT, parents.remaining(parent), now_ns)

    inline void correct(Residuals *self, Journal *files, const Parent *parent, int64_t filled, int64_t now_ns) noexcept:
        """Of a parent whose rest was kept so much was filled after all."""
        change(self, files, &parent.order, ResidualKind.RESIDUAL_FILLED, -filled, now_ns)

    inline int64_t take(Residuals *self, Journal *files, Parent *parent, int64_t now_ns) noexcept:
        """What a parent has as its quantity once it has taken what is kept: 0 where more than that is kept for the
        other side."""
        cdef const Kept *kept = of(self, parent.order.strategy, parent.order.instrument)
        cdef int64_t quantity
        if kept is NULL or parent.order.quantity > <int64_t>1 << 62:     # their sum might not fit
            return parent.order.quantity
        quantity = signed(parent.order.side, kept.quantity)
        if quantity < -parent.order.quantity:
            quantity = -parent.order.quantity
        change(self, files, &parent.order, ResidualKind.RESIDUAL_TAKEN, -quantity, now_ns)
        parent.taken = quantity
        parent.order.quantity += quantity
        return parent.order.quantity


cdef class ResidualLedger:
    cdef Residuals residuals
