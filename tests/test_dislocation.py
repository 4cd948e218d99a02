"""The built-in cross-exchange strategy, alone in its loop: what it sends for what the boards show."""
from decimal import Decimal

import numpy as np
import pytest

from orderflow._core.board import Board
from orderflow._core.doorbell import Doorbell
from orderflow._core.input_log import InputLogFiles
from orderflow._core.loop_router import StrategizerLoop
from orderflow._core.ring import Ring
from orderflow._core.strategies.dislocation import Dislocation
from orderflow._core.types import (
    PARENT_ORDER_DTYPE,
    PARENT_REPORT_DTYPE,
    WAKE_DTYPE,
    BookState,
    ParentKind,
    ParentStatus,
    Side,
)
from orderflow.instrument import Listing, table

CHEAP, DEAR = 0, 1
UNIT = 10**8                    # both listings have eight decimals of quantity, two of price


class Desk:
    """Two listings of BTC-USDT without fees, one strategy, and rings that the test fills and empties."""

    def __init__(self, directory, **options):
        listings = [Listing(name, "BTCUSDT", "BTC-USDT", "BTC", "USDT", 2, 8, Decimal("0.01"), Decimal("0.00000001"))
                    for name in ("a", "b")]
        self.board = Board(2)
        self.wakes, self.reports, self.parents = Ring(8, 64), Ring(8, 128), Ring(8, 128)
        self.log = InputLogFiles(directory, "strategizer", 1, segment_bytes=1 << 16)
        self.strategy = Dislocation(0, UNIT, **options)
        self.loop = StrategizerLoop(
            table(listings, ["a", "b"]), [self.strategy], self.board, np.zeros(2, np.uint8), self.log, self.wakes,
            self.reports, self.parents, Doorbell(), Doorbell())
        self.publications = [0, 0]
        self.now_ns = 1

    def show(self, listing, bid, ask, state=BookState.LIVE):
        """The exchange thread publishes a new state of a book, half a coin at each best price."""
        record = self.board.read(listing).copy()
        self.publications[listing] += 1
        record["listing"], record["publication"], record["book_state"] = listing, self.publications[listing], state
        record["bid_count"] = record["ask_count"] = 1
        record["bids"][0], record["asks"][0] = (bid, UNIT // 2), (ask, UNIT // 2)
        self.board.publish(listing, record)
        self.wake(listing)

    def wake(self, listing):
        record = np.zeros(1, WAKE_DTYPE)[0]
        record["listing"] = listing
        self.wakes.push(record)
        self.step()

    def report(self, order, filled):
        """The router says that a parent order has ended."""
        record = np.zeros(1, PARENT_REPORT_DTYPE)[0]
        record["parent_id"], record["strategy"] = order["parent_id"], order["strategy"]
        record["status"], record["filled"], record["quantity"] = ParentStatus.PARENT_DONE, filled, order["quantity"]
        self.reports.push(record)
        self.step()

    def step(self):
        self.now_ns += 1
        self.loop.run_once(self.now_ns)

    def sent(self):
        """(side, quantity, limit, listings) of every parent order sent since the last look, and the orders."""
        orders = []
        while (record := self.parents.pop(PARENT_ORDER_DTYPE)) is not None:
            orders.append(record)
        return [(Side(one["side"]), int(one["quantity"]), int(one["limit_price"]), int(one["listings"]))
                for one in orders], orders


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path, edge=0)
    yield made
    made.log.close()


def trade(desk):
    """Books cross between the exchanges: both legs leave."""
    desk.show(CHEAP, 9_900, 10_000)
    desk.show(DEAR, 10_100, 10_200)
    found, orders = desk.sent()
    assert found == [(Side.BUY, UNIT // 2, 10_000, 1 << CHEAP), (Side.SELL, UNIT // 2, 10_100, 1 << DEAR)]
    return orders


def test_buys_where_it_is_cheap_and_sells_where_it_is_dear(desk):
    trade(desk)


@pytest.mark.parametrize("dear_bid", [9_999, 10_000])
def test_no_difference_no_trade(desk, dear_bid):
    desk.show(CHEAP, 9_900, 10_000)
    desk.show(DEAR, dear_bid, 10_200)
    assert desk.sent()[0] == []


@pytest.mark.parametrize("state", [BookState.STALE, BookState.SYNCING, BookState.EMPTY])
def test_never_on_a_book_that_is_not_live(desk, state):
    desk.show(CHEAP, 9_900, 10_000, state)
    desk.show(DEAR, 10_100, 10_200)
    assert desk.sent()[0] == []


def test_nothing_while_a_leg_is_open(desk):
    orders = trade(desk)
    desk.report(orders[0], UNIT // 2)
    desk.show(CHEAP, 9_900, 10_000)
    desk.show(DEAR, 10_100, 10_200)
    assert desk.sent()[0] == []


def test_the_price_that_was_taken_is_not_taken_again_before_its_book_has_changed(desk):
    """Both legs are filled, and the books do not know yet: what they show is what was bought and sold."""
    for order in trade(desk):
        desk.report(order, UNIT // 2)
    desk.wake(CHEAP)
    desk.wake(DEAR)
    assert desk.sent()[0] == []
    desk.show(CHEAP, 9_900, 10_000)
    assert desk.sent()[0] == [], "the other book is still the one that was sold to"
    desk.show(DEAR, 10_100, 10_200)
    assert len(desk.sent()[0]) == 2


def test_what_one_leg_traded_alone_is_given_back_anywhere(desk):
    orders = trade(desk)
    desk.report(orders[0], UNIT // 2)
    desk.report(orders[1], UNIT // 5)
    desk.wake(CHEAP)
    assert desk.sent()[0] == [(Side.SELL, UNIT // 2 - UNIT // 5, 10_079, 0)]


def test_a_leg_that_cannot_be_closed_is_tried_within_its_bands_and_then_given_up(desk):
    """Twenty basis points around the missing leg's price three times, a percent three times, then a person."""
    orders = trade(desk)
    desk.report(orders[0], UNIT // 2)
    desk.report(orders[1], 0)
    for limit in [10_079] * 3 + [9_999] * 3:
        desk.show(DEAR, 9_000, 9_100)           # the book has a gap
        (found,), orders = desk.sent()
        assert found == (Side.SELL, UNIT // 2, limit, 0)
        desk.wake(CHEAP)
        assert desk.sent()[0] == []             # one at a time
        desk.report(orders[0], 0)
    desk.show(DEAR, 9_000, 9_100)
    _, (last,) = desk.sent()
    assert last["kind"] == ParentKind.HALT_STRATEGY and desk.strategy.halted and desk.strategy.closings == 6
    desk.show(CHEAP, 9_900, 10_000)
    desk.show(DEAR, 10_100, 10_200)
    assert desk.sent()[0] == []


def test_what_is_asked_for_is_what_is_still_open_and_a_closed_leg_begins_anew(desk):
    orders = trade(desk)
    desk.report(orders[0], UNIT // 2)
    desk.report(orders[1], 0)
    for part in (UNIT // 4, UNIT // 4):
        desk.wake(DEAR)
        (found,), orders = desk.sent()
        desk.report(orders[0], part)
    assert found[1] == UNIT // 4 and desk.strategy.closings == 2 and not desk.strategy.halted
    trade(desk)
