"""Memory and Python face of the split."""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from typing import NamedTuple

import numpy as np

from orderflow._core import types

from orderflow._core cimport allocation, fixed
from orderflow._core.fixed cimport int128
from orderflow._core.types cimport Level, Listing, Side


class Allotted(NamedTuple):
    """A split. `parts` is (quantity, limit price) of each listing, its own scale; the totals are instrument scale."""
    quantity: int
    notional: int
    all_in: int
    parts: list
    nodes: int
    exact: bool


cdef unlimited(value):
    return INT64_MAX if value is None else value


cdef class Splitter:
    """Splits one quantity over listings.

    Parameters
    ----------
    listings : numpy structured array of LISTING_DTYPE, shape (n,), n <= 64
        In the order that decides ties. Factors must be positive.
    depth : int
        Most levels of each listing.
    nodes : int
        Most nodes of the search; beyond, the best split found is returned with exact = False.
    """

    def __cinit__(self, listings, uint32_t depth=64, uint32_t nodes=4096):
        cdef uint32_t i
        if listings.dtype != types.LISTING_DTYPE:
            raise TypeError(f"listings: expected LISTING_DTYPE, got {listings.dtype}")
        if not 0 < len(listings) <= MAXIMUM_OFFERS:
            raise ValueError(f"listings: {len(listings)} given, 1 to {MAXIMUM_OFFERS} are possible")
        if not 0 < depth <= 1 << 20:
            raise ValueError(f"depth: {depth} is not within 1 .. {1 << 20}")
        if nodes == 0:
            raise ValueError("nodes: at least 1 is needed")
        if not (listings["price_factor"] > 0).all() or not (listings["quantity_factor"] > 0).all():
            raise ValueError("listings: a price_factor or quantity_factor is not positive")
        self.listings = np.ascontiguousarray(listings).copy()
        self.levels = np.zeros((len(listings), depth), types.LEVEL_DTYPE)
        cdef const Listing[::1] table = self.listings
        cdef const Level[:, ::1] levels = self.levels
        for i in range(<uint32_t>len(listings)):
            self.offers[i].listing = &table[i]
            self.offers[i].levels = &levels[i, 0]
        self.allocator.node_limit = nodes
        self.allocator.entry_capacity = <uint32_t>len(listings) * depth
        self.allocator.entries = <Entry *>calloc(self.allocator.entry_capacity, sizeof(Entry))
        self.allocator.starts = <int64_t *>calloc(self.allocator.entry_capacity, sizeof(int64_t))
        if self.allocator.entries is NULL or self.allocator.starts is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.allocator.entries)
        free(self.allocator.starts)

    def split(self, uint8_t side, int64_t quantity, ladders, *, int64_t limit=0, usable=None, quantities=None,
              funds=None):
        """Split `quantity` for a taker: BUY is given asks, SELL bids.

        Parameters
        ----------
        side : Side
        quantity : int
            Instrument scale.
        ladders : sequence of arrays of LEVEL_DTYPE (or lists of (price, quantity)), best first, listing scale
        limit : int
            Worst price allowed, fees apart, instrument scale; 0 = none.
        usable : sequence of bool, default all
        quantities : sequence of int or None
            Most that each listing can be sent (inventory), listing scale; None = not limited.
        funds : sequence of int or None
            What a buyer can spend at each, 1e-8 of the quote currency; None = not limited.

        Returns
        -------
        Allotted
        """
        cdef Allocation out
        cdef uint32_t count = <uint32_t>len(self.listings)
        cdef uint32_t i
        if side != Side.BUY and side != Side.SELL:
            raise ValueError(f"side: {side} is neither BUY nor SELL")
        if quantity < 0 or limit < 0:
            raise ValueError(f"quantity {quantity} and limit {limit} must not be negative")
        for name, given in (("ladders", ladders), ("usable", usable), ("quantities", quantities), ("funds", funds)):
            if given is not None and len(given) != count:
                raise ValueError(f"{name}: {len(given)} given for {count} listings")
        for i in range(count):
            ladder = np.asarray(ladders[i], dtype=types.LEVEL_DTYPE)
            if len(ladder) > self.levels.shape[1]:
                raise ValueError(f"ladders[{i}]: {len(ladder)} levels, more than the depth of {self.levels.shape[1]}")
            self.levels[i, :len(ladder)] = ladder
            self.offers[i].count = <uint32_t>len(ladder)
            self.offers[i].usable = usable is None or bool(usable[i])
            self.caps[i].quantity = unlimited(None if quantities is None else quantities[i])
            self.caps[i].funds = unlimited(None if funds is None else funds[i])
        allocation.allocate(&self.allocator, self.offers, self.caps, count, side, quantity, limit, self.splits, &out)
        parts = [(self.splits[i].quantity, self.splits[i].price) for i in range(count)]
        all_in = (exact(out.all_in.high) << 64) | out.all_in.low
        return Allotted(out.quantity, exact(out.notional), all_in, parts, out.nodes, bool(out.exact))


cdef exact(int128 value):
    """A Python int."""
    return (<object>fixed.high(value) << 64) | <uint64_t>fixed.low(value)
