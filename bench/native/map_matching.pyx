"""Python face of the std::map contestant of bench_matching.py."""
from libc.stdint cimport int64_t


cdef extern from "map_matching.hpp" nogil:
    cdef struct MapInstruction:
        pass
    cdef struct MapReport:
        pass
    cdef cppclass MapMatching:
        MapMatching(size_t) except +
        size_t run(const MapInstruction *, size_t, MapReport *) noexcept
        size_t orders()
        size_t levels()
        size_t depth(int64_t *)


cdef class Engine:
    cdef MapMatching *matching

    def __cinit__(self, size_t capacity):
        self.matching = new MapMatching(capacity)

    def __dealloc__(self):
        del self.matching

    def run(self, const unsigned char[::1] instructions, unsigned char[::1] reports):
        """Bytes of INSTRUCTION_DTYPE and MATCH_REPORT_DTYPE arrays; returns reports written."""
        cdef size_t count = instructions.shape[0] // sizeof(MapInstruction)
        cdef size_t written
        with nogil:
            written = self.matching.run(<const MapInstruction *>&instructions[0], count, <MapReport *>&reports[0])
        return written

    def __len__(self):
        return self.matching.orders()

    @property
    def levels(self):
        return self.matching.levels()

    def depth(self, int64_t[::1] out):
        return self.matching.depth(&out[0])
