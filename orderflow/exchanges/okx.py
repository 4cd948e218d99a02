"""OKX spot, perpetual and dated contracts, API v5. Source: OKX's "API v5" guide, public WebSocket and instruments."""
from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from orderflow._core.codecs.okx import OkxMarketData
from orderflow._core.integrity import SyncRule
from orderflow._core.types import BookFault, Role
from orderflow.exchanges.session import (
    Action,
    Endpoint,
    Facts,
    KeepAlive,
    Problem,
    Ready,
    Reconnect,
    Request,
    Send,
    SessionError,
    SessionSettings,
)
from orderflow.exchanges.steps import scales_of
from orderflow.instrument import Listing

REST = "https://www.okx.com"
STREAM = "wss://ws.okx.com:8443"
PATH = "/ws/v5/public"
#: A connection over which nothing came for 30 s is closed.
PING_EVERY_NS = 20_000_000_000
#: Notice of an upgrade of the service: the connection will be closed within a minute.
UPGRADE = "64008"
#: Of a book that does not change, OKX says so about once a minute: only silence beyond that means something.
SHORTEST_SILENCE_NS = 75_000_000_000


def instrument_type(symbol: str) -> str:
    """`instType` of an instrument, which its spelling says: BTC-USDT, BTC-USDT-SWAP, BTC-USD-220527, BTC-USD-...-C."""
    parts = symbol.split("-")
    if len(parts) < 3:
        return "SPOT"
    if len(parts) > 3:
        return "OPTION"
    return "SWAP" if parts[2] == "SWAP" else "FUTURES"


def chunks(items: Sequence, size: int) -> Iterable[Sequence]:
    """The items in their order, so many at a time."""
    return (items[at:at + size] for at in range(0, len(items), size))


class OkxSession:
    """Book snapshots come in the stream; updates are chained, once with checksums. A resync is a new subscription."""

    protocol = "okx"
    rule = SyncRule.IN_BAND
    facts = Facts(shared_book_ids=True, growing_trade_ids=True, kept_levels=400)
    #: Channels a request: a request is at most 64 KB.
    subscribed_at_once = 400

    def __init__(self, settings: SessionSettings):
        silence_ns = max(settings.silence_ns, SHORTEST_SILENCE_NS) if settings.silence_ns else 0
        self.settings = replace(settings, silence_ns=silence_ns)
        self.rest = settings.rest or REST
        self.stream = settings.stream or STREAM
        self.indices: dict[int, Listing] = {}
        self.assets: list[str] = []

    def metadata(self) -> list[Request]:
        """The instruments of each type that is configured."""
        types = dict.fromkeys(map(instrument_type, self.settings.symbols))
        return [Request(f"instruments {name}", "GET", f"{self.rest}/api/v5/public/instruments?instType={name}")
                for name in types if name != "OPTION"]

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols.

        Raises
        ------
        SessionError
            When OKX refuses, or a symbol is not offered; the message names it.
        """
        known: dict[str, dict] = {}
        for purpose, body in bodies.items():
            answer = json.loads(body)
            if answer.get("code") != "0":
                raise SessionError(f"exchange {self.settings.name}: {purpose} were refused: {answer.get('msg')} "
                                   f"(code {answer.get('code')})")
            known |= {entry["instId"]: entry for entry in answer["data"]}
        for symbol in self.settings.symbols:
            if instrument_type(symbol) == "OPTION":
                raise SessionError(f"exchange {self.settings.name}: {symbol!r} is an option; options are not supported")
            if symbol not in known:
                raise SessionError(f"exchange {self.settings.name}: symbol {symbol!r} is not offered; check `symbols`")
        return [self._listing(known[symbol]) for symbol in self.settings.symbols]

    def _listing(self, entry: dict) -> Listing:
        tick, lot = Decimal(entry["tickSz"]), Decimal(entry["lotSz"])
        prices, quantities, largest = scales_of(tick, lot, Decimal(entry.get("maxLmtSz") or 0))
        instrument, base, quote = named(entry)
        return Listing(
            self.settings.name, entry["instId"], instrument, base, quote, prices, quantities, tick, lot,
            minimum_quantity=Decimal(entry.get("minSz") or 0), maximum_quantity=largest,
            halted=entry.get("state", "live") != "live")

    @staticmethod
    def snapshot_symbol(url: str) -> str:
        """Books come in the stream; no REST answer is one."""
        return ""

    def start(self, indices: Sequence[int], listings: Sequence[Listing]) -> None:
        """The index that each listing got in the engine."""
        self.indices = dict(zip(indices, listings, strict=True))

    def market_codec(self, table, symbols: dict[str, int]):
        """Codec of the market data connection."""
        return OkxMarketData(table, symbols)

    def order_codec(self, table, symbols: dict[str, int]):
        """Orders are not supported yet."""
        if self.settings.trade:
            raise SessionError(f"exchange {self.settings.name}: orders are not supported on OKX yet; set trade = false")
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
        wanted = [{"channel": channel, "instId": symbol}
                  for symbol in self.settings.symbols for channel in ("books", "trades")]
        return actions + [Send(connection, json.dumps({"op": "subscribe", "args": args}))
                          for args in chunks(wanted, self.subscribed_at_once)]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Answers to subscriptions, errors, notices."""
        message = json.loads(text)
        event = message.get("event")
        if event == "subscribe":
            return [Ready(connection)]
        if event == "notice" and message.get("code") == UPGRADE:
            return [Reconnect(connection, f"the exchange announced an upgrade: {message.get('msg')}")]
        if event in ("error", "notice"):
            return [Problem(f"{message.get('msg')} (code {message.get('code')})")]
        return []

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """Leave and join the book channel of that instrument alone."""
        args = [{"channel": "books", "instId": self.indices[listing].symbol}]
        return [Send("market", json.dumps({"op": method, "args": args})) for method in ("unsubscribe", "subscribe")]

    def answer(self, request: Request, status: int, body: bytes, unix_ns: int) -> list[Action]:
        """Nothing is asked for while running."""
        return []


def named(entry: dict) -> tuple[str, str, str]:
    """Instrument, base and quote of an entry of the instruments.

    Quantities of contracts count contracts. So the name of the instrument says how much one is, unless it is one unit
    of the base: books of other exchanges must not be added up with these.
    """
    if entry["instType"] == "SPOT":
        return f"{entry['baseCcy']}-{entry['quoteCcy']}", entry["baseCcy"], entry["quoteCcy"]
    base, quote, term = entry["instId"].split("-")
    size = Decimal(entry.get("ctVal") or 1) * Decimal(entry.get("ctMult") or 1)
    currency = entry.get("ctValCcy") or base
    unit = "" if size == 1 and currency == base else f"-{size.normalize():f}{currency}"
    return f"{base}-{quote}-{'PERPETUAL' if term == 'SWAP' else term}{unit}", base, quote
