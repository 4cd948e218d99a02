"""Simulated exchanges on loopback: REST and websocket on one port, and the same again on a second port with TLS.

An exchange (exchange.py) is driven by one event loop in one thread. Frames are written to the sockets in the
order of the outbox, over all connections, without waiting; before more is produced, sockets that are behind are
waited for. So a client that reads slowly slows a capture played "as fast as frames are taken", and loses nothing.
"""
import asyncio
import socket
import struct
import threading
import time
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from aiohttp import WSMsgType, web

from orderflow.simulator.certificates import Authority
from orderflow.simulator.exchange import NEVER_NS, Close, Exchange, Fragmented, Hangup, Item
from orderflow.simulator.faulty import FaultyExchange
from orderflow.simulator.frames import spelled

MAXIMUM_BEHIND = 64 * 1024 * 1024       # bytes a client may leave unread before it is cut off
MAXIMUM_REQUEST = 1024 * 1024
LINGER_NOT = struct.pack("ii", 1, 0)    # SO_LINGER: closing sends RST
START_SECONDS = 30
OWN_PATH = "/simulator/"


@dataclass(frozen=True)
class Ports:
    """Where an exchange listens on 127.0.0.1: `plain` for http and ws, `tls` for https and wss (0 = not)."""
    plain: int
    tls: int


class SimulatedExchange:
    """Serves one Exchange from a thread of its own; a context manager.

    `port` and `tls_port` 0 let the system choose; `authority` None serves no TLS. `clock` gives unix nanoseconds.
    `truth` names a file for what truly happened to orders, which is written at the end; "" = none.
    """

    def __init__(self, exchange: Exchange | FaultyExchange, port: int = 0, tls_port: int = 0,
                 authority: Authority | None = None, clock=time.time_ns, played=None, truth: str = ""):
        self.exchange = exchange
        self.authority = authority
        self.ports: Ports | None = None
        self.played = played or threading.Event()   # set when a capture was played to its end
        self._announced = False
        self._truth = truth
        self._wanted = Ports(port, tls_port)
        self._clock = clock
        self._clients: dict[int, _Client] = {}
        self._opened = 0
        self.frames_sent = 0            # text messages, over all connections
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Ports:
        """Listen; returns the ports. OSError names the setting whose port is in use."""
        if self._thread is not None:
            raise RuntimeError(f"exchange {self.exchange.name} was started before")
        self._thread = threading.Thread(target=self._serve, name=f"simulated-{self.exchange.name}", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise TimeoutError(f"exchange {self.exchange.name} did not start within {START_SECONDS} s")
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self.ports

    def stop(self) -> None:
        """Close every connection and listener and join the thread. Safe to call twice."""
        if self._thread is None or not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        if self._truth and self.exchange.desk is not None:
            Path(self._truth).write_text(self.exchange.desk.truth_lines())

    def call(self, function, *arguments):
        """Run `function(*arguments)` in the exchange's thread and return its result: to look inside while it runs."""
        async def run():
            return function(*arguments)
        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(START_SECONDS)

    @property
    def faults(self) -> dict[str, int]:
        """How often each kind of fault was injected."""
        return dict(self.exchange.counts) if isinstance(self.exchange, FaultyExchange) else {}

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def _serve(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:      # carried to whoever called start, who is waiting
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping, self._changed = asyncio.Event(), asyncio.Event()
        application = web.Application(client_max_size=MAXIMUM_REQUEST)
        application.router.add_route("*", "/{path:.*}", self._request)
        runner = web.AppRunner(application, handle_signals=False, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            plain = await self._listen(runner, "port", self._wanted.plain, None)
            tls = 0
            if self.authority is not None:
                tls = await self._listen(runner, "tls_port", self._wanted.tls, self.authority.server_context())
            self.ports = Ports(plain, tls)
            pump = asyncio.create_task(self._pump())
            stopping = asyncio.create_task(self._stopping.wait())
            self._ready.set()
            await asyncio.wait((pump, stopping), return_when=asyncio.FIRST_COMPLETED)
            for task in (pump, stopping):
                task.cancel()
            await asyncio.gather(stopping, return_exceptions=True)
            await self._end(pump)
        finally:
            for client in list(self._clients.values()):
                client.cut()
            await runner.cleanup()

    async def _end(self, pump: asyncio.Task) -> None:
        try:
            await pump
        except asyncio.CancelledError:
            pass

    async def _listen(self, runner, key: str, port: int, context) -> int:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            listener.close()
            raise OSError(error.errno, f"{key}: 127.0.0.1:{port} of exchange {self.exchange.name} cannot be listened "
                                       f"on ({error.strerror}); choose another {key}, or 0 for any") from None
        await web.SockSite(runner, listener, ssl_context=context).start()
        return listener.getsockname()[1]

    @property
    def now_ns(self) -> int:
        """The exchange's clock, unix time."""
        return self._clock()

    async def _request(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("upgrade", "").lower() == "websocket" and self.exchange.accepts(request.path):
            return await self._websocket(request)
        if request.path.startswith(OWN_PATH):
            return self._own(request.path.removeprefix(OWN_PATH))
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers["x-forwarded-proto"] = request.scheme       # for exchanges that tell where they are to be found
        answer = self.exchange.http(request.method, request.path, request.rel_url.raw_query_string, headers,
                                    await request.read(), self._clock())
        self._flush()
        self._changed.set()
        if answer.after_ns:
            await asyncio.sleep(answer.after_ns / 1e9)
        if answer.made is not None:
            answer = answer.made(self._clock())
            self._flush()
            self._changed.set()
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    def _own(self, name: str) -> web.Response:
        """What no real exchange offers: how far a capture was played, and what truly happened to orders."""
        if name == "status":
            return web.json_response({"exchange": self.exchange.name, "protocol": self.exchange.protocol,
                                      "connections": len(self.exchange.connections), "played": self.exchange.finished,
                                      "rounds": getattr(self.exchange.source, "rounds", 0),
                                      "ended": getattr(self.exchange.source, "ended", 0), "faults": self.faults})
        if name == "truth" and self.exchange.desk is not None:
            return web.json_response(self.exchange.desk.truth())
        if name == "truth.jsonl" and self.exchange.desk is not None:
            return web.Response(text=self.exchange.desk.truth_lines(), content_type="application/jsonl")
        return web.Response(status=404)

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=MAXIMUM_REQUEST)
        writer = await websocket.prepare(request)
        self._opened += 1
        number = self._opened
        self._clients[number] = _Client(request.transport, writer)
        self.exchange.open(number, request.raw_path, self._clock())
        self._flush()
        self._changed.set()
        try:
            async for message in websocket:
                if message.type == WSMsgType.TEXT:
                    self.exchange.message(number, message.data, self._clock())
                elif message.type == WSMsgType.PONG:
                    self.exchange.pong(number, bytes(message.data), self._clock())
                elif message.type == WSMsgType.PING:
                    self.exchange.ping(number, bytes(message.data), self._clock())
                self._flush()
                self._changed.set()
        finally:
            self._clients.pop(number, None)
            self.exchange.closed(number)
        return websocket

    def _flush(self) -> None:
        # Runs of frames for one connection leave in one write; the order over connections stays that of the outbox.
        for number, items in groupby(self.exchange.drain(), itemgetter(0)):
            client = self._clients.get(number)
            if client is not None:
                frames = [item for _, item in items]
                self.frames_sent += sum(isinstance(item, str | bytes | Fragmented) for item in frames)
                client.write(frames)

    async def _pump(self) -> None:
        """Let the exchange's time pass: as soon as something is due or a client said something."""
        while True:
            self._changed.clear()
            self.exchange.advance(self._clock())
            self._flush()
            for client in list(self._clients.values()):
                await client.drained()
            if self.exchange.finished and not self._announced:
                self._announced = True
                self.played.set()
            due_ns, now_ns = self.exchange.next_ns(), self._clock()
            if due_ns <= now_ns:
                await asyncio.sleep(0)          # let the readers run
                continue
            timer = None
            if due_ns != NEVER_NS:
                timer = self._loop.call_later((due_ns - now_ns) / 1e9, self._changed.set)
            await self._changed.wait()
            if timer is not None:
                timer.cancel()


class _Client:
    """The writing side of one websocket."""

    def __init__(self, transport: asyncio.Transport, writer):
        self._transport = transport
        self._writer = writer

    def write(self, items: list[Item]) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(b"".join(map(spelled, items)))
        if isinstance(items[-1], Hangup) and items[-1].reset:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            self._transport.abort()
        elif isinstance(items[-1], Close | Hangup):
            self._transport.close()
        elif self._transport.get_write_buffer_size() > MAXIMUM_BEHIND:
            self._transport.abort()

    async def drained(self) -> None:
        """Wait until the client has taken what was written, or is gone."""
        try:
            await self._writer.drain()
        except ConnectionError:
            self._transport.abort()

    def cut(self) -> None:
        """End the connection: close frame, then close."""
        self.write([Close(1001, "Server going away")])
