"""Listings that are left alone for a while, because their exchange refused an order for a reason that lasts.

    halted      what was listed when the run began is halted, says the exchange: nothing is sent there
    no funds    the account has not enough for that: nothing of that side is sent there

What an account holds is its exchange's business: other programs may use it, and orders of theirs reserve what we do not
see. So the exchange's word counts. After a refusal no order goes there for FIRST_NS, after that one alone, and if it is
refused for the same reason again none for twice as long, up to about a minute. The first order that is not refused
brings the listing back for everybody, and so does a fill of the other side, that brings funds. So what is gone costs
one order a minute, is not taken for a strategy that fails (risk_rates.pxd counts rejects), and its return is noticed
without anybody's help.

Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from orderflow._core.risk_own_orders cimport rank
from orderflow._core.router_state cimport CAUTION_NS, ListingState, Pause
from orderflow._core.types cimport ExecType, ExecutionReport, Reason

cdef enum:
    FIRST_NS = 1_000_000_000
    DOUBLINGS = 6


cdef nogil:
    inline bint is_short(const ListingState *state, uint8_t side, int64_t now_ns) noexcept:
        """Whether the account has no funds there for that side, by all that is known."""
        return now_ns < state.short_of[rank(side)].until_ns

    inline bint is_awaited(const ListingState *state) noexcept:
        """Whether it was refused the last time, so that only what the exchange answers to the next one counts."""
        return state.halted.times or state.short_of[0].times or state.short_of[1].times

    inline void begin(ListingState *state, Pause *pause, int64_t now_ns) noexcept:
        if now_ns < pause.until_ns:
            return                          # it was sent before this was known
        pause.until_ns = now_ns + (<int64_t>FIRST_NS << pause.times)
        pause.times += pause.times < DOUBLINGS
        if state.cautious_until_ns < pause.until_ns + CAUTION_NS:
            state.cautious_until_ns = pause.until_ns + <int64_t>CAUTION_NS

    inline void end(Pause *pause) noexcept:
        pause.until_ns = 0
        pause.times = 0

    inline void hear(ListingState *state, const ExecutionReport *report, uint8_t side, int64_t now_ns) noexcept:
        """What became of an order of that side says whether its listing takes others."""
        cdef uint32_t own = rank(side)
        if report.exec_type == ExecType.REPORT_REJECTED:
            if report.reason == Reason.LISTING_HALTED:
                begin(state, &state.halted, now_ns)
            elif report.reason == Reason.INSUFFICIENT_FUNDS:
                begin(state, &state.short_of[own], now_ns)
        elif report.exec_type == ExecType.REPORT_NEW or report.exec_type == ExecType.REPORT_FILL:
            end(&state.halted)
            end(&state.short_of[own])
            if report.exec_type == ExecType.REPORT_FILL:
                end(&state.short_of[1 - own])
