"""The sync server: every exchange's native thread owns that exchange's connections.

websocket-client connects, verifies and upgrades; then the exchange thread borrows the transport and reads and writes it
without the GIL until it says RELEASED. What is left for Python is one control thread for the sessions, and a few
threads for what blocks: one a connection that is being made, and some a host for REST.
"""
from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from socket import socket as Socket
from urllib.parse import urlsplit

from orderflow._core.doorbell import Doorbell
from orderflow._core.transport import BorrowedTransport
from orderflow.exchanges.actions import Fetch, Request
from orderflow.servers.blocking import BlockingCalls
from orderflow.servers.connect import TIMEOUTS, ConnectError, Timeouts, connect
from orderflow.servers.control import Conversation
from orderflow.servers.effects import Connect, Effect, Release
from orderflow.servers.hosts import HOSTS
from orderflow.servers.rest import AT_ONCE, LEAVE_S, call, client, fetch_now

IDLE_NS = 500_000_000


class SyncServer:
    """Moves bytes for a set of conversations; see the module.

    Parameters
    ----------
    bell : Doorbell
        Of the control thread; every exchange loop rings it when it has an event.
    report : callable(str)
        Told every problem in one line.
    ca_file : str, optional
        The only certificate authorities to trust; by default the system's.
    allow_gil_transport : bool
        Accept the fallback that needs the GIL for every read.
    timeouts : Timeouts
        Of connecting and of REST.
    """

    name = "sync"
    borrows = True

    def __init__(self, bell: Doorbell, report: Callable[[str], None], ca_file: str | None = None,
                 allow_gil_transport: bool = True, timeouts: Timeouts = TIMEOUTS):
        self.bell = bell
        self.report = report
        self.ca_file = ca_file
        self.allow_gil_transport = allow_gil_transport
        self.timeouts = timeouts
        self.hosts = HOSTS
        self.conversations: Sequence[Conversation] = ()
        self._client = client(ca_file, timeouts.rest)
        self._calls = BlockingCalls(AT_ONCE)
        self._results: queue.SimpleQueue[Callable[[], list[Effect] | None]] = queue.SimpleQueue()
        self._transports: dict[tuple[str, int], tuple[Socket, BorrowedTransport]] = {}
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def fetch_now(self, requests: Sequence[Request]) -> dict[str, bytes]:
        """REST bodies by purpose, before anything runs; raises ConnectionError naming the URL."""
        return fetch_now(self._client, requests, self.hosts, self.timeouts.rest)

    def start(self, conversations: Sequence[Conversation]) -> None:
        """Open the connections and keep them open."""
        self.conversations = conversations
        self._thread = threading.Thread(target=self._run, name="orderflow-control", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Close every connection; the native threads must still run. Idempotent.

        What still connects or calls is waited for a moment only: its threads end by their own time limits.
        """
        self._stopping.set()
        self.bell.ring()
        if self._thread is not None:
            self._thread.join(timeout)
            self._thread = None
        self._calls.stop(LEAVE_S)
        while not self._results.empty():
            self._results.get()()                       # closes what was connected too late
        for name, line in self._transports:             # its native thread reads it still: not closed under its feet
            self.report(f"{name}: connection {line} was not given back in time")
        self._client.close()                            # a call that hangs in it fails, whenever it goes on

    # -- control thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        deadline = None
        while True:
            if self._stopping.is_set() and deadline is None:
                deadline = time.monotonic_ns() + 2_000_000_000
                for conversation in self.conversations:
                    conversation.stop()
            self._turn()
            now = time.monotonic_ns()
            if deadline is not None and (now > deadline or not self._transports):
                return
            self._sleep(now)

    def _turn(self) -> None:
        while not self._results.empty():
            for_conversation = self._results.get()
            for_conversation()
        for conversation in self.conversations:
            self._perform(conversation, conversation.events(time.monotonic_ns(), time.time_ns()))
            self._perform(conversation, conversation.due(time.monotonic_ns()))

    def _sleep(self, now_ns: int) -> None:
        due = [at for at in (conversation.next_due_ns() for conversation in self.conversations) if at is not None]
        pause = max(0, min([IDLE_NS, *(at - now_ns for at in due)]))
        self.bell.prepare_park()
        if not self._results.empty() or any(conversation.loop.has_events for conversation in self.conversations):
            self.bell.cancel_park()
        else:
            self.bell.wait(pause)

    def _perform(self, conversation: Conversation, effects) -> None:
        for effect in effects:
            if isinstance(effect, Connect):
                self._calls.submit((conversation.name, effect.line), partial(self._connect, conversation, effect))
            elif isinstance(effect, Fetch):
                self._calls.submit(urlsplit(effect.request.url).netloc,
                                   partial(self._fetch, conversation, effect.request))
            elif isinstance(effect, Release):
                socket, transport = self._transports.pop((conversation.name, effect.line), (None, None))
                if transport is not None:
                    transport.release()
                    socket.close()

    def _connected(self, conversation: Conversation, line: int, socket, glued: bytes) -> None:
        if self._stopping.is_set():
            socket.close()
            return
        transport = BorrowedTransport(socket, glued)
        if transport.fallback_reason:
            problem = f"{conversation.name}: reads need the GIL ({transport.fallback_reason})"
            if not self.allow_gil_transport:
                socket.close()
                conversation.connect_failed(line, f"{problem}; set allow_gil_transport = true to accept that",
                                            time.monotonic_ns())
                return
            self.report(problem)
        self._transports[conversation.name, line] = (socket, transport)
        self._perform(conversation, conversation.connected(line, transport.address, time.monotonic_ns(),
                                                           time.time_ns()))

    # -- threads of blocking calls: whatever they find out is said on the control thread -------------------------

    def _later(self, what: Callable[[], None]) -> None:
        self._results.put(what)
        self.bell.ring()

    def _connect(self, conversation: Conversation, effect: Connect) -> None:
        try:
            socket, glued = connect(
                effect.endpoint.url, self.ca_file, connect_timeout=self.timeouts.connect,
                tls_timeout=self.timeouts.tls, upgrade_timeout=self.timeouts.upgrade)
        except (ConnectError, ValueError) as error:
            problem = str(error)
            self._later(lambda: conversation.connect_failed(effect.line, problem, time.monotonic_ns()))
            return
        if self._stopping.is_set():         # nobody may be left to take it
            socket.close()
        else:
            self._later(lambda: self._connected(conversation, effect.line, socket, glued))

    def _fetch(self, conversation: Conversation, request: Request) -> None:
        status, body, retry_after, used_weight = call(self._client, request)
        self._later(lambda: self._perform(
            conversation, conversation.answered(request, status, body, time.monotonic_ns(), time.time_ns(),
                                                retry_after, used_weight)))
