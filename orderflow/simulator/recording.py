"""Capture files: raw frames as received, one a line; zstandard, gzip or plain text.

    local_ts_ns <TAB> direction <TAB> channel <TAB> payload

Lines are in local time order. Payloads are exact: checksums need the digits that were on the wire. docs/captures.md
has the format; servers/capture_writer.py writes it.
"""
import base64
import binascii
import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

import zstandard

DIRECTIONS = ("open", "tx", "rx", "rxb", "http")
ZSTANDARD, GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"
BUFFER = 1 << 18


class CaptureError(ValueError):
    """A capture that cannot be read; the message names the file and the line."""

    def __init__(self, path, line: int, problem: str):
        super().__init__(f"{path}, line {line}: {problem}")
        self.line = line


class Record(NamedTuple):
    """One line of a capture."""
    line: int               # in the file, from 1
    local_ns: int           # the recorder's clock, unix
    direction: str          # open: connection opened; tx: sent; rx, rxb: received text, binary; http: REST answer
    channel: str            # connection id, of http the URL
    payload: str | bytes    # bytes for rxb; of open: the URL of the connection


def read_capture(path) -> Iterator[Record]:
    """Yield the records of a capture in file order, holding one line in memory.

    A zstandard file whose writer was killed ends with its last whole line.

    Raises CaptureError for a line that is not a record, OSError where the file cannot be opened.
    """
    path = Path(path)
    number = 0
    lines, may_be_cut = _open(path)
    with lines:
        while True:
            try:
                line = lines.readline()
            except (EOFError, gzip.BadGzipFile, OSError, zstandard.ZstdError) as error:
                raise CaptureError(path, number + 1, f"the compressed file is damaged or cut short ({error})") from None
            if not line or (may_be_cut and not line.endswith(b"\n")):
                return
            number += 1
            yield _record(path, number, line)


def _open(path: Path) -> tuple[IO[bytes], bool]:
    """(its lines, whether the end may be missing), by the file's first bytes."""
    raw = open(path, "rb")
    magic = raw.read(4)
    raw.seek(0)
    if magic == ZSTANDARD:
        reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        return io.BufferedReader(reader, BUFFER), True
    if magic[:2] == GZIP:
        raw.close()
        return cast(IO[bytes], gzip.open(path, "rb")), False
    return raw, False


def _record(path, number: int, line: bytes) -> Record:
    try:
        fields = line.decode().rstrip("\n").split("\t")
    except UnicodeDecodeError:
        raise CaptureError(path, number, "not UTF-8 text") from None
    if len(fields) != 4:
        raise CaptureError(path, number, f"expected 4 fields separated by TAB, found {len(fields)}")
    stamp, direction, channel, payload = fields
    if not (stamp.isascii() and stamp.isdigit()):
        raise CaptureError(path, number, f"the time {stamp!r} is not an integer of nanoseconds")
    if direction not in DIRECTIONS:
        raise CaptureError(path, number, f"the direction {direction!r} is none of {', '.join(DIRECTIONS)}")
    if direction == "rxb":
        try:
            return Record(number, int(stamp), direction, channel, base64.b64decode(payload, validate=True))
        except binascii.Error:
            raise CaptureError(path, number, "the payload of a binary frame is not base64") from None
    if direction == "open":
        channel, _, payload = channel.partition(" ")
    return Record(number, int(stamp), direction, channel, payload)


# The first pattern that an `open` or `http` URL matches names the protocol. A REST host that serves two protocols
# (Kraken's AssetPairs) names none: the websocket that follows decides.
PROTOCOL_OF_URL = [(re.compile(pattern), protocol) for pattern, protocol in (
    (r"://(stream|api\d?|data-stream|data-api|ws-api|testnet|stream\.testnet)\.binance\.(com|us|vision)",
     "binance_spot"),
    (r"://(ws-)?f(stream|api)\.binance\.com", "binance_usdm"),
    (r"://(ws-)?d(stream|api)\.binance\.com", "binance_coinm"),
    (r"wss?://(beta-)?ws(-auth)?\.kraken\.com/v2", "kraken_v2"),
    (r"wss?://ws(-auth)?\.kraken\.com/?$", "kraken_v1"),
    (r"://futures\.kraken\.com", "kraken_futures"),
    (r"://(stream|api)(-testnet|-demo)?\.bybit\.com/v5", "bybit_v5"),
    (r"://(stream|api)\.bybit\.com/(realtime|v2)", "bybit_v2"),
    (r"wss?://advanced-trade-ws\.coinbase\.com", "coinbase_adv"),
    (r"wss?://ws-feed\.(pro|exchange)\.coinbase\.com", "coinbase"),
    (r"://[a-z]+\.okx\.com", "okx"),
    (r"://(www|ws)\.bitmex\.com", "bitmex"),
    (r"://[a-z-]*\.?bit\.com", "bitcom"),
    (r"://(api|api-pub)\.bitfinex\.com", "bitfinex"),
    (r"://[a-z.]*bitflyer\.com", "bitflyer"),
    (r"://(ws|api)\.bitget\.com", "bitget"),
    (r"://(ws|www)\.bitstamp\.net", "bitstamp"),
    (r"://www\.deribit\.com", "deribit"),
    (r"://api\.dydx\.exchange/v3", "dydx_v3"),
    (r"://api\.gateio\.ws/.*/futures|://fx-ws\.gateio\.ws", "gate_futures"),
    (r"://api\.gateio\.ws", "gate"),
    (r"://api\.gemini\.com", "gemini"),
    (r"://api\.hitbtc\.com", "hitbtc"),
    (r"://api\.huobi\.pro", "htx"),
    (r"://api\.hbdm\.com", "htx_swap"),
    (r"://api\.hyperliquid\.xyz", "hyperliquid"),
    (r"://(api|push-private|ws-api-spot)\.kucoin\.com", "kucoin"),
    (r"://(api\.)?phemex\.com", "phemex"),
    (r"://(api|ws)\.poloniex\.com", "poloniex"),
)]


def recognise(path) -> str | None:
    """Protocol that a capture's own URLs name, or None where it holds no URL that tells.

    Reads as far as the first telling URL: it may come some lines in.
    """
    for record in read_capture(path):
        if record.direction not in ("open", "http"):
            continue
        url = record.payload if record.direction == "open" else record.channel
        for pattern, protocol in PROTOCOL_OF_URL:
            if pattern.search(url):
                return protocol
    return None
