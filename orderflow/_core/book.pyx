"""Memory and Python face of the order book."""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset
from posix.mman cimport (
    MAP_ANONYMOUS, MAP_FAILED, MAP_NORESERVE, MAP_PRIVATE, PROT_READ, PROT_WRITE, mincore, mmap, munmap,
)
from posix.unistd cimport _SC_PAGESIZE, sysconf

import numpy as np

from orderflow._core cimport book, ladder
from orderflow._core.ladder cimport Ladder
from orderflow._core.types cimport Level, Side
from orderflow._core.window cimport NO_RANK

from orderflow._core.types import LEVEL_DTYPE, BookFault


cdef size_t _carve(size_t *used, size_t size) noexcept:
    """Set `size` bytes aside from a page boundary on; returns their offset."""
    cdef size_t page = <size_t>sysconf(_SC_PAGESIZE)
    cdef size_t at = used[0]
    used[0] = (at + size + page - 1) // page * page
    return at


cdef _allocate(OrderBook self, size_t size, size_t far_capacity):
    """Map the memory of both sides. It reads as zeros, and a page that is never written costs nothing."""
    cdef size_t used = 0
    cdef size_t offsets[2][4]
    cdef char *memory
    cdef Ladder *side
    cdef int i
    for i in range(2):
        offsets[i] = [_carve(&used, (size + 1) * sizeof(int64_t)), _carve(&used, size // 8),
                      _carve(&used, size // 512), _carve(&used, far_capacity * sizeof(Level))]
    memory = <char *>mmap(NULL, used, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if memory == MAP_FAILED:
        raise MemoryError(f"no address space for an order book of {used} bytes")
    self.memory = memory
    self.reserved = used
    for i in range(2):
        side = &self.book.asks if i else &self.book.bids
        side.near.quantities = <int64_t *>(memory + offsets[i][0])
        side.near.words = <uint64_t *>(memory + offsets[i][1])
        side.near.summary = <uint64_t *>(memory + offsets[i][2])
        side.far = <Level *>(memory + offsets[i][3])


cdef size_t _resident(void *memory, size_t size) except? 0:
    """Bytes of the mapping that have a page behind them."""
    cdef size_t page = <size_t>sysconf(_SC_PAGESIZE)
    cdef size_t pages = size // page
    cdef size_t resident = 0
    cdef size_t i
    cdef unsigned char *flags = <unsigned char *>malloc(pages)
    if flags is NULL:
        raise MemoryError()
    if mincore(memory, size, flags) == 0:
        for i in range(pages):
            resident += flags[i] & 1
    free(flags)
    return resident * page


cdef const Level[::1] _levels(levels):
    if levels.dtype != LEVEL_DTYPE or levels.ndim != 1:
        raise TypeError(f"levels: expected shape (n,) of LEVEL_DTYPE, got {levels.shape} of {levels.dtype}")
    return np.ascontiguousarray(levels)


cdef uint8_t _side(side) except 0:
    if side not in (Side.BUY, Side.SELL):
        raise ValueError(f"side={side!r}: expected Side.BUY or Side.SELL")
    return side


cdef class OrderBook:
    """Level 2 order book of one listing, exact at every price.

    Parameters
    ----------
    tick : int
        Price step in scaled units, 1 to 2**62 - 1. It shapes the ladder; levels off the grid are kept all the same.
    window : int
        Ticks per side that have a fixed place; a power of two from 4096 to 2**24. 8 bytes each where levels were.
    far_capacity : int
        Levels per side outside the window or off the grid, 1 to 2**24.
    touched : bool
        Have all of its memory resident at once; otherwise a page comes when a level is first written to it.
    """

    def __cinit__(self, *, tick=1, window=131072, far_capacity=65536, bint touched=False):
        if not 0 < tick < 2**62:
            raise ValueError(f"tick={tick}: expected 1 to 2**62 - 1, in scaled units")
        if window & (window - 1) or not 4096 <= window <= 2**24:
            raise ValueError(f"window={window}: expected a power of two from 4096 to 2**24")
        if not 1 <= far_capacity <= 2**24:
            raise ValueError(f"far_capacity={far_capacity}: expected 1 to 2**24 levels")
        _allocate(self, window, far_capacity)
        if touched:
            memset(self.memory, 0, self.reserved)
        self.book.bids.sign = -1
        cdef Ladder *side
        for name in (Side.BUY, Side.SELL):
            side = book.side_of(&self.book, name)
            side.tick = tick
            side.shift = (tick & -tick).bit_length() - 1
            side.inverse = pow(tick >> side.shift, -1, 2**64)
            side.limit = (2**62 - 1) // tick
            side.near.size = window
            side.far_capacity = far_capacity
            side.best = NO_RANK
            ladder.set_window(side, -side.near.size if side.sign else 0)

    def __dealloc__(self):
        if self.memory is not NULL:
            munmap(self.memory, self.reserved)

    def apply(self, side, levels):
        """Set the absolute quantity of each level in turn; 0 deletes, and deleting what is not there is legal.

        Parameters
        ----------
        side : Side
        levels : numpy structured array of LEVEL_DTYPE, shape (n,)

        Returns
        -------
        BookFault
            NO_FAULT; or FULL or MALFORMED (price not in 1 .. 2**62 - 1, or negative quantity) at the first level that
            cannot be kept, with those before it applied and none after.
        """
        cdef uint8_t name = _side(side)
        cdef const Level[::1] view = _levels(levels)
        cdef uint32_t number = view.shape[0]
        cdef const Level *first
        cdef int fault
        if number == 0:
            return BookFault.NO_FAULT
        first = &view[0]
        with nogil:
            fault = book.apply(&self.book, name, first, number)
        return BookFault(fault)

    def replace(self, bids, asks):
        """A snapshot: these levels (as for `apply`) and no others. Returns a BookFault."""
        self.clear()
        return self.apply(Side.BUY, bids) or self.apply(Side.SELL, asks)

    def clear(self):
        """Remove every level; the counters go on."""
        with nogil:
            book.clear(&self.book)

    def truncate(self, uint32_t depth):
        """Keep the best `depth` levels of each side."""
        with nogil:
            book.truncate(&self.book, depth)

    def levels(self, side, n=None):
        """The best `n` levels (None = all), best first: a new numpy structured array of LEVEL_DTYPE, shape (<= n,)."""
        cdef uint8_t name = _side(side)
        held = book.count(&self.book, name)
        if n is not None and n < 0:
            raise ValueError(f"n={n}: expected a number of levels or None")
        out = np.empty(held if n is None else min(n, held), LEVEL_DTYPE)
        cdef Level[::1] view = out
        if len(out):
            book.top(&self.book, name, &view[0], <uint32_t>view.shape[0])
        return out

    def best(self, side):
        """(price, quantity) of the best level; None if the side is empty."""
        cdef Level level
        return (level.price, level.quantity) if book.best(&self.book, _side(side), &level) else None

    def quantity_at(self, side, int64_t price):
        """Quantity of the level at `price`, 0 if there is none."""
        return book.quantity_at(&self.book, _side(side), price)

    def count(self, side):
        """Number of levels."""
        return book.count(&self.book, _side(side))

    @property
    def crossed(self):
        """Best bid above best ask. A locked book (equal) is not crossed."""
        return book.crossed(&self.book)

    @property
    def statistics(self):
        """What was applied since the start, where the levels lie, and the memory they take.

        Returns
        -------
        dict of str to int
            levels_applied (entries of updates, whether or not they changed something), deletes_of_absent, recentrings,
            near_levels (in the windows), far_levels, reserved_bytes (address space), resident_bytes (pages in use).
        """
        cdef Ladder *bids = &self.book.bids
        cdef Ladder *asks = &self.book.asks
        return {
            "levels_applied": bids.levels_applied + asks.levels_applied,
            "deletes_of_absent": bids.deletes_of_absent + asks.deletes_of_absent,
            "recentrings": bids.recentrings + asks.recentrings,
            "near_levels": bids.near.count + asks.near.count,
            "far_levels": bids.far_count + asks.far_count,
            "reserved_bytes": self.reserved,
            "resident_bytes": _resident(self.memory, self.reserved),
        }
