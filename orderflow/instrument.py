"""Instruments and listings: symbols, scales, ticks and lots. Human decimals become integers here and nowhere else.

An *instrument* is what is traded (BTC-USDT). A *listing* is one instrument on one exchange, with the exchange's own
symbol, tick, lot, limits and fees. Everything native is integers scaled by a power of ten per listing; this module
chooses that scale and converts.
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from orderflow._core.types import LISTING_DTYPE, Conversion

#: A price or quantity must fit 62 bits; price times quantity 120 bits.
WORD_BITS = 62
PRODUCT_BITS = 120
#: Room kept above the largest number seen when an exchange names no maximum.
HEADROOM = 128
#: Decimals of an instrument beyond the ticks of listings that are converted: what is rounded of a price.
CONVERTED_DECIMALS = 6
#: No scale has more.
MOST_DECIMALS = 18
#: Listing.rate_instrument where nobody lists that in this run.
NO_INSTRUMENT = 0xFFFFFFFF
#: Of a rate between currencies (_core/conversion.pxd).
RATE_DECIMALS = 12
#: Listing.most_parts is no more.
MOST_PARTS = 0xFFFF
FEE_SCALE = 10**8
NOTIONAL_SCALE = 10**8
#: Fields of a Listing that are Decimals.
EXACT = ("tick", "lot", "minimum_quantity", "maximum_quantity", "minimum_notional", "maker_fee", "taker_fee", "ticket")


def time_of_day_ns(text: str, name: str) -> int:
    """A time of day, "17:30", as nanoseconds after midnight; -1 for "". ValueError says of `name` what it should be."""
    if not text:
        return -1
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError(f'{name}: {text!r} is no time of day; write it like "00:00" or "17:30" (UTC), or "" for none')
    hours, minutes = text.split(":")
    return (int(hours) * 60 + int(minutes)) * 60 * 10**9


def decimal(value: object, name: str) -> Decimal:
    """`value` as an exact Decimal.

    Raises
    ------
    ValueError
        When it is not a finite decimal number, or a float (floats are not exact); the message names `name`.
    """
    if isinstance(value, bool | float):
        raise ValueError(f"{name}: write {value!r} as a string or an integer, a float is not exact")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{name}: {value!r} is not a decimal number") from None
    if not number.is_finite():
        raise ValueError(f"{name}: {value!r} is not a finite number")
    return number


def decimals_of(text: str) -> int:
    """Digits after the point as written, zeros included: "61837.63000000" has 8."""
    exponent = Decimal(text).as_tuple().exponent
    return max(0, -int(exponent))


def significant_decimals(number: Decimal) -> int:
    """Digits after the point that are needed: 61837.63000000 has 2."""
    return max(0, -int(number.normalize().as_tuple().exponent))


def to_scaled(value: object, decimals: int, name: str = "value") -> int:
    """Exact integer of a decimal at a scale.

    Raises
    ------
    ValueError
        When the number has more decimals than the scale, or does not fit 62 bits.
    """
    scaled = decimal(value, name).scaleb(decimals)
    integer = int(scaled)
    if integer != scaled:
        raise ValueError(f"{name}: {value} has more than {decimals} decimals")
    if abs(integer) >> WORD_BITS:
        raise ValueError(f"{name}: {value} is too large for {decimals} decimals")
    return integer


def from_scaled(value: int, decimals: int) -> Decimal:
    """The decimal that a scaled integer stands for."""
    return Decimal(int(value)).scaleb(-decimals)


def canonical(number: Decimal) -> str:
    """Canonical text: no exponent, no trailing zeros."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


class WireDigits:
    """What the numbers of one listing look like on the wire, collected from text.

    `price_decimals` and `quantity_decimals` count digits as written; `*_needed` those that are not
    trailing zeros. Texts are kept in sets, at most `CHUNK` of them, because feeds repeat themselves.
    """

    CHUNK = 65536

    def __init__(self):
        self._prices = _Column()
        self._quantities = _Column()

    def observe(self, price: str, quantity: str) -> None:
        """Take in one price level or trade, as text."""
        self._prices.add((price,))
        self._quantities.add((quantity,))

    def observe_levels(self, levels: Iterable[Sequence[str]]) -> None:
        """Take in levels given as (price, quantity, ...) texts."""
        levels = list(levels)
        self._prices.add([level[0] for level in levels])
        self._quantities.add([level[1] for level in levels])

    @property
    def price_decimals(self) -> int:
        """Digits after the point as written."""
        return self._prices.settled().written

    @property
    def quantity_decimals(self) -> int:
        """Digits after the point as written."""
        return self._quantities.settled().written

    @property
    def price_needed(self) -> int:
        """Digits after the point that are not trailing zeros."""
        return self._prices.settled().needed

    @property
    def quantity_needed(self) -> int:
        """Digits after the point that are not trailing zeros."""
        return self._quantities.settled().needed

    @property
    def largest_price(self) -> Decimal:
        """The largest price seen."""
        return self._prices.settled().largest

    @property
    def largest_quantity(self) -> Decimal:
        """The largest quantity seen."""
        return self._quantities.settled().largest

    @property
    def tick(self) -> Decimal:
        """The finest step that any price needed."""
        return Decimal(1).scaleb(-self.price_needed)

    @property
    def lot(self) -> Decimal:
        """The finest step that any quantity needed."""
        return Decimal(1).scaleb(-self.quantity_needed)


class _Column:
    """Prices or quantities: the widest, the finest, the largest."""

    def __init__(self):
        self.written = self.needed = 0
        self.largest = Decimal(0)
        self._texts: set[str] = set()

    def add(self, texts: Sequence[str]) -> None:
        self._texts.update(texts)
        if len(self._texts) > WireDigits.CHUNK:
            self.settled()

    def settled(self) -> _Column:
        """Everything added so far is in the attributes."""
        for text in self._texts:
            number = Decimal(text)
            self.written = max(self.written, decimals_of(text))
            if number > self.largest:
                self.largest = number
            if significant_decimals(number) > self.needed:
                self.needed = significant_decimals(number)
        self._texts.clear()
        return self


def choose_scales(price_decimals: int, quantity_decimals: int, largest_price: Decimal, largest_quantity: Decimal,
                  price_needed: int = 0, quantity_needed: int = 0) -> tuple[int, int]:
    """Decimals for price and quantity: those on the wire, made coarser only as far as the bounds demand.

    Parameters
    ----------
    price_decimals, quantity_decimals : int
        Digits after the point that the exchange writes.
    largest_price, largest_quantity : Decimal
        The largest that may come.
    price_needed, quantity_needed : int
        Digits that are known to be needed (tick, lot, numbers seen); never given up.

    Raises
    ------
    ValueError
        When even the needed digits do not fit.
    """
    prices, quantities = max(price_decimals, price_needed), max(quantity_decimals, quantity_needed)

    def fits(value: Decimal, decimals: int) -> bool:
        return int(value.scaleb(decimals)).bit_length() <= WORD_BITS

    while not fits(largest_price, prices) and prices > price_needed:
        prices -= 1
    while not fits(largest_quantity, quantities) and quantities > quantity_needed:
        quantities -= 1

    def product() -> int:
        return (int(largest_price.scaleb(prices)) * int(largest_quantity.scaleb(quantities))).bit_length()

    while product() > PRODUCT_BITS and (prices > price_needed or quantities > quantity_needed):
        if quantities - quantity_needed >= prices - price_needed:
            quantities -= 1
        else:
            prices -= 1
    if not fits(largest_price, prices) or not fits(largest_quantity, quantities) or product() > PRODUCT_BITS:
        raise ValueError(
            f"prices up to {largest_price} with {price_needed} decimals and quantities up to {largest_quantity} with "
            f"{quantity_needed} decimals do not fit {WORD_BITS} and {PRODUCT_BITS} bits")
    return prices, quantities


@dataclass(frozen=True, slots=True)
class OrderCharges:
    """What one exchange charges for an order beside its taker fee; the split of a parent order counts with it.

    Attributes
    ----------
    tickets : dict of str -> Decimal
        By quote currency: for every order that is sent.
    fee_tiers : dict of str -> tuple of (quantity, taker fee)
        By instrument, as the exchange names it: from which quantity on, base currency, the whole order pays which fee.
        By rising quantity and falling fee, at most 4, all below the taker fee.
    """

    tickets: dict[str, Decimal] = field(default_factory=dict)
    fee_tiers: dict[str, tuple[tuple[Decimal, Decimal], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """One instrument on one exchange. Prices and quantities are Decimals here; `table` makes the native integers.

    Attributes
    ----------
    maker_fee, taker_fee : Decimal
        Fraction of the notional (0.001 = 10 bps); negative is a rebate.
    depth : int
        Price levels a side that the subscription carries; 0 = all.
    ticket : Decimal
        For every order that is sent, quote currency.
    fee_tiers : tuple of (quantity, taker fee)
        As of OrderCharges.
    listed_as : str
        What the exchange calls the instrument, where it is joined with others (joining.py); else empty.
    currency : str
        What the instrument's prices are in, where that is not `quote`; else empty.
    convert : str
        The instrument whose book says what `quote` costs in `currency`.
    most_parts : int
        In so many parts, each as large as what it shows, the exchange takes an order that shows a part of itself and
        is refilled by it (an iceberg); 0 = in none. No more than MOST_PARTS.
    """

    exchange: str
    symbol: str
    instrument: str
    base: str
    quote: str
    price_decimals: int
    quantity_decimals: int
    tick: Decimal
    lot: Decimal
    minimum_quantity: Decimal = Decimal(0)
    maximum_quantity: Decimal = Decimal(0)
    minimum_notional: Decimal = Decimal(0)
    maker_fee: Decimal = Decimal(0)
    taker_fee: Decimal = Decimal(0)
    depth: int = 0
    halted: bool = False
    ticket: Decimal = Decimal(0)
    fee_tiers: tuple[tuple[Decimal, Decimal], ...] = ()
    listed_as: str = ""
    currency: str = ""
    convert: str = ""
    most_parts: int = 0

    @classmethod
    def load(cls, fields: Mapping[str, Any]) -> Listing:
        """One that was written down as `document` does, or by an older version, which knew no charges.

        Raises
        ------
        KeyError, TypeError, ArithmeticError
            Something is missing, or is of another kind.
        """
        exact: dict[str, Any] = {name: Decimal(fields[name]) for name in EXACT if name != "ticket"}
        tiers = tuple((Decimal(least), Decimal(fee)) for least, fee in fields.get("fee_tiers", ()))
        return cls(**{**fields, **exact, "ticket": Decimal(fields.get("ticket", 0)), "fee_tiers": tiers})

    def document(self) -> dict[str, Any]:
        """All fields, decimals as text."""
        fields = asdict(self)
        tiers = [[canonical(least), canonical(fee)] for least, fee in self.fee_tiers]
        return fields | {name: canonical(fields[name]) for name in EXACT} | {"fee_tiers": tiers}

    def price(self, value: object) -> int:
        """Scaled integer of a price in the quote currency; ValueError when it is finer than the scale."""
        return to_scaled(value, self.price_decimals, f"price of {self.symbol}")

    def quantity(self, value: object) -> int:
        """Scaled integer of a quantity in the base currency (or contracts)."""
        return to_scaled(value, self.quantity_decimals, f"quantity of {self.symbol}")

    def price_text(self, value: int) -> str:
        """Canonical decimal text of a scaled price."""
        return canonical(from_scaled(value, self.price_decimals))

    def quantity_text(self, value: int) -> str:
        """Canonical decimal text of a scaled quantity."""
        return canonical(from_scaled(value, self.quantity_decimals))

    def with_fees(self, maker: Decimal, taker: Decimal) -> Listing:
        """The same listing with other fees."""
        return replace(self, maker_fee=maker, taker_fee=taker)

    def with_charges(self, charges: OrderCharges) -> Listing:
        """The same listing with what its exchange charges for an order."""
        return replace(self, ticket=charges.tickets.get(self.quote, Decimal(0)),
                       fee_tiers=charges.fee_tiers.get(self.own_name, ()))

    @property
    def own_name(self) -> str:
        """The instrument as the exchange names it."""
        return self.listed_as or self.instrument

    @property
    def priced_in(self) -> str:
        """The currency of its instrument's prices."""
        return self.currency or self.quote

    @property
    def charge(self) -> tuple[int, list[tuple[int, int]]]:
        """Ticket and fee tiers as the native split has them: 1e-8 of the quote currency, scaled quantities, 1e-8."""
        ticket = to_scaled(self.ticket, 8, f"ticket of {self.symbol}")
        return ticket, [(self.quantity(least), to_scaled(fee, 8, f"fee tier of {self.symbol}"))
                        for least, fee in self.fee_tiers]


@dataclass(frozen=True, slots=True)
class Instrument:
    """What is traded; its scales are the finest of its listings, so that scaling is exact. Where listings are converted
    from another currency, its prices have CONVERTED_DECIMALS more than their ticks."""

    name: str
    index: int
    price_decimals: int
    quantity_decimals: int
    listings: tuple[int, ...]

    def price(self, value: object) -> int:
        """Scaled integer of a price."""
        return to_scaled(value, self.price_decimals, f"price of {self.name}")

    def quantity(self, value: object) -> int:
        """Scaled integer of a quantity."""
        return to_scaled(value, self.quantity_decimals, f"quantity of {self.name}")


def instruments_of(listings: Sequence[Listing]) -> list[Instrument]:
    """The instruments of `listings`, in order of first appearance."""
    by_name: dict[str, list[int]] = {}
    for index, listing in enumerate(listings):
        by_name.setdefault(listing.instrument, []).append(index)
    return [
        Instrument(name, i, max(_decimals_within(listings[k]) for k in members),
                   max(listings[k].quantity_decimals for k in members), tuple(members))
        for i, (name, members) in enumerate(by_name.items())
    ]


def _decimals_within(listing: Listing) -> int:
    """Of its instrument's prices, at least."""
    if not listing.convert:
        return listing.price_decimals
    return max(listing.price_decimals, min(significant_decimals(listing.tick) + CONVERTED_DECIMALS, MOST_DECIMALS))


def in_instrument(listing: Listing, item: Instrument, price: int) -> int:
    """A scaled price of a listing in the scale of its instrument; the currency stays."""
    return price * int(10 ** (item.price_decimals - listing.price_decimals))


def place_of(listings: Sequence[Listing], index: int) -> str:
    """What to call a listing within its instrument: its exchange, and its symbol where the exchange has several."""
    listing = listings[index]
    own = sum(one.exchange == listing.exchange and one.instrument == listing.instrument for one in listings)
    return listing.exchange if own == 1 else f"{listing.exchange} {listing.symbol}"


def table(listings: Sequence[Listing], exchanges: Sequence[str]) -> np.ndarray:
    """The native listing table: structured array of LISTING_DTYPE, shape (len(listings),).

    Parameters
    ----------
    listings : sequence of Listing
        In index order.
    exchanges : sequence of str
        Exchange names in index order; every listing's exchange must be in it.
    """
    rows = np.zeros(len(listings), LISTING_DTYPE)
    instruments = {name.name: name for name in instruments_of(listings)}
    for index, listing in enumerate(listings):
        instrument = instruments[listing.instrument]
        row = rows[index]
        row["index"] = index
        row["instrument"] = instrument.index
        row["exchange"] = exchanges.index(listing.exchange)
        row["price_decimals"] = listing.price_decimals
        row["quantity_decimals"] = listing.quantity_decimals
        row["price_factor"] = 10 ** (instrument.price_decimals - listing.price_decimals)
        row["quantity_factor"] = 10 ** (instrument.quantity_decimals - listing.quantity_decimals)
        row["tick"] = listing.price(listing.tick)
        row["lot"] = listing.quantity(listing.lot)
        row["minimum_quantity"] = listing.quantity(listing.minimum_quantity)
        row["maximum_quantity"] = (listing.quantity(listing.maximum_quantity) if listing.maximum_quantity
                                   else (1 << WORD_BITS) - 1)
        row["minimum_notional"] = to_scaled(listing.minimum_notional, 8, f"minimum notional of {listing.symbol}")
        row["maker_fee"] = to_scaled(listing.maker_fee, 8, f"maker fee of {listing.symbol}")
        row["taker_fee"] = to_scaled(listing.taker_fee, 8, f"taker fee of {listing.symbol}")
        row["depth"] = listing.depth
        row["halted"] = listing.halted
        row["most_parts"] = listing.most_parts
        if listing.convert:
            source = next((one for one in listings if one.instrument == listing.convert), None)
            row["conversion"] = Conversion.INVERSE if source and source.base == listing.currency else Conversion.DIRECT
            row["rate_instrument"] = instruments[listing.convert].index if source else NO_INSTRUMENT
    return rows


def listing_from_digits(exchange: str, symbol: str, digits: WireDigits, depth: int = 0) -> Listing:
    """A listing for market data alone, when nothing but the digits on the wire is known."""
    try:
        prices, quantities = choose_scales(
            digits.price_decimals, digits.quantity_decimals, digits.largest_price * HEADROOM,
            digits.largest_quantity * HEADROOM, digits.price_needed, digits.quantity_needed)
    except ValueError:  # the digits that are needed leave less headroom
        prices, quantities = choose_scales(
            digits.price_decimals, digits.quantity_decimals, digits.largest_price,
            digits.largest_quantity, digits.price_needed, digits.quantity_needed)
    return Listing(exchange, symbol, symbol, symbol, "", prices, quantities, digits.tick, digits.lot, depth=depth)
