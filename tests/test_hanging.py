"""Whatever hangs where nothing can interrupt it (the system's resolver) takes nothing from anybody else."""
import socket
import threading

import httpx
import pytest

from orderflow._core.doorbell import Doorbell
from orderflow.exchanges import session_for
from orderflow.exchanges.actions import Request
from orderflow.exchanges.session import SessionSettings
from orderflow.servers.blocking import BlockingCalls
from orderflow.servers.connect import ConnectError, Timeouts, connect
from orderflow.servers.hosts import Hosts
from orderflow.servers.resolve import look_up
from orderflow.servers.rest import call, client, fetch_now
from orderflow.simulator.certificates import Authority
from orderflow.simulator.exchange import Close, Response
from orderflow.wiring import wait_until
from tests.loopback import HOST, server
from tests.serving import PATIENCE, SERVERS, Clock, Run, listing, session_of, start_exchange
from tests.test_connect import answer_to, read_request, with_tls

HANGING = "hangs.example"


@pytest.fixture(autouse=True)
def nothing_is_left():
    threads = set(threading.enumerate())
    yield
    wait_until(lambda: set(threading.enumerate()) <= threads, PATIENCE, f"end of {threading.enumerate()}")


@pytest.fixture
def resolver(monkeypatch):
    """The system's resolver, which hangs on one name until the test lets it go on."""
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    real, released, asked = socket.getaddrinfo, threading.Event(), []

    def hang(host, *arguments, **options):
        if host in (HANGING, HANGING.encode()):
            asked.append(host)
            released.wait()
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    hang.asked, hang.released = asked, released
    yield hang
    released.set()


def far_away(name):
    return session_for("kraken_v2", SessionSettings(name, rest=f"https://{HANGING}", stream=f"wss://{HANGING}",
                                                    symbols=("BTC/USDT",)))


def test_a_resolver_that_hangs_is_a_phase_that_timed_out(resolver):
    with pytest.raises(ConnectError, match=f"{HANGING}:443: no answer in phase 'resolve' within 0.05 s") as caught:
        connect(f"wss://{HANGING}/", connect_timeout=0.05)
    assert caught.value.phase == "resolve"


def test_a_hanging_name_has_one_thread(resolver):
    """Whoever asks for it while it hangs waits for the same answer."""
    first = look_up(HANGING, 443)
    assert all(look_up(HANGING, 443) is first for _ in range(50)) and not first.cancel()
    assert len(resolver.asked) == 1
    resolver.released.set()
    with pytest.raises(socket.gaierror):
        first.result(PATIENCE)


@pytest.mark.parametrize("kind", SERVERS)
def test_others_connect_while_a_resolver_hangs_and_stopping_does_not_wait(kind, resolver):
    """Eight exchanges whose names hang, and one that is there; asked to stop, the server stops."""
    good = start_exchange("kraken_v2", Clock())
    try:
        sessions = [*(far_away(f"far{number}") for number in range(8)), session_of("kraken_v2", good.ports.plain)]
        fetcher = SERVERS[kind](Doorbell(), print)
        listings = [*(listing(f"far{number}", "BTC/USDT") for number in range(8)),
                    *sessions[-1].listings(fetcher.fetch_now(sessions[-1].metadata()))]
        fetcher.stop()
        run = Run(kind, sessions, listings=listings, timeout=3600.0)
        with run:
            run.wait_live("kraken_v2")
            wait_until(lambda: resolver.asked, PATIENCE, "the hanging name")
        assert not resolver.released.is_set()           # that we are here says that nobody waited for it
        assert run.server._thread is None
    finally:
        resolver.released.set()
        good.stop()


@pytest.mark.parametrize("kind", SERVERS)
def test_the_user_is_told_which_phase_of_which_exchange_timed_out(kind, resolver):
    run = Run(kind, [far_away("far")], listings=[listing("far", "BTC/USDT")], timeout=0.2)
    with run:
        run.wait_told("far: market connection", f"{HANGING}", "no answer in phase 'resolve' within 0.2 s")
        wait_until(lambda: run.conversations[0].lines[0].failures >= 3, PATIENCE, "further attempts")
        assert len(resolver.asked) == 1
        resolver.released.set()
        run.wait_told("far: market connection", "cannot be resolved")


def silent(sock):
    while sock.recv(65536):
        pass


@pytest.mark.parametrize("kind", SERVERS)
def test_scenario_19_tls_and_the_upgrade_have_timers_of_their_own(kind, authority):
    for secure, script, phase in ((True, silent, "tls"), (False, silent, "upgrade"),
                                  (True, with_tls(authority.server_context(), silent), "upgrade")):
        with server(script) as port:
            session = session_of("kraken_v2", port, secure)
            run = Run(kind, [session], authority, listings=[listing("kraken_v2", "BTC/USDT")])
            run.server.timeouts = Timeouts(3600.0, 0.3 if phase == "tls" else 3600.0,
                                           0.3 if phase == "upgrade" else 3600.0)
            with run:
                run.wait_told("kraken_v2: market connection", f"no answer in phase {phase!r} within 0.3 s")


@pytest.fixture(scope="module")
def authority():
    with Authority() as made:
        yield made


def test_calls_of_one_key_take_no_thread_from_another():
    calls, hold, done = BlockingCalls(2), threading.Event(), []
    for number in range(10):
        calls.submit("hangs", lambda number=number: (hold.wait(), done.append(number)))
    other = threading.Event()
    calls.submit("works", other.set)
    assert other.wait(PATIENCE) and done == []
    hold.set()
    wait_until(lambda: len(done) == 10, PATIENCE, "the others, two at a time")
    assert sorted(done) == list(range(10)) and calls.stop(PATIENCE)
    calls.submit("works", lambda: done.append("never"))
    assert len(done) == 10


def test_stopping_leaves_behind_what_hangs():
    calls, hold, done = BlockingCalls(1), threading.Event(), []
    calls.submit("hangs", hold.wait)
    calls.submit("hangs", lambda: done.append("never"))
    assert not calls.stop(0.01)
    hold.set()
    assert calls.stop(PATIENCE) and done == []


def test_a_call_that_fails_leaves_its_place_to_the_next(monkeypatch):
    failures = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    calls, done = BlockingCalls(1), threading.Event()
    calls.submit("a", lambda: 1 / 0)
    wait_until(lambda: failures, PATIENCE, "the failure")
    calls.submit("a", done.set)
    assert done.wait(PATIENCE) and failures[0].exc_type is ZeroDivisionError


# -- REST ------------------------------------------------------------------------------------------------------

def test_a_rest_call_without_an_answer_names_its_phase():
    with server(silent) as port, client(None, 0.05) as using:
        answer = call(using, Request("x", "GET", f"http://{HOST}:{port}/path?secret=1"))
        assert answer.status == 0
        assert answer.body.decode() == f"GET http://{HOST}:{port}/path: no answer in phase 'answer' within 0.05 s"


class Refusing:
    """A transport for httpx that refuses so many calls, and notes all of them."""

    def __init__(self, refusals, retry_after):
        self.left, self.retry_after, self.asked, self.waited = refusals, retry_after, 0, []

    def __call__(self, request):
        self.asked += 1
        if self.left:
            self.left -= 1
            return httpx.Response(429, headers={"Retry-After": self.retry_after})
        return httpx.Response(200, content=b"{}")

    def fetch(self, requests=1):
        """On a clock that passes when somebody waits."""
        requested = [Request(f"r{number}", "GET", "https://api.example/x") for number in range(requests)]
        with httpx.Client(transport=httpx.MockTransport(self)) as using:
            return fetch_now(using, requested, Hosts(seed=1), 10.0,
                             clock=lambda: int(sum(self.waited) * 1e9), wait=self.waited.append)


def test_what_is_needed_first_is_asked_again_after_the_wait():
    venue = Refusing(2, "20")
    assert venue.fetch() == {"r0": b"{}"}
    assert venue.asked == 3 and 38 <= sum(venue.waited) <= 42


@pytest.mark.parametrize("kind", SERVERS)
def test_a_rest_host_whose_name_hangs_takes_nothing_from_the_others(kind, resolver):
    """More calls than there are threads for one host; another exchange needs snapshots, then and once more."""
    exchange = start_exchange("binance_spot", Clock())
    base = f"{HOST}:{exchange.ports.plain}"
    try:
        near = session_of("binance_spot", exchange.ports.plain)
        far = [session_for("binance_spot", SessionSettings(
            f"far{number}", rest=f"https://{HANGING}", stream=f"ws://{base}", symbols=near.settings.symbols))
            for number in range(4)]
        fetcher = SERVERS[kind](Doorbell(), print)
        listings = near.listings(fetcher.fetch_now(near.metadata()))
        fetcher.stop()
        listings += [listing(session.settings.name, symbol) for session in far for symbol in near.settings.symbols]
        with Run(kind, [near, *far], listings=listings) as run:
            wait_until(lambda: resolver.asked, PATIENCE, "the hanging name")
            run.wait_live("binance_spot")
            exchange.call(lambda: [exchange.exchange.send(connection, Close(1012, "restart"))
                                   for connection in list(exchange.exchange.connections.values())])
            run.wait_live("binance_spot", more=lambda: run.conversations[0].health.connects == 2)
        assert not resolver.released.is_set()
    finally:
        resolver.released.set()
        exchange.stop()


def test_what_is_needed_first_does_not_wait_for_hours():
    venue = Refusing(1, "7200")
    with pytest.raises(ConnectionError, match=r"https://api.example/x: .* left alone for 7[12]\d\d s more"):
        venue.fetch()
    assert venue.asked == 1


@pytest.mark.parametrize("kind", SERVERS)
def test_a_snapshot_is_asked_for_again_when_the_exchange_allows_it(kind):
    """Over sockets: 429 with Retry-After, and not one more call before that."""
    exchange = start_exchange("binance_spot", Clock())
    venue, calls = exchange.exchange, []
    real = venue.http

    def http(method, path, query, headers, body, now_ns):
        if path.endswith("/depth") and armed:
            calls.append(now_ns)
            if len(calls) == 1:
                return Response(429, {"Retry-After": "1"}, b'{"code":-1003}')
        return real(method, path, query, headers, body, now_ns)

    armed = []
    venue.http = http
    try:
        base = f"{HOST}:{exchange.ports.plain}"
        run = Run(kind, [session_for("binance_spot", SessionSettings(
            "binance_spot", rest=f"http://{base}", stream=f"ws://{base}", symbols=("BTCUSDT",)))])
        armed.append(True)
        with run:
            run.wait_live()
            run.wait_told("refused the call for snapshot with 429; it is asked for nothing for 1.0 s")
        assert calls[1] - calls[0] >= 1_000_000_000 and len(calls) == 2
    finally:
        exchange.stop()


@pytest.mark.parametrize("kind", SERVERS)
def test_a_subscription_is_asked_for_again_over_sockets(kind):
    """An exchange that upgrades, listens, and never says a word."""
    received = []

    def script(sock):
        sock.sendall(answer_to(read_request(sock)))
        while data := sock.recv(65536):
            received.append(data)

    session = session_for("kraken_v2", SessionSettings(
        "mute", stream="", symbols=("BTC/USDT",), subscribe_ns=100_000_000))
    with server(script) as port:
        session.stream = f"ws://{HOST}:{port}"
        with Run(kind, [session], listings=[listing("mute", "BTC/USDT")]) as run:
            run.wait_told("mute: market connection: no answer in phase 'subscribe' to book of BTC/USDT, trade of")
            run.wait_told("mute: market connection is opened again", "never acknowledged")
            assert run.conversations[0].health.unanswered == 6
