from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orderflow._core.order_table import OrderTable
from orderflow._core.types import Reason, TradingState

MAXIMUM_NOTIONAL: int
NOTIONAL_DECIMALS: int

class DecisionView(NamedTuple):
    code: Reason
    limit: int
    actual: int

class ExposureView(NamedTuple):
    net: int
    open_buys: int
    open_sells: int
    maximum_position: int
    reference_price: int
    reference_ns: int

def product_limit(amount: int, decimals: int, *, lowest: bool) -> int: ...

class RiskBook:
    state: TradingState
    def __init__(self, listings: NDArray[np.void], *, orders: int = 16384, parents: int = 1024) -> None: ...
    def set_listing(self, listing: int, *, maximum_quantity: int, maximum_notional: int, state: int = ...) -> None: ...
    def set_instrument(
        self, instrument: int, *, maximum_position: int, collar: int, reference_age_ns: int, position: int = 0
    ) -> None: ...
    def set_reference(self, instrument: int, price: int, now_ns: int) -> None: ...
    def register_parent(self, table: OrderTable, slot: int) -> None: ...
    def check(self, table: OrderTable, slot: int, now_ns: int) -> DecisionView: ...
    def observe(self, table: OrderTable, slot: int) -> None: ...
    def release(self, table: OrderTable, slot: int) -> None: ...
    def exposure(self, instrument: int) -> ExposureView: ...
    def committed(self, parent: int) -> int: ...
    @property
    def counts(self) -> dict[str, int]: ...
