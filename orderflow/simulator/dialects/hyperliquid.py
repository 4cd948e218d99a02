"""Hyperliquid from the exchange's side: public WebSocket and the Info endpoint.

Source: Hyperliquid's "API", Websocket, Info endpoint. Books are not grouped (nSigFigs) here.
"""
from itertools import count

import msgspec

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Contents
from orderflow.simulator.dialects import hyperliquid_recorded
from orderflow.simulator.dialects.windows import MILLISECOND_NS, WindowExchange, compact, pointed
from orderflow.simulator.exchange import Connection, Response
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook
from orderflow.simulator.views import Levels, View

CHANNELS = ("l2Book", "trades")
#: Decimals of a price and of a size together, of perpetuals and of spot.
PERPETUAL_DECIMALS, SPOT_DECIMALS = 6, 8
DEPTH = 20
BOOK_EVERY_NS = 500 * MILLISECOND_NS
FIRST_TRADE = 100_000_000_000_000
USERS = ("0x" + "a1" * 20, "0x" + "b2" * 20)
JSON_HEADERS = {"content-type": "application/json"}


class _Subscription(msgspec.Struct):
    type: str
    coin: str = ""


class _Request(msgspec.Struct):
    method: str
    subscription: _Subscription | None = None


class _Question(msgspec.Struct):
    type: str
    coin: str = ""
    dex: str = ""


_request = msgspec.json.Decoder(_Request)
_question = msgspec.json.Decoder(_Question)


def is_spot(instrument: SimulatedInstrument) -> bool:
    """Whether it is not a perpetual, of which there is one for each coin."""
    return instrument.symbol != instrument.base


class Hyperliquid(WindowExchange[Subscription]):
    """api.hyperliquid.xyz, public."""

    protocol = "hyperliquid"
    answers_at = ("/ws",)
    publish_every_ns = 100 * MILLISECOND_NS         # trades; a block takes about that long
    reader = hyperliquid_recorded.HyperliquidReader

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self._trade_ids = count(FIRST_TRADE)

    @classmethod
    def recorded_instruments(cls, contents: Contents) -> tuple[SimulatedInstrument, ...]:
        """Instruments of a capture."""
        return hyperliquid_recorded.recorded_instruments(contents)

    @staticmethod
    def subscriptions(streams) -> list[str]:
        """The frames with which a client subscribes to recorded streams."""
        return hyperliquid_recorded.subscriptions(streams)

    # websocket

    def received(self, connection: Connection, text: str) -> None:
        try:
            request = _request.decode(text)
        except msgspec.MsgspecError:
            self._error(connection, f"Error parsing JSON into valid websocket request: {text}")
            return
        if request.method == "ping":
            self.send(connection, compact({"channel": "pong"}))
        elif request.method in ("subscribe", "unsubscribe") and request.subscription is not None:
            self._subscription(connection, request.method, request.subscription)
        else:
            self._error(connection, f"Error parsing JSON into valid websocket request: {text}")

    def _error(self, connection: Connection, message: str) -> None:
        self.send(connection, compact({"channel": "error", "data": message}))

    def _subscription(self, connection: Connection, method: str, wanted: _Subscription) -> None:
        key = Subscription(wanted.type, wanted.coin)
        named = compact(msgspec.to_builtins(wanted))
        contents = self.source.contents
        if not (contents and key in contents.streams) and (
                wanted.type not in CHANNELS or self.instrument(wanted.coin) is None):
            self._error(connection, f"Invalid subscription {named}")
            return
        if (key in connection.subscriptions) == (method == "subscribe"):
            self._error(connection, f"Already {method}d: {named}")
            return
        (self.subscribe if method == "subscribe" else self.unsubscribe)(connection, key)
        self.send(connection, compact({"channel": "subscriptionResponse", "data": {
            "method": method, "subscription": msgspec.to_builtins(wanted)}}))
        if method == "subscribe" and contents is None and wanted.type == "l2Book":
            self.source.catch_up(self, self.now_ns)
            book, view = self.view(key)
            self.send(connection, _book_text(book, view, self.now_ns))

    # market data

    def window(self, key: Subscription) -> tuple[str, int]:
        return key.symbol, DEPTH

    def publish_interval_ns(self, depth: int) -> int:
        return BOOK_EVERY_NS

    def repeat_interval_ns(self, depth: int) -> int:
        return BOOK_EVERY_NS

    def publish_changes(self, book: MarketBook, key: Subscription, changed: tuple[View, Levels, Levels],
                        at_ns: int) -> None:
        self.publish(key, _book_text(book, changed[0], at_ns), at_ns)

    def publish_unchanged(self, book: MarketBook, key: Subscription, at_ns: int) -> None:
        self.publish(key, _book_text(book, self.view(key)[1], at_ns), at_ns)

    def publish_trades(self, book: MarketBook, trades, at_ns: int) -> None:
        key = Subscription("trades", book.instrument.symbol)
        if key not in self.subscribers:
            return
        data = [{"coin": key.symbol, "side": "B" if side == Side.BUY else "A", "px": pointed(book.price_text(price)),
                 "sz": pointed(book.quantity_text(quantity)), "time": at_ns // MILLISECOND_NS,
                 "hash": f"0x{trade_id:064x}", "tid": trade_id, "users": USERS}
                for trade_id, price, quantity, side in zip(self._trade_ids, *(
                    trades[name].tolist() for name in ("price", "quantity", "taker_side")), strict=False)]
        text = compact({"channel": "trades", "data": data})
        for connection in self.listeners(key):
            self.send(connection, text)

    # REST

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        self.now_ns = now_ns
        if (method, path) != ("POST", "/info"):
            return Response(404, {}, b"")
        try:
            question = _question.decode(body)
            answer = self._info(question)
        except (msgspec.MsgspecError, LookupError):
            return Response(422, {}, b"Failed to deserialize the JSON body into the target type")
        return Response(200, dict(JSON_HEADERS), compact(answer).encode())

    def _info(self, question: _Question):
        """LookupError for what is not known."""
        if question.type == "perpDexs":
            return [None]
        if question.type == "l2Book":
            return self._depth(question.coin)
        answer, contexts = {"meta": self._perpetuals, "metaAndAssetCtxs": self._perpetuals,
                            "spotMeta": self._spot, "spotMetaAndAssetCtxs": self._spot}[question.type]()
        return [answer, contexts] if question.type.endswith("AndAssetCtxs") else answer

    def _perpetuals(self) -> tuple[dict, list]:
        found = [one for one in self.instruments if not is_spot(one)]
        universe = [{"szDecimals": PERPETUAL_DECIMALS - one.price_decimals, "name": one.symbol, "maxLeverage": 40,
                     "marginTableId": 56} for one in found]
        return {"universe": universe, "marginTables": [], "collateralToken": 0}, [self._context(one) for one in found]

    def _spot(self) -> tuple[dict, list]:
        found = [one for one in self.instruments if is_spot(one)]
        names = sorted({name for one in found for name in (one.base, one.quote)} - {"USDC"})
        decimals = {one.base: SPOT_DECIMALS - one.price_decimals for one in found}
        tokens = [{"name": name, "szDecimals": decimals.get(name, 8), "weiDecimals": 8, "index": index,
                   "tokenId": f"0x{index:032x}", "isCanonical": name == "USDC", "evmContract": None, "fullName": None}
                  for index, name in enumerate(["USDC", *names])]
        indices = {token["name"]: token["index"] for token in tokens}
        numbers = [int(one.symbol[1:]) if one.symbol.startswith("@") else 0 for one in found]
        universe = [{"tokens": [indices[one.base], indices[one.quote]], "name": one.symbol, "index": index,
                     "isCanonical": False} for index, one in zip(numbers, found, strict=True)]
        contexts: list[dict] = [{} for _ in range(max(numbers, default=-1) + 1)]     # their place is the index
        for index, one in zip(numbers, found, strict=True):
            contexts[index] = self._context(one)
        return {"tokens": tokens, "universe": universe}, contexts

    def _context(self, instrument: SimulatedInstrument) -> dict:
        bids, asks = self.source.top(instrument, 1)
        prices = [pointed(side[0][0]) for side in (bids, asks) if side]
        mid = prices[0] if prices else None
        return {"coin": instrument.symbol, "midPx": mid, "markPx": mid, "prevDayPx": mid, "dayNtlVlm": "0.0"}

    def _depth(self, coin: str) -> dict:
        instrument = self.instrument(coin)
        if instrument is None:
            raise LookupError(coin)
        self.source.catch_up(self, self.now_ns)
        return {"coin": coin, "time": self.now_ns // MILLISECOND_NS, "levels": [
            [{"px": pointed(price), "sz": pointed(quantity), "n": 1} for price, quantity in side]
            for side in self.source.top(instrument, DEPTH)]}


def _book_text(book: MarketBook, view: View, at_ns: int) -> str:
    bids, asks = ([{"px": pointed(book.price_text(price)), "sz": pointed(book.quantity_text(quantity)), "n": 1}
                   for price, quantity in side.items()] for side in (view.bids, view.asks))
    return compact({"channel": "l2Book", "data": {
        "coin": book.instrument.symbol, "time": at_ns // MILLISECOND_NS, "levels": [bids, asks]}})


DIALECT = Hyperliquid
