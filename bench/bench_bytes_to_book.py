"""Bytes to updated book to best bid and ask: every depth frame of two recorded Binance captures, against orjson.

orderflow checks every bound, decodes, joins by sequence ids, updates the book and reads its best bid and ask,
natively; `orjson.loads` only parses the same frames into Python objects. The two alternate in one run, medians of CPU
time of the thread. The end state counts: final book and every best bid and ask on the way are the golden's.
Run alone: `python bench/bench_bytes_to_book.py`.
"""
import gc
import json
import statistics
import sys
import time
from pathlib import Path

import orjson
import pytest

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "bench/native")]

import build  # noqa: E402
from bars import bar  # noqa: E402
from orderflow._core.book import OrderBook  # noqa: E402
from orderflow._core.ring import Ring  # noqa: E402
from orderflow._core.types import TAPE_DTYPE  # noqa: E402
from orderflow.exchanges import session_for  # noqa: E402
from orderflow.exchanges.session import SessionSettings  # noqa: E402
from orderflow.instrument import table  # noqa: E402
from orderflow.research.book_summary import BookSummary, summary_of  # noqa: E402
from orderflow.research.captures import read_capture  # noqa: E402
from orderflow.simulator.capture import survey  # noqa: E402
from orderflow.simulator.dialects import dialect  # noqa: E402

FEEDS = ROOT.parent / "shared/feeds"
NAME = "capture"
ROUNDS = 15
CASES = [       # protocol, capture, gate, aim
    ("binance_spot", "binance_spot_btcusdt_20240808", 2.5, 3.0),
    ("binance_usdm", "binance_usdm_btcusdt_20240808", 3.2, 3.8),
]
COMPARED = ("updates_applied", "levels_changed", "gaps", "bbo_changes", "bbo_trace_sha256", "final_levels", "final_bbo",
            "final_book_sha256")


def read_frames(path):
    """(depth frames before the snapshot, snapshot, depth frames after it), as bytes."""
    early, late, snapshot = [], [], b""
    for record in read_capture(path):
        if record.direction == "http":
            snapshot = record.payload.encode()
        elif record.direction == "rx" and '"e":"depthUpdate"' in record.payload:
            (late if snapshot else early).append(record.payload.encode())
    return early, snapshot, late


def prepare(protocol, capture):
    """The replay of a capture, its codec, its frames, and a function that checks one run of it against the golden."""
    build.build("bytes_to_book")
    import bytes_to_book
    path = FEEDS / f"captures/{capture}.tsv.gz"
    listings = survey(path, dialect(protocol)).listings(NAME)
    session = session_for(protocol, SessionSettings(NAME))
    rows = table(listings, [NAME])
    owner = OrderBook(tick=int(rows[0]["tick"]))
    early, snapshot, late = read_frames(path)
    codec = session.market_codec(rows, {listings[0].symbol: 0})
    replay = bytes_to_book.Replay(early + late, [(len(early), 0, snapshot)], [owner], rows, session.rule)

    def check():
        """One run, watched; returns its digest."""
        tape, summary = Ring(1 << 14, 128), BookSummary(listings[0])
        _, digest = replay.run(codec, tape)
        while (record := tape.pop(TAPE_DTYPE)) is not None:
            summary.add(record)
        found = summary_of(summary, owner, replay.counters(0))
        golden = json.loads((FEEDS / f"golden/{capture}.json").read_text())["symbols"][listings[0].symbol]
        for field in COMPARED:
            assert found[field] == golden[field], f"{capture}: {field} is {found[field]}, not {golden[field]}"
        return digest
    return replay, codec, early + late, check


def run_orjson(frames):
    """CPU ns of parsing every frame; nothing is made that the cyclic collector could free, so it is off."""
    loads = orjson.loads
    gc.disable()
    try:
        begin = time.thread_time_ns()
        for frame in frames:
            loads(frame)
        return time.thread_time_ns() - begin
    finally:
        gc.enable()


def run(protocol, capture, gate, aim, benchmark=None):
    """Measure one capture and record its bar; returns whether the gate is met."""
    replay, codec, frames, check = prepare(protocol, capture)
    digest = check()
    ours, theirs, decoding = [], [], []
    for _ in range(ROUNDS):
        elapsed, found = replay.run(codec)
        assert found == digest, "different best bid or ask after some frame"
        ours.append(elapsed / len(frames))
        theirs.append(run_orjson(frames) / len(frames))
        decoding.append(replay.stages(codec) / len(frames))
    assert check() == digest
    ratio = statistics.median(their / our for their, our in zip(theirs, ours, strict=True))
    mine, other, decode = map(statistics.median, (ours, theirs, decoding))
    market = protocol.removeprefix("binance_")
    print(f"bytes to book, {market}: {mine:.0f} ns a frame ({decode:.0f} of it decoding), orjson.loads {other:.0f}: "
          f"{ratio:.2f}x")
    if benchmark is not None:
        benchmark.extra_info.update(ns_per_frame=mine, decode_ns_per_frame=decode, orjson_ns_per_frame=other,
                                    ratio=ratio)
        benchmark.pedantic(replay.run, (codec,), rounds=3)
    return bar(f"bytes to book, {market}, against orjson.loads", ratio, gate, aim, "higher")


@pytest.mark.skipif(not FEEDS.is_dir(), reason="the recorded feeds are not beside this repository")
@pytest.mark.parametrize("protocol, capture, gate, aim", CASES)
def test_bytes_to_book(benchmark, protocol, capture, gate, aim):
    assert run(protocol, capture, gate, aim, benchmark)


if __name__ == "__main__":
    sys.exit(not all([run(*case) for case in CASES]))
