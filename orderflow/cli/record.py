"""`orderflow record`: what exchanges send, raw, into capture files."""
from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orderflow.cli import CHECK_FAILED, GOOD, output
from orderflow.cli.application import BadUsage, CheckFailed
from orderflow.cli.sessions import session_of

if TYPE_CHECKING:
    from orderflow.config import Settings
    from orderflow.research.market_data import MarketData

SUFFIX = ".tsv.zst"
STEP_S, LINE_S = 0.1, 1.0


def command(
    configuration: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="What to connect to; nothing trades.")],
    file: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help=f"NAME{SUFFIX}. With several exchanges "
                                       f"each has its own, NAME-EXCHANGE{SUFFIX}.")],
    seconds: Annotated[float | None, typer.Option(min=0.0, help="Leave after so long instead of on Ctrl-C.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> int:
    """Record the market data of a configuration until Ctrl-C.

    Exit code 1: an exchange could not be reached or sent nothing, or a file could not be written to the end.
    """
    from orderflow.cli.run import ended_by_signal
    from orderflow.config import load
    from orderflow.problems import EngineError

    settings = load(configuration)
    paths = files_of(file, list(settings.exchanges))
    for path in paths.values():
        if path.exists():
            raise BadUsage(f"-o: {path} exists; a capture is never written over, name another file")
    problems: list[str] = []
    began = time.monotonic()
    data = market_data(settings, problems.append, paths)
    with ended_by_signal() as ended:
        try:
            data.start()
        except EngineError as error:
            raise CheckFailed(str(error)) from None
        except OSError as error:
            raise BadUsage(f"-o: {error.filename}: {error.strerror}") from None
        try:
            told = _wait(data, problems, seconds, ended)
        finally:
            data.stop()
    output.end_progress()
    for problem in problems[told:]:
        output.warn(problem)
    silent = [name for name, writer in data.writers.items() if not writer.frames]
    for name in silent:
        output.warn(f"exchange {name}: no frame arrived; {paths[name]} holds no market data")
    found: dict[str, dict] = {name: {"file": str(writer.path), "frames": writer.frames, "bytes": writer.bytes,
                    "file_bytes": writer.path.stat().st_size, "failed": writer.failed or None}
             for name, writer in data.writers.items()}
    if as_json:
        output.result({"seconds": round(time.monotonic() - began, 3), "exchanges": found, "problems": problems})
    else:
        rows = [("exchange", "frames", "bytes", "on disk", "file")]
        rows += [(name, f"{one['frames']:,}", f"{one['bytes']:,}", f"{one['file_bytes']:,}", one["file"])
                 for name, one in found.items()]
        for line in output.columns(rows):
            output.text(line)
    return CHECK_FAILED if silent or data.left_out or any(one["failed"] for one in found.values()) else GOOD


def files_of(file: Path, names: list[str]) -> dict[str, Path]:
    """The file of each exchange; BadUsage for a name that is not one of a capture."""
    if not file.name.endswith(SUFFIX) or file.name == SUFFIX:
        raise BadUsage(f"-o {file}: expected a name that ends in {SUFFIX}")
    if len(names) == 1:
        return {names[0]: file}
    return {name: file.with_name(f"{file.name.removesuffix(SUFFIX)}-{name}{SUFFIX}") for name in names}


def market_data(settings: Settings, report, captures: dict[str, Path]) -> MarketData:
    """The market data of a configuration, without its orders; not started. BadUsage names what cannot be captured."""
    from orderflow.cli.run import joins_of, timeouts_of
    from orderflow.research.market_data import MarketData

    for name, one in settings.exchanges.items():
        if name in captures and one.lines > 1:
            raise BadUsage(f"exchanges.{name}.lines: a capture holds one line; set lines = 1")
    sessions = [session_of(name, one, trade=False, renewed=name not in captures, engine=settings.engine)
                for name, one in settings.exchanges.items()]
    chosen = settings.engine
    authorities = [one.ca_file for one in settings.exchanges.values() if one.ca_file]
    cpus = {name: cpu for name, cpu in chosen.cpus.items() if name in {*settings.exchanges, "fused"}}
    return MarketData(sessions, chosen.server, report, captures=captures, layout=chosen.layout, wait=chosen.wait,
                      cpus=cpus, ca_file=authorities[0] if authorities else None,
                      timeouts=timeouts_of(settings), allow_gil_transport=chosen.allow_gil_transport,
                      touch_books=chosen.touch_books, joins=joins_of(settings))


def _wait(data: MarketData, problems: list[str], seconds: float | None, ended: list[int]) -> int:
    """Until the time is over, somebody says so, or no file can be written any more; problems are told as they come.
    Returns how many were."""
    began, said, next_line = time.monotonic(), 0, 0.0
    while not ended and not all(writer.failed for writer in data.writers.values()):
        passed = time.monotonic() - began
        if seconds is not None and passed >= seconds:
            break
        if passed >= next_line:
            frames = sum(writer.frames for writer in data.writers.values())
            output.progress(f"{passed:.0f} s, {frames:,} frames")
            next_line = passed + LINE_S
        for problem in problems[said:]:
            output.warn(problem)
        said = len(problems)
        data.run(STEP_S, lambda: bool(ended))
    return said
