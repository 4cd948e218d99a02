"""A million fuzzed and fault-injected frames of each protocol: whenever a book says LIVE it is a true one.

tests/faulted.py has the exchange, the faults and the oracle. Resident memory may not grow over the second half.
Run one: `bench/soak_faults.py FRAMES PROTOCOL...`.
"""
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from orderflow.simulator.dialects import PROTOCOLS  # noqa: E402
from orderflow.simulator.faults import FaultPlan  # noqa: E402
from soak_trading import resident_mib  # noqa: E402
from tests.faulted import RATES, Faulted  # noqa: E402

GROWTH_MIB = 4
SEED = 20


def soak(protocol, frames):
    """One protocol; whether it passed. AssertionError where a book lied."""
    started = time.monotonic()
    faulted = Faulted(protocol, FaultPlan(rates=RATES, seed=SEED))
    faulted.run_frames(frames // 2)
    half = resident_mib()
    faulted.run_frames(frames - frames // 2)
    grown = resident_mib() - half
    faults = faulted.exchange.counts
    faulted.becomes_true()
    passed = grown <= GROWTH_MIB
    told = ", ".join(f"{kind} {faults[kind]}" for kind in RATES if faults[kind])
    print(f"{protocol:15} {faulted.frames:8} frames, {faulted.live:8} LIVE books equal to the truth, "
          f"{faults.total()} faults ({told}); {grown:+.1f} MiB, {time.monotonic() - started:.0f} s: "
          f"{'PASS' if passed else 'MISS'}", flush=True)
    return passed


def main(frames, protocols=PROTOCOLS):
    """0 when all passed."""
    passed = True
    for protocol in protocols:
        try:
            passed &= soak(protocol, frames)
        except AssertionError as error:
            print(f"{error}: MISS", flush=True)
            passed = False
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, sys.argv[2:] or PROTOCOLS))
