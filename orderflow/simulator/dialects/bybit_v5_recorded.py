"""Captures of Bybit v5: which topic a frame belongs to, digits, instruments. A stream is a topic, as spelled."""
import json
from collections.abc import Iterator

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.reader import Reader, instruments_of

#: What a symbol may end with, the longest first: it names base and quote without a mark between them.
QUOTES = ("USDT", "USDC", "USDE", "USD1", "EUR", "BRL", "BTC", "ETH", "USD")


class _Frame(msgspec.Struct):
    topic: str = ""


_frame = msgspec.json.Decoder(_Frame)


def split(topic: str) -> tuple[str, int, str]:
    """(kind, depth, symbol) of a topic: orderbook.50.BTCUSDT, publicTrade.BTCUSDT; depth 0 where there is none."""
    kind, _, rest = topic.partition(".")
    depth, point, symbol = rest.partition(".")
    if kind == "orderbook" and point and depth.isdigit():
        return kind, int(depth), symbol
    return kind, 0, rest


class BybitReader(Reader):
    """Reads the records of one capture in order."""

    def stream_of(self, text: str) -> str | None:
        return _frame.decode(text).topic or None

    def events(self, stream: str, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """What a frame says about book and trades. One level a side is no book."""
        kind, depth, symbol = split(stream)
        if kind == "orderbook" and depth > 1:
            message = json.loads(text)
            data = message["data"]
            whole = message["type"] == "snapshot" or data["u"] == 1
            yield RecordedLevels(symbol, whole, *(
                [(level[0], level[1]) for level in data[side]] for side in "ba"))
        elif kind == "publicTrade":
            for trade in json.loads(text)["data"]:
                yield RecordedTrade(symbol, Side[trade["S"].upper()], trade["p"], trade["v"])


def subscriptions(streams) -> list[str]:
    """The frames with which a client subscribes to these; spot takes ten topics at a time."""
    topics = sorted(streams)
    return [json.dumps({"op": "subscribe", "args": topics[at:at + 10]}) for at in range(0, len(topics), 10)]


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose topics a capture holds, with the digits on the wire."""
    return instruments_of(contents, {split(str(stream))[2] for stream in contents.streams}, _pair)


def _pair(symbol: str) -> tuple[str, str]:
    quote = next((name for name in QUOTES if symbol.endswith(name)), "")
    return symbol.removesuffix(quote), quote
