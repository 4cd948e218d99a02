"""Balances against the tally of fills: the native comparison, its slow twin, and what must hold however fills, answers
and the private stream interleave."""
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow._core.reconciliation import AccountBook
from orderflow._core.types import EXECUTION_REPORT_DTYPE, ExecType, Side
from orderflow.instrument import Listing, table
from tests.reference.reconciliation import CONFIRMATIONS, Asset

BASE, QUOTE, FEES = 0, 1, 2
UNIT = 10**18
LISTING = Listing("x", "BTCUSDT", "BTC-USDT", "BTC", "USDT", 2, 3, Decimal("0.01"), Decimal("0.001"))


def book(**more):
    return AccountBook(table([LISTING], ["x"]), [(BASE, QUOTE)], 3, 7, **more)


def fill(number, quantity, price, at, side=Side.BUY, fee=0, fee_asset=QUOTE, fee_decimals=8, order=b"1", asked=False):
    record = np.zeros(1, EXECUTION_REPORT_DTYPE)[0]
    record["exec_type"], record["side"], record["trade_id"] = ExecType.REPORT_FILL, side, number
    record["last_quantity"], record["last_price"], record["exchange_ns"] = quantity, price, at
    record["fee"], record["fee_asset"], record["fee_decimals"] = fee, fee_asset, fee_decimals
    record["exchange_order_id"], record["reconciliation"] = order, asked
    return record


def hear(account, amounts, decimals=8):
    """Amounts in the order of the assets, as whole numbers or decimals."""
    for asset, amount in enumerate(amounts):
        account.hear(asset, int(Decimal(amount).scaleb(decimals)), decimals)


def round_of(account, number, amounts, decimals=8, final=True):
    """A whole round in which nothing else happens: (left, learning), and what it concluded."""
    account.begin_round(number, number)
    hear(account, amounts, decimals)
    found = account.settle(False)
    if found[0] and final:
        found = account.settle(True)
    return found, account.end_round()


# -- one number at a time -------------------------------------------------------------------------------------------

def test_the_first_round_learns_what_there_is_and_fills_explain_what_follows():
    account = book()
    assert round_of(account, 1, (1, 1000, 5)) == ((0, 0), [])
    account.take_fill(fill(1, 2_000, 100_00, 1, fee=5_000_000))     # buys 2.000 at 100.00 for 0.05 in the quote
    account.take_fill(fill(2, 500, 110_00, 2, side=Side.SELL, fee=1, fee_asset=FEES, fee_decimals=0))
    assert round_of(account, 2, ("2.5", "854.95", 4)) == ((0, 0), [])
    assert account.balance(BASE).expected == 25 * UNIT // 10


def test_a_fill_that_is_told_again_counts_once():
    account = book()
    round_of(account, 1, (1, 1000, 0))
    assert account.take_fill(fill(1, 1_000, 100_00, 1)) and not account.take_fill(fill(1, 1_000, 100_00, 1, asked=True))
    assert account.take_fill(fill(1, 1_000, 100_00, 1, order=b"2"))         # one trade, two orders of the account
    assert round_of(account, 2, (3, 800, 0)) == ((0, 0), [])


def test_a_difference_is_concluded_after_three_rounds_and_stands_until_it_is_accepted():
    account = book()
    round_of(account, 1, (1, 1000, 0))
    for number in (2, 3):
        assert round_of(account, number, (1, 1000 + 7, 0)) == ((1, 0), [])
    assert round_of(account, 4, (1, 1007, 0)) == ((1, 0), [QUOTE])
    view = account.balance(QUOTE)
    assert (view.expected, view.told, view.differs) == (1000 * UNIT, 1007 * UNIT, True)
    assert round_of(account, 5, (1, 1000, 0)) == ((0, 0), [])       # whatever it is now: a person is to look
    assert account.balance(QUOTE).differs
    account.accept(QUOTE)
    assert round_of(account, 6, (1, 1007, 0)) == ((0, 0), []) and not account.balance(QUOTE).differs
    assert round_of(account, 7, (1, 1007, 0)) == ((0, 0), [])


def test_an_answer_that_is_right_again_was_no_difference():
    account = book()
    round_of(account, 1, (1, 1000, 0))
    for number in range(2, 20):
        amounts = (1, 1000, 0) if number % 3 == 0 else (1, 1007, 0)
        assert round_of(account, number, amounts)[1] == []


def test_two_wrong_answers_that_need_different_offsets_confirm_nothing():
    account = book()
    round_of(account, 1, (1, 1000, 0))
    for number in range(2, 20):
        assert round_of(account, number, (1, 1000 + number, 0))[1] == []
    assert account.balance(QUOTE).misses == 1


def test_what_an_answer_does_not_name_is_zero():
    account = book()
    round_of(account, 1, (1, 1000, 0))
    concluded = [round_of(account, number, ())[1] for number in (2, 3, 4)]
    assert concluded == [[], [], [BASE, QUOTE]]


def test_what_exchanges_round_is_no_difference_and_does_not_add_up():
    """Every fill is worth 0.333333...; the exchange keeps eight decimals of it and shows four, a thousand times."""
    account = AccountBook(table([Listing("x", "S", "S-T", "S", "T", 8, 8, Decimal("1e-8"), Decimal("1e-8"))], ["x"]),
                          [(0, 1)], 2, 7)
    held = Fraction(1000)
    price, quantity = 33333333, 99999999
    for number in range(1, 1001):
        account.take_fill(fill(number, quantity, price, number))
        held -= Fraction(price * quantity // 10**8, 10**8)
        account.begin_round(number, number)
        account.hear(0, quantity * number, 8)
        account.hear(1, int(held * 10**4), 4)
        assert account.settle(False) == (0, 0), number
        assert account.end_round() == []


def test_a_difference_of_the_last_digit_is_one_where_nothing_was_filled():
    account = book()
    round_of(account, 1, (1, 1000, 0))
    for number in (2, 3, 4):
        concluded = round_of(account, number, ("1.00000001", 1000, 0))[1]
    assert concluded == [BASE]


def test_more_fills_in_a_round_than_are_kept_say_nothing_of_balances():
    account = book()
    round_of(account, 1, (1, 1000, 0))
    account.begin_round(2, 2)
    for number in range(1, 5000):
        account.take_fill(fill(number, 1, 1, number))
    hear(account, (99, 99, 99))
    assert account.settle(True) == (3, 0) and account.end_round() == []
    assert round_of(account, 3, ("5.999", "999.95001", 0)) == ((0, 0), [])


def test_a_fill_that_is_older_than_what_is_remembered_is_known_when_it_is_asked_for():
    account = book()
    round_of(account, 1, (1, 1000, 0))
    for number in range(1, 20_000):
        assert account.take_fill(fill(number, 1, 1, number))
    assert not account.take_fill(fill(10, 1, 1, 10, asked=True))
    assert account.take_fill(fill(20_001, 1, 1, 20_001, asked=True))


# -- however they interleave ------------------------------------------------------------------------------------------

class Exchange:
    """The truth: fills that happened, one after the other, and what was done by hand."""

    def __init__(self):
        self.held = {BASE: Fraction(10), QUOTE: Fraction(10**6)}
        self.fills, self.untold = [], []        # all; those that the stream has still to tell

    def trade(self, quantity, price, side, lost):
        """A fill; `lost`: the private stream does not tell it."""
        number = len(self.fills) + 1
        sign = 1 if side == Side.BUY else -1
        self.held[BASE] += sign * Fraction(quantity, 10**3)
        self.held[QUOTE] -= sign * Fraction(quantity * price, 10**5)
        record = fill(number, quantity, price, number, side)
        self.fills.append(record)
        if not lost:
            self.untold.append(record)


class Desk:
    """Our side, native and twin, driven alike."""

    def __init__(self):
        self.native, self.twins, self.number, self.seen = book(), {BASE: Asset(), QUOTE: Asset()}, 0, set()

    def take(self, record):
        number = int(record["trade_id"])
        assert self.native.take_fill(record) == (number not in self.seen)
        if number in self.seen:
            return
        self.seen.add(number)
        sign = 1 if record["side"] == Side.BUY else -1
        quantity, price = int(record["last_quantity"]), int(record["last_price"])
        self.twins[BASE].take(number, sign * Fraction(quantity, 10**3))
        self.twins[QUOTE].take(number, -sign * Fraction(quantity * price, 10**5))

    def begin(self):
        self.number += 1
        self.native.begin_round(self.number, self.number)
        for twin in self.twins.values():
            twin.begin()

    def hear(self, held):
        for asset, amount in held.items():
            self.native.hear(asset, int(amount * 10**8), 8)
            self.twins[asset].told = amount

    def look(self, final):
        found = [twin.look(final) for twin in self.twins.values()]
        left, learning = self.native.settle(final)
        assert (left, learning) == (found.count("left"), found.count("learning"))
        return left

    def end(self):
        before = {asset for asset, twin in self.twins.items() if twin.differs}
        concluded = {asset for asset, twin in self.twins.items() if twin.end()} - before
        assert set(self.native.end_round()) == concluded
        for asset, twin in self.twins.items():
            view = self.native.balance(asset)
            assert (view.known, view.misses, view.differs) == (twin.offset is not None, twin.misses, twin.differs)
            if twin.offset is not None:
                assert view.expected == twin.expected * UNIT
        return concluded


#: What happens at one of the moments between the steps of a round: fills (quantity, price, side, lost), and how many
#: of those that are on their way the stream tells.
MOMENT = st.tuples(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), st.sampled_from([Side.BUY, Side.SELL]), st.booleans()),
             max_size=2),
    st.integers(0, 3))
#: Moments before the round, before the balances are looked at, before the trades are, before we hear of them, and while
#: the stream has its time.
ROUND = st.tuples(MOMENT, MOMENT, MOMENT, MOMENT, MOMENT)


class Play:
    """Rounds against the truth."""

    def __init__(self):
        self.exchange, self.desk = Exchange(), Desk()

    def happen(self, moment):
        fills, told = moment
        for each in fills:
            self.exchange.trade(*each)
        for _ in range(min(told, len(self.exchange.untold))):
            self.desk.take(self.exchange.untold.pop(0))

    def round(self, moments, by_hand=0):
        """What it concludes. `by_hand`: so much of the base appears before the balances are looked at."""
        before, looking, trading, hearing, waiting = moments
        self.happen(before)
        self.desk.begin()
        self.happen(looking)
        self.exchange.held[BASE] += by_hand
        held = dict(self.exchange.held)
        self.happen(trading)
        rows = list(self.exchange.fills)
        self.desk.hear(held)
        self.happen(hearing)
        for record in rows:
            asked = record.copy()
            asked["reconciliation"] = 1
            self.desk.take(asked)
        if self.desk.look(False):
            self.happen(waiting)
            self.desk.look(True)
        return self.desk.end()


@settings(max_examples=150)
@given(st.lists(ROUND, min_size=1, max_size=12))
def test_scenario_29_no_interleaving_of_fills_and_answers_is_taken_for_a_difference(rounds):
    """The stream tells late and loses some, the answer is of any moment: nothing is concluded, and our tally and the
    exchange's balances are the same when all is told."""
    play = Play()
    for moments in rounds:
        assert play.round(moments) == set()
    quiet = (([], 3),) * 5
    while play.exchange.untold or any(twin.offset is None for twin in play.desk.twins.values()):
        assert play.round(quiet) == set()
    play.round(quiet)                   # fills of the last moment that the stream lost
    for asset, twin in play.desk.twins.items():
        assert twin.expected == play.exchange.held[asset]


@settings(max_examples=150)
@given(st.lists(ROUND, max_size=4), st.lists(ROUND, min_size=8, max_size=8),
       st.integers(-9, 9).filter(bool), st.lists(ROUND, max_size=4))
def test_scenario_29_a_balance_that_no_fill_explains_is_found_whatever_else_happens(before, after, amount, later):
    """Something is taken from the account or put there by hand, between fills that come late and get lost: it is
    concluded in the third round after it at the soonest, in the end for certain, and of that asset alone."""
    play, quiet = Play(), (([], 9),) * 5
    for moments in before:
        play.round(moments)
    while play.exchange.untold or any(twin.offset is None for twin in play.desk.twins.values()):
        play.round(quiet)
    by_hand = Fraction(amount * 1000)                   # no sum of fills
    concluded = [play.round(after[0], by_hand)] + [play.round(moments) for moments in after[1:]]
    while set().union(*concluded) == set():
        concluded.append(play.round(quiet))
        assert len(concluded) < 8 + CONFIRMATIONS + 2
    found = next(place for place, assets in enumerate(concluded) if assets)
    assert concluded[found] == {BASE} and set().union(*concluded) == {BASE} and found >= CONFIRMATIONS - 1
    assert play.exchange.held[BASE] - play.desk.twins[BASE].expected == by_hand + sum(
        (Fraction(int(each["last_quantity"]) * (1 if each["side"] == Side.BUY else -1), 10**3)
         for each in play.exchange.fills if int(each["trade_id"]) not in play.desk.seen), Fraction(0))
    play.desk.native.accept(BASE)
    play.desk.twins[BASE].accept()
    for moments in [*later, quiet, quiet, quiet]:
        assert play.round(moments) == set()


def test_an_account_book_says_what_is_wrong_with_its_arguments():
    with pytest.raises(ValueError, match="1 entries for a table of 2 listings"):
        AccountBook(table([LISTING, LISTING], ["x"]), [(0, 1)], 2, 7)
    with pytest.raises(IndexError, match="asset 3 is not one of 3"):
        book().balance(3)
