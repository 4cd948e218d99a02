"""What becomes of a parent that joins when it is changed, paused or halted while its orders are in books."""
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from orderflow._core.types import (
    CHILD_ORDER_DTYPE,
    PARENT_ORDER_DTYPE,
    Algorithm,
    BookState,
    ChildKind,
    ExecType,
    OrderFlag,
    ParentKind,
    Reason,
    Side,
    Tactic,
    TimeInForce,
)
from orderflow.research.simulation import INSTRUMENT
from tests.deciding import Deciding, listing
from tests.doubtful import EXCHANGES
from tests.quiet import Quiet
from tests.test_posting import ASK, BID, PLAIN, SECOND_NS, joins, known

DEAR = 10**6            # nobody takes so much


@pytest.fixture
def desk(tmp_path):
    with Deciding(tmp_path, PLAIN) as made:
        yield made


def show_all(desk, bid=BID, ahead=5, ask=ASK):
    return [order for index in range(len(desk.listings))
            for order in desk.show(index, [(bid, ahead), (bid - 1, 50)], [(ask, DEAR)])]


def say(desk, kind, **fields):
    """Something about the last parent; the messages that follow."""
    record = np.zeros((), PARENT_ORDER_DTYPE)
    record["parent_id"], record["kind"] = desk.parents, kind
    for name, value in fields.items():
        record[name] = value
    desk.router.replay_parent(record.tobytes(), desk.tick())
    return messages(desk)


def messages(desk):
    """Of any kind: (kind, listing, quantity)."""
    found = []
    for ring in desk.core.orders.values():
        while (order := ring.pop(CHILD_ORDER_DTYPE)) is not None:
            found.append((ChildKind(order["kind"]), int(order["listing"]), int(order["quantity"])))
    return found


def told(desk, index, bids, state=BookState.LIVE):
    """A new book; the messages that follow."""
    board = desk.boards[index]
    board["version"], board["publication"] = board["version"] + 1, board["publication"] + 1
    board["book_state"], board["receive_ns"] = state, desk.tick() - 300
    board["bid_count"] = len(bids)
    for place, level in enumerate(bids):
        board["bids"][place] = level
    desk.core.board.publish(index, board[()])
    desk.router.replay_wake(index, index, desk.now_ns)
    return messages(desk)


def test_less_of_it_that_is_wanted_when_it_begins_to_cross_is_all_that_crosses(desk):
    """Its cancel is not confirmed when the time to complete comes: what is left is known, and crosses, when it is."""
    show_all(desk)
    order, = joins(desk, 1000, 30, 0, display=40, flags=OrderFlag.MUST_COMPLETE)
    assert say(desk, ParentKind.REPLACE_PARENT, quantity=30) == [(ChildKind.CANCEL_ORDER, 2, 40)]
    desk.now_ns += 26 * SECOND_NS
    assert desk.show(0, [(BID, 5)], [(ASK, DEAR)]) == []
    crossing, = desk.report(order) + desk.show(0, [(BID, 6)], [(ASK, DEAR)])
    assert int(crossing["quantity"]) == 30 and crossing["time_in_force"] == TimeInForce.IOC
    assert desk.router.counts["faults"] == 0


def test_a_change_of_one_that_is_paused_is_made_and_nothing_new_is_sent(desk):
    show_all(desk)
    order, = joins(desk, 1000, 30, 0)
    assert say(desk, ParentKind.PAUSE_PARENT) == []
    assert say(desk, ParentKind.REPLACE_PARENT, quantity=100) == [(ChildKind.CANCEL_ORDER, 2, 1000)]
    assert desk.report(order) == [] and desk.parent(1).quantity == 100
    desk.now_ns += SECOND_NS
    assert show_all(desk) == []
    say(desk, ParentKind.RESUME_PARENT)
    assert desk.parent(1).working == 100


def test_one_that_is_paused_leaves_a_book_that_is_not_live(desk):
    show_all(desk)
    joins(desk, 1000, 30, 0)
    say(desk, ParentKind.PAUSE_PARENT)
    assert told(desk, 2, [(BID + 1, 5)]) == []                  # it does not follow meanwhile
    assert told(desk, 2, [], BookState.STALE) == [(ChildKind.CANCEL_ORDER, 2, 1000)]


def acknowledged(desk, orders):
    """By their exchanges; each stays."""
    for order in orders:
        desk.report(order, ExecType.REPORT_NEW)
        desk.out[int(order["client_order_id"])] = order


def test_a_change_in_place_of_ours_that_is_refused_does_not_refuse_a_change_of_the_parent(desk):
    """An order as large as its place is worth becomes too large with time, and its exchange can make it smaller."""
    known(desk, (300, 200, 100), (500, 500, 100))
    changed, taking = joins(desk, 5000, 30, 50, allowed=1)
    acknowledged(desk, [changed])
    desk.report(taking, ExecType.REPORT_FILL, trade_id=1, last_price=ASK, last_quantity=taking["quantity"],
                cumulative_quantity=taking["quantity"])
    for _ in range(60):
        desk.now_ns += SECOND_NS // 4
        if smaller := told(desk, 0, [(BID, 300 + int(changed["quantity"])), (BID - 1, 50)]):
            break
    assert ChildKind.REPLACE_ORDER in [kind for kind, *_ in smaller]
    cancels = say(desk, ParentKind.REPLACE_PARENT, quantity=4900)
    assert [kind for kind, *_ in cancels] == [ChildKind.CANCEL_ORDER]
    desk.report(changed, ExecType.REPORT_REPLACE_REJECTED, Reason.EXCHANGE_OTHER)
    assert desk.parent(1).quantity == 5000
    desk.out[int(changed["client_order_id"])] = changed
    desk.report(changed)
    assert desk.parent(1).quantity == 4900


def test_what_is_taken_back_is_not_followed_while_the_book_shows_it_yet(desk):
    show_all(desk)
    order, = joins(desk, 1000, 30, 0, allowed=4)
    acknowledged(desk, [order])
    desk.show(2, [(BID, 1005), (BID - 1, 50)], [(ASK, DEAR)])
    desk.now_ns += SECOND_NS
    assert say(desk, ParentKind.REPLACE_PARENT, quantity=900) == [(ChildKind.CANCEL_ORDER, 2, 1000)]
    desk.show(2, [(BID, 1000), (BID - 1, 50)], [(ASK, DEAR)])           # the others have gone
    assert desk.report(order) == []
    assert desk.show(2, [(BID, 1000), (BID - 1, 60)], [(ASK, DEAR)]) == []
    again, = desk.show(2, [(BID - 1, 50)], [(ASK, DEAR)])
    assert (int(again["price"]), int(again["quantity"])) == (BID - 1, 900)


def test_a_cancel_without_an_answer_holds_up_the_others_only_for_so_long(desk):
    """One book is not LIVE any more, and that exchange does not answer. What hides is refilled elsewhere all the same,
    once the answer is late."""
    known(desk, (300, 200, 100), (500, 500, 500))
    sent = joins(desk, 1000, 60, 50, display=40)
    acknowledged(desk, sent)
    assert told(desk, 0, [], BookState.STALE) == [(ChildKind.CANCEL_ORDER, 0, 40)]
    filled = {"trade_id": 1, "last_price": BID, "last_quantity": 40, "cumulative_quantity": 40}
    assert desk.report(sent[1], ExecType.REPORT_FILL, **filled) == []
    desk.now_ns += 6 * SECOND_NS
    desk.router.replay_timer(1 << 63 | int(sent[0]["client_order_id"]), desk.now_ns)
    assert (ChildKind.NEW_ORDER, 1, 40) in told(desk, 1, [(BID, 200), (BID - 1, 50)])


FAR = (listing("alpha", 0, 0, tick="10"),)


@pytest.mark.parametrize("algorithm", [Algorithm.JOIN, Algorithm.PRIMARY_PEG])
def test_no_price_is_within_a_limit_below_a_tick(tmp_path, algorithm):
    with Deciding(tmp_path, FAR) as desk:
        desk.show(0, [(BID, 5)], [(ASK, DEAR)])
        assert desk.submit(Side.BUY, 1000, limit=5, algorithm=algorithm, start_ns=desk.now_ns,
                           end_ns=desk.now_ns + 30 * SECOND_NS, urgency=50) == []


LEAST = (replace(PLAIN[0], minimum_quantity=Decimal(20)),)


def test_what_the_market_has_leaves_enough_for_another_order(tmp_path):
    with Deciding(tmp_path, LEAST) as desk:
        desk.show(0, [(BID, 5)], [(ASK, 90)])
        desk.now_ns += 10 * SECOND_NS
        desk.show(0, [(BID, 5)], [(ASK, 90)])
        order, = joins(desk, 100, 30, 50)
        assert (order["time_in_force"], int(order["quantity"])) == (TimeInForce.IOC, 80)


HIDING = (replace(PLAIN[0], minimum_quantity=Decimal(100)),)


@pytest.mark.parametrize(("quantity", "shown"), [(160, 150), (220, 110), (400, 150)])
@pytest.mark.parametrize("algorithm", [Algorithm.JOIN, Algorithm.PRIMARY_PEG, Algorithm.RESTING])
def test_what_hides_leaves_enough_for_its_next_order_where_it_can(tmp_path, algorithm, quantity, shown):
    with Deciding(tmp_path, HIDING) as desk:
        desk.show(0, [(BID, 5)], [(ASK, DEAR)])
        order, = desk.submit(Side.BUY, quantity, limit=BID, algorithm=algorithm, display=150, allowed=1,
                             start_ns=desk.now_ns, end_ns=desk.now_ns + 30 * SECOND_NS)
        assert int(order["quantity"]) == shown


@pytest.mark.parametrize(("reason", "again"), [(Reason.RATE_LIMITED, [0]), (Reason.POST_ONLY_WOULD_TAKE, [0]),
                                               (Reason.EXCHANGE_OTHER, [])])
def test_an_exchange_that_had_no_room_for_an_order_is_asked_again(desk, reason, again):
    known(desk, (300, 200, 100), (500, 500, 500))
    first, *_ = joins(desk, 1000, 60, 50)
    assert int(first["listing"]) == 0
    desk.report(first, ExecType.REPORT_REJECTED, reason)
    desk.now_ns += SECOND_NS
    sent = desk.show(0, [(BID, 300), (BID - 1, 50)], [(ASK, DEAR)])
    assert [int(order["listing"]) for order in sent if order["time_in_force"] == TimeInForce.GTC] == again


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_last_of_many_short_slices_is_filled_in_time(name):
    """A cancel and a crossing order take longer than a quarter of such a slice."""
    world = Quiet(name)
    try:
        world.stand(quantity="5")
        parent = world.engine.submit(INSTRUMENT, "buy", "1", algorithm="twap", seconds=4, slices=40, tactic="join",
                                     urgency=0)
        state = world.engine.wait(parent, 10)
        assert (state.filled, state.reason) == (1, "OK")
    finally:
        world.engine.stop()


SLICE_TIMER = 1 << 61


@pytest.mark.parametrize("tactic", Tactic)
def test_one_that_keeps_to_an_exchange_counts_what_is_traded_there_from_then_on(tmp_path, tactic):
    """Much had been traded elsewhere before; half of what is traded here is to be ours."""
    with Deciding(tmp_path, PLAIN, policy="single") as desk:
        desk.boards[0]["traded"] = 10**6
        show_all(desk)
        begin = desk.now_ns + 10**6
        desk.submit(Side.BUY, 10_000, algorithm=Algorithm.POV, start_ns=begin, end_ns=begin + 100 * SECOND_NS,
                    slices=100, participation=500_000, tactic=tactic, urgency=0)
        sizes = []
        for look in range(4):
            for index in (1, 2):
                desk.boards[index]["traded"] += 200
            show_all(desk)
            desk.now_ns = begin + look * SECOND_NS
            desk.router.replay_timer(SLICE_TIMER | 1, desk.now_ns)
            sent = desk.orders()
            sizes += [int(order["quantity"]) for order in sent]
            for order in sent:
                desk.boards[int(order["listing"])]["traded"] += int(order["quantity"])
                desk.report(order, ExecType.REPORT_FILL, trade_id=look + 1, last_price=int(order["price"]),
                            last_quantity=order["quantity"], cumulative_quantity=order["quantity"])
        assert sizes[0] == 400 and sum(sizes) >= 700 and len(sizes) == 3
