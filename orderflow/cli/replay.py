"""`orderflow replay`: a recorded run again, from its frames, its input log and its journal."""
from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from orderflow.cli import CHECK_FAILED, GOOD, output
from orderflow.cli.application import BadUsage


def command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the run, made with record = true.")],
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 unless every order and every decision came out "
                                        "byte for byte as the run wrote it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> int:
    """Route the last recorded run in DIR again and compare every order, and what was written of every decision.

    Prints how many inputs, orders and decisions there were, the SHA-256 of the orders, and the first difference if
    there is one.

    Exit codes: 0 done, and with --check: the same; 1 with --check: a difference, or the run could not be
    followed to its end; 2 there is nothing to replay.
    """
    from orderflow._core.segments import SegmentError
    from orderflow.problems import EngineError
    from orderflow.research.replay import ReplayError, replay
    from orderflow.run_start import RunStartError

    try:
        replayed = replay(directory)
    except (ReplayError, RunStartError, SegmentError, EngineError) as error:
        raise BadUsage(str(error)) from None
    if as_json:
        output.result(asdict(replayed))
    else:
        output.text(f"{replayed.inputs} inputs, {replayed.orders} orders, {replayed.decisions} decisions")
        output.text(f"sha256 of the orders {replayed.sha256}")
        output.text("the same, byte for byte" if replayed.equal else
                    f"of the run         {replayed.expected_sha256}\nfirst difference: {replayed.difference}")
    return CHECK_FAILED if check and not replayed.equal else GOOD
