"""The async server: one event loop owns all connections; every frame crosses a ring into its exchange's native thread.

picows listeners hand each frame to the same native entry point that the sync server's threads feed; what an exchange
thread wants sent comes back through another ring whose doorbell the event loop watches. When a ring is full, reading
from that exchange pauses: frames are never dropped.
"""
from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from picows import WSAutoPingStrategy, WSCloseCode, WSError, WSMsgType, ws_connect

from orderflow._core.doorbell import Doorbell
from orderflow.exchanges.actions import Fetch, Request
from orderflow.redaction import RedactingLogger
from orderflow.servers.connect import TIMEOUTS, Timeouts, check_url, explain
from orderflow.servers.control import Conversation
from orderflow.servers.effects import Connect, Release
from orderflow.servers.hosts import HOSTS
from orderflow.servers.listener import LARGEST_FRAME, RETRY_S, Listener
from orderflow.servers.resolve import EventLoop
from orderflow.servers.rest import async_client, call_async, client, fetch_now, trust

LOGGER = logging.getLogger("picows")
LOGGER.addHandler(logging.NullHandler())        # what it would print, AsyncServer reports
#: A connection that says nothing is pinged, and then given up: as the sync server's threads do (connections.pxd).
PING_S, HEARD_S = 15.0, 30.0
#: How long a peer may take to answer our goodbye.
LEAVE_S = 1.0
#: How asyncio, and aiofastnet as well, word it when TLS takes longer than it may.
SLOW_TLS = "SSL handshake is taking longer"


@dataclass(slots=True)
class Attempt:
    """Where making a connection has got to, and how many seconds that may take."""

    phase: str
    seconds: float


async def open_socket(host: str, port: int, attempt: Attempt) -> socket.socket:
    """Connected to the first address of `host` that accepts."""
    loop = asyncio.get_running_loop()
    refused = OSError(f"{host} has no address")
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    attempt.phase = "connect"
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        try:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(attempt.seconds / (len(addresses) - tried)):
                await loop.sock_connect(opened, address)
            return opened
        except OSError as error:
            opened.close()
            refused = error
        except BaseException:
            opened.close()
            raise
    raise refused


class AsyncServer:
    """Moves bytes for a set of conversations on one event loop; see SyncServer for the parameters."""

    name = "async"
    borrows = False

    def __init__(self, bell: Doorbell, report: Callable[[str], None], ca_file: str | None = None,
                 timeouts: Timeouts = TIMEOUTS):
        self.bell = bell
        self.report = report
        self.ca_file = ca_file
        self.timeouts = timeouts
        self.hosts = HOSTS
        self.conversations: Sequence[Conversation] = ()
        self._trust = trust(ca_file)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._listeners: dict[tuple[str, int], Listener] = {}
        self._open: set[Listener] = set()       # connected, or on their way out
        self._tasks: set[asyncio.Task] = set()

    def fetch_now(self, requests: Sequence[Request]) -> dict[str, bytes]:
        """REST bodies by purpose, before anything runs; raises ConnectionError naming the URL."""
        with client(self.ca_file, self.timeouts.rest) as using:
            return fetch_now(using, requests, self.hosts, self.timeouts.rest)

    def start(self, conversations: Sequence[Conversation]) -> None:
        """Open the connections and keep them open."""
        self.conversations = conversations
        self._thread = threading.Thread(target=self._main, name="orderflow-loop", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Close every connection; the native threads must still run. Idempotent."""
        self._stopping = True
        self.bell.ring()
        if self._thread is not None:
            self._thread.join(timeout)
            self._thread = None

    # -- event loop thread ----------------------------------------------------------------------------------------

    def _main(self) -> None:
        with asyncio.Runner(loop_factory=EventLoop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        self._loop.add_reader(self.bell.fileno(), woken.set)
        async with async_client(self.ca_file, self.timeouts.rest) as self._client:
            deadline = None
            while deadline is None or (self._open and time.monotonic_ns() < deadline):
                if self._stopping and deadline is None:
                    deadline = time.monotonic_ns() + 2_000_000_000
                    for conversation in self.conversations:
                        conversation.stop()
                self._turn()
                await self._sleep(woken)
            for listener in list(self._open):
                listener.transport.disconnect(False)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._loop.remove_reader(self.bell.fileno())

    def _turn(self) -> None:
        for conversation in self.conversations:
            while (taken := conversation.loop.next_frame_out()) is not None:
                listener = self._listeners.get((conversation.name, taken[0]))
                if listener is not None and not listener.transport.is_disconnected:
                    listener.transport.send(WSMsgType.TEXT, taken[1])
            # After that: a connection that these were sent over may be closed now.
            self._perform(conversation, conversation.events(time.monotonic_ns(), time.time_ns()))
            self._perform(conversation, conversation.due(time.monotonic_ns()))

    async def _sleep(self, woken: asyncio.Event) -> None:
        now_ns = time.monotonic_ns()
        due = [at for at in (conversation.next_due_ns() for conversation in self.conversations) if at is not None]
        pause = max(0.0, min([0.5, *((at - now_ns) / 1e9 for at in due)]))
        self.bell.prepare_park()
        if self._stopping:
            pause = RETRY_S         # closing sockets ring no bell
        elif any(conversation.loop.has_events for conversation in self.conversations):
            pause = 0.0
        try:
            await asyncio.wait_for(woken.wait(), pause)
        except TimeoutError:
            pass
        woken.clear()
        self.bell.take()

    def _perform(self, conversation: Conversation, effects) -> None:
        for effect in effects:
            if isinstance(effect, Connect):
                self._spawn(self._attend(conversation, effect))
            elif isinstance(effect, Fetch):
                self._spawn(self._fetch(conversation, effect.request))
            elif isinstance(effect, Release):
                listener = self._listeners.pop((conversation.name, effect.line), None)
                if listener is not None and not listener.transport.is_disconnected:
                    self._spawn(self._leave(listener))

    def _spawn(self, coroutine) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _leave(self, listener: Listener) -> None:
        """Close with good manners; a peer that does not answer is not waited for."""
        listener.transport.send_close(WSCloseCode.OK)
        listener.transport.disconnect()
        try:
            async with asyncio.timeout(LEAVE_S):
                await listener.transport.wait_disconnected()
        except TimeoutError:
            listener.transport.disconnect(False)
        except WSError:
            pass                        # told by _attend

    async def _attend(self, conversation: Conversation, effect: Connect) -> None:
        """A connection from its making to its end."""
        listener = await self._connect(conversation, effect)
        if listener is None:
            return
        try:
            await listener.transport.wait_disconnected()
        except WSError as error:
            conversation.tell(f"{conversation.lines[effect.line].name} connection: {error}")
        finally:
            self._open.discard(listener)

    async def _connect(self, conversation: Conversation, effect: Connect) -> Listener | None:
        url = effect.endpoint.url
        listener = Listener(conversation, effect.line, self._admit)
        where = urlsplit(url).netloc
        attempt = Attempt("resolve", self.timeouts.connect)
        try:
            host, port, is_tls = check_url(url)
            await self._upgrade(listener, url, host, port, self._trust if is_tls else None, attempt)
        except (OSError, WSError, TimeoutError, ValueError) as error:
            problem = str(explain(error, where, attempt.phase, attempt.seconds))
            conversation.connect_failed(effect.line, problem, time.monotonic_ns())
            self.bell.ring()
            return None
        return listener

    async def _upgrade(self, listener: Listener, url: str, host: str, port: int, trusted: ssl.SSLContext | None,
                       attempt: Attempt) -> None:
        """picows cancelled in its handshake would leave the socket open; shut down, it ends by itself and closes it."""
        async with asyncio.timeout(attempt.seconds):
            opened = await open_socket(host, port, attempt)
        options: dict[str, Any] = {} if trusted is None else {"ssl_handshake_timeout": self.timeouts.tls}
        making = self._loop.create_task(ws_connect(
            lambda: listener, url, ssl_context=trusted, socket_factory=lambda _: opened, max_redirects=0,
            max_frame_size=LARGEST_FRAME, websocket_handshake_timeout=self.timeouts.upgrade, enable_auto_ping=True,
            auto_ping_idle_timeout=PING_S, auto_ping_reply_timeout=HEARD_S - PING_S, enable_auto_pong=True,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE, logger_name=RedactingLogger(LOGGER), **options))
        attempt.phase, attempt.seconds = "upgrade", self.timeouts.upgrade
        try:
            await asyncio.shield(making)
        except ConnectionAbortedError as error:
            if SLOW_TLS not in str(error):
                raise
            attempt.phase, attempt.seconds = "tls", self.timeouts.tls
            raise TimeoutError from None
        except (TimeoutError, asyncio.CancelledError):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            if not making.done():
                await asyncio.wait([making])
            if making.exception() is None:      # it was made after all, in the same moment
                making.result()[0].disconnect(False)
            raise

    def _admit(self, listener: Listener) -> None:
        conversation = listener.conversation
        self._listeners[conversation.name, listener.line] = listener
        self._open.add(listener)
        effects = conversation.connected(listener.line, 0, time.monotonic_ns(), time.time_ns())
        listener.epoch = conversation.lines[listener.line].epoch
        self._perform(conversation, effects)

    async def _fetch(self, conversation: Conversation, request: Request) -> None:
        status, body, retry_after, used_weight = await call_async(self._client, request)
        self._perform(conversation, conversation.answered(request, status, body, time.monotonic_ns(), time.time_ns(),
                                                          retry_after, used_weight))
        self.bell.ring()            # what is due now may be another than before
