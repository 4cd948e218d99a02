"""Captures of Gemini: which symbol a frame belongs to, digits, instruments. A stream is a symbol."""
import json
from collections.abc import Iterator

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Answer, Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.recording import Record

#: What a symbol may end with, the longest first: it names base and quote without a mark between them.
QUOTES = ("GUSDPERP", "USDC", "USDT", "GUSD", "USD", "EUR", "GBP", "SGD", "DAI", "BTC", "ETH", "LTC", "BCH", "FIL")
SIDES = {"buy": Side.BUY, "sell": Side.SELL}


class _Frame(msgspec.Struct):
    type: str
    symbol: str


_frame = msgspec.json.Decoder(_Frame)


class GeminiReader:
    """Reads the records of one capture in order."""

    def stream(self, record: Record) -> str | None:
        """Symbol of a received book or trade; None for everything else."""
        if record.direction != "rx":
            return None
        try:
            frame = _frame.decode(record.payload)
        except msgspec.MsgspecError:
            return None
        return frame.symbol if frame.type in ("l2_updates", "trade") else None

    def answer(self, record: Record) -> Answer | None:
        """Details come in an answer for each symbol, none of which tells of all: they are not used."""
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
        """What a frame says about book and trades. Trades beside levels are history: the book is whole there."""
        message = json.loads(text)
        if message["type"] == "l2_updates":
            bids, asks = ([(price, quantity) for name, price, quantity in message["changes"] if name == side]
                          for side in SIDES)
            yield RecordedLevels(stream, "trades" in message, bids, asks)
        elif message["type"] == "trade":
            side = SIDES.get(message["side"], Side.NO_SIDE)
            yield RecordedTrade(stream, side, message["price"], message["quantity"])


def subscriptions(streams) -> list[str]:
    """The frame with which a client subscribes to these."""
    return [json.dumps({"type": "subscribe", "subscriptions": [{"name": "l2", "symbols": sorted(streams)}]})]


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose symbols a capture holds, with the digits on the wire."""
    instruments = []
    for symbol in sorted(map(str, contents.streams)):
        price, quantity = contents.decimals(symbol, (8, 8))
        quote = next((name for name in QUOTES if symbol.endswith(name)), "")
        instruments.append(SimulatedInstrument(symbol, symbol.removesuffix(quote), quote, price, quantity))
    return tuple(instruments)
