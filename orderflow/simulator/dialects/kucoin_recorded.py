"""Captures of KuCoin: which topic a frame belongs to, REST answers, digits, instruments."""
import json
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Answer, Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.recording import Record

BOOK, TRADES, TICKER = "/market/level2", "/market/match", "/market/ticker"
_SIDES = {"buy": Side.BUY, "sell": Side.SELL}


class Subscription(NamedTuple):
    """One topic of one symbol; candles name the symbol and their length."""
    topic: str
    symbol: str


class _Frame(msgspec.Struct):
    type: str = ""
    topic: str = ""


_frame = msgspec.json.Decoder(_Frame)


class KucoinReader:
    """Reads the records of one capture in order."""

    def __init__(self):
        self._snapshot_ids: dict[str, int] = {}

    def stream(self, record: Record) -> Subscription | None:
        """Topic that a received frame belongs to; None for a welcome, answers and pongs."""
        if record.direction != "rx":
            return None
        try:
            frame = _frame.decode(record.payload)
        except msgspec.MsgspecError:
            return None
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
        """(symbol, (price, quantity) texts, whether they are of its book) of a book, trade or ticker record."""
        if record.direction == "http":
            answer = self.answer(record)
            if answer is not None and answer.symbol:
                levels = self.snapshot_levels(answer.symbol, answer.body)
                yield answer.symbol, levels.bids + levels.asks, True
            return
        stream = self.stream(record)
        if stream is None:
            return
        if stream.topic == TICKER:
            data = json.loads(record.payload)["data"]
            yield stream.symbol, [(data[f"best{side}"], data[f"best{side}Size"]) for side in ("Bid", "Ask")], False
        for event in _said(stream, record.payload):
            if isinstance(event, RecordedLevels):
                yield event.symbol, event.bids + event.asks, True
            else:
                yield event.symbol, [(event.price, event.quantity)], False

    def events(self, stream: Subscription, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """What a frame says about book and trades, newer than the snapshot of its symbol."""
        if stream.topic != BOOK or json.loads(text)["data"]["sequenceEnd"] > self._snapshot_ids.get(stream.symbol, -1):
            yield from _said(stream, text)

    def snapshot_levels(self, symbol: str, body: bytes) -> RecordedLevels:
        """A recorded REST snapshot; from now on `events` leaves out what it contains."""
        data = json.loads(body)["data"]
        self._snapshot_ids[symbol] = int(data["sequence"])
        return RecordedLevels(symbol, True, *([tuple(level) for level in data[side]] for side in ("bids", "asks")))


def _said(stream: Subscription, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
    if stream.topic == TRADES:
        data = json.loads(text)["data"]
        yield RecordedTrade(data["symbol"], _SIDES[data["side"]], data["price"], data["size"])
    elif stream.topic == BOOK:
        data = json.loads(text)["data"]
        yield RecordedLevels(data["symbol"], False, *([
            (price, quantity) for price, quantity, _ in data["changes"][side] if price != "0"]
            for side in ("bids", "asks")))


def subscriptions(streams) -> list[str]:
    """The frames with which a client subscribes to these."""
    return [json.dumps({"id": str(number), "type": "subscribe", "topic": ":".join(stream), "response": True})
            for number, stream in enumerate(sorted(streams), 1)]


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose topics a capture holds, with the digits on the wire."""
    instruments = []
    for symbol in sorted({stream.symbol for stream in contents.streams if stream.topic in (BOOK, TRADES, TICKER)}):
        price, quantity = contents.decimals(symbol, (8, 8))
        base, _, quote = symbol.partition("-")
        instruments.append(SimulatedInstrument(symbol, base, quote, price, quantity))
    return tuple(instruments)
