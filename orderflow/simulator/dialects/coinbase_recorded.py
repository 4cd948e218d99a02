"""Captures of Coinbase Exchange: which subscription a frame belongs to, products, digits, instruments."""
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Answer, Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.numbers import decimals_of, to_scaled
from orderflow.simulator.reader import Reader
from orderflow.simulator.recording import Record

CHANNEL_OF_TYPE = {"snapshot": "level2", "l2update": "level2", "match": "matches", "last_match": "matches",
                   "ticker": "ticker", "heartbeat": "heartbeat"}
TAKER_OF_MAKER = {"buy": Side.SELL, "sell": Side.BUY}


class _Frame(msgspec.Struct):
    type: str = ""
    product_id: str = ""


_frame = msgspec.json.Decoder(_Frame)


def products_answer(record: Record) -> Answer | None:
    """The list of products, if that is what an http record holds."""
    if urlsplit(record.channel).path.endswith("/products"):
        return Answer("metadata", "", record.payload.encode())
    return None


class CoinbaseReader(Reader):
    """Reads the records of one capture in order."""

    def stream_of(self, text: str) -> Subscription | None:
        frame = _frame.decode(text)
        channel = CHANNEL_OF_TYPE.get(frame.type, "")
        return Subscription(channel, frame.product_id) if channel and frame.product_id else None

    def answer(self, record: Record) -> Answer | None:
        """The products, if that is what an http record holds."""
        return products_answer(record)

    def events(self, stream: Subscription, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """What a frame says about book and trades; `last_match` is history."""
        if stream.channel not in ("level2", "matches"):
            return
        message = json.loads(text)
        if message["type"] == "snapshot":
            yield RecordedLevels(stream.symbol, True, *(
                [(price, quantity) for price, quantity, *_ in message[side]] for side in ("bids", "asks")))
        elif message["type"] == "l2update":
            yield RecordedLevels(stream.symbol, False, *(
                [(price, quantity) for name, price, quantity, *_ in message["changes"] if name == side]
                for side in ("buy", "sell")))
        elif message["type"] == "match":
            yield RecordedTrade(stream.symbol, TAKER_OF_MAKER[message["side"]], message["price"], message["size"])


def subscriptions(streams) -> list[str]:
    """The frames with which a client subscribes to these."""
    groups: dict[str, list[str]] = {}
    for stream in sorted(streams):
        groups.setdefault(stream.channel, []).append(stream.symbol)
    return [json.dumps({"type": "subscribe", "product_ids": symbols, "channels": [channel]})
            for channel, symbols in groups.items()]


def recorded_products(metadata: bytes | None) -> dict[str, dict]:
    """Products by id, of the list of either interface."""
    listed = json.loads(metadata) if metadata is not None else []
    entries = listed.get("products", []) if isinstance(listed, dict) else listed
    return {entry.get("id") or entry.get("product_id"): entry for entry in entries}


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose subscriptions a capture holds: digits of the wire, steps of the products where recorded."""
    products = recorded_products(contents.metadata)
    instruments = []
    for symbol in sorted({stream.symbol for stream in contents.streams if stream.symbol}):
        price, quantity = contents.decimals(symbol, (8, 8))
        base, _, quote = symbol.partition("-")
        entry = products.get(symbol, {})
        tick = entry.get("price_increment") or entry.get("quote_increment", "")
        lot = entry.get("base_increment", "")
        price, quantity = max(price, decimals_of(tick)), max(quantity, decimals_of(lot))
        instruments.append(SimulatedInstrument(
            symbol, base, quote, price, quantity, tick=to_scaled(tick, price) if tick else 1,
            lot=to_scaled(lot, quantity) if lot else 1,
            minimum_notional=to_scaled(entry.get("quote_min_size") or entry.get("min_market_funds") or "0", 8)))
    return tuple(instruments)
