"""A websocket server for the receive benchmarks, in a process of its own so that its work is not measured.

    python bench/feed_server.py CERTIFICATE.pem CORE

prints its plain and its TLS port, then serves a connection a thread. The path says what is sent after the upgrade:

    /blast/COUNT        COUNT text frames as fast as they are taken; over TLS in records of 16 KiB
    /records/COUNT      the same, over TLS one record a frame
    /pace/COUNT         one frame a millisecond that begins with the CLOCK_MONOTONIC ns of its sending

TLS is done in memory, before the first byte goes out where that is possible: the server is never the bottleneck.
"""
import base64
import contextlib
import hashlib
import os
import random
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

PERIOD = 1000           # frames until the blast repeats itself
PACE_NS = 1_000_000


def text_frames():
    """PERIOD text frames of 300 to 2000 bytes, 911 on average, that look like depth updates."""
    dice = random.Random(7)
    frames = []
    for number in range(PERIOD):
        size = min(2000, int(300 + dice.expovariate(1 / 660)))
        levels = ",".join(f'["{dice.randrange(10**9) / 100:.2f}","{dice.random():.3f}"]' for _ in range(90))
        payload = f'{{"e":"depthUpdate","u":{number},"b":[{levels}'[:size - 3] + "]]}"
        frames.append(b"\x81\x7e" + struct.pack(">H", size) + payload[:size].encode())
    return frames


def payload_bytes(count):
    """Payload of the first `count` frames of a blast: what every contestant must have received."""
    sizes = [len(frame) - 4 for frame in text_frames()]
    return count // PERIOD * sum(sizes) + sum(sizes[:count % PERIOD])


@contextlib.contextmanager
def running(core=0):
    """Start a server on `core`; yields (plain port, TLS port, file of its certificate authority)."""
    import trustme
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    with tempfile.TemporaryDirectory() as folder:
        pem, ca_file = os.path.join(folder, "server.pem"), os.path.join(folder, "ca.pem")
        certificate.private_key_and_cert_chain_pem.write_to_path(pem)
        authority.cert_pem.write_to_path(ca_file)
        process = subprocess.Popen([sys.executable, __file__, pem, str(core)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        try:
            plain, tls = process.stdout.readline().split()
            yield int(plain), int(tls), ca_file
        finally:
            process.communicate("")     # the end of its input ends it, also when this process dies


class Peer:
    """One accepted connection; `send` takes pieces of plaintext, each a record of its own over TLS."""

    def __init__(self, sock, context):
        self.sock, self.tls = sock, None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
            self.retry(self.tls.do_handshake)

    def retry(self, call, *arguments):
        while True:
            try:
                return call(*arguments)
            except ssl.SSLWantReadError:
                self.sock.sendall(self.outgoing.read())
                data = self.sock.recv(65536)
                if not data:
                    raise ConnectionError("the client is gone") from None
                self.incoming.write(data)

    def receive(self):
        return self.retry(self.tls.read, 65536) if self.tls else self.sock.recv(65536)

    def prepare(self, pieces):
        """The bytes for the wire."""
        if not self.tls:
            return b"".join(pieces)
        for piece in pieces:
            self.tls.write(piece)
        return self.outgoing.read()


def upgrade(peer):
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += peer.receive()
    path, headers = request.decode().split(" ")[1], request.decode().lower()
    at = headers.index("sec-websocket-key: ") + 19
    key = request[at:at + 24]
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    peer.sock.sendall(peer.prepare([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                    b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"]))
    return path.strip("/").split("/")


def serve(sock, context):
    with sock, contextlib.suppress(OSError):
        peer = Peer(sock, context)
        what, count = upgrade(peer)
        frames = text_frames()
        if what == "pace":
            due = time.monotonic_ns()
            for number in range(int(count)):
                due += PACE_NS
                time.sleep(max(0, due - time.monotonic_ns()) / 1e9)
                size = len(frames[number % PERIOD]) - 4
                payload = (b"%d " % time.monotonic_ns()).ljust(size)
                peer.sock.sendall(peer.prepare([b"\x81\x7e" + struct.pack(">H", size) + payload]))
        else:
            whole, rest = divmod(int(count), PERIOD)
            for number in range(whole + bool(rest)):
                pieces = frames if number < whole else frames[:rest]
                if what == "blast":
                    block = b"".join(pieces)
                    pieces = [block[at:at + 16384] for at in range(0, len(block), 16384)]
                peer.sock.sendall(peer.prepare(pieces))
        while peer.receive():
            pass


def main(certificate, core):
    os.sched_setaffinity(0, {int(core)})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listeners = [(socket.create_server(("127.0.0.1", 0)), each) for each in (None, context)]
    print(*(listener.getsockname()[1] for listener, _ in listeners), flush=True)

    def accept(listener, each):
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0], each), daemon=True).start()

    for listener, each in listeners:
        threading.Thread(target=accept, args=(listener, each), daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
