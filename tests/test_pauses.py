"""A listing that its exchange halts, or where we have no funds, drops out by the exchange's own word and comes back by
itself."""
import pytest

from orderflow._core.decision_log import LeftOut
from orderflow._core.types import Algorithm, ExecType, Reason, Side
from tests.deciding import Deciding, listing

ALPHA, BETA = 0, 1
SECOND_NS = 10**9
LISTINGS = (listing("alpha", 0, 0, taker_fee="0.001"), listing("beta", 0, 0, taker_fee="0.002"))


@pytest.fixture
def desk(tmp_path):
    with Deciding(tmp_path, LISTINGS) as made:
        made.show(BETA, [(99, 50)], [(103, 50)])
        made.show(ALPHA, [(99, 50)], [(101, 50)])
        yield made


def bought(desk):
    """Where an order goes, after both books have changed; no two are of one size, which would be a repetition."""
    for index, ask in ((BETA, 103), (ALPHA, 101)):
        desk.show(index, [(99, 50)], [(ask, 50)])
    return desk.submit(Side.BUY, 5 + desk.parents % 40)


def halted(desk, order):
    """The exchange refuses it for that reason; the orders that follow."""
    return desk.report(order, ExecType.REPORT_REJECTED, Reason.LISTING_HALTED)


def poor(desk, order):
    """The exchange says that the account has not enough; the orders that follow."""
    return desk.report(order, ExecType.REPORT_REJECTED, Reason.INSUFFICIENT_FUNDS)


def refused_once(desk, why):
    """An order to alpha is refused, and given up."""
    order, = bought(desk)
    assert order["listing"] == ALPHA
    why(desk, order)
    desk.clear()


def test_what_a_halted_listing_refuses_goes_elsewhere_and_so_does_what_comes_after_it(desk):
    order, = bought(desk)
    assert order["listing"] == ALPHA
    again, = halted(desk, order)
    assert again["listing"] == BETA and again["quantity"] == order["quantity"]
    desk.report(again, ExecType.REPORT_CANCELED)
    desk.clear()
    order, = bought(desk)
    assert order["listing"] == BETA
    assert desk.decisions()[-1].parts["left_out"][ALPHA] == LeftOut.HALTED_LISTING


def test_it_is_tried_with_one_order_and_after_twice_the_time_again(desk):
    pause = SECOND_NS
    order, = bought(desk)
    for _ in range(9):
        halted(desk, order)
        desk.clear()
        desk.now_ns += pause - 20 * 10**6
        order, = bought(desk)
        assert order["listing"] == BETA
        desk.clear()
        desk.now_ns += 30 * 10**6
        order, = bought(desk)
        assert order["listing"] == ALPHA
        pause = min(2 * pause, 64 * SECOND_NS)


def test_after_a_halt_it_gets_one_order_after_the_other(desk):
    refused_once(desk, halted)
    desk.now_ns += SECOND_NS
    order, = bought(desk)
    other, = bought(desk)
    assert (order["listing"], other["listing"]) == (ALPHA, BETA)


def test_the_first_order_that_it_takes_brings_it_back(desk):
    refused_once(desk, halted)
    desk.now_ns += SECOND_NS
    order, = bought(desk)
    desk.report(order, ExecType.REPORT_FILL, trade_id=1, last_price=101,
                last_quantity=order["quantity"], cumulative_quantity=order["quantity"])
    order, = bought(desk)
    assert order["listing"] == ALPHA
    halted(desk, order)                             # and the next halt begins with a second again
    desk.clear()
    desk.now_ns += SECOND_NS
    order, = bought(desk)
    assert order["listing"] == ALPHA


def sold(desk):
    """Where a sale goes, after both books have changed."""
    for index, bid in ((BETA, 98), (ALPHA, 99)):
        desk.show(index, [(bid, 50)], [(103 if index == BETA else 101, 50)])
    return desk.submit(Side.SELL, 5 + desk.parents % 40)


def test_without_funds_to_buy_only_sales_go_there(desk):
    order, = bought(desk)
    again, = poor(desk, order)
    assert (order["listing"], again["listing"]) == (ALPHA, BETA)
    desk.report(again, ExecType.REPORT_CANCELED)
    desk.clear()
    order, = bought(desk)
    assert order["listing"] == BETA and desk.decisions()[-1].parts["left_out"][ALPHA] == LeftOut.NO_FUNDS
    desk.clear()
    order, = sold(desk)
    assert order["listing"] == ALPHA


def test_a_sale_there_brings_funds(desk):
    refused_once(desk, poor)
    order, = sold(desk)
    desk.report(order, ExecType.REPORT_FILL, trade_id=1, last_price=99, last_quantity=order["quantity"],
                cumulative_quantity=order["quantity"])
    order, = bought(desk)
    assert order["listing"] == ALPHA


def test_funds_that_come_from_elsewhere_are_noticed(desk):
    refused_once(desk, poor)
    desk.now_ns += SECOND_NS
    order, = bought(desk)
    assert order["listing"] == ALPHA
    poor(desk, order)
    desk.clear()
    desk.now_ns += SECOND_NS
    order, = bought(desk)
    assert order["listing"] == BETA                 # two seconds this time


def test_what_was_under_way_when_it_was_halted_makes_the_pause_no_longer(desk):
    """Orders of several parents rest there; all that came too late are refused, for one and the same halt."""
    orders = [desk.submit(Side.BUY, 5 + size, limit=90 - size, allowed=1, algorithm=Algorithm.RESTING)[0]
              for size in range(4)]
    for order in orders:
        halted(desk, order)
    desk.now_ns += SECOND_NS
    order, = bought(desk)
    assert order["listing"] == ALPHA


def test_that_an_order_was_sent_says_nothing_of_a_halt(desk):
    """Until the exchange answers the one that is tried, no other goes there."""
    refused_once(desk, halted)
    desk.now_ns += SECOND_NS
    desk.show(ALPHA, [(99, 50)], [(101, 50)])
    tried, = desk.submit(Side.BUY, 5, limit=90, allowed=1, algorithm=Algorithm.RESTING)
    desk.report(tried, ExecType.REPORT_SENT)
    other, = bought(desk)
    assert other["listing"] == BETA
    desk.report(other, ExecType.REPORT_FILL, trade_id=1, last_price=103, last_quantity=other["quantity"],
                cumulative_quantity=other["quantity"])
    desk.report(tried, ExecType.REPORT_NEW)
    other, = bought(desk)
    assert other["listing"] == ALPHA
