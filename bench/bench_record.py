"""Nanoseconds that recording adds to a frame on the exchange thread: the copy into the ring that a writer empties.

Each frame of a recorded capture is stamped natively before and after; what two stamps cost by themselves is printed
beside and not taken off. A thread takes the records out meanwhile, as the writer of captures does, and is waited for
between bursts: real feeds leave pauses. What it took is what was recorded. Run alone: `python bench/bench_record.py`.
"""
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "bench/native")]

import build  # noqa: E402
from bars import bar, note  # noqa: E402
from orderflow._core.byte_ring import ByteRing  # noqa: E402
from orderflow._core.types import RECORDED_DTYPE  # noqa: E402
from orderflow.research.captures import read_capture  # noqa: E402

CAPTURE = ROOT.parent / "shared/feeds/captures/binance_spot_btcusdt_20240808.tsv.gz"
RING = 1 << 24                  # of an exchange loop
BURST = 500


class Taker:
    """Counts what it takes out of a ring."""

    def __init__(self, ring):
        self._ring, self.frames, self.bytes = ring, 0, 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()

    def _run(self):
        while not self._stopping.is_set():
            while (taken := self._ring.pop()) is not None:
                self.frames += 1
                self.bytes += len(taken[1]) - RECORDED_DTYPE.itemsize
            time.sleep(0.001)


@pytest.mark.skipif(not CAPTURE.exists(), reason="the recorded feeds are not beside this repository")
def test_recording():
    build.build("record_timing")
    import record_timing
    frames = [record.payload.encode() for record in read_capture(CAPTURE) if record.direction == "rx"]
    ring, taken = ByteRing(RING), []
    recording = record_timing.Recording(frames, ring)
    with Taker(ring) as taker:
        for begin in range(0, len(frames), BURST):
            end = min(begin + BURST, len(frames))
            taken.append(recording.run(begin, end))
            while taker.frames < end:
                time.sleep(0)
    assert (taker.frames, taker.bytes) == (len(frames), sum(map(len, frames)))
    times = np.concatenate(taken)
    p50, p99 = (float(np.percentile(times, percentile)) for percentile in (50, 99))
    stamps = float(np.percentile(record_timing.Recording.nothing(100_000), 50))
    print(f"recording: p50 {p50:.0f} ns, p99 {p99:.0f} ns a frame of {sum(map(len, frames)) / len(frames):.0f} bytes; "
          f"two stamps alone {stamps:.0f} ns")
    note("recording, a frame p99", p99, "ns")
    assert bar("recording, a frame p50", p50, 100, 60, "lower", "ns")


if __name__ == "__main__":
    test_recording()
