"""The sync and async servers against simulated exchanges, good ones and bad ones."""
import contextlib
import socket
import threading

import pytest

from orderflow._core.doorbell import Doorbell
from orderflow.simulator.certificates import Authority
from orderflow.simulator.exchange import Close
from orderflow.wiring import wait_until
from tests.loopback import HOST, server
from tests.reference.websocket import server_frame
from tests.serving import (
    PATIENCE,
    SERVERS,
    SYMBOLS,
    Clock,
    Run,
    check_equal,
    listing,
    opened,
    port_of,
    session_of,
    start_exchange,
)
from tests.test_connect import answer_to, read_request


@pytest.fixture(scope="module")
def authority():
    with Authority() as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Whatever happened: no thread and no descriptor more than before."""
    threads, descriptors = set(threading.enumerate()), opened()
    yield
    wait_until(lambda: set(threading.enumerate()) <= threads, PATIENCE, f"end of {threading.enumerate()}")
    assert opened() <= descriptors


@pytest.mark.parametrize("layout", ["split", "fused"])
@pytest.mark.parametrize("secure", [True, False], ids=["wss", "ws"])
@pytest.mark.parametrize("kind", SERVERS)
def test_books_equal_the_matching_engines(kind, secure, layout, authority):
    clock = Clock()
    with contextlib.ExitStack() as stack:
        exchanges = [stack.enter_context(contextlib.closing(Stopping(
            start_exchange(protocol, clock, authority if secure else None)))) for protocol in SYMBOLS]
        exchanges = [stopping.exchange for stopping in exchanges]
        sessions = [session_of(exchange.exchange.protocol, port_of(exchange, secure), secure)
                    for exchange in exchanges]
        with Run(kind, sessions, authority if secure else None, layout=layout) as run:
            run.wait_live()
            seen = {exchange.exchange.protocol: run.frames(exchange.exchange.protocol) for exchange in exchanges}
            wait_until(lambda: all(run.frames(name) > count + 20 for name, count in seen.items()), PATIENCE, "frames")
            check_equal(run, exchanges, clock)
            assert all(conversation.ready for conversation in run.conversations)
            assert run.problems == []


class Stopping:
    """A simulated exchange for contextlib.closing."""

    def __init__(self, exchange):
        self.exchange = exchange

    def close(self):
        self.exchange.stop()


@pytest.mark.parametrize("secure", [True, False], ids=["wss", "ws"])
@pytest.mark.parametrize("kind", SERVERS)
def test_a_connection_that_the_exchange_ends_is_made_again(kind, secure, authority):
    clock = Clock()
    exchange = start_exchange("binance_spot", clock, authority if secure else None)

    def end_all():
        for connection in list(exchange.exchange.connections.values()):
            exchange.exchange.send(connection, Close(1012, "restart"))

    try:
        with Run(kind, [session_of("binance_spot", port_of(exchange, secure), secure)],
                 authority if secure else None) as run:
            run.wait_live()
            exchange.call(end_all)
            run.wait_told("binance_spot: market connection lost: PEER_CLOSED (1012)")
            run.wait_live(more=lambda: run.conversations[0].health.connects == 2)
            assert "binance_spot: book of BTCUSDT is LIVE again" in run.problems
            check_equal(run, [exchange], clock)
            assert run.core.board.read(0)["epoch"] == 2
    finally:
        exchange.stop()


@pytest.mark.parametrize("kind", SERVERS)
def test_an_exchange_that_goes_away_is_stale_until_it_is_back(kind):
    clock = Clock()
    gone, other = start_exchange("binance_spot", clock), start_exchange("kraken_v2", clock)
    port = gone.ports.plain
    back = None
    try:
        with Run(kind, [session_of("binance_spot", port), session_of("kraken_v2", other.ports.plain)]) as run:
            run.wait_live()
            gone.stop()
            run.wait_told("binance_spot: market connection", "refused")
            assert run.states("binance_spot") == ["STALE"] * 2
            assert run.shown("binance_spot") == {"BTCUSDT": [], "ETHUSDT": []}
            assert run.states("kraken_v2") == ["LIVE"] * 2
            back = start_exchange("binance_spot", clock, port=port)
            run.wait_live()
            check_equal(run, [back, other], clock)
    finally:
        for exchange in (gone, other, back):
            if exchange is not None:
                exchange.stop()


# -- exchanges that misbehave

def upgrade_then(data):
    """A script for loopback.server: upgrade, wait for the subscription, send these bytes, wait for the end."""
    def script(sock):
        sock.sendall(answer_to(read_request(sock)))
        sock.recv(65536)
        sock.sendall(data)
        while sock.recv(65536):
            pass
    return script


def say_nothing(sock):
    while sock.recv(65536):
        pass


def hang_up(sock):
    sock.sendall(answer_to(read_request(sock)))
    sock.recv(65536)
    sock.sendall(server_frame(1, b'{"stream":"x"}')[:-3])       # and then nothing more: cut in mid-frame


ENDLESS = server_frame(1, b"{", final=False) + 25 * server_frame(0, b" " * (1 << 19), final=False)
BAD = {
    "silence": (say_nothing, {"sync": ["no answer in phase 'upgrade'"], "async": ["no answer"]}),
    "not a websocket": (lambda sock: sock.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
                        {"sync": ["404"], "async": ["404"]}),
    "garbage text": (upgrade_then(server_frame(1, b"\x01 garbage")), {"": ["lost: FRAME_UNREADABLE (BAD_JSON)"]}),
    "unknown encoding": (upgrade_then(server_frame(1, b"\xff\xfe{}")), {
        "sync": ["lost: PROTOCOL_BROKEN (INVALID_UTF8)"], "async": ["lost: FRAME_UNREADABLE (BAD_JSON)"]}),
    "masked frame": (upgrade_then(b"\x81\x82abcd\x00\x00"), {
        "sync": ["lost: PROTOCOL_BROKEN (MASKED_BY_SERVER)"], "async": ["lost"]}),
    "oversized frame": (upgrade_then(b"\x81\x7f" + (1 << 40).to_bytes(8)), {
        "sync": ["lost: PROTOCOL_BROKEN (FRAME_TOO_LARGE)"], "async": ["lost"]}),
    "not a frame": (upgrade_then(b"HTTP/1.1 500 Oops\r\n\r\n"), {"sync": ["lost: PROTOCOL_BROKEN"], "async": ["lost"]}),
    "message without end": (upgrade_then(ENDLESS), {
        "sync": ["lost: PROTOCOL_BROKEN (MESSAGE_TOO_LARGE)"], "async": ["a message of more than"]}),
    "continuation of nothing": (upgrade_then(server_frame(0, b"{}")), {
        "sync": ["lost: PROTOCOL_BROKEN (CONTINUATION_OF_NOTHING)"], "async": ["continuation of nothing"]}),
    "close without a code": (upgrade_then(server_frame(8, b"")), {"": ["lost: PEER_CLOSED"]}),
    "cut in mid-frame": (hang_up, {"": ["lost: PEER_CLOSED"]}),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("kind", SERVERS)
def test_a_bad_exchange_is_named_and_the_others_run_on(kind, case):
    script, told = BAD[case]
    clock = Clock()
    good = start_exchange("kraken_v2", clock)
    try:
        with server(script) as port:
            sessions = [session_of("binance_spot", port, name="bad"), session_of("kraken_v2", good.ports.plain)]
            fetcher = SERVERS[kind](Doorbell(), print)
            listings = [listing("bad", "BTCUSDT"), *sessions[1].listings(fetcher.fetch_now(sessions[1].metadata()))]
            fetcher.stop()
            with Run(kind, sessions, listings=listings, timeout=1.0) as run:
                run.wait_told("bad: market connection", *told.get(kind, told.get("", [])))
                run.wait_live("kraken_v2")
                before = run.frames("kraken_v2")
                wait_until(lambda: run.frames("kraken_v2") > before + 10, PATIENCE, "frames of the good exchange")
                assert "LIVE" not in run.states("bad")
                assert not any(problem.startswith("kraken_v2") for problem in run.problems)
    finally:
        good.stop()


@pytest.mark.parametrize("kind", SERVERS)
def test_stopping_closes_the_websocket_as_the_protocol_asks(kind):
    received = []

    def script(sock):
        sock.sendall(answer_to(read_request(sock)))
        while data := sock.recv(65536):
            received.append(data)

    with server(script) as port, Run(kind, [session_of("kraken_v2", port)],
                                     listings=[listing("kraken_v2", "BTC/USDT")]) as run:
        wait_until(lambda: len(b"".join(received)) > 100, PATIENCE, "the subscription")
        assert run.problems == []
    opcode, length = b"".join(received)[-8:-6]          # masked: two bytes, a key of four, a code of two
    assert (opcode, length) == (0x88, 0x82)


@pytest.mark.parametrize("kind", SERVERS)
def test_nobody_listens(kind):
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
    with Run(kind, [session_of("binance_spot", port, name="away")], listings=[listing("away", "BTCUSDT")]) as run:
        run.wait_told("away: market connection", f"{HOST}:{port}", "refused")
        wait_until(lambda: run.conversations[0].lines[0].failures >= 2, PATIENCE, "another attempt")


@pytest.mark.parametrize("kind", SERVERS)
def test_metadata_that_cannot_be_fetched_names_the_url(kind):
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
    fetcher = SERVERS[kind](Doorbell(), print)
    with pytest.raises(ConnectionError, match=f"^GET http://{HOST}:{port}/0/public/AssetPairs: .*nothing listens"):
        fetcher.fetch_now(session_of("kraken_v2", port).metadata())
    fetcher.stop()
    fetcher.stop()


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_is_trusted_only_with_its_authority(kind, authority):
    exchange = start_exchange("kraken_v2", Clock(), authority)
    try:
        with Authority() as stranger, Run(kind, [session_of("kraken_v2", exchange.ports.tls, secure=True)], stranger,
                                          listings=[listing("kraken_v2", "BTC/USDT")]) as run:
            run.wait_told("kraken_v2: market connection", "certificate")
            assert run.core.loops["kraken_v2"].totals["frames"] == 0
    finally:
        exchange.stop()
