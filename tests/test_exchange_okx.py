"""OKX v5: session, codec and dialect, and ccxt as a client that knows the real exchange."""
import asyncio
import gzip
import json
from decimal import Decimal

import ccxt
import ccxt.pro
import pytest

from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.types import BookFault, BookState, ChecksumRule, EventKind, MessageKind, Side
from orderflow.exchanges import session_for
from orderflow.exchanges.actions import Answered, KeepAlive, Problem, Ready, Reconnect, Send, Subscription
from orderflow.exchanges.session import SessionError, SessionSettings
from orderflow.instrument import table
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.launch import SimulatorSettings, build
from tests.against_dialect import books_equal, one_is_resynced, simulated, true_books, watched_until_true
from tests.codec_frames import listing_table
from tests.feed import Feed, levels

SYMBOLS = ["BTC-USDT", "ETH-USDT", "BTC-USD-SWAP"]
BIDS, ASKS = {1000: 5000, 999: 1000}, {1001: 4000, 1002: 2000}
TRADE_FIELDS = ("kind", "side", "price", "quantity", "last_id", "exchange_ns")
LIVE, STALE = BookState.LIVE, BookState.STALE


def frame(action, bids, asks, symbol="A-B", channel="books", **fields):
    """A book frame of prices with two and quantities with three decimals."""
    sides = {name: [[*level, "0", "1"] for level in levels(side)] for name, side in (("asks", asks), ("bids", bids))}
    return {"arg": {"channel": channel, "instId": symbol}, "action": action,
            "data": [sides | {"ts": "1652459225393"} | fields]}


def chained(previous, sequence):
    return {"checksum": 0, "seqId": sequence, "prevSeqId": previous}


def changed(state, fault=BookFault.NO_FAULT, listing=0):
    return EventKind.BOOK_CHANGED, listing, state, fault


@pytest.fixture
def pair():
    """Two LIVE books, chained at 100."""
    feed = Feed("okx", ["A-B", "C-D"])
    feed.open()
    for listing, symbol in enumerate(("A-B", "C-D")):
        assert feed.frame(frame("snapshot", BIDS, ASKS, symbol, **chained(-1, 100))) == [changed(LIVE, listing=listing)]
    return feed


@pytest.fixture
def decoded():
    """A function: frame -> (status, DecodeOutput)."""
    symbols = {"A-B": 0, "C-D": 1}
    session = session_for("okx", SessionSettings("test", symbols=tuple(symbols)))
    codec, out = session.market_codec(listing_table([(2, 3), (2, 3)]), symbols), DecodeOutput()

    def decode(text):
        return codec.decode_frame((text if isinstance(text, str) else json.dumps(text)).encode(), out), out
    return decode


# -- against the dialect -----------------------------------------------------------------------------------------

def test_books_equal_the_matching_engines():
    books_equal("okx", SYMBOLS, 400)


def test_a_lost_frame_resyncs_one_listing_alone():
    one_is_resynced("okx", SYMBOLS, Subscription("books", "BTC-USDT"), depth=400)


def dialect():
    """A simulated OKX without sockets, with one connection, and a function that says something and hears the answer."""
    venue = build(SimulatorSettings("okx", "okx", seed=1, origin_ns=SECOND_NS))
    venue.open(1, "/ws/v5/public", SECOND_NS)

    def say(text):
        venue.message(1, text if isinstance(text, str) else json.dumps(text), SECOND_NS)
        return [sent for _, sent in venue.drain()]
    return venue, say


def test_a_refused_subscription_is_a_clear_problem():
    _, say = dialect()
    session = session_for("okx", SessionSettings("test"))
    good, bad = {"channel": "trades", "instId": "BTC-USDT"}, {"channel": "books", "instId": "NO-SUCH"}
    error, ack = say({"op": "subscribe", "args": [bad, good]})
    problem, refused = session.frame("market", error.encode(), 0)
    assert refused == Answered("market", (Subscription("books", "NO-SUCH"),))
    assert isinstance(problem, Problem) and "NO-SUCH" in problem.message and "60018" in problem.message
    assert json.loads(ack)["arg"] == good and session.frame("market", ack.encode(), 0) == [
        Ready("market"), Answered("market", (Subscription("trades", "BTC-USDT"),))]


def test_the_dialect_answers_as_documented():
    venue, say = dialect()
    assert say("ping") == ["pong"]
    assert json.loads(say("{")[0])["code"] == "60012"
    book = {"channel": "books", "instId": "BTC-USDT"}
    ack, whole = map(json.loads, say({"id": "7", "op": "subscribe", "args": [book]}))
    assert (ack["event"], ack["arg"], ack["id"]) == ("subscribe", book, "7")
    assert whole["action"] == "snapshot" and whole["data"][0]["prevSeqId"] == -1 and whole["data"][0]["checksum"] == 0
    assert len(say({"op": "subscribe", "args": [book]})) == 1           # no second snapshot
    assert json.loads(say({"op": "unsubscribe", "args": [book]})[0])["event"] == "unsubscribe"
    assert venue.subscribers == {}


def test_the_dialect_says_that_nothing_changed():
    venue, say = dialect()
    whole = json.loads(say({"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]})[1])
    book = venue.source.books["BTC-USDT"]
    assert book.update_id == venue.views.get(Subscription("books", "BTC-USDT"), book, 400).update_id
    venue.publish_book(book, 61 * SECOND_NS)
    [(_, text)] = venue.drain()
    [data] = json.loads(text)["data"]
    assert data["asks"] == data["bids"] == []
    assert data["seqId"] == data["prevSeqId"] == whole["data"][0]["seqId"]


# -- books -------------------------------------------------------------------------------------------------------

def test_a_gap_is_stale_before_anyone_can_read(pair):
    said = pair.frame(frame("update", {1000: 0}, {}, **chained(101, 102)))
    assert said == [changed(STALE, BookFault.GAP), (EventKind.SNAPSHOT_NEEDED, 0)]
    assert pair.shown() == [[], []] and pair.state(1) == (LIVE, BookFault.NO_FAULT)
    assert pair.frame(frame("update", {}, {}, "C-D", **chained(100, 101))) == []
    assert pair.frame(frame("update", {1000: 7}, {}, **chained(102, 103))) == []    # of the subscription that was left
    assert pair.frame(frame("snapshot", {998: 1}, ASKS, **chained(-1, 110))) == [changed(LIVE)]
    assert pair.shown()[0] == [(998, 1)]
    assert pair.loop.counters(1)["snapshots"] == 1


def test_a_reset_of_the_numbers_is_followed(pair):
    """Maintenance: seqId goes down, prevSeqId is still that of the frame before."""
    assert pair.frame(frame("update", {1000: 7}, {}, **chained(100, 3))) == []
    assert pair.frame(frame("update", {1000: 8}, {}, **chained(3, 4))) == []
    assert pair.state() == (LIVE, BookFault.NO_FAULT) and pair.shown()[0][0] == (1000, 8)
    assert pair.frame(frame("update", {1000: 9}, {}, **chained(5, 6)))[0] == changed(STALE, BookFault.GAP)


def test_a_keep_alive_changes_nothing(pair):
    before = pair.loop.counters(0)["updates_applied"]
    assert pair.frame(frame("update", {}, {}, **chained(100, 100))) == []
    assert pair.state()[0] == LIVE and pair.loop.counters(0)["updates_applied"] == before
    assert pair.frame(frame("update", {1000: 1}, {}, **chained(100, 101))) == []
    assert pair.shown()[0][0] == (1000, 1)


def test_a_wrong_checksum_is_stale_where_there_is_one():
    feed = Feed("okx", ["A-B"])
    feed.open()
    assert feed.frame(frame("snapshot", {1000: 5000}, {1001: 4000}, checksum=-1130393407))[0][2:] == (
        STALE, BookFault.CHECKSUM)
    assert feed.shown() == [[], []]


def test_recorded_books_with_a_wound_are_found_out_by_their_checksum(feeds):
    """One level of one update is left out."""
    with gzip.open(feeds / "captures/cf_okx_a.tsv.gz", "rt") as lines:
        frames = [json.loads(line.split("\t")[3]) for line in lines if '"action":' in line and "BTC-USD-220527" in line]
    feed = Feed("okx", ["BTC-USD-220527"])
    feed.open()
    for number, one in enumerate(frames[:20]):
        if number == 12:
            assert feed.state()[0] == LIVE
            one["data"][0]["bids" if one["data"][0]["bids"] else "asks"].pop(0)
        feed.frame(one)
    assert feed.state() == (STALE, BookFault.CHECKSUM)
    assert feed.loop.counters(0)["checksums_failed"] == 1


# -- codec -------------------------------------------------------------------------------------------------------

def test_signed_checksums_and_none(decoded):
    for sent, rule in ((-855196043, ChecksumRule.OKX_CHECKSUM), (2**31 - 1, ChecksumRule.OKX_CHECKSUM),
                       (0, ChecksumRule.NO_CHECKSUM)):
        status, out = decoded(frame("update", BIDS, {}, checksum=sent))
        assert status == DecodeStatus.DECODED
        assert (out.messages[0]["checksum"], out.messages[0]["checksum_rule"]) == (sent % 2**32, rule)
    assert decoded(frame("update", BIDS, {}, checksum=2**31))[0] == DecodeStatus.BAD_FIELD


def test_levels_of_any_spelling(decoded):
    """What the fast reader does not take, the slow one does: other third fields, none, exponents, spaces."""
    text = ('{"arg":{"channel":"books","instId":"A-B"},"action":"update","data":[{"asks":[["10.5","1","0","2"],'
            '["10.6","2"],["107e-1","3","1","2"], ["10.8","0.25","0","12"],["10.9","1","0","x"]],"bids":[]}]}')
    status, out = decoded(text)
    assert status == DecodeStatus.DECODED
    assert out.levels[:5].tolist() == [(1050, 1000), (1060, 2000), (1070, 3000), (1080, 250), (1090, 1000)]


def test_data_before_what_it_depends_on(decoded):
    entry = json.dumps(frame("update", BIDS, ASKS, **chained(1, 2))["data"])
    head = '"action":"update","arg":{"instId":"C-D","channel":"books"}'
    status, out = decoded(f'{{"data":{entry},{head}}}')
    assert status == DecodeStatus.DECODED
    [message] = out.messages
    assert (message["listing"], message["kind"], message["previous_id"]) == (1, MessageKind.UPDATE, 1)
    assert decoded(f'{{"data":{entry.replace("9.99", "9.991")},{head}}}')[0] == DecodeStatus.NUMBER_INEXACT
    assert out.fault[0] == 1


@pytest.mark.parametrize(("text", "status", "listing"), [
    (frame("update", {}, {}, seqId=5), DecodeStatus.BAD_FIELD, 0),
    (frame("replace", {}, {}), DecodeStatus.UNKNOWN_MESSAGE, 0),
    (frame("update", {}, {}, channel="levels"), DecodeStatus.UNKNOWN_MESSAGE, 0),
    ({"arg": {"channel": "books", "instId": "C-D"}, "data": []}, DecodeStatus.BAD_FIELD, 1),
    ({"arg": {"channel": "books"}, "action": "update", "data": []}, DecodeStatus.BAD_FIELD, -1),
    ({"arg": {"channel": "books", "instId": "A-B"}, "action": "update"}, DecodeStatus.BAD_FIELD, 0),
    ({"data": []}, DecodeStatus.UNKNOWN_MESSAGE, -1),
    ('{"arg":{"channel":"books","instId":"A-B","instId":"C-D"}}', DecodeStatus.BAD_JSON, 0),
    ("pong!", DecodeStatus.BAD_JSON, -1),
])
def test_what_is_refused_names_its_listing(decoded, text, status, listing):
    found, out = decoded(text)
    assert (found, out.fault[0], len(out.messages)) == (status, listing, 0)


@pytest.mark.parametrize("text", [
    "pong", frame("snapshot", BIDS, ASKS, "OTHER"), frame("x", {}, {}, channel="tickers"),
    frame("x", {}, {}, channel="bbo-tbt"), frame("x", {}, {}, channel="candle1m")])
def test_what_is_of_no_interest(decoded, text):
    status, out = decoded(text)
    assert status == DecodeStatus.DECODED and [m["kind"] for m in out.messages] == [MessageKind.IGNORED]


def test_trades(decoded):
    data = [{"instId": "A-B", "tradeId": "130639474", "px": "42.5", "sz": "0.12", "side": side, "ts": "1630048897897",
             "count": "3"} for side in ("buy", "sell")]
    status, out = decoded({"arg": {"channel": "trades", "instId": "A-B"}, "data": data})
    assert status == DecodeStatus.DECODED
    assert [tuple(m[name] for name in TRADE_FIELDS) for m in out.messages] == [
        (MessageKind.TRADE, side, 4250, 120, 130639474, 1630048897897 * 10**6) for side in (Side.BUY, Side.SELL)]
    del data[1]["side"]
    assert decoded({"arg": {"channel": "trades", "instId": "A-B"}, "data": data})[0] == DecodeStatus.BAD_FIELD


# -- session -----------------------------------------------------------------------------------------------------

def recorded_instruments(feeds):
    """The recorded answers, by type."""
    bodies = {}
    with gzip.open(feeds / "captures/cf_okx_a.tsv.gz", "rt") as lines:
        for line in lines:
            _, direction, url, payload = line.rstrip("\n").split("\t")
            if direction == "http" and "uly" not in url:
                bodies.setdefault(f"instruments {url.partition('instType=')[2]}", payload.encode())
    return bodies


def test_listings_of_recorded_instruments(feeds):
    symbols = ("BTC-USDT", "BTC-USD-220527", "BTC-USD-SWAP", "BTC-USDT-SWAP")
    session = session_for("okx", SessionSettings("test", symbols=symbols))
    bodies = recorded_instruments(feeds)
    assert [request.url for request in session.metadata()] == [
        f"https://www.okx.com/api/v5/public/instruments?instType={kind}" for kind in ("SPOT", "FUTURES", "SWAP")]
    assert {request.purpose for request in session.metadata()} == set(bodies)
    spot, dated, inverse, linear = session.listings(bodies)
    assert (spot.instrument, spot.base, spot.quote) == ("BTC-USDT", "BTC", "USDT")
    assert (spot.tick, spot.lot, spot.minimum_quantity) == (Decimal("0.1"), Decimal("1e-8"), Decimal("0.00001"))
    assert spot.price_decimals >= 1 and spot.quantity_decimals >= 8 and not spot.halted
    assert (dated.instrument, dated.tick, dated.lot, dated.minimum_quantity) == (
        "BTC-USD-220527-100USD", Decimal("0.1"), 1, 1)
    assert inverse.instrument == "BTC-USD-PERPETUAL-100USD"
    assert linear.instrument == "BTC-USDT-PERPETUAL-0.01BTC" and (linear.base, linear.quote) == ("BTC", "USDT")


def instrument(**fields):
    return {"instType": "SWAP", "instId": "A-B-SWAP", "tickSz": "0.1", "lotSz": "1", "minSz": "1", "maxLmtSz": "1000",
            "ctVal": "1", "ctMult": "1", "ctValCcy": "A", "state": "live"} | fields


def listed(*entries, **answer):
    session = session_for("okx", SessionSettings("test", symbols=("A-B-SWAP",)))
    body = json.dumps({"code": "0", "msg": "", "data": entries} | answer)
    return session.listings({"instruments SWAP": body.encode()})


def test_a_suspended_instrument_is_halted_and_a_contract_of_one_unit_is_called_like_others():
    [listing] = listed(instrument(state="suspend"))
    assert listing.halted and listing.instrument == "A-B-PERPETUAL" and listing.maximum_quantity == 1000
    [listing] = listed(instrument(ctVal="0.1", ctMult="10"))
    assert not listing.halted and listing.instrument == "A-B-PERPETUAL"


@pytest.mark.parametrize(("tick", "lot", "largest"), [
    ("0.000000000001", "1", "999999999999999"), ("0.1", "0.00000001", "9999999999999"), ("0.0001", "0.1", "")])
def test_extreme_steps_keep_their_digits(tick, lot, largest):
    [listing] = listed(instrument(tickSz=tick, lotSz=lot, minSz=lot, maxLmtSz=largest))
    [row] = table([listing], ["test"])
    assert Decimal(int(row["tick"])).scaleb(-listing.price_decimals) == Decimal(tick)
    assert Decimal(int(row["lot"])).scaleb(-listing.quantity_decimals) == Decimal(lot)
    assert 0 < listing.maximum_quantity <= Decimal(largest or 10**10)


@pytest.mark.parametrize(("wanted", "taken"), [(60, 75), (90, 90), (0, 0)])
def test_a_book_may_be_silent_for_as_long_as_okx_lets_it(wanted, taken):
    """OKX speaks of an unchanged book about once a minute; 0 is for ever."""
    session = session_for("okx", SessionSettings("test", silence_ns=wanted * SECOND_NS))
    assert session.settings.silence_ns == taken * SECOND_NS


def test_metadata_that_cannot_be_used_is_said():
    with pytest.raises(SessionError, match="'A-B-SWAP' is not offered"):
        listed()
    with pytest.raises(SessionError, match="instruments SWAP were refused: Too Many Requests"):
        listed(code="50011", msg="Too Many Requests")
    option = session_for("okx", SessionSettings("test", symbols=("BTC-USD-220527-30000-C",)))
    assert option.metadata() == []
    with pytest.raises(SessionError, match="is an option"):
        option.listings({})
    with pytest.raises(SessionError, match="set trade = false"):
        session_for("okx", SessionSettings("test", trade=True)).order_codec(None, {})


def test_what_the_session_says():
    session = session_for("okx", SessionSettings("test", symbols=("BTC-USDT",)))
    assert [endpoint.url for endpoint in session.endpoints()] == ["wss://ws.okx.com:8443/ws/v5/public"]
    alive, subscribe = session.opened("market", 0)
    assert isinstance(alive, KeepAlive) and alive.text == "ping" and alive.interval_ns < 30 * SECOND_NS
    assert json.loads(subscribe.text) == {"op": "subscribe", "args": [
        {"channel": "books", "instId": "BTC-USDT"}, {"channel": "trades", "instId": "BTC-USDT"}]}
    session.start([4], [type("Listing", (), {"symbol": "BTC-USDT"})])
    resync = session.need_snapshot(4, BookFault.GAP, 0)
    assert all(isinstance(action, Send) and action.connection == "market" for action in resync)
    assert [json.loads(action.text) for action in resync] == [
        {"op": method, "args": [{"channel": "books", "instId": "BTC-USDT"}]} for method in ("unsubscribe", "subscribe")]


def test_what_the_session_hears():
    session = session_for("okx", SessionSettings("test"))
    notice = {"event": "notice", "code": "64008", "msg": "The connection will soon be closed for a service upgrade.",
              "connId": "a4d3ae55"}
    [again] = session.frame("market", json.dumps(notice).encode(), 0)
    assert isinstance(again, Reconnect) and "upgrade" in again.reason
    assert session.frame("market", b'{"event":"unsubscribe","arg":{"channel":"books","instId":"A"}}', 0) == []


# -- ccxt --------------------------------------------------------------------------------------------------------

def pointed(client, port):
    """The client with its base URLs replaced, and nothing else."""
    client.urls["api"]["rest"] = f"http://127.0.0.1:{port}"
    client.urls["api"]["ws"] = f"ws://127.0.0.1:{port}/ws/v5"
    return client


def test_ccxt_reads_markets_and_books():
    with simulated("okx") as (exchange, clock):
        client = pointed(ccxt.okx({"timeout": 10_000}), exchange.ports.plain)
        markets = client.load_markets()
        assert markets["BTC/USD:BTC"]["inverse"] and markets["BTC/USD:BTC"]["contractSize"] == 100
        assert markets["BTC/USDT"]["precision"] == {"amount": 1e-8, "price": 0.1}
        clock.stop()
        client.fetch_order_book("BTC/USDT", limit=20)       # the market catches up with the stopped clock
        book = client.fetch_order_book("BTC/USDT", limit=20)
        bids, asks = true_books(exchange, ["BTC-USDT"], 20)["BTC-USDT"]
        assert [level[:2] for level in book["bids"]] == [[float(number) for number in level] for level in bids]
        assert [level[:2] for level in book["asks"]] == [[float(number) for number in level] for level in asks]


def test_ccxt_watches_books_and_trades():
    async def watch(exchange, clock):
        client = pointed(ccxt.pro.okx({"options": {"watchOrderBook": {"checksum": True}}}), exchange.ports.plain)
        try:
            trades = await asyncio.wait_for(client.watch_trades("BTC/USDT"), 30)
            assert trades and all(trade["side"] in ("buy", "sell") and trade["amount"] > 0 for trade in trades)
            book = await watched_until_true(client, "BTC/USDT", exchange, clock, "BTC-USDT", 400)
            assert book["nonce"] == exchange.call(
                lambda: exchange.exchange.sequence[Subscription("books", "BTC-USDT")])
        finally:
            await client.close()

    with simulated("okx") as (exchange, clock):
        asyncio.run(watch(exchange, clock))
