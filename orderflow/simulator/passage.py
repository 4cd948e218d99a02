"""How an order goes through a book in which not every order is plain.

The matching engine knows quantities, prices and turns. Two things it does not know are done here, between its steps:

* an iceberg rests with what it shows; when that is taken, it shows more of itself at the end of the queue, and whoever
  is still taking meets that too;
* an order does not trade with one of the same account where self-trade prevention says so.

An order that may meet such an obstacle takes exactly what stands before it, in one submission to the engine; then the
obstacle is dealt with; and so on until nothing is in the way, and the rest is submitted as it is.
"""
from typing import NamedTuple

from orderflow._core.types import OrderType, Reason, Side, TimeInForce
from orderflow.simulator.order import Order, SelfTrade, Submission

EVERYTHING = 1 << 16        # levels


class Taker(NamedTuple):
    """An order on its way into the book; of an agent where there is no account."""
    order_id: int
    side: int
    quantity: int
    price: int                      # 0 = market
    order_type: int
    time_in_force: int
    post_only: bool
    owner: int = 0
    order: Order | None = None

    @property
    def minds(self) -> bool:
        """Whether it may not trade with its own account."""
        return self.order is not None and self.order.self_trade != SelfTrade.ALLOWED

    def reaches(self, price: int) -> bool:
        """Whether its limit allows that price."""
        if self.order_type == OrderType.MARKET:
            return True
        return price <= self.price if self.side == Side.BUY else price >= self.price


class Passage:
    """One order's way. `changed(trades)` is called after each step in which somebody traded."""

    def __init__(self, taker: Taker, book, orders: list[Order], changed):
        self._taker, self._book, self._changed = taker, book, changed
        self._orders = orders           # open ones of accounts on the other side
        self._left = taker.quantity
        self._fills: list[tuple[int, int, int]] = []
        self._prevented: list[tuple[Order, int]] = []
        self._decremented = 0

    def run(self) -> Submission:
        """Go as far as it goes; what is left rests where it may."""
        taker = self._taker
        if taker.post_only:
            return self._submit(taker.quantity)
        if taker.time_in_force == TimeInForce.FOK and self._within_reach() < taker.quantity:
            return Submission(Reason.NO_LIQUIDITY, [], 0)
        while self._left:
            obstacle = self._next()
            if obstacle is None:
                return self._submit(self._left)
            mine = self._is_mine(obstacle)
            step = min(self._before(obstacle) + (0 if mine else self._shown(obstacle)), self._left)
            if step:
                self._take(step, obstacle.price)
            elif self._meet_own(obstacle):
                return self._done(self_trade=True)
        return self._done()

    def _is_mine(self, order: Order) -> bool:
        return self._taker.minds and order.account is self._taker.order.account

    def _next(self) -> Order | None:
        """The obstacle that comes first: best price, then turn."""
        found = [order for order in self._orders if order.leaves and self._taker.reaches(order.price)
                 and (order.display or self._is_mine(order)) and self._shown(order)]
        sign = 1 if self._taker.side == Side.BUY else -1
        return min(found, key=lambda order: (sign * order.price, self._book.engine.queue_position(order.order_id)),
                   default=None)

    def _shown(self, order: Order) -> int:
        resting = self._book.engine.resting_order(order.order_id)
        return 0 if resting is None else resting[2]

    def _before(self, obstacle: Order) -> int:
        """What has to be taken before it is its turn."""
        better = sum(quantity for price, quantity in self._book.levels(self._other, EVERYTHING)
                     if (price < obstacle.price if self._taker.side == Side.BUY else price > obstacle.price))
        return better + self._book.engine.queue_position(obstacle.order_id)[0]

    def _within_reach(self) -> int:
        """All that it could take, hidden quantity too."""
        shown = sum(quantity for price, quantity in self._book.levels(self._other, EVERYTHING)
                    if self._taker.reaches(price))
        for order in self._orders:
            if self._taker.reaches(order.price) and (order.display or self._is_mine(order)):
                shown -= self._shown(order)
                shown += 0 if self._is_mine(order) else order.leaves
        return shown

    @property
    def _other(self) -> int:
        return Side.SELL if self._taker.side == Side.BUY else Side.BUY

    def _take(self, quantity: int, price: int) -> None:
        taker = self._taker
        outcome = self._book.engine.submit(taker.order_id, taker.side, quantity, price, time_in_force=TimeInForce.IOC,
                                           owner=taker.owner)
        self._left -= outcome.filled
        self._note(outcome.trades)

    def _note(self, trades) -> None:
        self._fills += zip(*(trades[name].tolist() for name in ("price", "quantity", "trade_id")), strict=True)
        self._changed(trades)

    def _meet_own(self, maker: Order) -> bool:
        """It is its own account's turn; whether the way ends here."""
        mode = self._taker.order.self_trade
        if mode == SelfTrade.DECREMENT:
            quantity = min(self._left, maker.leaves)
            self._left -= quantity
            self._decremented += quantity
            self._prevented.append((maker, quantity))
            self._orders = [order for order in self._orders if order is not maker]
            self._book.shrink(maker, quantity)
        elif mode != SelfTrade.EXPIRE_TAKER:
            self._prevented.append((maker, maker.leaves))
            self._orders = [order for order in self._orders if order is not maker]
            self._book.shrink(maker, maker.leaves)
        self._changed(())
        return mode in (SelfTrade.EXPIRE_TAKER, SelfTrade.EXPIRE_BOTH)

    def _submit(self, quantity: int) -> Submission:
        """The rest, with nothing in the way."""
        taker = self._taker
        outcome = self._book.engine.submit(
            taker.order_id, taker.side, quantity, taker.price, order_type=taker.order_type,
            time_in_force=taker.time_in_force, post_only=taker.post_only, owner=taker.owner)
        if taker.order is not None:
            self._book.hide(taker.order, outcome.resting)
        if outcome.reason == Reason.OK and (outcome.filled or outcome.resting):
            self._note(outcome.trades)
        elif outcome.reason != Reason.OK and not self._fills and not self._prevented:
            return Submission(outcome.reason, [], 0)
        return self._done(outcome.resting)

    def _done(self, resting: int = 0, self_trade: bool = False) -> Submission:
        return Submission(Reason.OK, self._fills, resting, tuple(self._prevented), self._decremented, self_trade)
