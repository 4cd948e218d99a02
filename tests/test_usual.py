"""What a book usually shows: means over time against a slow twin, and what is narrow or unusually much by them."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.algos.usual import BookMemory
from orderflow._core.board import BOARD_ENTRY_DTYPE
from orderflow._core.types import BookState, Side

SECOND_NS = 10**9
SPAN, WARM, SAMPLE = 60.0, 10.0, 0.01


def entry(at, bids=((10_000, 5),), asks=((10_001, 5),), state=BookState.LIVE):
    """A board at so many seconds."""
    made = np.zeros(1, BOARD_ENTRY_DTYPE)
    made["receive_ns"], made["book_state"] = round(at * SECOND_NS), state
    for side, levels in (("bids", bids), ("asks", asks)):
        made[side[:-1] + "_count"] = len(levels)
        for index, level in enumerate(levels):
            made[side][0, index] = level
    return made


def warm(seconds=12, **book):
    made = BookMemory()
    for second in range(1, seconds + 2):
        made.observe(entry(second, **book))
    return made


def test_what_lies_near_the_best_price_is_counted():
    """Within a thousandth of it: 10 000 to 10 010 for one who buys, 9 990 to 10 000 for one who sells."""
    memory = warm(bids=((10_000, 1), (9_990, 2), (9_989, 4)), asks=((10_000, 1), (10_010, 2), (10_011, 4)))
    assert (memory.bids, memory.asks, memory.spread) == (3.0, 3.0, 0.0)


books = st.lists(st.tuples(st.floats(0.001, 30), st.integers(1, 1000), st.integers(1, 1000), st.integers(1, 50),
                           st.booleans()), min_size=1, max_size=40)


@given(steps=books)
def test_means_are_those_of_a_slow_twin(steps):
    """A weighted mean of what was seen, each for as long as it stood, by looks; nothing while the book is away."""
    memory, at, looked, seen = BookMemory(), 1.0, None, 0.0
    means, last = [0.0] * 3, [0.0] * 3
    for passed, bids, asks, spread, is_live in steps:
        at = round(at + passed, 9)
        memory.observe(entry(at, ((10_000, bids),), ((10_000 + spread, asks),),
                             BookState.LIVE if is_live else BookState.STALE))
        if not is_live:
            looked = None
            continue
        if looked is not None and at - looked < SAMPLE:
            continue
        stood = 0.0 if looked is None else at - looked
        if stood:
            weight = stood / (min(seen, SPAN) + stood)
            means = [mean + weight * (one - mean) for mean, one in zip(means, last, strict=True)]
        last, looked, seen = [spread, bids, asks], at, seen + stood
    assert [memory.spread, memory.bids, memory.asks] == pytest.approx(means, rel=1e-6)
    assert memory.is_known == (seen >= WARM) or seen == pytest.approx(WARM, abs=1e-6)


def test_what_has_just_appeared_is_not_usual_because_nothing_changed_for_long():
    memory = warm()
    memory.observe(entry(100, asks=((10_001, 500),)))
    assert memory.asks == 5.0
    memory.observe(entry(160, asks=((10_001, 500),)))           # it has stood for a minute, as long as all before
    assert memory.asks == pytest.approx(252.5)


def test_a_book_that_is_away_teaches_nothing():
    memory = warm()
    memory.observe(entry(20, asks=((10_001, 500),), state=BookState.STALE))
    memory.observe(entry(500, asks=((10_001, 700),)))
    assert memory.asks == 5.0


def test_nothing_is_narrow_or_unusual_before_ten_seconds_were_seen():
    memory = warm(9)
    book = entry(11, asks=((10_001, 500),))
    assert not memory.is_known and not memory.is_narrow(book, 1) and memory.unusual(book, Side.BUY, 0, 2.0) == 0
    memory.observe(entry(11))
    assert memory.is_known and memory.is_narrow(book, 1) and memory.unusual(book, Side.BUY, 0, 2.0) == 500


@pytest.mark.parametrize(("spread", "expected"), [(1, True), (3, True), (4, False)])
def test_narrow_is_not_wider_than_usual(spread, expected):
    """To the nearest tick: that it was narrower for a second does not make three ticks wide."""
    memory = BookMemory()
    for second in range(1, 30):
        memory.observe(entry(second, asks=((10_002 if second == 20 else 10_003, 5),)))
    assert 2.9 < memory.spread < 3
    assert memory.is_narrow(entry(40, asks=((10_000 + spread, 5),)), 1) == expected


@pytest.mark.parametrize(("asks", "limit", "expected"), [
    (((10_001, 9),), 0, 0), (((10_001, 10),), 0, 10), (((10_001, 4), (10_005, 8), (10_200, 50)), 0, 12),
    (((10_001, 4), (10_005, 8)), 10_004, 0), (((10_001, 14), (10_005, 8)), 10_004, 14), (((10_001, 90),), 10_000, 0)])
def test_unusually_much_is_within_reach_and_within_the_limit(asks, limit, expected):
    """Usually five are there, so ten are twice as much."""
    assert warm().unusual(entry(40, asks=asks), Side.BUY, limit, 2.0) == expected


def test_one_who_sells_looks_at_the_bids():
    memory = warm()
    book = entry(40, bids=((10_000, 6), (9_995, 6)))
    assert memory.unusual(book, Side.SELL, 0, 2.0) == 12 and memory.unusual(book, Side.SELL, 9_996, 2.0) == 0
