"""Matching against a recording, which does not know that we are there.

A taker takes what is displayed within its limit, and what it took stays gone until the recording changes that level. A
resting order stands behind what was displayed at its price when it came. Recorded trades at its price first serve
what stands before it, then the order; trades beyond its price would have met the order first, and fill it. When the
displayed size falls below what stood before the order, somebody before it left.
"""
from dataclasses import dataclass

from orderflow._core.types import OrderType, Reason, Side, TimeInForce
from orderflow.simulator.order import Order, Submission


@dataclass
class _Resting:
    order: Order
    ahead: int          # quantity that is served before it


class RecordedBook:
    """One instrument. `trade_numbers` is an iterator that numbers our trades."""

    def __init__(self, trade_numbers, depth: int = 0):
        self._displayed: dict[int, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}     # side -> price -> quantity
        self._taken: dict[tuple[int, int], int] = {}
        self._resting: dict[int, list[_Resting]] = {}       # side -> in the order of their coming
        self._numbers = trade_numbers
        self._depth = depth

    def show(self, side: int, levels: list[tuple[int, int]]) -> None:
        """The recording sets levels of one side; quantity 0 deletes."""
        displayed = self._displayed[side]
        for price, quantity in levels:
            self._taken.pop((side, price), None)
            if quantity:
                displayed[price] = quantity
            else:
                displayed.pop(price, None)
            for resting in self._resting.get(side, ()):
                if resting.order.price == price:
                    resting.ahead = min(resting.ahead, quantity)

    def cut(self) -> None:
        """Keep no more levels than the subscribed depth, where there is one."""
        if self._depth:
            for side in (Side.BUY, Side.SELL):
                self.show(side, [(price, 0) for price in self._best_first(side)[self._depth:]])

    def clear(self) -> None:
        """The recording starts afresh with a snapshot."""
        for side, displayed in self._displayed.items():
            self.show(side, [(price, 0) for price in list(displayed)])

    def levels(self, side: int, count: int) -> list[tuple[int, int]]:
        """What is left to take, best first."""
        left = ((price, self._left(side, price)) for price in self._best_first(side))
        return [level for level in left if level[1] > 0][:count]

    def submit(self, order: Order) -> Submission:
        """Match an order as far as it goes now."""
        other = Side.SELL if order.side == Side.BUY else Side.BUY
        fills, wanted = [], order.leaves
        for price, quantity in self.levels(other, len(self._displayed[other])):
            if not wanted or (order.order_type == OrderType.LIMIT and not _reaches(order, price)):
                break
            fills.append((price, min(quantity, wanted)))
            wanted -= fills[-1][1]
        if order.post_only and fills:
            return Submission(Reason.POST_ONLY_WOULD_TAKE, [], 0)
        if order.time_in_force == TimeInForce.FOK and wanted:
            return Submission(Reason.NO_LIQUIDITY, [], 0)
        for price, quantity in fills:
            self._taken[other, price] = self._taken.get((other, price), 0) + quantity
        rests = wanted if order.time_in_force in (TimeInForce.GTC, TimeInForce.GTD) else 0
        if rests:
            ahead = self._left(order.side, order.price)
            self._resting.setdefault(order.side, []).append(_Resting(order, ahead))
        return Submission(Reason.OK, [(*fill, next(self._numbers)) for fill in fills], rests)

    def reaches(self, order: Order) -> bool:
        """Whether anything is left to take within the limit of an order."""
        best = self.levels(Side.SELL if order.side == Side.BUY else Side.BUY, 1)
        return bool(best) and _reaches(order, best[0][0])

    def withdraw(self, order: Order) -> None:
        """A resting order leaves."""
        self._resting[order.side] = [resting for resting in self._resting[order.side] if resting.order is not order]

    def trade(self, taker_side: int, price: int, quantity: int) -> list[tuple[int, int, int, int]]:
        """A recorded trade: our orders that it fills, as (order id, price, quantity, trade number)."""
        side = Side.SELL if taker_side == Side.BUY else Side.BUY
        met = [resting for resting in self._resting.get(side, ()) if _reaches(resting.order, price)]
        met.sort(key=lambda resting: -resting.order.price if side == Side.BUY else resting.order.price)
        fills = []
        for resting in met:
            served = 0
            if resting.order.price == price:
                served = min(resting.ahead, quantity)
                resting.ahead -= served
            filled = min(resting.order.leaves, quantity - served)
            if filled:
                fills.append((resting.order.order_id, resting.order.price, filled, next(self._numbers)))
                quantity -= filled
        return fills

    def forget_ended(self) -> None:
        """Drop resting orders that have nothing left."""
        for side, queue in self._resting.items():
            self._resting[side] = [resting for resting in queue if resting.order.leaves]

    def _left(self, side: int, price: int) -> int:
        return self._displayed[side].get(price, 0) - self._taken.get((side, price), 0)

    def _best_first(self, side: int) -> list[int]:
        return sorted(self._displayed[side], reverse=side == Side.BUY)


def _reaches(order: Order, price: int) -> bool:
    return price <= order.price if order.side == Side.BUY else price >= order.price
