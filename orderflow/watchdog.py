"""The watchdog: a process beside a trading engine that cancels what the engine itself can no longer cancel.

It does nothing until one of these happens, and then only what is named:

    the pipe from the engine ends           the engine has died           cancel on every exchange, then end
    nothing is heard for `silence_s`        the engine is frozen          the same
    "X" and an exchange's index             that exchange's thread stands still      cancel on that exchange
    "S"                                     the engine stops in order     end, and touch nothing

What may be out is read from the journal, which holds every order before it leaves; the journal is only read. Each order
that has not been seen to end is cancelled by its client order id, over a connection of the watchdog's own, by the very
session, codec and exchange loop that the engine uses. So only our ids are named, and orders of others are safe. An
order is done when the exchange says that it ended, or twice, some seconds apart, that it knows no such order: the
first time it may still have been on its way.

What was done is written to watchdog.log in the engine's directory.
"""
from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from orderflow._core import client_id
from orderflow._core.doorbell import Doorbell
from orderflow._core.journal import RecordKind, read
from orderflow._core.kill import BEAT, CLEAN_STOP, STANDSTILL
from orderflow._core.types import CHILD_ORDER_DTYPE, EXECUTION_REPORT_DTYPE, ChildKind, ExecType, Reason
from orderflow.credentials import Credentials
from orderflow.exchanges import session_for
from orderflow.exchanges.session import Session, SessionSettings
from orderflow.instrument import Listing
from orderflow.servers.connect import Timeouts
from orderflow.servers.sync import SyncServer
from orderflow.wiring import build_core, conversations, exchange_threads

ENDS = (ExecType.REPORT_CANCELED, ExecType.REPORT_REJECTED, ExecType.REPORT_EXPIRED, ExecType.REPORT_NOT_SENT)
#: Between two requests for the same order, and for how long they are repeated at most.
REPEAT_S, GIVE_UP_S = 2.0, 300.0
#: "There is no such order" is believed when it was said so often.
UNKNOWN_TIMES = 2
#: Requests written to one exchange in a second at most: below what each of them allows for cancels.
CANCELS_A_SECOND = 50
LOOK_S = 0.02


@dataclass(slots=True)
class Outstanding:
    """An order that may be out.

    Attributes
    ----------
    stated : int
        The largest cumulative quantity that the exchange has stated.
    asked_s : float
        When it was asked for last, on time.monotonic; 0 = not yet.
    unknown : int
        How often the exchange has said that there is no such order.
    """

    client_order_id: int
    exchange: str
    symbol: str
    side: int
    quantity: int
    stated: int = 0
    asked_s: float = 0.0
    unknown: int = 0
    trades: dict[int, int] = field(default_factory=dict)        # quantity of each by its id


def outstanding(directory: str | os.PathLike[str]) -> list[Outstanding]:
    """Orders of a journal that have not been seen to end: of its last run, and those that it took over."""
    found: dict[int, Outstanding] = {}
    taken: dict[int, Outstanding] = {}
    symbols: list[tuple[str, str]] = []
    expected = -1                           # CARRIED records that are still to come
    for record in read(directory):
        if record.kind == RecordKind.RUN_START:
            start = record.decode()
            symbols = [(one["exchange"], one["symbol"]) for one in start.get("listings", ())]
            expected, taken = start.get("carried", -1), {}
        elif record.kind == RecordKind.CARRIED:
            expected -= 1
            if (order := record.decode().get("order")) is not None:
                trades = {trade: quantity for trade, _, quantity in order["fills"]}
                taken[order["client_order_id"]] = Outstanding(
                    order["client_order_id"], *symbols[int(order["listing"])], order["side"], order["quantity"],
                    stated=order["stated"], trades=trades)
        elif record.kind == RecordKind.INTENT:
            order = record.decode()
            number = int(order["client_order_id"])
            found[number] = Outstanding(number, *symbols[int(order["listing"])], int(order["side"]),
                                        int(order["quantity"]))
        elif record.kind == RecordKind.REPORT:
            report = record.decode()
            known = found.get(int(report["client_order_id"]))
            if known is not None and has_ended(known, report):
                del found[known.client_order_id]
        if expected == 0:                   # whatever else was out before has been found to have ended
            found, expected = taken, -1
    return list(found.values())


def has_ended(order: Outstanding, report: np.void) -> bool:
    """Whether nothing of the order is left after this report; quantities decide, as in the order table: the fills, each
    once, or what the exchange has stated, whichever is more."""
    kind = int(report["exec_type"])
    if kind == ExecType.REPORT_FILL:
        order.trades[int(report["trade_id"])] = int(report["last_quantity"])
    order.stated = max(order.stated, int(report["cumulative_quantity"]))
    return kind in ENDS or max(order.stated, sum(order.trades.values())) >= order.quantity


class Rescue:
    """Connections of the watchdog's own to some exchanges, and the cancelling.

    Parameters
    ----------
    setup : dict
        As WatchdogProcess writes it.
    exchanges : sequence of str
        To connect to.
    """

    def __init__(self, setup: dict[str, Any], exchanges: Sequence[str]):
        bell = Doorbell()
        self.server = SyncServer(bell, say, setup["ca_file"], timeouts=Timeouts(**setup["timeouts"]))
        sessions = [session_again(one) for one in setup["sessions"] if one["settings"]["name"] in exchanges]
        listings = [Listing.load(one) for one in setup["listings"] if one["exchange"] in exchanges]
        self.core = build_core(sessions, listings, borrows=True, trade=True, control_bell=bell)
        self.indices = {(item.exchange, item.symbol): index for index, item in enumerate(listings)}
        self.threads = exchange_threads(self.core, "split", "park")
        self.conversations = conversations(self.core, sessions, say, self.server.hosts)

    def __enter__(self) -> Rescue:
        self.threads.start()
        self.server.start(self.conversations)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()
        self.threads.stop()

    def cancel(self, orders: Sequence[Outstanding]) -> list[Outstanding]:
        """Ask until every one has ended, or there is no hope; those that have not."""
        open_ones = {order.client_order_id: order for order in orders}
        deadline = time.monotonic() + GIVE_UP_S
        allowed = dict.fromkeys(self.core.orders, 0.0)
        looked = time.monotonic()
        while open_ones and time.monotonic() < deadline:
            for name in allowed:
                self._take_reports(name, open_ones)
            now = time.monotonic()
            for name in allowed:
                allowed[name] = min(CANCELS_A_SECOND, allowed[name] + (now - looked) * CANCELS_A_SECOND)
            looked = now
            for order in open_ones.values():
                if (allowed[order.exchange] >= 1 and now - order.asked_s >= REPEAT_S
                        and self.core.loops[order.exchange].can_trade and self._ask(order)):
                    order.asked_s = now
                    allowed[order.exchange] -= 1
            time.sleep(LOOK_S)
        return list(open_ones.values())

    def _ask(self, order: Outstanding) -> bool:
        record = np.zeros(1, CHILD_ORDER_DTYPE)[0]
        record["client_order_id"], record["kind"] = order.client_order_id, ChildKind.CANCEL_ORDER
        record["listing"] = self.indices[order.exchange, order.symbol]
        record["side"], record["quantity"] = order.side, order.quantity
        taken = self.core.orders[order.exchange].push(record)
        self.core.bells[order.exchange].ring()
        return taken

    def _take_reports(self, name: str, open_ones: dict[int, Outstanding]) -> None:
        while (report := self.core.reports[name].pop(EXECUTION_REPORT_DTYPE)) is not None:
            order = open_ones.get(int(report["client_order_id"]))
            kind = int(report["exec_type"])
            if order is None or kind == ExecType.REPORT_NOT_SENT:       # the connection went meanwhile: asked again
                continue
            if kind == ExecType.REPORT_CANCEL_REJECTED and int(report["reason"]) == Reason.UNKNOWN_ORDER:
                order.unknown += 1
            if has_ended(order, report) or order.unknown >= UNKNOWN_TIMES:
                what = "there is none" if order.unknown >= UNKNOWN_TIMES else ExecType(kind).name
                say(f"{name}: order {client_id.encode(order.client_order_id)}: {what}")
                del open_ones[order.client_order_id]


def session_again(fields: dict[str, Any]) -> Session:
    """A session for orders alone, as the engine has it."""
    settings = fields["settings"]
    lists = {name: tuple(settings[name]) for name in ("symbols", "subscribe", "order_rate")}
    return session_for(fields["protocol"], SessionSettings(**settings | lists | {
        "orders_only": True, "lines": 1, "renew_after_ns": 0, "order_rate": (0, 1), "account_is_exclusive": False}))


def say(line: str) -> None:
    """One line of the log."""
    sys.stdout.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {line}\n")
    sys.stdout.flush()


def act(setup: dict[str, Any], why: str, exchanges: Sequence[str]) -> bool:
    """Cancel whatever may be out on these exchanges; whether nothing is left."""
    trading = {one["settings"]["name"] for one in setup["sessions"] if one["settings"]["trade"]}
    known = {(one["exchange"], one["symbol"]) for one in setup["listings"]}
    everything = [order for order in outstanding(setup["directory"]) if order.exchange in exchanges]
    orders = [order for order in everything
              if order.exchange in trading and (order.exchange, order.symbol) in known]
    say(f"engine {setup['pid']}: {why}; {len(orders)} orders may be out on {', '.join(exchanges)}")
    for order in everything:
        if order not in orders:
            say(f"{order.exchange}: order {client_id.encode(order.client_order_id)} of {order.symbol} cannot be "
                "cancelled from here: this run does not trade it")
    if not orders:
        return True
    with Rescue(setup, sorted({order.exchange for order in orders})) as rescue:
        left = rescue.cancel(orders)
    for order in left:
        say(f"{order.exchange}: order {client_id.encode(order.client_order_id)} MAY STILL BE OUT: cancel it by hand")
    if not left:
        say("nothing is left")
    return not left


def watch(pipe: int, setup: dict[str, Any]) -> int:
    """Until the engine stops or dies; the exit code: 1 = something may still be out."""
    names = [one["settings"]["name"] for one in setup["sessions"]]
    heard = b""
    while True:
        if not select.select([pipe], [], [], setup["silence_s"])[0]:
            return 0 if act(setup, f"nothing was heard for {setup['silence_s']:g} s", names) else 1
        piece = os.read(pipe, 4096)
        if not piece:
            return 0 if act(setup, "it died", names) else 1
        heard += piece
        while heard:
            word, heard = heard[:1], heard[1:]
            if word == CLEAN_STOP:
                return 0
            if word == STANDSTILL and not heard:
                heard = word                # its number comes with the next read
                break
            if word == STANDSTILL:
                number, heard = heard[0], heard[1:]
                act(setup, f"the thread of {names[number]} stands still", [names[number]])
            elif word != BEAT:
                say(f"the engine said {word!r}, which is nothing")


def read_setup(pipe: int) -> dict[str, Any] | None:
    """The first line of the pipe, the credentials behind it, and not a byte more; None if it ends before the line."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(pipe, 1)
        if not byte:
            return None
        line += byte
    setup: dict[str, Any] = json.loads(line)
    for one in setup["sessions"]:
        one["settings"]["credentials"] = Credentials.taken_over(pipe) if one["settings"]["credentials"] else None
    return setup


def main() -> int:
    """The process."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    pipe = sys.stdin.fileno()
    setup = read_setup(pipe)
    if setup is None:
        return 0                            # the engine has not even begun
    if not Path(setup["directory"]).is_dir():
        say(f"{setup['directory']}: there is no such directory")
        return 1
    return watch(pipe, setup)


if __name__ == "__main__":
    sys.exit(main())
