"""One order of an account at a simulated exchange, its fills, and why it may be refused or end.

No protocol: dialects read requests into an Order and word what has become of it.
"""
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from orderflow._core.types import OrderStatus, OrderType, Reason, Side, TimeInForce
from orderflow.simulator.accounts import Account
from orderflow.simulator.exchange import NEVER_NS
from orderflow.simulator.instruments import SimulatedInstrument

OPEN = (OrderStatus.NEW, OrderStatus.PARTIAL)


class Rejection(Exception):
    """An order, amendment or cancel that is refused; nothing has happened. The dialect words `reason`."""

    def __init__(self, reason: Reason, detail: str = ""):
        super().__init__(detail or Reason(reason).name)
        self.reason, self.detail = reason, detail


class SelfTrade(Enum):
    """What is done where an order would meet one of the same account: the resting one is the maker."""
    ALLOWED = "NONE"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"
    DECREMENT = "DECREMENT"         # both lose what they would have traded


class Ending(Enum):
    """Why an order ended with something unfilled."""
    NONE = ""
    REQUESTED = "requested"
    NO_LIQUIDITY = "no_liquidity"           # what an IOC, a FOK or a market order could not fill
    TIME = "time"                           # the end of a GTD order
    SELF_TRADE = "self_trade"
    DEAD_MAN = "dead_man"
    NO_FUNDS = "no_funds"                   # a triggered market order that its account cannot pay
    REPLACED = "replaced"


class Trigger(NamedTuple):
    """What a stop-loss or take-profit order waits for: a trade at `price` or beyond it."""
    takes_profit: bool
    price: int

    def is_met(self, side: int, last: int) -> bool:
        """Whether a trade at `last` sets off an order of that side: stops follow the market, profits lean on it."""
        return last >= self.price if (side == Side.BUY) != self.takes_profit else last <= self.price


class Fill(NamedTuple):
    """One trade of an order."""
    price: int
    quantity: int
    trade_id: int
    is_maker: bool
    fee: int                # in 1e-FEE_DECIMALS of fee_asset
    fee_asset: str
    at_ns: int = 0


@dataclass
class Order:
    """One order and its life."""
    order_id: int
    account: Account
    instrument: SimulatedInstrument
    side: int
    order_type: int
    time_in_force: int
    price: int                      # 0 = market
    quantity: int
    client_id: str
    post_only: bool = False
    created_ns: int = 0
    updated_ns: int = 0
    expires_ns: int = NEVER_NS
    status: int = OrderStatus.NEW
    filled: int = 0
    notional: int = 0               # sum of price * quantity
    reserved: int = 0               # still locked, in amounts
    fills: list[Fill] = field(default_factory=list)
    quote_quantity: int = 0         # of a market order given in the quote currency, at the decimals of a notional
    display: int = 0                # what an iceberg shows; 0 = everything
    trigger: Trigger | None = None
    triggered_ns: int = 0           # when it was set off
    self_trade: SelfTrade = SelfTrade.ALLOWED
    prevented: int = 0              # quantity lost to SelfTrade.DECREMENT
    ending: Ending = Ending.NONE
    fee_in_base: bool = False       # of a purchase, where the exchange leaves the choice
    user_reference: int = 0
    hidden_until_ns: int = 0        # queries do not find it before

    @property
    def is_open(self) -> bool:
        """Whether it may still be filled."""
        return self.status in OPEN

    @property
    def leaves(self) -> int:
        """Quantity that may still be filled."""
        return self.quantity - self.filled - self.prevented if self.status in OPEN else 0

    @property
    def waits(self) -> bool:
        """Whether it still waits for its trigger."""
        return self.trigger is not None and not self.triggered_ns and self.status in OPEN

    @property
    def kind(self) -> str:
        """stop-loss, take-profit-limit, limit, ...: as FIX and most exchanges name them, whatever flags there are."""
        plain = "market" if self.order_type == OrderType.MARKET else "limit"
        if self.trigger is None:
            return plain
        name = "take-profit" if self.trigger.takes_profit else "stop-loss"
        return name if plain == "market" else f"{name}-limit"


class Submission(NamedTuple):
    """What a source answers to an order."""
    reason: int                             # Reason.OK, or why nothing has happened
    fills: list[tuple[int, int, int]]       # (price, quantity, trade id)
    resting: int                            # quantity that rests now
    prevented: tuple[tuple[Order, int], ...] = ()   # resting orders of the same account, and what they lost
    decremented: int = 0                    # what the order lost itself
    self_trade: bool = False                # whether the rest of it is to expire for that


def time_in_force_name(order: Order) -> str:
    """GTC, IOC, FOK or GTD."""
    return TimeInForce(order.time_in_force).name
