from collections.abc import Sequence
from typing import Any, NamedTuple

class BalanceView(NamedTuple):
    known: bool
    expected: int
    told: int
    settled: bool
    misses: int
    differs: bool

class SeenView(NamedTuple):
    trade_id: int
    order: int
    listing: int
    asset: int | None
    exchange_ns: int

class HeldView(NamedTuple):
    amounts: dict[int, tuple[int, int]]
    newest_ns: int
    wall_ns: int
    seen: list[SeenView]

class AccountBook:
    def __init__(
        self, table: Any, assets: Sequence[tuple[int, int] | None], asset_count: int, instance: int,
        accepts: bool = False
    ) -> None: ...
    @property
    def counts(self) -> dict[str, int]: ...
    @property
    def held(self) -> HeldView | None: ...
    def resume(self, held: HeldView) -> None: ...
    def balance(self, asset: int) -> BalanceView: ...
    def take_fill(self, record: Any) -> bool: ...
    def begin_round(self, number: int, now_ns: int = 0) -> None: ...
    def hear(self, asset: int, amount: int, decimals: int) -> None: ...
    def settle(self, is_final: bool) -> tuple[int, int]: ...
    def end_round(self) -> list[int]: ...
    def accept(self, asset: int) -> None: ...
