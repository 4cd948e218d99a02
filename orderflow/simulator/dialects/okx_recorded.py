"""Captures of OKX v5: which subscription a frame belongs to, digits, instruments."""
import json
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Answer, Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.recording import Record

BOOKS = ("books", "books-l2-tbt", "books50-l2-tbt")


class Subscription(NamedTuple):
    """What one subscription is for."""
    channel: str
    symbol: str


class _Argument(msgspec.Struct):
    channel: str = ""
    instId: str = ""


class _Frame(msgspec.Struct):
    arg: _Argument | None = None
    event: str = ""


_frame = msgspec.json.Decoder(_Frame)


class OkxReader:
    """Reads the records of one capture in order."""

    def stream(self, record: Record) -> Subscription | None:
        """Subscription that a received frame belongs to; None for answers, notices and pongs."""
        if record.direction != "rx":
            return None
        try:
            frame = _frame.decode(record.payload)
        except msgspec.MsgspecError:
            return None
        if frame.event or frame.arg is None or not frame.arg.instId:
            return None
        return Subscription(frame.arg.channel, frame.arg.instId)

    def answer(self, record: Record) -> Answer | None:
        """Instruments come in an answer for each type, none of which tells of all: they are not used."""
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
        """What a frame says about book and trades; nothing where it says that nothing changed."""
        if stream.channel in BOOKS:
            message = json.loads(text)
            for data in message["data"]:
                bids, asks = ([(level[0], level[1]) for level in data[side]] for side in ("bids", "asks"))
                if bids or asks or message["action"] == "snapshot" or data.get("seqId") != data.get("prevSeqId", -1):
                    yield RecordedLevels(stream.symbol, message["action"] == "snapshot", bids, asks)
        elif stream.channel == "trades":
            for trade in json.loads(text)["data"]:
                yield RecordedTrade(stream.symbol, Side[trade["side"].upper()], trade["px"], trade["sz"])


def subscriptions(streams) -> list[str]:
    """The frame with which a client subscribes to these."""
    return [json.dumps({"op": "subscribe", "args": [{"channel": stream.channel, "instId": stream.symbol}
                                                    for stream in sorted(streams)]})]


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose subscriptions a capture holds, with the digits on the wire."""
    instruments = []
    for symbol in sorted({stream.symbol for stream in contents.streams}):
        price, quantity = contents.decimals(symbol, (8, 8))
        base, _, rest = symbol.partition("-")
        instruments.append(SimulatedInstrument(symbol, base, rest.partition("-")[0], price, quantity))
    return tuple(instruments)
