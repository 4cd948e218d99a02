"""Prices in another quote currency: against fractions, with what is rounded always against whoever takes."""
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.allocation import Splitter
from orderflow._core.consolidated import ConsolidatedBook
from orderflow._core.conversion import converted, quoted_rate, worst_own_price
from orderflow._core.types import LISTING_DTYPE, Side

UNIT = 10**12
sides = st.sampled_from([Side.BUY, Side.SELL])
#: From a Vietnamese dong in dollars to a bitcoin in yen, in 1e-12.
rates = st.integers(4 * 10**7, 2 * 10**19 // 10**2)
prices = st.integers(1, 10**12)


def rounded(value, side):
    """Up for who buys, down for who sells."""
    return math.ceil(value) if side == Side.BUY else math.floor(value)


@given(price=st.integers(1, 10**9), decimals=st.integers(0, 8), inverse=st.booleans(), side=sides)
def test_a_rate_is_what_its_book_says_and_never_better(price, decimals, inverse, side):
    shown = Fraction(price, 10**decimals)
    exact = rounded((1 / shown if inverse else shown) * UNIT, side)
    assert quoted_rate(price, decimals, inverse, side) == (exact if exact <= 10**18 else 0)


def test_a_direct_rate_is_exact_and_one_with_more_decimals_than_fit_is_rounded():
    assert quoted_rate(99985, 5, False, Side.BUY) == quoted_rate(99985, 5, False, Side.SELL) == 999_850_000_000
    assert (quoted_rate(15, 13, False, Side.BUY), quoted_rate(15, 13, False, Side.SELL)) == (2, 1)


@pytest.mark.parametrize("price", [0, -1, 10**18])
def test_a_price_that_gives_no_rate(price):
    assert quoted_rate(price, 0, False, Side.BUY) == 0


@given(price=prices, rate=rates.filter(lambda rate: rate <= 10**18), side=sides)
def test_a_converted_price_is_the_product_rounded_against_the_taker(price, rate, side):
    exact = Fraction(price * rate, UNIT)
    got = converted(price, rate, side)
    assert got == min(rounded(exact, side), 2**62 - 1)
    assert exact >= 2**62 - 1 or (0 <= got - exact < 1 if side == Side.BUY else 0 <= exact - got < 1)


@given(limit=prices, factor=st.sampled_from([1, 10, 10**4, 10**7]), side=sides,
       rate=st.one_of(st.just(0), st.integers(10**9, 10**15)))
def test_the_worst_own_price_keeps_within_the_limit_and_the_next_one_does_not(limit, factor, side, rate):
    def worth(own):
        return rounded(Fraction(own * factor * (rate or UNIT), UNIT), side)

    worst, step = worst_own_price(limit, factor, rate, side), 1 if side == Side.BUY else -1
    assert step * worth(worst) <= step * limit < step * worth(worst + step)


# -- listings that are compared -------------------------------------------------------------------------------------

FEES = (40_000, 20_000, -10_000)
FACTORS = (10**7, 1, 10**6)
OWN_RATES = ((0, 0), (999_310_000_000, 999_260_000_000), (1_000_280_078_379, 1_000_219_115_560))


def listings():
    rows = np.zeros(3, LISTING_DTYPE)
    rows["index"], rows["taker_fee"], rows["price_factor"] = range(3), FEES, FACTORS
    rows["quantity_factor"] = rows["tick"] = rows["lot"] = 1
    rows["conversion"] = 0, 1, 2
    return rows


#: Of three listings: (steps of price from one level to the next, quantity) of each level, around 60 000.00.
books = st.lists(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 50)), max_size=6), min_size=3, max_size=3)


def ladders_of(steps, side):
    sign, found = 1 if side == Side.BUY else -1, []
    for factor, levels in zip(FACTORS, steps, strict=True):
        at, ladder = 60_000 * 10**8, []
        for distance, quantity in levels:
            at += sign * distance * 10**7
            ladder.append((at // factor, quantity))
        found.append(ladder)
    return found


def walked(ladders, side, limit=None):
    """(all-in price in 1e-8, listing, price, quantity) of every level, best first; fractions, then rounded."""
    place, sign, found = (0, 1, []) if side == Side.BUY else (1, -1, [])
    for index, ladder in enumerate(ladders):
        for own, quantity in ladder:
            price = rounded(Fraction(own * FACTORS[index] * (OWN_RATES[index][place] or UNIT), UNIT), side)
            if limit is None or sign * price <= sign * limit:
                found.append((price * (10**8 + sign * FEES[index]), index, price, quantity))
    return sorted(found, key=lambda one: (sign * one[0], one[1]))


@given(steps=books, side=sides)
def test_levels_stand_in_the_order_of_what_they_cost_in_one_currency(steps, side):
    ladders, place = ladders_of(steps, side), 0 if side == Side.BUY else 1
    got = ConsolidatedBook(listings()).merge(side, ladders, rates=[rate[place] for rate in OWN_RATES])
    assert got == [(index, price, quantity, all_in) for all_in, index, price, quantity in walked(ladders, side)]


@given(steps=books, side=sides, wanted=st.integers(1, 400), dollars=st.integers(-60, 60), nudge=st.integers(-2, 2))
def test_the_split_costs_what_a_walk_costs_and_keeps_within_the_limit(steps, side, wanted, dollars, nudge):
    sign, place = (1, 0) if side == Side.BUY else (-1, 1)
    limit = (60_000 + dollars) * 10**8 + nudge
    ladders = ladders_of(steps, side)
    own_rates = [rate[place] for rate in OWN_RATES]
    got = Splitter(listings()).split(side, wanted, ladders, limit=limit, rates=own_rates)
    left, all_in, notional = wanted, 0, 0
    for each, _, price, quantity in walked(ladders, side, limit):
        part = min(left, quantity)
        all_in, notional, left = all_in + part * each, notional + part * price, left - part
    assert (got.quantity, got.all_in, got.notional) == (wanted - left, all_in, notional)
    for index, (sent, price) in enumerate(got.parts):
        exact = Fraction(price * FACTORS[index] * (own_rates[index] or UNIT), UNIT)
        assert sent == 0 or sign * exact <= sign * limit


@given(steps=books, wanted=st.integers(1, 400))
def test_a_rate_of_one_is_no_conversion(steps, wanted):
    ladders, rows = ladders_of(steps, Side.BUY), listings()
    assert (Splitter(rows).split(Side.BUY, wanted, ladders, rates=[UNIT] * 3)
            == Splitter(rows).split(Side.BUY, wanted, ladders))


def test_a_ticket_is_converted_too():
    """One of two of the quote currency, worth a half of it: what it adds is one."""
    rows = listings()[:1].copy()
    rows["taker_fee"], rows["price_factor"] = 0, 1
    ticket = 2 * 10**8
    plain, whole, half = (
        Splitter(rows, charges=[(charge, [])]).split(Side.BUY, 5, [[(100, 9)]], rates=[rate]).all_in
        for charge, rate in ((0, UNIT // 2), (ticket, UNIT), (ticket, UNIT // 2)))
    assert (plain, whole, half) == (250 * 10**8, 502 * 10**8, 251 * 10**8)
