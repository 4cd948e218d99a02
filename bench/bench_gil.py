"""One frame a millisecond over TLS, while a Python thread of the same process computes: who waits for the GIL?

One-way latency, from the server's clock stamp in the frame to the reader's after the read that brought it; both clocks
are CLOCK_MONOTONIC of one machine. Quiet and busy runs alternate, the medians of five alternations count. The fallback
through the Python socket, which takes the GIL for each read, runs beside it. Run alone: `python bench/bench_gil.py`.
"""
import contextlib
import os
import statistics
import sys
import threading
from pathlib import Path

import numpy as np

from orderflow._core.transport import BorrowedTransport, TransportKind
from orderflow._core.websocket import FrameReader
from orderflow.servers.connect import connect

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "native")]

import build  # noqa: E402
import feed_server  # noqa: E402
from bars import bar  # noqa: E402

ALTERNATIONS = 5
FRAMES = 1500
FIRST = 100             # not counted: caches, clock speed, the connection's first window
P99_FLOOR_US = 300


@contextlib.contextmanager
def a_thread_that_computes():
    stop = threading.Event()

    def compute():
        while not stop.is_set():
            sum(i * i for i in range(1000))

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def latency_us(url, ca_file, *, native, frames=FRAMES):
    """(p50, p99) of one run in microseconds; the reader is a thread of its own, as in the engine."""
    import receive
    sock, glued = connect(f"{url}/pace/{frames}", ca_file)
    latency_ns = np.zeros(frames, np.int64)
    with sock:
        transport = BorrowedTransport(sock, glued, native=native)
        assert transport.kind == (TransportKind.TLS if native else TransportKind.FALLBACK)
        results = []
        thread = threading.Thread(
            target=lambda: results.append(receive.receive_frames(transport, FrameReader(), frames, latency_ns)))
        thread.start()
        thread.join()
    assert results and results[0][0] == feed_server.payload_bytes(frames)
    return np.percentile(latency_ns[FIRST:] / 1e3, [50, 99])


def measure():
    """{"quiet" | "busy" | "fallback busy": (p50, p99)} in microseconds, medians over the alternations."""
    build.build("receive")
    found = {}
    with feed_server.running(min(os.sched_getaffinity(0))) as (_, tls, ca_file):
        url = f"wss://127.0.0.1:{tls}"
        for _ in range(ALTERNATIONS):
            found.setdefault("quiet", []).append(latency_us(url, ca_file, native=True))
            with a_thread_that_computes():
                found.setdefault("busy", []).append(latency_us(url, ca_file, native=True))
                found.setdefault("fallback busy", []).append(latency_us(url, ca_file, native=False))
    return {name: tuple(statistics.median(column) for column in zip(*runs, strict=True))
            for name, runs in found.items()}


def test_gil(benchmark=None):
    medians = benchmark.pedantic(measure, rounds=1) if benchmark is not None else measure()
    for name, (p50, p99) in medians.items():
        print(f"one frame a millisecond over TLS, {name}: p50 {p50:.1f} us, p99 {p99:.1f} us")
    quiet, busy, fallback = medians["quiet"], medians["busy"], medians["fallback busy"]
    met = bar("GIL busy against quiet, p50", busy[0] / quiet[0], 1.5, 1.0, "lower")
    met &= bar("GIL busy, p99 against the larger of 3 x quiet and 300 us",
               busy[1] / max(3 * quiet[1], P99_FLOOR_US), 1.0, 0.5, "lower")
    met &= bar("GIL busy, the fallback against native, p50", fallback[0] / busy[0], 20, 100, "higher")
    if benchmark is not None:
        benchmark.extra_info.update({f"{name} {which}": value for name, pair in medians.items()
                                     for which, value in zip(("p50_us", "p99_us"), pair, strict=True)})
    assert met


if __name__ == "__main__":
    try:
        test_gil()
    finally:
        from bars import BARS
        for each in BARS:
            print("PASS" if each["met"] else "MISS", each["name"], f"{each['measured']:.3f} (gate {each['gate']})")
