"""BitMEX. Sources: BitMEX's "WebSocket API" (subscriptions, heartbeats, rate limits) and "API Explorer" (Instrument).
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

from orderflow._core.codecs.bitmex import BitmexMarketData
from orderflow._core.integrity import SyncRule
from orderflow._core.types import BookFault, Role
from orderflow.exchanges.session import (
    Action,
    Endpoint,
    Facts,
    KeepAlive,
    Problem,
    Ready,
    Request,
    Send,
    SessionError,
    SessionSettings,
)
from orderflow.exchanges.steps import scales_of
from orderflow.instrument import Listing, significant_decimals

REST = "https://www.bitmex.com"
STREAM = "wss://ws.bitmex.com"
PATH = "/realtime"
#: BitMEX asks for a ping after five seconds of silence.
PING_EVERY_NS = 5_000_000_000
#: What BitMEX calls XBT, other exchanges call BTC.
CURRENCIES = {"XBT": "BTC"}
SPOT = "IFXXXP"
#: Settlement currencies by their smallest unit, of which `multiplier` counts.
UNITS = {"XBt": Decimal(10) ** 8, "USDt": Decimal(10) ** 6, "Gwei": Decimal(10) ** 9}


class BitmexSession:
    """Book snapshots come in the stream, updates carry no number; a resync is a new subscription of that book.

    Quantities are contracts.
    """

    protocol = "bitmex"
    rule = SyncRule.IN_BAND
    facts = Facts()
    #: Topics a request. Requests cost of the rate limit, so there are few of them; each stays a small frame.
    subscribed_at_once = 100

    def __init__(self, settings: SessionSettings):
        self.settings = settings
        self.rest = settings.rest or REST
        self.stream = settings.stream or STREAM
        self.indices: dict[int, Listing] = {}
        self.assets: list[str] = []

    def metadata(self) -> list[Request]:
        """All instruments that are traded now."""
        return [Request("instruments", "GET", f"{self.rest}/api/v1/instrument/active")]

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols (XBTUSD).

        Raises
        ------
        SessionError
            When BitMEX refuses, or a symbol is not offered; the message names it.
        """
        answer = json.loads(bodies["instruments"], parse_float=Decimal)
        if isinstance(answer, dict):
            raise SessionError(f"exchange {self.settings.name}: instruments were refused: "
                               f"{answer.get('error', {}).get('message')}")
        known = {entry["symbol"]: entry for entry in answer}
        for symbol in self.settings.symbols:
            if symbol not in known:
                raise SessionError(f"exchange {self.settings.name}: symbol {symbol!r} is not offered; check `symbols`")
        return [self._listing(known[symbol]) for symbol in self.settings.symbols]

    def _listing(self, entry: dict) -> Listing:
        tick, lot = Decimal(entry["tickSize"]), Decimal(entry["lotSize"])
        prices, _, largest = scales_of(tick, lot, Decimal(entry.get("maxOrderQty") or 0))
        quantities = significant_decimals(lot)      # contracts are counted, and never were cut finer
        instrument, base, quote = named(entry)
        return Listing(
            self.settings.name, entry["symbol"], instrument, base, quote, prices, quantities, tick, lot,
            minimum_quantity=lot, maximum_quantity=largest, halted=entry.get("state", "Open") != "Open")

    @staticmethod
    def snapshot_symbol(url: str) -> str:
        """Books come in the stream; no REST answer is one."""
        return ""

    def start(self, indices: Sequence[int], listings: Sequence[Listing]) -> None:
        """The index that each listing got in the engine."""
        self.indices = dict(zip(indices, listings, strict=True))

    def market_codec(self, table, symbols: dict[str, int]):
        """Codec of the market data connection."""
        return BitmexMarketData(table, symbols)

    def order_codec(self, table, symbols: dict[str, int]):
        """Orders are not supported yet."""
        if self.settings.trade:
            raise SessionError(f"exchange {self.settings.name}: orders are not supported on BitMEX yet; "
                               "set trade = false")
        return None

    def endpoints(self) -> list[Endpoint]:
        """One market data connection."""
        return [Endpoint("market", Role.MARKET_DATA, f"{self.stream}{PATH}")]

    def prepare(self, connection: str) -> Request | None:
        """Its address is known."""
        return None

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        """Subscribe."""
        actions: list[Action] = [KeepAlive(connection, "ping", PING_EVERY_NS)]
        if self.settings.subscribe:
            return actions + [Send(connection, text) for text in self.settings.subscribe]
        wanted = [f"{table}:{symbol}" for symbol in self.settings.symbols for table in ("orderBookL2", "trade")]
        return actions + [
            Send(connection, json.dumps({"op": "subscribe", "args": wanted[at:at + self.subscribed_at_once]}))
            for at in range(0, len(wanted), self.subscribed_at_once)]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """The welcome, answers to subscriptions, errors."""
        message = json.loads(text)
        if "error" in message:
            asked = (message.get("request") or {}).get("args")
            return [Problem(f"{message['error']} (status {message.get('status')})"
                            + (f", asked for {asked}" if asked else ""))]
        return [Ready(connection)] if message.get("success") and "subscribe" in message else []

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """Leave and join the book of that instrument alone."""
        args = [f"orderBookL2:{self.indices[listing].symbol}"]
        return [Send("market", json.dumps({"op": method, "args": args})) for method in ("unsubscribe", "subscribe")]

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """Nothing is asked for while running."""
        return []


def named(entry: dict) -> tuple[str, str, str]:
    """Instrument, base and quote of an entry of the instruments.

    Quantities count contracts. So the name says how much one is, unless it is one unit of the base: books of other
    exchanges must not be added up with these. A quanto contract is worth so much of its settlement currency a point.
    """
    base, quote, settled = entry["underlying"], entry["quoteCurrency"], entry.get("settlCurrency") or ""
    base, quote = CURRENCIES.get(base, base), CURRENCIES.get(quote, quote)
    expiry = entry.get("expiry")
    term = "" if entry.get("typ") == SPOT else f"-{expiry[2:10].replace('-', '')}" if expiry else "-PERPETUAL"
    if entry.get("isInverse"):
        size = abs(Decimal(entry["multiplier"])) / UNITS.get(settled, Decimal(1))
        unit = f"-{size.normalize():f}{quote}"
    elif entry.get("isQuanto"):
        unit = f"-QUANTO{abs(Decimal(entry['multiplier'])).normalize():f}{settled}"
    else:
        size = 1 / Decimal(entry.get("underlyingToPositionMultiplier") or 1)
        unit = "" if size == 1 else f"-{size.normalize():f}{base}"
    return f"{base}-{quote}{term}{unit}", base, quote
