"""Binance COIN-M futures: market data. Sizes are contracts."""
from orderflow.simulator.dialects.binance_usdm import BinanceUsdm
from orderflow.simulator.instruments import SimulatedInstrument


class BinanceCoinm(BinanceUsdm):
    """dapi.binance.com and dstream.binance.com."""

    protocol = "binance_coinm"
    answers_at = ("/ws", "/stream")
    rest_root = "/dapi/v1"

    def symbol_info(self, instrument: SimulatedInstrument) -> dict:
        entry = super().symbol_info(instrument)
        entry["contractStatus"] = entry.pop("status")
        entry["contractSize"] = instrument.contract_size
        entry["marginAsset"] = instrument.base
        entry["filters"].pop()                      # the last, MIN_NOTIONAL: not of this market
        return entry


DIALECT = BinanceCoinm
