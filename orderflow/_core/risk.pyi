from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orderflow._core.order_table import OrderTable
from orderflow._core.types import Reason, TradingState

LARGEST_FACTOR: int
MAXIMUM_NOTIONAL: int
MOST_EVENTS: int
MOST_STRATEGIES: int
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

class MoneyView(NamedTuple):
    used: int
    maximum_used: int
    profit: int
    peak: int
    maximum_loss: int
    maximum_drawdown: int
    tripped: Reason

class RefusalView(NamedTuple):
    code: Reason
    limit: int
    actual: int
    now_ns: int
    times: int
    listing: int

class StrategyView(NamedTuple):
    state: TradingState
    reason: Reason

def product_limit(amount: int, decimals: int, *, lowest: bool) -> int: ...

class RiskBook:
    state: TradingState
    @property
    def money_decimals(self) -> list[int]: ...
    def __init__(
        self,
        listings: NDArray[np.void],
        *,
        orders: int = 16384,
        parents: int = 1024,
        strategies: int = 1,
        currencies: Sequence[int] | None = None,
    ) -> None: ...
    def set_purses(
        self, counts: Sequence[int], bases: Sequence[int | None], quotes: Sequence[int | None]
    ) -> None: ...
    def free_funds(self, listing: int, side: int) -> int | None: ...
    def set_listing(
        self, listing: int, *, maximum_quantity: int, maximum_notional: int, feed_age_ns: int = 0, state: int = ...
    ) -> None: ...
    def set_instrument(
        self,
        instrument: int,
        *,
        maximum_position: int,
        collar: int,
        reference_age_ns: int,
        drift_collar: int = 0,
        drift_window_ns: int = 0,
        position: int = 0,
    ) -> None: ...
    def carry(self, listing: int, quantity: int, cash: int) -> None: ...
    def set_strategy(
        self,
        strategy: int,
        *,
        messages: tuple[int, int] = (0, 1),
        repeat_ns: int = 0,
        fills: tuple[int, int] = (0, 0),
        rejects: tuple[int, int] = (0, 0),
    ) -> None: ...
    def set_messages(self, messages: tuple[int, int]) -> None: ...
    def set_money(
        self,
        what: str,
        index: int,
        currency: int,
        *,
        maximum_used: int | None = None,
        maximum_notional: int | None = None,
        maximum_loss: int | None = None,
        maximum_drawdown: int | None = None,
        stand_ns: int = 0,
    ) -> None: ...
    def set_reference(self, instrument: int, price: int, now_ns: int) -> None: ...
    def set_feed(self, listing: int, book_state: int, receive_ns: int) -> None: ...
    def check_parent(self, table: OrderTable, slot: int, now_ns: int) -> DecisionView: ...
    def register_parent(self, table: OrderTable, slot: int, now_ns: int = 0) -> None: ...
    def count_cancel(self, strategy: int, now_ns: int) -> None: ...
    def check(self, table: OrderTable, slot: int, now_ns: int) -> DecisionView: ...
    def observe(self, table: OrderTable, slot: int, now_ns: int = 0) -> None: ...
    def release(self, table: OrderTable, slot: int) -> None: ...
    def exposure(self, instrument: int) -> ExposureView: ...
    def committed(self, parent: int) -> int: ...
    def money(self, what: str, index: int = 0, currency: int = 0) -> MoneyView: ...
    def money_decimals_of(self, instrument: int) -> int: ...
    def strategy(self, strategy: int) -> StrategyView: ...
    def set_strategy_state(self, strategy: int, state: int) -> None: ...
    def set_exchange_state(self, exchange: int, state: int) -> None: ...
    def difference(self, instrument: int) -> DecisionView: ...
    def exchange_state(self, exchange: int) -> TradingState: ...
    def begin_day(self) -> None: ...
    def rearm_total(self) -> None: ...
    def refusal(self, parent: int) -> RefusalView: ...
    @property
    def counts(self) -> dict[str, int]: ...
