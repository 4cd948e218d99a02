"""`orderflow kill`: stop a running engine's orders, now."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orderflow.cli import CHECK_FAILED, GOOD, output
from orderflow.cli.application import BadUsage

DIRECTORY = Annotated[Path, typer.Argument(metavar="DIR", help="Of the engine: `orderflow run` prints it.")]
WORDS = {"CANCELS_WRITTEN": "cancels written", "NO_CONNECTION": "no order connection: cancels follow when it is back",
         "NOT_ANSWERED": "ITS THREAD HAS NOT ANSWERED"}


def command(
    directory: DIRECTORY,
    exchange: Annotated[str, typer.Option(help="Only this exchange.")] = "",
    strategy: Annotated[str, typer.Option(help="Only the orders of this strategy.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> int:
    """Kill: no new order leaves a running engine, and everything that it has sent is cancelled.

    Needs nothing of the engine's Python. `orderflow rearm` allows orders again.

    Exit code 1: no engine runs there, or an exchange thread has not answered within a second.
    """
    from orderflow.servers.control_requests import Refused, kill

    if exchange and strategy:
        raise BadUsage("kill: --exchange or --strategy, not both")
    try:
        found = kill(directory, exchange, strategy)
    except Refused as error:
        raise BadUsage(str(error)) from None
    if as_json:
        output.result({"complete": found.complete, "took_ns": found.took_ns, "exchanges": {
            name: {"answer": answer.name, "cancels": cancels, "left": left}
            for name, (answer, cancels, left) in found.exchanges.items()}})
    else:
        for name, (answer, cancels, left) in found.exchanges.items():
            rest = f", {left} could not be cancelled yet" if left else ""
            output.text(f"  {name}: {cancels} {WORDS[answer.name]}{rest}" if answer.name == "CANCELS_WRITTEN"
                        else f"  {name}: {WORDS[answer.name]}")
        took = f", the last cancel {found.took_ns / 1000:,.0f} us after the request" if found.took_ns else ""
        output.text(f"Killed {exchange or strategy or 'everything'}{took}. Again by: orderflow rearm {directory}")
    if not found.complete:
        output.warn("an exchange thread has not answered; it refuses new orders, and is handed to the watchdog if it "
                    "stands still")
    return GOOD if found.complete else CHECK_FAILED
