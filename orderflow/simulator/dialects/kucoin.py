"""KuCoin spot from the exchange's side: WebSocket behind a token, symbols and order books over REST.

Sources: KuCoin's "WebSocket API" (introduction, Orderbook - Increment, Trade, Ticker, BBO) and "Spot market data" over
REST. Sequences are those of the matching engine's changes; a frame's changes all carry the last of them.
"""
from collections import deque
from urllib.parse import parse_qs

import msgspec

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.capture import Contents
from orderflow.simulator.dialects import kucoin_recorded
from orderflow.simulator.dialects.kucoin_recorded import BOOK, TICKER, TRADES
from orderflow.simulator.dialects.windows import MILLISECOND_NS, WindowExchange, compact, trimmed
from orderflow.simulator.exchange import NEVER_NS, SECOND_NS, Close, Connection, Response
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import CAPACITY, MarketBook
from orderflow.simulator.numbers import to_text
from orderflow.simulator.views import Levels

TOUCH = "/spotMarket/level1"
TICKER_EVERY_NS = 100 * MILLISECOND_NS
PING_EVERY_MS, PING_WITHIN_MS = 18_000, 10_000
SYMBOLS_A_REQUEST = 100
TOPICS_A_CONNECTION = 400
TOKENS = 1024                   # so many of the last are known
LARGEST_SKEW_NS = 5 * SECOND_NS
JSON_HEADERS = {"content-type": "application/json"}
LOGIN = ("kc-api-key", "kc-api-sign", "kc-api-timestamp", "kc-api-passphrase")
ORDER_BOOKS = {"/api/v1/market/orderbook/level2_20": 20, "/api/v1/market/orderbook/level2_100": 100,
               "/api/v3/market/orderbook/level2": CAPACITY}
SYMBOLS = ("/api/v1/symbols", "/api/v2/symbols")
#: What clients ask for beside spot, and find nothing.
EMPTY = ("/api/v1/contracts/active",)


class Refused(Exception):
    """A refusal of a WebSocket request, with KuCoin's code."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code, self.message = code, message


class RestRefused(Exception):
    """A refusal of a REST request: HTTP status, KuCoin's code."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class _Request(msgspec.Struct):
    type: str
    id: int | str = ""
    topic: str = ""
    response: bool = False


_request = msgspec.json.Decoder(_Request)


class Kucoin(WindowExchange[Subscription]):
    """api.kucoin.com and ws-api-spot.kucoin.com, public."""

    protocol = "kucoin"
    answers_at = ("",)
    publish_every_ns = 50_000_000
    reader = kucoin_recorded.KucoinReader

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self.tokens: deque[str] = deque(maxlen=TOKENS)
        self._issued = 0
        self._heard_ns: dict[int, int] = {}                 # connection -> when it last said something
        self._published: dict[str, int] = {}                # symbol -> the last sequence of its book's frames
        self._ticked: dict[str, tuple[tuple, int]] = {}     # symbol -> what its ticker said, and when
        self._last_trades: dict[str, tuple[int, int]] = {}  # symbol -> price, quantity

    @classmethod
    def recorded_instruments(cls, contents: Contents) -> tuple[SimulatedInstrument, ...]:
        """Instruments of a capture."""
        return kucoin_recorded.recorded_instruments(contents)

    @staticmethod
    def subscriptions(streams) -> list[str]:
        """The frames with which a client subscribes to recorded topics."""
        return kucoin_recorded.subscriptions(streams)

    # websocket

    def opened(self, connection: Connection) -> None:
        asked = parse_qs(connection.path.partition("?")[2])
        name = asked.get("connectId", [self.connection_name(connection)])[0]
        if asked.get("token", [""])[0] not in self.tokens:
            self._say(connection, name, "error", code=401, data="token is invalid")
            self.send(connection, Close(1000, ""))
            return
        self._heard_ns[connection.id] = self.now_ns
        self._say(connection, name, "welcome", pingInterval=PING_EVERY_MS, pingTimeout=PING_WITHIN_MS)

    def received(self, connection: Connection, text: str) -> None:
        self._heard_ns[connection.id] = self.now_ns
        try:
            request = _request.decode(text)
        except msgspec.MsgspecError:
            self._say(connection, "", "error", code=400, data="invalid message")
            return
        try:
            self._take(connection, request)
        except Refused as refusal:
            self._say(connection, request.id, "error", code=refusal.code, data=refusal.message)

    def _take(self, connection: Connection, request: _Request) -> None:
        if request.type == "ping":
            self._say(connection, request.id, "pong", timestamp=self.now_ns // 1000)
            return
        if request.type not in ("subscribe", "unsubscribe"):
            raise Refused(415, "type is not supported")
        for subscription in self._wanted(request.topic):
            if request.type == "unsubscribe":
                self.unsubscribe(connection, subscription)
                continue
            if len(connection.subscriptions) == TOPICS_A_CONNECTION:
                raise Refused(509, f"exceed max subscription count limitation of {TOPICS_A_CONNECTION} per session")
            self.subscribe(connection, subscription)
        if request.response:
            self._say(connection, request.id, "ack")

    def _wanted(self, asked: str) -> list[Subscription]:
        topic, _, symbols = asked.partition(":")
        wanted = [Subscription(topic, symbol) for symbol in symbols.split(",")]
        if len(wanted) > SYMBOLS_A_REQUEST:
            raise Refused(400, f"exceed max topic count limitation of {SYMBOLS_A_REQUEST} per time")
        recorded = self.source.contents.streams if self.source.contents is not None else {}
        for one in wanted:
            known = topic in (BOOK, TRADES, TICKER, TOUCH) and self.instrument(one.symbol) is not None
            if not known and one not in recorded:
                raise Refused(404, f"topic {':'.join(one)} is not found")
        return wanted

    def _say(self, connection: Connection, number: int | str, kind: str, **more) -> None:
        self.send(connection, compact({"id": str(number), "type": kind} | more))

    def forgotten(self, connection: Connection) -> None:
        self._heard_ns.pop(connection.id, None)

    def housekeeping(self, connection: Connection, now_ns: int) -> None:
        if now_ns >= self.housekeeping_ns(connection):
            del self._heard_ns[connection.id]
            self.send(connection, Close(1000, "ping timeout"))

    def housekeeping_ns(self, connection: Connection) -> int:
        heard_ns = self._heard_ns.get(connection.id)
        return NEVER_NS if heard_ns is None else heard_ns + (PING_EVERY_MS + PING_WITHIN_MS) * MILLISECOND_NS

    # market data

    def publish_book(self, book: MarketBook, at_ns: int) -> None:
        """A frame names every level that was touched, also one that is again as it was: a REST order book of the time
        in between shows it otherwise."""
        symbol, last = book.instrument.symbol, book.update_id
        sides: dict[int, Levels] = {Side.BUY: [], Side.SELL: []}
        for side, price, quantity in book.changes():
            sides[side].append((price, quantity))
        first, self._published[symbol] = self._published.get(symbol, last) + 1, last
        key = Subscription(BOOK, symbol)
        if first <= last and key in self.subscribers:
            changes = {name: [[*self._level(book, *level), str(last)] for level in sides[side]]
                       for name, side in (("asks", Side.SELL), ("bids", Side.BUY))}
            self._tell(key, "trade.l2update", {
                "changes": changes, "sequenceEnd": last, "sequenceStart": first, "symbol": symbol,
                "time": at_ns // MILLISECOND_NS}, at_ns)
        self._tick(book, at_ns)

    def _tick(self, book: MarketBook, at_ns: int) -> None:
        """The ticker: what changed, at most every so often."""
        key = Subscription(TICKER, book.instrument.symbol)
        touch, said_ns = self._ticked.get(key.symbol, ((), 0))
        if key not in self.subscribers or book.touch == touch or at_ns - said_ns < TICKER_EVERY_NS:
            return
        self._ticked[key.symbol] = book.touch, at_ns
        (bid, bid_quantity), (ask, ask_quantity) = self._best(book)
        price, quantity = self._level(book, *self._last_trades.get(key.symbol, (0, 0)))
        self._tell(key, "trade.ticker", {
            "bestAsk": ask, "bestAskSize": ask_quantity, "bestBid": bid, "bestBidSize": bid_quantity, "price": price,
            "sequence": str(book.update_id), "size": quantity, "time": at_ns // MILLISECOND_NS}, at_ns)

    def publish_touch(self, book: MarketBook, at_ns: int) -> None:
        key = Subscription(TOUCH, book.instrument.symbol)
        if key in self.subscribers:
            bid, ask = self._best(book)
            self._tell(key, "level1", {"asks": ask, "bids": bid, "timestamp": at_ns // MILLISECOND_NS}, at_ns)

    def publish_trades(self, book: MarketBook, trades, at_ns: int) -> None:
        key = Subscription(TRADES, book.instrument.symbol)
        names = ("trade_id", "price", "quantity", "taker_side", "maker_id", "taker_id")
        for number, price, quantity, side, maker, taker in zip(*(trades[name].tolist() for name in names), strict=True):
            self._last_trades[key.symbol] = price, quantity
            if key in self.subscribers:
                price_text, quantity_text = self._level(book, price, quantity)
                self._tell(key, "trade.l3match", {
                    "makerOrderId": f"{maker:024x}", "price": price_text, "sequence": str(number),
                    "side": "buy" if side == Side.BUY else "sell", "size": quantity_text, "symbol": key.symbol,
                    "takerOrderId": f"{taker:024x}", "time": str(at_ns), "tradeId": str(number), "type": "match"},
                    at_ns)

    def _tell(self, key: Subscription, subject: str, data: dict, at_ns: int) -> None:
        self.publish(key, compact({"topic": ":".join(key), "type": "message", "subject": subject, "data": data}), at_ns)

    @staticmethod
    def _level(book: MarketBook, price: int, quantity: int) -> list[str]:
        return [trimmed(book.price_text(price)), trimmed(book.quantity_text(quantity))]

    def _best(self, book: MarketBook) -> tuple[list[str], list[str]]:
        bid, bid_quantity, ask, ask_quantity = book.touch
        return self._level(book, bid or 0, bid_quantity), self._level(book, ask or 0, ask_quantity)

    # REST

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        self.now_ns = now_ns
        try:
            return Response(200, dict(JSON_HEADERS), self._answer(method, path, query, headers))
        except RestRefused as refusal:
            answer = compact({"code": refusal.code, "msg": refusal.message}).encode()
            return Response(refusal.status, dict(JSON_HEADERS), answer)

    def _answer(self, method: str, path: str, query: str, headers) -> bytes:
        if (method, path) == ("POST", "/api/v1/bullet-public"):
            return _accepted(self._bullet(headers))
        if method == "GET" and path in ORDER_BOOKS:
            return self._order_book(path, query, headers)
        contents = self.source.contents
        if method == "GET" and path in SYMBOLS and contents is not None and contents.metadata is not None:
            return contents.metadata
        if method == "GET":
            return _accepted(self._catalogue(path))
        raise RestRefused(404, "404000", "URL Not Found")

    def _bullet(self, headers) -> dict:
        """Where to connect to: here."""
        self._issued += 1
        self.tokens.append(f"token-{self.name}-{self._issued}")
        scheme = "wss" if headers.get("x-forwarded-proto") == "https" else "ws"
        return {"token": self.tokens[-1], "instanceServers": [{
            "endpoint": f"{scheme}://{headers.get('host', 'localhost')}/", "encrypt": scheme == "wss",
            "protocol": "websocket", "pingInterval": PING_EVERY_MS, "pingTimeout": PING_WITHIN_MS}]}

    def _catalogue(self, path: str) -> dict | list:
        if path in SYMBOLS:
            return [_symbol(one) for one in self.instruments]
        if path == "/api/v3/currencies":
            names = dict.fromkeys(asset for one in self.instruments for asset in (one.base, one.quote))
            return [{"currency": name, "name": name, "fullName": name, "precision": 8, "confirms": None,
                     "contractAddress": None, "isMarginEnabled": False, "isDebitEnabled": False, "chains": []}
                    for name in names]
        if path == "/api/v1/market/allTickers":
            return {"time": self.now_ns // MILLISECOND_NS, "ticker": [_fees(one) for one in self.instruments]}
        if path in EMPTY:
            return []
        raise RestRefused(404, "404000", "URL Not Found")

    def _order_book(self, path: str, query: str, headers) -> bytes:
        symbol = parse_qs(query).get("symbol", [""])[0]
        contents = self.source.contents
        if contents is not None and symbol in contents.snapshots:
            return contents.snapshots[symbol]
        if path.startswith("/api/v3/"):
            self._check_login(headers)
        if contents is not None or self.instrument(symbol) is None:
            raise RestRefused(400, "900001", "symbol not exists")
        self.source.catch_up(self, self.now_ns)
        book = self.source.books[symbol]
        bids, asks = ([self._level(book, *level) for level in book.levels(side, ORDER_BOOKS[path])]
                      for side in (Side.BUY, Side.SELL))
        return _accepted({"time": self.now_ns // MILLISECOND_NS, "sequence": str(book.update_id), "bids": bids,
                          "asks": asks})

    def _check_login(self, headers) -> None:
        """Any key is as good as another here: nobody has an account."""
        if not all(headers.get(name) for name in LOGIN):
            raise RestRefused(401, "400001", "Please check the header of your request for KC-API-KEY, KC-API-SIGN, "
                                             "KC-API-TIMESTAMP, KC-API-PASSPHRASE")
        stamp = headers["kc-api-timestamp"]
        if not stamp.isdigit() or abs(int(stamp) * MILLISECOND_NS - self.now_ns) > LARGEST_SKEW_NS:
            raise RestRefused(401, "400002", "KC-API-TIMESTAMP Invalid")


def _accepted(data) -> bytes:
    return compact({"code": "200000", "data": data}).encode()


def _symbol(instrument: SimulatedInstrument) -> dict:
    """An entry of the symbols."""
    base, price = instrument.quantity_decimals, instrument.price_decimals
    tick, funds = trimmed(to_text(instrument.tick, price)), trimmed(to_text(instrument.minimum_notional, 8))
    return {
        "symbol": instrument.symbol, "name": instrument.symbol, "baseCurrency": instrument.base,
        "quoteCurrency": instrument.quote, "feeCurrency": instrument.quote, "market": "USDS",
        "baseMinSize": trimmed(to_text(instrument.minimum_quantity, base)), "quoteMinSize": funds,
        "baseMaxSize": "10000000000", "quoteMaxSize": "99999999",
        "baseIncrement": trimmed(to_text(instrument.lot, base)), "quoteIncrement": tick, "priceIncrement": tick,
        "priceLimitRate": "0.1", "minFunds": funds, "isMarginEnabled": False, "enableTrading": True, "feeCategory": 1,
        "makerFeeCoefficient": "1.00", "takerFeeCoefficient": "1.00", "st": False,
    }


def _fees(instrument: SimulatedInstrument) -> dict:
    """What an entry of the tickers says of fees."""
    return {"symbol": instrument.symbol, "symbolName": instrument.symbol,
            "takerFeeRate": trimmed(to_text(instrument.taker_fee, 8)), "takerCoefficient": "1",
            "makerFeeRate": trimmed(to_text(instrument.maker_fee, 8)), "makerCoefficient": "1"}


DIALECT = Kucoin
