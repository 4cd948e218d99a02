"""Coinbase Advanced Trade: advanced-trade-ws.coinbase.com and api.coinbase.com/api/v3/brokerage/market, public.

Source: docs.cdp.coinbase.com, "Advanced Trade WebSocket Channels" and "Advanced Trade REST API". Every frame of a
connection has the next number, but for answers while a capture is played: there the numbers are the recording's.
"""
import json

from orderflow._core.types import Side
from orderflow.exchanges.actions import Subscription
from orderflow.simulator.dialects import coinbase_adv_recorded
from orderflow.simulator.dialects.coinbase_public import CoinbasePublic, Refused, common_product, maker_side, texts
from orderflow.simulator.exchange import Connection
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import CAPACITY, MarketBook
from orderflow.simulator.numbers import to_text
from orderflow.simulator.words import timestamp

CHANNELS = ("level2", "market_trades", "heartbeats")
RECORDED_CHANNELS = (*CHANNELS, "ticker", "ticker_batch", "candles", "status")      # not made here, but played
WITHOUT_PRODUCTS = ("heartbeats", "status")
ANSWERS = Subscription("subscriptions", "")
EPOCH = "1970-01-01T00:00:00Z"          # event_time of a snapshot's levels
MARKET = "/api/v3/brokerage/market"


class CoinbaseAdvanced(CoinbasePublic):
    """Public market data and products."""

    protocol = "coinbase_adv"
    reader = coinbase_adv_recorded.CoinbaseAdvancedReader
    subscriptions = staticmethod(coinbase_adv_recorded.subscriptions)
    book_channels = ("level2",)

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self._numbers: dict[int, int] = {}      # connection -> sequence_num of its next frame

    def forgotten(self, connection: Connection) -> None:
        super().forgotten(connection)
        self._numbers.pop(connection.id, None)

    def send_numbered(self, connection: Connection, channel: str, events: list, at_ns: int) -> None:
        """One frame of a channel."""
        number = self._numbers.get(connection.id, 0)
        self._numbers[connection.id] = number + 1
        self.send(connection, json.dumps({
            "channel": channel, "client_id": "", "timestamp": timestamp(at_ns), "sequence_num": number,
            "events": events}, separators=(",", ":")))

    def symbol_of(self, product: str) -> str:
        """The product whose data a product gets: BTC-USD for BTC-USDC, where that is not traded by itself."""
        known = {instrument.symbol for instrument in self.instruments}
        for name in (product, product.removesuffix("C")):
            if name in known:
                return name
        raise Refused(f"{product} is not a valid product")

    # subscriptions

    def request(self, connection: Connection, request: dict) -> None:
        channel, products = request.get("channel"), request.get("product_ids") or []
        if channel not in (CHANNELS if self.source.contents is None else RECORDED_CHANNELS):
            raise Refused("channel not found" if channel else "channel is missing")
        if not isinstance(products, list) or not (products or channel in WITHOUT_PRODUCTS):
            raise Refused("product_ids are missing")
        symbols = [""] if channel in WITHOUT_PRODUCTS else [self.symbol_of(str(product)) for product in products]
        keys = [Subscription(channel, symbol) for symbol in dict.fromkeys(symbols)]
        began = []
        for key in keys:
            if request["type"] == "unsubscribe":
                self.unsubscribe(connection, key)
            elif key not in connection.subscriptions:
                self.subscribe(connection, key)
                began.append(key)
        self._answer(connection)
        if self.source.contents is None:
            for key in began:
                self._begin(connection, key)

    def _answer(self, connection: Connection) -> None:
        listed: dict[str, list[str]] = {}
        for key in connection.subscriptions:
            if key != ANSWERS:
                listed.setdefault(key.channel, []).append(key.symbol or key.channel)
        events = [{"subscriptions": listed}]
        if self.source.contents is None:
            self.send_numbered(connection, "subscriptions", events, self.now_ns)
            return
        if ANSWERS not in connection.subscriptions:         # recorded ones are part of the count, so they are played
            self.subscribe(connection, ANSWERS)
        self.send(connection, json.dumps({"channel": "subscriptions", "client_id": "",
                                          "timestamp": timestamp(self.now_ns), "events": events}))

    def refuse(self, connection: Connection, refusal: Refused) -> None:
        self.send(connection, json.dumps({"type": "error", "message": refusal.message}, separators=(",", ":")))

    def _begin(self, connection: Connection, key: Subscription) -> None:
        """The first frame of a subscription."""
        if key.channel == "level2":
            view, book = self.view(key.symbol), self.source.books[key.symbol]
            events = _book_events(book, "snapshot", view.bids.items(), view.asks.items(), EPOCH)
            self.send_numbered(connection, "l2_data", events, self.now_ns)
        elif key.channel == "market_trades" and key.symbol in self.last_trades:
            trade = _trade(self.source.books[key.symbol], *self.last_trades[key.symbol], self.now_ns)
            self.send_numbered(connection, "market_trades", [{"type": "snapshot", "trades": [trade]}], self.now_ns)

    # what is published

    def send_update(self, book: MarketBook, bids, asks, at_ns: int) -> None:
        events = _book_events(book, "update", bids, asks, timestamp(at_ns))
        for connection in self.listeners(Subscription("level2", book.instrument.symbol)):
            self.send_numbered(connection, "l2_data", events, at_ns)

    def publish_trades(self, book: MarketBook, trades, at_ns: int) -> None:
        symbol = book.instrument.symbol
        made = list(zip(*(trades[name].tolist() for name in ("trade_id", "price", "quantity", "taker_side")),
                        strict=True))
        self.last_trades[symbol] = made[-1]
        listeners = self.listeners(Subscription("market_trades", symbol))
        if listeners:
            events = [{"type": "update", "trades": [_trade(book, *trade, at_ns) for trade in reversed(made)]}]
            for connection in listeners:
                self.send_numbered(connection, "market_trades", events, at_ns)

    def heartbeat(self, connection: Connection) -> None:
        if Subscription("heartbeats", "") in connection.subscriptions:
            counter = (self.now_ns - connection.opened_ns) // 1_000_000_000
            self.send_numbered(connection, "heartbeats", [
                {"current_time": f"{timestamp(self.now_ns)[:-1].replace('T', ' ')} +0000 UTC m=+{counter}.000000001",
                 "heartbeat_counter": counter}], self.now_ns)

    # REST

    def rest(self, path: str, parameters: dict[str, list[str]]):
        if path == "/api/v3/brokerage/time":
            seconds = self.now_ns // 1_000_000_000
            return {"iso": timestamp(self.now_ns), "epochSeconds": f"{seconds}",
                    "epochMillis": f"{self.now_ns // 1_000_000}"}
        if path == f"{MARKET}/products":
            return self._products(parameters)
        if path == f"{MARKET}/product_book":
            return self._product_book(parameters)
        for product in self._products({})["products"]:
            if path == f"{MARKET}/products/{product['product_id']}":
                return product
        raise Refused("NotFound", status=404)

    def _products(self, parameters: dict[str, list[str]]):
        contents = self.source.contents
        if contents is not None and contents.metadata is not None and b'"products"' in contents.metadata:
            return json.loads(contents.metadata)
        products = [entry for instrument in self.instruments for entry in _products_of(instrument, self.instruments)]
        kinds, names = parameters.get("product_type"), parameters.get("product_ids")
        products = [entry for entry in products if (kinds is None or entry["product_type"] in kinds)
                    and (names is None or entry["product_id"] in names)]
        return {"products": products, "num_products": len(products)}

    def _product_book(self, parameters: dict[str, list[str]]):
        product = parameters.get("product_id", [""])[0]
        book = self.book(self.symbol_of(product))
        limit = parameters.get("limit", [f"{CAPACITY}"])[0]
        if not limit.isdecimal():
            raise Refused("limit is not a number")
        bids, asks = self.source.top(book.instrument, min(int(limit) or CAPACITY, CAPACITY))
        return {"pricebook": {"product_id": product, "time": timestamp(self.now_ns)} | {
            name: [{"price": price, "size": size} for price, size in side]
            for name, side in (("bids", bids), ("asks", asks))}}


def _book_events(book: MarketBook, kind: str, bids, asks, event_time: str) -> list[dict]:
    return [{"type": kind, "product_id": book.instrument.symbol, "updates": [
        {"side": side, "event_time": event_time, "price_level": price, "new_quantity": quantity}
        for side, levels in (("bid", bids), ("offer", asks)) for price, quantity in texts(book, levels)]}]


def _trade(book: MarketBook, number: int, price: int, quantity: int, taker_side: Side, at_ns: int) -> dict:
    return {"trade_id": f"{number}", "product_id": book.instrument.symbol, "price": book.price_text(price),
            "size": book.quantity_text(quantity), "side": maker_side(taker_side, ("BUY", "SELL")),
            "time": timestamp(at_ns)}


def _products_of(instrument: SimulatedInstrument, instruments: tuple[SimulatedInstrument, ...]) -> list[dict]:
    """A product's entry, and that of its twin in USDC where that is not traded by itself."""
    twin = f"{instrument.base}-USDC"
    twins = [twin] if instrument.quote == "USD" and twin not in {one.symbol for one in instruments} else []
    entry = common_product(instrument) | {
        "product_id": instrument.symbol, "product_type": "SPOT", "base_currency_id": instrument.base,
        "quote_currency_id": instrument.quote, "base_name": instrument.base, "quote_name": instrument.quote,
        "price_increment": to_text(instrument.tick, instrument.price_decimals),
        "quote_min_size": to_text(instrument.minimum_notional, 8), "quote_max_size": "150000000",
        "is_disabled": False, "view_only": False, "new": False, "watched": False, "alias": "", "alias_to": twins,
        "product_venue": "CBE",
    }
    return [entry, *(entry | {"product_id": name, "quote_currency_id": "USDC", "alias": instrument.symbol,
                              "alias_to": []} for name in twins)]


DIALECT = CoinbaseAdvanced
