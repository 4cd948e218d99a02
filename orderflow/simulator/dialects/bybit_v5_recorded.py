"""Captures of Bybit v5: which topic a frame belongs to, digits, instruments. A stream is a topic, as spelled."""
import json
from collections.abc import Iterator

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Answer, Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.recording import Record

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


class BybitReader:
    """Reads the records of one capture in order."""

    def stream(self, record: Record) -> str | None:
        """Topic of a received frame; None for answers and pongs."""
        if record.direction != "rx":
            return None
        try:
            return _frame.decode(record.payload).topic or None
        except msgspec.MsgspecError:
            return None

    def answer(self, record: Record) -> Answer | None:
        """Instruments Info comes in pages: it is not used."""
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
    instruments = []
    for symbol in sorted({split(stream)[2] for stream in contents.streams}):
        price, quantity = contents.decimals(symbol, (8, 8))
        quote = next((name for name in QUOTES if symbol.endswith(name)), "")
        instruments.append(SimulatedInstrument(symbol, symbol.removesuffix(quote), quote, price, quantity))
    return tuple(instruments)
