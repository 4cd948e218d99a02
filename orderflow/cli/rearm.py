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
    instrument: Annotated[str, typer.Option(help="An instrument that was halted because an exchange's books and ours "
                                                 "differ: the exchange is right.")] = "",
) -> int:
    """Allow again what was killed; nothing else ever does.

    Without a name everything that was killed is allowed again, with one only that. An instrument that was halted
    because balances or orders differ is allowed by its name alone.
    """
    from orderflow.servers.control_requests import Refused, ask

    try:
        left = ask(directory, {"command": "rearm", "exchange": exchange, "strategy": strategy,
                               "instrument": instrument})["killed"]
    except Refused as error:
        raise BadUsage(str(error)) from None
    if instrument:
        output.text(f"{instrument} is compared with what the exchanges have now, and takes orders again.")
    output.text(f"Killed still: {', '.join(left)}" if left else "Nothing is killed any more; orders leave again.")
    return GOOD
