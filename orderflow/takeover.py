"""What an engine takes over from the run before (carried.py): read, entered where it counts, and told."""
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from orderflow import held
from orderflow._core.client_id import encode
from orderflow._core.journal import JournalFiles
from orderflow._core.orders import Orders, Refused
from orderflow._core.residuals import ResidualLedger
from orderflow._core.risk import RiskBook
from orderflow._core.types import Side
from orderflow.carried import Carried, CarriedError, carried, check_kind
from orderflow.exchanges.session import Session
from orderflow.instrument import Instrument, Listing, canonical
from orderflow.problems import EngineError
from orderflow.residuals import Residual, ResidualError, enter
from orderflow.run_start import RunStartError


def wall_offset_ns(is_virtual: bool) -> int:
    """Wall clock - monotonic clock, as the journal has it; a virtual clock is both."""
    return 0 if is_virtual else time.time_ns() - time.monotonic_ns()


def check(directory: Path, paper: bool) -> None:
    """Paper and money never share a journal; a start that is refused has changed nothing."""
    try:
        check_kind(directory, paper)
    except CarriedError as error:
        raise EngineError(f"{directory}: {error}") from None


def taken_over(directory: Path, journal: JournalFiles, listings: Sequence[Listing], sessions: Sequence[Session],
               strategies: Sequence[str], offset_ns: int) -> Carried:
    """Open orders, positions and rests of the run before; EngineError says why they cannot be taken over."""
    assets: dict[str, Sequence[str]] = {session.settings.name: session.assets for session in sessions}
    try:
        return carried(journal.directory, journal.epoch, listings, assets, strategies, offset_ns)
    except RunStartError as error:
        raise EngineError(f"{directory}: {error}. Begin in a new directory with a copy of this one's file "
                          "`epoch`, and look at the exchanges for orders that are still open") from None
    except CarriedError as error:
        raise EngineError(f"{directory}: {error}") from None


def enter_orders(directory: Path, orders: Orders, taken: Carried, now_ns: int) -> list[int]:
    """Into the order table; the slots of the orders that may still be open."""
    try:
        return taken.enter(orders, now_ns)
    except Refused as error:
        raise EngineError(f"{directory}: an order that the run before left cannot be taken over ({error}); "
                          "raise maximum_orders and maximum_parents") from None


def count_positions(risk: RiskBook, orders: Orders, listings: int) -> None:
    """Positions at cost, but for fills of adopted orders: risk takes those in with them."""
    for index in range(listings):
        position = orders.position(index)
        quantity = position.net
        cash = -position.open_cost if position.net > 0 else position.open_cost
        for order in orders.orders():
            if order.listing == index:
                sign = 1 if order.side == Side.BUY else -1
                quantity -= sign * order.cumulative
                cash += sign * order.notional
        risk.carry(index, quantity, cash)


def enter_residuals(directory: Path, ledger: ResidualLedger, taken: Carried, strategies: Sequence[str],
                    instruments: Sequence[Instrument], report: Callable[[str], None]) -> None:
    """Rests that were kept; those that have no place here are told, and stay in the journal."""
    try:
        others = enter(ledger, (Residual(**each) for each in taken.residuals), strategies, instruments)
    except ResidualError as error:
        raise EngineError(f"{directory}: {error}; begin in a new directory with a copy of this one's file "
                          "`epoch`, and trade that rest by hand") from None
    for each in others:
        report(f"the run before kept a rest of {canonical(each.amount)} {each.instrument} for strategy "
               f"{each.strategy}, of which this run lacks one: it stays in the journal")


def tell(taken: Carried, orders: Orders, slots: Sequence[int], listings: Sequence[Listing],
         report: Callable[[str], None]) -> None:
    """What a person should know of positions elsewhere, and of orders that may still be open."""
    for each in taken.elsewhere:
        report(f"the run before held a position in {each['exchange']} {each['symbol']}, which this run does "
               "not trade: it is kept in the journal and counts in no limit")
    for slot in slots:
        order = orders.order(slot)
        listing = listings[order.listing]
        report(f"the run before left order {encode(order.client_order_id)} on {listing.exchange} "
               f"{listing.symbol}; that listing takes no other until the exchange has said what became of it")


def oldest_order_ns(orders: Orders, listings: Sequence[Listing], exchange: str, offset_ns: int) -> int:
    """When the oldest order that was left at an exchange was decided, unix nanoseconds; 0 = none was."""
    known = [orders.known(slot) for slot in orders.unfinished]
    decided = [order["decided_ns"] + offset_ns for order in known if listings[order["listing"]].exchange == exchange]
    return max(1, min(decided) - held.CLOCKS_NS) if decided else 0
