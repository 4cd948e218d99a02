"""`orderflow status`: how a running engine stands."""
from __future__ import annotations

from typing import Annotated

import typer

from orderflow.cli import GOOD, output
from orderflow.cli.application import BadUsage
from orderflow.cli.kill import DIRECTORY

#: Before the engine of a paper run.
PAPER = "PAPER (no order leaves this machine): "


def command(
    directory: DIRECTORY,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> int:
    """Show exchanges, books, orders, positions, states and refusals of a running engine.

    Exit code 1: no engine runs there, or its Python does not answer.
    """
    from orderflow.servers.control_requests import Refused, ask

    try:
        found = ask(directory, {"command": "status"})
    except Refused as error:
        raise BadUsage(str(error)) from None
    if as_json:
        output.result(found)
        return GOOD
    for line in lines(found):
        output.text(line)
    return GOOD


def lines(found: dict) -> list[str]:
    """The same for people."""
    orders, killed = found["orders"], found["killed"]
    written = [f"{PAPER if found['paper'] else ''}Engine {found['pid']} in {found['directory']}: "
               + found["trading_state"]
               + (f", KILLED: {', '.join(killed)} ({found['kill_cause']})" if killed else "")]
    if found["watchdog"] != "running" and not found["paper"]:
        written.append(f"Watchdog: {found['watchdog']}")
    rows = [("exchange", "orders", "books", "frames", "open", "sent", "refused")]
    for one in found["exchanges"]:
        state = "killed" if one["killed"] else "ready" if one["can_trade"] else "no connection"
        if one.get("clock", {}).get("reducing"):
            state += ", reducing: clock"
        if one["can_trade"] and not one.get("reconciliation", {}).get("reconciled", True):
            state += ", waits: not reconciled"
        rows.append((one["name"], state if one["trades"] else "not traded",
                     ", ".join(f"{symbol} {book}" for symbol, book in one["books"].items()), f"{one['frames']:,}",
                     str(one["open_orders"]), str(one["sent"]), str(one["refused_by_gate"])))
    written += [f"  {line}" for line in output.columns(rows)]
    written.append(f"Orders: {orders['open']} open, of them {orders['in_doubt']} in doubt")
    written += [f"  {one['exchange']} {one['symbol']} {one['side'].lower()} {one['quantity']} at {one['price']}, "
                f"filled {one['filled']}: {one['status']} ({one['client_order_id']})" for one in found["open_orders"]]
    written += [f"Position {instrument}: " + ", ".join(f"{net} on {name}" for name, net in parts.items())
                for instrument, parts in found["positions"].items()]
    written += [f"Kept below the minimums for {one['strategy']}: {one['quantity']} {one['instrument']}"
                for one in found["residuals"]]
    written += [f"Halted {', '.join(one['instruments']) or 'nothing'}: {one['text']}" for one in found["differences"]]
    written += [f"Not used: {place}, {rate['from']} gives no rate" for place, rate in found["rates"].items()
                if rate["buy"] is None]
    if found["refusals"]:
        written.append("Refused by risk: " + ", ".join(f"{count} {name}" for name, count in found["refusals"].items()))
    if found["not_ready"]:
        written.append(f"Not ready: {', '.join(found['not_ready'])}")
    return written + [f"  {problem}" for problem in found["problems"]]
