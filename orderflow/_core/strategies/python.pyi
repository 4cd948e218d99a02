from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from orderflow._core.strategy import Strategy
from orderflow.instrument import Instrument, Listing

class Market:
    @property
    def listings(self) -> Sequence[Listing]: ...
    @property
    def instruments(self) -> dict[str, Instrument]: ...
    @property
    def now_ns(self) -> int: ...
    def submit(
        self,
        instrument: str,
        side: str,
        quantity: str | int | Decimal,
        limit_price: str | int | Decimal | None = None,
        **how: Any,
    ) -> int: ...
    def rest(
        self,
        listing: int,
        side: str,
        quantity: str | int | Decimal,
        limit_price: str | int | Decimal,
        post_only: bool = False,
        seconds: float | None = None,
    ) -> int: ...
    def cancel(self, parent_id: int) -> None: ...
    def replace(
        self,
        parent_id: int,
        instrument: str,
        quantity: str | int | Decimal | None = None,
        limit_price: str | int | Decimal | None = None,
    ) -> None: ...
    def call_at(self, when_ns: int) -> None: ...
    def book(self, listing: int) -> np.void: ...

class PythonStrategy(Strategy):
    def __init__(self, target: object) -> None: ...
    @property
    def failures(self) -> list[Exception]: ...
    @property
    def failed(self) -> int: ...
    def bind(
        self,
        listings: Sequence[Listing],
        instruments: Sequence[Instrument],
        parent_order: Callable[..., np.void],
    ) -> None: ...
