"""Replacements of a parent that rests, one asked for while another is under way: what the exchange refuses leaves what
it has confirmed, never what was before that."""
import pytest

from orderflow._core.types import Algorithm, ChildKind, ExecType, FaultCode, ParentKind, Reason
from tests.routing_desk import RoutingDesk
from tests.storm_listings import MIDS

PRICE = MIDS[0] - 10


@pytest.fixture
def desk(tmp_path):
    yield from RoutingDesk.opened(tmp_path)


def resting(desk, quantity=700):
    """A parent whose order is in the book."""
    parent = desk.order(quantity=quantity, listings=1, limit_price=PRICE, algorithm=Algorithm.RESTING)
    desk.settle()
    assert desk.news() == [(parent, quantity)]
    desk.answer(desk.last[0], ExecType.REPORT_SENT)
    desk.answer(desk.last[0], ExecType.REPORT_NEW)
    return parent


def ask(desk, parent, **wanted):
    desk.about(ParentKind.REPLACE_PARENT, parent_id=parent, **wanted)
    desk.settle()


def asked(desk):
    """(price, whole quantity) of the replacement that the exchange is asked for now."""
    assert len(desk.news(ChildKind.REPLACE_ORDER)) == 1
    return int(desk.last[0]["price"]), int(desk.last[0]["quantity"])


def confirm(desk):
    desk.answer(desk.last[0], ExecType.REPORT_REPLACED, last_price=desk.last[0]["price"],
                last_quantity=desk.last[0]["quantity"])


def refuse(desk):
    desk.answer(desk.last[0], ExecType.REPORT_REPLACE_REJECTED, reason=Reason.EXCHANGE_OTHER)


@pytest.mark.parametrize(("first", "second"), [(900, 6_000), (900, 800), (500, 6_000), (500, 400)])
def test_a_refused_replacement_leaves_the_one_before_that_was_confirmed(desk, first, second):
    parent = resting(desk)
    ask(desk, parent, quantity=first, limit_price=PRICE + 1)
    assert asked(desk) == (PRICE + 1, first)
    waiting = desk.last[0]
    ask(desk, parent, quantity=second, limit_price=PRICE + 2)
    assert desk.sent == []                  # one after the other
    desk.last = [waiting]
    confirm(desk)
    assert asked(desk) == (PRICE + 2, second)
    refuse(desk)
    view = desk.parent(parent)
    assert (view.quantity, view.working, view.limit_price) == (first, first, PRICE + 1)
    desk.fill(desk.last[0], quantity=first)
    assert desk.parent(parent).filled == first and desk.news() == []
    assert desk.router.fault[0] == FaultCode.NO_FAULT_FOUND and desk.orders.audit() == []


@pytest.mark.parametrize(("first", "second", "both"), [
    ({"quantity": 500}, {"limit_price": PRICE + 2}, (PRICE + 2, 500)),
    ({"quantity": 900}, {"limit_price": PRICE + 2}, (PRICE + 2, 900)),
    ({"limit_price": PRICE + 2}, {"quantity": 900}, (PRICE + 2, 900))])
def test_what_a_second_replacement_does_not_name_is_what_the_first_wanted(desk, first, second, both):
    parent = resting(desk)
    ask(desk, parent, **first)
    assert asked(desk) == (first.get("limit_price", PRICE), first.get("quantity", 700))
    waiting = desk.last
    ask(desk, parent, **second)
    desk.last = waiting
    confirm(desk)
    assert asked(desk) == both
    confirm(desk)
    view = desk.parent(parent)
    assert (view.limit_price, view.quantity, view.working) == (*both, both[1])
