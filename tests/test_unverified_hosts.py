"""Scenario 36: a server that is not the exchange, whatever it shows, receives nothing of ours beyond a greeting."""
import asyncio
import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
import time
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from orderflow.cli import CHECK_FAILED, main
from orderflow.exchanges.actions import Request
from orderflow.servers.connect import ConnectError, connect
from orderflow.servers.rest import async_client, call, call_async, client
from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.launch import SimulatorSettings, start_thread
from tests.canaries import hits
from tests.loopback import HOST, TIMEOUT, Authority

KEY, SECRET = "CanaryKeyForTheRightHostOnly", "CanarySecretForTheRightHostOnly"
CANARIES = {"key": KEY, "secret": SECRET}
HEADERS = (("API-Key", KEY), ("API-Sign", SECRET))
YEARS_AGO = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)


class Impostor:
    """A server on loopback that takes what it is given: `greetings` are the first bytes of each connection as they
    came, `received` is what could be decrypted."""

    def __init__(self, context=None):
        self.context = context
        self.greetings, self.received = [], []

    def __enter__(self):
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(TIMEOUT)

    def _serve(self):
        with contextlib.suppress(OSError):          # ends when the listener does
            while True:
                sock, _ = self._listener.accept()
                sock.settimeout(TIMEOUT)
                with contextlib.suppress(OSError), sock:
                    self._take(sock)

    def _take(self, sock):
        self.greetings.append(sock.recv(65536, socket.MSG_PEEK))
        if self.context is None:
            self.received.append(sock.recv(65536))
            return
        with self.context.wrap_socket(sock, server_side=True) as wrapped:
            self.received.append(wrapped.recv(65536))

    @property
    def outputs(self):
        return {"greeting": b"".join(self.greetings), "received": b"".join(self.received)}


def self_signed(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(1).not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
            .sign(key, hashes.SHA256()))
    path = tmp_path / "self.pem"
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                       serialization.NoEncryption()) + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


CERTIFICATES = {
    "self-signed": lambda authority, tmp_path: self_signed(tmp_path),
    "of another authority": lambda authority, tmp_path: Authority().server(),
    "expired": lambda authority, tmp_path: authority.server(
        HOST, not_before=YEARS_AGO, not_after=YEARS_AGO + datetime.timedelta(days=1)),
    "for another host": lambda authority, tmp_path: authority.server("other.example"),
}


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.ca.cert_pem.write_to_path(path)
    return str(path)


def by_rest(port, ca_file):
    with client(ca_file) as using:
        return call(using, Request("token", "POST", f"https://{HOST}:{port}/0/private", HEADERS, SECRET.encode()))


def by_rest_of_an_event_loop(port, ca_file):
    async def made():
        async with async_client(ca_file) as using:
            return await call_async(using, Request("token", "POST", f"https://{HOST}:{port}/0/private", HEADERS,
                                                   SECRET.encode()))
    return asyncio.run(made())


def by_websocket(port, ca_file):
    with pytest.raises(ConnectError) as caught:
        connect(f"wss://{HOST}:{port}/?token={SECRET}", ca_file, headers=dict(HEADERS))
    return caught.value


WAYS = {"REST": by_rest, "REST of an event loop": by_rest_of_an_event_loop, "websocket": by_websocket}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("certificate", CERTIFICATES)
def test_an_impostor_receives_nothing(authority, ca_file, tmp_path, certificate, way):
    with Impostor(CERTIFICATES[certificate](authority, tmp_path)) as impostor:
        said = str(WAYS[way](impostor.port, ca_file))
    assert "certificate" in said and not hits(CANARIES, {"said": said.encode()})
    assert impostor.greetings and not impostor.received, "TLS never came to data"
    assert not hits(CANARIES, impostor.outputs)


@pytest.mark.parametrize("way", WAYS)
def test_the_right_host_receives_it(authority, ca_file, way):
    """Or the tests above would find nothing because nothing is ever sent."""
    with Impostor(authority.server()) as exchange:
        with contextlib.suppress(pytest.fail.Exception):
            WAYS[way](exchange.port, ca_file)
    assert hits({"key": KEY}, exchange.outputs) == [("received", "key", "plain")] or hits(CANARIES, exchange.outputs)


@pytest.mark.parametrize("url", ["http://192.0.2.1/0/private", "http://exchange.example/0/private",
                                 "ftp://exchange.example/", "http:///private"])
def test_nothing_leaves_unencrypted(url, monkeypatch):
    made = []
    monkeypatch.setattr(socket.socket, "connect", lambda *given: made.append(given))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **options: made.append(given))
    with client(None) as using:
        answer = call(using, Request("token", "POST", url, HEADERS))
    assert answer.status == 0 and b"reaches loopback only" in answer.body and not made


def test_what_is_meant_for_this_machine_goes_to_no_proxy(monkeypatch):
    with Impostor() as proxy, Impostor() as exchange:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://{HOST}:{proxy.port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with client(None) as using:
            call(using, Request("token", "POST", f"http://{HOST}:{exchange.port}/0/private", HEADERS))
    assert not proxy.greetings and hits(CANARIES, exchange.outputs)


@pytest.mark.parametrize("server", ["sync", "async"])
@pytest.mark.parametrize("certificate", CERTIFICATES)
def test_scenario_36_an_engine_logs_in_at_no_impostor(
        authority, ca_file, tmp_path, monkeypatch, capsys, certificate, server):
    """Market data from the right host; the order connection leads to somebody else."""
    monkeypatch.setenv("ORDERFLOW_ALPHA_KEY", KEY)
    monkeypatch.setenv("ORDERFLOW_ALPHA_SECRET", SECRET)
    account = AccountSettings(KEY, SECRET, balances={"BTC": "1", "USDT": "1"})
    exchange = start_thread(SimulatorSettings("alpha", "binance_spot", seed=3, origin_ns=time.time_ns(),
                                              accounts=(account,)), SimpleNamespace(server_context=authority.server))
    try:
        with Impostor(CERTIFICATES[certificate](authority, tmp_path)) as impostor:
            right = f"://{HOST}:{exchange.ports.tls}"
            path = tmp_path / "engine.toml"
            path.write_text(f'[engine]\nserver = "{server}"\ndirectory = "{tmp_path / "journal"}"\nstart_timeout = 2\n'
                            f'[exchanges.alpha]\nprotocol = "binance_spot"\nsymbols = ["BTCUSDT"]\ntrade = true\n'
                            f'rest = "https{right}"\nstream = "wss{right}"\nca_file = "{ca_file}"\n'
                            f'orders = "wss://{HOST}:{impostor.port}/ws-api/v3"\n'
                            '[limits."BTC-USDT"]\nmaximum_position = 1\nmaximum_order_quantity = 1\n'
                            'maximum_order_notional = 1\n'
                            '[total_limits]\nmaximum_capital = { USDT = 1 }\nmaximum_loss = { USDT = 1 }\n')
            assert main(["run", str(path), "--seconds", "0.5", "--json"]) == CHECK_FAILED
    finally:
        exchange.stop()
    printed = capsys.readouterr()
    assert "certificate" in printed.out and '"BTC-USDT": "LIVE"' in printed.out
    assert not hits(CANARIES, {"out": printed.out.encode(), "err": printed.err.encode()})
    assert impostor.greetings and not impostor.received and not hits(CANARIES, impostor.outputs)
