"""Run the benchmarks and hold their bars to account: `make bench`, or `python bench/run.py [pytest arguments]`.

Prints every bar with its measurement and PASS or MISS, below the machine it was measured on. Writes the same as a
Markdown table, and pytest-benchmark's JSON with bars and machine added, into build/bench. Exits 1 when a bar is missed,
a benchmark fails, or one could not be run.
"""
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent
OUTPUT = ROOT / "build/bench"
sys.path[:0] = [str(ROOT), str(HERE)]

from bars import BARS  # noqa: E402


def first_line(*command):
    """First line that a command prints, "unknown" if it cannot be run."""
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


def machine():
    """What the numbers depend on: dict of str -> str."""
    models = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.machine(),
        "processors allowed": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": first_line(os.environ.get("CXX", "g++").split()[-1], "--version"),
        "commit": first_line("git", "describe", "--always", "--dirty"),
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


class Outcomes:
    """pytest plugin: which benchmarks did not run, and bars and machine for the JSON."""

    def __init__(self):
        self.not_run = {}

    def pytest_runtest_logreport(self, report):
        if report.skipped or (report.failed and report.when == "setup"):
            self.not_run[report.nodeid] = report.longrepr[2] if report.skipped else "could not be set up"

    def pytest_benchmark_update_json(self, output_json):
        output_json.update(bars=BARS, machine=machine())


def number(value):
    """Four significant digits without an exponent."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def rows():
    """Header and one row of text for every bar."""
    yield "bar", "measured", "gate", "aim", ""
    for bar in BARS:
        if bar["gate"] is None:
            yield bar["name"], f"{number(bar['measured'])} {bar['unit']}", "", "", ""
            continue
        sign = "≥" if bar["better"] == "higher" else "≤"
        unit = f" {bar['unit']}"
        yield (bar["name"], number(bar["measured"]) + unit, f"{sign} {number(bar['gate'])}{unit}",
               f"{sign} {number(bar['aim'])}{unit}", "PASS" if bar["met"] else "MISS")


def table(aligned):
    """The bars as a Markdown table; aligned for a terminal or not."""
    cells = list(rows())
    widths = [max(map(len, column)) if aligned else 0 for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
             for row in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * max(width + 2, 3) for width in widths) + "|", *lines[1:]])


def main(arguments):
    OUTPUT.mkdir(parents=True, exist_ok=True)
    outcomes = Outcomes()
    status = pytest.main(
        ["-q", "-p", "no:cacheprovider", "-o", "python_files=bench_*.py", "-o", "filterwarnings=default",
         f"--benchmark-json={OUTPUT / 'benchmarks.json'}", *(arguments or [str(HERE)])],
        plugins=[outcomes])
    where = "\n".join(f"- {name}: {value}" for name, value in machine().items())
    missed = [f"- NOT MEASURED {name}: {reason}" for name, reason in outcomes.not_run.items()]
    (OUTPUT / "bars.md").write_text("\n\n".join(["# Benchmarks", where, table(aligned=False), *missed]) + "\n")
    print("", where, "", table(aligned=True), *missed, sep="\n")
    return 0 if status == 0 and not missed and all(bar["met"] for bar in BARS) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
