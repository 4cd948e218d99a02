"""The private half of the faults: what goes wrong with requests about orders and with the reports of them.

    request ── reject, unknown, overload, ack_lost, late_ack, late_cancel ──> exchange
    report  <── report_drop, _duplicate, _reorder, _delay, lying_status, zero_fill ── exchange
    time    ── clock, expire_key, hide_orders ──> exchange

What the exchange accepted and filled stands in its desk's truth log, whatever its clients were told.
"""
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from orderflow.simulator.entry import OrderEntry, Request
from orderflow.simulator.exchange import Exchange, Item, Response
from orderflow.simulator.faults import ORDER_KINDS, REPORT_KINDS, SECOND_NS, TIMED_KINDS, Fault

DELAY_NS = SECOND_NS // 4           # of a fault that says nothing else
HIDDEN_NS = 3 * SECOND_NS
NO_ANSWER_NS = 3600 * SECOND_NS     # of a REST request whose answer is lost: nobody waits for so long


@dataclass
class ReportQueue:
    """Reports of one websocket that have not left yet."""
    late: deque[tuple[int, str]] = field(default_factory=deque)     # delayed, in their order
    swapped: str | None = None                                      # goes after the next one
    swapped_until_ns: int = 0

    def next_ns(self) -> list[int]:
        """When something leaves."""
        return [*([self.late[0][0]] if self.late else []), *([self.swapped_until_ns] if self.swapped else [])]

    def due(self, now_ns: int) -> list[str]:
        """What leaves now."""
        found = []
        while self.late and self.late[0][0] <= now_ns:
            found.append(self.late.popleft()[1])
        if self.swapped is not None and self.swapped_until_ns <= now_ns:
            found.append(self.swapped)
            self.swapped = None
        return found


class OrderFaults:
    """What goes wrong at one exchange. `choose` picks the fault to inject (faulty.py), and counts it."""

    def __init__(self, exchange: Exchange, entry: OrderEntry, choose: Callable, random):
        self.exchange, self.entry = exchange, entry
        self._choose, self._random = choose, random
        self._queues: dict[int, ReportQueue] = {}
        self._waiting: list[tuple[int, int, int, str]] = []     # (due, arrived, connection, request), in their order

    # requests

    def request(self, number: int, path: str, text: str, now_ns: int) -> tuple[Request, Fault] | None:
        """The fault that a frame meets, and what it wanted; None for one that is just passed on."""
        request = self.entry.request(path, text)
        fault = None if request is None else self._chosen(request, now_ns)
        return None if fault is None else (request, fault)

    def handle(self, number: int, text: str, request: Request, fault: Fault, now_ns: int) -> list[tuple[int, int, str]]:
        """Do it. What is to be sent later on, as (due, connection, frame); what the exchange says at once is in its
        outbox, without the answer."""
        exchange = self.exchange
        if fault.kind == "late_cancel":
            self._waiting.append((now_ns + _nanoseconds(fault), now_ns, number, text))
            return []
        answers: list[str] = []
        if fault.kind in ("ack_lost", "late_ack") or (fault.kind == "unknown" and fault.accepted):
            answers = self._pass_on(number, text, now_ns)
        if fault.kind in ("reject", "unknown", "overload"):
            status = self._status(fault)
            error = fault.error or self.entry.words(fault.kind, status)
            exchange.send(exchange.connections[number], self.entry.refusal(text, request, error, status))
        due_ns = now_ns + _nanoseconds(fault)
        return [(due_ns, number, answer) for answer in answers] if fault.kind == "late_ack" else []

    def _pass_on(self, number: int, text: str, now_ns: int) -> list[str]:
        """Let the exchange do it, and take the answers out of its outbox."""
        before = self.exchange.drain()
        self.exchange.message(number, text, now_ns)
        answers: list[str] = []
        rest: list[tuple[int, Item]] = []
        for one, item in self.exchange.drain():
            mine = one == number and isinstance(item, str) and self.entry.is_answer(item)
            (answers if mine else rest).append(item if mine else (one, item))
        self.exchange.put_back(before + rest)
        return answers

    def call(self, method: str, path: str, query: str, headers, body: bytes, now_ns: int) -> Response | None:
        """A REST request that meets a fault; None for one that is just passed on."""
        request = self.entry.call(method, path, query, body)
        fault = None if request is None else self._chosen(request, now_ns)
        if fault is None:
            return None

        def answered(at_ns: int) -> Response:
            self.exchange.waited_ns = at_ns - now_ns
            try:
                return self.exchange.http(method, path, query, headers, body, at_ns)
            finally:
                self.exchange.waited_ns = 0

        if fault.kind == "late_cancel":
            return Response(0, {}, b"", _nanoseconds(fault), answered)
        if fault.kind == "ack_lost":
            return answered(now_ns)._replace(after_ns=NO_ANSWER_NS)
        if fault.kind == "late_ack":
            return answered(now_ns)._replace(after_ns=_nanoseconds(fault))
        if fault.kind == "unknown" and fault.accepted:
            answered(now_ns)
        status = self._status(fault)
        return self.entry.refused_call(fault.error or self.entry.words(fault.kind, status), status)

    def _chosen(self, request: Request, now_ns: int) -> Fault | None:
        if request.kind == "query":
            return None
        kinds = ORDER_KINDS if request.kind == "cancel" else tuple(one for one in ORDER_KINDS if one != "late_cancel")
        fault = self._choose(kinds, request.symbol, now_ns=now_ns, request=request.kind)
        if fault is not None and fault.kind == "unknown" and fault.accepted is None:
            fault = replace(fault, accepted=self._random.random() < 0.5)
        return fault

    def _status(self, fault: Fault) -> int:
        if fault.kind == "reject":
            return 400 if fault.status == 503 else fault.status
        if fault.kind == "overload":
            return fault.status
        return 504 if fault.status == 503 else fault.status

    # reports

    def reports(self, number: int, text: str, now_ns: int) -> list[str]:
        """What is sent now in place of a report."""
        queue = self._queues.setdefault(number, ReportQueue())
        kinds = tuple(kind for kind in REPORT_KINDS if (kind != "lying_status" or self.entry.lie(text))
                      and (kind != "zero_fill" or self.entry.zero_fill(text)))
        fault = self._choose(kinds, _symbol_of(text), now_ns=now_ns)
        kind = "" if fault is None else fault.kind
        made = [text]
        if kind == "report_drop":
            made = []
        elif kind == "report_duplicate":
            made = [text, text]
        elif kind == "lying_status":
            made = [self.entry.lie(text) or text]
        elif kind == "zero_fill":
            made = [self.entry.zero_fill(text) or text, text]
        elif kind == "report_reorder" and queue.swapped is None:
            queue.swapped, queue.swapped_until_ns = text, now_ns + DELAY_NS
            made = []
        if made and queue.swapped is not None:
            made.append(queue.swapped)
            queue.swapped = None
        if kind == "report_delay" or queue.late:
            due_ns = now_ns + _nanoseconds(fault) if kind == "report_delay" else queue.late[-1][0]
            queue.late += [(max(due_ns, queue.late[-1][0] if queue.late else 0), one) for one in made]
            made = []
        return made

    def closed(self, number: int) -> None:
        """A websocket is gone."""
        self._queues.pop(number, None)

    # time

    def next_ns(self) -> list[int]:
        """When something is due."""
        return [due for queue in self._queues.values() for due in queue.next_ns()] + [one[0] for one in self._waiting]

    def due(self, now_ns: int) -> list[tuple[int, str]]:
        """Reports that leave now, as (connection, frame)."""
        return [(number, text) for number, queue in self._queues.items() for text in queue.due(now_ns)]

    def advance(self, now_ns: int) -> None:
        """Do what is due."""
        for one in [one for one in self._waiting if one[0] <= now_ns]:
            self._waiting.remove(one)
            _, arrived_ns, number, text = one
            self.exchange.waited_ns = now_ns - arrived_ns
            self.exchange.message(number, text, now_ns)
            self.exchange.waited_ns = 0
        fault = self._choose(TIMED_KINDS, now_ns=now_ns, drawn=False)
        if fault is None:
            return
        if fault.kind == "clock":
            self.exchange.skew_ns = int(fault.seconds * SECOND_NS)
        elif fault.kind == "expire_key":
            self.exchange.expire_streams()
        else:
            self.exchange.desk.hide_ns = int(fault.seconds * SECOND_NS) or HIDDEN_NS


def _symbol_of(text: str) -> str:
    """The symbol of a report, as either protocol spells it."""
    for mark in ('"s":"', '"symbol":"'):
        _, found, rest = text.partition(mark)
        if found:
            return rest.partition('"')[0]
    return ""


def _nanoseconds(fault: Fault) -> int:
    return int(fault.seconds * SECOND_NS) or DELAY_NS
