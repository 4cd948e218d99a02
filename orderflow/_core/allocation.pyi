from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

class Allotted(NamedTuple):
    quantity: int
    notional: int
    all_in: int
    parts: list[tuple[int, int]]
    nodes: int
    exact: bool

class Splitter:
    def __init__(self, listings: NDArray[np.void], depth: int = 64, nodes: int = 4096) -> None: ...
    def split(
        self,
        side: int,
        quantity: int,
        ladders: Sequence[Any],
        *,
        limit: int = 0,
        usable: Sequence[bool] | None = None,
        quantities: Sequence[int | None] | None = None,
        funds: Sequence[int | None] | None = None,
    ) -> Allotted: ...
