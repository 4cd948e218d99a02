from orderflow._core.codec import Codec

class BinanceMarketData(Codec):
    def configure(self, market: str = "spot") -> None: ...
