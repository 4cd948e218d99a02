"""Captures of Binance markets: which stream a frame belongs to, REST answers, digits, instruments."""
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import msgspec

from orderflow._core.types import Side
from orderflow.simulator.capture import Answer, Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.numbers import decimals_of, to_scaled
from orderflow.simulator.reader import Reader
from orderflow.simulator.recording import Record


class Combined(msgspec.Struct):
    """A frame of a combined stream; `data` keeps the bytes as they were."""
    stream: str
    data: msgspec.Raw


class _Payload(msgspec.Struct):
    e: str = "bookTicker"           # spot sends its book ticker without an event type
    s: str = ""


class _Numbered(msgspec.Struct):
    e: str = ""
    s: str = ""
    b: list[list[str]] | str = []
    a: list[list[str]] | str | int = []
    p: str = ""
    q: str = ""


class _NumberedFrame(msgspec.Struct):
    data: _Numbered | None = None


class _Depth(msgspec.Struct):
    bids: list[list[str]] = []
    asks: list[list[str]] = []


combined_frame = msgspec.json.Decoder(Combined)
_payload = msgspec.json.Decoder(_Payload)
_numbered_frame = msgspec.json.Decoder(_NumberedFrame)
_numbered = msgspec.json.Decoder(_Numbered)
_depth = msgspec.json.Decoder(_Depth)
_KIND_OF_EVENT = {"depthUpdate": "depth"}
_QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "USD")


def streams_of_path(path: str) -> list[str]:
    """Streams named in the URL of a websocket: /ws/a, /ws/a/b, /stream?streams=a/b."""
    parts = urlsplit(path)
    names = dict(parse_qsl(parts.query)).get("streams", "")
    if not names and "/ws/" in parts.path:
        names = parts.path.split("/ws/", 1)[1]
    return [name for name in names.split("/") if name]


class BinanceReader(Reader):
    """Reads the records of one capture in order."""

    def __init__(self):
        self._raw_names: dict[tuple[str, str], str] = {}    # (symbol, kind) -> stream, of raw connections
        self._snapshot_ids: dict[str, int] = {}
        self._trade_kinds: dict[str, str] = {}

    def stream(self, record: Record) -> str | None:
        """Name of the stream that a received frame belongs to; None for anything else."""
        if record.direction == "open":
            self._learn(streams_of_path(record.payload))
        elif record.direction == "tx":
            self._learn(re.findall(r'"([^"]+@[^"]+)"', record.payload))
        if record.direction != "rx":
            return None
        try:
            return combined_frame.decode(record.payload).stream
        except msgspec.MsgspecError:
            pass
        try:
            payload = _payload.decode(record.payload)
        except msgspec.MsgspecError:
            return None
        return self._raw_names.get((payload.s.lower(), _KIND_OF_EVENT.get(payload.e, payload.e)))

    def answer(self, record: Record) -> Answer | None:
        """The REST answer in an http record, if it is one that clients ask for."""
        url = urlsplit(record.channel)
        body = record.payload.encode()
        if url.path.endswith("/exchangeInfo"):
            return Answer("metadata", "", body)
        if url.path.endswith("/depth"):
            return Answer("depth", dict(parse_qsl(url.query)).get("symbol", ""), body)
        return None

    def numbers(self, record: Record) -> Iterator[tuple[str, list, bool]]:
        """(symbol, (price, quantity) texts, whether they are of its book) of a depth or trade record."""
        if record.direction == "http":
            answer = self.answer(record)
            if answer is not None and answer.symbol:
                body = _depth.decode(answer.body)
                yield answer.symbol, body.bids + body.asks, True
            return
        if record.direction != "rx":
            return
        try:
            frame = _numbered_frame.decode(record.payload)
            event = frame.data if frame.data is not None else _numbered.decode(record.payload)
        except msgspec.MsgspecError:
            return                      # not market data; the codec will say what it is
        if event.e == "depthUpdate" and isinstance(event.b, list) and isinstance(event.a, list):
            yield event.s, event.b + event.a, True
        elif event.e in ("trade", "aggTrade"):
            yield event.s, [(event.p, event.q)], False

    def events(self, stream: str, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """What a frame of a stream says about book and trades, newer than the snapshot of its symbol."""
        kind = stream.split("@")[1]
        if kind not in ("depth", "trade", "aggTrade"):
            return
        message = msgspec.json.decode(text)
        data = message.get("data", message)
        symbol = data["s"]
        if kind == "depth":
            if data["u"] > self._snapshot_ids.get(symbol, 0):
                yield RecordedLevels(symbol, False, data["b"], data["a"])
            return
        self._trade_kinds.setdefault(symbol, kind)          # where both are recorded, the first kind counts
        if self._trade_kinds[symbol] == kind:
            yield RecordedTrade(symbol, Side.SELL if data["m"] else Side.BUY, data["p"], data["q"])

    def snapshot_levels(self, symbol: str, body: bytes) -> RecordedLevels:
        data = msgspec.json.decode(body)
        self._snapshot_ids[symbol] = data["lastUpdateId"]
        return RecordedLevels(symbol, True, data["bids"], data["asks"])

    def _learn(self, streams) -> None:
        for name in streams:
            symbol, _, rest = name.partition("@")
            self._raw_names[symbol, rest.partition("@")[0]] = name


def recorded_instruments(contents: Contents) -> tuple[SimulatedInstrument, ...]:
    """The instruments whose streams a capture holds: from its exchangeInfo, else from the digits on the wire."""
    symbols = {str(stream).split("@")[0].upper() for stream in contents.streams}
    if contents.metadata is not None:
        listed = msgspec.json.decode(contents.metadata).get("symbols", ())
        return tuple(_listed(entry, *contents.decimals(entry["symbol"]))
                     for entry in listed if entry["symbol"] in symbols)
    return tuple(_guessed(symbol, *contents.decimals(symbol, (8, 8))) for symbol in sorted(symbols))


def _listed(entry: dict, price: int, quantity: int) -> SimulatedInstrument:
    filters = {item["filterType"]: item for item in entry["filters"]}
    tick, step = filters["PRICE_FILTER"]["tickSize"], filters["LOT_SIZE"]["stepSize"]
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
    price, quantity = max(price, decimals_of(tick)), max(quantity, decimals_of(step))
    return SimulatedInstrument(
        entry["symbol"], entry["baseAsset"], entry["quoteAsset"], price, quantity,
        tick=max(1, to_scaled(tick, price)), lot=max(1, to_scaled(step, quantity)),
        minimum_quantity=max(1, to_scaled(filters["LOT_SIZE"]["minQty"], quantity)),
        maximum_quantity=to_scaled(filters["LOT_SIZE"]["maxQty"], quantity),
        minimum_notional=to_scaled(notional.get("minNotional", notional.get("notional", "0")), 8),
        contract_size=int(entry.get("contractSize", 1)),
    )


def _guessed(symbol: str, price_decimals: int, quantity_decimals: int) -> SimulatedInstrument:
    pair = symbol.partition("_")[0]
    quote = next((name for name in _QUOTES if pair.endswith(name) and pair != name), pair[-3:])
    return SimulatedInstrument(symbol, pair.removesuffix(quote), quote, price_decimals, quantity_decimals)
