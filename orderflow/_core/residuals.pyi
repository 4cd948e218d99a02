from typing import NamedTuple

class ResidualView(NamedTuple):
    strategy: int
    instrument: int
    quantity: int
    parents: int

class ResidualLedger:
    def __init__(self, strategies: int, instruments: int) -> None: ...
    def set(self, strategy: int, instrument: int, quantity: int, parents: int) -> None: ...
    def rows(self) -> list[ResidualView]: ...
