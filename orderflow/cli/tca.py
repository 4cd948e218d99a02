"""`orderflow tca`: what the parent orders of a directory's runs have cost."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orderflow.cli import CHECK_FAILED, GOOD, output
from orderflow.cli.application import BadUsage

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from orderflow.research.tca import Analysis

#: Columns of the terminal's tables: what stands above it, and its name in a row or among a group's means.
PARENTS = (("run", "run"), ("parent", "parent_id"), ("strategy", "strategy"), ("instrument", "instrument"),
           ("side", "side"), ("status", "status"), ("ordered", "ordered"), ("filled", "filled"),
           ("average", "average_price"), ("IS bps", "shortfall_bps"), ("delay", "delay_bps"),
           ("trading", "trading_bps"), ("opportunity", "opportunity_bps"), ("fees", "fees_bps"),
           ("arrival", "arrival_bps"), ("VWAP", "vwap_bps"), ("TWAP", "twap_bps"), ("5 s", "markout_5s_bps"),
           ("predicted", "predicted_bps"), ("z", "z_score"))
#: Of the calibration of a group.
CALIBRATION = (("predicted", "predicted"), ("realised", "realised"), ("difference", "difference"),
               ("spread", "spread_bps"), ("|z| < 1", "within"), ("of", "scored"), ("slope", "slope"))
EXCHANGES = (("fade", "fade_rate"), ("fees bps", "fee_rate_bps"), ("effective", "effective_spread_bps"),
             ("impact 5 s", "price_impact_5s_bps"), ("1 s", "markout_1s_bps"), ("5 s", "markout_5s_bps"),
             ("30 s", "markout_30s_bps"))
#: Those of them that a terminal of less than WIDE columns shows.
NARROW = ("parent_id", "instrument", "side", "status", "filled", "shortfall_bps", "arrival_bps", "vwap_bps",
          "markout_5s_bps")
NARROW_EXCHANGES = ("fade_rate", "fee_rate_bps", "markout_5s_bps")
#: Parent orders that the terminal shows; the others are in --json and --html.
MOST_ROWS = 50
#: Parent orders that are named for each reason why there is no prediction.
MOST_NAMED = 10
#: A table of all columns, which is what a pipe gets.
WIDE = 200


def command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the runs.")],
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a report, one HTML file that opens "
                                              "without a network.")] = None,
    scores: Annotated[Path | None, typer.Option("--scores", metavar="FILE", help="Write what the orders say of each "
                      "exchange: how much of what it shows is there on arrival, and how fast it is.")] = None,
    daily_volume: Annotated[list[str] | None, typer.Option("--daily-volume", metavar="INSTRUMENT=BASE", help="What is "
                            "traded in a day on all exchanges together, as BTC-USDT=50000: for predictions, where the "
                            "run had no volume curve. Once an instrument.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object: every parent order with all its numbers, "
                                          "and the roll-ups.")] = False,
) -> int:
    """Say what each parent order in DIR has cost: implementation shortfall and its parts, slippage, markouts; and what
    it was predicted to cost when it arrived.

    Prices of the market need a recording of the run (record = true); without one what needs them is missing. What each
    number means stands in docs/tca.md. Exit code 1: the journal is damaged behind what was read.
    """
    from orderflow._core import journal_scan
    from orderflow._core.segments import SegmentError
    from orderflow.research.tca import analyse
    from orderflow.research.tca_report import html as report
    from orderflow.research.tca_scores import scores_of
    from orderflow.run_start import RunStartError
    from orderflow.scores import text

    try:
        analysis = analyse(directory, _volumes(daily_volume or []))
        damaged = next((each for each in journal_scan.verify(directory) if each.damaged), None)
    except (SegmentError, RunStartError, ValueError) as error:
        raise BadUsage(str(error)) from None
    if html is not None:
        _write("--html", html, report(analysis))
    if scores is not None:
        _write("--scores", scores, text(scores_of(analysis)))
    if as_json:
        output.result(_document(analysis, html, scores))
    else:
        _print(analysis)
        for what, path in (("report is", html), ("scores are", scores)):
            if path is not None:
                output.text(f"The {what} in {path}")
    if damaged is not None:
        output.warn(f"{damaged.path}: {damaged.fault} at offset {damaged.end}: nothing behind it was read; see "
                    f"orderflow journal verify {directory}")
    return GOOD if damaged is None else CHECK_FAILED


def _write(option: str, path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise BadUsage(f"{option} {path}: {error.strerror}") from None


def _volumes(given: list[str]) -> dict[str, float]:
    found = {}
    for one in given:
        name, _, volume = one.partition("=")
        try:
            found[name] = float(volume)
        except ValueError:
            raise BadUsage(f"--daily-volume {one}: expected INSTRUMENT=BASE, as BTC-USDT=50000") from None
    return found


def _plain(value: Any) -> Any:
    from decimal import Decimal

    from orderflow.instrument import canonical

    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return canonical(value) if isinstance(value, Decimal) else value


def _document(analysis: Analysis, html: Path | None, scores: Path | None) -> dict[str, Any]:
    from orderflow.research.tca import frame
    from orderflow.research.tca_rollups import document

    return {"directory": str(analysis.directory), "recorded_run": analysis.recorded_run, "notes": analysis.notes,
            "parents": [_plain(row) for row in frame(analysis)],
            "rollups": {by: [document(group) for group in groups] for by, groups in analysis.rollups.items()},
            "html": str(html) if html is not None else None, "scores": str(scores) if scores is not None else None}


def _print(analysis: Analysis) -> None:
    from rich.console import Console

    from orderflow.research.tca import frame
    from orderflow.research.tca_report import shown, shown_mean

    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    wide, rows = console.width >= WIDE, frame(analysis)
    columns = [one for one in PARENTS if wide or one[1] in NARROW]
    parents = _table("Parent orders, costs in bps", [head for head, _ in columns])
    for row in rows[-MOST_ROWS:]:
        parents.add_row(*(_short(shown, row[name]) for _, name in columns))
    console.print(parents)
    if len(rows) > MOST_ROWS:
        output.text(f"The newest {MOST_ROWS} of {len(rows)}; all of them with --json.")
    means = [one for one in EXCHANGES if wide or one[1] in NARROW_EXCHANGES]
    exchanges = _table("Exchanges, mean ± 1.96 standard errors over parent orders",
                       ["exchange", "parents", "orders", "fills", *(head for head, _ in means), "ack p50"])
    for group in analysis.rollups["exchange"]:
        ack_ns = group.latencies["send_to_ack_p50_ns"]
        exchanges.add_row(group.name, str(group.parents), str(group.orders), str(group.fills),
                          *(shown_mean(group.means[name]) for _, name in means),
                          shown(None) if ack_ns is None else f"{ack_ns / 1e6:.3f} ms")
    console.print(exchanges)
    _print_predictions(console, analysis, rows)
    for note in analysis.notes:
        output.text(f"Note: {note}")


def _print_predictions(console: Console, analysis: Analysis, rows: list[dict[str, Any]]) -> None:
    from orderflow.research.tca_report import calibrated, shown

    groups = [group for by in ("algorithm", "exchange") for group in analysis.rollups[by]
              if group.calibration is not None]
    if groups:
        table = _table("Predicted and realised cost, bps; of exchanges: displayed and paid",
                       ["by", *(head for head, _ in CALIBRATION)])
        for group in groups:
            table.add_row(group.name, *(_short(shown, calibrated(group, name)) for _, name in CALIBRATION))
        console.print(table)
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row["not_predicted"]:
            reasons.setdefault(row["not_predicted"], []).append(f"{row['run']}:{row['parent_id']}")
    for reason, parents in reasons.items():
        left = len(parents) - MOST_NAMED
        output.text(f"Not predicted: {', '.join(parents[:MOST_NAMED])}{f' and {left} more' if left > 0 else ''}: "
                    f"{reason}.")


def _short(shown: Any, value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else shown(value)


def _table(title: str, heads: list[str]) -> Table:
    from rich import box
    from rich.table import Table

    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for place, head in enumerate(heads):
        made.add_column(head, justify="left" if place == 0 else "right", no_wrap=True)
    return made
