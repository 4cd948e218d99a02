"""Python may hold the GIL for as long as it likes: no connection is lost and no order waits for it."""
import ctypes
import os
import time

from orderflow._core.strategies.dislocation import Dislocation
from orderflow.cli.scenario import Demonstration, Plan

#: A minute by `make soak`; the exchanges' own time-outs are longer than what is held here in any case.
SECONDS = int(os.environ.get("ORDERFLOW_GIL_SECONDS", "4"))
#: An order may wait for a processor that others use, not for Python: a small part of the time that the GIL is held.
LATE_NS = 1_000_000_000


def hold_the_gil(seconds):
    """Sleep in C without releasing it: PyDLL calls keep the GIL."""
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))


def test_orders_flow_while_python_holds_the_gil(monkeypatch):
    monkeypatch.setattr("orderflow.cli.scenario.Dislocation",
                        lambda instrument, quantity, edge: Dislocation(instrument, quantity, -5_000_000))
    with Demonstration(Plan(server="sync", seconds=1, seed=3)) as shown:
        engine = shown.engine
        engine.run(1.0)
        before = {name: (loop.totals["frames"], sum(loop.sent_orders)) for name, loop in engine.core.loops.items()}
        began_ns = time.monotonic_ns()
        hold_the_gil(SECONDS)
        held_ns = time.monotonic_ns() - began_ns
        after = {name: (loop.totals["frames"], sum(loop.sent_orders)) for name, loop in engine.core.loops.items()}
        losses = [conversation.health.losses for conversation in engine.conversations]
        slowest = max(loop.decided_to_sent.largest for loop in engine.core.loops.values())
        engine.pause()
        engine.run(5.0, lambda: engine.settled)
    assert held_ns >= SECONDS * 1_000_000_000
    assert losses == [0, 0, 0]
    for name in before:
        assert after[name][0] > before[name][0], f"{name} received nothing while the GIL was held"
    assert sum(orders for _, orders in after.values()) > sum(orders for _, orders in before.values())
    assert slowest < LATE_NS
