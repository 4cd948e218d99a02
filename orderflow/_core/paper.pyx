"""Memory of the paper exchange; paper.pxd is the one to read."""
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free

from orderflow._core cimport memory, paper_queue
from orderflow._core.index_map cimport Cell
from orderflow._core.paper cimport ARRIVING, ArrivingOrder
from orderflow._core.paper_levels cimport TAKEN_LEVELS, PaperLevels, TakenLevel
from orderflow._core.paper_queue cimport PAPER_ORDERS, PaperOrder
from orderflow._core.paper_reports cimport RETURNING, FeeAssets, ReturningReport

cdef enum:
    CELL_BITS = 13              # of the map of orders: at least twice as many cells as orders


cdef class PaperExchange:
    """Fills the orders of one exchange by a model: ExchangeLoop.trade_on_paper.

    Parameters
    ----------
    fees : sequence of (int, int, bool), or None
        Of each of the engine's listings: the assets that a purchase and a sale pay their fees in, as the exchange's
        asset table numbers them, and whether that of a purchase is the base, else fees are a part of the notional. None
        for the listings of other exchanges.
    order_ns, report_ns : int
        How long an order or cancel travels to the exchange, and a report back.
    """

    def __init__(self, fees, int64_t order_ns, int64_t report_ns):
        cdef uint32_t i
        cdef Paper *paper = &self.paper
        if PAPER_ORDERS * 2 > 1 << CELL_BITS:
            raise AssertionError("too few cells for the map of orders")
        if not 0 <= order_ns <= 1 << 40 or not 0 <= report_ns <= 1 << 40:
            raise ValueError(f"order_ns={order_ns}, report_ns={report_ns}: nanoseconds, 0 or more")
        paper.order_ns, paper.reports.travel_ns = order_ns, report_ns
        paper.levels = <PaperLevels *>memory.zeroed(max(1, len(fees)), sizeof(PaperLevels))
        paper.reports.fees = <FeeAssets *>memory.zeroed(max(1, len(fees)), sizeof(FeeAssets))
        paper.queues.first = <uint32_t *>memory.zeroed(max(1, 2 * len(fees)), sizeof(uint32_t))
        paper.queues.orders = <PaperOrder *>memory.zeroed(PAPER_ORDERS, sizeof(PaperOrder))
        paper.queues.by_id.cells = <Cell *>memory.zeroed(1 << CELL_BITS, sizeof(Cell))
        paper.queues.by_id.mask, paper.queues.by_id.shift = (1 << CELL_BITS) - 1, 64 - CELL_BITS
        paper.arriving = <ArrivingOrder *>memory.zeroed(ARRIVING, sizeof(ArrivingOrder))
        paper.reports.returning = <ReturningReport *>memory.zeroed(RETURNING, sizeof(ReturningReport))
        paper_queue.begin(&paper.queues)
        self.listing_count = len(fees)
        for i, assets in enumerate(fees):
            if assets is None:
                continue
            paper.levels[i].taken = <TakenLevel *>memory.zeroed(TAKEN_LEVELS, sizeof(TakenLevel))
            paper.reports.fees[i].bought, paper.reports.fees[i].sold, paper.reports.fees[i].bought_in_base = assets

    def __dealloc__(self):
        cdef uint32_t i
        if self.paper.levels is not NULL:
            for i in range(self.listing_count):
                free(self.paper.levels[i].taken)
        free(self.paper.levels)
        free(self.paper.reports.fees)
        free(self.paper.reports.returning)
        free(self.paper.queues.first)
        free(self.paper.queues.orders)
        free(self.paper.queues.by_id.cells)
        free(self.paper.arriving)

    @property
    def counts(self):
        """What it did, as a dict: orders `accepted`, `trades` of them, those that it has now (`open`), orders and
        cancels on their way (`arriving`), reports on theirs (`returning`). Approximate while the thread runs."""
        return {"accepted": self.paper.accepted, "trades": self.paper.reports.trades,
                "open": self.paper.queues.count, "arriving": self.paper.sent - self.paper.arrived,
                "returning": self.paper.reports.told - self.paper.reports.taken}
