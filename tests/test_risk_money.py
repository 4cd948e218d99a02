"""Capital in use, and losses: who lost too much may only reduce, until somebody says otherwise."""
import numpy as np
import pytest

from orderflow._core import client_id
from orderflow._core.orders import Orders
from orderflow._core.risk import RiskBook
from orderflow._core.types import LISTING_DTYPE, BookState, ExecType, OrderType, Reason, Side, TradingState
from tests.risk_desk import UNLIMITED, Desk, listings

SECOND_NS = 10**9
UNIT = 10**5                        # money of the desk's instrument: cents times thousandths


def two_exchanges(**fields):
    return Desk(listings(exchange=[0, 1], **fields), strategies=2)


# -- capital ---------------------------------------------------------------------------------------------------------


def test_capital_is_what_everything_would_be_worth_on_the_worse_side():
    desk = two_exchanges()
    slot, _ = desk.send(quantity=4_000)                                     # 400 to buy on one exchange
    desk.send(quantity=300, price=1_000, listing=1, side=Side.SELL)         # 300 to sell on the other
    assert [desk.risk.money("exchange", place).used for place in (0, 1)] == [400 * UNIT, 300 * UNIT]
    assert desk.risk.money("total").used == 700 * UNIT
    assert desk.risk.money("strategy", 0).used == 400 * UNIT                # the strategy nets over exchanges
    desk.fill(slot, 1_000, 1)
    desk.report(slot, ExecType.REPORT_CANCELED)
    assert desk.risk.money("total").used == 400 * UNIT
    desk.risk.set_reference(0, 10_100, 1)
    assert desk.risk.money("total").used == 404 * UNIT


@pytest.mark.parametrize("what, place, code", [
    ("total", 0, Reason.CAPITAL_EXCEEDED), ("exchange", 0, Reason.EXCHANGE_CAPITAL_EXCEEDED),
    ("strategy", 0, Reason.STRATEGY_CAPITAL_EXCEEDED)])
def test_no_more_than_the_limit_is_used_what_is_in_doubt_included(what, place, code):
    desk = two_exchanges()
    desk.money(what, place, maximum_used=500)
    slot, _ = desk.send(quantity=4_000)
    desk.report(slot, ExecType.REPORT_SENT)
    desk.report(slot, ExecType.REPORT_IN_DOUBT)
    assert desk.send(quantity=1_010)[1] == (code, 500 * UNIT, 501 * UNIT)
    assert desk.send(quantity=1_000)[1].code == Reason.OK
    assert desk.send(quantity=4_000, side=Side.SELL)[1].code == Reason.OK   # the other side needs no more


def test_other_exchanges_and_strategies_have_limits_of_their_own():
    desk = two_exchanges()
    desk.money("exchange", 0, maximum_used=100)
    desk.money("strategy", 0, maximum_used=100)
    assert desk.send(quantity=200, price=1_000, listing=1, strategy=1)[1].code == Reason.OK


def test_closing_a_position_is_never_refused_for_capital():
    desk = two_exchanges()
    slot, _ = desk.send(quantity=9_000)
    desk.fill(slot, 9_000, 1)
    desk.money("total", 0, maximum_used=1)
    assert desk.send(quantity=1_000)[1].code == Reason.CAPITAL_EXCEEDED
    assert desk.send(quantity=9_000, side=Side.SELL)[1].code == Reason.OK


def test_what_has_not_been_said_may_not_be_used():
    desk = Desk()
    desk.risk.set_money("total", 0, 0, maximum_used=0)
    assert desk.send()[1] == (Reason.CAPITAL_EXCEEDED, 0, 1_000 * UNIT)
    bare = RiskBook(desk.listings)
    assert bare.money("total")[1] == bare.money("total").maximum_loss == 0


def test_one_order_of_a_strategy_may_be_worth_so_much():
    desk = Desk(strategies=2)
    desk.money("strategy", 0, maximum_notional=500)
    assert desk.send(quantity=5_010)[1] == (Reason.STRATEGY_NOTIONAL_EXCEEDED, 500 * UNIT, 501 * UNIT)
    assert desk.send(quantity=5_000)[1].code == Reason.OK
    assert desk.send(quantity=5_010, price=0, order_type=OrderType.MARKET)[1].code == Reason.STRATEGY_NOTIONAL_EXCEEDED
    assert desk.send(quantity=5_010, strategy=1)[1].code == Reason.OK


def test_currencies_are_never_added_up_and_scales_are():
    """Three instruments: two of one currency with scales of 5 and 2 + 1 decimals, one of another."""
    table = np.zeros(3, LISTING_DTYPE)
    table["instrument"], table["index"] = [0, 1, 2], [0, 1, 2]
    table["tick"] = table["lot"] = table["price_factor"] = table["quantity_factor"] = 1
    table["price_decimals"], table["quantity_decimals"] = [2, 2, 0], [3, 1, 0]
    risk = RiskBook(table, currencies=[0, 0, 1])
    assert risk.money_decimals == [5, 0] and [risk.money_decimals_of(i) for i in range(3)] == [5, 5, 0]
    desk = Desk(table)
    desk.risk = risk
    for listing in range(3):
        risk.set_listing(listing, maximum_quantity=10**9, maximum_notional=10**20)
        risk.set_instrument(listing, maximum_position=10**9, collar=2_000_000, reference_age_ns=SECOND_NS)
        risk.set_feed(listing, BookState.LIVE, 0)
        risk.set_reference(listing, 10_000, 0)
    for currency in (0, 1):
        risk.set_money("total", 0, currency, maximum_used=UNLIMITED, maximum_loss=UNLIMITED)
    risk.state = TradingState.ACTIVE
    orders = Orders(table, 1)
    assert orders.parents() == []
    for listing, used in ((0, (10_000 * 7, 0)), (1, (10_000 * 7 + 10_000 * 7 * 100, 0)),
                          (2, (10_000 * 7 + 10_000 * 7 * 100, 70_000))):
        slot = take(desk, risk, orders, listing)
        assert risk.check(orders, slot, 0).code == Reason.OK
        assert tuple(risk.money("total", 0, currency).used for currency in (0, 1)) == used


def take(desk, risk, orders, listing):
    """Slot of a child for 7 on that listing, of a parent of its own."""
    from orderflow._core.types import CHILD_ORDER_DTYPE, PARENT_ORDER_DTYPE
    from tests.risk_desk import record

    parent = orders.open_parent(record(PARENT_ORDER_DTYPE, parent_id=listing + 1, side=Side.BUY, quantity=7,
                                       instrument=listing))
    risk.register_parent(orders, parent)
    return orders.open_child(record(
        CHILD_ORDER_DTYPE, client_order_id=client_id.first_of(1) + listing, parent_id=listing + 1, side=Side.BUY,
        quantity=7, price=10_000, listing=listing, order_type=OrderType.LIMIT))


# -- loss ------------------------------------------------------------------------------------------------------------


def bought(desk, quantity=10_000, price=10_000, now_ns=1, **fields):
    slot, decision = desk.send(now_ns=now_ns, quantity=quantity, price=price, **fields)
    assert decision.code == Reason.OK
    desk.fill(slot, quantity, desk.count, price=price, receive_ns=now_ns)


def test_profit_is_realised_and_unrealised_with_fees():
    desk = two_exchanges(taker_fee=[100_000, 0])                    # 10 bps and nothing
    bought(desk)                                                    # 1000 and 1 of fees
    assert desk.risk.money("total").profit == -1 * UNIT
    desk.risk.set_reference(0, 10_100, 2)
    assert desk.risk.money("strategy", 0).profit == 9 * UNIT
    slot, _ = desk.send(now_ns=2, side=Side.SELL, listing=1, price=1_010, quantity=1_000)
    desk.fill(slot, 1_000, 99, price=1_010, receive_ns=2)
    desk.risk.set_reference(0, 5_000, 3)                            # flat: no longer of interest
    assert desk.risk.money("total").profit == desk.risk.money("strategy", 0).profit == 9 * UNIT
    assert desk.risk.money("strategy", 1).profit == 0


@pytest.mark.parametrize("what, code", [("total", Reason.LOSS_EXCEEDS_MAXIMUM),
                                        ("strategy", Reason.STRATEGY_LOSS_EXCEEDED)])
def test_who_lost_too_much_may_only_reduce_until_armed_again(what, code):
    desk = two_exchanges()
    desk.money(what, 0, maximum_loss=20, stand_ns=SECOND_NS)
    bought(desk)
    desk.risk.set_reference(0, 9_800, 2)
    assert desk.send(now_ns=2, price=9_800, quantity=1_000)[1].code == Reason.OK        # 20 are allowed
    desk.risk.set_reference(0, 9_790, 3)
    assert desk.send(now_ns=3, price=9_790, quantity=1_000)[1] == (code, 20 * UNIT, 21 * UNIT)
    assert desk.risk.money(what).tripped == Reason.OK               # it has not stood for a second yet
    desk.risk.set_reference(0, 9_790, 3 + SECOND_NS)
    assert desk.risk.money(what).tripped == Reason.LOSS_EXCEEDS_MAXIMUM
    desk.risk.set_reference(0, 10_000, 4 + SECOND_NS)               # the market comes back; the limit does not
    assert desk.send(now_ns=4 + SECOND_NS, quantity=1_000)[1] == (code, 20 * UNIT, 21 * UNIT)
    assert desk.send(now_ns=4 + SECOND_NS, quantity=10_000, side=Side.SELL)[1].code == Reason.OK
    if what == "total":
        desk.risk.rearm_total()
    else:
        desk.risk.set_strategy_state(0, TradingState.ACTIVE)
    assert desk.send(now_ns=4 + SECOND_NS, quantity=1_000)[1].code == Reason.OK


def test_another_strategy_is_not_touched():
    desk = two_exchanges()
    desk.money("strategy", 0, maximum_loss=1)
    bought(desk)
    desk.risk.set_reference(0, 9_900, 2)
    assert desk.send(now_ns=2, price=9_900, quantity=1_000)[1].code == Reason.STRATEGY_LOSS_EXCEEDED
    assert desk.send(now_ns=2, price=9_900, quantity=1_000, strategy=1)[1].code == Reason.OK


def test_one_bad_quote_trips_nothing():
    desk = two_exchanges()
    desk.money("total", 0, maximum_loss=20, stand_ns=SECOND_NS)
    bought(desk)
    for step in range(10):                                          # bad, good, bad, good: never bad for a second
        desk.risk.set_reference(0, 5_000 if step % 2 == 0 else 10_000, 2 + step * SECOND_NS // 2)
    assert desk.risk.money("total").tripped == Reason.OK
    assert desk.send(now_ns=2 + 9 * SECOND_NS // 2, quantity=1_000)[1].code == Reason.OK


def test_a_mark_that_has_grown_old_trips_nothing():
    """The book dies while the position is under water: what adds is refused, and nothing trips for good."""
    table = np.concatenate([listings(), listings()])
    table["index"], table["instrument"] = range(4), [0, 0, 1, 1]
    desk = Desk(table)
    for listing in (2, 3):
        desk.risk.set_listing(listing, maximum_quantity=10**6, maximum_notional=10**12)
        desk.risk.set_feed(listing, BookState.LIVE, 0)
    desk.risk.set_instrument(1, maximum_position=10**6, collar=2_000_000, reference_age_ns=SECOND_NS)
    desk.money("total", 0, maximum_loss=20, stand_ns=SECOND_NS)
    bought(desk)
    desk.risk.set_reference(0, 9_700, 2)                            # and never again
    for second in range(2, 6):                                      # another instrument's lives on
        desk.risk.set_reference(1, 10_000, second * SECOND_NS)
        slot, decision = desk.send_on(1, now_ns=second * SECOND_NS)
        assert (slot, decision.code) == (None, Reason.LOSS_EXCEEDS_MAXIMUM)
    assert desk.risk.money("total").tripped == Reason.OK
    desk.risk.set_reference(0, 10_000, 7 * SECOND_NS)
    desk.risk.set_reference(1, 10_000, 7 * SECOND_NS)
    assert desk.send_on(1, now_ns=7 * SECOND_NS)[1].code == Reason.OK


def test_drawdown_is_from_a_peak_that_stood():
    desk = two_exchanges()
    desk.money("strategy", 0, maximum_drawdown=30, stand_ns=SECOND_NS)
    bought(desk)
    for now_ns, price in ((2, 10_500), (3, 10_100), (3 + SECOND_NS, 10_100), (3 + 2 * SECOND_NS, 10_100)):
        desk.risk.set_reference(0, price, now_ns)
    assert desk.risk.money("strategy", 0).peak == 10 * UNIT         # 50 was gone after a nanosecond
    now_ns = 4 + 2 * SECOND_NS
    desk.risk.set_reference(0, 9_800, now_ns)
    assert desk.send(now_ns=now_ns, price=9_800, quantity=1_000)[1].code == Reason.OK
    desk.risk.set_reference(0, 9_790, now_ns)
    assert desk.send(now_ns=now_ns, price=9_790, quantity=1_000)[1] == (
        Reason.STRATEGY_DRAWDOWN_EXCEEDED, 30 * UNIT, 31 * UNIT)
    desk.risk.set_reference(0, 9_790, now_ns + SECOND_NS)
    assert desk.risk.money("strategy", 0).tripped == Reason.DRAWDOWN_EXCEEDS_MAXIMUM


def test_a_realised_loss_stops_who_is_flat():
    desk = two_exchanges()
    desk.money("total", 0, maximum_loss=5)
    bought(desk)
    slot, _ = desk.send(now_ns=2, side=Side.SELL, price=9_900)
    desk.fill(slot, 10_000, 99, price=9_900, receive_ns=2)
    assert desk.send(now_ns=3, quantity=1_000)[1] == (Reason.LOSS_EXCEEDS_MAXIMUM, 5 * UNIT, 10 * UNIT)
    assert desk.risk.money("total").tripped == Reason.LOSS_EXCEEDS_MAXIMUM


def test_amounts_too_large_to_count_are_held_at_the_edge():
    huge = listings(tick=1, lot=1, minimum_quantity=0, minimum_notional=0, price_factor=1, quantity_factor=1,
                    maximum_quantity=0, price_decimals=8, quantity_decimals=8)
    limits = dict(maximum_quantity=2**62, maximum_notional=2**90 * 10**8, maximum_position=2**62, collar=2_000_000,
                  reference_age_ns=1, reference=(2**60, 0))
    desk = Desk(huge, limits=limits, parent_quantity=2**62)
    assert desk.send(price=2**60, quantity=2**61)[1].code == Reason.OK
    assert desk.risk.money("total").used == 2**118
    desk.risk.set_reference(0, 1, 1)
    assert desk.risk.money("total").used == 2**61
