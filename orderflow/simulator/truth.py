"""What truly happened to the orders of a simulated exchange: what a client is compared with at the end of a test.

Bounded: an exchange whose log is full takes no more orders. As JSON lines it is written by `orderflow simulate
--truth DIR`, and over HTTP `/simulator/truth` has it.
"""
import json

from orderflow._core.types import Side
from orderflow.simulator.accounts import AMOUNT_DECIMALS, Account
from orderflow.simulator.numbers import to_text
from orderflow.simulator.order import Order

LARGEST_LOG = 1_000_000


class TruthLog:
    """Events of one exchange's orders, in order: accepted, triggered, filled, amended, prevented, and their ends."""

    def __init__(self, exchange):
        self.events: list[dict] = []
        self._exchange = exchange

    @property
    def full(self) -> bool:
        """Whether nothing more can be remembered."""
        return len(self.events) >= LARGEST_LOG

    def write(self, event: str, order: Order, at_ns: int, **fields) -> None:
        """Remember what has happened."""
        digits = order.instrument.quantity_decimals
        self.events.append({
            "sequence": len(self.events) + 1, "time_ns": at_ns, "event": event, "account": order.account.settings.name,
            "order_id": self._exchange.order_name(order), "client_order_id": order.client_id,
            "symbol": order.instrument.symbol, "side": Side(order.side).name.lower(),
            "cumulative_quantity": to_text(order.filled, digits)} | fields)

    def whole(self, accounts: list[Account]) -> dict:
        """All events, and every balance now."""
        return {"exchange": self._exchange.name, "events": list(self.events), "balances": balances(accounts)}

    def lines(self, accounts: list[Account]) -> str:
        """The same as JSON lines: an event a line, the balances last."""
        last = {"event": "balances", "exchange": self._exchange.name, "balances": balances(accounts)}
        return "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in (*self.events, last))


def balances(accounts: list[Account]) -> dict:
    """account -> asset -> free and locked, as text."""
    return {account.settings.name: {
        asset: {"free": to_text(account.free.get(asset, 0), AMOUNT_DECIMALS),
                "locked": to_text(account.locked.get(asset, 0), AMOUNT_DECIMALS)}
        for asset in account.assets} for account in accounts}
