from collections.abc import Sequence

from orderflow._core.codec import OrderCodec

class KrakenOrders(OrderCodec):
    def configure(
        self, *, deadline_ms: int = 0, open_orders: int = 2048, assets: Sequence[str] = (),
        rest_symbols: dict[str, int] | None = None, rest_assets: Sequence[str] = ()
    ) -> None: ...
    def set_token(self, token: str) -> None: ...
    @property
    def forgotten(self) -> int: ...
    @property
    def open_order_count(self) -> int: ...
