"""The collar around where the price was a minute ago."""
import pytest

from orderflow._core.types import OrderType, Reason, Side
from tests.risk_desk import Desk

WINDOW_NS = 60 * 10**9
SECOND_NS = 10**9


def desk():
    """A collar of 2 % around the reference price and of 5 % around that of a minute ago; at first 100.00."""
    return Desk(drift_collar=5_000_000, drift_window_ns=WINDOW_NS)


def walk(book, prices, begin_s=1):
    """A reference price a second; the time after the last one."""
    for second, price in enumerate(prices, begin_s):
        book.risk.set_reference(0, price, second * SECOND_NS)
    return (begin_s + len(prices) - 1) * SECOND_NS


def test_buying_our_way_up_is_stopped_though_every_step_is_small():
    book = desk()
    now_ns = walk(book, [10_000 + 20 * step for step in range(1, 21)])     # 4 % in 20 s
    assert book.send(now_ns=now_ns, price=10_500)[1].code == Reason.OK
    assert book.send(now_ns=now_ns, price=10_505)[1] == (Reason.PRICE_DRIFTED, 10_500, 10_505)
    assert book.send(now_ns=now_ns, price=10_195, side=Side.SELL)[1].code == Reason.OK


def test_selling_our_way_down_as_well():
    book = desk()
    now_ns = walk(book, [10_000 - 20 * step for step in range(1, 26)])
    assert book.send(now_ns=now_ns, price=9_500, side=Side.SELL)[1].code == Reason.OK
    assert book.send(now_ns=now_ns, price=9_495, side=Side.SELL)[1] == (Reason.PRICE_DRIFTED, 9_500, 9_495)


def test_a_market_that_moved_by_itself_is_followed_after_the_window():
    book = desk()
    now_ns = walk(book, [11_000] * 10)
    assert book.send(now_ns=now_ns, price=11_000)[1].code == Reason.PRICE_DRIFTED
    now_ns = walk(book, [11_000] * 51, begin_s=11)             # 61 s: 11 000 has been true for a minute
    assert book.send(now_ns=now_ns, price=11_000)[1].code == Reason.OK


def test_a_market_order_counts_as_the_reference_price():
    book = desk()
    now_ns = walk(book, [10_510])
    assert book.send(now_ns=now_ns, price=0, quantity=1_000, order_type=OrderType.MARKET)[1] == (
        Reason.PRICE_DRIFTED, 10_500, 10_510)


@pytest.mark.parametrize("step_ns", [10**7, 10**9, 7_300_000_000])
def test_the_ring_reaches_back_further_than_the_window(step_ns):
    """The price rises by 0.10 a second for three minutes, told often or seldom, and nobody asks before the end: the
    bound is around what it was a minute ago, give or take a sample."""
    book = desk()
    for now_ns in range(step_ns, 3 * WINDOW_NS + 1, step_ns):
        book.risk.set_reference(0, 10_000 + 10 * now_ns // SECOND_NS, now_ns)
    decision = book.send(now_ns=now_ns, price=11_790, quantity=1_000)[1]
    assert decision.code == Reason.PRICE_DRIFTED
    ago = 10_000 + 10 * (now_ns - WINDOW_NS) / SECOND_NS
    assert ago - 10 * max(1.0, step_ns / SECOND_NS) - 2 <= decision.limit / 1.05 <= ago
