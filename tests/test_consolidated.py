"""The consolidated book against its twin, and the worked example of a fee-aware order of prices."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.book import OrderBook
from orderflow._core.consolidated import ConsolidatedBook
from orderflow._core.types import LEVEL_DTYPE, LISTING_DTYPE, Side
from tests.reference import consolidated as reference

BUY, SELL = Side.BUY, Side.SELL


def listing_table(*rows):
    """Listings from dicts of what differs from: factors 1, tick and lot 1, nothing else."""
    table = np.zeros(len(rows), LISTING_DTYPE)
    for name in ("price_factor", "quantity_factor", "tick", "lot"):
        table[name] = 1
    for line, row in zip(table, rows, strict=True):
        for name, value in row.items():
            line[name] = value
    return table


@st.composite
def books(draw):
    side = draw(st.sampled_from([BUY, SELL]))
    rows, ladders = [], []
    for _ in range(draw(st.integers(1, 6))):
        rows.append({"taker_fee": draw(st.sampled_from([-10_000, 0, 20_000, 100_000])),
                     "price_factor": draw(st.sampled_from([1, 10])),
                     "quantity_factor": draw(st.sampled_from([1, 100]))})
        near = 1000 // rows[-1]["price_factor"]
        prices = draw(st.sets(st.integers(max(near - 10, 1), near + 10), max_size=6))
        ladders.append([(price, draw(st.integers(1, 50))) for price in sorted(prices, reverse=side == SELL)])
    usable = draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    return listing_table(*rows), side, ladders, usable


@given(books(), st.integers(0, 5000), st.integers(980, 1020))
def test_same_as_twin(book, quantity, limit):
    listings, side, ladders, usable = book
    consolidated = ConsolidatedBook(listings)
    entries = reference.merge(listings, side, ladders, usable)
    assert consolidated.merge(side, ladders, usable) == entries
    assert consolidated.best(side, ladders, usable) == (entries[0] if entries else None)
    assert consolidated.cost(quantity) == reference.cost(entries, side, quantity)
    assert consolidated.quantity_within(limit) == reference.quantity_within(entries, side, limit)


@given(books(), st.data())
def test_a_delta_deep_in_one_book_does_not_move_the_best_price(book, data):
    """Levels behind the best of a book come, change and go: the best of all books is what it was, to the last digit.
    """
    listings, side, ladders, usable = book
    held = [OrderBook() for _ in ladders]
    of_book = Side.SELL if side == BUY else Side.BUY           # whoever buys looks at asks
    for one, ladder in zip(held, ladders, strict=True):
        one.apply(of_book, np.array(ladder, LEVEL_DTYPE))
    consolidated = ConsolidatedBook(listings)

    def best():
        return consolidated.best(side, [[tuple(level) for level in one.levels(of_book)] for one in held], usable)

    before = best()
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(held) - 1))
        first = held[place].best(of_book)
        if first is None:
            continue
        behind = data.draw(st.integers(1, 15)) * (1 if side == BUY else -1)
        if first[0] + behind > 0:
            held[place].apply(of_book, np.array([(first[0] + behind, data.draw(st.integers(0, 10**6)))], LEVEL_DTYPE))
    assert best() == before


def test_worked_order_of_prices_with_fees():
    listings = listing_table({"taker_fee": 100_000}, {"taker_fee": 20_000}, {"taker_fee": -10_000})
    book = ConsolidatedBook(listings)
    asks = [[(10000, 300), (10002, 500)], [(10006, 400), (10009, 400)], [(10011, 200), (10013, 600)]]
    entries = book.merge(BUY, asks)
    assert [(entry[0], entry[1]) for entry in entries[:4]] == [(1, 10006), (2, 10011), (0, 10000), (1, 10009)]
    assert book.cost(1000)[2] == 100_093_0044 * 100 * 10**8 // 10**4       # 100 093.0044 at two decimals


def test_totals_beyond_128_bits_are_exact():
    listings = listing_table({"taker_fee": 99_999_999})
    book = ConsolidatedBook(listings)
    price, quantity = 2**62 - 1, 2**62 - 3
    book.merge(BUY, [[(price, quantity)]])
    total = price * 199_999_999 * quantity
    assert total > 2**128
    assert book.cost(quantity) == (quantity, price * quantity, total, price)


def test_sixty_four_listings_and_no_more():
    listings = listing_table(*[{} for _ in range(64)])
    book = ConsolidatedBook(listings, depth=2)
    asks = [[(1000 - i, 1), (2000 + i, 1)] for i in range(64)]
    prices = [entry[1] for entry in book.merge(BUY, asks)]
    assert prices == sorted(prices) and len(prices) == 128
    with pytest.raises(ValueError, match="64"):
        ConsolidatedBook(listing_table(*[{} for _ in range(65)]))


def test_wrong_arguments_say_so():
    book = ConsolidatedBook(listing_table({}, {}))
    with pytest.raises(ValueError, match="side"):
        book.merge(0, [[], []])
    with pytest.raises(ValueError, match="ladder"):
        book.merge(BUY, [[]])
    with pytest.raises(TypeError, match="LISTING_DTYPE"):
        ConsolidatedBook(np.zeros(1))
