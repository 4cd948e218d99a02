"""`orderflow rearm`: let a killed engine trade again."""
from __future__ import annotations

from typing import Annotated

import typer

from orderflow.cli import GOOD, output
from orderflow.cli.application import BadUsage
from orderflow.cli.kill import DIRECTORY


def command(
    directory: DIRECTORY,
    exchange: Annotated[str, typer.Option(help="Only this exchange.")] = "",
    strategy: Annotated[str, typer.Option(help="Only this strategy.")] = "",
) -> int:
    """Allow again what was killed; nothing else ever does.

    Without a name everything is allowed again, with one only that.
    """
    from orderflow.servers.control_requests import Refused, ask

    try:
        left = ask(directory, {"command": "rearm", "exchange": exchange, "strategy": strategy})["killed"]
    except Refused as error:
        raise BadUsage(str(error)) from None
    output.text(f"Killed still: {', '.join(left)}" if left else "Nothing is killed any more; orders leave again.")
    return GOOD
