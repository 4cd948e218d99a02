"""Captures of Deribit: which channel a frame belongs to, digits, instruments. A stream is a channel, as spelled."""
import json
from collections.abc import Iterator

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.reader import Reader, instruments_of


class _Parameters(msgspec.Struct):
    channel: str


class _Frame(msgspec.Struct):
    method: str
    params: _Parameters


_frame = msgspec.json.Decoder(_Frame)


def split(channel: str) -> tuple[str, str]:
    """(kind, instrument) of book.X.100ms or trades.X.100ms; kind "" for any other channel, and for grouped books."""
    parts = channel.split(".")
    if len(parts) < 3:
        return "", ""
    return parts[0] if len(parts) == 3 and parts[0] in ("book", "trades") else "", parts[1]


class DeribitReader(Reader):
    """Reads the records of one capture in order."""

    def stream_of(self, text: str) -> str:
        return _frame.decode(text).params.channel

    def events(self, stream: str, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """What a frame says about book and trades. Numbers are JSON's, and stay as they were written."""
        kind, symbol = split(stream)
        if not kind:
            return
        data = json.loads(text, parse_float=str, parse_int=str)["params"]["data"]
        if kind == "book":
            bids, asks = ([(price, "0" if action == "delete" else quantity) for action, price, quantity in data[side]]
                          for side in ("bids", "asks"))
            yield RecordedLevels(symbol, data["type"] == "snapshot", bids, asks)
        else:
            for trade in data:
                yield RecordedTrade(symbol, Side[trade["direction"].upper()], trade["price"], trade["amount"])


def subscriptions(streams) -> list[str]:
    """The frame with which a client subscribes to these."""
    return [json.dumps({"jsonrpc": "2.0", "id": 1, "method": "public/subscribe",
                        "params": {"channels": sorted(streams)}})]


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose channels a capture holds, with the digits on the wire."""
    return instruments_of(contents, {split(str(stream))[1] for stream in contents.streams} - {""},
                          lambda symbol: (symbol.partition("-")[0], "USD"))
