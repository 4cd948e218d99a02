"""No trade with ourselves, and no order twice."""
import pytest

from orderflow._core.types import ExecType, OrderType, Reason, Side, TimeInForce
from tests.risk_desk import Desk

SMALL = {"quantity": 1_000, "time_in_force": TimeInForce.GTC}


def test_an_order_that_would_meet_our_own_is_refused():
    desk = Desk(strategies=2)
    resting, _ = desk.send(side=Side.SELL, price=10_050, **SMALL)
    assert desk.send(price=10_045, **SMALL)[1].code == Reason.OK
    assert desk.send(price=10_050, strategy=1, **SMALL)[1] == (Reason.SELF_TRADE, 10_050, 10_050)
    assert desk.send(price=0, order_type=OrderType.MARKET, quantity=1_000)[1] == (Reason.SELF_TRADE, 10_050, 0)
    desk.report(resting, ExecType.REPORT_SENT)
    desk.report(resting, ExecType.REPORT_IN_DOUBT)
    assert desk.send(price=10_050, **SMALL)[1].code == Reason.SELF_TRADE        # nobody knows that it is gone
    desk.report(resting, ExecType.REPORT_CANCELED)
    assert desk.send(price=10_050, **SMALL)[1].code == Reason.OK


def test_the_other_way_round():
    desk = Desk()
    desk.send(price=9_950, **SMALL)
    assert desk.send(side=Side.SELL, price=9_950, **SMALL)[1] == (Reason.SELF_TRADE, 9_950, 9_950)
    assert desk.send(side=Side.SELL, price=9_955, **SMALL)[1].code == Reason.OK


@pytest.mark.parametrize("time_in_force", [TimeInForce.IOC, TimeInForce.FOK])
def test_what_never_rests_is_met_by_nothing(time_in_force):
    desk = Desk()
    desk.send(side=Side.SELL, price=10_050, quantity=1_000, time_in_force=time_in_force)
    assert desk.send(price=10_050, **SMALL)[1].code == Reason.OK


def test_on_another_exchange_it_is_no_trade_with_ourselves():
    desk = Desk()
    desk.send(side=Side.SELL, price=1_005, quantity=100, listing=1, time_in_force=TimeInForce.GTC)
    assert desk.send(price=10_050, **SMALL)[1].code == Reason.OK


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]])
def test_the_best_of_many_is_known_whichever_ends(order):
    desk = Desk()
    asks = [10_050, 10_060, 10_070]
    slots = [desk.send(side=Side.SELL, price=price, **SMALL)[0] for price in asks]
    left = dict(zip(slots, asks, strict=True))
    for place in order:
        best = min(left.values())
        assert desk.send(price=10_100, **SMALL)[1] == (Reason.SELF_TRADE, best, 10_100)
        if place % 2:
            desk.fill(slots[place], 1_000, place + 1, price=asks[place])
        else:
            desk.report(slots[place], ExecType.REPORT_CANCELED)
        del left[slots[place]]
    assert desk.send(price=10_100, **SMALL)[1].code == Reason.OK


def test_a_child_is_no_duplicate_of_one_that_has_ended():
    """The router sends the remainder of a parent again, and rightly."""
    desk = Desk(strategies=2)
    for strategy in (0, 1):
        desk.risk.set_strategy(strategy, repeat_ns=10**9)
    slot, _ = desk.send(now_ns=1, **SMALL)
    assert desk.send(now_ns=10**9, **SMALL)[1] == (Reason.REPEATED_ORDER, 10**9, 10**9 - 1)
    assert desk.send(now_ns=10**9, price=9_995, **SMALL)[1].code == Reason.OK
    assert desk.send(now_ns=10**9, quantity=1_010, time_in_force=TimeInForce.GTC)[1].code == Reason.OK
    assert desk.send(now_ns=10**9, strategy=1, **SMALL)[1].code == Reason.OK
    desk.report(slot, ExecType.REPORT_EXPIRED)
    again, _ = desk.send(now_ns=10**9, **SMALL)
    assert again is not None
    desk.risk.release(desk.orders, again)                   # the journal did not take it
    assert desk.send(now_ns=10**9, **SMALL)[1].code == Reason.OK


def test_after_the_window_it_is_a_decision_of_its_own():
    desk = Desk()
    desk.risk.set_strategy(0, repeat_ns=10**8)
    desk.send(now_ns=1, **SMALL)
    assert desk.send(now_ns=10**8 + 1, **SMALL)[1].code == Reason.OK
