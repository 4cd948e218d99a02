"""`orderflow watch`: live books of any exchanges, nothing traded, nothing kept."""
from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from orderflow.cli import CHECK_FAILED, GOOD, output
from orderflow.cli.application import BadUsage, CheckFailed


def command(
    configuration: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="What to connect to; without `rest` and "
                                                  "`stream` it is the exchanges' own endpoints.")],
    instrument: Annotated[str, typer.Option(metavar="NAME", help="What the ladder shows; the first one if not said.")]
    = "",
    seconds: Annotated[float | None, typer.Option(min=0.0, help="Leave after so long instead of on Ctrl-C.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> int:
    """Show the order books of a configuration as one moving ladder until Ctrl-C.

    Exit code 1: an exchange could not be reached, or a book was not LIVE at the end.
    """
    from orderflow.cli import summary
    from orderflow.cli.record import market_data
    from orderflow.cli.run import STEP_S, books_line, ended_by_signal, watch_lines
    from orderflow.config import load
    from orderflow.problems import EngineError

    settings = load(configuration)
    problems: list[str] = []
    data = market_data(settings, problems.append, {})
    with ended_by_signal() as ended:
        try:
            data.start()
        except EngineError as error:
            raise CheckFailed(str(error)) from None
        began = time.monotonic()

        def passed() -> float:
            return time.monotonic() - began

        def over() -> bool:
            return bool(ended) or (seconds is not None and passed() >= seconds)

        try:
            if instrument and instrument not in data.instruments:
                raise BadUsage(f"--instrument {instrument}: there are {', '.join(data.instruments)}")
            if as_json or not sys.stdout.isatty():
                watch_lines(data, passed, over, problems, quiet=as_json)
                if not as_json:
                    output.text(books_line(data, passed()))
            else:
                from orderflow.cli.screen import LiveScreen

                with LiveScreen(data, f"orderflow watch {configuration.name}", instrument, problems) as screen:
                    while not over():
                        screen.show(passed(), seconds)
                        data.run(STEP_S, over)
            found = {"exchanges": summary.exchanges(data), "latency_ns": summary.latency(data), "problems": problems}
        finally:
            data.stop()
    if as_json:
        output.result(found)
    live = all(state == "LIVE" for exchange in found["exchanges"] for state in exchange["books"].values())
    return GOOD if live and not data.left_out else CHECK_FAILED
