"""The two clocks. Only the loops and the transport read them; every stage is handed the time.

Through the vDSO: about 20 ns, no system call. Reading the cycle counter would take 8 ns, but it must be calibrated and
checked for being invariant and synchronous on every host, and two stamps a frame do not show up beside decoding one.
Any thread.
"""
from libc.stdint cimport int64_t
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec


cdef nogil:
    inline int64_t monotonic_ns() noexcept:
        """Nanoseconds since some fixed moment; never steps. The clock of receive_ns, deadlines and timers."""
        cdef timespec moment
        clock_gettime(CLOCK_MONOTONIC, &moment)
        return <int64_t>moment.tv_sec * 1000000000 + moment.tv_nsec

    inline int64_t unix_ns() noexcept:
        """Nanoseconds since 1970 UTC; may step. The clock that exchanges want in their requests."""
        cdef timespec moment
        clock_gettime(CLOCK_REALTIME, &moment)
        return <int64_t>moment.tv_sec * 1000000000 + moment.tv_nsec
