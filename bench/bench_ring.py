"""A hop over the ring between two spinning threads, against what moving one cache line costs on the same two cores.

Both are round trips, timed natively in batches, in alternation; half a round trip is a hop. The records of the ring
carry 56 checked bytes. The ring's sides pause between two looks, as the engine's spinning threads do; those of the line
do not.
"""
import os
import statistics
import threading
from functools import partial

import numpy as np
import pytest

from bars import bar
from orderflow._core import hop
from orderflow._core.ring import Ring

ROUNDS, BATCHES, BATCH = 7, 2000, 50


def pinned(cpu, function, *arguments):
    def run():
        os.sched_setaffinity(0, {cpu})
        function(*arguments)
    thread = threading.Thread(target=run)
    thread.start()
    return thread


def hops(ask, answer, cpus):
    """p50 of half a round trip in nanoseconds; the answering side runs on the second processor."""
    before = os.sched_getaffinity(0)
    other = pinned(cpus[1], answer, BATCHES * BATCH)
    os.sched_setaffinity(0, {cpus[0]})
    try:
        taken = ask(BATCHES, BATCH)
    finally:
        os.sched_setaffinity(0, before)
    other.join()
    if isinstance(taken, tuple):
        taken, wrong = taken
        assert wrong == 0
    return float(np.percentile(taken, 50)) / BATCH / 2


def test_ring_hop():
    cpus = sorted(os.sched_getaffinity(0))[:2]
    if len(cpus) < 2:
        pytest.skip("two processors are needed to hop between")
    ratios, ring_ns, line_ns = [], [], []
    for _ in range(ROUNDS):
        line = hop.CacheLine()
        line_ns.append(hops(line.ask, line.answer, cpus))
        there, back = Ring(64, 64), Ring(64, 64)
        ring_ns.append(hops(partial(hop.ask_spinning, back, there), partial(hop.answer_spinning, there, back), cpus))
        ratios.append(ring_ns[-1] / line_ns[-1])
    print(f"\ncache line {statistics.median(line_ns):.0f} ns, ring {statistics.median(ring_ns):.0f} ns a hop")
    bar("ring hop against half a cache-line ping-pong", statistics.median(ratios), 1.6, 1.3, "lower")


def test_ring_throughput():
    records = 3_000_000
    ring = Ring(1024, 64)
    began = []
    producer = threading.Thread(target=lambda: began.append(hop.produce(ring, records)))
    producer.start()
    ended, wrong = hop.consume(ring, records)
    producer.join()
    assert wrong == 0
    print(f"\n{records / (ended - began[0]) * 1000:.1f} million checked 64-byte records a second")
