from enum import IntFlag

NAMES: tuple[str, ...]

class SignalBit(IntFlag):
    MID_VALID = 1
    MICROPRICE_VALID = 2
    SPREAD_VALID = 4
    IMBALANCE_VALID = 8
    TRADE_FLOW_VALID = 16
    VOLATILITY_VALID = 32

def sample_weight(seconds: float, horizon: float) -> float: ...
def weighted_mean(mean: float, sample: float, weight: float) -> float: ...

class ListingSignals:
    def __init__(
        self,
        price_decimals: int,
        quantity_decimals: int,
        *,
        flow_seconds: float = 10.0,
        volatility_seconds: float = 60.0,
        return_warm_up: int = 20,
    ) -> None: ...
    def quote(
        self, bid: tuple[int, int], ask: tuple[int, int], now_ns: int, epoch: int = 0
    ) -> dict[str, float]: ...
    def trade(self, aggressor: int, quantity: int, now_ns: int, epoch: int = 0) -> dict[str, float]: ...
    def valid(self) -> dict[str, float]: ...
