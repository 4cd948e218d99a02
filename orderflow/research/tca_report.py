"""One HTML file of an analysis: what is missing, roll-ups, parent orders and four plots. It opens without a network:
no script, no font, no picture is fetched."""
from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from typing import Any

from orderflow.instrument import canonical, decimals_of
from orderflow.research import tca_plot as plot
from orderflow.research.tca import Analysis, frame
from orderflow.research.tca_fills import HORIZONS_S, SECOND_NS
from orderflow.research.tca_formulas import Mean
from orderflow.research.tca_plot import Point
from orderflow.research.tca_rollups import Group

#: Parent orders that a report lists and draws: the newest. All of them are in `frame` and in --json.
MOST_ROWS, MOST_BARS = 500, 40
PARTS = ("delay", "trading", "opportunity", "fees")
#: Columns of the table of parent orders.
COLUMNS = ("run", "parent_id", "strategy", "algorithm", "instrument", "side", "status", "arrival", "ordered", "filled",
           "average_price", "benchmark", "decision_price", "arrival_price", "shortfall", "shortfall_bps",
           *(f"{part}_bps" for part in PARTS), "arrival_bps", "vwap_bps", "twap_bps", "participation",
           "spread_capture", "maker_share", *(f"markout_{horizon}s_bps" for horizon in HORIZONS_S), "reversion_bps",
           "predicted_bps", "predicted_deviation_bps", "realised_bps", "unpredicted_bps", "z_score", "not_predicted",
           "orders", "fills", "rejected", "cancelled", "send_to_ack_p50_ns")
#: Columns of the table of exchanges, and of each other roll-up.
EXCHANGE = ("fade_rate", "fee_rate_bps", "maker_share", "spread_capture", "effective_spread_bps",
            "price_impact_5s_bps", *(f"markout_{horizon}s_bps" for horizon in HORIZONS_S))
ROLLUP = ("shortfall_bps", "arrival_bps", "vwap_bps", "twap_bps", "fee_rate_bps", "fill_rate", "spread_capture",
          "maker_share", *(f"markout_{horizon}s_bps" for horizon in HORIZONS_S))
CALIBRATION = ("predicted", "realised", "difference", "spread_bps", "within", "scored", "intercept_bps", "slope")
LATENCIES = ("signal_to_send_p50_ns", "send_to_ack_p50_ns", "send_to_ack_p99_ns", "ack_to_fill_p50_ns")
COMPARED = ("fee_rate_bps", "effective_spread_bps", "price_impact_5s_bps", "markout_5s_bps")
MISSING = "–"
#: Of a number that is shown as it is.
MOST_DECIMALS = 12
STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1200px; padding: 0 1em; color: #222 }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em } .scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 12px }
th, td { padding: 3px 8px; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
th { background: #f4f4f4; font-weight: 600 } td.text { text-align: left } .note { color: #8a4b00 }
svg { max-width: 100%; height: auto } svg text { font: 11px system-ui, sans-serif; fill: #333 }
.grid { stroke: #e4e4e4 } .zero { stroke: #888 } .whisker { stroke: #222; stroke-width: 1.5 } .curve { stroke-width: 2 }
"""


def shown(value: Any) -> str:
    """A cell: floats with 4 digits behind the point, averages with 8, exact decimals as they are."""
    if value is None:
        return MISSING
    if isinstance(value, Decimal):
        return canonical(value if decimals_of(str(value)) <= MOST_DECIMALS else round(value, 8))
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def shown_mean(one: Mean | None) -> str:
    """mean ± half-width (n)."""
    if one is None:
        return MISSING
    return f"{one.value:.3f}" + ("" if one.half_width is None else f" ± {one.half_width:.3f}") + f" ({one.n})"


def calibrated(group: Group, name: str) -> Any:
    """A number of a group's calibration, as a cell."""
    value = getattr(group.calibration, name) if group.calibration is not None else None
    return shown_mean(value) if isinstance(value, Mean) else value


def html(analysis: Analysis) -> str:
    """The report."""
    rows = frame(analysis)
    newest = rows[-MOST_ROWS:]
    title = f"Transaction costs of {analysis.directory.name or analysis.directory}"
    parts = [f"<h1>{escape(title)}</h1>", f"<p>{len(rows)} parent orders. "
             "Costs are positive, markouts are positive where the price went the way of the fill; a dash is a number "
             "that is not known. Means are over parent orders, ± 1.96 standard errors, with how many there are.</p>",
             *(f'<p class="note">{escape(note)}</p>' for note in analysis.notes),
             "<h2>Implementation shortfall by parent order, bps of ordered × benchmark price</h2>", _shortfalls(rows),
             "<h2>Predicted and realised cost by parent order, bps of ordered × arrival price</h2>", _predicted(rows),
             "<h2>Markouts by exchange, bps of the price of the fill</h2>", _markouts(analysis.rollups["exchange"]),
             "<h2>Exchanges, bps</h2>", _compared(analysis.rollups["exchange"]),
             _rollup(analysis.rollups["exchange"], (*EXCHANGE, *LATENCIES))]
    for by, groups in analysis.rollups.items():
        if by != "exchange":
            parts += [f"<h2>By {escape(by)}{' (UTC)' if by == 'hour' else ''}</h2>", _rollup(groups, ROLLUP)]
    left = f", the newest {MOST_ROWS}" if len(rows) > MOST_ROWS else ""
    parts += [f"<h2>Parent orders{left}</h2>", _table(COLUMNS, [[_cell(one, name) for name in COLUMNS]
                                                               for one in newest])]
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
            f"<style>{STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n")


def _cell(row: dict[str, Any], name: str) -> Any:
    if name == "arrival":
        return f"{datetime.fromtimestamp(row['arrival_ns'] // SECOND_NS, UTC):%Y-%m-%d %H:%M:%S}"
    return row[name]


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return "<p>None.</p>"
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in names)
    body = "".join("<tr>" + "".join(f'<td{" class=" + chr(34) + "text" + chr(34) if isinstance(cell, str) else ""}>'
                                    f"{escape(shown(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _rollup(groups: Sequence[Group], columns: Sequence[str]) -> str:
    return _table([groups[0].by if groups else "", "parents", "orders", "fills", *columns, *CALIBRATION], [
        [group.name, group.parents, group.orders, group.fills,
         *(group.latencies[name] if name in group.latencies else shown_mean(group.means[name]) for name in columns),
         *(calibrated(group, name) for name in CALIBRATION)] for group in groups])


def _shortfalls(rows: Sequence[dict[str, Any]]) -> str:
    drawn = [row for row in rows if row["shortfall_bps"] is not None][-MOST_BARS:]
    if not drawn:
        return "<p>None is known.</p>"
    return plot.bars([(f"{row['run']}:{row['parent_id']} {row['side']}",
                       [Point(row[f"{part}_bps"]) for part in PARTS]) for row in drawn], PARTS, "bps", stacked=True)


def _predicted(rows: Sequence[dict[str, Any]]) -> str:
    series: dict[str, list[tuple[float, Point, str]]] = {}
    for row in [row for row in rows if row["unpredicted_bps"] is not None][-MOST_ROWS:]:
        at, point = row["predicted_bps"], Point(row["realised_bps"], row["predicted_deviation_bps"])
        series.setdefault(row["algorithm"], []).append((at, point, f"{row['run']}:{row['parent_id']} {row['side']}: "
                                                        f"predicted {at:+.4g}, realised {point.value:+.4g} bps"))
    if not series:
        return "<p>None is known.</p>"
    return "<p>A whisker is one deviation of the prediction.</p>" + plot.scatter(
        list(series.items()), "predicted", "realised", "bps")


def _markouts(groups: Sequence[Group]) -> str:
    rows = [(group.name, [_point(group.means[f"markout_{horizon}s_bps"]) for horizon in HORIZONS_S])
            for group in groups]
    if all(point.value is None for _, points in rows for point in points):
        return "<p>None is known.</p>"
    return plot.curves([f"{horizon} s" for horizon in HORIZONS_S], rows, "bps")


def _compared(groups: Sequence[Group]) -> str:
    rows = [(group.name, [_point(group.means[name]) for name in COMPARED]) for group in groups]
    if all(point.value is None for _, points in rows for point in points):
        return "<p>None is known.</p>"
    return plot.bars(rows, [name.removesuffix("_bps").replace("_", " ") for name in COMPARED], "bps")


def _point(one: Mean | None) -> Point:
    return Point(None) if one is None else Point(one.value, one.half_width)
