"""Binance COIN-M futures: market data. Sizes are contracts."""
from orderflow.simulator.dialects.binance_usdm import BinanceUsdm
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook


class BinanceCoinm(BinanceUsdm):
    """dapi.binance.com and dstream.binance.com."""

    protocol = "binance_coinm"
    answers_at = ("/ws", "/stream")
    rest_root = "/dapi/v1"

    def pair_text(self, book: MarketBook) -> str:
        return f',"ps":"{book.instrument.symbol.partition("_")[0]}"'

    def snapshot_text(self, book: MarketBook, stamp: int, sides: str) -> str:
        symbol = book.instrument.symbol
        return (f'{{"lastUpdateId":{book.update_id},"E":{stamp},"T":{stamp},"symbol":"{symbol}",'
                f'"pair":"{symbol.partition("_")[0]}",{sides}}}')

    def symbol_info(self, instrument: SimulatedInstrument) -> dict:
        entry = super().symbol_info(instrument)
        entry["contractStatus"] = entry.pop("status")
        entry["contractSize"] = instrument.contract_size
        entry["marginAsset"] = instrument.base
        entry["filters"].pop()                      # the last, MIN_NOTIONAL: not of this market
        return entry


DIALECT = BinanceCoinm
