"""The order table against its slow twin, and the sequences that have cost others money."""
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow._core import client_id
from orderflow._core.order_table import OutcomeFlag
from orderflow._core.orders import Orders, Refused
from orderflow._core.types import (
    CHILD_ORDER_DTYPE,
    EXECUTION_REPORT_DTYPE,
    LISTING_DTYPE,
    PARENT_ORDER_DTYPE,
    ExecType,
    OrderStatus,
    ParentStatus,
    Reason,
    Side,
)
from tests.reference import orders as reference

EPOCH = 3
FIRST = client_id.first_of(EPOCH)
PARENT = 1 << 48 | 1
SECOND_NS = 1_000_000_000


def listings(count=2):
    """Listings of instrument 0; the odd ones quote ten times coarser in price and a hundred times in quantity."""
    table = np.zeros(count, LISTING_DTYPE)
    table["index"] = np.arange(count)
    table["price_factor"] = np.where(np.arange(count) % 2, 10, 1)
    table["quantity_factor"] = np.where(np.arange(count) % 2, 100, 1)
    return table


def record(dtype, **fields):
    row = np.zeros(1, dtype)
    for name, value in fields.items():
        row[name] = value
    return row


def parent(**fields):
    return record(PARENT_ORDER_DTYPE, **{"parent_id": PARENT, "quantity": 1_000_000, "side": Side.BUY, **fields})


def child(**fields):
    return record(CHILD_ORDER_DTYPE, **{"client_order_id": FIRST, "parent_id": PARENT, "price": 100, "quantity": 10_000,
                                        "side": Side.BUY, **fields})


def report(kind, **fields):
    fields = {"client_order_id": FIRST, "cumulative_quantity": -1, "receive_ns": 1, **fields}
    return record(EXECUTION_REPORT_DTYPE, exec_type=kind, **fields)


def fill(quantity, trade_id, price=100, **fields):
    return report(ExecType.REPORT_FILL, trade_id=trade_id, last_price=price, last_quantity=quantity, **fields)


SENT, NEW = report(ExecType.REPORT_SENT), report(ExecType.REPORT_NEW)
CANCELED, EXPIRED = report(ExecType.REPORT_CANCELED), report(ExecType.REPORT_EXPIRED)
REJECTED = report(ExecType.REPORT_REJECTED, reason=Reason.POST_ONLY_WOULD_TAKE)
IN_DOUBT = report(ExecType.REPORT_IN_DOUBT)
TOO_LATE = report(ExecType.REPORT_CANCEL_REJECTED)
UNKNOWN = report(ExecType.REPORT_CANCEL_REJECTED, reason=Reason.UNKNOWN_ORDER)


@pytest.fixture
def table():
    """A table with one parent of 1 000 000 and one child of 10 000 that was sent; slot 0 each."""
    return opened()


def opened(**capacities):
    table = Orders(listings(), EPOCH, **capacities)
    table.open_parent(parent(), arrival_price=100)
    table.open_child(child())
    table.apply(SENT)
    return table


def states(table, *reports):
    """Status after each report; the books must be in order after each one."""
    seen = []
    for each in reports:
        outcome = table.apply(each)
        assert table.audit() == []
        seen.append(outcome.status)
    return seen


def test_life_of_an_order(table):
    assert table.order(0).status == OrderStatus.PENDING_NEW
    assert states(table, NEW, fill(4_000, 1), fill(6_000, 2, price=110)) == [
        OrderStatus.NEW, OrderStatus.PARTIAL, OrderStatus.FILLED]
    order, whole, position = table.order(0), table.parent(0), table.position(0)
    assert (order.cumulative, order.notional) == (10_000, 4_000 * 100 + 6_000 * 110)
    assert (whole.filled, whole.working, whole.in_doubt, whole.notional) == (10_000, 0, 0, order.notional)
    assert (position.net, position.open_cost, position.realised) == (10_000, order.notional, 0)


def test_cancel_crosses_fills_fix_d_b_1_c(table):
    """New, trade 2000, cancel request, trade 3000, trade 5000 while pending, cancel rejected: filled."""
    assert states(table, NEW, fill(2_000, 1)) == [OrderStatus.NEW, OrderStatus.PARTIAL]
    assert table.request_cancel(0)
    assert not table.request_cancel(0)
    assert states(table, fill(3_000, 2)) == [OrderStatus.PENDING_CANCEL]
    assert states(table, fill(5_000, 3), TOO_LATE) == [OrderStatus.FILLED, OrderStatus.FILLED]
    assert table.order(0).cumulative == 10_000


def test_cancel_rejected_too_late_returns_to_the_quantities(table):
    states(table, NEW, fill(2_000, 1))
    table.request_cancel(0)
    assert states(table, TOO_LATE) == [OrderStatus.PARTIAL]


def replaced(quantity, price=100, **fields):
    return report(ExecType.REPORT_REPLACED, last_quantity=quantity, last_price=price, **fields)


REPLACE_REJECTED = report(ExecType.REPORT_REPLACE_REJECTED)


def test_replace_crosses_the_last_fill_fix_4_2_d9(table):
    """Ten thousand; the last thousand is filled while the replacement to twelve thousand is under way; too late."""
    states(table, NEW, fill(9_000, 1))
    assert table.request_replace(0, 100, 12_000).status == OrderStatus.PENDING_REPLACE
    assert table.parent(0).working == 3_000     # what may be out counts
    assert states(table, fill(1_000, 2), REPLACE_REJECTED) == [OrderStatus.PENDING_REPLACE, OrderStatus.FILLED]
    assert (table.parent(0).filled, table.parent(0).working) == (10_000, 0)


def test_replacement_to_what_is_filled_meanwhile_fix_4_2_d11(table):
    """Ten thousand are replaced by seven; seven are filled before that is confirmed: it is filled with that."""
    states(table, NEW)
    table.request_replace(0, 100, 7_000)
    assert states(table, fill(7_000, 1), replaced(7_000)) == [OrderStatus.PENDING_REPLACE, OrderStatus.FILLED]
    assert (table.order(0).quantity, table.parent(0).filled, table.parent(0).working) == (7_000, 7_000, 0)


def test_a_replacement_holds_when_it_is_confirmed_and_not_before(table):
    states(table, NEW)
    table.request_replace(0, 90, 15_000)
    assert (table.order(0).price, table.order(0).quantity, table.parent(0).working) == (100, 10_000, 15_000)
    assert states(table, replaced(15_000, 90, exchange_ns=5)) == [OrderStatus.NEW]
    assert (table.order(0).price, table.order(0).quantity, table.parent(0).working) == (90, 15_000, 15_000)
    table.request_replace(0, 100, 5_000)
    assert states(table, replaced(15_000, 90, exchange_ns=5)) == [OrderStatus.PENDING_REPLACE]      # told again
    assert states(table, REPLACE_REJECTED) == [OrderStatus.NEW] and table.parent(0).working == 15_000


def test_a_replacement_in_doubt_is_settled_by_a_statement_of_the_whole_quantity(table):
    states(table, NEW)
    table.request_replace(0, 100, 15_000)
    assert states(table, IN_DOUBT)[-1] == OrderStatus.IN_DOUBT and table.parent(0).in_doubt == 15_000
    told = {"reconciliation": 1, "last_price": 100}
    assert states(table, report(ExecType.REPORT_STATUS, last_quantity=15_000, **told)) == [OrderStatus.NEW]
    assert table.order(0).quantity == 15_000
    table.request_replace(0, 100, 20_000)
    states(table, fill(15_000, 1))
    assert states(table, report(ExecType.REPORT_STATUS, last_quantity=15_000, cumulative_quantity=15_000, **told)) == [
        OrderStatus.FILLED]


def test_unknown_order_to_a_replacement_is_doubt(table):
    states(table, NEW)
    table.request_replace(0, 100, 5_000)
    rejected = report(ExecType.REPORT_REPLACE_REJECTED, reason=Reason.UNKNOWN_ORDER)
    assert states(table, rejected) == [OrderStatus.IN_DOUBT]


@given(st.data(), st.integers(1, 20), st.booleans())
def test_what_is_said_of_a_replacement_may_come_in_any_order_and_twice(data, wanted, ends):
    """Fills up to what holds in the end, the confirmation, perhaps a cancel: one end, whatever their order."""
    parts = data.draw(st.lists(st.integers(1, 5), max_size=4).filter(lambda all_: sum(all_) <= wanted))
    said = [NEW, replaced(wanted * 1_000, 90), *(fill(part * 1_000, 1 + i) for i, part in enumerate(parts))]
    if ends:
        said.append(report(ExecType.REPORT_CANCELED, cumulative_quantity=sum(parts) * 1_000))
    told = data.draw(st.permutations(said + data.draw(st.lists(st.sampled_from(said), max_size=4))))
    table = opened()
    table.request_replace(0, 90, wanted * 1_000)
    states(table, *told)
    order, whole = table.order(0), table.parent(0)
    filled = sum(parts)
    assert (order.quantity, order.price, order.cumulative) == (wanted * 1_000, 90, filled * 1_000)
    assert order.status == (OrderStatus.FILLED if filled == wanted else OrderStatus.CANCELED if ends
                            else OrderStatus.PARTIAL if filled else OrderStatus.NEW)
    open_still = 0 if filled == wanted or ends else wanted - filled
    assert (whole.filled, whole.working, whole.in_doubt) == (filled * 1_000, open_still * 1_000, 0)


def test_cancel_rejected_unknown_order_is_doubt_until_evidence(table):
    states(table, NEW, fill(2_000, 1))
    table.request_cancel(0)
    assert states(table, UNKNOWN, NEW, fill(1_000, 2)) == [OrderStatus.IN_DOUBT] * 3
    assert table.parent(0).in_doubt == 7_000
    assert states(table, CANCELED) == [OrderStatus.CANCELED]
    assert (table.parent(0).in_doubt, table.parent(0).filled) == (0, 3_000)


def test_cancel_that_was_not_sent_leaves_the_order_as_it_was(table):
    states(table, NEW)
    table.request_cancel(0)
    assert states(table, report(ExecType.REPORT_NOT_SENT, reason=Reason.RATE_LIMITED)) == [OrderStatus.NEW]


def test_order_that_was_not_sent_is_denied():
    table = Orders(listings(), EPOCH)
    table.open_parent(parent())
    table.open_child(child())
    assert states(table, report(ExecType.REPORT_NOT_SENT, reason=Reason.BOOK_NOT_LIVE)) == [OrderStatus.DENIED]
    assert table.order(0).reason == Reason.BOOK_NOT_LIVE
    assert table.parent(0).working == 0


def test_cancel_acknowledged_at_a_quantity_whose_fills_are_missing(table):
    """The part between the stated cumulative quantity and the fills seen stays reserved until those fills come."""
    states(table, NEW, fill(2_000, 1))
    outcome = table.apply(report(ExecType.REPORT_CANCELED, cumulative_quantity=5_000))
    assert outcome.status == OrderStatus.CANCELED and outcome.flags & OutcomeFlag.LACKS_FILLS
    assert (table.parent(0).filled, table.parent(0).working, table.parent(0).in_doubt) == (2_000, 0, 3_000)
    assert table.apply(fill(3_000, 2)).flags & OutcomeFlag.LATE_FILL
    assert (table.parent(0).filled, table.parent(0).in_doubt) == (5_000, 0)
    assert table.audit() == []


@pytest.mark.parametrize("end", [CANCELED, EXPIRED, REJECTED])
def test_late_fill_is_applied_and_counted(table, end):
    last = states(table, NEW, end)[-1]
    outcome = table.apply(fill(4_000, 1))
    assert outcome.flags == OutcomeFlag.CHANGED | OutcomeFlag.LATE_FILL
    assert outcome.status == last and outcome.filled == 4_000
    assert (table.order(0).cumulative, table.position(0).net, table.parent(0).filled) == (4_000, 4_000, 4_000)
    assert states(table, fill(6_000, 2)) == [OrderStatus.FILLED]
    assert table.counts["late_fills"] == 2


def test_late_cancel_after_the_last_fill_changes_nothing(table):
    states(table, NEW, fill(10_000, 1))
    outcome = table.apply(CANCELED)
    assert outcome.flags == OutcomeFlag.LATE_REPORT and outcome.status == OrderStatus.FILLED
    assert table.counts["late_reports"] == 1


def test_fill_before_acknowledgement(table):
    assert states(table, fill(4_000, 1), NEW) == [OrderStatus.PARTIAL, OrderStatus.PARTIAL]


def test_cancel_acknowledged_before_the_order(table):
    assert states(table, CANCELED, NEW) == [OrderStatus.CANCELED, OrderStatus.CANCELED]


def test_doubt_about_acceptance_ends_with_any_sign_of_life(table):
    assert states(table, IN_DOUBT) == [OrderStatus.IN_DOUBT]
    assert (table.parent(0).working, table.parent(0).in_doubt) == (0, 10_000)
    assert states(table, fill(1_000, 1)) == [OrderStatus.PARTIAL]
    assert (table.parent(0).filled, table.parent(0).working, table.parent(0).in_doubt) == (1_000, 9_000, 0)


def test_reject_with_unknown_outcome_is_doubt_not_a_reject(table):
    assert states(table, report(ExecType.REPORT_REJECTED, reason=Reason.UNKNOWN_OUTCOME)) == [OrderStatus.IN_DOUBT]
    assert states(table, NEW) == [OrderStatus.NEW]


def test_doubt_about_the_end_needs_a_statement_made_since(table):
    assert states(table, NEW, IN_DOUBT, NEW, fill(1_000, 1)) == [OrderStatus.NEW] + [OrderStatus.IN_DOUBT] * 3
    assert states(table, report(ExecType.REPORT_STATUS, reconciliation=1)) == [OrderStatus.PARTIAL]
    assert states(table, IN_DOUBT, fill(9_000, 2)) == [OrderStatus.IN_DOUBT, OrderStatus.FILLED]


def test_overfill_is_applied_and_flagged(table):
    outcome = table.apply(fill(10_001, 1))
    assert outcome.flags & OutcomeFlag.OVERFILL and outcome.flags & OutcomeFlag.ANOMALY
    assert (table.order(0).cumulative, table.order(0).working, table.position(0).net) == (10_001, 0, 10_001)
    assert table.audit() == []


def test_parent_overfill_is_flagged():
    table = Orders(listings(), EPOCH)
    table.open_parent(parent(quantity=10_000))
    table.open_child(child())
    outcome = table.apply(fill(10_001, 1))
    assert outcome.flags & OutcomeFlag.PARENT_OVERFILL
    assert outcome.parent_status == ParentStatus.PARENT_DONE


@pytest.mark.parametrize("quantity, price", [(0, 100), (-5, 100), (5, 0), (5, -1), (2**62, 100), (2**63 - 1, 100)])
def test_fill_that_cannot_be_true_is_refused(table, quantity, price):
    states(table, fill(1, 1))
    outcome = table.apply(fill(quantity, 2, price=price))
    assert outcome.flags == OutcomeFlag.MALFORMED | OutcomeFlag.ANOMALY
    assert table.order(0).cumulative == 1 and table.audit() == []


@pytest.mark.parametrize("wrong", [{"listing": 1}, {"side": Side.SELL}])
def test_fill_of_another_listing_or_side_is_refused(table, wrong):
    outcome = table.apply(fill(1, 1, **wrong))
    assert outcome.flags == OutcomeFlag.MISMATCH | OutcomeFlag.ANOMALY
    assert table.order(0).cumulative == 0


def test_same_fill_twice_is_applied_once(table):
    states(table, fill(4_000, 1))
    assert table.apply(fill(4_000, 1)).flags == OutcomeFlag.DUPLICATE
    outcome = table.apply(fill(5_000, 1))
    assert outcome.flags == OutcomeFlag.CONFLICT | OutcomeFlag.ANOMALY
    assert table.order(0).cumulative == 4_000 and table.audit() == []


def test_one_trade_that_hits_three_of_our_orders(table):
    for i in (1, 2):
        table.open_child(child(client_order_id=FIRST + i))
    for i in range(3):
        assert table.apply(fill(10, 77, client_order_id=FIRST + i)).filled == 10
    assert table.parent(0).filled == 30 and table.audit() == []


def test_fills_without_trade_id_are_told_apart_by_what_they_say(table):
    first, second = (fill(10, 0, cumulative_quantity=10 * i, exchange_ns=i) for i in (1, 2))
    for each in (first, second, first, second):
        table.apply(each)
    assert table.order(0).cumulative == 20


@pytest.mark.parametrize("client_order_id", [0, client_id.first_of(EPOCH - 1), client_id.first_of(EPOCH + 1)])
def test_foreign_order_is_counted_and_not_touched(table, client_order_id):
    before = table.order(0)
    assert table.apply(fill(10, 1, client_order_id=client_order_id, slot=0)).flags == OutcomeFlag.FOREIGN
    assert table.order(0) == before and table.position(0).net == 0 and table.counts["foreign"] == 1


def test_report_beyond_the_evidence_window_is_told():
    table = opened(orders=4, evidence_ns=10 * SECOND_NS)
    states(table, report(ExecType.REPORT_CANCELED, receive_ns=SECOND_NS))
    assert table.retire(10 * SECOND_NS, 8) == 0
    assert table.apply(fill(10, 1)).filled == 10            # late, but known
    assert table.retire(11 * SECOND_NS, 8) == 1
    assert table.apply(fill(10, 2)).flags == OutcomeFlag.RETIRED | OutcomeFlag.ANOMALY
    assert table.parent(0).filled == 10 and table.audit() == []


def test_order_with_missing_fills_is_not_retired():
    table = opened(evidence_ns=SECOND_NS)
    states(table, report(ExecType.REPORT_CANCELED, cumulative_quantity=10))
    assert table.retire(100 * SECOND_NS, 8) == 0
    states(table, fill(10, 1))
    assert table.retire(100 * SECOND_NS, 8) == 1


def test_order_whose_missing_fills_are_learned_late_leaves_the_queue():
    table = opened(evidence_ns=SECOND_NS)
    states(table, CANCELED, report(ExecType.REPORT_CANCELED, cumulative_quantity=10))
    assert table.retire(100 * SECOND_NS, 8) == 0 and table.audit() == []
    states(table, fill(10, 1))
    assert table.retire(100 * SECOND_NS, 8) == 1 and table.audit() == []


def test_retiring_is_bounded_and_forgets_fills_piecemeal():
    table = opened(evidence_ns=SECOND_NS)
    states(table, *(fill(10, i + 1) for i in range(20)), CANCELED)
    assert [table.retire(9 * SECOND_NS, 8) for _ in range(3)] == [0, 0, 1]
    assert table.free[2] == 65536 and table.audit() == []


def test_full_table_refuses_and_still_serves_what_is_out():
    table = opened(orders=2)
    table.open_child(child(client_order_id=FIRST + 1))
    with pytest.raises(Refused, match="TABLE_FULL"):
        table.open_child(child(client_order_id=FIRST + 2))
    assert states(table, fill(10_000, 1)) == [OrderStatus.FILLED]
    with pytest.raises(Refused, match="TABLE_FULL"):
        table.open_child(child(client_order_id=FIRST + 2, decided_ns=60 * SECOND_NS))
    assert table.open_child(child(client_order_id=FIRST + 2, decided_ns=61 * SECOND_NS)) == 0
    assert table.audit() == []


def test_fill_that_cannot_be_remembered_is_applied_and_flagged():
    table = opened(fills=2)
    states(table, fill(1, 1), fill(1, 2))
    assert table.apply(fill(1, 3)).flags & OutcomeFlag.UNREMEMBERED
    assert table.order(0).cumulative == 3
    with pytest.raises(Refused, match="TABLE_FULL"):
        table.open_child(child(client_order_id=FIRST + 1))


@pytest.mark.parametrize("wrong, reason", [
    ({"client_order_id": FIRST}, Reason.DUPLICATE_ORDER),
    ({"client_order_id": 0}, Reason.DUPLICATE_ORDER),
    ({"listing": 9}, Reason.UNKNOWN_LISTING),
    ({"parent_id": 5}, Reason.UNKNOWN_ORDER),
    ({"quantity": 0}, Reason.QUANTITY_NOT_POSITIVE),
    ({"quantity": 2**62, "listing": 1}, Reason.QUANTITY_NOT_POSITIVE),
])
def test_child_that_is_not_taken(table, wrong, reason):
    with pytest.raises(Refused) as refused:
        table.open_child(child(**{"client_order_id": FIRST + 9, **wrong}))
    assert refused.value.reason == reason and table.audit() == []


def test_denied_order_frees_slot_and_reservation():
    table = Orders(listings(), EPOCH)
    table.open_parent(parent())
    table.open_child(child())
    outcome = table.deny(0, Reason.PRICE_OUTSIDE_COLLAR)
    assert outcome.status == OrderStatus.DENIED
    assert table.parent(0).working == 0 and table.orders() == [] and table.audit() == []
    assert table.find(FIRST) is None


def test_parent_ends_when_nothing_is_out():
    table = opened()
    states(table, fill(4_000, 1))
    table.close_parent(0, Reason.CANCELLED_BY_USER)
    assert table.parent(0).status == ParentStatus.PARENT_CANCELLING
    with pytest.raises(Refused, match="UNKNOWN_ORDER"):
        table.open_child(child(client_order_id=FIRST + 1))
    states(table, IN_DOUBT)
    assert table.parent(0).status == ParentStatus.PARENT_ENDED_IN_DOUBT
    states(table, report(ExecType.REPORT_STATUS))
    assert table.parent(0).status == ParentStatus.PARENT_CANCELLING
    states(table, CANCELED)
    assert table.parent(0).status == ParentStatus.PARENT_DONE and table.parent(0).reason == Reason.CANCELLED_BY_USER


def test_parents_leave_after_their_window_or_when_their_place_is_needed():
    table = Orders(listings(), EPOCH, parents=4, evidence_ns=SECOND_NS)
    for i in range(4):
        assert table.open_parent(parent(parent_id=PARENT + i)) == i
    with pytest.raises(Refused, match="DUPLICATE_ORDER"):
        table.open_parent(parent())
    with pytest.raises(Refused, match="TABLE_FULL"):
        table.open_parent(parent(parent_id=PARENT + 4))
    for slot, when in ((2, 5), (0, 6), (1, 7)):
        table.close_parent(slot, Reason.END_TIME, now_ns=when)
    assert table.open_parent(parent(parent_id=PARENT + 4), now_ns=8) == 2           # the oldest, long before its window
    assert sorted(view.parent_id - PARENT for view in table.parents()) == [0, 1, 3, 4]
    assert table.open_parent(parent(parent_id=PARENT + 5), now_ns=SECOND_NS + 6) == 0
    assert table.open_parent(parent(parent_id=PARENT + 6), now_ns=SECOND_NS + 6) == 1
    with pytest.raises(Refused, match="TABLE_FULL"):
        table.open_parent(parent(parent_id=PARENT + 7), now_ns=SECOND_NS + 6)
    with pytest.raises(KeyError):
        table.order(0)


def test_a_late_fill_of_a_parent_that_gave_its_place_away_reaches_the_position():
    table = Orders(listings(), EPOCH, parents=1)
    table.open_parent(parent())
    table.open_child(child())
    states(table, SENT, fill(2_000, 1), CANCELED)
    table.close_parent(0, Reason.CANCELLED_BY_USER)
    assert table.open_parent(parent(parent_id=PARENT + 1)) == 0
    outcome = table.apply(fill(3_000, 2))
    assert outcome.flags == OutcomeFlag.CHANGED | OutcomeFlag.LATE_FILL | OutcomeFlag.PARENT_GONE | OutcomeFlag.ANOMALY
    assert (outcome.filled, outcome.parent) == (3_000, None)
    assert table.apply(fill(3_000, 2)).flags & OutcomeFlag.DUPLICATE
    assert (table.position(0).net, table.order(0).cumulative) == (5_000, 5_000)
    assert (table.parent(0).filled, table.parent(0).by_listing) == (0, [])
    assert table.audit() == []


@pytest.mark.parametrize("doubt", [(IN_DOUBT,), (report(ExecType.REPORT_CANCELED, cumulative_quantity=10),)])
def test_a_parent_with_an_order_in_doubt_keeps_its_place(doubt):
    table = Orders(listings(), EPOCH, parents=1)
    table.open_parent(parent())
    table.open_child(child())
    states(table, SENT, *doubt)
    table.close_parent(0, Reason.CANCELLED_BY_USER)
    with pytest.raises(Refused, match="TABLE_FULL"):
        table.open_parent(parent(parent_id=PARENT + 1))
    states(table, fill(10, 1), CANCELED)
    assert table.open_parent(parent(parent_id=PARENT + 1)) == 0


def test_a_parent_that_was_done_too_soon_keeps_its_place():
    """An order was cancelled, the parent was done; then it is heard that fills of that order are missing."""
    table = Orders(listings(), EPOCH, parents=2)
    for i in range(2):
        table.open_parent(parent(parent_id=PARENT + i))
    table.open_child(child())
    states(table, SENT, CANCELED)
    for slot in range(2):
        table.close_parent(slot, Reason.CANCELLED_BY_USER)
    states(table, report(ExecType.REPORT_CANCELED, cumulative_quantity=10))
    assert table.parent(0).status == ParentStatus.PARENT_ENDED_IN_DOUBT
    assert table.open_parent(parent(parent_id=PARENT + 2)) == 1
    with pytest.raises(Refused, match="TABLE_FULL"):
        table.open_parent(parent(parent_id=PARENT + 3))
    states(table, fill(10, 1))
    assert table.open_parent(parent(parent_id=PARENT + 3)) == 0
    assert table.audit() == []


def test_orders_that_never_left_do_not_fill_the_table():
    """Hundreds at one moment, while one that did leave, and one being retired piecemeal, keep their places."""
    table = opened(orders=8, fills=32)
    states(table, *(fill(10, i + 1) for i in range(20)), CANCELED)
    refused = report(ExecType.REPORT_NOT_SENT, reason=Reason.RATE_LIMITED)
    for i in range(1, 200):
        table.open_child(child(client_order_id=FIRST + i))
        table.apply(report(ExecType.REPORT_NOT_SENT, client_order_id=FIRST + i, receive_ns=i))
        assert table.audit() == []
    assert table.find(FIRST) == 0
    assert table.apply(refused).flags == OutcomeFlag.LATE_REPORT        # of the one that left: says nothing of it
    for i in range(200, 220):
        table.open_child(child(client_order_id=FIRST + i, decided_ns=61 * SECOND_NS))
        table.apply(report(ExecType.REPORT_NOT_SENT, client_order_id=FIRST + i, receive_ns=61 * SECOND_NS))
        assert table.audit() == []
    assert table.find(FIRST) is None


def test_children_in_another_scale_count_in_the_parents():
    table = Orders(listings(), EPOCH)
    table.open_parent(parent(quantity=1_000))
    table.open_child(child(listing=1, quantity=10))
    assert table.parent(0).working == 1_000
    states(table, fill(4, 1, price=25, listing=1))
    whole = table.parent(0)
    assert (whole.filled, whole.working, whole.notional) == (400, 600, 250 * 400)
    assert [(each.listing, each.filled, each.notional) for each in whole.by_listing] == [(1, 4, 100)]


def test_fees_are_exact_sums_by_asset(table):
    states(table, fill(1, 1, fee=15, fee_decimals=2, fee_asset=4), fill(1, 2, fee=5, fee_decimals=4, fee_asset=4),
           fill(1, 3, fee=-7, fee_decimals=0, fee_asset=9))
    assert table.position(0).fees == {4: (1505, 4), 9: (-7, 0)}
    assert table.parent(0).by_listing[0].fees == table.position(0).fees
    assert table.apply(fill(1, 4, fee=1, fee_decimals=30)).flags & OutcomeFlag.FEE_LOST


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 2**55), st.integers(1, 2**40)), max_size=30))
def test_position_agrees_with_exact_fractions(fills):
    table = Orders(listings(1), EPOCH)
    twin = reference.Position()
    for side in (Side.BUY, Side.SELL):
        table.open_parent(parent(parent_id=side, side=side, quantity=2**62))
        table.open_child(child(client_order_id=FIRST + side, parent_id=side, side=side, quantity=2**61))
    for i, (sell, price, quantity) in enumerate(fills):
        side = Side.SELL if sell else Side.BUY
        table.apply(fill(quantity, i + 1, price=price, client_order_id=FIRST + side, side=side))
        twin.apply(-1 if sell else 1, price, quantity)
    position = table.position(0)
    assert position.net == twin.net
    assert abs(position.open_cost - twin.cost) <= len(fills) and abs(position.realised - twin.realised) <= len(fills)
    assert table.audit() == []


# --- any order of the same evidence -----------------------------------------------------------------------------------

def as_reference(each):
    row = each[0]
    return dict(kind=ExecType(row["exec_type"]), trade_id=int(row["trade_id"]), price=int(row["last_price"]),
                quantity=int(row["last_quantity"]), stated=int(row["cumulative_quantity"]),
                reason=Reason(row["reason"]), reconciliation=bool(row["reconciliation"]))


@st.composite
def evidence(draw):
    """What an exchange may say about one order of 10 000: acknowledged, filled, a cancel refused, an end."""
    quantities = draw(st.lists(st.integers(1, 4_000), max_size=5))
    while sum(quantities) > 10_000:
        quantities.pop()
    fills, total = [], 0
    for i, quantity in enumerate(quantities):
        total += quantity
        stated = total if draw(st.booleans()) else -1
        fills.append(fill(quantity, i + 1, price=draw(st.integers(90, 110)), cumulative_quantity=stated))
    told = [NEW] * draw(st.integers(0, 1)) + fills + [TOO_LATE] * draw(st.integers(0, 1))
    if total < 10_000:
        end = draw(st.sampled_from([None, ExecType.REPORT_CANCELED, ExecType.REPORT_EXPIRED]))
        if end:
            told.append(report(end, cumulative_quantity=draw(st.sampled_from([-1, total]))))
    return told


@settings(max_examples=150)
@given(evidence(), st.data())
def test_any_order_and_any_repetition_of_the_evidence_ends_the_same(told, data):
    repeated = told + data.draw(st.lists(st.sampled_from(told), max_size=4)) if told else told
    ends = set()
    for shuffled in (told, data.draw(st.permutations(repeated)), data.draw(st.permutations(repeated))):
        table = opened(orders=4, parents=2, fills=64)
        states(table, *shuffled)
        order, whole, position = table.order(0), table.parent(0), table.position(0)
        ends.add((order.status, order.cumulative, order.notional, order.working, order.in_doubt, whole.status,
                  whole.filled, whole.working, whole.in_doubt, whole.notional, position.net, position.open_cost))
    assert len(ends) == 1


ANYTHING = st.sampled_from([
    SENT, NEW, CANCELED, EXPIRED, REJECTED, IN_DOUBT, TOO_LATE, UNKNOWN,
    report(ExecType.REPORT_NOT_SENT), report(ExecType.REPORT_STATUS, cumulative_quantity=3_000),
    report(ExecType.REPORT_NEW, reconciliation=1), report(ExecType.REPORT_CANCELED, cumulative_quantity=7_000),
    report(ExecType.REPORT_REJECTED, reason=Reason.UNKNOWN_OUTCOME),
    fill(1_000, 1), fill(3_000, 2, cumulative_quantity=4_000), fill(3_000, 3), fill(6_000, 4), fill(0, 5), fill(9, 1),
    "cancel",
])


@settings(max_examples=300)
@given(st.lists(ANYTHING, max_size=12))
def test_whatever_comes_agrees_with_the_twin(events):
    table = Orders(listings(), EPOCH, orders=4, parents=2, fills=64)
    table.open_parent(parent())
    table.open_child(child())
    twin = reference.Order(Side.BUY, 100, 10_000)
    for event in events:
        if isinstance(event, str):
            table.request_cancel(0)
            twin.request_cancel()
        else:
            table.apply(event)
            twin.apply(**as_reference(event))
        order = table.order(0)
        assert (order.status, order.cumulative, order.notional) == (twin.status, twin.cumulative, twin.notional)
        assert (order.working, order.in_doubt) == (twin.working, twin.in_doubt)
        assert table.audit() == []


def test_a_long_run_of_many_orders_keeps_the_books():
    """Two thousand orders through 64 slots: lookups, retirement and both maps under churn."""
    draw = random.Random(7)
    table = Orders(listings(), EPOCH, orders=64, parents=4, fills=256, evidence_ns=50)
    table.open_parent(parent(quantity=2**60))
    filled = trade = 0
    open_ids = []
    for i in range(2_000):
        try:
            table.open_child(child(client_order_id=FIRST + i, quantity=10, decided_ns=i * 10))
            open_ids.append(FIRST + i)
        except Refused as refused:
            assert refused.reason == Reason.TABLE_FULL
        while open_ids and draw.random() < 0.6:
            client_order_id = draw.choice(open_ids)
            trade += 1
            outcome = table.apply(fill(draw.randint(1, 5), trade, client_order_id=client_order_id, receive_ns=i * 10,
                                       slot=draw.randint(0, 70)))
            filled += outcome.filled
            if draw.random() < 0.4 or outcome.status == OrderStatus.FILLED:
                table.apply(report(ExecType.REPORT_CANCELED, client_order_id=client_order_id, receive_ns=i * 10))
                open_ids.remove(client_order_id)
        if i % 50 == 0:
            assert table.audit() == []
    assert table.audit() == [] and table.parent(0).filled == filled == table.position(0).net
    assert table.parent(0).children > 1_000


def test_set_up_says_what_is_wrong():
    with pytest.raises(ValueError, match="prefix: 0"):
        Orders(listings(), 0)
    with pytest.raises(ValueError, match="orders: 0"):
        Orders(listings(), 1, orders=0)
    with pytest.raises(ValueError, match="quantity_factor"):
        Orders(np.zeros(1, LISTING_DTYPE), 1)
    with pytest.raises(ValueError, match="listings_per_instrument = 1"):
        Orders(listings(), 1, listings_per_instrument=1)
    with pytest.raises(TypeError, match="LISTING_DTYPE"):
        Orders(np.zeros(1), 1)
    table = opened()
    with pytest.raises(TypeError, match="dtype"):
        table.apply(child())
