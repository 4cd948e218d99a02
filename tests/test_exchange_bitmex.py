"""BitMEX: session, codec and dialect."""
import gzip
import json
import random
from decimal import Decimal

import pytest

from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.types import BookFault, BookState, EventKind, MessageKind, Side
from orderflow.exchanges import session_for
from orderflow.exchanges.actions import Answered, KeepAlive, Problem, Ready, Send, Subscription
from orderflow.exchanges.session import SessionError, SessionSettings
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.launch import SimulatorSettings, build
from tests.against_dialect import becomes_true, books_equal, connected, simulated
from tests.codec_frames import listing_table
from tests.feed import Feed
from tests.serving import Run

SYMBOLS = ["XBTUSD", "ETHUSD"]
LIVE, STALE = BookState.LIVE, BookState.STALE


def row(number, side, size=None, price=None, symbol="AB", **more):
    given = {"size": size, "price": price}
    return {"symbol": symbol, "id": number, "side": side} | {
        name: value for name, value in given.items() if value is not None} | more


def frame(action, *rows, table="orderBookL2", **more):
    return {"table": table, "action": action, "data": list(rows)} | more


def whole(symbol="AB"):
    return frame("partial", row(11, "Sell", 4, 10.01, symbol), row(10, "Buy", 5, 10, symbol),
                 row(9, "Buy", 1, 9.99, symbol))


def changed(state, fault=BookFault.NO_FAULT, listing=0):
    return EventKind.BOOK_CHANGED, listing, state, fault


@pytest.fixture
def pair():
    """Two LIVE books."""
    feed = Feed("bitmex", ["AB", "CD"])
    feed.open()
    for listing, symbol in enumerate(("AB", "CD")):
        assert feed.frame(whole(symbol)) == [changed(LIVE, listing=listing)]
    return feed


@pytest.fixture
def decoded():
    """A function: frame -> (status, DecodeOutput), of one codec."""
    symbols = {"AB": 0, "CD": 1}
    session = session_for("bitmex", SessionSettings("test", symbols=tuple(symbols)))
    codec, out = session.market_codec(listing_table([(2, 0), (2, 0)]), symbols), DecodeOutput()

    def decode(text):
        spelt = text if isinstance(text, str) else json.dumps(text, separators=(",", ":"))
        return codec.decode_frame(spelt.encode(), out), out
    return decode


# -- against the dialect -----------------------------------------------------------------------------------------

def test_books_equal_the_matching_engines():
    books_equal("bitmex", SYMBOLS, 400)


def test_a_change_of_a_level_that_never_came_resyncs_one_listing_alone():
    lost = json.dumps(frame("update", row(1, "Buy", 100, symbol="XBTUSD")))
    with simulated("bitmex") as (exchange, clock), Run(
            "sync", [connected("bitmex", exchange.ports.plain, SYMBOLS)]) as run:
        run.wait_live()
        exchange.call(lambda: exchange.exchange.play(Subscription("orderBookL2", "XBTUSD"), lost))
        run.wait_told("book of XBTUSD is STALE (MALFORMED)")
        run.wait_told("book of XBTUSD is LIVE again")
        becomes_true(run, exchange, clock, SYMBOLS, 400)
        counters = [run.core.loops["bitmex"].counters(index) for index in range(2)]
        assert [count["snapshots"] for count in counters] == [2, 1]


def dialect():
    """A simulated BitMEX without sockets, with one connection, and a function that says something and hears the answer.
    """
    venue = build(SimulatorSettings("bitmex", "bitmex", seed=1, origin_ns=SECOND_NS))
    venue.open(1, "/realtime", SECOND_NS)

    def say(text):
        venue.message(1, text if isinstance(text, str) else json.dumps(text), SECOND_NS)
        return [sent for _, sent in venue.drain()]
    return venue, say


def test_a_refused_subscription_is_a_clear_problem():
    _, say = dialect()
    session = session_for("bitmex", SessionSettings("test"))
    welcome, error, ack, history = say({"op": "subscribe", "args": ["orderBookL2:NOSUCH", "trade:XBTUSD"]})
    assert session.frame("market", welcome.encode(), 0) == []
    problem, refused = session.frame("market", error.encode(), 0)
    assert refused == Answered("market", (Subscription("orderBookL2", "NOSUCH"),))
    assert isinstance(problem, Problem) and "NOSUCH" in problem.message and "400" in problem.message
    assert session.frame("market", ack.encode(), 0) == [
        Ready("market"), Answered("market", (Subscription("trade", "XBTUSD"),))]
    assert json.loads(history)["action"] == "partial"


def test_the_dialect_answers_as_documented():
    venue, say = dialect()
    assert json.loads(say("ping")[0])["info"].startswith("Welcome")
    assert say("ping") == ["pong"]
    assert json.loads(say("{")[0])["status"] == 400
    topic = "orderBookL2_25:XBTUSD"
    ack, book = map(json.loads, say({"op": "subscribe", "args": [topic]}))
    assert ack["success"] and ack["subscribe"] == topic
    assert book["keys"] == ["symbol", "id", "side"] and book["filter"] == {"symbol": "XBTUSD"}
    sides = [[line["price"] for line in book["data"] if line["side"] == side] for side in ("Sell", "Buy")]
    assert 0 < len(sides[0]) <= 25 and sum(sides, []) == sorted(sum(sides, []), reverse=True)
    assert len({line["id"] for line in book["data"]}) == len(book["data"])
    assert "already subscribed" in json.loads(say({"op": "subscribe", "args": topic})[0])["error"]
    assert json.loads(say({"op": "unsubscribe", "args": [topic]})[0])["unsubscribe"] == topic
    assert venue.subscribers == {}


def test_the_dialect_shows_its_book_over_rest():
    venue, _ = dialect()
    answer = venue.http("GET", "/api/v1/orderBook/L2", "symbol=XBTUSD&depth=20", {}, b"", 3 * SECOND_NS)
    rows = json.loads(answer.body, parse_float=Decimal)
    book = venue.source.books["XBTUSD"]
    bids, asks = ([(Decimal(book.price_text(price)), quantity) for price, quantity in book.levels(side, 20)]
                  for side in (Side.BUY, Side.SELL))
    assert [(line["price"], line["size"]) for line in rows if line["side"] == "Buy"] == bids
    assert [(line["price"], line["size"]) for line in rows if line["side"] == "Sell"][::-1] == asks
    assert len(bids) == len(asks) == 20
    assert venue.http("GET", "/api/v1/orderBook/L2", "symbol=NOSUCH", {}, b"", 3 * SECOND_NS).status == 400


# -- books -------------------------------------------------------------------------------------------------------

def test_a_level_that_is_only_named_has_the_price_that_it_came_with(pair):
    assert pair.frame(frame("insert", row(8, "Buy", 7, 9.98))) == []
    assert pair.frame(frame("update", row(8, "Buy", 6), row(11, "Sell", 3))) == []
    assert pair.frame(frame("delete", row(9, "Buy"))) == []
    assert pair.shown() == [[(1000, 5000), (998, 6000)], [(1001, 3000)]]


def test_a_change_of_an_unknown_level_is_stale_before_anyone_can_read(pair):
    """The frame that brought the level was lost: one listing is subscribed anew, the other never notices."""
    said = pair.frame(frame("update", row(10, "Buy", 1), row(7, "Buy", 1)))
    assert said == [(EventKind.FRAME_REFUSED,), changed(STALE, BookFault.MALFORMED), (EventKind.SNAPSHOT_NEEDED, 0)]
    assert pair.shown() == [[], []] and pair.state(1) == (LIVE, BookFault.NO_FAULT)
    assert pair.frame(frame("update", row(10, "Buy", 2))) == []         # of the subscription that was left
    assert pair.frame(frame("update", row(10, "Buy", 2, symbol="CD"))) == []
    assert pair.frame(whole()) == [changed(LIVE)]
    assert pair.shown()[0][0] == (1000, 5000) and pair.shown(1)[0][0] == (1000, 2000)
    assert pair.loop.counters(1)["snapshots"] == 1


def test_both_sides_may_share_an_id(decoded):
    """Before 2023 an id stood for a price, so a price that changes sides has one id for two levels."""
    decoded(whole())
    decoded(frame("insert", row(10, "Sell", 3, 10)))
    assert decoded(frame("delete", row(10, "Buy")))[0] == DecodeStatus.DECODED
    status, out = decoded(frame("update", row(10, "Sell", 2)))
    assert (status, out.levels.tolist()) == (DecodeStatus.DECODED, [(1000, 2)])


def test_a_book_without_levels_is_a_book(decoded):
    status, out = decoded(frame("partial", filter={"symbol": "CD"}))
    [message] = out.messages
    assert (status, message["kind"], message["listing"], len(out.levels)) == (
        DecodeStatus.DECODED, MessageKind.SNAPSHOT, 1, 0)
    assert decoded(frame("insert", row(1, "Buy", 1, 1, "CD")))[1].messages[0]["kind"] == MessageKind.UPDATE


def test_ids_come_and_go_for_ever(decoded):
    """Many more than a table holds, in an order of chance; a price that was mixed up would show."""
    rng = random.Random(7)
    decoded(frame("partial", filter={"symbol": "AB"}))
    held = {}
    for _ in range(700):
        fresh = {rng.getrandbits(33): rng.randrange(1, 10**6) for _ in range(100)}
        held |= fresh
        rows = [row(number, "Buy", 1, price / 100) for number, price in fresh.items()]
        assert decoded(frame("insert", *rows))[0] == DecodeStatus.DECODED
        gone = rng.sample(list(held), len(held) // 10)
        status, out = decoded(frame("delete", *(row(number, "Buy") for number in gone)))
        assert (status, out.levels.tolist()) == (DecodeStatus.DECODED, [(held.pop(number), 0) for number in gone])
    status, out = decoded(frame("update", *(row(number, "Buy", 2) for number in held)))
    assert (status, out.levels["price"].tolist()) == (DecodeStatus.DECODED, list(held.values()))


# -- codec -------------------------------------------------------------------------------------------------------

def test_nothing_is_said_of_a_book_that_has_not_come(decoded):
    status, out = decoded(frame("insert", row(1, "Buy", 1, 1)))
    assert status == DecodeStatus.DECODED and [m["kind"] for m in out.messages] == [MessageKind.IGNORED]


def test_rows_of_several_symbols(decoded):
    status, out = decoded(frame("partial", row(1, "Buy", 1, 1), row(2, "Sell", 2, 2), row(1, "Buy", 9, 9, "OTHER"),
                                row(1, "Buy", 3, 3, "CD")))
    assert status == DecodeStatus.DECODED
    assert [(m["listing"], m["bids_count"], m["asks_count"]) for m in out.messages] == [(0, 1, 1), (1, 1, 0)]
    assert out.levels.tolist() == [(100, 1), (200, 2), (300, 3)]


def test_rows_of_one_book_that_stand_apart(decoded):
    status, out = decoded(frame("partial", row(1, "Buy", 1, 1), row(1, "Buy", 3, 3, "CD"), row(2, "Sell", 2, 2)))
    assert (status, [(m["listing"], m["kind"]) for m in out.messages]) == (DecodeStatus.DECODED, [
        (0, MessageKind.SNAPSHOT), (1, MessageKind.SNAPSHOT), (0, MessageKind.UPDATE)])
    assert decoded(frame("update", row(1, "Buy", 9), row(2, "Sell", 8)))[1].levels.tolist() == [(100, 9), (200, 8)]


def test_data_before_what_it_depends_on(decoded):
    rows = '[{"price":1e1,"size":12345678901,"side":"Buy","id":1,"timestamp":"2023-04-01T00:00:00.5Z","symbol":"AB"}]'
    status, out = decoded(f'{{"data":{rows},"action":"partial","table":"orderBookL2"}}')
    assert (status, out.levels.tolist()) == (DecodeStatus.DECODED, [(1000, 12345678901)])
    assert out.messages[0]["exchange_ns"] == 1680307200_500_000_000


@pytest.mark.parametrize(("text", "status", "listing"), [
    (frame("update", row(10, "Buy", 1, 10.001)), DecodeStatus.NUMBER_INEXACT, 0),
    (frame("update", row(10, "Buy", 1.5)), DecodeStatus.NUMBER_INEXACT, 0),
    (frame("update", row(10, "Buy", -1)), DecodeStatus.NUMBER_RANGE, 0),
    (frame("update", row(-10, "Buy", 1)), DecodeStatus.NUMBER_RANGE, 0),
    (frame("update", row(10, "Buy")), DecodeStatus.BAD_FIELD, 0),
    (frame("update", row(10, "", 1)), DecodeStatus.BAD_FIELD, 0),
    (frame("insert", row(12, "Buy", 1)), DecodeStatus.BAD_FIELD, 0),
    (frame("delete", row(12, "Buy")), DecodeStatus.BAD_FIELD, 0),
    (frame("delete", {"id": 10, "side": "Buy"}), DecodeStatus.BAD_FIELD, -1),
    (frame("replace", row(10, "Buy", 1)), DecodeStatus.UNKNOWN_MESSAGE, -1),
    (frame("update", table="orderBookL3"), DecodeStatus.UNKNOWN_MESSAGE, -1),
    ({"table": "orderBookL2", "action": "update"}, DecodeStatus.BAD_FIELD, -1),
    ({"data": []}, DecodeStatus.UNKNOWN_MESSAGE, -1),
    ('{"table":"trade","table":"trade"}', DecodeStatus.BAD_JSON, -1),
    ("pong!", DecodeStatus.BAD_JSON, -1),
])
def test_what_is_refused_names_its_listing(decoded, text, status, listing):
    decoded(whole())
    found, out = decoded(text)
    assert (found, out.fault[0], len(out.messages)) == (status, listing, 0)


@pytest.mark.parametrize("text", [
    "pong", frame("partial", row(1, "Buy", 1, 1, "OTHER")), frame("insert", table="quoteBin1m"),
    frame("partial", {"symbol": "AB", "side": "Buy", "size": 1, "price": 1}, table="trade"),
    frame("update", {"symbol": "AB"}, table="instrument")])
def test_what_is_of_no_interest(decoded, text):
    status, out = decoded(text)
    assert status == DecodeStatus.DECODED and [m["kind"] for m in out.messages] == [MessageKind.IGNORED]


def test_trades(decoded):
    data = [{"timestamp": "2021-07-22T22:36:10.431Z", "symbol": "AB", "side": side, "size": 100, "price": 42.5,
             "tickDirection": "PlusTick", "trdMatchID": "8f8fe9db-eb13-26a5-dea2-a398d89e04a8"}
            for side in ("Buy", "Sell")]
    status, out = decoded(frame("insert", *data, table="trade"))
    assert status == DecodeStatus.DECODED
    assert [tuple(m[name] for name in ("kind", "side", "price", "quantity", "exchange_ns")) for m in out.messages] == [
        (MessageKind.TRADE, side, 4250, 100, 1626993370_431_000_000) for side in (Side.BUY, Side.SELL)]
    del data[1]["side"]
    assert decoded(frame("insert", *data, table="trade"))[0] == DecodeStatus.BAD_FIELD


# -- session -----------------------------------------------------------------------------------------------------

def test_listings_of_recorded_instruments(feeds):
    with gzip.open(feeds / "captures/cf_bitmex_a.tsv.gz", "rt") as lines:
        body = next(lines).rstrip("\n").split("\t")[3].encode()
    session = session_for("bitmex", SessionSettings("test", symbols=("XBTUSD", "XRPU21", "ADAUSDT")))
    assert [request.url for request in session.metadata()] == ["https://www.bitmex.com/api/v1/instrument/active"]
    inverse, dated, quanto = session.listings({"instruments": body})
    assert (inverse.instrument, inverse.base, inverse.quote) == ("BTC-USD-PERPETUAL-1USD", "BTC", "USD")
    assert (inverse.tick, inverse.lot, inverse.minimum_quantity, inverse.maximum_quantity) == (
        Decimal("0.5"), 100, 100, 10**7)
    assert (dated.instrument, dated.tick, dated.quote) == ("XRP-BTC-210924", Decimal("1e-8"), "BTC")
    assert dated.price_decimals >= 8 and not dated.halted
    assert quanto.instrument == "ADA-USDT-PERPETUAL-QUANTO1000000XBt"


def contract(**fields):
    return {"symbol": "AB", "state": "Open", "typ": "FFWCSX", "underlying": "XBT", "quoteCurrency": "USDT",
            "settlCurrency": "USDt", "multiplier": 1, "underlyingToPositionMultiplier": 1000000, "isInverse": False,
            "isQuanto": False, "expiry": None, "tickSize": 0.1, "lotSize": 100, "maxOrderQty": 10**9} | fields


@pytest.mark.parametrize(("fields", "name", "halted"), [
    ({}, "BTC-USDT-PERPETUAL-0.000001BTC", False),
    ({"underlyingToPositionMultiplier": 1, "state": "Unlisted"}, "BTC-USDT-PERPETUAL", True),
    ({"typ": "IFXXXP", "underlyingToPositionMultiplier": 10**8}, "BTC-USDT-0.00000001BTC", False),
    ({"expiry": "2026-12-25T12:00:00.000Z"}, "BTC-USDT-261225-0.000001BTC", False)])
def test_a_name_says_how_much_a_contract_is(fields, name, halted):
    session = session_for("bitmex", SessionSettings("test", symbols=("AB",)))
    [listing] = session.listings({"instruments": json.dumps([contract(**fields)]).encode()})
    assert (listing.instrument, listing.halted, listing.quantity_decimals) == (name, halted, 0)


def test_metadata_that_cannot_be_used_is_said():
    session = session_for("bitmex", SessionSettings("test", symbols=("AB",), trade=True))
    with pytest.raises(SessionError, match="'AB' is not offered"):
        session.listings({"instruments": b"[]"})
    with pytest.raises(SessionError, match="refused: Rate limit exceeded"):
        session.listings({"instruments": b'{"error":{"message":"Rate limit exceeded","name":"RateLimitError"}}'})
    with pytest.raises(SessionError, match="set trade = false"):
        session.order_codec(None, {})


def test_what_the_session_says():
    session = session_for("bitmex", SessionSettings("test", symbols=("XBTUSD",)))
    assert [endpoint.url for endpoint in session.endpoints()] == ["wss://ws.bitmex.com/realtime"]
    alive, subscribe = session.opened("market", 0)
    assert isinstance(alive, KeepAlive) and alive.text == "ping" and alive.interval_ns <= 5 * SECOND_NS
    assert json.loads(subscribe.text) == {"op": "subscribe", "args": ["orderBookL2:XBTUSD", "trade:XBTUSD"]}
    session.start([4], [type("Listing", (), {"symbol": "XBTUSD"})])
    resync = session.need_snapshot(4, BookFault.MALFORMED, 0)
    assert all(isinstance(action, Send) and action.connection == "market" for action in resync)
    assert [json.loads(action.text) for action in resync] == [
        {"op": method, "args": ["orderBookL2:XBTUSD"]} for method in ("unsubscribe", "subscribe")]
