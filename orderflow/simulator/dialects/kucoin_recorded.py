"""Captures of KuCoin: which topic a frame belongs to, REST answers, digits, instruments."""
import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import msgspec

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Answer, Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.reader import Reader, instruments_of
from orderflow.simulator.recording import Record

BOOK, TRADES, TICKER = "/market/level2", "/market/match", "/market/ticker"
_SIDES = {"buy": Side.BUY, "sell": Side.SELL}


class _Frame(msgspec.Struct):
    type: str = ""
    topic: str = ""


_frame = msgspec.json.Decoder(_Frame)


class KucoinReader(Reader):
    """Reads the records of one capture in order."""

    def __init__(self):
        self._snapshot_ids: dict[str, int] = {}

    def stream_of(self, text: str) -> Subscription | None:
        frame = _frame.decode(text)
        topic, _, symbol = frame.topic.partition(":")
        return Subscription(topic, symbol) if frame.type == "message" and symbol else None

    def answer(self, record: Record) -> Answer | None:
        """The REST answer in an http record, if it is one that clients ask for."""
        url = urlsplit(record.channel)
        body = record.payload.encode()
        if url.path.endswith("/symbols"):
            return Answer("metadata", "", body)
        if "/market/orderbook/level2" in url.path:
            return Answer("depth", parse_qs(url.query)["symbol"][0], body)
        return None

    def numbers(self, record: Record) -> Iterator[tuple[str, list, bool]]:
        """Those of tickers too."""
        yield from super().numbers(record)
        stream = self.stream(record)
        if stream is not None and stream.channel == TICKER:
            data = json.loads(record.payload)["data"]
            yield stream.symbol, [(data[f"best{side}"], data[f"best{side}Size"]) for side in ("Bid", "Ask")], False

    def events(self, stream: Subscription, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """Levels and trades; changes without a price only count."""
        if stream.channel == TRADES:
            data = json.loads(text)["data"]
            yield RecordedTrade(data["symbol"], _SIDES[data["side"]], data["price"], data["size"])
        elif stream.channel == BOOK:
            data = json.loads(text)["data"]
            if data["sequenceEnd"] > self._snapshot_ids.get(stream.symbol, -1):
                yield RecordedLevels(data["symbol"], False, *([
                    (price, quantity) for price, quantity, _ in data["changes"][side] if price != "0"]
                    for side in ("bids", "asks")))

    def book_of(self, body: bytes) -> tuple[list, list]:
        data = json.loads(body)["data"]
        bids, asks = ([tuple(level) for level in data[side]] for side in ("bids", "asks"))
        return bids, asks

    def snapshot_levels(self, symbol: str, body: bytes) -> RecordedLevels:
        self._snapshot_ids[symbol] = int(json.loads(body)["data"]["sequence"])
        return RecordedLevels(symbol, True, *self.book_of(body))


def subscriptions(streams) -> list[str]:
    """The frames with which a client subscribes to these."""
    return [json.dumps({"id": str(number), "type": "subscribe", "topic": ":".join(stream), "response": True})
            for number, stream in enumerate(sorted(streams), 1)]


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose topics a capture holds, with the digits on the wire."""
    symbols = {stream.symbol for stream in contents.streams if stream.channel in (BOOK, TRADES, TICKER)}
    return instruments_of(contents, symbols, _pair)


def _pair(symbol: str) -> tuple[str, str]:
    base, _, quote = symbol.partition("-")
    return base, quote
