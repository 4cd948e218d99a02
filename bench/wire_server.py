"""The exchange of the loopback latency test in its own process: REST, upgrades and requests in Python, then native.

`running(core)` gives a client of it: its `begin(count)` lets the two connections that were opened last (one whose path
ends in /stream, one in /orders) take `count` frames natively.
"""
import base64
import contextlib
import hashlib
import multiprocessing
import os
import socket
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "bench/native")]

import build  # noqa: E402
from recorded_exchange import Recording  # noqa: E402

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"     # RFC 6455, 1.3
PAUSE_NS = 100_000              # between an answer and the next frame: the client's books are closed by then
SIZES = (300, 3000)             # frames that are measured


class Server:
    """Accepts connections until its process ends; `lines` are the upgraded sockets by the end of their path."""

    def __init__(self, recording):
        import wire
        self.wire, self.recording = wire, recording
        self.frames = [wire.frame(text) for text in recording.late]
        self.lines, self.used, self.ready = {}, [], threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        """One REST call, or an upgrade and the session's first requests: what it wants to hear of, what time it is."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = connection.recv(1)   # one at a time: nothing of what follows may be swallowed
            if not byte:
                return
            head += byte
        path = head.split()[1].decode()
        headers = {key.strip().lower(): value.strip() for key, _, value in
                   (line.partition(b":") for line in head.split(b"\r\n")[1:])}
        if b"sec-websocket-key" not in headers:
            body = self.recording.rest(path)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
                               b"Content-Length: %d\r\n\r\n" % len(body) + body)
            connection.close()
            return
        key = base64.b64encode(hashlib.sha1(headers[b"sec-websocket-key"] + GUID).digest())
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           b"Sec-WebSocket-Accept: " + key + b"\r\n\r\n")
        for _ in range(0 if path.startswith("/limit") else 2 if path.endswith("/orders") else 1):
            for answer in self.recording.answers(read_text(connection)):
                connection.sendall(self.wire.frame(answer))
        with self.ready:
            self.lines[path.rpartition("/")[2]] = connection
            self.ready.notify()

    def measure(self, count):
        """(nanoseconds, whether the frame counts, client order id) of the first `count` frames, as lists."""
        with self.ready:
            if not self.ready.wait_for(lambda: {"stream", "orders"} <= self.lines.keys(), 10):
                raise ConnectionError(f"only these connections are open: {list(self.lines)}")
            market, orders = self.lines.pop("stream"), self.lines.pop("orders")
        self.used = [market, orders]        # kept open until the next round: the client leaves first
        latency, ids = self.wire.serve(market.fileno(), orders.fileno(), self.frames[:count], PAUSE_NS)
        counts = [SIZES[0] <= len(text) <= SIZES[1] for text in self.recording.late[:count]]
        return latency.tolist(), counts, ids


def read_text(connection):
    """The text of one masked frame."""
    def exactly(size):
        return connection.recv(size, socket.MSG_WAITALL)
    size = exactly(2)[1] & 127
    if size == 126:
        size = int.from_bytes(exactly(2), "big")
    mask, body = exactly(4), exactly(size)
    return bytes(byte ^ mask[i % 4] for i, byte in enumerate(body)).decode()


def serve(pipe, core):
    """The process: answers ("measure", count) until it hears None."""
    os.sched_setaffinity(0, {core})
    server = Server(Recording())
    pipe.send(server.listener.getsockname()[1])
    while (count := pipe.recv()) is not None:
        try:
            pipe.send(server.measure(count))
        except ConnectionError as error:
            pipe.send(error)


class Client:
    """The other end of the pipe."""

    def __init__(self, pipe):
        self.pipe = pipe
        self.port = pipe.recv()

    def begin(self, count):
        """Let the connections that are open take `count` frames."""
        self.pipe.send(count)

    def result(self):
        """What the server measured; raises what it could not."""
        answer = self.pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextlib.contextmanager
def running(core):
    """A server on one core; stopped at the end."""
    build.build("wire")
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, core), daemon=True)
    process.start()
    try:
        yield Client(mine)
    finally:
        mine.send(None)
        process.join(5)
        process.terminate()
