"""Gate.io spot and perpetuals: sessions, codec and dialects, and ccxt as a client that knows the real exchange."""
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
from orderflow.instrument import table
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.launch import SimulatorSettings, build
from orderflow.wiring import wait_until
from tests.against_dialect import books_equal, one_is_resynced, simulated, true_books, watched_until_true
from tests.codec_frames import listing_table
from tests.feed import Feed, levels
from tests.serving import PATIENCE

SYMBOLS = ["BTC_USDT", "ETH_USDT"]
MARKETS = {"gate": "spot", "gate_futures": "futures"}
PATHS = {"gate": "/ws/v4/", "gate_futures": "/v4/ws/usdt"}
BIDS, ASKS = {1000: 5000, 999: 1000}, {1001: 4000, 1002: 2000}
WINDOW = 100
LIVE, STALE = BookState.LIVE, BookState.STALE

both = pytest.mark.parametrize("protocol", MARKETS)


def sides(protocol, bids, asks, names=("b", "a")):
    """Both sides as the market writes its levels."""
    return {name: [{"p": price, "s": quantity} for price, quantity in levels(side)] if protocol == "gate_futures"
            else levels(side) for name, side in zip(names, (bids, asks), strict=True)}


def update(protocol, first, last, bids, asks, symbol="A_B", **fields):
    """A book frame of prices with two and quantities with three decimals; a futures frame begins with its levels."""
    ids = {"t": 1619093532988, "s": symbol, "U": first, "u": last}
    result = {**sides(protocol, bids, asks), **ids} if protocol == "gate_futures" else {
        **ids, **sides(protocol, bids, asks)}
    return {"time": 1619093532, "channel": f"{MARKETS[protocol]}.order_book_update", "event": "update",
            "result": result | fields}


def snapshot(protocol, number, bids=BIDS, asks=ASKS):
    return {"id": number} | sides(protocol, bids, asks, ("bids", "asks"))


def changed(state, fault=BookFault.NO_FAULT, listing=0):
    return EventKind.BOOK_CHANGED, listing, state, fault


def decoder(protocol):
    """A function: frame -> (status, DecodeOutput), and the codec."""
    symbols = {"A_B": 0, "C_D": 1}
    session = session_for(protocol, SessionSettings("test", symbols=tuple(symbols)))
    codec, out = session.market_codec(listing_table([(2, 3), (2, 3)]), symbols), DecodeOutput()

    def decode(text):
        return codec.decode_frame((text if isinstance(text, str) else json.dumps(text)).encode(), out), out
    return decode


# -- against the dialect -----------------------------------------------------------------------------------------

@both
def test_books_equal_the_matching_engines(protocol):
    books_equal(protocol, SYMBOLS, WINDOW)


@both
def test_a_lost_frame_resyncs_one_listing_alone(protocol):
    one_is_resynced(protocol, SYMBOLS, Subscription("order_book_update", "BTC_USDT"), WINDOW)


def dialect(protocol):
    """A simulated Gate without sockets, with one connection, and a function that says something and hears answers."""
    venue = build(SimulatorSettings(protocol, protocol, seed=1, origin_ns=SECOND_NS))
    venue.open(1, PATHS[protocol], SECOND_NS)

    def say(channel, event="", payload=(), **fields):
        text = json.dumps({"time": 1, "channel": f"{MARKETS[protocol]}.{channel}", "event": event,
                           "payload": list(payload)} | fields)
        venue.message(1, text, SECOND_NS)
        return [json.loads(sent) for _, sent in venue.drain()]
    return venue, say


@both
def test_a_refused_subscription_is_a_clear_problem(protocol):
    _, say = dialect(protocol)
    session, decode = session_for(protocol, SessionSettings("test")), decoder(protocol)
    [refusal] = say("order_book_update", "subscribe", ["NO_SUCH", "100ms"])
    assert [message["kind"] for message in decode(refusal)[1].messages] == [MessageKind.SESSION]
    [problem] = session.frame("market", json.dumps(refusal).encode(), 0)
    assert isinstance(problem, Problem) and "NO_SUCH" in problem.message and "(code 2)" in problem.message
    [ack] = say("trades", "subscribe", ["BTC_USDT"])
    assert [message["kind"] for message in decode(ack)[1].messages] == [MessageKind.SESSION]
    assert session.frame("market", json.dumps(ack).encode(), 0) == [Ready("market")]


@both
def test_the_dialect_answers_as_documented(protocol):
    venue, say = dialect(protocol)
    [pong] = say("ping")
    assert (pong["channel"], pong["event"], pong["result"]) == (f"{MARKETS[protocol]}.pong", "", None)
    [ack] = say("order_book_update", "subscribe", ["BTC_USDT", "100ms"], id=7)
    assert (ack["event"], ack["result"], ack["id"]) == ("subscribe", {"status": "success"}, 7)
    assert list(venue.subscribers) == [Subscription("order_book_update", "BTC_USDT")]
    assert say("order_book_update", "unsubscribe", ["BTC_USDT", "100ms"])[0]["event"] == "unsubscribe"
    assert venue.subscribers == {}
    for payload in (["BTC_USDT"], ["BTC_USDT", "1s"], ["BTC_USDT", 100], []):
        assert say("order_book_update", "subscribe", payload)[0]["error"]["code"] == 2
    venue.message(1, "{", SECOND_NS)
    assert json.loads(venue.drain()[0][1])["error"]["code"] == 1
    for path, query, status in ((f"{venue.rest_root}/order_book", f"{venue.asked_by}=NO_SUCH", 400),
                                (f"{venue.rest_root}/order_book", f"{venue.asked_by}=BTC_USDT&limit=no", 400),
                                ("/api/v4/elsewhere", "", 404)):
        assert venue.http("GET", path, query, {}, b"", SECOND_NS).status == status


# -- books -------------------------------------------------------------------------------------------------------

@pytest.fixture(params=MARKETS)
def pair(request):
    """(protocol, a feed of two LIVE books whose last id is 100)."""
    feed = Feed(request.param, ["A_B", "C_D"])
    feed.open()
    for listing, symbol in enumerate(("A_B", "C_D")):
        assert feed.frame(update(request.param, 95, 100, {1000: 5000}, {}, symbol)) == [
            (EventKind.SNAPSHOT_NEEDED, listing)]
        assert feed.snapshot(snapshot(request.param, 97), listing) == [changed(LIVE, listing=listing)]
    return request.param, feed


def test_a_gap_is_stale_before_anyone_can_read(pair):
    protocol, feed = pair
    assert feed.frame(update(protocol, 102, 103, {1000: 0}, {})) == [
        changed(STALE, BookFault.GAP), (EventKind.SNAPSHOT_NEEDED, 0)]
    assert feed.shown() == [[], []] and feed.state(1) == (LIVE, BookFault.NO_FAULT)
    assert feed.frame(update(protocol, 101, 101, {}, {1001: 1}, "C_D")) == []
    assert feed.shown(1)[1][0] == (1001, 1)
    assert feed.frame(update(protocol, 104, 105, {1000: 7}, {})) == []
    assert feed.snapshot(snapshot(protocol, 103, {999: 1000})) == [changed(LIVE)]
    assert feed.shown()[0] == [(1000, 7), (999, 1000)]
    assert feed.loop.counters(1)["snapshots"] == 1


def test_updates_that_the_book_knows_are_dropped(pair):
    protocol, feed = pair
    assert feed.frame(update(protocol, 99, 100, {1000: 1}, {})) == []
    assert feed.shown()[0][0] == (1000, 5000)
    assert feed.frame(update(protocol, 101, 101, {1000: 2}, {})) == []
    assert feed.shown()[0][0] == (1000, 2) and feed.state() == (LIVE, BookFault.NO_FAULT)


def test_a_snapshot_that_is_too_old_is_asked_for_again():
    feed = Feed("gate", ["A_B"])
    feed.open()
    feed.frame(update("gate", 95, 100, {1000: 5000}, {}))
    assert feed.snapshot(snapshot("gate", 93)) == [(EventKind.SNAPSHOT_NEEDED, 0)]
    assert feed.snapshot(snapshot("gate", 94)) == [changed(LIVE)]


# -- codec -------------------------------------------------------------------------------------------------------

@both
def test_result_before_what_it_depends_on(protocol):
    decode = decoder(protocol)
    one = update(protocol, 5, 9, BIDS, ASKS, "C_D")
    status, out = decode({name: one[name] for name in ("result", "event", "channel")})
    assert status == DecodeStatus.DECODED
    [message] = out.messages
    assert (message["listing"], message["kind"], message["first_id"], message["last_id"]) == (
        1, MessageKind.UPDATE, 5, 9)
    assert (message["bids_count"], message["asks_count"], message["exchange_ns"]) == (2, 2, 1619093532988 * 10**6)
    text = json.dumps({name: one[name] for name in ("result", "event", "channel")})
    assert decode(text.replace("9.99", "9.991"))[0] == DecodeStatus.NUMBER_INEXACT
    assert out.fault[0] == 1


def test_contracts_of_any_spelling():
    """What the fast reader does not take, the slow one does: quotes, exponents, other orders, new keys."""
    decode = decoder("gate_futures")
    text = ('{"channel":"futures.order_book_update","event":"update","result":{"s":"A_B","U":1,"u":2,"a":['
            '{"p":"10.5","s":1},{"s":2,"p":"10.6"},{"p":"107e-1","s":"3"},{ "p":10.8,"s":0.25,"o":1},'
            '{"p":"10.9","s":1}],"b":[]}}')
    status, out = decode(text)
    assert status == DecodeStatus.DECODED
    assert out.levels[:5].tolist() == [(1050, 1000), (1060, 2000), (1070, 3000), (1080, 250), (1090, 1000)]
    assert decode(text.replace('"s":1}', '"s":-1}'))[0] == DecodeStatus.NUMBER_RANGE
    assert decode(text.replace('{"p":"10.5","s":1}', '{"p":"10.5"}'))[0] == DecodeStatus.BAD_FIELD
    assert decode(text.replace('{"p":"10.5","s":1}', '{"p":"10.5","s":1,"s":2}'))[0] == DecodeStatus.BAD_JSON


@both
def test_a_full_book_in_the_stream_is_a_snapshot(protocol):
    status, out = decoder(protocol)(update(protocol, 5, 9, BIDS, ASKS, full=True))
    assert status == DecodeStatus.DECODED
    assert [(m["kind"], m["last_id"]) for m in out.messages] == [(MessageKind.SNAPSHOT, 9)]


@both
@pytest.mark.parametrize("missing", ["s", "U", "u", "b", "a"])
def test_a_missing_key_is_a_fault(protocol, missing):
    one = update(protocol, 5, 9, BIDS, ASKS)
    del one["result"][missing]
    status, out = decoder(protocol)(one)
    assert (status, out.fault[0], len(out.messages)) == (DecodeStatus.BAD_FIELD, -1 if missing == "s" else 0, 0)


@both
@pytest.mark.parametrize(("channel", "event", "result", "status"), [
    ("order_book_update", "update", None, DecodeStatus.BAD_FIELD),
    ("order_book_update", "all", [], DecodeStatus.UNKNOWN_MESSAGE),
    ("surprises", "update", {}, DecodeStatus.UNKNOWN_MESSAGE),
    ("trades", "update", {"id": 1}, DecodeStatus.BAD_FIELD),
])
def test_what_is_refused(protocol, channel, event, result, status):
    found, out = decoder(protocol)({"channel": f"{MARKETS[protocol]}.{channel}", "event": event, "result": result})
    assert (found, len(out.messages)) == (status, 0)


@both
@pytest.mark.parametrize(("channel", "event", "result"), [
    ("pong", "", None), ("tickers", "update", {"last": "1"}), ("candlesticks", "update", []),
    ("book_ticker", "update", {"s": "A_B"}), ("trades", "update", [])])
def test_what_is_of_no_interest(protocol, channel, event, result):
    status, out = decoder(protocol)({"channel": f"{MARKETS[protocol]}.{channel}", "event": event, "result": result})
    assert status == DecodeStatus.DECODED and [m["kind"] for m in out.messages] == [MessageKind.IGNORED]


@both
def test_a_foreign_symbol_is_of_no_interest(protocol):
    status, out = decoder(protocol)(update(protocol, 1, 2, BIDS, ASKS, "X_Y"))
    assert status == DecodeStatus.DECODED
    assert [(m["kind"], m["bids_count"]) for m in out.messages] == [(MessageKind.IGNORED, 0)]


def trades_of(out):
    return [tuple(m[name] for name in ("listing", "side", "price", "quantity", "last_id", "exchange_ns"))
            for m in out.messages if m["kind"] == MessageKind.TRADE]


def test_spot_trades_alone_and_in_lists():
    decode = decoder("gate")
    trade = {"id": 816995772, "create_time": 1619093543, "create_time_ms": "1619093543708.2642", "side": "sell",
             "currency_pair": "A_B", "amount": "0.2010000000", "price": "121.5800000000"}
    first = (0, Side.SELL, 12158, 201, 816995772, 1619093543708264200)
    frame = {"channel": "spot.trades", "event": "update", "result": trade}
    assert decode(frame)[0] == DecodeStatus.DECODED and trades_of(decode(frame)[1]) == [first]
    frame["result"] = [trade, trade | {"currency_pair": "X_Y"}, trade | {"currency_pair": "C_D", "side": "buy"}]
    assert decode(frame)[0] == DecodeStatus.DECODED
    assert trades_of(decode(frame)[1]) == [first, (1, Side.BUY, *first[2:])]
    frame["result"] = trade | {"side": "none"}
    assert decode(frame)[0] == DecodeStatus.BAD_FIELD and decode(frame)[1].fault[0] == -1
    frame["result"] = trade | {"amount": "0.0001"}
    assert decode(frame)[0] == DecodeStatus.NUMBER_INEXACT and decode(frame)[1].fault[0] == 0


def test_futures_trades_tell_the_side_by_their_sign():
    decode = decoder("gate_futures")
    trade = {"size": -108, "id": 27753479, "create_time": 1545136464, "create_time_ms": 1545136464123,
             "price": "96.4", "contract": "A_B"}
    status, out = decode({"channel": "futures.trades", "event": "update", "result": [
        trade, trade | {"size": "5", "contract": "C_D"}, trade | {"is_internal": True}, trade | {"size": 0}]})
    assert status == DecodeStatus.DECODED
    assert trades_of(out) == [(0, Side.SELL, 9640, 108_000, 27753479, 1545136464123 * 10**6),
                              (1, Side.BUY, 9640, 5_000, 27753479, 1545136464123 * 10**6)]


# -- session -----------------------------------------------------------------------------------------------------

def recorded_answers(feeds, name):
    """(catalogue, order books by symbol) of a capture."""
    books = {}
    with gzip.open(feeds / f"captures/{name}.tsv.gz", "rt") as lines:
        for line in lines:
            _, direction, url, payload = line.rstrip("\n").split("\t")
            if direction == "http" and "order_book" in url:
                books[url.split("=")[1].split("&")[0]] = payload.encode()
            elif direction == "http":
                catalogue = payload.encode()
    return catalogue, books


def test_listings_of_recorded_pairs(feeds):
    catalogue, books = recorded_answers(feeds, "cf_gateio_a")
    session = session_for("gate", SessionSettings("test", symbols=("OMG_USDT", "DIS_USDT")))
    assert [request.url for request in session.metadata()] == [
        "https://api.gateio.ws/api/v4/spot/currency_pairs",
        "https://api.gateio.ws/api/v4/spot/order_book?currency_pair=OMG_USDT&limit=100&with_id=true",
        "https://api.gateio.ws/api/v4/spot/order_book?currency_pair=DIS_USDT&limit=100&with_id=true"]
    assert [request.purpose for request in session.metadata()] == ["currency_pairs", "book OMG_USDT", "book DIS_USDT"]
    omg, _ = session.listings({"currency_pairs": catalogue} | {f"book {name}": body for name, body in books.items()})
    [entry] = [entry for entry in json.loads(catalogue) if entry["id"] == "OMG_USDT"]
    assert (omg.instrument, omg.base, omg.quote, omg.halted) == ("OMG-USDT", "OMG", "USDT", False)
    assert omg.tick == Decimal(1).scaleb(-entry["precision"])
    assert omg.lot == Decimal(1).scaleb(-entry["amount_precision"])
    assert omg.minimum_notional == Decimal(entry["min_quote_amount"])
    assert omg.quantity_decimals >= 10                          # fills leave 251.8481948663


def test_a_pair_may_be_halted_and_have_bounds():
    entry = {"id": "A_B", "base": "A", "quote": "B", "precision": 2, "amount_precision": 3, "min_base_amount": "0.002",
             "min_quote_amount": "3", "max_base_amount": "5000", "trade_status": "sellable"}
    session = session_for("gate", SessionSettings("test", symbols=("A_B",)))
    [listing] = session.listings({"currency_pairs": json.dumps([entry]).encode()})
    assert listing.halted and listing.minimum_quantity == Decimal("0.002") and listing.maximum_quantity == 5000
    assert listing.minimum_notional == 3 and listing.quantity_decimals == 10


@pytest.mark.parametrize(("precision", "amount_precision", "level"), [
    (12, 0, ["0.000000000001", "123456789012"]), (8, 2, ["0.00000001", "98765432.1234567891"]),
    (2, 6, ["99999.99", "1"]), (4, 3, None)])
def test_extreme_steps_and_levels_keep_their_digits(precision, amount_precision, level):
    """Resting orders may be finer than the lot; the scale holds what the book shows."""
    entry = {"id": "A_B", "base": "A", "quote": "B", "precision": precision, "amount_precision": amount_precision}
    book = {"id": 1, "bids": [level] if level else [], "asks": []}
    session = session_for("gate", SessionSettings("test", symbols=("A_B",)))
    bodies = {"currency_pairs": json.dumps([entry]).encode(), "book A_B": json.dumps(book).encode()}
    [listing] = session.listings(bodies)
    [row] = table([listing], ["test"])
    assert Decimal(int(row["tick"])).scaleb(-listing.price_decimals) == Decimal(1).scaleb(-precision)
    out = DecodeOutput()
    codec = session.market_codec(table([listing], ["test"]), {"A_B": 0})
    assert codec.decode_snapshot_body(0, bodies["book A_B"], out) == DecodeStatus.DECODED
    assert [(Decimal(listing.price_text(one["price"])), Decimal(listing.quantity_text(one["quantity"])))
            for one in out.levels[:1 if level else 0]] == ([tuple(map(Decimal, level))] if level else [])


def test_listings_of_recorded_contracts(feeds):
    catalogue, books = recorded_answers(feeds, "cf_gateio_futures_a")
    session = session_for("gate_futures", SessionSettings("test", symbols=("OMG_USDT",)))
    assert [request.url for request in session.metadata()] == [
        "https://api.gateio.ws/api/v4/futures/usdt/contracts",
        "https://api.gateio.ws/api/v4/futures/usdt/order_book?contract=OMG_USDT&limit=100&with_id=true"]
    [omg] = session.listings({"contracts": catalogue, "book OMG_USDT": books["OMG_USDT"]})
    [entry] = [entry for entry in json.loads(catalogue) if entry["name"] == "OMG_USDT"]
    size = Decimal(entry["quanto_multiplier"])
    assert omg.instrument == "OMG-USDT-PERPETUAL" + ("" if size == 1 else f"-{size.normalize():f}OMG")
    assert (omg.tick, omg.lot, omg.minimum_quantity) == (Decimal(entry["order_price_round"]), 1, 1)
    assert omg.maximum_quantity == entry["order_size_max"] and not omg.halted


def test_contracts_say_how_much_they_are_and_that_they_end():
    entry = {"name": "A_B", "order_price_round": "0.1", "quanto_multiplier": "0.0001", "order_size_min": 1,
             "order_size_max": 1000, "in_delisting": True}
    session = session_for("gate_futures", SessionSettings("test", symbols=("A_B",)))
    [listing] = session.listings({"contracts": json.dumps([entry]).encode()})
    assert listing.halted and listing.instrument == "A-B-PERPETUAL-0.0001A"


@both
def test_metadata_that_cannot_be_used_is_said(protocol):
    session = session_for(protocol, SessionSettings("test", symbols=("A_B",)))
    purpose = session.metadata()[0].purpose
    with pytest.raises(SessionError, match="'A_B' is not offered"):
        session.listings({purpose: b"[]"})
    with pytest.raises(SessionError, match="Request Rate limit Exceeded"):
        session.listings({purpose: b'{"label":"TOO_MANY_REQUESTS","message":"Request Rate limit Exceeded"}'})
    with pytest.raises(SessionError, match="set trade = false"):
        session_for(protocol, SessionSettings("test", trade=True)).order_codec(None, {})


@both
def test_what_the_session_says(protocol):
    market = MARKETS[protocol]
    session = session_for(protocol, SessionSettings("test", symbols=("A_B", "C_D")))
    url = {"gate": "wss://api.gateio.ws/ws/v4/", "gate_futures": "wss://fx-ws.gateio.ws/v4/ws/usdt"}[protocol]
    assert [endpoint.url for endpoint in session.endpoints()] == [url]
    alive, *sent = session.opened("market", 7 * SECOND_NS)
    assert isinstance(alive, KeepAlive) and json.loads(alive.text) == {"time": 7, "channel": f"{market}.ping"}
    more = ["100"] if protocol == "gate_futures" else []
    assert [json.loads(action.text) for action in sent] == [
        {"time": 7, "id": 1, "channel": f"{market}.trades", "event": "subscribe", "payload": ["A_B", "C_D"]},
        *({"time": 7, "id": number, "channel": f"{market}.order_book_update", "event": "subscribe",
           "payload": [symbol, "100ms", *more]} for number, symbol in ((2, "A_B"), (3, "C_D")))]
    answer = {"id": 1, "channel": f"{market}.trades", "event": "subscribe", "result": {"status": "success"}}
    assert session.frame("market", json.dumps(answer).encode(), 0) == [
        Ready("market"), Answered("market", (Subscription("trades", "A_B"), Subscription("trades", "C_D")))]
    session.start([4], [type("Listing", (), {"symbol": "A_B"})])
    [fetch] = session.need_snapshot(4, BookFault.GAP, 0)
    assert isinstance(fetch, Fetch) and session.snapshot_symbol(fetch.request.url) == "A_B"
    leave, join, again = session.need_snapshot(4, BookFault.SILENT, 0)
    assert isinstance(leave, Send) and isinstance(join, Send) and again == fetch
    assert [json.loads(action.text)["event"] for action in (leave, join)] == ["unsubscribe", "subscribe"]


@both
def test_a_notice_of_an_upgrade_is_a_reconnect(protocol):
    notice = {"time": 1770694860, "time_ms": 1770694860773, "channel": f"{MARKETS[protocol]}.system",
              "event": "update", "result": {"type": "upgrade", "msg": "The connection will soon be closed."}}
    status, out = decoder(protocol)(notice)
    assert status == DecodeStatus.DECODED and [m["kind"] for m in out.messages] == [MessageKind.SESSION]
    [again] = session_for(protocol, SessionSettings("test")).frame("market", json.dumps(notice).encode(), 0)
    assert isinstance(again, Reconnect) and "upgrade" in again.reason


@both
def test_answers_become_snapshots_or_problems(protocol):
    session = session_for(protocol, SessionSettings("test"))
    request = Request("snapshot", "GET", "http://x/order_book?limit=100", listing=3)
    assert session.answer(request, 200, b"{}", 0) == [SnapshotBody(3, b"{}", 100)]
    [problem] = session.answer(request, 429, b"slow down", 0)
    assert isinstance(problem, Problem) and "429" in problem.message and "slow down" in problem.message
    assert session.frame("market", b'{"channel":"spot.trades","event":"unsubscribe","result":{}}', 0) == []


# -- ccxt --------------------------------------------------------------------------------------------------------

def pointed(client, port):
    """The client with its base URLs replaced, and nothing else."""
    for access in ("public", "private"):
        client.urls["api"][access] = dict.fromkeys(client.urls["api"][access], f"http://127.0.0.1:{port}/api/v4")
    client.urls["api"]["spot"] = f"ws://127.0.0.1:{port}/ws/v4/"
    client.urls["api"]["swap"] = {"usdt": f"ws://127.0.0.1:{port}/v4/ws/usdt"}
    return client


def options(protocol):
    return {"options": {"fetchMarkets": {"types": ["spot" if protocol == "gate" else "swap"]},
                        "watchOrderBook": {"checksum": True}}}


CCXT_SYMBOLS = {"gate": "BTC/USDT", "gate_futures": "BTC/USDT:USDT"}


@both
def test_ccxt_reads_markets_and_books(protocol):
    symbol = CCXT_SYMBOLS[protocol]
    with simulated(protocol) as (exchange, clock):
        client = pointed(ccxt.gate({"timeout": 10_000} | options(protocol)), exchange.ports.plain)
        market = client.load_markets()[symbol]
        assert market["precision"]["price"] == (1 if protocol == "gate_futures" else 0.1) and market["active"]
        assert market["contractSize"] == (1 if protocol == "gate_futures" else None)
        clock.stop()

        def fetched_is_true():
            book = client.fetch_order_book(symbol, limit=20)
            truth = true_books(exchange, ["BTC_USDT"], 20)["BTC_USDT"]
            return [[level[:2] for level in book[side]] for side in ("bids", "asks")] == [
                [[float(number) for number in level] for level in side] for side in truth]
        wait_until(fetched_is_true, PATIENCE, "equality of the book over REST")


@both
def test_ccxt_watches_books_trades_and_quotes(protocol):
    symbol, depth = CCXT_SYMBOLS[protocol], 50 if protocol == "gate" else 100

    async def watch(exchange, clock):
        client = pointed(ccxt.pro.gate(options(protocol)), exchange.ports.plain)
        try:
            trades = await asyncio.wait_for(client.watch_trades(symbol), 30)
            assert trades and all(trade["side"] in ("buy", "sell") and trade["amount"] > 0 for trade in trades)
            quote = (await asyncio.wait_for(client.watch_bids_asks([symbol]), 30))[symbol]
            assert 0 < quote["bid"] < quote["ask"] and quote["bidVolume"] > 0 and quote["askVolume"] > 0
            await watched_until_true(client, symbol, exchange, clock, "BTC_USDT", depth)
        finally:
            await client.close()

    with simulated(protocol) as (exchange, clock):
        asyncio.run(watch(exchange, clock))
