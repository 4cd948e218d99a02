"""An order connection that says yes to the session and then takes everything: for exchanges that must not answer.

`running()` gives its port. Websocket upgrades, one answer to a Binance or Kraken subscription, then bytes are read and
dropped, in a process of its own.
"""
import base64
import contextlib
import hashlib
import json
import multiprocessing
import socket
import threading

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"     # RFC 6455, 1.3


def exactly(connection, size):
    return connection.recv(size, socket.MSG_WAITALL)


def read_text(connection):
    """The text of one masked frame."""
    size = exactly(connection, 2)[1] & 127
    if size == 126:
        size = int.from_bytes(exactly(connection, 2), "big")
    mask, body = exactly(connection, 4), exactly(connection, size)
    return bytes(byte ^ mask[i % 4] for i, byte in enumerate(body)).decode()


def answer(request):
    """What makes a session ready; what time it is, is not said."""
    if request["method"] == "subscribe":
        return {"method": "subscribe", "result": {"channel": "executions"}, "success": True, "req_id": 1}
    return {"id": request["id"], "status": 200, "result": {}}


def talk(connection):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += exactly(connection, 1)          # one at a time: nothing of what follows may be swallowed
    [key] = [line.partition(b":")[2].strip() for line in head.split(b"\r\n")
             if line.lower().startswith(b"sec-websocket-key")]
    accepted = base64.b64encode(hashlib.sha1(key + GUID).digest())
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       b"Sec-WebSocket-Accept: " + accepted + b"\r\n\r\n")
    request = json.loads(read_text(connection))
    while request["method"] in ("time", "ping"):
        request = json.loads(read_text(connection))
    text = json.dumps(answer(request)).encode()
    connection.sendall(bytes((0x81, len(text))) + text)
    while connection.recv(1 << 20):
        pass


def serve(pipe):
    listener = socket.create_server(("127.0.0.1", 0))
    pipe.send(listener.getsockname()[1])
    while True:
        threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()


@contextlib.contextmanager
def running():
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield mine.recv()
    finally:
        process.terminate()
        process.join()
