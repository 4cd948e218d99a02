"""`orderflow journal verify|show|export|repair`: what is in a journal, and whether all of it is whole."""
from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orderflow.cli import CHECK_FAILED, GOOD, output
from orderflow.cli.application import BadUsage
from orderflow.instrument import canonical

if TYPE_CHECKING:
    from orderflow.repair import Repair

TORN = 3                        # exit code: a torn tail and nothing worse
DIRECTORY = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the journal, or one segment.")]
NANOSECOND = 1_000_000_000


@contextmanager
def _readable(directory: Path) -> Iterator[None]:
    """What cannot be read as a journal becomes bad usage."""
    from orderflow._core.segments import SegmentError
    from orderflow.run_start import RunStartError

    try:
        yield
    except SegmentError as error:
        raise BadUsage(str(error)) from None
    except RunStartError as error:
        raise BadUsage(f"{directory}: {error}") from None


def verify(
    directory: DIRECTORY,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object: state and segments.")] = False,
) -> int:
    """Read every record, check every checksum and sequence, and say what was found.

    Exit codes: 0 every record is whole; 1 damaged in the middle, or a segment is missing: no engine starts on it; 2 not
    a journal, or one of another version; 3 a torn tail: the next start cuts it off, nothing else is lost.
    """
    from orderflow._core import journal_scan

    with _readable(directory):
        found = journal_scan.verify(directory)
    if not found:
        raise BadUsage(f"{directory}: no journal; its segments would be called journal-00000001.segment and so on")
    damaged = any(each.damaged for each in found)
    torn = any(each.fault for each in found)
    state = "quarantine" if damaged else "torn" if torn else "whole"
    if as_json:
        output.result({"state": state, "records": sum(each.records for each in found), "segments": [
            {"file": each.path.name, "run": each.epoch, "records": each.records, "end": each.end,
             "fault": each.fault, "damaged": each.damaged} for each in found]})
    else:
        rows = [["segment", "run", "records", "end", ""]]
        rows += [[each.path.name, str(each.epoch), str(each.records), str(each.end),
                  f"{'DAMAGED' if each.damaged else 'torn'}: {each.fault}" if each.fault else ""] for each in found]
        for line in output.columns(rows):
            output.text(line)
        output.text(_verdict(directory, state, found))
    return {"whole": GOOD, "torn": TORN}.get(state, CHECK_FAILED)


def _verdict(directory: Path, state: str, found) -> str:
    records = sum(each.records for each in found)
    if state == "whole":
        return f"{records} records in {len(found)} segments, all whole."
    if state == "torn":
        return (f"{records} records are whole. A run was killed in the middle of a record, or is being written now; "
                "the next start keeps what is torn aside and cuts it off.")
    first = next(each for each in found if each.damaged)
    return (f"QUARANTINE: {first.path} at offset {first.end}: {first.fault}. No crash explains that, so no engine "
            f"starts on {directory}. docs/journal.md says what to do.")


def show(
    directory: DIRECTORY,
    kind: Annotated[list[str] | None, typer.Option("--kind", help="Only these: parent, intent, cancel, report, state, "
                                                   "run_start, run_end. May be given again.")] = None,
    order: Annotated[str, typer.Option("--order", help="Only of this client order id.")] = "",
    parent: Annotated[int | None, typer.Option("--parent", help="Only of this parent order.")] = None,
    run: Annotated[int | None, typer.Option("--run", help="Only of this run (epoch).")] = None,
    since: Annotated[str, typer.Option("--since", help="Only from this time on: 2026-01-31T12:00:00, UTC unless it "
                                       "says otherwise.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> int:
    """Print one readable line a record.

    Exit code 1: the journal is damaged behind the last line.
    """
    from orderflow._core.journal import RecordKind
    from orderflow.research.journal import rows

    wanted = {each.upper() for each in kind or ()}
    unknown = wanted - set(RecordKind.__members__)
    if unknown:
        raise BadUsage(f"--kind {unknown.pop().lower()}: expected one of "
                       f"{', '.join(name.lower() for name in RecordKind.__members__)}")
    begin_ns = _since_ns(since)
    with _readable(directory):
        for row in rows(directory, run):
            if ((wanted and row.kind not in wanted) or row.wall_ns < begin_ns
                    or (order and row.fields.get("client_order_id") != order)
                    or (parent is not None and row.fields.get("parent_id") != parent)):
                continue
            output.text(_as_json(row) if as_json else _as_line(row))
        return _warn_of_damage(directory)


def _warn_of_damage(directory: Path) -> int:
    """Whether what was read is all there is."""
    from orderflow._core import journal_scan

    damaged = next((each for each in journal_scan.verify(directory) if each.damaged), None)
    if damaged is None:
        return GOOD
    output.warn(f"{damaged.path}: {damaged.fault} at offset {damaged.end}: nothing behind it was read; "
                f"see orderflow journal verify {directory}")
    return CHECK_FAILED


def _since_ns(text: str) -> int:
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadUsage(f"--since {text}: expected a time such as 2026-01-31T12:00:00") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * NANOSECOND + moment.microsecond * 1000


def _time_text(wall_ns: int) -> str:
    seconds, rest = divmod(wall_ns, NANOSECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _plain(value):
    """A value as JSON and people read it: decimals exact, as text."""
    return canonical(value) if isinstance(value, Decimal) else value


def _as_json(row) -> str:
    return json.dumps({"run": row.epoch, "number": row.number, "time": _time_text(row.wall_ns), "kind": row.kind,
                       **{name: _plain(value) for name, value in row.fields.items()}})


#: Left out of a line: nanoseconds of our own clock, for machines.
UNSEEN = ("decided_ns", "deadline_ns", "cause_receive_ns", "receive_ns", "exchange_ns", "created_ns", "start_ns",
          "end_ns")
#: Said by their value alone, in this order.
BARE = ("action", "event", "client_order_id", "exchange", "symbol", "instrument", "side")


def _as_line(row) -> str:
    fields = {name: _plain(value) for name, value in row.fields.items()
              if name not in UNSEEN and value not in (None, False, "")}
    bare = [str(fields.pop(name)) for name in BARE if name in fields]
    if fields.get("reason") == "OK":
        del fields["reason"]
    words = [f"{name}={','.join(value) if isinstance(value, list) else value}" for name, value in fields.items()]
    return " ".join([_time_text(row.wall_ns), f"{row.epoch}:{row.number}", row.kind.lower().ljust(6), *bare, *words])


def export(
    directory: DIRECTORY,
    path: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Ends in .sqlite or .parquet.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object: files and rows.")] = False,
) -> int:
    """Write orders, reports, parent orders and decisions as tables, with decimals: SQLite, or Parquet (needs polars).

    A fill that an exchange tells of twice is there twice: count those with the same client_order_id and trade_id once.

    Exit code 1: the journal is damaged; what is before the damage was written.
    """
    from orderflow.research.journal_export import ExportError
    from orderflow.research.journal_export import export as write

    try:
        with _readable(directory):
            written = write(directory, path, lambda count: output.progress(f"{count} records"))
    except (ExportError, OSError) as error:
        raise BadUsage(str(error)) from None
    finally:
        output.end_progress()
    if as_json:
        output.result({name: {"file": str(file), "rows": count} for name, (file, count) in written.items()})
    else:
        for name, (file, count) in written.items():
            output.text(f"{name}: {count} rows in {file}")
    return _warn_of_damage(directory)


def repair(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the journal.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without this the command says what it would do.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object: what is kept aside, and where.")] = False,
) -> int:
    """Make a journal in quarantine fit to go on: keep what can be trusted, and everything else aside in files.

    Copy the directory first. What is kept aside is unknown to the next engine: orders that were sent and fills that
    were told in it have to be looked for at the exchanges by hand, before anything is traded.

    Exit codes: 0 nothing is damaged, or it was done; 1 it would be done with --yes; 2 not a journal, an engine has it
    open, or a file could not be written.
    """
    from orderflow._core.journal import JournalError
    from orderflow.repair import plan
    from orderflow.repair import repair as make

    if not directory.is_dir():
        raise BadUsage(f"{directory}: not a directory of a journal")
    try:
        with _readable(directory):
            wanted = make(directory) if yes else plan(directory)
    except (JournalError, OSError) as error:
        raise BadUsage(str(error)) from None
    if as_json:
        output.result({"damaged": wanted is not None, "done": yes and wanted is not None} | ({} if wanted is None else {
            "file": wanted.damage.path.name, "offset": wanted.damage.end, "fault": wanted.damage.fault,
            "keeps": "later runs" if wanted.keeps_later else "what is before the damage",
            "runs_aside": list(wanted.lost_runs),
            "aside": [aside.name for _, aside in wanted.moved]
            + ([wanted.cut[2].name] if wanted.cut is not None else [])}))
    else:
        for line in _repaired(directory, wanted, yes):
            output.text(line)
    return GOOD if wanted is None or yes else CHECK_FAILED


def _repaired(directory: Path, wanted: Repair | None, done: bool) -> Iterator[str]:
    if wanted is None:
        yield f"{directory}: nothing is damaged, and nothing was done."
        return
    yield (f"{wanted.damage.path.name} is damaged at offset {wanted.damage.end}: {wanted.damage.fault}. "
           + ("The runs behind it are whole and are kept." if wanted.keeps_later
              else "What is before that is kept, exactly."))
    verb = "was" if done else "would be"
    for path, aside in wanted.moved:
        yield f"{path.name} {verb} renamed to {aside.name}"
    if wanted.cut is not None:
        path, end, aside = wanted.cut
        yield f"{path.name} {verb} cut off at offset {end}; what stood behind {verb} kept in {aside.name}"
    runs = ", ".join(map(str, wanted.lost_runs)) or "no run"
    yield (f"Records of {'runs' if len(wanted.lost_runs) > 1 else 'run'} {runs} {'are' if done else 'would be'} aside. "
           + ("They are older than the last run, from which a start takes over." if wanted.keeps_later else
              "The next engine knows nothing of them: look at the exchanges for orders that are open, and for fills."))
    if not done:
        yield "Nothing was done. Copy the directory, then add --yes."


#: The commands of the group, in the order of its help.
commands = {"verify": verify, "show": show, "export": export, "repair": repair}
