"""Bitstamp from the exchange's side: WebSocket v2, markets and order books over REST.

Source: Bitstamp's "WebSocket API v2" and "HTTP API". A microtimestamp stands for one state of a book: a diff and a REST
order book that carry the same one show the same levels.
"""
import json
import re

import msgspec

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Contents
from orderflow.simulator.dialects import bitstamp_recorded
from orderflow.simulator.dialects.windows import WindowExchange, compact, trimmed
from orderflow.simulator.exchange import Connection, Response
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import CAPACITY, MarketBook
from orderflow.simulator.numbers import to_text
from orderflow.simulator.views import Levels

MICROSECOND_NS = 1_000
DIFFS, WHOLE, TRADES = "diff_order_book", "order_book", "live_trades"
WHOLE_DEPTH = 100
JSON_HEADERS = {"content-type": "application/json"}
_PATH = re.compile(r"/api/v2/(order_book|trading-pairs-info|markets)(?:/([^/]+))?/?")


class Refused(Exception):
    """A request that the exchange does not take."""


class _Data(msgspec.Struct):
    channel: str = ""


class _Request(msgspec.Struct):
    event: str
    data: _Data | None = None


_request = msgspec.json.Decoder(_Request)


class Bitstamp(WindowExchange[Subscription]):
    """ws.bitstamp.net and www.bitstamp.net, public."""

    protocol = "bitstamp"
    shows_losses = False
    answers_at = ("",)
    reader = bitstamp_recorded.BitstampReader

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self._stamps: dict[str, tuple[int, int]] = {}       # symbol -> update id of the book, its microtimestamp

    @classmethod
    def recorded_instruments(cls, contents: Contents) -> tuple[SimulatedInstrument, ...]:
        """Instruments of a capture."""
        return bitstamp_recorded.recorded_instruments(contents)

    @staticmethod
    def subscriptions(streams) -> list[str]:
        """The frames with which a client subscribes to recorded channels."""
        return bitstamp_recorded.subscriptions(streams)

    # websocket

    def received(self, connection: Connection, text: str) -> None:
        try:
            request = _request.decode(text)
        except msgspec.MsgspecError:
            self._say(connection, "error", "", {"code": None, "message": "Incorrect JSON format."})
            return
        try:
            self._take(connection, request)
        except Refused as refusal:
            self._say(connection, "error", "", {"code": None, "message": str(refusal)})

    def _take(self, connection: Connection, request: _Request) -> None:
        if request.event == "bts:heartbeat":
            self._say(connection, "heartbeat", "", {"status": "success"})
            return
        if request.event not in ("bts:subscribe", "bts:unsubscribe") or request.data is None:
            raise Refused("Incorrect JSON format.")
        channel = request.data.channel
        name, _, symbol = channel.rpartition("_")
        subscription = Subscription(name, symbol)
        if name not in (DIFFS, WHOLE, TRADES) or self.instrument(symbol) is None:
            raise Refused("Bad subscription string.")
        if request.event == "bts:unsubscribe":
            self.unsubscribe(connection, subscription)
            self._say(connection, "unsubscription_succeeded", channel, {})
            return
        self.subscribe(connection, subscription)
        self._say(connection, "subscription_succeeded", channel, {})

    def _say(self, connection: Connection, event: str, channel: str, data: dict) -> None:
        self.send(connection, compact({"event": f"bts:{event}", "channel": channel, "data": data}))

    # market data

    def publish_book(self, book: MarketBook, at_ns: int) -> None:
        """A diff names every level that was touched, also one that is again as it was: a REST order book of the time in
        between shows it otherwise."""
        sides: dict[int, Levels] = {Side.BUY: [], Side.SELL: []}
        for side, price, quantity in book.changes():
            sides[side].append((price, quantity))
        if not sides[Side.BUY] and not sides[Side.SELL]:
            return
        self._publish_sides(Subscription(DIFFS, book.instrument.symbol), book, sides, at_ns)
        self._publish_sides(Subscription(WHOLE, book.instrument.symbol), book,
                            {side: book.levels(side, WHOLE_DEPTH) for side in sides}, at_ns)

    def _publish_sides(self, key: Subscription, book: MarketBook, sides: dict[int, Levels], at_ns: int) -> None:
        if key in self.subscribers:
            data = _book_text(book, self.microtimestamp(book, at_ns), sides[Side.BUY], sides[Side.SELL])
            self.publish(key, f'{{"data":{data},"channel":"{"_".join(key)}","event":"data"}}', at_ns)

    def microtimestamp(self, book: MarketBook, at_ns: int) -> int:
        """The microtimestamp of a book as it is."""
        symbol = book.instrument.symbol
        update_id, stamp = self._stamps.get(symbol, (0, 0))
        if update_id != book.update_id:
            stamp = max(at_ns // MICROSECOND_NS, stamp + 1)
            self._stamps[symbol] = book.update_id, stamp
        return stamp

    def publish_trades(self, book: MarketBook, trades, at_ns: int) -> None:
        subscription = Subscription(TRADES, book.instrument.symbol)
        if subscription not in self.subscribers:
            return
        stamp = at_ns // MICROSECOND_NS
        names = ("trade_id", "price", "quantity", "taker_side", "maker_id", "taker_id")
        for number, price, quantity, side, maker, taker in zip(*(trades[name].tolist() for name in names), strict=True):
            buyer, seller = (taker, maker) if side == Side.BUY else (maker, taker)
            price_text, quantity_text = book.price_text(price), book.quantity_text(quantity)
            text = (f'{{"data":{{"id":{number},"timestamp":"{stamp // 1_000_000}","amount":{trimmed(quantity_text)},'
                    f'"amount_str":"{quantity_text}","price":{trimmed(price_text)},"price_str":"{price_text}",'
                    f'"type":{int(side == Side.SELL)},"microtimestamp":"{stamp}","buy_order_id":{buyer},'
                    f'"sell_order_id":{seller}}},"channel":"{"_".join(subscription)}","event":"trade"}}')
            for connection in self.listeners(subscription):
                self.send(connection, text)

    # REST

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        self.now_ns = now_ns
        found = _PATH.fullmatch(path)
        if method == "GET" and found and found[1] == "order_book" and found[2]:
            answer = self._order_book(found[2])
        elif method == "GET" and found and not found[2] and found[1] != "order_book":
            word = _market if found[1] == "markets" else _trading_pair
            answer = json.dumps([word(instrument) for instrument in self.instruments]).encode()
        else:
            answer = None
        if answer is None:
            return Response(404, dict(JSON_HEADERS), compact({"status": "error", "reason": "Not found."}).encode())
        return Response(200, dict(JSON_HEADERS), answer)

    def _order_book(self, symbol: str) -> bytes | None:
        if self.source.contents is not None:
            return self.source.contents.snapshots.get(symbol)
        if self.instrument(symbol) is None:
            return None
        self.source.catch_up(self, self.now_ns)
        book = self.source.books[symbol]
        return _book_text(book, self.microtimestamp(book, self.now_ns), book.levels(Side.BUY, CAPACITY),
                          book.levels(Side.SELL, CAPACITY)).encode()


def _book_text(book: MarketBook, stamp: int, bids: Levels, asks: Levels) -> str:
    sides = ",".join(f'"{name}":[{",".join(_level(book, *level) for level in side)}]'
                     for name, side in (("bids", bids), ("asks", asks)))
    return f'{{"timestamp":"{stamp // 1_000_000}","microtimestamp":"{stamp}",{sides}}}'


def _level(book: MarketBook, price: int, quantity: int) -> str:
    return f'["{book.price_text(price)}","{book.quantity_text(quantity)}"]'


def _pair(instrument: SimulatedInstrument) -> dict:
    return {"name": f"{instrument.base}/{instrument.quote}", "base_decimals": instrument.quantity_decimals,
            "counter_decimals": instrument.price_decimals, "instant_order_counter_decimals": 2,
            "trading": "Enabled", "instant_and_market_orders": "Enabled",
            "description": f"{instrument.base} / {instrument.quote}"}


def _market(instrument: SimulatedInstrument) -> dict:
    """An entry of /markets/."""
    return _pair(instrument) | {
        "market_symbol": instrument.symbol, "base_currency": instrument.base, "counter_currency": instrument.quote,
        "minimum_order_value": trimmed(to_text(instrument.minimum_notional, 8)), "market_type": "SPOT"}


def _trading_pair(instrument: SimulatedInstrument) -> dict:
    """An entry of /trading-pairs-info/, which came before."""
    return _pair(instrument) | {
        "url_symbol": instrument.symbol,
        "minimum_order": f"{trimmed(to_text(instrument.minimum_notional, 8))} {instrument.quote}"}


DIALECT = Bitstamp
