from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orderflow._core.types import Reason, Side

INSTRUCTION_DTYPE: np.dtype[np.void]
MATCH_REPORT_DTYPE: np.dtype[np.void]
OUTCOME_DTYPE: np.dtype[np.void]
LEVEL_CHANGE_DTYPE: np.dtype[np.void]

class MatchStatus(IntEnum):
    FINISHED = 0
    UNFINISHED = 1
    REFUSED = 2
    BUSY = 3

class Submitted(NamedTuple):
    status: MatchStatus
    reason: Reason
    filled: int
    resting: int
    cancelled: int
    trades: NDArray[np.void]

class MatchingEngine:
    def __init__(self, tick: int = 1, capacity: int = 65536, window: int = 65536, changes: int = 8192) -> None: ...
    def submit(
        self,
        order_id: int,
        side: int,
        quantity: int,
        price: int = 0,
        *,
        order_type: int = ...,
        time_in_force: int = ...,
        post_only: bool = False,
        owner: int = 0,
    ) -> Submitted: ...
    def cancel(self, order_id: int) -> tuple[Reason, int]: ...
    def reduce(self, order_id: int, quantity: int) -> tuple[Reason, int]: ...
    def run(
        self,
        instructions: NDArray[np.void],
        reports: NDArray[np.void],
        outcomes: NDArray[np.void],
        look_ahead: bool = True,
    ) -> tuple[int, int]: ...
    def resume(self, reports: NDArray[np.void]) -> tuple[MatchStatus, int]: ...
    @property
    def best_bid(self) -> int | None: ...
    @property
    def best_ask(self) -> int | None: ...
    def __len__(self) -> int: ...
    def quantity_at(self, side: int, price: int) -> int: ...
    def depth(self, side: int, levels: int = 20) -> NDArray[np.void]: ...
    def queue_position(self, order_id: int) -> tuple[int, int] | None: ...
    def resting_order(self, order_id: int) -> tuple[Side, int, int, int] | None: ...
    def drain_changes(self) -> NDArray[np.void] | None: ...
    @property
    def far_levels(self) -> tuple[int, int]: ...
