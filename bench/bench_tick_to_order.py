"""Tick to order: from the last byte of a depth frame in memory to the first byte of the order ready to be sent.

Decode, book, board, strategy, routing, risk, journal, send gate, encoding and signing, for every recorded spot depth
frame, one order each; no sockets. `fused` runs all loops in one thread and is the headline. Beside it the sum of its
parts, each stamped by itself in a run of its own. `split` hands over between three spinning threads; with fewer than
three processors it measures the scheduler and not the code, and says so. One gate: from the signal in the router's
inbox (the wake-up, by way of the strategy) to the child order past risk and journal; the other rows inform.
Run alone: `python bench/bench_tick_to_order.py`.
"""
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "bench/native")]

import build  # noqa: E402
from bars import bar, note  # noqa: E402
from orderflow._core.journal import RecordKind, read  # noqa: E402
from orderflow.wiring import Threads  # noqa: E402
from recorded_exchange import CAPTURE, INSTRUMENT, QUANTITY, MemoryServer, Recording, engine_for  # noqa: E402

PASSED = 0xA5                   # ChildOrder.risk_code of an order that risk approved
WARM_UP = 500                   # frames
SPLIT_FRAMES = 2000             # with a processor for each thread; a twentieth of them without
THREADS = 3                     # of `split`
GATE_US, AIM_US = 2.0, 1.5
#: What each step does: (round, place in the round) -> name.
PARTS = {(0, 0): "decode, book, publish", (0, 1): "wake-up, reference price", (0, 2): "strategy",
         (0, 3): "route, risk, journal", (1, 0): "gate, encode, sign"}


class Desk:
    """A started engine on the recording, with the driver that feeds it."""

    def __init__(self, recording, directory, layout):
        build.build("best_ask_taker", "tick_to_order")
        import best_ask_taker
        import tick_to_order
        self.taker = best_ask_taker.BestAskTaker()
        self.directory = directory
        self.engine = engine_for(MemoryServer(recording), self.taker, directory, layout=layout, wait="spin").start()
        engine = self.engine
        self.taker.quantity = engine.instruments[INSTRUMENT].quantity(QUANTITY)
        exchange = engine.core.loops["recorded"]
        mine = (engine.router, engine.strategizer) if layout == "fused" else (None, None)
        self.driver = tick_to_order.Driver(recording.late, exchange, *mine, engine.conversations[0].lines[0].epoch)

    def finish(self):
        """Stop, and check that every order went through every stage; returns how many there were."""
        self.engine.stop()
        intents = [record.decode() for record in read(self.directory) if record.kind == RecordKind.INTENT]
        versions = [int(intent["board_version"]) for intent in intents]
        assert len(intents) == self.driver.orders, f"{len(intents)} intents for {self.driver.orders} orders"
        assert all(intent["risk_code"] == PASSED for intent in intents)
        assert versions == sorted(set(versions)), "two orders on one version of the book"
        assert self.engine.orders.audit() == []
        return len(intents)


def percentiles(taken):
    """p50, p99, p99.9 in microseconds of what was answered."""
    return tuple(np.percentile(taken[taken >= 0], (50, 99, 99.9)) / 1e3)


def run_fused(recording):
    """(nanoseconds of each frame, medians of the parts in nanoseconds by name, median from the wake-up on)."""
    count = len(recording.late)
    with tempfile.TemporaryDirectory() as directory:
        desk = Desk(recording, directory, "fused")
        desk.driver.run(0, WARM_UP)
        taken = desk.driver.run(WARM_UP, count)
        assert desk.finish() == count - (taken < 0).sum() and (taken < 0).mean() < 0.01
    with tempfile.TemporaryDirectory() as directory:
        desk = Desk(recording, directory, "fused")
        desk.driver.run(0, WARM_UP)
        steps = desk.driver.parts(WARM_UP, count)
        desk.finish()
    parts = {name: float(np.median(steps[:, at, stage])) for (at, stage), name in PARTS.items()}
    return taken, parts, float(np.median(steps[:, 0, 1:].sum(axis=1)))


def run_split(recording):
    """Nanoseconds of each frame; the caller's thread is the exchange's."""
    before = os.sched_getaffinity(0)
    cores = sorted(before)
    count = SPLIT_FRAMES if len(cores) >= THREADS else SPLIT_FRAMES // 20
    cpus = {"router": cores[1 % len(cores)], "strategizer": cores[2 % len(cores)]}
    with tempfile.TemporaryDirectory() as directory:
        desk = Desk(recording, directory, "split")
        engine, bells = desk.engine, desk.engine.core.bells
        threads = Threads([("router", [engine.router], bells["router"]),
                           ("strategizer", [engine.strategizer], bells["strategizer"])], "spin", cpus)
        os.sched_setaffinity(0, {cores[0]})
        threads.start()
        try:
            taken = desk.driver.run(0, count)
        finally:
            threads.stop()
            os.sched_setaffinity(0, before)
        desk.finish()
    return taken[count // 5:], len(cores)


def report(name, taken):
    """Print and record the percentiles of one layout."""
    found = percentiles(taken)
    print(f"tick to order, {name}: p50 {found[0]:.2f} us, p99 {found[1]:.2f}, p99.9 {found[2]:.2f}, "
          f"{(taken >= 0).sum()} orders, {(taken < 0).sum()} frames without one")
    for percent, value in zip(("p50", "p99", "p99.9"), found, strict=True):
        note(f"tick to order, {name}, {percent}", value, "us")
    return found


def measure():
    """Both layouts; returns whether the gate is met, and what pytest-benchmark keeps."""
    recording = Recording()
    taken, parts, routed = run_fused(recording)
    found = report("fused", taken)
    for name, value in parts.items():
        print(f"    {name}: {value:.0f} ns")
    print(f"    sum of the parts: {sum(parts.values()) / 1e3:.2f} us")
    note("tick to order, fused, sum of the parts' medians", sum(parts.values()) / 1e3, "us")
    print(f"    of it from the wake-up in the router's inbox to the child order past risk and journal: {routed:.0f} ns")
    met = bar("wake-up in the router's inbox to the child order past risk, p50", routed / 1e3, GATE_US, AIM_US, "lower",
              "us")
    split, cores = run_split(recording)
    name = "split" if cores >= THREADS else f"split, {THREADS} spinning threads on {cores} processors"
    return met, {"fused_us": found, "parts_ns": parts, "split_us": report(name, split)}


@pytest.mark.skipif(not CAPTURE.exists(), reason="the recorded feeds are not beside this repository")
def test_tick_to_order(benchmark):
    met, found = benchmark.pedantic(measure, rounds=1)
    benchmark.extra_info.update(found)
    assert met


if __name__ == "__main__":
    sys.exit(not measure()[0])
