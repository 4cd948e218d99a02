"""Loops around one journal append, one risk check and one report: a native stamp before each, a stamp after."""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

import numpy as np

from orderflow._core cimport journal, orders, risk, segments
from orderflow._core.doorbell cimport relax
from orderflow._core.journal cimport JournalFiles
from orderflow._core.order_table cimport Outcome
from orderflow._core.orders cimport Orders
from orderflow._core.risk cimport Approved, Decision, RiskBook
from orderflow._core.types cimport ExecutionReport, ExecType, Reason

cdef extern from *:
    """
    #include <time.h>
    static inline int64_t ledger_now(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000000000LL + now.tv_nsec;
    }
    """
    int64_t clock_ns "ledger_now"() noexcept nogil


def time_nothing(uint32_t count):
    """What two stamps cost by themselves, nanoseconds each time."""
    out = np.empty(count, np.int64)
    cdef int64_t[::1] taken = out
    cdef uint32_t i
    cdef int64_t begin
    with nogil:
        for i in range(count):
            begin = clock_ns()
            taken[i] = clock_ns() - begin
    return out


def time_appends(JournalFiles files, uint32_t count):
    """Append `count` execution reports; nanoseconds each."""
    out = np.empty(count, np.int64)
    cdef int64_t[::1] taken = out
    cdef ExecutionReport report
    cdef uint32_t i = 0
    cdef int64_t begin
    cdef uint64_t sequence
    memset(&report, 0, sizeof(report))
    with nogil:
        for i in range(count):
            report.trade_id = i
            begin = clock_ns()
            sequence = journal.append_report(&files.journal, &report, begin)
            taken[i] = clock_ns() - begin
            if not sequence:
                break
    return out[:i + 1]


def time_until_durable(JournalFiles files, uint32_t count):
    """Append `count` execution reports, each when the one before is on disk: nanoseconds until it is, each time."""
    out = np.empty(count, np.int64)
    cdef int64_t[::1] taken = out
    cdef ExecutionReport report
    cdef uint32_t i
    cdef int64_t begin
    cdef uint64_t sequence
    memset(&report, 0, sizeof(report))
    with nogil:
        for i in range(count):
            begin = clock_ns()
            sequence = journal.append_report(&files.journal, &report, begin)
            while segments.load_sequence(&files.durability.durable) < sequence:
                relax()
            taken[i] = clock_ns() - begin
    return out


def time_sends(JournalFiles files, RiskBook book, Orders table, uint32_t slot, uint32_t count):
    """Judge the order in `slot` and journal its intent, `count` times: (nanoseconds of each check, of each intent)."""
    checks, intents = np.empty(count, np.int64), np.empty(count, np.int64)
    cdef int64_t[::1] checked = checks
    cdef int64_t[::1] written = intents
    cdef Approved approved
    cdef Decision decision
    cdef uint32_t i
    cdef int64_t begin, middle
    cdef bint passed = True
    with nogil:
        for i in range(count):
            begin = clock_ns()
            risk.check(&book.risk, &table.table.orders[slot], begin, &approved, &decision)
            middle = clock_ns()
            passed = decision.code == Reason.OK and journal.append_intent(&files.journal, &approved, middle) != NULL
            written[i] = clock_ns() - middle
            checked[i] = middle - begin
            if not passed:
                break
            risk.release(&book.risk, &table.table.orders[slot])
    if not passed:
        raise RuntimeError(f"order {i} did not pass: code {decision.code}")
    return checks, intents


def time_marks(RiskBook book, uint32_t count):
    """Move the reference price of the first instrument up and down: everything in it is valued and judged again;
    nanoseconds each."""
    out = np.empty(count, np.int64)
    cdef int64_t[::1] taken = out
    cdef int64_t price = book.risk.exposures[0].reference_price
    cdef uint32_t i
    cdef int64_t begin
    with nogil:
        for i in range(count):
            begin = clock_ns()
            risk.set_reference(&book.risk, 0, price + (i & 1), begin)
            taken[i] = clock_ns() - begin
    return out


def time_fills(Orders table, uint64_t client_order_id, uint32_t slot, uint32_t count):
    """Apply `count` fills of 1 to one order; nanoseconds each."""
    out = np.empty(count, np.int64)
    cdef int64_t[::1] taken = out
    cdef ExecutionReport report
    cdef Outcome outcome
    cdef uint32_t i
    cdef int64_t begin
    memset(&report, 0, sizeof(report))
    report.client_order_id = client_order_id
    report.slot = slot
    report.exec_type = ExecType.REPORT_FILL
    report.cumulative_quantity = -1
    report.last_price = 10_000
    report.last_quantity = 1
    with nogil:
        for i in range(count):
            report.trade_id = i + 1
            begin = clock_ns()
            orders.apply(&table.table, &report, &outcome)
            taken[i] = clock_ns() - begin
    return out
