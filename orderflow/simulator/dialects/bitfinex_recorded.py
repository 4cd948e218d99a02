"""Captures of Bitfinex: which subscription a frame belongs to, digits, instruments.

A frame names its subscription by a number of its connection, which an acknowledgement told. Where frames are counted,
a recording is only whole with all of them: heartbeats that came before their channel was acknowledged are a stream of
their own, and so are answers to `conf`, behind which the counting begins. These are played like the others.
"""
import json
from collections.abc import Iterator
from typing import NamedTuple

from orderflow._core.types import Side
from orderflow.simulator.capture import Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.reader import Reader, instruments_of
from orderflow.simulator.recording import Record

CONF = "conf"
KEYED = ("candles", "status")       # channels whose subscription names a key, not a symbol
PRECISION, FREQUENCY, LENGTH = "P0", "F0", 25       # of a book whose subscription names none


class Subscription(NamedTuple):
    """What one subscription is for; of candles and the like the symbol is their key."""
    channel: str
    symbol: str
    precision: str = ""
    frequency: str = ""
    length: int = 0


UNTOLD = Subscription("untold", "")         # frames under numbers of which nothing was told yet


def subscription_of(request: dict) -> Subscription:
    """What a request or its acknowledgement names."""
    channel, symbol = str(request.get("channel")), str(request.get("symbol") or request.get("key") or "")
    if channel != "book":
        return Subscription(channel, symbol)
    return Subscription(channel, symbol, str(request.get("prec", PRECISION)), str(request.get("freq", FREQUENCY)),
                        int(request.get("len", LENGTH)))


def pair_of(symbol: str) -> tuple[str, str]:
    """Base and quote of tBTCUSD or tDUSK:USD."""
    pair = symbol.removeprefix("t")
    base, colon, quote = pair.partition(":")
    return (base, quote) if colon else (pair[:3], pair[3:])


class BitfinexReader(Reader):
    """Reads the records of one capture in order."""

    def __init__(self):
        self._numbers: dict[tuple[str, int], Subscription] = {}     # by connection and number

    def stream(self, record: Record) -> Subscription | None:
        """Subscription that a received frame belongs to; None for events but those of `conf`."""
        if record.direction != "rx":
            return None
        try:
            frame = json.loads(record.payload)
        except ValueError:
            return None
        if isinstance(frame, list):
            return self._numbers.get((record.channel, frame[0]), UNTOLD) if frame else None
        if not isinstance(frame, dict):
            return None
        if frame.get("event") == "subscribed":
            self._numbers[record.channel, frame["chanId"]] = subscription_of(frame)
        return Subscription(CONF, str(frame["flags"])) if frame.get("event") == "conf" else None

    def events(self, stream: Subscription, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """What a frame says about book and trades. Numbers are JSON's, and stay as they were written."""
        if stream.precision != PRECISION and stream.channel != "trades":
            return
        _, payload, *rest = json.loads(text, parse_float=str, parse_int=str)
        if stream.channel == "trades":
            if payload == "te":
                _, _, amount, price, *_ = rest[0]
                yield RecordedTrade(stream.symbol, Side.SELL if amount[0] == "-" else Side.BUY, price,
                                    amount.lstrip("-"))
        elif isinstance(payload, list):
            whole = not payload or isinstance(payload[0], list)
            rows = payload if whole else [payload]
            bids, asks = ([(price, "0" if count == "0" else amount.lstrip("-")) for price, count, amount, *_ in rows
                           if (amount[0] == "-") == is_ask] for is_ask in (False, True))
            yield RecordedLevels(stream.symbol, whole, bids, asks)


def subscriptions(streams) -> list[str]:
    """The frames with which a client subscribes to these: flags first, then channels; what was untold comes by itself.
    """
    frames = [{"event": CONF, "flags": int(stream.symbol)} for stream in streams if stream.channel == CONF]
    for stream in sorted(streams):
        if stream.channel not in (CONF, UNTOLD.channel):
            book = {"prec": stream.precision, "freq": stream.frequency, "len": str(stream.length)}
            frames.append({"event": "subscribe", "channel": stream.channel,
                           "key" if stream.channel in KEYED else "symbol": stream.symbol}
                          | (book if stream.channel == "book" else {}))
    return [json.dumps(frame) for frame in frames]


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose books or trades a capture holds, with the digits on the wire."""
    return instruments_of(contents, contents.digits, pair_of)
