"""A map from two 64-bit words to a dense index, in memory of fixed size.

Open addressing with linear probing over a power of two of cells, at least twice as many as there can be entries, so a
search ends within one or two cache lines on average. Removal shifts the rest of its run back instead of leaving
tombstones, so a table that has seen a billion orders probes as fast as a fresh one. Client order ids are consecutive
numbers; kept in their order they would form one run as long as the table, so both words are multiplied through before
the top bits choose the cell. """
from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    NOT_FOUND = 0xFFFFFFFF


cdef struct Cell:
    uint64_t first              # 0 = empty
    uint64_t second
    uint32_t index
    uint32_t reserved


cdef struct IndexMap:
    Cell *cells
    uint32_t mask
    uint32_t shift              # 64 - log2(cells)


cdef nogil:
    inline uint32_t home(const IndexMap *index_map, uint64_t first, uint64_t second) noexcept:
        """Cell in which the search for a key begins."""
        cdef uint64_t mixed = (first ^ second * 0xC2B2AE3D27D4EB4FULL) * 0x9E3779B97F4A7C15ULL
        return <uint32_t>((mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9ULL >> index_map.shift)

    inline uint32_t find(const IndexMap *index_map, uint64_t first, uint64_t second) noexcept:
        """Index stored for the key, or NOT_FOUND."""
        cdef uint32_t at = home(index_map, first, second)
        cdef const Cell *cell = &index_map.cells[at]
        while cell.first:
            if cell.first == first and cell.second == second:
                return cell.index
            at = (at + 1) & index_map.mask
            cell = &index_map.cells[at]
        return <uint32_t>NOT_FOUND

    inline void insert(IndexMap *index_map, uint64_t first, uint64_t second, uint32_t index) noexcept:
        """Add a key that is not there yet; first != 0. The caller never holds more entries than half the cells."""
        cdef uint32_t at = home(index_map, first, second)
        while index_map.cells[at].first:
            at = (at + 1) & index_map.mask
        index_map.cells[at].first = first
        index_map.cells[at].second = second
        index_map.cells[at].index = index

    inline void remove(IndexMap *index_map, uint64_t first, uint64_t second) noexcept:
        """Remove a key if it is there, and close the gap it leaves."""
        cdef uint32_t hole = home(index_map, first, second)
        cdef uint32_t at, wanted
        while index_map.cells[hole].first != first or index_map.cells[hole].second != second:
            if index_map.cells[hole].first == 0:
                return
            hole = (hole + 1) & index_map.mask
        at = hole
        while True:
            at = (at + 1) & index_map.mask
            if index_map.cells[at].first == 0:
                break
            wanted = home(index_map, index_map.cells[at].first, index_map.cells[at].second)
            # An entry may move into the hole only if the hole still lies between its home and where it is now.
            if ((at - wanted) & index_map.mask) >= ((at - hole) & index_map.mask):
                index_map.cells[hole] = index_map.cells[at]
                hole = at
        index_map.cells[hole].first = 0
