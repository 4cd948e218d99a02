"""Bitstamp: session, codec and dialect, and ccxt as a client that knows the real exchange."""
import asyncio
import gzip
import json
from decimal import Decimal

import ccxt
import ccxt.pro
import pytest

from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.types import BookFault, BookState, EventKind, MessageKind, Side
from orderflow.exchanges import session_for
from orderflow.exchanges.actions import (
    Answered,
    Fetch,
    KeepAlive,
    Problem,
    Ready,
    Reconnect,
    Request,
    Send,
    SnapshotBody,
    Subscription,
)
from orderflow.exchanges.session import SessionError, SessionSettings
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.launch import SimulatorSettings, build
from tests.against_dialect import becomes_true, books_equal, connected, simulated, true_books, watched_until_true
from tests.codec_frames import listing_table
from tests.feed import Feed, levels
from tests.serving import Run

SYMBOLS = ["btcusd", "ethusd"]
DEPTH = 1 << 16
BIDS, ASKS = {1000: 5000, 999: 1000}, {1001: 4000, 1002: 2000}
LIVE, STALE = BookState.LIVE, BookState.STALE
TRADE_FIELDS = ("listing", "kind", "side", "price", "quantity", "last_id", "exchange_ns")


def book(stamp, bids, asks):
    """The body of a REST order book, and the data of an update."""
    return {"timestamp": str(stamp // 10**6), "microtimestamp": str(stamp), "bids": levels(bids), "asks": levels(asks)}


def diff(stamp, bids, asks, symbol="abusd"):
    """An update of prices with two and quantities with three decimals."""
    return {"data": book(stamp, bids, asks), "channel": f"diff_order_book_{symbol}", "event": "data"}


def trade(symbol="abusd", **fields):
    return {"data": {"id": 216000477, "timestamp": "1641343699", "amount": 0.0792, "amount_str": "0.07900000",
                     "price": 38.05, "price_str": "38.05", "type": 0, "microtimestamp": "1641343699596000",
                     "buy_order_id": 1443875737346049, "sell_order_id": 1443875731320832} | fields,
            "channel": f"live_trades_{symbol}", "event": "trade"}


def changed(state, fault=BookFault.NO_FAULT, listing=0):
    return EventKind.BOOK_CHANGED, listing, state, fault


def need(listing=0):
    return EventKind.SNAPSHOT_NEEDED, listing


@pytest.fixture
def pair():
    """Two LIVE books, at 100."""
    feed = Feed("bitstamp", ["abusd", "cdusd"])
    feed.open()
    for listing, symbol in enumerate(("abusd", "cdusd")):
        assert feed.frame(diff(100, {}, {}, symbol)) == [need(listing)]
        assert feed.snapshot(book(100, BIDS, ASKS), listing) == [changed(LIVE, listing=listing)]
    return feed


@pytest.fixture
def decoded():
    """A function: frame -> (status, DecodeOutput)."""
    symbols = {"abusd": 0, "cdusd": 1}
    session = session_for("bitstamp", SessionSettings("test", symbols=tuple(symbols)))
    codec, out = session.market_codec(listing_table([(2, 3), (2, 3)]), symbols), DecodeOutput()

    def decode(text):
        text = text if isinstance(text, str) else json.dumps(text, separators=(",", ":"))
        return codec.decode_frame(text.encode(), out), out
    return decode


# -- against the dialect -----------------------------------------------------------------------------------------

def test_books_equal_the_matching_engines():
    books_equal("bitstamp", SYMBOLS, DEPTH)


def test_an_unreadable_frame_resyncs_one_listing_alone():
    """Of a lost update nothing tells; one that cannot be read makes its book STALE, and a later snapshot mends it."""
    with simulated("bitstamp") as (exchange, clock), Run(
            "sync", [connected("bitstamp", exchange.ports.plain, SYMBOLS)]) as run:
        run.wait_live()
        venue = exchange.exchange

        def spoil(key, text, at_ns):
            if key.channel == "diff_order_book" and key.symbol == SYMBOLS[0]:
                del venue.publish
                text = text.replace('"bids":[', '"bids":[["0.00000000000000000001","1"],').replace(",]", "]")
            type(venue).publish(venue, key, text, at_ns)

        exchange.call(setattr, venue, "publish", spoil)
        run.wait_told(f"book of {SYMBOLS[0]} is STALE (INEXACT)")
        run.wait_told(f"book of {SYMBOLS[0]} is LIVE again")
        becomes_true(run, exchange, clock, SYMBOLS, DEPTH)
        loop = run.core.loops["bitstamp"]
        assert [loop.counters(index)["snapshots"] for index in range(2)] == [2, 1]
        assert not [problem for problem in run.problems if SYMBOLS[1] in problem]


def dialect():
    """A simulated Bitstamp without sockets, with one connection, and a function that says something and hears the
    answer."""
    venue = build(SimulatorSettings("bitstamp", "bitstamp", seed=1, origin_ns=SECOND_NS))
    venue.open(1, "/", SECOND_NS)

    def say(text):
        venue.message(1, text if isinstance(text, str) else json.dumps(text), SECOND_NS)
        return [json.loads(sent) for _, sent in venue.drain()]
    return venue, say


def test_a_refused_subscription_is_a_clear_problem():
    _, say = dialect()
    session = session_for("bitstamp", SessionSettings("test"))
    [error] = say({"event": "bts:subscribe", "data": {"channel": "diff_order_book_nosuch"}})
    [problem] = session.frame("market", json.dumps(error).encode(), 0)
    assert isinstance(problem, Problem) and "Bad subscription string" in problem.message
    [ack] = say({"event": "bts:subscribe", "data": {"channel": "live_trades_btcusd"}})
    assert session.frame("market", json.dumps(ack).encode(), 0) == [
        Ready("market"), Answered("market", (Subscription("live_trades_", "btcusd"),))]


def test_the_dialect_answers_as_documented():
    venue, say = dialect()
    assert say({"event": "bts:heartbeat"}) == [
        {"event": "bts:heartbeat", "channel": "", "data": {"status": "success"}}]
    assert say("{")[0]["event"] == "bts:error"
    channel = {"channel": "diff_order_book_btcusd"}
    assert say({"event": "bts:subscribe", "data": channel}) == [
        {"event": "bts:subscription_succeeded", "data": {}} | channel]
    assert say({"event": "bts:unsubscribe", "data": channel}) == [
        {"event": "bts:unsubscription_succeeded", "data": {}} | channel]
    assert venue.subscribers == {}
    for path in ("/api/v2/order_book/nosuch/", "/api/v2/order_book/", "/api/v2/markets/btcusd/", "/"):
        assert venue.http("GET", path, "", {}, b"", SECOND_NS).status == 404


def test_one_microtimestamp_is_one_state_of_a_book():
    venue, say = dialect()
    say({"event": "bts:subscribe", "data": {"channel": "diff_order_book_btcusd"}})
    stamps = []
    for now_ns in range(SECOND_NS, 3 * SECOND_NS, 37_000_000):
        while venue.next_ns() <= now_ns:
            venue.advance(now_ns)
        stamps += [int(json.loads(sent)["data"]["microtimestamp"]) for _, sent in venue.drain()]
        body = venue.http("GET", "/api/v2/order_book/btcusd/", "", {}, b"", now_ns).body
        again = venue.http("GET", "/api/v2/order_book/btcusd/", "", {}, b"", now_ns).body
        assert body == again and int(json.loads(body)["microtimestamp"]) >= max(stamps, default=0)
    assert len(stamps) > 5 and stamps == sorted(set(stamps))


def test_a_diff_names_a_level_that_is_again_as_it_was():
    """Whoever joins a REST order book of the time in between would keep it otherwise."""
    venue, say = dialect()
    say({"event": "bts:subscribe", "data": {"channel": "diff_order_book_btcusd"}})
    market = venue.source.books["btcusd"]
    market.changes()
    market.engine.submit(1 << 40, Side.BUY, 5, 50_000)
    market.engine.cancel(1 << 40)
    market.update_id += 2
    venue.publish_book(market, 2 * SECOND_NS)
    [(_, sent)] = venue.drain()
    assert json.loads(sent)["data"]["bids"] == [["50000", "0.00000000"]]


# -- books -------------------------------------------------------------------------------------------------------

def test_updates_that_the_snapshot_contains_are_dropped():
    feed = Feed("bitstamp", ["abusd"])
    feed.open()
    assert feed.frame(diff(10, {1000: 1}, {})) == [need()]
    feed.frame(diff(20, {1000: 2}, {}))
    feed.frame(diff(30, {}, {1001: 4}))
    assert feed.snapshot(book(20, {1000: 9}, {1005: 9})) == [changed(LIVE)]
    assert feed.shown() == [[(1000, 9)], [(1001, 4), (1005, 9)]]
    assert feed.frame(diff(30, {1000: 0}, {})) == [] and feed.shown()[0] == [(1000, 9)]


def test_a_snapshot_older_than_the_first_update_is_refused_and_asked_for_again():
    """A hole between the two cannot be excluded."""
    feed = Feed("bitstamp", ["abusd"])
    feed.open()
    assert feed.frame(diff(10, {}, {})) == [need()]
    assert feed.snapshot(book(9, BIDS, ASKS)) == [need()] and feed.shown() == [[], []]
    assert feed.snapshot(book(10, BIDS, ASKS)) == [changed(LIVE)]


def test_the_book_after_an_unreadable_frame_waits_for_an_update_before_its_snapshot(pair):
    """The frame that is missing may be newer than the snapshot, and no later one would show it."""
    assert pair.frame(diff(110, {1000: 1}, {})) == []
    broken = json.dumps(diff(120, {1000: 2}, {})).replace('"0.002"', '"0.0020001"')
    assert pair.frame(broken) == [(EventKind.FRAME_REFUSED,), changed(STALE, BookFault.INEXACT), need()]
    assert pair.snapshot(book(115, {1000: 1}, ASKS)) == [need()]
    assert pair.state() == (STALE, BookFault.INEXACT) and pair.state(1)[0] == LIVE
    assert pair.frame(diff(130, {}, {1001: 3})) == []
    assert pair.snapshot(book(125, {1000: 2}, ASKS)) == [need()]
    assert pair.snapshot(book(130, {1000: 2}, {1001: 3})) == [changed(LIVE)]
    assert pair.shown() == [[(1000, 2)], [(1001, 3)]] and pair.loop.counters(1)["snapshots"] == 1


def test_a_crossed_book_takes_no_snapshot_that_is_older_than_it(pair):
    assert pair.frame(diff(110, {1005: 1}, {})) == [changed(STALE, BookFault.CROSSED), need()]
    assert pair.snapshot(book(109, BIDS, ASKS)) == [need()] and pair.shown() == [[], []]
    assert pair.snapshot(book(110, {1005: 1}, {1006: 1})) == [changed(LIVE)]


def test_a_silent_book_needs_an_update():
    feed = Feed("bitstamp", ["abusd"], silence_ns=5 * SECOND_NS)
    feed.open()
    feed.frame(diff(10, {}, {}))
    feed.snapshot(book(10, BIDS, ASKS))
    assert feed.step(6 * SECOND_NS) == [changed(STALE, BookFault.SILENT), need()]
    assert feed.snapshot(book(10, BIDS, ASKS)) == [need()]
    assert feed.frame(diff(20, {1000: 1}, {})) == []
    assert feed.snapshot(book(20, {1000: 1}, ASKS)) == [changed(LIVE)]


# -- codec -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("order", [("data", "channel", "event"), ("channel", "data", "event"),
                                   ("event", "channel", "data"), ("data", "event", "channel")])
def test_keys_in_any_order(decoded, order):
    for sent, kind in ((diff(1641343691310202, BIDS, ASKS, "cdusd"), MessageKind.UPDATE),
                       (trade("cdusd"), MessageKind.TRADE)):
        status, out = decoded({key: sent[key] for key in order})
        assert status == DecodeStatus.DECODED
        [message] = out.messages
        assert (message["listing"], message["kind"]) == (1, kind)
        sent["data"]["bids" if "bids" in sent["data"] else "price_str"] = (
            [["9.991", "1"]] if "bids" in sent["data"] else "9.991")
        assert decoded({key: sent[key] for key in order})[0] == DecodeStatus.NUMBER_INEXACT and out.fault[0] == 1


def test_an_update_is_chained_by_its_microtimestamp(decoded):
    status, out = decoded(diff(1641343691310202, BIDS, {1001: 0}))
    [message] = out.messages
    assert status == DecodeStatus.DECODED and message["has_chain"]
    assert (message["first_id"], message["last_id"]) == (1641343691310202,) * 2
    assert message["exchange_ns"] == 1641343691310202000
    assert out.levels.tolist() == [*BIDS.items(), (1001, 0)]


def test_levels_of_any_spelling(decoded):
    """Exponents, bare numbers, and the order ids of the detailed book."""
    text = ('{"data":{"microtimestamp":5,"bids":[["1e1","2"],[9.5,0.25],["9.40","1E-3","1207590500704256"]],"asks":[]},'
            '"channel":"diff_order_book_abusd","event":"data"}')
    status, out = decoded(text)
    assert status == DecodeStatus.DECODED and out.levels.tolist() == [(1000, 2000), (950, 250), (940, 1)]


def test_trades_by_their_texts(decoded):
    for kind, side in ((0, Side.BUY), (1, Side.SELL)):
        status, out = decoded(trade(type=kind, amount=0.07900000000000001, price=38.050000000000004))
        assert status == DecodeStatus.DECODED
        assert [tuple(message[name] for name in TRADE_FIELDS) for message in out.messages] == [
            (0, MessageKind.TRADE, side, 3805, 79, 216000477, 1641343699596000000)]
    sent = trade()
    del sent["data"]["price_str"]
    assert decoded(sent)[0] == DecodeStatus.BAD_FIELD and out.fault[0] == 0


@pytest.mark.parametrize(("text", "status", "listing"), [
    (trade(type=2), DecodeStatus.BAD_FIELD, 0),
    (trade(microtimestamp="-1"), DecodeStatus.BAD_FIELD, 0),
    ({"data": {"bids": [], "asks": []}, "channel": "diff_order_book_cdusd", "event": "data"},
     DecodeStatus.BAD_FIELD, 1),
    ({"channel": "diff_order_book_cdusd", "event": "data"}, DecodeStatus.BAD_FIELD, 1),
    ({"data": {}, "channel": "diff_order_book_cdusd"}, DecodeStatus.BAD_FIELD, 1),
    ({"data": {}, "channel": "diff_order_book_cdusd", "event": "trade"}, DecodeStatus.UNKNOWN_MESSAGE, 1),
    ({"data": {}, "channel": "levels_cdusd", "event": "data"}, DecodeStatus.UNKNOWN_MESSAGE, -1),
    ({"data": {}, "event": "data"}, DecodeStatus.UNKNOWN_MESSAGE, -1),
    ({}, DecodeStatus.UNKNOWN_MESSAGE, -1),
    ('{"channel":"diff_order_book_cdusd","channel":"diff_order_book_abusd","event":"data","data":{}}',
     DecodeStatus.BAD_JSON, 1),
    (f'{{"channel":"live_trades_abusd","data":{json.dumps(book(1, BIDS, ASKS))},"channel":"diff_order_book_abusd",'
     '"event":"data"}', DecodeStatus.BAD_JSON, 0),
])
def test_what_is_refused_names_its_listing(decoded, text, status, listing):
    found, out = decoded(text)
    assert (found, out.fault[0], len(out.messages)) == (status, listing, 0)


@pytest.mark.parametrize("text", [
    diff(1, BIDS, ASKS, "xyusd"), trade("xyusd"), {"event": "bts:heartbeat", "channel": "", "data": ""},
    {"data": book(1, BIDS, ASKS), "channel": "order_book_abusd", "event": "data"},
    {"data": {}, "channel": "live_orders_abusd", "event": "order_created"},
    {"data": {"market": "abusd-perp"}, "channel": "funding_rate_abusd-perp", "event": "funding_rate_saved"}])
def test_what_is_of_no_interest(decoded, text):
    status, out = decoded(text)
    assert status == DecodeStatus.DECODED and [m["kind"] for m in out.messages] == [MessageKind.IGNORED]


def test_what_looks_like_the_end_of_a_frame_inside_a_text_is_text(decoded):
    text = json.dumps({"channel": "live_orders_abusd", "event": "order_created",
                       "data": "x" * 90 + ',"channel":"diff_order_book_abusd","event":"data"}'})
    status, out = decoded(text)
    assert status == DecodeStatus.DECODED and [m["kind"] for m in out.messages] == [MessageKind.IGNORED]


# -- session -----------------------------------------------------------------------------------------------------

def listed(*entries, symbols=("btcusd",)):
    session = session_for("bitstamp", SessionSettings("test", symbols=symbols))
    return session.listings({"markets": json.dumps(entries).encode()})


SPOT = {"name": "BTC/USD", "market_symbol": "btcusd", "base_currency": "BTC", "base_decimals": 8,
        "counter_currency": "USD", "counter_decimals": 0, "minimum_order_value": "10", "trading": "Enabled",
        "instant_order_counter_decimals": 2, "instant_and_market_orders": "Enabled",
        "description": "Bitcoin / U.S. dollar", "market_type": "SPOT"}
PERPETUAL = SPOT | {
    "name": "BTC/USD-PERP", "market_symbol": "btcusd-perp", "base_decimals": 5,
    "maximum_order_value": "500000.00000000", "minimum_order_amount": "0.00001000",
    "maximum_order_amount": "10.00000000", "market_type": "PERPETUAL", "payoff_type": "Linear",
    "contract_size": "1.00000000"}


def test_listings_of_markets():
    spot, perpetual = listed(SPOT, PERPETUAL, symbols=("btcusd", "btcusd-perp"))
    assert (spot.instrument, spot.base, spot.quote) == ("BTC-USD", "BTC", "USD")
    assert (spot.tick, spot.lot, spot.minimum_notional) == (1, Decimal("1e-8"), 10) and not spot.halted
    assert perpetual.instrument == "BTC-USD-PERPETUAL"
    assert (perpetual.lot, perpetual.minimum_quantity, perpetual.maximum_quantity) == (
        Decimal("0.00001"), Decimal("0.00001"), 10)
    assert listed(SPOT | {"trading": "Disabled"})[0].halted
    tenth = listed(PERPETUAL | {"contract_size": "0.1"}, symbols=("btcusd-perp",))
    assert tenth[0].instrument == "BTC-USD-PERPETUAL-0.1BTC"


def test_listings_of_recorded_trading_pairs(feeds):
    with gzip.open(feeds / "captures/cf_bitstamp_a.tsv.gz", "rt") as lines:
        body = next(lines).rstrip("\n").split("\t")[3]
    session = session_for("bitstamp", SessionSettings("test", symbols=("batbtc", "adaeur")))
    bat, ada = session.listings({"markets": body.encode()})
    assert (bat.instrument, bat.tick, bat.lot, bat.minimum_notional) == (
        "BAT-BTC", Decimal("1e-8"), Decimal("1e-8"), Decimal("0.0002"))
    assert (ada.instrument, ada.tick, ada.minimum_notional) == ("ADA-EUR", Decimal("0.00001"), 20)


def test_metadata_that_cannot_be_used_is_said():
    with pytest.raises(SessionError, match="'ethusd' is not offered"):
        listed(SPOT, symbols=("ethusd",))
    session = session_for("bitstamp", SessionSettings("test", symbols=("btcusd",)))
    with pytest.raises(SessionError, match="refused: Too many requests"):
        session.listings({"markets": b'{"status":"error","reason":"Too many requests"}'})
    with pytest.raises(SessionError, match="set trade = false"):
        session_for("bitstamp", SessionSettings("test", trade=True)).order_codec(None, {})


def test_what_the_session_says():
    session = session_for("bitstamp", SessionSettings("test", symbols=("btcusd",)))
    assert [endpoint.url for endpoint in session.endpoints()] == ["wss://ws.bitstamp.net"]
    assert [request.url for request in session.metadata()] == ["https://www.bitstamp.net/api/v2/markets/"]
    alive, *subscribe = session.opened("market", 0)
    assert isinstance(alive, KeepAlive) and json.loads(alive.text) == {"event": "bts:heartbeat"}
    assert [json.loads(action.text) for action in subscribe] == [
        {"event": "bts:subscribe", "data": {"channel": channel}}
        for channel in ("diff_order_book_btcusd", "live_trades_btcusd")]
    session.start([4], listed(SPOT))
    [fetch] = session.need_snapshot(4, BookFault.GAP, 0)
    assert isinstance(fetch, Fetch) and fetch.request.listing == 4
    assert fetch.request.url == "https://www.bitstamp.net/api/v2/order_book/btcusd/"
    assert session.snapshot_symbol(fetch.request.url) == session.snapshot_symbol(fetch.request.url[:-1]) == "btcusd"
    assert session.snapshot_symbol("https://www.bitstamp.net/api/v2/markets/") == ""
    *anew, fetch = session.need_snapshot(4, BookFault.SILENT, 0)
    assert all(isinstance(action, Send) for action in anew) and isinstance(fetch, Fetch)
    assert [json.loads(action.text)["event"] for action in anew] == ["bts:unsubscribe", "bts:subscribe"]


def test_what_the_session_hears():
    session = session_for("bitstamp", SessionSettings("test"))
    [again] = session.frame("market", b'{"event":"bts:request_reconnect","channel":"","data":""}', 0)
    assert isinstance(again, Reconnect)
    [problem] = session.frame("market", b'{"event":"bts:error","channel":"private-x","data":'
                                        b'{"code":4009,"message":"Connection is unauthorized."}}', 0)
    assert problem == Problem("private-x: Connection is unauthorized. (code 4009)")
    assert session.frame("market", b'{"event":"bts:unsubscription_succeeded","channel":"x","data":{}}', 0) == []
    request = Request("snapshot", "GET", "https://example.test/", listing=3)
    assert session.answer(request, 200, b"{}", 0) == [SnapshotBody(3, b"{}")]
    [problem] = session.answer(request, 404, b"gone", 0)
    assert isinstance(problem, Problem) and "404" in problem.message and "gone" in problem.message


# -- ccxt --------------------------------------------------------------------------------------------------------

def pointed(client, port):
    """The client with its base URLs replaced, and nothing else."""
    client.urls["api"] = client.urls["api"] | {
        "public": f"http://127.0.0.1:{port}/api", "ws": f"ws://127.0.0.1:{port}"}
    return client


def test_ccxt_reads_markets_and_books():
    with simulated("bitstamp") as (exchange, clock):
        client = pointed(ccxt.bitstamp({"timeout": 10_000}), exchange.ports.plain)
        markets = client.load_markets()
        assert markets["BTC/USD"]["precision"] == {"amount": 1e-8, "price": 1.0}
        assert markets["BTC/USD"]["limits"]["cost"]["min"] == 10 and markets["BTC/USD"]["active"]
        clock.stop()
        client.fetch_order_book("BTC/USD")      # the market catches up with the stopped clock
        seen = client.fetch_order_book("BTC/USD")
        bids, asks = true_books(exchange, ["btcusd"], DEPTH)["btcusd"]
        assert [level[:2] for level in seen["bids"]] == [[float(number) for number in level] for level in bids]
        assert [level[:2] for level in seen["asks"]] == [[float(number) for number in level] for level in asks]


def test_ccxt_watches_books_and_trades():
    async def watch(exchange, clock):
        client = pointed(ccxt.pro.bitstamp(), exchange.ports.plain)
        try:
            trades = await asyncio.wait_for(client.watch_trades("BTC/USD"), 30)
            assert trades and all(one["side"] in ("buy", "sell") and one["amount"] > 0 for one in trades)
            seen = await watched_until_true(client, "BTC/USD", exchange, clock, "btcusd", DEPTH)
            assert seen["nonce"] == exchange.call(
                lambda: exchange.exchange.microtimestamp(exchange.exchange.source.books["btcusd"], 0))
        finally:
            await client.close()

    with simulated("bitstamp") as (exchange, clock):
        asyncio.run(watch(exchange, clock))
