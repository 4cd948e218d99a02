"""Captures of Coinbase Advanced Trade: which subscription a frame belongs to, digits.

Every frame carries a number that counts all frames of the connection, answers and heartbeats too. So a recording is
only whole with them: they are streams of their own here, without a symbol, and are played like the others.
"""
import json
from collections.abc import Iterator

import msgspec

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Answer, RecordedLevels, RecordedTrade
from orderflow.simulator.dialects.coinbase_recorded import products_answer
from orderflow.simulator.reader import Reader
from orderflow.simulator.recording import Record

CHANNEL_OF_DATA = {"l2_data": "level2"}             # named otherwise when subscribed to
TAKER_OF_MAKER = {"BUY": Side.SELL, "SELL": Side.BUY}


class _Item(msgspec.Struct):
    product_id: str = ""


class _Event(msgspec.Struct):
    product_id: str = ""
    trades: list[_Item] = []
    tickers: list[_Item] = []


class _Frame(msgspec.Struct):
    channel: str = ""
    events: list[_Event] = []


_frame = msgspec.json.Decoder(_Frame)


class CoinbaseAdvancedReader(Reader):
    """Reads the records of one capture in order."""

    def stream_of(self, text: str) -> Subscription | None:
        frame = _frame.decode(text)
        if not frame.channel:
            return None
        symbols = [item.product_id for event in frame.events for item in (event, *event.trades, *event.tickers)
                   if item.product_id]
        return Subscription(CHANNEL_OF_DATA.get(frame.channel, frame.channel), symbols[0] if symbols else "")

    def answer(self, record: Record) -> Answer | None:
        """The products, if that is what an http record holds."""
        return products_answer(record)

    def events(self, stream: Subscription, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """What a frame says about book and trades; trades of type snapshot are history, the others newest first."""
        if stream.channel not in ("level2", "market_trades"):
            return
        for event in json.loads(text)["events"]:
            if stream.channel == "level2":
                yield RecordedLevels(event["product_id"], event["type"] == "snapshot", *(
                    [(level["price_level"], level["new_quantity"]) for level in event["updates"]
                     if level["side"] in names] for names in (("bid",), ("offer", "ask"))))
            elif event["type"] == "update":
                for trade in sorted(event["trades"], key=lambda trade: int(trade["trade_id"])):
                    if trade["side"] in TAKER_OF_MAKER:
                        yield RecordedTrade(trade["product_id"], TAKER_OF_MAKER[trade["side"]], trade["price"],
                                            trade["size"])


def subscriptions(streams) -> list[str]:
    """The frames with which a client subscribes to these; answers come by themselves."""
    groups: dict[str, list[str]] = {}
    for stream in sorted(streams):
        if stream.channel != "subscriptions":
            groups.setdefault(stream.channel, []).extend([stream.symbol] if stream.symbol else [])
    return [json.dumps({"type": "subscribe", "product_ids": symbols, "channel": channel})
            for channel, symbols in groups.items()]
