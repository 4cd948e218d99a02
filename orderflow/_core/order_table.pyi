from enum import IntFlag
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orderflow._core.types import OrderStatus, ParentStatus, Reason, Side

MAXIMUM_LISTINGS: int

class OutcomeFlag(IntFlag):
    CHANGED = 1
    DUPLICATE = 2
    CONFLICT = 4
    OVERFILL = 8
    PARENT_OVERFILL = 16
    LATE_FILL = 32
    LATE_REPORT = 64
    FOREIGN = 128
    RETIRED = 256
    MALFORMED = 512
    MISMATCH = 1024
    LACKS_FILLS = 2048
    UNREMEMBERED = 4096
    FEE_LOST = 8192
    PARENT_GONE = 16384
    ANOMALY = 32768

class OrderView(NamedTuple):
    slot: int
    client_order_id: int
    parent_id: int
    listing: int
    side: Side
    status: OrderStatus
    price: int
    quantity: int
    cumulative: int
    stated: int
    notional: int
    working: int
    in_doubt: int
    ended_ns: int
    reason: Reason
    exchange_order_id: str

class ListingFillView(NamedTuple):
    listing: int
    filled: int
    notional: int
    fills: int
    fees: dict[int, tuple[int, int]]
    worth: int

class ParentView(NamedTuple):
    slot: int
    parent_id: int
    instrument: int
    strategy: int
    side: Side
    status: ParentStatus
    reason: Reason
    quantity: int
    filled: int
    working: int
    in_doubt: int
    notional: int
    arrival_price: int
    children: int
    ended_ns: int
    by_listing: list[ListingFillView]
    limit_price: int
    taken: int

class PositionView(NamedTuple):
    listing: int
    net: int
    bought: int
    sold: int
    bought_notional: int
    sold_notional: int
    open_cost: int
    realised: int
    fills: int
    fees: dict[int, tuple[int, int]]

class OrderTable:
    def __init__(
        self,
        listings: NDArray[np.void],
        prefix: int,
        *,
        orders: int = 16384,
        parents: int = 1024,
        fills: int = 65536,
        listings_per_instrument: int = 16,
        evidence_ns: int = 60_000_000_000,
    ) -> None: ...
    def refresh_listings(self) -> None: ...
    def order(self, slot: int) -> OrderView: ...
    def orders(self) -> list[OrderView]: ...
    def parent(self, slot: int) -> ParentView: ...
    def parents(self) -> list[ParentView]: ...
    def position(self, listing: int) -> PositionView: ...
    @property
    def counts(self) -> dict[str, int]: ...
    @property
    def free(self) -> tuple[int, int, int]: ...
