"""Our records against the exchanges' own: every order, its quantity, its cash and its fees, and every balance.

What we know comes from the journal, which holds each order before it left and each report before it was believed; the
order table and the positions must say the same. What they know comes from a simulated exchange's log. Exact decimals,
no tolerance.
"""
from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from orderflow._core import client_id
from orderflow._core.journal import RecordKind, read
from orderflow._core.types import ExecType
from orderflow.cli import summary
from orderflow.engine import Engine
from orderflow.instrument import from_scaled

#: Journal sequences are epoch << 40 | counter.
EPOCH_SHIFT = 40
ENDS = {ExecType.REPORT_CANCELED: "cancelled", ExecType.REPORT_EXPIRED: "cancelled",
        ExecType.REPORT_REJECTED: "rejected", ExecType.REPORT_NOT_SENT: "not_sent"}


@dataclass(slots=True)
class OrderRecord:
    """What one side has on record of one order; cash is the sum of price times quantity.

    Attributes
    ----------
    end : str
        cancelled, rejected, not_sent, or empty while it is open or when it is filled.
    """

    exchange: str
    symbol: str
    side: str
    quantity: Decimal = Decimal(0)
    filled: Decimal = Decimal(0)
    cash: Decimal = Decimal(0)
    fees: dict[str, Decimal] = field(default_factory=dict)
    end: str = ""
    in_doubt: bool = False

    def charge(self, asset: str, fee: Decimal) -> None:
        """Add a fee; nothing is kept of a fee of zero."""
        if fee:
            self.fees[asset] = self.fees.get(asset, Decimal(0)) + fee

    @property
    def outcome(self) -> str:
        """filled, cancelled, rejected, not_sent, in_doubt or open."""
        if self.quantity and self.filled >= self.quantity:
            return "filled"
        return self.end or ("in_doubt" if self.in_doubt else "open")


@dataclass(slots=True)
class Journalled:
    """All orders of one run, by client order id, and the SHA-256 of their journalled bytes in order."""

    orders: dict[int, OrderRecord]
    sha256: str

    def counts(self) -> dict[str, int]:
        """Orders by what became of them; `sent` are those that reached a socket."""
        outcomes = [order.outcome for order in self.orders.values()]
        return {"sent": len(outcomes) - outcomes.count("not_sent"),
                **{name: outcomes.count(name) for name in ("filled", "cancelled", "rejected", "in_doubt")}}


def journalled(directory: Path, engine: Engine) -> Journalled:
    """The orders of this engine's run, read from its journal; the engine must have stopped.

    A fill that was reported twice (the answer to the order, and the private stream) counts once, as in the order table.
    """
    run = Journalled({}, "")
    digest = hashlib.sha256()
    seen: set[tuple] = set()
    listings = engine.core.listings
    for record in read(directory):
        if record.sequence >> EPOCH_SHIFT != engine.journal.epoch:
            continue
        if record.kind in (RecordKind.INTENT, RecordKind.CANCEL, RecordKind.REPLACE):
            digest.update(record.payload)
        if record.kind == RecordKind.INTENT:
            child = record.decode()
            listing = listings[int(child["listing"])]
            run.orders[int(child["client_order_id"])] = OrderRecord(
                listing.exchange, listing.symbol, "buy" if child["side"] == 1 else "sell",
                from_scaled(child["quantity"], listing.quantity_decimals))
        elif record.kind == RecordKind.REPORT:
            report = record.decode()
            order = run.orders.get(int(report["client_order_id"]))
            if order is not None:
                _apply(order, report, engine, seen)
    run.sha256 = digest.hexdigest()
    return run


def _apply(order: OrderRecord, report, engine: Engine, seen: set[tuple]) -> None:
    """One report of the journal; those that repeat a trade are passed over."""
    kind = int(report["exec_type"])
    order.end = order.end or ENDS.get(kind, "")
    order.in_doubt |= kind == ExecType.REPORT_IN_DOUBT
    if not report["trade_id"]:
        return
    row = engine.table[int(report["listing"])]
    listing = engine.core.listings[int(report["listing"])]
    trade = (int(report["client_order_id"]), int(report["trade_id"]))
    if kind == ExecType.REPORT_FILL and trade not in seen:
        seen.add(trade)
        quantity = from_scaled(report["last_quantity"], listing.quantity_decimals)
        order.filled += quantity
        order.cash += quantity * from_scaled(report["last_price"], listing.price_decimals)
    charge = (*trade, int(report["fee_asset"]))
    if report["fee"] and charge not in seen:
        seen.add(charge)
        asset = engine.sessions[int(row["exchange"])].assets[int(report["fee_asset"])]
        order.charge(asset, from_scaled(report["fee"], int(report["fee_decimals"])))


def recorded(truth: dict[str, dict], account: str = "main") -> tuple[dict[int, OrderRecord], list[str]]:
    """What the exchanges have on record of one account: orders by our client order id, and those that are not ours."""
    orders: dict[int, OrderRecord] = {}
    foreign: list[str] = []
    for exchange, record in truth.items():
        for event in record["events"]:
            if event["account"] != account:
                continue
            number = client_id.decode(event["client_order_id"])
            if not number:
                foreign.append(f"{exchange}: order {event['order_id']} is not one of ours")
                continue
            order = orders.setdefault(number, OrderRecord(exchange, event["symbol"], event["side"]))
            if event["event"] == "accepted":
                order.quantity = Decimal(event["quantity"])
            elif event["event"] == "filled":
                order.filled += Decimal(event["quantity"])
                order.cash += Decimal(event["quantity"]) * Decimal(event["price"])
                order.charge(event["fee_asset"], Decimal(event["fee"]))
            else:
                order.end = "cancelled"
    return orders, foreign


def differences(ours: Journalled, engine: Engine, truth: dict[str, dict], funds: dict[str, str],
                account: str = "main") -> list[str]:
    """Everything in which the two sides do not agree, one line each; empty when all is accounted for.

    Parameters
    ----------
    funds : dict of str -> str
        What the account held on every exchange before.
    """
    theirs, wrong = recorded(truth, account)
    for number, order in ours.orders.items():
        name = f"{order.exchange}: order {client_id.encode(number)}"
        other = theirs.get(number)
        if order.outcome == "open":
            wrong.append(f"{name} is still open")
        elif other is None and order.outcome not in ("rejected", "not_sent", "in_doubt"):
            wrong.append(f"{name} is {order.outcome} here, and the exchange has never heard of it")
        elif other is not None:
            wrong += _unlike(name, order, other)
    wrong += [f"{theirs[number].exchange}: order {client_id.encode(number)} was never journalled"
              for number in theirs.keys() - ours.orders.keys()]
    wrong += _table_differences(ours, engine)
    return wrong + _balance_differences(engine, truth, funds, account)


def _unlike(name: str, order: OrderRecord, other: OrderRecord) -> list[str]:
    fields = ("exchange", "symbol", "side", "quantity", "filled", "cash", "fees", "outcome")
    return [f"{name}: {each} is {getattr(order, each)} here and {getattr(other, each)} at the exchange"
            for each in fields if getattr(order, each) != getattr(other, each)]


def _table_differences(ours: Journalled, engine: Engine) -> list[str]:
    """The order table against the journal; orders that it has forgotten are in its positions still."""
    wrong = []
    for view in engine.orders.orders():
        order, listing = ours.orders.get(view.client_order_id), engine.core.listings[view.listing]
        held = (from_scaled(view.cumulative, listing.quantity_decimals),
                from_scaled(view.notional, listing.price_decimals + listing.quantity_decimals))
        if order is None or held != (order.filled, order.cash):
            wrong.append(f"{listing.exchange}: order {client_id.encode(view.client_order_id)} has {held} in the table")
    for index, listing in enumerate(engine.core.listings):
        position = engine.position(index)
        mine = [order for order in ours.orders.values()
                if (order.exchange, order.symbol) == (listing.exchange, listing.symbol)]
        for side, held in (("buy", position.bought), ("sell", position.sold)):
            filled = sum((order.filled for order in mine if order.side == side), Decimal(0))
            if filled != from_scaled(held, listing.quantity_decimals):
                name = f"{listing.exchange} {listing.symbol}"
                wrong.append(f"{name}: {side} {filled} by the journal, something else by its position")
    return wrong


def _balance_differences(engine: Engine, truth: dict[str, dict], funds: dict[str, str], account: str) -> list[str]:
    """Every balance must be what it was and what the positions say that trading changed."""
    wrong = []
    for exchange, record in truth.items():
        changed = summary.flows(engine, exchange)
        for asset, balance in record["balances"][account].items():
            expected = Decimal(funds.get(asset, "0")) + changed.get(asset, Decimal(0))
            held = Decimal(balance["free"]) + Decimal(balance["locked"])
            if held != expected:
                wrong.append(f"{exchange}: {held} {asset} on the account, {expected} by our positions")
    return wrong
