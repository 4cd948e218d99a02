"""`orderflow doctor`: whether this machine and this interpreter can do what orderflow needs."""
from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from orderflow.cli import CHECK_FAILED, GOOD, output

MARKS = {"good": "ok  ", "warning": "warn", "bad": "BAD "}


def command(as_json: Annotated[bool, typer.Option("--json", help="One JSON object: checks by name.")] = False) -> int:
    """Look at the interpreter, TLS, signing, processors, clock and limits.

    Exit code 1: something that orderflow needs does not work here.
    """
    from orderflow.cli.examination import examine

    findings = []
    for finding in examine():
        findings.append(finding)
        output.progress(finding.name)
    output.end_progress()
    bad = any(finding.state == "bad" for finding in findings)
    if as_json:
        output.result({"good": not bad, "checks": {finding.name: asdict(finding) for finding in findings}})
        return CHECK_FAILED if bad else GOOD
    for finding in findings:
        output.text(f"{MARKS[finding.state]}  {finding.name:<13}{finding.detail}")
        if finding.advice:
            output.text(f"{'':19}{finding.advice}")
    return CHECK_FAILED if bad else GOOD
