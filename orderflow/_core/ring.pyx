"""Owns rings and shows them to Python, for control threads and tests."""
cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdlib cimport free
from posix.stdlib cimport posix_memalign

import numpy as np


cdef class Ring:
    """Ring(capacity, slot_size): records of slot_size bytes from one producer thread to one consumer thread.

    capacity is a power of two, slot_size 64 or 128. The last 8 bytes of a record are the ring's: they are not carried
    and come out as zero. One side may be a native thread; Python threads that share a side are serialised.

    DANGER: native threads hold pointers into this object. Stop them before it dies.
    """

    def __cinit__(self, uint64_t capacity, int slot_size):
        if slot_size not in (64, 128):
            raise ValueError(f"slot_size={slot_size}: a slot is 64 or 128 bytes")
        if capacity == 0 or capacity & (capacity - 1) or capacity > 1 << 32:
            raise ValueError(f"capacity={capacity}: give a power of two, at most 2**32")
        if posix_memalign(&self.memory, line_pair, Ring64.bytes(capacity) if slot_size == 64
                          else Ring128.bytes(capacity)):
            self.memory = NULL
            raise MemoryError(f"no memory for a ring of {capacity} slots of {slot_size} bytes")
        self.slot_size = slot_size
        if slot_size == 64:
            self.of64 = Ring64.place(self.memory, capacity)
        else:
            self.of128 = Ring128.place(self.memory, capacity)

    def __dealloc__(self):
        free(self.memory)

    def push(self, record):
        """Producer: copy one record (bytes, structured scalar, any buffer of slot_size bytes) in. False when full."""
        cdef Py_buffer view
        cdef bint pushed
        PyObject_GetBuffer(record, &view, PyBUF_SIMPLE)
        try:
            if view.len != self.slot_size:
                raise ValueError(f"record of {view.len} bytes in a ring of {self.slot_size}-byte slots")
            with cython.critical_section(self):
                pushed = self.of64.push(view.buf) if self.of64 != NULL else self.of128.push(view.buf)
        finally:
            PyBuffer_Release(&view)
        return pushed

    def pop(self, dtype=None):
        """Consumer: the oldest record, None when empty; bytes, or a structured scalar of `dtype`."""
        cdef bytes record = PyBytes_FromStringAndSize(NULL, self.slot_size)
        cdef char *target = PyBytes_AS_STRING(record)
        cdef bint popped
        with cython.critical_section(self):
            popped = self.of64.pop(target) if self.of64 != NULL else self.of128.pop(target)
        if not popped:
            return None
        return record if dtype is None else np.frombuffer(record, dtype=dtype)[0]

    @property
    def capacity(self):
        return self.of64.capacity() if self.of64 != NULL else self.of128.capacity()

    def __len__(self):
        return self.of64.size() if self.of64 != NULL else self.of128.size()
