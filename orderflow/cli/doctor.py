"""`orderflow doctor`: whether this machine and this interpreter can do what orderflow needs."""
from __future__ import annotations

from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from orderflow.cli import CHECK_FAILED, GOOD, output

WIDTH = 20
MARKS = {"good": "ok  ", "warning": "warn", "bad": "BAD "}


def command(
    configuration: Annotated[Path | None, typer.Argument(metavar="[CONFIG.toml]", help="Say too where the credentials "
                                                         "of its exchanges come from; nothing is connected.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object: checks by name.")] = False,
) -> int:
    """Look at the interpreter, TLS, signing, processors, clock and limits.

    Of credentials it shows where they are and their fingerprints. Exit code 1: something that orderflow needs does not
    work here.
    """
    from orderflow.cli.examination import credentials, examine
    from orderflow.config import load

    settings = None if configuration is None else load(configuration)
    findings = []
    for finding in chain(examine(), credentials(settings) if settings else ()):
        findings.append(finding)
        output.progress(finding.name)
    output.end_progress()
    bad = any(finding.state == "bad" for finding in findings)
    if as_json:
        output.result({"good": not bad, "checks": {finding.name: asdict(finding) for finding in findings}})
        return CHECK_FAILED if bad else GOOD
    for finding in findings:
        output.text(f"{MARKS[finding.state]}  {finding.name:<{WIDTH}} {finding.detail}")
        if finding.advice:
            output.text(f"{'':{WIDTH + 7}}{finding.advice}")
    return CHECK_FAILED if bad else GOOD
