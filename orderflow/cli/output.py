"""Where words go: results to stdout; progress and warnings to stderr, progress only where that is a terminal."""
from __future__ import annotations

import json
import sys
from collections.abc import Sequence


def result(document) -> None:
    """The one JSON object of a command, at once."""
    print(json.dumps(document, indent=2, ensure_ascii=False), flush=True)


def text(line: str = "") -> None:
    """A line of a result meant for people, at once."""
    print(line, flush=True)


def warn(line: str) -> None:
    """Something that the user should know although the command goes on."""
    print(f"orderflow: {line}", file=sys.stderr, flush=True)


def progress(line: str) -> None:
    """What is being done: on a terminal only, each line over the one before."""
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def end_progress() -> None:
    """Take the progress line away."""
    progress("")


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as aligned lines; numbers-like cells right, others left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.rjust(width) if cell[:1].isdigit() else cell.ljust(width)
                      for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
