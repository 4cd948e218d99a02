"""Bybit v5: session, codec and dialect, and ccxt as a client that knows the real exchange."""
import asyncio
import json
from decimal import Decimal

import ccxt
import ccxt.pro
import pytest

from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.types import BookFault, BookState, EventKind, MessageKind, Side
from orderflow.exchanges import session_for
from orderflow.exchanges.actions import Answered, KeepAlive, Problem, Ready, Send, Subscription
from orderflow.exchanges.session import SessionError, SessionSettings
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.launch import SimulatorSettings, build
from tests.against_dialect import books_equal, one_is_resynced, simulated, true_books, watched_until_true
from tests.codec_frames import listing_table
from tests.feed import Feed, levels

SYMBOLS = ["BTCUSDT", "ETHUSDT"]
BIDS, ASKS = {1000: 5000, 999: 1000}, {1001: 4000, 1002: 2000}
TRADE_FIELDS = ("kind", "side", "price", "quantity", "last_id", "exchange_ns")
LIVE, STALE = BookState.LIVE, BookState.STALE


def frame(kind, update_id, bids, asks, symbol="AB", depth="200", **fields):
    """A book frame of prices with two and quantities with three decimals."""
    return {"topic": f"orderbook.{depth}.{symbol}", "type": kind, "ts": 1672304484978, "data": {
        "s": symbol, "b": levels(bids), "a": levels(asks), "u": update_id, "seq": 7961638724},
        "cts": 1672304484976} | fields


def changed(state, fault=BookFault.NO_FAULT, listing=0):
    return EventKind.BOOK_CHANGED, listing, state, fault


@pytest.fixture
def pair():
    """Two LIVE books at 100."""
    feed = Feed("bybit_v5", ["AB", "CD"])
    feed.open()
    for listing, symbol in enumerate(("AB", "CD")):
        assert feed.frame(frame("snapshot", 100, BIDS, ASKS, symbol)) == [changed(LIVE, listing=listing)]
    return feed


@pytest.fixture
def decoded():
    """A function: frame -> (status, DecodeOutput)."""
    symbols = {"AB": 0, "CD": 1}
    session = session_for("bybit_v5", SessionSettings("test", symbols=tuple(symbols)))
    codec, out = session.market_codec(listing_table([(2, 3), (2, 3)]), symbols), DecodeOutput()

    def decode(text):
        return codec.decode_frame((text if isinstance(text, str) else json.dumps(text)).encode(), out), out
    return decode


# -- against the dialect -----------------------------------------------------------------------------------------

@pytest.mark.parametrize(("path", "depth"), [("", 0), ("/v5/public/linear", 50)])
def test_books_equal_the_matching_engines(path, depth):
    """A base URL is spot; the URL of a category is that one."""
    books_equal("bybit_v5", SYMBOLS, depth or 200, path, depth=depth)


def test_a_lost_frame_resyncs_one_listing_alone():
    one_is_resynced("bybit_v5", SYMBOLS, "orderbook.200.BTCUSDT", depth=200)


def dialect(category="spot"):
    """A simulated Bybit without sockets, with one connection, and a function that says something and hears the answer.
    """
    venue = build(SimulatorSettings("bybit_v5", "bybit_v5", seed=1, origin_ns=SECOND_NS))
    venue.open(1, f"/v5/public/{category}", SECOND_NS)

    def say(text):
        venue.message(1, text if isinstance(text, str) else json.dumps(text), SECOND_NS)
        return [sent for _, sent in venue.drain()]
    return venue, say


@pytest.mark.parametrize(("category", "topic"), [("spot", "orderbook.200.NOSUCH"), ("inverse", "orderbook.50.BTCUSDT")])
def test_a_refused_subscription_is_a_clear_problem(category, topic):
    venue, say = dialect(category)
    session = session_for("bybit_v5", SessionSettings("test"))
    [error] = say({"req_id": "NOSUCH", "op": "subscribe", "args": [topic]})
    assert session.frame("market", error.encode(), 0) == [
        Problem(f"subscribe of NOSUCH was refused: Invalid symbol :[{topic}]"),
        Answered("market", (Subscription("orderbook.200", "NOSUCH"), Subscription("publicTrade", "NOSUCH")))]
    assert venue.subscribers == {}


def test_the_dialect_answers_as_documented():
    venue, say = dialect()
    session = session_for("bybit_v5", SessionSettings("test"))
    [pong] = map(json.loads, say('{"req_id":"9","op":"ping"}'))
    assert pong == {"success": True, "ret_msg": "pong", "conn_id": pong["conn_id"], "req_id": "9", "op": "ping"}
    topics = ["orderbook.50.BTCUSDT", "publicTrade.BTCUSDT", "orderbook.1.BTCUSDT"]
    ack, book, touch = say({"op": "subscribe", "args": topics})
    assert session.frame("market", ack.encode(), 0) == [Ready("market")]
    assert json.loads(book)["type"] == json.loads(touch)["type"] == "snapshot"
    assert "already subscribed" in say({"op": "subscribe", "args": topics[:1]})[0]
    assert "args size >10" in say({"op": "subscribe", "args": topics * 4})[0]
    assert "handler not found" in say({"op": "subscribe", "args": ["orderbook.500.BTCUSDT"]})[0]
    assert json.loads(say("{")[0])["success"] is False
    assert json.loads(say({"op": "unsubscribe", "args": topics})[0])["op"] == "unsubscribe"
    assert venue.subscribers == {}


def test_the_dialect_repeats_one_level_with_the_same_number():
    venue, say = dialect()
    first = json.loads(say({"op": "subscribe", "args": ["orderbook.1.BTCUSDT"]})[1])
    venue.publish_book(venue.source.books["BTCUSDT"], 4 * SECOND_NS)
    [(_, text)] = venue.drain()
    assert json.loads(text)["type"] == "snapshot" and json.loads(text)["data"]["u"] == first["data"]["u"]


# -- books -------------------------------------------------------------------------------------------------------

def test_a_gap_is_stale_before_anyone_can_read(pair):
    said = pair.frame(frame("delta", 102, {1000: 0}, {}))
    assert said == [changed(STALE, BookFault.GAP), (EventKind.SNAPSHOT_NEEDED, 0)]
    assert pair.shown() == [[], []] and pair.state(1) == (LIVE, BookFault.NO_FAULT)
    assert pair.frame(frame("delta", 101, {}, {}, "CD")) == []
    assert pair.frame(frame("delta", 103, {1000: 7}, {})) == []         # of the subscription that was left
    assert pair.frame(frame("snapshot", 110, {998: 1}, ASKS)) == [changed(LIVE)]
    assert pair.frame(frame("delta", 111, {997: 2}, {})) == []
    assert pair.shown()[0] == [(998, 1), (997, 2)]
    assert pair.loop.counters(1)["snapshots"] == 1


def test_a_service_that_began_anew_sends_the_whole_book(pair):
    """`u` of 1, whatever the type says."""
    assert pair.frame(frame("delta", 1, {998: 1}, ASKS)) == [changed(LIVE)]
    assert pair.state()[0] == LIVE and pair.shown()[0] == [(998, 1)]
    assert pair.frame(frame("delta", 2, {997: 2}, {})) == []
    assert pair.shown()[0] == [(998, 1), (997, 2)]


def test_an_unasked_snapshot_replaces_the_book(pair):
    assert pair.frame(frame("snapshot", 90, {998: 1}, ASKS)) == [changed(LIVE)]
    assert pair.shown()[0] == [(998, 1)] and pair.state()[0] == LIVE


def test_one_level_is_no_book(pair):
    assert pair.frame(frame("snapshot", 500, {1000: 1}, {}, depth="1")) == []
    assert pair.shown() == [list(BIDS.items()), list(ASKS.items())]


# -- codec -------------------------------------------------------------------------------------------------------

def test_the_time_is_the_matching_engines_where_it_is_given(decoded):
    _, out = decoded(frame("delta", 5, BIDS, {}))
    assert out.messages[0]["exchange_ns"] == 1672304484976 * 10**6
    plain = frame("delta", 5, BIDS, {})
    del plain["cts"]
    _, out = decoded(plain)
    assert out.messages[0]["exchange_ns"] == 1672304484978 * 10**6


def test_data_before_topic_and_type(decoded):
    entry = json.dumps(frame("delta", 5, BIDS, ASKS)["data"])
    head = '"type":"delta","topic":"orderbook.50.CD","ts":7'
    status, out = decoded(f'{{"data":{entry},{head}}}')
    assert status == DecodeStatus.DECODED
    [message] = out.messages
    assert [message[name] for name in ("listing", "kind", "last_id", "previous_id", "exchange_ns")] == [
        1, MessageKind.UPDATE, 5, 4, 7 * 10**6]
    assert decoded(f'{{"data":{entry.replace("9.99", "9.991")},{head}}}')[0] == DecodeStatus.NUMBER_INEXACT
    assert out.fault[0] == 1


@pytest.mark.parametrize(("text", "status", "listing"), [
    (frame("replace", 5, {}, {}), DecodeStatus.UNKNOWN_MESSAGE, 0),
    (frame("delta", 5, {}, {}, topic="orders.AB"), DecodeStatus.UNKNOWN_MESSAGE, -1),
    (frame("delta", 5, {}, {}, depth="050"), DecodeStatus.UNKNOWN_MESSAGE, -1),
    (frame("delta", 5, {}, {}, topic="orderbook.50." + "X" * 90), DecodeStatus.UNKNOWN_MESSAGE, -1),
    ({"topic": "orderbook.50.CD", "type": "delta", "data": {"b": [], "a": []}}, DecodeStatus.BAD_FIELD, 1),
    ({"topic": "orderbook.50.CD", "data": {"b": [], "a": [], "u": 1}}, DecodeStatus.BAD_FIELD, 1),
    ({"topic": "orderbook.50.CD", "type": "delta"}, DecodeStatus.BAD_FIELD, 1),
    ({"data": []}, DecodeStatus.UNKNOWN_MESSAGE, -1),
    ('{"topic":"orderbook.50.AB","topic":"orderbook.50.CD"}', DecodeStatus.BAD_JSON, 0),
    ('{"topic":"orderbook.50.AB","type":"delta","data":{"u":1,"u":2,"a":[],"b":[]}}', DecodeStatus.BAD_JSON, 0),
    ('{"topic":"orderbook.50.AB","type":"delta","data":{"b":[["-1","1"]],"a":[],"u":2}}', DecodeStatus.NUMBER_RANGE, 0),
])
def test_what_is_refused_names_its_listing(decoded, text, status, listing):
    found, out = decoded(text)
    assert (found, out.fault[0], len(out.messages)) == (status, listing, 0)


@pytest.mark.parametrize(("text", "kind"), [
    (frame("snapshot", 5, BIDS, ASKS, "OTHER"), MessageKind.IGNORED),
    (frame("delta", 5, BIDS, ASKS, depth="full"), MessageKind.IGNORED),
    (frame("snapshot", 5, {}, {}, topic="tickers.AB"), MessageKind.IGNORED),
    ({"success": True, "ret_msg": "pong", "conn_id": "x", "req_id": "", "op": "ping"}, MessageKind.IGNORED),
    ({"op": "pong", "args": ["1672304484978"]}, MessageKind.IGNORED),
    ({"success": True, "ret_msg": "subscribe", "conn_id": "x", "op": "subscribe"}, MessageKind.SESSION),
    ({"retCode": 10001, "retMsg": "no"}, MessageKind.SESSION),
])
def test_what_is_no_market_data(decoded, text, kind):
    status, out = decoded(text)
    assert status == DecodeStatus.DECODED and [m["kind"] for m in out.messages] == [kind]


def test_trades(decoded):
    """The id is a number on spot and a UUID elsewhere."""
    data = [{"T": 1672304486865, "s": "AB", "S": side, "v": "0.001", "p": "165.5", "L": "PlusTick", "i": name,
             "BT": False, "seq": 1783284617}
            for side, name in (("Buy", "20f43950-d8dd-5b31-9112-a178eb6023af"), ("Sell", "2290000000067031134"))]
    status, out = decoded({"topic": "publicTrade.AB", "type": "snapshot", "ts": 1672304486868, "data": data})
    assert status == DecodeStatus.DECODED
    assert [tuple(m[name] for name in TRADE_FIELDS) for m in out.messages] == [
        (MessageKind.TRADE, side, 16550, 1, number, 1672304486865 * 10**6)
        for side, number in ((Side.BUY, 0), (Side.SELL, 2290000000067031134))]
    del data[1]["S"]
    assert decoded({"topic": "publicTrade.AB", "data": data})[0] == DecodeStatus.BAD_FIELD


# -- session -----------------------------------------------------------------------------------------------------

SPOT = {"symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "status": "Trading", "marginTrading": "utaOnly",
        "lotSizeFilter": {"basePrecision": "0.000001", "quotePrecision": "0.0000001", "minOrderQty": "0.000011",
                          "maxOrderQty": "83", "minOrderAmt": "5", "maxOrderAmt": "8000000"},
        "priceFilter": {"tickSize": "0.1"}}
CONTRACT = {"symbol": "BTCUSDT", "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": "BTC",
            "quoteCoin": "USDT", "settleCoin": "USDT", "priceScale": "2",
            "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
            "lotSizeFilter": {"maxOrderQty": "1190.000", "minOrderQty": "0.001", "qtyStep": "0.001",
                              "minNotionalValue": "5"}}


def listed(category, entry):
    symbol = entry["symbol"]
    settings = SessionSettings("test", stream=f"wss://x/v5/public/{category}", symbols=(symbol,))
    session = session_for("bybit_v5", settings)
    answer = {"retCode": 0, "retMsg": "OK", "result": {"category": category, "list": [entry]}}
    [listing] = session.listings({f"instrument {symbol}": json.dumps(answer).encode()})
    return listing


def test_listings_of_documented_instruments():
    spot = listed("spot", SPOT)
    assert (spot.instrument, spot.base, spot.quote, spot.halted) == ("BTC-USDT", "BTC", "USDT", False)
    assert (spot.tick, spot.lot, spot.minimum_quantity, spot.maximum_quantity, spot.minimum_notional) == (
        Decimal("0.1"), Decimal("0.000001"), Decimal("0.000011"), 83, 5)
    linear = listed("linear", CONTRACT)
    assert (linear.instrument, linear.tick, linear.lot, linear.minimum_notional) == (
        "BTC-USDT-PERPETUAL", Decimal("0.1"), Decimal("0.001"), 5)
    assert listed("linear", CONTRACT | {"status": "PreLaunch"}).halted
    dated = listed("linear", CONTRACT | {"symbol": "BTCUSDT-26DEC25", "contractType": "LinearFutures",
                                         "deliveryTime": "1766736000000"})
    assert dated.instrument == "BTC-USDT-251226"
    inverse = CONTRACT | {"symbol": "BTCUSD", "quoteCoin": "USD", "contractType": "InversePerpetual"}
    assert listed("inverse", inverse).instrument == "BTC-USD-PERPETUAL-1USD"


def test_a_symbol_that_is_not_offered_is_named():
    session = session_for("bybit_v5", SessionSettings("test", symbols=("NOSUCH",)))
    answer = {"retCode": 10001, "retMsg": "Not supported symbols", "result": {}}
    with pytest.raises(SessionError, match="'NOSUCH' is not offered in category spot"):
        session.listings({"instrument NOSUCH": json.dumps(answer).encode()})
    with pytest.raises(SessionError, match="set trade = false"):
        session_for("bybit_v5", SessionSettings("test", trade=True)).order_codec(None, {})


@pytest.mark.parametrize(("stream", "url", "category"), [
    ("", "wss://stream.bybit.com/v5/public/spot", "spot"),
    ("wss://stream.bybit.com/v5/public/linear", "wss://stream.bybit.com/v5/public/linear", "linear"),
    ("wss://stream-testnet.bybit.com/v5/public/inverse", "wss://stream-testnet.bybit.com/v5/public/inverse", "inverse"),
    ("wss://stream-testnet.bybit.com/", "wss://stream-testnet.bybit.com/v5/public/spot", "spot"),
])
def test_the_stream_url_decides_the_category(stream, url, category):
    session = session_for("bybit_v5", SessionSettings("test", stream=stream, symbols=("BTCUSDT",)))
    assert [endpoint.url for endpoint in session.endpoints()] == [url]
    assert [request.url for request in session.metadata()] == [
        f"https://api.bybit.com/v5/market/instruments-info?category={category}&symbol=BTCUSDT"]


def test_what_the_session_says():
    session = session_for("bybit_v5", SessionSettings("test", symbols=("BTCUSDT", "ETHUSDT"), depth=300))
    alive, *requests = session.opened("market", 0)
    assert isinstance(alive, KeepAlive) and json.loads(alive.text) == {"op": "ping"}
    assert alive.interval_ns == 20 * SECOND_NS
    assert [json.loads(request.text) for request in requests] == [
        {"req_id": symbol, "op": "subscribe", "args": [f"orderbook.1000.{symbol}", f"publicTrade.{symbol}"]}
        for symbol in ("BTCUSDT", "ETHUSDT")]
    session.start([4], [type("Listing", (), {"symbol": "BTCUSDT"})])
    resync = session.need_snapshot(4, BookFault.GAP, 0)
    assert all(isinstance(action, Send) and action.connection == "market" for action in resync)
    assert [json.loads(action.text) for action in resync] == [
        {"req_id": "BTCUSDT", "op": method, "args": ["orderbook.1000.BTCUSDT"]}
        for method in ("unsubscribe", "subscribe")]
    assert session.frame("market", b'{"retCode":10404,"retMsg":"op type is not found"}', 0) == [
        Problem("op type is not found (code 10404)")]


# -- ccxt --------------------------------------------------------------------------------------------------------

def pointed(client, port):
    """The client with its base URLs replaced, and nothing else."""
    client.urls["api"].update({name: f"http://127.0.0.1:{port}" for name in ("spot", "futures", "v2", "public")})
    if "ws" in client.urls["api"]:
        client.urls["api"]["ws"]["public"] = {name: f"ws://127.0.0.1:{port}/v5/public/{name}"
                                              for name in client.urls["api"]["ws"]["public"]}
    return client


def test_ccxt_reads_markets_and_books():
    with simulated("bybit_v5") as (exchange, clock):
        client = pointed(ccxt.bybit({"timeout": 10_000}), exchange.ports.plain)
        markets = client.load_markets()
        assert markets["BTC/USDT"]["precision"] == {"amount": 1e-6, "price": 0.1}
        assert markets["BTC/USDT:USDT"]["linear"]
        clock.stop()
        client.fetch_order_book("BTC/USDT", limit=20)       # the market catches up with the stopped clock
        for symbol in ("BTC/USDT", "BTC/USDT:USDT"):
            book = client.fetch_order_book(symbol, limit=20)
            bids, asks = true_books(exchange, ["BTCUSDT"], 20)["BTCUSDT"]
            assert [level[:2] for level in book["bids"]] == [[float(number) for number in level] for level in bids]
            assert [level[:2] for level in book["asks"]] == [[float(number) for number in level] for level in asks]


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC/USDT:USDT"])
def test_ccxt_watches_books_and_trades(symbol):
    async def watch(exchange, clock):
        client = pointed(ccxt.pro.bybit({"options": {"watchOrderBook": {"checksum": True}}}), exchange.ports.plain)
        try:
            trades = await asyncio.wait_for(client.watch_trades(symbol), 30)
            assert trades and all(trade["side"] in ("buy", "sell") and trade["amount"] > 0 for trade in trades)
            await watched_until_true(client, symbol, exchange, clock, "BTCUSDT", 50)
        finally:
            await client.close()

    with simulated("bybit_v5") as (exchange, clock):
        asyncio.run(watch(exchange, clock))
