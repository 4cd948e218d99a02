"""Orders of accounts: checked, reserved for, matched, paid, and written into a log of what truly happened.

No protocol: a dialect turns requests into `place`, `amend` and `cancel`, words refusals, and hears of every event. The
source of liquidity matches: a Market with a matching engine, or a recorded book (recorded_book.py). Stop-loss and
take-profit orders wait here, with their money reserved, until a trade sets them off.

    place ── check ── reserve ── source.submit ──> accepted, fills, ended ──> dialect
    source (a maker's fill) ───────── filled ────> fill, ended ─────────────> dialect
    source (any trade) ── traded ── settle ──> triggered, and then as if it had been placed
"""
import heapq
from dataclasses import replace

from orderflow._core.types import OrderStatus, OrderType, Reason, Side
from orderflow.simulator.accounts import FEE_DECIMALS, Account, AccountSettings
from orderflow.simulator.cashier import Cashier
from orderflow.simulator.charges import check
from orderflow.simulator.exchange import NEVER_NS
from orderflow.simulator.numbers import to_text
from orderflow.simulator.order import Ending, Order, Rejection, SelfTrade, Submission
from orderflow.simulator.triggers import Triggers
from orderflow.simulator.truth import TruthLog


class OrderDesk:
    """The orders of one exchange.

    `fee_in_quote`: Kraken's way; otherwise the fee is taken from what is received, as Binance does. `most_open` is how
    many orders an account may have open in one instrument, `most_parts` in how many an iceberg may come, and
    `triggers_at_once` says what becomes of a stop whose condition is met already: it is set off, or refused.
    """

    def __init__(self, exchange, settings: tuple[AccountSettings, ...], fee_in_quote: bool, most_open: int = 225,
                 most_parts: int = 15, triggers_at_once: bool = True):
        self.exchange = exchange
        self.accounts = [Account(one, index) for index, one in enumerate(settings, 1)]
        self.orders: dict[int, Order] = {}
        self.truth_log = TruthLog(exchange)
        self.hide_ns = 0                        # how long queries do not find a new order
        self._cash = Cashier(exchange, fee_in_quote)
        self._most_open = most_open
        self._most_parts = most_parts
        self._triggers_at_once = triggers_at_once
        self._next_id = 1
        self._open_ids: dict[tuple[int, str], Order] = {}       # (account, client id) of open orders
        self._last_ids: dict[tuple[int, str], Order] = {}       # the same of all orders: the newest
        self._expiries: list[tuple[int, int]] = []
        self._triggers = Triggers()
        self._settling = False

    @property
    def log(self) -> list[dict]:
        """Events that truly happened (truth.py)."""
        return self.truth_log.events

    def truth(self) -> dict:
        """What was accepted and filled, and every balance: what a client is compared with at the end of a test."""
        return self.truth_log.whole(self.accounts)

    def truth_lines(self) -> str:
        """The same as JSON lines: an event a line, the balances last."""
        return self.truth_log.lines(self.accounts)

    def account_of(self, api_key: str) -> Account | None:
        """The account of a key."""
        return next((account for account in self.accounts if account.settings.api_key == api_key), None)

    def open_orders(self, account: Account) -> list[Order]:
        """Open orders, oldest first."""
        return [order for (index, _), order in self._open_ids.items() if index == account.index]

    def orders_of(self, account: Account) -> list[Order]:
        """All orders, oldest first."""
        return [order for order in self.orders.values() if order.account is account]

    def resting_against(self, symbol: str, side: int) -> list[Order]:
        """Open orders in the book that an order of that side may meet."""
        return [order for order in self._open_ids.values()
                if order.instrument.symbol == symbol and order.side != side and not order.waits]

    def by_client_id(self, account: Account, client_id: str) -> Order | None:
        """The newest order of that client id: if any of that id is open, it is that."""
        return self._last_ids.get((account.index, client_id))

    @property
    def next_id(self) -> int:
        """The id that the next order will get."""
        return self._next_id

    # requests

    def place(self, order: Order, at_ns: int) -> Order:
        """Take an order (made without an id). Rejection where it is refused; then nothing has happened."""
        if self.truth_log.full:
            raise Rejection(Reason.RATE_LIMITED)
        self.exchange.source.catch_up(self.exchange, at_ns)
        self._convert(order)
        self._check(order)
        if order.trigger is not None and not self._triggers_at_once and self._triggers.is_met(order):
            raise Rejection(Reason.EXCHANGE_RULE, "trigger")
        self._cash.reserve(order)
        order.order_id, order.created_ns, order.updated_ns = self._next_id, at_ns, at_ns
        order.hidden_until_ns = at_ns + self.hide_ns
        submission = None
        if order.trigger is None:
            submission = self.exchange.source.submit(self.exchange, order, at_ns)
            if submission.reason not in (Reason.OK, Reason.NO_LIQUIDITY):
                self._cash.keep(order, 0)
                raise Rejection(submission.reason)
        self._next_id += 1
        self.orders[order.order_id] = order
        self._open_ids[order.account.index, order.client_id] = order
        self._last_ids[order.account.index, order.client_id] = order
        self._write("accepted", order, at_ns, price=self._price(order.price, order), type=order.kind,
                    quantity=self._quantity(order, order.quantity))
        self.exchange.order_accepted(order, at_ns)
        if order.expires_ns != NEVER_NS:
            heapq.heappush(self._expiries, (order.expires_ns, order.order_id))
        if submission is not None:
            self._apply(order, submission, at_ns)
        else:
            self._triggers.wait(order)
            self._triggers.look(order)
        self.settle(at_ns)
        return order

    def validate(self, order: Order) -> None:
        """Rejection where an order does not keep to the rules; funds are not looked at, and nothing happens."""
        self._convert(order)
        self._check(order)

    def cancel(self, order: Order | None, at_ns: int, ending: Ending = Ending.REQUESTED) -> Order:
        """Cancel an open order; Rejection UNKNOWN_ORDER where it is none (any more)."""
        self.exchange.source.catch_up(self.exchange, at_ns)
        if order is None or not order.is_open:
            raise Rejection(Reason.UNKNOWN_ORDER)
        self._withdraw(order, at_ns)
        self._end(order, OrderStatus.CANCELED, ending, at_ns)
        return order

    def replace(self, order: Order, new: Order, at_ns: int) -> Order:
        """Cancel an open order for a new one, which takes over its money and may have its client id.

        Rejection where the new one is refused; then the old one is as it was.
        """
        self.exchange.source.catch_up(self.exchange, at_ns)
        if not order.is_open:
            raise Rejection(Reason.UNKNOWN_ORDER)
        self._check(new, new=False)
        if new.post_only and not new.waits and self.exchange.source.crosses(new):
            raise Rejection(Reason.POST_ONLY_WOULD_TAKE)
        if not self._cash.affords(order, self._cash.needed(new)):
            raise Rejection(Reason.INSUFFICIENT_FUNDS)
        self.cancel(order, at_ns, Ending.REPLACED)
        return self.place(new, at_ns)

    def amend(self, order: Order | None, at_ns: int, *, quantity: int | None = None, price: int | None = None,
              display: int | None = None, trigger_price: int | None = None, post_only: bool | None = None) -> Order:
        """Change an open order in place. It keeps its turn where only its quantity falls, or what it shows.

        Rejection where it is refused; then the order is as it was. A quantity that is filled already ends it.
        """
        self.exchange.source.catch_up(self.exchange, at_ns)
        if order is None or not order.is_open:
            raise Rejection(Reason.UNKNOWN_ORDER)
        wanted = _amended(order, quantity, price, display, trigger_price, post_only)
        if wanted.quantity < order.filled + order.prevented or wanted.quantity == order.filled == 0:
            raise Rejection(Reason.QUANTITY_NOT_POSITIVE)
        if wanted.quantity != order.filled + order.prevented:
            self._check(wanted, new=False)
        moves = not order.waits and (wanted.price != order.price or wanted.quantity > order.quantity)
        if wanted.post_only and moves and self.exchange.source.crosses(wanted):
            raise Rejection(Reason.POST_ONLY_WOULD_TAKE)
        needed = self._cash.needed(wanted)
        if not self._cash.affords(order, needed):
            raise Rejection(Reason.INSUFFICIENT_FUNDS)
        less = order.quantity - wanted.quantity
        done = wanted.quantity == order.filled + order.prevented
        if moves or (done and not order.waits):
            self.exchange.source.withdraw(self.exchange, order, at_ns)
        elif less > 0 and not order.waits:
            self.exchange.source.reduce(self.exchange, order, less, at_ns)
        order.quantity, order.price, order.display = wanted.quantity, wanted.price, wanted.display
        order.trigger, order.post_only, order.updated_ns = wanted.trigger, wanted.post_only, at_ns
        self._cash.keep(order, needed)
        self._write("amended", order, at_ns, price=self._price(order.price, order),
                    quantity=self._quantity(order, order.quantity))
        self.exchange.order_amended(order, at_ns)
        if done:
            self._complete(order, at_ns)
        elif moves:
            self._apply(order, self.exchange.source.submit(self.exchange, order, at_ns), at_ns)
        if order.waits:
            self._triggers.look(order)
        self.settle(at_ns)
        return order

    # what a source tells

    def maker_filled(self, order_id: int, price: int, quantity: int, trade_id: int, at_ns: int) -> None:
        """A resting order was traded against."""
        self._fill(self.orders[order_id], price, quantity, trade_id, True, at_ns)

    def traded(self, symbol: str, price: int) -> None:
        """Anybody traded: orders that wait for it are set off, and enter the book with the next `settle`."""
        self._triggers.traded(symbol, price)

    def settle(self, at_ns: int) -> None:
        """Put into the book what was set off, and what that sets off, oldest first."""
        if self._settling:
            return
        self._settling = True
        try:
            while (order := self._triggers.take()) is not None:
                if order.is_open:
                    self._enter(order, at_ns)
        finally:
            self._settling = False

    # time

    def next_ns(self) -> int:
        """When the next order expires."""
        return self._expiries[0][0] if self._expiries else NEVER_NS

    def advance(self, now_ns: int) -> None:
        """Expire what is due."""
        while self._expiries and self._expiries[0][0] <= now_ns:
            expires_ns, order_id = heapq.heappop(self._expiries)
            order = self.orders[order_id]
            self.exchange.source.catch_up(self.exchange, expires_ns)
            if order.is_open:
                self._withdraw(order, expires_ns)
                self._end(order, OrderStatus.EXPIRED, Ending.TIME, expires_ns)

    # the life of an order

    def _enter(self, order: Order, at_ns: int) -> None:
        """A triggered order goes into the book, as if it were new; a market order pays what it costs now."""
        order.triggered_ns = order.updated_ns = at_ns
        self._write("triggered", order, at_ns)
        self.exchange.order_triggered(order, at_ns)
        if order.order_type == OrderType.MARKET and order.side == Side.BUY:
            needed = self._cash.needed(order)
            if not self._cash.affords(order, needed):
                self._end(order, OrderStatus.REJECTED, Ending.NO_FUNDS, at_ns)
                return
            self._cash.keep(order, needed)
        submission = self.exchange.source.submit(self.exchange, order, at_ns)
        self._apply(order, submission, at_ns)

    def _apply(self, order: Order, submission: Submission, at_ns: int) -> None:
        """What a source has made of an order."""
        for price, quantity, trade_id in submission.fills:
            self._fill(order, price, quantity, trade_id, False, at_ns)
        for maker, quantity in submission.prevented:
            self._prevent(maker, order, quantity, at_ns)
        if submission.decremented:
            order.prevented += submission.decremented
            self._write("prevented", order, at_ns, quantity=self._quantity(order, submission.decremented))
            self.exchange.order_prevented(order, submission.prevented[-1][0], submission.decremented, at_ns)
        if order.is_open and (submission.self_trade or not order.leaves):
            self._end(order, OrderStatus.EXPIRED, Ending.SELF_TRADE, at_ns)
        elif order.is_open and not submission.resting:
            self._end(order, OrderStatus.EXPIRED, Ending.NO_LIQUIDITY, at_ns)
        elif order.is_open:
            self._cash.keep(order, self._cash.needed(order))

    def _prevent(self, maker: Order, taker: Order, quantity: int, at_ns: int) -> None:
        """A resting order loses what it would have traded with its own account; it has left the book already."""
        if taker.self_trade == SelfTrade.DECREMENT:
            maker.prevented += quantity
            self._write("prevented", maker, at_ns, quantity=self._quantity(maker, quantity))
            self.exchange.order_prevented(maker, taker, quantity, at_ns)
            if maker.leaves:
                self._cash.keep(maker, self._cash.needed(maker))
                return
        self._end(maker, OrderStatus.EXPIRED, Ending.SELF_TRADE, at_ns)

    def _fill(self, order: Order, price: int, quantity: int, trade_id: int, is_maker: bool, at_ns: int) -> None:
        instrument = order.instrument
        fill = self._cash.pay(order, price, quantity, trade_id, is_maker, at_ns)
        order.status = OrderStatus.PARTIAL
        if order.side == Side.BUY and order.order_type == OrderType.LIMIT:
            self._cash.keep(order, self._cash.needed(order))
        order.updated_ns = at_ns
        if not order.leaves and not order.prevented:
            order.status = OrderStatus.FILLED
            self._close(order)
        self._write("filled", order, at_ns, price=to_text(price, instrument.price_decimals),
                    quantity=self._quantity(order, quantity), trade_id=trade_id, fee=to_text(fill.fee, FEE_DECIMALS),
                    fee_asset=fill.fee_asset, liquidity="maker" if is_maker else "taker")
        self.exchange.order_filled(order, fill, at_ns)
        if order.is_open and not order.leaves:          # the rest of it was prevented before
            self._end(order, OrderStatus.EXPIRED, Ending.SELF_TRADE, at_ns)

    def _complete(self, order: Order, at_ns: int) -> None:
        """An amendment left nothing to fill."""
        order.status = OrderStatus.FILLED
        self._close(order)
        self._write("completed", order, at_ns)
        self.exchange.order_completed(order, at_ns)

    def _withdraw(self, order: Order, at_ns: int) -> None:
        if not order.waits:
            self.exchange.source.withdraw(self.exchange, order, at_ns)

    def _close(self, order: Order) -> None:
        self._cash.keep(order, 0)
        del self._open_ids[order.account.index, order.client_id]
        self._triggers.forget(order)

    def _end(self, order: Order, status: int, ending: Ending, at_ns: int) -> None:
        order.status, order.ending, order.updated_ns = status, ending, at_ns
        self._close(order)
        self._write(OrderStatus(status).name.lower(), order, at_ns, reason=ending.value)
        self.exchange.order_ended(order, at_ns)

    # checks

    def _convert(self, order: Order) -> None:
        """A market order given in the quote currency becomes the quantity that this buys or sells now."""
        if order.quote_quantity:
            order.quantity = self.exchange.source.affordable(order.instrument, order.side, order.quote_quantity)

    def _check(self, order: Order, new: bool = True) -> None:
        check(order)
        if order.display and order.display * self._most_parts < order.quantity:
            raise Rejection(Reason.QUANTITY_BELOW_MINIMUM, "display")
        if new:
            if (order.account.index, order.client_id) in self._open_ids:
                raise Rejection(Reason.DUPLICATE_ORDER)
            if sum(one.instrument is order.instrument for one in self.open_orders(order.account)) >= self._most_open:
                raise Rejection(Reason.TABLE_FULL)

    def _price(self, price: int, order: Order) -> str:
        return to_text(price, order.instrument.price_decimals)

    def _quantity(self, order: Order, quantity: int) -> str:
        return to_text(quantity, order.instrument.quantity_decimals)

    def _write(self, event: str, order: Order, at_ns: int, **fields) -> None:
        self.truth_log.write(event, order, at_ns, **fields)


def _amended(order: Order, quantity, price, display, trigger_price, post_only) -> Order:
    """A copy with what is to change."""
    trigger = order.trigger
    if trigger_price is not None and trigger is not None:
        trigger = trigger._replace(price=trigger_price)
    return replace(
        order, quantity=order.quantity if quantity is None else quantity,
        price=order.price if price is None else price, display=order.display if display is None else display,
        trigger=trigger, post_only=order.post_only if post_only is None else post_only)
