"""Captures of Gate.io: which subscription a frame belongs to, REST answers, digits, instruments.

Spot and futures differ only in how they write levels and trades, which these texts show.
"""
import json
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Answer, Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.recording import Record

CATALOGUES = ("/spot/currency_pairs", "/futures/usdt/contracts")
BOOK, TRADES = "order_book_update", "trades"


class Subscription(NamedTuple):
    """What one subscription is for."""
    channel: str                # without the market
    symbol: str


class _Frame(msgspec.Struct):
    channel: str = ""
    event: str = ""
    result: msgspec.Raw = msgspec.Raw(b"null")


class _Named(msgspec.Struct):
    s: str = ""
    currency_pair: str = ""
    contract: str = ""
    n: str = ""                 # 1m_BTC_USDT, of candlesticks


_frame = msgspec.json.Decoder(_Frame)
_named = msgspec.json.Decoder(_Named | list[_Named])


class GateReader:
    """Reads the records of one capture in order."""

    def __init__(self):
        self._snapshot_ids: dict[str, int] = {}

    def stream(self, record: Record) -> Subscription | None:
        """Subscription that a received frame belongs to; None for answers and pongs."""
        if record.direction != "rx":
            return None
        try:
            frame = _frame.decode(record.payload)
            if frame.event != "update":
                return None
            named = _named.decode(frame.result)
        except msgspec.MsgspecError:
            return None
        if isinstance(named, list):
            named = named[0] if named else _Named()
        symbol = named.s or named.currency_pair or named.contract or named.n.partition("_")[2]
        return Subscription(frame.channel.partition(".")[2], symbol) if symbol else None

    def answer(self, record: Record) -> Answer | None:
        """The REST answer in an http record, if it is one that clients ask for."""
        url = urlsplit(record.channel)
        asked = dict(parse_qsl(url.query))
        if url.path.endswith(CATALOGUES):
            return Answer("metadata", "", record.payload.encode())
        if url.path.endswith("/order_book"):
            return Answer("depth", asked.get("currency_pair") or asked.get("contract", ""), record.payload.encode())
        return None

    def numbers(self, record: Record) -> Iterator[tuple[str, list, bool]]:
        """(symbol, (price, quantity) texts, whether they are of its book) of a book or trade record."""
        if record.direction == "http":
            answer = self.answer(record)
            if answer is not None and answer.symbol:
                body = json.loads(answer.body)
                yield answer.symbol, _pairs(body["bids"]) + _pairs(body["asks"]), True
            return
        stream = self.stream(record)
        if stream is not None:
            for event in self._said(stream, record.payload):
                if isinstance(event, RecordedLevels):
                    yield event.symbol, event.bids + event.asks, True
                else:
                    yield event.symbol, [(event.price, event.quantity)], False

    def events(self, stream: Subscription, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """What a frame says about book and trades, newer than the snapshot of its symbol."""
        yield from self._said(stream, text, self._snapshot_ids.get(stream.symbol, 0))

    def _said(self, stream: Subscription, text: str, known: int = 0) -> Iterator[RecordedLevels | RecordedTrade]:
        if stream.channel == BOOK:
            data = json.loads(text)["result"]
            if data["u"] > known:
                yield RecordedLevels(stream.symbol, data.get("full", False), _pairs(data["b"]), _pairs(data["a"]))
        elif stream.channel == TRADES:
            result = json.loads(text)["result"]
            for trade in result if isinstance(result, list) else [result]:
                if not trade.get("is_internal"):
                    yield _trade(trade)

    def snapshot_levels(self, symbol: str, body: bytes) -> RecordedLevels:
        """A recorded REST snapshot; from now on `events` leaves out what it contains."""
        data = json.loads(body)
        self._snapshot_ids[symbol] = data["id"]
        return RecordedLevels(symbol, True, _pairs(data["bids"]), _pairs(data["asks"]))


def _pairs(levels: list) -> list[tuple[str, str]]:
    """Levels of either market as texts."""
    return [(level["p"], str(level["s"])) if isinstance(level, dict) else (level[0], level[1]) for level in levels]


def _trade(trade: dict) -> RecordedTrade:
    if "size" not in trade:
        return RecordedTrade(trade["currency_pair"], Side[trade["side"].upper()], trade["price"], trade["amount"])
    size = str(trade["size"])
    return RecordedTrade(trade["contract"], Side.SELL if size.startswith("-") else Side.BUY, trade["price"],
                         size.removeprefix("-"))


def subscriptions(streams, market: str) -> list[str]:
    """The frames with which a client subscribes to these."""
    frames = []
    for stream in sorted(streams):
        payload = {BOOK: [stream.symbol, "100ms"], "candlesticks": ["1m", stream.symbol]}
        frames.append(json.dumps({"channel": f"{market}.{stream.channel}", "event": "subscribe",
                                  "payload": payload.get(stream.channel, [stream.symbol])}))
    return frames


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose subscriptions a capture holds, with the digits on the wire."""
    instruments = []
    for symbol in sorted({stream.symbol for stream in contents.streams if not stream.symbol.startswith("ob.")}):
        price, quantity = contents.decimals(symbol, (8, 8))
        base, _, quote = symbol.partition("_")
        instruments.append(SimulatedInstrument(symbol, base, quote, price, quantity))
    return tuple(instruments)
