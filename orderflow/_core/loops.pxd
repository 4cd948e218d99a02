"""Declarations of the loops; loops.pyx is the one to read."""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core.arbitration cimport Feed
from orderflow._core.byte_ring cimport ByteRing
from orderflow._core.codec cimport Codec, DecodeOutput
from orderflow._core.doorbell cimport Doorbell, pollfd
from orderflow._core.exchange_state cimport ExchangeState
from orderflow._core.integrity cimport BookSync
from orderflow._core.latency cimport LatencyHistogram
from orderflow._core.masking cimport MaskKeys
from orderflow._core.rates cimport OrderRates
from orderflow._core.reconciliation cimport AccountBook
from orderflow._core.tape cimport Tape
from orderflow._core.types cimport ChildOrder


cdef struct FrameHeader:                # of a record in frames_in: a frame of a connection without a transport
    int64_t receive_ns
    uint32_t epoch
    uint32_t connection


cdef class Loop:
    """One native loop: a state and a step. A thread runs an array of them."""
    cdef readonly Doorbell bell             # of the thread that runs it

    cdef int step(self, int64_t now_ns) noexcept nogil
    cdef bint has_work(self) noexcept nogil
    cdef int64_t wake_ns(self) noexcept nogil
    cdef uint32_t wait_for(self, pollfd *fds, uint32_t capacity) noexcept nogil


cdef class ExchangeLoop(Loop):
    cdef ExchangeState state
    cdef BookSync *syncs                # of the first lines, then of the second ones, by listing index
    cdef Feed *feeds
    cdef MaskKeys mask_keys
    cdef Tape tape
    cdef uint8_t tape_closed
    cdef readonly ByteRing recording
    cdef uint8_t recording_closed
    cdef ByteRing commands
    cdef ByteRing events
    cdef ByteRing frames_in
    cdef ByteRing frames_out
    cdef list market_codecs
    cdef Codec order_codec
    cdef DecodeOutput decoded
    cdef readonly LatencyHistogram frame_to_board
    cdef readonly LatencyHistogram decided_to_sent
    cdef readonly LatencyHistogram frame_to_sent
    cdef bint virtual_clock
    cdef readonly str name
    cdef readonly bint borrows
    cdef list books                     # of each line: by listing index
    cdef uint32_t line_count
    cdef dict symbols
    cdef readonly OrderRates rates
    cdef list kept_alive
    cdef readonly AccountBook account   # None: nothing is compared

    cdef BookSync *sync_at(self, int listing, int line) except NULL
    cdef int take_commands(self, int64_t now_ns) noexcept nogil
    cdef int receive(self, uint32_t index, int64_t now_ns) noexcept nogil
    cdef int cancel(self, int64_t now_ns) noexcept nogil
    cdef int take_orders(self, int64_t now_ns) noexcept nogil
    cdef int64_t send_order(self, const ChildOrder *order, int64_t now_ns) noexcept nogil
    cdef int take_frames(self, int64_t now_ns) noexcept nogil
    cdef void decode(self, uint32_t index, const char *data, size_t size, int64_t now_ns) noexcept nogil


cdef class NativeThread:
    cdef void *loops[16]
    cdef uint32_t count
    cdef Doorbell bell
    cdef list owned
    cdef readonly int policy
    cdef readonly int cpu
    cdef uint8_t stopping
    cdef int64_t heartbeat
    cdef uint64_t parks

    cdef void _run(self) noexcept nogil
    cdef void _park(self, int64_t now_ns) noexcept nogil
