"""Plots as SVG text, without any library: what a report needs to be one file that opens anywhere.

Coordinates are pixels; every text is escaped. Sizes follow the data as far as the report lets it grow, so nothing here
has a limit of its own.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#4878a8", "#e08214", "#5aa469", "#b2527f", "#7f7f7f", "#8c6bb1", "#c7a317", "#2f9ea0")
WIDTH, LABELS, ROW, MARGIN = 860, 190, 22, 28
#: About so many lines of a grid.
GRID = 6


@dataclass(frozen=True, slots=True)
class Point:
    """A value with the half-width of its interval; None = missing."""

    value: float | None
    half_width: float | None = None


def bars(rows: Sequence[tuple[str, Sequence[Point]]], series: Sequence[str], unit: str, stacked: bool = False) -> str:
    """Horizontal bars, a row or a group of rows each; a missing value has no bar.

    Parameters
    ----------
    rows : sequence of (name, points)
        One point a series.
    stacked : bool
        One row each: what is positive to the right of zero, what is negative to the left of it.
    """
    low, high = _range(rows, stacked)
    lines = 1 if stacked else len(series)
    height = len(rows) * (lines * ROW + 6) + 2 * MARGIN
    parts = [*_grid(low, high, height, unit), _legend(series)]
    y = MARGIN
    for name, points in rows:
        parts.append(_text(LABELS - 8, y + lines * ROW / 2 + 4, name, "end"))
        right = left = 0.0
        for place, point in enumerate(points):
            if point.value is None:
                continue
            begin = 0.0
            if stacked:
                begin = right if point.value >= 0 else left
            end = begin + point.value
            top = y + (0 if stacked else place * ROW) + 2
            parts.append(_bar(_x(begin, low, high), _x(end, low, high), top, ROW - 4, COLOURS[place % len(COLOURS)],
                              f"{name}: {series[place]} {point.value:+.4g} {unit}"))
            if point.half_width is not None and not stacked:
                parts.append(_line(_x(end - point.half_width, low, high), _x(end + point.half_width, low, high),
                                   top + ROW / 2 - 2, top + ROW / 2 - 2, "whisker"))
            right, left = (end, left) if point.value >= 0 else (right, end)
        y += lines * ROW + 6
    return _svg(height, parts)


def curves(labels: Sequence[str], rows: Sequence[tuple[str, Sequence[Point]]], unit: str) -> str:
    """Lines over equally spaced labels, with intervals; a missing point interrupts its line."""
    low, high = _range(rows, False)
    height, step = 300, (WIDTH - LABELS - MARGIN) / max(1, len(labels))
    inner = height - 2 * MARGIN

    def y(value: float) -> float:
        return MARGIN + inner * (high - value) / (high - low)

    parts = [_legend([name for name, _ in rows])]
    for value in _ticks(low, high):
        parts += [_line(LABELS, WIDTH - MARGIN, y(value), y(value), "zero" if value == 0 else "grid"),
                  _text(LABELS - 8, y(value) + 4, f"{value:g} {unit}", "end")]
    places = [LABELS + step * (place + 0.5) for place in range(len(labels))]
    parts += [_text(x, height - 8, label, "middle") for x, label in zip(places, labels, strict=True)]
    for index, (name, points) in enumerate(rows):
        colour, before = COLOURS[index % len(COLOURS)], None
        for x, label, point in zip(places, labels, points, strict=True):
            at = None if point.value is None else (x + 4 * index, y(point.value))
            if at is not None:
                if before is not None:
                    parts.append(_line(before[0], at[0], before[1], at[1], "curve", colour))
                if point.half_width is not None:
                    parts.append(_line(at[0], at[0], y(point.value - point.half_width),
                                       y(point.value + point.half_width), "whisker"))
                parts.append(f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="3.5" fill="{colour}"><title>'
                             + escape(f"{name} {label}: {point.value:+.4g} {unit}") + "</title></circle>")
            before = at
    return _svg(height, parts)


def scatter(rows: Sequence[tuple[str, Sequence[tuple[float, Point, str]]]], across: str, up: str, unit: str) -> str:
    """Points of several series over one pair of axes of one unit, with the line on which both are the same.

    Parameters
    ----------
    rows : sequence of (series, points)
        A point is what it is across, what it is upwards, with the half-width of an interval, and its title.
    across, up : str
        Names of the axes.
    """
    ends = [0.0]
    for _, points in rows:
        for at, point, _ in points:
            if point.value is not None:
                ends += [at, *(point.value + sign * (point.half_width or 0.0) for sign in (-1, 1))]
    room = (max(ends) - min(ends)) * 0.05 or 1.0
    low, high = min(ends) - room, max(ends) + room
    height, bottom = 420, 2 * MARGIN
    inner = height - MARGIN - bottom

    def y(value: float) -> float:
        return MARGIN + inner * (high - value) / (high - low)

    parts = [_legend([name for name, _ in rows])]
    for value in _ticks(low, high):
        kind, x = "zero" if value == 0 else "grid", _x(value, low, high)
        parts += [_line(LABELS, WIDTH - MARGIN, y(value), y(value), kind), _text(LABELS - 8, y(value) + 4, f"{value:g}",
                                                                                 "end"),
                  _line(x, x, MARGIN, MARGIN + inner, kind), _text(x, height - bottom + 16, f"{value:g}", "middle")]
    parts += [_line(_x(low, low, high), _x(high, low, high), y(low), y(high), "curve", COLOURS[4]),
              _text((LABELS + WIDTH - MARGIN) / 2, height - 8, f"{across}, {unit}", "middle"),
              _text(8, MARGIN - 12, f"{up}, {unit}", "start")]
    for index, (_, points) in enumerate(rows):
        for at, point, title in points:
            if point.value is None:
                continue
            x = _x(at, low, high)
            if point.half_width is not None:
                parts.append(_line(x, x, y(point.value - point.half_width), y(point.value + point.half_width),
                                   "whisker"))
            parts.append(f'<circle cx="{x:.1f}" cy="{y(point.value):.1f}" r="3.5" '
                         f'fill="{COLOURS[index % len(COLOURS)]}"><title>{escape(title)}</title></circle>')
    return _svg(height, parts)


def _range(rows: Sequence[tuple[str, Sequence[Point]]], stacked: bool) -> tuple[float, float]:
    """What the axis must hold; zero always is in it."""
    ends = [0.0]
    for _, points in rows:
        known = [point for point in points if point.value is not None]
        if stacked:
            ends += [sum(point.value for point in known if point.value > 0),
                     sum(point.value for point in known if point.value < 0)]
        else:
            ends += [point.value + sign * (point.half_width or 0.0) for point in known for sign in (-1, 1)]
    low, high = min(ends), max(ends)
    room = (high - low) * 0.05 or 1.0
    return (low - room if low < 0 else 0.0), (high + room if high > 0 or low == 0 else 0.0)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers over a range, zero among them."""
    raw = (high - low) / GRID
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if factor == 10 or power * factor >= raw)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _x(value: float, low: float, high: float) -> float:
    return LABELS + (WIDTH - LABELS - MARGIN) * (value - low) / (high - low)


def _grid(low: float, high: float, height: float, unit: str) -> list[str]:
    places = [(value, _x(value, low, high)) for value in _ticks(low, high)]
    return [_line(x, x, MARGIN - 4, height - MARGIN, "zero" if value == 0 else "grid")
            + _text(x, height - 8, f"{value:g} {unit}", "middle") for value, x in places]


def _legend(names: Sequence[str]) -> str:
    parts, x = [], float(LABELS)
    for place, name in enumerate(names):
        parts.append(f'<rect x="{x:.0f}" y="6" width="10" height="10" fill="{COLOURS[place % len(COLOURS)]}"/>'
                     + _text(x + 14, 15, name, "start"))
        x += 26 + 7 * len(name)
    return "".join(parts)


def _bar(begin: float, end: float, top: float, height: float, colour: str, title: str) -> str:
    return (f'<rect x="{min(begin, end):.1f}" y="{top:.1f}" width="{abs(end - begin):.1f}" height="{height}" '
            f'fill="{colour}"><title>{escape(title)}</title></rect>')


def _line(x1: float, x2: float, y1: float, y2: float, kind: str, colour: str = "") -> str:
    stroke = f' stroke="{colour}"' if colour else ""
    return f'<line x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}" class="{kind}"{stroke}/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: float, parts: Sequence[str]) -> str:
    return (f'<svg viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" role="img">'
            + "".join(parts) + "</svg>")
