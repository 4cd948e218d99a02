"""BitMEX. Sources: BitMEX's "WebSocket API" (subscriptions, heartbeats, rate limits) and "API Explorer" (Instrument).
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

from orderflow._core.codecs.bitmex import BitmexMarketData
from orderflow.exchanges.actions import Action, KeepAlive, Problem, Ready, Request, Send, Subscription, answered
from orderflow.exchanges.session import Session
from orderflow.exchanges.steps import scales_of
from orderflow.instrument import Listing, significant_decimals

#: BitMEX asks for a ping after five seconds of silence.
PING_EVERY_NS = 5_000_000_000
#: What BitMEX calls XBT, other exchanges call BTC.
CURRENCIES = {"XBT": "BTC"}
SPOT = "IFXXXP"
#: Settlement currencies by their smallest unit, of which `multiplier` counts.
UNITS = {"XBt": Decimal(10) ** 8, "USDt": Decimal(10) ** 6, "Gwei": Decimal(10) ** 9}


class BitmexSession(Session):
    """Book snapshots come in the stream, updates carry no number; a resync is a new subscription of that book.

    Quantities are contracts.
    """

    title = "BitMEX"
    protocol = "bitmex"
    production_rest = "https://www.bitmex.com"
    production_stream = "wss://ws.bitmex.com"
    path = "/realtime"
    codec = BitmexMarketData
    channels = ("orderBookL2", "trade")
    #: Topics a request. Requests cost of the rate limit, so there are few of them; each stays a small frame.
    subscribed_at_once = 100

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
            raise self.error(f"instruments were refused: {answer.get('error', {}).get('message')}")
        known = {entry["symbol"]: entry for entry in answer}
        return [self._listing(entry) for _, entry in self.offered(known)]

    def _listing(self, entry: dict) -> Listing:
        tick, lot = Decimal(entry["tickSize"]), Decimal(entry["lotSize"])
        prices, _, largest = scales_of(tick, lot, Decimal(entry.get("maxOrderQty") or 0))
        quantities = significant_decimals(lot)      # contracts are counted, and never were cut finer
        instrument, base, quote = named(entry)
        return Listing(
            self.settings.name, entry["symbol"], instrument, base, quote, prices, quantities, tick, lot,
            minimum_quantity=lot, maximum_quantity=largest, halted=entry.get("state", "Open") != "Open")

    def keep_alive(self, connection: str, unix_ns: int) -> list[Action]:
        return [KeepAlive(connection, "ping", PING_EVERY_NS)]

    def subscribe(self, connection: str, wanted: Sequence[Subscription], unix_ns: int) -> list[Action]:
        """Each table of an instrument is acknowledged by itself."""
        some = [wanted[at:at + self.subscribed_at_once] for at in range(0, len(wanted), self.subscribed_at_once)]
        return [Send(connection, json.dumps({"op": "subscribe", "args": list(map(":".join, part))}), awaits=tuple(part))
                for part in some]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """The welcome, answers to subscriptions, errors."""
        message = json.loads(text)
        if "error" in message:
            asked = (message.get("request") or {}).get("args")
            refused = [_named(topic) for topic in asked or () if isinstance(topic, str)
                       and (topic in message["error"] or _named(topic).symbol in message["error"])]
            return [Problem(f"{message['error']} (status {message.get('status')})"
                            + (f", asked for {asked}" if asked else "")), *answered(connection, tuple(refused))]
        if not message.get("success") or "subscribe" not in message:
            return []
        return [Ready(connection), *answered(connection, (_named(message["subscribe"]),))]

    def leave(self, symbol: str, unix_ns: int) -> list[Action]:
        return [Send("market", json.dumps({"op": "unsubscribe", "args": [f"{self.channels[0]}:{symbol}"]}))]


def _named(topic: str) -> Subscription:
    table, _, symbol = topic.partition(":")
    return Subscription(table, symbol)


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
