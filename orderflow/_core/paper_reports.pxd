"""What the paper exchange says of an order, on its way back: reports as a codec would have decoded them, each due when
it has travelled. They keep their order.

Fees are the listing's, in the asset that the exchange takes them in, rounded up to 1e-8 of it, rebates too: against us.

A ring of fixed size. A report that finds no room is lost, and trading halts, as with any report ring. Exchange thread
only.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from orderflow._core cimport positions, wide
from orderflow._core.fixed cimport int128
from orderflow._core.paper_queue cimport PaperOrder
from orderflow._core.types cimport ChildOrder, ExecType, ExecutionReport, Liquidity, Listing, Reason, Side

cdef enum:
    RETURNING = 16384           # reports on their way; a power of two
    PAPER_FEE_DECIMALS = 8
    NUMBER_DIGITS = 20


cdef struct ReturningReport:
    ExecutionReport report
    int64_t due_ns              # monotonic


cdef struct FeeAssets:          # of one listing, in the exchange's asset table
    uint16_t bought             # what a purchase pays its fee in
    uint16_t sold
    uint8_t bought_in_base      # else every fee is a part of the notional


cdef struct PaperReports:
    const Listing *listings     # the engine's table
    FeeAssets *fees             # by listing index
    ReturningReport *returning  # RETURNING of them
    uint64_t told
    uint64_t taken
    uint64_t trades
    int64_t travel_ns
    int64_t unix_offset_ns
    int64_t last_due_ns
    uint8_t lost                # one found no room


cdef nogil:
    inline ExecutionReport *compose(PaperReports *self, uint64_t client_order_id, uint32_t listing, uint32_t slot,
                                    uint8_t side, uint8_t exec_type, uint8_t reason, int64_t now_ns) noexcept:
        """The next report, to be filled in. NULL: it is lost."""
        cdef ReturningReport *returning = &self.returning[self.told & (RETURNING - 1)]
        if self.told - self.taken == RETURNING:
            self.lost = 1
            return NULL
        self.told += 1
        self.last_due_ns = max(self.last_due_ns, now_ns + self.travel_ns)
        returning.due_ns = self.last_due_ns
        memset(&returning.report, 0, sizeof(ExecutionReport))
        returning.report.client_order_id = client_order_id
        returning.report.cumulative_quantity = -1
        returning.report.exchange_ns = now_ns + self.unix_offset_ns
        returning.report.listing, returning.report.slot, returning.report.side = listing, slot, side
        returning.report.exec_type, returning.report.reason = exec_type, reason
        return &returning.report

    inline void write_number(uint64_t number, char *out) noexcept:
        """`paper-` and its digits."""
        cdef char digits[NUMBER_DIGITS]
        cdef uint32_t at = NUMBER_DIGITS
        while at == NUMBER_DIGITS or number:
            at -= 1
            digits[at] = <char>(48 + number % 10)
            number //= 10
        memcpy(out, b"paper-", 6)
        memcpy(out + 6, digits + at, NUMBER_DIGITS - at)

    inline ExecutionReport *tell(PaperReports *self, const PaperOrder *order, uint8_t exec_type, uint8_t reason,
                                 int64_t now_ns) noexcept:
        """Of an order that the paper exchange has."""
        cdef ExecutionReport *report = compose(self, order.client_order_id, order.listing, order.slot, order.side,
                                               exec_type, reason, now_ns)
        if report is not NULL:
            report.cumulative_quantity = order.filled
            write_number(order.number, report.exchange_order_id)
        return report

    inline ExecutionReport *tell_unknown(PaperReports *self, const ChildOrder *child, uint8_t exec_type, uint8_t reason,
                                         int64_t now_ns) noexcept:
        """Of one that it has not."""
        return compose(self, child.client_order_id, child.listing, child.slot, child.side, exec_type, reason, now_ns)

    inline int64_t charge(int128 amount, int decimals, int64_t rate) noexcept:
        """`rate` (1e-8) of amount / 10**decimals, in 1e-8, rounded up; without a product wider than 128 bits."""
        cdef int128 scale = positions.scaled(<int128>1, decimals)
        cdef int128 whole = amount / scale
        cdef int128 rest = amount - whole * scale
        cdef int128 part = rest * <int128>rate
        cdef int128 fee = whole * <int128>rate
        cdef int128 share = part / scale            # towards zero, so a rebate is rounded against us as it is
        fee = fee + share
        share = share * scale
        if part > share:
            fee = fee + 1
        return <int64_t>fee if fee < <int128>INT64_MAX else <int64_t>INT64_MAX

    inline void fill(PaperReports *self, PaperOrder *order, int64_t price, int64_t quantity, uint8_t liquidity,
                     int64_t now_ns) noexcept:
        """A trade of an order."""
        cdef const Listing *listing = &self.listings[order.listing]
        cdef const FeeAssets *assets = &self.fees[order.listing]
        cdef int64_t rate = listing.maker_fee if liquidity == Liquidity.MAKER else listing.taker_fee
        cdef ExecutionReport *report
        self.trades += 1
        order.filled += quantity
        report = tell(self, order, ExecType.REPORT_FILL, Reason.OK, now_ns)
        if report is NULL:
            return
        report.trade_id = self.trades
        report.last_price, report.last_quantity, report.liquidity = price, quantity, liquidity
        report.fee_decimals = PAPER_FEE_DECIMALS
        report.fee_asset = assets.bought if order.side == Side.BUY else assets.sold
        if order.side == Side.BUY and assets.bought_in_base:
            report.fee = charge(<int128>quantity, listing.quantity_decimals, rate)
        else:
            report.fee = charge(wide.product(price, quantity), listing.price_decimals + listing.quantity_decimals, rate)

    inline ExecutionReport *due(PaperReports *self, int64_t now_ns) noexcept:
        """The oldest report, if it has come back; NULL. `taken` counts those that were taken."""
        cdef ReturningReport *returning = &self.returning[self.taken & (RETURNING - 1)]
        if self.taken == self.told or returning.due_ns > now_ns:
            return NULL
        return &returning.report

    inline int64_t next_ns(const PaperReports *self) noexcept:
        """When the next report has come back; INT64_MAX = there is none."""
        return INT64_MAX if self.taken == self.told else self.returning[self.taken & (RETURNING - 1)].due_ns
