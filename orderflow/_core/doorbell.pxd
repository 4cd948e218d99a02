"""How a thread waits and how others wake it. doorbell.hpp draws the protocol and says why no wake-up is lost.

    bell.prepare_park()                         owner
    if <any inbox holds something>:             look again, after the fence
        bell.cancel_park()
    else:
        bell.wait(fds, count, timeout_ns)       fds[0] is the bell's own place, sockets follow

    inbox.push(&record)                         anybody else
    bell.ring()
"""
from libc.stdint cimport int64_t


cpdef enum WaitPolicy:          # of a thread
    SPIN = 0                    # never sleeps: a core for a hop of some tens of nanoseconds
    PARK = 1                    # sleeps when idle: nothing burnt, tens of microseconds to wake


cdef extern from "<poll.h>" nogil:
    enum: POLLIN, POLLOUT, POLLERR, POLLHUP

    struct pollfd:
        int fd
        short events
        short revents


cdef extern from "doorbell.hpp" namespace "orderflow" nogil:
    void relax() noexcept                                                               # any thread

    cdef cppclass NativeDoorbell "orderflow::Doorbell":
        int open() noexcept                                                             # set-up; 0 or errno
        void close() noexcept                                                           # tear-down
        void prepare_park() noexcept                                                    # owner
        void cancel_park() noexcept                                                     # owner
        int wait(pollfd *fds, unsigned int count, int64_t timeout_ns) noexcept          # owner; sockets ready, -errno
        void take() noexcept                                                            # owner
        bint ring() noexcept                                                            # any thread
        bint parked() noexcept                                                          # any thread
        int descriptor() noexcept                                                       # any thread


cdef class Doorbell:
    """Owns one bell; `native` is valid for as long as this object lives."""
    cdef NativeDoorbell *native
    cdef void *memory
