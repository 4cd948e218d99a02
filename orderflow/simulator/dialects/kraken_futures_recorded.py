"""Captures of Kraken Futures: which subscription a frame belongs to, instruments, digits."""
import json
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Answer, Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.recording import Record

SNAPSHOT = "_snapshot"
QUOTE_LENGTH = 3


class Subscription(NamedTuple):
    """What one subscription is for."""
    feed: str
    symbol: str


class _Frame(msgspec.Struct):
    feed: str = ""
    product_id: str = ""
    event: str = ""


_frame = msgspec.json.Decoder(_Frame)


class KrakenFuturesReader:
    """Reads the records of one capture in order."""

    def stream(self, record: Record) -> Subscription | None:
        """Subscription that a received frame belongs to; None for answers and heartbeats."""
        if record.direction != "rx":
            return None
        try:
            frame = _frame.decode(record.payload)
        except msgspec.MsgspecError:
            return None
        if frame.event or not frame.feed or not frame.product_id:
            return None
        return Subscription(frame.feed.removesuffix(SNAPSHOT), frame.product_id)

    def answer(self, record: Record) -> Answer | None:
        """The instruments, if that is what an http record holds."""
        if urlsplit(record.channel).path.endswith("/api/v3/instruments"):
            return Answer("metadata", "", record.payload.encode())
        return None

    def numbers(self, record: Record) -> Iterator[tuple[str, list, bool]]:
        """(symbol, (price, quantity) texts, whether they are of its book) of a book or trade record."""
        stream = self.stream(record)
        if stream is not None:
            for event in self.events(stream, record.payload):
                if isinstance(event, RecordedLevels):
                    yield event.symbol, event.bids + event.asks, True
                else:
                    yield event.symbol, [(event.price, event.quantity)], False

    def events(self, stream: Subscription, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """What a frame says about book and trades; trades of a snapshot are history."""
        if stream.feed not in ("book", "trade"):
            return
        message = json.loads(text, parse_float=str, parse_int=str)
        if message["feed"] == "book_snapshot":
            yield RecordedLevels(stream.symbol, True, *(
                [(level["price"], level["qty"]) for level in message[side]] for side in ("bids", "asks")))
        elif message["feed"] == "book":
            level = [(message["price"], message["qty"])]
            yield RecordedLevels(stream.symbol, False, *((level, []) if message["side"] == "buy" else ([], level)))
        elif message["feed"] == "trade":
            yield RecordedTrade(stream.symbol, Side[message["side"].upper()], message["price"], message["qty"])


def subscriptions(streams) -> list[str]:
    """The frames with which a client subscribes to these."""
    return [json.dumps({"event": "subscribe", "feed": feed,
                        "product_ids": sorted(stream.symbol for stream in streams if stream.feed == feed)})
            for feed in sorted({stream.feed for stream in streams})]


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose subscriptions a capture holds, with the digits on the wire."""
    instruments = []
    for symbol in sorted({stream.symbol for stream in contents.streams}):
        price, quantity = contents.decimals(symbol, (8, 8))
        pair = symbol.split("_")[1] if "_" in symbol else symbol
        instruments.append(SimulatedInstrument(symbol, pair[:-QUOTE_LENGTH], pair[-QUOTE_LENGTH:], price, quantity))
    return tuple(instruments)
