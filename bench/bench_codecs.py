"""Bytes to updated books of every protocol, in one table: every frame of its largest recorded capture, against orjson.

orderflow decodes a frame, joins it by the exchange's rule, updates the book and reads its best bid and ask;
`orjson.loads` only parses the same frames into Python objects. The two alternate in one run, medians of CPU time of the
thread. Where an exchange sends checksums, what checking them adds is a column of its own, and the ratio with it is
another. The end state counts: with checksums, books and every best bid and ask on the way are the golden's; without,
they are the same. Run alone: `python bench/bench_codecs.py`.
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
from bars import bar, note  # noqa: E402
from orderflow._core.book import OrderBook  # noqa: E402
from orderflow._core.ring import Ring  # noqa: E402
from orderflow._core.types import TAPE_DTYPE  # noqa: E402
from orderflow.exchanges import session_for  # noqa: E402
from orderflow.exchanges.session import SessionSettings  # noqa: E402
from orderflow.instrument import table  # noqa: E402
from orderflow.research.book_summary import BookSummary, summary_of  # noqa: E402
from orderflow.research.captures import read_capture  # noqa: E402
from orderflow.simulator.capture import survey  # noqa: E402
from orderflow.simulator.dialects import PROTOCOLS, dialect  # noqa: E402

FEEDS = ROOT.parent / "shared/feeds"
NAME = "capture"
ROUNDS = 15
FRAMES_A_ROUND = 4000           # at least: small captures are played again and again
LARGE_BYTES = 400               # the mean above which a frame is a large one
LARGE, SMALL = (2.5, 4.0), (1.3, 2.0)       # gate and aim
TAPE_RECORDS = 1 << 17
COMPARED = ("updates_applied", "levels_changed", "gaps", "checksums_ok", "checksums_failed", "bbo_changes",
            "bbo_trace_sha256", "final_levels", "final_bbo", "final_book_sha256")


def golden_of(protocol):
    """The golden of the capture of a protocol that has the most frames."""
    goldens = [json.loads(path.read_text()) for path in sorted((FEEDS / "golden").glob("*.json"))]
    return max((golden for golden in goldens if golden.get("venue") == protocol),
               key=lambda golden: golden["lines_by_dir"]["rx"], default=None)


class Capture:
    """A capture's frames and books."""

    def __init__(self, protocol, golden):
        import bytes_to_book
        path = FEEDS / golden["capture"]
        self.golden = golden
        self.listings = survey(path, dialect(protocol)).listings(NAME)
        self.symbols = {listing.symbol: index for index, listing in enumerate(self.listings)}
        self.session = session_for(protocol, SessionSettings(NAME, symbols=tuple(self.symbols)))
        self.rows = table(self.listings, [NAME])
        self.owners = [OrderBook(tick=max(1, int(row["tick"]))) for row in self.rows]
        self.frames, self.snapshots = self.read(path)
        self.bytes = sum(map(len, self.frames)) / len(self.frames)
        self.replay = bytes_to_book.Replay(self.frames, self.snapshots, self.owners, self.rows, self.session.rule)

    def read(self, path):
        """Frames received, but for what is not JSON; and (before which of them, of which listing, body)."""
        frames, snapshots = [], []
        for record in read_capture(path):
            if record.direction == "rx" and record.payload[:1] in "{[":
                frames.append(record.payload.encode())
            elif record.direction == "http" and self.session.snapshot_symbol(record.channel) in self.symbols:
                listing = self.symbols[self.session.snapshot_symbol(record.channel)]
                snapshots.append((len(frames), listing, record.payload.encode()))
        return frames, snapshots

    def codec(self):
        """One that has seen nothing."""
        return self.session.market_codec(self.rows, self.symbols)

    def check(self):
        """One run, watched, that gives the golden; its digest."""
        tape, summaries = Ring(TAPE_RECORDS, 128), [BookSummary(listing) for listing in self.listings]
        _, digest = self.replay.run(self.codec(), tape)
        while (record := tape.pop(TAPE_DTYPE)) is not None:
            summaries[record["listing"]].add(record)
        for index, summary in enumerate(summaries):
            found = summary_of(summary, self.owners[index], self.replay.counters(index))
            symbol = summary.listing.symbol
            for field in COMPARED:
                expected = self.golden["symbols"][symbol][field]
                assert found[field] == expected, f"{symbol}: {field} is {found[field]}, not {expected}"
        return digest

    def time_orjson(self):
        """CPU ns of parsing every frame; nothing is made that the cyclic collector could free, so it is off."""
        loads = orjson.loads
        gc.disable()
        try:
            begin = time.thread_time_ns()
            for frame in self.frames:
                loads(frame)
            return time.thread_time_ns() - begin
        finally:
            gc.enable()


def measured(capture):
    """A row of ns a frame for every round: decoding; with the books; with checksums besides; orjson."""
    digest = capture.check()
    repeats = -(-FRAMES_A_ROUND // len(capture.frames))
    rows = []
    for _ in range(ROUNDS):
        sums = [0, 0, 0, 0]
        for _ in range(repeats):
            sums[0] += capture.replay.stages(capture.codec())
            for column, checked in ((1, False), (2, True)):
                elapsed, found = capture.replay.run(capture.codec(), checked=checked)
                assert found == digest, "different best bid or ask after some frame"
                sums[column] += elapsed
            sums[3] += capture.time_orjson()
        rows.append([value / (repeats * len(capture.frames)) for value in sums])
    return rows


def run(protocol):
    """Measure one protocol and record its bar; returns its line of the table and whether the gate is met."""
    golden = golden_of(protocol)
    build.build("bytes_to_book")
    capture = Capture(protocol, golden)
    rows = measured(capture)
    decode, book, checked, other = map(statistics.median, zip(*rows, strict=True))
    ratio, with_checks = (statistics.median(row[3] / row[column] for row in rows) for column in (1, 2))
    gate, aim = LARGE if capture.bytes > LARGE_BYTES else SMALL
    line = (f"{protocol:15} {len(capture.frames):7} {capture.bytes:7.0f} {decode:8.0f} {book:8.0f} {other:8.0f} "
            f"{ratio:6.2f}x ≥ {gate}")
    if any(symbol["checksums_ok"] for symbol in golden["symbols"].values()):
        cost = statistics.median(row[2] - row[1] for row in rows)
        note(f"codec and book, {protocol}: its checksums, a frame", cost, "ns")
        note(f"codec and book, {protocol}, with checksums, against orjson.loads", with_checks, "x")
        line += f" {cost:8.0f} {with_checks:6.2f}x"
    return line, bar(f"codec and book, {protocol}, against orjson.loads", ratio, gate, aim, "higher")


HEADER = (f"{'protocol':15} {'frames':>7} {'bytes':>7} {'decode':>8} {'and book':>8} {'orjson':>8}   ratio       "
          "checksum  with it; CPU ns a frame")


@pytest.mark.skipif(not FEEDS.is_dir(), reason="the recorded feeds are not beside this repository")
def test_codecs():
    found = [run(protocol) for protocol in PROTOCOLS if golden_of(protocol) is not None]
    print("", HEADER, *(line for line, _ in found), sep="\n")
    assert all(met for _, met in found)


if __name__ == "__main__":
    test_codecs()
