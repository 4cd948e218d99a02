"""Parent orders that cannot be worked at all.

Router thread only.
"""
from libc.stdint cimport uint8_t, uint32_t

from orderflow._core cimport pacing, passive
from orderflow._core.algos cimport reaction
from orderflow._core.minimums cimport too_little
from orderflow._core.order_table cimport NONE
from orderflow._core.resting_parents cimport only_listing
from orderflow._core.router_state cimport RouterState
from orderflow._core.types cimport Algorithm, OrderFlag, ParentOrder, Reason, Tactic


cdef nogil:
    inline bint can_join(uint8_t algorithm) noexcept:
        """Whether its slices may wait in books: of those that wait for something else nothing is shown."""
        return (pacing.is_paced(algorithm) and algorithm != Algorithm.MINIMAL_IMPACT
                and algorithm != Algorithm.LIQUIDITY_SEEKING)

    inline uint8_t why_not(const RouterState *self, const ParentOrder *order) noexcept:
        """Why a parent order cannot be worked at all, whatever the books say; Reason.OK = it can."""
        if order.instrument >= self.instrument_count:
            return Reason.UNKNOWN_LISTING
        if self.lagged:
            return Reason.LAGGED
        if (order.algorithm == Algorithm.RESTING or order.algorithm == Algorithm.SNIPER) and order.limit_price <= 0:
            return Reason.PRICE_NOT_POSITIVE
        if order.algorithm == Algorithm.RESTING and only_listing(self, order) == <uint32_t>NONE:
            return Reason.UNKNOWN_LISTING
        if order.display and not reaction.reacts(order.algorithm) and (
                not (passive.is_resting(order.algorithm) or order.algorithm == Algorithm.JOIN)
                or too_little(self, order, order.display)):
            return Reason.BELOW_MINIMUM_REMAINS
        if order.end_ns == 0 and (order.algorithm == Algorithm.JOIN or (
                passive.is_resting(order.algorithm) and order.flags & OrderFlag.MUST_COMPLETE)):
            return Reason.NO_SCHEDULE
        if order.tactic == Tactic.TACTIC_JOIN and not can_join(order.algorithm):
            return Reason.NO_SCHEDULE
        if pacing.is_paced(order.algorithm) and not (pacing.is_possible(order) and (
                order.algorithm != Algorithm.VWAP or self.curves[order.instrument] is not NULL)):
            return Reason.NO_SCHEDULE
        return Reason.OK
