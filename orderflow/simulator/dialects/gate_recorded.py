"""Captures of Gate.io: which subscription a frame belongs to, REST answers, digits, instruments.

Spot and futures differ only in how they write levels and trades, which these texts show.
"""
import json
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import msgspec

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Answer, Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.reader import Reader, instruments_of
from orderflow.simulator.recording import Record

CATALOGUES = ("/spot/currency_pairs", "/futures/usdt/contracts")
BOOK, TRADES = "order_book_update", "trades"


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


class GateReader(Reader):
    """Reads the records of one capture in order."""

    def __init__(self):
        self._snapshot_ids: dict[str, int] = {}

    def stream_of(self, text: str) -> Subscription | None:
        frame = _frame.decode(text)
        if frame.event != "update":
            return None
        named = _named.decode(frame.result)
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

    def events(self, stream: Subscription, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """Full books, levels, trades."""
        if stream.channel == BOOK:
            data = json.loads(text)["result"]
            if data["u"] > self._snapshot_ids.get(stream.symbol, 0):
                yield RecordedLevels(stream.symbol, data.get("full", False), _pairs(data["b"]), _pairs(data["a"]))
        elif stream.channel == TRADES:
            result = json.loads(text)["result"]
            for trade in result if isinstance(result, list) else [result]:
                if not trade.get("is_internal"):
                    yield _trade(trade)

    def book_of(self, body: bytes) -> tuple[list, list]:
        data = json.loads(body)
        return _pairs(data["bids"]), _pairs(data["asks"])

    def snapshot_levels(self, symbol: str, body: bytes) -> RecordedLevels:
        self._snapshot_ids[symbol] = json.loads(body)["id"]
        return RecordedLevels(symbol, True, *self.book_of(body))


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
    symbols = {stream.symbol for stream in contents.streams if not stream.symbol.startswith("ob.")}
    return instruments_of(contents, symbols, _base_and_quote)


def _base_and_quote(symbol: str) -> tuple[str, str]:
    base, _, quote = symbol.partition("_")
    return base, quote
