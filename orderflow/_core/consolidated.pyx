"""Memory and Python face of the consolidated book."""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

import numpy as np

from orderflow._core import types

from orderflow._core cimport consolidated, fixed
from orderflow._core.fixed cimport int128
from orderflow._core.types cimport Level, Listing, Side
from orderflow._core.wide cimport Wide


cdef exact(int128 value):
    """A Python int."""
    return (<object>fixed.high(value) << 64) | <uint64_t>fixed.low(value)


cdef exact_wide(const Wide *value):
    return (exact(value.high) << 64) | value.low


cdef class ConsolidatedBook:
    """Merges the ladders of several listings of one instrument by all-in price.

    Parameters
    ----------
    listings : numpy structured array of LISTING_DTYPE, shape (n,), n <= 64
        In the order that decides ties.
    depth : int
        Most levels taken of each listing.
    """

    def __cinit__(self, listings, uint32_t depth=64):
        if listings.dtype != types.LISTING_DTYPE:
            raise TypeError(f"listings: expected LISTING_DTYPE, got {listings.dtype}")
        if not 0 < len(listings) <= MAXIMUM_OFFERS:
            raise ValueError(f"listings: {len(listings)} given, 1 to {MAXIMUM_OFFERS} are possible")
        if not 0 < depth <= 1 << 20:
            raise ValueError(f"depth: {depth} is not within 1 .. {1 << 20}")
        self.depth = depth
        self.capacity = <uint32_t>len(listings) * depth
        self.listings = np.ascontiguousarray(listings).copy()
        self.levels = np.zeros((len(listings), depth), types.LEVEL_DTYPE)
        self.entries = <Entry *>calloc(self.capacity, sizeof(Entry))
        if self.entries is NULL:
            raise MemoryError()
        cdef const Listing[::1] table = self.listings
        cdef const Level[:, ::1] levels = self.levels
        cdef uint32_t i
        for i in range(<uint32_t>len(listings)):
            self.offers[i].listing = &table[i]
            self.offers[i].levels = &levels[i, 0]

    def __dealloc__(self):
        free(self.entries)

    cdef int set_offers(self, uint8_t side, ladders, usable, rates) except -1:
        cdef uint32_t count = <uint32_t>len(self.listings)
        cdef uint32_t i
        if side != Side.BUY and side != Side.SELL:
            raise ValueError(f"side: {side} is neither BUY nor SELL")
        if len(ladders) != count or any(each is not None and len(each) != count for each in (usable, rates)):
            raise ValueError(f"expected a ladder (and a usable flag, and a rate) for each of {count} listings")
        for i in range(count):
            ladder = np.asarray(ladders[i], dtype=types.LEVEL_DTYPE)[:self.depth]
            self.levels[i, :len(ladder)] = ladder
            self.offers[i].count = <uint32_t>len(ladder)
            self.offers[i].usable = usable is None or bool(usable[i])
            self.offers[i].rate = 0 if rates is None else rates[i]
        return 0

    def merge(self, uint8_t side, ladders, usable=None, rates=None):
        """Merge for a taker on `side`: BUY is given asks, SELL bids.

        Parameters
        ----------
        side : Side
        ladders : sequence of arrays of LEVEL_DTYPE (or lists of (price, quantity)), best first, listing scale
        usable : sequence of bool, default all
        rates : sequence of int
            That their prices are converted with on this side (conversion.pxd); 0 = they are not.

        Returns
        -------
        list of (listing position, price, quantity, all-in price)
            Cheapest first; instrument scale, all-in in 1e-8 of it.
        """
        self.set_offers(side, ladders, usable, rates)
        self.side = side
        self.count = consolidated.merge(self.offers, <uint32_t>len(self.listings), side, self.entries, self.capacity)
        return [(self.entries[i].offer, self.entries[i].price, self.entries[i].quantity, exact(self.entries[i].all_in))
                for i in range(self.count)]

    def best(self, uint8_t side, ladders, usable=None, rates=None):
        """The cheapest entry as in `merge`, None if nobody offers anything."""
        cdef Entry entry
        self.set_offers(side, ladders, usable, rates)
        if not consolidated.best(self.offers, <uint32_t>len(self.listings), side, &entry):
            return None
        return entry.offer, entry.price, entry.quantity, exact(entry.all_in)

    def cost(self, int64_t quantity):
        """(quantity, notional, all-in total, worst price) of taking `quantity` over the last merge."""
        cdef Cost out
        if quantity < 0:
            raise ValueError(f"quantity: {quantity} is negative")
        consolidated.cost(self.entries, self.count, self.side, quantity, &out)
        return out.quantity, exact(out.notional), exact_wide(&out.all_in), out.worst_price

    def quantity_within(self, int64_t limit):
        """Quantity of the last merge at prices no worse than `limit`."""
        return consolidated.quantity_within(self.entries, self.count, self.side, limit)
