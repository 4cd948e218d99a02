"""Owns byte rings and shows them to Python, for control threads and tests."""
cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport free
from posix.stdlib cimport posix_memalign


cdef class ByteRing:
    """ByteRing(capacity): byte strings from one producer thread to one consumer thread.

    capacity in bytes, a power of two from 128 to 2**31; a record of n bytes takes 72 + n of them, rounded up to 8.
    One side may be a native thread; Python threads that share a side are serialised.

    DANGER: native threads hold pointers into this object. Stop them before it dies.
    """

    def __cinit__(self, uint64_t capacity):
        if capacity < 128 or capacity & (capacity - 1) or capacity > 1 << 31:
            raise ValueError(f"capacity={capacity}: give a power of two from 128 to 2**31")
        if posix_memalign(&self.memory, 64, NativeByteRing.bytes(capacity)):
            self.memory = NULL
            raise MemoryError(f"no memory for a byte ring of {capacity} bytes")
        self.native = NativeByteRing.place(self.memory, capacity)

    def __dealloc__(self):
        free(self.memory)

    def push(self, data, uint32_t tag=0):
        """Producer: copy one record in. False when full; ValueError if no such record can ever fit."""
        cdef Py_buffer view
        cdef int status
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            with cython.critical_section(self):
                status = self.native.push(view.buf, view.len, tag)
            if status == ByteRingStatus.BYTE_RING_TOO_LARGE:
                raise ValueError(f"record of {view.len} bytes; this ring carries at most {self.largest_record}")
        finally:
            PyBuffer_Release(&view)
        return status == ByteRingStatus.BYTE_RING_OK

    def pop(self):
        """Consumer: (tag, bytes) of the oldest record, None when empty."""
        cdef uint32_t length = 0
        cdef uint32_t tag = 0
        cdef const char *data
        with cython.critical_section(self):
            data = self.native.peek(&length, &tag)
            if data == NULL:
                return None
            record = PyBytes_FromStringAndSize(data, length)
            self.native.release()
        return tag, record

    @property
    def capacity(self):
        return self.native.capacity()

    @property
    def largest_record(self):
        """Bytes of the longest record that push() takes."""
        return NativeByteRing.largest_record(self.native.capacity())

    @property
    def used(self):
        """Bytes in use: records, their padding, and space skipped at the end."""
        return self.native.used()
