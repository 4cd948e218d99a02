"""`orderflow estimate`: what an order would cost, at once and over time, before it is sent."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orderflow.cli import GOOD, output
from orderflow.cli.look import look

if TYPE_CHECKING:
    from orderflow.config import Settings
    from orderflow.estimate import Estimate, Point
    from orderflow.research.market_data import MarketData


def command(
    configuration: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="The exchanges; nothing is traded.")],
    instrument: Annotated[str, typer.Argument(metavar="INSTRUMENT", help="As BTC-USDT.")],
    side: Annotated[str, typer.Argument(metavar="buy|sell")],
    quantity: Annotated[str, typer.Argument(metavar="QUANTITY", help="Base currency.")],
    daily_volume: Annotated[float, typer.Option("--daily-volume", metavar="BASE", help="What is traded in a day on all "
                                                "these exchanges together, base currency.")],
    daily_volatility: Annotated[float | None, typer.Option("--daily-volatility", metavar="FRACTION",
                                help="Standard deviation of a day's return; by default as seen meanwhile.")] = None,
    risk_aversion: Annotated[float, typer.Option("--risk-aversion", metavar="NUMBER", help="Basis points of cost that "
                             "one of deviation is worth.")] = 0.3,
    seconds: Annotated[float, typer.Option(min=0.0, help="How long to look at the books.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with every number.")] = False,
) -> int:
    """Say what an order would cost at once, with the books as they are now, and over times from a minute to a day, and
    which algorithm that suggests.

    Fees are those of the configuration. docs/algorithms.md says which models are used.
    """
    def answer(data: MarketData, settings: Settings) -> Estimate:
        return _estimate(data, settings, instrument, side, quantity, daily_volume, daily_volatility, risk_aversion)

    found = look(configuration, instrument, seconds, answer)
    if as_json:
        output.result(_document(found))
    else:
        _print(found)
    return GOOD


def _estimate(data: MarketData, settings: Settings, instrument: str, side: str, quantity: str, daily_volume: float,
              daily_volatility: float | None, risk_aversion: float) -> Estimate:
    from orderflow.consolidated import rates_of
    from orderflow.estimate import Market, estimate, seen_volatility
    from orderflow.instrument import to_scaled

    item = data.instruments[instrument]
    places = list(item.listings)
    entries = [data.core.board.read(index) for index in places]
    rows = data.core.table[places]
    for row, index in zip(rows, places, strict=True):
        row["taker_fee"] = to_scaled(settings.exchanges[data.core.listings[index].exchange].taker_fee, 8, "taker_fee")
    rates = rates_of(data.core.table, data.core.board.read)
    market = Market(rows, entries, [rates[index] for index in places])
    return estimate(item, market, side, quantity, daily_volume=daily_volume,
                    daily_volatility=seen_volatility(entries) if daily_volatility is None else daily_volatility,
                    risk_aversion=risk_aversion)


def _document(found: Estimate) -> dict[str, Any]:
    from orderflow.instrument import canonical

    def point(one: Point | None) -> dict[str, float] | None:
        return None if one is None else {"seconds": one.seconds, "cost_bps": one.cost_bps,
                                         "deviation_bps": one.deviation_bps, "participation": one.participation}

    return {"instrument": found.instrument, "side": found.side, "quantity": canonical(found.quantity),
            "mid": canonical(found.mid), "available": canonical(found.available), "now": point(found.now),
            "frontier": [point(one) for one in found.frontier], "algorithm": found.algorithm, "seconds": found.seconds,
            "reason": found.reason}


def _print(found: Estimate) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from orderflow.instrument import canonical

    verb = "Buy" if found.side == "BUY" else "Sell"
    output.text(f"{verb} {canonical(found.quantity)} {found.instrument}: the mid is {canonical(found.mid)}, and "
                f"{canonical(found.available)} are displayed.")
    table = Table(box=box.SIMPLE_HEAD)
    for head in ("over", "cost, bps", "deviation, bps", "part of the volume"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in (*([found.now] if found.now is not None else []), *found.frontier):
        table.add_row("at once" if one.seconds == 0 else _time(one.seconds), f"{one.cost_bps:.2f}",
                      f"{one.deviation_bps:.2f}", "" if one.seconds == 0 else f"{100 * one.participation:.2f} %")
    Console(file=sys.stdout, highlight=False).print(table)
    how = found.algorithm if found.algorithm == "immediate" else f"{found.algorithm} over {_time(found.seconds)}"
    output.text(f"That suggests {how}: {found.reason}.")


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min" if seconds < 7200 else (
        f"{seconds / 3600:.1f} h")
