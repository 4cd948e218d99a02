"""Limits as people write them, in decimals, and how they become those of risk.

Per instrument, per exchange, per strategy and in total; what each of them stops is in docs/configuration.md.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from orderflow._core.risk import RiskBook
from orderflow.instrument import Instrument, Listing, decimal, to_scaled

#: Amounts of money are given to risk in 1e-8 of their currency.
MONEY_DECIMALS = 8
#: The window of message rates.
RATE_WINDOW_NS = 10 * 10**9
#: What orders are submitted as from Python; the first strategy.
MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Limits:
    """What risk allows for one instrument. Decimals as text.

    Attributes
    ----------
    maximum_position : str
        Long or short, everything open filled, in the base currency.
    maximum_order_quantity : str
    maximum_order_notional : str
        In the quote currency.
    collar : str
        How far beyond the reference price an order may be priced, as a fraction.
    reference_age_seconds : float
        How old the reference price may be.
    drift_collar : str
        How far beyond the reference price of `drift_seconds` ago, as a fraction.
    drift_seconds : float
        0 = not checked.
    feed_age_seconds : float
        How long ago a book may have heard of its exchange; 0 = for ever.
    """

    maximum_position: str
    maximum_order_quantity: str
    maximum_order_notional: str
    collar: str = "0.02"
    reference_age_seconds: float = 5.0
    drift_collar: str = "0.05"
    drift_seconds: float = 60.0
    feed_age_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class ExchangeLimits:
    """What risk allows on one exchange: amounts by currency, decimals as text; a currency that is not named is not
    limited.

    Attributes
    ----------
    maximum_capital : dict of str -> str
        Worth of all positions, long or short, if everything open were filled.
    maximum_order_notional : dict of str -> str
    """

    maximum_capital: Mapping[str, str] = field(default_factory=dict)
    maximum_order_notional: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StrategyLimits:
    """What risk allows one strategy: amounts by currency, decimals as text; one that is not named is not limited.

    Attributes
    ----------
    maximum_capital, maximum_order_notional : dict of str -> str
        As of an exchange.
    maximum_loss, maximum_drawdown : dict of str -> str
        From the start of the day and from its peak, realised and unrealised; then it may only reduce until it is armed
        again.
    loss_seconds : float
        How long that must stand at fresh prices before it stays.
    messages_per_10_seconds : int
        New orders and cancels; a fifth is kept for cancels. 0 = not limited.
    repeat_seconds : float
        How long an equal parent order after another is taken for a mistake; 0 = never.
    maximum_fills, fill_seconds
        More orders filled within so long halt the strategy until it is armed again; 0 = never.
    maximum_rejects, reject_seconds
        The same for orders that an exchange rejected.
    """

    maximum_capital: Mapping[str, str] = field(default_factory=dict)
    maximum_order_notional: Mapping[str, str] = field(default_factory=dict)
    maximum_loss: Mapping[str, str] = field(default_factory=dict)
    maximum_drawdown: Mapping[str, str] = field(default_factory=dict)
    loss_seconds: float = 1.0
    messages_per_10_seconds: int = 250
    repeat_seconds: float = 1.0
    maximum_fills: int = 50
    fill_seconds: float = 1.0
    maximum_rejects: int = 10
    reject_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class TotalLimits:
    """What risk allows in total: amounts by currency, decimals as text.

    Attributes
    ----------
    maximum_capital, maximum_loss : dict of str -> str
        As of a strategy; in a currency that is not named nothing may be begun, and nothing lost.
    maximum_drawdown, loss_seconds, messages_per_10_seconds
        As of a strategy.
    day_begins : str
        When profit, of everything and of every strategy, is counted anew: a time of day in UTC, "00:00"; "" = never.
        What has tripped stays so until it is armed again.
    """

    maximum_capital: Mapping[str, str] = field(default_factory=dict)
    maximum_loss: Mapping[str, str] = field(default_factory=dict)
    maximum_drawdown: Mapping[str, str] = field(default_factory=dict)
    loss_seconds: float = 1.0
    messages_per_10_seconds: int = 500
    day_begins: str = "00:00"


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """All limits of an engine.

    Attributes
    ----------
    instruments, exchanges, strategies : dict
        By name. An instrument without limits cannot be traded; an exchange without any is not limited.
    every_strategy : StrategyLimits
        Of strategies that are not named.
    total : TotalLimits
    """

    instruments: Mapping[str, Limits] = field(default_factory=dict)
    exchanges: Mapping[str, ExchangeLimits] = field(default_factory=dict)
    strategies: Mapping[str, StrategyLimits] = field(default_factory=dict)
    every_strategy: StrategyLimits = field(default_factory=StrategyLimits)
    total: TotalLimits = field(default_factory=TotalLimits)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def load(cls, document: dict[str, Any]) -> RiskLimits:
        """From what `document` gave."""
        return cls({name: Limits(**one) for name, one in document["instruments"].items()},
                   {name: ExchangeLimits(**one) for name, one in document["exchanges"].items()},
                   {name: StrategyLimits(**one) for name, one in document["strategies"].items()},
                   StrategyLimits(**document["every_strategy"]), TotalLimits(**document["total"]))


def currencies_of(listings: Sequence[Listing], instruments: Sequence[Instrument]) -> list[str]:
    """The currencies that instruments are priced in, in order of first appearance."""
    return list(dict.fromkeys(listings[item.listings[0]].priced_in for item in instruments))


def risk_book(table: np.ndarray, listings: Sequence[Listing], instruments: Sequence[Instrument],
              exchanges: Sequence[str], strategies: Sequence[str], limits: RiskLimits, *, orders: int,
              parents: int, assets: Mapping[str, Sequence[str]] = MappingProxyType({})) -> RiskBook:
    """Risk with all its limits set.

    Parameters
    ----------
    table : numpy structured array of LISTING_DTYPE
    exchanges : sequence of str
        Names in index order.
    strategies : sequence of str
        The same; MANUAL comes first.
    assets : mapping of str to sequence of str
        By exchange: its asset table, where what the account holds will be heard (purses.pxd).

    Raises
    ------
    ValueError
        A limit is no number, or of an exchange or a strategy that there is not; the message names it.
    """
    for what, named, known in (("exchange", limits.exchanges, exchanges), ("strategy", limits.strategies, strategies)):
        for name in named:
            if name not in known:
                raise ValueError(f"limits of {what} {name!r}: there are {', '.join(known)}")
    currencies = currencies_of(listings, instruments)
    risk = RiskBook(table, orders=orders, parents=parents, strategies=len(strategies),
                    currencies=[currencies.index(listings[item.listings[0]].priced_in) for item in instruments])
    numbers = [{asset: number for number, asset in enumerate(assets.get(name, ()))} for name in exchanges]
    places = [numbers[int(exchange)] for exchange in table["exchange"]]
    risk.set_purses([len(each) for each in numbers],
                    [place.get(item.base) for place, item in zip(places, listings, strict=True)],
                    [place.get(item.quote) for place, item in zip(places, listings, strict=True)])
    for item in instruments:
        if item.name in limits.instruments:
            _limit_instrument(risk, item, listings, limits)
    for place, name in enumerate(exchanges):
        if name in limits.exchanges:
            _limit_money(risk, f"exchange {name}", "exchange", place, currencies, limits.exchanges[name])
    for place, name in enumerate(strategies):
        chosen = limits.strategies.get(name, limits.every_strategy)
        risk.set_strategy(place, messages=(chosen.messages_per_10_seconds, RATE_WINDOW_NS),
                          repeat_ns=_ns(chosen.repeat_seconds),
                          fills=(chosen.maximum_fills, _ns(chosen.fill_seconds)),
                          rejects=(chosen.maximum_rejects, _ns(chosen.reject_seconds)))
        _limit_money(risk, f"strategy {name}", "strategy", place, currencies, chosen)
    _limit_money(risk, "total", "total", 0, currencies, limits.total)
    risk.set_messages((limits.total.messages_per_10_seconds, RATE_WINDOW_NS))
    return risk


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)


def _money(value: object, name: str) -> int:
    """An amount in 1e-8; unlike a price it may have more than 62 bits."""
    amount = decimal(value, name).scaleb(MONEY_DECIMALS)
    if amount != int(amount):
        raise ValueError(f"{name}: {value} has more than {MONEY_DECIMALS} decimals")
    return int(amount)


def _limit_instrument(risk: RiskBook, item: Instrument, listings: Sequence[Listing], limits: RiskLimits) -> None:
    chosen = limits.instruments[item.name]
    risk.set_instrument(
        item.index, maximum_position=item.quantity(chosen.maximum_position),
        collar=to_scaled(chosen.collar, 8, "collar"), reference_age_ns=_ns(chosen.reference_age_seconds),
        drift_collar=to_scaled(chosen.drift_collar, 8, "drift_collar"), drift_window_ns=_ns(chosen.drift_seconds))
    for index in item.listings:
        listing = listings[index]
        notional = _money(chosen.maximum_order_notional, "maximum_order_notional")
        exchange = limits.exchanges.get(listing.exchange, ExchangeLimits())
        if listing.priced_in in exchange.maximum_order_notional:
            notional = min(notional, _money(exchange.maximum_order_notional[listing.priced_in],
                                            f"exchange {listing.exchange} maximum_order_notional"))
        risk.set_listing(index, maximum_quantity=listing.quantity(chosen.maximum_order_quantity),
                         maximum_notional=notional, feed_age_ns=_ns(chosen.feed_age_seconds))


def _limit_money(risk: RiskBook, whose: str, what: str, place: int, currencies: Sequence[str],
                 limits: ExchangeLimits | StrategyLimits | TotalLimits) -> None:
    """The amounts of one exchange, one strategy or of everything, currency by currency."""
    for index, currency in enumerate(currencies):
        amounts = {}
        for name, argument in (("maximum_capital", "maximum_used"), ("maximum_order_notional", "maximum_notional"),
                               ("maximum_loss", "maximum_loss"), ("maximum_drawdown", "maximum_drawdown")):
            chosen = getattr(limits, name, {})
            if currency in chosen and not (what == "exchange" and name == "maximum_order_notional"):
                amounts[argument] = _money(chosen[currency], f"{whose} {name} {currency}")
        risk.set_money(what, place, index, stand_ns=_ns(getattr(limits, "loss_seconds", 0)), **amounts)
