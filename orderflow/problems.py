"""What went wrong, one line each, for who runs the engine."""
from __future__ import annotations

from collections.abc import Callable

#: Remembered; older ones are forgotten.
MOST_PROBLEMS = 1000


class EngineError(Exception):
    """The engine cannot start or go on; the message says what to do."""


class Problems:
    """Keeps the newest problems, and passes each on to who wants to hear of it.

    Threads, sockets and journals are given this, not the engine: what they hold would keep an engine alive, and with it
    the memory of its books and tables, long after its user has let go of it.
    """

    def __init__(self, told: Callable[[str], None] | None = None):
        self.newest: list[str] = []
        self._told = told

    def __call__(self, problem: str) -> None:
        """One more."""
        self.newest.append(problem)
        del self.newest[:-MOST_PROBLEMS]
        if self._told is not None:
            self._told(problem)
