"""Gate.io spot from the exchange's side. Source: Gate's "API v4" and "Spot WebSocket v4" documents."""
from typing import ClassVar

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.dialects.gate_publishing import INVALID_ARGUMENT, Gate, Refused
from orderflow.simulator.dialects.windows import MILLISECOND_NS, compact, trimmed
from orderflow.simulator.exchange import SECOND_NS, Connection
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook
from orderflow.simulator.numbers import decimals_of, to_text
from orderflow.simulator.views import Levels

OBU = "obu"                     # order book v2: its first frame is the whole book
OBU_DEPTHS = ("50", "400")


class GateSpot(Gate):
    """api.gateio.ws."""

    protocol = "gate"
    answers_at = ("/ws/v4",)
    market = "spot"
    rest_root = "/api/v4/spot"
    catalogue = "currency_pairs"
    asked_by = "currency_pair"
    unknown = ("INVALID_CURRENCY_PAIR", "unknown currency pair")
    elsewhere: ClassVar[dict[str, bytes]] = {"/api/v4/margin/currency_pairs": b"[]"}

    def subscription(self, channel: str, payload: list) -> list[Subscription]:
        if channel != OBU:
            return super().subscription(channel, payload)
        wanted = []
        for item in payload:
            prefix, _, rest = item.partition(".")
            symbol, _, depth = rest.partition(".")
            if prefix != "ob" or depth not in OBU_DEPTHS:
                raise Refused(INVALID_ARGUMENT, f"invalid argument: {item}")
            wanted.append(Subscription(f"{OBU}.{depth}", symbol))
        return wanted

    def window(self, key: Subscription) -> tuple[str, int]:
        channel, _, depth = key.channel.partition(".")
        return (key.symbol, int(depth)) if channel == OBU else super().window(key)

    def begin_book(self, connection: Connection, key: Subscription) -> None:
        super().begin_book(connection, key)
        if key.channel.startswith(OBU):
            book, view = self.view(key)
            ids = f'"full":true,"u":{self.last_ids[key]}'
            sides = list(view.bids.items()), list(view.asks.items())
            self.send(connection, self._obu_text(book, key, sides, ids, self.now_ns))

    def publish_sides(self, book: MarketBook, key: Subscription, sides: tuple[Levels, Levels], ids: tuple[int, int],
                      at_ns: int) -> None:
        if not key.channel.startswith(OBU):
            super().publish_sides(book, key, sides, ids, at_ns)
            return
        self.publish(key, self._obu_text(book, key, sides, f'"U":{ids[0]},"u":{ids[1]}', at_ns), at_ns)

    def _obu_text(self, book: MarketBook, key: Subscription, sides: tuple[Levels, Levels], ids: str,
                  at_ns: int) -> str:
        bids, asks = (self.side_text(book, side) for side in sides)
        depth, stamp = key.channel.partition(".")[2], at_ns // MILLISECOND_NS
        return (f'{{"channel":"spot.{OBU}","result":{{"t":{stamp},{ids},"s":"ob.{key.symbol}.{depth}","b":{bids},'
                f'"a":{asks}}},"time_ms":{stamp},"event":"update"}}')

    def quantity(self, book: MarketBook, quantity: int) -> str:
        return trimmed(book.quantity_text(quantity))

    def level(self, book: MarketBook, price: int, quantity: int) -> list[str]:
        return [trimmed(book.price_text(price)), self.quantity(book, quantity)]

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
