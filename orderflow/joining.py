"""Instruments that are the same thing under other names, or in other quote currencies, joined by configuration.

Exchanges name what they list by themselves: BTC-USD, BTC-USDT and BTC-USDC are three instruments, and nobody but their
owner can say that a dollar is a dollar. Who says so (`Join`) names the symbols that belong to an instrument, and for
each other quote currency the instrument whose live book says what that currency costs. The instrument of a rate is not
converted itself: a price is converted once, nothing goes in circles, and one look at one book says what a rate is.
"""
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orderflow.instrument import Listing


class JoinError(ValueError):
    """Instruments that cannot be joined as they are asked to be; the message names the key."""


@dataclass(frozen=True, slots=True)
class Join:
    """What belongs to one instrument besides what is called so already.

    Attributes
    ----------
    symbols : dict of str -> sequence of str
        By exchange name, in the exchange's own spelling.
    convert : dict of str -> str
        By quote currency: the instrument whose book gives its rate, either way round (USDT-USD or USD-USDT).
    """

    symbols: Mapping[str, Sequence[str]] = field(default_factory=dict)
    convert: Mapping[str, str] = field(default_factory=dict)


def joined(listings: Sequence[Listing], joins: Mapping[str, Join], left_out: Collection[str] = ()) -> list[Listing]:
    """The listings with the instruments that they belong to.

    Parameters
    ----------
    joins : dict of str -> Join
        By instrument name.
    left_out : collection of str
        Exchanges that could not be reached: what names them is not judged, and a rate of theirs is missing for this
        run, so that what it converts is not used.

    Raises
    ------
    JoinError
        A symbol, a rate or a currency is missing or does not fit; the message names the key.
    """
    owners = _owners(listings, joins, left_out)
    found = [_member(listing, owners.get((listing.exchange, listing.symbol), listing.instrument), joins)
             for listing in listings]
    for listing in found:
        if listing.convert:
            _check_rate(listing, found, bool(left_out))
    return found


def currency_of(instrument: str) -> str:
    """The currency in an instrument's name: the USD of BTC-USD and of BTC-USD-PERPETUAL. JoinError if it has none."""
    parts = instrument.split("-")
    if len(parts) < 2 or not parts[1]:
        raise JoinError(f'instruments."{instrument}": the name says in which currency its prices are, as BTC-USD does')
    return parts[1]


def _owners(listings: Sequence[Listing], joins: Mapping[str, Join],
            left_out: Collection[str]) -> dict[tuple[str, str], str]:
    known = {(listing.exchange, listing.symbol) for listing in listings}
    owners: dict[tuple[str, str], str] = {}
    for name, join in joins.items():
        for exchange, symbols in join.symbols.items():
            for symbol in symbols:
                key = f'instruments."{name}".symbols.{exchange}'
                if (exchange, symbol) not in known and exchange not in left_out:
                    raise JoinError(f"{key}: {symbol!r} is not traded there; add it to exchanges.{exchange}.symbols")
                if owners.setdefault((exchange, symbol), name) != name:
                    raise JoinError(f'{key}: {symbol!r} is part of instruments."{owners[exchange, symbol]}" already')
    return owners


def _member(listing: Listing, name: str, joins: Mapping[str, Join]) -> Listing:
    """The listing as a part of an instrument; `listing` itself where nobody joins anything."""
    if name not in joins:
        return listing
    currency, where = currency_of(name), f"{listing.exchange} {listing.symbol}"
    own, rest = listing.instrument.removeprefix(f"{listing.base}-{listing.quote}"), name.split("-", 2)[2:]
    if own != "".join(f"-{one}" for one in rest):
        raise JoinError(f'instruments."{name}": {where} is {listing.instrument}, which is not of the same kind: what '
                        "its quantities count or how long it runs differs")
    if listing.quote == currency:
        return replace(listing, instrument=name, listed_as=listing.instrument)
    rate = joins[name].convert.get(listing.quote)
    if rate is None:
        raise JoinError(f'instruments."{name}".convert: {where} is quoted in {listing.quote}; name the instrument that '
                        f'gives its rate, as {{ {listing.quote} = "{listing.quote}-{currency}" }}')
    return replace(listing, instrument=name, listed_as=listing.instrument, currency=currency, convert=rate)


def _check_rate(listing: Listing, listings: Sequence[Listing], incomplete: bool) -> None:
    key = f'instruments."{listing.instrument}".convert.{listing.quote}'
    sources = [one for one in listings if one.instrument == listing.convert]
    if listing.convert == listing.instrument or any(one.convert for one in sources):
        raise JoinError(f"{key}: {listing.convert} is converted itself, so rates would go in circles; name an "
                        "instrument all of whose listings are in its own currency")
    if not sources and not incomplete:
        raise JoinError(f"{key}: nobody lists {listing.convert}; add its symbol to an exchange, there are "
                        + ", ".join(dict.fromkeys(one.instrument for one in listings)))
    for one in sources:
        if (one.base, one.quote) not in ((listing.quote, listing.currency), (listing.currency, listing.quote)):
            raise JoinError(f"{key}: {one.exchange} {one.symbol} is {one.base} in {one.quote}, which says nothing of "
                            f"{listing.quote} in {listing.currency}")
