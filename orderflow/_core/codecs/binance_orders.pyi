from collections.abc import Sequence

from orderflow._core.codec import OrderCodec
from orderflow._core.signing import Signer

class BinanceOrders(OrderCodec):
    def configure(
        self,
        *,
        api_key: str | None = None,
        signer: Signer | None = None,
        receive_window_ms: int = 0,
        self_trade: str = "",
        assets: Sequence[str] = (),
    ) -> None: ...
