"""Replay of pre-parsed depth frames into order books, timed where it runs: ours, and one of std::map.

Several books take every frame each, book i running i frames behind book 0, so that neither data nor branches repeat
from one book to the next.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libcpp.vector cimport vector
from posix.time cimport CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec

import numpy as np

from orderflow._core cimport book
from orderflow._core.book cimport Book, OrderBook
from orderflow._core.types cimport Level, Side

from orderflow._core.types import LEVEL_DTYPE


cdef extern from "map_book.hpp" nogil:
    cppclass MapSide[Order]:
        void clear()
        void apply(const Level *levels, uint32_t count)
        void best(Level *out)
        uint32_t walk(Level *out)

    cppclass MapBook:
        MapSide[int] bids
        MapSide[int] asks


cdef struct Frame:              # where the levels of one depth frame lie
    uint32_t bids_begin
    uint32_t bids_count
    uint32_t asks_begin
    uint32_t asks_count


cdef nogil:
    inline int64_t cpu_ns() noexcept:
        cdef timespec time
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return <int64_t>time.tv_sec * 1000000000 + time.tv_nsec

    inline uint64_t mix(uint64_t digest, const Level *level) noexcept:
        digest = (digest ^ <uint64_t>level.price) * 0x100000001b3ULL
        return (digest ^ <uint64_t>level.quantity) * 0x100000001b3ULL

    inline uint64_t step_ladder(Book *target, const Frame *frame, const Level *levels, uint64_t digest) noexcept:
        """One frame into the book, then its best bid and ask into the digest."""
        cdef Level bid, ask
        book.apply(target, Side.BUY, levels + frame.bids_begin, frame.bids_count)
        book.apply(target, Side.SELL, levels + frame.asks_begin, frame.asks_count)
        book.best(target, Side.BUY, &bid)
        book.best(target, Side.SELL, &ask)
        return mix(mix(digest, &bid), &ask)

    inline uint64_t step_map(MapBook *target, const Frame *frame, const Level *levels, uint64_t digest) noexcept:
        cdef Level bid, ask
        target.bids.apply(levels + frame.bids_begin, frame.bids_count)
        target.asks.apply(levels + frame.asks_begin, frame.asks_count)
        target.bids.best(&bid)
        target.asks.best(&ask)
        return mix(mix(digest, &bid), &ask)


cdef class Updates:
    """Pre-parsed depth frames, and the std::map books that take them.

    Parameters
    ----------
    levels : structured array of LEVEL_DTYPE, shape (n,)
    frames : uint32 array, shape (m, 4)
        bids_begin, bids_count, asks_begin, asks_count of each frame; the first is the snapshot, which replaces.
    """
    cdef const Level[::1] levels
    cdef const uint32_t[:, ::1] frames
    cdef vector[MapBook] trees

    def __init__(self, levels, frames):
        self.levels = levels
        self.frames = np.ascontiguousarray(frames, np.uint32)

    def replay_ladder(self, list books):
        """Into every OrderBook of the list. Returns (CPU ns, digest of best bid and ask after every frame)."""
        cdef vector[Book *] targets
        cdef OrderBook owner
        for owner in books:
            targets.push_back(&owner.book)
        cdef const Level *levels = &self.levels[0]
        cdef const Frame *frames = <const Frame *>&self.frames[0, 0]
        cdef Py_ssize_t frame_count = self.frames.shape[0]
        cdef Py_ssize_t book_count = len(books)
        cdef Py_ssize_t at, i
        cdef uint64_t digest = 0
        cdef int64_t begin_ns, end_ns
        with nogil:
            begin_ns = cpu_ns()
            for at in range(frame_count + book_count - 1):
                for i in range(max(0, at - frame_count + 1), min(at + 1, book_count)):
                    if at == i:
                        book.clear(targets[i])
                    digest = step_ladder(targets[i], &frames[at - i], levels, digest)
            end_ns = cpu_ns()
        return end_ns - begin_ns, digest

    def replay_map(self, Py_ssize_t book_count):
        """The same into books of std::map, which are kept from call to call as the caller keeps ours."""
        self.trees.resize(book_count)
        cdef const Level *levels = &self.levels[0]
        cdef const Frame *frames = <const Frame *>&self.frames[0, 0]
        cdef Py_ssize_t frame_count = self.frames.shape[0]
        cdef Py_ssize_t at, i
        cdef uint64_t digest = 0
        cdef int64_t begin_ns, end_ns
        with nogil:
            begin_ns = cpu_ns()
            for at in range(frame_count + book_count - 1):
                for i in range(max(0, at - frame_count + 1), min(at + 1, book_count)):
                    if at == i:
                        self.trees[i].bids.clear()
                        self.trees[i].asks.clear()
                    digest = step_map(&self.trees[i], &frames[at - i], levels, digest)
            end_ns = cpu_ns()
        return end_ns - begin_ns, digest

    def map_levels(self):
        """(bids, asks) of every std::map book: lists of structured arrays, best first."""
        out = np.empty(len(self.levels), LEVEL_DTYPE)
        cdef Level[::1] view = out
        cdef size_t i
        cdef uint32_t bids, asks
        held = []
        for i in range(self.trees.size()):
            bids = self.trees[i].bids.walk(&view[0])
            asks = self.trees[i].asks.walk(&view[0] + bids)
            held.append((out[:bids].copy(), out[bids:bids + asks].copy()))
        return held
