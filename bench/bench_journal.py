"""Nanoseconds per journal append: 128-byte records, policy `crash` (in the page cache when it returns), no system call.

Each append is stamped natively before and after; what two stamps cost by themselves is printed beside, not taken off.
Run alone: `python bench/bench_journal.py`.
"""
import sys
import tempfile
from pathlib import Path

import numpy as np

from orderflow._core import journal
from orderflow._core.journal import JournalFiles

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "native")]

import build  # noqa: E402
from bars import bar  # noqa: E402

RECORDS = 200_000
GATES = {50: (200, 60), 99: (2_000, 800)}        # percentile: gate, aim, nanoseconds


def percentiles(taken):
    return {percentile: float(np.percentile(taken, percentile)) for percentile in (50, 99, 99.9)}


def measure(directory):
    """Nanoseconds of each append of one run that was read back whole."""
    build.build("ledger_timing")
    import ledger_timing
    with JournalFiles(directory) as files:
        assert files.wait_prepared()
        taken = ledger_timing.time_appends(files, RECORDS)
    (found,) = journal.verify(directory)
    assert len(taken) == found.records == RECORDS and found.fault == ""
    return percentiles(taken), percentiles(ledger_timing.time_nothing(RECORDS))


def test_journal_append(tmp_path):
    found, stamps = measure(tmp_path)
    print(f"journal append: {found} ns; two stamps alone: {stamps} ns")
    met = [bar(f"journal append p{percentile}", found[percentile], gate, aim, "lower", "ns")
           for percentile, (gate, aim) in GATES.items()]
    assert all(met)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        test_journal_append(directory)
