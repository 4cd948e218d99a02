"""Simulated exchanges that play captures: judged by a plain client, over real sockets and without any."""
import json
import socket
import ssl
import threading
import urllib.request

import pytest
import websocket

from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.capture import Playback
from orderflow.simulator.certificates import Authority
from orderflow.simulator.dialects import dialect
from orderflow.simulator.exchange import SECOND_NS, Close, Ping
from orderflow.simulator.launch import SimulatorSettings, build
from orderflow.simulator.recording import CaptureError, read_capture
from orderflow.simulator.server import SimulatedExchange
from tests.reference.exchange_client import BinanceClient, KrakenClient

START_NS = 1_700_000_000 * SECOND_NS
CAPTURES = {
    "cf_binance_a": ("captures/cf_binance_a.tsv.gz", "binance_spot"),
    "cf_binance_futures_a": ("captures/cf_binance_futures_a.tsv.gz", "binance_usdm"),
    "cf_binance_delivery_a": ("captures/cf_binance_delivery_a.tsv.gz", "binance_coinm"),
    "kraken_v2_a": ("derived/kraken_v2_a.tsv.gz", "kraken_v2"),
}
SPOT_STREAMS = ("btcusdt@depth@100ms", "btcusdt@trade")
SPOT = (
    '1000000000\trx\tc\t{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":5,"u":7,'
    '"b":[["10.50","1.00"]],"a":[]}}\n'
    '1100000000\trx\tc\t{"stream":"btcusdt@trade","data":{"e":"trade","E":2,"s":"BTCUSDT","t":1,"p":"10.50","q":"0.250"}}\n'
    '1200000000\thttp\thttps://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=5\t'
    '{"lastUpdateId":6,"bids":[["10.40","2.00"]],"asks":[["10.60","1.00"]]}\n'
    '1400000000\trx\tc\t{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":3,"s":"BTCUSDT","U":8,"u":8,'
    '"b":[],"a":[["10.60","0.00"]]}}\n'
)


@pytest.fixture(scope="module")
def authority():
    with Authority() as made:
        yield made


@pytest.fixture
def spot_capture(tmp_path):
    path = tmp_path / "spot.tsv"
    path.write_text(SPOT)
    return path


def exchange_of(path, protocol, speed=0.0, streams=None):
    speaker = dialect(protocol)
    return speaker(Playback(path, speaker, speed, streams))


def frames_of(exchange):
    return [frame for _, frame in exchange.drain() if isinstance(frame, str)]


def run_to(exchange, end_ns):
    """Step to every due time up to `end_ns`, as a driver with a virtual clock does: [(time, connection, frame)]."""
    sent = []
    while (due_ns := exchange.next_ns()) <= end_ns:
        exchange.advance(due_ns)
        sent += [(due_ns, *item) for item in exchange.drain()]
    return sent


# over real sockets, whole captures


def subscribe(exchange, base, context):
    """Open what a client opens that wants everything in the capture; returns the websockets."""
    streams = sorted(exchange.source.expected)
    options = {"sslopt": {"context": context} if context else {}, "timeout": 20}
    if exchange.protocol != "kraken_v2":
        half = len(streams) // 2        # some in the URL, the others asked for
        client = websocket.create_connection(f"{base}/stream?streams={'/'.join(streams[:half])}", **options)
        client.send(json.dumps({"method": "SUBSCRIBE", "params": streams[half:], "id": 7}))
        assert json.loads(client.recv()) == {"result": None, "id": 7}
        return client
    client = websocket.create_connection(f"{base}/v2", **options)
    for subscription in streams:
        depth = {"depth": subscription.depth} if subscription.depth else {}
        client.send(json.dumps({"method": "subscribe", "params": {
            "channel": subscription.channel, "symbol": [subscription.symbol], **depth}}))
    return client


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("name", CAPTURES)
def test_a_plain_client_finds_the_golden_books(feeds, authority, name, secure):
    path, protocol = CAPTURES[name]
    golden = json.loads((feeds / "golden" / f"{name}.json").read_text())["symbols"]
    exchange = exchange_of(feeds / path, protocol)
    with SimulatedExchange(exchange, authority=authority) as server:
        base = f"wss://127.0.0.1:{server.ports.tls}" if secure else f"ws://127.0.0.1:{server.ports.plain}"
        context = authority.client_context() if secure else None
        client = subscribe(exchange, base, context)
        judge = KrakenClient() if protocol == "kraken_v2" else BinanceClient(protocol != "binance_spot")
        wanted = sum(exchange.source.contents.streams.values())
        taken = 0
        while taken < wanted:
            text = client.recv()
            judge.frame(text)
            taken += '"data"' in text and '"status"' not in text
        for symbol in exchange.source.contents.snapshots:
            url = f"{base.replace('ws', 'http', 1)}{exchange.rest_root}/depth?symbol={symbol}&limit=1000"
            with urllib.request.urlopen(url, context=context) as answer:
                judge.snapshot(symbol, answer.read())
        assert server.played.wait(5)
        client.close()
    for symbol, expected in golden.items():
        book = judge.books[symbol]
        assert (book.updates, book.trace) == (expected["updates_applied"], expected["bbo_trace_sha256"]), symbol
        if protocol == "kraken_v2":
            assert book.checksums == expected["checksums_ok"]
    assert judge.trades == sum(expected["trades"] for expected in golden.values())


def test_frames_leave_verbatim_and_in_recorded_order(feeds):
    path, protocol = CAPTURES["kraken_v2_a"]
    exchange = exchange_of(feeds / path, protocol, speed=1.0)
    exchange.open(1, "/v2", START_NS)
    for subscription in sorted(exchange.source.expected):
        exchange.subscribe(exchange.connections[1], subscription)
    recorded = [(record.local_ns, record.payload) for record in read_capture(feeds / path)
                if record.direction == "rx" and '"data"' in record.payload]
    exchange.drain()
    exchange.advance(START_NS)
    sent = [(START_NS, *item) for item in exchange.drain()] + run_to(exchange, START_NS + 60 * SECOND_NS)
    played = [(now_ns - START_NS, frame) for now_ns, _, frame in sent if '"data"' in frame]
    assert played == [(local_ns - recorded[0][0], payload) for local_ns, payload in recorded]
    quiet = [now_ns for now_ns, _, frame in sent
             if frame == '{"channel":"heartbeat"}' and now_ns > START_NS + 35 * SECOND_NS]
    assert len(quiet) >= 24, "heartbeats go on after the last frame"


# without sockets


def test_what_is_older_than_the_snapshot_is_not_in_the_book_that_orders_meet(tmp_path):
    """Nor is the very first frame, before which no book was asked for."""
    path = tmp_path / "older.tsv"
    path.write_text(
        '900000000\trx\tc\t{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":3,"u":3,'
        '"b":[["10.45","9.00"]],"a":[]}}\n'
        '950000000\trx\tc\t{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":4,"u":4,'
        '"b":[["10.45","0.00"]],"a":[]}}\n' + SPOT.replace('"q":"0.250"', '"q":"0.250","m":true'))
    exchange = build(SimulatorSettings("spot", "binance_spot", capture=str(path), speed=0,
                                       accounts=(AccountSettings("key", "secret", balances={"USDT": "1"}),)))
    exchange.open(1, f"/stream?streams={'/'.join(SPOT_STREAMS)}", START_NS)
    exchange.advance(START_NS)
    assert exchange.finished
    assert exchange.source.top(exchange.source.instruments[0], 5) == ([("10.50", "1.000"), ("10.40", "2.000")], [])


def test_playback_waits_for_every_recorded_subscription(spot_capture):
    exchange = exchange_of(spot_capture, "binance_spot")
    exchange.open(1, "/stream?streams=btcusdt@trade", START_NS)
    exchange.advance(START_NS + SECOND_NS)
    assert frames_of(exchange) == [] and not exchange.finished
    exchange.open(2, "/ws", START_NS)
    exchange.message(2, '{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":"a"}', START_NS)
    exchange.advance(START_NS + 2 * SECOND_NS)
    sent = exchange.drain()
    assert exchange.finished
    assert [number for number, _ in sent] == [2, 2, 1, 2]
    assert sent[0][1] == '{"result":null,"id":"a"}'
    assert sent[1][1] == SPOT.splitlines()[0].split("\t")[3][len('{"stream":"btcusdt@depth@100ms","data":'):-1]
    assert sent[2][1] == SPOT.splitlines()[1].split("\t")[3]


@pytest.mark.parametrize("speed, times", [(1.0, [0, 100, 400]), (2.0, [0, 50, 200]), (0.5, [0, 200, 800])])
def test_speed_is_a_multiple_of_the_recording(spot_capture, speed, times):
    exchange = exchange_of(spot_capture, "binance_spot", speed)
    exchange.open(1, "/stream?streams=" + "/".join(SPOT_STREAMS), START_NS)
    sent = run_to(exchange, START_NS + 10 * SECOND_NS)
    assert [(now_ns - START_NS) // 1_000_000 for now_ns, _, _ in sent] == times


def test_the_recorded_snapshot_answers_at_any_time(spot_capture):
    exchange = exchange_of(spot_capture, "binance_spot")
    expected = SPOT.splitlines()[2].split("\t")[3].encode()
    for moment in range(2):
        answer = exchange.http("GET", "/api/v3/depth", "symbol=BTCUSDT&limit=1000", {}, b"", START_NS)
        assert (answer.status, answer.body) == (200, expected), moment
        exchange.open(1, "/stream?streams=" + "/".join(SPOT_STREAMS), START_NS)
        exchange.advance(START_NS)


def test_metadata_that_was_not_recorded_comes_from_the_digits_on_the_wire(spot_capture):
    exchange = exchange_of(spot_capture, "binance_spot")
    answer = exchange.http("GET", "/api/v3/exchangeInfo", "symbol=BTCUSDT", {}, b"", START_NS)
    symbol, = json.loads(answer.body)["symbols"]
    filters = {item["filterType"]: item for item in symbol["filters"]}
    assert (symbol["baseAsset"], symbol["quoteAsset"]) == ("BTC", "USDT")
    assert (filters["PRICE_FILTER"]["tickSize"], filters["LOT_SIZE"]["stepSize"]) == ("0.01", "0.001")


def test_recorded_metadata_is_served_as_recorded(feeds):
    exchange = exchange_of(feeds / CAPTURES["cf_binance_a"][0], "binance_spot")
    recorded = next(read_capture(feeds / CAPTURES["cf_binance_a"][0])).payload
    assert exchange.http("GET", "/api/v3/exchangeInfo", "", {}, b"", START_NS).body == recorded.encode()
    kraken = exchange_of(feeds / CAPTURES["kraken_v2_a"][0], "kraken_v2")
    recorded = next(read_capture(feeds / CAPTURES["kraken_v2_a"][0])).payload
    assert kraken.http("GET", "/0/public/AssetPairs", "", {}, b"", START_NS).body == recorded.encode()


@pytest.mark.parametrize("path, query, status, code", [
    ("/api/v3/depth", "symbol=NONE", 400, -1121),
    ("/api/v3/depth", "", 400, -1102),
    ("/api/v3/depth", "symbol=BTCUSDT&limit=many", 400, -1100),
    ("/api/v3/exchangeInfo", "symbol=NONE", 400, -1121),
    ("/api/v3/nothing", "", 404, -1000),
    ("/fapi/v1/depth", "symbol=BTCUSDT", 404, -1000),
])
def test_binance_refuses_rest_requests_in_its_own_words(spot_capture, path, query, status, code):
    answer = exchange_of(spot_capture, "binance_spot").http("GET", path, query, {}, b"", START_NS)
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code)


@pytest.mark.parametrize("request_text, code", [
    ("garbage", 3), ("[]", 2), ('{"id":1}', 2), ('{"method":"JUMP","id":1}', 2),
    ('{"method":"SUBSCRIBE","params":"x","id":1}', 2), ('{"method":"GET_PROPERTY","params":["x"],"id":1}', 0),
    ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', 1),
])
def test_binance_refuses_control_messages_in_its_own_words(spot_capture, request_text, code):
    exchange = exchange_of(spot_capture, "binance_spot")
    exchange.open(1, "/ws", START_NS)
    exchange.message(1, request_text, START_NS)
    assert json.loads(frames_of(exchange)[0])["error"]["code"] == code


def test_binance_subscriptions_can_be_listed_and_undone(spot_capture):
    exchange = exchange_of(spot_capture, "binance_spot")
    exchange.open(1, "/ws/btcusdt@trade", START_NS)
    for request in ('"method":"SUBSCRIBE","params":["a@depth"]', '"method":"UNSUBSCRIBE","params":["btcusdt@trade"]',
                    '"method":"LIST_SUBSCRIPTIONS"', '"method":"GET_PROPERTY","params":["combined"]'):
        exchange.message(1, "{" + request + ',"id":3}', START_NS)
    assert [json.loads(frame)["result"] for frame in frames_of(exchange)] == [None, None, ["a@depth"], False]


def test_binance_closes_on_too_many_messages(spot_capture):
    exchange = exchange_of(spot_capture, "binance_spot")
    exchange.open(1, "/ws", START_NS)
    for _ in range(6):
        exchange.message(1, '{"method":"LIST_SUBSCRIPTIONS","id":1}', START_NS)
    assert isinstance(exchange.drain()[-1][1], Close)


def test_binance_pings_and_closes_without_a_pong(spot_capture):
    exchange = exchange_of(spot_capture, "binance_spot")
    for number in (1, 2):
        exchange.open(number, "/ws", START_NS)
    ended = {}
    for now_ns, number, frame in _answer_pings(exchange, answering=2):
        if isinstance(frame, Close):
            ended[number] = (now_ns - START_NS) // SECOND_NS
    assert ended == {1: 80}


def _answer_pings(exchange, answering):
    sent = []
    while (due_ns := exchange.next_ns()) <= START_NS + 200 * SECOND_NS:
        exchange.advance(due_ns)
        for number, frame in exchange.drain():
            sent.append((due_ns, number, frame))
            if isinstance(frame, Ping) and number == answering:
                exchange.pong(number, frame.payload, due_ns)
    return sent


def test_kraken_answers_as_kraken(feeds):
    exchange = exchange_of(feeds / CAPTURES["kraken_v2_a"][0], "kraken_v2")
    exchange.open(1, "/v2", START_NS)
    for request in (
        '{"method":"ping","req_id":42}',
        '{"method":"subscribe","params":{"channel":"book","symbol":["XMR/USD","NO/PE"],"depth":1000},"req_id":1}',
        '{"method":"subscribe","params":{"channel":"book","symbol":["XMR/USD"],"depth":1000}}',
        '{"method":"subscribe","params":{"channel":"book","symbol":["ADA/BTC"],"depth":11}}',
        '{"method":"unsubscribe","params":{"channel":"trade","symbol":["XMR/USD"]}}',
        '{"method":"subscribe","params":{"channel":"nothing","symbol":["XMR/USD"]}}',
        '{"method":"jump"}', "garbage",
    ):
        exchange.message(1, request, START_NS)
    status, pong, taken, *refused = [json.loads(frame) for frame in frames_of(exchange)]
    assert status["channel"] == "status" and status["data"][0]["system"] == "online"
    assert pong == {"method": "pong", "req_id": 42, "time_in": "2023-11-14T22:13:20.000000Z",
                    "time_out": "2023-11-14T22:13:20.000000Z"}
    assert taken["success"] and taken["req_id"] == 1
    assert taken["result"] == {"channel": "book", "symbol": "XMR/USD", "depth": 1000, "snapshot": True}
    assert [answer["error"] for answer in refused] == [
        "Currency pair not supported NO/PE", "Already subscribed", "Subscription depth not supported 11",
        "Subscription Not Found", "Channel not supported", "Unsupported method", "Malformed request"]
    assert not any(answer["success"] for answer in refused)


def test_the_instrument_channel_gives_the_digits_that_checksums_are_made_of(feeds):
    exchange = exchange_of(feeds / CAPTURES["kraken_v2_a"][0], "kraken_v2")
    exchange.open(1, "/v2", START_NS)
    exchange.message(1, '{"method":"subscribe","params":{"channel":"instrument"}}', START_NS)
    pairs = {pair["symbol"]: pair for pair in json.loads(frames_of(exchange)[-1])["data"]["pairs"]}
    assert (pairs["BTC/CHF"]["price_precision"], pairs["BTC/CHF"]["price_increment"]) == (5, 0.1)


def test_a_capture_of_another_protocol_is_refused(feeds, spot_capture):
    with pytest.raises(CaptureError, match="no frame of kraken_v2"):
        exchange_of(spot_capture, "kraken_v2")
    with pytest.raises(ValueError, match="speed"):
        exchange_of(spot_capture, "binance_spot", speed=-1)
    with pytest.raises(ValueError, match="streams: .*ethusdt@trade"):
        exchange_of(spot_capture, "binance_spot", streams=["ethusdt@trade"])
    with pytest.raises(ValueError, match="protocol: 'phemex'"):
        dialect("phemex")


# the server itself


def test_a_port_in_use_names_the_setting_and_leaves_nothing_behind(spot_capture):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = SimulatedExchange(exchange_of(spot_capture, "binance_spot"), port=port)
        with pytest.raises(OSError, match=f"port: 127.0.0.1:{port} of exchange binance_spot"):
            server.start()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("simulated-")]


def test_stopping_ends_connections_and_threads(spot_capture):
    server = SimulatedExchange(exchange_of(spot_capture, "binance_spot"))
    client = websocket.create_connection(f"ws://127.0.0.1:{server.start().plain}/ws", timeout=5)
    server.stop()
    server.stop()
    assert client.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
    client.shutdown()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("simulated-")]


def test_only_the_runs_own_authority_is_trusted(spot_capture, authority):
    with SimulatedExchange(exchange_of(spot_capture, "binance_spot"), authority=authority) as server:
        with socket.create_connection(("127.0.0.1", server.ports.tls), timeout=5) as plain:
            with pytest.raises(ssl.SSLCertVerificationError):
                ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", server.ports.tls), timeout=5) as plain:
            authority.client_context().wrap_socket(plain, server_hostname="127.0.0.1").close()


def test_a_client_that_stops_reading_loses_nothing(tmp_path):
    count, padding = 30_000, "x" * 600          # more than the sockets of both sides hold
    path = tmp_path / "long.tsv"
    path.write_text("".join(f'{number}\trx\tc\t{{"stream":"btcusdt@trade","data":{{"t":{number},"x":"{padding}"}}}}\n'
                            for number in range(count)))
    exchange = exchange_of(path, "binance_spot")
    with SimulatedExchange(exchange) as server:
        client = websocket.create_connection(f"ws://127.0.0.1:{server.ports.plain}/stream?streams=btcusdt@trade",
                                             timeout=30, skip_utf8_validation=True)
        assert not server.played.wait(0.5), "the capture cannot have been played into a socket that nobody reads"
        assert server.call(lambda: exchange.source.played) < count
        for number in range(count):
            assert f'"t":{number},' in client.recv()
        assert server.played.wait(5)
        client.close()


def test_a_capture_that_is_repeated_ends_its_connections(spot_capture):
    speaker = dialect("binance_spot")
    exchange = speaker(Playback(spot_capture, speaker, 1.0, repeat=True))

    def play(connection, start_ns):
        exchange.open(connection, f"/stream?streams={'/'.join(SPOT_STREAMS)}", start_ns)
        return [item for _, _, item in run_to(exchange, start_ns + SECOND_NS)]

    first = play(1, START_NS)
    assert len(first) == 4 and first[3].code == 1001
    assert not exchange.finished and exchange.source.rounds == 1
    exchange.open(2, "/stream", START_NS + 2 * SECOND_NS)
    assert exchange.next_ns() > START_NS + 10 * SECOND_NS       # nobody has subscribed yet
    exchange.closed(1)
    exchange.closed(2)
    assert play(3, START_NS + 3 * SECOND_NS) == first and exchange.source.rounds == 2
    assert exchange.source.ended == 2
