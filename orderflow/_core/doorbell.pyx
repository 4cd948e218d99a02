"""Owns doorbells and shows them to Python: control threads ring them, an event loop may watch one."""
from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport free
from libc.string cimport memset
from posix.stdlib cimport posix_memalign

import os


cdef class Doorbell:
    """Doorbell(): one thread waits (the owner), any thread rings.

    DANGER: native threads hold a pointer into this object. Stop them before it dies.
    """

    def __cinit__(self):
        cdef int failure
        if posix_memalign(&self.memory, 64, sizeof(NativeDoorbell)):
            self.memory = NULL
            raise MemoryError("no memory for a doorbell")
        memset(self.memory, 0, sizeof(NativeDoorbell))
        failure = (<NativeDoorbell *>self.memory).open()
        if failure:
            raise OSError(failure, f"eventfd: {os.strerror(failure)} (raise the limit of open files: ulimit -n)")
        self.native = <NativeDoorbell *>self.memory

    def __dealloc__(self):
        if self.native != NULL:
            self.native.close()
        free(self.memory)

    def ring(self):
        """Any thread, after publishing. True if the owner was parked and this call woke it."""
        return self.native.ring()

    def prepare_park(self):
        """Owner: look at every inbox after this, then wait() or cancel_park()."""
        self.native.prepare_park()

    def cancel_park(self):
        """Owner: the second look found something."""
        self.native.cancel_park()

    def wait(self, int64_t timeout_ns):
        """Owner, after prepare_park(): until the bell rings, a signal comes or timeout_ns pass (negative: no limit)."""
        cdef pollfd fds[1]
        cdef int status
        with nogil:
            status = self.native.wait(fds, 1, timeout_ns)
        if status < 0:
            raise OSError(-status, f"ppoll: {os.strerror(-status)}")
        PyErr_CheckSignals()

    def take(self):
        """Owner that watches fileno() in an event loop: empty the bell; then prepare_park() and look again."""
        self.native.take()

    def fileno(self):
        """The eventfd: readable while a ring has not been taken."""
        return self.native.descriptor()

    @property
    def parked(self):
        return self.native.parked()
