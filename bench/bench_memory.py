"""Resident memory of an engine with three exchanges and ten instruments each, trading, every book LIVE.

A short soak (soak_trading.py says what it runs; `make soak` is the long one, which also looks for growth) in a process
of its own, so that nothing of this one is counted. Run alone: `python bench/bench_memory.py`.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from bars import bar  # noqa: E402

SECONDS = 12
GATE_MIB, AIM_MIB = 200, 160


def resident_mib():
    """The most that was seen of the process while it traded, MiB."""
    done = subprocess.run([sys.executable, str(ROOT / "bench/soak_trading.py"), str(SECONDS)], cwd=ROOT,
                          capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    found = re.search(r"most ([\d.]+) MiB.* (\d+) parent orders filled", done.stdout)
    assert found and int(found[2]), f"the soak ended without a result: {done.stdout[-500:]} {done.stderr[-500:]}"
    return float(found[1])


def run(benchmark=None):
    """Measure and record the bar; returns whether the gate is met."""
    found = benchmark.pedantic(resident_mib, rounds=1) if benchmark is not None else resident_mib()
    print(f"resident, 3 exchanges with 10 instruments each: {found:.0f} MiB")
    if benchmark is not None:
        benchmark.extra_info.update(resident_mib=found)
    return bar("resident memory, 3 exchanges with 10 instruments each", found, GATE_MIB, AIM_MIB, "lower", "MiB")


def test_memory(benchmark):
    assert run(benchmark)


if __name__ == "__main__":
    sys.exit(not run())
