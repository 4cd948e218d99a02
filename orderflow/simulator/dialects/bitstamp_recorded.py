"""Captures of Bitstamp: which channel a frame belongs to, REST order books, digits, instruments."""
import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Answer, Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.reader import Reader
from orderflow.simulator.recording import Record

CHANNELS = ("diff_order_book", "live_trades")
_METADATA = re.compile(r"/api/v2/(trading-pairs-info|markets)/?$")
_ORDER_BOOK = re.compile(r"/api/v2/order_book/([^/]+)/?$")
_SIDES = {0: Side.BUY, 1: Side.SELL}


class _Frame(msgspec.Struct):
    event: str = ""
    channel: str = ""


_frame = msgspec.json.Decoder(_Frame)


def subscription_of(channel: str) -> Subscription | None:
    """A channel's name taken apart; None for channels that are not played."""
    name, _, symbol = channel.rpartition("_")
    return Subscription(name, symbol) if name in CHANNELS and symbol else None


class BitstampReader(Reader):
    """Reads the records of one capture in order."""

    def __init__(self):
        self._snapshot_times: dict[str, int] = {}

    def stream_of(self, text: str) -> Subscription | None:
        frame = _frame.decode(text)
        return None if frame.event.startswith("bts:") else subscription_of(frame.channel)

    def answer(self, record: Record) -> Answer | None:
        """The REST answer in an http record, if it is one that clients ask for."""
        path = urlsplit(record.channel).path
        body = record.payload.encode()
        if _METADATA.search(path):
            return Answer("metadata", "", body)
        found = _ORDER_BOOK.search(path)
        return Answer("depth", found[1], body) if found else None

    def events(self, stream: Subscription, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """What a frame says about book and trades, newer than the snapshot of its symbol."""
        data = json.loads(text)["data"]
        if stream.channel == "live_trades":
            yield RecordedTrade(stream.symbol, _SIDES[int(data["type"])], data["price_str"], data["amount_str"])
        elif int(data["microtimestamp"]) > self._snapshot_times.get(stream.symbol, -1):
            yield RecordedLevels(stream.symbol, False, *_levels(data))

    def book_of(self, body: bytes) -> tuple[list, list]:
        return _levels(json.loads(body))

    def snapshot_levels(self, symbol: str, body: bytes) -> RecordedLevels:
        data = json.loads(body)
        self._snapshot_times[symbol] = int(data["microtimestamp"])
        return RecordedLevels(symbol, True, *_levels(data))


def _levels(data: dict) -> tuple[list, list]:
    bids, asks = ([(level[0], level[1]) for level in data[side]] for side in ("bids", "asks"))
    return bids, asks


def subscriptions(streams) -> list[str]:
    """The frames with which a client subscribes to these."""
    return [json.dumps({"event": "bts:subscribe", "data": {"channel": "_".join(stream)}}) for stream in sorted(streams)]


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose channels a capture holds, with the digits on the wire."""
    entries = {entry.get("market_symbol") or entry["url_symbol"]: entry
               for entry in json.loads(contents.metadata or b"[]")}
    instruments = []
    for symbol in sorted({stream.symbol for stream in contents.streams}):
        entry = entries.get(symbol, {})
        price, quantity = contents.decimals(symbol, (8, 8))
        base, _, quote = entry.get("name", "").removesuffix("-PERP").partition("/")
        pair = symbol.removesuffix("-perp")
        instruments.append(SimulatedInstrument(
            symbol, base or pair[:-3].upper(), quote or pair[-3:].upper(),
            max(price, int(entry.get("counter_decimals", 0))), max(quantity, int(entry.get("base_decimals", 0)))))
    return tuple(instruments)
