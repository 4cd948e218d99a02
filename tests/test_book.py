import hashlib
import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from orderflow._core.book import OrderBook
from orderflow._core.types import LEVEL_DTYPE, BookFault, Side
from tests.reference.book import Book
from tests.reference.depth_frames import canonical, read_depth_frames, scaled

SIDES = Side.BUY, Side.SELL
PRICE_END = 2**62
WINDOW = 4096                   # the smallest: recentres soonest


def array(*levels):
    return np.array(list(levels), LEVEL_DTYPE)


def assert_same(book, twin):
    for side in SIDES:
        expected = twin.levels(side)
        assert book.levels(side).tolist() == expected
        assert book.count(side) == len(expected)
        assert book.best(side) == twin.best(side)
        assert book.levels(side, 3).tolist() == expected[:3]
    assert book.crossed == twin.crossed


def apply_both(book, twin, side, levels):
    """Apply to both; where the book stopped, the twin takes what the book took."""
    before = book.statistics["levels_applied"]
    fault = book.apply(side, array(*levels))
    taken = book.statistics["levels_applied"] - before
    if fault == BookFault.FULL:
        assert taken < len(levels) and levels[taken][1] > 0
        assert twin.apply(side, levels[:taken]) == BookFault.NO_FAULT
    else:
        assert twin.apply(side, levels) == fault
    assert book.statistics["levels_applied"] == twin.levels_applied
    assert book.statistics["deletes_of_absent"] == twin.deletes_of_absent
    return fault


class BookMachine(RuleBasedStateMachine):
    """Any sequence of operations leaves the book equal to its twin."""

    @initialize(tick=st.sampled_from([1, 2, 7, 10, 1_000_000, 2**40, 3 * 2**40]),
                centre=st.integers(1, 60_000), far_capacity=st.sampled_from([8, 40, 4096]))
    def start(self, tick, centre, far_capacity):
        self.tick, self.centre = tick, centre
        self.book = OrderBook(tick=tick, window=WINDOW, far_capacity=far_capacity)
        self.twin = Book()

    def price(self, ticks, off):
        return max(1, min(PRICE_END - 1, (self.centre + ticks) * self.tick + off))

    near = st.tuples(st.integers(-30, 30), st.just(0), st.integers(0, 3))
    wide = st.tuples(st.integers(-9000, 9000), st.sampled_from([0, 0, 0, 1, -1]), st.integers(0, 2**63 - 1))

    @rule(side=st.sampled_from(SIDES), entries=st.lists(near | wide, max_size=100))
    def update(self, side, entries):
        apply_both(self.book, self.twin, side, [(self.price(ticks, off), q) for ticks, off, q in entries])

    @rule(side=st.sampled_from(SIDES), data=st.data())
    def delete_best(self, side, data):
        number = data.draw(st.integers(0, len(self.twin.sides[side])))
        apply_both(self.book, self.twin, side, [(price, 0) for price, _ in self.twin.levels(side, number)])

    @rule(ticks=st.integers(-2000, 2000) | st.integers(-50_000, 50_000))
    def walk(self, ticks):
        self.centre = max(0, self.centre + ticks)

    @rule(side=st.sampled_from(SIDES), price=st.sampled_from([1, PRICE_END - 1]), quantity=st.integers(0, 1))
    def extreme(self, side, price, quantity):
        apply_both(self.book, self.twin, side, [(price, quantity)])

    @rule(side=st.sampled_from(SIDES), level=st.sampled_from(
        [(0, 1), (0, 0), (-1, 1), (-(2**63), 1), (PRICE_END, 1), (2**63 - 1, 0), (5, -1), (5, -(2**63))]))
    def malformed(self, side, level):
        levels = [(self.price(1, 0), 7), level, (self.price(2, 0), 7)]
        assert apply_both(self.book, self.twin, side, levels) != BookFault.NO_FAULT

    @rule(depth=st.integers(0, 60))
    def truncate(self, depth):
        self.book.truncate(depth)
        self.twin.truncate(depth)

    @rule()
    def clear(self):
        self.book.clear()
        self.twin.clear()

    @rule(side=st.sampled_from(SIDES), ticks=st.integers(-9000, 9000), off=st.integers(-1, 1))
    def look(self, side, ticks, off):
        price = self.price(ticks, off)
        assert self.book.quantity_at(side, price) == self.twin.sides[side].get(price, 0)

    @invariant()
    def same(self):
        if hasattr(self, "book"):
            assert_same(self.book, self.twin)


TestBookMachine = BookMachine.TestCase
TestBookMachine.settings = settings(max_examples=200, stateful_step_count=30)


@given(tick=st.integers(1, PRICE_END - 1), data=st.data())
def test_any_tick_and_any_price(tick, data):
    on_grid = st.integers(1, (PRICE_END - 1) // tick).map(lambda index: index * tick)
    near_end = st.integers(1, 100).map(lambda distance: PRICE_END - distance)
    prices = data.draw(st.lists(on_grid | near_end | st.integers(1, PRICE_END - 1), max_size=40))
    book, twin = OrderBook(tick=tick, window=WINDOW), Book()
    for side in SIDES:
        levels = [(price, 1 + i) for i, price in enumerate(prices)]
        assert apply_both(book, twin, side, levels) == BookFault.NO_FAULT
        assert [book.quantity_at(side, price) for price in prices] == [twin.sides[side][price] for price in prices]
    assert_same(book, twin)


@pytest.mark.parametrize("tick", [1, 10, 1_000_000])
@pytest.mark.parametrize("step", [50, 400, 5000])
def test_walking_market(tick, step):
    """The touch walks up and down through many windows; quotes follow it, old levels and off-grid ones stay behind."""
    numbers = random.Random(step)
    book, twin = OrderBook(tick=tick, window=WINDOW), Book()
    middle = 100_000
    for turn in range(240):
        middle += numbers.randint(-step, step) + (step if turn < 120 else -step) // 2
        for side, sign in ((Side.BUY, -1), (Side.SELL, 1)):
            stale = [(price, 0) for price in twin.sides[side] if (price - middle * tick) * sign <= 0]
            fresh = [((middle + sign * int(numbers.expovariate(1 / 800))) * tick + (numbers.random() < 0.05),
                      numbers.randint(0, 9)) for _ in range(15)]
            assert apply_both(book, twin, side, stale + fresh) == BookFault.NO_FAULT
        assert_same(book, twin)
    assert book.statistics["recentrings"] >= step // 100 + 2
    assert book.statistics["near_levels"] > 0 and book.statistics["far_levels"] > 0


def test_recentring_is_rare():
    book = OrderBook(tick=1, window=WINDOW)
    for price in range(100_000, 140_000):
        book.apply(Side.BUY, array((price, 1), (price - 1, 0)))
        book.apply(Side.SELL, array((price + 1, 1), (price, 0)))
    assert book.levels(Side.BUY).tolist() == [(139_999, 1)] and book.levels(Side.SELL).tolist() == [(140_000, 1)]
    assert book.statistics["recentrings"] <= 2 * (40_000 // (WINDOW // 8) + 1)


@pytest.mark.parametrize("side, sign", [(Side.BUY, -1), (Side.SELL, 1)])
def test_window_follows_a_touch_that_gets_worse(side, sign):
    book, twin = OrderBook(tick=1, window=WINDOW), Book()
    apply_both(book, twin, side, [(100_000 + sign * i, 1) for i in range(0, WINDOW, 64)])
    assert book.statistics["far_levels"] > 0, "the far end is beyond the window"
    apply_both(book, twin, side, [(100_000 + sign * i, 0) for i in range(0, WINDOW // 4, 64)])
    assert book.statistics["far_levels"] == 0
    assert_same(book, twin)


def test_jump_far_away_and_back():
    """Every level goes from the window to far, then back."""
    book, twin = OrderBook(tick=5, window=WINDOW), Book()
    levels = [(1_000_000 + 5 * i + (i % 50 == 0), 1 + i) for i in range(3000)]
    apply_both(book, twin, Side.SELL, levels)
    near = book.statistics["near_levels"]
    apply_both(book, twin, Side.SELL, [(50, 3)])
    assert_same(book, twin)
    assert book.statistics["near_levels"] == 1
    apply_both(book, twin, Side.SELL, [(50, 0)])
    assert_same(book, twin)
    assert book.statistics["near_levels"] == near and book.statistics["recentrings"] == 2


@pytest.mark.parametrize("side", SIDES)
def test_off_grid_level_may_be_best(side):
    book, twin = OrderBook(tick=10, window=WINDOW), Book()
    apply_both(book, twin, side, [(1000, 1), (1001, 2), (999, 3), (1010, 4)])
    assert_same(book, twin)
    assert book.statistics["far_levels"] == 2
    apply_both(book, twin, side, [(price, 0) for price, _ in twin.levels(side, 2)])
    assert_same(book, twin)


def test_only_off_grid_levels():
    book, twin = OrderBook(tick=1000, window=WINDOW), Book()
    for side in SIDES:
        apply_both(book, twin, side, [(1000 * i + 7, i) for i in range(1, 500)])
        apply_both(book, twin, side, [(7, 9), (3, 1)])
    assert_same(book, twin)
    assert book.statistics["near_levels"] == 0


def test_real_span_of_a_perpetual():
    """A Binance USD-M book reaches from 560.00 to 621368.70 with tick 0.10."""
    book, twin = OrderBook(tick=10), Book()
    apply_both(book, twin, Side.BUY, [(6_180_020 - 10 * i * i, 1 + i) for i in range(780)] + [(56_000, 5)])
    apply_both(book, twin, Side.SELL, [(6_180_030 + 10 * i * i, 1 + i) for i in range(2350)] + [(62_136_870, 5)])
    assert_same(book, twin)
    assert book.statistics["far_levels"] > 0


def test_last_of_a_repeated_price_counts():
    book = OrderBook(tick=10, window=WINDOW)
    for price in (1000, 1001):
        book.apply(Side.BUY, array((price, 1), (price, 0), (price, 5), (price, 6)))
        assert book.quantity_at(Side.BUY, price) == 6
        book.apply(Side.BUY, array((price, 1), (price, 0)))
        assert book.quantity_at(Side.BUY, price) == 0
    assert book.count(Side.BUY) == 0 and book.best(Side.BUY) is None


def test_locked_is_not_crossed():
    book = OrderBook(tick=1, window=WINDOW)
    assert not book.crossed
    book.apply(Side.BUY, array((100, 1)))
    book.apply(Side.SELL, array((100, 2)))
    assert not book.crossed and book.best(Side.BUY) == (100, 1) and book.best(Side.SELL) == (100, 2)
    book.apply(Side.BUY, array((101, 1)))
    assert book.crossed


def test_full_stops_there_and_drops_nothing():
    book = OrderBook(tick=10, window=WINDOW, far_capacity=2)
    levels = array((101, 1), (102, 2), (103, 3), (110, 4))
    assert book.apply(Side.SELL, levels) == BookFault.FULL
    assert book.levels(Side.SELL).tolist() == [(101, 1), (102, 2)]
    assert book.apply(Side.SELL, array((102, 7), (110, 4))) == BookFault.NO_FAULT, "no new far level is needed"
    assert book.apply(Side.SELL, array((101, 0), (103, 3))) == BookFault.NO_FAULT, "room was made"
    assert book.levels(Side.SELL).tolist() == [(102, 7), (103, 3), (110, 4)]


def test_window_stays_when_far_has_no_room_for_what_it_would_leave():
    book, twin = OrderBook(tick=1, window=WINDOW, far_capacity=4), Book()
    apply_both(book, twin, Side.SELL, [(100_000 + i, 1) for i in range(10)])
    apply_both(book, twin, Side.SELL, [(50_000, 1), (49_000, 1)])
    assert book.statistics["recentrings"] == 0
    assert_same(book, twin)
    apply_both(book, twin, Side.SELL, [(100_000 + i, 0) for i in range(8)])
    assert book.statistics["recentrings"] == 1, "two levels fit"
    assert_same(book, twin)


def test_snapshot_replaces_in_any_order():
    book = OrderBook(tick=1)
    book.apply(Side.BUY, array((5, 5), (5_000_000, 1)))
    prices = list(range(1_000_000, 1_001_000))
    random.Random(1).shuffle(prices)
    bids, asks = array(*((p, 2) for p in prices)), array(*((p + 1000, 3) for p in prices))
    assert book.replace(bids, asks) == BookFault.NO_FAULT
    assert book.levels(Side.BUY)["price"].tolist() == sorted(prices, reverse=True)
    assert book.levels(Side.SELL)["price"].tolist() == sorted(p + 1000 for p in prices)
    assert book.statistics["far_levels"] == 0, "the window was placed by the best level, not by the first"


def test_replace_says_what_is_wrong_with_either_side():
    good, bad = array((5, 1)), array((0, 1))
    book = OrderBook(tick=1, window=WINDOW)
    assert book.replace(bad, good) == BookFault.MALFORMED
    assert book.replace(good, bad) == BookFault.MALFORMED
    assert book.replace(good, good) == BookFault.NO_FAULT


def test_untouched_memory_costs_nothing():
    book = OrderBook(tick=10, window=2**24, far_capacity=2**20)
    for side in SIDES:
        book.apply(side, array(*((6_000_000 + 10 * i, 1) for i in range(1000))))
    statistics = book.statistics
    assert statistics["reserved_bytes"] > 2**28
    assert statistics["resident_bytes"] < 2**18


def test_a_touched_book_is_resident_before_its_first_level():
    statistics = OrderBook(touched=True).statistics
    assert statistics["resident_bytes"] == statistics["reserved_bytes"]


@pytest.mark.parametrize("settings, key", [
    ({"tick": 0}, "tick"), ({"tick": 2**62}, "tick"), ({"window": 2048}, "window"), ({"window": 5000}, "window"),
    ({"window": 2**25}, "window"), ({"far_capacity": 0}, "far_capacity"), ({"far_capacity": 2**25}, "far_capacity")])
def test_wrong_settings_are_named(settings, key):
    with pytest.raises(ValueError, match=key):
        OrderBook(**settings)


def test_wrong_arguments_are_named():
    book = OrderBook()
    with pytest.raises(ValueError, match="side"):
        book.apply(0, array((1, 1)))
    with pytest.raises(TypeError, match="LEVEL_DTYPE"):
        book.apply(Side.BUY, np.zeros(3))
    with pytest.raises(ValueError, match="n=-1"):
        book.levels(Side.BUY, -1)
    assert book.apply(Side.BUY, array()) == BookFault.NO_FAULT


@pytest.mark.parametrize("name, decimals, tick", [
    ("binance_spot_btcusdt_20240808", (8, 8), 1_000_000), ("binance_usdm_btcusdt_20240808", (2, 3), 10)])
def test_recorded_feed_gives_its_golden(feeds, name, decimals, tick):
    golden = json.loads((feeds / f"golden/{name}.json").read_text())["symbols"]["BTCUSDT"]
    snapshot, *frames = read_depth_frames(feeds / f"captures/{name}.tsv.gz")
    book = OrderBook(tick=tick)
    assert book.replace(*(array(*scaled(levels, *decimals)) for levels in snapshot)) == BookFault.NO_FAULT

    def texts(level):
        return [canonical(level[0], decimals[0]), canonical(level[1], decimals[1])]

    trace = hashlib.sha256()
    for frame in frames:
        for side, levels in zip(SIDES, frame, strict=True):
            assert book.apply(side, array(*scaled(levels, *decimals))) == BookFault.NO_FAULT
        trace.update(("|".join(texts(book.best(Side.BUY)) + texts(book.best(Side.SELL))) + "\n").encode())
    assert len(frames) == golden["updates_applied"]
    assert trace.hexdigest() == golden["bbo_trace_sha256"]
    assert [book.count(side) for side in SIDES] == golden["final_levels"]
    assert [texts(level) for level in book.levels(Side.BUY, 20)] == golden["final_top_bids"]
    assert [texts(level) for level in book.levels(Side.SELL, 20)] == golden["final_top_asks"]
    lines = "".join(f"{'BA'[side - 1]} {' '.join(texts(level))}\n" for side in SIDES for level in book.levels(side))
    assert hashlib.sha256(lines.encode()).hexdigest() == golden["final_book_sha256"]
    assert book.statistics["deletes_of_absent"] == golden["deletes_of_absent_level"]
