"""Connected sockets on loopback, and servers that do what a test tells them, for the tests of transport and connect."""
import contextlib
import socket
import ssl
import threading

import trustme

HOST = "127.0.0.1"
TIMEOUT = 20            # of every blocking call: a test that would hang fails instead


class Authority:
    """A certificate authority for one run; contexts made of it."""

    def __init__(self):
        self.ca = trustme.CA()

    def server(self, *names, **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*(names or (HOST, "localhost")), **options).configure_cert(context)
        return context

    def client(self):
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context


def tcp_pair():
    """(client, server), connected over TCP."""
    with socket.create_server((HOST, 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=TIMEOUT)
        server, _ = listener.accept()
    for sock in (client, server):
        sock.settimeout(TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server


def tls_pair(authority, client_class=None):
    """(client, server) as ssl.SSLSocket, handshake done."""
    client, server = tcp_pair()
    context = authority.client()
    context.sslsocket_class = client_class or ssl.SSLSocket
    result = []
    thread = threading.Thread(target=lambda: result.append(authority.server().wrap_socket(server, server_side=True)))
    thread.start()
    client = context.wrap_socket(client, server_hostname=HOST)
    thread.join(TIMEOUT)
    return client, result[0]


class BytesOfTLS:
    """A TLS server whose records the test sends itself, cut where it likes."""

    def __init__(self, authority):
        client, self.socket = tcp_pair()
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = authority.server().wrap_bio(self.incoming, self.outgoing, server_side=True)
        thread = threading.Thread(target=self._handshake)
        thread.start()
        self.client = authority.client().wrap_socket(client, server_hostname=HOST)
        thread.join(TIMEOUT)

    def _handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                self.socket.sendall(self.outgoing.read())
                return
            except ssl.SSLWantReadError:
                self.socket.sendall(self.outgoing.read())
                self.incoming.write(self.socket.recv(65536))

    def record(self, data):
        """The bytes of one record."""
        self.tls.write(data)
        return self.outgoing.read()


@contextlib.contextmanager
def server(script):
    """Port of a server that runs script(socket) in a thread for its one connection. Its exceptions fail the test."""
    failures = []
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(TIMEOUT)

        def run():
            try:
                sock, _ = listener.accept()
                sock.settimeout(TIMEOUT)
                with sock:
                    script(sock)
            except Exception as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)     # wakes an accept that nobody came to
            thread.join(TIMEOUT)
    if failures and not isinstance(failures[0], OSError):
        raise failures[0]
