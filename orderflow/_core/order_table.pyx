"""Memory of the order table, and views of it for Python."""
from collections import namedtuple

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free

from orderflow._core.index_map cimport Cell, IndexMap
from orderflow._core.memory cimport zeroed
from orderflow._core.parents cimport ListingFill, Parent
from orderflow._core.positions cimport FEE_ASSETS, FeeSum
from orderflow._core.types cimport Reason, Side

import numpy as np

from orderflow._core.client_id import MOST_INSTANCES, MOST_RUNS
from orderflow._core.types import LISTING_DTYPE

MAXIMUM_LISTINGS = 1 << 16      # what an InputRecord can name

OrderView = namedtuple("OrderView", "slot client_order_id parent_id listing side status price quantity cumulative "
                       "stated notional working in_doubt ended_ns reason exchange_order_id")
ParentView = namedtuple("ParentView", "slot parent_id instrument strategy side status reason quantity filled working "
                        "in_doubt notional arrival_price children ended_ns by_listing limit_price taken")
ListingFillView = namedtuple("ListingFillView", "listing filled notional fills fees worth")
PositionView = namedtuple("PositionView", "listing net bought sold bought_notional sold_notional open_cost realised "
                          "fills fees")


cdef int allocate_map(IndexMap *index_map, uint32_t entries) except -1:
    cdef uint32_t bits = 4
    while (<uint64_t>1 << bits) < 2 * <uint64_t>entries:
        bits += 1
    index_map.cells = <Cell *>zeroed(<size_t>1 << bits, sizeof(Cell))
    index_map.mask = (<uint32_t>1 << bits) - 1
    index_map.shift = 64 - bits
    return 0


cdef _fees(const FeeSum *sums):
    """{asset index: (amount, decimals)} of the sums in use."""
    return {sums[i].asset: (sums[i].amount, sums[i].decimals) for i in range(FEE_ASSETS) if sums[i].used}


cdef class OrderTable:
    """Owns the memory of the orders, parents, positions and fills of one run. Written by the router thread only.

    Parameters
    ----------
    listings : numpy structured array of LISTING_DTYPE, shape (n,)
        The engine's listing table; kept alive and read, never copied.
    prefix : int
        Of the journal's client order ids (client_id.prefix_of). Orders of others are foreign.
    orders, parents, fills : int
        Capacities. When they are used up new orders are refused (Reason.TABLE_FULL), and what is out is still served.
    listings_per_instrument : int
        Largest number of listings that one instrument may have in this run.
    evidence_ns : int
        How long an ended order is kept at least, so that late reports find it.
    """

    def __init__(self, listings, uint64_t prefix, *, uint32_t orders=16384, uint32_t parents=1024, uint32_t fills=65536,
                 uint32_t listings_per_instrument=16, int64_t evidence_ns=60_000_000_000):
        if listings.dtype != LISTING_DTYPE:
            raise TypeError(f"listings: expected LISTING_DTYPE, got {listings.dtype}")
        if not 0 < prefix < MOST_INSTANCES * (MOST_RUNS + 1):
            raise ValueError(f"prefix: {prefix} is outside 1 to {MOST_INSTANCES * (MOST_RUNS + 1) - 1}")
        for name, value, most in (("orders", orders, 1 << 24), ("parents", parents, 1 << 24), ("fills", fills, 1 << 24),
                                  ("listings", len(listings), MAXIMUM_LISTINGS)):
            if not 0 < value <= most:
                raise ValueError(f"{name}: {value} is outside 1 to {most}")
        if self.table.orders is not NULL:
            raise RuntimeError("an order table is initialised once")
        self.listings_owner = np.ascontiguousarray(listings)
        cdef const unsigned char[::1] raw = self.listings_owner.view(np.uint8)
        self.table.listings = <const Listing *>&raw[0]
        self.table.listing_count = len(listings)
        self.table.listings_per_instrument = listings_per_instrument
        self.table.prefix = prefix
        self.table.evidence_ns = evidence_ns
        self._allocate(orders, parents, fills)
        self.refresh_listings()

    cdef int _allocate(self, uint32_t orders, uint32_t parents, uint32_t fills) except -1:
        cdef Table *table = &self.table
        cdef uint32_t i
        table.orders = <Order *>zeroed(orders, sizeof(Order))
        table.parents = <Parent *>zeroed(parents, sizeof(Parent))
        table.listing_fills = <ListingFill *>zeroed(<size_t>parents * table.listings_per_instrument,
                                                    sizeof(ListingFill))
        table.positions = <Position *>zeroed(table.listing_count, sizeof(Position))
        table.fills = <Fill *>zeroed(fills, sizeof(Fill))
        table.ordinals = <uint16_t *>zeroed(table.listing_count, sizeof(uint16_t))
        allocate_map(&table.by_client_order_id, orders)
        allocate_map(&table.by_parent_id, parents)
        allocate_map(&table.by_trade, fills)
        table.order_capacity = table.free_orders = orders
        table.parent_capacity = table.free_parents = parents
        table.fill_capacity = table.free_fills = fills
        for i in range(orders):
            table.orders[i].next = i + 1 if i + 1 < orders else <uint32_t>NONE
        for i in range(parents):
            table.parents[i].next = i + 1 if i + 1 < parents else <uint32_t>NONE
        for i in range(fills):
            table.fills[i].next = i + 1 if i + 1 < fills else <uint32_t>NONE
        table.ended_first = table.done_first = <uint32_t>NONE
        return 0

    def __dealloc__(self):
        free(self.table.orders)
        free(self.table.parents)
        free(self.table.listing_fills)
        free(self.table.positions)
        free(self.table.fills)
        free(self.table.ordinals)
        free(self.table.by_client_order_id.cells)
        free(self.table.by_parent_id.cells)
        free(self.table.by_trade.cells)

    def refresh_listings(self):
        """Number the listings within their instruments; call it after a listing was added, before its first order.

        Raises
        ------
        ValueError
            A listing without exact conversion factors, or an instrument with more than `listings_per_instrument`.
        """
        counts = {}
        cdef uint32_t i
        for i in range(self.table.listing_count):
            if self.table.listings[i].quantity_factor <= 0 or self.table.listings[i].price_factor <= 0:
                raise ValueError(f"listing {i}: quantity_factor and price_factor must be positive")
            instrument = self.table.listings[i].instrument
            ordinal = counts.get(instrument, 0)
            if ordinal >= self.table.listings_per_instrument:
                raise ValueError(f"instrument {instrument} has more than listings_per_instrument = "
                                 f"{self.table.listings_per_instrument} listings")
            self.table.ordinals[i] = ordinal
            counts[instrument] = ordinal + 1

    def order(self, uint32_t slot):
        """OrderView of a slot; prices and quantities in the listing's scale. KeyError if the slot is free."""
        if slot >= self.table.order_capacity or self.table.orders[slot].child.client_order_id == 0:
            raise KeyError(f"order slot {slot} is free")
        cdef const Order *order = &self.table.orders[slot]
        cdef Hold hold = hold_of(order)
        return OrderView(slot, order.child.client_order_id, order.child.parent_id, order.child.listing,
                         <Side>order.child.side, <OrderStatus>order.status, order.child.price, order.child.quantity,
                         order.cumulative, order.stated, order.notional, hold.working, hold.in_doubt, order.ended_ns,
                         <Reason>order.reason, order.exchange_order_id[:32].rstrip(b"\0").decode("ascii", "replace"))

    def orders(self):
        """OrderView of every order in the table, by slot."""
        return [self.order(slot) for slot in range(self.table.order_capacity)
                if self.table.orders[slot].child.client_order_id]

    def parent(self, uint32_t slot):
        """ParentView of a slot, in the instrument's scale, `by_listing` in the listings', but `worth`. KeyError if it
        is free."""
        if slot >= self.table.parent_capacity or self.table.parents[slot].order.parent_id == 0:
            raise KeyError(f"parent slot {slot} is free")
        cdef const Parent *parent = &self.table.parents[slot]
        cdef const ListingFill *fill
        cdef uint32_t listing
        by_listing = []
        for listing in range(self.table.listing_count):
            if self.table.listings[listing].instrument == parent.order.instrument:
                fill = listing_fill(&self.table, slot, listing)
                if fill.fills:
                    by_listing.append(ListingFillView(listing, fill.filled, fill.notional, fill.fills,
                                                      _fees(fill.fees), fill.worth))
        return ParentView(slot, parent.order.parent_id, parent.order.instrument, parent.order.strategy,
                          <Side>parent.order.side, <ParentStatus>parent.status, <Reason>parent.reason,
                          parent.order.quantity, parent.filled, parent.working, parent.in_doubt, parent.notional,
                          parent.arrival_price, parent.children, parent.ended_ns, by_listing,
                          parent.order.limit_price, parent.taken)

    def parents(self):
        """ParentView of every parent in the table, by slot."""
        return [self.parent(slot) for slot in range(self.table.parent_capacity)
                if self.table.parents[slot].order.parent_id]

    def position(self, uint32_t listing):
        """PositionView of a listing, in its scale; fees as {asset: (amount, decimals)}."""
        if listing >= self.table.listing_count:
            raise IndexError(f"listing {listing} is not in the table of {self.table.listing_count}")
        cdef const Position *position = &self.table.positions[listing]
        return PositionView(listing, position.net, position.bought, position.sold, position.bought_notional,
                            position.sold_notional, position.open_cost, position.realised, position.fills,
                            _fees(position.fees))

    @property
    def counts(self):
        """How many reports of each kind were seen: a dict."""
        return self.table.counts

    @property
    def free(self):
        """(order slots, parent slots, fills) that are free."""
        return self.table.free_orders, self.table.free_parents, self.table.free_fills
