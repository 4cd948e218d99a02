"""Binance spot, USD-M and COIN-M (and exchanges that copied them, by endpoint setting alone).

Sources: binance-spot-api-docs (web-socket-streams.md, web-socket-api.md, rest-api.md), developers.binance.com
derivatives documentation.
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from urllib.parse import parse_qsl, urlencode, urlsplit

from orderflow._core.codecs.binance import BinanceMarketData
from orderflow._core.codecs.binance_orders import BinanceOrders
from orderflow._core.integrity import SyncRule
from orderflow._core.secret import reveal
from orderflow._core.signing import Signer
from orderflow._core.types import Amends, BodyKind, Role
from orderflow.credentials import Credentials
from orderflow.exchanges.actions import (
    AccountBody,
    Action,
    AskMore,
    ClockRead,
    ClockRefused,
    Endpoint,
    Fetch,
    NumberedRequests,
    OrderBody,
    OrderQuestion,
    Problem,
    Ready,
    Reconnect,
    Request,
    RoundStep,
    Send,
    Subscription,
    answered,
)
from orderflow.exchanges.facts import Facts, Limit, Limits, OrderLimits
from orderflow.exchanges.session import CLOCK, Session, SessionSettings
from orderflow.instrument import MOST_PARTS, Listing, WireDigits, choose_scales, significant_decimals

#: market -> (REST base, REST prefix, stream base, depth stream)
MARKETS = {
    "spot": ("https://api.binance.com", "/api/v3", "wss://stream.binance.com:9443", "depth@100ms"),
    "usdm": ("https://fapi.binance.com", "/fapi/v1", "wss://fstream.binance.com", "depth@0ms"),
    "coinm": ("https://dapi.binance.com", "/dapi/v1", "wss://dstream.binance.com", "depth@0ms"),
}
#: market -> (levels a side, weight) of depth snapshots, deepest first ("Order book").
SNAPSHOTS = {"spot": ((5000, 250), (1000, 50), (500, 25), (100, 5)),
             "usdm": ((1000, 20), (500, 10), (100, 5), (50, 2)), "coinm": ((1000, 20), (500, 10), (100, 5), (50, 2))}
#: A start asks for two snapshots a symbol, and they take a third of what an address is allowed in a minute at most.
#: Half may go at once (token_bucket.py), so nothing waits, and there is room for the account and for resyncs.
START_SNAPSHOTS = 2
START_SHARE = 3
#: market -> what an address may do: connections, messages of one of them, weight of REST calls.
#: ("WebSocket Streams", "Limits"; "IP Limits".)
ALLOWED = {
    "spot": Limits(Limit(300, 300_000_000_000), Limit(5, 1_000_000_000), Limit(6000, 60_000_000_000)),
    "usdm": Limits(Limit(300, 300_000_000_000), Limit(10, 1_000_000_000), Limit(2400, 60_000_000_000)),
    "coinm": Limits(Limit(300, 300_000_000_000), Limit(10, 1_000_000_000), Limit(2400, 60_000_000_000)),
}
#: "A single connection is only valid for 24 hours": half an hour before.
RENEW_AFTER_NS = 84_600_000_000_000
#: Id of what needs no look at its answer; subscriptions count from 1.
QUIET_ID = 0
USER_STREAM = "user-stream"
#: An order of ours that would meet another of the account ends; the one that rests stays. Risk refuses most before.
SELF_TRADE = "EXPIRE_TAKER"
#: Id of a question for the time, before its number.
CLOCK_ID = "clock-"
#: "Order does not exist.", and a timestamp that is ahead or too old.
UNKNOWN_ORDER, TIME_REFUSED = -2013, -1021
#: Entries that a list has at most; where it has so many there may be more.
PAGE = 1000
#: The exchange's clock and ours may differ by so much.
CLOCKS_NS = 60_000_000_000
MILLISECOND_NS = 1_000_000
#: What is asked about an order: path, weight ("Spot REST API").
ORDER_CALLS = {"order": ("/order", 4), "open orders": ("/openOrders", 6), "order history": ("/allOrders", 20),
               "trades": ("/myTrades", 20)}
#: What is asked about the account in a round: path, weight, and what it is called.
ROUND_CALLS = {BodyKind.ACCOUNT_ORDERS: ("/openOrders", 6, "the open orders"),
               BodyKind.ACCOUNT_BALANCES: ("/account", 20, "the balances"),
               BodyKind.ACCOUNT_TRADES: ("/myTrades", 20, "the trades")}
#: Of the open orders of all symbols at once.
ALL_OPEN_WEIGHT = 80
ORDERS = "wss://ws-api.binance.com:443/ws-api/v3"
#: Weight of requests about orders, and what an account may place; both are read anew from exchangeInfo ("Trading
#: requests", "Unfilled order count": the first fill of an order gives its place back).
ORDER_LIMITS = OrderLimits(
    place=1, cancel=1, amend=4, cancel_all=1, connect=2, filled_orders_count=False,
    orders=(Limit(50, 10_000_000_000), Limit(160_000, 86_400_000_000_000)))
#: Weight of exchangeInfo, of the depth snapshots of the start, and of what is sent over the order connection.
METADATA_WEIGHT, USER_STREAM_WEIGHT, CLOCK_WEIGHT = 20, 2, 1
INTERVALS_NS = {"SECOND": 1_000_000_000, "MINUTE": 60_000_000_000, "HOUR": 3_600_000_000_000,
                "DAY": 86_400_000_000_000}


def snapshot_of(market: str, symbols: int, limits: Limits) -> tuple[int, int]:
    """(levels a side, weight) of the deepest snapshots that a start with so many symbols can afford."""
    choices = SNAPSHOTS[market]
    if limits.requests is None:
        return choices[0]
    affordable = limits.requests.count // START_SHARE
    return next((one for one in choices if one[1] * START_SNAPSHOTS * symbols <= affordable), choices[-1])


class BinanceSession(Session):
    """Market data and, on spot, order entry over the WebSocket API.

    A depth stream is joined with a REST snapshot that is asked for after the first update is in hand.
    """

    title = "Binance"
    facts = Facts(shared_book_ids=True, growing_trade_ids=True, renew_after_ns=RENEW_AFTER_NS, fees_in="received",
                  amends=Amends.AMENDS_QUANTITY_DOWN)      # order.amend.keepPriority

    def __init__(self, settings: SessionSettings, market: str):
        self.market = market
        self.protocol = f"binance_{market}"
        self.production_rest, self.prefix, self.production_stream, self.depth_stream = MARKETS[market]
        super().__init__(settings)
        self.orders = settings.orders or ORDERS
        self.rule = SyncRule.CONTIGUOUS_RANGE if market == "spot" else SyncRule.PREVIOUS_ID
        self.channels = (self.depth_stream, "trade" if market == "spot" else "aggTrade", "bookTicker")
        self.limits = ALLOWED[market]
        if market == "spot":
            self.order_limits = ORDER_LIMITS
        self.limit, self.snapshot_weight = snapshot_of(market, len(settings.symbols), settings.limits or self.limits)
        self._requests = NumberedRequests()
        self._self_trade = ""              # before metadata

    # -- metadata -----------------------------------------------------------------------------------------------

    def metadata(self) -> list[Request]:
        """exchangeInfo, and one depth snapshot a symbol: old resting levels may be finer than today's tick."""
        requests = [Request("exchangeInfo", "GET", f"{self.rest}{self.prefix}/exchangeInfo", weight=METADATA_WEIGHT)]
        requests += [Request(f"depth {symbol}", "GET", self.snapshot_url(symbol), weight=self.snapshot_weight)
                     for symbol in self.settings.symbols]
        return requests

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols.

        Raises
        ------
        SessionError
            When a symbol is not offered; the message names it.
        """
        metadata = json.loads(bodies["exchangeInfo"])
        self._learn_limits(metadata.get("rateLimits", ()))
        known = {entry["symbol"]: entry for entry in metadata["symbols"]}
        offered = dict(self.offered(known))
        self._self_trade = SELF_TRADE if all(
            SELF_TRADE in entry.get("allowedSelfTradePreventionModes", ()) for entry in offered.values()) else ""
        result = []
        for symbol, entry in offered.items():
            digits = WireDigits()
            depth = json.loads(bodies.get(f"depth {symbol}", b"{}"))
            digits.observe_levels(depth.get("bids", ()))
            digits.observe_levels(depth.get("asks", ()))
            result.append(self._listing(entry, digits))
        return result

    def _learn_limits(self, rows: Sequence[dict]) -> None:
        """What this address and its accounts may do, as exchangeInfo says. A limit on requests, however much they
        weigh, counts where it is the smaller one: each weighs one at least."""
        told = [(row.get("rateLimitType"),
                 Limit(int(row["limit"]), INTERVALS_NS[row["interval"]] * int(row["intervalNum"])))
                for row in rows if row.get("interval") in INTERVALS_NS]
        requests = [limit for kind, limit in told if kind in ("REQUEST_WEIGHT", "RAW_REQUESTS")]
        orders = tuple(limit for kind, limit in told if kind == "ORDERS")
        if requests:
            self.limits = replace(self.limits, requests=min(requests, key=lambda one: one.count / one.period_ns))
        if orders and self.market == "spot":
            self.order_limits = replace(self.order_limits, orders=orders)

    def _listing(self, entry: dict, digits: WireDigits) -> Listing:
        filters = {item["filterType"]: item for item in entry.get("filters", ())}
        price, lot = filters.get("PRICE_FILTER", {}), filters.get("LOT_SIZE", {})
        notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
        tick = Decimal(price.get("tickSize", "0")) or digits.tick
        step = Decimal(lot.get("stepSize", "0")) or digits.lot
        if self.market == "spot":
            prices, quantities = entry.get("quotePrecision", 8), entry.get("baseAssetPrecision", 8)
        else:
            prices, quantities = entry.get("pricePrecision", 0), entry.get("quantityPrecision", 0)
        largest_price = max(Decimal(price.get("maxPrice", "0")), digits.largest_price * 16)
        largest_quantity = max(Decimal(lot.get("maxQty", "0")), digits.largest_quantity * 16)
        prices, quantities = choose_scales(
            max(prices, digits.price_decimals), max(quantities, digits.quantity_decimals), largest_price,
            largest_quantity, max(significant_decimals(tick), digits.price_needed),
            max(significant_decimals(step), digits.quantity_needed))
        return Listing(
            self.settings.name, entry["symbol"], self._instrument(entry), entry.get("baseAsset", ""),
            entry.get("quoteAsset", ""), prices, quantities, tick, step,
            minimum_quantity=Decimal(lot.get("minQty", "0")),
            minimum_notional=Decimal(notional.get("minNotional", notional.get("notional", "0"))),
            most_parts=self._most_parts(entry, filters),
            halted=entry.get("status", entry.get("contractStatus", "TRADING")) != "TRADING",
        )

    def _most_parts(self, entry: dict, filters: dict[str, dict]) -> int:
        """Of an iceberg ("Filters", ICEBERG_PARTS). None where the exchange limits how many icebergs an account has
        there: what others have placed with it is not known here, and one too many would be refused."""
        if self.market != "spot" or not entry.get("icebergAllowed") or "MAX_NUM_ICEBERG_ORDERS" in filters:
            return 0
        return min(int(filters.get("ICEBERG_PARTS", {}).get("limit", 0)), MOST_PARTS)

    def _instrument(self, entry: dict) -> str:
        """Its name. Dated contracts are named by their day. A COIN-M contract is so many USD, while USD-M counts the
        base: books of the two must not be added up.
        """
        pair = f"{entry.get('baseAsset', '')}-{entry.get('quoteAsset', '')}"
        if self.market == "spot":
            return pair
        day = entry["symbol"].partition("_")[2]
        term = day if day.isdigit() else entry.get("contractType") or "PERPETUAL"
        size = f"-{entry.get('contractSize', 1)}{entry['quoteAsset']}" if self.market == "coinm" else ""
        return f"{pair}-{term}{size}"

    # -- connections --------------------------------------------------------------------------------------------

    def market_codec(self, table, symbols: dict[str, int]):
        """Codec of the market data connection."""
        return BinanceMarketData(table, symbols, market=self.market)

    def order_codec(self, table, symbols: dict[str, int]):
        """Codec of the order connection; only spot has one so far."""
        if not self.settings.trade:
            return None
        if self.market != "spot":
            raise self.error("orders are not supported on this market yet; set trade = false")
        credentials = self._credentials()
        self.assets = sorted({asset for item in self.indices.values() for asset in (item.base, item.quote)} | {"BNB"})
        self._signer = Signer.of(credentials.secret)
        return BinanceOrders(table, symbols, api_key=reveal(credentials.key), signer=self._signer, assets=self.assets,
                             self_trade=self._self_trade)

    def _credentials(self) -> Credentials:
        if self.settings.credentials is None:
            raise self.error("trade = true needs a key and a secret")
        return self.settings.credentials

    def endpoints(self) -> list[Endpoint]:
        """One market data connection, on USD-M one for trades besides (its streams are split over /public and /market,
        "Important WebSocket Change Notice"), and one for orders when trading."""
        split = self.market == "usdm"
        found = [Endpoint("market", Role.MARKET_DATA, f"{self.stream}/{'public/' if split else ''}stream")]
        if split and not self.settings.subscribe:
            found.append(Endpoint("trades", Role.MARKET_DATA, f"{self.stream}/market/stream", books=False))
        return [*found, Endpoint("orders", Role.ORDERS, self.orders)] if self.settings.trade else found

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        """The order connection subscribes to what becomes of its orders."""
        if connection == "orders":
            return [Send(connection, json.dumps(self._user_stream(unix_ns)), secret=True, weight=USER_STREAM_WEIGHT)]
        return super().opened(connection, unix_ns)

    def wanted(self, connection: str) -> list[Subscription]:
        """All of a symbol's streams; on USD-M each connection has its own."""
        if self.market != "usdm":
            return super().wanted(connection)
        depth, trades, quotes = self.channels
        return [Subscription(channel, symbol) for symbol in self.settings.symbols
                for channel in ((trades,) if connection == "trades" else (depth, quotes))]

    def subscribe(self, connection: str, wanted: Sequence[Subscription], unix_ns: int) -> list[Action]:
        """One request, which is answered as a whole."""
        return [Send(connection, json.dumps({"method": "SUBSCRIBE", "id": self._requests.number(wanted), "params": [
            f"{symbol.lower()}@{channel}" for channel, symbol in wanted]}), awaits=tuple(wanted))]

    def _user_stream(self, unix_ns: int) -> dict:
        """userDataStream.subscribe.signature: execution reports on the connection that carries the orders."""
        credentials = self._credentials()
        params = {"apiKey": reveal(credentials.key), "timestamp": unix_ns // 1_000_000}
        params["signature"] = self._signer.sign("&".join(f"{key}={params[key]}" for key in sorted(params)))
        return {"id": USER_STREAM, "method": "userDataStream.subscribe.signature", "params": params}

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Subscribe acknowledgements, errors, shutdown notices."""
        message = json.loads(text)
        if connection == "orders":
            return self._order_frame(message)
        said = answered(connection, self._requests.answered(message.get("id")))
        if "result" in message and message["result"] is None:
            return [Ready(connection), *said]
        data = message.get("data", message)
        if data.get("e") == "serverShutdown":
            return [Reconnect(connection, "the exchange announced its shutdown")]
        if "error" in message or "code" in message:
            error = message.get("error", message)
            return [Problem(f"{error.get('msg', error)} (code {error.get('code')})"), *said]
        return []

    def _order_frame(self, message: dict) -> list[Action]:
        identity = message.get("id")
        refused: list[Action] = [ClockRefused()] if (message.get("error") or {}).get("code") == TIME_REFUSED else []
        if identity == USER_STREAM:
            if message.get("status") == 200:
                return [Ready("orders")]
            return [*refused, Problem(f"the user stream was refused: {message.get('error')}"),
                    Reconnect("orders", "it cannot hear of its orders")]
        if isinstance(identity, str) and identity.startswith(CLOCK_ID) and message.get("status") == 200:
            return [_clock_read(message["result"], int(identity.removeprefix(CLOCK_ID)))]
        if message.get("event", message).get("e") in ("eventStreamTerminated", "serverShutdown"):
            return [Reconnect("orders", "the exchange ended the user stream")]
        return refused

    # -- orders -------------------------------------------------------------------------------------------------

    def order_calls(self, question: OrderQuestion, unix_ns: int) -> list[Request]:
        """By the id that we gave it."""
        return [self._order_call("order", question, unix_ns, origClientOrderId=question.name)]

    def order_answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """Of an order that is not found by its id, the open ones and the history; of one that has fills, those."""
        question = request.question
        assert question is not None
        found = json.loads(body) if body[:1] in (b"{", b"[") else {}
        code = found.get("code") if isinstance(found, dict) else None
        if request.purpose == "order" and code == UNKNOWN_ORDER:
            since = max(0, question.sent_ns - CLOCKS_NS) // 1_000_000
            return [Fetch(self._order_call("open orders", question, unix_ns)),
                    Fetch(self._order_call("order history", question, unix_ns, startTime=since, limit=PAGE))]
        if status != 200:
            shown = body[:200].decode(errors="replace")
            refused: list[Action] = [ClockRefused()] if code == TIME_REFUSED else []
            return [*refused, Problem(f"asked for {request.purpose} about {question.name}: {shown} (status {status})")]
        if request.purpose == "order":
            actions: list[Action] = [OrderBody(question, BodyKind.ORDER_STATE, body)]
            if Decimal(found["executedQty"]):
                actions.append(Fetch(self._order_call("trades", question, unix_ns, orderId=found["orderId"],
                                                      limit=PAGE)))
            return actions
        kind = BodyKind.ORDER_TRADES if request.purpose == "trades" else BodyKind.ORDER_LIST
        actions = [OrderBody(question, kind, body)]
        if len(found) == PAGE and request.purpose == "trades":
            actions.append(Fetch(self._order_call("trades", question, unix_ns, orderId=found[-1]["orderId"],
                                                  fromId=found[-1]["id"] + 1, limit=PAGE)))
        elif len(found) == PAGE and request.purpose == "order history":
            actions.append(Fetch(self._order_call("order history", question, unix_ns, orderId=found[-1]["orderId"] + 1,
                                                  limit=PAGE)))
        return actions

    def _order_call(self, purpose: str, question: OrderQuestion, unix_ns: int, **parameters: object) -> Request:
        path, weight = ORDER_CALLS[purpose]
        return self._signed(purpose, path, unix_ns, {"symbol": self.indices[question.listing].symbol, **parameters},
                            weight=weight, question=question)

    def _signed(self, purpose: str, path: str, unix_ns: int, parameters: dict[str, object], *, weight: int,
                question: OrderQuestion | None = None, step: RoundStep | None = None) -> Request:
        """A call that is signed over its query ("Request security")."""
        credentials = self._credentials()
        query = urlencode({**parameters, "timestamp": unix_ns // 1_000_000})
        signature = urlencode({"signature": self._signer.sign(query)})
        return Request(purpose, "GET", f"{self.rest}{self.prefix}{path}?{query}&{signature}",
                       (("X-MBX-APIKEY", reveal(credentials.key)),), secret=True, weight=weight,
                       question=question, step=step)

    # -- the account --------------------------------------------------------------------------------------------

    def round_steps(self, since_ns: int) -> list[RoundStep]:
        """Open orders and trades go by symbol; of many symbols the open orders of all are cheaper."""
        listings = list(self.indices)
        apart = len(listings) * ROUND_CALLS[BodyKind.ACCOUNT_ORDERS][1] < ALL_OPEN_WEIGHT
        return [*(RoundStep(BodyKind.ACCOUNT_ORDERS, listing) for listing in (listings if apart else [-1])),
                RoundStep(BodyKind.ACCOUNT_BALANCES),
                *(RoundStep(BodyKind.ACCOUNT_TRADES, listing, since_ns) for listing in listings)]

    def round_weight(self, step: RoundStep) -> int:
        if step.kind == BodyKind.ACCOUNT_ORDERS and step.listing < 0:
            return ALL_OPEN_WEIGHT
        return ROUND_CALLS[step.kind][1]

    def round_call(self, step: RoundStep, unix_ns: int) -> Request:
        """Trades after the first page go by their ids."""
        path, _, purpose = ROUND_CALLS[step.kind]
        parameters: dict[str, object] = {"symbol": self.indices[step.listing].symbol} if step.listing >= 0 else {}
        if step.kind == BodyKind.ACCOUNT_BALANCES:
            parameters["omitZeroBalances"] = "true"
        elif step.kind == BodyKind.ACCOUNT_TRADES:
            begin = {"fromId": step.page} if step.page else {"startTime": max(0, step.since_ns) // 1_000_000}
            parameters |= {**begin, "limit": PAGE}
        return self._signed(purpose, path, unix_ns, parameters, weight=self.round_weight(step), step=step)

    def round_answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """A page of trades that is full may not be the last one."""
        step = request.step
        assert step is not None
        found = json.loads(body) if body[:1] in (b"{", b"[") else {}
        if status != 200 or isinstance(found, dict) != (step.kind == BodyKind.ACCOUNT_BALANCES):
            refused: list[Action] = [ClockRefused()] if isinstance(found, dict) and found.get(
                "code") == TIME_REFUSED else []
            return [*refused, Problem(f"asked for {request.purpose}: {body[:200].decode(errors='replace')} (status "
                                      f"{status})")]
        actions: list[Action] = [AccountBody(step, body)]
        if step.kind == BodyKind.ACCOUNT_TRADES and len(found) == PAGE:
            actions.append(AskMore(replace(step, page=int(found[-1]["id"]) + 1)))
        return actions

    # -- its clock ----------------------------------------------------------------------------------------------

    def clock_call(self) -> Request:
        """"Check server time"; milliseconds."""
        return Request(CLOCK, "GET", f"{self.rest}{self.prefix}/time")

    def clock_read(self, body: bytes) -> ClockRead:
        return _clock_read(json.loads(body))

    def clock_frame(self, number: int) -> Send:
        """The same over the WebSocket API."""
        return Send("orders", json.dumps({"id": f"{CLOCK_ID}{number}", "method": "time"}), weight=CLOCK_WEIGHT)

    # -- books --------------------------------------------------------------------------------------------------

    def snapshot_url(self, symbol: str) -> str:
        return f"{self.rest}{self.prefix}/depth?symbol={symbol}&limit={self.limit}"

    def snapshot_symbol(self, url: str) -> str:
        parts = urlsplit(url)
        return dict(parse_qsl(parts.query)).get("symbol", "") if parts.path.endswith("/depth") else ""

    def leave(self, symbol: str, unix_ns: int) -> list[Action]:
        return [Send("market", json.dumps({"method": "UNSUBSCRIBE", "params": [f"{symbol.lower()}@{self.depth_stream}"],
                                           "id": QUIET_ID}))]


def _clock_read(answer: dict, number: int = 0) -> ClockRead:
    shown_ns = int(answer["serverTime"]) * MILLISECOND_NS
    return ClockRead(shown_ns, shown_ns, MILLISECOND_NS, number)
