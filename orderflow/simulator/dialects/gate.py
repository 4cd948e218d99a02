"""Gate.io spot from the exchange's side. Source: Gate's "API v4" and "Spot WebSocket v4" documents."""
from orderflow._core.types import Side
from orderflow.simulator.dialects.gate_publishing import Gate
from orderflow.simulator.dialects.windows import MILLISECOND_NS, compact, trimmed
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook
from orderflow.simulator.numbers import decimals_of, to_text
from orderflow.simulator.views import Levels


class GateSpot(Gate):
    """api.gateio.ws."""

    protocol = "gate"
    answers_at = ("/ws/v4",)
    market = "spot"
    rest_root = "/api/v4/spot"
    catalogue = "currency_pairs"
    asked_by = "currency_pair"
    unknown = ("INVALID_CURRENCY_PAIR", "unknown currency pair")

    def level(self, book: MarketBook, price: int, quantity: int) -> list[str]:
        return [trimmed(book.price_text(price)), trimmed(book.quantity_text(quantity))]

    def update_text(self, book: MarketBook, sides: tuple[Levels, Levels], ids: tuple[int, int], at_ns: int) -> str:
        bids, asks = (self.side_text(book, side) for side in sides)
        return (f'{{"t":{at_ns // MILLISECOND_NS},"e":"depthUpdate","E":{at_ns // SECOND_NS},'
                f'"s":"{book.instrument.symbol}","U":{ids[0]},"u":{ids[1]},"b":{bids},"a":{asks}}}')

    def trades_texts(self, book: MarketBook, rows: list[tuple[int, int, int, int]], at_ns: int) -> list[str]:
        return [compact({
            "id": number, "create_time": at_ns // SECOND_NS,
            "create_time_ms": f"{at_ns // MILLISECOND_NS}.{at_ns // 1000 % 1000:03}",
            "side": "buy" if side == Side.BUY else "sell", "currency_pair": book.instrument.symbol,
            "amount": book.quantity_text(quantity), "price": book.price_text(price), "range": f"{number}-{number}"})
            for number, price, quantity, side in rows]

    def entry(self, instrument: SimulatedInstrument) -> dict:
        price, quantity = (trimmed(to_text(step, decimals)) for step, decimals in (
            (instrument.tick, instrument.price_decimals), (instrument.lot, instrument.quantity_decimals)))
        return {
            "id": instrument.symbol, "base": instrument.base, "base_name": instrument.base, "quote": instrument.quote,
            "quote_name": instrument.quote, "fee": trimmed(to_text(instrument.taker_fee, 6)),
            "min_base_amount": to_text(instrument.minimum_quantity, instrument.quantity_decimals),
            "min_quote_amount": trimmed(to_text(instrument.minimum_notional, 8)), "max_quote_amount": "5000000",
            "amount_precision": decimals_of(quantity), "precision": decimals_of(price), "trade_status": "tradable",
            "sell_start": 0, "buy_start": 0, "type": "normal", "trade_url": "", "st_tag": False,
        }

    def book_times(self) -> dict:
        return {"current": self.now_ns // MILLISECOND_NS, "update": self.now_ns // MILLISECOND_NS}


DIALECT = GateSpot
