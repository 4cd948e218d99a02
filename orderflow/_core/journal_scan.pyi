import os
from pathlib import Path
from typing import NamedTuple

from orderflow._core.segments import Header

NAME: str
KIND: int
HEADER_BYTES: int

class Verification(NamedTuple):
    path: Path
    epoch: int
    records: int
    last_sequence: int
    end: int
    fault: str
    damaged: bool

class Ending(NamedTuple):
    path: Path
    number: int
    epoch: int
    sequence: int
    check: int
    fault: str

class SegmentScan:
    path: Path
    header: Header | None
    fault: str
    def __init__(self, path: str | os.PathLike[str], data: bytes | None = None) -> None: ...
    def next_record(self) -> tuple[int, int, int, int, bytes] | None: ...
    def finish(self) -> str: ...
    @property
    def empty(self) -> bool: ...
    @property
    def epoch(self) -> int: ...
    @property
    def records(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def sequence(self) -> int: ...
    @property
    def damaged(self) -> bool: ...
    @property
    def ending(self) -> Ending: ...

class JournalScan:
    segment: SegmentScan | None
    fault: str
    def __init__(self, path: str | os.PathLike[str], epoch: int | None = None) -> None: ...
    def next_segment(self) -> bool: ...

def break_between(previous: Ending | None, scan: SegmentScan) -> str: ...
def paths_of(path: str | os.PathLike[str]) -> list[Path]: ...
def epoch_of(path: str | os.PathLike[str]) -> int: ...
def verify(path: str | os.PathLike[str]) -> list[Verification]: ...
