"""How an engine stands, as one document of plain values: what `orderflow status` shows.

Read while everything runs: numbers of different threads are of slightly different moments. Money is decimal text, times
are nanoseconds.
"""
from __future__ import annotations

import os
from decimal import Decimal
from typing import Any

from orderflow._core import client_id
from orderflow._core.types import BookState, OrderStatus
from orderflow.instrument import RATE_DECIMALS, canonical, from_scaled, place_of

#: Orders that are named one by one.
MOST_ORDERS = 100
MOST_PROBLEMS = 10
#: An all-in total has so many more than a product of price and quantity (_core/consolidated.pxd).
FEE_DECIMALS = 8
ENDED = (OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED, OrderStatus.DENIED)


def status_of(engine: Any) -> dict[str, Any]:
    """The document of a running engine (orderflow.engine.Engine).

    `paper`: its orders are filled by a model; `killed` names what the kill switch stops, `trading_state` is the
    router's; `orders` counts what the order table holds, `open_orders` names the first hundred of those that have not
    ended; `splits` counts how parent orders were split, and tells of the last one whose search was cut short how much
    less it might have cost, or more have filled; `decisions` counts those that were made and those that could not be
    written down; `rates` are those that the router converts listings with, by exchange and symbol, null where there is
    none now; `residuals` are the rests below every minimum that are kept, positive = to buy; `differences` are those
    between exchanges' books and ours for which instruments are halted.
    """
    waiting = [view for view in engine.orders.orders() if view.status not in ENDED]
    switch = engine.core.kill
    return {
        "pid": os.getpid(), "directory": str(engine.directory), "epoch": engine.journal.epoch,
        "server": engine.server.name, "paper": engine.paper,
        "watchdog": "none" if engine.watchdog is None else "running" if engine.watchdog.running else "ENDED",
        "killed": switch.killed, "kill_cause": switch.cause.name,
        "trading_state": engine.risk.state.name, "not_ready": engine.not_ready(),
        "exchanges": [_exchange(engine, session) for session in engine.sessions],
        "orders": {"open": len(waiting),
                   "in_doubt": sum(view.status == OrderStatus.IN_DOUBT for view in waiting)},
        "open_orders": [_order(engine, view) for view in waiting[:MOST_ORDERS]],
        "positions": _positions(engine),
        "residuals": [{"strategy": one.strategy, "instrument": one.instrument, "quantity": canonical(one.amount),
                       "parents": one.parents} for one in engine.residuals()],
        "refusals": engine.router.counts["refusals"], "splits": splits_of(engine),
        "decisions": {"made": engine.router.counts["decisions"], "lost": engine.router.counts["decisions_lost"]},
        "rates": _rates(engine),
        "differences": [{"exchange": one.exchange, "reason": one.reason, "instruments": list(one.instruments),
                         "what": one.what, "expected": one.expected, "found": one.found, "text": str(one)}
                        for one in engine.differences],
        "problems": engine.problems[-MOST_PROBLEMS:]}


def _exchange(engine: Any, session: Any) -> dict[str, Any]:
    name = session.settings.name
    loop, killed = engine.core.loops[name], engine.core.kill.killed
    sent, refused = loop.sent_orders
    found = {"name": name, "protocol": session.protocol, "trades": name in engine.core.orders,
             "can_trade": loop.can_trade, "killed": "everything" in killed or f"exchange {name}" in killed,
             "frames": loop.totals["frames"], "sent": sent, "refused_by_gate": refused,
             "open_orders": loop.open_orders,
             "books": {item.symbol: BookState(int(engine.core.board.read(index)["book_state"])).name
                       for index, item in enumerate(engine.core.listings) if item.exchange == name}}
    if found["trades"]:
        found["clock"] = next(one for one in engine.conversations if one.name == name).clock.status(engine.now_ns)
        if loop.account is not None:
            found["reconciliation"] = {"reconciled": loop.reconciled, **loop.account.counts}
        orders_refused, told = loop.rates.refused
        found["limits"] = {"orders_without_room": orders_refused, "refused_by_exchange": told,
                           "cancels_waiting": loop.waiting_cancels[1]}
        progress = engine.core.kill.progress(name)
        found["kill"] = {"cancels": progress["cancels"], "left": progress["left"],
                         "answer": progress["answer"].name, "done_ns": progress["done_ns"]}
    return found


def _order(engine: Any, view: Any) -> dict[str, Any]:
    listing = engine.core.listings[view.listing]
    return {"client_order_id": client_id.encode(view.client_order_id), "exchange": listing.exchange,
            "symbol": listing.symbol, "side": view.side.name, "status": view.status.name,
            "price": listing.price_text(view.price), "quantity": listing.quantity_text(view.quantity),
            "filled": listing.quantity_text(view.cumulative)}


def splits_of(engine: Any) -> dict[str, Any]:
    """How parent orders were split; amounts as decimal text."""
    counts, inexact = engine.router.counts, engine.router.inexact_split
    found = {name: counts[name] for name in ("splits", "searched", "split_nodes", "inexact")}
    if inexact is not None:
        parent, index, unfilled, gap = inexact
        instrument = engine.core.instruments[index]
        decimals = instrument.price_decimals + instrument.quantity_decimals + FEE_DECIMALS
        found["last_inexact"] = {"parent": parent, "instrument": instrument.name,
                                 "unfilled": canonical(from_scaled(unfilled, instrument.quantity_decimals)),
                                 "gap": canonical(from_scaled(gap, decimals))}
    return found


def _rates(engine: Any) -> dict[str, dict[str, str | None]]:
    """What a buyer pays for a unit of a listing's quote currency, and what a seller gets."""
    found: dict[str, dict[str, str | None]] = {}
    for index, listing in enumerate(engine.core.listings):
        if listing.convert:
            buy, sell = (canonical(from_scaled(rate, RATE_DECIMALS)) if rate else None
                         for rate in engine.router.rates(index))
            found[f"{listing.exchange} {listing.symbol}"] = {"from": listing.convert, "buy": buy, "sell": sell}
    return found


def _positions(engine: Any) -> dict[str, dict[str, str]]:
    """Net position by instrument and exchange; those without one are left out."""
    found: dict[str, dict[str, str]] = {}
    for index, listing in enumerate(engine.core.listings):
        net: Decimal = from_scaled(engine.position(index).net, listing.quantity_decimals)
        if net:
            found.setdefault(listing.instrument, {})[place_of(engine.core.listings, index)] = canonical(net)
    return found
