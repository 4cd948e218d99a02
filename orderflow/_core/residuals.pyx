"""Owns the residuals and shows them to Python."""
from collections import namedtuple

from libc.stdlib cimport calloc, free

ResidualView = namedtuple("ResidualView", "strategy instrument quantity parents")


cdef class ResidualLedger:
    """What is kept of every strategy in every instrument, nothing at first; see residuals.pxd.

    Parameters
    ----------
    strategies, instruments : int
        How many there are.

    DANGER: the router writes here. Stop it before this dies.
    """

    def __cinit__(self, uint32_t strategies, uint32_t instruments):
        self.residuals.strategy_count, self.residuals.instrument_count = strategies, instruments
        self.residuals.kept = <Kept *>calloc(<size_t>strategies * instruments + 1, sizeof(Kept))
        if self.residuals.kept is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.residuals.kept)

    def set(self, uint32_t strategy, uint32_t instrument, int64_t quantity, uint64_t parents):
        """What the run before kept. Not once the router runs. IndexError: there is no such place."""
        cdef Kept *kept = of(&self.residuals, strategy, instrument)
        if kept is NULL:
            raise IndexError(f"strategy {strategy}, instrument {instrument}: there are {self.residuals.strategy_count} "
                             f"and {self.residuals.instrument_count}")
        kept.quantity, kept.parents = quantity, parents

    def rows(self):
        """A ResidualView of everything that is not zero: indices of strategy and instrument, the signed quantity in
        the instrument's scale (positive = to buy), and how many parents' rests are in it."""
        cdef uint32_t strategy, instrument
        cdef const Kept *kept
        found = []
        for strategy in range(self.residuals.strategy_count):
            for instrument in range(self.residuals.instrument_count):
                kept = of(&self.residuals, strategy, instrument)
                if kept.quantity:
                    found.append(ResidualView(strategy, instrument, kept.quantity, kept.parents))
        return found
