"""Nanoseconds of the split of one quantity over exchanges, each with 20 levels a side, as the router does it.

Markets are random: best prices within a few basis points of each other, fees of their own, quantities from a tenth to
nine tenths of what all show. The greedy path has equal lots and minimums that large orders meet; tickets, fee tiers and
unequal lots of every listing make a search of it, and the bar is for those that had to be searched. The greedy bars
hold with the decision recorded: what was looked at, what was given, how it was found and why the others were left out,
copied into the router's queue, out of which the log is written when there is nothing else to do. Without that the same
splits are printed too. Each is stamped natively before and after; what two stamps cost is in it. How often each path is
taken, and what a node of the search costs, is printed: a budget of time for the search is a number of nodes.
Run alone: `python bench/bench_allocation.py`.
"""
import sys
from pathlib import Path

import numpy as np

from orderflow._core.allocation import Splitter
from orderflow._core.types import LEVEL_DTYPE, LISTING_DTYPE, Side

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "native")]

import build  # noqa: E402
from bars import bar, note  # noqa: E402

LEVELS, MARKETS, QUANTITIES, ROUNDS = 20, 60, 25, 40
PRICE, TICK, LOT = 6_000_000, 1, 10            # 60 000.00, 0.01, 0.00010
MONEY = 10**8
TIERS = ((500_000, 10_000), (2_000_000, 25_000))       # from 5 and 20 units on, 1 and 2.5 bps less


def listings(random, exchanges, lots):
    table = np.zeros(exchanges, LISTING_DTYPE)
    table["tick"], table["price_factor"], table["quantity_factor"] = TICK, 1, 1
    table["price_decimals"], table["quantity_decimals"] = 2, 5
    table["lot"] = random.choice(lots, exchanges)
    table["minimum_quantity"], table["minimum_notional"] = table["lot"], 5 * MONEY
    table["taker_fee"] = random.choice([40_000, 60_000, 75_000, 100_000], exchanges)
    return table


def ladder(random, lot):
    """Asks: the best within 5 bps of the others, then gaps of a few ticks, whole lots of 0.01 to 3 units."""
    out = np.zeros(LEVELS, LEVEL_DTYPE)
    out["price"] = PRICE + random.integers(0, 3_000) + np.cumsum(random.integers(1, 400, LEVELS))
    out["quantity"] = random.integers(1_000 // lot, 300_000 // lot, LEVELS) * lot
    return out


def measure(timing, exchanges, charge=lambda *_: None, lots=(LOT,), nodes=1024, markets=MARKETS, rounds=ROUNDS,
            recorded=False):
    """(nanoseconds of each split, nodes of each, whether each was greedy) over random markets; `recorded`: with the
    record of the decision."""
    random = np.random.default_rng(exchanges)
    times, looked_at, proven = [], [], []
    for _ in range(markets):
        table = listings(random, exchanges, lots)
        ladders = [ladder(random, int(lot)) for lot in table["lot"]]
        shown = sum(int(each["quantity"].sum()) for each in ladders)
        quantities = np.array([int(shown * part) // LOT * LOT for part in random.uniform(0.1, 0.9, QUANTITIES)])
        splitter = Splitter(table, depth=LEVELS, nodes=nodes, charges=charge(table, random))
        splitter.split(Side.BUY, int(quantities[0]), ladders)
        taken, each_nodes, greedy = timing.time_splits(splitter, Side.BUY, quantities, rounds, recorded)
        times.append(np.median(taken, axis=0))
        looked_at.append(each_nodes)
        proven.append(greedy)
    return np.concatenate(times), np.concatenate(looked_at), np.concatenate(proven).astype(bool)


def tickets(table, random):
    """A tenth of a dollar to a thousand for an order, at each."""
    return [(int(ticket * MONEY), ()) for ticket in random.choice([0.1, 1, 10, 100, 1_000], len(table))]


def tiers(table, random):
    """Lower fees from some quantities on, at each."""
    return [(0, [(least, int(fee) - less) for least, less in TIERS]) for fee in table["taker_fee"]]


def tell(what, times, nodes, greedy):
    """A line on one workload."""
    searched = ~greedy
    line = (f"{what}: p50 {np.percentile(times, 50):.0f} ns, p99 {np.percentile(times, 99):.0f} ns; "
            f"greedy {greedy.mean():.1%}, searched {searched.mean():.1%}")
    if searched.any():
        line += (f" in p50 {np.percentile(nodes[searched], 50):.0f}, p99 {np.percentile(nodes[searched], 99):.0f}, "
                 f"most {nodes.max()} nodes of {times[searched].sum() / nodes[searched].sum():.0f} ns")
    print(line)


def test_split():
    build.build("split_timing")
    import split_timing as timing
    few, many = (measure(timing, exchanges, recorded=True) for exchanges in (3, 10))
    for exchanges, found in ((3, few), (10, many)):
        alone = measure(timing, exchanges)
        tell(f"{exchanges} exchanges", *alone)
        tell(f"{exchanges} exchanges, decision recorded", *found)
        note(f"split alone over {exchanges} exchanges p50, greedy", np.percentile(alone[0], 50), "ns")
    with_tickets = measure(timing, 10, tickets, rounds=10)
    tell("10 exchanges with tickets", *with_tickets)
    for what, charge, lots in (("fee tiers", tiers, (LOT,)), ("unequal lots", lambda *_: None, (10, 20, 30, 50, 70))):
        tell(f"10 exchanges with {what}", *measure(timing, 10, charge, lots, markets=MARKETS // 3, rounds=5))
    searched = ~with_tickets[2]
    times, nodes = with_tickets[0][searched], with_tickets[1][searched]
    note("split with tickets: a node of the search, 10 exchanges", times.sum() / nodes.sum(), "ns")
    met = [*(bar(f"split and record, {exchanges} exchanges p50, greedy", np.percentile(found[0], 50), gate, gate / 2,
                 "lower", "ns") for exchanges, found, gate in ((3, few, 1_000), (10, many, 5_000))),
           bar("split over 10 exchanges with tickets p50, searched", np.percentile(times, 50) / 1_000, 300, 100,
               "lower", "us")]
    assert few[2].mean() > 0.99 and many[2].mean() > 0.9
    assert all(met)


if __name__ == "__main__":
    test_split()
