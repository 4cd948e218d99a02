"""`orderflow books`: the order books that a capture's frames give."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from orderflow.cli import CHECK_FAILED, GOOD, output
from orderflow.cli.application import BadUsage


def command(
    captures: Annotated[list[Path], typer.Argument(metavar="CAPTURE...", exists=True, dir_okay=False, readable=True,
                                                   help="Files of recorded frames.")],
    exchange: Annotated[str, typer.Option("--exchange", metavar="PROTOCOL", help="What the captures speak, where "
                                          "their own URLs do not tell.")] = "",
    server: Annotated[Literal["direct", "sync", "async"], typer.Option(
        help="direct: frames into the native loop. sync, async: a simulated exchange plays the capture into that "
             "server over a real websocket.")] = "direct",
    plain: Annotated[bool, typer.Option("--plain", help="ws instead of wss (sync, async).")] = False,
    layout: Annotated[Literal["split", "fused"], typer.Option(help="Native threads (sync, async).")] = "split",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object: capture -> instrument -> book.")] = False,
) -> int:
    """Build the order books of recorded frames and sum them up.

    Exit code 1: a gap, a wrong checksum or an unreadable frame was met; stderr says which.
    """
    from orderflow.research.books import BooksError, books, name_of

    names = [name_of(path) for path in captures]
    for name in names:
        if names.count(name) > 1:
            raise BadUsage(f"CAPTURE: {name} is named twice; the result is by file name")
    protocols = [_protocol(path, exchange) for path in captures]
    document, failed = {}, False
    for path, name, protocol in zip(captures, names, protocols, strict=True):
        output.progress(f"{name}: reading")
        try:
            played = books(path, protocol, server, tls=not plain, layout=layout, progress=output.progress)
        except BooksError as error:
            output.end_progress()
            output.warn(f"{name}: {error}")
            failed = True
            continue
        output.end_progress()
        for problem in played.problems:
            output.warn(f"{name}: {problem}")
        failed = failed or bool(played.problems)
        document[name] = played.summaries
    if as_json:
        output.result(document)
    else:
        for line in _table(document):
            output.text(line)
    return CHECK_FAILED if failed else GOOD


def _protocol(path: Path, exchange: str) -> str:
    from orderflow.research.books import BooksError, protocol_of
    from orderflow.simulator.dialects import PROTOCOLS

    try:
        protocol = protocol_of(path, exchange)
    except BooksError as error:
        raise BadUsage(str(error)) from None
    except OSError as error:
        raise BadUsage(f"{path}: {error.strerror}") from None
    if protocol not in PROTOCOLS:
        what = "--exchange" if exchange else str(path)
        raise BadUsage(f"{what}: books of protocol {protocol!r} cannot be made; only of {', '.join(PROTOCOLS)}")
    return protocol


def _table(document: dict) -> list[str]:
    rows = [("capture", "instrument", "updates", "gaps", "checksums", "trades", "bid", "ask", "levels")]
    for name, instruments in document.items():
        for symbol, book in instruments.items():
            bid, _, ask, _ = book["final_bbo"]
            total = book["checksums_ok"] + book["checksums_failed"]
            rows.append((name, symbol, str(book["updates_applied"]), str(book["gaps"]),
                         f"{book['checksums_ok']}/{total}", str(book["trades"]), bid or "-", ask or "-",
                         "{} + {}".format(*book["final_levels"])))
    return output.columns(rows)
