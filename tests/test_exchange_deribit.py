"""Deribit: session, codec and dialect, and ccxt as a client that knows the real exchange."""
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
from tests.against_dialect import (
    books_equal,
    connected,
    one_is_resynced,
    simulated,
    true_books,
    watched_until_true,
)
from tests.codec_frames import listing_table
from tests.feed import Feed, levels
from tests.serving import PATIENCE, Run

SYMBOLS = ["BTC-PERPETUAL", "ETH_USDC-PERPETUAL"]
BIDS, ASKS = {1000: 5000, 999: 1000}, {1001: 4000, 1002: 2000}
LIVE, STALE = BookState.LIVE, BookState.STALE


def rows(side):
    """Rows of prices with two and quantities with three decimals."""
    return [["delete" if Decimal(amount) == 0 else "change", float(price), float(amount)]
            for price, amount in levels(side)]


def broken(row):
    """A snapshot of CD with one row."""
    frame = book(107, {}, {}, symbol="CD")
    frame["params"]["data"]["bids"] = [row]
    return frame


def notification(channel, data):
    return {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}}


def book(change, bids, asks, previous=None, symbol="AB", **more):
    """A book frame; a snapshot where there is no previous change."""
    ids = {"type": "snapshot"} if previous is None else {"type": "change", "prev_change_id": previous}
    return notification(f"book.{symbol}.100ms", ids | {
        "timestamp": 1699999999000, "instrument_name": symbol, "change_id": change, "bids": rows(bids),
        "asks": rows(asks)} | more)


def trade(**fields):
    return {"trade_seq": 30289432, "trade_id": "48079254", "timestamp": 1590484156350, "tick_direction": 0,
            "price": 89.5, "mark_price": 89.4, "instrument_name": "AB", "index_price": 88.2, "direction": "buy",
            "amount": 0.05} | fields


def changed(state, fault=BookFault.NO_FAULT, listing=0):
    return EventKind.BOOK_CHANGED, listing, state, fault


@pytest.fixture
def pair():
    """Two LIVE books at change 100."""
    feed = Feed("deribit", ["AB", "CD"])
    feed.open()
    for listing, symbol in enumerate(("AB", "CD")):
        assert feed.frame(book(100, BIDS, ASKS, symbol=symbol)) == [changed(LIVE, listing=listing)]
    return feed


@pytest.fixture
def decoded():
    """A function: frame -> (status, DecodeOutput)."""
    symbols = {"AB": 0, "CD": 1}
    session = session_for("deribit", SessionSettings("test", symbols=tuple(symbols)))
    codec, out = session.market_codec(listing_table([(2, 3), (2, 3)]), symbols), DecodeOutput()

    def decode(text):
        return codec.decode_frame((text if isinstance(text, str) else json.dumps(text)).encode(), out), out
    return decode


# -- against the dialect -----------------------------------------------------------------------------------------

def test_books_equal_the_matching_engines():
    books_equal("deribit", SYMBOLS, window=1000)


def test_a_lost_frame_resyncs_one_listing_alone():
    one_is_resynced("deribit", SYMBOLS, "book.BTC-PERPETUAL.100ms", depth=1000)


def test_a_refused_subscription_is_told():
    request = ('{"jsonrpc":"2.0","id":1,"method":"public/subscribe",'
               '"params":{"channels":["book.BTC-PERPETUAL.raw"]}}')
    with simulated("deribit") as (exchange, _), Run("sync", [connected(
            "deribit", exchange.ports.plain, ["BTC-PERPETUAL"], subscribe=(request,))]) as run:
        run.wait_told("subscription of BTC-PERPETUAL: raw_subscriptions_not_available_for_unauthorized")


# -- books -------------------------------------------------------------------------------------------------------

def test_changes_are_a_chain(pair):
    assert pair.frame(book(107, {1000: 0, 998: 7}, {1001: 1}, previous=100)) == []
    assert pair.shown() == [[(999, 1000), (998, 7)], [(1001, 1), (1002, 2000)]]
    found = pair.frame(book(110, {997: 1}, {}, previous=108))
    assert changed(STALE, BookFault.GAP) in found and pair.shown() == [[], []]
    assert pair.state(1) == (LIVE, BookFault.NO_FAULT)
    assert pair.frame(book(111, BIDS, ASKS)) == [changed(LIVE)]


def test_a_delete_deletes_whatever_its_amount(pair):
    frame = book(101, {}, {}, previous=100)
    frame["params"]["data"]["bids"] = [["delete", 10.0, 5.0]]
    pair.frame(frame)
    assert pair.shown()[0] == [(999, 1000)]


# -- codec -------------------------------------------------------------------------------------------------------

def test_keys_come_in_any_order(decoded):
    frame = book(107, BIDS, ASKS, previous=100)
    data = frame["params"]["data"]
    turned = {"params": {"data": dict(reversed(data.items())), "channel": frame["params"]["channel"]},
              "method": "subscription"}
    status, out = decoded(turned)
    [message] = out.messages
    assert (status, *(message[name] for name in ("kind", "listing", "last_id", "previous_id", "exchange_ns",
                                                 "bids_count", "asks_count"))) == (
        DecodeStatus.DECODED, MessageKind.UPDATE, 0, 107, 100, 1699999999000 * 10**6, 2, 2)


def test_numbers_with_exponents(decoded):
    text = json.dumps(book(107, {}, {}, previous=100)).replace('"bids": []', '"bids": [["new", 1.25E1, 5e-3]]')
    status, out = decoded(text)
    assert status == DecodeStatus.DECODED
    assert [tuple(level) for level in out.levels[:1]] == [(1250, 5)]


@pytest.mark.parametrize(("frame", "status", "listing"), [
    (book(107, BIDS, ASKS, previous=100, symbol="CD", type="patch"), DecodeStatus.UNKNOWN_MESSAGE, 1),
    (book(107, BIDS, ASKS, symbol="CD", type="change"), DecodeStatus.BAD_FIELD, 1),
    (broken(["new", 1.0]), DecodeStatus.BAD_FIELD, 1),
    (broken(["old", 1.0, 1.0]), DecodeStatus.BAD_FIELD, 1),
    (broken(["new", -1.0, 1.0]), DecodeStatus.NUMBER_RANGE, 1),
    (broken(["new", 1.001, 1.0]), DecodeStatus.NUMBER_INEXACT, 1),
    (notification("book.CD.100ms", {"type": "snapshot"}), DecodeStatus.BAD_FIELD, 1),
    (notification("trades.CD.100ms", [trade(direction="up")]), DecodeStatus.BAD_FIELD, 1),
    ({"method": "subscription", "params": {"channel": "book.CD.100ms"}}, DecodeStatus.BAD_FIELD, 1),
    ({"method": "subscription", "params": {}}, DecodeStatus.BAD_FIELD, -1),
    ({"params": {"channel": "book.CD.100ms", "data": {}}, "method": "x"}, DecodeStatus.BAD_FIELD, 1),
    (book(107, BIDS, ASKS) | {"method": "publish"}, DecodeStatus.UNKNOWN_MESSAGE, 0),
    ({"jsonrpc": "2.0", "method": "alarm"}, DecodeStatus.UNKNOWN_MESSAGE, -1),
    (notification("book.CD", {}), DecodeStatus.UNKNOWN_MESSAGE, -1),
    ('{"method":"subscription","method":"subscription"}', DecodeStatus.BAD_JSON, -1),
])
def test_what_is_refused_names_its_listing(decoded, frame, status, listing):
    found, out = decoded(frame)
    assert (found, out.fault[0], len(out.messages)) == (status, listing, 0)


@pytest.mark.parametrize(("frame", "kind"), [
    (book(107, BIDS, ASKS, symbol="OTHER"), MessageKind.IGNORED),
    (notification("book.AB.none.20.100ms", {"bids": [[1.0, 2.0]]}), MessageKind.IGNORED),
    (notification("ticker.AB.100ms", {}), MessageKind.IGNORED),
    ({"jsonrpc": "2.0", "id": 1, "result": []}, MessageKind.SESSION),
    ({"jsonrpc": "2.0", "id": 1, "error": {"code": 10028, "message": "too_many_requests"}}, MessageKind.SESSION),
    ({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}}, MessageKind.SESSION),
])
def test_what_is_no_market_data(decoded, frame, kind):
    status, out = decoded(frame)
    assert status == DecodeStatus.DECODED and [message["kind"] for message in out.messages] == [kind]


def test_trades(decoded):
    status, out = decoded(notification("trades.AB.100ms", [trade(), trade(trade_seq=30289433, direction="sell")]))
    assert status == DecodeStatus.DECODED
    assert [tuple(message[name] for name in ("kind", "side", "price", "quantity", "last_id", "exchange_ns"))
            for message in out.messages] == [
        (MessageKind.TRADE, side, 8950, 50, number, 1590484156350 * 10**6)
        for side, number in ((Side.BUY, 30289432), (Side.SELL, 30289433))]


# -- session -----------------------------------------------------------------------------------------------------

PERPETUAL = ('{"instrument_name":"BTC-PERPETUAL","kind":"future","instrument_type":"reversed","tick_size":0.5,'
             '"tick_size_steps":[],"contract_size":10.0,"min_trade_amount":10.0,"settlement_currency":"BTC",'
             '"base_currency":"BTC","quote_currency":"USD","counter_currency":"USD",'
             '"settlement_period":"perpetual","is_active":true}')
OPTION = ('{"tick_size":0.0005,"tick_size_steps":[{"above_price":0.005,"tick_size":0.0001}],"quote_currency":"BTC",'
          '"counter_currency":"USD","min_trade_amount":0.1,"kind":"option","is_active":true,"state":"open",'
          '"instrument_name":"BTC-24SEP21-40000-P","settlement_currency":"BTC","contract_size":1.0,'
          '"base_currency":"BTC","settlement_period":"month","expiration_timestamp":1632470400000}')


def listed(text):
    symbol = json.loads(text)["instrument_name"]
    session = session_for("deribit", SessionSettings("test", symbols=(symbol,)))
    [request] = session.metadata()
    assert request.url == f"https://www.deribit.com/api/v2/public/get_instrument?instrument_name={symbol}"
    [listing] = session.listings({request.purpose: f'{{"jsonrpc":"2.0","result":{text}}}'.encode()})
    return listing


def test_listings_of_documented_instruments():
    one = listed(PERPETUAL)
    assert (one.instrument, one.base, one.quote, one.tick, one.lot, one.minimum_quantity, one.halted) == (
        "BTC-USD-PERPETUAL-1USD", "BTC", "USD", Decimal("0.5"), 10, 10, False)
    assert listed(PERPETUAL.replace('"is_active":true', '"is_active":false')).halted
    linear = PERPETUAL.replace("BTC-PERPETUAL", "BTC_USDC-PERPETUAL").replace('"USD"', '"USDC"').replace(
        '"settlement_currency":"BTC"', '"settlement_currency":"USDC"')
    assert listed(linear).instrument == "BTC-USDC-PERPETUAL"
    dated = PERPETUAL.replace("BTC-PERPETUAL", "BTC-27MAR26").replace(
        '"perpetual"', '"month","expiration_timestamp":1774598400000')
    assert listed(dated).instrument == "BTC-USD-260327-1USD"
    option = listed(OPTION)
    assert (option.instrument, option.quote, option.tick, option.lot) == (
        "BTC-USD-210924-40000-P", "BTC", Decimal("0.0001"), Decimal("0.1"))
    assert listed(OPTION.replace('"open"', '"locked"')).halted
    spot = PERPETUAL.replace("BTC-PERPETUAL", "BTC_USDC").replace('"future"', '"spot"').replace('"USD"', '"USDC"')
    assert listed(spot).instrument == "BTC-USDC"


def test_what_is_not_offered_is_named():
    session = session_for("deribit", SessionSettings("test", symbols=("NOSUCH",)))
    with pytest.raises(SessionError, match="'NOSUCH' is not offered .Invalid params.; check `symbols`"):
        session.listings({"instrument NOSUCH": b'{"error":{"message":"Invalid params","code":-32602}}'})
    with pytest.raises(SessionError, match="set trade = false"):
        session_for("deribit", SessionSettings("test", trade=True)).order_codec(None, {})


def test_what_the_session_says():
    session = session_for("deribit", SessionSettings("test", symbols=("AB", "CD")))
    assert [endpoint.url for endpoint in session.endpoints()] == ["wss://www.deribit.com/ws/api/v2"]
    alive, *requests = session.opened("market", 0)
    assert isinstance(alive, KeepAlive) and alive.interval_ns == 30 * SECOND_NS
    assert json.loads(alive.text)["method"] == "public/test"
    assert [json.loads(request.text) for request in requests] == [
        {"jsonrpc": "2.0", "id": number, "method": "public/subscribe",
         "params": {"channels": [f"book.{symbol}.100ms", f"trades.{symbol}.100ms"]}}
        for number, symbol in ((1, "AB"), (2, "CD"))]
    session.start([4], [type("Listing", (), {"symbol": "CD"})])
    assert [json.loads(action.text) for action in session.need_snapshot(4, BookFault.GAP, 0)] == [
        {"jsonrpc": "2.0", "id": number, "method": f"public/{method}", "params": {"channels": ["book.CD.100ms"]}}
        for method, number in (("unsubscribe", 0), ("subscribe", 2))]
    both = Answered("market", (Subscription("book", "CD"), Subscription("trades", "CD")))
    assert session.frame("market", b'{"id":2,"result":["book.CD.100ms"]}', 0) == [Ready("market"), both]
    assert session.frame("market", b'{"id":0,"result":{"version":"1.2.26"}}', 0) == []
    assert session.frame("market", b'{"id":2,"result":[]}', 0) == [
        Problem("subscription of CD: no such channel"), both]
    assert session.frame("market", b'{"id":7,"error":{"message":"too_many_requests","code":10028}}', 0) == [
        Problem("too_many_requests (code 10028)")]
    [answer] = session.frame("market", b'{"method":"heartbeat","params":{"type":"test_request"}}', 0)
    assert isinstance(answer, Send) and json.loads(answer.text)["method"] == "public/test"


# -- ccxt --------------------------------------------------------------------------------------------------------

def pointed(client, port):
    """The client with its base URLs replaced, and nothing else."""
    client.urls["api"]["rest"] = f"http://127.0.0.1:{port}"
    if "ws" in client.urls["api"]:
        client.urls["api"]["ws"] = f"ws://127.0.0.1:{port}/ws/api/v2"
    return client


def test_ccxt_reads_markets_and_books():
    with simulated("deribit") as (exchange, clock):
        client = pointed(ccxt.deribit({"timeout": 10_000}), exchange.ports.plain)
        markets = client.load_markets()
        assert markets["BTC/USD:BTC"]["inverse"] and markets["ETH/USDC:USDC"]["linear"]
        clock.stop()
        client.fetch_order_book("BTC/USD:BTC", limit=20)        # the market catches up with the stopped clock
        for symbol, listed_as in (("BTC/USD:BTC", SYMBOLS[0]), ("ETH/USDC:USDC", SYMBOLS[1])):
            found = client.fetch_order_book(symbol, limit=20)
            bids, asks = true_books(exchange, [listed_as], 20)[listed_as]
            assert [level[:2] for level in found["bids"]] == [[float(number) for number in level] for level in bids]
            assert [level[:2] for level in found["asks"]] == [[float(number) for number in level] for level in asks]


@pytest.mark.parametrize(("symbol", "listed_as"), [("BTC/USD:BTC", SYMBOLS[0]), ("ETH/USDC:USDC", SYMBOLS[1])])
def test_ccxt_watches_books_and_trades(symbol, listed_as):
    async def watch(exchange, clock):
        client = pointed(ccxt.pro.deribit(), exchange.ports.plain)
        try:
            trades = await asyncio.wait_for(client.watch_trades(symbol), PATIENCE)
            assert trades and all(trade["side"] in ("buy", "sell") and trade["amount"] > 0 for trade in trades)
            await watched_until_true(client, symbol, exchange, clock, listed_as, 1000)
        finally:
            await client.close()

    with simulated("deribit") as (exchange, clock):
        asyncio.run(watch(exchange, clock))
