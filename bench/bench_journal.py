"""Nanoseconds per journal append: 128-byte records, policy `crash` (in the page cache when it returns), no system call;
seconds to read a million of them again, everything checked, as an engine does before it starts; and how long a record
takes to the disk where a thread of its own sees to that.

Each append is stamped natively before and after; what two stamps cost by themselves is printed beside, not taken off.
The million is read from the page cache: a cold disk adds its own time.
Run alone: `python bench/bench_journal.py`.
"""
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from orderflow._core import journal
from orderflow._core.journal import JournalFiles

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "native")]

import build  # noqa: E402
from bars import bar, note  # noqa: E402

RECORDS = 200_000
MILLION = 1_000_000
DURABLE_RECORDS = 1000
SEGMENT_RECORDS = 40_000        # a little less than fit into a segment of 8 MiB
RECOVERY_S = (1.0, 0.2)         # gate, aim
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


def write_million(directory):
    """A journal of a million execution reports, segment after segment."""
    build.build("ledger_timing")
    import ledger_timing
    with JournalFiles(directory, segment_bytes=8 << 20) as files:
        for _ in range(MILLION // SEGMENT_RECORDS):
            assert files.wait_prepared()
            ledger_timing.time_appends(files, SEGMENT_RECORDS)
        assert not files.failed


def test_recovery_of_a_million_records(tmp_path):
    write_million(tmp_path)
    taken = []
    for _ in range(3):
        begin = time.perf_counter()
        told = journal.recover(tmp_path)
        taken.append(time.perf_counter() - begin)
        assert told == ()
    found = journal.verify(tmp_path)
    assert sum(each.records for each in found) == MILLION and not any(each.fault for each in found)
    size = sum(each.path.stat().st_size for each in found)
    print(f"journal recovery: a million records, {size >> 20} MiB in {len(found)} segments: {min(taken):.3f} s")
    assert bar("journal recovery of a million records", min(taken), *RECOVERY_S, "lower", "s")


def test_time_until_an_order_may_leave(tmp_path):
    """What `group` costs the machine and `sync` an order on this disk; for information, it is the disk's."""
    build.build("ledger_timing")
    import ledger_timing
    for policy in ("group", "sync"):
        with JournalFiles(tmp_path / policy, policy=policy) as files:
            found = percentiles(ledger_timing.time_until_durable(files, DURABLE_RECORDS) / 1000)
        print(f"journal record to disk, policy {policy}: {found} us")
        for percentile in (50, 99):
            note(f"journal record to disk, policy {policy}, p{percentile}", found[percentile], "us")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        test_journal_append(directory)
    with tempfile.TemporaryDirectory() as directory:
        test_recovery_of_a_million_records(directory)
    with tempfile.TemporaryDirectory() as directory:
        test_time_until_an_order_may_leave(Path(directory))
