"""Captures of BitMEX: which subscription a frame belongs to, digits, instruments."""
import json
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import urlsplit

import msgspec

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Answer, Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.numbers import decimals_of, to_scaled
from orderflow.simulator.reader import Reader
from orderflow.simulator.recording import Record

BOOKS = ("orderBookL2", "orderBookL2_25")
SIDES = ("Buy", "Sell")


class _Row(msgspec.Struct, frozen=True):
    symbol: str = ""


class _Frame(msgspec.Struct):
    table: str = ""
    data: list[_Row] = []
    filter: _Row = _Row()


_frame = msgspec.json.Decoder(_Frame)


def plain(text: str) -> str:
    """A number without an exponent, else as it is written."""
    return f"{Decimal(text):f}" if "e" in text.lower() else text


def decoded(text: str | bytes):
    """JSON with its numbers as texts."""
    return json.loads(text, parse_float=plain, parse_int=str)


class BitmexReader(Reader):
    """Reads the records of one capture in order."""

    def __init__(self):
        self._prices: dict[str, dict[tuple[str, str], str]] = {}       # by symbol, of (id, side)

    def stream_of(self, text: str) -> Subscription | None:
        frame = _frame.decode(text)
        symbol = frame.data[0].symbol if frame.data else frame.filter.symbol
        return Subscription(frame.table, symbol) if frame.table and symbol else None

    def answer(self, record: Record) -> Answer | None:
        """The instruments, if that is what an http record holds."""
        if urlsplit(record.channel).path.endswith("/instrument/active"):
            return Answer("metadata", "", record.payload.encode())
        return None

    def numbers(self, record: Record) -> Iterator[tuple[str, list, bool]]:
        """Of rows without a price there is nothing to learn, so that no book has to be kept for it."""
        stream = self.stream(record)
        if stream is not None and (stream.channel in BOOKS or stream.channel == "trade"):
            rows = decoded(record.payload)["data"]
            yield stream.symbol, [(row["price"], row["size"]) for row in rows
                                  if "price" in row and "size" in row], stream.channel in BOOKS

    def events(self, stream: Subscription, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """What a frame says about book and trades; a `partial` of trades is history."""
        if stream.channel in BOOKS:
            message = decoded(text)
            yield from self._levels(stream.symbol, message["action"], message["data"])
        elif stream.channel == "trade":
            message = decoded(text)
            if message["action"] == "insert":
                for row in message["data"]:
                    yield RecordedTrade(row["symbol"], Side[row["side"].upper()], row["price"], row["size"])

    def _levels(self, symbol: str, action: str, rows: list[dict]) -> Iterator[RecordedLevels]:
        """Rows of one frame, with the prices that old ones lack; nothing before the whole book came."""
        if action == "partial":
            self._prices[symbol] = {}
        prices = self._prices.get(symbol)
        if prices is None:
            return
        sides: dict[str, list[tuple[str, str]]] = {side: [] for side in SIDES}
        for row in rows:
            key = row["id"], row["side"]
            price = row.get("price") or prices[key]
            if action == "delete":
                prices.pop(key, None)
            else:
                prices[key] = price
            sides[row["side"]].append((price, "0" if action == "delete" else row["size"]))
        yield RecordedLevels(symbol, action == "partial", sides["Buy"], sides["Sell"])


def subscriptions(streams) -> list[str]:
    """The frame with which a client subscribes to these."""
    topics = [f"{stream.channel}:{stream.symbol}" for stream in sorted(streams)]
    return [json.dumps({"op": "subscribe", "args": topics})]


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose subscriptions a capture holds: digits of the wire, steps of the metadata if recorded."""
    entries = {entry["symbol"]: entry for entry in decoded(contents.metadata or b"[]")}
    instruments = []
    for symbol in sorted({stream.symbol for stream in contents.streams}):
        price, quantity = contents.decimals(symbol, (8, 0))
        entry = entries.get(symbol, {})
        tick, lot = entry.get("tickSize", ""), entry.get("lotSize", "")
        price, quantity = max(price, decimals_of(tick)), max(quantity, decimals_of(lot))
        instruments.append(SimulatedInstrument(
            symbol, entry.get("underlying") or symbol[:3], entry.get("quoteCurrency") or symbol[3:], price, quantity,
            tick=to_scaled(tick, price) if tick else 1, lot=to_scaled(lot, quantity) if lot else 1))
    return tuple(instruments)
