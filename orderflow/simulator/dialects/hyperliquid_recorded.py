"""Captures of Hyperliquid: which subscription a frame belongs to, digits, instruments."""
import json
from collections.abc import Iterator

import msgspec

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.reader import Reader, instruments_of

SIDES = {"B": Side.BUY, "A": Side.SELL}


class _Coin(msgspec.Struct):
    coin: str


class _Frame(msgspec.Struct):
    channel: str
    data: _Coin | list[_Coin]


_frame = msgspec.json.Decoder(_Frame)


class HyperliquidReader(Reader):
    """Reads the records of one capture in order."""

    def stream_of(self, text: str) -> Subscription | None:
        frame = _frame.decode(text)
        named = frame.data if isinstance(frame.data, list) else [frame.data]
        return Subscription(frame.channel, named[0].coin) if named else None

    def events(self, stream: Subscription, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """What a frame says about book and trades."""
        if stream.channel == "l2Book":
            data = json.loads(text)["data"]
            yield RecordedLevels(data["coin"], True, *(
                [(level["px"], level["sz"]) for level in side] for side in data["levels"]))
        elif stream.channel == "trades":
            for trade in json.loads(text)["data"]:
                yield RecordedTrade(trade["coin"], SIDES[trade["side"]], trade["px"], trade["sz"])


def subscriptions(streams) -> list[str]:
    """The frames with which a client subscribes to these."""
    return [json.dumps({"method": "subscribe", "subscription": {"type": stream.channel, "coin": stream.symbol}})
            for stream in sorted(streams)]


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose coins a capture holds, with the digits on the wire."""
    return instruments_of(contents, {stream.symbol for stream in contents.streams}, lambda coin: (coin, "USDC"), (6, 6))
