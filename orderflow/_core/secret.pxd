"""Secrets in memory of their own, which only native code reads."""
from libc.stdint cimport uint8_t

cdef extern from "<string.h>" nogil:
    void explicit_bzero(void *, size_t)

cdef void *locked_pages(size_t size, size_t *mapped) except NULL
cdef void give_back(void *pages, size_t mapped) noexcept


cdef class Secret:
    cdef uint8_t *data          # alone in locked pages; valid as long as this object lives
    cdef size_t size
    cdef size_t mapped
    cdef int _take(self, const char *raw, Py_ssize_t size) except -1
