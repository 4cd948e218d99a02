"""What must hold when a storm (routing_storm.py) is over: by the exchanges' truth, not by the router's word."""
import os
import random
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from orderflow._core import journal
from orderflow._core.journal import RecordKind
from orderflow._core.journal_scan import JournalScan
from orderflow._core.recovery import Recovery
from orderflow._core.residuals import ResidualLedger
from orderflow._core.types import (
    EXECUTION_REPORT_DTYPE,
    RESIDUAL_CHANGE_DTYPE,
    ExecType,
    FaultCode,
    ParentStatus,
    Reason,
    ResidualKind,
    Side,
)
from tests.routing_storm import Storm
from tests.storm_listings import LISTINGS, STRATEGIES

STEPS = 60
#: Segments are made durable before they are used, which costs much more than a storm does on a disk.
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def weather(dice, steps=STEPS):
    """What one storm showed: what was wrong, in words, and how many orders and fills there were."""
    with TemporaryDirectory(prefix="orderflow-storm-", dir=IN_MEMORY) as directory:
        storm = Storm(dice, directory)
        try:
            for _ in range(steps):
                storm.step()
                storm.wrong += conserved(storm)
                if storm.wrong:
                    break
            else:
                storm.calm()
            wrong = storm.wrong or over(storm, directory)
            return wrong, {"orders": sum(map(len, storm.children.values())), "fills": storm.orders.counts["fills"],
                           "parents": len(storm.asked), "kept": len(storm.residuals.rows()),
                           "icebergs": storm.icebergs}
        finally:
            storm.close()


def over(storm, directory):
    """What is wrong once a storm has calmed down, in words; its journal is closed."""
    storm.close()
    return [*storm.wrong, *parents(storm), *fills(storm), *kept(storm), *readback(storm, Path(directory))]


def weather_of(seed, steps=STEPS):
    """The same for a seed."""
    return weather(random.Random(seed), steps)


def conserved(storm):
    """At any time, by the table."""
    for view in storm.orders.parents():
        if view.filled + view.working + view.in_doubt > view.quantity:
            yield f"parent {view.parent_id}: {view.filled} + {view.working} + {view.in_doubt} of {view.quantity}"
    code, subject = storm.router.fault
    if code != FaultCode.NO_FAULT_FOUND:
        yield f"{code.name}: {subject}"


def parents(storm):
    """Each has ended for a reason, with what the exchanges have filled of it; what is not known is reserved."""
    yield from conserved(storm)
    yield from storm.orders.audit()
    for view in storm.orders.parents():
        orders = storm.orders_of(view.parent_id)
        away = [order for place, exchange in enumerate(storm.exchanges) if place == storm.gone
                for order in orders if order.id in exchange.orders]
        true = sum(order.filled * LISTINGS[order.listing][5] for order in orders)
        unseen = sum(order.filled * LISTINGS[order.listing][5] for order in away)
        if not true - unseen <= view.filled <= true:
            yield f"parent {view.parent_id}: filled {view.filled}, exchanges say {true} ({unseen} of it unheard of)"
        if true - view.filled > view.in_doubt:
            yield f"parent {view.parent_id}: {true - view.filled} may be filled, {view.in_doubt} are reserved"
        if true > storm.allowed(view.parent_id):
            yield f"parent {view.parent_id}: overfilled, {true} of {storm.allowed(view.parent_id)}"
        if view.filled < view.quantity and view.reason == Reason.OK:
            yield f"parent {view.parent_id}: ended at {view.filled} of {view.quantity} for no reason"
    if storm.gone is None and storm.router.counts["timers"]:
        yield f"{storm.router.counts['timers']} timers are left"


def fills(storm):
    """Positions are what was filled."""
    true = defaultdict(lambda: [0, 0])
    for place, exchange in enumerate(storm.exchanges):
        for order in exchange.orders.values():
            if place != storm.gone:
                true[order.listing][order.side - Side.BUY] += order.filled
    for listing, row in enumerate(LISTINGS):
        view = storm.orders.position(listing)
        if row[1] != storm.gone and [view.bought, view.sold] != true[listing]:
            yield f"listing {listing}: bought, sold {view.bought}, {view.sold}; the exchange says {true[listing]}"


def kept(storm):
    """The residual ledger balances: what parents left below the minimums is what others took and what is kept."""
    found = defaultdict(int)
    for number, asked in storm.asked.items():
        told = storm.told[number]
        if told["status"] == ParentStatus.PARENT_DENIED:
            continue
        sign = 1 if asked["side"] == Side.BUY else -1
        place = int(asked["strategy"]), int(asked["instrument"])
        found[place] -= sign * int(told["taken"])
        if told["taken"] and not asked["with_residual"]:
            yield f"parent {number}: took {told['taken']} and was not to"
        if told["reason"] == Reason.BELOW_MINIMUM_REMAINS:
            found[place] += sign * int(told["quantity"] - told["filled"])
        if told["reason"] == Reason.NETTED and (told["quantity"] or storm.children[number]):
            yield f"parent {number}: netted, and yet it trades"
    rows = {(row.strategy, row.instrument): row.quantity for row in storm.residuals.rows()}
    balance = {place: quantity for place, quantity in found.items() if quantity}
    if rows != balance:
        yield f"kept {rows}, but parents say {balance}"


def readback(storm, directory):
    """The journal alone says the same: fills, each once, and what is kept; and so does what a restart makes of it."""
    sums, seen, changes = defaultdict(lambda: [0, 0]), set(), defaultdict(int)
    for record in journal.read(directory):
        if record.kind == RecordKind.REPORT:
            report = np.frombuffer(record.payload, EXECUTION_REPORT_DTYPE)[0]
            key = int(report["client_order_id"]), int(report["trade_id"])
            if report["exec_type"] == ExecType.REPORT_FILL and key not in seen:
                seen.add(key)
                sums[int(report["listing"])][int(report["side"]) - Side.BUY] += int(report["last_quantity"])
        elif record.kind == RecordKind.RESIDUAL:
            change = np.frombuffer(record.payload, RESIDUAL_CHANGE_DTYPE)[0]
            place = int(change["strategy"]), int(change["instrument"])
            changes[place] += int(change["change"])
            if changes[place] != change["quantity"] or change["kind"] not in list(ResidualKind):
                yield f"the journal says that {change['quantity']} is kept in {place}, and changed by {changes[place]}"
    again = Recovery(storm.table, storm.journal.prefix, orders=4096, parents=256, fills=16384,
                     listings_per_instrument=3)
    ledger = ResidualLedger(STRATEGIES, 2)
    again.follow_residuals(ledger)
    scan = JournalScan(directory)
    if list(again.replay(scan)) or scan.fault or again.refused:
        yield f"the journal cannot be followed: {scan.fault}, {again.refused} refused"
    for listing in range(len(LISTINGS)):
        view, recovered = storm.orders.position(listing), again.position(listing)
        if [view.bought, view.sold] != sums[listing] or view != recovered:
            yield f"listing {listing}: {view}, the journal says {sums[listing]}, a restart {recovered}"
    if ledger.rows() != storm.residuals.rows():
        yield f"kept {storm.residuals.rows()}, a restart finds {ledger.rows()}"
