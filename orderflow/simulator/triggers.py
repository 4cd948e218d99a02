"""Stop-loss and take-profit orders that wait for a trade, out of the book."""
from orderflow.simulator.order import Order


class Triggers:
    """The waiting orders of one exchange, and those that were set off and are not in the book yet."""

    def __init__(self):
        self._waiting: dict[str, dict[int, Order]] = {}         # symbol -> orders by id
        self._last: dict[str, int] = {}                         # symbol -> price of the last trade
        self._fired: list[Order] = []

    def is_met(self, order: Order) -> bool:
        """Whether the last trade sets an order off."""
        last = self._last.get(order.instrument.symbol)
        return last is not None and order.trigger.is_met(order.side, last)

    def wait(self, order: Order) -> None:
        """An order waits from now on."""
        self._waiting.setdefault(order.instrument.symbol, {})[order.order_id] = order

    def forget(self, order: Order) -> None:
        """An order waits no more."""
        self._waiting.get(order.instrument.symbol, {}).pop(order.order_id, None)

    def look(self, order: Order) -> None:
        """Set an order off if its condition is met."""
        if self.is_met(order):
            self.forget(order)
            self._fired.append(order)

    def traded(self, symbol: str, price: int) -> None:
        """Anybody traded."""
        self._last[symbol] = price
        for order in list(self._waiting.get(symbol, {}).values()):
            self.look(order)

    def take(self) -> Order | None:
        """The next order that was set off, in the order of their coming; None if there is none."""
        return self._fired.pop(0) if self._fired else None
