"""The split against brute force over all feasible splits, and worked examples of where greedy is not enough."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow._core.allocation import Splitter
from orderflow._core.types import LISTING_DTYPE, Side
from tests.reference import allocation as reference

BUY, SELL = Side.BUY, Side.SELL


def listing_table(*rows):
    """Listings from dicts of what differs from: factors, tick and lot 1, nothing else."""
    table = np.zeros(len(rows), LISTING_DTYPE)
    for name in ("price_factor", "quantity_factor", "tick", "lot"):
        table[name] = 1
    for line, row in zip(table, rows, strict=True):
        for name, value in row.items():
            line[name] = value
    return table


def optional(strategy):
    return st.one_of(st.none(), st.none(), strategy)


def money_of(row):
    """What 1 of price times quantity is in 1e-8 of the quote currency, and at least 1."""
    return max(1, 10 ** (8 - row["price_decimals"] - row["quantity_decimals"]))


@st.composite
def charge_of(draw, row):
    """A ticket that matters or none, and fee tiers that can be reached or none."""
    ticket = draw(st.sampled_from([0, 0, 1, 2, 5, 15, 40, 100])) * money_of(row)
    ticket += draw(st.sampled_from([0, 0, 0, 1, 7]))
    quantities = sorted(draw(st.sets(st.integers(1, 20), max_size=draw(st.sampled_from([0, 0, 1, 4])))))
    falls = [draw(st.sampled_from([1, 10_000, 500_000, 3_000_000])) for _ in quantities]
    return ticket, [(quantity, row["taker_fee"] - sum(falls[:i + 1])) for i, quantity in enumerate(quantities)]


@st.composite
def problems(draw, lots=(1, 1, 2, 3, 5, 10), minimums=True, charged=False):
    side = draw(st.sampled_from([BUY, SELL]))
    rows, ladders, caps, funds, charges = [], [], [], [], []
    for _ in range(draw(st.integers(1, 3))):
        row = {"taker_fee": draw(st.sampled_from([-10_000, 0, 20_000, 100_000, 1_000_000])),
               "price_factor": draw(st.sampled_from([1, 1, 5])),
               "quantity_factor": draw(st.sampled_from([1, 1, 1, 2])),
               "lot": draw(st.sampled_from(lots)),
               "tick": draw(st.sampled_from([1, 1, 2])),
               "price_decimals": draw(st.sampled_from([0, 2])),
               "quantity_decimals": draw(st.sampled_from([0, 1] if charged else [0, 1, 8]))}
        near = 100 // row["price_factor"]
        charges.append(draw(charge_of(row)) if charged else (0, ()))
        if minimums:
            unit = money_of(row)
            row["minimum_quantity"] = draw(st.sampled_from([0, 0, 1, 4, 9]))
            row["maximum_quantity"] = draw(st.sampled_from([0, 0, 0, 11]))
            row["minimum_notional"] = draw(st.sampled_from([0, 0, 3, 8])) * near * unit
            caps.append(draw(optional(st.integers(0, 15))))
            funds.append(draw(optional(st.integers(0, 15).map(lambda n, near=near, unit=unit: n * near * unit + n))))
        else:
            caps.append(None)
            funds.append(None)
        prices = draw(st.sets(st.integers(max(near - 4, 1), near + 4), max_size=3))
        ladders.append([(price, draw(st.integers(1, 8))) for price in sorted(prices, reverse=side == SELL)])
        rows.append(row)
    usable = [draw(st.sampled_from([True] * 7 + [False])) for _ in rows]
    limit = draw(st.sampled_from([0, 0, 98, 100, 102]))
    return listing_table(*rows), side, draw(st.integers(0, 40)), ladders, limit, usable, caps, funds, charges


def solve(problem, nodes=4096):
    listings, side, quantity, ladders, limit, usable, caps, funds, charges = problem
    return Splitter(listings, nodes=nodes, charges=charges).split(
        side, quantity, ladders, limit=limit, usable=usable, quantities=caps, funds=funds)


def check(problem):
    got = solve(problem)
    assert got[:4] == reference.split(*problem)
    assert got.exact and (got.gap, got.unfilled) == (0, 0)
    assert got.greedy == (got.nodes == 1)
    return got


@settings(max_examples=150)
@given(problems())
def test_equals_brute_force(problem):
    check(problem)


@settings(max_examples=200)
@given(problems(lots=(1, 1, 1, 2, 3), charged=True))
def test_equals_brute_force_with_tickets_tiers_and_everything_else(problem):
    check(problem)


@settings(max_examples=150)
@given(problems(lots=(1,), minimums=False, charged=True))
def test_equals_brute_force_with_tickets_and_tiers_alone(problem):
    check(problem)


@settings(max_examples=200)
@given(st.booleans().flatmap(lambda minimums: problems(
    (1, 1, 2, 3), minimums, charged=True)), st.integers(1, 6))
def test_a_search_cut_short_gives_what_can_be_sent_and_how_far_it_may_be_from_the_best(problem, nodes):
    listings, side, quantity, *market = problem
    got, best = solve(problem, nodes), reference.split(*problem)
    chosen = [own[part] for own, (part, _) in zip(reference.options(listings, side, *market), got.parts, strict=True)]
    assert [part[:2] for part in chosen] == got.parts
    assert (sum(part[2] for part in chosen), sum(part[3] for part in chosen)) == (got.notional, got.all_in)
    assert got.quantity <= best[0] <= got.quantity + got.unfilled
    if best[0] == got.quantity and side == BUY:
        assert got.all_in - got.gap <= best[2] <= got.all_in
    elif best[0] == got.quantity:
        assert got.all_in <= best[2] <= got.all_in + got.gap
    if got.exact:
        assert got[:4] == best and (got.gap, got.unfilled) == (0, 0)


@settings(max_examples=60)
@given(problems(lots=(1,), minimums=False))
def test_equals_brute_force_where_greedy_is_proven_and_needs_one_node_then(problem):
    got = check(problem)
    if len({int(factor) for factor in problem[0]["quantity_factor"]}) == 1:
        assert got.nodes == 1


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6), st.integers(1, 14)), min_size=2, max_size=3),
       st.integers(1, 30))
def test_ties_between_splits_that_branching_finds(offers, quantity):
    listings = listing_table(*[{"lot": lot, "minimum_quantity": minimum} for lot, minimum, _ in offers])
    nothing = [None] * len(offers)
    check((listings, BUY, quantity, [[(100, available)] for _, _, available in offers], 0, [True] * len(offers),
           nothing, nothing, [(0, ())] * len(offers)))


def test_ties_found_on_a_later_branch_still_go_to_the_listing_that_stands_first():
    listings = listing_table(*[{"lot": lot, "minimum_quantity": minimum} for lot, minimum in ((3, 3), (6, 3), (2, 2))])
    got = Splitter(listings).split(BUY, 6, [[(100, 3)], [(100, 11)], [(100, 6)]])
    assert [quantity for quantity, _ in got.parts] == [0, 6, 0] and got.nodes > 1


def test_worked_split_with_fees():
    listings = listing_table({"taker_fee": 100_000}, {"taker_fee": 20_000}, {"taker_fee": -10_000})
    asks = [[(10000, 300), (10002, 500)], [(10006, 400), (10009, 400)], [(10011, 200), (10013, 600)]]
    got = Splitter(listings).split(BUY, 1000, asks)
    assert got.parts == [(300, 10000), (500, 10009), (200, 10011)]
    assert got.all_in == 100_093_0044 * 10**6         # 100 093.0044: prices at 2 decimals, fees at 8
    assert (got.quantity, got.nodes, got.exact, got.greedy) == (1000, 1, True, True)


def test_worked_split_is_cheaper_than_one_by_price_alone():
    listings = listing_table({"taker_fee": 100_000}, {"taker_fee": 20_000}, {"taker_fee": -10_000})
    asks = [[(10000, 300), (10002, 500)], [(10006, 400), (10009, 400)], [(10011, 200), (10013, 600)]]
    by_price = Splitter(listing_table({}, {}, {})).split(BUY, 1000, asks)
    assert [part for part, _ in by_price.parts] == [800, 200, 0]
    paid = sum(reference.all_in(listing, BUY, part, reference.walk(listing, BUY, ladder, 0, part)[1], (0, ()))
               for listing, ladder, (part, _) in zip(listings, asks, by_price.parts, strict=True) if part)
    assert paid == 100_106_0124 * 10**6
    got = Splitter(listings).split(BUY, 1000, asks)
    assert f"{(paid - got.all_in) / got.all_in * 10_000:.2f}" == "1.30"


def test_worked_ticket_makes_one_dearer_listing_cheaper_than_two():
    listings = listing_table({"price_decimals": 3}, {"price_decimals": 3})
    asks = [[(100_000, 500)], [(100_004, 1000)]]
    five = [(5 * 10**8, ())] * 2
    assert Splitter(listings).split(BUY, 1000, asks).parts == [(500, 100_000), (500, 100_004)]
    got = Splitter(listings, charges=five).split(BUY, 1000, asks)
    assert got.parts == [(0, 0), (1000, 100_004)]
    assert got.all_in == 100_009 * 10**11       # prices at 3 decimals, fees at 8
    assert Splitter(listings, charges=five).split(BUY, 500, asks).parts == [(500, 100_000), (0, 0)]


def test_worked_ticket_never_keeps_an_order_from_being_sent():
    listings = listing_table({"price_decimals": 2})
    got = Splitter(listings, charges=[(50 * 10**8, ())]).split(SELL, 3, [[(1000, 3)]])
    assert got.parts == [(3, 1000)] and got.all_in == (30 - 50) * 10**10 and got.exact


def test_worked_fee_tier_that_the_whole_quantity_reaches():
    listings = listing_table({"taker_fee": 50_000}, {"taker_fee": 30_000})
    asks, tiers = [[(100, 1000)], [(100, 1000)]], [(0, [(800, 10_000)]), (0, ())]
    assert Splitter(listings).split(BUY, 1000, asks).parts == [(0, 0), (1000, 100)]
    got = Splitter(listings, charges=tiers).split(BUY, 1000, asks)
    assert got.parts == [(1000, 100), (0, 0)]
    assert got.all_in == (100_000 + 10) * 10**8
    below = Splitter(listings, charges=tiers).split(BUY, 799, asks)
    assert below.parts == [(0, 0), (799, 100)]
    assert Splitter(listings, charges=tiers).split(BUY, 800, asks).parts == [(800, 100), (0, 0)]


def test_charges_of_listings_that_greedy_leaves_alone_cost_no_search():
    listings = listing_table({}, {}, {"taker_fee": 50_000})
    asks = [[(100, 5)], [(101, 5)], [(103, 50)]]
    got = Splitter(listings, charges=[(0, ()), (0, ()), (9 * 10**8, [(40, 0)])]).split(BUY, 10, asks)
    assert got.parts == [(5, 100), (5, 101), (0, 0)] and got.greedy


def test_a_ticket_comes_out_of_the_funds():
    listings = listing_table({"price_decimals": 2})
    splitter = Splitter(listings, charges=[(10**8, ())])
    assert [splitter.split(BUY, 5, [[(100, 5)]], funds=[money * 10**8]).quantity for money in (1, 3, 6, 9)] \
        == [0, 2, 5, 5]
    fine = Splitter(listing_table({"price_decimals": 18, "quantity_decimals": 8}), charges=[(10**8, ())])
    assert fine.split(BUY, 5, [[(10**18, 5)]], funds=[10**8 - 1]).quantity == 0


def test_worked_unequal_lots_where_greedy_strands_a_unit():
    got = Splitter(listing_table({"lot": 3}, {"lot": 2})).split(BUY, 4, [[(1000, 3)], [(1001, 4)]])
    assert got.parts == [(0, 0), (4, 1001)]
    assert got.notional == 4004


def test_worked_minimum_quantity_forces_a_dearer_listing_or_none():
    listings = listing_table({}, {"minimum_quantity": 5})
    asks = [[(100, 6), (110, 10)], [(101, 10)]]
    assert Splitter(listings).split(BUY, 8, asks).parts == [(3, 100), (5, 101)]
    assert Splitter(listings).split(BUY, 4, asks).parts == [(4, 100), (0, 0)]
    assert Splitter(listings).split(BUY, 7, [[(100, 6)], [(101, 10)]]).parts == [(2, 100), (5, 101)]


def test_worked_minimum_notional():
    listings = listing_table({"minimum_notional": 10 * 10**8, "price_decimals": 2, "quantity_decimals": 1}, {})
    asks = [[(100, 200)], [(101, 50)]]          # 1.00 each: 10 units = 100 tenths
    assert Splitter(listings).split(BUY, 99, asks).parts == [(0, 0), (50, 101)]
    assert Splitter(listings).split(BUY, 100, asks).parts == [(100, 100), (0, 0)]


def test_a_seller_can_meet_gaps_in_what_can_be_sent():
    listings = listing_table({"minimum_notional": 400 * 10**8})
    bids = [[(100, 4), (50, 10)]]
    assert [Splitter(listings).split(SELL, q, bids).quantity for q in (3, 4, 5, 7, 8)] == [0, 4, 4, 4, 8]


def test_ties_go_to_the_listing_that_stands_first():
    listings = listing_table({}, {}, {})
    asks = [[(100, 5)]] * 3
    assert Splitter(listings).split(BUY, 7, asks).parts == [(5, 100), (2, 100), (0, 0)]


def test_levels_off_the_tick_are_reached_by_the_next_price_on_it():
    listings = listing_table({"tick": 10})
    assert Splitter(listings).split(BUY, 1, [[(101, 5)]]).parts == [(1, 110)]
    assert Splitter(listings).split(BUY, 1, [[(101, 5)]], limit=105).parts == [(0, 0)]
    assert Splitter(listings).split(SELL, 1, [[(109, 5)]]).parts == [(1, 100)]
    assert Splitter(listings).split(SELL, 1, [[(9, 5)]]).parts == [(0, 0)]


def test_lots_of_powers_of_ten_need_one_node():
    listings = listing_table(*[{"lot": 10}] * 9, {"lot": 1})
    asks = [[(100 + i, 100)] for i in range(9)] + [[(500, 3)]]
    got = Splitter(listings).split(BUY, 615, asks)
    assert got.quantity == 613 and got.parts[9] == (3, 500) and got.nodes == 1


def test_an_odd_rest_of_small_lots_is_not_made_up_lot_by_lot():
    """The cheapest listing shows 16.89596351 in lots of one unit of the last digit, the others trade in lots of 1000:
    it is given no more than what whole lots add to, and no branch is needed. (Books of a run that was one unit of the
    fifth decimal short.)"""
    listings = listing_table({"lot": 1000}, {"lot": 1000}, {})
    asks = [[(103, 660_290_000)], [(102, 1_034_132_000)], [(101, 1_689_596_351)]]
    got = Splitter(listings).split(BUY, 3_379_200_000, asks)
    assert (got.quantity, got.greedy, got.nodes) == (3_379_200_000, True, 1)
    assert got.parts == [(655_472_000, 103), (1_034_132_000, 102), (1_689_596_000, 101)]


@settings(max_examples=300)
@given(st.integers(2, 12), st.lists(st.tuples(st.integers(0, 2), st.integers(1, 60), st.integers(90, 110)), min_size=2,
                                    max_size=4), st.integers(1, 200))
def test_lots_that_divide_each_other_need_few_nodes(base, offers, quantity):
    """Whatever levels show. Of 200 000 such 98 of 100 need one, and 25 is the most; brute force says the same."""
    lots = (1, base, base * 3)
    listings = listing_table(*({"lot": lots[place]} for place, _, _ in offers))
    asks = [[(price, size)] for _, size, price in offers]
    got = Splitter(listings).split(BUY, quantity, asks)
    count = len(offers)
    assert got[:4] == reference.split(listings, BUY, quantity, asks, 0, [True] * count, [None] * count,
                                      [None] * count, [(0, ())] * count)
    assert got.exact and got.nodes <= 64


def test_numbers_at_the_edge():
    listings = listing_table({"taker_fee": 99_999_999})
    price = quantity = 2**61 - 1
    got = Splitter(listings).split(BUY, quantity, [[(price, quantity)]])
    assert got.all_in == price * quantity * 199_999_999 and got.quantity == quantity


def test_a_search_cut_short_says_so():
    listings = listing_table(*[{"minimum_quantity": 7 + i, "lot": 1 + i % 3} for i in range(12)])
    asks = [[(100 + i, 8 + i)] for i in range(12)]
    got = Splitter(listings, nodes=1).split(BUY, 50, asks)
    assert not got.exact and not got.greedy and got.nodes == 1 and got.unfilled > 0
    assert Splitter(listings).split(BUY, 50, asks).exact


def test_more_levels_than_there_is_room_for_are_refused():
    with pytest.raises(ValueError, match=r"ladders\[0\]: 2 levels"):
        Splitter(listing_table({}), depth=1).split(BUY, 9, [[(100, 5), (101, 5)]])


def test_wrong_arguments_say_so():
    with pytest.raises(ValueError, match="factor"):
        Splitter(np.zeros(1, LISTING_DTYPE))
    one = listing_table({"taker_fee": 10_000})
    for wrong in ([], [(-1, ())], [(1 << 63, ())], [(0, [(5, 10_000)])], [(0, [(5, 9_000), (5, 8_000)])],
                  [(0, [(5, 9_000), (6, 9_000)])], [(0, [(5, -10**8)])], [(0, [(i, -i) for i in range(1, 6)])]):
        with pytest.raises(ValueError, match="charges"):
            Splitter(one, charges=wrong)
    splitter = Splitter(listing_table({}))
    for wrong in ({"side": 0}, {"quantity": -1}, {"ladders": []}, {"funds": [1, 2]}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            splitter.split(**{"side": BUY, "quantity": 1, "ladders": [[]], **wrong})
