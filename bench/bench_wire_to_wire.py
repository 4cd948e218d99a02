"""Wire to wire on loopback: from the exchange's send of a depth frame to the last byte of the order that it causes.

A spinning exchange on one core sends recorded frames over plain websockets; those of 300 to 3000 bytes count. In turn
on the other core: a client in C++ that cuts the frame and sends a fixed order without looking (the limit of this
machine and kernel), and orderflow, `fused` and spinning, over its sync server: decode, book, signals, strategy,
routing, risk, journal, send gate, encoding, signing. That no stage was skipped is checked in the journal: one intent an
order, the same ids that the exchange was sent, rising board versions, the mark of risk.
Run alone: `python bench/bench_wire_to_wire.py`.
"""
import itertools
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "bench/native")]

import build  # noqa: E402
import wire_server  # noqa: E402
from bars import bar, note  # noqa: E402
from orderflow._core import client_id  # noqa: E402
from orderflow._core.doorbell import Doorbell  # noqa: E402
from orderflow._core.journal import RecordKind, read  # noqa: E402
from orderflow.servers.connect import connect  # noqa: E402
from orderflow.servers.sync import SyncServer  # noqa: E402
from recorded_exchange import CAPTURE, INSTRUMENT, QUANTITY, engine_for  # noqa: E402

ROUNDS = 5
FRAMES = 2000
GATE, AIM = 2.0, 1.6
UNANSWERED = 0.02               # of the frames, where other programs share the processors
PASSED = 0xA5                   # ChildOrder.risk_code of an order that risk approved
#: As long as orderflow's own orders are.
ORDER = ('{"id":"n0000000000001000000000000000","method":"order.place","params":{"apiKey":"' + "k" * 64 +
         '","newClientOrderId":"of0000000000001","newOrderRespType":"ACK","price":"61837.64","quantity":"0.00001",'
         '"side":"BUY","symbol":"BTCUSDT","timeInForce":"IOC","type":"LIMIT","timestamp":1723161255208,"signature":"' +
         "0" * 64 + '"}}').encode()


def masked(text):
    """A client's text frame."""
    mask = b"\x12\x34\x56\x78"
    body = bytes(byte ^ each for byte, each in zip(text, itertools.cycle(mask), strict=False))
    return bytes([0x81, 0x80 | 126]) + len(text).to_bytes(2, "big") + mask + body


def measured(answer):
    """Nanoseconds of the frames that count; nearly all must have been answered."""
    latency, counts, _ = answer
    found = np.array(latency)[np.array(counts)]
    assert (found < 0).mean() < UNANSWERED, f"{(found < 0).sum()} of {len(found)} frames without an order"
    return found[found >= 0]


def run_limit(server, core):
    """The limit client on this thread."""
    import wire
    before = os.sched_getaffinity(0)
    lines = [connect(f"ws://127.0.0.1:{server.port}/limit/{name}")[0] for name in ("stream", "orders")]
    os.sched_setaffinity(0, {core})
    try:
        server.begin(FRAMES)
        assert wire.answer_blindly(lines[0].fileno(), lines[1].fileno(), masked(ORDER), FRAMES) == FRAMES
        return measured(server.result())
    finally:
        os.sched_setaffinity(0, before)
        for line in lines:
            line.close()


def check_journal(directory, ids):
    """That every order that arrived went through every stage."""
    records = [record for record in read(directory) if record.kind == RecordKind.INTENT]
    intents = [record.decode() for record in records]
    versions = [int(intent["board_version"]) for intent in intents]
    assert [client_id.encode(int(intent["client_order_id"])).encode() for intent in intents] == ids
    assert versions == sorted(set(versions)), "two orders on one version of the book"
    assert all(intent["risk_code"] == PASSED for intent in intents)
    assert [intent["journal_sequence"] for intent in intents] == [record.sequence for record in records]


def run_orderflow(server, core):
    """The engine, and its own histograms. Returns (nanoseconds, {stage: p50 in nanoseconds})."""
    import best_ask_taker
    taker = best_ask_taker.BestAskTaker()
    at = f"127.0.0.1:{server.port}"
    urls = {"rest": f"http://{at}", "stream": f"ws://{at}", "orders": f"ws://{at}/orders"}
    problems = []
    with tempfile.TemporaryDirectory() as directory:
        engine = engine_for(SyncServer(Doorbell(), problems.append), taker, directory, urls=urls, layout="fused",
                            wait="spin", cpus={"fused": core}, report=problems.append)
        with engine.start():
            taker.quantity = engine.instruments[INSTRUMENT].quantity(QUANTITY)
            server.begin(FRAMES)
            answer = server.result()
            loop, router = engine.core.loops["recorded"], engine.router
            stages = {"decode, book, publish": loop.frame_to_board, "frame read to decision": router.frame_to_decision,
                      "decision to bytes sent": loop.decided_to_sent, "frame read to bytes sent": loop.frame_to_sent}
            stages = {name: histogram.percentile(50) for name, histogram in stages.items()}
        assert not problems, problems
        check_journal(directory, answer[2])
        assert engine.orders.audit() == []
    return measured(answer), stages


def measure():
    """Both clients in turn; returns what pytest-benchmark keeps."""
    cores = sorted(os.sched_getaffinity(0))
    build.build("wire", "best_ask_taker")
    limits, ours, stages = [], [], []
    with wire_server.running(cores[0]) as server:
        for _ in range(ROUNDS):
            limits.append(run_limit(server, cores[-1]))
            taken, found = run_orderflow(server, cores[-1])
            ours.append(taken)
            stages.append(found)
    p50 = [float(np.median([np.percentile(each, 50) for each in rounds])) / 1e3 for rounds in (limits, ours)]
    for name, rounds in (("limit", limits), ("orderflow", ours)):
        print(f"wire to wire, {name}: " + ", ".join(
            f"p{percent:g} {np.percentile(np.concatenate(rounds), percent) / 1e3:.1f} us" for percent in (50, 90, 99))
            + "; p50 of the rounds " + ", ".join(f"{np.percentile(each, 50) / 1e3:.1f}" for each in rounds))
    budget = {name: float(np.median([each[name] for each in stages])) for name in stages[0]}
    for name, value in budget.items():
        print(f"    orderflow, {name}: {value:.0f} ns")
    ratio = float(np.median([np.percentile(our, 50) / np.percentile(limit, 50)
                             for our, limit in zip(ours, limits, strict=True)]))
    note("wire to wire, limit client, p50", p50[0], "us")
    note("wire to wire, orderflow, p50", p50[1], "us")
    return ratio, {"limit_p50_us": p50[0], "orderflow_p50_us": p50[1], "budget_ns": budget}


def run(benchmark=None):
    """Measure and record the bar; returns whether the gate is met."""
    ratio, details = benchmark.pedantic(measure, rounds=1) if benchmark is not None else measure()
    print(f"wire to wire: p50 {ratio:.2f} times the limit's")
    if benchmark is not None:
        benchmark.extra_info.update(details, ratio=ratio)
    return bar("wire to wire, p50 against the limit client", ratio, GATE, AIM, "lower")


@pytest.mark.skipif(not CAPTURE.exists(), reason="the recorded feeds are not beside this repository")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs a processor for each end")
def test_wire_to_wire(benchmark):
    assert run(benchmark)


if __name__ == "__main__":
    sys.exit(not run())
