from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

class ConsolidatedBook:
    def __init__(self, listings: NDArray[np.void], depth: int = 64) -> None: ...
    def merge(
        self, side: int, ladders: Sequence[Any], usable: Sequence[bool] | None = None,
        rates: Sequence[int] | None = None,
    ) -> list[tuple[int, int, int, int]]: ...
    def best(
        self, side: int, ladders: Sequence[Any], usable: Sequence[bool] | None = None,
        rates: Sequence[int] | None = None,
    ) -> tuple[int, int, int, int] | None: ...
    def cost(self, quantity: int) -> tuple[int, int, int, int]: ...
    def quantity_within(self, limit: int) -> int: ...
