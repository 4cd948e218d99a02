"""Pre-trade risk, slowly: fractions and whole lists instead of scaled integers and running sums."""
from fractions import Fraction

from orderflow._core.types import OrderType, Reason, Side, TradingState


def value(integer, decimals):
    return Fraction(int(integer), 10 ** int(decimals))


class Risk:
    """Limits in natural units; `orders` lists (parent id, listing, side, filled or reserved, filled)."""

    def __init__(self, listings, limits, *, state, position=0):
        self.listings, self.limits, self.state, self.position = listings, limits, state, position
        self.orders = []

    def in_instrument_scale(self, listing, quantity):
        return int(quantity) * int(self.listings[listing]["quantity_factor"])

    def check(self, child, parent_quantity, now_ns):
        row, limits = self.listings[child["listing"]], self.limits
        buy = child["side"] == Side.BUY
        size = self.in_instrument_scale(child["listing"], child["quantity"])
        mine = [self.in_instrument_scale(listing, reserved - filled)
                for _, listing, side, reserved, filled in self.orders if side == child["side"]]
        net = self.position + sum(self.in_instrument_scale(listing, filled) * (1 if side == Side.BUY else -1)
                                  for _, listing, side, _, filled in self.orders)
        worst = (net if buy else -net) + sum(mine) + size
        if self.state == TradingState.HALTED:
            return Reason.TRADING_HALTED
        if row["halted"]:
            return Reason.LISTING_HALTED
        if self.state == TradingState.REDUCING and worst > 0:
            return Reason.TRADING_REDUCING
        if child["quantity"] <= 0:
            return Reason.QUANTITY_NOT_POSITIVE
        if child["quantity"] > min(limits["maximum_quantity"], int(row["maximum_quantity"]) or 1 << 62):
            return Reason.QUANTITY_EXCEEDS_MAXIMUM
        if child["quantity"] < row["minimum_quantity"]:
            return Reason.QUANTITY_BELOW_MINIMUM
        if child["quantity"] % row["lot"]:
            return Reason.QUANTITY_OFF_LOT
        refusal = self.check_price(child, row, limits, now_ns)
        if refusal:
            return refusal
        if size + sum(self.in_instrument_scale(listing, reserved) for parent, listing, _, reserved, _ in self.orders
                      if parent == child["parent_id"]) > parent_quantity:
            return Reason.EXCEEDS_PARENT
        return Reason.POSITION_EXCEEDS_MAXIMUM if worst > limits["maximum_position"] else Reason.OK

    def check_price(self, child, row, limits, now_ns):
        market = child["order_type"] == OrderType.MARKET
        if not market and child["price"] <= 0:
            return Reason.PRICE_NOT_POSITIVE
        if not market and child["price"] % row["tick"]:
            return Reason.PRICE_OFF_TICK
        reference, reference_ns = limits["reference"]
        if not reference or now_ns - reference_ns > limits["reference_age_ns"]:
            return Reason.NO_REFERENCE_PRICE
        collar = Fraction(limits["collar"], 10**8)
        factor = int(row["price_factor"])
        if market:
            price = reference * (1 + collar) // factor + 1
        else:
            price = int(child["price"])
            if child["side"] == Side.BUY and price * factor > reference * (1 + collar):
                return Reason.PRICE_OUTSIDE_COLLAR
            if child["side"] == Side.SELL and price * factor < reference * (1 - collar):
                return Reason.PRICE_OUTSIDE_COLLAR
        notional = value(price, row["price_decimals"]) * value(child["quantity"], row["quantity_decimals"])
        if notional > value(limits["maximum_notional"], 8):
            return Reason.NOTIONAL_EXCEEDS_MAXIMUM
        if notional < value(row["minimum_notional"], 8):
            return Reason.NOTIONAL_BELOW_MINIMUM
        return None
