<<<<<<< HEAD
from pathlib import Path
=======
import os
>>>>>>> main

import numpy as np
from numpy.typing import NDArray

from orderflow._core.segments import Header, SegmentFiles

<<<<<<< HEAD
KIND: int
HEADER_BYTES: int
BOARD_VERSION_MASK: int
MAXIMUM_LISTINGS: int

class InputLogFiles(SegmentFiles):
    def __init__(self, directory: str | Path, name: str, epoch: int, *, segment_bytes: int = 16777216) -> None: ...
=======
class InputLogFiles(SegmentFiles):
    def __init__(
        self, directory: str | os.PathLike[str], name: str, epoch: int, *, segment_bytes: int = 16777216
    ) -> None: ...
>>>>>>> main
    def take(self, kind: int, source: int, number: int, event_ns: int) -> int: ...
    def board_read(self, listing: int, epoch: int, version: int) -> None: ...
    @property
    def lost(self) -> int: ...

<<<<<<< HEAD
def read_segment(path: str | Path) -> tuple[Header, NDArray[np.void], bool]: ...
def read(directory: str | Path, name: str, epoch: int | None = None) -> NDArray[np.void]: ...
=======
def read_segment(path: str | os.PathLike[str]) -> tuple[Header, NDArray[np.void], bool]: ...
def read(directory: str | os.PathLike[str], name: str, epoch: int | None = None) -> NDArray[np.void]: ...
>>>>>>> main
def board_version(records: NDArray[np.void]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]: ...
