"""Memory and Python face of the split."""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from typing import NamedTuple

import numpy as np

from orderflow._core import types

from orderflow._core cimport allocation, fixed
from orderflow._core.charges cimport MAXIMUM_TIERS
from orderflow._core.consolidated cimport FEE_UNIT
from orderflow._core.fixed cimport int128
from orderflow._core.types cimport Level, Listing, Side
from orderflow._core.wide cimport Wide

#: A ticket in the unit of all-in totals stays below this, so that sums of many fit.
LARGEST_TICKET = 1 << 120


class Allotted(NamedTuple):
    """A split. The totals are instrument scale, `all_in` and `gap` in 1e-8 of it.

    Attributes
    ----------
    parts : list of (quantity, limit price)
        Of each listing, its own scale.
    nodes : int
        Of the search, looked at.
    exact : bool
        Nothing better exists.
    greedy : bool
        And the first node proved it: nothing was searched.
    gap : int
        The same quantity may be had for so much less (may bring so much more).
    unfilled : int
        So much more may be possible.
    """
    quantity: int
    notional: int
    all_in: int
    parts: list
    nodes: int
    exact: bool
    greedy: bool
    gap: int
    unfilled: int


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
    charges : sequence of (ticket, tiers), one a listing, optional
        What an order costs beside the taker fee (charges.pxd). `ticket`: in 1e-8 of the quote currency. `tiers`: up to
        MAXIMUM_TIERS of (least quantity, taker fee), by rising quantity and falling fee, listing scale and 1e-8.
    """

    def __cinit__(self, listings, uint32_t depth=64, uint32_t nodes=1024, charges=None):
        cdef uint32_t i
        if listings.dtype != types.LISTING_DTYPE:
            raise TypeError(f"listings: expected LISTING_DTYPE, got {listings.dtype}")
        if not 0 < len(listings) <= MAXIMUM_OFFERS:
            raise ValueError(f"listings: {len(listings)} given, 1 to {MAXIMUM_OFFERS} are possible")
        if not 0 < depth <= 1 << 20:
            raise ValueError(f"depth: {depth} is not within 1 .. {1 << 20}")
        if not 0 < nodes <= 1 << 20:
            raise ValueError(f"nodes: {nodes} is not within 1 .. {1 << 20}")
        if not (listings["price_factor"] > 0).all() or not (listings["quantity_factor"] > 0).all():
            raise ValueError("listings: a price_factor or quantity_factor is not positive")
        self.listings = np.ascontiguousarray(listings).copy()
        self.listings["index"] = np.arange(len(listings))
        self.levels = np.zeros((len(listings), depth), types.LEVEL_DTYPE)
        cdef const Listing[::1] table = self.listings
        cdef const Level[:, ::1] levels = self.levels
        for i in range(<uint32_t>len(listings)):
            self.offers[i].listing = &table[i]
            self.offers[i].levels = &levels[i, 0]
        self.allocator.node_limit = nodes
        self.allocator.branches = <Branch *>calloc(nodes, sizeof(Branch))
        if self.allocator.branches is NULL:
            raise MemoryError()
        if charges is not None:
            self.set_charges(charges)

    def __dealloc__(self):
        free(self.allocator.branches)
        free(self.charges)

    cdef int set_charges(self, charges) except -1:
        """Check and keep what orders are charged; ValueError names the listing by its position."""
        cdef Charge *charge
        cdef uint32_t i
        if len(charges) != len(self.listings):
            raise ValueError(f"charges: {len(charges)} given for {len(self.listings)} listings")
        self.charges = <Charge *>calloc(len(self.listings), sizeof(Charge))
        if self.charges is NULL:
            raise MemoryError()
        for i in range(<uint32_t>len(self.listings)):
            ticket, tiers = charges[i]
            listing, charge = self.listings[i], &self.charges[i]
            total = ticket * int(listing["price_factor"]) * int(listing["quantity_factor"]) \
                * 10 ** (int(listing["price_decimals"]) + int(listing["quantity_decimals"]))
            if not 0 <= total < LARGEST_TICKET or ticket > INT64_MAX:
                raise ValueError(f"charges[{i}]: a ticket of {ticket} is not possible")
            charge.ticket = ticket
            charge.ticket_all_in = <int64_t>(total >> 64)
            charge.ticket_all_in = charge.ticket_all_in << 64
            charge.ticket_all_in += <uint64_t>(total & <uint64_t>-1)
            if len(tiers) > MAXIMUM_TIERS:
                raise ValueError(f"charges[{i}]: {len(tiers)} tiers, at most {MAXIMUM_TIERS} are possible")
            before = 0, int(listing["taker_fee"])
            for quantity, fee in tiers:
                if quantity <= before[0] or not -FEE_UNIT < fee < before[1]:
                    raise ValueError(f"charges[{i}]: tiers stand by rising quantity and falling fee, all fees below "
                                     f"that of the listing; ({quantity}, {fee}) stands after {before}")
                charge.tiers[charge.tier_count].quantity = quantity
                charge.tiers[charge.tier_count].taker_fee = fee
                charge.tier_count += 1
                before = quantity, fee
        if any(ticket or tiers for ticket, tiers in charges):
            self.allocator.charges = self.charges
        return 0

    def split(self, uint8_t side, int64_t quantity, ladders, *, int64_t limit=0, usable=None, quantities=None,
              funds=None, rates=None):
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
            What a buyer can spend at each, fee (of no tier: it may not be reached) and ticket included, 1e-8 of the
            quote currency; None = not limited.
        rates : sequence of int
            That their prices are converted with on this side (conversion.pxd); 0 = they are not.

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
        for name, given in (("ladders", ladders), ("usable", usable), ("quantities", quantities), ("funds", funds),
                            ("rates", rates)):
            if given is not None and len(given) != count:
                raise ValueError(f"{name}: {len(given)} given for {count} listings")
        for i in range(count):
            ladder = np.asarray(ladders[i], dtype=types.LEVEL_DTYPE)
            if len(ladder) > self.levels.shape[1]:
                raise ValueError(f"ladders[{i}]: {len(ladder)} levels, more than the depth of {self.levels.shape[1]}")
            self.levels[i, :len(ladder)] = ladder
            self.offers[i].count = <uint32_t>len(ladder)
            self.offers[i].usable = usable is None or bool(usable[i])
            self.offers[i].rate = 0 if rates is None else rates[i]
            self.caps[i].quantity = unlimited(None if quantities is None else quantities[i])
            self.caps[i].funds = unlimited(None if funds is None else funds[i])
        allocation.allocate(&self.allocator, self.offers, self.caps, count, side, quantity, limit, self.splits, &out)
        parts = [(self.splits[i].quantity, self.splits[i].price) for i in range(count)]
        return Allotted(out.quantity, exact(out.notional), exact_wide(&out.all_in), parts, out.nodes, bool(out.exact),
                        bool(out.greedy), exact_wide(&out.gap), out.unfilled)


cdef exact(int128 value):
    """A Python int."""
    return (<object>fixed.high(value) << 64) | <uint64_t>fixed.low(value)


cdef exact_wide(const Wide *value):
    """A Python int."""
    return (exact(value.high) << 64) | value.low
