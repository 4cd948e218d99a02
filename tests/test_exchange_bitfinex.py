"""Bitfinex: books, counts, checksums, trades and sessions, on frames fed by hand and on recorded ones."""
import gzip
import json
import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.types import BookFault, BookState, EventKind, MessageKind, Side
from orderflow.exchanges import session_for
from orderflow.exchanges.actions import Answered, Problem, Ready, Reconnect, Send, Subscription
from orderflow.exchanges.session import SessionError, SessionSettings
from orderflow.instrument import to_scaled
from orderflow.research.books import books
from orderflow.simulator.dialects.bitfinex_words import spelt
from orderflow.simulator.exchange import SECOND_NS
from tests.codec_frames import listing_table
from tests.feed import Feed
from tests.reference.bitfinex import TextBook, as_written
from tests.test_checksum import javascript

LIVE, STALE = BookState.LIVE, BookState.STALE
HELLO = {"event": "info", "version": 2, "serverId": "x", "platform": {"status": 1}}
SEQUENCE, TIMED = 65536, 32768 | 65536
NUMBERS = {"AB": 17, "CD": 18}              # of the books; those of trades are 10 more


def conf(flags=SEQUENCE):
    return {"event": "conf", "status": "OK", "flags": flags}


def subscribed(channel, number, symbol, **more):
    book = {"prec": "P0", "freq": "F0", "len": "25"} if channel == "book" else {}
    return {"event": "subscribed", "channel": channel, "chanId": number, "symbol": symbol} | book | more


def acknowledgements():
    return [HELLO, conf()] + [subscribed(channel, number + more, symbol)
                              for channel, more in (("book", 0), ("trades", 10)) for symbol, number in NUMBERS.items()]


def changed(state, fault=BookFault.NO_FAULT, listing=0):
    return EventKind.BOOK_CHANGED, listing, state, fault


@pytest.fixture
def pair():
    """Two LIVE books; the last sequence number is 2."""
    feed = Feed("bitfinex", list(NUMBERS))
    feed.open()
    for event in acknowledgements():
        assert feed.frame(event) == [(EventKind.SESSION_FRAME,)]
    for listing, number in enumerate(NUMBERS.values()):
        assert feed.frame([number, [[10, 1, 5], [9.99, 2, 1], [10.01, 1, -4]], listing + 1]) == [
            changed(LIVE, listing=listing)]
    return feed


@pytest.fixture
def decoded():
    """A function: frame -> (status, DecodeOutput), of one codec that has heard the acknowledgements."""
    session = session_for("bitfinex", SessionSettings("test", symbols=tuple(NUMBERS)))
    codec, out = session.market_codec(listing_table([(2, 3), (2, 3)]), {"AB": 0, "CD": 1}), DecodeOutput()

    def decode(text):
        spelt_out = text if isinstance(text, str) else json.dumps(text, separators=(",", ":"))
        return codec.decode_frame(spelt_out.encode(), out), out
    for event in acknowledgements():
        assert decode(event)[0] == DecodeStatus.DECODED
    return decode


def kinds(out):
    return [MessageKind(message["kind"]).name for message in out.messages]


# -- the sequence of a connection --------------------------------------------------------------------------------

def test_a_hole_makes_every_book_stale_before_anyone_can_read(pair):
    """The frame behind the hole changes nothing, and neither do those that follow it, until a whole book comes."""
    said = pair.frame([17, [10, 1, 6], 4])
    assert said == [changed(STALE, BookFault.GAP, 0), (EventKind.SNAPSHOT_NEEDED, 0),
                    changed(STALE, BookFault.GAP, 1), (EventKind.SNAPSHOT_NEEDED, 1)]
    assert pair.shown() == [[], []] == pair.shown(1)
    assert pair.frame([17, [10, 1, 7], 5]) == []
    assert pair.frame([18, [[10, 1, 8]], 6]) == [changed(LIVE, listing=1)]
    assert pair.shown(1) == [[(1000, 8000)], []] and pair.state() == (STALE, BookFault.GAP)
    assert [pair.loop.counters(listing)["gaps"] for listing in (0, 1)] == [1, 1]


@pytest.mark.parametrize("frame", [
    [17, "hb", 4], [27, "hb", 4], [27, "tu", [1, 2, 3, 4], 4], [99, "hb", 4], [99, [[1, 2, 3]], 4], [17, "cs", 1, 4],
    [27, [], 4]])
def test_every_array_is_counted(pair, frame):
    """Heartbeats, channels of nobody and history too: the hole before them is as much a hole."""
    assert changed(STALE, BookFault.GAP, 1) in pair.frame(frame)
    assert pair.frame([18, [[10, 1, 8]], 5]) == [changed(LIVE, listing=1)]


def test_a_snapshot_behind_a_hole_is_a_whole_book(pair):
    assert pair.frame([17, [[10, 1, 6]], 9])[-1] == changed(LIVE)
    assert pair.state(1) == (STALE, BookFault.GAP)


def test_the_same_frame_again_changes_nothing(pair):
    assert pair.frame([17, [10, 1, 6], 3]) == []
    assert pair.frame([17, [10, 1, 6], 3]) == [] and pair.shown()[0][0] == (1000, 6000)
    assert pair.loop.counters(0)["updates_applied"] == 1


def test_a_frame_that_is_refused_is_no_hole(pair):
    """Its book suffers and no other: it was not lost."""
    said = pair.frame([17, [10.001, 1, 6], 3])
    assert said == [(EventKind.FRAME_REFUSED,), changed(STALE, BookFault.INEXACT), (EventKind.SNAPSHOT_NEEDED, 0)]
    assert pair.frame([18, [10, 1, 6], 4]) == [] and pair.state(1) == (LIVE, BookFault.NO_FAULT)


@pytest.mark.parametrize("frame", ['[17,[10,1,6,3]', '[17,[10.001,1,6],4]', '[17,[10.001,1,6],"3"]'])
def test_a_refused_frame_that_may_not_be_the_next_is_a_hole(pair, frame):
    assert changed(STALE, BookFault.GAP, 1) not in pair.frame(frame)
    assert changed(STALE, BookFault.GAP, 1) in pair.frame([18, [10, 1, 6], 5])


def test_a_connection_begins_with_nothing(pair):
    """Neither its numbers nor its count have to do with those of the one before."""
    pair.end()
    pair.open()
    pair.frame(HELLO)
    assert pair.frame([17, [[10, 1, 6]]]) == []                 # of whatever 17 may be now
    assert pair.state()[0] == BookState.SYNCING
    pair.frame(conf())
    pair.frame(subscribed("book", 17, "CD"))
    assert pair.frame([17, [[11, 1, 6]], 1]) == [changed(LIVE, listing=1)]
    assert pair.frame([17, [11, 1, 7], 2]) == [] and pair.shown(1)[0] == [(1100, 7000)]


@pytest.mark.parametrize("seed", range(4))
def test_a_live_book_is_the_true_one_whatever_was_lost(seed):
    """Frames are lost or come twice; a book that is not LIVE is sent whole now and then."""
    rng, feed, sequence = random.Random(seed), Feed("bitfinex", list(NUMBERS)), 0
    feed.open()
    for event in acknowledgements():
        feed.frame(event)
    truth = {number: [{}, {}] for number in NUMBERS.values()}
    live = 0
    for _ in range(1500):
        listing, number = rng.choice(list(enumerate(NUMBERS.values())))
        sequence += 1
        if feed.state(listing)[0] != LIVE and rng.random() < 0.2:
            payload = [[price / 100, 1, sign * quantity / 1000] for is_ask, sign in enumerate((1, -1))
                       for price, quantity in truth[number][is_ask].items()]
        elif rng.random() < 0.1:
            payload = "hb"
        else:
            sign, price, quantity = rng.choice((1, -1)), rng.randrange(50), rng.choice((0, rng.randrange(1, 10**6)))
            price = 1000 - price if sign > 0 else 1001 + price
            truth[number][sign < 0].pop(price, None)
            if quantity:
                truth[number][sign < 0][price] = quantity
            payload = [price / 100, int(quantity > 0), sign * (quantity / 1000 or 1)]
        for _ in range(rng.choice([0, 2] + [1] * 30)):
            feed.frame([number, payload, sequence])
            for place, one in enumerate(NUMBERS.values()):
                if feed.state(place)[0] == LIVE:
                    live, book = live + 1, feed.loop.book(place)
                    assert [dict(book.levels(side).tolist()) for side in (Side.BUY, Side.SELL)] == truth[one]
    assert live > 1000 and feed.loop.counters(0)["gaps"] > 5


def test_without_numbers_nothing_is_counted(decoded):
    decoded(conf(0))
    for number in (5, 9):
        assert kinds(decoded([17, [10, 1, 6], number])[1]) == ["UPDATE"]
    assert kinds(decoded([17, [10, 1, 6]])[1]) == ["UPDATE"]


def test_the_count_begins_where_it_was_asked_for(decoded):
    decoded([17, [10, 1, 6], 5])
    decoded(conf())
    assert kinds(decoded([17, [10, 1, 6], 1])[1]) == ["UPDATE"]
    assert kinds(decoded([17, [10, 1, 6], 3])[1]) == ["MISSED", "UPDATE"]


def test_times(decoded):
    decoded(conf(TIMED))
    _, out = decoded([17, [10, 1, 6], 1, 1618677543951])
    assert out.messages[0]["exchange_ns"] == 1618677543951_000_000
    assert decoded([17, "hb", 2])[0] == DecodeStatus.DECODED        # whether heartbeats are timed no document says
    _, out = decoded([27, "te", [1, 1618677543000, 1, 10], 3, 1618677543951, ["more", []], None])
    assert out.messages[0]["exchange_ns"] == 1618677543000_000_000
    assert kinds(decoded([17, [10, 1, 6, "more"], 4, 1618677543951, "more"])[1]) == ["UPDATE"]


def test_maintenance_makes_every_book_stale(pair):
    """Nothing comes of it until it ends."""
    said = pair.frame({"event": "info", "code": 20060, "msg": "Entering in Maintenance mode."})
    assert changed(STALE, BookFault.GAP, 0) in said and changed(STALE, BookFault.GAP, 1) in said
    assert said[-1] == (EventKind.SESSION_FRAME,)


# -- books -------------------------------------------------------------------------------------------------------

def test_levels_are_set_and_taken_away(pair):
    for frame in ([17, [10, 3, 6.5], 3], [17, [9.99, 0, 1], 4], [17, [10.01, 0, -1], 5], [17, [10.02, 1, -1e-3], 6]):
        assert pair.frame(frame) == []
    assert pair.shown() == [[(1000, 6500)], [(1002, 1)]]


def test_a_book_without_levels_is_a_book(decoded):
    status, out = decoded([18, [], 1])
    assert (status, kinds(out), len(out.levels)) == (DecodeStatus.DECODED, ["SNAPSHOT"], 0)
    assert out.messages[0]["listing"] == 1


def test_one_number_after_the_other_stands_for_a_book(decoded):
    """A new subscription takes the place of the old one, and a number that has another meaning is ours no more."""
    decoded(subscribed("book", 41, "AB"))
    assert kinds(decoded([17, [10, 1, 6], 1])[1]) == ["IGNORED"]
    assert kinds(decoded([41, [10, 1, 6], 2])[1]) == ["UPDATE"]
    decoded({"event": "subscribed", "channel": "candles", "chanId": 41, "key": "trade:1m:AB"})
    assert kinds(decoded([41, [10, 1, 6], 3])[1]) == ["IGNORED"]
    decoded(subscribed("trades", 18, "AB"))
    assert kinds(decoded([18, "te", [1, 2, 3, 4], 4])[1]) == ["TRADE"]
    decoded({"event": "unsubscribed", "status": "OK", "chanId": 18})
    assert kinds(decoded([18, "te", [1, 2, 3, 4], 5])[1]) == ["IGNORED"]
    assert kinds(decoded([28, "te", [1, 2, 3, 4], 6])[1]) == ["TRADE"]


@pytest.mark.parametrize("event", [
    subscribed("book", 41, "OTHER"), subscribed("book", 41, "AB", prec="R0"), subscribed("book", 41, "AB", prec="P1"),
    subscribed("ticker", 41, "AB")])
def test_other_channels_are_of_no_interest(decoded, event):
    decoded(event)
    for number, frame in enumerate(([41, [10, 1, 6]], [41, [[10, 1, 6]]], [41, "cs", 5], [41, "te", [1, 2, 3, 4]]), 1):
        assert kinds(decoded([*frame, number])[1]) == ["IGNORED"]


def test_heartbeats(pair):
    """Of a book: nothing has changed. Of its trades, or before its acknowledgement, they say nothing."""
    pair.frame([17, "hb", 3])
    assert [pair.frame([number, "hb", 4 + place]) for place, number in enumerate((27, 99))] == [[], []]


def test_heartbeats_keep_a_book_alive():
    feed = Feed("bitfinex", ["AB", "CD"], silence_ns=60 * SECOND_NS)
    feed.open()
    for event in acknowledgements():
        feed.frame(event)
    feed.frame([17, [[10, 1, 5]], 1])
    feed.frame([18, [[10, 1, 5]], 2])
    said = []
    for number in range(3, 9):
        said += feed.step(15 * SECOND_NS) + feed.frame([17, "hb", number])
    assert changed(STALE, BookFault.SILENT, 1) in said and feed.state() == (LIVE, BookFault.NO_FAULT)


# -- checksums ---------------------------------------------------------------------------------------------------

def test_a_wrong_checksum_is_stale_at_once_and_alone(pair):
    book = TextBook()
    book.take(as_written("[[10,1,5],[9.99,2,1],[10.01,1,-4]]"))
    assert book.summed == "10:5:10.01:-4:9.99:1"
    assert pair.frame([17, "cs", book.checksum, 3]) == []
    assert pair.frame([17, "cs", book.checksum + 1, 4]) == [
        changed(STALE, BookFault.CHECKSUM), (EventKind.SNAPSHOT_NEEDED, 0)]
    assert pair.shown() == [[], []] and pair.state(1) == (LIVE, BookFault.NO_FAULT)
    counters = pair.loop.counters(0)
    assert (counters["checksums_ok"], counters["checksums_failed"]) == (1, 1)


class Checked:
    """A recording in which every frame of a book is followed by the checksum of its texts as they were written."""

    def __init__(self):
        self.frames = []
        self.books = {}             # by the number of a channel
        self.symbols = {}
        self.checksums = {}         # how many were put in, by symbol
        self.exponents = 0          # numbers with one under all checksums
        self._sequence = 0

    def hear(self, text):
        """A recorded frame."""
        frame = as_written(text)
        if isinstance(frame, list):
            self.put(text.rpartition(",")[0], frame)
            return
        if frame.get("channel") == "book":
            self.books[frame["chanId"]], self.symbols[frame["chanId"]] = TextBook(), frame["symbol"]
        self.frames.append(text)

    def put(self, text, frame):
        """An array without its sequence number."""
        self._count(text)
        number, payload, *_ = frame
        if number in self.books and isinstance(payload, list):
            self.books[number].take(payload)
            self.exponents += self.books[number].summed.count("e-")
            symbol = self.symbols[number]
            self.checksums[symbol] = self.checksums.get(symbol, 0) + 1
            self._count(f'[{number},"cs",{self.books[number].checksum}')

    def _count(self, text):
        self._sequence += 1
        self.frames.append(f"{text},{self._sequence}]")

    def take_away(self, number, count):
        """The best bids of a book."""
        for price, _ in self.books[number].best(False)[:count]:
            self.put(f"[{number},[{price},0,1]", [number, [price, "0", "1"]])


def test_checksums_of_recorded_books(feeds, tmp_path):
    """At the end bids are taken away until what is left are prices that were written with an exponent."""
    path, checked = tmp_path / "checked.tsv", Checked()
    with gzip.open(feeds / "captures/cf_bitfinex.tsv.gz", "rt") as lines:
        for _, direction, _, text in (line.rstrip("\n").split("\t") for line in lines):
            if direction == "rx":
                checked.hear(text)
    for number in checked.books:
        checked.take_away(number, 25)
        checked.take_away(number, 20)
    path.write_text("".join(f"{stamp}\trx\tc\t{text}\n" for stamp, text in enumerate(checked.frames, 1)))
    played = books(path, "bitfinex", "direct")
    assert played.problems == []
    found = {name: (summary["checksums_ok"], summary["checksums_failed"]) for name, summary in played.summaries.items()}
    assert found == {symbol: (count, 0) for symbol, count in checked.checksums.items()}
    assert sum(checked.checksums.values()) > 1593 and checked.exponents > 200


@given(st.integers(1, 10**15), st.integers(0, 12))
def test_the_dialect_writes_numbers_as_javascript(value, decimals):
    text = f"{value:0{decimals + 1}d}"
    plain = f"{text[:-decimals]}.{text[-decimals:]}" if decimals else text
    assert spelt(plain) == javascript(Decimal(plain)) and Decimal(spelt(plain)) == Decimal(plain)


# -- codec -------------------------------------------------------------------------------------------------------

def test_trades_are_counted_once(decoded):
    assert kinds(decoded([27, [[5, 1618677543951, -1, 10], [4, 1, 1, 10]], 1])[1]) == ["IGNORED"]     # history
    for number, (amount, side) in enumerate(((-0.25, Side.SELL), (0.25, Side.BUY)), 2):
        status, out = decoded([27, "te", [670155031, 1618677442819, amount, 10.01], number])
        [message] = out.messages
        assert status == DecodeStatus.DECODED
        assert [int(message[name]) for name in ("kind", "listing", "side", "quantity", "price", "last_id")] == [
            MessageKind.TRADE, 0, side, 250, 1001, 670155031]
        assert message["exchange_ns"] == 1618677442819_000_000
    assert kinds(decoded([27, "tu", [670155031, 1618677442819, 0.25, 10.01], 4])[1]) == ["IGNORED"]


@pytest.mark.parametrize(("frame", "status", "listing"), [
    ("[17,[10.001,1,1],1]", DecodeStatus.NUMBER_INEXACT, 0),
    ("[18,[10,1,1e-4],1]", DecodeStatus.NUMBER_INEXACT, 1),
    ("[17,[-10,1,1],1]", DecodeStatus.NUMBER_RANGE, 0),
    ("[17,[10,-1,1],1]", DecodeStatus.NUMBER_RANGE, 0),
    ("[17,[10,1,0],1]", DecodeStatus.BAD_FIELD, 0),
    ("[17,[10,1],1]", DecodeStatus.BAD_FIELD, 0),
    ("[17,[[10,1,1],[10]],1]", DecodeStatus.BAD_FIELD, 0),
    ("[17,5,1]", DecodeStatus.BAD_FIELD, 0),
    ("[27,5,1]", DecodeStatus.BAD_FIELD, 0),
    ("[17]", DecodeStatus.BAD_FIELD, 0),
    ("[17,[10,1,1]]", DecodeStatus.BAD_FIELD, 0),              # it was to be counted
    ('[17,[10,1,1],"1"]', DecodeStatus.BAD_FIELD, 0),
    ("[17,[10,1,1],-1]", DecodeStatus.NUMBER_RANGE, 0),
    ("[17,[10,1,1],9223372036854775807]", DecodeStatus.NUMBER_RANGE, 0),
    ('[17,"cs"]', DecodeStatus.BAD_FIELD, 0),
    ('[17,"cs",4294967295,1]', DecodeStatus.NUMBER_RANGE, 0),
    ('[17,"cs",-2147483649,1]', DecodeStatus.NUMBER_RANGE, 0),
    ('[17,"cs",[],1]', DecodeStatus.BAD_FIELD, 0),
    ('[27,"te",[1,2,0,4],1]', DecodeStatus.BAD_FIELD, 0),
    ('[28,"te",[1,2,3],1]', DecodeStatus.BAD_FIELD, 1),
    ('[28,"te",[1,2,3,-4],1]', DecodeStatus.NUMBER_RANGE, 1),
    ('[17,"te",[1,2,3,4],1]', DecodeStatus.UNKNOWN_MESSAGE, -1),
    ('[27,"xy",[1,2,3,4],1]', DecodeStatus.UNKNOWN_MESSAGE, -1),
    ("[17,[10,1,1],1]]", DecodeStatus.BAD_JSON, 0),
    ("[17,[10,1,1],1", DecodeStatus.BAD_JSON, 0),
    ("[17,[10,01,1],1]", DecodeStatus.BAD_JSON, 0),
    ("[]", DecodeStatus.BAD_FIELD, -1), ("[-1,[]]", DecodeStatus.NUMBER_RANGE, -1), ("", DecodeStatus.BAD_JSON, -1),
    ("{}", DecodeStatus.UNKNOWN_MESSAGE, -1), ('{"event":"nonsense"}', DecodeStatus.UNKNOWN_MESSAGE, -1),
    ('{"event":"info","event":"info"}', DecodeStatus.BAD_JSON, -1),
    ('{"event":"subscribed","channel":"book","symbol":"AB"}', DecodeStatus.BAD_FIELD, -1),
    ('{"event":"subscribed","channel":"book","chanId":5}', DecodeStatus.BAD_FIELD, -1),
    ('{"event":"conf","status":"OK"}', DecodeStatus.BAD_FIELD, -1),
])
def test_what_is_refused_names_its_listing(decoded, frame, status, listing):
    found, out = decoded(frame)
    assert (found, out.fault[0], len(out.messages)) == (status, listing, 0)


def test_a_refused_event_changes_nothing(decoded):
    for text in ('{"event":"info","version":2', '{"event":"unsubscribed","chanId":17]',
                 '{"event":"conf","status":"OK","flags":0',
                 '{"event":"subscribed","channel":"book","prec":"P0","symbol":"AB","chanId":5,}'):
        assert decoded(text)[0] == DecodeStatus.BAD_JSON
    assert kinds(decoded([17, [10, 1, 1], 1])[1]) == ["UPDATE"]
    assert kinds(decoded([17, [10, 1, 1], 3])[1]) == ["MISSED", "UPDATE"]


def test_there_may_be_no_room(decoded):
    session = session_for("bitfinex", SessionSettings("test", symbols=("AB",)))
    codec, out = session.market_codec(listing_table([(2, 3)]), {"AB": 0}), DecodeOutput(messages=1, levels=2)
    events = [conf(), subscribed("book", 17, "AB"), [17, [10, 1, 1], 1]]
    assert {codec.decode_frame(json.dumps(event).encode(), out) for event in events} == {DecodeStatus.DECODED}
    for frame in ([17, [10, 1, 1], 5], [17, [[10, 1, 1]] * 3, 2], {"event": "info", "code": 20060}):
        assert codec.decode_frame(json.dumps(frame).encode(), out) == DecodeStatus.TOO_MANY
        assert len(out.messages) == 0


@pytest.mark.parametrize("event", [
    HELLO, conf(), {"event": "error", "msg": "subscribe: dup", "code": 10301}, {"event": "info", "code": "20051"},
    {"event": "unsubscribed", "status": "OK", "chanId": 5}, {"event": "auth", "status": "FAILED"}])
def test_events_are_the_sessions(decoded, event):
    assert kinds(decoded(event)[1]) == ["SESSION"]
    assert kinds(decoded({"event": "pong", "ts": 1, "cid": 2})[1]) == ["IGNORED"]


# -- session -----------------------------------------------------------------------------------------------------

def configs(*pairs, futures=()):
    fields = [None, None, None, "0.00004", "2000.0", None, None, None, 0.2, 0.1]
    return json.dumps([[[pair, fields] for pair in pairs], [[pair, fields] for pair in futures],
                       [["UST", "USDt"], ["DSH", "DASH"]]]).encode()


def session(*symbols, **more):
    return session_for("bitfinex", SessionSettings("test", symbols=symbols, **more))


def test_listings():
    one = session("tBTCUSD", "tDSH:UST", "tBTCF0:USTF0")
    asked = [request.url for request in one.metadata()]
    assert asked[0] == ("https://api-pub.bitfinex.com/v2/conf/pub:info:pair,pub:info:pair:futures,"
                        "pub:map:currency:sym")
    assert asked[2] == "https://api-pub.bitfinex.com/v2/book/tDSH:UST/P0?len=250"
    bitcoin, dash, future = one.listings({
        "configs": configs("BTCUSD", "DSH:UST", futures=["BTCF0:USTF0"]),
        "book tBTCUSD": b"[[60400,1,0.68826974],[60397,1,1.17],[2e-7,3,1],[60406,1,-0.5]]",
        "book tDSH:UST": b"[[27.315,1,0.1]]", "book tBTCF0:USTF0": b"[]"})
    assert (bitcoin.instrument, bitcoin.tick, bitcoin.minimum_quantity, bitcoin.maximum_quantity) == (
        "BTC-USD", 1, Decimal("0.00004"), 2000)
    assert (dash.instrument, dash.base, dash.quote, dash.tick) == ("DASH-USDT", "DASH", "USDT", Decimal("0.001"))
    assert (future.instrument, future.quote) == ("BTC-USDT-PERPETUAL", "USDT")
    for listing in (bitcoin, dash, future):
        assert listing.price_decimals >= 8 and listing.quantity_decimals == 8
        listing.price("1000000.1"), listing.quantity("99999.00000001")


@pytest.mark.parametrize(("price", "quantity", "needed"), [
    ("0.0000071234", "9876543210.12345678", 8), ("7.1234e-7", "1", 8), ("60417", "0.00000001", 8),
    ("0.00000001", "5000000000", 0)])
def test_scales_hold_what_a_book_shows_and_prices_that_fell(price, quantity, needed):
    """Five significant digits move to the right when a price falls."""
    one = session("tABCUSD")
    [listing] = one.listings({"configs": configs("ABCUSD"), "book tABCUSD": f"[[{price},1,{quantity}]]".encode()})
    assert to_scaled(price, listing.price_decimals) and to_scaled(quantity, listing.quantity_decimals)
    assert listing.tick == Decimal(1).scaleb(Decimal(price).adjusted() - 4)
    assert listing.price_decimals > -listing.tick.adjusted() and listing.quantity_decimals >= needed


def test_metadata_that_cannot_be_used_is_said():
    with pytest.raises(SessionError, match="'tABCUSD': .* do not fit"):
        session("tABCUSD").listings({"configs": configs("ABCUSD"), "book tABCUSD": b"[[1e-9,1,98765432101.12345678]]"})
    with pytest.raises(SessionError, match="'tXYZUSD' is not offered"):
        session("tXYZUSD").listings({"configs": configs("BTCUSD")})
    with pytest.raises(SessionError, match="ratelimit"):
        session("tBTCUSD").listings({"configs": b'["error",11010,"ratelimit: error"]'})
    with pytest.raises(SessionError, match="set trade = false"):
        session("tBTCUSD", trade=True).order_codec(None, {})


def test_more_symbols_than_a_connection_carries_are_refused():
    names = [f"A{number:02}USD" for number in range(13)]
    body = {"configs": configs(*names)}
    assert len(session(*(f"t{name}" for name in names[:12])).listings(body)) == 12
    with pytest.raises(SessionError, match="`symbols` names 13, but a connection carries 25 channels"):
        session(*(f"t{name}" for name in names)).listings(body)


def test_what_the_session_says():
    one = session("tBTCUSD", "tETHUSD")
    assert [endpoint.url for endpoint in one.endpoints()] == ["wss://api-pub.bitfinex.com/ws/2"]
    sent = [json.loads(action.text) for action in one.opened("market", 0)]
    assert sent[0] == {"event": "conf", "flags": 32768 + 65536 + 131072}
    assert sent[1] == {"event": "subscribe", "channel": "book", "symbol": "tBTCUSD", "prec": "P0", "freq": "F0",
                       "len": "100"}
    assert sent[4] == {"event": "subscribe", "channel": "trades", "symbol": "tETHUSD"} and len(sent) == 5
    assert [session(depth=depth).length for depth in (0, 1, 25, 26, 250, 5000)] == [100, 25, 25, 100, 250, 250]


def hears(one, event, unix_ns=0):
    return one.frame("market", json.dumps(event).encode(), unix_ns)


def test_a_resync_leaves_the_channel_of_one_book():
    one = session("tBTCUSD")
    one.opened("market", 0)
    one.start([4], [type("Listing", (), {"symbol": "tBTCUSD"})])
    assert hears(one, conf()) == []
    for number, channel in ((17, "book"), (18, "trades")):
        assert hears(one, subscribed(channel, number, "tBTCUSD")) == [
            Ready("market"), Answered("market", (Subscription(channel, "tBTCUSD"),))]
    resync = [json.loads(action.text) for action in one.need_snapshot(4, BookFault.CHECKSUM, 0)]
    assert [request["event"] for request in resync] == ["unsubscribe", "subscribe"]
    assert (resync[0]["chanId"], resync[1]["channel"], resync[1]["symbol"]) == (17, "book", "tBTCUSD")
    [again] = one.need_snapshot(4, BookFault.CHECKSUM, 0)           # the new number was not told yet
    assert isinstance(again, Send) and json.loads(again.text)["event"] == "subscribe"


def test_notices_and_errors():
    one = session("tBTCUSD")
    one.start([4], [type("Listing", (), {"symbol": "tBTCUSD"})])
    one.opened("market", 0)
    assert hears(one, HELLO) == []
    [problem] = hears(one, HELLO | {"platform": {"status": 0}})
    assert isinstance(problem, Problem) and "maintenance" in problem.message
    [problem] = hears(one, HELLO | {"version": 3})
    assert "version 3" in problem.message
    [reconnect] = hears(one, subscribed("book", 17, "tBTCUSD"))     # `conf` comes first
    assert isinstance(reconnect, Reconnect)
    [problem] = hears(one, {"event": "conf", "status": "FAILED", "code": 10000})
    assert "10000" in problem.message
    [reconnect] = hears(one, {"event": "info", "code": 20051, "msg": "Stopping. Please try to reconnect"})
    assert isinstance(reconnect, Reconnect) and "restarts" in reconnect.reason
    [problem] = hears(one, {"event": "info", "code": 20060}, 5 * SECOND_NS)
    assert "maintenance" in problem.message
    assert one.need_snapshot(4, BookFault.GAP, 124 * SECOND_NS) == []
    assert one.need_snapshot(4, BookFault.GAP, 125 * SECOND_NS) != []       # it should have ended long ago
    [reconnect] = hears(one, {"event": "info", "code": 20061})
    assert isinstance(reconnect, Reconnect)
    problem, answer = hears(one, {"event": "error", "channel": "book", "symbol": "tNOSUCH", "msg": "symbol: invalid",
                                  "code": 10001})
    assert "tNOSUCH" in problem.message and "10001" in problem.message
    assert answer == Answered("market", (Subscription("book", "tNOSUCH"),))
    _, reconnect = hears(one, {"event": "error", "channel": "book", "msg": "subscribe: dup", "code": 10301})
    assert isinstance(reconnect, Reconnect)
