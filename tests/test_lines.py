"""Two lines of one exchange: the first arrival is shown, nothing twice, and one line is missed by nobody."""
import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow._core.types import TAPE_DTYPE, BookFault, BookState, EventKind, TapeKind
from orderflow.exchanges import SESSIONS, session_for
from orderflow.exchanges.facts import Facts
from orderflow.exchanges.session import SessionSettings
from orderflow.servers.acknowledgements import Acknowledgements
from orderflow.servers.lines import Line, Pair
from tests.feed import SECOND_NS, Feed, depth, kraken, rest
from tests.test_exchange_okx import chained
from tests.test_exchange_okx import frame as okx

NEED = (EventKind.SNAPSHOT_NEEDED, 0)
LIVE, STALE, SYNCING = BookState.LIVE, BookState.STALE, BookState.SYNCING
BIDS, ASKS = {1000: 5000, 999: 1000}, {1001: 4000, 1002: 2000}
A, B = 0, 1
HOUR_NS = 3_600_000_000_000


def changed(state, fault=BookFault.NO_FAULT, listing=0):
    return EventKind.BOOK_CHANGED, listing, state, fault


def of_line(line, state, fault=BookFault.NO_FAULT, listing=0):
    return EventKind.LINE_CHANGED, line, listing, state, fault


def best(feed):
    return feed.shown()[0][0]


def counted(feed):
    return feed.loop.line_counters(0)


def tape_of(feed, kind):
    records = []
    while (record := feed.core.tapes["test"].pop(TAPE_DTYPE)) is not None:
        records.append(record)
    return [record for record in records if record["kind"] == kind]


@pytest.fixture
def spot():
    """Binance spot on two lines, both LIVE at update 12."""
    feed = Feed("binance_spot", ["AB", "CD"], lines=2, tape_records=1 << 10)
    feed.open(A)
    feed.open(B)
    assert feed.frame(depth(11, 12, {}, {}), line=A) == [NEED]
    assert feed.frame(depth(11, 12, {}, {}), line=B) == []          # the answer under way serves both
    assert feed.snapshot(rest(12, BIDS, ASKS)) == [changed(LIVE), of_line(B, LIVE)]
    return feed


@pytest.fixture
def kept():
    """Kraken, whose updates have no number, on two lines, both LIVE."""
    feed = Feed("kraken_v2", ["A/B"], depth=10, lines=2, tape_records=1 << 10)
    for line, told in ((A, changed(LIVE)), (B, of_line(B, LIVE))):
        feed.open(line)
        assert feed.frame(kraken("snapshot", "A/B", BIDS, ASKS, (BIDS, ASKS)), line=line) == [told]
    return feed


# -- the first arrival wins --------------------------------------------------------------------------------------

def test_the_line_that_is_first_is_shown_and_its_twin_is_a_duplicate(spot):
    shown = spot.core.board.read(0)
    for last, first, second in ((13, A, B), (14, B, A), (15, B, A), (16, A, B)):
        update = depth(last, last, {1000: last}, {})
        assert spot.frame(update, line=first) == []
        after = spot.core.board.read(0)
        assert best(spot) == (1000, last) and after["version"] == shown["version"] + 1
        assert counted(spot)["leading"] == first
        spot.frame(update, line=second)
        assert spot.core.board.read(0)["publication"] == after["publication"]
        shown = after
    assert counted(spot) | {"leading": 0} == {
        "duplicates": 4, "takeovers": 0, "outages": 0, "repeated_trades": 0, "leading": 0}


def test_a_gap_on_one_line_is_repaired_beside_the_other(spot):
    spot.frame(depth(13, 13, {1000: 13}, {}), line=A)
    assert spot.frame(depth(14, 14, {1000: 14}, {}), line=B) == [NEED, of_line(B, STALE, BookFault.GAP)][::-1]
    assert spot.state()[0] == LIVE and best(spot) == (1000, 13)
    spot.frame(depth(14, 14, {1000: 14}, {}), line=A)
    assert spot.snapshot(rest(13, {1000: 13, 999: 1}, ASKS)) == [of_line(B, LIVE)]
    spot.frame(depth(15, 15, {1000: 15}, {}), line=B)
    assert best(spot) == (1000, 15) and counted(spot)["leading"] == B and counted(spot)["outages"] == 0


def test_the_leading_line_is_lost_and_the_one_behind_shows_nothing_old(spot):
    for last in (13, 14, 15):
        spot.frame(depth(last, last, {1000: last}, {}), line=A)
    before = spot.core.board.read(0)
    told = spot.end(A)
    assert changed(STALE, BookFault.DISCONNECTED) not in told and of_line(A, STALE, BookFault.DISCONNECTED) in told
    assert spot.core.board.read(0) == before and counted(spot)["takeovers"] == 1
    for last in (13, 14, 15):                           # what was shown already
        spot.frame(depth(last, last, {1000: last}, {}), line=B)
        assert spot.core.board.read(0) == before
    spot.frame(depth(16, 16, {1000: 16}, {}), line=B)
    after = spot.core.board.read(0)
    assert best(spot) == (1000, 16) and after["epoch"] == before["epoch"] and after["version"] > before["version"]


def test_a_line_that_never_reaches_what_was_shown_is_shown_after_a_while(spot):
    """Ids that are not the listing's own after all: the board must not stand still for ever."""
    spot.frame(depth(13, 1_000_000, {1000: 13}, {}), line=A)
    spot.end(A)
    for last in range(13, 80):
        spot.frame(depth(last, last, {1000: last}, {}), line=B)
    assert best(spot) == (1000, 79)


def test_when_both_lines_are_lost_the_listing_is_stale_and_one_of_them_brings_it_back(spot):
    spot.end(A)
    assert changed(STALE, BookFault.DISCONNECTED) in spot.end(B)
    assert spot.state() == (STALE, BookFault.DISCONNECTED) and counted(spot)["outages"] == 1
    spot.open(B)
    assert spot.state()[0] == SYNCING and spot.core.board.read(0)["epoch"] == 3
    spot.frame(depth(21, 21, {}, {}), line=B)
    assert spot.snapshot(rest(21, BIDS, ASKS)) == [changed(LIVE)]
    assert counted(spot)["leading"] == B
    spot.open(A)
    spot.frame(depth(22, 22, {1000: 1}, {}), line=A)
    spot.snapshot(rest(22, BIDS, ASKS))
    assert spot.core.board.read(0)["epoch"] == 3        # the listing goes on
    assert spot.loop.book(0, A).best(1) is not None


def test_a_crossed_book_is_replaced_at_once_by_the_right_one(spot):
    spot.frame(depth(13, 13, {1000: 7}, {}), line=A)
    told = spot.frame(depth(14, 14, {1005: 1}, {}), line=A)
    assert of_line(A, STALE, BookFault.CROSSED) in told and spot.state()[0] == LIVE
    assert best(spot) == (1000, 5000)                   # of line B, which is an update behind, and right


def test_ids_that_begin_anew_are_followed(spot):
    feed = Feed("okx", ["A-B"], lines=2)
    for line in (A, B):
        feed.open(line)
        feed.frame(okx("snapshot", BIDS, ASKS, **chained(-1, 5000)), line=line)
    feed.frame(okx("update", {1000: 1}, {}, **chained(5000, 5001)), line=A)
    feed.frame(okx("update", {1000: 2}, {}, **chained(5001, 7)), line=A)            # maintenance: smaller, and legal
    assert best(feed) == (1000, 2)
    feed.frame(okx("update", {1000: 1}, {}, **chained(5000, 5001)), line=B)         # late, and larger than 7
    assert best(feed) == (1000, 2)
    feed.frame(okx("update", {1000: 2}, {}, **chained(5001, 7)), line=B)
    feed.frame(okx("update", {1000: 3}, {}, **chained(7, 8)), line=B)
    assert best(feed) == (1000, 3) and counted(feed)["leading"] == B


def test_one_answer_serves_both_lines_and_an_old_one_is_asked_for_again_once(spot):
    for line in (A, B):
        spot.frame(depth(20 + line, 20 + line, {}, {}), line=line)
    assert spot.state()[0] == STALE
    assert spot.snapshot(rest(15, BIDS, ASKS)).count(NEED) == 1
    assert spot.snapshot(rest(20, BIDS, ASKS)) == [changed(LIVE), of_line(B, LIVE)]


def test_a_snapshot_that_never_comes_is_asked_for_again_on_two_lines(spot):
    """Once every ten seconds, however far apart the lines began to wait for it."""
    assert NEED in spot.frame(depth(20, 20, {}, {}), line=A)
    spot.step(5 * SECOND_NS)
    assert NEED not in spot.frame(depth(20, 20, {}, {}), line=B)
    asked = [spot.step(SECOND_NS).count(NEED) for _ in range(40)]
    assert sum(asked) == 4 and max(asked) == 1


# -- no numbers: one line leads ------------------------------------------------------------------------------------

def test_without_numbers_one_line_leads_and_the_other_takes_over_with_its_book(kept):
    bids = {1000: 6000, 999: 1000}
    for line in (B, A):
        kept.frame(kraken("update", "A/B", {1000: 6000}, {}, (bids, ASKS)), line=line)
        assert best(kept) == ((1000, 5000) if line == B else (1000, 6000))
    assert counted(kept)["duplicates"] == 1
    kept.frame(kraken("update", "A/B", {1000: 7000}, {}, (bids | {1000: 7000}, ASKS)), line=A)
    before = kept.core.board.read(0)
    told = kept.end(A)
    assert [one for one in told if one[0] == EventKind.BOOK_CHANGED] == []
    assert best(kept) == (1000, 6000) and kept.core.board.read(0)["version"] == before["version"] + 1
    kept.frame(kraken("update", "A/B", {1000: 7000}, {}, (bids | {1000: 7000}, ASKS)), line=B)
    assert best(kept) == (1000, 7000) and counted(kept)["outages"] == 0


def test_a_wrong_checksum_on_the_leading_line_shows_the_other(kept):
    told = kept.frame(kraken("update", "A/B", {1000: 1}, {}, checksum=1), line=A)
    assert of_line(A, STALE, BookFault.CHECKSUM) in told and kept.state()[0] == LIVE and best(kept) == (1000, 5000)


def test_each_line_counts_the_frames_of_its_own_connection():
    """Coinbase Advanced numbers all frames of a connection: with one count for both, each line would miss half."""
    feed = Feed("coinbase_adv", ["AB-CD"], lines=2)

    def event(number, kind, quantity):
        return {"channel": "l2_data", "client_id": "", "timestamp": "2026-01-01T00:00:00Z", "sequence_num": number,
                "events": [{"type": kind, "product_id": "AB-CD", "updates": [
                    {"side": "bid", "event_time": "2026-01-01T00:00:00Z", "price_level": "10.00",
                     "new_quantity": f"{quantity}.000"}]}]}

    for line in (A, B):
        feed.open(line)
        feed.frame(event(0, "snapshot", 1), line=line)
    for number in (1, 3, 5):
        for line in (A, B):
            for place in (number, number + 1):
                feed.frame(event(place, "update", place), line=line)
    assert best(feed) == (1000, 6000) and feed.loop.counters(0)["gaps"] == 0
    told = feed.frame(event(9, "update", 9), line=A)
    assert of_line(A, STALE, BookFault.GAP) in told and feed.state()[0] == LIVE


# -- any interleaving ----------------------------------------------------------------------------------------------

class Truth:
    """Updates with one to three ids each, and the book after each of them."""

    def __init__(self, steps):
        self.updates, self.books = [], [(dict(BIDS), dict(ASKS))]
        last = 12
        for width, price, quantity in steps:
            bids = {1000 - price: quantity}
            self.updates.append(depth(last + 1, last + width, bids, {}))
            last += width
            before = self.books[-1][0]
            self.books.append(({at: held for at, held in (before | bids).items() if held}, dict(ASKS)))

    def shown(self, at):
        bids, asks = self.books[at]
        return [sorted(bids.items(), reverse=True), sorted(asks.items())]


STEPS = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=25)


@settings(max_examples=200)
@given(steps=STEPS, data=st.data())
def test_whatever_one_line_does_the_other_is_enough(steps, data):
    """Line B loses, repeats and delays what it likes, and may end; line A is whole. Delays lie in the interleaving."""
    truth = Truth(steps)
    feed = Feed("binance_spot", ["AB"], lines=2, tape_records=1 << 10)
    for line in (A, B):
        feed.open(line)
        feed.frame(depth(11, 12, {}, {}), line=line)
    feed.snapshot(rest(12, BIDS, ASKS))
    faulty = data.draw(st.lists(st.integers(0, len(truth.updates) - 1), max_size=40).map(
        lambda extra: sorted([*range(len(truth.updates)), *extra])), label="with repetitions")
    lost = data.draw(st.sets(st.sampled_from(range(len(truth.updates)))), label="lost")
    sides = {A: list(range(len(truth.updates))), B: [number for number in faulty if number not in lost]}
    ends = data.draw(st.booleans(), label="B ends")
    highest, reached, follows = 0, {A: 0, B: 0}, True
    while sides[A] or sides[B]:
        line = data.draw(st.sampled_from([line for line in (A, B) if sides[line]]), label="line")
        number = sides[line].pop(0)
        feed.frame(truth.updates[number], line=line)
        if line == A or follows:                # the slow twin: what each line's book has reached
            follows = follows and (line == A or number <= reached[B])
            if number == reached[line]:
                reached[line] += 1
        highest = max(highest, reached[A], reached[B])
        assert feed.state()[0] == LIVE and feed.shown() == truth.shown(highest)
    if ends:
        feed.end(B)
        assert feed.state()[0] == LIVE
    assert feed.shown() == truth.shown(len(truth.updates)) and counted(feed)["outages"] == 0
    ids = [int(record["id"]) for record in tape_of(feed, TapeKind.TAPE_UPDATE)]
    assert ids == [update["data"]["u"] for update in truth.updates]         # each once, in order
    assert feed.core.board.read(0)["version"] == 1 + len(truth.updates)


@settings(max_examples=100)
@given(steps=STEPS, data=st.data())
def test_a_line_that_is_repaired_over_and_over_never_makes_the_other_wrong(steps, data):
    """Line B has gaps and takes snapshots of any age; what is shown is always a true book, and never an older one."""
    truth = Truth(steps)
    feed = Feed("binance_spot", ["AB"], lines=2)
    for line in (A, B):
        feed.open(line)
        feed.frame(depth(11, 12, {}, {}), line=line)
    feed.snapshot(rest(12, BIDS, ASKS))
    lost = data.draw(st.sets(st.sampled_from(range(len(truth.updates)))), label="lost")
    sides = {A: list(range(len(truth.updates))), B: [at for at in range(len(truth.updates)) if at not in lost]}
    books = [truth.shown(at) for at in range(len(truth.books))]
    shown = 0
    while sides[A] or sides[B]:
        line = data.draw(st.sampled_from([line for line in (A, B) if sides[line]]), label="line")
        feed.frame(truth.updates[sides[line].pop(0)], line=line)
        if data.draw(st.booleans(), label="snapshot"):
            at = data.draw(st.integers(0, len(truth.updates) - 1), label="at")
            at = min(at, max(len(truth.updates) - len(sides[A]), len(truth.updates) - len(sides[B])))
            last = 12 if at == 0 else truth.updates[at - 1]["data"]["u"]
            feed.snapshot(rest(last, *truth.books[at]))
        assert feed.state()[0] == LIVE
        shown = next((at for at in range(shown, len(books)) if books[at] == feed.shown()), None)
        assert shown is not None
    assert feed.shown() == books[-1] and counted(feed)["outages"] == 0


@settings(max_examples=100)
@given(order=st.lists(st.booleans(), min_size=60, max_size=60), lost=st.sets(st.integers(0, 39)))
def test_each_trade_is_counted_once(order, lost):
    """Each line loses what the other has, and sends its first one twice."""
    feed = Feed("binance_spot", ["AB"], lines=2, tape_records=1 << 10)
    feed.open(A)
    feed.open(B)

    def trade(number):
        return {"stream": "ab@trade", "data": {"e": "trade", "E": 1, "s": "AB", "t": number, "p": "10.00",
                                               "q": "1.000", "T": 1, "m": False, "M": True}}
    sides = {A: [0, *(at for at in range(40) if at not in lost)], B: [0, *range(40)]}
    for choice in itertools.chain(order, itertools.repeat(True)):
        line = A if choice and sides[A] else B
        if not sides[line]:
            line = 1 - line
        if not sides[line]:
            break
        feed.frame(trade(sides[line].pop(0)), line=line)
    ids = [int(record["id"]) for record in tape_of(feed, TapeKind.TAPE_TRADE)]
    assert sorted(ids) == list(range(40))
    assert counted(feed)["repeated_trades"] == 42 - len(lost)


def test_trades_whose_ids_do_not_grow_are_those_of_one_line_while_it_is_open():
    feed = Feed("bybit_v5", ["AB"], lines=2, tape_records=1 << 10)

    def book(kind, number):
        return {"topic": "orderbook.200.AB", "type": kind, "ts": 1,
                "data": {"s": "AB", "b": [["10.00", f"{number}.000"]], "a": [], "u": number, "seq": number}}

    def trade(line):
        feed.frame({"topic": "publicTrade.AB", "type": "snapshot", "ts": 1, "data": [
            {"T": 1, "s": "AB", "S": "Buy", "v": "1.000", "p": "10.00", "i": "f2a1c0f0-0000-4000-8000-000000000001",
             "BT": False}]}, line=line)
        return len(tape_of(feed, TapeKind.TAPE_TRADE))

    for line in (A, B):
        feed.open(line)
        feed.frame(book("snapshot", 20), line=line)
    assert trade(A) == 1
    feed.frame(book("delta", 21), line=B)
    assert counted(feed)["leading"] == B and trade(B) == 0 and trade(A) == 1
    feed.end(A)
    assert trade(B) == 1
    feed.open(A)
    assert trade(A) == 0 and counted(feed)["repeated_trades"] == 2


# -- what is known of an exchange ----------------------------------------------------------------------------------

def test_every_exchange_says_what_its_lines_have_in_common():
    for protocol in SESSIONS:
        one = session_for(protocol, SessionSettings("test", symbols=("A-B",)))
        assert isinstance(one.facts, Facts), protocol
        assert one.has_second_line == (one.renew_after_ns > 0)
        assert session_for(protocol, SessionSettings("test", symbols=("A-B",), lines=2)).has_second_line
    spot = session_for("binance_spot", SessionSettings("test"))
    assert 23 * HOUR_NS < spot.renew_after_ns < 24 * HOUR_NS
    never = session_for("binance_spot", replace(spot.settings, renew_after_ns=0))
    assert never.renew_after_ns == 0 and not never.has_second_line


# -- which connections are wanted ----------------------------------------------------------------------------------

class Closing:
    """A pair whose connections open and close when they are told to."""

    def __init__(self, both=False, after_ns=1000):
        endpoint = session_for("binance_spot", SessionSettings("test")).endpoints()[0]
        self.one = Line(endpoint, Acknowledgements(1))
        self.two = Line(endpoint, Acknowledgements(1), number=1, wanted=both)
        self.closed = []
        self.after_ns = after_ns
        self.pair = Pair(self.one, self.two, both, self.closed.append)

    def open(self, line, now_ns, books="LIVE"):
        line.state, line.ready, line.leaving, line.opened_ns = "open", True, False, now_ns
        line.epoch = 1 + max(self.one.epoch, self.two.epoch)
        line.books = {0: books}
        self.pair.opened(line, now_ns, self.after_ns, 1.0)

    def lose(self, line):
        line.state, line.ready, line.books = "closed", False, {}
        self.pair.lost(line)


def test_a_successor_is_opened_in_time_and_the_old_line_closed_when_nothing_is_missed():
    world = Closing()
    world.open(world.one, 0)
    world.pair.renew(999)
    assert not world.two.wanted
    world.pair.renew(1000)
    assert world.two.wanted and world.closed == []
    world.open(world.two, 1010, books="SYNCING")
    world.pair.renew(1010)
    assert world.closed == []
    world.two.books[0] = "LIVE"
    world.pair.renew(1020)
    assert world.closed == [world.one] and world.one.leaving and not world.one.wanted and world.pair.renewals == 1
    world.lose(world.one)
    assert world.two.wanted and not world.one.wanted and world.pair.current is world.two
    world.pair.renew(2010)
    assert world.one.wanted                             # and so on, in turn


def test_a_successor_that_never_takes_over_plans_nothing():
    """Its own time comes while the old line is still needed: nobody is woken for it."""
    world = Closing()
    world.open(world.one, 0)
    assert world.pair.due_ns == 1000
    world.pair.renew(1000)
    world.open(world.two, 1000, books="STALE")
    world.pair.renew(3000)
    assert world.two.renew_ns == 2000 and world.pair.due_ns is None and world.closed == []
    world.lose(world.one)
    assert world.pair.current is world.two and world.pair.due_ns == 2000


def test_the_old_line_is_lost_before_its_successor_is_there():
    world = Closing()
    world.open(world.one, 0)
    world.pair.renew(1000)
    world.lose(world.one)
    assert not world.one.wanted and world.two.wanted and world.pair.current is world.two
    world.lose(world.two)
    assert world.two.wanted and not world.one.wanted


def test_a_successor_that_is_lost_is_tried_again_and_the_old_line_stays():
    world = Closing()
    world.open(world.one, 0)
    world.pair.renew(1000)
    world.open(world.two, 1001, books="SYNCING")
    world.lose(world.two)
    world.pair.renew(5000)
    assert world.one.wanted and world.two.wanted and world.closed == []
    world.open(world.two, 5001)
    world.pair.renew(5001)
    assert world.closed == [world.one]


def test_a_line_that_the_exchange_will_end_is_replaced_only_while_it_is_of_use():
    world = Closing(after_ns=0)
    world.open(world.one, 5)
    world.pair.renew(10**18)
    assert not world.two.wanted and world.pair.replace(world.one)
    world.pair.renew(6)
    assert world.two.wanted and world.closed == []
    world.open(world.two, 7, books="STALE")
    assert not world.pair.replace(world.two)
    world.two.books[0] = "LIVE"
    world.pair.renew(8)
    assert world.closed == [world.one]
    world.two.books[0] = "STALE"
    assert not world.pair.replace(world.two)


def test_of_two_lines_one_is_renewed_at_a_time():
    world = Closing(both=True)
    world.open(world.one, 0)
    world.open(world.two, 0)
    assert world.two.renew_ns == 500 and world.one.renew_ns == 1000
    world.pair.renew(1000)
    assert world.closed == [world.one]
    world.pair.renew(1000)
    assert world.closed == [world.one]                  # the first is not back yet
    world.lose(world.one)
    assert world.one.wanted
    world.open(world.one, 1100)
    world.pair.renew(1100)
    assert world.closed == [world.one, world.two] and world.two.wanted
