"""Borrowed transports over loopback: plain, TLS, and the fallback through the Python socket."""
import ctypes
import select
import socket
import ssl
import struct
import sys
import threading

import pytest

from orderflow._core import openssl
from orderflow._core.transport import BorrowedTransport, TransportKind, TransportStatus
from tests.loopback import HOST, TIMEOUT, Authority, BytesOfTLS, tcp_pair, tls_pair

OK, WANT_READ, WANT_WRITE = TransportStatus.OK, TransportStatus.WANT_READ, TransportStatus.WANT_WRITE
CLOSED, FAILED, FULL = TransportStatus.CLOSED, TransportStatus.FAILED, TransportStatus.FULL
DATA = bytes(i * i >> 3 & 255 for i in range(1 << 16)) * 64      # 4 MiB


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(params=["plain", "tls", "plain fallback", "tls fallback"])
def ends(request, authority):
    """(BorrowedTransport, the peer's blocking Python socket)."""
    client, server = tls_pair(authority) if "tls" in request.param else tcp_pair()
    ours = BorrowedTransport(client, native="fallback" not in request.param, output_capacity=1 << 16)
    yield ours, server
    client.close()
    server.close()


def in_thread(function, *arguments):
    """Start it; the returned function waits for its result, or raises what it raised."""
    result = []

    def run():
        try:
            result.append((function(*arguments), None))
        except BaseException as error:
            result.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()

    def join():
        thread.join(TIMEOUT)
        assert result, "the thread did not end"
        if result[0][1] is not None:
            raise result[0][1]
        return result[0][0]

    return join


def read_when_ready(transport, capacity=65536):
    while (answer := transport.read(capacity))[0] == WANT_READ:
        assert select.select([transport.fileno()], [], [], TIMEOUT)[0]
    return answer


def receive(sock, size):
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(65536)
        assert piece, "ended early"
        data += piece
    return bytes(data)


# ---------------------------------------------------------------------- all four kinds

def test_kinds(authority):
    for pair, native, kind in ((tcp_pair, True, TransportKind.PLAIN), (tcp_pair, False, TransportKind.FALLBACK),
                               (lambda: tls_pair(authority), True, TransportKind.TLS),
                               (lambda: tls_pair(authority), False, TransportKind.FALLBACK)):
        client, server = pair()
        with client, server:
            transport = BorrowedTransport(client, native=native)
            assert transport.kind == kind
            assert transport.fallback_reason == (None if native else "asked for")
            assert client.gettimeout() == 0
            assert transport.fileno() == client.fileno()


def test_echo_of_much_data(ends):
    ours, server = ends

    def echo():
        left = len(DATA)
        while left:
            piece = server.recv(65536)
            server.sendall(piece)
            left -= len(piece)

    echoed = in_thread(echo)
    reader, writer = bytearray(), memoryview(DATA)
    while len(reader) < len(DATA):      # one thread both ways, as the exchange thread is
        if writer and ours.unsent == 0:
            status = ours.write(writer[:50_000])
            writer = writer[50_000:]
        status = ours.flush()
        assert status in (OK, WANT_WRITE, WANT_READ), ours.error
        status, piece = ours.read()
        assert status in (OK, WANT_READ), ours.error
        reader += piece
        if status == WANT_READ and (ours.unsent or not writer):
            select.select([ours.fileno()], [ours.fileno()] if ours.unsent else [], [], TIMEOUT)
    echoed()
    assert bytes(reader) == DATA
    assert (ours.bytes_read, ours.bytes_written) == (len(DATA), len(DATA))


def test_what_the_kernel_does_not_take_is_kept_up_to_a_bound(ends):
    """The peer does not read: OK, then WANT_WRITE (taken), then FULL (not taken); later all of it in order, once."""
    ours, server = ends
    taken, statuses, number = b"", [], 0
    while not statuses or statuses[-1] != FULL:
        frame = struct.pack(">I", number) * 3000
        statuses.append(ours.write(frame))
        assert statuses[-1] in (OK, WANT_WRITE, FULL), ours.error
        if statuses[-1] != FULL:
            taken += frame
        number += 1
    assert WANT_WRITE in statuses and 0 < ours.unsent <= 1 << 16
    assert ours.bytes_written + ours.unsent == len(taken)
    received = in_thread(receive, server, len(taken) + 4)
    while (status := ours.flush()) == WANT_WRITE:
        assert select.select([], [ours.fileno()], [], TIMEOUT)[1]
    assert (status, ours.unsent) == (OK, 0)
    assert ours.write(b"last") == OK
    assert received() == taken + b"last"


def test_a_new_write_waits_behind_what_was_kept(ends):
    """Nobody flushed in between: write() itself sends the kept bytes first."""
    ours, server = ends
    taken = b""
    while not ours.unsent:
        frame = struct.pack(">I", len(taken)) * 3000
        assert ours.write(frame) in (OK, WANT_WRITE), ours.error
        taken += frame
    received = in_thread(receive, server, len(taken) + 4)
    assert select.select([], [ours.fileno()], [], TIMEOUT)[1]
    status = ours.write(b"last")
    while status == WANT_WRITE:
        assert select.select([], [ours.fileno()], [], TIMEOUT)[1]
        status = ours.flush()
    assert status == OK, ours.error
    assert received() == taken + b"last"


def test_a_write_larger_than_the_buffer_is_refused(ends):
    ours, _ = ends
    assert ours.write(bytes((1 << 16) + 1)) == FULL
    assert (ours.bytes_written, ours.unsent) == (0, 0)


def test_peer_closes_in_order(ends):
    ours, server = ends
    server.sendall(b"last words")
    if isinstance(server, ssl.SSLSocket):
        in_thread(server.unwrap)        # sends close_notify, then waits for ours
    else:
        server.shutdown(socket.SHUT_WR)
    assert read_when_ready(ours) == (OK, b"last words")
    assert read_when_ready(ours) == (CLOSED, b"")
    assert ours.read() == (CLOSED, b"")
    assert ours.end_output() == OK


def test_our_end_of_output_is_seen(ends):
    ours, server = ends
    assert ours.write(b"bye") == OK
    assert ours.end_output() == OK
    assert receive(server, 3) == b"bye"
    assert server.recv(10) == b""


def test_reset_in_mid_frame(ends):
    ours, server = ends
    server.sendall(b"\x81\x7e\x01\x00half")
    assert read_when_ready(ours) == (OK, b"\x81\x7e\x01\x00half")
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    status, _ = read_when_ready(ours)
    if isinstance(server, ssl.SSLSocket) and ours.kind == TransportKind.FALLBACK:
        assert status in (FAILED, CLOSED)       # the ssl module itself takes a reset for an end (suppress_ragged_eofs)
        return
    assert status == FAILED
    assert "reset" in ours.error.lower()
    assert ours.write(b"x") == FAILED
    assert ours.error


def test_peer_that_never_answers(ends):
    ours, _ = ends
    assert ours.write(b"hello?") == OK
    assert ours.read() == (WANT_READ, b"")
    with pytest.raises(TimeoutError, match="0 of 5 bytes"):
        ours.receive(5, timeout_ms=20)


def test_peer_that_never_reads(ends):
    ours, _ = ends
    with pytest.raises(TimeoutError, match="took nothing"):
        ours.send_all(DATA * 8, timeout_ms=20)


def test_glued_bytes_come_first(ends):
    ours, server = ends
    client = ours.release()
    ours = BorrowedTransport(client, b"glued bytes")
    server.sendall(b" and the rest")
    assert ours.pending
    assert ours.read(5) == (OK, b"glued")
    assert ours.pending
    assert ours.receive(len(b" bytes and the rest")) == b" bytes and the rest"
    assert ours.read() == (WANT_READ, b"")
    assert not ours.pending


def test_release_hands_the_socket_back(ends):
    ours, server = ends
    client = ours.release()
    assert ours.kind == TransportKind.RELEASED
    assert ours.read() == (FAILED, b"")
    assert ours.write(b"x") == FAILED
    assert ours.end_output() == FAILED
    assert "descriptor" in ours.error
    assert not ours.pending
    client.settimeout(TIMEOUT)          # Python's own methods work on it again
    client.sendall(b"by Python")
    assert receive(server, 9) == b"by Python"
    server.sendall(b"to Python")
    assert receive(client, 9) == b"to Python"


def test_only_connected_sockets_are_taken():
    with pytest.raises(TypeError, match="socket.socket"):
        BorrowedTransport(object())
    closed = socket.socket()
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        BorrowedTransport(closed)


# ---------------------------------------------------------------------- TLS

def test_decrypted_bytes_wait_while_the_descriptor_is_silent(authority):
    client, server = tls_pair(authority)
    with client, server:
        ours = BorrowedTransport(client)
        server.sendall(b"x" * 1000)
        assert read_when_ready(ours, 10) == (OK, b"x" * 10)
        assert select.select([ours.fileno()], [], [], 0)[0] == []
        assert ours.pending
        assert ours.receive(990) == b"x" * 990
        assert ours.read() == (WANT_READ, b"")
        assert not ours.pending


def test_records_read_ahead_are_pending_until_read(authority):
    """One system call reads many records; the ones not yet decrypted count as pending."""
    peer = BytesOfTLS(authority)
    with peer.client, peer.socket:
        ours = BorrowedTransport(peer.client)
        assert ours.read() == (WANT_READ, b"")      # takes the session tickets
        peer.socket.sendall(peer.record(b"one") + peer.record(b"two"))
        assert read_when_ready(ours) == (OK, b"one")
        assert ours.pending
        assert select.select([ours.fileno()], [], [], 0)[0] == []
        assert ours.read() == (OK, b"two")


def test_half_a_record_is_not_pending(authority):
    """Else the thread would never sleep until the other half came."""
    peer = BytesOfTLS(authority)
    with peer.client, peer.socket:
        ours = BorrowedTransport(peer.client)
        record = peer.record(b"in two halves")
        peer.socket.sendall(record[:20])
        select.select([ours.fileno()], [], [], TIMEOUT)
        assert ours.read() == (WANT_READ, b"")
        assert not ours.pending
        peer.socket.sendall(record[20:])
        assert read_when_ready(ours) == (OK, b"in two halves")


def test_a_forged_record_is_a_failure(authority):
    peer = BytesOfTLS(authority)
    with peer.client, peer.socket:
        ours = BorrowedTransport(peer.client)
        record = bytearray(peer.record(b"buy"))
        record[-1] ^= 1
        peer.socket.sendall(record)
        assert read_when_ready(ours) == (FAILED, b"")
        assert "bad record mac" in ours.error


def test_connection_cut_without_close_notify_is_the_end(authority):
    peer = BytesOfTLS(authority)
    with peer.client:
        ours = BorrowedTransport(peer.client)
        peer.socket.sendall(peer.record(b"whole") + peer.record(b"cut")[:-1])
        peer.socket.close()
        assert read_when_ready(ours) == (OK, b"whole")
        assert read_when_ready(ours)[0] in (CLOSED, FAILED)


@pytest.mark.parametrize("requested", [0, 1])
def test_key_update(authority, requested):
    """TLS 1.3: the peer changes its keys and asks for ours to change; both directions go on."""
    client, server = tls_pair(authority)
    with client, server:
        assert client.version() == "TLSv1.3"
        ours = BorrowedTransport(client)
        key_update = ctypes.CDLL(openssl.path()).SSL_key_update
        key_update.argtypes = [ctypes.c_void_p, ctypes.c_int]
        for number in range(5):
            assert key_update(openssl.words_of(server)[1], requested) == 1
            server.sendall(b"after update %d" % number)
            assert ours.receive(14) == b"after update %d" % number
            assert ours.write(b"answer %d" % number) == OK
            assert receive(server, 8) == b"answer %d" % number


def test_tls_1_2(authority):
    client, server = tcp_pair()
    context = authority.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    wrapped = in_thread(lambda: authority.server().wrap_socket(server, server_side=True))
    client = context.wrap_socket(client, server_hostname=HOST)
    with client, wrapped() as peer:
        ours = BorrowedTransport(client)
        assert (client.version(), ours.kind) == ("TLSv1.2", TransportKind.TLS)
        sent = in_thread(peer.sendall, DATA)
        assert ours.receive(len(DATA)) == DATA
        sent()


# ---------------------------------------------------------------------- the proof, and what happens without it

def test_the_words_are_what_openssl_says(authority):
    """The SSL pointer read from the object, given to OpenSSL, names the object's own version and cipher."""
    client, server = tls_pair(authority)
    with client, server:
        library = ctypes.CDLL(openssl.path())
        library.SSL_get_version.restype = ctypes.c_char_p
        library.SSL_get_version.argtypes = library.SSL_get_fd.argtypes = [ctypes.c_void_p]
        for sock in (client, server):
            _, ssl_word = openssl.words_of(sock)
            assert library.SSL_get_version(ssl_word).decode() == sock.version()
            assert library.SSL_get_fd(ssl_word) == sock.fileno()


def fallback_reason(sock):
    transport = BorrowedTransport(sock)
    assert transport.kind == TransportKind.FALLBACK
    return transport.fallback_reason


def test_another_descriptor_falls_back(authority):
    class Liar(ssl.SSLSocket):
        def fileno(self):
            return 0

    client, server = tls_pair(authority, Liar)
    with client, server:
        assert "SSL_get_fd" in fallback_reason(client)


def test_another_layout_falls_back(authority, monkeypatch):
    """Words that are not what they should be, from unmapped to plausible: never a crash, always a reason."""
    client, server = tls_pair(authority)
    other, peer = tls_pair(authority)
    with client, server, other, peer:
        context_word, ssl_word = openssl.words_of(client)
        memory = ctypes.create_string_buffer(1 << 16)
        for wrong, reason in ((0x1000, "does not hold"), (ctypes.addressof(memory), "does not hold"),
                              (openssl.words_of(other)[1], "does not hold"), (context_word, "does not hold")):
            monkeypatch.setattr(openssl, "words_of", lambda _, wrong=wrong: (context_word, wrong))
            assert reason in fallback_reason(client)
        monkeypatch.setattr(openssl, "words_of", lambda _: (context_word, ssl_word))
        assert BorrowedTransport(client).kind == TransportKind.TLS


def test_another_ssl_object_falls_back(authority):
    client, server = tls_pair(authority)
    inner = client._sslobj
    with client, server:
        client._sslobj = object()
        assert "found object" in fallback_reason(client)
        client._sslobj = inner


def test_another_interpreter_falls_back(authority, monkeypatch):
    client, server = tls_pair(authority)
    with client, server:
        monkeypatch.setattr(sys, "version_info", (3, 99, 0))
        assert "3.11 to 3.14" in fallback_reason(client)


def test_a_failing_fallback_keeps_the_exception():
    class Broken(socket.socket):
        def recv_into(self, *_):
            raise OSError(5, "broken on purpose")

        def send(self, *_):
            raise RuntimeError("not even an OSError")

    with Broken() as sock:
        transport = BorrowedTransport(sock, native=False)
        assert transport.read() == (FAILED, b"")
        assert "broken on purpose" in transport.error
        assert transport.write(b"x") == FAILED
        assert "not even" in transport.error


# ---------------------------------------------------------------------- the GIL

@pytest.fixture
def one_python_thread():
    """From here on a thread that waits for the GIL does not get it from one that computes."""
    interval = sys.getswitchinterval()
    yield lambda: sys.setswitchinterval(1000)
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_thread_that_keeps_the_gil_does_not_stop_the_transfer(authority, one_python_thread, tls):
    """Both ends native. This thread computes without ever giving the GIL away, and all bytes arrive while it does."""
    client, server = tls_pair(authority) if tls else tcp_pair()
    with client, server:
        ours, theirs = BorrowedTransport(client), BorrowedTransport(server)
        data = DATA * 8
        received, sent = in_thread(ours.receive, len(data)), in_thread(theirs.send_all, data)
        while ours.bytes_read == 0:     # both are inside their native loops
            pass
        one_python_thread()
        before, rounds = ours.bytes_read, 0
        while ours.bytes_read < len(data) and rounds < 2_000_000_000:
            rounds += 1
        assert before < ours.bytes_read == len(data)
        sys.setswitchinterval(0.005)
        sent()
        assert received() == data


def test_the_fallback_does_stop(authority, one_python_thread):
    """The control of the test above: a reader that needs the GIL stands still while this thread has it."""
    client, server = tls_pair(authority)
    with client, server:
        ours, theirs = BorrowedTransport(client, native=False), BorrowedTransport(server)
        data = DATA * 16
        received, sent = in_thread(ours.receive, len(data)), in_thread(theirs.send_all, data)
        while ours.bytes_read == 0:
            pass
        one_python_thread()
        before = -1
        while ours.bytes_read != before:        # it may have been about to get the GIL: once, not twice
            before = ours.bytes_read
            for _ in range(500_000):
                pass
        assert before < len(data)
        sys.setswitchinterval(0.005)
        sent()
        assert received() == data
