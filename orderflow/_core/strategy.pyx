"""Base class of strategies, and the one that calls a plain Python object."""


cdef class Strategy:
    """A strategy that does nothing; subclass it in Cython and override what you need.

    Parameters
    ----------
    name : str
        How reports and settings call it.
    """

    def __init__(self, str name=""):
        self.name = name or type(self).__name__

    cdef void on_signal(self, StrategyContext *context, const BoardEntry *entry) noexcept nogil:
        """The board of a listing changed: its book, its state or its signals."""

    cdef void on_report(self, StrategyContext *context, const ParentReport *report) noexcept nogil:
        """Something happened to one of this strategy's parent orders."""

    cdef void on_timer(self, StrategyContext *context) noexcept nogil:
        """The time asked for in context.wake_ns has come."""
