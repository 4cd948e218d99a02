"""The direct server: the same loops in one thread, on a virtual clock, with bytes in memory.

For tests, replay and demonstrations. The exchanges are objects that speak their protocols without sockets (the
simulator's): they are handed bytes and the time, and give bytes back. Nothing here waits; time passes as fast as the
work is done, and the same start gives the same bytes, every time.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from orderflow.exchanges.actions import Fetch, Request
from orderflow.servers.control import Conversation
from orderflow.servers.effects import Connect, Release
from orderflow.servers.hosts import PATIENCE_S, Hosts
from orderflow.simulator.exchange import Close, Fragmented, Ping, Response

#: Loops look at their timers this often.
TICK_NS = 50_000_000


def retry_after(answer: Response) -> str:
    """The header, "" where there is none."""
    return answer.headers.get("Retry-After", "")


def used_weight(answer: Response) -> str:
    """What Binance has counted, "" where it does not say."""
    return answer.headers.get("X-MBX-USED-WEIGHT-1M", "")


class DirectServer:
    """Moves bytes between conversations and exchanges in memory.

    Parameters
    ----------
    exchanges : dict of str -> simulated exchange
        By name: `open`, `message`, `closed`, `advance`, `next_ns`, `drain`, `http` as the simulator's have them.
    start_ns : int
        Where the virtual clock begins: unix nanoseconds, and the monotonic clock as well.
    report : callable(str)
        Told every problem in one line.
    """

    name = "direct"
    borrows = False

    def __init__(self, exchanges: dict[str, Any], start_ns: int, report: Callable[[str], None]):
        self.exchanges = exchanges
        self.now_ns = start_ns
        self.report = report
        self.hosts = Hosts(seed=0)          # of this clock
        self.conversations: Sequence[Conversation] = ()
        self.loops: Sequence[Any] = ()
        self._lines: dict[tuple[str, int], int] = {}        # (exchange, connection number) -> line
        self._numbers: dict[tuple[str, int], int] = {}      # (exchange, line) -> connection number
        self._opened = 0
        self._late: list[tuple[int, Conversation, Request, Response]] = []      # when to give an answer

    def fetch_now(self, name: str, requests: Sequence[Request]) -> dict[str, bytes]:
        """REST bodies by purpose; raises ConnectionError naming the URL."""
        bodies = {}
        for request in requests:
            self.hosts.request(request.url, None, self.now_ns, request.weight)
            answer = self._call(name, request)
            last_ns = self.now_ns + int(PATIENCE_S * 1e9)
            while last_ns >= (free_ns := self.hosts.answered(request.url, answer.status, retry_after(answer),
                                                             self.now_ns, self.now_ns)) > 0:
                self.now_ns = free_ns       # nothing else runs yet that would notice
                self.hosts.request(request.url, None, self.now_ns, request.weight)
                answer = self._call(name, request)
            if answer.status != 200:
                shown = answer.body[:200].decode(errors="replace")
                raise ConnectionError(f"{request.url}: {shown} (status {answer.status})")
            bodies[request.purpose] = answer.body
        return bodies

    def start(self, conversations: Sequence[Conversation], loops: Sequence[Any]) -> None:
        """Take charge of these conversations and step these loops, in this order."""
        self.conversations, self.loops = conversations, loops

    def stop(self) -> None:
        """Close every connection."""
        for conversation in self.conversations:
            conversation.stop()
        self._settle()

    def run_until(self, until_ns: int, stop: Callable[[], bool] = lambda: False) -> None:
        """Let time pass to `until_ns`, or until `stop` says so."""
        while self.now_ns < until_ns and not stop():
            self._settle()
            due = [exchange.next_ns() for exchange in self.exchanges.values()]
            due += [at for at in (conversation.next_due_ns() for conversation in self.conversations) if at is not None]
            due += [at for one in self.conversations if (at := one.loop.paper_due_ns) is not None]
            due += [at for at, *_ in self._late]
            self.now_ns = min(until_ns, max(self.now_ns + 1, min([self.now_ns + TICK_NS, *due])))
        self._settle()

    # -- one moment -------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Everything that happens now: until no loop, no exchange and no session has anything left to do."""
        busy = True
        while busy:
            busy = self._advance_exchanges() or self._answer_late()
            for loop in self.loops:
                busy |= loop.run_once(self.now_ns) > 0
            for conversation in self.conversations:
                busy |= self._deliver_orders(conversation)      # before a connection they were sent over is closed
                busy |= self._perform(conversation, conversation.events(self.now_ns, self.now_ns))
                busy |= self._perform(conversation, conversation.due(self.now_ns))

    def _advance_exchanges(self) -> bool:
        busy = False
        for conversation in self.conversations:
            exchange = self.exchanges[conversation.name]
            if exchange.next_ns() <= self.now_ns:
                exchange.advance(self.now_ns)
                busy = True
            for number, item in exchange.drain():
                busy = True
                line = self._lines.get((conversation.name, number))
                if line is None:
                    continue
                epoch = conversation.lines[line].epoch
                if isinstance(item, str | bytes):
                    payload = item.encode() if isinstance(item, str) else item
                    conversation.loop.push_frame(line, epoch, payload, self.now_ns)
                elif isinstance(item, Fragmented):
                    conversation.loop.push_frame(line, epoch, b"".join(item.parts), self.now_ns)
                elif isinstance(item, Ping):
                    exchange.pong(number, item.payload, self.now_ns)
                else:       # the end of it, or bytes that are no frame, which are the end too
                    conversation.disconnected(line, item.code if isinstance(item, Close) else 0, epoch)
        return busy

    def _deliver_orders(self, conversation: Conversation) -> bool:
        busy = False
        while (taken := conversation.loop.next_frame_out()) is not None:
            number = self._numbers.get((conversation.name, taken[0]))
            if number is not None:
                self.exchanges[conversation.name].message(number, taken[1].decode(), self.now_ns)
            busy = True
        return busy

    def _perform(self, conversation: Conversation, effects) -> bool:
        busy = False
        for effect in effects:
            busy = True
            if isinstance(effect, Connect):
                self._connect(conversation, effect)
            elif isinstance(effect, Fetch):
                answer = self._call(conversation.name, effect.request)
                if answer.after_ns:
                    self._late.append((self.now_ns + answer.after_ns, conversation, effect.request, answer))
                else:
                    self._answer(conversation, effect.request, answer)
            elif isinstance(effect, Release):
                number = self._numbers.pop((conversation.name, effect.line), None)
                if number is not None:
                    self._lines.pop((conversation.name, number))
                    self.exchanges[conversation.name].closed(number)
        return busy

    def _answer(self, conversation: Conversation, request: Request, answer: Response) -> None:
        self._perform(conversation, conversation.answered(request, answer.status, answer.body, self.now_ns,
                                                          self.now_ns, retry_after(answer), used_weight(answer)))

    def _answer_late(self) -> bool:
        """Answers that were asked for some time ago and are due now."""
        due = [late for late in self._late if late[0] <= self.now_ns]
        self._late = [late for late in self._late if late[0] > self.now_ns]
        for _, conversation, request, answer in due:
            self._answer(conversation, request, answer.made(self.now_ns) if answer.made is not None else answer)
        return bool(due)

    def _connect(self, conversation: Conversation, effect: Connect) -> None:
        exchange = self.exchanges[conversation.name]
        parts = urlsplit(effect.endpoint.url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        if not exchange.accepts(path):
            conversation.connect_failed(effect.line, f"{parts.path} is not a websocket of this exchange", self.now_ns)
            return
        self._opened += 1
        exchange.open(self._opened, path, self.now_ns)
        self._lines[conversation.name, self._opened] = effect.line
        self._numbers[conversation.name, effect.line] = self._opened
        self._perform(conversation, conversation.connected(effect.line, 0, self.now_ns, self.now_ns))

    def _call(self, name: str, request: Request) -> Response:
        parts = urlsplit(request.url)
        headers = {key.lower(): value for key, value in request.headers}
        return self.exchanges[name].http(request.method, parts.path, parts.query, headers, request.body, self.now_ns)
