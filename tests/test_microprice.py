"""The microprice: the worked number, a slow twin over counts, symmetry, and states that a sample does not have."""
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import orderflow
from orderflow.research.microprice import Microprice, MicropriceError, adjustments, learn_microprice
from orderflow.research.quotes import quotes
from tests.quoted import quoted

SECOND = 10**9
STAY = np.array([[.50, .20, .05], [.15, .50, .15], [.05, .20, .50]])
CHANGE = np.array([[.20, .05], [.10, .10], [.05, .20]]) @ [-1, 1]
MOVE = np.array([[.05, .05, .15], [.075, .05, .075], [.15, .05, .05]])


def test_the_worked_number():
    assert adjustments(STAY, CHANGE, MOVE, 1) == pytest.approx([-.272727, 0, .272727], abs=5e-7)
    assert np.linalg.solve(np.eye(3) - STAY, MOVE)[0] == pytest.approx([.303030, .212121, .484848], abs=5e-7)
    assert [round(adjustments(STAY, CHANGE, MOVE, terms)[2], 6) for terms in (2, 3, 6)] == [.223140, .232156, .230761]
    assert adjustments(STAY, CHANGE, MOVE) == pytest.approx([-3 / 13, 0, 3 / 13], rel=1e-12, abs=1e-15)


def test_the_sum_is_a_fixed_point():
    """What is expected in all is what is expected until the first move, and what is expected from there."""
    found, first = adjustments(STAY, CHANGE, MOVE), adjustments(STAY, CHANGE, MOVE, 1)
    assert found == pytest.approx(first + np.linalg.solve(np.eye(3) - STAY, MOVE) @ found, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(("change", "move", "stay", "told"), [
    ([.1, .1, .1], MOVE, STAY, "is not finite: make the sample symmetric"),
    (CHANGE, np.zeros((3, 3)), np.eye(3), "a state from which the mid never moves")])
def test_what_has_no_sum_is_said(change, move, stay, told):
    with pytest.raises(MicropriceError, match=told):
        adjustments(stay, change, move)


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match="each row of both together with the sum 1"):
        adjustments(STAY, CHANGE, 2 * MOVE)


def walk(seed, count, spreads=2):
    """Books that move to the side that is thinner, one look a second."""
    dice, bid, rows = np.random.default_rng(seed), 10_000, []
    for _ in range(count):
        bids, asks = dice.integers(1, 100, 2)
        rows.append((bid, bids, bid + dice.integers(1, spreads + 1), asks))
        if dice.random() < .5:
            bid += 1 if dice.random() < bids / (bids + asks) else -1
    return rows


def slow(rows, buckets, spreads, terms):
    """By the definition: counts of single steps and of their mirror images, and the sum term after term."""
    def state(row):
        share = row[1] / (row[1] + row[3])
        return min(int(share * buckets), buckets - 1), row[2] - row[0]

    def mirrored(place):
        return buckets - 1 - place[0], place[1]

    steps = Counter()
    for before, after in zip(rows, rows[1:], strict=False):
        moved = (after[0] + after[2] - before[0] - before[2]) / 2
        if abs(moved) <= 1:
            steps[state(before), state(after), moved] += 1
            steps[mirrored(state(before)), mirrored(state(after)), -moved] += 1
    total = Counter()
    for (before, _, _), count in steps.items():
        total[before] += count
    states = sorted(total)
    assume(len(states) == buckets * spreads)
    find = {place: index for index, place in enumerate(states)}
    stay, move, change = np.zeros((len(states),) * 2), np.zeros((len(states),) * 2), np.zeros(len(states))
    for (before, after, moved), count in steps.items():
        (move if moved else stay)[find[before], find[after]] += count / total[before]
        change[find[before]] += moved * count / total[before]
    solve = np.linalg.inv(np.eye(len(states)) - stay)
    term = found = solve @ change
    for _ in range(terms):
        term = solve @ move @ term
        found = found + term
    return found.reshape(buckets, spreads)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), buckets=st.integers(2, 6), spreads=st.integers(1, 2))
def test_what_is_learnt_is_the_definition(seed, buckets, spreads):
    rows = walk(seed, 600, spreads)
    expected = slow(rows, buckets, spreads, 4000)
    found = learn_microprice(quoted(rows), SECOND, buckets, spreads)
    assert found.table == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert found.table == pytest.approx(-found.table[::-1], rel=1e-9, abs=1e-11), "symmetric"
    assert (found.observations == found.observations[::-1]).all()


def test_it_leans_to_the_thinner_side():
    found = learn_microprice(quoted(walk(1, 20_000)), SECOND, buckets=5)
    assert (np.diff(found.table, axis=0) > 0).all()


def test_it_foretells_better_than_the_mid():
    """The expected change until the mid has moved for good, on days that it has not seen."""
    found = learn_microprice(quoted(walk(1, 20_000, 1)), SECOND, buckets=5, spreads=1)
    rows = np.array(walk(2, 20_000, 1))
    later = (rows[30:, 0] - rows[:-30, 0]).astype(float)
    said = np.array([found.adjustment(bids, asks, 1) for _, bids, _, asks in rows[:-30]], float)
    known = np.isfinite(said)
    slope = np.polyfit(said[known], later[known], 1)[0]
    assert known.mean() > .5 and .5 < slope < 1.5


def test_gaps_empty_sides_and_large_moves_are_no_observations():
    rows = walk(4, 400)
    whole = learn_microprice(quoted(rows), SECOND, 4)
    broken = [*rows, (0, 0, 10_000, 5), *rows, (10_000, 5, 0, 0), *rows]
    cuts = [0] * 401 + [1] * 400 + [1] + [2] * 400
    found = learn_microprice(quoted(broken, cuts), SECOND, 4)
    assert (found.observations == 3 * whole.observations).all()
    assert found.table == pytest.approx(whole.table, rel=1e-9)
    # a gap that no quote shows: the one step over it is left out, and its mirror image
    narrow = walk(4, 400, 1)
    looks = [learn_microprice(quoted(narrow, cuts), SECOND, 4, 1).observations.sum() for cuts in (
        [0] * 400, [0] * 200 + [1] * 200)]
    assert looks == [2 * 399, 2 * 398]
    # side by side and far apart: the step between them is no move of the model
    far = [*rows, *[(bid + 500, bids, ask + 500, asks) for bid, bids, ask, asks in rows]]
    assert (learn_microprice(quoted(far), SECOND, 4).observations == 2 * whole.observations).all()


def test_buckets_that_were_not_seen_are_like_their_neighbours():
    rows = [row for row in walk(5, 3000, 1) if not .4 <= row[1] / (row[1] + row[3]) < .6]
    found = learn_microprice(quoted(rows), SECOND, 5, 1)
    assert found.observations[2, 0] == 0 and found.table[2, 0] == pytest.approx(0, abs=1e-12)
    lopsided = [row for row in walk(6, 3000, 1) if .2 <= row[1] / (row[1] + row[3]) < .8]
    found = learn_microprice(quoted(lopsided), SECOND, 5, 1)
    assert found.observations[[0, 4], 0].tolist() == [0, 0] and found.table[0, 0] == pytest.approx(found.table[1, 0])


def test_looking_up():
    table = Microprice(np.array([[-.2, -.9], [0, 0], [.2, np.nan]]), np.ones((3, 2), np.int64))
    assert [table.adjustment(bids, 10 - bids, 1) for bids in (1, 5, 9)] == [-.2, 0, .2]
    assert table.adjustment(1, 9, 7) == -.9, "wider than any counts as the widest"
    assert table.adjustment(1, 0, 1) is table.adjustment(0, 1, 1) is table.adjustment(1, 1, 0) is None
    assert table.adjustment(9, 1, 2) is None, "never seen"
    assert table.price(100.00, 9, 100.01, 1, .01) == pytest.approx(100.005 + .002, rel=1e-12)
    # without an adjustment, the weighted mid of the same book
    assert table.price(100.00, 9, 100.02, 1, .01) == pytest.approx(100.018, rel=1e-12)
    assert table.price(32.17, 9, 32.19, 1, .01) == pytest.approx(32.188, rel=1e-12)
    assert table.price(100.02, 9, 100.00, 1, .01) is table.price(100, 0, 101, 1, .01) is None


def test_an_adjustment_beyond_the_spread_is_none():
    table = Microprice(np.array([[-.5], [.6]]), np.ones((2, 1), np.int64))
    assert table.adjustment(1, 9, 1) is table.adjustment(9, 1, 1) is None
    assert table.price(32.17, 9, 32.18, 1, .01) == pytest.approx(32.179, rel=1e-12)


def test_a_sample_that_says_nothing_is_named():
    with pytest.raises(MicropriceError, match="the mid never moves in the sample"):
        learn_microprice(quoted([(100, 1, 101, 1)] * 5), SECOND)
    with pytest.raises(MicropriceError, match="that the sample does not go on from"):
        learn_microprice(quoted([(100, 1, 101, 1), (100, 1, 102, 1)]), SECOND)
    with pytest.raises(MicropriceError, match="there are no quotes"):
        learn_microprice(quoted([]), SECOND)
    with pytest.raises(ValueError, match="step_ns 0: expected 1 or more"):
        learn_microprice(quoted(walk(1, 10)), 0)
    with pytest.raises(ValueError, match="buckets 0: expected 1 or more"):
        learn_microprice(quoted(walk(1, 10)), SECOND, 0)


def test_of_a_recording(feeds):
    """A liquid future, whose spread is a tick nearly always: the thinner side is where the mid goes."""
    tape = orderflow.tape(feeds / "captures/binance_usdm_btcusdt_20240808.tsv.gz")
    found = learn_microprice(quotes(tape, "BTCUSDT"), SECOND // 10, 5, 1)
    assert (np.diff(found.table[:, 0]) > 0).all() and (np.abs(found.table) < .5).all()
    assert found.table == pytest.approx(-found.table[::-1], abs=1e-11)
