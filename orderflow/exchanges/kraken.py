"""Kraken spot, WebSocket API v2. Source: docs.kraken.com, "Spot WebSocket v2"."""
from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

from orderflow._core.codecs.kraken import KrakenMarketData
from orderflow._core.codecs.kraken_orders import KrakenOrders
from orderflow._core.secret import Secret, reveal
from orderflow._core.types import Amends, BodyKind, Role
from orderflow.exchanges.actions import (
    AccountBody,
    Action,
    AskMore,
    ClockRead,
    Endpoint,
    Fetch,
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
from orderflow.exchanges.facts import Facts, Limit, Limits, OrderCounter, OrderLimits, Tariff
from orderflow.exchanges.session import CLOCK, Session, SessionSettings
from orderflow.exchanges.steps import LARGEST_PRICE, LARGEST_QUANTITY, OLDER_DIGITS
from orderflow.instrument import Listing, choose_scales

ORDERS = "wss://ws-auth.kraken.com"
#: REST still writes these two the old way; v2 does not.
MODERN = {"XBT": "BTC", "XDG": "DOGE"}
#: Channels by the id of the requests for them: a refusal names the symbol and the id, not the channel.
CHANNELS = {1: "book", 2: "trade"}
#: What is asked about an order, and how many trades QueryTrades takes at once ("Spot REST").
OPEN, CLOSED, TRADES = "open orders", "closed orders", "trades"
METHODS = {OPEN: "OpenOrders", CLOSED: "ClosedOrders", TRADES: "QueryTrades"}
TRADES_AT_ONCE = 20
#: What is asked about the account in a round: method, weight ("ledger/trade history calls increase the counter by 2"),
#: and what it is called.
ROUND_CALLS = {BodyKind.ACCOUNT_ORDERS: ("OpenOrders", 1, "the open orders"),
               BodyKind.ACCOUNT_BALANCES: ("Balance", 1, "the balances"),
               BodyKind.ACCOUNT_TRADES: ("TradesHistory", 2, "the trades")}
#: Trades of one answer, the newest first.
TRADES_PAGE = 50
SECOND_NS, MICROSECOND_NS = 1_000_000_000, 1_000
#: What an account of each tier may do with the orders of a pair: up to so many points, of which one falls in so many
#: nanoseconds ("Spot rate limits: trading"). "unlimited" nobody has: simulated accounts may.
TIERS = {"starter": (60, SECOND_NS), "intermediate": (125, 427_350_428), "pro": (180, 266_666_667)}
PLACE = Tariff(1)
CANCEL = Tariff(0, tuple((seconds * SECOND_NS, points) for seconds, points in (
    (5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))))
AMEND = Tariff(1, tuple((seconds * SECOND_NS, points) for seconds, points in ((5, 3), (10, 2), (15, 1))))
#: Of an iceberg: display_qty is at least 1/15 of the quantity ("Spot WebSocket v2", "Add Order").
MOST_PARTS = 15
#: Errors that say that there were too many calls.
TOO_MANY = ("EAPI:Rate limit exceeded", "EGeneral:Too many requests", "EGeneral:Temporary lockout")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def signature(secret: Secret, path: str, nonce: str, body: str) -> str:
    """API-Sign of a private call: base 64 of HMAC-SHA512 over the path and the SHA-256 of nonce and body, with the
    decoded secret ("Spot REST", "Authentication")."""
    digest = hashlib.sha256((nonce + body).encode()).digest()
    return base64.b64encode(secret.hmac("sha512", path.encode() + digest)).decode()


def unix_time(text: str) -> tuple[int, int]:
    """Unix nanoseconds of an RFC 3339 time, and the unit of its last digit. ValueError for anything else."""
    digits = len(text.partition(".")[2].rstrip("Z"))
    found = (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1) * MICROSECOND_NS
    return found, 10 ** (9 - min(digits, 6))


class KrakenSession(Session):
    """Book snapshots come in the stream and every update carries a checksum; a resync is a new subscription."""

    title = "Kraken"
    protocol = "kraken_v2"
    production_rest = "https://api.kraken.com"
    production_stream = "wss://ws.kraken.com"
    path = "/v2"
    codec = KrakenMarketData
    channels = tuple(CHANNELS.values())
    facts = Facts(growing_trade_ids=True, fees_in="quote",
                  amends=Amends.AMENDS_PRICE_AND_QUANTITY)      # amend_order
    #: REST: below what the smallest account may do (a counter up to 15 that falls by one in three seconds).
    limits = Limits(connects=Limit(150, 600_000_000_000), requests=Limit(20, 60_000_000_000))

    def __init__(self, settings: SessionSettings):
        super().__init__(settings)
        self.orders = settings.orders or ORDERS
        self.depth = settings.depth or 1000
        self._trades: list[str] = []        # still to be asked for, of the question that is open
        self._rest_names: dict[str, tuple[str, ...]] = {}   # how REST spells pairs, by ours
        self._rest_assets: dict[str, str] = {}              # and assets
        self.tier = settings.tier or "starter"
        if self.tier != "unlimited":
            if self.tier not in TIERS:
                raise self.error(f"tier {self.tier!r}: expected {', '.join(TIERS)}")
            most, point_ns = TIERS[self.tier]
            self.order_limits = OrderLimits(counter=OrderCounter(most, point_ns, PLACE, CANCEL, AMEND))

    def metadata(self) -> list[Request]:
        """AssetPairs."""
        return [Request("AssetPairs", "GET", f"{self.rest}/0/public/AssetPairs")]

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols (v2 spelling, BTC/USD).

        Raises
        ------
        SessionError
            When a symbol is not offered; the message names it.
        """
        pairs = {}
        for key, entry in json.loads(bodies["AssetPairs"], parse_float=Decimal)["result"].items():
            name = entry.get("wsname")
            if name:
                base, quote = (MODERN.get(part, part) for part in name.split("/"))
                pairs[f"{base}/{quote}"] = entry
                self._rest_names[f"{base}/{quote}"] = tuple({key, entry.get("altname") or key, name})
                self._rest_assets |= {base: entry.get("base") or base, quote: entry.get("quote") or quote}
        result = []
        for symbol, entry in self.offered(pairs):
            base, quote = symbol.split("/")
            tick = Decimal(str(entry.get("tick_size", Decimal(1).scaleb(-entry["pair_decimals"]))))
            prices, quantities = choose_scales(
                entry["pair_decimals"] + OLDER_DIGITS, entry["lot_decimals"], LARGEST_PRICE, LARGEST_QUANTITY,
                entry["pair_decimals"], 0)
            result.append(Listing(
                self.settings.name, symbol, f"{base}-{quote}", base, quote, prices, quantities, tick,
                Decimal(1).scaleb(-quantities), minimum_quantity=Decimal(str(entry.get("ordermin", "0"))),
                minimum_notional=Decimal(str(entry.get("costmin", "0"))), depth=self.depth, most_parts=MOST_PARTS,
                halted=entry.get("status", "online") != "online"))
        return result

    def order_codec(self, table, symbols: dict[str, int]):
        """Codec of the order connection."""
        if not self.settings.trade:
            return None
        if self.settings.credentials is None:
            raise self.error("trade = true needs a key and a secret")
        try:
            self._secret = self.settings.credentials.secret.decoded()
        except ValueError as error:
            raise self.error(str(error)) from None
        self.assets = sorted({asset for item in self.indices.values() for asset in (item.base, item.quote)})
        self._order_codec = KrakenOrders(
            table, symbols, assets=self.assets,
            rest_symbols={name: index for symbol, index in symbols.items()
                          for name in self._rest_names.get(symbol, ())},
            rest_assets=[self._rest_assets.get(asset, asset) for asset in self.assets])
        return self._order_codec

    def endpoints(self) -> list[Endpoint]:
        """One market data connection, and one for orders when trading."""
        orders = Endpoint("orders", Role.ORDERS, f"{self.orders}{self.path}")
        return [*super().endpoints(), orders] if self.settings.trade else super().endpoints()

    def _private(self, purpose: str, method: str, unix_ns: int, question: OrderQuestion | None = None,
                 step: RoundStep | None = None, **parameters: str) -> Request:
        """A signed call."""
        path = f"/0/private/{method}"
        credentials = self.settings.credentials
        nonce = str(credentials.nonce(unix_ns))
        body = urlencode({"nonce": nonce, **parameters})
        headers = (("API-Key", reveal(credentials.key)), ("API-Sign", signature(self._secret, path, nonce, body)),
                   ("Content-Type", "application/x-www-form-urlencoded"))
        return Request(purpose, "POST", f"{self.rest}{path}", headers, body.encode(), secret=True, question=question,
                       weight=1 if step is None else self.round_weight(step), step=step)

    def order_calls(self, question: OrderQuestion, unix_ns: int) -> list[Request]:
        """Among the open ones, by the id that we gave it. What follows goes after the answer: calls that overtook each
        other would come with their nonces in the wrong order."""
        return [self._order_call(OPEN, question, unix_ns)]

    def order_answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """Of an order that is not open, the closed ones; of one that has trades, those."""
        question = request.question
        assert question is not None
        answer: dict = json.loads(body) if status == 200 else {"error": [body[:200].decode(errors="replace")]}
        if answer.get("error"):
            return [Problem(f"asked for {request.purpose} about {question.name}: {answer['error']}")]
        actions: list[Action] = []
        if request.purpose == TRADES:
            actions.append(OrderBody(question, BodyKind.ORDER_TRADES, body))
        else:
            actions.append(OrderBody(question, BodyKind.ORDER_LIST, body))
            orders = answer["result"]["open" if request.purpose == OPEN else "closed"].values()
            found = [order for order in orders if order.get("cl_ord_id") == question.name]
            self._trades = [trade for order in found for trade in order.get("trades") or ()]
            if request.purpose == OPEN and not found:
                return [*actions, Fetch(self._order_call(CLOSED, question, unix_ns))]
        if self._trades:
            some, self._trades = self._trades[:TRADES_AT_ONCE], self._trades[TRADES_AT_ONCE:]
            actions.append(Fetch(self._private(TRADES, METHODS[TRADES], unix_ns, question, txid=",".join(some))))
        return actions

    def _order_call(self, purpose: str, question: OrderQuestion, unix_ns: int) -> Request:
        return self._private(purpose, METHODS[purpose], unix_ns, question, cl_ord_id=question.name, trades="true")

    def round_steps(self, since_ns: int) -> list[RoundStep]:
        """All of it is of the account."""
        return [RoundStep(BodyKind.ACCOUNT_ORDERS), RoundStep(BodyKind.ACCOUNT_BALANCES),
                RoundStep(BodyKind.ACCOUNT_TRADES, since_ns=since_ns)]

    def round_weight(self, step: RoundStep) -> int:
        return ROUND_CALLS[step.kind][1]

    def round_call(self, step: RoundStep, unix_ns: int) -> Request:
        """Of trades, those after a time in seconds, so many of the newest passed over."""
        method, _, purpose = ROUND_CALLS[step.kind]
        wanted = {} if step.kind != BodyKind.ACCOUNT_TRADES else {
            "start": str(max(0, step.since_ns) // SECOND_NS), "ofs": str(step.page)}
        return self._private(purpose, method, unix_ns, None, step, **wanted)

    def round_answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """Trades that came while we turned the pages move the older ones on: some are told twice, none is missed."""
        step = request.step
        assert step is not None
        answer: dict = json.loads(body) if status == 200 else {"error": [body[:200].decode(errors="replace")]}
        if answer.get("error"):
            return [Problem(f"asked for {request.purpose}: {answer['error']}")]
        actions: list[Action] = [AccountBody(step, body)]
        if step.kind == BodyKind.ACCOUNT_TRADES and len(answer["result"]["trades"]) == TRADES_PAGE:
            actions.append(AskMore(replace(step, page=step.page + TRADES_PAGE)))
        return actions

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        """The order connection needs a token first."""
        if connection == "orders":
            return [Fetch(self._private("token", "GetWebSocketsToken", unix_ns))]
        return super().opened(connection, unix_ns)

    def subscribe(self, connection: str, wanted: Sequence[Subscription], unix_ns: int) -> list[Action]:
        """One request a channel; each symbol of it is acknowledged by itself."""
        actions: list[Action] = []
        for number, channel in CHANNELS.items():
            some = tuple(subscription for subscription in wanted if subscription.channel == channel)
            parameters: dict = {"channel": channel, "symbol": [subscription.symbol for subscription in some]}
            parameters |= {"depth": self.depth, "snapshot": True} if channel == "book" else {"snapshot": False}
            if some:
                actions.append(Send(connection, json.dumps({
                    "method": "subscribe", "params": parameters, "req_id": number}), awaits=some))
        return actions

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Answers to subscriptions, and to questions for the time."""
        message = json.loads(text)
        if message.get("method") == "pong" and "req_id" in message:
            received_ns, resolution_ns = unix_time(message["time_in"])
            return [ClockRead(received_ns, unix_time(message["time_out"])[0], resolution_ns, message["req_id"])]
        if message.get("method") == "subscribe":
            about = message.get("result") or {"channel": CHANNELS.get(message.get("req_id")), **message}
            said = answered(connection, (Subscription(about.get("channel") or "", about.get("symbol") or ""),))
            if message.get("success"):
                return [Ready(connection), *said, *self._check_tier(about.get("maxratecount"))]
            refused: list[Action] = [Problem(f"{message.get('error')} ({message.get('symbol', '')})"), *said]
            if connection == "orders":
                refused.append(Reconnect(connection, "it cannot hear of its orders"))
            return refused
        return []

    def _check_tier(self, most: int | None) -> list[Action]:
        """The exchange says how far the account's counters may go: the tier should be that one."""
        counter = self.order_limits.counter
        if most is None or counter is None or most == counter.most:
            return []
        right = next((tier for tier, (known, _) in TIERS.items() if known == most), "")
        return [Problem(f"the account's rate counter goes up to {most}, that of tier {self.tier!r} to {counter.most}"
                        + (f"; set tier = \"{right}\"" if right else ""))]

    def too_much(self, status: int, body: bytes) -> bool:
        """Kraken says it in the body of a good answer."""
        return status == 200 and any(error.encode() in body[:200] for error in TOO_MANY)

    def leave(self, symbol: str, unix_ns: int) -> list[Action]:
        params = {"channel": "book", "symbol": [symbol], "depth": self.depth}
        return [Send("market", json.dumps({"method": "unsubscribe", "params": params}))]

    # Its clock decides nothing but whether an order is past its deadline; tokens are signed with a nonce, which is made
    # of the time and only has to grow.

    def clock_call(self) -> Request:
        """"Get Server Time": whole seconds."""
        return Request(CLOCK, "GET", f"{self.rest}/0/public/Time")

    def clock_read(self, body: bytes) -> ClockRead:
        shown_ns = int(json.loads(body)["result"]["unixtime"]) * SECOND_NS
        return ClockRead(shown_ns, shown_ns, SECOND_NS)

    def clock_frame(self, number: int) -> Send:
        """A ping: the pong says when that was received and when it was answered, in microseconds."""
        return Send("orders", json.dumps({"method": "ping", "req_id": number}))

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """The token of the order connection; Kraken's books need no REST."""
        if request.purpose != "token":
            return []
        answer: dict = json.loads(body) if status == 200 else {"error": [body[:200].decode(errors="replace")]}
        if answer.get("error"):
            return [Problem(f"no token for the order connection: {answer['error']}"),
                    Reconnect("orders", "it has no token")]
        token = answer["result"]["token"]
        self._order_codec.set_token(token)
        return [Send("orders", json.dumps({"method": "subscribe", "params": {
            "channel": "executions", "snap_orders": True, "snap_trades": False, "ratecounter": True,
            "token": token}, "req_id": 1}),
                     secret=True)]
