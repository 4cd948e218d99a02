from orderflow._core.codec import Codec

class GateMarketData(Codec):
    def configure(self, market: str = "spot") -> None: ...
