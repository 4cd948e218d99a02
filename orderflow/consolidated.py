"""The consolidated book of an instrument, to be asked: every exchange's levels in one order of what they really cost.

A snapshot of the boards, as routing would see them now: prices in the instrument's currency, fees included, converted
where a listing is quoted in another one, and only of books that are usable. The merge and the split are the router's
own (_core/consolidated.pxd, _core/allocation.pxd); what is added here is decimals and names. Costs count with the taker
fee of a listing; the best split with tickets and fee tiers too, and with lots and minimums of every exchange.
"""
from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from orderflow._core.allocation import Splitter
from orderflow._core.consolidated import ConsolidatedBook
from orderflow._core.conversion import quoted_rate
from orderflow._core.types import BookState, Conversion, Side
from orderflow.instrument import FEE_SCALE, RATE_DECIMALS, Instrument, Listing, from_scaled, place_of

FEE_DECIMALS = 8
#: Of a board.
DEPTH = 20
SECOND = 10**9
assert 10**FEE_DECIMALS == FEE_SCALE


@dataclass(frozen=True, slots=True)
class Level:
    """One level of one exchange.

    Attributes
    ----------
    price, all_in : Decimal
        In the instrument's currency, without and with the taker fee.
    quantity : Decimal
        Base currency.
    own_price : Decimal
        As the exchange shows it, in `currency`.
    age_seconds : float
        How long ago its book was last heard of.
    """

    price: Decimal
    quantity: Decimal
    exchange: str
    symbol: str
    all_in: Decimal
    age_seconds: float
    own_price: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What taking a quantity costs, or brings.

    Attributes
    ----------
    quantity : Decimal
        What there is of it: less than was asked for where too little is displayed.
    notional, all_in : Decimal
        In the instrument's currency, without and with fees.
    average, all_in_average, worst_price : Decimal, optional
        None where there is nothing.
    """

    quantity: Decimal
    notional: Decimal
    all_in: Decimal
    average: Decimal | None
    all_in_average: Decimal | None
    worst_price: Decimal | None


@dataclass(frozen=True, slots=True)
class Part:
    """What one exchange would be sent; the limit price is in `currency`, on its tick."""

    exchange: str
    symbol: str
    quantity: Decimal
    limit_price: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class BestSplit:
    """The best way to fill a quantity now.

    Attributes
    ----------
    quantity : Decimal
        What can be sent of it.
    notional, all_in : Decimal
        In the instrument's currency, without and with fees and tickets.
    exact : bool
        Nothing better exists; else the same quantity could cost less by at most `gap`.
    """

    quantity: Decimal
    notional: Decimal
    all_in: Decimal
    parts: tuple[Part, ...]
    exact: bool
    gap: Decimal


def rates_of(table: np.ndarray, entry_of: Callable[[int], Any]) -> list[tuple[int, int]]:
    """By listing: (rate of a buyer, rate of a seller) in 1e-12 that its prices are converted with, from the boards as
    they are now (_core/converted_listings.pxd); zeros where nothing is converted, or there is no rate.

    Parameters
    ----------
    table : numpy structured array of LISTING_DTYPE
        All listings.
    entry_of : callable(listing index)
        Its record of BOARD_ENTRY_DTYPE.
    """
    tops: dict[int, tuple[int, int, int] | None] = {}
    found = []
    for row in table:
        source = int(row["rate_instrument"])
        if row["conversion"] == Conversion.NOT_CONVERTED:
            found.append((0, 0))
            continue
        if source not in tops:
            tops[source] = _top(table, source, entry_of)
        found.append(_rates(tops[source], bool(row["conversion"] == Conversion.INVERSE)))
    return found


def _top(table: np.ndarray, instrument: int, entry_of: Callable[[int], Any]) -> tuple[int, int, int] | None:
    """(bid, ask, decimals) of the first book of an instrument that gives rates."""
    for row in table[table["instrument"] == instrument]:
        entry = entry_of(int(row["index"]))
        if (row["conversion"] == Conversion.NOT_CONVERTED and not row["halted"]
                and entry["book_state"] == BookState.LIVE and entry["bid_count"] and entry["ask_count"]):
            return int(entry["bids"][0]["price"]), int(entry["asks"][0]["price"]), int(row["price_decimals"])
    return None


def _rates(top: tuple[int, int, int] | None, inverse: bool) -> tuple[int, int]:
    if top is None:
        return 0, 0
    bid, ask, decimals = top
    buy = quoted_rate(bid if inverse else ask, decimals, inverse, Side.BUY)
    sell = quoted_rate(ask if inverse else bid, decimals, inverse, Side.SELL)
    return (buy, sell) if buy and sell else (0, 0)


class Consolidated:
    """The books of one instrument as they were at one moment.

    Parameters
    ----------
    item : Instrument
    listings : sequence of Listing
        All of them, in index order.
    table : numpy structured array of LISTING_DTYPE
        The same.
    entry_of : callable(listing index)
        Its record of BOARD_ENTRY_DTYPE.
    now_ns : int
        Monotonic.
    killed : collection of str
        What is killed, as KillSwitch.killed has it.

    Attributes
    ----------
    left_out : dict of str -> str
        By exchange (and symbol, where it has several): why its book is not in it now.
    rates : dict of str -> (Decimal, Decimal)
        By quote currency that is converted: what a buyer pays for a unit of it, and what a seller gets.
    """

    def __init__(self, item: Instrument, listings: Sequence[Listing], table: np.ndarray,
                 entry_of: Callable[[int], Any], now_ns: int, killed: Collection[str] = ()):
        self.item, self._now_ns = item, now_ns
        self._listings = [listings[index] for index in item.listings]
        self._rows = table[list(item.listings)]
        self._entries = [entry_of(index) for index in item.listings]
        rates = rates_of(table, entry_of)
        self._rates = [rates[index] for index in item.listings]
        self.left_out = {place_of(listings, index): why for index, why in (
            (index, self._why_not(place, killed)) for place, index in enumerate(item.listings)) if why}
        self._usable = [place_of(listings, index) not in self.left_out for index in item.listings]
        self.rates = {listing.quote: (from_scaled(rate[0], RATE_DECIMALS), from_scaled(rate[1], RATE_DECIMALS))
                      for listing, rate in zip(self._listings, self._rates, strict=True) if rate[0]}
        self._book = ConsolidatedBook(self._rows, depth=DEPTH)
        self._splitter: Splitter | None = None

    def _why_not(self, place: int, killed: Collection[str]) -> str:
        """Why a listing is not used; "" = it is."""
        listing, entry = self._listings[place], self._entries[place]
        if listing.halted:
            return "halted"
        if entry["book_state"] != BookState.LIVE:
            return BookState(int(entry["book_state"])).name
        if "everything" in killed or f"exchange {listing.exchange}" in killed:
            return "killed"
        return f"no rate from {listing.convert}" if listing.convert and not self._rates[place][0] else ""

    def levels(self, side: str) -> list[Level]:
        """For a taker on `side`, the cheapest after fees first. "buy" is given what is offered."""
        taker = _side(side)
        ladders = self._ladders(taker)
        found, seen = [], [0] * len(ladders)
        for place, price, quantity, all_in in self._merge(taker):
            listing = self._listings[place]
            own = ladders[place][seen[place]]
            seen[place] += 1
            found.append(Level(
                self._price(price), self._quantity(quantity), listing.exchange, listing.symbol,
                from_scaled(all_in, self.item.price_decimals + FEE_DECIMALS),
                (self._now_ns - int(self._entries[place]["receive_ns"])) / SECOND,
                from_scaled(own["price"], listing.price_decimals), listing.quote))
        return found

    def cost(self, side: str, quantity: object) -> Cost:
        """Of taking a quantity level by level, as if every quantity could be sent; `best_split` knows lots."""
        self._merge(_side(side))
        found, notional, all_in, worst = self._book.cost(self.item.quantity(quantity))
        scale = self.item.price_decimals + self.item.quantity_decimals
        taken, paid, whole = self._quantity(found), from_scaled(notional, scale), from_scaled(
            all_in, scale + FEE_DECIMALS)
        if not found:
            return Cost(taken, paid, whole, None, None, None)
        return Cost(taken, paid, whole, paid / taken, whole / taken, self._price(worst))

    def quantity_within(self, side: str, price: object) -> Decimal:
        """How much is displayed at prices, fees apart, no worse than this one."""
        self._merge(_side(side))
        return self._quantity(self._book.quantity_within(self.item.price(price)))

    def best_split(self, side: str, quantity: object, limit_price: object = None) -> BestSplit:
        """How the router would split a quantity now, were nothing out."""
        taker = _side(side)
        if self._splitter is None:
            self._splitter = Splitter(self._rows, depth=DEPTH, charges=[listing.charge for listing in self._listings])
        found = self._splitter.split(
            taker, self.item.quantity(quantity), self._ladders(taker), usable=self._usable, rates=self._sided(taker),
            limit=0 if limit_price is None else self.item.price(limit_price))
        scale = self.item.price_decimals + self.item.quantity_decimals
        parts = tuple(Part(listing.exchange, listing.symbol, from_scaled(sent, listing.quantity_decimals),
                           from_scaled(limit, listing.price_decimals), listing.quote)
                      for listing, (sent, limit) in zip(self._listings, found.parts, strict=True) if sent)
        return BestSplit(self._quantity(found.quantity), from_scaled(found.notional, scale),
                         from_scaled(found.all_in, scale + FEE_DECIMALS), parts, found.exact,
                         from_scaled(found.gap, scale + FEE_DECIMALS))

    def _merge(self, taker: Side) -> list[tuple[int, int, int, int]]:
        return self._book.merge(taker, self._ladders(taker), self._usable, self._sided(taker))

    def _ladders(self, taker: Side) -> list[Any]:
        levels, count = ("asks", "ask_count") if taker == Side.BUY else ("bids", "bid_count")
        return [entry[levels][:entry[count]] for entry in self._entries]

    def _sided(self, taker: Side) -> list[int]:
        return [rate[0 if taker == Side.BUY else 1] for rate in self._rates]

    def _price(self, scaled: int) -> Decimal:
        return from_scaled(scaled, self.item.price_decimals)

    def _quantity(self, scaled: int) -> Decimal:
        return from_scaled(scaled, self.item.quantity_decimals)


def _side(side: str) -> Side:
    if side.lower() not in ("buy", "sell"):
        raise ValueError(f"side {side!r}: expected buy or sell")
    return Side.BUY if side.lower() == "buy" else Side.SELL
