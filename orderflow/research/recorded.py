"""What a capture holds, in its exchange's own words: symbols, digits, depth. One small reader a protocol.

Only used to get ready (which listings, which scales, what to subscribe); the frames are decoded by the codec.
"""
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from orderflow.exchanges.binance import BinanceSession
from orderflow.instrument import Listing, WireDigits, listing_from_digits
from orderflow.research.captures import Record, read_capture


class _Binance(msgspec.Struct):
    e: str = ""
    s: str = ""
    b: list[list[str]] | str = []
    a: list[list[str]] | str | int = []
    p: str = ""
    q: str = ""


class _BinanceFrame(msgspec.Struct):
    stream: str = ""
    data: _Binance | None = None


class _Depth(msgspec.Struct):
    bids: list[list[str]] = []
    asks: list[list[str]] = []


_binance_frame = msgspec.json.Decoder(_BinanceFrame)
_binance_raw = msgspec.json.Decoder(_Binance)
_depth = msgspec.json.Decoder(_Depth)

Numbers = tuple[str, list[list[str]], bool]     # symbol, (price, quantity) texts, whether they are of its book


def binance_numbers(record: Record) -> Iterator[Numbers]:
    """Numbers of depth updates, snapshots and trades."""
    if record.direction == "http":
        symbol = BinanceSession.snapshot_symbol(record.channel)
        if symbol:
            body = _depth.decode(record.payload)
            yield symbol, body.bids + body.asks, True
        return
    if record.direction != "rx":
        return
    try:
        frame = _binance_frame.decode(record.payload)
        event = frame.data if frame.data is not None else _binance_raw.decode(record.payload)
    except msgspec.MsgspecError:
        return                          # not market data; the codec will say what it is
    if event.e == "depthUpdate" and isinstance(event.b, list) and isinstance(event.a, list):
        yield event.s, event.b + event.a, True
    elif event.e in ("trade", "aggTrade"):
        yield event.s, [[event.p, event.q]], False


def kraken_numbers(record: Record) -> Iterator[Numbers]:
    """Numbers of book and trade frames."""
    if record.direction != "rx" or '"channel":"book"' not in record.payload and '"trade"' not in record.payload:
        return
    try:
        frame = json.loads(record.payload, parse_float=str, parse_int=str)
    except ValueError:
        return
    for entry in frame.get("data", ()) if isinstance(frame, dict) else ():
        if frame.get("channel") == "book":
            levels = entry.get("bids", []) + entry.get("asks", [])
            yield entry["symbol"], [[level["price"], level["qty"]] for level in levels], True
        elif frame.get("channel") == "trade" and frame.get("type") == "update":
            yield entry["symbol"], [[entry["price"], entry["qty"]]], False


def kraken_depth(record: Record) -> int:
    """Depth of a recorded book subscription; 0 for any other record."""
    if record.direction != "tx" or '"book"' not in record.payload:
        return 0
    return int(json.loads(record.payload).get("params", {}).get("depth", 10))


READERS = {
    "binance_spot": binance_numbers,
    "binance_usdm": binance_numbers,
    "binance_coinm": binance_numbers,
    "kraken_v2": kraken_numbers,
}


@dataclass(slots=True)
class Contents:
    """Listings of a capture, by the exchange's own spelling, in order of first appearance."""

    protocol: str
    digits: dict[str, WireDigits] = field(default_factory=dict)
    with_books: set[str] = field(default_factory=set)
    depth: int = 0

    def listings(self, exchange: str) -> list[Listing]:
        """One listing for every symbol with a book, scaled by the digits on the wire."""
        return [listing_from_digits(exchange, symbol, digits, self.depth)
                for symbol, digits in self.digits.items() if symbol in self.with_books]


def survey(path, protocol: str) -> Contents:
    """Read a capture once.

    Raises
    ------
    ValueError
        For a protocol that has no reader; the message names those there are.
    """
    if protocol not in READERS:
        raise ValueError(f"protocol {protocol!r}: `books` knows {', '.join(READERS)}")
    contents = Contents(protocol)
    numbers = READERS[protocol]
    for record in read_capture(path):
        if protocol == "kraken_v2":
            contents.depth = max(contents.depth, kraken_depth(record))
        for symbol, levels, of_book in numbers(record):
            digits = contents.digits.setdefault(symbol, WireDigits())
            digits.observe_levels(levels)
            if of_book:
                contents.with_books.add(symbol)
    return contents
