"""Coinbase Exchange: ws-feed.exchange.coinbase.com and api.exchange.coinbase.com, public.

Source: docs.cdp.coinbase.com, "Exchange WebSocket Channels" and "Exchange REST API". Of a login only the presence of
its fields and the age of its timestamp are looked at: there are no accounts here.
"""
import json
from uuid import UUID

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.dialects import coinbase_recorded
from orderflow.simulator.dialects.coinbase_public import CoinbasePublic, Refused, common_product, maker_side, texts
from orderflow.simulator.exchange import SECOND_NS, Connection
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import CAPACITY, MarketBook
from orderflow.simulator.numbers import to_text
from orderflow.simulator.words import timestamp

CHANNELS = ("level2", "level2_batch", "matches", "ticker", "heartbeat")
NEEDS_LOGIN = ("level2",)
LOGIN_FIELDS = ("signature", "key", "passphrase", "timestamp")
LARGEST_SKEW_NS = 30 * SECOND_NS
BOOK_LEVELS = {"1": 1, "2": CAPACITY}


class Coinbase(CoinbasePublic):
    """The public feed and products."""

    protocol = "coinbase"
    shows_losses = False
    reader = coinbase_recorded.CoinbaseReader
    subscriptions = staticmethod(coinbase_recorded.subscriptions)
    book_channels = ("level2", "level2_batch")

    # subscriptions

    def request(self, connection: Connection, request: dict) -> None:
        wanted = [(channel, symbol) for channel, symbols in _wanted(request) for symbol in symbols]
        known = {instrument.symbol for instrument in self.instruments}
        for channel, symbol in wanted:
            if channel not in CHANNELS:
                raise Refused("Failed to subscribe", f"{channel} is not a valid channel")
            if symbol not in known:
                raise Refused("Failed to subscribe", f"{symbol} is not a valid product")
            if channel in NEEDS_LOGIN and request["type"] == "subscribe" and self.source.contents is None:
                self._check_login(request)
        changed = []
        for channel, symbol in wanted:
            key = Subscription(channel, symbol)
            if request["type"] == "unsubscribe":
                self.unsubscribe(connection, key)
            elif key not in connection.subscriptions:
                self.subscribe(connection, key)
                changed.append(key)
        self.send(connection, json.dumps({"type": "subscriptions", "channels": [
            {"name": channel, "product_ids": [key.symbol for key in connection.subscriptions if key.channel == channel]}
            for channel in dict.fromkeys(key.channel for key in connection.subscriptions)]}, separators=(",", ":")))
        if self.source.contents is None:
            for key in changed:
                self._begin(connection, key)

    def _check_login(self, request: dict) -> None:
        if not all(request.get(name) for name in LOGIN_FIELDS):
            raise Refused("Failed to subscribe", "level2, level3, and full channels now require authentication. "
                          "https://docs.cdp.coinbase.com/exchange/docs/websocket-auth")
        try:
            signed_ns = int(float(request["timestamp"]) * SECOND_NS)
        except (TypeError, ValueError):
            raise Refused("Authentication Failed", "invalid timestamp") from None
        if abs(self.now_ns - signed_ns) > LARGEST_SKEW_NS:
            raise Refused("Authentication Failed", "timestamp expired")

    def refuse(self, connection: Connection, refusal: Refused) -> None:
        error = {"type": "error", "message": refusal.message}
        self.send(connection, json.dumps(error | ({"reason": refusal.reason} if refusal.reason else {}),
                                         separators=(",", ":")))

    def _begin(self, connection: Connection, key: Subscription) -> None:
        """The first frame of a subscription."""
        if key.channel in self.book_channels:
            view, book = self.view(key.symbol), self.source.books[key.symbol]
            self.send(connection, json.dumps({
                "type": "snapshot", "product_id": key.symbol, "asks": texts(book, view.asks.items()),
                "bids": texts(book, view.bids.items()), "time": timestamp(self.now_ns)}, separators=(",", ":")))
        elif key.channel == "matches" and key.symbol in self.last_trades:
            number, price, quantity, side = self.last_trades[key.symbol]
            self.send(connection, _match(self.source.books[key.symbol], "last_match", number, price, quantity, side,
                                         UUID(int=0), UUID(int=0), self.now_ns))

    # what is published

    def send_update(self, book: MarketBook, bids, asks, at_ns: int) -> None:
        changes = [["buy", *level] for level in texts(book, bids)] + [["sell", *level] for level in texts(book, asks)]
        text = json.dumps({"type": "l2update", "product_id": book.instrument.symbol, "changes": changes,
                           "time": timestamp(at_ns)}, separators=(",", ":"))
        for channel in self.book_channels:
            self.play(Subscription(channel, book.instrument.symbol), text)

    def publish_trades(self, book: MarketBook, trades, at_ns: int) -> None:
        symbol = book.instrument.symbol
        for number, price, quantity, side, maker, taker in zip(*(trades[name].tolist() for name in (
                "trade_id", "price", "quantity", "taker_side", "maker_id", "taker_id")), strict=True):
            self.last_trades[symbol] = number, price, quantity, side
            stream = Subscription("matches", symbol)
            if stream in self.subscribers:
                self.play(stream, _match(book, "match", number, price, quantity, side, UUID(int=maker),
                                         UUID(int=taker), at_ns))
        stream = Subscription("ticker", symbol)
        if stream in self.subscribers:
            self.play(stream, self._ticker(book, at_ns))

    def _ticker(self, book: MarketBook, at_ns: int) -> str:
        number, price, quantity, side = self.last_trades[book.instrument.symbol]
        bid, _, ask, _ = book.look()
        return json.dumps({
            "type": "ticker", "sequence": book.update_id, "product_id": book.instrument.symbol,
            "price": book.price_text(price), "best_bid": book.price_text(bid or 0),
            "best_ask": book.price_text(ask or 0),
            "side": "buy" if side == Side.BUY else "sell", "time": timestamp(at_ns), "trade_id": number,
            "last_size": book.quantity_text(quantity)}, separators=(",", ":"))

    def heartbeat(self, connection: Connection) -> None:
        for key in connection.subscriptions:
            if key.channel == "heartbeat":
                book = self.source.books[key.symbol]
                self.send(connection, json.dumps({
                    "type": "heartbeat", "last_trade_id": self.last_trades.get(key.symbol, (0,))[0],
                    "product_id": key.symbol, "sequence": book.update_id, "time": timestamp(self.now_ns)},
                    separators=(",", ":")))

    # REST

    def rest(self, path: str, parameters: dict[str, list[str]]):
        if path == "/time":
            return {"iso": timestamp(self.now_ns), "epoch": self.now_ns / SECOND_NS}
        if path == "/products":
            recorded = self.source.contents.metadata if self.source.contents is not None else None
            return recorded or [_product(instrument) for instrument in self.instruments]
        for instrument in self.instruments:
            if path == f"/products/{instrument.symbol}":
                return _product(instrument)
            if path == f"/products/{instrument.symbol}/book":
                count = BOOK_LEVELS.get(parameters.get("level", ["1"])[0])
                if count is None:
                    raise Refused("Invalid level")
                self.source.catch_up(self, self.now_ns)
                bids, asks = self.source.top(instrument, count)
                return {"bids": [[*level, 1] for level in bids], "asks": [[*level, 1] for level in asks],
                        "sequence": self.source.books[instrument.symbol].update_id, "auction_mode": False,
                        "auction": None, "time": timestamp(self.now_ns)}
        raise Refused("NotFound", status=404)


def _wanted(request: dict) -> list[tuple[str, list[str]]]:
    """Channels of a request with their products; a channel may name its own."""
    products, channels = request.get("product_ids", []), request.get("channels")
    if not isinstance(channels, list) or not channels or not isinstance(products, list):
        raise Refused("Failed to subscribe", "channels must be a list of names or objects")
    wanted = []
    for channel in channels:
        own = channel if isinstance(channel, dict) else {"name": channel}
        wanted.append((str(own.get("name")), own.get("product_ids", products)))
    if not all(isinstance(symbols, list) and symbols for _, symbols in wanted):
        raise Refused("Failed to subscribe", "product_ids must be a list of products")
    return wanted


def _match(book: MarketBook, kind: str, number: int, price: int, quantity: int, taker_side: int, maker: UUID,
           taker: UUID, at_ns: int) -> str:
    return json.dumps({
        "type": kind, "trade_id": number, "maker_order_id": str(maker), "taker_order_id": str(taker),
        "side": maker_side(taker_side), "size": book.quantity_text(quantity), "price": book.price_text(price),
        "product_id": book.instrument.symbol, "sequence": book.update_id, "time": timestamp(at_ns)},
        separators=(",", ":"))


def _product(instrument: SimulatedInstrument) -> dict:
    """One entry of /products."""
    return common_product(instrument) | {
        "id": instrument.symbol, "base_currency": instrument.base, "quote_currency": instrument.quote,
        "display_name": f"{instrument.base}-{instrument.quote}", "margin_enabled": False, "fx_stablecoin": False,
        "min_market_funds": to_text(instrument.minimum_notional, 8), "status_message": "",
        "max_slippage_percentage": "0.02000000", "high_bid_limit_percentage": "",
    }


DIALECT = Coinbase
