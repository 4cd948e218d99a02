"""A book is in step with the exchange, or flagged before anyone can read it."""
import bisect
import itertools
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow._core.types import BookFault, BookState, CommandKind, EventKind, LossReason
from tests.feed import MILLISECOND_NS, SECOND_NS, Feed, depth, kraken, levels, rest

NEED = (EventKind.SNAPSHOT_NEEDED, 0)
LIVE, STALE, SYNCING = BookState.LIVE, BookState.STALE, BookState.SYNCING
BIDS, ASKS = {1000: 5000, 999: 1000}, {1001: 4000, 1002: 2000}


def changed(state, fault=BookFault.NO_FAULT, listing=0):
    return EventKind.BOOK_CHANGED, listing, state, fault


def lost(reason):
    return EventKind.CONNECTION_LOST, reason


@pytest.fixture
def spot():
    """Binance spot, LIVE at update 12."""
    feed = Feed("binance_spot", ["AB", "CD"])
    feed.open()
    assert feed.frame(depth(11, 12, {}, {})) == [NEED]
    assert feed.snapshot(rest(12, BIDS, ASKS)) == [changed(LIVE)]
    assert feed.shown() == [list(BIDS.items()), list(ASKS.items())]
    return feed


@pytest.fixture
def pairs():
    """Kraken with two LIVE books."""
    feed = Feed("kraken_v2", ["A/B", "C/D"], depth=10)
    feed.open()
    for listing, symbol in enumerate(("A/B", "C/D")):
        assert feed.frame(kraken("snapshot", symbol, BIDS, ASKS, (BIDS, ASKS))) == [changed(LIVE, listing=listing)]
    return feed


# -- gaps ---------------------------------------------------------------------------------------------------

def test_a_gap_is_stale_before_anyone_can_read(spot):
    assert spot.frame(depth(14, 15, {1000: 0}, {})) == [changed(STALE, BookFault.GAP), NEED]
    assert spot.state() == (STALE, BookFault.GAP) and spot.shown() == [[], []]
    assert spot.frame(depth(16, 17, {1000: 7}, {})) == []          # kept; the snapshot is on its way
    assert spot.snapshot(rest(15, {998: 1}, ASKS)) == [changed(LIVE)]
    assert spot.shown()[0] == [(1000, 7), (998, 1)]
    assert spot.loop.counters(0)["gaps"] == 1


def test_updates_that_the_book_has_are_dropped(spot):
    assert spot.frame(depth(11, 12, {1000: 0}, {})) == []
    assert spot.frame(depth(12, 13, {1000: 6000}, {})) == []       # overlaps: quantities are absolute
    assert spot.frame(depth(12, 13, {1000: 1}, {})) == []
    assert spot.state()[0] == LIVE and spot.shown()[0][0] == (1000, 6000)


def test_kept_updates_are_joined_after_their_snapshot():
    feed = Feed("binance_spot", ["AB"])
    feed.open()
    assert feed.state()[0] == SYNCING
    feed.frame(depth(11, 12, {1000: 1}, {}))
    feed.frame(depth(13, 14, {1000: 2, 990: 3}, {}))
    feed.frame(depth(15, 15, {}, {1001: 4}))
    assert feed.state()[0] == SYNCING and feed.shown() == [[], []]
    assert feed.snapshot(rest(13, {1000: 9, 995: 9}, {1005: 9})) == [changed(LIVE)]
    assert feed.shown() == [[(1000, 2), (995, 9), (990, 3)], [(1001, 4), (1005, 9)]]
    assert feed.loop.counters(0)["updates_applied"] == 2


def test_a_hole_among_kept_updates_is_a_gap():
    feed = Feed("binance_spot", ["AB"])
    feed.open()
    feed.frame(depth(11, 12, {1000: 1}, {}))
    feed.frame(depth(14, 15, {1000: 2}, {}))
    assert changed(STALE, BookFault.GAP) in feed.snapshot(rest(12, BIDS, ASKS))
    assert feed.shown() == [[], []]
    assert feed.snapshot(rest(14, {999: 1}, ASKS)) == [changed(LIVE)]
    assert feed.shown()[0] == [(1000, 2), (999, 1)]


def test_a_snapshot_older_than_what_is_kept_is_refused_and_asked_for_again():
    feed = Feed("binance_spot", ["AB"])
    feed.open()
    assert feed.frame(depth(11, 12, {}, {})) == [NEED]
    assert feed.snapshot(rest(9, BIDS, ASKS)) == [NEED]
    assert feed.state()[0] == SYNCING
    assert feed.snapshot(rest(10, BIDS, ASKS)) == [changed(LIVE)]


def test_a_snapshot_older_than_the_book_was_is_refused_when_nothing_is_kept_too(spot):
    """Its id alone tells: no update is there that would show the hole, until the next one comes."""
    spot.frame(depth(13, 14, {1000: 7}, {}))
    bad = depth(15, 15, {}, {})
    bad["data"]["b"] = "x"
    assert spot.frame(bad) == [(EventKind.FRAME_REFUSED,), changed(STALE, BookFault.MALFORMED), NEED]
    assert spot.snapshot(rest(13, BIDS, ASKS)) == [NEED]
    assert spot.state()[0] == STALE
    assert spot.snapshot(rest(15, {998: 1}, ASKS)) == [changed(LIVE)]


def test_a_late_snapshot_does_not_touch_a_live_book(spot):
    spot.frame(depth(13, 13, {1000: 1}, {}))
    assert spot.snapshot(rest(12, {900: 1}, {})) == []
    assert spot.snapshot(rest(99, {900: 1}, {})) == []
    assert spot.state()[0] == LIVE and spot.shown()[0][0] == (1000, 1)


def test_a_snapshot_that_never_comes_is_asked_for_again():
    feed = Feed("binance_spot", ["AB"])
    feed.open()
    assert feed.frame(depth(11, 12, {}, {})) == [NEED]
    assert feed.step(9 * SECOND_NS) == []
    assert feed.step(SECOND_NS) == [NEED]
    feed.loop.command(CommandKind.SNAPSHOT_FAILED, listing=0)
    assert feed.step() == [] and feed.step(9 * SECOND_NS) == []
    assert feed.step(SECOND_NS) == [NEED]


def test_a_snapshot_that_cannot_be_read_is_told_and_asked_for_again(spot):
    spot.frame(depth(14, 15, {}, {}))
    for bad in ('{"lastUpdateId": 15, "bids": [["1.00"', '{"code": -1003, "msg": "Too many requests"}', ""):
        assert spot.snapshot(bad) == [(EventKind.FRAME_REFUSED,)]
        assert spot.state()[0] == STALE
        assert spot.step(10 * SECOND_NS) == [NEED]
    assert spot.snapshot(rest(15, BIDS, ASKS)) == [changed(LIVE)]


def test_what_is_kept_has_a_bound_and_is_never_joined_over_a_hole():
    feed = Feed("binance_spot", ["AB"])
    feed.open()
    wide = {price: 1 for price in range(1, 4001)}
    room = (1 << 24) // (16 * len(wide))
    last = 0
    for last in range(1, room + 10):        # the last ones find no room, and throw out the first
        feed.frame(depth(last, last, wide, {}))
    assert feed.loop.counters(0)["updates_dropped"] >= 1
    assert feed.snapshot(rest(1, BIDS, ASKS)) == [NEED]
    assert feed.state()[0] == SYNCING
    assert feed.snapshot(rest(last, BIDS, ASKS)) == [changed(LIVE)]
    assert feed.shown()[0] == list(BIDS.items())


def resident():
    """Bytes of this process's own memory that are resident."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s*(\d+) kB", status)[1]) << 10


def test_memory_that_a_bad_moment_needed_is_given_back():
    feed = Feed("binance_spot", ["AB"])
    wide = {price: 1 for price in range(1, 4001)}
    updates = 64
    kept = updates * len(wide) * 16
    for _ in range(2):                      # the second time in memory that was given back
        feed.open()
        for last in range(1, updates + 1):
            feed.frame(depth(last, last, wide | {4000: last}, {}))
        most = resident()
        assert feed.snapshot(rest(1, BIDS, {5000: 1})) == [changed(LIVE)]
        feed.step(SECOND_NS)
        assert most - resident() > kept // 2
        assert feed.shown()[0][0] == (4000, updates)


# -- futures: ids of all symbols in one sequence --------------------------------------------------------------

def futures():
    feed = Feed("binance_usdm", ["AB"])
    feed.open()
    return feed


def test_the_previous_id_finds_a_gap():
    feed = futures()
    feed.frame(depth(10, 20, {1000: 1}, {}, previous=5))
    assert feed.snapshot(rest(15, BIDS, ASKS)) == [changed(LIVE)]
    assert feed.frame(depth(31, 40, {999: 2}, {}, previous=20)) == []
    assert feed.frame(depth(51, 60, {999: 3}, {}, previous=50)) == [changed(STALE, BookFault.GAP), NEED]
    assert feed.shown() == [[], []]


def test_a_snapshot_between_two_updates_of_a_symbol_joins():
    feed = futures()
    feed.frame(depth(10, 20, {1000: 1}, {}, previous=5))
    feed.frame(depth(31, 40, {1000: 2}, {}, previous=20))
    assert feed.snapshot(rest(25, BIDS, ASKS)) == [changed(LIVE)]     # ids 21 to 30 are other symbols'
    assert feed.shown()[0][0] == (1000, 2)


def test_a_hole_between_a_snapshot_and_the_next_update_is_a_gap():
    feed = futures()
    feed.frame(depth(10, 20, {1000: 1}, {}, previous=5))
    feed.frame(depth(51, 60, {1000: 2}, {}, previous=40))
    assert feed.snapshot(rest(25, BIDS, ASKS)) == [changed(STALE, BookFault.GAP), NEED]
    assert feed.snapshot(rest(45, BIDS, ASKS)) == [changed(LIVE)]
    assert feed.shown()[0][0] == (1000, 2)


# -- what a book itself shows ---------------------------------------------------------------------------------

def test_a_wrong_checksum_concerns_that_book_only(pairs):
    assert pairs.frame(kraken("update", "A/B", {1000: 1000}, {}, checksum=1)) == [
        changed(STALE, BookFault.CHECKSUM), NEED]
    assert pairs.state(0) == (STALE, BookFault.CHECKSUM) and pairs.shown(0) == [[], []]
    assert pairs.state(1)[0] == LIVE and pairs.shown(1)[0] == list(BIDS.items())
    assert pairs.frame(kraken("update", "A/B", {1000: 1}, {}, checksum=1)) == []      # not applied, not asked again
    assert pairs.frame(kraken("snapshot", "A/B", {990: 1}, {995: 1}, ({990: 1}, {995: 1}))) == [changed(LIVE)]
    assert pairs.shown(0) == [[(990, 1)], [(995, 1)]]


def test_updates_keep_their_checksum_and_the_book_its_depth(pairs):
    bids = dict(BIDS)
    for price in range(980, 990):
        bids[price] = 1000 + price
        assert pairs.frame(kraken("update", "A/B", {price: bids[price]}, {}, (bids, ASKS))) == []
    kept = sorted(bids.items(), reverse=True)[:10]
    assert pairs.shown(0)[0] == kept
    assert len(pairs.loop.book(0).levels(1)) == 10
    assert pairs.loop.counters(0)["checksums_ok"] == 11


def test_a_crossed_book_is_stale(spot):
    assert spot.frame(depth(13, 13, {1002: 1}, {})) == [changed(STALE, BookFault.CROSSED), NEED]
    assert spot.shown() == [[], []]
    assert changed(STALE, BookFault.CROSSED) in spot.snapshot(rest(13, {1001: 1}, {1000: 1}))
    assert spot.state()[0] == STALE


def test_a_locked_book_is_not_crossed(spot):
    assert spot.frame(depth(13, 13, {1001: 1}, {})) == []
    assert spot.state()[0] == LIVE


@pytest.mark.parametrize("price, quantity", [("10.001", "1"), ("10.00", "0.0001"), ("99999999999999999999", "1")])
def test_a_number_that_does_not_fit_the_scale_is_never_rounded(spot, price, quantity):
    frame = depth(13, 13, {}, {})
    frame["data"]["b"] = [[price, quantity]]
    said = spot.frame(frame)
    assert said == [(EventKind.FRAME_REFUSED,), changed(STALE, BookFault.INEXACT), NEED]
    assert spot.state() == (STALE, BookFault.INEXACT)
    spot.frame(depth(1, 1, {}, {}, "CD"))
    assert spot.snapshot(rest(1, BIDS, ASKS), listing=1) == [changed(LIVE, listing=1)]


def test_trailing_zeros_are_no_digits(spot):
    frame = depth(13, 13, {}, {})
    frame["data"]["b"] = [["10.00000", "5.00000"]]
    assert spot.frame(frame) == []


# -- frames that cannot be read -------------------------------------------------------------------------------

def test_a_bad_frame_that_names_its_book_concerns_that_book_only(pairs):
    good = kraken("update", "A/B", {1000: 1}, {}, (BIDS, ASKS))
    assert pairs.frame(good[:good.index("asks")]) == [
        (EventKind.FRAME_REFUSED,), changed(STALE, BookFault.MALFORMED), NEED]
    assert pairs.state(1)[0] == LIVE


def test_a_bad_frame_that_holds_more_than_one_book_ends_the_connection(pairs):
    """The entry before the bad one was not applied either."""
    first = kraken("update", "A/B", {1000: 1}, {}, ({**BIDS, 1000: 1}, ASKS))
    second = kraken("update", "C/D", {1000: 1}, {}, checksum=1).replace('"qty": 0.001', '"qty": 0.0001')
    both = first[:-2] + ", " + second[second.index('{"symbol"'):]
    assert pairs.frame(both)[-1] == lost(LossReason.FRAME_UNREADABLE)
    assert pairs.state(0) == pairs.state(1) == (STALE, BookFault.DISCONNECTED)


def test_an_unknown_message_is_told_and_changes_nothing(spot):
    assert spot.frame({"stream": "s", "data": {"e": "news", "text": "hello"}}) == [(EventKind.FRAME_REFUSED,)]
    assert spot.state()[0] == LIVE
    assert spot.frame(depth(13, 13, {1000: 1}, {})) == [] and spot.shown()[0][0] == (1000, 1)


@pytest.mark.parametrize("garbage", ["", "{", "\x00\x01\x02", "nonsense", '{"stream": "s", "data": {"e": "depthUp',
                                     '{"stream": "s", "stream": "t"}', "[" * 100_000])
def test_garbage_ends_the_connection_and_every_book_on_it(spot, garbage):
    said = spot.frame(garbage)
    assert said[0] == (EventKind.FRAME_REFUSED,) and said[-1] == lost(LossReason.FRAME_UNREADABLE)
    assert changed(STALE, BookFault.DISCONNECTED) in said
    assert spot.state() == (STALE, BookFault.DISCONNECTED) and spot.shown() == [[], []]
    assert spot.frame(depth(13, 13, {1000: 1}, {})) == []           # the rest of that connection is not believed
    assert spot.state()[0] == STALE


def test_a_change_while_a_wake_up_is_served_wakes_again(spot):
    """The router has lowered the flag and holds the slot still; every other listing waits in the ring too."""
    spot.core.wake_pending[0] = 0
    spot.frame(depth(13, 13, {1000: 1}, {}))
    woken = []
    while (wake := spot.core.wakes["test"].pop()) is not None:
        woken.append(wake)
    assert len(woken) == 3


# -- connections ----------------------------------------------------------------------------------------------

def test_nothing_survives_a_reconnect(spot):
    spot.frame(depth(14, 15, {}, {}))           # STALE, with an update kept
    assert lost(LossReason.PEER_CLOSED) in spot.end()
    assert spot.state() == (STALE, BookFault.DISCONNECTED)
    spot.open()
    assert spot.state() == (SYNCING, BookFault.NO_FAULT) and spot.shown() == [[], []]
    assert spot.loop.counters(0)["version"] == 0 and spot.core.board.read(0)["epoch"] == 2
    assert spot.frame(depth(31, 32, {1000: 1}, {})) == [NEED]
    assert spot.snapshot(rest(31, {990: 2}, {1005: 2})) == [changed(LIVE)]
    assert spot.shown() == [[(1000, 1), (990, 2)], [(1005, 2)]]


def test_a_snapshot_without_a_connection_does_not_make_a_book_live(spot):
    """The answer to a request that was under way when the stream ended; and nobody asks again before the next one."""
    spot.frame(depth(14, 15, {1000: 0}, {}))
    spot.end()
    assert spot.snapshot(rest(15, {998: 1}, ASKS)) == []
    assert NEED not in spot.step(60 * SECOND_NS)
    assert spot.state() == (STALE, BookFault.DISCONNECTED) and spot.shown() == [[], []]


def test_the_late_end_of_an_old_connection_leaves_the_new_one_open(spot):
    spot.open()
    spot.loop.command(CommandKind.CONNECTION_ENDED, epoch=spot.epoch - 1)
    assert spot.step() == []
    assert spot.frame(depth(11, 12, {}, {})) == [NEED]
    assert spot.snapshot(rest(12, BIDS, ASKS)) == [changed(LIVE)]


def test_frames_of_an_old_connection_are_dropped(spot):
    spot.end()
    spot.open()
    assert spot.frame(depth(13, 13, {1000: 1}, {}), epoch=1) == []
    assert spot.loop.totals["frames"] == 1                          # only the fixture's
    assert spot.frame(depth(41, 41, {}, {})) == [NEED]


def test_frames_wait_until_their_connection_is_known(spot):
    spot.frame(depth(41, 41, {}, {}), epoch=2)
    assert spot.state()[0] == LIVE                                  # not yet looked at
    spot.end()
    spot.open()
    assert NEED in spot.events[-2:] and spot.loop.totals["frames"] == 2


def test_a_kraken_book_needs_its_snapshot_first():
    feed = Feed("kraken_v2", ["A/B"], depth=10)
    feed.open()
    assert feed.frame(kraken("update", "A/B", {1000: 1}, {}, checksum=5)) == []
    assert feed.state()[0] == SYNCING and feed.shown() == [[], []]


# -- the property ---------------------------------------------------------------------------------------------

class Truth:
    """An exchange that publishes diffs: the book after every id, in dicts."""

    def __init__(self, changes, strides):
        bids, asks = {100: 1}, {101: 1}
        self.ids, self.books, self.updates = [10], [(dict(bids), dict(asks))], []
        for (side, price, quantity), stride in zip(changes, strides, strict=True):
            book, price = (bids, 100 - price) if side else (asks, 101 + price)
            first, last = self.ids[-1] + 1 + stride, self.ids[-1] + 3 + stride
            self.updates.append((first, last, self.ids[-1], *(({price: quantity}, {}) if side else
                                                              ({}, {price: quantity}))))
            book[price] = quantity
            if not quantity:
                del book[price]
            self.ids.append(last)
            self.books.append((dict(bids), dict(asks)))

    def at(self, number):
        """The levels as the board shows them when update id `number` was the last."""
        bids, asks = self.books[bisect.bisect_right(self.ids, number) - 1]
        return [sorted(bids.items(), reverse=True)[:20], sorted(asks.items())[:20]]

    def frame(self, index, is_spot):
        first, last, previous, bids, asks = self.updates[index]
        return depth(first, last, bids, asks, previous=None if is_spot else previous)

    def snapshot(self, number):
        bids, asks = self.books[bisect.bisect_right(self.ids, number) - 1]
        return rest(number, bids, asks)


CHANGE = st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 3))
FATE = st.sampled_from(["good"] * 6 + ["dropped", "doubled", "swapped", "late again"])
FEEDS = {}


@pytest.mark.parametrize("protocol", ["binance_spot", "binance_usdm"])
@settings(max_examples=80)
@given(data=st.data())
def test_a_live_book_equals_the_truth_whatever_happens_on_the_way(protocol, data):
    is_spot = protocol == "binance_spot"
    feed = FEEDS.setdefault(protocol, Feed(protocol, ["AB"]))       # a reconnect makes it new
    changes = data.draw(st.lists(CHANGE, min_size=1, max_size=30))
    strides = data.draw(st.lists(st.integers(0, 0 if is_spot else 5), min_size=len(changes), max_size=len(changes)))
    truth = Truth(changes, strides)
    fates = data.draw(st.lists(FATE, min_size=len(changes), max_size=len(changes)))
    delays = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=8))
    feed.open()
    asked = Snapshots(feed, truth, delays)
    for index in sent(fates):
        asked.see(feed.frame(truth.frame(index, is_spot)), index)
        check(feed, truth)
    for index in range(len(changes)):           # once more, in order and whole: it must come back by itself
        asked.see(feed.frame(truth.frame(index, is_spot)), len(changes) - 1)
        check(feed, truth)
    asked.answer_now(len(changes) - 1)
    assert feed.state()[0] == LIVE and feed.shown() == truth.at(truth.ids[-1])


def sent(fates):
    """Indices of updates in the order in which a bad network delivers them."""
    order, held = [], None
    for index, fate in enumerate(fates):
        if fate == "swapped" and held is None:
            held = index
            continue
        if fate != "dropped":
            order.append(index)
        if fate == "doubled":
            order.append(index)
        if fate == "late again":
            order.append(max(0, index - 3))
        if held is not None:
            order.append(held)
            held = None
    return order if held is None else [*order, held]


class Snapshots:
    """Answers requests some frames later, with the book of when it was asked, or (odd delays) of when it answers."""

    def __init__(self, feed, truth, delays):
        self.feed, self.truth, self.delays = feed, truth, delays
        self.waiting, self.count = [], 0        # (frames to wait, index of the last update in it; None = the newest)

    def see(self, said, index):
        if NEED in said:
            delay = self.delays[self.count % len(self.delays)]
            self.count += 1
            self.waiting.append((delay, None if delay % 2 else index))
        due = [index if asked is None else asked for delay, asked in self.waiting if delay <= 0]
        self.waiting = [(delay - 1, asked) for delay, asked in self.waiting if delay > 0]
        for answered in due:
            said = self.feed.snapshot(self.truth.snapshot(self.truth.ids[answered + 1]))
            check(self.feed, self.truth)
            if NEED in said:
                self.waiting.append((0, None))

    def answer_now(self, index):
        """Everything was sent: the next snapshot repairs whatever is left."""
        for _ in range(3):
            self.waiting = [(0, asked) for _, asked in self.waiting]
            self.see([], index)


def check(feed, truth):
    if feed.state()[0] != LIVE:
        assert feed.shown() == [[], []]
        return
    assert feed.shown() == truth.at(feed.loop.counters(0)["last_id"])


# -- ids that only grow ----------------------------------------------------------------------------------------

def newer(number, bids, asks):
    """A Bitstamp update, or with "data" alone a REST order book: numbered by microtimestamps without a chain."""
    data = {"timestamp": "0", "microtimestamp": str(number), "bids": levels(bids), "asks": levels(asks)}
    return {"data": data, "channel": "diff_order_book_ab", "event": "data"}


class Newer(Truth):
    """The same exchange where updates say no more than when they happened."""

    def frame(self, index, wounded):
        _, last, _, bids, asks = self.updates[index]
        text = json.dumps(newer(last, bids, asks))
        return text.replace('.', '.00000', 1) if wounded else text

    def snapshot(self, number):
        bids, asks = self.books[bisect.bisect_right(self.ids, number) - 1]
        return newer(number, bids, asks)["data"]


@settings(max_examples=150)
@given(data=st.data())
def test_where_ids_only_grow_a_live_book_equals_the_truth_whatever_cannot_be_read(data):
    """A connection drops and swaps nothing; but frames may not be understood, and REST answers be older than them."""
    feed = FEEDS.setdefault("bitstamp", Feed("bitstamp", ["ab"]))
    changes = data.draw(st.lists(CHANGE, min_size=1, max_size=30))
    truth = Newer(changes, [0] * len(changes))
    wounds = data.draw(st.lists(st.sampled_from([False] * 4 + [True]), min_size=len(changes), max_size=len(changes)))
    ages = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=8))      # of REST answers, in updates
    waits = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=8))     # for them, in frames
    waits, ages = itertools.cycle(waits), itertools.cycle(ages)
    feed.open()
    left = None                             # frames until the answer that is under way
    for index, wounded in enumerate(wounds):
        if NEED in feed.frame(truth.frame(index, wounded)):
            left = next(waits)
        check(feed, truth)
        if left == 0:
            said = feed.snapshot(truth.snapshot(truth.ids[max(0, index + 1 - next(ages))]))
            left = 1 + next(waits) if NEED in said else None
            check(feed, truth)
        elif left is not None:
            left -= 1
    feed.frame(truth.frame(len(changes) - 1, False))
    feed.snapshot(truth.snapshot(truth.ids[-1]))
    assert feed.state()[0] == LIVE and feed.shown() == truth.at(truth.ids[-1])


# -- silence ------------------------------------------------------------------------------------------------

SILENT = BookFault.SILENT


def quiet_spot(*symbols, joined=True):
    """Binance spot that may say nothing for five seconds, AB LIVE at update 12."""
    feed = Feed("binance_spot", ["AB", *symbols], silence_ns=5 * SECOND_NS)
    feed.open()
    if joined:
        feed.frame(depth(11, 12, {}, {}))
        assert feed.snapshot(rest(12, BIDS, ASKS)) == [changed(LIVE)]
    return feed


def test_a_book_of_which_nothing_is_heard_is_stale_while_others_are_not():
    feed = quiet_spot("CD")
    feed.frame(depth(1, 2, {}, {}, symbol="CD"))
    feed.snapshot(rest(2, BIDS, ASKS), listing=1)
    feed.step(3 * SECOND_NS)
    feed.frame(depth(3, 4, {1000: 1}, {}, symbol="CD"))
    assert feed.step(3 * SECOND_NS) == [changed(STALE, SILENT), NEED]
    assert feed.shown() == [[], []] and feed.state(1)[0] == LIVE


def test_neither_trades_nor_pings_of_the_connection_prove_a_book():
    feed = quiet_spot()
    for _ in range(6):
        feed.step(SECOND_NS)
        feed.frame({"stream": "s", "data": {"e": "trade", "E": 1, "s": "AB", "t": 1, "p": "10.00", "q": "1.000",
                                            "T": 1, "m": True}})
    assert feed.events[-2:] == [changed(STALE, SILENT), NEED]


@pytest.mark.parametrize("anew", [False, True])
def test_updates_that_are_older_than_the_book_do_not_prove_it_for_ever(anew):
    """A snapshot may be ahead of the stream, but not for as long as that. An exchange that begins its ids anew inside a
    connection says nothing else, and the book would stand still and be LIVE."""
    feed = quiet_spot()
    for number in range(5):
        feed.step(SECOND_NS - 2 * MILLISECOND_NS)
        assert feed.frame(depth(number, number, {1000: 1}, {}) if anew else depth(11, 12, {}, {})) == []
    assert feed.state()[0] == LIVE
    assert feed.step(SECOND_NS) == [changed(STALE, SILENT), NEED]
    assert feed.frame(depth(6, 7, {999: 7}, {})) == []
    feed.snapshot(rest(6, BIDS, ASKS))
    assert feed.state()[0] == LIVE and (999, 7) in feed.shown()[0]


def test_a_silent_book_becomes_live_only_with_proof():
    """The stream may be dead: a snapshot that is ahead of it proves nothing about the next second."""
    feed = quiet_spot()
    assert feed.step(6 * SECOND_NS) == [changed(STALE, SILENT), NEED]
    assert feed.snapshot(rest(15, {998: 1}, ASKS)) == [NEED] and feed.state() == (STALE, SILENT)
    assert feed.frame(depth(16, 17, {}, {})) == []
    assert feed.snapshot(rest(16, {998: 1}, ASKS)) == [changed(LIVE)]


def test_a_silent_book_is_live_again_when_the_exchange_has_changed_nothing():
    feed = quiet_spot()
    feed.step(6 * SECOND_NS)
    assert feed.snapshot(rest(12, BIDS, ASKS)) == [changed(LIVE)]
    assert feed.step(6 * SECOND_NS) == [changed(STALE, SILENT), NEED]


def test_a_rest_snapshot_is_no_sign_of_life():
    """It repairs the book after a gap; whether the stream still runs, only the stream says."""
    feed = quiet_spot()
    feed.step(3 * SECOND_NS)
    assert feed.frame(depth(15, 16, {}, {})) == [changed(STALE, BookFault.GAP), NEED]
    feed.step(4 * SECOND_NS)
    assert feed.snapshot(rest(16, BIDS, ASKS)) == [changed(LIVE)]
    assert feed.step(2 * SECOND_NS) == [changed(STALE, SILENT), NEED]


def quiet_newer():
    """Bitstamp that may say nothing for five seconds; LIVE at update 12."""
    feed = Feed("bitstamp", ["ab"], silence_ns=5 * SECOND_NS)
    feed.open()
    feed.frame(newer(11, BIDS, ASKS))
    assert feed.snapshot(newer(12, BIDS, ASKS)["data"]) == [changed(LIVE)]
    return feed


def test_what_was_kept_before_a_silence_is_not_joined_with_what_comes_after_it():
    """Of a STALE book nobody says that it is silent, and no id tells what was lost meanwhile."""
    feed = quiet_newer()
    feed.frame(json.dumps(newer(12, {999: 6}, {})).replace(".", ".00000", 1))
    assert feed.state() == (STALE, BookFault.INEXACT)
    feed.frame(newer(13, {1000: 7}, {}))
    feed.step(6 * SECOND_NS)
    feed.frame(newer(20, {}, {}))
    assert NEED in feed.snapshot(newer(15, BIDS, ASKS)["data"]) and feed.state()[0] == STALE
    assert feed.snapshot(newer(21, BIDS, ASKS)["data"]) == [changed(LIVE)]


def test_a_subscription_that_never_gives_anything_is_told():
    feed = quiet_spot("CD", joined=False)
    assert feed.step(6 * SECOND_NS) == [changed(STALE, SILENT, listing=0), (EventKind.SNAPSHOT_NEEDED, 0),
                                        changed(STALE, SILENT, listing=1), (EventKind.SNAPSHOT_NEEDED, 1)]


def test_a_snapshot_in_the_stream_that_never_comes_is_asked_for():
    feed = Feed("kraken_v2", ["A/B"], depth=10)
    feed.open()
    assert feed.step(11 * SECOND_NS) == [NEED]


def test_a_sign_of_life_that_names_an_update_we_never_had_is_a_gap():
    """OKX says every minute that nothing has changed since update n: the one before it may have been lost."""
    feed = Feed("okx", ["A-B"])
    feed.open()

    def books(action, sequence, previous, bids=(), asks=()):
        rows = [[[f"{price // 100}.{price % 100:02}", f"{quantity}", "0", "1"] for price, quantity in side]
                for side in (bids, asks)]
        return feed.frame({"arg": {"channel": "books", "instId": "A-B"}, "action": action, "data": [{
            "bids": rows[0], "asks": rows[1], "ts": "1", "checksum": 0, "seqId": sequence, "prevSeqId": previous}]})

    assert books("snapshot", 10, -1, [(1000, 5)], [(1001, 4)]) == [changed(LIVE)]
    assert books("update", 10, 10) == [] and feed.state()[0] == LIVE
    assert books("update", 12, 10, [(999, 1)]) == []
    assert books("update", 15, 15) == [changed(STALE, BookFault.GAP), NEED]
