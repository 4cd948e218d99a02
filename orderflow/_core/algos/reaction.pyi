from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

def price_favour(side: int, arrival: int, price: int) -> int: ...
def pace_factor(move: int, scale: int) -> int: ...
def cumulative(
    quantity: int,
    factors: Sequence[int] | NDArray[np.int64],
    lot: int = 1,
    curvature: float = 0.0,
) -> NDArray[np.int64]: ...
