"""Memory of a stage, taken at set-up: aligned to cache lines and touched, so that no event pays for a page fault."""
from libc.string cimport memset
from posix.stdlib cimport posix_memalign

cdef enum:
    CACHE_LINE = 64


cdef inline void *zeroed(size_t count, size_t size) except NULL:
    """count * size zero bytes, to be given back with free(); MemoryError if there are none."""
    cdef void *memory = NULL
    if (size and count > (<size_t>-1) / size) or posix_memalign(&memory, CACHE_LINE, count * size):
        raise MemoryError(f"{count} times {size} bytes")
    memset(memory, 0, count * size)     # written, not calloc: untouched pages would be mapped one by one, by events
    return memory
