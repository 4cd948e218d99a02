"""Bounds, branches and candidates on random problems of every kind at once, many of which have to be searched.

Hypothesis looks for small problems (test_allocation.py); here numbers are drawn evenly, from a seed that is told.
"""
import random

import pytest

from orderflow._core.types import Side
from tests.reference import allocation as reference
from tests.test_allocation import listing_table, money_of, solve

BUY, SELL = Side.BUY, Side.SELL
CASES = 400


def charge_of(draw, row):
    """A ticket worth nothing to some levels, with an odd end, and up to four tiers."""
    quantities = sorted(draw.sample(range(1, 20), draw.choice([0, 0, 1, 2, 4])))
    falls = [draw.choice([1, 10_000, 500_000, 3_000_000]) for _ in quantities]
    ticket = draw.choice([0, 1, 2, 5, 15, 40, 100]) * money_of(row) + draw.choice([0, 0, 1, 7])
    return ticket, [(quantity, row["taker_fee"] - sum(falls[:i + 1])) for i, quantity in enumerate(quantities)]


def mixed(draw):
    """Everything: lots, minimums, caps, funds, a limit, scales, fees, tickets, tiers."""
    side, lots, bounded = draw.choice([BUY, SELL]), draw.choice([(1,), (1, 2, 3), (1, 2, 5, 10), (2, 3, 4)]), \
        draw.random() < 0.6
    rows, ladders, caps, funds, charges = [], [], [], [], []
    for _ in range(draw.choice([2, 3, 3])):
        row = {"taker_fee": draw.choice([-10_000, 0, 20_000, 100_000, 1_000_000]), "lot": draw.choice(lots),
               "price_factor": draw.choice([1, 1, 5]), "quantity_factor": draw.choice([1, 1, 1, 2]),
               "tick": draw.choice([1, 1, 2]), "price_decimals": draw.choice([0, 2]),
               "quantity_decimals": draw.choice([0, 1])}
        near = 100 // row["price_factor"]
        worth = near * money_of(row)
        if bounded:
            row |= {"minimum_quantity": draw.choice([0, 0, 0, 2, 4]), "maximum_quantity": draw.choice([0, 0, 0, 11]),
                    "minimum_notional": draw.choice([0, 0, 0, 2, 4]) * worth}
        caps.append(draw.choice([None, None, None, draw.randint(0, 15)]) if bounded else None)
        funds.append(draw.choice([None, None, None, draw.randint(0, 15) * worth + draw.randint(0, 15)])
                     if bounded else None)
        charges.append(charge_of(draw, row))
        prices = draw.sample(range(max(near - 4, 1), near + 5), draw.choice([1, 2, 3, 3]))
        ladders.append([(price, draw.randint(1, 8)) for price in sorted(prices, reverse=side == SELL)])
        rows.append(row)
    shown = sum(quantity * row["quantity_factor"] for row, ladder in zip(rows, ladders, strict=True)
                for _, quantity in ladder)
    usable = [draw.random() < 0.95 for _ in rows]
    return (listing_table(*rows), side, draw.randint(1, shown + 3), ladders, draw.choice([0, 0, 0, 0, 98, 102]), usable,
            caps, funds, charges)


def nearly_equal(draw):
    """One price everywhere, and tickets of a few 1e-8: costs differ in what rounding leaves over."""
    count = draw.choice([2, 3, 4])
    rows = [{"lot": draw.choice([1, 1, 2, 3])} for _ in range(count)]
    ladders = [[(100, draw.randint(1, 7))] for _ in rows]
    nothing = [None] * count
    charges = [(draw.randint(0, 9), ()) for _ in rows]
    shown = sum(ladder[0][1] for ladder in ladders)
    return (listing_table(*rows), draw.choice([BUY, SELL]), draw.randint(1, shown), ladders, 0, [True] * count, nothing,
            nothing, charges)


def error_of(side, got, best):
    """How much worse its all-in total is than the best one."""
    return got.all_in - best if side == BUY else best - got.all_in


@pytest.mark.parametrize("kind", [mixed, nearly_equal])
@pytest.mark.parametrize("seed", range(3))
def test_exact_to_the_end_and_bounded_when_cut_short(kind, seed):
    draw = random.Random(seed)
    searched = 0
    for _ in range(CASES):
        problem = kind(draw)
        best = reference.split(*problem)
        got = solve(problem)
        assert got[:4] == best and got.exact and (got.gap, got.unfilled) == (0, 0), problem
        searched += not got.greedy
        for nodes in (1, 2, 3, 5, 8):
            cut = solve(problem, nodes)
            assert cut.quantity <= best[0] <= cut.quantity + cut.unfilled, (problem, nodes)
            assert cut.quantity < best[0] or 0 <= error_of(problem[1], cut, best[2]) <= cut.gap, (problem, nodes)
            assert not cut.exact or cut[:4] == best, (problem, nodes)
    assert searched > CASES / 5
