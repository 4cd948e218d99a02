"""Captures of Kraken's WebSocket v2: which subscription a frame belongs to, AssetPairs, digits, instruments."""
import json
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Answer, Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.numbers import to_scaled
from orderflow.simulator.reader import Reader
from orderflow.simulator.recording import Record

DEPTHS = (10, 25, 100, 500, 1000)
_RENAMED = {"XBT": "BTC", "XDG": "DOGE"}         # WebSocket v2 uses the market's names, REST keeps Kraken's own


class Subscription(NamedTuple):
    """What one subscription is for; `depth` is 0 but for the book."""
    channel: str
    symbol: str
    depth: int = 0


class _Item(msgspec.Struct):
    symbol: str = ""


class _Frame(msgspec.Struct):
    channel: str = ""
    data: list[_Item] = []


class _Parameters(msgspec.Struct):
    channel: str = ""
    symbol: list[str] = []
    depth: int = 10


class _Request(msgspec.Struct):
    method: str = ""
    params: _Parameters | None = None


_frame = msgspec.json.Decoder(_Frame)
_request = msgspec.json.Decoder(_Request)


class KrakenReader(Reader):
    """Reads the records of one capture in order."""

    def __init__(self):
        self._depths: dict[tuple[str, str], int] = {}       # (connection, symbol) -> subscribed depth

    def stream(self, record: Record) -> Subscription | None:
        """How deep a book is, only the request has said."""
        try:
            if record.direction == "tx":
                self._learn(record.channel, _request.decode(record.payload))
            if record.direction != "rx":
                return None
            frame = _frame.decode(record.payload)
        except msgspec.MsgspecError:
            return None
        if not frame.data or not frame.data[0].symbol:
            return None
        symbol = frame.data[0].symbol
        depth = self._depths.get((record.channel, symbol), 10) if frame.channel == "book" else 0
        return Subscription(frame.channel, symbol, depth)

    def answer(self, record: Record) -> Answer | None:
        """AssetPairs, if that is what an http record holds."""
        if urlsplit(record.channel).path.endswith("/0/public/AssetPairs"):
            return Answer("metadata", "", record.payload.encode())
        return None

    def events(self, stream: Subscription, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """What a frame says about book and trades."""
        if stream.channel not in ("book", "trade"):
            return
        message = json.loads(text, parse_float=str, parse_int=str)
        if stream.channel == "book":
            for data in message["data"]:
                yield RecordedLevels(data["symbol"], message["type"] == "snapshot", *(
                    [(level["price"], level["qty"]) for level in data.get(side, ())] for side in ("bids", "asks")))
        elif message["type"] == "update":
            for trade in message["data"]:
                yield RecordedTrade(trade["symbol"], Side[trade["side"].upper()], trade["price"], trade["qty"])

    def _learn(self, connection: str, request: _Request) -> None:
        if request.method == "subscribe" and request.params is not None and request.params.channel == "book":
            for symbol in request.params.symbol:
                self._depths[connection, symbol] = request.params.depth


def subscriptions(streams) -> list[str]:
    """The frames with which a client subscribes to these."""
    groups: dict[tuple[str, int], list[str]] = {}
    for stream in sorted(streams):
        groups.setdefault((stream.channel, stream.depth), []).append(stream.symbol)
    return [json.dumps({"method": "subscribe", "req_id": number, "params": {
        "channel": channel, "symbol": symbols} | ({"depth": depth} if depth else {})})
        for number, ((channel, depth), symbols) in enumerate(groups.items(), 1)]


def market_name(wsname: str) -> str:
    """WebSocket v2's spelling of AssetPairs' `wsname`: XBT/USD is BTC/USD there."""
    return "/".join(_RENAMED.get(asset, asset) for asset in wsname.split("/"))


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose subscriptions a capture holds.

    Decimals are those on the wire, which checksums are made of; tick, lot, limits and fees are AssetPairs' where it
    was recorded.
    """
    listed = {}
    if contents.metadata is not None:
        pairs = json.loads(contents.metadata)["result"]
        listed = {market_name(pair["wsname"]): (name, pair) for name, pair in pairs.items() if "wsname" in pair}
    instruments = []
    for symbol in sorted({stream.symbol for stream in contents.streams}):
        price, quantity = contents.decimals(symbol, (8, 8))
        base, _, quote = symbol.partition("/")
        name, pair = listed.get(symbol, (symbol.replace("/", ""), {}))
        price, quantity = max(price, pair.get("pair_decimals", 0)), max(quantity, pair.get("lot_decimals", 0))
        instruments.append(SimulatedInstrument(
            symbol, base, quote, price, quantity,
            tick=10 ** (price - pair.get("pair_decimals", price)),
            lot=10 ** (quantity - pair.get("lot_decimals", quantity)),
            minimum_quantity=max(1, to_scaled(pair.get("ordermin", "0"), quantity)),
            maker_fee=_tier(pair.get("fees_maker")), taker_fee=_tier(pair.get("fees")),
            rest_symbol=name,
        ))
    return tuple(instruments)


def _tier(fees) -> int:
    """First tier of a fee table (percent) as a fraction in 1e-8."""
    return to_scaled(str(fees[0][1]), 6) if fees else 0
