"""A thousand engines, killed with kill -9 at moments from a seed, one after the other on one journal.

tests/killed_engines.py has the exchanges, the victim and what must hold: every order that an exchange saw is in the
journal, no client id is there twice, positions are the exchanges' own. Every so often an engine begins that is not
killed, and is judged; that takes more than a minute where an order never arrived, until that counts as proven. Run
some: `bench/soak_kills.py RUNS`.
"""
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from tests.killed_engines import Killer  # noqa: E402

JUDGED_EVERY = 125
SEED = 11


def main(runs):
    """0 when nothing was wrong."""
    started, orders, killing_s = time.monotonic(), 0, 0.0
    with tempfile.TemporaryDirectory(prefix="orderflow-kills-") as directory:
        killer = Killer(Path(directory) / "run", SEED)
        try:
            for number in range(1, runs + 1):
                began = time.monotonic()
                said = killer.kill()
                killing_s += time.monotonic() - began
                wrong = [] if said is None else [f"ended by itself: {said}"]
                if number % JUDGED_EVERY == 0 or number == runs:
                    found, orders = killer.judge()
                    wrong += found
                    print(f"{number:5} killed, {orders} orders, {time.monotonic() - started:.0f} s; one kill takes "
                          f"{killing_s / number:.2f} s", flush=True)
                if wrong:
                    print("\n".join(wrong))
                    print(f"kills: {number} runs: MISS")
                    return 1
        finally:
            killer.stop()
    print(f"kills: {runs} engines killed, {orders} orders: every one in the journal, none twice, positions equal the "
          "exchanges': PASS")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
