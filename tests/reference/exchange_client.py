"""A plain client of the exchanges: dict books from decimal text, nothing of orderflow. It judges the simulator."""
import hashlib
import json
import zlib
from decimal import Decimal


def plain(number) -> str:
    """A decimal without exponent and trailing zeros; empty for None."""
    if number is None:
        return ""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


class Book:
    """Levels by price, and a digest of the best bid and ask after every update."""

    def __init__(self, depth=0):
        self.bids, self.asks, self.digits = {}, {}, {}
        self.depth = depth
        self.updates = self.checksums = 0
        self._trace = hashlib.sha256()

    def set(self, side, price, quantity):
        value = Decimal(price)
        if Decimal(quantity):
            side[value] = Decimal(quantity)
            self.digits[value, id(side)] = (price, quantity)
        else:
            side.pop(value, None)

    def apply(self, bids, asks):
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, quantity in levels:
                self.set(side, price, quantity)

    def cut(self):
        for side, best_first in ((self.bids, True), (self.asks, False)):
            for price in sorted(side, reverse=best_first)[self.depth:]:
                del side[price]

    def note(self):
        """An update was applied whole: write the best bid and ask down."""
        self.updates += 1
        bid, ask = max(self.bids, default=None), min(self.asks, default=None)
        row = "|".join((plain(bid), plain(self.bids.get(bid)), plain(ask), plain(self.asks.get(ask))))
        self._trace.update(f"{row}\n".encode())

    def check(self, expected):
        """Kraken's checksum over the ten best levels, from the digits as sent."""
        text = ""
        for side, best_first in ((self.asks, False), (self.bids, True)):
            for price in sorted(side, reverse=best_first)[:10]:
                text += "".join(part.replace(".", "").lstrip("0") for part in self.digits[price, id(side)])
        assert zlib.crc32(text.encode()) == expected
        self.checksums += 1

    @property
    def trace(self):
        return self._trace.hexdigest()


class BinanceClient:
    """Feeds on combined frames; joins REST snapshots by the rule of its market."""

    def __init__(self, futures):
        self.futures = futures
        self.books, self.waiting, self.last = {}, {}, {}
        self.trades = 0

    def frame(self, text):
        data = json.loads(text)["data"]
        kind = data.get("e")
        self.trades += kind in ("trade", "aggTrade")
        if kind == "depthUpdate":
            if data["s"] in self.books:
                self._apply(data)
            else:
                self.waiting.setdefault(data["s"], []).append(data)

    def snapshot(self, symbol, body):
        data = json.loads(body)
        self.books[symbol] = Book()
        self.books[symbol].apply(data["bids"], data["asks"])
        self.last[symbol] = (data["lastUpdateId"], True)
        for update in self.waiting.pop(symbol, []):
            self._apply(update)

    def _apply(self, data):
        last, fresh = self.last[data["s"]]
        if data["u"] < last or (data["u"] == last and not self.futures):
            return
        if fresh:
            assert data["U"] <= last + (not self.futures) and last <= data["u"], "the snapshot does not join"
        elif self.futures:
            assert data["pu"] == last, "gap"
        else:
            assert data["U"] == last + 1, "gap"
        self.last[data["s"]] = (data["u"], False)
        self.books[data["s"]].apply(data["b"], data["a"])
        self.books[data["s"]].note()


class KrakenClient:
    """Feeds on the frames of WebSocket v2 and checks every checksum."""

    def __init__(self):
        self.books, self.depths, self.other = {}, {}, []
        self.trades = 0

    def frame(self, text):
        message = json.loads(text, parse_float=str)
        if message.get("method") == "subscribe" and message["success"] and message["result"]["channel"] == "book":
            self.depths[message["result"]["symbol"]] = message["result"]["depth"]
        channel = message.get("channel")
        if channel == "trade":
            self.trades += len(message["data"]) if message["type"] == "update" else 0
        elif channel == "book":
            self._book(message["type"], message["data"][0])
        else:
            self.other.append(message)

    def _book(self, kind, data):
        symbol = data["symbol"]
        if kind == "snapshot":
            self.books[symbol] = Book(self.depths[symbol])
        book = self.books[symbol]
        book.apply(*([(level["price"], str(level["qty"])) for level in data[side]] for side in ("bids", "asks")))
        book.cut()
        book.check(data["checksum"])
        if kind == "update":
            book.note()
