"""What a simulated exchange trades: the metadata that its protocol publishes."""
from dataclasses import dataclass

FEE_SCALE = 10**8


@dataclass(frozen=True)
class SimulatedInstrument:
    """One instrument on one simulated exchange. Prices and quantities are integers at the given decimals."""
    symbol: str                     # in the exchange's own spelling
    base: str
    quote: str
    price_decimals: int             # digits on the wire
    quantity_decimals: int
    tick: int = 1                   # smallest price step, scaled
    lot: int = 1                    # smallest quantity step, scaled
    minimum_quantity: int = 1
    maximum_quantity: int = 10**17
    minimum_notional: int = 0       # in 1e-8 of the quote currency
    maker_fee: int = 0              # fraction of the notional in 1e-8
    taker_fee: int = 0
    rest_symbol: str = ""           # where REST spells it otherwise (Kraken's XXBTZUSD)
    contract_size: int = 1          # in the quote currency, of contracts

    def __post_init__(self):
        if min(self.tick, self.lot, self.minimum_quantity) < 1:
            raise ValueError(f"instrument {self.symbol}: tick, lot and minimum_quantity must be at least 1")
        if not 0 <= self.price_decimals <= 12 or not 0 <= self.quantity_decimals <= 12:
            raise ValueError(f"instrument {self.symbol}: decimals must lie in 0..12")
