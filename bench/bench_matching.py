"""A million mixed operations on one symbol: orderflow's matching engine against std::map + list + unordered_map.

Half of the operations add a resting order, 42 % cancel by an id given out earlier (so many are dead already), 8 %
cross. Both engines write every trade into a buffer; reports and final books are compared before any number counts.
Cancels pick any earlier id with equal chance, so some 285 000 orders are live and most operations miss the cache. The
bar is for a batch, as in a backtest, where ids are known ahead and prefetched; the number without that, which is what
orders cost that come one at a time, is printed beside it.
Run alone: `python bench/bench_matching.py`.
"""
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from orderflow._core.matching import INSTRUCTION_DTYPE, MATCH_REPORT_DTYPE, OUTCOME_DTYPE, MatchingEngine
from orderflow._core.types import ChildKind, OrderType, Side, TimeInForce

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "native")]

import build  # noqa: E402
from bars import bar  # noqa: E402

OPERATIONS = 1_000_000
CAPACITY = 1 << 19
ROUNDS = 5
GATE, AIM = 2.0, 3.0


def instructions(count=OPERATIONS, seed=11, half_width=1740, drift=1):
    """The workload: adds spread evenly over `half_width` ticks either side of a slowly walking centre."""
    random = np.random.default_rng(seed)
    out = np.zeros(count, INSTRUCTION_DTYPE)
    kind = random.random(count)
    cancels = (kind >= 0.50) & (kind < 0.92)
    crossing = kind >= 0.92
    out["kind"] = np.where(cancels, ChildKind.CANCEL_ORDER, ChildKind.NEW_ORDER)
    out["order_id"] = np.arange(1, count + 1)
    given_out = np.flatnonzero(~cancels) + 1                    # ids of orders, in time order
    before = np.maximum(np.cumsum(~cancels)[cancels], 1)        # how many there were at each cancel
    out["order_id"][cancels] = given_out[random.integers(0, before)]
    out["side"] = random.integers(Side.BUY, Side.SELL + 1, count)
    centre = 6_000_000 + np.cumsum(random.integers(-drift, drift + 1, count) * (random.random(count) < 0.01))
    away = np.where(crossing, -random.integers(0, 20, count), random.integers(1, half_width + 1, count))
    out["price"] = centre + np.where(out["side"] == Side.BUY, -away, away)
    out["quantity"] = np.where(crossing, random.integers(50, 500, count), random.integers(1, 100, count))
    out["order_type"] = OrderType.LIMIT
    out["time_in_force"] = TimeInForce.GTC
    out["owner"] = random.integers(0, 16, count)
    return out


def run_orderflow(work, reports, look_ahead=True):
    engine = MatchingEngine(capacity=CAPACITY)
    begin = time.thread_time_ns()
    taken, written = engine.run(work, reports, np.empty(0, OUTCOME_DTYPE), look_ahead)
    elapsed = time.thread_time_ns() - begin
    assert taken == len(work)
    return elapsed, written, engine


def run_map(work, reports, map_matching):
    engine = map_matching.Engine(CAPACITY)
    raw_work, raw_reports = work.view(np.uint8), reports.view(np.uint8)
    begin = time.thread_time_ns()
    written = engine.run(raw_work, raw_reports)
    return time.thread_time_ns() - begin, written, engine


def same_end(ours, theirs, reports, their_reports):
    """Trades byte for byte, then every level of the final book."""
    names = MATCH_REPORT_DTYPE.names[:9]
    assert all((reports[name] == their_reports[name]).all() for name in names), "different trades"
    room = np.zeros(4 * CAPACITY, np.int64)
    count = theirs.depth(room)
    depth = np.concatenate([ours.depth(side, CAPACITY) for side in (Side.BUY, Side.SELL)])
    assert count == len(depth) and (depth.view(np.int64) == room[:2 * count]).all(), "different books"
    assert len(ours) == len(theirs)
    return count


def measure():
    """Alternate the engines; ns per operation of (ours, ours one at a time, theirs), levels, live orders, trades."""
    build.build("map_matching")
    import map_matching
    work = instructions()
    room = np.zeros(2 * OPERATIONS, MATCH_REPORT_DTYPE)
    their_room = np.zeros(2 * OPERATIONS, MATCH_REPORT_DTYPE)
    times, single_times, their_times = [], [], []
    for _ in range(ROUNDS):
        single_times.append(run_orderflow(work, room, look_ahead=False)[0] / len(work))
        elapsed, written, ours = run_orderflow(work, room)
        times.append(elapsed / len(work))
        elapsed, their_written, theirs = run_map(work, their_room, map_matching)
        their_times.append(elapsed / len(work))
        levels = same_end(ours, theirs, room[:written], their_room[:their_written])
    medians = [statistics.median(each) for each in (times, single_times, their_times)]
    return *medians, levels, len(ours), written


def test_matching(benchmark=None):
    ours, single, theirs, levels, live, trades = measure()
    ratio = theirs / ours
    print(f"matching: {ours:.1f} ns an operation, std::map engine {theirs:.1f}: {ratio:.2f}x; "
          f"one at a time {single:.1f}: {theirs / single:.2f}x "
          f"({levels} levels, {live} orders, {trades} trades)")
    if benchmark is not None:
        work, room = instructions(), np.zeros(2 * OPERATIONS, MATCH_REPORT_DTYPE)
        benchmark.extra_info.update(ns_per_operation=ours, ratio=ratio)
        benchmark.pedantic(run_orderflow, args=(work, room), rounds=3)
    assert bar("matching engine against std::map + list + unordered_map", ratio, GATE, AIM, "higher")


if __name__ == "__main__":
    test_matching()
