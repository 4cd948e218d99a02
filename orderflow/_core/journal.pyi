import os
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orderflow._core.flusher import Flusher
from orderflow._core.journal_scan import verify as verify
from orderflow._core.order_table import OrderTable
from orderflow._core.risk import RiskBook
from orderflow._core.segments import SegmentFiles
from orderflow._core.types import Reason

class RecordKind(IntEnum):
    RUN_START = 1
    PARENT = 2
    INTENT = 3
    CANCEL = 4
    REPORT = 5
    STATE = 6
    RUN_END = 7
    CARRIED = 8
    REPLACE = 9
    RESIDUAL = 10

class Record(NamedTuple):
    sequence: int
    kind: int
    monotonic_ns: int
    wall_ns: int
    payload: bytes
    def decode(self) -> Any: ...

class JournalError(Exception): ...

class JournalFiles(SegmentFiles):
    instance: int
    prefix: int
    recovered: tuple[str, ...]
    policy: str
    flusher: Flusher | None
    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        segment_bytes: int = 67108864,
        policy: str = "crash",
        report: Callable[[str], None] | None = None,
        unix_offset_ns: int | None = None,
        instance: int | None = None,
    ) -> None: ...
    def start_run(self, **fields: Any) -> int: ...
    def carry(self, **fields: Any) -> int: ...
    def end_run(self, **fields: Any) -> int: ...
    def append(self, kind: int, record: NDArray[np.void], now_ns: int) -> int: ...
    def send(self, book: RiskBook, table: OrderTable, slot: int, now_ns: int) -> tuple[Reason, np.void | None]: ...
    def next_client_order_id(self) -> int: ...
    @property
    def sequence(self) -> int: ...
    @property
    def durable_sequence(self) -> int: ...
    @property
    def lost(self) -> int: ...
    @property
    def unsealed(self) -> int: ...

def next_epoch(directory: str | os.PathLike[str], instance: int | None = None) -> tuple[int, int]: ...
def lock(directory: str | os.PathLike[str]) -> int: ...
def read(path: str | os.PathLike[str]) -> Iterator[Record]: ...
def recover(directory: str | os.PathLike[str]) -> tuple[str, ...]: ...
