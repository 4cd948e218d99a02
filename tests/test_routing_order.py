"""Who is routed first: the parent that came first; and after an exchange had no room, one order after the other."""
import pytest

from orderflow._core.types import Algorithm, ExecType, ParentKind, Reason, Side
from tests.routing_desk import BIDS, RoutingDesk
from tests.scripted_exchange import MS
from tests.storm_listings import MIDS

ASKS = [(MIDS[0] + 1, 100)]


@pytest.fixture
def desk(tmp_path):
    yield from RoutingDesk.opened(tmp_path)


def who_took(desk, books):
    """What each of so many books was used for, all of which is filled."""
    came = []
    for _ in range(books):
        desk.book(BIDS, ASKS)
        came += desk.news()
        desk.fill(desk.last[0])
    return came


def test_who_came_first_takes_first(desk):
    """Whatever its strategy and algorithm; each book shows 100, and each parent wants 100."""
    parents = [desk.order(quantity=100, listings=1, strategy=strategy, **more) for strategy, more in (
        (2, {}), (0, {"algorithm": Algorithm.TWAP, "slices": 1, "end_ns": desk.now_ns + 60_000 * MS}), (1, {}), (0, {}),
        (0, {}))]
    desk.settle()
    desk.about(ParentKind.CANCEL_PARENT, parent_id=parents[2])
    desk.about(ParentKind.PAUSE_PARENT, parent_id=parents[3])
    desk.settle()
    assert desk.news() == []
    assert who_took(desk, 3) == [(parents[0], 100), (parents[1], 100), (parents[4], 100)]
    desk.about(ParentKind.RESUME_PARENT, parent_id=parents[3])
    assert who_took(desk, 1) == [(parents[3], 100)]


def test_the_rest_of_who_came_first_comes_before_those_that_came_later(desk):
    parents = [desk.order(quantity=150, listings=1) for _ in range(2)]
    desk.settle()
    assert who_took(desk, 3) == [(parents[0], 100), (parents[0], 50), (parents[1], 100)]


def resting(desk, count):
    return [desk.order(quantity=100, listings=1, limit_price=MIDS[0] - 10, algorithm=Algorithm.RESTING, side=Side.BUY)
            for _ in range(count)]


def test_after_an_exchange_had_no_room_one_order_after_the_other_is_tried(desk):
    """Five wait. Nobody is sent before there may be room; then the first, and the next when that has been answered,
    until the caution ends."""
    parents = resting(desk, 1)
    desk.settle()
    assert desk.news() == [(parents[0], 100)]
    free_ns = desk.now_ns + 1_000 * MS
    desk.answer(desk.last[0], ExecType.REPORT_NOT_SENT, reason=Reason.RATE_LIMITED, last_price=10, last_quantity=11,
                exchange_ns=free_ns)
    parents += resting(desk, 4)
    desk.settle()
    desk.book(BIDS, [])
    assert desk.news() == []
    desk.now_ns = free_ns
    for turn in range(3):
        desk.book(BIDS, [])
        desk.book(BIDS, [])                 # nothing more while it is not answered
        assert desk.news() == [(parents[turn], 100)]
        desk.answer(desk.last[0], ExecType.REPORT_SENT)
    assert desk.news() == []                # it is answered, and the others are looked at with the next event
    desk.now_ns = free_ns + 10_000 * MS
    desk.book(BIDS, [])
    assert desk.news() == [(parents[3], 100), (parents[4], 100)]
