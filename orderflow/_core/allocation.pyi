from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LARGEST_TICKET: int

class Allotted(NamedTuple):
    quantity: int
    notional: int
    all_in: int
    parts: list[tuple[int, int]]
    nodes: int
    exact: bool
    greedy: bool
    gap: int
    unfilled: int

class Splitter:
    def __init__(
        self,
        listings: NDArray[np.void],
        depth: int = 64,
        nodes: int = 1024,
        charges: Sequence[tuple[int, Sequence[tuple[int, int]]]] | None = None,
    ) -> None: ...
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
        rates: Sequence[int] | None = None,
    ) -> Allotted: ...
