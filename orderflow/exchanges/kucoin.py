"""KuCoin spot.

Sources: KuCoin's "WebSocket API" (introduction, Orderbook - Increment, Trade, Ticker), "Spot market data" over REST
(Get All Symbols, Get Full OrderBook, Get Part OrderBook) and "Authentication".
"""
from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from decimal import Decimal
from urllib.parse import parse_qsl, urlencode, urlsplit

from orderflow._core.codecs.kucoin import KucoinMarketData
from orderflow._core.integrity import SyncRule
from orderflow._core.secret import reveal
from orderflow._core.types import Role
from orderflow.credentials import Credentials
from orderflow.exchanges.actions import (
    Action,
    Endpoint,
    KeepAlive,
    NumberedRequests,
    Open,
    Problem,
    Ready,
    Reconnect,
    Request,
    Send,
    Subscription,
    answered,
    by_channel,
)
from orderflow.exchanges.facts import Facts, Limit, Limits
from orderflow.exchanges.session import Session, SessionSettings
from orderflow.exchanges.steps import QUANTITY_STEPS, scales_of_book
from orderflow.instrument import Listing, WireDigits

MILLISECOND_NS = 1_000_000
TOKEN = "token"
ACCEPTED = "200000"
BOOK, TRADES, QUOTES = "/market/level2", "/market/match", "/market/ticker"
SYMBOLS_A_REQUEST = 100
TOPICS_A_CONNECTION = 400
PING = json.dumps({"id": "ping", "type": "ping"})
#: The whole book, for who has a key; the best 100 levels a side, for everybody.
WHOLE, PART = "/api/v3/market/orderbook/level2", "/api/v1/market/orderbook/level2_100"
PART_LEVELS = 100
#: What a fill leaves of an order was recorded with 11 decimals, where the lot has 8.
FILL_DECIMALS = 12
#: The code of an error that says that a token has expired or is not known.
BAD_TOKEN = 401


class KucoinSession(Session):
    """The address of the connection is asked for, with a token in it; updates are joined with a REST snapshot.

    With credentials that snapshot is the whole book; without, its best 100 levels a side, and what lies beyond them is
    known only once it has changed.
    """

    title = "KuCoin"
    protocol = "kucoin"
    production_rest = "https://api.kucoin.com"
    production_stream = ""              # as KuCoin says; a setting takes its place
    codec = KucoinMarketData
    channels = (BOOK, TRADES, QUOTES)
    limits = Limits(connects=Limit(30, 60_000_000_000), messages=Limit(100, 10_000_000_000))
    rule = SyncRule.CONTIGUOUS_RANGE
    facts = Facts(shared_book_ids=True, growing_trade_ids=True)

    def __init__(self, settings: SessionSettings):
        super().__init__(settings)
        self.ping_every_ns = 0          # as KuCoin says too
        self._requests = NumberedRequests()

    # -- metadata -----------------------------------------------------------------------------------------------

    def metadata(self) -> list[Request]:
        """All symbols, and the best of each configured one's book: resting orders are finer than the lot."""
        requests = [Request("symbols", "GET", f"{self.rest}/api/v2/symbols")]
        return requests + [Request(f"book {symbol}", "GET", f"{self.rest}{PART}?symbol={symbol}")
                           for symbol in self.settings.symbols]

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols (BTC-USDT).

        Raises
        ------
        SessionError
            When KuCoin refuses, a symbol is not offered, or there are more of them than one connection carries.
        """
        answer = json.loads(bodies["symbols"])
        if answer.get("code") != ACCEPTED:
            raise self.error(f"symbols were refused: {answer.get('msg')} (code {answer.get('code')})")
        most = TOPICS_A_CONNECTION // len(self.channels)
        if len(self.settings.symbols) > most:
            raise self.error(f"KuCoin takes {most} symbols a connection, `symbols` has {len(self.settings.symbols)}; "
                             "make it two exchanges in the configuration")
        known = {entry["symbol"]: entry for entry in answer["data"]}
        result = []
        for symbol, entry in self.offered(known):
            digits = WireDigits()
            book = json.loads(bodies.get(f"book {symbol}", b"{}")).get("data") or {}
            for side in ("bids", "asks"):
                digits.observe_levels(book.get(side, ()))
            result.append(self._listing(symbol, entry, digits))
        return result

    def _listing(self, symbol: str, entry: dict, digits: WireDigits) -> Listing:
        """A symbol keeps its name when a currency is renamed; the instrument is what is traded today.

        `baseMaxSize` is 10^10 of nearly everything: the scale need not hold it.
        """
        tick, lot = Decimal(entry["priceIncrement"]), Decimal(entry["baseIncrement"])
        base, quote = entry["baseCurrency"], entry["quoteCurrency"]
        prices, quantities, _ = scales_of_book(tick, lot, digits, FILL_DECIMALS)
        largest = Decimal(entry.get("baseMaxSize") or 0)
        return Listing(
            self.settings.name, symbol, f"{base}-{quote}", base, quote, prices, quantities, tick, lot,
            minimum_quantity=Decimal(entry.get("baseMinSize") or 0),
            maximum_quantity=min(largest, QUANTITY_STEPS.scaleb(-quantities)),
            minimum_notional=Decimal(entry.get("minFunds") or entry.get("quoteMinSize") or 0),
            halted=not entry.get("enableTrading", True))

    # -- connections --------------------------------------------------------------------------------------------

    def endpoints(self) -> list[Endpoint]:
        """One connection, whose address only `prepare` finds out."""
        return [Endpoint("market", Role.MARKET_DATA, "")]

    def prepare(self, connection: str) -> Request:
        return Request(TOKEN, "POST", f"{self.rest}/api/v1/bullet-public", secret=True)

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """Where to connect to, and how often to ping there."""
        if request.purpose != TOKEN or status != 200:
            return super().answer(request, status, body, unix_ns)
        answer = json.loads(body)
        if answer.get("code") != ACCEPTED:
            return [Problem(f"{request.url}: {answer.get('msg')} (code {answer.get('code')})")]
        server = answer["data"]["instanceServers"][0]
        self.ping_every_ns = int(server["pingInterval"]) * MILLISECOND_NS
        base = self.stream or server["endpoint"]
        asked = urlencode({"token": answer["data"]["token"], "connectId": unix_ns})
        return [Open("market", f"{base if urlsplit(base).path else base + '/'}?{asked}")]

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        """Nothing may be asked for before the welcome."""
        return []

    def keep_alive(self, connection: str, unix_ns: int) -> list[Action]:
        return [KeepAlive(connection, PING, self.ping_every_ns)]

    def subscribe(self, connection: str, wanted: Sequence[Subscription], unix_ns: int) -> list[Action]:
        """One request for many symbols of a topic, which is answered as a whole."""
        return [self._request(connection, "subscribe", some[at:at + SYMBOLS_A_REQUEST])
                for some in by_channel(wanted).values() for at in range(0, len(some), SYMBOLS_A_REQUEST)]

    def _request(self, connection: str, kind: str, some: Sequence[Subscription]) -> Send:
        awaits = tuple(some) if kind == "subscribe" else ()
        return Send(connection, json.dumps({
            "id": str(self._requests.number(awaits)), "type": kind, "response": True,
            "topic": f"{some[0].channel}:{','.join(one.symbol for one in some)}"}), awaits=awaits)

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """The welcome, answers to subscriptions, errors."""
        message = json.loads(text)
        kind = message.get("type")
        if kind == "welcome":
            return super().opened(connection, unix_ns)
        number = str(message.get("id"))
        said = answered(connection, self._requests.answered(int(number)) if number.isdecimal() else ())
        if kind == "ack":
            return [Ready(connection), *said]
        problem = f"{message.get('data')} (code {message.get('code')})"
        return [Reconnect(connection, problem) if message.get("code") == BAD_TOKEN else Problem(problem), *said]

    # -- books --------------------------------------------------------------------------------------------------

    def snapshot_url(self, symbol: str) -> str:
        return f"{self.rest}{PART if self.settings.credentials is None else WHOLE}?symbol={symbol}"

    def snapshot_headers(self, url: str, unix_ns: int) -> tuple[tuple[str, str], ...]:
        if self.settings.credentials is None:
            return ()
        return signed(self.settings.credentials, url.removeprefix(self.rest), unix_ns)

    def snapshot_symbol(self, url: str) -> str:
        parts = urlsplit(url)
        return dict(parse_qsl(parts.query)).get("symbol", "") if "/market/orderbook/level2" in parts.path else ""

    def snapshot_levels(self, url: str) -> int:
        return PART_LEVELS if urlsplit(url).path.endswith(PART) else 0

    def leave(self, symbol: str, unix_ns: int) -> list[Action]:
        return [self._request("market", "unsubscribe", [Subscription(BOOK, symbol)])]


def signed(credentials: Credentials, target: str, unix_ns: int) -> tuple[tuple[str, str], ...]:
    """Headers that say whose a GET of `target`, path and query, is."""
    def digest(text: str) -> str:
        return base64.b64encode(credentials.secret.hmac("sha256", text.encode())).decode()

    stamp = f"{unix_ns // MILLISECOND_NS}"
    passphrase = reveal(credentials.passphrase) if credentials.passphrase else ""
    return (("KC-API-KEY", reveal(credentials.key)), ("KC-API-SIGN", digest(f"{stamp}GET{target}")),
            ("KC-API-TIMESTAMP", stamp), ("KC-API-PASSPHRASE", digest(passphrase)),
            ("KC-API-KEY-VERSION", "2"))
