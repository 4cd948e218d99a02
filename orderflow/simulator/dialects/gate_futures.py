"""Gate.io perpetual contracts settled in USDT, from the exchange's side.

Source: Gate's "API v4" and "Futures WebSocket v4" documents. Quantities count contracts.
"""
from typing import ClassVar

from orderflow._core.types import Side
from orderflow.simulator.dialects.gate_publishing import Gate
from orderflow.simulator.dialects.windows import MILLISECOND_NS, compact, trimmed
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook
from orderflow.simulator.numbers import to_text
from orderflow.simulator.views import Levels


class GateFutures(Gate):
    """fx-ws.gateio.ws and api.gateio.ws."""

    protocol = "gate_futures"
    answers_at = ("/v4/ws/usdt",)
    market = "futures"
    rest_root = "/api/v4/futures/usdt"
    catalogue = "contracts"
    asked_by = "contract"
    elsewhere: ClassVar[dict[str, bytes]] = {"/api/v4/futures/btc/contracts": b"[]"}
    unknown = ("CONTRACT_NOT_FOUND", "unknown contract")

    def quantity(self, book: MarketBook, quantity: int) -> int:
        return quantity

    def level(self, book: MarketBook, price: int, quantity: int) -> dict:
        return {"p": trimmed(book.price_text(price)), "s": quantity}

    def update_text(self, book: MarketBook, sides: tuple[Levels, Levels], ids: tuple[int, int], at_ns: int) -> str:
        bids, asks = (self.side_text(book, side) for side in sides)
        return (f'{{"U":{ids[0]},"a":{asks},"b":{bids},"s":"{book.instrument.symbol}",'
                f'"t":{at_ns // MILLISECOND_NS},"u":{ids[1]}}}')

    def trades_texts(self, book: MarketBook, rows: list[tuple[int, int, int, int]], at_ns: int) -> list[str]:
        return [compact([{
            "size": quantity if side == Side.BUY else -quantity, "id": number, "create_time": at_ns // SECOND_NS,
            "create_time_ms": at_ns // MILLISECOND_NS, "price": trimmed(book.price_text(price)),
            "contract": book.instrument.symbol} for number, price, quantity, side in rows])]

    def entry(self, instrument: SimulatedInstrument) -> dict:
        tick = trimmed(to_text(instrument.tick, instrument.price_decimals))
        return {
            "name": instrument.symbol, "type": "direct", "quanto_multiplier": str(instrument.contract_size),
            "ref_discount_rate": "0", "order_price_deviate": "0.5", "maintenance_rate": "0.005", "mark_type": "index",
            "leverage_min": "1", "leverage_max": "100", "maker_fee_rate": to_text(instrument.maker_fee, 8),
            "taker_fee_rate": to_text(instrument.taker_fee, 8), "order_price_round": tick, "mark_price_round": tick,
            "order_size_min": instrument.minimum_quantity,
            "order_size_max": min(instrument.maximum_quantity, 1_000_000), "in_delisting": False, "status": "trading",
            "create_time": 0, "funding_interval": 28800,
        }

    def book_times(self) -> dict:
        seconds = self.now_ns // MILLISECOND_NS / 1000
        return {"current": seconds, "update": seconds}


DIALECT = GateFutures
