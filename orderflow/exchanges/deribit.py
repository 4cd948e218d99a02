"""Deribit: futures, options and spot. Source: docs.deribit.com, "JSON-RPC", "Subscriptions", public/get_instrument."""
from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from urllib.parse import quote

from orderflow._core.codecs.deribit import DeribitMarketData
from orderflow.exchanges.actions import (
    Action,
    Answered,
    KeepAlive,
    Problem,
    Ready,
    Request,
    Send,
    Subscription,
    answered,
    by_symbol,
)
from orderflow.exchanges.facts import Facts, Limit, Limits
from orderflow.exchanges.session import Session
from orderflow.exchanges.steps import day_of, scales_of
from orderflow.instrument import Listing

REST_PATH = "/api/v2"
#: Books and trades of every change (raw) are for connections that have logged in.
INTERVAL = "100ms"
#: Connections over which nothing was asked for ten minutes are closed.
TEST_EVERY_NS = 30_000_000_000
#: Id of what needs no look at its answer; subscriptions count from 1.
QUIET_ID = 0


class DeribitSession(Session):
    """Snapshots come in the stream; each change names the one before it. A resync is a new subscription."""

    title = "Deribit"
    protocol = "deribit"
    production_rest = "https://www.deribit.com"
    production_stream = "wss://www.deribit.com"
    path = "/ws/api/v2"
    codec = DeribitMarketData
    channels = ("book", "trades")
    facts = Facts(shared_book_ids=True, growing_trade_ids=True)
    limits = Limits(messages=Limit(10, 3_000_000_000), by_address=True)     # what subscribing may cost

    def metadata(self) -> list[Request]:
        """Each instrument: the list of all is thousands of options long."""
        return [Request(f"instrument {symbol}", "GET",
                        f"{self.rest}{REST_PATH}/public/get_instrument?instrument_name={quote(symbol)}")
                for symbol in self.settings.symbols]

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols (BTC-PERPETUAL).

        Raises
        ------
        SessionError
            When a symbol is not offered; the message names it.
        """
        result = []
        for symbol in self.settings.symbols:
            answer = json.loads(bodies[f"instrument {symbol}"], parse_float=Decimal)
            entry = answer.get("result") or {}
            if entry.get("instrument_name") != symbol:
                raise self.error(f"symbol {symbol!r} is not offered "
                                 f"({(answer.get('error') or {}).get('message')}); check `symbols`")
            result.append(self._listing(symbol, entry))
        return result

    def _listing(self, symbol: str, entry: dict) -> Listing:
        tick = min(Decimal(one["tick_size"]) for one in (entry, *entry.get("tick_size_steps", ())))
        least = Decimal(entry["min_trade_amount"])
        lot = min(Decimal(entry["contract_size"]), least)
        prices, quantities, largest = scales_of(tick, lot, Decimal(0))
        return Listing(self.settings.name, symbol, instrument_of(entry), entry["base_currency"],
                       entry["quote_currency"], prices, quantities, tick, lot, minimum_quantity=least,
                       maximum_quantity=largest,
                       halted=not entry.get("is_active", True) or entry.get("state", "open") != "open")

    def keep_alive(self, connection: str, unix_ns: int) -> list[Action]:
        return [KeepAlive(connection, _text("public/test", {}, QUIET_ID), TEST_EVERY_NS)]

    def subscribe(self, connection: str, wanted: Sequence[Subscription], unix_ns: int) -> list[Action]:
        """Each symbol in a request of its own: one that is refused takes no other with it."""
        return [Send(connection, _text("public/subscribe", {"channels": list(map(_channel, some))},
                                       self.settings.symbols.index(symbol) + 1), awaits=some)
                for symbol, some in by_symbol(wanted).items()]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Answers. Heartbeats, should anybody have asked for them, are answered."""
        message = json.loads(text)
        if "error" in message:
            error = message["error"]
            reason = f" ({error['data']})" if error.get("data") else ""
            return [Problem(f"{self._named(message.get('id'))}{error.get('message')}{reason} "
                            f"(code {error.get('code')})"), *self._answered(connection, message)]
        if (message.get("params") or {}).get("type") == "test_request":
            return [Send(connection, _text("public/test", {}, QUIET_ID))]
        if not message.get("id") or not isinstance(message.get("result"), list):
            return []
        if not message["result"]:                       # channels that do not exist are left out
            return [Problem(f"{self._named(message['id'])}no such channel"), *self._answered(connection, message)]
        return [Ready(connection), *self._answered(connection, message)]

    def _answered(self, connection: str, message: dict) -> list[Answered]:
        """A request is answered as a whole, and counts for its symbol."""
        number = message.get("id")
        known = isinstance(number, int) and 0 < number <= len(self.settings.symbols)
        return answered(connection, tuple(Subscription(channel, self.settings.symbols[number - 1])
                                          for channel in self.channels) if known else ())

    def _named(self, number) -> str:
        known = isinstance(number, int) and 0 < number <= len(self.settings.symbols)
        return f"subscription of {self.settings.symbols[number - 1]}: " if known else ""

    def leave(self, symbol: str, unix_ns: int) -> list[Action]:
        return [Send("market", _text("public/unsubscribe", {
            "channels": [_channel(Subscription(self.channels[0], symbol))]}, QUIET_ID))]


def instrument_of(entry: dict) -> str:
    """Its name. Amounts of inverse futures are in USD, all others in the base: they must not be added up."""
    base, kind = entry["base_currency"], entry.get("kind", "future")
    pair = f"{base}-{entry.get('counter_currency') or entry['quote_currency']}"
    if kind == "spot":
        return pair
    perpetual = entry.get("settlement_period") == "perpetual"
    strike = entry["instrument_name"].split("-")[2:]        # of an option, and P or C
    term = "PERPETUAL" if perpetual else "-".join([day_of(int(entry["expiration_timestamp"])), *strike])
    inverse = kind == "future" and entry.get("settlement_currency", base) == base
    return f"{pair}-{term}" + (f"-1{entry['quote_currency']}" if inverse else "")


def _channel(one: Subscription) -> str:
    return f"{one.channel}.{one.symbol}.{INTERVAL}"


def _text(method: str, parameters: dict, number: int) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": parameters})
