"""One exchange's native loop, driven by hand on a virtual clock: frames in, board and events out."""
import json
import zlib
from decimal import Decimal

from orderflow._core.types import BookFault, BookState, CommandKind, EventKind, LossReason, Role
from orderflow.exchanges import session_for
from orderflow.exchanges.session import SessionSettings
from orderflow.instrument import Listing
from orderflow.wiring import build_core

MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000


class Feed:
    """A loop with `symbols` of two price and three quantity decimals, over one line or two."""

    def __init__(self, protocol, symbols, depth=0, silence_ns=0, borrows=False, lines=1, tape_records=0):
        listings = [Listing("test", symbol, symbol, "A", "B", 2, 3, Decimal("0.01"), Decimal("0.001"), depth=depth)
                    for symbol in symbols]
        session = session_for(protocol, SessionSettings("test", symbols=tuple(symbols), silence_ns=silence_ns,
                                                        lines=lines))
        self.core = build_core([session], listings, borrows=borrows, watch_silence=True, tape_records=tape_records)
        self.loop = self.core.loops["test"]
        self.epoch = 0              # of the connection that was opened last
        self.epochs = [0, 0]        # of each line
        self.now_ns = 0
        self.events = []

    def open(self, line=0):
        """A new connection."""
        self.epoch += 1
        self.epochs[line] = self.epoch
        self.loop.command(CommandKind.CONNECTION_OPENED, connection=line, role=Role.MARKET_DATA, epoch=self.epoch,
                          argument=1, line=line)
        return self.step()

    def end(self, line=0):
        """The peer closed it."""
        self.loop.command(CommandKind.CONNECTION_ENDED, connection=line, epoch=self.epochs[line])
        return self.step()

    def frame(self, frame, epoch=None, line=0):
        """One frame, as text or as something that becomes JSON."""
        text = frame if isinstance(frame, str) else json.dumps(frame)
        assert self.loop.push_frame(line, self.epochs[line] if epoch is None else epoch, text.encode(), self.now_ns + 1)
        return self.step()

    def snapshot(self, body, listing=0, limit=0):
        """A REST depth snapshot of at most `limit` levels a side; 0 = all."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.loop.command(CommandKind.SNAPSHOT_BODY, listing=listing, value=limit, payload=text.encode())
        return self.step()

    def step(self, pass_ns=MILLISECOND_NS):
        """Let time pass and the loop look once; what it had to say, as readable tuples."""
        self.now_ns += pass_ns
        self.loop.run_once(self.now_ns)
        said = []
        while (taken := self.loop.next_event()) is not None:
            said.append(readable(taken[0]))
        self.events += said
        return said

    def state(self, listing=0):
        """(BookState, BookFault) on the board."""
        entry = self.core.board.read(listing)
        return BookState(entry["book_state"]), BookFault(entry["fault"])

    def shown(self, listing=0):
        """Bids and asks on the board as lists of (price, quantity)."""
        entry = self.core.board.read(listing)
        return [[tuple(level) for level in entry[side][:entry[f"{side[:3]}_count"]].tolist()]
                for side in ("bids", "asks")]


def readable(event):
    kind, listing = EventKind(event["kind"]), int(event["listing"])
    if kind == EventKind.BOOK_CHANGED:
        return kind, listing, BookState(event["value"]), BookFault(event["detail"])
    if kind == EventKind.LINE_CHANGED:
        return kind, int(event["connection"]), listing, BookState(event["value"]), BookFault(event["detail"])
    if kind == EventKind.CONNECTION_LOST:
        return kind, LossReason(event["value"])
    if kind == EventKind.SNAPSHOT_NEEDED:
        return kind, listing
    return (kind,)


def levels(side):
    """{price: quantity} in scaled integers -> the texts of two and three decimals."""
    return [[f"{price // 100}.{price % 100:02}", f"{quantity // 1000}.{quantity % 1000:03}"]
            for price, quantity in side.items()]


def depth(first, last, bids, asks, symbol="AB", previous=None):
    """A Binance depth update; `previous` on futures."""
    event = {"e": "depthUpdate", "E": 1, "s": symbol, "U": first, "u": last, "b": levels(bids), "a": levels(asks)}
    return {"stream": "s", "data": event | ({} if previous is None else {"pu": previous, "T": 1})}


def rest(last, bids, asks):
    """A Binance REST depth snapshot."""
    return {"lastUpdateId": last, "bids": levels(bids), "asks": levels(asks)}


def kraken(kind, symbol, bids, asks, top=None, checksum=None):
    """A Kraken book frame whose checksum is that of `top` (bids, asks: the whole book), or the one given."""
    if checksum is None:
        best = [sorted(top[1].items())[:10], sorted(top[0].items(), reverse=True)[:10]]
        digits = "".join(part.replace(".", "").lstrip("0") for side in best for level in levels(dict(side))
                         for part in level)
        checksum = zlib.crc32(digits.encode())
    sides = [", ".join(f'{{"price": {price}, "qty": {quantity}}}' for price, quantity in levels(side))
             for side in (bids, asks)]
    return (f'{{"channel": "book", "type": "{kind}", "data": [{{"symbol": "{symbol}", "bids": [{sides[0]}], '
            f'"asks": [{sides[1]}], "checksum": {checksum}, "timestamp": "2026-01-01T00:00:00.000001Z"}}]}}')
