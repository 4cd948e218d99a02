"""Set-up of risk.pxd and its view for Python."""
from collections import namedtuple

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memset

from orderflow._core.memory cimport zeroed
from orderflow._core.order_table cimport OrderTable

import numpy as np

from orderflow._core.types import LISTING_DTYPE

MAXIMUM_NOTIONAL = (1 << 126) - 1
NOTIONAL_DECIMALS = 8           # of the limits given by people and exchanges

DecisionView = namedtuple("DecisionView", "code limit actual")
ExposureView = namedtuple("ExposureView", "net open_buys open_sells maximum_position reference_price reference_ns")


def product_limit(amount, decimals, *, lowest):
    """An amount in 1e-8 of the quote currency as a product of scaled price and quantity with `decimals` in all,
    exactly.

    `lowest`: True for a minimum (rounded up), False for a maximum (rounded down); so products compare as the amounts
    would. """
    if decimals >= NOTIONAL_DECIMALS:
        return min(amount * 10 ** (decimals - NOTIONAL_DECIMALS), MAXIMUM_NOTIONAL)
    divisor = 10 ** (NOTIONAL_DECIMALS - decimals)
    return -(-amount // divisor) if lowest else amount // divisor


cdef class RiskBook:
    """Owns the limits, exposures and commitments. Written by the router thread once it runs.

    Parameters
    ----------
    listings : numpy structured array of LISTING_DTYPE, shape (n,)
        Kept alive; ticks, lots and minimums are taken from it by `set_listing`.
    orders, parents : int
        Capacities of the order table this risk watches.
    """

    def __init__(self, listings, *, uint32_t orders=16384, uint32_t parents=1024):
        if listings.dtype != LISTING_DTYPE:
            raise TypeError(f"listings: expected LISTING_DTYPE, got {listings.dtype}")
        if not len(listings) or not orders or not parents:
            raise ValueError("listings, orders and parents: at least one of each")
        if self.risk.limits is not NULL:
            raise RuntimeError("a risk book is initialised once")
        self.listings_owner = np.ascontiguousarray(listings)
        cdef const unsigned char[::1] raw = self.listings_owner.view(np.uint8)
        self.listings = <const Listing *>&raw[0]
        self.risk.listing_count = len(listings)
        self.risk.instrument_count = int(listings["instrument"].max()) + 1
        self.risk.order_capacity = orders
        self.risk.parent_capacity = parents
        self._allocate()

    cdef int _allocate(self) except -1:
        self.risk.limits = <ListingLimits *>zeroed(self.risk.listing_count, sizeof(ListingLimits))
        self.risk.exposures = <Exposure *>zeroed(self.risk.instrument_count, sizeof(Exposure))
        self.risk.commitments = <Commitment *>zeroed(self.risk.parent_capacity, sizeof(Commitment))
        self.risk.held = <Held *>zeroed(self.risk.order_capacity, sizeof(Held))
        return 0

    def __dealloc__(self):
        free(self.risk.limits)
        free(self.risk.exposures)
        free(self.risk.commitments)
        free(self.risk.held)

    def set_listing(self, uint32_t listing, *, maximum_quantity, maximum_notional, uint8_t state=TradingState.ACTIVE):
        """Our limits for one listing; what the exchange demands comes from the listing table.

        Parameters
        ----------
        maximum_quantity : int
            Largest quantity of one order, listing scale.
        maximum_notional : int
            Largest value of one order, in 1e-8 of the quote currency.
        state : TradingState

        Raises
        ------
        ValueError
            A limit that is not positive, or a listing whose tick, lot or factors are not.
        """
        if listing >= self.risk.listing_count:
            raise IndexError(f"listing {listing} is not in the table of {self.risk.listing_count}")
        if maximum_quantity <= 0 or maximum_notional <= 0:
            raise ValueError(f"listing {listing}: maximum_quantity and maximum_notional must be positive")
        cdef const Listing *source = &self.listings[listing]
        if min(source.tick, source.lot, source.price_factor, source.quantity_factor) <= 0:
            raise ValueError(f"listing {listing}: tick, lot and factors must be positive")
        cdef ListingLimits *limits = &self.risk.limits[listing]
        decimals = source.price_decimals + source.quantity_decimals
        limits.minimum_notional = product_limit(source.minimum_notional, decimals, lowest=True)
        limits.maximum_notional = product_limit(maximum_notional, decimals, lowest=False)
        limits.tick = source.tick
        limits.lot = source.lot
        limits.minimum_quantity = source.minimum_quantity
        limits.maximum_quantity = min(maximum_quantity, source.maximum_quantity or maximum_quantity)
        limits.price_factor = source.price_factor
        limits.quantity_factor = source.quantity_factor
        limits.instrument = source.instrument
        limits.state = TradingState.HALTED if source.halted else state

    def set_instrument(self, uint32_t instrument, *, int64_t maximum_position, int64_t collar, int64_t reference_age_ns,
                       position=0):
        """Limits of one instrument, in its scale.

        Parameters
        ----------
        maximum_position : int
            Largest position, long or short, if everything open is filled.
        collar : int
            How far beyond the reference price an order may be priced, as a fraction in 1e-8 (2 % = 2_000_000).
        reference_age_ns : int
            How old the reference price may be.
        position : int
            The position that is there before the first order.
        """
        if instrument >= self.risk.instrument_count:
            raise IndexError(f"instrument {instrument} is not in the table of {self.risk.instrument_count}")
        if maximum_position <= 0 or reference_age_ns <= 0 or not 0 < collar < FRACTION:
            raise ValueError(f"instrument {instrument}: maximum_position and reference_age_ns must be positive, "
                             f"collar between 0 and {FRACTION}")
        cdef Exposure *exposure = &self.risk.exposures[instrument]
        exposure.maximum_position = maximum_position
        exposure.collar = collar
        exposure.reference_age_ns = reference_age_ns
        exposure.net = position

    def set_reference(self, uint32_t instrument, int64_t price, int64_t now_ns):
        """The reference price of an instrument, in its scale."""
        if instrument >= self.risk.instrument_count:
            raise IndexError(f"instrument {instrument} is not in the table of {self.risk.instrument_count}")
        set_reference(&self.risk, instrument, price, now_ns)

    @property
    def state(self):
        """TradingState of everything; HALTED until it is set."""
        return <TradingState>self.risk.state

    @state.setter
    def state(self, value):
        self.risk.state = value

    def register_parent(self, OrderTable table, uint32_t slot):
        """Note what the parent in that slot of the order table asks for."""
        table.parent(slot)
        register_parent(&self.risk, slot, &table.table.parents[slot].order)

    def check(self, OrderTable table, uint32_t slot, int64_t now_ns):
        """Judge the order in that slot: DecisionView(code, limit, actual)."""
        cdef Approved approved
        cdef Decision decision
        memset(&approved, 0, sizeof(approved))
        table.order(slot)
        check(&self.risk, &table.table.orders[slot], now_ns, &approved, &decision)
        return DecisionView(<Reason>decision.code, decision.limit, decision.actual)

    def observe(self, OrderTable table, uint32_t slot):
        """Take in what is known of the order in that slot now."""
        table.order(slot)
        observe(&self.risk, &table.table.orders[slot])

    def release(self, OrderTable table, uint32_t slot):
        """Take back the approval of an order that never left."""
        table.order(slot)
        release(&self.risk, &table.table.orders[slot])

    def exposure(self, uint32_t instrument):
        """ExposureView of an instrument, in its scale."""
        if instrument >= self.risk.instrument_count:
            raise IndexError(f"instrument {instrument} is not in the table of {self.risk.instrument_count}")
        cdef const Exposure *exposure = &self.risk.exposures[instrument]
        return ExposureView(exposure.net, exposure.open_buys, exposure.open_sells, exposure.maximum_position,
                            exposure.reference_price, exposure.reference_ns)

    def committed(self, uint32_t parent):
        """Quantity of the parent in that slot that is filled or may still be, instrument scale."""
        if parent >= self.risk.parent_capacity:
            raise IndexError(f"parent slot {parent} is not in the table of {self.risk.parent_capacity}")
        return self.risk.commitments[parent].committed

    @property
    def counts(self):
        """{"approved", "refused", "strangers"}: orders judged, and orders seen that were not."""
        return {"approved": self.risk.approved, "refused": self.risk.refused, "strangers": self.risk.strangers}
