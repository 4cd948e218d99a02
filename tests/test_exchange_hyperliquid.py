"""Hyperliquid: session, codec and dialect, and ccxt as a client that knows the real exchange."""
import asyncio
import json
from decimal import Decimal

import ccxt
import ccxt.pro
import pytest

from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.types import BookFault, BookState, EventKind, MessageKind, Side
from orderflow.exchanges import session_for
from orderflow.exchanges.actions import KeepAlive, Problem, Ready
from orderflow.exchanges.session import SessionError, SessionSettings
from orderflow.simulator.dialects.hyperliquid import BOOK_EVERY_NS
from orderflow.simulator.exchange import SECOND_NS
from tests.against_dialect import becomes_true, connected, flows, simulated, true_books, watched_until_true
from tests.codec_frames import listing_table
from tests.feed import Feed, levels
from tests.serving import PATIENCE, Run

SYMBOLS = ["BTC", "ETH", "@142"]
BIDS, ASKS = {1000: 5000, 999: 1000}, {1001: 4000, 1002: 2000}
LIVE, STALE = BookState.LIVE, BookState.STALE


def book(time_ms, bids, asks, coin="AB"):
    """A book frame of prices with two and quantities with three decimals."""
    sides = [[{"px": price, "sz": size, "n": 1} for price, size in levels(side)] for side in (bids, asks)]
    return {"channel": "l2Book", "data": {"coin": coin, "time": time_ms, "levels": sides}}


def changed(state, fault=BookFault.NO_FAULT, listing=0):
    return EventKind.BOOK_CHANGED, listing, state, fault


@pytest.fixture
def pair():
    """Two LIVE books at 100 ms."""
    feed = Feed("hyperliquid", ["AB", "CD"])
    feed.open()
    for listing, coin in enumerate(("AB", "CD")):
        assert feed.frame(book(100, BIDS, ASKS, coin)) == [changed(LIVE, listing=listing)]
    return feed


@pytest.fixture
def decoded():
    """A function: frame -> (status, DecodeOutput)."""
    symbols = {"AB": 0, "CD": 1}
    session = session_for("hyperliquid", SessionSettings("test", symbols=tuple(symbols)))
    codec, out = session.market_codec(listing_table([(2, 3), (2, 3)]), symbols), DecodeOutput()

    def decode(text):
        return codec.decode_frame((text if isinstance(text, str) else json.dumps(text)).encode(), out), out
    return decode


# -- against the dialect -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["sync", "async"])
def test_books_equal_the_matching_engines(kind):
    with simulated("hyperliquid") as (exchange, clock), Run(
            kind, [connected("hyperliquid", exchange.ports.plain, SYMBOLS)]) as run:
        run.wait_live()
        flows(run, "hyperliquid", 12)
        becomes_true(run, exchange, clock, SYMBOLS, 20, BOOK_EVERY_NS)
        assert all(conversation.ready for conversation in run.conversations)
        assert run.problems == []


def test_a_refused_subscription_is_told():
    with simulated("hyperliquid") as (exchange, _), Run("sync", [connected(
            "hyperliquid", exchange.ports.plain, ["BTC"],
            subscribe=('{"method":"subscribe","subscription":{"type":"l2Book","coin":"NOSUCH"}}',))]) as run:
        run.wait_told("Invalid subscription", "NOSUCH")


# -- books -------------------------------------------------------------------------------------------------------

def test_every_frame_is_the_whole_book(pair):
    assert pair.frame(book(600, {998: 7}, {1005: 8})) == []
    assert pair.shown() == [[(998, 7)], [(1005, 8)]]
    assert pair.frame(book(1100, {}, {1005: 8})) == []
    assert pair.shown() == [[], [(1005, 8)]]
    assert pair.shown(1) == [list(BIDS.items()), list(ASKS.items())]


def test_an_older_frame_is_dropped_and_one_of_the_same_time_is_not(pair):
    pair.frame(book(600, {998: 7}, {1005: 8}))
    assert pair.frame(book(599, BIDS, ASKS)) == []
    assert pair.shown() == [[(998, 7)], [(1005, 8)]]
    pair.frame(book(600, BIDS, ASKS))
    assert pair.shown() == [list(BIDS.items()), list(ASKS.items())]


def test_what_cannot_be_read_makes_one_book_stale_until_the_next_frame(pair):
    broken = book(600, BIDS, ASKS)
    broken["data"]["levels"][0][0]["px"] = "10.123"
    assert changed(STALE, BookFault.INEXACT) in pair.frame(broken)
    assert pair.state(1) == (LIVE, BookFault.NO_FAULT) and pair.shown() == [[], []]
    assert pair.frame(book(700, BIDS, ASKS)) == [changed(LIVE)]


def test_time_may_go_back_over_a_new_connection(pair):
    pair.end()
    assert pair.state()[0] == STALE
    pair.open()
    assert changed(LIVE) in pair.frame(book(50, {997: 1}, ASKS))
    assert pair.shown()[0] == [(997, 1)]


# -- codec -------------------------------------------------------------------------------------------------------

def test_keys_come_in_any_order(decoded):
    frame = book(600, BIDS, ASKS)
    data = frame["data"]
    for order in (("levels", "time", "coin"), ("time", "levels", "coin")):
        turned = {"data": {key: data[key] for key in order}, "channel": "l2Book"}
        status, out = decoded(turned)
        assert status == DecodeStatus.DECODED
        [message] = out.messages
        assert (message["kind"], message["listing"], message["last_id"], message["exchange_ns"]) == (
            MessageKind.REFRESH, 0, 600, 600_000_000)
        assert (message["bids_count"], message["asks_count"]) == (2, 2)


def frame_of(level):
    """A frame whose only bid is this text."""
    return ('{"channel":"l2Book","data":{"coin":"AB","time":600,"levels":[[' + level + '],[]]}}')


@pytest.mark.parametrize("level", [
    '{"n":5,"px":"10.01","sz":"0.5"}',                  # as it is sent
    '{"px":"10.01","sz":"0.5","n":5}',                  # as it is documented
    '{"n":1234567,"px":"10.0100","sz":"0.500000"}', '{"px":"10.01","sz":"0.5","n":0}',
    '{"n":12345678,"px":"10.01","sz":"0.5"}', '{"px":"10.01","sz":"0.5","n":123456789012}',
    '{ "n":5,"px":"10.01","sz":"0.5"}', '{"n":5,"px":"10.01","sz":"0.5" }', '{"n": 5,"px":"10.01","sz":"0.5"}',
    '{"px":"10.01","sz":"0.5"}', '{"sz":"0.5","px":"10.01","n":5}', '{"px":"10.01","n":5,"sz":"0.5"}',
    '{"px":10.01,"sz":0.5,"n":5}', '{"px":"1001e-2","sz":"5E-1","n":5}', '{"n":"5","px":"10.01","sz":"0.5"}',
    '{"n":-5.5e3,"px":"10.01","sz":"0.5"}', '{"n":5,"px":"10.01","sz":"0.5","x":[{}]}',
    '{"x":null,"n":5,"px":"10.01","sz":"0.5"}', '{"n":5,"px":"10.01","sz":"0.5","n":5}'])
def test_a_level_is_the_same_however_it_is_spelt(decoded, level):
    status, out = decoded(frame_of(level))
    assert status == DecodeStatus.DECODED
    assert (out.levels["price"].tolist(), out.levels["quantity"].tolist()) == ([1001], [500])


@pytest.mark.parametrize(("level", "status"), [
    ('{"n":05,"px":"10.01","sz":"0.5"}', DecodeStatus.BAD_JSON), ('{"n":,"px":"1","sz":"2"}', DecodeStatus.BAD_JSON),
    ('{"px":"10.01","sz":"0.5","n":05}', DecodeStatus.BAD_JSON), ('{"px":"1","sz":"2","n":5]', DecodeStatus.BAD_JSON),
    ('{"n":5 "px":"10.01","sz":"0.5"}', DecodeStatus.BAD_JSON), ('{"n":5,"px":"1","sz":"2",}', DecodeStatus.BAD_JSON),
    ('{"n":5,"px":"10.01","sz":"0.5","px":"10.01"}', DecodeStatus.BAD_JSON),
    ('{"px":"10.01","sz":"0.5","n":5,"sz":"0.5"}', DecodeStatus.BAD_JSON),
    ('{"n":5,"px":"010.01","sz":"0.5"}', DecodeStatus.BAD_NUMBER),
    ('{"n":5,"px":"","sz":"0.5"}', DecodeStatus.BAD_NUMBER),
    ('{"n":5,"sz":"10.01","n":"0.5"}', DecodeStatus.BAD_FIELD), ('{"n":5,"px":"10.01"}', DecodeStatus.BAD_FIELD)])
def test_a_level_that_is_none_is_refused(decoded, level, status):
    assert decoded(frame_of(level))[0] == status


@pytest.mark.parametrize(("change", "status"), [
    (lambda data: data.pop("time"), DecodeStatus.BAD_FIELD),
    (lambda data: data.pop("levels"), DecodeStatus.BAD_FIELD),
    (lambda data: data["levels"].pop(), DecodeStatus.BAD_FIELD),
    (lambda data: data["levels"].append([]), DecodeStatus.BAD_FIELD),
    (lambda data: data["levels"][1][0].pop("sz"), DecodeStatus.BAD_FIELD),
    (lambda data: data["levels"][0][0].update(px="-10"), DecodeStatus.NUMBER_RANGE),
    (lambda data: data["levels"][0][0].update(sz="0.0001"), DecodeStatus.NUMBER_INEXACT),
])
def test_what_is_refused_names_its_listing(decoded, change, status):
    frame = book(600, BIDS, ASKS, "CD")
    change(frame["data"])
    found, out = decoded(frame)
    assert (found, out.fault[0], len(out.messages)) == (status, 1, 0)


@pytest.mark.parametrize(("frame", "kind"), [
    (book(600, BIDS, ASKS, "OTHER"), MessageKind.IGNORED),
    ({"channel": "pong"}, MessageKind.IGNORED),
    ({"channel": "bbo", "data": {"coin": "AB"}}, MessageKind.IGNORED),
    ({"channel": "trades", "data": []}, MessageKind.IGNORED),
    ({"channel": "subscriptionResponse", "data": {"method": "subscribe"}}, MessageKind.SESSION),
    ({"channel": "error", "data": "no"}, MessageKind.SESSION),
])
def test_what_is_no_market_data(decoded, frame, kind):
    status, out = decoded(frame)
    assert status == DecodeStatus.DECODED and [message["kind"] for message in out.messages] == [kind]


def test_trades_of_several_coins(decoded):
    data = [{"coin": coin, "side": side, "px": "10.01", "sz": "0.5", "hash": "0x0", "time": 1700000000001,
             "tid": number, "users": ["0x1", "0x2"]}
            for number, (coin, side) in enumerate((("AB", "B"), ("XY", "A"), ("CD", "A")), 7)]
    status, out = decoded({"channel": "trades", "data": data})
    assert status == DecodeStatus.DECODED
    assert [tuple(message[name] for name in ("listing", "side", "price", "quantity", "last_id", "exchange_ns"))
            for message in out.messages if message["kind"] == MessageKind.TRADE] == [
        (listing, side, 1001, 500, number, 1700000000001 * 10**6)
        for listing, side, number in ((0, Side.BUY, 7), (1, Side.SELL, 9))]
    data[2]["side"] = "C"
    assert decoded({"channel": "trades", "data": data})[0] == DecodeStatus.BAD_FIELD


# -- session -----------------------------------------------------------------------------------------------------

META = {"universe": [{"name": "BTC", "szDecimals": 5, "maxLeverage": 40},
                     {"name": "kPEPE", "szDecimals": 0, "maxLeverage": 10},
                     {"name": "MATIC", "szDecimals": 1, "maxLeverage": 20, "isDelisted": True}]}
SPOT_META = {"tokens": [{"name": "USDC", "szDecimals": 8, "index": 0}, {"name": "PURR", "szDecimals": 0, "index": 1},
                        {"name": "HYPE", "szDecimals": 2, "index": 150}],
             "universe": [{"name": "PURR/USDC", "tokens": [1, 0], "index": 0},
                          {"name": "@107", "tokens": [150, 0], "index": 107}]}


def session_of(*symbols, **settings):
    return session_for("hyperliquid", SessionSettings("test", symbols=symbols, **settings))


def test_only_what_is_needed_is_asked_for():
    assert [(request.method, request.url, json.loads(request.body)) for request in session_of("BTC").metadata()] == [
        ("POST", "https://api.hyperliquid.xyz/info", {"type": "meta"})]
    assert [json.loads(request.body) for request in session_of("@107", "PURR/USDC").metadata()] == [
        {"type": "spotMeta"}]
    assert len(session_of("BTC", "@107").metadata()) == 2


def test_listings_of_documented_instruments():
    symbols = ("@107", "BTC", "kPEPE", "MATIC", "PURR/USDC")
    found = session_of(*symbols).listings({"meta": json.dumps(META).encode(),
                                           "spotMeta": json.dumps(SPOT_META).encode()})
    assert [(one.symbol, one.instrument, one.base, one.quote, one.tick, one.lot, one.halted) for one in found] == [
        ("@107", "HYPE-USDC", "HYPE", "USDC", Decimal("0.000001"), Decimal("0.01"), False),
        ("BTC", "BTC-USDC-PERPETUAL", "BTC", "USDC", Decimal("0.1"), Decimal("0.00001"), False),
        ("kPEPE", "kPEPE-USDC-PERPETUAL", "kPEPE", "USDC", Decimal("0.000001"), Decimal(1), False),
        ("MATIC", "MATIC-USDC-PERPETUAL", "MATIC", "USDC", Decimal("0.00001"), Decimal("0.1"), True),
        ("PURR/USDC", "PURR-USDC", "PURR", "USDC", Decimal("0.00000001"), Decimal(1), False)]
    assert all(one.minimum_notional == 10 for one in found)


def test_what_is_not_offered_is_named():
    with pytest.raises(SessionError, match="'xyz:GOLD' is not offered"):
        session_of("xyz:GOLD").listings({"meta": json.dumps(META).encode()})
    with pytest.raises(SessionError, match="set trade = false"):
        session_of("BTC", trade=True).order_codec(None, {})


def test_what_the_session_says():
    session = session_of("BTC", "@107")
    alive, *requests = session.opened("market", 0)
    assert isinstance(alive, KeepAlive) and json.loads(alive.text) == {"method": "ping"}
    assert alive.interval_ns == 30 * SECOND_NS
    assert [json.loads(request.text) for request in requests] == [
        {"method": "subscribe", "subscription": {"type": channel, "coin": coin}}
        for coin in ("BTC", "@107") for channel in ("l2Book", "trades")]
    session.start([4], [type("Listing", (), {"symbol": "BTC"})])
    assert [json.loads(action.text)["method"] for action in session.need_snapshot(4, BookFault.GAP, 0)] == [
        "unsubscribe", "subscribe"]
    assert session.frame("market", b'{"channel":"subscriptionResponse","data":{}}', 0) == [Ready("market")]
    assert session.frame("market", b'{"channel":"error","data":"Too many"}', 0) == [Problem("refused: Too many")]


# -- ccxt --------------------------------------------------------------------------------------------------------

def pointed(client, port):
    """The client with its base URLs replaced, and nothing else."""
    client.urls["api"]["public"] = f"http://127.0.0.1:{port}"
    if "ws" in client.urls["api"]:
        client.urls["api"]["ws"]["public"] = f"ws://127.0.0.1:{port}/ws"
    return client


def test_ccxt_reads_markets_and_books():
    with simulated("hyperliquid") as (exchange, clock):
        client = pointed(ccxt.hyperliquid({"timeout": 10_000}), exchange.ports.plain)
        markets = client.load_markets()
        assert markets["BTC/USDC:USDC"]["precision"]["amount"] == 1e-5
        assert markets["BTC/USDC"]["id"] == "@142"
        clock.stop()
        client.fetch_order_book("BTC/USDC")             # the market catches up with the stopped clock
        for symbol, coin in (("BTC/USDC:USDC", "BTC"), ("BTC/USDC", "@142")):
            found = client.fetch_order_book(symbol)
            bids, asks = true_books(exchange, [coin], 20)[coin]
            assert [level[:2] for level in found["bids"]] == [[float(number) for number in level] for level in bids]
            assert [level[:2] for level in found["asks"]] == [[float(number) for number in level] for level in asks]


@pytest.mark.parametrize(("symbol", "coin"), [("BTC/USDC:USDC", "BTC"), ("BTC/USDC", "@142")])
def test_ccxt_watches_books_and_trades(symbol, coin):
    async def watch(exchange, clock):
        client = pointed(ccxt.pro.hyperliquid(), exchange.ports.plain)
        try:
            trades = await asyncio.wait_for(client.watch_trades(symbol), PATIENCE)
            assert trades and all(trade["side"] in ("buy", "sell") and trade["amount"] > 0 for trade in trades)
            await watched_until_true(client, symbol, exchange, clock, coin, 20, updates=2, grid_ns=BOOK_EVERY_NS)
        finally:
            await client.close()

    with simulated("hyperliquid") as (exchange, clock):
        asyncio.run(watch(exchange, clock))
