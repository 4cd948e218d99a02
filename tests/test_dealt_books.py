"""One recorded book dealt to three exchanges: what the split pays there, and the rules by which routing is compared."""
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.allocation import Splitter
from orderflow._core.types import LEVEL_DTYPE, Side
from orderflow.routing import BOARD_DEPTH
from tests import routing_contest
from tests.routing_books import Exchange, Market, deal, dealt_market, recorded
from tests.routing_contest import AT_ONCE, CONTESTANTS, FEE_UNIT, ROUTER, WALK, Splits, Task, Trial

BUY, SELL = Side.BUY, Side.SELL
LOT = 1_000                     # 0.00001 BTC at the capture's 8 decimals
INSTANTS = 1_000
FEES = (30_000, 20_000, 25_000)
SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def whole(feeds):
    """Every book of eleven minutes of BTC-USDT, undivided."""
    return recorded(feeds / "captures/binance_spot_btcusdt_20240808.tsv.gz", "binance_spot", LOT)


def instants(whole):
    """A thousand moments spread over a recording, each with a side and a quantity that its best levels hold."""
    draw = random.Random(7)
    step = len(whole.times_ns) // INSTANTS
    assert step >= 1
    for i in range(INSTANTS):
        at_ns, side = whole.times_ns[i * step], (BUY, SELL)[i % 2]
        shown = int(whole.offered(side, at_ns)["quantity"][:BOARD_DEPTH].sum())
        yield at_ns, side, draw.randint(1, shown // LOT) * LOT


def walk(ladder, quantity):
    """(notional, worst price) of taking so much of one book, level by level."""
    notional, worst = 0, 0
    for price, available in ladder:
        taken = min(quantity, available)
        if taken:
            notional, worst, quantity = notional + price * taken, price, quantity - taken
    assert quantity == 0
    return notional, worst


def cheapest(market, side, at_ns, quantity):
    """The best all-in total there can be, in 1e-8: all levels of all exchanges by what a unit costs with its fee."""
    sign = 1 if side == BUY else -1
    units = sorted((sign * price * (FEE_UNIT + sign * one.taker_fee), available) for one in market.exchanges
                   for price, available in one.offered(side, at_ns).tolist())
    total = 0
    for cost, available in units:
        taken = min(quantity, available)
        total, quantity = total + cost * taken, quantity - taken
    assert quantity == 0
    return sign * total


# -- dealing ----------------------------------------------------------------------------------------------------------

@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**9)), min_size=1, max_size=20),
       st.lists(st.integers(1, 100), min_size=1, max_size=4), st.sampled_from([1, 10, 1_000]))
def test_every_level_is_shared_out_whole_and_nobody_is_a_lot_away_from_his_share(levels, shares, lot):
    levels = np.array([(price, lots * lot) for price, lots in dict(levels).items()], LEVEL_DTYPE)
    dealt = [dict(own.tolist()) for own in deal(levels, lot, shares)]
    for price, quantity in levels.tolist():
        parts = [own.get(price, 0) for own in dealt]
        assert sum(parts) == quantity and all(part % lot == 0 for part in parts)
        assert all(abs(part - Fraction(quantity * share, sum(shares))) < lot
                   for part, share in zip(parts, shares, strict=True))


def test_odd_lots_go_to_the_largest_remainder_then_to_the_first():
    levels = np.array([(10, 1), (11, 2), (12, 5), (13, 10)], LEVEL_DTYPE)
    assert [own.tolist() for own in deal(levels, 1, (50, 30, 20))] == [
        [(10, 1), (11, 1), (12, 3), (13, 5)], [(11, 1), (12, 1), (13, 3)], [(12, 1), (13, 2)]]


# -- what the split pays ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("fee", [0, 75_000])
def test_with_equal_fees_and_no_delay_the_router_pays_what_the_single_book_costs(whole, fee):
    """At each of a thousand instants. Within a lot would do; lots that are equal make it exact."""
    market = dealt_market(whole, LOT, fees=(fee,) * 3, delays_ns=(0, 0, 0))
    splits = Splits(market)
    for at_ns, side, quantity in instants(whole):
        trial = Trial(market, splits, Task(side, quantity, at_ns, at_ns))
        routing_contest.route_at_once(trial)
        single, worst = walk(whole.offered(side, at_ns).tolist(), quantity)
        assert sum(fill.quantity for fill in trial.fills) == quantity
        assert sum(fill.price * fill.quantity for fill in trial.fills) == single
        assert worst in {fill.price for fill in trial.fills}
        assert trial.finish().late == 0


def test_with_unequal_lots_too_to_within_the_largest(whole):
    """One exchange takes multiples of ten lots only: what of its part is less than that goes to the others."""
    market = dealt_market(whole, LOT, fees=(0, 0, 0), delays_ns=(0, 0, 0))
    listings = market.listings()
    listings["lot"][2] = listings["minimum_quantity"][2] = 10 * LOT
    splitter = Splitter(listings, depth=128)
    moved = 0
    for at_ns, side, quantity in instants(whole):
        got = splitter.split(side, quantity, [one.offered(side, at_ns) for one in market.exchanges])
        single, _ = walk(whole.offered(side, at_ns).tolist(), quantity)
        limits = [limit for part, limit in got.parts if part]
        worst = max(limits) if side == BUY else min(limits)
        best = int(whole.offered(side, at_ns)["price"][0])
        dearer = got.notional - single if side == BUY else single - got.notional
        assert got.quantity == quantity and got.parts[2][0] % (10 * LOT) == 0
        assert 0 <= dearer <= 10 * LOT * abs(worst - best)
        moved += dearer > 0
    assert moved                # it is not the same problem as with equal lots


def test_with_different_fees_the_split_is_the_cheapest_there_is(whole):
    market = dealt_market(whole, LOT, fees=FEES, delays_ns=(0, 0, 0))
    splitter = Splitter(market.listings(), depth=128)
    blind = Splits(market).by_price
    saved = 0
    for at_ns, side, quantity in instants(whole):
        sign = 1 if side == BUY else -1
        books = [one.offered(side, at_ns) for one in market.exchanges]
        got = splitter.split(side, quantity, books)
        assert got.all_in == cheapest(market, side, at_ns, quantity)
        single, _ = walk(whole.offered(side, at_ns).tolist(), quantity)
        by_price = sum(walk(book.tolist(), part)[0] * (FEE_UNIT + sign * fee) for book, (part, _), fee in zip(
            books, blind.split(side, quantity, books).parts, FEES, strict=True))
        assert single * (FEE_UNIT + sign * min(FEES)) * sign <= got.all_in * sign <= by_price * sign
        saved += got.all_in != by_price
    assert saved > INSTANTS * 0.9


# -- the rules of the contest -----------------------------------------------------------------------------------------

def ladder(*levels):
    return np.array(list(levels), LEVEL_DTYPE)


BIDS = ladder((90, 100))


def exchange(delay_ns, *books, fee=0):
    """Of (time, asks), one after the other; far below stands a bid that never moves."""
    times_ns, asks = zip(*books, strict=True)
    return Exchange(fee, delay_ns, list(times_ns), [BIDS] * len(books), list(asks))


def attempt(name, market, quantity, at_ns=0, end_ns=1_000):
    """The fills of one contestant's purchase, and what it came to."""
    trial = Trial(market, Splits(market), Task(BUY, quantity, at_ns, end_ns))
    CONTESTANTS[name](trial)
    return trial.fills, trial.finish()


def cost(paid, mid, quantity):
    return pytest.approx(float((Fraction(paid) / (mid * quantity) - 1) * 10_000), rel=1e-12)


def market_that_fades():
    """The first exchange's best level is gone when an order arrives; the second one's stays until long after."""
    first = exchange(10, (-100, ladder((100, 5), (110, 9))), (5, ladder((110, 9))))
    second = exchange(10, (-100, ladder((101, 5))), (500, ladder((105, 9))))
    return Market((first, second), 1, -100, 1_000)


def test_the_router_sends_again_at_once_what_has_faded():
    fills, result = attempt(AT_ONCE, market_that_fades(), 4)
    assert fills == [(30, 1, 101, 4)]         # heard of at 20, there at 30
    assert (result.late, result.legs) == (0, 2) and result.cost_bps == cost(404, 95, 4)


def test_what_nobody_sends_again_is_bought_at_the_horizon():
    fills, result = attempt(WALK, market_that_fades(), 4)
    assert fills == [(1_000, 1, 105, 4)]
    assert (result.late, result.legs) == (1, 1) and result.cost_bps == cost(420, 95, 4)


def test_books_are_seen_late_and_fees_are_paid():
    seen_at_the_decision = exchange(10, (-100, ladder((100, 5))), (-5, ladder((99, 5))), fee=1_000_000)
    market = Market((seen_at_the_decision,), 1, -100, 1_000)
    fills, result = attempt(WALK, market, 4)
    assert fills == [(10, 0, 99, 4)]            # sent at a limit of 100, which is all that was seen
    assert result.cost_bps == cost(Fraction(396 * 101, 100), Fraction(189, 2), 4)
    dearer = exchange(10, (-100, ladder((100, 5))), (-5, ladder((101, 5))))
    assert attempt(WALK, Market((dearer,), 1, -100, 1_000), 4)[0] == [(1_000, 0, 101, 4)]


def test_what_was_taken_stays_gone():
    """Though the recording, which knows nothing of us, shows it again."""
    alone = exchange(0, (-100, ladder((100, 3))), (400, ladder((100, 3), (102, 9))))
    assert attempt(WALK, Market((alone,), 1, -100, 1_000), 5)[0] == [(0, 0, 100, 3), (1_000, 0, 102, 2)]
    assert attempt(AT_ONCE, Market((alone,), 1, -100, 1_000), 5)[0] == [(0, 0, 100, 3), (400, 0, 102, 2)]


def test_one_that_has_time_waits_for_books_to_fill_up():
    alone = exchange(0, (-100, ladder((100, 2), (110, 9))), (400, ladder((101, 5), (110, 9))))
    market = Market((alone,), 1, -100, 1_000)
    assert attempt(AT_ONCE, market, 4)[0] == [(0, 0, 100, 2), (0, 0, 110, 2)]
    assert attempt(ROUTER, market, 4)[0] == [(0, 0, 100, 2), (400, 0, 101, 2)]


def test_one_that_has_time_pays_what_it_needs_in_the_end():
    cheap = exchange(0, (-100, ladder((100, 2), (109, 1))), (990, ladder((100, 9))))
    dear = exchange(0, (-100, ladder((110, 9))))
    fills, result = attempt(ROUTER, Market((cheap, dear), 1, -100, 1_000), 4)
    assert fills == [(0, 0, 100, 2), (800, 1, 110, 2)] and result.late == 0


def test_the_router_waits_for_another_book_where_its_last_order_has_ended():
    alone = exchange(10, (-100, ladder((100, 5))), (5, ladder((103, 9))), (200, ladder((104, 9))))
    fills, result = attempt(AT_ONCE, Market((alone,), 1, -100, 1_000), 4)
    assert fills == [(220, 0, 104, 4)] and result.legs == 2         # the book of 5 was seen when the answer came


def test_nothing_is_sent_that_could_not_be_answered_before_the_horizon():
    fills, result = attempt(AT_ONCE, market_that_fades(), 4, end_ns=35)
    assert fills == [(35, 1, 101, 4)] and (result.late, result.legs) == (1, 1)


def test_what_the_others_send():
    books = ladder((100, 5), (101, 9)), ladder((101, 7)), ladder((120, 1))
    market = Market(tuple(exchange(0, (-9, book), fee=fee) for book, fee in zip(books, (2_000_000, 0, 0), strict=True)),
                    1, -9, 1_000)
    assert attempt("best single exchange", market, 6)[0] == [(0, 1, 101, 6)]
    assert attempt("best single exchange", market, 8)[0] == [(0, 0, 100, 5), (0, 0, 101, 3)]
    assert attempt("equal split", market, 7)[0] == [(0, 0, 100, 3), (0, 1, 101, 2), (0, 2, 120, 1), (1_000, 1, 101, 1)]
    assert attempt("sweep by price, fee-blind", market, 6)[0] == [(0, 0, 100, 5), (0, 0, 101, 1)]
    assert sorted(attempt(WALK, market, 8)[0]) == [(0, 0, 100, 1), (0, 1, 101, 7)]


def test_a_task_that_the_books_cannot_fill_says_so():
    with pytest.raises(ValueError, match="5 less than the task needs"):
        attempt(WALK, Market((exchange(0, (-9, ladder((100, 5)))),), 1, -9, 1_000), 10)


# -- the contest ------------------------------------------------------------------------------------------------------

def test_the_router_is_not_dearer_than_simpler_ways(whole):
    """A cheap round of `make bench-routing`. Against the walk that leaves what fails to the horizon it is about even:
    there the bound is what a change of a few hundredths of a basis point would be."""
    market = dealt_market(whole, LOT)
    splits, means = Splits(market), []
    for seed in range(6):
        drawn = routing_contest.tasks(market, np.random.default_rng(seed), 40, 2 * SECOND_NS)
        found = routing_contest.contest(market, splits, drawn)
        means.append({name: np.mean([one.cost_bps for one in results]) for name, results in found.items()})
    dearer = {name: np.mean([mean[name] - mean[ROUTER] for mean in means]) for name in CONTESTANTS}
    assert dearer.pop(ROUTER) == 0 and 0 < dearer.pop(AT_ONCE) and 0 < dearer.pop(WALK)
    assert len(dearer) == 3 and all(each > 0.05 for each in dearer.values()), dearer


def test_where_nothing_fades_the_walk_with_fees_costs_what_the_router_costs(whole):
    """They begin with the same legs: all that differs is what is done about those that fail."""
    market = dealt_market(whole, LOT, delays_ns=(0, 0, 0))
    drawn = routing_contest.tasks(market, np.random.default_rng(0), 60, 2 * SECOND_NS)
    found = routing_contest.contest(market, Splits(market), drawn)
    assert found[AT_ONCE] == found[WALK] and all(one.late == 0 for one in found[WALK])
    assert found[AT_ONCE] != found["sweep by price, fee-blind"]
