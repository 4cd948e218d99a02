"""Frames put into an exchange loop's ring one at a time, and the time until the order lies in its other ring.

The stamp before is taken when the frame is copied and about to become visible, the stamp after when the step that wrote
the order has returned. The exchange's answers are given between frames, outside the time.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy
from libcpp.vector cimport vector

import numpy as np

from orderflow._core cimport clock
from orderflow._core.byte_ring cimport ByteRingStatus
from orderflow._core.loop_router cimport RouterLoop, StrategizerLoop
from orderflow._core.loops cimport ExchangeLoop, FrameHeader

cdef extern from "recorded_exchange.hpp" namespace "recorded" nogil:
    int acknowledge(const char *order, size_t size, unsigned long long number, char *out, size_t room)
    int fill(const char *order, size_t size, unsigned long long number, char *out, size_t room)

cdef enum:
    MARKET = 0                  # connections, as BinanceSession.endpoints orders them
    ORDERS = 1
    STAGES = 4                  # exchange, router, strategizer, router again: the fused layout's round
    ROUNDS = 8
    ANSWER_SIZE = 1024
    NOT_ANSWERED = -1


cdef class Driver:
    """Feeds one exchange loop.

    Parameters
    ----------
    frames : list of bytes
    exchange, router, strategizer
        The loops. `router` and `strategizer` are None where other threads run them.
    epoch : int
        Of both connections.
    """
    cdef bytes owned
    cdef const char *data
    cdef vector[size_t] begins
    cdef vector[size_t] sizes
    cdef ExchangeLoop exchange
    cdef RouterLoop router
    cdef StrategizerLoop strategizer
    cdef bint fused
    cdef uint32_t epoch
    cdef uint64_t answered

    def __init__(self, list frames, ExchangeLoop exchange, RouterLoop router, StrategizerLoop strategizer, int epoch):
        cdef size_t at = 0
        for frame in frames:
            self.begins.push_back(at)
            self.sizes.push_back(len(frame))
            at += len(frame)
        self.owned = b"".join(frames)
        self.data = self.owned
        self.exchange, self.router, self.strategizer, self.epoch = exchange, router, strategizer, epoch
        self.fused = router is not None
        # A live clock, as the sync and async servers have it: the loop stamps what it has sent.
        exchange.virtual_clock = False
        exchange.state.path.unix_offset_ns = clock.unix_ns() - clock.monotonic_ns()

    cdef int64_t show(self, uint32_t connection, const char *data, size_t size) noexcept nogil:
        """A frame into the ring; the time at which it became visible, or NOT_ANSWERED when there was no room."""
        cdef char *target
        cdef FrameHeader *header
        if self.exchange.state.frames_in.reserve(sizeof(FrameHeader) + size, &target) != ByteRingStatus.BYTE_RING_OK:
            return NOT_ANSWERED
        header = <FrameHeader *>target
        memcpy(target + sizeof(FrameHeader), data, size)
        header.epoch = self.epoch
        header.connection = connection
        header.receive_ns = clock.monotonic_ns()
        cdef int64_t shown_ns = header.receive_ns
        self.exchange.state.frames_in.commit(sizeof(FrameHeader) + size, 0)
        return shown_ns

    cdef const char *order(self, uint32_t *size) noexcept nogil:
        cdef uint32_t tag
        return self.exchange.state.frames_out.peek(size, &tag)

    cdef int others(self) noexcept nogil:
        """The other loops' part of a round, in the order and with the clock of NativeThread."""
        cdef int work = self.router.step(clock.monotonic_ns())
        work += self.strategizer.step(clock.monotonic_ns())
        return work + self.router.step(clock.monotonic_ns())

    cdef void settle(self, int64_t idle_ns) noexcept nogil:
        """Until no loop has anything left to do; other threads' loops are given `idle_ns` of silence."""
        cdef int64_t quiet_ns = clock.monotonic_ns()
        cdef int64_t now_ns = quiet_ns
        cdef int work
        while True:
            now_ns = clock.monotonic_ns()
            work = self.exchange.step(now_ns)
            if self.fused:
                work += self.others()
            if work:
                quiet_ns = now_ns
            elif self.fused or now_ns - quiet_ns > idle_ns:
                return

    cdef void answer(self) noexcept nogil:
        """The order that waits in the ring: acknowledged and filled."""
        cdef char[ANSWER_SIZE] text
        cdef uint32_t size
        cdef const char *order = self.order(&size)
        cdef int length
        self.answered += 1
        length = acknowledge(order, size, self.answered, text, ANSWER_SIZE)
        self.show(ORDERS, text, <size_t>length)
        length = fill(order, size, self.answered, text, ANSWER_SIZE)
        self.show(ORDERS, text, <size_t>length)
        self.exchange.state.frames_out.release()

    cdef int64_t one(self, size_t i, int64_t patience_ns) noexcept nogil:
        """Nanoseconds from frame to order; NOT_ANSWERED when none came."""
        cdef int64_t begin_ns = self.show(MARKET, self.data + self.begins[i], self.sizes[i])
        cdef int64_t now_ns = begin_ns
        cdef uint32_t size
        while now_ns - begin_ns < patience_ns:
            now_ns = clock.monotonic_ns()
            self.exchange.step(now_ns)
            if self.order(&size) is not NULL:
                return clock.monotonic_ns() - begin_ns
            if self.fused:
                self.others()
        return NOT_ANSWERED

    def run(self, Py_ssize_t first, Py_ssize_t last, int64_t patience_ns=1_000_000_000, int64_t idle_ns=1_000_000):
        """Frames first .. last - 1 one by one; nanoseconds of each, -1 where no order came."""
        out = np.empty(last - first, np.int64)
        cdef int64_t[::1] taken = out
        cdef Py_ssize_t i
        with nogil:
            for i in range(last - first):
                taken[i] = self.one(<size_t>(first + i), patience_ns)
                if taken[i] != NOT_ANSWERED:
                    self.answer()
                self.settle(idle_ns)
        return out

    def parts(self, Py_ssize_t first, Py_ssize_t last):
        """Frames one by one, fused, each step stamped: nanoseconds, shape (frames, ROUNDS, STAGES); 0 = not run."""
        out = np.zeros((last - first, ROUNDS, STAGES), np.int64)
        cdef int64_t[:, :, ::1] taken = out
        cdef Py_ssize_t i
        cdef uint32_t size
        cdef int64_t now_ns, after_ns
        cdef int r
        with nogil:
            for i in range(last - first):
                self.show(MARKET, self.data + self.begins[first + i], self.sizes[first + i])
                for r in range(ROUNDS):
                    now_ns = clock.monotonic_ns()
                    self.exchange.step(now_ns)
                    after_ns = clock.monotonic_ns()
                    taken[i, r, 0] = after_ns - now_ns
                    if self.order(&size) is not NULL:
                        self.answer()
                        break
                    self.router.step(after_ns)
                    now_ns = clock.monotonic_ns()
                    taken[i, r, 1] = now_ns - after_ns
                    self.strategizer.step(now_ns)
                    after_ns = clock.monotonic_ns()
                    taken[i, r, 2] = after_ns - now_ns
                    self.router.step(after_ns)
                    taken[i, r, 3] = clock.monotonic_ns() - after_ns
                self.settle(0)
        return out

    @property
    def orders(self):
        """Orders answered so far."""
        return self.answered
