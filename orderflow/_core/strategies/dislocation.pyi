from orderflow._core.strategy import Strategy

class Dislocation(Strategy):
    def __init__(
        self, instrument: int, maximum_quantity: int, edge: int = 10000, leg_ns: int = 1000000000
    ) -> None: ...
    @property
    def trades(self) -> int: ...
