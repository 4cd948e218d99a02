"""A book with icebergs and self-trade prevention, slow and obvious: one list of orders, one trade at a time."""
from dataclasses import dataclass, field

BUY, SELL = 1, 2


@dataclass
class Resting:
    name: str
    owner: str
    side: int
    price: int
    left: int                   # hidden included
    display: int                # 0 = all of it
    turn: int = 0
    shown: int = 0
    filled: int = 0
    prevented: int = 0
    fate: str = "open"


@dataclass
class Venue:
    """One symbol, and what has become of every order."""
    orders: dict = field(default_factory=dict)
    turns: int = 0
    trades: list = field(default_factory=list)      # (maker, taker, price, quantity)

    def queue(self, order):
        self.turns += 1
        order.turn = self.turns
        order.shown = min(order.display or order.left, order.left)

    def best(self, side, price):
        """The resting order that a taker of that side meets first; price None = any."""
        found = [one for one in self.orders.values() if one.fate == "open" and one.shown and one.side != side
                 and (price is None or (one.price <= price if side == BUY else one.price >= price))]
        return min(found, key=lambda one: (one.price if side == BUY else -one.price, one.turn), default=None)

    def end(self, order, fate):
        order.fate, order.shown = fate, 0

    def lose(self, order, quantity):
        """Prevented quantity: what is hidden goes first, and the turn stays."""
        order.left -= quantity
        order.prevented += quantity
        order.shown = min(order.shown, order.left)
        if not order.left:
            self.end(order, "self_trade")

    def place(self, name, owner, side, price, quantity, display, force, mode):
        taker = Resting(name, owner, side, price, quantity, display)
        self.orders[name] = taker
        if force == "FOK" and self.reachable(taker, mode) < quantity:
            return self.end(taker, "no_liquidity")
        while taker.left:
            maker = self.best(side, price)
            if maker is None:
                break
            if maker.owner == owner and mode != "NONE":
                if mode == "DECREMENT":
                    lost = min(taker.left, maker.left)
                    self.lose(maker, lost)
                    self.lose(taker, lost)
                if mode in ("EXPIRE_MAKER", "EXPIRE_BOTH"):
                    self.end(maker, "self_trade")
                if mode in ("EXPIRE_TAKER", "EXPIRE_BOTH"):
                    return self.end(taker, "self_trade")
                continue
            traded = min(taker.left, maker.shown)
            self.trades.append((maker.name, name, maker.price, traded))
            for one in (maker, taker):
                one.left -= traded
                one.filled += traded
            maker.shown -= traded
            if not maker.left:
                self.end(maker, "self_trade" if maker.prevented else "filled")
            elif not maker.shown:
                self.queue(maker)
        if not taker.left:
            self.end(taker, "self_trade" if taker.prevented else "filled")
        elif force == "GTC" and price is not None:
            self.queue(taker)
        else:
            self.end(taker, "no_liquidity")
        return None

    def reachable(self, taker, mode):
        return sum(one.left for one in self.orders.values() if one.fate == "open" and one.side not in (0, taker.side)
                   and one.shown and not (one.owner == taker.owner and mode != "NONE")
                   and (one.price <= taker.price if taker.side == BUY else one.price >= taker.price))

    def cancel(self, name):
        if self.orders[name].fate == "open":
            self.end(self.orders[name], "requested")
