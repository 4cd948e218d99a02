"""Connecting: what works, and one clear sentence for everything that does not."""
import base64
import datetime
import hashlib
import socket
import ssl

import pytest

from orderflow._core.transport import BorrowedTransport, TransportKind
from orderflow._core.websocket import FrameReader
from orderflow.servers.connect import ConnectError, connect
from tests.loopback import HOST, Authority, server
from tests.reference.websocket import server_frame

TOKEN = "/stream?listenKey=SECRET"


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.ca.cert_pem.write_to_path(path)
    return str(path)


def read_request(sock):
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += sock.recv(1)
    return request.decode()


def answer_to(request, *, key=None, extra=""):
    key = key or request.split("Sec-WebSocket-Key: ")[1].split("\r\n")[0]
    accept = base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
    return ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n{extra}\r\n").encode()


def upgrading(seen, after=b"", **wrong):
    """A script: upgrade, with `after` glued to the answer; then wait until the client ends."""
    def script(sock):
        seen.append(read_request(sock))
        sock.sendall(answer_to(seen[0], **wrong) + after)
        sock.recv(1)
    return script


def with_tls(context, script):
    def run(sock):
        with context.wrap_socket(sock, server_side=True) as wrapped:
            script(wrapped)
    return run


def saying(answer):
    def script(sock):
        read_request(sock)
        sock.sendall(answer)
        sock.recv(1)
    return script


def silent(sock):
    while sock.recv(65536):
        pass


def refused(url, *arguments, **options):
    """The ConnectError that it ends in; its message never shows the path."""
    with pytest.raises(ConnectError) as caught:
        connect(url, *arguments, **options)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    return caught.value.phase, str(caught.value)


# ---------------------------------------------------------------------- what works

@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_frames_glued_to_the_upgrade_are_not_lost(authority, ca_file, tls):
    seen = []
    frames = server_frame(1, b"first") + server_frame(1, b"second" * 5000)
    script = upgrading(seen, frames)
    with server(with_tls(authority.server(), script) if tls else script) as port:
        sock, glued = connect(f"{'wss' if tls else 'ws'}://{HOST}:{port}{TOKEN}", ca_file)
        with sock:
            transport = BorrowedTransport(sock, glued)
            assert transport.kind == (TransportKind.TLS if tls else TransportKind.PLAIN)
            reader = FrameReader()
            reader.feed(transport.receive(len(frames)))
            assert [reader.next()[2] for _ in range(2)] == [b"first", b"second" * 5000]
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_request(authority, ca_file):
    seen = []
    with server(with_tls(authority.server(), upgrading(seen))) as port:
        connect(f"wss://{HOST}:{port}{TOKEN}", ca_file, headers={"X-Api-Key": "public"})[0].close()
    assert seen[0].startswith(f"GET {TOKEN} HTTP/1.1\r\n")
    assert "X-Api-Key: public\r\n" in seen[0]
    assert "extensions" not in seen[0].lower() and "origin" not in seen[0].lower()


def test_loopback_never_goes_through_a_proxy(authority, ca_file, monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with server(with_tls(authority.server(), upgrading([]))) as port:
        connect(f"wss://localhost:{port}/", ca_file)[0].close()


def through_proxy(monkeypatch, port):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", f"http://{HOST}:{port}")


def test_a_remote_host_through_a_proxy(authority, ca_file, monkeypatch):
    """websocket-client's own path: proxy from the environment, tunnel, TLS with the name verified, upgrade."""
    seen, tunnel = [], []

    def proxy(sock):
        tunnel.append(read_request(sock))
        sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with_tls(authority.server("exchange.example"), upgrading(seen, server_frame(1, b"hello")))(sock)

    with server(proxy) as port:
        through_proxy(monkeypatch, port)
        sock, glued = connect("wss://exchange.example/ws", ca_file)
        with sock:
            assert BorrowedTransport(sock, glued).receive(7) == server_frame(1, b"hello")
    assert tunnel[0].startswith("CONNECT exchange.example:443 ")
    assert "Host: exchange.example\r\n" in seen[0]


# ---------------------------------------------------------------------- what must not be negotiable

def test_a_certificate_for_another_host(authority, ca_file):
    with server(with_tls(authority.server("other.example"), silent)) as port:
        phase, message = refused(f"wss://{HOST}:{port}{TOKEN}", ca_file)
        assert phase == "tls" and "certificate is for another host" in message


def test_a_certificate_of_another_authority(ca_file):
    with server(with_tls(Authority().server(), silent)) as port:
        phase, message = refused(f"wss://{HOST}:{port}{TOKEN}", ca_file)
        assert phase == "tls" and "not trusted" in message and "ca_file" in message


def test_the_systems_authorities_do_not_trust_it(authority):
    with server(with_tls(authority.server(), silent)) as port:
        assert "not trusted" in refused(f"wss://{HOST}:{port}{TOKEN}")[1]


def test_an_expired_certificate(authority, ca_file):
    long_ago = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
    expired = authority.server(HOST, not_before=long_ago, not_after=long_ago + datetime.timedelta(days=1))
    with server(with_tls(expired, silent)) as port:
        assert "expired" in refused(f"wss://{HOST}:{port}{TOKEN}", ca_file)[1]


@pytest.mark.parametrize("url, reason", [
    ("ws://exchange.example/", "reaches loopback only"),
    ("ws://10.0.0.1/", "reaches loopback only"),
    ("http://127.0.0.1/", "expected wss://"),
    ("127.0.0.1:80", "expected wss://"),
    ("wss:///path", "expected wss://"),
    ("wss://user:SECRET@127.0.0.1/", "use headers"),
    ("wss://127.0.0.1:99999/", "[Pp]ort"),
])
def test_urls_that_must_not_be_used(url, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        connect(url)
    assert "SECRET" not in str(caught.value)


def test_a_name_that_only_pretends_to_be_loopback(monkeypatch):
    elsewhere = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: elsewhere)
    with pytest.raises(ValueError, match="not loopback"):
        connect("ws://localhost/")


@pytest.mark.parametrize("headers, reason", [
    ({"Sec-WebSocket-Extensions": "permessage-deflate"}, "belongs to the handshake"),
    ({"Host": "x"}, "belongs to the handshake"),
    ({"X": "a\r\nY: b"}, "line break"),
])
def test_headers_that_must_not_be_set(headers, reason):
    with pytest.raises(ValueError, match=reason):
        connect(f"ws://{HOST}:1/", headers=headers)


def test_a_ca_file_that_is_none(tmp_path):
    for path in (tmp_path / "missing.pem", tmp_path):
        with pytest.raises(ValueError, match="ca_file"):
            connect("wss://127.0.0.1/", str(path))


# ---------------------------------------------------------------------- what fails

def test_nothing_listens():
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    assert refused(f"ws://{HOST}:{port}{TOKEN}") == (
        "connect", f"{HOST}:{port}: refused; nothing listens there, or a firewall rejects it")


def test_a_server_that_never_accepts():
    """Its queue is full: the connection is neither accepted nor refused."""
    with socket.create_server((HOST, 0), backlog=0) as listener:
        address, waiting = listener.getsockname(), []
        for _ in range(8):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(address)
        phase, message = refused(f"ws://{HOST}:{address[1]}{TOKEN}", connect_timeout=0.05)
        assert phase == "connect" and "within 0.05 s" in message
        for sock in waiting:
            sock.close()


def test_a_server_that_is_silent_in_tls(ca_file):
    with server(silent) as port:
        assert refused(f"wss://{HOST}:{port}{TOKEN}", ca_file, tls_timeout=0.05)[0] == "tls"


def test_a_server_that_is_silent_in_the_upgrade(authority, ca_file):
    with server(with_tls(authority.server(), silent)) as port:
        assert refused(f"wss://{HOST}:{port}{TOKEN}", ca_file, upgrade_timeout=0.05)[0] == "upgrade"


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_a_header_that_never_ends(authority, ca_file, tls):
    """Each read succeeds: only a deadline for the phase ends it."""
    def endless(sock):
        read_request(sock)
        while True:
            sock.sendall(b"x" * 100)

    with server(with_tls(authority.server(), endless) if tls else endless) as port:
        phase, message = refused(f"{'wss' if tls else 'ws'}://{HOST}:{port}{TOKEN}", ca_file, upgrade_timeout=0.1)
        assert phase == "upgrade" and "within 0.1 s" in message


def test_a_port_that_does_not_speak_tls(ca_file):
    def script(sock):
        sock.recv(1)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        silent(sock)

    with server(script) as port:
        phase, message = refused(f"wss://{HOST}:{port}{TOKEN}", ca_file)
        assert phase == "tls" and "is it a TLS port?" in message


@pytest.mark.parametrize("answer, reason", [
    (b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nSECRET", "not a websocket at this path (HTTP status 404)"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP status 200"),
    (b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/SECRET\r\n\r\n", "not a websocket"),
    (b"220 mail.example ESMTP\r\n\r\n", "not a websocket"),
    (b"nonsense\r\n\r\n", "not a websocket"),
    (answer_to("", key="another key"), "not a websocket"),
])
def test_not_a_websocket(answer, reason):
    with server(saying(answer)) as port:
        phase, message = refused(f"ws://{HOST}:{port}{TOKEN}")
        assert phase == "upgrade" and reason in message


@pytest.mark.parametrize("extra", ["Sec-WebSocket-Extensions: permessage-deflate\r\n",
                                   "Sec-WebSocket-Protocol: v2\r\n"])
def test_what_was_not_offered_must_not_be_chosen(extra):
    with server(upgrading([], extra=extra)) as port:
        assert "which was not offered" in refused(f"ws://{HOST}:{port}{TOKEN}")[1]


def test_a_server_that_hangs_up_in_the_upgrade():
    with server(read_request) as port:
        phase, message = refused(f"ws://{HOST}:{port}{TOKEN}")
        assert phase == "upgrade" and "ended the connection" in message


def test_a_name_that_does_not_exist(monkeypatch):
    def nowhere(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.delenv("https_proxy", raising=False)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    assert "cannot be resolved" in refused(f"wss://exchange.example{TOKEN}")[1]


def test_a_proxy_that_refuses(ca_file, monkeypatch):
    with server(saying(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")) as port:
        through_proxy(monkeypatch, port)
        assert "the proxy refused" in refused(f"wss://exchange.example{TOKEN}", ca_file)[1]


def test_verification_has_no_switch(authority):
    """The context that connect() makes verifies chain and host; nothing in its signature changes that."""
    from orderflow.servers.connect import _Context
    context = _Context(None, {})
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert not {"verify", "insecure", "cert_reqs"} & set(connect.__kwdefaults__)
