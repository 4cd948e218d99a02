"""Captures of Kraken Futures: which subscription a frame belongs to, instruments, digits."""
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Answer, Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.reader import Reader, instruments_of
from orderflow.simulator.recording import Record

SNAPSHOT = "_snapshot"
QUOTE_LENGTH = 3


class _Frame(msgspec.Struct):
    feed: str = ""
    product_id: str = ""
    event: str = ""


_frame = msgspec.json.Decoder(_Frame)


class KrakenFuturesReader(Reader):
    """Reads the records of one capture in order."""

    def stream_of(self, text: str) -> Subscription | None:
        frame = _frame.decode(text)
        if frame.event or not frame.feed or not frame.product_id:
            return None
        return Subscription(frame.feed.removesuffix(SNAPSHOT), frame.product_id)

    def answer(self, record: Record) -> Answer | None:
        """The instruments, if that is what an http record holds."""
        if urlsplit(record.channel).path.endswith("/api/v3/instruments"):
            return Answer("metadata", "", record.payload.encode())
        return None

    def events(self, stream: Subscription, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """What a frame says about book and trades; trades of a snapshot are history."""
        if stream.channel not in ("book", "trade"):
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
                        "product_ids": sorted(stream.symbol for stream in streams if stream.channel == feed)})
            for feed in sorted({stream.channel for stream in streams})]


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose subscriptions a capture holds, with the digits on the wire."""
    return instruments_of(contents, {stream.symbol for stream in contents.streams}, _pair)


def _pair(symbol: str) -> tuple[str, str]:
    pair = symbol.split("_")[1] if "_" in symbol else symbol
    return pair[:-QUOTE_LENGTH], pair[-QUOTE_LENGTH:]
