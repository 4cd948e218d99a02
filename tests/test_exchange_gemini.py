"""Gemini: session, codec and dialect, and ccxt as a client that knows the real exchange."""
import asyncio
import json
from decimal import Decimal

import ccxt
import ccxt.pro
import pytest

from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.types import BookFault, BookState, EventKind, MessageKind, Side
from orderflow.exchanges import session_for
from orderflow.exchanges.actions import Problem, Ready
from orderflow.exchanges.session import SessionError, SessionSettings
from tests.against_dialect import (
    becomes_true,
    books_equal,
    connected,
    simulated,
    true_books,
    watched_until_true,
)
from tests.codec_frames import listing_table
from tests.feed import Feed, levels
from tests.serving import PATIENCE, Run

SYMBOLS = ["BTCUSD", "ETHUSD"]
BIDS, ASKS = {1000: 5000, 999: 1000}, {1001: 4000, 1002: 2000}
WHOLE = {"trades": [], "auction_events": []}
LIVE, STALE = BookState.LIVE, BookState.STALE


def changes(bids, asks, symbol="AB", **more):
    """A book frame of prices with two and quantities with three decimals."""
    return {"type": "l2_updates", "symbol": symbol, "changes": [
        [side, *level] for side, found in (("buy", bids), ("sell", asks)) for level in levels(found)]} | more


def trade(**fields):
    return {"type": "trade", "symbol": "AB", "event_id": 45465818387, "timestamp": 1624493670759, "price": "10.01",
            "quantity": "0.5", "side": "buy"} | fields


def changed(state, fault=BookFault.NO_FAULT, listing=0):
    return EventKind.BOOK_CHANGED, listing, state, fault


@pytest.fixture
def pair():
    """Two LIVE books."""
    feed = Feed("gemini", ["AB", "CD"])
    feed.open()
    for listing, symbol in enumerate(("AB", "CD")):
        assert feed.frame(changes(BIDS, ASKS, symbol, **WHOLE)) == [changed(LIVE, listing=listing)]
    return feed


@pytest.fixture
def decoded():
    """A function: frame -> (status, DecodeOutput)."""
    symbols = {"AB": 0, "CD": 1}
    session = session_for("gemini", SessionSettings("test", symbols=tuple(symbols)))
    codec, out = session.market_codec(listing_table([(2, 3), (2, 3)]), symbols), DecodeOutput()

    def decode(text):
        return codec.decode_frame((text if isinstance(text, str) else json.dumps(text)).encode(), out), out
    return decode


# -- against the dialect -----------------------------------------------------------------------------------------

def test_books_equal_the_matching_engines():
    books_equal("gemini", SYMBOLS, window=1000)


def test_a_refused_subscription_is_told():
    with simulated("gemini") as (exchange, _), Run("sync", [connected(
            "gemini", exchange.ports.plain, ["BTCUSD"],
            subscribe=('{"type":"subscribe","subscriptions":[{"name":"l2","symbols":["NOSUCH"]}]}',))]) as run:
        run.wait_told("refused: InvalidSymbol: Supplied value 'NOSUCH' is not a valid symbol")


def test_a_fault_resyncs_one_listing_alone():
    """What cannot be read is the only thing by which a lost frame could show: updates are not numbered."""
    with simulated("gemini") as (exchange, clock), Run(
            "async", [connected("gemini", exchange.ports.plain, SYMBOLS)]) as run:
        run.wait_live()
        exchange.call(exchange.exchange.play, "BTCUSD",
                      '{"type":"l2_updates","symbol":"BTCUSD","changes":[["buy","1e-30","1"]]}')
        run.wait_told("book of BTCUSD is STALE")
        run.wait_told("book of BTCUSD is LIVE again")
        becomes_true(run, exchange, clock, SYMBOLS, 1000)
        loop = run.core.loops["gemini"]
        assert [loop.counters(index)["snapshots"] for index in range(2)] == [2, 1]


# -- books -------------------------------------------------------------------------------------------------------

def test_updates_set_and_delete(pair):
    assert pair.frame(changes({1000: 0, 998: 7}, {1001: 1})) == []
    assert pair.shown() == [[(999, 1000), (998, 7)], [(1001, 1), (1002, 2000)]]
    assert pair.shown(1) == [list(BIDS.items()), list(ASKS.items())]


def test_trades_beside_levels_make_a_whole_book(pair):
    pair.frame(changes({998: 7}, {1005: 8}, **WHOLE))
    assert pair.shown() == [[(998, 7)], [(1005, 8)]]


def test_updates_before_the_book_are_not_one():
    feed = Feed("gemini", ["AB"])
    feed.open()
    assert feed.frame(changes(BIDS, ASKS)) == []
    assert feed.state()[0] != LIVE and feed.shown() == [[], []]
    assert feed.frame(changes(BIDS, ASKS, **WHOLE)) == [changed(LIVE)]


def test_a_new_connection_starts_anew(pair):
    pair.end()
    assert pair.state()[0] == STALE
    pair.open()
    assert pair.frame(changes({998: 7}, {})) == []
    assert changed(LIVE) in pair.frame(changes({997: 1}, ASKS, **WHOLE))
    assert pair.shown()[0] == [(997, 1)]


# -- codec -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("order", [("changes", "trades", "symbol", "type"), ("trades", "type", "changes", "symbol"),
                                   ("symbol", "type", "changes", "trades")])
def test_keys_come_in_any_order(decoded, order):
    frame = changes(BIDS, ASKS, **WHOLE)
    status, out = decoded({key: frame[key] for key in order})
    [message] = out.messages
    assert (status, message["kind"], message["listing"], message["bids_count"], message["asks_count"]) == (
        DecodeStatus.DECODED, MessageKind.SNAPSHOT, 0, 2, 2)


def test_a_trade_is_the_takers(decoded):
    for side, told in (("buy", Side.BUY), ("sell", Side.SELL), ("auction", Side.NO_SIDE), ("block", Side.NO_SIDE)):
        status, out = decoded(trade(side=side))
        assert status == DecodeStatus.DECODED
        assert [tuple(message[name] for name in ("kind", "side", "price", "quantity", "last_id", "exchange_ns"))
                for message in out.messages] == [
            (MessageKind.TRADE, told, 1001, 500, 45465818387, 1624493670759 * 10**6)]


@pytest.mark.parametrize(("text", "status", "listing"), [
    (changes(BIDS, ASKS, "CD") | {"changes": [["bid", "1", "1"]]}, DecodeStatus.BAD_FIELD, 1),
    (changes(BIDS, ASKS, "CD") | {"changes": [["buy", "1"]]}, DecodeStatus.BAD_FIELD, 1),
    (changes(BIDS, ASKS, "CD") | {"changes": [["buy", "-1", "1"]]}, DecodeStatus.NUMBER_RANGE, 1),
    (changes(BIDS, ASKS, "CD") | {"changes": [["buy", "1.001", "1"]]}, DecodeStatus.NUMBER_INEXACT, 1),
    ({"type": "l2_updates", "symbol": "AB"}, DecodeStatus.BAD_FIELD, 0),
    ({"type": "l2_updates", "changes": []}, DecodeStatus.BAD_FIELD, -1),
    ('{"type":"l2_updates","symbol":"AB","changes":[],"changes":[]}', DecodeStatus.BAD_JSON, 0),
    ('{"changes":[],"type":"l2_updates","symbol":"AB","changes":[]}', DecodeStatus.BAD_JSON, 0),
    ('{"type":"trade","type":"l2_updates"}', DecodeStatus.BAD_JSON, -1),
    (trade(side="long"), DecodeStatus.BAD_FIELD, 0),
    (trade(price="-1"), DecodeStatus.NUMBER_RANGE, 0),
    ({key: value for key, value in trade().items() if key != "event_id"}, DecodeStatus.BAD_FIELD, 0),
    ({"type": "l3_updates", "symbol": "AB"}, DecodeStatus.UNKNOWN_MESSAGE, 0),
    ({"symbol": "AB"}, DecodeStatus.UNKNOWN_MESSAGE, 0),
])
def test_what_is_refused_names_its_listing(decoded, text, status, listing):
    found, out = decoded(text)
    assert (found, out.fault[0], len(out.messages)) == (status, listing, 0)


@pytest.mark.parametrize(("frame", "kind"), [
    (changes(BIDS, ASKS, "OTHER"), MessageKind.IGNORED),
    ({"type": "heartbeat", "timestamp": 1624493666869}, MessageKind.IGNORED),
    ({"type": "auction_result", "symbol": "AB"}, MessageKind.IGNORED),
    ({"type": "subscription_ack"}, MessageKind.SESSION),
    ({"result": "error", "reason": "InvalidJson"}, MessageKind.SESSION),
])
def test_what_is_no_market_data(decoded, frame, kind):
    status, out = decoded(frame)
    assert status == DecodeStatus.DECODED and [message["kind"] for message in out.messages] == [kind]


# -- session -----------------------------------------------------------------------------------------------------

DETAILS = ('{"symbol":"BTCUSD","base_currency":"BTC","quote_currency":"USD","tick_size":1E-8,"quote_increment":0.01,'
           '"min_order_size":"0.00001","status":"open"}')


def listed(text, symbol="BTCUSD"):
    session = session_for("gemini", SessionSettings("test", symbols=(symbol,)))
    [request] = session.metadata()
    assert request.url == f"https://api.gemini.com/v1/symbols/details/{symbol.lower()}"
    [listing] = session.listings({request.purpose: text.encode()})
    return listing


def test_listings_of_recorded_details():
    """Steps are JSON numbers, with exponents; none may pass through a float."""
    one = listed(DETAILS)
    assert (one.instrument, one.base, one.quote, one.tick, one.lot, one.minimum_quantity, one.halted) == (
        "BTC-USD", "BTC", "USD", Decimal("0.01"), Decimal("1E-8"), Decimal("0.00001"), False)
    for status, halted in (("closed", True), ("cancel_only", True), ("post_only", False), ("limit_only", False)):
        assert listed(DETAILS.replace("open", status)).halted == halted
    swap = DETAILS.replace("BTCUSD", "BTCGUSDPERP").replace('"USD"', '"GUSD"').replace("{", '{"product_type":"swap",')
    assert listed(swap, "BTCGUSDPERP").instrument == "BTC-GUSD-PERPETUAL"


def test_what_is_not_offered_is_named():
    with pytest.raises(SessionError, match="'btcusd' is not offered .it is called 'BTCUSD'.; check `symbols`"):
        listed(DETAILS, "btcusd")
    with pytest.raises(SessionError, match="set trade = false"):
        session_for("gemini", SessionSettings("test", trade=True)).order_codec(None, {})


def test_what_the_session_says():
    session = session_for("gemini", SessionSettings("test", symbols=tuple(SYMBOLS)))
    assert [endpoint.url for endpoint in session.endpoints()] == ["wss://api.gemini.com/v2/marketdata"]
    request, ready = session.opened("market", 0)
    assert ready == Ready("market") and json.loads(request.text) == {
        "type": "subscribe", "subscriptions": [{"name": "l2", "symbols": SYMBOLS}]}
    session.start([4], [type("Listing", (), {"symbol": "ETHUSD"})])
    assert [json.loads(action.text) for action in session.need_snapshot(4, BookFault.GAP, 0)] == [
        {"type": kind, "subscriptions": [{"name": "l2", "symbols": ["ETHUSD"]}]}
        for kind in ("unsubscribe", "subscribe")]
    assert session.frame("market", b'{"type":"subscription_ack"}', 0) == []
    assert session.frame("market", b'{"result":"error","reason":"InvalidJson"}', 0) == [
        Problem("refused: InvalidJson")]


# -- ccxt --------------------------------------------------------------------------------------------------------

def pointed(client, port):
    """The client with its base URLs replaced, and nothing else."""
    client.urls["api"].update({name: f"http://127.0.0.1:{port}" for name in ("public", "private")})
    if "ws" in client.urls["api"]:
        client.urls["api"]["ws"] = f"ws://127.0.0.1:{port}"
    client.options["fetchMarketsFromAPI"]["fetchDetailsForAllSymbols"] = True
    return client


def test_ccxt_reads_markets_and_books():
    with simulated("gemini") as (exchange, clock):
        client = pointed(ccxt.gemini({"timeout": 10_000}), exchange.ports.plain)
        markets = client.load_markets()
        assert markets["BTC/USD"]["precision"] == {"amount": 1e-8, "price": 1.0}
        clock.stop()
        client.fetch_order_book("BTC/USD")              # the market catches up with the stopped clock
        found = client.fetch_order_book("BTC/USD", limit=20)
        bids, asks = true_books(exchange, ["BTCUSD"], 20)["BTCUSD"]
        assert [level[:2] for level in found["bids"]] == [[float(number) for number in level] for level in bids]
        assert [level[:2] for level in found["asks"]] == [[float(number) for number in level] for level in asks]


def test_ccxt_watches_books_and_trades():
    async def watch(exchange, clock):
        client = pointed(ccxt.pro.gemini(), exchange.ports.plain)
        try:
            trades = await asyncio.wait_for(client.watch_trades("BTC/USD"), PATIENCE)
            assert trades and all(trade["side"] in ("buy", "sell") and trade["amount"] > 0 for trade in trades)
        finally:
            await client.close()
        client = pointed(ccxt.pro.gemini(), exchange.ports.plain)
        try:
            await watched_until_true(client, "BTC/USD", exchange, clock, "BTCUSD", 1000)
        finally:
            await client.close()

    with simulated("gemini") as (exchange, clock):
        asyncio.run(watch(exchange, clock))
