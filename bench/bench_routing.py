"""What routing costs in basis points: the router against simpler ways of sending the same orders into the same books.

The rules of the contest stand in tests/routing_contest.py, the books in tests/routing_books.py: recorded books, whose
levels are dealt 50/30/20 to three exchanges with fees of 3, 2 and 2.5 bps and one-way delays of 10, 40 and 120 ms, and
three simulated exchanges with the same fees and delays. Nothing is timed, so every machine prints the same table.

`dearer than the router` is positive where the router is cheaper. `sd of one order` is the standard deviation of the
cost of single orders, `left to the horizon` the part of the quantity that no leg got and that was traded at the end.

A seed draws moments, sides and quantities; of the simulated exchanges it is also that of their agents. The spread is
over seeds: 1.96 standard errors of the mean. Seeds of a recorded market share its few minutes, so there it says how
well the mean over those minutes is known, not what other days would give. Differences are paired by seed.

`make bench-routing`, or `python bench/bench_routing.py [seeds]`. Without recorded feeds the simulated part runs.
"""
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from tests.routing_books import dealt_market, recorded, simulated_market  # noqa: E402
from tests.routing_contest import CONTESTANTS, Splits, contest, tasks  # noqa: E402

FEEDS = ROOT.parent / "shared/feeds"
#: What the market is called, the capture, its protocol and lot size in the capture's own scale.
RECORDED = (
    ("recorded BTC-USDT spot, dealt", "binance_spot_btcusdt_20240808", "binance_spot", 1_000),
    ("recorded BTC-USDT perpetual, dealt", "binance_usdm_btcusdt_20240808", "binance_usdm", 1),
)
SEEDS, TASKS, SECONDS = 40, 60, 60
HORIZON_NS = 2_000_000_000
HEADER = ("market", "way of routing", "cost", "dearer than the router", "sd of one order", "left to the horizon")


def run(market_of, seeds: int) -> dict[str, np.ndarray]:
    """(seed, task, [cost in bps, part left to the horizon]) of every contestant; `market_of` gives a seed's market."""
    found: dict[str, list] = {name: [] for name in CONTESTANTS}
    for seed in range(seeds):
        market = market_of(seed)
        drawn = tasks(market, np.random.default_rng(seed), TASKS, HORIZON_NS)
        for name, results in contest(market, Splits(market), drawn).items():
            found[name].append([(one.cost_bps, one.late) for one in results])
    return {name: np.array(each) for name, each in found.items()}


def spread(values: np.ndarray, sign: str = "") -> str:
    """Mean and 1.96 standard errors of one value a seed."""
    error = 1.96 * values.std(ddof=1) / len(values) ** 0.5
    return f"{values.mean():{sign}.3f} ± {error:.3f}"


def rows(label: str, found: dict[str, np.ndarray]):
    """One row of text for every contestant, the router first."""
    router = next(iter(found.values()))[:, :, 0].mean(axis=1)
    for name, each in found.items():
        costs = each[:, :, 0].mean(axis=1)
        yield (label, name, spread(costs), spread(costs - router, "+") if (costs != router).any() else "",
               f"{each[:, :, 0].std():.2f}", f"{each[:, :, 1].mean():.1%}")
        label = ""


def table(lines: list[tuple]) -> str:
    """Markdown, aligned for a terminal."""
    lines = [HEADER, *lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
            for line in lines]
    return "\n".join([text[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *text[1:]])


def main(seeds: int = SEEDS) -> None:
    """Print the table for so many seeds, at least 2."""
    if seeds < 2:
        raise SystemExit(f"{seeds} seeds have no spread: give 2 or more")
    lines: list[tuple] = []
    for label, name, protocol, lot in RECORDED:
        path = FEEDS / f"captures/{name}.tsv.gz"
        if not path.is_file():
            print(f"{label}: left out, there is no {path}")
            continue
        market = dealt_market(recorded(path, protocol, lot), lot)
        lines += rows(label, run(lambda _, market=market: market, seeds))
    lines += rows("simulated", run(lambda seed: simulated_market(seed, SECONDS), seeds))
    print(f"basis points of the mid at the decision, fees included; {seeds} seeds of {TASKS} orders each",
          table(lines), sep="\n\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
