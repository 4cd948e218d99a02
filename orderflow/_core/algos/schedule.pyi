import numpy as np
from numpy.typing import NDArray

MOST_RANDOMNESS: int

def share_remaining(curvature: float, passed: float) -> float: ...
def cumulative(
    algorithm: int,
    quantity: int,
    slices: int,
    lot: int = 1,
    curvature: float = 0.0,
    seed: int = 0,
    randomness: int = 0,
) -> NDArray[np.int64]: ...
def beginnings(
    begin_ns: int,
    end_ns: int,
    slices: int,
    seed: int = 0,
    randomness: int = 0,
) -> NDArray[np.int64]: ...
