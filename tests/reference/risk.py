"""Pre-trade risk, slowly: fractions and whole histories instead of scaled integers, running sums and rings.

Nothing is kept but what happened: every order with its fills, every reference price, every moment at which profit was
looked at. Each check works it all out again. Prices, quantities and money are Fractions in units of their currency.
"""
from dataclasses import dataclass, field
from fractions import Fraction

from orderflow._core.types import BookState, OrderType, Reason, Side, TimeInForce, TradingState


def value(integer, decimals):
    return Fraction(int(integer), 10 ** int(decimals))


@dataclass
class Order:
    """One that was approved."""

    parent: int
    listing: int
    strategy: int
    side: int
    price: int
    quantity: int
    rests: bool
    placed_ns: int
    fills: list = field(default_factory=list)       # (price, quantity, now_ns)
    open: bool = True

    @property
    def filled(self):
        return sum(quantity for _, quantity, _ in self.fills)

    @property
    def reserved(self):
        return self.quantity if self.open else self.filled


class Watch:
    """Profit of one strategy or of everything, as often as it was looked at."""

    def __init__(self, loss, drawdown, stand_ns):
        self.loss, self.drawdown, self.stand_ns = loss, drawdown, stand_ns
        self.seen = []                              # (now_ns, profit, marks were fresh)
        self.origin = Fraction(0)
        self.tripped = None

    def peak(self):
        """The largest profit that stood for a whole stand_ns: of stretches that long, one by one, the lowest."""
        peak, begun, low = Fraction(0), None, None
        for now_ns, profit, _ in self.seen:
            low = profit if low is None else min(low, profit)
            if begun is None:
                begun = now_ns
            elif now_ns - begun >= self.stand_ns:
                peak, begun, low = max(peak, low), now_ns, profit
        return peak

    def exceeded(self, profit):
        if self.loss is not None and -profit > self.loss:
            return "loss"
        if self.drawdown is not None and self.peak() - profit > self.drawdown:
            return "drawdown"
        return None

    def look(self, now_ns, total_profit, fresh):
        profit = total_profit - self.origin
        self.seen.append((now_ns, profit, fresh))
        if self.tripped:
            return
        if not self.exceeded(profit) or not fresh:
            self.since = None
            return
        self.since = now_ns if getattr(self, "since", None) is None else self.since
        if now_ns - self.since >= self.stand_ns:
            self.tripped = self.exceeded(profit)

    def rearm(self, total_profit):
        self.seen, self.origin, self.tripped, self.since = [], total_profit, None, None


class Risk:
    """Limits as the native ones are set; see tests/test_risk.py for what `limits` holds."""

    def __init__(self, listings, limits, *, state, strategies=1, position=0):
        self.listings, self.limits, self.state, self.position = listings, limits, state, position
        self.strategies = [{"state": TradingState.ACTIVE, "reason": Reason.OK} for _ in range(strategies)]
        self.orders, self.references, self.feeds, self.messages = [], [limits["reference"]], {}, []
        self.events = []                            # (kind, strategy, now_ns) of first fills and rejects
        stand_ns = limits.get("stand_ns", 0)
        self.watches = {"total": Watch(limits.get("maximum_loss"), limits.get("maximum_drawdown"), stand_ns)}
        for place in range(strategies):
            self.watches[place] = Watch(limits.get("strategy_loss"), limits.get("strategy_drawdown"), stand_ns)

    # -- sums over what happened ----------------------------------------------------------------------------------

    def size(self, listing, quantity):
        """In the instrument's scale."""
        return int(quantity) * int(self.listings[listing]["quantity_factor"])

    def chosen(self, *, listing=None, strategy=None):
        return [order for order in self.orders if listing in (None, order.listing)
                and strategy in (None, order.strategy)]

    def net(self, orders):
        return sum(self.size(order.listing, order.filled) * (1 if order.side == Side.BUY else -1) for order in orders)

    def open(self, orders, side):
        return sum(self.size(order.listing, order.reserved - order.filled) for order in orders if order.side == side)

    def mark(self):
        """Of a unit of the instrument's scaled quantity."""
        row = self.listings[0]
        return value(self.references[-1][0], row["price_decimals"]) / 10 ** int(row["quantity_decimals"])

    def unit(self):
        """The smallest amount of money."""
        return Fraction(1, 10 ** int(self.listings[0]["price_decimals"] + self.listings[0]["quantity_decimals"]))

    def used(self, orders, buys=0, sells=0):
        net = self.net(orders)
        return max(net + self.open(orders, Side.BUY) + buys, self.open(orders, Side.SELL) + sells - net) * self.mark()

    def profit(self, whose):
        orders = self.orders if whose == "total" else self.chosen(strategy=whose)
        cash = Fraction(0)
        for order in orders:
            row = self.listings[order.listing]
            for price, quantity, _ in order.fills:
                notional = value(price, row["price_decimals"]) * value(quantity, row["quantity_decimals"])
                cash += notional if order.side == Side.SELL else -notional
                fee = notional * Fraction(int(row["taker_fee"]), 10**8)
                cash -= fee // self.unit() * self.unit()        # cut off, as money is counted
        return cash + self.net(orders) * self.mark()

    def fresh(self, now_ns):
        return now_ns - self.references[-1][1] <= self.limits["reference_age_ns"]

    def look(self, whose, now_ns):
        held = self.orders if whose == "total" else self.chosen(strategy=whose)
        open_or_held = self.net(held) or self.open(held, Side.BUY) or self.open(held, Side.SELL)
        if whose == "total":                        # of no strategy, if all of them are flat
            open_or_held = any(self.net(one) or self.open(one, Side.BUY) or self.open(one, Side.SELL)
                               for one in (self.chosen(strategy=place) for place in range(len(self.strategies))))
        self.watches[whose].look(now_ns, self.profit(whose), self.fresh(now_ns) or not open_or_held)

    def look_at_holders(self, now_ns):
        holders = [place for place in range(len(self.strategies)) if (orders := self.chosen(strategy=place)) and (
            self.net(orders) or self.open(orders, Side.BUY) or self.open(orders, Side.SELL))]
        for place in holders:
            self.look(place, now_ns)
        if holders:
            self.look("total", now_ns)

    # -- what happens ---------------------------------------------------------------------------------------------

    def set_reference(self, price, now_ns):
        self.references.append((price, now_ns))
        self.look_at_holders(now_ns)

    def set_feed(self, listing, state, now_ns):
        self.feeds[listing] = (state, now_ns)

    def approve(self, child, now_ns):
        self.orders.append(Order(
            int(child["parent_id"]), int(child["listing"]), int(child["strategy"]), int(child["side"]),
            int(child["price"]), int(child["quantity"]),
            int(child["time_in_force"]) not in (TimeInForce.IOC, TimeInForce.FOK), now_ns))
        self.messages.append((int(child["strategy"]), now_ns))
        return self.orders[-1]

    def fill(self, order, price, quantity, now_ns):
        order.fills.append((price, quantity, now_ns))
        if order.filled >= order.quantity:
            order.open = False
        self.look_at_holders(now_ns)
        if len(order.fills) == 1:
            self.throttle(order.strategy, "fills", Reason.FILLS_TOO_FREQUENT, now_ns)

    def end(self, order, now_ns, rejected=False):
        order.open = False
        if rejected:
            self.throttle(order.strategy, "rejects", Reason.REJECTS_TOO_FREQUENT, now_ns)

    def throttle(self, strategy, kind, reason, now_ns):
        most, window_ns = self.limits.get(kind, (0, 0))
        chosen = self.strategies[strategy]
        self.events.append((kind, strategy, now_ns))
        recent = sum(now_ns - at < window_ns for what, who, at in self.events[chosen.get("armed", 0):]
                     if (what, who) == (kind, strategy))
        if most and recent > most and chosen["state"] != TradingState.HALTED:
            chosen.update(state=TradingState.HALTED, reason=reason)

    def rearm(self, strategy, now_ns):
        """By hand; what came before does not count any more."""
        self.strategies[strategy] = {"state": TradingState.ACTIVE, "reason": Reason.OK, "armed": len(self.events)}
        self.watches[strategy].rearm(self.profit(strategy))

    # -- the check ------------------------------------------------------------------------------------------------

    def check(self, child, parent_quantity, now_ns):
        """Reason."""
        for one in (self.check_state, self.check_size, self.check_price, self.check_feed):
            refusal = one(child, now_ns)
            if refusal:
                return refusal
        if self.size(child["listing"], child["quantity"]) + sum(
                self.size(order.listing, order.reserved) for order in self.orders
                if order.parent == child["parent_id"]) > parent_quantity:
            return Reason.EXCEEDS_PARENT
        if self.worst(child, self.orders, self.position) > self.limits["maximum_position"]:
            return Reason.POSITION_EXCEEDS_MAXIMUM
        for one in (self.check_own_orders, self.check_money, self.check_rates):
            refusal = one(child, now_ns)
            if refusal:
                return refusal
        return Reason.OK

    def worst(self, child, orders, position=0):
        """The position if this and all that is open on its side is filled; above zero where it does not only shrink."""
        net = position + self.net(orders)
        size = self.size(child["listing"], child["quantity"])
        return (net if child["side"] == Side.BUY else -net) + self.open(orders, child["side"]) + size

    def check_state(self, child, now_ns):
        strategy = self.strategies[child["strategy"]]
        if self.state == TradingState.HALTED:
            return Reason.TRADING_HALTED
        if self.listings[child["listing"]]["halted"]:
            return Reason.LISTING_HALTED
        if strategy["state"] == TradingState.HALTED:
            return strategy["reason"] or Reason.STRATEGY_HALTED
        if self.state == TradingState.REDUCING and self.worst(child, self.orders, self.position) > 0:
            return Reason.TRADING_REDUCING
        return None

    def check_size(self, child, now_ns):
        row = self.listings[child["listing"]]
        if child["quantity"] <= 0:
            return Reason.QUANTITY_NOT_POSITIVE
        if child["quantity"] > min(self.limits["maximum_quantity"], int(row["maximum_quantity"]) or 1 << 62):
            return Reason.QUANTITY_EXCEEDS_MAXIMUM
        if child["quantity"] < row["minimum_quantity"]:
            return Reason.QUANTITY_BELOW_MINIMUM
        return Reason.QUANTITY_OFF_LOT if child["quantity"] % row["lot"] else None

    def check_price(self, child, now_ns):
        row, limits = self.listings[child["listing"]], self.limits
        market = child["order_type"] == OrderType.MARKET
        buy = child["side"] == Side.BUY
        if not market and child["price"] <= 0:
            return Reason.PRICE_NOT_POSITIVE
        if not market and child["price"] % row["tick"]:
            return Reason.PRICE_OFF_TICK
        reference = self.references[-1][0]
        if not reference or not self.fresh(now_ns):
            return Reason.NO_REFERENCE_PRICE
        factor = int(row["price_factor"])
        price = reference if market else int(child["price"]) * factor
        for around, fraction, code in (
                (reference, limits["collar"], Reason.PRICE_OUTSIDE_COLLAR),
                (self.reference_then(now_ns), limits.get("drift_collar"), Reason.PRICE_DRIFTED)):
            if around is None or fraction is None:
                continue
            bound = around * (1 + Fraction(fraction, 10**8) * (1 if buy else -1))
            if price > bound if buy else price < bound:
                return code
        paid = reference * (1 + Fraction(limits["collar"], 10**8)) // factor + 1 if market else int(child["price"])
        notional = value(paid, row["price_decimals"]) * value(child["quantity"], row["quantity_decimals"])
        if notional > value(limits["maximum_notional"], 8):
            return Reason.NOTIONAL_EXCEEDS_MAXIMUM
        return Reason.NOTIONAL_BELOW_MINIMUM if notional < value(row["minimum_notional"], 8) else None

    def reference_then(self, now_ns):
        """Of the samples, a 62nd of the window apart: the newest that is as old as the window, else the oldest."""
        window_ns = self.limits.get("drift_window_ns")
        samples = []
        for price, at in self.references:
            if price and (not samples or at - samples[-1][1] >= (window_ns or 0) // 62):
                samples.append((price, at))
        if not window_ns or not samples:
            return None
        old = [price for price, at in samples if at <= now_ns - window_ns]
        return old[-1] if old else samples[0][0]

    def check_feed(self, child, now_ns):
        state, at = self.feeds.get(int(child["listing"]), (BookState.LIVE, 0))
        if state != BookState.LIVE:
            return Reason.BOOK_NOT_LIVE
        most = self.limits.get("feed_age_ns")
        return Reason.FEED_TOO_OLD if most and now_ns - at > most else None

    def check_own_orders(self, child, now_ns):
        out = [order for order in self.chosen(listing=child["listing"]) if order.open]
        for order in out:
            if ((order.side, order.price, order.quantity, order.strategy)
                    == tuple(int(child[name]) for name in ("side", "price", "quantity", "strategy"))
                    and now_ns - order.placed_ns < self.limits.get("repeat_ns", 0)):
                return Reason.REPEATED_ORDER
        for order in out:
            if order.rests and order.price and order.side != child["side"]:
                crosses = (child["price"] >= order.price if child["side"] == Side.BUY
                           else child["price"] <= order.price)
                if child["order_type"] == OrderType.MARKET or crosses:
                    return Reason.SELF_TRADE
        return None

    def check_money(self, child, now_ns):
        row, strategy = self.listings[child["listing"]], int(child["strategy"])
        size = self.size(child["listing"], child["quantity"])
        own = self.chosen(strategy=strategy)
        priced = (size * self.mark() if child["order_type"] == OrderType.MARKET else
                  value(child["price"], row["price_decimals"]) * value(child["quantity"], row["quantity_decimals"]))
        if priced > self.limits.get("strategy_notional", priced):
            return Reason.STRATEGY_NOTIONAL_EXCEEDED
        self.look(strategy, now_ns)
        self.look("total", now_ns)
        for whose, orders, position, loss, drawdown in (
                ("total", self.orders, self.position, Reason.LOSS_EXCEEDS_MAXIMUM, Reason.DRAWDOWN_EXCEEDS_MAXIMUM),
                (strategy, own, 0, Reason.STRATEGY_LOSS_EXCEEDED, Reason.STRATEGY_DRAWDOWN_EXCEEDED)):
            watch = self.watches[whose]
            what = watch.tripped or watch.exceeded(self.profit(whose) - watch.origin)
            if what and self.worst(child, orders, position) > 0:
                return loss if what == "loss" else drawdown
        more = (size, 0) if child["side"] == Side.BUY else (0, size)
        here = self.chosen(listing=child["listing"])
        adding = self.used(here, *more) - self.used(here)
        each = [self.chosen(listing=listing) for listing in range(len(self.listings))]
        exchange = [orders for orders, other in zip(each, self.listings, strict=True)
                    if other["exchange"] == row["exchange"]]
        for held, name, code in ((exchange, "exchange_capital", Reason.EXCHANGE_CAPITAL_EXCEEDED),
                                 (each, "maximum_capital", Reason.CAPITAL_EXCEEDED)):
            most = self.limits.get(name)
            if adding > 0 and most is not None and sum(map(self.used, held)) + adding > most:
                return code
        most = self.limits.get("strategy_capital")
        if most is not None and self.used(own, *more) > max(most, self.used(own)):
            return Reason.STRATEGY_CAPITAL_EXCEEDED
        return None

    def check_rates(self, child, now_ns):
        for name, code, sent in (
                ("messages", Reason.MESSAGE_RATE_EXCEEDED, self.messages),
                ("strategy_messages", Reason.STRATEGY_RATE_EXCEEDED,
                 [one for one in self.messages if one[0] == child["strategy"]])):
            rate, period_ns = self.limits.get(name, (0, 1))
            if rate and tokens(rate, period_ns, [at for _, at in sent], now_ns) < 1 + rate // 5:
                return code
        return None


def tokens(rate, period_ns, times, now_ns):
    """Tokens of a bucket that was full at first and gave one at each of these times."""
    left, last = Fraction(rate), 0
    cost = period_ns // rate                        # a whole number of nanoseconds, as the native one has it
    most = Fraction(period_ns, cost)
    left = most
    for at in [*times, now_ns]:
        left = min(most, left + Fraction(at - last, cost))
        last = at
        left -= 1
    return left + 1
