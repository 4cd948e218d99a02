"""A thousand storms around the native router: rejects, silence, partial fills, duplicates, exchanges that come and go.

tests/routing_storm.py has the storm, tests/scripted_exchange.py the truth, and tests/storm_books.py what must hold:
every parent ends, none is overfilled, no unit is lost, and what is kept below the minimums balances. A seed is a storm,
so what fails can be run again alone: `bench/soak_routing.py STORMS FIRST_SEED`.
"""
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from tests.storm_books import weather_of  # noqa: E402

TOLD_EVERY = 250
#: Longer than those of the tests.
STEPS = 120


def main(storms, first=0):
    """0 when nothing was wrong."""
    started, sums = time.monotonic(), {}
    for number, seed in enumerate(range(first, first + storms), 1):
        wrong, counts = weather_of(seed, STEPS)
        for name, count in counts.items():
            sums[name] = sums.get(name, 0) + count
        if wrong:
            print("\n".join(wrong))
            print(f"routing: storm of seed {seed}: MISS")
            return 1
        if number % TOLD_EVERY == 0:
            print(f"{number:5} storms, {sums['parents']} parents, {sums['orders']} orders, {sums['fills']} fills, "
                  f"{time.monotonic() - started:.0f} s", flush=True)
    print(f"routing: {storms} storms, {sums.get('parents', 0)} parents, {sums.get('orders', 0)} orders: every parent "
          "ended, none overfilled, no unit lost: PASS")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3] or ["1000"])))
