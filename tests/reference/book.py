"""The order book as two dicts: slow, obvious, and right."""
from orderflow._core.types import BookFault, Side

PRICE_END = 2**62


class Book:
    """Twin of `OrderBook` without a limit to its levels."""

    def __init__(self):
        self.sides = {Side.BUY: {}, Side.SELL: {}}
        self.levels_applied = 0
        self.deletes_of_absent = 0

    def apply(self, side, levels):
        held = self.sides[side]
        for price, quantity in levels:
            if not 0 < price < PRICE_END or quantity < 0:
                return BookFault.MALFORMED
            self.levels_applied += 1
            if quantity:
                held[price] = quantity
            elif price in held:
                del held[price]
            else:
                self.deletes_of_absent += 1
        return BookFault.NO_FAULT

    def clear(self):
        for held in self.sides.values():
            held.clear()

    def levels(self, side, n=None):
        return sorted(self.sides[side].items(), reverse=side == Side.BUY)[:n]

    def best(self, side):
        return next(iter(self.levels(side)), None)

    def truncate(self, depth):
        for side in self.sides:
            self.sides[side] = dict(self.levels(side, depth))

    @property
    def crossed(self):
        bid, ask = self.best(Side.BUY), self.best(Side.SELL)
        return bool(bid and ask and bid[0] > ask[0])
