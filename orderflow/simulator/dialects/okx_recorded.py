"""Captures of OKX v5: which subscription a frame belongs to, digits, instruments."""
import json
from collections.abc import Iterator

import msgspec

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.reader import Reader, instruments_of

BOOKS = ("books", "books-l2-tbt", "books50-l2-tbt")


class _Argument(msgspec.Struct):
    channel: str = ""
    instId: str = ""


class _Frame(msgspec.Struct):
    arg: _Argument | None = None
    event: str = ""


_frame = msgspec.json.Decoder(_Frame)


class OkxReader(Reader):
    """Reads the records of one capture in order."""

    def stream_of(self, text: str) -> Subscription | None:
        frame = _frame.decode(text)
        if frame.event or frame.arg is None or not frame.arg.instId:
            return None
        return Subscription(frame.arg.channel, frame.arg.instId)

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
    return instruments_of(contents, {stream.symbol for stream in contents.streams}, _pair)


def _pair(symbol: str) -> tuple[str, str]:
    base, _, rest = symbol.partition("-")
    return base, rest.partition("-")[0]
