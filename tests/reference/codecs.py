"""The market data decoders as one would write them on a quiet afternoon: json, Decimal, dictionaries.

A frame becomes a list of Event, or Refused is raised. `number` and `text` keep apart what stood in quotes and what did
not, keys given twice stay visible, and nothing is remembered between frames but the digits that Kraken wrote.
"""
import calendar
import json
import re
from dataclasses import dataclass, field
from decimal import Context, Decimal, DecimalException

from orderflow._core.types import MessageKind, Side

CONTEXT = Context(prec=5000, Emax=10**9, Emin=-(10**9))
LARGEST = 2**63 - 1
STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)
BINANCE_QUIET = {
    "kline", "continuous_kline", "24hrTicker", "24hrMiniTicker", "1hTicker", "4hTicker", "1dTicker", "avgPrice",
    "referencePrice", "markPriceUpdate", "indexPriceUpdate", "markPrice_kline", "indexPrice_kline", "forceOrder",
    "compositeIndex", "contractInfo", "assetIndexUpdate", "tradingSession"}
NEEDED = {"depthUpdate": "suUba", "trade": "stpqm", "aggTrade": "sapqm", "bookTicker": "subaBA"}


class Refused(Exception):
    """The frame says nothing that may be believed."""


class Number(str):
    """A bare number as it was written."""


@dataclass
class Event:
    """What a Message says, with its levels; `zeros`: decimals on the wire of prices and quantities less the scale's."""
    kind: int
    listing: int = -1
    first_id: int = 0
    last_id: int = 0
    previous_id: int = 0
    exchange_ns: int = 0
    price: int = 0
    quantity: int = 0
    side: int = 0
    checksum: int = 0
    has_checksum: bool = False
    has_chain: bool = False
    zeros: tuple = (0, 0)
    bids: list = field(default_factory=list)
    asks: list = field(default_factory=list)


def events_of(out) -> list[Event]:
    """The messages of a DecodeOutput in the same form; of an ignored one only that it is one."""
    levels = [(int(price), int(quantity)) for price, quantity in out.levels]
    events = []
    for message in out.messages:
        bids, asks = (levels[message[f"{side}_begin"]:message[f"{side}_begin"] + message[f"{side}_count"]]
                      for side in ("bids", "asks"))
        assert len(bids) == message["bids_count"] and len(asks) == message["asks_count"]
        if message["kind"] in (MessageKind.IGNORED, MessageKind.SESSION):
            events.append(Event(int(message["kind"])))
            continue
        values = {name: int(message[name]) for name in (
            "kind", "listing", "first_id", "last_id", "previous_id", "exchange_ns", "price", "quantity", "side",
            "checksum")}
        events.append(Event(**values, has_checksum=bool(message["checksum_rule"]), has_chain=bool(message["has_chain"]),
                            zeros=(int(message["price_zeros"]), int(message["quantity_zeros"])), bids=bids, asks=asks))
    return events


def parse(frame: bytes):
    """Objects as lists of pairs, so that a key given twice is seen."""
    def refuse(constant):
        raise Refused(f"{constant} is not JSON")

    try:
        parsed = json.loads(frame.decode(), parse_int=Number, parse_float=Number, parse_constant=refuse,
                            object_pairs_hook=tuple)
        json.dumps(parsed, ensure_ascii=False).encode()         # refuses halves of surrogate pairs
    except (ValueError, RecursionError) as error:
        raise Refused("not JSON") from error
    return parsed


def expect(condition, problem):
    if not condition:
        raise Refused(problem)


def once(pairs, names) -> dict:
    """The values of the understood keys."""
    expect(type(pairs) is tuple, "not an object")
    found = {}
    for key, value in pairs:
        if key in names:
            expect(key not in found, f"{key} twice")
            found[key] = value
    return found


def bare(value, decimals=0) -> int:
    expect(type(value) is Number, "not a bare number")
    if not re.search("[1-9]", value.lower().partition("e")[0]):
        return 0
    try:
        scaled = CONTEXT.scaleb(Decimal(value), decimals)
    except DecimalException as error:
        raise Refused("farther than Decimal goes") from error
    expect(scaled == scaled.to_integral_value(context=CONTEXT), "finer than the scale")
    expect(abs(scaled) <= LARGEST, "too large")
    return int(scaled)


def positive(value, decimals) -> int:
    """A number in quotes or bare."""
    expect(isinstance(value, str), "not a number")
    expect(re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", value), "not a number")
    result = bare(Number(value), decimals)
    expect(result >= 0, "negative")
    return result


def text(value) -> str:
    expect(type(value) is str, "not a text")
    return value


def truth(value) -> bool:
    expect(isinstance(value, bool), "neither true nor false")
    return value


def pairs_of(value, scale) -> list:
    expect(isinstance(value, list), "not an array of levels")
    for level in value:
        expect(isinstance(level, list) and len(level) >= 2, "not a level")
    return [(positive(level[0], scale[0]), positive(level[1], scale[1])) for level in value]


def binance_time(values) -> int:
    stamp = bare(values.get("T", Number(0))) or bare(values.get("E", Number(0)))
    expect(0 <= stamp < 9 * 10**15, "no time")
    return stamp * (10**6 if stamp < 9 * 10**12 else 1000)


def binance_event(values, symbols, scales, futures) -> Event:
    name = values["e"]
    for key in NEEDED[name] + ("U" if name == "depthUpdate" and futures else ""):
        expect(key in values, f"no {key}")
    listing = symbols[text(values["s"])]
    scale = scales[listing]
    event = Event(MessageKind.TRADE, listing, exchange_ns=binance_time(values))
    if name == "depthUpdate":
        expect("pu" in values or not futures, "no pu")
        event.kind, event.has_chain = MessageKind.UPDATE, True
        event.first_id, event.last_id = bare(values["U"]), bare(values["u"])
        event.previous_id = bare(values.get("pu", Number(0)))
        event.bids, event.asks = pairs_of(values["b"], scale), pairs_of(values["a"], scale)
    elif name == "bookTicker":
        event.kind, event.last_id = MessageKind.QUOTE, bare(values["u"])
        event.bids = [level for level in pairs_of([[values["b"], values["B"]]], scale) if level[1]]
        event.asks = [level for level in pairs_of([[values["a"], values["A"]]], scale) if level[1]]
    else:
        event.last_id = bare(values["t" if name == "trade" else "a"])
        event.price, event.quantity = positive(values["p"], scale[0]), positive(values["q"], scale[1])
        event.side = Side.SELL if truth(values["m"]) else Side.BUY
        if name == "trade" and text(values.get("X", "MARKET")) != "MARKET":
            return Event(MessageKind.IGNORED)
    return event


def decode_binance(frame, symbols, scales, futures=False) -> list[Event]:
    """`symbols`: name -> listing; `scales`: by listing, decimals of price and quantity."""
    names = {*"esETUubaBAtpqmX", "pu", "result", "error", "code", "lastUpdateId"}
    parsed = parse(frame)
    if isinstance(parsed, list):
        return [Event(MessageKind.IGNORED)]
    values = once(parsed, {*names, "data", "stream"})
    if "data" in values:
        expect(not names & values.keys(), "keys of an event beside data")
        if isinstance(values["data"], list):
            return [Event(MessageKind.IGNORED)]
        values = once(values["data"], names)
    answers = {"result", "error", "code"} & values.keys()
    if "e" not in values and {*"subaBA"} <= values.keys():
        values["e"] = "bookTicker"
    if "e" not in values:
        expect(answers or "lastUpdateId" in values, "unknown")
        return [Event(MessageKind.SESSION if answers else MessageKind.IGNORED)]
    name = text(values["e"])
    if name == "serverShutdown":
        return [Event(MessageKind.SESSION)]
    if name in BINANCE_QUIET:
        return [Event(MessageKind.IGNORED)]
    expect(name in NEEDED, "unknown")
    expect("s" in values, "no symbol")
    if text(values["s"]) not in symbols:
        return [Event(MessageKind.IGNORED)]
    return [binance_event(values, symbols, scales, futures)]


def decode_binance_snapshot(body, listing, scale) -> list[Event]:
    values = once(parse(body), {"bids", "asks", "lastUpdateId", "E", "T"})
    expect({"bids", "asks", "lastUpdateId"} <= values.keys(), "not a snapshot")
    return [Event(MessageKind.SNAPSHOT, listing, last_id=bare(values["lastUpdateId"]), has_chain=True,
                  exchange_ns=binance_time(values), bids=pairs_of(values["bids"], scale),
                  asks=pairs_of(values["asks"], scale))]


def rfc3339_ns(value) -> int:
    """Nanoseconds since 1970; digits after the ninth decimal are dropped."""
    found = STAMP.fullmatch(text(value))
    expect(found, "no time")
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    expect(1970 <= year <= 2200 and 1 <= month <= 12 and hour <= 23 and minute <= 59 and second <= 60, "no time")
    expect(1 <= day <= calendar.monthrange(year, month)[1], "no day")
    seconds = calendar.timegm((year, month, day, hour, minute, second))
    if found[8]:
        hours, minutes = int(found[9]), int(found[10])
        expect(hours <= 23 and minutes <= 59, "no offset")
        seconds -= (1 if found[8] == "+" else -1) * 60 * (60 * hours + minutes)
    return seconds * 10**9 + int(((found[7] or "") + "0" * 9)[:9])


def decimals_of(value) -> int:
    return min(18, len(re.match(r"[^.]*\.?([0-9]*)", value)[1]))


class Kraken:
    """Decoder of one connection; it remembers how many decimals each listing's numbers had since its last snapshot."""

    def __init__(self, symbols, scales):
        self.symbols, self.scales = symbols, scales
        self.digits = {listing: (0, 0) for listing in symbols.values()}

    def levels(self, value, listing) -> list:
        expect(isinstance(value, list), "not an array of levels")
        result = []
        for level in value:
            numbers = once(level, {"price", "qty"})
            expect(len(numbers) == 2, "not a level")
            scale, most = self.scales[listing], self.digits[listing]
            result.append((positive(numbers["price"], scale[0]), positive(numbers["qty"], scale[1])))
            self.digits[listing] = (max(most[0], decimals_of(numbers["price"])),
                                    max(most[1], decimals_of(numbers["qty"])))
        return result

    def book(self, values, kind, listing) -> Event:
        expect({"bids", "asks"} <= values.keys(), "not a book")
        if kind == MessageKind.SNAPSHOT:
            self.digits[listing] = 0, 0
        event = Event(kind, listing, bids=self.levels(values["bids"], listing),
                      asks=self.levels(values["asks"], listing))
        if "checksum" in values:
            event.has_checksum, event.checksum = True, bare(values["checksum"])
            expect(0 <= event.checksum < 2**32, "no checksum")
        if "timestamp" in values:
            event.exchange_ns = rfc3339_ns(values["timestamp"])
        event.zeros = tuple(seen - scale for seen, scale in
                            zip(self.digits[listing], self.scales[listing], strict=True))
        return event

    def trade(self, values, listing) -> Event:
        for key in ("side", "price", "qty", "trade_id", "timestamp"):
            expect(key in values, f"no {key}")
        sides = {"buy": Side.BUY, "sell": Side.SELL}
        expect(text(values["side"]) in sides, "no side")
        for key in ("price", "qty"):
            expect(type(values[key]) is Number, "not a bare number")
        return Event(MessageKind.TRADE, listing, last_id=bare(values["trade_id"]), side=sides[values["side"]],
                     price=positive(values["price"], self.scales[listing][0]),
                     quantity=positive(values["qty"], self.scales[listing][1]),
                     exchange_ns=rfc3339_ns(values["timestamp"]))

    def decode(self, frame) -> list[Event]:
        parsed = parse(frame)
        values = once(parsed, {"channel", "type", "data"})
        answered = any(key in ("method", "error") for key, _ in parsed)
        if "channel" not in values:
            expect(answered, "unknown")
            return [Event(MessageKind.SESSION)]
        channel = text(values["channel"])
        if channel in ("status", "instrument"):
            return [Event(MessageKind.SESSION)]
        if channel in ("heartbeat", "ticker", "ohlc", "level3"):
            return [Event(MessageKind.IGNORED)]
        expect(channel in ("book", "trade"), "unknown")
        expect({"type", "data"} <= values.keys(), "no data")
        frame_type = text(values["type"])
        expect(frame_type in ("snapshot", "update"), "unknown")
        if channel == "trade" and frame_type == "snapshot":
            return [Event(MessageKind.IGNORED)]
        expect(isinstance(values["data"], list), "data is no array")
        events = []
        for entry in values["data"]:
            keys = {"symbol", "bids", "asks", "checksum", "timestamp"} if channel == "book" else {
                "symbol", "side", "price", "qty", "trade_id", "timestamp"}
            found = once(entry, keys)
            expect("symbol" in found, "no symbol")
            listing = self.symbols.get(text(found["symbol"]))
            if listing is None:
                events.append(Event(MessageKind.IGNORED))
            elif channel == "trade":
                events.append(self.trade(found, listing))
            else:
                kind = MessageKind.SNAPSHOT if frame_type == "snapshot" else MessageKind.UPDATE
                events.append(self.book(found, kind, listing))
        return events or [Event(MessageKind.IGNORED)]
