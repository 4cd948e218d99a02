"""What a simulated exchange trades: the metadata that its protocol publishes."""
from dataclasses import dataclass

FEE_SCALE = 10**8
MOST_DECIMALS = 12


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
        if not (0 <= self.price_decimals <= MOST_DECIMALS and 0 <= self.quantity_decimals <= MOST_DECIMALS):
            raise ValueError(f"instrument {self.symbol}: decimals must lie in 0..{MOST_DECIMALS}")


def _default(symbol: str, base: str, quote: str, tick: int, lot: int, **more) -> SimulatedInstrument:
    return SimulatedInstrument(symbol, base, quote, 8, 8, tick, lot, **more)


# What exchanges with agents trade where nothing else was said. Ticks are coarse enough for spreads of a few of them.
_SPOT_FEES = {"maker_fee": 100_000, "taker_fee": 100_000, "minimum_notional": 5 * 10**8}
_KRAKEN_FEES = {"maker_fee": 250_000, "taker_fee": 400_000, "minimum_notional": 5 * 10**7}
_COINBASE = tuple(
    SimulatedInstrument(f"{base}-USD", base, "USD", 2, 8, tick=tick, minimum_notional=10**8, maker_fee=600_000,
                        taker_fee=1_200_000) for base, tick in (("BTC", 100), ("ETH", 5)))
_DEFAULTS = {
    "binance_spot": (
        _default("BTCUSDT", "BTC", "USDT", 10**8, 1_000, minimum_quantity=1_000, **_SPOT_FEES),
        _default("ETHUSDT", "ETH", "USDT", 5 * 10**6, 10_000, minimum_quantity=10_000, **_SPOT_FEES),
    ),
    "binance_usdm": (
        SimulatedInstrument("BTCUSDT", "BTC", "USDT", 2, 3, tick=100, minimum_notional=5 * 10**8),
        SimulatedInstrument("ETHUSDT", "ETH", "USDT", 2, 3, tick=5, minimum_notional=5 * 10**8),
    ),
    "binance_coinm": (SimulatedInstrument("BTCUSD_PERP", "BTC", "USD", 1, 0, tick=10, contract_size=100),),
    "kraken_v2": (
        SimulatedInstrument("BTC/USDT", "BTC", "USDT", 1, 8, tick=10, minimum_quantity=5_000, rest_symbol="XBTUSDT",
                            **_KRAKEN_FEES),
        SimulatedInstrument("BTC/USD", "BTC", "USD", 1, 8, tick=10, minimum_quantity=5_000, rest_symbol="XXBTZUSD",
                            **_KRAKEN_FEES),
        SimulatedInstrument("ETH/USDT", "ETH", "USDT", 2, 8, tick=5, minimum_quantity=100_000, rest_symbol="ETHUSDT",
                            **_KRAKEN_FEES),
    ),
    "okx": (
        SimulatedInstrument("BTC-USDT", "BTC", "USDT", 1, 8, minimum_quantity=1_000, maker_fee=80_000,
                            taker_fee=100_000),
        SimulatedInstrument("ETH-USDT", "ETH", "USDT", 2, 6, minimum_quantity=100, maker_fee=80_000,
                            taker_fee=100_000),
        SimulatedInstrument("BTC-USD-SWAP", "BTC", "USD", 1, 0, contract_size=100, maker_fee=20_000, taker_fee=50_000),
    ),
    "bybit_v5": (
        SimulatedInstrument("BTCUSDT", "BTC", "USDT", 2, 6, tick=10, **_SPOT_FEES),
        SimulatedInstrument("ETHUSDT", "ETH", "USDT", 2, 5, **_SPOT_FEES),
    ),
    "kraken_futures": (
        SimulatedInstrument("PF_XBTUSD", "BTC", "USD", 0, 4, maker_fee=20_000, taker_fee=50_000),
        SimulatedInstrument("PF_ETHUSD", "ETH", "USD", 1, 3, maker_fee=20_000, taker_fee=50_000),
        SimulatedInstrument("PI_XBTUSD", "BTC", "USD", 1, 0, tick=5, maker_fee=20_000, taker_fee=50_000),
    ),
    "bitfinex": (
        SimulatedInstrument("tBTCUSD", "BTC", "USD", 0, 8, minimum_quantity=4_000, maker_fee=100_000,
                            taker_fee=200_000),
        SimulatedInstrument("tETHUSD", "ETH", "USD", 1, 8, minimum_quantity=80_000, maker_fee=100_000,
                            taker_fee=200_000),
        SimulatedInstrument("tBTCF0:USTF0", "BTC", "USDT", 0, 8, minimum_quantity=4_000, maker_fee=20_000,
                            taker_fee=65_000),
    ),
    "bitmex": (
        SimulatedInstrument("XBTUSD", "BTC", "USD", 1, 0, tick=5, lot=100, minimum_quantity=100, taker_fee=75_000),
        SimulatedInstrument("ETHUSD", "ETH", "USD", 2, 0, tick=5, taker_fee=75_000),
    ),
    "coinbase": _COINBASE,
    "coinbase_adv": _COINBASE,
    "deribit": (
        SimulatedInstrument("BTC-PERPETUAL", "BTC", "USD", 1, 0, tick=5, lot=10, minimum_quantity=10),
        SimulatedInstrument("ETH_USDC-PERPETUAL", "ETH", "USDC", 2, 3, tick=5),
    ),
    "gemini": (
        SimulatedInstrument("BTCUSD", "BTC", "USD", 2, 8, tick=100, minimum_quantity=1_000),
        SimulatedInstrument("ETHUSD", "ETH", "USD", 2, 6, tick=5, minimum_quantity=1_000),
    ),
    "hyperliquid": (
        SimulatedInstrument("BTC", "BTC", "USDC", 1, 5, tick=10, minimum_notional=10**9),
        SimulatedInstrument("ETH", "ETH", "USDC", 2, 4, tick=10, minimum_notional=10**9),
        SimulatedInstrument("@142", "BTC", "USDC", 3, 5, tick=1000, minimum_notional=10**9),
    ),
    "bitstamp": tuple(
        SimulatedInstrument(f"{base.lower()}usd", base, "USD", decimals, 8, tick=tick, minimum_notional=10**9,
                            maker_fee=300_000, taker_fee=400_000)
        for base, decimals, tick in (("BTC", 0, 1), ("ETH", 1, 1))),
    "kucoin": (
        SimulatedInstrument("BTC-USDT", "BTC", "USDT", 1, 8, minimum_quantity=1_000, minimum_notional=10**7,
                            maker_fee=100_000, taker_fee=100_000),
        SimulatedInstrument("ETH-USDT", "ETH", "USDT", 2, 7, minimum_quantity=1_000, minimum_notional=10**7,
                            maker_fee=100_000, taker_fee=100_000),
    ),
    "gate": (
        SimulatedInstrument("BTC_USDT", "BTC", "USDT", 1, 6, minimum_notional=3 * 10**8, maker_fee=200_000,
                            taker_fee=200_000),
        SimulatedInstrument("ETH_USDT", "ETH", "USDT", 2, 4, minimum_notional=3 * 10**8, maker_fee=200_000,
                            taker_fee=200_000),
    ),
    "gate_futures": (
        SimulatedInstrument("BTC_USDT", "BTC", "USDT", 1, 0, tick=10, maker_fee=20_000, taker_fee=50_000),
        SimulatedInstrument("ETH_USDT", "ETH", "USDT", 2, 0, tick=5, maker_fee=20_000, taker_fee=50_000),
    ),
}


def default_instruments(protocol: str) -> tuple[SimulatedInstrument, ...]:
    """What an exchange of that protocol trades where its settings name nothing."""
    return _DEFAULTS[protocol]
