import os
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orderflow._core.segments import SegmentFiles

NAME: str
KIND: int
DECISION_HEAD_DTYPE: np.dtype[np.void]
DECISION_PART_DTYPE: np.dtype[np.void]

class DecisionPath(IntEnum):
    NOTHING_SENDABLE = 0
    GREEDY = 1
    SEARCHED = 2
    CUT_SHORT = 3
    RESTED = 4

class LeftOut(IntEnum):
    NOT_LEFT_OUT = 0
    NOT_ALLOWED = 1
    BOOK_NOT_TRADABLE = 2
    HALTED_LISTING = 3
    ORDER_UNDER_WAY = 4
    NO_ROOM = 5
    ONE_AT_A_TIME = 6
    BOOK_UNCHANGED = 7
    TAKES_NO_ORDERS = 8
    KILLED_EXCHANGE = 9
    ONLY_REDUCES = 10
    NO_RATE = 11
    NO_FUNDS = 12
    OTHER_CHOSEN = 13
    WAITS_FOR_BETTER = 14
    SENT_LATER = 15
    CONDITION_NOT_MET = 16

class Decided(NamedTuple):
    head: np.void
    parts: NDArray[np.void]

class DecisionFiles(SegmentFiles):
    def __init__(self, directory: str | os.PathLike[str], epoch: int, *, segment_bytes: int = 4194304) -> None: ...
    def append(self, head: Any, parts: Any) -> int: ...
    @property
    def taken(self) -> int: ...
    @property
    def lost(self) -> int: ...

def read(directory: str | os.PathLike[str], epoch: int) -> Iterator[Decided]: ...
def exact(value: np.void) -> int: ...
