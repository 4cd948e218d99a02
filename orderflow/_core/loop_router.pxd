"""Declarations of the router's and the strategizer's loops."""
from libc.stdint cimport int64_t, uint32_t

from orderflow._core.allocation cimport Splitter
from orderflow._core.byte_ring cimport ByteRing
from orderflow._core.input_log cimport InputLogFiles
from orderflow._core.journal cimport JournalFiles
from orderflow._core.latency cimport LatencyHistogram
from orderflow._core.loops cimport Loop
from orderflow._core.order_table cimport OrderTable
from orderflow._core.residuals cimport ResidualLedger
from orderflow._core.ring cimport Ring
from orderflow._core.risk cimport RiskBook
from orderflow._core.router_state cimport RouterState
from orderflow._core.strategizer cimport StrategizerState
from orderflow._core.timers cimport TimerHeap


cdef class RouterLoop(Loop):
    cdef RouterState state
    cdef readonly OrderTable orders
    cdef readonly RiskBook risk
    cdef readonly ResidualLedger residuals
    cdef readonly LatencyHistogram frame_to_decision
    cdef readonly LatencyHistogram step_time
    cdef TimerHeap timers
    cdef ByteRing commands
    cdef list kept_alive
    cdef object names
    cdef int64_t day_begins_ns          # after midnight UTC; negative = no day ever ends
    cdef int64_t day_ends_ns            # monotonic
    cdef int64_t unix_offset_ns
    cdef bint virtual_clock

    cdef void find_day(self, int64_t now_ns) noexcept nogil
    cdef int take_port(self, uint32_t port, int64_t now_ns) noexcept nogil


cdef class StrategizerLoop(Loop):
    cdef StrategizerState state
    cdef ByteRing commands
    cdef ByteRing denials
    cdef list kept_alive
    cdef readonly LatencyHistogram step_time
