"""Message rates, parent orders that repeat themselves, and strategies that are halted because they go in circles."""
import pytest

from orderflow._core.orders import Orders
from orderflow._core.risk import RiskBook
from orderflow._core.types import PARENT_ORDER_DTYPE, ExecType, Reason, Side, TradingState
from tests.risk_desk import EPOCH, Desk, listings, record

SECOND_NS = 10**9


@pytest.mark.parametrize("whose, code", [("total", Reason.MESSAGE_RATE_EXCEEDED),
                                         ("strategy", Reason.STRATEGY_RATE_EXCEEDED)])
def test_a_fifth_of_the_messages_is_kept_for_cancels(whose, code):
    desk = Desk()
    limit = (10, 10 * SECOND_NS)
    if whose == "total":
        desk.risk.set_messages(limit)
    else:
        desk.risk.set_strategy(0, messages=limit)
    found = [desk.send(now_ns=1, quantity=1_000)[1] for _ in range(9)]
    assert [one.code for one in found] == [Reason.OK] * 8 + [code]
    assert found[-1] == (code, 8, 9)
    for _ in range(15):                             # cancels are counted, and never refused
        desk.risk.count_cancel(0, 1)
    desk.risk.set_reference(0, 10_000, 20 * SECOND_NS)
    # 23 messages: 13 owed, of which no more than ten are, and 20 s earn 20
    assert desk.send(now_ns=20 * SECOND_NS, quantity=1_000)[1].code == Reason.OK


def test_cancels_delay_new_orders():
    desk = Desk()
    desk.risk.set_messages((10, 10 * SECOND_NS))
    for _ in range(20):
        desk.risk.count_cancel(0, 1)
    for second, code in ((12, Reason.MESSAGE_RATE_EXCEEDED), (14, Reason.OK)):
        desk.risk.set_reference(0, 10_000, second * SECOND_NS)
        assert desk.send(now_ns=second * SECOND_NS, quantity=1_000)[1].code == code


def test_a_refused_order_takes_no_token():
    desk = Desk()
    desk.risk.set_messages((5, SECOND_NS))
    for _ in range(20):
        assert desk.send(now_ns=1, price=20_000)[1].code == Reason.PRICE_OUTSIDE_COLLAR
    assert desk.send(now_ns=1, quantity=1_000)[1].code == Reason.OK


# -- repeats ---------------------------------------------------------------------------------------------------------


class Arrivals:
    """Parent orders as they come to the router."""

    def __init__(self, **limits):
        self.orders, self.risk = Orders(listings(), EPOCH, parents=256), RiskBook(listings(), strategies=2)
        for strategy in (0, 1):
            self.risk.set_strategy(strategy, **limits)
        self.count = 0

    def take(self, now_ns, **fields):
        """DecisionView of one; an accepted one is remembered."""
        self.count += 1
        fields = {"side": Side.BUY, "quantity": 1_000, "limit_price": 10_000} | fields
        slot = self.orders.open_parent(record(PARENT_ORDER_DTYPE, parent_id=self.count, **fields))
        decision = self.risk.check_parent(self.orders, slot, now_ns)
        if decision.code == Reason.OK:
            self.risk.register_parent(self.orders, slot, now_ns)
        return decision


def test_the_same_decision_twice_is_a_mistake():
    arrivals = Arrivals(repeat_ns=SECOND_NS)
    assert arrivals.take(1).code == Reason.OK
    assert arrivals.take(SECOND_NS) == (Reason.REPEATED_ORDER, SECOND_NS, SECOND_NS - 1)
    assert arrivals.take(SECOND_NS + 1).code == Reason.OK       # the refused one does not count
    assert arrivals.take(SECOND_NS + 2).code == Reason.REPEATED_ORDER


@pytest.mark.parametrize("other", [{"side": Side.SELL}, {"quantity": 1_001}, {"limit_price": 0}, {"listings": 1},
                                   {"strategy": 1}])
def test_another_decision_is_none(other):
    arrivals = Arrivals(repeat_ns=SECOND_NS)
    arrivals.take(1)
    assert arrivals.take(2, **other).code == Reason.OK
    assert arrivals.take(3, **other).code == Reason.REPEATED_ORDER
    assert arrivals.take(3).code == Reason.REPEATED_ORDER       # also behind others


def test_without_a_window_nothing_is_a_repeat():
    arrivals = Arrivals()
    assert {arrivals.take(1).code for _ in range(5)} == {Reason.OK}


def test_a_strategy_that_there_is_not():
    assert Arrivals().take(1, strategy=2) == (Reason.UNKNOWN_STRATEGY, 2, 2)
    assert Desk().send(strategy=1)[1] == (Reason.UNKNOWN_STRATEGY, 1, 1)


# -- circles ---------------------------------------------------------------------------------------------------------


def filled(desk, now_ns, trade_id, **fields):
    """Send an order and fill it in two trades."""
    slot, decision = desk.send(now_ns=now_ns, quantity=1_000, **fields)
    if slot is not None:
        desk.fill(slot, 400, 2 * trade_id, receive_ns=now_ns)
        desk.fill(slot, 600, 2 * trade_id + 1, receive_ns=now_ns)
    return decision


def test_too_many_filled_orders_halt_their_strategy_until_it_is_armed_again():
    desk = Desk(strategies=2)
    desk.risk.set_strategy(0, fills=(3, SECOND_NS))
    assert [filled(desk, step, step).code for step in range(1, 5)] == [Reason.OK] * 4
    assert desk.risk.strategy(0) == (TradingState.HALTED, Reason.FILLS_TOO_FREQUENT)
    desk.risk.set_reference(0, 10_000, 5 * SECOND_NS)
    assert filled(desk, 5 * SECOND_NS, 5) == (Reason.FILLS_TOO_FREQUENT, 3, 4)      # time does not heal it
    assert filled(desk, 5 * SECOND_NS, 6, strategy=1).code == Reason.OK             # and others do not notice
    desk.risk.set_strategy_state(0, TradingState.ACTIVE)
    assert filled(desk, 5 * SECOND_NS, 7).code == Reason.OK


def test_one_order_that_sweeps_many_levels_is_one_decision():
    desk = Desk()
    desk.risk.set_strategy(0, fills=(1, SECOND_NS))
    slot, _ = desk.send(now_ns=1)
    for trade in range(60):
        desk.fill(slot, 100, trade + 1, receive_ns=1)
    assert desk.risk.strategy(0).state == TradingState.ACTIVE


def test_orders_far_enough_apart_are_not_too_many():
    desk = Desk()
    desk.risk.set_strategy(0, fills=(2, 10))
    assert [filled(desk, 5 * step, step).code for step in range(1, 12)] == [Reason.OK] * 11


@pytest.mark.parametrize("reason, state", [(Reason.EXCHANGE_RULE, TradingState.HALTED),
                                           (Reason.POST_ONLY_WOULD_TAKE, TradingState.ACTIVE)])
def test_too_many_rejects(reason, state):
    desk = Desk()
    desk.risk.set_strategy(0, rejects=(2, 10 * SECOND_NS))
    for _ in range(3):
        slot, _ = desk.send(now_ns=1, quantity=1_000)
        desk.report(slot, ExecType.REPORT_REJECTED, reason=reason)
        desk.report(slot, ExecType.REPORT_REJECTED, reason=reason)          # told twice, counted once
    assert desk.risk.strategy(0).state == state


def test_a_strategy_is_halted_and_reduced_by_hand():
    desk = Desk(strategies=2)
    filled(desk, 1, 1)
    desk.risk.set_strategy_state(0, TradingState.REDUCING)
    assert desk.send(now_ns=1, quantity=1_000)[1] == (Reason.STRATEGY_REDUCING, 0, 1_000)
    assert desk.send(now_ns=1, quantity=1_010, side=Side.SELL)[1] == (Reason.STRATEGY_REDUCING, 1_000, 1_010)
    assert desk.send(now_ns=1, quantity=1_000, side=Side.SELL)[1].code == Reason.OK
    assert desk.send(now_ns=1, quantity=1_000, strategy=1)[1].code == Reason.OK
    desk.risk.set_strategy_state(0, TradingState.HALTED)
    assert desk.send(now_ns=1, quantity=1_000)[1] == (Reason.STRATEGY_HALTED, TradingState.ACTIVE, TradingState.HALTED)
