"""Binance market data made from a matching engine: trades, aggregate trades, book tickers, depth diffs, snapshots.

Update ids: one for every order that changed the book. A depth diff covers the ids since the diff before it, so the
first diff after a snapshot that was taken in between contains the snapshot's id, as the exchange's rule expects.
"""
from itertools import groupby
from operator import attrgetter
from typing import ClassVar, NamedTuple

from orderflow._core.types import Side
from orderflow.simulator.exchange import Exchange
from orderflow.simulator.market import MarketBook

MILLISECOND_NS = 1_000_000


class Trade(NamedTuple):
    """One trade."""
    number: int
    price: int
    quantity: int
    buyer_made: str         # "true" where the buyer was the maker


class _Diff:
    """One depth stream of one symbol: what changed since it was published last."""

    def __init__(self, update_id: int, rounds: int):
        self.changed: dict[tuple[int, int], int] = {}       # (side, price) -> quantity
        self.last_id = update_id
        self.rounds = rounds - 1        # so that the first publication, at time 0, ends a round


class BinancePublishing(Exchange):
    """Writes the streams of spot; a market overrides the texts that differ."""

    depth_streams: ClassVar[dict[str, int]] = {"@depth@100ms": 1, "@depth": 10}     # publications for one diff

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self._diffs: dict[str, dict[str, _Diff]] = {}
        self._aggregates: dict[str, int] = {}

    def publish(self, stream: str, payload: str) -> None:
        """Send a payload made here to whoever subscribed to its stream."""
        combined = f'{{"stream":"{stream}","data":{payload}}}'
        for connection in self.listeners(stream):
            self.send(connection, combined if connection.combined else payload)

    def stamp(self, at_ns: int) -> int:
        """A time as the exchange tells it: milliseconds of its own clock."""
        return (at_ns + self.skew_ns) // MILLISECOND_NS

    def publish_trades(self, book: MarketBook, trades, at_ns: int) -> None:
        symbol = book.instrument.symbol
        stamp = self.stamp(at_ns)
        made = [Trade(*values, "true" if side == Side.SELL else "false") for *values, side in zip(
            *(trades[name].tolist() for name in ("trade_id", "price", "quantity", "taker_side")), strict=True)]
        stream = symbol.lower() + "@trade"
        if stream in self.subscribers:
            for trade in made:
                self.publish(stream, self.trade_text(book, stamp, trade))
        stream = symbol.lower() + "@aggTrade"
        for _, group in groupby(made, attrgetter("price")):
            number = self._aggregates[symbol] = self._aggregates.get(symbol, 0) + 1
            if stream in self.subscribers:
                self.publish(stream, self.aggregate_text(book, stamp, number, list(group)))

    def publish_touch(self, book: MarketBook, at_ns: int) -> None:
        stream = book.instrument.symbol.lower() + "@bookTicker"
        bid, bid_quantity, ask, ask_quantity = book.touch
        if stream in self.subscribers and bid is not None and ask is not None:
            values = (f'"s":"{book.instrument.symbol}","b":"{book.price_text(bid)}",'
                      f'"B":"{book.quantity_text(bid_quantity)}","a":"{book.price_text(ask)}",'
                      f'"A":"{book.quantity_text(ask_quantity)}"')
            self.publish(stream, self.touch_text(book, self.stamp(at_ns), values))

    def publish_book(self, book: MarketBook, at_ns: int) -> None:
        symbol = book.instrument.symbol
        diffs = self._diffs.get(symbol)
        if diffs is None:
            diffs = self._diffs[symbol] = {name: _Diff(book.update_id, rounds)
                                          for name, rounds in self.depth_streams.items()}
        changed = {(side, price): quantity for side, price, quantity in book.changes()}
        for name, rounds in self.depth_streams.items():
            diff = diffs[name]
            diff.changed.update(changed)
            diff.rounds += 1
            if diff.rounds < rounds:
                continue
            diff.rounds = 0
            if diff.last_id != book.update_id:
                stream = symbol.lower() + name
                if stream in self.subscribers:
                    self.publish(stream, self.depth_text(book, self.stamp(at_ns), diff.last_id + 1, diff.last_id,
                                                         _changes_text(book, diff.changed)))
                diff.last_id = book.update_id
            diff.changed.clear()

    def snapshot(self, book: MarketBook, limit: int) -> str:
        """REST depth."""
        sides = ",".join(f'"{name}":[{",".join(_level_text(book, *level) for level in book.levels(side, limit))}]'
                         for name, side in (("bids", Side.BUY), ("asks", Side.SELL)))
        return self.snapshot_text(book, self.now_ns // MILLISECOND_NS, sides)

    # how spot words it

    def trade_text(self, book: MarketBook, stamp: int, trade: Trade) -> str:
        """A trade."""
        return (f'{{"e":"trade","E":{stamp},"s":"{book.instrument.symbol}","t":{trade.number},'
                f'"p":"{book.price_text(trade.price)}","q":"{book.quantity_text(trade.quantity)}","T":{stamp},'
                f'"m":{trade.buyer_made},"M":true}}')

    def aggregate_text(self, book: MarketBook, stamp: int, number: int, trades: list[Trade]) -> str:
        """The trades of one taker order at one price."""
        first, last = trades[0], trades[-1]
        return (f'{{"e":"aggTrade","E":{stamp},"s":"{book.instrument.symbol}","a":{number},'
                f'"p":"{book.price_text(first.price)}",'
                f'"q":"{book.quantity_text(sum(trade.quantity for trade in trades))}","f":{first.number},'
                f'"l":{last.number},"T":{stamp},"m":{first.buyer_made},"M":true}}')

    def touch_text(self, book: MarketBook, stamp: int, values: str) -> str:
        """A book ticker."""
        return f'{{"u":{book.update_id},{values}}}'

    def depth_text(self, book: MarketBook, stamp: int, first: int, previous: int, sides: str) -> str:
        """A depth diff."""
        return (f'{{"e":"depthUpdate","E":{stamp},"s":"{book.instrument.symbol}","U":{first},'
                f'"u":{book.update_id},{sides}}}')

    def snapshot_text(self, book: MarketBook, stamp: int, sides: str) -> str:
        """REST depth."""
        return f'{{"lastUpdateId":{book.update_id},{sides}}}'


def _level_text(book: MarketBook, price: int, quantity: int) -> str:
    return f'["{book.price_text(price)}","{book.quantity_text(quantity)}"]'


def _changes_text(book: MarketBook, changed: dict[tuple[int, int], int]) -> str:
    levels: dict[int, list[str]] = {Side.BUY: [], Side.SELL: []}
    for (side, price), quantity in sorted(changed.items()):
        levels[side].append(_level_text(book, price, quantity))
    return f'"b":[{",".join(levels[Side.BUY])}],"a":[{",".join(levels[Side.SELL])}]'
