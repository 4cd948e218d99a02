"""What an exchange's documents say of its market data and of what it allows, as data."""
from __future__ import annotations

from dataclasses import dataclass

from orderflow._core.types import Amends


@dataclass(frozen=True, slots=True)
class Facts:
    """What an exchange's documents say of its market data and of its fees, as data.

    Attributes
    ----------
    shared_book_ids : bool
        The ids of a book are the listing's own: an update has the same one on every connection.
    growing_trade_ids : bool
        Trades of a listing have ids, the same on every connection, and a later trade a larger one.
    renew_after_ns : int
        When a connection is to be replaced because the exchange will end it; 0 = the document names no end.
    kept_levels : int
        The exchange tells of so many of the best levels a side and of none beyond; 0 = of all.
    amends : Amends
        What can be changed of an order in place, so that it keeps its id and no other is out beside it.
    fees_in : str
        What a spot trade pays its fee in, unless an account has chosen otherwise: "received", the asset that it
        receives, or "quote"; empty = not known here.
    """

    shared_book_ids: bool = False
    growing_trade_ids: bool = False
    renew_after_ns: int = 0
    kept_levels: int = 0
    amends: Amends = Amends.AMENDS_NOTHING
    fees_in: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` of something in any `period_ns` nanoseconds."""

    count: int
    period_ns: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What an exchange allows, by its own documents; where they say nothing, what no exchange minds.

    Attributes
    ----------
    connects : Limit, optional
        Attempts to connect, of all connections to one host; None = as many as one likes.
    messages : Limit, optional
        Websocket messages sent over one connection, or over all of them.
    by_address : bool
        Whether messages count by address: all connections share one budget, and a new one begins where the one before
        it left off.
    requests : Limit, optional
        Weight of all REST calls to one host (`Request.weight`, 1 where the exchange just counts them).
    """

    connects: Limit | None = Limit(60, 60_000_000_000)
    messages: Limit | None = None
    requests: Limit | None = Limit(60, 30_000_000_000)
    by_address: bool = False


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a request about an order adds to a counter.

    Attributes
    ----------
    points : int
    steps : tuple of (int, int)
        (younger than so many nanoseconds, points more): the first that fits the age of the order.
    """

    points: int = 0
    steps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class OrderCounter:
    """A number that an exchange keeps of an account in each listing: requests add to it, and it falls with time.

    New orders and replacements that would make it more than `most` are refused; cancels never are.

    Attributes
    ----------
    most : int
    point_ns : int
        In which it falls by one.
    place, cancel, amend : Tariff
    """

    most: int
    point_ns: int
    place: Tariff
    cancel: Tariff
    amend: Tariff


@dataclass(frozen=True, slots=True)
class OrderLimits:
    """What an exchange counts of requests about orders, besides what `Limits` has.

    Attributes
    ----------
    place, cancel, amend, cancel_all, connect : int
        Weight of each, and of an attempt to connect to where orders go, in `Limits.requests`, which all that this
        process asks of that address draws on; 0 = they do not count there.
    orders : tuple of Limit
        New orders of an account.
    filled_orders_count : bool
        Whether an order counts among them once some of it is filled.
    counter : OrderCounter, optional
    """

    place: int = 0
    cancel: int = 0
    amend: int = 0
    cancel_all: int = 0
    connect: int = 0
    orders: tuple[Limit, ...] = ()
    filled_orders_count: bool = True
    counter: OrderCounter | None = None


#: For exchanges that limit nothing: simulated ones, and captures that are played.
UNLIMITED = Limits(None, None, None)
