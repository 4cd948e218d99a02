"""Binance USD-M futures: market data."""
from typing import ClassVar

from orderflow.simulator.dialects.binance import Binance
from orderflow.simulator.dialects.binance_publishing import Trade
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook
from orderflow.simulator.numbers import to_text


class BinanceUsdm(Binance):
    """fapi.binance.com and fstream.binance.com, the routed and the older paths."""

    protocol = "binance_usdm"
    answers_at: ClassVar[tuple[str, ...]] = (
        "/ws", "/stream", "/public/ws", "/public/stream", "/market/ws", "/market/stream")
    rest_root = "/fapi/v1"
    depth_limits = (5, 10, 20, 50, 100, 500, 1000)
    default_depth = 500
    maximum_depth = 1000
    messages_per_second = 10
    ping_every_ns = 180 * SECOND_NS
    pong_within_ns = 600 * SECOND_NS
    publish_every_ns = 50_000_000
    depth_streams = {"@depth@0ms": 1, "@depth@100ms": 2, "@depth": 5, "@depth@500ms": 10}

    def trade_text(self, book: MarketBook, stamp: int, trade: Trade) -> str:
        return (f'{{"e":"trade","E":{stamp},"T":{stamp},"s":"{book.instrument.symbol}","t":{trade.number},'
                f'"p":"{book.price_text(trade.price)}","q":"{book.quantity_text(trade.quantity)}","X":"MARKET",'
                f'"m":{trade.buyer_made}}}')

    def aggregate_text(self, book: MarketBook, stamp: int, number: int, trades: list[Trade]) -> str:
        first, last = trades[0], trades[-1]
        return (f'{{"e":"aggTrade","E":{stamp},"a":{number},"s":"{book.instrument.symbol}",'
                f'"p":"{book.price_text(first.price)}",'
                f'"q":"{book.quantity_text(sum(trade.quantity for trade in trades))}","f":{first.number},'
                f'"l":{last.number},"T":{stamp},"m":{first.buyer_made}}}')

    def touch_text(self, book: MarketBook, stamp: int, values: str) -> str:
        return f'{{"e":"bookTicker","u":{book.update_id},{values}{self.pair_text(book)},"T":{stamp},"E":{stamp}}}'

    def depth_text(self, book: MarketBook, stamp: int, first: int, previous: int, sides: str) -> str:
        return (f'{{"e":"depthUpdate","E":{stamp},"T":{stamp},"s":"{book.instrument.symbol}"{self.pair_text(book)},'
                f'"U":{first},"u":{book.update_id},"pu":{previous},{sides}}}')

    def snapshot_text(self, book: MarketBook, stamp: int, sides: str) -> str:
        return f'{{"lastUpdateId":{book.update_id},"E":{stamp},"T":{stamp},{sides}}}'

    def pair_text(self, book: MarketBook) -> str:
        """The pair, where the market names it."""
        return ""

    def symbol_info(self, instrument: SimulatedInstrument) -> dict:
        entry = super().symbol_info(instrument)
        perpetual = "_" not in instrument.symbol or instrument.symbol.endswith("_PERP")
        entry |= {
            "pair": instrument.symbol.partition("_")[0], "marginAsset": instrument.quote,
            "contractType": "PERPETUAL" if perpetual else "CURRENT_QUARTER", "deliveryDate": 4133404800000,
            "onboardDate": 1569398400000, "pricePrecision": instrument.price_decimals,
            "quantityPrecision": instrument.quantity_decimals, "quotePrecision": 8,
            "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        }
        entry["filters"].append({"filterType": "MIN_NOTIONAL", "notional": to_text(instrument.minimum_notional, 8)})
        return entry


DIALECT = BinanceUsdm
