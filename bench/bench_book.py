"""Book updates alone: pre-parsed depth frames of recorded Binance captures into orderflow's book and one of std::map.

Every frame is followed by a read of the best bid and ask, which go into a digest; digests and final books of both
contestants must be equal before any number counts. Both keep their books from round to round, so both run in memory
that has been touched before; the snapshot at the head of each round replaces. Times are CPU time of the thread: what
others do on the machine counts as little as it can. Run alone: `python bench/bench_book.py`.
"""
import statistics
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "bench/native")]

import build  # noqa: E402
from bars import bar  # noqa: E402
from orderflow._core.book import OrderBook  # noqa: E402
from orderflow._core.types import LEVEL_DTYPE, Side  # noqa: E402
from tests.reference.depth_frames import read_depth_frames, scaled  # noqa: E402

FEEDS = ROOT.parent / "shared/feeds"
CAPTURES = {    # (price decimals, quantity decimals), tick
    "spot": ("binance_spot_btcusdt_20240808", (8, 8), 1_000_000),
    "usdm": ("binance_usdm_btcusdt_20240808", (2, 3), 10),
}
CASES = [       # market, books, rounds, gate, aim
    ("spot", 1, 31, 5, 8),
    ("usdm", 1, 31, 8, 12),
    ("spot", 64, 3, 3, 5),
    ("usdm", 64, 3, 3, 5),
]


def load(market):
    """(levels, frames) of a capture, the snapshot first."""
    name, decimals, _ = CAPTURES[market]
    levels, frames = [], []
    for bids, asks in read_depth_frames(FEEDS / f"captures/{name}.tsv.gz"):
        frames.append((len(levels), len(bids), len(levels) + len(bids), len(asks)))
        levels += scaled(bids, *decimals) + scaled(asks, *decimals)
    return np.array(levels, LEVEL_DTYPE), np.array(frames, np.uint32)


def measure(market, book_count, rounds):
    """Alternate the contestants. Returns the medians (ns per level) of ours and of std::map, and a way to run ours."""
    build.build("replay_book")
    import replay_book
    levels, frames = load(market)
    updates = replay_book.Updates(levels, frames)
    books = [OrderBook(tick=CAPTURES[market][2]) for _ in range(book_count)]
    updates.replay_ladder(books), updates.replay_map(book_count)        # the first round touches the memory
    ours, theirs = [], []
    for _ in range(rounds):
        elapsed, digest = updates.replay_ladder(books)
        ours.append(elapsed / len(levels) / book_count)
        elapsed, their_digest = updates.replay_map(book_count)
        theirs.append(elapsed / len(levels) / book_count)
        assert digest == their_digest, "different best bid or ask after some frame"
    for book, (bids, asks) in zip(books, updates.map_levels(), strict=True):
        assert (book.levels(Side.BUY) == bids).all() and (book.levels(Side.SELL) == asks).all(), "different final books"
    return statistics.median(ours), statistics.median(theirs), lambda: updates.replay_ladder(books)


@pytest.mark.skipif(not FEEDS.is_dir(), reason="the recorded feeds are not beside this repository")
@pytest.mark.parametrize("market, book_count, rounds, gate, aim", CASES)
def test_book(benchmark, market, book_count, rounds, gate, aim):
    assert run(market, book_count, rounds, gate, aim, benchmark)


def run(market, book_count, rounds, gate, aim, benchmark=None):
    """Measure one case and record its bar; returns whether the gate is met."""
    ours, theirs, replay = measure(market, book_count, rounds)
    name = f"book update, {market}, {book_count} book{'s' * (book_count > 1)}, against std::map"
    print(f"{name}: {ours:.2f} ns a level, std::map {theirs:.1f}: {theirs / ours:.1f}x")
    if benchmark is not None:
        benchmark.extra_info.update(ns_per_level=ours, ratio=theirs / ours)
        benchmark.pedantic(replay, rounds=3)
    return bar(name, theirs / ours, gate, aim, "higher")


if __name__ == "__main__":
    sys.exit(not all([run(*case) for case in CASES]))
