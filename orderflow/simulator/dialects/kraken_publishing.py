"""Kraken v2 market data made from a matching engine: books cut to the subscribed depth with checksums, trades, tickers.

What was sent last is kept for each depth. An update holds what differs from it: a level that fell out of the depth is
not deleted, because the client cuts its book itself.
"""
import zlib
from dataclasses import dataclass, field

from orderflow._core.types import Side
from orderflow.simulator.dialects.kraken_recorded import Subscription
from orderflow.simulator.exchange import Connection, Exchange
from orderflow.simulator.market import MarketBook
from orderflow.simulator.words import timestamp


def checksum(asks, bids) -> int:
    """CRC32 over the ten best levels of each side, given as (price text, quantity text), best first."""
    digits = "".join(text.replace(".", "").lstrip("0")
                     for levels in (asks, bids) for level in levels[:10] for text in level)
    return zlib.crc32(digits.encode())


@dataclass
class _View:
    """A book as its subscribers have it: price -> quantity, best first."""
    bids: dict[int, int]
    asks: dict[int, int]
    update_id: int


@dataclass
class _Day:
    """What a ticker says beside the touch."""
    first: int = 0
    last: int = 0
    low: int = 0
    high: int = 0
    volume: int = 0
    notional: int = 0
    recent: list[str] = field(default_factory=list)         # the last 50 trades, as sent


class KrakenPublishing(Exchange):
    """Writes the public channels."""

    publish_every_ns = 20_000_000

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self._views: dict[Subscription, _View] = {}
        self._days: dict[str, _Day] = {}

    def publish_trades(self, book: MarketBook, trades, at_ns: int) -> None:
        symbol = book.instrument.symbol
        day = self._days.setdefault(symbol, _Day())
        made = []
        for number, price, quantity, side in zip(
                *(trades[name].tolist() for name in ("trade_id", "price", "quantity", "taker_side")), strict=True):
            day.first, day.last = day.first or price, price
            day.low, day.high = min(day.low or price, price), max(day.high, price)
            day.volume, day.notional = day.volume + quantity, day.notional + price * quantity
            made.append(f'{{"symbol":"{symbol}","side":"{"buy" if side == Side.BUY else "sell"}",'
                        f'"price":{book.price_text(price)},"qty":{book.quantity_text(quantity)},"ord_type":"market",'
                        f'"trade_id":{number},"timestamp":"{timestamp(at_ns + self.skew_ns)}"}}')
        day.recent = [*day.recent, *made][-50:]
        text = f'{{"channel":"trade","type":"update","data":[{",".join(made)}]}}'
        for connection in self.listeners(Subscription("trade", symbol)):
            self.send(connection, text)
        listeners = self.listeners(Subscription("ticker", symbol))
        text = self._ticker(book, "update") if listeners else ""
        for connection in listeners:
            self.send(connection, text)

    def publish_book(self, book: MarketBook, at_ns: int) -> None:
        symbol = book.instrument.symbol
        for subscription, view in list(self._views.items()):
            if subscription.symbol != symbol:
                continue
            if subscription not in self.subscribers:
                del self._views[subscription]
            elif view.update_id != book.update_id:
                self._update(book, subscription, view, at_ns)

    def _update(self, book: MarketBook, subscription: Subscription, old: _View, at_ns: int) -> None:
        new = self._view(book, subscription.depth)
        self._views[subscription] = new
        bids = _differences(book, Side.BUY, old.bids, new.bids)
        asks = _differences(book, Side.SELL, old.asks, new.asks)
        if not bids and not asks:
            return
        text = (f'{{"channel":"book","type":"update","data":[{{"symbol":"{book.instrument.symbol}",'
                f'"bids":[{_levels(book, bids)}],"asks":[{_levels(book, asks)}],"checksum":{_check(book, new)},'
                f'"timestamp":"{timestamp(at_ns + self.skew_ns)}"}}]}}')
        for connection in self.listeners(subscription):
            self.send(connection, text)

    def send_snapshot(self, connection: Connection, subscription: Subscription) -> None:
        """Send the first frame of a subscription."""
        book = self.source.books[subscription.symbol]
        if subscription.channel == "trade":
            recent = self._days.setdefault(subscription.symbol, _Day()).recent
            self.send(connection, f'{{"channel":"trade","type":"snapshot","data":[{",".join(recent)}]}}')
        elif subscription.channel == "ticker":
            self.send(connection, self._ticker(book, "snapshot"))
        elif subscription.channel == "book":
            view = self._views.get(subscription)
            if view is None:
                view = self._views[subscription] = self._view(book, subscription.depth)
            self.send(connection, f'{{"channel":"book","type":"snapshot","data":[{{"symbol":"{subscription.symbol}",'
                                  f'"bids":[{_levels(book, view.bids.items())}],'
                                  f'"asks":[{_levels(book, view.asks.items())}],"checksum":{_check(book, view)},'
                                  f'"timestamp":"{timestamp(self.now_ns + self.skew_ns)}"}}]}}')

    def _view(self, book: MarketBook, depth: int) -> _View:
        return _View(dict(book.levels(Side.BUY, depth)), dict(book.levels(Side.SELL, depth)), book.update_id)

    def _ticker(self, book: MarketBook, kind: str) -> str:
        day = self._days.setdefault(book.instrument.symbol, _Day())
        bid, bid_quantity, ask, ask_quantity = book.touch
        price, quantity = book.price_text, book.quantity_text
        average = day.notional // day.volume if day.volume else 0
        change = f"{100 * (day.last - day.first) / day.first:.2f}" if day.first else "0.00"
        return (f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{book.instrument.symbol}",'
                f'"bid":{price(bid or 0)},"bid_qty":{quantity(bid_quantity)},'
                f'"ask":{price(ask or 0)},"ask_qty":{quantity(ask_quantity)},"last":{price(day.last)},'
                f'"volume":{quantity(day.volume)},"vwap":{price(average)},"low":{price(day.low)},'
                f'"high":{price(day.high)},"change":{price(day.last - day.first)},"change_pct":{change}}}]}}')


def _differences(book: MarketBook, side: int, old: dict[int, int], new: dict[int, int]) -> list[tuple[int, int]]:
    gone = [(price, 0) for price in old if price not in new and not book.engine.quantity_at(side, price)]
    return gone + [level for level in new.items() if old.get(level[0]) != level[1]]


def _levels(book: MarketBook, levels) -> str:
    return ",".join(f'{{"price":{book.price_text(price)},"qty":{book.quantity_text(quantity)}}}'
                    for price, quantity in levels)


def _check(book: MarketBook, view: _View) -> int:
    asks, bids = ([(book.price_text(price), book.quantity_text(quantity)) for price, quantity in
                   list(side.items())[:10]] for side in (view.asks, view.bids))
    return checksum(asks, bids)
