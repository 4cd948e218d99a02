"""Liquidity from agents: one matching engine an instrument, the agents' orders and ours in the order of their time.

Whatever arrives, the agents' orders that are older than it are matched first. So the state at a time does not depend
on when it was looked at, and the same orders at the same times give the same fills.
"""
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import gcd

from orderflow._core.matching import MatchingEngine
from orderflow._core.types import OrderType, Reason, Side
from orderflow.simulator.agents import Action, Flow, Temper
from orderflow.simulator.charges import affordable, cost_of
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.numbers import to_text
from orderflow.simulator.order import Order, Submission
from orderflow.simulator.passage import Passage, Taker

GRID_NS = 10_000_000            # a driver is asked to come back at multiples of this, not for every single order
BURST = 2000                    # moments per `advance`
CAPACITY = 1 << 16              # resting orders of one instrument
DEFAULT_PRICES = {"BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0}


@dataclass
class MarketBook:
    """One instrument's matching engine, and what its publishing needs to know."""
    instrument: SimulatedInstrument
    engine: MatchingEngine
    flow: Flow
    update_id: int = 1_000_000          # one for every order that changed the book
    touch: tuple = (None, 0, None, 0)   # best bid and its quantity, best ask and its quantity
    icebergs: dict[int, Order] = field(default_factory=dict)            # resting ones, by id

    def shrink(self, order: Order, quantity: int) -> None:
        """An order of an account loses quantity and keeps its turn; of an iceberg what is hidden goes first."""
        resting = self.engine.resting_order(order.order_id)
        if order.leaves == quantity:
            self.icebergs.pop(order.order_id, None)
        if resting is not None and order.leaves - quantity < resting[2]:
            self.engine.reduce(order.order_id, resting[2] - (order.leaves - quantity))

    def hide(self, order: Order, resting: int) -> None:
        """So much of an order rests since a moment ago, and nobody was told: it shows no more than it wants to."""
        if order.display and order.display < resting:
            self.icebergs[order.order_id] = order
            self.engine.cancel(order.order_id)
            self.engine.submit(order.order_id, order.side, order.display, order.price, owner=order.account.index)

    def show_more(self, order: Order) -> bool:
        """Of an iceberg whose visible part was taken: the next part, at the end of the queue; whether there was one."""
        if order.leaves and self.engine.resting_order(order.order_id) is None:
            self.engine.submit(order.order_id, order.side, min(order.display, order.leaves), order.price,
                               owner=order.account.index)
            return True
        if not order.leaves:
            self.icebergs.pop(order.order_id, None)
        return False

    def look(self) -> tuple:
        """Best bid, quantity there, best ask, quantity there; None and 0 for an empty side."""
        engine = self.engine
        bid, ask = engine.best_bid, engine.best_ask
        return (bid, 0 if bid is None else engine.quantity_at(Side.BUY, bid),
                ask, 0 if ask is None else engine.quantity_at(Side.SELL, ask))

    def levels(self, side: int, count: int) -> list[tuple[int, int]]:
        """The best levels of one side as (price, quantity), best first."""
        return [(int(price), int(quantity)) for price, quantity in self.engine.depth(side, count).tolist()]

    def changes(self) -> list[tuple[int, int, int]]:
        """Levels that changed since the last call, as they are now: (side, price, quantity), by rising price."""
        changed = self.engine.drain_changes()
        if changed is None:
            raise RuntimeError(f"{self.instrument.symbol}: more than {CAPACITY} levels changed since the last time")
        return list(zip(*(changed[name].tolist() for name in ("side", "price", "quantity")), strict=True))

    def price_text(self, price: int) -> str:
        """A price as written on the wire."""
        return to_text(price, self.instrument.price_decimals)

    def quantity_text(self, quantity: int) -> str:
        """A quantity as written on the wire."""
        return to_text(quantity, self.instrument.quantity_decimals)


class Market:
    """A source of market data (see exchange.py) that really trades.

    `origin_ns` is the unix time at which simulated time begins; exchanges with the same seed and origin share the
    hidden price. `prices` gives the first price of a base asset. `ticks` names the price steps that an instrument may
    be given later (`change_tick`).
    """
    contents = None             # nothing recorded
    finished = False

    def __init__(self, name: str, instruments: Sequence[SimulatedInstrument], seed, origin_ns: int,
                 temper: Temper | None = None, prices: dict[str, float] | None = None,
                 ticks: dict[str, tuple[int, ...]] | None = None):
        if not instruments:
            raise ValueError(f"instruments: exchange {name} trades nothing")
        self.instruments = tuple(instruments)
        self.origin_ns = origin_ns
        self.books: dict[str, MarketBook] = {}
        self.finest: dict[str, int] = {}        # price step of the matching engines
        prices = DEFAULT_PRICES | (prices or {})
        for instrument in self.instruments:
            if instrument.base not in prices:
                raise ValueError(f"prices: no first price for {instrument.base} of {instrument.symbol}")
            flow = Flow(instrument, prices[instrument.base], seed, name, temper or Temper())
            finest = gcd(instrument.tick, *(ticks or {}).get(instrument.symbol, ()))
            self.finest[instrument.symbol] = finest
            engine = MatchingEngine(tick=finest, capacity=CAPACITY, changes=CAPACITY)
            self.books[instrument.symbol] = MarketBook(instrument, engine, flow)
        self._reached_ns = origin_ns            # everything before has been done
        self._publish_ns = origin_ns

    def next_ns(self, exchange) -> int:
        """The grid point by which something will have happened."""
        due_ns = min([self._publish_ns, *(self.origin_ns + book.flow.next_ns for book in self.books.values())])
        grid_ns = exchange.publish_every_ns if exchange.publish_every_ns < GRID_NS else GRID_NS
        return max(-(-(due_ns - self.origin_ns) // grid_ns) * grid_ns + self.origin_ns, self._reached_ns)

    def advance(self, exchange, now_ns: int) -> None:
        """Let agents act and books be published up to now, in the order of time; at most BURST moments."""
        for _ in range(BURST):
            book = min(self.books.values(), key=lambda one: one.flow.next_ns)
            due_ns = self.origin_ns + book.flow.next_ns
            if min(due_ns, self._publish_ns) > now_ns:
                self._reached_ns = max(self._reached_ns, now_ns + 1)
                return
            if self._publish_ns < due_ns:
                for published in self.books.values():
                    exchange.publish_book(published, self._publish_ns)
                self._publish_ns += exchange.publish_every_ns
            else:
                for action in book.flow.take():
                    self._act(exchange, book, action, due_ns)

    def catch_up(self, exchange, now_ns: int) -> None:
        """Do all that is older than an order which arrives now."""
        while self._reached_ns <= now_ns:
            self.advance(exchange, now_ns)

    def submit(self, exchange, order: Order, at_ns: int) -> Submission:
        """Match an order of an account, who has caught up; trades are published before this returns."""
        book = self.books[order.instrument.symbol]
        taker = Taker(order.order_id, order.side, order.leaves, order.price, order.order_type, order.time_in_force,
                      order.post_only, order.account.index, order)
        return self._cross(exchange, book, taker, at_ns)

    def withdraw(self, exchange, order: Order, at_ns: int) -> None:
        """Take a resting order of an account out of the book."""
        book = self.books[order.instrument.symbol]
        book.icebergs.pop(order.order_id, None)
        book.engine.cancel(order.order_id)
        self._changed(exchange, book, (), at_ns)

    def reduce(self, exchange, order: Order, quantity: int, at_ns: int) -> None:
        """Make a resting order of an account smaller; it keeps its turn."""
        book = self.books[order.instrument.symbol]
        book.shrink(order, quantity)
        self._changed(exchange, book, (), at_ns)

    def crosses(self, order: Order) -> bool:
        """Whether a limit order would trade at once."""
        bid, _, ask, _ = self.books[order.instrument.symbol].look()
        return ask is not None and ask <= order.price if order.side == Side.BUY else (
            bid is not None and bid >= order.price)

    def change_tick(self, symbol: str, tick: int) -> None:
        """From now on the agents' prices are multiples of `tick`, which is one of `finest`; what rests already stays
        where it is."""
        book = self.books[symbol]
        changed = replace(book.instrument, tick=tick)
        self.instruments = tuple(changed if one.symbol == symbol else one for one in self.instruments)
        book.instrument = changed
        book.flow.trade(changed)

    def cost(self, instrument: SimulatedInstrument, quantity: int) -> int:
        """Price times quantity of buying so much now, or all there is."""
        return cost_of(self.books[instrument.symbol].levels(Side.SELL, CAPACITY), quantity)

    def affordable(self, instrument: SimulatedInstrument, side: int, budget: int) -> int:
        """Quantity that a market order of `budget` (price times quantity) buys or sells now."""
        other = Side.SELL if side == Side.BUY else Side.BUY
        return affordable(self.books[instrument.symbol].levels(other, CAPACITY), budget, instrument.lot)

    def top(self, instrument: SimulatedInstrument, count: int) -> tuple[list, ...]:
        """Best levels as (price text, quantity text): bids, asks."""
        book = self.books[instrument.symbol]
        return tuple([(book.price_text(price), book.quantity_text(quantity))
                      for price, quantity in book.levels(side, count)] for side in (Side.BUY, Side.SELL))

    def _act(self, exchange, book: MarketBook, action: Action, at_ns: int) -> None:
        if action.quantity == 0:
            reason, _ = book.engine.cancel(action.order_id)
            if reason == Reason.OK:
                self._changed(exchange, book, (), at_ns)
            return
        self._cross(exchange, book, Taker(action.order_id, action.side, action.quantity, action.price,
                                          OrderType.LIMIT, action.time_in_force, action.post_only), at_ns)
        if exchange.desk is not None:
            exchange.desk.settle(at_ns)

    def _cross(self, exchange, book: MarketBook, taker: Taker, at_ns: int) -> Submission:
        def changed(trades) -> None:
            self._changed(exchange, book, trades, at_ns)

        orders = (exchange.desk.resting_against(book.instrument.symbol, taker.side)
                  if book.icebergs or taker.minds else [])
        return Passage(taker, book, orders, changed).run()

    def _changed(self, exchange, book: MarketBook, trades, at_ns: int) -> None:
        book.update_id += 1
        if len(trades):
            exchange.publish_trades(book, trades, at_ns)
            for order_id, price, quantity, trade_id in trades[trades["maker_owner"] > 0][
                    ["maker_id", "price", "quantity", "trade_id"]].tolist():
                exchange.desk.maker_filled(order_id, price, quantity, trade_id, at_ns)
                iceberg = book.icebergs.get(order_id)
                if iceberg is not None and book.show_more(iceberg):
                    exchange.order_refilled(iceberg, at_ns)
            if exchange.desk is not None:
                exchange.desk.traded(book.instrument.symbol, int(trades["price"][-1]))
        touch = book.look()
        if touch != book.touch:
            book.touch = touch
            exchange.publish_touch(book, at_ns)
