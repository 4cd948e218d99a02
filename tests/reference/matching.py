"""Price-time matching, slow and obvious: two dicts of price -> list of orders, best first by sorting."""
from dataclasses import dataclass

BUY, SELL = 1, 2
LIMIT, MARKET = 1, 2
GTC, IOC, FOK, GTD = 1, 2, 3, 4


@dataclass
class Order:
    order_id: int
    side: int
    price: int
    quantity: int
    owner: int


class Matching:
    """One symbol. Reasons are the names of types.Reason."""

    def __init__(self, tick=1, capacity=10**9):
        self.tick = tick
        self.capacity = capacity
        self.queues = {BUY: {}, SELL: {}}
        self.live = {}
        self.trade_id = 0
        self.changed = set()

    def prices(self, side):
        return sorted(self.queues[side], reverse=side == BUY)

    def crossing(self, side, price):
        """Queues of the other side that an order may trade with, best first."""
        other = SELL if side == BUY else BUY
        return [(at, self.queues[other][at]) for at in self.prices(other)
                if price is None or (at <= price if side == BUY else at >= price)]

    def refusal(self, order_id, side, quantity, price, order_type, time_in_force, post_only):
        if quantity <= 0:
            return "QUANTITY_NOT_POSITIVE"
        if order_id in self.live:
            return "DUPLICATE_ORDER"
        if order_type == LIMIT:
            if price <= 0:
                return "PRICE_NOT_POSITIVE"
            if price % self.tick:
                return "PRICE_OFF_TICK"
            if post_only and time_in_force in (IOC, FOK):
                return "EXCHANGE_RULE"
            if time_in_force in (GTC, GTD):
                crosses = bool(self.crossing(side, price))
                if crosses and post_only:
                    return "POST_ONLY_WOULD_TAKE"
                if not crosses and len(self.live) == self.capacity:
                    return "TABLE_FULL"
        if time_in_force == FOK:
            limit = price if order_type == LIMIT else None
            if sum(order.quantity for _, queue in self.crossing(side, limit) for order in queue) < quantity:
                return "NO_LIQUIDITY"
        return None

    def submit(self, order_id, side, quantity, price=0, *, order_type=LIMIT, time_in_force=GTC, post_only=False,
               owner=0):
        """Returns (reason, filled, resting, cancelled, trades)."""
        reason = self.refusal(order_id, side, quantity, price, order_type, time_in_force, post_only)
        if reason:
            return reason, 0, 0, 0, []
        trades = []
        remaining = quantity
        for at, queue in self.crossing(side, price if order_type == LIMIT else None):
            while queue and remaining:
                maker = queue[0]
                traded = min(maker.quantity, remaining)
                maker.quantity -= traded
                remaining -= traded
                self.trade_id += 1
                trades.append((maker.order_id, order_id, self.trade_id, at, traded, maker.quantity, maker.owner, owner,
                               side))
                self.changed.add((at, maker.side))
                if not maker.quantity:
                    self.remove(maker)
        rests = order_type == LIMIT and time_in_force in (GTC, GTD) and remaining > 0
        if rests:
            order = self.live[order_id] = Order(order_id, side, price, remaining, owner)
            self.queues[side].setdefault(price, []).append(order)
            self.changed.add((price, side))
        return "OK", quantity - remaining, remaining if rests else 0, 0 if rests else remaining, trades

    def reduce(self, order_id, quantity):
        """Returns (reason, quantity that still rests)."""
        order = self.live.get(order_id)
        if order is None:
            return "UNKNOWN_ORDER", 0
        if quantity >= order.quantity:
            self.cancel(order_id)
            return "OK", 0
        if quantity <= 0:
            return "QUANTITY_NOT_POSITIVE", 0
        order.quantity -= quantity
        self.changed.add((order.price, order.side))
        return "OK", order.quantity

    def remove(self, order):
        queue = self.queues[order.side][order.price]
        queue.remove(order)
        if not queue:
            del self.queues[order.side][order.price]
        del self.live[order.order_id]

    def cancel(self, order_id):
        order = self.live.get(order_id)
        if order is None:
            return "UNKNOWN_ORDER", 0
        self.changed.add((order.price, order.side))
        self.remove(order)
        return "OK", order.quantity

    def quantity_at(self, side, price):
        return sum(order.quantity for order in self.queues[side].get(price, []))

    def depth(self, side):
        return [(price, self.quantity_at(side, price)) for price in self.prices(side)]

    def queue_position(self, order_id):
        order = self.live.get(order_id)
        if order is None:
            return None
        queue = self.queues[order.side][order.price]
        ahead = queue[:queue.index(order)]
        return sum(other.quantity for other in ahead), len(ahead)

    def drain_changes(self):
        """(price, quantity now, side) of what changed since the last drain, by rising price, bids first."""
        out = [(price, self.quantity_at(side, price), side) for price, side in sorted(self.changed)]
        self.changed.clear()
        return out
