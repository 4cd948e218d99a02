"""KuCoin: session, codec and dialect, its connection whose address is asked for, and ccxt as a client that knows the
real exchange."""
import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import threading
from decimal import Decimal

import ccxt
import ccxt.pro
import pytest

from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.types import BookFault, BookState, EventKind, MessageKind, Side
from orderflow.cli import GOOD, main
from orderflow.credentials import Credentials
from orderflow.exchanges import session_for
from orderflow.exchanges.actions import (
    Fetch,
    KeepAlive,
    Open,
    Problem,
    Ready,
    Reconnect,
    Request,
    Send,
    SnapshotBody,
    Subscription,
)
from orderflow.exchanges.session import SessionError, SessionSettings
from orderflow.instrument import table
from orderflow.servers.direct import DirectServer
from orderflow.simulator.certificates import Authority
from orderflow.simulator.exchange import SECOND_NS, Close, Response
from orderflow.simulator.launch import SimulatorSettings, build
from orderflow.simulator.recording import read_capture, recognise
from orderflow.wiring import build_core, conversations, wait_until
from tests.against_dialect import (
    books_equal,
    connected,
    flows,
    one_is_resynced,
    pointed,
    simulated,
    true_books,
    watched_until_true,
)
from tests.codec_frames import listing_table
from tests.feed import Feed, levels
from tests.loopback import HOST
from tests.serving import PATIENCE, SERVERS, Clock, Run, port_of, start_exchange

SYMBOLS = ["BTC-USDT", "ETH-USDT"]
DEPTH = 1 << 16
CREDENTIALS = Credentials("key", "secret", "passphrase")
BIDS, ASKS = {1000: 5000, 999: 1000}, {1001: 4000, 1002: 2000}
LIVE, STALE = BookState.LIVE, BookState.STALE
START_NS = 1_700_000_000 * SECOND_NS
MILLISECOND_NS = 1_000_000
BULLET = "/api/v1/bullet-public"


def rows(side, sequence):
    return [[*level, str(sequence)] for level in levels(side)]


def update(first, last, bids, asks, symbol="A-B", **data):
    """An update of prices with two and quantities with three decimals, as the document shows it."""
    return {"topic": f"/market/level2:{symbol}", "type": "message", "subject": "trade.l2update", "data": {
        "changes": {"asks": rows(asks, last), "bids": rows(bids, last)}, "sequenceEnd": last, "sequenceStart": first,
        "symbol": symbol, "time": 1729816425625} | data}


def snapshot(sequence, bids=BIDS, asks=ASKS):
    return {"code": "200000", "data": {"time": 1729816425000, "sequence": str(sequence), "bids": levels(bids),
                                       "asks": levels(asks)}}


def match(symbol="A-B", **data):
    return {"topic": f"/market/match:{symbol}", "type": "message", "subject": "trade.l3match", "data": {
        "makerOrderId": "6085", "price": "67.52", "sequence": "11067996711960577", "side": "buy", "size": "0.003",
        "symbol": symbol, "takerOrderId": "6086", "time": "1729843222921000123", "tradeId": "11067996711960577",
        "type": "match"} | data}


def ticker(symbol="A-B", **data):
    return {"topic": f"/market/ticker:{symbol}", "type": "message", "subject": "trade.ticker", "data": {
        "bestAsk": "67.22", "bestAskSize": "1.92", "bestBid": "67.21", "bestBidSize": "0.01", "price": "67",
        "sequence": "14691455768", "size": "0.001", "time": 1729757723612} | data}


def changed(state, fault=BookFault.NO_FAULT, listing=0):
    return EventKind.BOOK_CHANGED, listing, state, fault


def need(listing=0):
    return EventKind.SNAPSHOT_NEEDED, listing


def spelt(value):
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


@pytest.fixture
def pair():
    """Two LIVE books, at 100."""
    feed = Feed("kucoin", ["A-B", "C-D"])
    feed.open()
    for listing, symbol in enumerate(("A-B", "C-D")):
        assert feed.frame(update(95, 100, {1000: 5000}, {}, symbol)) == [need(listing)]
        assert feed.snapshot(snapshot(97), listing) == [changed(LIVE, listing=listing)]
    return feed


@pytest.fixture
def decoded():
    """A function: frame -> (status, DecodeOutput)."""
    symbols = {"A-B": 0, "C-D": 1}
    session = session_for("kucoin", SessionSettings("test", symbols=tuple(symbols)))
    codec, out = session.market_codec(listing_table([(2, 3), (2, 3)]), symbols), DecodeOutput()

    def decode(frame):
        return codec.decode_frame(spelt(frame).encode(), out), out
    return decode


# -- against the dialect -----------------------------------------------------------------------------------------

def test_whole_books_equal_the_matching_engines():
    """With a key the snapshot is the whole book."""
    books_equal("kucoin", SYMBOLS, DEPTH, credentials=CREDENTIALS)


def known_parts(exchange):
    """A function: (symbol, bids and asks) -> those of them that lie no deeper than the last REST book that was given
    away reached. What lies deeper is known only once it has changed."""
    venue, reached = exchange.exchange, {}

    def noted(path, query, headers):
        body = type(venue)._order_book(venue, path, query, headers)
        book = json.loads(body)["data"]
        reached[query.partition("=")[2]] = [Decimal(book[side][-1][0]) for side in ("bids", "asks")]
        return body
    exchange.call(setattr, venue, "_order_book", noted)

    def part(symbol, sides):
        lowest, highest = reached[symbol]
        found = [[level for level in sides[0] if level[0] >= lowest], [level for level in sides[1]
                                                                       if level[0] <= highest]]
        assert len(sides[0]) > 5 and len(sides[1]) > 5
        return found
    return part


def test_what_is_known_of_the_books_equals_the_matching_engines():
    """Without a key the snapshot is the best 100 levels a side."""
    with simulated("kucoin") as (exchange, clock):
        part = known_parts(exchange)
        with Run("sync", [connected("kucoin", exchange.ports.plain, SYMBOLS)]) as run:
            run.wait_live()
            flows(run, "kucoin", 60)
            clock.stop()

            def known(books):
                return {symbol: part(symbol, sides) for symbol, sides in books.items()}
            wait_until(lambda: known(run.books("kucoin")) == known(true_books(exchange, SYMBOLS, DEPTH)), PATIENCE,
                       "equality of what is known")
            assert run.problems == [] and run.states() == ["LIVE", "LIVE"]


def test_a_lost_frame_resyncs_one_listing_alone():
    one_is_resynced("kucoin", SYMBOLS, Subscription("/market/level2", "BTC-USDT"), DEPTH, credentials=CREDENTIALS)


def dialect():
    """A simulated KuCoin without sockets, with one connection, and a function that says something and hears answers."""
    venue = build(SimulatorSettings("kucoin", "kucoin", seed=1, origin_ns=SECOND_NS))
    asked = json.loads(venue.http("POST", BULLET, "", {"host": "example:1"}, b"", SECOND_NS).body)
    venue.open(1, f"/?token={asked['data']['token']}&connectId=mine", SECOND_NS)

    def say(text):
        venue.message(1, spelt(text), SECOND_NS)
        return [json.loads(sent) for _, sent in venue.drain()]
    return venue, say


def subscribe(topic, kind="subscribe", number=7):
    return {"id": number, "type": kind, "topic": topic, "response": True}


def test_a_refused_subscription_is_a_clear_problem(decoded):
    _, say = dialect()
    session = session_for("kucoin", SessionSettings("test"))
    say("{}")
    [refusal] = say(subscribe("/market/level2:NO-SUCH"))
    assert [message["kind"] for message in decoded(refusal)[1].messages] == [MessageKind.SESSION]
    [problem] = session.frame("market", json.dumps(refusal).encode(), 0)
    assert isinstance(problem, Problem) and "/market/level2:NO-SUCH" in problem.message and "404" in problem.message
    [ack] = say(subscribe("/market/match:BTC-USDT"))
    assert [message["kind"] for message in decoded(ack)[1].messages] == [MessageKind.SESSION]
    assert session.frame("market", json.dumps(ack).encode(), 0) == [Ready("market")]


def test_the_dialect_answers_as_documented():
    venue, say = dialect()
    assert say({"id": "9", "type": "ping"})[-1] == {"id": "9", "type": "pong", "timestamp": SECOND_NS // 1000}
    assert say("{")[0]["type"] == "error" and say({"type": "openTunnel"})[0]["code"] == 415
    assert say(subscribe("/market/level2:BTC-USDT,ETH-USDT")) == [{"id": "7", "type": "ack"}]
    assert list(venue.subscribers) == [Subscription("/market/level2", symbol) for symbol in SYMBOLS]
    assert say(subscribe("/market/level2:BTC-USDT,ETH-USDT", "unsubscribe")) == [{"id": "7", "type": "ack"}]
    assert venue.subscribers == {}
    assert say(subscribe("/market/level2:" + ",".join(["BTC-USDT"] * 101)))[0]["code"] == 400
    for path, query, status, code in (
            ("/api/v1/market/orderbook/level2_20", "symbol=NO-SUCH", 400, "900001"),
            ("/api/v3/market/orderbook/level2", "symbol=BTC-USDT", 401, "400001"), ("/elsewhere", "", 404, "404000")):
        answer = venue.http("GET", path, query, {}, b"", SECOND_NS)
        assert (answer.status, json.loads(answer.body)["code"]) == (status, code)
    late = {name: "1" for name in ("kc-api-key", "kc-api-sign", "kc-api-timestamp", "kc-api-passphrase")}
    answer = venue.http("GET", "/api/v3/market/orderbook/level2", "symbol=BTC-USDT", late, b"", 60 * SECOND_NS)
    assert json.loads(answer.body)["code"] == "400002"


def test_the_dialect_wants_a_token_it_has_given():
    venue, _ = dialect()
    assert json.loads(venue.drain()[0][1]) == {
        "id": "mine", "type": "welcome", "pingInterval": 18000, "pingTimeout": 10000}
    venue.open(2, "/?token=stale&connectId=x", SECOND_NS)
    (_, refusal), (_, end) = venue.drain()
    assert json.loads(refusal) == {"id": "x", "type": "error", "code": 401, "data": "token is invalid"}
    assert isinstance(end, Close)
    [again] = session_for("kucoin", SessionSettings("test")).frame("market", refusal.encode(), 0)
    assert isinstance(again, Reconnect) and "token is invalid" in again.reason


def test_the_dialect_ends_a_connection_that_does_not_ping():
    venue, _ = dialect()
    venue.drain()
    venue.advance(SECOND_NS + 27 * SECOND_NS)
    assert not [sent for _, sent in venue.drain() if isinstance(sent, Close)]
    venue.advance(SECOND_NS + 28 * SECOND_NS)
    assert [number for number, sent in venue.drain() if isinstance(sent, Close)] == [1]


# -- the address that is asked for -------------------------------------------------------------------------------

def asking(port, secure=False, **settings):
    """A session that knows where REST is, and nothing else."""
    return session_for("kucoin", SessionSettings(
        "kucoin", rest=f"http{'s' if secure else ''}://{HOST}:{port}", symbols=tuple(SYMBOLS), **settings))


@pytest.mark.parametrize("secure", [True, False], ids=["wss", "ws"])
@pytest.mark.parametrize("kind", SERVERS)
def test_every_connection_is_opened_where_a_new_answer_says(kind, secure):
    with Authority() as authority:
        authority = authority if secure else None
        exchange = start_exchange("kucoin", Clock(), authority)
        venue = exchange.exchange
        try:
            with Run(kind, [asking(port_of(exchange, secure), secure)], authority) as run:
                run.wait_live()
                [token] = exchange.call(list, venue.tokens)
                assert all(token in path for path in paths(exchange))
                exchange.call(lambda: [venue.send(one, Close(1001, "maintenance"))
                                       for one in venue.connections.values()])
                run.wait_told("connection lost")
                run.wait_live(more=lambda: run.conversations[0].health.connects == 2)
                first, second = exchange.call(list, venue.tokens)
                assert all(second in path for path in paths(exchange))
                assert not [problem for problem in run.problems for token in (first, second) if token in problem]
        finally:
            exchange.stop()


def paths(exchange):
    """What the open connections of an exchange asked for."""
    found = exchange.call(lambda: [one.path for one in exchange.exchange.connections.values()])
    assert found
    return found


class Direct:
    """A session that knows only REST, on the direct server."""

    def __init__(self, **settings):
        self.problems = []
        self.venue = build(SimulatorSettings("kucoin", "kucoin", seed=1, origin_ns=START_NS))
        session = session_for("kucoin", SessionSettings(
            "kucoin", rest="http://kucoin", symbols=tuple(SYMBOLS), **settings))
        self.server = DirectServer({"kucoin": self.venue}, START_NS, self.problems.append)
        listings = session.listings(self.server.fetch_now("kucoin", session.metadata()))
        self.core = build_core([session], listings, borrows=False)
        [self.conversation] = conversations(self.core, [session], self.problems.append, self.server.hosts)
        self.server.start([self.conversation], [self.core.loops["kucoin"]])

    def run(self, milliseconds):
        self.server.run_until(self.server.now_ns + milliseconds * MILLISECOND_NS)

    @property
    def states(self):
        return list(self.conversation.health.books.values())

    def broken(self, body):
        """KuCoin answers so when it is asked for an address, until `mended`."""
        venue = self.venue

        def http(method, path, *rest):
            return Response(200, {}, body) if path == BULLET else type(venue).http(venue, method, path, *rest)
        venue.http = http

    def mended(self):
        del self.venue.http


def test_on_the_direct_server_it_is_pinged_as_often_as_it_wants():
    direct = Direct(credentials=CREDENTIALS)
    direct.run(60_000)
    assert direct.problems == [] and direct.states == ["LIVE", "LIVE"] and direct.conversation.ready
    assert (direct.conversation.health.connects, len(direct.venue.tokens)) == (1, 1)
    for index, symbol in enumerate(SYMBOLS):
        book = direct.core.loops["kucoin"].book(index)
        for side in (Side.BUY, Side.SELL):
            truth = direct.venue.source.books[symbol].levels(side, DEPTH)
            listing = direct.core.listings[index]
            instrument = direct.venue.instrument(symbol)
            assert [(listing.price_text(level["price"]), listing.quantity_text(level["quantity"]))
                    for level in book.levels(side)] == [
                (text(price, instrument.price_decimals), text(quantity, instrument.quantity_decimals))
                for price, quantity in truth]


def text(number, decimals):
    return f"{Decimal(number).scaleb(-decimals).normalize():f}"


@pytest.mark.parametrize(("body", "words"), [
    (b'{"code":"200000","data":{"token":"SECRET","instanceServers":[]}}', "the answer to token was not understood"),
    (b'{"code":"429000","msg":"Too Many Requests"}', "Too Many Requests (code 429000)")])
def test_an_address_that_is_not_told_is_asked_for_again(body, words):
    direct = Direct()
    direct.broken(body)
    direct.run(3_000)
    assert direct.states == [] and len(direct.problems) > 2
    assert all(words in problem and "SECRET" not in problem for problem in direct.problems)
    direct.mended()
    direct.run(5_000)
    assert direct.states == ["LIVE", "LIVE"]


def test_an_address_that_leads_nowhere_shows_no_token():
    direct = Direct(stream="ws://kucoin/nowhere")
    direct.run(1_000)
    assert direct.problems and all("/nowhere is not a websocket" in problem for problem in direct.problems)
    assert not [problem for problem in direct.problems for token in direct.venue.tokens if token in problem]


@pytest.mark.parametrize("kind", SERVERS)
def test_stopping_while_the_address_is_asked_for(kind):
    """What the answer says comes too late: nothing is opened any more."""
    asked, stopping = threading.Event(), threading.Event()
    with simulated("kucoin") as (exchange, _):
        venue = exchange.exchange

        def late(method, path, *rest):
            if path == BULLET:
                asked.set()
                assert stopping.wait(PATIENCE)
            return type(venue).http(venue, method, path, *rest)
        exchange.call(setattr, venue, "http", late)
        with Run(kind, [asking(exchange.ports.plain)]) as run:
            [conversation] = run.conversations
            stop = conversation.stop

            def stop_and_answer():
                stop()
                stopping.set()
            conversation.stop = stop_and_answer
            assert asked.wait(PATIENCE)
        assert run.problems == [] and conversation.health.connects == 0
        assert exchange.call(len, venue.connections) == 0


def test_no_token_is_shown():
    session = session_for("kucoin", SessionSettings("test"))
    body = json.dumps({"code": "200000", "data": {"token": "SE/CRET", "instanceServers": [
        {"endpoint": "wss://ws-api-spot.kucoin.com/", "pingInterval": 18000}]}}).encode()
    asked = session.prepare("market")
    assert asked.secret and (asked.method, asked.url) == ("POST", "https://api.kucoin.com/api/v1/bullet-public")
    [opening] = session.answer(asked, 200, body, 5)
    assert opening == Open("market", "wss://ws-api-spot.kucoin.com/?token=SE%2FCRET&connectId=5")
    [endpoint] = session.endpoints()
    assert endpoint.url == "" and "CRET" not in repr(opening)
    signed = session_for("kucoin", SessionSettings("test", credentials=CREDENTIALS))
    signed.start([0], [type("Listing", (), {"symbol": "A-B"})])
    assert "KC-API" not in repr(signed.need_snapshot(0, BookFault.GAP, 0))


def test_no_token_is_recorded(tmp_path, capsys):
    with simulated("kucoin") as (exchange, _):
        config = tmp_path / "record.toml"
        config.write_text(f'[exchanges.one]\nprotocol = "kucoin"\nsymbols = ["BTC-USDT"]\n'
                          f'rest = "http://{HOST}:{exchange.ports.plain}"\n')
        assert main(["record", str(config), "-o", str(tmp_path / "x.tsv.zst"), "--seconds", "2"]) == GOOD
        tokens = exchange.call(list, exchange.exchange.tokens)
    records = list(read_capture(tmp_path / "x.tsv.zst"))
    assert [record.payload for record in records if record.direction == "open"] == [
        f"ws://{HOST}:{exchange.ports.plain}/"]
    assert {"http", "tx", "rx"} < {record.direction for record in records}
    assert len(tokens) == 1 and not [record for record in records if tokens[0] in f"{record.channel}{record.payload}"]
    assert tokens[0] not in "".join(capsys.readouterr())


def test_a_recording_is_known_by_where_it_came_from(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("1\topen\tx wss://ws-api-spot.kucoin.com/\t\n")
    assert recognise(path) == "kucoin"


# -- books -------------------------------------------------------------------------------------------------------

def test_a_gap_is_stale_before_anyone_can_read(pair):
    assert pair.frame(update(102, 103, {1000: 0}, {})) == [changed(STALE, BookFault.GAP), need()]
    assert pair.shown() == [[], []] and pair.state(1) == (LIVE, BookFault.NO_FAULT)
    assert pair.frame(update(101, 101, {}, {1001: 1}, "C-D")) == []
    assert pair.shown(1)[1][0] == (1001, 1)
    assert pair.frame(update(104, 105, {1000: 7}, {})) == []
    assert pair.snapshot(snapshot(103, {999: 1000})) == [changed(LIVE)]
    assert pair.shown()[0] == [(1000, 7), (999, 1000)]
    assert pair.loop.counters(1)["snapshots"] == 1


def test_updates_that_the_book_knows_are_dropped(pair):
    assert pair.frame(update(99, 100, {1000: 1}, {})) == []
    assert pair.shown()[0][0] == (1000, 5000)
    assert pair.frame(update(101, 101, {1000: 2}, {})) == []
    assert pair.shown()[0][0] == (1000, 2) and pair.state() == (LIVE, BookFault.NO_FAULT)


def test_a_snapshot_inside_an_update_joins_it():
    feed = Feed("kucoin", ["A-B"])
    feed.open()
    assert feed.frame(update(95, 100, {1000: 7}, {1003: 1})) == [need()]
    assert feed.snapshot(snapshot(93)) == [need()]                      # too old: 94 is missing
    assert feed.snapshot(snapshot(97)) == [changed(LIVE)]
    assert feed.shown() == [[(1000, 7), (999, 1000)], [(1001, 4000), (1002, 2000), (1003, 1)]]


def test_a_change_that_cannot_be_seen_takes_a_sequence(pair):
    """Price 0: dropped, but the next update follows it."""
    one = update(101, 101, {}, {})
    one["data"]["changes"]["asks"] = [["0", "0", "101"]]
    assert pair.frame(one) == [] and pair.loop.counters(0)["levels_changed"] == 1
    assert pair.frame(update(102, 102, {1000: 0}, {})) == []
    assert pair.shown()[0] == [(999, 1000)] and pair.state() == (LIVE, BookFault.NO_FAULT)


# -- codec -------------------------------------------------------------------------------------------------------

def message_of(decoded, frame):
    status, out = decoded(frame)
    assert status == DecodeStatus.DECODED
    [message] = out.messages
    sides = [[tuple(level) for level in out.levels[message[f"{side}_begin"]:][:message[f"{side}_count"]].tolist()]
             for side in ("bids", "asks")]
    return message, sides


@pytest.mark.parametrize("order", [
    ("topic", "type", "subject", "data"), ("data", "subject", "topic", "type"), ("type", "data", "topic")])
@pytest.mark.parametrize("inside", [
    ("changes", "sequenceEnd", "sequenceStart", "symbol", "time"),
    ("sequenceStart", "symbol", "changes", "sequenceEnd")])
def test_an_update_in_every_order(decoded, order, inside):
    one = update(5, 9, BIDS, ASKS, "C-D")
    one["data"] = {name: one["data"][name] for name in inside}
    message, sides = message_of(decoded, {name: one[name] for name in order})
    assert (message["listing"], message["kind"], message["first_id"], message["last_id"], message["has_chain"]) == (
        1, MessageKind.UPDATE, 5, 9, 1)
    assert message["exchange_ns"] == (1729816425625 * MILLISECOND_NS if "time" in inside else 0)
    assert sides == [list(BIDS.items()), list(ASKS.items())]


def test_the_later_word_on_a_price_counts(decoded):
    """Changes are shown in the order of prices; those of one price in whatever order."""
    one = update(1, 9, {}, {})
    one["data"]["changes"]["asks"] = [
        ["10.01", "1", "7"], ["10.02", "3", "9"], ["10.02", "2", "4"], ["10.02", "4", "8"], ["10.03", "5", "5"],
        ["10.03", "6", "6"], ["0", "0", "3"]]
    _, (_, asks) = message_of(decoded, one)
    assert dict(asks) == {1001: 1000, 1002: 3000, 1003: 6000} and len(asks) == 4


def test_changes_of_any_spelling(decoded):
    """What the fast reader does not take, the slow one does: spaces, exponents, bare numbers, long sequences."""
    one = update(1, 2, {}, {})
    text = spelt(one).replace(
        '"asks":[]', '"asks":[["10.5","1","2"],[ "106e-1" , 2 , 1 ],["10.7","3","123456789012345678"],'
                     '["10.8","0.25","99999999",{}],["12345678.25","1","1234567890123456"]]')
    _, (_, asks) = message_of(decoded, text)
    assert asks == [(1050, 1000), (1060, 2000), (1070, 3000), (1080, 250), (1234567825, 1000)]
    for wrong, status in (
            ('["10.5","1"]', DecodeStatus.BAD_FIELD), ('["10.5"]', DecodeStatus.BAD_FIELD),
            ('[]', DecodeStatus.BAD_FIELD), ('["-10.5","1","2"]', DecodeStatus.NUMBER_RANGE),
            ('["10.5","-1","2"]', DecodeStatus.NUMBER_RANGE), ('["10.501","1","2"]', DecodeStatus.NUMBER_INEXACT),
            ('["10.5","1","x"]', DecodeStatus.BAD_NUMBER), ('["10.5","1",""]', DecodeStatus.BAD_NUMBER),
            ('["10.5","1","2" 3]', DecodeStatus.BAD_JSON)):
        status_found, out = decoded(text.replace('["10.5","1","2"]', wrong))
        assert (status_found, out.fault[0], len(out.messages)) == (status, 0, 0), wrong


@pytest.mark.parametrize("missing", ["changes", "sequenceEnd", "sequenceStart"])
def test_a_missing_key_is_a_fault(decoded, missing):
    one = update(5, 9, BIDS, ASKS)
    del one["data"][missing]
    status, out = decoded(one)
    assert (status, out.fault[0], len(out.messages)) == (DecodeStatus.BAD_FIELD, 0, 0)


@pytest.mark.parametrize("side", ["asks", "bids"])
def test_a_missing_side_is_a_fault(decoded, side):
    one = update(5, 9, BIDS, ASKS)
    del one["data"]["changes"][side]
    assert decoded(one)[0] == DecodeStatus.BAD_FIELD


@pytest.mark.parametrize("twice", [
    '"sequenceEnd":9', '"symbol":"A-B"', '"time":1729816425625', '"bids":[]', '"type":"message"',
    '"topic":"/market/level2:A-B"', '"data":{}', '"changes":{}'])
def test_a_key_that_comes_twice_is_refused(decoded, twice):
    name = twice.partition(":")[0]
    text = spelt(update(5, 9, {}, {})).replace(f"{name}:", f"{twice},{name}:")
    assert decoded(text)[0] == DecodeStatus.BAD_JSON


def test_topic_and_data_name_one_symbol(decoded):
    one = update(5, 9, BIDS, ASKS)
    assert decoded(one | {"topic": "/market/level2:C-D"})[0] == DecodeStatus.BAD_FIELD
    assert decoded(one | {"topic": "/market/level2:X-Y"})[0] == DecodeStatus.BAD_FIELD
    del one["data"]["symbol"]
    message, _ = message_of(decoded, one)
    assert message["listing"] == 0
    message, _ = message_of(decoded, {name: one[name] for name in ("data", "topic", "type")})
    assert message["listing"] == 0


def test_trades(decoded):
    bare = match(time=1729843222921000123, sequence=11067996711960577)
    for frame in (match(), dict(reversed(match().items())), bare):
        message, _ = message_of(decoded, frame)
        assert tuple(message[name] for name in (
            "listing", "kind", "side", "price", "quantity", "last_id", "exchange_ns")) == (
            0, MessageKind.TRADE, Side.BUY, 6752, 3, 11067996711960577, 1729843222921000123)
    assert message_of(decoded, match("C-D", side="sell"))[0]["side"] == Side.SELL
    for wrong, status in (({"side": "none"}, DecodeStatus.BAD_FIELD), ({"size": "0.0001"}, DecodeStatus.NUMBER_INEXACT),
                          ({"price": "-1"}, DecodeStatus.NUMBER_RANGE), ({"time": "-1"}, DecodeStatus.NUMBER_RANGE)):
        assert (decoded(match(**wrong))[0], decoded(match(**wrong))[1].fault[0]) == (status, 0)
    for missing in ("side", "price", "size", "time", "sequence"):
        one = match()
        del one["data"][missing]
        assert decoded(one)[0] == DecodeStatus.BAD_FIELD


def test_quotes(decoded):
    for frame in (ticker(), dict(reversed(ticker().items()))):
        message, sides = message_of(decoded, frame)
        assert tuple(message[name] for name in ("listing", "kind", "last_id", "exchange_ns")) == (
            0, MessageKind.QUOTE, 14691455768, 1729757723612 * MILLISECOND_NS)
        assert sides == [[(6721, 10)], [(6722, 1920)]]
    assert message_of(decoded, ticker(bestBid="0", bestBidSize="0"))[1] == [[], [(6722, 1920)]]
    assert message_of(decoded, ticker(bestAsk=None, bestAskSize=None))[1] == [[(6721, 10)], []]
    one = ticker()
    del one["data"]["bestAsk"]
    assert decoded(one)[0] == DecodeStatus.BAD_FIELD


@pytest.mark.parametrize("frame", [
    {"id": "ping", "type": "pong", "timestamp": 5}, update(1, 2, BIDS, ASKS, "X-Y"), match("X-Y"), ticker("X-Y"),
    dict(reversed(update(1, 2, BIDS, ASKS, "X-Y").items())), ticker("all"),
    {"topic": "/market/candles:A-B_1min", "type": "message", "data": {"symbol": "A-B", "candles": [], "time": 1}},
    {"data": {"symbol": "A-B", "candles": [], "time": 1}, "topic": "/market/candles:A-B_1min", "type": "message"},
    {"topic": "/market/snapshot:A-B", "type": "message", "data": {"sequence": "1", "data": {"symbol": "A-B"}}},
    {"topic": "/spotMarket/level1:A-B", "type": "message", "data": {"asks": ["1", "2"], "bids": [], "timestamp": 1}}])
def test_what_is_of_no_interest(decoded, frame):
    message, sides = message_of(decoded, frame)
    assert (message["kind"], message["listing"], sides) == (MessageKind.IGNORED, -1, [[], []])


@pytest.mark.parametrize(("frame", "status"), [
    ({}, DecodeStatus.UNKNOWN_MESSAGE), ({"type": "surprise"}, DecodeStatus.UNKNOWN_MESSAGE),
    ({"type": "message"}, DecodeStatus.BAD_FIELD), ({"type": "message", "topic": "/other:A-B", "data": {}},
                                                    DecodeStatus.UNKNOWN_MESSAGE),
    ({"type": "message", "topic": "/market/level2:A-B"}, DecodeStatus.BAD_FIELD),
    ({"type": "message", "topic": "/market/level2:A-B", "data": "x"}, DecodeStatus.BAD_FIELD),
    ({"type": "message", "topic": "/market/level2:" + "A" * 41, "data": {}}, DecodeStatus.BAD_SYMBOL)])
def test_what_is_refused(decoded, frame, status):
    found, out = decoded(frame)
    assert (found, len(out.messages)) == (status, 0)


@pytest.mark.parametrize("frame", [
    {"id": "hQvf8jkno", "type": "welcome"}, {"id": "1", "type": "ack"},
    {"id": "1", "type": "error", "code": 404, "data": "topic does not exist"}])
def test_what_the_session_hears(decoded, frame):
    assert message_of(decoded, frame)[0]["kind"] == MessageKind.SESSION


def test_a_snapshot_that_is_none_is_refused():
    codec = session_for("kucoin", SessionSettings("test", symbols=("A-B",))).market_codec(
        listing_table([(2, 3)]), {"A-B": 0})
    out = DecodeOutput()
    assert codec.decode_snapshot_body(0, spelt(snapshot(7)).encode(), out) == DecodeStatus.DECODED
    assert [(m["kind"], m["last_id"], m["exchange_ns"]) for m in out.messages] == [
        (MessageKind.SNAPSHOT, 7, 1729816425000 * MILLISECOND_NS)]
    for body in ('{"code":"400100","msg":"no"}', '{"data":null}', spelt(snapshot(7)).replace("bids", "bidz")):
        assert codec.decode_snapshot_body(0, body.encode(), out) == DecodeStatus.BAD_FIELD
        assert out.fault[0] == 0 and len(out.messages) == 0
    assert codec.decode_snapshot_body(1, spelt(snapshot(7)).encode(), out) == DecodeStatus.BAD_SYMBOL


# -- session -----------------------------------------------------------------------------------------------------

def recorded_answers(feeds):
    """(symbols, order books by symbol) of the capture."""
    books = {}
    with gzip.open(feeds / "captures/cf_kucoin_a.tsv.gz", "rt") as lines:
        for line in lines:
            _, direction, url, payload = line.rstrip("\n").split("\t")
            if direction == "http" and "symbol=" in url:
                books[f"book {url.partition('symbol=')[2]}"] = payload.encode()
            elif direction == "http":
                symbols = payload.encode()
    return symbols, books


def test_listings_of_recorded_symbols(feeds):
    """What an order rests with is finer than the lot, and what fills leave finer still."""
    symbols, books = recorded_answers(feeds)
    names = tuple(name.removeprefix("book ") for name in books)
    session = session_for("kucoin", SessionSettings("test", symbols=names))
    requests = session.metadata()
    assert [request.purpose for request in requests] == ["symbols", *books]
    assert [request.url for request in requests[:2]] == [
        "https://api.kucoin.com/api/v2/symbols",
        f"https://api.kucoin.com/api/v1/market/orderbook/level2_100?symbol={names[0]}"]
    listings = session.listings({"symbols": symbols} | books)
    renamed = next(listing for listing in listings if listing.symbol == "BCHSV-USDT")
    assert (renamed.instrument, renamed.base, renamed.quote, renamed.halted) == ("BSV-USDT", "BSV", "USDT", False)
    assert (renamed.tick, renamed.lot) == (Decimal("0.001"), Decimal("0.00000001"))
    assert (renamed.minimum_quantity, renamed.minimum_notional) == (Decimal("0.001"), Decimal("0.05"))
    assert renamed.maximum_quantity > 10**6 and renamed.quantity_decimals >= 11
    codec, out = session.market_codec(table(listings, ["test"]), {}), DecodeOutput(levels=1 << 14)
    for index, listing in enumerate(listings):
        assert codec.decode_snapshot_body(index, books[f"book {listing.symbol}"], out) == DecodeStatus.DECODED


def test_a_book_that_shows_nothing_still_has_a_scale():
    entry = {"symbol": "A-B", "baseCurrency": "A", "quoteCurrency": "B", "priceIncrement": "0.0000000001",
             "baseIncrement": "0.0001", "baseMaxSize": "10000000000"}
    [listing] = session_for("kucoin", SessionSettings("test", symbols=("A-B",))).listings(
        {"symbols": json.dumps({"code": "200000", "data": [entry]}).encode()})
    [row] = table([listing], ["test"])
    assert listing.price_decimals >= 10 and listing.quantity_decimals >= 4 and row["maximum_quantity"] > 0


def test_metadata_that_cannot_be_used_is_said():
    entry = {"symbol": "A-B", "baseCurrency": "A", "quoteCurrency": "B", "priceIncrement": "0.01",
             "baseIncrement": "0.001", "minFunds": "0.1", "quoteMinSize": "5", "enableTrading": False}
    body = {"symbols": json.dumps({"code": "200000", "data": [entry]}).encode()}
    [listing] = session_for("kucoin", SessionSettings("test", symbols=("A-B",))).listings(body)
    assert listing.halted and listing.minimum_notional == Decimal("0.1")
    with pytest.raises(SessionError, match="'X-Y' is not offered"):
        session_for("kucoin", SessionSettings("test", symbols=("X-Y",))).listings(body)
    with pytest.raises(SessionError, match="133 symbols a connection, `symbols` has 134"):
        session_for("kucoin", SessionSettings("test", symbols=("A-B",) * 134)).listings(body)
    with pytest.raises(SessionError, match=r"Too Many \(code 429000\)"):
        session_for("kucoin", SessionSettings("test")).listings({"symbols": b'{"code":"429000","msg":"Too Many"}'})
    with pytest.raises(SessionError, match="set trade = false"):
        session_for("kucoin", SessionSettings("test", trade=True)).order_codec(None, {})


def welcomed(*symbols, **settings):
    """A session that has been told where to connect to, and what it does when it is welcomed there."""
    session = session_for("kucoin", SessionSettings("test", symbols=symbols, **settings))
    body = {"code": "200000", "data": {"token": "t", "instanceServers": [{"endpoint": "wss://x/", "pingInterval": 5}]}}
    session.answer(session.prepare("market"), 200, json.dumps(body).encode(), 0)
    assert session.opened("market", 0) == []
    return session, session.frame("market", b'{"id":"5","type":"welcome"}', 0)


def test_what_the_session_says():
    symbols = tuple(f"A{number}-B" for number in range(130))
    session, (alive, *sent) = welcomed(*symbols)
    assert isinstance(alive, KeepAlive) and json.loads(alive.text) == {"id": "ping", "type": "ping"}
    assert alive.interval_ns == 5 * MILLISECOND_NS
    said = [json.loads(action.text) for action in sent]
    assert [one["topic"] for one in said] == [
        f"{topic}:{','.join(part)}" for topic in ("/market/level2", "/market/match", "/market/ticker")
        for part in (symbols[:100], symbols[100:])]
    assert {one["type"] for one in said} == {"subscribe"} and all(one["response"] for one in said)
    assert len({one["id"] for one in said}) == len(said)
    _, (_, *recorded) = welcomed("A-B", subscribe=("{}",))
    assert recorded == [Send("market", "{}")]


def test_a_resync_is_a_snapshot_and_after_silence_a_new_subscription():
    session, _ = welcomed("A-B")
    session.start([4], [type("Listing", (), {"symbol": "A-B"})])
    [fetch] = session.need_snapshot(4, BookFault.GAP, 0)
    assert isinstance(fetch, Fetch) and fetch.request.url == (
        "https://api.kucoin.com/api/v1/market/orderbook/level2_100?symbol=A-B")
    assert session.snapshot_symbol(fetch.request.url) == "A-B" and session.snapshot_symbol("https://x/?symbol=A") == ""
    leave, join, again = session.need_snapshot(4, BookFault.SILENT, 0)
    assert again == fetch and [json.loads(action.text)["type"] for action in (leave, join)] == [
        "unsubscribe", "subscribe"]
    assert {json.loads(action.text)["topic"] for action in (leave, join)} == {"/market/level2:A-B"}


def test_the_whole_book_is_asked_for_as_ccxt_signs_it():
    session, _ = welcomed("A-B", credentials=CREDENTIALS)
    session.start([4], [type("Listing", (), {"symbol": "A-B"})])
    [fetch] = session.need_snapshot(4, BookFault.GAP, 1729816425625 * MILLISECOND_NS)
    client = ccxt.kucoin({"apiKey": "key", "secret": "secret", "password": "passphrase"})
    client.nonce = lambda: 1729816425625
    signed = client.sign("market/orderbook/level2", ["private"], "GET", {"symbol": "A-B"})
    assert fetch.request.url == signed["url"] and fetch.request.headers
    assert dict(fetch.request.headers).items() <= signed["headers"].items()     # which also says that it is ccxt
    mac = hmac.new(b"secret", b"1729816425625GET/api/v3/market/orderbook/level2?symbol=A-B", hashlib.sha256)
    assert dict(fetch.request.headers)["KC-API-SIGN"] == base64.b64encode(mac.digest()).decode()


def test_answers_become_snapshots_or_problems():
    session = session_for("kucoin", SessionSettings("test"))
    request = Request("snapshot", "GET", "http://x/api/v1/market/orderbook/level2_100", listing=3)
    assert session.answer(request, 200, b"{}", 0) == [SnapshotBody(3, b"{}", 100)]
    [problem] = session.answer(request, 429, b"slow down", 0)
    assert isinstance(problem, Problem) and "429" in problem.message and "slow down" in problem.message


# -- ccxt --------------------------------------------------------------------------------------------------------

def client_of(module, port, **login):
    client = module.kucoin({"timeout": 10_000} | login)
    client.urls["api"] = pointed(client.urls["api"], port)
    return client


def test_ccxt_reads_markets_and_books():
    with simulated("kucoin") as (exchange, clock):
        client = client_of(ccxt, exchange.ports.plain)
        market = client.load_markets()["BTC/USDT"]
        assert (market["precision"]["price"], market["precision"]["amount"]) == (0.1, 1e-8)
        assert market["active"] and market["taker"] == 0.001 and market["limits"]["cost"]["min"] == 0.1
        clock.stop()
        truth = [[[float(number) for number in level] for level in side]
                 for side in true_books(exchange, ["BTC-USDT"], 20)["BTC-USDT"]]
        book = client.fetch_order_book("BTC/USDT", limit=20)
        assert [[level[:2] for level in book[side]] for side in ("bids", "asks")] == truth


def test_ccxt_reads_the_whole_book_with_a_key():
    with simulated("kucoin") as (exchange, clock):
        client = client_of(ccxt, exchange.ports.plain, apiKey="key", secret="secret", password="phrase")
        clock.stop()
        book = client.private_get_market_orderbook_level2({"symbol": "BTC-USDT"})["data"]
        assert [[tuple(map(Decimal, level)) for level in book[side]] for side in ("bids", "asks")] == (
            true_books(exchange, ["BTC-USDT"], DEPTH)["BTC-USDT"])


def test_ccxt_watches_books_trades_and_quotes():
    async def watch(exchange, clock, part):
        client = client_of(ccxt.pro, exchange.ports.plain)
        try:
            trades = await asyncio.wait_for(client.watch_trades("BTC/USDT"), 30)
            assert trades and all(trade["side"] in ("buy", "sell") and trade["amount"] > 0 for trade in trades)
            quote = (await asyncio.wait_for(client.watch_bids_asks(["BTC/USDT"]), 30))["BTC/USDT"]
            assert 0 < quote["bid"] < quote["ask"] and quote["bidVolume"] > 0 and quote["askVolume"] > 0
            await watched_until_true(client, "BTC/USDT", exchange, clock, "BTC-USDT", DEPTH,
                                     part=lambda sides: part("BTC-USDT", sides))
        finally:
            await client.close()

    with simulated("kucoin") as (exchange, clock):
        asyncio.run(watch(exchange, clock, known_parts(exchange)))
