"""Captures of Gemini: which symbol a frame belongs to, digits, instruments. A stream is a symbol."""
import json
from collections.abc import Iterator

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.reader import Reader, instruments_of

#: What a symbol may end with, the longest first: it names base and quote without a mark between them.
QUOTES = ("GUSDPERP", "USDC", "USDT", "GUSD", "USD", "EUR", "GBP", "SGD", "DAI", "BTC", "ETH", "LTC", "BCH", "FIL")
SIDES = {"buy": Side.BUY, "sell": Side.SELL}


class _Frame(msgspec.Struct):
    type: str
    symbol: str


_frame = msgspec.json.Decoder(_Frame)


class GeminiReader(Reader):
    """Reads the records of one capture in order."""

    def stream_of(self, text: str) -> str | None:
        frame = _frame.decode(text)
        return frame.symbol if frame.type in ("l2_updates", "trade") else None

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
    return instruments_of(contents, map(str, contents.streams), _pair)


def _pair(symbol: str) -> tuple[str, str]:
    quote = next((name for name in QUOTES if symbol.endswith(name)), "")
    return symbol.removesuffix(quote), quote
