"""`orderflow explain`: how a parent order was worked, as a person would tell it."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orderflow.cli import GOOD, output
from orderflow.cli.application import BadUsage


def command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the runs.")],
    parent_id: Annotated[int, typer.Argument(metavar="PARENT_ID", help="As `orderflow tca DIR` lists them.")],
    run: Annotated[int | None, typer.Option("--run", metavar="N", help="Which run; by default the last one that has "
                                            "such a parent order.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with every decision.")] = False,
) -> int:
    """Say of one parent order what was sent where and why: with which books before the router's eyes, which exchanges
    were left out and for what, and what else the same books would have cost.
    """
    from orderflow._core.segments import SegmentError
    from orderflow.research.explain import document, explain
    from orderflow.research.explain_words import story
    from orderflow.run_start import RunStartError

    try:
        told = explain(directory, parent_id, run)
    except (SegmentError, RunStartError, ValueError) as error:
        raise BadUsage(str(error)) from None
    if as_json:
        output.result(document(told))
    else:
        for line in story(told):
            output.text(line)
    return GOOD
