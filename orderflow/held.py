"""What the accounts of exchanges should hold, from one run to the next.

A run writes down what each asset should hold after every round of reconciliation that had news (_core/rounds.pxd). With
the fills in its journal since, that is what the account held at its end by our books. The next run compares the
exchange with that: what was paid in or out while no engine ran is found, and a difference that nobody accepted is found
again. Fills that are in it go with it, because the exchange will tell of them once more. Assets and listings are known
again by name. What is not known of an account, the first round learns.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from orderflow._core.reconciliation import AccountBook, HeldView, SeenView
from orderflow.exchanges.session import Session
from orderflow.instrument import Listing
from orderflow.run_start import RunStart
from orderflow.wiring import Core

#: An exchange's clock and this machine's may differ by so much.
CLOCKS_NS = 60_000_000_000
#: One exchange's account in a CARRIED record, or one fill that is in it.
Record = dict[str, Any]


def account_book(exchange: str, assets: Sequence[str], table: np.ndarray, listings: Sequence[Listing], instance: int,
                 accepts: bool = False) -> AccountBook:
    """What is compared with an exchange's books.

    Parameters
    ----------
    assets : sequence of str
        As the exchange's reports number them.
    table : numpy structured array
        Of `listings`.
    instance : int
        Of our client order ids.
    accepts : bool
        Whether a difference is told and taken for right.
    """
    numbers = {asset: number for number, asset in enumerate(assets)}
    pairs = [(numbers[item.base], numbers[item.quote]) if item.exchange == exchange else None for item in listings]
    return AccountBook(table, pairs, len(assets), instance, accepts)


def books_of(run: RunStart, table: np.ndarray) -> dict[str, AccountBook]:
    """Empty ones of a run that is over, by exchange: of those whose assets are all named, so not of every paper run."""
    needed: dict[str, set[str]] = {}
    for item in run.listings:
        needed.setdefault(item.exchange, set()).update((item.base, item.quote))
    return {each.name: account_book(each.name, each.assets, table, run.listings, run.instance)
            for each in run.exchanges if each.trades and needed.get(each.name, set()) <= set(each.assets)}


def records(exchange: str, book: AccountBook, assets: Sequence[str], listings: Sequence[Listing]) -> list[Record]:
    """What an account leaves, one record each; nothing where nothing is known, or there are too many fills to carry."""
    held = book.held
    if held is None or not held.amounts:
        return []
    return [*({"exchange": exchange, "asset": assets[number], "amount": str(amount), "fills": fills,
               "newest_ns": held.newest_ns, "wall_ns": held.wall_ns}
              for number, (amount, fills) in held.amounts.items()),
            *({"exchange": exchange, "symbol": listings[fill.listing].symbol, "trade": str(fill.trade_id),
               "order": str(fill.order), "further": None if fill.asset is None else assets[fill.asset],
               "exchange_ns": fill.exchange_ns} for fill in held.seen
              if fill.listing < len(listings) and (fill.asset is None or fill.asset < len(assets)))]


def resume(exchange: str, book: AccountBook, left: Iterable[Record], assets: Sequence[str],
           listings: Sequence[Listing]) -> int:
    """Have an account begin with what was left of it. Since when trades are to be asked for, because those before are
    in it: Unix nanoseconds of the exchange's clock, 0 = nothing was left.

    Assets and symbols that this run does not have are left out: they are not compared.
    """
    numbers = {asset: number for number, asset in enumerate(assets)}
    places = {item.symbol: index for index, item in enumerate(listings) if item.exchange == exchange}
    own = [each for each in left if each["exchange"] == exchange]
    balances = [each for each in own if "amount" in each and each["asset"] in numbers]
    if not balances:
        return 0
    seen = [SeenView(int(each["trade"]), int(each["order"]), places[each["symbol"]],
                     None if each["further"] is None else numbers[each["further"]], each["exchange_ns"])
            for each in own if "trade" in each and each["symbol"] in places
            and (each["further"] is None or each["further"] in numbers)]
    newest_ns, wall_ns = (max(int(each[name]) for each in balances) for name in ("newest_ns", "wall_ns"))
    book.resume(HeldView({numbers[each["asset"]]: (int(each["amount"]), each["fills"]) for each in balances},
                         newest_ns, wall_ns, seen))
    return newest_ns or max(1, wall_ns - CLOCKS_NS)


def compare(core: Core, sessions: Sequence[Session], left: Sequence[Record], instance: int) -> dict[str, int]:
    """Let the loops of exchanges that can be asked compare their accounts with what these should hold; since when each
    is followed, by exchange, unix nanoseconds, 0 = from now on.

    Parameters
    ----------
    left : sequence of dict
        What the run before left.
    instance : int
        Of the journal.
    """
    since = {}
    for session in sessions:
        name = session.settings.name
        if session.settings.trade and name in core.orders and session.round_steps(0):
            book = account_book(name, session.assets, core.table, core.listings, instance,
                                session.settings.accept_unexplained)
            since[name] = resume(name, book, left, session.assets, core.listings)
            core.loops[name].compare_account(book)
    return since
