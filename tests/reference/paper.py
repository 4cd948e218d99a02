"""The paper exchange, slow and obvious: one listing, dicts and lists, everything looked at each time.

What docs/paper.md says, in the words of that document. Levels without a quote, all of the book known.
"""
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

BUY, SELL = 1, 2
LIMIT, MARKET = 1, 2
GTC, IOC, FOK, GTD = 1, 2, 3, 4
EXPLAIN_NS = 1_000_000_000


@dataclass
class Order:
    order_id: int
    side: int
    price: int
    quantity: int
    order_type: int = LIMIT
    time_in_force: int = GTC
    post_only: bool = False
    expire_ns: int = 0
    display: int = 0            # 0 = it shows all of itself
    part: int = 0               # what is left of what it shows
    filled: int = 0
    ahead: int = 0
    decreases: list = field(default_factory=list)   # [when it was, how much of it no trade has explained yet]
    met_ns: int = 0             # exchange's time of the book that it met
    waits: bool = False

    @property
    def left(self):
        return self.quantity - self.filled

    @property
    def turn(self):
        """What of it may be filled before it stands at the end of the queue again."""
        return min(self.left, self.part) if self.display else self.left

    @property
    def immediate(self):
        return self.order_type == MARKET or self.time_in_force in (IOC, FOK)


class Paper:
    """`reports` are (due_ns, event_ns, order_id, what, reason, cumulative, price, quantity, fee, liquidity)."""

    def __init__(self, order_ns, report_ns, maker_fee=0, taker_fee=0, price_decimals=2, quantity_decimals=3,
                 fees_in="received", tick=1, lot=1, most_parts=0):
        self.order_ns, self.report_ns = order_ns, report_ns
        self.rates = {"MAKER": Fraction(maker_fee, 10**8), "TAKER": Fraction(taker_fee, 10**8)}
        self.price_decimals, self.quantity_decimals, self.fees_in = price_decimals, quantity_decimals, fees_in
        self.tick, self.lot, self.most_parts = tick, lot, most_parts
        self.shown = {BUY: {}, SELL: {}}
        self.taken = {BUY: {}, SELL: {}}
        self.live, self.exchange_ns = False, 0
        self.travelling = []
        self.orders = []        # that rest or wait, as they came
        self.reports = []

    # -- what is sent ----------------------------------------------------------------------------------------------

    def send(self, what, now_ns):
        """An Order, or the id of one to cancel."""
        if isinstance(what, int) or self.live:      # the gate lets no new order go to a book that is not LIVE
            self.travelling.append((now_ns + self.order_ns, what))

    def advance(self, before_ns):
        """Everything that happens at the exchange before that moment by itself."""
        while True:
            expiring = [(order.expire_ns, place, order) for place, order in enumerate(self.orders)
                        if order.time_in_force == GTD]
            next_end = min(expiring, key=lambda each: each[:2], default=None)
            next_one = self.travelling[0] if self.travelling else None
            if next_end and next_end[0] < before_ns and (next_one is None or next_end[0] <= next_one[0]):
                self.end(next_end[2], "EXPIRED", "END_TIME", next_end[0])
            elif next_one and next_one[0] < before_ns:
                self.travelling.pop(0)
                (self.cancel if isinstance(next_one[1], int) else self.arrive)(next_one[1], next_one[0])
            else:
                return

    def cancel(self, order_id, now_ns):
        for order in self.orders:
            if order.order_id == order_id:
                self.end(order, "CANCELED", "OK", now_ns)
                return
        self.say(order_id, "CANCEL_REJECTED", "UNKNOWN_ORDER", -1, now_ns)

    def arrive(self, order, now_ns):
        reason = self.objection(order, now_ns)
        if reason is None and self.live and order.post_only and self.reachable(order):
            self.say(order.order_id, "REJECTED", "POST_ONLY_WOULD_TAKE", 0, now_ns)
        elif reason is not None:
            self.say(order.order_id, "REJECTED", reason, -1, now_ns)
        else:
            self.say(order.order_id, "NEW", "OK", 0, now_ns)
            if not self.live and order.immediate:
                self.say(order.order_id, "EXPIRED", "BOOK_NOT_LIVE", 0, now_ns)
            elif not self.live:
                order.waits = True
                self.orders.append(order)
            elif order.time_in_force == FOK and sum(left for _, left in self.reachable(order)) < order.quantity:
                self.say(order.order_id, "EXPIRED", "NO_LIQUIDITY", 0, now_ns)
            else:
                self.meet(order, now_ns)

    def objection(self, order, now_ns):
        if order.quantity % self.lot:
            return "QUANTITY_OFF_LOT"
        if any(each.order_id == order.order_id for each in self.orders):
            return "DUPLICATE_ORDER"
        if order.post_only and order.immediate:
            return "EXCHANGE_RULE"
        if order.display and (order.order_type == MARKET or order.display >= order.quantity
                              or ceil(Fraction(order.quantity, order.display)) > self.most_parts):
            return "EXCHANGE_RULE"
        if order.order_type == MARKET:
            return None
        if order.time_in_force == GTD and order.expire_ns <= now_ns:
            return "EXCHANGE_RULE"
        return "PRICE_OFF_TICK" if order.price % self.tick else None

    # -- matching --------------------------------------------------------------------------------------------------

    def reachable(self, order):
        """(price, quantity left for us) of the other side within the order's limit, best first."""
        other = SELL if order.side == BUY else BUY
        found = []
        for price in sorted(self.shown[other], reverse=other == BUY):
            within = order.order_type == MARKET or (price <= order.price if order.side == BUY else price >= order.price)
            left = self.shown[other][price] - self.taken[other].get(price, 0)
            if within and left > 0:
                found.append((price, left))
        return found

    def trade(self, order, liquidity, now_ns):
        other = SELL if order.side == BUY else BUY
        for price, left in self.reachable(order):
            quantity = min(left, order.left)
            if quantity:
                self.taken[other][price] = self.taken[other].get(price, 0) + quantity
                self.fill(order, price if liquidity == "TAKER" else order.price, quantity, liquidity, now_ns)

    def meet(self, order, now_ns):
        self.trade(order, "TAKER", now_ns)
        if order.left and order.immediate:
            self.say(order.order_id, "EXPIRED", "NO_LIQUIDITY", order.filled, now_ns)
        elif order.left:
            order.waits, order.part = False, order.display
            self.join(order)
            if order not in self.orders:
                self.orders.append(order)
        elif order in self.orders:
            self.orders.remove(order)

    def join(self, order):
        """At the end of the queue."""
        order.ahead, order.met_ns, order.decreases = self.shown[order.side].get(order.price, 0), self.exchange_ns, []

    def use_up(self, order, quantity):
        """So much of it was filled while it rested: of an iceberg unit by unit, and each part that is gone is followed
        by the next, at the end of the queue."""
        for _ in range(quantity if order.display else 0):
            order.part -= 1
            if order.part == 0:
                order.part = order.display
                self.join(order)

    def queue(self, side):
        """Our orders, best price first, then as they came."""
        ours = [order for order in self.orders if order.side == side]
        return sorted(ours, key=lambda order: -order.price if side == BUY else order.price)

    # -- what the exchange says ------------------------------------------------------------------------------------

    def on_book(self, shown, exchange_ns, now_ns):
        """The whole book as it is now; None = it is not LIVE."""
        self.advance(now_ns)
        self.live = shown is not None
        if not self.live:
            return
        self.shown, self.exchange_ns = shown, exchange_ns
        for side in (BUY, SELL):
            self.taken[side] = {price: min(taken, shown[side].get(price, 0))
                                for price, taken in self.taken[side].items()}
        for side in (BUY, SELL):
            for order in self.queue(side):
                if order.waits and order.post_only and self.reachable(order):
                    self.end(order, "EXPIRED", "POST_ONLY_WOULD_TAKE", now_ns)
                elif order.waits:
                    self.meet(order, now_ns)
                else:
                    quantity = shown[side].get(order.price, 0)
                    if quantity < order.ahead:
                        self.forget_old(order, now_ns)
                        order.decreases.append([now_ns, order.ahead - quantity])
                        order.ahead = quantity
                    before = order.filled
                    self.trade(order, "MAKER", now_ns)
                    self.use_up(order, order.filled - before)
                    if not order.left:
                        self.orders.remove(order)

    def forget_old(self, order, now_ns):
        """Decreases are remembered until there was none for EXPLAIN_NS."""
        if order.decreases and now_ns - order.decreases[-1][0] > EXPLAIN_NS:
            order.decreases = []

    def on_trade(self, taker, price, quantity, exchange_ns, now_ns):
        self.advance(now_ns)
        if not self.live:
            return
        maker = SELL if taker == BUY else BUY
        for order in self.queue(maker):
            better = order.price > price if maker == BUY else order.price < price
            if order.waits or exchange_ns <= order.met_ns or not (better or order.price == price):
                continue
            reaches = quantity
            if not better:
                self.forget_old(order, now_ns)
                for decrease in order.decreases:
                    explained = min(decrease[1], reaches)
                    decrease[1] -= explained
                    reaches -= explained
                served = min(order.ahead, reaches)
                order.ahead -= served
                reaches -= served
            part = min(reaches, order.left if better else order.turn)
            if part:
                quantity -= part
                self.fill(order, order.price, part, "MAKER", now_ns)
                self.use_up(order, part)
                if not order.left:
                    self.orders.remove(order)

    # -- reports ---------------------------------------------------------------------------------------------------

    def fill(self, order, price, quantity, liquidity, now_ns):
        order.filled += quantity
        if order.side == BUY and self.fees_in == "received":
            amount = Fraction(quantity, 10**self.quantity_decimals)
        else:
            amount = Fraction(price * quantity, 10**(self.price_decimals + self.quantity_decimals))
        fee = ceil(amount * self.rates[liquidity] * 10**8)
        self.say(order.order_id, "FILL", "OK", order.filled, now_ns, price, quantity, fee, liquidity)

    def end(self, order, what, reason, now_ns):
        self.orders.remove(order)
        self.say(order.order_id, what, reason, order.filled, now_ns)

    def say(self, order_id, what, reason, cumulative, now_ns, price=0, quantity=0, fee=0, liquidity=""):
        due_ns = max([now_ns + self.report_ns, *(report[0] for report in self.reports[-1:])])
        self.reports.append((due_ns, now_ns, order_id, what, reason, cumulative, price, quantity, fee, liquidity))
