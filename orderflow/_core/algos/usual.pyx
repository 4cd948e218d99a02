"""Shows what a listing's book usually has to Python."""
from libc.stdint cimport int64_t, uint8_t

from orderflow._core.types cimport BoardEntry


cdef BoardEntry _board(entry) except *:
    cdef bytes raw = entry.tobytes()
    if len(raw) != sizeof(BoardEntry):
        raise ValueError(f"entry: {len(raw)} bytes are no record of BOARD_ENTRY_DTYPE")
    return (<const BoardEntry *><const char *>raw)[0]


cdef class BookMemory:
    """BookMemory(): the usual spread of one listing and what usually lies near its best prices, of the boards (records
    of BOARD_ENTRY_DTYPE) that `observe` is given.

    Attributes
    ----------
    spread, bids, asks : float
        Means over time, listing scale.
    is_known : bool
        Whether they are of ten seconds or more.
    """
    cdef UsualBook state

    def observe(self, entry):
        """The board was read."""
        cdef BoardEntry board = _board(entry)
        observe(&self.state, &board)

    @property
    def spread(self):
        return self.state.spread.value

    @property
    def bids(self):
        return self.state.bids.value

    @property
    def asks(self):
        return self.state.asks.value

    @property
    def is_known(self):
        return is_known(&self.state)

    def is_narrow(self, entry, int64_t tick):
        """Whether the spread of a LIVE book is not wider than usual, to the nearest tick."""
        cdef BoardEntry board = _board(entry)
        return is_narrow(&self.state, &board, tick)

    def unusual(self, entry, int side, int64_t limit, double times):
        """What a taker finds near the best price and within the limit (listing scale, 0 = any), if that is so many
        times the usual; 0 = it is not."""
        cdef BoardEntry board = _board(entry)
        return unusual(&self.state, &board, <uint8_t>side, limit, times)
