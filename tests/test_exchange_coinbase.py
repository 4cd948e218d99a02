"""Coinbase Exchange and Advanced Trade: books, counts, trades and sessions, on frames fed by hand."""
import base64
import hashlib
import hmac
import json
from decimal import Decimal

import pytest

from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.types import BookFault, BookState, EventKind, MessageKind, Side
from orderflow.credentials import Credentials
from orderflow.exchanges import session_for
from orderflow.exchanges.actions import Answered, Problem, Ready, Reconnect, Subscription
from orderflow.exchanges.session import SessionError, SessionSettings
from orderflow.instrument import table
from tests.feed import SECOND_NS, Feed, levels
from tests.serving import listing

SYMBOLS = ("BTC-USD", "ETH-USD")
PROTOCOLS = ("coinbase", "coinbase_adv")
LIVE, STALE = BookState.LIVE, BookState.STALE
BIDS, ASKS = {1000: 5000, 999: 1000}, {1001: 4000, 1002: 2000}
STAMP = "2026-01-01T00:00:00.000001Z"


@pytest.fixture(params=PROTOCOLS)
def protocol(request):
    return request.param


def session(protocol, symbols=SYMBOLS, **more):
    return session_for(protocol, SessionSettings("test", symbols=symbols, **more))


def codec(protocol, symbols=SYMBOLS):
    rows = table([listing("test", symbol) for symbol in symbols], ["test"])
    return session(protocol, symbols).market_codec(rows, {symbol: index for index, symbol in enumerate(symbols)})


class Exchange:
    """Frames of one exchange; those of Advanced Trade are numbered."""

    def __init__(self, protocol):
        self.protocol, self.number = protocol, 0

    def numbered(self, channel, *events):
        frame = {"channel": channel, "client_id": "", "timestamp": STAMP, "sequence_num": self.number,
                 "events": list(events)}
        self.number += 1
        return frame

    def book(self, kind, symbol, bids, asks):
        if self.protocol == "coinbase_adv":
            return self.numbered("l2_data", {"type": kind, "product_id": symbol, "updates": [
                {"side": side, "event_time": STAMP, "price_level": price, "new_quantity": quantity}
                for side, changed in (("offer", asks), ("bid", bids)) for price, quantity in levels(changed)]})
        if kind == "snapshot":
            return {"type": kind, "product_id": symbol, "asks": levels(asks), "bids": levels(bids), "time": STAMP}
        changes = [["sell", *level] for level in levels(asks)] + [["buy", *level] for level in levels(bids)]
        return {"type": "l2update", "product_id": symbol, "changes": changes, "time": STAMP}


@pytest.fixture
def fed(protocol):
    """(feed, exchange) with two LIVE books."""
    feed, exchange = Feed(protocol, SYMBOLS), Exchange(protocol)
    feed.open()
    for index, symbol in enumerate(SYMBOLS):
        said = feed.frame(exchange.book("snapshot", symbol, BIDS, ASKS))
        assert said == [(EventKind.BOOK_CHANGED, index, LIVE, BookFault.NO_FAULT)]
    return feed, exchange


# -- the book ---------------------------------------------------------------------------------------------------------

def test_sides_that_come_mixed_are_kept_apart(fed):
    feed, exchange = fed
    assert feed.frame(exchange.book("update", "BTC-USD", {1000: 0, 998: 7}, {1001: 1, 1003: 3})) == []
    assert feed.shown() == [[(999, 1000), (998, 7)], [(1001, 1), (1002, 2000), (1003, 3)]]
    assert feed.shown(1) == [list(BIDS.items()), list(ASKS.items())]


def test_the_last_word_on_a_price_counts(protocol):
    decoder, out = codec(protocol), DecodeOutput()
    frame = Exchange(protocol).book("update", "BTC-USD", BIDS, ASKS)
    changes = frame["changes"] if protocol == "coinbase" else frame["events"][0]["updates"]
    changes += [change.copy() for change in changes]
    for number, change in enumerate(changes):
        change["new_quantity" if protocol == "coinbase_adv" else 2] = f"{number}"
    assert decoder.decode_frame(json.dumps(frame).encode(), out) == DecodeStatus.DECODED
    message, = out.messages
    for side, last in (("asks", [4, 5]), ("bids", [6, 7])):
        found = out.levels[message[f"{side}_begin"]:][:message[f"{side}_count"]]
        assert [int(level["quantity"]) // 10**8 for level in found][2:] == last


def test_a_frame_that_cannot_be_read_concerns_its_product_alone(fed):
    feed, exchange = fed
    frame = json.dumps(exchange.book("update", "ETH-USD", {1000: 1}, {})).replace('"10.00"', '"10.001"')
    assert (EventKind.BOOK_CHANGED, 1, STALE, BookFault.INEXACT) in feed.frame(frame)
    assert feed.state(0)[0] == LIVE and feed.state(1)[0] == STALE
    assert feed.frame(exchange.book("snapshot", "ETH-USD", BIDS, ASKS))[-1] == (
        EventKind.BOOK_CHANGED, 1, LIVE, BookFault.NO_FAULT)
    assert feed.state(0)[0] == LIVE
    assert feed.loop.counters(0)["gaps"] == 0


def test_a_crossed_book_is_asked_for_alone(fed):
    feed, exchange = fed
    said = feed.frame(exchange.book("update", "BTC-USD", {1005: 1}, {}))
    assert said == [(EventKind.BOOK_CHANGED, 0, STALE, BookFault.CROSSED), (EventKind.SNAPSHOT_NEEDED, 0)]
    assert feed.shown(0) == [[], []] and feed.state(1)[0] == LIVE


def test_more_levels_than_there_is_room_for(protocol):
    decoder, out = codec(protocol), DecodeOutput(levels=3)
    frame = json.dumps(Exchange(protocol).book("update", "ETH-USD", BIDS, ASKS), separators=(",", ":")).encode()
    assert decoder.decode_frame(frame, out) == DecodeStatus.TOO_MANY
    assert len(out.messages) == 0 and out.fault[0] == 1


def test_the_whole_book_of_a_large_product_fits(protocol):
    """Advanced Trade's of BTC-USD takes more than 4 MiB."""
    count = 45_000
    exchange = Exchange(protocol)
    feed = Feed(protocol, SYMBOLS)
    feed.open()
    middle = 6_000_000
    frame = exchange.book("snapshot", "BTC-USD", {middle - 7 * i: 1 + i for i in range(1, count)},
                          {middle + 7 * i: 1 + i for i in range(1, count)})
    assert len(json.dumps(frame)) > (8 << 20 if protocol == "coinbase_adv" else 2 << 20)
    assert feed.frame(frame) == [(EventKind.BOOK_CHANGED, 0, LIVE, BookFault.NO_FAULT)]
    assert [len(feed.loop.book(0).levels(side)) for side in (Side.BUY, Side.SELL)] == [count - 1, count - 1]


# -- the count of Advanced Trade --------------------------------------------------------------------------------------

@pytest.fixture
def advanced():
    feed, exchange = Feed("coinbase_adv", SYMBOLS), Exchange("coinbase_adv")
    feed.open()
    for symbol in SYMBOLS:
        feed.frame(exchange.book("snapshot", symbol, BIDS, ASKS))
    return feed, exchange


@pytest.mark.parametrize("channel, event", [
    ("heartbeats", {"current_time": "2026", "heartbeat_counter": 1}), ("ticker", {"type": "update", "tickers": []}),
    ("subscriptions", {"subscriptions": {"level2": ["BTC-USD"]}}),
    ("l2_data", {"type": "update", "product_id": "FOREIGN-USD", "updates": []}),
    ("market_trades", {"type": "snapshot", "trades": [{"product_id": "BTC-USD"}]}),
])
def test_every_frame_counts(advanced, channel, event):
    feed, exchange = advanced
    feed.frame(exchange.numbered(channel, event))
    assert feed.frame(exchange.book("update", "BTC-USD", {1000: 1}, {})) == []
    assert feed.state()[0] == LIVE and feed.shown()[0][0] == (1000, 1)
    exchange.numbered(channel, event)           # lost
    said = feed.frame(exchange.numbered("heartbeats", {"heartbeat_counter": 2}))
    assert said == [part for index in (0, 1) for part in (
        (EventKind.BOOK_CHANGED, index, STALE, BookFault.GAP), (EventKind.SNAPSHOT_NEEDED, index))]


def test_what_comes_in_the_frame_that_shows_the_loss_is_not_believed(advanced):
    feed, exchange = advanced
    exchange.number += 1
    feed.frame(exchange.book("update", "BTC-USD", {1000: 1}, {}))
    assert feed.state() == (STALE, BookFault.GAP) and feed.shown() == [[], []]
    feed.frame(exchange.book("snapshot", "BTC-USD", {1000: 3}, ASKS))
    assert feed.state(0)[0] == LIVE and feed.state(1)[0] == STALE
    assert feed.loop.counters(0)["gaps"] == 1


def test_a_snapshot_that_shows_the_loss_repairs_its_own_book(advanced):
    feed, exchange = advanced
    exchange.number += 1
    feed.frame(exchange.book("snapshot", "BTC-USD", {1000: 3}, ASKS))
    assert feed.state(0)[0] == LIVE and feed.shown()[0] == [(1000, 3)] and feed.state(1)[0] == STALE


def test_a_frame_that_comes_twice_says_nothing_new(advanced):
    feed, exchange = advanced
    frame = exchange.book("update", "BTC-USD", {1000: 1}, {})
    feed.frame(frame)
    feed.frame(frame)
    feed.frame(exchange.book("update", "BTC-USD", {1000: 2}, {}))
    assert feed.state()[0] == LIVE and feed.loop.counters(0)["updates_applied"] == 2


def test_a_new_connection_counts_from_the_beginning(advanced):
    feed, exchange = advanced
    feed.end()
    feed.open()
    exchange.number = 0
    for symbol in SYMBOLS:
        feed.frame(exchange.book("snapshot", symbol, BIDS, ASKS))
    assert [feed.state(index)[0] for index in (0, 1)] == [LIVE, LIVE]
    assert feed.loop.counters(0)["gaps"] == 0


def test_a_frame_without_a_number_is_refused():
    frame = Exchange("coinbase_adv").book("update", "BTC-USD", BIDS, ASKS)
    del frame["sequence_num"]
    assert codec("coinbase_adv").decode_frame(json.dumps(frame).encode(), DecodeOutput()) == DecodeStatus.BAD_FIELD


# -- trades and heartbeats --------------------------------------------------------------------------------------------

def test_the_taker_is_on_the_other_side_of_a_match():
    out = DecodeOutput()
    match = {"type": "match", "trade_id": 7, "side": "sell", "size": "0.04", "price": "14.77", "product_id": "ETH-USD",
             "sequence": 9, "time": STAMP}
    assert codec("coinbase").decode_frame(json.dumps(match).encode(), out) == DecodeStatus.DECODED
    message, = out.messages
    assert (message["kind"], message["side"], message["last_id"], message["listing"]) == (
        MessageKind.TRADE, Side.BUY, 7, 1)
    codec("coinbase").decode_frame(json.dumps(match | {"type": "last_match"}).encode(), out)
    assert out.messages["kind"].tolist() == [MessageKind.IGNORED]


def test_trades_of_one_frame_come_oldest_first():
    out = DecodeOutput()
    trades = [{"trade_id": f"{number}", "product_id": symbol, "price": "1.5", "size": "2", "side": side, "time": STAMP}
              for number, symbol, side in ((9, "BTC-USD", "BUY"), (8, "OTHER-USD", "BUY"), (7, "ETH-USD", "SELL"),
                                           (6, "BTC-USD", "UNKNOWN_ORDER_SIDE"))]
    frame = Exchange("coinbase_adv").numbered("market_trades", {"type": "update", "trades": trades})
    assert codec("coinbase_adv").decode_frame(json.dumps(frame).encode(), out) == DecodeStatus.DECODED
    assert [(int(one["last_id"]), int(one["listing"]), int(one["side"])) for one in out.messages] == [
        (7, 1, Side.BUY), (9, 0, Side.SELL)]


def test_a_heartbeat_without_news_keeps_a_quiet_book_alive():
    decoder, out = codec("coinbase"), DecodeOutput()

    def kind(sequence, symbol="BTC-USD"):
        frame = {"type": "heartbeat", "sequence": sequence, "last_trade_id": 1, "product_id": symbol, "time": STAMP}
        decoder.decode_frame(json.dumps(frame).encode(), out)
        return int(out.messages[0]["kind"])

    assert [kind(90), kind(90), kind(91), kind(91), kind(91, "ETH-USD")] == [
        MessageKind.IGNORED, MessageKind.ALIVE, MessageKind.IGNORED, MessageKind.ALIVE, MessageKind.IGNORED]


# -- the session ------------------------------------------------------------------------------------------------------

def sent(actions):
    return [json.loads(action.text) for action in actions]


def test_what_is_subscribed_to():
    assert sent(session("coinbase").opened("market", 0)) == [
        {"type": "subscribe", "product_ids": list(SYMBOLS), "channels": ["level2_batch", "matches", "heartbeat"]}]
    assert sent(session("coinbase_adv").opened("market", 0)) == [
        {"type": "subscribe", "product_ids": list(SYMBOLS), "channel": channel}
        for channel in ("level2", "market_trades", "heartbeats")]


def test_a_login_is_signed_and_gets_every_change():
    secret = base64.b64encode(b"secret").decode()
    request, = sent(session("coinbase", credentials=Credentials("k", secret, "p")).opened("market", 1_500 * SECOND_NS))
    digest = hmac.new(b"secret", b"1500GET/users/self/verify", hashlib.sha256).digest()
    assert request["channels"][0] == "level2"
    assert (request["key"], request["passphrase"], request["timestamp"]) == ("k", "p", "1500")
    assert base64.b64decode(request["signature"]) == digest
    assert "secret" not in repr(Credentials("k", secret, "secret"))


def test_a_login_is_not_recorded():
    login = Credentials("k", base64.b64encode(b"secret").decode(), "p")
    assert [action.secret for action in session("coinbase", credentials=login).opened("market", 0)] == [True]
    assert [action.secret for action in session("coinbase").opened("market", 0)] == [False]


def test_a_resync_leaves_and_joins_one_book():
    for protocol, channel in (("coinbase", {"channels": ["level2_batch"]}), ("coinbase_adv", {"channel": "level2"})):
        one = session(protocol)
        one.start([4, 5], [listing("test", symbol) for symbol in SYMBOLS])
        assert sent(one.need_snapshot(5, BookFault.CROSSED, 0)) == [
            {"type": kind, "product_ids": ["ETH-USD"]} | channel for kind in ("unsubscribe", "subscribe")]


def test_a_gap_in_many_books_is_a_new_connection_once():
    symbols = tuple(f"A{i}-USD" for i in range(5))
    one = session("coinbase_adv", symbols)
    one.start(range(5), [listing("test", symbol) for symbol in symbols])
    asked = [one.need_snapshot(index, BookFault.GAP, 0) for index in range(5)]
    assert asked == [[Reconnect("market", "frames of it are missing")], [], [], [], []]
    assert len(one.need_snapshot(0, BookFault.CROSSED, 0)) == 2
    one.opened("market", 0)
    assert one.need_snapshot(1, BookFault.GAP, 0) == [Reconnect("market", "frames of it are missing")]


def product(protocol, symbol="BTC-USD", **more):
    base, quote = symbol.split("-")
    names = {"coinbase": {"id": symbol, "base_currency": base, "quote_currency": quote, "min_market_funds": "1"},
             "coinbase_adv": {"product_id": symbol, "base_currency_id": base, "quote_currency_id": quote,
                              "quote_min_size": "1", "price_increment": "0.01"}}
    return names[protocol] | {"quote_increment": "0.01", "base_increment": "0.001", "status": "online"} | more


def listings(protocol, products, symbols=("BTC-USD",)):
    body = products if protocol == "coinbase" else {"products": products}
    return session(protocol, symbols).listings({"products": json.dumps(body).encode()})


def test_metadata_becomes_a_listing(protocol):
    found, = listings(protocol, [product(protocol, base_min_size="26.7187147229469674")])
    assert (found.tick, found.lot, found.price_decimals, found.quantity_decimals) == (
        Decimal("0.01"), Decimal("0.001"), 4, 8)
    assert (found.minimum_quantity, found.minimum_notional, found.halted) == (Decimal("26.719"), 1, False)
    assert (found.instrument, found.base, found.quote) == ("BTC-USD", "BTC", "USD")
    table([found], ["test"])


@pytest.mark.parametrize("more", [{"status": "offline"}, {"trading_disabled": True}, {"cancel_only": True},
                                  {"post_only": True}, {"auction_mode": True}])
def test_a_product_that_cannot_be_taken_is_halted(protocol, more):
    assert listings(protocol, [product(protocol, **more)])[0].halted


def test_the_smallest_ticks_fit(protocol):
    found, = listings(protocol, [product(protocol, price_increment="0.00000000001", quote_increment="0.00000000001",
                                         base_increment="1")])
    assert found.price_decimals == 11 and found.quantity_decimals < 8


def test_a_symbol_that_is_not_offered_is_named(protocol):
    with pytest.raises(SessionError, match="'XYZ-USD' is not offered"):
        listings(protocol, [product(protocol)], ("XYZ-USD",))


def test_orders_are_refused(protocol):
    with pytest.raises(SessionError, match="set trade = false"):
        session(protocol, trade=True).order_codec(None, {})


def test_a_book_under_two_names():
    products = [product("coinbase_adv"), product("coinbase_adv", "BTC-USDC", alias="BTC-USD")]
    with pytest.raises(SessionError, match="BTC-USD and BTC-USDC are the same book"):
        listings("coinbase_adv", products, ("BTC-USD", "BTC-USDC"))
    one, out = session("coinbase_adv", ("BTC-USDC",)), DecodeOutput()
    found = one.listings({"products": json.dumps({"products": products}).encode()})
    decoder = one.market_codec(table(found, ["test"]), {"BTC-USDC": 0})
    exchange = Exchange("coinbase_adv")
    for name in ("BTC-USD", "BTC-USDC"):
        decoder.decode_frame(json.dumps(exchange.book("snapshot", name, BIDS, ASKS)).encode(), out)
        assert out.messages["listing"].tolist() == [0]


def test_answers_and_refusals():
    one = session("coinbase")
    assert one.frame("market", b'{"type":"subscriptions","channels":[{"name":"x","product_ids":["A"]}]}', 0) == [
        Ready("market"), Answered("market", (Subscription("x", "A"),))]
    batches = b'{"type":"subscriptions","channels":[{"name":"level2_50","product_ids":["A"]}]}'
    assert one.frame("market", batches, 0) == [
        Ready("market"), Answered("market", (Subscription("level2_batch", "A"),))]
    assert one.frame("market", b'{"type":"subscriptions","channels":[]}', 0) == []
    assert one.frame("market", b'{"type":"error","message":"Failed to subscribe","reason":"no such"}', 0) == [
        Problem("Failed to subscribe: no such")]
    two = session("coinbase_adv")
    assert two.frame("market", b'{"channel":"subscriptions","events":[{"subscriptions":{"level2":["A"]}}]}', 0) == [
        Ready("market")]
    assert two.frame("market", b'{"type":"error","message":"too many L2 streams requested"}', 0) == [
        Problem("too many L2 streams requested")]
