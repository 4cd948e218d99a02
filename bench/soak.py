"""What takes long: `make soak`, or `bench/soak.py SECTION...` for some of it.

    trading   ten minutes of an engine with three exchanges and ten instruments each; fails when memory grows
    feeds     ten minutes of six recorded exchanges at ten times their speed, with faults; fails when memory or file
              descriptors grow, or a fault is not seen
    faults    a million fuzzed and fault-injected frames of each protocol; fails when a LIVE book is not the true one
    times     from a fault to STALE, and from STALE to LIVE, for each protocol
    kills     a thousand engines killed with kill -9 while they trade; fails when an order is lost, resent or used twice
    routing   a thousand storms around the router; fails when a parent does not end, is overfilled or loses a unit

ORDERFLOW_SOAK_SECONDS, ORDERFLOW_SOAK_FRAMES, ORDERFLOW_SOAK_KILLS and ORDERFLOW_SOAK_STORMS say otherwise. Exits 1
when a section fails.
"""
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import fault_times  # noqa: E402
import soak_faults  # noqa: E402
import soak_feeds  # noqa: E402
import soak_kills  # noqa: E402
import soak_routing  # noqa: E402
import soak_trading  # noqa: E402

SECONDS = int(os.environ.get("ORDERFLOW_SOAK_SECONDS", "600"))
FRAMES = int(os.environ.get("ORDERFLOW_SOAK_FRAMES", "1000000"))
KILLS = int(os.environ.get("ORDERFLOW_SOAK_KILLS", "1000"))
STORMS = int(os.environ.get("ORDERFLOW_SOAK_STORMS", "1000"))
SECTIONS = {
    "trading": lambda: soak_trading.main(SECONDS),
    "feeds": lambda: soak_feeds.main(SECONDS),
    "faults": lambda: soak_faults.main(FRAMES),
    "times": fault_times.main,
    "kills": lambda: soak_kills.main(KILLS),
    "routing": lambda: soak_routing.main(STORMS),
}


def main(wanted):
    """Run these sections, or all; 0 when none failed."""
    unknown = [name for name in wanted if name not in SECTIONS]
    if unknown:
        print(f"{unknown[0]}: no such section; there are {', '.join(SECTIONS)}")
        return 2
    failed = []
    for name in wanted or SECTIONS:
        print(f"-- {name}", flush=True)
        if SECTIONS[name]():
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
