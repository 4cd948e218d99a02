"""OKX spot, perpetual and dated contracts, API v5. Source: OKX's "API v5" guide, public WebSocket and instruments."""
from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from orderflow._core.codecs.okx import OkxMarketData
from orderflow.exchanges.actions import (
    Action,
    KeepAlive,
    Problem,
    Ready,
    Reconnect,
    Request,
    Send,
    Subscription,
    answered,
)
from orderflow.exchanges.facts import Facts, Limit, Limits
from orderflow.exchanges.session import Session, SessionSettings
from orderflow.exchanges.steps import scales_of
from orderflow.instrument import Listing

#: A connection over which nothing came for 30 s is closed.
PING_EVERY_NS = 20_000_000_000
#: Notice of an upgrade of the service: the connection will be closed within a minute.
UPGRADE = "64008"
#: How a refusal says what it refuses: "Wrong URL or channel:books,instId:BTC-USDX doesn't exist."
REFUSED = re.compile(r"channel:([\w-]+),instId:([\w-]+)")
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


class OkxSession(Session):
    """Book snapshots come in the stream; updates are chained, once with checksums. A resync is a new subscription."""

    title = "OKX"
    protocol = "okx"
    production_rest = "https://www.okx.com"
    production_stream = "wss://ws.okx.com:8443"
    path = "/ws/v5/public"
    codec = OkxMarketData
    channels = ("books", "trades")
    facts = Facts(shared_book_ids=True, growing_trade_ids=True, kept_levels=400)
    limits = Limits(connects=Limit(3, 1_000_000_000), messages=Limit(480, 3_600_000_000_000))
    #: Channels a request: a request is at most 64 KB.
    subscribed_at_once = 400

    def __init__(self, settings: SessionSettings):
        silence_ns = max(settings.silence_ns, SHORTEST_SILENCE_NS) if settings.silence_ns else 0
        super().__init__(replace(settings, silence_ns=silence_ns))

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
                raise self.error(f"{purpose} were refused: {answer.get('msg')} (code {answer.get('code')})")
            known |= {entry["instId"]: entry for entry in answer["data"]}
        for symbol in self.settings.symbols:
            if instrument_type(symbol) == "OPTION":
                raise self.error(f"{symbol!r} is an option; options are not supported")
        return [self._listing(entry) for _, entry in self.offered(known)]

    def _listing(self, entry: dict) -> Listing:
        tick, lot = Decimal(entry["tickSz"]), Decimal(entry["lotSz"])
        prices, quantities, largest = scales_of(tick, lot, Decimal(entry.get("maxLmtSz") or 0))
        instrument, base, quote = named(entry)
        return Listing(
            self.settings.name, entry["instId"], instrument, base, quote, prices, quantities, tick, lot,
            minimum_quantity=Decimal(entry.get("minSz") or 0), maximum_quantity=largest,
            halted=entry.get("state", "live") != "live")

    def keep_alive(self, connection: str, unix_ns: int) -> list[Action]:
        return [KeepAlive(connection, "ping", PING_EVERY_NS)]

    def subscribe(self, connection: str, wanted: Sequence[Subscription], unix_ns: int) -> list[Action]:
        """Each channel of an instrument is acknowledged by itself."""
        return [Send(connection, json.dumps({"op": "subscribe", "args": [
            {"channel": channel, "instId": symbol} for channel, symbol in some]}), awaits=tuple(some))
            for some in chunks(wanted, self.subscribed_at_once)]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Answers to subscriptions, errors, notices."""
        message = json.loads(text)
        event = message.get("event")
        if event == "subscribe":
            asked = message.get("arg") or {}
            return [Ready(connection),
                    *answered(connection, (Subscription(asked.get("channel", ""), asked.get("instId", "")),))]
        if event == "notice" and message.get("code") == UPGRADE:
            return [Reconnect(connection, f"the exchange announced an upgrade: {message.get('msg')}")]
        if event in ("error", "notice"):
            named = tuple(Subscription(*found) for found in REFUSED.findall(message.get("msg") or ""))
            return [Problem(f"{message.get('msg')} (code {message.get('code')})"), *answered(connection, named)]
        return []

    def leave(self, symbol: str, unix_ns: int) -> list[Action]:
        args = [{"channel": self.channels[0], "instId": symbol}]
        return [Send("market", json.dumps({"op": "unsubscribe", "args": args}))]


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
