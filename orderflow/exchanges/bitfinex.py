"""Bitfinex v2, public. Sources: docs.bitfinex.com, "WebSocket general", "Public channels", "WebSocket checksum", and
REST "Configs" and "Book".
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

from orderflow._core.codecs.bitfinex import BitfinexMarketData
from orderflow._core.types import BookFault
from orderflow.exchanges.actions import Action, Problem, Ready, Reconnect, Request, Send, Subscription, answered
from orderflow.exchanges.facts import Facts, Limit, Limits
from orderflow.exchanges.session import Session, SessionSettings
from orderflow.exchanges.steps import LARGEST_PRICE, LARGEST_QUANTITY, QUANTITY_STEPS
from orderflow.instrument import Listing, WireDigits, choose_scales, significant_decimals

#: What there is, and how currencies are spelt that Bitfinex spells in a way of its own (UST is USDt).
CONFIGS = "pub:info:pair,pub:info:pair:futures,pub:map:currency:sym"
#: Channels that a connection carries. A symbol has two: its book and its trades.
CHANNELS = 25
LARGEST_SYMBOLS = CHANNELS // 2
#: A time and a number in every frame, and checksums of books.
FLAGS = 32768 | 65536 | 131072
LENGTHS = (25, 100, 250)
LENGTH = 100
#: A price has so many significant digits, a quantity so many decimals.
PRICE_DIGITS = 5
DECIMALS = 8
#: Decimals of a price that are kept where there is room, and how many more than are needed now: old orders rest far
#: away, and when a price falls, its five digits move to the right.
FINEST_PRICE = 12
FALLEN_DIGITS = 3
#: How much larger than what the book shows a price or quantity may become, where there is room.
GROWTH = 1024

RESTARTS, MAINTENANCE_BEGINS, MAINTENANCE_ENDS = 20051, 20060, 20061
ALREADY_SUBSCRIBED = 10301
#: "It should take 120 seconds at most": after that books are asked for, whether its end was announced or not.
MAINTENANCE_NS = 120_000_000_000
VERSION = 2


class BitfinexSession(Session):
    """One connection, of books and trades. The sequence number counts all of it, checksums prove each book.

    A connection carries 25 channels, so 12 symbols. More are another exchange of the configuration, with a connection
    of its own; books of one exchange come over one connection.
    """

    title = "Bitfinex"
    protocol = "bitfinex"
    production_rest = "https://api-pub.bitfinex.com"
    production_stream = "wss://api-pub.bitfinex.com"
    path = "/ws/2"
    codec = BitfinexMarketData
    channels = ("book", "trades")
    limits = Limits(connects=Limit(20, 60_000_000_000))

    def __init__(self, settings: SessionSettings):
        super().__init__(settings)
        self.length = next((length for length in LENGTHS if length >= (settings.depth or LENGTH)), LENGTHS[-1])
        #: Numbers count the frames of a connection.
        self.facts = Facts(growing_trade_ids=True, kept_levels=self.length)
        self._numbers: dict[str, int] = {}      # of the channel of a symbol's book
        self._configured = False                # whether the exchange took the flags
        self._resumes_ns = 0                    # when maintenance will have ended

    # -- metadata -----------------------------------------------------------------------------------------------

    def metadata(self) -> list[Request]:
        """What is traded, and the book of each symbol: there are neither ticks nor lots, so its digits are looked at.
        """
        return [Request("configs", "GET", f"{self.rest}/v2/conf/{CONFIGS}"), *(
            Request(f"book {symbol}", "GET", f"{self.rest}/v2/book/{symbol}/P0?len={LENGTHS[-1]}")
            for symbol in self.settings.symbols)]

    def listings(self, bodies: dict[str, bytes]) -> list[Listing]:
        """Listings of the configured symbols (tBTCUSD, tDUSK:USD).

        Raises
        ------
        SessionError
            When Bitfinex refuses, a symbol is not offered, or there are more of them than a connection carries; the
            message names it, or the key.
        """
        count = len(self.settings.symbols)
        if count > LARGEST_SYMBOLS and not self.settings.subscribe:
            raise self.error(f"`symbols` names {count}, but a connection carries {CHANNELS} channels: book and trades "
                             f"of {LARGEST_SYMBOLS}; put the others into a second exchange of this protocol")
        answer = json.loads(bodies["configs"], parse_float=str)
        if not isinstance(answer, list) or answer[:1] == ["error"]:
            raise self.error(f"what is traded was not told: {bodies['configs'][:200].decode(errors='replace')}")
        pairs, futures, spellings = answer[:3]
        known = {f"t{pair}": {"pair": pair, "fields": fields} for pair, fields in [*pairs, *futures]}
        names = {own: common.upper() for own, common in spellings}
        return [self._listing(symbol, entry["pair"], entry["fields"], names, bodies.get(f"book {symbol}", b"[]"))
                for symbol, entry in self.offered(known)]

    def _listing(self, symbol: str, pair: str, fields: list, names: dict[str, str], body: bytes) -> Listing:
        """A listing whose scales hold what its book shows, and prices that are a thousand times larger or smaller."""
        digits = WireDigits()
        book = json.loads(body, parse_float=str, parse_int=str)
        digits.observe_levels((price, amount.lstrip("-")) for price, _, amount, *_ in book)
        best = max((Decimal(price) for price, _, amount, *_ in book if amount[0] != "-"), default=Decimal(0))
        tick = Decimal(1).scaleb(best.adjusted() + 1 - PRICE_DIGITS if best else -DECIMALS)
        minimum, maximum = (Decimal(number or 0) for number in fields[3:5])
        finest_price = max(digits.price_needed, significant_decimals(tick))
        finest_quantity = max(digits.quantity_needed, significant_decimals(minimum))
        try:
            prices, quantities = choose_scales(
                max(FINEST_PRICE, finest_price + FALLEN_DIGITS), DECIMALS,
                grown(digits.largest_price or LARGEST_PRICE, finest_price),
                grown(max(maximum, digits.largest_quantity) or LARGEST_QUANTITY, finest_quantity), finest_price,
                finest_quantity)
        except ValueError as error:
            raise self.error(f"symbol {symbol!r}: {error}; leave it out of `symbols`") from None
        codes = pair.split(":") if ":" in pair else (pair[:3], pair[3:])
        base, quote = (names.get(plain, plain) for plain in (code.removesuffix("F0") for code in codes))
        kind = "-PERPETUAL" if codes[0].endswith("F0") else ""
        return Listing(self.settings.name, symbol, f"{base}-{quote}{kind}", base, quote, prices, quantities, tick,
                       Decimal(1).scaleb(-quantities), minimum_quantity=minimum, maximum_quantity=maximum)

    # -- connections --------------------------------------------------------------------------------------------

    def opened(self, connection: str, unix_ns: int) -> list[Action]:
        self._numbers.clear()
        self._configured = bool(self.settings.subscribe)
        self._resumes_ns = 0
        actions = super().opened(connection, unix_ns)
        return actions if self.settings.subscribe else [Send(connection, _text(event="conf", flags=FLAGS)), *actions]

    def subscribe(self, connection: str, wanted: Sequence[Subscription], unix_ns: int) -> list[Action]:
        """One request a channel; before them went the flags: what follows is counted from its beginning."""
        book = {"prec": "P0", "freq": "F0", "len": str(self.length)}
        return [Send(connection, _text(event="subscribe", channel=one.channel, symbol=one.symbol,
                                       **(book if one.channel == self.channels[0] else {})), awaits=(one,))
                for one in wanted]

    def frame(self, connection: str, text: bytes, unix_ns: int) -> list[Action]:
        """Acknowledgements, notices, errors."""
        message = json.loads(text)
        event = message.get("event")
        if event == "subscribed":
            return self._subscribed(connection, message)
        if event == "conf":
            if message.get("status") == "OK":
                self._configured = True
                return []
            return [Problem(f"the flags that books are checked by were refused: {message}")]
        if event == "info":
            return self._informed(connection, message, unix_ns)
        return self._refused(connection, message) if event == "error" else []

    def _subscribed(self, connection: str, message: dict) -> list[Action]:
        if not self._configured:        # answers come in order
            self._configured = True     # once is enough
            return [Reconnect(connection, "it did not say that it counts its frames")]
        if message.get("channel") == "book":
            self._numbers[message["symbol"]] = message["chanId"]
        return [Ready(connection), *answered(connection, _named(message))]

    def _informed(self, connection: str, message: dict, unix_ns: int) -> list[Action]:
        code = int(message.get("code", 0))
        if code == RESTARTS:
            return [Reconnect(connection, "the exchange announced that it restarts")]
        if code == MAINTENANCE_BEGINS:
            self._resumes_ns = unix_ns + MAINTENANCE_NS
            return [Problem("maintenance began; books are STALE until it ends")]
        if code == MAINTENANCE_ENDS:
            return [Reconnect(connection, "maintenance ended")]
        problems: list[Action] = []
        if message.get("version", VERSION) != VERSION:
            problems.append(Problem(f"the exchange speaks version {message['version']}, this protocol is {VERSION}"))
        if message.get("platform", {}).get("status", 1) == 0:
            problems.append(Problem("the exchange is in maintenance; its books may stand still"))
        return problems

    def _refused(self, connection: str, message: dict) -> list[Action]:
        about = " ".join(str(message[key]) for key in ("channel", "symbol", "pair") if message.get(key))
        said = f"{message.get('msg')} (code {message.get('code')})"
        problem = Problem(f"a request for {about or 'something'} was refused: {said}")
        if message.get("code") == ALREADY_SUBSCRIBED and message.get("channel") == "book":
            return [problem, Reconnect(connection, "a book comes under a number that was not told")]
        return [problem, *answered(connection, _named(message))]

    # -- books --------------------------------------------------------------------------------------------------

    def need_snapshot(self, listing: int, fault: BookFault, unix_ns: int) -> list[Action]:
        """Left and joined again, which takes no channel more; not in maintenance, whose end makes the connection anew.
        """
        return [] if unix_ns < self._resumes_ns else super().need_snapshot(listing, fault, unix_ns)

    def leave(self, symbol: str, unix_ns: int) -> list[Action]:
        number = self._numbers.pop(symbol, None)
        return [] if number is None else [Send("market", _text(event="unsubscribe", chanId=number))]


def grown(largest: Decimal, decimals: int) -> Decimal:
    """What a number may become of which `largest` is seen, so far as its integer has room for these decimals."""
    return max(largest, min(largest * GROWTH, QUANTITY_STEPS.scaleb(-decimals)))


def _named(message: dict) -> tuple[Subscription, ...]:
    """What an answer is about, where it says so."""
    channel, symbol = message.get("channel"), message.get("symbol")
    return (Subscription(channel, symbol),) if channel and symbol else ()


def _text(**request) -> str:
    return json.dumps(request)
