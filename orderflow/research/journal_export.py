"""A journal as tables: orders, reports, parents, decisions and the offers of each, in SQLite or Parquet. Rows stream
through; memory does not grow with the journal.

SQLite has no decimals: they are exact text there (`SUM(CAST(fee AS REAL))` adds them up). Parquet has decimals of 38
digits, 18 of them behind the point.
"""
from __future__ import annotations

import csv
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

from orderflow.research.decision_rows import decision_rows
from orderflow.research.journal import Row, rows

#: Rows that are handed on together.
BATCH = 10_000
#: Of every table: what a record is before it is anything else.
COMMON = {"epoch": "integer", "number": "integer", "wall_ns": "integer"}
TABLES: dict[str, dict[str, str]] = {
    "orders": {
        **COMMON, "action": "text", "client_order_id": "text", "parent_id": "integer", "exchange": "text",
        "symbol": "text", "side": "text", "quantity": "decimal", "price": "decimal", "order_type": "text",
        "time_in_force": "text", "post_only": "integer", "strategy": "integer", "account": "integer",
        "display": "decimal", "slice": "integer", "rate": "decimal", "decided_ns": "integer",
        "deadline_ns": "integer", "cause_receive_ns": "integer"},
    "reports": {
        **COMMON, "event": "text", "client_order_id": "text", "parent_id": "integer", "exchange": "text",
        "symbol": "text", "side": "text", "last_quantity": "decimal", "last_price": "decimal",
        "cumulative_quantity": "decimal", "fee": "decimal", "fee_asset": "text", "liquidity": "text",
        "trade_id": "text", "exchange_order_id": "text", "reason": "text", "reconciliation": "integer",
        "exchange_ns": "integer", "receive_ns": "integer", "asset": "text", "expected": "decimal", "amount": "decimal"},
    "parents": {
        **COMMON, "action": "text", "parent_id": "integer", "instrument": "text", "side": "text",
        "quantity": "decimal", "limit_price": "decimal", "algorithm": "text", "strategy": "integer",
        "account": "integer", "created_ns": "integer", "start_ns": "integer", "end_ns": "integer",
        "slices": "integer", "randomness": "integer", "curvature": "real", "minimum_slice": "decimal",
        "participation": "decimal", "display": "decimal", "reaction_bps": "decimal", "offset": "integer",
        "urgency": "integer", "must_complete": "integer", "with_residual": "integer"},
    "decisions": {
        **COMMON, "parent_id": "integer", "input": "integer", "cause": "text", "instrument": "text", "side": "text",
        "path": "text", "nodes": "integer", "wanted": "decimal", "given": "decimal", "sent": "decimal",
        "unfilled": "decimal", "limit_price": "decimal", "mid": "decimal", "all_in": "decimal", "gap": "decimal",
        "sweep_all_in": "decimal"},
    "offers": {
        **COMMON, "place": "integer", "parent_id": "integer", "exchange": "text", "symbol": "text", "left_out": "text",
        "book_state": "text", "fault": "text", "book_epoch": "integer", "version": "integer", "age_ns": "integer",
        "best_price": "decimal", "best_quantity": "decimal", "shown": "decimal", "most": "decimal",
        "quantity": "decimal", "price": "decimal", "result": "text", "all_in": "decimal", "alone_quantity": "decimal",
        "alone_all_in": "decimal"},
}
TABLE_OF = {"INTENT": "orders", "CANCEL": "orders", "REPLACE": "orders", "REPORT": "reports", "PARENT": "parents",
            "DECISION": "decisions", "OFFER": "offers"}
SCALE = 18                      # of decimals in Parquet


class ExportError(Exception):
    """The export cannot be made; the message says what to do."""


def export(directory, path, progress: Callable[[int], None] = lambda _: None) -> dict[str, tuple[Path, int]]:
    """Write the tables of a journal; by table, the file and how many rows it has.

    Parameters
    ----------
    path : path
        Ends in .sqlite (one file, five tables) or .parquet (five files: NAME-orders.parquet and so on).
    progress : callable(int)
        Told how many records were read, now and then.

    Raises
    ------
    ExportError
        The ending is another one, a file is there already, or polars is missing.
    """
    path = Path(path)
    if path.suffix not in (".sqlite", ".parquet"):
        raise ExportError(f"{path}: ends neither in .sqlite nor in .parquet")
    files = {name: path if path.suffix == ".sqlite" else path.with_name(f"{path.stem}-{name}.parquet")
             for name in TABLES}
    for file in files.values():
        if file.exists():
            raise ExportError(f"{file}: is there already; name another, or remove it")
    counts = (_to_sqlite if path.suffix == ".sqlite" else _to_parquet)(directory, files, progress)
    return {name: (files[name], counts[name]) for name in TABLES}


def _batches(directory, progress: Callable[[int], None]) -> Iterator[tuple[str, list[list[Any]]]]:
    """(table, rows) again and again, values in the order of the table's columns."""
    waiting: dict[str, list[list[Any]]] = {name: [] for name in TABLES}
    for count, row in enumerate(chain(rows(directory), decision_rows(directory)), 1):
        if count % BATCH == 0:
            progress(count)
        name = TABLE_OF.get(row.kind)
        if name is None:
            continue
        waiting[name].append(_values(row, TABLES[name]))
        if len(waiting[name]) == BATCH:
            yield name, waiting[name]
            waiting[name] = []
    yield from waiting.items()


def _values(row: Row, columns: dict[str, str]) -> list[Any]:
    common = {"epoch": row.epoch, "number": row.number, "wall_ns": row.wall_ns}
    values = (common[name] if name in common else row.fields[name] for name in columns)
    return [_cell(value, columns[name]) for name, value in zip(columns, values, strict=True)]


def _cell(value: Any, kind: str) -> Any:
    """As both kinds of file take it: exact text for decimals, and for ids, which may need all 64 bits."""
    if value is None:
        return None
    if kind == "decimal":
        return format(value, "f")
    return int(value) if kind == "integer" else float(value) if kind == "real" else str(value)


def _to_sqlite(directory, files: dict[str, Path], progress: Callable[[int], None]) -> dict[str, int]:
    path = files["orders"]
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    counts = dict.fromkeys(TABLES, 0)
    try:
        with closing(sqlite3.connect(partial)) as database:
            for name, columns in TABLES.items():
                kinds = ", ".join(f"{column} {'TEXT' if kind == 'decimal' else kind.upper()}"
                                  for column, kind in columns.items())
                place = ", place" if "place" in columns else ""
                database.execute(f"CREATE TABLE {name} ({kinds}, PRIMARY KEY (epoch, number{place}))")
            for name, batch in _batches(directory, progress):
                marks = ", ".join("?" * len(TABLES[name]))
                database.executemany(f"INSERT INTO {name} VALUES ({marks})", batch)
                counts[name] += len(batch)
            for name in ("orders", "reports"):
                database.execute(f"CREATE INDEX {name}_by_order ON {name} (client_order_id)")
            database.commit()
    except BaseException:
        partial.unlink(missing_ok=True)     # nothing half made is left behind
        raise
    partial.rename(path)
    return counts


def _to_parquet(directory, files: dict[str, Path], progress: Callable[[int], None]) -> dict[str, int]:
    """By way of text files beside the target: polars turns those into Parquet piece by piece, and appends to none."""
    try:
        import polars
    except ImportError:
        raise ExportError("Parquet is written with polars: python -m pip install 'orderflow[frames]'; SQLite needs "
                          "nothing: name a file that ends in .sqlite") from None
    texts = {name: file.with_name(f"{file.name}.partial.csv") for name, file in files.items()}
    counts = dict.fromkeys(TABLES, 0)
    try:
        handles = {name: open(text, "w", newline="") for name, text in texts.items()}
        try:
            writers = {name: csv.writer(handle) for name, handle in handles.items()}
            for name, writer in writers.items():
                writer.writerow(TABLES[name])
            for name, batch in _batches(directory, progress):
                writers[name].writerows(batch)
                counts[name] += len(batch)
        finally:
            for handle in handles.values():
                handle.close()
        for name, text in texts.items():
            kinds = {"integer": polars.Int64, "real": polars.Float64}
            types = {column: kinds.get(kind, polars.String) for column, kind in TABLES[name].items()}
            exact = [polars.col(column).cast(polars.Decimal(38, SCALE))
                     for column, kind in TABLES[name].items() if kind == "decimal"]
            polars.scan_csv(text, schema=types).with_columns(exact).sink_parquet(files[name])
    finally:
        for text in texts.values():
            text.unlink(missing_ok=True)
    return counts
