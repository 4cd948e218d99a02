"""Listings that their exchange has halted, by its own word, and how they come back.

What an exchange lists when a run begins may be halted later: it refuses an order and says why. Then no other order goes
there for FIRST_NS, after that one alone, and if that is refused for the same reason again for twice as long, up to
about a minute. The first order that is not refused brings the listing back for everybody. So a halt costs one order
a minute, and its end is noticed without anybody's help.

Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t

from orderflow._core.router_state cimport CAUTION_NS, ListingState
from orderflow._core.types cimport ExecType, ExecutionReport, Reason

cdef enum:
    FIRST_NS = 1_000_000_000
    DOUBLINGS = 6


cdef nogil:
    inline void hear(ListingState *state, const ExecutionReport *report, int64_t now_ns) noexcept:
        """What became of an order there says whether the listing is halted."""
        if report.exec_type == ExecType.REPORT_REJECTED and report.reason == Reason.LISTING_HALTED:
            if now_ns < state.halted_until_ns:
                return                      # it was sent before the halt was known
            state.halted_until_ns = now_ns + (<int64_t>FIRST_NS << state.halts)
            state.cautious_until_ns = state.halted_until_ns + <int64_t>CAUTION_NS
            state.halts += state.halts < DOUBLINGS
        elif report.exec_type == ExecType.REPORT_NEW or report.exec_type == ExecType.REPORT_FILL:
            state.halts = 0
            state.halted_until_ns = 0
