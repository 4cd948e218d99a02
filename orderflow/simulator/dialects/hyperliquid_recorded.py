"""Captures of Hyperliquid: which subscription a frame belongs to, digits, instruments."""
import json
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Answer, Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.recording import Record

SIDES = {"B": Side.BUY, "A": Side.SELL}


class Subscription(NamedTuple):
    """What one subscription is for."""
    channel: str
    coin: str


class _Coin(msgspec.Struct):
    coin: str


class _Frame(msgspec.Struct):
    channel: str
    data: _Coin | list[_Coin]


_frame = msgspec.json.Decoder(_Frame)


class HyperliquidReader:
    """Reads the records of one capture in order."""

    def stream(self, record: Record) -> Subscription | None:
        """Subscription that a received frame belongs to; None for answers, pongs and what is of no coin."""
        if record.direction != "rx":
            return None
        try:
            frame = _frame.decode(record.payload)
        except msgspec.MsgspecError:
            return None
        named = frame.data if isinstance(frame.data, list) else [frame.data]
        return Subscription(frame.channel, named[0].coin) if named else None

    def answer(self, record: Record) -> Answer | None:
        """Metadata is asked for by POST, all of it at one address: it is not used."""
        return None

    def numbers(self, record: Record) -> Iterator[tuple[str, list, bool]]:
        """(coin, (price, quantity) texts, whether they are of its book) of a book or trade record."""
        stream = self.stream(record)
        if stream is not None:
            for event in self.events(stream, record.payload):
                if isinstance(event, RecordedLevels):
                    yield event.symbol, event.bids + event.asks, True
                else:
                    yield event.symbol, [(event.price, event.quantity)], False

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
    return [json.dumps({"method": "subscribe", "subscription": {"type": stream.channel, "coin": stream.coin}})
            for stream in sorted(streams)]


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose coins a capture holds, with the digits on the wire."""
    instruments = []
    for coin in sorted({stream.coin for stream in contents.streams}):
        price, quantity = contents.decimals(coin, (6, 6))
        instruments.append(SimulatedInstrument(coin, coin, "USDC", price, quantity))
    return tuple(instruments)
