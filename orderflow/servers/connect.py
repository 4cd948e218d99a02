"""Make a websocket connection and hand its socket over.

websocket-client does the URL, the proxy, TLS and the upgrade; from then on the socket belongs to a BorrowedTransport.
Three things are added: every phase has a deadline of its own, every failure says in one sentence which phase failed and
what to do, and what must not be negotiable is not: certificates are verified, `ws://` reaches loopback only, redirects
are not followed, compression is not offered. No message shows the path or query of a URL, where exchanges put tokens.
"""
import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import websocket
from websocket._url import get_proxy_info

from orderflow.servers.resolve import look_up

WRONG_HOST = (62, 64)       # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that each phase may take.

    Attributes
    ----------
    connect : float
        From the name to an open socket: resolving, and trying all its addresses.
    tls, upgrade : float
    rest : float
        For each of connecting, writing and reading of a REST call.
    """

    connect: float = 10.0
    tls: float = 10.0
    upgrade: float = 10.0
    rest: float = 10.0


TIMEOUTS = Timeouts()


class ConnectError(ConnectionError):
    """A connection could not be made. `phase` is "resolve", "connect", "tls" or "upgrade"."""

    def __init__(self, phase: str, message: str):
        super().__init__(message)
        self.phase = phase


class _PlainSocket(socket.socket):
    """A socket's timeout bounds one read; a server that sends a byte a second needs a deadline for all of them."""

    deadline: float | None = None

    def recv(self, size: int, flags: int = 0) -> bytes:
        _keep_deadline(self)
        return super().recv(size, flags)


class _TLSSocket(ssl.SSLSocket):
    """The same over TLS."""

    deadline: float | None = None

    def recv(self, size: int = 1024, flags: int = 0) -> bytes:
        _keep_deadline(self)
        return super().recv(size, flags)


def _keep_deadline(sock: "_PlainSocket | _TLSSocket") -> None:
    if sock.deadline is not None:
        left = sock.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        sock.settimeout(left)


class _Context(ssl.SSLContext):
    """Verifies (PROTOCOL_TLS_CLIENT: chain and host name), and notices where the connection has got to."""

    timeouts: dict[str, float]
    phase: str

    def __new__(cls, ca_file: str | None, timeouts: dict[str, float]) -> "_Context":
        self = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        self.minimum_version = ssl.TLSVersion.TLSv1_2
        self.sslsocket_class = _TLSSocket
        self.timeouts = timeouts
        self.phase = "resolve"
        if ca_file is None:
            self.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            self.load_verify_locations(cafile=ca_file)
        return self

    def wrap_socket(self, sock: socket.socket, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        self.phase = "tls"
        sock.settimeout(self.timeouts["tls"])
        wrapped = super().wrap_socket(sock, *arguments, **options)
        assert isinstance(wrapped, _TLSSocket)
        self.start_upgrade(wrapped)
        return wrapped

    def start_upgrade(self, sock: _PlainSocket | _TLSSocket) -> None:
        self.phase = "upgrade"
        sock.settimeout(self.timeouts["upgrade"])
        sock.deadline = time.monotonic() + self.timeouts["upgrade"]


def connect(
    url: str,
    ca_file: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    connect_timeout: float = 10.0,
    tls_timeout: float = 10.0,
    upgrade_timeout: float = 10.0,
) -> tuple[socket.socket, bytes]:
    """Connect and upgrade.

    Parameters
    ----------
    url : str
        `wss://host[:port]/path`, or `ws://` to a loopback address.
    ca_file : str, optional
        PEM file of the only certificate authorities to trust (a simulator's own). By default the system's.
    headers : mapping, optional
        Further request headers. Those of the handshake itself are refused.
    connect_timeout, tls_timeout, upgrade_timeout : float
        Seconds for each phase. `connect` is for resolving the name and trying its addresses together; a resolver that
        hangs is left behind.

    Returns
    -------
    socket : socket.socket or ssl.SSLSocket
        Upgraded, for a BorrowedTransport. Close it when that has released it.
    glued : bytes
        What was read past the upgrade answer, for the BorrowedTransport. Bytes that TLS has decrypted and nobody has
        read stay inside the SSL object and are borrowed with it.

    Raises
    ------
    ConnectError
        Refused, timed out, wrong certificate or host, not a websocket.
    ValueError
        A URL that must not or cannot be used.
    """
    host, port, is_tls = check_url(url)
    _check_headers(headers or {})
    timeouts = {"resolve": connect_timeout, "connect": connect_timeout, "tls": tls_timeout, "upgrade": upgrade_timeout}
    context = _context(ca_file, timeouts)
    client = websocket.WebSocket(sslopt={"context": context}, enable_multithread=False)
    opened: socket.socket | None = None
    try:
        proxy_host, proxy_port, _ = (None, 0, None) if is_loopback(host) else get_proxy_info(host, is_tls)
        if proxy_host:                  # websocket-client's own path, once it is known that the name resolves
            look_up(proxy_host, proxy_port).result(connect_timeout)
            context.phase = "connect"
        else:
            opened = plain = _open(host, port, context, connect_timeout)
            if is_tls:
                opened = context.wrap_socket(plain, server_hostname=host)
            else:
                context.start_upgrade(plain)
        client.connect(  # type: ignore[no-untyped-call]  # not annotated there
            url, socket=opened, timeout=connect_timeout, header=dict(headers or {}), suppress_origin=True,
            redirect_limit=0)
        _check_answer(client.headers or {})
    except (OSError, websocket.WebSocketException, ValueError) as error:
        for sock in (client.sock, opened):
            if sock is not None:
                sock.close()
        raise explain(error, f"{host}:{port}", context.phase, timeouts[context.phase]) from None
    connected, client.sock = client.sock, None
    assert isinstance(connected, _PlainSocket | _TLSSocket)
    connected.deadline = None
    return connected, b"".join(client.frame_buffer.recv_buffer)


def check_url(url: str) -> tuple[str, int, bool]:
    """(host, port, whether TLS) of a URL that may be used; ValueError says why one may not."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError("url: expected wss://host[:port]/path")
    if parts.username or parts.password:
        raise ValueError("url: user and password in a URL end up in logs; use headers")
    if parts.scheme == "ws" and not is_loopback(parts.hostname):
        raise ValueError(f"url: ws:// is not encrypted and reaches loopback only, not {parts.hostname}; use wss://")
    return parts.hostname, parts.port or (443 if parts.scheme == "wss" else 80), parts.scheme == "wss"


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if name.lower().startswith("sec-websocket-") or name.lower() in ("host", "upgrade", "connection"):
            raise ValueError(f"headers: {name} belongs to the handshake")
        if any(character in name + value for character in "\r\n"):
            raise ValueError(f"headers: {name!r} holds a line break")


def _context(ca_file: str | None, timeouts: dict[str, float]) -> _Context:
    try:
        return _Context(ca_file, timeouts)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"ca_file: {ca_file} cannot be used: {error.strerror or error}") from None


def is_loopback(host: str | int) -> bool:
    """Whether what is sent there stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _open(host: str, port: int, context: _Context, timeout: float) -> _PlainSocket:
    """The first address of `host` that accepts; each is given an equal share of the time that is left."""
    deadline = time.monotonic() + timeout
    addresses = look_up(host, port).result(timeout)
    context.phase = "connect"
    failure: OSError | None = None
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        if is_loopback(host) and not is_loopback(address[0]):
            raise ValueError(f"url: {host} resolves to {address[0]}, which is not loopback")
        sock = _PlainSocket(family, kind, protocol)
        try:
            sock.settimeout(max(0.001, (deadline - time.monotonic()) / (len(addresses) - tried)))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address)
            return sock
        except OSError as error:
            sock.close()
            failure = error
    raise failure or OSError(f"{host} has no address")


def _check_answer(headers: Mapping[str, str]) -> None:
    """What websocket-client leaves to the caller: RFC 6455 4.1, an extension or protocol that nobody asked for."""
    for name in ("sec-websocket-extensions", "sec-websocket-protocol"):
        if headers.get(name):
            raise websocket.WebSocketException(f"the server chose {name} {headers[name]!r}, which was not offered")


def explain(error: Exception, where: str, phase: str, seconds: float) -> Exception:
    """One sentence on why there is no connection; never the URL's path, nor headers or body of an answer."""
    if isinstance(error, ValueError) and not isinstance(error, (OSError, UnicodeError)):
        return error
    if isinstance(error, (TimeoutError, websocket.WebSocketTimeoutException)):
        return ConnectError(phase, f"{where}: no answer in phase {phase!r} within {seconds:g} s")
    if isinstance(error, ConnectionRefusedError):
        return ConnectError(phase, f"{where}: refused; nothing listens there, or a firewall rejects it")
    if isinstance(error, (websocket.WebSocketAddressException, socket.gaierror)):
        return ConnectError(phase, f"{where}: the host name cannot be resolved ({error})")
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in WRONG_HOST:
            return ConnectError(phase, f"{where}: the certificate is for another host ({error.verify_message})")
        return ConnectError(phase, f"{where}: the certificate is not trusted ({error.verify_message}); "
                                   "ca_file names another authority")
    if isinstance(error, ssl.SSLError):
        return ConnectError(phase, f"{where}: TLS failed ({error.reason or error}); is it a TLS port?")
    if isinstance(error, websocket.WebSocketProxyException):
        return ConnectError(phase, f"{where}: the proxy refused ({error})")
    if isinstance(error, websocket.WebSocketBadStatusException):
        return ConnectError(phase, f"{where}: not a websocket at this path (HTTP status {error.status_code})")
    if isinstance(error, websocket.WebSocketConnectionClosedException) or isinstance(error, ConnectionError):
        return ConnectError(phase, f"{where}: the server ended the connection in phase {phase!r}")
    if isinstance(error, websocket.WebSocketException):
        return ConnectError(phase, f"{where}: not a websocket ({error})")
    return ConnectError(phase, f"{where}: {error}")
