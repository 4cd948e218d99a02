"""Books that cross: the worked numbers, a slow twin over single units, and what is refused."""
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.crossing import break_even, crossing, least_edge, leg_deviation

ASKS = [("100.00", "1.5"), ("100.05", "2"), ("100.12", "4")]
BIDS = [("100.30", "2"), ("100.27", "3"), ("100.22", "5")]
FEES = {"buy_fee": "0.0010", "sell_fee": "0.0008"}


def test_the_worked_number():
    found = crossing(ASKS, BIDS, **FEES)
    assert found.quantity == Fraction("3.5") and found.profit == Fraction("0.274096")
    assert [step.quantity for step in found.steps] == [Fraction("1.5"), Fraction("0.5"), Fraction("1.5")]
    assert [round(float(step.edge), 5) for step in found.steps] == [.11976, .06971, .03973]
    # the pair of levels that comes next is the first that does not pay
    after = Fraction("100.27") * (1 - Fraction("0.0008")) - Fraction("100.12") * (1 + Fraction("0.0010"))
    assert round(float(after), 5) == -.03034


def test_break_even():
    assert round(float(break_even("0.0010", "0.0008")) * 1e4, 4) == 18.0144
    at = Fraction(100) * (1 + break_even("0.0010", "0.0008"))
    assert not crossing([(100, 1)], [(at, 1)], **FEES).steps
    assert crossing([(100, 1)], [(at + Fraction(1, 10**12), 1)], **FEES).quantity == 1


def test_leg_risk():
    """80 % a year: over 100 and 500 milliseconds, in basis points."""
    assert [round(1e4 * leg_deviation(0.8, seconds), 3) for seconds in (0.1, 0.5)] == [.450, 1.007]
    assert least_edge(0.5e-4, 2, 0.9, 20e-4) == pytest.approx(3e-4, rel=1e-12)
    assert least_edge(0.5e-4, 2, 1, 20e-4) == pytest.approx(1e-4, rel=1e-12)


ladders = st.lists(st.tuples(st.integers(90, 110), st.integers(1, 5)), max_size=5, unique_by=lambda level: level[0])
fees = st.sampled_from([Fraction(n, 1000) for n in (-1, 0, 2, 10)])


@given(asks=ladders, bids=ladders, buy_fee=fees, sell_fee=fees, most=st.none() | st.integers(0, 12))
def test_no_other_choice_of_units_leaves_more(asks, bids, buy_fee, sell_fee, most):
    """A slow twin: single units in order of price, as many as leave the most."""
    asks, bids = sorted(asks), sorted(bids, reverse=True)
    costs = [price * (1 + buy_fee) for price, quantity in asks for _ in range(quantity)]
    proceeds = [price * (1 - sell_fee) for price, quantity in bids for _ in range(quantity)]
    count = min(len(costs), len(proceeds), len(costs) if most is None else most)
    profits = [sum(proceeds[:n]) - sum(costs[:n]) for n in range(count + 1)]
    found = crossing(asks, bids, buy_fee=buy_fee, sell_fee=sell_fee, maximum_quantity=most)
    assert found.profit == max(profits) and found.quantity == profits.index(max(profits))
    assert all(step.edge > 0 and step.quantity > 0 for step in found.steps)


def test_what_returning_costs_is_taken_off_each_unit():
    found = crossing(ASKS, BIDS, **FEES, returning=Decimal("0.05"))
    assert found.quantity == 2 and found.profit == Fraction("0.214495") - 2 * Fraction("0.05")


@pytest.mark.parametrize(("asks", "bids", "error", "told"), [
    ([(100.05, 1)], BIDS, TypeError, "100.05 is a float"),
    ([(101, 1), (100, 1)], BIDS, ValueError, "asks: 100 after 101"),
    (ASKS, [(100, 1), (100, 1)], ValueError, "bids: 100 after 100"),
    (ASKS, [(100, 0)], ValueError, "bids: quantity 0 at 100")])
def test_what_is_no_book_is_named(asks, bids, error, told):
    with pytest.raises(error, match=told):
        crossing(asks, bids, **FEES)


def test_what_is_no_number_of_a_risk_is_named():
    with pytest.raises(ValueError, match="annual_volatility -1"):
        leg_deviation(-1, 1)
    with pytest.raises(ValueError, match="sell_fee 8: expected a fraction of the notional"):
        break_even("0.001", 8)
    with pytest.raises(ValueError, match="survives 2"):
        least_edge(1e-4, 2, 2, 1e-3)
