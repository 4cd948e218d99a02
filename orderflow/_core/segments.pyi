import os
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

MINIMUM_BYTES: int
CRASH_POINTS: bool

class Halt(IntEnum):
    NOT_HALTED = 0
    NO_SPACE = 1
    FLUSH_FAILED = 2
    FLUSH_STALLED = 3

class Header(NamedTuple):
    path: Path
    version: int
    kind: int
    salt: int
    epoch: int
    first_sequence: int
    bytes: int
    number: int
    previous_check: int

class SegmentError(Exception): ...
class DamagedHeader(SegmentError): ...
class OtherVersion(SegmentError): ...

def checksum(data: bytes, seed: int = 0, *, portable: bool = False) -> int: ...
def seed_for(salt: int, number: int) -> int: ...
def number_of(path: Path) -> int: ...
def segment_paths(directory: str | os.PathLike[str], name: str) -> list[Path]: ...
def read_header(path: str | os.PathLike[str], data: bytes) -> Header: ...
def sync_directory(directory: str | os.PathLike[str]) -> None: ...

class SegmentFiles:
    directory: Path
    name: str
    epoch: int
    error: Exception | None
    closed: bool
    def __init__(
        self,
        directory: str | os.PathLike[str],
        name: str,
        kind: int,
        epoch: int,
        first_sequence: int,
        segment_bytes: int,
        flushed_apart: bool = False,
        report: Callable[[str], None] | None = None,
    ) -> None: ...
    def halt(self, why: int, line: str) -> None: ...
    @property
    def halted(self) -> Halt: ...
    def wait_prepared(self, timeout: float = 10.0) -> bool: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...
    @property
    def failed(self) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
