"""Trading at Kraken spot, through whichever door: kraken_orders.py is the WebSocket v2 one, kraken_rest.py the other.

Source: Kraken's "Spot REST: trading", "Spot errors" at docs.kraken.com.
"""
from dataclasses import replace

from orderflow._core.types import OrderType, Reason
from orderflow.simulator.accounts import Account
from orderflow.simulator.dialects.kraken_accounts import KrakenAccounts
from orderflow.simulator.dialects.kraken_executions import kraken_id
from orderflow.simulator.dialects.kraken_limits import AMEND, CANCEL, EDIT, penalty
from orderflow.simulator.dialects.kraken_order_fields import (
    QUANTITY_REFUSAL,
    TICK_REFUSAL,
    invalid,
    number,
    read_order,
    reference,
)
from orderflow.simulator.dialects.kraken_words import Refused
from orderflow.simulator.exchange import NEVER_NS, SECOND_NS
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.order import Ending, Order, Rejection
from orderflow.simulator.orders import OrderDesk
from orderflow.simulator.words import timestamp

REFUSALS = {
    Reason.QUANTITY_BELOW_MINIMUM: "EOrder:Order minimum not met",
    Reason.QUANTITY_EXCEEDS_MAXIMUM: QUANTITY_REFUSAL,
    Reason.QUANTITY_OFF_LOT: QUANTITY_REFUSAL,
    Reason.QUANTITY_NOT_POSITIVE: QUANTITY_REFUSAL,
    Reason.PRICE_NOT_POSITIVE: "EOrder:Invalid price",
    Reason.PRICE_OUTSIDE_COLLAR: "EOrder:Invalid price",
    Reason.PRICE_OFF_TICK: TICK_REFUSAL,
    Reason.NOTIONAL_BELOW_MINIMUM: "EOrder:Cost minimum not met",
    Reason.INSUFFICIENT_FUNDS: "EOrder:Insufficient funds",
    Reason.DUPLICATE_ORDER: "EGeneral:Invalid arguments:cl_ord_id already in use",
    Reason.POST_ONLY_WOULD_TAKE: "EOrder:Post only order",
    Reason.UNKNOWN_ORDER: "EOrder:Unknown order",
    Reason.TABLE_FULL: "EOrder:Orders limit exceeded",
    Reason.RATE_LIMITED: "EService:Busy",
}


class KrakenTrading(KrakenAccounts):
    """Order entry for the accounts given."""

    takes_orders = True

    def __init__(self, source, name: str = "", accounts=()):
        super().__init__(source, name)
        self.desk = OrderDesk(self, tuple(accounts), fee_in_quote=True) if accounts else None
        self._switches: dict[int, int] = {}                     # account -> when its dead man's switch falls
        self._changes = 0                                       # amendments made

    def enter(self, account: Account, parameters: dict, validate: bool = False) -> Order:
        """Place an order, or only look whether it may be."""
        order = read_order(account, self._listed(parameters), parameters, self.desk.next_id,
                           self.now_ns + self.skew_ns)
        try:
            if validate:
                self.desk.validate(order)
                return order
            self.count(account, order.instrument.symbol, 1)
            if self._open_in(account, order.instrument) >= self.tier_of(account).open_orders:
                raise Rejection(Reason.TABLE_FULL)
            return self.desk.place(order, self.now_ns)
        except Rejection as rejection:
            raise refused(rejection) from None

    def withdraw(self, account: Account, order: Order | None) -> Order:
        """Cancel one order."""
        try:
            cancelled = self.desk.cancel(order, self.now_ns)
        except Rejection as rejection:
            raise refused(rejection) from None
        age_ns = self.now_ns - cancelled.created_ns
        self.count(account, cancelled.instrument.symbol, penalty(CANCEL, age_ns), refuse=False)
        return cancelled

    def withdraw_all(self, account: Account, ending: Ending = Ending.REQUESTED) -> int:
        """Cancel all orders of an account; how many there were."""
        found = self.desk.open_orders(account)
        for order in found:
            self.desk.cancel(order, self.now_ns, ending)
        return len(found)

    def change(self, account: Account, order: Order | None, parameters: dict) -> str:
        """Amend an order in place; the amendment's id."""
        if order is None or not order.is_open:
            raise Refused("EOrder:Unknown order")
        digits, price_digits = order.instrument.quantity_decimals, order.instrument.price_decimals
        wanted: dict = {}
        for name, field, decimals, refusal in (
                ("order_qty", "quantity", digits, QUANTITY_REFUSAL),
                ("display_qty", "display", digits, QUANTITY_REFUSAL),
                ("limit_price", "price", price_digits, TICK_REFUSAL),
                ("trigger_price", "trigger_price", price_digits, TICK_REFUSAL)):
            if name in parameters:
                wanted[field] = number(parameters, name, decimals, refusal)
        if "post_only" in parameters:
            wanted["post_only"] = parameters["post_only"] in (True, "true")
        if not wanted or ("price" in wanted and order.order_type == OrderType.MARKET) or (
                "trigger_price" in wanted and not order.waits) or ("display" in wanted and not order.display):
            raise invalid(next(iter(wanted), "order_qty"))
        self.count(account, order.instrument.symbol, 1 + penalty(AMEND, self.now_ns - order.created_ns))
        try:
            self.desk.amend(order, self.now_ns, **wanted)
        except Rejection as rejection:
            raise refused(rejection) from None
        self._changes += 1
        return kraken_id("T", (1 << 60) + self._changes)

    def edit(self, account: Account, order: Order | None, parameters: dict) -> Order:
        """Replace an order by a new one with a new id; where that may not be, the old one stays.

        A quantity that is named is that of the whole: what was filled is part of it.
        """
        if order is None or not order.is_open:
            raise Refused("EOrder:Unknown order")
        instrument = order.instrument
        self._listed(parameters)
        quantity, price, trigger = order.quantity, order.price, order.trigger
        if "order_qty" in parameters:
            quantity = number(parameters, "order_qty", instrument.quantity_decimals, QUANTITY_REFUSAL)
        if "limit_price" in parameters:
            price = number(parameters, "limit_price", instrument.price_decimals, TICK_REFUSAL)
        if not isinstance(parameters.get("triggers", {}), dict):
            raise invalid("triggers")
        if "triggers" in parameters and trigger is not None:
            trigger = trigger._replace(price=number(parameters["triggers"], "price", instrument.price_decimals,
                                                    TICK_REFUSAL))
        new = replace(order, order_id=0, quantity=quantity - order.filled, price=price, trigger=trigger, filled=0,
                      notional=0, reserved=0, fills=[], prevented=0, triggered_ns=0,
                      post_only=parameters.get("post_only", order.post_only) is True,
                      user_reference=reference(parameters, order.user_reference))
        if new.client_id.startswith("="):
            new.client_id = f"={self.desk.next_id}"
        self.count(account, instrument.symbol, 1 + penalty(EDIT, self.now_ns - order.created_ns))
        try:
            return self.desk.replace(order, new, self.now_ns)
        except Rejection as rejection:
            raise refused(rejection) from None

    def find(self, account: Account, kind: str, name: str | int) -> Order | None:
        """An order by `order_id`, `cl_ord_id` or `order_userref` (the newest open one of several)."""
        if isinstance(name, str) == (kind == "order_userref"):
            return None
        if kind == "cl_ord_id":
            return self.desk.by_client_id(account, name)
        found = [order for order in self.desk.open_orders(account)
                 if (self.order_name(order) if kind == "order_id" else order.user_reference) == name]
        return found[-1] if found else None

    def arm(self, account: Account, seconds) -> dict:
        """Set the dead man's switch, or with 0 take it away."""
        if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 <= seconds <= 86400:
            raise invalid("timeout")
        self._switches.pop(account.index, None)
        if seconds:
            self._switches[account.index] = self.now_ns + seconds * SECOND_NS
        at_ns = self.now_ns + self.skew_ns
        return {"currentTime": timestamp(at_ns),
                "triggerTime": timestamp(at_ns + seconds * SECOND_NS) if seconds else "0"}

    def advance(self, now_ns: int) -> None:
        super().advance(now_ns)
        for index, due_ns in list(self._switches.items()):
            if due_ns <= now_ns:
                del self._switches[index]           # it stays off until it is set again
                self.withdraw_all(self.desk.accounts[index - 1], Ending.DEAD_MAN)

    def next_ns(self) -> int:
        return min(super().next_ns(), *self._switches.values(), NEVER_NS)

    def _listed(self, parameters: dict) -> SimulatedInstrument:
        try:
            return self.instrument(parameters.get("symbol"))
        except Refused:
            raise Refused("EQuery:Unknown asset pair") from None

    def _open_in(self, account: Account, instrument: SimulatedInstrument) -> int:
        return sum(order.instrument.symbol == instrument.symbol for order in self.desk.open_orders(account))


def refused(rejection: Rejection) -> Refused:
    """A rejection in Kraken's words."""
    if rejection.detail == "display":
        return invalid("display_qty")
    return Refused(REFUSALS.get(rejection.reason, "EGeneral:Internal error"))
