"""A simulated exchange that goes wrong as it is told to: it stands between an exchange and its driver.

    driver ── open, message, http, advance ──> FaultyExchange ──> Exchange
           <─────── drain, Response ──────────       <── drain, Response ──

The exchange behind does everything right and knows nothing of this, so its matching engines hold the true books. Of the
protocol nothing is known here but what its reader of captures says (`reader`): which subscription a frame belongs to,
whether it is of a book, and which REST answers are books.
"""
import re
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

import msgspec

from orderflow.simulator.exchange import Close, Exchange, Fragmented, Hangup, Item, Raw, Response
from orderflow.simulator.fault_script import ANY, FaultScript
from orderflow.simulator.faults import (
    ANSWER_KINDS,
    FRAME_KINDS,
    REQUEST_KINDS,
    SECOND_NS,
    Fault,
    FaultPlan,
    impossible,
)
from orderflow.simulator.faulty_orders import OrderFaults
from orderflow.simulator.frames import TEXT, frame
from orderflow.simulator.recording import Record

DELAY_NS = SECOND_NS // 4           # of a delay or a late snapshot that says nothing else
WOUNDS = b'"\\{}[],:0123456789.eE+-tfn u\x00\x1f\x7f\x80\xc3\xff'
TOO_LARGE = b"\x81\x7f" + (1 << 40).to_bytes(8)     # the header of a frame of a tebibyte


@dataclass
class _Link:
    """What is wrong with one websocket."""
    frozen: dict[Hashable, tuple[str, int]] = field(default_factory=dict)   # subscription -> symbol, until when
    missing: dict[Hashable, tuple[str, int]] = field(default_factory=dict)  # subscription -> symbol, frames to swallow
    held: dict[Hashable, str] = field(default_factory=dict)                 # subscription -> goes after the next one
    spoilt: set[Hashable] = field(default_factory=set)      # subscriptions whose next checksum is to be wrong
    waiting: deque[tuple[int, Item]] = field(default_factory=deque)         # delayed, in the order of sending
    silent: bool = False            # nothing is sent any more


class FaultyExchange:
    """What drivers see of an exchange, with faults.

    Attributes
    ----------
    counts : Counter
        How often each kind was injected.
    log : deque of (int, str, str)
        The last of them: unix nanoseconds, kind, symbol.
    """

    def __init__(self, exchange: Exchange, plan: FaultPlan):
        self.exchange = exchange
        self.script = FaultScript(exchange, plan)
        self.counts, self.log = self.script.counts, self.script.log
        self._choose, self._random = self.script.choose, self.script.random
        self._reader = exchange.reader()
        self._links: dict[int, _Link] = {}
        self._out: list[tuple[int, Item]] = []
        self._answers: dict[str, Response] = {}     # REST request for a book -> its last answer
        self._paths: dict[int, str] = {}
        self._later: list[tuple[int, int, str]] = []        # answers that leave later: (due, connection, frame)
        entry = exchange.order_entry
        self._orders = (OrderFaults(exchange, entry(), self._choose, self._random)
                        if entry is not None and exchange.desk is not None else None)

    def arm(self, fault: Fault) -> None:
        """One more entry of the script; its frames and seconds count from now on. FaultError where it is impossible."""
        self.script.arm(fault)

    def impossible(self, fault: Fault) -> str:
        """Why this exchange cannot do that; "" if it can."""
        return impossible(fault, self.exchange)

    def heal(self) -> None:
        """Inject nothing more. What was done stays done: what is frozen or silent remains so."""
        self.script.heal()

    # what a driver calls

    @property
    def name(self) -> str:
        """Of the exchange."""
        return self.exchange.name

    @property
    def protocol(self) -> str:
        """That the exchange speaks."""
        return self.exchange.protocol

    @property
    def connections(self) -> dict:
        """Open websockets."""
        return self.exchange.connections

    @property
    def source(self):
        """Of its market data: the true books."""
        return self.exchange.source

    @property
    def desk(self):
        """Its orders."""
        return self.exchange.desk

    @property
    def finished(self) -> bool:
        """Whether a capture was played to its end."""
        return self.exchange.finished

    def accepts(self, path: str) -> bool:
        """Whether a websocket may be opened at this path."""
        return self.exchange.accepts(path)

    def open(self, connection_id: int, path: str, now_ns: int) -> None:
        """A websocket was opened."""
        self._links[connection_id] = _Link()
        self._paths[connection_id] = path
        self.script.begin(now_ns)
        self._reader.stream(Record(0, now_ns, "open", str(connection_id), path))
        self.exchange.open(connection_id, path, now_ns)

    def message(self, connection_id: int, text: str, now_ns: int) -> None:
        """A text frame arrived."""
        link = self._links.get(connection_id)
        if link is None or link.silent:
            return
        if self._orders is not None:
            meets = self._orders.request(connection_id, self._paths[connection_id], text, now_ns)
            if meets is not None:
                self._later += self._orders.handle(connection_id, text, *meets, now_ns)
                return
        self._reader.stream(Record(0, now_ns, "tx", str(connection_id), text))
        words = text.lower()
        if "subscribe" in words:
            for swallowed in (link.frozen, link.missing):
                for key in [key for key, (symbol, _) in swallowed.items() if symbol.lower() in words]:
                    del swallowed[key]
            if "unsubscribe" not in words and self._choose(REQUEST_KINDS, words=words, now_ns=now_ns):
                return
        self.exchange.message(connection_id, text, now_ns)

    def ping(self, connection_id: int, payload: bytes, now_ns: int) -> None:
        """A ping frame arrived."""
        link = self._links.get(connection_id)
        if link is not None and not link.silent:
            self.exchange.ping(connection_id, payload, now_ns)

    def pong(self, connection_id: int, payload: bytes, now_ns: int) -> None:
        """A pong frame arrived."""
        self.exchange.pong(connection_id, payload, now_ns)

    def closed(self, connection_id: int) -> None:
        """A websocket is gone."""
        self._links.pop(connection_id, None)
        self._paths.pop(connection_id, None)
        if self._orders is not None:
            self._orders.closed(connection_id)
        self.exchange.closed(connection_id)

    def advance(self, now_ns: int) -> None:
        """Do what is due by now."""
        self.exchange.advance(now_ns)
        if self._orders is not None:
            self._orders.advance(now_ns)

    def next_ns(self) -> int:
        """When `advance` or `drain` has something to do."""
        waiting = [link.waiting[0][0] for link in self._links.values() if link.waiting]
        waiting += [due_ns for due_ns, _, _ in self._later] + self.script.next_ns()
        return min([self.exchange.next_ns(), *waiting, *(self._orders.next_ns() if self._orders is not None else ())])

    def drain(self) -> list[tuple[int, Item]]:
        """Take what is to be sent, in order."""
        for number, item in self.exchange.drain():
            link = self._links.get(number)
            if link is None or link.silent:
                continue
            for made in self._made(number, link, item) if isinstance(item, str) else [item]:
                self._send(number, link, made)
        self._leave()
        for number, link in self._links.items():
            while link.waiting and link.waiting[0][0] <= self.exchange.now_ns:
                self._out.append((number, link.waiting.popleft()[1]))
        out, self._out = self._out, []
        return out

    def http(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response:
        """Answer a REST request."""
        if self._orders is not None:
            spoilt = self._orders.call(method, path, query, headers, body, now_ns)
            if spoilt is not None:
                return spoilt
        answer = self.exchange.http(method, path, query, headers, body, now_ns)
        if not self.script.begun_ns:
            return answer           # whoever asks before there is a websocket wants to know what is traded
        url = f"{path}?{query}"
        known = self._reader.answer(Record(0, now_ns, "http", url, answer.body.decode()))
        if answer.status != 200 or known is None or known.kind != "depth":
            return answer
        before = self._answers.get(url)
        self._answers[url] = answer
        kinds = ANSWER_KINDS if before is not None else tuple(kind for kind in ANSWER_KINDS if kind != "old_snapshot")
        fault = self._choose(kinds, known.symbol, now_ns=now_ns)
        if fault is None:
            return answer
        if fault.kind == "refusal":
            return Response(fault.status, {"content-type": "text/plain", "Retry-After": "1"}, b"")
        return before if fault.kind == "old_snapshot" and before is not None else answer._replace(
            after_ns=_nanoseconds(fault))

    # what is wrong

    def _send(self, number: int, link: _Link, item: Item) -> None:
        """Behind what is delayed, if something is; nothing after the end."""
        if link.waiting:
            link.waiting.append((link.waiting[-1][0], item))
        else:
            self._out.append((number, item))
        if isinstance(item, Close | Hangup | Raw):
            link.silent = link.silent or not isinstance(item, Raw) or item.data == TOO_LARGE

    def _leave(self) -> None:
        """Answers and reports whose time has come."""
        now_ns = self.exchange.now_ns
        leaving = [(number, text) for due_ns, number, text in self._later if due_ns <= now_ns]
        self._later = [one for one in self._later if one[0] > now_ns]
        if self._orders is not None:
            leaving += self._orders.due(now_ns)
        for number, text in leaving:
            link = self._links.get(number)
            if link is not None and not link.silent:
                self._send(number, link, text)

    def _made(self, number: int, link: _Link, text: str) -> list[Item]:
        """What is sent instead of a frame: a report of orders, an answer, or a frame of a book."""
        if self._orders is not None and self._orders.entry.is_report(text):
            return list(self._orders.reports(number, text, self.exchange.now_ns))
        return self._distorted(number, link, text)

    def _distorted(self, number: int, link: _Link, text: str) -> list[Item]:
        """What is sent instead of a frame."""
        now_ns = self.exchange.now_ns
        record = Record(0, now_ns, "rx", str(number), text)
        key = self._reader.stream(record)
        if key is None:
            return [text]
        if key in link.frozen:
            until_ns = link.frozen[key][1]
            if not until_ns or now_ns < until_ns:
                return []
            del link.frozen[key]
        if key in link.spoilt and self.exchange.checksum_mark in text:
            link.spoilt.remove(key)
            return [self._falsified(text)]
        symbol = next((symbol for symbol, _, of_book in self._reader.numbers(record) if of_book), ANY)
        if symbol == ANY:
            return [text]
        if key in link.missing:
            left = link.missing.pop(key)[1] - 1
            if left:
                link.missing[key] = symbol, left
            return []
        fault = self._choose(FRAME_KINDS, symbol, now_ns=now_ns)
        self.script.sent(symbol)
        made: list[Item] = [text] if fault is None else self._done(fault, link, key, symbol, text)
        if made and key in link.held:
            made.append(link.held.pop(key))
        if fault is not None and fault.kind == "reorder":
            link.held[key] = text
        return made

    def _done(self, fault: Fault, link: _Link, key: Hashable, symbol: str, text: str) -> list[Item]:
        """One fault, done to one frame of a book."""
        now_ns, encoded = self.exchange.now_ns, text.encode()
        match fault.kind:
            case "duplicate":
                return [text, text]
            case "delay":
                link.waiting.append((now_ns + _nanoseconds(fault), text))
            case "gap":
                if fault.frames > 1:
                    link.missing[key] = symbol, fault.frames - 1
            case "checksum":
                if self.exchange.checksum_mark in text:
                    return [self._falsified(text)]
                link.spoilt.add(key)        # it comes in another frame
                return [text]
            case "garbage":
                return [self._wounded(encoded)]
            case "bad_utf8":
                at = self._random.randrange(1, len(encoded))
                return [encoded[:at] + b"\xff" + encoded[at:]]
            case "fragment":
                first, second = sorted(self._random.randrange(len(encoded) + 1) for _ in range(2))
                return [Fragmented((encoded[:first], encoded[first:second], encoded[second:]))]
            case "oversize":
                return [Raw(TOO_LARGE)]
            case "cut":
                whole = frame(TEXT, encoded)
                return [Raw(whole[:self._random.randrange(1, len(whole))]), Hangup(reset=False)]
            case "reset":
                return [Hangup(reset=True)]
            case "close":
                return [Close(fault.code, "")]
            case "half_open":
                link.silent = True
            case "freeze":
                link.frozen[key] = symbol, now_ns + _nanoseconds(fault) if fault.seconds else 0
            case "tick_size":
                self.exchange.source.change_tick(symbol, fault.tick)
                return [text]
        return []

    def _falsified(self, text: str) -> str:
        """A frame with another checksum, of 32 bits as well."""
        return re.sub(rf"({self.exchange.checksum_mark}\s*)(-?\d+)",
                      lambda found: f"{found[1]}{int(found[2]) ^ 1}", text, count=1)

    def _wounded(self, encoded: bytes) -> bytes:
        """A frame with a few bytes changed, so that it is JSON no more."""
        for _ in range(20):
            raw = bytearray(encoded)
            for _ in range(self._random.randint(1, 3)):
                at, what = self._random.randrange(len(raw)), self._random.random()
                if what < 0.6:
                    raw[at] = self._random.choice(WOUNDS)
                elif what < 0.8:
                    del raw[at:at + self._random.choice((1, 2, 8, 40))]
                else:
                    raw[at:at] = raw[at:at + self._random.choice((1, 4, 20))]
            try:
                msgspec.json.decode(raw)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                return bytes(raw)
        return encoded[:len(encoded) // 2]


def _nanoseconds(fault: Fault) -> int:
    return int(fault.seconds * SECOND_NS) or DELAY_NS
